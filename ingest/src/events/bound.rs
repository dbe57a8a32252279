//! What one search may take: its time, and the patience of who waits for it. Everything here that loops over terms,
//! documents or lines asks now and then whether it is over, so that no question, however hostile, holds a core for longer.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tantivy::TantivyError;

use crate::time::Stopwatch;

/// Steps of a loop between two looks at the clock: a step takes some ten nanoseconds to some microseconds.
const STEPS: u32 = 512;
/// Of a line, so that the clock is looked at every 32 KiB.
const BYTES_PER_STEP: usize = 64;

/// Ends searches from outside. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Cancels when it is dropped: to be held by who waits for the answer.
    pub fn guard(&self) -> CancelGuard {
        CancelGuard(self.clone())
    }
}

/// Made by `Cancel::guard`.
#[derive(Debug)]
pub struct CancelGuard(Cancel);

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// One search's bound of time.
#[derive(Debug)]
pub(crate) struct Deadline {
    watch: Stopwatch,
    time_max: Duration,
    cancel: Cancel,
    steps: Cell<u32>,
    over: Cell<bool>,
}

impl Deadline {
    pub(crate) fn new(time_max: Duration, cancel: Cancel) -> Self {
        Self { watch: Stopwatch::start(), time_max, cancel, steps: Cell::new(0), over: Cell::new(false) }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    /// Looks now. What was over once stays over.
    pub(crate) fn is_over(&self) -> bool {
        if !self.over.get() && (self.cancel.is_cancelled() || self.watch.elapsed() > self.time_max) {
            self.over.set(true);
        }
        self.over.get()
    }

    /// Whether it was found to be over: then an error that comes up tells of that, not of damage.
    pub(crate) fn was_over(&self) -> bool {
        self.over.get()
    }

    /// For the inside of loops: looks at the clock every `STEPS` times.
    pub(super) fn step(&self) -> tantivy::Result<()> {
        self.steps(1)
    }

    /// A step over so many bytes of a line: some patterns take microseconds for each of the longest ones' kilobytes.
    pub(super) fn step_over(&self, bytes: usize) -> tantivy::Result<()> {
        self.steps(1 + u32::try_from(bytes / BYTES_PER_STEP).unwrap_or(STEPS))
    }

    fn steps(&self, more: u32) -> tantivy::Result<()> {
        let before = self.steps.get();
        let steps = before.wrapping_add(more);
        self.steps.set(steps);
        if before / STEPS == steps / STEPS { Ok(()) } else { self.check() }
    }

    /// # Errors
    /// Where it is over.
    pub(super) fn check(&self) -> tantivy::Result<()> {
        if self.is_over() { Err(TantivyError::InternalError("the search's time is over".into())) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_ends_it_and_it_stays_ended() {
        let cancel = Cancel::default();
        let deadline = Deadline::new(Duration::MAX, cancel.clone());
        assert!((0..10_000).all(|_| deadline.step().is_ok()));
        drop(cancel.guard());
        assert!(!deadline.was_over(), "not looked yet");
        assert!((0..STEPS).any(|_| deadline.step().is_err()));
        assert!(deadline.was_over() && deadline.is_over());
    }

    #[test]
    fn long_lines_are_many_steps() {
        let cancel = Cancel::default();
        let deadline = Deadline::new(Duration::MAX, cancel.clone());
        cancel.cancel();
        assert!(deadline.step_over(100).is_ok(), "not looked yet");
        assert!(deadline.step_over(64 * 1024).is_err());
    }

    #[test]
    fn no_time_is_over_at_once() {
        assert!(Deadline::new(Duration::ZERO, Cancel::default()).check().is_err());
    }
}

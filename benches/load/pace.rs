//! When the next messages are due. A sender that was held up does not make up for more than a moment: a burst that the
//! scheduler made is not what the receiver is measured with.

use std::time::Duration;

use ingest::time::Stopwatch;

/// Sends fall together in steps of this length; a sleep is not exacter than its half.
const STEP: Duration = Duration::from_millis(1);
/// The most that is made up for.
const BEHIND_MAX: Duration = Duration::from_millis(20);

pub(super) struct Pace {
    /// 0 is as fast as possible.
    rate: f64,
    watch: Stopwatch,
    /// How much of the schedule was given up.
    slipped: Duration,
    given: u64,
    /// Given before `slipped` moved last.
    messages: u64,
    time: Duration,
}

impl Pace {
    pub(super) fn new(rate: f64, messages: u64, time: Duration) -> Self {
        Self { rate, watch: Stopwatch::start(), slipped: Duration::ZERO, given: 0, messages, time }
    }

    /// How many messages may go now, up to `max`; waits until there is one. `None` when the plan is done.
    pub(super) fn due(&mut self, max: usize) -> Option<usize> {
        let left = self.messages.saturating_sub(self.given);
        loop {
            let elapsed = self.watch.elapsed();
            if left == 0 || elapsed >= self.time {
                return None;
            }
            let due = if self.rate > 0.0 { self.owed(elapsed) } else { u64::MAX };
            if due > 0 {
                let now = due.min(left).min(max as u64);
                self.given += now;
                return Some(now as usize);
            }
            std::thread::sleep(STEP);
        }
    }

    fn owed(&mut self, elapsed: Duration) -> u64 {
        let scheduled = |slipped: Duration| (elapsed.saturating_sub(slipped).as_secs_f64() * self.rate) as u64;
        let owed = scheduled(self.slipped).saturating_sub(self.given);
        let bound = ((self.rate * BEHIND_MAX.as_secs_f64()) as u64).max(1);
        if owed > bound {
            self.slipped += Duration::from_secs_f64((owed - bound) as f64 / self.rate);
            return bound;
        }
        owed
    }
}

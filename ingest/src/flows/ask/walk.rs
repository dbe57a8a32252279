//! The one way of a question to its records: time, scope and query judged by the store's scan, within its time, and ended
//! with who waits.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::FlowQuestion;
use crate::events::Deadline;
use crate::flow::FlowRecord;
use crate::flows::chunk::Chunk;
use crate::flows::column::{Column, ColumnSet};
use crate::flows::filter::FlowFilter;
use crate::flows::scan::{FlowRange, Predicate, SCAN_THREADS, Worker};
use crate::flows::{FlowStore, FlowStoreError};
use crate::time::Timestamp;

/// How it went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walked {
    pub(super) read: u64,
    /// Its time was over, or nobody waited any more.
    pub(super) ended_early: bool,
    pub(super) took: Duration,
}

/// The walks of one question, which share its time.
pub(super) struct Walk<'a> {
    store: &'a FlowStore,
    question: &'a FlowQuestion<'a>,
    filter: FlowFilter<'a>,
    deadline: Deadline,
    read: u64,
    ended_early: bool,
}

impl FlowStore {
    /// The first and the last receipt of what is stored.
    pub(super) fn received_span(&self) -> (Timestamp, Timestamp) {
        let view = self.view();
        let files = view.files.iter().flat_map(|info| [info.span.received_from, info.span.received_to]);
        let open = view.open.iter().flat_map(|chunk| chunk.iter().map(|flow| flow.received_at));
        files.chain(open).fold((Timestamp(i64::MAX), Timestamp(0)), |(first, last), at| (first.min(at), last.max(at)))
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(store: &'a FlowStore, question: &'a FlowQuestion<'a>) -> Self {
        let filter = FlowFilter::new(question.query, question.sites);
        let deadline = Deadline::new(question.time_max, question.cancel.clone());
        Self { store, question, filter, deadline, read: 0, ended_early: false }
    }

    pub(super) fn is_over(&mut self) -> bool {
        self.ended_early |= self.deadline.is_over();
        self.ended_early
    }

    pub(super) fn done(&self) -> Walked {
        Walked { read: self.read, ended_early: self.ended_early, took: self.deadline.elapsed() }
    }

    /// Gives each record that matches and was received in the stretch to `each`, with at least these columns, until it says
    /// `Break` or the time is over. What is gathered is made by `make`, for each thread one.
    pub(super) fn over<S: Send>(
        &mut self,
        span: (Timestamp, Timestamp),
        columns: ColumnSet,
        make: impl Fn() -> S,
        each: impl Fn(&mut S, &FlowRecord) -> ControlFlow<()> + Sync,
    ) -> Result<Vec<S>, FlowStoreError> {
        self.walk(span, columns.with(Column::ReceivedAt), SCAN_THREADS, make, |state, chunk, deadline| {
            // What is here, asked once and not for each row.
            let columns: Vec<_> = chunk.columns().iter().filter_map(|column| Some((column, chunk.slice(column)?))).collect();
            for (n, row) in chunk.mask().rows().enumerate() {
                if n % STEP == STEP - 1 && deadline.is_over() {
                    return ControlFlow::Break(());
                }
                let mut flow = FlowRecord::NONE;
                columns.iter().for_each(|(column, slice)| slice.put(*column, row, &mut flow));
                each(state, &flow)?;
            }
            ControlFlow::Continue(())
        })
    }

    /// As `over`, chunk by chunk, whose masks say which rows match; by so many threads.
    pub(super) fn chunks<S: Send>(
        &mut self,
        span: (Timestamp, Timestamp),
        columns: ColumnSet,
        threads: usize,
        make: impl Fn() -> S,
        each: impl Fn(&mut S, &Chunk<'_>) -> ControlFlow<()> + Sync,
    ) -> Result<Vec<S>, FlowStoreError> {
        self.walk(span, columns, threads, make, |state, chunk, _| each(state, chunk))
    }

    fn walk<S: Send>(
        &mut self,
        (from, to): (Timestamp, Timestamp),
        columns: ColumnSet,
        threads: usize,
        make: impl Fn() -> S,
        each: impl Fn(&mut S, &Chunk<'_>, &Deadline) -> ControlFlow<()> + Sync,
    ) -> Result<Vec<S>, FlowStoreError> {
        if self.is_over() {
            return Ok(vec![make()]);
        }
        let FlowQuestion { scope, sites, cancel, time_max, read, .. } = self.question;
        let filter: Option<&dyn Predicate> = if self.filter.is_all() { None } else { Some(&self.filter) };
        let range = FlowRange { from, to, filter, scope, sites };
        let left = time_max.saturating_sub(self.deadline.elapsed());
        let taker = || Taker { state: make(), each: &each, deadline: Deadline::new(left, cancel.clone()), read };
        let (takers, scanned) = self.store.scan(&range, columns, threads, taker)?;
        self.read += scanned.records;
        self.ended_early |= takers.iter().any(|taker| taker.deadline.was_over());
        Ok(takers.into_iter().map(|taker| taker.state).collect())
    }
}

/// Rows between two looks at the clock: some hundred microseconds.
const STEP: usize = 8_192;

/// One thread's share.
struct Taker<'w, S, F> {
    state: S,
    each: &'w F,
    deadline: Deadline,
    read: &'w AtomicU64,
}

impl<S: Send, F: Fn(&mut S, &Chunk<'_>, &Deadline) -> ControlFlow<()> + Sync> Worker for Taker<'_, S, F> {
    fn chunk(&mut self, chunk: &Chunk<'_>) -> ControlFlow<()> {
        self.read.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        if self.deadline.is_over() {
            return ControlFlow::Break(());
        }
        (self.each)(&mut self.state, chunk, &self.deadline)
    }
}

//! The store's place in the pipeline: takes flows from the batches, keeps them visible, and writes a file when
//! its five minutes are over, when many are open, or when asked to.

use std::sync::Arc;

use super::{FlowStore, WINDOW_MILLIS, window_start};
use crate::flow::FlowRecord;
use crate::frame::Seq;
use crate::pipeline::{Batch, Consumer};
use crate::time::Timestamp;

/// Records open at most. They take about 200 bytes each, so 40 MB, and as a file 4 MB. 600 sites send about as
/// many in five quiet minutes; more of them make more files, not more memory.
const OPEN_RECORDS_MAX: usize = 200_000;
/// A receipt so far before the open window means that the clock was set back, not that data waited.
const CLOCK_BACK_MILLIS: i64 = Timestamp::HOUR;
/// Where no flows come, the cursor moves only so often: each time costs a sync, and a restart reads again no
/// more than this.
const CURSOR_MILLIS: i64 = Timestamp::MINUTE;

/// Writes the flow store.
#[derive(Debug)]
pub struct FlowConsumer {
    store: Arc<FlowStore>,
    /// The last sequence whose flows are visible; at or ahead of the cursor.
    applied: Seq,
    open_records: usize,
    /// Start of the open records' window.
    window: i64,
    cursor_moved_at: Timestamp,
}

impl FlowConsumer {
    /// The consumer of a store; there is one.
    pub fn new(store: Arc<FlowStore>) -> Self {
        let applied = store.cursor();
        Self { store, applied, open_records: 0, window: 0, cursor_moved_at: Timestamp(0) }
    }

    /// Whether the open records must be written before `next` may join them.
    fn full_before(&self, next: &FlowRecord) -> bool {
        self.open_records > 0 && (self.open_records >= OPEN_RECORDS_MAX || self.outside(next.received_at))
    }

    /// Whether a moment is behind the open window, or so far before it that the clock was set back.
    fn outside(&self, at: Timestamp) -> bool {
        at.0 >= self.window.saturating_add(WINDOW_MILLIS) || at.0 < self.window.saturating_sub(CLOCK_BACK_MILLIS)
    }

    fn write(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.store.write(self.applied)?;
        self.open_records = 0;
        Ok(())
    }
}

impl Consumer for FlowConsumer {
    fn name(&self) -> &'static str {
        "flows"
    }

    fn cursor(&self) -> Seq {
        self.store.cursor()
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let known = batch.flows.partition_point(|flow| flow.seq <= self.applied);
        let (_, fresh) = batch.flows.split_at_checked(known).unwrap_or_default();
        // A datagram's flows go into one file: its sequence is in it or it is not.
        let (mut begin, mut end) = (0, 0);
        for datagram in fresh.chunk_by(|a, b| a.seq == b.seq) {
            let Some(first) = datagram.first() else { continue };
            if self.full_before(first) {
                self.store.add(fresh.get(begin..end).unwrap_or_default());
                begin = end;
                self.write()?;
            }
            if self.open_records == 0 {
                self.window = window_start(first.received_at);
            }
            end += datagram.len();
            self.open_records += datagram.len();
            self.applied = first.seq;
        }
        self.store.add(fresh.get(begin..end).unwrap_or_default());
        self.applied = self.applied.max(batch.last);
        Ok(())
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let due = if self.open_records > 0 {
            self.outside(now)
        } else {
            self.applied > self.cursor() && now.since(self.cursor_moved_at).abs() >= CURSOR_MILLIS
        };
        if due {
            self.cursor_moved_at = now;
            self.write()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.write()
    }
}

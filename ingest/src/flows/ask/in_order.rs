//! All flows that match, the earliest receipt first, whatever their number: stretch by stretch, each in memory at once. What
//! is to be judged again needs them as they came.

use std::ops::ControlFlow;

use super::FlowQuestion;
use super::walk::Walk;
use crate::flow::FlowRecord;
use crate::flows::column::ColumnSet;
use crate::flows::{FlowStore, FlowStoreError};
use crate::time::Timestamp;

/// How much is read at once: as much as three files of the intake hold.
const STRETCH_MILLIS: i64 = 15 * Timestamp::MINUTE;
/// A shorter one is not tried.
const STRETCH_MILLIS_MIN: i64 = Timestamp::SECOND;
/// Records of a stretch that one thread holds, some 50 MB; with more the stretch is read in parts.
const HELD_MAX: usize = 200_000;

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowsGiven {
    pub flows: u64,
    /// Looked at to find these.
    pub records_read: u64,
    /// The time was over, somebody ended it, or a second held more than there is room for.
    pub partial: bool,
}

impl FlowStore {
    /// Gives each flow that matches to `each`, those of a datagram in their order, until that breaks off.
    ///
    /// # Errors
    /// As `ask`.
    pub fn in_order(
        &self,
        question: &FlowQuestion<'_>,
        each: &mut dyn FnMut(&FlowRecord) -> ControlFlow<()>,
    ) -> Result<FlowsGiven, FlowStoreError> {
        let mut walk = Walk::new(self, question);
        let mut given = FlowsGiven::default();
        let (oldest, newest) = self.received_span();
        let (mut start, end) = (question.from.max(oldest), question.to.min(newest.plus(1)));
        let mut length = STRETCH_MILLIS;
        while start < end && !walk.is_over() {
            let until = start.plus(length).min(end);
            let parts = walk.over((start, until), ColumnSet::ALL, Vec::new, |held: &mut Vec<FlowRecord>, flow| {
                held.push(*flow);
                if held.len() > HELD_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if parts.iter().any(|held| held.len() > HELD_MAX) {
                if length > STRETCH_MILLIS_MIN {
                    length = (length / 8).max(STRETCH_MILLIS_MIN);
                    continue;
                }
                given.partial = true;
            }
            let mut flows: Vec<FlowRecord> = parts.into_iter().flatten().collect();
            // Stable: of one datagram they stay as they are.
            flows.sort_by_key(|flow| (flow.received_at, flow.seq));
            for flow in &flows {
                given.flows += 1;
                if each(flow).is_break() {
                    given.records_read = walk.done().read;
                    return Ok(given);
                }
            }
            (start, length) = (until, length.saturating_mul(2).min(STRETCH_MILLIS));
        }
        let done = walk.done();
        (given.records_read, given.partial) = (done.read, given.partial || done.ended_early);
        Ok(given)
    }
}

//! Single flows, the newest receipt first, page by page. A page ends with a whole datagram, so that a cursor is a datagram
//! and no flow is shown twice or left out, whatever order a file keeps its rows in.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;
use std::time::Duration;

use super::FlowQuestion;
use super::walk::Walk;
use crate::flow::FlowRecord;
use crate::flows::column::ColumnSet;
use crate::flows::{FlowStore, FlowStoreError};
use crate::frame::Seq;
use crate::time::Timestamp;

/// Flows of a page; one datagram more may hang on.
const PAGE_MAX: usize = 10_000;
/// The first stretch that is looked at from the end on; each further one is four times as long.
const STRETCH_MILLIS: i64 = 5 * Timestamp::MINUTE;

/// The last datagram of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowCursor {
    received_at: Timestamp,
    seq: Seq,
}

impl fmt::Display for FlowCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.received_at.0, self.seq.0)
    }
}

/// A text that is no cursor.
#[derive(Debug, thiserror::Error)]
#[error("not a cursor (such as 1795262527000-42)")]
pub struct FlowCursorError;

impl FromStr for FlowCursor {
    type Err = FlowCursorError;
    fn from_str(text: &str) -> Result<Self, FlowCursorError> {
        let (at, seq) = text.rsplit_once('-').ok_or(FlowCursorError)?;
        let (at, seq) = (at.parse().map_err(|_| FlowCursorError)?, seq.parse().map_err(|_| FlowCursorError)?);
        Ok(Self { received_at: Timestamp(at), seq: Seq(seq) })
    }
}

/// Some flows.
#[derive(Clone, Debug, Default)]
pub struct FlowPage {
    pub flows: Vec<FlowRecord>,
    /// Where the next page begins; `None` where there is none.
    pub next: Option<FlowCursor>,
    pub records_read: u64,
    pub took: Duration,
    /// The time was over before the page was full.
    pub partial: bool,
}

impl FlowStore {
    /// The flows behind a cursor.
    ///
    /// # Errors
    /// As `ask`.
    pub fn page(&self, question: &FlowQuestion<'_>, before: Option<FlowCursor>, limit: usize) -> Result<FlowPage, FlowStoreError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut walk = Walk::new(self, question);
        let mut found = Held { limit, ..Held::default() };
        let (oldest, newest) = self.received_span();
        let from = question.from.max(oldest);
        let mut end = question.to.min(newest.plus(1)).min(before.map_or(question.to, |cursor| cursor.received_at.plus(1)));
        let mut length = STRETCH_MILLIS;
        while end > from && found.rows < limit && !walk.is_over() {
            let start = end.plus(-length).max(from);
            let make = || Held { limit, ..Held::default() };
            let parts = walk.over((start, end), ColumnSet::ALL, make, |held, flow| {
                let cursor = FlowCursor { received_at: flow.received_at, seq: flow.seq };
                if before.is_none_or(|before| cursor < before) {
                    held.add(cursor, *flow);
                }
                ControlFlow::Continue(())
            })?;
            parts.into_iter().for_each(|part| found.merge(part));
            (end, length) = (start, length.saturating_mul(4));
        }
        let done = walk.done();
        let last = found.datagrams.first_key_value().map(|(cursor, _)| *cursor);
        let flows: Vec<FlowRecord> = found.datagrams.into_values().rev().flatten().collect();
        // Whether older ones match is found out by who goes on.
        let next = last.filter(|_| found.more || end > from || done.ended_early);
        Ok(FlowPage { flows, next, records_read: done.read, took: done.took, partial: done.ended_early })
    }
}

/// The newest datagrams of what was seen: as few as fill a page.
#[derive(Default)]
struct Held {
    datagrams: BTreeMap<FlowCursor, Vec<FlowRecord>>,
    rows: usize,
    limit: usize,
    /// Older ones were let go.
    more: bool,
}

impl Held {
    fn add(&mut self, cursor: FlowCursor, flow: FlowRecord) {
        self.datagrams.entry(cursor).or_default().push(flow);
        self.rows += 1;
        // Without the oldest datagram the page is still full: it belongs to the next one.
        while let Some(first) = self.datagrams.first_entry().filter(|first| self.rows - first.get().len() >= self.limit) {
            self.rows -= first.remove().len();
            self.more = true;
        }
    }

    fn merge(&mut self, other: Self) {
        self.more |= other.more;
        other
            .datagrams
            .into_iter()
            .flat_map(|(cursor, flows)| flows.into_iter().map(move |flow| (cursor, flow)))
            .for_each(|(cursor, flow)| self.add(cursor, flow));
    }
}

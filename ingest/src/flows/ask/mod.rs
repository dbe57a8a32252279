//! Questions to the flow store: the pipe of our query language over flows (`ask`), what a page shows of a stretch of time
//! (`overview`), single flows page by page (`page`) and one connection's history (`conversation`).
//!
//! Every question demands the caller's scope and has a bound of time, groups and rows; what hits one says so. `walk` is the
//! one way to the records; the query is compiled (`super::filter`) once for each.

mod conversation;
mod in_order;
mod keys;
mod overview;
mod page;
mod rank;
mod table;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::body::SiteTable;
use crate::events::{Cancel, SEARCH_TIME_MAX};
use crate::flow::FlowRecord;
use crate::query::Query;
use crate::scope::Scope;
use crate::time::Timestamp;

pub use super::nfdump::nfdump_parse;
use super::value::{bytes_scaled, packets_scaled};
pub use conversation::{CONVERSATION_RECORDS_MAX, Conversation, Session, Tuple};
pub use in_order::FlowsGiven;
pub use overview::{Overview, OverviewRequest, OverviewRow, Path};
pub use page::{FlowCursor, FlowCursorError, FlowPage};
pub use table::FlowTable;
#[cfg(test)]
pub(super) use table::naive;

/// What is asked, of which time, and on whose behalf.
#[derive(Clone)]
pub struct FlowQuestion<'a> {
    pub query: &'a Query,
    /// Receipt from, included.
    pub from: Timestamp,
    /// Receipt to, excluded.
    pub to: Timestamp,
    pub scope: &'a Scope,
    pub sites: &'a SiteTable,
    /// How long it may take; what is reckoned until then is given, and said to be a part.
    pub time_max: Duration,
    /// Ends it at once.
    pub cancel: Cancel,
    /// Records looked at so far, for who watches meanwhile.
    pub read: Arc<AtomicU64>,
}

impl<'a> FlowQuestion<'a> {
    /// Of all time, in the time that a page has.
    pub fn new(query: &'a Query, scope: &'a Scope, sites: &'a SiteTable) -> Self {
        let (from, to) = (Timestamp(i64::MIN), Timestamp(i64::MAX));
        Self { query, from, to, scope, sites, time_max: SEARCH_TIME_MAX, cancel: Cancel::default(), read: Arc::default() }
    }
}

/// What flows come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sums {
    pub flows: u64,
    /// As exported.
    pub bytes: u64,
    pub packets: u64,
    /// Times the sampling rate: about what went by.
    pub bytes_scaled: u64,
    pub packets_scaled: u64,
    /// The earliest start and the latest end, in the exporters' time.
    pub first: Timestamp,
    pub last: Timestamp,
}

impl Default for Sums {
    fn default() -> Self {
        Self::NONE
    }
}

impl Sums {
    /// Of no flow.
    pub const NONE: Self =
        Self { flows: 0, bytes: 0, packets: 0, bytes_scaled: 0, packets_scaled: 0, first: Timestamp(i64::MAX), last: Timestamp(i64::MIN) };

    pub fn add(&mut self, flow: &FlowRecord) {
        self.flows += 1;
        self.bytes = self.bytes.saturating_add(flow.bytes);
        self.packets = self.packets.saturating_add(flow.packets);
        self.bytes_scaled = self.bytes_scaled.saturating_add(bytes_scaled(flow));
        self.packets_scaled = self.packets_scaled.saturating_add(packets_scaled(flow));
        self.first = self.first.min(flow.start);
        self.last = self.last.max(flow.end);
    }

    pub fn merge(&mut self, other: &Self) {
        self.flows += other.flows;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes_scaled = self.bytes_scaled.saturating_add(other.bytes_scaled);
        self.packets_scaled = self.packets_scaled.saturating_add(other.packets_scaled);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    pub fn of(&self, amount: Amount) -> u64 {
        match amount {
            Amount::Bytes => self.bytes,
            Amount::Packets => self.packets,
            Amount::Flows => self.flows,
            Amount::BytesScaled => self.bytes_scaled,
            Amount::PacketsScaled => self.packets_scaled,
        }
    }

    /// Whether something in it was sampled.
    pub fn is_sampled(&self) -> bool {
        self.bytes != self.bytes_scaled || self.packets != self.packets_scaled
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    Bytes,
    Packets,
    Flows,
    BytesScaled,
    PacketsScaled,
}

impl Amount {
    pub const ALL: [Self; 5] = [Self::Bytes, Self::Packets, Self::Flows, Self::BytesScaled, Self::PacketsScaled];

    /// What a flow adds to it.
    pub fn of_flow(self, flow: &FlowRecord) -> u64 {
        match self {
            Self::Bytes => flow.bytes,
            Self::Packets => flow.packets,
            Self::Flows => 1,
            Self::BytesScaled => bytes_scaled(flow),
            Self::PacketsScaled => packets_scaled(flow),
        }
    }
}

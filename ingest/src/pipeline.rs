//! The way from the journal to the stores and the rules: one thread reads and decodes, each consumer applies the
//! batches on a thread of its own and keeps its own durable cursor. Delivery is at least once from the lowest
//! cursor; a consumer skips what it already has, so that effects happen once.

use std::sync::Arc;

use crate::body::SiteTable;
use crate::event::Event;
use crate::flow::FlowRecord;
use crate::frame::{Frame, Seq};
use crate::time::Timestamp;

/// What came of a stretch of the journal, decoded once for all consumers.
#[derive(Debug, Default)]
pub struct Batch {
    /// First and last journal sequence of the stretch; every frame in between is accounted for in it.
    pub first: Seq,
    pub last: Seq,
    /// In journal order; `seq` strictly rises over events (one frame, at most one event).
    pub events: Vec<Event>,
    /// In journal order; one frame may carry many flows, all with its `seq`.
    pub flows: Vec<FlowRecord>,
    /// The frames themselves, for consumers that count them or read import marks.
    pub frames: Vec<Frame>,
    /// The sites as they were when the stretch was decoded.
    pub sites: Arc<SiteTable>,
}

/// Why a consumer could not apply a batch; the pipeline stops it and says so, the journal keeps its data.
#[derive(Debug, thiserror::Error)]
#[error("{consumer} stopped at sequence {}", seq.0)]
pub struct ConsumerError {
    pub consumer: &'static str,
    pub seq: Seq,
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Something downstream of the journal: the event store, the flow store, the rules, the source statistics.
pub trait Consumer: Send {
    fn name(&self) -> &'static str;

    /// The last sequence whose effects are durable; reading resumes behind it after a restart.
    fn cursor(&self) -> Seq;

    /// Applies a batch. Must skip everything at or below its cursor (a batch may straddle it). When this
    /// returns, the effects are visible to queries; they need not be durable yet.
    ///
    /// # Errors
    /// Where the effects cannot be had: disk, database. Hostile content is never an error.
    fn apply(&mut self, batch: &Batch) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

    /// Called about once a second, also when nothing comes: the place for flushing by age.
    ///
    /// # Errors
    /// As `apply`.
    fn tick(&mut self, now: Timestamp) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

    /// Makes everything applied so far durable and moves the cursor to it.
    ///
    /// # Errors
    /// As `apply`.
    fn flush(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

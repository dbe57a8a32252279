//! Detectors over flow records: what a single record does not tell and a correlation of rules cannot count, in constant
//! memory. This file is the seam: what a detector is, what it gets and what it says. `detectors` holds them all,
//! `consumer` runs them; each judges in a file of its own and reads no clock, no file and no random number.

mod across;
mod beacon;
mod book;
mod brute;
pub mod consumer;
mod detectors;
mod dns_tunnel;
mod exfiltration;
mod first;
mod indicator;
mod lateral;
mod learning;
pub mod networks;
mod parameters;
mod quantiles;
pub mod retro;
mod scan;
mod snapshot;
pub mod table;
mod volume;
pub mod wire;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod traffic;

use std::collections::BTreeMap;

use ingest::body::{BodyId, SiteId};
use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::time::Timestamp;

pub use detectors::{Board, DetectorHealth, Detectors, Health};
pub use parameters::{ParameterError, Parameters, SHIPPED_FILE, Section, Sheet};

pub use crate::finding::EVIDENCE_MAX;
use crate::finding::Entity;
pub(crate) use crate::finding::Reason;
pub(crate) use crate::finding::Share;
use crate::intel::SharedIndicators;

/// One detector. Its findings depend on the records it saw in journal order and on nothing else: no clock, no file, no
/// random number. Windows are cut by the records' own times (an import brings a day within a second of receipt).
pub trait Detector: Send {
    /// The rule's `name`, which is its section in rules/flow/detectors.toml.
    fn name(&self) -> &'static str;
    /// Judges one record. `seen` is what was worked out once for all detectors.
    fn observe(&mut self, flow: &FlowRecord, seen: &Seen, found: &mut Vec<Detection>);
    /// About once a minute of receipt, and at the end of an import with an hour added: windows close, what is old is
    /// forgotten. `now` is a time of receipt; the records may be much older.
    fn settle(&mut self, now: Timestamp, found: &mut Vec<Detection>);
    /// The whole state between two records (own bytes, see `wire`; versioned by its first byte).
    fn save(&self) -> Vec<u8>;
    /// Goes on from a saved state; it was saved under the same parameters, the frame sees to that.
    ///
    /// # Errors
    /// Where the bytes are of another version or damaged; the detector then begins anew.
    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError>;
    /// Memory of the state now, bytes (an upper estimate), and whether something was dropped because of the bound.
    fn footprint(&self) -> Footprint;
    /// What another detector has just found at a body, for one that looks over all of them.
    fn hear(&mut self, _detection: &Detection, _body: BodyId, _found: &mut Vec<Detection>) {}
    /// The lists in force, for a detector that asks them.
    fn indicators(&mut self, _shared: &SharedIndicators) {}
    /// Whether a 1-in-n sampled exporter's records can be judged; if not, they are left out and the page says so.
    fn allows_sampling(&self) -> bool;
}

/// What was worked out of a record once for all detectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whose site it is.
    pub body: Option<BodyId>,
    /// Whether the address belongs to the own networks (see `networks`).
    pub src_inside: bool,
    pub dst_inside: bool,
    /// The source began the conversation, as far as ports, flags and biflow say.
    pub initiator: bool,
    /// Bytes and packets times the sampling rate.
    pub bytes: u64,
    pub packets: u64,
    /// When it was: the last packet by the exporter's clock, or the receipt where that clock cannot be right.
    pub at: Timestamp,
}

/// What a detector says when it has found something; becomes a `Finding` of its rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// The rule it is of: the detector's name, or a section that says `of = "…"` it.
    pub rule: &'static str,
    pub site: SiteId,
    /// `None` where the detector does not remember: then it is the site's.
    pub body: Option<BodyId>,
    pub entity: Entity,
    /// Field name (`source.ip`) to values.
    pub observables: BTreeMap<&'static str, Vec<String>>,
    /// Time of the first and the last record that took part.
    pub first: Timestamp,
    pub last: Timestamp,
    /// Receipt of the record that completed it.
    pub detected_at: Timestamp,
    /// Journal sequences of flows (at most `EVIDENCE_MAX`), and how many took part.
    pub evidence: Vec<Seq>,
    pub records: u64,
    /// The figures that decided, each with the threshold it passed; a person must be able to check the reasoning.
    pub reasons: Vec<Reason>,
    /// What took part at which body, of what is the state's (`across`).
    pub shares: Vec<Share>,
}

/// How much a detector holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// An upper estimate of the state's memory now.
    pub bytes: usize,
    /// What it may hold at most; the adversary's tests hold it to this.
    pub bytes_max: usize,
    /// Hosts, pairs or whatever it keeps one entry for.
    pub entries: usize,
    /// Entries that were dropped before their time because of the bound: above zero something may have been missed.
    pub dropped: u64,
}

/// A saved state that cannot be gone on from.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RestoreError {
    #[error("the saved state is of version {0}, which this program does not read")]
    Version(u8),
    #[error("the saved state is damaged: {0}")]
    Damaged(&'static str),
}

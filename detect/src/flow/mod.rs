//! Detectors over flow records: what a single record does not tell and a correlation of rules cannot count, in constant
//! memory. This file is the seam: what a detector is, what it gets and what it says. `detectors` holds them all,
//! `consumer` runs them; each judges in a file of its own and reads no clock, no file and no random number.

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
mod say;
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

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;

use ingest::body::{BodyId, SiteId};
use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use detectors::{Board, DetectorHealth, Detectors, Health};
pub use parameters::{ParameterError, Parameters, SHIPPED_FILE, Section, Sheet};

pub use crate::finding::EVIDENCE_MAX;
use crate::finding::Entity;
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
}

/// A figure that decided, with the threshold it passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// German, as a rule's title is (`Verschiedene Ziele`).
    pub name: Cow<'static, str>,
    /// With their unit, as a person reads them (`312`, `4,2 GB`).
    pub value: String,
    /// With its direction (`ab 50`, `höchstens 3`); empty for what only explains.
    pub threshold: String,
}

impl Reason {
    pub fn new(name: &'static str, value: impl Display, threshold: impl Display) -> Self {
        Self { name: Cow::Borrowed(name), value: value.to_string(), threshold: threshold.to_string() }
    }
}

/// A stretch of time as a person reads it: `90 s`, `4 min`, `26 h`, `12 Tage`.
pub(crate) fn duration(millis: i64) -> String {
    match millis.max(0) {
        millis if millis < 2 * Timestamp::MINUTE => format!("{} s", (millis + 500) / Timestamp::SECOND),
        millis if millis < 2 * Timestamp::HOUR => format!("{} min", millis / Timestamp::MINUTE),
        millis if millis < 3 * Timestamp::DAY => format!("{} h", millis / Timestamp::HOUR),
        millis => format!("{} Tage", millis / Timestamp::DAY),
    }
}

/// An amount with its unit in thousands, as Germans write it: `4,2 GB`, `1,3 Mio.`.
pub(crate) fn amount(value: f64, unit: &str) -> String {
    let steps = if unit.is_empty() { ["", "Tsd.", "Mio.", "Mrd."] } else { ["", "k", "M", "G"] };
    let mut value = value;
    let mut step = "";
    for next in steps {
        step = next;
        if value < 1_000.0 || next == steps.last().copied().unwrap_or_default() {
            break;
        }
        value /= 1_000.0;
    }
    let number = if value < 10.0 && !step.is_empty() { format!("{value:.1}").replace('.', ",") } else { format!("{value:.0}") };
    let shown = format!("{step}{unit}");
    if shown.is_empty() { number } else { format!("{number} {shown}") }
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

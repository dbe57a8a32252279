//! NetFlow v5 and v9: datagrams to flow records. Holds what v9 needs from one datagram to the next: templates,
//! sampling rates, and the data that came before its template.
//!
//! **Order.** Data that waited gets the sequence of the datagram that brought its template, and keeps its own
//! time of receipt: every record carries a sequence at or above all earlier ones, so that a consumer's cursor
//! never passes a record that is still to come.
//!
//! **Replay.** Decoding is a function of the state and the datagram. `snapshot` is the whole state, the waiting
//! data included, as it was after the sequence `position`; whoever restores it and decodes on from the sequence
//! behind it gets the same records with the same sequences again. Whoever decodes on from an earlier one doubles
//! nothing that waits, but data whose template the snapshot knows by now gets its own sequence, not the template's:
//! so take the snapshot when the consumers have flushed, and read on behind it.
//!
//! IPFIX (version 10) and sFlow are named as what they are and not decoded here.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::template::{Exporters, Origin, Template, TemplateField};
use super::{FlowRecord, v5, v9};
use crate::body::SiteId;
use crate::frame::{Frame, FrameKind, Seq};
use crate::time::Timestamp;

/// Data sets that wait for their template: after a restart of everything each of 600 exporters may send for
/// some minutes before it repeats its templates. The oldest are given up first.
const WAITING_BYTES_MAX: usize = 4 << 20;
const WAITING_SETS_MAX: usize = 8_192;

/// What can be wrong with a datagram. The records that could be read are there all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowDefect {
    /// Neither v5 nor v9.
    UnknownVersion,
    /// It ends within a header, a set or a record.
    Truncated,
    /// The header announces no records, or more than the version allows; or templates make too many of them.
    RecordCount,
    TrailingBytes,
    /// A set with an id that v9 does not define.
    UnknownSet,
    /// A template that cannot be read.
    Template,
    TemplateEmpty,
    TemplateTooLong,
    /// A known element with a length that it cannot have; it is skipped.
    FieldLength,
    /// A moment that cannot be, or an end before the start.
    Time,
    /// Records with neither addresses nor counters.
    NoTraffic,
}

impl FlowDefect {
    pub const ALL: [Self; 11] = [
        Self::UnknownVersion,
        Self::Truncated,
        Self::RecordCount,
        Self::TrailingBytes,
        Self::UnknownSet,
        Self::Template,
        Self::TemplateEmpty,
        Self::TemplateTooLong,
        Self::FieldLength,
        Self::Time,
        Self::NoTraffic,
    ];

    /// The stable name in counters and in `decode --json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownVersion => "unknown_version",
            Self::Truncated => "truncated",
            Self::RecordCount => "record_count",
            Self::TrailingBytes => "trailing_bytes",
            Self::UnknownSet => "unknown_set",
            Self::Template => "bad_template",
            Self::TemplateEmpty => "template_empty",
            Self::TemplateTooLong => "template_too_long",
            Self::FieldLength => "field_length",
            Self::Time => "bad_time",
            Self::NoTraffic => "no_traffic",
        }
    }
}

/// A set of defects.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowDefects(u32);

impl FlowDefects {
    pub fn add(&mut self, defect: FlowDefect) {
        self.0 |= 1 << defect as u8;
    }

    pub fn contains(self, defect: FlowDefect) -> bool {
        self.0 & (1 << defect as u8) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = FlowDefect> {
        FlowDefect::ALL.into_iter().filter(move |defect| self.contains(*defect))
    }
}

impl fmt::Debug for FlowDefects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(FlowDefect::name)).finish()
    }
}

/// What became of one datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowReport {
    /// As the datagram says, also where it is none of ours (10 is IPFIX).
    pub version: u16,
    /// Flow records appended, the late ones among them.
    pub records: usize,
    /// Of these, records that had waited for a template which this datagram brought.
    pub late: usize,
    /// Records about the exporter itself (sampling rates, interface names).
    pub options: usize,
    /// Templates that were new or changed.
    pub templates: usize,
    /// Records that were announced or there but could not become flows.
    pub skipped: usize,
    /// Data sets of this datagram that now wait for their template.
    pub sets_waiting: usize,
    /// Data sets, also of earlier datagrams, that were given up because too many wait.
    pub sets_lost: usize,
    pub defects: FlowDefects,
}

/// Decodes datagrams of all exporters.
#[derive(Debug, Default)]
pub struct NetflowDecoder {
    exporters: Exporters,
    waiting: Waiting,
    position: Seq,
    /// The restored snapshot's position: what waited up to there is in it already.
    restored: Seq,
}

impl NetflowDecoder {
    /// Decodes one datagram, appends its records, and says what came of it. Frames of other kinds are nothing.
    pub fn decode(&mut self, frame: &Frame, out: &mut Vec<FlowRecord>) -> FlowReport {
        let mut report = FlowReport::default();
        self.position = self.position.max(frame.seq);
        if frame.frame.kind != FrameKind::Flow {
            return report;
        }
        let Some(version) = frame.frame.payload.first_chunk() else {
            report.defects.add(FlowDefect::Truncated);
            return report;
        };
        report.version = u16::from_be_bytes(*version);
        match report.version {
            5 => v5::decode(frame, out, &mut report),
            9 => self.decode_v9(frame, out, &mut report),
            _ => report.defects.add(FlowDefect::UnknownVersion),
        }
        report
    }

    fn decode_v9(&mut self, frame: &Frame, out: &mut Vec<FlowRecord>, report: &mut FlowReport) {
        let Ok((rest, header)) = v9::header(frame) else {
            report.defects.add(FlowDefect::Truncated);
            return;
        };
        let brought = v9::decode(&mut self.exporters, &header, rest, out, report);
        let exporter = header.origin.exporter;
        let orphans = if frame.seq <= self.restored { Vec::new() } else { brought.orphans };
        for (key, body) in orphans {
            // A template further back in the same datagram serves what stood before it, too.
            report.sets_lost += self.waiting.push((exporter, key.0, key.1), &header.origin, body);
            report.sets_waiting += 1;
        }
        for key in brought.templates {
            self.decode_waiting((exporter, key.0, key.1), frame.seq, out, report);
        }
    }

    /// Decodes what waited for a template that the datagram `seq` brought.
    fn decode_waiting(&mut self, key: WaitingKey, seq: Seq, out: &mut Vec<FlowRecord>, report: &mut FlowReport) {
        for set in self.waiting.take(&key) {
            // A flood of templates may have pushed this one out already.
            let known = self.exporters.get(key.0).filter(|exporter| exporter.templates.contains_key(&(key.1, key.2)));
            let Some(exporter) = known else {
                report.sets_lost += 1;
                continue;
            };
            let origin = Origin { seq, ..set.origin };
            let mut late = FlowReport::default();
            let rates = v9::data_set(exporter, (key.1, key.2), &set.body, &origin, out, &mut late);
            for (sampler, rate) in rates {
                self.exporters.sampler_set(key.0, (key.1, sampler), rate);
            }
            report.records += late.records;
            report.late += late.records;
            report.options += late.options;
            report.skipped += late.skipped;
            report.defects.0 |= late.defects.0;
            // Only what this very datagram had put aside is not waiting any more in its own report.
            if set.origin.seq == seq {
                report.sets_waiting = report.sets_waiting.saturating_sub(1);
                report.late = report.late.saturating_sub(late.records);
            }
        }
    }

    /// The sequence of the last frame seen.
    pub fn position(&self) -> Seq {
        self.position
    }

    /// Templates, sampling rates and waiting data as a JSON value.
    pub fn snapshot(&self) -> serde_json::Value {
        let mut snapshot = Snapshot { format: SNAPSHOT_FORMAT, position: self.position, ..Snapshot::default() };
        for (address, exporter) in self.exporters.sorted() {
            let templates = exporter.templates.iter().map(|((source, id), template)| TemplateEntry {
                source: *source,
                id: *id,
                scope: template.scope,
                fields: template.fields.iter().map(|field| (field.element, field.len)).collect(),
            });
            let samplers = exporter.samplers.iter().map(|((source, sampler), rate)| (*source, *sampler, *rate));
            snapshot.exporters.push(ExporterEntry { address, templates: templates.collect(), samplers: samplers.collect() });
        }
        snapshot.waiting = self.waiting.sets.values().map(WaitingEntry::from_set).collect();
        serde_json::to_value(&snapshot).unwrap_or_default()
    }

    /// Takes up a snapshot; one of another format, or none, leaves the decoder as it is. Everything passes the
    /// same bounds as what comes from the network.
    pub fn restore(&mut self, value: &serde_json::Value) {
        let Ok(snapshot) = Snapshot::deserialize(value) else { return };
        if snapshot.format != SNAPSHOT_FORMAT {
            return;
        }
        self.position = self.position.max(snapshot.position);
        self.restored = self.position;
        for exporter in snapshot.exporters {
            for entry in exporter.templates {
                let fields = entry.fields.into_iter().map(|(element, len)| TemplateField { element, len }).collect();
                if let Ok(template) = Template::compile(fields, entry.scope) {
                    self.exporters.template_set(exporter.address, (entry.source, entry.id), template);
                }
            }
            for (source, sampler, rate) in exporter.samplers {
                self.exporters.sampler_set(exporter.address, (source, sampler), rate);
            }
        }
        for entry in snapshot.waiting {
            if let Some((key, origin, body)) = entry.into_set() {
                self.waiting.push(key, &origin, &body);
            }
        }
    }
}

/// Exporter, source id, template id.
type WaitingKey = (IpAddr, u32, u16);

/// Data sets without template, oldest first, within their bounds.
#[derive(Debug, Default)]
struct Waiting {
    sets: BTreeMap<u64, WaitingSet>,
    by_key: HashMap<WaitingKey, VecDeque<u64>>,
    tick: u64,
    bytes: usize,
}

#[derive(Debug)]
struct WaitingSet {
    key: WaitingKey,
    origin: Origin,
    body: Box<[u8]>,
}

impl Waiting {
    /// Keeps a set, and returns how many had to go for it.
    fn push(&mut self, key: WaitingKey, origin: &Origin, body: &[u8]) -> usize {
        self.tick += 1;
        self.by_key.entry(key).or_default().push_back(self.tick);
        self.bytes += body.len();
        self.sets.insert(self.tick, WaitingSet { key, origin: *origin, body: body.into() });
        let mut lost = 0;
        while self.bytes > WAITING_BYTES_MAX || self.sets.len() > WAITING_SETS_MAX {
            let Some((_, set)) = self.sets.pop_first() else { break };
            self.bytes = self.bytes.saturating_sub(set.body.len());
            if let Some(ids) = self.by_key.get_mut(&set.key) {
                // The oldest of all is the oldest of its key.
                ids.pop_front();
                if ids.is_empty() {
                    self.by_key.remove(&set.key);
                }
            }
            lost += 1;
        }
        lost
    }

    /// Takes out what waits for a template, oldest first.
    fn take(&mut self, key: &WaitingKey) -> Vec<WaitingSet> {
        let ids = self.by_key.remove(key).unwrap_or_default();
        let sets: Vec<WaitingSet> = ids.iter().filter_map(|id| self.sets.remove(id)).collect();
        self.bytes = self.bytes.saturating_sub(sets.iter().map(|set| set.body.len()).sum());
        sets
    }
}

/// The format of the snapshot; another one is not read, and the templates come again from the exporters.
const SNAPSHOT_FORMAT: u32 = 1;

#[derive(Default, Serialize, Deserialize)]
struct Snapshot {
    format: u32,
    position: Seq,
    exporters: Vec<ExporterEntry>,
    waiting: Vec<WaitingEntry>,
}

#[derive(Serialize, Deserialize)]
struct ExporterEntry {
    address: IpAddr,
    templates: Vec<TemplateEntry>,
    /// Source id, sampler, rate.
    samplers: Vec<(u32, Option<u64>, u32)>,
}

#[derive(Serialize, Deserialize)]
struct TemplateEntry {
    source: u32,
    id: u16,
    scope: Option<usize>,
    /// Element and length.
    fields: Vec<(u16, u16)>,
}

#[derive(Serialize, Deserialize)]
struct WaitingEntry {
    exporter: IpAddr,
    source: u32,
    template: u16,
    seq: Seq,
    received_at: Timestamp,
    site: SiteId,
    export_at: Timestamp,
    uptime: u32,
    /// The set's body in hexadecimal.
    body: String,
}

impl WaitingEntry {
    fn from_set(set: &WaitingSet) -> Self {
        Self {
            exporter: set.key.0,
            source: set.key.1,
            template: set.key.2,
            seq: set.origin.seq,
            received_at: set.origin.received_at,
            site: set.origin.site,
            export_at: set.origin.export_at,
            uptime: set.origin.uptime,
            body: set.body.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|n| char::from_digit(n.into(), 16)).collect(),
        }
    }

    fn into_set(self) -> Option<(WaitingKey, Origin, Vec<u8>)> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (pairs, rest) = self.body.as_bytes().as_chunks::<2>();
        let body: Option<Vec<u8>> = pairs.iter().map(|[a, b]| Some(digit(*a)? << 4 | digit(*b)?)).collect();
        let origin = Origin {
            seq: self.seq,
            received_at: self.received_at,
            site: self.site,
            exporter: self.exporter,
            version: 9,
            export_at: self.export_at,
            uptime: self.uptime,
        };
        body.filter(|_| rest.is_empty()).map(|body| ((self.exporter, self.source, self.template), origin, body))
    }
}

#[cfg(test)]
mod tests;

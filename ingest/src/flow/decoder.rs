//! Datagrams of all exporters to flow records: NetFlow v5 and v9, IPFIX, sFlow v5. Holds what is needed from one datagram to
//! the next: templates, sampling rates, the data that came before its template, and the counts of what came and what did not.
//!
//! **Order.** Data that waited gets the sequence of the datagram that brought its template, and keeps its own
//! time of receipt: every record carries a sequence at or above all earlier ones, so that a consumer's cursor
//! never passes a record that is still to come.
//!
//! **Replay.** Decoding is a function of the state and the datagram. `snapshot` is the whole state, the waiting
//! data included, as it was after the sequence `position`; whoever restores it and decodes on from the sequence
//! behind it gets the same records with the same sequences again. Whoever decodes on from an earlier one doubles
//! nothing that waits or is counted, but data whose template the snapshot knows by now gets its own sequence, not the
//! template's: so take the snapshot when the consumers have flushed, and read on behind it.

use super::account::{FlowAccounts, Heard, StreamKey};
use super::defect::{FlowDefect, FlowDefects};
use super::drops::Drops;
use super::exporters::{Exporters, TemplateKey};
use super::sampling::SamplingTable;
use super::sets::{self, IPFIX, V9};
use super::template::{Origin, TemplateField};
use super::waiting::{Waiting, WaitingKey};
use super::{FlowRecord, sflow, v5};
use crate::frame::{Frame, FrameKind, NewFrame, Seq};

/// What `memory_bytes` never exceeds: 16 MiB of templates and rates and one exporter's share more, 8 MiB of data that waits,
/// 6 MiB of accounts, 3 MiB of sFlow's data sources. A flood of forged datagrams fills it and no more.
pub const MEMORY_BYTES_MAX: usize = 36 << 20;
/// Records that one datagram's template may call up of those that waited: all that usually waits at once. Shorter ones than
/// any exporter sends would make a thousand times their bytes of it.
const CALLED_UP_MAX: usize = 65_536;

/// What became of one datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowReport {
    /// As the datagram says (5, 9, 10 for IPFIX), also where it is none of ours; `SFLOW` for sFlow.
    pub version: u16,
    /// Flow records appended, the late ones among them.
    pub records: usize,
    /// Of these, the second direction of records that tell of both.
    pub back: usize,
    /// Of these, records that had waited for a template which this datagram brought.
    pub late: usize,
    /// Records about the exporter itself (sampling rates, interface names).
    pub options: usize,
    /// sFlow: samples of an interface's counters.
    pub counters: usize,
    /// Templates that were new or changed.
    pub templates: usize,
    /// Templates that the exporter took back, which it may over TCP only.
    pub withdrawn: usize,
    /// Records that were announced or there but could not become flows.
    pub skipped: usize,
    /// Data sets of this datagram that now wait for their template.
    pub sets_waiting: usize,
    /// Data sets of this stream, also of earlier datagrams, that were given up: too many wait, or this one waited too long.
    pub sets_lost: usize,
    /// sFlow: by how much more packets the exporter could not sample, as it counts them; less where it began anew.
    pub dropped_by_exporter: i64,
    /// The sampling of its last flow; 0 without flows.
    pub sampling: u32,
    /// Data records in the datagram itself, as its sequence number counts them.
    pub(super) own: usize,
    /// How many these are cannot be said.
    pub(super) unsure: bool,
    /// Sum of what flows waited for their export, in milliseconds, and over how many.
    pub(super) delay_ms: (i64, i64),
    pub defects: FlowDefects,
}

impl FlowReport {
    pub(super) fn flow(&mut self, origin: &Origin, record: &FlowRecord) {
        let (sum, count) = self.delay_ms;
        self.delay_ms = (sum.saturating_add(origin.export_at.since(record.end)), count + 1);
        self.sampling = record.sampling;
        self.records += 1;
    }

    /// Of the datagram's flows, in milliseconds.
    pub(super) fn mean_delay(&self) -> Option<i64> {
        let (sum, count) = self.delay_ms;
        sum.checked_div(count)
    }

    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.back += other.back;
        self.options += other.options;
        self.skipped += other.skipped;
        self.unsure |= other.unsure;
        self.defects.add_all(other.defects);
    }
}

/// Decodes datagrams of all exporters.
#[derive(Debug, Default)]
pub struct FlowDecoder {
    pub(super) exporters: Exporters,
    pub(super) waiting: Waiting,
    pub(super) drops: Drops,
    pub(super) accounts: FlowAccounts,
    pub(super) sampling: SamplingTable,
    pub(super) position: Seq,
    /// The restored snapshot's position: what waited and was counted up to there is in it already.
    pub(super) restored: Seq,
    /// Whether data that waited keeps its own sequence.
    keeps_own: bool,
}

impl FlowDecoder {
    /// For reading the journal once more from somewhere: data that waited has its own sequence, so that who knows what came of
    /// it the first time can tell. The records are not in the order of their sequences then.
    pub fn again(sampling: SamplingTable) -> Self {
        Self { sampling, keeps_own: true, ..Self::default() }
    }

    /// The sequences of the data that waits.
    pub fn waiting(&self) -> impl Iterator<Item = Seq> + '_ {
        self.waiting.sets.values().map(|set| set.origin.seq)
    }

    /// Decodes one datagram, appends its records, and says what came of it. Frames of other kinds are nothing.
    pub fn decode(&mut self, frame: &Frame, out: &mut Vec<FlowRecord>) -> FlowReport {
        let mut report = FlowReport::default();
        self.position = self.position.max(frame.seq);
        if frame.frame.kind != FrameKind::Flow {
            return report;
        }
        let payload = &*frame.frame.payload;
        // Which protocol it is its first bytes say, whichever port it came by.
        report.version = payload.first_chunk().map_or(0, |version| u16::from_be_bytes(*version));
        let heard = match report.version {
            5 => v5::decode(frame, &self.sampling, out, &mut report),
            9 => self.decode_sets(frame, V9, out, &mut report),
            10 => self.decode_sets(frame, IPFIX, out, &mut report),
            0 if payload.starts_with(&[0, 0, 0, 5]) => {
                report.version = super::SFLOW.into();
                let drops = Some(&mut self.drops).filter(|_| frame.seq > self.restored);
                sflow::decode(frame, drops, out, &mut report)
            }
            _ => {
                report.defects.add(if payload.len() < 4 { FlowDefect::Truncated } else { FlowDefect::UnknownVersion });
                None
            }
        };
        if frame.seq > self.restored {
            self.note(frame, heard, &report);
        }
        report
    }

    fn note(&self, frame: &Frame, heard: Option<(u32, Heard)>, report: &FlowReport) {
        let NewFrame { peer: exporter, site, received_at, .. } = frame.frame;
        let known = !report.defects.contains(FlowDefect::UnknownVersion);
        let version = u8::try_from(report.version).ok().filter(|_| known).unwrap_or_default();
        let mut accounts = self.accounts.lock();
        match heard {
            Some((domain, heard)) => accounts.note(StreamKey { exporter, version, agent: heard.agent, domain }, &heard, report),
            None => accounts.note_unread(StreamKey { exporter, version, agent: None, domain: 0 }, site, received_at),
        }
    }

    /// What came from each stream and what did not, as it goes on.
    pub fn accounts(&self) -> FlowAccounts {
        self.accounts.clone()
    }

    /// What the operator knows of the sampling of exporters that do not say it; for what is decoded from now on.
    pub fn sampling_set(&mut self, table: SamplingTable) {
        self.sampling = table;
    }

    /// What templates, sampling rates, waiting data and accounts take, in bytes; an estimate that counts each allocation.
    pub fn memory_bytes(&self) -> usize {
        let accounts = self.accounts.lock().size_bytes();
        self.exporters.size_bytes() + self.waiting.size_bytes() + self.drops.size_bytes() + accounts
    }

    /// Every field of every data record of a datagram with its bytes, elements that are not kept included, by the templates
    /// known so far. For people who look at one datagram: it allocates.
    pub fn fields(&mut self, frame: &Frame) -> Vec<Vec<(TemplateField, Vec<u8>)>> {
        let mut all = Vec::new();
        let version = match frame.frame.payload.first_chunk() {
            Some([0, 9]) => V9,
            Some([0, 10]) => IPFIX,
            _ => return all,
        };
        let Ok((rest, header)) = sets::header(frame, version) else { return all };
        if let Some(exporter) = self.exporters.get(header.origin.exporter) {
            sets::each_record(exporter, &header.origin, rest, &mut |_, template, record| {
                let mut fields = Vec::new();
                template.each_field(record, &mut |field, bytes| fields.push((field, bytes.to_vec())));
                all.push(fields);
            });
        }
        all
    }

    fn decode_sets(&mut self, frame: &Frame, version: u8, out: &mut Vec<FlowRecord>, report: &mut FlowReport) -> Option<(u32, Heard)> {
        let Ok((rest, header)) = sets::header(frame, version) else {
            report.defects.add(FlowDefect::Truncated);
            return None;
        };
        report.defects.add_all(header.defects);
        let mut origin = header.origin;
        origin.sampling = self.sampling.rate(origin.exporter, origin.domain);
        let brought = sets::decode(&mut self.exporters, &origin, frame.frame.transport, rest, out, report);
        let orphans = if frame.seq <= self.restored { Vec::new() } else { brought.orphans };
        for (key, body) in orphans {
            // A template further back in the same datagram serves what stood before it, too.
            let gone = self.waiting.push((origin.exporter, key), &origin, body);
            self.note_given_up(&gone, &origin, report);
            report.sets_waiting += 1;
        }
        for key in brought.templates {
            self.decode_waiting((origin.exporter, key), &origin, out, report);
        }
        Some((origin.domain, header.heard))
    }

    /// Counts sets that had to go, each with the stream that they were of.
    fn note_given_up(&self, gone: &[WaitingKey], now: &Origin, report: &mut FlowReport) {
        for (exporter, TemplateKey { version, domain, .. }) in gone.iter().copied() {
            if (exporter, version, domain) == (now.exporter, now.version, now.domain) {
                report.sets_lost += 1;
            } else {
                self.accounts.lock().note_set_lost(&StreamKey { exporter, version, agent: None, domain });
            }
        }
    }

    /// Decodes what waited for a template that the datagram `now` brought.
    fn decode_waiting(&mut self, key: WaitingKey, now: &Origin, out: &mut Vec<FlowRecord>, report: &mut FlowReport) {
        let (address, template) = key;
        let seq = now.seq;
        for set in self.waiting.take(&key) {
            // A flood of templates may have pushed this one out already.
            let known = self.exporters.serve(address, &template);
            let Some(exporter) = known.filter(|_| report.records < CALLED_UP_MAX && !set.is_outdated(now.received_at)) else {
                report.sets_lost += 1;
                continue;
            };
            let sampling = self.sampling.rate(address, set.origin.domain);
            let origin = Origin { seq: if self.keeps_own { set.origin.seq } else { seq }, sampling, ..set.origin };
            let mut late = FlowReport::default();
            let told = sets::data_set(exporter, template, &set.body, &origin, out, &mut late);
            for (place, rate) in told {
                self.exporters.sampler_set(address, place, rate);
            }
            report.add(&late);
            // Only what an earlier datagram had put aside is late, and its sequence number counted it then.
            if set.origin.seq == seq {
                report.sets_waiting = report.sets_waiting.saturating_sub(1);
                report.own += late.own;
            } else {
                report.late += late.records;
            }
        }
    }

    /// Everything up to `seq` was looked at, also frames of other kinds.
    pub(super) fn passed(&mut self, seq: Seq) {
        self.position = self.position.max(seq);
    }

    /// The restored memory holds up to `position`, and what comes next lies behind it.
    pub(super) fn begin_behind(&mut self, position: Seq) {
        (self.position, self.restored) = (position, position);
    }

    /// The sequence of the last frame seen.
    pub fn position(&self) -> Seq {
        self.position
    }
}

#[cfg(test)]
mod tests;

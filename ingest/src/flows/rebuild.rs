//! What the store holds, day by day; looking whether it can be read; and making anew from the journal what is missing.
//!
//! **Nothing twice, nothing lost**, although data waits for its template: of a datagram before the gap the first time may have
//! put the records into the gap, and of one in the gap behind it. Whether it did is not in the journal, but in the store: what
//! it has outside of the gap is not made again.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};

use serde::Serialize;

use super::chunk::Chunk;
use super::column::{Column, ColumnSet};
use super::file::{self, FileError, FileInfo};
use super::read::Opened;
use super::replay::{FlowsAgain, Replayed, TEMPLATE_MILLIS};
use super::scan::{FILTER_NONE, FlowRange, Worker};
use super::{FlowStore, FlowStoreError, window_start};
use crate::body::SiteTable;
use crate::flow::FlowRecord;
use crate::frame::Seq;
use crate::scope::Scope;
use crate::time::Timestamp;

/// Records that are held while the journal is read again; as many as the consumer holds.
const HELD_MAX: usize = 200_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A day, for `store ls`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FlowDay {
    /// By the receipt of its files' first records, UTC.
    pub day: String,
    pub files: usize,
    /// How many of them are compacted.
    pub compacted: usize,
    pub records: u64,
    pub bytes: u64,
    pub first: Seq,
    pub last: Seq,
}

/// What came of a rebuild.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FlowsRebuilt {
    /// Stretches of the journal that no file accounted for.
    pub gaps: usize,
    pub files: usize,
    pub records: u64,
    /// Datagrams whose template the journal does not have nearby: what is in them is still missing.
    pub waiting: usize,
    /// Where the journal begins later than a gap between files: what was before cannot be had.
    pub missing_before: Option<Seq>,
}

impl FlowsRebuilt {
    pub(super) fn add(&mut self, other: &Self) {
        self.gaps += other.gaps;
        self.files += other.files;
        self.records += other.records;
        self.waiting += other.waiting;
        self.missing_before = self.missing_before.max(other.missing_before);
    }
}

impl FlowStore {
    /// The days, oldest first.
    pub fn days(&self) -> Vec<FlowDay> {
        let mut days: BTreeMap<String, FlowDay> = BTreeMap::new();
        for info in &self.view().files {
            let day = info.span.received_from.utc().format("%Y-%m-%d").to_string();
            let new = || FlowDay { day: day.clone(), first: info.span.seq_from, ..FlowDay::default() };
            let sum = days.entry(day.clone()).or_insert_with(new);
            sum.files += 1;
            sum.compacted += usize::from(info.span.compacted);
            sum.records += info.records;
            sum.bytes += info.bytes;
            sum.last = sum.last.max(info.span.seq_to);
        }
        days.into_values().collect()
    }

    /// What was set aside because it could not be read.
    pub fn quarantined(&self) -> Vec<String> {
        super::quarantined(&self.dir)
    }

    /// Reads every byte of a day's files; what is wrong with them, a line each. Changes nothing.
    pub fn verify_day(&self, day: &str) -> Vec<String> {
        let view = self.view();
        let files = view.files.iter().filter(|info| info.span.received_from.utc().format("%Y-%m-%d").to_string() == day);
        let fault = |info: &Arc<FileInfo>| match verify(info) {
            Ok(()) | Err(FileError::Gone) => None,
            Err(FileError::Io(error)) => Some(format!("{}: {error}", info.path.display())),
            Err(FileError::Damaged(reason)) => Some(format!("{}: {reason}", info.path.display())),
        };
        files.filter_map(fault).collect()
    }

    /// Reads everything and sets aside what is damaged. What the system does not give now is left as it is.
    ///
    /// # Errors
    /// The system's own.
    pub fn sift(&self, stop: &dyn Fn() -> bool) -> Result<(), FlowStoreError> {
        for info in self.view().files.iter().take_while(|_| !stop()) {
            match verify(info) {
                Ok(()) => {}
                Err(FileError::Io(error)) => tracing::error!(path = %info.path.display(), %error, "a flow file cannot be read now"),
                Err(error) => self.drop_file(info, &error)?,
            }
        }
        Ok(())
    }

    /// The stretches of the journal that no file accounts for, up to the last one or, where something was set aside, up to
    /// the cursor. Between files of an earlier version, and before the first, there may have been no flows. Where a file lies
    /// that cannot be read now, there is no gap: it may be read tomorrow.
    pub fn gaps(&self) -> Vec<(Seq, Seq)> {
        // At one moment: a file that is written meanwhile would be missing behind the last one.
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut gaps = Vec::new();
        let mut next = Seq(1);
        for info in &state.files {
            if info.span.seq_from > next {
                gaps.push((next, Seq(info.span.seq_from.0 - 1)));
            }
            next = next.max(info.span.seq_to.next());
        }
        if next <= state.accounted {
            gaps.push((next, state.accounted));
        }
        let unread: Vec<Option<Seq>> = state.unread.iter().map(super::Unread::first).collect();
        gaps.retain(|(from, to)| !unread.iter().any(|first| first.is_none_or(|first| (*from..=*to).contains(&first))));
        gaps
    }

    /// Fills a gap from the journal; what was received before `not_before` is over and stays away. A kill in between leaves
    /// a smaller gap, and so does a journal that has not all of it.
    ///
    /// # Errors
    /// Where the journal or the disk refuses.
    pub fn rebuild(
        &self,
        gap: (Seq, Seq),
        not_before: Timestamp,
        again: &mut FlowsAgain<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<FlowsRebuilt, Failure> {
        let mut done = FlowsRebuilt { gaps: 1, ..FlowsRebuilt::default() };
        let mut held: Vec<FlowRecord> = Vec::new();
        // What the next file accounts for, up to now, and how far the journal was read.
        let (mut from, mut last, mut read) = (gap.0, Seq(gap.0.0.saturating_sub(1)), None::<Seq>);
        while let Some(now) = again()? {
            if stop() {
                return Err("stopped".into());
            }
            if read.is_none() && now.first > gap.0 {
                // Before the first file there may have been nothing at all.
                done.missing_before = Some(now.first).filter(|_| gap.0 > Seq(1));
                from = now.first;
            }
            read = Some(now.last);
            for datagram in self.wanted(&now, gap, not_before)?.chunk_by(|a, b| a.seq == b.seq) {
                let Some(first) = datagram.first() else { continue };
                let window = |flow: &FlowRecord| window_start(flow.received_at);
                if held.first().is_some_and(|held| window(held) != window(first)) || held.len() >= HELD_MAX {
                    self.fill((from, last), &mut held, &mut done)?;
                    from = last.next();
                }
                held.extend_from_slice(datagram);
                last = first.seq;
            }
            if now.last >= gap.1 {
                let late = self.behind(now, gap, again, stop, &mut done)?;
                held.extend(late.into_iter().filter(|flow| flow.received_at >= not_before));
                break;
            }
        }
        if let Some(read) = read {
            self.fill((from, gap.1.min(read)), &mut held, &mut done)?;
        }
        Ok(done)
    }

    /// The records of a stretch that belong into the gap, in their order.
    fn wanted(&self, now: &Replayed, gap: (Seq, Seq), not_before: Timestamp) -> Result<Vec<FlowRecord>, FlowStoreError> {
        let in_gap = |seq: &Seq| (gap.0..=gap.1).contains(seq);
        let at_once = now.flows.iter().filter(|flow| in_gap(&flow.seq)).copied();
        let late: Vec<(Seq, FlowRecord)> = now.late.iter().filter(|(brought, _)| in_gap(brought)).copied().collect();
        // Of a datagram before the gap: where it was decoded at once the first time, it is in a file before the gap; where that
        // was made anew, too, with its last sequence.
        let files = self.view().files;
        let end = |own: Seq| {
            files.iter().find(|info| (info.span.seq_from..=info.span.seq_to).contains(&own)).map_or(own, |info| info.span.seq_to)
        };
        let before = late.iter().map(|(_, flow)| flow.seq).filter(|own| *own < gap.0);
        let stored = self.stored(before.flat_map(|own| [own, end(own)]).collect())?;
        let is_stored = |flow: &FlowRecord| flow.seq < gap.0 && [flow.seq, end(flow.seq)].iter().any(|seq| stored.has(*seq, flow));
        let late = late.into_iter().filter(|(_, flow)| !is_stored(flow));
        let mut wanted: Vec<FlowRecord> = at_once.chain(late.map(|(brought, flow)| FlowRecord { seq: brought, ..flow })).collect();
        wanted.retain(|flow| flow.received_at >= not_before);
        wanted.sort_by_key(|flow| flow.seq);
        Ok(wanted)
    }

    /// Reads on from the stretch that ends the gap as long as data of the gap waits. What its template brings was there the
    /// first time with the template, or, where that was known then, in the gap: then it comes with the gap's last sequence.
    fn behind(
        &self,
        mut now: Replayed,
        gap: (Seq, Seq),
        again: &mut FlowsAgain<'_>,
        stop: &dyn Fn() -> bool,
        done: &mut FlowsRebuilt,
    ) -> Result<Vec<FlowRecord>, Failure> {
        let in_gap = |seq: &Seq| (gap.0..=gap.1).contains(seq);
        let (ended, mut found) = (now.at, Vec::new());
        loop {
            let late = now.late.iter().filter(|(brought, flow)| *brought > gap.1 && in_gap(&flow.seq));
            // What the store has not got to yet comes by itself, if it waited the first time.
            let known = self.known();
            let late: Vec<(Seq, FlowRecord)> = late.filter(|(brought, _)| *brought <= known).copied().collect();
            let stored = self.stored(late.iter().map(|(brought, _)| *brought).collect())?;
            let missing = late.into_iter().filter(|(brought, flow)| !stored.has(*brought, flow));
            found.extend(missing.map(|(_, flow)| FlowRecord { seq: gap.1, ..flow }));
            done.waiting = now.waiting.iter().filter(|seq| in_gap(seq)).count();
            if done.waiting == 0 || now.last > known || now.at.since(ended) > TEMPLATE_MILLIS {
                return Ok(found);
            }
            if stop() {
                return Err("stopped".into());
            }
            match again()? {
                Some(next) => now = next,
                None => return Ok(found),
            }
        }
    }

    /// The last sequence whose flows are in the store.
    fn known(&self) -> Seq {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let open = state.open.last().and_then(|chunk| chunk.last()).map(|flow| flow.seq);
        open.unwrap_or_default().max(state.cursor)
    }

    fn stored(&self, mut seqs: Vec<Seq>) -> Result<Stored, FlowStoreError> {
        seqs.sort_unstable();
        seqs.dedup();
        if seqs.is_empty() {
            return Ok(Stored::default());
        }
        let (scope, sites) = (Scope::All, SiteTable::default());
        let range = FlowRange { from: Timestamp(i64::MIN), to: Timestamp(i64::MAX), filter: FILTER_NONE, scope: &scope, sites: &sites };
        let (mut found, _) = self.scan_seqs(&range, &seqs, ColumnSet::ALL, 1, Stored::default)?;
        Ok(found.pop().unwrap_or_default())
    }

    fn fill(&self, (from, to): (Seq, Seq), held: &mut Vec<FlowRecord>, done: &mut FlowsRebuilt) -> Result<(), FlowStoreError> {
        let Some(first) = held.first() else { return Ok(()) };
        let path = self.path(first.received_at, from);
        let overlaps = |info: &Arc<FileInfo>| info.span.seq_from <= to && from <= info.span.seq_to;
        if self.view().files.iter().any(overlaps) {
            let error = std::io::Error::other("another file accounts for it by now");
            return Err(FlowStoreError::new("writing flows to", &path, error));
        }
        let records = held.len() as u64;
        let chunk: Arc<[FlowRecord]> = std::mem::take(held).into();
        let info = file::write(&path, &[chunk], from, to).map_err(|error| FlowStoreError::new("writing flows to", &path, error))?;
        done.files += 1;
        done.records += records;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let at = state.files.partition_point(|other| other.span.seq_from < from);
        state.files.insert(at, Arc::new(info));
        Ok(())
    }
}

/// What the store has of some datagrams.
#[derive(Default)]
struct Stored(BTreeMap<Seq, Vec<FlowRecord>>);

impl Worker for Stored {
    fn chunk(&mut self, chunk: &Chunk<'_>) -> ControlFlow<()> {
        for row in chunk.mask().rows() {
            let flow = chunk.record(row);
            self.0.entry(flow.seq).or_default().push(alike(&flow));
        }
        ControlFlow::Continue(())
    }
}

impl Stored {
    fn has(&self, seq: Seq, flow: &FlowRecord) -> bool {
        self.0.get(&seq).is_some_and(|flows| flows.contains(&alike(flow)))
    }
}

/// A record without what may differ when it is decoded again: its sequence and sampling, and what is too large for a file.
fn alike(flow: &FlowRecord) -> FlowRecord {
    let fits = |number: u64| number.min(i64::MAX.unsigned_abs());
    FlowRecord {
        seq: Seq(0),
        sampling: 0,
        bytes: fits(flow.bytes),
        packets: fits(flow.packets),
        dropped_bytes: fits(flow.dropped_bytes),
        dropped_packets: fits(flow.dropped_packets),
        ..*flow
    }
}

fn verify(info: &Arc<FileInfo>) -> Result<(), FileError> {
    let opened = Opened::open(info)?;
    opened.check_all()?;
    let mut records = 0;
    for group in 0..opened.group_count() {
        let batch = opened.read(group, ColumnSet::ALL)?;
        let mut chunk = Chunk::new(batch.rows);
        batch.fill(&mut chunk);
        records += batch.rows as u64;
        let (from, to) = (info.span.seq_from, info.span.seq_to);
        let inside = |seq: &i64| (from..=to).contains(&Seq(seq.max(&0).unsigned_abs()));
        if !chunk.longs(Column::Seq).iter().all(inside) {
            return Err(FileError::Damaged("records outside of the stretch that it accounts for".to_owned()));
        }
    }
    if records == info.records { Ok(()) } else { Err(FileError::Damaged("another number of records than it says".to_owned())) }
}

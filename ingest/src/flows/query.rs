//! Questions over files and memory: the top talkers, the newest records, a histogram, and the flows of given
//! datagrams. Each demands the caller's scope. Only the columns that the question needs are read.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::chunk::Chunk;
use super::column::{Column, ColumnSet};
use super::file::FileInfo;
use super::group::{Grouping, KeyPart, ROWS_MAX};
use super::read::Opened;
use super::scan::{FILTER_NONE, FlowRange, Halt, Judge, SCAN_THREADS};
use super::table::Sums;
use super::{FlowStore, FlowStoreError, View};
use crate::body::SiteTable;
use crate::fields::{self, FieldId};
use crate::flow::{FlowRecord, protocol_name};
use crate::frame::Seq;
use crate::scope::Scope;
use crate::time::Timestamp;

/// Bars of a histogram: a bar a pixel is the finest that can be seen.
const BUCKETS_MAX: usize = 2_000;

/// What to group by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    SourceIp,
    DestinationIp,
    SourcePort,
    DestinationPort,
    Transport,
    Site,
    Exporter,
    /// Source and destination address together.
    Pair,
}

impl GroupBy {
    pub const ALL: [Self; 8] = [
        Self::SourceIp,
        Self::DestinationIp,
        Self::SourcePort,
        Self::DestinationPort,
        Self::Transport,
        Self::Site,
        Self::Exporter,
        Self::Pair,
    ];

    /// The grouping by an ECS field; `None` for fields that flows have not or that are no groups.
    pub fn from_field(field: FieldId) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.field() == Some(field))
    }

    /// The ECS field; `None` for the pair.
    pub fn field(self) -> Option<FieldId> {
        match self {
            Self::SourceIp => Some(fields::SOURCE_IP),
            Self::DestinationIp => Some(fields::DESTINATION_IP),
            Self::SourcePort => Some(fields::SOURCE_PORT),
            Self::DestinationPort => Some(fields::DESTINATION_PORT),
            Self::Transport => Some(fields::NETWORK_TRANSPORT),
            Self::Site => Some(fields::SITE),
            Self::Exporter => Some(fields::OBSERVER_IP),
            Self::Pair => None,
        }
    }

    fn columns(self) -> &'static [Column] {
        match self {
            Self::SourceIp => &[Column::SrcIp],
            Self::DestinationIp => &[Column::DstIp],
            Self::SourcePort => &[Column::SrcPort],
            Self::DestinationPort => &[Column::DstPort],
            Self::Transport => &[Column::Protocol],
            Self::Site => &[Column::Site],
            Self::Exporter => &[Column::Exporter],
            Self::Pair => &[Column::SrcIp, Column::DstIp],
        }
    }

    fn text(self, key: &[KeyPart], sites: &SiteTable) -> String {
        let one = |part: &KeyPart| match part {
            KeyPart::Address(address) => address.to_string(),
            KeyPart::Number(number) if self == Self::Transport => {
                let name = u8::try_from(*number).ok().and_then(protocol_name);
                name.map_or_else(|| number.to_string(), str::to_owned)
            }
            KeyPart::Number(number) => number.to_string(),
            KeyPart::Site(site) => sites.name(*site).to_owned(),
            KeyPart::Mac(mac) => format!("{mac:02x?}"),
        };
        key.iter().map(one).collect::<Vec<_>>().join(" > ")
    }
}

/// What to rank by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Bytes,
    Packets,
    Flows,
}

/// Who is at the top of what.
#[derive(Clone, Copy)]
pub struct TopRequest<'a> {
    pub range: FlowRange<'a>,
    pub by: GroupBy,
    pub measure: Measure,
    pub limit: usize,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TopRow {
    /// As text: an address, a port, a transport, a site's name, or `source > destination`.
    pub key: String,
    /// As exported, here and in the sums: what samplers look at is not multiplied.
    pub bytes: u64,
    pub packets: u64,
    pub flows: u64,
    /// The earliest start and the latest end, in the exporters' time.
    pub first: Timestamp,
    pub last: Timestamp,
}

/// The groups in order of the measure, and the sums over all that matched.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct TopResult {
    pub rows: Vec<TopRow>,
    pub bytes: u64,
    pub packets: u64,
    pub flows: u64,
    /// How many groups there are.
    pub groups: usize,
    /// Whether there were more groups than can be held; the sums are right all the same.
    pub incomplete: bool,
    /// How many records were looked at.
    pub records_read: u64,
}

/// One bar of a histogram, as exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FlowBucket {
    pub at: Timestamp,
    pub bytes: u64,
    pub packets: u64,
    pub flows: u64,
}

impl Measure {
    pub(super) fn of(self, sums: &Sums) -> u64 {
        match self {
            Self::Bytes => sums.bytes,
            Self::Packets => sums.packets,
            Self::Flows => sums.flows,
        }
    }
}

impl FlowStore {
    /// The groups with the most bytes, packets or flows.
    ///
    /// # Errors
    /// Where files cannot be opened for reasons of the system; damaged ones are set aside.
    pub fn top(&self, request: &TopRequest<'_>) -> Result<TopResult, FlowStoreError> {
        let TopRequest { range, by, measure, limit } = *request;
        let groups = self.group(&Grouping { range, by: by.columns(), measure, limit, scaled: false })?;
        let row = |group: &super::group::Group| TopRow {
            key: by.text(&group.key, range.sites),
            bytes: group.sums.bytes,
            packets: group.sums.packets,
            flows: group.sums.flows,
            first: Timestamp(group.sums.first),
            last: Timestamp(group.sums.last),
        };
        Ok(TopResult {
            rows: groups.rows.iter().map(row).collect(),
            bytes: groups.total.bytes,
            packets: groups.total.packets,
            flows: groups.total.flows,
            groups: groups.count,
            incomplete: groups.incomplete,
            records_read: groups.records_read,
        })
    }

    /// The records that match, the newest of the journal first. Of one datagram those of a compacted file are in its order.
    ///
    /// # Errors
    /// As `top`.
    pub fn list(&self, range: &FlowRange<'_>, limit: usize) -> Result<Vec<FlowRecord>, FlowStoreError> {
        self.again(|| {
            let view = self.view();
            let judge = Judge::new(range, &[]);
            let mut found = open_newest(&view, &judge, limit.min(ROWS_MAX));
            for info in view.files.iter().rev() {
                let left = limit.min(ROWS_MAX) - found.len();
                if left == 0 {
                    break;
                }
                if judge.may_hold(info) {
                    let newest = file_newest(info, &judge, left).map_err(|error| Halt { info: Arc::clone(info), error })?;
                    found.extend(newest);
                }
            }
            Ok(found)
        })
    }

    /// Sums by time of receipt: the range in `buckets` equal parts, the empty ones among them.
    ///
    /// # Errors
    /// As `top`.
    pub fn histogram(&self, range: &FlowRange<'_>, buckets: usize) -> Result<Vec<FlowBucket>, FlowStoreError> {
        let span = range.to.since(range.from);
        if span <= 0 {
            return Ok(Vec::new());
        }
        let count = i64::try_from(buckets.clamp(1, BUCKETS_MAX)).unwrap_or(1).min(span);
        let width = span / count + i64::from(span % count > 0);
        let bars = (0..count).map(|n| range.from.plus(n * width)).take_while(|at| *at < range.to);
        let bars: Vec<FlowBucket> = bars.map(|at| FlowBucket { at, bytes: 0, packets: 0, flows: 0 }).collect();
        let needed = ColumnSet::of(&[Column::ReceivedAt, Column::Bytes, Column::Packets]);
        let make = || Bars { bars: bars.clone(), from: range.from, width };
        let (workers, _) = self.scan(range, needed, SCAN_THREADS, make)?;
        let mut all = bars.clone();
        for (bar, other) in workers.iter().flat_map(|worker| (0..).zip(&worker.bars)) {
            if let Some(sum) = all.get_mut(bar) {
                sum.bytes = sum.bytes.saturating_add(other.bytes);
                sum.packets = sum.packets.saturating_add(other.packets);
                sum.flows += other.flows;
            }
        }
        Ok(all)
    }

    /// The flows of given datagrams, in their order: the evidence of an alert.
    ///
    /// # Errors
    /// As `top`.
    pub fn by_seq(&self, seqs: &[Seq], scope: &Scope, sites: &SiteTable) -> Result<Vec<FlowRecord>, FlowStoreError> {
        let mut seqs = seqs.to_vec();
        seqs.sort_unstable();
        seqs.dedup();
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let range = FlowRange { from: Timestamp(i64::MIN), to: Timestamp(i64::MAX), filter: FILTER_NONE, scope, sites };
        let make = || Records(Vec::new());
        let (workers, _) = self.scan_seqs(&range, &seqs, ColumnSet::ALL, 1, make)?;
        let mut found: Vec<FlowRecord> = workers.into_iter().flat_map(|worker| worker.0).collect();
        found.sort_by_key(|flow| flow.seq);
        found.truncate(ROWS_MAX);
        Ok(found)
    }
}

struct Bars {
    bars: Vec<FlowBucket>,
    from: Timestamp,
    width: i64,
}

impl super::scan::Worker for Bars {
    fn chunk(&mut self, chunk: &Chunk<'_>) -> ControlFlow<()> {
        let (times, bytes, packets) = (chunk.longs(Column::ReceivedAt), chunk.longs(Column::Bytes), chunk.longs(Column::Packets));
        let rows = times.iter().zip(bytes).zip(packets).zip(chunk.mask().as_slice());
        for (((at, bytes), packets), _) in rows.filter(|(_, wanted)| **wanted) {
            let bar = usize::try_from(at.saturating_sub(self.from.0) / self.width).unwrap_or(0).min(self.bars.len().saturating_sub(1));
            if let Some(bar) = self.bars.get_mut(bar) {
                bar.bytes = bar.bytes.saturating_add(bytes.max(&0).unsigned_abs());
                bar.packets = bar.packets.saturating_add(packets.max(&0).unsigned_abs());
                bar.flows += 1;
            }
        }
        ControlFlow::Continue(())
    }
}

struct Records(Vec<FlowRecord>);

impl super::scan::Worker for Records {
    fn chunk(&mut self, chunk: &Chunk<'_>) -> ControlFlow<()> {
        self.0.extend(chunk.mask().rows().map(|row| chunk.record(row)));
        // Beyond what is shown nothing need be gathered; a chunk of slack keeps the memory bounded.
        if self.0.len() > ROWS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn open_newest(view: &View, judge: &Judge<'_>, limit: usize) -> Vec<FlowRecord> {
    let mut found: Vec<FlowRecord> = Vec::new();
    for chunk in view.open.iter().rev() {
        if found.len() >= limit {
            break;
        }
        judge.memory(&[chunk], ColumnSet::NONE, &mut |here| {
            let rows = here.mask().rows().rev().filter_map(|row| chunk.get(row).copied());
            found.extend(rows.take(limit - found.len()));
        });
    }
    found
}

/// The newest matches of a file. Its row groups are taken by their latest sequence, so that those of a compacted file, which
/// overlap, are looked at only as long as they may hold something newer than what is found. Records are made of the last ones only.
fn file_newest(info: &Arc<FileInfo>, judge: &Judge<'_>, limit: usize) -> Result<Vec<FlowRecord>, super::file::FileError> {
    let opened = Opened::open(info)?;
    let mut groups: Vec<(i64, usize)> = judge
        .with_wanted(|wanted| opened.groups(wanted))
        .into_iter()
        .map(|group| (opened.longs(group, Column::Seq).map_or(i64::MAX, |(_, max)| max), group))
        .collect();
    groups.sort_unstable_by_key(|key| Reverse(*key));
    // Sequence, row group, row in it.
    let mut best: Vec<(i64, usize, usize)> = Vec::new();
    for (latest, group) in groups {
        if best.len() >= limit && best.last().is_some_and(|(seq, ..)| *seq > latest) {
            break;
        }
        if judge.bloom_excludes(&opened, group)? {
            continue;
        }
        judge.group(&opened, group, ColumnSet::of(&[Column::Seq]), &mut |chunk| {
            let seqs = chunk.longs(Column::Seq);
            best.extend(chunk.mask().rows().filter_map(|row| Some((*seqs.get(row)?, group, row))));
        })?;
        best.sort_unstable_by_key(|key| Reverse(*key));
        best.truncate(limit);
    }
    let mut by_group: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for (place, (_, group, row)) in best.iter().enumerate() {
        by_group.entry(*group).or_default().push((*row, place));
    }
    let mut found: Vec<Option<FlowRecord>> = vec![None; best.len()];
    for (group, rows) in by_group {
        let batch = opened.read(group, ColumnSet::ALL)?;
        let mut chunk = Chunk::new(batch.rows);
        batch.fill(&mut chunk);
        for (row, place) in rows {
            if let Some(found) = found.get_mut(place) {
                *found = Some(chunk.record(row));
            }
        }
    }
    Ok(found.into_iter().flatten().collect())
}

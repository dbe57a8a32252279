//! Queries over files and memory: the top talkers, the newest records, a histogram, and the flows of given
//! datagrams. Each demands the caller's scope. Only the columns that the question needs are read.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::Ipv6Addr;

use super::file::{self, Column, FileError, FileInfo, Rows, Wanted};
use super::{FlowStore, FlowStoreError};
use crate::body::{SiteId, SiteTable};
use crate::fields::{self, FieldId};
use crate::flow::{FlowRecord, protocol_name};
use crate::frame::Seq;
use crate::record::{FlowView, Record};
use crate::scope::Scope;
use crate::time::Timestamp;

/// Which records count: callers pass `&|record| query.matches(record)`.
pub type Filter<'a> = &'a (dyn Fn(&dyn Record) -> bool + Sync);

/// No filter: fewer columns are read.
pub const FILTER_NONE: Option<Filter<'static>> = None;

/// Groups that a question may hold in memory, about 60 MB. A scan of all ports and addresses makes more; then
/// the first this many are counted and the result says that it is not all.
const GROUPS_MAX: usize = 400_000;
/// Rows of a result: more than anybody reads, few enough for a page or an export step.
const ROWS_MAX: usize = 10_000;
/// Bars of a histogram: a bar a pixel is the finest that can be seen.
const BUCKETS_MAX: usize = 2_000;

/// What to look at, and on whose behalf.
#[derive(Clone, Copy)]
pub struct FlowRange<'a> {
    /// Receipt from, inclusive.
    pub from: Timestamp,
    /// Receipt to, exclusive.
    pub to: Timestamp,
    pub filter: Option<Filter<'a>>,
    pub scope: &'a Scope,
    pub sites: &'a SiteTable,
}

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

    fn key(self, flow: &FlowRecord) -> Key {
        let address = |address: std::net::IpAddr| match address {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            std::net::IpAddr::V6(v6) => v6.to_bits(),
        };
        match self {
            Self::SourceIp => (address(flow.src_ip), 0),
            Self::DestinationIp => (address(flow.dst_ip), 0),
            Self::SourcePort => (flow.src_port.into(), 0),
            Self::DestinationPort => (flow.dst_port.into(), 0),
            Self::Transport => (flow.protocol.into(), 0),
            Self::Site => (flow.site.0.0, 0),
            Self::Exporter => (address(flow.exporter), 0),
            Self::Pair => (address(flow.src_ip), address(flow.dst_ip)),
        }
    }

    fn text(self, (first, second): Key, sites: &SiteTable) -> String {
        let address = |bits| Ipv6Addr::from_bits(bits).to_canonical().to_string();
        match self {
            Self::SourceIp | Self::DestinationIp | Self::Exporter => address(first),
            Self::SourcePort | Self::DestinationPort => first.to_string(),
            Self::Transport => {
                let name = u8::try_from(first).ok().and_then(protocol_name);
                name.map_or_else(|| first.to_string(), str::to_owned)
            }
            Self::Site => sites.name(SiteId(crate::id::Ulid(first))).to_owned(),
            Self::Pair => format!("{} > {}", address(first), address(second)),
        }
    }
}

/// A group's key in one form for all groupings.
type Key = (u128, u128);

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

/// One bar of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FlowBucket {
    pub at: Timestamp,
    pub bytes: u64,
    pub packets: u64,
    pub flows: u64,
}

#[derive(Clone, Copy)]
struct Sums {
    bytes: u64,
    packets: u64,
    flows: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Sums {
    const NONE: Self = Self { bytes: 0, packets: 0, flows: 0, first: Timestamp(i64::MAX), last: Timestamp(i64::MIN) };

    fn add(&mut self, flow: &FlowRecord) {
        self.bytes = self.bytes.saturating_add(flow.bytes);
        self.packets = self.packets.saturating_add(flow.packets);
        self.flows += 1;
        self.first = self.first.min(flow.start);
        self.last = self.last.max(flow.end);
    }

    fn measure(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Bytes => self.bytes,
            Measure::Packets => self.packets,
            Measure::Flows => self.flows,
        }
    }
}

impl FlowStore {
    /// The groups with the most bytes, packets or flows.
    ///
    /// # Errors
    /// Where files cannot be opened for reasons of the system; damaged ones are set aside.
    pub fn top(&self, request: &TopRequest<'_>) -> Result<TopResult, FlowStoreError> {
        let mut groups: HashMap<Key, Sums> = HashMap::new();
        let mut total = Sums::NONE;
        let mut incomplete = false;
        let columns = [request.by.columns(), &[Column::Bytes, Column::Packets, Column::Start, Column::Duration]].concat();
        let records_read = self.scan(&request.range, &columns, &mut |flow| {
            total.add(flow);
            let key = request.by.key(flow);
            if groups.len() < GROUPS_MAX || groups.contains_key(&key) {
                groups.entry(key).or_insert(Sums::NONE).add(flow);
            } else {
                incomplete = true;
            }
        })?;
        let count = groups.len();
        let mut ranked: Vec<(Key, Sums)> = groups.into_iter().collect();
        ranked.sort_unstable_by_key(|(key, sums)| (Reverse(sums.measure(request.measure)), *key));
        ranked.truncate(request.limit.min(ROWS_MAX));
        let row = |(key, sums): (Key, Sums)| TopRow {
            key: request.by.text(key, request.range.sites),
            bytes: sums.bytes,
            packets: sums.packets,
            flows: sums.flows,
            first: sums.first,
            last: sums.last,
        };
        let rows = ranked.into_iter().map(row).collect();
        Ok(TopResult { rows, bytes: total.bytes, packets: total.packets, flows: total.flows, groups: count, incomplete, records_read })
    }

    /// The records that match, the newest of the journal first.
    ///
    /// # Errors
    /// As `top`.
    pub fn list(&self, range: &FlowRange<'_>, limit: usize) -> Result<Vec<FlowRecord>, FlowStoreError> {
        let limit = limit.min(ROWS_MAX);
        let mut judge = Judge::new(range);
        let mut found = Vec::new();
        let view = self.view();
        for flow in view.open.iter().rev().flat_map(|chunk| chunk.iter().rev()) {
            if found.len() < limit && judge.wants(flow) {
                found.push(*flow);
            }
        }
        for info in view.files.iter().rev() {
            if found.len() >= limit {
                break;
            }
            for batch in self.read(info, &range.wanted(&Column::ALL))?.iter().rev() {
                let left = limit - found.len();
                found.extend(Rows::new(batch).iter().rev().filter(|flow| judge.wants(flow)).take(left));
            }
        }
        Ok(found)
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
        let mut bars: Vec<FlowBucket> = bars.map(|at| FlowBucket { at, bytes: 0, packets: 0, flows: 0 }).collect();
        self.scan(range, &[Column::Bytes, Column::Packets], &mut |flow| {
            let bar = usize::try_from(flow.received_at.since(range.from) / width).unwrap_or(0).min(bars.len().saturating_sub(1));
            if let Some(bar) = bars.get_mut(bar) {
                bar.bytes = bar.bytes.saturating_add(flow.bytes);
                bar.packets = bar.packets.saturating_add(flow.packets);
                bar.flows += 1;
            }
        })?;
        Ok(bars)
    }

    /// The flows of given datagrams, in their order: the evidence of an alert.
    ///
    /// # Errors
    /// As `top`.
    pub fn by_seq(&self, seqs: &[Seq], scope: &Scope, sites: &SiteTable) -> Result<Vec<FlowRecord>, FlowStoreError> {
        let mut seqs = seqs.to_vec();
        seqs.sort_unstable();
        seqs.dedup();
        let range = FlowRange { from: Timestamp(i64::MIN), to: Timestamp(i64::MAX), filter: FILTER_NONE, scope, sites };
        let mut judge = Judge::new(&range);
        let mut wanted = |flow: &FlowRecord| seqs.binary_search(&flow.seq).is_ok() && judge.wants(flow);
        let mut found = Vec::new();
        let view = self.view();
        for info in &view.files {
            let first = seqs.partition_point(|seq| *seq < info.seq_from);
            if found.len() < ROWS_MAX && seqs.get(first).is_some_and(|seq| *seq <= info.seq_to) {
                for batch in self.read(info, &Wanted { seqs: &seqs, ..range.wanted(&Column::ALL) })? {
                    found.extend(Rows::new(&batch).iter().filter(&mut wanted));
                }
            }
        }
        found.extend(view.open.iter().flat_map(|chunk| chunk.iter()).filter(|flow| wanted(flow)));
        found.truncate(ROWS_MAX);
        Ok(found)
    }

    /// Gives every record that the range and its owner's scope allow to `each`; returns how many were read.
    fn scan(&self, range: &FlowRange<'_>, columns: &[Column], each: &mut dyn FnMut(&FlowRecord)) -> Result<u64, FlowStoreError> {
        // Time and site are what every judgement needs; a filter may ask for any field that a flow has.
        let mut columns = [columns, &[Column::ReceivedAt, Column::Site]].concat();
        if range.filter.is_some() {
            columns.extend(FILTER_COLUMNS);
        }
        columns.sort_unstable();
        columns.dedup();
        let mut judge = Judge::new(range);
        let mut read = 0;
        let view = self.view();
        for info in &view.files {
            for batch in self.read(info, &range.wanted(&columns))? {
                read += batch.num_rows() as u64;
                Rows::new(&batch).iter().filter(|flow| judge.wants(flow)).for_each(|flow| each(&flow));
            }
        }
        for flow in view.open.iter().flat_map(|chunk| chunk.iter()) {
            read += 1;
            if judge.wants(flow) {
                each(flow);
            }
        }
        Ok(read)
    }

    /// Reads what is wanted of a file; nothing where the file has none of it, is gone, or is damaged.
    fn read(&self, info: &FileInfo, wanted: &Wanted<'_>) -> Result<Vec<arrow_array::RecordBatch>, FlowStoreError> {
        let (from, to) = wanted.received;
        if info.received_to < from || info.received_from > to {
            return Ok(Vec::new());
        }
        match file::read(&info.path, wanted) {
            Ok(batches) => Ok(batches),
            Err(FileError::Io(error)) => Err(FlowStoreError::new("reading flows of", &info.path, error)),
            Err(error) => {
                self.drop_file(info, &error);
                Ok(Vec::new())
            }
        }
    }
}

/// What `FlowView` tells a filter.
const FILTER_COLUMNS: [Column; 12] = [
    Column::Seq,
    Column::Start,
    Column::Duration,
    Column::Site,
    Column::Exporter,
    Column::SrcIp,
    Column::DstIp,
    Column::SrcPort,
    Column::DstPort,
    Column::Protocol,
    Column::Bytes,
    Column::Packets,
];

impl FlowRange<'_> {
    fn wanted<'a>(&self, columns: &'a [Column]) -> Wanted<'a> {
        Wanted { columns, received: (self.from, self.to.plus(-1)), seqs: &[] }
    }
}

/// Says whether a record belongs to an answer: time, scope, filter, the cheapest first.
struct Judge<'a> {
    range: &'a FlowRange<'a>,
    /// The scope's word on each site, asked once.
    sites: HashMap<SiteId, bool>,
    last: Option<(SiteId, bool)>,
}

impl<'a> Judge<'a> {
    fn new(range: &'a FlowRange<'a>) -> Self {
        Self { range, sites: HashMap::new(), last: None }
    }

    fn wants(&mut self, flow: &FlowRecord) -> bool {
        let FlowRange { from, to, filter, sites, .. } = *self.range;
        (from..to).contains(&flow.received_at) && self.visible(flow.site) && filter.is_none_or(|filter| filter(&FlowView { flow, sites }))
    }

    fn visible(&mut self, site: SiteId) -> bool {
        if let Some((last, visible)) = self.last
            && last == site
        {
            return visible;
        }
        let FlowRange { scope, sites, .. } = *self.range;
        let visible = *self.sites.entry(site).or_insert_with(|| scope.site_allowed(site, sites));
        self.last = Some((site, visible));
        visible
    }
}

//! What a search counts: the total, its course over time, and the most frequent values. Counted from columns where an
//! event is on disk, without reading a line of it, and from the event itself where it is in memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};

use foldhash::fast::FixedState;
use tantivy::TantivyError;
use tantivy::columnar::column_values::CompactSpaceU64Accessor;
use tantivy::columnar::{Cardinality, ColumnType, StrColumn};
use tantivy::fastfield::Column;

use super::bound::Deadline;
use super::docs::Docs;
use super::schema::{self, VALUE_BYTES_MAX};
use super::search::{Collect, Strand};
use super::{COUNTED_VALUES_MAX, Histogram, SearchRequest, TOP_FIELDS, TOP_VALUES};
use crate::body::SiteTable;
use crate::event::{Event, ValueRef};
use crate::fields::{self, FieldId};
use crate::query::normal;
use crate::record::{EventRecord, Record};
use crate::time::Timestamp;

/// Total, histogram and top values.
pub(super) struct Tally {
    pub(super) total: u64,
    times: Times,
    /// Empty where nobody asked for them.
    tops: Vec<(FieldId, Values)>,
    pub(super) overflow: bool,
}

/// How often each value of a field was counted; addresses as numbers, because there are many.
#[derive(Default)]
struct Values {
    texts: HashMap<String, u64>,
    addresses: HashMap<Ipv6Addr, u64, foldhash::fast::RandomState>,
}

impl Tally {
    pub(super) fn new(request: &SearchRequest) -> Self {
        let tops = if request.tops { TOP_FIELDS.map(|field| (field, Values::default())).into() } else { Vec::new() };
        Self { total: 0, times: Times::new(request), tops, overflow: false }
    }

    pub(super) fn histogram(&mut self, request: &SearchRequest) -> Histogram {
        self.times.histogram(request.buckets)
    }

    pub(super) fn top(&mut self) -> Vec<(FieldId, Vec<(String, u64)>)> {
        let ordered = |values: &mut Values| {
            let addresses = std::mem::take(&mut values.addresses).into_iter();
            let mut addresses: Vec<(IpAddr, u64)> = addresses.map(|(ip, count)| (IpAddr::V6(ip).to_canonical(), count)).collect();
            // Before they are written out: the last of the ten may be one of many of its count, which their texts order.
            addresses.sort_unstable_by_key(|(_, count)| std::cmp::Reverse(*count));
            let least = addresses.get(TOP_VALUES - 1).map_or(0, |(_, count)| *count);
            let texts = std::mem::take(&mut values.texts).into_iter();
            let addresses = addresses.into_iter().take_while(|(_, count)| *count >= least).map(|(ip, count)| (ip.to_string(), count));
            let mut values: Vec<(String, u64)> = texts.chain(addresses).collect();
            values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            values.truncate(TOP_VALUES);
            values
        };
        self.tops.iter_mut().map(|(field, values)| (*field, ordered(values))).collect()
    }
}

impl Collect for Tally {
    fn total(&self) -> u64 {
        self.total
    }

    fn add_event(&mut self, event: &Event, sites: &SiteTable) {
        self.total += 1;
        self.times.add(event.timestamp.0, 1);
        for (field, top) in &mut self.tops {
            let field = *field;
            let mut values = HashSet::new();
            EventRecord { event, sites }.any_value(field, &mut |value| {
                values.extend(countable(field, value));
                false
            });
            for value in values {
                self.overflow |= !match value {
                    Countable::Text(text) => counted(&mut top.texts, text, 1),
                    Countable::Address(address) => counted(&mut top.addresses, address, 1),
                };
            }
        }
    }

    fn add_columns(&mut self, strand: &Strand<'_>, docs: &Docs, sites: &SiteTable, deadline: &Deadline) -> tantivy::Result<()> {
        let count = docs.len();
        if count == 0 {
            return Ok(());
        }
        self.total += count;
        self.times.add_docs(strand, docs);
        let columns = strand.reader.fast_fields();
        for (field, top) in &mut self.tops {
            let field = *field;
            let name = if field == fields::SITE { schema::SITE } else { field.name() };
            if field == fields::SOURCE_IP {
                // Their codes within the segment: far cheaper to read and to count than the addresses.
                let Some((column, _)) = columns.u64_lenient_for_type(Some(&[ColumnType::IpAddr]), name)? else { continue };
                let codes = column.values.clone().downcast_arc::<CompactSpaceU64Accessor>();
                let codes = codes.map_err(|_| TantivyError::InternalError("a column of addresses of another form".into()))?;
                for (code, count) in counts(docs, &column, usize::MAX, deadline)? {
                    deadline.step()?;
                    let address = Ipv6Addr::from(codes.compact_to_u128(u32::try_from(code).unwrap_or(u32::MAX)));
                    self.overflow |= !counted(&mut top.addresses, address, count);
                }
                continue;
            }
            let Some(column) = columns.str(name)? else { continue };
            texts(docs, &column, deadline, &mut |text, count| {
                let text = if field == fields::SITE { site_name(text, sites) } else { text };
                self.overflow |= !match top.texts.get_mut(text) {
                    Some(known) => {
                        *known += count;
                        true
                    }
                    None => counted(&mut top.texts, text.to_owned(), count),
                };
            })?;
        }
        Ok(())
    }
}

/// False where there are too many different values for one more.
fn counted<K: Eq + std::hash::Hash, S: std::hash::BuildHasher>(values: &mut HashMap<K, u64, S>, value: K, count: u64) -> bool {
    if values.len() >= COUNTED_VALUES_MAX && !values.contains_key(&value) {
        return false;
    }
    *values.entry(value).or_default() += count;
    true
}

#[derive(PartialEq, Eq, Hash)]
enum Countable {
    Text(String),
    Address(Ipv6Addr),
}

/// The value as it is counted; as columns hold it.
fn countable(field: FieldId, value: ValueRef<'_>) -> Option<Countable> {
    let text = match (field, normal(field, value)) {
        (fields::SOURCE_IP, ValueRef::Ip(address)) => return Some(Countable::Address(schema::mapped(address))),
        (fields::SOURCE_IP, _) => return None,
        (_, value) => value.text().into_owned(),
    };
    (!text.is_empty() && text.len() <= VALUE_BYTES_MAX).then_some(Countable::Text(text))
}

pub(super) fn site_name<'a>(id: &str, sites: &'a SiteTable) -> &'a str {
    id.parse().map_or(crate::body::SITE_UNKNOWN_NAME, |site| sites.name(site))
}

/// Gives each value of the column with the number of documents that have it, in the dictionary's order: looked up one by
/// one, each would unpack a block of the dictionary.
fn texts(docs: &Docs, column: &StrColumn, deadline: &Deadline, each: &mut dyn FnMut(&str, u64)) -> tantivy::Result<()> {
    let dictionary = column.dictionary();
    let mut found = counts(docs, column.ords(), dictionary.num_terms(), deadline)?;
    found.sort_unstable_by_key(|(ord, _)| *ord);
    let (ords, numbers): (Vec<u64>, Vec<u64>) = found.into_iter().unzip();
    let mut numbers = numbers.into_iter();
    for ords in ords.chunks(LOOKUPS) {
        deadline.check()?;
        dictionary.sorted_ords_to_term_cb(ords, |term| {
            if let (Some(count), Ok(text)) = (numbers.next(), std::str::from_utf8(term)) {
                each(text, count);
            }
        })?;
    }
    Ok(())
}

/// Values looked up in a dictionary between two looks at the clock: some milliseconds.
const LOOKUPS: usize = 65_536;
/// Documents read from a column at once.
const BATCH: usize = 1_024;
/// With no more than so many different values for each document counted, an array of counters is cheaper than a table.
const SPARSE: u64 = 8;

/// How many of the documents have each value; `values` is above all of them where that is known.
fn counts(docs: &Docs, column: &Column<u64>, values: usize, deadline: &Deadline) -> tantivy::Result<Vec<(u64, u64)>> {
    let dense = values as u64 <= docs.len().saturating_mul(SPARSE);
    let mut counters: Vec<u32> = vec![0; if dense { values } else { 0 }];
    let mut table: HashMap<u64, u64, FixedState> = HashMap::default();
    let mut count = |value: u64| match counters.get_mut(value as usize) {
        Some(counter) => *counter += 1,
        None => *table.entry(value).or_default() += 1,
    };
    let several = column.get_cardinality() == Cardinality::Multivalued;
    let mut all = docs.iter();
    let (mut ids, mut of, mut rows, mut read) = (Vec::with_capacity(BATCH), Vec::new(), Vec::new(), Vec::new());
    let mut seen: Vec<u64> = Vec::new();
    loop {
        ids.clear();
        ids.extend(all.by_ref().take(BATCH));
        if ids.is_empty() {
            break;
        }
        deadline.step_over(BATCH)?;
        of.clear();
        rows.clear();
        read.clear();
        column.row_ids_for_docs(&ids, &mut of, &mut rows);
        read.resize(rows.len(), 0);
        column.values.get_vals(&rows, &mut read);
        if !several {
            read.iter().for_each(|value| count(*value));
            continue;
        }
        // A value that a document has twice counts once.
        let mut last = None;
        for (doc, value) in of.iter().zip(&read) {
            if last != Some(*doc) {
                seen.clear();
                last = Some(*doc);
            }
            if !seen.contains(value) {
                seen.push(*value);
                count(*value);
            }
        }
    }
    let dense = (0u64..).zip(counters).filter(|(_, count)| *count > 0).map(|(value, count)| (value, u64::from(count)));
    Ok(dense.chain(table).collect())
}

/// Counts over time: over a given range in its bars at once, else finely, and coarser as the span grows.
struct Times {
    range: Option<(i64, i64)>,
    buckets: i64,
    grain: i64,
    counts: BTreeMap<i64, u64>,
}

/// Grains kept while the span is unknown; the bars are made of them.
const GRAINS_MAX: usize = 4_096;
/// Bars that a page can show.
const BUCKETS_MAX: usize = 1_000;

impl Times {
    fn new(request: &SearchRequest) -> Self {
        let buckets = request.buckets.clamp(1, BUCKETS_MAX) as i64;
        let range = request.from.zip(request.to).map(|(from, to)| (from.0, to.0)).filter(|(from, to)| from < to);
        let grain = range.map_or(1_000, |(from, to)| width(to.saturating_sub(from), buckets));
        Self { range, buckets, grain, counts: BTreeMap::new() }
    }

    fn add(&mut self, time: i64, count: u64) {
        let start = self.range.map_or(0, |(from, _)| from);
        *self.counts.entry(time.saturating_sub(start).div_euclid(self.grain)).or_default() += count;
        while self.counts.len() > GRAINS_MAX {
            self.grain = self.grain.saturating_mul(2);
            let finer = std::mem::take(&mut self.counts);
            finer.into_iter().for_each(|(place, count)| *self.counts.entry(place.div_euclid(2)).or_default() += count);
        }
    }

    /// The documents of a strand, bar by bar: they are sorted, so each bar's first and last are found by bisection.
    fn add_docs(&mut self, strand: &Strand<'_>, docs: &Docs) {
        let origin = self.range.map_or(0, |(from, _)| from);
        let end = strand.reader.max_doc();
        let mut next = docs.next(0);
        while let Some(doc) = next {
            let time = strand.time(doc);
            let start = time.saturating_sub(origin).div_euclid(self.grain).saturating_mul(self.grain).saturating_add(origin);
            // Twice as far each time: a bar of few documents must not cost a bisection of all.
            let (mut low, mut step) = (doc, 16u32);
            let behind = loop {
                let high = low.saturating_add(step).min(end);
                if high == end || strand.time(high) < start {
                    break strand.first_before_in(low, high, start);
                }
                (low, step) = (high, step.saturating_mul(2));
            };
            self.add(time, docs.count(doc, behind));
            next = docs.next(behind);
        }
    }

    fn histogram(&self, buckets: usize) -> Histogram {
        let (Some((first, _)), Some((last, _))) = (self.counts.first_key_value(), self.counts.last_key_value()) else {
            return self.range.map_or_else(Histogram::default, |(from, _)| self.bars(from, self.grain, 0, 1));
        };
        if buckets == 0 {
            return Histogram::default();
        }
        match self.range {
            Some((from, _)) => self.bars(from, self.grain, 0, 1),
            None => {
                let grains = width(last.saturating_sub(*first).saturating_add(1), self.buckets);
                self.bars(first.saturating_mul(self.grain), grains.saturating_mul(self.grain), *first, grains)
            }
        }
    }

    fn bars(&self, start: i64, width: i64, first: i64, grains: i64) -> Histogram {
        let mut counts = vec![0; self.buckets as usize];
        for (place, count) in &self.counts {
            let bar = usize::try_from(place.saturating_sub(first) / grains).unwrap_or(usize::MAX);
            if let Some(bar) = counts.get_mut(bar) {
                *bar += count;
            }
        }
        Histogram { start: Timestamp(start), width_millis: width, counts }
    }
}

/// The width of one of `parts` equal parts that cover `span`.
fn width(span: i64, parts: i64) -> i64 {
    (span / parts + i64::from(span % parts != 0)).max(1)
}

//! One search: through time from the newest backwards, day by day, over memory and disk. What the index surely knows
//! is counted from columns; what it cannot tell is decoded from the stored line and asked, newest first, within a bound.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};

use tantivy::columnar::StrColumn;
use tantivy::fastfield::Column;
use tantivy::{DocAddress, Searcher, SegmentReader, TantivyDocument};

use super::docs::{Docs, Sure};
use super::plan::Segment;
use super::schema::{self, SEQ, TIME, VALUE_BYTES_MAX};
use super::{
    COUNTED_VALUES_MAX, Cursor, Histogram, LIMIT_MAX, Redecode, SEQS_MAX, SearchError, SearchRequest, SearchResult, TOP_FIELDS, TOP_VALUES,
    VERIFIED_MAX, Views, guarded,
};
use crate::body::SiteTable;
use crate::event::{Event, ValueRef};
use crate::fields::{self, FieldId};
use crate::frame::Seq;
use crate::query::normal;
use crate::record::{EventRecord, Record};
use crate::scope::Scope;
use crate::time::{Stopwatch, Timestamp};

pub(super) fn search(views: &Views, redecode: &Redecode, request: &SearchRequest) -> Result<SearchResult, SearchError> {
    search_within(views, redecode, request, VERIFIED_MAX)
}

/// The search with a bound on the lines it may decode.
pub(super) fn search_within(
    views: &Views,
    redecode: &Redecode,
    request: &SearchRequest,
    verified_max: usize,
) -> Result<SearchResult, SearchError> {
    if let (Some(from), Some(to)) = (request.from, request.to)
        && from > to
    {
        return Err(SearchError::Reversed);
    }
    let limit = request.limit.min(LIMIT_MAX);
    let watch = Stopwatch::start();
    let mut search = Search { views, redecode, request, verified_max, watch, damaged: views.damaged.clone(), partial: false };
    let mut tally = Tally::new(request);
    // The summary is of the whole range, a later page of what is older than its cursor: two ways through time.
    let mut page = Page::new(limit, request.before);
    if request.summary && request.before.is_some() {
        search.walk(None, Some(&mut tally));
        search.walk(Some(&mut page), None);
    } else {
        search.walk(Some(&mut page), request.summary.then_some(&mut tally));
    }
    let (hits, next) = search.read(page);
    let (histogram, top, overflow) = (tally.histogram(request), tally.top(), tally.overflow);
    let Search { mut damaged, partial, .. } = search;
    damaged.sort_unstable();
    damaged.dedup();
    Ok(SearchResult { hits, total: tally.total, histogram, top, took: watch.elapsed(), next, partial: partial || overflow, damaged })
}

struct Search<'a> {
    views: &'a Views,
    redecode: &'a Redecode,
    request: &'a SearchRequest,
    verified_max: usize,
    watch: Stopwatch,
    damaged: Vec<String>,
    partial: bool,
}

/// A segment on the way back through time; its documents are sorted newest first.
struct Strand<'a> {
    partition: &'a str,
    searcher: &'a Searcher,
    ordinal: u32,
    reader: &'a SegmentReader,
    time: Column<i64>,
    seq: Column<u64>,
    /// The next document to look at.
    at: u32,
    broken: bool,
}

impl Strand<'_> {
    fn time(&self, doc: u32) -> i64 {
        self.time.first(doc).unwrap_or(i64::MIN)
    }

    fn cursor(&self, doc: u32) -> Cursor {
        Cursor { timestamp: Timestamp(self.time(doc)), seq: Seq(self.seq.first(doc).unwrap_or(0)) }
    }

    /// The first document older than `bound`.
    fn first_before(&self, bound: i64) -> u32 {
        let (mut low, mut high) = (self.at, self.reader.max_doc());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.time(middle) >= bound { low = middle + 1 } else { high = middle }
        }
        low
    }
}

impl<'a> Search<'a> {
    fn walk(&mut self, mut page: Option<&mut Page>, mut tally: Option<&mut Tally>) {
        let mut verified = 0;
        let from = self.request.from.map_or(i64::MIN, |from| from.0);
        let mut to = self.request.to.map_or(i64::MAX, |to| to.0);
        if let (Some(page), None) = (&page, &tally)
            && let Some(before) = page.before
        {
            to = to.min(before.timestamp.0.saturating_add(1));
        }
        self.memory(from, to, &mut page, &mut tally);
        let mut strands = self.strands(to);
        // The newest document not yet looked at says which day is next.
        while let Some(newest) =
            strands.iter().filter(|strand| strand.at < strand.reader.max_doc() && !strand.broken).map(|s| s.time(s.at)).max()
        {
            if newest < from {
                break;
            }
            let day = newest.div_euclid(Timestamp::DAY).saturating_mul(Timestamp::DAY).max(from);
            if tally.is_none() && page.as_ref().is_some_and(|page| page.is_full_above(newest.saturating_add(1))) {
                break;
            }
            if let Some(complete_from) = self.day(&mut strands, day, &mut verified, &mut page, &mut tally) {
                self.partial = true;
                if let Some(page) = page {
                    page.cut(complete_from);
                }
                break;
            }
        }
    }

    /// Events that are not yet on disk.
    fn memory(&mut self, from: i64, to: i64, page: &mut Option<&mut Page>, tally: &mut Option<&mut Tally>) {
        let sites = &*self.request.sites;
        let all = self.views.partitions.values().flat_map(|view| &view.memory).flat_map(|chunk| chunk.iter());
        for (n, pending) in all.enumerate() {
            if n % 256 == 255 && self.watch.elapsed() > self.request.time_max {
                self.partial = true;
                return;
            }
            let event = &pending.event;
            let seen = (from..to).contains(&event.timestamp.0) && self.request.scope.site_allowed(event.site, sites);
            if seen && self.request.query.matches(&EventRecord { event, sites }) {
                note(event, sites, page, tally);
            }
        }
    }

    fn strands(&mut self, to: i64) -> Vec<Strand<'a>> {
        let mut strands = Vec::new();
        for (name, view) in &self.views.partitions {
            for (ordinal, reader) in (0u32..).zip(view.searcher.segment_readers()) {
                let opened = guarded(|| {
                    let columns = reader.fast_fields();
                    let (time, seq) = (columns.i64(TIME)?, columns.u64(SEQ)?);
                    let mut strand = Strand { partition: name, searcher: &view.searcher, ordinal, reader, time, seq, at: 0, broken: false };
                    strand.at = strand.first_before(to);
                    Ok(strand)
                });
                match opened {
                    Ok(strand) => strands.push(strand),
                    Err(error) => self.damage(name, &error),
                }
            }
        }
        strands
    }

    /// Everything of one day, or since `from`. Where a bound ends it early: from when on everything was looked at.
    fn day(
        &mut self,
        strands: &mut [Strand<'a>],
        day: i64,
        verified: &mut usize,
        page: &mut Option<&mut Page>,
        tally: &mut Option<&mut Tally>,
    ) -> Option<i64> {
        let mut open: Vec<(&Strand<'a>, std::vec::IntoIter<u32>)> = Vec::new();
        let mut broken = Vec::new();
        for (n, strand) in strands.iter().enumerate().filter(|(_, strand)| !strand.broken) {
            let result = guarded(|| {
                let end = strand.first_before(day);
                let sure = self.ask(strand, end)?;
                self.count(strand, &sure.certain, page, tally)?;
                let mut unclear = sure.possible;
                unclear.and_not(&sure.certain);
                // What earlier pages have shown need not be read again.
                let before = page.as_ref().and_then(|page| page.before).filter(|_| tally.is_none());
                let wanted = |doc: &u32| before.is_none_or(|before| strand.cursor(*doc) < before);
                // No more of one segment can be looked at, whatever the others hold: the bound and one group of equal times.
                Ok(unclear.iter().filter(wanted).take(2 * self.verified_max + 1).collect::<Vec<_>>())
            });
            match result {
                Ok(unclear) => open.push((strand, unclear.into_iter())),
                Err(error) => {
                    broken.push(n);
                    self.damage(strand.partition, &error);
                }
            }
        }
        let complete_from = self.verify(open, day, verified, page, tally);
        for (n, strand) in strands.iter_mut().enumerate() {
            strand.broken |= broken.contains(&n);
            if !strand.broken {
                strand.at = strand.first_before(day);
            }
        }
        complete_from
    }

    fn ask(&self, strand: &Strand<'_>, end: u32) -> tantivy::Result<Sure> {
        if strand.at >= end {
            return Ok(Sure::none(0, 0));
        }
        let segment = Segment { reader: strand.reader, sites: &self.request.sites, lo: strand.at, hi: end };
        let visible = segment.visible(&self.request.scope)?;
        if visible.is_empty() {
            return Ok(Sure::none(strand.at, end));
        }
        let mut sure = segment.eval(self.request.query.root(), &visible)?;
        sure.and(&Sure::exactly(visible));
        Ok(sure)
    }

    fn count(&self, strand: &Strand<'_>, docs: &Docs, page: &mut Option<&mut Page>, tally: &mut Option<&mut Tally>) -> tantivy::Result<()> {
        if let Some(page) = page {
            for doc in docs.iter() {
                let source = || Source::Stored(strand.partition.to_owned(), DocAddress::new(strand.ordinal, doc));
                if !page.offer(strand.cursor(doc), source) {
                    // Sorted: what follows is older still.
                    break;
                }
            }
        }
        match tally {
            Some(tally) => tally.add_columns(strand, docs, &self.request.sites),
            None => Ok(()),
        }
    }

    /// Decodes what the index could not tell, newest first over all segments.
    fn verify(
        &mut self,
        mut open: Vec<(&Strand<'a>, std::vec::IntoIter<u32>)>,
        day: i64,
        verified: &mut usize,
        page: &mut Option<&mut Page>,
        tally: &mut Option<&mut Tally>,
    ) -> Option<i64> {
        let sites = &*self.request.sites;
        let mut last = i64::MAX;
        loop {
            let times = open.iter().map(|(strand, docs)| docs.as_slice().first().map(|doc| strand.time(*doc)));
            let Some((n, time)) = times.enumerate().filter_map(|(n, time)| Some((n, time?))).max_by_key(|(_, time)| *time) else { break };
            let late = *verified % 32 == 31 && self.watch.elapsed() > self.request.time_max;
            let used_up = *verified >= self.verified_max || late;
            // Ends between two moments, so that a next page can go on there; within one only far beyond the bound.
            let far_beyond = *verified >= 2 * self.verified_max || (late && self.watch.elapsed() > self.request.time_max * 2);
            if used_up && (time < last || far_beyond) {
                return Some(last.min(time.saturating_add(1)));
            }
            if tally.is_none() && page.as_ref().is_some_and(|page| page.is_full_above(time.saturating_add(1))) {
                break;
            }
            last = time;
            let Some((strand, docs)) = open.get_mut(n) else { break };
            let (Some(doc), partition) = (docs.next(), strand.partition) else { break };
            *verified += 1;
            let address = DocAddress::new(strand.ordinal, doc);
            match guarded(|| stored(strand.searcher, address, self.redecode)) {
                Ok(event) => {
                    if self.request.query.matches(&EventRecord { event: &event, sites }) {
                        note(&event, sites, page, tally);
                    }
                }
                Err(error) => {
                    self.damage(partition, &error);
                    open.remove(n);
                }
            }
        }
        (self.watch.elapsed() > self.request.time_max).then_some(day)
    }

    /// The page's events and where the next one begins.
    fn read(&mut self, page: Page) -> (Vec<Event>, Option<Cursor>) {
        let mut newest_first = page.found.into_iter().rev();
        let mut hits = Vec::new();
        let mut last = None;
        for (cursor, source) in newest_first.by_ref().take(page.limit) {
            last = Some(cursor);
            match source {
                Source::Event(event) => hits.push(*event),
                Source::Stored(partition, address) => {
                    let Some(view) = self.views.partitions.get(&partition) else { continue };
                    match guarded(|| stored(&view.searcher, address, self.redecode)) {
                        Ok(event) => hits.push(event),
                        Err(error) => self.damage(&partition, &error),
                    }
                }
            }
        }
        let more = newest_first.next().is_some();
        let cut = page.cut.map(|from| Cursor { timestamp: Timestamp(from), seq: Seq(0) });
        (hits, if more { last } else { cut })
    }

    fn damage(&mut self, partition: &str, error: &dyn std::fmt::Display) {
        tracing::error!(partition, %error, "event store: partition cannot be read");
        self.damaged.push(partition.to_owned());
        self.partial = true;
    }
}

/// The event of a stored document. One that cannot be decoded any more is still shown, as its line.
fn stored(searcher: &Searcher, address: DocAddress, redecode: &Redecode) -> tantivy::Result<Event> {
    let document: TantivyDocument = searcher.doc(address)?;
    let (frame, context) = match schema::stored_of(&document, searcher.schema()) {
        Some(schema::Stored::Frame(frame, context)) => (frame, context),
        Some(schema::Stored::Bare(event)) => return Ok(event),
        None => return Err(tantivy::TantivyError::InternalError("a stored frame cannot be read".into())),
    };
    Ok(redecode(&frame, context).unwrap_or_else(|| {
        let inner = &frame.frame;
        Event::new(frame.seq, inner.received_at, inner.site, inner.peer, inner.transport, &inner.payload)
    }))
}

fn note(event: &Event, sites: &SiteTable, page: &mut Option<&mut Page>, tally: &mut Option<&mut Tally>) {
    if let Some(page) = page {
        let cursor = Cursor { timestamp: event.timestamp, seq: event.seq };
        page.offer(cursor, || Source::Event(Box::new(event.clone())));
    }
    if let Some(tally) = tally {
        tally.add_event(event, sites);
    }
}

/// The newest hits before a cursor; one more than asked for, to know whether there are more.
struct Page {
    limit: usize,
    before: Option<Cursor>,
    found: BTreeMap<Cursor, Source>,
    /// From when on everything was looked at, where a bound ended the search early.
    cut: Option<i64>,
}

enum Source {
    Event(Box<Event>),
    Stored(String, DocAddress),
}

impl Page {
    fn new(limit: usize, before: Option<Cursor>) -> Self {
        Self { limit, before, found: BTreeMap::new(), cut: None }
    }

    /// Takes a hit if it is new enough; false where nothing older can come in any more.
    fn offer(&mut self, cursor: Cursor, source: impl FnOnce() -> Source) -> bool {
        if self.before.is_some_and(|before| cursor >= before) {
            return true;
        }
        if self.found.len() > self.limit {
            if self.found.first_key_value().is_some_and(|(oldest, _)| cursor < *oldest) {
                // Of equal times the order within a segment is not the sequence's: only an older time ends it.
                return self.found.first_key_value().is_some_and(|(oldest, _)| cursor.timestamp == oldest.timestamp);
            }
            self.found.pop_first();
        }
        self.found.insert(cursor, source());
        true
    }

    /// Whether the page is full with hits at or after `time`.
    fn is_full_above(&self, time: i64) -> bool {
        self.found.len() > self.limit && self.found.first_key_value().is_some_and(|(oldest, _)| oldest.timestamp.0 >= time)
    }

    fn cut(&mut self, from: i64) {
        self.found = self.found.split_off(&Cursor { timestamp: Timestamp(from), seq: Seq(0) });
        self.cut = Some(from);
    }
}

/// Total, histogram and top values.
struct Tally {
    total: u64,
    times: Times,
    tops: [HashMap<String, u64>; TOP_FIELDS.len()],
    overflow: bool,
}

impl Tally {
    fn new(request: &SearchRequest) -> Self {
        Self { total: 0, times: Times::new(request), tops: Default::default(), overflow: false }
    }

    fn add_event(&mut self, event: &Event, sites: &SiteTable) {
        self.total += 1;
        self.times.add(event.timestamp.0, 1);
        for (n, field) in TOP_FIELDS.into_iter().enumerate() {
            let mut values = HashSet::new();
            EventRecord { event, sites }.any_value(field, &mut |value| {
                values.extend(countable(field, value));
                false
            });
            values.into_iter().for_each(|value| self.value(n, value, 1));
        }
    }

    fn add_columns(&mut self, strand: &Strand<'_>, docs: &Docs, sites: &SiteTable) -> tantivy::Result<()> {
        let mut count = 0;
        for doc in docs.iter() {
            count += 1;
            self.times.add(strand.time(doc), 1);
        }
        if count == 0 {
            return Ok(());
        }
        self.total += count;
        let columns = strand.reader.fast_fields();
        for (n, field) in TOP_FIELDS.into_iter().enumerate() {
            let name = if field == fields::SITE { schema::SITE } else { field.name() };
            if field == fields::SOURCE_IP {
                let Some(column) = columns.column_opt::<Ipv6Addr>(name)? else { continue };
                for (ip, count) in counts(docs, &column) {
                    self.value(n, IpAddr::V6(ip).to_canonical().to_string(), count);
                }
                continue;
            }
            let Some(column) = columns.str(name)? else { continue };
            for (text, count) in texts(docs, &column)? {
                let text = if field == fields::SITE { site_name(&text, sites) } else { text };
                self.value(n, text, count);
            }
        }
        Ok(())
    }

    fn value(&mut self, n: usize, value: String, count: u64) {
        let Some(values) = self.tops.get_mut(n) else { return };
        if values.len() >= COUNTED_VALUES_MAX && !values.contains_key(&value) {
            self.overflow = true;
            return;
        }
        *values.entry(value).or_default() += count;
    }

    fn histogram(&mut self, request: &SearchRequest) -> Histogram {
        self.times.histogram(request.buckets)
    }

    fn top(&mut self) -> Vec<(FieldId, Vec<(String, u64)>)> {
        let ordered = |values: &mut HashMap<String, u64>| {
            let mut values: Vec<(String, u64)> = std::mem::take(values).into_iter().collect();
            values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            values.truncate(TOP_VALUES);
            values
        };
        TOP_FIELDS.into_iter().zip(self.tops.iter_mut().map(ordered)).collect()
    }
}

/// The value as it is counted; as columns hold it.
fn countable(field: FieldId, value: ValueRef<'_>) -> Option<String> {
    let text = match (field, normal(field, value)) {
        (fields::SOURCE_IP, ValueRef::Ip(address)) => address.to_string(),
        (fields::SOURCE_IP, _) => return None,
        (_, value) => value.text().into_owned(),
    };
    (!text.is_empty() && text.len() <= VALUE_BYTES_MAX).then_some(text)
}

fn site_name(id: &str, sites: &SiteTable) -> String {
    id.parse().map_or_else(|_| crate::body::SITE_UNKNOWN_NAME.to_owned(), |site| sites.name(site).to_owned())
}

fn texts(docs: &Docs, column: &StrColumn) -> tantivy::Result<Vec<(String, u64)>> {
    let mut all = Vec::new();
    for (ord, count) in counts(docs, column.ords()) {
        let mut text = String::new();
        column.ord_to_str(ord, &mut text)?;
        all.push((text, count));
    }
    Ok(all)
}

/// How many of the documents have each value.
fn counts<T: PartialOrd + Ord + Copy + std::hash::Hash + std::fmt::Debug + Send + Sync + 'static>(
    docs: &Docs,
    column: &Column<T>,
) -> HashMap<T, u64> {
    let mut counts = HashMap::new();
    let mut values: Vec<T> = Vec::new();
    for doc in docs.iter() {
        values.clear();
        values.extend(column.values_for_doc(doc));
        if values.len() > 1 {
            values.sort_unstable();
            values.dedup();
        }
        values.iter().for_each(|value| *counts.entry(*value).or_default() += 1);
    }
    counts
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

pub(super) fn by_seq(views: &Views, redecode: &Redecode, seqs: &[Seq], scope: &Scope, sites: &SiteTable) -> Vec<Event> {
    let wanted: HashSet<u64> = seqs.iter().take(SEQS_MAX).map(|seq| seq.0).collect();
    let (Some(low), Some(high)) = (wanted.iter().min().copied(), wanted.iter().max().copied()) else { return Vec::new() };
    let mut found = BTreeMap::new();
    for (name, view) in &views.partitions {
        for pending in view.memory.iter().flat_map(|chunk| chunk.iter()).filter(|pending| wanted.contains(&pending.event.seq.0)) {
            found.insert(pending.event.seq, pending.event.clone());
        }
        for (ordinal, reader) in (0u32..).zip(view.searcher.segment_readers()) {
            let read = guarded(|| {
                let column = reader.fast_fields().u64(SEQ)?;
                if reader.max_doc() == 0 || high < column.min_value() || low > column.max_value() {
                    return Ok(());
                }
                for doc in (0..reader.max_doc()).filter(|doc| column.first(*doc).is_some_and(|seq| wanted.contains(&seq))) {
                    let event = stored(&view.searcher, DocAddress::new(ordinal, doc), redecode)?;
                    found.insert(event.seq, event);
                }
                Ok(())
            });
            if let Err(error) = read {
                tracing::error!(partition = name, %error, "event store: partition cannot be read");
            }
        }
    }
    found.into_values().filter(|event| scope.site_allowed(event.site, sites)).collect()
}

//! One search: through time from the newest backwards, day by day, over memory and disk. What the index surely knows
//! is counted from columns; what it cannot tell is decoded from the stored line and asked, newest first, within a bound.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::time::Duration;

use tantivy::fastfield::Column;
use tantivy::{DocAddress, Searcher, SegmentReader};

use super::bound::Deadline;
use super::docs::{Docs, Sure};
use super::lines::Line;
use super::page::{Page, Source};
use super::partition;
use super::plan::Segment;
use super::schema::{SEQ, TIME};
use super::stored::{Keep, Lines, Stored};
use super::tally::Tally;
use super::views::{View, Views};
use super::{Cursor, LIMIT_MAX, Progress, Redecode, SearchError, SearchRequest, SearchResult, VERIFIED_MAX, guarded};
use crate::body::SiteTable;
use crate::event::Event;
use crate::frame::Seq;
use crate::record::EventRecord;
use crate::time::Timestamp;

/// Documents of one segment that the first stretch of time reaches over, so that the newest hits are there soon; each
/// further stretch reaches over twice as many, because each walks the dictionaries anew. In tests few, to have several.
const STRETCH_DOCS_MIN: u32 = if cfg!(test) { 7 } else { 65_536 };
/// A stretch is what a search looks at as a whole: it holds some numbers for each document of it.
const STRETCH_DOCS_MAX: u32 = 4_194_304;
/// How much longer than it may a search looks at lines of one and the same moment, behind which a next page could go on.
const MOMENT_TIME_MAX: Duration = Duration::from_millis(100);

pub(super) fn search(
    views: &Views,
    redecode: &Redecode,
    request: &SearchRequest,
    progress: &mut dyn FnMut(&Progress),
) -> Result<SearchResult, SearchError> {
    search_within(views, redecode, request, VERIFIED_MAX, progress)
}

/// The search with a bound on the lines it may decode.
pub(super) fn search_within(
    views: &Views,
    redecode: &Redecode,
    request: &SearchRequest,
    verified_max: usize,
    progress: &mut dyn FnMut(&Progress),
) -> Result<SearchResult, SearchError> {
    ordered(request)?;
    let limit = request.limit.min(LIMIT_MAX);
    let mut search = Search::new(views, redecode, request, verified_max, progress);
    let mut tally = Tally::new(request);
    // The summary is of the whole range, a later page of what is older than its cursor: two ways through time.
    let mut page = Page::new(limit, request.before);
    if request.summary && request.before.is_some() {
        search.walk(None, Some(&mut tally));
        search.walk(Some(&mut page), None);
    } else {
        search.walk(Some(&mut page), if request.summary { Some(&mut tally) } else { None });
    }
    let (hits, next) = search.read(page);
    let (histogram, top, overflow) = (tally.histogram(request), tally.top(), tally.overflow);
    let took = search.deadline.elapsed();
    let Search { mut damaged, partial, ended_early, .. } = search;
    damaged.sort_unstable();
    damaged.dedup();
    let (partial, ended_early) = (partial || overflow, ended_early || overflow);
    Ok(SearchResult { hits, total: tally.total, histogram, top, took, next, partial, ended_early, damaged })
}

/// What is gathered of all matches on the way through time.
pub(super) trait Collect {
    /// Matches so far.
    fn total(&self) -> u64;
    /// Documents whose stored lines must be read, because columns do not tell all that is gathered; `None` for none.
    fn unheld(&self, _segment: &Segment<'_>) -> tantivy::Result<Option<Docs>> {
        Ok(None)
    }
    /// # Errors
    /// Damage; or the search's time is over: then part of them may be counted.
    fn add_columns(&mut self, strand: &Strand<'_>, docs: &Docs, sites: &SiteTable, deadline: &Deadline) -> tantivy::Result<()>;
    fn add_event(&mut self, event: &Event, sites: &SiteTable);
}

/// How a walk through all matches went.
pub(super) struct Walked {
    pub(super) took: Duration,
    pub(super) partial: bool,
    pub(super) ended_early: bool,
    pub(super) damaged: Vec<String>,
}

/// Gives all matches to `collect`; no hits are kept.
pub(super) fn walk(
    views: &Views,
    redecode: &Redecode,
    request: &SearchRequest,
    collect: &mut dyn Collect,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Walked, SearchError> {
    ordered(request)?;
    let mut search = Search::new(views, redecode, request, VERIFIED_MAX, progress);
    search.walk(None, Some(collect));
    let took = search.deadline.elapsed();
    let Search { mut damaged, partial, ended_early, .. } = search;
    damaged.sort_unstable();
    damaged.dedup();
    Ok(Walked { took, partial, ended_early, damaged })
}

fn ordered(request: &SearchRequest) -> Result<(), SearchError> {
    match (request.from, request.to) {
        (Some(from), Some(to)) if from > to => Err(SearchError::Reversed),
        _ => Ok(()),
    }
}

/// A page of hits that are not read yet: for who reads them one by one.
pub(super) struct Leaf {
    /// Newest first.
    pub(super) hits: Vec<(Cursor, Source)>,
    /// Behind which hit the next page begins.
    pub(super) next: Option<Cursor>,
    pub(super) partial: bool,
    /// A bound or somebody ended it, whatever was damaged.
    pub(super) ended_early: bool,
    pub(super) damaged: Vec<String>,
}

/// Up to `limit` hits, without a summary and without reading more than their places.
pub(super) fn leaf(views: &Views, redecode: &Redecode, request: &SearchRequest, limit: usize) -> Leaf {
    let mut idle = |_: &Progress| ();
    let mut search = Search::new(views, redecode, request, usize::MAX / 4, &mut idle);
    let mut page = Page::new(limit, request.before);
    search.walk(Some(&mut page), None);
    let (hits, next) = page.close();
    Leaf { hits, next, partial: search.partial, ended_early: search.ended_early, damaged: search.damaged }
}

struct Search<'a> {
    views: &'a Views,
    redecode: &'a Redecode,
    request: &'a SearchRequest,
    verified_max: usize,
    deadline: Deadline,
    progress: &'a mut dyn FnMut(&Progress),
    damaged: Vec<String>,
    partial: bool,
    ended_early: bool,
}

/// A segment on the way back through time; its documents are sorted newest first.
pub(super) struct Strand<'a> {
    partition: &'a str,
    searcher: Searcher,
    ordinal: u32,
    pub(super) reader: SegmentReader,
    pub(super) time: Column<i64>,
    seq: Column<u64>,
    /// Opened where lines are read.
    keep: OnceCell<Keep>,
    /// The next document to look at.
    at: u32,
    broken: bool,
}

impl Strand<'_> {
    pub(super) fn time(&self, doc: u32) -> i64 {
        self.time.first(doc).unwrap_or(i64::MIN)
    }

    fn cursor(&self, doc: u32) -> Cursor {
        Cursor { timestamp: Timestamp(self.time(doc)), seq: Seq(self.seq.first(doc).unwrap_or(0)) }
    }

    fn read(&self, doc: u32) -> tantivy::Result<Stored> {
        let keep = match self.keep.get() {
            Some(keep) => keep,
            None => {
                let opened = Keep::open(&self.reader)?;
                self.keep.get_or_init(|| opened)
            }
        };
        keep.read(&self.searcher, DocAddress::new(self.ordinal, doc))
    }

    fn source(&self, doc: u32) -> Source {
        Source::Stored(self.partition.to_owned(), self.searcher.clone(), DocAddress::new(self.ordinal, doc))
    }

    /// The first document older than `bound`.
    fn first_before(&self, bound: i64) -> u32 {
        self.first_before_in(self.at, self.reader.max_doc(), bound)
    }

    /// The first document of `low..high` older than `bound`; `high` where there is none.
    pub(super) fn first_before_in(&self, mut low: u32, mut high: u32, bound: i64) -> u32 {
        while low < high {
            let middle = low + (high - low) / 2;
            if self.time(middle) >= bound { low = middle + 1 } else { high = middle }
        }
        low
    }
}

impl<'a> Search<'a> {
    fn new(
        views: &'a Views,
        redecode: &'a Redecode,
        request: &'a SearchRequest,
        verified_max: usize,
        progress: &'a mut dyn FnMut(&Progress),
    ) -> Self {
        let deadline = Deadline::new(request.time_max, request.cancel.clone());
        let (from, to) = reach(request);
        // A day that nobody asked for is not missing. What is in it by its receipt, because nobody believes its own time
        // (`consumer::day_of`), is not told of: else each damaged day would stand below every search.
        let damaged = views.damaged.iter().filter(|name| day_touches(name, from, to)).cloned().collect();
        Self { views, redecode, request, verified_max, deadline, progress, damaged, partial: false, ended_early: false }
    }

    fn walk(&mut self, mut page: Option<&mut Page>, mut tally: Option<&mut dyn Collect>) {
        let mut verified = 0;
        let (from, mut to) = reach(self.request);
        if let (Some(page), None) = (&page, &tally)
            && let Some(before) = page.before
        {
            // Where a bound ended the page before, its whole moment was looked at: no sequence is below 0.
            to = to.min(before.timestamp.0.saturating_add(i64::from(before.seq > Seq(0))));
        }
        self.memory(from, to, &mut page, &mut tally);
        let mut closed = self.closed(from, to);
        let parts_of = closed.len();
        let mut strands = Vec::new();
        let mut reach = STRETCH_DOCS_MIN;
        // The newest document not yet looked at says which stretch of time is next.
        while let Some(newest) = self.newest(&mut strands, &mut closed, to) {
            if newest < from {
                break;
            }
            if tally.is_none() && page.as_ref().is_some_and(|page| page.is_full_above(newest.saturating_add(1))) {
                break;
            }
            let start = stretch(&strands, newest, reach).max(from);
            reach = reach.saturating_mul(2).min(STRETCH_DOCS_MAX);
            if let Some(complete_from) = self.stretch(&mut strands, newest, start, &mut verified, &mut page, &mut tally) {
                (self.partial, self.ended_early) = (true, true);
                if let Some(page) = page {
                    page.cut(complete_from);
                }
                break;
            }
            let hits = tally.as_ref().map(|tally| tally.total()).or(page.as_ref().map(|page| page.found.len() as u64)).unwrap_or(0);
            let parts_done = parts_of.saturating_sub(closed.len() + parts(&strands, from));
            (self.progress)(&Progress { parts_done, parts_of, back_to: Timestamp(start), hits });
            // A full page needs no older day: none is opened for it.
            if tally.is_none() && page.as_ref().is_some_and(|page| page.is_full_above(start)) {
                break;
            }
        }
    }

    /// Events that are not yet on disk.
    fn memory(&mut self, from: i64, to: i64, page: &mut Option<&mut Page>, tally: &mut Option<&mut dyn Collect>) {
        let sites = &*self.request.sites;
        for chunk in self.views.partitions.values().flat_map(|view| &view.memory) {
            for (n, pending) in chunk.iter().enumerate() {
                let event = &pending.event;
                if self.deadline.step_over(event.raw().len()).is_err() {
                    (self.partial, self.ended_early) = (true, true);
                    return;
                }
                let seen = (from..to).contains(&event.timestamp.0) && self.request.scope.site_allowed(event.site, sites);
                if seen && self.request.query.matches(&EventRecord { event, sites }) {
                    if let Some(page) = page {
                        let cursor = Cursor { timestamp: event.timestamp, seq: event.seq };
                        page.offer(cursor, || Source::Memory(chunk.clone(), n));
                    }
                    if let Some(tally) = tally {
                        tally.add_event(event, sites);
                    }
                }
            }
        }
    }

    /// The partitions that may hold something of `from..to`, the newest last: none of the others is opened.
    fn closed(&self, from: i64, to: i64) -> Vec<(&'a str, &'a View)> {
        let touched = self.views.partitions.iter().filter(|(_, view)| view.touches(from, to));
        let mut closed: Vec<(&str, &View)> = touched.map(|(name, view)| (name.as_str(), view)).collect();
        closed.sort_by_key(|(_, view)| view.newest_on_disk());
        closed
    }

    /// The newest time not yet looked at, with everything open that holds something of its day; what was looked at is closed.
    fn newest(&mut self, strands: &mut Vec<Strand<'a>>, closed: &mut Vec<(&'a str, &'a View)>, to: i64) -> Option<i64> {
        strands.retain(|strand| strand.at < strand.reader.max_doc() && !strand.broken);
        loop {
            let newest = strands.iter().map(|strand| strand.time(strand.at)).max();
            let due = closed.last().is_some_and(|(_, view)| newest.is_none_or(|newest| view.newest_on_disk() >= day_of(newest)));
            let Some((name, view)) = closed.pop_if(|_| due) else { return newest };
            self.open(name, view, to, strands);
            strands.retain(|strand| strand.at < strand.reader.max_doc());
        }
    }

    fn open(&mut self, name: &'a str, view: &View, to: i64, strands: &mut Vec<Strand<'a>>) {
        let searcher = match view.searcher() {
            Ok(searcher) => searcher,
            Err(error) => return self.damage(name, &error),
        };
        for (ordinal, reader) in (0u32..).zip(searcher.segment_readers()) {
            let opened = guarded(|| {
                let columns = reader.fast_fields();
                let (time, seq, reader) = (columns.i64(TIME)?, columns.u64(SEQ)?, reader.clone());
                let (searcher, keep) = (searcher.clone(), OnceCell::new());
                let mut strand = Strand { partition: name, searcher, ordinal, reader, time, seq, keep, at: 0, broken: false };
                strand.at = strand.first_before(to);
                Ok(strand)
            });
            match opened {
                Ok(strand) => strands.push(strand),
                Err(error) => self.damage(name, &error),
            }
        }
    }

    /// Everything from `newest` back to `start`. Where a bound ends it early: from when on everything was looked at.
    fn stretch(
        &mut self,
        strands: &mut [Strand<'a>],
        newest: i64,
        start: i64,
        verified: &mut usize,
        page: &mut Option<&mut Page>,
        tally: &mut Option<&mut dyn Collect>,
    ) -> Option<i64> {
        let mut open: Vec<Unclear<'_, 'a>> = Vec::new();
        let mut broken = Vec::new();
        for (n, strand) in strands.iter().enumerate().filter(|(_, strand)| !strand.broken) {
            let result = guarded(|| {
                let end = strand.first_before(start);
                if strand.at >= end {
                    return Ok(None);
                }
                let mut sure = self.ask(strand, end)?;
                let unheld = match tally {
                    Some(tally) => tally.unheld(&self.segment(strand, end))?,
                    None => None,
                };
                if let Some(unheld) = &unheld {
                    sure.certain.and_not(unheld);
                }
                self.count(strand, &sure.certain, page, tally)?;
                let mut unclear = sure.possible;
                unclear.and_not(&sure.certain);
                // What earlier pages have shown need not be read again.
                let before = page.as_ref().and_then(|page| page.before).filter(|_| tally.is_none());
                let wanted = |doc: &u32| before.is_none_or(|before| strand.cursor(*doc) < before);
                // No more of one segment can be looked at, whatever the others hold: the bound and one group of equal times.
                let docs: Vec<u32> = unclear.iter().filter(wanted).take((2 * self.verified_max).saturating_add(1)).collect();
                Ok((!docs.is_empty()).then(|| Unclear { strand, docs: docs.into_iter(), found: Docs::none(strand.at, end), unheld }))
            });
            match result {
                Ok(unclear) => open.extend(unclear),
                Err(_) if self.deadline.was_over() => return Some(newest.saturating_add(1)),
                Err(error) => {
                    broken.push(n);
                    self.damage(strand.partition, &error);
                }
            }
        }
        let mut complete_from = self.verify(&mut open, start, verified, page, tally);
        if let Some(tally) = tally {
            for Unclear { strand, found, .. } in open {
                match guarded(|| tally.add_columns(strand, &found, &self.request.sites, &self.deadline)) {
                    Ok(()) => {}
                    // Its hits are all there, not all of them are counted.
                    Err(_) if self.deadline.was_over() => complete_from = complete_from.or(Some(start)),
                    Err(error) => self.damage(strand.partition, &error),
                }
            }
        }
        for (n, strand) in strands.iter_mut().enumerate() {
            strand.broken |= broken.contains(&n);
            if !strand.broken {
                strand.at = strand.first_before(start);
            }
        }
        complete_from
    }

    fn segment<'s>(&'s self, strand: &'s Strand<'_>, end: u32) -> Segment<'s> {
        let (lo, hi) = (strand.at, end.max(strand.at));
        Segment { reader: &strand.reader, sites: &self.request.sites, deadline: &self.deadline, lo, hi }
    }

    fn ask(&self, strand: &Strand<'_>, end: u32) -> tantivy::Result<Sure> {
        if strand.at >= end {
            return Ok(Sure::none(strand.at, strand.at));
        }
        self.deadline.check()?;
        let segment = self.segment(strand, end);
        let mut visible = segment.visible(&self.request.scope)?;
        segment.without_deleted(&mut visible);
        if visible.is_empty() {
            return Ok(Sure::none(strand.at, end));
        }
        let mut sure = segment.eval(self.request.query.root(), &visible)?;
        sure.and(&Sure::exactly(visible));
        Ok(sure)
    }

    fn count(
        &self,
        strand: &Strand<'_>,
        docs: &Docs,
        page: &mut Option<&mut Page>,
        tally: &mut Option<&mut dyn Collect>,
    ) -> tantivy::Result<()> {
        if let Some(page) = page {
            for doc in docs.iter() {
                if !page.offer(strand.cursor(doc), || strand.source(doc)) {
                    // Sorted: what follows is older still.
                    break;
                }
            }
        }
        match tally {
            Some(tally) => tally.add_columns(strand, docs, &self.request.sites, &self.deadline),
            None => Ok(()),
        }
    }

    /// Reads the lines of what the index could not tell, newest first over all segments.
    fn verify(
        &mut self,
        open: &mut Vec<Unclear<'_, 'a>>,
        start: i64,
        verified: &mut usize,
        page: &mut Option<&mut Page>,
        tally: &mut Option<&mut dyn Collect>,
    ) -> Option<i64> {
        let mut last = i64::MAX;
        loop {
            let times = open.iter().map(|unclear| unclear.docs.as_slice().first().map(|doc| unclear.strand.time(*doc)));
            let Some((n, time)) = times.enumerate().filter_map(|(n, time)| Some((n, time?))).max_by_key(|(_, time)| *time) else { break };
            let late = self.deadline.was_over() || (*verified % 32 == 31 && self.deadline.is_over());
            let used_up = *verified >= self.verified_max || late;
            // Ends between two moments, so that a next page can go on there; within one only far beyond the bound.
            let far_beyond = *verified >= 2 * self.verified_max
                || (late && (self.request.cancel.is_cancelled() || self.deadline.elapsed() > self.request.time_max + MOMENT_TIME_MAX));
            if used_up && (time < last || far_beyond) {
                return Some(last.min(time.saturating_add(1)));
            }
            if tally.is_none() && page.as_ref().is_some_and(|page| page.is_full_above(time.saturating_add(1))) {
                break;
            }
            last = time;
            let Some(unclear) = open.get_mut(n) else { break };
            let Some(doc) = unclear.docs.next() else { break };
            *verified += 1;
            let strand = unclear.strand;
            // Columns do not tell all of it: then the whole event is gathered.
            let whole = unclear.unheld.as_ref().is_some_and(|unheld| unheld.contains(doc));
            let holds = guarded(|| {
                let stored = strand.read(doc)?;
                if let Stored::Frame(frame, _) = &stored {
                    // It is noted, and looked at before the next line.
                    let _ = self.deadline.step_over(frame.frame.payload.len());
                }
                Ok(self.holds(stored, whole))
            });
            match holds {
                Ok((true, event)) => {
                    match (event, &mut *tally) {
                        (Some(event), Some(tally)) => tally.add_event(&event, &self.request.sites),
                        _ => unclear.found.insert(doc),
                    }
                    if let Some(page) = page {
                        page.offer(strand.cursor(doc), || strand.source(doc));
                    }
                }
                Ok((false, _)) => {}
                Err(error) => {
                    let partition = strand.partition;
                    unclear.docs = Vec::new().into_iter();
                    self.damage(partition, &error);
                }
            }
        }
        self.deadline.is_over().then_some(start)
    }

    /// Whether a stored line matches; and where it does and is wanted, its event.
    fn holds(&self, stored: Stored, wanted: bool) -> (bool, Option<Event>) {
        let (query, sites) = (&self.request.query, &*self.request.sites);
        match stored {
            Stored::Bare(event) => {
                let holds = query.matches(&EventRecord { event: &event, sites });
                (holds, (holds && wanted).then_some(event))
            }
            Stored::Frame(frame, context) => {
                let line = Line::new(&frame, context, self.redecode, sites);
                let holds = query.matches(&line);
                (holds, (holds && wanted).then(|| line.event().clone()))
            }
        }
    }

    /// The page's events and where the next one begins.
    fn read(&mut self, page: Page) -> (Vec<Event>, Option<Cursor>) {
        let (found, next) = page.close();
        let mut hits = Vec::with_capacity(found.len());
        let mut lines = Lines::new(self.redecode);
        for (_, source) in found {
            match source.event(&mut lines) {
                Ok(event) => hits.push(event),
                Err((partition, error)) => self.damage(&partition, &error),
            }
        }
        (hits, next)
    }

    fn damage(&mut self, partition: &str, error: &dyn std::fmt::Display) {
        tracing::error!(partition, %error, "event store: partition cannot be read");
        if let Some(view) = self.views.partitions.get(partition) {
            view.part.is_broken();
        }
        self.damaged.push(partition.to_owned());
        self.partial = true;
    }
}

/// From when until before when it is searched: what the query itself says of the time spares other days the asking.
fn reach(request: &SearchRequest) -> (i64, i64) {
    let (first, last) = request.query.time_bounds();
    let from = request.from.map_or(first, |from| from.0.max(first));
    (from, request.to.map_or(i64::MAX, |to| to.0).min(last.saturating_add(1)))
}

/// Whether a partition's day, by its name alone, has something of `from..to`; where the name says no day it may.
fn day_touches(name: &str, from: i64, to: i64) -> bool {
    let begin = partition::day_begin(partition::day_of(name));
    begin.is_none_or(|begin| begin.0 < to && begin.0.saturating_add(Timestamp::DAY) > from)
}

/// When the day of a moment begins.
fn day_of(time: i64) -> i64 {
    time.div_euclid(Timestamp::DAY).saturating_mul(Timestamp::DAY)
}

/// Segments' partitions that still have something to be looked at.
fn parts(strands: &[Strand<'_>], from: i64) -> usize {
    let open = |strand: &&Strand<'_>| strand.at < strand.reader.max_doc() && !strand.broken && strand.time(strand.at) >= from;
    strands.iter().filter(open).map(|strand| strand.partition).collect::<HashSet<_>>().len()
}

/// How far the next stretch goes back: within its day, and over no more than `reach` documents of the first segment.
fn stretch(strands: &[Strand<'_>], newest: i64, reach: u32) -> i64 {
    let day = day_of(newest);
    let far = |strand: &Strand<'_>| {
        let doc = strand.at.checked_add(reach).filter(|doc| *doc < strand.reader.max_doc() && !strand.broken)?;
        Some(strand.time(doc))
    };
    strands.iter().filter_map(far).max().unwrap_or(day).clamp(day, newest)
}

/// Documents of one strand that only their lines can tell.
struct Unclear<'s, 'a> {
    strand: &'s Strand<'a>,
    docs: std::vec::IntoIter<u32>,
    /// Those that were told to match.
    found: Docs,
    /// Those of which columns do not tell all that is gathered.
    unheld: Option<Docs>,
}

//! Single events by their sequence, and what the same source said just before and after: the lines around one, in the
//! order in which they were received, whatever their clocks said.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::net::Ipv6Addr;
use std::time::Duration;

use tantivy::schema::{IndexRecordOption, Term};
use tantivy::{DocAddress, DocSet, SegmentReader, TERMINATED};

use super::bound::Deadline;
use super::schema::{self, SEQ, SITE};
use super::stored::Lines;
use super::{Cancel, EventStore, Redecode, SEQS_MAX, Views, guarded};
use crate::body::SiteTable;
use crate::event::Event;
use crate::fields;
use crate::frame::Seq;
use crate::scope::Scope;

/// Lines before and after that are given at most: what somebody reads.
pub const CONTEXT_LINES_MAX: usize = 500;

/// How long the neighbours are looked for: a page waits for them, and a source of a year has millions of lines.
pub const CONTEXT_TIME_MAX: Duration = Duration::from_secs(5);

/// Which lines around which event.
#[derive(Clone, Debug)]
pub struct ContextRequest<'a> {
    pub seq: Seq,
    /// At most `CONTEXT_LINES_MAX` each.
    pub before: usize,
    pub after: usize,
    pub scope: &'a Scope,
    pub sites: &'a SiteTable,
    /// How long the neighbours are looked for; what is found until then is given, as `partial`.
    pub time_max: Duration,
    /// Ends it at once.
    pub cancel: Cancel,
}

impl<'a> ContextRequest<'a> {
    /// In the time that a page has.
    pub fn new(seq: Seq, (before, after): (usize, usize), scope: &'a Scope, sites: &'a SiteTable) -> Self {
        Self { seq, before, after, scope, sites, time_max: CONTEXT_TIME_MAX, cancel: Cancel::default() }
    }
}

/// An event among its neighbours.
#[derive(Clone, Debug)]
pub struct Context {
    /// In the order of their receipt, all of the same site, sender and host.
    pub before: Vec<Event>,
    pub event: Event,
    pub after: Vec<Event>,
    /// The time was over: there may be lines between these.
    pub partial: bool,
}

impl EventStore {
    /// The events of these sequences that the caller may see, by sequence: the evidence of an alert.
    pub fn by_seq(&self, seqs: &[Seq], scope: &Scope, sites: &SiteTable) -> Vec<Event> {
        let endless = Deadline::new(Duration::MAX, Cancel::default());
        by_seq(&self.snapshot(), &self.redecode, seqs, (scope, sites), &endless)
    }

    /// The event and up to so many lines of the same source (site, sender and, where the lines name one, host) received
    /// before and after it; `None` where there is no such event that the caller may see.
    pub fn context(&self, request: &ContextRequest<'_>) -> Option<Context> {
        let (views, seq) = (self.snapshot(), request.seq);
        // The event itself is not a question of time: it is there or not. Who has left does not wait for it.
        let patience = Deadline::new(Duration::MAX, request.cancel.clone());
        let event = by_seq(&views, &self.redecode, &[seq], (request.scope, request.sites), &patience).pop()?;
        let source = Source::of(&event);
        let (before, after) = (request.before.min(CONTEXT_LINES_MAX), request.after.min(CONTEXT_LINES_MAX));
        let deadline = Deadline::new(request.time_max, request.cancel.clone());
        let mut near = Near { seq, before, after, deadline: &deadline, earlier: BTreeMap::new(), later: BTreeMap::new() };
        near.gather(&views, &source);
        let mut lines = Lines::new(&self.redecode);
        let mut read = |(_, place): (u64, Place<'_>)| match place {
            _ if deadline.is_over() => None,
            Place::Memory(event) => Some(event.clone()),
            Place::Stored(searcher, address) => guarded(|| lines.event(&searcher, address)).ok(),
        };
        let before = near.earlier.into_iter().filter_map(&mut read).collect();
        let after = near.later.into_iter().filter_map(&mut read).collect();
        Some(Context { before, event, after, partial: deadline.was_over() })
    }
}

/// Whose lines are one stream. Its site is the tenant's, so nothing of another tenant can be among them.
struct Source {
    site: String,
    peer: Ipv6Addr,
    host: Option<String>,
}

impl Source {
    fn of(event: &Event) -> Self {
        let host = event.get(fields::HOST_NAME).map(|value| value.text().into_owned());
        Self { site: event.site.to_string(), peer: schema::mapped(event.peer), host }
    }

    fn has(&self, event: &Event) -> bool {
        let host = event.get(fields::HOST_NAME);
        event.site.to_string() == self.site
            && schema::mapped(event.peer) == self.peer
            && host.map(|value| value.text()).as_deref() == self.host.as_deref()
    }
}

enum Place<'a> {
    Memory(&'a Event),
    Stored(tantivy::Searcher, DocAddress),
}

/// The nearest so far, by sequence.
struct Near<'a> {
    seq: Seq,
    before: usize,
    after: usize,
    deadline: &'a Deadline,
    earlier: BTreeMap<u64, Place<'a>>,
    later: BTreeMap<u64, Place<'a>>,
}

impl<'a> Near<'a> {
    /// Looks through the segments from the nearest outwards, until no other can hold anything nearer.
    fn gather(&mut self, views: &'a Views, source: &Source) {
        for pending in views.partitions.values().flat_map(|view| &view.memory).flat_map(|chunk| chunk.iter()) {
            if self.deadline.step().is_err() {
                return;
            }
            if self.wants(pending.event.seq.0) && source.has(&pending.event) {
                self.take(pending.event.seq.0, Place::Memory(&pending.event));
            }
        }
        let distance = |low: u64, high: u64| self.seq.0.saturating_sub(high).max(low.saturating_sub(self.seq.0));
        let days = views.partitions.iter().filter_map(|(name, view)| Some((name, view, view.facts.seqs()?)));
        let mut days: Vec<_> = days.collect();
        days.sort_by_key(|(_, _, (low, high))| distance(*low, *high));
        for (name, view, (low, high)) in days {
            if self.deadline.is_over() {
                return;
            }
            if !self.reaches(low, high) {
                continue;
            }
            let read = view.searcher().and_then(|searcher| guarded(|| self.gather_day(&searcher, source)));
            if let Err(error) = read
                && !self.deadline.was_over()
            {
                tracing::error!(partition = name, %error, "event store: partition cannot be read");
            }
        }
    }

    fn gather_day(&mut self, searcher: &tantivy::Searcher, source: &Source) -> tantivy::Result<()> {
        for (ordinal, reader) in (0u32..).zip(searcher.segment_readers()) {
            let column = reader.fast_fields().u64(SEQ)?;
            if reader.max_doc() == 0 || !self.reaches(column.min_value(), column.max_value()) {
                continue;
            }
            of_source(reader, source, self.deadline, &mut |doc, seq| {
                if self.wants(seq) {
                    self.take(seq, Place::Stored(searcher.clone(), DocAddress::new(ordinal, doc)));
                }
            })?;
        }
        Ok(())
    }

    /// Whether a segment of these sequences can hold anything wanted.
    fn reaches(&self, low: u64, high: u64) -> bool {
        (low < self.seq.0 && self.wants(high.min(self.seq.0.saturating_sub(1))))
            || (high > self.seq.0 && self.wants(low.max(self.seq.0 + 1)))
    }

    fn wants(&self, seq: u64) -> bool {
        match seq.cmp(&self.seq.0) {
            Ordering::Less => self.earlier.len() < self.before || self.earlier.first_key_value().is_some_and(|(far, _)| seq > *far),
            Ordering::Greater => self.later.len() < self.after || self.later.last_key_value().is_some_and(|(far, _)| seq < *far),
            Ordering::Equal => false,
        }
    }

    fn take(&mut self, seq: u64, place: Place<'a>) {
        if seq < self.seq.0 {
            self.earlier.insert(seq, place);
            if self.earlier.len() > self.before {
                self.earlier.pop_first();
            }
        } else {
            self.later.insert(seq, place);
            if self.later.len() > self.after {
                self.later.pop_last();
            }
        }
    }
}

/// Gives each document of a source with its sequence.
fn of_source(reader: &SegmentReader, source: &Source, deadline: &Deadline, each: &mut dyn FnMut(u32, u64)) -> tantivy::Result<()> {
    let inverted = reader.inverted_index(reader.schema().get_field(SITE)?)?;
    let term = Term::from_field_text(reader.schema().get_field(SITE)?, &source.site);
    let Some(mut docs) = inverted.read_postings(&term, IndexRecordOption::Basic)? else { return Ok(()) };
    let columns = reader.fast_fields();
    let (seqs, peers) = (columns.u64(SEQ)?, columns.column_opt::<Ipv6Addr>(fields::OBSERVER_IP.name())?);
    let hosts = columns.str(fields::HOST_NAME.name())?;
    // A host that the segment does not know has no documents there, and a source without one only those without.
    let host = match (&source.host, &hosts) {
        (None, _) => None,
        (Some(_), None) => return Ok(()),
        (Some(host), Some(column)) => match column.dictionary().term_ord(host.as_bytes())? {
            Some(ord) => Some(ord),
            None => return Ok(()),
        },
    };
    let mut doc = docs.doc();
    while doc != TERMINATED {
        deadline.step()?;
        let same_peer = peers.as_ref().and_then(|peers| peers.first(doc)).is_some_and(|peer| peer == source.peer);
        let of_host = hosts.as_ref().and_then(|hosts| hosts.ords().first(doc));
        let kept = !reader.alive_bitset().is_some_and(|alive| alive.is_deleted(doc));
        if let (true, true, Some(seq)) = (kept && same_peer, of_host == host, seqs.first(doc)) {
            each(doc, seq);
        }
        doc = docs.advance();
    }
    Ok(())
}

fn by_seq(views: &Views, redecode: &Redecode, seqs: &[Seq], (scope, sites): (&Scope, &SiteTable), deadline: &Deadline) -> Vec<Event> {
    let wanted: HashSet<u64> = seqs.iter().take(SEQS_MAX).map(|seq| seq.0).collect();
    let (Some(low), Some(high)) = (wanted.iter().min().copied(), wanted.iter().max().copied()) else { return Vec::new() };
    let mut found = BTreeMap::new();
    let mut lines = Lines::new(redecode);
    for (name, view) in &views.partitions {
        for pending in view.memory.iter().flat_map(|chunk| chunk.iter()).filter(|pending| wanted.contains(&pending.event.seq.0)) {
            found.insert(pending.event.seq, pending.event.clone());
        }
        if view.facts.seqs().is_none_or(|(first, last)| last < low || first > high) {
            continue;
        }
        let Ok(searcher) = view.searcher() else { continue };
        for (ordinal, reader) in (0u32..).zip(searcher.segment_readers()) {
            let read = guarded(|| {
                let column = reader.fast_fields().u64(SEQ)?;
                if reader.max_doc() == 0 || high < column.min_value() || low > column.max_value() {
                    return Ok(());
                }
                for doc in reader.doc_ids_alive() {
                    deadline.step()?;
                    if !column.first(doc).is_some_and(|seq| wanted.contains(&seq)) {
                        continue;
                    }
                    let event = lines.event(&searcher, DocAddress::new(ordinal, doc))?;
                    found.insert(event.seq, event);
                }
                Ok(())
            });
            match read {
                Ok(()) => {}
                Err(_) if deadline.was_over() => return Vec::new(),
                Err(error) => tracing::error!(partition = name, %error, "event store: partition cannot be read"),
            }
        }
    }
    found.into_values().filter(|event| scope.site_allowed(event.site, sites)).collect()
}

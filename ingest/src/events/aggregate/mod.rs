//! Evaluating a pipe: `EventStore::aggregate` walks through time as `search` does (same scope, bounds and damage), but keeps
//! groups instead of hits. Where the index holds a field's values exactly they are read from its columns (`columns`); what
//! is in memory, or what only the stored line tells, goes through `Accumulator::add`, which is the definition.
//!
//! It does not decide who may see what: `Scope` does, in the walk, before anything comes here.

mod columns;
mod plan;
mod rows;
mod sketch;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::bound::Deadline;
use super::docs::Docs;
use super::plan::Segment;
use super::search::{Collect, Strand, walk};
use super::{Cancel, EventStore, Progress, SEARCH_TIME_MAX, SearchError, SearchRequest, guarded};
use crate::body::SiteTable;
use crate::event::Event;
use crate::fields;
use crate::query::{Pipeline, Stage, Width};
use crate::record::{EventRecord, Record};
use crate::scope::Scope;
use crate::source::Templates;
use crate::time::Timestamp;

use plan::{Cell, Key, Plan, Taken, combinations, keys};
use sketch::Room;
pub use table::{Table, Value};

/// Groups of one table. Beyond them the ones that are held are counted on, and the rest together as `other`.
pub const GROUPS_MAX: usize = 100_000;
/// Bars of one histogram: a bar a pixel is the finest that can be seen.
pub const BARS_MAX: usize = 2_000;
/// Bytes of all groups; with a segment's own groups and the table it stays below 64 MiB.
const ROOM_BYTES: usize = 40 << 20;
/// What a group takes in the map besides its keys and figures.
const GROUP_BYTES: usize = 96;

/// What is to be made a table of.
#[derive(Clone, Debug)]
pub struct AggregateRequest {
    pub pipeline: Pipeline,
    /// Included.
    pub from: Option<Timestamp>,
    /// Excluded.
    pub to: Option<Timestamp>,
    pub scope: Scope,
    pub sites: Arc<SiteTable>,
    /// How long it may take; what is counted until then is given, as `partial`.
    pub time_max: Duration,
    /// Whether hidden values may be asked for by what they are; else only by their pseudonyms.
    pub real_values: bool,
    /// Ends it at once; what is counted until then is given, as `partial`.
    pub cancel: Cancel,
}

impl AggregateRequest {
    /// Everything of all time, in the time that a page has.
    pub fn new(pipeline: Pipeline, scope: Scope, sites: Arc<SiteTable>) -> Self {
        let (time_max, cancel) = (SEARCH_TIME_MAX, Cancel::default());
        Self { pipeline, from: None, to: None, scope, sites, time_max, real_values: false, cancel }
    }

    fn search(&self) -> SearchRequest {
        SearchRequest {
            from: self.from,
            to: self.to,
            time_max: self.time_max,
            real_values: self.real_values,
            cancel: self.cancel.clone(),
            limit: 0,
            summary: false,
            tops: false,
            ..SearchRequest::new(self.pipeline.query.clone(), self.scope.clone(), self.sites.clone())
        }
    }
}

/// A table of matches.
#[derive(Clone, Debug)]
pub struct AggregateResult {
    pub table: Table,
    /// Records that the table is of.
    pub total: u64,
    pub took: Duration,
    /// A bound was hit, the table's own among them: there may be more than stands here.
    pub partial: bool,
    /// It is partial because a bound or the caller ended it; else only by what is damaged.
    pub ended_early: bool,
    /// Partitions that could not be read; their events are missing here.
    pub damaged: Vec<String>,
}

impl EventStore {
    /// # Errors
    /// As `search`.
    pub fn aggregate(&self, request: &AggregateRequest) -> Result<AggregateResult, SearchError> {
        self.aggregate_with(request, &mut |_| ())
    }

    /// As `aggregate`, and tells again and again how far it is; not where the pipe has no aggregation.
    ///
    /// # Errors
    /// As `search`.
    pub fn aggregate_with(&self, request: &AggregateRequest, progress: &mut dyn FnMut(&Progress)) -> Result<AggregateResult, SearchError> {
        let Some(mut groups) = Accumulator::new(&request.pipeline) else { return rows::rows(self, request) };
        let search = request.search();
        let search = self.asked_of(&search);
        let views = self.snapshot();
        let walked = guarded(|| Ok(walk(&views, &self.redecode, &search, &mut groups, progress))).unwrap_or(Err(SearchError::Damaged))?;
        let total = groups.total;
        let table = groups.finish(request.from.zip(request.to));
        let (partial, ended_early) = (walked.partial || table.partial, walked.ended_early || table.partial);
        Ok(AggregateResult { partial, ended_early, total, table, took: walked.took, damaged: walked.damaged })
    }
}

/// Groups of records, growing record by record.
#[derive(Clone, Debug)]
pub struct Accumulator {
    pipeline: Pipeline,
    plan: Plan,
    groups: HashMap<Box<[Key]>, Group, RandomState>,
    bars: HashSet<i64, RandomState>,
    bar: Bar,
    templates: Templates,
    room: Room,
    total: u64,
    other: u64,
    /// A group was turned away: none is taken in any more, so that each that is here is whole.
    closed: bool,
    partial: bool,
    taken: Vec<Taken>,
}

#[derive(Clone, Debug)]
struct Group {
    records: u64,
    cells: Box<[Cell]>,
}

impl Accumulator {
    /// For the pipe's aggregation; `None` where it has none.
    pub fn new(pipeline: &Pipeline) -> Option<Self> {
        let plan = Plan::of(pipeline.aggregation()?);
        Some(Self {
            bar: Bar::new(plan.width),
            taken: plan.figures.iter().map(|_| Taken::default()).collect(),
            pipeline: pipeline.clone(),
            plan,
            groups: HashMap::default(),
            bars: HashSet::default(),
            templates: Templates::default(),
            room: Room::new(ROOM_BYTES),
            total: 0,
            other: 0,
            closed: false,
            partial: false,
        })
    }

    /// Takes in a record that matches.
    pub fn add(&mut self, record: &dyn Record) {
        self.total += 1;
        if self.plan.patterns {
            let app = record.first_text(fields::PROCESS_NAME).unwrap_or_default();
            let message = record.first_text(fields::MESSAGE).unwrap_or_default();
            self.templates.add(&app, &message, record.timestamp());
            return;
        }
        let mut sets: Vec<Vec<Key>> = self.plan.by.iter().map(|field| keys(record, *field)).collect();
        if !self.plan.present_only {
            sets.iter_mut().filter(|set| set.is_empty()).for_each(|set| set.push(Key::Missing));
        }
        if self.plan.width.is_some() {
            sets.insert(0, vec![Key::Bar(self.bar.of(record.timestamp().0))]);
        }
        let mut taken = std::mem::take(&mut self.taken);
        for (figure, taken) in self.plan.figures.iter().zip(&mut taken) {
            figure.take(record, taken);
            self.partial |= taken.lost > 0;
        }
        let refs: Vec<Vec<&Key>> = sets.iter().map(|set| set.iter().collect()).collect();
        let refs: Vec<&[&Key]> = refs.iter().map(Vec::as_slice).collect();
        let lost = combinations(&refs, &mut |chosen| {
            let key: Box<[Key]> = chosen.iter().map(|key| (*key).clone()).collect();
            if let Some((group, room)) = self.group(key, 1) {
                group.records += 1;
                group.cells.iter_mut().zip(&taken).for_each(|(cell, taken)| cell.add(taken, room));
            }
        });
        self.lose(lost);
        self.taken = taken;
    }

    /// Takes over what another one of the same pipe has counted, of other records.
    pub fn merge(&mut self, other: Self) {
        self.total += other.total;
        self.lose(other.other);
        self.partial |= other.partial || other.room.lost;
        self.templates.merge(other.templates);
        for (key, group) in other.groups {
            self.absorb(key, group);
        }
    }

    fn absorb(&mut self, key: Box<[Key]>, theirs: Group) {
        if let Some((mine, room)) = self.group(key, theirs.records) {
            mine.records += theirs.records;
            mine.cells.iter_mut().zip(theirs.cells).for_each(|(mine, theirs)| mine.merge(theirs, room));
        }
    }

    /// The group of these keys and the room for what it holds; `None` where there is none for the group itself: then its
    /// records are counted as other.
    fn group(&mut self, key: Box<[Key]>, records: u64) -> Option<(&mut Group, &mut Room)> {
        if !self.groups.contains_key(&key) && !self.admit(&key) {
            self.lose(records);
            return None;
        }
        let plan = &self.plan;
        let group = self.groups.entry(key).or_insert_with(|| Group { records: 0, cells: plan.cells().into() });
        Some((group, &mut self.room))
    }

    fn admit(&mut self, key: &[Key]) -> bool {
        let bar = key.first().and_then(|key| if let Key::Bar(start) = key { Some(*start) } else { None });
        let new_bar = bar.filter(|start| !self.bars.contains(start));
        if self.closed || self.groups.len() >= GROUPS_MAX || (new_bar.is_some() && self.bars.len() >= BARS_MAX) {
            // Of a histogram later bars may stay out while groups in older ones come in: each is whole all the same.
            self.closed |= new_bar.is_none();
            return false;
        }
        let bytes = GROUP_BYTES + key.iter().map(Key::bytes).sum::<usize>() + self.plan.figures.len() * size_of::<Cell>();
        let (lost, fits) = (self.room.lost, self.room.take(bytes));
        self.room.lost = lost;
        self.closed |= !fits;
        if fits {
            self.bars.extend(new_bar);
        }
        fits
    }

    fn lose(&mut self, records: u64) {
        self.other += records;
        self.partial |= records > 0;
    }

    /// The table, shaped by all stages. `range` is the asked one, for a histogram's empty bars.
    pub fn finish(self, range: Option<(Timestamp, Timestamp)>) -> Table {
        let Some(stage) = self.pipeline.aggregation().cloned() else { return Table::default() };
        let mut table = Table { columns: stage.columns(), rows: Vec::new(), partial: self.partial || self.room.lost, other: self.other };
        if self.plan.patterns {
            table.rows = patterns(self.templates);
        } else {
            let mut groups = self.groups;
            if groups.is_empty() && self.plan.by.is_empty() && self.plan.width.is_none() {
                groups.insert(Box::default(), Group { records: 0, cells: self.plan.cells().into() });
            }
            for (key, group) in groups {
                let figures = self.plan.figures.iter().zip(group.cells).map(|(figure, cell)| figure.value(cell, group.records));
                table.rows.push(key.into_iter().map(Key::into_value).chain(figures).collect());
            }
        }
        shaped(&self.pipeline, table, range)
    }
}

/// A table as all stages leave it, from the rows of its groups. `range` is the asked one, for a histogram's empty bars.
pub(crate) fn shaped(pipeline: &Pipeline, mut table: Table, range: Option<(Timestamp, Timestamp)>) -> Table {
    let Some(stage) = pipeline.aggregation() else {
        table.shape(&pipeline.stages);
        return table;
    };
    if let Stage::Histogram { width, by } = stage
        && by.is_empty()
    {
        fill(&mut table, *width, range);
    }
    order(&mut table, stage);
    table.shape(pipeline.stages.get(1..).unwrap_or_default());
    table
}

/// The order that a stage's table has by itself.
fn order(table: &mut Table, stage: &Stage) {
    let figure = table.columns.len().saturating_sub(1);
    let keys = (0..figure).map(|place| (place, false));
    let (descending, rows) = match stage {
        Stage::Count { .. } | Stage::Distinct { .. } => (Some(true), usize::MAX),
        Stage::Top { rows, .. } => (Some(true), *rows),
        Stage::Rare { rows, .. } => (Some(false), *rows),
        Stage::Stats { by, .. } => return table.order_by(&(0..by.len()).map(|place| (place, false)).collect::<Vec<_>>()),
        Stage::Histogram { .. } => (None, usize::MAX),
        // In the order of their frequency already.
        Stage::Patterns | Stage::Sort(_) | Stage::Head(_) | Stage::Fields(_) => return,
    };
    let first = descending.map(|descending| (figure, descending));
    table.order_by(&first.into_iter().chain(keys).collect::<Vec<_>>());
    table.rows.truncate(rows);
}

/// Bars without a record: over the asked range, or where that is open or too long, over the span of the matches.
fn fill(table: &mut Table, width: Width, range: Option<(Timestamp, Timestamp)>) {
    let held: HashSet<i64> =
        table.rows.iter().filter_map(|row| if let Some(Value::Time(at)) = row.first() { Some(at.0) } else { None }).collect();
    let span = held.iter().min().zip(held.iter().max()).map(|(first, last)| (Timestamp(*first), Timestamp(*last)));
    let range = range.filter(|(from, to)| from < to).map(|(from, to)| (from, to.plus(-1)));
    let Some((first, last)) =
        [range, span].into_iter().flatten().find(|(first, last)| last.since(*first) / width.millis() < BARS_MAX as i64 - 1)
    else {
        return;
    };
    let mut at = width.bar(first).0;
    // A bar is never empty, but an end of days is: it ends the loop.
    while at <= last && table.rows.len() < BARS_MAX {
        if !held.contains(&at.0) {
            table.rows.push(vec![Value::Time(at), Value::Int(0)]);
        }
        let next = width.bar(at).1;
        if next <= at {
            break;
        }
        at = next;
    }
}

fn patterns(templates: Templates) -> Vec<Vec<Value>> {
    let row = |template: crate::source::Template| {
        let app = if template.app.is_empty() { Value::Missing } else { Value::Text(template.app.clone()) };
        vec![
            app,
            Value::Text(template.text().into()),
            Value::Int(i64::try_from(template.count).unwrap_or(i64::MAX)),
            Value::Time(template.first),
            Value::Time(template.last),
            Value::Text(template.example),
        ]
    };
    templates.ranked().into_iter().map(row).collect()
}

/// The last bar asked for: records come in order of time, or nearly.
#[derive(Clone, Debug)]
struct Bar {
    width: Width,
    start: i64,
    next: i64,
}

impl Bar {
    fn new(width: Option<Width>) -> Self {
        Self { width: width.unwrap_or(Width::Days(1)), start: 0, next: 0 }
    }

    fn of(&mut self, time: i64) -> i64 {
        if !(self.start..self.next).contains(&time) {
            let (start, next) = self.width.bar(Timestamp(time));
            (self.start, self.next) = (start.0, next.0);
        }
        self.start
    }
}

impl Collect for Accumulator {
    fn total(&self) -> u64 {
        self.total
    }

    fn unheld(&self, segment: &Segment<'_>) -> tantivy::Result<Option<Docs>> {
        if self.plan.patterns {
            return Ok(Some(Docs::all(segment.lo, segment.hi)));
        }
        let mut unheld: Option<Docs> = None;
        for field in self.plan.fields() {
            let docs = segment.unheld(field)?;
            match &mut unheld {
                Some(all) => all.or(&docs),
                None => unheld = Some(docs),
            }
        }
        Ok(unheld)
    }

    fn add_columns(&mut self, strand: &Strand<'_>, docs: &Docs, sites: &SiteTable, deadline: &Deadline) -> tantivy::Result<()> {
        columns::add(self, &strand.reader, &strand.time, docs, sites, deadline)
    }

    fn add_event(&mut self, event: &Event, sites: &SiteTable) {
        self.add(&EventRecord { event, sites });
    }
}

//! Groups from a segment's columns. Documents are taken in chunks; in each a field's values get small numbers, a group is
//! one number made of them, and only what a chunk really holds is looked up in the dictionary and merged by value. So
//! memory is bounded by the chunk, whatever the segment's size, and nothing of one segment's order leaks into another's.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use foldhash::fast::RandomState;
use tantivy::columnar::StrColumn;
use tantivy::fastfield::Column;
use tantivy::{SegmentReader, TantivyError};

use super::super::bound::Deadline;
use super::super::docs::Docs;
use super::super::schema::{self, VENDOR};
use super::super::tally::site_name;
use super::plan::{Cell, Figure, Input, Key, Taken, combinations, combined};
use super::sketch::Room;
use super::{Accumulator, GROUPS_MAX, Group};
use crate::body::SiteTable;
use crate::fields::{self, FieldId, Kind};

// Small in tests, so that both sides of each bound are met there.

/// Documents at once: their numbers and texts take a few megabytes, and a dictionary's blocks are read once for each chunk.
const CHUNK: usize = if cfg!(test) { 64 } else { 1 << 17 };
/// Places in a table of all combinations; with more they are hashed.
const TABLE_MAX: u128 = if cfg!(test) { 64 } else { 1 << 20 };
/// Ordinals that are numbered by a table; with more they are hashed.
const ORDS_MAX: usize = if cfg!(test) { 4 } else { 1 << 18 };
/// A place in a table where nothing is yet.
const NONE: u32 = u32::MAX;

type Answer<T> = tantivy::Result<T>;

pub(super) fn add(
    all: &mut Accumulator,
    reader: &SegmentReader,
    time: &Column<i64>,
    docs: &Docs,
    sites: &SiteTable,
    deadline: &Deadline,
) -> Answer<()> {
    let mut docs = docs.iter();
    let mut chunk: Vec<u32> = docs.by_ref().take(CHUNK).collect();
    if chunk.is_empty() {
        return Ok(());
    }
    let by: Vec<Source> = all.plan.by.iter().map(|field| Source::open(reader, *field)).collect::<Answer<_>>()?;
    let figures: Vec<Vec<Source>> = all.plan.figures.iter().map(|figure| sources(reader, figure)).collect::<Answer<_>>()?;
    while !chunk.is_empty() {
        // Some ten milliseconds each.
        deadline.check()?;
        let mut dims = Vec::with_capacity(by.len() + 1);
        if all.plan.width.is_some() {
            dims.push(bars(all, time, &chunk));
        }
        for source in &by {
            dims.push(source.numbered(&chunk, true).named(source, sites)?);
        }
        let feeds = all.plan.figures.iter().zip(&figures).map(|(figure, sources)| Feed::new(figure, sources, time, &chunk, sites));
        let feeds: Vec<Feed<'_>> = feeds.collect::<Answer<_>>()?;
        Chunk::new(dims, feeds).run(all, &chunk);
        all.total += chunk.len() as u64;
        chunk = docs.by_ref().take(CHUNK).collect();
    }
    Ok(())
}

/// A field's column in one segment.
enum Source {
    /// No document has the field.
    Absent,
    Texts(StrColumn),
    /// Texts that are sites' identities.
    Sites(StrColumn),
    Addresses(Column<Ipv6Addr>),
    Numbers(Column<i64>),
}

fn sources(reader: &SegmentReader, figure: &Figure) -> Answer<Vec<Source>> {
    match &figure.input {
        Input::Record | Input::Time => Ok(vec![]),
        Input::Numbers(field) | Input::Present(field) => Ok(vec![Source::open(reader, *field)?]),
        Input::Combinations(fields) => fields.iter().map(|field| Source::open(reader, *field)).collect(),
    }
}

impl Source {
    fn open(reader: &SegmentReader, field: FieldId) -> Answer<Self> {
        let columns = reader.fast_fields();
        if field == fields::SITE {
            return Ok(columns.str(schema::SITE)?.map_or(Self::Absent, Self::Sites));
        }
        let texts = |name: &str| Ok(columns.str(name)?.map_or(Self::Absent, Self::Texts));
        match field.known() {
            None => texts(&format!("{VENDOR}.{}", field.name())),
            Some(row) => match row.kind {
                Kind::Keyword | Kind::Bool => texts(row.name),
                Kind::Ip => Ok(columns.column_opt(row.name)?.map_or(Self::Absent, Self::Addresses)),
                Kind::Int => Ok(columns.column_opt(row.name)?.map_or(Self::Absent, Self::Numbers)),
            },
        }
    }

    /// Gives each value of the documents a number.
    fn numbered(&self, docs: &[u32], once: bool) -> Dim {
        match self {
            Self::Absent => Dim { first: vec![0; docs.len()], ..Dim::default() },
            Self::Texts(column) | Self::Sites(column) => {
                let terms = column.dictionary().num_terms();
                let table = if terms <= ORDS_MAX { vec![0; terms] } else { vec![] };
                Dim::of(docs, column.ords(), once, table, u128::from)
            }
            Self::Addresses(column) => Dim::of(docs, column, once, vec![], |ip: Ipv6Addr| ip.to_bits()),
            Self::Numbers(column) => Dim::of(docs, column, once, vec![], |number| u128::from(number.cast_unsigned())),
        }
    }
}

/// A field's values in a chunk, as numbers from 1 on; 0 for none.
#[derive(Default)]
struct Dim {
    /// Each document's first one.
    first: Vec<u32>,
    /// All of those documents that have several, by their place in the chunk.
    several: HashMap<u32, Vec<u32>, RandomState>,
    /// What the numbers stand for, 1 at the front.
    codes: Vec<u128>,
    /// The same as values, with what is missing at the front.
    keys: Vec<Key>,
}

impl Dim {
    fn of<T>(docs: &[u32], column: &Column<T>, once: bool, mut table: Vec<u32>, code: impl Fn(T) -> u128) -> Self
    where
        T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static,
    {
        let mut dim = Self { first: Vec::with_capacity(docs.len()), ..Self::default() };
        let mut known: HashMap<u128, u32, RandomState> = HashMap::default();
        for (place, doc) in (0u32..).zip(docs) {
            let mut first = 0;
            let mut count = 0;
            for value in column.values_for_doc(*doc) {
                let code = code(value);
                let slot = usize::try_from(code).ok().and_then(|place| table.get_mut(place));
                let slot = if let Some(slot) = slot { slot } else { known.entry(code).or_insert(0) };
                if *slot == 0 {
                    dim.codes.push(code);
                    *slot = dim.codes.len() as u32;
                }
                count += 1;
                match count {
                    1 => first = *slot,
                    2 => {
                        dim.several.insert(place, vec![first, *slot]);
                    }
                    _ => dim.several.entry(place).or_default().push(*slot),
                }
            }
            if count > 1
                && once
                && let Some(all) = dim.several.get_mut(&place)
            {
                all.sort_unstable();
                all.dedup();
            }
            dim.first.push(first);
        }
        dim
    }

    /// Looks up what the numbers stand for.
    fn named(mut self, source: &Source, sites: &SiteTable) -> Answer<Self> {
        self.keys.reserve_exact(self.codes.len() + 1);
        self.keys.push(Key::Missing);
        match source {
            Source::Absent => {}
            Source::Texts(column) => self.texts(column, |text| text.into())?,
            Source::Sites(column) => self.texts(column, |text| site_name(text, sites).into())?,
            Source::Addresses(_) => {
                self.keys.extend(self.codes.iter().map(|code| Key::Ip(IpAddr::V6(Ipv6Addr::from_bits(*code)).to_canonical())));
            }
            Source::Numbers(_) => self.keys.extend(self.codes.iter().map(|code| Key::Int((*code as u64).cast_signed()))),
        }
        Ok(self)
    }

    fn texts(&mut self, column: &StrColumn, text: impl Fn(&str) -> Box<str>) -> Answer<()> {
        let mut order: Vec<usize> = (0..self.codes.len()).collect();
        order.sort_unstable_by_key(|place| self.codes.get(*place));
        let ords: Vec<u64> = order.iter().filter_map(|place| Some(*self.codes.get(*place)? as u64)).collect();
        self.keys.resize(self.codes.len() + 1, Key::Missing);
        let mut places = order.into_iter();
        let found = column.dictionary().sorted_ords_to_term_cb(&ords, |term| {
            let place = places.next().and_then(|place| self.keys.get_mut(place + 1));
            if let (Some(key), Ok(term)) = (place, std::str::from_utf8(term)) {
                *key = Key::Text(text(term));
            }
        })?;
        if found { Ok(()) } else { Err(TantivyError::InternalError("a column's value is not in its dictionary".into())) }
    }

    /// All numbers of the document at `place`; none where it has no value.
    fn all<'a>(&'a self, place: u32, one: &'a mut [u32; 1]) -> &'a [u32] {
        if !self.several.is_empty()
            && let Some(all) = self.several.get(&place)
        {
            return all;
        }
        *one = [self.first(place)];
        if *one == [0] { &[] } else { one }
    }

    fn first(&self, place: u32) -> u32 {
        self.first.get(place as usize).copied().unwrap_or(0)
    }
}

fn bars(all: &mut Accumulator, time: &Column<i64>, docs: &[u32]) -> Dim {
    let mut dim = Dim { keys: vec![Key::Missing], ..Dim::default() };
    let mut known: HashMap<i64, u32, RandomState> = HashMap::default();
    let (mut last, mut number) = (None, 0);
    for doc in docs {
        let start = all.bar.of(time.first(*doc).unwrap_or(i64::MIN));
        if last != Some(start) {
            last = Some(start);
            number = *known.entry(start).or_insert_with(|| {
                dim.keys.push(Key::Bar(start));
                dim.codes.push(0);
                dim.codes.len() as u32
            });
        }
        dim.first.push(number);
    }
    dim
}

/// What a figure takes from each document of a chunk.
enum Feed<'a> {
    Nothing,
    Time(&'a Column<i64>),
    Numbers(&'a Column<i64>),
    /// A vendor's texts, with what they are worth as numbers.
    Texts(Dim, Vec<Option<i64>>),
    Present(Dim),
    /// Each field's values with their hashes.
    Hashes(Vec<(Dim, Vec<u64>)>),
}

impl<'a> Feed<'a> {
    fn new(figure: &Figure, sources: &'a [Source], time: &'a Column<i64>, docs: &[u32], sites: &SiteTable) -> Answer<Self> {
        Ok(match (&figure.input, sources) {
            (Input::Time, _) => Self::Time(time),
            (Input::Numbers(_), [Source::Numbers(column)]) => Self::Numbers(column),
            (Input::Numbers(_), [source]) => {
                let dim = source.numbered(docs, false).named(source, sites)?;
                let numbers = dim.keys.iter().map(Key::number).collect();
                Self::Texts(dim, numbers)
            }
            (Input::Present(_), [source]) => Self::Present(source.numbered(docs, true)),
            (Input::Combinations(_), sources) => {
                let one = |source: &Source| {
                    let dim = source.numbered(docs, true).named(source, sites)?;
                    let hashes = dim.keys.iter().map(Key::hash).collect();
                    Ok((dim, hashes))
                };
                Self::Hashes(sources.iter().map(one).collect::<Answer<_>>()?)
            }
            _ => Self::Nothing,
        })
    }

    fn take(&self, place: u32, doc: u32, taken: &mut Taken) {
        taken.clear();
        match self {
            Self::Nothing => {}
            Self::Time(column) => taken.numbers.extend(column.first(doc)),
            Self::Numbers(column) => taken.numbers.extend(column.values_for_doc(doc)),
            Self::Texts(dim, numbers) => {
                let mut one = [0];
                taken.numbers.extend(dim.all(place, &mut one).iter().filter_map(|number| *numbers.get(*number as usize)?));
            }
            Self::Present(dim) => taken.present = dim.first(place) != 0,
            Self::Hashes(dims) => {
                let hashes = |(dim, hashes): &(Dim, Vec<u64>)| -> Vec<u64> {
                    let mut one = [0];
                    dim.all(place, &mut one).iter().filter_map(|number| hashes.get(*number as usize).copied()).collect()
                };
                let sets: Vec<Vec<u64>> = dims.iter().map(hashes).collect();
                let sets: Vec<&[u64]> = sets.iter().map(Vec::as_slice).collect();
                taken.lost = combinations(&sets, &mut |hashes| taken.hashes.push(combined(hashes)));
            }
        }
    }
}

/// A chunk's groups. A group is one number: each field's value's number times how many combinations the fields before have.
struct Chunk<'a> {
    dims: Vec<Dim>,
    steps: Vec<u128>,
    feeds: Vec<Feed<'a>>,
    places: Places,
    groups: Vec<(u128, Group)>,
}

/// Where a group stands.
enum Places {
    Table(Vec<u32>),
    Hashed(HashMap<u128, u32, RandomState>),
}

impl<'a> Chunk<'a> {
    fn new(dims: Vec<Dim>, feeds: Vec<Feed<'a>>) -> Self {
        let mut steps = Vec::with_capacity(dims.len());
        let mut all = 1u128;
        for dim in &dims {
            steps.push(all);
            // At most 2^18 values in each of five: far from 2^128.
            all = all.saturating_mul(dim.codes.len() as u128 + 1);
        }
        let places = match usize::try_from(all) {
            Ok(size) if all <= TABLE_MAX => Places::Table(vec![NONE; size]),
            _ => Places::Hashed(HashMap::default()),
        };
        Self { dims, steps, feeds, places, groups: Vec::new() }
    }

    fn run(mut self, all: &mut Accumulator, docs: &[u32]) {
        let counts_only = all.plan.counts_only();
        let mut taken: Vec<Taken> = self.feeds.iter().map(|_| Taken::default()).collect();
        // A chunk's figures are bounded by its documents.
        let mut room = Room::new(usize::MAX);
        for (place, doc) in (0u32..).zip(docs) {
            if !counts_only {
                for (feed, taken) in self.feeds.iter().zip(&mut taken) {
                    feed.take(place, *doc, taken);
                    all.partial |= taken.lost > 0;
                }
            }
            if self.dims.iter().all(|dim| dim.several.is_empty()) {
                let numbers = self.dims.iter().map(|dim| dim.first(place));
                if !(all.plan.present_only && numbers.clone().any(|number| number == 0)) {
                    let group = numbers.zip(&self.steps).map(|(number, step)| u128::from(number) * step).sum();
                    self.count(group, all, &taken, &mut room);
                }
            } else {
                self.count_several(place, all, &taken, &mut room);
            }
            if self.groups.len() >= GROUPS_MAX {
                self.give(all);
            }
        }
        self.give(all);
    }

    fn count_several(&mut self, place: u32, all: &mut Accumulator, taken: &[Taken], room: &mut Room) {
        let numbers = |dim: &Dim| {
            let mut one = [0];
            let mut numbers = dim.all(place, &mut one).to_vec();
            if numbers.is_empty() && !all.plan.present_only {
                numbers.push(0);
            }
            numbers
        };
        let sets: Vec<Vec<u32>> = self.dims.iter().map(numbers).collect();
        let sets: Vec<&[u32]> = sets.iter().map(Vec::as_slice).collect();
        let mut groups: Vec<u128> = Vec::new();
        let lost = combinations(&sets, &mut |chosen| {
            groups.push(chosen.iter().zip(&self.steps).map(|(number, step)| u128::from(*number) * step).sum());
        });
        groups.into_iter().for_each(|group| self.count(group, all, taken, room));
        all.lose(lost);
    }

    fn count(&mut self, group: u128, all: &Accumulator, taken: &[Taken], room: &mut Room) {
        let next = self.groups.len() as u32;
        let place = match &mut self.places {
            Places::Hashed(places) => *places.entry(group).or_insert(next),
            Places::Table(places) => {
                let Some(place) = places.get_mut(group as usize) else { return };
                if *place == NONE {
                    *place = next;
                }
                *place
            }
        };
        if place == next {
            self.groups.push((group, Group { records: 0, cells: all.plan.cells().into() }));
        }
        let Some((_, group)) = self.groups.get_mut(place as usize) else { return };
        group.records += 1;
        let mut add = |(cell, taken): (&mut Cell, &Taken)| cell.add(taken, room);
        group.cells.iter_mut().zip(taken).for_each(&mut add);
    }

    /// Merges the groups into all others.
    fn give(&mut self, all: &mut Accumulator) {
        match &mut self.places {
            Places::Table(places) => places.fill(NONE),
            Places::Hashed(places) => places.clear(),
        }
        for (group, counted) in std::mem::take(&mut self.groups) {
            let mut left = group;
            let mut keys = Vec::with_capacity(self.dims.len());
            for dim in &self.dims {
                let values = dim.codes.len() as u128 + 1;
                keys.push(dim.keys.get((left % values) as usize).cloned().unwrap_or(Key::Missing));
                left /= values;
            }
            all.absorb(keys.into(), counted);
        }
    }
}

//! Groups of flows, exact for any number of them: packed keys in open hash maps, one a thread. A ranking keeps of each
//! group the one number it is ranked by, and what does not fit into memory is counted in further walks; the other sums of
//! the few groups that are shown are reckoned in a second look.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::ControlFlow;

use foldhash::fast::RandomState;

use super::keys::{Key, Keys, Packed, Wide, low};
use super::walk::Walk;
use super::{Amount, Sums};
use crate::events::Value;
use crate::flows::FlowStoreError;
use crate::flows::chunk::Chunk;
use crate::flows::column::{Column, ColumnSet};
use crate::flows::scan::SCAN_THREADS;
use crate::flows::table::{Part, Table, Tally};
use crate::time::Timestamp;

/// Memory of a ranking's groups: about nine million pairs of addresses. More groups take more walks.
pub(super) const RANK_BYTES_MAX: usize = 192 << 20;
/// Memory of groups of which all sums are wanted at once: about 390,000 of one or two fields in one walk, more than a state
/// has sources in an hour. With less, those of an hour took three walks.
pub(super) const EVERY_BYTES_MAX: usize = 96 << 20;
/// Rows of a ranking: more than anybody reads.
pub(super) const ROWS_MAX: usize = 10_000;
/// Walks at most; with so many something is asked that nobody reads, and the answer says it is not all.
const WALKS_MAX: usize = 32;

/// What `Sums` are made of.
pub(super) const SUM_COLUMNS: ColumnSet =
    ColumnSet::NONE.with(Column::Bytes).with(Column::Packets).with(Column::Sampling).with(Column::Start).with(Column::Duration);

/// From when to when flows were received.
pub(super) type Span = (Timestamp, Timestamp);

/// What to rank.
#[derive(Clone, Copy)]
pub(super) struct Contest<'a> {
    pub(super) keys: &'a Keys<'a>,
    pub(super) amount: Amount,
    pub(super) rows: usize,
    /// What is more counts as that: a table shows no more than 2^63-1.
    pub(super) amount_max: u64,
    /// The least first, not the most.
    pub(super) least: bool,
    /// Flows that lack one of the values belong to no group.
    pub(super) whole_only: bool,
}

/// One group of a ranking.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) key: Key,
    pub(super) values: Vec<Value>,
    /// What it is ranked by.
    pub(super) amount: u64,
}

/// How a contest ended: by amount, ties by their values.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranked {
    pub(super) places: Vec<Place>,
    /// How many groups there are.
    pub(super) groups: usize,
    /// Whether there are more groups than could be counted.
    pub(super) incomplete: bool,
}

/// The contests' outcomes and the sums over all that matched.
pub(super) fn rank<'a>(
    walk: &mut Walk<'_>,
    span: Span,
    contests: &[Contest<'a>],
    bytes_max: usize,
) -> Result<(Sums, Vec<Ranked>), FlowStoreError> {
    let columns = contests.iter().fold(SUM_COLUMNS, |set, contest| set.and(contest.keys.columns()));
    // Two threads would have most groups of several fields twice, and what does not fit costs a walk.
    let threads = if contests.iter().any(|contest| contest.keys.len() > 1) { 1 } else { SCAN_THREADS };
    let bytes_max = bytes_max / contests.len().max(1);
    let hasher = RandomState::default();
    let mut total = None;
    let mut ranked = vec![Ranked::default(); contests.len()];
    let mut left: Vec<Vec<Part>> = vec![vec![Part::default()]; contests.len()];
    for _ in 0..WALKS_MAX {
        let begun: Vec<Option<Part>> = left.iter_mut().map(Vec::pop).collect();
        if begun.iter().all(Option::is_none) {
            break;
        }
        let make = || {
            let gather = |(contest, part): (&Contest<'a>, &Option<Part>)| {
                part.map(|part| Gather::<Weight>::new(contest.keys, contest.whole_only, hasher.clone(), part, bytes_max / threads))
            };
            (Sums::default(), contests.iter().zip(&begun).map(gather).collect::<Vec<_>>())
        };
        let found = walk.chunks(span, columns, threads, make, |(total, gathers), chunk| {
            let measured = Measured::of(chunk);
            total.merge(&measured.total(chunk));
            for (gather, contest) in gathers.iter_mut().zip(contests) {
                if let Some(gather) = gather {
                    gather.chunk(chunk, |row| Weight::of(measured.amount(row, contest.amount)));
                }
            }
            ControlFlow::Continue(())
        })?;
        let mut sums = Sums::default();
        let mut whole: Vec<Option<Gather<'_, Weight>>> = contests.iter().map(|_| None).collect();
        for (part, gathers) in found {
            sums.merge(&part);
            for (mine, theirs) in whole.iter_mut().zip(gathers) {
                match (mine.as_mut(), theirs) {
                    (Some(mine), Some(theirs)) => mine.absorb(theirs, bytes_max),
                    (None, theirs) => *mine = theirs,
                    (Some(_), None) => {}
                }
            }
        }
        total.get_or_insert(sums);
        for (((ranked, left), contest), (gather, begun)) in ranked.iter_mut().zip(&mut left).zip(contests).zip(whole.into_iter().zip(begun))
        {
            if let (Some(mut gather), Some(begun)) = (gather, begun) {
                left.extend(gather.settle().left_of(begun));
                ranked.take_in(&gather, contest, |weight| weight.amount());
            }
        }
        if walk.is_over() {
            break;
        }
    }
    ranked.iter_mut().zip(&left).for_each(|(ranked, left)| ranked.incomplete = !left.is_empty());
    Ok((total.unwrap_or_default(), ranked))
}

/// All groups with all their sums.
#[derive(Clone, Debug, Default)]
pub(super) struct Every {
    pub(super) groups: Vec<(Vec<Value>, Sums)>,
    pub(super) total: Sums,
    /// Flows of groups that found no room.
    pub(super) other: u64,
}

/// As many groups as the memory bears, each of them whole; in the order of their values.
pub(super) fn every(walk: &mut Walk<'_>, span: Span, keys: &Keys<'_>, whole_only: bool, bytes_max: usize) -> Result<Every, FlowStoreError> {
    let (total, gather) = all_sums(walk, span, keys, whole_only, bytes_max)?;
    let Some(gather) = gather else { return Ok(Every { total, ..Every::default() }) };
    let mut groups: Vec<(Vec<Value>, Sums)> = gather.narrow().chain(gather.wide()).map(|(key, sums)| (keys.values(&key), sums)).collect();
    groups.sort_by(|(a, _), (b, _)| order(a, b));
    let held: u64 = groups.iter().map(|(_, sums)| sums.flows).sum();
    Ok(Every { groups, total, other: gather.flows - held })
}

/// The groups of a contest with all their sums: in one walk where there is room for all of them, else in a second one.
pub(super) fn rank_with_sums(
    walk: &mut Walk<'_>,
    span: Span,
    contest: &Contest<'_>,
    bytes_max: usize,
) -> Result<(Sums, Ranked, Vec<Sums>), FlowStoreError> {
    let (total, gather) = all_sums(walk, span, contest.keys, contest.whole_only, bytes_max.min(EVERY_BYTES_MAX))?;
    if let Some(gather) = gather.filter(Gather::is_all) {
        let mut ranked = Ranked::default();
        ranked.take_in(&gather, contest, |sums| sums.of(contest.amount));
        let wanted = Found::new(&ranked.places);
        let mut sums = vec![Sums::NONE; ranked.places.len()];
        for (key, held) in gather.narrow().chain(gather.wide()) {
            if let Some(sums) = wanted.of(&key).and_then(|place| sums.get_mut(place)) {
                *sums = held;
            }
        }
        return Ok((total, ranked, sums));
    }
    let (total, ranked) = rank(walk, span, std::slice::from_ref(contest), bytes_max)?;
    let ranked = ranked.into_iter().next().unwrap_or_default();
    let sums = sums_of(walk, span, contest.keys, &ranked.places)?;
    Ok((total, ranked, sums))
}

/// One walk with all sums of the groups for which there is room.
fn all_sums<'a>(
    walk: &mut Walk<'_>,
    span: Span,
    keys: &'a Keys<'a>,
    whole_only: bool,
    bytes_max: usize,
) -> Result<(Sums, Option<Gather<'a, Sums>>), FlowStoreError> {
    let hasher = RandomState::default();
    let make = || {
        let gather = Gather::<Sums>::new(keys, whole_only, hasher.clone(), Part::default(), bytes_max / SCAN_THREADS);
        (Sums::default(), gather)
    };
    let found = walk.chunks(span, keys.columns().and(SUM_COLUMNS), SCAN_THREADS, make, |(total, gather), chunk| {
        let measured = Measured::of(chunk);
        total.merge(&measured.total(chunk));
        gather.chunk(chunk, |row| measured.sums(row));
        ControlFlow::Continue(())
    })?;
    let (mut sums, mut whole) = (Sums::default(), None::<Gather<'a, Sums>>);
    for (total, gather) in found {
        sums.merge(&total);
        match whole.as_mut() {
            Some(whole) => whole.absorb(gather, bytes_max),
            None => whole = Some(gather),
        }
    }
    if let Some(gather) = &mut whole {
        gather.settle();
    }
    Ok((sums, whole))
}

/// The sums of some groups, in their order.
pub(super) fn sums_of(walk: &mut Walk<'_>, span: Span, keys: &Keys<'_>, places: &[Place]) -> Result<Vec<Sums>, FlowStoreError> {
    if places.is_empty() {
        return Ok(vec![]);
    }
    let found = Found::new(places);
    let make = || (vec![Sums::default(); places.len()], Packed::default());
    let parts = walk.chunks(span, keys.columns().and(SUM_COLUMNS), SCAN_THREADS, make, |(sums, packed), chunk| {
        let measured = Measured::of(chunk);
        keys.pack(chunk, packed);
        for row in chunk.mask().rows() {
            if let Some(sums) = found.place(keys, packed, chunk, row).and_then(|place| sums.get_mut(place)) {
                sums.merge(&measured.sums(row));
            }
        }
        ControlFlow::Continue(())
    })?;
    let mut all = vec![Sums::default(); places.len()];
    parts.iter().for_each(|(part, _)| all.iter_mut().zip(part).for_each(|(all, part)| all.merge(part)));
    Ok(all)
}

/// Groups that are looked for.
pub(super) struct Found {
    narrow: HashMap<u128, usize, RandomState>,
    wide: HashMap<Wide, usize, RandomState>,
}

impl Found {
    pub(super) fn new(places: &[Place]) -> Self {
        let (mut narrow, mut wide) = (HashMap::default(), HashMap::default());
        for (place, n) in places.iter().zip(0..) {
            match place.key {
                Key::Narrow(key) => narrow.insert(key, n),
                Key::Wide(key) => wide.insert(key, n),
            };
        }
        Self { narrow, wide }
    }

    fn of(&self, key: &Key) -> Option<usize> {
        match key {
            Key::Narrow(key) => self.narrow.get(key).copied(),
            Key::Wide(key) => self.wide.get(key).copied(),
        }
    }

    /// Which of them a row of the chunk that was packed last belongs to.
    pub(super) fn place(&self, keys: &Keys<'_>, packed: &Packed, chunk: &Chunk<'_>, row: usize) -> Option<usize> {
        match packed.narrow(row) {
            Some(key) => self.narrow.get(&key).copied(),
            None if self.wide.is_empty() => None,
            None => self.wide.get(&keys.wide(chunk, row)).copied(),
        }
    }
}

/// The order of what is shown, value by value.
pub(super) fn order(a: &[Value], b: &[Value]) -> std::cmp::Ordering {
    let mut pairs = a.iter().zip(b).map(|(a, b)| a.order(b));
    pairs.find(|order| order.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// What the rows of a chunk come to.
pub(super) struct Measured<'c> {
    bytes: &'c [i64],
    packets: &'c [i64],
    sampling: &'c [u32],
    start: &'c [i64],
    duration: &'c [i64],
}

impl<'c> Measured<'c> {
    pub(super) fn of(chunk: &Chunk<'c>) -> Self {
        Self {
            bytes: chunk.longs(Column::Bytes),
            packets: chunk.longs(Column::Packets),
            sampling: chunk.ints(Column::Sampling),
            start: chunk.longs(Column::Start),
            duration: chunk.longs(Column::Duration),
        }
    }

    pub(super) fn sums(&self, row: usize) -> Sums {
        let (bytes, packets, times) = (count(self.bytes, row), count(self.packets, row), self.times(row));
        let start = Timestamp(self.start.get(row).copied().unwrap_or_default());
        Sums {
            flows: 1,
            bytes,
            packets,
            bytes_scaled: bytes.saturating_mul(times),
            packets_scaled: packets.saturating_mul(times),
            first: start,
            last: start.plus(self.duration.get(row).copied().unwrap_or_default()),
        }
    }

    /// Of all rows of the mask.
    pub(super) fn total(&self, chunk: &Chunk<'_>) -> Sums {
        let mut total = Sums::NONE;
        let counts = self.bytes.iter().zip(self.packets).zip(self.sampling).zip(self.start.iter().zip(self.duration));
        for ((((bytes, packets), sampling), (start, duration)), _) in counts.zip(chunk.mask().as_slice()).filter(|(_, wanted)| **wanted) {
            let (bytes, packets, times) = (positive(*bytes), positive(*packets), u64::from(*sampling).max(1));
            total.flows += 1;
            total.bytes = total.bytes.saturating_add(bytes);
            total.packets = total.packets.saturating_add(packets);
            total.bytes_scaled = total.bytes_scaled.saturating_add(bytes.saturating_mul(times));
            total.packets_scaled = total.packets_scaled.saturating_add(packets.saturating_mul(times));
            total.first = total.first.min(Timestamp(*start));
            total.last = total.last.max(Timestamp(*start).plus(*duration));
        }
        total
    }

    pub(super) fn amount(&self, row: usize, amount: Amount) -> u64 {
        match amount {
            Amount::Bytes => count(self.bytes, row),
            Amount::Packets => count(self.packets, row),
            Amount::Flows => 1,
            Amount::BytesScaled => count(self.bytes, row).saturating_mul(self.times(row)),
            Amount::PacketsScaled => count(self.packets, row).saturating_mul(self.times(row)),
        }
    }

    fn times(&self, row: usize) -> u64 {
        self.sampling.get(row).map_or(1, |sampling| u64::from(*sampling).max(1))
    }
}

fn count(values: &[i64], row: usize) -> u64 {
    values.get(row).map_or(0, |value| positive(*value))
}

fn positive(value: i64) -> u64 {
    value.max(0).unsigned_abs()
}

impl Tally for Sums {
    const NONE: Self = Self::NONE;

    fn is_none(&self) -> bool {
        self.flows == 0
    }

    fn add(&mut self, other: &Self) {
        self.merge(other);
    }
}

/// An amount, and one more: a group without any is there all the same.
#[derive(Clone, Copy)]
struct Weight(u64);

impl Weight {
    fn of(amount: u64) -> Self {
        Self(amount.saturating_add(1))
    }

    fn amount(self) -> u64 {
        self.0 - 1
    }
}

impl Tally for Weight {
    const NONE: Self = Self(0);

    fn is_none(&self) -> bool {
        self.0 == 0
    }

    fn add(&mut self, other: &Self) {
        self.0 = self.0.saturating_add(other.0 - 1);
    }
}

/// One thread's groups.
struct Gather<'a, V> {
    keys: &'a Keys<'a>,
    whole_only: bool,
    // Of the first two exactly one is used: keys of up to 64 bits take half the memory.
    small: Table<u64, V>,
    narrow: Table<[u64; 2], V>,
    wide: Table<Wide, V>,
    packed: Packed,
    /// Flows that belong to a group, held or not.
    flows: u64,
}

impl<'a, V: Tally> Gather<'a, V> {
    fn new(keys: &'a Keys<'a>, whole_only: bool, hasher: RandomState, part: Part, bytes_max: usize) -> Self {
        let (narrow_max, wide_max) = keys.shares(bytes_max);
        Self {
            keys,
            whole_only,
            small: Table::new(hasher.clone(), part, narrow_max),
            narrow: Table::new(hasher.clone(), part, narrow_max),
            wide: Table::new(hasher, part, wide_max),
            packed: Packed::default(),
            flows: 0,
        }
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, tally: impl Fn(usize) -> V) {
        self.keys.pack(chunk, &mut self.packed);
        for row in chunk.mask().rows() {
            if self.whole_only && !self.packed.is_whole(row) {
                continue;
            }
            self.flows += 1;
            match self.packed.narrow(row) {
                Some(key) if self.keys.are_small() => self.small.add(low(key), &tally(row)),
                Some(key) => self.narrow.add([low(key >> 64), low(key)], &tally(row)),
                None => self.wide.add(self.keys.wide(chunk, row), &tally(row)),
            }
        }
    }

    /// Takes in another thread's groups.
    fn absorb(&mut self, other: Self, bytes_max: usize) {
        self.flows += other.flows;
        let (narrow_max, wide_max) = self.keys.shares(bytes_max);
        self.small.room(narrow_max);
        self.narrow.room(narrow_max);
        self.wide.room(wide_max);
        self.small.absorb(other.small);
        self.narrow.absorb(other.narrow);
        self.wide.absorb(other.wide);
    }

    /// Which groups are held: those that all three tables hold. Keys of different kinds are never the same, but the tables
    /// are cut by the same bits.
    fn settle(&mut self) -> Part {
        let parts = [self.small.part(), self.narrow.part(), self.wide.part()];
        let part = parts.into_iter().max_by_key(|part| part.bits).unwrap_or_default();
        self.small.keep(part);
        self.narrow.keep(part);
        self.wide.keep(part);
        part
    }

    /// Whether no group was left out; once `settle` has been called.
    fn is_all(&self) -> bool {
        self.small.part() == Part::default()
    }

    fn len(&self) -> usize {
        self.small.len() + self.narrow.len() + self.wide.len()
    }

    /// The groups whose keys are narrow.
    fn narrow(&self) -> impl Iterator<Item = (Key, V)> + '_ {
        let small = self.small.iter().map(|(key, tally)| (Key::Narrow(key.into()), tally));
        let joined = |[high, low]: [u64; 2]| Key::Narrow(u128::from(high) << 64 | u128::from(low));
        small.chain(self.narrow.iter().map(move |(key, tally)| (joined(key), tally)))
    }

    fn wide(&self) -> impl Iterator<Item = (Key, V)> + '_ {
        self.wide.iter().map(|(key, tally)| (Key::Wide(key), tally))
    }
}

impl Ranked {
    /// Adds the groups of one walk.
    fn take_in<V: Tally>(&mut self, gather: &Gather<'_, V>, contest: &Contest<'_>, amount: impl Fn(&V) -> u64 + Copy) {
        let rows = contest.rows.min(ROWS_MAX);
        self.groups += gather.len();
        let of = move |(key, tally): (Key, V)| (key, amount(&tally).min(contest.amount_max));
        // Keys of one kind are in the order of their values, those of two are not.
        let narrow = best(gather.narrow().map(of), rows, contest.least);
        let best = narrow.into_iter().chain(best(gather.wide().map(of), rows, contest.least));
        self.places.extend(best.map(|(key, amount)| Place { key, values: contest.keys.values(&key), amount }));
        let by_rank = |place: &Place| rank_of(place.amount, contest.least);
        self.places.sort_by(|a, b| by_rank(b).cmp(&by_rank(a)).then_with(|| order(&a.values, &b.values)));
        self.places.truncate(rows);
    }
}

fn rank_of(amount: u64, least: bool) -> u64 {
    if least { u64::MAX - amount } else { amount }
}

/// The first of some groups, ties in the order of their keys.
fn best<K: Copy + Ord + Hash>(groups: impl Iterator<Item = (K, u64)>, rows: usize, least: bool) -> Vec<(K, u64)> {
    let mut held: Vec<(K, u64)> = Vec::new();
    let mut bar = 0;
    let first = |(key, amount): &(K, u64)| (std::cmp::Reverse(rank_of(*amount, least)), *key);
    for group in groups {
        if held.len() >= rows && rank_of(group.1, least) < bar {
            continue;
        }
        held.push(group);
        if held.len() >= rows.saturating_mul(2).max(64) {
            held.sort_unstable_by_key(first);
            held.truncate(rows);
            bar = held.last().map_or(0, |(_, amount)| rank_of(*amount, least));
        }
    }
    held.sort_unstable_by_key(first);
    held.truncate(rows);
    held
}

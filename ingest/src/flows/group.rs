//! Groups by any columns, ranked: packed keys in open hash maps, one a thread. Exact for any number of groups: what does
//! not fit into memory is counted in further passes.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use foldhash::fast::RandomState;

use super::chunk::Chunk;
use super::column::{Access, Column, ColumnSet, octets_address};
use super::scan::{FlowRange, SCAN_THREADS};
use super::table::{Part, Sums, Table};
use super::values::Slice;
use super::{FlowStore, FlowStoreError, Measure};
use crate::body::{SITE_UNKNOWN, SiteId};

/// Memory of a question's groups: about seven million pairs of addresses. More groups take more passes.
const GROUP_BYTES_MAX: usize = 448 << 20;
/// Passes through the files at most; with so many something is asked that nobody reads, and the answer says it is not all.
const PASSES_MAX: usize = 32;
/// Rows of a result: more than anybody reads, few enough for a page or an export step.
pub const ROWS_MAX: usize = 10_000;
/// Bytes of a key: both addresses of IPv6, both ports, the protocol, and some more.
const WIDE_BYTES: usize = 48;

type Wide = [u64; WIDE_BYTES / 8];

/// What to add up by what.
#[derive(Clone, Copy)]
pub struct Grouping<'a> {
    pub range: FlowRange<'a>,
    /// At most 48 bytes together: two addresses, two ports, a protocol and some more. Without any there is one group.
    pub by: &'a [Column],
    pub measure: Measure,
    pub limit: usize,
    /// Whether bytes and packets are multiplied by what one sampled packet stands for.
    pub scaled: bool,
}

/// One value of a group's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyPart {
    Number(i128),
    Address(IpAddr),
    Mac([u8; 6]),
    Site(SiteId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// In the order of `by`.
    pub key: Vec<KeyPart>,
    pub sums: Sums,
}

/// The groups in order of the measure, and the sums over all that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    pub rows: Vec<Group>,
    pub total: Sums,
    /// How many groups there are.
    pub count: usize,
    /// Whether there were more groups than can be counted; the sums are right all the same.
    pub incomplete: bool,
    /// How many records were looked at.
    pub records_read: u64,
}

impl FlowStore {
    /// The groups with the most bytes, packets or flows; exact.
    ///
    /// # Errors
    /// As `scan`; and where the columns are too many for a key.
    pub fn group(&self, grouping: &Grouping<'_>) -> Result<Groups, FlowStoreError> {
        self.group_within(grouping, GROUP_BYTES_MAX)
    }

    pub(super) fn group_within(&self, grouping: &Grouping<'_>, bytes_max: usize) -> Result<Groups, FlowStoreError> {
        let layout = Layout::of(grouping.by);
        if layout.wide_bytes > WIDE_BYTES {
            let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, "too many columns to group by");
            return Err(FlowStoreError::new("grouping flows of", &self.dir, error));
        }
        let limit = grouping.limit.min(ROWS_MAX);
        let needed = ColumnSet::of(grouping.by).and(MEASURED);
        let needed = if grouping.scaled { needed.with(Column::Sampling) } else { needed };
        // Two threads would have most groups of several columns twice, and what does not fit costs a pass.
        let threads = if grouping.by.len() > 1 { 1 } else { SCAN_THREADS };
        let (hasher, sites) = (RandomState::default(), Mutex::new(Sites::default()));
        let mut result = Groups { rows: Vec::new(), total: Sums::NONE, count: 0, incomplete: false, records_read: 0 };
        let mut parts = vec![Part::default()];
        let mut passes = 0;
        while let Some(begun) = parts.pop() {
            passes += 1;
            if passes > PASSES_MAX {
                result.incomplete = true;
                break;
            }
            let (narrow_max, wide_max) = layout.shares(bytes_max / threads);
            let make = || Gather {
                grouping,
                layout: &layout,
                sites: &sites,
                small: Table::new(hasher.clone(), begun, narrow_max),
                narrow: Table::new(hasher.clone(), begun, narrow_max),
                wide: Table::new(hasher.clone(), begun, wide_max),
                total: Sums::NONE,
                keys: Vec::new(),
                fits: Vec::new(),
            };
            let (workers, scanned) = self.scan(&grouping.range, needed, threads, make)?;
            let mut workers = workers.into_iter();
            let Some(mut all) = workers.next() else { break };
            for other in workers {
                all.total.add(&other.total);
                all.small.absorb(other.small);
                all.narrow.absorb(other.narrow);
                all.wide.absorb(other.wide);
            }
            // Keys of different widths are never the same, but the tables are cut by the same bits.
            let ended = [all.small.part(), all.narrow.part(), all.wide.part()].into_iter().max_by_key(|part| part.bits).unwrap_or(begun);
            all.small.keep(ended);
            all.narrow.keep(ended);
            all.wide.keep(ended);
            parts.extend(ended.left_of(begun));
            if passes == 1 {
                result.total = all.total;
            }
            result.records_read += scanned.records;
            result.count += all.small.len() + all.narrow.len() + all.wide.len();
            let names = sites.lock().unwrap_or_else(PoisonError::into_inner);
            let small =
                best(&all.small, grouping.measure, limit).into_iter().map(|(key, sums)| (layout.narrow_parts(key.into(), &names), sums));
            let narrow = best(&all.narrow, grouping.measure, limit).into_iter().map(|(key, sums)| (layout.narrow_parts(key, &names), sums));
            let wide = best(&all.wide, grouping.measure, limit).into_iter().map(|(key, sums)| (layout.wide_parts(key, &names), sums));
            result.rows.extend(small.chain(narrow).chain(wide).map(|(key, sums)| Group { key, sums }));
            result.rows.sort_by_cached_key(|row| (Reverse(grouping.measure.of(&row.sums)), row.key.clone()));
            result.rows.truncate(limit);
        }
        Ok(result)
    }
}

const MEASURED: ColumnSet = ColumnSet::NONE.with(Column::Bytes).with(Column::Packets).with(Column::Start).with(Column::Duration);

/// The first of a table; of equal ones any, as long as their keys are not known.
fn best<K: Copy + Default + Eq + std::hash::Hash + Ord>(table: &Table<K>, measure: Measure, limit: usize) -> Vec<(K, Sums)> {
    let mut rows: Vec<(K, Sums)> = Vec::with_capacity(limit.saturating_mul(2).min(table.len()));
    let key = |(key, sums): &(K, Sums)| (Reverse(measure.of(sums)), *key);
    let mut least = 0;
    for row in table.iter() {
        if rows.len() >= limit && measure.of(&row.1) < least {
            continue;
        }
        rows.push(row);
        if rows.len() >= limit.saturating_mul(2).max(64) {
            rows.sort_unstable_by_key(key);
            rows.truncate(limit);
            least = rows.last().map_or(0, |(_, sums)| measure.of(sums));
        }
    }
    rows.sort_unstable_by_key(key);
    rows.truncate(limit);
    rows
}

/// Numbers for the sites of a question, so that they take four bytes of a key.
#[derive(Default)]
struct Sites {
    known: HashMap<SiteId, u32>,
    names: Vec<SiteId>,
}

impl Sites {
    fn number(&mut self, site: SiteId) -> u32 {
        *self.known.entry(site).or_insert_with(|| {
            self.names.push(site);
            u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

/// How keys are packed: all of IPv4 into 128 bits where they fit, in 64 for the usual ones; the others byte by byte.
struct Layout {
    by: Vec<(Column, Access)>,
    /// Bits of a narrow key; addresses take 32.
    narrow_bits: u32,
    wide_bytes: usize,
}

impl Layout {
    fn of(by: &[Column]) -> Self {
        let by: Vec<(Column, Access)> = by.iter().map(|column| (*column, column.info().access)).collect();
        let narrow_bits = by.iter().map(|(_, access)| narrow_bits(*access)).sum();
        let wide_bytes = by.iter().map(|(_, access)| wide_bytes(*access)).sum();
        Self { by, narrow_bits, wide_bytes }
    }

    /// What the narrow and the wide table may take of a thread's memory. Both are used where addresses are narrow as IPv4 and
    /// wide as IPv6; then most are IPv4.
    fn shares(&self, bytes: usize) -> (usize, usize) {
        let has_addresses = self.by.iter().any(|(_, access)| matches!(access, Access::Address(..)));
        match (self.narrow_bits <= 128, has_addresses) {
            (true, true) => (bytes - bytes / 4, bytes / 4),
            (true, false) => (bytes, 0),
            (false, _) => (0, bytes),
        }
    }

    fn narrow_parts(&self, mut key: u128, sites: &Sites) -> Vec<KeyPart> {
        let mut parts: Vec<KeyPart> = Vec::with_capacity(self.by.len());
        for (_, access) in self.by.iter().rev() {
            let bits = narrow_bits(*access);
            let value = if bits < 128 { key & ((1 << bits) - 1) } else { key };
            key = key.checked_shr(bits).unwrap_or(0);
            parts.push(part(*access, value, true, sites));
        }
        parts.reverse();
        parts
    }

    fn wide_parts(&self, key: Wide, sites: &Sites) -> Vec<KeyPart> {
        let bytes: Vec<u8> = key.iter().flat_map(|word| word.to_be_bytes()).collect();
        let mut at = 0;
        let one = |(_, access): &(Column, Access)| {
            let len = wide_bytes(*access);
            let value = bytes.iter().skip(at).take(len).fold(0u128, |value, byte| value << 8 | u128::from(*byte));
            at += len;
            part(*access, value, false, sites)
        };
        self.by.iter().map(one).collect()
    }
}

fn narrow_bits(access: Access) -> u32 {
    match access {
        Access::Time(..) | Access::Long(..) | Access::Id(..) => 64,
        Access::Int(..) | Access::Address(..) | Access::Site(..) => 32,
        Access::Short(..) => 16,
        Access::Byte(..) => 8,
        Access::Mac(..) => 48,
    }
}

fn wide_bytes(access: Access) -> usize {
    match access {
        Access::Address(..) => 16,
        other => narrow_bits(other) as usize / 8,
    }
}

fn part(access: Access, value: u128, narrow: bool, sites: &Sites) -> KeyPart {
    let low = u64::try_from(value & u128::from(u64::MAX)).unwrap_or_default();
    match access {
        Access::Time(..) | Access::Long(..) => KeyPart::Number(low.cast_signed().into()),
        Access::Id(..) | Access::Int(..) | Access::Short(..) | Access::Byte(..) => KeyPart::Number(low.into()),
        Access::Address(..) if narrow => KeyPart::Address(octets_address((V4_MAPPED | value).to_be_bytes())),
        Access::Address(..) => KeyPart::Address(octets_address(value.to_be_bytes())),
        Access::Mac(..) => {
            let [_, _, mac @ ..] = low.to_be_bytes();
            KeyPart::Mac(mac)
        }
        Access::Site(..) => KeyPart::Site(usize::try_from(low).ok().and_then(|n| sites.names.get(n)).copied().unwrap_or(SITE_UNKNOWN)),
    }
}

/// `::ffff:0.0.0.0`.
const V4_MAPPED: u128 = 0xffff << 32;

/// One thread's work.
struct Gather<'a> {
    grouping: &'a Grouping<'a>,
    layout: &'a Layout,
    sites: &'a Mutex<Sites>,
    /// Exactly one of the first two is used: keys of up to 64 bits take half the memory.
    small: Table<u64>,
    narrow: Table<u128>,
    wide: Table<Wide>,
    total: Sums,
    keys: Vec<u128>,
    /// Whether the row's key fits a narrow one.
    fits: Vec<bool>,
}

impl super::scan::Worker for Gather<'_> {
    fn chunk(&mut self, chunk: &Chunk<'_>) -> ControlFlow<()> {
        let numbers = self.pack(chunk);
        let small = self.layout.narrow_bits <= 64;
        let scale = if self.grouping.scaled { chunk.ints(Column::Sampling) } else { &[] };
        let (bytes, packets) = (chunk.longs(Column::Bytes), chunk.longs(Column::Packets));
        let (starts, durations) = (chunk.longs(Column::Start), chunk.longs(Column::Duration));
        let rows = bytes.iter().zip(packets).zip(starts.iter().zip(durations)).zip(self.keys.iter().zip(&self.fits));
        for (row, (((bytes, packets), (start, duration)), (key, fits))) in rows.enumerate() {
            if !chunk.mask().has(row) {
                continue;
            }
            let times = scale.get(row).map_or(1, |sampling| u64::from(*sampling).max(1));
            let sums = Sums {
                bytes: bytes.max(&0).unsigned_abs().saturating_mul(times),
                packets: packets.max(&0).unsigned_abs().saturating_mul(times),
                flows: 1,
                first: *start,
                last: start.saturating_add(*duration),
            };
            self.total.add(&sums);
            match (fits, small) {
                (true, true) => self.small.add(u64::try_from(*key).unwrap_or(u64::MAX), &sums),
                (true, false) => self.narrow.add(*key, &sums),
                (false, _) => self.wide.add(wide_key(self.layout, chunk, row, &numbers), &sums),
            }
        }
        ControlFlow::Continue(())
    }
}

impl Gather<'_> {
    /// Packs the narrow keys column by column; returns the numbers of the chunk's sites.
    fn pack(&mut self, chunk: &Chunk<'_>) -> Vec<u32> {
        fn shift<T: Copy>(keys: &mut [u128], values: &[T], bits: u32, number: impl Fn(T) -> u128) {
            keys.iter_mut().zip(values).for_each(|(key, value)| *key = key.checked_shl(bits).unwrap_or(0) | number(*value));
        }
        self.keys.clear();
        self.keys.resize(chunk.len(), 0);
        self.fits.clear();
        self.fits.resize(chunk.len(), self.layout.narrow_bits <= 128);
        let mut numbers = Vec::new();
        for (column, access) in &self.layout.by {
            let (bits, keys) = (narrow_bits(*access), self.keys.as_mut_slice());
            match chunk.slice(*column) {
                Some(Slice::Long(values)) => shift(keys, values, bits, |value| value.cast_unsigned().into()),
                Some(Slice::Id(values)) => shift(keys, values, bits, u128::from),
                Some(Slice::Int(values)) => shift(keys, values, bits, u128::from),
                Some(Slice::Short(values)) => shift(keys, values, bits, u128::from),
                Some(Slice::Byte(values)) => shift(keys, values, bits, u128::from),
                Some(Slice::Mac(values)) => {
                    shift(keys, values, bits, |[a, b, c, d, e, f]| u64::from_be_bytes([0, 0, a, b, c, d, e, f]).into())
                }
                Some(Slice::Address(values)) => {
                    shift(keys, values, bits, |octets| u128::from_be_bytes(octets) & u128::from(u32::MAX));
                    let is_v4 = |octets: &[u8; 16]| u128::from_be_bytes(*octets) >> 32 == V4_MAPPED >> 32;
                    self.fits.iter_mut().zip(values).for_each(|(fits, octets)| *fits &= is_v4(octets));
                }
                Some(Slice::Site(rows, names)) => {
                    let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
                    numbers = names.iter().map(|site| sites.number(*site)).collect();
                    shift(keys, rows, bits, |row| site_number(row, &numbers).into());
                }
                None => {}
            }
        }
        numbers
    }
}

fn site_number(row: i32, numbers: &[u32]) -> u32 {
    usize::try_from(row).ok().and_then(|row| numbers.get(row)).copied().unwrap_or(u32::MAX)
}

fn wide_key(layout: &Layout, chunk: &Chunk<'_>, row: usize, numbers: &[u32]) -> Wide {
    fn of<T: Copy + Default>(values: &[T], row: usize) -> T {
        values.get(row).copied().unwrap_or_default()
    }
    let mut bytes = [0u8; WIDE_BYTES];
    let mut at = 0;
    for (column, access) in &layout.by {
        let value: u128 = match chunk.slice(*column) {
            Some(Slice::Long(values)) => of(values, row).cast_unsigned().into(),
            Some(Slice::Id(values)) => of(values, row).into(),
            Some(Slice::Int(values)) => of(values, row).into(),
            Some(Slice::Short(values)) => of(values, row).into(),
            Some(Slice::Byte(values)) => of(values, row).into(),
            Some(Slice::Mac(values)) => of(values, row).into_iter().fold(0, |all, byte| all << 8 | u128::from(byte)),
            Some(Slice::Address(values)) => u128::from_be_bytes(of(values, row)),
            Some(Slice::Site(keys, _)) => site_number(of(keys, row), numbers).into(),
            None => 0,
        };
        let len = wide_bytes(*access);
        let value = value.to_be_bytes();
        let from = value.iter().skip(value.len() - len);
        bytes.iter_mut().skip(at).zip(from).for_each(|(to, from)| *to = *from);
        at += len;
    }
    let mut words = Wide::default();
    words.iter_mut().zip(bytes.as_chunks::<8>().0).for_each(|(word, bytes)| *word = u64::from_be_bytes(*bytes));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_a_thread_share_its_memory() {
        for by in [&[Column::SrcIp][..], &[Column::SrcPort, Column::Protocol], &[Column::Start, Column::FlowId, Column::SrcIp], &[]] {
            let (narrow, wide) = Layout::of(by).shares(1_000_003);
            assert_eq!(narrow + wide, 1_000_003, "{by:?}");
        }
        assert_eq!(Layout::of(&[Column::SrcIp]).shares(100), (75, 25));
    }
}

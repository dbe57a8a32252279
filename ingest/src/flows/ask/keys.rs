//! The keys that flows are grouped by: the values of up to three fields, and the bar of time where there are bars, packed
//! into a number. Usual ones (IPv4, ports, words) take 64 or 128 bits and are packed column by column; the others take 64
//! bytes and are packed row by row. Keys are in the order in which their values are shown, what is missing last.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::body::{SITE_UNKNOWN, SiteId, SiteTable};
use crate::enrich;
use crate::events::Value;
use crate::fields::FieldId;
use crate::flow::FlowRecord;
use crate::flows::chunk::Chunk;
use crate::flows::column::{Access, Column, ColumnSet};
use crate::flows::value::{self, Get};
use crate::flows::values::Slice;
use crate::query::Width;
use crate::time::Timestamp;

/// Fields of one key.
pub(super) const FIELDS_MAX: usize = 3;
/// A bar, and for each field a tag and an IPv6 address.
const WIDE_BYTES: usize = 64;
const BAR_BITS: u32 = 64;
/// What a reckoned number (a port, a rate) takes of a narrow key; greater ones take a wide one.
const RECKONED_BITS: u32 = 32;
/// The tags of a wide key's values.
const PLAIN: u8 = 0;
const IPV6: u8 = 1;
const MISSING: u8 = 2;
/// In the order of their names.
const DIRECTIONS: [&str; 4] = ["external", "inbound", "internal", "outbound"];

pub(super) type Wide = [u64; WIDE_BYTES / 8];

/// A group's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    Narrow(u128),
    Wide(Wide),
}

/// The keys of a chunk's rows, kept to spare the allocations. Of rows outside the mask nothing is known.
#[derive(Default)]
pub(super) struct Packed {
    keys: Vec<u128>,
    /// Whether the row's key is in `keys`; else it is wide.
    narrow: Vec<bool>,
    /// Whether every field has a value.
    whole: Vec<bool>,
}

impl Packed {
    pub(super) fn is_whole(&self, row: usize) -> bool {
        self.whole.get(row).copied().unwrap_or(false)
    }

    /// The row's key where it is narrow.
    pub(super) fn narrow(&self, row: usize) -> Option<u128> {
        if self.narrow.get(row) == Some(&true) { self.keys.get(row).copied() } else { None }
    }
}

/// One field of a key.
struct Part {
    get: &'static Get,
    bits: u32,
    /// How far from the right its bits stand in a narrow key.
    shift: u32,
    /// Its words in order, where it has words.
    words: Vec<&'static str>,
    /// For each code the place of its word; `None` for those without.
    ranks: Vec<Option<u32>>,
}

/// What a field is of a flow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Datum {
    Missing,
    Number(i64),
    Address(IpAddr),
    Mac([u8; 6]),
    /// The place among the field's words, or among the sites' names.
    Rank(u32),
}

/// The fields that groups are made by.
pub(super) struct Keys<'a> {
    parts: Vec<Part>,
    width: Option<Width>,
    sites: SiteNames<'a>,
    table: &'a SiteTable,
    bits: u32,
}

impl<'a> Keys<'a> {
    /// `None` where a field has several values or is a hash, or there are too many: those are grouped the general way.
    pub(super) fn of(fields: &[FieldId], width: Option<Width>, table: &'a SiteTable) -> Option<Self> {
        let gets: Option<Vec<&'static Get>> = fields.iter().map(|field| value::get(*field)).collect();
        let gets = gets.filter(|gets| gets.len() <= FIELDS_MAX && !gets.iter().any(|get| matches!(get, Get::Flags | Get::CommunityId)))?;
        let mut shift = 0;
        let mut parts: Vec<Part> = Vec::with_capacity(gets.len());
        for get in gets.into_iter().rev() {
            parts.push(Part::new(get, shift));
            shift += bits(get);
        }
        parts.reverse();
        let bits = shift + if width.is_some() { BAR_BITS } else { 0 };
        Some(Self { parts, width, sites: SiteNames::of(table), table, bits })
    }

    /// How many fields.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// What narrow and wide keys may take of a memory: most are narrow, where they can be.
    pub(super) fn shares(&self, bytes: usize) -> (usize, usize) {
        if self.bits <= u128::BITS { (bytes - bytes / 4, bytes / 4) } else { (0, bytes) }
    }

    pub(super) fn columns(&self) -> ColumnSet {
        let bar = if self.width.is_some() { ColumnSet::of(&[Column::Start]) } else { ColumnSet::NONE };
        self.parts.iter().fold(bar, |set, part| set.and(part.get.columns()))
    }

    /// Packs the keys of a chunk.
    pub(super) fn pack(&self, chunk: &Chunk<'_>, to: &mut Packed) {
        to.keys.clear();
        to.keys.resize(chunk.len(), 0);
        to.narrow.clear();
        to.narrow.resize(chunk.len(), self.bits <= u128::BITS);
        to.whole.clear();
        to.whole.resize(chunk.len(), true);
        if let Some(width) = self.width {
            let (mut bar, shift) = (Bar::new(width), self.bits - BAR_BITS);
            let starts = chunk.longs(Column::Start);
            to.keys.iter_mut().zip(starts).for_each(|(key, start)| *key = shifted(ordered(bar.start(Timestamp(*start))), shift));
        }
        let row_by_row: Vec<&Part> = self.parts.iter().filter(|part| !part.pack_column(chunk, &self.sites, to)).collect();
        if row_by_row.is_empty() {
            return;
        }
        let rows = Rows::new(chunk, row_by_row.iter().fold(ColumnSet::NONE, |set, part| set.and(part.get.columns())));
        let mut flow = FlowRecord::NONE;
        for row in chunk.mask().rows() {
            rows.put(row, &mut flow);
            let (Some(key), Some(narrow), Some(whole)) = (to.keys.get_mut(row), to.narrow.get_mut(row), to.whole.get_mut(row)) else {
                break;
            };
            for part in &row_by_row {
                let datum = self.datum(part, &flow);
                *whole &= datum != Datum::Missing;
                match part.narrow(datum) {
                    Some(value) => *key |= shifted(value, part.shift),
                    None => *narrow = false,
                }
            }
        }
    }

    /// Whether all narrow keys have 64 bits at most.
    pub(super) fn are_small(&self) -> bool {
        self.bits <= u64::BITS
    }

    /// What is shown of a key: the bar where there are bars, then each field's value.
    pub(super) fn values(&self, key: &Key) -> Vec<Value> {
        let number = match key {
            Key::Narrow(key) => *key,
            Key::Wide(words) => return self.wide_values(words),
        };
        let bar = self.width.map(|_| Value::Time(Timestamp(unordered(low(number >> (self.bits - BAR_BITS))))));
        let parts = self.parts.iter().map(|part| {
            let value = if part.bits == 0 { 0 } else { number >> part.shift & ((1 << part.bits) - 1) };
            self.shown(part, part.of_narrow(value))
        });
        bar.into_iter().chain(parts).collect()
    }

    /// The wide key of a row.
    pub(super) fn wide(&self, chunk: &Chunk<'_>, row: usize) -> Wide {
        let mut flow = FlowRecord::NONE;
        Rows::new(chunk, self.columns()).put(row, &mut flow);
        let bar = self.width.map(|width| width.bar(flow.start).0.0);
        let mut bytes: Vec<u8> = bar.map_or_else(Vec::new, |bar| low(ordered(bar)).to_be_bytes().to_vec());
        for part in &self.parts {
            let (tag, value) = match self.datum(part, &flow) {
                Datum::Missing => (MISSING, 0),
                Datum::Number(number) => (PLAIN, ordered(number)),
                Datum::Address(IpAddr::V4(address)) => (PLAIN, address.to_bits().into()),
                Datum::Address(IpAddr::V6(address)) => (IPV6, address.to_bits()),
                Datum::Mac(mac) => (PLAIN, mac_number(mac)),
                Datum::Rank(rank) => (PLAIN, rank.into()),
            };
            bytes.push(tag);
            bytes.extend(value.to_be_bytes());
        }
        bytes.resize(WIDE_BYTES, 0);
        let mut words = Wide::default();
        words.iter_mut().zip(bytes.as_chunks::<8>().0).for_each(|(word, bytes)| *word = u64::from_be_bytes(*bytes));
        words
    }

    fn wide_values(&self, words: &Wide) -> Vec<Value> {
        let mut bytes = words.iter().flat_map(|word| word.to_be_bytes());
        let mut take = |count: usize| bytes.by_ref().take(count).fold(0u128, |value, byte| value << 8 | u128::from(byte));
        let bar = self.width.map(|_| Value::Time(Timestamp(unordered(low(take(8))))));
        let parts: Vec<Value> = self
            .parts
            .iter()
            .map(|part| {
                let (tag, value) = (take(1), take(16));
                let datum = match (part.get, tag) {
                    _ if tag == u128::from(MISSING) => Datum::Missing,
                    (Get::Number { .. } | Get::Nanos | Get::Reckoned(..), _) => Datum::Number(unordered(low(value))),
                    (Get::Address { .. } | Get::ReckonedAddress(..), _) if tag == u128::from(IPV6) => {
                        Datum::Address(Ipv6Addr::from_bits(value).into())
                    }
                    _ => part.plain(low(value)),
                };
                self.shown(part, datum)
            })
            .collect();
        bar.into_iter().chain(parts).collect()
    }

    fn datum(&self, part: &Part, flow: &FlowRecord) -> Datum {
        let ranked = |rank: Option<u32>| rank.map_or(Datum::Missing, Datum::Rank);
        match part.get {
            Get::Number { .. } | Get::Nanos | Get::Reckoned(..) => part.get.number(flow).map_or(Datum::Missing, Datum::Number),
            Get::Address { .. } | Get::ReckonedAddress(..) => {
                part.get.address(flow).map_or(Datum::Missing, |address| Datum::Address(address.to_canonical()))
            }
            Get::Code { column, .. } => ranked(part.rank(u8::try_from(value::column_number(column.info().access, flow)).unwrap_or(0))),
            Get::ReckonedCode { of, .. } => ranked(part.rank(of(flow))),
            Get::Mac(_) => part.get.mac(flow).map_or(Datum::Missing, Datum::Mac),
            Get::Site => Datum::Rank(self.sites.rank(flow.site)),
            Get::Direction => {
                let word = enrich::direction(flow.site, flow.src_ip, flow.dst_ip, self.table);
                ranked(DIRECTIONS.iter().position(|known| *known == word).and_then(|place| u32::try_from(place).ok()))
            }
            Get::Constant(_) => Datum::Rank(0),
            Get::Flags | Get::CommunityId => Datum::Missing,
        }
    }

    fn shown(&self, part: &Part, datum: Datum) -> Value {
        let text = |text: Option<&str>| text.map_or(Value::Missing, |text| Value::Text(text.into()));
        match (datum, part.get) {
            (Datum::Missing, _) => Value::Missing,
            (Datum::Number(number), _) => Value::Int(number),
            (Datum::Address(address), _) => Value::Ip(address),
            (Datum::Mac(mac), _) => Value::Text(value::mac_text(mac).into()),
            (Datum::Rank(rank), Get::Site) => text(self.sites.names.get(rank as usize).copied()),
            (Datum::Rank(rank), _) => text(part.words.get(rank as usize).copied()),
        }
    }
}

impl Part {
    fn new(get: &'static Get, shift: u32) -> Self {
        let named: Vec<Option<&'static str>> = match get {
            Get::Code { name, .. } | Get::ReckonedCode { name, .. } => (0..=u8::MAX).map(name).collect(),
            Get::Direction => DIRECTIONS.map(Some).to_vec(),
            Get::Constant(word) => vec![Some(*word)],
            _ => vec![],
        };
        let mut words: Vec<&'static str> = named.iter().flatten().copied().collect();
        words.sort_unstable();
        words.dedup();
        let rank = |word: &Option<&'static str>| word.and_then(|word| u32::try_from(words.binary_search(&word).ok()?).ok());
        let ranks = named.iter().map(rank).collect();
        Self { get, bits: bits(get), shift, words, ranks }
    }

    fn rank(&self, code: u8) -> Option<u32> {
        self.ranks.get(usize::from(code)).copied().flatten()
    }

    /// What stands for no value in a narrow key: more than any value.
    fn missing(&self) -> Option<u128> {
        match self.get {
            Get::Nanos | Get::Reckoned(..) => Some((1 << RECKONED_BITS) - 1),
            Get::Number { zero: true, .. } | Get::Address { zero: true, .. } | Get::Site | Get::Direction | Get::Constant(_) => None,
            _ => Some(1 << (self.bits - 1)),
        }
    }

    /// `None` where it has no room in a narrow key.
    fn narrow(&self, datum: Datum) -> Option<u128> {
        let missing = self.missing();
        match datum {
            Datum::Missing => missing,
            Datum::Number(number) => u128::try_from(number).ok().filter(|number| {
                // The greatest column has 64 bits and its numbers 63.
                missing.is_none_or(|missing| *number < missing)
            }),
            Datum::Address(IpAddr::V4(address)) => Some(address.to_bits().into()),
            Datum::Address(IpAddr::V6(_)) => None,
            Datum::Mac(mac) => Some(mac_number(mac)),
            Datum::Rank(rank) => Some(rank.into()),
        }
    }

    fn of_narrow(&self, value: u128) -> Datum {
        if self.missing() == Some(value) { Datum::Missing } else { self.plain(low(value)) }
    }

    /// The value as a narrow key has it; an IPv4 address.
    fn plain(&self, value: u64) -> Datum {
        match self.get {
            Get::Number { .. } | Get::Nanos | Get::Reckoned(..) => Datum::Number(i64::try_from(value).unwrap_or(i64::MAX)),
            Get::Address { .. } | Get::ReckonedAddress(..) => {
                Datum::Address(Ipv4Addr::from_bits(u32::try_from(value).unwrap_or_default()).into())
            }
            Get::Mac(_) => {
                let [_, _, mac @ ..] = value.to_be_bytes();
                Datum::Mac(mac)
            }
            _ => Datum::Rank(u32::try_from(value).unwrap_or(u32::MAX)),
        }
    }

    /// Packs the usual fields without looking at a row as a whole; `false` where the field is none of them.
    fn pack_column(&self, chunk: &Chunk<'_>, sites: &SiteNames<'_>, to: &mut Packed) -> bool {
        fn put<T: Copy>(keys: &mut [u128], values: &[T], shift: u32, number: impl Fn(T) -> u128) {
            keys.iter_mut().zip(values).for_each(|(key, value)| *key |= shifted(number(*value), shift));
        }
        let (keys, shift) = (to.keys.as_mut_slice(), self.shift);
        let column = match self.get {
            Get::Number { column, zero: true } | Get::Address { column, zero: true } | Get::Code { column, .. } => *column,
            Get::Site => Column::Site,
            _ => return false,
        };
        match (self.get, chunk.slice(column)) {
            (Get::Number { .. }, Some(Slice::Int(values))) => put(keys, values, shift, u128::from),
            (Get::Number { .. }, Some(Slice::Short(values))) => put(keys, values, shift, u128::from),
            (Get::Number { .. }, Some(Slice::Byte(values))) => put(keys, values, shift, u128::from),
            (Get::Address { .. }, Some(Slice::Address(values))) => {
                put(keys, values, shift, |octets| u128::from_be_bytes(octets) & u128::from(u32::MAX));
                let is_v4 = |octets: &[u8; 16]| u128::from_be_bytes(*octets) >> 32 == 0xffff;
                to.narrow.iter_mut().zip(values).for_each(|(narrow, octets)| *narrow &= is_v4(octets));
            }
            (Get::Code { .. }, Some(Slice::Byte(values))) => {
                let missing = self.missing().unwrap_or_default();
                put(keys, values, shift, |code| self.rank(code).map_or(missing, u128::from));
                to.whole.iter_mut().zip(values).for_each(|(whole, code)| *whole &= self.rank(*code).is_some());
            }
            (Get::Site, Some(Slice::Site(rows, ids))) => {
                let unknown = sites.rank(SITE_UNKNOWN);
                let ranks: Vec<u32> = ids.iter().map(|site| sites.rank(*site)).collect();
                let rank = |row: i32| usize::try_from(row).ok().and_then(|row| ranks.get(row)).copied().unwrap_or(unknown);
                put(keys, rows, shift, |row| rank(row).into());
            }
            _ => return false,
        }
        true
    }
}

/// The bits that a field takes of a narrow key, a value for what is missing included where it can be.
fn bits(get: &Get) -> u32 {
    match get {
        Get::Number { column, zero } => {
            let of_column = match column.info().access {
                Access::Time(..) | Access::Long(..) | Access::Id(..) => 64,
                Access::Int(..) => 32,
                Access::Short(..) => 16,
                _ => 8,
            };
            of_column + u32::from(!zero)
        }
        Get::Nanos | Get::Reckoned(..) => RECKONED_BITS,
        Get::Address { zero, .. } => 32 + u32::from(!zero),
        Get::ReckonedAddress(..) => 33,
        Get::Code { .. } | Get::ReckonedCode { .. } => 9,
        Get::Mac(_) => 49,
        Get::Site => 32,
        Get::Direction => 2,
        Get::Constant(_) | Get::Flags | Get::CommunityId => 0,
    }
}

/// The sites' names in order: two of one name are one value.
struct SiteNames<'a> {
    names: Vec<&'a str>,
    ranks: HashMap<SiteId, u32>,
    unknown: u32,
}

impl<'a> SiteNames<'a> {
    fn of(table: &'a SiteTable) -> Self {
        let mut names: Vec<&str> = table.iter().map(|site| table.name(site.id)).chain([table.name(SITE_UNKNOWN)]).collect();
        names.sort_unstable();
        names.dedup();
        let rank = |name: &str| names.binary_search(&name).ok().and_then(|place| u32::try_from(place).ok()).unwrap_or_default();
        let ranks = table.iter().map(|site| (site.id, rank(table.name(site.id)))).collect();
        let unknown = rank(table.name(SITE_UNKNOWN));
        Self { names, ranks, unknown }
    }

    fn rank(&self, site: SiteId) -> u32 {
        self.ranks.get(&site).copied().unwrap_or(self.unknown)
    }
}

/// Some columns of a chunk, to be put into a record row by row.
struct Rows<'c>(Vec<(Column, Slice<'c>)>);

impl<'c> Rows<'c> {
    fn new(chunk: &Chunk<'c>, columns: ColumnSet) -> Self {
        Self(columns.iter().filter_map(|column| Some((column, chunk.slice(column)?))).collect())
    }

    fn put(&self, row: usize, flow: &mut FlowRecord) {
        self.0.iter().for_each(|(column, slice)| slice.put(*column, row, flow));
    }
}

/// The bar of a moment; records come in order of time, or nearly, so the last one is mostly right.
struct Bar {
    width: Width,
    start: i64,
    next: i64,
}

impl Bar {
    fn new(width: Width) -> Self {
        Self { width, start: 0, next: 0 }
    }

    fn start(&mut self, at: Timestamp) -> i64 {
        if !(self.start..self.next).contains(&at.0) {
            let (start, next) = self.width.bar(at);
            (self.start, self.next) = (start.0, next.0);
        }
        self.start
    }
}

fn shifted(value: u128, shift: u32) -> u128 {
    value.checked_shl(shift).unwrap_or(0)
}

pub(super) fn low(value: u128) -> u64 {
    u64::try_from(value & u128::from(u64::MAX)).unwrap_or_default()
}

/// A signed number as one without sign, in the same order.
fn ordered(number: i64) -> u128 {
    u128::from(number.cast_unsigned() ^ 1 << 63)
}

fn unordered(number: u64) -> i64 {
    (number ^ 1 << 63).cast_signed()
}

fn mac_number([a, b, c, d, e, f]: [u8; 6]) -> u128 {
    u128::from(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}

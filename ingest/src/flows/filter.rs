//! A query compiled for flows: tests on columns instead of fields' values, so that no text is made for a record that is
//! looked at. `Query::matches` on `FlowView` stays the truth that it is measured by; what cannot be compiled (wildcards in
//! numbers and addresses, a community id) asks just that.
//!
//! Fields whose values are few words (transport, flags, direction) are tried out once, word by word, with the query's own
//! test: what passes is a set of bytes. Numbers and addresses become sorted ranges, so that a list of hundreds is one look.

use std::net::{IpAddr, Ipv4Addr};

use super::chunk::{Chunk, Mask};
use super::column::{Access, Column, ColumnSet};
use super::read::{AskedAddress, End, Prune};
use super::scan::Predicate;
use super::value::{self, Get, NANOS_PER_MILLI};
use crate::body::{SITE_UNKNOWN, SiteId, SiteTable};
use crate::enrich;
use crate::event::ValueRef;
use crate::fields::FieldId;
use crate::flow::FlowRecord;
use crate::query::{Node, Query, Test};
use crate::record::FlowView;

/// A query, ready to be held against flows.
pub struct FlowFilter<'a> {
    root: Check,
    columns: ColumnSet,
    sites: &'a SiteTable,
}

/// Columns of which one must have an address in one of the ranges, both ends included.
pub(super) type AddressBound = (Vec<Column>, Vec<(u128, u128)>);

impl<'a> FlowFilter<'a> {
    /// Compiles it for these sites, whose names it may ask for.
    pub fn new(query: &Query, sites: &'a SiteTable) -> Self {
        let root = compile(query.root(), sites);
        let mut columns = ColumnSet::NONE;
        root.add_columns(&mut columns);
        Self { root, columns, sites }
    }

    /// Whether a record matches.
    pub fn matches(&self, flow: &FlowRecord) -> bool {
        self.root.holds(flow, self.sites)
    }

    /// Whether every record does.
    pub fn is_all(&self) -> bool {
        matches!(self.root, Check::Always(true))
    }

    /// The columns that it looks at.
    pub fn columns(&self) -> ColumnSet {
        self.columns
    }

    /// Whether some part of it could not be compiled.
    pub fn is_slow(&self) -> bool {
        self.root.is_slow()
    }

    /// What every match has, for leaving out row groups and files.
    fn bounds(&self) -> Prune {
        let end = |columns: &[Column]| match columns {
            [Column::SrcIp] => Some(End::Source),
            [Column::DstIp] => Some(End::Destination),
            [Column::SrcIp, Column::DstIp] => Some(End::Either),
            _ => None,
        };
        let addresses = self.address_bounds();
        let addresses = addresses.into_iter().filter_map(|(columns, ranges)| Some(AskedAddress { end: end(&columns)?, ranges })).collect();
        let is_long = |column: Column| matches!(column.info().access, Access::Long(..) | Access::Time(..));
        let numbers = self.number_bounds().into_iter().filter(|(column, ..)| is_long(*column)).collect();
        Prune { addresses, numbers }
    }

    /// What a match's addresses must be, for leaving out files: for each condition the columns of which one must have an
    /// address in one of the ranges, both ends included, IPv4 as `::ffff:a.b.c.d`. Every condition must hold.
    pub fn address_bounds(&self) -> Vec<AddressBound> {
        let mut bounds = Vec::new();
        self.root.conjuncts(&mut |check| bounds.extend(check.address_bound()));
        bounds
    }

    /// What a match's numbers must be: each column's least and greatest value. Every one must hold.
    pub fn number_bounds(&self) -> Vec<(Column, i64, i64)> {
        let mut bounds = Vec::new();
        self.root.conjuncts(&mut |check| {
            if let Check::Number(column, _, ranges) = check
                && let Some(span) = ranges.span()
            {
                bounds.push((*column, span.0, span.1));
            }
        });
        bounds
    }
}

impl Predicate for FlowFilter<'_> {
    fn needed(&self) -> ColumnSet {
        self.columns
    }
    fn prune(&self) -> Prune {
        self.bounds()
    }
    fn narrow(&self, chunk: &Chunk<'_>, sites: &SiteTable, mask: &mut Mask) {
        self.root.narrow(chunk, sites, mask);
    }
}

/// One test of a record.
enum Check {
    Always(bool),
    And(Vec<Check>),
    Or(Vec<Check>),
    Not(Box<Check>),
    /// A column's number lies in one of the ranges.
    Number(Column, Reader, Ranges<i64>),
    /// What is worked out of a record lies there.
    Reckoned(&'static Get, Ranges<i64>),
    Address(Column, Reader, Ranges<u128>),
    ReckonedAddress(&'static Get, Ranges<u128>),
    /// A byte is one of these.
    Code(Column, Reader, Bytes),
    ReckonedCode(&'static Get, fn(&FlowRecord) -> u8, Bytes),
    /// Sorted.
    Mac(&'static Get, Vec<[u8; 6]>),
    /// Sites by whether they pass, sorted; and those that the table does not know.
    Site(Vec<(SiteId, bool)>, bool),
    Direction(Vec<&'static str>),
    /// What is not compiled.
    Slow(Query),
}

/// How a column is read of a record.
#[derive(Clone, Copy)]
struct Reader(Access);

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bytes([u128; 2]);

impl Bytes {
    fn of(passes: impl Fn(u8) -> bool) -> Self {
        let half = |from: u8| (0..128u8).filter(|bit| passes(from + bit)).fold(0u128, |bits, bit| bits | 1 << bit);
        Self([half(0), half(128)])
    }

    fn has(&self, byte: u8) -> bool {
        let [low, high] = self.0;
        (if byte < 128 { low } else { high }) >> (byte & 127) & 1 == 1
    }
}

/// Behind the greatest value of a short.
const NARROW_END: i64 = 65_536;

/// Sorted ranges that do not touch, both ends included.
#[derive(Clone, Debug, PartialEq)]
struct Ranges<T>(Vec<(T, T)>);

impl<T: Copy + Ord> Ranges<T> {
    /// Of any: those that are empty are left out, those that overlap joined.
    fn of(ranges: impl IntoIterator<Item = (T, T)>) -> Self {
        let mut sorted: Vec<(T, T)> = ranges.into_iter().filter(|(low, high)| low <= high).collect();
        sorted.sort_unstable();
        let mut joined: Vec<(T, T)> = Vec::with_capacity(sorted.len());
        for (low, high) in sorted {
            match joined.last_mut() {
                Some(last) if low <= last.1 => last.1 = last.1.max(high),
                _ => joined.push((low, high)),
            }
        }
        Self(joined)
    }

    fn has(&self, value: T) -> bool {
        match self.0.as_slice() {
            [(low, high)] => *low <= value && value <= *high,
            ranges => {
                let place = ranges.partition_point(|(_, high)| *high < value);
                ranges.get(place).is_some_and(|(low, _)| *low <= value)
            }
        }
    }

    fn span(&self) -> Option<(T, T)> {
        self.0.first().map(|first| first.0).zip(self.0.last().map(|last| last.1))
    }
}

impl Check {
    fn holds(&self, flow: &FlowRecord, sites: &SiteTable) -> bool {
        match self {
            Self::Always(truth) => *truth,
            Self::And(checks) => checks.iter().all(|check| check.holds(flow, sites)),
            Self::Or(checks) => checks.iter().any(|check| check.holds(flow, sites)),
            Self::Not(check) => !check.holds(flow, sites),
            Self::Number(_, reader, ranges) => ranges.has(value::column_number(reader.0, flow)),
            Self::Reckoned(get, ranges) => get.number(flow).is_some_and(|number| ranges.has(number)),
            Self::Address(_, reader, ranges) => value::column_address(reader.0, flow).is_some_and(|address| ranges.has(bits(address))),
            Self::ReckonedAddress(get, ranges) => get.address(flow).is_some_and(|address| ranges.has(bits(address))),
            Self::Code(_, reader, bytes) => u8::try_from(value::column_number(reader.0, flow)).is_ok_and(|byte| bytes.has(byte)),
            Self::ReckonedCode(_, of, bytes) => bytes.has(of(flow)),
            Self::Mac(get, macs) => get.mac(flow).is_some_and(|mac| macs.binary_search(&mac).is_ok()),
            Self::Site(known, unknown) => match known.binary_search_by_key(&flow.site, |(site, _)| *site) {
                Ok(place) => known.get(place).is_some_and(|(_, passes)| *passes),
                Err(_) => *unknown,
            },
            Self::Direction(words) => words.contains(&enrich::direction(flow.site, flow.src_ip, flow.dst_ip, sites)),
            Self::Slow(query) => query.matches(&FlowView { flow, sites }),
        }
    }

    /// As `holds`, for all rows that are still in the mask.
    fn narrow(&self, chunk: &Chunk<'_>, sites: &SiteTable, mask: &mut Mask) {
        match self {
            Self::Always(true) => {}
            Self::Always(false) => *mask = Mask::none(chunk.len()),
            Self::And(checks) => {
                for check in checks {
                    if !mask.any() {
                        return;
                    }
                    check.narrow(chunk, sites, mask);
                }
            }
            Self::Or(checks) => {
                let mut found = Mask::none(chunk.len());
                for check in checks {
                    let mut one = mask.clone();
                    check.narrow(chunk, sites, &mut one);
                    found.or(&one);
                }
                *mask = found;
            }
            Self::Not(check) => {
                let mut one = mask.clone();
                check.narrow(chunk, sites, &mut one);
                mask.without(&one);
            }
            Self::Number(column, reader, ranges) => match (reader.0, ranges.0.as_slice()) {
                // Without a look-up these become vector instructions.
                (Access::Time(..) | Access::Long(..), [(low, high)]) => {
                    mask.narrow(chunk.longs(*column), |value| *low <= value && value <= *high)
                }
                (Access::Short(..), [(low, high)]) => {
                    let (low, high) = ((*low).clamp(0, NARROW_END), (*high).clamp(-1, NARROW_END - 1));
                    mask.narrow(chunk.shorts(*column), |value| low <= i64::from(value) && i64::from(value) <= high);
                }
                (Access::Time(..) | Access::Long(..), _) => mask.narrow(chunk.longs(*column), |value| ranges.has(value)),
                (Access::Id(..), _) => mask.narrow(chunk.ids(*column), |value| ranges.has(i64::try_from(value).unwrap_or(i64::MAX))),
                (Access::Int(..), _) => mask.narrow(chunk.ints(*column), |value| ranges.has(value.into())),
                (Access::Short(..), _) => mask.narrow(chunk.shorts(*column), |value| ranges.has(value.into())),
                (Access::Byte(..), _) => mask.narrow(chunk.small(*column), |value| ranges.has(value.into())),
                (Access::Address(..) | Access::Mac(..) | Access::Site(..), _) => *mask = Mask::none(chunk.len()),
            },
            Self::Address(column, _, ranges) => mask.narrow(chunk.addresses(*column), |octets| ranges.has(u128::from_be_bytes(octets))),
            Self::Code(column, _, bytes) => mask.narrow(chunk.small(*column), |value| bytes.has(value)),
            Self::Mac(Get::Mac(column), macs) => mask.narrow(chunk.macs(*column), |mac| macs.binary_search(&mac).is_ok()),
            Self::Site(..) => {
                let (keys, names) = chunk.sites();
                let passes: Vec<bool> =
                    names.iter().map(|site| self.holds(&FlowRecord { site: *site, ..FlowRecord::NONE }, sites)).collect();
                mask.narrow(keys, |key| usize::try_from(key).ok().and_then(|key| passes.get(key)).copied().unwrap_or(false));
            }
            Self::Mac(..)
            | Self::Reckoned(..)
            | Self::ReckonedAddress(..)
            | Self::ReckonedCode(..)
            | Self::Direction(_)
            | Self::Slow(_) => {
                mask.narrow_rows(|row| self.holds(&chunk.record(row), sites));
            }
        }
    }

    fn add_columns(&self, columns: &mut ColumnSet) {
        *columns = columns.and(match self {
            Self::Always(_) => ColumnSet::NONE,
            Self::And(checks) | Self::Or(checks) => return checks.iter().for_each(|check| check.add_columns(columns)),
            Self::Not(check) => return check.add_columns(columns),
            Self::Number(column, ..) | Self::Address(column, ..) | Self::Code(column, ..) => needed(*column),
            Self::Reckoned(get, _) | Self::ReckonedAddress(get, _) | Self::ReckonedCode(get, ..) | Self::Mac(get, _) => get.columns(),
            Self::Site(..) => Get::Site.columns(),
            Self::Direction(_) => Get::Direction.columns(),
            Self::Slow(_) => ColumnSet::ALL,
        });
    }

    fn is_slow(&self) -> bool {
        match self {
            Self::And(checks) | Self::Or(checks) => checks.iter().any(Self::is_slow),
            Self::Not(check) => check.is_slow(),
            Self::Slow(_) => true,
            _ => false,
        }
    }

    /// The cheapest first: what that decides nobody has to ask the others.
    fn cost(&self) -> u8 {
        match self {
            Self::Always(_) => 0,
            Self::Number(..) | Self::Code(..) => 1,
            Self::Address(..) | Self::Mac(..) | Self::Site(..) => 2,
            Self::Reckoned(..) | Self::ReckonedAddress(..) | Self::ReckonedCode(..) => 3,
            Self::And(checks) | Self::Or(checks) => checks.iter().map(Self::cost).max().unwrap_or(0).max(4),
            Self::Not(check) => check.cost(),
            Self::Direction(_) => 6,
            Self::Slow(_) => 7,
        }
    }

    /// What must hold for all of it to hold.
    fn conjuncts<'a>(&'a self, each: &mut dyn FnMut(&'a Self)) {
        match self {
            Self::And(checks) => checks.iter().for_each(|check| check.conjuncts(each)),
            check => each(check),
        }
    }

    /// The addresses of which a match has one; `None` where that cannot be said.
    fn address_bound(&self) -> Option<AddressBound> {
        match self {
            Self::Address(column, _, ranges) => Some((vec![*column], ranges.0.clone())),
            // Client and server are the two ends, whichever is which.
            Self::ReckonedAddress(_, ranges) => Some((vec![Column::SrcIp, Column::DstIp], ranges.0.clone())),
            Self::Or(checks) => {
                let (mut columns, mut all): (Vec<Column>, Vec<(u128, u128)>) = (Vec::new(), Vec::new());
                for check in checks {
                    // Of an AND one condition suffices: it must hold as well.
                    let mut one = None;
                    check.conjuncts(&mut |check| {
                        if one.is_none() {
                            one = check.address_bound();
                        }
                    });
                    let (more, ranges) = one?;
                    columns.extend(more);
                    all.extend(ranges);
                }
                columns.sort_unstable();
                columns.dedup();
                Some((columns, Ranges::of(all).0))
            }
            _ => None,
        }
    }
}

/// The end of a flow is put together from start and duration.
fn needed(column: Column) -> ColumnSet {
    let set = ColumnSet::of(&[column]);
    if column == Column::Duration { set.with(Column::Start) } else { set }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn compile(node: &Node, sites: &SiteTable) -> Check {
    match node {
        Node::All => Check::Always(true),
        Node::And(nodes) => all(nodes.iter().map(|node| compile(node, sites)).collect()),
        Node::Or(nodes) => any(nodes.iter().map(|node| compile(node, sites)).collect()),
        Node::Not(node) => match compile(node, sites) {
            Check::Always(truth) => Check::Always(!truth),
            Check::Not(check) => *check,
            check => Check::Not(Box::new(check)),
        },
        // A flow has no line and no defects: what holds for one holds for all.
        Node::Text(_) | Node::Defect(_) => {
            let nothing = SiteTable::default();
            Check::Always(Query::of(node.clone()).matches(&FlowView { flow: &FlowRecord::NONE, sites: &nothing }))
        }
        Node::Time(test) => number(Column::Start, [test.bounds()]),
        Node::Field(field, test) => {
            let compiled = value::get(*field).map(|get| compile_test(*field, get, test, sites));
            compiled.unwrap_or(Some(Check::Always(false))).unwrap_or_else(|| Check::Slow(Query::of(node.clone())))
        }
    }
}

fn all(checks: Vec<Check>) -> Check {
    let mut left: Vec<Check> = checks.into_iter().filter(|check| !matches!(check, Check::Always(true))).collect();
    if left.iter().any(|check| matches!(check, Check::Always(false))) {
        return Check::Always(false);
    }
    left.sort_by_key(Check::cost);
    match left.pop() {
        None => Check::Always(true),
        Some(only) if left.is_empty() => only,
        Some(last) => {
            left.push(last);
            Check::And(left)
        }
    }
}

/// Tests of one column are one test: a list of addresses or ports is looked up once.
fn any(checks: Vec<Check>) -> Check {
    if checks.iter().any(|check| matches!(check, Check::Always(true))) {
        return Check::Always(true);
    }
    let mut left: Vec<Check> = Vec::new();
    for check in checks {
        match check {
            Check::Always(_) => {}
            Check::Number(column, reader, ranges) => {
                let same = left.iter_mut().find_map(|check| match check {
                    Check::Number(known, _, ranges) if *known == column => Some(ranges),
                    _ => None,
                });
                match same {
                    Some(known) => *known = Ranges::of(known.0.iter().chain(&ranges.0).copied()),
                    None => left.push(Check::Number(column, reader, ranges)),
                }
            }
            Check::Address(column, reader, ranges) => {
                let same = left.iter_mut().find_map(|check| match check {
                    Check::Address(known, _, ranges) if *known == column => Some(ranges),
                    _ => None,
                });
                match same {
                    Some(known) => *known = Ranges::of(known.0.iter().chain(&ranges.0).copied()),
                    None => left.push(Check::Address(column, reader, ranges)),
                }
            }
            check => left.push(check),
        }
    }
    left.sort_by_key(Check::cost);
    match left.pop() {
        None => Check::Always(false),
        Some(only) if left.is_empty() => only,
        Some(last) => {
            left.push(last);
            Check::Or(left)
        }
    }
}

fn number(column: Column, ranges: impl IntoIterator<Item = (i64, i64)>) -> Check {
    let ranges = Ranges::of(ranges);
    if ranges.0.is_empty() { Check::Always(false) } else { Check::Number(column, Reader(column.info().access), ranges) }
}

/// `None` where the test cannot be said of columns.
fn compile_test(field: FieldId, get: &'static Get, test: &Test, sites: &SiteTable) -> Option<Check> {
    let passes = |word: &str| test.holds(field, ValueRef::Str(word));
    Some(match get {
        Get::Constant(word) => Check::Always(passes(word)),
        Get::Code { column, name } => Check::Code(*column, Reader(column.info().access), Bytes::of(|code| name(code).is_some_and(passes))),
        Get::ReckonedCode { of, name, .. } => Check::ReckonedCode(get, *of, Bytes::of(|code| name(code).is_some_and(passes))),
        Get::Flags => {
            let column = Column::TcpFlags;
            Check::Code(column, Reader(column.info().access), Bytes::of(|flags| value::flag_names(flags).any(passes)))
        }
        Get::Number { column, zero } => {
            let (low, high) = numbers(test)?;
            let nothing = if *zero { (1, 0) } else { (0, 0) };
            number(*column, without((low, high), nothing))
        }
        Get::Nanos => {
            let (low, high) = numbers(test)?;
            // 300 years and more are all the same number of nanoseconds: the greatest.
            let low = if low == i64::MIN { low } else { low.div_euclid(NANOS_PER_MILLI) + i64::from(low.rem_euclid(NANOS_PER_MILLI) > 0) };
            let high = if high == i64::MAX { high } else { high.div_euclid(NANOS_PER_MILLI) };
            number(Column::Duration, [(low, high)])
        }
        Get::Reckoned(..) => Check::Reckoned(get, Ranges::of([numbers(test)?])),
        Get::Address { column, zero } => {
            let mut ranges = addresses(test)?;
            if !zero {
                let nothing = bits(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
                ranges = ranges.into_iter().flat_map(|range| without(range, (nothing, nothing))).collect();
            }
            let ranges = Ranges::of(ranges);
            if ranges.0.is_empty() { Check::Always(false) } else { Check::Address(*column, Reader(column.info().access), ranges) }
        }
        Get::ReckonedAddress(..) => Check::ReckonedAddress(get, Ranges::of(addresses(test)?)),
        Get::Mac(_) => match test {
            Test::Equals(literal) => Check::Mac(get, mac(&literal.folded).into_iter().collect()),
            _ => return None,
        },
        Get::Site => {
            let mut known: Vec<(SiteId, bool)> = sites.iter().map(|site| (site.id, passes(sites.name(site.id)))).collect();
            known.sort_unstable();
            Check::Site(known, passes(sites.name(SITE_UNKNOWN)))
        }
        Get::Direction => {
            Check::Direction(["inbound", "outbound", "internal", "external"].into_iter().filter(|word| passes(word)).collect())
        }
        Get::CommunityId => return None,
    })
}

/// The numbers that pass.
fn numbers(test: &Test) -> Option<(i64, i64)> {
    match test {
        Test::Exists => Some((i64::MIN, i64::MAX)),
        Test::Ints(low, high) => Some((*low, *high)),
        Test::Equals(literal) => literal.int.map(|number| (number, number)),
        Test::Words(_) | Test::Glob(_) | Test::Addresses(..) | Test::Prefix(..) => None,
    }
}

/// The IPv4 addresses among all.
const MAPPED: (u128, u128) = (0xffff_0000_0000, 0xffff_ffff_ffff);

/// The addresses that pass.
fn addresses(test: &Test) -> Option<Vec<(u128, u128)>> {
    let range = |first: IpAddr, last: IpAddr| match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => vec![(bits(first.into()), bits(last.into()))],
        // Of a range of IPv6 the mapped addresses are no part: they are IPv4.
        (IpAddr::V6(first), IpAddr::V6(last)) => without((first.to_bits(), last.to_bits()), MAPPED).collect(),
        _ => vec![],
    };
    match test {
        Test::Exists => Some(vec![(0, u128::MAX)]),
        Test::Equals(literal) => literal.ip.map(|address| vec![(bits(address), bits(address))]),
        Test::Addresses(first, last) => Some(range(*first, *last)),
        Test::Prefix(prefix, _) => {
            let (first, last) = prefix.range();
            Some(range(first, last))
        }
        Test::Words(_) | Test::Glob(_) | Test::Ints(..) => None,
    }
}

/// A range without another one.
fn without<T: Copy + Ord + Step>(range: (T, T), hole: (T, T)) -> impl Iterator<Item = (T, T)> {
    let before = hole.0.before().map(|end| (range.0, range.1.min(end)));
    let behind = hole.1.behind().map(|start| (range.0.max(start), range.1));
    let pieces = if hole.0 > hole.1 { [Some(range), None] } else { [before, behind] };
    pieces.into_iter().flatten().filter(|(low, high)| low <= high)
}

trait Step: Sized {
    fn before(self) -> Option<Self>;
    fn behind(self) -> Option<Self>;
}

impl Step for i64 {
    fn before(self) -> Option<Self> {
        self.checked_sub(1)
    }
    fn behind(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Step for u128 {
    fn before(self) -> Option<Self> {
        self.checked_sub(1)
    }
    fn behind(self) -> Option<Self> {
        self.checked_add(1)
    }
}

/// The hardware address that is written so; `None` where none is, as every other spelling is another text.
fn mac(folded: &str) -> Option<[u8; 6]> {
    let mut parts = folded.split('-');
    let mut octets = [0u8; 6];
    for octet in &mut octets {
        *octet = u8::from_str_radix(parts.next().filter(|part| part.len() == 2)?, 16).ok()?;
    }
    let written = value::mac_text(octets).to_ascii_lowercase();
    (parts.next().is_none() && octets != [0; 6] && written == folded).then_some(octets)
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;

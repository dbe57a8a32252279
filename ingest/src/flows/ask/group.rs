//! Groups of flows by the values of a few fields: keys of fixed size, so that no text is made for a record, and as many as
//! memory bears. What is turned away is counted together.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use foldhash::fast::RandomState;

use super::Sums;
use crate::body::{SiteId, SiteTable};
use crate::enrich;
use crate::events::Value;
use crate::fields::FieldId;
use crate::flow::FlowRecord;
use crate::flows::column::ColumnSet;
use crate::flows::value::{self, Get};
use crate::id::Ulid;
use crate::time::Timestamp;

/// Fields of one key.
pub(super) const PARTS_MAX: usize = 3;
const DIRECTIONS: [&str; 4] = ["inbound", "outbound", "internal", "external"];

/// A group's key: each field's value as a number, and which fields have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    /// Start of a bar of time; 0 where there are none.
    pub(super) bar: i64,
    parts: [u128; PARTS_MAX],
    missing: u8,
}

/// The fields that groups are made by.
#[derive(Clone)]
pub(super) struct Keys(Vec<&'static Get>);

impl Keys {
    /// `None` where a field has several values, is a hash, or there are too many: then records are grouped the general way.
    pub(super) fn of(fields: &[FieldId]) -> Option<Self> {
        let gets: Option<Vec<&'static Get>> = fields.iter().map(|field| value::get(*field)).collect();
        gets.filter(|gets| gets.len() <= PARTS_MAX && !gets.iter().any(|get| matches!(get, Get::Flags | Get::CommunityId))).map(Self)
    }

    pub(super) fn columns(&self) -> ColumnSet {
        self.0.iter().fold(ColumnSet::NONE, |set, get| set.and(get.columns()))
    }

    pub(super) fn key(&self, flow: &FlowRecord, bar: i64, sites: &SiteTable) -> Key {
        let mut key = Key { bar, ..Key::default() };
        for ((place, get), part) in self.0.iter().enumerate().zip(&mut key.parts) {
            match number(get, flow, sites) {
                Some(number) => *part = number,
                None => key.missing |= 1 << place,
            }
        }
        key
    }

    /// Whether every field has a value.
    pub(super) fn is_whole(key: &Key) -> bool {
        key.missing == 0
    }

    pub(super) fn values(&self, key: &Key, sites: &SiteTable) -> Vec<Value> {
        let value = |((place, get), part): ((usize, &&'static Get), &u128)| {
            if key.missing >> place & 1 == 1 { Value::Missing } else { text(get, *part, sites) }
        };
        self.0.iter().enumerate().zip(&key.parts).map(value).collect()
    }
}

/// A field's value as a number that tells it from all others of that field.
fn number(get: &Get, flow: &FlowRecord, sites: &SiteTable) -> Option<u128> {
    match get {
        Get::Number { .. } | Get::Nanos | Get::Reckoned(..) => get.number(flow).map(|number| u128::from(number.cast_unsigned())),
        Get::Address { .. } | Get::ReckonedAddress(..) => get.address(flow).map(|address| match address {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            std::net::IpAddr::V6(v6) => v6.to_bits(),
        }),
        Get::Code { column, name } => {
            let code = u8::try_from(value::column_number(column.info().access, flow)).ok()?;
            name(code).map(|_| code.into())
        }
        Get::ReckonedCode { of, name, .. } => name(of(flow)).map(|_| of(flow).into()),
        Get::Mac(_) => get.mac(flow).map(|[a, b, c, d, e, f]| u64::from_be_bytes([0, 0, a, b, c, d, e, f]).into()),
        Get::Site => Some(flow.site.0.0),
        Get::Direction => {
            let word = enrich::direction(flow.site, flow.src_ip, flow.dst_ip, sites);
            DIRECTIONS.iter().position(|known| *known == word).map(|place| place as u128)
        }
        Get::Constant(_) => Some(0),
        Get::Flags | Get::CommunityId => None,
    }
}

fn text(get: &Get, number: u128, sites: &SiteTable) -> Value {
    let word = |word: Option<&str>| word.map_or(Value::Missing, |word| Value::Text(word.into()));
    let code = || u8::try_from(number).unwrap_or_default();
    match get {
        Get::Number { .. } | Get::Nanos | Get::Reckoned(..) => Value::Int(u64::try_from(number).unwrap_or_default().cast_signed()),
        Get::Address { .. } | Get::ReckonedAddress(..) => Value::Ip(Ipv6Addr::from_bits(number).to_canonical()),
        Get::Code { name, .. } | Get::ReckonedCode { name, .. } => word(name(code())),
        Get::Mac(_) => {
            let [_, _, a, b, c, d, e, f] = u64::try_from(number).unwrap_or_default().to_be_bytes();
            Value::Text(value::mac_text([a, b, c, d, e, f]).into())
        }
        Get::Site => word(Some(sites.name(SiteId(Ulid(number))))),
        Get::Direction => word(usize::try_from(number).ok().and_then(|place| DIRECTIONS.get(place)).copied()),
        Get::Constant(known) => word(Some(known)),
        Get::Flags | Get::CommunityId => Value::Missing,
    }
}

/// Groups, growing record by record.
pub(super) struct Groups {
    map: HashMap<Key, Sums, RandomState>,
    max: usize,
    /// What found no room.
    pub(super) other: Sums,
}

impl Groups {
    /// At most `max` of them, about 150 bytes each.
    pub(super) fn new(max: usize) -> Self {
        Self { map: HashMap::default(), max, other: Sums::default() }
    }

    pub(super) fn add(&mut self, key: Key, flow: &FlowRecord) {
        if let Some(sums) = self.map.get_mut(&key) {
            sums.add(flow);
        } else if self.map.len() < self.max && self.other.flows == 0 {
            self.map.entry(key).or_default().add(flow);
        } else {
            // Each group that is here is whole: once one was turned away, none is taken in.
            self.other.add(flow);
        }
    }

    /// Takes over what another one has counted, of other records. A group that one of the two may have turned away is not whole,
    /// and goes to what found no room.
    pub(super) fn merge(&mut self, other: Self) {
        let (mine_lack, theirs_lack) = (self.other.flows > 0, other.other.flows > 0);
        self.other.merge(&other.other);
        if theirs_lack {
            let turned_away = &mut self.other;
            self.map.retain(|key, sums| {
                let whole = other.map.contains_key(key);
                if !whole {
                    turned_away.merge(sums);
                }
                whole
            });
        }
        for (key, sums) in other.map {
            if let Some(mine) = self.map.get_mut(&key) {
                mine.merge(&sums);
            } else if self.map.len() < self.max && !mine_lack {
                self.map.insert(key, sums);
            } else {
                self.other.merge(&sums);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (Key, Sums)> {
        self.map.into_iter()
    }

    /// Those with the most, the rest added up; ties in the order of their keys.
    pub(super) fn ranked(self, rows: usize, rank: impl Fn(&Sums) -> u64) -> Vec<(Key, Sums)> {
        let mut all: Vec<(Key, Sums)> = self.map.into_iter().collect();
        let order = |a: &(Key, Sums), b: &(Key, Sums)| rank(&b.1).cmp(&rank(&a.1)).then_with(|| a.0.cmp(&b.0));
        if rows < all.len() && rows > 0 {
            all.select_nth_unstable_by(rows, order);
        }
        all.truncate(rows);
        all.sort_unstable_by(order);
        all
    }
}

/// Equal stretches of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bars {
    from: Timestamp,
    width: i64,
    pub(super) count: usize,
}

impl Bars {
    /// `count` at most; none where there is no time.
    pub(super) fn new(from: Timestamp, to: Timestamp, count: usize) -> Self {
        let span = to.since(from);
        if span <= 0 || count == 0 {
            return Self { from, width: 1, count: 0 };
        }
        let wanted = i64::try_from(count).unwrap_or(1).min(span);
        let width = span / wanted + i64::from(span % wanted > 0);
        let count = span / width + i64::from(span % width > 0);
        Self { from, width, count: usize::try_from(count).unwrap_or(0) }
    }

    /// Which bar a moment lies in.
    pub(super) fn place(&self, at: Timestamp) -> usize {
        usize::try_from(at.since(self.from) / self.width).unwrap_or(0).min(self.count.saturating_sub(1))
    }

    pub(super) fn starts(&self) -> Vec<Timestamp> {
        (0..self.count).map(|n| self.from.plus(i64::try_from(n).unwrap_or(0).saturating_mul(self.width))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_given_is_whole() {
        let key = |n: u128| Key { parts: [n, 0, 0], ..Key::default() };
        let gathered = |keys: &[u128]| {
            let mut groups = Groups::new(2);
            keys.iter().for_each(|n| groups.add(key(*n), &FlowRecord::NONE));
            groups
        };
        let mut all = Groups::new(2);
        // One thread has no room for 3, the other none for 1.
        all.merge(gathered(&[1, 2, 3]));
        all.merge(gathered(&[2, 3, 1, 2]));
        assert_eq!(all.other.flows, 4);
        assert_eq!(all.into_iter().map(|(key, sums)| (key.parts[0], sums.flows)).collect::<Vec<_>>(), [(2, 3)]);
    }
}

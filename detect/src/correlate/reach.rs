//! How far a correlation looks: each site by itself, or all bodies together. One that looks over all bodies finds what none
//! of them could see, so it remembers for each what took part there, and it takes nothing for the same at two bodies that
//! only bears the same name: a private address is another machine in every house.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ingest::body::BodyId;
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::line::Cell;
use crate::finding::Share;

/// Bodies that one group tells apart: twice as many as the Land has offices. What comes from more is counted, and not told
/// by body.
const BODIES_MAX: usize = 2_000;

/// Whose records add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those of one site.
    #[default]
    Site,
    /// Those of all bodies: what it finds is the state's.
    State,
}

/// Whether a value means the same thing everywhere.
pub(super) fn is_same_everywhere(value: &str) -> bool {
    // Beside the private ones, what providers hand out behind their own translation (RFC 6598).
    let shared = |[a, b, ..]: [u8; 4]| a == 100 && b & 0xC0 == 64;
    let inner = |v4: Ipv4Addr| v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || shared(v4.octets());
    match value.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(v4)) => !inner(v4),
        Ok(IpAddr::V6(v6)) => !(v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback() || v6.is_unspecified()),
        Err(_) => true,
    }
}

/// The bodies that one group has seen, each with a number for its cells; 0 is nobody's.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Bodies(Vec<BodyId>);

impl Bodies {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn number(&mut self, body: Option<BodyId>) -> u16 {
        let Some(body) = body else { return 0 };
        let place = match self.0.iter().position(|known| *known == body) {
            Some(place) => place,
            None if self.0.len() >= BODIES_MAX => return 0,
            None => {
                self.0.push(body);
                self.0.len() - 1
            }
        };
        u16::try_from(place + 1).unwrap_or(0)
    }

    fn get(&self, number: u16) -> Option<BodyId> {
        self.0.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// What took part at each body of one episode, by its number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Shares {
    /// Records, first and last, that no report has told.
    pending: BTreeMap<u16, (u64, i64, i64)>,
    told: BTreeSet<u16>,
    /// One of the pending is of a body that no report has told of.
    news: bool,
}

impl Shares {
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.told.is_empty()
    }

    /// Whether there is a body that nobody has heard of.
    pub(super) fn has_news(&self) -> bool {
        self.news
    }

    pub(super) fn add(&mut self, cell: &Cell) {
        if cell.body > 0 {
            self.news |= !self.told.contains(&cell.body);
            let (records, first, last) = self.pending.entry(cell.body).or_insert((0, cell.time, cell.time));
            *records += u64::from(cell.count);
            (*first, *last) = ((*first).min(cell.time), (*last).max(cell.time));
        }
    }

    /// As they are told, by body; nothing is left.
    pub(super) fn take(&mut self, bodies: &Bodies) -> Vec<Share> {
        self.news = false;
        self.told.extend(self.pending.keys());
        let told = std::mem::take(&mut self.pending).into_iter().filter_map(|(number, (records, first, last))| {
            Some(Share { body: bodies.get(number)?, records, first: Timestamp(first), last: Timestamp(last) })
        });
        let mut told: Vec<Share> = told.collect();
        told.sort_by_key(|share| share.body);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_addresses_are_another_machine_everywhere() {
        let same = ["203.0.113.9", "2001:db8::1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "b.example", "10.0.0.0/8"];
        let other = ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "fe80::1", "fd00::1", "::1"];
        assert_eq!(same.map(is_same_everywhere), [true; 7]);
        assert_eq!(other.map(is_same_everywhere), [false; 9]);
        assert!(!is_same_everywhere("::ffff:10.0.0.1"));
    }

    #[test]
    fn more_bodies_than_there_are_is_nobody() {
        let mut bodies = Bodies::default();
        let body = |n: usize| Some(BodyId(ingest::id::Ulid(n as u128)));
        assert_eq!((0..BODIES_MAX + 2).map(|n| bodies.number(body(n))).max(), Some(2_000));
        assert_eq!((bodies.number(body(0)), bodies.number(body(BODIES_MAX)), bodies.number(None)), (1, 0, 0));
    }
}

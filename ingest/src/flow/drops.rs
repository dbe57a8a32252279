//! What sFlow agents could not sample, by their own count. Each data source of an agent (a port, usually) counts for itself, from
//! its start on, so the numbers of all sources together say how much it was. A number far from the last one is believed when the
//! next sample confirms it: one forged sample would stand there for good.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::account::StreamKey;
use super::share::Shares;

/// Sources in memory: some dozens of ports for each of 600 sites. Beyond, the exporter with most of them begins anew.
const SOURCES_MAX: usize = 16_384;
const FAIR_SOURCES: usize = SOURCES_MAX / 16;
/// What a source takes, in bytes, its place in the tree included.
const SOURCE_BYTES: usize = 160;
/// More than this lies between two samples of one source only where it began anew, or where one of them is none of its.
const STEP_MAX: u32 = 10_000;

/// What one data source said last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    drops: u32,
    aside: Option<u32>,
}

impl Source {
    /// Takes note of the source's count; says by how much it went on, which is back where it began anew.
    fn heard(&mut self, drops: u32) -> i64 {
        let near = |from: u32| drops.wrapping_sub(from) <= STEP_MAX;
        if !near(self.drops) && !self.aside.is_some_and(near) {
            self.aside = Some(drops);
            return 0;
        }
        let more = if near(self.drops) { drops.wrapping_sub(self.drops).into() } else { i64::from(drops) - i64::from(self.drops) };
        (self.drops, self.aside) = (drops, None);
        more
    }
}

/// The data sources of all agents.
#[derive(Debug)]
pub(super) struct Drops {
    sources: BTreeMap<(StreamKey, u64), Source>,
    shares: Shares,
}

impl Default for Drops {
    fn default() -> Self {
        Self { sources: BTreeMap::new(), shares: Shares::new(FAIR_SOURCES) }
    }
}

impl Drops {
    /// Takes note of what a sample says; returns by how much more the agent could not sample.
    pub(super) fn heard(&mut self, key: StreamKey, source: u64, drops: u32) -> i64 {
        if !self.sources.contains_key(&(key, source)) {
            self.insert(key, source, Source::default());
        }
        self.sources.get_mut(&(key, source)).map_or(0, |source| source.heard(drops))
    }

    pub(super) fn insert(&mut self, key: StreamKey, source: u64, known: Source) {
        if self.sources.len() >= SOURCES_MAX {
            self.forget(self.shares.heaviest().unwrap_or(key.exporter));
        }
        if self.sources.len() < SOURCES_MAX && self.sources.insert((key, source), known).is_none() {
            self.shares.add(key.exporter, 1);
        }
    }

    fn forget(&mut self, exporter: IpAddr) {
        self.sources.retain(|(key, _), _| key.exporter != exporter);
        self.shares.take(exporter, self.shares.of(exporter));
    }

    /// All sources in their order, for the snapshot.
    pub(super) fn list(&self) -> Vec<(StreamKey, u64, Source)> {
        self.sources.iter().map(|((key, source), known)| (*key, *source, *known)).collect()
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.sources.len() * SOURCE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::flow::SFLOW;

    fn key(exporter: u32) -> StreamKey {
        StreamKey { exporter: Ipv4Addr::from(exporter).into(), version: SFLOW, agent: None, domain: 0 }
    }

    #[test]
    fn each_source_counts_for_itself_and_a_forged_count_is_none() {
        let mut drops = Drops::default();
        let mut sum = 0;
        let mut heard = |source: u64, count: u32| {
            sum += drops.heard(key(1), source, count);
            sum
        };
        assert_eq!([heard(1, 5), heard(2, 7), heard(1, 6), heard(2, 7)], [5, 12, 13, 13]);
        assert_eq!([heard(1, 4_000_000_000), heard(1, 6), heard(1, 8)], [13, 13, 15], "one absurd number");
        assert_eq!([heard(1, 0), heard(1, 3)], [15, 10], "the source began anew");
        assert_eq!([heard(3, 4_000_000), heard(3, 4_000_001)], [10, 4_000_011], "it had counted before we heard it");
    }

    #[test]
    fn one_exporter_with_many_sources_takes_no_place_from_others() {
        let mut drops = Drops::default();
        for exporter in 2..1_000 {
            drops.heard(key(exporter), 1, 1);
        }
        for source in 0..100_000 {
            drops.heard(key(1), source, 1);
            assert!(drops.sources.len() <= SOURCES_MAX);
        }
        assert!((2..1_000).all(|exporter| drops.heard(key(exporter), 1, 2) == 1));
        assert_eq!(drops.sources.len(), drops.shares.total());
    }
}

//! Since when a site is known, by the times of its records: what is new is worth telling only where enough was seen
//! before. And how much of it is told on one day.

use std::collections::BTreeMap;

use ingest::body::SiteId;
use ingest::time::Timestamp;

use super::RestoreError;
use super::wire::{Keep, Reader, Writer};

/// Sites in the Land are some hundred; what comes beyond is never learned, and so never told of.
const SITES_MAX: usize = 10_000;
/// A record so long before all others is of a wrong clock.
const BEFORE_MAX: i64 = 60 * Timestamp::DAY;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Learning {
    sites: BTreeMap<SiteId, Of>,
    /// The site of the last record, and since when it is known.
    last: Option<(SiteId, Timestamp)>,
    /// What was found beyond a day's number.
    pub(super) untold: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Of {
    since: Timestamp,
    day: i64,
    told: u32,
}

impl Learning {
    /// A record of a site, whatever it is of; cheap, for it is asked of every one.
    pub(super) fn see(&mut self, site: SiteId, at: Timestamp) {
        if self.last.is_some_and(|(last, since)| last == site && at >= since) {
            return;
        }
        if self.sites.len() >= SITES_MAX && !self.sites.contains_key(&site) {
            return;
        }
        let of = self.sites.entry(site).or_insert(Of { since: at, ..Of::default() });
        // Files are imported backwards; a clock that was years behind must not end the learning.
        if of.since.since(at) < BEFORE_MAX {
            of.since = of.since.min(at);
        }
        self.last = Some((site, of.since));
    }

    /// Whether a site has been seen for at least `term` milliseconds before `at`.
    pub(super) fn is_over(&self, site: SiteId, at: Timestamp, term: i64) -> bool {
        self.sites.get(&site).is_some_and(|of| at.since(of.since) >= term)
    }

    /// Whether one more may be told of a site on that day.
    pub(super) fn may_tell(&mut self, site: SiteId, at: Timestamp, per_day_max: u32) -> bool {
        let Some(of) = self.sites.get_mut(&site) else { return false };
        let day = at.0.div_euclid(Timestamp::DAY);
        if day != of.day {
            (of.day, of.told) = (day, 0);
        }
        of.told = of.told.saturating_add(1);
        self.untold += u64::from(of.told > per_day_max);
        of.told <= per_day_max
    }

    pub(super) fn bytes(&self) -> usize {
        self.sites.len() * size_of::<(SiteId, Of)>() * 2
    }

    pub(super) fn bytes_max() -> usize {
        SITES_MAX * size_of::<(SiteId, Of)>() * 2
    }

    pub(super) fn save(&self, out: &mut Writer) {
        let all: Vec<(SiteId, Of)> = self.sites.iter().map(|(site, of)| (*site, *of)).collect();
        out.put(&self.untold).put(&all);
    }

    pub(super) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), RestoreError> {
        self.untold = from.take()?;
        self.sites = from.take::<Vec<(SiteId, Of)>>()?.into_iter().take(SITES_MAX).collect();
        self.last = None;
        Ok(())
    }
}

impl Keep for Of {
    fn put(&self, out: &mut Writer) {
        out.put(&self.since).put(&self.day).put(&self.told);
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        Ok(Self { since: from.take()?, day: from.take()?, told: from.take()? })
    }
}

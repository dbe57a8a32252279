//! By which zone and year a source's stamps are read that say neither: a rule for a site, an address or one host there.
//! Rules are only ever added, each from a moment on, and a frame is read by the rule of its receipt: so a line decoded
//! again years later, or a store rebuilt, gets the very time that it got first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use chrono_tz::Tz;
use rusqlite::{Connection, Transaction, params};
use serde::Serialize;

use crate::body::SiteId;
use crate::db::DbError;
use crate::time::Timestamp;

crate::id_type!(
    /// One rule.
    ReadingId
);

/// Which year a stamp without one is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Year {
    /// The one that puts it nearest to its receipt: right for whatever is sent when it happens.
    #[default]
    Nearest,
    /// This one: for old files that are read in now.
    Fixed(i32),
}

/// How a stamp is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub zone: Tz,
    pub year: Year,
}

impl From<Tz> for Reading {
    fn from(zone: Tz) -> Self {
        Self { zone, year: Year::Nearest }
    }
}

/// A rule as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadingRule {
    /// `None`: for whatever has no rule of its own.
    pub site: Option<SiteId>,
    /// `None`: for the whole site.
    pub peer: Option<IpAddr>,
    /// Empty: for all that comes from the address.
    pub host: String,
    /// `None` takes back what was said of the zone before.
    pub zone: Option<Tz>,
    pub year: Year,
    /// For what is received from here on.
    pub since: Timestamp,
}

/// All rules, as the decoder asks for them.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    everywhere: Vec<ReadingRule>,
    sites: HashMap<SiteId, Vec<ReadingRule>>,
    peers: HashMap<(SiteId, IpAddr), Vec<ReadingRule>>,
    hosts: HashMap<(SiteId, IpAddr), HashMap<String, Vec<ReadingRule>>>,
}

/// The rules in use, replaced as a whole when somebody changes one.
#[derive(Clone, Debug, Default)]
pub struct SharedReadings(Arc<RwLock<Arc<Readings>>>);

impl SharedReadings {
    pub fn get(&self) -> Arc<Readings> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set(&self, readings: Readings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(readings);
    }
}

impl Readings {
    /// # Errors
    /// The database's own.
    pub fn load(connection: &Connection) -> Result<Self, DbError> {
        reading_list(connection).map(Self::new)
    }

    /// Of rules in the order in which they were made.
    pub fn new(rules: Vec<ReadingRule>) -> Self {
        let mut all = Self::default();
        for rule in rules {
            match (rule.site, rule.peer) {
                (None, _) => all.everywhere.push(rule),
                (Some(site), None) => all.sites.entry(site).or_default().push(rule),
                (Some(site), Some(peer)) if rule.host.is_empty() => all.peers.entry((site, peer)).or_default().push(rule),
                (Some(site), Some(peer)) => {
                    all.hosts.entry((site, peer)).or_default().entry(rule.host.clone()).or_default().push(rule);
                }
            }
        }
        all
    }

    /// How a stamp of this sender is read that was received at `received_at`: by the rule of its host, else of its
    /// address, of its site, of all; else in `fallback`.
    pub fn reading(&self, site: SiteId, peer: IpAddr, host: &str, received_at: Timestamp, fallback: Tz) -> Reading {
        let valid = |rules: &Vec<ReadingRule>| rules.iter().rev().find(|rule| rule.since <= received_at).map(|rule| (rule.zone, rule.year));
        let of_host = || self.hosts.get(&(site, peer)).and_then(|hosts| hosts.get(host)).and_then(valid);
        let levels =
            [of_host(), self.peers.get(&(site, peer)).and_then(valid), self.sites.get(&site).and_then(valid), valid(&self.everywhere)];
        let zone = levels.iter().flatten().find_map(|(zone, _)| *zone).unwrap_or(fallback);
        let year = levels.iter().flatten().map(|(_, year)| *year).find(|year| *year != Year::Nearest).unwrap_or_default();
        Reading { zone, year }
    }
}

/// All rules in the order in which they were made; one whose zone this program does not know is left out.
///
/// # Errors
/// The database's own.
pub fn reading_list(connection: &Connection) -> Result<Vec<ReadingRule>, DbError> {
    let mut statement = connection.prepare_cached("SELECT site, peer, host, zone, year, since FROM source_reading ORDER BY since, id")?;
    let rows = statement.query_map([], |row| {
        let (site, peer, zone): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(3)?);
        let year: Option<i32> = row.get(4)?;
        let known = zone.is_empty() || zone.parse::<Tz>().is_ok();
        Ok(known.then(|| ReadingRule {
            site: site.parse().ok(),
            peer: peer.parse().ok(),
            host: row.get(2).unwrap_or_default(),
            zone: zone.parse().ok(),
            year: year.map_or(Year::Nearest, Year::Fixed),
            since: Timestamp(row.get(5).unwrap_or_default()),
        }))
    })?;
    let all: Vec<Option<ReadingRule>> = rows.collect::<Result<_, _>>()?;
    Ok(all.into_iter().flatten().collect())
}

/// Adds a rule; the same as the one in force is not added again. Says whether it was.
///
/// # Errors
/// The database's own.
pub fn reading_put(tx: &Transaction<'_>, rule: &ReadingRule, actor: &str, now: Timestamp) -> Result<bool, DbError> {
    let same_place = |known: &&ReadingRule| (known.site, known.peer, &known.host) == (rule.site, rule.peer, &rule.host);
    let known = reading_list(tx)?.into_iter().rev().find(|known| same_place(&known));
    let unchanged = match &known {
        Some(known) => (known.zone, known.year) == (rule.zone, rule.year),
        None => rule.zone.is_none() && rule.year == Year::Nearest,
    };
    if unchanged {
        return Ok(false);
    }
    let year = match rule.year {
        Year::Nearest => None,
        Year::Fixed(year) => Some(year),
    };
    tx.prepare_cached(
        "INSERT INTO source_reading (id, site, peer, host, zone, year, since, actor) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        ReadingId::new(now),
        rule.site.map(|site| site.to_string()).unwrap_or_default(),
        rule.peer.map(|peer| peer.to_string()).unwrap_or_default(),
        rule.host,
        rule.zone.map(Tz::name).unwrap_or_default(),
        year,
        rule.since.0,
        actor
    ])?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;
    use crate::db::Db;

    #[test]
    fn the_nearest_rule_counts_from_its_moment_on_and_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[super::super::MIGRATIONS]).unwrap();
        let (site, other) = (SiteId(crate::id::Ulid(1)), SiteId(crate::id::Ulid(2)));
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        let put = |site, peer, host: &str, zone: Option<Tz>, year, since| {
            let rule = ReadingRule { site, peer, host: host.into(), zone, year, since: Timestamp(since) };
            db.write(move |tx| reading_put(tx, &rule, "system", Timestamp(since))).unwrap_or_else(|error: DbError| panic!("{error}"))
        };
        let near = Year::Nearest;
        assert!(put(None, None, "", Some(Tz::Europe__Berlin), near, 0));
        assert!(put(Some(site), None, "", Some(Tz::UTC), near, 10));
        assert!(!put(Some(site), None, "", Some(Tz::UTC), near, 11), "the same again is none");
        assert!(put(Some(site), Some(peer), "", Some(Tz::Asia__Tokyo), near, 20));
        assert!(put(Some(site), Some(peer), "cam", None, Year::Fixed(2019), 30));
        assert!(put(Some(site), Some(peer), "", None, near, 40), "taken back");
        let readings = db.read(Readings::load).unwrap();
        let read = |site, host: &str, at| {
            let reading = readings.reading(site, peer, host, Timestamp(at), Tz::America__Lima);
            format!("{} {:?}", reading.zone, reading.year)
        };
        for (site, host, at, expected) in [
            (other, "cam", 50, "Europe/Berlin Nearest"),
            (other, "cam", -1, "America/Lima Nearest"),
            (site, "cam", 9, "Europe/Berlin Nearest"),
            (site, "cam", 10, "UTC Nearest"),
            (site, "cam", 20, "Asia/Tokyo Nearest"),
            (site, "cam", 30, "Asia/Tokyo Fixed(2019)"),
            (site, "fw", 30, "Asia/Tokyo Nearest"),
            (site, "cam", 40, "UTC Fixed(2019)"),
        ] {
            assert_eq!(read(site, host, at), expected, "{host} at {at}");
        }
    }
}

//! Indicators: addresses, prefixes and domains that somebody warned of, with their list, TLP, confidence and expiry;
//! their store, the snapshot that the rules look them up in, and the record that carries what was found. An indicator
//! alone raises nothing: rules ask for `threat.indicator.name` and `threat.feed.name`.

mod ranges;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ingest::body::Prefix;
use ingest::db::{DbError, Migrations};
use ingest::event::{Defects, ValueRef};
use ingest::fields::{self, FieldId};
use ingest::frame::Seq;
use ingest::record::Record;
use ingest::rusqlite::{Connection, Row, Transaction, params};
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};

use self::ranges::Ranges;

ingest::id_type!(
    /// One entry of one list.
    IndicatorId
);

pub const MIGRATIONS: Migrations = Migrations {
    owner: "indicator",
    steps: &[
        "
        CREATE TABLE indicator (
            id TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            list TEXT NOT NULL,
            tlp TEXT NOT NULL,
            confidence BIGINT NOT NULL,
            valid_until BIGINT,
            created_at BIGINT NOT NULL,
            UNIQUE (list, kind, value)
        );
    ",
        // Those that are there already were watched for from the beginning; the others are hunted for in what is stored
        // (`flow::retro`), each once: `hunt` is NULL until then.
        "
        ALTER TABLE indicator ADD COLUMN hunt TEXT;
        UPDATE indicator SET hunt = '';
        CREATE INDEX indicator_hunt ON indicator (hunt);
        CREATE TABLE retro_hunt (
            id TEXT PRIMARY KEY,
            list TEXT NOT NULL,
            version BIGINT NOT NULL,
            state TEXT NOT NULL,
            indicators BIGINT NOT NULL,
            from_at BIGINT NOT NULL,
            to_at BIGINT NOT NULL,
            reached BIGINT NOT NULL,
            hits BIGINT NOT NULL,
            findings BIGINT NOT NULL,
            begun_at BIGINT NOT NULL,
            ended_at BIGINT,
            ended_by TEXT,
            UNIQUE (list, version)
        );
    ",
    ],
};

/// Indicators held in memory at once, newest first: about 150 MB with their lists and dates.
pub const INDICATORS_MAX: usize = 1_000_000;
/// A shorter prefix is no indicator but half the net: the rules would fire on everything.
const PREFIX_BITS_MIN_V4: u32 = 8;
const PREFIX_BITS_MIN_V6: u32 = 19;
/// DNS' own bound (RFC 1035, 2.3.4).
const DOMAIN_BYTES_MAX: usize = 253;

/// Traffic Light Protocol 2.0: with whom an indicator may be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tlp {
    #[serde(rename = "TLP:CLEAR")]
    Clear,
    #[serde(rename = "TLP:GREEN")]
    Green,
    #[serde(rename = "TLP:AMBER")]
    Amber,
    #[serde(rename = "TLP:AMBER+STRICT")]
    AmberStrict,
    #[serde(rename = "TLP:RED")]
    Red,
}

impl Tlp {
    pub const ALL: [Self; 5] = [Self::Clear, Self::Green, Self::Amber, Self::AmberStrict, Self::Red];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "TLP:CLEAR",
            Self::Green => "TLP:GREEN",
            Self::Amber => "TLP:AMBER",
            Self::AmberStrict => "TLP:AMBER+STRICT",
            Self::Red => "TLP:RED",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tlp| tlp.as_str() == text)
    }
}

/// What is watched for, in its canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    Address(IpAddr),
    Prefix(Prefix),
    /// The name and everything below it, in lower case without a final dot.
    Domain(String),
}

/// A text that is no indicator.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    #[error("not an address, prefix or domain: {0:?}")]
    Unreadable(String),
    #[error("the prefix {0} is too short for an indicator (at least /{PREFIX_BITS_MIN_V4}, IPv6 /{PREFIX_BITS_MIN_V6})")]
    TooBroad(Prefix),
}

impl FromStr for Pattern {
    type Err = PatternError;
    fn from_str(text: &str) -> Result<Self, PatternError> {
        let text = text.trim();
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        if let Ok(prefix) = text.parse::<Prefix>() {
            let (first, _) = prefix.range();
            return match prefix_bits(prefix) {
                bits if bits < if first.is_ipv4() { PREFIX_BITS_MIN_V4 } else { PREFIX_BITS_MIN_V6 } => Err(PatternError::TooBroad(prefix)),
                _ => Ok(Self::Prefix(prefix)),
            };
        }
        let name = domain(text);
        let label = |label: &str| {
            (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        // A name of one label (a top-level domain, a bare word) would match far too much.
        match name.len() <= DOMAIN_BYTES_MAX && name.contains('.') && name.split('.').all(label) {
            true => Ok(Self::Domain(name)),
            false => Err(PatternError::Unreadable(text.chars().take(60).collect())),
        }
    }
}

impl Pattern {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Address(_) => "address",
            Self::Prefix(_) => "prefix",
            Self::Domain(_) => "domain",
        }
    }

    pub fn value(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Prefix(prefix) => prefix.to_string(),
            Self::Domain(name) => name.clone(),
        }
    }
}

fn domain(text: &str) -> String {
    text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()
}

fn prefix_bits(prefix: Prefix) -> u32 {
    match prefix.range() {
        (IpAddr::V4(first), IpAddr::V4(last)) => (first.to_bits() ^ last.to_bits()).leading_zeros(),
        (IpAddr::V6(first), IpAddr::V6(last)) => (first.to_bits() ^ last.to_bits()).leading_zeros(),
        _ => 0,
    }
}

/// What is to be listed.
#[derive(Clone, Debug, PartialEq)]
pub struct NewIndicator {
    pub pattern: Pattern,
    /// The list or feed it comes from: what `threat.feed.name` says.
    pub list: String,
    pub tlp: Tlp,
    /// 0 to 100.
    pub confidence: u8,
    /// It matches records up to this moment of theirs; `None` for as long as it is listed.
    pub valid_until: Option<Timestamp>,
}

/// An indicator as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Indicator {
    pub id: IndicatorId,
    pub pattern: Pattern,
    pub list: Arc<str>,
    pub tlp: Tlp,
    pub confidence: u8,
    pub valid_until: Option<Timestamp>,
    pub created_at: Timestamp,
    /// Flows received from then on are judged as they come, those before by the retro-hunt (`flow::retro`); `None` for all
    /// as they come.
    pub live_from: Option<Timestamp>,
}

/// Lists an indicator; one that its list has already is brought up to date and keeps its identity.
///
/// # Errors
/// The database's own.
pub fn indicator_add(tx: &Transaction<'_>, new: &NewIndicator, now: Timestamp) -> Result<IndicatorId, DbError> {
    let id = tx
        .prepare_cached(
            "INSERT INTO indicator (id, kind, value, list, tlp, confidence, valid_until, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (list, kind, value) DO UPDATE
             SET tlp = excluded.tlp, confidence = excluded.confidence, valid_until = excluded.valid_until
             RETURNING id",
        )?
        .query_row(
            params![
                IndicatorId::new(now),
                new.pattern.kind(),
                new.pattern.value(),
                new.list,
                new.tlp.as_str(),
                new.confidence.min(100),
                new.valid_until.map(|at| at.0),
                now.0,
            ],
            |row| row.get(0),
        )?;
    Ok(id)
}

/// The newest indicators, at most `limit`.
///
/// # Errors
/// The database's own.
pub fn indicator_list(connection: &Connection, limit: usize) -> Result<Vec<Indicator>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT i.id, i.value, i.list, i.tlp, i.confidence, i.valid_until, i.created_at, h.to_at
         FROM indicator i LEFT JOIN retro_hunt h ON h.id = i.hunt ORDER BY i.created_at DESC, i.id DESC LIMIT ?1",
    )?;
    let rows = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], indicator_from_row)?;
    indicators_of(rows)
}

/// One list as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSummary {
    pub list: String,
    pub addresses: i64,
    pub prefixes: i64,
    pub domains: i64,
    pub newest: Timestamp,
}

/// All lists by name, at most `limit`.
///
/// # Errors
/// The database's own.
pub fn indicator_lists(connection: &Connection, limit: usize) -> Result<Vec<ListSummary>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT list, SUM(CASE WHEN kind = 'address' THEN 1 ELSE 0 END), SUM(CASE WHEN kind = 'prefix' THEN 1 ELSE 0 END),
         SUM(CASE WHEN kind = 'domain' THEN 1 ELSE 0 END), MAX(created_at) FROM indicator GROUP BY list ORDER BY list LIMIT ?1",
    )?;
    let rows = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        let newest = Timestamp(row.get(4)?);
        Ok(ListSummary { list: row.get(0)?, addresses: row.get(1)?, prefixes: row.get(2)?, domains: row.get(3)?, newest })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The addresses and prefixes that a hunt is after, at most `limit`.
///
/// # Errors
/// The database's own.
pub fn indicator_list_of_hunt(connection: &Connection, hunt: &str, limit: usize) -> Result<Vec<Indicator>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, value, list, tlp, confidence, valid_until, created_at, NULL FROM indicator
         WHERE hunt = ?1 AND kind <> 'domain' ORDER BY created_at DESC, id DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![hunt, i64::try_from(limit).unwrap_or(i64::MAX)], indicator_from_row)?;
    indicators_of(rows)
}

fn indicators_of(rows: impl Iterator<Item = ingest::rusqlite::Result<Option<Indicator>>>) -> Result<Vec<Indicator>, DbError> {
    let found: Vec<Option<Indicator>> = rows.collect::<Result<_, _>>()?;
    let mut found: Vec<Indicator> = found.into_iter().flatten().collect();
    // A list's name is kept once, not a million times.
    let mut lists: HashSet<Arc<str>> = HashSet::new();
    for indicator in &mut found {
        match lists.get(&indicator.list) {
            Some(known) => indicator.list = known.clone(),
            None => drop(lists.insert(indicator.list.clone())),
        }
    }
    Ok(found)
}

/// `None` for a row whose value this program cannot read.
fn indicator_from_row(row: &Row<'_>) -> ingest::rusqlite::Result<Option<Indicator>> {
    let (value, tlp): (String, String) = (row.get(1)?, row.get(3)?);
    let confidence: i64 = row.get(4)?;
    let (valid_until, live_from): (Option<i64>, Option<i64>) = (row.get(5)?, row.get(7)?);
    let list: String = row.get(2)?;
    let Ok(pattern) = value.parse() else { return Ok(None) };
    Ok(Some(Indicator {
        id: row.get(0)?,
        pattern,
        list: list.into(),
        // What cannot be read is shared with nobody.
        tlp: Tlp::parse(&tlp).unwrap_or(Tlp::Red),
        confidence: u8::try_from(confidence.clamp(0, 100)).unwrap_or(0),
        valid_until: valid_until.map(Timestamp),
        created_at: Timestamp(row.get(6)?),
        live_from: live_from.map(Timestamp),
    }))
}

/// All indicators as they were at one moment, for looking up.
#[derive(Clone, Debug, Default)]
pub struct IndicatorSet {
    all: Vec<Indicator>,
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    domains: HashMap<String, Vec<u32>>,
}

impl IndicatorSet {
    pub fn new(all: Vec<Indicator>) -> Self {
        let mut domains: HashMap<String, Vec<u32>> = HashMap::new();
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (index, indicator) in (0u32..).zip(&all) {
            let range = match &indicator.pattern {
                Pattern::Domain(name) => {
                    domains.entry(name.clone()).or_default().push(index);
                    continue;
                }
                Pattern::Address(address) => (*address, *address),
                Pattern::Prefix(prefix) => prefix.range(),
            };
            match range {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.to_bits(), last.to_bits(), index)),
                (IpAddr::V6(first), IpAddr::V6(last)) => v6.push((first.to_bits(), last.to_bits(), index)),
                _ => {}
            }
        }
        Self { all, v4: Ranges::new(v4), v6: Ranges::new(v6), domains }
    }

    /// The newest `INDICATORS_MAX` of the store.
    ///
    /// # Errors
    /// The database's own.
    pub fn load(connection: &Connection) -> Result<Self, DbError> {
        indicator_list(connection, INDICATORS_MAX).map(Self::new)
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether any indicator names an address or a prefix.
    pub fn has_addresses(&self) -> bool {
        !(self.v4.is_empty() && self.v6.is_empty())
    }

    /// First and last address of each indicator that names addresses; none where there are more than `most`.
    pub fn address_ranges(&self, most: usize) -> Vec<(IpAddr, IpAddr)> {
        let range = |indicator: &Indicator| match &indicator.pattern {
            Pattern::Address(address) => Some((*address, *address)),
            Pattern::Prefix(prefix) => Some(prefix.range()),
            Pattern::Domain(_) => None,
        };
        let ranges: Vec<(IpAddr, IpAddr)> = self.all.iter().filter_map(range).take(most + 1).collect();
        if ranges.len() > most { vec![] } else { ranges }
    }

    /// The indicators that name `address`, exactly or by a prefix, and were valid at `at`; the narrowest first.
    pub fn address(&self, address: IpAddr, at: Timestamp) -> impl Iterator<Item = &Indicator> {
        let found = match address.to_canonical() {
            IpAddr::V4(v4) => self.v4.find(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.find(v6.to_bits()),
        };
        found.iter().filter_map(move |index| self.valid(*index, at))
    }

    /// The indicators that name `name` or a domain above it, and were valid at `at`.
    pub fn domain(&self, name: &str, at: Timestamp) -> impl Iterator<Item = &Indicator> {
        let name = if self.domains.is_empty() || name.len() > DOMAIN_BYTES_MAX + 1 { String::new() } else { domain(name) };
        let mut found = Vec::new();
        let mut rest = name.as_str();
        while !rest.is_empty() {
            found.extend(self.domains.get(rest).into_iter().flatten().copied());
            rest = rest.split_once('.').map_or("", |(_, above)| above);
        }
        found.into_iter().filter_map(move |index| self.valid(index, at))
    }

    fn valid(&self, index: u32, at: Timestamp) -> Option<&Indicator> {
        self.all.get(index as usize).filter(|indicator| indicator.valid_until.is_none_or(|until| at <= until))
    }
}

/// The set that is in force. Who holds a clone sees at next to no cost whether it has changed.
#[derive(Clone, Debug, Default)]
pub struct SharedIndicators(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    generation: AtomicU64,
    set: RwLock<Arc<IndicatorSet>>,
}

impl SharedIndicators {
    pub fn new(set: Arc<IndicatorSet>) -> Self {
        Self(Arc::new(Shared { generation: AtomicU64::new(1), set: RwLock::new(set) }))
    }

    pub fn get(&self) -> Arc<IndicatorSet> {
        self.0.set.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, set: Arc<IndicatorSet>) {
        *self.0.set.write().unwrap_or_else(PoisonError::into_inner) = set;
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// Another number with each set.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }
}

/// Fields whose addresses are looked up, and those whose names are.
const ADDRESS_FIELDS: [FieldId; 2] = [fields::SOURCE_IP, fields::DESTINATION_IP];
const DOMAIN_FIELDS: [FieldId; 3] = [fields::DNS_QUESTION_NAME, fields::URL_DOMAIN, fields::DESTINATION_DOMAIN];
/// Hits shown per record.
const HITS_MAX: usize = 8;

/// A record with what the indicators say of it.
pub struct Enriched<'a> {
    record: &'a dyn Record,
    /// (indicator, list), each once.
    hits: Vec<(String, &'a str)>,
}

impl<'a> Enriched<'a> {
    pub fn new(record: &'a dyn Record, indicators: &'a IndicatorSet) -> Self {
        let mut hits: Vec<(String, &str)> = Vec::new();
        if indicators.is_empty() {
            return Self { record, hits };
        }
        let at = record.timestamp();
        let mut hit = |indicator: &'a Indicator| {
            let new = (indicator.pattern.value(), &*indicator.list);
            if hits.len() < HITS_MAX && !hits.contains(&new) {
                hits.push(new);
            }
        };
        for field in ADDRESS_FIELDS {
            record.any_value(field, &mut |value| {
                value.as_ip().into_iter().flat_map(|address| indicators.address(address, at)).for_each(&mut hit);
                false
            });
        }
        for field in DOMAIN_FIELDS {
            record.any_value(field, &mut |value| {
                indicators.domain(&value.text(), at).for_each(&mut hit);
                false
            });
        }
        Self { record, hits }
    }
}

impl Record for Enriched<'_> {
    fn seq(&self) -> Seq {
        self.record.seq()
    }
    fn timestamp(&self) -> Timestamp {
        self.record.timestamp()
    }
    fn text(&self) -> &str {
        self.record.text()
    }
    fn defects(&self) -> Defects {
        self.record.defects()
    }
    fn any_value(&self, field: FieldId, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
        self.record.any_value(field, visit)
            || match field {
                fields::THREAT_INDICATOR => self.hits.iter().any(|(name, _)| visit(ValueRef::Str(name))),
                fields::THREAT_INDICATOR_LIST => self.hits.iter().any(|(_, list)| visit(ValueRef::Str(list))),
                _ => false,
            }
    }
    fn any_field(&self, visit: &mut dyn FnMut(FieldId, ValueRef<'_>) -> bool) -> bool {
        self.record.any_field(visit)
            || self.hits.iter().any(|(name, list)| {
                visit(fields::THREAT_INDICATOR, ValueRef::Str(name)) || visit(fields::THREAT_INDICATOR_LIST, ValueRef::Str(list))
            })
    }
}

#[cfg(test)]
mod tests {
    use ingest::db::Db;

    use super::*;

    fn new(pattern: &str, list: &str, valid_until: Option<i64>) -> NewIndicator {
        let valid_until = valid_until.map(Timestamp);
        NewIndicator { pattern: pattern.parse().unwrap(), list: list.into(), tlp: Tlp::Amber, confidence: 80, valid_until }
    }

    fn set(all: &[(&str, Option<i64>)]) -> IndicatorSet {
        let indicator = |(pattern, until): &(&str, Option<i64>)| {
            let NewIndicator { pattern, list, tlp, confidence, valid_until } = new(pattern, "l", *until);
            let list = list.into();
            Indicator { id: IndicatorId::default(), pattern, list, tlp, confidence, valid_until, created_at: Timestamp(0), live_from: None }
        };
        IndicatorSet::new(all.iter().map(indicator).collect())
    }

    #[test]
    fn addresses_prefixes_and_domains_are_found_by_every_way() {
        let set = set(&[
            ("203.0.113.7", None),
            ("203.0.113.0/24", None),
            ("203.0.0.0/16", Some(10)),
            ("2001:db8::/32", None),
            ("Bad.Example.", None),
        ]);
        let addresses = |text: &str, at: i64| -> Vec<String> {
            set.address(text.parse().unwrap(), Timestamp(at)).map(|found| found.pattern.value()).collect()
        };
        assert_eq!(addresses("203.0.113.7", 10), ["203.0.113.7", "203.0.113.0/24", "203.0.0.0/16"]);
        assert_eq!(addresses("203.0.113.8", 11), ["203.0.113.0/24"]);
        assert_eq!(addresses("::ffff:203.0.113.8", 11), ["203.0.113.0/24"]);
        assert_eq!(addresses("2001:db8:ffff::1", 0), ["2001:db8::/32"]);
        assert_eq!(addresses("2001:db9::1", 0), [""; 0]);
        let domains = |text: &str| set.domain(text, Timestamp(0)).count();
        assert_eq!(["bad.example", "a.B.bad.example.", "notbad.example", "example", ""].map(domains), [1, 1, 0, 0, 0]);
    }

    #[test]
    fn what_would_match_everything_is_refused() {
        let message = |text: &str| text.parse::<Pattern>().unwrap_err().to_string();
        assert_eq!(message("0.0.0.0/0"), "the prefix 0.0.0.0/0 is too short for an indicator (at least /8, IPv6 /19)");
        assert_eq!(message("com"), "not an address, prefix or domain: \"com\"");
        assert_eq!(message("a b.example"), "not an address, prefix or domain: \"a b.example\"");
    }

    #[test]
    fn a_list_that_comes_again_updates_its_indicators() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let (first, second) = (new("203.0.113.7", "a", None), new("203.0.113.7", "a", Some(5)));
        let ids = db
            .write(move |tx| Ok::<_, DbError>([indicator_add(tx, &first, Timestamp(1))?, indicator_add(tx, &second, Timestamp(2))?]))
            .unwrap();
        assert_eq!(ids[0], ids[1]);
        let set = db.read(IndicatorSet::load).unwrap();
        assert_eq!((set.len(), set.all[0].valid_until, set.all[0].tlp), (1, Some(Timestamp(5)), Tlp::Amber));
    }
}

//! Sources: which device or service sends, since when, how much, how often, in which format, with which clock, and when
//! it was last heard. The inventory makes itself from the journal (`consumer`), in one transaction with its cursor, so
//! that its counts are exact over any crash. `gap` knows what is usual, `reading` by which zone and year a source's
//! stamps are read, `columns` what a source declared its columns to be. It also keeps how far each file's import has come, for the same reason.

mod columns;
mod consumer;
mod gap;
mod import;
mod reading;
mod store;
mod template;

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

pub use columns::{declaration_add, declaration_list};
pub use consumer::SourceConsumer;
pub use gap::{Gaps, HOURS, hour_of_week};
pub use import::{ImportMark, import_list};
pub use reading::{Reading, ReadingId, ReadingRule, Readings, SharedReadings, Year, reading_list, reading_put};
pub use store::{source_cursor, source_expect, source_find, source_hours, source_last_seen, source_list};
pub use template::{OPEN, Template, Templates};

use crate::body::SiteId;
use crate::db::Migrations;
use crate::frame::Transport;
use crate::time::Timestamp;

crate::id_type!(
    /// One sender of the inventory. Made of what it is known by, so that it stays the same over a rebuild.
    SourceId
);

impl SourceId {
    /// The identity of the source of a site that sends from `peer`, calls itself `host`, and comes this way.
    pub fn of(site: SiteId, peer: &str, host: &str, transport: &str, kind: &str) -> Self {
        let hash = Sha256::digest([&site.to_string(), peer, host, transport, kind].join("\0"));
        let first = hash.first_chunk().copied().unwrap_or_default();
        Self(crate::id::Ulid(u128::from_be_bytes(first)))
    }
}

pub const MIGRATIONS: Migrations = Migrations {
    owner: "source",
    steps: &[
        "
        CREATE TABLE source (
            site TEXT NOT NULL,
            peer TEXT NOT NULL,
            host TEXT NOT NULL,
            transport TEXT NOT NULL,
            kind TEXT NOT NULL,
            first_seen BIGINT NOT NULL,
            last_seen BIGINT NOT NULL,
            frames BIGINT NOT NULL,
            bytes BIGINT NOT NULL,
            records BIGINT NOT NULL,
            defective BIGINT NOT NULL,
            defects TEXT NOT NULL,
            PRIMARY KEY (site, peer, host, transport, kind)
        );
        CREATE TABLE source_cursor (name TEXT PRIMARY KEY, seq BIGINT NOT NULL);
        CREATE TABLE import (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            bytes BIGINT NOT NULL,
            lines BIGINT NOT NULL,
            sha256 TEXT NOT NULL,
            updated_at BIGINT NOT NULL
        );
    ",
        "
        ALTER TABLE source ADD COLUMN expected BIGINT;
        ALTER TABLE source ADD COLUMN skew BIGINT;
        ALTER TABLE source ADD COLUMN formats TEXT NOT NULL DEFAULT '{}';
        CREATE TABLE source_hour (
            source TEXT NOT NULL,
            hour BIGINT NOT NULL,
            frames BIGINT NOT NULL,
            PRIMARY KEY (source, hour)
        );
        CREATE INDEX source_hour_hour ON source_hour (hour);
        CREATE TABLE source_gap (source TEXT PRIMARY KEY, gaps TEXT NOT NULL);
        CREATE TABLE source_reading (
            id TEXT PRIMARY KEY,
            site TEXT NOT NULL,
            peer TEXT NOT NULL,
            host TEXT NOT NULL,
            zone TEXT NOT NULL,
            year BIGINT,
            since BIGINT NOT NULL,
            actor TEXT NOT NULL
        );
    ",
        "
        CREATE TABLE source_columns (
            site TEXT NOT NULL,
            peer TEXT NOT NULL,
            transport BIGINT NOT NULL,
            host TEXT NOT NULL,
            tag TEXT NOT NULL,
            since BIGINT NOT NULL,
            columns TEXT NOT NULL,
            PRIMARY KEY (site, peer, transport, host, tag, since)
        );
    ",
    ],
};

/// A source is called silent after at least this long without a frame (DOMAIN.md, KPI 16).
const SILENCE_MILLIS_MIN: i64 = Timestamp::HOUR;
/// From so many frames over so long on, a sender is one that should go on: a stray line or a mistyped host is none.
const REGULAR_FRAMES_MIN: i64 = 20;
const REGULAR_MILLIS_MIN: i64 = Timestamp::HOUR;

/// One sender as stored.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    pub id: SourceId,
    pub site: SiteId,
    pub peer: String,
    /// The name the lines carry; empty where they carry none.
    pub host: String,
    /// `Transport::as_str`.
    pub transport: String,
    /// `log` or `flow`.
    pub kind: String,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// Frames in the journal.
    pub frames: i64,
    pub bytes: i64,
    /// Events or flows that came of them.
    pub records: i64,
    /// Events with at least one defect.
    pub defective: i64,
    /// How often which defect, by its name.
    pub defects: BTreeMap<String, i64>,
    /// How many events which decoder understood, by its name; empty for none.
    pub formats: BTreeMap<String, i64>,
    /// How far its clock is behind ours in milliseconds (ahead where negative), the way included; `None` where its
    /// stamps say nothing.
    #[serde(rename = "clock_skew_millis")]
    pub skew: Option<i64>,
    /// What an operator expects: a frame at least this often, in milliseconds; 0 for a source that is given up.
    #[serde(rename = "expected_millis")]
    pub expected: Option<i64>,
    /// Frames of the last 24 hours.
    pub day: i64,
    #[serde(skip)]
    pub gaps: Gaps,
}

impl Source {
    /// Frames per hour over the last day; of a source younger than that, over its age.
    pub fn rate(&self, now: Timestamp) -> f64 {
        let hours = (now.since(self.first_seen) as f64 / Timestamp::HOUR as f64).clamp(1.0, 24.0);
        self.day as f64 / hours
    }

    /// The time between frames that is usual at this hour of the week, in milliseconds; before anything is known of
    /// the hour, the mean so far.
    pub fn usual_gap_millis(&self, now: Timestamp) -> i64 {
        let mean = self.last_seen.since(self.first_seen) / (self.frames - 1).max(1);
        self.gaps.usual(now).unwrap_or(mean)
    }

    /// How long it may be quiet at this hour: what its operator expects, else max(1 h, 3 × usual gap).
    pub fn patience_millis(&self, now: Timestamp) -> i64 {
        let usual = || SILENCE_MILLIS_MIN.max(self.usual_gap_millis(now).saturating_mul(3));
        self.expected.map_or_else(usual, |expected| if expected == 0 { i64::MAX } else { expected.max(Timestamp::MINUTE) })
    }

    /// Silent: nothing for longer than its patience. An import is an act, not a source that should go on.
    pub fn is_silent(&self, now: Timestamp) -> bool {
        self.is_silent_since(self.last_seen, now)
    }

    /// As `is_silent`, where nobody listened before `since`.
    pub fn is_silent_since(&self, since: Timestamp, now: Timestamp) -> bool {
        self.transport != Transport::Import.as_str() && now.since(self.last_seen.max(since)) > self.patience_millis(now)
    }

    /// Whether it has sent enough to be missed, or an operator expects it.
    pub fn is_regular(&self) -> bool {
        let sent = self.frames >= REGULAR_FRAMES_MIN && self.last_seen.since(self.first_seen) >= REGULAR_MILLIS_MIN;
        self.transport != Transport::Import.as_str() && self.expected.map_or(sent, |expected| expected > 0)
    }

    /// The decoder that understood most, and its share of the events; `None` where none understood anything.
    pub fn format(&self) -> Option<(&str, f64)> {
        let all: i64 = self.formats.values().sum();
        let known = self.formats.iter().filter(|(name, count)| !name.is_empty() && **count > 0);
        known.max_by_key(|(_, count)| **count).map(|(name, count)| (name.as_str(), *count as f64 / all.max(1) as f64))
    }

    /// The name people know it by: what its lines say, else its address.
    pub fn name(&self) -> &str {
        if self.host.is_empty() { &self.peer } else { &self.host }
    }
}

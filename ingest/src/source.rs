//! Sources: which device or service sends, since when, how much, and when it was last heard. The inventory makes
//! itself from the journal, in one transaction with its cursor, so that its counts are exact over any crash.
//! It also keeps how far each file's import has come, for the same reason.

use std::collections::HashMap;
use std::net::IpAddr;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::body::SiteId;
use crate::db::{Db, DbError, Migrations};
use crate::event::Defect;
use crate::fields;
use crate::frame::{FrameKind, Seq, Transport};
use crate::pipeline::{Batch, Consumer, ConsumerError};
use crate::scope::Scope;
use crate::time::Timestamp;

pub const MIGRATIONS: Migrations = Migrations {
    owner: "source",
    steps: &["
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
    "],
};

/// Host names told apart per peer; a peer that invents more is counted under its address alone.
const HOSTS_PER_PEER_MAX: usize = 1_000;
/// A source is called silent after at least this long without a frame (DOMAIN.md, KPI 16).
const SILENCE_MILLIS_MIN: i64 = Timestamp::HOUR;

/// One sender as stored.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    pub site: SiteId,
    pub peer: String,
    /// The name the lines carry; empty where they carry none.
    pub host: String,
    /// `udp`, `tcp`, `http` or `import`.
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
    /// How often which defect.
    pub defects: HashMap<String, i64>,
}

impl Source {
    /// The mean time between frames so far, in milliseconds.
    pub fn usual_gap_millis(&self) -> i64 {
        self.last_seen.since(self.first_seen) / (self.frames - 1).max(1)
    }

    /// Silent: nothing for max(1 h, 3 × usual gap). An import is an act, not a source that should go on.
    pub fn is_silent(&self, now: Timestamp) -> bool {
        let patience = SILENCE_MILLIS_MIN.max(self.usual_gap_millis().saturating_mul(3));
        self.transport != Transport::Import.as_str() && now.since(self.last_seen) > patience
    }
}

/// The visible sources, the longest silent first.
///
/// # Errors
/// The database's own.
pub fn source_list(connection: &Connection, scope: &Scope, sites: &crate::body::SiteTable) -> Result<Vec<Source>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT site, peer, host, transport, kind, first_seen, last_seen, frames, bytes, records, defective, defects
         FROM source ORDER BY last_seen, peer, host",
    )?;
    let rows = statement.query_map([], |row| {
        let defects: String = row.get(11)?;
        Ok(Source {
            site: row.get(0)?,
            peer: row.get(1)?,
            host: row.get(2)?,
            transport: row.get(3)?,
            kind: row.get(4)?,
            first_seen: Timestamp(row.get(5)?),
            last_seen: Timestamp(row.get(6)?),
            frames: row.get(7)?,
            bytes: row.get(8)?,
            records: row.get(9)?,
            defective: row.get(10)?,
            defects: serde_json::from_str(&defects).unwrap_or_default(),
        })
    })?;
    let mut sources = Vec::new();
    for row in rows {
        let source = row?;
        if scope.site_allowed(source.site, sites) {
            sources.push(source);
        }
    }
    Ok(sources)
}

/// How far the inventory has counted: what lies at or below is in the tables.
///
/// # Errors
/// The database's own.
pub fn source_cursor(connection: &Connection) -> Result<Seq, DbError> {
    let row = connection.query_row("SELECT seq FROM source_cursor WHERE name = 'source'", [], |row| row.get::<_, i64>(0));
    Ok(Seq(row.optional()?.unwrap_or(0).unsigned_abs()))
}

/// How far the import of a file has come: the frame that is written with the lines it speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportMark {
    /// ULID of this file's import; a file that has grown goes on under the same.
    pub id: String,
    pub name: String,
    /// Bytes of the (unpacked) file that are in the journal.
    pub bytes: u64,
    pub lines: u64,
    /// SHA-256 of these bytes, in hex: by it the file is known again under any name.
    pub sha256: String,
}

/// All imports so far.
///
/// # Errors
/// The database's own.
pub fn import_list(connection: &Connection) -> Result<Vec<ImportMark>, DbError> {
    let mut statement = connection.prepare_cached("SELECT id, name, bytes, lines, sha256 FROM import ORDER BY bytes")?;
    let rows = statement.query_map([], |row| {
        let (bytes, lines): (i64, i64) = (row.get(2)?, row.get(3)?);
        Ok(ImportMark { id: row.get(0)?, name: row.get(1)?, bytes: bytes.unsigned_abs(), lines: lines.unsigned_abs(), sha256: row.get(4)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    site: SiteId,
    peer: IpAddr,
    host: Box<str>,
    transport: Transport,
    flow: bool,
}

#[derive(Clone, Debug, Default)]
struct Delta {
    first: Option<Timestamp>,
    last: Timestamp,
    frames: i64,
    bytes: i64,
    records: i64,
    defective: i64,
    defects: HashMap<&'static str, i64>,
}

/// Counts sources and notes imports. Its cursor moves in the same transaction as the counts.
pub struct SourceConsumer {
    db: Db,
    cursor: Seq,
    applied: Seq,
    deltas: HashMap<Key, Delta>,
    marks: HashMap<String, (ImportMark, Timestamp)>,
    hosts: HashMap<IpAddr, std::collections::HashSet<Box<str>>>,
}

impl SourceConsumer {
    /// # Errors
    /// The database's own.
    pub fn new(db: Db) -> Result<Self, DbError> {
        let cursor = db.read(source_cursor)?;
        Ok(Self { db, cursor, applied: cursor, deltas: HashMap::new(), marks: HashMap::new(), hosts: HashMap::new() })
    }

    fn host_for(&mut self, peer: IpAddr, host: Option<String>) -> Box<str> {
        let Some(host) = host else { return Box::default() };
        let hosts = self.hosts.entry(peer).or_default();
        if hosts.contains(host.as_str()) || hosts.len() < HOSTS_PER_PEER_MAX {
            let host: Box<str> = host.into();
            hosts.insert(host.clone());
            return host;
        }
        Box::default()
    }
}

impl Consumer for SourceConsumer {
    fn name(&self) -> &'static str {
        "sources"
    }

    fn cursor(&self) -> Seq {
        self.cursor
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), ConsumerError> {
        let mut events = batch.events.iter().peekable();
        let mut flows = batch.flows.iter().peekable();
        for frame in &batch.frames {
            let (seq, frame) = (frame.seq, &frame.frame);
            let mut host = None;
            let mut records = 0;
            let mut defects = crate::event::Defects::default();
            while let Some(event) = events.next_if(|event| event.seq <= seq) {
                records += 1;
                defects = event.defects;
                host = event.get(fields::HOST_NAME).map(|name| name.text().into_owned());
            }
            while flows.next_if(|flow| flow.seq <= seq).is_some() {
                records += 1;
            }
            if seq <= self.applied {
                continue;
            }
            if frame.kind == FrameKind::ImportMark {
                if let Ok(mark) = serde_json::from_slice::<ImportMark>(&frame.payload) {
                    self.marks.insert(mark.id.clone(), (mark, frame.received_at));
                }
                continue;
            }
            let host = self.host_for(frame.peer, host);
            let flow = frame.kind == FrameKind::Flow;
            let key = Key { site: frame.site, peer: frame.peer, host, transport: frame.transport, flow };
            let delta = self.deltas.entry(key).or_default();
            delta.first.get_or_insert(frame.received_at);
            delta.last = delta.last.max(frame.received_at);
            delta.frames += 1;
            delta.bytes += i64::try_from(frame.payload.len()).unwrap_or(0);
            delta.records += records;
            // RFC 3164 has no year: that it had to be worked out is counted below, but it is no fault of the sender.
            delta.defective += i64::from(defects.iter().any(|defect| defect != Defect::NoYear));
            for defect in defects.iter().map(Defect::name) {
                *delta.defects.entry(defect).or_default() += 1;
            }
        }
        self.applied = self.applied.max(batch.last);
        Ok(())
    }

    fn tick(&mut self, _now: Timestamp) -> Result<(), ConsumerError> {
        self.flush()
    }

    fn flush(&mut self) -> Result<(), ConsumerError> {
        if self.applied == self.cursor {
            return Ok(());
        }
        let (deltas, marks, applied) = (std::mem::take(&mut self.deltas), std::mem::take(&mut self.marks), self.applied);
        self.db.write(move |tx| {
            for (key, delta) in &deltas {
                source_add(tx, key, delta)?;
            }
            for (mark, at) in marks.values() {
                import_put(tx, mark, *at)?;
            }
            tx.execute(
                "INSERT INTO source_cursor (name, seq) VALUES ('source', ?1) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
                [i64::try_from(applied.0).unwrap_or(i64::MAX)],
            )?;
            Ok::<_, DbError>(())
        })?;
        self.cursor = applied;
        Ok(())
    }
}

fn source_add(tx: &Transaction<'_>, key: &Key, delta: &Delta) -> Result<(), DbError> {
    let kind = if key.flow { "flow" } else { "log" };
    let id = params![key.site, key.peer.to_string(), key.host, key.transport.as_str(), kind];
    let known: Option<String> = tx
        .prepare_cached("SELECT defects FROM source WHERE site = ?1 AND peer = ?2 AND host = ?3 AND transport = ?4 AND kind = ?5")?
        .query_row(id, |row| row.get(0))
        .optional()?;
    let mut defects: HashMap<String, i64> = known.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    for (name, count) in &delta.defects {
        *defects.entry((*name).to_owned()).or_default() += count;
    }
    tx.prepare_cached(
        "INSERT INTO source (site, peer, host, transport, kind, first_seen, last_seen, frames, bytes, records, defective, defects)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (site, peer, host, transport, kind) DO UPDATE SET
            last_seen = CASE WHEN excluded.last_seen > source.last_seen THEN excluded.last_seen ELSE source.last_seen END,
            frames = source.frames + excluded.frames, bytes = source.bytes + excluded.bytes,
            records = source.records + excluded.records, defective = source.defective + excluded.defective,
            defects = excluded.defects",
    )?
    .execute(params![
        key.site,
        key.peer.to_string(),
        key.host,
        key.transport.as_str(),
        kind,
        delta.first.unwrap_or(delta.last).0,
        delta.last.0,
        delta.frames,
        delta.bytes,
        delta.records,
        delta.defective,
        serde_json::to_string(&defects).unwrap_or_else(|_| "{}".into()),
    ])?;
    Ok(())
}

fn import_put(tx: &Transaction<'_>, mark: &ImportMark, at: Timestamp) -> Result<(), DbError> {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    tx.prepare_cached(
        "INSERT INTO import (id, name, bytes, lines, sha256, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, bytes = excluded.bytes, lines = excluded.lines,
            sha256 = excluded.sha256, updated_at = excluded.updated_at",
    )?
    .execute(params![mark.id, mark.name, number(mark.bytes), number(mark.lines), mark.sha256, at.0])?;
    Ok(())
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::body::{SITE_UNKNOWN, SiteTable};
    use crate::event::Event;
    use crate::frame::{Frame, Marks, NewFrame};

    fn batch(seqs: std::ops::RangeInclusive<u64>) -> Batch {
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        let frames: Vec<Frame> = seqs
            .clone()
            .map(|seq| {
                let at = Timestamp(i64::try_from(seq).unwrap() * 1_000);
                let payload = Box::from(&b"line"[..]);
                let frame = NewFrame {
                    received_at: at,
                    site: SITE_UNKNOWN,
                    peer,
                    transport: Transport::Udp,
                    kind: FrameKind::Line,
                    marks: Marks::default(),
                    payload,
                };
                Frame { seq: Seq(seq), frame }
            })
            .collect();
        let events = frames
            .iter()
            .map(|f| {
                let mut event = Event::new(f.seq, f.frame.received_at, f.frame.site, peer, Transport::Udp, &f.frame.payload);
                event.push_text(fields::HOST_NAME, "fw");
                event.defects.add(Defect::NoHeader);
                event
            })
            .collect();
        Batch { first: Seq(*seqs.start()), last: Seq(*seqs.end()), events, frames, ..Batch::default() }
    }

    #[test]
    fn counts_are_exact_over_a_crash_and_a_replay() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let mut first = SourceConsumer::new(db.clone()).unwrap();
        first.apply(&batch(1..=10)).unwrap();
        first.flush().unwrap();
        first.apply(&batch(11..=15)).unwrap();
        drop(first); // killed before its flush
        let mut second = SourceConsumer::new(db.clone()).unwrap();
        assert_eq!(second.cursor(), Seq(10));
        second.apply(&batch(9..=20)).unwrap();
        second.tick(Timestamp(0)).unwrap();
        let sites = SiteTable::default();
        let sources = db.read(|c| source_list(c, &Scope::All, &sites)).unwrap();
        let source = &sources[0];
        assert_eq!((sources.len(), source.frames, source.records, source.defective, source.bytes), (1, 20, 20, 20, 80));
        assert_eq!((source.first_seen, source.last_seen, source.usual_gap_millis()), (Timestamp(1_000), Timestamp(20_000), 1_000));
        assert_eq!(source.defects.get("no_header"), Some(&20));
        assert!(!source.is_silent(Timestamp(20_000 + Timestamp::HOUR)));
        assert!(source.is_silent(Timestamp(20_001 + Timestamp::HOUR)));
        let nobody = db.read(|c| source_list(c, &Scope::Bodies(vec![]), &sites)).unwrap();
        assert!(nobody.is_empty());
    }

    #[test]
    fn a_journal_that_begins_behind_the_cursor_is_counted_from_there() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let mut consumer = SourceConsumer::new(db.clone()).unwrap();
        consumer.apply(&batch(51..=60)).unwrap();
        consumer.flush().unwrap();
        assert_eq!(consumer.cursor(), Seq(60));
        let sources = db.read(|c| source_list(c, &Scope::All, &SiteTable::default())).unwrap();
        assert_eq!(sources[0].frames, 10);
    }

    #[test]
    fn an_invented_host_name_costs_no_row_beyond_the_bound() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let mut consumer = SourceConsumer::new(db).unwrap();
        let peer = "192.0.2.1".parse().unwrap();
        for n in 0..HOSTS_PER_PEER_MAX + 5 {
            consumer.host_for(peer, Some(format!("h{n}")));
        }
        assert_eq!(consumer.host_for(peer, Some("one more".into())).as_ref(), "");
        assert_eq!(consumer.host_for(peer, Some("h1".into())).as_ref(), "h1");
    }
}

//! Sums by minute and by hour in the database, for dashboards: flows, bytes and packets of each site and exporter, as
//! exported and multiplied by the sampling, with the largest protocols and services. Written file by file; the position up
//! to which that is done stands in the same transaction, so that each record counts once.
//!
//! Not here: what is in memory yet, five minutes at most; who needs it asks the store.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Transaction};
use serde::{Deserialize, Serialize};

use super::chunk::Chunk;
use super::column::{Column, ColumnSet, octets_address};
use super::file::{FileError, FileInfo};
use super::read::Opened;
use super::{FlowStore, FlowStoreError};
use crate::body::{SiteId, SiteTable};
use crate::db::{Db, DbError, Migrations};
use crate::frame::Seq;
use crate::scope::Scope;
use crate::time::Timestamp;

pub const MIGRATIONS: Migrations = Migrations {
    owner: "flows",
    steps: &["CREATE TABLE flow_rollup (
        step BIGINT NOT NULL, at BIGINT NOT NULL, site TEXT NOT NULL, exporter TEXT NOT NULL, flows BIGINT NOT NULL, bytes BIGINT NOT NULL,
        packets BIGINT NOT NULL, bytes_scaled BIGINT NOT NULL, packets_scaled BIGINT NOT NULL, top TEXT NOT NULL,
        PRIMARY KEY (step, at, site, exporter));
     CREATE TABLE flow_rollup_position (name TEXT PRIMARY KEY, seq BIGINT NOT NULL);
     CREATE TABLE flow_deletion (
        id TEXT PRIMARY KEY, at BIGINT NOT NULL, file TEXT NOT NULL, records BIGINT NOT NULL, bytes BIGINT NOT NULL, first_seq BIGINT NOT NULL,
        last_seq BIGINT NOT NULL, received_from BIGINT NOT NULL, received_to BIGINT NOT NULL, why TEXT NOT NULL,
        UNIQUE (file, first_seq, last_seq, records));"],
};

/// Minutes are kept for so long: what a dashboard shows minute by minute. 600 sites make two million rows of it.
pub const MINUTES_KEPT: i64 = 2 * Timestamp::DAY;
/// Protocols and services that a row names; the largest ones.
const TOP_MAX: usize = 8;
/// Services that are counted for one row meanwhile: a port scan has all of them. Beyond it only those already seen.
const COUNTED_MAX: usize = 512;
/// Rows of one transaction: others write meanwhile.
const ROWS_MAX: usize = 20_000;
/// Rows that one question reads.
const READ_MAX: i64 = 2_000_000;

const POSITION: &str = "rollup";

/// How finely sums are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    Minute,
    Hour,
}

impl Step {
    pub fn millis(self) -> i64 {
        match self {
            Self::Minute => Timestamp::MINUTE,
            Self::Hour => Timestamp::HOUR,
        }
    }
}

/// Sums of one site and exporter, by time of receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollup {
    pub at: Timestamp,
    pub site: SiteId,
    pub exporter: String,
    pub sums: RollupSums,
    pub top: Tops,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RollupSums {
    pub flows: u64,
    pub bytes: u64,
    pub packets: u64,
    /// Times the sampling of each record.
    pub bytes_scaled: u64,
    pub packets_scaled: u64,
}

impl RollupSums {
    pub fn add(&mut self, other: &Self) {
        self.flows = self.flows.saturating_add(other.flows);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes_scaled = self.bytes_scaled.saturating_add(other.bytes_scaled);
        self.packets_scaled = self.packets_scaled.saturating_add(other.packets_scaled);
    }
}

/// The largest by bytes (scaled). Of a row that came in parts, the largest of the parts' largest: near, not exact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tops {
    /// Protocol, flows, bytes.
    pub protocols: Vec<(u8, u64, u64)>,
    /// Protocol, the smaller port, flows, bytes.
    pub services: Vec<(u8, u16, u64, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    step: Step,
    at: i64,
    site: SiteId,
    exporter: [u8; 16],
}

#[derive(Default)]
struct Cell {
    sums: RollupSums,
    protocols: HashMap<u8, (u64, u64)>,
    services: HashMap<(u8, u16), (u64, u64)>,
}

impl FlowStore {
    /// Adds up what files have been written since the last call; how many.
    ///
    /// # Errors
    /// Where the database or the disk refuses; the next call goes on.
    pub fn rollup(&self, db: &Db, now: Timestamp) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
        let mut files = 0;
        loop {
            let position = db.read(position)?;
            let Some(info) = self.view().files.iter().find(|info| info.span.seq_to > position).cloned() else { return Ok(files) };
            let cells = match cells(&info, position) {
                Ok(cells) => cells,
                Err(FileError::Io(error)) => return Err(FlowStoreError::new("reading flows of", &info.path, error).into()),
                Err(error) => {
                    self.drop_file(&info, &error)?;
                    continue;
                }
            };
            let to = info.span.seq_to;
            // Minutes that would go at once are not written: an old import makes only hours.
            let wanted = |key: &Key| key.step == Step::Hour || now.0.saturating_sub(key.at) < MINUTES_KEPT;
            let mut rows: Vec<(Key, Cell)> = cells.into_iter().filter(|(key, _)| wanted(key)).collect();
            rows.sort_unstable_by_key(|(key, _)| *key);
            db.write(move |tx| {
                if self::position(tx)? != position {
                    return Ok(());
                }
                for (key, cell) in rows {
                    merge(tx, &key, cell)?;
                }
                position_set(tx, to)
            })?;
            files += 1;
        }
    }

    /// Lets minutes go whose time is over, and hours that are older than `days`.
    ///
    /// # Errors
    /// The database's own.
    pub fn rollup_forget(&self, db: &Db, now: Timestamp, days: u32) -> Result<(), DbError> {
        let hours = now.0.saturating_sub(i64::from(days).saturating_mul(Timestamp::DAY));
        for (step, before) in [(Step::Minute, now.0.saturating_sub(MINUTES_KEPT)), (Step::Hour, hours)] {
            while db.write(move |tx| forget(tx, step, before))? >= ROWS_MAX {}
        }
        Ok(())
    }
}

/// Reads a file's sums; of what is behind the position.
fn cells(info: &Arc<FileInfo>, position: Seq) -> Result<HashMap<Key, Cell>, FileError> {
    let needed = ColumnSet::of(&[
        Column::Seq,
        Column::ReceivedAt,
        Column::Site,
        Column::Exporter,
        Column::Protocol,
        Column::SrcPort,
        Column::DstPort,
        Column::Bytes,
        Column::Packets,
        Column::Sampling,
    ]);
    let opened = Opened::open(info)?;
    let mut cells = HashMap::new();
    for group in 0..opened.group_count() {
        let batch = opened.read(group, needed)?;
        let mut chunk = Chunk::new(batch.rows);
        batch.fill(&mut chunk);
        add(&mut cells, &chunk, position);
    }
    Ok(cells)
}

fn add(cells: &mut HashMap<Key, Cell>, chunk: &Chunk<'_>, position: Seq) {
    fn of<T: Copy + Default>(values: &[T], row: usize) -> T {
        values.get(row).copied().unwrap_or_default()
    }
    let (keys, sites) = chunk.sites();
    let position = i64::try_from(position.0).unwrap_or(i64::MAX);
    for row in 0..chunk.len() {
        if of(chunk.longs(Column::Seq), row) <= position {
            continue;
        }
        let Some(site) = usize::try_from(of(keys, row)).ok().and_then(|key| sites.get(key)) else { continue };
        let (at, exporter) = (of(chunk.longs(Column::ReceivedAt), row), of(chunk.addresses(Column::Exporter), row));
        let (bytes, packets) = (chunk.longs(Column::Bytes), chunk.longs(Column::Packets));
        let (bytes, packets) = (of(bytes, row).max(0).unsigned_abs(), of(packets, row).max(0).unsigned_abs());
        let times = u64::from(of(chunk.ints(Column::Sampling), row)).max(1);
        let (bytes_scaled, packets_scaled) = (bytes.saturating_mul(times), packets.saturating_mul(times));
        let protocol = of(chunk.small(Column::Protocol), row);
        let port = of(chunk.shorts(Column::SrcPort), row).min(of(chunk.shorts(Column::DstPort), row));
        for step in [Step::Minute, Step::Hour] {
            let key = Key { step, at: at.saturating_sub(at.rem_euclid(step.millis())), site: *site, exporter };
            let cell: &mut Cell = cells.entry(key).or_default();
            cell.sums.add(&RollupSums { flows: 1, bytes, packets, bytes_scaled, packets_scaled });
            count(&mut cell.protocols, protocol, 1, bytes_scaled);
            if matches!(protocol, 6 | 17 | 132) {
                count(&mut cell.services, (protocol, port), 1, bytes_scaled);
            }
        }
    }
}

fn count<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, (u64, u64)>, key: K, flows: u64, bytes: u64) {
    if counts.len() >= COUNTED_MAX && !counts.contains_key(&key) {
        return;
    }
    let sum = counts.entry(key).or_default();
    *sum = (sum.0.saturating_add(flows), sum.1.saturating_add(bytes));
}

impl Cell {
    fn top(&self) -> Tops {
        let mut protocols: Vec<_> = self.protocols.iter().map(|(protocol, (flows, bytes))| (*protocol, *flows, *bytes)).collect();
        protocols.sort_unstable_by_key(|(protocol, _, bytes)| (std::cmp::Reverse(*bytes), *protocol));
        protocols.truncate(TOP_MAX);
        let mut services: Vec<_> =
            self.services.iter().map(|((protocol, port), (flows, bytes))| (*protocol, *port, *flows, *bytes)).collect();
        services.sort_unstable_by_key(|(protocol, port, _, bytes)| (std::cmp::Reverse(*bytes), *protocol, *port));
        services.truncate(TOP_MAX);
        Tops { protocols, services }
    }
}

fn position(connection: &Connection) -> Result<Seq, DbError> {
    let mut statement = connection.prepare_cached("SELECT seq FROM flow_rollup_position WHERE name = ?1")?;
    let seq: Option<i64> = statement.query_row([POSITION], |row| row.get(0)).optional()?;
    Ok(Seq(seq.unwrap_or(0).max(0).unsigned_abs()))
}

fn position_set(tx: &Transaction<'_>, to: Seq) -> Result<(), DbError> {
    tx.prepare_cached("INSERT INTO flow_rollup_position (name, seq) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq")?
        .execute((POSITION, number(to.0)))?;
    Ok(())
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Adds to what the row has; the sums are made here, where they cannot run over.
fn merge(tx: &Transaction<'_>, key: &Key, mut cell: Cell) -> Result<(), DbError> {
    let (step, site, exporter) = (key.step.millis(), key.site.to_string(), octets_address(key.exporter).to_string());
    let mut statement = tx.prepare_cached(
        "SELECT at, site, exporter, flows, bytes, packets, bytes_scaled, packets_scaled, top FROM flow_rollup
         WHERE step = ?1 AND at = ?2 AND site = ?3 AND exporter = ?4",
    )?;
    if let Some(before) = statement.query_row((step, key.at, &site, &exporter), row).optional()? {
        cell.sums.add(&before.sums);
        before.top.protocols.iter().for_each(|(protocol, flows, bytes)| count(&mut cell.protocols, *protocol, *flows, *bytes));
        before.top.services.iter().for_each(|(protocol, port, flows, bytes)| count(&mut cell.services, (*protocol, *port), *flows, *bytes));
    }
    let top = serde_json::to_string(&cell.top()).unwrap_or_default();
    tx.prepare_cached(
        "INSERT INTO flow_rollup (step, at, site, exporter, flows, bytes, packets, bytes_scaled, packets_scaled, top)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (step, at, site, exporter) DO UPDATE SET flows = excluded.flows,
         bytes = excluded.bytes, packets = excluded.packets, bytes_scaled = excluded.bytes_scaled,
         packets_scaled = excluded.packets_scaled, top = excluded.top",
    )?
    .execute(rusqlite::params![
        step,
        key.at,
        site,
        exporter,
        number(cell.sums.flows),
        number(cell.sums.bytes),
        number(cell.sums.packets),
        number(cell.sums.bytes_scaled),
        number(cell.sums.packets_scaled),
        top
    ])?;
    Ok(())
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Rollup> {
    let count = |at: usize| Ok::<_, rusqlite::Error>(row.get::<_, i64>(at)?.max(0).unsigned_abs());
    let (site, top): (String, String) = (row.get(1)?, row.get(8)?);
    Ok(Rollup {
        at: Timestamp(row.get(0)?),
        site: site.parse().unwrap_or(crate::body::SITE_UNKNOWN),
        exporter: row.get(2)?,
        sums: RollupSums { flows: count(3)?, bytes: count(4)?, packets: count(5)?, bytes_scaled: count(6)?, packets_scaled: count(7)? },
        top: serde_json::from_str(&top).unwrap_or_default(),
    })
}

fn forget(tx: &Transaction<'_>, step: Step, before: i64) -> Result<usize, DbError> {
    let oldest = "SELECT at FROM flow_rollup WHERE step = ?1 AND at < ?2 ORDER BY at LIMIT 1 OFFSET ?3";
    let limit = i64::try_from(ROWS_MAX).unwrap_or(i64::MAX);
    let until: Option<i64> = tx.prepare_cached(oldest)?.query_row((step.millis(), before, limit), |row| row.get(0)).optional()?;
    let until = until.map_or(before, |at| (at + 1).min(before));
    Ok(tx.prepare_cached("DELETE FROM flow_rollup WHERE step = ?1 AND at < ?2")?.execute((step.millis(), until))?)
}

/// Gives the sums of a time that the scope may see to `each`, in order of time. Minutes go back `MINUTES_KEPT`.
///
/// # Errors
/// The database's own.
pub fn rollup_each(
    connection: &Connection,
    step: Step,
    (from, to): (Timestamp, Timestamp),
    scope: &Scope,
    sites: &SiteTable,
    each: &mut dyn FnMut(Rollup),
) -> Result<(), DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT at, site, exporter, flows, bytes, packets, bytes_scaled, packets_scaled, top FROM flow_rollup
         WHERE step = ?1 AND at >= ?2 AND at < ?3 ORDER BY at, site, exporter LIMIT ?4",
    )?;
    for found in statement.query_map((step.millis(), from.0, to.0, READ_MAX), row)? {
        let found = found?;
        if scope.site_allowed(found.site, sites) {
            each(found);
        }
    }
    Ok(())
}

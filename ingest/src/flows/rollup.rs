//! Sums by minute and by hour in the database, for dashboards: flows, bytes and packets of each site and exporter, as
//! exported and multiplied by the sampling, with the largest protocols and services. Written file by file; which stretches of
//! the journal are in them stands in the same transaction, so that each record counts once, also one of a file that was made
//! anew, whenever that was.
//!
//! Not here: what is in memory yet, five minutes at most; who needs it asks the store.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Transaction};
use serde::{Deserialize, Serialize};

use super::FlowStore;
use super::chunk::Chunk;
use super::column::{Column, ColumnSet, octets_address};
use super::file::{FileError, FileInfo, Span};
use super::read::Opened;
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
        UNIQUE (file, first_seq, last_seq, records));",
    "CREATE TABLE flow_rollup_done (seq_from BIGINT PRIMARY KEY, seq_to BIGINT NOT NULL);
     INSERT INTO flow_rollup_done (seq_from, seq_to) SELECT 1, seq FROM flow_rollup_position WHERE seq > 0;
     DROP TABLE flow_rollup_position;"],
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
const READ_MAX: usize = 2_000_000;

/// Cells that one file is added up in, 100 MB with all that they may count; beyond, exporters of a site are one. Who forges
/// addresses makes one for each datagram.
const CELLS_MAX: usize = 50_000;
/// The exporter of those that found no room: no address.
const OTHERS: [u8; 16] = [0; 16];

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
    /// Adds up the files that are not in the sums yet; how many. What the system does not give now is left for the next call.
    ///
    /// # Errors
    /// Where the database refuses; the next call goes on.
    pub fn rollup(&self, db: &Db, now: Timestamp) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
        let mut files = 0;
        let mut left: Vec<Arc<FileInfo>> = Vec::new();
        loop {
            let done = db.read(done_load)?;
            let due = |info: &&Arc<FileInfo>| !done.covers(info.span) && !left.iter().any(|left| Arc::ptr_eq(left, info));
            let Some(info) = self.view().files.iter().find(due).cloned() else { return Ok(files) };
            let cells = match cells(&info, &done) {
                Ok(cells) => cells,
                Err(FileError::Io(error)) => {
                    tracing::error!(path = %info.path.display(), %error, "flows cannot be added up now");
                    left.push(info);
                    continue;
                }
                Err(error) => {
                    self.drop_file(&info, &error)?;
                    continue;
                }
            };
            let span = info.span;
            // Minutes that would go at once are not written: an old import makes only hours.
            let wanted = |key: &Key| key.step == Step::Hour || now.0.saturating_sub(key.at) < MINUTES_KEPT;
            let mut rows: Vec<(Key, Cell)> = cells.into_iter().filter(|(key, _)| wanted(key)).collect();
            rows.sort_unstable_by_key(|(key, _)| *key);
            db.write(move |tx| {
                let mut known = done_load(tx)?;
                if known != done {
                    return Ok(());
                }
                for (key, cell) in rows {
                    merge(tx, &key, cell)?;
                }
                done_put(tx, known.add((span.seq_from, span.seq_to)))
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

/// Stretches of the journal, ascending, none of which touches another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Done(Vec<(Seq, Seq)>);

impl Done {
    fn has(&self, seq: Seq) -> bool {
        self.covers(Span { seq_from: seq, seq_to: seq, ..Span::default() })
    }

    fn covers(&self, span: Span) -> bool {
        let at = self.0.partition_point(|(_, to)| *to < span.seq_from);
        self.0.get(at).is_some_and(|(from, to)| *from <= span.seq_from && span.seq_to <= *to)
    }

    /// Returns what the stretch became, with those that it touches.
    fn add(&mut self, (mut from, mut to): (Seq, Seq)) -> (Seq, Seq) {
        self.0.retain(|(first, last)| {
            let apart = last.next() < from || to.next() < *first;
            if !apart {
                (from, to) = (from.min(*first), to.max(*last));
            }
            apart
        });
        self.0.insert(self.0.partition_point(|(first, _)| *first < from), (from, to));
        (from, to)
    }
}

/// Reads a file's sums; of what is in none yet.
fn cells(info: &Arc<FileInfo>, done: &Done) -> Result<HashMap<Key, Cell>, FileError> {
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
        add(&mut cells, &chunk, done);
    }
    Ok(cells)
}

fn add(cells: &mut HashMap<Key, Cell>, chunk: &Chunk<'_>, done: &Done) {
    fn of<T: Copy + Default>(values: &[T], row: usize) -> T {
        values.get(row).copied().unwrap_or_default()
    }
    let (keys, sites) = chunk.sites();
    for row in 0..chunk.len() {
        if done.has(Seq(of(chunk.longs(Column::Seq), row).max(0).unsigned_abs())) {
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
            let mut key = Key { step, at: at.saturating_sub(at.rem_euclid(step.millis())), site: *site, exporter };
            if cells.len() >= CELLS_MAX && !cells.contains_key(&key) {
                key.exporter = OTHERS;
            }
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

fn done_load(connection: &Connection) -> Result<Done, DbError> {
    let mut statement = connection.prepare_cached("SELECT seq_from, seq_to FROM flow_rollup_done ORDER BY seq_from")?;
    let seq = |row: &rusqlite::Row<'_>, at: usize| Ok::<_, rusqlite::Error>(Seq(row.get::<_, i64>(at)?.max(0).unsigned_abs()));
    Ok(Done(statement.query_map([], |row| Ok((seq(row, 0)?, seq(row, 1)?)))?.collect::<Result<_, _>>()?))
}

/// Puts a stretch in the place of all that lie in it.
fn done_put(tx: &Transaction<'_>, (from, to): (Seq, Seq)) -> Result<(), DbError> {
    let (from, to) = (number(from.0), number(to.0));
    tx.prepare_cached("DELETE FROM flow_rollup_done WHERE seq_from >= ?1 AND seq_from <= ?2")?.execute((from, to))?;
    tx.prepare_cached("INSERT INTO flow_rollup_done (seq_from, seq_to) VALUES (?1, ?2)")?.execute((from, to))?;
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

/// Gives the sums of a time that the scope may see to `each`, in order of time; whether that were all. Minutes go back
/// `MINUTES_KEPT`.
///
/// # Errors
/// The database's own.
pub fn rollup_each(
    connection: &Connection,
    step: Step,
    range: (Timestamp, Timestamp),
    scope: &Scope,
    sites: &SiteTable,
    each: &mut dyn FnMut(Rollup),
) -> Result<bool, DbError> {
    rollup_some(connection, step, range, scope, sites, READ_MAX, each)
}

/// At most `most` of them. Others' rows do not count: whoever has few must not be cut off by who has many.
pub(super) fn rollup_some(
    connection: &Connection,
    step: Step,
    (from, to): (Timestamp, Timestamp),
    scope: &Scope,
    sites: &SiteTable,
    most: usize,
    each: &mut dyn FnMut(Rollup),
) -> Result<bool, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT at, site, exporter, flows, bytes, packets, bytes_scaled, packets_scaled, top FROM flow_rollup
         WHERE step = ?1 AND at >= ?2 AND at < ?3 ORDER BY at, site, exporter",
    )?;
    let mut given = 0;
    for found in statement.query_map((step.millis(), from.0, to.0), row)? {
        let found = found?;
        if scope.site_allowed(found.site, sites) {
            if given >= most {
                return Ok(false);
            }
            given += 1;
            each(found);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn stretches_are_what_a_set_of_their_numbers_is(stretches in proptest::collection::vec((1u64..60, 0u64..9), 0..30)) {
            let (mut done, mut naive) = (Done::default(), BTreeSet::new());
            for (from, length) in stretches {
                done.add((Seq(from), Seq(from + length)));
                naive.extend(from..=from + length);
                prop_assert!((0..80).all(|seq| done.has(Seq(seq)) == naive.contains(&seq)));
                prop_assert!(done.0.iter().zip(done.0.iter().skip(1)).all(|(a, b)| a.1.next() < b.0), "{:?}", done);
            }
        }
    }
}

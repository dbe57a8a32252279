//! Keeps the leases over restarts: rows in the database, written by a consumer of the pipeline together with how far it
//! is, so that a crash loses none: what was not written is read from the journal again.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::Enrichment;
use super::leases::{Lease, LeaseBook, LeaseChanges};
use crate::db::{Db, DbError, Migrations};
use crate::frame::Seq;
use crate::pipeline::{Batch, Consumer, ConsumerError};
use crate::time::Timestamp;

pub const MIGRATIONS: Migrations = Migrations {
    owner: "lease",
    steps: &["
        CREATE TABLE lease (
            site TEXT NOT NULL,
            address TEXT NOT NULL,
            from_at BIGINT NOT NULL,
            until_at BIGINT NOT NULL,
            mac TEXT NOT NULL,
            host TEXT NOT NULL,
            seq BIGINT NOT NULL,
            ended_at BIGINT,
            ended_seq BIGINT,
            PRIMARY KEY (site, address, from_at)
        );
        CREATE TABLE lease_cursor (name TEXT PRIMARY KEY, seq BIGINT NOT NULL);
    "],
};

/// How long the cursor may lag behind where no lease changes: what a start reads again for nothing.
const CURSOR_AGE_MAX: i64 = 30 * Timestamp::SECOND;
/// How often leases are forgotten that are too old.
const CLEAN_INTERVAL: i64 = Timestamp::HOUR;

/// # Errors
/// The database's own.
pub fn lease_load(connection: &Connection) -> Result<LeaseBook, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT site, address, from_at, until_at, mac, host, seq, ended_at, ended_seq FROM lease ORDER BY site, address, from_at",
    )?;
    let rows = statement.query_map([], |row| {
        let address: String = row.get(1)?;
        let ended: (Option<i64>, Option<i64>) = (row.get(7)?, row.get(8)?);
        let seq = |number: i64| Seq(u64::try_from(number).unwrap_or(0));
        let Ok(address) = address.parse() else { return Ok(None) };
        Ok(Some(Lease {
            site: row.get(0)?,
            address,
            from: Timestamp(row.get(2)?),
            until: Timestamp(row.get(3)?),
            mac: row.get::<_, String>(4)?.into(),
            host: row.get::<_, String>(5)?.into(),
            seq: seq(row.get(6)?),
            ended: ended.0.zip(ended.1).map(|(at, known)| (Timestamp(at), seq(known))),
        }))
    })?;
    let mut book = LeaseBook::default();
    for lease in rows {
        if let Some(lease) = lease? {
            book.restore(lease);
        }
    }
    Ok(book)
}

/// # Errors
/// The database's own.
pub(super) fn lease_put(tx: &Transaction<'_>, changes: &LeaseChanges) -> Result<(), DbError> {
    let mut delete = tx.prepare_cached("DELETE FROM lease WHERE site = ?1 AND address = ?2 AND from_at = ?3")?;
    for (site, address, from) in &changes.gone {
        delete.execute(params![site, address.to_string(), from.0])?;
    }
    let mut put = tx.prepare_cached(
        "INSERT INTO lease (site, address, from_at, until_at, mac, host, seq, ended_at, ended_seq)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (site, address, from_at) DO UPDATE SET
            until_at = excluded.until_at, mac = excluded.mac, host = excluded.host, seq = excluded.seq,
            ended_at = excluded.ended_at, ended_seq = excluded.ended_seq",
    )?;
    for lease in &changes.put {
        put.execute(params![
            lease.site,
            lease.address.to_string(),
            lease.from.0,
            lease.until.0,
            lease.mac,
            &*lease.host,
            number(lease.seq),
            lease.ended.map(|(at, _)| at.0),
            lease.ended.map(|(_, known)| number(known)),
        ])?;
    }
    Ok(())
}

fn number(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

/// # Errors
/// The database's own.
fn lease_cursor(connection: &Connection) -> Result<Option<Seq>, DbError> {
    let mut statement = connection.prepare_cached("SELECT seq FROM lease_cursor WHERE name = 'lease'")?;
    let seq: Option<i64> = statement.query_row([], |row| row.get(0)).optional()?;
    Ok(seq.map(|seq| Seq(u64::try_from(seq).unwrap_or(0))))
}

/// Writes what the decoding thread has learnt. It runs also where leases are switched off, so that its place in the
/// journal keeps up and a later start reads nothing for nothing.
pub struct LeaseConsumer {
    db: Db,
    enrichment: Enrichment,
    cursor: Seq,
    applied: Seq,
    written_at: Option<Timestamp>,
    cleaned_at: Option<Timestamp>,
}

impl LeaseConsumer {
    /// `start` is where it begins that never ran on this directory.
    ///
    /// # Errors
    /// The database's own.
    pub fn new(db: Db, enrichment: Enrichment, start: Seq) -> Result<Self, DbError> {
        let cursor = db.read(lease_cursor)?.unwrap_or(start);
        Ok(Self { db, enrichment, cursor, applied: cursor, written_at: None, cleaned_at: None })
    }
}

impl Consumer for LeaseConsumer {
    fn name(&self) -> &'static str {
        "leases"
    }

    fn cursor(&self) -> Seq {
        self.cursor
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), ConsumerError> {
        // Learnt it has the decoder already, before it decoded what came behind.
        self.applied = self.applied.max(batch.last);
        Ok(())
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), ConsumerError> {
        if self.cleaned_at.is_none_or(|at| !(0..CLEAN_INTERVAL).contains(&now.since(at))) {
            self.cleaned_at = Some(now);
            self.enrichment.leases_forget(now);
        }
        let waited = now.since(*self.written_at.get_or_insert(now));
        if self.enrichment.leases_changed() || !(0..CURSOR_AGE_MAX).contains(&waited) {
            self.written_at = Some(now);
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ConsumerError> {
        // The place first: what is learnt behind it while this runs is read again after a crash, which changes nothing.
        let applied = self.applied;
        if applied == self.cursor && !self.enrichment.leases_changed() {
            return Ok(());
        }
        let changes = Arc::new(self.enrichment.leases_changes());
        let put = changes.clone();
        let written = self.db.write(move |tx| {
            lease_put(tx, &put)?;
            tx.execute(
                "INSERT INTO lease_cursor (name, seq) VALUES ('lease', ?1) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
                [number(applied)],
            )?;
            Ok::<_, DbError>(())
        });
        if written.is_err() {
            self.enrichment.leases_unwritten(&changes);
        }
        written?;
        self.cursor = applied;
        Ok(())
    }
}

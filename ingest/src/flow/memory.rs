//! The decoder's memory over restarts: about once a minute all it knows is written down, with the journal's position behind
//! which it holds. Several of these are kept, as far back as the consumers' cursors lie: who restarts takes the newest that
//! is ahead of nobody and decodes on from there, so that everything comes out as it did the first time. Data that waited for
//! its template, the template itself and the counts are the same, whenever the process was killed.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::Value;

use super::{Account, FlowAccounts, FlowDecoder, FlowRecord, FlowReport, SamplingTable, StreamKey};
use crate::db::{Db, DbError, Migrations};
use crate::frame::{Frame, Seq};
use crate::time::Stopwatch;

pub const MIGRATIONS: Migrations =
    Migrations { owner: "flow_memory", steps: &["CREATE TABLE flow_memory (position BIGINT PRIMARY KEY, value TEXT NOT NULL)"] };

/// A restart decodes no more than this again beyond what the consumers need; a usual snapshot (600 exporters) is 2 MB.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Snapshots that are kept: the flow store's cursor moves every five minutes. While a consumer stands (a full disk), no
/// further ones are made, and a restart decodes more again.
const SNAPSHOTS_MAX: usize = 16;

/// A decoder that keeps its memory in the database.
#[derive(Debug)]
pub struct FlowMemory {
    db: Db,
    decoder: FlowDecoder,
    /// The positions of what is written down, rising.
    saved: Vec<Seq>,
    /// Flows came since the last of them.
    changed: bool,
    since: Stopwatch,
    every: Duration,
}

impl FlowMemory {
    /// Takes up the memory as it was at or before `durable`, the lowest of all consumers' cursors.
    ///
    /// # Errors
    /// The database's own.
    pub fn open(db: Db, durable: Seq) -> Result<Self, DbError> {
        let mut decoder = FlowDecoder::default();
        let known = db.read(move |connection| flow_memory_load(connection, durable))?;
        let position = if let Some((position, value)) = &known {
            decoder.restore(value);
            *position
        } else {
            // From here on: who is killed before the first snapshot begins here again.
            let empty = decoder.snapshot();
            db.write(move |tx| flow_memory_add(tx, durable, &empty))?;
            durable
        };
        decoder.begin_behind(position);
        db.write(move |tx| flow_memory_keep_only(tx, position))?;
        Ok(Self { db, decoder, saved: vec![position], changed: false, since: Stopwatch::start(), every: SAVE_EVERY })
    }

    /// See `FlowDecoder::decode`.
    pub fn decode(&mut self, frame: &Frame, out: &mut Vec<FlowRecord>) -> FlowReport {
        self.changed = true;
        self.decoder.decode(frame, out)
    }

    /// Everything up to `seq` was looked at, also what is none of ours.
    pub fn passed(&mut self, seq: Seq) {
        self.decoder.passed(seq);
    }

    /// The last sequence that is in the memory.
    pub fn position(&self) -> Seq {
        self.decoder.position()
    }

    pub fn accounts(&self) -> FlowAccounts {
        self.decoder.accounts()
    }

    pub fn sampling_set(&mut self, table: SamplingTable) {
        self.decoder.sampling_set(table);
    }

    /// Writes the memory down where a minute has passed or all is `ending`, and lets go what nobody needs any more. Returns the
    /// position from which a restart would decode on, `durable` being the lowest of all consumers' cursors.
    ///
    /// # Errors
    /// The database's own; the next call tries again.
    pub fn keep(&mut self, durable: Seq, ending: bool) -> Result<Seq, DbError> {
        if ending || self.since.elapsed() >= self.every {
            self.since = Stopwatch::start();
            self.save(durable, ending)?;
        }
        Ok(self.covered(durable))
    }

    /// The newest snapshot that is ahead of no consumer.
    fn covered(&self, durable: Seq) -> Seq {
        let behind = self.saved.partition_point(|position| *position <= durable);
        self.saved.get(behind.saturating_sub(1)).copied().unwrap_or_default()
    }

    fn save(&mut self, durable: Seq, ending: bool) -> Result<(), DbError> {
        let (position, last) = (self.position(), self.saved.last().copied().unwrap_or_default());
        let covered = self.covered(durable);
        if position > last && (ending || self.saved.len() < SNAPSHOTS_MAX) {
            if self.changed {
                let value = self.decoder.snapshot();
                self.db.write(move |tx| flow_memory_add(tx, position, &value))?;
            } else {
                // Lines only: the memory is as it was.
                self.db.write(move |tx| flow_memory_copy(tx, last, position))?;
            }
            self.saved.push(position);
            self.changed = false;
        }
        let covered = covered.max(self.covered(durable));
        if self.saved.first().is_some_and(|first| *first < covered) {
            self.db.write(move |tx| flow_memory_forget(tx, covered))?;
            self.saved.retain(|position| *position >= covered);
        }
        Ok(())
    }
}

/// The accounts as they were written down last: a minute old at most where a server runs. For those who look from outside.
///
/// # Errors
/// The database's own.
pub fn accounts_saved(connection: &Connection) -> Result<Vec<(StreamKey, Account)>, DbError> {
    let mut decoder = FlowDecoder::default();
    if let Some((_, value)) = flow_memory_load(connection, Seq(u64::MAX))? {
        decoder.restore(&value);
    }
    Ok(decoder.accounts().list())
}

/// The newest memory at or before `durable`, and its position.
fn flow_memory_load(connection: &Connection, durable: Seq) -> Result<Option<(Seq, Value)>, DbError> {
    let mut statement =
        connection.prepare_cached("SELECT position, value FROM flow_memory WHERE position <= ?1 ORDER BY position DESC LIMIT 1")?;
    let row: Option<(i64, String)> = statement.query_row([number(durable)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(row.map(|(position, text)| (Seq(u64::try_from(position).unwrap_or_default()), serde_json::from_str(&text).unwrap_or_default())))
}

fn flow_memory_add(tx: &Transaction<'_>, position: Seq, value: &Value) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO flow_memory (position, value) VALUES (?1, ?2) ON CONFLICT (position) DO UPDATE SET value = excluded.value",
    )?
    .execute(params![number(position), value.to_string()])?;
    Ok(())
}

fn flow_memory_copy(tx: &Transaction<'_>, from: Seq, to: Seq) -> Result<(), DbError> {
    tx.prepare_cached("INSERT INTO flow_memory (position, value) SELECT ?2, value FROM flow_memory WHERE position = ?1")?
        .execute(params![number(from), number(to)])?;
    Ok(())
}

fn flow_memory_forget(tx: &Transaction<'_>, before: Seq) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM flow_memory WHERE position < ?1")?.execute([number(before)])?;
    Ok(())
}

fn flow_memory_keep_only(tx: &Transaction<'_>, position: Seq) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM flow_memory WHERE position <> ?1")?.execute([number(position)])?;
    Ok(())
}

fn number(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flow::hostile::{flow_frame, ipfix, set, shorts, words};

    /// An exporter's datagrams: templates before, behind and without their data, some of them lost on the way, and lines between.
    fn frames(plan: &[(u8, u8, bool)]) -> Vec<Option<Frame>> {
        let (mut sequence, mut frames) = (0, Vec::new());
        for (seq, (what, id, lost)) in (1..).zip(plan) {
            let id = 256 + u16::from(*id % 3);
            let template = set(2, &[shorts(&[id, 2]), shorts(&[8, 4, 1, 4])].concat());
            let data = set(id, &words(&[0x0a00_0000 + seq, seq, 0x0a00_0000 + seq, 2 * seq]));
            let sets = match what % 5 {
                0 => vec![template],
                1 => vec![template, data],
                2 => vec![data, template],
                3 => vec![data],
                _ => vec![],
            };
            let records = if (1..4).contains(&(what % 5)) { 2 } else { 0 };
            let datagram = ipfix(sequence, 1, &sets);
            sequence += records;
            let line = what % 5 == 4;
            frames.push((!lost && !line).then(|| flow_frame("192.0.2.1", seq.into(), &datagram)));
        }
        frames
    }

    /// A store with its own cursor, as the flow store is one.
    #[derive(Default)]
    struct Store {
        records: Vec<FlowRecord>,
        cursor: Seq,
        applied: Seq,
    }

    impl Store {
        fn apply(&mut self, seq: Seq, flows: &[FlowRecord]) {
            self.records.extend(flows.iter().filter(|flow| flow.seq > self.applied));
            self.applied = self.applied.max(seq);
        }

        fn killed(&mut self) {
            self.applied = self.cursor;
            self.records.retain(|record| record.seq <= self.cursor);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Killed anywhere, its store's cursor far behind or not, with snapshots at any moment: the same records with the same
        /// sequences and the same accounts as without.
        #[test]
        fn a_restart_changes_nothing(
            plan in proptest::collection::vec((any::<u8>(), any::<u8>(), proptest::bool::weighted(0.15)), 1..60),
            acts in proptest::collection::vec(0u8..12, 60),
        ) {
            let frames = frames(&plan);
            let (mut whole, mut expected) = (FlowDecoder::default(), Vec::new());
            for frame in frames.iter().flatten() {
                whole.decode(frame, &mut expected);
            }

            let dir = tempfile::tempdir().unwrap();
            let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
            let mut store = Store::default();
            let mut memory = FlowMemory::open(db.clone(), store.cursor).unwrap();
            memory.every = Duration::ZERO;
            let mut acts = acts.iter().copied();
            let mut at = 0;
            while let Some(frame) = frames.get(at) {
                let (seq, mut flows) = (Seq(at as u64 + 1), Vec::new());
                if let Some(frame) = frame {
                    memory.decode(frame, &mut flows);
                }
                memory.passed(seq);
                store.apply(seq, &flows);
                at += 1;
                match acts.next() {
                    Some(0 | 1) => store.cursor = store.applied,
                    Some(2..=4) => prop_assert!(memory.keep(store.cursor, false).unwrap() <= store.cursor),
                    Some(5) => {
                        store.killed();
                        memory = FlowMemory::open(db.clone(), store.cursor).unwrap();
                        memory.every = Duration::ZERO;
                        prop_assert!(memory.position() <= store.cursor);
                        at = usize::try_from(memory.position().0).unwrap();
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(&store.records, &expected);
            prop_assert_eq!(memory.accounts().list(), whole.accounts().list());
        }
    }

    #[test]
    fn no_more_snapshots_than_there_is_use_for() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let mut memory = FlowMemory::open(db.clone(), Seq(7)).unwrap();
        memory.every = Duration::ZERO;
        let count =
            |db: &Db| db.read(|c| Ok::<i64, DbError>(c.query_row("SELECT count(*) FROM flow_memory", [], |row| row.get(0))?)).unwrap();
        for seq in 8..60 {
            memory.passed(Seq(seq));
            assert_eq!(memory.keep(Seq(7), false).unwrap(), Seq(7), "a consumer stands");
        }
        assert_eq!(count(&db), SNAPSHOTS_MAX as i64);
        assert_eq!(memory.keep(Seq(59), true).unwrap(), Seq(59), "the end is kept in any case");
        assert_eq!(count(&db), 1);
        assert_eq!(FlowMemory::open(db, Seq(80)).unwrap().position(), Seq(59));
    }
}

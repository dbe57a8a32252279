//! The detectors' place on the way of the data. Their state is megabytes, too much to go into a transaction with each
//! finding; so it is kept in a file about once a minute of receipt, and what is found is filed at once in a transaction
//! that moves a second cursor, `reported`. After a restart the state goes on from the file, the journal behind it is
//! replayed, and what is found of records up to `reported` is left out: each finding is filed exactly once
//! (docs/decisions/011).

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingest::db::{Db, DbError};
use ingest::frame::Seq;
use ingest::pipeline::{Batch, Consumer};
use ingest::rusqlite::{OptionalExtension, params};
use ingest::time::{Clock, Timestamp};
use serde_json::{Value, json};

use super::detectors::{Board, Detectors};
use super::snapshot::{Snapshot, snapshot_read, snapshot_write};
use crate::finding::Finding;
use crate::playbook::Playbooks;
use crate::rulebook::finding_route;

/// The consumer's name, and that of its row in `detect_cursor`.
pub const NAME: &str = "flow-detect";
/// The folder of its file in the data directory.
pub const FOLDER: &str = "flow-detect";
/// Findings of one transaction, as the rules' consumer has it.
const FINDINGS_PER_WRITE: usize = 200;
/// How often, by receipt, the state is kept: a restart replays no more than this. A larger state costs a sync of some
/// megabytes each time.
const SNAPSHOT_INTERVAL: i64 = 45 * Timestamp::SECOND;
/// Where nothing comes any more, what waits for quiet is told after this long, once.
const IDLE: i64 = 5 * Timestamp::MINUTE;

/// The consumer of the pipeline that runs the detectors.
pub struct FlowDetectConsumer {
    db: Db,
    file: PathBuf,
    detectors: Detectors,
    board: Arc<Board>,
    clock: Clock,
    playbooks: Arc<Playbooks>,
    /// The state in the file is the one behind this sequence.
    durable: Seq,
    /// The last sequence that the detectors have seen.
    applied: Seq,
    /// Findings of records up to here are filed.
    reported: Seq,
    /// How many times something was found without a record (quiet), and kept in the file before it was filed.
    quiet: u64,
    /// Findings that are not filed yet; kept when a write fails, so that a retry has them.
    pending: Vec<Arc<Finding>>,
    /// All that were ever filed, for who counts.
    filed: u64,
    kept_at: Option<Timestamp>,
    /// Receipt of the last record or line, and whether quiet has been told of since.
    received_at: Option<Timestamp>,
    idle_told: bool,
}

/// What the database knows of it.
struct Row {
    reported: Seq,
    quiet: u64,
    filed: u64,
}

impl FlowDetectConsumer {
    /// Goes on from the file in `dir`, or where there is none behind `start`: what was received before there were
    /// detectors is not judged in hindsight.
    ///
    /// # Errors
    /// The database's own; the folder's.
    pub fn new(
        db: Db,
        dir: &Path,
        mut detectors: Detectors,
        board: Arc<Board>,
        clock: Clock,
        playbooks: Arc<Playbooks>,
        start: Seq,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        std::fs::create_dir_all(dir)?;
        let file = dir.join("state");
        let row = db.read(row_load)?;
        let known = row.is_some();
        let row = row.unwrap_or(Row { reported: start, quiet: 0, filed: 0 });
        let (mut durable, mut quiet, mut pending) = (row.reported, row.quiet, Vec::new());
        match snapshot_read(&file) {
            // A file without its row is of another database.
            Ok(Some(_)) if !known => tracing::warn!("the detectors' state belongs to no database: they begin anew"),
            Ok(Some(snapshot)) => match detectors.restore(&snapshot.state) {
                Ok(()) => {
                    durable = snapshot.seq;
                    // Found in quiet and kept, but not filed any more.
                    if snapshot.quiet > row.quiet {
                        pending = snapshot.findings(detectors.sheet());
                    }
                    quiet = snapshot.quiet.max(row.quiet);
                }
                Err(error) => tracing::error!(%error, "the detectors begin anew"),
            },
            Ok(None) if known => tracing::warn!("the detectors' state is not there: they begin anew"),
            Ok(None) => {}
            Err(error) => tracing::error!(error, "the detectors' state cannot be read: they begin anew"),
        }
        board.set(detectors.health(clock.now()));
        // What the state waited for when the program ended is told when nothing comes now either.
        let received_at = detectors.settled_at();
        let mut consumer = Self {
            db,
            file,
            detectors,
            board,
            clock,
            playbooks,
            durable,
            applied: durable,
            reported: row.reported,
            quiet,
            pending,
            filed: row.filed,
            kept_at: None,
            received_at,
            idle_told: received_at.is_none(),
        };
        if !known {
            // From here on there is always a state to go on from, whatever is filed before the first minute is over.
            consumer.keep()?;
        }
        if !known || !consumer.pending.is_empty() {
            consumer.file()?;
        }
        Ok(consumer)
    }

    /// Findings filed so far, over all restarts.
    pub fn filed(&self) -> u64 {
        self.filed
    }

    /// Runs what is behind `applied` in journal order; one frame's records stay together.
    fn run(&mut self, batch: &Batch) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.detectors.follow(&batch.sites);
        let known = self.applied;
        let mut frames = batch.frames.iter().filter(|frame| frame.seq > known).peekable();
        let behind = batch.flows.partition_point(|flow| flow.seq <= known);
        let (_, flows) = batch.flows.split_at_checked(behind).unwrap_or_default();
        for datagram in flows.chunk_by(|a, b| a.seq == b.seq) {
            let Some(first) = datagram.first() else { continue };
            while let Some(frame) = frames.next_if(|frame| frame.seq < first.seq) {
                self.advance(frame.seq, frame.frame.received_at);
            }
            self.advance(first.seq, first.received_at);
            let mut found = Vec::new();
            for flow in datagram {
                self.detectors.apply(flow, &mut found);
            }
            self.take(first.seq, found);
            self.applied = first.seq;
            if self.pending.len() >= FINDINGS_PER_WRITE {
                self.file()?;
            }
        }
        for frame in frames {
            self.advance(frame.seq, frame.frame.received_at);
        }
        self.applied = self.applied.max(batch.last);
        if !self.pending.is_empty() {
            self.file()?;
        }
        let due = |kept: Timestamp| self.received_at.is_some_and(|at| at.since(kept).saturating_abs() >= SNAPSHOT_INTERVAL);
        match self.kept_at {
            None => self.kept_at = self.received_at,
            Some(kept) if due(kept) => self.keep()?,
            Some(_) => {}
        }
        Ok(())
    }

    /// Receipt has come to `at` with this sequence.
    fn advance(&mut self, seq: Seq, at: Timestamp) {
        self.received_at = Some(at);
        self.idle_told = false;
        let mut found = Vec::new();
        self.detectors.advance(at, &mut found);
        self.take(seq, found);
    }

    /// Takes what was found at a sequence, unless that was filed before the restart.
    fn take(&mut self, seq: Seq, found: Vec<Finding>) {
        if seq > self.reported {
            self.pending.extend(found.into_iter().map(Arc::new));
        }
    }

    /// Files the pending findings and moves `reported` to `applied`, in one transaction.
    fn file(&mut self) -> Result<(), DbError> {
        let now = self.clock.now();
        let reported = self.reported.max(self.applied);
        let filed = self.filed.saturating_add(self.pending.len() as u64);
        let note = json!({ "quiet": self.quiet, "filed": filed }).to_string();
        let (findings, playbooks) = (self.pending.clone(), self.playbooks.clone());
        self.db.write(move |tx| {
            for finding in &findings {
                finding_route(tx, &playbooks, finding, now)?;
            }
            tx.prepare_cached(
                "INSERT INTO detect_cursor (name, seq, snapshot, moved_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, snapshot = excluded.snapshot, moved_at = excluded.moved_at",
            )?
            .execute(params![NAME, i64::try_from(reported.0).unwrap_or(i64::MAX), note, now.0])?;
            Ok::<_, DbError>(())
        })?;
        (self.reported, self.filed) = (reported, filed);
        self.pending.clear();
        Ok(())
    }

    /// Keeps the state as it is behind `applied`; nothing is pending then.
    fn keep(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        snapshot_write(&self.file, &Snapshot::new(self.applied, self.quiet, self.detectors.save(), &self.pending))?;
        self.durable = self.applied;
        self.kept_at = self.received_at;
        self.board.set(self.detectors.health(self.clock.now()));
        Ok(())
    }

    /// Tells what waits for quiet, as of `now`. No record leads to it again after a restart, so it is kept together with
    /// the state before it is filed.
    fn settle(&mut self, now: Timestamp) -> Result<(), Box<dyn Error + Send + Sync>> {
        if !self.pending.is_empty() {
            self.file()?;
        }
        // While it replays, what comes next is known: nothing may be told before its time.
        if self.applied < self.reported {
            return self.keep();
        }
        let mut found = Vec::new();
        self.detectors.settle(now, &mut found);
        if !found.is_empty() {
            self.quiet += 1;
            self.pending.extend(found.into_iter().map(Arc::new));
        }
        self.keep()?;
        if !self.pending.is_empty() {
            self.file()?;
        }
        Ok(())
    }
}

fn row_load(connection: &ingest::rusqlite::Connection) -> Result<Option<Row>, DbError> {
    let mut statement = connection.prepare_cached("SELECT seq, snapshot FROM detect_cursor WHERE name = ?1")?;
    let row: Option<(i64, String)> = statement.query_row([NAME], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(row.map(|(seq, note)| {
        let note: Value = serde_json::from_str(&note).unwrap_or_default();
        let number = |key: &str| note.get(key).and_then(Value::as_u64).unwrap_or(0);
        Row { reported: Seq(u64::try_from(seq).unwrap_or(0)), quiet: number("quiet"), filed: number("filed") }
    }))
}

impl Consumer for FlowDetectConsumer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cursor(&self) -> Seq {
        self.durable
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.run(batch)
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), Box<dyn Error + Send + Sync>> {
        if !self.pending.is_empty() {
            self.file()?;
        }
        if !self.idle_told && self.received_at.is_some_and(|at| now.since(at) >= IDLE) {
            self.settle(now)?;
            self.idle_told = true;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        // Nothing comes any more: what waits for quiet is told now, so that an import's counts are whole.
        if self.received_at.is_some() {
            self.settle(self.clock.now().plus(Timestamp::HOUR))?;
        }
        if self.applied > self.durable || !self.pending.is_empty() {
            if !self.pending.is_empty() {
                self.file()?;
            }
            self.keep()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! The rules' place on the way of the data: reads batches in journal order, lets the engine judge, and files what it
//! finds. Alerts, incidents, the cursor and the engine's snapshot go into ONE transaction: a kill at any moment
//! either has all of it or none, and after a restart the engine goes on from the state it had at the cursor.

use std::error::Error;
use std::sync::Arc;

use ingest::body::{BodyId, SiteId};
use ingest::db::{Db, DbError, Migrations};
use ingest::frame::Seq;
use ingest::pipeline::{Batch, Consumer};
use ingest::record::{EventRecord, FlowView, Record};
use ingest::rusqlite::{OptionalExtension, params};
use ingest::time::{Clock, Timestamp};
use serde_json::Value;

use crate::finding::Finding;
use crate::incident::finding_file;
use crate::playbook::Playbooks;
use crate::rule::Rule;
use crate::rulebook::probe_add;

/// Findings of one transaction: some tens of milliseconds of the one writer, which pages and mails wait for. One
/// frame's findings are never split, as its sequence is the cursor.
const FINDINGS_PER_WRITE: usize = 200;
/// How often the cursor moves where nothing is found: each move writes the engine's snapshot.
const CURSOR_INTERVAL: i64 = Timestamp::SECOND;

pub const MIGRATIONS: Migrations = Migrations {
    owner: "detect_cursor",
    steps: &["
        CREATE TABLE detect_cursor (
            name TEXT PRIMARY KEY,
            seq BIGINT NOT NULL,
            snapshot TEXT NOT NULL,
            moved_at BIGINT NOT NULL
        );
    "],
};

/// What judges records: the rule engine. Its findings depend on the records it saw in order and on nothing else.
pub trait Judge: Send {
    fn apply(&mut self, record: &dyn Record, site: SiteId, body: Option<BodyId>, received_at: Timestamp) -> Vec<Finding>;
    /// What it still holds back and would only tell with later records, as of `now`.
    fn settle(&mut self, now: Timestamp) -> Vec<Finding>;
    /// Its whole state between two records.
    fn snapshot(&self) -> Value;
    /// Goes on from a snapshot; what no longer fits the rules is left out.
    fn restore(&mut self, snapshot: &Value);
    /// Whether a rule is on probation: what it finds is noted and alerts nobody.
    fn probes(&self, _rule: &Rule) -> bool {
        false
    }
}

impl Judge for crate::engine::Engine {
    fn apply(&mut self, record: &dyn Record, site: SiteId, body: Option<BodyId>, received_at: Timestamp) -> Vec<Finding> {
        Self::apply(self, record, site, body, received_at)
    }
    fn settle(&mut self, now: Timestamp) -> Vec<Finding> {
        Self::settle(self, now)
    }
    fn snapshot(&self) -> Value {
        Self::snapshot(self)
    }
    fn restore(&mut self, snapshot: &Value) {
        Self::restore(self, snapshot);
    }
    fn probes(&self, rule: &Rule) -> bool {
        Self::probes(self, rule)
    }
}

/// The consumer of the pipeline that runs the rules.
pub struct DetectConsumer<J> {
    db: Db,
    judge: J,
    clock: Clock,
    playbooks: Arc<Playbooks>,
    /// The last sequence whose effects are durable.
    durable: Seq,
    /// The last sequence that the judge has seen.
    applied: Seq,
    /// Findings up to `applied` that are not durable yet; kept when a write fails, so that a retry has them.
    pending: Vec<Pending>,
    moved_at: Timestamp,
}

/// A finding on its way into the database.
#[derive(Clone)]
struct Pending {
    finding: Arc<Finding>,
    /// As its rule stood when it spoke.
    probe: bool,
}

impl<J: Judge> DetectConsumer<J> {
    /// Restores the judge's state and resumes behind the durable cursor.
    ///
    /// # Errors
    /// The database's own.
    pub fn new(db: Db, mut judge: J, clock: Clock, playbooks: Arc<Playbooks>) -> Result<Self, DbError> {
        let stored: Option<(i64, String)> = db.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT seq, snapshot FROM detect_cursor WHERE name = 'detect'")?;
            Ok::<_, DbError>(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
        })?;
        let mut durable = Seq(0);
        if let Some((seq, snapshot)) = stored {
            durable = Seq(u64::try_from(seq).unwrap_or(0));
            match serde_json::from_str(&snapshot) {
                Ok(snapshot) => judge.restore(&snapshot),
                Err(error) => tracing::error!(%error, "the rules' snapshot is damaged: windows that were open begin anew"),
            }
        }
        let moved_at = clock.now();
        Ok(Self { db, judge, clock, playbooks, durable, applied: durable, pending: Vec::new(), moved_at })
    }

    /// Runs the records behind `applied` in journal order; one frame's records stay together.
    fn run(&mut self, batch: &Batch) -> Result<(), DbError> {
        let (sites, known) = (&batch.sites, self.applied);
        let mut events = batch.events.iter().filter(|event| event.seq > known).peekable();
        let mut flows = batch.flows.iter().filter(|flow| flow.seq > known).peekable();
        loop {
            let next = match (events.peek().map(|event| event.seq), flows.peek().map(|flow| flow.seq)) {
                (Some(event), Some(flow)) => event.min(flow),
                (Some(seq), None) | (None, Some(seq)) => seq,
                (None, None) => break,
            };
            while let Some(event) = events.next_if(|event| event.seq == next) {
                let found = self.judge.apply(&EventRecord { event, sites }, event.site, sites.body(event.site), event.received_at);
                self.hold(found);
            }
            while let Some(flow) = flows.next_if(|flow| flow.seq == next) {
                let found = self.judge.apply(&FlowView { flow, sites }, flow.site, sites.body(flow.site), flow.received_at);
                self.hold(found);
            }
            self.applied = next;
            if self.pending.len() >= FINDINGS_PER_WRITE {
                self.commit()?;
            }
        }
        self.applied = self.applied.max(batch.last);
        if self.pending.is_empty() { Ok(()) } else { self.commit() }
    }

    fn settle(&mut self, now: Timestamp) {
        let found = self.judge.settle(now);
        self.hold(found);
    }

    fn hold(&mut self, found: Vec<Finding>) {
        for finding in found {
            let probe = self.judge.probes(&finding.rule);
            self.pending.push(Pending { finding: Arc::new(finding), probe });
        }
    }

    /// Files the pending findings and moves the cursor to `applied`, in one transaction.
    fn commit(&mut self) -> Result<(), DbError> {
        let now = self.clock.now();
        let (seq, snapshot) = (self.applied, self.judge.snapshot().to_string());
        let (findings, playbooks) = (self.pending.clone(), self.playbooks.clone());
        self.db.write(move |tx| {
            for one in findings.iter().filter(|one| !one.probe) {
                finding_file(tx, &playbooks, &one.finding, now)?;
            }
            probe_add(tx, findings.iter().filter(|one| one.probe).map(|one| &*one.finding), now)?;
            tx.prepare_cached(
                "INSERT INTO detect_cursor (name, seq, snapshot, moved_at) VALUES ('detect', ?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, snapshot = excluded.snapshot, moved_at = excluded.moved_at",
            )?
            .execute(params![i64::try_from(seq.0).unwrap_or(i64::MAX), snapshot, now.0])?;
            Ok::<_, DbError>(())
        })?;
        self.pending.clear();
        self.durable = seq;
        self.moved_at = now;
        Ok(())
    }
}

impl<J: Judge> Consumer for DetectConsumer<J> {
    fn name(&self) -> &'static str {
        "detect"
    }

    fn cursor(&self) -> Seq {
        self.durable
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(self.run(batch)?)
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.settle(now);
        // A clock that was set back must not stop the cursor.
        let age = now.since(self.moved_at);
        let due = !(0..CURSOR_INTERVAL).contains(&age);
        if due && (self.applied > self.durable || !self.pending.is_empty()) {
            self.commit()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        // Nothing comes any more: what waits for quiet is told now, so that an import's counts are whole.
        self.settle(self.clock.now().plus(Timestamp::HOUR));
        if self.applied > self.durable || !self.pending.is_empty() {
            self.commit()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

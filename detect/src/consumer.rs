//! The rules' place on the way of the data: reads batches in journal order, lets the engine judge, and files what it
//! finds. Alerts, incidents, the cursor and the engine's snapshot go into ONE transaction: a kill at any moment
//! either has all of it or none, and after a restart the engine goes on from the state it had at the cursor. What a rule
//! gave up for want of room is noted there as well.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, OnceLock};

use ingest::body::{BodyId, SiteId};
use ingest::db::{Db, DbError, Migrations};
use ingest::event::Event;
use ingest::frame::Seq;
use ingest::journal::JournalWatch;
use ingest::pipeline::{Batch, Consumer};
use ingest::record::{EventRecord, FlowView, Record};
use ingest::rusqlite::{Transaction, params};
use ingest::time::{Clock, Timestamp};

use crate::explanation::Hiding;
use crate::finding::Finding;
use crate::incident::finding_file;
use crate::playbook::Playbooks;
use crate::rule::Rule;
use crate::rulebook::probe_add;
use crate::snapshot::{Snapshot, snapshot_get, snapshot_put};

/// Findings of one transaction: some tens of milliseconds of the one writer, which pages and mails wait for. One
/// frame's findings are never split, as its sequence is the cursor.
const FINDINGS_PER_WRITE: usize = 200;
/// How often the cursor moves where nothing is found: each move writes what changed of the engine's snapshot.
const CURSOR_INTERVAL: i64 = Timestamp::SECOND;
/// A write that took longer than this, because the rules have much to remember …
const SNAPSHOT_QUICK: i64 = 100;
/// … is followed by a pause so many times as long: a twentieth of the time is enough …
const SNAPSHOT_PAUSE: i64 = 20;
/// … but no finding waits longer than this.
const SNAPSHOT_PAUSE_MAX: i64 = 10 * Timestamp::SECOND;

pub const MIGRATIONS: Migrations = Migrations {
    owner: "detect_cursor",
    steps: &[
        "
        CREATE TABLE detect_cursor (
            name TEXT PRIMARY KEY,
            seq BIGINT NOT NULL,
            snapshot TEXT NOT NULL,
            moved_at BIGINT NOT NULL
        );
    ",
        "
        CREATE TABLE detect_overflow (
            rule TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            title TEXT NOT NULL,
            given_up BIGINT NOT NULL,
            since BIGINT NOT NULL,
            at BIGINT NOT NULL
        );
    ",
        // What the rules remember moves out of the head, a row for each rule.
        "
        CREATE TABLE detect_state (
            rule TEXT PRIMARY KEY,
            state BLOB NOT NULL
        );
        INSERT INTO detect_state (rule, state)
            SELECT part.key, CAST(part.value AS BLOB) FROM detect_cursor, json_each(snapshot, '$.rules') AS part WHERE json_valid(snapshot);
        UPDATE detect_cursor SET snapshot = json_remove(snapshot, '$.rules') WHERE json_valid(snapshot);
    ",
    ],
};

/// What judges records: the rule engine. Its findings depend on the records it saw in order and on nothing else.
pub trait Judge: Send {
    fn apply(&mut self, record: &dyn Record, site: SiteId, body: Option<BodyId>, received_at: Timestamp) -> Vec<Finding>;
    /// What it still holds back and would only tell with later records, as of `now`.
    fn settle(&mut self, now: Timestamp) -> Vec<Finding>;
    /// What it found and has not told yet, whatever may still come; nothing ends by it.
    fn tell(&mut self, now: Timestamp) -> Vec<Finding>;
    /// The rules whose memory ran over, with how much they have given up so far.
    fn overflows(&self) -> Vec<(Arc<Rule>, u64)>;
    /// Its state between two records: of the parts, those that changed since the last one that was `saved`.
    fn snapshot(&self) -> Snapshot;
    /// What `snapshot` gave is written down.
    fn saved(&mut self);
    /// Goes on from a whole snapshot; what no longer fits the rules is left out.
    fn restore(&mut self, snapshot: &Snapshot);
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
    fn tell(&mut self, now: Timestamp) -> Vec<Finding> {
        Self::tell(self, now)
    }
    fn overflows(&self) -> Vec<(Arc<Rule>, u64)> {
        let over = self.health().into_iter().filter(|health| health.overflowed > 0);
        over.map(|health| (health.rule, health.overflowed)).collect()
    }
    fn snapshot(&self) -> Snapshot {
        Self::snapshot(self)
    }
    fn saved(&mut self) {
        Self::saved(self);
    }
    fn restore(&mut self, snapshot: &Snapshot) {
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
    /// How long to wait before the next write.
    pause: i64,
    /// What is known to be written down of each rule's overflow.
    overflows: BTreeMap<String, u64>,
    /// The journal's end; time goes by for the rules only where they have read to it.
    end: Option<Arc<OnceLock<JournalWatch>>>,
    /// How the event store keeps an event: an explanation shows no more.
    hiding: Option<Hiding>,
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
        let mut durable = Seq(0);
        if let Some((seq, snapshot)) = db.read(snapshot_get)? {
            durable = seq;
            judge.restore(&snapshot);
        }
        let moved_at = clock.now();
        let overflows = judge.overflows().into_iter().map(|(rule, count)| (rule.id.clone(), count)).collect();
        Ok(Self {
            db,
            judge,
            clock,
            playbooks,
            durable,
            applied: durable,
            pending: Vec::new(),
            moved_at,
            pause: 0,
            overflows,
            end: None,
            hiding: None,
        })
    }

    /// Windows that wait for quiet close only while the rules have read to the journal's end: what lies there unread came in
    /// time. The journal may be opened later than this.
    #[must_use]
    pub fn until(mut self, end: Arc<OnceLock<JournalWatch>>) -> Self {
        self.end = Some(end);
        self
    }

    /// What explanations tell of events is hidden as the event store hides it.
    #[must_use]
    pub fn hiding(mut self, hiding: Hiding) -> Self {
        self.hiding = Some(hiding);
        self
    }

    /// Whether the last write is long enough ago. A clock that was set back must not stop the cursor.
    fn is_rested(&self, now: Timestamp) -> bool {
        !(0..self.pause).contains(&now.since(self.moved_at))
    }

    fn has_caught_up(&self) -> bool {
        self.end.as_ref().is_none_or(|end| end.get().is_some_and(|journal| self.applied >= journal.last()))
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
                let mut found = self.judge.apply(&EventRecord { event, sites }, event.site, sites.body(event.site), event.received_at);
                self.hide(&mut found, event, batch);
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
        if self.pending.is_empty() || !self.is_rested(self.clock.now()) { Ok(()) } else { self.commit() }
    }

    fn hide(&self, found: &mut [Finding], event: &Event, batch: &Batch) {
        let Some(hiding) = self.hiding.as_ref().filter(|_| !found.is_empty()) else { return };
        let frame = batch.frames.binary_search_by_key(&event.seq, |frame| frame.seq).ok().and_then(|at| batch.frames.get(at));
        let Some(kept) = hiding(event, frame) else { return };
        let kept = EventRecord { event: &kept, sites: &batch.sites };
        found.iter_mut().filter_map(|finding| finding.explanation.as_mut()).for_each(|explanation| explanation.hide(&kept));
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
        let (seq, snapshot) = (self.applied, self.judge.snapshot());
        let (findings, playbooks) = (self.pending.clone(), self.playbooks.clone());
        let overflows: Vec<(Arc<Rule>, u64)> = self.judge.overflows();
        let mut more = overflows.clone();
        more.retain(|(rule, count)| self.overflows.get(&rule.id).is_none_or(|known| known < count));
        self.db.write(move |tx| {
            for one in findings.iter().filter(|one| !one.probe) {
                finding_file(tx, &playbooks, &one.finding, now)?;
            }
            probe_add(tx, findings.iter().filter(|one| one.probe).map(|one| &*one.finding), now)?;
            snapshot_put(tx, seq, &snapshot, now)?;
            for (rule, count) in &more {
                overflow_put(tx, rule, *count, now)?;
            }
            Ok::<_, DbError>(())
        })?;
        self.judge.saved();
        self.overflows = overflows.into_iter().map(|(rule, count)| (rule.id.clone(), count)).collect();
        self.pending.clear();
        self.durable = seq;
        self.moved_at = self.clock.now();
        let slow = self.moved_at.since(now) - SNAPSHOT_QUICK;
        self.pause = slow.saturating_mul(SNAPSHOT_PAUSE).clamp(0, SNAPSHOT_PAUSE_MAX);
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
        if self.has_caught_up() {
            self.settle(now);
        }
        let due = self.is_rested(now) && !(0..CURSOR_INTERVAL).contains(&now.since(self.moved_at));
        if due && (self.applied > self.durable || !self.pending.is_empty()) {
            self.commit()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        // Nothing comes for now: what was found is told, so that an import's counts are whole. Windows stay open, for a
        // server that ends is often one that starts again.
        let found = self.judge.tell(self.clock.now());
        self.hold(found);
        if self.applied > self.durable || !self.pending.is_empty() {
            self.commit()?;
        }
        Ok(())
    }
}

/// Notes that a rule's memory ran over; `crate::watch` makes an alert of it.
fn overflow_put(tx: &Transaction<'_>, rule: &Rule, count: u64, now: Timestamp) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO detect_overflow (rule, name, title, given_up, since, at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
         ON CONFLICT (rule) DO UPDATE SET name = excluded.name, title = excluded.title, given_up = excluded.given_up, at = excluded.at",
    )?
    .execute(params![rule.id, rule.name, rule.title, i64::try_from(count).unwrap_or(i64::MAX), now.0])?;
    Ok(())
}

#[cfg(test)]
mod tests;

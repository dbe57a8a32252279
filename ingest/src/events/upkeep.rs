//! The upkeep: a thread of its own that seals, lets go, mends and does what commands ask of it by rows in the database, one
//! thing at a time and never in the intake's way. It stops between two steps when the program ends; what it was at is taken
//! up again after the next start.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction};
use serde::{Deserialize, Serialize};

use super::forget_store::{OpenForget, Refusal, forget_end, forget_open, forget_waits};
use super::hold::hold_in_force;
use super::partition::{class_of, day_of};
use super::seal::sealed;
use super::{EventStore, ForgetError, ForgetOrder, Forgotten, RebuildError, Rebuilt};
use crate::audit::{NewAudit, audit_add};
use crate::body::SharedSites;
use crate::db::{Db, DbError};
use crate::frame::Seq;
use crate::id::ulid_new;
use crate::pipeline::Batch;
use crate::time::{Clock, Stopwatch, Timestamp};

/// How often it is looked whether a command asks for something, or the program ends.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often a task's progress is written down.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Tasks that one list returns.
const LIST_MAX: i64 = 1_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Gives the journal again, decoded: from behind a sequence, or where none is given, on.
pub type Again = Box<dyn FnMut(Option<Seq>) -> Result<Option<Batch>, Failure> + Send>;

/// How the upkeep works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often it is looked what is due.
    pub every: Duration,
    /// Days after its end at which a day is sealed.
    pub seal_days: u32,
    /// Days for which the journal keeps what it received: what is forgotten here is in there until then.
    pub journal_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { every: Duration::from_secs(300), seal_days: 2, journal_days: 30 }
    }
}

/// The running thread; it ends when this is dropped.
pub struct Upkeep {
    stop: Arc<AtomicBool>,
    retain: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    /// `again` opens the journal at the first frame that may belong to a day (its beginning is given).
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(
        store: Arc<EventStore>,
        db: Db,
        sites: SharedSites,
        clock: Clock,
        settings: Settings,
        again: impl Fn(Timestamp) -> Result<Again, Failure> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, retain) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut work =
            Work { retain: retain.clone(), store, db, sites, clock, settings, again: Box::new(again), stop: stop.clone(), reviewed: None };
        let thread = std::thread::Builder::new().name("upkeep".into()).spawn(move || work.run())?;
        Ok(Self { stop, retain, thread: Some(thread) })
    }

    /// From now on days whose time is over go. Nothing goes before: a command that opens the directory beside its
    /// configuration must not delete by days that nobody has set.
    pub fn retain(&self) {
        self.retain.store(true, Ordering::Release);
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Work {
    store: Arc<EventStore>,
    db: Db,
    sites: SharedSites,
    clock: Clock,
    settings: Settings,
    again: Box<dyn Fn(Timestamp) -> Result<Again, Failure> + Send>,
    stop: Arc<AtomicBool>,
    /// Whether days may go.
    retain: Arc<AtomicBool>,
    /// The holds in force when what is held was last looked through.
    reviewed: Option<BTreeSet<String>>,
}

impl Work {
    fn run(&mut self) {
        let mut since = None::<Stopwatch>;
        while !self.stopped() {
            self.tasks();
            self.forget(false);
            if since.is_none_or(|since| since.elapsed() >= self.settings.every) {
                self.round();
                since = Some(Stopwatch::start());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn round(&mut self) {
        self.store.look_for_missing();
        let done = |what: &str, result: Result<(), Failure>| {
            if let Err(error) = result {
                tracing::error!(what, %error, "the event store's upkeep; trying again");
            }
        };
        done("finish deletions", self.finish());
        if self.retain.load(Ordering::Acquire) {
            done("retention", self.retain());
            done("finish deletions", self.finish());
        }
        done("seal", self.seal());
        self.forget(true);
    }

    /// Forgets what is ordered; `again`: also what could not be brought to its end before.
    fn forget(&self, again: bool) {
        let open = match self.db.read(move |connection| forget_open(connection, again)) {
            Ok(open) => open,
            Err(error) => return tracing::error!(%error, "what is to be forgotten cannot be read"),
        };
        let Some(open) = open else { return };
        let outcome = match self.forget_one(&open) {
            Ok(record) => Ok(record),
            // Taken up again after the next start.
            Err(_) if self.stopped() => return,
            Err(ForgetError::UnderWay(error)) => {
                tracing::error!(order = open.id, %error, "event store: what is to be forgotten is not gone yet; trying again");
                let (id, why) = (open.id.clone(), error.to_string());
                let _ = self.db.write(move |tx| forget_waits(tx, &id, &why));
                return;
            }
            Err(error) => {
                tracing::warn!(order = open.id, %error, "events are not forgotten");
                Err(Refusal::from(error))
            }
        };
        if let Ok(record) = &outcome {
            tracing::info!(order = open.id, events = record.events, "events forgotten");
        }
        let now = self.clock.now();
        if let Err(error) = self.db.write(move |tx| forget_end(tx, &open, &outcome, now)) {
            tracing::error!(%error, "what was forgotten cannot be noted; trying again");
        }
    }

    fn forget_one(&self, open: &OpenForget) -> Result<Forgotten, ForgetError> {
        // Days that are on their way out have their lines still.
        self.finish().map_err(ForgetError::UnderWay)?;
        let holds = self.db.read(hold_in_force).map_err(|error| ForgetError::Failed(error.into()))?;
        let sites = self.sites.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let (id, query, journal_days) = (open.id.clone(), open.query.clone(), self.settings.journal_days);
        let order = ForgetOrder { id, query, from: open.from, to: open.to, journal_days };
        self.store.forget(&order, &holds, &sites, &|| self.stopped())
    }

    fn finish(&self) -> Result<(), Failure> {
        for row in self.store.deletions_finish(&self.db)? {
            tracing::info!(
                partition = row.part,
                documents = row.documents,
                held = row.held,
                bytes = row.bytes,
                why = row.why,
                "events deleted"
            );
        }
        Ok(())
    }

    fn retain(&mut self) -> Result<(), Failure> {
        let holds = self.db.read(hold_in_force)?;
        let (now, stop) = (self.clock.now(), self.stop.clone());
        let stop = || stop.load(Ordering::Acquire);
        let sites = self.sites.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let in_force: BTreeSet<String> = holds.iter().map(|hold| hold.id.clone()).collect();
        if self.reviewed.as_ref().is_none_or(|before| !before.is_subset(&in_force)) {
            self.store.holds_review(&holds, &sites, now, &stop)?;
        }
        self.reviewed = Some(in_force);
        let mut first = Ok(());
        for due in self.store.retention_due(now).into_iter().take_while(|_| !stop()) {
            // One that has to stay does not keep the others.
            if let Err(error) = self.store.retire(&due, &|| Ok(self.db.read(hold_in_force)?), &sites, now, &stop) {
                first = first.and(Err(error));
            }
        }
        first
    }

    fn seal(&self) -> Result<(), Failure> {
        let mut first = Ok(());
        for name in self.store.seal_due(self.clock.now(), self.settings.seal_days) {
            if self.stopped() {
                break;
            }
            let watch = Stopwatch::start();
            match self.store.seal(&name, self.clock.now(), &|| self.stopped()) {
                Ok(true) => tracing::info!(partition = name, took = ?watch.elapsed(), "event store: day sealed"),
                Ok(false) => {}
                Err(error) => first = first.and(Err(error)),
            }
        }
        first
    }

    fn tasks(&mut self) {
        let open = match self.db.read(|connection| task_open(connection, false)) {
            Ok(open) => open,
            Err(error) => return tracing::error!(%error, "the event store's tasks cannot be read"),
        };
        let Some(task) = open else { return };
        let state = match self.rebuild(&task) {
            Ok(rebuilt) => TaskState::Done(rebuilt),
            // Taken up again after the next start.
            Err(RebuildError::Stopped) => return,
            Err(error) if self.stopped() => return tracing::warn!(%error, "stopped"),
            Err(error) => {
                tracing::error!(partition = task.part, %error, "event store: rebuild failed");
                TaskState::Failed(chain(&error))
            }
        };
        let now = self.clock.now();
        if let Err(error) = self.db.write(move |tx| task_put(tx, &task, &state, Some(now))) {
            tracing::error!(%error, "the event store's task cannot be noted as done");
        }
    }

    fn rebuild(&self, task: &Task) -> Result<Rebuilt, RebuildError> {
        let failed = |source| RebuildError::Failed { name: task.part.clone(), source };
        let day = super::partition::day_begin(day_of(&task.part));
        let day = day.ok_or_else(|| failed("there is no such day".into()))?;
        let mut again = (self.again)(day).map_err(failed)?;
        let said = std::cell::Cell::new(Stopwatch::start());
        let progress = |rebuilt: &Rebuilt| {
            if said.get().elapsed() >= PROGRESS_EVERY {
                said.set(Stopwatch::start());
                let (task, state) = (task.clone(), TaskState::Running(rebuilt.clone()));
                // Progress is a help; where it cannot be written the work goes on.
                let _ = self.db.write(move |tx| task_put(tx, &task, &state, None));
            }
            !self.stopped()
        };
        self.store.rebuild(&task.part, &mut *again, &progress)
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A partition that is to be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub id: String,
    pub part: String,
    pub state: TaskState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskState {
    Asked,
    Running(Rebuilt),
    Done(Rebuilt),
    Failed(String),
}

/// Asks for a partition to be rebuilt; noted in the audit log.
///
/// # Errors
/// The database's own.
pub fn task_add(tx: &Transaction<'_>, part: &str, actor: &str, now: Timestamp) -> Result<String, DbError> {
    let id = ulid_new(now).to_string();
    let task = Task { id: id.clone(), part: part.to_owned(), state: TaskState::Asked };
    tx.prepare_cached("INSERT INTO store_task (id, part, state, asked_at) VALUES (?1, ?2, ?3, ?4)")?.execute((
        &task.id,
        &task.part,
        state_text(&task.state),
        now.0,
    ))?;
    let new =
        NewAudit { actor: actor.to_owned(), kind: "events.rebuild_asked", object: format!("events:{part}"), detail: serde_json::json!({}) };
    audit_add(tx, now, &new)?;
    Ok(id)
}

/// Writes how far a task is; with `done`, that it is over.
///
/// # Errors
/// The database's own.
pub fn task_put(tx: &Transaction<'_>, task: &Task, state: &TaskState, done: Option<Timestamp>) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE store_task SET state = ?2, done_at = ?3 WHERE id = ?1")?.execute((
        &task.id,
        state_text(state),
        done.map(|at| at.0),
    ))?;
    Ok(())
}

fn state_text(state: &TaskState) -> String {
    serde_json::to_string(state).unwrap_or_default()
}

/// The oldest task that is open, of the flow store or of this one.
///
/// # Errors
/// The database's own.
pub fn task_open(connection: &Connection, flows: bool) -> Result<Option<Task>, DbError> {
    let mut statement = connection
        .prepare_cached("SELECT id, part, state FROM store_task WHERE done_at IS NULL AND (part = ?1) = ?2 ORDER BY id LIMIT 1")?;
    Ok(statement.query_row((crate::flows::PART, flows), task_row).optional()?)
}

/// The newest tasks.
///
/// # Errors
/// The database's own.
pub fn task_list(connection: &Connection) -> Result<Vec<Task>, DbError> {
    let mut statement = connection.prepare_cached("SELECT id, part, state FROM store_task ORDER BY id DESC LIMIT ?1")?;
    Ok(statement.query_map([LIST_MAX], task_row)?.collect::<Result<_, _>>()?)
}

fn task_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Task> {
    let state: String = row.get(2)?;
    let state = serde_json::from_str(&state).unwrap_or_else(|_| TaskState::Failed("unreadable".into()));
    Ok(Task { id: row.get(0)?, part: row.get(1)?, state })
}

/// A partition, for `store ls`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionInfo {
    pub name: String,
    /// `hold` for what is held while its day is gone.
    pub class: String,
    pub day: String,
    /// Events on disk.
    pub documents: u64,
    /// Events in memory.
    pub pending: u64,
    pub bytes: u64,
    pub segments: usize,
    pub sealed: bool,
    pub damaged: bool,
    /// Events that are held while their day is gone: all of a partition of the class `hold`.
    pub held: u64,
    pub first: Option<Seq>,
    pub last: Option<Seq>,
}

impl EventStore {
    /// All partitions, those that cannot be read as well.
    pub fn partitions(&self) -> Vec<PartitionInfo> {
        let (views, damaged) = (self.snapshot(), self.damaged());
        let names: BTreeSet<String> = views.partitions.keys().cloned().chain(damaged.iter().cloned()).collect();
        let one = |name: String| {
            let view = views.partitions.get(&name);
            let facts = view.map(|view| view.facts.clone()).unwrap_or_default();
            let seqs = facts.seqs();
            PartitionInfo {
                class: class_of(&name).to_owned(),
                day: day_of(&name).to_owned(),
                documents: facts.documents(),
                held: if class_of(&name) == super::HOLD { facts.documents() } else { 0 },
                pending: view.map_or(0, super::views::View::pending),
                bytes: facts.bytes(),
                segments: facts.segments.len(),
                sealed: sealed(&self.dir.join(&name)).is_some(),
                damaged: damaged.contains(&name),
                first: seqs.map(|(first, _)| Seq(first)),
                last: seqs.map(|(_, last)| Seq(last)),
                name,
            }
        };
        names.into_iter().map(one).collect()
    }
}

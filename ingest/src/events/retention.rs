//! Retention: which class an event belongs to and for how many days a class is kept; days whose time is over go as whole
//! folders, with a row in the deletion log and one in the audit log. What is under legal hold is copied first (`hold`).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, PoisonError};

use rusqlite::{Connection, Row};
use serde::{Deserialize, Serialize};

use super::changes::{Change, GOING_FILE, remove};
use super::forget::has_any;
use super::hold::Hold;
use super::partition::{GOING_DIR, class_held, class_of, day_begin, day_of, folders, replace};
use super::{CLASS, EventStore, EventStoreError, HOLD, Views};
use crate::audit::{NewAudit, audit_add};
use crate::body::{Prefix, SiteId, SiteTable};
use crate::db::{Db, DbError, Migrations};
use crate::event::Event;
use crate::frame::Seq;
use crate::id::ulid_new;
use crate::time::Timestamp;

pub const MIGRATIONS: Migrations = Migrations {
    owner: "retention",
    steps: &[
        "CREATE TABLE event_deletion (
        id TEXT PRIMARY KEY, at BIGINT NOT NULL, class TEXT NOT NULL, day TEXT NOT NULL, part TEXT NOT NULL, documents BIGINT NOT NULL,
        held BIGINT NOT NULL, bytes BIGINT NOT NULL, first_seq BIGINT NOT NULL, last_seq BIGINT NOT NULL, why TEXT NOT NULL);
     CREATE INDEX event_deletion_by_day ON event_deletion (class, day);
     CREATE TABLE legal_hold (
        id TEXT PRIMARY KEY, at BIGINT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL, incident TEXT, query TEXT,
        from_at BIGINT, to_at BIGINT, seqs TEXT NOT NULL, released_at BIGINT, released_by TEXT);
     CREATE TABLE store_task (
        id TEXT PRIMARY KEY, part TEXT NOT NULL, state TEXT NOT NULL, asked_at BIGINT NOT NULL, done_at BIGINT);",
        "CREATE TABLE event_forget (
        id TEXT PRIMARY KEY, at BIGINT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL, query TEXT, from_at BIGINT, to_at BIGINT,
        record TEXT, failed TEXT, done_at BIGINT);",
    ],
};

/// Where the plans stand.
const CLASSES_FILE: &str = "classes.json";
/// For how long what no class says otherwise is kept.
pub const DAYS_DEFAULT: u32 = 90;
/// Rows that one list returns.
const LIST_MAX: i64 = 10_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A retention class: its name, its days, and whose events belong to it. Of several the first that fits counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    pub name: String,
    pub days: u32,
    pub sites: Vec<SiteId>,
    /// Prefixes of senders' addresses.
    pub sources: Vec<String>,
}

/// What is in force from a sequence on: an event that is decoded again goes where it went.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Plan {
    since: Seq,
    rows: Vec<Class>,
}

/// The plans, ready to be asked.
#[derive(Default)]
pub(super) struct Classes {
    plans: Vec<(Seq, Vec<Asked>)>,
    days: BTreeMap<String, u32>,
}

struct Asked {
    name: Arc<str>,
    sites: HashSet<SiteId>,
    sources: Vec<Prefix>,
}

impl Classes {
    fn of(plans: &[Plan]) -> Self {
        let asked = |class: &Class| Asked {
            name: class.name.as_str().into(),
            sites: class.sites.iter().copied().collect(),
            sources: class.sources.iter().filter_map(|text| text.parse().ok()).collect(),
        };
        let days = plans.last().into_iter().flat_map(|plan| &plan.rows).map(|class| (class.name.clone(), class.days)).collect();
        Self { plans: plans.iter().map(|plan| (plan.since, plan.rows.iter().map(asked).collect())).collect(), days }
    }

    pub(super) fn load(dir: &std::path::Path) -> Self {
        let plans: Option<Vec<Plan>> = std::fs::read(dir.join(CLASSES_FILE)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self::of(&plans.unwrap_or_default())
    }

    fn class_of(&self, event: &Event) -> Arc<str> {
        let plan = self.plans.iter().rev().find(|(since, _)| *since <= event.seq);
        let fits = |asked: &&Asked| asked.sites.contains(&event.site) || asked.sources.iter().any(|prefix| prefix.contains(event.peer));
        plan.and_then(|(_, rows)| rows.iter().find(fits)).map_or_else(|| CLASS.into(), |asked| asked.name.clone())
    }
}

/// A day whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub class: String,
    pub day: String,
    pub(super) names: Vec<String>,
}

/// A row of the deletion log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    pub id: String,
    pub at: Timestamp,
    pub class: String,
    pub day: String,
    pub part: String,
    /// All that the day had.
    pub documents: u64,
    /// Those of it that are held and were copied before.
    pub held: u64,
    pub bytes: u64,
    pub first: Seq,
    pub last: Seq,
    pub why: String,
}

/// The holds that are in force now.
pub type HoldsNow<'a> = dyn Fn() -> Result<Vec<Hold>, Failure> + 'a;

impl EventStore {
    /// Says which classes there are from `since` on. What was filed before stays where it is; days count for all of a class.
    ///
    /// # Errors
    /// Where that cannot be written down.
    pub fn classes_begin(&self, rows: &[Class], since: Seq) -> Result<(), EventStoreError> {
        let path = self.dir.join(CLASSES_FILE);
        let plans = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut plans: Vec<Plan> = plans.unwrap_or_default();
        let goes =
            |rows: &[Class]| rows.iter().map(|class| (class.name.clone(), class.sites.clone(), class.sources.clone())).collect::<Vec<_>>();
        match plans.last_mut() {
            Some(last) if last.rows == rows => {}
            None if rows.is_empty() => {}
            last => {
                match last {
                    Some(last) if goes(&last.rows) == goes(rows) => last.rows = rows.to_vec(),
                    _ => plans.push(Plan { since, rows: rows.to_vec() }),
                }
                let text = serde_json::to_string_pretty(&plans).map_err(|error| EventStoreError::Io {
                    doing: "write",
                    path: path.clone(),
                    source: error.into(),
                })?;
                replace(&self.dir, CLASSES_FILE, &text)?;
            }
        }
        *self.classes.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Classes::of(&plans));
        Ok(())
    }

    /// The retention class under which an event is filed.
    pub fn class_of(&self, event: &Event) -> Arc<str> {
        self.classes.read().unwrap_or_else(PoisonError::into_inner).clone().class_of(event)
    }

    /// The retention class under which a stored event is filed, told from where it lies: that holds whatever plan came after.
    pub fn class_of_seq(&self, seq: Seq) -> Option<String> {
        let wanted = BTreeSet::from([seq]);
        let has = |view: &super::views::View| {
            let in_memory = || view.memory.iter().any(|chunk| chunk.iter().any(|pending| pending.event.seq == seq));
            let between = view.facts.seqs().is_some_and(|(first, last)| (first..=last).contains(&seq.0));
            let on_disk = || view.searcher().ok().and_then(|searcher| super::guarded(|| has_any(&searcher, &wanted)).ok());
            in_memory() || between && on_disk().unwrap_or(false)
        };
        self.snapshot().partitions.iter().find(|(_, view)| has(view)).map(|(name, _)| class_held(name).to_owned())
    }

    /// A class that is not configured any more is kept as long as `standard`.
    fn days_of(&self, class: &str) -> u32 {
        let classes = self.classes.read().unwrap_or_else(PoisonError::into_inner).clone();
        classes.days.get(class).or_else(|| classes.days.get(CLASS)).copied().unwrap_or(DAYS_DEFAULT)
    }

    /// The days whose time is over, oldest first.
    pub fn retention_due(&self, now: Timestamp) -> Vec<Due> {
        let mut due: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        let names: BTreeSet<String> = self.snapshot().partitions.into_keys().chain(self.damaged()).collect();
        for name in names.into_iter().filter(|name| class_of(name) != HOLD) {
            let (class, day) = (class_of(&name).to_owned(), day_of(&name).to_owned());
            let keep = i64::from(self.days_of(&class)) * Timestamp::DAY;
            if day_begin(&day).is_some_and(|begin| now.since(begin.plus(Timestamp::DAY)) >= keep) {
                due.entry((day, class)).or_default().push(name);
            }
        }
        due.into_iter().map(|((day, class), names)| Due { class, day, names }).collect()
    }

    /// Lets a day go, after what is held of it has its copy. The deletion log has its row before a file is unlinked
    /// (`deletions_finish`).
    ///
    /// # Errors
    /// Where it stays for now: a late event or a hold came, it is damaged and something may be held of it, or the disk refuses.
    pub fn retire(
        &self,
        due: &Due,
        holds: &HoldsNow<'_>,
        sites: &SiteTable,
        now: Timestamp,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Failure> {
        let in_force = holds()?;
        // One view of it all: what comes to a day behind this is noticed by its number of events, and the day stays.
        let (views, damaged) = (self.snapshot(), self.damaged());
        if let Some(name) = due.names.iter().find(|name| !views.partitions.contains_key(*name) && !damaged.contains(*name)) {
            return Err(format!("{name} has just been taken away").into());
        }
        // Nobody can tell from which time its events are.
        if let Some(name) = due.names.iter().find(|name| damaged.contains(*name))
            && !in_force.is_empty()
        {
            return Err(format!("{name} is damaged, and something of it may be under legal hold: it stays until it is mended").into());
        }
        let target = self.hold_name(&due.class, &due.day);
        let held = self.hold_copy(&views, &due.names, &target, &in_force, sites, stop)?;
        let held = Some(target).filter(|_| held > 0).map(|target| (target, held));
        // Copying takes its time, and a hold that came meanwhile counts.
        let ids = |holds: &[Hold]| holds.iter().map(|hold| hold.id.clone()).collect::<BTreeSet<_>>();
        if ids(&holds()?) != ids(&in_force) {
            return Err("the legal holds have changed meanwhile: the day is looked at again".into());
        }
        self.let_go(&views, &due.names, held, "retention", now, stop)
    }

    /// Looks what of the held events is still held; the rest goes. For after a hold was released.
    ///
    /// # Errors
    /// As `retire`.
    pub fn holds_review(&self, holds: &[Hold], sites: &SiteTable, now: Timestamp, stop: &dyn Fn() -> bool) -> Result<(), Failure> {
        let views = self.snapshot();
        for (name, view) in views.partitions.iter().filter(|(name, _)| class_of(name) == HOLD) {
            let names = [name.clone()];
            let target = self.hold_name(class_held(name), day_of(name));
            let held = self.hold_copy(&views, &names, &target, holds, sites, stop)?;
            if held == view.facts.documents() {
                remove(&super::partition::new_dir(&self.dir, &target))?;
                continue;
            }
            self.let_go(&views, &names, Some((target, held)).filter(|_| held > 0), "hold released", now, stop)?;
        }
        Ok(())
    }

    fn let_go(
        &self,
        views: &Views,
        names: &[String],
        held: Option<(String, u64)>,
        why: &str,
        now: Timestamp,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Failure> {
        let damaged = self.damaged();
        let mut documents = 0;
        for (n, name) in names.iter().enumerate() {
            let dir = self.dir.join(name);
            let facts = views.partitions.get(name).map(|view| view.facts.clone()).unwrap_or_default();
            documents += facts.documents();
            if !dir.exists() {
                continue;
            }
            let (first, last) = facts.seqs().unwrap_or_default();
            let row = Deletion {
                id: ulid_new(now).to_string(),
                at: now,
                class: class_of(name).to_owned(),
                day: day_of(name).to_owned(),
                part: name.clone(),
                documents: facts.documents(),
                held: held.as_ref().filter(|_| n == 0).map_or(0, |(_, held)| *held),
                bytes: facts.bytes(),
                first: Seq(first),
                last: Seq(last),
                why: if damaged.contains(name) { format!("{why}, damaged") } else { why.to_owned() },
            };
            replace(&dir, GOING_FILE, &serde_json::to_string(&row)?)?;
        }
        let held = held.map(|(target, _)| target);
        self.change_ask(Change::Drop { names: names.to_vec(), held, documents }, stop).map_err(|error| {
            // It stays, and must not be taken for one that was on its way out.
            for name in names.iter().filter(|name| self.dir.join(name).join("meta.json").exists()) {
                let _ = std::fs::remove_file(self.dir.join(name).join(GOING_FILE));
            }
            Failure::from(error)
        })
    }

    /// Writes the rows of what is on its way out, then unlinks it. Also completes what a crash left.
    ///
    /// # Errors
    /// Where the database or the disk refuses; the next call goes on.
    pub fn deletions_finish(&self, db: &Db) -> Result<Vec<Deletion>, Failure> {
        let mut done = Vec::new();
        for (_, dir) in folders(&self.dir.join(GOING_DIR)).unwrap_or_default() {
            let row: Option<Deletion> = std::fs::read(dir.join(GOING_FILE)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            if let Some(row) = row {
                let written = row.clone();
                db.write(move |tx| deletion_add(tx, &written))?;
                // The row's file goes last: a crash in between writes the same row again, which changes nothing.
                for (name, _) in super::partition::sizes(&dir).into_iter().filter(|(name, _)| name != GOING_FILE) {
                    std::fs::remove_file(dir.join(name))?;
                }
                done.push(row);
            }
            remove(&dir)?;
        }
        Ok(done)
    }
}

fn deletion_add(tx: &rusqlite::Transaction<'_>, row: &Deletion) -> Result<(), DbError> {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let added = tx
        .prepare_cached(
            "INSERT INTO event_deletion (id, at, class, day, part, documents, held, bytes, first_seq, last_seq, why)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(rusqlite::params![
            row.id,
            row.at.0,
            row.class,
            row.day,
            row.part,
            number(row.documents),
            number(row.held),
            number(row.bytes),
            number(row.first.0),
            number(row.last.0),
            row.why
        ])?;
    if added > 0 {
        let detail = serde_json::json!({ "documents": row.documents, "held": row.held, "bytes": row.bytes, "why": row.why });
        let new = NewAudit { actor: "system".into(), kind: "events.deleted", object: format!("events:{}", row.part), detail };
        audit_add(tx, row.at, &new)?;
    }
    Ok(())
}

/// The deletion log, newest first.
///
/// # Errors
/// The database's own.
pub fn deletion_list(connection: &Connection) -> Result<Vec<Deletion>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, at, class, day, part, documents, held, bytes, first_seq, last_seq, why FROM event_deletion ORDER BY id DESC LIMIT ?1",
    )?;
    let number = |row: &Row<'_>, at: usize| Ok::<_, rusqlite::Error>(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0));
    let read = |row: &Row<'_>| {
        Ok(Deletion {
            id: row.get(0)?,
            at: Timestamp(row.get(1)?),
            class: row.get(2)?,
            day: row.get(3)?,
            part: row.get(4)?,
            documents: number(row, 5)?,
            held: number(row, 6)?,
            bytes: number(row, 7)?,
            first: Seq(number(row, 8)?),
            last: Seq(number(row, 9)?),
            why: row.get(10)?,
        })
    };
    Ok(statement.query_map([LIST_MAX], read)?.collect::<Result<_, _>>()?)
}

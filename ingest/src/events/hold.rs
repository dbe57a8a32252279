//! Legal hold: events that must stay although their day goes. Before that they are copied into a partition of their own,
//! `hold/<class>.<day>`, one for all holds together, so that an event of two holds is there once. It appears in the moment
//! in which its day goes, and retention never touches it.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, Row, Transaction};
use tantivy::{DocAddress, Searcher};

use super::bound::{Cancel, Deadline};
use super::changes::remove;
use super::docs::{Docs, Sure};
use super::partition::{self, Facts, Opened, day_begin, new_dir};
use super::plan::Segment;
use super::schema::{SEQ, TIME};
use super::stored::{KIND_BARE, Lines, Stored, event_of};
use super::writers::Writer;
use super::{EventStore, HOLD, Payload, Pending, Views, guarded};
use crate::audit::{NewAudit, audit_add};
use crate::body::SiteTable;
use crate::db::DbError;
use crate::frame::Seq;
use crate::id::ulid_new;
use crate::query::Query;
use crate::record::EventRecord;
use crate::time::Timestamp;

/// Events that one hold may name one by one; more are a query's affair.
pub const HOLD_SEQS_MAX: usize = 10_000;
/// Holds in force at one time: each is asked of every day that goes.
pub const HOLDS_MAX: usize = 1_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A hold in force. It holds what its query finds between its times, or the events that it names.
#[derive(Clone, Debug)]
pub struct Hold {
    pub id: String,
    pub at: Timestamp,
    pub actor: String,
    pub reason: String,
    pub incident: Option<String>,
    pub query: Option<Query>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub seqs: BTreeSet<Seq>,
    pub released_at: Option<Timestamp>,
}

impl Hold {
    /// All between two times, as a question.
    pub(super) fn of(from: Option<Timestamp>, to: Option<Timestamp>) -> Self {
        Self {
            id: String::new(),
            at: Timestamp(0),
            actor: String::new(),
            reason: String::new(),
            incident: None,
            query: None,
            from,
            to,
            seqs: BTreeSet::new(),
            released_at: None,
        }
    }

    pub(super) fn touches_day(&self, day: &str) -> bool {
        let Some(begin) = day_begin(day).filter(|_| self.seqs.is_empty()) else { return true };
        self.from.is_none_or(|from| from < begin.plus(Timestamp::DAY)) && self.to.is_none_or(|to| to > begin)
    }

    fn covers(&self, time: i64) -> bool {
        self.from.is_none_or(|from| from.0 <= time) && self.to.is_none_or(|to| time < to.0)
    }
}

impl EventStore {
    /// A name that is free for what is held of a day.
    pub(super) fn hold_name(&self, class: &str, day: &str) -> String {
        let mut name = format!("{HOLD}/{class}.{day}");
        // One whose folder is missing is missed, and its name is not free.
        let (views, damaged) = (self.snapshot(), self.damaged());
        for n in 1u32.. {
            if !self.dir.join(&name).exists() && !views.partitions.contains_key(&name) && !damaged.contains(&name) {
                break;
            }
            name = format!("{HOLD}/{class}.{day}.{n}");
        }
        name
    }

    /// Copies what is held of some partitions into a new one, ready to take its place. How many that are; for none there is
    /// nothing made.
    pub(super) fn hold_copy(
        &self,
        views: &Views,
        names: &[String],
        target: &str,
        holds: &[Hold],
        sites: &SiteTable,
        stop: &dyn Fn() -> bool,
    ) -> Result<u64, Failure> {
        let new = new_dir(&self.dir, target);
        remove(&new)?;
        let holds = self.holds_asked(holds);
        let (mut writer, mut copied) = (None::<Writer>, 0);
        for view in names.iter().filter_map(|name| views.partitions.get(name)).filter(|_| !holds.is_empty()) {
            let searcher = view.searcher()?;
            for (ordinal, _) in (0u32..).zip(searcher.segment_readers()) {
                for doc in guarded(|| self.held_docs(&searcher, ordinal, &holds, sites))?.iter() {
                    if stop() {
                        return Err("stopped".into());
                    }
                    let pending = guarded(|| self.kept(&searcher, DocAddress::new(ordinal, doc)))?;
                    let writer = match &mut writer {
                        Some(writer) => writer,
                        None => {
                            std::fs::create_dir_all(&new)?;
                            writer.insert(guarded(|| Writer::open(&Opened::create(&new)?.index))?)
                        }
                    };
                    writer.add(&pending)?;
                    copied += 1;
                }
            }
        }
        let Some(mut writer) = writer else { return Ok(0) };
        writer.commit(Payload::default())?;
        writer.writer.wait_merging_threads()?;
        let opened = guarded(|| Opened::open(&new))?;
        guarded(|| Facts::of(&new, opened.payload()?, &opened.reader.searcher(), &Facts::default()))?.save(&new);
        partition::ready(&new, target)?;
        Ok(copied)
    }

    /// The holds as they are asked: a question by real values is one for their pseudonyms too.
    pub(super) fn holds_asked(&self, holds: &[Hold]) -> Vec<Hold> {
        let real = |query: &Query| self.asked(query, true).unwrap_or_else(|| query.clone());
        holds.iter().map(|hold| Hold { query: hold.query.as_ref().map(real), ..hold.clone() }).collect()
    }

    pub(super) fn held_docs(&self, searcher: &Searcher, ordinal: u32, holds: &[Hold], sites: &SiteTable) -> tantivy::Result<Docs> {
        let reader = searcher.segment_reader(ordinal);
        // Nobody waits for it, and half of it would not do.
        let deadline = Deadline::new(Duration::MAX, Cancel::default());
        let segment = Segment { reader, sites, deadline: &deadline, lo: 0, hi: reader.max_doc() };
        let (time, seq) = (reader.fast_fields().i64(TIME)?, reader.fast_fields().u64(SEQ)?);
        let mut all = Docs::all(0, reader.max_doc());
        segment.without_deleted(&mut all);
        let mut held = Docs::none(0, reader.max_doc());
        for hold in holds {
            let mut within = Docs::none(0, reader.max_doc());
            all.iter().filter(|doc| time.first(*doc).is_some_and(|time| hold.covers(time))).for_each(|doc| within.insert(doc));
            let named = |doc: &u32| seq.first(*doc).is_some_and(|seq| hold.seqs.contains(&Seq(seq)));
            all.iter().filter(named).for_each(|doc| held.insert(doc));
            let Some(query) = &hold.query else { continue };
            let mut sure = segment.eval(query.root(), &within)?;
            sure.and(&Sure::exactly(within));
            held.or(&sure.certain);
            let mut unclear = sure.possible;
            unclear.and_not(&sure.certain);
            for doc in unclear.iter() {
                let event = self.kept(searcher, DocAddress::new(ordinal, doc))?.event;
                if query.matches(&EventRecord { event: &event, sites }) {
                    held.insert(doc);
                }
            }
        }
        Ok(held)
    }

    /// A stored event as it was given to the index.
    pub(super) fn kept(&self, searcher: &Searcher, address: DocAddress) -> tantivy::Result<Pending> {
        Ok(match Lines::new(&self.redecode).stored(searcher, address)? {
            Stored::Bare(event) => Pending { event, kind: KIND_BARE },
            Stored::Frame(frame, context) => {
                let kind = frame.frame.kind.to_byte(frame.frame.marks);
                Pending { event: event_of(&frame, context, &self.redecode), kind }
            }
        })
    }
}

/// What is to be held.
#[derive(Clone, Debug, Default)]
pub struct NewHold {
    pub actor: String,
    pub reason: String,
    pub incident: Option<String>,
    /// As it was asked; parsed by whoever asks.
    pub query: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub seqs: Vec<Seq>,
}

/// Puts events under hold; noted in the audit log.
///
/// # Errors
/// The database's own.
pub fn hold_add(tx: &Transaction<'_>, new: &NewHold, now: Timestamp) -> Result<String, DbError> {
    let id = ulid_new(now).to_string();
    let seqs: Vec<u64> = new.seqs.iter().take(HOLD_SEQS_MAX).map(|seq| seq.0).collect();
    tx.prepare_cached(
        "INSERT INTO legal_hold (id, at, actor, reason, incident, query, from_at, to_at, seqs) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(rusqlite::params![
        id,
        now.0,
        new.actor,
        new.reason,
        new.incident,
        new.query,
        new.from.map(|at| at.0),
        new.to.map(|at| at.0),
        serde_json::json!(seqs).to_string()
    ])?;
    let detail = serde_json::json!({ "reason": new.reason, "query": new.query, "events": seqs.len(), "incident": new.incident });
    audit_add(tx, now, &NewAudit { actor: new.actor.clone(), kind: "events.held", object: format!("hold:{id}"), detail })?;
    Ok(id)
}

/// Ends a hold; what no other one holds goes with the next round of retention. False where there is none in force.
///
/// # Errors
/// The database's own.
pub fn hold_release(tx: &Transaction<'_>, id: &str, actor: &str, now: Timestamp) -> Result<bool, DbError> {
    let released = tx
        .prepare_cached("UPDATE legal_hold SET released_at = ?2, released_by = ?3 WHERE id = ?1 AND released_at IS NULL")?
        .execute((id, now.0, actor))?;
    if released > 0 {
        let new =
            NewAudit { actor: actor.to_owned(), kind: "events.hold_released", object: format!("hold:{id}"), detail: serde_json::json!({}) };
        audit_add(tx, now, &new)?;
    }
    Ok(released > 0)
}

/// All holds, newest first, those that were released as well.
///
/// # Errors
/// The database's own; also a query that cannot be read any more: what it holds must not go for that.
pub fn hold_list(connection: &Connection) -> Result<Vec<Hold>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, at, actor, reason, incident, query, from_at, to_at, seqs, released_at FROM legal_hold ORDER BY id DESC",
    )?;
    let unreadable =
        |error: Box<dyn std::error::Error + Send + Sync>| rusqlite::Error::FromSqlConversionFailure(5, rusqlite::types::Type::Text, error);
    let read = |row: &Row<'_>| {
        let query: Option<String> = row.get(5)?;
        let query = query.map(|text| if text == "*" { Ok(Query::all()) } else { Query::parse_fixed(&text) }).transpose();
        let seqs: Vec<u64> = serde_json::from_str(&row.get::<_, String>(8)?).map_err(|error| unreadable(error.into()))?;
        let moment = |at: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(at)?.map(Timestamp));
        Ok(Hold {
            id: row.get(0)?,
            at: Timestamp(row.get(1)?),
            actor: row.get(2)?,
            reason: row.get(3)?,
            incident: row.get(4)?,
            query: query.map_err(|error| unreadable(error.to_string().into()))?,
            from: moment(6)?,
            to: moment(7)?,
            seqs: seqs.into_iter().map(Seq).collect(),
            released_at: moment(9)?,
        })
    };
    Ok(statement.query_map([], read)?.collect::<Result<_, _>>()?)
}

/// The holds in force.
///
/// # Errors
/// As `hold_list`.
pub fn hold_in_force(connection: &Connection) -> Result<Vec<Hold>, DbError> {
    Ok(hold_list(connection)?.into_iter().filter(|hold| hold.released_at.is_none()).collect())
}

//! The orders to forget, in the database: who asked for it and why, how it stands, and its record. The query names a person;
//! it is here only until the order is done.

use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use serde::{Deserialize, Serialize};

use super::forget::{ForgetError, Forgotten};
use crate::audit::{NewAudit, audit_add};
use crate::db::DbError;
use crate::id::ulid_new;
use crate::query::Query;
use crate::time::Timestamp;

/// Rows that one list returns.
const LIST_MAX: i64 = 10_000;

/// What is to be forgotten, as it is asked.
#[derive(Clone, Debug)]
pub struct NewForget {
    /// The account's id.
    pub actor: String,
    pub reason: String,
    pub query: String,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForgetState {
    /// Also where it is under way and something keeps it from its end: then with what.
    Open(Option<String>),
    Done(Forgotten),
    /// Nothing was done.
    Refused(Refusal),
}

/// Why an order was refused, for whoever words it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// So many of the events are under legal hold, in these partitions.
    Held {
        events: u64,
        days: Vec<String>,
    },
    /// A partition of the time asked for.
    Damaged(String),
    /// More events than this.
    TooMany(usize),
    Failed(String),
}

impl From<ForgetError> for Refusal {
    fn from(error: ForgetError) -> Self {
        match error {
            ForgetError::Held { events, days } => Self::Held { events, days },
            ForgetError::Damaged(name) => Self::Damaged(name),
            ForgetError::TooMany(max) => Self::TooMany(max),
            ForgetError::Failed(error) | ForgetError::UnderWay(error) => Self::Failed(error.to_string()),
        }
    }
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forget {
    pub id: String,
    pub at: Timestamp,
    pub actor: String,
    pub reason: String,
    pub state: ForgetState,
    pub done_at: Option<Timestamp>,
}

/// An order that is open: with what it asks for.
#[derive(Debug)]
pub(super) struct OpenForget {
    pub(super) id: String,
    pub(super) actor: String,
    pub(super) query: Query,
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
}

/// Orders that events are forgotten; noted in the audit log, without the query.
///
/// # Errors
/// The database's own.
pub fn forget_add(tx: &Transaction<'_>, new: &NewForget, now: Timestamp) -> Result<String, DbError> {
    let id = ulid_new(now).to_string();
    tx.prepare_cached("INSERT INTO event_forget (id, at, actor, reason, query, from_at, to_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(rusqlite::params![id, now.0, new.actor, new.reason, new.query, new.from.map(|at| at.0), new.to.map(|at| at.0)])?;
    let detail = serde_json::json!({ "reason": new.reason });
    audit_add(tx, now, &NewAudit { actor: new.actor.clone(), kind: "events.forget_asked", object: format!("forget:{id}"), detail })?;
    Ok(id)
}

/// The oldest open order; with `again` also one that could not be brought to its end.
pub(super) fn forget_open(connection: &Connection, again: bool) -> Result<Option<OpenForget>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, actor, query, from_at, to_at FROM event_forget WHERE done_at IS NULL AND (failed IS NULL OR ?1) ORDER BY id LIMIT 1",
    )?;
    let read = |row: &Row<'_>| {
        let text: String = row.get(2)?;
        let unreadable = |error: String| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into());
        Ok(OpenForget {
            id: row.get(0)?,
            actor: row.get(1)?,
            query: Query::parse_fixed(&text).map_err(|error| unreadable(error.to_string()))?,
            from: row.get::<_, Option<i64>>(3)?.map(Timestamp),
            to: row.get::<_, Option<i64>>(4)?.map(Timestamp),
        })
    };
    Ok(statement.query_row([again], read).optional()?)
}

/// Notes what keeps an order from its end; it is tried again.
pub(super) fn forget_waits(tx: &Transaction<'_>, id: &str, why: &str) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE event_forget SET failed = ?2 WHERE id = ?1 AND done_at IS NULL")?.execute((id, why))?;
    Ok(())
}

/// Ends an order, with its record or with why it was refused; noted in the audit log. The query is gone from here on.
pub(super) fn forget_end(
    tx: &Transaction<'_>,
    order: &OpenForget,
    outcome: &Result<Forgotten, Refusal>,
    now: Timestamp,
) -> Result<(), DbError> {
    let (record, failed) = match outcome {
        Ok(record) => (Some(serde_json::json!(record).to_string()), None),
        Err(why) => (None, Some(serde_json::json!(why).to_string())),
    };
    let ended = tx
        .prepare_cached("UPDATE event_forget SET query = NULL, record = ?2, failed = ?3, done_at = ?4 WHERE id = ?1 AND done_at IS NULL")?
        .execute((&order.id, record, failed, now.0))?;
    if ended > 0 {
        let (kind, detail) = match outcome {
            Ok(record) => ("events.forgotten", serde_json::json!(record)),
            Err(why) => ("events.forget_refused", serde_json::json!({ "why": why })),
        };
        audit_add(tx, now, &NewAudit { actor: order.actor.clone(), kind, object: format!("forget:{}", order.id), detail })?;
    }
    Ok(())
}

/// All orders, newest first.
///
/// # Errors
/// The database's own.
pub fn forget_list(connection: &Connection) -> Result<Vec<Forget>, DbError> {
    let mut statement =
        connection.prepare_cached("SELECT id, at, actor, reason, record, failed, done_at FROM event_forget ORDER BY id DESC LIMIT ?1")?;
    let read = |row: &Row<'_>| {
        let record: Option<Forgotten> = row.get::<_, Option<String>>(4)?.and_then(|text| serde_json::from_str(&text).ok());
        let (failed, done_at) = (row.get::<_, Option<String>>(5)?, row.get::<_, Option<i64>>(6)?.map(Timestamp));
        let state = match (record, done_at) {
            (Some(record), Some(_)) => ForgetState::Done(record),
            (None, Some(_)) => {
                let text = failed.unwrap_or_default();
                ForgetState::Refused(serde_json::from_str(&text).unwrap_or(Refusal::Failed(text)))
            }
            (_, None) => ForgetState::Open(failed),
        };
        Ok(Forget { id: row.get(0)?, at: Timestamp(row.get(1)?), actor: row.get(2)?, reason: row.get(3)?, state, done_at })
    };
    Ok(statement.query_map([LIST_MAX], read)?.collect::<Result<_, _>>()?)
}

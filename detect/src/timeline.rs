//! The timeline of a case: what the CERT has found out happened, and when, each moment written down by hand or taken over from an
//! event. It is the CERT's working paper: bodies neither see it nor learn of it. What the case itself knows of time (alerts, states,
//! what was sent) is in its history, and pages show both in one order. A moment that turned out wrong is struck, and the history
//! keeps it.

use ingest::body::BodyId;
use ingest::db::DbError;
use ingest::frame::Seq;
use ingest::history::{NewHistory, history_add};
use ingest::rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::incident::{CaseError, IncidentId, demand, filled, incident_find};
use crate::role::{Action, Role};

ingest::id_type!(
    /// One moment of a timeline.
    MomentId
);

/// A line of a log, or two sentences.
pub const MOMENT_CHARS_MAX: usize = 1_000;
/// Moments of one case: who needs more wants a search, not a story.
pub const MOMENTS_MAX: usize = 500;

/// A step of the incident's migrations.
pub(crate) const MIGRATION: &str = "
    CREATE TABLE moment (
        id TEXT PRIMARY KEY,
        incident TEXT NOT NULL REFERENCES incident (id),
        at BIGINT NOT NULL,
        text TEXT NOT NULL,
        event BIGINT,
        actor TEXT NOT NULL,
        added_at BIGINT NOT NULL
    );
    CREATE INDEX moment_incident ON moment (incident, at, id);
";

/// A moment as stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moment {
    pub id: MomentId,
    /// When it happened, not when it was written down.
    pub at: Timestamp,
    pub text: String,
    /// The event that shows it. Its line may be gone by now; the text stays.
    pub event: Option<Seq>,
    pub actor: String,
    pub added_at: Timestamp,
}

/// What somebody writes down.
#[derive(Clone, Debug)]
pub struct NewMoment {
    pub at: Timestamp,
    pub text: String,
    pub event: Option<Seq>,
}

/// Writes a moment down. The same event enters a timeline once.
///
/// # Errors
/// `Forbidden`; `NotFound` for an unknown case, `Transition` for a merged one; `Invalid` without a text, for a time that has not come
/// yet, an event that stands there already, or with `MOMENTS_MAX` of them; the database's own.
pub fn moment_add(
    tx: &Transaction<'_>,
    incident: IncidentId,
    new: &NewMoment,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<MomentId, CaseError> {
    demand(Action::IncidentNote, role)?;
    let case = incident_find(tx, incident)?.ok_or_else(|| CaseError::NotFound { noun: "incident", id: incident.to_string() })?;
    if case.merged_into.is_some() {
        return Err(CaseError::Transition { from: "merged", to: "moment" });
    }
    if new.at > now {
        return Err(CaseError::Invalid { what: "moment_time", value: new.at.rfc3339(), wanted: "a time that has passed" });
    }
    let text = filled("moment", &new.text, MOMENT_CHARS_MAX)?;
    let (count, same): (i64, bool) = tx
        .prepare_cached("SELECT COUNT(*), COALESCE(MAX(event = ?2), 0) FROM moment WHERE incident = ?1")?
        .query_row(params![incident, new.event.map(signed)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if same {
        return Err(CaseError::Invalid { what: "moment_event", value: case.number, wanted: "an event that is not in it yet" });
    }
    if count >= MOMENTS_MAX as i64 {
        return Err(CaseError::Invalid { what: "moments", value: case.number, wanted: "fewer than 500" });
    }
    let id = MomentId::new(now);
    tx.prepare_cached("INSERT INTO moment (id, incident, at, text, event, actor, added_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![id, incident, new.at.0, text, new.event.map(signed), actor, now.0])?;
    tell(tx, (incident, case.body), "timeline.added", actor, json!({ "moment": id, "at": new.at, "text": text, "event": new.event }), now)?;
    Ok(id)
}

/// Strikes a moment.
///
/// # Errors
/// `Forbidden`; `NotFound` where the case has no such moment (any more); the database's own.
pub fn moment_strike(
    tx: &Transaction<'_>,
    incident: IncidentId,
    id: MomentId,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<(), CaseError> {
    demand(Action::IncidentNote, role)?;
    let missing = || CaseError::NotFound { noun: "moment", id: id.to_string() };
    let case = incident_find(tx, incident)?.ok_or_else(missing)?;
    let sql = format!("{SELECT} WHERE incident = ?1 AND id = ?2");
    let moment = tx.prepare_cached(&sql)?.query_row(params![incident, id], moment_row).optional()?.ok_or_else(missing)?;
    tx.prepare_cached("DELETE FROM moment WHERE id = ?1")?.execute([id])?;
    let data = json!({ "moment": id, "at": moment.at, "text": moment.text, "event": moment.event });
    tell(tx, (incident, case.body), "timeline.struck", actor, data, now)?;
    Ok(())
}

/// A case's moments in the order in which they happened. Any scope but the whole sees none.
///
/// # Errors
/// The database's own.
pub fn moment_list(connection: &Connection, scope: &Scope, incident: IncidentId) -> Result<Vec<Moment>, DbError> {
    if *scope != Scope::All {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE incident = ?1 ORDER BY at, id"))?;
    Ok(statement.query_map([incident], moment_row)?.collect::<Result<_, _>>()?)
}

const SELECT: &str = "SELECT id, at, text, event, actor, added_at FROM moment";

fn moment_row(row: &Row<'_>) -> Result<Moment, ingest::rusqlite::Error> {
    Ok(Moment {
        id: row.get(0)?,
        at: Timestamp(row.get(1)?),
        text: row.get(2)?,
        event: row.get::<_, Option<i64>>(3)?.and_then(|seq| u64::try_from(seq).ok()).map(Seq),
        actor: row.get(4)?,
        added_at: Timestamp(row.get(5)?),
    })
}

fn signed(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

fn tell(
    tx: &Transaction<'_>,
    (incident, body): (IncidentId, Option<BodyId>),
    kind: &'static str,
    actor: &str,
    data: Value,
    now: Timestamp,
) -> Result<(), DbError> {
    let event = NewHistory { event_time: now, kind, subject: incident.to_string(), body, actor: actor.to_owned(), data, corrects: None };
    history_add(tx, now, &event).map(|_| ())
}

#[cfg(test)]
mod tests;

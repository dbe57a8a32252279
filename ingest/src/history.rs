//! The history: immutable, bi-temporal events of everything that people and rules did. KPIs, case
//! histories and the audit of changes are read from it; nothing in it is ever updated or deleted.
//! It lives in the first stage because every stage records here; what the kinds mean is their owners' affair.

use rusqlite::{Connection, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::body::BodyId;
use crate::db::{DbError, Migrations};
use crate::time::Timestamp;

crate::id_type!(
    /// One recorded event.
    HistoryId
);

pub const MIGRATIONS: Migrations = Migrations {
    owner: "history",
    steps: &[
        "
        CREATE TABLE history (
            id TEXT PRIMARY KEY,
            event_time BIGINT NOT NULL,
            recorded_at BIGINT NOT NULL,
            kind TEXT NOT NULL,
            subject TEXT NOT NULL,
            body TEXT,
            actor TEXT NOT NULL,
            data TEXT NOT NULL,
            corrects TEXT
        );
        CREATE INDEX history_subject ON history (subject, event_time);
        CREATE INDEX history_kind ON history (kind, event_time);
        CREATE INDEX history_corrects ON history (corrects);
    ",
        // The newest change of each subject, for those who ask what changed since.
        "CREATE INDEX history_changed ON history (subject, recorded_at);",
    ],
};

/// What is to be recorded. `kind` is `noun.verb` as DOMAIN.md lists them (`incident.contained`),
/// `subject` the identity of what it is about, `actor` a user's id, `rule:<id>` or `system`.
#[derive(Clone, Debug)]
pub struct NewHistory {
    pub event_time: Timestamp,
    pub kind: &'static str,
    pub subject: String,
    pub body: Option<BodyId>,
    pub actor: String,
    pub data: Value,
    /// The earlier event that this one replaces; both stay, and "as known at" decides which counts.
    pub corrects: Option<HistoryId>,
}

/// A recorded event: when it happened (`event_time`) and when we knew (`recorded_at`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HistoryEvent {
    pub id: HistoryId,
    pub event_time: Timestamp,
    pub recorded_at: Timestamp,
    pub kind: String,
    pub subject: String,
    pub body: Option<BodyId>,
    pub actor: String,
    pub data: Value,
    pub corrects: Option<HistoryId>,
}

/// Records one event inside the caller's transaction, so that it stands or falls with the change it tells of.
///
/// # Errors
/// The database's own.
pub fn history_add(tx: &Transaction<'_>, recorded_at: Timestamp, new: &NewHistory) -> Result<HistoryId, DbError> {
    let id = HistoryId::new(recorded_at);
    tx.prepare_cached(
        "INSERT INTO history (id, event_time, recorded_at, kind, subject, body, actor, data, corrects)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        id,
        new.event_time.0,
        recorded_at.0,
        new.kind,
        new.subject,
        new.body,
        new.actor,
        new.data.to_string(),
        new.corrects,
    ])?;
    Ok(id)
}

/// All events of one subject, oldest first.
///
/// # Errors
/// The database's own.
pub fn history_of(connection: &Connection, subject: &str) -> Result<Vec<HistoryEvent>, DbError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE subject = ?1 ORDER BY event_time, id"))?;
    let rows = statement.query_map([subject], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The events of kinds starting with `kind_prefix` (`incident.`) that happened in `[from, to)` and were known at
/// `as_of`; an event corrected by then is left out in favour of its correction. Oldest first.
///
/// # Errors
/// The database's own.
pub fn history_between(
    connection: &Connection,
    kind_prefix: &str,
    from: Timestamp,
    to: Timestamp,
    as_of: Timestamp,
) -> Result<Vec<HistoryEvent>, DbError> {
    let mut statement = connection.prepare_cached(&format!(
        "{SELECT} h WHERE kind >= ?1 AND kind < ?2 AND event_time >= ?3 AND event_time < ?4 AND recorded_at <= ?5
           AND NOT EXISTS (SELECT 1 FROM history c WHERE c.corrects = h.id AND c.recorded_at <= ?5)
         ORDER BY event_time, id"
    ))?;
    // U+10FFFF sorts behind every name that begins with the prefix.
    let upper = format!("{kind_prefix}\u{10FFFF}");
    let rows = statement.query_map(params![kind_prefix, upper, from.0, to.0, as_of.0], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The identity before all that is recorded at `moment` or later: where a reader's cursor begins.
pub fn history_mark(moment: Timestamp) -> HistoryId {
    HistoryId(crate::id::Ulid::from_parts(moment.0.max(0).unsigned_abs(), 0))
}

/// Events behind a cursor, in the order of their recording, at most `limit`. What was recorded a moment ago may be committed
/// a moment later: whoever must not miss anything stays a little behind the clock.
///
/// # Errors
/// The database's own.
pub fn history_since(connection: &Connection, after: HistoryId, limit: usize) -> Result<Vec<HistoryEvent>, DbError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE id >= ?1 ORDER BY id LIMIT ?2"))?;
    let rows = statement.query_map(params![after, i64::try_from(limit).unwrap_or(i64::MAX)], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const SELECT: &str = "SELECT id, event_time, recorded_at, kind, subject, body, actor, data, corrects FROM history";

fn from_row(row: &Row<'_>) -> rusqlite::Result<HistoryEvent> {
    let data: String = row.get(7)?;
    Ok(HistoryEvent {
        id: row.get(0)?,
        event_time: Timestamp(row.get(1)?),
        recorded_at: Timestamp(row.get(2)?),
        kind: row.get(3)?,
        subject: row.get(4)?,
        body: row.get(5)?,
        actor: row.get(6)?,
        data: serde_json::from_str(&data).unwrap_or(Value::Null),
        corrects: row.get(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Db;

    fn new(kind: &'static str, at: i64, corrects: Option<HistoryId>) -> NewHistory {
        let data = serde_json::json!({});
        NewHistory { event_time: Timestamp(at), kind, subject: "s".into(), body: None, actor: "system".into(), data, corrects }
    }

    #[test]
    fn a_correction_counts_only_once_it_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        db.write(|tx| {
            let first = history_add(tx, Timestamp(100), &new("incident.contained", 10, None))?;
            history_add(tx, Timestamp(200), &new("incident.contained", 12, Some(first)))?;
            history_add(tx, Timestamp(100), &new("incidental", 11, None)).map(|_| ())
        })
        .unwrap_or_else(|error: DbError| panic!("{error}"));
        let times = |as_of: i64| -> Vec<i64> {
            let all = db.read(|c| history_between(c, "incident.", Timestamp(0), Timestamp(99), Timestamp(as_of))).unwrap();
            all.iter().map(|event| event.event_time.0).collect()
        };
        assert_eq!((times(99), times(150), times(200)), (vec![], vec![10], vec![12]));
    }
}

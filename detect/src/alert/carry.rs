//! Alerts that go from one case to another: when cases are merged or split, and when somebody says where an alert belongs.
//! The moved alert says why it stands where it stands, and each has an event of its own.

use ingest::db::DbError;
use ingest::history::history_add;
use ingest::rusqlite::{Connection, Transaction};
use ingest::time::Timestamp;
use serde_json::json;

use super::{Alert, AlertId, SELECT, alert_row, alert_tie, told};
use crate::incident::{IncidentId, Where};

/// Identities in one query: far below what SQLite and PostgreSQL take as parameters.
const PART: usize = 500;

/// Puts alerts into a case.
pub(crate) fn alerts_carry(
    tx: &Transaction<'_>,
    alerts: &[Alert],
    into: IncidentId,
    because: &str,
    actor: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    for alert in alerts {
        alert_tie(tx, alert, into, because)?;
        let data = json!({ "from": alert.incident, "to": into, "because": because });
        history_add(tx, now, &told(alert, "alert.moved", now, actor, data))?;
    }
    Ok(())
}

/// All alerts of a case, the oldest first. Without a bound, because a case that is merged must leave none behind.
pub(crate) fn alerts_of_case(connection: &Connection, incident: IncidentId) -> Result<Vec<Alert>, DbError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE a.incident = ?1 ORDER BY a.id"))?;
    Ok(statement.query_map([incident], alert_row)?.collect::<Result<_, _>>()?)
}

/// Those of `ids` that there are, the oldest first.
pub(crate) fn alerts_find(connection: &Connection, ids: &[AlertId]) -> Result<Vec<Alert>, DbError> {
    let mut found = Vec::with_capacity(ids.len());
    for part in ids.chunks(PART) {
        let mut condition = Where::default();
        condition.any_of("a.id", part)?;
        let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE {}", condition.sql()))?;
        let rows = statement.query_map(condition.into_values(), alert_row)?;
        for alert in rows {
            found.push(alert?);
        }
    }
    found.sort_by_key(|alert| alert.id);
    found.dedup_by_key(|alert| alert.id);
    Ok(found)
}

//! Looking rows up, for those who read the log: by who, what, about what, when and a word, the newest first, a page at a
//! time by the row's number, so that a page costs the same however long the log is.

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, params_from_iter};

use super::{Audit, LIST_MAX, audit_row};
use crate::db::DbError;
use crate::time::Timestamp;

/// Rows that one search reads for a word: a few tenths of a second. What is older is found by asking on from there.
pub const SCAN_ROWS_MAX: i64 = 200_000;

/// What is looked for; an empty filter finds all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub actor: Option<String>,
    /// A kind, or with a dot at the end all that begin so (`incident.`).
    pub kind: String,
    /// An object, or the beginning of one.
    pub object: String,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// In detail or object, upper and lower case alike where they are ASCII.
    pub text: String,
    /// Only rows before this one.
    pub before: Option<i64>,
    pub limit: usize,
}

/// A page of rows.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    pub rows: Vec<Audit>,
    /// Where the next page begins; `None` where there is nothing older.
    pub next: Option<i64>,
    /// The bound on reading was met before the page was full.
    pub cut: bool,
}

/// The newest rows that fit.
///
/// # Errors
/// The database's own.
pub fn audit_find(connection: &Connection, filter: &AuditFilter) -> Result<AuditPage, DbError> {
    let newest: i64 = connection.prepare_cached("SELECT COALESCE(MAX(n), 0) FROM audit")?.query_row([], |row| row.get(0))?;
    let before = filter.before.unwrap_or(i64::MAX).min(newest.saturating_add(1));
    let floor = before.saturating_sub(SCAN_ROWS_MAX);
    let limit = filter.limit.clamp(1, LIST_MAX);
    let (mut sql, mut values) = (String::new(), vec![SqlValue::from(before), SqlValue::from(floor)]);
    let mut and = |condition: &str, value: SqlValue| {
        sql.push_str(condition);
        values.push(value);
    };
    if let Some(actor) = &filter.actor {
        and(" AND actor = ?", actor.clone().into());
    }
    match filter.kind.as_str() {
        "" => {}
        kind if kind.ends_with('.') => and(r" AND kind LIKE ? ESCAPE '\'", format!("{}%", escaped(kind)).into()),
        kind => and(" AND kind = ?", kind.to_owned().into()),
    }
    if !filter.object.is_empty() {
        and(r" AND object LIKE ? ESCAPE '\'", format!("{}%", escaped(&filter.object)).into());
    }
    if let Some(from) = filter.from {
        and(" AND at >= ?", from.0.into());
    }
    if let Some(to) = filter.to {
        and(" AND at < ?", to.0.into());
    }
    if !filter.text.is_empty() {
        let pattern = SqlValue::from(format!("%{}%", escaped(&filter.text.to_lowercase())));
        and(r" AND (LOWER(detail) LIKE ? ESCAPE '\'", pattern.clone());
        and(r" OR LOWER(object) LIKE ? ESCAPE '\')", pattern);
    }
    let count = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    values.push(count.into());
    let sql = format!("SELECT n, at, actor, kind, object, detail, hash FROM audit WHERE n < ? AND n >= ?{sql} ORDER BY n DESC LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query_map(params_from_iter(values), audit_row)?.collect::<Result<Vec<_>, _>>()?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let cut = !more && floor > 1;
    let next = if more { rows.last().map(|row| row.n) } else { cut.then_some(floor) };
    Ok(AuditPage { rows, next, cut })
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

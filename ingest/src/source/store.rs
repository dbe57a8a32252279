//! The inventory's SQL: what the pages, the command line and the alarms read of it, and what an operator expects.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Gaps, Source, SourceId};
use crate::body::SiteTable;
use crate::db::DbError;
use crate::frame::Seq;
use crate::history::{NewHistory, history_add};
use crate::scope::Scope;
use crate::time::Timestamp;

/// The visible sources, the longest silent first.
///
/// # Errors
/// The database's own.
pub fn source_list(connection: &Connection, scope: &Scope, sites: &SiteTable, now: Timestamp) -> Result<Vec<Source>, DbError> {
    let gaps: HashMap<SourceId, Gaps> = {
        let mut statement = connection.prepare_cached("SELECT source, gaps FROM source_gap")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, Gaps::of_text(&row.get::<_, String>(1)?))))?;
        rows.collect::<Result<_, _>>()?
    };
    let day: HashMap<SourceId, i64> = {
        let mut statement = connection.prepare_cached("SELECT source, SUM(frames) FROM source_hour WHERE hour > ?1 GROUP BY source")?;
        let rows = statement.query_map([hour(now) - 24], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    let mut statement = connection.prepare_cached(
        "SELECT site, peer, host, transport, kind, first_seen, last_seen, frames, bytes, records, defective, defects,
            formats, skew, expected
         FROM source ORDER BY last_seen, peer, host",
    )?;
    let mut sources = Vec::new();
    for row in statement.query_map([], source_row)? {
        let mut source = row?;
        if scope.site_allowed(source.site, sites) {
            source.day = day.get(&source.id).copied().unwrap_or(0);
            source.gaps = gaps.get(&source.id).cloned().unwrap_or_default();
            sources.push(source);
        }
    }
    Ok(sources)
}

/// One source, where the caller may see it.
///
/// # Errors
/// The database's own.
pub fn source_find(
    connection: &Connection,
    scope: &Scope,
    sites: &SiteTable,
    id: SourceId,
    now: Timestamp,
) -> Result<Option<Source>, DbError> {
    // The identity is a hash of the key, not a column: some thousand rows are looked through for one page.
    Ok(source_list(connection, scope, sites, now)?.into_iter().find(|source| source.id == id))
}

/// When the last frame of the visible sources came.
///
/// # Errors
/// The database's own.
pub fn source_last_seen(connection: &Connection, scope: &Scope, sites: &SiteTable) -> Result<Option<Timestamp>, DbError> {
    let mut statement = connection.prepare_cached("SELECT site, MAX(last_seen) FROM source GROUP BY site")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, Timestamp(row.get(1)?))))?;
    let mut last = None;
    for row in rows {
        let (site, seen) = row?;
        if scope.site_allowed(site, sites) {
            last = last.max(Some(seen));
        }
    }
    Ok(last)
}

/// The frames of each hour of the last week, the oldest first and hours without any as 0; of a source that the caller
/// may see.
///
/// # Errors
/// The database's own.
pub fn source_hours(connection: &Connection, id: SourceId, now: Timestamp) -> Result<Vec<(Timestamp, i64)>, DbError> {
    let first = hour(now) - HOURS_KEPT + 1;
    let mut statement = connection.prepare_cached("SELECT hour, frames FROM source_hour WHERE source = ?1 AND hour >= ?2")?;
    let rows = statement.query_map(params![id, first], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let known: HashMap<i64, i64> = rows.collect::<Result<_, _>>()?;
    let row = |hour: i64| (Timestamp(hour * Timestamp::HOUR), known.get(&hour).copied().unwrap_or(0));
    Ok((first..=hour(now)).map(row).collect())
}

/// Notes how often an operator expects a source: `None` leaves it to what is usual, 0 gives it up.
///
/// # Errors
/// The database's own.
pub fn source_expect(
    tx: &Transaction<'_>,
    source: &Source,
    sites: &SiteTable,
    expected: Option<i64>,
    actor: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    if source.expected == expected {
        return Ok(());
    }
    tx.prepare_cached("UPDATE source SET expected = ?6 WHERE site = ?1 AND peer = ?2 AND host = ?3 AND transport = ?4 AND kind = ?5")?
        .execute(params![source.site, source.peer, source.host, source.transport, source.kind, expected])?;
    let data = serde_json::json!({ "site": source.site, "from": source.expected, "to": expected });
    let told = NewHistory {
        event_time: now,
        kind: "source.expected",
        subject: source.id.to_string(),
        body: sites.body(source.site),
        actor: actor.to_owned(),
        data,
        corrects: None,
    };
    history_add(tx, now, &told).map(|_| ())
}

/// How far the inventory has counted: what lies at or below is in the tables.
///
/// # Errors
/// The database's own.
pub fn source_cursor(connection: &Connection) -> Result<Seq, DbError> {
    let row = connection.query_row("SELECT seq FROM source_cursor WHERE name = 'source'", [], |row| row.get::<_, i64>(0));
    Ok(Seq(row.optional()?.unwrap_or(0).unsigned_abs()))
}

/// Hours whose frames are kept one by one: a week, as a page draws it.
pub(super) const HOURS_KEPT: i64 = 7 * 24;

/// Hours since 1970 in UTC.
pub(super) fn hour(at: Timestamp) -> i64 {
    at.0.div_euclid(Timestamp::HOUR)
}

fn source_row(row: &Row<'_>) -> rusqlite::Result<Source> {
    let text = |column: usize| row.get::<_, String>(column);
    let (site, peer, host, transport, kind) = (row.get(0)?, text(1)?, text(2)?, text(3)?, text(4)?);
    Ok(Source {
        id: SourceId::of(site, &peer, &host, &transport, &kind),
        site,
        peer,
        host,
        transport,
        kind,
        first_seen: Timestamp(row.get(5)?),
        last_seen: Timestamp(row.get(6)?),
        frames: row.get(7)?,
        bytes: row.get(8)?,
        records: row.get(9)?,
        defective: row.get(10)?,
        defects: serde_json::from_str(&text(11)?).unwrap_or_default(),
        formats: serde_json::from_str(&text(12)?).unwrap_or_default(),
        skew: row.get(13)?,
        expected: row.get(14)?,
        day: 0,
        gaps: Gaps::default(),
    })
}

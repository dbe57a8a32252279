//! The tasks' table. Reading demands a scope, and any but the whole sees none.

use ingest::db::DbError;
use ingest::rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde::Serialize;

use super::{Task, TaskId};
use crate::incident::{IncidentId, ROWS_MAX, Where};

/// A step of the incident's migrations: a case that is merged takes its tasks along.
pub(crate) const MIGRATION: &str = "
    CREATE TABLE task (
        id TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        incident TEXT REFERENCES incident (id),
        assignee TEXT,
        due_at BIGINT,
        created_by TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        done_at BIGINT,
        done_by TEXT,
        version BIGINT NOT NULL
    );
    CREATE INDEX task_incident ON task (incident, id);
    CREATE INDEX task_open ON task (done_at, due_at);
";

/// "Done lately" looks back so far: last week's are the start of this week's round.
const LATELY: i64 = 7 * Timestamp::DAY;

/// Which tasks to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Open ones of this account.
    Mine(String),
    /// Open ones of nobody and of everybody.
    Team,
    /// Open ones whose time has passed.
    Overdue,
    /// Done within a week.
    Done,
    /// All of one case, the open ones first.
    Case(IncidentId),
}

/// The most urgent first: by due date, those without one last.
#[derive(Clone, Debug)]
pub struct TaskFilter {
    pub scope: Scope,
    pub which: Which,
    pub now: Timestamp,
    pub limit: usize,
}

/// For the start page and the tabs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TaskCounts {
    pub mine: u64,
    pub mine_overdue: u64,
    pub team: u64,
    pub overdue: u64,
}

const SELECT: &str = "SELECT k.id, k.title, k.incident, i.number, i.title, k.assignee, k.due_at, k.created_by, k.created_at, k.done_at,
        k.done_by, k.version
    FROM task k LEFT JOIN incident i ON i.id = k.incident";

/// # Errors
/// The database's own.
pub fn task_list(connection: &Connection, filter: &TaskFilter) -> Result<Vec<Task>, DbError> {
    if filter.scope != Scope::All {
        return Ok(Vec::new());
    }
    let mut condition = Where::default();
    match &filter.which {
        Which::Mine(user) => condition.and("k.done_at IS NULL AND k.assignee = ?", &[user])?,
        Which::Team => condition.and("k.done_at IS NULL", &[])?,
        Which::Overdue => condition.and("k.done_at IS NULL AND k.due_at < ?", &[&filter.now.0])?,
        Which::Done => condition.and("k.done_at >= ?", &[&filter.now.plus(-LATELY).0])?,
        Which::Case(incident) => condition.and("k.incident = ?", &[incident])?,
    }
    let order =
        if filter.which == Which::Done { "k.done_at DESC, k.id" } else { "k.done_at IS NOT NULL, k.due_at IS NULL, k.due_at, k.id" };
    let sql = format!("{SELECT} WHERE {} ORDER BY {order} LIMIT {}", condition.sql(), filter.limit.min(ROWS_MAX));
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(condition.into_values(), task_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// # Errors
/// The database's own.
pub fn task_get(connection: &Connection, scope: &Scope, id: TaskId) -> Result<Option<Task>, DbError> {
    if *scope != Scope::All {
        return Ok(None);
    }
    Ok(connection.prepare_cached(&format!("{SELECT} WHERE k.id = ?1"))?.query_row([id], task_row).optional()?)
}

/// # Errors
/// The database's own.
pub fn task_counts(connection: &Connection, scope: &Scope, user: &str, now: Timestamp) -> Result<TaskCounts, DbError> {
    if *scope != Scope::All {
        return Ok(TaskCounts::default());
    }
    let sql = "SELECT COUNT(*), COALESCE(SUM(CASE WHEN due_at < ?2 THEN 1 ELSE 0 END), 0),
            COALESCE(SUM(CASE WHEN assignee = ?1 THEN 1 ELSE 0 END), 0),
            COALESCE(SUM(CASE WHEN assignee = ?1 AND due_at < ?2 THEN 1 ELSE 0 END), 0)
        FROM task WHERE done_at IS NULL";
    let counts = connection.prepare_cached(sql)?.query_row(params![user, now.0], |row| {
        let count = |column: usize| Ok::<_, ingest::rusqlite::Error>(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0));
        Ok(TaskCounts { team: count(0)?, overdue: count(1)?, mine: count(2)?, mine_overdue: count(3)? })
    })?;
    Ok(counts)
}

pub(super) fn open_of(connection: &Connection, incident: IncidentId) -> Result<Vec<Task>, DbError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE k.incident = ?1 AND k.done_at IS NULL ORDER BY k.id"))?;
    Ok(statement.query_map([incident], task_row)?.collect::<Result<_, _>>()?)
}

pub(super) fn insert(tx: &Transaction<'_>, task: &Task) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO task (id, title, incident, assignee, due_at, created_by, created_at, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        task.id,
        task.title,
        task.incident,
        task.assignee,
        task.due_at.map(|at| at.0),
        task.created_by,
        task.created_at.0,
        task.version
    ])?;
    Ok(())
}

/// The one writer of the database, and the version was compared in the same transaction.
pub(super) fn write(tx: &Transaction<'_>, task: &Task) -> Result<(), DbError> {
    tx.prepare_cached(
        "UPDATE task SET title = ?2, incident = ?3, assignee = ?4, due_at = ?5, done_at = ?6, done_by = ?7, version = ?8 WHERE id = ?1",
    )?
    .execute(params![
        task.id,
        task.title,
        task.incident,
        task.assignee,
        task.due_at.map(|at| at.0),
        task.done_at.map(|at| at.0),
        task.done_by,
        task.version,
    ])?;
    Ok(())
}

fn task_row(row: &Row<'_>) -> ingest::rusqlite::Result<Task> {
    let time = |column: usize| Ok::<_, ingest::rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp));
    Ok(Task {
        id: row.get(0)?,
        title: row.get(1)?,
        incident: row.get(2)?,
        case_number: row.get(3)?,
        case_title: row.get(4)?,
        assignee: row.get(5)?,
        due_at: time(6)?,
        created_by: row.get(7)?,
        created_at: Timestamp(row.get(8)?),
        done_at: time(9)?,
        done_by: row.get(10)?,
        version: row.get(11)?,
    })
}

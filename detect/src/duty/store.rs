//! The clocks' table. They start by themselves: whoever changes a case, or the minute's look, asks `clocks_start`.

use ingest::body::BodyId;
use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;

use super::{By, Clock, ClockId, Duties, Duty, DutyState, Recipient, Trigger, tell};
use crate::incident::{CaseError, Incident, IncidentFilter, IncidentId, ROWS_MAX, State, Where, incident_find, incident_list, word_known};
use crate::reminder::Waiting;

pub const MIGRATIONS: Migrations = Migrations {
    owner: "duty",
    steps: &["
        CREATE TABLE duty_clock (
            id TEXT PRIMARY KEY,
            incident TEXT NOT NULL,
            duty TEXT NOT NULL,
            title TEXT NOT NULL,
            basis TEXT NOT NULL,
            by_whom TEXT NOT NULL,
            recipient TEXT NOT NULL,
            channel_known TEXT NOT NULL,
            question TEXT,
            state TEXT NOT NULL,
            started_at BIGINT NOT NULL,
            due_at BIGINT NOT NULL,
            answers TEXT NOT NULL,
            sent_at BIGINT,
            channel TEXT,
            reference TEXT,
            received_at BIGINT,
            reason TEXT,
            version BIGINT NOT NULL,
            UNIQUE (incident, duty)
        );
        CREATE INDEX duty_clock_open ON duty_clock (state, due_at);
    "],
};

/// Open cases that one look goes through; more than a few hundred were never open at once.
const CASES_MAX: usize = ROWS_MAX;

/// Starts what has to run in open cases and does not yet, and says how many. The same again starts nothing.
///
/// # Errors
/// The database's own.
pub fn clocks_start(tx: &Transaction<'_>, duties: &Duties, now: Timestamp) -> Result<usize, CaseError> {
    let open = IncidentFilter { states: State::OPEN.to_vec(), limit: CASES_MAX, ..IncidentFilter::new(Scope::All) };
    let mut started = 0;
    for incident in incident_list(tx, &open)? {
        started += start(tx, duties, &incident, now)?;
    }
    Ok(started)
}

/// The same for one case, whose facts have just changed.
pub(super) fn clocks_start_of(tx: &Transaction<'_>, duties: &Duties, id: IncidentId, now: Timestamp) -> Result<usize, CaseError> {
    match incident_find(tx, id)? {
        Some(incident) => start(tx, duties, &incident, now),
        None => Ok(0),
    }
}

fn start(tx: &Transaction<'_>, duties: &Duties, incident: &Incident, now: Timestamp) -> Result<usize, CaseError> {
    let known = of_incident(tx, incident.id)?;
    let mut started = 0;
    for duty in duties.iter().filter(|duty| duty.fits(incident)) {
        if known.iter().any(|clock| clock.duty == duty.name) {
            continue;
        }
        let begin = match &duty.trigger {
            Trigger::Aware => Some(incident.detected_at),
            Trigger::Opened => Some(incident.opened_at),
            Trigger::Sent(name) => known.iter().find(|clock| clock.duty == *name).and_then(|clock| clock.sent_at),
        };
        let Some(begin) = begin else { continue };
        let clock = clock_new(duty, incident.id, begin, now);
        insert(tx, &clock)?;
        let kind = if clock.state == DutyState::Asked { "duty.asked" } else { "duty.due" };
        tell(tx, &clock, incident.body, kind, begin.min(now), "system", now)?;
        started += 1;
    }
    Ok(started)
}

fn clock_new(duty: &Duty, incident: IncidentId, started_at: Timestamp, now: Timestamp) -> Clock {
    Clock {
        id: ClockId::new(now),
        incident,
        duty: duty.name.clone(),
        title: duty.title.clone(),
        basis: duty.basis.clone(),
        by: duty.by,
        recipient: duty.recipient.clone(),
        question: duty.question.clone(),
        state: if duty.question.is_some() { DutyState::Asked } else { DutyState::Running },
        started_at,
        due_at: duty.within.due(started_at),
        answers: std::collections::BTreeMap::new(),
        sent_at: None,
        channel: None,
        reference: None,
        received_at: None,
        reason: None,
        version: 1,
    }
}

/// Which clocks to list: those due first come first.
#[derive(Clone, Debug)]
pub struct ClockFilter {
    pub scope: Scope,
    /// Empty for all.
    pub states: Vec<DutyState>,
    /// Due before.
    pub due_before: Option<Timestamp>,
    pub limit: usize,
}

impl ClockFilter {
    /// The first 100 that somebody still has to do something for.
    pub fn open(scope: Scope) -> Self {
        Self { scope, states: vec![DutyState::Asked, DutyState::Running], due_before: None, limit: 100 }
    }
}

/// # Errors
/// The database's own.
pub fn clock_list(connection: &Connection, filter: &ClockFilter) -> Result<Vec<Clock>, DbError> {
    let mut condition = Where::default();
    condition.scope("i.body", &filter.scope)?;
    if filter.scope != Scope::All {
        condition.and("c.by_whom = 'body'", &[])?;
    }
    if !filter.states.is_empty() {
        condition.any_of("c.state", &filter.states.iter().map(|state| state.as_str()).collect::<Vec<_>>())?;
    }
    if let Some(before) = filter.due_before {
        condition.and("c.due_at < ?", &[&before.0])?;
    }
    let limit = filter.limit.min(ROWS_MAX);
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} {FROM} WHERE {} ORDER BY c.due_at, c.id LIMIT {limit}", condition.sql()))?;
    let rows = statement.query_map(condition.into_values(), |row| Ok(row_read(row)?.0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The clocks of one case that `scope` may see: a body's people see those that are the body's own.
///
/// # Errors
/// The database's own.
pub fn clocks_of(connection: &Connection, scope: &Scope, incident: IncidentId) -> Result<Vec<Clock>, DbError> {
    let mut condition = Where::default();
    condition.and("c.incident = ?", &[&incident])?;
    condition.scope("i.body", scope)?;
    if *scope != Scope::All {
        condition.and("c.by_whom = 'body'", &[])?;
    }
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} {FROM} WHERE {} ORDER BY c.due_at, c.id", condition.sql()))?;
    let rows = statement.query_map(condition.into_values(), |row| Ok(row_read(row)?.0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn of_incident(connection: &Connection, incident: IncidentId) -> Result<Vec<Clock>, DbError> {
    clocks_of(connection, &Scope::All, incident)
}

pub(super) fn find(connection: &Connection, id: ClockId) -> Result<Option<(Clock, Option<BodyId>)>, DbError> {
    Ok(connection.prepare_cached(&format!("SELECT {COLUMNS} {FROM} WHERE c.id = ?1"))?.query_row([id], row_read).optional()?)
}

/// The clocks of open cases that somebody still has to do something for, with the case's number, its body and the body's name.
///
/// # Errors
/// The database's own.
pub(crate) fn open_clocks(connection: &Connection) -> Result<Vec<Waiting<Clock>>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS}, i.number, COALESCE(b.name, '') {FROM} LEFT JOIN body b ON b.id = i.body
         WHERE c.state IN ('asked', 'running') AND i.state <> 'closed' ORDER BY c.due_at, c.id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], |row| {
        let (clock, body) = row_read(row)?;
        Ok((clock, row.get(20)?, body, row.get(21)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const COLUMNS: &str = "c.id, c.incident, c.duty, c.title, c.basis, c.by_whom, c.recipient, c.channel_known, c.question, c.state,
        c.started_at, c.due_at, c.answers, c.sent_at, c.channel, c.reference, c.received_at, c.reason, c.version, i.body";
const FROM: &str = "FROM duty_clock c JOIN incident i ON i.id = c.incident";

fn row_read(row: &Row<'_>) -> ingest::rusqlite::Result<(Clock, Option<BodyId>)> {
    let time = |column: usize| Ok::<_, ingest::rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp));
    let by = match row.get::<_, String>(5)?.as_str() {
        "body" => Some(By::Body),
        "cert" => Some(By::Cert),
        _ => None,
    };
    let clock = Clock {
        id: row.get(0)?,
        incident: row.get(1)?,
        duty: row.get(2)?,
        title: row.get(3)?,
        basis: row.get(4)?,
        by: word_known(5, by)?,
        recipient: Recipient { name: row.get(6)?, channel: row.get(7)? },
        question: row.get(8)?,
        state: word_known(9, DutyState::parse(&row.get::<_, String>(9)?))?,
        started_at: Timestamp(row.get(10)?),
        due_at: Timestamp(row.get(11)?),
        answers: serde_json::from_str(&row.get::<_, String>(12)?).unwrap_or_default(),
        sent_at: time(13)?,
        channel: row.get(14)?,
        reference: row.get(15)?,
        received_at: time(16)?,
        reason: row.get(17)?,
        version: row.get(18)?,
    };
    Ok((clock, row.get(19)?))
}

fn insert(tx: &Transaction<'_>, clock: &Clock) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO duty_clock (id, incident, duty, title, basis, by_whom, recipient, channel_known, question, state, started_at, due_at,
            answers, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, '{}', ?13)",
    )?
    .execute(params![
        clock.id,
        clock.incident,
        clock.duty,
        clock.title,
        clock.basis,
        match clock.by {
            By::Body => "body",
            By::Cert => "cert",
        },
        clock.recipient.name,
        clock.recipient.channel,
        clock.question,
        clock.state.as_str(),
        clock.started_at.0,
        clock.due_at.0,
        clock.version,
    ])?;
    Ok(())
}

/// Takes back a clock that should not have started; its history stays.
pub(super) fn remove(tx: &Transaction<'_>, id: ClockId) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM duty_clock WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Writes what may change, if the stored version is still `version`; says whether it was.
pub(super) fn write(tx: &Transaction<'_>, clock: &Clock, version: i64) -> Result<bool, DbError> {
    let changed = tx
        .prepare_cached(
            "UPDATE duty_clock SET state = ?3, answers = ?4, sent_at = ?5, channel = ?6, reference = ?7, received_at = ?8, reason = ?9,
                version = ?10
             WHERE id = ?1 AND version = ?2",
        )?
        .execute(params![
            clock.id,
            version,
            clock.state.as_str(),
            serde_json::to_string(&clock.answers).unwrap_or_default(),
            clock.sent_at.map(|at| at.0),
            clock.channel,
            clock.reference,
            clock.received_at.map(|at| at.0),
            clock.reason,
            clock.version,
        ])?;
    Ok(changed == 1)
}

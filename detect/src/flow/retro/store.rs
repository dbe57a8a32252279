//! The hunts as stored: which there are, how far each has come in flows and in events, and how new indicators become one.

use ingest::audit::{NewAudit, audit_add};
use ingest::db::DbError;
use ingest::rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use ingest::time::Timestamp;

ingest::id_type!(
    /// One search in hindsight for what one list brought at once.
    RetroHuntId
);

/// Indicators that are tied to their hunt in one transaction: some tens of milliseconds of the one writer.
const TIED_PER_WRITE: usize = 20_000;
/// The lists in force are exchanged so long before the detector takes over: what is on its way is judged by one of both.
const LEAD: i64 = Timestamp::MINUTE;
/// Hunts that people see, the newest.
const LISTED_MAX: usize = 200;

/// How a hunt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetroState {
    /// Indicators are still being tied to it.
    Gathering,
    Running,
    Done,
    Cancelled,
}

impl RetroState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gathering => "gathering",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    fn parse(text: &str) -> Self {
        [Self::Gathering, Self::Running, Self::Done].into_iter().find(|state| state.as_str() == text).unwrap_or(Self::Cancelled)
    }
}

/// A hunt as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetroHunt {
    pub id: RetroHuntId,
    pub list: String,
    /// Counts the times that the list brought something new.
    pub version: i64,
    pub state: RetroState,
    pub indicators: i64,
    /// Receipt: from where, to where (exclusive), and how far it has come.
    pub from: Timestamp,
    pub to: Timestamp,
    pub reached: Timestamp,
    /// The same in the events; `None` while it is being prepared.
    pub event_reached: Option<Timestamp>,
    /// Flows and events that met an indicator, and what was told of them.
    pub hits: i64,
    pub event_hits: i64,
    pub findings: i64,
    pub begun_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Who cancelled it.
    pub ended_by: Option<String>,
}

impl RetroHunt {
    /// Percent of the time to be searched.
    pub fn percent(&self) -> u8 {
        // Flows come first, then events over the same days; where there is no event store, it is all flows.
        let part = |reached: Timestamp| reached.since(self.from).max(0);
        let events = self.event_reached.filter(|reached| *reached < self.to);
        let (done, parts) = match events {
            Some(events) => (part(self.reached).saturating_add(part(events)), 2),
            None => (part(self.reached), 1),
        };
        let all = self.to.since(self.from).max(1).saturating_mul(parts);
        match self.state {
            RetroState::Done => 100,
            RetroState::Gathering => 0,
            _ => u8::try_from(done.saturating_mul(100) / all).unwrap_or(100).min(99),
        }
    }
}

const COLUMNS: &str =
    "id, list, version, state, indicators, from_at, to_at, reached, hits, findings, begun_at, ended_at, ended_by, event_reached,
     event_hits";

fn hunt_from_row(row: &Row<'_>) -> ingest::rusqlite::Result<RetroHunt> {
    let state: String = row.get(3)?;
    let ended_at: Option<i64> = row.get(11)?;
    Ok(RetroHunt {
        id: row.get(0)?,
        list: row.get(1)?,
        version: row.get(2)?,
        state: RetroState::parse(&state),
        indicators: row.get(4)?,
        from: Timestamp(row.get(5)?),
        to: Timestamp(row.get(6)?),
        reached: Timestamp(row.get(7)?),
        hits: row.get(8)?,
        findings: row.get(9)?,
        begun_at: Timestamp(row.get(10)?),
        ended_at: ended_at.map(Timestamp),
        ended_by: row.get(12)?,
        event_reached: row.get::<_, Option<i64>>(13)?.map(Timestamp),
        event_hits: row.get(14)?,
    })
}

/// The newest hunts.
///
/// # Errors
/// The database's own.
pub fn retro_list(connection: &Connection) -> Result<Vec<RetroHunt>, DbError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM retro_hunt ORDER BY begun_at DESC, id DESC LIMIT {LISTED_MAX}"))?;
    let rows = statement.query_map([], hunt_from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// In what a hunt still has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Flows,
    Events,
}

impl Stage {
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::Flows => "reached",
            Self::Events => "event_reached",
        }
    }
}

/// The hunts that still have to look there, those that are furthest behind first.
pub(super) fn retro_running(connection: &Connection, stage: Stage) -> Result<Vec<RetroHunt>, DbError> {
    let column = stage.column();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM retro_hunt WHERE state = 'running' AND {column} < to_at ORDER BY {column}, to_at, id"
    ))?;
    let rows = statement.query_map([], hunt_from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Ends a hunt that runs; says whether there was one.
///
/// # Errors
/// The database's own.
pub fn retro_cancel(tx: &Transaction<'_>, id: RetroHuntId, audit: &NewAudit, name: &str, now: Timestamp) -> Result<bool, DbError> {
    let changed = tx.execute(
        "UPDATE retro_hunt SET state = 'cancelled', ended_at = ?2, ended_by = ?3 WHERE id = ?1 AND state IN ('running', 'gathering')",
        params![id, now.0, name],
    )?;
    if changed > 0 {
        audit_add(tx, now, audit)?;
    }
    Ok(changed > 0)
}

/// Ties new indicators to hunts, so many at once; returns whether there are more.
pub(super) fn retro_gather(tx: &Transaction<'_>, now: Timestamp) -> Result<bool, DbError> {
    let list: Option<String> =
        tx.prepare_cached("SELECT list FROM indicator WHERE hunt IS NULL LIMIT 1")?.query_row([], |row| row.get(0)).optional()?;
    let Some(list) = list else { return Ok(false) };
    let mut gathering = tx.prepare_cached("SELECT id FROM retro_hunt WHERE list = ?1 AND state = 'gathering'")?;
    let hunt: Option<RetroHuntId> = gathering.query_row([&list], |row| row.get(0)).optional()?;
    let hunt = match hunt {
        Some(hunt) => hunt,
        None => {
            let id = RetroHuntId::new(now);
            // Until all are tied, none of them is judged as flows come.
            tx.execute(
                "INSERT INTO retro_hunt (id, list, version, state, indicators, from_at, to_at, reached, hits, findings, begun_at)
                 VALUES (?1, ?2, (SELECT COALESCE(MAX(version), 0) + 1 FROM retro_hunt WHERE list = ?2), 'gathering', 0, 0, ?3, 0, 0, 0, ?4)",
                params![id, list, i64::MAX, now.0],
            )?;
            id
        }
    };
    let tied = tx.execute(
        "UPDATE indicator SET hunt = ?1 WHERE id IN (SELECT id FROM indicator WHERE hunt IS NULL AND list = ?2 LIMIT ?3)",
        params![hunt, list, i64::try_from(TIED_PER_WRITE).unwrap_or(i64::MAX)],
    )?;
    tx.execute("UPDATE retro_hunt SET indicators = indicators + ?2 WHERE id = ?1", params![hunt, i64::try_from(tied).unwrap_or(0)])?;
    Ok(true)
}

/// Sends what has been gathered on its way: from here on the detector takes over at `to_at`. A list that brought no
/// addresses has nothing that flows could tell; where there is no event store, nobody looks into it.
pub(super) fn retro_begin(tx: &Transaction<'_>, millis: i64, enabled: bool, events: bool, now: Timestamp) -> Result<usize, DbError> {
    let (from, to) = (now.plus(-millis), now.plus(LEAD));
    let begun = tx.execute(
        "UPDATE retro_hunt SET state = ?3, from_at = ?1, to_at = ?2, event_reached = CASE WHEN ?4 THEN ?1 ELSE ?2 END,
         reached = CASE WHEN EXISTS (SELECT 1 FROM indicator WHERE indicator.hunt = retro_hunt.id AND indicator.kind IN ('address', 'prefix'))
         THEN ?1 ELSE ?2 END WHERE state = 'gathering'",
        params![from.0, to.0, if enabled { RetroState::Running } else { RetroState::Cancelled }.as_str(), events],
    )?;
    retro_end(tx, now)?;
    Ok(begun)
}

/// Ends the hunts that have looked at everything.
pub(super) fn retro_end(tx: &Transaction<'_>, now: Timestamp) -> Result<usize, DbError> {
    let mut end = tx.prepare_cached(
        "UPDATE retro_hunt SET state = 'done', ended_at = ?1 WHERE state = 'running' AND reached >= to_at AND event_reached >= to_at",
    )?;
    Ok(end.execute([now.0])?)
}

/// Moves hunts on behind what was just filed; says of how many, as some may be cancelled meanwhile.
pub(super) fn retro_move(
    tx: &Transaction<'_>,
    stage: Stage,
    moves: &[(RetroHuntId, i64, i64)],
    until: Timestamp,
    now: Timestamp,
) -> Result<usize, DbError> {
    let text = match stage {
        Stage::Flows => {
            "UPDATE retro_hunt SET reached = ?2, hits = hits + ?3, findings = findings + ?4 WHERE id = ?1 AND state = 'running'"
        }
        Stage::Events => {
            "UPDATE retro_hunt SET event_reached = ?2, event_hits = event_hits + ?3, findings = findings + ?4 WHERE id = ?1 AND state = 'running'"
        }
    };
    let mut moved = 0;
    for (id, hits, findings) in moves {
        moved += tx.prepare_cached(text)?.execute(params![id, until.0, hits, findings])?;
    }
    retro_end(tx, now)?;
    Ok(moved)
}

pub(super) fn retro_gathering(connection: &Connection) -> Result<i64, DbError> {
    Ok(connection.query_row("SELECT COUNT(*) FROM retro_hunt WHERE state = 'gathering'", [], |row| row.get(0))?)
}

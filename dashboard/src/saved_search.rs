//! Saved searches: a query with its time under a name, its owner's and of those roles that he shares it with; and the
//! schedules that run some of them (`saved_run` does). Every change is in the audit log, in its own transaction.
//!
//! A saved search gives nobody anything to see: who opens one searches as himself.

use detect::role::Role;
use detect::rule::Level;
use ingest::audit::{NewAudit, audit_add};
use ingest::body::BodyId;
use ingest::db::{DbError, Migrations};
use ingest::query::Pipeline;
use ingest::rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use ingest::time::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::access::{CERT, Verdict, Viewer, judge};
use crate::session::hex;
use crate::user::UserId;

ingest::id_type!(
    /// A search under a name.
    SavedSearchId
);

pub const MIGRATIONS: Migrations = Migrations {
    owner: "saved_search",
    steps: &[
        "
        CREATE TABLE saved_search (
            id TEXT PRIMARY KEY,
            owner TEXT NOT NULL REFERENCES user_account (id),
            name TEXT NOT NULL,
            query TEXT NOT NULL,
            span TEXT NOT NULL,
            from_at TEXT NOT NULL,
            to_at TEXT NOT NULL,
            body TEXT,
            roles TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            changed_at BIGINT NOT NULL
        );
        CREATE INDEX saved_search_owner ON saved_search (owner, name);
        CREATE TABLE search_schedule (
            search TEXT PRIMARY KEY REFERENCES saved_search (id),
            every_minutes BIGINT NOT NULL,
            count_min BIGINT NOT NULL,
            group_field TEXT NOT NULL,
            level TEXT NOT NULL,
            cool_down_minutes BIGINT NOT NULL,
            done_until BIGINT NOT NULL,
            learned BIGINT NOT NULL,
            ran_at BIGINT,
            took_millis BIGINT NOT NULL,
            hits BIGINT NOT NULL,
            fault TEXT NOT NULL,
            alerted_at BIGINT,
            alert TEXT
        );
        CREATE TABLE search_group (
            search TEXT NOT NULL REFERENCES saved_search (id),
            value TEXT NOT NULL,
            seen_at BIGINT NOT NULL,
            PRIMARY KEY (search, value)
        );
    ",
        "
        -- From here on `value` is a digest (`known_as`). What stands here in clear goes, and is learned anew.
        DELETE FROM search_group;
        UPDATE search_schedule SET learned = 0;
    ",
    ],
};

pub const NAME_CHARS_MAX: usize = 120;
/// One page shows them all.
pub const PER_OWNER_MAX: i64 = 100;
/// Searches that run by themselves: each of them as long as it may (`saved_run::RUN_TIME_MAX`), one after the other, fills
/// the shortest interval and no more.
pub const SCHEDULED_MAX: i64 = 50;
/// Of these one account's: five of them leave room for all of a small team.
pub const SCHEDULED_PER_OWNER_MAX: i64 = 10;
/// The intervals in minutes that a schedule can have.
pub const INTERVALS: [i64; 6] = [5, 10, 15, 30, 60, 1_440];
/// A week; who wants to hear less often than that wants a report.
pub const COOL_DOWN_MINUTES_MAX: i64 = 7 * 1_440;
/// Different values that a schedule remembers as known.
pub const GROUPS_MAX: i64 = 10_000;
/// How long a value is known after it was last seen: a year and some, so that what comes once a year is not new.
const GROUP_DAYS: i64 = 400;

/// What is searched for and how far back, as the page's address says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub query: String,
    /// One of the page's spans (`24h`), or empty where `from` and `to` say it.
    pub span: String,
    pub from: String,
    pub to: String,
    /// Only what belongs to this body.
    pub body: Option<BodyId>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SavedSearch {
    pub id: SavedSearchId,
    pub owner: UserId,
    pub name: String,
    pub asked: Asked,
    /// Who else finds it in his list.
    pub roles: Vec<Role>,
    pub changed_at: Timestamp,
    /// It runs by itself.
    pub scheduled: bool,
}

/// When a scheduled search is worth an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// At least so many events in one interval; of a search with a pipe, a row of its table whose first number is that large.
    Count(u64),
    /// A value of this field that no earlier interval had.
    NewGroup(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub search: SavedSearchId,
    pub every_minutes: i64,
    pub threshold: Threshold,
    pub level: Level,
    /// After an alert no other for so long; only for `Threshold::Count`, since a new value is new once.
    pub cool_down_minutes: i64,
    /// Every interval up to here was looked at.
    pub done_until: Timestamp,
    /// Whether the first interval, whose values are all new, is behind it.
    pub learned: bool,
    pub last: LastRun,
}

/// How the last run went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastRun {
    pub at: Option<Timestamp>,
    pub took_millis: i64,
    pub hits: i64,
    /// German: why it could not be done, or not wholly; empty where all is well.
    pub fault: String,
    pub alerted_at: Option<Timestamp>,
    /// The alert's id.
    pub alert: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    #[error("the name is empty or too long")]
    Name,
    #[error("the query cannot be understood: {0}")]
    Query(String),
    #[error("there are as many as can be kept")]
    TooMany,
    #[error("the schedule makes no sense")]
    Schedule,
    /// Not there, or not his to change.
    #[error("no such search")]
    NotFound,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<ingest::rusqlite::Error> for SavedError {
    fn from(error: ingest::rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

impl Asked {
    /// Whether it makes a table of its matches.
    pub fn is_table(&self) -> bool {
        !Pipeline::split(&self.query).1.is_empty()
    }
}

impl SavedSearch {
    /// Whether it stands in somebody's list: his own or shared with him; and the lead sees all that runs by itself.
    pub fn visible(&self, viewer: &Viewer) -> bool {
        self.offered(viewer) || self.endable(viewer)
    }

    /// His own, or shared with his role and about what he may see at all.
    pub fn offered(&self, viewer: &Viewer) -> bool {
        let shared = self.roles.contains(&viewer.role);
        let theirs = self.asked.body.is_none_or(|body| viewer.scope.body_allowed(Some(body)));
        self.owner == viewer.user || (shared && theirs)
    }

    /// Whether somebody may change it: the owner, and the lead what is shared, since people leave.
    pub fn editable(&self, viewer: &Viewer) -> bool {
        self.owner == viewer.user || (viewer.role == Role::Lead && self.offered(viewer))
    }

    /// Whether somebody may end that it runs: who may change it, and the lead, whosever it is: it takes one of few places.
    pub fn endable(&self, viewer: &Viewer) -> bool {
        self.editable(viewer) || (viewer.role == Role::Lead && self.scheduled)
    }
}

/// The roles that a search can be shared with: those that may search.
pub fn roles_to_share() -> impl Iterator<Item = Role> {
    Role::ALL.into_iter().filter(|role| judge(CERT, Some(*role)) == Verdict::Enter)
}

fn name_clean(name: &str) -> Result<String, SavedError> {
    let name = name.trim();
    let fits = !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.contains(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err(SavedError::Name) }
}

fn roles_json(roles: &[Role]) -> String {
    let mut names: Vec<&str> = roles_to_share().filter(|role| roles.contains(role)).map(Role::as_str).collect();
    names.sort_unstable();
    json!(names).to_string()
}

/// As the audit log lists them.
fn roles_list(json: &str) -> String {
    serde_json::from_str::<Vec<String>>(json).unwrap_or_default().join(", ")
}

/// Saves a search of `viewer`; `told` is its query as the audit log may have it, with pseudonyms for persons.
///
/// # Errors
/// A name that is none, a query that cannot be understood, too many; the database's own.
pub fn saved_search_add(
    tx: &Transaction<'_>,
    viewer: &Viewer,
    name: &str,
    asked: &Asked,
    told: &str,
    roles: &[Role],
    now: Timestamp,
) -> Result<SavedSearchId, SavedError> {
    let name = name_clean(name)?;
    Pipeline::parse(&asked.query, now).map_err(|error| SavedError::Query(error.message))?;
    if asked.body.is_some_and(|body| !viewer.scope.body_allowed(Some(body))) {
        return Err(SavedError::NotFound);
    }
    let count: i64 = tx.query_row("SELECT COUNT(*) FROM saved_search WHERE owner = ?1", [viewer.user], |row| row.get(0))?;
    if count >= PER_OWNER_MAX {
        return Err(SavedError::TooMany);
    }
    let (id, roles) = (SavedSearchId::new(now), roles_json(roles));
    tx.execute(
        "INSERT INTO saved_search (id, owner, name, query, span, from_at, to_at, body, roles, created_at, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)",
        params![id, viewer.user, name, asked.query, asked.span, asked.from, asked.to, asked.body, roles, now.0],
    )?;
    noted(tx, viewer, "saved_search.added", id, json!({ "name": name, "query": told, "roles": roles_list(&roles) }), now)?;
    Ok(id)
}

/// Renames and shares; the query stays what it is.
///
/// # Errors
/// A name that is none, a search that is not there or not his; the database's own.
pub fn saved_search_change(
    tx: &Transaction<'_>,
    viewer: &Viewer,
    id: SavedSearchId,
    name: &str,
    roles: &[Role],
    now: Timestamp,
) -> Result<(), SavedError> {
    let before = editable(tx, viewer, id)?;
    let (name, roles) = (name_clean(name)?, roles_json(roles));
    tx.execute("UPDATE saved_search SET name = ?2, roles = ?3, changed_at = ?4 WHERE id = ?1", params![id, name, roles, now.0])?;
    let was = json!({ "name": before.name, "roles": roles_list(&roles_json(&before.roles)) });
    noted(tx, viewer, "saved_search.changed", id, json!({ "before": was, "after": { "name": name, "roles": roles_list(&roles) } }), now)
}

/// # Errors
/// A search that is not there or not his; the database's own.
pub fn saved_search_delete(tx: &Transaction<'_>, viewer: &Viewer, id: SavedSearchId, now: Timestamp) -> Result<(), SavedError> {
    let before = editable(tx, viewer, id)?;
    for table in ["search_group", "search_schedule"] {
        tx.execute(&format!("DELETE FROM {table} WHERE search = ?1"), [id])?;
    }
    tx.execute("DELETE FROM saved_search WHERE id = ?1", [id])?;
    noted(tx, viewer, "saved_search.deleted", id, json!({ "name": before.name }), now)
}

/// Those in somebody's list, by name.
///
/// # Errors
/// The database's own.
pub fn saved_search_list(connection: &Connection, viewer: &Viewer) -> Result<Vec<SavedSearch>, DbError> {
    // His own, and whatever is shared or runs: an account has a hundred at most, and those that search are some dozens.
    let mut statement =
        connection.prepare_cached(&format!("{SELECT} WHERE owner = ?1 OR roles <> '[]' OR {SCHEDULED} ORDER BY name, id"))?;
    let all: Vec<SavedSearch> = statement.query_map([viewer.user], saved_row)?.collect::<Result<_, _>>()?;
    Ok(all.into_iter().filter(|search| search.visible(viewer)).collect())
}

/// One that somebody may see.
///
/// # Errors
/// The database's own.
pub fn saved_search_get(connection: &Connection, viewer: &Viewer, id: SavedSearchId) -> Result<Option<SavedSearch>, DbError> {
    Ok(saved_search_find(connection, id)?.filter(|search| search.visible(viewer)))
}

/// For the program itself.
///
/// # Errors
/// The database's own.
pub(crate) fn saved_search_find(connection: &Connection, id: SavedSearchId) -> Result<Option<SavedSearch>, DbError> {
    Ok(connection.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?.query_row([id], saved_row).optional()?)
}

fn editable(connection: &Connection, viewer: &Viewer, id: SavedSearchId) -> Result<SavedSearch, SavedError> {
    let found = saved_search_find(connection, id)?.filter(|search| search.editable(viewer));
    found.ok_or(SavedError::NotFound)
}

const SCHEDULED: &str = "EXISTS (SELECT 1 FROM search_schedule WHERE search_schedule.search = saved_search.id)";
const SELECT: &str = "SELECT id, owner, name, query, span, from_at, to_at, body, roles, changed_at,
    EXISTS (SELECT 1 FROM search_schedule WHERE search_schedule.search = saved_search.id) FROM saved_search";

fn saved_row(row: &Row<'_>) -> ingest::rusqlite::Result<SavedSearch> {
    let roles: String = row.get(8)?;
    let names: Vec<String> = serde_json::from_str(&roles).unwrap_or_default();
    Ok(SavedSearch {
        id: row.get(0)?,
        owner: row.get(1)?,
        name: row.get(2)?,
        asked: Asked { query: row.get(3)?, span: row.get(4)?, from: row.get(5)?, to: row.get(6)?, body: row.get(7)? },
        // A role that this program does not know sees nothing by it.
        roles: names.iter().filter_map(|name| Role::parse(name)).collect(),
        changed_at: Timestamp(row.get(9)?),
        scheduled: row.get(10)?,
    })
}

/// What somebody wants of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSchedule {
    pub every_minutes: i64,
    pub threshold: Threshold,
    pub level: Level,
    pub cool_down_minutes: i64,
}

/// Lets a search run by itself from now on; one that does goes on from where it is, by the new rule. `None` ends it.
/// It runs as its owner, so only he sets it; the lead may end it.
///
/// # Errors
/// Values that make no sense, too many schedules, a search that is not there or not his; the database's own.
pub fn schedule_set(
    tx: &Transaction<'_>,
    viewer: &Viewer,
    id: SavedSearchId,
    new: Option<&NewSchedule>,
    now: Timestamp,
) -> Result<(), SavedError> {
    let search = saved_search_find(tx, id)?.filter(|search| search.endable(viewer)).ok_or(SavedError::NotFound)?;
    let Some(new) = new else {
        for table in ["search_group", "search_schedule"] {
            tx.execute(&format!("DELETE FROM {table} WHERE search = ?1"), [id])?;
        }
        return noted(tx, viewer, "saved_search.unscheduled", id, json!({ "name": search.name }), now);
    };
    if search.owner != viewer.user {
        return Err(SavedError::NotFound);
    }
    let (count, field) = match &new.threshold {
        Threshold::Count(count) => (i64::try_from(*count).unwrap_or(0), ""),
        Threshold::NewGroup(field) => (0, field.as_str()),
    };
    let sound = INTERVALS.contains(&new.every_minutes)
        && (0..=COOL_DOWN_MINUTES_MAX).contains(&new.cool_down_minutes)
        && (count > 0) != ingest::fields::FieldId::find(field).is_some();
    if !sound {
        return Err(SavedError::Schedule);
    }
    let others: i64 = tx.query_row("SELECT COUNT(*) FROM search_schedule WHERE search <> ?1", [id], |row| row.get(0))?;
    let own: i64 = tx.query_row(
        "SELECT COUNT(*) FROM search_schedule JOIN saved_search ON saved_search.id = search_schedule.search
         WHERE search_schedule.search <> ?1 AND saved_search.owner = ?2",
        params![id, viewer.user],
        |row| row.get(0),
    )?;
    if others >= SCHEDULED_MAX || own >= SCHEDULED_PER_OWNER_MAX {
        return Err(SavedError::TooMany);
    }
    let before: Option<String> =
        tx.query_row("SELECT group_field FROM search_schedule WHERE search = ?1", [id], |row| row.get(0)).optional()?;
    let same_field = before.as_deref() == Some(field);
    if !same_field {
        tx.execute("DELETE FROM search_group WHERE search = ?1", [id])?;
    }
    tx.execute(
        "INSERT INTO search_schedule (search, every_minutes, count_min, group_field, level, cool_down_minutes, done_until, learned,
            took_millis, hits, fault) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0, 0, '')
         ON CONFLICT (search) DO UPDATE SET every_minutes = excluded.every_minutes, count_min = excluded.count_min,
            group_field = excluded.group_field, level = excluded.level, cool_down_minutes = excluded.cool_down_minutes,
            learned = CASE WHEN ?8 THEN search_schedule.learned ELSE 0 END",
        params![id, new.every_minutes, count, field, new.level.as_str(), new.cool_down_minutes, now.0, same_field],
    )?;
    let detail = json!({ "name": search.name, "every_minutes": new.every_minutes, "count_min": count, "field": field,
        "level": new.level.as_str(), "cool_down_minutes": new.cool_down_minutes });
    noted(tx, viewer, "saved_search.scheduled", id, detail, now)
}

/// All schedules, the one that has waited longest first.
///
/// # Errors
/// The database's own.
pub fn schedule_list(connection: &Connection) -> Result<Vec<Schedule>, DbError> {
    let sql = format!("{SCHEDULES} ORDER BY done_until, search LIMIT {SCHEDULED_MAX}");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_map([], schedule_row)?.collect::<Result<_, _>>()?)
}

/// # Errors
/// The database's own.
pub fn schedule_get(connection: &Connection, id: SavedSearchId) -> Result<Option<Schedule>, DbError> {
    Ok(connection.prepare_cached(&format!("{SCHEDULES} WHERE search = ?1"))?.query_row([id], schedule_row).optional()?)
}

/// What a run leaves. `done_until` is where the next begins; a run that could not be done moves nothing.
///
/// # Errors
/// The database's own.
pub(crate) fn schedule_ran(tx: &Transaction<'_>, schedule: &Schedule, learned: bool) -> Result<(), DbError> {
    let last = &schedule.last;
    tx.prepare_cached(
        "UPDATE search_schedule SET done_until = ?2, learned = ?3, ran_at = ?4, took_millis = ?5, hits = ?6, fault = ?7, alerted_at = ?8,
            alert = ?9 WHERE search = ?1",
    )?
    .execute(params![
        schedule.search,
        schedule.done_until.0,
        learned,
        last.at.map(|at| at.0),
        last.took_millis,
        last.hits,
        last.fault,
        last.alerted_at.map(|at| at.0),
        last.alert,
    ])?;
    Ok(())
}

/// What stands for a value: known values are only compared, and names of persons are not kept for that.
fn known_as(id: SavedSearchId, value: &str) -> String {
    hex(&Sha256::digest(format!("{id}\0{value}")))
}

/// Remembers values; those that were not known, as far as there is room. What was not seen for `GROUP_DAYS` is forgotten.
///
/// # Errors
/// The database's own.
pub(crate) fn groups_learn(tx: &Transaction<'_>, id: SavedSearchId, values: &[String], now: Timestamp) -> Result<Vec<String>, DbError> {
    let old = now.plus(-GROUP_DAYS * Timestamp::DAY);
    tx.prepare_cached("DELETE FROM search_group WHERE search = ?1 AND seen_at < ?2")?.execute(params![id, old.0])?;
    let known: i64 = tx.prepare_cached("SELECT COUNT(*) FROM search_group WHERE search = ?1")?.query_row([id], |row| row.get(0))?;
    let mut room = GROUPS_MAX.saturating_sub(known);
    // To the day is exact enough, and spares a write for each value and run.
    let mut again = tx.prepare_cached("UPDATE search_group SET seen_at = ?3 WHERE search = ?1 AND value = ?2 AND seen_at < ?4")?;
    let a_day_ago = now.plus(-Timestamp::DAY);
    let mut insert =
        tx.prepare_cached("INSERT INTO search_group (search, value, seen_at) VALUES (?1, ?2, ?3) ON CONFLICT (search, value) DO NOTHING")?;
    let mut fresh = Vec::new();
    for value in values {
        let known_as = known_as(id, value);
        if room > 0 && insert.execute(params![id, known_as, now.0])? > 0 {
            room -= 1;
            fresh.push(value.clone());
        } else {
            again.execute(params![id, known_as, now.0, a_day_ago.0])?;
        }
    }
    Ok(fresh)
}

/// Whether a schedule knows as many values as it can.
///
/// # Errors
/// The database's own.
pub(crate) fn groups_full(tx: &Transaction<'_>, id: SavedSearchId) -> Result<bool, DbError> {
    let known: i64 = tx.prepare_cached("SELECT COUNT(*) FROM search_group WHERE search = ?1")?.query_row([id], |row| row.get(0))?;
    Ok(known >= GROUPS_MAX)
}

const SCHEDULES: &str = "SELECT search, every_minutes, count_min, group_field, level, cool_down_minutes, done_until, learned, ran_at,
    took_millis, hits, fault, alerted_at, alert FROM search_schedule";

fn schedule_row(row: &Row<'_>) -> ingest::rusqlite::Result<Schedule> {
    let (count, field, level): (i64, String, String) = (row.get(2)?, row.get(3)?, row.get(4)?);
    Ok(Schedule {
        search: row.get(0)?,
        every_minutes: row.get(1)?,
        threshold: if field.is_empty() { Threshold::Count(u64::try_from(count).unwrap_or(1)) } else { Threshold::NewGroup(field) },
        level: Level::parse(&level).unwrap_or(Level::Medium),
        cool_down_minutes: row.get(5)?,
        done_until: Timestamp(row.get(6)?),
        learned: row.get(7)?,
        last: LastRun {
            at: row.get::<_, Option<i64>>(8)?.map(Timestamp),
            took_millis: row.get(9)?,
            hits: row.get(10)?,
            fault: row.get(11)?,
            alerted_at: row.get::<_, Option<i64>>(12)?.map(Timestamp),
            alert: row.get(13)?,
        },
    })
}

fn noted(
    tx: &Transaction<'_>,
    viewer: &Viewer,
    kind: &'static str,
    id: SavedSearchId,
    detail: serde_json::Value,
    now: Timestamp,
) -> Result<(), SavedError> {
    audit_add(tx, now, &NewAudit { actor: viewer.user.to_string(), kind, object: format!("saved_search:{id}"), detail })?;
    Ok(())
}

#[cfg(test)]
mod tests;

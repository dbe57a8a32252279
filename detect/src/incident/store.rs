//! The incidents' tables. Reading demands a scope: a body never learns of a foreign case, not even by a count.

use std::collections::{BTreeMap, HashMap};

use ingest::body::SiteId;
use ingest::db::{DbError, Migrations};
use ingest::frame::Seq;
use ingest::history::{HistoryEvent, HistoryId, history_of};
use ingest::rusqlite::types::{ToSql, ToSqlOutput, Value as Sql};
use ingest::rusqlite::{Connection, OptionalExtension, Row, Transaction, params, params_from_iter};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::link;
use super::statewide::{self, AffectedBody, Suggestion};
use super::words::summary;
use super::{Incident, IncidentId, Origin, State, Tlp};
use crate::alert::{self, Alert, AlertFilter, Disposition, Observables, alert_list, observables_merge};
use crate::recommendation::{Recommendation, RecommendationState, recommendation_list};
use crate::rsit::Rsit;
use crate::rule::Level;

pub const MIGRATIONS: Migrations = Migrations {
    owner: "incident",
    steps: &[
        "
        CREATE TABLE incident (
            id TEXT PRIMARY KEY,
            number TEXT NOT NULL UNIQUE,
            title TEXT NOT NULL,
            state TEXT NOT NULL,
            severity TEXT NOT NULL,
            rsit TEXT NOT NULL,
            tlp TEXT NOT NULL,
            origin TEXT NOT NULL,
            body TEXT,
            site TEXT,
            assignee TEXT,
            summary TEXT,
            observables TEXT NOT NULL,
            first_activity BIGINT NOT NULL,
            last_activity BIGINT NOT NULL,
            detected_at BIGINT NOT NULL,
            opened_at BIGINT NOT NULL,
            closed_at BIGINT,
            disposition TEXT,
            version BIGINT NOT NULL,
            search TEXT NOT NULL
        );
        CREATE INDEX incident_state ON incident (state, id);
        CREATE INDEX incident_body ON incident (body, id);
        CREATE TABLE incident_number (
            year BIGINT PRIMARY KEY,
            last BIGINT NOT NULL
        );
        CREATE TABLE incident_key (
            key TEXT NOT NULL,
            incident TEXT NOT NULL REFERENCES incident (id),
            PRIMARY KEY (key, incident)
        );
        CREATE INDEX incident_key_incident ON incident_key (incident);
        CREATE TABLE incident_note (
            id TEXT PRIMARY KEY,
            incident TEXT NOT NULL REFERENCES incident (id),
            actor TEXT NOT NULL,
            at BIGINT NOT NULL,
            text TEXT NOT NULL
        );
        CREATE INDEX incident_note_incident ON incident_note (incident, id);
    ",
        statewide::MIGRATION,
        // Into which case a merged one went: it forwards there.
        "ALTER TABLE incident ADD COLUMN merged_into TEXT;
         CREATE INDEX incident_merged ON incident (merged_into);",
        link::MIGRATION,
        crate::task::MIGRATION,
        crate::timeline::MIGRATION,
        // The first keys of a case without sorting all: a storm asks for them with each of its alerts.
        "DROP INDEX incident_key_incident;
         CREATE INDEX incident_key_incident ON incident_key (incident, key);",
        "ALTER TABLE incident ADD COLUMN services TEXT NOT NULL DEFAULT '[]';",
    ],
};

/// What of a case's history is the CERT's own.
const INTERNAL_KINDS: [&str; 5] =
    ["incident.noted", "incident.linked", "incident.unlinked", "recommendation.drafted", "recommendation.edited"];
/// And of which nouns all is: files, tasks, the timeline.
const INTERNAL_NOUNS: [&str; 3] = ["exhibit.", "task.", "timeline."];
/// The rest as a condition on the history, for what its kind alone does not tell: duties of the CERT itself, and letters that went
/// to or came from others than the body. `known_to_body` says the same of one event.
const NOT_THE_BODYS: &str = r#"AND NOT (h.kind LIKE 'letter.%' AND (h.body IS NULL OR h.body <> i.body))
    AND NOT (h.kind LIKE 'duty.%' AND h.data LIKE '%"by":"cert"%')"#;

/// A page of a list; a page asks for less.
pub(crate) const ROWS_MAX: usize = 1_000;
/// Alerts that one view loads; a storm's case says its full number beside them.
const ALERTS_SHOWN_MAX: usize = 500;
/// Evidence sequences of one view: enough for "show the events"; the query finds all of them.
const EVIDENCE_SHOWN_MAX: usize = 500;
/// What the case's text search looks through; longer texts are found by their beginning.
const SEARCH_CHARS_MAX: usize = 4_000;

/// Collects the conditions of one query with their values, so that no text is ever pasted into SQL.
#[derive(Debug, Default)]
pub(crate) struct Where {
    conditions: Vec<String>,
    values: Vec<Sql>,
}

impl Where {
    /// `condition` holds one `?` for each of `values`.
    pub(crate) fn and(&mut self, condition: &str, values: &[&dyn ToSql]) -> Result<(), DbError> {
        self.conditions.push(condition.to_owned());
        for value in values {
            self.values.push(match value.to_sql()? {
                ToSqlOutput::Owned(value) => value,
                ToSqlOutput::Borrowed(value) => value.try_into().map_err(|_| ingest::rusqlite::Error::InvalidQuery)?,
                _ => return Err(ingest::rusqlite::Error::InvalidQuery.into()),
            });
        }
        Ok(())
    }

    /// `column` is one of `choices`; none of them, where there are none.
    pub(crate) fn any_of<T: ToSql>(&mut self, column: &str, choices: &[T]) -> Result<(), DbError> {
        if choices.is_empty() {
            return self.and("1 = 0", &[]);
        }
        let marks = vec!["?"; choices.len()].join(", ");
        let values: Vec<&dyn ToSql> = choices.iter().map(|choice| choice as &dyn ToSql).collect();
        self.and(&format!("{column} IN ({marks})"), &values)
    }

    /// The tenant filter.
    pub(crate) fn scope(&mut self, column: &str, scope: &Scope) -> Result<(), DbError> {
        match scope {
            Scope::All => Ok(()),
            Scope::Bodies(bodies) => self.any_of(column, bodies),
        }
    }

    pub(crate) fn sql(&self) -> String {
        if self.conditions.is_empty() { "1 = 1".into() } else { self.conditions.join(" AND ") }
    }

    pub(crate) fn into_values(self) -> impl ingest::rusqlite::Params {
        params_from_iter(self.values)
    }
}

/// Which incidents to list: newest first, `limit` of them that are older than `before`.
#[derive(Clone, Debug)]
pub struct IncidentFilter {
    pub scope: Scope,
    /// Empty for all.
    pub states: Vec<State>,
    pub severity_min: Option<Level>,
    pub body: Option<ingest::body::BodyId>,
    /// Only asked where all is seen: elsewhere who works on a case would show by what is found.
    pub assignee: Option<String>,
    /// Labels that the caller may read; `None` for all. Part of the query, so that no page of a list is shorter by what is
    /// hidden, and no count tells of it.
    pub readable: Option<Vec<Tlp>>,
    /// Words that must all occur in number, title, summary, body or observables.
    pub text: Option<String>,
    pub limit: usize,
    pub before: Option<IncidentId>,
}

impl IncidentFilter {
    /// The newest 100 of what `scope` may see.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            states: Vec::new(),
            severity_min: None,
            body: None,
            assignee: None,
            readable: None,
            text: None,
            limit: 100,
            before: None,
        }
    }
}

/// An analyst's note.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Note {
    pub id: HistoryId,
    pub actor: String,
    pub at: Timestamp,
    pub text: String,
}

/// One case with all that belongs to it. A body gets neither notes nor drafts: those are the CERT's own.
#[derive(Clone, Debug, Serialize)]
pub struct IncidentView {
    pub incident: Incident,
    /// "Was geschah": the analyst's text, else made of the facts.
    pub summary: String,
    /// Newest first, at most 500.
    pub alerts: Vec<Alert>,
    pub evidence: Vec<Seq>,
    pub observables: Observables,
    /// Of a case of the state: which bodies it concerns, and the warning that it suggests.
    pub bodies: Vec<AffectedBody>,
    pub warning: Option<Suggestion>,
    pub recommendations: Vec<Recommendation>,
    pub notes: Vec<Note>,
    /// Oldest first.
    pub history: Vec<HistoryEvent>,
}

/// The overview's figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IncidentCounts {
    pub open: u64,
    /// Open ones by severity, every level named.
    pub open_by_severity: BTreeMap<Level, u64>,
    /// Open ones that nobody triaged yet.
    pub new: u64,
    pub oldest_opened_at: Option<Timestamp>,
}

/// The columns of `incident_row`, without the two counts.
const SELECT: &str = "SELECT i.id, i.number, i.title, i.state, i.severity, i.rsit, i.tlp, i.origin, i.body, b.name, i.site, s.name,
        i.assignee, i.summary, i.observables, i.first_activity, i.last_activity, i.detected_at, i.opened_at, i.closed_at, i.disposition,
        i.version, i.merged_into, i.services";
const COUNTS: &str = "(SELECT COUNT(*) FROM alert a WHERE a.incident = i.id),
        (SELECT COALESCE(SUM(a.records), 0) FROM alert a WHERE a.incident = i.id)";
const FROM: &str = "FROM incident i LEFT JOIN body b ON b.id = i.body LEFT JOIN site s ON s.id = i.site";

/// # Errors
/// The database's own.
pub fn incident_list(connection: &Connection, filter: &IncidentFilter) -> Result<Vec<Incident>, DbError> {
    let condition = condition(filter)?;
    // First which: what would have to be sorted is counted for its page alone, and a storm's case has thousands of alerts.
    let page = format!("SELECT i.id FROM incident i WHERE {} ORDER BY i.id DESC LIMIT {}", condition.sql(), filter.limit.min(ROWS_MAX));
    let sql = format!("{SELECT}, {COUNTS} {FROM} WHERE i.id IN ({page}) ORDER BY i.id DESC");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(condition.into_values(), incident_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A place in the order of changes: when a case last changed, and which it is.
pub type Changed = (Timestamp, IncidentId);

/// The cases that `filter` finds in the order in which they last changed, the longest ago first: those that did at
/// `since` or later, and behind `after`. What changed is what stands in the history that `filter.scope` may read.
///
/// # Errors
/// The database's own.
pub fn incident_changed(
    connection: &Connection,
    filter: &IncidentFilter,
    since: Option<Timestamp>,
    after: Option<Changed>,
) -> Result<Vec<(Changed, Incident)>, DbError> {
    let mut condition = condition(filter)?;
    // A body does not learn by the time alone that somebody wrote a note.
    let kinds = if filter.scope == Scope::All {
        String::new()
    } else {
        let nouns = INTERNAL_NOUNS.map(|noun| format!("AND h.kind NOT LIKE '{noun}%'")).join(" ");
        format!("AND h.kind NOT IN ('{}') {nouns} {NOT_THE_BODYS}", INTERNAL_KINDS.join("', '"))
    };
    let changed = format!("(SELECT MAX(h.recorded_at) FROM history h WHERE h.subject = i.id {kinds})");
    if let Some(since) = since {
        condition.and(&format!("{changed} >= ?"), &[&since.0])?;
    }
    if let Some((at, id)) = after {
        condition.and(&format!("({changed} > ? OR ({changed} = ? AND i.id > ?))"), &[&at.0, &at.0, &id])?;
    }
    // Counts only for those of the page: a storm's case has thousands of alerts.
    let limit = filter.limit.min(ROWS_MAX);
    let sql = format!("SELECT i.id, {changed} {FROM} WHERE {} ORDER BY 2, 1 LIMIT {limit}", condition.sql());
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(condition.into_values(), |row| {
        Ok((Timestamp(row.get::<_, Option<i64>>(1)?.unwrap_or_default()), row.get::<_, IncidentId>(0)?))
    })?;
    let order: Vec<Changed> = rows.collect::<Result<_, _>>()?;
    let mut page = Where::default();
    page.any_of("i.id", &order.iter().map(|(_, id)| *id).collect::<Vec<_>>())?;
    let mut statement = connection.prepare(&format!("{SELECT}, {COUNTS} {FROM} WHERE {}", page.sql()))?;
    let rows = statement.query_map(page.into_values(), incident_row)?;
    let mut cases: HashMap<IncidentId, Incident> = HashMap::new();
    for case in rows {
        let case = case?;
        cases.insert(case.id, case);
    }
    Ok(order.into_iter().filter_map(|place| Some((place, cases.remove(&place.1)?))).collect())
}

fn condition(filter: &IncidentFilter) -> Result<Where, DbError> {
    let mut condition = Where::default();
    condition.scope("i.body", &filter.scope)?;
    if !filter.states.is_empty() {
        let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        condition.any_of("i.state", &states)?;
    }
    if let Some(least) = filter.severity_min {
        let levels: Vec<&str> = Level::ALL.into_iter().filter(|level| *level >= least).map(Level::as_str).collect();
        condition.any_of("i.severity", &levels)?;
    }
    if let Some(body) = filter.body {
        condition.and("i.body = ?", &[&body])?;
    }
    if let Some(readable) = &filter.readable {
        condition.any_of("i.tlp", &readable.iter().map(|tlp| tlp.as_str()).collect::<Vec<_>>())?;
    }
    if let Some(assignee) = filter.assignee.as_ref().filter(|_| filter.scope == Scope::All) {
        condition.and("i.assignee = ?", &[assignee])?;
    }
    // More words than a line of a search box holds narrow nothing down.
    for word in filter.text.as_deref().unwrap_or_default().split_whitespace().take(16) {
        let word = word.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        condition.and("i.search LIKE ? ESCAPE '\\'", &[&format!("%{word}%")])?;
    }
    if let Some(before) = filter.before {
        condition.and("i.id < ?", &[&before])?;
    }
    Ok(condition)
}

/// One case with all that belongs to it; `None` where it does not exist for this caller.
///
/// # Errors
/// The database's own.
pub fn incident_get(connection: &Connection, scope: &Scope, id: IncidentId) -> Result<Option<IncidentView>, DbError> {
    let sql = format!("{SELECT}, {COUNTS} {FROM} WHERE i.id = ?1");
    let found = connection.prepare_cached(&sql)?.query_row([id], incident_row).optional()?;
    let Some(incident) = found.filter(|incident| scope.body_allowed(incident.body)) else { return Ok(None) };
    let internal = *scope == Scope::All;
    let alerts = alert_list(connection, &AlertFilter { incident: Some(id), limit: ALERTS_SHOWN_MAX, ..AlertFilter::new(Scope::All) })?;
    let mut observables = incident.observables.clone();
    for alert in &alerts {
        observables_merge(&mut observables, alert.observables.iter().map(|(field, values)| (field.as_str(), values.as_slice())));
    }
    let mut recommendations = recommendation_list(connection, id)?;
    let mut history = history_of(connection, &id.to_string())?;
    let mut notes = Vec::new();
    if internal {
        notes = note_list(connection, id)?;
    } else {
        recommendations.retain(|recommendation| recommendation.state != RecommendationState::Draft);
        history.retain(|event| known_to_body(event, scope));
    }
    // The gravest first: a taken account before the scan that led to it.
    let gravity = |playbook: &str| alerts.iter().filter(|alert| alert.playbook.as_deref() == Some(playbook)).map(|alert| alert.level).max();
    recommendations.sort_by_key(|recommendation| std::cmp::Reverse(gravity(&recommendation.playbook)));
    let bodies = statewide::affected(connection, scope, &incident)?;
    let warning = if internal { statewide::suggestion(connection, id)? } else { None };
    let summary = incident.summary.clone().unwrap_or_else(|| summary(&incident, &alerts, &observables, bodies.len()));
    let evidence = alert::evidence_of_incident(connection, id, EVIDENCE_SHOWN_MAX)?;
    Ok(Some(IncidentView { incident, summary, alerts, evidence, observables, bodies, warning, recommendations, notes, history }))
}

/// Whether a body learns that this happened in its case.
fn known_to_body(event: &HistoryEvent, scope: &Scope) -> bool {
    let kind = event.kind.as_str();
    // What the CERT itself has to report elsewhere is not the body's affair, and of letters it knows those to and from its own people.
    let by_cert = kind.starts_with("duty.") && event.data.get("by").is_some_and(|by| by == "cert");
    let of_others = kind.starts_with("letter.") && !(event.body.is_some() && scope.body_allowed(event.body));
    !INTERNAL_KINDS.contains(&kind) && !INTERNAL_NOUNS.iter().any(|noun| kind.starts_with(noun)) && !by_cert && !of_others
}

/// The identity behind a number that somebody typed or a mail's subject holds.
///
/// # Errors
/// The database's own.
pub fn incident_by_number(connection: &Connection, scope: &Scope, number: &str) -> Result<Option<IncidentId>, DbError> {
    let mut condition = Where::default();
    condition.and("number = ?", &[&number])?;
    condition.scope("body", scope)?;
    let mut statement = connection.prepare_cached(&format!("SELECT id FROM incident WHERE {}", condition.sql()))?;
    Ok(statement.query_row(condition.into_values(), |row| row.get(0)).optional()?)
}

/// What lists of other things say of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentLabel {
    pub number: String,
    pub title: String,
    pub tlp: Tlp,
}

/// The labels of those of `ids` that the caller may see.
///
/// # Errors
/// The database's own.
pub fn incident_labels(connection: &Connection, scope: &Scope, ids: &[IncidentId]) -> Result<HashMap<IncidentId, IncidentLabel>, DbError> {
    let mut labels = HashMap::new();
    for part in ids.chunks(ROWS_MAX) {
        let mut condition = Where::default();
        condition.any_of("id", part)?;
        condition.scope("body", scope)?;
        let mut statement = connection.prepare(&format!("SELECT id, number, title, tlp FROM incident WHERE {}", condition.sql()))?;
        let mut rows = statement.query(condition.into_values())?;
        while let Some(row) = rows.next()? {
            let tlp = word_known(3, Tlp::parse(&row.get::<_, String>(3)?))?;
            labels.insert(row.get(0)?, IncidentLabel { number: row.get(1)?, title: row.get(2)?, tlp });
        }
    }
    Ok(labels)
}

/// # Errors
/// The database's own.
pub fn incident_counts(connection: &Connection, scope: &Scope) -> Result<IncidentCounts, DbError> {
    let mut condition = Where::default();
    condition.any_of("state", &State::OPEN.map(State::as_str))?;
    condition.scope("body", scope)?;
    let sql = format!("SELECT severity, state, COUNT(*), MIN(opened_at) FROM incident WHERE {} GROUP BY severity, state", condition.sql());
    let mut statement = connection.prepare_cached(&sql)?;
    let mut counts = IncidentCounts { open_by_severity: Level::ALL.into_iter().map(|level| (level, 0)).collect(), ..Default::default() };
    let mut rows = statement.query(condition.into_values())?;
    while let Some(row) = rows.next()? {
        let (severity, state): (String, String) = (row.get(0)?, row.get(1)?);
        let (count, oldest) = (u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0), Timestamp(row.get(3)?));
        counts.open += count;
        counts.new += if state == State::New.as_str() { count } else { 0 };
        *counts.open_by_severity.entry(Level::parse(&severity).unwrap_or(Level::Low)).or_default() += count;
        counts.oldest_opened_at = Some(counts.oldest_opened_at.map_or(oldest, |known| known.min(oldest)));
    }
    Ok(counts)
}

/// For each body (`None`: of none) a mark that changes whenever one of its open cases does, one is opened or one closed;
/// cheap enough to be asked every second. For the server itself: what a viewer may hear of it is asked where it is told.
///
/// # Errors
/// The database's own.
pub fn incident_marks(connection: &Connection) -> Result<Vec<(Option<ingest::body::BodyId>, String)>, DbError> {
    let mut open = Where::default();
    open.any_of("state", &State::OPEN.map(State::as_str))?;
    let sql = format!("SELECT body, COUNT(*), SUM(version), MAX(last_activity), MAX(id) FROM incident WHERE {} GROUP BY body", open.sql());
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(open.into_values(), |row| {
        let numbers: [i64; 3] = [row.get(1)?, row.get(2)?, row.get(3)?];
        Ok((row.get(0)?, format!("{} {numbers:?}", row.get::<_, String>(4)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A case without a look at who asks, and without its counts: for the store's own use only.
/// Counting here would make a storm of alerts into one case quadratic.
pub(crate) fn incident_find(connection: &Connection, id: IncidentId) -> Result<Option<Incident>, DbError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT}, 0, 0 {FROM} WHERE i.id = ?1"))?;
    Ok(statement.query_row([id], incident_row).optional()?)
}

/// An open case of the same body (of the same site, where there is no body) that has `key` and was active near
/// `[first, last]`; of several the one that was active last.
pub(crate) fn incident_near(
    tx: &Transaction<'_>,
    key: &str,
    place: (Option<ingest::body::BodyId>, SiteId),
    window: (Timestamp, Timestamp),
) -> Result<Option<IncidentId>, DbError> {
    let (column, owner): (_, &dyn ToSql) = match &place.0 {
        Some(body) => ("i.body = ?4", body),
        None => ("i.body IS NULL AND i.site = ?4", &place.1),
    };
    let sql = format!(
        "SELECT i.id FROM incident_key k JOIN incident i ON i.id = k.incident
         WHERE k.key = ?1 AND i.state <> 'closed' AND i.last_activity >= ?2 AND i.first_activity <= ?3 AND {column}
         ORDER BY i.last_activity DESC, i.id LIMIT 1"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    Ok(statement.query_row(params![key, window.0.0, window.1.0, owner], |row| row.get(0)).optional()?)
}

/// The next number of the year; the row is locked by the transaction, so a rollback leaves no gap.
pub(crate) fn number_next(tx: &Transaction<'_>, year: i32) -> Result<String, DbError> {
    let serial: i64 = tx
        .prepare_cached(
            "INSERT INTO incident_number (year, last) VALUES (?1, 1)
             ON CONFLICT (year) DO UPDATE SET last = incident_number.last + 1 RETURNING last",
        )?
        .query_row([year], |row| row.get(0))?;
    Ok(format!("TC-{year:04}-{serial:06}"))
}

pub(crate) fn incident_insert(tx: &Transaction<'_>, incident: &Incident) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO incident (id, number, title, state, severity, rsit, tlp, origin, body, site, assignee, summary, observables,
            first_activity, last_activity, detected_at, opened_at, closed_at, disposition, version, services, search)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, '')",
    )?
    .execute(params![
        incident.id,
        incident.number,
        incident.title,
        incident.state.as_str(),
        incident.severity.as_str(),
        incident.rsit.to_string(),
        incident.tlp.as_str(),
        incident.origin.as_str(),
        incident.body,
        incident.site,
        incident.assignee,
        incident.summary,
        alert::observables_json(&incident.observables),
        incident.first_activity.0,
        incident.last_activity.0,
        incident.detected_at.0,
        incident.opened_at.0,
        incident.closed_at.map(|at| at.0),
        incident.disposition.map(Disposition::as_str),
        incident.version,
        json!(incident.services).to_string(),
    ])?;
    Ok(())
}

/// Writes what may change, if the stored version is still `version`; says whether it was.
pub(crate) fn incident_write(tx: &Transaction<'_>, incident: &Incident, version: i64) -> Result<bool, DbError> {
    let changed = tx
        .prepare_cached(
            "UPDATE incident SET title = ?3, state = ?4, severity = ?5, rsit = ?6, tlp = ?7, assignee = ?8, summary = ?9,
                first_activity = ?10, last_activity = ?11, closed_at = ?12, disposition = ?13, version = ?14, observables = ?15,
                merged_into = ?16, services = ?17
             WHERE id = ?1 AND version = ?2",
        )?
        .execute(params![
            incident.id,
            version,
            incident.title,
            incident.state.as_str(),
            incident.severity.as_str(),
            incident.rsit.to_string(),
            incident.tlp.as_str(),
            incident.assignee,
            incident.summary,
            incident.first_activity.0,
            incident.last_activity.0,
            incident.closed_at.map(|at| at.0),
            incident.disposition.map(Disposition::as_str),
            incident.version,
            alert::observables_json(&incident.observables),
            incident.merged_into,
            json!(incident.services).to_string(),
        ])?;
    Ok(changed == 1)
}

/// Adds keys by which later alerts find the case, at most `keys_max` in all; says whether any was new.
pub(crate) fn keys_add(tx: &Transaction<'_>, id: IncidentId, keys: &[String], keys_max: usize) -> Result<bool, DbError> {
    let known: i64 = tx.prepare_cached("SELECT COUNT(*) FROM incident_key WHERE incident = ?1")?.query_row([id], |row| row.get(0))?;
    let mut room = keys_max.saturating_sub(usize::try_from(known).unwrap_or(usize::MAX));
    let mut insert =
        tx.prepare_cached("INSERT INTO incident_key (key, incident) VALUES (?1, ?2) ON CONFLICT (key, incident) DO NOTHING")?;
    let mut added = false;
    for key in keys {
        if room > 0 && insert.execute(params![key, id])? > 0 {
            added = true;
            room -= 1;
        }
    }
    Ok(added)
}

/// Brings the text that `IncidentFilter::text` looks through up to date.
pub(crate) fn search_update(tx: &Transaction<'_>, incident: &Incident) -> Result<(), DbError> {
    let mut statement = tx.prepare_cached("SELECT key FROM incident_key WHERE incident = ?1 ORDER BY key LIMIT 200")?;
    let keys: Vec<String> = statement.query_map([incident.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    // Who looks for a merged case by its number finds the one that it went into, too.
    let mut statement = tx.prepare_cached("SELECT number FROM incident WHERE merged_into = ?1 ORDER BY number LIMIT 50")?;
    let merged: Vec<String> = statement.query_map([incident.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let parts = [
        incident.number.as_str(),
        &merged.join(" "),
        &incident.title,
        incident.body_name.as_deref().unwrap_or_default(),
        incident.site_name.as_deref().unwrap_or_default(),
        incident.summary.as_deref().unwrap_or_default(),
        &keys.join(" "),
    ];
    let search: String = parts.join(" ").to_lowercase().chars().take(SEARCH_CHARS_MAX).collect();
    tx.prepare_cached("UPDATE incident SET search = ?2 WHERE id = ?1")?.execute(params![incident.id, search])?;
    Ok(())
}

fn note_list(connection: &Connection, id: IncidentId) -> Result<Vec<Note>, DbError> {
    let mut statement = connection.prepare_cached("SELECT id, actor, at, text FROM incident_note WHERE incident = ?1 ORDER BY at, id")?;
    let rows =
        statement.query_map([id], |row| Ok(Note { id: row.get(0)?, actor: row.get(1)?, at: Timestamp(row.get(2)?), text: row.get(3)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn incident_row(row: &Row<'_>) -> ingest::rusqlite::Result<Incident> {
    let text = |column: usize| row.get::<_, String>(column);
    let count = |column: usize| Ok::<_, ingest::rusqlite::Error>(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0));
    Ok(Incident {
        id: row.get(0)?,
        number: row.get(1)?,
        title: row.get(2)?,
        state: word_known(3, State::parse(&text(3)?))?,
        severity: word_known(4, Level::parse(&text(4)?))?,
        rsit: text(5)?.parse().unwrap_or(Rsit::UNDETERMINED),
        tlp: word_known(6, Tlp::parse(&text(6)?))?,
        origin: word_known(7, Origin::parse(&text(7)?))?,
        body: row.get(8)?,
        body_name: row.get(9)?,
        site: row.get(10)?,
        site_name: row.get(11)?,
        assignee: row.get(12)?,
        summary: row.get(13)?,
        observables: serde_json::from_str(&text(14)?).unwrap_or_default(),
        first_activity: Timestamp(row.get(15)?),
        last_activity: Timestamp(row.get(16)?),
        detected_at: Timestamp(row.get(17)?),
        opened_at: Timestamp(row.get(18)?),
        closed_at: row.get::<_, Option<i64>>(19)?.map(Timestamp),
        disposition: row.get::<_, Option<String>>(20)?.and_then(|text| Disposition::parse(&text)),
        version: row.get(21)?,
        merged_into: row.get(22)?,
        services: serde_json::from_str(&text(23)?).unwrap_or_default(),
        alerts: count(24)?,
        events: count(25)?,
    })
}

/// A stored word that this program does not know is damage, not a default.
pub(crate) fn word_known<T>(column: usize, parsed: Option<T>) -> ingest::rusqlite::Result<T> {
    parsed.ok_or_else(|| ingest::rusqlite::Error::InvalidColumnType(column, "unknown word".into(), ingest::rusqlite::types::Type::Text))
}

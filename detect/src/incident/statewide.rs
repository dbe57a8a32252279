//! What is only the state's case: something that no single body could see, because it happened at several of them. Which
//! bodies it concerns, and the warning that it suggests. A case of the state belongs to no body, so a body learns nothing of
//! it: not that it is there, not who else is concerned, not how many.

use ingest::body::{BodyId, SITE_STATE};
use ingest::db::DbError;
use ingest::history::{NewHistory, history_add};
use ingest::rusqlite::{Connection, OptionalExtension, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::change::filled;
use super::store::{Where, incident_find, word_known};
use super::{CaseError, Incident, IncidentId, State, demand};
use crate::alert::Alert;
use crate::finding::Share;
use crate::role::{Action, Role};

pub(super) const MIGRATION: &str = "
    CREATE TABLE incident_affected (
        incident TEXT NOT NULL REFERENCES incident (id),
        body TEXT NOT NULL,
        records BIGINT NOT NULL,
        first BIGINT NOT NULL,
        last BIGINT NOT NULL,
        PRIMARY KEY (incident, body)
    );
    CREATE TABLE incident_warning (
        incident TEXT PRIMARY KEY REFERENCES incident (id),
        state TEXT NOT NULL,
        advisory TEXT,
        reason TEXT NOT NULL,
        actor TEXT NOT NULL,
        at BIGINT NOT NULL
    );
    CREATE INDEX incident_warning_advisory ON incident_warning (advisory);
";

/// Bodies of one case that are shown; more than the Land has offices.
const BODIES_MAX: usize = 2_000;
/// Own cases of one body that a row names.
const OWN_MAX: usize = 3;
/// A reason is a sentence or two.
const REASON_CHARS_MAX: usize = 1_000;

impl Incident {
    /// Whether it is the state's, and not one body's.
    pub fn is_state_wide(&self) -> bool {
        self.site == Some(SITE_STATE)
    }
}

/// What happened at one body of a case of the state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AffectedBody {
    pub body: BodyId,
    pub name: String,
    /// Hits of the rules: for a rule that counts other rules' findings, those.
    pub records: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The body's own cases about the same, the newest; `None` where it cannot be told, as the case has no address by which
    /// those of a body would be found.
    pub own: Option<Vec<OwnCase>>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OwnCase {
    pub number: String,
    pub title: String,
    pub state: State,
}

/// Where the warning stands that a case suggests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SuggestionState {
    Open,
    Drafted,
    Declined,
}

impl SuggestionState {
    const ALL: [Self; 3] = [Self::Open, Self::Drafted, Self::Declined];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Drafted => "drafted",
            Self::Declined => "declined",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suggestion {
    pub state: SuggestionState,
    /// The draft that was made of it.
    pub advisory: Option<String>,
    /// Why there is to be no warning; empty before.
    pub reason: String,
    pub actor: String,
    pub at: Timestamp,
}

/// Adds what took part at each body. Bodies that are new to a case which was there before are told in its history.
pub(super) fn bodies_add(tx: &Transaction<'_>, id: IncidentId, alert: &Alert, shares: &[Share], now: Timestamp) -> Result<(), DbError> {
    let known: i64 = tx.prepare_cached("SELECT COUNT(*) FROM incident_affected WHERE incident = ?1")?.query_row([id], |row| row.get(0))?;
    let mut exists = tx.prepare_cached("SELECT 1 FROM incident_affected WHERE incident = ?1 AND body = ?2")?;
    let mut add = tx.prepare_cached(
        "INSERT INTO incident_affected (incident, body, records, first, last) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (incident, body) DO UPDATE SET records = incident_affected.records + excluded.records,
            first = MIN(incident_affected.first, excluded.first), last = MAX(incident_affected.last, excluded.last)",
    )?;
    for share in shares {
        let fresh = !exists.exists(params![id, share.body])?;
        let records = i64::try_from(share.records).unwrap_or(i64::MAX);
        add.execute(params![id, share.body, records, share.first.0, share.last.0])?;
        if fresh && known > 0 {
            let name: Option<String> =
                tx.prepare_cached("SELECT name FROM body WHERE id = ?1")?.query_row([share.body], |row| row.get(0)).optional()?;
            let data = json!({ "body": share.body, "name": name.unwrap_or_default(), "alert": alert.id });
            tell(tx, id, "incident.body_joined", alert.detected_at.max(share.first), &format!("rule:{}", alert.rule), data, now)?;
        }
    }
    Ok(())
}

/// The bodies of a case of the state, in the order in which it reached them, as far as `scope` may know of them.
pub(super) fn affected(connection: &Connection, scope: &Scope, incident: &Incident) -> Result<Vec<AffectedBody>, DbError> {
    if !incident.is_state_wide() {
        return Ok(Vec::new());
    }
    let mut condition = Where::default();
    condition.and("a.incident = ?", &[&incident.id])?;
    condition.scope("a.body", scope)?;
    let sql = format!(
        "SELECT a.body, COALESCE(b.name, ''), a.records, a.first, a.last FROM incident_affected a LEFT JOIN body b ON b.id = a.body
         WHERE {} ORDER BY a.first, b.name LIMIT {BODIES_MAX}",
        condition.sql()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(condition.into_values(), |row| {
        let records = u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
        let (first, last) = (Timestamp(row.get(3)?), Timestamp(row.get(4)?));
        Ok(AffectedBody { body: row.get(0)?, name: row.get(1)?, records, first, last, own: None })
    })?;
    let mut bodies: Vec<AffectedBody> = rows.collect::<Result<_, _>>()?;
    // A body's case is found by hosts and addresses (`intake::keys`); a domain or a rule's name is a key of none.
    let address = connection.prepare_cached("SELECT 1 FROM incident_key WHERE incident = ?1 AND key LIKE 'ip:%'")?.exists([incident.id])?;
    for body in bodies.iter_mut().filter(|_| address) {
        body.own = Some(own_cases(connection, incident, body.body)?);
    }
    Ok(bodies)
}

/// A body's own cases that have a key in common with the state's.
fn own_cases(connection: &Connection, incident: &Incident, body: BodyId) -> Result<Vec<OwnCase>, DbError> {
    let (from, to) = (incident.first_activity.plus(-super::GROUP_WINDOW), incident.last_activity.plus(super::GROUP_WINDOW));
    let mut statement = connection.prepare_cached(&format!(
        "SELECT DISTINCT i.number, i.title, i.state FROM incident_key k JOIN incident i ON i.id = k.incident
         WHERE k.key IN (SELECT key FROM incident_key WHERE incident = ?1) AND i.body = ?2 AND i.last_activity >= ?3
            AND i.first_activity <= ?4
         ORDER BY i.number DESC LIMIT {OWN_MAX}"
    ))?;
    let rows = statement.query_map(params![incident.id, body, from.0, to.0], |row| {
        let state = word_known(2, State::parse(&row.get::<_, String>(2)?))?;
        Ok(OwnCase { number: row.get(0)?, title: row.get(1)?, state })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A new case of the state suggests a warning to all: what came to several bodies will come to others.
pub(super) fn warning_suggest(tx: &Transaction<'_>, id: IncidentId, at: Timestamp, now: Timestamp) -> Result<(), DbError> {
    tx.prepare_cached("INSERT INTO incident_warning (incident, state, reason, actor, at) VALUES (?1, 'open', '', 'system', ?2)")?
        .execute(params![id, at.0])?;
    tell(tx, id, "warning.suggested", at, "system", json!({}), now)
}

/// What a merged case of the state knew of bodies goes to the one that it was merged into; its open suggestion ends, for that
/// one has its own.
pub(super) fn merged(tx: &Transaction<'_>, from: IncidentId, into: &Incident, actor: &str, now: Timestamp) -> Result<(), DbError> {
    bodies_copy(tx, from, into.id)?;
    if suggestion(tx, from)?.is_some_and(|known| known.state == SuggestionState::Open) {
        let reason = format!("Zusammengeführt mit {}.", into.number);
        tx.prepare_cached("UPDATE incident_warning SET state = 'declined', reason = ?2, actor = ?3, at = ?4 WHERE incident = ?1")?
            .execute(params![from, reason, actor, now.0])?;
        tell(tx, from, "warning.declined", now, actor, json!({ "reason": reason }), now)?;
    }
    Ok(())
}

/// Which alert came from which body is not kept: of a case that is split, both parts name all.
pub(super) fn bodies_copy(tx: &Transaction<'_>, from: IncidentId, into: IncidentId) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO incident_affected (incident, body, records, first, last)
            SELECT ?2, body, records, first, last FROM incident_affected WHERE incident = ?1
         ON CONFLICT (incident, body) DO UPDATE SET records = incident_affected.records + excluded.records,
            first = MIN(incident_affected.first, excluded.first), last = MAX(incident_affected.last, excluded.last)",
    )?
    .execute([from, into])?;
    Ok(())
}

pub(super) fn suggestion(connection: &Connection, id: IncidentId) -> Result<Option<Suggestion>, DbError> {
    let mut statement = connection.prepare_cached("SELECT state, advisory, reason, actor, at FROM incident_warning WHERE incident = ?1")?;
    let found = statement.query_row([id], |row| {
        let word: String = row.get(0)?;
        let state = word_known(0, SuggestionState::ALL.into_iter().find(|state| state.as_str() == word))?;
        Ok(Suggestion { state, advisory: row.get(1)?, reason: row.get(2)?, actor: row.get(3)?, at: Timestamp(row.get(4)?) })
    });
    Ok(found.optional()?)
}

/// Notes that a draft was made of the suggestion; the caller has made it in the same transaction. Also after it was
/// declined: somebody thought better of it.
///
/// # Errors
/// `Forbidden`; `NotFound` for a case that suggests none; `Transition` where there is a draft already; the database's own.
pub fn warning_draft(
    tx: &Transaction<'_>,
    id: IncidentId,
    advisory: &str,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<(), CaseError> {
    step(tx, id, SuggestionState::Drafted, role)?;
    tx.prepare_cached("UPDATE incident_warning SET state = 'drafted', advisory = ?2, actor = ?3, at = ?4 WHERE incident = ?1")?
        .execute(params![id, advisory, actor, now.0])?;
    Ok(tell(tx, id, "warning.drafted", now, actor, json!({ "advisory": advisory }), now)?)
}

/// Notes why there is to be no warning.
///
/// # Errors
/// As `warning_draft`; `Invalid` without a reason.
pub fn warning_decline(
    tx: &Transaction<'_>,
    id: IncidentId,
    reason: &str,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<(), CaseError> {
    step(tx, id, SuggestionState::Declined, role)?;
    let reason = filled("reason", reason, REASON_CHARS_MAX)?;
    tx.prepare_cached("UPDATE incident_warning SET state = 'declined', reason = ?2, actor = ?3, at = ?4 WHERE incident = ?1")?
        .execute(params![id, reason, actor, now.0])?;
    Ok(tell(tx, id, "warning.declined", now, actor, json!({ "reason": reason }), now)?)
}

fn step(tx: &Transaction<'_>, id: IncidentId, to: SuggestionState, role: Role) -> Result<(), CaseError> {
    demand(Action::WarningDecide, role)?;
    let known = suggestion(tx, id)?.ok_or_else(|| CaseError::NotFound { noun: "suggestion", id: id.to_string() })?;
    let open = known.state == SuggestionState::Open || (known.state, to) == (SuggestionState::Declined, SuggestionState::Drafted);
    if open { Ok(()) } else { Err(CaseError::Transition { from: known.state.as_str(), to: to.as_str() }) }
}

/// The number of the case that a draft was made of, where the caller may see that case.
///
/// # Errors
/// The database's own.
pub fn incident_of_warning(connection: &Connection, scope: &Scope, advisory: &str) -> Result<Option<String>, DbError> {
    let mut statement = connection.prepare_cached("SELECT incident FROM incident_warning WHERE advisory = ?1")?;
    let id: Option<IncidentId> = statement.query_row([advisory], |row| row.get(0)).optional()?;
    let incident = id.map(|id| incident_find(connection, id)).transpose()?.flatten();
    Ok(incident.filter(|incident| scope.body_allowed(incident.body)).map(|incident| incident.number))
}

/// Of no body: what concerns several is told to none of them.
fn tell(
    tx: &Transaction<'_>,
    id: IncidentId,
    kind: &'static str,
    event_time: Timestamp,
    actor: &str,
    data: Value,
    now: Timestamp,
) -> Result<(), DbError> {
    let event = NewHistory { event_time, kind, subject: id.to_string(), body: None, actor: actor.to_owned(), data, corrects: None };
    history_add(tx, now, &event).map(|_| ())
}

//! Recommendations: what a body is asked to do about an incident, step by step with time limits, and what it
//! answers. A rule's incident gets a draft from its playbook at once; a person sends it. The mail is the caller's:
//! everything here takes the caller's transaction, so that "sent" and the outbox stand or fall together.

use ingest::body::{BodyId, ContactId};
use ingest::db::{DbError, Migrations};
use ingest::history::{NewHistory, history_add};
use ingest::rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::incident::{CaseError, IncidentId, demand, filled, incident_find, word_known};
use crate::playbook::{GENERAL, Playbook, PlaybookStep, STEPS_MAX};
use crate::reminder::Waiting;
use crate::role::{Action, Role};

use RecommendationState::{Declined, Done, Draft, InWork, Seen, Sent};

ingest::id_type!(
    /// One recommendation of one incident.
    RecommendationId
);

pub const MIGRATIONS: Migrations = Migrations {
    owner: "recommendation",
    steps: &["
        CREATE TABLE recommendation (
            id TEXT PRIMARY KEY,
            incident TEXT NOT NULL,
            playbook TEXT NOT NULL,
            title TEXT NOT NULL,
            intro TEXT NOT NULL,
            state TEXT NOT NULL,
            reason TEXT,
            created_at BIGINT NOT NULL,
            sent_at BIGINT,
            version BIGINT NOT NULL
        );
        CREATE INDEX recommendation_incident ON recommendation (incident, id);
        CREATE TABLE recommendation_step (
            recommendation TEXT NOT NULL REFERENCES recommendation (id),
            position BIGINT NOT NULL,
            text TEXT NOT NULL,
            confirm TEXT NOT NULL,
            within_minutes BIGINT NOT NULL,
            state TEXT NOT NULL,
            reason TEXT,
            changed_at BIGINT,
            PRIMARY KEY (recommendation, position)
        );
    "],
};

/// Longer reasons and texts belong into a call.
const TEXT_CHARS_MAX: usize = 2_000;

/// Where a recommendation stands as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecommendationState {
    Draft,
    Sent,
    Seen,
    InWork,
    Done,
    Declined,
}

impl RecommendationState {
    pub const ALL: [Self; 6] = [Draft, Sent, Seen, InWork, Done, Declined];

    pub fn as_str(self) -> &'static str {
        match self {
            Draft => "draft",
            Sent => "sent",
            Seen => "seen",
            InWork => "in_work",
            Done => "done",
            Declined => "declined",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Where one step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    Open,
    InWork,
    Done,
    Declined,
}

impl StepState {
    pub const ALL: [Self; 4] = [Self::Open, Self::InWork, Self::Done, Self::Declined];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InWork => "in_work",
            Self::Done => "done",
            Self::Declined => "declined",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    pub id: RecommendationId,
    pub incident: IncidentId,
    /// Name of the playbook it was made from.
    pub playbook: String,
    pub title: String,
    /// What it means, before the steps.
    pub intro: String,
    pub state: RecommendationState,
    /// Why it was declined, or how somebody saw that it is done.
    pub reason: Option<String>,
    pub created_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub steps: Vec<Step>,
    pub version: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    pub text: String,
    pub confirm: String,
    pub within_minutes: i64,
    pub state: StepState,
    pub reason: Option<String>,
    pub changed_at: Option<Timestamp>,
}

/// How a step stands to its time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deadline {
    /// Not sent yet: no clock runs.
    NotRunning,
    Running {
        due_at: Timestamp,
    },
    Missed {
        due_at: Timestamp,
    },
    /// Done (in time or not), or declined.
    Answered {
        in_time: bool,
    },
}

impl Step {
    /// Pure: the state at `now` of the time limit that began to run at `sent_at`.
    pub fn deadline(&self, sent_at: Option<Timestamp>, now: Timestamp) -> Deadline {
        let Some(due_at) = sent_at.map(|sent_at| sent_at.plus(self.within_minutes.saturating_mul(Timestamp::MINUTE))) else {
            return Deadline::NotRunning;
        };
        match (self.state, self.changed_at) {
            (StepState::Done | StepState::Declined, Some(at)) => Deadline::Answered { in_time: at <= due_at },
            _ if now > due_at => Deadline::Missed { due_at },
            _ => Deadline::Running { due_at },
        }
    }
}

impl Recommendation {
    /// When its last step is due; `None` before it is sent.
    pub fn due_at(&self) -> Option<Timestamp> {
        let longest = self.steps.iter().map(|step| step.within_minutes).max()?;
        self.sent_at.map(|sent_at| sent_at.plus(longest.saturating_mul(Timestamp::MINUTE)))
    }

    /// The next time limit that is not answered yet, be it missed or still running.
    pub fn due_next(&self, now: Timestamp) -> Option<Timestamp> {
        let due = |step: &Step| match step.deadline(self.sent_at, now) {
            Deadline::Running { due_at } | Deadline::Missed { due_at } => Some(due_at),
            Deadline::NotRunning | Deadline::Answered { .. } => None,
        };
        self.steps.iter().filter_map(due).min()
    }

    /// Steps whose limit has passed without an answer.
    pub fn missed(&self, now: Timestamp) -> usize {
        self.steps.iter().filter(|step| matches!(step.deadline(self.sent_at, now), Deadline::Missed { .. })).count()
    }
}

/// What a body says.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Position of the step from 0; `None` for the whole.
    pub step: Option<usize>,
    pub word: Word,
    pub via: Via,
}

/// How an answer came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// From somebody who is signed in, a program's token included.
    #[default]
    Portal,
    /// By the link in this contact's mail.
    Link(ContactId),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// Read; only of the whole. Saying it twice, or after more was said, changes nothing.
    Seen,
    InWork,
    Done {
        /// How somebody saw that it is done; may be empty.
        how: String,
    },
    Declined {
        reason: String,
    },
}

impl Word {
    /// Done, and nothing said of how one sees it.
    pub const DONE: Self = Self::Done { how: String::new() };
}

/// Proposes a playbook's containment for an incident, once per playbook; the general one only where nothing else is.
pub(crate) fn recommendation_propose(
    tx: &Transaction<'_>,
    incident: IncidentId,
    body: Option<BodyId>,
    playbook: &Playbook,
    event_time: Timestamp,
    now: Timestamp,
) -> Result<Option<RecommendationId>, DbError> {
    let known: Vec<String> = tx
        .prepare_cached("SELECT playbook FROM recommendation WHERE incident = ?1")?
        .query_map([incident], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if known.contains(&playbook.name) || (playbook.name == GENERAL && !known.is_empty()) {
        return Ok(None);
    }
    let recommendation = Recommendation {
        id: RecommendationId::new(event_time),
        incident,
        playbook: playbook.name.clone(),
        title: playbook.title.clone(),
        intro: playbook.meaning.clone(),
        state: Draft,
        reason: None,
        created_at: event_time,
        sent_at: None,
        steps: playbook.steps.iter().map(step_open).collect(),
        version: 1,
    };
    tx.prepare_cached(
        "INSERT INTO recommendation (id, incident, playbook, title, intro, state, created_at, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        recommendation.id,
        incident,
        recommendation.playbook,
        recommendation.title,
        recommendation.intro,
        recommendation.state.as_str(),
        recommendation.created_at.0,
        recommendation.version,
    ])?;
    steps_write(tx, &recommendation)?;
    tell(tx, &recommendation, body, "recommendation.drafted", event_time, "system", json!({ "playbook": playbook.name }), now)?;
    Ok(Some(recommendation.id))
}

/// Proposes a playbook by hand: for reported incidents, or a second one.
///
/// # Errors
/// `Forbidden`, `NotFound`, `Invalid` where this playbook was proposed before; the database's own.
pub fn recommendation_add(
    tx: &Transaction<'_>,
    incident: IncidentId,
    playbook: &Playbook,
    role: Role,
    now: Timestamp,
) -> Result<RecommendationId, CaseError> {
    demand(Action::RecommendationEdit, role)?;
    let found = incident_find(tx, incident)?.ok_or_else(|| CaseError::NotFound { noun: "incident", id: incident.to_string() })?;
    recommendation_propose(tx, incident, found.body, playbook, now, now)?.ok_or_else(|| CaseError::Invalid {
        what: "playbook",
        value: playbook.name.clone(),
        wanted: "one that is not recommended in this incident yet",
    })
}

/// Replaces a draft's words and steps.
///
/// # Errors
/// `Stale`, `Transition` where it was sent already, `Forbidden`, `NotFound`, `Invalid`; the database's own.
#[expect(clippy::too_many_arguments, reason = "an edit is its words, and every change says who, as what and when")]
pub fn recommendation_edit(
    tx: &Transaction<'_>,
    id: RecommendationId,
    version: i64,
    title: &str,
    intro: &str,
    steps: &[PlaybookStep],
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<Recommendation, CaseError> {
    demand(Action::RecommendationEdit, role)?;
    let (old, body) = find(tx, id)?;
    unchanged(&old, version)?;
    if old.state != Draft {
        return Err(CaseError::Transition { from: old.state.as_str(), to: "edited" });
    }
    if steps.is_empty() || steps.len() > STEPS_MAX {
        return Err(CaseError::Invalid { what: "steps", value: steps.len().to_string(), wanted: "1 to 20" });
    }
    let mut next = old.clone();
    next.title = filled("title", title, TEXT_CHARS_MAX)?;
    next.intro = filled("intro", intro, TEXT_CHARS_MAX)?;
    next.steps = Vec::new();
    for step in steps {
        let text = filled("step", &step.text, TEXT_CHARS_MAX)?;
        let confirm = filled("confirm", &step.confirm, TEXT_CHARS_MAX)?;
        if step.within_minutes < 1 {
            return Err(CaseError::Invalid { what: "within", value: step.within_minutes.to_string(), wanted: "minutes from 1" });
        }
        next.steps.push(step_open(&PlaybookStep { text, confirm, within_minutes: step.within_minutes }));
    }
    next.version += 1;
    write(tx, &next)?;
    tell(tx, &next, body, "recommendation.edited", now, actor, json!({ "version": next.version }), now)?;
    Ok(next)
}

/// Marks a draft as sent and starts its clocks; the caller puts the mail into the outbox in the same transaction.
///
/// # Errors
/// `Stale`, `Transition` where it was sent already, `Invalid` where the incident has no body to send it to,
/// `Forbidden`, `NotFound`; the database's own.
pub fn recommendation_send(
    tx: &Transaction<'_>,
    id: RecommendationId,
    version: i64,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<Recommendation, CaseError> {
    demand(Action::RecommendationSend, role)?;
    let (old, body) = find(tx, id)?;
    unchanged(&old, version)?;
    if old.state != Draft {
        return Err(CaseError::Transition { from: old.state.as_str(), to: Sent.as_str() });
    }
    if body.is_none() {
        return Err(CaseError::Invalid { what: "body", value: String::new(), wanted: "an incident of a body" });
    }
    let mut next = old;
    next.state = Sent;
    next.sent_at = Some(now);
    next.version += 1;
    write(tx, &next)?;
    tell(tx, &next, body, "recommendation.sent", now, actor, json!({ "playbook": next.playbook, "due_at": next.due_at() }), now)?;
    Ok(next)
}

/// Takes a body's answer, from the portal, a link in a mail, or typed in by an analyst. The last word counts; the
/// history keeps all of them.
///
/// # Errors
/// `NotFound` also for a foreign body's or a draft; `Transition` where it is not sent or its words contradict,
/// `Invalid` without a reason or with an unknown step, `Forbidden`; the database's own.
pub fn recommendation_answer(
    tx: &Transaction<'_>,
    scope: &Scope,
    id: RecommendationId,
    answer: &Answer,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<Recommendation, CaseError> {
    demand(Action::RecommendationAnswer, role)?;
    let (old, body) = find(tx, id)?;
    if !scope.body_allowed(body) || (*scope != Scope::All && old.state == Draft) {
        return Err(not_found(id));
    }
    let next = answered(&old, answer, now)?;
    if next == old {
        return Ok(old);
    }
    write(tx, &next)?;
    if let (Some(position), Some(step)) = (answer.step, answer.step.and_then(|position| next.steps.get(position))) {
        let data = json!({ "step": position, "to": step.state, "reason": step.reason });
        tell(tx, &next, body, "recommendation.step", now, actor, answer.via.onto(data), now)?;
    }
    // The first word of any kind is the acknowledgement: a body that acts at once has read it.
    if old.state == Sent {
        tell(tx, &next, body, "recommendation.ack", now, actor, answer.via.onto(json!({})), now)?;
    }
    let kind = match next.state {
        InWork => "recommendation.in_work",
        Done => "recommendation.done",
        Declined => "recommendation.declined",
        Draft | Sent | Seen => return Ok(next),
    };
    if next.state != old.state {
        let data = json!({ "due_at": next.due_at(), "reason": next.reason });
        tell(tx, &next, body, kind, now, actor, answer.via.onto(data), now)?;
    }
    Ok(next)
}

impl Via {
    /// An event's data, with the way that led to it where it was no login.
    fn onto(self, mut data: Value) -> Value {
        if let (Self::Link(contact), Some(data)) = (self, data.as_object_mut()) {
            data.insert("via".into(), json!("link"));
            data.insert("contact".into(), json!(contact));
        }
        data
    }
}

/// The recommendation after an answer. Pure.
pub(crate) fn answered(old: &Recommendation, answer: &Answer, now: Timestamp) -> Result<Recommendation, CaseError> {
    let (step_to, whole_to, reason) = match &answer.word {
        Word::Seen => (StepState::Open, Seen, None),
        Word::InWork => (StepState::InWork, InWork, None),
        Word::Done { how } => (StepState::Done, Done, filled("how", how, TEXT_CHARS_MAX).ok()),
        Word::Declined { reason } => (StepState::Declined, Declined, Some(filled("reason", reason, TEXT_CHARS_MAX)?)),
    };
    let contradicts = || CaseError::Transition { from: old.state.as_str(), to: whole_to.as_str() };
    if old.state == Draft {
        return Err(contradicts());
    }
    let mut next = old.clone();
    let set = |step: &mut Step| {
        if step.state != step_to || step.reason != reason {
            (step.state, step.reason, step.changed_at) = (step_to, reason.clone(), Some(now));
        }
    };
    match (&answer.word, answer.step) {
        (Word::Seen, None) if old.state == Sent => next.state = Seen,
        (Word::Seen, None) => {}
        (Word::Seen, Some(_)) => {
            return Err(CaseError::Invalid { what: "step", value: "seen".into(), wanted: "only the whole is seen" });
        }
        (_, Some(position)) => {
            let unknown = CaseError::Invalid { what: "step", value: position.to_string(), wanted: "a step of this recommendation" };
            set(next.steps.get_mut(position).ok_or(unknown)?);
            next.state = overall(&next.steps, old.state);
        }
        // "We are on it" about the whole does not unsay what was said of single steps.
        (Word::InWork, None) if matches!(old.state, Done | Declined) => return Err(contradicts()),
        (Word::InWork, None) => next.state = InWork,
        (Word::Done { .. }, None) => {
            next.steps.iter_mut().filter(|step| step.state != StepState::Declined).for_each(set);
            next.state = Done;
        }
        (Word::Declined { .. }, None) => {
            next.steps.iter_mut().filter(|step| step.state != StepState::Done).for_each(set);
            next.state = Declined;
        }
    }
    let before = old.reason.clone().filter(|_| next.state == old.state);
    next.reason = if matches!(next.state, Done | Declined) { reason.or(before) } else { None };
    if next != *old {
        next.version += 1;
    }
    Ok(next)
}

/// What the steps come to: answered all, it is done if anything was done; else in work once anything was said.
fn overall(steps: &[Step], old: RecommendationState) -> RecommendationState {
    let any = |state: StepState| steps.iter().any(|step| step.state == state);
    match (any(StepState::Open), any(StepState::InWork), any(StepState::Done), any(StepState::Declined)) {
        (true, false, false, false) => old.max(Seen),
        (false, false, true, _) => Done,
        (false, false, false, true) => Declined,
        _ => InWork,
    }
}

fn step_open(step: &PlaybookStep) -> Step {
    Step {
        text: step.text.clone(),
        confirm: step.confirm.clone(),
        within_minutes: step.within_minutes,
        state: StepState::Open,
        reason: None,
        changed_at: None,
    }
}

fn unchanged(stored: &Recommendation, version: i64) -> Result<(), CaseError> {
    if stored.version == version {
        return Ok(());
    }
    Err(CaseError::Stale { expected: version, found: stored.version, since: Vec::new() })
}

fn not_found(id: RecommendationId) -> CaseError {
    CaseError::NotFound { noun: "recommendation", id: id.to_string() }
}

#[expect(clippy::too_many_arguments, reason = "the columns of a history event")]
fn tell(
    tx: &Transaction<'_>,
    recommendation: &Recommendation,
    body: Option<BodyId>,
    kind: &'static str,
    event_time: Timestamp,
    actor: &str,
    mut data: Value,
    now: Timestamp,
) -> Result<(), DbError> {
    if let Some(data) = data.as_object_mut() {
        data.insert("recommendation".into(), json!(recommendation.id));
    }
    let subject = recommendation.incident.to_string();
    let event = NewHistory { event_time, kind, subject, body, actor: actor.to_owned(), data, corrects: None };
    history_add(tx, now, &event).map(|_| ())
}

/// The recommendations of one incident, oldest first. Whoever calls has checked the scope (`incident_get` does).
pub(crate) fn recommendation_list(connection: &Connection, incident: IncidentId) -> Result<Vec<Recommendation>, DbError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} {FROM} WHERE r.incident = ?1 ORDER BY r.id"))?;
    let all: Vec<(Recommendation, Option<BodyId>)> = statement.query_map([incident], from_row)?.collect::<Result<_, _>>()?;
    all.into_iter().map(|(recommendation, _)| with_steps(connection, recommendation)).collect()
}

/// One recommendation; a body gets neither foreign ones nor drafts.
///
/// # Errors
/// The database's own.
pub fn recommendation_get(connection: &Connection, scope: &Scope, id: RecommendationId) -> Result<Option<Recommendation>, DbError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} {FROM} WHERE r.id = ?1"))?;
    let found = statement.query_row([id], from_row).optional()?;
    let visible = found.filter(|(found, body)| scope.body_allowed(*body) && (*scope == Scope::All || found.state != Draft));
    visible.map(|(recommendation, _)| with_steps(connection, recommendation)).transpose()
}

fn find(tx: &Transaction<'_>, id: RecommendationId) -> Result<(Recommendation, Option<BodyId>), CaseError> {
    let found = tx.prepare_cached(&format!("SELECT {COLUMNS} {FROM} WHERE r.id = ?1"))?.query_row([id], from_row).optional()?;
    let (recommendation, body) = found.ok_or_else(|| not_found(id))?;
    Ok((with_steps(tx, recommendation)?, body))
}

/// What was sent in open cases and is neither done nor declined, with the case's number, its body and the body's name.
pub(crate) fn recommendation_waiting(connection: &Connection) -> Result<Vec<Waiting<Recommendation>>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS}, i.number, COALESCE(b.name, '') {FROM} LEFT JOIN body b ON b.id = i.body
         WHERE r.state IN ('sent', 'seen', 'in_work') AND i.state <> 'closed' ORDER BY r.sent_at, r.id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], |row| {
        let (recommendation, body) = from_row(row)?;
        Ok((recommendation, row.get::<_, String>(11)?, body, row.get::<_, String>(12)?))
    })?;
    let all: Vec<_> = rows.collect::<Result<_, _>>()?;
    all.into_iter().map(|(one, number, body, name)| Ok((with_steps(connection, one)?, number, body, name))).collect()
}

const COLUMNS: &str = "r.id, r.incident, r.playbook, r.title, r.intro, r.state, r.reason, r.created_at, r.sent_at, r.version, i.body";
const FROM: &str = "FROM recommendation r JOIN incident i ON i.id = r.incident";

fn from_row(row: &Row<'_>) -> ingest::rusqlite::Result<(Recommendation, Option<BodyId>)> {
    let recommendation = Recommendation {
        id: row.get(0)?,
        incident: row.get(1)?,
        playbook: row.get(2)?,
        title: row.get(3)?,
        intro: row.get(4)?,
        state: word_known(5, RecommendationState::parse(&row.get::<_, String>(5)?))?,
        reason: row.get(6)?,
        created_at: Timestamp(row.get(7)?),
        sent_at: row.get::<_, Option<i64>>(8)?.map(Timestamp),
        steps: Vec::new(),
        version: row.get(9)?,
    };
    Ok((recommendation, row.get(10)?))
}

fn with_steps(connection: &Connection, mut recommendation: Recommendation) -> Result<Recommendation, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT text, confirm, within_minutes, state, reason, changed_at FROM recommendation_step WHERE recommendation = ?1 ORDER BY position",
    )?;
    let rows = statement.query_map([recommendation.id], |row| {
        Ok(Step {
            text: row.get(0)?,
            confirm: row.get(1)?,
            within_minutes: row.get(2)?,
            state: word_known(3, StepState::parse(&row.get::<_, String>(3)?))?,
            reason: row.get(4)?,
            changed_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        })
    })?;
    recommendation.steps = rows.collect::<Result<_, _>>()?;
    Ok(recommendation)
}

fn write(tx: &Transaction<'_>, next: &Recommendation) -> Result<(), CaseError> {
    let changed = tx
        .prepare_cached(
            "UPDATE recommendation SET title = ?3, intro = ?4, state = ?5, reason = ?6, sent_at = ?7, version = ?8
             WHERE id = ?1 AND version = ?2",
        )?
        .execute(params![
            next.id,
            next.version - 1,
            next.title,
            next.intro,
            next.state.as_str(),
            next.reason,
            next.sent_at.map(|at| at.0),
            next.version,
        ])?;
    if changed != 1 {
        return Err(CaseError::Stale { expected: next.version - 1, found: next.version, since: Vec::new() });
    }
    steps_write(tx, next)?;
    Ok(())
}

fn steps_write(tx: &Transaction<'_>, recommendation: &Recommendation) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM recommendation_step WHERE recommendation = ?1")?.execute([recommendation.id])?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO recommendation_step (recommendation, position, text, confirm, within_minutes, state, reason, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for (step, position) in recommendation.steps.iter().zip(0i64..) {
        insert.execute(params![
            recommendation.id,
            position,
            step.text,
            step.confirm,
            step.within_minutes,
            step.state.as_str(),
            step.reason,
            step.changed_at.map(|at| at.0),
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

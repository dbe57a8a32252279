//! What people do to an incident. `plan` decides, as a pure function of the case and the wish; `incident_change`
//! stores the outcome and its history event in the caller's transaction. A stale wish is refused, never merged.

use ingest::history::{NewHistory, history_add, history_of};
use ingest::rusqlite::{Transaction, params};
use ingest::time::Timestamp;
use serde_json::{Value, json};

use super::store::{incident_find, incident_write, search_update};
use super::{CaseError, Incident, IncidentId, State, TRANSITIONS, Tlp, demand, service_name, services_known, text_clean};
use crate::alert::{self, AlertState, Disposition};
use crate::role::{Action, Role};
use crate::rsit::Rsit;
use crate::rule::Level;

/// A title is one line of a list.
pub(crate) const TITLE_CHARS_MAX: usize = 200;
/// A summary is two sentences, a note a page: more belongs into an attachment.
pub(crate) const TEXT_CHARS_MAX: usize = 10_000;

/// A wish of one person about one incident.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// To another state than closed. `at` is when it happened, where that is not now (contained yesterday).
    Move {
        to: State,
        at: Option<Timestamp>,
    },
    /// Closes it, and with it those of its alerts that nobody judged yet.
    Close {
        disposition: Disposition,
        at: Option<Timestamp>,
    },
    Assign(Option<String>),
    Severity(Level),
    Classify(Rsit),
    Label(Tlp),
    /// The base services that it concerns, all of them: keys of `SERVICES`.
    Services(Vec<String>),
    Title(String),
    /// `None` goes back to the summary made of the facts.
    Summary(Option<String>),
    /// Appended; as nothing can be overwritten by it, its version is not compared.
    Note(String),
}

/// What a wish comes to: the case after it, and the event that tells of it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) next: Incident,
    pub(crate) kind: &'static str,
    pub(crate) event_time: Timestamp,
    pub(crate) data: Value,
}

/// Applies a change that was made looking at `version`, and says the new version.
///
/// # Errors
/// `Stale` with what happened since; `Forbidden`, `Transition`, `Invalid`, `NotFound`; the database's own.
pub fn incident_change(
    tx: &Transaction<'_>,
    id: IncidentId,
    version: i64,
    change: &Change,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<i64, CaseError> {
    let incident = incident_find(tx, id)?.ok_or_else(|| CaseError::NotFound { noun: "incident", id: id.to_string() })?;
    if version != incident.version && !matches!(change, Change::Note(_)) {
        return Err(stale(tx, &incident, version)?);
    }
    let plan = plan(&incident, change, role, now)?;
    let event = NewHistory {
        event_time: plan.event_time,
        kind: plan.kind,
        subject: id.to_string(),
        body: incident.body,
        actor: actor.to_owned(),
        data: plan.data,
        corrects: None,
    };
    let event = history_add(tx, now, &event)?;
    if let Change::Note(text) = change {
        tx.prepare_cached("INSERT INTO incident_note (id, incident, actor, at, text) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
            event,
            id,
            actor,
            now.0,
            text_clean(text, TEXT_CHARS_MAX)
        ])?;
        return Ok(incident.version);
    }
    if !incident_write(tx, &plan.next, incident.version)? {
        return Err(stale(tx, &incident, version)?);
    }
    search_update(tx, &plan.next)?;
    match change {
        // Whoever triages a case has seen what it is made of.
        Change::Move { to: State::Triaged, .. } => {
            alert::of_incident_move(tx, id, AlertState::Acknowledged, None, actor, plan.event_time, now)?;
        }
        Change::Close { disposition, .. } => {
            alert::of_incident_move(tx, id, AlertState::Closed, Some(*disposition), actor, plan.event_time, now)?;
        }
        _ => {}
    }
    Ok(plan.next.version)
}

pub(super) fn stale(tx: &Transaction<'_>, incident: &Incident, expected: i64) -> Result<CaseError, CaseError> {
    let version = |data: &Value| data.get("version").and_then(Value::as_i64);
    let mut since = history_of(tx, &incident.id.to_string())?;
    since.retain(|event| version(&event.data).is_some_and(|version| version > expected));
    since.sort_by_key(|event| version(&event.data));
    Ok(CaseError::Stale { expected, found: incident.version, since })
}

/// Judges a wish. Pure: the whole workflow is in here and in `TRANSITIONS`.
pub(crate) fn plan(incident: &Incident, change: &Change, role: Role, now: Timestamp) -> Result<Plan, CaseError> {
    let open = |action: Action| {
        demand(action, role)?;
        // A closed case is history: reopen it first. Notes may still be added.
        if incident.state == State::Closed {
            return Err(CaseError::Transition { from: State::Closed.as_str(), to: "changed" });
        }
        Ok(())
    };
    let mut next = incident.clone();
    next.version += 1;
    let (kind, event_time, from, to): (_, _, Value, Value) = match change {
        Change::Move { to: State::Closed, .. } => {
            return Err(CaseError::Invalid { what: "disposition", value: String::new(), wanted: "closing needs one" });
        }
        Change::Move { to, .. } if incident.merged_into.is_some() => {
            return Err(CaseError::Transition { from: "merged", to: to.as_str() });
        }
        Change::Move { to, at } => {
            step(incident.state, *to, role)?;
            next.state = *to;
            next.closed_at = None;
            next.disposition = None;
            (move_kind(incident.state, *to), moment(incident, *at, now)?, incident.state.as_str().into(), to.as_str().into())
        }
        Change::Close { disposition, at } => {
            step(incident.state, State::Closed, role)?;
            let at = moment(incident, *at, now)?;
            next.state = State::Closed;
            next.closed_at = Some(at);
            next.disposition = Some(*disposition);
            ("incident.closed", at, incident.state.as_str().into(), State::Closed.as_str().into())
        }
        Change::Assign(user) => {
            open(Action::IncidentAssign)?;
            next.assignee = user.as_deref().map(|user| text_clean(user, TITLE_CHARS_MAX)).filter(|user| !user.is_empty());
            ("incident.assigned", now, json!(incident.assignee), json!(next.assignee))
        }
        Change::Severity(level) => {
            open(Action::IncidentSeverity)?;
            if *level == Level::Informational {
                return Err(CaseError::Invalid { what: "severity", value: level.as_str().into(), wanted: "low is the least" });
            }
            next.severity = *level;
            ("incident.severity", now, incident.severity.as_str().into(), level.as_str().into())
        }
        Change::Classify(class) => {
            open(Action::IncidentClassify)?;
            next.rsit = *class;
            ("incident.classified", now, incident.rsit.to_string().into(), class.to_string().into())
        }
        Change::Label(label) => {
            // What a source wants kept closer is so at once, whether or not somebody still works on it.
            if *label > incident.tlp {
                demand(Action::IncidentLabel, role)?
            } else {
                open(Action::IncidentLabel)?
            }
            next.tlp = *label;
            ("incident.labelled", now, incident.tlp.as_str().into(), label.as_str().into())
        }
        Change::Services(keys) => {
            open(Action::IncidentEdit)?;
            if let Some(unknown) = keys.iter().find(|key| service_name(key).is_none()) {
                return Err(CaseError::Invalid { what: "service", value: unknown.clone(), wanted: "a base service of the list" });
            }
            next.services = services_known(keys.iter().map(String::as_str));
            ("incident.services", now, json!(incident.services), json!(next.services))
        }
        Change::Title(title) => {
            open(Action::IncidentEdit)?;
            next.title = filled("title", &title.replace('\n', " "), TITLE_CHARS_MAX)?;
            ("incident.titled", now, json!(incident.title), json!(next.title))
        }
        Change::Summary(summary) => {
            open(Action::IncidentEdit)?;
            next.summary = summary.as_deref().map(|text| filled("summary", text, TEXT_CHARS_MAX)).transpose()?;
            ("incident.summarised", now, json!(incident.summary), json!(next.summary))
        }
        Change::Note(text) => {
            demand(Action::IncidentNote, role)?;
            filled("note", text, TEXT_CHARS_MAX)?;
            // No version and no text: the note stands in its own table, and the KPIs need neither.
            return Ok(Plan { next, kind: "incident.noted", event_time: now, data: json!({}) });
        }
    };
    let mut data = json!({ "version": next.version, "from": from, "to": to });
    if let (Change::Close { disposition, .. }, Some(data)) = (change, data.as_object_mut()) {
        data.insert("disposition".into(), disposition.as_str().into());
    }
    Ok(Plan { next, kind, event_time, data })
}

fn step(from: State, to: State, role: Role) -> Result<(), CaseError> {
    let known = TRANSITIONS.iter().find(|(start, end, _)| *start == from && *end == to);
    let (_, _, roles) = known.ok_or(CaseError::Transition { from: from.as_str(), to: to.as_str() })?;
    if roles.contains(&role) { Ok(()) } else { Err(CaseError::Forbidden { action: format!("{} -> {}", from.as_str(), to.as_str()), role }) }
}

fn move_kind(from: State, to: State) -> &'static str {
    match to {
        State::Triaged if from == State::Closed => "incident.reopened",
        State::New => "incident.opened",
        State::Triaged => "incident.triaged",
        State::InWork => "incident.in_work",
        State::Contained => "incident.contained",
        State::Recovered => "incident.recovered",
        State::Closed => "incident.closed",
    }
}

/// When it happened: now, or a moment between the first sign and now.
fn moment(incident: &Incident, at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, CaseError> {
    let at = at.unwrap_or(now);
    if at > now || (at < incident.first_activity && at != now) {
        return Err(CaseError::Invalid { what: "time", value: at.to_string(), wanted: "between the first activity and now" });
    }
    Ok(at)
}

pub(crate) fn filled(what: &'static str, text: &str, chars_max: usize) -> Result<String, CaseError> {
    let clean = text_clean(text, chars_max);
    if clean.is_empty() { Err(CaseError::Invalid { what, value: String::new(), wanted: "it must not be empty" }) } else { Ok(clean) }
}

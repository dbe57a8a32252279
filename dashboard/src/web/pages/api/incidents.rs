//! Cases for programs: the list in the order of changes, one case, and what belongs to it. Names of members are stable; a
//! body's program gets what its people see on the page.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use detect::alert::{AlertFilter, AlertState, alert_list};
use detect::incident::{Changed, Incident, IncidentFilter, IncidentId, IncidentView, State, incident_changed, incident_get};
use detect::recommendation::Recommendation;
use detect::rule::Level;
use ingest::db::DbError;
use ingest::history::HistoryEvent;
use ingest::rusqlite::Connection;
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::web::bearer::json_reply;
use crate::web::pages::incidents;
use crate::web::problem::problem_with;
use crate::web::{Ask, Reply};
use crate::words::Names;

/// Entries of a page where nothing is said, and at most.
const PAGE_ROWS: usize = 100;
const PAGE_ROWS_MAX: usize = 500;
/// What was being written while a list was made may carry a time so much before it: who goes on from there sees some
/// changes twice and none never.
const OVERLAP_MILLIS: i64 = 10 * Timestamp::SECOND;

/// A parameter that says nothing we know.
fn wrong(name: &str, value: &str, wanted: &str) -> Box<Response> {
    let shown: String = value.chars().take(80).collect();
    let detail = format!("„{name}“ mit dem Wert „{shown}“ ist nicht zu verstehen; erwartet wird {wanted}.");
    Box::new(problem_with(StatusCode::BAD_REQUEST, "invalid_parameter", &detail, &json!({ "parameter": name })))
}

/// A parameter where it is given; the answer where it cannot be read.
fn given<T>(ask: &Ask, name: &str, wanted: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Box<Response>> {
    match ask.query(name) {
        "" => Ok(None),
        text => read(text).map(Some).ok_or_else(|| wrong(name, text, wanted)),
    }
}

/// The page's length.
fn rows(ask: &Ask) -> Result<usize, Box<Response>> {
    let read = |text: &str| text.parse().ok().filter(|rows| (1..=PAGE_ROWS_MAX).contains(rows));
    Ok(given(ask, "limit", &format!("eine Zahl von 1 bis {PAGE_ROWS_MAX}"), read)?.unwrap_or(PAGE_ROWS))
}

struct Wanted {
    filter: IncidentFilter,
    since: Option<Timestamp>,
    after: Option<Changed>,
}

fn wanted(ask: &Ask) -> Result<Wanted, Box<Response>> {
    let states: Option<Vec<State>> = ask.query.all("state").map(State::parse).collect();
    let states =
        states.ok_or_else(|| wrong("state", ask.query("state"), "einer von new, triaged, in_work, contained, recovered, closed"))?;
    let filter = IncidentFilter {
        states,
        severity_min: given(ask, "severity_min", "eine von low, medium, high, critical", Level::parse)?,
        body: given(ask, "body", "die Kennung einer Stelle", |text| text.parse().ok())?,
        assignee: given(ask, "assignee", "die Kennung eines Kontos", |text| Some(text.to_owned()))?,
        text: given(ask, "q", "ein Wort", |text| Some(text.to_owned()))?,
        limit: rows(ask)? + 1,
        ..incidents::readable(ask)
    };
    let since = given(ask, "updated_since", "ein Zeitpunkt wie 2026-11-21T08:00:00Z", Timestamp::parse_rfc3339)?;
    let after = given(ask, "cursor", "der Wert „next“ der Seite davor", cursor_read)?;
    Ok(Wanted { filter, since, after })
}

fn cursor((at, id): Changed) -> String {
    format!("{}-{id}", at.0)
}

fn cursor_read(text: &str) -> Option<Changed> {
    let (at, id) = text.split_once('-')?;
    Some((Timestamp(at.parse().ok()?), id.parse().ok()?))
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let Wanted { filter, since, after } = match wanted(ask) {
        Ok(wanted) => wanted,
        Err(response) => return Ok(*response),
    };
    let internal = ask.scope() == Scope::All;
    let rows = filter.limit - 1;
    let mut found = ask.app.db.read(|c| incident_changed(c, &filter, since, after))?;
    let more = found.len() > rows;
    found.truncate(rows);
    let next = found.last().filter(|_| more).map(|(place, _)| cursor(*place));
    let cases: Vec<Value> = found
        .iter()
        .map(|((at, _), incident)| {
            let mut case = case(incident, internal);
            case.insert("changed_at".into(), at.rfc3339().into());
            Value::Object(case)
        })
        .collect();
    // Where to go on the next time, once there is no next page.
    let updated_since = next.is_none().then(|| ask.now.plus(-OVERLAP_MILLIS).rfc3339());
    Ok(json_reply(StatusCode::OK, &json!({ "incidents": cases, "next": next, "updated_since": updated_since })))
}

/// A case as lists have it.
fn case(incident: &Incident, internal: bool) -> Map<String, Value> {
    let named = |id: Option<String>, name: &Option<String>| id.map(|id| json!({ "id": id, "name": name }));
    let mut case = json!({
        "number": incident.number, "id": incident.id, "title": incident.title, "state": incident.state,
        "severity": incident.severity, "rsit": incident.rsit, "tlp": incident.tlp, "services": incident.services, "origin": incident.origin,
        "body": named(incident.body.map(|id| id.to_string()), &incident.body_name),
        "site": named(incident.site.map(|id| id.to_string()), &incident.site_name),
        "first_activity": incident.first_activity.rfc3339(), "last_activity": incident.last_activity.rfc3339(),
        "detected_at": incident.detected_at.rfc3339(), "opened_at": incident.opened_at.rfc3339(),
        "closed_at": incident.closed_at.map(Timestamp::rfc3339), "disposition": incident.disposition,
        "version": incident.version, "alerts": incident.alerts, "events": incident.events,
    })
    .as_object()
    .cloned()
    .unwrap_or_default();
    // Outside of the CERT people see the house, not the colleague.
    if internal {
        case.insert("assignee".into(), json!(incident.assignee));
        // Which may carry a stricter label.
        case.insert("merged_into".into(), json!(incident.merged_into));
    }
    case
}

/// A whole case; `None` where it is not for this caller.
///
/// # Errors
/// The database's own.
pub(super) fn whole(connection: &Connection, scope: &Scope, id: IncidentId) -> Result<Option<(i64, Value)>, DbError> {
    let view = incident_get(connection, scope, id)?;
    Ok(view.map(|view| (view.incident.version, Value::Object(detailed(&view, *scope == Scope::All)))))
}

fn detailed(view: &IncidentView, internal: bool) -> Map<String, Value> {
    let mut case = case(&view.incident, internal);
    case.insert("summary".into(), json!(view.summary));
    case.insert("observables".into(), json!(view.observables));
    case.insert("recommendations".into(), Value::Array(view.recommendations.iter().map(recommendation).collect()));
    if internal {
        let notes = view.notes.iter().map(|note| json!({ "actor": note.actor, "at": note.at.rfc3339(), "text": note.text }));
        case.insert("notes".into(), Value::Array(notes.collect()));
    }
    case
}

pub(in crate::web) fn detail(ask: &mut Ask) -> Reply {
    let (_, view) = incidents::find(ask)?;
    let case = detailed(&view, ask.scope() == Scope::All);
    Ok(tagged(json_reply(StatusCode::OK, &Value::Object(case)), view.incident.version))
}

/// With the version that a change has to name (`If-Match`).
pub(super) fn tagged(mut response: Response, version: i64) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn recommendation(one: &Recommendation) -> Value {
    let steps = one.steps.iter().map(|step| {
        json!({
            "text": step.text, "confirm": step.confirm, "within_minutes": step.within_minutes, "state": step.state,
            "reason": step.reason, "changed_at": step.changed_at.map(Timestamp::rfc3339),
        })
    });
    json!({
        "id": one.id, "title": one.title, "intro": one.intro, "state": one.state, "reason": one.reason, "playbook": one.playbook,
        "created_at": one.created_at.rfc3339(), "sent_at": one.sent_at.map(Timestamp::rfc3339), "version": one.version,
        "steps": steps.collect::<Vec<_>>(),
    })
}

pub(in crate::web) fn recommendations(ask: &mut Ask) -> Reply {
    let (_, view) = incidents::find(ask)?;
    let all: Vec<Value> = view.recommendations.iter().map(recommendation).collect();
    Ok(json_reply(StatusCode::OK, &json!({ "recommendations": all })))
}

pub(in crate::web) fn history(ask: &mut Ask) -> Reply {
    let (_, view) = incidents::find(ask)?;
    let internal = ask.scope() == Scope::All;
    let names = ask.app.db.read(Names::load)?;
    let all: Vec<Value> = view.history.iter().map(|event| told(event, &names, internal)).collect();
    Ok(json_reply(StatusCode::OK, &json!({ "history": all })))
}

/// One event of a case's history. What it holds beside the turn itself is the CERT's own.
pub(super) fn told(event: &HistoryEvent, names: &Names, internal: bool) -> Value {
    let mut told = json!({
        "id": event.id, "kind": event.kind, "event_time": event.event_time.rfc3339(), "recorded_at": event.recorded_at.rfc3339(),
        "corrects": event.corrects,
    });
    if let Some(told) = told.as_object_mut() {
        if internal {
            told.insert("actor".into(), names.of(&event.actor).into());
            told.insert("data".into(), event.data.clone());
        } else if let Some(to) = event.data.get("to").filter(|_| event.kind != "incident.assigned") {
            told.insert("to".into(), to.clone());
        }
    }
    told
}

pub(in crate::web) fn alerts(ask: &mut Ask) -> Reply {
    let (id, _) = incidents::find(ask)?;
    alert_page(ask, Some(id))
}

pub(in crate::web) fn alert_all(ask: &mut Ask) -> Reply {
    alert_page(ask, None)
}

/// Alerts, the newest first.
fn alert_page(ask: &Ask, incident: Option<IncidentId>) -> Reply {
    let read = || {
        let states: Option<Vec<AlertState>> = ask.query.all("state").map(AlertState::parse).collect();
        let states = states.ok_or_else(|| wrong("state", ask.query("state"), "einer von new, acknowledged, closed"))?;
        Ok::<_, Box<Response>>(AlertFilter {
            states,
            rule_name: given(ask, "rule", "der Kurzname einer Regel", |text| Some(text.to_owned()))?,
            since: given(ask, "detected_since", "ein Zeitpunkt wie 2026-11-21T08:00:00Z", Timestamp::parse_rfc3339)?,
            before: given(ask, "cursor", "der Wert „next“ der Seite davor", |text| text.parse().ok())?,
            limit: rows(ask)? + 1,
            incident,
            ..AlertFilter::new(ask.scope())
        })
    };
    let filter = match read() {
        Ok(filter) => filter,
        Err(response) => return Ok(*response),
    };
    let rows = filter.limit - 1;
    let mut found = ask.app.db.read(|c| alert_list(c, &filter))?;
    let more = found.len() > rows;
    found.truncate(rows);
    let next = found.last().filter(|_| more).map(|last| last.id.to_string());
    let alerts: Vec<Value> = found.iter().map(alert).collect();
    Ok(json_reply(StatusCode::OK, &json!({ "alerts": alerts, "next": next })))
}

fn alert(one: &detect::alert::Alert) -> Value {
    json!({
        "id": one.id, "rule": one.rule, "rule_name": one.rule_name, "title": one.title, "level": one.level, "rsit": one.rsit,
        "site": { "id": one.site, "name": one.site_name }, "body": one.body.map(|id| json!({ "id": id, "name": one.body_name })),
        "entity": one.entity, "first": one.first.rfc3339(), "last": one.last.rfc3339(), "detected_at": one.detected_at.rfc3339(),
        "records": one.records, "observables": one.observables, "reasons": one.reasons, "state": one.state,
        "disposition": one.disposition, "actor": one.actor, "incident": one.incident, "grouped": one.grouped,
    })
}

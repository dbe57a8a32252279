//! What programs do to cases: the same changes as people on the page, by the same rules, in JSON. A change names the
//! version that it was made looking at (`If-Match`), and may carry a key by which it happens once (`Idempotency-Key`).

use std::fmt::Display;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use detect::alert::{Disposition, Observables};
use detect::incident::{CaseError, Change, IncidentId, NewIncident, Origin, State, Tlp, incident_change, incident_open_manual};
use detect::recommendation::{Answer, RecommendationId, Via, Word, recommendation_answer};
use detect::rsit::Rsit;
use detect::rule::Level;
use ingest::body::BodyId;
use ingest::db::DbError;
use ingest::rusqlite::Transaction;
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::incidents::{tagged, told, whole};
use crate::access::Viewer;
use crate::api_request::{Answered, KEY_CHARS_MAX, KeepError, api_request_add, api_request_find};
use crate::session::hex;
use crate::user::{user_by_login, user_get};
use crate::web::pages::incidents;
use crate::web::problem::{problem, problem_with};
use crate::web::{Ask, PageError, Reply};
use crate::words::Names;

/// What is to be done, understood.
enum Act {
    Open(Box<NewIncident>),
    /// With the version that it was made looking at; a note needs none.
    Change(IncidentId, i64, Change),
    Answer(IncidentId, RecommendationId, Answer),
}

/// Why it was not done.
enum Undone {
    Case(CaseError),
    /// It was done before, under this key.
    Done(Answered),
    /// Its answer could not be kept.
    Full {
        until: Timestamp,
    },
}

impl From<KeepError> for Undone {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Full { until } => Self::Full { until },
            KeepError::Db(error) => error.into(),
        }
    }
}

impl From<DbError> for Undone {
    fn from(error: DbError) -> Self {
        Self::Case(error.into())
    }
}

impl From<CaseError> for Undone {
    fn from(error: CaseError) -> Self {
        Self::Case(error)
    }
}

/// Not understood: what, and what would be.
fn unclear(member: &str, wanted: impl Display) -> Box<Response> {
    let detail = format!("„{member}“ fehlt oder ist nicht zu verstehen; erwartet wird {wanted}.");
    Box::new(problem_with(StatusCode::UNPROCESSABLE_ENTITY, "invalid_member", &detail, &json!({ "member": member })))
}

/// The members of a request.
struct Input(Map<String, Value>);

impl Input {
    /// The JSON that was sent; of a form its fields. A member that nobody knows is a mistake of whoever wrote it.
    fn of(ask: &Ask, known: &[&str]) -> Result<Self, Box<Response>> {
        let members = match ask.json.as_deref() {
            Some(text) => {
                let read: Result<Value, _> = serde_json::from_str(text);
                let object = read.ok().and_then(|value| value.as_object().cloned());
                object.ok_or_else(|| Box::new(problem(StatusCode::BAD_REQUEST, "not_json", "Erwartet wird ein Objekt in JSON.")))?
            }
            None => {
                let fields = ask.form.0.iter().filter(|(name, _)| name != "csrf");
                fields.map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect()
            }
        };
        if let Some(strange) = members.keys().find(|name| !known.contains(&name.as_str())) {
            let wanted = if known.is_empty() { "nichts".to_owned() } else { known.join(", ") };
            return Err(unclear(&strange.chars().take(80).collect::<String>(), wanted));
        }
        Ok(Self(members))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    /// What has to be there.
    fn need<T>(&self, name: &str, wanted: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, Box<Response>> {
        self.text(name).and_then(read).ok_or_else(|| unclear(name, wanted))
    }

    /// What may be there, and is then to be understood.
    fn may<T>(&self, name: &str, wanted: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Box<Response>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.need(name, wanted, read).map(Some),
        }
    }
}

const TIME: &str = "ein Zeitpunkt wie 2026-11-21T08:00:00Z";

pub(in crate::web) fn open(ask: &mut Ask) -> Reply {
    const KNOWN: [&str; 10] =
        ["title", "summary", "severity", "rsit", "tlp", "origin", "body", "first_activity", "aware_at", "observables"];
    let parse = |ask: &Ask| -> Result<Act, Box<Response>> {
        let input = Input::of(ask, &KNOWN)?;
        let own = match ask.scope() {
            Scope::Bodies(bodies) if bodies.len() == 1 => bodies.first().copied(),
            _ => None,
        };
        let body: Option<BodyId> = input.may("body", "die Kennung einer Stelle", |text| text.parse().ok())?.or(own);
        Ok(Act::Open(Box::new(NewIncident {
            title: input.need("title", "ein Text", |text| Some(text.to_owned()))?,
            summary: input.need("summary", "ein Text", |text| Some(text.to_owned()))?,
            severity: input.need("severity", "eine von low, medium, high, critical", Level::parse)?,
            rsit: input.may("rsit", "eine Klasse der RSIT", |text| text.parse().ok())?.unwrap_or(Rsit::UNDETERMINED),
            services: vec![],
            tlp: input.may("tlp", "eines von CLEAR, GREEN, AMBER, AMBER+STRICT, RED", Tlp::parse)?.unwrap_or_default(),
            origin: input.may("origin", "phone oder mail", Origin::parse)?.unwrap_or(Origin::Mail),
            body,
            site: None,
            first_activity: input.may("first_activity", TIME, Timestamp::parse_rfc3339)?,
            aware_at: input.may("aware_at", TIME, Timestamp::parse_rfc3339)?.unwrap_or(ask.now),
            observables: observables(&input)?,
        })))
    };
    perform(ask, parse)
}

fn observables(input: &Input) -> Result<Observables, Box<Response>> {
    match input.0.get("observables") {
        None | Some(Value::Null) => Ok(Observables::new()),
        Some(value) => {
            serde_json::from_value(value.clone()).map_err(|_| unclear("observables", "ein Objekt wie {\"source.ip\": [\"192.0.2.1\"]}"))
        }
    }
}

pub(in crate::web) fn note(ask: &mut Ask) -> Reply {
    let (id, view) = incidents::find(ask)?;
    perform(ask, |ask| {
        let text = Input::of(ask, &["text"])?.need("text", "ein Text", |text| Some(text.to_owned()))?;
        Ok(Act::Change(id, view.incident.version, Change::Note(text)))
    })
}

pub(in crate::web) fn move_to(ask: &mut Ask) -> Reply {
    let (id, _) = incidents::find(ask)?;
    perform(ask, |ask| {
        let version = version(ask)?;
        let input = Input::of(ask, &["to", "at"])?;
        let open = |text: &str| State::parse(text).filter(|state| *state != State::Closed);
        let to = input.need("to", "einer von triaged, in_work, contained, recovered; geschlossen wird mit /close", open)?;
        Ok(Act::Change(id, version, Change::Move { to, at: input.may("at", TIME, Timestamp::parse_rfc3339)? }))
    })
}

pub(in crate::web) fn close(ask: &mut Ask) -> Reply {
    let (id, _) = incidents::find(ask)?;
    perform(ask, |ask| {
        let version = version(ask)?;
        let input = Input::of(ask, &["disposition", "at"])?;
        let disposition = input.need("disposition", "eines von true_positive, benign, false_positive", Disposition::parse)?;
        Ok(Act::Change(id, version, Change::Close { disposition, at: input.may("at", TIME, Timestamp::parse_rfc3339)? }))
    })
}

pub(in crate::web) fn assign(ask: &mut Ask) -> Reply {
    let (id, _) = incidents::find(ask)?;
    let me = ask.viewer()?.user;
    perform(ask, |ask| {
        let version = version(ask)?;
        let input = Input::of(ask, &["assignee"])?;
        let user = match input.0.get("assignee") {
            Some(Value::Null) => None,
            _ => {
                let wanted = "ein Anmeldename, „me“ oder null";
                let login = input.need("assignee", wanted, |text| Some(text.to_owned()))?;
                let found = ask.app.db.read(|c| match login.as_str() {
                    "me" => user_get(c, me),
                    login => Ok(user_by_login(c, login)?.map(|(user, _)| user)),
                });
                // Who cannot sign in works on nothing.
                let user = found
                    .ok()
                    .flatten()
                    .filter(|user| !user.disabled && detect::role::allowed(detect::role::Action::IncidentAssign, user.role));
                Some(user.ok_or_else(|| unclear("assignee", wanted))?.id.to_string())
            }
        };
        Ok(Act::Change(id, version, Change::Assign(user)))
    })
}

pub(in crate::web) fn answer(ask: &mut Ask) -> Reply {
    let (id, view) = incidents::find(ask)?;
    perform(ask, |ask| {
        let input = Input::of(ask, &["recommendation", "step", "word", "reason"])?;
        let known = |text: &str| text.parse().ok().filter(|id| view.recommendations.iter().any(|one| one.id == *id));
        let recommendation = input.need("recommendation", "die Kennung einer Empfehlung dieses Vorfalls", known)?;
        let reason = input.text("reason").unwrap_or_default().to_owned();
        let word = input.need("word", "eines von seen, in_work, done, declined", |word| {
            Some(match word {
                "seen" => Word::Seen,
                "in_work" => Word::InWork,
                "done" => Word::Done { how: reason.clone() },
                "declined" => Word::Declined { reason: reason.clone() },
                _ => return None,
            })
        })?;
        if matches!(&word, Word::Declined { reason } if reason.is_empty()) {
            return Err(unclear("reason", "ein Grund, wenn abgelehnt wird"));
        }
        let step = match input.0.get("step") {
            None | Some(Value::Null) => None,
            Some(Value::Number(number)) => number.as_u64().and_then(|n| usize::try_from(n).ok()),
            Some(other) => other.as_str().and_then(|text| text.parse().ok()),
        };
        Ok(Act::Answer(id, recommendation, Answer { step, word, via: Via::Portal }))
    })
}

/// The version that the program looked at. Without it, it would overwrite what it never saw.
fn version(ask: &Ask) -> Result<i64, Box<Response>> {
    let Some(tag) = ask.headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()) else {
        let text = "Diese Änderung braucht die Fassung, die Sie gelesen haben: If-Match mit dem ETag des Vorfalls.";
        return Err(Box::new(problem(StatusCode::PRECONDITION_REQUIRED, "version_missing", text)));
    };
    let plain = tag.trim().trim_start_matches("W/").trim_matches('"');
    plain.parse().map_err(|_| Box::new(problem(StatusCode::BAD_REQUEST, "invalid_version", "If-Match ist kein ETag eines Vorfalls.")))
}

/// The key under which this happens once.
fn key(ask: &Ask) -> Result<Option<String>, Box<Response>> {
    let Some(value) = ask.headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_CHARS_MAX);
    let text = format!("Idempotency-Key hat 1 bis {KEY_CHARS_MAX} druckbare Zeichen.");
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Box::new(problem(StatusCode::BAD_REQUEST, "invalid_key", &text)))
}

/// Whose keys are told apart: a token's, else a session's.
fn holder(ask: &Ask) -> String {
    match (&ask.bearer, &ask.session) {
        (Some(token), _) => format!("token/{}", token.id),
        (None, Some(session)) => format!("session/{}", session.id),
        (None, None) => String::new(),
    }
}

/// Nothing was done, because nobody could have asked again what became of it.
fn full(millis: i64) -> Response {
    let text = "Für diesen Zugriffsschlüssel sind so viele Idempotency-Keys aufbewahrt, wie ein Tag fasst. Nichts wurde geändert.";
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, "keys_full", text);
    let seconds = millis.max(0).div_euclid(Timestamp::SECOND) + 1;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// What was asked, as a digest.
fn fingerprint(ask: &Ask) -> String {
    let mut hash = Sha256::new();
    let tag = ask.headers.get(header::IF_MATCH).map(HeaderValue::as_bytes).unwrap_or_default();
    for part in [ask.path.as_bytes(), tag, ask.json.as_deref().unwrap_or_default().as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    for (name, value) in ask.form.0.iter().filter(|(name, _)| name != "csrf") {
        hash.update(format!("{name}={value}\n"));
    }
    hex(&hash.finalize())
}

fn perform(ask: &Ask, parse: impl FnOnce(&Ask) -> Result<Act, Box<Response>>) -> Reply {
    let viewer = ask.viewer()?.clone();
    let key = match key(ask) {
        Ok(key) => key,
        Err(response) => return Ok(*response),
    };
    let (fingerprint, now, holder) = (fingerprint(ask), ask.now, holder(ask));
    if let Some(key) = &key
        && let Some(answered) = ask.app.db.read(|c| api_request_find(c, &holder, key, now))?
    {
        return Ok(repeated(answered, &fingerprint));
    }
    let act = match parse(ask) {
        Ok(act) => act,
        Err(response) => return Ok(*response),
    };
    let (by, copy) = (viewer.clone(), fingerprint.clone());
    let done = ask.write_about(
        move |tx| {
            // Two at once under one key: the second waits for the writer, and finds the first's answer.
            if let Some(key) = &key
                && let Some(answered) = api_request_find(tx, &holder, key, now)?
            {
                return Err(Undone::Done(answered));
            }
            let (status, version, number, case) = apply(tx, &act, &by, now)?;
            if let Some(key) = &key {
                let answered = Answered { fingerprint: copy, status: status.as_u16(), body: case.to_string() };
                api_request_add(tx, &holder, key, &answered, now)?;
            }
            Ok((status, version, number, case))
        },
        |(_, _, number, _)| Some(number.clone()),
    );
    match done {
        Ok((status, version, number, case)) => {
            let mut response = answered(status, &case.to_string());
            if status == StatusCode::CREATED
                && let Ok(place) = HeaderValue::from_str(&format!("/api/v1/incidents/{number}"))
            {
                response.headers_mut().insert(header::LOCATION, place);
            }
            Ok(tagged(response, version))
        }
        Err(Undone::Done(before)) => Ok(repeated(before, &fingerprint)),
        Err(Undone::Full { until }) => Ok(full(until.since(now))),
        Err(Undone::Case(error)) => refused(ask, &viewer, error),
    }
}

/// Status, version, number and the case as it then is.
type Applied = (StatusCode, i64, String, Value);

fn apply(tx: &Transaction<'_>, act: &Act, by: &Viewer, now: Timestamp) -> Result<Applied, CaseError> {
    let actor = by.user.to_string();
    let (id, status) = match act {
        Act::Open(new) => (incident_open_manual(tx, &by.scope, new, &actor, by.role, now)?, StatusCode::CREATED),
        Act::Change(id, version, change) => {
            incident_change(tx, *id, *version, change, &actor, by.role, now)?;
            (*id, StatusCode::OK)
        }
        Act::Answer(id, recommendation, answer) => {
            recommendation_answer(tx, &by.scope, *recommendation, answer, &actor, by.role, now)?;
            (*id, StatusCode::OK)
        }
    };
    let (version, case) = whole(tx, &by.scope, id)?.ok_or_else(|| CaseError::NotFound { noun: "incident", id: id.to_string() })?;
    let number = case.get("number").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok((status, version, number, case))
}

fn answered(status: StatusCode, body: &str) -> Response {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The answer of the first time; another request under the same key is a mistake.
fn repeated(before: Answered, fingerprint: &str) -> Response {
    if before.fingerprint != fingerprint {
        let text = "Unter diesem Idempotency-Key wurde schon etwas anderes verlangt. Nehmen Sie für jede Änderung einen neuen.";
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", text);
    }
    let status = StatusCode::from_u16(before.status).unwrap_or(StatusCode::OK);
    let mut response = answered(status, &before.body);
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}

/// What the case store refuses, as a program reads it.
fn refused(ask: &Ask, viewer: &Viewer, error: CaseError) -> Reply {
    Ok(match error {
        CaseError::NotFound { .. } => return Err(PageError::NotFound),
        CaseError::Forbidden { .. } => problem(StatusCode::FORBIDDEN, "forbidden", "Dafür reicht die Rolle des Kontos nicht."),
        CaseError::Db(error) => return Err(error.into()),
        CaseError::Stale { expected, found, since } => {
            let names = ask.app.db.read(Names::load)?;
            let internal = viewer.scope == Scope::All;
            let changes: Vec<Value> = since.iter().map(|event| told(event, &names, internal)).collect();
            let text = "Der Vorfall hat sich geändert, seit Sie ihn gelesen haben. Was geschah, steht in „changes“.";
            let more = json!({ "version": found, "expected": expected, "changes": changes });
            tagged(problem_with(StatusCode::CONFLICT, "stale", text, &more), found)
        }
        CaseError::Transition { from, to } => {
            let text = format!("Vom Stand „{from}“ führt kein Weg nach „{to}“.");
            problem_with(StatusCode::CONFLICT, "no_transition", &text, &json!({ "from": from, "to": to }))
        }
        CaseError::Invalid { what, wanted, .. } => {
            let text = format!("„{what}“ passt nicht: {wanted}.");
            problem_with(StatusCode::UNPROCESSABLE_ENTITY, "invalid_member", &text, &json!({ "member": what }))
        }
    })
}

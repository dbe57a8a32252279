//! Aufdeckung: what a pseudonym stands for, asked by one person and allowed by another. A look is a form of its own, so
//! that no link and no refresh is one.

use std::net::IpAddr;

use askama::Template;
use detect::incident::incident_by_number;
use detect::role::{Action, allowed};
use ingest::db::DbError;
use ingest::events::{CLASS, EventStore};
use ingest::frame::Seq;
use ingest::pseudonym::{Pseudonyms, TokenError, is_token};
use ingest::scope::Scope;

use crate::reveal::{
    self, NewReveal, OBJECTS_MAX, Object, REASON_CHARS_MAX, REASON_CHARS_MIN, Reveal, RevealError, RevealId, State, reveal_ask,
    reveal_decide, reveal_list, reveal_show,
};
use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, t, tf};

struct Shown {
    pseudonym: String,
    /// What it stands for, or why that cannot be said.
    value: String,
    missing: bool,
}

struct Row {
    id: String,
    badge: Markup,
    asker: String,
    asked: Markup,
    reason: String,
    incident: String,
    pseudonyms: Vec<String>,
    /// Who decided, when, and why; empty while nobody has.
    decision: String,
    answer: String,
    until: String,
    may_decide: bool,
    /// Waits for somebody else, because it is the viewer's own.
    own: bool,
    may_show: bool,
    shown: Vec<Shown>,
}

#[derive(Template)]
#[template(path = "reveals.html")]
struct RevealsPage {
    frame: Frame,
    state: String,
    problem: String,
    /// What was typed, or comes from the search.
    value: String,
    incident: String,
    reason: String,
    reason_min: usize,
    reason_max: usize,
    objects_max: usize,
    rows: Vec<Row>,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let value = written(ask.query("wert"), ask.query("nr"));
    page(ask, axum::http::StatusCode::OK, (value, String::new(), String::new()), String::new(), None)
}

/// A pseudonym as the form's field has it; an address with the number of its event.
fn written(value: &str, seq: &str) -> String {
    if seq.is_empty() || is_token(value) { value.trim().to_owned() } else { format!("{} {}", value.trim(), seq.trim()) }
}

type Typed = (String, String, String);

fn page(ask: &Ask, status: axum::http::StatusCode, typed: Typed, problem: String, shown: Option<&Reveal>) -> Reply {
    let viewer = ask.viewer()?.clone();
    let (reveals, names) = ask.app.db.read(|c| Ok::<_, DbError>((reveal_list(c)?, words::Names::load(c)?)))?;
    let row = |one: &Reveal| {
        let state = one.state(ask.now);
        let name = |id: crate::user::UserId| names.of(&id.to_string());
        let decision = match (one.decider, one.decided_at, state) {
            (Some(decider), Some(at), State::Declined) => {
                tf("{name} hat am {date} abgelehnt", &[("name", &name(decider)), ("date", &show::stamp(at))])
            }
            (Some(decider), Some(at), _) => tf("{name} hat am {date} genehmigt", &[("name", &name(decider)), ("date", &show::stamp(at))]),
            _ => String::new(),
        };
        let opened = shown.filter(|shown| shown.id == one.id);
        Row {
            id: one.id.to_string(),
            badge: badge(state),
            asker: name(one.asker),
            asked: show::time(one.asked_at, ask.now),
            reason: one.reason.clone(),
            incident: one.incident.clone(),
            pseudonyms: one.objects.iter().map(|object| object.value.clone()).collect(),
            decision,
            answer: one.answer.clone(),
            until: one.until.filter(|_| state == State::Approved).map(show::stamp).unwrap_or_default(),
            may_decide: one.may_decide(viewer.user, viewer.role, ask.now),
            own: state == State::Asked && one.asker == viewer.user,
            may_show: one.may_show(viewer.user, viewer.role, ask.now) && opened.is_none(),
            shown: opened
                .map(|one| one.objects.iter().map(|object| open(&ask.app.pseudonyms, ask.app.events.as_deref(), object)).collect())
                .unwrap_or_default(),
        }
    };
    let (value, incident, reason) = typed;
    let page = RevealsPage {
        frame: ask.frame(t("Aufdeckung"), Place::Reveals),
        state: state_words(&ask.app.pseudonyms),
        problem,
        value,
        incident,
        reason,
        reason_min: REASON_CHARS_MIN,
        reason_max: REASON_CHARS_MAX,
        objects_max: OBJECTS_MAX,
        rows: reveals.iter().map(row).collect(),
    };
    ask.page_status(status, &page)
}

fn badge(state: State) -> Markup {
    match state {
        State::Asked => show::badge(Tone::Mid, t("wartet auf Entscheidung")),
        State::Approved => show::badge(Tone::Good, t("genehmigt")),
        State::Declined => show::badge(Tone::High, t("abgelehnt")),
        State::Lapsed => show::badge(Tone::Quiet, t("verfallen")),
        State::Over => show::badge(Tone::Quiet, t("abgelaufen")),
    }
}

/// Since when what is hidden.
fn state_words(pseudonyms: &Pseudonyms) -> String {
    match pseudonyms.plan() {
        None => t("Zurzeit wird nichts pseudonymisiert; einschalten lässt es sich in der Konfiguration unter [pseudonymise].").into(),
        Some(plan) if plan.on => tf(
            "Was seit dem {date} eingeht, steht pseudonymisiert im Ereignisspeicher; was vorher gespeichert wurde, bleibt, wie es ist.",
            &[("date", &show::stamp(plan.at))],
        ),
        Some(plan) => tf(
            "Seit dem {date} wird nicht mehr pseudonymisiert; was vorher gespeichert wurde, bleibt pseudonymisiert.",
            &[("date", &show::stamp(plan.at))],
        ),
    }
}

fn open(pseudonyms: &Pseudonyms, events: Option<&EventStore>, object: &Object) -> Shown {
    let opened = match object.value.parse::<IpAddr>() {
        // An address says nothing of its key: each class has its own, so it is asked where the event lies.
        Ok(address) => {
            let class = events.and_then(|events| events.class_of_seq(Seq(object.seq)));
            pseudonyms.open_address(class.as_deref().unwrap_or(CLASS), address, Seq(object.seq)).map(|address| address.to_string())
        }
        Err(_) => pseudonyms.open_token(&object.value),
    };
    let missing = opened.is_err();
    let why = |error| match error {
        TokenError::NotAToken => t("kein Pseudonym"),
        TokenError::Closed => t("war zu lang und lässt sich nicht aufdecken"),
        TokenError::UnknownKey => t("mit einem Schlüssel gebildet, den es hier nicht gibt"),
        TokenError::Forgotten => t("der Schlüssel wurde vernichtet"),
        TokenError::Broken => t("verändert oder abgeschnitten"),
    };
    Shown { pseudonym: object.value.clone(), value: opened.unwrap_or_else(|error| why(error).to_owned()), missing }
}

pub(in crate::web) fn ask_do(ask: &mut Ask) -> Reply {
    let viewer = ask.viewer()?.clone();
    let (text, incident, reason) = (ask.form("wert").to_owned(), ask.form("vorfall").trim().to_owned(), ask.form("grund").to_owned());
    let again = |problem: String| {
        let typed = (text.clone(), incident.clone(), reason.clone());
        page(ask, axum::http::StatusCode::UNPROCESSABLE_ENTITY, typed, problem, None)
    };
    let objects = match objects(&ask.app.pseudonyms, &text) {
        Ok(objects) => objects,
        Err(problem) => return again(problem),
    };
    if !incident.is_empty() && ask.app.db.read(|c| incident_by_number(c, &Scope::All, &incident))?.is_none() {
        let shown = show::safe(&incident.chars().take(40).collect::<String>());
        return again(tf("Den Vorfall „{number}“ gibt es nicht.", &[("number", &shown)]));
    }
    let new = NewReveal { reason: reason.clone(), incident: incident.clone(), objects };
    let now = ask.now;
    match ask.app.db.write(move |tx| reveal_ask(tx, viewer.user, viewer.role, &new, now)) {
        Ok(_) => ask.redirect("/aufdeckung", "reveal-asked"),
        Err(RevealError::Db(error)) => Err(error.into()),
        Err(error) => again(said(&error)),
    }
}

/// The pseudonyms of a form's field: one a line, an address with its event's number behind it.
fn objects(pseudonyms: &Pseudonyms, text: &str) -> Result<Vec<Object>, String> {
    let mut all: Vec<Object> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()).take(OBJECTS_MAX + 1) {
        let shown = show::safe(&line.chars().take(60).collect::<String>());
        let no_pseudonym = || tf("„{value}“ ist kein Pseudonym.", &[("value", &shown)]);
        let object = match line.split_once(char::is_whitespace) {
            None if is_token(line) => Object { value: line.to_owned(), seq: 0 },
            Some((address, seq)) => {
                let known = address.parse::<IpAddr>().ok().zip(seq.trim().parse().ok());
                let known = known.filter(|(address, seq)| pseudonyms.is_hidden(*address, Seq(*seq)));
                let (address, seq) = known.ok_or_else(no_pseudonym)?;
                Object { value: address.to_string(), seq }
            }
            None if line.parse::<IpAddr>().is_ok() => {
                return Err(tf(
                    "„{value}“: Bei Adressen gehört die laufende Nummer des Ereignisses dahinter, mit Leerzeichen.",
                    &[("value", &shown)],
                ));
            }
            None => return Err(no_pseudonym()),
        };
        if !all.contains(&object) {
            all.push(object);
        }
    }
    Ok(all)
}

pub(in crate::web) fn decide(ask: &mut Ask) -> Reply {
    let viewer = ask.viewer()?.clone();
    let id: RevealId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    let approve = match ask.form("wort") {
        "genehmigen" => true,
        "ablehnen" => false,
        _ if ask.app.db.read(|c| reveal::reveal_get(c, id))?.is_none() => return Err(PageError::NotFound),
        _ => return Err(PageError::Refused(t("Bitte wählen Sie „Genehmigen“ oder „Ablehnen“.").into())),
    };
    let (answer, now) = (ask.form("grund").to_owned(), ask.now);
    ask.app.db.write(move |tx| reveal_decide(tx, id, (viewer.user, viewer.role), approve, &answer, now)).map_err(refused)?;
    ask.redirect("/aufdeckung", if approve { "reveal-approved" } else { "reveal-declined" })
}

pub(in crate::web) fn look(ask: &mut Ask) -> Reply {
    let viewer = ask.viewer()?.clone();
    let id: RevealId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    let now = ask.now;
    let reveal = ask.app.db.write(move |tx| reveal_show(tx, id, (viewer.user, viewer.role), now)).map_err(refused)?;
    page(ask, axum::http::StatusCode::OK, Typed::default(), String::new(), Some(&reveal))
}

/// What is wrong with a request or a decision, as a page says it.
fn said(error: &RevealError) -> String {
    match error {
        RevealError::Forbidden => t("Das darf Ihre Rolle nicht.").into(),
        RevealError::OwnRequest => t("Über den eigenen Antrag entscheidet eine andere Person.").into(),
        RevealError::NotOpen => t("Darüber ist schon entschieden, oder der Antrag ist verfallen.").into(),
        RevealError::NotVisible => t("Der Antrag ist nicht genehmigt, oder die Zeit zum Ansehen ist vorbei.").into(),
        RevealError::Reason => tf(
            "Bitte begründen Sie es mit mindestens {min} und höchstens {max} Zeichen.",
            &[("min", &REASON_CHARS_MIN), ("max", &REASON_CHARS_MAX)],
        ),
        RevealError::Objects => tf("Bitte nennen Sie mindestens ein und höchstens {n} Pseudonyme.", &[("n", &OBJECTS_MAX)]),
        other => other.to_string(),
    }
}

fn refused(error: RevealError) -> PageError {
    match error {
        RevealError::NotFound => PageError::NotFound,
        RevealError::Forbidden => PageError::Forbidden,
        RevealError::Db(error) => error.into(),
        other => PageError::Refused(said(&other)),
    }
}

/// Where a value of an event can be asked about; empty where it is no pseudonym, or the viewer may not ask.
pub(super) fn ask_href(ask: &Ask, value: &str, is_personal: bool, seq: Seq) -> String {
    if !ask.viewer.as_ref().is_some_and(|viewer| allowed(Action::RevealAsk, viewer.role)) {
        return String::new();
    }
    let is_address = || is_personal && value.parse().is_ok_and(|address| ask.app.pseudonyms.is_hidden(address, seq));
    if is_token(value) {
        return show::link("/aufdeckung", &[("wert", value)]);
    }
    if is_address() { show::link("/aufdeckung", &[("wert", value), ("nr", &seq.0.to_string())]) } else { String::new() }
}

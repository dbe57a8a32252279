//! Vorfälle: the list with its filters, one case with its evidence, and what people do to it. What only a case of the state
//! has is `statewide`'s, what is done to many at once `bulk`'s.

mod bulk;
mod statewide;

use std::collections::HashMap;

use askama::Template;
use detect::alert::Disposition;
use detect::finding::Reason;
use detect::incident::{
    CaseError, Change, Incident, IncidentFilter, IncidentId, IncidentView, State, incident_by_number, incident_change, incident_get,
    incident_list, moves, service_name,
};
use detect::recommendation::{
    Answer, Deadline, Recommendation, RecommendationId, RecommendationState, StepState, Via, Word, recommendation_answer,
    recommendation_send,
};
use detect::role::{Action, allowed};
use detect::rule::Level;
use ingest::body;
use ingest::db::DbError;
use ingest::history::HistoryEvent;
use ingest::rusqlite::Transaction;
use ingest::time::Timestamp;

use super::exhibits::Exhibits;
use super::incident_join::Relations;
use super::letters::Letters;
use super::tasks::Card;
use super::why::{self, Why};
use crate::markdown;
use crate::show::{self, Markup, Tone, filters, link};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, Language, Names, de, t, tf};

/// Cases on one page of the list.
const PAGE_ROWS: usize = 50;

/// A case as lists show it.
pub(super) struct Row {
    /// By what a form names it: the case, and the version in which it is shown.
    pub(super) seen: String,
    pub(super) href: String,
    pub(super) number: String,
    pub(super) title: String,
    pub(super) severity: Markup,
    pub(super) state: Markup,
    pub(super) body: String,
    pub(super) kind: String,
    pub(super) events: String,
    pub(super) assignee: String,
    pub(super) last: Markup,
}

impl Row {
    pub(super) fn new(incident: &Incident, names: &Names, now: Timestamp, at: Timestamp) -> Self {
        Self {
            seen: format!("{}.{}", incident.id, incident.version),
            href: format!("/vorfall/{}", incident.number),
            number: incident.number.clone(),
            // Titles are kept in German, whoever reads them.
            title: short(&incident.title, &words::with_language(Language::German, || place(incident))),
            severity: words::level_badge(incident.severity),
            state: words::case_badge(incident),
            body: place(incident),
            kind: words::rsit(incident.rsit),
            events: show::num(incident.events),
            assignee: incident.assignee.as_deref().map_or_else(|| t("niemand").into(), |user| names.of(user)),
            last: show::time(at, now),
        }
    }
}

/// A title without the place that the list names beside it.
fn short(title: &str, place: &str) -> String {
    title.strip_suffix(&format!(" ({place})")).unwrap_or(title).to_owned()
}

fn place(incident: &Incident) -> String {
    let site = || incident.site_name.as_ref().map(|site| tf("Standort {name}", &[("name", site)]));
    incident.body_name.clone().or_else(site).unwrap_or_else(|| t("landesweit").into())
}

/// The cases that this viewer may know of: by whose they are, and by their labels.
pub(super) fn readable(ask: &Ask) -> IncidentFilter {
    let readable = ask.viewer.as_ref().map_or_else(|| Some(vec![]), |viewer| viewer.readable());
    IncidentFilter { readable, ..IncidentFilter::new(ask.scope()) }
}

/// Whether the label allows this viewer the case at all.
pub(super) fn visible(ask: &Ask, incident: &Incident) -> bool {
    ask.viewer.as_ref().is_some_and(|viewer| viewer.may_read(incident.tlp.as_str()))
}

#[derive(Template)]
#[template(path = "incidents.html")]
struct ListPage<'a> {
    frame: Frame,
    summary: String,
    /// What became of the form below the list.
    told: String,
    states: Vec<(&'static str, &'static str, bool)>,
    levels: Vec<(&'static str, &'static str, bool)>,
    word: &'a str,
    filtered: bool,
    own: bool,
    rows: Vec<Row>,
    older: String,
    first: String,
    /// The same cases as a table.
    csv: String,
    bulk: Option<bulk::Form<'a>>,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let (state, level, word) = (ask.query("stand"), ask.query("schwere"), ask.query("wort").trim());
    let states = match state {
        "alle" => vec![],
        _ => State::parse(state).map_or_else(|| State::OPEN.to_vec(), |state| vec![state]),
    };
    let before: Option<IncidentId> = ask.query("vor").parse().ok();
    let filter = IncidentFilter {
        states,
        severity_min: Level::parse(level),
        text: Some(word.to_owned()).filter(|word| !word.is_empty()),
        limit: PAGE_ROWS + 1,
        before,
        ..readable(ask)
    };
    let (mut found, names) = ask.app.db.read(|c| Ok::<_, DbError>((incident_list(c, &filter)?, Names::load(c)?)))?;
    let more = found.len() > PAGE_ROWS;
    found.truncate(PAGE_ROWS);
    let here = [("stand", state), ("schwere", level), ("wort", word)];
    let older = found.last().filter(|_| more).map(|last| {
        let before = last.id.to_string();
        link("/vorfaelle", &[here[0], here[1], here[2], ("vor", &before)])
    });
    let internal = ask.scope() == ingest::scope::Scope::All;
    let rows: Vec<Row> = found.iter().map(|incident| Row::new(incident, &names, ask.now, incident.opened_at)).collect();
    let mut choices = vec![("", t("alle offenen"), state.is_empty())];
    choices.extend(State::ALL.into_iter().map(|known| (known.as_str(), words::state(known), state == known.as_str())));
    choices.push(("alle", t("alle"), state == "alle"));
    let mut levels = vec![("", t("alle"), level.is_empty())];
    levels
        .extend([Level::Medium, Level::High, Level::Critical].map(|known| (known.as_str(), words::level(known), level == known.as_str())));
    let title = if internal { t("Vorfälle") } else { t("Ihre Vorfälle") };
    let page = ListPage {
        frame: ask.frame(title, Place::Incidents),
        summary: tf(
            if more { de("{n} von mehr auf dieser Seite, die neuesten zuerst") } else { de("{n} auf dieser Seite, die neuesten zuerst") },
            &[("n", &rows.len())],
        ),
        told: ask.query("getan").parse().map(bulk::told).unwrap_or_default(),
        bulk: if rows.is_empty() { None } else { bulk::Form::of(ask, here)? },
        states: choices,
        levels,
        word,
        filtered: !(state.is_empty() && level.is_empty() && word.is_empty()),
        own: !internal,
        rows,
        older: older.unwrap_or_default(),
        first: if before.is_some() { link("/vorfaelle", &here) } else { String::new() },
        csv: link("/vorfaelle.csv", &here),
    };
    ask.page(&page)
}

/// A line or flow that the case rests on.
pub(super) struct Evidence {
    pub(super) time: String,
    pub(super) text: String,
    pub(super) fields: Vec<(String, &'static str, super::value::Value)>,
}

struct Entry {
    what: String,
    detail: String,
    /// A note, in the shape that its writer gave it.
    note: Option<Markup>,
    when: Markup,
    who: String,
    strong: bool,
}

/// A recommendation as the case's page shows it, and the page behind its mail's link.
pub(super) struct Plan {
    pub(super) id: String,
    pub(super) version: i64,
    pub(super) title: String,
    pub(super) intro: String,
    pub(super) progress: String,
    pub(super) badge: Markup,
    pub(super) sent: Markup,
    pub(super) recipients: String,
    pub(super) may_send: bool,
    pub(super) may_answer: bool,
    /// Where its forms lead.
    pub(super) send_to: String,
    pub(super) answer_to: String,
    pub(super) steps: Vec<PlanStep>,
}

pub(super) struct PlanStep {
    pub(super) n: usize,
    pub(super) index: usize,
    pub(super) text: String,
    pub(super) confirm: String,
    pub(super) due: String,
    pub(super) badge: Markup,
    pub(super) open: bool,
}

struct AlertLine {
    severity: Markup,
    time: Markup,
    title: String,
    href: String,
    why: String,
    reasons: Vec<Reason>,
    explained: Vec<Why>,
    /// Where the rule can be held back; empty where it cannot.
    tune: String,
}

#[derive(Template)]
#[template(path = "incident.html")]
struct DetailPage {
    frame: Frame,
    path: String,
    number: String,
    title: String,
    version: i64,
    detected: Markup,
    severity: Markup,
    tlp: Markup,
    state: Markup,
    kind: String,
    story: String,
    observables: Vec<(&'static str, Vec<(String, String)>)>,
    chart: Markup,
    evidence: Vec<Evidence>,
    evidence_href: String,
    evidence_none: &'static str,
    history: Vec<Entry>,
    plans: Vec<Plan>,
    plan_none: &'static str,
    may_work: bool,
    mine: bool,
    moves: Vec<(&'static str, &'static str)>,
    dispositions: Vec<(&'static str, &'static str)>,
    facts: Vec<(&'static str, String)>,
    alerts: Vec<AlertLine>,
    overdue: Vec<super::deadlines::Overdue>,
    duties: Vec<super::duties::Line>,
    affected: Option<statewide::Affected>,
    warning: Option<statewide::Warning>,
    export: super::incident_export::Menu,
    exhibits: Exhibits,
    letters: Letters,
    relations: Relations,
    tasks: Card,
    timeline: super::timeline::Card,
}

/// Evidence lines on the page; the search shows all.
const EVIDENCE_ROWS: usize = 30;
/// Overdue recommendations of one case; it has a handful at most.
const OVERDUE_MAX: usize = 20;

pub(in crate::web) fn detail(ask: &mut Ask) -> Reply {
    let (id, view) = find(ask)?;
    let viewer = ask.viewer()?.clone();
    let internal = viewer.scope == ingest::scope::Scope::All;
    let incident = &view.incident;
    let (names, contacts) = ask.app.db.read(|c| {
        let contacts = incident.body.map(|body| body::contact_list(c, body)).transpose()?.unwrap_or_default();
        Ok::<_, DbError>((Names::load(c)?, contacts))
    })?;
    let may_work = internal && allowed(Action::IncidentAssign, viewer.role);
    let recipients = match contacts.iter().map(|contact| contact.name.as_str()).collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => t("Diese Stelle hat noch keinen Ansprechpartner.").to_owned(),
        names => tf("geht an: {names}", &[("names", &names)]),
    };
    let plans = view.recommendations.iter().map(|one| plan(ask, one, &incident.number, &recipients, internal)).collect();
    let evidence = super::evidence::load(ask, &view.evidence, &view.observables, EVIDENCE_ROWS)?;
    let evidence_query = super::evidence::query(&view.observables);
    let page = DetailPage {
        path: format!("/vorfall/{}", incident.number),
        number: incident.number.clone(),
        title: incident.title.clone(),
        version: incident.version,
        detected: show::time(incident.detected_at, ask.now),
        severity: words::level_badge(incident.severity),
        tlp: words::tlp_badge(incident.tlp),
        state: words::case_badge(incident),
        kind: words::rsit(incident.rsit),
        story: view.summary.clone(),
        observables: observables(&view, internal),
        chart: Markup::default(),
        evidence_href: if internal && !evidence_query.is_empty() {
            super::evidence::href(&evidence_query, incident.first_activity, incident.last_activity)
        } else {
            String::new()
        },
        evidence_none: if internal {
            t("Zu diesem Vorfall sind keine Zeilen gespeichert: Er wurde von Hand eröffnet, oder die Aufbewahrung ist abgelaufen.")
        } else {
            t("Die einzelnen Zeilen sieht das ThüringenCERT. Rufen Sie uns an, wenn Sie sie brauchen.")
        },
        evidence,
        history: history(ask, &view, &names, internal),
        plans,
        plan_none: if incident.is_state_wide() {
            t(
                "Ein Vorfall des Landes hat keine Stelle, der etwas zu empfehlen wäre. Was zu tun ist, sagt die Warnung allen; was bei einer Stelle geschah, steht in deren eigenem Vorfall.",
            )
        } else if internal {
            t("Zu diesem Vorfall gibt es noch keine Empfehlung.")
        } else {
            t("Wir prüfen den Vorfall. Sobald es eine Empfehlung gibt, steht sie hier.")
        },
        may_work,
        mine: incident.assignee.as_deref() == Some(viewer.user.to_string().as_str()),
        moves: moves(incident.state, viewer.role).map(|state| (state.as_str(), words::state(state))).collect(),
        dispositions: Disposition::ALL.map(|one| (one.as_str(), words::disposition(one))).into(),
        facts: case_facts(&view, &names, internal),
        overdue: super::deadlines::overdue(ask, Some(id), OVERDUE_MAX)?,
        duties: super::duties::lines(ask, &view)?,
        alerts: if internal { alerts(ask, &view)? } else { vec![] },
        affected: statewide::affected(ask, &view),
        warning: statewide::warning(ask, &view, &names),
        export: super::incident_export::menu(&view, internal),
        exhibits: super::exhibits::load(ask, id, &names)?,
        letters: super::letters::load(ask, &view, &contacts)?,
        relations: super::incident_join::load(ask, &view, &names)?,
        tasks: super::tasks::card(ask, incident, &names)?,
        timeline: super::timeline::card(ask, &view, &names)?,
        frame: ask.frame(&incident.number, Place::Incidents),
    };
    ask.page(&page)
}

/// The case of the path, where this viewer may know that it exists.
pub(super) fn find(ask: &Ask) -> Result<(IncidentId, IncidentView), PageError> {
    let (scope, number) = (ask.scope(), ask.param("number"));
    let found = ask.app.db.read(|c| match incident_by_number(c, &scope, number)? {
        Some(id) => Ok::<_, DbError>(incident_get(c, &scope, id)?.map(|view| (id, view))),
        None => Ok(None),
    })?;
    found.filter(|(_, view)| visible(ask, &view.incident)).ok_or(PageError::NotFound)
}

fn observables(view: &IncidentView, internal: bool) -> Vec<(&'static str, Vec<(String, String)>)> {
    /// More say nothing on a page; the search shows all.
    const VALUES_MAX: usize = 12;
    let known = FIELDS_SHOWN.iter().filter_map(|field| {
        let values = view.observables.get(*field)?;
        let label = words::field(ingest::fields::FieldId::find(field)?);
        let values = values.iter().take(VALUES_MAX).map(|value| {
            let href = if internal { link("/suche", &[("q", &super::evidence::term(field, value))]) } else { String::new() };
            (href, value.clone())
        });
        Some((label, values.collect::<Vec<_>>()))
    });
    known.filter(|(_, values)| !values.is_empty()).collect()
}

/// Who and what took part, in the order of the story; the rest is one click away in the evidence.
pub(crate) const FIELDS_SHOWN: [&str; 9] = [
    "source.ip",
    "destination.ip",
    "host.name",
    "user.name",
    "user.target.name",
    "group.name",
    "destination.port",
    "threat.indicator.name",
    "dns.question.name",
];

fn history(ask: &Ask, view: &IncidentView, names: &Names, internal: bool) -> Vec<Entry> {
    /// Alerts that joined one behind the other are one entry from so many on: a storm's case has thousands.
    const FOLDED_MIN: usize = 5;
    let notes: HashMap<String, &str> = view.notes.iter().map(|note| (note.id.to_string(), note.text.as_str())).collect();
    let joined = |event: &HistoryEvent| event.kind == "incident.alert_joined";
    let entry = |event: &HistoryEvent, run: usize| {
        let told = words::told(event, names);
        Entry {
            what: if run < FOLDED_MIN { told.what } else { tf("{n} Alarme sind hinzugekommen", &[("n", &show::num(run as u64))]) },
            // Another case's number may say what a label hides.
            detail: if internal || !words::names_case(event) { told.detail } else { String::new() },
            note: notes.get(&event.id.to_string()).map(|text| markdown::markup(text)),
            when: show::time(event.event_time, ask.now),
            who: names.of_for(&event.actor, internal),
            strong: told.strong,
        }
    };
    let runs = view.history.chunk_by(|one, next| joined(one) && joined(next)).rev();
    let told = runs.flat_map(|run| {
        let shown = if run.len() < FOLDED_MIN { run.len() } else { 1 };
        run.iter().rev().take(shown).map(|event| entry(event, run.len()))
    });
    told.collect()
}

fn plan(ask: &Ask, one: &Recommendation, number: &str, recipients: &str, internal: bool) -> Plan {
    let viewer = ask.viewer.as_ref();
    let may = |action| viewer.is_some_and(|viewer| allowed(action, viewer.role));
    let sent = one.state != RecommendationState::Draft;
    let finished = matches!(one.state, RecommendationState::Done | RecommendationState::Declined);
    Plan {
        recipients: recipients.to_owned(),
        may_send: internal && !sent && may(Action::RecommendationSend),
        may_answer: sent && !finished && may(Action::RecommendationAnswer),
        send_to: format!("/vorfall/{number}/empfehlung"),
        answer_to: format!("/vorfall/{number}/antwort"),
        ..plan_of(one, ask.now)
    }
}

/// What is to be read of a recommendation; nothing can be done with it yet.
pub(super) fn plan_of(one: &Recommendation, now: Timestamp) -> Plan {
    let done = one.steps.iter().filter(|step| matches!(step.state, StepState::Done)).count();
    let steps = one.steps.iter().enumerate().map(|(index, step)| {
        let badge = match (step.deadline(one.sent_at, now), step.state) {
            (_, StepState::Done) => show::badge(Tone::Good, t("erledigt")),
            (_, StepState::Declined) => show::badge(Tone::High, t("abgelehnt")),
            (Deadline::Missed { due_at }, _) => {
                show::badge(Tone::High, &tf("überfällig seit {time}", &[("time", &show::duration(now.since(due_at)))]))
            }
            (_, StepState::InWork) => show::badge(Tone::Low, t("in Arbeit")),
            _ => Markup::default(),
        };
        let due = match step.deadline(one.sent_at, now) {
            Deadline::Running { due_at } => tf("noch {time}", &[("time", &show::duration(due_at.since(now)))]),
            Deadline::NotRunning if step.within_minutes == 0 => t("sofort").into(),
            Deadline::NotRunning => show::duration(step.within_minutes.saturating_mul(Timestamp::MINUTE)),
            Deadline::Missed { .. } | Deadline::Answered { .. } => String::new(),
        };
        PlanStep {
            n: index + 1,
            index,
            text: step.text.clone(),
            confirm: step.confirm.clone(),
            due,
            badge,
            open: matches!(step.state, StepState::Open | StepState::InWork),
        }
    });
    Plan {
        id: one.id.to_string(),
        version: one.version,
        title: one.title.clone(),
        intro: one.intro.clone(),
        progress: tf("{done} von {n} erledigt", &[("done", &done), ("n", &one.steps.len())]),
        badge: words::recommendation_badge(one.state),
        sent: one.sent_at.map(|at| show::time(at, now)).unwrap_or_default(),
        recipients: String::new(),
        may_send: false,
        may_answer: false,
        send_to: String::new(),
        answer_to: String::new(),
        steps: steps.collect(),
    }
}

/// What is told of a case beside its story.
pub(crate) fn case_facts(view: &IncidentView, names: &Names, internal: bool) -> Vec<(&'static str, String)> {
    let incident = &view.incident;
    let mut facts = vec![(t("Stelle"), place(incident))];
    if let Some(site) = &incident.site_name {
        facts.push((t("Standort"), site.clone()));
    }
    if internal {
        facts.push((t("Bearbeitung"), incident.assignee.as_deref().map_or_else(|| t("niemand").into(), |user| names.of(user))));
    }
    if !incident.services.is_empty() {
        let names: Vec<&str> = incident.services.iter().filter_map(|key| service_name(key)).collect();
        facts.push((t("Betroffene Basisdienste"), names.join(", ")));
    }
    facts.push((t("Herkunft"), words::origin(incident.origin).into()));
    facts.push((t("Erste Anzeichen"), show::stamp_seconds(incident.first_activity)));
    facts.push((t("Zuletzt aktiv"), show::stamp_seconds(incident.last_activity)));
    facts.push((t("Eröffnet"), show::stamp_seconds(incident.opened_at)));
    if let Some(at) = incident.closed_at {
        facts.push((t("Geschlossen"), show::stamp_seconds(at)));
    }
    if let Some(disposition) = incident.disposition {
        facts.push((t("Ergebnis"), words::disposition(disposition).into()));
    }
    facts.push((
        t("Umfang"),
        tf("{events} Ereignisse, {alerts} Alarme", &[("events", &show::num(incident.events)), ("alerts", &show::num(incident.alerts))]),
    ));
    facts
}

fn alerts(ask: &Ask, view: &IncidentView) -> Result<Vec<AlertLine>, DbError> {
    /// A case of more alerts says the same again.
    const SHOWN: usize = 20;
    let ids: Vec<_> = view.alerts.iter().take(SHOWN).map(|alert| alert.id).collect();
    let mut explained = why::load(ask, &ids)?;
    let book = ask.app.rules.get();
    let may_tune = ask.viewer.as_ref().is_some_and(|viewer| allowed(Action::RuleTune, viewer.role));
    let line = |alert: &detect::alert::Alert| AlertLine {
        explained: explained.remove(&alert.id).unwrap_or_default(),
        severity: words::level_badge(alert.level),
        time: show::time(alert.detected_at, ask.now),
        title: alert.title.clone(),
        href: super::rules::rule_path(&alert.rule_name),
        why: alert.grouped.clone(),
        reasons: alert.reasons.clone(),
        tune: if may_tune && book.set.find(&alert.rule_name).is_some() { super::alerts::tune_href(alert) } else { String::new() },
    };
    Ok(view.alerts.iter().take(SHOWN).map(line).collect())
}

/// What a case store refuses, as a page says it.
pub(super) fn refused(error: CaseError) -> PageError {
    match error {
        CaseError::NotFound { .. } => PageError::NotFound,
        CaseError::Forbidden { .. } => PageError::Forbidden,
        CaseError::Stale { since, .. } => PageError::Refused(words::since(&since)),
        CaseError::Transition { .. } => PageError::Refused(t("Von diesem Stand aus geht das nicht mehr. Öffnen Sie den Vorfall neu, dann sehen Sie, was möglich ist.").into()),
        CaseError::Invalid { what: "owner", .. } => PageError::Refused(t("Zusammengeführt werden nur Vorfälle derselben Stelle: Sonst sähe eine Stelle, was einer anderen gehört. Verbinden Sie die beiden stattdessen.").into()),
        CaseError::Invalid { what: "case", .. } => PageError::Refused(t("Das ist derselbe Vorfall. Wählen Sie einen anderen.").into()),
        CaseError::Invalid { what: "link", .. } => PageError::Refused(t("Diese beiden Vorfälle sind schon verbunden, oder es ist derselbe.").into()),
        CaseError::Invalid { what: "alerts", .. } => PageError::Refused(t("Wählen Sie mindestens einen Alarm, aber nicht alle: Ein Vorfall ohne Alarme bliebe leer zurück. Höchstens 500 gehen auf einmal.").into()),
        CaseError::Invalid { what: "body", .. } => PageError::Refused(t("Der Vorfall gehört zu keiner Stelle; eine Empfehlung hätte keinen Empfänger.").into()),
        CaseError::Invalid { .. } => PageError::Refused(t("Eine Angabe fehlt oder passt nicht. Gehen Sie zurück und prüfen Sie das Formular.").into()),
        CaseError::Db(error) => PageError::Db(error),
    }
}

fn change(ask: &Ask, change: Change, notice: &str) -> Reply {
    let (id, view) = find(ask)?;
    let version = ask.form("version").parse().unwrap_or(view.incident.version);
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.write(move |tx| incident_change(tx, id, version, &change, &actor, role, now)).map_err(refused)?;
    ask.redirect(&format!("/vorfall/{}", view.incident.number), notice)
}

pub(in crate::web) fn assign(ask: &mut Ask) -> Reply {
    let me = ask.viewer()?.user.to_string();
    change(ask, Change::Assign(Some(me)), "assigned")
}

pub(in crate::web) fn move_to(ask: &mut Ask) -> Reply {
    let wish = match State::parse(ask.form("nach")) {
        Some(State::Closed) => {
            let disposition = Disposition::parse(ask.form("ergebnis")).unwrap_or(Disposition::TruePositive);
            Change::Close { disposition, at: None }
        }
        Some(to) => Change::Move { to, at: None },
        None => {
            find(ask)?;
            return Err(PageError::Refused(t("Bitte wählen Sie einen Stand aus der Liste.").into()));
        }
    };
    change(ask, wish, "moved")
}

pub(in crate::web) fn note(ask: &mut Ask) -> Reply {
    let text = ask.form("text").trim().to_owned();
    if text.is_empty() {
        find(ask)?;
        return Err(PageError::Refused(t("Die Notiz ist leer. Gehen Sie zurück und schreiben Sie, was Sie festhalten wollen.").into()));
    }
    change(ask, Change::Note(text), "noted")
}

/// The recommendation of the form, where it belongs to the case of the path.
fn recommendation(ask: &Ask, view: &IncidentView) -> Result<Recommendation, PageError> {
    let id: RecommendationId = ask.form("empfehlung").parse().map_err(|_| PageError::NotFound)?;
    view.recommendations.iter().find(|one| one.id == id).cloned().ok_or(PageError::NotFound)
}

pub(in crate::web) use bulk::act as bulk_act;
pub(in crate::web) use statewide::warn;

pub(in crate::web) fn send(ask: &mut Ask) -> Reply {
    let (_, view) = find(ask)?;
    let one = recommendation(ask, &view)?;
    let version = ask.form("version").parse().unwrap_or(one.version);
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    let number = view.incident.number.clone();
    let mails = super::mails::recommendation(ask, &view)?;
    let send = move |tx: &Transaction<'_>| {
        let sent = recommendation_send(tx, one.id, version, &actor, role, now)?;
        mails.put(tx, &sent, now)?;
        Ok::<_, CaseError>(())
    };
    ask.write(send).map_err(refused)?;
    ask.redirect(&format!("/vorfall/{number}"), "sent")
}

pub(in crate::web) fn answer(ask: &mut Ask) -> Reply {
    let (_, view) = find(ask)?;
    let one = recommendation(ask, &view)?;
    let word = word_of(ask)?;
    let step = ask.form("schritt").parse().ok();
    let viewer = ask.viewer()?;
    let (actor, role, now, scope) = (viewer.user.to_string(), viewer.role, ask.now, viewer.scope.clone());
    let answer = Answer { step, word, via: Via::Portal };
    ask.write(move |tx| recommendation_answer(tx, &scope, one.id, &answer, &actor, role, now)).map_err(refused)?;
    ask.redirect(&format!("/vorfall/{}", view.incident.number), "answered")
}

/// What somebody says of a recommendation, with a button and the words beside it.
pub(super) fn word_of(ask: &Ask) -> Result<Word, PageError> {
    let word = match ask.form("wort") {
        "gelesen" => Word::Seen,
        "in-arbeit" => Word::InWork,
        "erledigt" => Word::Done { how: ask.form("wie").trim().to_owned() },
        "abgelehnt" => Word::Declined { reason: ask.form("grund").trim().to_owned() },
        _ => {
            return Err(PageError::Refused(
                t("Diese Antwort kennen wir nicht. Gehen Sie zurück und wählen Sie eine der Schaltflächen.").into(),
            ));
        }
    };
    if matches!(&word, Word::Declined { reason } if reason.is_empty()) {
        return Err(PageError::Refused(
            t("Bitte schreiben Sie einen kurzen Grund dazu, wenn Sie ablehnen. Er hilft uns, etwas Besseres zu empfehlen.").into(),
        ));
    }
    Ok(word)
}

#[cfg(test)]
mod tests;

//! Meldepflichten: the clocks of a case with what is left of their time, and each one's form, which the case fills in as far
//! as it can. The form goes to the recipient by the way that office wants it; here stands when and how.

use std::collections::BTreeMap;

use askama::Template;
use detect::duty::{Act, By, Clock, Duty, DutyState, Field, Remaining, Source, clock_act, clocks_of};
use detect::incident::IncidentView;
use detect::recommendation::{RecommendationState, StepState};
use detect::role::{Action, allowed};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde_json::json;

use super::incidents::{FIELDS_SHOWN, find, refused};
use crate::paper::{self, Paper, paper_print};
use crate::report;
use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, Language, t, tf};

/// A duty as the case's page shows it.
pub(super) struct Line {
    pub(super) href: String,
    pub(super) title: String,
    pub(super) basis: String,
    pub(super) badge: Markup,
    pub(super) due: String,
}

/// The duties of a case that the viewer may see, the most urgent first.
pub(super) fn lines(ask: &Ask, view: &IncidentView) -> Result<Vec<Line>, PageError> {
    let (scope, id) = (ask.scope(), view.incident.id);
    let clocks = ask.app.db.read(|c| clocks_of(c, &scope, id))?;
    Ok(clocks
        .iter()
        .map(|clock| Line {
            href: format!("/vorfall/{}/pflicht/{}", view.incident.number, clock.duty),
            title: clock.title.clone(),
            basis: clock.basis.clone(),
            badge: badge(clock, ask.now),
            due: tf("Frist: {time}", &[("time", &show::stamp(clock.due_at))]),
        })
        .collect())
}

/// Where a clock stands and what is left, as a badge with a word: never by colour alone.
pub(super) fn badge(clock: &Clock, now: Timestamp) -> Markup {
    let asked = clock.state == DutyState::Asked;
    match clock.remaining(now) {
        Remaining::None => show::badge(Tone::Quiet, t("gilt nicht")),
        Remaining::InTime => show::badge(Tone::Good, t("fristgerecht gemeldet")),
        Remaining::Late { millis } => show::badge(Tone::High, &tf("gemeldet, {time} zu spät", &[("time", &show::duration(millis))])),
        Remaining::Overdue { millis } => show::badge(Tone::Crit, &tf("überfällig seit {time}", &[("time", &show::duration(millis))])),
        Remaining::Left { millis, short } => {
            let tone = if short { Tone::High } else { Tone::Low };
            let time = show::duration(millis);
            let text = if asked { tf("zu prüfen, noch {time}", &[("time", &time)]) } else { tf("noch {time}", &[("time", &time)]) };
            show::badge(tone, &text)
        }
    }
}

struct Question {
    key: String,
    label: String,
    hint: String,
    answer: String,
    optional: bool,
    lines: &'static str,
}

#[derive(Template)]
#[template(path = "duty.html")]
struct DutyPage {
    frame: Frame,
    path: String,
    case: String,
    case_title: String,
    case_href: String,
    clock: Clock,
    badge: Markup,
    facts: Vec<(&'static str, String)>,
    asks: String,
    questions: Vec<Question>,
    missing: Vec<String>,
    may_act: bool,
    open: bool,
    sent: bool,
    waived: bool,
    now: String,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let (view, clock) = load(ask)?;
    let duty = ask.app.duties.get(&clock.duty).cloned();
    let questions = questions(&view, &clock, duty.as_ref());
    let missing = duty.iter().flat_map(|duty| &duty.form).filter(|field| field.required);
    let missing = missing.filter(|field| questions.iter().any(|one| one.key == field.key && one.answer.trim().is_empty()));
    let action = if ask.scope() == Scope::All { Action::DutyDecide } else { Action::DutyReport };
    let page = DutyPage {
        path: format!("/vorfall/{}/pflicht/{}", view.incident.number, clock.duty),
        case: view.incident.number.clone(),
        case_title: view.incident.title.clone(),
        case_href: format!("/vorfall/{}", view.incident.number),
        badge: badge(&clock, ask.now),
        facts: facts(&clock),
        asks: clock.question.clone().filter(|_| clock.state == DutyState::Asked).unwrap_or_default(),
        missing: missing.map(|field| field.label.clone()).collect(),
        questions,
        may_act: allowed(action, ask.viewer()?.role),
        open: clock.state.is_open(),
        sent: clock.state == DutyState::Sent,
        waived: clock.state == DutyState::Waived,
        now: show::local_input(ask.now),
        frame: ask.frame(&clock.title, Place::Incidents),
        clock,
    };
    ask.page(&page)
}

/// By when, by whom and to whom, and what became of it.
fn facts(clock: &Clock) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        (t("Rechtsgrundlage"), clock.basis.clone()),
        (t("Zu melden durch"), if clock.by == By::Body { t("die Stelle").into() } else { t("das ThüringenCERT").into() }),
        (t("Empfänger"), clock.recipient.name.clone()),
        (t("Meldeweg"), clock.recipient.channel.clone()),
        (t("Frist läuft seit"), show::stamp_seconds(clock.started_at)),
        (t("Frist endet"), show::stamp_seconds(clock.due_at)),
    ];
    let optional = [
        (t("Gemeldet"), clock.sent_at.map(show::stamp_seconds)),
        (t("Gemeldet über"), clock.channel.clone()),
        (t("Zeichen des Empfängers"), clock.reference.clone()),
        (t("Eingang bestätigt"), clock.received_at.map(show::stamp_seconds)),
        (t("Gilt nicht, weil"), clock.reason.clone()),
    ];
    facts.extend(optional.into_iter().filter_map(|(label, value)| Some((label, value?))));
    facts
}

/// The form with its answers, for whoever has to type them into a portal, or sends them by program.
pub(in crate::web) fn file(ask: &mut Ask) -> Reply {
    let (view, clock) = load(ask)?;
    let duty = ask.app.duties.get(&clock.duty).cloned();
    let answers: Vec<_> = questions(&view, &clock, duty.as_ref())
        .into_iter()
        .map(|one| json!({ "key": one.key, "label": one.label, "answer": one.answer }))
        .collect();
    let form = json!({
        "incident": view.incident.number, "tlp": view.incident.tlp.as_str(), "duty": clock.duty, "title": clock.title, "basis": clock.basis,
        "recipient": clock.recipient, "state": clock.state, "started_at": clock.started_at.rfc3339(), "due_at": clock.due_at.rfc3339(),
        "sent_at": clock.sent_at.map(Timestamp::rfc3339), "reference": clock.reference, "answers": answers,
    });
    let text = serde_json::to_vec_pretty(&form).map_err(PageError::store)?;
    ask.download(&format!("{}-{}.json", view.incident.number, clock.duty), "application/json", text)
}

/// The form as a document, for whoever has to print, sign or file it.
pub(in crate::web) fn paper(ask: &mut Ask) -> Reply {
    let (view, clock) = load(ask)?;
    let duty = ask.app.duties.get(&clock.duty).cloned();
    let incident = &view.incident;
    let (number, author) = (incident.number.clone(), ask.app.publisher.name.clone());
    let pdf = words::with_language(Language::German, || {
        let questions = questions(&view, &clock, duty.as_ref());
        let questions = questions.iter().map(|one| json!({ "label": one.label, "answer": one.answer, "required": !one.optional }));
        let data = json!({
            "case": format!("{number}: {}", incident.title), "label-rule": format!("TLP:{}: {}", incident.tlp.as_str(), words::tlp_rule(incident.tlp)),
            "facts": facts(&clock), "questions": questions.collect::<Vec<_>>(),
        });
        let changed = view.history.iter().map(|event| event.recorded_at).max();
        paper_print(&Paper {
            template: paper::Template::Duty,
            title: clock.title.clone(),
            author,
            tlp: incident.tlp.as_str().to_owned(),
            mark: number.clone(),
            at: changed.unwrap_or(incident.opened_at),
            data,
        })
    });
    let pdf = pdf.map_err(|error| PageError::Refused(report::refused(&error)))?;
    ask.download(&format!("{number}-{}.pdf", clock.duty), "application/pdf", pdf)
}

pub(in crate::web) fn act(ask: &mut Ask) -> Reply {
    let (view, clock) = load(ask)?;
    let text = |name: &str| ask.form(name).trim().to_owned();
    let at = || match ask.form("zeit").trim() {
        "" => Ok(None),
        typed => show::local_parse(typed).map(Some).ok_or_else(|| {
            PageError::Refused(t("Diese Zeit verstehen wir nicht. Schreiben Sie Tag und Uhrzeit, oder lassen Sie das Feld leer.").into())
        }),
    };
    let fields = ask.app.duties.get(&clock.duty).map(|duty| duty.form.clone()).unwrap_or_default();
    // What the case says by itself is not written down, so that the form goes on with the case until a person says otherwise.
    let same = |field: &Field, answer: &str| {
        let known = field.from.map(|source| known(&view, source)).unwrap_or_default();
        !clock.answers.contains_key(&field.key) && answer == known.trim()
    };
    let answers: BTreeMap<String, String> = fields
        .iter()
        .map(|field| (field, text(&format!("f-{}", field.key)).replace("\r\n", "\n")))
        .filter(|(field, answer)| !same(field, answer))
        .map(|(field, answer)| (field.key.clone(), answer))
        .collect();
    let (act, notice) = match ask.form("tat") {
        "gilt" => (Act::Apply, "duty_applies"),
        "gilt-nicht" => (Act::Waive { reason: text("grund") }, "duty_waived"),
        "speichern" => (Act::Fill(answers), "saved"),
        "gemeldet" => (Act::Send { at: at()?, channel: text("weg"), reference: text("zeichen") }, "duty_sent"),
        "bestaetigt" => (Act::Confirm { at: at()?, reference: text("zeichen") }, "duty_received"),
        "zurueck" => (Act::Reopen, "duty_reopened"),
        _ => return Err(PageError::Refused(t("Das kennen wir nicht. Gehen Sie zurück und wählen Sie eine der Schaltflächen.").into())),
    };
    match &act {
        Act::Waive { reason } if reason.is_empty() => {
            return Err(PageError::Refused(
                t("Bitte schreiben Sie dazu, warum die Pflicht hier nicht gilt. Das wird später gefragt.").into(),
            ));
        }
        Act::Send { channel, .. } if channel.is_empty() => {
            return Err(PageError::Refused(t("Bitte schreiben Sie dazu, auf welchem Weg gemeldet wurde.").into()));
        }
        _ => {}
    }
    let viewer = ask.viewer()?;
    let (actor, role, now, scope) = (viewer.user.to_string(), viewer.role, ask.now, viewer.scope.clone());
    let version = ask.form("version").parse().unwrap_or(clock.version);
    let duties = ask.app.duties.clone();
    ask.write(move |tx| clock_act(tx, &duties, &scope, clock.id, version, &act, &actor, role, now)).map_err(refused)?;
    ask.redirect(&format!("/vorfall/{}/pflicht/{}", view.incident.number, clock.duty), notice)
}

/// The clock of the path, where this viewer may see it.
fn load(ask: &Ask) -> Result<(IncidentView, Clock), PageError> {
    let (id, view) = find(ask)?;
    let scope = ask.scope();
    let clocks = ask.app.db.read(|c| clocks_of(c, &scope, id))?;
    let duty = ask.param("duty");
    let clock = clocks.into_iter().find(|clock| clock.duty == duty).ok_or(PageError::NotFound)?;
    Ok((view, clock))
}

/// The form: what was written, else what the case says. A duty that was taken out of the folder shows what was written.
fn questions(view: &IncidentView, clock: &Clock, duty: Option<&Duty>) -> Vec<Question> {
    let Some(duty) = duty else {
        let kept = clock.answers.iter().map(|(key, answer)| Question {
            key: key.clone(),
            label: key.clone(),
            hint: String::new(),
            answer: answer.clone(),
            optional: true,
            lines: "2",
        });
        return kept.collect();
    };
    let question = |field: &Field| {
        let written = clock.answers.get(&field.key).cloned();
        let answer = written.or_else(|| field.from.map(|source| known(view, source))).unwrap_or_default();
        Question {
            key: field.key.clone(),
            label: field.label.clone(),
            hint: field.hint.clone(),
            lines: if answer.chars().count() > 120 { "5" } else { "2" },
            answer,
            optional: !field.required,
        }
    };
    duty.form.iter().map(question).collect()
}

/// What the case says by itself.
fn known(view: &IncidentView, source: Source) -> String {
    let incident = &view.incident;
    match source {
        Source::Number => incident.number.clone(),
        Source::Title => incident.title.clone(),
        Source::Body => incident.body_name.clone().unwrap_or_default(),
        Source::Summary => view.summary.clone(),
        Source::Severity => words::level(incident.severity).to_owned(),
        Source::Class => words::rsit(incident.rsit),
        Source::FirstActivity => show::stamp(incident.first_activity),
        Source::Aware => show::stamp(incident.detected_at),
        Source::Contained => contained(view).map(show::stamp).unwrap_or_default(),
        Source::Observables => {
            // As the case's page: which list of ours warned of it, and by which rule it was seen, is nobody else's.
            let shown = FIELDS_SHOWN.iter().chain(&["file.hash.sha256", "url.domain"]);
            let lines = shown.filter_map(|field| Some(format!("{field}: {}", view.observables.get(*field)?.join(", "))));
            lines.collect::<Vec<_>>().join("\n")
        }
        Source::Measures => {
            let sent = view.recommendations.iter().filter(|one| one.state != RecommendationState::Draft);
            let steps = sent.flat_map(|one| &one.steps).map(|step| {
                let state = match step.state {
                    StepState::Done => t("erledigt"),
                    StepState::InWork => t("in Arbeit"),
                    StepState::Declined => t("abgelehnt"),
                    StepState::Open => t("empfohlen"),
                };
                format!("- {} ({state})", step.text)
            });
            steps.collect::<Vec<_>>().join("\n")
        }
    }
}

/// When it was contained, as the history has it last.
fn contained(view: &IncidentView) -> Option<Timestamp> {
    view.history.iter().rev().find(|event| event.kind == "incident.contained").map(|event| event.event_time)
}

#[cfg(test)]
mod tests;

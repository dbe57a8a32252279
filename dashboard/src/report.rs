//! A case as a document (PDF, German): what its page shows whoever asks for it, in the order in which one tells it. Persons that
//! the event store hides stay hidden, as in every file that leaves. The document's time is the case's last change, so the same
//! case gives the same bytes.

use std::collections::HashMap;

use detect::duty::{Clock, DutyState, clocks_of};
use detect::exchange::Secrets;
use detect::exhibit::{Exhibit, exhibit_list};
use detect::incident::{IncidentView, service_name};
use detect::recommendation::{Recommendation, RecommendationState};
use detect::timeline::{Moment, moment_list};
use ingest::db::DbError;
use ingest::fields::FieldId;
use ingest::pseudonym::Pseudonyms;
use ingest::rusqlite::Connection;
use ingest::scope::Scope;
use serde_json::{Value, json};

use crate::outside::hides;
use crate::paper::{Paper, PaperError, Template, paper_print};
use crate::show;
use crate::web::{FIELDS_SHOWN, case_facts};
use crate::words::{self, Language, Names, t, tf};

/// A case with what stands beside it, as far as one scope sees it.
pub(crate) struct CaseFile {
    view: IncidentView,
    clocks: Vec<Clock>,
    exhibits: Vec<Exhibit>,
    moments: Vec<Moment>,
    names: Names,
    internal: bool,
}

/// How much of the history, with how long texts: the first that fits into a document. A case that has more is told by its end.
const SIZES: [(usize, usize); 3] = [(1_000, 10_000), (400, 1_000), (100, 300)];
/// Values of one field.
const VALUES_MAX: usize = 50;
/// Bodies of a case of the state.
const BODIES_MAX: usize = 500;

impl CaseFile {
    /// # Errors
    /// The database's own.
    pub(crate) fn load(connection: &Connection, scope: &Scope, view: IncidentView) -> Result<Self, DbError> {
        let id = view.incident.id;
        Ok(Self {
            clocks: clocks_of(connection, scope, id)?,
            exhibits: exhibit_list(connection, scope, id)?,
            moments: moment_list(connection, scope, id)?,
            names: Names::load(connection)?,
            internal: *scope == Scope::All,
            view,
        })
    }

    /// The report as PDF.
    ///
    /// # Errors
    /// The typesetter's own.
    pub(crate) fn print(&self, author: &str, pseudonyms: &Pseudonyms) -> Result<Vec<u8>, PaperError> {
        words::with_language(Language::German, || {
            let mut printed = Err(PaperError::TooLong);
            for size in SIZES {
                printed = paper_print(&self.paper(author, pseudonyms, size));
                if !matches!(printed, Err(PaperError::TooLong)) {
                    break;
                }
            }
            printed
        })
    }

    fn paper(&self, author: &str, pseudonyms: &Pseudonyms, size: (usize, usize)) -> Paper {
        let (view, incident) = (&self.view, &self.view.incident);
        let hides = |field: &str, value: &str| hides(pseudonyms, field, value);
        let secret = Secrets::of(view, &hides);
        let title = secret.text(&incident.title);
        let (left_out, history) = self.history(&secret, size);
        let data = json!({
            "number": incident.number,
            "title": title,
            "label-rule": format!("TLP:{}: {}", incident.tlp.as_str(), words::tlp_rule(incident.tlp)),
            "facts": self.facts(),
            "story": secret.text(&view.summary),
            "bodies": self.bodies(),
            "services": incident.services.iter().filter_map(|key| service_name(key)).collect::<Vec<_>>(),
            "timeline": self.moments.iter().map(|one| moment(one, &secret, size.1)).collect::<Vec<_>>(),
            "plans": view.recommendations.iter().filter(|one| self.internal || one.state != RecommendationState::Draft)
                .map(|one| plan(one, &secret)).collect::<Vec<_>>(),
            "duties": self.clocks.iter().map(duty).collect::<Vec<_>>(),
            "observables": observables(view, &secret),
            "hidden": match secret.count() {
                0 => String::new(),
                1 => t("1 Angabe zu Personen ist verborgen.").to_owned(),
                n => tf("{n} Angaben zu Personen sind verborgen.", &[("n", &n)]),
            },
            "exhibits": self.exhibits.iter().map(|one| exhibit(one, &self.names)).collect::<Vec<_>>(),
            "left-out": left_out,
            "history": history,
        });
        let changed = view.history.iter().map(|event| event.recorded_at).max();
        Paper {
            template: Template::Case,
            title: format!("{}: {title}", incident.number),
            author: author.to_owned(),
            tlp: incident.tlp.as_str().to_owned(),
            mark: incident.number.clone(),
            at: changed.unwrap_or(incident.opened_at),
            data,
        }
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let incident = &self.view.incident;
        let mut all = vec![
            (t("Stand"), words::state(incident.state).to_owned()),
            (t("Schwere"), words::level(incident.severity).to_owned()),
            (t("Klasse"), words::rsit(incident.rsit)),
        ];
        all.extend(case_facts(&self.view, &self.names, self.internal));
        all
    }

    fn bodies(&self) -> Vec<[String; 4]> {
        let row = |body: &detect::incident::AffectedBody| {
            [body.name.clone(), show::num(body.records), show::stamp(body.first), show::stamp(body.last)]
        };
        self.view.bodies.iter().take(BODIES_MAX).map(row).collect()
    }

    /// What is left out, and the rest, the oldest first.
    fn history(&self, secret: &Secrets<'_>, (rows_max, chars_max): (usize, usize)) -> (String, Vec<[String; 4]>) {
        let notes: HashMap<String, &str> = self.view.notes.iter().map(|note| (note.id.to_string(), note.text.as_str())).collect();
        let row = |event: &ingest::history::HistoryEvent| {
            let told = words::told(event, &self.names);
            let detail = notes.get(&event.id.to_string()).map_or(told.detail, |text| (*text).to_owned());
            let who = self.names.of_for(&event.actor, self.internal);
            [show::stamp(event.event_time), secret.text(&told.what), short(&secret.text(&detail), chars_max), who]
        };
        let all = &self.view.history;
        let behind = all.len().saturating_sub(rows_max);
        let left_out = match behind {
            0 => String::new(),
            n => tf("Die ersten {n} Einträge stehen auf der Seite des Vorfalls.", &[("n", &show::num(n as u64))]),
        };
        (left_out, all.iter().skip(behind).map(row).collect())
    }
}

fn short(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn moment(one: &Moment, secret: &Secrets<'_>, chars_max: usize) -> [String; 3] {
    let source = if one.event.is_some() { t("Ereignis") } else { t("Eintrag") };
    [show::stamp_seconds(one.at), short(&secret.text(&one.text), chars_max), source.to_owned()]
}

fn plan(one: &Recommendation, secret: &Secrets<'_>) -> Value {
    let state = match one.sent_at {
        Some(at) => tf("{state}, gesendet am {at}", &[("state", &words::recommendation(one.state)), ("at", &show::stamp(at))]),
        None => words::recommendation(one.state).to_owned(),
    };
    let steps = one.steps.iter().enumerate().map(|(at, step)| {
        let mut told = words::step(step.state).to_owned();
        if let Some(at) = step.changed_at {
            told.push_str(&format!(" ({})", show::stamp(at)));
        }
        if let Some(reason) = &step.reason {
            told.push_str(&format!(": {}", secret.text(reason)));
        }
        let confirm = if step.confirm.is_empty() { String::new() } else { format!("\n{}", secret.text(&step.confirm)) };
        [format!("{}. {}{confirm}", at + 1, secret.text(&step.text)), told]
    });
    json!({ "title": secret.text(&one.title), "intro": secret.text(&one.intro), "state": state, "steps": steps.collect::<Vec<_>>() })
}

fn duty(clock: &Clock) -> [String; 4] {
    let state = match (clock.state, clock.sent_at) {
        (DutyState::Waived, _) => t("gilt nicht").to_owned(),
        (_, Some(at)) if at <= clock.due_at => tf("gemeldet am {at}", &[("at", &show::stamp(at))]),
        (_, Some(at)) => tf("verspätet gemeldet am {at}", &[("at", &show::stamp(at))]),
        (DutyState::Asked, None) => t("zu prüfen").to_owned(),
        (_, None) => t("offen").to_owned(),
    };
    [clock.title.clone(), clock.basis.clone(), show::stamp(clock.due_at), state]
}

fn observables(view: &IncidentView, secret: &Secrets<'_>) -> Vec<(&'static str, Vec<String>)> {
    let seen = secret.observables(&view.observables);
    let row = |field: &&str| {
        let values: Vec<String> = seen.get(*field)?.iter().take(VALUES_MAX).cloned().collect();
        Some((words::field(FieldId::find(field)?), values)).filter(|(_, values)| !values.is_empty())
    };
    FIELDS_SHOWN.iter().filter_map(row).collect()
}

fn exhibit(one: &Exhibit, names: &Names) -> Value {
    let mut facts = vec![
        (t("Größe"), show::bytes(one.bytes)),
        (t("Inhalt"), one.found.clone()),
        (t("Abgelegt"), format!("{}, {}", show::stamp_seconds(one.added_at), names.of(&one.added_by))),
    ];
    if one.quarantined {
        facts.push((t("Verwahrung"), t("Quarantäne").into()));
    }
    json!({ "name": one.name, "sha256": one.sha256, "facts": facts })
}

/// What is said where a document could not be made.
pub(crate) fn refused(error: &PaperError) -> String {
    tracing::error!(%error, "a document could not be made");
    match error {
        PaperError::TooLong => t("Der Vorfall ist zu umfangreich für ein PDF. Nehmen Sie den Export.").to_owned(),
        PaperError::Typeset(_) => t("Das PDF ließ sich nicht setzen. Die Einzelheiten stehen im Betriebsprotokoll.").to_owned(),
    }
}

#[cfg(test)]
mod tests;

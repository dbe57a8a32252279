//! The timeline on a case's page: what the CERT wrote down and took over from events, between what the case itself knows of time
//! (alerts, turns of its history), the oldest first. Only the CERT has it; the routes let in nobody else, and the store gives
//! nothing to any but the whole scope.

use std::collections::BTreeMap;

use detect::incident::{CaseError, IncidentFilter, IncidentView, incident_list};
use detect::role::{Action, allowed};
use detect::timeline::{Moment, MomentId, NewMoment, moment_add, moment_list, moment_strike};
use ingest::frame::Seq;
use ingest::scope::Scope;
use ingest::time::Timestamp;

use super::incident_join::named;
use super::incidents::{find, readable, refused};
use crate::show;
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, Names, t, tf, tn};

/// Rules of a case that have a line each; those of a storm are a handful.
const RULES_MAX: usize = 30;
/// Cases that a form offers; any other is named by its number.
const OFFERED_MAX: usize = 30;

/// One line of it.
pub(super) struct Line {
    pub(super) at: String,
    pub(super) text: String,
    /// What kind of line it is, and who wrote it.
    pub(super) source: String,
    /// Where the event behind it can be read.
    pub(super) href: String,
    /// By which it can be struck; empty for what is not written by hand.
    pub(super) id: String,
    pub(super) strong: bool,
}

pub(super) struct Card {
    pub(super) shown: bool,
    pub(super) may_add: bool,
    pub(super) lines: Vec<Line>,
}

pub(super) fn card(ask: &Ask, view: &IncidentView, names: &Names) -> Result<Card, PageError> {
    let (scope, incident) = (ask.scope(), &view.incident);
    let shown = scope == Scope::All && may(ask);
    if !shown {
        return Ok(Card { shown, may_add: false, lines: vec![] });
    }
    let moments = ask.app.db.read(|c| moment_list(c, &scope, incident.id))?;
    let mut lines: Vec<(Timestamp, Line)> = moments.iter().map(|moment| (moment.at, by_hand(moment, names))).collect();
    lines.extend(alerts(view));
    lines.extend(turns(view, names));
    lines.sort_by_key(|(at, _)| *at);
    Ok(Card { shown, may_add: incident.merged_into.is_none(), lines: lines.into_iter().map(|(_, line)| line).collect() })
}

fn by_hand(moment: &Moment, names: &Names) -> Line {
    let who = names.of(&moment.actor);
    Line {
        at: show::stamp_seconds(moment.at),
        text: moment.text.clone(),
        source: match moment.event {
            Some(_) => tf("Ereignis, übernommen von {name}", &[("name", &who)]),
            None => tf("Eintrag von {name}", &[("name", &who)]),
        },
        href: moment.event.map(|seq| format!("/ereignis/{}", seq.0)).unwrap_or_default(),
        id: moment.id.to_string(),
        strong: false,
    }
}

/// When each rule saw it first.
fn alerts(view: &IncidentView) -> Vec<(Timestamp, Line)> {
    let mut rules: BTreeMap<&str, (Timestamp, u64)> = BTreeMap::new();
    for alert in &view.alerts {
        let known = rules.entry(&alert.title).or_insert((alert.first, 0));
        *known = (known.0.min(alert.first), known.1 + 1);
    }
    let line = |(title, (first, n)): (&str, (Timestamp, u64))| {
        let line = Line {
            at: show::stamp_seconds(first),
            text: title.to_owned(),
            source: tn("Alarm, zum ersten Mal", "{n} Alarme, zum ersten Mal", n),
            href: String::new(),
            id: String::new(),
            strong: false,
        };
        (first, line)
    };
    rules.into_iter().take(RULES_MAX).map(line).collect()
}

/// The turns of the case's own history.
fn turns(view: &IncidentView, names: &Names) -> Vec<(Timestamp, Line)> {
    let line = |event: &ingest::history::HistoryEvent| {
        let told = words::told(event, names);
        let line = Line {
            at: show::stamp_seconds(event.event_time),
            text: told.what,
            source: tf("Vorgang, {name}", &[("name", &names.of(&event.actor))]),
            href: String::new(),
            id: String::new(),
            strong: true,
        };
        told.strong.then_some((event.event_time, line))
    };
    view.history.iter().filter_map(line).collect()
}

fn may(ask: &Ask) -> bool {
    ask.viewer.as_ref().is_some_and(|viewer| allowed(Action::IncidentNote, viewer.role))
}

/// The form on an event's page: into which case it can be taken.
pub(super) struct Take {
    /// (number, title) of open cases, the own ones first.
    pub(super) cases: Vec<(String, String)>,
    /// The one that is meant most likely.
    pub(super) first: String,
    pub(super) text: String,
}

/// `None` for who keeps no timelines.
pub(super) fn take(ask: &Ask, text: &str) -> Result<Option<Take>, PageError> {
    if ask.scope() != Scope::All || !may(ask) {
        return Ok(None);
    }
    let me = ask.viewer()?.user.to_string();
    let filter = IncidentFilter { limit: OFFERED_MAX, ..readable(ask) };
    let filter = IncidentFilter { states: detect::incident::State::OPEN.to_vec(), ..filter };
    let mut cases = ask.app.db.read(|c| incident_list(c, &filter))?;
    cases.sort_by_key(|case| case.assignee.as_ref() != Some(&me));
    let first = cases.first().filter(|case| case.assignee.as_ref() == Some(&me)).map(|case| case.number.clone());
    Ok(Some(Take {
        cases: cases.into_iter().map(|case| (case.number, case.title)).collect(),
        first: first.unwrap_or_default(),
        text: text.chars().take(detect::timeline::MOMENT_CHARS_MAX).collect(),
    }))
}

/// A moment written down on the case's page.
pub(in crate::web) fn add(ask: &mut Ask) -> Reply {
    let (id, view) = find(ask)?;
    let unread = || PageError::Refused(t("Den Zeitpunkt verstehen wir nicht. Wählen Sie Tag und Uhrzeit.").into());
    let at = show::local_parse(ask.form("zeit")).ok_or_else(unread)?;
    let new = NewMoment { at, text: ask.form("text").to_owned(), event: None };
    write(ask, id, new)?;
    ask.redirect(&format!("/vorfall/{}", view.incident.number), "moment-added")
}

/// An event taken over from its page. Its time is the event's own, whatever the form says.
pub(in crate::web) fn take_over(ask: &mut Ask) -> Reply {
    let (id, view) = named(ask, &ask.form("vorfall").trim().to_uppercase())?;
    let gone = || PageError::Refused(t("Dieses Ereignis ist nicht mehr gespeichert. Tragen Sie es im Vorfall von Hand ein.").into());
    let seq = ask.form("ereignis").parse().map(Seq).map_err(|_| PageError::NotFound)?;
    let (scope, sites) = (ask.scope(), ask.app.sites());
    let found = ask.app.events.as_ref().and_then(|store| store.by_seq(&[seq], &scope, &sites).pop());
    let event = found.ok_or_else(gone)?;
    let given = ask.form("text").trim();
    let text = if given.is_empty() { event.message().to_owned() } else { given.to_owned() };
    // A sender's clock may run ahead of ours.
    let at = event.timestamp.min(ask.now);
    write(ask, id, NewMoment { at, text, event: Some(seq) })?;
    ask.redirect(&format!("/vorfall/{}", view.incident.number), "moment-added")
}

fn write(ask: &Ask, id: detect::incident::IncidentId, new: NewMoment) -> Result<MomentId, PageError> {
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.write(move |tx| moment_add(tx, id, &new, &actor, role, now)).map_err(not_done)
}

pub(in crate::web) fn strike(ask: &mut Ask) -> Reply {
    let (id, view) = find(ask)?;
    let moment: MomentId = ask.form("eintrag").parse().map_err(|_| PageError::NotFound)?;
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.write(move |tx| moment_strike(tx, id, moment, &actor, role, now)).map_err(not_done)?;
    ask.redirect(&format!("/vorfall/{}", view.incident.number), "moment-struck")
}

/// A refusal in the words of the timeline; what others say is said as for a case.
fn not_done(error: CaseError) -> PageError {
    let told = match &error {
        CaseError::Transition { .. } => t("Dieser Vorfall wurde mit einem anderen zusammengeführt. Tragen Sie es dort ein."),
        CaseError::NotFound { noun: "moment", .. } => {
            t("Diesen Eintrag gibt es nicht mehr: Jemand hat ihn schon gestrichen. Öffnen Sie die Seite neu.")
        }
        CaseError::Invalid { what: "moment_time", .. } => {
            t("Der Zeitpunkt liegt in der Zukunft. In die Zeitleiste kommt, was geschehen ist.")
        }
        CaseError::Invalid { what: "moment_event", .. } => t("Dieses Ereignis steht schon in der Zeitleiste dieses Vorfalls."),
        CaseError::Invalid { what: "moments", .. } => t("Die Zeitleiste hat schon 500 Einträge. Streichen Sie erst, was nicht mehr hilft."),
        CaseError::Invalid { what: "moment", .. } => t("Schreiben Sie dazu, was geschah."),
        _ => return refused(error),
    };
    PageError::Refused(told.into())
}

#[cfg(test)]
mod tests;

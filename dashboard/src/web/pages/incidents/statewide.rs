//! The part of a case's page that only a case of the state has: which bodies it concerns, with the way to what happened at
//! each, and the warning that it suggests.

use advisory::proposal::content_of_incident;
use advisory::store::{AdvisoryError, advisory_draft};
use detect::incident::{AffectedBody, CaseError, IncidentView, OwnCase, SuggestionState, warning_decline, warning_draft};
use detect::playbook::{GENERAL, Playbook};
use detect::role::{Action, allowed};
use ingest::rusqlite::Transaction;

use super::super::{advisories, evidence};
use super::{find, refused};
use crate::show::{self, Markup};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, Names, t, tf};

/// The bodies that a case of the state concerns.
pub(super) struct Affected {
    pub(super) count: String,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) body: String,
    pub(super) records: String,
    pub(super) first: Markup,
    pub(super) last: Markup,
    /// The search for what happened there; empty where it has no site any more.
    pub(super) events: String,
    /// `None`: it cannot be told.
    pub(super) own: Option<Vec<Own>>,
}

/// A case of the body's own about the same.
pub(super) struct Own {
    pub(super) href: String,
    pub(super) number: String,
    pub(super) state: Markup,
}

pub(super) fn affected(ask: &Ask, view: &IncidentView) -> Option<Affected> {
    if view.bodies.is_empty() {
        return None;
    }
    Some(Affected { count: show::num(view.bodies.len() as u64), rows: view.bodies.iter().map(|body| row(ask, view, body)).collect() })
}

fn row(ask: &Ask, view: &IncidentView, body: &AffectedBody) -> Row {
    let sites = ask.app.sites();
    let there: Vec<String> =
        sites.iter().filter(|site| site.body == Some(body.body)).map(|site| evidence::term("site", &site.name)).collect();
    let marks = view.alerts.iter().map(|alert| words::entity(&alert.entity)).filter(|(field, _)| !field.is_empty());
    let mut what: Vec<String> = marks.map(|(field, value)| evidence::term(field, value)).collect();
    what.sort();
    what.dedup();
    let events = match there.is_empty() || what.is_empty() {
        true => String::new(),
        false => evidence::href(&format!("({}) AND ({})", there.join(" OR "), what.join(" OR ")), body.first, body.last),
    };
    Row {
        body: body.name.clone(),
        records: show::num(body.records),
        first: show::time(body.first, ask.now),
        last: show::time(body.last, ask.now),
        events,
        own: body.own.as_ref().map(|cases| cases.iter().map(own).collect()),
    }
}

fn own(case: &OwnCase) -> Own {
    Own { href: format!("/vorfall/{}", case.number), number: case.number.clone(), state: words::state_badge(case.state) }
}

/// The warning that the case suggests, and what became of it.
pub(super) struct Warning {
    /// Nobody has decided yet.
    pub(super) open: bool,
    pub(super) may_draft: bool,
    pub(super) text: String,
    pub(super) detail: String,
    /// The draft.
    pub(super) href: String,
}

pub(super) fn warning(ask: &Ask, view: &IncidentView, names: &Names) -> Option<Warning> {
    let suggestion = view.warning.as_ref()?;
    let may = ask.viewer.as_ref().is_some_and(|viewer| allowed(Action::WarningDecide, viewer.role));
    let by = [("name", &names.of(&suggestion.actor) as &dyn std::fmt::Display), ("at", &show::stamp(suggestion.at))];
    let text = match suggestion.state {
        SuggestionState::Open => {
            t("Was mehrere Stellen traf, wird auch andere treffen. Vorschlag: alle warnen. Der Entwurf nennt das Kennzeichen und die Maßnahmen, aber keine der betroffenen Stellen.").to_owned()
        }
        SuggestionState::Drafted => tf("{name} hat am {at} einen Entwurf daraus gemacht.", &by),
        SuggestionState::Declined => tf("{name} hat am {at} entschieden, nicht zu warnen.", &by),
    };
    Some(Warning {
        open: may && suggestion.state == SuggestionState::Open,
        may_draft: may && suggestion.state != SuggestionState::Drafted,
        text,
        detail: suggestion.reason.clone(),
        href: suggestion.advisory.as_ref().map(|id| format!("/meldung/{id}")).unwrap_or_default(),
    })
}

/// Makes a draft of the suggested warning and goes on to its editor, or notes why there is to be none.
pub(in crate::web) fn warn(ask: &mut Ask) -> Reply {
    let (id, view) = find(ask)?;
    let viewer = ask.viewer()?;
    let (user, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    if ask.form("wahl") == "ablehnen" {
        let reason = ask.form("grund").trim().to_owned();
        if reason.is_empty() {
            return Err(PageError::Refused(
                t("Bitte schreiben Sie in einem Satz, warum nicht gewarnt werden soll. Wer den Vorfall später liest, wird danach fragen.")
                    .into(),
            ));
        }
        ask.write(move |tx| warning_decline(tx, id, &reason, &user, role, now)).map_err(refused)?;
        return ask.redirect(&format!("/vorfall/{}", view.incident.number), "saved");
    }
    let content = content_of_incident(&view, playbook(ask, &view)?);
    let author = advisories::actor(ask)?;
    let draft = move |tx: &Transaction<'_>| {
        let made = advisory_draft(tx, content, &author, now).map_err(|error| match error {
            AdvisoryError::Db(error) => CaseError::Db(error),
            _ => CaseError::Forbidden { action: "advisory".into(), role },
        })?;
        warning_draft(tx, id, &made.id.to_string(), &user, role, now)?;
        Ok::<_, CaseError>(made.id)
    };
    let made = ask.write(draft).map_err(refused)?;
    ask.redirect(&format!("/meldung/{made}/bearbeiten"), "saved")
}

/// That of the gravest alert, whose steps become the measures.
fn playbook<'a>(ask: &'a Ask, view: &IncidentView) -> Result<&'a Playbook, PageError> {
    let gravest = view.alerts.iter().max_by_key(|alert| alert.level);
    let chosen = gravest.and_then(|alert| ask.app.playbooks.choose(&alert.rule_name, alert.playbook.as_deref(), &alert.rsit));
    chosen.or_else(|| ask.app.playbooks.get(GENERAL)).ok_or(PageError::NotFound)
}

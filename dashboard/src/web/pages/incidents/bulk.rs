//! What is done to many cases at once: each as its reader saw it, so that nobody closes what somebody else has just taken up. What
//! was refused is named with a way there. Merging shows first what stays and what goes, because nobody takes it back.

use std::collections::{BTreeSet, HashMap};

use askama::Template;
use detect::alert::Disposition;
use detect::incident::{
    CASES_BULK_MAX, CaseAct, CaseError, CasesDone, Incident, IncidentId, IncidentLabel, Seen, State, incident_get, incident_labels,
    incidents_bulk, moves,
};
use detect::role::{Action, Role, allowed};
use ingest::db::DbError;

use super::{Row, refused};
use crate::show::{filters, link};
use crate::web::ask::see_other;
use crate::web::frame::{Frame, Place};
use crate::web::pages::tasks::workers;
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, Names, t, tf, tn};

const ASSIGN: &str = "zuweisen";
const MERGE: &str = "zusammenfuehren";

/// The form below the list.
pub(super) struct Form<'a> {
    pub(super) filter: [(&'static str, &'a str); 3],
    pub(super) acts: Vec<(&'static str, String)>,
    pub(super) people: Vec<(String, String)>,
}

impl<'a> Form<'a> {
    /// Nothing for who may do nothing to many.
    pub(super) fn of(ask: &Ask, filter: [(&'static str, &'a str); 3]) -> Result<Option<Self>, PageError> {
        let Some(role) = ask.viewer.as_ref().map(|viewer| viewer.role).filter(|role| allowed(Action::IncidentAssign, *role)) else {
            return Ok(None);
        };
        let mut acts: Vec<(&'static str, String)> = vec![(ASSIGN, t("jemandem geben").into())];
        if may_close(role) {
            let close = |verdict: Disposition| tf("schließen: {urteil}", &[("urteil", &words::disposition(verdict))]);
            acts.extend(Disposition::ALL.map(|verdict| (verdict.as_str(), close(verdict))));
        }
        acts.push((MERGE, t("zusammenführen …").into()));
        let mut people = vec![(String::new(), t("niemand").to_owned())];
        people.extend(workers(ask)?);
        // Whoever looks takes most of them.
        let me = ask.viewer()?.user.to_string();
        people.sort_by_key(|(id, _)| *id != me);
        Ok(Some(Self { filter, acts, people }))
    }
}

/// A new case is triaged on the way.
fn may_close(role: Role) -> bool {
    moves(State::Triaged, role).any(|state| state == State::Closed)
}

pub(in crate::web) fn act(ask: &mut Ask) -> Reply {
    let seen: Vec<Seen> = ask.form.all("fall").filter_map(case_seen).collect();
    if seen.is_empty() {
        return Err(PageError::Refused(t("Wählen Sie zuerst mindestens einen Vorfall: das Kästchen am Anfang seiner Zeile.").into()));
    }
    let labels = labels(ask, &seen)?;
    let (act, what) = match ask.form("tat") {
        ASSIGN => {
            let user = ask.form("wer");
            let known = workers(ask)?.into_iter().find(|(id, _)| id == user);
            if known.is_none() && !user.is_empty() {
                return Err(PageError::Refused(t("Dieses Konto bearbeitet keine Vorfälle. Wählen Sie ein anderes.").into()));
            }
            let name = known.as_ref().map_or(t("niemand"), |(_, name)| name.as_str()).to_owned();
            (CaseAct::Assign(known.map(|(id, _)| id)), tf("Bearbeitung: {name}", &[("name", &name)]))
        }
        MERGE if ask.form("sicher") != "ja" => return confirm(ask, &seen),
        MERGE => (CaseAct::Merge, t("zusammenführen").into()),
        _ if !may_close(ask.viewer()?.role) => return Err(PageError::Forbidden),
        verdict => {
            let verdict = Disposition::parse(verdict);
            let verdict = verdict.ok_or_else(|| PageError::Refused(t("Wählen Sie, was mit den Vorfällen geschehen soll.").into()))?;
            (CaseAct::Close(verdict), tf("schließen: {urteil}", &[("urteil", &words::disposition(verdict))]))
        }
    };
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.remark("cases", seen.len());
    let done = ask.write(move |tx| incidents_bulk(tx, &seen, &act, &actor, role, now)).map_err(|error| match error {
        CaseError::Invalid { what: "cases", .. } => PageError::Refused(few()),
        error => refused(error),
    })?;
    outcome(ask, &labels, done, what)
}

fn few() -> String {
    tf("Zum Zusammenführen gehören mindestens zwei Vorfälle; auf einmal gehen höchstens {n}.", &[("n", &CASES_BULK_MAX)])
}

/// A case and the version in which the list showed it.
fn case_seen(text: &str) -> Option<Seen> {
    let (id, version) = text.split_once('.')?;
    Some(Seen { id: id.parse().ok()?, version: version.parse().ok()? })
}

/// The names of the cases; one that the viewer may not know of does not exist.
fn labels(ask: &Ask, seen: &[Seen]) -> Result<HashMap<IncidentId, IncidentLabel>, PageError> {
    if seen.len() > CASES_BULK_MAX {
        return Err(PageError::Refused(tf("Auf einmal gehen höchstens {n} Vorfälle.", &[("n", &CASES_BULK_MAX)])));
    }
    let (scope, viewer) = (ask.scope(), ask.viewer()?);
    let ids: Vec<IncidentId> = seen.iter().map(|one| one.id).collect();
    let found = ask.app.db.read(|c| incident_labels(c, &scope, &ids))?;
    let known = ids.iter().all(|id| found.get(id).is_some_and(|case| viewer.may_read(case.tlp.as_str())));
    if known { Ok(found) } else { Err(PageError::NotFound) }
}

#[derive(Template)]
#[template(path = "incidents_confirm.html")]
struct ConfirmPage {
    frame: Frame,
    question: String,
    stays: Row,
    goes: Vec<Row>,
    cases: Vec<String>,
}

/// What stays is the case that was opened first; the database says so again when it is done.
fn confirm(ask: &Ask, seen: &[Seen]) -> Reply {
    /// A page's.
    const MERGED_MAX: usize = super::PAGE_ROWS;
    if !(2..=MERGED_MAX).contains(&seen.len()) {
        return Err(PageError::Refused(few()));
    }
    let scope = ask.scope();
    let (mut cases, names) = ask.app.db.read(|c| {
        let mut cases = vec![];
        for one in seen {
            cases.extend(incident_get(c, &scope, one.id)?.map(|view| view.incident));
        }
        Ok::<_, DbError>((cases, Names::load(c)?))
    })?;
    cases.sort_by_key(|case| (case.opened_at, case.id));
    let owner = |case: &Incident| (case.body, case.site.filter(|_| case.body.is_none()));
    // Better said before than one by one afterwards.
    if cases.iter().map(owner).collect::<BTreeSet<_>>().len() > 1 {
        return Err(refused(CaseError::Invalid { what: "owner", value: String::new(), wanted: "the same owner" }));
    }
    let mut rows = cases.iter().map(|case| Row::new(case, &names, ask.now, case.opened_at));
    let stays = rows.next().ok_or(PageError::NotFound)?;
    let goes: Vec<Row> = rows.collect();
    let page = ConfirmPage {
        question: tf("{n} Vorfälle zusammenführen?", &[("n", &seen.len())]),
        stays,
        goes,
        cases: seen.iter().map(|one| format!("{}.{}", one.id, one.version)).collect(),
        frame: ask.frame(t("Vorfälle zusammenführen"), Place::Incidents),
    };
    ask.page(&page)
}

#[derive(Template)]
#[template(path = "bulk_outcome.html")]
struct OutcomePage {
    frame: Frame,
    done: String,
    what: String,
    refused: Vec<(String, String, String)>,
    back: String,
}

fn outcome(ask: &Ask, labels: &HashMap<IncidentId, IncidentLabel>, done: CasesDone, what: String) -> Reply {
    let here = ["stand", "schwere", "wort"].map(|name| (name, ask.form(name)));
    if done.refused.is_empty() {
        return Ok(match done.into.and_then(|id| labels.get(&id)) {
            Some(whole) => see_other(&link(&format!("/vorfall/{}", whole.number), &[("ok", "merged")])),
            None => {
                let n = done.done.len().to_string();
                see_other(&link("/vorfaelle", &here.into_iter().chain([("getan", n.as_str())]).collect::<Vec<_>>()))
            }
        });
    }
    let line = |(id, error): (IncidentId, CaseError)| {
        let (number, title) = labels.get(&id).map_or_else(Default::default, |case| (case.number.clone(), case.title.clone()));
        (format!("/vorfall/{number}"), format!("{number} {title}"), why(error))
    };
    let page = OutcomePage {
        done: if done.done.is_empty() { t("Kein Vorfall ist geändert.").into() } else { told(done.done.len() as u64) },
        what,
        refused: done.refused.into_iter().map(line).collect(),
        back: link("/vorfaelle", &here),
        frame: ask.frame(t("Vorfälle bearbeiten"), Place::Incidents),
    };
    ask.page(&page)
}

pub(super) fn told(n: u64) -> String {
    tn("Erledigt: Ein Vorfall ist bearbeitet.", "Erledigt: {n} Vorfälle sind bearbeitet.", n)
}

fn why(error: CaseError) -> String {
    match refused(error) {
        PageError::Refused(text) => text,
        _ => t("Diesen Vorfall gibt es nicht mehr.").into(),
    }
}

#[cfg(test)]
mod tests;

//! How a case hangs together with others: the card on its page, and the pages that merge, split and link. Merging shows first what
//! it will do, because nobody takes it back.

use askama::Template;
use detect::alert::AlertId;
use detect::duty::clocks_of;
use detect::incident::{
    CaseRef, Incident, IncidentFilter, IncidentId, IncidentView, Seen, State, incident_by_number, incident_get, incident_link,
    incident_list, incident_merge, incident_relations, incident_split, incident_unlink,
};
use detect::recommendation::RecommendationState;
use detect::role::{Action, allowed};
use ingest::db::DbError;
use ingest::scope::Scope;

use super::incidents::{Row, find, refused};
use crate::show::{self, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, Names, t, tf, tn};

/// Cases that are offered to merge with; others are named by their number.
const CANDIDATES_MAX: usize = 20;

/// The card, and the notice of a merged case.
pub(super) struct Relations {
    pub(super) into: Option<Other>,
    pub(super) parts: Vec<Part>,
    pub(super) links: Vec<Link>,
    pub(super) may_join: bool,
    pub(super) may_merge: bool,
    pub(super) may_split: bool,
}

/// Another case; without a way there where its label hides it.
pub(super) struct Other {
    pub(super) href: String,
    pub(super) number: String,
    pub(super) title: String,
}

pub(super) struct Part {
    pub(super) href: String,
    pub(super) number: String,
    pub(super) title: String,
    /// What still waits there.
    pub(super) open: String,
}

pub(super) struct Link {
    pub(super) case: Other,
    pub(super) reason: String,
    pub(super) by: String,
}

pub(super) fn load(ask: &Ask, view: &IncidentView, names: &Names) -> Result<Relations, PageError> {
    let viewer = ask.viewer()?;
    let incident = &view.incident;
    let scope = ask.scope();
    let relations = ask.app.db.read(|c| incident_relations(c, &scope, incident.id))?;
    let readable = |case: &CaseRef| viewer.may_read(case.tlp.as_str());
    let mut parts = vec![];
    for part in relations.parts.iter().filter(|part| readable(part)) {
        let Other { href, number, title } = other(part);
        parts.push(Part { href, number, title, open: waiting(ask, part.id)? });
    }
    let may_join = scope == Scope::All && allowed(Action::IncidentJoin, viewer.role);
    let open = incident.state != State::Closed;
    Ok(Relations {
        into: relations.merged_into.map(|case| {
            let hidden = Other { href: String::new(), number: String::new(), title: String::new() };
            if readable(&case) { other(&case) } else { hidden }
        }),
        parts,
        links: relations
            .links
            .iter()
            .map(|link| Link {
                case: other(&link.case),
                reason: link.reason.clone(),
                by: tf("{name}, {at}", &[("name", &names.of(&link.actor)), ("at", &show::stamp(link.at))]),
            })
            .collect(),
        may_join,
        may_merge: may_join && open,
        may_split: may_join && open && view.alerts.len() > 1,
    })
}

fn other(case: &CaseRef) -> Other {
    Other { href: format!("/vorfall/{}", case.number), number: case.number.clone(), title: case.title.clone() }
}

/// What a merged case has still open: it is answered there, under the number that the body knows.
fn waiting(ask: &Ask, id: IncidentId) -> Result<String, PageError> {
    let scope = ask.scope();
    let (view, clocks) = ask.app.db.read(|c| Ok::<_, DbError>((incident_get(c, &scope, id)?, clocks_of(c, &scope, id)?)))?;
    let asked =
        |state: RecommendationState| matches!(state, RecommendationState::Sent | RecommendationState::Seen | RecommendationState::InWork);
    let open = view.iter().flat_map(|view| &view.recommendations).filter(|one| asked(one.state)).count() as u64;
    let duties = clocks.iter().filter(|clock| clock.state.is_open()).count() as u64;
    let mut said = vec![];
    if open > 0 {
        said.push(tn("eine Empfehlung ist noch nicht beantwortet", "{n} Empfehlungen sind noch nicht beantwortet", open));
    }
    if duties > 0 {
        said.push(tn("eine Meldepflicht ist noch offen", "{n} Meldepflichten sind noch offen", duties));
    }
    Ok(if said.is_empty() { String::new() } else { tf("Dort: {what}.", &[("what", &said.join(", "))]) })
}

struct Both {
    part: String,
    part_version: i64,
    whole: String,
    whole_version: i64,
    /// (what, of the one, of the other, afterwards)
    rows: Vec<(&'static str, String, String, String)>,
}

#[derive(Template)]
#[template(path = "incident_merge.html")]
struct MergePage {
    frame: Frame,
    path: String,
    number: String,
    title: String,
    both: Option<Both>,
    candidates: Vec<Row>,
}

pub(in crate::web) fn merge_show(ask: &mut Ask) -> Reply {
    let (id, view) = find(ask)?;
    let incident = &view.incident;
    let with = ask.query("mit").trim().to_uppercase();
    let both = if with.is_empty() { None } else { Some(both(incident, &named(ask, &with)?.1.incident)) };
    // Of the same owner only: the others cannot be merged with.
    let filter = IncidentFilter { states: State::OPEN.to_vec(), body: incident.body, limit: 200, ..super::incidents::readable(ask) };
    let (found, names) = ask.app.db.read(|c| Ok::<_, DbError>((incident_list(c, &filter)?, Names::load(c)?)))?;
    let same = |one: &&Incident| one.id != id && one.body == incident.body && (one.body.is_some() || one.site == incident.site);
    let rows = found.iter().filter(same).take(CANDIDATES_MAX).map(|one| Row::new(one, &names, ask.now, one.last_activity));
    let page = MergePage {
        path: format!("/vorfall/{}", incident.number),
        number: incident.number.clone(),
        title: incident.title.clone(),
        both,
        candidates: rows.collect(),
        frame: ask.frame(t("Vorfälle zusammenführen"), Place::Incidents),
    };
    ask.page(&page)
}

fn both(part: &Incident, whole: &Incident) -> Both {
    let row = |label, of: &dyn Fn(&Incident) -> String, after: String| (label, of(part), of(whole), after);
    let alerts = |n: u64| show::num(n);
    Both {
        part: part.number.clone(),
        part_version: part.version,
        whole: whole.number.clone(),
        whole_version: whole.version,
        rows: vec![
            row(t("Titel"), &|one| one.title.clone(), whole.title.clone()),
            row(t("Stand"), &|one| words::state(one.state).to_owned(), words::state(whole.state).to_owned()),
            row(t("Schwere"), &|one| words::level(one.severity).to_owned(), words::level(part.severity.max(whole.severity)).to_owned()),
            row(t("Weitergabe"), &|one| format!("TLP:{}", one.tlp.as_str()), format!("TLP:{}", part.tlp.max(whole.tlp).as_str())),
            row(t("Eröffnet"), &|one| show::stamp(one.opened_at), show::stamp(whole.opened_at)),
            row(t("Erste Anzeichen"), &|one| show::stamp(one.first_activity), show::stamp(part.first_activity.min(whole.first_activity))),
            row(t("Alarme"), &|one| alerts(one.alerts), alerts(part.alerts + whole.alerts)),
        ],
    }
}

/// The case of a number that somebody typed.
pub(super) fn named(ask: &Ask, number: &str) -> Result<(IncidentId, IncidentView), PageError> {
    let scope = ask.scope();
    let found = ask.app.db.read(|c| match incident_by_number(c, &scope, number)? {
        Some(id) => Ok::<_, DbError>(incident_get(c, &scope, id)?.map(|view| (id, view))),
        None => Ok(None),
    })?;
    let found = found.filter(|(_, view)| super::incidents::visible(ask, &view.incident));
    found.ok_or_else(|| PageError::Refused(t("Einen Vorfall mit dieser Nummer gibt es nicht. Gehen Sie zurück und prüfen Sie sie.").into()))
}

/// The version that the form was made looking at.
fn version(ask: &Ask, field: &str) -> Result<i64, PageError> {
    ask.form(field).parse().map_err(|_| PageError::Refused(t("Das Formular ist unvollständig. Öffnen Sie die Seite neu.").into()))
}

pub(in crate::web) fn merge_do(ask: &mut Ask) -> Reply {
    let (id, _) = find(ask)?;
    let (with, whole) = named(ask, &ask.form("mit").trim().to_uppercase())?;
    let (from, into) = (Seen { id, version: version(ask, "version")? }, Seen { id: with, version: version(ask, "version_mit")? });
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.write(move |tx| incident_merge(tx, from, into, &actor, role, now)).map_err(refused)?;
    ask.redirect(&format!("/vorfall/{}", whole.incident.number), "merged")
}

#[derive(Template)]
#[template(path = "incident_split.html")]
struct SplitPage {
    frame: Frame,
    path: String,
    number: String,
    title: String,
    version: i64,
    alerts: Vec<(String, String, String)>,
}

pub(in crate::web) fn split_show(ask: &mut Ask) -> Reply {
    let (_, view) = find(ask)?;
    let line = |alert: &detect::alert::Alert| {
        let (_, entity) = words::entity(&alert.entity);
        let hint = format!("{} · {} · {}", words::level(alert.level), entity, show::stamp(alert.detected_at));
        (alert.id.to_string(), alert.title.clone(), hint)
    };
    let page = SplitPage {
        path: format!("/vorfall/{}", view.incident.number),
        number: view.incident.number.clone(),
        title: view.incident.title.clone(),
        version: view.incident.version,
        alerts: view.alerts.iter().map(line).collect(),
        frame: ask.frame(t("Alarme herauslösen"), Place::Incidents),
    };
    ask.page(&page)
}

pub(in crate::web) fn split_do(ask: &mut Ask) -> Reply {
    let (id, _) = find(ask)?;
    let from = Seen { id, version: version(ask, "version")? };
    let chosen: Vec<AlertId> = ask.form.all("alarm").filter_map(|id| id.parse().ok()).collect();
    let title = ask.form("titel").to_owned();
    let viewer = ask.viewer()?;
    let (actor, role, now, playbooks) = (viewer.user.to_string(), viewer.role, ask.now, ask.app.playbooks.clone());
    let made = ask.write(move |tx| incident_split(tx, &playbooks, from, &chosen, &title, &actor, role, now)).map_err(refused)?;
    let scope = ask.scope();
    let number = ask.app.db.read(|c| incident_get(c, &scope, made))?.map(|view| view.incident.number).ok_or(PageError::NotFound)?;
    ask.redirect(&format!("/vorfall/{number}"), "split")
}

pub(in crate::web) fn link_do(ask: &mut Ask) -> Reply {
    let (id, view) = find(ask)?;
    let (with, _) = named(ask, &ask.form("mit").trim().to_uppercase())?;
    let reason = ask.form("grund").trim().to_owned();
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.write(move |tx| incident_link(tx, id, with, &reason, &actor, role, now)).map_err(refused)?;
    ask.redirect(&format!("/vorfall/{}", view.incident.number), "linked")
}

pub(in crate::web) fn unlink_do(ask: &mut Ask) -> Reply {
    let (id, view) = find(ask)?;
    let (with, _) = named(ask, &ask.form("mit").trim().to_uppercase())?;
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.write(move |tx| incident_unlink(tx, id, with, &actor, role, now)).map_err(refused)?;
    ask.redirect(&format!("/vorfall/{}", view.incident.number), "unlinked")
}

#[cfg(test)]
mod tests;

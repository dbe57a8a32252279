//! Two cases that are one, one that is two, and alerts that belong to another case. Only among cases of the same owner: a
//! body's own, a site's own, the state's own. What hangs together across owners is linked (`link`), because a merge would show a
//! body what is another's, or take its case away from it into one that it must not see.
//!
//! What moves: alerts, what was typed in as observables, open tasks, and what later alerts find the case by. What stays: letters,
//! files, recommendations, duties and the history, because chains of custody, deadlines and mails name the case in which they
//! began; the case that took in leads there. The stricter label of both holds for both afterwards, so that nobody sees more than before.

use std::collections::{BTreeMap, BTreeSet};

use ingest::body::{BodyId, SiteId};
use ingest::db::DbError;
use ingest::history::{NewHistory, history_add};
use ingest::rusqlite::{Transaction, params};
use ingest::time::Timestamp;
use serde_json::{Value, json};

use super::change::{TITLE_CHARS_MAX, stale};
use super::intake::{INCIDENT_KEYS_MAX, INCIDENT_LEVEL_MIN, first_activity_event, incident_begin, keys, names, tell};
use super::statewide::{self, warning_suggest};
use super::store::{incident_find, incident_write, keys_add, number_next, search_update};
use super::{CaseError, Incident, IncidentId, Origin, State, Tlp, demand, line_clean, services_known, words};
use crate::alert::{Alert, AlertId, Observables, alerts_carry, alerts_find, alerts_of_case, observables_merge};
use crate::playbook::Playbooks;
use crate::recommendation::recommendation_propose;
use crate::role::{Action, Role};
use crate::rsit::Rsit;
use crate::rule::Level;
use crate::task;

/// Alerts that one split takes out: those that a page shows.
const SPLIT_MAX: usize = 500;

/// A case as somebody looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub id: IncidentId,
    pub version: i64,
}

/// Merges `from` into `into`. `from` is then closed for good, stays readable, and leads to `into`.
///
/// # Errors
/// `Stale` where either has changed; `Transition` where either is closed; `Invalid` for a case with itself or another owner's;
/// `Forbidden`, `NotFound`; the database's own.
pub fn incident_merge(tx: &Transaction<'_>, from: Seen, into: Seen, actor: &str, role: Role, now: Timestamp) -> Result<(), CaseError> {
    demand(Action::IncidentJoin, role)?;
    let (part, whole) = (seen(tx, from)?, seen(tx, into)?);
    may_merge(&part, &whole)?;
    let opened_at = opened_first(tx, part.id)?.min(opened_first(tx, whole.id)?);
    let alerts = alerts_of_case(tx, part.id)?;
    for (reason, group) in by_reason(&alerts) {
        alerts_carry(tx, &group, whole.id, &line_clean(&format!("Aus {} übernommen. {reason}", part.number), 500), actor, now)?;
    }
    let services = part.services.clone();
    let gain = Gain { tlp: part.tlp, severity: part.severity, services, first: part.first_activity, last: part.last_activity };
    let mut next = grow(tx, &whole, &gain, actor, now)?;
    observables_merge(&mut next.observables, part.observables.iter().map(|(field, values)| (field.as_str(), values.as_slice())));
    next.version += 1;
    let took = json!({ "version": next.version, "case": part.id, "number": part.number, "alerts": alerts.len(), "opened_at": opened_at.0 });
    tell(tx, &whole, ("incident.took_in", now), actor, took, now)?;
    // The label of the one that is left is the other's too: who must not know of that must not read here that it is there.
    let gone = grow(tx, &part, &Gain { tlp: next.tlp, severity: part.severity, services: vec![], ..gain }, actor, now)?;
    let gone = Incident {
        state: State::Closed,
        closed_at: Some(now),
        disposition: None,
        merged_into: Some(whole.id),
        version: gone.version + 1,
        ..gone
    };
    let merged = json!({ "version": gone.version, "from": part.state.as_str(), "to": "closed", "into": whole.id, "number": whole.number,
        "alerts": alerts.len(), "opened_at": opened_at.0 });
    tell(tx, &part, ("incident.merged", now), actor, merged, now)?;
    written(tx, &part, &gone)?;
    written(tx, &whole, &next)?;
    statewide::merged(tx, part.id, &whole, actor, now)?;
    task::tasks_move(tx, part.id, &whole, actor, now)?;
    let mut statement = tx.prepare_cached("SELECT key FROM incident_key WHERE incident = ?1 ORDER BY key")?;
    let known: Vec<String> = statement.query_map([part.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    keys_add(tx, whole.id, &known, INCIDENT_KEYS_MAX)?;
    Ok(search_update(tx, &next)?)
}

/// Whether these two may become one. Pure.
fn may_merge(part: &Incident, whole: &Incident) -> Result<(), CaseError> {
    if part.id == whole.id {
        return Err(CaseError::Invalid { what: "case", value: part.number.clone(), wanted: "two different cases" });
    }
    for case in [part, whole] {
        open(case, "merged")?;
    }
    if owner(part) != owner(whole) {
        return Err(CaseError::Invalid { what: "owner", value: part.number.clone(), wanted: "a case of the same body; others are linked" });
    }
    Ok(())
}

/// Takes alerts out of a case into a new one, which is otherwise like any that a rule opens.
///
/// # Errors
/// `Stale`, `Transition` where it is closed; `Invalid` for none, too many or all of its alerts; `NotFound` for an alert that is not
/// in it; `Forbidden`; the database's own.
#[expect(clippy::too_many_arguments, reason = "what to take out of what, and every change says who, as what and when")]
pub fn incident_split(
    tx: &Transaction<'_>,
    playbooks: &Playbooks,
    from: Seen,
    chosen: &[AlertId],
    title: &str,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<IncidentId, CaseError> {
    demand(Action::IncidentJoin, role)?;
    let case = seen(tx, from)?;
    open(&case, "split")?;
    let (taken, left): (Vec<Alert>, Vec<Alert>) = alerts_of_case(tx, case.id)?.into_iter().partition(|alert| chosen.contains(&alert.id));
    if let Some(missing) = chosen.iter().find(|id| taken.iter().all(|alert| alert.id != **id)) {
        return Err(CaseError::NotFound { noun: "alert", id: missing.to_string() });
    }
    let count = |wanted| CaseError::Invalid { what: "alerts", value: taken.len().to_string(), wanted };
    if taken.len() > SPLIT_MAX {
        return Err(count("at most 500 at once"));
    }
    // What people reported stands without alerts, too.
    if left.is_empty() && case.origin == Origin::Rule {
        return Err(count("not all of them: the case would be left without any"));
    }
    let gravest = taken.iter().max_by_key(|alert| alert.level).ok_or_else(|| count("at least one"))?;
    let made = split_off(tx, &case, gravest, &taken, title, now)?;
    incident_begin(tx, &made, actor, now)?;
    tell(tx, &made, ("incident.split_from", now), actor, json!({ "case": case.id, "number": case.number, "alerts": taken.len() }), now)?;
    for (reason, group) in by_reason(&taken) {
        alerts_carry(tx, &group, made.id, &line_clean(&format!("Aus {} herausgelöst. {reason}", case.number), 500), actor, now)?;
    }
    // Later alerts go where those like them went.
    let of = |alerts: &[Alert]| -> BTreeSet<String> {
        alerts.iter().flat_map(|alert| keys(&alert.entity, alert.site, &alert.observables)).collect()
    };
    let (wanted, kept) = (of(&taken), of(&left));
    let mut drop = tx.prepare_cached("DELETE FROM incident_key WHERE incident = ?1 AND key = ?2")?;
    for key in wanted.difference(&kept) {
        drop.execute(params![case.id, key])?;
    }
    keys_add(tx, made.id, &wanted.into_iter().collect::<Vec<_>>(), INCIDENT_KEYS_MAX)?;
    if made.is_state_wide() {
        statewide::bodies_copy(tx, case.id, made.id)?;
        warning_suggest(tx, made.id, now, now)?;
    } else if let Some(playbook) = playbooks.choose(&gravest.rule_name, gravest.playbook.as_deref(), &gravest.rsit) {
        recommendation_propose(tx, made.id, made.body, playbook, now, now)?;
    }
    let next = Incident { version: case.version + 1, ..case.clone() };
    let split = json!({ "version": next.version, "case": made.id, "number": made.number, "alerts": taken.len() });
    tell(tx, &case, ("incident.split", now), actor, split, now)?;
    written(tx, &case, &next)?;
    search_update(tx, &next)?;
    search_update(tx, &made)?;
    Ok(made.id)
}

/// The new case, of what was taken out. Its label is that of the old one.
fn split_off(
    tx: &Transaction<'_>,
    case: &Incident,
    gravest: &Alert,
    taken: &[Alert],
    title: &str,
    now: Timestamp,
) -> Result<Incident, CaseError> {
    let (body_name, site_name) = names(tx, case.body, Some(gravest.site))?;
    let place = words::place(body_name.as_deref(), Some(gravest.site), site_name.as_deref());
    let given = line_clean(title, TITLE_CHARS_MAX);
    let times = |pick: fn(&Alert) -> Timestamp| taken.iter().map(pick);
    Ok(Incident {
        id: IncidentId::new(now),
        number: number_next(tx, words::year(now))?,
        title: if given.is_empty() { words::title(&gravest.title, &gravest.entity, &place) } else { given },
        state: State::New,
        severity: gravest.level.max(INCIDENT_LEVEL_MIN),
        rsit: gravest.rsit.parse().unwrap_or(Rsit::UNDETERMINED),
        tlp: case.tlp,
        origin: Origin::Rule,
        body: case.body,
        body_name,
        site: Some(gravest.site),
        site_name,
        assignee: None,
        summary: None,
        observables: Observables::new(),
        first_activity: times(|alert| alert.first).min().unwrap_or(now),
        last_activity: times(|alert| alert.last).max().unwrap_or(now),
        detected_at: times(|alert| alert.detected_at).min().unwrap_or(now),
        opened_at: now,
        closed_at: None,
        disposition: None,
        merged_into: None,
        services: case.services.clone(),
        version: 1,
        alerts: 0,
        events: 0,
    })
}

/// Why an alert did not go into the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotJoined {
    Missing,
    /// It stands there already.
    Already,
    /// Another body's, or another site's that has none.
    OtherOwner,
    /// The case that it stands in is closed, and so history.
    CaseClosed,
    /// Its case would be left without any: those two are to be merged.
    Last,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertsJoined {
    pub done: usize,
    pub refused: BTreeMap<NotJoined, usize>,
}

/// Puts alerts into an open case, out of those that they stand in. Nothing is overwritten by it, as by a rule's own alert, so the
/// case's version is not compared.
///
/// # Errors
/// `Transition` where the case is closed; `Forbidden`, `NotFound`; the database's own.
pub fn alerts_join(
    tx: &Transaction<'_>,
    into: IncidentId,
    ids: &[AlertId],
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<AlertsJoined, CaseError> {
    demand(Action::IncidentJoin, role)?;
    let case = find(tx, into)?;
    open(&case, "joined")?;
    let mut outcome = AlertsJoined::default();
    let mut refuse = |why: NotJoined, n: usize| *outcome.refused.entry(why).or_default() += n;
    let found = alerts_find(tx, ids)?;
    if found.len() < ids.len() {
        refuse(NotJoined::Missing, ids.len() - found.len());
    }
    let mut by_case: BTreeMap<Option<IncidentId>, Vec<Alert>> = BTreeMap::new();
    for alert in found {
        if alert.incident == Some(into) {
            refuse(NotJoined::Already, 1);
        } else if owner_of(alert.body, Some(alert.site)) != owner(&case) {
            refuse(NotJoined::OtherOwner, 1);
        } else {
            by_case.entry(alert.incident).or_default().push(alert);
        }
    }
    let mut gain = Gain { tlp: case.tlp, severity: case.severity, services: vec![], first: case.first_activity, last: case.last_activity };
    let mut moved: Vec<Alert> = Vec::new();
    for (source, alerts) in by_case {
        if let Some(source) = source.map(|id| find(tx, id)).transpose()? {
            let all: i64 = tx.prepare_cached("SELECT COUNT(*) FROM alert WHERE incident = ?1")?.query_row([source.id], |row| row.get(0))?;
            if source.state == State::Closed {
                refuse(NotJoined::CaseClosed, alerts.len());
                continue;
            }
            if source.origin == Origin::Rule && usize::try_from(all).unwrap_or(0) <= alerts.len() {
                refuse(NotJoined::Last, alerts.len());
                continue;
            }
            gain.tlp = gain.tlp.max(source.tlp);
            let next = Incident { version: source.version + 1, ..source.clone() };
            let data = json!({ "version": next.version, "case": case.id, "number": case.number, "alerts": alerts.len() });
            tell(tx, &source, ("incident.split", now), actor, data, now)?;
            written(tx, &source, &next)?;
        }
        moved.extend(alerts);
    }
    outcome.done = moved.len();
    if moved.is_empty() {
        return Ok(outcome);
    }
    for alert in &moved {
        gain.severity = gain.severity.max(alert.level);
        gain.first = gain.first.min(alert.first);
        gain.last = gain.last.max(alert.last);
        let joined = json!({ "alert": alert.id, "rule": alert.rule_name, "from": alert.incident });
        tell(tx, &case, ("incident.alert_joined", now), actor, joined, now)?;
        keys_add(tx, case.id, &keys(&alert.entity, alert.site, &alert.observables), INCIDENT_KEYS_MAX)?;
    }
    alerts_carry(tx, &moved, case.id, "Von Hand zugeordnet.", actor, now)?;
    let next = grow(tx, &case, &gain, actor, now)?;
    written(tx, &case, &next)?;
    search_update(tx, &next)?;
    Ok(outcome)
}

/// What a case gets by taking in: the stricter label, the greater severity, the wider time.
struct Gain {
    tlp: Tlp,
    severity: Level,
    /// Base services beside its own.
    services: Vec<String>,
    first: Timestamp,
    last: Timestamp,
}

/// The case after it took in, each decision told as if a person had made it; the caller writes it.
fn grow(tx: &Transaction<'_>, case: &Incident, gain: &Gain, actor: &str, now: Timestamp) -> Result<Incident, DbError> {
    let mut next = case.clone();
    next.tlp = case.tlp.max(gain.tlp);
    next.severity = case.severity.max(gain.severity);
    next.services = services_known(case.services.iter().chain(&gain.services).map(String::as_str));
    next.last_activity = case.last_activity.max(gain.last);
    let decisions: [(&'static str, Value, Value); 3] = [
        ("incident.services", json!(case.services), json!(next.services)),
        ("incident.labelled", case.tlp.as_str().into(), next.tlp.as_str().into()),
        ("incident.severity", case.severity.as_str().into(), next.severity.as_str().into()),
    ];
    for (kind, from, to) in decisions.into_iter().filter(|(_, from, to)| from != to) {
        next.version += 1;
        tell(tx, case, (kind, now), actor, json!({ "version": next.version, "from": from, "to": to }), now)?;
    }
    if gain.first < case.first_activity {
        next.first_activity = gain.first;
        let event = NewHistory {
            event_time: gain.first,
            kind: "incident.first_activity",
            subject: case.id.to_string(),
            body: case.body,
            actor: actor.to_owned(),
            data: json!({}),
            corrects: first_activity_event(tx, case.id)?,
        };
        history_add(tx, now, &event)?;
    }
    Ok(next)
}

/// When the earliest of a case and of all that was merged into it was opened: from there its times count (`advisory::kpi`).
fn opened_first(tx: &Transaction<'_>, id: IncidentId) -> Result<Timestamp, DbError> {
    let mut statement = tx.prepare_cached(
        "WITH RECURSIVE part (id, opened_at) AS (
            SELECT id, opened_at FROM incident WHERE id = ?1
            UNION ALL SELECT i.id, i.opened_at FROM incident i JOIN part ON i.merged_into = part.id
         ) SELECT MIN(opened_at) FROM part",
    )?;
    Ok(Timestamp(statement.query_row([id], |row| row.get(0))?))
}

/// Who a case belongs to: a body, else a site (the state's among them).
fn owner(case: &Incident) -> (Option<BodyId>, Option<SiteId>) {
    owner_of(case.body, case.site)
}

fn owner_of(body: Option<BodyId>, site: Option<SiteId>) -> (Option<BodyId>, Option<SiteId>) {
    (body, site.filter(|_| body.is_none()))
}

fn by_reason(alerts: &[Alert]) -> BTreeMap<String, Vec<Alert>> {
    let mut groups: BTreeMap<String, Vec<Alert>> = BTreeMap::new();
    for alert in alerts {
        groups.entry(alert.grouped.clone()).or_default().push(alert.clone());
    }
    groups
}

fn open(case: &Incident, to: &'static str) -> Result<(), CaseError> {
    match case.state {
        State::Closed => Err(CaseError::Transition { from: State::Closed.as_str(), to }),
        _ => Ok(()),
    }
}

fn find(tx: &Transaction<'_>, id: IncidentId) -> Result<Incident, CaseError> {
    incident_find(tx, id)?.ok_or_else(|| CaseError::NotFound { noun: "incident", id: id.to_string() })
}

fn seen(tx: &Transaction<'_>, seen: Seen) -> Result<Incident, CaseError> {
    let case = find(tx, seen.id)?;
    if case.version == seen.version { Ok(case) } else { Err(stale(tx, &case, seen.version)?) }
}

fn written(tx: &Transaction<'_>, before: &Incident, next: &Incident) -> Result<(), CaseError> {
    if incident_write(tx, next, before.version)? { Ok(()) } else { Err(stale(tx, before, before.version)?) }
}

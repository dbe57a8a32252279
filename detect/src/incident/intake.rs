//! How an incident comes to be: a finding becomes an alert, an alert joins a case or opens one; or a person reports
//! it. Everything happens in the caller's transaction, so that it happens once.

use std::net::IpAddr;

use ingest::body::{BodyId, SITE_STATE, SiteId};
use ingest::db::DbError;
use ingest::history::{HistoryId, NewHistory, history_add, history_of};
use ingest::rusqlite::{OptionalExtension, Transaction};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde_json::{Value, json};

use super::change::{TEXT_CHARS_MAX, TITLE_CHARS_MAX, filled};
use super::statewide::{bodies_add, warning_suggest};
use super::store::{incident_find, incident_insert, incident_near, incident_write, keys_add, number_next, search_update};
use super::words::{self, BECAUSE_OPENED, BECAUSE_OPENED_STATE};
use super::{CaseError, GROUP_WINDOW, Incident, IncidentId, Origin, State, Tlp, demand, services_known};
use crate::alert::{Alert, AlertId, Applied, Observables, alert_apply, alert_tie, observables_merge};
use crate::finding::Finding;
use crate::playbook::Playbooks;
use crate::recommendation::recommendation_propose;
use crate::role::{Action, Role};
use crate::rsit::Rsit;
use crate::rule::Level;

/// Alerts below this level wait in the alert list: they tell of something, they do not call for somebody.
pub(super) const INCIDENT_LEVEL_MIN: Level = Level::Low;
/// Keys that one alert looks for a case by, and that one case is found by. A scan names thousands of addresses.
const ALERT_KEYS_MAX: usize = 64;
pub(super) const INCIDENT_KEYS_MAX: usize = 1_000;

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filed {
    /// A new alert that opened a new incident.
    Opened { alert: AlertId, incident: IncidentId },
    /// A new alert of an open incident.
    Joined { alert: AlertId, incident: IncidentId },
    /// A new alert that calls for nobody (informational).
    Waiting { alert: AlertId },
    /// An alert that was there, with new records.
    Extended { alert: AlertId },
    /// Nothing new.
    Known { alert: AlertId },
}

/// Files a finding: alert, incident, proposed recommendation. The same finding again changes nothing.
///
/// # Errors
/// The database's own.
pub fn finding_file(tx: &Transaction<'_>, playbooks: &Playbooks, finding: &Finding, now: Timestamp) -> Result<Filed, DbError> {
    let alert = match alert_apply(tx, finding, now)? {
        Applied::Known(alert) => return Ok(Filed::Known { alert: alert.id }),
        Applied::Extended(alert) => {
            if let Some(id) = alert.incident {
                incident_touch(tx, id, &alert, finding, now)?;
            }
            return Ok(Filed::Extended { alert: alert.id });
        }
        Applied::Opened(alert) if alert.level < INCIDENT_LEVEL_MIN => return Ok(Filed::Waiting { alert: alert.id }),
        Applied::Opened(alert) => alert,
    };
    let keys = keys(&alert.entity, alert.site, &alert.observables);
    let window = (alert.first.plus(-GROUP_WINDOW), alert.last.plus(GROUP_WINDOW));
    let mut near = None;
    for key in &keys {
        if let Some(id) = incident_near(tx, key, (alert.body, alert.site), window)? {
            near = Some((id, key));
            break;
        }
    }
    let (incident, because, filed) = match near {
        Some((id, key)) => {
            let because = incident_join(tx, id, &alert, key, now)?;
            (id, because, Filed::Joined { alert: alert.id, incident: id })
        }
        None => {
            let id = incident_open_rule(tx, &alert, now)?;
            let because = if alert.site == SITE_STATE { BECAUSE_OPENED_STATE } else { BECAUSE_OPENED };
            (id, because.to_owned(), Filed::Opened { alert: alert.id, incident: id })
        }
    };
    alert_tie(tx, &alert, incident, &because)?;
    bodies_add(tx, incident, &alert, &finding.shares, now)?;
    if keys_add(tx, incident, &keys, INCIDENT_KEYS_MAX)?
        && let Some(incident) = incident_find(tx, incident)?
    {
        search_update(tx, &incident)?;
    }
    // Nobody could be asked to contain what is the state's: there the suggested warning is the way.
    if alert.site != SITE_STATE
        && let Some(playbook) = playbooks.choose(&alert.rule_name, alert.playbook.as_deref(), &alert.rsit)
    {
        recommendation_propose(tx, incident, alert.body, playbook, alert.detected_at, now)?;
    }
    Ok(filed)
}

/// By what a case is found again: the entity first, then hosts and addresses.
pub(super) fn keys(entity: &str, site: SiteId, observables: &Observables) -> Vec<String> {
    if site == SITE_STATE {
        // Only what the bodies have in common: their machines bear the same names and inner addresses as others' do.
        let address = entity.strip_prefix("indicator:").and_then(|value| value.parse::<IpAddr>().ok());
        return [Some(entity.to_owned()), address.map(|address| format!("ip:{address}"))].into_iter().flatten().collect();
    }
    let mut keys = vec![if entity == "site" { format!("site:{site}") } else { entity.to_owned() }];
    let hosts = observables.get("host.name").into_iter().flatten().map(|name| format!("host:{}", name.to_lowercase()));
    let addresses = ["source.ip", "destination.ip", "host.ip"].into_iter().filter_map(|field| observables.get(field)).flatten();
    let addresses = addresses.filter_map(|text| text.parse::<IpAddr>().ok()).filter(tells_apart).map(|address| format!("ip:{address}"));
    for key in hosts.chain(addresses) {
        if keys.len() < ALERT_KEYS_MAX && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// Everybody has a loopback and shouts to the same broadcast address: those tie nothing together.
fn tells_apart(address: &IpAddr) -> bool {
    let everybody = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(everybody || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

fn incident_open_rule(tx: &Transaction<'_>, alert: &Alert, now: Timestamp) -> Result<IncidentId, DbError> {
    let (body_name, site_name) = names(tx, alert.body, Some(alert.site))?;
    let place = words::place(body_name.as_deref(), Some(alert.site), site_name.as_deref());
    let rsit = alert.rsit.parse().unwrap_or_else(|_| {
        tracing::warn!(rule = alert.rule_name, rsit = alert.rsit, "rule has no RSIT class: its incident is undetermined");
        Rsit::UNDETERMINED
    });
    let incident = Incident {
        id: IncidentId::new(alert.detected_at),
        number: number_next(tx, words::year(alert.detected_at))?,
        title: words::title(&alert.title, &alert.entity, &place),
        state: State::New,
        severity: alert.level.max(INCIDENT_LEVEL_MIN),
        rsit,
        tlp: Tlp::default(),
        origin: Origin::Rule,
        body: alert.body,
        body_name,
        site: Some(alert.site),
        site_name,
        assignee: None,
        summary: None,
        observables: Observables::new(),
        first_activity: alert.first,
        last_activity: alert.last,
        detected_at: alert.detected_at,
        opened_at: alert.detected_at,
        closed_at: None,
        disposition: None,
        services: vec![],
        merged_into: None,
        version: 1,
        alerts: 0,
        events: 0,
    };
    incident_begin(tx, &incident, &actor(alert), now)?;
    if incident.is_state_wide() {
        warning_suggest(tx, incident.id, incident.opened_at, now)?;
    }
    Ok(incident.id)
}

/// Stores a new case and tells its beginning: first activity, when we knew, when it was opened.
pub(super) fn incident_begin(tx: &Transaction<'_>, incident: &Incident, actor: &str, now: Timestamp) -> Result<(), DbError> {
    incident_insert(tx, incident)?;
    let opened = json!({
        "version": incident.version, "number": incident.number, "title": incident.title, "severity": incident.severity.as_str(),
        "rsit": incident.rsit.to_string(), "tlp": incident.tlp.as_str(), "origin": incident.origin.as_str(), "site": incident.site,
        "services": incident.services,
    });
    tell(tx, incident, ("incident.first_activity", incident.first_activity), actor, json!({}), now)?;
    tell(tx, incident, ("incident.aware", incident.detected_at), actor, json!({ "origin": incident.origin.as_str() }), now)?;
    tell(tx, incident, ("incident.opened", incident.opened_at), actor, opened, now)
}

/// Takes a new alert into a case. The severity follows the worst alert; while nobody has looked at the case, title
/// and class follow it too: "account taken over" must not stand in the queue as "login attempts".
fn incident_join(tx: &Transaction<'_>, id: IncidentId, alert: &Alert, key: &str, now: Timestamp) -> Result<String, DbError> {
    let Some(incident) = incident_find(tx, id)? else { return Ok(String::new()) };
    let because = words::because_joined(key, &incident);
    let actor = actor(alert);
    let mut next = incident.clone();
    let joined = json!({ "alert": alert.id, "rule": alert.rule_name, "because": because });
    tell(tx, &incident, ("incident.alert_joined", alert.detected_at), &actor, joined, now)?;
    let mut decisions: Vec<(&'static str, Value, Value)> = Vec::new();
    if alert.level > incident.severity {
        next.severity = alert.level;
        decisions.push(("incident.severity", incident.severity.as_str().into(), next.severity.as_str().into()));
        if incident.state == State::New {
            let place = words::place(incident.body_name.as_deref(), incident.site, incident.site_name.as_deref());
            next.title = words::title(&alert.title, &alert.entity, &place);
            next.rsit = alert.rsit.parse().unwrap_or(incident.rsit);
            decisions.push(("incident.titled", json!(incident.title), json!(next.title)));
            decisions.push(("incident.classified", incident.rsit.to_string().into(), next.rsit.to_string().into()));
        }
    }
    for (kind, from, to) in decisions.into_iter().filter(|(_, from, to)| from != to) {
        next.version += 1;
        let data = json!({ "version": next.version, "from": from, "to": to });
        tell(tx, &incident, (kind, alert.detected_at), &actor, data, now)?;
    }
    stretch(tx, &incident, &mut next, alert, now)?;
    incident_write(tx, &next, incident.version)?;
    Ok(because)
}

/// Brings a case up to date with an alert that got new records. A closed one stays as it was closed.
fn incident_touch(tx: &Transaction<'_>, id: IncidentId, alert: &Alert, finding: &Finding, now: Timestamp) -> Result<(), DbError> {
    let Some(incident) = incident_find(tx, id)?.filter(|incident| incident.state != State::Closed) else { return Ok(()) };
    let mut next = incident.clone();
    stretch(tx, &incident, &mut next, alert, now)?;
    if next != incident {
        incident_write(tx, &next, incident.version)?;
    }
    bodies_add(tx, id, alert, &finding.shares, now)?;
    if keys_add(tx, id, &keys(&alert.entity, alert.site, &alert.observables), INCIDENT_KEYS_MAX)? {
        search_update(tx, &next)?;
    }
    Ok(())
}

/// Widens the time of activity; an earlier beginning corrects the recorded one.
fn stretch(tx: &Transaction<'_>, incident: &Incident, next: &mut Incident, alert: &Alert, now: Timestamp) -> Result<(), DbError> {
    next.last_activity = incident.last_activity.max(alert.last);
    if alert.first < incident.first_activity {
        next.first_activity = alert.first;
        let event = NewHistory {
            event_time: alert.first,
            kind: "incident.first_activity",
            subject: incident.id.to_string(),
            body: incident.body,
            actor: actor(alert),
            data: json!({ "alert": alert.id }),
            corrects: first_activity_event(tx, incident.id)?,
        };
        history_add(tx, now, &event)?;
    }
    Ok(())
}

/// The newest `incident.first_activity` of a case: the one that nothing corrects.
pub(super) fn first_activity_event(tx: &Transaction<'_>, id: IncidentId) -> Result<Option<HistoryId>, DbError> {
    let mut events = history_of(tx, &id.to_string())?;
    events.retain(|event| event.kind == "incident.first_activity");
    let corrected: Vec<HistoryId> = events.iter().filter_map(|event| event.corrects).collect();
    Ok(events.iter().map(|event| event.id).find(|id| !corrected.contains(id)))
}

pub(super) fn tell(
    tx: &Transaction<'_>,
    incident: &Incident,
    (kind, event_time): (&'static str, Timestamp),
    actor: &str,
    data: Value,
    now: Timestamp,
) -> Result<(), DbError> {
    let event = NewHistory {
        event_time,
        kind,
        subject: incident.id.to_string(),
        body: incident.body,
        actor: actor.to_owned(),
        data,
        corrects: None,
    };
    history_add(tx, now, &event).map(|_| ())
}

fn actor(alert: &Alert) -> String {
    format!("rule:{}", alert.rule)
}

pub(super) fn names(tx: &Transaction<'_>, body: Option<BodyId>, site: Option<SiteId>) -> Result<(Option<String>, Option<String>), DbError> {
    let body = tx.prepare_cached("SELECT name FROM body WHERE id = ?1")?.query_row([body], |row| row.get(0)).optional()?;
    let site = tx.prepare_cached("SELECT name FROM site WHERE id = ?1")?.query_row([site], |row| row.get(0)).optional()?;
    Ok((body, site))
}

/// What a person reports: a call that an analyst types in, or a body's own report.
#[derive(Clone, Debug)]
pub struct NewIncident {
    pub title: String,
    /// "Was geschah", in the reporter's words.
    pub summary: String,
    pub severity: Level,
    pub rsit: Rsit,
    pub tlp: Tlp,
    /// Keys of `SERVICES`; what is none is left out.
    pub services: Vec<String>,
    pub origin: Origin,
    pub body: Option<BodyId>,
    pub site: Option<SiteId>,
    /// When it began, as far as known.
    pub first_activity: Option<Timestamp>,
    /// When the report reached us: not after `now`.
    pub aware_at: Timestamp,
    /// Field name (`source.ip`) to values, so that later alerts join this case.
    pub observables: Observables,
}

/// Opens a case by hand. A body's people may only report for the bodies of their `scope`.
///
/// # Errors
/// `Forbidden`, `NotFound` for a foreign or unknown body, `Invalid`; the database's own.
pub fn incident_open_manual(
    tx: &Transaction<'_>,
    scope: &Scope,
    new: &NewIncident,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<IncidentId, CaseError> {
    let reported = crate::role::allowed(Action::IncidentReport, role);
    demand(if reported { Action::IncidentReport } else { Action::IncidentOpen }, role)?;
    let (body_name, site_name) = names(tx, new.body, new.site)?;
    let foreign = !scope.body_allowed(new.body) || (new.body.is_some() && body_name.is_none());
    if foreign {
        let id = new.body.map(|body| body.to_string()).unwrap_or_default();
        return Err(CaseError::NotFound { noun: "body", id });
    }
    let first_activity = new.first_activity.unwrap_or(new.aware_at);
    if new.aware_at > now || first_activity > new.aware_at {
        let value = new.aware_at.max(first_activity).to_string();
        return Err(CaseError::Invalid { what: "time", value, wanted: "first activity, then the report, then now" });
    }
    if new.origin == Origin::Rule {
        return Err(CaseError::Invalid { what: "origin", value: "rule".into(), wanted: "people report by phone, mail or form" });
    }
    let mut observables = Observables::new();
    observables_merge(&mut observables, new.observables.iter().map(|(field, values)| (field.as_str(), values.as_slice())));
    let incident = Incident {
        id: IncidentId::new(now),
        title: filled("title", &new.title.replace('\n', " "), TITLE_CHARS_MAX)?,
        summary: Some(filled("summary", &new.summary, TEXT_CHARS_MAX)?),
        number: number_next(tx, words::year(now))?,
        state: State::New,
        severity: new.severity.max(Level::Low),
        rsit: new.rsit,
        tlp: new.tlp,
        origin: if reported { Origin::SelfReport } else { new.origin },
        body: new.body,
        body_name,
        site: new.site,
        site_name,
        assignee: None,
        first_activity,
        last_activity: new.aware_at,
        detected_at: new.aware_at,
        opened_at: now,
        closed_at: None,
        disposition: None,
        services: services_known(new.services.iter().map(String::as_str)),
        merged_into: None,
        version: 1,
        alerts: 0,
        events: 0,
        observables,
    };
    incident_begin(tx, &incident, actor, now)?;
    let keys = keys("site", new.site.unwrap_or_default(), &incident.observables);
    // Without the entity of a rule there is no first key: a report about a whole site must not swallow its alerts.
    keys_add(tx, incident.id, keys.get(1..).unwrap_or_default(), INCIDENT_KEYS_MAX)?;
    search_update(tx, &incident)?;
    Ok(incident.id)
}

//! An incident as one flat JSON object: what `wartburg incidents --json` prints. Names are stable.

use ingest::db::DbError;
use ingest::rusqlite::Connection;
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde::Serialize;

use super::statewide::affected;
use super::{Incident, IncidentFilter, IncidentId, incident_list};
use crate::alert::{Alert, AlertFilter, Observables, alert_list, observables_merge};

/// Entities that a query names; a case of more is better searched by its site and time.
const QUERY_ENTITIES_MAX: usize = 10;

/// One case, flat; times as RFC 3339 in UTC, observables under their ECS names.
#[derive(Clone, Debug, Serialize)]
pub struct IncidentJson {
    pub id: IncidentId,
    pub number: String,
    pub title: String,
    pub severity: &'static str,
    pub state: &'static str,
    pub rsit: String,
    pub tlp: &'static str,
    /// The base services that it concerns, by their keys.
    pub services: Vec<String>,
    pub body: Option<String>,
    pub site: Option<String>,
    /// Of a case of the state: the bodies that it concerns, in the order in which it reached them.
    pub bodies: Vec<String>,
    /// The short names of the rules that spoke.
    pub rules: Vec<String>,
    #[serde(rename = "source.ip")]
    pub source_ip: Vec<String>,
    #[serde(rename = "destination.ip")]
    pub destination_ip: Vec<String>,
    #[serde(rename = "host.name")]
    pub host_name: Vec<String>,
    #[serde(rename = "user.name")]
    pub user_name: Vec<String>,
    pub first_activity: String,
    pub last_activity: String,
    pub detected_at: String,
    pub opened_at: String,
    pub closed_at: Option<String>,
    pub alerts: u64,
    pub events: u64,
    /// Finds the records behind it: `source.ip:203.0.113.9 AND site:rathaus-a`.
    pub evidence_query: String,
}

/// The cases that `filter` finds, as `incident_list` orders them.
///
/// # Errors
/// The database's own.
pub fn incident_json(connection: &Connection, filter: &IncidentFilter) -> Result<Vec<IncidentJson>, DbError> {
    let list = incident_list(connection, filter)?;
    list.into_iter()
        .map(|incident| {
            let alerts = alert_list(connection, &AlertFilter { incident: Some(incident.id), ..AlertFilter::new(Scope::All) })?;
            let bodies = affected(connection, &filter.scope, &incident)?.into_iter().map(|body| body.name).collect();
            Ok(flat(incident, &alerts, bodies))
        })
        .collect()
}

fn flat(incident: Incident, alerts: &[Alert], bodies: Vec<String>) -> IncidentJson {
    let mut observables = incident.observables.clone();
    for alert in alerts.iter().rev() {
        observables_merge(&mut observables, alert.observables.iter().map(|(field, values)| (field.as_str(), values.as_slice())));
    }
    let values = |field: &str| observables.get(field).cloned().unwrap_or_default();
    let time = Timestamp::rfc3339;
    IncidentJson {
        id: incident.id,
        severity: incident.severity.as_str(),
        state: incident.state.as_str(),
        rsit: incident.rsit.to_string(),
        tlp: incident.tlp.as_str(),
        services: incident.services.clone(),
        rules: distinct(alerts.iter().rev().map(|alert| alert.rule_name.clone())),
        source_ip: values("source.ip"),
        destination_ip: values("destination.ip"),
        host_name: values("host.name"),
        user_name: values("user.name"),
        first_activity: time(incident.first_activity),
        last_activity: time(incident.last_activity),
        detected_at: time(incident.detected_at),
        opened_at: time(incident.opened_at),
        closed_at: incident.closed_at.map(time),
        alerts: incident.alerts,
        events: incident.events,
        evidence_query: evidence_query(&incident, alerts, &observables),
        number: incident.number,
        title: incident.title,
        body: incident.body_name,
        site: incident.site_name,
        bodies,
    }
}

/// A search that finds the records of a case: its entities under the fields where they were seen, at its sites.
pub(crate) fn evidence_query(incident: &Incident, alerts: &[Alert], observables: &Observables) -> String {
    let entities = distinct(alerts.iter().rev().filter_map(|alert| entity_term(&alert.entity, observables)));
    let sites = distinct(alerts.iter().rev().filter_map(|alert| alert.site_name.clone()).chain(incident.site_name.clone()));
    let sites = sites.into_iter().map(|site| format!("site:{}", word(&site)));
    let parts = [any(entities.into_iter().take(QUERY_ENTITIES_MAX).collect()), any(sites.collect())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" AND ")
}

fn entity_term(key: &str, observables: &Observables) -> Option<String> {
    let (kind, value) = key.split_once(':')?;
    let fields: &[&'static str] = match kind {
        "ip" => &["source.ip", "destination.ip", "host.ip"],
        "host" => &["host.name"],
        "user" => &["user.name", "user.target.name", "source.user.name"],
        "indicator" => &["destination.ip", "dns.question.name", "url.domain", "file.hash.sha256", "email.from.address"],
        _ => return None,
    };
    // The value as the records have it: the key is lower case, the logs may not be.
    let seen = |field: &&'static str| {
        let found = observables.get(*field)?.iter().find(|known| known.to_lowercase() == value)?;
        Some((*field, found.as_str()))
    };
    let (field, value) = fields.iter().find_map(seen).or_else(|| fields.first().map(|field| (*field, value)))?;
    Some(format!("{field}:{}", word(value)))
}

/// A value as the query language takes it: bare where it is plain, else quoted.
fn word(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let bare = value.starts_with(|c: char| c.is_ascii_alphanumeric()) && value.chars().all(plain);
    if bare { value.to_owned() } else { format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")) }
}

fn any(terms: Vec<String>) -> Option<String> {
    match terms.as_slice() {
        [] => None,
        [term] => Some(term.clone()),
        terms => Some(format!("({})", terms.join(" OR "))),
    }
}

fn distinct(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for value in values {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_become_terms_of_the_field_they_were_seen_in() {
        let observables: Observables =
            [("destination.ip".to_owned(), vec!["192.0.2.7".to_owned()]), ("host.name".to_owned(), vec!["WEB01".to_owned()])].into();
        for (key, expected) in [
            ("ip:203.0.113.9", "source.ip:203.0.113.9"),
            ("ip:192.0.2.7", "destination.ip:192.0.2.7"),
            ("ip:2001:db8::1", "source.ip:\"2001:db8::1\""),
            ("host:web01", "host.name:WEB01"),
            ("user:a\"b", "user.name:\"a\\\"b\""),
        ] {
            assert_eq!(entity_term(key, &observables).unwrap(), expected);
        }
        assert_eq!(entity_term("site", &observables), None);
    }
}

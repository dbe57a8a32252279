//! Events of MISP as reports: each address (or, without one, each name) of an event is a row, with the event's class,
//! label and organisation. What an event says of files and texts goes along with them.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use ingest::time::Timestamp;
use serde_json::Value;

use super::{Row, Taking, Why, host, kept, level, moment};
use crate::incident::Tlp;
use crate::rsit::Rsit;

/// Values of an event that go along with each of its rows.
const BESIDE_MAX: usize = 20;

pub(super) fn looks_so(document: &Value) -> bool {
    events(document).next().is_some()
}

fn events(document: &Value) -> impl Iterator<Item = &Value> {
    let list = document.as_array().or_else(|| document.get("response").and_then(Value::as_array));
    let single = std::slice::from_ref(document);
    list.map_or(single, Vec::as_slice).iter().filter_map(|one| one.get("Event")).filter(|event| event.is_object())
}

pub(super) fn read(taking: &mut Taking<'_>, document: &Value) {
    for event in events(document) {
        read_event(taking, event);
    }
}

fn text<'v>(of: &'v Value, key: &str) -> &'v str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn tags(of: &Value) -> impl Iterator<Item = &str> {
    of.get("Tag").and_then(Value::as_array).into_iter().flatten().filter_map(|tag| tag.get("name").and_then(Value::as_str))
}

/// Seconds since 1970 as MISP writes them, as a text or a number.
fn seconds(of: &Value, key: &str) -> Option<Timestamp> {
    let value = of.get(key)?;
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
    (number > 0).then(|| Timestamp(number.saturating_mul(1_000)))
}

fn read_event(taking: &mut Taking<'_>, event: &Value) {
    let id = text(event, "uuid").to_owned();
    if id.is_empty() {
        return taking.fault("", "uuid", "", Why::Missing);
    }
    let Some(day) = taking.time(&id, "date", text(event, "date")) else { return };
    let rsit = tags(event).find_map(class).unwrap_or(Rsit::UNDETERMINED);
    let source = event.get("Orgc").map(|of| text(of, "name")).and_then(kept).unwrap_or_else(|| "MISP".into());
    let info = kept(text(event, "info")).unwrap_or_else(|| id.clone());
    let own = event.get("Attribute").and_then(Value::as_array).into_iter().flatten();
    let objects = event.get("Object").and_then(Value::as_array).into_iter().flatten();
    let inner = objects.filter_map(|object| object.get("Attribute").and_then(Value::as_array)).flatten();
    let attributes: Vec<&Value> = own.chain(inner).filter(|one| one.get("deleted").and_then(Value::as_bool) != Some(true)).collect();
    // What an attribute says goes along with the rows of others: all are as closed as the most closed of them.
    let labels = tags(event).chain(attributes.iter().flat_map(|attribute| tags(attribute))).filter_map(label);
    let tlp = labels.max().unwrap_or_default().max(Tlp::default());
    let mut beside: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut found: Vec<(Option<IpAddr>, Option<String>, Timestamp)> = Vec::new();
    let mut seen = HashSet::new();
    for attribute in attributes {
        let (kind, value) = (text(attribute, "type"), text(attribute, "value"));
        // `ip-dst|port` and the like: the first part is what the second belongs to.
        let value = if kind.contains('|') { value.split('|').next().unwrap_or_default() } else { value };
        let at = ["first_seen", "last_seen"].iter().find_map(|key| moment(text(attribute, key)));
        let at = at.or_else(|| seconds(attribute, "timestamp")).unwrap_or(day);
        match kind.split('|').next().unwrap_or_default() {
            "ip-src" | "ip-dst" => match value.parse::<IpAddr>() {
                Ok(address) if seen.insert(value.to_owned()) => found.push((Some(address.to_canonical()), None, at)),
                Ok(_) => {}
                // Nets are indicators, not machines that something was seen of.
                Err(_) if value.contains('/') => {}
                Err(_) => taking.fault(text(attribute, "uuid"), kind, value, Why::NotAnAddress),
            },
            "target-machine" | "hostname" => match value.parse::<IpAddr>() {
                Ok(address) if seen.insert(value.to_owned()) => found.push((Some(address.to_canonical()), None, at)),
                Ok(_) => {}
                Err(_) => found.extend(host(value).filter(|name| seen.insert(name.clone())).map(|name| (None, Some(name), at))),
            },
            "domain" | "url" | "md5" | "sha1" | "sha256" => {
                let values = beside.entry("threat.indicator.name").or_default();
                if values.len() < BESIDE_MAX {
                    values.extend(kept(value));
                }
            }
            _ => {}
        }
    }
    // Names only where there is no address: an event about a machine has both, and it is one machine.
    if found.iter().any(|(address, ..)| address.is_some()) {
        found.retain(|(address, ..)| address.is_some());
    }
    if found.is_empty() {
        return taking.fault(&id, "Attribute", "", Why::Missing);
    }
    for (address, name, at) in found {
        let at = at.min(taking.now);
        let mut observables = beside.clone();
        observables.entry("host.ip").or_default().extend(address.map(|address| address.to_string()));
        observables.entry("host.name").or_default().extend(name.clone());
        observables.retain(|_, values| !values.is_empty());
        taking.row(Row {
            kind: id.clone(),
            title: format!("{source} meldet: {info}"),
            source: source.clone(),
            rsit,
            level: level(rsit),
            tlp,
            addresses: address.into_iter().collect(),
            host: name,
            first: at,
            last: at,
            observables,
        });
    }
}

/// `rsit:intrusion-attempts="brute-force"`
fn class(tag: &str) -> Option<Rsit> {
    let class = tag.strip_prefix("rsit:")?;
    match class.split_once('=') {
        Some((category, kind)) => super::intelmq::class(category, kind.trim_matches('"')),
        None => class.parse().ok(),
    }
}

fn label(tag: &str) -> Option<Tlp> {
    let tlp = tag.to_lowercase().starts_with("tlp:").then(|| crate::intel::Tlp::loose(tag)).flatten()?;
    Tlp::parse(tlp.as_str().trim_start_matches("TLP:"))
}

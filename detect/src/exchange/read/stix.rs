//! Bundles of STIX 2.1 as reports: what was observed (`observed-data`), with its addresses and names, and sightings that
//! point to it. Incident and grouping give the title, their labels the class. Indicators alone are no report of anything
//! that happened here: those are read into lists (`intel::read`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use ingest::time::Timestamp;
use serde_json::Value;

use super::{Row, Taking, Why, host, kept, level};
use crate::incident::Tlp;
use crate::intel::stix_label;
use crate::rsit::Rsit;

/// Values of one observation that go along with each of its rows.
const BESIDE_MAX: usize = 20;
/// References that one observation may have; the standard names no bound.
const REFS_MAX: usize = 10_000;

pub(super) fn looks_so(document: &Value) -> bool {
    text(document, "type") == "bundle" && document.get("objects").is_some_and(Value::is_array)
}

fn text<'v>(of: &'v Value, key: &str) -> &'v str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn refs<'v>(of: &'v Value, key: &str) -> impl Iterator<Item = &'v str> {
    of.get(key).and_then(Value::as_array).into_iter().flatten().take(REFS_MAX).filter_map(Value::as_str)
}

pub(super) fn read(taking: &mut Taking<'_>, document: &Value) {
    let objects = document.get("objects").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let by_id: HashMap<&str, &Value> = objects.iter().map(|object| (text(object, "id"), object)).collect();
    let of_kind = |kind: &'static str| objects.iter().filter(move |object| text(object, "type") == kind);
    let case = of_kind("incident").chain(of_kind("grouping")).chain(of_kind("report")).next();
    let labels = || of_kind("incident").chain(of_kind("grouping")).flat_map(|object| refs(object, "labels"));
    let rsit = labels().find_map(|label| label.strip_prefix("rsit:")?.parse().ok()).unwrap_or(Rsit::UNDETERMINED);
    // Whose word it is: of whom made the case, else of whom there is only one.
    let creator = case.map(|case| text(case, "created_by_ref")).filter(|id| !id.is_empty());
    let maker = creator.and_then(|id| by_id.get(id)).copied().or_else(|| of_kind("identity").next());
    let source = maker.map(|maker| text(maker, "name")).and_then(kept).unwrap_or_else(|| "STIX".into());
    let title = case.map(|case| text(case, "name")).and_then(kept);
    let mut observed = 0;
    for object in of_kind("observed-data") {
        observed += 1;
        let label = case.and_then(|case| strictest(case, &by_id));
        let about = About { source: &source, title: title.as_deref(), case: case.map_or("", |case| text(case, "id")), rsit, label };
        observation(taking, object, &by_id, &about);
    }
    for sighting in of_kind("sighting") {
        let data = refs(sighting, "observed_data_refs").filter(|id| by_id.contains_key(id)).count();
        if data == 0 && observed == 0 {
            taking.fault(text(sighting, "id"), "observed_data_refs", "", Why::Missing);
        }
    }
    if observed == 0 && taking.report.fault_count == 0 {
        taking.fault(text(document, "id"), "observed-data", "", Why::Missing);
    }
}

struct About<'a> {
    source: &'a str,
    title: Option<&'a str>,
    case: &'a str,
    rsit: Rsit,
    /// Of the case, whose title goes along.
    label: Option<Tlp>,
}

/// The strictest label that an object bears, as a whole or in a part of it: no row is more open than anything in it.
fn strictest(object: &Value, by_id: &HashMap<&str, &Value>) -> Option<Tlp> {
    let parts = object.get("granular_markings").and_then(Value::as_array).into_iter().flatten().take(REFS_MAX);
    let marks = refs(object, "object_marking_refs").chain(parts.map(|part| text(part, "marking_ref")));
    let labels = marks.filter_map(|mark| stix_label(mark, by_id.get(mark).copied()));
    labels.filter_map(|tlp| Tlp::parse(tlp.as_str().trim_start_matches("TLP:"))).max()
}

fn observation(taking: &mut Taking<'_>, object: &Value, by_id: &HashMap<&str, &Value>, about: &About<'_>) {
    let id = text(object, "id").to_owned();
    let Some(first) = taking.time(&id, "first_observed", text(object, "first_observed")) else { return };
    let Some(last) = taking.time(&id, "last_observed", text(object, "last_observed")) else { return };
    let mut tlp = about.label.max(strictest(object, by_id)).unwrap_or_default().max(Tlp::default());
    let (mut addresses, mut names) = (Vec::new(), Vec::new());
    let mut beside: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for reference in refs(object, "object_refs").filter(|id| seen.insert(*id)) {
        let Some(part) = by_id.get(reference) else {
            taking.fault(&id, "object_refs", reference, Why::Missing);
            continue;
        };
        tlp = strictest(part, by_id).map_or(tlp, |label| label.max(tlp));
        let value = text(part, "value");
        match text(part, "type") {
            "ipv4-addr" | "ipv6-addr" => match value.parse::<IpAddr>() {
                Ok(address) => addresses.push(address.to_canonical()),
                Err(_) if value.contains('/') => {}
                Err(_) => taking.fault(reference, "value", value, Why::NotAnAddress),
            },
            "domain-name" => names.extend(host(value)),
            kind => {
                let (field, value) = match kind {
                    "url" => ("url.full", value),
                    "user-account" => ("user.name", text(part, "account_login")),
                    "email-addr" => ("email.from.address", value),
                    _ => continue,
                };
                let values = beside.entry(field).or_default();
                if values.len() < BESIDE_MAX {
                    values.extend(kept(value));
                }
            }
        }
    }
    beside.retain(|_, values| !values.is_empty());
    let source = about.source;
    let row = |address: Option<IpAddr>, name: Option<String>, last: Timestamp| {
        let mut observables = beside.clone();
        observables.entry("host.ip").or_default().extend(address.map(|address| address.to_string()));
        observables.entry("host.name").or_default().extend(name.clone());
        observables.retain(|_, values| !values.is_empty());
        Row {
            source: source.to_owned(),
            kind: if about.case.is_empty() { id.clone() } else { about.case.to_owned() },
            title: format!("{source} meldet: {}", about.title.unwrap_or("Beobachtung")),
            rsit: about.rsit,
            level: level(about.rsit),
            tlp,
            addresses: address.into_iter().collect(),
            host: name,
            first: first.min(last),
            last,
            observables,
        }
    };
    if addresses.is_empty() && names.is_empty() {
        return taking.fault(&id, "object_refs", "", Why::Missing);
    }
    let by_name = if addresses.is_empty() { names } else { Vec::new() };
    for address in addresses {
        taking.row(row(Some(address), None, last));
    }
    for name in by_name {
        taking.row(row(None, Some(name), last));
    }
}

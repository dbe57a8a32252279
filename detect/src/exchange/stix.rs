//! A case as a bundle of STIX 2.1: the incident, a grouping that holds it together, what was observed at what time, the
//! techniques seen and the indicators met (each with its sighting), the recommendations as courses of action, and FIRST's
//! markings of TLP 2.0 as OASIS published them. Nothing is given that the standard has no object for.

use std::collections::BTreeMap;

use ingest::time::Timestamp;
use serde_json::{Map, Value, json};

use super::{Package, Seen, Sender, uuid};
use crate::alert::Observables;
use crate::attack::technique_name;
use crate::incident::Tlp;
use crate::intel::{Pattern, stix_marking, stix_pattern};

/// STIX' own bound on counts.
const COUNT_MAX: u64 = 999_999_999;
/// When what cases have in common was made.
const BEGINNING: &str = "2026-01-01T00:00:00.000Z";
/// By which OASIS' markings of TLP 2.0 say what they mean.
const TLP_EXTENSION: &str = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d";

pub(super) fn bundle(package: &Package, sender: &Sender) -> String {
    let mut writer = Writer::new(package, sender);
    let us = writer.sender(sender);
    let body = writer.body();
    let incident = writer.incident();
    writer.techniques(&us, body.as_deref());
    writer.observed(&us, body.as_deref());
    writer.advice(&incident);
    writer.grouping();
    let mut objects: Vec<Value> = vec![tlp(package.tlp)];
    objects.extend(writer.objects.into_values());
    let name = format!("{} {}", package.number, package.modified_at);
    let bundle = json!({ "type": "bundle", "id": format!("bundle--{}", uuid::of("bundle", &name)), "objects": objects });
    format!("{bundle:#}\n")
}

/// The marking as OASIS published it.
fn tlp(label: Tlp) -> Value {
    json!({
        "type": "marking-definition", "spec_version": "2.1", "id": marking(label), "created": "2022-10-01T00:00:00.000Z",
        "name": format!("TLP:{}", label.as_str()),
        "extensions": { TLP_EXTENSION: { "extension_type": "property-extension", "tlp_2_0": label.as_str().to_lowercase() } },
    })
}

fn marking(label: Tlp) -> &'static str {
    stix_marking(crate::intel::Tlp::loose(label.as_str()).unwrap_or(crate::intel::Tlp::Red))
}

struct Writer<'p> {
    package: &'p Package,
    creator: String,
    /// By their order of coming, each once.
    objects: BTreeMap<usize, Value>,
    ids: Vec<String>,
}

impl<'p> Writer<'p> {
    fn new(package: &'p Package, sender: &Sender) -> Self {
        let creator = format!("identity--{}", uuid::of("sender", &sender.domain));
        Self { package, creator, objects: BTreeMap::new(), ids: Vec::new() }
    }

    /// Adds an object where it is not there yet; its identity.
    fn add(&mut self, id: String, object: Value) -> String {
        if !self.ids.contains(&id) {
            self.objects.insert(self.ids.len(), object);
            self.ids.push(id.clone());
        }
        id
    }

    /// A domain object or relationship: what all of them have, and what this one has.
    fn domain(&mut self, kind: &str, name: &str, more: Value) -> String {
        let id = format!("{kind}--{}", uuid::of(kind, name));
        let mut object = Map::new();
        object.insert("type".into(), kind.into());
        object.insert("spec_version".into(), "2.1".into());
        object.insert("id".into(), id.clone().into());
        object.insert("created_by_ref".into(), self.creator.clone().into());
        object.insert("created".into(), self.package.opened_at.rfc3339().into());
        object.insert("modified".into(), self.package.modified_at.rfc3339().into());
        object.insert("object_marking_refs".into(), json!([marking(self.package.tlp)]));
        object.extend(more.as_object().cloned().unwrap_or_default());
        // Where we have nothing to say, the standard wants nothing said.
        object.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|all| !all.is_empty()));
        self.add(id, Value::Object(object))
    }

    /// What several cases have in common is the same object in each of them: older than every case, and nobody's secret.
    fn common(&mut self, kind: &str, id: String, more: Value) -> String {
        let mut object = json!({
            "type": kind, "spec_version": "2.1", "id": id, "created_by_ref": self.creator, "created": BEGINNING, "modified": BEGINNING,
        });
        if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
            object.extend(more.clone());
        }
        self.add(id, object)
    }

    fn sender(&mut self, sender: &Sender) -> String {
        self.common("identity", self.creator.clone(), json!({ "name": sender.name, "identity_class": "organization" }))
    }

    fn body(&mut self) -> Option<String> {
        let (id, name) = self.package.body.clone()?;
        let more = json!({ "name": name, "identity_class": "organization", "sectors": ["government-local"] });
        Some(self.common("identity", format!("identity--{}", uuid::of("identity", &id)), more))
    }

    fn incident(&mut self) -> String {
        let package = self.package;
        let labels = [
            format!("rsit:{}", package.rsit),
            format!("severity:{}", package.severity.as_str()),
            format!("state:{}", package.state.as_str()),
        ];
        let disposition = package.disposition.map(|one| format!("disposition:{}", one.as_str()));
        let labels: Vec<String> = labels.into_iter().chain(disposition).collect();
        let references = json!([{ "source_name": "wartburg", "external_id": package.number }]);
        let more = json!({ "name": package.title, "description": package.story(), "labels": labels, "external_references": references });
        self.domain("incident", &package.id, more)
    }

    /// The techniques of ATT&CK, each with the sighting that says since when and how often.
    fn techniques(&mut self, us: &str, body: Option<&str>) {
        let package = self.package;
        for id in &package.techniques {
            let name = technique_name(id).unwrap_or(id);
            let url = format!("https://attack.mitre.org/techniques/{}/", id.replace('.', "/"));
            let references = json!([{ "source_name": "mitre-attack", "external_id": id, "url": url }]);
            let technique = format!("attack-pattern--{}", uuid::of("attack-pattern", id));
            self.common("attack-pattern", technique.clone(), json!({ "name": name, "external_references": references }));
            let of: Vec<&Seen> = package.seen.iter().filter(|one| one.techniques.contains(id)).collect();
            let first = of.iter().map(|one| one.first).min().unwrap_or(package.first_activity);
            let last = of.iter().map(|one| one.last).max().unwrap_or(package.last_activity);
            let count: u64 = of.iter().map(|one| one.records).sum();
            self.sighting(&technique, us, body, (first, last), count, &[]);
        }
    }

    fn sighting(&mut self, of: &str, us: &str, body: Option<&str>, span: (Timestamp, Timestamp), count: u64, data: &[String]) -> String {
        let name = format!("{} {of}", self.package.id);
        let more = json!({
            "sighting_of_ref": of, "first_seen": span.0.rfc3339(), "last_seen": span.1.rfc3339(), "count": count.clamp(1, COUNT_MAX),
            "where_sighted_refs": [body.unwrap_or(us)], "observed_data_refs": data,
        });
        self.domain("sighting", &name, more)
    }

    /// What was observed: an object a moment, or one for the whole case where a body exports it.
    fn observed(&mut self, us: &str, body: Option<&str>) {
        let package = self.package;
        let whole = (package.id.clone(), package.first_activity, package.last_activity, package.events, &package.observables);
        let single = package.seen.iter().map(|one| (one.id.clone(), one.first, one.last, one.records, &one.observables));
        let moments: Vec<_> = if package.seen.is_empty() { vec![whole] } else { single.chain([whole]).collect() };
        for (n, (id, first, last, records, observables)) in moments.iter().enumerate() {
            let refs = self.observables(observables);
            self.hosts(observables);
            if refs.is_empty() {
                continue;
            }
            // With the alerts' own, the whole is only for what people typed in beside them.
            let rest = n + 1 == moments.len() && !package.seen.is_empty();
            let said: Vec<&String> = package.seen.iter().flat_map(|one| one.observables.values().flatten()).collect();
            if rest && observables.values().flatten().all(|value| said.contains(&value)) {
                continue;
            }
            let more = json!({
                "first_observed": first.rfc3339(), "last_observed": last.rfc3339(), "number_observed": (*records).clamp(1, COUNT_MAX),
                "object_refs": refs,
            });
            let data = self.domain("observed-data", id, more);
            for value in observables.get("threat.indicator.name").into_iter().flatten() {
                self.indicator(value, us, body, (*first, *last), *records, &data);
            }
        }
    }

    /// An indicator that was met, as a value that a list warns of; what is no value of a known kind has no pattern.
    fn indicator(&mut self, value: &str, us: &str, body: Option<&str>, span: (Timestamp, Timestamp), count: u64, data: &str) {
        let Ok(pattern) = value.parse::<Pattern>() else { return };
        let from = self.package.first_activity.rfc3339();
        let more = json!({
            "name": value, "description": "Steht auf einer Liste von Indikatoren und kam in diesem Vorfall vor.", "indicator_types": ["malicious-activity"], "pattern": stix_pattern(&pattern), "pattern_type": "stix",
            "pattern_version": "2.1", "valid_from": from,
        });
        let indicator = self.domain("indicator", &format!("{} {}", self.package.id, pattern.value()), more);
        self.sighting(&indicator, us, body, span, count, &[data.to_owned()]);
    }

    /// The cyber-observable objects of these values; their identities.
    fn observables(&mut self, all: &Observables) -> Vec<String> {
        let mut refs = Vec::new();
        for (field, values) in all {
            for value in values {
                let Some((kind, contributing, object)) = observable(field, value) else { continue };
                let id = format!("{kind}--{}", uuid::of_observable(&contributing));
                let mut whole = Map::new();
                whole.insert("type".into(), kind.into());
                whole.insert("spec_version".into(), "2.1".into());
                whole.insert("id".into(), id.clone().into());
                whole.insert("object_marking_refs".into(), json!([marking(self.package.tlp)]));
                whole.extend(object.as_object().cloned().unwrap_or_default());
                let id = self.add(id, Value::Object(whole));
                if !refs.contains(&id) {
                    refs.push(id);
                }
            }
        }
        refs
    }

    /// Machines are identities of the class "system": the standard has no observable for a machine's name.
    fn hosts(&mut self, all: &Observables) {
        for name in all.get("host.name").into_iter().flatten().filter(|name| !name.trim().is_empty()) {
            let of = format!("{} {name}", self.package.id);
            self.domain("identity", &of, json!({ "name": name, "identity_class": "system" }));
        }
    }

    fn advice(&mut self, incident: &str) {
        for one in &self.package.advice {
            let labels = json!([format!("state:{}", one.state.as_str())]);
            let course =
                self.domain("course-of-action", &one.id, json!({ "name": one.title, "description": one.text(), "labels": labels }));
            let more = json!({ "relationship_type": "related-to", "source_ref": course, "target_ref": incident });
            self.domain("relationship", &one.id, more);
        }
    }

    fn grouping(&mut self) {
        let package = self.package;
        let refs: Vec<String> = self.ids.iter().filter(|id| **id != self.creator).cloned().collect();
        let more = json!({ "name": package.title, "context": "suspicious-activity", "object_refs": refs });
        self.domain("grouping", &package.id, more);
    }
}

/// A value as a cyber-observable object: its type, the canonical JSON of what identifies it, and what it says.
fn observable(field: &str, value: &str) -> Option<(&'static str, String, Value)> {
    let one = |kind: &'static str, key: &str| {
        let object = json!({ key: value });
        Some((kind, object.to_string(), object))
    };
    let hash = |name: &str| {
        let object = json!({ "hashes": { name: value.to_lowercase() } });
        let digits = value.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits.then(|| ("file", object.to_string(), object))
    };
    match field {
        "source.ip" | "destination.ip" | "host.ip" | "network.forwarded_ip" | "dns.resolved_ip" => {
            let address: std::net::IpAddr = value.parse().ok()?;
            one(if address.is_ipv4() { "ipv4-addr" } else { "ipv6-addr" }, "value")
        }
        "dns.question.name" | "url.domain" | "destination.domain" | "source.domain" if is_domain(value) => one("domain-name", "value"),
        "url.full" | "url.original" | "http.request.referrer" if value.parse::<Pattern>().is_ok_and(|p| p.kind() == "url") => {
            one("url", "value")
        }
        "source.mac" | "destination.mac" | "host.mac" => {
            let mac = value.to_lowercase().replace('-', ":");
            let form = mac.len() == 17 && mac.split(':').all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()));
            let object = json!({ "value": mac });
            form.then(|| ("mac-addr", object.to_string(), object))
        }
        "user.name" | "user.target.name" | "source.user.name" | "user.effective.name" if !value.trim().is_empty() => {
            one("user-account", "account_login")
        }
        "email.from.address" | "email.to.address" if value.parse::<Pattern>().is_ok_and(|p| p.kind() == "mail") => {
            one("email-addr", "value")
        }
        _ if field.ends_with("hash.md5") && value.len() == 32 => hash("MD5"),
        _ if field.ends_with("hash.sha1") && value.len() == 40 => hash("SHA-1"),
        _ if field.ends_with("hash.sha256") && value.len() == 64 => hash("SHA-256"),
        _ => None,
    }
}

fn is_domain(value: &str) -> bool {
    value.parse::<Pattern>().is_ok_and(|pattern| pattern.kind() == "domain")
}

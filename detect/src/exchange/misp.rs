//! A case as an event of MISP: attributes with MISP's own types and categories, the recommendations as objects of its
//! template `course-of-action`, the class as a tag of the RSIT taxonomy, ATT&CK as galaxy tags, and a distribution that
//! never goes further than the label.

use serde_json::{Value, json};

use super::{Package, Sender, uuid};
use crate::attack::technique_name;
use crate::incident::{State, Tlp};
use crate::intel::Pattern;
use crate::rule::Level;

/// MISP's template for recommendations, as its list of objects has it.
const COURSE_OF_ACTION: (&str, &str) = ("3d1c2c06-68a9-4394-8c8d-258d115f796f", "1");

pub(super) fn event(package: &Package, sender: &Sender) -> String {
    let seconds = |at: ingest::time::Timestamp| at.0.div_euclid(1_000).to_string();
    let modified = seconds(package.modified_at);
    let organisation = json!({ "uuid": uuid::of("sender", &sender.domain), "name": sender.name });
    let event = json!({ "Event": {
        "uuid": uuid::of("incident", &package.id),
        "info": format!("{}: {}", package.number, package.title),
        "date": package.first_activity.rfc3339().get(..10).unwrap_or_default(),
        "timestamp": modified,
        "published": false,
        "analysis": analysis(package.state),
        "threat_level_id": threat_level(package.severity),
        "distribution": distribution(package.tlp),
        "Orgc": organisation,
        "Tag": tags(package),
        "Attribute": attributes(package, &modified),
        "Object": objects(package, &modified),
    }});
    format!("{event:#}\n")
}

/// Begun, under way, over.
fn analysis(state: State) -> &'static str {
    match state {
        State::New => "0",
        State::Closed => "2",
        _ => "1",
    }
}

fn threat_level(severity: Level) -> &'static str {
    match severity {
        Level::Critical | Level::High => "1",
        Level::Medium => "2",
        Level::Low => "3",
        Level::Informational => "4",
    }
}

/// 0: this organisation, 1: this community, 3: all.
fn distribution(tlp: Tlp) -> &'static str {
    match tlp {
        Tlp::Clear => "3",
        Tlp::Green => "1",
        Tlp::Amber | Tlp::AmberStrict | Tlp::Red => "0",
    }
}

fn tags(package: &Package) -> Vec<Value> {
    let class = package.rsit.to_string();
    let class = match class.split_once('/') {
        Some((category, kind)) => format!("rsit:{category}=\"{kind}\""),
        None => format!("rsit:{class}"),
    };
    let galaxy = package.techniques.iter().map(|id| {
        let name = technique_name(id).unwrap_or_default();
        format!(
            "misp-galaxy:mitre-attack-pattern=\"{}\"",
            [name, id].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" - ")
        )
    });
    let label = format!("tlp:{}", package.tlp.as_str().to_lowercase());
    [label, class].into_iter().chain(galaxy).map(|name| json!({ "name": name })).collect()
}

fn attributes(package: &Package, modified: &str) -> Vec<Value> {
    let attribute = |category: &str, kind: &str, value: &str, comment: &str, to_ids: bool| {
        json!({
            "uuid": uuid::of("attribute", &format!("{} {kind} {value}", package.id)), "type": kind, "category": category, "value": value,
            "to_ids": to_ids, "comment": comment, "timestamp": modified, "disable_correlation": false, "distribution": "5",
        })
    };
    let mut all = vec![
        attribute("Internal reference", "text", &package.number, "Vorfallsnummer", false),
        attribute("Internal reference", "comment", &package.story(), "Was geschah", false),
    ];
    if let Some((_, name)) = &package.body {
        all.push(attribute("Targeting data", "target-org", name, "Betroffene Stelle", false));
    }
    for (field, values) in &package.observables {
        for value in values {
            // What lists warn of is for detection; everything else is only part of the story.
            let warned = field == "threat.indicator.name";
            if let Some((category, kind)) = kind_of(field, value) {
                all.push(attribute(category, kind, value, field, warned));
            }
        }
    }
    // The same value may come from two fields; an identity stands once.
    let mut seen = std::collections::HashSet::new();
    all.retain(|one| seen.insert(one.get("uuid").and_then(Value::as_str).unwrap_or_default().to_owned()));
    all
}

/// Category and type in MISP's words.
fn kind_of(field: &str, value: &str) -> Option<(&'static str, &'static str)> {
    let network = "Network activity";
    let of_pattern = || {
        let pattern: Pattern = value.parse().ok()?;
        Some(match pattern.kind() {
            "address" | "prefix" => (network, "ip-dst"),
            "domain" => (network, "domain"),
            "url" => (network, "url"),
            "md5" => ("Payload delivery", "md5"),
            "sha1" => ("Payload delivery", "sha1"),
            "sha256" => ("Payload delivery", "sha256"),
            _ => ("Payload delivery", "email-src"),
        })
    };
    let address = value.parse::<std::net::IpAddr>().is_ok();
    match field {
        "threat.indicator.name" => of_pattern(),
        "source.ip" if address => Some((network, "ip-src")),
        "destination.ip" | "dns.resolved_ip" if address => Some((network, "ip-dst")),
        "host.ip" if address => Some(("Targeting data", "target-machine")),
        "host.name" => Some(("Targeting data", "target-machine")),
        "user.name" | "user.target.name" => Some(("Targeting data", "target-user")),
        "dns.question.name" | "url.domain" | "destination.domain" | "url.full" | "email.from.address" => of_pattern(),
        _ if field.contains(".hash.") => of_pattern(),
        _ => None,
    }
}

fn objects(package: &Package, modified: &str) -> Vec<Value> {
    let (template, version) = COURSE_OF_ACTION;
    let object = |one: &super::Advice| {
        let id = uuid::of("course-of-action", &one.id);
        let part = |relation: &str, value: &str| {
            json!({
                "uuid": uuid::of("attribute", &format!("{} {relation}", one.id)), "object_relation": relation, "type": "text",
                "category": "Other", "value": value, "to_ids": false, "timestamp": modified, "disable_correlation": true,
                "distribution": "5", "comment": "",
            })
        };
        json!({
            "uuid": id, "name": "course-of-action", "meta-category": "misc", "template_uuid": template, "template_version": version,
            "description": "Handlungsempfehlung", "timestamp": modified, "distribution": "5", "comment": format!("Stand: {}", one.state.as_str()),
            "Attribute": [part("name", &one.title), part("description", &one.text()), part("stage", "Response"), part("type", "Other")],
        })
    };
    package.advice.iter().map(object).collect()
}

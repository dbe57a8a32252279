//! A case as a document of the Incident Object Description Exchange Format, version 2 (RFC 7970). Elements stand in the
//! order of the RFC's schema; nothing is in it that the schema does not name, and what only we know stands as text.

use std::fmt::Write as _;
use std::net::IpAddr;

use ingest::time::Timestamp;

use super::{Package, Seen, Sender, uuid};
use crate::alert::{Disposition, Observables};
use crate::attack::technique_name;
use crate::incident::{Origin, State, Tlp};
use crate::intel::Pattern;
use crate::rule::Level;

/// Systems of one event: as many as a reader follows; the rest is counted in the description.
const SYSTEMS_MAX: usize = 100;

pub(super) fn document(package: &Package, sender: &Sender, now: Timestamp) -> String {
    let mut xml = Xml::default();
    xml.text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let lang = ("xml:lang", "de");
    xml.open("IODEF-Document", &[("version", "2.00"), lang, ("xmlns", "urn:ietf:params:xml:ns:iodef-2.0")]);
    let (restriction, other) = restriction(package.tlp);
    let mut about = vec![("purpose", "reporting"), ("status", status(package.state)), ("restriction", restriction)];
    about.extend(other.map(|word| ("ext-restriction", word)));
    xml.open("Incident", &about);
    xml.leaf("IncidentID", &[("name", &sender.domain)], &package.number);
    xml.leaf("DetectTime", &[], &package.detected_at.rfc3339());
    xml.leaf("StartTime", &[], &package.first_activity.rfc3339());
    xml.leaf("EndTime", &[], &package.last_activity.rfc3339());
    xml.leaf("ReportTime", &[], &package.opened_at.rfc3339());
    xml.leaf("GenerationTime", &[], &now.rfc3339());
    xml.leaf("Description", &[lang], &package.title);
    xml.leaf("Description", &[lang], &package.story());
    xml.empty("Discovery", &[("source", discovery(package.origin))]);
    assessment(&mut xml, package);
    for technique in &package.techniques {
        xml.open("Method", &[]);
        xml.open("Reference", &[]);
        xml.leaf("URL", &[], &format!("https://attack.mitre.org/techniques/{}/", technique.replace('.', "/")));
        let name = technique_name(technique).unwrap_or_default();
        xml.leaf("Description", &[], format!("MITRE ATT&CK {technique} {name}").trim());
        xml.close("Reference");
        xml.close("Method");
    }
    xml.open("Contact", &[("role", "creator"), ("type", "organization")]);
    xml.leaf("ContactName", &[], &sender.name);
    xml.close("Contact");
    if let Some((_, name)) = &package.body {
        xml.open("Contact", &[("role", "victim"), ("type", "organization")]);
        xml.leaf("ContactName", &[lang], name);
        xml.close("Contact");
    }
    events(&mut xml, package);
    indicators(&mut xml, package, sender);
    xml.close("Incident");
    xml.close("IODEF-Document");
    xml.text
}

/// The RFC's words for TLP, which are those of its first version; what it has no word for is its extension.
fn restriction(tlp: Tlp) -> (&'static str, Option<&'static str>) {
    match tlp {
        Tlp::Clear => ("white", None),
        Tlp::Green => ("green", None),
        Tlp::Amber => ("amber", None),
        Tlp::AmberStrict => ("ext-value", Some("amber+strict")),
        Tlp::Red => ("red", None),
    }
}

fn status(state: State) -> &'static str {
    match state {
        State::New => "new",
        State::Triaged | State::InWork | State::Contained => "in-progress",
        State::Recovered | State::Closed => "resolved",
    }
}

fn discovery(origin: Origin) -> &'static str {
    match origin {
        Origin::Rule => "siem",
        Origin::Phone | Origin::Mail | Origin::SelfReport => "external-notification",
    }
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::Critical | Level::High => "high",
        Level::Medium => "medium",
        Level::Low | Level::Informational => "low",
    }
}

fn assessment(xml: &mut Xml, package: &Package) {
    // False alarms and what was allowed did no harm, so nothing actual is assessed.
    let actual = !matches!(package.disposition, Some(Disposition::FalsePositive | Disposition::Benign));
    xml.open("Assessment", &[("occurrence", if actual { "actual" } else { "potential" })]);
    xml.leaf("IncidentCategory", &[], &format!("rsit:{}", package.rsit));
    xml.empty("SystemImpact", &[("severity", severity(package.severity)), ("type", "unknown")]);
    xml.close("Assessment");
}

/// An event for each alert, or one for the whole case; the recommendations stand with the first, as what is expected.
fn events(xml: &mut Xml, package: &Package) {
    if package.seen.is_empty() {
        event(xml, &package.title, (package.first_activity, package.last_activity), &package.observables, package, true);
        return;
    }
    for (n, one) in package.seen.iter().enumerate() {
        event(xml, &told(one), (one.first, one.last), &one.observables, package, n == 0);
    }
}

fn told(one: &Seen) -> String {
    format!("{} ({}, {} Ereignisse, {})", one.title, one.rule_name, one.records, one.rsit)
}

fn event(xml: &mut Xml, title: &str, (first, last): (Timestamp, Timestamp), observables: &Observables, package: &Package, expected: bool) {
    xml.open("EventData", &[]);
    xml.leaf("Description", &[("xml:lang", "de")], title);
    xml.leaf("StartTime", &[], &first.rfc3339());
    xml.leaf("EndTime", &[], &last.rfc3339());
    let systems = systems(observables);
    if !systems.is_empty() {
        xml.open("Flow", &[]);
        for (category, node) in systems.iter().take(SYSTEMS_MAX) {
            xml.open("System", &[("category", *category)]);
            xml.open("Node", &[]);
            match node {
                Node::Address(address) => {
                    let kind = if address.is_ipv4() { "ipv4-addr" } else { "ipv6-addr" };
                    xml.leaf("Address", &[("category", kind)], &address.to_string());
                }
                Node::Name(name) => {
                    xml.open("DomainData", &[]);
                    xml.leaf("Name", &[], name);
                    xml.close("DomainData");
                }
            }
            xml.close("Node");
            xml.close("System");
        }
        xml.close("Flow");
    }
    for one in package.advice.iter().filter(|_| expected) {
        xml.open("Expectation", &[("action", "other"), ("severity", severity(package.severity))]);
        xml.leaf("Description", &[("xml:lang", "de")], &one.title);
        xml.leaf("Description", &[("xml:lang", "de")], &one.text());
        xml.leaf("StartTime", &[], &one.sent_at.rfc3339());
        xml.close("Expectation");
    }
    xml.close("EventData");
}

enum Node<'a> {
    Address(IpAddr),
    Name(&'a str),
}

fn systems(observables: &Observables) -> Vec<(&'static str, Node<'_>)> {
    let of = |field: &str| observables.get(field).into_iter().flatten();
    let addresses = [("source", "source.ip"), ("target", "destination.ip"), ("target", "host.ip")];
    let addresses = addresses
        .into_iter()
        .flat_map(|(category, field)| of(field).filter_map(move |value| Some((category, Node::Address(value.parse::<IpAddr>().ok()?)))));
    let hosts = of("host.name").filter(|name| !name.trim().is_empty()).map(|name| ("target", Node::Name(name)));
    addresses.chain(hosts).collect()
}

fn indicators(xml: &mut Xml, package: &Package, sender: &Sender) {
    let met = package.observables.get("threat.indicator.name").into_iter().flatten();
    let met: Vec<(&String, Pattern)> = met.filter_map(|value| Some((value, value.parse::<Pattern>().ok()?))).collect();
    let met: Vec<_> =
        met.into_iter().filter(|(_, pattern)| matches!(pattern, Pattern::Address(_) | Pattern::Prefix(_) | Pattern::Domain(_))).collect();
    if met.is_empty() {
        return;
    }
    xml.open("IndicatorData", &[]);
    for (value, pattern) in met {
        xml.open("Indicator", &[]);
        // An xs:ID begins with a letter.
        let id = format!("i-{}", uuid::of("indicator", &format!("{} {}", package.id, pattern.value())));
        xml.leaf("IndicatorID", &[("name", &sender.domain), ("version", "1")], &id);
        xml.leaf("Description", &[], value);
        xml.leaf("StartTime", &[], &package.first_activity.rfc3339());
        xml.open("Observable", &[]);
        match &pattern {
            Pattern::Domain(name) => {
                xml.open("DomainData", &[]);
                xml.leaf("Name", &[], name);
                xml.close("DomainData");
            }
            other => {
                let four = !other.value().contains(':');
                let kind = match (other, four) {
                    (Pattern::Prefix(_), true) => "ipv4-net",
                    (Pattern::Prefix(_), false) => "ipv6-net",
                    (_, true) => "ipv4-addr",
                    (_, false) => "ipv6-addr",
                };
                xml.leaf("Address", &[("category", kind)], &other.value());
            }
        }
        xml.close("Observable");
        xml.close("Indicator");
    }
    xml.close("IndicatorData");
}

/// Writes elements, indented; what XML 1.0 has no way to write becomes U+FFFD.
#[derive(Default)]
struct Xml {
    text: String,
    depth: usize,
}

impl Xml {
    fn indent(&mut self) {
        let width = self.depth * 2;
        let _ = write!(self.text, "{:width$}", "");
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.indent();
        let _ = write!(self.text, "<{name}");
        for (key, value) in attributes {
            let _ = write!(self.text, " {key}=\"{}\"", escaped(value));
        }
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.text.push_str(">\n");
        self.depth += 1;
    }

    fn close(&mut self, name: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.indent();
        let _ = writeln!(self.text, "</{name}>");
    }

    fn leaf(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.start(name, attributes);
        let _ = writeln!(self.text, ">{}</{name}>", escaped(text));
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.text.push_str("/>\n");
    }
}

/// For content and attributes alike.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A parser would turn a bare one into a line feed.
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}' => out.push(c),
            _ => out.push('\u{fffd}'),
        }
    }
    out
}

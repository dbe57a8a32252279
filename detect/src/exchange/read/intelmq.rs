//! Tables of IntelMQ: a row an event, with the names of its data format (docs.intelmq.org). The class is RSIT's by design;
//! what older versions and single bots call otherwise is translated by a table.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::table::Record;
use super::{Row, Taking, Why, host, kept, level};
use crate::incident::Tlp;
use crate::rsit::{CATEGORIES, Rsit};

/// What is no name of RSIT v1003, and what it means: names of IntelMQ before version 3, and of its own beside RSIT.
const TYPES: [(&str, &str); 18] = [
    ("backdoor", "intrusions/system-compromise"),
    ("blacklist", "other/other"),
    ("c2server", "malicious-code/c2-server"),
    ("c&c", "malicious-code/c2-server"),
    ("compromised", "intrusions/system-compromise"),
    ("defacement", "information-content-security/unauthorised-information-modification"),
    ("dga domain", "malicious-code/c2-server"),
    ("dga-domain", "malicious-code/c2-server"),
    ("dropzone", "information-content-security/data-leak"),
    ("infected system", "malicious-code/infected-system"),
    ("malware", "malicious-code/infected-system"),
    ("malware configuration", "malicious-code/malware-configuration"),
    ("ids alert", "intrusion-attempts/ids-alert"),
    ("proxy", "other/other"),
    ("ransomware", "malicious-code/infected-system"),
    ("tor", "other/other"),
    ("unauthorized-information-access", "information-content-security/unauthorised-information-access"),
    ("vulnerable service", "vulnerable/vulnerable-system"),
];

const OBSERVABLES: [(&str, &str); 8] = [
    ("source.ip", "host.ip"),
    ("source.fqdn", "host.name"),
    ("source.url", "url.full"),
    ("source.account", "user.name"),
    ("destination.ip", "destination.ip"),
    ("destination.fqdn", "destination.domain"),
    ("malware.name", "event.reason"),
    ("event_description.text", "event.reason"),
];

pub(super) fn looks_so(names: &[String]) -> bool {
    names.iter().any(|name| name == "classification.type" || name == "classification.taxonomy")
}

pub(super) fn row(taking: &mut Taking<'_>, record: &Record<'_>) {
    let (taxonomy, kind) = (record.get("classification.taxonomy"), record.get("classification.type"));
    let Some(rsit) = class(taxonomy, kind) else {
        let (column, value) = if kind.is_empty() { ("classification.taxonomy", taxonomy) } else { ("classification.type", kind) };
        return taking.fault(&record.line, column, value, if value.is_empty() { Why::Missing } else { Why::UnknownClass });
    };
    let (column, value) = record.first_of(&["time.source", "time.observation"]);
    let Some(at) = taking.time(&record.line, column, value) else { return };
    let mut addresses = Vec::new();
    for column in ["source.ip", "destination.ip"] {
        let text = record.get(column);
        match text.parse::<IpAddr>() {
            Ok(address) => addresses.push(address.to_canonical()),
            Err(_) if text.is_empty() => {}
            Err(_) => return taking.fault(&record.line, column, text, Why::NotAnAddress),
        }
    }
    let host = host(record.get("source.fqdn"));
    if addresses.is_empty() && host.is_none() {
        return taking.fault(&record.line, "source.ip", "", Why::Missing);
    }
    let mut observables: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for (column, field) in OBSERVABLES {
        observables.entry(field).or_default().extend(kept(record.get(column)));
    }
    observables.retain(|_, values| !values.is_empty());
    let (_, source) = record.first_of(&["feed.name", "feed.provider", "feed.code"]);
    let (_, identifier) = record.first_of(&["classification.identifier", "classification.type", "classification.taxonomy"]);
    let source = kept(source).unwrap_or_else(|| "IntelMQ".into());
    taking.row(Row {
        title: format!("{source} meldet {}: {identifier}", rsit.label()),
        kind: format!("{rsit}:{identifier}"),
        source,
        rsit,
        level: level(rsit),
        tlp: label(record.get("tlp")),
        addresses,
        host,
        first: at,
        last: at,
        observables,
    });
}

fn label(text: &str) -> Tlp {
    let known = crate::intel::Tlp::loose(text).and_then(|tlp| Tlp::parse(tlp.as_str().trim_start_matches("TLP:")));
    // Unlabelled is not clear; and nothing that comes in may go further than our cases do by themselves.
    known.unwrap_or_default().max(Tlp::default())
}

/// The class of a type, whatever its taxonomy is said to be; else that of the taxonomy alone.
pub(super) fn class(taxonomy: &str, kind: &str) -> Option<Rsit> {
    let (taxonomy, kind) = (taxonomy.to_lowercase(), kind.to_lowercase());
    let whole = format!("{taxonomy}/{kind}").parse().ok();
    let by_type = || {
        let category = CATEGORIES.iter().find(|category| category.types.iter().any(|(name, _)| *name == kind))?;
        format!("{}/{kind}", category.name).parse().ok()
    };
    let translated = || TYPES.iter().find(|(name, _)| *name == kind).and_then(|(_, class)| class.parse().ok());
    let alone = || if kind.is_empty() { taxonomy.parse().ok() } else { None };
    whole.or_else(by_type).or_else(translated).or_else(alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_translation_is_a_class() {
        for (name, class_text) in TYPES {
            assert!(class_text.parse::<Rsit>().is_ok(), "{name}");
        }
        for (taxonomy, kind, expected) in [
            ("malicious-code", "c2-server", Some("malicious-code/c2-server")),
            ("", "infected-system", Some("malicious-code/infected-system")),
            ("wrong", "phishing", Some("fraud/phishing")),
            ("vulnerable", "", Some("vulnerable")),
            ("Malicious Code", "c2server", Some("malicious-code/c2-server")),
            ("malicious-code", "neu-erfunden", None),
            ("", "", None),
        ] {
            assert_eq!(class(taxonomy, kind).map(|class| class.to_string()).as_deref(), expected, "{taxonomy} {kind}");
        }
    }
}

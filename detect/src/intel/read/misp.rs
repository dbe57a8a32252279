//! What MISP exports: events with their attributes and objects (alone, in a list, or as its API answers), attributes alone,
//! and the manifest of a feed. Composite types (`domain|ip`) are taken apart; `to_ids` decides whether it is for detection.

use serde_json::Value;

use super::{ReadError, Reading, Reason, Said, moment};
use crate::intel::tlp::Tlp;

/// Attributes of one event; the largest public ones have some ten thousand.
const ATTRIBUTES_MAX: usize = 1_000_000;

pub(super) fn looks_so(document: &Value) -> bool {
    let has = |value: &Value| ["Event", "response", "Attribute"].iter().any(|key| value.get(key).is_some());
    has(document) || document.as_array().and_then(|all| all.first()).is_some_and(has)
}

pub(super) fn read(reading: &mut Reading<'_>, document: &Value) -> Result<(), ReadError> {
    let inner = document.get("response").unwrap_or(document);
    let alone = std::slice::from_ref(inner);
    for entry in inner.as_array().map_or(alone, Vec::as_slice) {
        if let Some(event) = entry.get("Event") {
            read_event(reading, event)?;
        } else if let Some(attributes) = entry.get("Attribute").and_then(Value::as_array) {
            for attribute in attributes.iter().take(ATTRIBUTES_MAX) {
                read_attribute(reading, attribute, &[attribute.get("Event").unwrap_or(&Value::Null)])?;
            }
        } else {
            reading.refuse("", Reason::Malformed, "neither Event nor Attribute");
        }
    }
    Ok(())
}

fn read_event(reading: &mut Reading<'_>, event: &Value) -> Result<(), ReadError> {
    let list = |of: &'_ Value, key: &str| of.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut left = ATTRIBUTES_MAX;
    let objects = list(event, "Object");
    let groups = std::iter::once(event).chain(objects.iter());
    for group in groups {
        for mut attribute in list(group, "Attribute").into_iter().take(left) {
            left -= 1;
            // What is gone as a whole is gone with all its parts.
            if (is_true(group.get("deleted")) || is_true(event.get("deleted")))
                && let Some(fields) = attribute.as_object_mut()
            {
                fields.insert("deleted".into(), true.into());
            }
            read_attribute(reading, &attribute, &[event])?;
        }
    }
    if left == 0 {
        reading.refuse(text(event, "uuid"), Reason::TooMany, "attributes");
    }
    Ok(())
}

/// `around` is what its tags come from where it has none itself.
fn read_attribute(reading: &mut Reading<'_>, attribute: &Value, around: &[&Value]) -> Result<(), ReadError> {
    let (kind, value, uuid) = (text(attribute, "type"), text(attribute, "value"), text(attribute, "uuid"));
    let Some((parts, kinds)) = parts(kind, value) else {
        reading.refuse(uuid, Reason::OtherKind, kind);
        return Ok(());
    };
    let withdrawn = is_true(attribute.get("deleted"));
    if !withdrawn && attribute.get("to_ids").is_some_and(|to_ids| !is_true(Some(to_ids))) {
        reading.refuse(uuid, Reason::NotForDetection, kind);
        return Ok(());
    }
    let tagged = |of: fn(&str) -> Option<u8>| {
        tags(attribute).filter_map(of).max().or_else(|| around.iter().flat_map(|around| tags(around)).filter_map(of).max())
    };
    // Of several the strictest.
    let own = tags(attribute).filter_map(Tlp::loose).max();
    let said = Said {
        tlp: own.or_else(|| around.iter().flat_map(|around| tags(around)).filter_map(Tlp::loose).max()),
        confidence: tagged(confidence),
        valid_until: None,
        seen: ["last_seen", "timestamp", "first_seen"].iter().find_map(|key| moment(&plain(attribute.get(key)?)?)),
        reference: Some(uuid.to_owned()).filter(|uuid| !uuid.is_empty()),
        withdrawn,
    };
    for part in parts {
        reading.value(uuid, part, kinds, &said)?;
    }
    Ok(())
}

const ADDRESSES: &[&str] = &["address", "prefix"];
const NAMES: &[&str] = &["domain", "address"];

/// The values of an attribute and the kinds they may be of; `None` for types that nothing is looked up for.
fn parts<'v>(kind: &str, value: &'v str) -> Option<(Vec<&'v str>, &'static [&'static str])> {
    let first = || vec![value.split('|').next().unwrap_or_default().trim()];
    let second = || vec![value.split_once('|').map_or("", |(_, second)| second).trim()];
    Some(match kind {
        "ip-src" | "ip-dst" => (vec![value], ADDRESSES),
        "ip-src|port" | "ip-dst|port" => (first(), ADDRESSES),
        "domain" | "hostname" => (vec![value], NAMES),
        "hostname|port" => (first(), NAMES),
        "domain|ip" => (value.split('|').map(str::trim).take(2).collect(), NAMES),
        "url" | "uri" => (vec![value], &["url", "domain"]),
        "md5" => (vec![value], &["md5"]),
        "sha1" => (vec![value], &["sha1"]),
        "sha256" => (vec![value], &["sha256"]),
        "filename|md5" | "malware-sample" => (second(), &["md5"]),
        "filename|sha1" => (second(), &["sha1"]),
        "filename|sha256" => (second(), &["sha256"]),
        "email" | "email-src" | "email-dst" | "email-reply-to" => (vec![value], &["mail"]),
        _ => return None,
    })
}

fn text<'v>(of: &'v Value, key: &str) -> &'v str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A text, or a number as one: MISP writes both.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// True as MISP writes it in its several exports.
fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(truth)) => *truth,
        Some(Value::String(text)) => matches!(text.as_str(), "1" | "true"),
        Some(Value::Number(number)) => number.as_i64() == Some(1),
        _ => false,
    }
}

fn tags(of: &Value) -> impl Iterator<Item = &str> {
    of.get("Tag").and_then(Value::as_array).into_iter().flatten().filter_map(|tag| tag.get("name").and_then(Value::as_str))
}

/// What taxonomies say of trust, in percent.
fn confidence(tag: &str) -> Option<u8> {
    let (key, value) = tag.split_once('=')?;
    match (key, value.trim_matches('"')) {
        ("misp:confidence-level", "completely-confident") => Some(100),
        ("misp:confidence-level", "usually-confident") => Some(75),
        ("misp:confidence-level", "fairly-confident") => Some(50),
        ("misp:confidence-level", "rarely-confident") => Some(25),
        ("misp:confidence-level", "unconfident") => Some(0),
        ("estimative-language:confidence-in-analytic-judgment", "high") => Some(85),
        ("estimative-language:confidence-in-analytic-judgment", "moderate") => Some(60),
        ("estimative-language:confidence-in-analytic-judgment", "low") => Some(30),
        _ => None,
    }
}

/// What a feed has: its events, each with when it last changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::intel) struct Manifest {
    /// UUID and time of change in seconds, the oldest first.
    pub(in crate::intel) events: Vec<(String, i64)>,
}

impl Manifest {
    /// `None` where it is none. A UUID that is none is left out: it becomes part of an address.
    pub(in crate::intel) fn read(document: &Value) -> Option<Self> {
        let entries = document.as_object()?;
        let uuid = |text: &str| text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let of = |(id, entry): (&String, &Value)| {
            let at = plain(entry.get("timestamp")?)?.parse().ok()?;
            uuid(id).then(|| (id.to_lowercase(), at))
        };
        let mut events: Vec<(String, i64)> = entries.iter().filter_map(of).collect();
        events.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        (!events.is_empty() || entries.is_empty()).then_some(Self { events })
    }
}

//! STIX 2.1: indicators of a bundle, of a TAXII page, or alone. Taken are those whose pattern is values each of which would
//! do alone (`stix_pattern`); the others are refused by name.

use std::collections::HashMap;

use ingest::time::Timestamp;
use serde_json::Value;

use super::stix_pattern::{Leaf, leaves};
use super::{ReadError, Reading, Reason, Said, moment};
use crate::intel::tlp::Tlp;

/// Markings remembered over the pages of a collection.
const MARKINGS_MAX: usize = 10_000;
/// Clocks differ; an indicator that begins later than this is not in force yet.
const AHEAD_MAX: i64 = Timestamp::DAY;

/// The marking definitions that the standard names, of TLP 1 and of TLP 2.0.
const KNOWN: [(&str, Tlp); 9] = [
    ("613f2e26-407d-48c7-9eca-b8e91df99dc9", Tlp::Clear),
    ("34098fce-860f-48ae-8e50-ebd3cc5e41da", Tlp::Green),
    ("f88d31f6-486f-44da-b317-01333bde0b82", Tlp::Amber),
    ("5e57c739-391a-4eb3-b6be-7d15ca92d5ed", Tlp::Red),
    ("94868c89-83c2-464b-929b-a1a8aa3c8487", Tlp::Clear),
    ("bab4a63c-aed9-4cf5-a766-dfca5abac2bb", Tlp::Green),
    ("55d920b0-5e8b-4f79-9ee9-91f868d9b421", Tlp::Amber),
    ("939a9414-2ddd-4d32-a0cd-375ea402b003", Tlp::AmberStrict),
    ("e828b379-4e03-4974-9ac4-e53a884c97c1", Tlp::Red),
];

/// What marking definitions mean, by their identity.
#[derive(Clone, Debug, Default)]
pub(in crate::intel) struct Markings(HashMap<String, Tlp>);

impl Markings {
    fn learn(&mut self, object: &Value) {
        let Some(id) = object.get("id").and_then(Value::as_str) else { return };
        if let Some(tlp) = said(object).filter(|_| self.0.len() < MARKINGS_MAX) {
            self.0.insert(id.to_owned(), tlp);
        }
    }

    fn of(&self, id: &str) -> Option<Tlp> {
        stix_label(id, None).or_else(|| self.0.get(id).copied())
    }

    /// The strictest of an object's markings.
    fn tlp(&self, object: &Value) -> Option<Tlp> {
        let refs = object.get("object_marking_refs").and_then(Value::as_array)?;
        refs.iter().filter_map(|id| self.of(id.as_str()?)).max()
    }
}

/// What a marking definition says of itself.
fn said(object: &Value) -> Option<Tlp> {
    let mut extended = object.get("extensions").and_then(Value::as_object).into_iter().flatten();
    let extended = extended.find_map(|(_, extension)| extension.get("tlp_2_0").and_then(Value::as_str));
    let plain = object.pointer("/definition/tlp").and_then(Value::as_str);
    let name = object.get("name").and_then(Value::as_str);
    [extended, plain, name].into_iter().flatten().find_map(Tlp::loose)
}

/// The label behind a marking's identity: one that the standard names, else what the object says, where there is one.
pub(crate) fn stix_label(id: &str, object: Option<&Value>) -> Option<Tlp> {
    let known = KNOWN.iter().find(|(uuid, _)| id.strip_prefix("marking-definition--") == Some(uuid)).map(|(_, tlp)| *tlp);
    known.or_else(|| object.and_then(said))
}

pub(super) fn looks_so(document: &Value) -> bool {
    document.get("type").and_then(Value::as_str).is_some_and(|kind| matches!(kind, "bundle" | "indicator"))
        || document.get("objects").is_some_and(Value::is_array)
}

pub(super) fn read(reading: &mut Reading<'_>, document: &Value) -> Result<(), ReadError> {
    let alone = std::slice::from_ref(document);
    let objects = document.get("objects").and_then(Value::as_array).map_or(alone, Vec::as_slice);
    reading.stix_objects(objects, &mut Markings::default())
}

impl Reading<'_> {
    /// The objects of a bundle or of a page; a marking may come behind what it marks.
    ///
    /// # Errors
    /// The sink's.
    pub(in crate::intel) fn stix_objects(&mut self, objects: &[Value], markings: &mut Markings) -> Result<(), ReadError> {
        let kind = |object: &Value| object.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        objects.iter().filter(|object| kind(object) == "marking-definition").for_each(|object| markings.learn(object));
        for object in objects {
            match kind(object).as_str() {
                "indicator" => self.stix_indicator(object, markings)?,
                // They go with indicators and say nothing of their own.
                "marking-definition" | "identity" | "extension-definition" | "bundle" => {}
                "" => self.refuse("", Reason::Malformed, "no type"),
                other => {
                    let id = object.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
                    self.refuse(&id, Reason::OtherKind, other);
                }
            }
        }
        Ok(())
    }

    fn stix_indicator(&mut self, object: &Value, markings: &Markings) -> Result<(), ReadError> {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        let id = text("id").unwrap_or_default();
        let Some(pattern) = text("pattern") else { return self.refused(id, Reason::Malformed, "no pattern") };
        match text("pattern_type") {
            Some("stix") | None => {}
            Some(other) => return self.refused(id, Reason::UnknownPattern, &format!("pattern_type {other}")),
        }
        let withdrawn = object.get("revoked").and_then(Value::as_bool).unwrap_or_default();
        if text("valid_from").and_then(moment).is_some_and(|from| from > self.now.plus(AHEAD_MAX)) && !withdrawn {
            return self.refused(id, Reason::NotYetValid, pattern);
        }
        let confidence = object.get("confidence").and_then(Value::as_u64).and_then(|percent| u8::try_from(percent.min(100)).ok());
        let said = Said {
            tlp: markings.tlp(object),
            confidence,
            valid_until: text("valid_until").and_then(moment),
            seen: text("modified").or_else(|| text("created")).and_then(moment),
            reference: Some(id.to_owned()).filter(|id| !id.is_empty()),
            withdrawn,
        };
        match leaves(pattern) {
            Err((reason, what)) => self.refuse(id, reason, &what),
            Ok(found) => {
                for leaf in found {
                    match leaf {
                        Leaf::Value(value, kinds) => self.value(id, &value, kinds, &said)?,
                        Leaf::Other(reason, what) => self.refuse(id, reason, &what),
                    }
                }
            }
        }
        Ok(())
    }
}

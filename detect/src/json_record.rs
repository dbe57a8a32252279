//! A record read from one JSON object, flat or nested, under the names that stand there: the evidence beside the rules,
//! and what `rules run` evaluates. Events and flows alike; nothing here decodes log formats, but a Windows event that a
//! tool turned into JSON has the names that Sigma gives its fields.

mod windows;

use ingest::event::{Defect, Defects, ValueRef};
use ingest::fields::{self, FieldId, Kind};
use ingest::frame::Seq;
use ingest::record::Record;
use ingest::time::Timestamp;
use serde_json::{Map, Value};

/// Fields kept of one object.
const FIELDS_MAX: usize = 1_000;
/// Nesting followed; ECS has four levels.
const DEPTH_MAX: usize = 8;

/// A record of its own values.
#[derive(Clone, Debug)]
pub struct JsonRecord {
    seq: Seq,
    timestamp: Timestamp,
    text: String,
    fields: Vec<(FieldId, ingest::event::Value)>,
    defects: Defects,
}

impl JsonRecord {
    /// `seq` and `received_at` where the object does not say better (`@timestamp`).
    pub fn new(object: &Map<String, Value>, seq: Seq, received_at: Timestamp) -> Self {
        let mut record = Self { seq, timestamp: received_at, text: String::new(), fields: Vec::new(), defects: Defects::default() };
        match windows::fields(object) {
            Some(fields) => fields.iter().for_each(|(name, value)| record.add(name, value, 0)),
            None => object.iter().for_each(|(name, value)| record.add(name, value, 0)),
        }
        record
    }

    fn add(&mut self, name: &str, value: &Value, depth: usize) {
        match (name, value) {
            ("@timestamp", Value::String(text)) => match Timestamp::parse_rfc3339(text) {
                Some(timestamp) => self.timestamp = timestamp,
                None => self.defects.add(Defect::BadTimestamp),
            },
            ("_raw", Value::String(text)) => self.text.clone_from(text),
            ("_defects", _) | (_, Value::Null) => {}
            (_, Value::Array(values)) if depth < DEPTH_MAX => values.iter().for_each(|value| self.add(name, value, depth + 1)),
            (_, Value::Object(inner)) if depth < DEPTH_MAX => {
                inner.iter().for_each(|(key, value)| self.add(&format!("{name}.{key}"), value, depth + 1));
            }
            (_, Value::Array(_) | Value::Object(_)) => self.defects.add(Defect::BadField),
            _ => self.push(name, value),
        }
    }

    fn push(&mut self, name: &str, value: &Value) {
        let Some(field) = FieldId::intern(name).filter(|_| self.fields.len() < FIELDS_MAX) else {
            return self.defects.add(Defect::TooManyFields);
        };
        if field == fields::MESSAGE && self.text.is_empty() {
            self.text = value.as_str().unwrap_or_default().to_owned();
        }
        let is_ip = field.known().is_some_and(|known| known.kind == Kind::Ip);
        let value = match value {
            Value::Bool(truth) => ingest::event::Value::Bool(*truth),
            Value::Number(number) => match number.as_i64() {
                Some(number) => ingest::event::Value::Int(number),
                None => ingest::event::Value::Text(number.to_string().into()),
            },
            Value::String(text) => match text.parse() {
                Ok(address) if is_ip => ingest::event::Value::Ip(address),
                _ => ingest::event::Value::Text(text.as_str().into()),
            },
            Value::Null | Value::Array(_) | Value::Object(_) => return,
        };
        self.fields.push((field, value));
    }
}

fn view(value: &ingest::event::Value) -> ValueRef<'_> {
    match value {
        ingest::event::Value::Text(text) => ValueRef::Str(text),
        ingest::event::Value::Name(name) => ValueRef::Str(name),
        ingest::event::Value::Shared(text) => ValueRef::Str(text),
        ingest::event::Value::Int(number) => ValueRef::Int(*number),
        ingest::event::Value::Ip(address) => ValueRef::Ip(*address),
        ingest::event::Value::Bool(truth) => ValueRef::Bool(*truth),
        // Slices point into an event's line; this record makes none.
        ingest::event::Value::Slice(_) => ValueRef::Str(""),
    }
}

impl Record for JsonRecord {
    fn seq(&self) -> Seq {
        self.seq
    }
    fn timestamp(&self) -> Timestamp {
        self.timestamp
    }
    fn text(&self) -> &str {
        &self.text
    }
    fn defects(&self) -> Defects {
        self.defects
    }
    fn any_value(&self, field: FieldId, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
        self.fields.iter().any(|(id, value)| *id == field && visit(view(value)))
    }
    fn any_field(&self, visit: &mut dyn FnMut(FieldId, ValueRef<'_>) -> bool) -> bool {
        self.fields.iter().any(|(field, value)| visit(*field, view(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_objects_and_arrays_become_flat_fields() {
        let object = serde_json::json!({
            "@timestamp": "2026-11-21T13:02:07Z", "source": {"ip": "192.0.2.1", "port": 22}, "tags": ["a", "b"], "message": "m", "x.y": 1.5, "n": null
        });
        let record = JsonRecord::new(object.as_object().unwrap(), Seq(3), Timestamp(0));
        assert_eq!(record.timestamp().rfc3339(), "2026-11-21T13:02:07.000Z");
        assert_eq!(record.first_ip(fields::SOURCE_IP), Some("192.0.2.1".parse().unwrap()));
        assert!(record.any_value(fields::TAGS, &mut |value| value == ValueRef::Str("b")));
        assert_eq!((record.text(), record.fields.len()), ("m", 6));
    }
}

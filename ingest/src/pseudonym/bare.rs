//! The bare form: an event whose line could not be kept with pseudonyms in it, because a value stands there in a form
//! that cannot be found (encoded, derived, cut). Its fields are kept, as a JSON object of our own; no decoder reads it,
//! so that no sender can write one.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::body::SiteId;
use crate::event::{Defect, Defects, Event, ValueRef};
use crate::fields::{FieldId, Kind};
use crate::frame::{Seq, Transport};
use crate::time::Timestamp;

const TIME: &str = "@timestamp";
const DEFECTS: &str = "_defects";

/// The bytes that the store keeps.
pub(crate) fn bare_payload<'a>(timestamp: Timestamp, defects: Defects, fields: impl Iterator<Item = (FieldId, ValueRef<'a>)>) -> Vec<u8> {
    let mut object = Map::new();
    object.insert(TIME.into(), timestamp.0.into());
    object.insert(DEFECTS.into(), defects.iter().map(Defect::name).collect());
    for (field, value) in fields {
        let value = json!([value.json()]);
        match object.get_mut(field.name()) {
            Some(Value::Array(all)) => all.extend(value.as_array().into_iter().flatten().cloned()),
            _ => {
                object.insert(field.name().into(), value);
            }
        }
    }
    Value::Object(object).to_string().into_bytes()
}

/// The event of such bytes; damaged ones give an event without fields.
pub(crate) fn bare_event(seq: Seq, received_at: Timestamp, site: SiteId, peer: IpAddr, transport: Transport, payload: &[u8]) -> Event {
    let mut event = Event::new(seq, received_at, site, peer, transport, payload);
    let object: Map<String, Value> = serde_json::from_slice(payload).unwrap_or_default();
    for (name, value) in &object {
        match (name.as_str(), value) {
            (TIME, value) => event.timestamp = value.as_i64().map_or(received_at, Timestamp),
            (DEFECTS, value) => {
                let names: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                Defect::ALL.into_iter().filter(|defect| names.contains(&defect.name())).for_each(|defect| event.defects.add(defect));
            }
            (name, Value::Array(values)) => {
                let Some(field) = FieldId::intern(name) else { continue };
                values.iter().for_each(|value| push(&mut event, field, value));
            }
            _ => {}
        }
    }
    event.defects.add(Defect::PseudonymisedLine);
    event
}

fn push(event: &mut Event, field: FieldId, value: &Value) {
    let kind = field.known().map(|row| row.kind);
    match value {
        Value::Bool(truth) => event.push_bool(field, *truth),
        Value::Number(number) => match number.as_i64() {
            Some(number) => event.push_int(field, number),
            None => event.push_text(field, number.to_string()),
        },
        Value::String(text) => match text.parse().ok().filter(|_| kind == Some(Kind::Ip)) {
            Some(address) => event.push_ip(field, address),
            None => event.push_text(field, text.as_str()),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => {}
    }
}

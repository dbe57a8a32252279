//! The bare form: an event whose line could not be kept with pseudonyms in it, because a value stands there in a form
//! that cannot be found (encoded, derived, cut). Its fields are kept, as a JSON object of our own; no decoder reads it,
//! so that no sender can write one.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::body::SiteId;
use crate::event::{Defect, Defects, Event, ValueRef};
use crate::fields::{self, FieldId, Kind};
use crate::frame::{Seq, Transport};
use crate::time::Timestamp;

const TIME: &str = "@timestamp";
const DEFECTS: &str = "_defects";
/// What is shown in the line's place stands among the bytes too, so that a search for its words finds the event.
const MESSAGE: &str = "message";

/// The bytes that the store keeps.
pub(crate) fn bare_payload<'a>(timestamp: Timestamp, defects: Defects, fields: impl Iterator<Item = (FieldId, ValueRef<'a>)>) -> Vec<u8> {
    let fields: Vec<(FieldId, ValueRef<'a>)> = fields.collect();
    let first = |wanted: FieldId| fields.iter().find(|(field, _)| *field == wanted).map(|(_, value)| value.text().into_owned());
    let mut object = Map::new();
    object.insert(TIME.into(), timestamp.0.into());
    object.insert(DEFECTS.into(), defects.iter().map(Defect::name).collect());
    object.insert(MESSAGE.into(), headline(first).into());
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
    // Our own JSON is no message for a reader. Events of before carry no headline: it is made of the fields each time.
    let headline = headline(|field| event.get(field).map(|value| value.text().into_owned()));
    if !headline.is_empty() {
        event.set_message_text(headline);
    }
    event
}

/// What happened, to whom and between whom, of the fields that are kept: "iptables blocked 198.51.100.7 → 10.1.2.3:22".
fn headline(first: impl Fn(FieldId) -> Option<String>) -> String {
    let text = |field| first(field).filter(|text| !text.is_empty());
    let end = |address, port| text(address).map(|address| text(port).map_or_else(|| address.clone(), |port| with_port(&address, &port)));
    let from = text(fields::SOURCE_IP);
    let way = match (from, end(fields::DESTINATION_IP, fields::DESTINATION_PORT)) {
        (from, Some(to)) => Some(format!("{} → {to}", from.unwrap_or_default()).trim_start().to_owned()),
        (from, None) => from,
    };
    let module = text(fields::EVENT_MODULE).or_else(|| text(fields::PROCESS_NAME));
    let parts = [module, text(fields::EVENT_ACTION), text(fields::USER_NAME), way];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn with_port(address: &str, port: &str) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
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

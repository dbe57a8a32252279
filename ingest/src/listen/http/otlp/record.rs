//! A LogRecord, with what its resource and scope say, as a JSON object with ECS names. What ECS has a name for gets it;
//! everything else keeps its own below `otel.`. A name that is taken already never overwrites: nothing is lost.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, SecondsFormat};
use prost::{DecodeError, Message as _};
use serde_json::{Map, Value};

use crate::fields::FieldId;

/// Names of OpenTelemetry and its collector's receivers for what ECS calls otherwise.
const ALIASES: &[(&str, &str)] = &[
    ("client.address", "source.ip"),
    ("client.port", "source.port"),
    ("network.peer.address", "source.ip"),
    ("network.peer.port", "source.port"),
    ("server.address", "destination.domain"),
    ("server.port", "destination.port"),
    ("network.protocol.name", "network.protocol"),
    ("exception.message", "error.message"),
    ("exception.type", "error.type"),
    ("exception.stacktrace", "error.stack_trace"),
    ("process.executable.name", "process.name"),
    // The syslog receiver's.
    ("appname", "process.name"),
    ("proc_id", "process.pid"),
    ("hostname", "host.name"),
    ("msg_id", "log.syslog.msgid"),
];

/// Names that OpenTelemetry and ECS share, besides those in the field table.
const SHARED: [&str; 3] = ["service.", "log.file.", "container."];

// Texts are read as bytes: the collector does not check that they are UTF-8, and a log is kept as it is.

#[derive(Clone, PartialEq, prost::Message)]
struct LogRecord {
    #[prost(fixed64, tag = "1")]
    time_unix_nano: u64,
    #[prost(fixed64, tag = "11")]
    observed_time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    severity_number: i32,
    #[prost(bytes = "vec", tag = "3")]
    severity_text: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "7")]
    dropped_attributes_count: u32,
    #[prost(bytes = "vec", tag = "9")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "12")]
    event_name: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Scope {
    #[prost(bytes = "vec", tag = "1")]
    name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    version: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AnyValue {
    #[prost(oneof = "Is", tags = "1, 2, 3, 4, 5, 6, 7")]
    is: Option<Is>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Is {
    #[prost(bytes = "vec", tag = "1")]
    Text(Vec<u8>),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    List(KeyValueList),
    #[prost(bytes = "vec", tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, prost::Message)]
struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    values: Vec<KeyValue>,
}

/// What the records of a scope have in common: names as they are, and values.
#[derive(Clone, Debug, Default)]
pub(super) struct Around(Vec<(String, Value)>);

impl Around {
    pub(super) fn resource(&mut self, message: &[u8]) -> Result<(), DecodeError> {
        self.add(Resource::decode(message)?.attributes);
        Ok(())
    }

    pub(super) fn scope(&mut self, message: &[u8]) -> Result<(), DecodeError> {
        let Scope { name, version, attributes } = Scope::decode(message)?;
        for (key, value) in [("scope.name", name), ("scope.version", version)] {
            if !value.is_empty() {
                self.0.push((key.into(), text(&value).into()));
            }
        }
        self.add(attributes);
        Ok(())
    }

    fn add(&mut self, attributes: Vec<KeyValue>) {
        self.0.extend(attributes.into_iter().map(|KeyValue { key, value }| (text(&key).into_owned(), value_of(value))));
    }

    /// The JSON of one LogRecord.
    pub(super) fn event(&self, message: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let record = LogRecord::decode(message)?;
        let mut event = Event(Map::new());
        let nanos = if record.time_unix_nano == 0 { record.observed_time_unix_nano } else { record.time_unix_nano };
        event.put_some("@timestamp", i64::try_from(nanos).ok().filter(|nanos| *nanos > 0).map(rfc3339));
        event.body(record.body);
        let level = match text(&record.severity_text) {
            text if text.is_empty() => severity(record.severity_number).map(str::to_owned),
            text => Some(text.into_owned()),
        };
        event.put_some("log.level", level);
        event.put_some("event.severity", (record.severity_number > 0).then_some(record.severity_number));
        event.put_some("trace.id", hex(&record.trace_id));
        event.put_some("span.id", hex(&record.span_id));
        if !record.event_name.is_empty() {
            event.put("otel.event_name", text(&record.event_name).into());
        }
        let dropped = record.dropped_attributes_count;
        event.put_some("otel.dropped_attributes_count", (dropped > 0).then_some(dropped));
        for KeyValue { key, value } in record.attributes {
            event.attribute(&text(&key), value_of(value), "otel.");
        }
        for (key, value) in &self.0 {
            event.attribute(key, value.clone(), "otel.resource.");
        }
        Ok(Value::Object(event.0).to_string().into_bytes())
    }
}

struct Event(Map<String, Value>);

impl Event {
    fn put(&mut self, name: &str, value: Value) {
        self.0.insert(name.into(), value);
    }

    fn put_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value.into());
        }
    }

    /// A text is the message. Of an object that has one, `message` is; all of it is kept below `otel.body`.
    fn body(&mut self, body: Option<AnyValue>) {
        match value_of(body) {
            Value::Null => {}
            Value::String(message) => self.put("message", message.into()),
            Value::Object(members) => {
                let message = members.get("message").and_then(Value::as_str).map(str::to_owned);
                self.put_some("message", message);
                self.put("otel.body", members.into());
            }
            other => self.put("message", other.to_string().into()),
        }
    }

    /// Puts an attribute by its ECS name, or below `prefix` where it has none or that is taken.
    fn attribute(&mut self, name: &str, value: Value, prefix: &str) {
        if value.is_null() {
            return;
        }
        let ecs = ecs_name(name, &value).filter(|ecs| !self.0.contains_key(*ecs));
        match ecs {
            Some(ecs) => self.put(ecs, value),
            None => {
                let otel = format!("otel.{name}");
                let name = if self.0.contains_key(&otel) { format!("{prefix}{name}") } else { otel };
                // The same name twice on the same level breaks OTLP's rules; the first is kept, and the second beside it.
                let name = if self.0.contains_key(&name) { format!("{name}.again") } else { name };
                self.put(&name, value);
            }
        }
    }
}

fn ecs_name<'n>(name: &'n str, value: &Value) -> Option<&'n str> {
    let is_known = |name: &str| FieldId::find(name).is_some_and(|field| field.known().is_some());
    match ALIASES.iter().find(|(otel, _)| *otel == name) {
        // A peer may also be named, or be the path of a socket.
        Some((_, ecs @ "source.ip")) => value.as_str().is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok()).then_some(*ecs),
        Some((_, ecs)) => Some(ecs),
        None => (is_known(name) || SHARED.iter().any(|prefix| name.starts_with(prefix))).then_some(name),
    }
}

/// Nesting is bounded by prost's limit of 100 levels.
fn value_of(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.is) {
        None => Value::Null,
        Some(Is::Text(bytes)) => text(&bytes).into(),
        Some(Is::Bool(truth)) => truth.into(),
        Some(Is::Int(number)) => number.into(),
        // JSON has no infinity.
        Some(Is::Double(number)) => serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number),
        Some(Is::Array(array)) => array.values.into_iter().map(|value| value_of(Some(value))).collect(),
        Some(Is::List(list)) => list.values.into_iter().map(|KeyValue { key, value }| (text(&key).into_owned(), value_of(value))).collect(),
        Some(Is::Bytes(bytes)) => BASE64.encode(bytes).into(),
    }
}

/// UTF-8, or what Windows takes it for.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0, Cow::Borrowed)
}

fn rfc3339(nanos: i64) -> String {
    DateTime::from_timestamp_nanos(nanos).to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// The names of OpenTelemetry's ranges of severity.
fn severity(number: i32) -> Option<&'static str> {
    match number {
        1..=4 => Some("trace"),
        5..=8 => Some("debug"),
        9..=12 => Some("info"),
        13..=16 => Some("warn"),
        17..=20 => Some("error"),
        21..=24 => Some("fatal"),
        _ => None,
    }
}

/// An id; all zeros is none.
fn hex(id: &[u8]) -> Option<String> {
    let is_id = matches!(id.len(), 8 | 16) && id.iter().any(|byte| *byte != 0);
    is_id.then(|| id.iter().map(|byte| format!("{byte:02x}")).collect())
}

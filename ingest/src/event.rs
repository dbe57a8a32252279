//! The event: what a line becomes. Typed values under interned ECS names, most of them slices of the line
//! itself, together with what was wrong with it and the bytes as they came. No JSON on the way.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use crate::body::SiteId;
use crate::fields::FieldId;
use crate::frame::{Seq, Transport};
use crate::time::Timestamp;

/// A decoded line. Fields may repeat (ECS arrays); their order is the decoder's.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub seq: Seq,
    pub received_at: Timestamp,
    /// `@timestamp`: the device's time where it can be believed, else the time of receipt.
    pub timestamp: Timestamp,
    pub site: SiteId,
    pub peer: IpAddr,
    pub transport: Transport,
    /// The whole line as text; where the bytes were no UTF-8, read as Windows-1252 (and the bytes kept).
    line: Box<str>,
    /// The bytes as they came, where they differ from `line`.
    raw: Option<Box<[u8]>>,
    /// The message behind the header, as a slice of `line`.
    message: Range<u32>,
    /// The message where it is no slice of the line: a JSON text with escapes.
    message_text: Option<Box<str>>,
    fields: Vec<(FieldId, Value)>,
    pub defects: Defects,
    /// The payload decoder that understood it; empty for none.
    pub decoder: &'static str,
    /// An earlier line of the same sender that some of the fields come from (`decode::Pairs`). It is stored beside the
    /// line, so that decoding it again needs nothing else.
    pub context: Option<Box<str>>,
}

/// A field's value as stored in the event.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A slice of the event's line.
    Slice(Range<u32>),
    Text(Box<str>),
    /// A word of ours (`failure`, `ssh_login`): most events carry several, none needs an allocation.
    Name(&'static str),
    /// A text that many events share: a country, a provider, a machine's name.
    Shared(Arc<str>),
    Int(i64),
    Ip(IpAddr),
    Bool(bool),
}

/// A field's value as read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    Str(&'a str),
    Int(i64),
    Ip(IpAddr),
    Bool(bool),
}

impl<'a> ValueRef<'a> {
    /// The value as text, as search and rules compare it.
    pub fn text(self) -> Cow<'a, str> {
        match self {
            Self::Str(text) => Cow::Borrowed(text),
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::Ip(address) => Cow::Owned(address.to_string()),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
        }
    }

    pub fn as_int(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(number),
            Self::Str(text) => text.parse().ok(),
            Self::Ip(_) | Self::Bool(_) => None,
        }
    }

    pub fn as_ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address),
            Self::Str(text) => text.parse().ok(),
            Self::Int(_) | Self::Bool(_) => None,
        }
    }

    /// As JSON: addresses as text, numbers as numbers.
    pub fn json(self) -> serde_json::Value {
        match self {
            Self::Str(text) => text.into(),
            Self::Int(number) => number.into(),
            Self::Ip(address) => address.to_string().into(),
            Self::Bool(truth) => truth.into(),
        }
    }
}

impl Event {
    /// An event of the given bytes, without fields yet: UTF-8 as it is, anything else read as Windows-1252.
    pub fn new(seq: Seq, received_at: Timestamp, site: SiteId, peer: IpAddr, transport: Transport, bytes: &[u8]) -> Self {
        let (line, raw, defects) = match std::str::from_utf8(bytes) {
            Ok(text) => (Box::from(text), None, Defects::default()),
            Err(_) => {
                let text: String = bytes.iter().map(|byte| windows_1252(*byte)).collect();
                (text.into_boxed_str(), Some(Box::from(bytes)), Defects::from(Defect::NotUtf8))
            }
        };
        let end = u32::try_from(line.len()).unwrap_or(u32::MAX);
        Self {
            seq,
            received_at,
            timestamp: received_at,
            site,
            peer,
            transport,
            line,
            raw,
            message: 0..end,
            message_text: None,
            fields: Vec::new(),
            defects,
            decoder: "",
            context: None,
        }
    }

    pub fn line(&self) -> &str {
        &self.line
    }

    /// The bytes as they came in.
    pub fn raw(&self) -> &[u8] {
        self.raw.as_deref().unwrap_or(self.line.as_bytes())
    }

    pub fn message(&self) -> &str {
        self.message_text.as_deref().unwrap_or_else(|| self.slice(&self.message))
    }

    /// Where the message stands in the line.
    pub fn message_range(&self) -> Range<usize> {
        self.message.start as usize..self.message.end as usize
    }

    /// Says that the message is `range` of the line; a range outside it is ignored.
    pub fn set_message(&mut self, range: Range<usize>) {
        if let Some(range) = self.checked(range) {
            self.message = range;
        }
    }

    /// Gives the message as a text of its own, where the line holds it only in an escaped form.
    pub fn set_message_text(&mut self, text: impl Into<Box<str>>) {
        self.message_text = Some(text.into());
    }

    /// Adds a field whose value is a slice of the line, given as a part of `self.line()`'s bytes; an empty one is left out.
    pub fn push_slice(&mut self, field: FieldId, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        if let Some(range) = self.checked(range) {
            self.fields.push((field, Value::Slice(range)));
        }
    }

    pub fn push_text(&mut self, field: FieldId, text: impl Into<Box<str>>) {
        self.fields.push((field, Value::Text(text.into())));
    }

    /// Adds a field whose value is one of our own words.
    pub fn push_name(&mut self, field: FieldId, name: &'static str) {
        self.fields.push((field, Value::Name(name)));
    }

    /// Adds a field whose value other events share.
    pub fn push_shared(&mut self, field: FieldId, text: Arc<str>) {
        self.fields.push((field, Value::Shared(text)));
    }

    pub fn push(&mut self, field: FieldId, value: Value) {
        self.fields.push((field, value));
    }

    /// Adds all fields of a decoder; a slice that is none of the line's reads as empty.
    pub fn push_all(&mut self, mut fields: Vec<(FieldId, Value)>) {
        if self.fields.is_empty() {
            self.fields = fields;
        } else {
            self.fields.append(&mut fields);
        }
    }

    pub fn push_int(&mut self, field: FieldId, number: i64) {
        self.fields.push((field, Value::Int(number)));
    }

    pub fn push_ip(&mut self, field: FieldId, address: IpAddr) {
        self.fields.push((field, Value::Ip(address)));
    }

    pub fn push_bool(&mut self, field: FieldId, truth: bool) {
        self.fields.push((field, Value::Bool(truth)));
    }

    pub fn has(&self, field: FieldId) -> bool {
        self.fields.iter().any(|(id, _)| *id == field)
    }

    /// The first value of a field.
    pub fn get(&self, field: FieldId) -> Option<ValueRef<'_>> {
        self.get_all(field).next()
    }

    pub fn get_all(&self, field: FieldId) -> impl Iterator<Item = ValueRef<'_>> {
        self.fields.iter().filter(move |(id, _)| *id == field).map(|(_, value)| self.value(value))
    }

    /// All fields in the decoder's order. `message` and the envelope (site, times) are not among them.
    pub fn fields(&self) -> impl Iterator<Item = (FieldId, ValueRef<'_>)> {
        self.fields.iter().map(|(id, value)| (*id, self.value(value)))
    }

    /// All fields, each with its place in the line where it is a part of it.
    pub(crate) fn fields_placed(&self) -> impl Iterator<Item = (FieldId, ValueRef<'_>, Option<Range<usize>>)> {
        self.fields.iter().map(|(id, value)| {
            let place = if let Value::Slice(range) = value { Some(range.start as usize..range.end as usize) } else { None };
            (*id, self.value(value), place)
        })
    }

    /// Whether the message is a text of its own.
    pub(crate) fn has_message_text(&self) -> bool {
        self.message_text.is_some()
    }

    fn value<'a>(&'a self, value: &'a Value) -> ValueRef<'a> {
        match value {
            Value::Slice(range) => ValueRef::Str(self.slice(range)),
            Value::Text(text) => ValueRef::Str(text),
            Value::Name(name) => ValueRef::Str(name),
            Value::Shared(text) => ValueRef::Str(text),
            Value::Int(number) => ValueRef::Int(*number),
            Value::Ip(address) => ValueRef::Ip(*address),
            Value::Bool(truth) => ValueRef::Bool(*truth),
        }
    }

    fn slice(&self, range: &Range<u32>) -> &str {
        self.line.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    fn checked(&self, range: Range<usize>) -> Option<Range<u32>> {
        self.line.get(range.clone())?;
        Some(u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?)
    }

    /// The event as one flat JSON object with ECS names: what `decode`, `search --json` and exports print.
    pub fn json(&self, site_name: &str) -> serde_json::Map<String, serde_json::Value> {
        let mut object = serde_json::Map::new();
        object.insert("@timestamp".into(), self.timestamp.rfc3339().into());
        object.insert("event.ingested".into(), self.received_at.rfc3339().into());
        object.insert("event.sequence".into(), self.seq.0.into());
        object.insert("site".into(), site_name.into());
        object.insert("observer.ip".into(), self.peer.to_string().into());
        object.insert("message".into(), self.message().into());
        for (field, value) in self.fields() {
            let value = value.json();
            match object.get_mut(field.name()) {
                None => {
                    object.insert(field.name().into(), value);
                }
                Some(serde_json::Value::Array(all)) => all.push(value),
                Some(first) => *first = serde_json::Value::Array(vec![first.take(), value]),
            }
        }
        object.insert("_defects".into(), self.defects.iter().map(Defect::name).collect());
        object.insert("_raw".into(), self.line.as_ref().into());
        object
    }
}

/// A flat object with dotted names as the nested document that ECS means: `{"source":{"ip":…}}`. A name that is both a
/// value and a prefix of others (`a` and `a.b`) leaves the longer one dotted, or becomes `a.value` where it came last. `_raw` becomes `event.original`, and `_defects`
/// our own `wartburg.defects`.
pub fn nested(flat: serde_json::Map<String, serde_json::Value>) -> serde_json::Map<String, serde_json::Value> {
    let mut document = serde_json::Map::new();
    for (name, value) in flat {
        let name = match name.as_str() {
            "_raw" => "event.original",
            "_defects" => "wartburg.defects",
            name => name,
        };
        nest(&mut document, name, value);
    }
    document
}

fn nest(object: &mut serde_json::Map<String, serde_json::Value>, name: &str, value: serde_json::Value) {
    let Some((head, rest)) = name.split_once('.').filter(|(head, rest)| !head.is_empty() && !rest.is_empty()) else {
        match object.get_mut(name) {
            // The prefix became an object before its own value came.
            Some(serde_json::Value::Object(inner)) => _ = inner.insert("value".to_owned(), value),
            _ => _ = object.insert(name.to_owned(), value),
        }
        return;
    };
    match object.entry(head.to_owned()).or_insert_with(|| serde_json::Value::Object(serde_json::Map::new())) {
        serde_json::Value::Object(inner) => nest(inner, rest, value),
        _ => _ = object.insert(name.to_owned(), value),
    }
}

/// One byte of Windows-1252; the five unassigned ones become U+FFFD.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{FFFD}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{FFFD}', 'Ž', '\u{FFFD}', '\u{FFFD}', '‘', '’', '“',
        '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{FFFD}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9F => HIGH.get(usize::from(byte - 0x80)).copied().unwrap_or('\u{FFFD}'),
        _ => char::from(byte),
    }
}

/// What was wrong with a line. Hostile input is data: the event exists all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Defect {
    NotUtf8,
    NoHeader,
    BadPriority,
    BadTimestamp,
    NoYear,
    NoHost,
    FutureTime,
    BadStructuredData,
    BadJson,
    BadKeyValue,
    BadField,
    TooManyFields,
    Truncated,
    /// The rest of a message that was too long for one frame.
    Continuation,
    BadOctetCount,
    /// The connection ended within the line.
    Torn,
    /// The device says itself that nobody set its clock.
    UnsureClock,
    /// The line could not be kept with pseudonyms in it: only its fields were.
    PseudonymisedLine,
}

impl Defect {
    pub const ALL: [Self; 18] = [
        Self::NotUtf8,
        Self::NoHeader,
        Self::BadPriority,
        Self::BadTimestamp,
        Self::NoYear,
        Self::NoHost,
        Self::FutureTime,
        Self::BadStructuredData,
        Self::BadJson,
        Self::BadKeyValue,
        Self::BadField,
        Self::TooManyFields,
        Self::Truncated,
        Self::Continuation,
        Self::BadOctetCount,
        Self::Torn,
        Self::UnsureClock,
        Self::PseudonymisedLine,
    ];

    /// The name in `_defects` and in queries (`_defect:no_header`); stable.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::NoHeader => "no_header",
            Self::BadPriority => "bad_priority",
            Self::BadTimestamp => "bad_timestamp",
            Self::NoYear => "no_year",
            Self::NoHost => "no_host",
            Self::FutureTime => "future_time",
            Self::BadStructuredData => "bad_structured_data",
            Self::BadJson => "bad_json",
            Self::BadKeyValue => "bad_key_value",
            Self::BadField => "bad_field",
            Self::TooManyFields => "too_many_fields",
            Self::Truncated => "truncated",
            Self::Continuation => "continuation",
            Self::BadOctetCount => "bad_octet_count",
            Self::Torn => "torn",
            Self::UnsureClock => "unsure_clock",
            Self::PseudonymisedLine => "pseudonymised_line",
        }
    }
}

/// A set of defects.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Defects(u32);

impl Defects {
    pub fn add(&mut self, defect: Defect) {
        self.0 |= 1 << defect as u8;
    }

    pub fn contains(self, defect: Defect) -> bool {
        self.0 & (1 << defect as u8) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Defect> {
        Defect::ALL.into_iter().filter(move |defect| self.contains(*defect))
    }
}

impl From<Defect> for Defects {
    fn from(defect: Defect) -> Self {
        Self(1 << defect as u8)
    }
}

impl fmt::Debug for Defects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Defect::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::body::SITE_UNKNOWN;
    use crate::fields;

    fn event(bytes: &[u8]) -> Event {
        Event::new(Seq(1), Timestamp(0), SITE_UNKNOWN, Ipv4Addr::LOCALHOST.into(), Transport::Udp, bytes)
    }

    #[test]
    fn bytes_that_are_no_utf8_are_read_as_windows_1252_and_kept() {
        let event = event(b"Stra\xdfe \x80 5");
        assert_eq!(event.line(), "Straße € 5");
        assert_eq!(event.raw(), b"Stra\xdfe \x80 5");
        assert!(event.defects.contains(Defect::NotUtf8));
    }

    #[test]
    fn slices_outside_the_line_or_inside_a_character_are_refused() {
        let mut event = event("aü".as_bytes());
        event.push_slice(fields::USER_NAME, 0..9);
        event.push_slice(fields::USER_NAME, 0..2);
        event.push_slice(fields::USER_NAME, 0..1);
        assert_eq!(event.get_all(fields::USER_NAME).collect::<Vec<_>>(), [ValueRef::Str("a")]);
    }

    #[test]
    fn a_flat_object_becomes_a_document() {
        let check = |flat: serde_json::Value, expected: serde_json::Value| {
            let serde_json::Value::Object(flat) = flat else { panic!("no object") };
            assert_eq!(serde_json::Value::Object(nested(flat)), expected);
        };
        check(
            serde_json::json!({"@timestamp": "t", "source.ip": "192.0.2.1", "source.port": 1, "_raw": "x", "_defects": []}),
            serde_json::json!({"@timestamp": "t", "source": {"ip": "192.0.2.1", "port": 1}, "event": {"original": "x"}, "wartburg": {"defects": []}}),
        );
        check(serde_json::json!({"a": 1, "a.b": 2}), serde_json::json!({"a": 1, "a.b": 2}));
        check(serde_json::json!({"a.b": 2, "a": 1}), serde_json::json!({"a": {"b": 2, "value": 1}}));
        check(serde_json::json!({".a": 1, "b.": 2, "..": 3}), serde_json::json!({".a": 1, "b.": 2, "..": 3}));
    }

    #[test]
    fn repeated_fields_become_an_array() {
        let mut event = event(b"x");
        event.push_text(fields::TAGS, "a");
        event.push_text(fields::TAGS, "b");
        assert_eq!(event.json("s").get("tags"), Some(&serde_json::json!(["a", "b"])));
    }
}

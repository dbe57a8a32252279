//! What a decoder writes into: fields, defects, the stamp and the message, all of one line. Knows whether a
//! text is a part of the line, so that decoders hand over plain `&str` and nothing is copied that need not be.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;

use super::memory::{Sender, SharedMemory};
use crate::event::{Defect, Defects, Value};
use crate::fields::{self, FieldId, Kind, NAME_BYTES_MAX};
use crate::frame::Seq;
use crate::syslog::{Param, Stamp};

/// No device says more about one event; a line that does is attacking the index.
pub const FIELDS_MAX: usize = 256;
/// What most lines need, so that the fields are allocated once.
const FIELDS_USUAL: usize = 16;

pub(super) struct Draft<'a> {
    line: &'a str,
    fields: Vec<(FieldId, Value)>,
    pub(super) defects: Defects,
    /// When it happened, as the best part of the line says.
    pub(super) stamp: Stamp,
    /// When it was written, as the outermost header says.
    pub(super) created: Stamp,
    pub(super) message: &'a str,
    message_text: Option<Box<str>>,
    /// It came by GELF's transport, so its names are GELF's.
    pub(super) is_gelf: bool,
    /// The decoder that understood the payload; empty for none.
    pub(super) decoder: &'static str,
    /// A header names the host.
    pub(super) has_header: bool,
    /// Whose line it is, and what is remembered of whom; `None` only in tests.
    pub(super) origin: Option<Origin<'a>>,
}

/// Whose line it is, and which.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) memory: &'a SharedMemory,
    pub(super) sender: Sender,
    pub(super) seq: Seq,
}

/// What a draft leaves to its event, without the borrow of the line.
pub(super) struct Parts {
    pub(super) fields: Vec<(FieldId, Value)>,
    pub(super) defects: Defects,
    pub(super) message: Range<usize>,
    pub(super) message_text: Option<Box<str>>,
    pub(super) decoder: &'static str,
}

impl<'a> Draft<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        let fields = Vec::with_capacity(FIELDS_USUAL);
        Self {
            line,
            fields,
            defects: Defects::default(),
            stamp: Stamp::Absent,
            created: Stamp::Absent,
            message: line,
            message_text: None,
            is_gelf: false,
            decoder: "",
            has_header: false,
            origin: None,
        }
    }

    pub(super) fn into_parts(self) -> Parts {
        let message = self.range(self.message).unwrap_or(0..0);
        Parts { fields: self.fields, defects: self.defects, message, message_text: self.message_text, decoder: self.decoder }
    }

    pub(super) fn add_defects(&mut self, defects: Defects) {
        defects.iter().for_each(|defect| self.defects.add(defect));
    }

    pub(super) fn has(&self, field: FieldId) -> bool {
        self.fields.iter().any(|(id, _)| *id == field)
    }

    /// The first value of a field, where it is a text.
    pub(super) fn text(&self, field: FieldId) -> Option<&str> {
        self.fields.iter().find(|(id, _)| *id == field).and_then(|(_, value)| match value {
            Value::Slice(range) => self.line.get(range.start as usize..range.end as usize),
            Value::Text(text) => Some(text.as_ref()),
            Value::Name(name) => Some(name),
            Value::Shared(text) => Some(text),
            Value::Int(_) | Value::Ip(_) | Value::Bool(_) => None,
        })
    }

    pub(super) fn has_named(&self, name: &str) -> bool {
        FieldId::find(name).is_some_and(|field| self.has(field))
    }

    /// The first value of the field of that name, as text.
    pub(super) fn named_text(&self, name: &str) -> Option<String> {
        self.named_texts(name).into_iter().next()
    }

    /// All values of the field of that name, as texts.
    pub(super) fn named_texts(&self, name: &str) -> Vec<String> {
        let Some(field) = FieldId::find(name) else { return Vec::new() };
        self.fields.iter().filter(|(id, _)| *id == field).map(|(_, value)| self.value_text(value)).collect()
    }

    pub(super) fn named_int(&self, field: FieldId) -> Option<i64> {
        self.fields.iter().find(|(id, _)| *id == field).and_then(|(_, value)| match value {
            Value::Int(number) => Some(*number),
            _ => None,
        })
    }

    /// Gives a field the first value of the one of that name, as the field wants it.
    pub(super) fn copy(&mut self, name: &str, field: FieldId) {
        if let Some(text) = self.named_text(name).filter(|text| !matches!(text.as_str(), "" | "-")) {
            self.typed(field, &text);
        }
    }

    /// Puts a text in the place of all values of a field.
    pub(super) fn replace(&mut self, field: FieldId, text: &str) {
        self.fields.retain(|(id, _)| *id != field);
        self.str(field, text);
    }

    pub(super) fn remove(&mut self, field: FieldId) {
        self.fields.retain(|(id, _)| *id != field);
    }

    /// The fields so far, in their order.
    pub(super) fn ids(&self) -> impl Iterator<Item = FieldId> {
        self.fields.iter().map(|(id, _)| *id)
    }

    /// The text of the field at a place in `ids`: borrowed of the line where it is a part of it.
    pub(super) fn text_at(&self, at: usize) -> Cow<'a, str> {
        match self.fields.get(at).map(|(_, value)| value) {
            Some(Value::Slice(range)) => Cow::Borrowed(self.line.get(range.start as usize..range.end as usize).unwrap_or_default()),
            Some(Value::Name(name)) => Cow::Borrowed(name),
            Some(value) => Cow::Owned(self.value_text(value)),
            None => Cow::Borrowed(""),
        }
    }

    /// Gives vendors' fields the names that `to` says, their values as the new field wants them; one that does not fit
    /// keeps its old name.
    pub(super) fn renamed(&mut self, mut to: impl FnMut(&mut Self, &'static str) -> Option<FieldId>) {
        for at in 0..self.fields.len() {
            let Some((id, _)) = self.fields.get(at) else { break };
            if id.known().is_some() {
                continue;
            }
            let Some(field) = to(self, id.name()) else { continue };
            let text = || self.text_at(at);
            let kind = field.known().map(|row| row.kind);
            let fitted = match (kind, self.fields.get(at).map(|(_, value)| value)) {
                (Some(Kind::Ip), _) => address(&text()).map(Value::Ip),
                (Some(Kind::Int), Some(Value::Int(number))) => Some(Value::Int(*number)),
                (Some(Kind::Int), _) => text().parse().ok().map(Value::Int),
                (Some(Kind::Keyword), Some(Value::Int(_) | Value::Bool(_) | Value::Ip(_))) => Some(Value::Text(text().into())),
                (_, value) => value.cloned(),
            };
            if let (Some(value), Some(place)) = (fitted, self.fields.get_mut(at)) {
                *place = (field, value);
            }
        }
    }

    /// Gives a field the value of another, both by name.
    pub(super) fn copy_named(&mut self, from: &[&str], to: &str) {
        let (Some(from), Some(to)) = (self.vendor_field(from), FieldId::intern(to)) else { return };
        let value = self.fields.iter().find(|(id, _)| *id == from).map(|(_, value)| value.clone());
        if let Some(value) = value {
            self.put(to, value);
        }
    }

    /// Puts a text in the place of all values of a field; an empty one changes nothing.
    pub(super) fn replace_str(&mut self, field: FieldId, text: &str) {
        if !text.is_empty() {
            self.replace(field, text);
        }
    }

    /// The message as it stands now.
    pub(super) fn message_now(&self) -> String {
        self.message_text.as_deref().unwrap_or(self.message).to_owned()
    }

    fn value_text(&self, value: &Value) -> String {
        match value {
            Value::Slice(range) => self.line.get(range.start as usize..range.end as usize).unwrap_or_default().to_owned(),
            Value::Text(text) => text.to_string(),
            Value::Name(name) => (*name).to_owned(),
            Value::Shared(text) => text.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Ip(address) => address.to_string(),
            Value::Bool(truth) => truth.to_string(),
        }
    }

    pub(super) fn set_message(&mut self, text: &str) {
        match self.range(text).and_then(|range| self.line.get(range)) {
            Some(slice) => self.message = slice,
            None => self.message_text = Some(text.into()),
        }
    }

    pub(super) fn take_message_text(&mut self) -> Option<Box<str>> {
        self.message_text.take()
    }

    /// A text; an empty one is left out. A part of the line is kept as a slice of it.
    pub(super) fn str(&mut self, field: FieldId, part: &str) {
        if !part.is_empty() {
            let value = self.value(part);
            self.put(field, value);
        }
    }

    /// One of our own words.
    pub(super) fn name(&mut self, field: FieldId, name: &'static str) {
        self.put(field, Value::Name(name));
    }

    pub(super) fn int(&mut self, field: FieldId, number: i64) {
        self.put(field, Value::Int(number));
    }

    pub(super) fn bool(&mut self, field: FieldId, truth: bool) {
        self.put(field, Value::Bool(truth));
    }

    pub(super) fn put_ip(&mut self, field: FieldId, address: IpAddr) {
        self.put(field, Value::Ip(address));
    }

    /// A number, or a bad field.
    pub(super) fn number(&mut self, field: FieldId, part: &str) {
        match part.parse() {
            Ok(number) => self.int(field, number),
            Err(_) => self.misfit(field, part),
        }
    }

    /// An address, or a bad field. An IPv6 zone (`fe80::1%eth0`) is the device's affair.
    pub(super) fn ip(&mut self, field: FieldId, part: &str) {
        match address(part) {
            Some(address) => self.put_ip(field, address),
            None => self.misfit(field, part),
        }
    }

    /// A text as the field table wants it.
    pub(super) fn typed(&mut self, field: FieldId, part: &str) {
        match field.known().map_or(Kind::Keyword, |row| row.kind) {
            Kind::Keyword => self.str(field, part),
            Kind::Ip => self.ip(field, part),
            Kind::Int => self.number(field, part),
            Kind::Bool => match part {
                "true" => self.bool(field, true),
                "false" => self.bool(field, false),
                _ => self.misfit(field, part),
            },
        }
    }

    /// Keeps a value that does not fit its field below `<field>.text`.
    pub(super) fn misfit(&mut self, field: FieldId, part: &str) {
        if !part.is_empty() {
            self.defects.add(Defect::BadField);
            self.vendor(field.name(), "text", part);
        }
    }

    /// A vendor's own field `<prefix>.<key>`.
    pub(super) fn vendor(&mut self, prefix: &str, key: &str, part: &str) {
        if part.is_empty() {
            return;
        }
        if let Some(field) = self.vendor_field(&[prefix, ".", key]) {
            self.str(field, part);
        }
    }

    pub(super) fn vendor_int(&mut self, prefix: &str, key: &str, number: i64) {
        if let Some(field) = self.vendor_field(&[prefix, ".", key]) {
            self.int(field, number);
        }
    }

    /// `syslog.sd.<id>.<param>`; escapes are resolved only where there are any.
    pub(super) fn structured(&mut self, param: Param<'_>) {
        let Some(field) = self.vendor_field(&["syslog.sd.", param.id, ".", param.name]) else { return };
        if param.value.contains('\\') {
            self.str(field, &unescaped(param.value, &['"', '\\', ']']));
        } else {
            self.str(field, param.value);
        }
    }

    /// The field of a name in parts, built without allocating; a name too long or one too many is a defect.
    pub(super) fn vendor_field(&mut self, parts: &[&str]) -> Option<FieldId> {
        let mut buffer = [0; NAME_BYTES_MAX];
        let mut at = 0;
        // Names are data of the sender: once the event is full, no further one is interned.
        let full = self.fields.len() >= FIELDS_MAX;
        let fits = !full
            && parts.iter().all(|part| {
                let place = buffer.get_mut(at..at + part.len());
                at += part.len();
                place.map(|place| place.copy_from_slice(part.as_bytes())).is_some()
            });
        let name = buffer.get(..at).filter(|_| fits).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let field = name.and_then(FieldId::intern);
        if field.is_none() {
            self.defects.add(Defect::TooManyFields);
        }
        field
    }

    /// Where someone comes from: an address, or a name where the device resolves them.
    pub(super) fn source(&mut self, host: &str) {
        match address(host) {
            Some(address) => self.put_ip(fields::SOURCE_IP, address),
            None if host != "UNKNOWN" => self.str(fields::SOURCE_DOMAIN, host),
            None => {}
        }
    }

    fn put(&mut self, field: FieldId, value: Value) {
        if self.fields.len() < FIELDS_MAX {
            self.fields.push((field, value));
        } else {
            self.defects.add(Defect::TooManyFields);
        }
    }

    fn value(&self, part: &str) -> Value {
        let range = self.range(part).and_then(|range| Some(u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?));
        range.map_or_else(|| Value::Text(part.into()), Value::Slice)
    }

    /// Where a text stands in the line if it is a part of it: addresses compared, nothing searched.
    fn range(&self, part: &str) -> Option<Range<usize>> {
        let start = part.as_ptr().addr().checked_sub(self.line.as_ptr().addr())?;
        let end = start.checked_add(part.len())?;
        (end <= self.line.len()).then_some(start..end)
    }
}

/// An address; one of IPv4 in the clothes of IPv6 (`::ffff:192.0.2.1`) as what it is, so that it is found as such.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let bare = text.split_once('%').map_or(text, |(bare, _)| bare);
    // Asked for many a word that is none; the standard library's reader costs more than this look.
    let may_be = bare.len() <= ADDRESS_BYTES_MAX && bare.bytes().any(|byte| matches!(byte, b'.' | b':'));
    if !may_be {
        return None;
    }
    bare.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`
const ADDRESS_BYTES_MAX: usize = 45;

/// Drops the backslash before one of `escapable`; any other backslash stays.
pub(super) fn unescaped(text: &str, escapable: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match chars.peek() {
            Some(next) if char == '\\' && escapable.contains(next) => out.extend(chars.next()),
            _ => out.push(char),
        }
    }
    out
}

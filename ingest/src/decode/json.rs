//! JSON objects: ECS shippers, journald, GELF, Elastic bulk and anything else. Nested objects become dotted names,
//! read straight from the text into fields: no tree is built, and a string without escapes stays a slice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Look;
use super::draft::Draft;
use super::kv::fields_of_ours;
use crate::event::Defect;
use crate::fields::{self, FieldId, Kind};
use crate::syslog::{self, Stamp};

/// ECS needs five levels; deeper nesting is somebody's attack on parsers.
const DEPTH_MAX: usize = 8;

/// Names that shippers use for what ECS calls otherwise.
const ALIASES: &[(&str, FieldId)] = &[
    ("host", fields::HOST_NAME),
    ("hostname", fields::HOST_NAME),
    ("Hostname", fields::HOST_NAME),
    ("Computer", fields::HOST_NAME),
    ("_HOSTNAME", fields::HOST_NAME),
    ("user", fields::USER_NAME),
    ("username", fields::USER_NAME),
    ("src_ip", fields::SOURCE_IP),
    ("srcip", fields::SOURCE_IP),
    ("src_port", fields::SOURCE_PORT),
    ("dst_ip", fields::DESTINATION_IP),
    ("dest_ip", fields::DESTINATION_IP),
    ("dstip", fields::DESTINATION_IP),
    ("dst_port", fields::DESTINATION_PORT),
    ("dest_port", fields::DESTINATION_PORT),
    ("program", fields::PROCESS_NAME),
    ("SYSLOG_IDENTIFIER", fields::PROCESS_NAME),
    ("pid", fields::PROCESS_PID),
    ("_PID", fields::PROCESS_PID),
    ("level", fields::LOG_LEVEL),
    ("severity", fields::LOG_LEVEL),
    ("PRIORITY", fields::LOG_LEVEL),
];

/// Additional fields of GELF that ECS has another name for, without their underscore: those of the container engines'
/// and the usual logging libraries' drivers.
const GELF_NAMES: &[(&str, &str)] = &[
    ("container_id", "container.id"),
    ("container_name", "container.name"),
    ("image_id", "container.image.hash.all"),
    ("image_name", "container.image.name"),
    ("command", "process.command_line"),
    ("logger", "log.logger"),
    ("logger_name", "log.logger"),
    ("thread", "process.thread.name"),
    ("thread_name", "process.thread.name"),
    ("file", "log.origin.file.name"),
    ("line", "log.origin.file.line"),
];

/// What GELF itself says (version 1.1); an additional field of such a name is another thing.
const GELF_OWN: [&str; 7] = ["version", "host", "short_message", "full_message", "timestamp", "level", "facility"];

/// Where the time may stand, the surest first.
const TIMES: [&str; 14] = [
    "@timestamp",
    "timestamp",
    "__REALTIME_TIMESTAMP",
    "EventTime",
    "time",
    "ts",
    // Serilog, MongoDB, CloudTrail, Envoy, and what loggers of Java and Python call it.
    "@t",
    "t.$date",
    "eventTime",
    "start_time",
    "datetime",
    "asctime",
    // ModSecurity's audit log, of versions 3 and 2.
    "transaction.time_stamp",
    "transaction.time",
];
const MESSAGES: [&str; 6] = ["message", "MESSAGE", "Message", "short_message", "msg", "@m"];

/// An object, perhaps: `{` and then a name or the end.
pub(super) fn looks_like(text: &str) -> bool {
    text.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with(['"', '}']))
}

pub(super) fn first_look(look: &Look<'_>) -> bool {
    looks_like(body(look.text))
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    object(body(look.text), draft);
    true
}

/// Without the cookie of the CEE standard, which rsyslog writes before JSON, and without a container runtime's prefix
/// (`2026-03-14T08:00:00.123456789+01:00 stdout F {…}`).
fn body(text: &str) -> &str {
    let text = text.strip_prefix("@cee:").unwrap_or(text);
    if text.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        let end = text.bytes().take(CONTAINER_STAMP_BYTES_MAX + 1).position(|byte| byte == b' ').unwrap_or(0);
        let behind = text.get(end..).unwrap_or_default();
        if let Some(rest) = behind.strip_prefix(" stdout F ").or_else(|| behind.strip_prefix(" stderr F ")) {
            return rest.trim();
        }
    }
    text.trim()
}

/// `2026-03-14T08:00:00.123456789+01:00`
const CONTAINER_STAMP_BYTES_MAX: usize = 35;

/// Reads an object's fields, then what its message says if its program is one we know. What stood before the
/// fault of a broken object is kept: it was cut more often than forged, and the defect says so.
pub(super) fn object(text: &str, draft: &mut Draft<'_>) {
    let mut path = String::new();
    let is_gelf = draft.is_gelf || memchr::memmem::find(text.as_bytes(), b"\"short_message\"").is_some();
    let mut found = Found { header: HEADER.map(|field| draft.has(field)), is_gelf, ..Found::default() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = if text.starts_with('{') {
        Flat { draft, found: &mut found, path: &mut path, depth: 0 }.deserialize(&mut deserializer).and_then(|()| deserializer.end())
    } else {
        Err(serde::de::Error::custom("not an object"))
    };
    if read.is_err() {
        draft.defects.add(Defect::BadJson);
    }
    // GELF demands a host, and then the one in the header of a relay is not it.
    if is_gelf && !draft.has(fields::HOST_NAME) {
        draft.defects.add(Defect::NoHost);
    }
    super::product::recognise(draft);
    if found.message.is_some() && !draft.has(fields::EVENT_ACTION) {
        said(draft);
    }
}

/// Lets the decoders look at the object's message, such as an sshd line that journald forwarded.
fn said(draft: &mut Draft<'_>) {
    // Filebeat names no program but the file that it reads, which says as much.
    let file = || draft.named_text("log.file.path").map(String::into_boxed_str);
    let program = draft.text(fields::PROCESS_NAME).map(Box::<str>::from).or_else(file).unwrap_or_default();
    match draft.take_message_text() {
        Some(text) => {
            said_as(&program, &text, draft);
            draft.set_message(&text);
        }
        None => said_as(&program, draft.message, draft),
    }
}

fn said_as(program: &str, text: &str, draft: &mut Draft<'_>) {
    // An object within an object is data of the first; it is not unpacked again.
    if looks_like(body(text)) {
        return;
    }
    if program.is_empty() {
        // Nobody says whose text it is: only what is plain without that.
        super::product::said(text, draft);
    } else {
        super::payload(program, text, draft);
    }
}

/// What the syslog header has said already is not said again by the object behind it.
const HEADER: [FieldId; 4] = [fields::HOST_NAME, fields::PROCESS_NAME, fields::PROCESS_PID, fields::LOG_LEVEL];

#[derive(Default)]
struct Found {
    header: [bool; HEADER.len()],
    /// The rank in `TIMES` and `MESSAGES` of what was taken.
    time: Option<usize>,
    message: Option<usize>,
    is_gelf: bool,
}

/// Walks through the object; `path` is the dotted name so far.
struct Flat<'d, 'l> {
    draft: &'d mut Draft<'l>,
    found: &'d mut Found,
    path: &'d mut String,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Flat<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Flat<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mark = self.path.len();
        while map.next_key_seed(Key(self.path))?.is_some() {
            if self.depth < DEPTH_MAX {
                map.next_value_seed(Flat {
                    draft: &mut *self.draft,
                    found: &mut *self.found,
                    path: &mut *self.path,
                    depth: self.depth + 1,
                })?;
            } else {
                self.draft.defects.add(Defect::TooManyFields);
                map.next_value::<IgnoredAny>()?;
            }
            self.path.truncate(mark);
        }
        Ok(())
    }

    /// An array repeats its field.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.depth >= DEPTH_MAX {
            self.draft.defects.add(Defect::TooManyFields);
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let next = |this: &mut Self, seq: &mut A| {
            seq.next_element_seed(Flat { draft: &mut *this.draft, found: &mut *this.found, path: &mut *this.path, depth: this.depth + 1 })
        };
        let mut this = self;
        while next(&mut this, &mut seq)?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.text(text);
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.integer(number);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        match i64::try_from(number) {
            Ok(number) => self.integer(number),
            Err(_) => self.text(&number.to_string()),
        }
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.text(&number.to_string());
        Ok(())
    }

    fn visit_bool<E>(mut self, truth: bool) -> Result<(), E> {
        match self.field() {
            Some(field) if field.known().is_none_or(|row| row.kind == Kind::Bool) => self.draft.bool(field, truth),
            Some(field) => self.draft.typed(field, if truth { "true" } else { "false" }),
            None => {}
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

impl Flat<'_, '_> {
    fn text(mut self, text: &str) {
        if let Some(rank) = rank(&TIMES, self.path)
            && self.time(rank, stamp(text))
        {
            return;
        }
        if let Some(rank) = rank(&MESSAGES, self.path) {
            if self.found.message.is_none_or(|taken| rank < taken) {
                self.found.message = Some(rank);
                self.draft.set_message(text);
            }
            return;
        }
        if self.is_gelf_facility() {
            match syslog::facility_named(text) {
                Some(name) => self.draft.name(fields::LOG_SYSLOG_FACILITY, name),
                None => self.draft.vendor("gelf", "facility", text),
            }
            return;
        }
        let Some(field) = self.field() else { return };
        // A GELF host may be an address.
        if self.found.is_gelf
            && self.path == "host"
            && let Ok(address) = text.parse()
        {
            self.draft.put_ip(fields::HOST_IP, address);
        }
        // journald writes the severity as "6", syslog's number.
        if field == fields::LOG_LEVEL
            && let Ok(level @ 0..=7) = text.parse::<u8>()
        {
            return self.draft.name(field, syslog::severity_name(level));
        }
        self.draft.typed(field, text);
    }

    fn integer(mut self, number: i64) {
        if let Some(rank) = rank(&TIMES, self.path)
            && self.time(rank, syslog::epoch(number).map(Stamp::Moment))
        {
            return;
        }
        if self.is_gelf_facility() {
            let facility = u8::try_from(number).ok().and_then(|number| number.checked_mul(8)).and_then(syslog::facility_name);
            match facility {
                Some(name) => self.draft.name(fields::LOG_SYSLOG_FACILITY, name),
                None => self.draft.vendor_int("gelf", "facility", number),
            }
            return;
        }
        let Some(field) = self.field() else { return };
        match field.known().map_or(Kind::Int, |row| row.kind) {
            Kind::Int => self.draft.int(field, number),
            Kind::Keyword => match u8::try_from(number) {
                Ok(level @ 0..=7) if field == fields::LOG_LEVEL => self.draft.name(field, syslog::severity_name(level)),
                _ => self.draft.str(field, &number.to_string()),
            },
            Kind::Ip | Kind::Bool => self.draft.misfit(field, &number.to_string()),
        }
    }

    /// Takes a time if it is one and none better was taken; says whether the value is spoken for. A `time` of
    /// 0.003 is a duration and stays a field, but an `@timestamp` that is none is a defect.
    fn time(&mut self, rank: usize, stamp: Option<Stamp>) -> bool {
        match stamp {
            Some(stamp) if self.found.time.is_none_or(|taken| rank < taken) => {
                self.found.time = Some(rank);
                self.draft.stamp = stamp;
                true
            }
            Some(_) => false,
            None => {
                if rank == 0 {
                    self.draft.defects.add(Defect::BadTimestamp);
                }
                false
            }
        }
    }

    /// GELF 1.0 has a facility: syslog's by name or number, or any word of the program's.
    fn is_gelf_facility(&self) -> bool {
        self.found.is_gelf && self.path == "facility"
    }

    /// The field of an additional field of GELF, whose name has an underscore before it.
    fn gelf_field(&mut self) -> Option<FieldId> {
        let name = self.path.strip_prefix('_').unwrap_or_default();
        if GELF_OWN.contains(&name) || matches!(name, "" | "event.ingested" | "event.sequence" | "@timestamp") || name.starts_with('_') {
            return self.draft.vendor_field(&["gelf.", self.path]);
        }
        let alias = ALIASES.iter().find(|(known, _)| *known == name).map(|(_, field)| *field);
        let ecs = GELF_NAMES.iter().find(|(known, _)| *known == name).map_or(name, |(_, ecs)| *ecs);
        match alias.or_else(|| FieldId::find(ecs)) {
            Some(field) if fields_of_ours(field) => self.draft.vendor_field(&["gelf.", name]),
            Some(field) => Some(field),
            None => self.draft.vendor_field(&[ecs]),
        }
    }

    /// The field of the present name; `None` where the value has no place.
    fn field(&mut self) -> Option<FieldId> {
        if self.found.is_gelf && self.path.starts_with('_') {
            return self.gelf_field();
        }
        let alias = ALIASES.iter().find(|(name, _)| *name == self.path.as_str()).map(|(_, field)| *field);
        // The envelope's names in `Event::json` are not the sender's to write, whether or not somebody has used them before.
        let is_envelope = self.path.starts_with('_') || matches!(self.path.as_str(), "event.ingested" | "event.sequence" | "@timestamp");
        let field = match alias.or_else(|| FieldId::find(self.path).filter(|_| !is_envelope)) {
            Some(field) if !fields_of_ours(field) => field,
            Some(_) => self.draft.vendor_field(&["json.", self.path])?,
            None if is_envelope => self.draft.vendor_field(&["json.", self.path])?,
            None => self.draft.vendor_field(&[self.path])?,
        };
        let said = HEADER.iter().zip(self.found.header).any(|(of_header, said)| said && *of_header == field);
        (!said).then_some(field)
    }
}

fn rank(names: &[&str], path: &str) -> Option<usize> {
    names.iter().position(|name| *name == path)
}

/// A time as loggers write it: RFC 3339 and its relatives, seconds since 1970, a zone's name behind it (PostgreSQL), ModSecurity's.
fn stamp(text: &str) -> Option<Stamp> {
    let plain = syslog::whole_stamp(text).or_else(|| syslog::epoch_text(text).map(Stamp::Moment));
    plain.or_else(|| named_zone(text)).or_else(|| syslog::weekday_stamp(text)).or_else(|| syslog::day_first_stamp(text))
}

/// `2026-03-14 08:00:00.123 CET`: of the names only UTC's are one zone everywhere; the others leave it to the source's zone.
fn named_zone(text: &str) -> Option<Stamp> {
    let (civil, zone) = text.rsplit_once(' ')?;
    let is_name = (2..=5).contains(&zone.len()) && zone.bytes().all(|byte| byte.is_ascii_uppercase());
    match syslog::whole_stamp(civil).filter(|_| is_name)? {
        Stamp::Civil(civil) if matches!(zone, "UTC" | "GMT") => civil.moment(0).map(Stamp::Moment),
        stamp => Some(stamp),
    }
}

/// Appends a name to the path.
struct Key<'p>(&'p mut String);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        if !self.0.is_empty() {
            self.0.push('.');
        }
        self.0.push_str(name);
        Ok(())
    }
}

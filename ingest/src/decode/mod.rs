//! From a journal frame to a typed event: the syslog header, then the payload by the first decoder of a table
//! that recognises it. Hostile input is data: whatever comes, there is an event with the raw bytes, what could
//! be read, and what was wrong. Flows and import marks are not decoded here.

mod accounts;
mod amavis;
mod apache;
mod application;
mod auditd;
mod cef;
mod checkpoint;
mod cisco;
mod columns;
mod csv;
mod database;
mod dhcp;
mod dovecot;
mod draft;
mod exim;
mod filterlog;
mod fortigate;
mod http_access;
mod json;
mod keycloak;
mod kv;
mod lancom;
mod mailfilter;
pub mod memory;
mod mikrotik;
mod modsecurity;
mod named;
mod netfilter;
mod pairs;
mod pam;
mod part;
mod pf;
mod postfix;
mod product;
mod resolver;
mod services;
mod sonicwall;
mod sophos;
mod sshd;
mod sudo;
mod suricata;
mod system;
mod vpn;
mod walk;
mod watchguard;
mod windows;
mod wlan;
mod zyxel;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod dispatch;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;

use std::collections::HashMap;
use std::sync::LazyLock;

pub use draft::FIELDS_MAX;
use draft::{Draft, Origin};
use memory::{Sender, SharedMemory};
pub use pairs::{Pairs, rejoin};

use crate::event::{Defect, Event};
use crate::fields;
use crate::frame::{Frame, FrameKind, Marks, NewFrame, Transport};
use crate::source::{Reading, SharedReadings};
use crate::syslog::{self, Header, Stamp};
use crate::time::Timestamp;

/// What a decoder must be told and no line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// The zone of stamps without one, where no rule names another.
    pub zone: chrono_tz::Tz,
    /// The rules for single sites and sources.
    pub readings: SharedReadings,
    /// The columns that sources have declared.
    pub memory: SharedMemory,
}

impl Options {
    /// Without rules.
    pub fn in_zone(zone: chrono_tz::Tz) -> Self {
        Self { zone, readings: SharedReadings::default(), memory: SharedMemory::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::in_zone(chrono_tz::Europe::Berlin)
    }
}

/// What a decoder sees: who says it and what is said.
#[derive(Clone, Copy, Debug)]
struct Look<'t> {
    /// The program without its folder and without `(pam_unix)`; empty where the header names none.
    app: &'t str,
    /// The program as the header names it.
    tag: &'t str,
    text: &'t str,
}

/// A payload decoder. Adding one is adding a row to `DECODERS`.
struct Decoder {
    /// Its name in the sources' formats; stable.
    name: &'static str,
    /// Whether `decode` is worth calling: looks at the program or a few bytes, for it is asked on every line.
    first_look: fn(&Look<'_>) -> bool,
    /// Adds what it reads to the draft; false where the text was not its own after all and nothing was added.
    decode: fn(&Look<'_>, &mut Draft<'_>) -> bool,
}

/// Asked in this order; the first that says true has decoded the payload.
const DECODERS: &[Decoder] = &[
    Decoder { name: "json", first_look: json::first_look, decode: json::decode },
    Decoder { name: "pam", first_look: pam::first_look, decode: pam::decode },
    Decoder { name: "sshd", first_look: sshd::first_look, decode: sshd::decode },
    Decoder { name: "netfilter", first_look: netfilter::first_look, decode: netfilter::decode },
    Decoder { name: "sudo", first_look: sudo::first_look, decode: sudo::decode },
    Decoder { name: "accounts", first_look: accounts::first_look, decode: accounts::decode },
    Decoder { name: "system", first_look: system::first_look, decode: system::decode },
    Decoder { name: "sophos", first_look: sophos::first_look, decode: sophos::decode },
    Decoder { name: "checkpoint", first_look: checkpoint::first_look, decode: checkpoint::decode },
    Decoder { name: "sonicwall", first_look: sonicwall::first_look, decode: sonicwall::decode },
    Decoder { name: "watchguard", first_look: watchguard::first_look, decode: watchguard::decode },
    Decoder { name: "zyxel", first_look: zyxel::first_look, decode: zyxel::decode },
    Decoder { name: "pf", first_look: pf::first_look, decode: pf::decode },
    Decoder { name: "lancom", first_look: lancom::first_look, decode: lancom::decode },
    Decoder { name: "wlan", first_look: wlan::first_look, decode: wlan::decode },
    Decoder { name: "fortigate", first_look: fortigate::first_look, decode: fortigate::decode },
    Decoder { name: "snare", first_look: windows::snare_first_look, decode: windows::snare },
    Decoder { name: "windows_xml", first_look: windows::xml_first_look, decode: windows::xml },
    Decoder { name: "nxlog", first_look: windows::nxlog_first_look, decode: windows::nxlog },
    Decoder { name: "columns", first_look: columns::first_look, decode: columns::decode },
    Decoder { name: "auditd", first_look: auditd::first_look, decode: auditd::decode },
    Decoder { name: "cef", first_look: cef::first_look, decode: cef::decode },
    Decoder { name: "postfix", first_look: postfix::first_look, decode: postfix::decode },
    Decoder { name: "dovecot", first_look: dovecot::first_look, decode: dovecot::decode },
    Decoder { name: "filterlog", first_look: filterlog::first_look, decode: filterlog::decode },
    Decoder { name: "named", first_look: named::first_look, decode: named::decode },
    Decoder { name: "resolver", first_look: resolver::first_look, decode: resolver::decode },
    Decoder { name: "dhcp", first_look: dhcp::first_look, decode: dhcp::decode },
    Decoder { name: "vpn", first_look: vpn::first_look, decode: vpn::decode },
    Decoder { name: "amavis", first_look: amavis::first_look, decode: amavis::decode },
    Decoder { name: "mailfilter", first_look: mailfilter::first_look, decode: mailfilter::decode },
    Decoder { name: "mikrotik", first_look: mikrotik::first_look, decode: mikrotik::decode },
    Decoder { name: "cisco", first_look: cisco::first_look, decode: cisco::decode },
    Decoder { name: "suricata", first_look: suricata::first_look, decode: suricata::decode },
    Decoder { name: "apache", first_look: apache::first_look, decode: apache::decode },
    Decoder { name: "http_access", first_look: http_access::first_look, decode: http_access::decode },
    Decoder { name: "modsecurity", first_look: modsecurity::first_look, decode: modsecurity::decode },
    Decoder { name: "csv", first_look: csv::first_look, decode: csv::decode },
    Decoder { name: "services", first_look: services::first_look, decode: services::decode },
    Decoder { name: "database", first_look: database::first_look, decode: database::decode },
    Decoder { name: "keycloak", first_look: keycloak::first_look, decode: keycloak::decode },
    Decoder { name: "exim", first_look: exim::first_look, decode: exim::decode },
    // Anything that is key=value from end to end and nobody else's.
    Decoder { name: "kv", first_look: kv::first_look, decode: kv::decode },
    // Last: its first look is a handful of searches.
    Decoder { name: "application", first_look: application::first_look, decode: application::decode },
];

/// Why nobody can do much with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// No decoder knows such lines.
    NoDecoder,
    /// A decoder knows the program but not what it says here.
    NothingRead,
}

/// Whether the payload was understood: `None` where it was.
pub fn unread(event: &Event) -> Option<Unread> {
    const HEADER: [fields::FieldId; 9] = [
        fields::LOG_SYSLOG_FACILITY,
        fields::LOG_LEVEL,
        fields::HOST_NAME,
        fields::HOST_IP,
        fields::PROCESS_NAME,
        fields::PROCESS_PID,
        fields::LOG_SYSLOG_MSGID,
        fields::OBSERVER_NAME,
        fields::EVENT_CREATED,
    ];
    // What a decoder says of itself is no reading of the line.
    const OWN: [fields::FieldId; 4] = [fields::EVENT_MODULE, fields::EVENT_DATASET, fields::OBSERVER_VENDOR, fields::OBSERVER_PRODUCT];
    if event.decoder.is_empty() {
        return Some(Unread::NoDecoder);
    }
    let read = event.fields().any(|(field, _)| {
        !HEADER.contains(&field)
            && !OWN.contains(&field)
            && !matches!(field.name(), name if name.starts_with("log.syslog.") || name.starts_with("syslog.sd."))
    });
    (!read).then_some(Unread::NothingRead)
}

/// The decoders' names, as `Event::decoder` and the sources' formats have them.
pub fn decoder_names() -> impl Iterator<Item = &'static str> {
    DECODERS.iter().map(|decoder| decoder.name)
}

/// Programs whose name says who decodes them, so that nobody else is asked first. It spares the other decoders' first
/// looks and changes no result: a test asks them all.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("sshd", &["sshd", "sshd-session"]),
    ("netfilter", &["kernel"]),
    ("sudo", &["sudo", "su"]),
    ("accounts", &["useradd", "userdel", "usermod", "groupadd", "passwd"]),
    ("postfix", &["postfix"]),
    ("dovecot", &["dovecot"]),
    ("filterlog", &["filterlog"]),
    ("named", &["named", "dnsmasq", "unbound"]),
    ("vpn", &["charon", "charon-systemd", "openvpn"]),
    ("services", &["dhcpd", "kea-dhcp4", "dnsmasq-dhcp"]),
    ("exim", &["exim", "exim4"]),
];

/// What the receiver noticed, as the defect it is.
const MARKS: [(Marks, Defect); 4] = [
    (Marks::CUT, Defect::Truncated),
    (Marks::REST, Defect::Continuation),
    (Marks::COUNT, Defect::BadOctetCount),
    (Marks::TORN, Defect::Torn),
];

/// Line and Json frames become an event; Flow and ImportMark frames give `None`.
pub fn decode(frame: &Frame, options: &Options) -> Option<Event> {
    let received = &frame.frame;
    if !matches!(received.kind, FrameKind::Line | FrameKind::Json) {
        return None;
    }
    let mut event = Event::new(frame.seq, received.received_at, received.site, received.peer, received.transport, &received.payload);
    for (mark, defect) in MARKS {
        if received.marks.has(mark) {
            event.defects.add(defect);
        }
    }
    let mut draft = Draft::new(event.line());
    draft.is_gelf = received.transport == Transport::Gelf;
    let sender = Sender { site: received.site, peer: received.peer, transport: received.transport };
    draft.origin = Some(Origin { memory: &options.memory, sender, seq: frame.seq });
    match received.kind {
        FrameKind::Json => json_frame(&mut draft),
        _ => line_frame(&mut draft),
    }
    let reading = reading(received, &draft, options);
    let (timestamp, time_defects) = syslog::moment(draft.stamp, received.received_at, reading);
    put_created(timestamp, received.received_at, reading, &mut draft);
    // A line without a header says so once; that it has no time either goes without saying.
    if !time_defects.contains(Defect::BadTimestamp) || !draft.defects.contains(Defect::NoHeader) {
        draft.add_defects(time_defects);
    }
    let parts = draft.into_parts();
    event.timestamp = timestamp;
    event.decoder = parts.decoder;
    event.push_all(parts.fields);
    event.set_message(parts.message);
    if let Some(text) = parts.message_text {
        event.set_message_text(text);
    }
    parts.defects.iter().for_each(|defect| event.defects.add(defect));
    Some(event)
}

/// How the sender's stamps are read; asked only where a stamp leaves something open.
fn reading(received: &NewFrame, draft: &Draft<'_>, options: &Options) -> Reading {
    if !matches!(draft.stamp, Stamp::Civil(_)) && !matches!(draft.created, Stamp::Civil(_)) {
        return options.zone.into();
    }
    let host = draft.text(fields::HOST_NAME).unwrap_or_default();
    options.readings.get().reading(received.site, received.peer, host, received.received_at, options.zone)
}

/// `event.created`: the time that the header says, where what happened is dated otherwise: by the device behind a relay,
/// by the payload, or by the receipt because the clock cannot be believed.
fn put_created(timestamp: Timestamp, received_at: Timestamp, reading: Reading, draft: &mut Draft<'_>) {
    let created = if draft.created == Stamp::Absent { draft.stamp } else { draft.created };
    if created == draft.stamp && timestamp != received_at {
        return;
    }
    if let Some(at) = syslog::as_written(created, received_at, reading).filter(|at| *at != timestamp) {
        draft.str(fields::EVENT_CREATED, &at.rfc3339());
    }
}

fn json_frame(draft: &mut Draft<'_>) {
    let text = draft.message;
    json::object(text.trim_start_matches('\u{FEFF}').trim(), draft);
    json_understood(draft);
}

/// A JSON object is understood as such, unless a decoder understood the line that it carries.
fn json_understood(draft: &mut Draft<'_>) {
    if draft.decoder.is_empty() && !draft.defects.contains(Defect::BadJson) {
        draft.decoder = "json";
    }
}

fn line_frame(draft: &mut Draft<'_>) {
    let line = draft.message.trim_end_matches(['\n', '\r', '\0']);
    if json::looks_like(line) {
        // One JSON object a line, as files and TCP senders have it: needs no header.
        json::object(line, draft);
        json_understood(draft);
        return;
    }
    let outer = syslog::parse(line.trim_start_matches('\u{FEFF}'));
    let header = forwarded(&outer).unwrap_or(outer);
    draft.created = outer.stamp;
    if header.host != outer.host {
        draft.str(fields::OBSERVER_NAME, outer.host);
    }
    put_header(&header, draft);
    let text = repeated(draft.message).map_or(draft.message, |(times, text)| {
        draft.vendor_int("log.syslog", "repeated", times);
        text
    });
    // NXLog's structured data are the event, and say more than the text that they come with.
    if !header.structured.contains("NXLOG@14506") || !windows::nxlog_structured(draft) {
        payload(header.app, text, draft);
    }
    if !draft.has(fields::HOST_NAME) && !draft.defects.contains(Defect::NoHeader) {
        draft.defects.add(Defect::NoHost);
    }
}

/// The header within, where a relay put its own before a whole line: the first device is who speaks. Only
/// where the outer header names no program, and only once: what a program says is never taken for a header.
fn forwarded<'a>(outer: &Header<'a>) -> Option<Header<'a>> {
    if outer.defects.contains(Defect::NoHeader) || !outer.app.is_empty() {
        return None;
    }
    let inner = syslog::parse(outer.message);
    let whole = !inner.defects.contains(Defect::NoHeader) && !inner.app.is_empty();
    let host = if inner.host.is_empty() { outer.host } else { inner.host };
    let stamp = if inner.stamp == Stamp::Absent { outer.stamp } else { inner.stamp };
    whole.then_some(Header { priority: inner.priority.or(outer.priority), host, stamp, ..inner })
}

fn put_header(header: &Header<'_>, draft: &mut Draft<'_>) {
    draft.stamp = header.stamp;
    draft.has_header = !header.host.is_empty();
    draft.add_defects(header.defects);
    draft.set_message(without_repeated_tag(header));
    if let Some(priority) = header.priority {
        if let Some(facility) = syslog::facility_name(priority) {
            draft.name(fields::LOG_SYSLOG_FACILITY, facility);
        }
        draft.name(fields::LOG_LEVEL, syslog::severity_name(priority));
    }
    if let Ok(address) = header.host.parse() {
        draft.put_ip(fields::HOST_IP, address);
    }
    draft.str(fields::HOST_NAME, header.host);
    draft.str(fields::PROCESS_NAME, header.app);
    if header.pid.bytes().all(|byte| byte.is_ascii_digit()) {
        draft.number(fields::PROCESS_PID, header.pid);
    } else {
        draft.vendor("log.syslog", "procid", header.pid);
    }
    draft.str(fields::LOG_SYSLOG_MSGID, header.msgid);
    for param in syslog::params(header.structured) {
        match param {
            Some(param) => draft.structured(param),
            None => draft.defects.add(Defect::BadStructuredData),
        }
    }
}

/// Some daemons behind an RFC 5424 header write `app[pid]: ` once more.
fn without_repeated_tag<'a>(header: &Header<'a>) -> &'a str {
    let behind = header.message.strip_prefix(header.app).filter(|_| !header.app.is_empty());
    let behind = behind.and_then(|rest| match rest.strip_prefix('[') {
        Some(rest) => rest.strip_prefix(header.pid)?.strip_prefix("]: "),
        None => rest.strip_prefix(": "),
    });
    behind.unwrap_or(header.message)
}

/// What a syslog daemon did not want to write again: `message repeated 3 times: [ Failed password for … ]`.
fn repeated(message: &str) -> Option<(i64, &str)> {
    let (times, text) = message.strip_prefix("message repeated ")?.split_once(" times: [")?;
    let text = text.trim_end().strip_suffix(']').unwrap_or(text);
    Some((times.parse().ok()?, text.trim()))
}

/// Lets the decoders look at a text.
fn payload(tag: &str, text: &str, draft: &mut Draft<'_>) {
    let look = Look::new(tag, text);
    let known = look.program().and_then(|decoder| DECODERS.get(decoder));
    if !known.is_some_and(|decoder| look.decoded_by(decoder, draft)) {
        look.ask_all(draft);
    }
}

impl<'t> Look<'t> {
    fn new(tag: &'t str, text: &'t str) -> Self {
        let file = tag.rsplit('/').next().unwrap_or(tag);
        let app = file.split_once('(').map_or(file, |(app, _)| app);
        Self { app, tag, text }
    }

    /// Whether nobody else speaks: the header names no program, or one whose name holds one of these words. Asked by the
    /// decoders that know their lines by the text alone: any program may log a text that somebody sent it, and that must
    /// not become a device's word. Files and records without a header name nobody, and devices mostly do not either.
    ///
    /// Not asked where the name is the operator's or the product's to choose, so that no list would be whole: `json`, `kv`
    /// and `cef` (everybody's languages; what such a line says is that program's claim), `pam` (libpam speaks in the name of
    /// whoever uses it), `http_access` and `apache` (the tag is configured), `columns` (a shipper's tag; what the columns are
    /// is remembered by sender), `windows_xml` and `nxlog` (the event's provider is the program), `watchguard` and Sophos
    /// UTM in `sophos` (dozens of the device's own processes), `application` (`may_say` asks where it matters).
    fn is_of(&self, words: &[&str]) -> bool {
        let has = |word: &&str| self.app.as_bytes().windows(word.len().max(1)).any(|part| part.eq_ignore_ascii_case(word.as_bytes()));
        self.app.is_empty() || words.iter().any(has)
    }

    /// The decoder that the program's name alone tells, where the text is not one that anybody may say.
    fn program(&self) -> Option<usize> {
        static INDEX: LazyLock<HashMap<&str, usize, foldhash::fast::RandomState>> = LazyLock::new(|| {
            let place = |name: &str| DECODERS.iter().position(|decoder| decoder.name == name);
            PROGRAMS
                .iter()
                .filter_map(|(decoder, apps)| Some((place(decoder)?, apps)))
                .flat_map(|(n, apps)| apps.iter().map(move |app| (*app, n)))
                .collect()
        });
        let anybodys = json::first_look(self) || pam::first_look(self);
        let family = || self.tag.split_once('/').map(|(family, _)| family);
        let name = if anybodys { None } else { Some(self.app) };
        name.and_then(|name| INDEX.get(name).or_else(|| INDEX.get(family()?)).copied())
    }

    fn decoded_by(&self, decoder: &Decoder, draft: &mut Draft<'_>) -> bool {
        let decoded = (decoder.first_look)(self) && (decoder.decode)(self, draft);
        // A decoder may have handed a part of the text to another, which says more of it.
        if decoded && draft.decoder.is_empty() {
            draft.decoder = decoder.name;
        }
        decoded
    }

    fn ask_all(&self, draft: &mut Draft<'_>) -> bool {
        DECODERS.iter().any(|decoder| self.decoded_by(decoder, draft))
    }
}

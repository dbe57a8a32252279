//! One event with its persons hidden. The store keeps lines and decodes them again, so the line itself is rewritten: each
//! personal value of a field is replaced where it stands, and wherever else it stands as a whole word; addresses and mail
//! addresses are found by their look, in whatever field or text. Then the new line is decoded and searched for what was to
//! be hidden. Where something is left, or the decoder reads the line otherwise than before, only the fields are kept.
//!
//! It is linear in the line: a bounded number of values, each looked for once.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::Hidden;
use super::address::Zones;
use super::bare::{bare_event, bare_payload};
use super::keyring::{Addresses, ClassKey, Plan};
use crate::event::{Event, ValueRef};
use crate::fields::{self, Class, FieldId, Kind};
use crate::frame::{Frame, PAYLOAD_BYTES_MAX};

/// Different personal values of one line. A line with more is a list or an attack, and is kept by its fields.
const VALUES_MAX: usize = 64;
/// A line may grow by its tokens; beyond this it is kept by its fields.
const LINE_BYTES_MAX: usize = 4 * PAYLOAD_BYTES_MAX;
/// Shorter values stand in every other line by chance; they are replaced only where their field stands.
const SEARCHED_CHARS_MIN: usize = 3;
/// A number is a port, a process, an hour; below this length it is replaced only where its field stands.
const SEARCHED_DIGITS_MIN: usize = 6;
/// Names of accounts that are words of the log itself. They tell of nobody, and to replace every "user" of a line would
/// make it unreadable for its decoder; where they are a field's value they are hidden as any other.
const COMMON: &[&str] = &[
    "account",
    "admin",
    "administrator",
    "anonymous",
    "apache",
    "backup",
    "connect",
    "cron",
    "daemon",
    "default",
    "domain",
    "email",
    "failed",
    "ftp",
    "group",
    "guest",
    "host",
    "http",
    "imap",
    "info",
    "invalid",
    "kernel",
    "ldap",
    "local",
    "localhost",
    "login",
    "mail",
    "mysql",
    "name",
    "named",
    "network",
    "nginx",
    "nobody",
    "none",
    "null",
    "operator",
    "oracle",
    "password",
    "port",
    "postfix",
    "postgres",
    "public",
    "root",
    "server",
    "service",
    "session",
    "smtp",
    "ssh",
    "sshd",
    "sudo",
    "support",
    "system",
    "test",
    "unknown",
    "user",
    "web",
    "www",
];
/// Fields that say what happened: a rewritten line must say the same.
const SAME: [FieldId; 7] = [
    fields::EVENT_ACTION,
    fields::EVENT_CATEGORY,
    fields::EVENT_CODE,
    fields::EVENT_MODULE,
    fields::EVENT_OUTCOME,
    fields::SOURCE_PORT,
    fields::DESTINATION_PORT,
];

/// What a personal value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    User,
    Mail,
    Address,
    /// A name or hardware address of a device.
    Device,
    /// A text in which a part may tell of somebody: an URL's query, a command's arguments.
    Content,
}

/// Whether a field's values are personal, and how. A vendor's own field is judged by its name.
pub fn sort(field: FieldId) -> Option<Sort> {
    let name = field.name();
    let Some(row) = field.known() else { return vendor_sort(name) };
    if row.class != Class::Personal {
        return None;
    }
    Some(match row.kind {
        Kind::Ip => Sort::Address,
        _ if name.starts_with("email.") => Sort::Mail,
        _ if name.starts_with("url.") || matches!(field, fields::HTTP_REFERRER | fields::PROCESS_COMMAND_LINE) => Sort::Content,
        _ if name.ends_with(".mac") || name.ends_with(".domain") => Sort::Device,
        _ => Sort::User,
    })
}

fn vendor_sort(name: &str) -> Option<Sort> {
    let last = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    // What a command was called with, but for its own name.
    if name.strip_prefix("auditd.a").is_some_and(|number| number != "0" && number.bytes().all(|byte| byte.is_ascii_digit())) {
        return Some(Sort::User);
    }
    let has = |words: &[&str]| words.iter().any(|word| last.contains(word));
    if has(&["agent", "type", "group", "count", "class", "mode"]) {
        return None;
    }
    if has(&["mail", "sender", "recipient"]) {
        return Some(Sort::Mail);
    }
    has(&["user", "login", "account", "konto"]).then_some(Sort::User)
}

/// Whether an address is to be hidden.
pub(super) fn is_personal(address: IpAddr, plan: &Plan, zones: &Zones) -> bool {
    match plan.addresses {
        Addresses::None => false,
        Addresses::Internal => zones.is_inside(address) && !zones.is_special(address),
        Addresses::All => !zones.is_special(address),
    }
}

/// Whether a whole text is a mail address.
pub(super) fn is_mail(text: &str) -> bool {
    mails_in(text).first().is_some_and(|found| *found == (0..text.len()))
}

/// Whether a name is a word of the log itself.
pub(super) fn is_common(value: &str) -> bool {
    COMMON.contains(&value.to_ascii_lowercase().as_str())
}

pub(super) struct Rewriter<'a> {
    pub(super) plan: &'a Plan,
    pub(super) zones: &'a Zones,
    pub(super) key: Option<&'a ClassKey>,
}

/// A stretch of a text and what stands there instead.
struct Spot {
    range: Range<usize>,
    with: String,
}

/// What is hidden of one event, and what it became.
#[derive(Default)]
struct Found {
    /// Values to look for elsewhere.
    values: Vec<String>,
    /// What was put in their place.
    tokens: HashSet<String>,
    addresses: HashSet<IpAddr>,
    too_many: bool,
}

impl Rewriter<'_> {
    /// An event without its frame cannot be decoded again: its fields are kept, unless there is nothing to hide.
    pub(super) fn hide(&self, frame: Option<&Frame>, event: &Event, redecode: &dyn Fn(&Frame) -> Option<Event>) -> Hidden {
        let Some(key) = self.key else { return Hidden::Bare(self.bare(event, &mut Found::default())) };
        let mut found = Found::default();
        let mut spots = self.field_spots(key, event, &mut found);
        self.text_spots(key, event.line(), &mut found, &mut spots);
        if spots.is_empty() && self.is_clean(event, &found) {
            return Hidden::Plain;
        }
        let again = rewritten(event.line(), spots).filter(|_| !found.too_many).and_then(|line| {
            let mut frame = frame?.clone();
            frame.frame.payload = line.into_bytes().into();
            redecode(&frame)
        });
        match again {
            Some(again) if says_the_same(event, &again) && self.is_clean(&again, &found) => Hidden::Line(again),
            // Decoded again it is without what was added to it by its real addresses, such as a machine's name.
            _ => Hidden::Bare(self.bare(frame.and_then(redecode).as_ref().unwrap_or(event), &mut found)),
        }
    }

    fn is_on(&self, sort: Sort) -> bool {
        match sort {
            Sort::User | Sort::Content => self.plan.users,
            Sort::Mail => self.plan.mails,
            Sort::Address | Sort::Device => self.plan.addresses != Addresses::None,
        }
    }

    /// The parts of a field's text that are to be hidden, by their places in it.
    fn personal_parts(&self, field: FieldId, text: &str, event: &Event) -> Option<Range<usize>> {
        let sort = sort(field).filter(|sort| self.is_on(*sort))?;
        let range = match sort {
            Sort::Address => return None,
            // The name of somebody outside is no more personal than his address.
            Sort::Device if field == fields::SOURCE_DOMAIN && self.is_from_outside(event) => return None,
            // A number or address in such a field is found by its look.
            _ if text.parse::<IpAddr>().is_ok() => return None,
            Sort::Content if field == fields::PROCESS_COMMAND_LINE => behind(text, text.find(char::is_whitespace)),
            Sort::Content if field == fields::URL_QUERY => text.len() - text.trim_start_matches('?').len()..text.len(),
            Sort::Content => behind(text, text.find(['?', '#'])),
            Sort::User | Sort::Mail | Sort::Device => 0..text.len(),
        };
        let part = text.get(range.clone())?;
        let trimmed = range.start + (part.len() - part.trim_start().len())..range.end - (part.len() - part.trim_end().len());
        part.contains(char::is_alphanumeric).then_some(trimmed)
    }

    fn is_from_outside(&self, event: &Event) -> bool {
        let address = event.get(fields::SOURCE_IP).and_then(ValueRef::as_ip);
        address.is_some_and(|address| !is_personal(address.to_canonical(), self.plan, self.zones))
    }

    /// Where fields stand in the line, and their values.
    fn field_spots(&self, key: &ClassKey, event: &Event, found: &mut Found) -> Vec<Spot> {
        let mut spots = Vec::new();
        for (field, value, place) in event.fields_placed() {
            let text = value.text();
            let Some(part) = self.personal_parts(field, &text, event) else { continue };
            let Some(value) = text.get(part.clone()) else { continue };
            let token = key.text.token(value);
            if let Some(place) = place {
                let range = place.start + part.start..place.start + part.end;
                spots.push(Spot { with: fitting(event.line(), &range, &token), range });
            } else if value.bytes().all(|byte| byte.is_ascii_digit()) {
                // A JSON number is no part of the line to its decoder; it is found by its key.
                for range in json_numbers(event.line(), field, value) {
                    spots.push(Spot { with: format!("\"{token}\""), range });
                }
            }
            found.tokens.insert(token);
            let account = account_of(value).filter(|_| sort(field) == Some(Sort::User));
            for value in std::iter::once(value).chain(account) {
                if found.values.len() >= VALUES_MAX {
                    found.too_many = true;
                } else if !found.values.iter().any(|known| known == value) {
                    found.values.push(value.to_owned());
                }
            }
        }
        spots
    }

    /// What stands anywhere in a text: the values found so far, addresses, mail addresses.
    fn text_spots(&self, key: &ClassKey, text: &str, found: &mut Found, spots: &mut Vec<Spot>) {
        let folded = text.to_ascii_lowercase();
        for value in &found.values {
            for spelling in spellings(value) {
                for range in words_like(text, &folded, &spelling) {
                    // In another case it is another value; as it stands it can be given back.
                    let as_is = text.get(range.clone()).filter(|_| spelling == *value).unwrap_or(value);
                    let token = key.text.token(as_is);
                    spots.push(Spot { with: fitting(text, &range, &token), range });
                    found.tokens.insert(token);
                }
            }
        }
        for look in addresses_in(text).into_iter().filter(|look| is_personal(look.address, self.plan, self.zones)) {
            let hidden = key.pan.hide(look.address, self.zones);
            found.addresses.insert(hidden);
            spots.push(Spot { with: look.written(hidden), range: look.range });
        }
        for range in mails_in(text).into_iter().filter(|_| self.plan.mails) {
            let token = key.text.token(text.get(range.clone()).unwrap_or_default());
            spots.push(Spot { with: token.clone(), range });
            found.tokens.insert(token);
        }
    }

    /// Whether nothing of what was to be hidden is left in an event.
    fn is_clean(&self, event: &Event, found: &Found) -> bool {
        let fields = event.fields_placed().all(|(field, value, place)| {
            let text = value.text();
            let hidden =
                self.personal_parts(field, &text, event).is_none_or(|part| found.tokens.contains(text.get(part).unwrap_or_default()));
            // What stands in the line is looked at there.
            hidden && self.is_address_clean(value, found) && (place.is_some() || self.is_text_clean(&text, found))
        });
        fields && self.is_text_clean(event.line(), found) && (!event.has_message_text() || self.is_text_clean(event.message(), found))
    }

    fn is_address_clean(&self, value: ValueRef<'_>, found: &Found) -> bool {
        let ValueRef::Ip(address) = value else { return true };
        let address = address.to_canonical();
        !is_personal(address, self.plan, self.zones) || found.addresses.contains(&address)
    }

    fn is_text_clean(&self, text: &str, found: &Found) -> bool {
        let folded = text.to_ascii_lowercase();
        let value_left = || found.values.iter().any(|value| spellings(value).iter().any(|one| !words_like(text, &folded, one).is_empty()));
        let address_left = || {
            let left = |look: &Look| is_personal(look.address, self.plan, self.zones) && !found.addresses.contains(&look.address);
            addresses_in(text).iter().any(left)
        };
        !value_left() && !address_left() && (!self.plan.mails || mails_in(text).is_empty())
    }

    /// The event by its fields alone: personal values hidden, other texts rewritten as the line would have been, and what
    /// still shows something left out.
    fn bare(&self, event: &Event, found: &mut Found) -> Event {
        let mut kept: Vec<(FieldId, Kept)> = Vec::new();
        for (field, value) in event.fields() {
            // Made of the real addresses, which can be found by trying.
            if field == fields::NETWORK_COMMUNITY_ID && self.plan.addresses != Addresses::None {
                continue;
            }
            if let Some(value) = self.bare_value(event, field, value, found) {
                kept.push((field, value));
            }
        }
        let payload = bare_payload(event.timestamp, event.defects, kept.iter().map(|(field, value)| (*field, value.as_ref())));
        bare_event(event.seq, event.received_at, event.site, event.peer, event.transport, &payload)
    }

    fn bare_value(&self, event: &Event, field: FieldId, value: ValueRef<'_>, found: &mut Found) -> Option<Kept> {
        let text = value.text();
        let part = self.personal_parts(field, &text, event);
        match (value, self.key) {
            (ValueRef::Ip(address), key) if is_personal(address.to_canonical(), self.plan, self.zones) => {
                let hidden = key?.pan.hide(address.to_canonical(), self.zones);
                found.addresses.insert(hidden);
                Some(Kept::Ip(hidden))
            }
            (ValueRef::Ip(address), _) => Some(Kept::Ip(address)),
            (ValueRef::Bool(truth), _) => Some(Kept::Bool(truth)),
            (ValueRef::Int(number), _) if part.is_none() => Some(Kept::Int(number)),
            (_, None) => (part.is_none() && self.is_text_clean(&text, found)).then(|| Kept::Text(text.into_owned())),
            (_, Some(key)) => {
                let mut spots = Vec::new();
                if let Some(range) = part {
                    let with = key.text.token(text.get(range.clone())?);
                    found.tokens.insert(with.clone());
                    spots.push(Spot { range, with });
                }
                self.text_spots(key, &text, found, &mut spots);
                rewritten(&text, spots).filter(|text| self.is_text_clean(text, found)).map(Kept::Text)
            }
        }
    }
}

enum Kept {
    Text(String),
    Ip(IpAddr),
    Int(i64),
    Bool(bool),
}

impl Kept {
    fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Text(text) => ValueRef::Str(text),
            Self::Ip(address) => ValueRef::Ip(*address),
            Self::Int(number) => ValueRef::Int(*number),
            Self::Bool(truth) => ValueRef::Bool(*truth),
        }
    }
}

/// Whether the rewritten line was understood as the first.
fn says_the_same(before: &Event, after: &Event) -> bool {
    let values = |event: &Event, field| event.get_all(field).map(|value| value.text().into_owned()).collect::<Vec<_>>();
    let placed = |event: &Event| {
        let mut fields: Vec<FieldId> =
            event.fields_placed().filter(|(field, ..)| sort(*field).is_some()).map(|(field, ..)| field).collect();
        fields.sort_unstable();
        fields
    };
    before.timestamp == after.timestamp
        && before.decoder == after.decoder
        && SAME.iter().all(|field| values(before, *field) == values(after, *field))
        && placed(before) == placed(after)
}

fn behind(text: &str, at: Option<usize>) -> Range<usize> {
    at.map_or(text.len()..text.len(), |at| at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)..text.len())
}

/// The name in `KOMMUNE\anna` or `anna@kommune`: it may stand elsewhere by itself.
fn account_of(value: &str) -> Option<&str> {
    let name = value.rsplit('\\').next().unwrap_or(value);
    let name = name.split('@').next().unwrap_or(name);
    (name != value).then_some(name)
}

/// Where a number stands in a JSON text as the value of a field's last name.
fn json_numbers(line: &str, field: FieldId, value: &str) -> Vec<Range<usize>> {
    let key = field.name().rsplit('.').next().unwrap_or_default();
    let is_value_of = |range: &Range<usize>| {
        let before = line.get(..range.start).unwrap_or_default().trim_end().strip_suffix(':');
        let before = before.map(str::trim_end).and_then(|before| before.strip_suffix('"')).unwrap_or_default();
        let behind = line.get(range.end..).unwrap_or_default().trim_start();
        before.ends_with(key) && behind.starts_with([',', '}'])
    };
    let found = memchr::memmem::find_iter(line.as_bytes(), value.as_bytes()).map(|at| at..at + value.len());
    found.filter(is_value_of).collect()
}

/// A token as it must stand there: a JSON number becomes a text.
fn fitting(line: &str, range: &Range<usize>, token: &str) -> String {
    let is_number = line.get(range.clone()).is_some_and(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
    let before = line.get(..range.start).unwrap_or_default().trim_end();
    let behind = line.get(range.end..).unwrap_or_default().trim_start();
    let bare = before.strip_suffix(':').is_some_and(|key| key.ends_with('"')) && behind.starts_with([',', '}', ']']);
    if is_number && bare { format!("\"{token}\"") } else { token.to_owned() }
}

/// The text with all spots replaced, the longest first; `None` where two cut into each other, or it grows too long.
fn rewritten(text: &str, mut spots: Vec<Spot>) -> Option<String> {
    spots.sort_by(|a, b| b.range.len().cmp(&a.range.len()).then(a.range.start.cmp(&b.range.start)));
    let mut taken: std::collections::BTreeMap<usize, Spot> = std::collections::BTreeMap::new();
    for spot in spots.into_iter().filter(|spot| !spot.range.is_empty()) {
        let before = taken.range(..spot.range.end).next_back().map(|(_, other)| other.range.clone());
        match before {
            Some(other) if other.end > spot.range.start => {
                let is_within = other.start <= spot.range.start && spot.range.end <= other.end;
                if !is_within {
                    return None;
                }
            }
            _ => {
                taken.insert(spot.range.start, spot);
            }
        }
    }
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for spot in taken.values() {
        out.push_str(text.get(at..spot.range.start)?);
        out.push_str(&spot.with);
        at = spot.range.end;
    }
    out.push_str(text.get(at..)?);
    (out.len() <= LINE_BYTES_MAX).then_some(out)
}

/// How a value may be written in a line: as it is, or as JSON or an URL escapes it. None where it must not be looked for.
fn spellings(value: &str) -> Vec<String> {
    let digits_only = !value.contains(char::is_alphabetic);
    let chars = value.chars().count();
    if chars < if digits_only { SEARCHED_DIGITS_MIN } else { SEARCHED_CHARS_MIN } || is_common(value) {
        return Vec::new();
    }
    let mut all = vec![value.to_owned()];
    let json = serde_json::to_string(value).unwrap_or_default();
    let json = json.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned();
    all.push(json.replace('/', "\\/"));
    all.push(json);
    all.push(value.replace('@', "%40"));
    all.extend(hardware_address(value));
    all.sort_unstable();
    all.dedup();
    all.retain(|one| !one.is_empty());
    all
}

/// The ways in which devices write a hardware address, where the value is one; its field has it in one form only.
fn hardware_address(value: &str) -> Vec<String> {
    let digits: Vec<char> = value.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
    if digits.len() != 12 || value.len() == 12 || !digits.iter().all(char::is_ascii_hexdigit) {
        return Vec::new();
    }
    let joined = |size: usize, by: &str| digits.chunks(size).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>().join(by);
    vec![joined(2, ":"), joined(2, "-"), joined(4, ".")]
}

/// Where a value stands as a whole word, whatever its case.
fn words_like(text: &str, folded: &str, value: &str) -> Vec<Range<usize>> {
    let needle = value.to_ascii_lowercase();
    let is_part =
        |inner: Option<char>, outer: Option<char>| inner.is_some_and(char::is_alphanumeric) && outer.is_some_and(char::is_alphanumeric);
    let whole = |range: &Range<usize>| {
        let (before, behind) = (text.get(..range.start), text.get(range.end..));
        let (Some(before), Some(behind)) = (before, behind) else { return false };
        !is_part(value.chars().next(), before.chars().next_back()) && !is_part(value.chars().next_back(), behind.chars().next())
    };
    let found = memchr::memmem::find_iter(folded.as_bytes(), needle.as_bytes()).map(|at| at..at + needle.len());
    found.filter(whole).collect()
}

/// Something in a text that reads as an address.
struct Look {
    range: Range<usize>,
    address: IpAddr,
    form: Form,
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Plain,
    /// IPv4 as IPv6 (`::ffff:10.1.2.3`).
    Mapped,
    /// A name in the DNS' reverse tree (`3.2.1.10.in-addr.arpa`).
    Reverse,
}

impl Look {
    fn written(&self, address: IpAddr) -> String {
        match (self.form, address) {
            (Form::Mapped, IpAddr::V4(v4)) => format!("::ffff:{v4}"),
            (Form::Reverse, IpAddr::V4(v4)) => reversed(v4).to_string(),
            (_, address) => address.to_string(),
        }
    }
}

fn reversed(address: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, d] = address.octets();
    [d, c, b, a].into()
}

/// All addresses in a text, by their look. What only looks like one (a version such as 10.2.0.1) is taken for one.
fn addresses_in(text: &str) -> Vec<Look> {
    let bytes = text.as_bytes();
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(skip) = bytes.get(at..).and_then(|rest| rest.iter().position(is_part)) {
        let start = at + skip;
        let length = bytes.get(start..).map_or(0, |rest| rest.iter().take_while(|byte| is_part(byte)).count());
        at = start + length;
        // The end of a name before a colon, as in `inside:fd00::1`.
        let in_word = text.get(..start).and_then(|before| before.chars().next_back()).is_some_and(char::is_alphanumeric);
        let cut = if in_word { text.get(start..at).and_then(|run| run.find(':')).map_or(length, |colon| colon + 1) } else { 0 };
        let in_word_behind = text.get(at..).and_then(|rest| rest.chars().next()).is_some_and(|c| c.is_alphanumeric() || c == '_');
        let run = start + cut..at;
        let six = (!in_word_behind).then(|| v6_in(text, run.clone())).flatten();
        match six {
            Some(look) => found.push(look),
            None => v4_in(text, run, in_word_behind, &mut found),
        }
    }
    found
}

fn v6_in(text: &str, run: Range<usize>) -> Option<Look> {
    /// The longest way to write one, with an IPv4 address at its end.
    const CHARS_MAX: usize = 45;
    let part = text.get(run.clone())?;
    let trimmed = part.trim_end_matches('.');
    let trimmed = if trimmed.ends_with("::") { trimmed } else { trimmed.trim_end_matches(':') };
    let lead = usize::from(trimmed.starts_with(':') && !trimmed.starts_with("::"));
    let candidate = trimmed.get(lead..).filter(|text| text.len() <= CHARS_MAX && text.bytes().filter(|byte| *byte == b':').count() >= 2)?;
    let address: Ipv6Addr = candidate.parse().ok()?;
    let start = run.start + lead;
    let range = start..start + candidate.len();
    Some(match address.to_ipv4_mapped() {
        Some(v4) => Look { range, address: v4.into(), form: Form::Mapped },
        None => Look { range, address: address.into(), form: Form::Plain },
    })
}

fn v4_in(text: &str, run: Range<usize>, in_word_behind: bool, found: &mut Vec<Look>) {
    let Some(whole) = text.get(run.clone()) else { return };
    let mut start = run.start;
    for part in whole.split(':') {
        let end = start + part.len();
        let trimmed = part.trim_matches('.');
        let first = start + part.find(trimmed).unwrap_or(0);
        let range = first..first + trimmed.len();
        start = end + 1;
        let behind = text.get(range.end..).unwrap_or_default();
        let is_name = end == run.end && in_word_behind;
        let is_reverse = behind.get(..13).is_some_and(|tail| tail.eq_ignore_ascii_case(".in-addr.arpa"));
        // A dot and a letter behind it: a longer name, unless it is the reverse tree's.
        if is_name && !is_reverse && (range.end == end || !behind.starts_with('.')) {
            continue;
        }
        if let Some(address) = v4(trimmed) {
            let (address, form) = if is_reverse { (reversed(address), Form::Reverse) } else { (address, Form::Plain) };
            found.push(Look { range, address: address.into(), form });
        }
    }
}

/// Four decimal numbers; some devices fill them up with zeros.
fn v4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// All mail addresses in a text, by their look: a name, `@`, and a domain with a dot.
fn mails_in(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for at in memchr::memchr_iter(b'@', text.as_bytes()) {
        let (Some(before), Some(behind)) = (text.get(..at), text.get(at + 1..)) else { continue };
        let in_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
        let name = before.len() - before.trim_end_matches(in_name).len();
        let name = before.get(at - name..).unwrap_or_default().trim_start_matches(['.', '%', '+', '-']);
        let in_domain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
        let domain = behind.len() - behind.trim_start_matches(in_domain).len();
        let domain = behind.get(..domain).unwrap_or_default().trim_end_matches(['.', '-']);
        let top = domain.rsplit_once('.').map_or("", |(_, top)| top);
        let is_top = top.chars().count() >= 2 && top.chars().all(char::is_alphabetic);
        if !name.is_empty() && is_top && !domain.starts_with('.') {
            found.push(at - name.len()..at + 1 + domain.len());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let addresses = addresses_in(text).into_iter().map(|look| format!("{}={}", &text[look.range.clone()], look.address));
        let mails = mails_in(text).into_iter().map(|range| text[range].to_owned());
        expected.assert_eq(&addresses.chain(mails).collect::<Vec<_>>().join(" "));
    }

    #[test]
    fn addresses_and_mails_by_their_look() {
        check("from 10.1.2.3 port 22", expect!["10.1.2.3=10.1.2.3"]);
        check("src=10.1.2.3:443, dst=[fd00::1]:80.", expect!["10.1.2.3=10.1.2.3 fd00::1=fd00::1"]);
        check("inside:10.1.2.3/443 outside:fd00::a/1", expect!["10.1.2.3=10.1.2.3 fd00::a=fd00::a"]);
        check(
            "\"ip\":\"010.001.002.003\" ::ffff:10.1.2.3 end 10.1.2.3.",
            expect!["010.001.002.003=10.1.2.3 ::ffff:10.1.2.3=10.1.2.3 10.1.2.3=10.1.2.3"],
        );
        check("query 3.2.1.10.in-addr.arpa IN PTR", expect!["3.2.1.10=10.1.2.3"]);
        check("fe80::1%eth0 12:30:45 00:11:22:33:44:55 v10.1.2.3 10.1.2.3.4 10.1.2 10.1.2.3x 1.2.3.400", expect!["fe80::1=fe80::1"]);
        check("addr:fd00::1, ::1; :: a::b::c", expect!["fd00::1=fd00::1 ::1=::1 ::=::"]);
        check("from=<anna.müller@soemmerda.example>, root@host git@a.b a@b.cd.", expect!["anna.müller@soemmerda.example a@b.cd"]);
        check("@@@ @a.de a@.de a@b. x@y.z1 <20260314.A7@mx.example>", expect!["20260314.A7@mx.example"]);
        check("", expect![""]);
    }

    #[test]
    fn spots_within_each_other_and_across() {
        let spot = |range, with: &str| Spot { range, with: with.into() };
        let text = "anna.m@x.de und anna";
        assert_eq!(rewritten(text, vec![spot(0..4, "A"), spot(0..11, "M"), spot(16..20, "A")]).unwrap(), "M und A");
        assert_eq!(rewritten(text, vec![spot(0..6, "A"), spot(4..11, "M")]), None);
        assert_eq!(rewritten(text, vec![]).unwrap(), text);
    }

    #[test]
    fn a_json_number_becomes_a_text() {
        let line = r#"{"uid": 1000, "a":[1000]}"#;
        assert_eq!(fitting(line, &(8..12), "p1x"), "\"p1x\"");
        assert_eq!(fitting("uid=1000,", &(4..8), "p1x"), "p1x");
        assert_eq!(fitting(r#"{"u":"1000"}"#, &(6..10), "p1x"), "p1x");
    }

    #[test]
    fn fields_that_tell_of_persons() {
        let table =
            |names: &[&str]| names.iter().map(|name| format!("{name}: {:?}\n", FieldId::intern(name).and_then(sort))).collect::<String>();
        expect![[r#"
            user.name: Some(User)
            user.id: Some(User)
            source.ip: Some(Address)
            source.mac: Some(Device)
            source.domain: Some(Device)
            email.to.address: Some(Mail)
            url.full: Some(Content)
            process.command_line: Some(Content)
            host.name: None
            event.action: None
            winlog.event_data.TargetUserName: Some(User)
            fortinet.firewall.usertype: None
            sophos.utm.recipient: Some(Mail)
            vendor.user_agent: None
        "#]]
        .assert_eq(&table(&[
            "user.name",
            "user.id",
            "source.ip",
            "source.mac",
            "source.domain",
            "email.to.address",
            "url.full",
            "process.command_line",
            "host.name",
            "event.action",
            "winlog.event_data.TargetUserName",
            "fortinet.firewall.usertype",
            "sophos.utm.recipient",
            "vendor.user_agent",
        ]));
    }
}

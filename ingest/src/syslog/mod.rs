//! The syslog header: RFC 5424, RFC 3164 in the variants that devices really send, and what a file of
//! /var/log shows. One pass of byte scanning, everything found is a slice of the line. What a header's
//! payload means is `decode`'s; times are `stamp`'s.

mod stamp;

pub use stamp::{Civil, Stamp, as_written, day_first_stamp, epoch, epoch_text, moment, weekday_stamp, whole_stamp, zone_offset};
use stamp::{Shape, stamp};

use crate::event::{Defect, Defects};

/// What stands before the message. Empty where a part is absent or `-`.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Facility × 8 + severity.
    pub priority: Option<u8>,
    pub stamp: Stamp,
    pub host: &'a str,
    pub app: &'a str,
    pub pid: &'a str,
    pub msgid: &'a str,
    /// RFC 5424 structured data with its brackets; `params` reads it.
    pub structured: &'a str,
    pub message: &'a str,
    pub defects: Defects,
}

/// RFC 3164 allows 32 bytes, containers and `postfix/submission/smtpd` need more; a longer word is text.
const TAG_BYTES_MAX: usize = 64;
/// RFC 1035; a longer word is no host.
const HOST_BYTES_MAX: usize = 255;
const PRIORITY_MAX: u8 = 191;

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert", "clock",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] = ["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"];

pub fn facility_name(priority: u8) -> Option<&'static str> {
    FACILITIES.get(usize::from(priority / 8)).copied()
}

/// Our word for a facility's name, in whatever case.
pub fn facility_named(text: &str) -> Option<&'static str> {
    FACILITIES.into_iter().find(|name| name.eq_ignore_ascii_case(text))
}

/// The name of a severity from 0 (emergency) to 7 (debug); of a priority, its severity.
pub fn severity_name(priority: u8) -> &'static str {
    SEVERITIES.get(usize::from(priority % 8)).copied().unwrap_or("debug")
}

/// Reads the header of a line. Never fails: a line without one is all message, with the defect `no_header`.
pub fn parse(line: &str) -> Header<'_> {
    let line = without_junk(line);
    let mut header = Header {
        priority: None,
        stamp: Stamp::Absent,
        host: "",
        app: "",
        pid: "",
        msgid: "",
        structured: "",
        message: line,
        defects: Defects::default(),
    };
    match priority(line) {
        Some((number, rest)) => {
            header.priority = number;
            if number.is_none() {
                header.defects.add(Defect::BadPriority);
            }
            match version(rest) {
                Some(rest) => rfc5424(&mut header, rest),
                None => rfc3164(&mut header, rest),
            }
        }
        None => without_priority(&mut header, line),
    }
    header
}

/// Behind what no header begins with: control characters, as they are or as rsyslog writes them (`#001`, octal).
fn without_junk(line: &str) -> &str {
    let mut rest = line;
    loop {
        let escaped = rest.strip_prefix('#').and_then(|rest| rest.split_at_checked(3));
        rest = match escaped {
            Some((octal, behind)) if octal.starts_with(['0', '1', '2', '3']) && octal.bytes().all(|byte| matches!(byte, b'0'..=b'7')) => {
                behind
            }
            _ => match rest.chars().next() {
                Some('\0'..='\x1F' | '\x7F' | '\u{FEFF}') => rest.get(rest.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default(),
                // Only before a priority: a text may well begin with `#100` or a tab.
                _ => return if rest.starts_with('<') { rest } else { line },
            },
        };
    }
}

/// `<34>`; the number is `None` where it is none of the 192.
fn priority(line: &str) -> Option<(Option<u8>, &str)> {
    let inner = line.strip_prefix('<')?;
    let (number, rest) = inner.split_at_checked(digits(inner.as_bytes()))?;
    let rest = rest.strip_prefix('>')?;
    Some((number.parse().ok().filter(|number| *number <= PRIORITY_MAX), rest))
}

/// Behind `1 ` if what follows is a stamp or `-`: a sequence number or a year is no version.
fn version(rest: &str) -> Option<&str> {
    let (number, after) = rest.split_at_checked(digits(rest.as_bytes()))?;
    let after = after.strip_prefix(' ')?;
    let version = matches!(number.len(), 1..=2) && !number.starts_with('0');
    (version && (after.starts_with("- ") || digits(after.as_bytes()) >= 4)).then_some(after)
}

fn rfc5424<'a>(header: &mut Header<'a>, rest: &'a str) {
    let (stamp, rest) = token(rest);
    header.stamp = match stamp {
        "-" => Stamp::Absent,
        _ => whole_stamp(stamp).or_else(|| epoch_text(stamp).map(Stamp::Moment)).unwrap_or(Stamp::Bad),
    };
    let (mut rest, behind_stamp) = (rest, rest);
    for part in [&mut header.host, &mut header.app, &mut header.pid, &mut header.msgid] {
        let word;
        (word, rest) = token(rest);
        *part = if word == "-" { "" } else { word };
    }
    let behind = match rest.as_bytes().first() {
        Some(b'-') => rest.get(1..),
        // Check Point's `[action:"Accept"; …]` stands where structured data belong and is none: it is the message.
        Some(b'[') if has_colon_pairs(rest) => Some(rest),
        Some(b'[') => structured_end(rest.as_bytes()).and_then(|end| {
            header.structured = rest.get(..end)?;
            rest.get(end..)
        }),
        _ => None,
    };
    match behind {
        Some(behind) => header.message = behind.strip_prefix(' ').unwrap_or(behind),
        None => {
            header.defects.add(Defect::BadStructuredData);
            header.message = rest;
            // `<134>1 1773471598.25 MX84 flows src=…`: neither `-` nor `[` where the data belong, so the words
            // before are no program, number and kind either but the message's beginning.
            if !rest.starts_with('[') {
                (header.host, header.app, header.pid, header.msgid) = ("", "", "", "");
                host_and_tag(header, behind_stamp);
            }
        }
    }
    header.message = header.message.strip_prefix('\u{FEFF}').unwrap_or(header.message);
}

/// `[key:"`: no name of structured data holds a colon and a quote.
fn has_colon_pairs(text: &str) -> bool {
    let before = text.get(1..).and_then(|text| text.split_once(":\"")).map(|(key, _)| key.trim_end_matches(':'));
    before.is_some_and(|key| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

/// Where the structured data ends, which begins at 0; `None` where it does not end.
fn structured_end(bytes: &[u8]) -> Option<usize> {
    let (mut inside, mut quoted, mut escaped) = (false, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if inside => quoted = !quoted,
            b'[' if !inside => inside = true,
            b']' if !quoted && inside => inside = false,
            _ if !inside => return Some(at),
            _ => {}
        }
    }
    (!inside).then_some(bytes.len())
}

/// A parameter of structured data; the value may hold escapes (`\"`, `\\`, `\]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub value: &'a str,
}

/// The parameters of `Header::structured`; `None` once where an element is malformed, then nothing more.
pub fn params(structured: &str) -> impl Iterator<Item = Option<Param<'_>>> {
    let (mut rest, mut id) = (structured, "");
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches(' ');
            if let Some(element) = rest.strip_prefix('[') {
                let end = element.find([' ', ']'])?;
                (id, rest) = element.split_at_checked(end)?;
            } else if let Some(behind) = rest.strip_prefix(']') {
                rest = behind;
            } else if rest.is_empty() {
                return None;
            } else {
                let param = param(rest);
                rest = param.map_or("", |(_, _, behind)| behind);
                return Some(param.map(|(name, value, _)| Param { id, name, value }));
            }
        }
    })
}

fn param(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_once("=\"")?;
    let mut escaped = false;
    let end = rest.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    let good = !name.is_empty() && !name.contains([' ', ']', '"', '[']);
    good.then_some((name, rest.get(..end)?, rest.get(end + 1..)?))
}

fn rfc3164<'a>(header: &mut Header<'a>, rest: &'a str) {
    header.message = rest;
    let (host, body, mark) = behind_sequence(rest);
    if let Some(found) = stamp(body) {
        header.stamp = found.stamp;
        host_and_tag(header, found.rest.trim_start_matches([':', ' ']));
        if header.host.is_empty() {
            header.host = host;
        }
        if mark == Some('*') {
            header.defects.add(Defect::UnsureClock);
            // IOS counts from the first of March until it is told the time.
            if matches!(found.stamp, Stamp::Civil(Civil { year: None, month: 3, day: 1, .. })) {
                header.stamp = Stamp::Bad;
            }
        }
        return;
    }
    // A BSD header behind RFC 5424's version, and a bare epoch: both only before a whole header.
    let body = rest.strip_prefix("1 ").unwrap_or(rest);
    let (word, behind) = token(body);
    let found = match stamp(body) {
        Some(found) => Some((found.stamp, found.rest)),
        None => epoch_text(word).map(|at| (Stamp::Moment(at), behind)),
    };
    if let Some((stamp, behind)) = found {
        host_and_tag(header, behind.trim_start_matches(' '));
        if !header.host.is_empty() && !header.app.is_empty() {
            header.stamp = stamp;
            return;
        }
        (header.host, header.app, header.pid, header.message) = ("", "", "", rest);
    }
    if let Some(tag) = tag(rest, false) {
        tag.put(header);
    }
}

/// Cisco numbers its lines, names its host before the stamp and marks a clock that was not set (`*`) or lost its
/// server (`.`): `29: sw1: *Mar  1 18:48:50.483 UTC: %SYS-5-CONFIG_I: …`. The host, the stamp's beginning, the mark.
fn behind_sequence(rest: &str) -> (&str, &str, Option<char>) {
    /// The sequence of the message and that of the line.
    const NUMBERS_MAX: usize = 2;
    let mut body = rest.trim_start_matches([':', ' ']);
    for _ in 0..NUMBERS_MAX {
        let behind = body.split_at_checked(digits(body.as_bytes())).filter(|(number, _)| !number.is_empty());
        body = behind.and_then(|(_, behind)| behind.strip_prefix(": ")).unwrap_or(body);
    }
    let mut host = "";
    if let Some((word, behind)) = body.split_once(": ")
        && plausible_host(word)
        && behind.starts_with(|char: char| matches!(char, '*' | '.') || char.is_ascii_alphanumeric())
        && stamp(behind.trim_start_matches(['*', '.'])).is_some_and(|found| found.rest.starts_with([':', '.']))
    {
        (host, body) = (word, behind);
    }
    let mark = body.chars().next().filter(|char| matches!(char, '*' | '.'));
    (host, body.trim_start_matches(['*', '.', ' ']), mark)
}

/// A line of a file has no priority, so that the rest must look like a header before it is believed: a bare
/// time (`2026-03-01 10:00:00 ERROR x: y`) is an application's, not syslog's.
fn without_priority<'a>(header: &mut Header<'a>, line: &'a str) {
    if let Some(found) = stamp(line) {
        header.stamp = found.stamp;
        if found.rest.starts_with(' ') {
            host_and_tag(header, found.rest.trim_start_matches(' '));
        }
        let believable = match found.shape {
            Shape::Bsd => !header.host.is_empty() || !header.app.is_empty(),
            Shape::IsoT => !header.app.is_empty(),
            Shape::IsoSpace => !header.app.is_empty() && !header.pid.is_empty(),
        };
        if believable {
            return;
        }
        (header.host, header.app, header.pid) = ("", "", "");
    }
    header.message = line;
    header.defects.add(Defect::NoHeader);
}

fn host_and_tag<'a>(header: &mut Header<'a>, rest: &'a str) {
    header.message = rest;
    if let Some(tag) = tag(rest, false) {
        // `asa01: %ASA-6-302013: …`, `192.0.2.1: …`: the word with the colon is the host.
        if tag.pid.is_empty() && (tag.message.starts_with('%') || tag.app.parse::<std::net::IpAddr>().is_ok()) {
            (header.host, header.message) = (tag.app, tag.message);
        } else if let Some((host, inner)) = tag.app.split_once(',').and_then(|(host, _)| Some((host, self::tag(tag.message, true)?))) {
            // UniFi's access points name themselves `U7PG2,18e829000000,v4.0.66: hostapd: …`.
            inner.put(header);
            header.host = host;
        } else {
            tag.put(header);
        }
        return;
    }
    if rest.starts_with("last message repeated ") {
        return;
    }
    if let Some((host, behind)) = named_host(rest) {
        header.host = host;
        let behind = behind.trim_start_matches(' ');
        // UniFi's gateways write their name twice.
        let behind = behind.strip_prefix(host).and_then(|again| again.strip_prefix(' ')).unwrap_or(behind);
        header.message = behind.strip_prefix(": ").unwrap_or(behind);
        if let Some(tag) = tag(behind, true) {
            tag.put(header);
        }
    } else if let Some((host, behind)) = chained_host(rest)
        && let Some(tag) = tag(behind, true)
    {
        header.host = host;
        tag.put(header);
    }
}

/// The first word, where it is a host.
fn named_host(rest: &str) -> Option<(&str, &str)> {
    let (host, behind) = token(rest);
    plausible_host(host).then_some((host, behind))
}

/// Hosts that are no plain word: `source@host` and `host/relay` (syslog-ng's chains), `[2001:db8::1]`,
/// `("U7PG2,18e829000000,v4.0.66")` and `U7PG2,18e829000000,v4.0.66:` (UniFi's access points). Believed only before a tag.
fn chained_host(rest: &str) -> Option<(&str, &str)> {
    let (word, behind) = token(rest);
    let behind = behind.trim_start_matches(' ');
    let word = word.trim_end_matches(':');
    let bare = word.strip_prefix("(\"").and_then(|word| word.strip_suffix("\")"));
    let bare = bare.or_else(|| word.strip_prefix('[').and_then(|word| word.strip_suffix(']'))).unwrap_or(word);
    let bare = bare.split_once('@').map_or(bare, |(_, host)| host);
    let host = bare.split(['/', ',']).next()?;
    plausible_host(host).then_some((host, behind))
}

fn plausible_host(word: &str) -> bool {
    const LEVELS: [&str; 8] = ["ERROR", "INFO", "WARN", "WARNING", "DEBUG", "FATAL", "TRACE", "NOTICE"];
    word.len() <= HOST_BYTES_MAX
        && word.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'%') || byte >= 0x80)
        && !word.starts_with('%')
        && !LEVELS.contains(&word)
}

struct Tag<'a> {
    app: &'a str,
    pid: &'a str,
    message: &'a str,
}

impl<'a> Tag<'a> {
    fn put(&self, header: &mut Header<'a>) {
        (header.app, header.pid, header.message) = (self.app, self.pid, self.message);
    }
}

/// `app[pid]: ` or `app: `. Behind a host the name may have two words in two cases that real daemons write:
/// `syslogd 1.4.1: restart.` and `-- root[2421]: ROOT LOGIN`.
fn tag(text: &str, behind_host: bool) -> Option<Tag<'_>> {
    for (at, byte) in text.bytes().enumerate().take(TAG_BYTES_MAX + 1) {
        match byte {
            b':' if at > 0 && matches!(text.as_bytes().get(at + 1), None | Some(b' ' | b'\t')) => {
                let message = text.get(at + 1..)?;
                return Some(Tag { app: text.get(..at)?, pid: "", message: message.strip_prefix(' ').unwrap_or(message) });
            }
            b'[' if at > 0 => return pid(text, at, behind_host),
            b' ' if behind_host
                && at > 0
                && text.get(at + 1..).is_some_and(|behind| behind.starts_with('['))
                && pid(text, at + 1, false).is_some_and(|tag| is_number(tag.pid)) =>
            {
                let tag = pid(text, at + 1, false)?;
                return Some(Tag { app: text.get(..at)?, ..tag });
            }
            b' ' if behind_host && (at == 2 && text.starts_with("-- ") || version_follows(text.get(at + 1..)?)) => {}
            b' ' | b'=' | b'"' | b'{' | b'<' | b'[' | 0..=0x1F => return None,
            b'%' if at == 0 => return None,
            _ => {}
        }
    }
    None
}

fn pid(text: &str, at: usize, behind_host: bool) -> Option<Tag<'_>> {
    let (pid, behind) = text.get(at + 1..)?.split_once(']')?;
    let number =
        !pid.is_empty() && pid.len() <= 20 && pid.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    let message = match behind.strip_prefix(':') {
        Some(message) => message,
        // `app[7] text`, without the colon, is believed only where a host stands before it.
        None if behind_host && behind.starts_with(' ') => behind,
        None => return None,
    };
    number.then_some(Tag { app: text.get(..at)?, pid, message: message.strip_prefix(' ').unwrap_or(message) })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && digits(text.as_bytes()) == text.len()
}

fn version_follows(text: &str) -> bool {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit() && byte != b'.').unwrap_or(text.len());
    end > 0 && text.get(end..).is_some_and(|behind| behind.starts_with(": "))
}

/// Up to the next blank, and what follows it.
fn token(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn structured_data_is_read_through_its_escapes() {
        let read: Vec<_> =
            params(r#"[a b="1" c="x \"y\" \] z"][d@9 e=""]"#).flatten().map(|param| (param.id, param.name, param.value)).collect();
        assert_eq!(read, [("a", "b", "1"), ("a", "c", r#"x \"y\" \] z"#), ("d@9", "e", "")]);
        assert_eq!(params(r#"[a b="1" broken]"#).last(), Some(None));
        assert_eq!(params("").count(), 0);
    }

    proptest! {
        #[test]
        fn any_text_has_a_header(line in any::<String>(), number in any::<u16>()) {
            let header = parse(&line);
            prop_assert!(header.message.len() <= line.len());
            params(&line).for_each(drop);
            parse(&format!("<{number}>{line}"));
            parse(&format!("<34>1 2026-03-14T07:59:58Z h a - - [{line}"));
        }
    }
}

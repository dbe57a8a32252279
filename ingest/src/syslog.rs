//! The syslog header: RFC 5424, RFC 3164 in the variants that devices really send, and what a file of
//! /var/log shows. One pass of byte scanning, everything found is a slice of the line. What a header's
//! payload means is `decode`'s; when a stamp happened is `moment`'s, which is given the time of receipt.

use chrono::{DateTime, MappedLocalTime, Offset, TimeZone};
use chrono_tz::Tz;

use crate::event::{Defect, Defects};
use crate::source::{Reading, Year};
use crate::time::Timestamp;

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

/// A device's time as it wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// There is none.
    #[default]
    Absent,
    /// It has the shape of a time but is none, such as 25:00:00.
    Bad,
    /// With a zone: a moment.
    Moment(Timestamp),
    /// Without a zone, perhaps without a year.
    Civil(Civil),
}

/// A reading of calendar and clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub year: Option<i32>,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub millis: u32,
    /// How far the clock is ahead of UTC, where the stamp says so but not its year: `Mar  1 18:48:50 CET`.
    pub offset_minutes: Option<i64>,
}

/// A device may be this far ahead of us; beyond it the clock is wrong, not the year.
const AHEAD_MAX_MILLIS: i64 = Timestamp::DAY;
/// 1990-01-01: older stamps come from devices that lost their clock, not from logs.
const OLDEST: Timestamp = Timestamp(631_152_000_000);
/// RFC 3164 allows 32 bytes, containers and `postfix/submission/smtpd` need more; a longer word is text.
const TAG_BYTES_MAX: usize = 64;
/// RFC 1035; a longer word is no host.
const HOST_BYTES_MAX: usize = 255;
/// February 29th may lie this many years back (1896 to 1904, 2096 to 2104).
const LEAP_YEARS_BACK: i32 = 8;
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Bsd,
    IsoT,
    IsoSpace,
}

struct FoundStamp<'a> {
    stamp: Stamp,
    shape: Shape,
    rest: &'a str,
}

/// The stamp at the start of `text`; `None` where nothing has the shape of one.
fn stamp(text: &str) -> Option<FoundStamp<'_>> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    let (stamp, shape) = if text.as_bytes().first()?.is_ascii_digit() {
        match iso(&mut scan) {
            Some(found) => found,
            None => {
                scan.at = 0;
                numbers_first(&mut scan)?
            }
        }
    } else {
        words_first(&mut scan)?
    };
    let rest = text.get(scan.at..)?;
    // A stamp ends at a blank, a colon (Cisco) or a comma (Windows' CBS.log); `10:00:00abc` is none.
    (rest.is_empty() || rest.starts_with([' ', ':', ',', '\t'])).then_some(FoundStamp { stamp, shape, rest })
}

/// A text that is a stamp and nothing else: RFC 3339, its relatives without a zone, or `Mmm dd …`.
pub fn whole_stamp(text: &str) -> Option<Stamp> {
    stamp(text).filter(|found| found.rest.is_empty()).map(|found| found.stamp)
}

/// The stamp of Apache's error log, inside its brackets: `Sun Dec 04 04:47:44.123456 2005`.
pub fn weekday_stamp(text: &str) -> Option<Stamp> {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let (day, rest) = token(text);
    whole_stamp(rest).filter(|_| DAYS.contains(&day))
}

/// The day before the month: `14/Mar/2026:08:00:00 +0100` (web servers), `14/Mar/2026:08:00:00.123` (HAProxy),
/// `14-Mar-2026 08:00:00.123` (BIND).
pub fn day_first_stamp(text: &str) -> Option<Stamp> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    let day = scan.number(2)?;
    let dash = scan.any(b"/-")?;
    let month = scan.month()?;
    scan.any(&[dash])?;
    let year = scan.number(4)?;
    scan.any(b": ")?;
    let civil = clock(&mut scan, Civil::day(Some(year), month, day))?;
    let offset = scan.behind_blank(zone);
    (scan.at == text.len()).then(|| civil.stamp(offset))
}

/// Seconds, milli-, micro- or nanoseconds since 1970, told apart by their size; `None` for numbers that are
/// no time between 1985 and 2100.
pub fn epoch(number: i64) -> Option<Timestamp> {
    const SECONDS: std::ops::Range<i64> = 500_000_000..4_102_444_800;
    let unit = [1, 1_000, 1_000_000, 1_000_000_000].into_iter().find(|unit| SECONDS.contains(&(number / unit)))?;
    Some(Timestamp(if unit == 1 { number * 1_000 } else { number / (unit / 1_000) }))
}

/// `epoch` of a text, with a fraction of seconds or without.
pub fn epoch_text(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut scan = Scan { bytes: fraction.as_bytes(), at: 0 };
    let millis = scan.millis();
    let clean = scan.at == fraction.len() && digits(whole.as_bytes()) == whole.len();
    let at = epoch(whole.parse().ok().filter(|_| clean)?)?;
    Some(if whole.len() <= 10 { at.plus(i64::from(millis)) } else { at })
}

/// `2026-03-01T10:00:00.123+01:00` and its relatives: blank or T, `/` or `-`, comma or point, with a zone or without.
fn iso(scan: &mut Scan<'_>) -> Option<(Stamp, Shape)> {
    let year = scan.number(4)?;
    let dash = scan.any(b"-/")?;
    let month = scan.number(2)?;
    scan.any(&[dash])?;
    let day = scan.number(2)?;
    let shape = if scan.any(b"Tt ")? == b' ' { Shape::IsoSpace } else { Shape::IsoT };
    let civil = clock(scan, Civil::day(Some(year), month, day))?;
    let offset = zone(scan).or_else(|| scan.behind_blank(|scan| scan.zone_name().or_else(|| zone(scan))));
    Some((civil.stamp(offset), shape))
}

/// The other stamps that begin with a digit: `2026:03:14-07:59:58` (Sophos UTM), `2026 Mar 14 07:59:58` (year first),
/// `14 Mar 2026 07:59:58` and `14.03.2026 07:59:58` (day first). Slashes are left alone: nobody can tell their day from
/// their month.
fn numbers_first(scan: &mut Scan<'_>) -> Option<(Stamp, Shape)> {
    if let Some(year) = scan.number(4) {
        if scan.any(b":").is_some() {
            let month = scan.number(2)?;
            scan.any(b":")?;
            let day = scan.number(2)?;
            scan.any(b"-")?;
            let civil = clock(scan, Civil::day(Some(year), month, day))?;
            return Some((civil.stamp(None), Shape::IsoT));
        }
        scan.any(b" ")?;
        let (stamp, _) = month_first(scan, Some(year))?;
        return Some((stamp, Shape::Bsd));
    }
    let day = scan.number(2).or_else(|| scan.number(1))?;
    if scan.any(b".").is_some() {
        let month = scan.number(2)?;
        scan.any(b".")?;
        let year = scan.number(4)?;
        scan.any(b" ")?;
        let civil = clock(scan, Civil::day(Some(year), month, day))?;
        return Some((civil.stamp(None), Shape::IsoSpace));
    }
    scan.any(b" ")?;
    let month = scan.month()?;
    scan.any(b" ")?;
    let year = scan.number(4)?;
    scan.any(b" ")?;
    let civil = clock(scan, Civil::day(Some(year), month, day))?;
    let offset = scan.behind_blank(|scan| scan.zone_name().or_else(|| zone(scan)));
    Some((civil.stamp(offset), Shape::IsoSpace))
}

/// A stamp that begins with a word: a month, or the name of a day before it.
fn words_first(scan: &mut Scan<'_>) -> Option<(Stamp, Shape)> {
    const DAYS: [&[u8]; 14] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun", b"Mo", b"Di", b"Mi", b"Do", b"Fr", b"Sa", b"So"];
    if scan.month_ahead() {
        return month_first(scan, None);
    }
    let word = scan.bytes.get(..scan.bytes.iter().take(4).position(|byte| !byte.is_ascii_alphabetic())?)?;
    if !DAYS.contains(&word) {
        return None;
    }
    scan.at = word.len();
    scan.any(b",.");
    scan.blanks()?;
    let (stamp, shape) = if scan.month_ahead() { month_first(scan, None)? } else { numbers_first(scan)? };
    // `Sat Mar 14 …` without a year is a program's own, seldom a header's: believed like an ISO stamp.
    Some((stamp, if shape == Shape::Bsd { Shape::IsoT } else { shape }))
}

/// `Mmm dd [yyyy] hh:mm:ss[.fraction] [yyyy] [zone]`.
fn month_first(scan: &mut Scan<'_>, before: Option<u32>) -> Option<(Stamp, Shape)> {
    let month = scan.month()?;
    scan.blanks()?;
    let day = scan.number(2).or_else(|| scan.number(1))?;
    scan.blanks()?;
    let year = if before.is_some() { None } else { scan.year() };
    let mut civil = clock(scan, Civil::day(before, month, day))?;
    civil.year = civil.year.or(year).or_else(|| scan.behind_blank(Scan::year_end));
    let offset = scan.behind_blank(Scan::zone_name);
    // `Mar 14 07:59:58 CET 2026`, as `date` writes it.
    civil.year = civil.year.or_else(|| scan.behind_blank(Scan::year_end));
    Some((civil.stamp(offset), Shape::Bsd))
}

fn clock(scan: &mut Scan<'_>, mut civil: Civil) -> Option<Civil> {
    civil.hour = scan.number(2)?;
    scan.any(b":")?;
    civil.minute = scan.number(2)?;
    scan.any(b":")?;
    civil.second = scan.number(2)?;
    if matches!(scan.peek(), Some(b'.' | b',')) && scan.bytes.get(scan.at + 1).is_some_and(u8::is_ascii_digit) {
        scan.at += 1;
        civil.millis = scan.millis();
    }
    Some(civil)
}

/// The offset in minutes: `Z`, `+01:00`, `+0100` or `+01`.
fn zone(scan: &mut Scan<'_>) -> Option<i64> {
    let sign = match scan.any(b"Zz+-")? {
        b'+' => 1,
        b'-' => -1,
        _ => return Some(0),
    };
    let hours = scan.number(2)?;
    scan.any(b":");
    let minutes = scan.number(2).unwrap_or(0);
    Some(sign * i64::from(hours * 60 + minutes))
}

/// `+0100` and the like, as FortiGate's `tz` has it: the offset in minutes.
pub fn zone_offset(text: &str) -> Option<i64> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    zone(&mut scan).filter(|_| scan.at == text.len())
}

impl Civil {
    /// Midnight of a day.
    fn day(year: Option<u32>, month: u32, day: u32) -> Self {
        let year = year.and_then(|year| i32::try_from(year).ok());
        Self { year, month, day, hour: 0, minute: 0, second: 0, millis: 0, offset_minutes: None }
    }

    /// The stamp that it makes: a moment where zone and year are known; `Bad` where there is no such day or hour.
    fn stamp(self, offset_minutes: Option<i64>) -> Stamp {
        let stamp = match offset_minutes {
            Some(offset) if self.year.is_some() => self.moment(offset).map(Stamp::Moment),
            _ => self.valid().then_some(Stamp::Civil(Self { offset_minutes, ..self })),
        };
        stamp.unwrap_or(Stamp::Bad)
    }

    fn valid(self) -> bool {
        // Without a year, February may have 29 days.
        let leap = self.year.is_none_or(|year| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
        let days = match self.month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let day = (1..=12).contains(&self.month) && (1..=days).contains(&self.day);
        // 60 is a leap second.
        day && self.hour < 24 && self.minute < 60 && self.second <= 60
    }

    /// The moment where the clock is `offset_minutes` ahead of UTC; `None` without a valid date and year.
    pub fn moment(self, offset_minutes: i64) -> Option<Timestamp> {
        let year = i64::from(self.year.filter(|_| self.valid())?);
        // Days since 1970 in the proleptic Gregorian calendar, years beginning in March.
        let (year, month) = if self.month <= 2 { (year - 1, i64::from(self.month) + 9) } else { (year, i64::from(self.month) - 3) };
        let day_of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468;
        let seconds = (days * 24 + i64::from(self.hour)) * 3600 + (i64::from(self.minute) - offset_minutes) * 60 + i64::from(self.second);
        Some(Timestamp(seconds * 1000 + i64::from(self.millis)))
    }

    fn in_zone(self, zone: Tz) -> Option<Timestamp> {
        if let Some(offset_minutes) = self.offset_minutes {
            return self.moment(offset_minutes);
        }
        let as_utc = self.moment(0)?;
        let naive = DateTime::from_timestamp_millis(as_utc.0)?.naive_utc();
        let offset_secs = match zone.offset_from_local_datetime(&naive) {
            // An hour that the clocks show twice is taken as the first of the two.
            MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(offset, _) => offset.fix().local_minus_utc(),
            // An hour that the clocks leave out is reckoned as if they had not been moved yet.
            MappedLocalTime::None => {
                let before = naive.checked_sub_signed(chrono::TimeDelta::hours(3))?;
                zone.offset_from_local_datetime(&before).earliest()?.fix().local_minus_utc()
            }
        };
        Some(as_utc.plus(-i64::from(offset_secs) * 1000))
    }
}

/// When it happened: the device's time where it can be believed, else the time of receipt and a defect.
pub fn moment(stamp: Stamp, received_at: Timestamp, reading: impl Into<Reading>) -> (Timestamp, Defects) {
    let mut defects = Defects::default();
    if matches!(stamp, Stamp::Civil(Civil { year: None, .. })) {
        defects.add(Defect::NoYear);
    }
    match as_written(stamp, received_at, reading) {
        Some(at) if at.since(received_at) > AHEAD_MAX_MILLIS => defects.add(Defect::FutureTime),
        Some(at) if at >= OLDEST => return (at, defects),
        _ => defects.add(Defect::BadTimestamp),
    }
    (received_at, defects)
}

/// The moment that a stamp says, believable or not.
pub fn as_written(stamp: Stamp, received_at: Timestamp, reading: impl Into<Reading>) -> Option<Timestamp> {
    let Reading { zone, year } = reading.into();
    match stamp {
        Stamp::Absent | Stamp::Bad => None,
        Stamp::Moment(at) => Some(at),
        Stamp::Civil(civil) if civil.year.is_some() => civil.in_zone(zone),
        Stamp::Civil(civil) => match year {
            Year::Nearest => nearest_year(civil, received_at, zone),
            Year::Fixed(year) => Civil { year: Some(year), ..civil }.in_zone(zone),
        },
    }
}

/// The year that puts the stamp nearest to the time of receipt, but at most a day ahead of it.
fn nearest_year(civil: Civil, received_at: Timestamp, zone: Tz) -> Option<Timestamp> {
    let year = chrono::Datelike::year(&received_at.utc());
    (year - LEAP_YEARS_BACK..=year + 1).rev().find_map(|year| {
        let civil = Civil { year: Some(year), ..civil };
        // A zone is at most 14 hours off: most wrong years fall here, without asking the zone's table.
        civil.moment(0).filter(|rough| rough.since(received_at) <= 2 * AHEAD_MAX_MILLIS)?;
        civil.in_zone(zone).filter(|at| at.since(received_at) <= AHEAD_MAX_MILLIS)
    })
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn any(&mut self, of: &[u8]) -> Option<u8> {
        let byte = self.peek().filter(|byte| of.contains(byte))?;
        self.at += 1;
        Some(byte)
    }

    fn blanks(&mut self) -> Option<()> {
        self.any(b" ")?;
        // `Dec  1`; more blanks than two are no stamp.
        self.any(b" ");
        Some(())
    }

    /// Exactly `digits` digits.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let mut number = 0;
        for byte in self.bytes.get(self.at..self.at + digits)? {
            if !byte.is_ascii_digit() {
                return None;
            }
            number = number * 10 + u32::from(byte - b'0');
        }
        self.at += digits;
        Some(number)
    }

    /// The digits of a fraction, of which the first three count.
    fn millis(&mut self) -> u32 {
        let (mut millis, mut weight) = (0, 100);
        while let Some(byte) = self.peek().filter(u8::is_ascii_digit) {
            millis += u32::from(byte - b'0') * weight;
            weight /= 10;
            self.at += 1;
        }
        millis
    }

    fn month_ahead(&self) -> bool {
        Scan { bytes: self.bytes, at: self.at }.month().is_some()
    }

    /// A month's short name in English or German, in whatever case.
    fn month(&mut self) -> Option<u32> {
        const MARCH: &[u8] = "Mär".as_bytes();
        if self.bytes.get(self.at..)?.starts_with(MARCH) {
            self.at += MARCH.len();
            return Some(3);
        }
        let mut name: [u8; 3] = self.bytes.get(self.at..self.at + 3)?.try_into().ok()?;
        name.make_ascii_lowercase();
        let month = match &name {
            b"jan" => 1,
            b"feb" => 2,
            b"mar" | b"mrz" => 3,
            b"apr" => 4,
            b"may" | b"mai" => 5,
            b"jun" => 6,
            b"jul" => 7,
            b"aug" => 8,
            b"sep" => 9,
            b"oct" | b"okt" => 10,
            b"nov" => 11,
            b"dec" | b"dez" => 12,
            _ => return None,
        };
        self.at += 3;
        Some(month)
    }

    /// `2026 ` before the time.
    fn year(&mut self) -> Option<i32> {
        let start = self.at;
        let year = self.number(4).filter(|year| (1970..2100).contains(year));
        match year.and_then(|year| self.any(b" ").map(|_| year)) {
            Some(year) => i32::try_from(year).ok(),
            None => {
                self.at = start;
                None
            }
        }
    }

    /// `2026` behind the time, if the word ends there: a host may begin with digits.
    fn year_end(&mut self) -> Option<i32> {
        let year = self.number(4).filter(|year| (1970..2100).contains(year))?;
        matches!(self.peek(), None | Some(b' ' | b':')).then_some(())?;
        i32::try_from(year).ok()
    }

    /// The zones' names that devices in Germany write, in minutes.
    fn zone_name(&mut self) -> Option<i64> {
        let rest = self.bytes.get(self.at..)?;
        let end = rest.iter().position(|byte| !byte.is_ascii_uppercase()).unwrap_or(rest.len());
        let offset = match rest.get(..end)? {
            b"UTC" | b"GMT" | b"WET" => 0,
            b"CET" | b"MEZ" | b"WEST" => 60,
            b"CEST" | b"MESZ" | b"EET" => 120,
            b"EEST" | b"MSK" => 180,
            _ => return None,
        };
        self.at += end;
        matches!(self.peek(), None | Some(b' ' | b':')).then_some(offset)
    }

    /// Reads something behind one blank, or nothing at all.
    fn behind_blank<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<T> {
        let start = self.at;
        let found = self.any(b" ").and_then(|_| read(self));
        if found.is_none() {
            self.at = start;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Berlin;
    use proptest::prelude::*;

    use super::*;

    const RECEIVED: Timestamp = Timestamp(1_773_471_600_000);

    #[test]
    fn calendar_arithmetic_agrees_with_rfc3339() {
        for text in ["1990-01-01T00:00:00Z", "2000-02-29T23:59:59.999Z", "2024-12-31T12:00:00+14:00", "2099-03-01T00:00:00-11:30"] {
            let expected = Timestamp::parse_rfc3339(text).unwrap();
            assert_eq!(whole_stamp(text), Some(Stamp::Moment(expected)), "{text}");
        }
    }

    #[test]
    fn times_that_are_none_are_bad_and_other_words_are_no_times() {
        for text in ["2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "Feb 30 00:00:00", "Jan 0 00:00:00"] {
            assert_eq!(whole_stamp(text), Some(Stamp::Bad), "{text}");
        }
        for text in
            ["", "2026", "2026-01-01", "2026-01-01T00:00", "2026-01-01T00:00:00Zx", "Jan 1", "Foo 1 00:00:00", "2026-01/01 00:00:00"]
        {
            assert_eq!(whole_stamp(text), None, "{text}");
        }
    }

    #[test]
    fn an_epoch_is_told_by_its_size() {
        let at = Timestamp(1_773_471_598_000);
        for number in [1_773_471_598, 1_773_471_598_000, 1_773_471_598_000_000, 1_773_471_598_000_000_000] {
            assert_eq!(epoch(number), Some(at), "{number}");
        }
        for number in [0, 7, -1_773_471_598, i64::MAX, i64::MIN] {
            assert_eq!(epoch(number), None, "{number}");
        }
        assert_eq!(epoch_text("1773471598.25"), Some(at.plus(250)));
        assert_eq!(epoch_text("1773471598.x"), None);
    }

    #[test]
    fn structured_data_is_read_through_its_escapes() {
        let read: Vec<_> =
            params(r#"[a b="1" c="x \"y\" \] z"][d@9 e=""]"#).flatten().map(|param| (param.id, param.name, param.value)).collect();
        assert_eq!(read, [("a", "b", "1"), ("a", "c", r#"x \"y\" \] z"#), ("d@9", "e", "")]);
        assert_eq!(params(r#"[a b="1" broken]"#).last(), Some(None));
        assert_eq!(params("").count(), 0);
    }

    proptest! {
        /// A stamp without its year comes back to the moment it was taken from, for any moment of the year past.
        #[test]
        fn the_nearest_year_is_found(age_secs in -86_000i64..31_000_000) {
            let at = RECEIVED.plus(-age_secs * 1000);
            let local = at.utc().with_timezone(&Berlin);
            let text = local.format("%b %e %H:%M:%S").to_string();
            let (read, defects) = moment(whole_stamp(&text).unwrap(), RECEIVED, Berlin);
            prop_assert!(defects.contains(Defect::NoYear));
            // The hour that the clocks show twice is read as its first.
            prop_assert!(read == at || at.since(read) == Timestamp::HOUR, "{text}: {read} for {at}");
        }

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

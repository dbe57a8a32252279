//! Lists of one a line, and tables: with a separator and a line of names, which may itself be a comment, as abuse.ch has
//! it. Of a line of a plain list the first word counts; of a hosts file the name behind the address of nowhere.

use std::io::{BufRead, Read as _};

use super::{ReadError, Reading, Reason, Said, TEXT_BYTES_MAX, moment};
use crate::intel::tlp::Tlp;

/// A longer line is no entry.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Columns looked at.
const COLUMNS_MAX: usize = 100;

/// Where a table has what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Columns {
    separator: char,
    values: Vec<usize>,
    tlp: Option<usize>,
    confidence: Option<usize>,
    until: Option<usize>,
    seen: Option<usize>,
    reference: Option<usize>,
}

/// Names of columns whose cells are indicators.
const VALUES: &[&str] = &[
    "value",
    "indicator",
    "ioc",
    "ioc_value",
    "ip",
    "ip_address",
    "ipaddress",
    "address",
    "dst_ip",
    "src_ip",
    "dstip",
    "srcip",
    "domain",
    "hostname",
    "host",
    "fqdn",
    "url",
    "md5",
    "md5_hash",
    "sha1",
    "sha1_hash",
    "sha256",
    "sha256_hash",
    "hash",
    "email",
    "mail",
    "wert",
    "adresse",
    "indikator",
];

pub(super) fn read(reading: &mut Reading<'_>, source: &mut dyn BufRead) -> Result<(), ReadError> {
    let mut source = source.take(TEXT_BYTES_MAX + 1);
    let mut columns: Option<Columns> = None;
    let (mut line, mut number, mut bytes, mut begun) = (Vec::new(), 0u64, 0u64, false);
    let mut comment = String::new();
    loop {
        let place = number + 1;
        match next_line(&mut source, &mut line)? {
            Line::End => break,
            Line::TooLong(read) => {
                bytes += read;
                number = place;
                reading.refuse(&place.to_string(), Reason::Malformed, "line too long");
                continue;
            }
            Line::Read(read) => bytes += read,
        }
        if bytes > TEXT_BYTES_MAX {
            return Err(ReadError::TooLarge(TEXT_BYTES_MAX));
        }
        number = place;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            continue;
        }
        if let Some(rest) = text.strip_prefix('#').or_else(|| text.strip_prefix("//")) {
            if !begun {
                comment = rest.trim_matches([' ', '#']).to_owned();
            }
            continue;
        }
        // In a table it is an empty first cell.
        if text.starts_with(';') && columns.as_ref().is_none_or(|columns| columns.separator != ';') {
            continue;
        }
        if !begun {
            begun = true;
            let wanted = reading.defaults.column.clone();
            columns = head(text, wanted.as_deref());
            if columns.is_some() {
                continue;
            }
            columns = head(&comment, wanted.as_deref());
        }
        match &columns {
            Some(columns) => row(reading, columns, place, text)?,
            None => single(reading, place, text)?,
        }
    }
    Ok(())
}

pub(super) enum Line {
    End,
    Read(u64),
    TooLong(u64),
}

/// One line without its end; of one that is too long the rest is read over.
pub(super) fn next_line(source: &mut dyn BufRead, line: &mut Vec<u8>) -> Result<Line, ReadError> {
    line.clear();
    let read = source.take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', line)? as u64;
    if read == 0 {
        return Ok(Line::End);
    }
    if read <= LINE_BYTES_MAX as u64 || line.ends_with(b"\n") {
        return Ok(Line::Read(read));
    }
    let mut all = read;
    loop {
        line.clear();
        let read = source.take(LINE_BYTES_MAX as u64).read_until(b'\n', line)? as u64;
        all += read;
        if read == 0 || line.ends_with(b"\n") {
            return Ok(Line::TooLong(all));
        }
    }
}

/// The columns, if a line is one of names.
fn head(text: &str, wanted: Option<&str>) -> Option<Columns> {
    let separator = [',', ';', '\t'].into_iter().max_by_key(|separator| text.matches(*separator).count())?;
    let names: Vec<String> = cells(text, separator)?.iter().map(|name| name.trim().to_lowercase().replace([' ', '-'], "_")).collect();
    let find = |known: &[&str]| names.iter().position(|name| known.contains(&name.as_str()));
    let is_value =
        |name: &str| wanted.map_or_else(|| VALUES.contains(&name), |wanted| name == wanted.to_lowercase().replace([' ', '-'], "_"));
    let values: Vec<usize> = (0..).zip(&names).filter(|(_, name)| is_value(name)).map(|(n, _)| n).collect();
    // A single word may be a heading too, but `host` alone is not yet a table's head if it parses as nothing else: it does.
    (!values.is_empty()).then(|| Columns {
        separator,
        values,
        tlp: find(&["tlp"]),
        confidence: find(&["confidence", "confidence_level", "vertrauen", "score"]),
        until: find(&["valid_until", "expires", "expiration", "expiry", "gueltig_bis", "gültig_bis"]),
        seen: find(&["last_seen", "last_seen_utc", "last_online", "lastseen", "dateadded", "first_seen", "first_seen_utc", "date"]),
        reference: find(&["uuid", "id", "reference"]),
    })
}

fn row(reading: &mut Reading<'_>, columns: &Columns, number: u64, text: &str) -> Result<(), ReadError> {
    let place = number.to_string();
    let Some(cells) = cells(text, columns.separator) else { return reading.refused(&place, Reason::Malformed, "quotation mark") };
    let cell = |column: Option<usize>| column.and_then(|column| cells.get(column)).map(|cell| cell.trim()).filter(|cell| !cell.is_empty());
    let said = Said {
        tlp: cell(columns.tlp).and_then(Tlp::loose),
        confidence: cell(columns.confidence)
            .and_then(|text| text.trim_end_matches(['%', ' ']).parse::<u8>().ok())
            .filter(|percent| *percent <= 100),
        valid_until: cell(columns.until).and_then(moment),
        seen: cell(columns.seen).and_then(moment),
        reference: cell(columns.reference).map(str::to_owned),
        withdrawn: false,
    };
    for (name, column, understood) in [
        ("tlp", columns.tlp, said.tlp.is_some()),
        ("confidence", columns.confidence, said.confidence.is_some()),
        ("date", columns.until, said.valid_until.is_some()),
    ] {
        // What limits an entry is not guessed: a TLP that nobody understands could be RED.
        if let Some(written) = cell(column).filter(|_| !understood) {
            return reading.refused(&place, Reason::Malformed, &format!("{name}: {written}"));
        }
    }
    let mut any = false;
    for text in columns.values.iter().filter_map(|column| cell(Some(*column))) {
        any = true;
        reading.value(&place, without_port(text), &[], &said)?;
    }
    if !any {
        reading.refuse(&place, Reason::Malformed, "no value");
    }
    Ok(())
}

fn single(reading: &mut Reading<'_>, number: u64, text: &str) -> Result<(), ReadError> {
    let place = number.to_string();
    if is_digest(text) {
        return reading.refused(&place, Reason::ValueDigest, text);
    }
    let mut words = text.split([' ', '\t', ',', ';']).map(|word| word.trim_matches('"')).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    let value = match first {
        "0.0.0.0" | "127.0.0.1" | "::" | "::1" => words.next().filter(|name| !name.starts_with('#')).unwrap_or(first),
        first => first,
    };
    reading.value(&place, without_port(value), &[], &Said::default())
}

/// A line of `hashes.csv` in a MISP feed: the MD5 of a value, and the event that has it.
fn is_digest(text: &str) -> bool {
    let Some((digest, event)) = text.split_once(',') else { return false };
    let hyphens = event.trim().bytes().filter(|byte| *byte == b'-').count();
    digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) && event.trim().len() == 36 && hyphens == 4
}

/// `203.0.113.7:443` names an address.
fn without_port(text: &str) -> &str {
    match text.rsplit_once(':') {
        Some((address, port)) if address.parse::<std::net::Ipv4Addr>().is_ok() && port.parse::<u16>().is_ok() => address,
        _ => text,
    }
}

/// The cells of a line, with quotation marks as RFC 4180 has them; `None` where one is not closed.
fn cells(text: &str, separator: char) -> Option<Vec<String>> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                cell.push('"');
                letters.next();
            }
            '"' if quoted || cell.trim().is_empty() => quoted = !quoted,
            letter if letter == separator && !quoted => {
                cells.push(std::mem::take(&mut cell));
                if cells.len() >= COLUMNS_MAX {
                    return Some(cells);
                }
            }
            letter => cell.push(letter),
        }
    }
    cells.push(cell);
    (!quoted).then_some(cells)
}

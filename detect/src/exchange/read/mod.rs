//! Reading what others report: IntelMQ's and Shadowserver's tables, MISP events, STIX bundles. One reader a format, all
//! into the same rows. What cannot be taken is said with its line, its column and its value, and the rest is taken.
//! Everything has a bound; nothing here touches the database.

mod intelmq;
mod misp;
mod shadowserver;
mod stix;
pub(super) mod table;

use std::collections::BTreeMap;
use std::io::BufRead;
use std::net::IpAddr;

use ingest::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::incident::{Tlp, line_clean};
use crate::intel::Pattern;
use crate::rsit::Rsit;
use crate::rule::Level;

pub use shadowserver::report_names;

/// A JSON document is read as a whole, which takes some six times its size.
pub const JSON_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Tables are read line by line; the largest daily report of a whole country has some hundred megabytes.
pub const TABLE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Rows of one file: a year of reports about the state's networks has a tenth of it.
pub const ROWS_MAX: u64 = 1_000_000;
/// Faults that are told each; all are counted.
pub const FAULTS_MAX: usize = 100;
/// Characters of a value that a fault tells, and of one that a row keeps.
const VALUE_CHARS_MAX: usize = 200;

/// One thing that somebody reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Who reports it (`Shadowserver`, a feed's or an organisation's name).
    pub source: String,
    /// What of the source's kinds it is, short and stable (`scan_rdp`, `infected-system`).
    pub kind: String,
    /// German, where the source's kind is known to us.
    pub title: String,
    pub rsit: Rsit,
    pub level: Level,
    /// Who may have it; where the source does not say, as all cases are.
    pub tlp: Tlp,
    /// Addresses by which it is attributed, the affected one first.
    pub addresses: Vec<IpAddr>,
    /// A name, where there is no address.
    pub host: Option<String>,
    pub first: Timestamp,
    pub last: Timestamp,
    pub observables: BTreeMap<&'static str, Vec<String>>,
}

/// What kept a line, or an object, from being taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The line's number, or the object's identity.
    pub place: String,
    pub column: String,
    pub value: String,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A column that the row needs is empty or not there.
    Missing,
    NotATime,
    /// More than a day ahead.
    Future,
    NotAnAddress,
    /// No class of RSIT, and none that we know to translate.
    UnknownClass,
    /// A quotation mark that nothing closes.
    OpenQuote,
    /// Longer or wider than a row may be.
    TooLong,
    /// An object that does not hold together.
    Malformed,
    /// Beyond the bound.
    TooMany,
}

/// What a reading came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How the file was understood.
    pub form: &'static str,
    pub rows: u64,
    /// Lines that were not UTF-8; what could not be read in them stands as U+FFFD.
    pub mended: u64,
    pub fault_count: u64,
    /// The first ones.
    pub faults: Vec<Fault>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("read the file")]
    Io(#[from] std::io::Error),
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("more than {0} bytes")]
    TooLarge(u64),
    #[error("text in UTF-16; save it as UTF-8")]
    Utf16,
    #[error("neither a table of IntelMQ or Shadowserver nor an event of MISP nor a bundle of STIX 2.1")]
    Unknown,
    /// A table of Shadowserver whose kind nothing tells.
    #[error("the kind of report is not known: {0:?}")]
    UnknownReport(String),
}

/// What the caller knows of a file.
#[derive(Clone, Debug, Default)]
pub struct Hint {
    /// Shadowserver names the kind of report in the file's name only.
    pub file_name: String,
    /// The kind of report (`scan_rdp`), where the name does not tell.
    pub report: Option<String>,
}

/// Takes rows and faults.
pub(super) struct Taking<'s> {
    pub(super) report: Report,
    now: Timestamp,
    sink: &'s mut dyn FnMut(Row),
}

/// Clocks differ; a row from further ahead is a mistake.
const AHEAD_MAX: i64 = Timestamp::DAY;

impl Taking<'_> {
    fn row(&mut self, row: Row) {
        if self.report.rows >= ROWS_MAX {
            self.fault("", "", "", Why::TooMany);
            return;
        }
        self.report.rows += 1;
        (self.sink)(row);
    }

    fn fault(&mut self, place: &str, column: &str, value: &str, why: Why) {
        self.report.fault_count += 1;
        if self.report.faults.len() < FAULTS_MAX {
            let short = |text: &str| line_clean(text, VALUE_CHARS_MAX);
            self.report.faults.push(Fault { place: short(place), column: short(column), value: short(value), why });
        }
    }

    /// A time as reports write it, or a fault.
    fn time(&mut self, place: &str, column: &str, value: &str) -> Option<Timestamp> {
        match moment(value) {
            Some(at) if at <= self.now.plus(AHEAD_MAX) => Some(at),
            Some(_) => {
                self.fault(place, column, value, Why::Future);
                None
            }
            None => {
                self.fault(place, column, value, if value.trim().is_empty() { Why::Missing } else { Why::NotATime });
                None
            }
        }
    }
}

/// Reads a file to its end; each row goes to `sink` in the file's order.
///
/// # Errors
/// Where it cannot be read as a whole. A single bad row is no error but a fault.
pub fn read(source: &mut dyn BufRead, hint: &Hint, now: Timestamp, sink: &mut dyn FnMut(Row)) -> Result<Report, ReadError> {
    let mut taking = Taking { report: Report::default(), now, sink };
    let head = source.fill_buf()?;
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return Err(ReadError::Utf16);
    }
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let json = head.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| matches!(byte, b'{' | b'['));
    if json {
        let document = document(source)?;
        if stix::looks_so(&document) {
            taking.report.form = "stix";
            stix::read(&mut taking, &document);
        } else if misp::looks_so(&document) {
            taking.report.form = "misp";
            misp::read(&mut taking, &document);
        } else {
            return Err(ReadError::Unknown);
        }
        return Ok(taking.report);
    }
    let mut lines = table::Records::new(source, TABLE_BYTES_MAX);
    let Some(names) = lines.names()? else { return Err(ReadError::Unknown) };
    if intelmq::looks_so(&names) {
        taking.report.form = "intelmq";
        table::each(&mut taking, lines, &names, &mut |taking, record| intelmq::row(taking, record))?;
    } else if shadowserver::looks_so(&names) {
        taking.report.form = "shadowserver";
        let kind = shadowserver::kind_of(hint).ok_or_else(|| ReadError::UnknownReport(hint.file_name.clone()))?;
        table::each(&mut taking, lines, &names, &mut |taking, record| shadowserver::row(taking, record, kind))?;
    } else {
        return Err(ReadError::Unknown);
    }
    Ok(taking.report)
}

/// The whole document. serde_json refuses one that is nested deeper than 128.
fn document(source: &mut dyn BufRead) -> Result<Value, ReadError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    source.take(JSON_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > JSON_BYTES_MAX {
        return Err(ReadError::TooLarge(JSON_BYTES_MAX));
    }
    Ok(serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes))?)
}

/// RFC 3339, or as Shadowserver writes it (`2026-11-20 03:14:15`, UTC), or a day, or seconds since 1970.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let known = Timestamp::parse_rfc3339(text).or_else(|| {
        let plain = text.replacen(' ', "T", 1);
        Timestamp::parse_rfc3339(&format!("{plain}Z")).or_else(|| Timestamp::parse_rfc3339(&plain))
    });
    let day = || (text.len() == 10).then(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"))).flatten();
    let seconds = || text.parse::<i64>().ok().filter(|seconds| (0..=9_999_999_999).contains(seconds)).map(|s| Timestamp(s * 1_000));
    known.or_else(day).or_else(seconds)
}

/// A name of a machine in the net, in lower case; `None` for what is none.
fn host(text: &str) -> Option<String> {
    match text.trim().parse() {
        Ok(Pattern::Domain(name)) => Some(name),
        _ => None,
    }
}

/// A value as a row keeps it; nothing where there is nothing.
fn kept(text: &str) -> Option<String> {
    Some(line_clean(text, VALUE_CHARS_MAX)).filter(|text| !text.is_empty())
}

/// How bad a class is, before anybody has looked: what is taken over is worse than what stands open.
fn level(rsit: Rsit) -> Level {
    match rsit.category() {
        "intrusions" | "malicious-code" => Level::High,
        "fraud" | "availability" | "information-content-security" | "intrusion-attempts" => Level::Medium,
        "vulnerable" | "information-gathering" | "abusive-content" => Level::Low,
        _ => Level::Low,
    }
}

#[cfg(test)]
mod tests;

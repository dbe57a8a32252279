//! Reading what feeds send: one reader a format, all into the same stream of items and of refusals that say what and why.
//! Nothing is left out silently; everything has a bound. What a value is decides `Pattern`, not the reader.

mod misp;
mod stix;
mod stix_pattern;
mod text;
mod warning;

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use ingest::db::DbError;
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pattern::{Pattern, PatternError};
use super::store::NewIndicator;
use super::tlp::Tlp;
use super::warning::NewWarning;

pub(super) use misp::Manifest;
pub(super) use stix::Markings;
pub(crate) use stix::stix_label;

/// A JSON document is read as a whole, which takes some six times its size; feeds of more are delivered in parts.
pub const JSON_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Lines are read one by one: the largest public lists have some hundred megabytes.
pub const TEXT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Indicators of one reading.
const ITEMS_MAX: u64 = super::INDICATORS_MAX as u64;
/// Refusals that are shown each; all are counted.
const EXAMPLES_MAX: usize = 20;
/// A kept text of a refusal.
const EXAMPLE_CHARS_MAX: usize = 120;

/// How a source writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// By what it looks like.
    Auto,
    /// One a line, or a table with a separator and a line of names.
    Text,
    /// Events or attributes as MISP exports them.
    Misp,
    /// A bundle of STIX 2.1.
    Stix,
    /// What must never match: lines, or a list of MISP.
    Warning,
}

impl Format {
    pub const ALL: [(&'static str, Self); 5] =
        [("auto", Self::Auto), ("text", Self::Text), ("misp", Self::Misp), ("stix", Self::Stix), ("warnliste", Self::Warning)];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, format)| format)
    }
}

/// What holds of a source's indicators where it does not say better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    pub list: String,
    pub tlp: Tlp,
    pub confidence: u8,
    /// Days for which they hold from when they were last seen.
    pub valid_days: Option<u32>,
    /// The column with the values, where its name does not tell.
    pub column: Option<String>,
}

/// One thing that a source says.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Listed {
        new: NewIndicator,
        reference: Option<String>,
    },
    /// It is none any more.
    Withdrawn(Pattern),
    Warning(NewWarning),
}

/// Why something is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A value that is none of its kind.
    NotAnIndicator,
    /// A net that is half the net.
    TooBroad,
    /// A kind of value or object that nothing is looked up for.
    OtherKind,
    /// The source itself says that it is not meant for detection (`to_ids`).
    NotForDetection,
    Expired,
    NotYetValid,
    /// More than values each of which would do alone.
    TooComplex,
    /// An object path, operator or language that is not understood.
    UnknownPattern,
    /// A line or an object that does not hold together.
    Malformed,
    /// `hashes.csv` of a MISP feed has digests of its values, not of files.
    ValueDigest,
    /// Warning lists of parts of words and of expressions.
    InexactWarning,
    /// Beyond the bound.
    TooMany,
}

impl Reason {
    pub const ALL: [Self; 12] = [
        Self::NotAnIndicator,
        Self::TooBroad,
        Self::OtherKind,
        Self::NotForDetection,
        Self::Expired,
        Self::NotYetValid,
        Self::TooComplex,
        Self::UnknownPattern,
        Self::Malformed,
        Self::ValueDigest,
        Self::InexactWarning,
        Self::TooMany,
    ];
}

/// Something that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The line, or the object's identity.
    pub place: String,
    pub reason: Reason,
    /// The value, or the word that was too much.
    pub what: String,
}

/// What a reading came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Indicators, or entries of a warning list, that were taken.
    pub taken: u64,
    pub withdrawn: u64,
    pub refused: BTreeMap<Reason, u64>,
    /// The first ones.
    pub examples: Vec<Refused>,
    /// The source's own name of its warning list.
    pub name: String,
    pub description: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("read the source")]
    Io(#[from] std::io::Error),
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("more than {0} bytes")]
    TooLarge(u64),
    #[error("neither MISP nor STIX 2.1 nor a warning list: {0}")]
    Unknown(String),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Gets the items in the order in which the source has them.
pub type Sink<'a> = &'a mut dyn FnMut(Item) -> Result<(), DbError>;

/// Reads a source to its end.
///
/// # Errors
/// Where it cannot be read as a whole, or the sink takes no more; a single bad entry is no error but a refusal.
pub fn read(source: &mut dyn BufRead, format: Format, defaults: &Defaults, now: Timestamp, sink: Sink<'_>) -> Result<Report, ReadError> {
    let mut reading = Reading::new(defaults, now, sink);
    let looks_like_json = {
        let head = source.fill_buf()?;
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        head.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| matches!(byte, b'{' | b'['))
    };
    match format {
        Format::Text => text::read(&mut reading, source)?,
        Format::Warning if !looks_like_json => warning::read_lines(&mut reading, source)?,
        Format::Auto if !looks_like_json => text::read(&mut reading, source)?,
        format => json(&mut reading, source, format)?,
    }
    Ok(reading.report)
}

fn json(reading: &mut Reading<'_>, source: &mut dyn BufRead, format: Format) -> Result<(), ReadError> {
    let document = document(source)?;
    let is = |wanted: Format, looks: bool| format == wanted || (format == Format::Auto && looks);
    if is(Format::Warning, warning::looks_so(&document)) {
        warning::read(reading, &document)
    } else if is(Format::Stix, stix::looks_so(&document)) {
        stix::read(reading, &document)
    } else if is(Format::Misp, misp::looks_so(&document)) {
        misp::read(reading, &document)
    } else {
        let keys: Vec<&str> = document.as_object().map(|object| object.keys().map(String::as_str).take(5).collect()).unwrap_or_default();
        Err(ReadError::Unknown(keys.join(", ").chars().take(EXAMPLE_CHARS_MAX).collect()))
    }
}

/// A bounded JSON document.
///
/// # Errors
/// Where it is too long, or none.
pub(super) fn document(source: &mut dyn Read) -> Result<Value, ReadError> {
    let mut bytes = Vec::new();
    source.take(JSON_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > JSON_BYTES_MAX {
        return Err(ReadError::TooLarge(JSON_BYTES_MAX));
    }
    Ok(serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes))?)
}

/// What an entry says beyond its value.
#[derive(Clone, Debug, Default)]
struct Said {
    tlp: Option<Tlp>,
    confidence: Option<u8>,
    valid_until: Option<Timestamp>,
    /// When the source last saw it.
    seen: Option<Timestamp>,
    reference: Option<String>,
    withdrawn: bool,
}

/// One reading under way.
pub(super) struct Reading<'a> {
    defaults: &'a Defaults,
    now: Timestamp,
    pub(super) report: Report,
    sink: Sink<'a>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(defaults: &'a Defaults, now: Timestamp, sink: Sink<'a>) -> Self {
        Self { defaults, now, report: Report::default(), sink }
    }

    fn refuse(&mut self, place: &str, reason: Reason, what: &str) {
        *self.report.refused.entry(reason).or_default() += 1;
        if self.report.examples.len() < EXAMPLES_MAX {
            let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(EXAMPLE_CHARS_MAX).collect();
            self.report.examples.push(Refused { place: short(place), reason, what: short(what) });
        }
    }

    /// As `refuse`, where nothing is left to do.
    fn refused(&mut self, place: &str, reason: Reason, what: &str) -> Result<(), ReadError> {
        self.refuse(place, reason, what);
        Ok(())
    }

    /// Takes one value, if it is one of `kinds` (of any, where there are none).
    fn value(&mut self, place: &str, text: &str, kinds: &[&str], said: &Said) -> Result<(), ReadError> {
        let pattern: Pattern = match text.parse() {
            Ok(pattern) => pattern,
            Err(PatternError::TooBroad(_)) => return self.refused(place, Reason::TooBroad, text),
            Err(PatternError::Unreadable(_)) => return self.refused(place, Reason::NotAnIndicator, text),
        };
        if !kinds.is_empty() && !kinds.contains(&pattern.kind()) {
            return self.refused(place, Reason::NotAnIndicator, text);
        }
        if said.withdrawn {
            self.report.withdrawn += 1;
            return (self.sink)(Item::Withdrawn(pattern)).map_err(ReadError::from);
        }
        // Counted from whole days: a list that is read every hour does not change with each reading.
        let days = self.defaults.valid_days.map(|days| i64::from(days).saturating_mul(Timestamp::DAY));
        let seen = said.seen.unwrap_or(Timestamp(self.now.0.div_euclid(Timestamp::DAY) * Timestamp::DAY));
        let valid_until = said.valid_until.or_else(|| Some(seen.plus(days?)));
        if valid_until.is_some_and(|until| until < self.now) {
            return self.refused(place, Reason::Expired, text);
        }
        if self.report.taken >= ITEMS_MAX {
            return self.refused(place, Reason::TooMany, text);
        }
        self.report.taken += 1;
        let new = NewIndicator {
            pattern,
            list: self.defaults.list.clone(),
            tlp: said.tlp.unwrap_or(self.defaults.tlp),
            confidence: said.confidence.unwrap_or(self.defaults.confidence).min(100),
            valid_until,
        };
        (self.sink)(Item::Listed { new, reference: said.reference.clone() }).map_err(ReadError::from)
    }

    fn warning(&mut self, entry: NewWarning) -> Result<(), ReadError> {
        self.report.taken += 1;
        (self.sink)(Item::Warning(entry)).map_err(ReadError::from)
    }
}

/// A moment as feeds write it: RFC 3339, the same with a blank in the middle, a day alone, or seconds since 1970.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim().trim_matches('"');
    if let Ok(seconds) = text.parse::<i64>() {
        // Also with milliseconds, as some have it.
        let millis = if seconds.abs() > 100_000_000_000 { seconds } else { seconds.checked_mul(1_000)? };
        return Some(Timestamp(millis)).filter(|at| at.0 > 0);
    }
    let written = text.trim_end_matches(" UTC").replacen(' ', "T", 1);
    let zoned = written.contains('T') && (written.ends_with(['Z', 'z']) || written.get(11..).is_some_and(|time| time.contains(['+', '-'])));
    let whole = match (written.contains('T'), zoned) {
        (true, true) => written,
        (true, false) => format!("{written}Z"),
        (false, _) => format!("{written}T00:00:00Z"),
    };
    Timestamp::parse_rfc3339(&whole)
}

#[cfg(test)]
mod tests;

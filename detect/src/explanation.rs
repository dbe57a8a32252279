//! Why a rule fired, or did not: the selections of its condition, the lines of these that decided, what they asked for and
//! what stood there, with the bytes that matched. For a correlation what was counted, in which window, and which records
//! began it. Facts for people to read; the words are the dashboard's. Worked out only where a rule fires or somebody asks.
//!
//! **Invariant**: what is kept of a record shows no more of persons than the event store does (`Explanation::hide`).

use std::collections::BTreeMap;
use std::ops::Range;

use ingest::event::{Event, ValueRef};
use ingest::fields::FieldId;
use ingest::frame::{Frame, Seq};
use ingest::record::{EventRecord, Record};
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Lines told of one record in all: more is no explanation.
pub const LINES_MAX: usize = 24;
/// Selections told of.
pub const PARTS_MAX: usize = 16;
/// Alternatives of one line that are named: a list of a thousand names is in the rule.
pub const ASKED_MAX: usize = 5;
/// Values of one field that are shown.
pub const FOUND_MAX: usize = 3;
/// Bytes shown of a value: what matched, and some of what is around it.
pub const EXCERPT_BYTES_MAX: usize = 240;
/// Bytes before what matched.
const BEFORE_BYTES_MAX: usize = 60;
/// Bytes shown of what a rule asks for.
pub const ASKED_BYTES_MAX: usize = 120;
/// First records named of a correlation.
pub const FIRSTS_MAX: usize = 5;

/// Why a rule fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub version: RuleVersion,
    pub because: Because,
}

/// Which wording of a rule it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleVersion {
    /// Fingerprint of what the rule says; comments and the order of lines in the file change nothing.
    pub content: String,
    /// As its author dates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    /// The number of the rule book that was in force; 0 where there was none.
    pub book: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// What one record says.
    Record { seq: Seq, parts: Vec<Part> },
    /// What many say together.
    Count(Counted),
}

/// A selection that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub selection: String,
    /// It is of a filter for the rule, not of the rule itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub of_filter: bool,
    pub held: bool,
    /// The lines that made it so.
    pub lines: Vec<Line>,
    /// Further ones.
    #[serde(default, skip_serializing_if = "is_none_left")]
    pub more: usize,
    /// Of lines that must all hold: how many do, of how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fits: Option<(usize, usize)>,
}

/// One `field: values` of a selection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Empty for a word anywhere in the record.
    pub field: String,
    pub held: bool,
    /// The rule asks that it be not so (`neq`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub negated: bool,
    /// Of a match what was met; else what would have been.
    pub asked: Vec<Asked>,
    #[serde(default, skip_serializing_if = "is_none_left")]
    pub asked_more: usize,
    /// What stood there; nothing where the field is missing.
    pub found: Vec<Found>,
}

/// What a rule asks of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub how: How,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    Anything,
    Is,
    Contains,
    StartsWith,
    EndsWith,
    Like,
    Regex,
    Network,
    Below,
    AtMost,
    Above,
    AtLeast,
    /// A part of the time, as `hour 7`.
    TimePart,
    /// Another field's value.
    SameAs,
    ContainsField,
    StartsWithField,
    EndsWithField,
    Present,
    Missing,
}

/// A value, or the part of it around what matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Which of the field's values.
    #[serde(default, skip_serializing_if = "is_none_left")]
    pub nth: usize,
    pub text: String,
    /// Where `text` begins in the value, and how long the value is, in bytes.
    pub from: usize,
    pub of: usize,
    /// The bytes of the value that matched: offset and length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<(usize, usize)>,
    /// The store hides it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
}

/// What a correlation counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Sigma's word (`value_count`).
    pub kind: String,
    /// The fields that are counted or added up.
    pub fields: Vec<String>,
    /// What was measured in the last matching window, where it is a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<String>,
    /// `gte 10`, as the rule has it.
    pub limits: Vec<(String, String)>,
    pub timespan_millis: i64,
    pub group: Vec<(String, String)>,
    /// Some of the different values.
    pub values: Vec<String>,
    /// The short names of the rules that are counted.
    pub rules: Vec<String>,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The records that began it.
    pub firsts: Vec<Seq>,
}

/// What a rule says of one record, be it yes or no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub matched: bool,
    /// Whether the record is of the rule's log source.
    pub of_source: bool,
    /// The log source in the rule's words.
    pub logsource: Vec<(&'static str, String)>,
    /// The selections that made it so.
    pub parts: Vec<Part>,
}

fn is_false(truth: &bool) -> bool {
    !truth
}

fn is_none_left(count: &usize) -> bool {
    *count == 0
}

impl Explanation {
    /// The fields that answered, with the record's first value of each.
    pub fn fields(&self, record: &dyn Record) -> BTreeMap<String, String> {
        let Because::Record { parts, .. } = &self.because else { return BTreeMap::new() };
        let lines = parts.iter().flat_map(|part| &part.lines).filter(|line| line.held && !line.field.is_empty());
        lines.filter_map(|line| Some((line.field.clone(), record.first_text(FieldId::find(&line.field)?)?))).collect()
    }

    /// With every value as the store keeps it: `kept` is the record's event with its persons hidden. What matched stays
    /// marked where it still stands there.
    pub fn hide(&mut self, kept: &EventRecord<'_>) {
        let Because::Record { parts, .. } = &mut self.because else { return };
        for line in parts.iter_mut().flat_map(|part| &mut part.lines) {
            let field = line.field.as_str();
            line.found.iter_mut().for_each(|found| found.hide(field, kept));
        }
    }
}

impl Found {
    pub(crate) fn new(nth: usize, value: &str, mark: Option<Range<usize>>) -> Self {
        let start = mark.as_ref().map_or(0, |mark| mark.start.saturating_sub(BEFORE_BYTES_MAX));
        // What matched last is as telling as what came before it; where both do not fit, its beginning is shown.
        let from = value.floor_char_boundary(start);
        let text = value.get(from..value.floor_char_boundary(from + EXCERPT_BYTES_MAX)).unwrap_or_default();
        let mark = mark.map(|mark| (mark.start, mark.end.saturating_sub(mark.start)));
        Self { nth, text: text.to_owned(), from, of: value.len(), mark, hidden: false }
    }

    /// The text before what matched, what matched, and the rest; the second is empty where nothing is marked.
    pub fn marked(&self) -> (&str, &str, &str) {
        let Some((offset, length)) = self.mark else { return (&self.text, "", "") };
        let place = |at: usize| self.text.floor_char_boundary(at.saturating_sub(self.from));
        let (start, end) = (place(offset), place(offset.saturating_add(length)));
        let part = |range: Range<usize>| self.text.get(range).unwrap_or_default();
        (part(0..start), part(start..end), part(end..self.text.len()))
    }

    fn hide(&mut self, field: &str, kept: &EventRecord<'_>) {
        let id = FieldId::find(field);
        let same = match id {
            _ if field.is_empty() => Some(kept.text().to_owned()),
            Some(id) => nth_value(kept, id, self.nth),
            None => None,
        };
        let (_, matched, _) = self.marked();
        let matched = matched.to_owned();
        match same {
            // The place of what matched may have moved with what was hidden before it.
            Some(value) => {
                let was =
                    self.mark.map(|(offset, length)| offset..offset + length).filter(|range| value.get(range.clone()) == Some(&matched));
                let mark = was.or_else(|| value.find(&matched).map(|at| at..at + matched.len())).filter(|_| !matched.is_empty());
                *self = Self::new(self.nth, &value, mark);
            }
            // What was added to the record while it was judged, and tells of nobody.
            // Of everything else the store lacks, a person may be in it (`Rewriter::bare` leaves out what is made of real values).
            None if id.is_some_and(|id| id.name().starts_with("threat.")) => {}
            None => *self = Self { nth: self.nth, text: String::new(), from: 0, of: 0, mark: None, hidden: true },
        }
    }
}

fn nth_value(record: &dyn Record, field: FieldId, nth: usize) -> Option<String> {
    let (mut at, mut found) = (0, None);
    record.any_value(field, &mut |value: ValueRef<'_>| {
        if at == nth {
            found = Some(value.text().into_owned());
        }
        at += 1;
        found.is_some()
    });
    found
}

/// How an event is kept, for `Explanation::hide`: `None` where it is kept as it is. With its frame, as the event store has it:
/// without, only fields could be told, and not the line in which a word was found.
pub type Hiding = std::sync::Arc<dyn Fn(&Event, Option<&Frame>) -> Option<Event> + Send + Sync>;

#[cfg(test)]
mod tests;

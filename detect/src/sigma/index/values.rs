//! A record's values as rules compare them: by field, texts in lower case, each made once.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::ops::Range;

use ingest::event::ValueRef;
use ingest::record::Record;

use super::super::detection::Subject;
use super::super::value::Matcher;
use super::edges::Edges;
use super::filter;
use super::hint::Hint;
use super::lookup::{ANYTHING, Lookup};
use super::program::Line;
use super::texts::grams;

/// The values of one record in the fields that rules ask for.
#[derive(Debug, Default)]
pub(super) struct Values {
    all: Vec<Value>,
    /// By column of the lookup: one more than the place of its newest value, 0 for none.
    newest: Vec<u32>,
    /// Columns that have a value, so that emptying costs no more than filling did.
    touched: Vec<u16>,
    text: String,
    /// Which four bytes stand in a value: a filter each, made when one is asked for.
    marks: Vec<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) column: u16,
    kind: Kind,
    folded: Range<usize>,
    original: Range<usize>,
    /// Of what is folded.
    pub(super) edges: Edges,
    /// Where in `Values::marks` and with what shift.
    marked: Option<(usize, usize, u32)>,
    /// The column's value before, as in `newest`.
    before: u32,
}

/// Bits for each four bytes of a value: three in a hundred that are not there pass.
const MARK_BITS: usize = 16;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Int(i64),
    Ip(IpAddr),
    Bool(bool),
}

impl Values {
    /// Takes the values of a record that `lookup` has columns for.
    pub(super) fn read(&mut self, record: &dyn Record, lookup: &Lookup) {
        for column in self.touched.drain(..) {
            if let Some(newest) = self.newest.get_mut(usize::from(column)) {
                *newest = 0;
            }
        }
        self.all.clear();
        self.text.clear();
        self.marks.clear();
        if self.newest.len() != lookup.columns() {
            self.newest = vec![0; lookup.columns()];
        }
        let line = record.text();
        // A line's text holds all of its fields; a flow has no text, so its values are looked at.
        let by_value = lookup.asks_anything() && line.is_empty();
        if lookup.asks_anything() && !line.is_empty() {
            self.push(ANYTHING, ValueRef::Str(line));
        }
        record.any_field(&mut |field, value| {
            if let Some(column) = lookup.column_of(field) {
                self.push(column, value);
            }
            if by_value {
                self.push(ANYTHING, value);
            }
            false
        });
    }

    fn push(&mut self, column: u16, value: ValueRef<'_>) {
        let from = self.text.len();
        let (mut kind, mut original) = (Kind::Text, None);
        match value {
            ValueRef::Str(text) if text.is_ascii() => {
                self.text.push_str(text);
                if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    let end = self.text.len();
                    self.text.push_str(text);
                    if let Some(folded) = self.text.get_mut(end..) {
                        folded.make_ascii_lowercase();
                    }
                    original = Some(from..end);
                }
            }
            ValueRef::Str(text) => {
                self.text.push_str(text);
                original = Some(from..self.text.len());
                self.text.extend(text.chars().flat_map(char::to_lowercase));
            }
            ValueRef::Int(number) => {
                kind = Kind::Int(number);
                // Writing to a text cannot fail.
                let _ = write!(self.text, "{number}");
            }
            ValueRef::Ip(address) => {
                kind = Kind::Ip(address);
                let _ = write!(self.text, "{address}");
            }
            ValueRef::Bool(truth) => {
                kind = Kind::Bool(truth);
                self.text.push_str(if truth { "true" } else { "false" });
            }
        }
        let folded = original.as_ref().map_or(from, |original: &Range<usize>| original.end)..self.text.len();
        let original = original.unwrap_or_else(|| folded.clone());
        let Some(newest) = self.newest.get_mut(usize::from(column)) else { return };
        if *newest == 0 {
            self.touched.push(column);
        }
        let edges = Edges::of(self.text.get(folded.clone()).unwrap_or_default());
        self.all.push(Value { column, kind, folded, original, edges, marked: None, before: *newest });
        *newest = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Value> {
        self.all.iter()
    }

    pub(super) fn folded(&self, value: &Value) -> &str {
        self.text.get(value.folded.clone()).unwrap_or_default()
    }

    fn original(&self, value: &Value) -> &str {
        self.text.get(value.original.clone()).unwrap_or_default()
    }

    /// The value as the record gave it.
    fn view(&self, value: &Value) -> ValueRef<'_> {
        match value.kind {
            Kind::Text => ValueRef::Str(self.original(value)),
            Kind::Int(number) => ValueRef::Int(number),
            Kind::Ip(address) => ValueRef::Ip(address),
            Kind::Bool(truth) => ValueRef::Bool(truth),
        }
    }

    /// The number that a rule's whole number may be equal to: exactly, or as a fraction that is none (`7.0`).
    pub(super) fn number(&self, value: &Value) -> Option<Counted> {
        match value.kind {
            Kind::Int(number) => Some(Counted::Exactly(number)),
            Kind::Text => {
                let text = self.original(value);
                let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.'));
                if !begins {
                    return None;
                }
                text.parse().map(Counted::Exactly).ok().or_else(|| text.parse().map(Counted::About).ok())
            }
            Kind::Ip(_) | Kind::Bool(_) => None,
        }
    }

    /// Whether one matcher says yes to one value.
    pub(super) fn agree(&self, matcher: &Matcher, value: &Value, record: &dyn Record) -> bool {
        match matcher {
            Matcher::Text(pattern) => pattern.matches_folded(self.original(value), self.folded(value)),
            Matcher::Regex(regex) => regex.is_match(self.original(value)),
            other => other.matches(self.view(value), record),
        }
    }

    /// Whether a line of a rule holds: as `Item::matches` of the record.
    pub(super) fn satisfy(&mut self, line: &Line, column: u16, record: &dyn Record) -> bool {
        let item = &line.item;
        if item.subject == Subject::Time {
            return item.matches(record);
        }
        let newest = self.newest.get(usize::from(column)).copied().unwrap_or_default();
        let mut groups = item.groups.iter().zip(&line.hints);
        groups.all(|(matchers, hints)| self.found(matchers, hints, newest, record)) != item.neq
    }

    /// Whether one of the matchers says yes to one of a column's values.
    fn found(&mut self, matchers: &[Matcher], hints: &[Hint], newest: u32, record: &dyn Record) -> bool {
        let mut next = newest;
        while let Some(place) = next.checked_sub(1) {
            for (matcher, hint) in matchers.iter().zip(hints) {
                if self.may_agree(hint, place) && self.all.get(place as usize).is_some_and(|value| self.agree(matcher, value, record)) {
                    return true;
                }
            }
            next = self.all.get(place as usize).map_or(0, |value| value.before);
        }
        matchers.iter().any(|matcher| match matcher {
            Matcher::Null => newest == 0,
            Matcher::Exists(wanted) => *wanted == (newest != 0),
            _ => false,
        })
    }

    /// Whether a value has what the hint tells of.
    #[inline]
    fn may_agree(&mut self, hint: &Hint, place: u32) -> bool {
        let Some(value) = self.all.get(place as usize) else { return false };
        match hint {
            Hint::None => true,
            Hint::Start(edge) => value.edges.starts(*edge),
            Hint::End(edge) => value.edges.ends(*edge),
            Hint::Gram(gram) => self.may_have(place, &[*gram]),
            Hint::Grams(grams) => self.may_have(place, grams),
        }
    }

    /// Whether one of these four bytes may stand in a value.
    fn may_have(&mut self, place: u32, wanted: &[u32]) -> bool {
        let Some(value) = self.all.get_mut(place as usize) else { return false };
        let (from, to, shift) = *value.marked.get_or_insert_with(|| {
            let folded = self.text.get(value.folded.clone()).unwrap_or_default().as_bytes();
            let (words, shift) = filter::room(folded.len(), MARK_BITS);
            let from = self.marks.len();
            self.marks.resize(from + words, 0);
            let marks = self.marks.get_mut(from..).unwrap_or_default();
            grams(folded).for_each(|gram| filter::mark(marks, shift, gram.into()));
            (from, from + words, shift)
        });
        let marks = self.marks.get(from..to).unwrap_or_default();
        wanted.iter().any(|gram| filter::may_have(marks, shift, (*gram).into()))
    }
}

/// A value read as a number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    Exactly(i64),
    About(f64),
}

//! Why a detection holds of a record, or does not: its condition is walked once more, and what decided is written down.
//! This is slow beside `index` and is asked only of what has fired, or by who wants to know.

use std::ops::Range;

use ingest::event::ValueRef;
use ingest::record::Record;

use super::condition::Expr;
use super::detection::{Branch, Detection, Formula, Item, Subject};
use super::pattern::Anchor;
use super::value::{Comparison, Matcher};
use crate::explanation::{ASKED_BYTES_MAX, ASKED_MAX, Asked, FOUND_MAX, Found, How, LINES_MAX, Line, PARTS_MAX, Part, Verdict};

impl Detection {
    pub(crate) fn verdict(&self, record: &dyn Record) -> Verdict {
        let of_source = self.logsource.holds(record);
        let mut telling = Telling { record, parts: Vec::new(), lines: 0 };
        let own = self.formula.holds(record);
        let filters: Vec<(&Formula, bool)> = self.filters.iter().map(|filter| (&**filter, filter.holds(record))).collect();
        let formulas = own && filters.iter().all(|(_, holds)| *holds);
        // Where it does not match only what stands in its way is told.
        if own == formulas {
            telling.formula(&self.formula, own, false);
        }
        for (filter, holds) in filters.into_iter().filter(|(_, holds)| *holds == formulas) {
            telling.formula(filter, holds, true);
        }
        let logsource = self.logsource.words().map(|(key, word)| (key, word.to_owned())).collect();
        Verdict { matched: of_source && formulas, of_source, logsource, parts: telling.parts }
    }
}

/// What is told so far.
struct Telling<'a> {
    record: &'a dyn Record,
    parts: Vec<Part>,
    lines: usize,
}

impl Telling<'_> {
    /// Why the formula is as it is.
    fn formula(&mut self, formula: &Formula, holds: bool, of_filter: bool) {
        let mut deciding = Vec::new();
        decide(&formula.condition, &mut |number| formula.selections.get(number).is_some_and(|one| one.holds(self.record)), &mut deciding);
        for (number, held) in deciding {
            let (Some(branch), Some(name)) = (formula.selections.get(number), formula.names.get(number)) else { continue };
            let known = self.parts.iter().any(|part| part.selection == **name && part.of_filter == of_filter);
            if known || self.parts.len() >= PARTS_MAX {
                continue;
            }
            let mut part = Part { selection: name.to_string(), of_filter, held, lines: Vec::new(), more: 0, fits: None };
            // That an exception did not apply is enough to know.
            if !holds || held {
                self.branch(branch, held, &mut part);
            }
            if let (Branch::All(lines), false) = (branch, held)
                && lines.len() > 1
            {
                part.fits = Some((lines.iter().filter(|line| line.holds(self.record)).count(), lines.len()));
            }
            self.parts.push(part);
        }
    }

    /// The lines that make the branch hold, or that it lacks.
    fn branch(&mut self, branch: &Branch, held: bool, into: &mut Part) {
        match branch {
            // All of what must hold has held; of alternatives none has.
            Branch::All(parts) if held => parts.iter().for_each(|part| self.branch(part, held, into)),
            Branch::Any(parts) if !held => parts.iter().for_each(|part| self.branch(part, held, into)),
            Branch::All(parts) | Branch::Any(parts) => {
                let deciding = parts.iter().filter(|part| part.holds(self.record) == held);
                deciding.for_each(|part| self.branch(part, held, into));
            }
            Branch::Item(_) if self.lines >= LINES_MAX => into.more += 1,
            Branch::Item(item) => {
                self.lines += 1;
                into.lines.push(line(item, held, self.record));
            }
        }
    }
}

/// The selections that make the condition what it is, each with whether it holds.
fn decide(expr: &Expr, holds: &mut dyn FnMut(usize) -> bool, into: &mut Vec<(usize, bool)>) -> bool {
    match expr {
        Expr::Selection(number) => {
            let held = holds(*number);
            into.push((*number, held));
            held
        }
        Expr::Not(inner) => !decide(inner, holds, into),
        Expr::All(parts) | Expr::Any(parts) => {
            let all = matches!(expr, Expr::All(_));
            let mut told: Vec<(bool, Vec<(usize, bool)>)> = Vec::new();
            for part in parts {
                let mut deciding = Vec::new();
                told.push((decide(part, holds, &mut deciding), deciding));
            }
            let is = if all { told.iter().all(|(held, _)| *held) } else { told.iter().any(|(held, _)| *held) };
            into.extend(told.into_iter().filter(|(held, _)| *held == is).flat_map(|(_, deciding)| deciding));
            is
        }
    }
}

fn line(item: &Item, held: bool, record: &dyn Record) -> Line {
    let field = match item.subject {
        Subject::Anything => "",
        Subject::Time => "@timestamp",
        Subject::Field(field) => field.name(),
    };
    let mut line = Line { field: field.to_owned(), held, negated: item.neq, asked: Vec::new(), asked_more: 0, found: Vec::new() };
    // What `neq` turns round matched where the line does not hold.
    if held != item.neq {
        for group in item.groups.iter().take(FOUND_MAX) {
            met(item, group, record, &mut line);
        }
        return line;
    }
    let missed = item.groups.iter().find(|group| !item.found(group, record));
    for matcher in missed.into_iter().flatten() {
        if line.asked.len() < ASKED_MAX { line.asked.push(asked(matcher)) } else { line.asked_more += 1 }
    }
    each_value(item, record, &mut |nth, value| {
        line.found.push(Found::new(nth, &value.text(), None));
        line.found.len() >= FOUND_MAX
    });
    line
}

/// The first value that one of the matchers finds something in.
fn met(item: &Item, group: &[Matcher], record: &dyn Record, line: &mut Line) {
    let mut found = None;
    each_value(item, record, &mut |nth, value| {
        let matcher = group.iter().find(|matcher| matcher.matches(value, record));
        found = matcher.map(|matcher| (asked(matcher), Found::new(nth, &value.text(), span(matcher, value, record))));
        found.is_some()
    });
    match found {
        Some((asked, value)) => {
            line.asked.push(asked);
            line.found.push(value);
        }
        // That the field is missing, or there whatever it says.
        None => line.asked.extend(group.iter().filter(|matcher| matches!(matcher, Matcher::Null | Matcher::Exists(_))).map(asked).take(1)),
    }
}

/// The values that an item looks at, with their number.
fn each_value(item: &Item, record: &dyn Record, visit: &mut dyn FnMut(usize, ValueRef<'_>) -> bool) {
    let mut nth = 0;
    let mut next = |value: ValueRef<'_>| {
        nth += 1;
        visit(nth - 1, value)
    };
    match item.subject {
        Subject::Anything if record.text().is_empty() => record.any_field(&mut |_, value| next(value)),
        Subject::Anything => next(ValueRef::Str(record.text())),
        Subject::Time => next(ValueRef::Str(&record.timestamp().rfc3339())),
        Subject::Field(field) => record.any_value(field, &mut next),
    };
}

/// The bytes of the value's text that a matcher speaks of.
fn span(matcher: &Matcher, value: ValueRef<'_>, record: &dyn Record) -> Option<Range<usize>> {
    let text = value.text();
    match matcher {
        Matcher::Text(pattern) => pattern.span(&text),
        Matcher::Regex(regex) => regex.find(&text).map(|found| found.range()),
        Matcher::Number(_) | Matcher::Bool(_) | Matcher::Compare(..) | Matcher::Cidr(_) | Matcher::Part(..) => Some(0..text.len()),
        Matcher::Field { other, anchor, cased } => {
            let mut found = None;
            record.any_value(*other, &mut |other| {
                found = super::pattern::span_of(&text, &other.text(), *anchor, *cased);
                found.is_some()
            });
            found
        }
        Matcher::Null | Matcher::Exists(_) => None,
    }
}

fn asked(matcher: &Matcher) -> Asked {
    let (how, text) = match matcher {
        Matcher::Text(pattern) => pattern.worded(),
        Matcher::Number(number) => (How::Is, number.to_string()),
        Matcher::Bool(truth) => (How::Is, truth.to_string()),
        Matcher::Compare(comparison, number) => {
            let how = match comparison {
                Comparison::Lt => How::Below,
                Comparison::Lte => How::AtMost,
                Comparison::Gt => How::Above,
                Comparison::Gte => How::AtLeast,
            };
            (how, number.to_string())
        }
        Matcher::Regex(regex) => (How::Regex, regex.as_str().to_owned()),
        Matcher::Cidr(prefix) => (How::Network, prefix.to_string()),
        Matcher::Part(part, number) => (How::TimePart, format!("{} {number}", part.name())),
        Matcher::Field { other, anchor, .. } => {
            let how = match anchor {
                Anchor::Whole => How::SameAs,
                Anchor::Contains => How::ContainsField,
                Anchor::Start => How::StartsWithField,
                Anchor::End => How::EndsWithField,
            };
            (how, other.name().to_owned())
        }
        Matcher::Null | Matcher::Exists(false) => (How::Missing, String::new()),
        Matcher::Exists(true) => (How::Present, String::new()),
    };
    let mut text = text;
    if text.len() > ASKED_BYTES_MAX {
        text.truncate(text.floor_char_boundary(ASKED_BYTES_MAX));
        text.push('…');
    }
    Asked { how, text }
}

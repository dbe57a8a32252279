//! What one value of a rule asks of one value of a record: string patterns, numbers, truth values, regular expressions,
//! address ranges, parts of a time, another field. Matching parses nothing but the record's own value.

use std::cmp::Ordering;
use std::fmt;

use ingest::body::Prefix;
use ingest::event::ValueRef;
use ingest::fields::FieldId;
use ingest::record::Record;
use regex::Regex;

use super::moment::Part;
use super::pattern::{Anchor, Pattern, fold};

#[derive(Clone, Debug)]
pub(crate) enum Matcher {
    Text(Pattern),
    Number(Number),
    Bool(bool),
    Compare(Comparison, Number),
    Regex(Regex),
    Cidr(Prefix),
    /// A part of the time that the value writes down.
    Part(Part, i64),
    /// The record's other field, one of whose values must stand in the value in that place.
    Field {
        other: FieldId,
        anchor: Anchor,
        cased: bool,
    },
    /// The field is missing (`true` in `Exists` means present). These two ask about the field, not its values.
    Null,
    Exists(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Lt,
    Lte,
    Gt,
    Gte,
}

/// A number in a rule; integers stay exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
}

impl Matcher {
    /// `record` is the one that `value` is of.
    pub(crate) fn matches(&self, value: ValueRef<'_>, record: &dyn Record) -> bool {
        match self {
            Self::Text(pattern) => pattern.matches(&value.text()),
            Self::Number(number) => number.compare(value) == Some(Ordering::Equal),
            Self::Bool(truth) => match value {
                ValueRef::Bool(found) => found == *truth,
                ValueRef::Str(text) => text.eq_ignore_ascii_case(if *truth { "true" } else { "false" }),
                ValueRef::Int(_) | ValueRef::Ip(_) => false,
            },
            Self::Compare(comparison, number) => number.compare(value).is_some_and(|order| comparison.holds(order)),
            Self::Regex(regex) => regex.is_match(&value.text()),
            Self::Cidr(prefix) => value.as_ip().is_some_and(|address| prefix.contains(address.to_canonical())),
            Self::Part(part, wanted) => part.of(value) == Some(*wanted),
            Self::Field { other, anchor, cased } => record.any_value(*other, &mut |other| related(value, other, *anchor, *cased)),
            Self::Null | Self::Exists(_) => false,
        }
    }
}

/// Whether `other` stands in `value` in the place that `anchor` names.
fn related(value: ValueRef<'_>, other: ValueRef<'_>, anchor: Anchor, cased: bool) -> bool {
    let (value, other) = (value.text(), other.text());
    let holds = |value: &str, other: &str| match anchor {
        Anchor::Whole => value == other,
        Anchor::Contains => value.contains(other),
        Anchor::Start => value.starts_with(other),
        Anchor::End => value.ends_with(other),
    };
    if cased { holds(&value, &other) } else { holds(&fold(&value), &fold(&other)) }
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Lt => order.is_lt(),
            Self::Lte => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::Gte => order.is_ge(),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
        }
    }
}

impl Number {
    /// How the record's value stands to this number; `None` where it is no number.
    fn compare(self, value: ValueRef<'_>) -> Option<Ordering> {
        if let (Self::Int(wanted), Some(found)) = (self, value.as_int()) {
            return Some(found.cmp(&wanted));
        }
        let found = match value {
            // Beyond 2^53 this rounds, and only where the rule itself gave a float.
            ValueRef::Int(number) => number as f64,
            ValueRef::Str(text) => text.parse().ok()?,
            ValueRef::Ip(_) | ValueRef::Bool(_) => return None,
        };
        let wanted = match self {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        };
        found.partial_cmp(&wanted)
    }
}

#[cfg(test)]
mod tests {
    use ingest::frame::Seq;
    use ingest::time::Timestamp;

    use super::*;
    use crate::json_record::JsonRecord;

    #[test]
    fn numbers_and_truth_values_against_texts() {
        let record = JsonRecord::new(&serde_json::Map::new(), Seq(1), Timestamp(0));
        let seven = Matcher::Number(Number::Int(7));
        let table = [(ValueRef::Int(7), true), (ValueRef::Str("7"), true), (ValueRef::Str("7.0"), true), (ValueRef::Str("x7"), false)];
        table.into_iter().for_each(|(value, expected)| assert_eq!(seven.matches(value, &record), expected, "{value:?}"));
        let half = Matcher::Compare(Comparison::Gte, Number::Float(0.5));
        let halves = [(ValueRef::Int(1), true), (ValueRef::Str("0.5"), true), (ValueRef::Str("0.49"), false)];
        halves.into_iter().for_each(|(value, expected)| assert_eq!(half.matches(value, &record), expected, "{value:?}"));
        let exact = Matcher::Compare(Comparison::Lt, Number::Int(i64::MAX));
        assert!(exact.matches(ValueRef::Int(i64::MAX - 1), &record) && !exact.matches(ValueRef::Int(i64::MAX), &record));
        let truth = Matcher::Bool(true);
        assert!(truth.matches(ValueRef::Str("True"), &record) && !truth.matches(ValueRef::Int(1), &record));
    }
}

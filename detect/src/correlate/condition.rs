//! What is measured and when it is a match, in whole millionths, so that neither the order of addition nor a restart changes
//! a sum, and a threshold with a fraction means exactly what it says.

use std::hash::{DefaultHasher, Hash, Hasher};

use ingest::event::ValueRef;

use crate::sigma::Expr;

/// A number in millionths.
pub(crate) type Amount = i128;

/// One, as an amount.
pub(crate) const UNIT: Amount = 1_000_000;
/// Beyond this a number with a fraction is not exact to a millionth any more.
const FRACTION_MAX: f64 = 1e15;

/// An amount as people write it.
pub(crate) fn amount_shown(amount: Amount) -> String {
    let (whole, part) = (amount.unsigned_abs() / UNIT.unsigned_abs(), amount.unsigned_abs() % UNIT.unsigned_abs());
    let sign = if amount < 0 { "-" } else { "" };
    if part == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{}", format!("{part:06}").trim_end_matches('0')) }
}

/// What is measured in a window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Measure {
    Count,
    /// Different values of a field, or combinations of several.
    Values,
    Sum,
    Average,
    Median,
    /// The smallest value that so many percent (an amount) of the values do not exceed.
    Percentile(Amount),
    /// Different rules that matched.
    Rules,
    /// Which rules matched, as a formula over their numbers.
    Formula(Expr),
    /// One of these chains of rules, its links one behind the other. No rule stands in a chain twice.
    Order(Vec<Vec<u8>>),
}

impl Measure {
    /// Sigma's word for it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Count => "event_count",
            Self::Values => "value_count",
            Self::Sum => "value_sum",
            Self::Average => "value_avg",
            Self::Median => "value_median",
            Self::Percentile(_) => "value_percentile",
            Self::Rules | Self::Formula(_) => "temporal",
            Self::Order(_) => "temporal_ordered",
        }
    }

    /// Whether numbers are reckoned with.
    pub(crate) fn is_numeric(&self) -> bool {
        matches!(self, Self::Sum | Self::Average | Self::Median | Self::Percentile(_))
    }

    /// Whether it matters which rule matched.
    pub(crate) fn tells_rules_apart(&self) -> bool {
        matches!(self, Self::Rules | Self::Formula(_) | Self::Order(_))
    }
}

/// The numbers between which a measure is a match.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Limits {
    pub(crate) lower: Option<Bound>,
    pub(crate) upper: Option<Bound>,
    pub(crate) except: Option<Amount>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bound {
    pub(crate) at: Amount,
    /// Whether `at` itself is inside.
    pub(crate) inside: bool,
}

impl Limits {
    pub(crate) fn at_least(count: usize) -> Self {
        let at = Amount::try_from(count).unwrap_or(Amount::MAX).saturating_mul(UNIT);
        Self { lower: Some(Bound { at, inside: true }), ..Self::default() }
    }

    /// Whether `total / parts` is inside, without dividing.
    pub(crate) fn hold(&self, total: Amount, parts: Amount) -> bool {
        let than = |bound: Bound| bound.at.saturating_mul(parts);
        self.lower.is_none_or(|bound| total > than(bound) || (bound.inside && total == than(bound)))
            && self.upper.is_none_or(|bound| total < than(bound) || (bound.inside && total == than(bound)))
            && self.except.is_none_or(|except| total != except.saturating_mul(parts))
    }

    pub(crate) fn hold_count(&self, count: u64) -> bool {
        self.hold(Amount::from(count) * UNIT, 1)
    }

    /// Each bound in Sigma's words.
    pub(crate) fn shown(&self) -> Vec<(String, String)> {
        let one = |word: &str, amount: Amount| (word.to_owned(), amount_shown(amount));
        if let (Some(lower), Some(upper)) = (self.lower, self.upper)
            && lower == upper
        {
            return vec![one("eq", lower.at)];
        }
        let lower = self.lower.map(|bound| one(if bound.inside { "gte" } else { "gt" }, bound.at));
        let upper = self.upper.map(|bound| one(if bound.inside { "lte" } else { "lt" }, bound.at));
        lower.into_iter().chain(upper).chain(self.except.map(|except| one("neq", except))).collect()
    }

    pub(crate) fn only_lower(&self) -> bool {
        self.upper.is_none() && self.except.is_none()
    }
}

/// A number as an amount; `None` for what is none.
pub(crate) fn amount_of(value: ValueRef<'_>) -> Option<Amount> {
    match value {
        ValueRef::Int(number) => Some(Amount::from(number) * UNIT),
        ValueRef::Str(text) => amount_of_text(text),
        ValueRef::Ip(_) | ValueRef::Bool(_) => None,
    }
}

pub(crate) fn amount_of_text(text: &str) -> Option<Amount> {
    match text.trim().parse::<i64>() {
        Ok(number) => Some(Amount::from(number) * UNIT),
        Err(_) => amount_of_float(text.trim().parse().ok()?),
    }
}

pub(crate) fn amount_of_float(number: f64) -> Option<Amount> {
    #[expect(clippy::cast_possible_truncation, reason = "rounded and below 2^70")]
    let amount = (number * 1e6).round() as Amount;
    (number.abs() <= FRACTION_MAX).then_some(amount)
}

/// A text's fingerprint for counting different ones. Were the standard library to change its hash, values saved before
/// would be counted anew for one window.
pub(crate) fn value_hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    texts.into_iter().for_each(|text| text.hash(&mut hasher));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_exact() {
        let bound = |at, inside| Some(Bound { at, inside });
        let range = Limits { lower: bound(3 * UNIT, true), upper: bound(5 * UNIT, false), except: Some(4 * UNIT) };
        assert_eq!((2..=5).map(|count| range.hold_count(count)).collect::<Vec<_>>(), [false, true, false, false]);
        // A mean of a third is above 0.333333 and not above 0.333334.
        let above = |at| Limits { lower: bound(at, false), ..Limits::default() };
        assert!(above(333_333).hold(UNIT, 3) && !above(333_334).hold(UNIT, 3));
    }

    #[test]
    fn amounts_and_limits_are_told_as_they_were_written() {
        let table = [(12 * UNIT, "12"), (-1_500_000, "-1.5"), (1, "0.000001"), (0, "0")];
        table.into_iter().for_each(|(amount, expected)| assert_eq!(amount_shown(amount), expected));
        let bound = |at, inside| Some(Bound { at: at * UNIT, inside });
        let shown =
            |limits: Limits| limits.shown().into_iter().map(|(word, number)| format!("{word} {number}")).collect::<Vec<_>>().join(", ");
        assert_eq!(shown(Limits { lower: bound(3, true), upper: bound(5, false), except: Some(4 * UNIT) }), "gte 3, lt 5, neq 4");
        assert_eq!(shown(Limits { lower: bound(3, true), upper: bound(3, true), except: None }), "eq 3");
    }

    #[test]
    fn numbers_are_read_to_a_millionth() {
        let table = [
            ("12", Some(12_000_000)),
            ("-0.1", Some(-100_000)),
            (" 1e3 ", Some(1_000_000_000)),
            ("x", None),
            ("NaN", None),
            ("1e300", None),
        ];
        for (text, expected) in table {
            assert_eq!(amount_of_text(text), expected, "{text}");
        }
        assert_eq!(amount_of(ValueRef::Int(i64::MAX)), Some(Amount::from(i64::MAX) * UNIT));
    }
}

//! What a chart shows, in a German sentence or two: for those who hear it, and for those in a hurry.

use super::scale::sane;
use super::unit::Unit;
use crate::words::{t, tf};

/// A named value; `None` where there is none.
pub(super) type Point = (String, Option<f64>);

/// Fewer values have no trend.
const TREND_MIN: usize = 6;
/// A change below this share of the greater end is none.
const TREND_SHARE: f64 = 0.1;

/// Highest, lowest and trend of values in an order that means something, such as time.
pub(super) fn course(points: &[Point], unit: Unit<'_>) -> String {
    let values: Vec<f64> = points.iter().filter_map(|point| point.1.and_then(sane)).collect();
    match trend(&values) {
        Some(word) => format!("{} {word}", spread(points, unit)),
        None => spread(points, unit),
    }
}

/// Sum, highest and lowest of values in any order.
pub(super) fn spread(points: &[Point], unit: Unit<'_>) -> String {
    let known: Vec<(&str, f64)> =
        points.iter().filter_map(|(label, value)| Some((label.as_str(), value.filter(|value| value.is_finite())?))).collect();
    let without = points.len() - known.len();
    let (Some(high), Some(low)) = (first_by(&known, |a, b| a > b), first_by(&known, |a, b| a < b)) else {
        return t("Keine Daten.").into();
    };
    let mut text = match known.len() {
        1 => tf("Ein Wert: {value} ({label}).", &[("value", &unit.full(high.1)), ("label", &high.0)]),
        n if high.1 == low.1 => tf("Alle {n} Werte sind gleich: {value}.", &[("n", &n), ("value", &unit.full(high.1))]),
        _ => tf(
            "Höchster Wert: {high} ({high_label}), niedrigster: {low} ({low_label}).",
            &[("high", &unit.full(high.1)), ("high_label", &high.0), ("low", &unit.full(low.1)), ("low_label", &low.0)],
        ),
    };
    let sum: f64 = known.iter().map(|(_, value)| value).sum();
    if unit.adds_up() && known.len() > 1 && sum != 0.0 && sum.is_finite() {
        text = format!("{} {text}", tf("Zusammen {sum}.", &[("sum", &unit.full(sum))]));
    }
    if without > 0 {
        text = format!("{text} {}", tf("{n} ohne Wert.", &[("n", &without)]));
    }
    text
}

fn first_by<'a>(known: &[(&'a str, f64)], better: impl Fn(f64, f64) -> bool) -> Option<(&'a str, f64)> {
    let mut rest = known.iter().copied();
    let first = rest.next()?;
    Some(rest.fold(first, |best, one| if better(one.1, best.1) { one } else { best }))
}

/// Compares the mean of the last third with that of the first.
fn trend(values: &[f64]) -> Option<&'static str> {
    if values.len() < TREND_MIN || values.iter().all(|value| Some(value) == values.first()) {
        return None;
    }
    let third = values.len() / 3;
    let mean = |part: &[f64]| part.iter().map(|value| value / part.len().max(1) as f64).sum::<f64>();
    let (before, after) = (mean(values.get(..third)?), mean(values.get(values.len() - third..)?));
    let change = after - before;
    Some(match before.abs().max(after.abs()) * TREND_SHARE {
        least if change > least => t("Tendenz: steigend."),
        least if change < -least => t("Tendenz: fallend."),
        _ => t("Tendenz: gleichbleibend."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], unit: Unit<'_>, expected: &str) {
        let points: Vec<Point> = values.iter().enumerate().map(|(n, value)| (format!("{n} Uhr"), Some(*value))).collect();
        assert_eq!(course(&points, unit).replace('\u{a0}', " "), expected, "{values:?}");
    }

    /// Worked out by hand.
    #[test]
    fn a_sentence_says_what_is_to_be_seen() {
        let cases = Unit::Count("Fälle");
        check(&[], cases, "Keine Daten.");
        check(&[f64::NAN], cases, "Keine Daten.");
        check(&[4.0], cases, "Ein Wert: 4 Fälle (0 Uhr).");
        check(&[0.0, 0.0, 0.0], cases, "Alle 3 Werte sind gleich: 0 Fälle.");
        check(&[7.0, 7.0], cases, "Zusammen 14 Fälle. Alle 2 Werte sind gleich: 7 Fälle.");
        check(&[3.0, 9.0, 1.0, 9.0], cases, "Zusammen 22 Fälle. Höchster Wert: 9 Fälle (1 Uhr), niedrigster: 1 Fälle (2 Uhr).");
        // Thirds of two: 3 before, 11 after.
        check(&[2.0, 4.0, 6.0, 8.0, 10.0, 12.0], Unit::Hours, "Höchster Wert: 12 h (5 Uhr), niedrigster: 2 h (0 Uhr). Tendenz: steigend.");
        check(
            &[90.0, 80.0, 10.0, 10.0, 20.0, 30.0],
            Unit::Percent,
            "Höchster Wert: 90 % (0 Uhr), niedrigster: 10 % (2 Uhr). Tendenz: fallend.",
        );
        check(
            &[50.0, 52.0, 10.0, 90.0, 50.0, 54.0],
            Unit::Percent,
            "Höchster Wert: 90 % (3 Uhr), niedrigster: 10 % (2 Uhr). Tendenz: gleichbleibend.",
        );
        check(&[5.0, f64::INFINITY], Unit::Hours, "Ein Wert: 5 h (0 Uhr). 1 ohne Wert.");
    }
}

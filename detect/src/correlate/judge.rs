//! A window that is over, measured as a whole: for conditions that more records could have taken back.

use std::collections::HashSet;

use super::Correlation;
use super::condition::{Amount, Measure, UNIT};
use super::line::Cell;

/// Whether a whole window is a match, and what was measured where that is a number.
pub(super) fn judge(correlation: &Correlation, window: &[Cell]) -> (bool, Option<Amount>) {
    if let Measure::Formula(formula) = &correlation.measure {
        let seen = rules(window);
        return (formula.eval(&mut |rule| seen & (1 << rule) != 0), Some(Amount::from(seen.count_ones()) * UNIT));
    }
    let Some((total, parts)) = measured(&correlation.measure, window) else { return (false, None) };
    (correlation.limits.hold(total, parts), Some(total / parts.max(1)))
}

/// Amount and by how much it is to be divided.
fn measured(measure: &Measure, window: &[Cell]) -> Option<(Amount, Amount)> {
    let records: u64 = window.iter().map(|cell| u64::from(cell.count)).sum();
    let total = || window.iter().map(|cell| cell.value).fold(0, Amount::saturating_add);
    let whole = |count: u64| (Amount::from(count) * UNIT, 1);
    Some(match measure {
        Measure::Count => whole(records),
        Measure::Values => whole(window.iter().map(|cell| cell.value).collect::<HashSet<_>>().len() as u64),
        Measure::Rules => whole(rules(window).count_ones().into()),
        Measure::Sum => (total(), 1),
        Measure::Average => (total(), Amount::from(records)),
        Measure::Median => {
            let sorted = sorted(window);
            // Of an even number the mean of the two in the middle.
            let (low, high) = (records.div_ceil(2), records / 2 + 1);
            (ranked(&sorted, low).saturating_add(ranked(&sorted, high)), 2)
        }
        Measure::Percentile(percent) => {
            let hundred = 100 * UNIT;
            let rank = (percent.saturating_mul(records.into()) + hundred - 1) / hundred;
            (ranked(&sorted(window), u64::try_from(rank).unwrap_or(1).max(1)), 1)
        }
        // A formula has no number; an order is judged while it slides.
        Measure::Formula(_) | Measure::Order(_) => return None,
    })
}

/// The rules that matched, as bits.
fn rules(window: &[Cell]) -> u32 {
    window.iter().fold(0, |seen, cell| seen | 1 << cell.rule)
}

/// The cells' means with what they stand for, smallest first.
fn sorted(window: &[Cell]) -> Vec<(Amount, u64)> {
    let mean = |cell: &Cell| (cell.value / Amount::from(cell.count.max(1)), u64::from(cell.count));
    let mut means: Vec<(Amount, u64)> = window.iter().map(mean).collect();
    means.sort_unstable();
    means
}

/// The value at that rank, counted from 1.
fn ranked(sorted: &[(Amount, u64)], rank: u64) -> Amount {
    let mut passed = 0;
    let found = sorted.iter().find(|(_, count)| {
        passed += count;
        passed >= rank
    });
    found.or(sorted.last()).map_or(0, |(value, _)| *value)
}

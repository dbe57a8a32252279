//! A window that is over, measured as a whole: for conditions that more records could have taken back.

use std::collections::HashSet;

use super::Correlation;
use super::condition::{Amount, Measure, UNIT};
use super::line::Cell;

/// Whether a whole window is a match.
pub(super) fn matches(correlation: &Correlation, window: &[Cell]) -> bool {
    let limits = &correlation.limits;
    let records: u64 = window.iter().map(|cell| u64::from(cell.count)).sum();
    let total = || window.iter().map(|cell| cell.value).fold(0, Amount::saturating_add);
    match &correlation.measure {
        Measure::Count => limits.hold_count(records),
        Measure::Values => limits.hold_count(window.iter().map(|cell| cell.value).collect::<HashSet<_>>().len() as u64),
        Measure::Rules => limits.hold_count(rules(window).count_ones().into()),
        Measure::Formula(formula) => {
            let seen = rules(window);
            formula.eval(&mut |rule| seen & (1 << rule) != 0)
        }
        Measure::Sum => limits.hold(total(), 1),
        Measure::Average => limits.hold(total(), Amount::from(records)),
        Measure::Median => {
            let sorted = sorted(window);
            // Of an even number the mean of the two in the middle.
            let (low, high) = (records.div_ceil(2), records / 2 + 1);
            limits.hold(ranked(&sorted, low).saturating_add(ranked(&sorted, high)), 2)
        }
        Measure::Percentile(percent) => {
            let hundred = 100 * UNIT;
            let rank = (percent.saturating_mul(records.into()) + hundred - 1) / hundred;
            limits.hold(ranked(&sorted(window), u64::try_from(rank).unwrap_or(1).max(1)), 1)
        }
        // Judged while it slides.
        Measure::Order(_) => false,
    }
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

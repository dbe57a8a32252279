//! What the newest window of a sliding condition holds, kept up record by record: adding one and dropping one cost the same
//! however many there are between.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::condition::{Amount, Measure, UNIT};
use super::line::Cell;
use super::{Correlation, REFERENCES_MAX};

/// The window from `since` to the newest record.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) since: i64,
    /// How many of its cells are not hot.
    pub(super) cold: usize,
    held: Held,
}

#[derive(Clone, Debug)]
enum Held {
    Count(u64),
    Sum(Amount),
    /// How often each value is in it.
    Values(HashMap<Amount, u32, FixedState>),
    /// How often each rule is in it.
    Rules([u32; REFERENCES_MAX]),
}

impl Window {
    pub(super) fn new(measure: &Measure, since: i64) -> Self {
        let held = match measure {
            Measure::Values => Held::Values(HashMap::default()),
            Measure::Sum => Held::Sum(0),
            Measure::Rules | Measure::Formula(_) | Measure::Order(_) => Held::Rules([0; REFERENCES_MAX]),
            Measure::Count | Measure::Average | Measure::Median | Measure::Percentile(_) => Held::Count(0),
        };
        Self { since, cold: 0, held }
    }

    pub(super) fn add(&mut self, cell: &Cell) {
        self.cold += usize::from(!cell.hot);
        match &mut self.held {
            Held::Count(count) => *count += u64::from(cell.count),
            Held::Sum(sum) => *sum = sum.saturating_add(cell.value),
            Held::Values(values) => *values.entry(cell.value).or_default() += 1,
            Held::Rules(rules) => {
                if let Some(count) = rules.get_mut(usize::from(cell.rule)) {
                    *count += 1;
                }
            }
        }
    }

    pub(super) fn remove(&mut self, cell: &Cell) {
        self.cold -= usize::from(!cell.hot);
        match &mut self.held {
            Held::Count(count) => *count -= u64::from(cell.count),
            Held::Sum(sum) => *sum = sum.saturating_sub(cell.value),
            Held::Values(values) => {
                if let Some(count) = values.get_mut(&cell.value) {
                    *count -= 1;
                    if *count == 0 {
                        values.remove(&cell.value);
                    }
                }
            }
            Held::Rules(rules) => {
                if let Some(count) = rules.get_mut(usize::from(cell.rule)) {
                    *count -= 1;
                }
            }
        }
    }

    /// What it measures, as an amount; of rules, how many different ones matched.
    pub(super) fn amount(&self) -> Amount {
        let whole = |count: u64| Amount::from(count) * UNIT;
        match &self.held {
            Held::Count(count) => whole(*count),
            Held::Sum(sum) => *sum,
            Held::Values(values) => whole(values.len() as u64),
            Held::Rules(rules) => whole(rules.iter().filter(|count| **count > 0).count() as u64),
        }
    }

    pub(super) fn matches(&self, correlation: &Correlation) -> bool {
        let limits = &correlation.limits;
        match &self.held {
            Held::Count(count) => limits.hold_count(*count),
            Held::Sum(sum) => limits.hold(*sum, 1),
            Held::Values(values) => limits.hold_count(values.len() as u64),
            Held::Rules(rules) => {
                let seen = |rule: usize| rules.get(rule).is_some_and(|count| *count > 0);
                match &correlation.measure {
                    Measure::Formula(formula) => formula.eval(&mut |rule| seen(rule)),
                    _ => limits.hold_count(rules.iter().filter(|count| **count > 0).count() as u64),
                }
            }
        }
    }
}

//! What correlations mean, by the plainest definition there is, and their bounds.

mod bodies;
mod bounds;
mod equal;

use ingest::frame::Seq;

use super::*;
use crate::sigma::Expr;

const SPAN: i64 = 100;

/// Of three rules, grouped by nothing.
fn correlation(measure: Measure, limits: Limits) -> Correlation {
    let reference = |place: usize| Reference { place, id: place.to_string(), group: vec![], values: vec![] };
    Correlation { measure, limits, references: (0..3).map(reference).collect(), group_by: vec![], timespan: SPAN, reach: Reach::Site }
}

fn at_least(number: i64) -> Limits {
    Limits { lower: Some(Bound { at: Amount::from(number) * UNIT, inside: true }), ..Limits::default() }
}

fn at_most(number: i64) -> Limits {
    Limits { upper: Some(Bound { at: Amount::from(number) * UNIT, inside: true }), ..Limits::default() }
}

fn input(time: i64, seq: u64, rule: u8, value: i64) -> Input {
    Input { time: Timestamp(time), seq: Seq(seq), rule, value: Amount::from(value) * UNIT }
}

fn inputs(times: impl IntoIterator<Item = i64>) -> Vec<Input> {
    times.into_iter().zip(1..).map(|(time, seq)| input(time, seq, 0, 0)).collect()
}

fn key() -> GroupKey {
    GroupKey { site: SiteId::default(), values: vec![] }
}

/// What all reports of a key add up to.
#[derive(Debug, Default, PartialEq)]
struct Total {
    records: u64,
    span: Option<(i64, i64)>,
    /// Ends of matching windows.
    firings: Vec<i64>,
}

impl Total {
    fn add(&mut self, outcome: Outcome) {
        for report in outcome.reports {
            self.records += report.records;
            let (first, last) = self.span.unwrap_or((i64::MAX, i64::MIN));
            self.span = Some((first.min(report.first.0), last.max(report.last.0)));
        }
        self.firings.extend(outcome.firings.iter().map(|(_, firing)| firing.time.0));
    }
}

/// Feeds inputs in the given order; with `restart`, through a snapshot behind each.
fn total(correlation: &Correlation, inputs: &[Input], restart: bool) -> Total {
    let (mut state, mut total) = (State::default(), Total::default());
    for input in inputs {
        total.add(state.insert(correlation, &key(), *input, None, Timestamp(0), &mut |_| {}));
        if restart {
            let saved = serde_json::to_string(&state.snapshot()).unwrap();
            state = State::restore(serde_json::from_str(&saved).unwrap());
        }
    }
    total.add(state.settle(correlation, Timestamp(i64::MAX)));
    assert_eq!((state.overflowed, state.cells(), state.groups()), (0, 0, 0));
    total.firings.sort_unstable();
    total
}

//! Whatever the order of arrival within the time span, and however often a record comes: the result is that of the sorted
//! stream, each window looked at by itself.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The result by the definition.
fn naive(correlation: &Correlation, inputs: &[Input]) -> Total {
    let mut sorted = inputs.to_vec();
    sorted.sort_by_key(|input| (input.time, input.seq, input.rule));
    sorted.dedup_by_key(|input| input.seq);
    let mut total = Total::default();
    let mut hot = vec![false; sorted.len()];
    let mut next = 0;
    while next < sorted.len() {
        // Windows end with a record; those that more records could take back begin with one and do not overlap.
        let sliding = correlation.slides();
        let window: Vec<usize> = match sliding {
            true => (0..=next).filter(|n| sorted[*n].time.0 >= sorted[next].time.0 - SPAN).collect(),
            false => (next..sorted.len()).filter(|n| sorted[*n].time.0 <= sorted[next].time.0 + SPAN).collect(),
        };
        let records: Vec<&Input> = window.iter().map(|n| &sorted[*n]).collect();
        let taking_part: BTreeSet<usize> = match &correlation.measure {
            Measure::Order(orders) => {
                let chains = orders.iter().flat_map(|order| chained(order, &records));
                chains.map(|place| window[place]).collect()
            }
            _ if holds(correlation, &records) => window.iter().copied().collect(),
            _ => BTreeSet::new(),
        };
        if !taking_part.is_empty() {
            total.firings.push(sorted[*window.last().unwrap()].time.0);
        }
        taking_part.iter().for_each(|n| hot[*n] = true);
        next = if sliding { next + 1 } else { window.last().unwrap() + 1 };
    }
    let times: Vec<i64> = sorted.iter().zip(&hot).filter(|(_, hot)| **hot).map(|(input, _)| input.time.0).collect();
    total.records = times.len() as u64;
    total.span = times.first().copied().zip(times.last().copied());
    total
}

fn holds(correlation: &Correlation, window: &[&Input]) -> bool {
    let limits = &correlation.limits;
    let rules: BTreeSet<u8> = window.iter().map(|input| input.rule).collect();
    let mut values: Vec<i128> = window.iter().map(|input| input.value).collect();
    values.sort_unstable();
    let (count, sum) = (values.len(), values.iter().sum::<i128>());
    match &correlation.measure {
        Measure::Count => limits.hold_count(count as u64),
        Measure::Values => limits.hold_count(values.iter().collect::<BTreeSet<_>>().len() as u64),
        Measure::Sum => limits.hold(sum, 1),
        Measure::Average => limits.hold(sum, count as i128),
        Measure::Median => limits.hold(values[(count - 1) / 2] + values[count / 2], 2),
        // The first value with so many percent at or below it.
        Measure::Percentile(percent) => {
            let covers =
                |value: &&i128| values.iter().filter(|other| other <= value).count() as i128 * 100 * UNIT >= percent * count as i128;
            limits.hold(*values.iter().find(covers).unwrap(), 1)
        }
        Measure::Rules => limits.hold_count(rules.len() as u64),
        Measure::Formula(formula) => formula.eval(&mut |rule| rules.contains(&u8::try_from(rule).unwrap())),
        Measure::Order(_) => unreachable!(),
    }
}

/// The places that are part of a chain which ends with the last record.
fn chained(order: &[u8], window: &[&Input]) -> Vec<usize> {
    let mut reached: Vec<Vec<usize>> = Vec::new();
    for rule in order {
        let behind = |place: usize| reached.last().is_none_or(|before| before.iter().any(|other| *other < place));
        let found = (0..window.len()).filter(|place| window[*place].rule == *rule && behind(*place)).collect();
        reached.push(found);
    }
    let mut gate = vec![window.len() - 1];
    let mut parts = Vec::new();
    for (link, places) in reached.iter().enumerate().rev() {
        let last = link + 1 == reached.len();
        let fits = |place: &&usize| if last { gate.contains(place) } else { gate.iter().any(|next| *place < next) };
        gate = places.iter().filter(fits).copied().collect();
        parts.extend(gate.iter().copied());
    }
    if gate.is_empty() { vec![] } else { parts }
}

/// All that can be asked, with a number that is now and then met.
fn correlations(n: i64) -> Vec<Correlation> {
    let (one, two, three) = (Expr::Selection(0), Expr::Selection(1), Expr::Selection(2));
    let either = Expr::All(vec![one.clone(), Expr::Any(vec![two.clone(), three])]);
    let without = Expr::All(vec![one, Expr::Not(Box::new(two))]);
    let range = Limits { upper: at_most(n + 2).upper, ..at_least(n) };
    let not = Limits { except: Some(Amount::from(n) * UNIT), ..Limits::default() };
    let above = Limits { lower: Some(Bound { at: Amount::from(n) * UNIT + UNIT / 2, inside: false }), ..Limits::default() };
    let none = Limits::default();
    vec![
        correlation(Measure::Count, at_least(n)),
        correlation(Measure::Count, at_most(n)),
        correlation(Measure::Count, Limits { upper: at_most(n).upper, ..at_least(n) }),
        correlation(Measure::Count, range),
        correlation(Measure::Count, not),
        correlation(Measure::Values, at_least(n)),
        correlation(Measure::Values, at_most(n)),
        correlation(Measure::Values, range),
        correlation(Measure::Sum, at_least(3 * n)),
        correlation(Measure::Sum, above),
        correlation(Measure::Sum, at_most(n)),
        correlation(Measure::Average, above),
        correlation(Measure::Average, range),
        correlation(Measure::Median, at_least(n)),
        correlation(Measure::Median, above),
        correlation(Measure::Percentile(90 * UNIT), at_least(n)),
        correlation(Measure::Percentile(25 * UNIT), at_most(n)),
        correlation(Measure::Rules, at_least(3)),
        correlation(Measure::Rules, at_least(2)),
        correlation(Measure::Rules, at_most(2)),
        correlation(Measure::Formula(either), none),
        correlation(Measure::Formula(without), none),
        correlation(Measure::Order(vec![vec![0, 1, 2]]), none),
        correlation(Measure::Order(vec![vec![0, 1], vec![0, 2], vec![1, 2]]), none),
    ]
}

/// Events with (gap before, lateness, rule, value, again: how much later it comes once more), and the order in which they
/// arrive: none later than the span.
fn stream(events: usize, gap_max: i64, late_in: u32) -> impl Strategy<Value = Vec<Input>> {
    let event = (0..gap_max, 0..late_in, 0..=SPAN, 0..3u8, 0..5i64, 0..4u8, 0..=SPAN);
    proptest::collection::vec(event, 0..events).prop_map(move |events| {
        let mut time = 0;
        let mut arriving: Vec<(i64, Input)> = Vec::new();
        for ((gap, is_late, late, rule, value, again, later), seq) in events.into_iter().zip(1..) {
            // Now and then a pause that no window spans.
            time += if gap > 1 && gap == gap_max - 1 { 5 * SPAN } else { gap };
            let one = input(time, seq, rule, value);
            arriving.push((if is_late == 0 { time + late } else { time }, one));
            if again == 0 {
                arriving.push((time + later, one));
            }
        }
        arriving.sort_by_key(|(at, input)| (*at, input.seq));
        // A sequence that comes twice with nothing between is a frame with two records.
        let (mut newest, mut seen) = (0, BTreeSet::new());
        arriving.retain(|(_, input)| {
            let twice_at_once = !seen.insert(input.seq.0) && input.seq.0 >= newest;
            newest = newest.max(input.seq.0);
            !twice_at_once
        });
        arriving.into_iter().map(|(_, input)| input).collect()
    })
}

proptest! {
    /// With a restart behind each event as well.
    #[test]
    fn late_and_doubled_events_count_as_if_they_had_come_in_time_and_once(inputs in stream(40, 60, 1), n in 1..5i64) {
        for correlation in correlations(n) {
            let expected = naive(&correlation, &inputs);
            prop_assert_eq!(&total(&correlation, &inputs, false), &expected, "{:?}", &correlation);
            prop_assert_eq!(&total(&correlation, &inputs, true), &expected, "with restarts {:?}", &correlation);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// In windows that are too full to be looked at again for each late event.
    #[test]
    fn what_is_looked_at_later_is_not_forgotten(inputs in stream(700, 3, 4), n in 1..200i64) {
        for correlation in correlations(n) {
            prop_assert_eq!(&total(&correlation, &inputs, false), &naive(&correlation, &inputs), "{:?}", &correlation);
        }
    }
}

/// The reports one by one, and when each came; with a snapshot behind every so-manieth input.
fn told(correlation: &Correlation, inputs: &[Input], restart_each: usize) -> Vec<String> {
    let (mut state, mut told) = (State::default(), Vec::new());
    for (place, input) in inputs.iter().enumerate() {
        let outcome = state.insert(correlation, &key(), *input, None, Timestamp(0), &mut |_| {});
        told.extend((!outcome.reports.is_empty() || !outcome.firings.is_empty()).then(|| format!("{place} {outcome:?}")));
        if place % restart_each == 0 {
            let saved = serde_json::to_string(&state.snapshot()).unwrap();
            state = State::restore(serde_json::from_str(&saved).unwrap());
        }
    }
    told.push(format!("{:?}", state.settle(correlation, Timestamp(i64::MAX))));
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A restart changes no report, not even when it comes.
    #[test]
    fn a_restart_changes_no_report(inputs in stream(1_500, 2, 4), n in 1..100i64, each in 1..300usize) {
        for correlation in correlations(n) {
            prop_assert_eq!(told(&correlation, &inputs, each), told(&correlation, &inputs, usize::MAX), "{:?}", &correlation);
        }
    }
}

/// Two records of one frame are two, although all that is known of them is the same.
#[test]
fn the_records_of_one_frame_count_each() {
    let correlation = correlation(Measure::Count, at_least(3));
    let frame = [input(5, 7, 0, 0), input(5, 7, 0, 0), input(5, 7, 0, 0)];
    assert_eq!(total(&correlation, &frame, true).records, 3);
    let again = [&frame[..2], &[input(6, 8, 0, 0)], &frame[..2]].concat();
    assert_eq!(total(&correlation, &again, true).records, 3, "doubled once another came");
}

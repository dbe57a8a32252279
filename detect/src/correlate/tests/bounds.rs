//! Floods: what a group and a rule keep, what they say of it, and what they give up.

use super::super::era::GROUP_CELLS_MAX;
use super::super::state::GROUPS_MAX;
use super::*;
use crate::finding::EVIDENCE_MAX;

/// What is told of inputs that come in order, and how many cells there were at most.
fn flood(correlation: &Correlation, inputs: impl IntoIterator<Item = Input>) -> (u64, usize, u64) {
    let (mut state, mut told, mut most) = (State::default(), 0, 0);
    let records = |outcome: Outcome| outcome.reports.iter().map(|report| report.records).sum::<u64>();
    for input in inputs {
        told += records(state.insert(correlation, &key(), input, None, Timestamp(0), &mut |_| {}));
        most = most.max(state.cells());
    }
    told += records(state.settle(correlation, Timestamp(Timestamp::HOUR)));
    (told, most, state.overflowed)
}

#[test]
fn ten_thousand_lines_are_a_handful_of_reports() {
    let correlation = correlation(Measure::Count, at_least(10));
    let (mut state, mut reports) = (State::default(), Vec::new());
    for input in inputs((0..10_000).map(|n| n / 200)) {
        reports.extend(state.insert(&correlation, &key(), input, None, Timestamp(0), &mut |_| {}).reports);
    }
    reports.extend(state.settle(&correlation, Timestamp(Timestamp::MINUTE)).reports);
    let told: Vec<u64> = reports.iter().map(|report| report.records).collect();
    assert_eq!(told, [10, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 4880]);
    let last = reports.last().unwrap();
    assert_eq!((last.first.0, last.last.0, last.evidence.len()), (0, 49, EVIDENCE_MAX));
    assert_eq!((last.evidence[0], last.evidence[99]), (Seq(5121), Seq(10_000)));
}

/// The window that a late record completes is not the newest: looking at it again says what it measured.
#[test]
fn what_a_late_record_completes_is_told_with_its_measure() {
    let correlation = correlation(Measure::Count, at_least(3));
    let (mut state, mut reports) = (State::default(), Vec::new());
    for input in inputs([0, 1, 110, 20]) {
        reports.extend(state.insert(&correlation, &key(), input, None, Timestamp(0), &mut |_| {}).reports);
    }
    reports.extend(state.settle(&correlation, Timestamp(i64::MAX)).reports);
    let told: Vec<_> = reports.iter().map(|report| (report.records, report.last.0, report.reached)).collect();
    assert_eq!(told, [(3, 20, Some(Amount::from(3) * UNIT))]);
}

#[test]
fn an_old_file_beside_the_present_is_counted_by_itself() {
    let correlation = correlation(Measure::Count, at_least(3));
    let interleaved = inputs([1_000_000, 5_000, 1_000_010, 5_010, 5_020, 1_000_020]);
    let total = total(&correlation, &interleaved, false);
    assert_eq!((total.records, total.span), (6, Some((5_000, 1_000_020))));
}

#[test]
fn a_flood_of_groups_is_bounded_and_said() {
    let correlation = correlation(Measure::Count, at_least(2));
    let mut state = State::default();
    for (n, input) in inputs((0..GROUPS_MAX as i64 + 10).map(|_| 0)).into_iter().enumerate() {
        let key = GroupKey { values: vec![n.to_string()], ..key() };
        state.insert(&correlation, &key, input, None, Timestamp(0), &mut |_| {});
    }
    assert_eq!(state.overflowed, GROUPS_MAX as u64 / 4);
    assert!(state.groups() <= GROUPS_MAX && state.cells() == state.groups());
    let oldest = GroupKey { values: vec!["0".into()], ..key() };
    let before = state.groups();
    state.insert(&correlation, &oldest, input(0, 0, 0, 0), None, Timestamp(0), &mut |_| {});
    assert_eq!(state.groups(), before + 1, "the oldest had gone");
}

/// A hundred thousand records in one window: counted to the last, kept as a few thousand cells, nothing given up.
#[test]
fn a_flood_within_a_group_is_folded_and_counted_all_the_same() {
    let many = 100_000;
    let minute = |measure, limits| Correlation { timespan: Timestamp::MINUTE, ..correlation(measure, limits) };
    let tenth = Limits { upper: at_most(many).upper, ..at_least(many - 1) };
    let cases = [
        minute(Measure::Count, at_least(2)),
        minute(Measure::Count, at_least(many)),
        minute(Measure::Count, tenth),
        minute(Measure::Sum, at_least(2 * many)),
        minute(Measure::Average, Limits { upper: at_most(2).upper, ..at_least(2) }),
        minute(Measure::Median, Limits { upper: at_most(2).upper, ..at_least(2) }),
        minute(Measure::Percentile(99 * UNIT), Limits { upper: at_most(4).upper, ..at_least(4) }),
        minute(Measure::Values, at_least(5)),
        minute(Measure::Rules, at_least(3)),
    ];
    for correlation in cases {
        let records = (0..many).map(|n| input(n / 2, n as u64 + 1, (n % 3) as u8, n % 5));
        let (told, most, overflowed) = flood(&correlation, records);
        assert_eq!((told, overflowed), (many as u64, 0), "{correlation:?}");
        assert!(most <= GROUP_CELLS_MAX, "{most} cells of {correlation:?}");
    }
}

/// What says something else each time cannot be folded; what is given up is counted, what was told is not missed.
#[test]
fn what_cannot_be_folded_is_given_up_by_the_oldest() {
    let many = 3 * GROUP_CELLS_MAX as i64;
    let different = || (0..many).map(|n| input(n / 1_000, n as u64 + 1, 0, n));
    let (told, most, overflowed) = flood(&correlation(Measure::Values, at_least(10_000)), different());
    assert_eq!((told, overflowed), (many as u64, 0));
    assert!(most <= GROUP_CELLS_MAX);
    let (told, _, overflowed) = flood(&correlation(Measure::Values, at_most(10)), different());
    assert!(told == 0 && overflowed > 0);
}

/// Values of a wide range: the percentile is right to within the width of a step.
#[test]
fn a_folded_percentile_is_right_within_two_percent() {
    let value = |n: i64| 1_000 + (n * 7_919) % 1_000_003;
    let records = || (0..200_000).map(|n| input(n / 5_000, n as u64 + 1, 0, value(n)));
    let mut sorted: Vec<i64> = (0..200_000).map(value).collect();
    sorted.sort_unstable();
    for percent in [1, 50, 90, 99] {
        let exact = sorted[200_000 / 100 * percent as usize - 1];
        let measure = || Measure::Percentile(Amount::from(percent) * UNIT);
        let within = |low: i64, high: i64| Limits { upper: at_most(high).upper, ..at_least(low) };
        let (told, ..) = flood(&correlation(measure(), within(exact - exact / 50, exact + exact / 50)), records());
        assert_eq!(told, 200_000, "{percent} %");
        let (told, ..) = flood(&correlation(measure(), within(exact + exact / 20, i64::MAX / 2)), records());
        assert_eq!(told, 0, "{percent} %");
    }
}

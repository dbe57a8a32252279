//! Over all bodies: which there were and what of each took part, whatever the order of arrival, through restarts, and against
//! the plainest definition.

use std::collections::{BTreeMap, BTreeSet};

use ingest::body::BodyId;
use ingest::id::Ulid;
use proptest::prelude::*;

use super::*;

/// Three different bodies within the span.
fn three() -> Correlation {
    Correlation { reach: Reach::State, ..correlation(Measure::Values, at_least(3)) }
}

/// When, and at which body; a record's place is its sequence.
type Met = (i64, u128);

/// Body to (records, first, last), as all reports together tell it.
type Told = BTreeMap<u128, (u64, i64, i64)>;

fn told(arrivals: &[(usize, Met)], restart: bool) -> Told {
    let (correlation, mut state, mut told) = (three(), State::default(), Told::new());
    let mut add = |outcome: Outcome| {
        for report in outcome.reports {
            assert_eq!((report.body, report.shares.iter().map(|share| share.records).sum::<u64>()), (None, report.records));
            for share in report.shares {
                let (records, first, last) = told.entry(share.body.0.0).or_insert((0, i64::MAX, i64::MIN));
                *records += share.records;
                (*first, *last) = ((*first).min(share.first.0), (*last).max(share.last.0));
            }
        }
    };
    for (place, (time, body)) in arrivals {
        let key = correlation.group_of(vec!["203.0.113.9".into()], SiteId(Ulid(*body)), Some(BodyId(Ulid(*body)))).unwrap();
        let input = Input { time: Timestamp(*time), seq: Seq(*place as u64 + 1), rule: 0, value: *body as i128 };
        add(state.insert(&correlation, &key, input, Some(BodyId(Ulid(*body))), Timestamp(0), &mut |_| {}));
        if restart {
            let saved = serde_json::to_string(&state.snapshot()).unwrap();
            state = State::restore(serde_json::from_str(&saved).unwrap());
        }
    }
    assert!(state.groups() <= 1, "all bodies share one group");
    add(state.settle(&correlation, Timestamp(i64::MAX)));
    told
}

fn naive(met: &[Met]) -> Told {
    let mut sorted: Vec<&Met> = met.iter().collect();
    sorted.sort();
    let mut hot = BTreeSet::new();
    for end in 0..sorted.len() {
        let window: Vec<usize> = (0..=end).filter(|n| sorted[*n].0 >= sorted[end].0 - SPAN).collect();
        let bodies: BTreeSet<u128> = window.iter().map(|n| sorted[*n].1).collect();
        if bodies.len() >= 3 {
            hot.extend(window);
        }
    }
    let mut told = Told::new();
    for (time, body) in hot.into_iter().map(|n| *sorted[n]) {
        let (records, first, last) = told.entry(body).or_insert((0, time, time));
        *records += 1;
        (*first, *last) = ((*first).min(time), (*last).max(time));
    }
    told
}

#[test]
fn bodies_add_up_and_are_told_apart() {
    let check = |met: &[Met], expected: &str| {
        let arrivals: Vec<(usize, Met)> = met.iter().copied().enumerate().collect();
        let line = |(body, (records, first, last)): (&u128, &(u64, i64, i64))| format!("{body}: {records} ({first}-{last})");
        assert_eq!(told(&arrivals, false).iter().map(line).collect::<Vec<_>>().join(", "), expected);
    };
    check(&[(0, 1), (50, 2), (100, 3)], "1: 1 (0-0), 2: 1 (50-50), 3: 1 (100-100)");
    check(&[(0, 1), (50, 2), (60, 1), (70, 2)], "");
    check(&[(0, 1), (50, 2), (101, 3)], "");
    check(&[(0, 1), (50, 2), (90, 2), (100, 3), (150, 4)], "1: 1 (0-0), 2: 2 (50-90), 3: 1 (100-100), 4: 1 (150-150)");
    // Each more than the span behind the other: every stretch by itself, and bodies are numbered anew.
    check(
        &[(0, 1), (1, 2), (2, 3), (1_000, 4), (1_001, 5), (1_002, 1)],
        "1: 2 (0-1002), 2: 1 (1-1), 3: 1 (2-2), 4: 1 (1000-1000), 5: 1 (1001-1001)",
    );
}

#[test]
fn folded_records_keep_their_bodies() {
    let met: Vec<Met> = (0..60_000).map(|n| (n / 1_000, (n % 3) as u128)).collect();
    let arrivals: Vec<(usize, Met)> = met.iter().copied().enumerate().collect();
    let records: Vec<u64> = told(&arrivals, false).values().map(|(records, _, _)| *records).collect();
    assert_eq!(records, [20_000; 3]);
}

#[test]
fn what_cannot_be_the_same_takes_no_part() {
    let group =
        |value: &str, body: Option<u128>| three().group_of(vec![value.into()], SiteId(Ulid(7)), body.map(|body| BodyId(Ulid(body))));
    assert_eq!(group("203.0.113.9", Some(1)).map(|key| key.site), Some(SITE_STATE));
    assert_eq!(group("203.0.113.9", None), None, "of no body");
    assert_eq!(group("10.0.0.9", Some(1)), None, "another machine in every house");
}

proptest! {
    #[test]
    fn the_order_of_arrival_changes_nothing(
        steps in proptest::collection::vec((0..60i64, 0..5u128, 0..=SPAN), 0..40),
        restart in any::<bool>(),
    ) {
        let (mut time, mut met, mut order) = (0, Vec::new(), Vec::new());
        for (step, body, delay) in steps {
            time += step;
            order.push((time + delay, met.len()));
            met.push((time, body));
        }
        order.sort_unstable();
        let arrivals: Vec<(usize, Met)> = order.iter().map(|(_, place)| (*place, met[*place])).collect();
        prop_assert_eq!(told(&arrivals, restart), naive(&met));
        // And all of it once more, as a journal that is read again gives it.
        let again: Vec<(usize, Met)> = arrivals.iter().flat_map(|arrival| [*arrival, *arrival]).collect();
        let doubled = told(&again, false);
        prop_assert!(doubled.keys().eq(naive(&met).keys()), "{doubled:?}");
    }
}

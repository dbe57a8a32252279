//! What of a figure may be shown to the bodies' neighbours, such as the steering group's municipal members: nothing
//! from which one could tell whose case it was. Pure; who is a neighbour is `dashboard::access`'s to say.

use std::collections::HashMap;

use super::{KpiRow, Period};

/// With fewer bodies behind it, those who know the region could guess whose incident it was (DOMAIN.md).
pub const BODIES_MIN: usize = 5;
/// A class of fewer cases is put together with its neighbour: one or two cases are nearly a name.
pub const CLASS_MIN: u64 = 3;

/// Whether a figure over these rows gives no body away: none at all, or at least five bodies of which none holds more
/// than half of the cases.
pub fn publishable(rows: &[KpiRow]) -> bool {
    let mut counts: HashMap<_, usize> = HashMap::new();
    for body in rows.iter().filter_map(|row| row.body) {
        *counts.entry(body).or_default() += 1;
    }
    rows.is_empty() || (counts.len() >= BODIES_MIN && counts.values().all(|count| count * 2 <= rows.len()))
}

/// Whether neighbours may ask for this period: only fixed ones, so that no two that overlap differ by a single case.
/// A quarter that may not be shown can still be had from its half-year and its sibling: see `Period::sibling`.
pub fn fixed(period: &Period) -> bool {
    matches!(period.length(), 'H' | 'Q')
}

/// How many bodies stand behind the rows.
pub fn bodies(rows: &[KpiRow]) -> usize {
    rows.iter().filter_map(|row| row.body).collect::<std::collections::HashSet<_>>().len()
}

/// Puts neighbouring classes of an ordered scale together until none holds one or two cases. Empty classes stay: nobody
/// is in them. Each result is the range of classes that it is made of.
pub fn merged(counts: &[u64]) -> Vec<std::ops::RangeInclusive<usize>> {
    let sum = |range: &std::ops::RangeInclusive<usize>| counts.get(range.clone()).unwrap_or_default().iter().sum::<u64>();
    let mut groups: Vec<std::ops::RangeInclusive<usize>> = Vec::new();
    for place in 0..counts.len() {
        match groups.last_mut() {
            Some(last) if (1..CLASS_MIN).contains(&sum(last)) => *last = *last.start()..=place,
            _ => groups.push(place..=place),
        }
    }
    // What is left over at the end goes to the one before, and so on where that one is empty.
    while let Some(last) = groups.pop() {
        if !(1..CLASS_MIN).contains(&sum(&last)) || groups.is_empty() {
            groups.push(last);
            break;
        }
        if let Some(before) = groups.last_mut() {
            *before = *before.start()..=*last.end();
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use ingest::body::BodyId;
    use ingest::time::Timestamp;
    use proptest::prelude::*;

    use super::super::period_parse;
    use super::*;

    fn rows(bodies: &[u128]) -> Vec<KpiRow> {
        let row = |n: &u128| KpiRow {
            subject: "s".into(),
            body: Some(BodyId(ingest::id::Ulid(*n))),
            from: Timestamp(0),
            to: None,
            value: Some(1.0),
            rated: true,
            note: "",
        };
        bodies.iter().map(row).collect()
    }

    #[test]
    fn five_bodies_and_none_with_more_than_half() {
        for (bodies, expected) in [
            (&[][..], true),
            (&[1], false),
            (&[1, 2, 3, 4], false),
            (&[1, 2, 3, 4, 5], true),
            (&[1, 1, 1, 1, 2, 3, 4, 5], true),
            (&[1, 1, 1, 1, 1, 2, 3, 4, 5], false),
        ] {
            assert_eq!(publishable(&rows(bodies)), expected, "{bodies:?}");
        }
    }

    #[test]
    fn only_half_years_and_quarters_are_fixed() {
        for (key, expected) in [("2026-H1", true), ("2026-Q3", true), ("2026-11", false)] {
            assert_eq!(fixed(&period_parse(key).unwrap()), expected);
        }
    }

    #[test]
    fn small_classes_join_their_neighbours() {
        for (counts, expected) in [
            (&[5, 4, 3][..], vec![0..=0, 1..=1, 2..=2]),
            (&[1, 4, 3], vec![0..=1, 2..=2]),
            (&[4, 2], vec![0..=1]),
            (&[4, 0, 2], vec![0..=2]),
            (&[0, 0, 9], vec![0..=0, 1..=1, 2..=2]),
            (&[1], vec![0..=0]),
        ] {
            assert_eq!(merged(counts), expected, "{counts:?}");
        }
    }

    proptest! {
        #[test]
        fn no_class_of_one_or_two_is_left_and_none_is_lost(counts in proptest::collection::vec(0u64..6, 0..12)) {
            let groups = merged(&counts);
            let joined: Vec<usize> = groups.iter().cloned().flatten().collect();
            prop_assert_eq!(joined, (0..counts.len()).collect::<Vec<_>>());
            let total: u64 = counts.iter().sum();
            for group in groups {
                let sum: u64 = counts[group].iter().sum();
                prop_assert!(total < CLASS_MIN || sum == 0 || sum >= CLASS_MIN, "{counts:?}");
            }
        }
    }
}

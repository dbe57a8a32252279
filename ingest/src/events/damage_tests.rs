//! Damage of every kind to every kind of file, found at the start or while it runs: the rest is searchable, the damage is named,
//! the intake goes on, and `rebuild` mends it from the journal.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use expect_test::{Expect, expect};

use super::tests::{DAY0, batch, frame, open, request, seqs};
use super::upkeep_tests::{journal, ticking};
use super::*;
use crate::pipeline::Consumer;
use crate::query::Pipeline;

const DAY: &str = "standard/2024-10-05";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    Deleted,
    Empty,
    Cut,
    /// One bit in the middle, or as near to it as it matters.
    Flipped,
    /// Other bytes, all of them.
    Overwritten,
}

const DAMAGES: [Damage; 5] = [Damage::Deleted, Damage::Empty, Damage::Cut, Damage::Flipped, Damage::Overwritten];

impl Damage {
    /// As a new file in the place of the old one, which may be mapped.
    fn be_done(self, path: &Path) {
        let mut bytes = std::fs::read(path).unwrap();
        std::fs::remove_file(path).unwrap();
        let middle = bytes.len() / 2;
        match self {
            Self::Deleted => return,
            Self::Empty => bytes.clear(),
            Self::Cut => bytes.truncate(middle),
            Self::Flipped => {
                // The names in a list are drawn by chance: there a sign that holds it together.
                let sign = bytes.starts_with(b"[") || bytes.starts_with(b"{");
                let at = (middle..bytes.len()).find(|at| !sign || bytes[*at] == b'"').unwrap_or(middle);
                bytes[at] ^= 0x10;
            }
            Self::Overwritten => bytes.iter_mut().for_each(|byte| *byte = !*byte),
        }
        std::fs::write(path, bytes).unwrap();
    }
}

/// Three days with four events each; the fourth's line comes late.
fn filled(dir: &Path) -> Vec<Frame> {
    let (_, mut consumer) = open(dir);
    let line = |n: u64| format!("t={}\tuser.name=u{}\thello n{n}", DAY0 + (n as i64 % 3) * Timestamp::DAY + n as i64, n % 4);
    let frames: Vec<Frame> = (1..=12).map(|n| frame(n, 1, &line(n))).collect();
    consumer.apply(&batch(&frames)).unwrap();
    consumer.flush().unwrap();
    frames
}

/// Of the damaged day: 1, 4, 7 and 10.
fn of_day() -> BTreeSet<u64> {
    (1..=12).filter(|n| n % 3 == 1).collect()
}

/// What a whole day is asked: its lines, its words, a column.
fn found(store: &EventStore) -> (BTreeSet<u64>, bool, Vec<String>) {
    let (mut all, mut partial, mut damaged) = (BTreeSet::new(), false, BTreeSet::new());
    for query in ["*", "hello", "user.name:*"] {
        let result = store.search(&request(query)).unwrap();
        let hits: BTreeSet<u64> = seqs(&result.hits).into_iter().collect();
        assert_eq!(hits.len(), result.hits.len(), "{query}: twice");
        // What a damaged day still gives is true; the others give all.
        assert!((1..=12).filter(|n| !of_day().contains(n)).all(|n| hits.contains(&n)), "{query}: the rest is searchable");
        partial |= result.partial;
        damaged.extend(result.damaged);
        all.extend(hits);
    }
    (all, partial, damaged.into_iter().collect())
}

/// Which damage to files with such an ending is noticed by what: by the start, by a search, by `verify`.
fn check(ending: &str, expected: Expect) {
    let mut table = String::new();
    for damage in DAMAGES {
        for running in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let mut frames = filled(dir.path());
            let folder = dir.path().join(DAY);
            let break_it = || {
                let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
                let path = files.into_iter().find(|path| path.to_str().unwrap().ends_with(ending)).unwrap_or_else(|| panic!("{ending}"));
                damage.be_done(&path);
            };
            if !running {
                break_it();
            }
            let (store, mut consumer) = open(dir.path());
            if running {
                break_it();
                store.look_for_missing();
            }
            let at_start = !store.stats().damaged.is_empty();
            let (hits, partial, damaged) = found(&store);
            let verified = !store.verify(DAY).map_or(true, |faults| faults.is_empty());
            let label = format!("{ending} {damage:?} {running}");
            // Nothing is silently missing: all is there, or it is said.
            assert!(hits.len() == 12 || !damaged.is_empty() && partial | at_start, "{label}: {hits:?} {damaged:?} {partial}");
            if !damaged.is_empty() {
                assert_eq!(
                    (damaged.as_slice(), store.stats().damaged.as_slice()),
                    ([DAY.to_owned()].as_slice(), [DAY.to_owned()].as_slice())
                );
                assert!(store.partitions().iter().any(|part| part.name == DAY && part.damaged), "{label}");
            }
            // The intake goes on, for this day too.
            let late = frame(13, 1, &format!("t={}\tuser.name=u1\thello late", DAY0 + Timestamp::DAY));
            consumer.apply(&batch(std::slice::from_ref(&late))).unwrap();
            frames.push(late);
            consumer.flush().unwrap();
            let rebuilt = ticking(&mut consumer, || store.rebuild(DAY, &mut journal(&frames), &|_| true));
            rebuilt.unwrap_or_else(|error| panic!("{label}: {error}"));
            let whole = (1..=13).collect::<BTreeSet<u64>>();
            assert_eq!(found(&store), (whole.clone(), false, vec![]), "{label}");
            assert_eq!(store.verify(DAY).unwrap(), [""; 0], "{label}");
            drop((store, consumer));
            let (store, mut consumer) = open(dir.path());
            consumer.apply(&batch(&frames)).unwrap();
            assert_eq!(found(&store).0, whole, "{label}: after a start");
            let by = [
                (at_start, if running { "a look" } else { "the start" }),
                (!damaged.is_empty() && !at_start, "a search"),
                (verified, "verify"),
            ];
            let by: Vec<&str> = by.into_iter().filter(|(so, _)| *so).map(|(_, by)| by).collect();
            let when = if running { "while it runs" } else { "before a start" };
            table += &format!("{damage:?} {when}: {}\n", if by.is_empty() { "harmless".into() } else { by.join(", ") });
        }
    }
    expected.assert_eq(&table);
}

#[test]
fn a_damaged_store_of_lines() {
    check(
        ".store",
        expect![[r#"
        Deleted before a start: the start, verify
        Deleted while it runs: a search, verify
        Empty before a start: the start, verify
        Empty while it runs: a search, verify
        Cut before a start: the start, verify
        Cut while it runs: a search, verify
        Flipped before a start: a search, verify
        Flipped while it runs: a search, verify
        Overwritten before a start: a search, verify
        Overwritten while it runs: a search, verify
    "#]],
    );
}

#[test]
fn a_damaged_dictionary() {
    check(
        ".term",
        expect![[r#"
        Deleted before a start: the start, verify
        Deleted while it runs: a search, verify
        Empty before a start: the start, verify
        Empty while it runs: a search, verify
        Cut before a start: the start, verify
        Cut while it runs: a search, verify
        Flipped before a start: verify
        Flipped while it runs: verify
        Overwritten before a start: a search, verify
        Overwritten while it runs: a search, verify
    "#]],
    );
}

#[test]
fn damaged_postings() {
    check(
        ".idx",
        expect![[r#"
            Deleted before a start: the start, verify
            Deleted while it runs: a search, verify
            Empty before a start: the start, verify
            Empty while it runs: a search, verify
            Cut before a start: the start, verify
            Cut while it runs: a search, verify
            Flipped before a start: a search, verify
            Flipped while it runs: a search, verify
            Overwritten before a start: a search, verify
            Overwritten while it runs: a search, verify
        "#]],
    );
}

#[test]
fn damaged_columns() {
    check(
        ".fast",
        expect![[r#"
        Deleted before a start: the start, verify
        Deleted while it runs: a search, verify
        Empty before a start: the start, verify
        Empty while it runs: a search, verify
        Cut before a start: the start, verify
        Cut while it runs: a search, verify
        Flipped before a start: verify
        Flipped while it runs: verify
        Overwritten before a start: a search, verify
        Overwritten while it runs: a search, verify
    "#]],
    );
}

#[test]
fn a_damaged_meta_json() {
    check(
        "/meta.json",
        expect![[r#"
        Deleted before a start: the start, verify
        Deleted while it runs: a look, verify
        Empty before a start: the start, verify
        Empty while it runs: a search, verify
        Cut before a start: the start, verify
        Cut while it runs: a search, verify
        Flipped before a start: the start, verify
        Flipped while it runs: a search, verify
        Overwritten before a start: the start, verify
        Overwritten while it runs: a search, verify
    "#]],
    );
}

#[test]
fn a_damaged_list_of_files() {
    check(
        ".managed.json",
        expect![[r#"
            Deleted before a start: harmless
            Deleted while it runs: harmless
            Empty before a start: a search, verify
            Empty while it runs: a search, verify
            Cut before a start: a search, verify
            Cut while it runs: a search, verify
            Flipped before a start: a search, verify
            Flipped while it runs: a search, verify
            Overwritten before a start: a search, verify
            Overwritten while it runs: a search, verify
        "#]],
    );
}

#[test]
fn a_damaged_summary() {
    check(
        "/summary.json",
        expect![[r#"
            Deleted before a start: harmless
            Deleted while it runs: harmless
            Empty before a start: harmless
            Empty while it runs: harmless
            Cut before a start: harmless
            Cut while it runs: harmless
            Flipped before a start: harmless
            Flipped while it runs: harmless
            Overwritten before a start: harmless
            Overwritten while it runs: harmless
        "#]],
    );
}

/// The day whose events wait in memory loses its folder: the others are committed all the same, and the intake goes on.
#[test]
fn a_day_that_is_deleted_while_it_takes_in_events_does_not_hold_up_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut frames = filled(dir.path());
    let (store, mut consumer) = open(dir.path());
    let come = |seqs: std::ops::RangeInclusive<u64>| -> Vec<Frame> {
        seqs.map(|n| frame(n, 1, &format!("t={}\tuser.name=u1\thello n{n}", DAY0 + (n as i64 % 3) * Timestamp::DAY))).collect()
    };
    let waiting = come(13..=18);
    consumer.apply(&batch(&waiting)).unwrap();
    frames.extend(waiting);
    std::fs::remove_dir_all(dir.path().join(DAY)).unwrap();
    consumer.flush().unwrap();
    assert_eq!(consumer.cursor(), Seq(18));
    assert_eq!(store.stats().damaged, [DAY]);
    let rest: BTreeSet<u64> = (1..=18).filter(|n| n % 3 != 1).collect();
    assert_eq!(found(&store).0, rest);
    let more = come(19..=20);
    consumer.apply(&batch(&more)).unwrap();
    frames.extend(more);
    ticking(&mut consumer, || store.rebuild(DAY, &mut journal(&frames), &|_| true)).unwrap();
    assert_eq!(found(&store), ((1..=20).collect(), false, vec![]));
    consumer.flush().unwrap();
    drop((store, consumer));
    let (store, mut consumer) = open(dir.path());
    consumer.apply(&batch(&frames)).unwrap();
    assert_eq!(found(&store), ((1..=20).collect(), false, vec![]));
}

#[test]
fn damage_elsewhere_is_not_told_and_no_damage_hides_an_early_end() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    std::fs::remove_dir_all(dir.path().join(DAY)).unwrap();
    let (store, _consumer) = open(dir.path());
    assert_eq!(store.stats().damaged, [DAY]);
    let day = partition::day_begin(partition::day_of(DAY)).unwrap();
    for (from, to, damaged) in [
        (None, None, true),
        (Some(day), Some(day.plus(Timestamp::DAY)), true),
        (Some(day.plus(Timestamp::DAY - 1)), None, true),
        (None, Some(day.plus(1)), true),
        (Some(day.plus(Timestamp::DAY)), None, false),
        (None, Some(day), false),
    ] {
        let request = SearchRequest { from, to, ..request("*") };
        let expected: Vec<String> = damaged.then(|| DAY.to_owned()).into_iter().collect();
        let found = store.search(&request).unwrap();
        assert_eq!((&found.damaged, found.ended_early), (&expected, false), "{from:?} {to:?}");
        let whole = store.export(&request, Order::NewestFirst, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((&whole.damaged, whole.ended_early), (&expected, false), "{from:?} {to:?}");
    }
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let broken_off = store.export(&request("*"), order, &mut |_| ControlFlow::Break(())).unwrap();
        assert!(broken_off.ended_early && !broken_off.damaged.is_empty());
    }
    let hurried = SearchRequest { time_max: std::time::Duration::ZERO, ..request("*") };
    assert!(store.search(&hurried).unwrap().ended_early);
    let pipeline = Pipeline::parse("* | count by user.name", day).unwrap();
    let request = AggregateRequest::new(pipeline, crate::scope::Scope::All, Arc::default());
    let hurried = AggregateRequest { time_max: std::time::Duration::ZERO, ..request.clone() };
    assert_eq!((store.aggregate(&request).unwrap().ended_early, store.aggregate(&hurried).unwrap().ended_early), (false, true));
}

//! What is forgotten is in no file, comes back by no way, and its record tells so without its content.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use expect_test::expect;

use super::tests::{DAY0, batch, frame, open, request, seqs, sites};
use super::upkeep_tests::{all, hold, journal, ticking};
use super::*;
use crate::pipeline::Consumer;

/// Twelve events of three days; every third is of a person, whose name stands nowhere else. Two segments each day, and the last
/// two events in memory.
fn filled(dir: &Path) -> (Arc<EventStore>, EventConsumer, Vec<Frame>) {
    let (store, mut consumer) = open(dir);
    let person = |n: u64| if n.is_multiple_of(3) { "e.muster" } else { "other" };
    let line = |n: u64| format!("t={}\tuser.name={}\thello n{n}", DAY0 + (n as i64 % 3) * Timestamp::DAY + n as i64, person(n / 2));
    let frames: Vec<Frame> = (1..=12).map(|n| frame(n, 1, &line(n))).collect();
    for (n, part) in [&frames[..5], &frames[5..10], &frames[10..]].into_iter().enumerate() {
        consumer.apply(&batch(part)).unwrap();
        if n < 2 {
            consumer.flush().unwrap();
        }
    }
    (store, consumer, frames)
}

/// 1, 6, 7 and 12.
fn of_person() -> BTreeSet<u64> {
    (1..=12).filter(|n| (n / 2u64).is_multiple_of(3)).collect()
}

fn others() -> Vec<u64> {
    (1..=12).filter(|n| !of_person().contains(n)).collect()
}

fn order(id: &str) -> ForgetOrder {
    ForgetOrder { id: id.into(), query: Query::parse_fixed("user.name:e.muster").unwrap(), from: None, to: None, journal_days: 30 }
}

/// Whether any file below a folder has these bytes; the stored lines are packed, so terms and columns are what tells.
fn somewhere(dir: &Path, wanted: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).any(|path| match path.is_dir() {
        true => somewhere(&path, wanted),
        false => std::fs::read(&path).unwrap().windows(wanted.len()).any(|part| part == wanted),
    })
}

#[test]
fn what_is_forgotten_is_in_no_file_and_its_record_says_how_much() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer, frames) = filled(dir.path());
    // One of the days is sealed already.
    assert!(store.seal("standard/2024-10-05", Timestamp(DAY0), &|| false).unwrap());
    assert!(somewhere(dir.path(), b"e.muster"), "else the look tells nothing");
    let record = ticking(&mut consumer, || store.forget(&order("1"), &[], &sites(), &|| false)).unwrap();
    assert_eq!(all(&store), others());
    assert!(!somewhere(dir.path(), b"e.muster"));
    assert_eq!(store.forgotten_verify([("1", &record)]), [""; 0]);
    expect![[r#"
        {
          "events": 4,
          "days": {
            "standard/2024-10-04": 2,
            "standard/2024-10-05": 2
          },
          "digest": "…",
          "list_digest": "…",
          "until": 12,
          "journal_until": 1730851200000,
          "aside": []
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&record).unwrap().replace(&record.digest, "…").replace(&record.list_digest, "…"));
    // Asked again it says the same.
    assert_eq!(store.forget(&order("1"), &[], &sites(), &|| false).unwrap(), record);
    let nothing = ticking(&mut consumer, || store.forget(&order("2"), &[], &sites(), &|| false)).unwrap();
    assert_eq!((nothing.events, nothing.journal_until), (0, None));
    drop((store, consumer));
    // It comes back neither by a lost cursor and the journal, nor by a rebuild, nor by a lost day.
    std::fs::remove_file(dir.path().join("cursor")).unwrap();
    std::fs::remove_dir_all(dir.path().join("standard/2024-10-04")).unwrap();
    let (store, mut consumer) = open(dir.path());
    consumer.apply(&batch(&frames)).unwrap();
    for day in ["standard/2024-10-04", "standard/2024-10-05"] {
        ticking(&mut consumer, || store.rebuild(day, &mut journal(&frames), &|_| true)).unwrap();
    }
    consumer.flush().unwrap();
    assert_eq!(all(&store), others());
    assert_eq!(store.forgotten_verify([("1", &record)]), [""; 0]);
    assert_eq!(store.search(&request("user.name:e.muster")).unwrap().total, 0);
}

#[test]
fn what_is_held_is_not_forgotten_and_then_nothing_is() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer, _) = filled(dir.path());
    let by_number = Hold { query: None, seqs: BTreeSet::from([Seq(7)]), ..hold("x") };
    for holds in [vec![hold("n7")], vec![by_number], vec![hold("nobody"), hold("hello")]] {
        let refused = ticking(&mut consumer, || store.forget(&order("1"), &holds, &sites(), &|| false)).unwrap_err();
        assert!(matches!(&refused, ForgetError::Held { .. }), "{refused}");
        assert_eq!(all(&store), (1..=12).collect::<Vec<_>>());
    }
    // A hold of others does not keep it; a day's rest under hold does.
    let now = Timestamp(DAY0 + 91 * Timestamp::DAY);
    let due = store.retention_due(now).remove(0);
    ticking(&mut consumer, || store.retire(&due, &|| Ok(vec![hold("n6")]), &sites(), now, &|| false)).unwrap();
    let refused = ticking(&mut consumer, || store.forget(&order("1"), &[], &sites(), &|| false)).unwrap_err();
    expect!["1 of the events are under legal hold (hold/standard.2024-10-04): release the hold first (`wartburg store hold ls`)"]
        .assert_eq(&refused.to_string());
    let later = ForgetOrder { from: Some(Timestamp(DAY0 + Timestamp::DAY)), ..order("2") };
    let record = ticking(&mut consumer, || store.forget(&later, &[hold("n6"), hold("n8")], &sites(), &|| false)).unwrap();
    assert_eq!(record.events, 2);
}

#[test]
fn a_damaged_day_must_be_mended_first() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer, _) = filled(dir.path());
    store.snapshot().partitions["standard/2024-10-06"].part.is_broken();
    let refused = ticking(&mut consumer, || store.forget(&order("1"), &[], &sites(), &|| false)).unwrap_err();
    assert!(matches!(&refused, ForgetError::Damaged(day) if day == "standard/2024-10-06"), "{refused}");
    let before = ForgetOrder { to: Some(Timestamp(DAY0 + 2 * Timestamp::DAY)), ..order("2") };
    assert_eq!(ticking(&mut consumer, || store.forget(&before, &[], &sites(), &|| false)).unwrap().events, 4);
}

/// Every file below a folder with its bytes; `None` where one went meanwhile.
fn tree(dir: &Path) -> Option<BTreeMap<PathBuf, Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).ok()? {
        let path = entry.ok()?.path();
        if path.is_dir() {
            all.extend(tree(&path)?);
        } else {
            let bytes = std::fs::read(&path).ok()?;
            all.insert(path, bytes);
        }
    }
    Some(all)
}

/// A copy at one moment, as a program that ended then leaves it. Here a merge that nobody waits for goes on beside it.
fn as_left(dir: &Path) -> tempfile::TempDir {
    let left = std::iter::repeat_with(|| (tree(dir), tree(dir))).find_map(|(one, same)| one.filter(|one| Some(one) == same.as_ref()));
    let copy = tempfile::tempdir().unwrap();
    for (path, bytes) in left.unwrap() {
        let path = copy.path().join(path.strip_prefix(dir).unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    copy
}

/// The program ends after each of the questions whether it should, and goes on after a start.
#[test]
fn who_is_stopped_anywhere_goes_on_and_says_the_same() {
    let mut wanted = None;
    for stops in 0..40 {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut consumer, frames) = filled(dir.path());
        consumer.flush().unwrap();
        let asked = std::sync::atomic::AtomicU32::new(0);
        let stop = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= stops;
        let first = ticking(&mut consumer, || store.forget(&order("1"), &[], &sites(), &stop));
        let over = first.is_ok();
        drop((store, consumer));
        let dir = as_left(dir.path());
        let (store, mut consumer) = open(dir.path());
        consumer.apply(&batch(&frames)).unwrap();
        let record = ticking(&mut consumer, || store.forget(&order("1"), &[], &sites(), &|| false)).unwrap();
        assert_eq!(&record, wanted.get_or_insert(record.clone()), "{stops}");
        assert_eq!(all(&store), others(), "{stops}");
        assert!(!somewhere(dir.path(), b"e.muster"), "{stops}");
        if over {
            assert!(stops > 4, "it was stopped here and there");
            return;
        }
    }
    panic!("it never came to its end");
}

#[test]
fn a_list_that_is_lost_or_changed_is_noticed_and_nothing_is_made_anew_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer, frames) = filled(dir.path());
    let record = ticking(&mut consumer, || store.forget(&order("1"), &[], &sites(), &|| false)).unwrap();
    drop((store, consumer));
    let file = dir.path().join(".forgotten/1.json");
    let text = std::fs::read_to_string(&file).unwrap();
    for damage in ["gone", "cut", "changed"] {
        match damage {
            "gone" => std::fs::remove_file(&file).unwrap(),
            "cut" => std::fs::write(&file, &text[..text.len() / 2]).unwrap(),
            _ => std::fs::write(&file, text.replace("[1,6,7,12]", "[1,6,7]")).unwrap(),
        }
        let (store, mut consumer) = open(dir.path());
        assert_eq!(store.forgotten_verify([("1", &record)]).len(), 1, "{damage}");
        if damage != "gone" {
            let refused = ticking(&mut consumer, || store.rebuild("standard/2024-10-04", &mut journal(&frames), &|_| true));
            assert!(refused.is_err(), "{damage}");
        }
        std::fs::write(&file, &text).unwrap();
    }
    let (store, _consumer) = open(dir.path());
    assert_eq!(store.forgotten_verify([("1", &record)]), [""; 0]);
    assert_eq!(seqs(&store.by_seq(&[Seq(1), Seq(2)], &Scope::All, &sites())), [2]);
}

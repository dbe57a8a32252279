//! What becomes of partitions in the course of their life: opened when asked, sealed, mended, gone, held. The stores are real
//! and small; the consumer stands still between two calls, so whoever asks it for a change has its tick on another thread.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use super::tests::{DAY0, batch, frame, open, redecode, request, seqs};
use super::*;
use crate::frame::Frame;
use crate::pipeline::{Batch, Consumer};
use crate::time::Timestamp;

/// `days` days with `each` events, each day committed in two segments.
fn filled(dir: &Path, days: u64, each: u64) -> Vec<Frame> {
    let (_, mut consumer) = open(dir);
    let line = |n: u64| format!("t={}\thello n{n}", DAY0 + (n % days) as i64 * Timestamp::DAY + n as i64);
    let frames: Vec<Frame> = (0..days * each).map(|n| frame(n + 1, 1, &line(n))).collect();
    let (first, second) = frames.split_at(frames.len() / 2);
    for part in [first, second] {
        consumer.apply(&batch(part)).unwrap();
        consumer.flush().unwrap();
    }
    frames
}

/// Does `work` while the consumer ticks, as it does in the pipeline.
pub(super) fn ticking<T: Send>(consumer: &mut EventConsumer, work: impl FnOnce() -> T + Send) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let result = work();
            done.store(true, Ordering::Release);
            result
        });
        while !done.load(Ordering::Acquire) && !worker.is_finished() {
            consumer.tick(Timestamp(0)).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        worker.join().unwrap()
    })
}

/// All hits, newest first.
pub(super) fn all(store: &EventStore) -> Vec<u64> {
    let mut found = seqs(&store.search(&SearchRequest { limit: LIMIT_MAX, ..request("hello") }).unwrap().hits);
    found.sort_unstable();
    found
}

pub(super) fn journal(
    frames: &[Frame],
) -> impl FnMut(Option<Seq>) -> Result<Option<Batch>, Box<dyn std::error::Error + Send + Sync>> + Send + '_ {
    let mut blocks = frames.chunks(7);
    move |behind| {
        if let Some(behind) = behind {
            blocks = frames[behind.0 as usize..].chunks(7);
        }
        Ok(blocks.next().map(batch))
    }
}

#[test]
fn a_start_opens_nothing_and_a_search_only_what_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 4, 5);
    let (store, _consumer) = open(dir.path());
    assert_eq!(store.stats().documents, 20);
    assert_eq!(store.stats().newest, Some(Timestamp(DAY0 + 3 * Timestamp::DAY + 19)));
    assert!(store.shelf.open_now().is_empty());
    let day = |n: i64| Some(Timestamp(DAY0 + n * Timestamp::DAY));
    let result = store.search(&SearchRequest { from: day(2), to: day(3), ..request("hello") }).unwrap();
    assert_eq!(result.total, 5);
    assert_eq!(Vec::from_iter(store.shelf.open_now()), ["standard/2024-10-06"]);
    // The newest page needs the newest day alone.
    let (store, _consumer) = open(dir.path());
    let page = SearchRequest { limit: 2, summary: false, ..request("hello") };
    assert_eq!(seqs(&store.search(&page).unwrap().hits), [20, 16]);
    assert_eq!(Vec::from_iter(store.shelf.open_now()), ["standard/2024-10-07"]);
    assert_eq!(seqs(&store.by_seq(&[Seq(1)], &Scope::All, &super::tests::sites())), [1]);
}

#[test]
fn a_lost_summary_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3, 4);
    let summary = dir.path().join("standard/2024-10-05/summary.json");
    let before = std::fs::read(&summary).unwrap();
    for damage in [None, Some(&b"{"[..]), Some(&b""[..])] {
        match damage {
            None => std::fs::remove_file(&summary).unwrap(),
            Some(bytes) => std::fs::write(&summary, bytes).unwrap(),
        }
        let (store, _consumer) = open(dir.path());
        assert_eq!(store.stats().documents, 12);
        assert_eq!(std::fs::read(&summary).unwrap(), before);
    }
}

#[test]
fn a_day_is_sealed_and_a_late_event_opens_it_again() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3, 4);
    let (store, mut consumer) = open(dir.path());
    let now = |days: i64| Timestamp(DAY0 + days * Timestamp::DAY);
    assert!(store.seal_due(now(2), 2).is_empty());
    assert_eq!(store.seal_due(now(3), 2), ["standard/2024-10-04"]);
    assert!(store.seal("standard/2024-10-04", now(3), &|| false).unwrap());
    let sealed = seal::sealed(&dir.path().join("standard/2024-10-04")).unwrap();
    assert_eq!((sealed.documents, sealed.first, sealed.last), (4, Seq(1), Seq(10)));
    assert_eq!(store.snapshot().partitions["standard/2024-10-04"].facts.segments.len(), 1, "merged");
    assert!(store.seal_due(now(3), 2).is_empty());
    assert_eq!(store.verify("standard/2024-10-04").unwrap(), [""; 0]);
    assert_eq!(all(&store), (1..=12).collect::<Vec<_>>());
    // Late: in memory it changes nothing, on disk it opens the seal.
    consumer.apply(&batch(&[frame(13, 1, &format!("t={DAY0}\thello late"))])).unwrap();
    assert!(store.seal_due(now(3), 2).is_empty());
    assert!(!store.seal("standard/2024-10-04", now(3), &|| false).unwrap(), "something is pending");
    consumer.flush().unwrap();
    assert_eq!(store.seal_due(now(3), 2), ["standard/2024-10-04"]);
    assert!(store.seal("standard/2024-10-04", now(3), &|| false).unwrap());
    assert_eq!(all(&store), (1..=13).collect::<Vec<_>>());
    let (store, _consumer) = open(dir.path());
    assert_eq!(all(&store), (1..=13).collect::<Vec<_>>());
}

#[test]
fn verify_finds_what_is_not_as_it_was_sealed() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 1, 4);
    let (store, consumer) = open(dir.path());
    assert!(store.seal("standard/2024-10-04", Timestamp(DAY0), &|| false).unwrap());
    let day = dir.path().join("standard/2024-10-04");
    let file = seal::sealed(&day).unwrap().files.into_iter().find(|file| file.name.ends_with(".store")).unwrap();
    let mut bytes = std::fs::read(day.join(&file.name)).unwrap();
    bytes[3] ^= 1;
    // A new file in the place of the old one: the old one is still mapped.
    std::fs::remove_file(day.join(&file.name)).unwrap();
    std::fs::write(day.join(&file.name), &bytes).unwrap();
    assert_eq!(store.verify("standard/2024-10-04").unwrap(), [format!("{}: its checksum is wrong", file.name)]);
    std::fs::write(day.join(&file.name), &bytes[1..]).unwrap();
    assert_eq!(store.verify("standard/2024-10-04").unwrap().len(), 1);
    drop((store, consumer));
    // Cut short, it is noticed without being opened.
    let (store, _consumer) = open(dir.path());
    assert_eq!(store.stats().damaged, ["standard/2024-10-04"]);
}

#[test]
fn a_deleted_folder_is_noticed_and_mended_from_the_journal() {
    for damage in ["folder", "file", "while it runs"] {
        let dir = tempfile::tempdir().unwrap();
        let mut frames = filled(dir.path(), 3, 4);
        let day = dir.path().join("standard/2024-10-05");
        let break_it = || match damage {
            "file" => {
                let mut names = std::fs::read_dir(&day).unwrap().map(|file| file.unwrap().path());
                std::fs::remove_file(names.find(|path| path.extension().is_some_and(|kind| kind == "term")).unwrap()).unwrap();
            }
            _ => std::fs::remove_dir_all(&day).unwrap(),
        };
        if damage != "while it runs" {
            break_it();
        }
        let (store, mut consumer) = open(dir.path());
        if damage == "while it runs" {
            break_it();
            store.look_for_missing();
        }
        assert_eq!(store.stats().damaged, ["standard/2024-10-05"], "{damage}");
        // One that comes late goes beside it, and is there once when it is mended.
        let late = frame(13, 1, &format!("t={}\thello late", DAY0 + Timestamp::DAY));
        consumer.apply(&batch(std::slice::from_ref(&late))).unwrap();
        frames.push(late);
        let rebuilt = ticking(&mut consumer, || store.rebuild("standard/2024-10-05", &mut journal(&frames), &|_| true)).unwrap();
        assert_eq!((rebuilt.documents, rebuilt.until, rebuilt.missing_before), (4, Seq(13), None), "{damage}");
        assert_eq!(store.stats().damaged, [""; 0], "{damage}");
        assert_eq!(all(&store), (1..=13).collect::<Vec<_>>(), "{damage}");
        let after = frame(14, 1, &format!("t={}\thello after", DAY0 + Timestamp::DAY));
        consumer.apply(&batch(&[after])).unwrap();
        drop((store, consumer));
        // What was not committed comes again, and nothing else, even where the cursor is lost.
        std::fs::remove_file(dir.path().join("cursor")).unwrap();
        let (store, mut consumer) = open(dir.path());
        consumer.apply(&batch(&frames)).unwrap();
        assert_eq!(all(&store), (1..=13).collect::<Vec<_>>(), "{damage}");
    }
}

#[test]
fn what_the_journal_no_longer_has_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let frames = filled(dir.path(), 2, 10);
    std::fs::remove_dir_all(dir.path().join("standard/2024-10-05")).unwrap();
    let (store, mut consumer) = open(dir.path());
    let rebuilt = ticking(&mut consumer, || store.rebuild("standard/2024-10-05", &mut journal(&frames[10..]), &|_| true)).unwrap();
    assert_eq!((rebuilt.documents, rebuilt.missing_before), (5, Some(Seq(11))));
}

/// For the record; run with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn measure_a_start_with_180_days() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 180, 200);
    let measure = |what: &str| {
        let watch = crate::time::Stopwatch::start();
        let (store, _consumer) = open(dir.path());
        println!("{what}: {:?}, {} documents", watch.elapsed(), store.stats().documents);
        store
    };
    measure("start");
    let store = measure("start again");
    for (what, from) in [("newest page", Some(179)), ("one day", Some(90)), ("all days", None), ("all days again", None)] {
        let day = |n: i64| Timestamp(DAY0 + n * Timestamp::DAY);
        let request = SearchRequest { from: from.map(day), to: from.map(|n| day(n + 1)), summary: from != Some(179), ..request("hello") };
        let result = store.search(&request).unwrap();
        println!("{what}: {:?}, {} found, {} days open", result.took, result.total, store.shelf.open_now().len());
    }
    for entry in std::fs::read_dir(dir.path().join("standard")).unwrap() {
        std::fs::remove_file(entry.unwrap().path().join("summary.json")).unwrap();
    }
    measure("start without summaries (each index is opened, as it was before)");
    let _ = redecode;
}

pub(super) fn hold(query: &str) -> Hold {
    Hold {
        id: query.into(),
        at: Timestamp(0),
        actor: "u".into(),
        reason: "r".into(),
        incident: None,
        query: Some(Query::parse_fixed(query).unwrap()),
        from: None,
        to: None,
        seqs: BTreeSet::new(),
        released_at: None,
    }
}

fn database(dir: &Path) -> crate::db::Db {
    crate::db::Db::open(&dir.join("w.db"), &[crate::audit::MIGRATIONS, MIGRATIONS]).unwrap()
}

/// Copying what is held takes its time: a hold that comes meanwhile, and an event that comes late, keep the day.
#[test]
fn what_comes_while_a_day_is_copied_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3, 4);
    let (store, mut consumer) = open(dir.path());
    let now = Timestamp(DAY0 + 91 * Timestamp::DAY);
    let due = &store.retention_due(now)[0];
    let asked = std::sync::atomic::AtomicU32::new(0);
    let one_more = || Ok((0..asked.fetch_add(1, Ordering::AcqRel)).map(|_| hold("n3")).collect());
    let refused = ticking(&mut consumer, || store.retire(due, &one_more, &super::tests::sites(), now, &|| false)).unwrap_err();
    assert!(refused.to_string().contains("holds have changed"), "{refused}");
    assert_eq!(all(&store), (1..=12).collect::<Vec<_>>());
    // The copy is looked at while `holds` is asked again: there it comes, and is on disk before the day would go.
    let (tell, told) = std::sync::mpsc::channel();
    let late = move || {
        let _ = tell.send(());
        std::thread::sleep(Duration::from_millis(50));
        Ok(Vec::new())
    };
    let refused = std::thread::scope(|scope| {
        let worker = scope.spawn(|| store.retire(due, &late, &super::tests::sites(), now, &|| false));
        (0..2).for_each(|_| told.recv().unwrap());
        consumer.apply(&batch(&[frame(13, 1, &format!("t={DAY0}\thello n3 late"))])).unwrap();
        consumer.flush().unwrap();
        while !worker.is_finished() {
            consumer.tick(Timestamp(0)).unwrap();
        }
        worker.join().unwrap().unwrap_err()
    });
    assert!(refused.to_string().contains("taken in more"), "{refused}");
    assert_eq!(all(&store), (1..=13).collect::<Vec<_>>());
    ticking(&mut consumer, || store.retire(due, &|| Ok(Vec::new()), &super::tests::sites(), now, &|| false)).unwrap();
    assert_eq!(all(&store).len(), 8);
}

#[test]
fn a_day_goes_when_its_time_is_over_and_what_is_held_stays_once() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3, 4);
    let db = database(dir.path());
    let (store, mut consumer) = open(dir.path());
    let now = Timestamp(DAY0 + 91 * Timestamp::DAY);
    assert!(store.retention_due(now.plus(-1)).is_empty());
    let due = store.retention_due(now);
    assert_eq!(due.iter().map(|due| due.day.as_str()).collect::<Vec<_>>(), ["2024-10-04"]);
    // Of 1, 4, 7 and 10 (hello n0, n3, n6, n9) two are held, one of them by two holds.
    let by_number = Hold { query: None, seqs: BTreeSet::from([Seq(7)]), ..hold("x") };
    let holds = [hold("n3"), hold("\"hello n3\""), by_number, hold("n1")];
    ticking(&mut consumer, || store.retire(&due[0], &|| Ok(holds.to_vec()), &super::tests::sites(), now, &|| false)).unwrap();
    let expected: Vec<u64> = (1..=12).filter(|seq| ![1, 10].contains(seq)).collect();
    assert_eq!(all(&store), expected);
    let rows = store.deletions_finish(&db).unwrap();
    assert_eq!((rows.len(), rows[0].documents, rows[0].held, rows[0].first, rows[0].last), (1, 4, 2, Seq(1), Seq(10)));
    assert_eq!(db.read(deletion_list).unwrap(), rows);
    assert_eq!(store.deletions_finish(&db).unwrap(), []);
    assert!(!dir.path().join("standard/2024-10-04").exists());
    // It comes back as it was.
    let found = store.search(&request("n3")).unwrap().hits;
    assert_eq!((found.len(), found[0].seq, found[0].line().ends_with("hello n3")), (1, Seq(4), true));
    drop((store, consumer));
    let (store, mut consumer) = open(dir.path());
    assert_eq!(all(&store), expected);
    assert!(store.retention_due(now).is_empty());
    // One hold is released: what no other holds goes.
    ticking(&mut consumer, || store.holds_review(&holds[..2], &super::tests::sites(), now, &|| false)).unwrap();
    assert_eq!(all(&store), expected.iter().copied().filter(|seq| *seq != 7).collect::<Vec<_>>());
    ticking(&mut consumer, || store.holds_review(&[], &super::tests::sites(), now, &|| false)).unwrap();
    assert_eq!(all(&store), expected.iter().copied().filter(|seq| ![4, 7].contains(seq)).collect::<Vec<_>>());
    assert_eq!(store.deletions_finish(&db).unwrap().iter().map(|row| row.why.as_str()).collect::<Vec<_>>(), ["hold released"; 2]);
    assert_eq!(store.partitions().len(), 2);
}

#[test]
fn a_crash_between_the_steps_of_a_deletion_is_completed() {
    for step in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 3, 4);
        let db = database(dir.path());
        let now = Timestamp(DAY0 + 91 * Timestamp::DAY);
        let day = dir.path().join("standard/2024-10-04");
        let (store, mut consumer) = open(dir.path());
        let due = store.retention_due(now).remove(0);
        let held = "hold/standard.2024-10-04";
        let copied = store.hold_copy(&store.snapshot(), &due.names, held, &[hold("n3")], &super::tests::sites(), &|| false).unwrap();
        assert_eq!(copied, 1);
        let row = |part: &str| serde_json::json!({ "id": "1", "at": 1, "class": "standard", "day": "2024-10-04", "part": part, "documents": 4, "held": 1, "bytes": 9, "first": 1, "last": 10, "why": "retention" });
        std::fs::write(day.join("going.json"), row("standard/2024-10-04").to_string()).unwrap();
        if step >= 1 {
            let mut names = partition::catalog_read(dir.path()).unwrap().unwrap();
            names.remove("standard/2024-10-04");
            names.insert(held.into());
            partition::catalog_write(dir.path(), &names).unwrap();
        }
        if step >= 2 {
            partition::rename(&partition::new_dir(dir.path(), held), &dir.path().join(held)).unwrap();
        }
        if step >= 3 {
            partition::rename(&day, &dir.path().join(".going/x")).unwrap();
        }
        consumer.flush().unwrap();
        drop((store, consumer));
        let (store, mut consumer) = open(dir.path());
        let whole = step == 0;
        let expected: Vec<u64> = (1..=12).filter(|seq| whole || ![1, 7, 10].contains(seq)).collect();
        assert_eq!(all(&store), expected, "{step}");
        assert_eq!(store.deletions_finish(&db).unwrap().len(), usize::from(!whole), "{step}");
        // Not begun, it is begun anew.
        for due in store.retention_due(now) {
            ticking(&mut consumer, || store.retire(&due, &|| Ok(vec![hold("n3")]), &super::tests::sites(), now, &|| false)).unwrap();
        }
        store.deletions_finish(&db).unwrap();
        assert_eq!(all(&store), (1..=12).filter(|seq| ![1, 7, 10].contains(seq)).collect::<Vec<_>>(), "{step}");
        assert_eq!(db.read(deletion_list).unwrap().len(), 1, "{step}");
    }
}

#[test]
fn classes_have_their_own_days_and_an_event_goes_where_it_went() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer) = open(dir.path());
    let class = |name: &str, days, sites: Vec<u128>| Class {
        name: name.into(),
        days,
        sites: sites.into_iter().map(super::tests::site).collect(),
        sources: vec![],
    };
    store.classes_begin(&[class("kurz", 7, vec![1]), class(CLASS, 30, vec![])], Seq(1)).unwrap();
    let frames: Vec<Frame> = (1..=6u64).map(|n| frame(n, 1 + u128::from(n % 2), &format!("t={DAY0}\thello"))).collect();
    consumer.apply(&batch(&frames)).unwrap();
    consumer.flush().unwrap();
    let names = |store: &EventStore| store.partitions().iter().map(|part| format!("{} {}", part.name, part.documents)).collect::<Vec<_>>();
    assert_eq!(names(&store), ["kurz/2024-10-04 3", "standard/2024-10-04 3"]);
    let after = |days: i64| Timestamp(DAY0 + days * Timestamp::DAY);
    let due = |days| store.retention_due(after(days)).iter().map(|due| due.class.clone()).collect::<Vec<_>>();
    assert_eq!((due(7), due(8), due(31)), (vec![], vec!["kurz".to_owned()], vec!["kurz".into(), CLASS.into()]));
    // Another plan counts for what comes later: a day that is rebuilt keeps what it had.
    store.classes_begin(&[class(CLASS, 30, vec![])], Seq(7)).unwrap();
    let rebuilt = ticking(&mut consumer, || store.rebuild("kurz/2024-10-04", &mut journal(&frames), &|_| true)).unwrap();
    assert_eq!(rebuilt.documents, 3);
    assert_eq!(all(&store), (1..=6).collect::<Vec<_>>());
}

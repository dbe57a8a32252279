//! What a disk can do to the store: flip a byte, refuse for a while; and what a second process sees of a store that is at work.

use std::ops::ControlFlow;

use super::file::FileError;
use super::tests::{T0, all, batch, consumer, flow, sorted, tree};
use super::*;
use crate::db::Db;
use crate::pipeline::Consumer as _;

fn later() -> Timestamp {
    Timestamp(T0 + 12 * Timestamp::HOUR)
}

/// A file of each of these hours.
fn hours(dir: &Path, hours: u64) -> (Arc<FlowStore>, FlowConsumer, Vec<FlowRecord>) {
    let (store, mut writer) = consumer(dir);
    let flows: Vec<FlowRecord> = (1..=hours * 10).map(|seq| flow(seq, (seq as i64 - 1) / 10 * 3_600)).collect();
    writer.apply(&batch(1, hours * 10, flows.clone())).unwrap();
    writer.flush().unwrap();
    (store, writer, flows)
}

/// Puts a folder in a file's place: the system opens it and does not read it, as a disk that has an error. Returns what puts
/// the file back.
fn refuse(path: &Path) -> impl FnOnce() + use<> {
    let (path, aside) = (path.to_owned(), path.with_extension("aside"));
    std::fs::rename(&path, &aside).unwrap();
    std::fs::create_dir(&path).unwrap();
    move || {
        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(&aside, &path).unwrap();
    }
}

#[test]
fn a_flipped_byte_is_found_wherever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = consumer(dir.path());
    writer.apply(&batch(1, 20, (1..=20).map(|seq| flow(seq, 0)).collect())).unwrap();
    writer.flush().unwrap();
    for kind in ["fresh", "compacted"] {
        if kind == "compacted" {
            store.compact_next(later(), &|| false).unwrap().unwrap();
        }
        let path = dir.path().join(&tree(dir.path())[0]);
        let whole = std::fs::read(&path).unwrap();
        let check = || file::inspect(&path).map(Arc::new).and_then(|info| read::Opened::open(&info)?.check_all());
        check().unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            // Any bit, and the one that only makes a capital of a letter.
            bytes[at] ^= if at.is_multiple_of(2) { 0x20 } else { 1 << (at / 2 % 8) };
            std::fs::write(&path, bytes).unwrap();
            let found = check();
            assert!(matches!(found, Err(FileError::Damaged(_))), "{kind}, byte {at} of {}: {found:?}", whole.len());
        }
        std::fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_flipped_byte_is_not_read_as_data() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _writer, _) = hours(dir.path(), 2);
    store.compact_next(later(), &|| false).unwrap().unwrap();
    for info in &store.view().files {
        let whole = std::fs::read(&info.path).unwrap();
        let opened = read::Opened::open(info).unwrap();
        let prune = Prune::address(End::Either, flow(1, 0).src_ip);
        let (mut read, mut bloom) = (0, 0);
        for at in 4..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&info.path, bytes).unwrap();
            bloom += usize::from(opened.bloom_excludes(0, &prune).is_err());
            // Of the columns some do: reading all of them for each byte takes long.
            read += usize::from(at.is_multiple_of(7) && opened.read(0, column::ColumnSet::ALL).is_err());
            assert!(at > 1_000 || !at.is_multiple_of(7) || read == at / 7, "byte {at} was read as data");
        }
        assert_eq!(bloom > 64, info.span.compacted, "{bloom} bytes of Bloom filters");
        std::fs::write(&info.path, whole).unwrap();
    }
}

#[test]
fn a_file_beside_a_server_whose_end_is_damaged_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, _writer, _) = hours(dir.path(), 2);
    let path = dir.path().join(&tree(dir.path())[0]);
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let beside = FlowStore::open_beside(dir.path()).unwrap();
    assert_eq!(beside.unread().iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>(), ["2026-09-21/1410-1.parquet"]);
    assert!(path.exists(), "looking changes nothing");
}

#[test]
fn a_damaged_file_is_not_compacted_into_a_sound_one() {
    let dir = tempfile::tempdir().unwrap();
    hours(dir.path(), 2);
    let path = dir.path().join(&tree(dir.path())[0]);
    let whole = std::fs::read(&path).unwrap();
    // Some bytes of the data decode all the same: each of them is found before anything is made of it.
    for at in (4..1_000).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let store = FlowStore::open(dir.path()).unwrap();
        let files = store.view().files.iter().take(1).cloned().collect::<Vec<_>>();
        assert_eq!(store.compact(&files, &mut |_| ControlFlow::Continue(())).unwrap(), None, "byte {at}");
        assert_eq!((store.stats().damaged_files, store.stats().files), (1, 1), "byte {at}");
    }
}

#[test]
fn an_error_that_passes_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("w.db"), &[crate::audit::MIGRATIONS, MIGRATIONS]).unwrap();
    let flows_dir = dir.path().join("flows");
    let (store, _writer, flows) = hours(&flows_dir, 3);
    let put_back = refuse(&flows_dir.join("2026-09-21/1510-11.parquet"));
    let asked = store.list(&tests::range(&crate::scope::Scope::All, &tests::sites()), 100);
    assert!(asked.is_err(), "it is not said that this were all");
    store.sift(&|| false).unwrap();
    assert_eq!(store.verify_day("2026-09-21").len(), 1, "it is told");
    assert_eq!(store.rollup(&db, later()).unwrap(), 2, "the others are added up");
    // The others are compacted, and this one when it can be.
    let mut compacted = 0;
    for _ in 0..5 {
        compacted += usize::from(store.compact_next(later(), &|| false).is_ok_and(|done| done.is_some()));
    }
    assert_eq!((compacted, store.stats().damaged_files, store.quarantined().len()), (2, 0, 0));
    put_back();
    assert_eq!(store.compact_next(later(), &|| false).unwrap(), None, "not at once");
    assert!(store.compact_next(later().plus(Timestamp::HOUR), &|| false).unwrap().is_some());
    assert_eq!(store.rollup(&db, later()).unwrap(), 1);
    assert_eq!(sorted(&all(&store)), sorted(&flows));
}

#[test]
fn what_the_reader_of_parquet_says_of_a_disk_error_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _writer, _) = hours(dir.path(), 1);
    let info = store.view().files[0].clone();
    let opened = read::Opened::open(&info).unwrap();
    let put_back = refuse(&info.path);
    assert!(matches!(opened.read(0, column::ColumnSet::ALL), Err(FileError::Io(_))));
    assert!(matches!(read::Opened::open(&info), Err(FileError::Io(_))));
    assert!(matches!(file::inspect(&info.path), Err(FileError::Io(_))));
    put_back();
    assert!(opened.read(0, column::ColumnSet::ALL).is_ok());
}

#[test]
fn a_start_goes_on_with_what_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let (_, _, flows) = hours(dir.path(), 3);
    let put_back = refuse(&dir.path().join("2026-09-21/1510-11.parquet"));
    let (store, writer) = consumer(dir.path());
    assert_eq!((store.stats().files, store.stats().unread_files, writer.cursor()), (2, 1, Seq(30)));
    assert_eq!(store.unread()[0].0, "2026-09-21/1510-11.parquet");
    assert_eq!(store.gaps(), vec![], "it may be read tomorrow, and would be there twice");
    store.unread_retry();
    assert_eq!((store.stats().files, store.quarantined().len()), (2, 0));
    put_back();
    store.unread_retry();
    assert_eq!((store.stats().files, store.stats().unread_files), (3, 0));
    assert_eq!(sorted(&all(&store)), sorted(&flows));
    assert_eq!(sorted(&all(&FlowStore::open(dir.path()).unwrap())), sorted(&flows));
}

/// The newest file cannot be read: the journal gives again what is in it, and then it can be read again.
#[test]
fn what_came_again_meanwhile_is_there_once() {
    for retried in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut writer) = consumer(dir.path());
        let flows: Vec<FlowRecord> = (1..=40).map(|seq| flow(seq, (seq as i64 - 1) / 20 * 3_600)).collect();
        writer.apply(&batch(1, 20, flows[..20].to_vec())).unwrap();
        writer.flush().unwrap();
        writer.apply(&batch(21, 40, flows[20..].to_vec())).unwrap();
        writer.flush().unwrap();
        drop((store, writer));
        let put_back = refuse(&dir.path().join("2026-09-21/1510-21.parquet"));
        let (store, mut writer) = consumer(dir.path());
        assert_eq!(writer.cursor(), Seq(20));
        // Another five minutes' file than the first time, so that one does not take the other's name.
        let moved: Vec<FlowRecord> =
            flows[20..].iter().map(|flow| FlowRecord { received_at: flow.received_at.plus(WINDOW_MILLIS), ..*flow }).collect();
        writer.apply(&batch(21, 30, moved[..10].to_vec())).unwrap();
        writer.flush().unwrap();
        put_back();
        if retried {
            store.unread_retry();
            assert_eq!(store.stats().unread_files, 1, "the rest is still to come");
        }
        writer.apply(&batch(31, 40, moved[10..].to_vec())).unwrap();
        writer.flush().unwrap();
        if retried {
            store.unread_retry();
        }
        let store = if retried { store } else { FlowStore::open(dir.path()).unwrap() };
        let seqs: Vec<u64> = all(&store).iter().map(|flow| flow.seq.0).collect();
        assert_eq!((seqs, store.quarantined().len()), ((1..=40).collect(), 1), "{retried}");
    }
}

#[test]
fn what_is_damaged_twice_is_kept_twice() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("2026-09-21")).unwrap();
    for content in ["first", "second"] {
        std::fs::write(dir.path().join("2026-09-21/1410-1.parquet"), content).unwrap();
        FlowStore::open(dir.path()).unwrap();
    }
    let kept = FlowStore::open(dir.path()).unwrap().quarantined();
    assert_eq!(kept, ["2026-09-21-1410-1.parquet", "2026-09-21-1410-1.parquet.2"]);
}

#[test]
fn a_second_process_misses_nothing_that_is_compacted_while_it_looks() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _writer, flows) = hours(dir.path(), 3);
    let mut compacted = 0;
    // Each time it has listed what there is, an hour is compacted.
    let state = load(dir.path(), true, &mut || {
        compacted += usize::from(store.compact_next(later(), &|| false).unwrap().is_some());
    })
    .unwrap();
    assert_eq!(compacted, 3);
    assert_eq!(state.files.iter().map(|info| info.records).sum::<u64>(), flows.len() as u64);
    assert!(state.files.iter().all(|info| info.span.compacted && info.path.exists()));
}

#[test]
fn what_was_the_newest_file_is_missed_after_a_second_start_too() {
    let dir = tempfile::tempdir().unwrap();
    let (store, writer, _) = hours(dir.path(), 2);
    drop((store, writer));
    // As retention leaves it.
    std::fs::write(dir.path().join("cursor"), "20\n").unwrap();
    std::fs::write(dir.path().join("2026-09-21/1510-11.parquet"), "rubbish").unwrap();
    for start in 1..=2 {
        let (store, mut writer) = consumer(dir.path());
        assert_eq!((writer.cursor(), store.gaps()), (Seq(20), vec![(Seq(11), Seq(20))]), "start {start}");
        if start == 2 {
            writer.apply(&batch(21, 25, vec![flow(23, 7_200)])).unwrap();
            writer.flush().unwrap();
            assert_eq!(store.gaps(), [(Seq(11), Seq(20))], "the next file does not account for it");
        }
    }
}

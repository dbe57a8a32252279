//! Sums, retention and rebuild: each effect once over restarts and kills.

use std::path::Path;

use expect_test::expect;

use super::rollup::Step;
use super::tests::{T0, all, batch, consumer, flow, sites, sorted, tree};
use super::*;
use crate::body::BodyId;
use crate::db::Db;
use crate::id::Ulid;
use crate::pipeline::Consumer as _;
use crate::scope::Scope;

fn db(dir: &Path) -> Db {
    Db::open(&dir.join("w.db"), &[crate::audit::MIGRATIONS, MIGRATIONS]).unwrap()
}

fn rollups(db: &Db, step: Step, scope: &Scope) -> Vec<Rollup> {
    let mut found = Vec::new();
    db.read(|connection| rollup_each(connection, step, (Timestamp(0), Timestamp(i64::MAX)), scope, &sites(), &mut |row| found.push(row)))
        .unwrap();
    found
}

fn now() -> Timestamp {
    Timestamp(T0 + 2 * Timestamp::HOUR)
}

#[test]
fn sums_count_each_record_once() {
    let dir = tempfile::tempdir().unwrap();
    let db = db(dir.path());
    let (store, mut writer) = consumer(&dir.path().join("flows"));
    let sampled = |seq: u64, secs: i64| FlowRecord { sampling: 10, src_port: 40_000 + seq as u16, ..flow(seq, secs) };
    let flows: Vec<FlowRecord> = (1..=60).map(|seq| sampled(seq, seq as i64 * 10)).collect();
    for (n, part) in flows.chunks(20).enumerate() {
        writer.apply(&batch(n as u64 * 20 + 1, n as u64 * 20 + 20, part.to_vec())).unwrap();
        if n < 2 {
            writer.flush().unwrap();
            store.rollup(&db, now()).unwrap();
            assert_eq!(store.rollup(&db, now()).unwrap(), 0, "nothing new");
        }
    }
    // A kill between the file and its sums: the next start adds it, once, also where it was compacted meanwhile.
    writer.flush().unwrap();
    let store = FlowStore::open(&dir.path().join("flows")).unwrap();
    while store.compact_next(now(), &|| false).unwrap().is_some() {}
    assert_eq!(store.stats().files, 1);
    assert_eq!(store.rollup(&db, now()).unwrap(), 1);
    assert_eq!(store.rollup(&db, now()).unwrap(), 0);
    for step in [Step::Minute, Step::Hour] {
        let rows = rollups(&db, step, &Scope::All);
        let mut sum = RollupSums::default();
        rows.iter().for_each(|row| sum.add(&row.sums));
        assert_eq!(sum, RollupSums { flows: 60, bytes: 60_000, packets: 600, bytes_scaled: 600_000, packets_scaled: 6_000 });
    }
    let hours: Vec<String> = rollups(&db, Step::Hour, &Scope::Bodies(vec![BodyId(Ulid(1))])).iter().map(|row| format!("{row:?}")).collect();
    expect![[r#"
        Rollup { at: Timestamp(1789999200000), site: SiteId(Ulid(1)), exporter: "10.0.0.1", sums: RollupSums { flows: 15, bytes: 15000, packets: 150, bytes_scaled: 150000, packets_scaled: 1500 }, top: Tops { protocols: [(6, 15, 150000)], services: [(6, 443, 15, 150000)] } }
        Rollup { at: Timestamp(1789999200000), site: SiteId(Ulid(2)), exporter: "10.0.0.1", sums: RollupSums { flows: 15, bytes: 15000, packets: 150, bytes_scaled: 150000, packets_scaled: 1500 }, top: Tops { protocols: [(6, 15, 150000)], services: [(6, 443, 15, 150000)] } }"#]]
    .assert_eq(&hours.join("\n"));
}

#[test]
fn sums_stay_below_what_a_number_holds() {
    let dir = tempfile::tempdir().unwrap();
    let db = db(dir.path());
    let (store, mut writer) = consumer(&dir.path().join("flows"));
    for seq in 1..=3 {
        writer.apply(&batch(seq, seq, vec![FlowRecord { bytes: u64::MAX, sampling: u32::MAX, ..flow(4, 1) }; 2])).unwrap();
        writer.flush().unwrap();
    }
    store.rollup(&db, now()).unwrap();
    assert_eq!(rollups(&db, Step::Minute, &Scope::All)[0].sums.bytes_scaled, i64::MAX as u64);
}

#[test]
fn minutes_go_before_hours() {
    let dir = tempfile::tempdir().unwrap();
    let db = db(dir.path());
    let (store, mut writer) = consumer(&dir.path().join("flows"));
    writer.apply(&batch(1, 2, vec![flow(1, 0), flow(2, 86_400)])).unwrap();
    writer.flush().unwrap();
    store.rollup(&db, now()).unwrap();
    let left = || (rollups(&db, Step::Minute, &Scope::All).len(), rollups(&db, Step::Hour, &Scope::All).len());
    assert_eq!(left(), (2, 2));
    for (days, minutes, hours) in [(2, 1, 2), (30, 0, 1), (40, 0, 0)] {
        store.rollup_forget(&db, Timestamp(T0 + days * Timestamp::DAY + Timestamp::HOUR), 30).unwrap();
        assert_eq!(left(), (minutes, hours), "after {days} days");
    }
}

#[test]
fn days_go_when_their_time_is_over_with_a_row_each() {
    let dir = tempfile::tempdir().unwrap();
    let db = db(dir.path());
    let flows = dir.path().join("flows");
    let (store, mut writer) = consumer(&flows);
    for day in 0..4u64 {
        writer.apply(&batch(day + 1, day + 1, vec![flow(day + 1, day as i64 * 86_400)])).unwrap();
    }
    writer.flush().unwrap();
    // 2026-09-21 ends T0 + 9 h 46; three days are kept.
    let at = |days: i64| Timestamp(T0 + days * Timestamp::DAY + 10 * Timestamp::HOUR);
    assert!(store.retain(&db, 3, at(2), &|| false).unwrap().is_empty());
    let gone = store.retain(&db, 3, at(3), &|| false).unwrap();
    assert_eq!(gone.iter().map(|row| row.file.as_str()).collect::<Vec<_>>(), ["2026-09-21/1410-1.parquet"]);
    assert_eq!((store.stats().records, tree(&flows).len(), flows.join("2026-09-21").exists()), (3, 4, false));
    // What was set aside goes with its day.
    std::fs::create_dir_all(flows.join("quarantine")).unwrap();
    std::fs::write(flows.join("quarantine/2026-09-22-1410-2.parquet"), "rubbish").unwrap();
    std::fs::write(flows.join("quarantine/2026-09-23-1410-2.parquet"), "rubbish").unwrap();
    // A kill came between the row and the end of the file: one row, and the file goes.
    let path = flows.join("2026-09-22/1410-2.parquet");
    let bytes = std::fs::read(&path).unwrap();
    store.retain(&db, 3, at(4), &|| false).unwrap();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let store = FlowStore::open(&flows).unwrap();
    store.retain(&db, 3, at(4), &|| false).unwrap();
    assert!(!path.exists());
    assert_eq!(store.quarantined(), ["2026-09-23-1410-2.parquet"]);
    store.retain(&db, 3, at(30), &|| false).unwrap();
    let log = db.read(flow_deletion_list).unwrap();
    assert_eq!(log.iter().map(|row| row.last.0).rev().collect::<std::collections::BTreeSet<_>>().len(), 5);
    assert_eq!(log.len(), 6, "four files and two that were set aside");
    // Nothing is left, and nothing comes again.
    let (store, writer) = consumer(&flows);
    assert_eq!((store.stats().records, writer.cursor(), tree(&flows)), (0, Seq(4), vec!["cursor".to_owned()]));
}

/// The journal once more, in portions.
fn replayed(flows: &[FlowRecord], portion: usize) -> impl Iterator<Item = Replayed> {
    flows.chunks(portion).map(|part| Replayed {
        first: part[0].seq,
        last: part[part.len() - 1].seq,
        at: part[part.len() - 1].received_at,
        flows: part.to_vec(),
        ..Replayed::default()
    })
}

fn rebuilt(store: &FlowStore, journal: impl IntoIterator<Item = Replayed>) -> FlowsRebuilt {
    let mut journal = journal.into_iter();
    store.rebuild(store.gaps()[0], Timestamp(0), &mut || Ok(journal.next()), &|| false).unwrap()
}

/// Three files of ten datagrams each, 1 to 30, and 31 to 40 in memory.
fn three_files(dir: &Path) -> (Arc<FlowStore>, FlowConsumer, Vec<FlowRecord>) {
    let (store, mut writer) = consumer(dir);
    let flows: Vec<FlowRecord> = (1..=40).map(|seq| flow(seq, (seq as i64 - 1) / 10 * 300)).collect();
    writer.apply(&batch(1, 40, flows.clone())).unwrap();
    assert_eq!((store.stats().files, store.stats().open_records), (3, 10));
    (store, writer, flows)
}

/// Flips a byte in the first column, the sequences, of the file of these five minutes.
fn flip(dir: &Path, name: &str) {
    let path = dir.join("2026-09-21").join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[10] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_waited_for_its_template_is_there_once_after_a_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _writer, flows) = three_files(dir.path());
    let with = |flow: &FlowRecord, bytes: u64| FlowRecord { bytes, ..*flow };
    let at = |seq: usize| flows[seq - 1];
    flip(dir.path(), "1415-11.parquet");
    store.sift(&|| false).unwrap();
    assert_eq!(store.gaps(), [(Seq(11), Seq(20))]);
    let journal = [
        // Its template is not known where the reading begins, but was the first time: it is in the first file.
        Replayed { first: Seq(1), last: Seq(10), waiting: vec![Seq(5), Seq(6)], ..Replayed::default() },
        Replayed {
            first: Seq(11),
            last: Seq(20),
            // Of 6 there is one more that came with the template the first time, too.
            late: vec![(Seq(12), at(5)), (Seq(12), with(&at(6), 66))],
            flows: flows[12..17].to_vec(),
            waiting: vec![Seq(18), Seq(19), Seq(20)],
            ..Replayed::default()
        },
        Replayed {
            first: Seq(21),
            last: Seq(30),
            // 18 was known; 19 waited, and is in the third file; what the store has not got to yet brings 20.
            late: vec![(Seq(25), at(18)), (Seq(30), FlowRecord { seq: Seq(19), ..at(30) })],
            waiting: vec![Seq(20)],
            ..Replayed::default()
        },
        Replayed { first: Seq(31), last: Seq(50), late: vec![(Seq(45), at(20))], ..Replayed::default() },
    ];
    let done = rebuilt(&store, journal);
    assert_eq!((done.files, done.records, done.missing_before), (2, 7, None));
    let mut found = all(&store);
    found.retain(|flow| (11..=20).contains(&flow.seq.0));
    let found: Vec<(u64, u64, i64)> = found.iter().map(|flow| (flow.seq.0, flow.bytes, (flow.received_at.0 - T0) / 1_000)).collect();
    let expected =
        [(12, 66, 0), (13, 1_000, 300), (14, 1_000, 300), (15, 1_000, 300), (16, 1_000, 300), (17, 1_000, 300), (20, 1_000, 300)];
    assert_eq!(found, expected, "with the template's sequence, or the gap's last");
}

/// What was in one gap and got its template in another is made anew in one of them.
#[test]
fn what_waited_from_gap_to_gap_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _writer, flows) = three_files(dir.path());
    flip(dir.path(), "1410-1.parquet");
    flip(dir.path(), "1420-21.parquet");
    store.sift(&|| false).unwrap();
    let journal = || {
        [
            Replayed { flows: flows[..4].to_vec(), first: Seq(1), last: Seq(10), waiting: vec![Seq(5)], ..Replayed::default() },
            Replayed { first: Seq(11), last: Seq(20), waiting: vec![Seq(5)], ..Replayed::default() },
            Replayed {
                first: Seq(21),
                last: Seq(30),
                late: vec![(Seq(25), flows[4])],
                flows: flows[25..30].to_vec(),
                ..Replayed::default()
            },
        ]
    };
    assert_eq!((rebuilt(&store, journal()).records, rebuilt(&store, journal()).records), (5, 5));
    assert_eq!(all(&store).iter().filter(|flow| flow.src_ip == flows[4].src_ip).count(), 1);
}

#[test]
fn what_waits_still_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _writer, flows) = three_files(dir.path());
    flip(dir.path(), "1415-11.parquet");
    store.sift(&|| false).unwrap();
    let done = rebuilt(&store, [Replayed { waiting: vec![Seq(4), Seq(12), Seq(13)], ..replayed(&flows, 40).next().unwrap() }]);
    assert_eq!((done.records, done.waiting), (10, 2));
}

#[test]
fn a_journal_that_begins_later_leaves_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _writer, flows) = three_files(dir.path());
    flip(dir.path(), "1415-11.parquet");
    store.sift(&|| false).unwrap();
    let done = rebuilt(&store, replayed(&flows[14..], 5));
    assert_eq!((done.records, done.missing_before, store.gaps()), (6, Some(Seq(15)), vec![(Seq(11), Seq(14))]));
    // And one that ends earlier: nobody has what is behind.
    let done = rebuilt(&store, replayed(&flows[10..12], 1));
    assert_eq!((done.records, store.gaps()), (2, vec![(Seq(13), Seq(14))]));
}

#[test]
fn a_file_that_is_written_meanwhile_is_no_gap() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = consumer(dir.path());
    let (stop, reader) = (Arc::new(std::sync::atomic::AtomicBool::new(false)), Arc::clone(&store));
    let stopped = Arc::clone(&stop);
    let looking = std::thread::spawn(move || {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            assert_eq!(reader.gaps(), vec![]);
        }
    });
    for seq in 1..=60 {
        writer.apply(&batch(seq, seq, vec![flow(seq, 0)])).unwrap();
        writer.flush().unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    looking.join().unwrap();
    // And where one is, it is not overwritten.
    let mut once = replayed(&[flow(5, 0), flow(6, 0)], 2).next();
    let again = store.rebuild((Seq(5), Seq(6)), Timestamp(0), &mut || Ok(once.take()), &|| false);
    assert!(again.is_err() && store.stats().records == 60);
}

#[test]
fn sums_of_what_is_made_anew_count_once() {
    for summed_before in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (db, flows_dir) = (db(dir.path()), dir.path().join("flows"));
        let (store, mut writer, flows) = three_files(&flows_dir);
        if summed_before {
            assert_eq!(store.rollup(&db, now()).unwrap(), 3);
        }
        flip(&flows_dir, "1415-11.parquet");
        store.sift(&|| false).unwrap();
        store.rollup(&db, now()).unwrap();
        writer.flush().unwrap();
        store.rollup(&db, now()).unwrap();
        assert_eq!(rebuilt(&store, replayed(&flows, 3)).records, 10);
        assert_eq!(store.rollup(&db, now()).unwrap(), usize::from(!summed_before));
        assert_eq!(store.rollup(&db, now()).unwrap(), 0);
        for step in [Step::Minute, Step::Hour] {
            let sum: u64 = rollups(&db, step, &Scope::All).iter().map(|row| row.sums.flows).sum();
            assert_eq!(sum, 40, "{step:?}, added up before it was damaged: {summed_before}");
        }
    }
}

#[test]
fn a_file_whose_sums_cannot_be_read_is_set_aside_before_they_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let (db, flows_dir) = (db(dir.path()), dir.path().join("flows"));
    let (store, _writer, _) = three_files(&flows_dir);
    flip(&flows_dir, "1415-11.parquet");
    assert_eq!(store.rollup(&db, now()).unwrap(), 2);
    assert_eq!((store.quarantined().len(), store.gaps()), (1, vec![(Seq(11), Seq(20))]));
}

#[test]
fn sums_up_to_a_position_become_sums_of_a_stretch() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.db");
    let earlier = crate::db::Migrations { steps: &MIGRATIONS.steps[..1], ..MIGRATIONS };
    let db = Db::open(&path, &[crate::audit::MIGRATIONS, earlier]).unwrap();
    db.write(|tx| {
        tx.execute("INSERT INTO flow_rollup_position (name, seq) VALUES ('rollup', 20)", [])?;
        Ok::<_, crate::db::DbError>(())
    })
    .unwrap();
    db.close();
    let db = Db::open(&path, &[crate::audit::MIGRATIONS, MIGRATIONS]).unwrap();
    let (store, _writer, _) = three_files(&dir.path().join("flows"));
    assert_eq!(store.rollup(&db, now()).unwrap(), 1, "the third file");
}

#[test]
fn who_has_few_sums_is_not_cut_off_by_who_has_many() {
    let dir = tempfile::tempdir().unwrap();
    let db = db(dir.path());
    let (store, mut writer) = consumer(&dir.path().join("flows"));
    // Site 3 is body 2's and the last in the order of the table.
    let flows: Vec<FlowRecord> =
        (1..=40).map(|seq| FlowRecord { site: super::tests::site(1 + seq / 40 * 2), ..flow(seq, seq as i64 * 60) }).collect();
    writer.apply(&batch(1, 40, flows)).unwrap();
    writer.flush().unwrap();
    store.rollup(&db, now()).unwrap();
    let given = |scope: Scope, most: usize| {
        let (mut rows, range) = (0, (Timestamp(0), Timestamp(i64::MAX)));
        let all = db.read(|c| rollup::rollup_some(c, Step::Minute, range, &scope, &sites(), most, &mut |_| rows += 1)).unwrap();
        (rows, all)
    };
    assert_eq!(given(Scope::Bodies(vec![BodyId(Ulid(2))]), 5), (1, true));
    assert_eq!((given(Scope::All, 5), given(Scope::All, 40)), ((5, false), (40, true)));
}

#[test]
fn what_is_missing_comes_again_from_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = consumer(dir.path());
    let flows: Vec<FlowRecord> = (1..=90).flat_map(|seq| [flow(seq, seq as i64 * 10), flow(seq, seq as i64 * 10)]).collect();
    writer.apply(&batch(1, 90, flows.clone())).unwrap();
    writer.flush().unwrap();
    assert!(store.gaps().is_empty());
    assert_eq!(store.days().iter().map(|day| (day.files, day.records)).collect::<Vec<_>>(), [(4, 180)]);
    // The second and the third are damaged; one is found when somebody asks, one at the start.
    for (n, from) in [(1, 4), (2, 0)] {
        let path = dir.path().join(&tree(dir.path())[n]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[from..from + 30].fill(0xaa);
        std::fs::write(path, bytes).unwrap();
    }
    assert_eq!(store.verify_day("2026-09-21").len(), 2);
    assert_eq!(store.stats().damaged_files, 0, "looking changes nothing");
    drop((store, writer));
    let (store, _) = consumer(dir.path());
    all(&store);
    assert_eq!(store.quarantined().len(), 2);
    let gaps = store.gaps();
    assert_eq!(gaps.len(), 1);
    let rebuild = |store: &FlowStore, not_before: i64| {
        let mut journal = replayed(&flows, 7);
        let gap = store.gaps()[0];
        store.rebuild(gap, Timestamp(not_before), &mut || Ok(journal.next()), &|| false).unwrap()
    };
    assert_eq!(rebuild(&store, T0 + Timestamp::DAY).records, 0, "what is over stays away");
    let done = rebuild(&store, 0);
    assert!(done.files >= 2 && done.records > 60, "{done:?}");
    assert!(store.gaps().is_empty());
    assert_eq!((sorted(&all(&store)), store.verify_day("2026-09-21")), (sorted(&flows), vec![]));
    assert_eq!(sorted(&all(&FlowStore::open(dir.path()).unwrap())), sorted(&flows));
}

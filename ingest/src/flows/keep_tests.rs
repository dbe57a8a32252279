//! Sums, retention and rebuild: each effect once over restarts and kills.

use std::path::Path;

use expect_test::expect;

use super::rollup::Step;
use super::tests::{T0, all, batch, consumer, flow, sites, sorted, tree};
use super::*;
use crate::body::BodyId;
use crate::db::Db;
use crate::id::Ulid;
use crate::pipeline::{Batch, Consumer as _};
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
        let mut journal = flows.chunks(7).map(|part| {
            let (first, last) = (part[0].seq.0, part[part.len() - 1].seq.0);
            Batch { first: Seq(first), last: Seq(last), flows: part.to_vec(), ..Batch::default() }
        });
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

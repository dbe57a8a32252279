//! kill -9 at random moments of all that the store does on its own: write, add up, compact, let go, rebuild. A child process
//! does it over and over on one directory and says what it is at; files are broken by hand in between, so that there is
//! something to rebuild. Afterwards each record is there exactly once, and counts once in the sums.
//!
//! `WARTBURG_FLOW_KILLS` kills (15 where nothing is said); the seed is printed, and `WARTBURG_SEED` repeats one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use super::column::{Column, ColumnSet};
use super::tests::{T0, batch, flow, range, sites, tree};
use super::*;
use crate::db::Db;
use crate::pipeline::Consumer as _;
use crate::scope::Scope;
use crate::time::Clock;

const PHASES: [&str; 5] = ["write", "compact", "rollup", "retain", "rebuild"];
const VICTIM: &str = "WARTBURG_FLOW_VICTIM";
/// Datagrams of an hour, of which the child does one after the other, nine hours apart: so days pass.
const HOUR: u64 = 60;
const DAYS: u32 = 1;

fn received(seq: u64) -> Timestamp {
    let (hour, minute) = ((seq - 1) / HOUR, (seq - 1) % HOUR);
    let begin = T0 - T0.rem_euclid(Timestamp::HOUR);
    Timestamp(begin + hour as i64 * 9 * Timestamp::HOUR + minute as i64 * Timestamp::MINUTE)
}

/// The journal: one to three records a datagram.
fn datagram(seq: u64) -> impl Iterator<Item = FlowRecord> {
    (0..=seq % 3).map(move |n| FlowRecord { received_at: received(seq), src_port: n as u16, ..flow(seq, 0) })
}

fn portions(from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
    (from..=to).step_by(7).map(move |first| (first, (first + 6).min(to)))
}

fn open(dir: &Path) -> (Db, Arc<FlowStore>, FlowConsumer) {
    let db = Db::open(&dir.join("w.db"), &[crate::audit::MIGRATIONS, MIGRATIONS]).unwrap();
    let (store, writer) = super::tests::consumer(&dir.join("flows"));
    (db, store, writer)
}

fn mend(store: &FlowStore, say: &mut dyn FnMut(&str)) {
    for gap in store.gaps() {
        say("rebuild");
        let not_before = received(store.cursor().0.max(1)).plus(2 * Timestamp::HOUR - i64::from(DAYS) * Timestamp::DAY);
        let mut journal = portions(gap.0.0, gap.1.0 + 3).map(|(first, last)| Replayed {
            first: Seq(first),
            last: Seq(last),
            flows: (first..=last).flat_map(datagram).collect(),
            ..Replayed::default()
        });
        store.rebuild(gap, not_before, &mut || Ok(journal.next()), &|| false).unwrap();
    }
}

fn one_hour(db: &Db, store: &FlowStore, writer: &mut FlowConsumer, say: &mut dyn FnMut(&str)) {
    let next = writer.cursor().0 + 1;
    let end = (next - 1) / HOUR * HOUR + HOUR;
    say("write");
    for (first, last) in portions(next, end) {
        writer.apply(&batch(first, last, (first..=last).flat_map(datagram).collect())).unwrap();
    }
    writer.flush().unwrap();
    let now = received(end).plus(2 * Timestamp::HOUR);
    say("rollup");
    store.rollup(db, now).unwrap();
    say("compact");
    while store.compact_next(now, &|| false).unwrap().is_some() {}
    say("retain");
    store.retain(db, DAYS, now, &|| false).unwrap();
}

/// The child's part.
#[test]
#[ignore = "the process that is killed"]
fn victim() {
    let Ok(dir) = std::env::var(VICTIM) else { return };
    let mut say = |what: &str| {
        println!("{what}");
        std::io::stdout().flush().unwrap();
    };
    let (db, store, mut writer) = open(Path::new(&dir));
    mend(&store, &mut say);
    for _ in 0..8 {
        one_hour(&db, &store, &mut writer, &mut say);
    }
}

#[test]
fn each_record_is_there_once_whenever_it_is_killed() {
    let kills = std::env::var("WARTBURG_FLOW_KILLS").map_or(15, |kills| kills.parse().expect("WARTBURG_FLOW_KILLS is a number"));
    let fresh = || Clock::system().now().0.unsigned_abs();
    let mut random =
        Random(std::env::var("WARTBURG_SEED").map_or_else(|_| fresh(), |seed| seed.parse().expect("WARTBURG_SEED is a number")));
    println!("WARTBURG_SEED={}", random.0);
    let dir = tempfile::tempdir().unwrap();
    let mut hit: BTreeMap<&str, u32> = BTreeMap::new();
    let mut broken: BTreeSet<u64> = BTreeSet::new();
    for kill in 0..kills {
        let phase = PHASES[kill % PHASES.len()];
        if phase == "rebuild" {
            broken.extend(break_one(dir.path(), &mut random));
        }
        let was_at = kill_in(dir.path(), phase, &mut random);
        *hit.entry(was_at).or_default() += 1;
        check(dir.path(), &broken, &format!("kill {kill}, in {was_at}"));
    }
    assert!(kills < PHASES.len() || PHASES.iter().all(|phase| hit.contains_key(phase)), "{hit:?}");

    // To its end, without a kill: all that was broken is there again.
    let (db, store, mut writer) = open(dir.path());
    mend(&store, &mut |_| {});
    one_hour(&db, &store, &mut writer, &mut |_| {});
    drop((store, writer));
    check(dir.path(), &BTreeSet::new(), "at the end");
    let (_, store, _) = open(dir.path());
    assert!(store.days().iter().all(|day| store.verify_day(&day.day).is_empty()));
    assert!(store.gaps().iter().all(|gap| gap.0 == Seq(1)), "{:?}", store.gaps());
    let last = store.cursor().0;
    let (mut sum, all) = (0, (Timestamp(0), Timestamp(i64::MAX)));
    db.read(|c| rollup_each(c, Step::Hour, all, &Scope::All, &sites(), &mut |row| sum += row.sums.flows)).unwrap();
    assert_eq!(sum, (1..=last).flat_map(datagram).count() as u64, "in the sums");
    println!("{last} datagrams, {} files at the end, killed in {hit:?}", tree(&dir.path().join("flows")).len());
}

/// Takes the end off a file of the last hours that is not the newest: what is in that, the journal gives again anyway. Returns
/// which datagrams were in it.
fn break_one(dir: &Path, random: &mut Random) -> Vec<u64> {
    let store = FlowStore::open_beside(&dir.join("flows")).unwrap();
    let mut files = store.view().files;
    let newest = files.pop().map(|info| info.span.received_to).unwrap_or_default();
    files.retain(|info| newest.since(info.span.received_from) < 12 * Timestamp::HOUR);
    let Some(info) = files.get(random.below(files.len().max(1) as u64) as usize) else { return Vec::new() };
    std::fs::File::options().write(true).open(&info.path).unwrap().set_len(info.bytes - 1).unwrap();
    (info.span.seq_from.0..=info.span.seq_to.0).collect()
}

/// Lets the child work until it is in that phase, and a moment on. Returns what it was at.
fn kill_in(dir: &Path, phase: &str, random: &mut Random) -> &'static str {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "flows::kill_tests::victim", "--ignored", "--nocapture", "--test-threads=1"])
        .env(VICTIM, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut rounds = if phase == "rebuild" { 0 } else { random.below(2) };
    let mut at = "start";
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // The first one stands behind the name of the test.
        let line = line.unwrap();
        let Some(said) = PHASES.into_iter().find(|phase| line.split(' ').next_back() == Some(phase)) else { continue };
        at = said;
        if at == phase {
            if rounds == 0 {
                std::thread::sleep(Duration::from_micros(random.below(30_000)));
                break;
            }
            rounds -= 1;
        }
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    at
}

/// Each datagram up to the cursor is there wholly and once, or went with its day, or is broken.
fn check(dir: &Path, broken: &BTreeSet<u64>, when: &str) {
    let db = Db::open(&dir.join("w.db"), &[crate::audit::MIGRATIONS, MIGRATIONS]).unwrap();
    let store = FlowStore::open_beside(&dir.join("flows")).unwrap();
    let gone: BTreeSet<u64> = db.read(flow_deletion_list).unwrap().iter().flat_map(|row| row.first.0..=row.last.0).collect();
    db.close();
    let found: Mutex<BTreeMap<u64, Vec<u16>>> = Mutex::default();
    let make = || {
        |chunk: &Chunk<'_>| {
            for flow in chunk.mask().rows().map(|row| chunk.record(row)) {
                found.lock().unwrap().entry(flow.seq.0).or_default().push(flow.src_port);
            }
            ControlFlow::<()>::Continue(())
        }
    };
    let (table, scope) = (sites(), Scope::All);
    store.scan(&range(&scope, &table), ColumnSet::of(&[Column::Seq, Column::SrcPort]), 1, make).unwrap();
    let mut found = found.into_inner().unwrap();
    for seq in 1..=store.cursor().0 {
        match found.remove(&seq) {
            Some(mut ports) => {
                ports.sort_unstable();
                assert_eq!(ports, datagram(seq).map(|flow| flow.src_port).collect::<Vec<_>>(), "datagram {seq}, {when}");
            }
            None => assert!(gone.contains(&seq) || broken.contains(&seq), "datagram {seq} is lost, {when}"),
        }
    }
    assert!(found.is_empty(), "nobody has written {:?}, {when}", found.keys());
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

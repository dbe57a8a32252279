//! The crash suite: the journal on a disk in memory (`recorded`), with a power cut between any two of its operations,
//! with each of its operations failing, and with its process killed at each and a power cut later. After every one:
//! opening works, everything acknowledged is there once and in order, nothing is there that nobody sent, new frames are
//! taken, and `verify` finds nothing wrong.
//!
//! The seed is printed; `PROPTEST_RNG_SEED` sets it. That the suite can fail is a test of its own
//! (`each_planted_bug_is_noticed`), with these mistakes made below the journal, and where each one was first seen:
//!
//! | mistake                                                   | noticed as                                          |
//! |-----------------------------------------------------------|-----------------------------------------------------|
//! | acknowledges before the sync                              | crash: frames missing, or damage below a valid block |
//! | does not sync the folder                                  | crash: an acknowledged frame is not there           |
//! | leaves in the file what a failed write brought            | failure: a reader meets damage in a closed segment  |
//! | tries a failed sync again on the same descriptor          | failure: an acknowledged frame is not there         |
//! | creates the next segment before the seal is durable       | crash: a closed segment without a seal              |
//! | removes freed segments without a line in the chain        | crash: the journal begins late and nobody said so   |

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::recorded::{FaultKind, Faults, Image, Leaves, Op, Plant, Random, Recorded, Replay};
use super::verify::verify_on;
use super::*;
use crate::body::SITE_UNKNOWN;
use crate::frame::{FrameKind, Marks, NewFrame, Transport};

const DIR: &str = "/data/journal";
const QUARANTINE: &str = "/data/quarantine";
/// Two pages, so that a few appends fill a segment.
const SEGMENT_BYTES: u64 = 6_000;
/// What the workload appends in all.
const APPENDS: u64 = 40;
/// How often the same is tried before the journal counts as stuck.
const TRIES: usize = 12;

type Text = (u64, String);

fn seed() -> u64 {
    let given = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| getrandom::u64().unwrap());
    println!("PROPTEST_RNG_SEED={seed}");
    seed
}

fn empty() -> Image {
    Image { dirs: [Path::new("/data").into()].into(), ..Image::default() }
}

fn open(disk: &Recorded) -> Result<(Journal, OpenReport), JournalError> {
    let options = JournalOptions::default();
    Journal::open_on(Arc::new(disk.clone()), Path::new(DIR), Path::new(QUARANTINE), Timestamp(1), &options, SEGMENT_BYTES)
}

fn line(text: &str) -> NewFrame {
    NewFrame {
        received_at: Timestamp(7),
        site: SITE_UNKNOWN,
        peer: std::net::Ipv4Addr::LOCALHOST.into(),
        transport: Transport::Relp,
        kind: FrameKind::Line,
        marks: Marks::default(),
        payload: text.as_bytes().into(),
    }
}

/// Texts that say who they are, most of them short; now and then one over several pages.
fn texts(random: &mut Random, step: u64) -> Vec<String> {
    let count = 1 + random.below(3);
    let long = random.below(7) == 0;
    let text = |n| {
        let len = if long { 3_000 + random.below(4_000) } else { random.below(300) };
        // Printable noise, so that it stays as long when it is packed.
        let noise: String = (0..len).map(|_| char::from(b' ' + u8::try_from(random.below(95)).unwrap())).collect();
        format!("sent {step}.{n} {noise}")
    };
    (0..count).map(text).collect()
}

fn read(reader: &mut JournalReader) -> Result<Vec<Text>, String> {
    let mut all = Vec::new();
    while let Some(frames) = reader.next(Duration::ZERO).map_err(|error| format!("cannot be read: {error:?}"))? {
        all.extend(frames.into_iter().map(|f| (f.seq.0, String::from_utf8(f.frame.payload.into_vec()).unwrap())));
    }
    if reader.damaged() > 0 {
        return Err("a reader met damage".into());
    }
    Ok(all)
}

/// Appends, rolls, seals and frees on `disk`, and reads along. A refused append is given again, or given up for another.
fn workload(disk: &Recorded, random: &mut Random, appends: u64) -> Result<(), String> {
    let begin = || {
        (0..TRIES).find_map(|_| {
            let opened = open(disk).ok();
            disk.revive();
            opened
        })
    };
    let (mut journal, _) = begin().ok_or("never opens")?;
    let mut reader = journal.reader(Seq(0));
    let (mut acknowledged, mut seen) = (Vec::new(), Vec::new());
    for step in 0..appends {
        let mut sent = texts(random, step);
        let mut tries = 0;
        loop {
            let frames = sent.iter().map(|text| line(text)).collect();
            if let Ok(range) = journal.writer().append_blocking(frames) {
                let all: Vec<Text> = range.zip(sent).collect();
                acknowledged.extend(all.iter().cloned());
                disk.note(Op::Acknowledged(all));
                break;
            }
            if disk.revive() {
                // What the next process shows to its readers may be more than was acknowledged, and must stay.
                journal.close();
                journal = begin().ok_or("never opens again")?.0;
                reader = journal.reader(Seq(seen.last().map_or(0, |(seq, _): &Text| *seq)));
                let more = read(&mut reader)?;
                disk.note(Op::Acknowledged(more.clone()));
                acknowledged.extend(more.iter().cloned());
                seen.extend(more);
            }
            tries += 1;
            if tries == TRIES {
                return Err("does not go on by itself".into());
            }
            if random.coin() {
                sent = texts(random, step);
            }
        }
        seen.extend(read(&mut reader)?);
        if step % 12 == 11 {
            let consumed = journal.last().0 / 2;
            disk.note(Op::MayFree(consumed));
            let _ = journal.keeper().retain(Timestamp(i64::MAX), Seq(consumed), Timestamp(9));
        }
    }
    journal.close();
    if disk.retried() {
        return Err("a failed sync was tried again on the same descriptor".into());
    }
    if seen == acknowledged { Ok(()) } else { Err("a reader saw something else than was acknowledged".into()) }
}

/// What must be on the disk.
#[derive(Clone, Default)]
struct Must {
    acknowledged: BTreeMap<u64, String>,
    may_be_freed: u64,
}

impl Must {
    fn follow(&mut self, op: &Op) {
        match op {
            Op::Acknowledged(frames) => self.acknowledged.extend(frames.iter().cloned()),
            Op::MayFree(last) => self.may_be_freed = self.may_be_freed.max(*last),
            _ => {}
        }
    }
}

/// Opens the journal on what a crash left, and looks at everything.
fn check(image: &Image, must: &Must) -> Result<Recorded, String> {
    let disk = Recorded::of(image, None);
    let (mut journal, report) = open(&disk).map_err(|error| format!("does not open: {error:?}"))?;
    if report.sealed_late > 0 || report.chain_broken > 0 || report.damaged > 0 {
        return Err(format!("opened with damage: {report:?}"));
    }
    let all = read(&mut journal.reader(Seq(0)))?;
    if let Some(pair) = all.windows(2).find(|pair| pair[1].0 != pair[0].0 + 1) {
        return Err(format!("{} comes after {}", pair[1].0, pair[0].0));
    }
    let begin = all.first().map_or(report.last.0 + 1, |(seq, _)| *seq);
    if begin > must.may_be_freed + 1 {
        return Err(format!("it begins at {begin}, though only {} might be freed: an acknowledged frame is not there", must.may_be_freed));
    }
    let there: BTreeMap<u64, &str> = all.iter().map(|(seq, text)| (*seq, text.as_str())).collect();
    for (seq, text) in must.acknowledged.iter().filter(|(seq, _)| **seq >= begin) {
        if there.get(seq) != Some(&text.as_str()) {
            return Err(format!("an acknowledged frame is not there: {seq}"));
        }
    }
    if let Some((seq, _)) = all.iter().find(|(_, text)| !text.starts_with("sent ")) {
        return Err(format!("nobody sent {seq}"));
    }
    let fresh = format!("sent after {}", report.last.0);
    let range = journal.writer().append_blocking(vec![line(&fresh)]).map_err(|error| format!("takes nothing new: {error}"))?;
    if range != (report.last.0 + 1..=report.last.0 + 1) || report.last.0 < must.acknowledged.keys().last().copied().unwrap_or(0) {
        return Err(format!("the new frame got {range:?} behind {}", report.last.0));
    }
    disk.note(Op::Acknowledged(vec![(*range.start(), fresh.clone())]));
    if read(&mut journal.reader(report.last))? != [(*range.start(), fresh)] {
        return Err("the new frame does not come back".into());
    }
    journal.close();
    let report = verify_on(&disk, Path::new(DIR), &mut |_, _| {}).map_err(|error| format!("cannot be verified: {error:?}"))?;
    if !report.is_sound() {
        return Err(format!("verify: {:?}", report.faults));
    }
    Ok(disk)
}

/// Crashes before and behind each operation of a log from `from` on, and while recovering from some of those crashes.
fn crashes(base: &Image, log: &[Op], from: usize, must: &Must, depth: u32, random: &mut Random) -> Result<usize, String> {
    let (mut replay, mut must) = (Replay::of(base), must.clone());
    let mut images = 0;
    for at in 0..=log.len() {
        let by_chance = [Leaves::Any { sectors: false }, Leaves::Any { sectors: true }];
        let torn = [Leaves::Torn(random.next().to_le_bytes()[0]), Leaves::Torn(random.next().to_le_bytes()[0])];
        let all: Vec<Leaves> = [Leaves::Nothing, Leaves::All].into_iter().chain(torn).chain(by_chance).chain(by_chance).collect();
        let kinds = if depth > 0 { all.as_slice() } else { &[all[0], all[2], all[4]] };
        for leaves in kinds.iter().filter(|_| at >= from) {
            let image = replay.crash(*leaves, random);
            let here = |problem: String| {
                format!(
                    "crash behind {:?} ({at} of {}), leaving {leaves:?}: {problem}",
                    at.checked_sub(1).map(|at| short(&log[at])),
                    log.len()
                )
            };
            let disk = check(&image, &must).map_err(here)?;
            images += 1;
            if depth > 0 && random.below(20) == 0 {
                images += crashes(&image, &disk.log(), 0, &must, depth - 1, random).map_err(here)?;
            }
        }
        if let Some(op) = log.get(at) {
            replay.play(op);
            must.follow(op);
        }
    }
    Ok(images)
}

fn short(op: &Op) -> String {
    format!("{op:?}").chars().take(60).collect()
}

fn crash_everywhere(seed: u64, plant: Option<Plant>) -> Result<usize, String> {
    let mut random = Random(seed);
    let disk = Recorded::of(&empty(), plant);
    workload(&disk, &mut random, APPENDS)?;
    crashes(&empty(), &disk.log(), 0, &Must::default(), 1, &mut random)
}

/// Each operation fails in each way, for a while; and then a power cut shortly after.
fn fail_everywhere(seed: u64, plant: Option<Plant>) -> Result<usize, String> {
    const SHORT: u64 = APPENDS / 2;
    let disk = Recorded::of(&empty(), None);
    workload(&disk, &mut Random(seed), SHORT)?;
    let mut images = 0;
    for from in 0..disk.attempts() {
        for (kind, count) in
            [(FaultKind::Io, 1), (FaultKind::Short, 1), (FaultKind::Io, 2), (FaultKind::Full, 5), (FaultKind::Killed, usize::MAX / 2)]
        {
            let here = |problem| format!("{kind:?} at the operations {from}..{}: {problem}", from + count);
            let disk = Recorded::of(&empty(), plant);
            disk.fail(Faults { from, until: from + count, kind });
            let mut random = Random(seed);
            workload(&disk, &mut random, SHORT).map_err(here)?;
            // What the failure left behind is still there at the end, or in the operations just behind it.
            let log = disk.log();
            let upto = (from + 12 + usize::try_from(random.below(12)).unwrap()).min(log.len());
            let mut must = Must::default();
            log.iter().for_each(|op| must.follow(op));
            let mut replay = Replay::of(&empty());
            log.iter().for_each(|op| replay.play(op));
            for leaves in [Leaves::Nothing, Leaves::All] {
                check(&replay.crash(leaves, &mut random), &must).map_err(here)?;
            }
            let before = log.get(..upto).unwrap_or_default();
            images += 2 + crashes(&empty(), before, upto.saturating_sub(2), &Must::default(), 0, &mut random).map_err(here)?;
        }
    }
    Ok(images)
}

#[test]
fn a_crash_between_any_two_operations_loses_nothing_acknowledged() {
    let images = crash_everywhere(seed(), None).unwrap_or_else(|problem| panic!("{problem}"));
    println!("{images} crashes");
    assert!(images > 1_000);
}

#[test]
fn a_failing_operation_loses_nothing_and_the_journal_goes_on_by_itself() {
    let images = fail_everywhere(seed(), None).unwrap_or_else(|problem| panic!("{problem}"));
    println!("{images} crashes after failures");
    assert!(images > 500);
}

#[test]
fn each_planted_bug_is_noticed() {
    let seed = seed();
    for (plant, by_crash) in [
        (Plant::NoSync, true),
        (Plant::NoDirSync, true),
        (Plant::NoTruncate, false),
        (Plant::RetrySync, false),
        (Plant::SealNotSynced, true),
        (Plant::FreedNotSaid, true),
    ] {
        // A few seeds: a mistake need not show in each workload, but none may hide for long.
        let mut tries =
            (0..8).map(|n| if by_crash { crash_everywhere(seed + n, Some(plant)) } else { fail_everywhere(seed + n, Some(plant)) });
        let noticed = tries.find_map(Result::err).unwrap_or_else(|| panic!("{plant:?} was not noticed"));
        println!("{plant:?}: {noticed}");
    }
}

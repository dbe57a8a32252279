//! Mending while events come and crashes come in between: nothing is lost, nothing is there twice. The journal here is one
//! that is read beside its writer, as `ingest::journal::peek` does it: who reads ends where it ended when he began.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::consumer::EventConsumer;
use super::tests::{DAY0, batch, frame, open, request, seqs};
use super::*;
use crate::pipeline::{Batch, Consumer};

const DAY: &str = "standard/2024-10-04";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What was received so far.
struct Written(Mutex<Vec<Frame>>);

impl Written {
    /// Reads it again in blocks of `block` frames.
    fn peek(&self, block: usize) -> impl FnMut(Option<Seq>) -> Result<Option<Batch>, Failure> + Send + '_ {
        let mut seen = self.0.lock().unwrap().clone();
        let mut at = 0;
        move |behind| {
            if let Some(behind) = behind {
                seen.clone_from(&self.0.lock().unwrap());
                at = behind.0 as usize;
            }
            // Blocks stay what they are, wherever one begins to read.
            let end = seen.len().min(at / block * block + block);
            let frames = &seen[at.min(end)..end];
            at = end;
            Ok((!frames.is_empty()).then(|| batch(frames)))
        }
    }
}

fn line(seq: u64) -> Frame {
    frame(seq, 1, &format!("t={}\thello n{seq}", DAY0 + seq as i64))
}

/// A store with the first eight of its events on disk, and a journal with as many.
fn begun(dir: &Path) -> (Arc<EventStore>, EventConsumer, Written) {
    let (store, mut consumer) = open(dir);
    let frames: Vec<Frame> = (1..=8).map(line).collect();
    consumer.apply(&batch(&frames)).unwrap();
    consumer.flush().unwrap();
    (store, consumer, Written(Mutex::new(frames)))
}

fn all(store: &EventStore) -> Vec<u64> {
    let mut found = seqs(&store.search(&SearchRequest { limit: LIMIT_MAX, ..request("hello") }).unwrap().hits);
    found.sort_unstable();
    found
}

/// Rebuilds; after each batch that it reads, `between` says which events come before it goes on. The consumer takes nothing
/// else: what it does is as certain as the order of reading.
fn rebuild_while(
    store: &Arc<EventStore>,
    consumer: &mut EventConsumer,
    journal: &Written,
    block: usize,
    mut between: impl FnMut(u64) -> Vec<Frame>,
) -> Result<Rebuilt, RebuildError> {
    let (ask, asked) = std::sync::mpsc::channel::<u64>();
    let (answer, answered) = std::sync::mpsc::channel::<()>();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let (mut read, mut reads) = (journal.peek(block), 0);
            let done = store.rebuild(
                DAY,
                &mut move |behind| {
                    let found = read(behind);
                    reads += 1;
                    ask.send(reads).unwrap();
                    answered.recv().unwrap();
                    found
                },
                &|_| true,
            );
            over.store(true, Ordering::Release);
            done
        });
        while !over.load(Ordering::Acquire) {
            if let Ok(reads) = asked.recv_timeout(Duration::from_millis(2)) {
                for frame in between(reads) {
                    journal.0.lock().unwrap().push(frame.clone());
                    consumer.apply(&batch(&[frame])).unwrap();
                }
                answer.send(()).unwrap();
            } else {
                consumer.tick(Timestamp(0)).unwrap();
            }
        }
        worker.join().unwrap()
    })
}

#[test]
fn what_comes_while_a_sound_day_is_made_anew_is_in_it() {
    // However large the journal's blocks are, and after whichever reading something comes: one or three events.
    for block in [3, 7, 8, 100] {
        for at in 1..=4 {
            for many in [1, 3] {
                let dir = tempfile::tempdir().unwrap();
                let (store, mut consumer, journal) = begun(dir.path());
                let label = format!("block {block}, after reading {at}, {many} events");
                let mut came = 0;
                let rebuilt = rebuild_while(&store, &mut consumer, &journal, block, |reads| {
                    if reads != at {
                        return vec![];
                    }
                    came = many;
                    (9..9 + many).map(line).collect()
                });
                assert_eq!(rebuilt.unwrap().documents, 8 + came, "{label}");
                assert_eq!(all(&store), (1..=8 + came).collect::<Vec<_>>(), "{label}");
                consumer.flush().unwrap();
                drop((store, consumer));
                let (store, mut consumer) = open(dir.path());
                consumer.apply(&batch(&journal.0.lock().unwrap())).unwrap();
                assert_eq!(all(&store), (1..=8 + came).collect::<Vec<_>>(), "{label}, after a start");
            }
        }
    }
}

#[test]
fn a_journal_that_grows_behind_the_readers_end_is_read_to_where_the_store_is() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer, journal) = begun(dir.path());
    // The reader is opened, as the upkeep does it, before it is asked how far the store is.
    let mut read = journal.peek(4);
    for seq in 9..=11 {
        journal.0.lock().unwrap().push(line(seq));
        consumer.apply(&batch(&[line(seq)])).unwrap();
    }
    let done = AtomicBool::new(false);
    let rebuilt = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let rebuilt = store.rebuild(DAY, &mut read, &|_| true);
            done.store(true, Ordering::Release);
            rebuilt
        });
        while !done.load(Ordering::Acquire) {
            consumer.tick(Timestamp(0)).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        worker.join().unwrap()
    });
    assert_eq!(rebuilt.unwrap().documents, 11);
    assert_eq!(all(&store), (1..=11).collect::<Vec<_>>());
}

/// The folder of a day is gone, its late events wait in a sibling's memory, and the program is killed when the day is made
/// anew without them: they come again from the journal.
#[test]
fn a_crash_before_a_day_takes_its_place_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, consumer, journal) = begun(dir.path());
    drop((store, consumer));
    std::fs::remove_dir_all(dir.path().join(DAY)).unwrap();
    let (store, mut consumer) = open(dir.path());
    for seq in 9..=11 {
        journal.0.lock().unwrap().push(line(seq));
        consumer.apply(&batch(&[line(seq)])).unwrap();
    }
    // It reads three blocks and asks for its place; nobody answers, and the program is killed: what is in memory is gone.
    let calls = std::sync::atomic::AtomicU32::new(0);
    let killed = store.rebuild(DAY, &mut journal.peek(4), &|_| calls.fetch_add(1, Ordering::Relaxed) < 3);
    assert!(matches!(killed, Err(RebuildError::Failed { .. })), "killed behind the reading");
    drop((store, consumer));
    let (store, mut consumer) = open(dir.path());
    consumer.apply(&batch(&journal.0.lock().unwrap())).unwrap();
    assert_eq!(store.stats().damaged, [DAY]);
    assert_eq!(rebuild_while(&store, &mut consumer, &journal, 4, |_| vec![]).unwrap().documents, 8);
    assert_eq!(all(&store), (1..=11).collect::<Vec<_>>());
}

/// Behind a crash a day has more on disk than the cursor says, and is found damaged before all of it came again.
#[test]
fn a_day_that_is_ahead_of_the_cursor_is_not_made_anew_without_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let (store, consumer, journal) = begun(dir.path());
    drop((store, consumer));
    std::fs::write(dir.path().join("cursor"), "5\n").unwrap();
    let (store, mut consumer) = open(dir.path());
    store.snapshot().partitions[DAY].part.is_broken();
    // Of the replay six and seven came, and are taken for known or go beside it.
    consumer.apply(&batch(&(6..=7).map(line).collect::<Vec<_>>())).unwrap();
    let rebuilt = std::thread::scope(|scope| {
        let worker = scope.spawn(|| store.rebuild(DAY, &mut journal.peek(3), &|_| true));
        let mut ticks = 0;
        while !worker.is_finished() {
            ticks += 1;
            if ticks == 20 {
                consumer.apply(&batch(&[line(8)])).unwrap();
            }
            consumer.tick(Timestamp(0)).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        worker.join().unwrap()
    });
    rebuilt.unwrap();
    assert_eq!(all(&store), (1..=8).collect::<Vec<_>>());
}

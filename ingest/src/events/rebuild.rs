//! Mending a partition from the journal: it is made anew beside the store, from every event of its day that is in none of
//! its siblings, and takes its place between two commits. Searches go on meanwhile. Reads the journal through its caller,
//! who also says how far it got.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::changes::{Change, MORE, remove};
use super::consumer::{day_of, with_frames};
use super::partition::{self, Facts, Opened, new_dir};
use super::schema::SEQ;
use super::writers::Writer;
use super::{EventStore, Payload, guarded};
use crate::frame::Seq;
use crate::pipeline::Batch;

/// Events in one commit of a partition that is being rebuilt.
const COMMIT_EVENTS: u64 = 100_000;
/// How often what came meanwhile is fetched before a partition that does not come to rest is given up.
const PASSES_MAX: usize = 5;
/// Sequences of siblings that are kept in memory as bits: a day of the largest load has 5 G of events and flows.
const SEQ_SPAN_MAX: u64 = 8_000_000_000;

/// How often, and how many times, it is looked whether the intake has come to where a partition is: behind a crash that
/// is what half a minute brings, within a few seconds.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS_MAX: u32 = 600;

type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Gives the journal from the first frame that may belong to a day, or from behind a given sequence: the next batch each time.
type Read<'a> = dyn FnMut(Option<Seq>) -> Result<Option<Batch>, Failure> + 'a;

#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error("{0}: what is held has no other copy; restore it from a backup")]
    Held(String),
    #[error("{0} takes in events all the time; ask again when the day is over")]
    Busy(String),
    #[error("rebuild {name}: {source}")]
    Failed { name: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("stopped")]
    Stopped,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rebuilt {
    pub name: String,
    /// Events that it has now.
    pub documents: u64,
    /// The journal's frames that were read for it.
    pub frames: u64,
    /// The last sequence that was read.
    pub at: Seq,
    /// Up to where it is read.
    pub until: Seq,
    /// The first frame that the journal still has, where it may have had events of this day before.
    pub missing_before: Option<Seq>,
}

impl EventStore {
    /// The partitions that cannot be read.
    pub fn damaged_partitions(&self) -> Vec<String> {
        self.damaged().into_iter().collect()
    }

    /// Makes a partition anew. `read` gives the journal from the first frame that may belong to its day (or from behind a
    /// given sequence), decoded; `progress` hears how far it is and says whether to go on.
    ///
    /// # Errors
    /// Where it cannot be made; then all is as it was.
    pub fn rebuild(&self, name: &str, read: &mut Read<'_>, progress: &dyn Fn(&Rebuilt) -> bool) -> Result<Rebuilt, RebuildError> {
        if partition::class_of(name) == super::HOLD {
            return Err(RebuildError::Held(name.to_owned()));
        }
        let failed = |source| RebuildError::Failed { name: name.to_owned(), source };
        self.forgotten_known().map_err(failed)?;
        let new = new_dir(&self.dir, name);
        let fresh = || -> Result<Writer, Failure> {
            remove(&new)?;
            std::fs::create_dir_all(&new)?;
            guarded(|| Writer::open(&Opened::create(&new)?.index))
        };
        let mut writer = fresh().map_err(failed)?;
        let mut rebuilt = Rebuilt { name: name.to_owned(), ..Rebuilt::default() };
        let mut again = Again { read, kept: None };
        for _ in 0..PASSES_MAX {
            let behind = rebuilt.until;
            // First how far, then what the siblings have: what comes later to them is behind that.
            rebuilt.until = self.caught_up(name, &rebuilt, progress)?;
            let siblings = self.siblings(name).map_err(failed)?;
            self.pass(&mut writer, &mut rebuilt, behind, &siblings, &mut again, progress)?;
            let done = || -> Result<(), Failure> {
                let opened = guarded(|| Opened::open(&new))?;
                Facts::of(&new, opened.payload()?, &opened.reader.searcher(), &Facts::default())?.save(&new);
                Ok(())
            };
            done().map_err(failed)?;
            // The writer's lock on the folder must be gone before the consumer opens it.
            writer.writer.wait_merging_threads().map_err(|error| failed(error.into()))?;
            let stop = || !progress(&rebuilt);
            match self.change_ask(Change::Swap { name: name.to_owned(), until: rebuilt.until }, &stop) {
                Ok(()) => return Ok(rebuilt),
                Err(error) if error.contains(MORE) => {}
                Err(error) => return Err(failed(error.into())),
            }
            writer = guarded(|| Writer::open(&Opened::open(&new)?.index)).map_err(failed)?;
        }
        Err(RebuildError::Busy(name.to_owned()))
    }

    /// Up to where the store has taken everything in, as soon as that is all that the partition itself has: behind a crash it
    /// may have more than is taken in again, and what it has nobody else gets.
    fn caught_up(&self, name: &str, rebuilt: &Rebuilt, progress: &dyn Fn(&Rebuilt) -> bool) -> Result<Seq, RebuildError> {
        for _ in 0..LOOKS_MAX {
            let applied = Seq(self.applied.load(Ordering::Acquire));
            if self.last_on_disk(name) <= applied {
                return Ok(applied);
            }
            if !progress(rebuilt) {
                return Err(RebuildError::Stopped);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(RebuildError::Busy(name.to_owned()))
    }

    /// The last sequence that a partition has on disk, or had when it was set aside; 0 where that is not known, because it was
    /// damaged before the start, or where there is none.
    pub(super) fn last_on_disk(&self, name: &str) -> Seq {
        let views = self.snapshot();
        let on_disk = views.partitions.get(name).and_then(|view| view.facts.seqs()).map_or(0, |(_, last)| last);
        Seq(on_disk).max(views.aside.get(name).copied().unwrap_or_default())
    }

    fn pass(
        &self,
        writer: &mut Writer,
        rebuilt: &mut Rebuilt,
        behind: Seq,
        siblings: &SeqSet,
        again: &mut Again<'_>,
        progress: &dyn Fn(&Rebuilt) -> bool,
    ) -> Result<(), RebuildError> {
        let name = rebuilt.name.clone();
        let failed = |source| RebuildError::Failed { name: name.clone(), source };
        let (class, day) = (partition::class_of(&name), partition::day_of(&name));
        let (forgotten, mut open) = (self.forgotten(), 0);
        let payload = Payload { position: rebuilt.until, complete: Seq(0) };
        while let Some(batch) = again.next(rebuilt.at, rebuilt.until).map_err(failed)? {
            if rebuilt.frames == 0 {
                rebuilt.missing_before = Some(batch.first).filter(|first| first.0 > 1);
            }
            for (event, frame) in with_frames(&batch).filter(|(event, _)| event.seq > behind && event.seq <= rebuilt.until) {
                let ours = day_of(event) == day && &*self.class_of(event) == class;
                if ours && !siblings.contains(event.seq.0) && !forgotten.contains(&event.seq) {
                    writer.add(&self.pending_of(class, event, frame)).map_err(|error| failed(error.into()))?;
                    (rebuilt.documents, open) = (rebuilt.documents + 1, open + 1);
                }
            }
            if rebuilt.at < batch.last {
                rebuilt.frames += batch.frames.len() as u64;
                rebuilt.at = batch.last;
            }
            // What came behind `until` is for the next pass: only then is it known what the siblings have of it.
            again.kept = Some(batch).filter(|batch| batch.last > rebuilt.until);
            if open >= COMMIT_EVENTS {
                writer.commit(payload).map_err(|error| failed(error.into()))?;
                open = 0;
            }
            if !progress(rebuilt) {
                return Err(RebuildError::Stopped);
            }
            if again.kept.is_some() {
                break;
            }
        }
        if rebuilt.at < rebuilt.until {
            tracing::warn!(partition = name, at = rebuilt.at.0, until = rebuilt.until.0, "the journal ends before what is to be rebuilt");
        }
        writer.commit(payload).map_err(|error| failed(error.into()))
    }

    /// What the other partitions of the same day have, those in memory included.
    fn siblings(&self, name: &str) -> Result<SeqSet, Failure> {
        // What is held of a day that is gone is a sibling too: one that comes late makes the day anew.
        let day = |name: &str| (partition::class_held(name).to_owned(), partition::day_of(name).to_owned());
        let (views, damaged) = (self.snapshot(), self.damaged());
        let others = views.partitions.iter().filter(|(other, _)| *other != name && day(other) == day(name) && !damaged.contains(*other));
        let others: Vec<_> = others.map(|(_, view)| view).collect();
        // What is left out here must not be taken for sound by the next start: then both had its events.
        for other in damaged.iter().filter(|other| *other != name && day(other) == day(name)) {
            if self.dir.join(other).is_dir() {
                partition::damaged_note(&self.dir.join(other))?;
            }
        }
        let in_memory = || others.iter().flat_map(|view| &view.memory).flat_map(|chunk| chunk.iter().map(|pending| pending.event.seq.0));
        let on_disk = || others.iter().filter_map(|view| view.facts.seqs());
        let first = in_memory().chain(on_disk().map(|(first, _)| first)).min();
        let last = in_memory().chain(on_disk().map(|(_, last)| last)).max();
        let (Some(first), Some(last)) = (first, last) else { return Ok(SeqSet::default()) };
        let mut set = SeqSet::new(first, last)?;
        in_memory().for_each(|seq| set.insert(seq));
        for view in others {
            for reader in view.searcher()?.segment_readers() {
                let column = reader.fast_fields().u64(SEQ)?;
                (0..reader.max_doc()).filter_map(|doc| column.first(doc)).for_each(|seq| set.insert(seq));
            }
        }
        Ok(set)
    }
}

/// The journal, read again.
struct Again<'a> {
    read: &'a mut Read<'a>,
    /// The batch in which the last pass ended.
    kept: Option<Batch>,
}

impl Again<'_> {
    /// What comes behind `at`, or `None` where everything up to `until` was read.
    fn next(&mut self, at: Seq, until: Seq) -> Result<Option<Batch>, Failure> {
        if let Some(kept) = self.kept.take() {
            return Ok(Some(kept));
        }
        if at >= until {
            return Ok(None);
        }
        // Who reads beside the writer ends where the journal ended when he began: he must look again.
        match (self.read)(None)? {
            Some(batch) => Ok(Some(batch)),
            None => (self.read)(Some(at)),
        }
    }
}

/// A set of sequences close to each other, as bits.
#[derive(Default)]
struct SeqSet {
    first: u64,
    bits: Vec<u64>,
}

impl SeqSet {
    fn new(first: u64, last: u64) -> Result<Self, String> {
        let span = last.saturating_sub(first);
        if span > SEQ_SPAN_MAX {
            return Err(format!("the siblings span {span} sequences, more than can be told apart"));
        }
        Ok(Self { first, bits: vec![0; usize::try_from(span / 64 + 1).unwrap_or(usize::MAX)] })
    }

    fn place(&self, seq: u64) -> Option<(usize, u64)> {
        let offset = seq.checked_sub(self.first)?;
        Some((usize::try_from(offset / 64).ok()?, 1 << (offset % 64)))
    }

    fn insert(&mut self, seq: u64) {
        if let Some((at, bit)) = self.place(seq)
            && let Some(bits) = self.bits.get_mut(at)
        {
            *bits |= bit;
        }
    }

    fn contains(&self, seq: u64) -> bool {
        self.place(seq).is_some_and(|(at, bit)| self.bits.get(at).is_some_and(|bits| bits & bit != 0))
    }
}

//! Forgetting: events that an authorised person has deleted before their time, as Art. 17 GDPR may demand, with proof. What
//! goes is written down first as a list of sequences (`.forgetting/<id>.json`), which from then on nothing brings back: no
//! replay, no rebuild. Then it is taken out of every partition and the segments are written anew without it, so that no
//! file holds it any more. The list stays (`.forgotten/<id>.json`); it and the record know how many and of which days, and a
//! digest, but nothing of the content. The journal keeps its own copies until their time is over: the record says until when.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tantivy::query::{BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query as IndexQuery, Scorer, Weight};
use tantivy::{BitSet, DocAddress, DocId, Score, SegmentReader};

use super::changes::{ASIDE_DIR, Change};
use super::hold::Hold;
use super::partition::{NEW_DIR, class_of, day_of, rename, replace};
use super::schema::SEQ;
use super::views::View;
use super::writers::locked;
use super::{EventStore, HOLD, guarded};
use crate::body::SiteTable;
use crate::frame::Seq;
use crate::query::Query;
use crate::time::Timestamp;

/// Events of one order. A person's are some ten thousand a year; more are a wrong query, or a class's affair.
pub const FORGET_MAX: usize = 1_000_000;
/// All sequences that are forgotten: they are kept in memory, some twelve bytes each, and asked for every event.
const FORGOTTEN_MAX: usize = 5_000_000;
/// Lists under way, and those that are done.
const UNDER_WAY_DIR: &str = ".forgetting";
const DONE_DIR: &str = ".forgotten";
/// How often, and how many times, it is looked whether a search still holds the files that are to go.
const PATIENCE: Duration = Duration::from_millis(100);
const LOOKS_MAX: u32 = 300;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    #[error("{events} of the events are under legal hold ({}): release the hold first (`wartburg store hold ls`)", days.join(", "))]
    Held { events: u64, days: Vec<String> },
    #[error("{0} is damaged, and nobody can tell what is in it: mend it first (`wartburg store rebuild`)")]
    Damaged(String),
    #[error("more than {0} events: narrow the query")]
    TooMany(usize),
    /// Nothing was done.
    #[error("{0}")]
    Failed(Failure),
    /// It is written down and will be done: from here on there is no way back.
    #[error("{0}")]
    UnderWay(Failure),
}

/// What is to be forgotten.
#[derive(Clone, Debug)]
pub struct ForgetOrder {
    pub id: String,
    pub query: Query,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// For how many days the journal keeps what it received.
    pub journal_days: u32,
}

/// What was forgotten. It says nothing of the content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    pub events: u64,
    /// By partition.
    pub days: BTreeMap<String, u64>,
    /// SHA-256 over, for each event by rising sequence, the sequence (8 bytes, big-endian) and the SHA-256 of its stored line.
    pub digest: String,
    /// SHA-256 over the sequences alone, by which the kept list is checked.
    pub list_digest: String,
    /// Looked for in what was received up to here.
    pub until: Seq,
    /// About when the journal has freed the last of its copies; `None` where there are none.
    pub journal_until: Option<Timestamp>,
    /// Older states of these days below `events/.aside`, which only hands delete.
    pub aside: Vec<String>,
}

/// The list as it stands in its file.
#[derive(Serialize, Deserialize)]
struct List {
    forgotten: Forgotten,
    seqs: BTreeSet<Seq>,
}

impl List {
    fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(|error| format!("{}: {error}", path.display()))?,
        };
        let list: Self = serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        if list_digest(&list.seqs) != list.forgotten.list_digest {
            return Err(format!("{}: its sequences are not those that were written", path.display()).into());
        }
        Ok(Some(list))
    }
}

/// All that is forgotten; a list that cannot be read is said and left out (`rebuild` then refuses).
pub(super) fn load(dir: &Path) -> BTreeSet<Seq> {
    let (seqs, faults) = read_all(dir);
    for fault in faults {
        tracing::error!(fault, "event store: a list of what is forgotten cannot be read: it must be restored from a backup");
    }
    seqs
}

fn read_all(dir: &Path) -> (BTreeSet<Seq>, Vec<String>) {
    let (mut seqs, mut faults) = (BTreeSet::new(), Vec::new());
    let places = [UNDER_WAY_DIR, DONE_DIR].into_iter().filter_map(|place| std::fs::read_dir(dir.join(place)).ok());
    for path in places.flatten().filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_list(path)) {
        match List::read(&path) {
            Ok(list) => seqs.extend(list.into_iter().flat_map(|list| list.seqs)),
            Err(fault) => faults.push(fault.to_string()),
        }
    }
    (seqs, faults)
}

fn is_list(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "json")
}

impl EventStore {
    /// Whether every list of what is forgotten can be read: without it nothing must be made anew from the journal.
    ///
    /// # Errors
    /// Which cannot.
    pub(super) fn forgotten_known(&self) -> Result<(), Failure> {
        read_all(&self.dir).1.into_iter().next().map_or(Ok(()), |fault| Err(fault.into()))
    }

    /// Forgets. Called again with the same order it goes on where it was.
    ///
    /// # Errors
    /// Where nothing was done (`Held`, `Damaged`, `TooMany`, `Failed`), or it is not yet done to its end (`UnderWay`).
    pub fn forget(
        &self,
        order: &ForgetOrder,
        holds: &[Hold],
        sites: &SiteTable,
        stop: &dyn Fn() -> bool,
    ) -> Result<Forgotten, ForgetError> {
        let file = format!("{}.json", order.id);
        let (under_way, done) = (self.dir.join(UNDER_WAY_DIR).join(&file), self.dir.join(DONE_DIR).join(&file));
        if let Some(list) = List::read(&done).map_err(ForgetError::UnderWay)? {
            return Ok(list.forgotten);
        }
        let list = match List::read(&under_way).map_err(ForgetError::UnderWay)? {
            Some(list) => list,
            None => {
                let list = self.forget_look(order, holds, sites, stop)?;
                let write = || -> Result<(), Failure> {
                    std::fs::create_dir_all(self.dir.join(UNDER_WAY_DIR))?;
                    Ok(replace(&self.dir.join(UNDER_WAY_DIR), &file, &serde_json::to_string(&list)?)?)
                };
                write().map_err(ForgetError::Failed)?;
                list
            }
        };
        self.forget_for_good(list.seqs.iter().copied());
        let seqs = Arc::new(list.seqs);
        let work = || -> Result<(), Failure> {
            for name in self.snapshot().partitions.into_keys() {
                self.forget_in(&name, &seqs, stop)?;
            }
            // What was being made anew and did not come to its end has whole lines too; whoever made it is this thread.
            super::changes::remove(&self.dir.join(NEW_DIR))?;
            Ok(rename(&under_way, &done)?)
        };
        work().map_err(ForgetError::UnderWay)?;
        Ok(list.forgotten)
    }

    /// What is to go, with its record.
    fn forget_look(&self, order: &ForgetOrder, holds: &[Hold], sites: &SiteTable, stop: &dyn Fn() -> bool) -> Result<List, ForgetError> {
        let failed = |error: Failure| ForgetError::Failed(error);
        let until = Seq(self.applied.load(std::sync::atomic::Ordering::Acquire));
        // What is in memory is on disk then.
        self.change_ask(Change::Settle, stop).map_err(|error| failed(error.into()))?;
        let asked =
            Hold { query: Some(self.asked(&order.query, true).unwrap_or_else(|| order.query.clone())), ..Hold::of(order.from, order.to) };
        if let Some(name) = self.damaged().into_iter().find(|name| asked.touches_day(day_of(name))) {
            return Err(ForgetError::Damaged(name));
        }
        let holds = self.holds_asked(holds);
        let (mut found, mut held) = (Found::default(), BTreeMap::<String, u64>::new());
        for (name, view) in self.snapshot().partitions.iter() {
            let mut look = || self.forget_look_in(name, view, &asked, &holds, sites, until, &mut found, stop);
            let is_held = look().map_err(failed)?;
            if is_held > 0 {
                *held.entry(name.clone()).or_default() += is_held;
            }
            if found.lines.len() > FORGET_MAX || found.lines.len() + self.forgotten().len() > FORGOTTEN_MAX {
                return Err(ForgetError::TooMany(FORGET_MAX));
            }
        }
        if !held.is_empty() {
            return Err(ForgetError::Held { events: held.values().sum(), days: held.into_keys().collect() });
        }
        Ok(found.list(until, order.journal_days, self.aside_of_days()))
    }

    /// Adds a partition's events; how many of them are held.
    #[expect(clippy::too_many_arguments, reason = "the one step of `forget_look`, which has all of it")]
    fn forget_look_in(
        &self,
        name: &str,
        view: &View,
        asked: &Hold,
        holds: &[Hold],
        sites: &SiteTable,
        until: Seq,
        found: &mut Found,
        stop: &dyn Fn() -> bool,
    ) -> Result<u64, Failure> {
        let searcher = view.searcher()?;
        let mut is_held = 0;
        for (ordinal, _) in (0u32..).zip(searcher.segment_readers()) {
            let docs = guarded(|| self.held_docs(&searcher, ordinal, std::slice::from_ref(asked), sites))?;
            if docs.is_empty() {
                continue;
            }
            let mut held = docs.clone();
            if class_of(name) != HOLD {
                held.and(&guarded(|| self.held_docs(&searcher, ordinal, holds, sites))?);
            }
            is_held += held.len();
            for doc in docs.iter() {
                if stop() {
                    return Err("stopped".into());
                }
                let event = guarded(|| self.kept(&searcher, DocAddress::new(ordinal, doc)))?.event;
                if event.seq <= until {
                    found.lines.insert(event.seq, Sha256::digest(event.raw()).into());
                    found.newest = found.newest.max(Some(event.received_at));
                    *found.days.entry(name.to_owned()).or_default() += 1;
                }
                if found.lines.len() > FORGET_MAX {
                    return Ok(is_held);
                }
            }
        }
        Ok(is_held)
    }

    /// Takes sequences out of a partition, so that none of its files holds them any more.
    fn forget_in(&self, name: &str, seqs: &Arc<BTreeSet<Seq>>, stop: &dyn Fn() -> bool) -> Result<(), Failure> {
        let Some(view) = self.snapshot().partitions.get(name).cloned() else { return Ok(()) };
        let between = view.facts.seqs().is_some_and(|(first, last)| seqs.range(Seq(first)..=Seq(last)).next().is_some());
        // What an earlier try deleted may still be in segments, and those that it wrote anew still be there.
        let half = view.facts.segments.values().any(|segment| segment.deleted > 0);
        let before: BTreeSet<String> = super::partition::sizes(&view.part.dir).keys().filter_map(|file| segment_of(file)).collect();
        let left = before.iter().any(|id| !view.facts.segments.contains_key(id));
        let has = between && guarded(|| has_any(&view.searcher().map_err(internal)?, seqs))?;
        if !half && !has && !left {
            return Ok(());
        }
        drop(view);
        let work = || -> Result<(), Failure> {
            let writer = self.writer(name)?;
            let mut held = locked(&writer);
            let payload = self.pin(name)?.payload()?;
            held.writer.delete_query(Box::new(OfSeqs(seqs.clone())))?;
            if let Err(error) = held.commit(payload) {
                drop(held);
                self.writer_abandon(name);
                return Err(error.into());
            }
            self.refresh(name)?;
            drop(held);
            if !self.merge(name, stop)? {
                return Err("stopped".into());
            }
            self.until_unlinked(name, &before, stop)
        };
        let done = work();
        // At the program's end nobody waits for a merge.
        if !stop() {
            self.writer_close(name)?;
        }
        done
    }

    /// Waits until the files of those of the segments that the index has no more are gone: a search may still read them.
    fn until_unlinked(&self, name: &str, before: &BTreeSet<String>, stop: &dyn Fn() -> bool) -> Result<(), Failure> {
        for _ in 0..LOOKS_MAX {
            let writer = self.writer(name)?;
            locked(&writer).writer.garbage_collect_files().wait()?;
            drop(writer);
            let facts = self.snapshot().partitions.get(name).map(|view| view.facts.clone()).unwrap_or_default();
            let gone = |file: &str| before.iter().any(|id| !facts.segments.contains_key(id) && file.starts_with(id.as_str()));
            if !super::partition::sizes(&self.dir.join(name)).keys().any(|file| gone(file)) {
                return Ok(());
            }
            if stop() {
                return Err("stopped".into());
            }
            std::thread::sleep(PATIENCE);
        }
        Err(format!("{name}: a search still reads the old files").into())
    }

    /// What was set aside: the events are in there as well.
    fn aside_of_days(&self) -> BTreeSet<String> {
        let all = super::partition::folders(&self.dir.join(ASIDE_DIR)).unwrap_or_default();
        all.into_iter().map(|(name, _)| name).collect()
    }

    /// What is wrong with what was forgotten, in words: a list that is missing or changed, a partition that has events again.
    pub fn forgotten_verify<'a>(&self, records: impl IntoIterator<Item = (&'a str, &'a Forgotten)>) -> Vec<String> {
        let (seqs, mut faults) = read_all(&self.dir);
        for (id, record) in records {
            let path = self.dir.join(DONE_DIR).join(format!("{id}.json"));
            match List::read(&path) {
                Ok(Some(list)) if list.forgotten == *record => {}
                Ok(Some(_)) => faults.push(format!("{}: it is not the one that was recorded", path.display())),
                Ok(None) => faults.push(format!("{}: missing", path.display())),
                Err(_) => {}
            }
        }
        for (name, view) in self.snapshot().partitions.iter().filter(|_| !seqs.is_empty()) {
            match view.searcher().and_then(|searcher| guarded(|| has_any(&searcher, &seqs))) {
                Ok(true) => faults.push(format!("{name}: it has events that were to be forgotten")),
                Ok(false) => {}
                Err(error) => faults.push(format!("{name}: {error}")),
            }
        }
        faults
    }

    /// Sequences that must never be taken in again, whatever the journal still holds.
    fn forget_for_good(&self, seqs: impl IntoIterator<Item = Seq>) {
        let mut forgotten = self.forgotten.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut forgotten).extend(seqs);
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    lines: BTreeMap<Seq, [u8; 32]>,
    days: BTreeMap<String, u64>,
    /// When the last of it was received.
    newest: Option<Timestamp>,
}

impl Found {
    fn list(self, until: Seq, journal_days: u32, aside: BTreeSet<String>) -> List {
        let mut sum = Sha256::new();
        for (seq, line) in &self.lines {
            sum.update(seq.0.to_be_bytes());
            sum.update(line);
        }
        let seqs: BTreeSet<Seq> = self.lines.into_keys().collect();
        let of_days = |aside: &String| self.days.keys().any(|name| aside.starts_with(&name.replace('/', "~")));
        let forgotten = Forgotten {
            events: seqs.len() as u64,
            digest: hex(&sum.finalize()),
            list_digest: list_digest(&seqs),
            until,
            journal_until: self.newest.map(|at| at.plus(i64::from(journal_days) * Timestamp::DAY)),
            aside: aside.into_iter().filter(of_days).collect(),
            days: self.days,
        };
        List { forgotten, seqs }
    }
}

fn list_digest(seqs: &BTreeSet<Seq>) -> String {
    let mut sum = Sha256::new();
    seqs.iter().for_each(|seq| sum.update(seq.0.to_be_bytes()));
    hex(&sum.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The segment that a file is of.
fn segment_of(file: &str) -> Option<String> {
    let id = file.split('.').next().filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    id.map(str::to_owned)
}

/// Whether documents that are not deleted have any of the sequences.
pub(super) fn has_any(searcher: &tantivy::Searcher, seqs: &BTreeSet<Seq>) -> tantivy::Result<bool> {
    for reader in searcher.segment_readers() {
        let column = reader.fast_fields().u64(SEQ)?;
        if reader.max_doc() == 0 || seqs.range(Seq(column.min_value())..=Seq(column.max_value())).next().is_none() {
            continue;
        }
        if reader.doc_ids_alive().any(|doc| column.first(doc).is_some_and(|seq| seqs.contains(&Seq(seq)))) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn internal(error: Failure) -> tantivy::TantivyError {
    tantivy::TantivyError::InternalError(error.to_string())
}

/// The documents of these sequences, for the index's own deleting; the column is not inverted, so it is walked.
#[derive(Clone, Debug)]
struct OfSeqs(Arc<BTreeSet<Seq>>);

impl IndexQuery for OfSeqs {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for OfSeqs {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let column = reader.fast_fields().u64(SEQ)?;
        let mut docs = BitSet::with_max_value(reader.max_doc());
        let ours = |doc: &DocId| column.first(*doc).is_some_and(|seq| self.0.contains(&Seq(seq)));
        for doc in (0..reader.max_doc()).filter(ours) {
            docs.insert(doc);
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(docs), boost)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Err(tantivy::TantivyError::InternalError("nothing is scored here".into()))
    }
}

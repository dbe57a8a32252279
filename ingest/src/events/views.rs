//! What searches see: one `Views` value, replaced under a lock whenever events come or a commit moves them to disk. Days
//! that nobody writes are opened when a search comes to them, and stay open within a bound.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::Searcher;

use super::partition::{Facts, Opened, catalog_read, is_unborn, list};
use super::{EventStoreError, Payload, Pending, guarded};
use crate::frame::Seq;
use crate::time::Timestamp;

/// Segments that stay open for the next search. Each has about eight files mapped, and a process may have 65,530 mappings;
/// open and unused it costs some 100 KiB. A sealed day of a usual load has one, of the largest about a hundred.
const OPEN_SEGMENTS_MAX: usize = 1_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What can be searched, by partition name (`standard/2026-11-21`).
#[derive(Clone, Default)]
pub(super) struct Views {
    pub(super) partitions: BTreeMap<String, View>,
    pub(super) damaged: Vec<String>,
    /// Up to where those had something that were set aside since the start: made anew they must have it.
    pub(super) aside: BTreeMap<String, Seq>,
}

/// One partition as searches see it.
#[derive(Clone)]
pub(super) struct View {
    pub(super) part: Arc<Part>,
    pub(super) facts: Arc<Facts>,
    /// Open for writing. Always there where `memory` is not empty: what is in memory and what is on disk belong together.
    pub(super) pinned: Option<Pinned>,
    /// Events that are not yet on disk, in the chunks in which they came.
    pub(super) memory: Vec<Arc<Vec<Pending>>>,
}

#[derive(Clone)]
pub(super) struct Pinned {
    pub(super) opened: Arc<Opened>,
    pub(super) searcher: Searcher,
}

/// A partition's place, and the shelf of those that are open.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    shelf: Arc<Shelf>,
    /// Somebody took it away or put another in its place: that it cannot be read any more is no damage.
    gone: AtomicBool,
}

impl View {
    pub(super) fn new(name: &str, dir: PathBuf, facts: Facts, shelf: &Arc<Shelf>) -> Self {
        let part = Part { name: name.to_owned(), dir, shelf: shelf.clone(), gone: AtomicBool::new(false) };
        Self { part: Arc::new(part), facts: Arc::new(facts), pinned: None, memory: Vec::new() }
    }

    /// The one way to a partition's index: opened here if need be.
    ///
    /// # Errors
    /// Where its files are damaged; `Views::damaged` has it from then on.
    pub(super) fn searcher(&self) -> Result<Searcher, Failure> {
        match &self.pinned {
            Some(pinned) => Ok(pinned.searcher.clone()),
            None => Ok(self.part.open()?.reader.searcher()),
        }
    }

    /// Whether it may hold events of `from..to`: only then it need be opened.
    pub(super) fn touches(&self, from: i64, to: i64) -> bool {
        self.facts.span().is_some_and(|(oldest, newest)| oldest < to && newest >= from)
    }

    /// The newest time on disk, as far as it is known.
    pub(super) fn newest_on_disk(&self) -> i64 {
        self.facts.span().map_or(i64::MIN, |(_, newest)| newest)
    }

    pub(super) fn payload(&self) -> Payload {
        self.facts.payload
    }

    pub(super) fn pending(&self) -> u64 {
        self.memory.iter().map(|chunk| chunk.len() as u64).sum()
    }

    pub(super) fn newest(&self) -> Option<Timestamp> {
        let in_memory = self.memory.iter().flat_map(|chunk| chunk.iter().map(|pending| pending.event.timestamp.0));
        in_memory.chain(self.facts.span().map(|(_, newest)| newest)).max().map(Timestamp)
    }
}

impl Part {
    /// Opens the index, or gives the one that is open.
    pub(super) fn open(&self) -> Result<Arc<Opened>, Failure> {
        let opened = self.shelf.get(&self.name, || guarded(|| Opened::open(&self.dir)));
        if let Err(error) = &opened {
            tracing::error!(partition = self.name, %error, "event store: partition cannot be opened");
            self.is_broken();
        }
        opened
    }

    /// A search could not read it.
    pub(super) fn is_broken(&self) {
        if !self.gone.load(Ordering::Acquire) {
            self.shelf.broken(&self.name);
        }
    }

    /// From here on its files are not there, or are others.
    pub(super) fn goes(&self) {
        self.gone.store(true, Ordering::Release);
    }
}

/// The open partitions that nobody writes, and those that were found damaged since the start.
#[derive(Default)]
pub(super) struct Shelf {
    state: Mutex<Shelved>,
}

#[derive(Default)]
struct Shelved {
    open: HashMap<String, (Arc<Opened>, usize, u64)>,
    segments: usize,
    uses: u64,
    broken: BTreeSet<String>,
}

impl Shelf {
    fn get(&self, name: &str, open: impl FnOnce() -> Result<Opened, Failure>) -> Result<Arc<Opened>, Failure> {
        {
            let mut state = self.state();
            state.uses += 1;
            let now = state.uses;
            if let Some((opened, _, used)) = state.open.get_mut(name) {
                *used = now;
                return Ok(opened.clone());
            }
        }
        // Opened without the lock: other days can be searched meanwhile. Two who open the same keep one of them.
        let opened = Arc::new(open()?);
        let mut state = self.state();
        match state.open.get(name) {
            Some((there, ..)) => Ok(there.clone()),
            None => {
                state.put(name, opened.clone());
                Ok(opened)
            }
        }
    }

    /// Lets a partition stay open that was just written: it knows more than what a search may have opened meanwhile.
    pub(super) fn put(&self, name: &str, opened: Arc<Opened>) {
        let mut state = self.state();
        state.take(name);
        state.put(name, opened);
    }

    /// Takes a partition off, because somebody writes it now, or it is gone.
    pub(super) fn take(&self, name: &str) {
        self.state().take(name);
    }

    pub(super) fn mended(&self, name: &str) {
        self.take(name);
        self.state().broken.remove(name);
    }

    fn broken(&self, name: &str) {
        self.state().broken.insert(name.to_owned());
    }

    pub(super) fn all_broken(&self) -> BTreeSet<String> {
        self.state().broken.clone()
    }

    #[cfg(test)]
    pub(super) fn open_now(&self) -> BTreeSet<String> {
        self.state().open.keys().cloned().collect()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Shelved> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelved {
    fn put(&mut self, name: &str, opened: Arc<Opened>) {
        let segments = opened.reader.searcher().segment_readers().len();
        self.uses += 1;
        self.segments += segments;
        self.open.insert(name.to_owned(), (opened, segments, self.uses));
        while self.segments > OPEN_SEGMENTS_MAX && self.open.len() > 1 {
            let Some(idle) = self.open.iter().min_by_key(|(_, (_, _, used))| *used).map(|(name, _)| name.clone()) else { break };
            self.take(&idle);
        }
    }

    fn take(&mut self, name: &str) {
        if let Some((_, segments, _)) = self.open.remove(name) {
            self.segments -= segments;
        }
    }
}

impl Views {
    /// What is in the folder. Nothing is opened where the summaries are there.
    pub(super) fn look(dir: &Path, shelf: &Arc<Shelf>) -> Result<Self, EventStoreError> {
        let mut views = Self::default();
        let io = |source| EventStoreError::Io { doing: "list", path: dir.to_owned(), source };
        for (name, path) in list(dir).map_err(io)? {
            if !is_unborn(&path) {
                views.look_at(&name, path, shelf);
            }
        }
        let named = catalog_read(dir)?.unwrap_or_default();
        for name in named {
            if !views.partitions.contains_key(&name) && !views.damaged.contains(&name) && !dir.join(&name).join("meta.json").exists() {
                tracing::error!(partition = name, "event store: the partition's folder is gone");
                views.damaged.push(name);
            }
        }
        Ok(views)
    }

    /// Takes in what is in a partition's folder.
    pub(super) fn look_at(&mut self, name: &str, path: PathBuf, shelf: &Arc<Shelf>) {
        self.damaged.retain(|damaged| damaged != name);
        match Facts::look(&path) {
            Ok(facts) => {
                self.partitions.insert(name.to_owned(), View::new(name, path, facts, shelf));
            }
            Err(error) => {
                tracing::error!(partition = name, %error, "event store: partition set aside as damaged");
                self.partitions.remove(name);
                self.damaged.push(name.to_owned());
            }
        }
    }
}

//! The indexes' writers, one per partition at most: the consumer adds events through them, the upkeep merges and deletes.
//! Who changes an index holds its writer's lock until searches see the change, so that the newer view always wins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tantivy::index::SegmentId;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, MergeCandidate, MergePolicy, NoMergePolicy};
use tantivy::{Index, IndexWriter, SegmentMeta};

use super::partition::{Facts, Opened};
use super::schema::Documents;
use super::seal::unseal;
use super::views::Pinned;
use super::{EventStore, Payload, Pending, guarded};

/// Writers that stay open after their commit: today's, yesterday's and those of late events.
pub(super) const WRITERS_MAX: usize = 4;
/// A writer's arena; full, it becomes a segment.
const WRITER_BYTES: usize = 64 * 1024 * 1024;
/// Segments of this many documents are not merged any more, so that a merge stays a matter of seconds.
pub(super) const MERGE_DOCS_MAX: usize = 2_000_000;

/// As the library has it: so many segments of like size are merged.
const SEGMENTS_MIN: usize = 4;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The open writers by partition.
#[derive(Default)]
pub(super) struct Writers {
    open: Mutex<HashMap<String, Arc<Mutex<Writer>>>>,
}

pub(super) struct Writer {
    pub(super) writer: IndexWriter,
    documents: Documents,
    /// The number of the commit that used it last.
    pub(super) used: u64,
    /// It failed, and nothing may be done with it any more.
    dead: bool,
}

impl Writer {
    pub(super) fn open(index: &Index) -> tantivy::Result<Self> {
        let options =
            IndexWriterOptions::builder().num_worker_threads(1).num_merge_threads(1).memory_budget_per_thread(WRITER_BYTES).build();
        let writer: IndexWriter = index.writer_with_options(options)?;
        let writer = Self { writer, documents: Documents::new(index.schema()), used: 0, dead: false };
        writer.merge_by_itself(true);
        Ok(writer)
    }

    /// Whether segments are merged as they come, or only when asked.
    pub(super) fn merge_by_itself(&self, itself: bool) {
        self.writer.set_merge_policy(if itself { Box::new(Bounded::new(MERGE_DOCS_MAX)) } else { Box::new(NoMergePolicy) });
    }

    pub(super) fn add(&mut self, pending: &Pending) -> tantivy::Result<()> {
        self.writer.add_document(self.documents.document(&pending.event, pending.kind)?)?;
        Ok(())
    }

    /// Takes back what was not committed, so that no merge brings it to the disk.
    pub(super) fn give_up(&mut self) {
        self.dead = true;
        if let Err(error) = guarded(|| self.writer.rollback()) {
            tracing::warn!(%error, "event store: what a failed commit left could not be taken back; the writer is closed");
        }
    }

    pub(super) fn commit(&mut self, payload: Payload) -> tantivy::Result<()> {
        let text = serde_json::to_string(&payload).map_err(|error| tantivy::TantivyError::InternalError(error.to_string()))?;
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&text);
        prepared.commit()?;
        Ok(())
    }
}

/// Merges segments of like size as the library's own policy says, but never into one of more than `documents_max` documents:
/// that bounds only what goes in, and ten large ones would take minutes.
#[derive(Debug)]
struct Bounded {
    policy: LogMergePolicy,
    documents_max: usize,
}

impl Bounded {
    fn new(documents_max: usize) -> Self {
        let mut policy = LogMergePolicy::default();
        policy.set_max_docs_before_merge(documents_max);
        Self { policy, documents_max }
    }
}

impl MergePolicy for Bounded {
    fn compute_merge_candidates(&self, segments: &[SegmentMeta]) -> Vec<MergeCandidate> {
        let documents: HashMap<SegmentId, usize> = segments.iter().map(|segment| (segment.id(), segment.num_docs() as usize)).collect();
        let mut bounded = Vec::new();
        for MergeCandidate(ids) in self.policy.compute_merge_candidates(segments) {
            let (mut part, mut sum) = (Vec::new(), 0);
            for id in ids {
                let documents = documents.get(&id).copied().unwrap_or_default();
                if sum + documents > self.documents_max {
                    bounded.push(MergeCandidate(std::mem::take(&mut part)));
                    sum = 0;
                }
                sum += documents;
                part.push(id);
            }
            bounded.push(MergeCandidate(part));
        }
        // A part of a few large ones is not worth it: they would be written again with each that comes.
        bounded.retain(|candidate| candidate.0.len() >= SEGMENTS_MIN);
        bounded
    }
}

pub(super) fn locked(writer: &Arc<Mutex<Writer>>) -> MutexGuard<'_, Writer> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EventStore {
    /// Keeps a partition open until its writer is closed: from here on its view and its index change together.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub(super) fn pin(&self, name: &str) -> Result<Arc<Opened>, Failure> {
        let _one_at_a_time = self.writers.lock();
        let Some(view) = self.snapshot().partitions.get(name).cloned() else { return Err("there is no such partition".into()) };
        if let Some(pinned) = &view.pinned {
            return Ok(pinned.opened.clone());
        }
        let opened = view.part.open()?;
        self.shelf.take(name);
        let pinned = Pinned { opened: opened.clone(), searcher: opened.reader.searcher() };
        self.change(|views| {
            if let Some(view) = views.partitions.get_mut(name) {
                view.pinned = Some(pinned);
            }
        });
        Ok(opened)
    }

    /// Puts events into a partition's memory. Only into one that is open: what is in memory and what is on disk are seen
    /// together from then on, and `unpin` waits.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub(super) fn push(&self, name: &str, events: &Arc<Vec<Pending>>) -> Result<(), Failure> {
        loop {
            let _no_unpin = self.writers.lock();
            let pushed = self.change(|views| match views.partitions.get_mut(name) {
                Some(view) if view.pinned.is_none() => false,
                Some(view) => {
                    view.memory.push(events.clone());
                    true
                }
                None => true,
            });
            if pushed {
                return Ok(());
            }
            drop(_no_unpin);
            self.pin(name)?;
        }
    }

    fn unpin(&self, name: &str) {
        let _no_push = self.writers.lock();
        let opened = self.change(|views| {
            let view = views.partitions.get_mut(name).filter(|view| view.memory.is_empty())?;
            view.pinned.take()
        });
        if let Some(pinned) = opened {
            self.shelf.put(name, pinned.opened);
        }
    }

    /// The partition's writer. What was sealed is not any more.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub(super) fn writer(&self, name: &str) -> Result<Arc<Mutex<Writer>>, Failure> {
        let opened = self.pin(name)?;
        let mut open = self.writers.lock();
        if let Some(writer) = open.get(name) {
            return Ok(writer.clone());
        }
        unseal(&self.dir.join(name))?;
        let writer = Arc::new(Mutex::new(Writer::open(&opened.index)?));
        open.insert(name.to_owned(), writer.clone());
        Ok(writer)
    }

    /// Shows what the index holds now, and lets go of what was in memory and is on disk. The caller holds the writer's lock.
    ///
    /// # Errors
    /// Where the new segments cannot be read.
    pub(super) fn refresh(&self, name: &str) -> Result<(), Failure> {
        let opened = self.pin(name)?;
        opened.reader.reload()?;
        let searcher = opened.reader.searcher();
        let dir = self.dir.join(name);
        let known = self.snapshot().partitions.get(name).map(|view| view.facts.clone()).unwrap_or_default();
        let facts = Facts::of(&dir, opened.payload()?, &searcher, &known)?;
        facts.save(&dir);
        self.change(|views| {
            if let Some(view) = views.partitions.get_mut(name) {
                view.pinned = Some(Pinned { opened, searcher });
                // A chunk came as one, before or after a commit was begun.
                view.memory.retain(|chunk| chunk.last().is_some_and(|pending| pending.event.seq > facts.payload.position));
                view.facts = Arc::new(facts);
            }
        });
        Ok(())
    }

    /// Lets go of a writer that failed: what it half took must not come with a later commit.
    pub(super) fn writer_abandon(&self, name: &str) {
        self.writers.lock().remove(name);
    }

    /// Closes a writer and waits for its merges.
    ///
    /// # Errors
    /// Where a merge failed.
    pub(super) fn writer_close(&self, name: &str) -> Result<(), Failure> {
        let closed = self.writers.lock().remove(name);
        let merged = match closed.map(Arc::try_unwrap) {
            None => Ok(()),
            Some(Ok(writer)) => writer.into_inner().unwrap_or_else(PoisonError::into_inner).writer.wait_merging_threads(),
            // Somebody is at work with it.
            Some(Err(shared)) => {
                let writer = locked(&shared);
                writer.merge_by_itself(true);
                let dead = writer.dead;
                drop(writer);
                if !dead {
                    self.writers.lock().insert(name.to_owned(), shared);
                }
                return Ok(());
            }
        };
        self.unpin(name);
        Ok(merged?)
    }

    /// Closes all but the most recently used writers.
    ///
    /// # Errors
    /// Where a merge failed.
    pub(super) fn writers_close_idle(&self) -> Result<(), Failure> {
        loop {
            let idle = {
                let open = self.writers.lock();
                let uses = open.iter().filter(|(_, writer)| Arc::strong_count(writer) == 1);
                uses.map(|(name, writer)| (locked(writer).used, name.clone())).min().filter(|_| open.len() > WRITERS_MAX)
            };
            let Some((_, name)) = idle else { return Ok(()) };
            self.writer_close(&name)?;
        }
    }

    #[cfg(test)]
    pub(super) fn writers_open(&self) -> usize {
        self.writers.lock().len()
    }
}

impl Writers {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Mutex<Writer>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

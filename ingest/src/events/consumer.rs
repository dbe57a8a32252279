//! The one writer of the event store: takes the pipeline's batches into memory, where searches see them at once, and
//! commits them to their partitions now and then. A commit's payload says up to which sequence its partition has
//! everything, so that a replay after a crash neither loses nor doubles an event.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::{Index, IndexWriter};

use super::schema::{Documents, KIND_BARE};
use super::{CLASS, EventStore, EventStoreError, Payload, Pending, View};
use crate::event::Event;
use crate::frame::{Frame, FrameKind, Seq};
use crate::pipeline::{Batch, Consumer};
use crate::pseudonym::Hidden;
use crate::time::Timestamp;

/// A commit of this many documents makes a segment worth having (DESIGN: fewer than 500 double the cost).
const PENDING_MAX: usize = 100_000;
/// Lines in memory; long lines fill it before `PENDING_MAX` does.
const PENDING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long an event may wait for its commit: what a crash has to decode again.
const PENDING_AGE_MAX: i64 = 30 * Timestamp::SECOND;
/// Partitions with events in memory. An import of history touches many days; each costs a commit of its own.
const PENDING_PARTITIONS_MAX: usize = 64;
/// Writers that stay open after their commit: today's, yesterday's and those of late events.
const WRITERS_MAX: usize = 4;
/// A writer's arena; full, it becomes a segment.
const WRITER_BYTES: usize = 64 * 1024 * 1024;
/// Segments of this many documents are not merged any more, so that a merge stays a matter of seconds.
const MERGE_DOCS_MAX: usize = 2_000_000;
/// Events whose time is further before or behind their receipt are filed under the day of receipt: a clock that is
/// wrong must not make directories without end.
const LATE_MAX: i64 = 400 * Timestamp::DAY;
const EARLY_MAX: i64 = Timestamp::DAY;

const CURSOR_FILE: &str = "cursor";

/// The pipeline's consumer that fills the event store.
pub struct EventConsumer {
    store: Arc<EventStore>,
    /// Everything up to here is durable in all partitions.
    cursor: Seq,
    /// Everything up to here was applied.
    applied: Seq,
    /// Partitions with pending events; `BTreeMap`, so that commits go in the days' order.
    pub(super) dirty: BTreeMap<String, usize>,
    pending: usize,
    pending_bytes: usize,
    first_pending: Option<Timestamp>,
    pub(super) writers: HashMap<String, Writer>,
    commits: u64,
}

pub(super) struct Writer {
    writer: IndexWriter,
    documents: Documents,
    /// The number of the commit that used it last.
    used: u64,
}

impl EventConsumer {
    /// # Errors
    /// Where the cursor cannot be read or first written.
    pub fn new(store: Arc<EventStore>) -> Result<Self, EventStoreError> {
        let path = store.dir.join(CURSOR_FILE);
        let cursor = match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().ok().map(Seq),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(EventStoreError::Io { doing: "read", path, source }),
        };
        // Lost, it is what the commits say that all partitions had; never more than that.
        let complete = || store.snapshot().partitions.values().map(|view| view.payload.complete).max().unwrap_or_default();
        // Written only where it is not there: who just looks into a directory on a full disk must not fail for this.
        let cursor = match cursor {
            Some(cursor) => cursor,
            None => {
                let cursor = complete();
                cursor_write(&store.dir, cursor)?;
                cursor
            }
        };
        Ok(Self {
            store,
            cursor,
            applied: cursor,
            dirty: BTreeMap::new(),
            pending: 0,
            pending_bytes: 0,
            first_pending: None,
            writers: HashMap::new(),
            commits: 0,
        })
    }

    /// Puts a batch's events into memory. The partitions must exist before, because a search may come at once; and all of
    /// them before the first event is put anywhere, because a disk that is full may refuse the last, and then the whole
    /// batch comes again.
    fn take(&mut self, batch: &Batch) -> Result<(), EventStoreError> {
        let mut by_partition: BTreeMap<String, Vec<Pending>> = BTreeMap::new();
        let mut frames = batch.frames.iter().peekable();
        for event in batch.events.iter().filter(|event| event.seq > self.applied) {
            while frames.next_if(|frame| frame.seq < event.seq).is_some() {}
            let frame = frames.peek().copied().filter(|frame| frame.seq == event.seq);
            by_partition.entry(partition_of(event)).or_default().push(self.pending(event, frame));
        }
        let by_partition: Vec<_> =
            by_partition.into_iter().map(|(day, events)| Ok((self.partition(&day)?, events))).collect::<Result<_, EventStoreError>>()?;
        for (name, mut events) in by_partition {
            let position = self.store.change(|views| views.partitions.get(&name).map_or(Seq(0), |view| view.payload.position));
            events.retain(|pending| pending.event.seq > position);
            if events.is_empty() {
                continue;
            }
            self.pending += events.len();
            self.pending_bytes += events.iter().map(|pending| pending.event.raw().len()).sum::<usize>();
            *self.dirty.entry(name.clone()).or_default() += events.len();
            self.store.change(|views| {
                if let Some(view) = views.partitions.get_mut(&name) {
                    view.memory.push(Arc::new(events));
                }
            });
        }
        Ok(())
    }

    /// The event as it is kept: with pseudonyms in it where the operator wants that.
    fn pending(&self, event: &Event, frame: Option<&Frame>) -> Pending {
        let kind = frame.map_or(FrameKind::Line as u8, |frame| frame.frame.kind.to_byte(frame.frame.marks));
        let hidden = match &self.store.pseudonyms {
            // With the line before it that the event needed: what that says of persons is to be found as well.
            Some(pseudonyms) => pseudonyms.hide(CLASS, frame, event, &|frame| (self.store.redecode)(frame, event.context.clone())),
            None => Hidden::Plain,
        };
        match hidden {
            Hidden::Plain => Pending { event: event.clone(), kind },
            Hidden::Line(event) => Pending { event, kind },
            Hidden::Bare(event) => Pending { event, kind: KIND_BARE },
        }
    }

    /// The name of the partition for a day, made where there is none. Beside a damaged one a sibling takes the events.
    fn partition(&self, day: &str) -> Result<String, EventStoreError> {
        let views = self.store.snapshot();
        let names = std::iter::once(format!("{CLASS}/{day}")).chain((1..).map(|n| format!("{CLASS}/{day}.{n}")));
        let Some(name) = names.into_iter().find(|name| !views.damaged.contains(name)) else { return Ok(day.to_owned()) };
        if views.partitions.contains_key(&name) {
            return Ok(name);
        }
        let dir = self.store.dir.join(&name);
        std::fs::create_dir_all(&dir).map_err(|source| EventStoreError::Io { doing: "create", path: dir.clone(), source })?;
        let view = View::create(&dir).map_err(|source| EventStoreError::Index { doing: "create", partition: name.clone(), source })?;
        self.store.change(|views| views.partitions.insert(name.clone(), view));
        Ok(name)
    }

    /// Commits every partition that has pending events, and then moves the cursor.
    fn commit(&mut self) -> Result<(), EventStoreError> {
        for name in self.dirty.keys().cloned().collect::<Vec<_>>() {
            self.commit_partition(&name).map_err(|source| EventStoreError::Index { doing: "commit", partition: name.clone(), source })?;
            self.dirty.remove(&name);
        }
        (self.pending, self.pending_bytes, self.first_pending) = (0, 0, None);
        if self.cursor != self.applied {
            cursor_write(&self.store.dir, self.applied)?;
            self.cursor = self.applied;
        }
        Ok(())
    }

    pub(super) fn commit_partition(&mut self, name: &str) -> tantivy::Result<()> {
        let Some(view) = self.store.snapshot().partitions.get(name).cloned() else { return Ok(()) };
        self.commits += 1;
        let payload = Payload { position: self.applied, complete: self.cursor };
        let commits = self.commits;
        let writer = self.writer(name, &view.index)?;
        writer.used = commits;
        let written = write(writer, &view, payload);
        if written.is_err() {
            // What it half took must not come with a later commit; it is opened anew then.
            self.writers.remove(name);
        }
        written?;
        view.reader.reload()?;
        let searcher = view.reader.searcher();
        self.store.change(|views| {
            if let Some(view) = views.partitions.get_mut(name) {
                view.searcher = searcher;
                view.payload = payload;
                view.memory.clear();
            }
        });
        self.close_idle_writers()
    }

    fn writer(&mut self, name: &str, index: &Index) -> tantivy::Result<&mut Writer> {
        if !self.writers.contains_key(name) {
            let options =
                IndexWriterOptions::builder().num_worker_threads(1).num_merge_threads(1).memory_budget_per_thread(WRITER_BYTES).build();
            let writer: IndexWriter = index.writer_with_options(options)?;
            let mut policy = LogMergePolicy::default();
            policy.set_max_docs_before_merge(MERGE_DOCS_MAX);
            writer.set_merge_policy(Box::new(policy));
            self.writers.insert(name.into(), Writer { writer, documents: Documents::new(index.schema()), used: 0 });
        }
        self.writers.get_mut(name).ok_or_else(|| tantivy::TantivyError::InternalError("a writer was just opened".into()))
    }

    fn close_idle_writers(&mut self) -> tantivy::Result<()> {
        while self.writers.len() > WRITERS_MAX {
            let idle = self.writers.iter().min_by_key(|(_, writer)| writer.used).map(|(name, _)| name.clone());
            if let Some(closed) = idle.and_then(|name| self.writers.remove(&name)) {
                closed.writer.wait_merging_threads()?;
            }
        }
        Ok(())
    }
}

fn write(writer: &mut Writer, view: &View, payload: Payload) -> tantivy::Result<()> {
    for pending in view.memory.iter().flat_map(|chunk| chunk.iter()) {
        writer.writer.add_document(writer.documents.document(&pending.event, pending.kind)?)?;
    }
    let text = serde_json::to_string(&payload).map_err(|error| tantivy::TantivyError::InternalError(error.to_string()))?;
    let mut prepared = writer.writer.prepare_commit()?;
    prepared.set_payload(&text);
    prepared.commit()?;
    Ok(())
}

fn partition_of(event: &Event) -> String {
    let late = event.received_at.since(event.timestamp);
    let believed = (-EARLY_MAX..=LATE_MAX).contains(&late);
    let filed = if believed { event.timestamp } else { event.received_at };
    filed.utc().format("%Y-%m-%d").to_string()
}

/// Replaces the cursor's file so that a crash leaves the old or the new one.
fn cursor_write(dir: &Path, cursor: Seq) -> Result<(), EventStoreError> {
    let path = dir.join(CURSOR_FILE);
    let replace = || {
        let fresh = dir.join("cursor.new");
        let mut file = File::create(&fresh)?;
        writeln!(file, "{}", cursor.0)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)?;
        File::open(dir)?.sync_all()
    };
    replace().map_err(|source| EventStoreError::Io { doing: "write", path: path.clone(), source })
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Consumer for EventConsumer {
    fn name(&self) -> &'static str {
        "events"
    }

    fn cursor(&self) -> Seq {
        self.cursor
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), Failure> {
        self.take(batch)?;
        self.applied = self.applied.max(batch.last);
        if self.pending >= PENDING_MAX || self.pending_bytes >= PENDING_BYTES_MAX || self.dirty.len() >= PENDING_PARTITIONS_MAX {
            self.commit()?;
        }
        Ok(())
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), Failure> {
        // Frames without events (flows) move the cursor too, or the journal would have to keep them for nothing.
        if self.pending == 0 && self.applied == self.cursor {
            self.first_pending = None;
            return Ok(());
        }
        let first = *self.first_pending.get_or_insert(now);
        if now.since(first) >= PENDING_AGE_MAX {
            self.commit()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.commit()?)
    }
}

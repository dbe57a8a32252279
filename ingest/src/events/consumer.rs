//! The one writer of the event store: takes the pipeline's batches into memory, where searches see them at once, and
//! has them committed to their partitions now and then, on a thread of its own, so that what comes meanwhile is seen at once
//! as well. A commit's payload says up to which sequence its partition has everything, so that a replay after a crash
//! neither loses nor doubles an event.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use super::changes::Change;
use super::partition::{self, Facts, Opened, catalog_read, catalog_write};
use super::views::View;
use super::writers::locked;
use super::{EventStore, EventStoreError, Payload, Pending, guarded};
use crate::event::Event;
use crate::frame::{Frame, Seq};
use crate::pipeline::{Batch, Consumer};
use crate::time::Timestamp;

/// A commit of this many documents makes a segment worth having (DESIGN: fewer than 500 double the cost). While they are
/// committed as many again may come before the intake waits.
const PENDING_MAX: usize = 100_000;
/// Lines in memory; long lines fill it before `PENDING_MAX` does.
const PENDING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long an event may wait for its commit: what a crash has to decode again.
const PENDING_AGE_MAX: i64 = 30 * Timestamp::SECOND;
/// Partitions with events in memory. An import of history touches many days; each costs a commit of its own.
const PENDING_PARTITIONS_MAX: usize = 64;
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
    /// Partitions with pending events that no commit has under way; `BTreeMap`, so that commits go in the days' order.
    pub(super) dirty: BTreeMap<String, usize>,
    pending: usize,
    pending_bytes: usize,
    first_pending: Option<Timestamp>,
    commits: u64,
    under_way: Option<UnderWay>,
}

/// A commit of what had come up to `position`.
struct UnderWay {
    position: Seq,
    dirty: BTreeMap<String, usize>,
    bytes: usize,
    thread: JoinHandle<Result<(), EventStoreError>>,
}

impl EventConsumer {
    /// # Errors
    /// Where the cursor cannot be read or first written.
    pub fn new(store: Arc<EventStore>) -> Result<Self, EventStoreError> {
        store.recover()?;
        let path = store.dir.join(CURSOR_FILE);
        let cursor = match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().ok().map(Seq),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(EventStoreError::Io { doing: "read", path, source }),
        };
        // Lost, it is what the commits say that all partitions had; never more than that.
        let complete = || store.snapshot().partitions.values().map(|view| view.payload().complete).max().unwrap_or_default();
        // Written only where it is not there: who just looks into a directory on a full disk must not fail for this.
        let cursor = match cursor {
            Some(cursor) => cursor,
            None => {
                let cursor = complete();
                cursor_write(&store.dir, cursor)?;
                cursor
            }
        };
        store.feed.begin(cursor);
        store.applied.store(cursor.0, Ordering::Release);
        let (dirty, first_pending, under_way) = (BTreeMap::new(), None, None);
        Ok(Self { store, cursor, applied: cursor, dirty, pending: 0, pending_bytes: 0, first_pending, commits: 0, under_way })
    }

    /// Puts a batch's events into memory. The partitions must exist before, because a search may come at once; and all of
    /// them before the first event is put anywhere, because a disk that is full may refuse the last, and then the whole
    /// batch comes again.
    fn take(&mut self, batch: &Batch) -> Result<(), EventStoreError> {
        let mut by_partition: BTreeMap<(String, String), Vec<Pending>> = BTreeMap::new();
        let forgotten = self.store.forgotten();
        let new = |event: &Event| event.seq > self.applied && !forgotten.contains(&event.seq);
        for (event, frame) in with_frames(batch).filter(|(event, _)| new(event)) {
            let class = self.store.class_of(event);
            let pending = self.store.pending_of(&class, event, frame);
            by_partition.entry((class.to_string(), day_of(event))).or_default().push(pending);
        }
        let by_partition: Vec<_> = by_partition
            .into_iter()
            .map(|((class, day), events)| Ok((self.partition(&class, &day)?, events)))
            .collect::<Result<_, EventStoreError>>()?;
        let mut came = Vec::new();
        for (name, mut events) in by_partition {
            let position = self.store.change(|views| views.partitions.get(&name).map_or(Seq(0), |view| view.payload().position));
            events.retain(|pending| pending.event.seq > position);
            if events.is_empty() {
                continue;
            }
            self.pending += events.len();
            self.pending_bytes += events.iter().map(|pending| pending.event.raw().len()).sum::<usize>();
            *self.dirty.entry(name.clone()).or_default() += events.len();
            let events = Arc::new(events);
            came.push(events.clone());
            let pushed = self.store.push(&name, &events);
            pushed.map_err(|source| EventStoreError::Partition { doing: "open", partition: name, source })?;
        }
        // Only what can be found already: a listener asks the store for what it missed.
        self.store.feed.publish(batch.last, came);
        Ok(())
    }

    /// The name of the partition for a day, open, and made where there is none. Beside a damaged one a sibling takes the
    /// events.
    fn partition(&self, class: &str, day: &str) -> Result<String, EventStoreError> {
        for n in 0.. {
            let name = if n == 0 { format!("{class}/{day}") } else { format!("{class}/{day}.{n}") };
            if self.store.damaged().contains(&name) {
                continue;
            }
            if !self.store.snapshot().partitions.contains_key(&name) {
                self.create(&name)?;
            }
            match self.store.pin(&name) {
                Ok(_) => return Ok(name),
                // What made it impossible may pass, as a disk that is full; what is damaged is so noted, and passed by.
                Err(source) if !self.store.damaged().contains(&name) => {
                    return Err(EventStoreError::Partition { doing: "open", partition: name, source });
                }
                Err(_) => self.store.set_aside(&name),
            }
        }
        Ok(String::new())
    }

    fn create(&self, name: &str) -> Result<(), EventStoreError> {
        let store = &self.store;
        let dir = store.dir.join(name);
        std::fs::create_dir_all(&dir).map_err(|source| EventStoreError::Io { doing: "create", path: dir.clone(), source })?;
        let opened = guarded(|| Opened::create(&dir));
        let partition = name.to_owned();
        opened.map_err(|source| EventStoreError::Partition { doing: "create", partition, source })?;
        // Before its first commit: from then on its folder is missed.
        let mut names = catalog_read(&store.dir)?.unwrap_or_default();
        if names.insert(name.to_owned()) {
            catalog_write(&store.dir, &names)?;
        }
        let view = View::new(name, dir, Facts::default(), &store.shelf);
        store.change(|views| views.partitions.insert(name.to_owned(), view));
        Ok(())
    }

    /// Commits every partition that has pending events, and then moves the cursor.
    fn commit(&mut self) -> Result<(), EventStoreError> {
        // One that failed before is done again here.
        if let Err(error) = self.settle(true) {
            tracing::warn!(error = causes(&error), "event store: a commit failed and is tried again");
        }
        self.begin()?;
        self.settle(true)
    }

    /// Has everything that came so far committed, on a thread of its own. Nothing else is under way.
    fn begin(&mut self) -> Result<(), EventStoreError> {
        let (store, position) = (self.store.clone(), self.applied);
        let (dirty, bytes) = (std::mem::take(&mut self.dirty), self.pending_bytes);
        (self.pending, self.pending_bytes, self.first_pending) = (0, 0, None);
        let payload = Payload { position, complete: self.cursor };
        let first = self.commits + 1;
        self.commits += dirty.len() as u64;
        let names: Vec<String> = dirty.keys().cloned().collect();
        let work = move || (first..).zip(&names).try_for_each(|(number, name)| store.commit_partition(name, payload, number));
        match std::thread::Builder::new().name("event-commit".into()).spawn(work) {
            Ok(thread) => {
                self.under_way = Some(UnderWay { position, dirty, bytes, thread });
                Ok(())
            }
            Err(source) => {
                self.again(dirty, bytes);
                Err(EventStoreError::Io { doing: "start a thread for", path: self.store.dir.clone(), source })
            }
        }
    }

    /// Takes note of a commit that has come to its end; waits for it where `wait`.
    fn settle(&mut self, wait: bool) -> Result<(), EventStoreError> {
        let Some(UnderWay { position, dirty, bytes, thread }) = self.under_way.take_if(|commit| wait || commit.thread.is_finished()) else {
            return Ok(());
        };
        let done = thread.join().unwrap_or_else(|_| {
            let (doing, partition) = ("commit", dirty.keys().cloned().collect::<Vec<_>>().join(", "));
            Err(EventStoreError::Partition { doing, partition, source: "panicked".into() })
        });
        let done = done.and_then(|()| if self.cursor == position { Ok(()) } else { cursor_write(&self.store.dir, position) });
        match done {
            Ok(()) => self.cursor = position,
            // What was committed already is known by its payload; the rest is still in memory.
            Err(_) => self.again(dirty, bytes),
        }
        done
    }

    fn is_full(&self) -> bool {
        self.pending >= PENDING_MAX || self.pending_bytes >= PENDING_BYTES_MAX || self.dirty.len() >= PENDING_PARTITIONS_MAX
    }

    /// What a failed commit was to have is to be committed again.
    fn again(&mut self, dirty: BTreeMap<String, usize>, bytes: usize) {
        self.pending_bytes += bytes;
        // With the next tick.
        self.first_pending = Some(Timestamp(0));
        for (name, events) in dirty {
            self.pending += events;
            *self.dirty.entry(name).or_default() += events;
        }
    }

    /// Waits for what is under way.
    #[cfg(test)]
    pub(super) fn wait(&mut self) {
        self.settle(true).unwrap();
    }

    /// Commits one partition alone.
    #[cfg(test)]
    pub(super) fn commit_partition(&mut self, name: &str) -> Result<(), EventStoreError> {
        self.commits += 1;
        self.store.commit_partition(name, Payload { position: self.applied, complete: self.cursor }, self.commits)
    }

    /// Does what the upkeep asks for: at a moment when nothing is half done.
    fn changes(&mut self) -> Result<(), EventStoreError> {
        while let Some((change, answer)) = self.store.change_next() {
            if let Err(error) = self.settle(true) {
                let _ = answer.send(Err(causes(&error)));
                return Err(error);
            }
            let touched: BTreeSet<&str> = change.names().collect();
            // What goes must not come again: its last event must not be behind the cursor. Otherwise a full disk must not keep
            // from letting go what fills it.
            let dirty = self.dirty.keys().any(|name| touched.contains(name.as_str()));
            let behind = touched.iter().any(|name| self.store.last_on_disk(name) > self.cursor);
            if (dirty || behind || !matches!(change, Change::Drop { .. }))
                && let Err(error) = self.commit()
            {
                let _ = answer.send(Err(causes(&error)));
                return Err(error);
            }
            let now = Payload { position: self.applied, complete: self.cursor };
            let done = self.store.change_do(&change, now);
            let _ = answer.send(done.map_err(|error| causes(&error)));
        }
        Ok(())
    }
}

impl Drop for EventConsumer {
    /// Whoever opens the store next must not meet a writer that is still at work.
    fn drop(&mut self) {
        if let Some(commit) = self.under_way.take() {
            let _ = commit.thread.join();
        }
    }
}

impl EventStore {
    /// Puts on disk what a partition has in memory up to `payload.position`. One that cannot take it because its files are
    /// gone or damaged is let go of.
    fn commit_partition(&self, name: &str, payload: Payload, number: u64) -> Result<(), EventStoreError> {
        match self.commit_to_index(name, payload, number) {
            Err(_) if self.let_go_of_damaged(name) => Ok(()),
            done => done.map_err(|source| EventStoreError::Partition { doing: "commit", partition: name.to_owned(), source }),
        }
    }

    fn commit_to_index(&self, name: &str, payload: Payload, number: u64) -> Result<(), Failure> {
        let Some(view) = self.snapshot().partitions.get(name).cloned() else { return Ok(()) };
        let shared = self.writer(name)?;
        let mut writer = locked(&shared);
        writer.used = number;
        // A commit may have come to the disk although it, or what follows, failed.
        let done = self.pin(name)?.payload()?.position;
        if payload.position < done {
            // Said again, an earlier position would bring back after a crash what is on disk already.
            return Ok(());
        }
        let chosen = |pending: &&Pending| pending.event.seq > done && pending.event.seq <= payload.position;
        let mut events = view.memory.iter().flat_map(|chunk| chunk.iter()).filter(chosen);
        let written = guarded(|| events.try_for_each(|pending| writer.add(pending)).and_then(|()| writer.commit(payload)));
        if written.is_err() {
            // Whoever else holds it, such as a merge, must not bring what it half took to the disk.
            writer.give_up();
            self.writer_abandon(name);
        }
        written?;
        self.refresh(name)?;
        drop(writer);
        drop(shared);
        self.writers_close_idle()
    }

    /// A partition that cannot be committed because its files are gone or damaged is set aside with what waits for it: that is in
    /// the journal, and `rebuild` brings it back with the rest of the day. Any other reason, such as a full disk, passes.
    fn let_go_of_damaged(&self, name: &str) -> bool {
        let Some(view) = self.snapshot().partitions.get(name).cloned() else { return false };
        let gone = !view.part.dir.join("meta.json").exists();
        let set_aside = gone || self.damaged().contains(name) && partition::damaged_note(&view.part.dir).is_ok();
        if !set_aside {
            return false;
        }
        tracing::error!(
            partition = name,
            events = view.pending(),
            "event store: damaged; what waits for it is in the journal until it is rebuilt"
        );
        self.writer_abandon(name);
        self.shelf.take(name);
        self.set_aside(name);
        true
    }
}

/// An error with its causes.
fn causes(error: &EventStoreError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

/// A batch's events with the frames from which they came.
pub(super) fn with_frames(batch: &Batch) -> impl Iterator<Item = (&Event, Option<&Frame>)> {
    let mut frames = batch.frames.iter().peekable();
    batch.events.iter().map(move |event| {
        while frames.next_if(|frame| frame.seq < event.seq).is_some() {}
        (event, frames.peek().copied().filter(|frame| frame.seq == event.seq))
    })
}

/// The day under which an event is filed.
pub(super) fn day_of(event: &Event) -> String {
    let late = event.received_at.since(event.timestamp);
    let believed = (-EARLY_MAX..=LATE_MAX).contains(&late);
    let filed = if believed { event.timestamp } else { event.received_at };
    filed.utc().format("%Y-%m-%d").to_string()
}

/// Replaces the cursor's file so that a crash leaves the old or the new one.
fn cursor_write(dir: &std::path::Path, cursor: Seq) -> Result<(), EventStoreError> {
    partition::replace(dir, CURSOR_FILE, &format!("{}\n", cursor.0))
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
        self.settle(false)?;
        self.changes()?;
        if self.is_full() {
            // A commit failed. Nothing more is taken in before it is done.
            self.commit()?;
        }
        self.take(batch)?;
        self.applied = self.applied.max(batch.last);
        self.store.applied.store(self.applied.0, Ordering::Release);
        if self.is_full() {
            self.settle(true)?;
            self.begin()?;
        }
        Ok(())
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), Failure> {
        self.settle(false)?;
        self.changes()?;
        if self.under_way.is_some() {
            return Ok(());
        }
        // Frames without events (flows) move the cursor too, or the journal would have to keep them for nothing.
        if self.pending == 0 && self.applied == self.cursor {
            self.first_pending = None;
            return Ok(());
        }
        let first = *self.first_pending.get_or_insert(now);
        if now.since(first) >= PENDING_AGE_MAX {
            self.begin()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.commit()?)
    }
}

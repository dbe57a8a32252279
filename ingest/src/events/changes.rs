//! Changes of which partitions there are: one takes the place of another, days go. The upkeep prepares them beside the
//! running store; the consumer does them between two commits, when nothing is half done, and a crash at any moment leaves
//! what the next start completes or takes back (`recover`). The catalog says what there is.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::PoisonError;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::partition::{GOING_DIR, NEW_DIR, catalog_read, catalog_write, new_dir, ready_for, rename};
use super::views::{View, Views};
use super::writers::Writer;
use super::{EventStore, EventStoreError, Payload, guarded};
use crate::frame::Seq;

/// Says of a partition that it is on its way out, and what is to be written of it.
pub(super) const GOING_FILE: &str = "going.json";
/// What was replaced: damage is set aside, never deleted.
pub(super) const ASIDE_DIR: &str = ".aside";
/// Why what was prepared does not fit any more.
pub(super) const MORE: &str = "it has taken in more meanwhile";
/// How often whoever waits looks whether he should stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the consumer is asked to do.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// What is ready takes the place of a partition. It has everything up to `until`.
    Swap { name: String, until: Seq },
    /// Days go that have so many documents, and what is held of them, ready, comes.
    Drop { names: Vec<String>, held: Option<String>, documents: u64 },
    /// What is in memory comes to disk.
    Settle,
}

impl Change {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let (one, many) = match self {
            Self::Swap { name, .. } => (Some(name), [].as_slice()),
            Self::Drop { names, .. } => (None, names.as_slice()),
            Self::Settle => (None, [].as_slice()),
        };
        one.into_iter().chain(many).map(String::as_str)
    }
}

pub(super) type Answer = Result<(), String>;
pub(super) type Waiting = VecDeque<(Change, SyncSender<Answer>)>;

impl EventStore {
    /// Asks the consumer and waits for it.
    ///
    /// # Errors
    /// What kept it from being done; also where `stop` says that nobody waits any more.
    pub(super) fn change_ask(&self, change: Change, stop: &dyn Fn() -> bool) -> Answer {
        let (answer, answered) = sync_channel(1);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back((change, answer));
        loop {
            match answered.recv_timeout(PATIENCE) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) if !stop() => {}
                Err(_) => {
                    // Not taken yet: then it is not done later either, when nobody knows of it.
                    self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    return answered.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("stopped".into()));
                }
            }
        }
    }

    pub(super) fn change_next(&self) -> Option<(Change, SyncSender<Answer>)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Called by the consumer alone, with nothing pending in the partitions that it touches. `now`: what the whole store has.
    pub(super) fn change_do(&self, change: &Change, now: Payload) -> Result<(), EventStoreError> {
        for name in change.names() {
            self.writer_close(name).map_err(|source| EventStoreError::Partition { doing: "close", partition: name.to_owned(), source })?;
        }
        match change {
            // It was committed before.
            Change::Settle => Ok(()),
            Change::Swap { name, until } => self.swap(name, *until, now),
            Change::Drop { names, held, documents } => {
                let views = self.snapshot();
                let now: u64 = names.iter().filter_map(|name| views.partitions.get(name)).map(|view| view.facts.documents()).sum();
                if now != *documents {
                    let source = MORE.into();
                    return Err(EventStoreError::Partition { doing: "remove", partition: names.join(", "), source });
                }
                self.drop_days(names, held.as_deref())
            }
        }
    }

    fn swap(&self, name: &str, until: Seq, now: Payload) -> Result<(), EventStoreError> {
        let failed = |source| EventStoreError::Partition { doing: "replace", partition: name.to_owned(), source };
        // Damaged or not: what it took in behind that is in it alone.
        if self.last_on_disk(name) > until {
            return Err(failed(MORE.into()));
        }
        let (new, dir) = (new_dir(&self.dir, name), self.dir.join(name));
        // Everything that the store has now is in it or in a sibling: what is read again must not come twice.
        let positioned = guarded(|| {
            let opened = super::partition::Opened::open(&new)?;
            Writer::open(&opened.index)?.commit(now)
        });
        positioned.map_err(failed)?;
        // Only now: what it leaves to its siblings is on disk there. Ready any earlier, a crash would put it in its place
        // while the siblings' events, still in memory, come again and are taken for known.
        super::partition::ready(&new, name)?;
        if let Some(view) = self.snapshot().partitions.get(name) {
            view.part.goes();
        }
        if dir.exists() {
            rename(&dir, &self.free_place(ASIDE_DIR, name))?;
        }
        rename(&new, &dir)?;
        self.catalog_change(|names| names.insert(name.to_owned()))?;
        let view = self.view_of(name);
        self.shelf.mended(name);
        self.change(|views| {
            views.damaged.retain(|damaged| damaged != name);
            views.partitions.remove(name);
            views.aside.remove(name);
            match view {
                Some(view) => drop(views.partitions.insert(name.to_owned(), view)),
                None => views.damaged.push(name.to_owned()),
            }
        });
        Ok(())
    }

    fn drop_days(&self, names: &[String], held: Option<&str>) -> Result<(), EventStoreError> {
        // From here on they are gone, and what is held is there: a crash behind this is completed by `recover`.
        self.catalog_change(|all| {
            let before = all.len();
            all.retain(|name| !names.contains(name));
            before != all.len() || held.is_some_and(|held| all.insert(held.to_owned()))
        })?;
        if let Some(held) = held {
            rename(&new_dir(&self.dir, held), &self.dir.join(held))?;
        }
        let comes = held.and_then(|held| Some((held.to_owned(), self.view_of(held)?)));
        self.change(|views| {
            for view in names.iter().filter_map(|name| views.partitions.remove(name)) {
                view.part.goes();
            }
            views.aside.retain(|name, _| !names.contains(name));
            views.damaged.retain(|damaged| !names.contains(damaged));
            views.partitions.extend(comes);
        });
        for name in names {
            self.shelf.mended(name);
            let dir = self.dir.join(name);
            if dir.exists() {
                rename(&dir, &self.free_place(GOING_DIR, name))?;
            }
        }
        Ok(())
    }

    /// Completes or takes back what a crash interrupted. For the one process that writes.
    pub(super) fn recover(&self) -> Result<(), EventStoreError> {
        let known = catalog_read(&self.dir)?;
        let there: BTreeSet<String> = self.snapshot().partitions.into_keys().chain(self.damaged()).collect();
        let mut names = known.clone().unwrap_or_else(|| there.clone());
        for (_, new) in super::partition::folders(&self.dir.join(NEW_DIR)).unwrap_or_default() {
            match ready_for(&new) {
                Some(name) if names.contains(&name) && !self.dir.join(&name).exists() => {
                    rename(&new, &self.dir.join(&name))?;
                    self.change(|views| views.look_at(&name, self.dir.join(&name), &self.shelf));
                }
                _ => remove(&new)?,
            }
        }
        for name in there.iter().filter(|name| !names.contains(*name)).cloned().collect::<Vec<_>>() {
            let dir = self.dir.join(&name);
            if dir.join(GOING_FILE).exists() {
                rename(&dir, &self.free_place(GOING_DIR, &name))?;
                self.change(|views| {
                    views.partitions.remove(&name);
                    views.damaged.retain(|damaged| *damaged != name);
                });
            } else {
                // Somebody has put it there, from a backup perhaps.
                names.insert(name);
            }
        }
        if known.as_ref() != Some(&names) {
            catalog_write(&self.dir, &names)?;
        }
        Ok(())
    }

    /// Looks whether the partitions' folders are still there; one that is not is damage, and is mended as such.
    pub fn look_for_missing(&self) {
        let views = self.snapshot();
        let damaged = self.damaged();
        for name in views.partitions.keys().filter(|name| !damaged.contains(*name)) {
            if !self.dir.join(name).join("meta.json").exists() && self.snapshot().partitions.contains_key(name) {
                tracing::error!(partition = name, "event store: the partition's folder is gone");
                if let Some(view) = views.partitions.get(name) {
                    view.part.is_broken();
                }
            }
        }
    }

    fn view_of(&self, name: &str) -> Option<View> {
        let mut alone = Views::default();
        alone.look_at(name, self.dir.join(name), &self.shelf);
        alone.partitions.remove(name)
    }

    fn catalog_change(&self, change: impl FnOnce(&mut BTreeSet<String>) -> bool) -> Result<(), EventStoreError> {
        let mut names = catalog_read(&self.dir)?.unwrap_or_else(|| self.snapshot().partitions.into_keys().collect());
        if change(&mut names) { catalog_write(&self.dir, &names) } else { Ok(()) }
    }

    /// A name that is free below one of our folders.
    fn free_place(&self, below: &str, name: &str) -> std::path::PathBuf {
        let name = name.replace('/', "~");
        let mut place = self.dir.join(below).join(&name);
        for n in 1u32.. {
            if !place.exists() {
                break;
            }
            place = self.dir.join(below).join(format!("{name}~{n}"));
        }
        place
    }
}

/// Removes a folder of ours.
pub(super) fn remove(dir: &Path) -> Result<(), EventStoreError> {
    match std::fs::remove_dir_all(dir) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(EventStoreError::Io { doing: "remove", path: dir.to_owned(), source })
        }
        _ => Ok(()),
    }
}

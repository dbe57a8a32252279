//! The keep time: frees closed segments once everybody has worked them off and they are old enough. What is freed is
//! first said in the chain of seals, so that a journal that begins late can be told from one that was cut.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::chain::Entry;
use super::disk::Disk;
use super::writer::{Shared, SharedChain};
use super::{JournalError, io_error, segment_list};
use crate::frame::Seq;
use crate::time::Timestamp;

/// Frees segments; clones share the one chain.
#[derive(Clone)]
pub struct Keeper {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    chain: SharedChain,
    shared: Shared,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keeper({})", self.dir.display())
    }
}

/// What was freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    pub segments: usize,
    pub bytes: u64,
    /// The last frame of it.
    pub last: Seq,
}

impl Keeper {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf, chain: SharedChain, shared: Shared) -> Self {
        Self { disk, dir, chain, shared }
    }

    /// Frees the sealed segments at the journal's beginning whose last frame was received before `keep_from` and that
    /// everybody has durably worked off (`consumed`: the lowest of all cursors). The segment being written always stays.
    ///
    /// # Errors
    /// Where the chain cannot be written (then nothing is freed) or a file not be removed (then the next call does it).
    pub fn retain(&self, keep_from: Timestamp, consumed: Seq, now: Timestamp) -> Result<Freed, JournalError> {
        self.finish_freeing()?;
        let active = self.shared.end().segment;
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut freed, mut first_freed) = (Freed::default(), None);
        for (first, _) in segment_list(self.disk.as_ref(), &self.dir)?.into_iter().filter(|(first, _)| *first < active) {
            let Some(seal) = chain.read().seal(first) else { break };
            if seal.to >= keep_from || seal.last > consumed.0 {
                break;
            }
            first_freed.get_or_insert(first);
            freed = Freed { segments: freed.segments + 1, bytes: freed.bytes + seal.bytes, last: freed.last.max(Seq(seal.last)) };
        }
        let Some(first) = first_freed else { return Ok(freed) };
        chain.add(Entry::Freed { first, last: freed.last.0, at: now })?;
        drop(chain);
        self.finish_freeing()?;
        Ok(freed)
    }

    /// Damaged stretches that readers have set aside (`Journal::damaged`).
    pub fn damaged(&self) -> u64 {
        self.shared.damaged()
    }

    /// The last frame that is on disk.
    pub fn last(&self) -> Seq {
        Seq(self.shared.end().last)
    }

    /// Removes the files of freed segments, also those that a crash left.
    pub(super) fn finish_freeing(&self) -> Result<(), JournalError> {
        let chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let (freed, active) = (chain.read().freed(), self.shared.end().segment);
        let is_freed = |first: u64| first < active && chain.read().seal(first).is_some_and(|seal| seal.last <= freed);
        let gone: Vec<PathBuf> =
            segment_list(self.disk.as_ref(), &self.dir)?.into_iter().filter(|(first, _)| is_freed(*first)).map(|(_, path)| path).collect();
        drop(chain);
        for path in gone {
            match self.disk.remove(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_error("remove", &path)(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Counts the stretches that were set aside before this start.
    pub(super) fn quarantine_count(&self, quarantine: &Path) {
        for path in self.disk.list(quarantine).unwrap_or_default() {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let place = name.strip_prefix("journal-").and_then(|rest| rest.strip_suffix(".bin")).and_then(|rest| rest.split_once('-'));
            if let Some((Ok(segment), Ok(offset))) = place.map(|(segment, offset)| (segment.parse(), offset.parse())) {
                self.shared.damaged_add(segment, offset);
            }
        }
    }
}

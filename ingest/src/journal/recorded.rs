//! A disk in memory that records every operation, forgets what was not synced, and fails when told to. It knows what a
//! disk may do at a power cut: of the pages written since the last sync any may be there and any not, the file's length
//! may be the old one or the new one, and a name that was not synced with its folder may be missing or still there.
//! After a failed sync the pages count as clean, as on Linux: a second sync succeeds, and they are lost all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::disk::{Disk, DiskFile};

pub(super) const PAGE: usize = 4_096;

/// One operation that was carried out.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// A folder's name.
    Dir(PathBuf),
    /// The name of a file; what the file held before is gone with a `Truncate`.
    Name(PathBuf, usize),
    Remove(PathBuf),
    Write(usize, u64, Vec<u8>),
    Truncate(usize, u64),
    Sync(usize),
    /// Nothing reached the disk, and nothing is dirty any more.
    SyncLost(usize),
    SyncDir(PathBuf),
    /// Not an operation: these frames were acknowledged here.
    Acknowledged(Vec<(u64, String)>),
    /// Not an operation: from here on frames up to this one may be freed.
    MayFree(u64),
}

/// A mistake that the journal does not make, made below it, to see the suite notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plant {
    /// As if it acknowledged before the sync.
    NoSync,
    /// As if it never synced the folder.
    NoDirSync,
    /// As if it did not cut off what a failed write left.
    NoTruncate,
    /// As if it tried a failed sync again on the same descriptor.
    RetrySync,
    /// As if it created the next segment before the seal of the last one was durable.
    SealNotSynced,
    /// As if it took a sealed segment's name away before it said so in the chain.
    FreedNotSaid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    Io,
    Full,
    /// A write brings half and then finds no room.
    Short,
    /// The process was killed: nothing is done any more, and the disk keeps what it had, synced or not.
    Killed,
}

/// Operations (counted from the disk's beginning) that fail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults {
    pub(super) from: usize,
    pub(super) until: usize,
    pub(super) kind: FaultKind,
}

#[derive(Default)]
struct Inner {
    files: Vec<Vec<u8>>,
    names: BTreeMap<PathBuf, usize>,
    dirs: BTreeSet<PathBuf>,
    log: Vec<Op>,
    attempts: usize,
    faults: Option<Faults>,
    plant: Option<Plant>,
    /// A sync was tried again on a descriptor whose sync had failed.
    retried: bool,
}

#[derive(Clone, Default)]
pub(super) struct Recorded(Arc<Mutex<Inner>>);

/// What is on the disk, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub(super) dirs: BTreeSet<PathBuf>,
    pub(super) files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Recorded {
    pub(super) fn of(image: &Image, plant: Option<Plant>) -> Self {
        let mut inner = Inner { plant, dirs: image.dirs.clone(), ..Inner::default() };
        for (path, bytes) in &image.files {
            inner.names.insert(path.clone(), inner.files.len());
            inner.files.push(bytes.clone());
        }
        Self(Arc::new(Mutex::new(inner)))
    }

    pub(super) fn note(&self, op: Op) {
        self.0.lock().unwrap().log.push(op);
    }

    pub(super) fn log(&self) -> Vec<Op> {
        self.0.lock().unwrap().log.clone()
    }

    pub(super) fn attempts(&self) -> usize {
        self.0.lock().unwrap().attempts
    }

    pub(super) fn fail(&self, faults: Faults) {
        self.0.lock().unwrap().faults = Some(faults);
    }

    /// Whether the process was killed. Then the next one may begin.
    pub(super) fn revive(&self) -> bool {
        let mut inner = self.0.lock().unwrap();
        let killed = inner.faults.is_some_and(|faults| faults.kind == FaultKind::Killed && inner.attempts > faults.from);
        if killed {
            inner.faults = None;
        }
        killed
    }

    pub(super) fn retried(&self) -> bool {
        self.0.lock().unwrap().retried
    }

    /// Counts an operation; an error where it is to fail.
    fn attempt(&self) -> (std::sync::MutexGuard<'_, Inner>, Option<FaultKind>) {
        let mut inner = self.0.lock().unwrap();
        let at = inner.attempts;
        inner.attempts += 1;
        let fault = inner.faults.filter(|faults| (faults.from..faults.until).contains(&at)).map(|faults| faults.kind);
        (inner, fault)
    }
}

fn error(kind: FaultKind) -> Error {
    match kind {
        FaultKind::Io | FaultKind::Killed => Error::from_raw_os_error(5),
        FaultKind::Full | FaultKind::Short => Error::from(ErrorKind::StorageFull),
    }
}

impl Disk for Recorded {
    fn create_dir(&self, dir: &Path) -> Result<()> {
        let (mut inner, fault) = self.attempt();
        if let Some(kind) = fault {
            return Err(error(kind));
        }
        if inner.dirs.insert(dir.into()) {
            inner.log.push(Op::Dir(dir.into()));
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        let (mut inner, fault) = self.attempt();
        if let Some(kind) = fault {
            return Err(error(kind));
        }
        if !inner.dirs.contains(path.parent().unwrap()) {
            return Err(ErrorKind::NotFound.into());
        }
        let id = match inner.names.get(path) {
            Some(id) => {
                let id = *id;
                inner.files[id].clear();
                inner.log.push(Op::Truncate(id, 0));
                id
            }
            None => {
                let id = inner.files.len();
                inner.files.push(Vec::new());
                inner.names.insert(path.into(), id);
                inner.log.push(Op::Name(path.into(), id));
                id
            }
        };
        drop(inner);
        Ok(Box::new(RecordedFile { disk: self.clone(), id, path: path.into(), sync_failed: false }))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        let (inner, fault) = self.attempt();
        if let Some(kind) = fault {
            return Err(error(kind));
        }
        drop(inner);
        self.open_read(path)
    }

    fn open_read(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        let inner = self.0.lock().unwrap();
        let id = *inner.names.get(path).ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(RecordedFile { disk: self.clone(), id, path: path.into(), sync_failed: false }))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let (mut inner, fault) = self.attempt();
        if let Some(kind) = fault {
            return Err(error(kind));
        }
        inner.names.remove(path).ok_or(ErrorKind::NotFound)?;
        inner.log.push(Op::Remove(path.into()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let (mut inner, fault) = self.attempt();
        if let Some(kind) = fault {
            return Err(error(kind));
        }
        if inner.plant != Some(Plant::NoDirSync) {
            inner.log.push(Op::SyncDir(dir.into()));
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> Result<Vec<PathBuf>> {
        let inner = self.0.lock().unwrap();
        if !inner.dirs.contains(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(inner.names.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
    }
}

struct RecordedFile {
    disk: Recorded,
    id: usize,
    path: PathBuf,
    sync_failed: bool,
}

impl RecordedFile {
    fn is_chain(&self) -> bool {
        self.path.file_name().is_some_and(|name| name == super::chain::FILE)
    }
}

fn write(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if file.len() < offset + bytes.len() {
        file.resize(offset + bytes.len(), 0);
    }
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
}

impl DiskFile for RecordedFile {
    fn len(&self) -> Result<u64> {
        Ok(self.disk.0.lock().unwrap().files[self.id].len() as u64)
    }

    fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let inner = self.disk.0.lock().unwrap();
        let bytes = inner.files[self.id].get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        Ok(bytes[..len.min(bytes.len())].to_vec())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let (mut inner, fault) = self.disk.attempt();
        if inner.plant == Some(Plant::FreedNotSaid) && bytes.starts_with(b"freed") {
            return Ok(());
        }
        let taken = match fault {
            None => bytes,
            Some(FaultKind::Short) => &bytes[..bytes.len() / 2],
            Some(_) => &[],
        };
        if !taken.is_empty() {
            write(&mut inner.files[self.id], usize::try_from(offset).unwrap(), taken);
            inner.log.push(Op::Write(self.id, offset, taken.to_vec()));
        }
        fault.map_or(Ok(()), |kind| Err(error(kind)))
    }

    fn truncate(&mut self, len: u64) -> Result<()> {
        let (mut inner, fault) = self.disk.attempt();
        if let Some(kind) = fault {
            return Err(error(kind));
        }
        if inner.plant == Some(Plant::NoTruncate) {
            return Ok(());
        }
        inner.files[self.id].resize(usize::try_from(len).unwrap(), 0);
        inner.log.push(Op::Truncate(self.id, len));
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        let is_chain = self.is_chain();
        let (mut inner, fault) = self.disk.attempt();
        inner.retried |= self.sync_failed;
        if inner.plant == Some(Plant::NoSync) || (inner.plant == Some(Plant::SealNotSynced) && is_chain) {
            return Ok(());
        }
        if fault == Some(FaultKind::Killed) {
            return Err(error(FaultKind::Killed));
        }
        if let Some(kind) = fault {
            inner.log.push(Op::SyncLost(self.id));
            if inner.plant == Some(Plant::RetrySync) {
                // The second try finds nothing dirty.
                inner.log.push(Op::Sync(self.id));
                return Ok(());
            }
            self.sync_failed = true;
            return Err(error(kind));
        }
        inner.log.push(Op::Sync(self.id));
        Ok(())
    }
}

/// What a crash leaves of what was not durable.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leaves {
    Nothing,
    All,
    /// All names, and of each file's unsynced growth this share (of 256).
    Torn(u8),
    /// Each page (or each sector of 512 bytes), length and name by chance.
    Any {
        sectors: bool,
    },
}

/// The state of a disk while a log is played: what is cached, what is durable, and what is neither.
#[derive(Clone, Default)]
pub(super) struct Replay {
    files: BTreeMap<usize, FileState>,
    names: BTreeMap<PathBuf, Option<usize>>,
    dirs: BTreeSet<PathBuf>,
    pending_names: Vec<(PathBuf, Option<usize>)>,
    pending_dirs: Vec<PathBuf>,
}

#[derive(Clone, Default)]
struct FileState {
    cached: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

impl FileState {
    fn dirty(&mut self, from: usize, to: usize) {
        if from < to {
            self.dirty.extend(from / PAGE..=(to - 1) / PAGE);
        }
    }

    fn sync(&mut self) {
        self.durable.resize(self.cached.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            let (from, to) = (page * PAGE, ((page + 1) * PAGE).min(self.cached.len()));
            if from < to {
                self.durable[from..to].copy_from_slice(&self.cached[from..to]);
            }
        }
    }

    fn after_crash(&self, leaves: Leaves, random: &mut Random) -> Vec<u8> {
        match leaves {
            Leaves::Nothing => self.durable.clone(),
            Leaves::All => {
                let mut file = self.clone();
                file.sync();
                file.durable
            }
            Leaves::Torn(share) => {
                let mut file = self.clone();
                file.sync();
                let grown = file.durable.len().saturating_sub(self.durable.len());
                file.durable.truncate(file.durable.len() - grown + grown * usize::from(share) / 256);
                file.durable
            }
            Leaves::Any { sectors } => {
                let len = if random.coin() { self.cached.len() } else { self.durable.len() };
                let mut bytes = self.durable.clone();
                bytes.resize(len, 0);
                let step = if sectors { 512 } else { PAGE };
                for page in &self.dirty {
                    for from in (page * PAGE..(page + 1) * PAGE).step_by(step) {
                        let to = (from + step).min(len).min(self.cached.len());
                        if from < to && random.coin() {
                            bytes[from..to].copy_from_slice(&self.cached[from..to]);
                        }
                    }
                }
                bytes
            }
        }
    }
}

impl Replay {
    /// Begins with an image on which a log was recorded.
    pub(super) fn of(image: &Image) -> Self {
        let mut replay = Self { dirs: image.dirs.clone(), ..Self::default() };
        for (id, (path, bytes)) in image.files.iter().enumerate() {
            replay.names.insert(path.clone(), Some(id));
            replay.files.insert(id, FileState { cached: bytes.clone(), durable: bytes.clone(), dirty: BTreeSet::new() });
        }
        replay
    }

    pub(super) fn play(&mut self, op: &Op) {
        match op {
            Op::Dir(path) => self.pending_dirs.push(path.clone()),
            Op::Name(path, id) => {
                self.pending_names.push((path.clone(), Some(*id)));
                self.files.entry(*id).or_default();
            }
            Op::Remove(path) => self.pending_names.push((path.clone(), None)),
            Op::Write(id, offset, bytes) => {
                let file = self.files.entry(*id).or_default();
                let offset = usize::try_from(*offset).unwrap();
                write(&mut file.cached, offset, bytes);
                file.dirty(offset, offset + bytes.len());
            }
            Op::Truncate(id, len) => {
                let file = self.files.entry(*id).or_default();
                let len = usize::try_from(*len).unwrap();
                let before = file.cached.len();
                file.cached.resize(len, 0);
                file.dirty.retain(|page| page * PAGE < len);
                // The last page is written anew: its rest is zeros now.
                if len < before && !len.is_multiple_of(PAGE) {
                    file.dirty.insert(len / PAGE);
                }
            }
            Op::Sync(id) => self.files.entry(*id).or_default().sync(),
            Op::SyncLost(id) => self.files.entry(*id).or_default().dirty.clear(),
            Op::SyncDir(dir) => {
                let (dirs, names) = (std::mem::take(&mut self.pending_dirs), std::mem::take(&mut self.pending_names));
                for path in dirs {
                    if path.parent() == Some(dir) {
                        self.dirs.insert(path);
                    } else {
                        self.pending_dirs.push(path);
                    }
                }
                for (path, id) in names {
                    if path.parent() == Some(dir) {
                        self.names.insert(path, id);
                    } else {
                        self.pending_names.push((path, id));
                    }
                }
            }
            Op::Acknowledged(_) | Op::MayFree(_) => {}
        }
    }

    /// What is on the disk after a crash here.
    pub(super) fn crash(&self, leaves: Leaves, random: &mut Random) -> Image {
        let mut image = Image { dirs: self.dirs.clone(), ..Image::default() };
        let stays = |random: &mut Random| match leaves {
            Leaves::Nothing => false,
            Leaves::All | Leaves::Torn(_) => true,
            Leaves::Any { .. } => random.coin(),
        };
        for dir in &self.pending_dirs {
            if stays(random) {
                image.dirs.insert(dir.clone());
            }
        }
        let mut names = self.names.clone();
        for (path, id) in &self.pending_names {
            if stays(random) {
                names.insert(path.clone(), *id);
            }
        }
        for (path, id) in names {
            let Some(id) = id else { continue };
            if image.dirs.contains(path.parent().unwrap()) {
                image.files.insert(path, self.files[&id].after_crash(leaves, random));
            }
        }
        image
    }
}

/// A small generator of our own (splitmix64), so that a seed means the same for ever.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

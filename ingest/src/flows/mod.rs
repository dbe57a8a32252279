//! The flow store: flow records as Parquet files, one for every five minutes of receipt, and the records of the
//! current five minutes in memory. When an hour is over its files become one, sorted for pruning (`compact`). Queries see
//! all of it at once, and each record exactly once. The files are plain Parquet (`column` tells the columns, `file` how
//! they are kept): DuckDB, pandas, Spark and ClickHouse read them as they are.
//!
//! `<dir>/<YYYY-MM-DD>/<HHMM>-<first sequence>.parquet`, by the time of receipt in UTC, compacted `<HH>-<first sequence>`;
//! `<dir>/cursor` where the journal went on without flows; `<dir>/quarantine/` what could not be read.
//!
//! **Effects once.** A file accounts for a stretch of the journal (`wartburg.seq_from` to `wartburg.seq_to` in its
//! metadata). It is written under a temporary name, synced and renamed; what a crash leaves unfinished is removed
//! at the next start and comes again from the journal. The cursor is the highest sequence that is accounted for.
//! A compacted file accounts for all of what it was made of: what lies within its stretch is left over and goes.
//!
//! Queries select by time of receipt, which the store orders by and no exporter's clock can shift.

pub mod ask;

mod chunk;
pub mod column;
mod compact;
mod consumer;
mod disk;
mod file;
mod filter;
mod nfdump;
pub mod value;

mod query;
mod read;
mod rebuild;
mod replay;
mod retention;
mod rollup;
mod scan;
mod table;
mod upkeep;
mod values;

#[cfg(test)]
mod compact_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod keep_tests;
#[cfg(test)]
mod kill_tests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

pub use chunk::{CHUNK_ROWS, Chunk, Mask};
pub use compact::{BLOCK_ROWS_MAX, Compacted};
pub use consumer::FlowConsumer;
pub use filter::FlowFilter;
pub use read::{AskedAddress, End, Prune};
pub use rebuild::{FlowDay, FlowsRebuilt};
pub use replay::{FlowsAgain, Replayed, replay};
pub use retention::{DAYS_DEFAULT, FlowDeletion, flow_deletion_list};
pub use rollup::{MIGRATIONS, MINUTES_KEPT, Rollup, RollupSums, Step, Tops, rollup_each};
pub use scan::{FILTER_NONE, Filter, FlowRange, Predicate, SCAN_THREADS, Scanned, Worker};
pub use upkeep::{FlowSettings, FlowUpkeep, OpenAgain, PART};
pub use values::Slice;

use crate::flow::FlowRecord;
use crate::frame::Seq;
use crate::time::Timestamp;
use file::{FileError, FileInfo};

/// What a file covers.
pub const WINDOW_MILLIS: i64 = 5 * Timestamp::MINUTE;
/// Where damaged files go, below the store's directory.
const QUARANTINE: &str = "quarantine";
const CURSOR_FILE: &str = "cursor";
const TEMPORARY: &str = "tmp";

/// How often a store beside another process looks until nothing comes or goes meanwhile.
const LOOKS_MAX: usize = 64;

/// Why the store could not do something; damaged files are no errors, they are set aside and counted.
#[derive(Debug, thiserror::Error)]
#[error("{what} {}", path.display())]
pub struct FlowStoreError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FlowStoreError {
    fn new(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self { what, path: path.into(), source }
    }
}

/// The store's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FlowStats {
    pub files: u64,
    /// Records in files and in memory.
    pub records: u64,
    /// Size of the files.
    pub bytes: u64,
    /// Records that are only in memory yet (the journal still has them).
    pub open_records: u64,
    /// Files set aside since the start because they could not be read.
    pub damaged_files: u64,
    /// Files and days that the system would not give when the store was opened.
    pub unread_files: u64,
    /// The last sequence that files account for.
    pub cursor: Seq,
}

/// All flows. One `FlowConsumer` writes, any number of queries read.
#[derive(Debug)]
pub struct FlowStore {
    dir: PathBuf,
    /// Whether another process writes here: then nothing is changed, and what goes meanwhile was replaced.
    beside: bool,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By sequence, oldest first.
    files: Vec<Arc<FileInfo>>,
    /// The records that no file has yet, in chunks so that queries can hold them without copying.
    open: Vec<Arc<[FlowRecord]>>,
    damaged: u64,
    /// What is on the disk and not in the store.
    unread: Vec<Unread>,
    cursor: Seq,
    /// Up to where nothing is missing: the end of the last file. The next one accounts for all behind it, also where no flows
    /// came, so that a gap between two files always means that one was lost.
    accounted: Seq,
}

/// A file, or a whole day, that could not be read when it was looked for.
#[derive(Clone, Debug)]
struct Unread {
    path: PathBuf,
    why: String,
}

impl Unread {
    /// The first sequence that it accounts for; `None` where nobody knows.
    fn first(&self) -> Option<Seq> {
        let name = self.path.file_name()?.to_str()?.strip_suffix(".parquet")?;
        name.rsplit_once('-')?.1.parse().ok().map(Seq)
    }
}

/// What a query reads: the store as it was at one moment.
struct View {
    files: Vec<Arc<FileInfo>>,
    open: Vec<Arc<[FlowRecord]>>,
}

impl FlowStore {
    /// Opens the directory, or makes it. Leftovers of a crash are removed, damaged files set aside; what the system does not
    /// give now is looked for again by `unread_retry`.
    ///
    /// # Errors
    /// Where the directory itself cannot be read or written.
    pub fn open(dir: &Path) -> Result<Arc<Self>, FlowStoreError> {
        std::fs::create_dir_all(dir).map_err(|source| FlowStoreError::new("opening the flow store", dir, source))?;
        Ok(Arc::new(Self { dir: dir.into(), beside: false, state: RwLock::new(load(dir, false, &mut || {})?) }))
    }

    /// Opens the directory for looking at it beside the process that writes it: changes nothing.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn open_beside(dir: &Path) -> Result<Arc<Self>, FlowStoreError> {
        Ok(Arc::new(Self { dir: dir.into(), beside: true, state: RwLock::new(load(dir, true, &mut || {})?) }))
    }

    pub fn stats(&self) -> FlowStats {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let open_records = state.open.iter().map(|chunk| chunk.len() as u64).sum();
        FlowStats {
            files: state.files.len() as u64,
            records: state.files.iter().map(|file| file.records).sum::<u64>() + open_records,
            bytes: state.files.iter().map(|file| file.bytes).sum(),
            open_records,
            damaged_files: state.damaged,
            unread_files: state.unread.len() as u64,
            cursor: state.cursor,
        }
    }

    fn view(&self) -> View {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        View { files: state.files.clone(), open: state.open.clone() }
    }

    fn cursor(&self) -> Seq {
        self.state.read().unwrap_or_else(PoisonError::into_inner).cursor
    }

    /// Makes records visible to queries.
    fn add(&self, records: &[FlowRecord]) {
        if !records.is_empty() {
            self.state.write().unwrap_or_else(PoisonError::into_inner).open.push(records.into());
        }
    }

    /// Writes the open records, if any, as accounting for everything behind the cursor up to `seq_to`, and
    /// moves the cursor. Queries see them in memory until the file stands, then there.
    fn write(&self, seq_to: Seq) -> Result<(), FlowStoreError> {
        let (open, cursor, from) = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            (state.open.clone(), state.cursor, state.accounted.next())
        };
        let written = match open.first().and_then(|chunk| chunk.first()) {
            Some(first) => {
                let path = self.path(first.received_at, from);
                Some(file::write(&path, &open, from, seq_to).map_err(|e| FlowStoreError::new("writing flows to", &path, e))?)
            }
            None if seq_to > cursor => {
                let path = self.dir.join(CURSOR_FILE);
                let text = format!("{}\n", seq_to.0);
                file::replace(&path, text.as_bytes()).map_err(|e| FlowStoreError::new("writing the cursor", &path, e))?;
                None
            }
            None => None,
        };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(info) = written {
            state.files.push(Arc::new(info));
            state.open.clear();
            state.accounted = seq_to;
        }
        state.cursor = state.cursor.max(seq_to);
        Ok(())
    }

    /// What is on the disk and not in the store, by its place below the store's directory, and why.
    pub fn unread(&self) -> Vec<(String, String)> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let place = |path: &Path| path.strip_prefix(&self.dir).unwrap_or(path).display().to_string();
        state.unread.iter().map(|unread| (place(&unread.path), unread.why.clone())).collect()
    }

    /// Looks again for files that the system would not give when the store was opened; days that it would not list come with the
    /// next start.
    pub fn unread_retry(&self) {
        let unread = self.state.read().unwrap_or_else(PoisonError::into_inner).unread.clone();
        let (again, left): (Vec<Unread>, Vec<Unread>) = unread.into_iter().partition(|one| one.path.parent() != Some(&*self.dir));
        if again.is_empty() || self.beside {
            return;
        }
        let listing = Listing { files: again.into_iter().map(|one| one.path).collect(), unread: left };
        let (found, _) = look(&self.dir, false, &listing, &mut HashMap::new());
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.unread = found.unread;
        state.damaged += found.damaged;
        for info in found.files {
            if info.span.seq_to > state.cursor {
                // The journal is read again from before it: what is in it comes, or came, once more.
                state.unread.push(Unread { path: info.path.clone(), why: "the journal gives it again".to_owned() });
            } else if !state.files.iter().any(|other| other.path == info.path) {
                state.files.push(info);
            }
        }
        for twice in settle(&mut state.files, false) {
            set_aside(&self.dir, &twice.path, "other files account for what is in it");
        }
    }

    fn path(&self, received_at: Timestamp, first: Seq) -> PathBuf {
        let window = Timestamp(window_start(received_at)).utc();
        self.dir.join(window.format("%Y-%m-%d").to_string()).join(format!("{}-{}.parquet", window.format("%H%M"), first.0))
    }

    /// Takes a file that is gone or damaged out of the store. What the system could not do now it may be able to do later.
    fn drop_file(&self, info: &FileInfo, error: &FileError) -> Result<(), FlowStoreError> {
        if matches!(error, FileError::Io(_)) {
            return Ok(());
        }
        if self.beside && matches!(error, FileError::Gone) {
            let now = load(&self.dir, true, &mut || {})?;
            *self.state.write().unwrap_or_else(PoisonError::into_inner) = now;
            return Ok(());
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let before = state.files.len();
        // By the file, not by its name: one that was made anew has the same.
        state.files.retain(|file| !std::ptr::eq(&raw const **file, info));
        // Two queries may meet the same damage; it is one file.
        if let (FileError::Damaged(reason), true) = (error, state.files.len() < before) {
            state.damaged += 1;
            state.accounted = state.cursor;
            if !self.beside {
                set_aside(&self.dir, &info.path, reason);
            }
        }
        Ok(())
    }
}

fn window_start(at: Timestamp) -> i64 {
    at.0.saturating_sub(at.0.rem_euclid(WINDOW_MILLIS))
}

/// Reads what is on the disk. `listed` is called between listing and reading, for tests.
///
/// Beside another process files come and go meanwhile: one that was compacted after it was listed is in a file that was not. So
/// it is looked again until all that was listed was there, and nothing else has come.
fn load(dir: &Path, beside: bool, listed: &mut dyn FnMut()) -> Result<State, FlowStoreError> {
    let mut known = HashMap::new();
    for _ in 0..LOOKS_MAX {
        let listing = list(dir, beside)?;
        listed();
        let (mut state, complete) = look(dir, beside, &listing, &mut known);
        if beside && !(complete && list(dir, beside)?.files == listing.files) {
            continue;
        }
        for twice in settle(&mut state.files, beside) {
            if !beside {
                set_aside(dir, &twice.path, "other files account for what is in it");
            }
        }
        let written = std::fs::read_to_string(dir.join(CURSOR_FILE)).ok().and_then(|text| text.trim().parse().ok());
        let last = state.files.iter().map(|file| file.span.seq_to).max();
        state.cursor = last.max(written.map(Seq)).unwrap_or_default();
        // Where something is missing, be it since an earlier start, it may be what lies behind the last file: that gap is to be
        // seen, and the next file must not account for it.
        let whole = state.damaged == 0 && state.unread.is_empty() && quarantined(dir).is_empty();
        state.accounted = last.filter(|_| whole).unwrap_or(state.cursor);
        return Ok(state);
    }
    Err(FlowStoreError::new("opening the flow store", dir, io::Error::other("files come and go faster than they are read")))
}

/// What lies below the days, and which days cannot be listed.
#[derive(Default)]
struct Listing {
    files: BTreeSet<PathBuf>,
    unread: Vec<Unread>,
}

fn list(dir: &Path, beside: bool) -> Result<Listing, FlowStoreError> {
    let failed = |source| FlowStoreError::new("opening the flow store", dir, source);
    let mut listing = Listing::default();
    let days = match std::fs::read_dir(dir) {
        Err(error) if beside && error.kind() == io::ErrorKind::NotFound => return Ok(listing),
        days => days.map_err(failed)?,
    };
    for day in days {
        let day = day.map_err(failed)?;
        if day.file_name() != QUARANTINE && day.file_type().map_err(failed)?.is_dir() {
            match list_day(&day.path()) {
                Ok(files) => listing.files.extend(files),
                // It was just let go.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => listing.unread.push(Unread { path: day.path(), why: error.to_string() }),
            }
        }
    }
    Ok(listing)
}

fn list_day(day: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::read_dir(day)?.map(|entry| Ok(entry?.path())).collect()
}

/// Reads what the listed files say of themselves; whether none of them went meanwhile.
fn look(dir: &Path, beside: bool, listing: &Listing, known: &mut HashMap<PathBuf, Arc<FileInfo>>) -> (State, bool) {
    let mut state = State { unread: listing.unread.clone(), ..State::default() };
    let mut complete = true;
    for path in &listing.files {
        let extension = path.extension().unwrap_or_default();
        if extension == TEMPORARY && !beside {
            let removed = std::fs::remove_file(path);
            tracing::info!(path = %path.display(), removed = removed.is_ok(), "a flow file that a crash left unfinished");
        } else if extension == "parquet" {
            let info = known.get(path).map_or_else(|| file::inspect(path).map(Arc::new), |info| Ok(Arc::clone(info)));
            match info {
                Ok(info) => {
                    known.insert(path.clone(), Arc::clone(&info));
                    state.files.push(info);
                }
                Err(FileError::Gone) => complete = false,
                Err(FileError::Io(error)) => {
                    tracing::error!(path = %path.display(), %error, "a flow file cannot be read now; going on without it");
                    state.unread.push(Unread { path: path.clone(), why: error.to_string() });
                }
                Err(FileError::Damaged(reason)) => {
                    state.damaged += 1;
                    if beside {
                        state.unread.push(Unread { path: path.clone(), why: reason });
                    } else {
                        set_aside(dir, path, &reason);
                    }
                }
            }
        }
    }
    (state, complete)
}

/// Orders the files by sequence and takes out those that a compacted one stands for: a crash came before they were unlinked,
/// or, seen from beside, that is just being done. Returns what else others account for: a file could not be read, and the
/// journal was read again from before it.
fn settle(files: &mut Vec<Arc<FileInfo>>, beside: bool) -> Vec<Arc<FileInfo>> {
    files.sort_by_key(|file| (file.span.seq_from, std::cmp::Reverse(file.span.seq_to), !file.span.compacted));
    let mut last: Option<Arc<FileInfo>> = None;
    files.retain(|file| {
        let left_over = last.as_ref().is_some_and(|last| last.span.compacted && last.span.covers(&file.span));
        if !left_over {
            last = Some(Arc::clone(file));
        } else if !beside {
            tracing::info!(path = %file.path.display(), "removed a flow file that is part of a compacted one");
            file.retire();
        }
        !left_over
    });
    let mut twice = Vec::new();
    while let Some(at) = accounted_twice(files) {
        twice.push(files.remove(at));
    }
    twice
}

/// A file whose stretch others account for, the one with the most of them: then the fewest go.
fn accounted_twice(files: &[Arc<FileInfo>]) -> Option<usize> {
    let mut reached = Seq(0);
    let apart = files.iter().all(|file| {
        let apart = file.span.seq_from > reached;
        reached = reached.max(file.span.seq_to);
        apart
    });
    if apart {
        return None;
    }
    let others = |file: &Arc<FileInfo>| {
        let overlap = |other: &&Arc<FileInfo>| {
            !Arc::ptr_eq(file, other) && other.span.seq_from <= file.span.seq_to && file.span.seq_from <= other.span.seq_to
        };
        let (mut count, mut next) = (0, file.span.seq_from);
        for other in files.iter().filter(overlap) {
            count += 1;
            if other.span.seq_from <= next {
                next = next.max(other.span.seq_to.next());
            }
        }
        (next > file.span.seq_to).then_some(count)
    };
    files.iter().enumerate().filter_map(|(at, file)| Some((others(file)?, at))).max().map(|(_, at)| at)
}

/// The names of what was set aside.
fn quarantined(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join(QUARANTINE)).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// Moves a file that is not to be read to the quarantine, keeping its day in its name. Where that fails it stays where it is:
/// the store goes on without it all the same.
fn set_aside(dir: &Path, path: &Path, reason: &str) {
    let part = |path: Option<&Path>| path.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let (folder, name) = (dir.join(QUARANTINE), format!("{}-{}", part(path.parent()), part(Some(path))));
    // One that was made anew and is damaged again has the name of the first, which stays.
    let names = std::iter::once(name.clone()).chain((2..1_000).map(|n| format!("{name}.{n}")));
    let free = names.map(|name| folder.join(name)).find(|target| !target.exists()).unwrap_or_else(|| folder.join(&name));
    let moved = std::fs::create_dir_all(&folder).and_then(|()| std::fs::rename(path, free));
    tracing::warn!(path = %path.display(), reason, moved = moved.is_ok(), "a flow file was set aside");
}

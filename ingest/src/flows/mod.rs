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

mod group;
mod query;
mod read;
mod rebuild;
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
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

pub use chunk::{CHUNK_ROWS, Chunk, Mask};
pub use compact::{BLOCK_ROWS_MAX, Compacted};
pub use consumer::FlowConsumer;
pub use filter::FlowFilter;

pub use group::{Group, Grouping, Groups, KeyPart, ROWS_MAX};
pub use query::{FlowBucket, GroupBy, Measure, TopRequest, TopResult, TopRow};
pub use read::{AskedAddress, End, Prune};
pub use rebuild::{FlowDay, FlowsAgain, FlowsRebuilt};
pub use retention::{DAYS_DEFAULT, FlowDeletion, flow_deletion_list};
pub use rollup::{MIGRATIONS, MINUTES_KEPT, Rollup, RollupSums, Step, Tops, rollup_each};
pub use scan::{FILTER_NONE, Filter, FlowRange, Predicate, SCAN_THREADS, Scanned, Worker};
pub use table::Sums;
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
    cursor: Seq,
    /// Up to where nothing is missing: the end of the last file. The next one accounts for all behind it, also where no flows
    /// came, so that a gap between two files always means that one was lost.
    accounted: Seq,
}

/// What a query reads: the store as it was at one moment.
struct View {
    files: Vec<Arc<FileInfo>>,
    open: Vec<Arc<[FlowRecord]>>,
}

impl FlowStore {
    /// Opens the directory, or makes it. Leftovers of a crash are removed, unreadable files set aside.
    ///
    /// # Errors
    /// Where the directory cannot be read or written.
    pub fn open(dir: &Path) -> Result<Arc<Self>, FlowStoreError> {
        std::fs::create_dir_all(dir).map_err(|source| FlowStoreError::new("opening the flow store", dir, source))?;
        Ok(Arc::new(Self { dir: dir.into(), beside: false, state: RwLock::new(load(dir, false)?) }))
    }

    /// Opens the directory for looking at it beside the process that writes it: changes nothing.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn open_beside(dir: &Path) -> Result<Arc<Self>, FlowStoreError> {
        Ok(Arc::new(Self { dir: dir.into(), beside: true, state: RwLock::new(load(dir, true)?) }))
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
            let now = load(&self.dir, true)?;
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

fn load(dir: &Path, beside: bool) -> Result<State, FlowStoreError> {
    let failed = |source| FlowStoreError::new("opening the flow store", dir, source);
    let mut state = State::default();
    let days = match std::fs::read_dir(dir) {
        Err(error) if beside && error.kind() == io::ErrorKind::NotFound => return Ok(state),
        days => days.map_err(failed)?,
    };
    for day in days {
        let day = day.map_err(failed)?;
        if day.file_type().map_err(failed)?.is_dir() && day.file_name() != QUARANTINE {
            load_day(dir, &day.path(), beside, &mut state)?;
        }
    }
    settle(&mut state.files, beside);
    let written = std::fs::read_to_string(dir.join(CURSOR_FILE)).ok().and_then(|text| text.trim().parse().ok());
    let last = state.files.iter().map(|file| file.span.seq_to).max();
    state.cursor = last.max(written.map(Seq)).unwrap_or_default();
    // Where something was set aside, it may be what lies behind the last file: that gap is to be seen.
    state.accounted = last.filter(|_| state.damaged == 0).unwrap_or(state.cursor);
    Ok(state)
}

/// Orders the files by sequence and takes out those that a compacted one stands for: a crash came before they were unlinked,
/// or, seen from beside, that is just being done.
fn settle(files: &mut Vec<Arc<FileInfo>>, beside: bool) {
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
}

fn load_day(dir: &Path, day: &Path, beside: bool, state: &mut State) -> Result<(), FlowStoreError> {
    let failed = |source| FlowStoreError::new("reading the flows of", day, source);
    let entries = match std::fs::read_dir(day) {
        Err(error) if beside && error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().unwrap_or_default();
        if extension == TEMPORARY && !beside {
            std::fs::remove_file(&path).map_err(failed)?;
            tracing::info!(path = %path.display(), "removed a flow file that a crash left unfinished");
        } else if extension == "parquet" {
            match file::inspect(&path) {
                Ok(info) => state.files.push(Arc::new(info)),
                Err(FileError::Gone) => {}
                Err(FileError::Io(error)) => return Err(FlowStoreError::new("reading", &path, error)),
                Err(FileError::Damaged(reason)) => {
                    state.damaged += 1;
                    if !beside {
                        set_aside(dir, &path, &reason);
                    }
                }
            }
        }
    }
    Ok(())
}

/// Moves a damaged file to the quarantine, keeping its day in its name. Where that fails it stays where it is:
/// the store goes on without it all the same.
fn set_aside(dir: &Path, path: &Path, reason: &str) {
    let part = |path: Option<&Path>| path.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let target = dir.join(QUARANTINE).join(format!("{}-{}", part(path.parent()), part(Some(path))));
    let moved = std::fs::create_dir_all(dir.join(QUARANTINE)).and_then(|()| std::fs::rename(path, target));
    tracing::warn!(path = %path.display(), reason, moved = moved.is_ok(), "a flow file is damaged and was set aside");
}

//! The way of every question through memory and files: row groups that may hold a match, then the columns that judge, then,
//! where anything is left, the columns that are asked for. Two threads at most.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::chunk::{CHUNK_ROWS, Chunk, Mask};
use super::column::{Column, ColumnSet};
use super::file::{FileError, FileInfo};
use super::read::{Opened, Prune, Wanted};
use super::values::Values;
use super::{FlowStore, FlowStoreError, View};
use crate::body::SiteTable;
use crate::flow::FlowRecord;
use crate::frame::Seq;
use crate::record::{FlowView, Record};
use crate::scope::Scope;
use crate::time::Timestamp;

/// Threads of a question: the smallest machine has two cores, and receiving needs one of them.
pub const SCAN_THREADS: usize = 2;
/// How often a question begins anew because a file was damaged or replaced meanwhile.
const TRIES_MAX: usize = 16;

/// Judges rows by their columns.
pub trait Predicate: Sync {
    /// The columns that `narrow` looks at.
    fn needed(&self) -> ColumnSet;
    /// What every match has, for leaving out row groups.
    fn prune(&self) -> Prune;
    /// Takes the rows that do not match out of the mask.
    fn narrow(&self, chunk: &Chunk<'_>, sites: &SiteTable, mask: &mut Mask);
}

/// Which records count.
pub type Filter<'a> = &'a dyn Predicate;

/// No filter: fewer columns are read.
pub const FILTER_NONE: Option<Filter<'static>> = None;

/// A question of records, as the query language has it: any field may be looked at, so all columns are read.
impl<F: Fn(&dyn Record) -> bool + Sync> Predicate for F {
    fn needed(&self) -> ColumnSet {
        ColumnSet::ALL
    }
    fn prune(&self) -> Prune {
        Prune::default()
    }
    fn narrow(&self, chunk: &Chunk<'_>, sites: &SiteTable, mask: &mut Mask) {
        mask.narrow_rows(|row| self(&FlowView { flow: &chunk.record(row), sites }));
    }
}

/// What to look at, and on whose behalf.
#[derive(Clone, Copy)]
pub struct FlowRange<'a> {
    /// Receipt from, inclusive.
    pub from: Timestamp,
    /// Receipt to, exclusive.
    pub to: Timestamp,
    pub filter: Option<Filter<'a>>,
    pub scope: &'a Scope,
    pub sites: &'a SiteTable,
}

/// Takes chunks. One worker is one thread's.
pub trait Worker: Send {
    /// `Break` ends the whole scan soon.
    fn chunk(&mut self, chunk: &Chunk<'_>) -> ControlFlow<()>;
}

impl<F: FnMut(&Chunk<'_>) -> ControlFlow<()> + Send> Worker for F {
    fn chunk(&mut self, chunk: &Chunk<'_>) -> ControlFlow<()> {
        self(chunk)
    }
}

/// What a scan did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Rows that were looked at; those of row groups that could be left out are not among them.
    pub records: u64,
    /// Row groups that were read, and those that were left out.
    pub groups: u64,
    pub groups_left_out: u64,
}

impl FlowStore {
    /// Gives all chunks with matches to the workers that `make` makes, one for each of `threads` (at most `SCAN_THREADS`);
    /// with one thread they come oldest file first, memory last. A file that turns out to be damaged adds nothing: the scan
    /// begins anew without it, with new workers.
    ///
    /// # Errors
    /// Where files cannot be opened for reasons of the system; damaged ones are set aside.
    pub fn scan<W: Worker>(
        &self,
        range: &FlowRange<'_>,
        needed: ColumnSet,
        threads: usize,
        make: impl Fn() -> W,
    ) -> Result<(Vec<W>, Scanned), FlowStoreError> {
        self.scan_seqs(range, &[], needed, threads, make)
    }

    pub(super) fn scan_seqs<W: Worker>(
        &self,
        range: &FlowRange<'_>,
        seqs: &[Seq],
        needed: ColumnSet,
        threads: usize,
        make: impl Fn() -> W,
    ) -> Result<(Vec<W>, Scanned), FlowStoreError> {
        self.again(|| {
            let view = self.view();
            let judge = Judge::new(range, seqs);
            let source = Mutex::new(Source::new(&view, &judge));
            let (stop, scanned) = (AtomicBool::new(false), Mutex::new(Scanned::default()));
            let run = |worker: &mut W| -> Result<(), Halt> {
                let outcome = judge.work(&source, &stop, needed, worker);
                if outcome.is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
                let mut all = scanned.lock().unwrap_or_else(PoisonError::into_inner);
                let done = outcome?;
                all.records += done.records;
                all.groups += done.groups;
                all.groups_left_out += done.groups_left_out;
                Ok(())
            };
            let mut workers: Vec<W> = (0..threads.clamp(1, SCAN_THREADS)).map(|_| make()).collect();
            let Some((first, others)) = workers.split_first_mut() else { return Ok((workers, Scanned::default())) };
            std::thread::scope(|scope| {
                let others: Vec<_> = others.iter_mut().map(|worker| scope.spawn(|| run(worker))).collect();
                let mut outcome = run(first);
                for other in others {
                    let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                    outcome = outcome.and(other);
                }
                outcome
            })?;
            let mut scanned = *scanned.lock().unwrap_or_else(PoisonError::into_inner);
            scanned.groups_left_out += source.into_inner().unwrap_or_else(PoisonError::into_inner).left_out;
            Ok((workers, scanned))
        })
    }

    /// Asks until no file goes meanwhile.
    pub(super) fn again<T>(&self, ask: impl Fn() -> Result<T, Halt>) -> Result<T, FlowStoreError> {
        let mut last = None;
        for _ in 0..TRIES_MAX {
            match ask() {
                Ok(answer) => return Ok(answer),
                Err(Halt { info, error: FileError::Io(error) }) => {
                    return Err(FlowStoreError::new("reading flows of", &info.path, error));
                }
                Err(Halt { info, error }) => {
                    self.drop_file(&info, &error)?;
                    last = Some(info);
                }
            }
        }
        let path = last.map_or_else(|| self.dir.clone(), |info| info.path.clone());
        Err(FlowStoreError::new("reading flows of", &path, std::io::Error::other("files go faster than they are read")))
    }
}

/// A file that cannot be read.
pub(super) struct Halt {
    pub(super) info: Arc<FileInfo>,
    pub(super) error: FileError,
}

/// What is still to be read.
struct Source<'a> {
    view: &'a View,
    judge: &'a Judge<'a>,
    files: usize,
    current: Option<(Arc<Opened>, std::vec::IntoIter<usize>)>,
    memory: std::vec::IntoIter<Vec<&'a [FlowRecord]>>,
    left_out: u64,
}

enum Task<'a> {
    Group(Arc<Opened>, usize),
    Memory(Vec<&'a [FlowRecord]>),
}

impl<'a> Source<'a> {
    fn new(view: &'a View, judge: &'a Judge<'a>) -> Self {
        Self { view, judge, files: 0, current: None, memory: pieces(&view.open).into_iter(), left_out: 0 }
    }

    fn next(&mut self) -> Result<Option<Task<'a>>, Halt> {
        loop {
            if let Some((opened, groups)) = &mut self.current
                && let Some(group) = groups.next()
            {
                return Ok(Some(Task::Group(Arc::clone(opened), group)));
            }
            let Some(info) = self.view.files.get(self.files) else {
                return Ok(self.memory.next().map(Task::Memory));
            };
            self.files += 1;
            if !self.judge.may_hold(info) {
                continue;
            }
            let opened = Opened::open(info).map_err(|error| Halt { info: Arc::clone(info), error })?;
            let groups = self.judge.with_wanted(|wanted| opened.groups(wanted));
            self.left_out += (opened.group_count() - groups.len()) as u64;
            self.current = Some((Arc::new(opened), groups.into_iter()));
        }
    }
}

/// The open records in portions of at most a chunk.
fn pieces(open: &[Arc<[FlowRecord]>]) -> Vec<Vec<&[FlowRecord]>> {
    let mut all: Vec<Vec<&[FlowRecord]>> = Vec::new();
    let mut rows = 0;
    for piece in open.iter().flat_map(|chunk| chunk.chunks(CHUNK_ROWS)) {
        match all.last_mut() {
            Some(last) if rows + piece.len() <= CHUNK_ROWS => last.push(piece),
            _ => {
                all.push(vec![piece]);
                rows = 0;
            }
        }
        rows += piece.len();
    }
    all
}

/// Says whether a record belongs to an answer: time, scope, filter.
pub(super) struct Judge<'a> {
    range: &'a FlowRange<'a>,
    seqs: &'a [Seq],
    prune: Prune,
    sites: Option<Vec<String>>,
    columns: ColumnSet,
}

impl<'a> Judge<'a> {
    pub(super) fn new(range: &'a FlowRange<'a>, seqs: &'a [Seq]) -> Self {
        let sites = (*range.scope != Scope::All).then(|| {
            let visible = range.sites.iter().filter(|site| range.scope.body_allowed(site.body));
            let mut names: Vec<String> = visible.map(|site| site.id.to_string()).collect();
            names.sort_unstable();
            names
        });
        let mut columns = range.filter.map_or(ColumnSet::NONE, Predicate::needed);
        if sites.is_some() {
            columns = columns.with(Column::Site);
        }
        if !seqs.is_empty() {
            columns = columns.with(Column::Seq);
        }
        Self { range, seqs, prune: range.filter.map(Predicate::prune).unwrap_or_default(), sites, columns }
    }

    pub(super) fn with_wanted<T>(&self, then: impl FnOnce(&Wanted<'_>) -> T) -> T {
        let received = (self.range.from, self.range.to.plus(-1));
        then(&Wanted { received, seqs: self.seqs, sites: self.sites.as_deref(), prune: &self.prune })
    }

    /// Whether the file may hold something, by what is known of it unopened.
    pub(super) fn may_hold(&self, info: &FileInfo) -> bool {
        let span = &info.span;
        let first = self.seqs.partition_point(|seq| *seq < span.seq_from);
        let in_seqs = self.seqs.is_empty() || self.seqs.get(first).is_some_and(|seq| *seq <= span.seq_to);
        in_seqs && span.received_to >= self.range.from && span.received_from < self.range.to
    }

    pub(super) fn bloom_excludes(&self, opened: &Opened, group: usize) -> Result<bool, FileError> {
        opened.bloom_excludes(group, &self.prune)
    }

    fn work<W: Worker>(&self, source: &Mutex<Source<'_>>, stop: &AtomicBool, needed: ColumnSet, worker: &mut W) -> Result<Scanned, Halt> {
        let mut done = Scanned::default();
        while !stop.load(Ordering::Relaxed) {
            let task = source.lock().unwrap_or_else(PoisonError::into_inner).next()?;
            let mut each = |chunk: &Chunk<'_>| {
                if worker.chunk(chunk).is_break() {
                    stop.store(true, Ordering::Relaxed);
                }
            };
            match task {
                None => break,
                Some(Task::Memory(pieces)) => {
                    done.records += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
                    self.memory(&pieces, needed, &mut each);
                }
                Some(Task::Group(opened, group)) => {
                    let halted = |error| Halt { info: Arc::clone(&opened.info), error };
                    if self.bloom_excludes(&opened, group).map_err(halted)? {
                        done.groups_left_out += 1;
                        continue;
                    }
                    done.groups += 1;
                    done.records += opened.rows(group) as u64;
                    self.group(&opened, group, needed, &mut each).map_err(halted)?;
                }
            }
        }
        Ok(done)
    }

    pub(super) fn memory(&self, pieces: &[&[FlowRecord]], needed: ColumnSet, each: &mut dyn FnMut(&Chunk<'_>)) {
        let rows = pieces.iter().map(|piece| piece.len()).sum();
        let take = |columns: ColumnSet| -> Vec<(Column, Values)> {
            let one = |column| {
                let mut values = Values::new(column, rows);
                pieces.iter().for_each(|piece| values.extend(column, piece));
                (column, values)
            };
            columns.iter().map(one).collect()
        };
        let judging = self.columns.with(Column::ReceivedAt);
        let first = take(judging);
        let mut chunk = Chunk::of(rows, &first);
        let mask = self.mask(&chunk, true);
        if mask.any() {
            let second = take(needed.minus(judging));
            second.iter().for_each(|(column, values)| chunk.put(*column, values.slice()));
            chunk.mask_set(mask);
            each(&chunk);
        }
    }

    /// Judges a row group and gives what is left of it.
    pub(super) fn group(
        &self,
        opened: &Opened,
        group: usize,
        needed: ColumnSet,
        each: &mut dyn FnMut(&Chunk<'_>),
    ) -> Result<(), FileError> {
        let (from, to) = (self.range.from.0, self.range.to.0);
        let straddles = opened.longs(group, Column::ReceivedAt).is_none_or(|(min, max)| min < from || max >= to);
        let judging = if straddles { self.columns.with(Column::ReceivedAt) } else { self.columns };
        let first = opened.read(group, if judging == ColumnSet::NONE { needed } else { judging })?;
        let mut chunk = Chunk::new(first.rows);
        first.fill(&mut chunk);
        let mask = self.mask(&chunk, straddles);
        if mask.any() {
            let rest = if judging == ColumnSet::NONE { ColumnSet::NONE } else { needed.minus(judging) };
            let second = if rest == ColumnSet::NONE { None } else { Some(opened.read(group, rest)?) };
            second.iter().for_each(|more| more.fill(&mut chunk));
            chunk.mask_set(mask);
            each(&chunk);
        }
        Ok(())
    }

    fn mask(&self, chunk: &Chunk<'_>, straddles: bool) -> Mask {
        let FlowRange { from, to, filter, scope, sites } = *self.range;
        let mut mask = Mask::full(chunk.len());
        if straddles {
            mask.narrow(chunk.longs(Column::ReceivedAt), |at| (from.0..to.0).contains(&at));
        }
        if self.sites.is_some() {
            let (keys, names) = chunk.sites();
            let visible: Vec<bool> = names.iter().map(|site| scope.site_allowed(*site, sites)).collect();
            mask.narrow(keys, |key| usize::try_from(key).ok().and_then(|key| visible.get(key)).copied().unwrap_or(false));
        }
        if !self.seqs.is_empty() {
            let seqs = self.seqs;
            mask.narrow(chunk.longs(Column::Seq), |seq| seqs.binary_search(&Seq(seq.max(0).unsigned_abs())).is_ok());
        }
        if let Some(filter) = filter
            && mask.any()
        {
            filter.narrow(chunk, sites, &mut mask);
        }
        mask
    }
}

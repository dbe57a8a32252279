//! Compaction: the files of an hour that is over become one, sorted so that most questions can leave out most of it.
//!
//! The order (decision 009): blocks of time, so that the newest records and five minutes are found without reading an hour;
//! within a block by site, by the address inside, by the other one. Both directions of a conversation lie beside each other,
//! an address inside lies in one or two row groups of a block, and for one outside the Bloom filters tell.
//!
//! Bounded memory: a block is at most `BLOCK_ROWS_MAX` rows, and it is sorted column by column. At a time there are the
//! order, one column of a block decoded, and the block's compressed columns.
//!
//! **Each record once**: the new file stands under its name before the store takes it for the old ones, under one lock; a
//! question that began before goes on reading the old ones, and the last one who reads a file unlinks it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::file::writer::SerializedFileWriter;

use super::chunk::CHUNK_ROWS;
use super::column::{Column, ColumnSet};
use super::disk;
use super::file::{FileError, FileInfo, SCHEMA, Span, begin, create, end, properties};
use super::read::Opened;
use super::scan::Halt;
use super::values::{Slice, Values};
use super::{FlowStore, FlowStoreError, WINDOW_MILLIS, window_start};
use crate::body::SiteId;
use crate::time::{Stopwatch, Timestamp};

/// Rows that are sorted together at most: 8 row groups. 16 took 198 MiB, mostly for columns that wait for their row group.
pub const BLOCK_ROWS_MAX: usize = 8 * CHUNK_ROWS;
/// Behind so many rows a block ends with its five minutes: fewer would make row groups that hold everybody's addresses.
const BLOCK_ROWS_MIN: usize = 4 * CHUNK_ROWS;
/// Records of a compacted file at most: 1,000 sites make about as many in an hour. More of them make more files.
const FILE_RECORDS_MAX: u64 = 16_000_000;
/// What the thread rests for each moment it works, so that it takes half a core at most.
const REST: u32 = 1;
/// A rest at a time; the program's end waits no longer.
const REST_MAX: Duration = Duration::from_millis(200);

/// For how long files are left alone whose compaction failed: one bad sector must not hold up all other hours.
const REST_FAILED: i64 = 10 * Timestamp::MINUTE;

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    pub files: usize,
    pub records: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
}

/// Where a compaction is; tests look at the disk there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Begun,
    Written,
    Renamed,
    Replaced,
}

/// Says whether to go on (`Break` leaves everything as it was), and may look at the disk.
pub(super) type Watch<'a> = &'a mut dyn FnMut(Step) -> ControlFlow<()>;

impl FlowStore {
    /// Compacts the first stretch of files whose hour is over, if there is one; resting, so that it takes half a core.
    ///
    /// # Errors
    /// Where the disk refuses; these files are left alone for a while then, so that the next call goes on with others. A file
    /// that is damaged is set aside, and the next call goes on without it.
    pub fn compact_next(&self, now: Timestamp, stop: &dyn Fn() -> bool) -> Result<Option<Compacted>, FlowStoreError> {
        let Some(files) = self.compact_due(now) else { return Ok(None) };
        let mut worked = Stopwatch::start();
        let done = self.compact(&files, &mut |step| {
            if step == Step::Begun && !stop() {
                let mut rest = worked.elapsed() * REST;
                while rest > Duration::ZERO && !stop() {
                    std::thread::sleep(rest.min(REST_MAX));
                    rest = rest.saturating_sub(REST_MAX);
                }
                worked = Stopwatch::start();
            }
            if stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if done.is_err() {
            files.iter().for_each(|info| info.rest(now.plus(REST_FAILED)));
        }
        done
    }

    /// Neighbours in the journal, not compacted yet, of one hour that is over and has all of its records in files.
    pub(super) fn compact_due(&self, now: Timestamp) -> Option<Vec<Arc<FileInfo>>> {
        let view = self.view();
        let hour = |info: &FileInfo| info.span.received_from.0.div_euclid(Timestamp::HOUR);
        let open = view.open.iter().find_map(|chunk| chunk.first()).map(|first| first.received_at.0.div_euclid(Timestamp::HOUR));
        // The last five minutes are written when they are over, and a moment later.
        let over = |info: &FileInfo| now.0 >= (hour(info) + 1) * Timestamp::HOUR + WINDOW_MILLIS && open != Some(hour(info));
        let first = view.files.iter().position(|info| !info.span.compacted && !info.rests(now) && over(info))?;
        let rest = view.files.get(first..)?;
        let (mut records, mut next) = (0, None);
        let alike = |info: &&Arc<FileInfo>| {
            // What is missing between two files is not accounted for, so that it can be rebuilt.
            let neighbour = next.is_none_or(|next| next == info.span.seq_from);
            (records, next) = (records + info.records, Some(info.span.seq_to.next()));
            neighbour
                && !info.span.compacted
                && !info.rests(now)
                && rest.first().is_some_and(|first| hour(first) == hour(info))
                && records <= FILE_RECORDS_MAX
        };
        let files: Vec<Arc<FileInfo>> = rest.iter().take_while(alike).cloned().collect();
        // One that is larger than a compacted one may be is compacted alone.
        Some(if files.is_empty() { rest.first().into_iter().cloned().collect() } else { files })
    }

    /// Makes one file of these, which are neighbours and not compacted (one that is has the name that the new one would get). `None` where `watch` said to stop.
    pub(super) fn compact(&self, files: &[Arc<FileInfo>], watch: Watch<'_>) -> Result<Option<Compacted>, FlowStoreError> {
        let Some((first, last)) = files.first().zip(files.last()) else { return Ok(None) };
        let span = Span {
            seq_from: first.span.seq_from,
            seq_to: last.span.seq_to,
            received_from: files.iter().map(|info| info.span.received_from).min().unwrap_or_default(),
            received_to: files.iter().map(|info| info.span.received_to).max().unwrap_or_default(),
            compacted: true,
        };
        let path = self.compacted_path(&span);
        let written = match write(files, &path, span, watch) {
            Ok(Some(written)) => written,
            // What is not finished is of no use; where it cannot go now, the next start removes it.
            unfinished => {
                let _ = std::fs::remove_file(path.with_extension(super::TEMPORARY));
                return match unfinished {
                    Err(Failed::Write(error)) => Err(FlowStoreError::new("compacting flows to", &path, error)),
                    // The system's fault, which passes: the file stays.
                    Err(Failed::Read(Halt { info, error: FileError::Io(error) })) => {
                        Err(FlowStoreError::new("reading flows of", &info.path, error))
                    }
                    Err(Failed::Read(halt)) => self.drop_file(&halt.info, &halt.error).map(|()| None),
                    Ok(_) => Ok(None),
                };
            }
        };
        let done = Compacted {
            files: files.len(),
            records: written.records,
            bytes_before: files.iter().map(|info| info.bytes).sum(),
            bytes_after: written.bytes,
        };
        if !self.replace_files(files, Arc::new(written)) {
            // One of them was set aside or let go meanwhile; the new file would bring its records back.
            let _ = std::fs::remove_file(&path);
            return Ok(None);
        }
        let _ = watch(Step::Replaced);
        // They are unlinked with the last of their holders, mostly this one.
        Ok(Some(done))
    }

    fn compacted_path(&self, span: &Span) -> PathBuf {
        let hour = Timestamp(window_start(span.received_from)).utc();
        self.dir.join(hour.format("%Y-%m-%d").to_string()).join(format!("{}-{}.parquet", hour.format("%H"), span.seq_from.0))
    }

    /// Puts the new file in the place of the old ones, if all of them are still there.
    fn replace_files(&self, old: &[Arc<FileInfo>], new: Arc<FileInfo>) -> bool {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let is_old = |info: &Arc<FileInfo>| old.iter().any(|old| Arc::ptr_eq(old, info));
        if state.files.iter().filter(|info| is_old(info)).count() != old.len() {
            return false;
        }
        state.files.retain(|info| !is_old(info));
        let at = state.files.partition_point(|info| info.span.seq_from < new.span.seq_from);
        state.files.insert(at, new);
        old.iter().for_each(|info| info.retire());
        true
    }
}

enum Failed {
    Read(Halt),
    Write(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<parquet::errors::ParquetError> for Failed {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::Write(io::Error::other(error))
    }
}

fn write(files: &[Arc<FileInfo>], path: &std::path::Path, span: Span, watch: Watch<'_>) -> Result<Option<FileInfo>, Failed> {
    let mut blocks = Blocks { files, at: 0, current: None };
    let mut next = blocks.next()?;
    let temporary = begin(path)?;
    let constant = match &next {
        Some(block) => block.constants()?,
        None => ColumnSet::NONE,
    };
    let writer = ArrowWriter::try_new(create(&temporary)?, Arc::clone(&SCHEMA), Some(properties(constant, span.compacted)))?;
    let (mut writer, factory) = writer.into_serialized_writer()?;
    let mut records = 0;
    while let Some(block) = next {
        if watch(Step::Begun).is_break() {
            return Ok(None);
        }
        records += block.rows() as u64;
        block.write(&mut writer, &factory)?;
        next = blocks.next()?;
    }
    let written: i64 = writer.flushed_row_groups().iter().map(|group| group.num_rows()).sum();
    if written.unsigned_abs() != records || records != files.iter().map(|info| info.records).sum::<u64>() {
        return Err(Failed::Write(io::Error::new(io::ErrorKind::InvalidData, "not all records came into the new file")));
    }
    writer.flush()?;
    let sums = disk::entries(writer.inner(), writer.flushed_row_groups())?;
    sums.into_iter().chain(span.metadata()).for_each(|entry| writer.append_key_value_metadata(entry));
    let file = writer.into_inner()?;
    if watch(Step::Written).is_break() {
        return Ok(None);
    }
    let bytes = end(&file, &temporary, path)?;
    let _ = watch(Step::Renamed);
    Ok(Some(FileInfo::new(path, span, records, bytes)))
}

/// Row groups that are sorted together.
struct Block(Vec<(Arc<Opened>, usize)>);

/// Cuts the files into blocks.
struct Blocks<'a> {
    files: &'a [Arc<FileInfo>],
    at: usize,
    /// A file and its first row group that is in no block yet.
    current: Option<(Arc<Opened>, usize)>,
}

impl Blocks<'_> {
    fn next(&mut self) -> Result<Option<Block>, Failed> {
        let mut block = Block(Vec::new());
        loop {
            let (opened, group) = match self.current.take() {
                Some(current) => current,
                None => {
                    let Some(info) = self.files.get(self.at) else { break };
                    // A new five minutes: a block that is large enough ends before it.
                    if let Some((last, _)) = block.0.last()
                        && block.rows() >= BLOCK_ROWS_MIN
                        && window_start(last.info.span.received_from) != window_start(info.span.received_from)
                    {
                        break;
                    }
                    self.at += 1;
                    let opened = Opened::open(info).map_err(|error| Failed::Read(Halt { info: Arc::clone(info), error }))?;
                    (Arc::new(opened), 0)
                }
            };
            if group >= opened.group_count() {
                continue;
            }
            if block.rows() + opened.rows(group) > BLOCK_ROWS_MAX {
                self.current = Some((opened, group));
                break;
            }
            block.0.push((Arc::clone(&opened), group));
            self.current = Some((opened, group + 1));
        }
        Ok((!block.0.is_empty()).then_some(block))
    }
}

impl Block {
    fn rows(&self) -> usize {
        self.0.iter().map(|(opened, group)| opened.rows(*group)).sum()
    }

    /// One column of all of the block.
    fn column(&self, column: Column) -> Result<Values, Failed> {
        let mut values = Values::new(column, self.rows());
        for (opened, group) in &self.0 {
            let failed = |error| Failed::Read(Halt { info: Arc::clone(&opened.info), error });
            let batch = opened.read(*group, ColumnSet::of(&[column])).map_err(failed)?;
            let slice = batch.slice(column).filter(|slice| slice.len() == batch.rows);
            values.append(slice.ok_or_else(|| failed(FileError::Damaged(format!("no {}", column.name()))))?);
        }
        Ok(values)
    }

    fn constants(&self) -> Result<ColumnSet, Failed> {
        let mut constant = ColumnSet::NONE;
        for column in Column::ALL {
            // What the first version had varies; only what few exporters say is worth the look.
            if !column.is_old() && self.column(column)?.is_constant() {
                constant = constant.with(column);
            }
        }
        Ok(constant)
    }

    /// The rows in their new order.
    fn order(&self) -> Result<Vec<u32>, Failed> {
        let site = self.column(Column::Site)?;
        let ranks = match site.slice() {
            Slice::Site(keys, sites) => ranked(keys, sites),
            _ => Vec::new(),
        };
        let (source, destination) = (self.column(Column::SrcIp)?, self.column(Column::DstIp)?);
        let (Slice::Address(source), Slice::Address(destination)) = (source.slice(), destination.slice()) else { return Ok(Vec::new()) };
        let mut keys: Vec<(u32, [u8; 16], [u8; 16], u32)> = Vec::with_capacity(ranks.len());
        for (((rank, source), destination), row) in ranks.iter().zip(source).zip(destination).zip(0u32..) {
            let turned =
                is_inside(destination) && !is_inside(source) || is_inside(destination) == is_inside(source) && destination < source;
            let (inside, outside) = if turned { (destination, source) } else { (source, destination) };
            keys.push((*rank, *inside, *outside, row));
        }
        keys.sort_unstable();
        Ok(keys.into_iter().map(|(.., row)| row).collect())
    }

    fn write(&self, writer: &mut SerializedFileWriter<File>, factory: &ArrowRowGroupWriterFactory) -> Result<(), Failed> {
        let order = self.order()?;
        let groups: Vec<&[u32]> = order.chunks(CHUNK_ROWS).collect();
        let before = writer.flushed_row_groups().len();
        let mut columns = (0..groups.len())
            .map(|group| Ok(factory.create_column_writers(before + group)?.into_iter()))
            .collect::<Result<Vec<_>, parquet::errors::ParquetError>>()?;
        let mut done: Vec<Vec<ArrowColumnChunk>> = groups.iter().map(|_| Vec::with_capacity(Column::ALL.len())).collect();
        for (column, field) in Column::ALL.into_iter().zip(SCHEMA.fields()) {
            let values = self.column(column)?;
            for ((rows, columns), done) in groups.iter().zip(&mut columns).zip(&mut done) {
                let Some(mut column_writer) = columns.next() else { continue };
                let rows = rows.iter().map(|row| usize::try_from(*row).unwrap_or(usize::MAX));
                let array = values.gather(rows).into_array(column).map_err(io::Error::other)?;
                for leaf in compute_leaves(field, &array)? {
                    column_writer.write(&leaf)?;
                }
                done.push(column_writer.close()?);
            }
        }
        for chunks in done {
            let mut group = writer.next_row_group()?;
            for chunk in chunks {
                chunk.append_to_row_group(&mut group)?;
            }
            group.close()?;
        }
        Ok(())
    }
}

/// For each row its site's place in the order of the sites.
fn ranked(keys: &[i32], sites: &[SiteId]) -> Vec<u32> {
    let order: BTreeSet<SiteId> = sites.iter().copied().collect();
    let order: Vec<SiteId> = order.into_iter().collect();
    let rank = |site: &SiteId| order.binary_search(site).ok().and_then(|rank| u32::try_from(rank).ok()).unwrap_or(u32::MAX);
    let ranks: Vec<u32> = sites.iter().map(rank).collect();
    keys.iter().map(|key| usize::try_from(*key).ok().and_then(|key| ranks.get(key)).copied().unwrap_or(u32::MAX)).collect()
}

/// Whether an address is one that only has a meaning inside a network (RFC 1918, RFC 6598, RFC 4193, link-local).
fn is_inside(octets: &[u8; 16]) -> bool {
    match octets {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, v4 @ ..] => match v4 {
            [10, ..] | [192, 168, ..] | [169, 254, ..] => true,
            [172, second, ..] => (16..32).contains(second),
            [100, second, ..] => (64..128).contains(second),
            _ => false,
        },
        [0xfc | 0xfd, ..] => true,
        [0xfe, second, ..] => second & 0xc0 == 0x80,
        _ => false,
    }
}

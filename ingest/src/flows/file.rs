//! One Parquet file of flows: writing it durably, and what it says of itself. `column` has its columns, `read` reads it.
//!
//! Decisions (`tests::size_of_a_realistic_file` prints what each column takes on made-up traffic; decision 009 has more):
//! - **Order**: a file of five minutes is in the order of the journal, so that it is written as fast as it comes. A
//!   compacted one (`compact`) is sorted for pruning and has Bloom filters on both addresses.
//! - **Addresses** are 16 bytes in network order, IPv4 as `::ffff:a.b.c.d`: one column for both families, whose
//!   byte order is the order of the addresses, so that minimum and maximum of a row group prune prefixes. DuckDB
//!   and pandas see a BLOB/bytes of 16 (`ipaddress.ip_address(b)` understands it). Text would prune nothing.
//! - **Times** are TIMESTAMP(MILLIS, UTC), delta-encoded. The end is kept as `duration_ms`, which is mostly small;
//!   `start + duration_ms` is the end.
//! - **Counters** are signed 64 bits, because Spark has no others; what is above 2^63-1 is that.
//! - **Site** is the ULID's text with a dictionary. Everything that repeats has a dictionary; zstd does the rest.
//! - **What is the same in all rows**, as most of what only few exporters say, is delta-encoded, which costs some bytes a
//!   row group and next to no time; a dictionary would look up each row. Statistics only where they can prune.
//! - **Checksums** (`disk`) of all that is in it, in its own metadata.
//! - Data pages of version 2, since fixed-size bytes have dictionaries only there. Checked with DuckDB; pandas,
//!   Spark and ClickHouse document the same types and have not been tried.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
#[cfg(test)]
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::TEMPORARY;
use super::chunk::CHUNK_ROWS;
use super::column::{Access, Column, ColumnSet};
use super::disk::{self, Disk, Sums};
use super::values::Values;
use crate::flow::FlowRecord;
use crate::frame::Seq;
use crate::time::Timestamp;

/// A file of five minutes is written while the journal waits, and is replaced within hours: the fastest level.
const LEVEL_FRESH: i32 = 1;
/// A compacted file stays for months.
pub(super) const LEVEL_COMPACTED: i32 = 3;
/// Records whose columns are taken at once: about as many as the cache of a core holds.
const TILE: usize = 256;
/// One row group in a hundred is read for nothing because of its Bloom filter.
const BLOOM_FALSE: f64 = 0.01;

const SEQ_FROM: &str = "wartburg.seq_from";
const SEQ_TO: &str = "wartburg.seq_to";
const RECEIVED_FROM: &str = "wartburg.received_from";
const RECEIVED_TO: &str = "wartburg.received_to";
const COMPACTED: &str = "wartburg.compacted";

pub(super) static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(Column::ALL.iter().map(|column| Field::new(column.name(), column.data_type(), false)).collect::<Vec<_>>()))
});

/// What the store knows of a file without opening it.
#[derive(Debug)]
pub(super) struct FileInfo {
    pub(super) path: PathBuf,
    pub(super) span: Span,
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// Whether another file has its records now, or its time is over: it goes with the last question that reads it.
    retired: AtomicBool,
    /// Until when it is not compacted, because that failed.
    rests_until: AtomicI64,
}

/// What a file accounts for; it is in its metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    /// The stretch of the journal.
    pub(super) seq_from: Seq,
    pub(super) seq_to: Seq,
    /// First and last receipt of its records.
    pub(super) received_from: Timestamp,
    pub(super) received_to: Timestamp,
    pub(super) compacted: bool,
}

impl Span {
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.seq_from <= other.seq_from && other.seq_to <= self.seq_to
    }

    pub(super) fn metadata(&self) -> [KeyValue; 5] {
        let number = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
        [
            number(SEQ_FROM, self.seq_from.0.to_string()),
            number(SEQ_TO, self.seq_to.0.to_string()),
            number(RECEIVED_FROM, self.received_from.0.to_string()),
            number(RECEIVED_TO, self.received_to.0.to_string()),
            number(COMPACTED, u8::from(self.compacted).to_string()),
        ]
    }
}

impl FileInfo {
    pub(super) fn new(path: &Path, span: Span, records: u64, bytes: u64) -> Self {
        Self { path: path.into(), span, records, bytes, retired: AtomicBool::new(false), rests_until: AtomicI64::new(i64::MIN) }
    }

    pub(super) fn rest(&self, until: Timestamp) {
        self.rests_until.store(until.0, Ordering::Relaxed);
    }

    pub(super) fn rests(&self, now: Timestamp) -> bool {
        now.0 < self.rests_until.load(Ordering::Relaxed)
    }

    /// Lets the file be unlinked as soon as nobody reads it any more.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }
}

impl Drop for FileInfo {
    fn drop(&mut self) {
        if self.retired.load(Ordering::Acquire)
            && let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "a flow file that is not needed any more stays until the next start");
        }
    }
}

/// Why a file cannot be read.
#[derive(Debug)]
pub(super) enum FileError {
    /// It is not there any more: retention was faster.
    Gone,
    /// The system's fault, not the file's.
    Io(io::Error),
    Damaged(String),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Gone,
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Io(error),
        }
    }
}

impl From<ParquetError> for FileError {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(source) => match source.downcast::<io::Error>() {
                Ok(error) => (*error).into(),
                Err(source) => Self::Damaged(source.to_string()),
            },
            error => Self::Damaged(error.to_string()),
        }
    }
}

impl From<ArrowError> for FileError {
    fn from(error: ArrowError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Writes the records durably: when this returns, the file stands under its name, or nothing does.
pub(super) fn write(path: &Path, chunks: &[Arc<[FlowRecord]>], seq_from: Seq, seq_to: Seq) -> io::Result<FileInfo> {
    let times = || chunks.iter().flat_map(|chunk| chunk.iter()).map(|record| record.received_at);
    let span = Span {
        seq_from,
        seq_to,
        received_from: times().min().unwrap_or_default(),
        received_to: times().max().unwrap_or_default(),
        compacted: false,
    };
    let mut groups = Groups { pieces: chunks.iter().flat_map(|chunk| chunk.chunks(TILE)), left: &[] };
    let mut next = groups.next();
    let constant = next.as_ref().map_or(ColumnSet::NONE, |(_, values)| constants(values));
    let temporary = begin(path)?;
    let mut writer = ArrowWriter::try_new(create(&temporary)?, Arc::clone(&SCHEMA), Some(properties(constant, span.compacted)))?;
    let mut records = 0;
    while let Some((rows, values)) = next {
        let arrays = Column::ALL.into_iter().zip(values).map(|(column, values)| values.into_array(column));
        let arrays = arrays.collect::<Result<Vec<ArrayRef>, ArrowError>>().map_err(io::Error::other)?;
        writer.write(&RecordBatch::try_new(Arc::clone(&SCHEMA), arrays).map_err(io::Error::other)?)?;
        records += rows as u64;
        next = groups.next();
    }
    writer.flush()?;
    writer.sync()?;
    let sums = disk::entries(writer.inner(), writer.flushed_row_groups())?;
    sums.into_iter().chain(span.metadata()).for_each(|entry| writer.append_key_value_metadata(entry));
    let bytes = end(&writer.into_inner()?, &temporary, path)?;
    Ok(FileInfo::new(path, span, records, bytes))
}

/// Row groups out of chunks of any size.
struct Groups<'a, I> {
    pieces: I,
    left: &'a [FlowRecord],
}

impl<'a, I: Iterator<Item = &'a [FlowRecord]>> Groups<'a, I> {
    fn next(&mut self) -> Option<(usize, Vec<Values>)> {
        let mut values: Vec<Values> = Vec::new();
        let mut rows = 0;
        while rows < CHUNK_ROWS {
            if self.left.is_empty() {
                match self.pieces.next() {
                    Some(piece) => self.left = piece,
                    None => break,
                }
            }
            if values.is_empty() {
                values = Column::ALL.iter().map(|column| Values::new(*column, 0)).collect();
            }
            let (now, left) = self.left.split_at_checked(CHUNK_ROWS - rows).unwrap_or((self.left, &[]));
            Column::ALL.into_iter().zip(&mut values).for_each(|(column, values)| values.extend(column, now));
            (rows, self.left) = (rows + now.len(), left);
        }
        (rows > 0).then_some((rows, values))
    }
}

/// Which columns say the same in all rows.
fn constants(values: &[Values]) -> ColumnSet {
    let constant = Column::ALL.into_iter().zip(values).filter(|(_, values)| values.is_constant());
    constant.fold(ColumnSet::NONE, |set, (column, _)| set.with(column))
}

/// Makes the file's folder and gives the temporary name.
pub(super) fn begin(path: &Path) -> io::Result<PathBuf> {
    if let Some(day) = path.parent()
        && !day.is_dir()
    {
        std::fs::create_dir_all(day)?;
        sync_parent(day)?;
    }
    Ok(path.with_extension(TEMPORARY))
}

/// For writing, and for reading again what its checksums are of.
pub(super) fn create(temporary: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(true).open(temporary)
}

/// Brings a finished file to the disk and under its name; returns its size.
pub(super) fn end(file: &File, temporary: &Path, path: &Path) -> io::Result<u64> {
    let bytes = disk::seal(file)?;
    std::fs::rename(temporary, path)?;
    sync_parent(path)?;
    Ok(bytes)
}

/// Replaces a small file's content durably.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(TEMPORARY);
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// A name is durable when its directory is.
fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// The columns whose minimum and maximum can leave out a row group.
const STATISTICS: [Column; 11] = [
    Column::Seq,
    Column::ReceivedAt,
    Column::Start,
    Column::Site,
    Column::SrcIp,
    Column::DstIp,
    Column::SrcPort,
    Column::DstPort,
    Column::Protocol,
    Column::Bytes,
    Column::Packets,
];

pub(super) fn properties(constant: ColumnSet, compacted: bool) -> WriterProperties {
    let level = if compacted { LEVEL_COMPACTED } else { LEVEL_FRESH };
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(level).unwrap_or_default()))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(CHUNK_ROWS))
        .set_created_by(concat!("wartburg ", env!("CARGO_PKG_VERSION")).to_owned());
    for column in Column::ALL {
        let path = ColumnPath::from(column.name());
        // Half of the ports are ephemeral: a dictionary would hold nearly all of them. Plain, zstd takes the zero bytes.
        let encoding = match (column, column.info().access) {
            (_, Access::Address(..) | Access::Mac(..) | Access::Site(..)) => None,
            _ if constant.has(column) => Some(Encoding::DELTA_BINARY_PACKED),
            (Column::Seq | Column::ReceivedAt | Column::Start | Column::Duration, _) => Some(Encoding::DELTA_BINARY_PACKED),
            (Column::SrcPort | Column::DstPort, _) => Some(Encoding::PLAIN),
            _ => None,
        };
        if let Some(encoding) = encoding {
            properties = properties.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path.clone(), encoding);
        }
        if STATISTICS.contains(&column) {
            properties = properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::Chunk);
        }
        if compacted && matches!(column, Column::SrcIp | Column::DstIp) {
            // Made for the most there can be, and folded down to what there was.
            properties =
                properties.set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE).set_column_bloom_filter_max_ndv(path, CHUNK_ROWS as u64);
        }
    }
    properties.build()
}

/// The reader of Parquet panics on some metadata that a flipped bit can make (negative offsets). That is damage
/// of one file, no reason to take the program down.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T, FileError>) -> Result<T, FileError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(FileError::Damaged("its metadata makes no sense".to_owned())))
}

/// Reads what the file says of itself.
pub(super) fn inspect(path: &Path) -> Result<FileInfo, FileError> {
    Disk::open(path)?.reading(|disk| {
        Sums::check(&disk)?;
        let metadata = ArrowReaderMetadata::load(&disk, ArrowReaderOptions::new())?;
        check_schema(metadata.schema())?;
        let records = metadata.metadata().file_metadata().num_rows().max(0).unsigned_abs();
        Ok(FileInfo::new(path, span_of(metadata.metadata())?, records, disk.len))
    })
}

fn span_of(metadata: &ParquetMetaData) -> Result<Span, FileError> {
    let values = metadata.file_metadata().key_value_metadata();
    let value =
        |key: &str| -> Option<i64> { values.and_then(|values| values.iter().find(|value| value.key == key)?.value.as_ref()?.parse().ok()) };
    let number = |key: &str| value(key).ok_or_else(|| FileError::Damaged(format!("no {key}")));
    let seq = |key| number(key).map(|number| Seq(number.max(0).unsigned_abs()));
    Ok(Span {
        seq_from: seq(SEQ_FROM)?,
        seq_to: seq(SEQ_TO)?,
        received_from: Timestamp(number(RECEIVED_FROM)?),
        received_to: Timestamp(number(RECEIVED_TO)?),
        compacted: value(COMPACTED) == Some(1),
    })
}

/// The columns of the first version must be there, and all that are there with their types; further ones, of a later
/// version, may.
pub(super) fn check_schema(schema: &Schema) -> Result<(), FileError> {
    for column in Column::ALL {
        match schema.field_with_name(column.name()) {
            Err(_) if !column.is_old() => {}
            Err(_) => return Err(FileError::Damaged(format!("no column {}", column.name()))),
            Ok(found) if *found.data_type() != column.data_type() || found.is_nullable() => {
                return Err(FileError::Damaged(format!("column {} is {}", column.name(), found.data_type())));
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// What each column takes in the file.
#[cfg(test)]
pub(super) fn column_sizes(path: &Path) -> Result<Vec<(String, i64)>, FileError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let groups = reader.metadata().row_groups();
    let size = |index: usize| groups.iter().filter_map(|group| group.columns().get(index)).map(|column| column.compressed_size()).sum();
    Ok(Column::ALL.iter().zip(0..).map(|(column, index)| (column.name().to_owned(), size(index))).collect())
}

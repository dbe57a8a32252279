//! One Parquet file of flows: its columns, writing it durably, reading it back.
//!
//! Decisions (`tests::size_of_a_realistic_file` prints what each column takes on made-up traffic: 17 bytes a record):
//! - **Order of the journal**, not sorted: sequence and receipt then cost next to nothing, the newest records are
//!   the last, and evidence of an alert is found by the row groups' statistics.
//! - **Addresses** are 16 bytes in network order, IPv4 as `::ffff:a.b.c.d`: one column for both families, whose
//!   byte order is the order of the addresses, so that minimum and maximum of a row group prune prefixes. DuckDB
//!   and pandas see a BLOB/bytes of 16 (`ipaddress.ip_address(b)` understands it). Text would prune nothing.
//! - **Times** are TIMESTAMP(MILLIS, UTC), delta-encoded. The end is kept as `duration_ms`, which is mostly small;
//!   `start + duration_ms` is the end.
//! - **Counters** are signed 64 bits, because Spark has no others; what is above 2^63-1 is that.
//! - **Site** is the ULID's text with a dictionary. Everything that repeats has a dictionary; zstd does the rest.
//! - Data pages of version 2, since fixed-size bytes have dictionaries only there. Checked with DuckDB 2.0; pandas,
//!   Spark and ClickHouse document the same types and have not been tried.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    UInt8Array, UInt16Array, UInt32Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;

use super::TEMPORARY;
use crate::body::{SITE_UNKNOWN, SiteId};
use crate::flow::FlowRecord;
use crate::frame::Seq;
use crate::time::Timestamp;

/// A dictionary serves a whole row group, and statistics skip one: between the two, three to a full file.
const ROW_GROUP_ROWS: usize = 65_536;
/// The library's usual level: files are written once by a thread that waits for the journal anyway.
const ZSTD_LEVEL: i32 = 3;

const SEQ: &str = "seq";
const RECEIVED_AT: &str = "received_at";
const SEQ_FROM: &str = "wartburg.seq_from";
const SEQ_TO: &str = "wartburg.seq_to";
const RECEIVED_FROM: &str = "wartburg.received_from";
const RECEIVED_TO: &str = "wartburg.received_to";

/// The columns in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    Seq,
    ReceivedAt,
    Start,
    Duration,
    Site,
    Exporter,
    SrcIp,
    DstIp,
    SrcPort,
    DstPort,
    Protocol,
    TcpFlags,
    Tos,
    Version,
    Bytes,
    Packets,
    Sampling,
    InIf,
    OutIf,
    SrcAs,
    DstAs,
}

impl Column {
    pub(super) const ALL: [Self; 21] = [
        Self::Seq,
        Self::ReceivedAt,
        Self::Start,
        Self::Duration,
        Self::Site,
        Self::Exporter,
        Self::SrcIp,
        Self::DstIp,
        Self::SrcPort,
        Self::DstPort,
        Self::Protocol,
        Self::TcpFlags,
        Self::Tos,
        Self::Version,
        Self::Bytes,
        Self::Packets,
        Self::Sampling,
        Self::InIf,
        Self::OutIf,
        Self::SrcAs,
        Self::DstAs,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Seq => SEQ,
            Self::ReceivedAt => RECEIVED_AT,
            Self::Start => "start",
            Self::Duration => "duration_ms",
            Self::Site => "site",
            Self::Exporter => "exporter",
            Self::SrcIp => "src_ip",
            Self::DstIp => "dst_ip",
            Self::SrcPort => "src_port",
            Self::DstPort => "dst_port",
            Self::Protocol => "protocol",
            Self::TcpFlags => "tcp_flags",
            Self::Tos => "tos",
            Self::Version => "version",
            Self::Bytes => "bytes",
            Self::Packets => "packets",
            Self::Sampling => "sampling",
            Self::InIf => "in_if",
            Self::OutIf => "out_if",
            Self::SrcAs => "src_as",
            Self::DstAs => "dst_as",
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Seq | Self::Duration | Self::Bytes | Self::Packets => DataType::Int64,
            Self::ReceivedAt | Self::Start => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::Site => DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()),
            Self::Exporter | Self::SrcIp | Self::DstIp => DataType::FixedSizeBinary(16),
            Self::SrcPort | Self::DstPort => DataType::UInt16,
            Self::Protocol | Self::TcpFlags | Self::Tos | Self::Version => DataType::UInt8,
            Self::Sampling | Self::InIf | Self::OutIf | Self::SrcAs | Self::DstAs => DataType::UInt32,
        }
    }
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(Column::ALL.iter().map(|column| Field::new(column.name(), column.data_type(), false)).collect::<Vec<_>>()))
});

/// What the store knows of a file without opening it.
#[derive(Debug)]
pub(super) struct FileInfo {
    pub(super) path: PathBuf,
    /// The stretch of the journal that the file accounts for.
    pub(super) seq_from: Seq,
    pub(super) seq_to: Seq,
    /// First and last receipt of its records.
    pub(super) received_from: Timestamp,
    pub(super) received_to: Timestamp,
    pub(super) records: u64,
    pub(super) bytes: u64,
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
    let records: Vec<FlowRecord> = chunks.iter().flat_map(|chunk| chunk.iter().copied()).collect();
    let received = |pick: fn(Timestamp, Timestamp) -> Timestamp| records.iter().map(|record| record.received_at).reduce(pick);
    let (received_from, received_to) = (received(Ord::min).unwrap_or_default(), received(Ord::max).unwrap_or_default());
    if let Some(day) = path.parent()
        && !day.is_dir()
    {
        std::fs::create_dir_all(day)?;
        sync_parent(day)?;
    }
    let temporary = path.with_extension(TEMPORARY);
    let mut writer = ArrowWriter::try_new(File::create(&temporary)?, Arc::clone(&SCHEMA), Some(properties()))?;
    for rows in records.chunks(ROW_GROUP_ROWS) {
        writer.write(&batch(rows).map_err(io::Error::other)?)?;
    }
    let numbers = [
        (SEQ_FROM, seq_from.0.to_string()),
        (SEQ_TO, seq_to.0.to_string()),
        (RECEIVED_FROM, received_from.0.to_string()),
        (RECEIVED_TO, received_to.0.to_string()),
    ];
    for (key, value) in numbers {
        writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
    let file = writer.into_inner()?;
    file.sync_all()?;
    let bytes = file.metadata()?.len();
    std::fs::rename(&temporary, path)?;
    sync_parent(path)?;
    Ok(FileInfo { path: path.into(), seq_from, seq_to, received_from, received_to, records: records.len() as u64, bytes })
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

fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(concat!("wartburg ", env!("CARGO_PKG_VERSION")).to_owned());
    for column in [Column::Seq, Column::ReceivedAt, Column::Start, Column::Duration] {
        let path = ColumnPath::from(column.name());
        properties = properties.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    // Half of the ports are ephemeral: a dictionary would hold nearly all of them. Plain, zstd takes the zero bytes.
    for column in [Column::SrcPort, Column::DstPort] {
        let path = ColumnPath::from(column.name());
        properties = properties.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, Encoding::PLAIN);
    }
    properties.build()
}

fn batch(records: &[FlowRecord]) -> Result<RecordBatch, ArrowError> {
    let times = |of: fn(&FlowRecord) -> Timestamp| -> ArrayRef {
        Arc::new(TimestampMillisecondArray::from_iter_values(records.iter().map(|record| of(record).0)).with_timezone("UTC"))
    };
    let longs = |of: fn(&FlowRecord) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(records.iter().map(of))) };
    let ints = |of: fn(&FlowRecord) -> u32| -> ArrayRef { Arc::new(UInt32Array::from_iter_values(records.iter().map(of))) };
    let shorts = |of: fn(&FlowRecord) -> u16| -> ArrayRef { Arc::new(UInt16Array::from_iter_values(records.iter().map(of))) };
    let bytes = |of: fn(&FlowRecord) -> u8| -> ArrayRef { Arc::new(UInt8Array::from_iter_values(records.iter().map(of))) };
    let addresses = |of: fn(&FlowRecord) -> IpAddr| -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(FixedSizeBinaryArray::try_from_iter(records.iter().map(|record| address_bytes(of(record))))?))
    };
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let columns = Column::ALL.iter().map(|column| {
        Ok(match column {
            Column::Seq => Arc::new(Int64Array::from_iter_values(records.iter().map(|record| signed(record.seq.0)))),
            Column::ReceivedAt => times(|record| record.received_at),
            Column::Start => times(|record| record.start),
            Column::Duration => longs(|record| record.end.since(record.start)),
            Column::Site => Arc::new(sites(records)?),
            Column::Exporter => addresses(|record| record.exporter)?,
            Column::SrcIp => addresses(|record| record.src_ip)?,
            Column::DstIp => addresses(|record| record.dst_ip)?,
            Column::SrcPort => shorts(|record| record.src_port),
            Column::DstPort => shorts(|record| record.dst_port),
            Column::Protocol => bytes(|record| record.protocol),
            Column::TcpFlags => bytes(|record| record.tcp_flags),
            Column::Tos => bytes(|record| record.tos),
            Column::Version => bytes(|record| record.version),
            Column::Bytes => Arc::new(Int64Array::from_iter_values(records.iter().map(|record| signed(record.bytes)))),
            Column::Packets => Arc::new(Int64Array::from_iter_values(records.iter().map(|record| signed(record.packets)))),
            Column::Sampling => ints(|record| record.sampling),
            Column::InIf => ints(|record| record.in_if),
            Column::OutIf => ints(|record| record.out_if),
            Column::SrcAs => ints(|record| record.src_as),
            Column::DstAs => ints(|record| record.dst_as),
        })
    });
    RecordBatch::try_new(Arc::clone(&SCHEMA), columns.collect::<Result<Vec<ArrayRef>, ArrowError>>()?)
}

fn sites(records: &[FlowRecord]) -> Result<DictionaryArray<Int32Type>, ArrowError> {
    let mut keys: HashMap<SiteId, i32> = HashMap::new();
    let mut names: Vec<String> = Vec::new();
    let keys = Int32Array::from_iter_values(records.iter().map(|record| {
        *keys.entry(record.site).or_insert_with(|| {
            names.push(record.site.to_string());
            i32::try_from(names.len() - 1).unwrap_or(i32::MAX)
        })
    }));
    DictionaryArray::try_new(keys, Arc::new(StringArray::from(names)))
}

fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn address(bytes: &[u8]) -> IpAddr {
    <[u8; 16]>::try_from(bytes).map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |octets| IpAddr::V6(octets.into()).to_canonical())
}

/// The reader of Parquet panics on some metadata that a flipped bit can make (negative offsets). That is damage
/// of one file, no reason to take the program down.
fn guarded<T>(read: impl FnOnce() -> Result<T, FileError>) -> Result<T, FileError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(FileError::Damaged("its metadata makes no sense".to_owned())))
}

/// Reads what the file says of itself.
pub(super) fn inspect(path: &Path) -> Result<FileInfo, FileError> {
    guarded(|| inspect_unguarded(path))
}

fn inspect_unguarded(path: &Path) -> Result<FileInfo, FileError> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    check_schema(reader.schema())?;
    let metadata = reader.metadata();
    let number = |key: &str| -> Result<i64, FileError> {
        let values = metadata.file_metadata().key_value_metadata();
        let value = values.and_then(|values| values.iter().find(|value| value.key == key)?.value.as_ref()?.parse().ok());
        value.ok_or_else(|| FileError::Damaged(format!("no {key}")))
    };
    let seq = |key| number(key).map(|number| Seq(number.max(0).unsigned_abs()));
    Ok(FileInfo {
        path: path.into(),
        seq_from: seq(SEQ_FROM)?,
        seq_to: seq(SEQ_TO)?,
        received_from: Timestamp(number(RECEIVED_FROM)?),
        received_to: Timestamp(number(RECEIVED_TO)?),
        records: metadata.file_metadata().num_rows().max(0).unsigned_abs(),
        bytes,
    })
}

/// All our columns must be there with their types; further ones, of a later version, may.
fn check_schema(schema: &Schema) -> Result<(), FileError> {
    for column in Column::ALL {
        let found = schema.field_with_name(column.name()).map_err(|_| FileError::Damaged(format!("no column {}", column.name())))?;
        if *found.data_type() != column.data_type() || found.is_nullable() {
            return Err(FileError::Damaged(format!("column {} is {}", column.name(), found.data_type())));
        }
    }
    Ok(())
}

/// What of a file a query wants.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) columns: &'a [Column],
    /// Inclusive range of receipts; row groups outside are not read.
    pub(super) received: (Timestamp, Timestamp),
    /// Ascending; empty for all. Row groups without any of them are not read.
    pub(super) seqs: &'a [Seq],
}

/// Reads the wanted columns of the row groups that may hold wanted rows: the whole file or an error, so that a
/// damaged one adds nothing to a sum.
pub(super) fn read(path: &Path, wanted: &Wanted<'_>) -> Result<Vec<RecordBatch>, FileError> {
    guarded(|| read_unguarded(path, wanted))
}

fn read_unguarded(path: &Path, wanted: &Wanted<'_>) -> Result<Vec<RecordBatch>, FileError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    check_schema(reader.schema())?;
    let metadata = Arc::clone(reader.metadata());
    let groups = (0..).zip(metadata.row_groups()).filter(|(_, group)| may_hold(&metadata, group, wanted)).map(|(n, _)| n);
    let leaves = wanted.columns.iter().filter_map(|column| column_index(&metadata, column.name()));
    let mask = ProjectionMask::leaves(reader.parquet_schema(), leaves);
    let reader = reader.with_row_groups(groups.collect()).with_projection(mask).with_batch_size(ROW_GROUP_ROWS).build()?;
    Ok(reader.collect::<Result<_, _>>()?)
}

fn column_index(metadata: &ParquetMetaData, name: &str) -> Option<usize> {
    metadata.file_metadata().schema_descr().columns().iter().position(|column| column.path().string() == name)
}

fn may_hold(metadata: &ParquetMetaData, group: &RowGroupMetaData, wanted: &Wanted<'_>) -> bool {
    let range = |name| {
        let column = column_index(metadata, name)?;
        match group.columns().get(column)?.statistics()? {
            Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
            _ => None,
        }
    };
    let (from, to) = wanted.received;
    let in_time = range(RECEIVED_AT).is_none_or(|(min, max)| max >= from.0 && min <= to.0);
    let in_seqs = wanted.seqs.is_empty()
        || range(SEQ).is_none_or(|(min, max)| {
            let number = |seq: &Seq| i64::try_from(seq.0).unwrap_or(i64::MAX);
            let first = wanted.seqs.partition_point(|seq| number(seq) < min);
            wanted.seqs.get(first).is_some_and(|seq| number(seq) <= max)
        });
    in_time && in_seqs
}

/// A batch's rows as records; columns that were not read are zero.
pub(super) struct Rows<'a> {
    len: usize,
    seq: Option<&'a Int64Array>,
    received_at: Option<&'a TimestampMillisecondArray>,
    start: Option<&'a TimestampMillisecondArray>,
    duration: Option<&'a Int64Array>,
    site_keys: Option<&'a Int32Array>,
    sites: Vec<SiteId>,
    addresses: [Option<&'a FixedSizeBinaryArray>; 3],
    ports: [Option<&'a UInt16Array>; 2],
    bytes: [Option<&'a UInt8Array>; 4],
    counters: [Option<&'a Int64Array>; 2],
    ints: [Option<&'a UInt32Array>; 5],
}

impl<'a> Rows<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Self {
        fn of<T: 'static>(batch: &RecordBatch, column: Column) -> Option<&T> {
            batch.column_by_name(column.name())?.as_any().downcast_ref()
        }
        let site: Option<&DictionaryArray<Int32Type>> = of(batch, Column::Site);
        let names = site.and_then(|site| site.values().as_any().downcast_ref::<StringArray>());
        let parse = |name: Option<&str>| name.and_then(|name| name.parse().ok()).unwrap_or(SITE_UNKNOWN);
        Self {
            len: batch.num_rows(),
            seq: of(batch, Column::Seq),
            received_at: of(batch, Column::ReceivedAt),
            start: of(batch, Column::Start),
            duration: of(batch, Column::Duration),
            site_keys: site.map(DictionaryArray::keys),
            sites: names.map(|names| names.iter().map(parse).collect()).unwrap_or_default(),
            addresses: [Column::Exporter, Column::SrcIp, Column::DstIp].map(|column| of(batch, column)),
            ports: [Column::SrcPort, Column::DstPort].map(|column| of(batch, column)),
            bytes: [Column::Protocol, Column::TcpFlags, Column::Tos, Column::Version].map(|column| of(batch, column)),
            counters: [Column::Bytes, Column::Packets].map(|column| of(batch, column)),
            ints: [Column::Sampling, Column::InIf, Column::OutIf, Column::SrcAs, Column::DstAs].map(|column| of(batch, column)),
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = FlowRecord> + '_ {
        (0..self.len).map(|row| self.get(row))
    }

    /// The record of a row below the batch's length.
    fn get(&self, row: usize) -> FlowRecord {
        let int = |array: Option<&Int64Array>| array.map_or(0, |array| array.value(row));
        let time = |array: Option<&TimestampMillisecondArray>| Timestamp(array.map_or(0, |array| array.value(row)));
        let unsigned = |array| int(array).max(0).unsigned_abs();
        let address = |array: Option<&FixedSizeBinaryArray>| address(array.map_or(&[], |array| array.value(row)));
        let [exporter, src_ip, dst_ip] = self.addresses.map(address);
        let [src_port, dst_port] = self.ports.map(|array| array.map_or(0, |array| array.value(row)));
        let [protocol, tcp_flags, tos, version] = self.bytes.map(|array| array.map_or(0, |array| array.value(row)));
        let [bytes, packets] = self.counters.map(unsigned);
        let [sampling, in_if, out_if, src_as, dst_as] = self.ints.map(|array| array.map_or(0, |array| array.value(row)));
        let key = self.site_keys.and_then(|keys| usize::try_from(keys.value(row)).ok());
        let start = time(self.start);
        FlowRecord {
            seq: Seq(unsigned(self.seq)),
            received_at: time(self.received_at),
            start,
            end: start.plus(int(self.duration)),
            site: key.and_then(|key| self.sites.get(key)).copied().unwrap_or(SITE_UNKNOWN),
            exporter,
            src_ip,
            dst_ip,
            src_port,
            dst_port,
            protocol,
            tcp_flags,
            tos,
            version,
            bytes,
            packets,
            sampling,
            in_if,
            out_if,
            src_as,
            dst_as,
        }
    }
}

/// What each column takes in the file.
#[cfg(test)]
pub(super) fn column_sizes(path: &Path) -> Result<Vec<(String, i64)>, FileError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let groups = reader.metadata().row_groups();
    let size = |index: usize| groups.iter().filter_map(|group| group.columns().get(index)).map(|column| column.compressed_size()).sum();
    Ok(Column::ALL.iter().zip(0..).map(|(column, index)| (column.name().to_owned(), size(index))).collect())
}

//! Reading a file by row groups: which of them may hold what is wanted, by their statistics and Bloom filters, and the
//! columns of one.

use std::sync::Arc;

use arrow_array::ArrayRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::chunk::{CHUNK_ROWS, Chunk};
use super::column::{COLUMNS, Column, ColumnSet};
use super::disk::{Disk, Sums};
use super::file::{FileError, FileInfo, check_schema};
use super::values::{Slice, Values, sites_of};
use crate::body::SiteId;
use crate::frame::Seq;
use crate::time::Timestamp;

/// What every match has, for leaving out what cannot hold one. All of it must hold; nothing of it leaves out nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    pub addresses: Vec<AskedAddress>,
    /// Columns of longs with the least and the greatest value, inclusive.
    pub numbers: Vec<(Column, i64, i64)>,
}

/// An end of the flow whose address is in one of the ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedAddress {
    pub end: End,
    /// First and last address, IPv4 as `::ffff:a.b.c.d`.
    pub ranges: Vec<(u128, u128)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Source,
    Destination,
    Either,
}

impl Prune {
    /// For flows of this address, at that end.
    pub fn address(end: End, address: std::net::IpAddr) -> Self {
        let bits = u128::from_be_bytes(super::column::address_octets(address));
        Self { addresses: vec![AskedAddress { end, ranges: vec![(bits, bits)] }], ..Self::default() }
    }
}

/// What a question wants of a file.
pub(super) struct Wanted<'a> {
    /// Inclusive range of receipts.
    pub(super) received: (Timestamp, Timestamp),
    /// Ascending; empty for all.
    pub(super) seqs: &'a [Seq],
    /// The names of the visible sites, ascending; `None` for all.
    pub(super) sites: Option<&'a [String]>,
    pub(super) prune: &'a Prune,
}

/// A file whose metadata are in memory.
pub(super) struct Opened {
    pub(super) info: Arc<FileInfo>,
    metadata: ArrowReaderMetadata,
    sums: Sums,
    leaves: [Option<usize>; COLUMNS],
}

impl Opened {
    pub(super) fn open(info: &Arc<FileInfo>) -> Result<Self, FileError> {
        Disk::open(&info.path)?.reading(|disk| {
            let mut sums = Sums::check(&disk)?;
            let metadata = ArrowReaderMetadata::load(&disk, ArrowReaderOptions::new())?;
            check_schema(metadata.schema())?;
            let rows = || metadata.metadata().row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(u64::MAX));
            if rows().any(|rows| rows > CHUNK_ROWS as u64) {
                return Err(FileError::Damaged("a row group is too large".to_owned()));
            }
            if rows().sum::<u64>() != info.records {
                return Err(FileError::Damaged("another number of records than it says".to_owned()));
            }
            sums.fill(metadata.metadata())?;
            let names = metadata.parquet_schema().columns();
            let leaves = Column::ALL.map(|column| names.iter().position(|leaf| leaf.path().string() == column.name()));
            Ok(Self { info: Arc::clone(info), metadata, sums, leaves })
        })
    }

    fn group(&self, group: usize) -> Option<&RowGroupMetaData> {
        self.metadata.metadata().row_groups().get(group)
    }

    fn leaf(&self, column: Column) -> Option<usize> {
        self.leaves.get(column as usize).copied().flatten()
    }

    fn column(&self, group: usize, column: Column) -> Option<&ColumnChunkMetaData> {
        self.group(group)?.columns().get(self.leaf(column)?)
    }

    fn statistics(&self, group: usize, column: Column) -> Option<&Statistics> {
        self.column(group, column)?.statistics()
    }

    /// Holds every byte of the file against its checksums.
    pub(super) fn check_all(&self) -> Result<(), FileError> {
        Disk::open(&self.info.path)?.reading(|disk| self.sums.check_all(&disk, self.metadata.metadata()))
    }

    /// The least and the greatest value of a column of longs in a row group.
    pub(super) fn longs(&self, group: usize, column: Column) -> Option<(i64, i64)> {
        match self.statistics(group, column)? {
            Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
            _ => None,
        }
    }

    fn octets(&self, group: usize, column: Column) -> Option<(u128, u128)> {
        let bits = |octets: &[u8]| Some(u128::from_be_bytes(octets.try_into().ok()?));
        match self.statistics(group, column)? {
            Statistics::FixedLenByteArray(values) => Some((bits(values.min_opt()?.data())?, bits(values.max_opt()?.data())?)),
            _ => None,
        }
    }

    fn texts(&self, group: usize, column: Column) -> Option<(&str, &str)> {
        match self.statistics(group, column)? {
            Statistics::ByteArray(values) => Some((values.min_opt()?.as_utf8().ok()?, values.max_opt()?.as_utf8().ok()?)),
            _ => None,
        }
    }

    /// The row groups that may hold something wanted, by their statistics.
    pub(super) fn groups(&self, wanted: &Wanted<'_>) -> Vec<usize> {
        (0..self.group_count()).filter(|group| self.may_hold(*group, wanted)).collect()
    }

    fn may_hold(&self, group: usize, wanted: &Wanted<'_>) -> bool {
        let (from, to) = wanted.received;
        let in_time = self.longs(group, Column::ReceivedAt).is_none_or(|(min, max)| max >= from.0 && min <= to.0);
        let in_seqs = wanted.seqs.is_empty()
            || self.longs(group, Column::Seq).is_none_or(|(min, max)| {
                let number = |seq: &Seq| i64::try_from(seq.0).unwrap_or(i64::MAX);
                let first = wanted.seqs.partition_point(|seq| number(seq) < min);
                wanted.seqs.get(first).is_some_and(|seq| number(seq) <= max)
            });
        let in_sites = wanted.sites.is_none_or(|sites| {
            self.texts(group, Column::Site).is_none_or(|(min, max)| {
                let first = sites.partition_point(|site| site.as_str() < min);
                sites.get(first).is_some_and(|site| site.as_str() <= max)
            })
        });
        let in_numbers = wanted
            .prune
            .numbers
            .iter()
            .all(|(column, least, most)| self.longs(group, *column).is_none_or(|(min, max)| max >= *least && min <= *most));
        let end = |column, ranges: &[(u128, u128)]| {
            self.octets(group, column).is_none_or(|(min, max)| ranges.iter().any(|(first, last)| max >= *first && min <= *last))
        };
        in_time && in_seqs && in_sites && in_numbers && wanted.prune.addresses.iter().all(|asked| asked.any_end(end))
    }

    /// Whether the row group's Bloom filters rule out what is wanted. Prefixes they cannot judge.
    pub(super) fn bloom_excludes(&self, group: usize, prune: &Prune) -> Result<bool, FileError> {
        let single = |asked: &&AskedAddress| asked.ranges.iter().all(|(first, last)| first == last);
        let mut asked = prune.addresses.iter().filter(single).peekable();
        if !self.info.span.compacted || asked.peek().is_none() {
            return Ok(false);
        }
        Disk::open(&self.info.path)?.reading(|disk| {
            for column in [Column::SrcIp, Column::DstIp] {
                self.column(group, column).map_or(Ok(()), |column| self.sums.check_bloom(&disk, column))?;
            }
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(disk, self.metadata.clone());
            let filter = |column| match self.leaf(column) {
                Some(leaf) => reader.get_row_group_column_bloom_filter(group, leaf),
                None => Ok(None),
            };
            let (source, destination) = (filter(Column::SrcIp)?, filter(Column::DstIp)?);
            let end = |column, ranges: &[(u128, u128)]| {
                let filter = if column == Column::SrcIp { &source } else { &destination };
                let in_filter = |(first, _): &(u128, u128)| filter.as_ref().is_none_or(|filter| filter.check(&first.to_be_bytes()[..]));
                // Both must be so of one and the same address; the statistics were asked for any of them before.
                ranges.iter().any(in_filter)
            };
            Ok(!asked.all(|asked| asked.any_end(end)))
        })
    }

    /// The columns of one row group.
    pub(super) fn read(&self, group: usize, columns: ColumnSet) -> Result<Batch, FileError> {
        Disk::open(&self.info.path)?.reading(|disk| {
            for column in columns.iter().filter_map(|column| self.column(group, column)) {
                self.sums.check_column(&disk, column)?;
            }
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(disk, self.metadata.clone());
            let leaves = columns.iter().filter_map(|column| self.leaf(column));
            let mask = ProjectionMask::leaves(self.metadata.parquet_schema(), leaves);
            let mut batches = reader.with_row_groups(vec![group]).with_projection(mask).with_batch_size(CHUNK_ROWS).build()?;
            let batch = batches.next().ok_or_else(|| FileError::Damaged("an empty row group".to_owned()))??;
            if batch.num_rows() != self.rows(group) || batches.next().is_some() {
                return Err(FileError::Damaged("a row group has another size than it says".to_owned()));
            }
            Ok(Batch::new(&batch, columns))
        })
    }

    pub(super) fn group_count(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// How many rows a row group has.
    pub(super) fn rows(&self, group: usize) -> usize {
        self.group(group).and_then(|group| usize::try_from(group.num_rows()).ok()).unwrap_or_default()
    }
}

impl AskedAddress {
    fn any_end(&self, end: impl Fn(Column, &[(u128, u128)]) -> bool) -> bool {
        match self.end {
            End::Source => end(Column::SrcIp, &self.ranges),
            End::Destination => end(Column::DstIp, &self.ranges),
            End::Either => end(Column::SrcIp, &self.ranges) || end(Column::DstIp, &self.ranges),
        }
    }
}

/// Columns as they were read.
pub(super) struct Batch {
    pub(super) rows: usize,
    arrays: Vec<(Column, ArrayRef)>,
    sites: Vec<SiteId>,
    /// What a file of an earlier version has not.
    missing: Vec<(Column, Values)>,
}

impl Batch {
    fn new(batch: &arrow_array::RecordBatch, columns: ColumnSet) -> Self {
        let rows = batch.num_rows();
        let (mut arrays, mut missing, mut sites) = (Vec::new(), Vec::new(), Vec::new());
        for column in columns.iter() {
            match batch.column_by_name(column.name()) {
                Some(array) => {
                    if column == Column::Site {
                        sites = sites_of(array);
                    }
                    arrays.push((column, Arc::clone(array)));
                }
                None => missing.push((column, Values::none(column, rows))),
            }
        }
        Self { rows, arrays, sites, missing }
    }

    pub(super) fn slice(&self, column: Column) -> Option<Slice<'_>> {
        let missing = || self.missing.iter().find(|(other, _)| *other == column).map(|(_, values)| values.slice());
        let array = self.arrays.iter().find(|(other, _)| *other == column);
        array.and_then(|(_, array)| Slice::of(array, column, &self.sites)).or_else(missing)
    }

    /// Puts the columns into the chunk.
    pub(super) fn fill<'a>(&'a self, chunk: &mut Chunk<'a>) {
        for column in self.arrays.iter().map(|(column, _)| *column).chain(self.missing.iter().map(|(column, _)| *column)) {
            if let Some(slice) = self.slice(column) {
                chunk.put(column, slice);
            }
        }
    }
}

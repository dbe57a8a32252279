//! Some rows of the store as typed columns, with a mask of those that belong to the answer. Nothing is copied from what the
//! file's reader decoded, and no record is made unless somebody asks for one.

use super::column::{COLUMNS, Column, ColumnSet};
use super::values::{Slice, Values};
use crate::body::SiteId;
use crate::flow::FlowRecord;

/// Rows of a chunk at most, those of a row group.
pub const CHUNK_ROWS: usize = 65_536;

/// At most `CHUNK_ROWS` rows. A column that was not asked for is empty.
pub struct Chunk<'a> {
    rows: usize,
    slices: [Option<Slice<'a>>; COLUMNS],
    mask: Mask,
}

impl<'a> Chunk<'a> {
    /// All rows are in the mask.
    pub(super) fn new(rows: usize) -> Self {
        Self { rows, slices: [None; COLUMNS], mask: Mask::full(rows) }
    }

    pub(super) fn of(rows: usize, values: &'a [(Column, Values)]) -> Self {
        let mut chunk = Self::new(rows);
        values.iter().for_each(|(column, values)| chunk.put(*column, values.slice()));
        chunk
    }

    pub(super) fn put(&mut self, column: Column, slice: Slice<'a>) {
        if let Some(place) = self.slices.get_mut(column as usize) {
            *place = Some(slice);
        }
    }

    pub(super) fn mask_set(&mut self, mask: Mask) {
        self.mask = mask;
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows that belong to the answer.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// The column's values; `None` where it was not asked for.
    pub fn slice(&self, column: Column) -> Option<Slice<'a>> {
        self.slices.get(column as usize).copied().flatten()
    }

    /// Counters, and times in milliseconds.
    pub fn longs(&self, column: Column) -> &'a [i64] {
        if let Some(Slice::Long(values)) = self.slice(column) { values } else { &[] }
    }

    pub fn ids(&self, column: Column) -> &'a [u64] {
        if let Some(Slice::Id(values)) = self.slice(column) { values } else { &[] }
    }

    pub fn ints(&self, column: Column) -> &'a [u32] {
        if let Some(Slice::Int(values)) = self.slice(column) { values } else { &[] }
    }

    pub fn shorts(&self, column: Column) -> &'a [u16] {
        if let Some(Slice::Short(values)) = self.slice(column) { values } else { &[] }
    }

    pub fn small(&self, column: Column) -> &'a [u8] {
        if let Some(Slice::Byte(values)) = self.slice(column) { values } else { &[] }
    }

    /// Network order, IPv4 as `::ffff:a.b.c.d`.
    pub fn addresses(&self, column: Column) -> &'a [[u8; 16]] {
        if let Some(Slice::Address(values)) = self.slice(column) { values } else { &[] }
    }

    pub fn macs(&self, column: Column) -> &'a [[u8; 6]] {
        if let Some(Slice::Mac(values)) = self.slice(column) { values } else { &[] }
    }

    /// For each row an index into the chunk's sites.
    pub fn sites(&self) -> (&'a [i32], &'a [SiteId]) {
        if let Some(Slice::Site(keys, sites)) = self.slice(Column::Site) { (keys, sites) } else { (&[], &[]) }
    }

    /// The row as a record; what was not asked for is as in `FlowRecord::NONE`.
    pub fn record(&self, row: usize) -> FlowRecord {
        let mut record = FlowRecord::NONE;
        for (column, slice) in Column::ALL.into_iter().zip(&self.slices) {
            if let Some(slice) = slice {
                slice.put(column, row, &mut record);
            }
        }
        record
    }

    /// The columns that are here.
    pub fn columns(&self) -> ColumnSet {
        Column::ALL.into_iter().filter(|column| self.slice(*column).is_some()).fold(ColumnSet::NONE, ColumnSet::with)
    }
}

/// Which rows of a chunk are meant: a byte a row, so that comparing a column with a value becomes vector instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask(Vec<bool>);

impl Mask {
    pub fn full(rows: usize) -> Self {
        Self(vec![true; rows])
    }

    pub fn none(rows: usize) -> Self {
        Self(vec![false; rows])
    }

    /// Takes out the rows whose value does not `fit`. Of a column that is not there, or is shorter, nothing fits.
    pub fn narrow<T: Copy>(&mut self, values: &[T], fit: impl Fn(T) -> bool) {
        self.0.iter_mut().zip(values).for_each(|(bit, value)| *bit &= fit(*value));
        self.0.iter_mut().skip(values.len()).for_each(|bit| *bit = false);
    }

    /// Takes out the rows that are not in the other, too.
    pub fn and(&mut self, other: &Self) {
        self.narrow(&other.0, |bit| bit);
    }

    /// Takes in the rows of the other, too.
    pub fn or(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(bit, other)| *bit |= *other);
    }

    /// Takes out the rows that are in the other.
    pub fn without(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(bit, other)| *bit &= !*other);
    }

    /// Looks at each row that is still in, and takes it out where it does not `fit`.
    pub fn narrow_rows(&mut self, mut fit: impl FnMut(usize) -> bool) {
        self.0.iter_mut().enumerate().filter(|(_, bit)| **bit).for_each(|(row, bit)| *bit = fit(row));
    }

    pub fn has(&self, row: usize) -> bool {
        self.0.get(row).copied().unwrap_or(false)
    }

    pub fn as_slice(&self) -> &[bool] {
        &self.0
    }

    /// How many rows are in.
    pub fn count(&self) -> usize {
        self.0.iter().filter(|bit| **bit).count()
    }

    pub fn any(&self) -> bool {
        self.0.contains(&true)
    }

    /// The rows that are in, ascending.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.0.iter().enumerate().filter(|(_, bit)| **bit).map(|(row, _)| row)
    }
}

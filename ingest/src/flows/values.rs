//! The values of one column: owned (`Values`), taken from records, read from files or put in another order, and as typed
//! slices (`Slice`), which is what questions compute with.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int32Array, Int64Array, StringArray, TimestampMillisecondArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array,
};
use arrow_buffer::Buffer;
use arrow_schema::ArrowError;

use super::column::{Access, Column, address_octets, octets_address};
use crate::body::{SITE_UNKNOWN, SiteId};
use crate::flow::FlowRecord;

/// A column's values, typed. Times are milliseconds and among the longs.
#[derive(Clone, Copy, Debug)]
pub enum Slice<'a> {
    Long(&'a [i64]),
    Id(&'a [u64]),
    Int(&'a [u32]),
    Short(&'a [u16]),
    Byte(&'a [u8]),
    Address(&'a [[u8; 16]]),
    Mac(&'a [[u8; 6]]),
    /// For each row an index into the sites.
    Site(&'a [i32], &'a [SiteId]),
}

/// The same, owned.
#[derive(Clone, Debug)]
pub(super) enum Values {
    Long(Vec<i64>),
    Id(Vec<u64>),
    Int(Vec<u32>),
    Short(Vec<u16>),
    Byte(Vec<u8>),
    Address(Vec<[u8; 16]>),
    Mac(Vec<[u8; 6]>),
    Site(Vec<i32>, Vec<SiteId>, HashMap<SiteId, i32>),
}

impl Values {
    pub(super) fn new(column: Column, capacity: usize) -> Self {
        match column.info().access {
            Access::Time(..) | Access::Long(..) => Self::Long(Vec::with_capacity(capacity)),
            Access::Id(..) => Self::Id(Vec::with_capacity(capacity)),
            Access::Int(..) => Self::Int(Vec::with_capacity(capacity)),
            Access::Short(..) => Self::Short(Vec::with_capacity(capacity)),
            Access::Byte(..) => Self::Byte(Vec::with_capacity(capacity)),
            Access::Address(..) => Self::Address(Vec::with_capacity(capacity)),
            Access::Mac(..) => Self::Mac(Vec::with_capacity(capacity)),
            Access::Site(..) => Self::Site(Vec::with_capacity(capacity), Vec::new(), HashMap::new()),
        }
    }

    /// What a record of which nothing is known has, so many times.
    pub(super) fn none(column: Column, rows: usize) -> Self {
        let mut values = Self::new(column, 1);
        values.extend(column, &[FlowRecord::NONE]);
        values.gather((0..rows).map(|_| 0))
    }

    /// Appends the column of these records.
    pub(super) fn extend(&mut self, column: Column, records: &[FlowRecord]) {
        match (self, column.info().access) {
            (Self::Long(to), Access::Time(get, _) | Access::Long(get, _)) => to.extend(records.iter().map(get)),
            (Self::Id(to), Access::Id(get, _)) => to.extend(records.iter().map(get)),
            (Self::Int(to), Access::Int(get, _)) => to.extend(records.iter().map(get)),
            (Self::Short(to), Access::Short(get, _)) => to.extend(records.iter().map(get)),
            (Self::Byte(to), Access::Byte(get, _)) => to.extend(records.iter().map(get)),
            (Self::Address(to), Access::Address(get, _)) => to.extend(records.iter().map(|record| address_octets(get(record)))),
            (Self::Mac(to), Access::Mac(get, _)) => to.extend(records.iter().map(get)),
            (Self::Site(keys, sites, known), Access::Site(get, _)) => {
                // Datagrams come in runs of one site.
                let mut last = None;
                for site in records.iter().map(get) {
                    let key = match last {
                        Some((before, key)) if before == site => key,
                        _ => site_key(sites, known, site),
                    };
                    last = Some((site, key));
                    keys.push(key);
                }
            }
            _ => {}
        }
    }

    /// Appends what another file has of the same column.
    pub(super) fn append(&mut self, slice: Slice<'_>) {
        match (self, slice) {
            (Self::Long(to), Slice::Long(from)) => to.extend_from_slice(from),
            (Self::Id(to), Slice::Id(from)) => to.extend_from_slice(from),
            (Self::Int(to), Slice::Int(from)) => to.extend_from_slice(from),
            (Self::Short(to), Slice::Short(from)) => to.extend_from_slice(from),
            (Self::Byte(to), Slice::Byte(from)) => to.extend_from_slice(from),
            (Self::Address(to), Slice::Address(from)) => to.extend_from_slice(from),
            (Self::Mac(to), Slice::Mac(from)) => to.extend_from_slice(from),
            (Self::Site(keys, sites, known), Slice::Site(from, names)) => {
                let here: Vec<i32> = names.iter().map(|site| site_key(sites, known, *site)).collect();
                let unknown = if from.iter().all(|key| at(*key, &here).is_some()) { 0 } else { site_key(sites, known, SITE_UNKNOWN) };
                keys.extend(from.iter().map(|key| at(*key, &here).unwrap_or(unknown)));
            }
            _ => {}
        }
    }

    /// The rows of that order; rows that are not there are left out.
    pub(super) fn gather(&self, rows: impl Iterator<Item = usize>) -> Self {
        fn pick<T: Copy>(from: &[T], rows: impl Iterator<Item = usize>) -> Vec<T> {
            rows.filter_map(|row| from.get(row).copied()).collect()
        }
        match self {
            Self::Long(from) => Self::Long(pick(from, rows)),
            Self::Id(from) => Self::Id(pick(from, rows)),
            Self::Int(from) => Self::Int(pick(from, rows)),
            Self::Short(from) => Self::Short(pick(from, rows)),
            Self::Byte(from) => Self::Byte(pick(from, rows)),
            Self::Address(from) => Self::Address(pick(from, rows)),
            Self::Mac(from) => Self::Mac(pick(from, rows)),
            Self::Site(from, sites, known) => Self::Site(pick(from, rows), sites.clone(), known.clone()),
        }
    }

    pub(super) fn slice(&self) -> Slice<'_> {
        match self {
            Self::Long(values) => Slice::Long(values),
            Self::Id(values) => Slice::Id(values),
            Self::Int(values) => Slice::Int(values),
            Self::Short(values) => Slice::Short(values),
            Self::Byte(values) => Slice::Byte(values),
            Self::Address(values) => Slice::Address(values),
            Self::Mac(values) => Slice::Mac(values),
            Self::Site(keys, sites, _) => Slice::Site(keys, sites),
        }
    }

    /// Whether all are the same value.
    pub(super) fn is_constant(&self) -> bool {
        fn same<T: PartialEq>(values: &[T]) -> bool {
            values.first().is_none_or(|first| values.iter().all(|value| value == first))
        }
        match self {
            Self::Long(values) => same(values),
            Self::Id(values) => same(values),
            Self::Int(values) => same(values),
            Self::Short(values) => same(values),
            Self::Byte(values) => same(values),
            Self::Address(values) => same(values),
            Self::Mac(values) => same(values),
            Self::Site(keys, ..) => same(keys),
        }
    }

    /// As Arrow has it, of the column's type.
    pub(super) fn into_array(self, column: Column) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Long(values) if matches!(column.info().access, Access::Time(..)) => {
                Arc::new(TimestampMillisecondArray::from(values).with_timezone("UTC"))
            }
            Self::Long(values) => Arc::new(Int64Array::from(values)),
            Self::Id(values) => Arc::new(UInt64Array::from(values)),
            Self::Int(values) => Arc::new(UInt32Array::from(values)),
            Self::Short(values) => Arc::new(UInt16Array::from(values)),
            Self::Byte(values) => Arc::new(UInt8Array::from(values)),
            Self::Address(values) => Arc::new(FixedSizeBinaryArray::try_new(16, Buffer::from_vec(values.into_flattened()), None)?),
            Self::Mac(values) => Arc::new(FixedSizeBinaryArray::try_new(6, Buffer::from_vec(values.into_flattened()), None)?),
            Self::Site(keys, sites, _) => {
                let names: Vec<String> = sites.iter().map(ToString::to_string).collect();
                Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), Arc::new(StringArray::from(names)))?)
            }
        })
    }
}

fn site_key(sites: &mut Vec<SiteId>, known: &mut HashMap<SiteId, i32>, site: SiteId) -> i32 {
    *known.entry(site).or_insert_with(|| {
        sites.push(site);
        i32::try_from(sites.len() - 1).unwrap_or(i32::MAX)
    })
}

fn at<T: Copy>(key: i32, of: &[T]) -> Option<T> {
    usize::try_from(key).ok().and_then(|key| of.get(key)).copied()
}

/// The sites that a file's dictionary names.
pub(super) fn sites_of(array: &ArrayRef) -> Vec<SiteId> {
    let site = array.as_any().downcast_ref::<DictionaryArray<Int32Type>>();
    let names = site.and_then(|site| site.values().as_any().downcast_ref::<StringArray>());
    let parse = |name: Option<&str>| name.and_then(|name| name.parse().ok()).unwrap_or(SITE_UNKNOWN);
    names.map(|names| names.iter().map(parse).collect()).unwrap_or_default()
}

impl<'a> Slice<'a> {
    /// The values of an array of the column's type; `sites` are those of `sites_of` where it is the site's.
    pub(super) fn of(array: &'a ArrayRef, column: Column, sites: &'a [SiteId]) -> Option<Self> {
        let any = array.as_any();
        Some(match column.info().access {
            Access::Time(..) => Self::Long(any.downcast_ref::<TimestampMillisecondArray>()?.values()),
            Access::Long(..) => Self::Long(any.downcast_ref::<Int64Array>()?.values()),
            Access::Id(..) => Self::Id(any.downcast_ref::<UInt64Array>()?.values()),
            Access::Int(..) => Self::Int(any.downcast_ref::<UInt32Array>()?.values()),
            Access::Short(..) => Self::Short(any.downcast_ref::<UInt16Array>()?.values()),
            Access::Byte(..) => Self::Byte(any.downcast_ref::<UInt8Array>()?.values()),
            Access::Address(..) => Self::Address(any.downcast_ref::<FixedSizeBinaryArray>()?.value_data().as_chunks().0),
            Access::Mac(..) => Self::Mac(any.downcast_ref::<FixedSizeBinaryArray>()?.value_data().as_chunks().0),
            Access::Site(..) => Self::Site(any.downcast_ref::<DictionaryArray<Int32Type>>()?.keys().values(), sites),
        })
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Long(values) => values.len(),
            Self::Id(values) => values.len(),
            Self::Int(values) => values.len(),
            Self::Short(values) => values.len(),
            Self::Byte(values) => values.len(),
            Self::Address(values) => values.len(),
            Self::Mac(values) => values.len(),
            Self::Site(keys, _) => keys.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a row's value into the record.
    pub(super) fn put(&self, column: Column, row: usize, record: &mut FlowRecord) {
        fn give<T: Copy>(values: &[T], row: usize, record: &mut FlowRecord, set: fn(&mut FlowRecord, T)) {
            if let Some(value) = values.get(row) {
                set(record, *value);
            }
        }
        match (self, column.info().access) {
            (Self::Long(values), Access::Time(_, set) | Access::Long(_, set)) => give(values, row, record, set),
            (Self::Id(values), Access::Id(_, set)) => give(values, row, record, set),
            (Self::Int(values), Access::Int(_, set)) => give(values, row, record, set),
            (Self::Short(values), Access::Short(_, set)) => give(values, row, record, set),
            (Self::Byte(values), Access::Byte(_, set)) => give(values, row, record, set),
            (Self::Mac(values), Access::Mac(_, set)) => give(values, row, record, set),
            (Self::Address(values), Access::Address(_, set)) => {
                if let Some(octets) = values.get(row) {
                    set(record, octets_address(*octets));
                }
            }
            (Self::Site(keys, sites), Access::Site(_, set)) => {
                set(record, keys.get(row).and_then(|key| at(*key, sites)).unwrap_or(SITE_UNKNOWN));
            }
            _ => {}
        }
    }
}

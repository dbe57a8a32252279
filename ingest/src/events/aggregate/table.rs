//! What comes out of a pipe: columns, rows of values, and how `sort`, `head` and `fields` shape them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;

use crate::query::{Column, Stage};
use crate::time::Timestamp;

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value: a field that a record has not, the sum of nothing.
    Missing,
    Text(Box<str>),
    Int(i64),
    /// Finite.
    Float(f64),
    Ip(IpAddr),
    Time(Timestamp),
}

impl Value {
    /// As text for people; empty where there is none. Times are RFC 3339 in UTC.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Missing => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::Float(number) => Cow::Owned(format!("{number:.2}")),
            Self::Ip(address) => Cow::Owned(address.to_string()),
            Self::Time(at) => Cow::Owned(at.rfc3339()),
        }
    }

    /// As JSON: addresses and times as text, nothing as null.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Missing => serde_json::Value::Null,
            Self::Int(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Text(_) | Self::Ip(_) | Self::Time(_) => self.text().into(),
        }
    }

    /// Numbers, then times, addresses, texts; what is missing last.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Ip(a), Self::Ip(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Int(_) => 0,
            Self::Float(_) => 1,
            Self::Time(_) => 2,
            Self::Ip(_) => 3,
            Self::Text(_) => 4,
            Self::Missing => 5,
        }
    }

    /// As `order`, the other way round; what is missing stays last.
    fn order_descending(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Missing, _) | (_, Self::Missing) => self.order(other),
            _ => other.order(self),
        }
    }

    /// Bytes that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + if let Self::Text(text) = self { text.len() } else { 0 }
    }
}

/// A pipe's result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub columns: Vec<Column>,
    /// Each as long as `columns`.
    pub rows: Vec<Vec<Value>>,
    /// A bound on groups, bars or memory was hit. The groups that are here are counted whole; `distinct` and percentiles
    /// may then miss values.
    pub partial: bool,
    /// Records that belong to groups beyond that bound.
    pub other: u64,
}

impl Table {
    /// Orders the rows: by each column in turn, down where `true`.
    pub(super) fn order_by(&mut self, keys: &[(usize, bool)]) {
        self.rows.sort_by(|a, b| {
            let one = |(column, descending): &(usize, bool)| match (a.get(*column), b.get(*column)) {
                (Some(a), Some(b)) if *descending => a.order_descending(b),
                (Some(a), Some(b)) => a.order(b),
                _ => Ordering::Equal,
            };
            keys.iter().map(one).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
    }

    /// Applies what follows on the aggregation.
    pub(super) fn shape(&mut self, stages: &[Stage]) {
        for stage in stages {
            match stage {
                Stage::Sort(keys) => {
                    let keys: Vec<(usize, bool)> = keys.iter().filter_map(|key| Some((self.place(&key.column)?, key.descending))).collect();
                    self.order_by(&keys);
                }
                Stage::Head(rows) => self.rows.truncate(*rows),
                Stage::Fields(names) => {
                    let places: Vec<usize> = names.iter().filter_map(|name| self.place(name)).collect();
                    self.columns = places.iter().filter_map(|place| self.columns.get(*place).cloned()).collect();
                    for row in &mut self.rows {
                        *row = places.iter().map(|place| row.get(*place).cloned().unwrap_or(Value::Missing)).collect();
                    }
                }
                _ => {}
            }
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_last_both_ways() {
        let number = |n: Option<i64>| vec![n.map_or(Value::Missing, Value::Int)];
        let mut table = Table { rows: [Some(2), None, Some(-1)].map(number).into(), ..Table::default() };
        table.order_by(&[(0, false)]);
        assert_eq!(table.rows, [Some(-1), Some(2), None].map(number));
        table.order_by(&[(0, true)]);
        assert_eq!(table.rows, [Some(2), Some(-1), None].map(number));
    }
}

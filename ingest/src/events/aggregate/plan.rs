//! What a stage keeps of records: by which fields it groups them, and which figures each group has.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::LazyLock;

use super::sketch::{Distinct, Quantiles, Room};
use super::table::Value;
use crate::event::ValueRef;
use crate::fields::{FieldId, Kind};
use crate::query::{Function, Measure, Operand, Rank, Stage, Width, normal};
use crate::record::Record;
use crate::time::Timestamp;

/// A field's value as groups are told apart by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Missing,
    Int(i64),
    Ip(IpAddr),
    Text(Box<str>),
    /// A bar's beginning.
    Bar(i64),
}

impl Key {
    /// As columns hold the value: numbers and addresses in fields of their kind, texts in all others.
    pub(super) fn of(field: FieldId, value: ValueRef<'_>) -> Self {
        match (field.known().map(|row| row.kind), normal(field, value)) {
            (Some(Kind::Int), ValueRef::Int(number)) => Self::Int(number),
            (Some(Kind::Ip), ValueRef::Ip(address)) => Self::Ip(address),
            (_, value) => Self::Text(value.text().into()),
        }
    }

    pub(super) fn hash(&self) -> u64 {
        HASHING.hash_one(self)
    }

    /// What the value is worth as a number.
    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            Self::Missing | Self::Ip(_) | Self::Bar(_) => None,
        }
    }

    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Missing => Value::Missing,
            Self::Int(number) => Value::Int(number),
            Self::Ip(address) => Value::Ip(address),
            Self::Text(text) => Value::Text(text),
            Self::Bar(start) => Value::Time(Timestamp(start)),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + if let Self::Text(text) = self { text.len() } else { 0 }
    }
}

/// Seeded by chance, and SipHash: nobody can send values that pass for one another.
static HASHING: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The hash of a combination of values.
pub(super) fn combined(hashes: &[u64]) -> u64 {
    if let [one] = hashes { *one } else { HASHING.hash_one(hashes) }
}

/// What is kept of records.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) by: Vec<FieldId>,
    pub(super) width: Option<Width>,
    /// Records without a value in `by` do not count.
    pub(super) present_only: bool,
    pub(super) figures: Vec<Figure>,
    pub(super) patterns: bool,
}

/// One figure of each group.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) function: Function,
    pub(super) input: Input,
}

/// What of a record a figure needs.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// Nothing: the group's records are counted anyway.
    Record,
    Numbers(FieldId),
    Time,
    Present(FieldId),
    Combinations(Vec<FieldId>),
}

impl Plan {
    pub(super) fn of(stage: &Stage) -> Self {
        let records = || vec![Figure { function: Function::Count, input: Input::Record }];
        let figures = match stage {
            Stage::Top { rank: Rank::Sum(operand), .. } => {
                vec![Figure::of(&Measure { function: Function::Sum, operand: Some(*operand) })]
            }
            Stage::Distinct { fields, .. } => {
                vec![Figure { function: Function::Distinct, input: Input::Combinations(fields.clone()) }]
            }
            Stage::Stats { measures, .. } => measures.iter().map(Figure::of).collect(),
            _ => records(),
        };
        Self {
            by: stage.by().to_vec(),
            width: if let Stage::Histogram { width, .. } = stage { Some(*width) } else { None },
            present_only: matches!(stage, Stage::Top { .. } | Stage::Rare { .. }),
            figures,
            patterns: *stage == Stage::Patterns,
        }
    }

    /// The fields whose values are looked at.
    pub(super) fn fields(&self) -> impl Iterator<Item = FieldId> {
        let inputs = self.figures.iter().flat_map(|figure| match &figure.input {
            Input::Record | Input::Time => vec![],
            Input::Numbers(field) | Input::Present(field) => vec![*field],
            Input::Combinations(fields) => fields.clone(),
        });
        self.by.iter().copied().chain(inputs)
    }

    pub(super) fn cells(&self) -> Vec<Cell> {
        self.figures.iter().map(Figure::cell).collect()
    }

    /// Whether a group is no more than the number of its records.
    pub(super) fn counts_only(&self) -> bool {
        self.figures.iter().all(|figure| matches!(figure.input, Input::Record))
    }
}

impl Figure {
    fn of(measure: &Measure) -> Self {
        let input = match (measure.operand, measure.function) {
            (None, _) => Input::Record,
            (Some(Operand::Time), _) => Input::Time,
            (Some(Operand::Field(field)), Function::Count) => Input::Present(field),
            (Some(Operand::Field(field)), Function::Distinct) => Input::Combinations(vec![field]),
            (Some(Operand::Field(field)), _) => Input::Numbers(field),
        };
        Self { function: measure.function, input }
    }

    fn cell(&self) -> Cell {
        match (&self.input, self.function) {
            (Input::Record, _) => Cell::Record,
            (Input::Present(_), _) => Cell::Present(0),
            (Input::Combinations(_), _) => Cell::Distinct(Distinct::Exact(HashSet::default())),
            (_, Function::Min) => Cell::Least(None),
            (_, Function::Max) => Cell::Greatest(None),
            (_, Function::Median | Function::Percentile(_)) => Cell::Quantiles(Quantiles::Exact(Vec::new())),
            _ => Cell::Sum(0, 0),
        }
    }

    /// What a record gives to the figure.
    pub(super) fn take(&self, record: &dyn Record, taken: &mut Taken) {
        taken.clear();
        match &self.input {
            Input::Record => {}
            Input::Time => taken.numbers.push(record.timestamp().0),
            Input::Present(field) => taken.present = record.any_value(*field, &mut |_| true),
            Input::Numbers(field) => {
                record.any_value(*field, &mut |value| {
                    taken.numbers.extend(Key::of(*field, value).number());
                    false
                });
            }
            Input::Combinations(fields) => {
                let sets: Vec<Vec<u64>> = fields.iter().map(|field| keys(record, *field).iter().map(Key::hash).collect()).collect();
                let sets: Vec<&[u64]> = sets.iter().map(Vec::as_slice).collect();
                taken.lost = combinations(&sets, &mut |hashes| taken.hashes.push(combined(hashes)));
            }
        }
    }

    /// The figure's value for a group of so many records.
    pub(super) fn value(&self, cell: Cell, records: u64) -> Value {
        let whole = |number: i128| i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX });
        let count = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let number = |number: Option<i64>| match (number, &self.input) {
            (None, _) => Value::Missing,
            (Some(number), Input::Time) => Value::Time(Timestamp(number)),
            (Some(number), _) => Value::Int(number),
        };
        match (cell, self.function) {
            (Cell::Record, _) => count(records),
            (Cell::Present(records), _) => count(records),
            (Cell::Sum(_, 0), _) => Value::Missing,
            (Cell::Sum(sum, values), Function::Avg) => Value::Float(sum as f64 / values as f64),
            (Cell::Sum(sum, _), _) => Value::Int(whole(sum)),
            (Cell::Least(least), _) => number(least),
            (Cell::Greatest(greatest), _) => number(greatest),
            (Cell::Quantiles(mut values), Function::Percentile(percent)) => number(values.percentile(percent)),
            (Cell::Quantiles(mut values), _) => number(values.percentile(50)),
            (Cell::Distinct(distinct), _) => count(distinct.count()),
        }
    }
}

/// A record's different values of a field.
pub(super) fn keys(record: &dyn Record, field: FieldId) -> Vec<Key> {
    let mut keys = Vec::new();
    record.any_value(field, &mut |value| {
        let key = Key::of(field, value);
        if !keys.contains(&key) {
            keys.push(key);
        }
        false
    });
    keys
}

/// What one record gives to one figure.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken {
    pub(super) numbers: Vec<i64>,
    pub(super) hashes: Vec<u64>,
    pub(super) present: bool,
    /// Combinations beyond the bound.
    pub(super) lost: u64,
}

impl Taken {
    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.hashes.clear();
        (self.present, self.lost) = (false, 0);
    }
}

/// A figure of one group, being reckoned.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Record,
    Present(u64),
    /// The sum and of how many values.
    Sum(i128, u64),
    Least(Option<i64>),
    Greatest(Option<i64>),
    Quantiles(Quantiles),
    Distinct(Distinct),
}

impl Cell {
    pub(super) fn add(&mut self, taken: &Taken, room: &mut Room) {
        match self {
            Self::Record => {}
            Self::Present(records) => *records += u64::from(taken.present),
            Self::Sum(sum, values) => {
                *sum += taken.numbers.iter().map(|number| i128::from(*number)).sum::<i128>();
                *values += taken.numbers.len() as u64;
            }
            Self::Least(least) => *least = taken.numbers.iter().copied().chain(*least).min(),
            Self::Greatest(greatest) => *greatest = taken.numbers.iter().copied().chain(*greatest).max(),
            Self::Quantiles(quantiles) => taken.numbers.iter().for_each(|number| quantiles.add(*number, room)),
            Self::Distinct(distinct) => taken.hashes.iter().for_each(|hash| distinct.add(*hash, room)),
        }
    }

    pub(super) fn merge(&mut self, other: Self, room: &mut Room) {
        match (self, other) {
            (Self::Present(mine), Self::Present(theirs)) => *mine += theirs,
            (Self::Sum(sum, values), Self::Sum(their_sum, their_values)) => {
                *sum += their_sum;
                *values += their_values;
            }
            (Self::Least(mine), Self::Least(theirs)) => *mine = mine.iter().copied().chain(theirs).min(),
            (Self::Greatest(mine), Self::Greatest(theirs)) => *mine = mine.iter().copied().chain(theirs).max(),
            (Self::Quantiles(mine), Self::Quantiles(theirs)) => mine.merge(theirs, room),
            (Self::Distinct(mine), Self::Distinct(theirs)) => mine.merge(theirs, room),
            _ => {}
        }
    }
}

/// Combinations of one record's values: a record with four fields of a hundred values each would have a hundred million.
const COMBINATIONS_MAX: u64 = 1_024;

/// Gives each combination of one value of every set to `take`, up to the bound; says how many are beyond it.
pub(super) fn combinations<T: Copy>(sets: &[&[T]], take: &mut dyn FnMut(&[T])) -> u64 {
    let all = sets.iter().map(|set| set.len() as u64).fold(1, u64::saturating_mul);
    let mut chosen: Vec<T> = Vec::with_capacity(sets.len());
    for number in 0..all.min(COMBINATIONS_MAX) {
        chosen.clear();
        let mut left = number;
        for set in sets {
            let length = set.len() as u64;
            chosen.extend(usize::try_from(left % length).ok().and_then(|place| set.get(place)));
            left /= length;
        }
        take(&chosen);
    }
    all.saturating_sub(COMBINATIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_comes_once_up_to_the_bound() {
        let mut seen = Vec::new();
        assert_eq!(combinations(&[&[1, 2], &[3], &[4, 5]], &mut |chosen: &[i32]| seen.push(chosen.to_vec())), 0);
        assert_eq!(seen, [[1, 3, 4], [2, 3, 4], [1, 3, 5], [2, 3, 5]]);
        assert_eq!(combinations(&[&[1], &[]], &mut |_: &[i32]| panic!("there is none")), 0);
        let many: Vec<i32> = (0..100).collect();
        let mut count = 0;
        assert_eq!(combinations(&[&many, &many], &mut |_| count += 1), 10_000 - COMBINATIONS_MAX);
        assert_eq!(count, COMBINATIONS_MAX);
    }
}

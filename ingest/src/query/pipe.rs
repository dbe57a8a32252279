//! A search with what is to be made of its matches: `failed | count by site | sort -count | head 20`. The first stage may
//! make a table of the matches (`count`, `top`, `rare`, `distinct`, `stats`, `histogram`, `patterns`); without one the
//! matches themselves are the rows. `sort`, `head` and `fields` shape the table. Parsed in `pipe_parse`, printed here,
//! evaluated in `crate::events::aggregate`.
//!
//! A record with several values of a field counts under each of them, once. One without a value counts under "no value",
//! except in `top` and `rare`, which are about the values that there are.

use std::fmt;

use super::time::{TIMESTAMP, Width};
use super::{Query, QueryError, pipe_parse};
use crate::fields::{self, FieldId, Kind};
use crate::time::Timestamp;

/// More steps than anybody thinks in.
pub(crate) const STAGES_MAX: usize = 8;
/// Fields of one `by`: each multiplies the groups.
pub(crate) const BY_MAX: usize = 4;
/// Figures of one `stats`: each is kept for every group.
pub(crate) const MEASURES_MAX: usize = 8;
/// Columns named in `fields` or `sort`.
pub(crate) const COLUMNS_MAX: usize = 32;
/// Rows of `head` and `top`; there are never more groups.
pub(crate) const HEAD_MAX: usize = 100_000;
/// Rows of `rare` where none are asked for.
pub(crate) const RARE_ROWS: usize = 20;
/// Rows of `top` where none are asked for.
pub(crate) const TOP_ROWS: usize = 10;

/// A query and its stages; none where only matches are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    pub query: Query,
    pub stages: Vec<Stage>,
}

/// One step. What makes a table stands first.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Records of each combination of values; of all, where there is no field.
    Count {
        by: Vec<FieldId>,
    },
    /// The values that come first.
    Top {
        rows: usize,
        field: FieldId,
        rank: Rank,
    },
    /// The values that occur least.
    Rare {
        rows: usize,
        field: FieldId,
    },
    /// How many different values, or combinations of values, there are.
    Distinct {
        fields: Vec<FieldId>,
        by: Vec<FieldId>,
    },
    Stats {
        measures: Vec<Measure>,
        by: Vec<FieldId>,
    },
    /// Records in each bar of time.
    Histogram {
        width: Width,
        by: Vec<FieldId>,
    },
    /// Lines grouped by what stays the same in them.
    Patterns,
    Sort(Vec<SortKey>),
    Head(usize),
    Fields(Vec<String>),
}

/// What `top` ranks by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rank {
    Count,
    Sum(Operand),
}

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    pub function: Function,
    /// `None` only for `count` of all records.
    pub operand: Option<Operand>,
}

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand {
    Field(FieldId),
    /// The record's time: for `min` and `max` alone.
    Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Records, or those that have the field.
    Count,
    Sum,
    Min,
    Max,
    Avg,
    /// As `Percentile(50)`.
    Median,
    /// The smallest value that this many of a hundred values do not exceed (nearest rank).
    Percentile(u8),
    /// Different values.
    Distinct,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    pub column: String,
    pub descending: bool,
}

/// A column of a pipe's table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// As `sort` and `fields` name it.
    pub name: String,
    pub kind: ColumnKind,
}

/// What a column's cells are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ColumnKind {
    /// Values of a field: something to search for.
    Field(FieldId),
    Time,
    Number,
    Text,
}

impl Pipeline {
    /// What a text means, everywhere: `Query::parse_at` is this where only lines can be told. `now` is what relative times
    /// count from.
    ///
    /// # Errors
    /// As `Query::parse_at`; places count from the beginning of the whole text.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, QueryError> {
        pipe_parse::parse(text, Some(now))
    }

    /// The query's part of a text, and from the first bare stroke on what is made of its matches; nothing where there is none.
    pub fn split(text: &str) -> (&str, &str) {
        pipe_parse::split(text)
    }

    /// Whether it asks for a table and not for lines.
    pub fn is_table(&self) -> bool {
        !self.stages.is_empty()
    }

    /// The stage that makes a table of the matches; `None` where their fields are the table.
    pub fn aggregation(&self) -> Option<&Stage> {
        self.stages.first().filter(|stage| stage.is_aggregation())
    }

    /// The columns before any stage has shaped them.
    pub fn source_columns(&self) -> Vec<Column> {
        if let Some(stage) = self.aggregation() {
            return stage.columns();
        }
        let mut names: Vec<&str> = Vec::new();
        if !self.stages.iter().any(|stage| matches!(stage, Stage::Fields(_))) {
            names.extend(ROW_COLUMNS);
        }
        for stage in &self.stages {
            match stage {
                Stage::Fields(columns) => names.extend(columns.iter().map(String::as_str)),
                Stage::Sort(keys) => names.extend(keys.iter().map(|key| key.column.as_str())),
                _ => {}
            }
        }
        let mut columns: Vec<Column> = Vec::new();
        for column in names.into_iter().filter_map(row_column) {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        columns
    }

    /// The columns of the result.
    pub fn columns(&self) -> Vec<Column> {
        let mut columns = self.source_columns();
        for stage in &self.stages {
            if let Stage::Fields(names) = stage {
                columns = names.iter().filter_map(|name| columns.iter().find(|column| column.name == *name).cloned()).collect();
            }
        }
        columns
    }
}

/// The columns of lines where no others are asked for.
const ROW_COLUMNS: [&str; 4] = [TIMESTAMP, "site", "host.name", "message"];

/// A column of lines; `None` where there is no such field.
pub(super) fn row_column(name: &str) -> Option<Column> {
    if name == TIMESTAMP {
        return Some(Column { name: name.into(), kind: ColumnKind::Time });
    }
    FieldId::find(name).map(field_column)
}

fn field_column(field: FieldId) -> Column {
    Column { name: field.name().into(), kind: ColumnKind::Field(field) }
}

fn number_column(name: impl Into<String>) -> Column {
    Column { name: name.into(), kind: ColumnKind::Number }
}

impl Stage {
    /// Whether it makes a table of records.
    pub fn is_aggregation(&self) -> bool {
        !matches!(self, Self::Sort(_) | Self::Head(_) | Self::Fields(_))
    }

    /// The fields that it groups by.
    pub fn by(&self) -> &[FieldId] {
        match self {
            Self::Count { by } | Self::Distinct { by, .. } | Self::Stats { by, .. } | Self::Histogram { by, .. } => by,
            Self::Top { field, .. } | Self::Rare { field, .. } => std::slice::from_ref(field),
            Self::Patterns | Self::Sort(_) | Self::Head(_) | Self::Fields(_) => &[],
        }
    }

    /// The table that it makes.
    pub fn columns(&self) -> Vec<Column> {
        let by = self.by().iter().map(|field| field_column(*field));
        match self {
            Self::Count { .. } | Self::Rare { .. } => by.chain([number_column("count")]).collect(),
            Self::Top { rank, .. } => by.chain([number_column(rank.to_string())]).collect(),
            Self::Distinct { .. } => by.chain([number_column("distinct")]).collect(),
            Self::Stats { measures, .. } => by.chain(measures.iter().map(Measure::column)).collect(),
            Self::Histogram { .. } => {
                let time = Column { name: TIMESTAMP.into(), kind: ColumnKind::Time };
                [time].into_iter().chain(by).chain([number_column("count")]).collect()
            }
            Self::Patterns => {
                let plain = |name: &str, kind| Column { name: name.into(), kind };
                vec![
                    field_column(fields::PROCESS_NAME),
                    plain("pattern", ColumnKind::Text),
                    number_column("count"),
                    plain("first", ColumnKind::Time),
                    plain("last", ColumnKind::Time),
                    plain("example", ColumnKind::Text),
                ]
            }
            Self::Sort(_) | Self::Head(_) | Self::Fields(_) => vec![],
        }
    }
}

impl Measure {
    fn column(&self) -> Column {
        let kind = if self.operand == Some(Operand::Time) { ColumnKind::Time } else { ColumnKind::Number };
        Column { name: self.to_string(), kind }
    }
}

impl Function {
    /// The functions by name, besides `p1` to `p99`.
    pub(super) const NAMED: [(&'static str, Self); 7] = [
        ("count", Self::Count),
        ("sum", Self::Sum),
        ("min", Self::Min),
        ("max", Self::Max),
        ("avg", Self::Avg),
        ("median", Self::Median),
        ("dc", Self::Distinct),
    ];

    pub(super) fn parse(name: &str) -> Option<Self> {
        if let Some((_, function)) = Self::NAMED.iter().find(|(known, _)| *known == name) {
            return Some(*function);
        }
        let percent: u8 = name.strip_prefix('p').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
        (1..=99).contains(&percent).then_some(Self::Percentile(percent))
    }

    /// Whether it reckons with numbers.
    pub(super) fn is_of_numbers(self) -> bool {
        !matches!(self, Self::Count | Self::Distinct)
    }

    /// Whether it can be of the time.
    pub(super) fn is_of_times(self) -> bool {
        matches!(self, Self::Min | Self::Max)
    }
}

/// Whether a field's values may be numbers: a vendor's own may always be.
pub(super) fn may_be_numbers(field: FieldId) -> bool {
    field.known().is_none_or(|row| row.kind == Kind::Int)
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.query, f)?;
        self.stages.iter().try_for_each(|stage| write!(f, " | {stage}"))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { by } => write!(f, "count{}", By(by)),
            Self::Top { rows, field, rank: Rank::Count } => write!(f, "top {rows} {}", field.name()),
            Self::Top { rows, field, rank } => write!(f, "top {rows} {} by {rank}", field.name()),
            Self::Rare { rows: RARE_ROWS, field } => write!(f, "rare {}", field.name()),
            Self::Rare { rows, field } => write!(f, "rare {rows} {}", field.name()),
            Self::Distinct { fields, by } => write!(f, "distinct {}{}", List(fields), By(by)),
            Self::Stats { measures, by } => {
                f.write_str("stats ")?;
                commas(f, measures)?;
                write!(f, "{}", By(by))
            }
            Self::Histogram { width, by } => write!(f, "histogram {width}{}", By(by)),
            Self::Patterns => f.write_str("patterns"),
            Self::Sort(keys) => {
                f.write_str("sort ")?;
                commas(f, keys)
            }
            Self::Head(rows) => write!(f, "head {rows}"),
            Self::Fields(names) => {
                f.write_str("fields ")?;
                commas(f, names)
            }
        }
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("count"),
            Self::Sum(operand) => write!(f, "sum({operand})"),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.function, self.operand) {
            (Function::Percentile(percent), _) => write!(f, "p{percent}")?,
            (function, _) => f.write_str(Function::NAMED.iter().find(|(_, known)| *known == function).map_or("", |(name, _)| name))?,
        }
        self.operand.map_or(Ok(()), |operand| write!(f, "({operand})"))
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => f.write_str(field.name()),
            Self::Time => f.write_str(TIMESTAMP),
        }
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.descending { "-" } else { "" }, self.column)
    }
}

struct By<'a>(&'a [FieldId]);

impl fmt::Display for By<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " by {}", List(self.0)) }
    }
}

struct List<'a>(&'a [FieldId]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|field| field.name()).collect();
        commas(f, &names)
    }
}

fn commas<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    items.iter().enumerate().try_for_each(|(n, item)| write!(f, "{}{item}", if n > 0 { ", " } else { "" }))
}

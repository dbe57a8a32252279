//! The pipe of the query language over flows. What it means is `events::Accumulator::add` on `FlowView`; the usual ones
//! (counts, and sums of bytes and packets, by up to three fields) are reckoned on numbers alone, with the same outcome.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use super::group::{Groups, Keys, PARTS_MAX};
use super::walk::Walk;
use super::{FlowQuestion, Sums};
use crate::events::{Accumulator, Table, Value, shaped};
use crate::fields::{self, FieldId};
use crate::flows::column::{Column, ColumnSet};
use crate::flows::{FlowStore, FlowStoreError};
use crate::query::{Column as TableColumn, ColumnKind, Function, Measure, Operand, Pipeline, Rank, Stage, TIMESTAMP, Width};
use crate::record::{FlowView, Record};
use crate::time::Timestamp;

/// Groups of one table, 60 MB a thread. A scan of all ports and addresses makes more; the rest is then one sum.
const GROUPS_MAX: usize = 400_000;
/// Rows of a table of flows: more than anybody reads.
const ROWS_MAX: usize = 10_000;
/// The columns of flows where no others are asked for.
const ROW_FIELDS: [FieldId; 9] = [
    fields::SITE,
    fields::SOURCE_IP,
    fields::SOURCE_PORT,
    fields::DESTINATION_IP,
    fields::DESTINATION_PORT,
    fields::NETWORK_TRANSPORT,
    fields::FLOW_TCP_FLAGS,
    fields::NETWORK_BYTES,
    fields::NETWORK_PACKETS,
];

/// A table of flows.
#[derive(Clone, Debug)]
pub struct FlowTable {
    pub table: Table,
    /// What the table is of.
    pub total: Sums,
    /// For `top`, what else each row of the table comes to.
    pub sums: Vec<Sums>,
    pub records_read: u64,
    pub took: Duration,
    /// A bound was hit, or the time: there may be more than stands here.
    pub partial: bool,
    /// The time was over, or nobody waited.
    pub ended_early: bool,
}

impl FlowStore {
    /// What a pipe makes of the flows that `question` asks for, its own query aside: the question's counts.
    ///
    /// # Errors
    /// Where files cannot be opened for reasons of the system; damaged ones are set aside.
    pub fn ask(&self, question: &FlowQuestion<'_>, pipeline: &Pipeline) -> Result<FlowTable, FlowStoreError> {
        match (pipeline.aggregation(), Fast::of(pipeline)) {
            (None, _) => self.rows(question, pipeline),
            (Some(stage), Some(fast)) => self.fast(question, pipeline, stage, &fast),
            (Some(_), None) => self.slow(question, pipeline),
        }
    }

    /// Any pipe, by its definition.
    fn slow(&self, question: &FlowQuestion<'_>, pipeline: &Pipeline) -> Result<FlowTable, FlowStoreError> {
        let Some(empty) = Accumulator::new(pipeline) else { return self.rows(question, pipeline) };
        let mut walk = Walk::new(self, question);
        let make = || (empty.clone(), Sums::default());
        let found = walk.over((question.from, question.to), ColumnSet::ALL, make, |(groups, total), flow| {
            total.add(flow);
            groups.add(&FlowView { flow, sites: question.sites });
            ControlFlow::Continue(())
        })?;
        let (mut groups, mut total) = make();
        for (more, sums) in found {
            groups.merge(more);
            total.merge(&sums);
        }
        let (table, done) = (groups.finish(Some((question.from, question.to))), walk.done());
        let partial = table.partial || done.ended_early;
        let ended_early = done.ended_early;
        Ok(FlowTable { table, total, sums: vec![], records_read: done.read, took: done.took, partial, ended_early })
    }

    fn fast(&self, question: &FlowQuestion<'_>, pipeline: &Pipeline, stage: &Stage, fast: &Fast) -> Result<FlowTable, FlowStoreError> {
        let mut walk = Walk::new(self, question);
        let make = || (Groups::new(GROUPS_MAX), Sums::default(), Bar::new(fast.width));
        let found = walk.over((question.from, question.to), fast.keys.columns().and(SUM_COLUMNS), make, |(groups, total, bar), flow| {
            total.add(flow);
            let key = fast.keys.key(flow, bar.of(flow.start), question.sites);
            if !fast.present_only || Keys::is_whole(&key) {
                groups.add(key, flow);
            }
            ControlFlow::Continue(())
        })?;
        let (mut groups, mut total, _) = make();
        for (more, sums, _) in found {
            groups.merge(more);
            total.merge(&sums);
        }
        let done = walk.done();
        let other = groups.other.flows;
        // Different keys may be shown as the same: two sites of one name, an unknown one.
        let mut merged: BTreeMap<Shown, Sums> = BTreeMap::new();
        for (key, sums) in groups.into_iter() {
            let values = fast.keys.values(&key, question.sites);
            let time = fast.width.map(|_| Value::Time(Timestamp(key.bar)));
            merged.entry(Shown(time.into_iter().chain(values).collect())).or_default().merge(&sums);
        }
        if merged.is_empty() && stage.by().is_empty() && fast.width.is_none() {
            merged.insert(Shown(vec![]), Sums::default());
        }
        let mut table = Table { columns: stage.columns(), rows: vec![], partial: other > 0, other };
        for (Shown(values), sums) in &merged {
            let figures = fast.figures.iter().map(|figure| figure.value(sums));
            table.rows.push(values.iter().cloned().chain(figures).collect());
        }
        let table = shaped(pipeline, table, Some((question.from, question.to)));
        // Only a plain `top` still has rows of which it is known what they are of.
        let plain = matches!(pipeline.stages.as_slice(), [Stage::Top { .. }]);
        let of = |row: &Vec<Value>| merged.get(&Shown(row.iter().take(1).cloned().collect())).copied().unwrap_or_default();
        let sums = if plain { table.rows.iter().map(of).collect() } else { vec![] };
        let partial = table.partial || done.ended_early;
        Ok(FlowTable { table, total, sums, records_read: done.read, took: done.took, partial, ended_early: done.ended_early })
    }

    /// Flows as rows, the newest first.
    fn rows(&self, question: &FlowQuestion<'_>, pipeline: &Pipeline) -> Result<FlowTable, FlowStoreError> {
        let sorted = pipeline.stages.iter().any(|stage| matches!(stage, Stage::Sort(_)));
        let head = pipeline.stages.iter().find_map(|stage| if let Stage::Head(rows) = stage { Some(*rows) } else { None });
        let limit = if sorted { ROWS_MAX } else { head.unwrap_or(ROWS_MAX).min(ROWS_MAX) };
        let page = self.page(question, None, limit)?;
        let columns = row_columns(pipeline);
        let mut total = Sums::default();
        let mut table = Table { columns, ..Table::default() };
        for flow in page.flows.iter().take(limit) {
            total.add(flow);
            let view = FlowView { flow, sites: question.sites };
            table.rows.push(table.columns.iter().map(|column| cell(&view, column)).collect());
        }
        let more = page.next.is_some() || page.flows.len() > limit;
        table.partial = more && (sorted || head.is_none_or(|head| head > limit));
        let table = shaped(pipeline, table, None);
        let partial = table.partial || page.partial;
        Ok(FlowTable { total, sums: vec![], records_read: page.records_read, took: page.took, partial, ended_early: page.partial, table })
    }
}

/// A group's values in an order: keys that are shown as the same are one.
struct Shown(Vec<Value>);

impl Ord for Shown {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let mut pairs = self.0.iter().zip(&other.0).map(|(a, b)| a.order(b));
        pairs.find(|order| order.is_ne()).unwrap_or_else(|| self.0.len().cmp(&other.0.len()))
    }
}

impl PartialOrd for Shown {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Shown {}

/// What `Sums` are made of.
pub(super) const SUM_COLUMNS: ColumnSet = ColumnSet::NONE
    .with(Column::Bytes)
    .with(Column::Packets)
    .with(Column::Sampling)
    .with(Column::Start)
    .with(Column::Duration)
    .with(Column::ReceivedAt);

/// A pipe that numbers alone can answer.
struct Fast {
    keys: Keys,
    width: Option<Width>,
    present_only: bool,
    figures: Vec<Figure>,
}

#[derive(Clone, Copy)]
enum Figure {
    Flows,
    Bytes,
    Packets,
    BytesScaled,
    PacketsScaled,
}

impl Fast {
    fn of(pipeline: &Pipeline) -> Option<Self> {
        let stage = pipeline.aggregation()?;
        let (width, present_only, figures) = match stage {
            Stage::Count { .. } => (None, false, vec![Figure::Flows]),
            Stage::Rare { .. } => (None, true, vec![Figure::Flows]),
            Stage::Top { rank: Rank::Count, .. } => (None, true, vec![Figure::Flows]),
            Stage::Top { rank: Rank::Sum(operand), .. } => (None, true, vec![Figure::sum(*operand)?]),
            Stage::Histogram { width, .. } => (Some(*width), false, vec![Figure::Flows]),
            Stage::Stats { measures, .. } => (None, false, measures.iter().map(Figure::of).collect::<Option<Vec<_>>>()?),
            _ => return None,
        };
        let by = stage.by();
        let keys = Keys::of(by).filter(|_| by.len() <= PARTS_MAX)?;
        Some(Self { keys, width, present_only, figures })
    }
}

impl Figure {
    fn of(measure: &Measure) -> Option<Self> {
        match (measure.function, measure.operand) {
            (Function::Count, None) => Some(Self::Flows),
            (Function::Sum, Some(operand)) => Self::sum(operand),
            _ => None,
        }
    }

    fn sum(operand: Operand) -> Option<Self> {
        match operand {
            Operand::Field(fields::NETWORK_BYTES) => Some(Self::Bytes),
            Operand::Field(fields::NETWORK_PACKETS) => Some(Self::Packets),
            Operand::Field(fields::FLOW_BYTES_SCALED) => Some(Self::BytesScaled),
            Operand::Field(fields::FLOW_PACKETS_SCALED) => Some(Self::PacketsScaled),
            _ => None,
        }
    }

    fn value(self, sums: &Sums) -> Value {
        let whole = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        match self {
            Self::Flows => whole(sums.flows),
            // The sum of nothing is none.
            _ if sums.flows == 0 => Value::Missing,
            Self::Bytes => whole(sums.bytes),
            Self::Packets => whole(sums.packets),
            Self::BytesScaled => whole(sums.bytes_scaled),
            Self::PacketsScaled => whole(sums.packets_scaled),
        }
    }
}

/// The last bar asked for: records come in order of time, or nearly.
struct Bar {
    width: Option<Width>,
    start: i64,
    next: i64,
}

impl Bar {
    fn new(width: Option<Width>) -> Self {
        Self { width, start: 0, next: 0 }
    }

    fn of(&mut self, at: Timestamp) -> i64 {
        let Some(width) = self.width else { return 0 };
        if !(self.start..self.next).contains(&at.0) {
            let (start, next) = width.bar(at);
            (self.start, self.next) = (start.0, next.0);
        }
        self.start
    }
}

fn row_columns(pipeline: &Pipeline) -> Vec<TableColumn> {
    let time = TableColumn { name: TIMESTAMP.into(), kind: ColumnKind::Time };
    let field = |field: FieldId| TableColumn { name: field.name().into(), kind: ColumnKind::Field(field) };
    if pipeline.stages.iter().any(|stage| matches!(stage, Stage::Fields(_))) {
        return pipeline.source_columns();
    }
    let mut columns: Vec<TableColumn> = std::iter::once(time).chain(ROW_FIELDS.into_iter().map(field)).collect();
    let sorted = pipeline.stages.iter().filter_map(|stage| if let Stage::Sort(keys) = stage { Some(keys) } else { None });
    for key in sorted.flatten() {
        if let Some(id) = FieldId::find(&key.column).filter(|_| columns.iter().all(|column| column.name != key.column)) {
            columns.push(field(id));
        }
    }
    columns
}

fn cell(view: &FlowView<'_>, column: &TableColumn) -> Value {
    let ColumnKind::Field(field) = column.kind else { return Value::Time(view.timestamp()) };
    let mut values: Vec<Value> = Vec::new();
    view.any_value(field, &mut |value| {
        values.push(match value {
            crate::event::ValueRef::Int(number) => Value::Int(number),
            crate::event::ValueRef::Ip(address) => Value::Ip(address),
            other => Value::Text(other.text().into()),
        });
        false
    });
    match values.len() {
        0 => Value::Missing,
        1 => values.pop().unwrap_or(Value::Missing),
        // Flags stand beside each other.
        _ => Value::Text(values.iter().map(|value| value.text().into_owned()).collect::<Vec<_>>().join(" ").into()),
    }
}

/// A flow's line as the general way sees it; for tests.
#[cfg(test)]
pub(super) fn naive(flows: &[crate::flow::FlowRecord], pipeline: &Pipeline, question: &FlowQuestion<'_>) -> Option<Table> {
    let mut groups = Accumulator::new(pipeline)?;
    for flow in flows {
        groups.add(&FlowView { flow, sites: question.sites });
    }
    Some(groups.finish(Some((question.from, question.to))))
}

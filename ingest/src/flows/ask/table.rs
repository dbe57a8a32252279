//! The pipe of the query language over flows. What it means is `events::Accumulator::add` on `FlowView`; the usual ones
//! (counts, and sums of bytes and packets, by up to three fields) are reckoned on numbers alone, with the same outcome.

use std::ops::ControlFlow;
use std::time::Duration;

use super::keys::Keys;
use super::rank::{Contest, EVERY_BYTES_MAX, Place, RANK_BYTES_MAX, ROWS_MAX, every, rank, rank_with_sums};
use super::walk::Walk;
use super::{Amount, FlowQuestion, Sums};
use crate::events::{Accumulator, Table, Value, shaped};
use crate::fields::{self, FieldId};
use crate::flows::column::ColumnSet;
use crate::flows::{FlowStore, FlowStoreError};
use crate::query::{Column as TableColumn, ColumnKind, Function, Measure, Operand, Pipeline, Rank, SortKey, Stage, TIMESTAMP};
use crate::record::{FlowView, Record};

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
        self.ask_within(question, pipeline, RANK_BYTES_MAX)
    }

    /// With so much memory for a ranking's groups.
    pub(in crate::flows) fn ask_within(
        &self,
        question: &FlowQuestion<'_>,
        pipeline: &Pipeline,
        bytes_max: usize,
    ) -> Result<FlowTable, FlowStoreError> {
        let Some(stage) = pipeline.aggregation() else { return self.rows(question, pipeline) };
        let Some(fast) = Fast::of(pipeline, stage, question) else { return self.slow(question, pipeline) };
        match &fast.cut {
            Some(cut) => self.ranked(question, pipeline, (stage, &fast, cut), bytes_max),
            None => self.grouped(question, pipeline, stage, &fast),
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

    /// The first groups by one figure, however many there are.
    fn ranked(
        &self,
        question: &FlowQuestion<'_>,
        pipeline: &Pipeline,
        (stage, fast, cut): (&Stage, &Fast<'_>, &Cut),
        bytes_max: usize,
    ) -> Result<FlowTable, FlowStoreError> {
        let mut walk = Walk::new(self, question);
        let span = (question.from, question.to);
        let (amount_max, whole_only) = (i64::MAX.unsigned_abs(), fast.whole_only);
        let contest = Contest { keys: &fast.keys, amount: cut.amount, rows: cut.rows, amount_max, least: cut.least, whole_only };
        // Only a plain `top` still has rows of which it is known what they are of.
        let (total, ranked, sums) = if matches!(pipeline.stages.as_slice(), [Stage::Top { .. }]) {
            rank_with_sums(&mut walk, span, &contest, bytes_max)?
        } else {
            let (total, ranked) = rank(&mut walk, span, &[contest], bytes_max)?;
            (total, ranked.into_iter().next().unwrap_or_default(), vec![])
        };
        let mut table = Table { columns: stage.columns(), partial: ranked.incomplete, ..Table::default() };
        let row = |place: Place| place.values.into_iter().chain([whole(place.amount)]).collect();
        table.rows = ranked.places.into_iter().map(row).collect();
        let table = shaped(pipeline, table, Some(span));
        let done = walk.done();
        let partial = table.partial || done.ended_early;
        Ok(FlowTable { table, total, sums, records_read: done.read, took: done.took, partial, ended_early: done.ended_early })
    }

    /// All groups.
    fn grouped(
        &self,
        question: &FlowQuestion<'_>,
        pipeline: &Pipeline,
        stage: &Stage,
        fast: &Fast<'_>,
    ) -> Result<FlowTable, FlowStoreError> {
        let mut walk = Walk::new(self, question);
        let span = (question.from, question.to);
        let mut found = every(&mut walk, span, &fast.keys, fast.whole_only, EVERY_BYTES_MAX)?;
        if found.groups.is_empty() && stage.by().is_empty() && !matches!(stage, Stage::Histogram { .. }) {
            found.groups.push((vec![], Sums::default()));
        }
        let row = |(values, sums): (Vec<Value>, Sums)| {
            let figures = fast.figures.iter().map(|figure| figure.value(&sums));
            values.into_iter().chain(figures).collect()
        };
        let rows = found.groups.into_iter().map(row).collect();
        let table = Table { columns: stage.columns(), rows, partial: found.other > 0, other: found.other };
        let (table, done) = (shaped(pipeline, table, Some(span)), walk.done());
        let partial = table.partial || done.ended_early;
        Ok(FlowTable {
            table,
            total: found.total,
            sums: vec![],
            records_read: done.read,
            took: done.took,
            partial,
            ended_early: done.ended_early,
        })
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

/// A pipe that numbers alone can answer.
struct Fast<'a> {
    keys: Keys<'a>,
    whole_only: bool,
    figures: Vec<Figure>,
    /// Where no more than the first groups by the only figure are wanted.
    cut: Option<Cut>,
}

struct Cut {
    amount: Amount,
    rows: usize,
    /// The least first.
    least: bool,
}

#[derive(Clone, Copy)]
enum Figure {
    Flows,
    Sum(Amount),
}

impl<'a> Fast<'a> {
    fn of(pipeline: &Pipeline, stage: &Stage, question: &FlowQuestion<'a>) -> Option<Self> {
        let (width, whole_only, figures) = match stage {
            Stage::Count { .. } => (None, false, vec![Figure::Flows]),
            Stage::Rare { .. } => (None, true, vec![Figure::Flows]),
            Stage::Top { rank: Rank::Count, .. } => (None, true, vec![Figure::Flows]),
            Stage::Top { rank: Rank::Sum(operand), .. } => (None, true, vec![Figure::sum(*operand)?]),
            Stage::Histogram { width, .. } => (Some(*width), false, vec![Figure::Flows]),
            Stage::Stats { measures, .. } => (None, false, measures.iter().map(Figure::of).collect::<Option<Vec<_>>>()?),
            _ => return None,
        };
        let keys = Keys::of(stage.by(), width, question.sites)?;
        let cut = Cut::of(pipeline, &figures);
        Some(Self { keys, whole_only, figures, cut })
    }
}

impl Cut {
    fn of(pipeline: &Pipeline, figures: &[Figure]) -> Option<Self> {
        let [figure] = figures else { return None };
        let (rows, least) = match pipeline.stages.as_slice() {
            [Stage::Top { rows, .. }, ..] => (*rows, false),
            [Stage::Rare { rows, .. }, ..] => (*rows, true),
            [Stage::Count { by }, Stage::Head(rows), ..] if !by.is_empty() => (*rows, false),
            [stage @ (Stage::Count { by } | Stage::Stats { by, .. }), Stage::Sort(sort), Stage::Head(rows), ..] if !by.is_empty() => {
                let [SortKey { column, descending: true }] = sort.as_slice() else { return None };
                stage.columns().last().filter(|last| last.name == *column)?;
                (*rows, false)
            }
            _ => return None,
        };
        let amount = match figure {
            Figure::Flows => Amount::Flows,
            Figure::Sum(amount) => *amount,
        };
        (rows <= ROWS_MAX).then_some(Self { amount, rows, least })
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
            Operand::Field(fields::NETWORK_BYTES) => Some(Self::Sum(Amount::Bytes)),
            Operand::Field(fields::NETWORK_PACKETS) => Some(Self::Sum(Amount::Packets)),
            Operand::Field(fields::FLOW_BYTES_SCALED) => Some(Self::Sum(Amount::BytesScaled)),
            Operand::Field(fields::FLOW_PACKETS_SCALED) => Some(Self::Sum(Amount::PacketsScaled)),
            _ => None,
        }
    }

    fn value(self, sums: &Sums) -> Value {
        match self {
            Self::Flows => whole(sums.flows),
            // The sum of nothing is none.
            Self::Sum(_) if sums.flows == 0 => Value::Missing,
            Self::Sum(amount) => whole(sums.of(amount)),
        }
    }
}

fn whole(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
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
pub(in crate::flows) fn naive(flows: &[crate::flow::FlowRecord], pipeline: &Pipeline, question: &FlowQuestion<'_>) -> Option<Table> {
    let mut groups = Accumulator::new(pipeline)?;
    for flow in flows {
        groups.add(&FlowView { flow, sites: question.sites });
    }
    Some(groups.finish(Some((question.from, question.to))))
}

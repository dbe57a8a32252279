//! A pipe without an aggregation: the matches themselves are the rows, newest first, page by page as `search` gives them.

use super::super::{Cursor, EventStore, LIMIT_MAX, SearchError, SearchRequest};
use super::plan::Key;
use super::table::{Table, Value};
use super::{AggregateRequest, AggregateResult};
use crate::query::{Column, ColumnKind, Stage};
use crate::record::{EventRecord, Record};
use crate::time::Stopwatch;

/// Lines as rows: the newest so many. More are an export.
const ROWS_MAX: usize = 10_000;
/// Bytes of their values.
const BYTES_MAX: usize = 32 << 20;

pub(super) fn rows(store: &EventStore, request: &AggregateRequest) -> Result<AggregateResult, SearchError> {
    let watch = Stopwatch::start();
    let stages = &request.pipeline.stages;
    // Where nothing is sorted before, no more lines are read than are shown.
    let shown = stages.iter().take_while(|stage| !matches!(stage, Stage::Sort(_)));
    let wanted = shown.filter_map(|stage| if let Stage::Head(rows) = stage { Some(*rows) } else { None }).min();
    let (limit, mut bytes) = (wanted.unwrap_or(ROWS_MAX).min(ROWS_MAX), 0);
    let mut table = Table { columns: request.pipeline.source_columns(), ..Table::default() };
    let (mut damaged, mut before): (Vec<String>, Option<Cursor>) = (Vec::new(), None);
    let mut cut = false;
    let more = loop {
        let page = SearchRequest {
            limit: (limit - table.rows.len()).min(LIMIT_MAX),
            before,
            time_max: request.time_max.saturating_sub(watch.elapsed()),
            ..request.search()
        };
        let found = store.search(&page)?;
        damaged.extend(found.damaged);
        for event in &found.hits {
            let row = row(&EventRecord { event, sites: &request.sites }, &table.columns);
            bytes += row.iter().map(Value::bytes).sum::<usize>();
            table.rows.push(row);
        }
        let Some(next) = found.next else {
            cut = found.ended_early;
            break false;
        };
        let is_full = table.rows.len() >= limit;
        if is_full || bytes > BYTES_MAX || watch.elapsed() >= request.time_max {
            break !is_full || wanted.is_none_or(|wanted| wanted > limit);
        }
        before = Some(next);
    };
    damaged.sort_unstable();
    damaged.dedup();
    let total = table.rows.len() as u64;
    table.partial = more;
    table.shape(stages);
    let (ended_early, partial) = (more || cut, more || cut || !damaged.is_empty());
    Ok(AggregateResult { table, total, took: watch.elapsed(), partial, ended_early, damaged })
}

fn row(record: &dyn Record, columns: &[Column]) -> Vec<Value> {
    let cell = |column: &Column| match column.kind {
        ColumnKind::Field(field) => {
            let mut first = Value::Missing;
            record.any_value(field, &mut |value| {
                first = Key::of(field, value).into_value();
                true
            });
            first
        }
        _ => Value::Time(record.timestamp()),
    };
    columns.iter().map(cell).collect()
}

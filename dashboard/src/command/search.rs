//! `search`: asking the event store from a terminal.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ingest::event::{Event, ValueRef};
use ingest::events::{self, AggregateRequest, SearchRequest};
use ingest::fields;
use ingest::query::{Column, ColumnKind, Pipeline, Query};
use ingest::record::Record;
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde_json::{Map, Value};

use super::table::{Cell, Paint, Tone, print_rows};
use super::{SOME_FAILED, eprint_line, plural, print_event};
use crate::cli::{SearchArgs, Span};
use crate::node::View;
use crate::show;

pub(super) fn search(args: &SearchArgs, view: &View, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    let pipeline = Pipeline::parse(&args.query, now).map_err(|error| anyhow::anyhow!("Anfrage: {error}"))?;
    if pipeline.is_table() { table(args, pipeline, view, now, out) } else { hits(args, pipeline.query, view, now, out) }
}

/// Matching lines, newest first.
fn hits(args: &SearchArgs, query: Query, view: &View, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    let (from, to) = span(&args.span, now)?;
    let mut request = SearchRequest::new(query, Scope::All, view.sites.clone());
    (request.from, request.to, request.buckets, request.time_max) = (from, to, 1, TIME_MAX);
    (request.summary, request.tops) = (!args.json, false);
    // Who reads this directory reads its keys too.
    request.real_values = true;
    if let Some(file) = &args.export {
        return super::export::export(file, args.oldest_first, &request, view);
    }
    let (mut left, mut total) = (args.limit.unwrap_or(HITS), None);
    let paint = Paint::of_stdout();
    let missing;
    loop {
        request.limit = left.min(1_000);
        let result = view.events.search(&request).map_err(|error| anyhow::anyhow!("{error}"))?;
        total.get_or_insert((result.total, result.took, result.partial));
        if args.json {
            for event in &result.hits {
                print_event(event, view.sites.name(event.site), out)?;
            }
        } else {
            let rows: Vec<_> = result.hits.iter().map(|event| line(event, view.sites.name(event.site))).collect();
            print_rows(&rows, paint, out)?;
        }
        left = left.saturating_sub(result.hits.len());
        match result.next {
            // A cursor that comes again makes no way: one moment's lines are more than the time that there is.
            Some(next) if Some(next) != request.before && left > 0 && (result.partial || !result.hits.is_empty()) => {
                request.before = Some(next);
                request.summary = false;
            }
            _ => {
                // With a summary, `partial` may speak of its counts alone.
                missing = result.partial && !request.summary;
                break;
            }
        }
    }
    out.flush()?;
    if let (false, Some((total, took, partial))) = (args.json, total) {
        let more = if partial { "mindestens " } else { "" };
        eprint_line(&format!("{more}{} Treffer in {} ms", show::num(total), took.as_millis()));
    }
    if missing {
        let minutes = TIME_MAX.as_secs() / 60;
        eprint_line(&format!("Nach {minutes} Minuten abgebrochen: es fehlen Treffer. Den Zeitraum mit --from und --to einengen."));
        return Ok(ExitCode::from(SOME_FAILED));
    }
    Ok(ExitCode::SUCCESS)
}

/// A hit: when, where, which machine, and the line.
fn line(event: &Event, site: &str) -> Vec<Cell> {
    let host = event.get(fields::HOST_NAME).map(|host| host.text().into_owned()).unwrap_or_default();
    let failed = event.get(fields::EVENT_OUTCOME).is_some_and(|outcome| outcome == ValueRef::Str("failure"));
    vec![
        Cell::new(&event.timestamp.rfc3339(), Tone::Quiet),
        Cell::new(site, Tone::Place),
        Cell::new(&host, Tone::Plain),
        Cell::new(
            if event.message().is_empty() { event.line() } else { event.message() },
            if failed { Tone::Alarming } else { Tone::Plain },
        ),
    ]
}

/// What a pipe makes of the matches.
fn table(args: &SearchArgs, pipeline: Pipeline, view: &View, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    let mut request = AggregateRequest::new(pipeline, Scope::All, view.sites.clone());
    (request.from, request.to) = span(&args.span, now)?;
    (request.time_max, request.real_values) = (TIME_MAX, true);
    let result = view.events.aggregate(&request).map_err(|error| anyhow::anyhow!("{error}"))?;
    let (columns, rows) = (&result.table.columns, &result.table.rows);
    let rows = rows.get(..args.limit.unwrap_or(usize::MAX)).unwrap_or(rows.as_slice());
    if args.json {
        for row in rows {
            let object: Map<String, Value> = columns.iter().zip(row).map(|(column, cell)| (column.name.clone(), cell.json())).collect();
            writeln!(out, "{}", Value::Object(object))?;
        }
    } else {
        let is_number = |column: &Column| column.kind == ColumnKind::Number;
        let aligned = |cell: Cell, column: &Column| if is_number(column) { cell.right() } else { cell };
        let head = columns.iter().map(|column| aligned(Cell::new(&column.name, Tone::Head), column)).collect();
        let row = |row: &Vec<events::Value>| columns.iter().zip(row).map(|(column, cell)| aligned(shown(cell, column), column)).collect();
        let lines: Vec<Vec<Cell>> = std::iter::once(head).chain(rows.iter().map(row)).collect();
        print_rows(&lines, Paint::of_stdout(), out)?;
    }
    out.flush()?;
    let left = result.table.rows.len() - rows.len();
    if !args.json || left > 0 {
        let cut = if left > 0 { format!(", {} weitere mit --limit", show::num(left as u64)) } else { String::new() };
        let of = plural(usize::try_from(result.total).unwrap_or(usize::MAX), "Ereignis", "Ereignissen");
        eprint_line(&format!("{} aus {of} in {} ms{cut}", plural(rows.len(), "Zeile", "Zeilen"), result.took.as_millis()));
    }
    if result.table.other > 0 {
        eprint_line(&format!("Weitere {} Ereignisse gehören zu Gruppen, für die kein Platz war.", show::num(result.table.other)));
    }
    if result.partial {
        eprint_line("Die Tabelle ist nicht vollständig. Die Anfrage oder den Zeitraum mit --from und --to einengen.");
        return Ok(ExitCode::from(SOME_FAILED));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn shown(cell: &events::Value, column: &Column) -> Cell {
    match (cell, column.kind) {
        (events::Value::Missing, _) => Cell::new("–", Tone::Quiet),
        (events::Value::Int(number), ColumnKind::Number) => Cell::new(&show::num(*number), Tone::Plain),
        (events::Value::Float(number), _) => Cell::new(&show::decimal(*number, 2), Tone::Plain),
        (events::Value::Time(_), _) => Cell::new(&cell.text(), Tone::Quiet),
        (cell, ColumnKind::Field(fields::SITE)) => Cell::new(&cell.text(), Tone::Place),
        (cell, _) => Cell::new(&cell.text(), Tone::Plain),
    }
}

/// Lines shown where nobody says how many.
const HITS: usize = 100;

/// Who searches from a terminal can end it himself, and an export must be whole or say that it is not.
pub(super) const TIME_MAX: Duration = Duration::from_secs(10 * 60);

pub(super) fn query(text: &str, now: Timestamp) -> Result<Query> {
    Query::parse_at(text, now).map_err(|error| anyhow::anyhow!("Anfrage: {error}"))
}

pub(super) fn span(span: &Span, now: Timestamp) -> Result<(Option<Timestamp>, Option<Timestamp>)> {
    let read = |text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => moment(text, now)
            .map(Some)
            .with_context(|| format!("„{text}“ ist keine Zeit. Zum Beispiel: 2026-11-21, 2026-11-21T14:00:00Z, 15m, 2h, 7d")),
    };
    Ok((read(&span.from)?, read(&span.to)?))
}

/// A moment as people write it: RFC 3339, a day (in Germany), or how long ago.
fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    use chrono::TimeZone as _;
    if let Some(moment) = Timestamp::parse_rfc3339(text) {
        return Some(moment);
    }
    if let Ok(day) = text.parse::<chrono::NaiveDate>() {
        let midnight = chrono_tz::Europe::Berlin.from_local_datetime(&day.and_hms_opt(0, 0, 0)?).earliest()?;
        return Some(Timestamp(midnight.timestamp_millis()));
    }
    let unit = match text.chars().last()? {
        's' => Timestamp::SECOND,
        'm' => Timestamp::MINUTE,
        'h' => Timestamp::HOUR,
        'd' => Timestamp::DAY,
        _ => return None,
    };
    let number: u32 = text.get(..text.len() - 1)?.parse().ok()?;
    Some(now.plus(-i64::from(number).saturating_mul(unit)))
}

pub(super) fn record_json(record: &dyn Record) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("@timestamp".into(), record.timestamp().rfc3339().into());
    record.any_field(&mut |field, value| {
        object.insert(field.name().into(), value.json());
        false
    });
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_as_people_write_them() {
        let now = Timestamp::parse_rfc3339("2026-11-21T12:00:00Z").unwrap();
        for (text, expected) in [
            ("2026-11-21T14:00:00+01:00", Some("2026-11-21T13:00:00.000Z")),
            ("2026-11-21", Some("2026-11-20T23:00:00.000Z")),
            ("15m", Some("2026-11-21T11:45:00.000Z")),
            ("7d", Some("2026-11-14T12:00:00.000Z")),
            ("", None),
            ("m", None),
            ("7x", None),
            ("-7d", None),
            ("gestern", None),
            ("7ä", None),
        ] {
            assert_eq!(moment(text, now).map(Timestamp::rfc3339).as_deref(), expected, "{text}");
        }
    }
}

//! What a pipe makes of the matches, as the page shows it: a table whose values have their menus and whose numbers lead to
//! the rows behind them, a chart where time is the rows, and templates that open to their lines. Pure: a result in, a view
//! out.

use std::collections::BTreeMap;

use ingest::events::{AggregateResult, Table, Value as Datum};
use ingest::fields::FieldId;
use ingest::query::{Column, ColumnKind, Pipeline, SortKey, Stage, Width};
use ingest::time::Timestamp;

use super::super::range::Range;
use super::super::value::{Value, Values};
use crate::chart::{self, Brush, Caption, Ink, OverTime, Series, TimeBar, Unit};
use crate::show::{self, Markup};
use crate::terms::{condition, narrowed, term};
use crate::words::{self, t, tf};

/// Rows that a page holds; the file has them all.
const ROWS_SHOWN: usize = 500;
/// More bars are thinner than a pixel.
const BARS_SHOWN: usize = 400;
/// Series that can be told apart; the others are one together.
const SERIES_SHOWN: usize = 5;
/// Values that one search asks for together: what an address line carries and an index answers at once.
const PIVOT_VALUES_MAX: usize = 50;
const PIVOT_BYTES_MAX: usize = 3_000;
/// Stretches of a template that its search asks for; the first ones tell it from others.
const PHRASES_MAX: usize = 8;

pub(in crate::web) struct Head {
    pub(in crate::web) label: String,
    pub(in crate::web) right: bool,
    /// Sorted by this column, or the other way round; and how it is now, as `aria-sort` says it.
    pub(in crate::web) href: String,
    pub(in crate::web) direction: &'static str,
}

pub(in crate::web) struct Cell {
    /// With its menu; without one the text stands for itself.
    pub(in crate::web) value: Option<Value>,
    pub(in crate::web) text: String,
    /// The rows behind a number.
    pub(in crate::web) href: String,
    pub(in crate::web) class: &'static str,
}

pub(in crate::web) struct Row {
    pub(in crate::web) cells: Vec<Cell>,
    /// Width of its bar in percent of the longest; empty where the table has none.
    pub(in crate::web) bar: String,
}

/// Lines of one kind.
pub(in crate::web) struct Pattern {
    pub(in crate::web) count: String,
    pub(in crate::web) bar: String,
    /// Its lines.
    pub(in crate::web) href: String,
    pub(in crate::web) program: String,
    pub(in crate::web) text: String,
    pub(in crate::web) example: String,
    pub(in crate::web) span: String,
}

/// All of it.
#[derive(Default)]
pub(in crate::web) struct View {
    pub(in crate::web) heads: Vec<Head>,
    pub(in crate::web) rows: Vec<Row>,
    pub(in crate::web) patterns: Vec<Pattern>,
    /// Time against the number of events; then there are no rows beside it.
    pub(in crate::web) chart: Markup,
    /// Why not all rows stand here.
    pub(in crate::web) note: String,
    /// Everything else that the table's values did: (label, where it leads).
    pub(in crate::web) pivots: Vec<(String, String)>,
    /// Rows of the whole table.
    pub(in crate::web) count: usize,
}

impl View {
    pub(in crate::web) fn has_bars(&self) -> bool {
        self.rows.iter().any(|row| !row.bar.is_empty())
    }
}

/// What a view is made from besides its result.
pub(in crate::web::pages) struct Asked<'a> {
    /// The page that its links lead to, and what they carry besides.
    pub(in crate::web::pages) path: &'static str,
    pub(in crate::web::pages) more: &'a [(&'a str, &'a str)],
    /// What is counted, in the plural.
    pub(in crate::web::pages) noun: &'static str,
    pub(in crate::web::pages) pipeline: &'a Pipeline,
    pub(in crate::web::pages) text: &'a str,
    pub(in crate::web::pages) range: &'a Range,
    pub(in crate::web::pages) values: &'a Values<'a>,
}

/// „12 Zeilen aus 421 Ereignissen in 7 ms“
pub(super) fn summary(found: &AggregateResult) -> String {
    let (rows, n) = (found.table.rows.len(), found.total);
    let millis = show::num(i64::try_from(found.took.as_millis()).unwrap_or(i64::MAX));
    let rows = words::tn("{n} Zeile", "{n} Zeilen", rows as u64);
    let of = words::tn("aus {n} Ereignis", "aus {n} Ereignissen", n);
    tf("{rows} {of} in {millis} ms", &[("rows", &rows), ("of", &of), ("millis", &millis)])
}

pub(in crate::web::pages) fn view(asked: &Asked<'_>, found: &AggregateResult) -> View {
    let table = &found.table;
    let mut view = View { count: table.rows.len(), ..View::default() };
    let stage = asked.pipeline.aggregation();
    if stage == Some(&Stage::Patterns) && table.columns == Stage::Patterns.columns() {
        view.patterns = patterns(asked, table);
    } else if let Some(chart) = over_time(asked, table) {
        view.chart = chart;
        return view;
    } else {
        view.heads = table.columns.iter().map(|column| head(asked, column)).collect();
        let most = longest(table);
        view.rows = table.rows.iter().take(ROWS_SHOWN).map(|row| shown_row(asked, table, row, most)).collect();
        view.pivots = pivots(asked, table);
    }
    if let Some(Stage::Histogram { .. }) = stage
        && asked.pipeline.stages.len() == 1
        && view.count > 0
    {
        view.note = t("Für eine Zeichnung sind das zu viele Balken. Nehmen Sie breitere, etwa „histogram 1h“, oder weniger Zeit.").into();
    } else if view.count > ROWS_SHOWN {
        let pairs: [(&str, &dyn std::fmt::Display); 2] = [("n", &show::num(ROWS_SHOWN as u64)), ("all", &show::num(view.count as u64))];
        view.note = tf("Hier stehen die ersten {n} von {all} Zeilen. Alle hat die Datei, weniger gibt „| head 20“.", &pairs);
    }
    view
}

impl Asked<'_> {
    /// The query without what is made of its matches.
    fn query(&self) -> &str {
        Pipeline::split(self.text).0.trim()
    }

    fn lines(&self, query: &str) -> String {
        self.range.link(self.path, &[&[("q", query)], self.more].concat())
    }
}

fn head(asked: &Asked<'_>, column: &Column) -> Head {
    let right = column.kind == ColumnKind::Number;
    let sorted = asked.pipeline.stages.iter().rev().find_map(|stage| match stage {
        Stage::Sort(keys) => keys.first().map(|key| (key.column == column.name, key.descending)),
        _ => None,
    });
    let direction = match (sorted, asked.pipeline.aggregation()) {
        (Some((true, true)), _) => "descending",
        (Some((true, false)), _) => "ascending",
        (None, Some(Stage::Count { .. } | Stage::Top { .. } | Stage::Distinct { .. })) if right => "descending",
        (None, Some(Stage::Rare { .. })) if right => "ascending",
        _ => "",
    };
    // Numbers are looked at from the top, names from the beginning.
    let descending = if direction.is_empty() { right } else { direction == "ascending" };
    let sort = Stage::Sort(vec![SortKey { column: column.name.clone(), descending }]);
    let (mut stages, aggregations) = (vec![], usize::from(asked.pipeline.aggregation().is_some()));
    stages.extend(asked.pipeline.stages.iter().take(aggregations).cloned());
    stages.push(sort);
    stages.extend(asked.pipeline.stages.iter().skip(aggregations).filter(|stage| !matches!(stage, Stage::Sort(_))).cloned());
    let query = if asked.query().is_empty() { "*" } else { asked.query() };
    let text = stages.iter().fold(query.to_owned(), |text, stage| format!("{text} | {stage}"));
    let label = match (column.kind, column.name.as_str()) {
        (ColumnKind::Field(field), _) => words::field(field).to_owned(),
        (ColumnKind::Time, ingest::query::TIMESTAMP) => t("Zeit").to_owned(),
        (_, "count") => t("Anzahl").to_owned(),
        (_, "distinct") => t("Verschiedene").to_owned(),
        (_, name) => name.to_owned(),
    };
    Head { label, right, href: asked.lines(&text), direction }
}

/// Which column has bars, and what the longest stands for: the only number of several rows, where none is below zero.
fn longest(table: &Table) -> Option<(usize, f64)> {
    let numbers: Vec<usize> = (0..).zip(&table.columns).filter(|(_, column)| column.kind == ColumnKind::Number).map(|(n, _)| n).collect();
    let &[only] = numbers.as_slice() else { return None };
    let values: Vec<f64> = table.rows.iter().filter_map(|row| number(row.get(only)?)).collect();
    let most = values.iter().copied().fold(0.0, f64::max);
    (table.rows.len() > 1 && most > 0.0 && values.iter().all(|value| *value >= 0.0)).then_some((only, most))
}

fn number(value: &Datum) -> Option<f64> {
    match value {
        Datum::Int(number) => Some(*number as f64),
        Datum::Float(number) => Some(*number),
        _ => None,
    }
}

fn shown_row(asked: &Asked<'_>, table: &Table, row: &[Datum], most: Option<(usize, f64)>) -> Row {
    let href = behind(asked, table, row).unwrap_or_default();
    let cells = table.columns.iter().zip(row).map(|(column, datum)| cell(asked, column, datum, &href)).collect();
    let value = most.and_then(|(place, most)| Some((number(row.get(place)?)?, most)));
    let bar = value.map(|(value, most)| format!("{:.1}", value / most * 100.0)).unwrap_or_default();
    Row { cells, bar }
}

fn cell(asked: &Asked<'_>, column: &Column, datum: &Datum, href: &str) -> Cell {
    let plain = |text: String, class| Cell { value: None, text, href: String::new(), class };
    match (datum, column.kind) {
        (Datum::Missing, ColumnKind::Field(_)) => plain(t("kein Wert").into(), "soft"),
        (Datum::Missing, ColumnKind::Number) => plain("–".into(), "right soft"),
        (Datum::Missing, _) => plain("–".into(), "soft"),
        (Datum::Time(at), _) => plain(show::precise(*at), "soft nowrap"),
        (datum, ColumnKind::Field(field)) => {
            let text = datum.text();
            let value =
                if field == ingest::fields::MESSAGE { Value::plain(text.into_owned()) } else { asked.values.of(field.name(), &text) };
            Cell { value: Some(value), text: String::new(), href: String::new(), class: "mono" }
        }
        (Datum::Int(number), _) => Cell { href: href.to_owned(), ..plain(show::num(*number), "right num") },
        (Datum::Float(number), _) => Cell { href: href.to_owned(), ..plain(show::decimal(*number, 2), "right num") },
        (datum, _) => plain(datum.text().into_owned(), "mono"),
    }
}

/// The rows behind a row: the query narrowed by its values, and by its bar of time. `None` where a value that made the group
/// is no longer in the table.
fn behind(asked: &Asked<'_>, table: &Table, row: &[Datum]) -> Option<String> {
    let stage = asked.pipeline.aggregation()?;
    let mut query = asked.query().to_owned();
    for field in stage.by() {
        let place = table.columns.iter().position(|column| column.kind == ColumnKind::Field(*field))?;
        query = narrowed(&query, &condition(*field, row.get(place)?));
    }
    let Stage::Histogram { width, .. } = stage else { return Some(asked.lines(&query)) };
    let place = table.columns.iter().position(|column| column.kind == ColumnKind::Time)?;
    let Some(Datum::Time(at)) = row.get(place) else { return None };
    Some(bar_href(asked, &query, *width, *at))
}

/// A bar reaches no further than what was asked.
fn bar_href(asked: &Asked<'_>, query: &str, width: Width, at: Timestamp) -> String {
    let (from, to) = width.bar(at);
    let (from, to) = (from.max(asked.range.from), to.min(asked.range.to));
    asked.range.over(asked.path, query, &[&[("von", from.rfc3339().as_str()), ("bis", to.rfc3339().as_str())], asked.more].concat())
}

/// A histogram in its own order as a chart; `None` where it was shaped further or has more bars than can be drawn.
fn over_time(asked: &Asked<'_>, table: &Table) -> Option<Markup> {
    let [Stage::Histogram { width, by }] = asked.pipeline.stages.as_slice() else { return None };
    let mut bars: BTreeMap<i64, BTreeMap<String, f64>> = BTreeMap::new();
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for row in &table.rows {
        let (Some(Datum::Time(at)), Some(count)) = (row.first(), row.last().and_then(number)) else { return None };
        let values = row.get(1..=by.len()).unwrap_or_default();
        let name = |value: &Datum| if *value == Datum::Missing { t("kein Wert").to_owned() } else { value.text().into_owned() };
        let name = values.iter().map(name).collect::<Vec<_>>().join(" · ");
        *sums.entry(name.clone()).or_default() += count;
        *bars.entry(at.0).or_default().entry(name).or_default() += count;
    }
    if bars.is_empty() {
        return None;
    }
    // A bar reaches to the next one: those without an event are bars too.
    let mut at = width.bar(asked.range.from).0;
    while at < asked.range.to && bars.len() <= BARS_SHOWN {
        bars.entry(at.0).or_default();
        at = width.bar(at).1;
    }
    if bars.len() > BARS_SHOWN {
        return None;
    }
    let last = Timestamp(*bars.last_key_value()?.0);
    let mut names: Vec<(String, f64)> = sums.into_iter().collect();
    names.sort_by(|(a, n), (b, m)| m.total_cmp(n).then_with(|| a.cmp(b)));
    let others = names.split_off(names.len().min(SERIES_SHOWN));
    let rest = tf("{n} weitere", &[("n", &others.len())]);
    let mut series: Vec<Series<'_>> = if by.is_empty() {
        vec![Series { ink: Ink::Act, name: asked.noun }]
    } else {
        Ink::NAMED.into_iter().zip(&names).map(|(ink, (name, _))| Series { ink, name }).collect()
    };
    if !others.is_empty() {
        series.push(Series { ink: Ink::Quiet, name: &rest });
    }
    let drawn = bars.iter().map(|(at, values)| {
        let mut heights: Vec<f64> = names.iter().map(|(name, _)| values.get(name).copied().unwrap_or(0.0)).collect();
        if !others.is_empty() {
            heights.push(others.iter().filter_map(|(name, _)| values.get(name)).sum());
        }
        TimeBar { at: Timestamp(*at), values: heights, href: bar_href(asked, asked.query(), *width, Timestamp(*at)) }
    });
    let drawn: Vec<TimeBar> = drawn.collect();
    let carried = asked.range.carried();
    let pairs: Vec<(&str, &str)> = [("q", asked.text)]
        .into_iter()
        .chain(asked.more.iter().copied())
        .chain(carried.iter().map(|(name, value)| (*name, value.as_str())))
        .collect();
    let desc = tf("Balken je {width}.", &[("width", &show::duration(width.millis()))]);
    Some(chart::over_time(OverTime {
        caption: Caption { id: "verlauf", title: &tf("{noun} über die Zeit", &[("noun", &asked.noun)]), desc: &desc },
        unit: Unit::Count(asked.noun),
        series: &series,
        bars: &drawn,
        until: width.bar(last).1,
        before: None,
        brush: Some(Brush { path: asked.path, pairs: &pairs }),
    }))
}

/// Everything that the values of a column did, in one search: what else happened.
fn pivots(asked: &Asked<'_>, table: &Table) -> Vec<(String, String)> {
    let by = asked.pipeline.aggregation().map(Stage::by).unwrap_or_default();
    let pivot = |field: &FieldId| {
        let place = table.columns.iter().position(|column| column.kind == ColumnKind::Field(*field))?;
        let mut terms: Vec<String> = vec![];
        for value in table.rows.iter().filter_map(|row| row.get(place)).filter(|value| **value != Datum::Missing) {
            let one = condition(*field, value);
            if !terms.contains(&one) {
                terms.push(one);
            }
            if terms.len() > PIVOT_VALUES_MAX {
                return None;
            }
        }
        let query = terms.join(" OR ");
        let label = tf("Was sonst noch: alles von {n} Werten in {field}", &[("n", &terms.len()), ("field", &words::field(*field))]);
        (terms.len() > 1 && query.len() <= PIVOT_BYTES_MAX).then(|| (label, asked.lines(&query)))
    };
    by.iter().filter_map(pivot).collect()
}

fn patterns(asked: &Asked<'_>, table: &Table) -> Vec<Pattern> {
    let most = table.rows.iter().filter_map(|row| number(row.get(2)?)).fold(1.0, f64::max);
    let text = |value: Option<&Datum>| value.map(|value| value.text().into_owned()).unwrap_or_default();
    let moment = |value: Option<&Datum>| if let Some(Datum::Time(at)) = value { show::stamp_seconds(*at) } else { String::new() };
    let pattern = |row: &Vec<Datum>| {
        let count = row.get(2).and_then(number).unwrap_or(0.0);
        let (program, pattern) = (text(row.first()), text(row.get(1)));
        Pattern {
            count: show::num(count as i64),
            bar: format!("{:.1}", count / most * 100.0),
            href: asked.lines(&lines_of(asked.query(), &program, &pattern)),
            program,
            text: pattern,
            example: text(row.get(5)),
            span: tf("{from} bis {to}", &[("from", &moment(row.get(3))), ("to", &moment(row.get(4)))]),
        }
    };
    table.rows.iter().take(ROWS_SHOWN).map(pattern).collect()
}

/// The search for a template's lines: its program, and what stands between its open words. It may find a few more.
fn lines_of(query: &str, program: &str, pattern: &str) -> String {
    let mut all = if program.is_empty() { query.to_owned() } else { narrowed(query, &term("process.name", program)) };
    let mut phrases: Vec<String> = vec![String::new()];
    for word in pattern.split(' ') {
        let open = word == "<*>";
        if let (false, Some(phrase)) = (open, phrases.last_mut()) {
            phrase.push_str(if phrase.is_empty() { "" } else { " " });
            phrase.push_str(word);
        }
        // Behind a key's sign stands a value, which is open too.
        if open || word.ends_with('=') {
            phrases.push(String::new());
        }
    }
    for phrase in phrases.iter().filter(|phrase| phrase.contains(char::is_alphanumeric)).take(PHRASES_MAX) {
        let quoted = phrase.replace('\\', "\\\\").replace('"', "\\\"");
        all = narrowed(&all, &format!("\"{quoted}\""));
    }
    all
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;

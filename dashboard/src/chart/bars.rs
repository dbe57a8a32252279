//! Bars of named values: lying, as a ranking, and standing, over a few periods.

use std::fmt::Write as _;

use super::axis::{self, WIDTHS};
use super::frame::{self, Caption, Figure, Key, Plot, Row, n, pct};
use super::gist::{self, Point};
use super::ink::Ink;
use super::scale::Scale;
use super::unit::Unit;
use crate::show::{self, Markup, escape};
use crate::words::{t, tf};

/// A row of a ranking.
#[derive(Clone, Debug, Default)]
pub struct Rank {
    pub label: String,
    pub value: f64,
    pub href: String,
}

/// More rows are a table, not a picture.
const RANKS_MAX: usize = 40;
const RANK_PX: f64 = 36.0;
/// A value beside its name; longer ones are only in the table.
const VALUE_PX: f64 = 100.0;

/// Lying bars of named values, in the order given.
pub fn ranked(caption: Caption<'_>, head: &str, unit: Unit<'_>, rows: &[Rank]) -> Markup {
    if rows.is_empty() {
        return frame::empty(caption, "ranked");
    }
    let id = frame::id(caption);
    let scale = Scale::over(rows.iter().map(|row| row.value), 4, unit.whole());
    let (zero, shown) = (scale.part(0.0), rows.get(..rows.len().min(RANKS_MAX)).unwrap_or_default());
    let mut out = String::new();
    for (place, row) in shown.iter().enumerate() {
        let (top, value) = (RANK_PX * place as f64, axis::cut(&show::safe(&unit.value(row.value)), VALUE_PX));
        let part = scale.part(row.value);
        frame::open_part(&mut out, &row.href, &format!("{}: {}", row.label, unit.full(row.value)));
        let y = n(top + 13.0);
        frame::cut_text(
            &mut out,
            &format!("class=\"name\" x=\"0\" y=\"{y}\""),
            &row.label,
            WIDTHS.map(|px| px - axis::text_px(&value) * 1.1 - 24.0),
        );
        let _ = write!(out, "<text class=\"name num\" x=\"100%\" y=\"{y}\" text-anchor=\"end\">{}</text>", escape(&value));
        let _ = write!(out, "<rect class=\"track\" x=\"0\" y=\"{}\" width=\"100%\" height=\"10\"/>", n(top + 18.0));
        if row.value.is_finite() {
            let width = (part - zero).abs().clamp(0.004, 1.0);
            let left = part.min(zero).min(1.0 - width);
            let _ = write!(
                out,
                "<rect class=\"area\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"10\" fill=\"{}\"/>",
                pct(left),
                n(top + 18.0),
                pct(width),
                Ink::Act.fill(&id)
            );
        }
        out.push_str("</g>");
    }
    let points: Vec<Point> = rows.iter().map(|row| (row.label.clone(), Some(row.value))).collect();
    let mut figure = Figure::new(caption, "ranked", gist::spread(&points, unit), (out, RANK_PX * shown.len() as f64));
    figure.inks = vec![Ink::Act];
    figure.note = frame::note(&show::num(rows.len() as i128), Unit::Sign(unit.name()));
    if rows.len() > shown.len() {
        let more = tf("{n} weitere stehen in der Tabelle.", &[("n", &(rows.len() - shown.len()))]);
        figure.note = format!("{} · {more}", figure.note);
    }
    figure.head = vec![head.to_owned(), unit.name().to_owned()];
    figure.rows = rows.iter().map(|row| Row { cells: vec![row.label.clone(), unit.value(row.value)], href: row.href.clone() }).collect();
    figure.render()
}

/// One standing bar of a figure over a few periods.
#[derive(Clone, Debug, Default)]
pub struct Column {
    pub label: String,
    /// `None` leaves a gap.
    pub value: Option<f64>,
    /// What the table says; empty for the value alone.
    pub text: String,
    pub href: String,
}

const COLUMNS_MAX: usize = 60;
const HEIGHT: f64 = 120.0;

/// Standing bars above their labels; the target, if there is one, as a dashed line with its name.
pub fn columns(caption: Caption<'_>, head: &str, unit: Unit<'_>, columns: &[Column], target: Option<(f64, &str)>) -> Markup {
    let columns = columns.get(..columns.len().min(COLUMNS_MAX)).unwrap_or_default();
    if columns.is_empty() {
        return frame::empty(caption, "columns");
    }
    let id = frame::id(caption);
    let values = columns.iter().filter_map(|column| column.value).chain(target.map(|target| target.0));
    let mut plot = Plot::new(Scale::over(values, 4, unit.whole()), unit, HEIGHT);
    let step = 1.0 / columns.len() as f64;
    let zero = plot.y(0.0);
    for (place, column) in columns.iter().enumerate() {
        let left = step * place as f64;
        let text = column_text(column, unit);
        frame::open_part(&mut plot.marks, &column.href, &format!("{}: {text}", column.label));
        let _ = write!(plot.marks, "<rect class=\"hit\" x=\"{}\" y=\"0\" width=\"{}\" height=\"{HEIGHT}\"/>", pct(left), pct(step));
        match column.value.filter(|value| value.is_finite()) {
            Some(0.0) => {}
            Some(value) => {
                let y = plot.y(value);
                let (top, height) = if y <= zero { (y.min(zero - 1.0), (zero - y).max(1.0)) } else { (zero, y - zero) };
                let _ = write!(
                    plot.marks,
                    "<rect class=\"area\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>",
                    pct(left + step * 0.2),
                    n(top.max(0.0)),
                    pct(step * 0.6),
                    n(height),
                    Ink::Act.fill(&id)
                );
            }
            // A gap is not a zero.
            None => {
                let _ = write!(
                    plot.marks,
                    "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">–</text>",
                    pct(left + step / 2.0),
                    n((zero - 5.0).max(8.0))
                );
            }
        }
        plot.marks.push_str("</g>");
    }
    if let Some((value, _)) = target {
        plot.target(value);
    }
    let names: Vec<String> = columns.iter().map(|column| column.label.clone()).collect();
    plot.labels(&axis::categories(&names, plot.gutter_px(), |place| step * (place as f64 + 0.5)));
    let points: Vec<Point> = columns.iter().map(|column| (column.label.clone(), column.value)).collect();
    let mut gist = gist::course(&points, unit);
    if let Some((_, name)) = target {
        gist = format!("{gist} {name}.");
    }
    let mut figure = Figure::new(caption, "columns", gist, plot.finish());
    figure.inks = vec![Ink::Act];
    figure.keys = target.map(|(_, name)| Key::line("target", name)).into_iter().collect();
    let known = columns.iter().filter(|column| column.value.is_some()).count();
    figure.note = frame::note(&show::num(known as i128), Unit::Sign(unit.name()));
    figure.head = vec![t("Zeitraum").to_owned(), head.to_owned()];
    figure.rows = columns
        .iter()
        .map(|column| Row { cells: vec![column.label.clone(), column_text(column, unit)], href: column.href.clone() })
        .collect();
    figure.render()
}

fn column_text(column: &Column, unit: Unit<'_>) -> String {
    match (&*column.text, column.value) {
        ("", Some(value)) => unit.value(value),
        ("", None) => "–".into(),
        (text, _) => text.to_owned(),
    }
}

//! Several series as lines over the same points; a missing value is a gap, not a zero. Lines differ by colour and dash.

use std::fmt::Write as _;

use ingest::time::Timestamp;

use super::axis;
use super::frame::{self, Caption, Figure, Key, Plot, Row, n, pct};
use super::gist::{self, Point};
use super::ink::Ink;
use super::scale::Scale;
use super::unit::Unit;
use crate::show::{self, Markup};
use crate::words::t;

/// What the points stand at.
#[derive(Clone, Copy, Debug)]
pub enum Along<'a> {
    /// Evenly spread.
    Named(&'a [String]),
    Time(&'a [Timestamp]),
}

/// One line: a value for each point, and its confidence band where there is one.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    pub name: &'a str,
    pub ink: Ink,
    pub values: Vec<Option<f64>>,
    /// Low and high; empty for none.
    pub band: Vec<Option<(f64, f64)>>,
}

/// A chart of lines.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    pub caption: Caption<'a>,
    pub unit: Unit<'a>,
    pub along: Along<'a>,
    pub lines: &'a [Line<'a>],
    /// A value to be reached and what it is called.
    pub target: Option<(f64, &'a str)>,
}

/// More points than pixels say nothing.
const POINTS_MAX: usize = 1_000;
/// More lines than dashes cannot be told apart.
const LINES_MAX: usize = 6;
const HEIGHT: f64 = 140.0;

pub fn lines(chart: Lines<'_>) -> Markup {
    let Lines { caption, unit, target, .. } = chart;
    let (names, parts) = points(chart.along);
    let lines = chart.lines.get(..chart.lines.len().min(LINES_MAX)).unwrap_or_default();
    if parts.is_empty() || lines.is_empty() {
        return frame::empty(caption, "lines");
    }
    let all = lines.iter().flat_map(|line| line.values.iter().take(parts.len()).flatten().copied());
    let bands = lines.iter().flat_map(|line| line.band.iter().take(parts.len()).flatten()).flat_map(|(low, high)| [*low, *high]);
    let mut plot = Plot::new(Scale::over(all.chain(bands).chain(target.map(|target| target.0)), 4, unit.whole()), unit, HEIGHT);
    frame::open_stretched(&mut plot.marks, HEIGHT);
    let mut alone = vec![];
    for (place, line) in lines.iter().enumerate() {
        let band: Vec<(Option<f64>, Option<f64>)> =
            line.band.iter().map(|pair| (pair.map(|pair| pair.0), pair.map(|pair| pair.1))).collect();
        let low: Vec<Option<f64>> = band.iter().map(|pair| pair.0).collect();
        let high: Vec<Option<f64>> = band.iter().map(|pair| pair.1).collect();
        for (mut upper, lower) in runs(&plot, &parts, &high).into_iter().zip(runs(&plot, &parts, &low)) {
            upper.extend(lower.into_iter().rev());
            let _ = write!(plot.marks, "<polygon class=\"band k-{}\" points=\"{}\"/>", line.ink.name(), path(&upper));
        }
        for run in runs(&plot, &parts, &line.values) {
            match run.as_slice() {
                [one] => alone.push((*one, line.ink)),
                run => {
                    let _ = write!(plot.marks, "<polyline class=\"line k-{} dash{place}\" points=\"{}\"/>", line.ink.name(), path(run));
                }
            }
        }
    }
    plot.marks.push_str("</svg>");
    for ((part, y), ink) in alone {
        let _ = write!(plot.marks, "<circle class=\"point k-{}\" cx=\"{}\" cy=\"{}\" r=\"3\"/>", ink.name(), pct(part), n(y));
    }
    if let Some((value, _)) = target {
        plot.target(value);
    }
    let sets = match chart.along {
        Along::Named(_) => axis::categories(&names, plot.gutter_px(), |place| parts.get(place).copied().unwrap_or(0.0)),
        Along::Time(times) => {
            let (first, last) = ends(times);
            axis::times(first, last, plot.gutter_px())
        }
    };
    plot.labels(&sets);
    let mut gists = vec![];
    for line in lines {
        let points: Vec<Point> = names.iter().cloned().zip(line.values.iter().copied().chain(std::iter::repeat(None))).collect();
        let gist = gist::course(&points, unit);
        gists.push(if lines.len() > 1 { format!("{}: {gist}", line.name) } else { gist });
    }
    let mut figure = Figure::new(caption, "lines", gists.join(" "), plot.finish());
    if lines.len() > 1 {
        figure.keys = lines
            .iter()
            .enumerate()
            .map(|(place, line)| Key::line(&format!("line k-{} dash{place}", line.ink.name()), line.name))
            .collect();
    }
    figure.keys.extend(target.map(|(_, name)| Key::line("target", name)));
    let banded = lines.iter().any(|line| !line.band.is_empty());
    let known: usize = lines.iter().map(|line| line.values.iter().flatten().count()).sum();
    figure.note = frame::note(&show::num(known as i128), Unit::Sign(unit.name()));
    if banded {
        figure.note = format!("{} · {}", figure.note, t("Fläche: 95-%-Band"));
    }
    figure.head = vec![t("Zeitraum").to_owned()];
    figure.head.extend(lines.iter().map(|line| line.name.to_owned()));
    let cell = |line: &Line<'_>, place: usize| {
        let value = line.values.get(place).copied().flatten().map_or_else(|| "–".into(), |value| unit.value(value));
        match line.band.get(place).copied().flatten() {
            Some((low, high)) => format!("{value} ({} – {})", unit.value(low), unit.value(high)),
            None => value,
        }
    };
    figure.rows = names
        .iter()
        .enumerate()
        .map(|(place, name)| Row {
            cells: std::iter::once(name.clone()).chain(lines.iter().map(|line| cell(line, place))).collect(),
            href: String::new(),
        })
        .collect();
    figure.render()
}

/// What each point is called, and its share of the width.
fn points(along: Along<'_>) -> (Vec<String>, Vec<f64>) {
    match along {
        Along::Named(names) => {
            let names: Vec<String> = names.iter().take(POINTS_MAX).cloned().collect();
            let parts = (0..names.len()).map(|place| even(place, names.len())).collect();
            (names, parts)
        }
        Along::Time(times) => {
            let (first, last) = ends(times);
            let part = |at: Timestamp| at.clamp(first, last).since(first) as f64 / last.since(first) as f64;
            times.iter().take(POINTS_MAX).map(|at| (axis::moment(*at, false), part(*at))).unzip()
        }
    }
}

fn ends(times: &[Timestamp]) -> (Timestamp, Timestamp) {
    let times = times.iter().take(POINTS_MAX).copied();
    axis::span(times.clone().min().unwrap_or_default(), times.max().unwrap_or_default())
}

/// Where the n-th of so many evenly spread points stands; one alone in the middle.
pub(super) fn even(place: usize, count: usize) -> f64 {
    if count < 2 { 0.5 } else { place as f64 / (count - 1) as f64 }
}

/// The stretches without a gap, as (share of the width, y).
fn runs(plot: &Plot<'_>, parts: &[f64], values: &[Option<f64>]) -> Vec<Vec<(f64, f64)>> {
    let points: Vec<Option<(f64, f64)>> =
        parts.iter().zip(values).map(|(part, value)| value.filter(|value| value.is_finite()).map(|value| (*part, plot.y(value)))).collect();
    points.split(Option::is_none).filter(|run| !run.is_empty()).map(|run| run.iter().flatten().copied().collect()).collect()
}

/// Points of a stretched drawing, which is 1000 wide.
pub(super) fn path(points: &[(f64, f64)]) -> String {
    points.iter().map(|(part, y)| format!("{},{}", n(part.clamp(0.0, 1.0) * 1_000.0), n(*y))).collect::<Vec<_>>().join(" ")
}

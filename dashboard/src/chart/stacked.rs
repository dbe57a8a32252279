//! Counts over time, in stacked series; a part of the time can be chosen with the pointer, the keys, or a form.

use std::fmt::Write as _;

use ingest::time::Timestamp;

use super::axis;
use super::frame::{self, Caption, Figure, Key, Plot, Row, n, pct};
use super::gist::{self, Point};
use super::ink::Ink;
use super::scale::{Scale, positive};
use super::unit::Unit;
use crate::show::{self, Markup, escape};
use crate::words::{t, tf};

/// One series of a stacked chart.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    pub ink: Ink,
    pub name: &'a str,
}

/// What begins at a moment and ends where the next one begins: a value for each series.
#[derive(Clone, Debug, Default)]
pub struct TimeBar {
    pub at: Timestamp,
    pub values: Vec<f64>,
    /// Where a click on the bar leads; empty for nowhere.
    pub href: String,
}

/// Where a chosen stretch of time leads: to `path` with these pairs and `von` and `bis`.
#[derive(Clone, Copy, Debug)]
pub struct Brush<'a> {
    pub path: &'a str,
    pub pairs: &'a [(&'a str, &'a str)],
}

/// What the same bars came to in another time, marked above them.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    pub name: &'a str,
    /// One for each bar.
    pub values: &'a [f64],
}

/// A histogram over time.
#[derive(Clone, Copy, Debug)]
pub struct OverTime<'a> {
    pub caption: Caption<'a>,
    pub unit: Unit<'a>,
    /// From the bottom of the stack up.
    pub series: &'a [Series<'a>],
    pub bars: &'a [TimeBar],
    /// Where the last bar ends.
    pub until: Timestamp,
    pub before: Option<Before<'a>>,
    pub brush: Option<Brush<'a>>,
}

/// Bars beyond this are not readable; callers choose wider buckets.
const BARS_MAX: usize = 400;
const HEIGHT: f64 = 110.0;

pub fn over_time(chart: OverTime<'_>) -> Markup {
    let OverTime { caption, unit, series, .. } = chart;
    let bars = chart.bars.get(..chart.bars.len().min(BARS_MAX)).unwrap_or_default();
    let Some(first) = bars.first() else { return frame::empty(caption, "over-time") };
    let id = frame::id(caption);
    let (from, to) = axis::span(first.at, chart.until);
    // Each bar with its edges; whatever order they come in, none leaves the drawing.
    let mut edges: Vec<Timestamp> = bars.iter().map(|bar| bar.at.clamp(from, to)).chain([to]).collect();
    edges.sort_unstable();
    let short = to.since(from) / (bars.len() as i64) < Timestamp::MINUTE;
    let names: Vec<String> = bars.iter().map(|bar| axis::moment(bar.at, short)).collect();
    let sums: Vec<f64> = bars.iter().map(|bar| bar.values.iter().zip(series).map(|(value, _)| positive(*value)).sum()).collect();
    let before = |place: usize| chart.before.and_then(|before| before.values.get(place)).copied().map(positive);
    let highest = sums.iter().copied().chain((0..bars.len()).filter_map(before));
    let mut plot = Plot::new(Scale::over(highest, 3, unit.whole()), unit, HEIGHT);
    let part = |at: Timestamp| at.since(from) as f64 / to.since(from) as f64;
    let mut marks = String::new();
    for (place, (((bar, name), start), end)) in bars.iter().zip(&names).zip(&edges).zip(edges.iter().skip(1)).enumerate() {
        let (left, right) = (part(*start), part(*end));
        let gap = (right - left) * 0.1;
        let earlier = chart.before.zip(before(place)).map(|(before, value)| format!("; {}: {}", before.name, unit.full(value)));
        frame::open_part(&mut marks, &bar.href, &format!("{}{}", title(name, bar, series, unit), earlier.unwrap_or_default()));
        // The whole height answers to the pointer, also where the bar is low.
        let _ = write!(marks, "<rect class=\"hit\" x=\"{}\" y=\"0\" width=\"{}\" height=\"{HEIGHT}\"/>", pct(left), pct(right - left));
        let mut y = HEIGHT;
        for (value, one) in bar.values.iter().zip(series) {
            // A count of one must not vanish below the line: a pixel is the least that is drawn.
            let height = (plot.scale.part(positive(*value)) * HEIGHT).max(1.0).min(y);
            if positive(*value) <= 0.0 || height <= 0.0 {
                continue;
            }
            y -= height;
            let _ = write!(
                marks,
                "<rect class=\"area\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>",
                pct(left + gap / 2.0),
                n(y),
                pct(right - left - gap),
                n(height),
                one.ink.fill(&id)
            );
        }
        if let Some(value) = before(place) {
            let (y, left, right) = (n(plot.y(value)), pct(left), pct(right));
            let _ = write!(marks, "<line class=\"before\" x1=\"{left}\" x2=\"{right}\" y1=\"{y}\" y2=\"{y}\"/>");
        }
        marks.push_str("</g>");
    }
    plot.marks = marks;
    plot.labels(&axis::times(from, to, plot.gutter_px()));
    let points: Vec<Point> = names.iter().cloned().zip(sums.iter().map(|sum| Some(*sum))).collect();
    let parts = shares(bars, series, unit);
    let mut figure = Figure::new(caption, "over-time", format!("{}{parts}", gist::course(&points, unit)), plot.finish());
    figure.inks = series.iter().map(|one| one.ink).collect();
    if series.len() > 1 {
        figure.keys = series.iter().rev().map(|one| Key::surface(one.ink, &id, one.name)).collect();
    }
    if let Some(before) = chart.before {
        if series.len() == 1 {
            figure.keys = series.iter().map(|one| Key::surface(one.ink, &id, one.name)).collect();
        }
        figure.keys.push(Key::line("before", before.name));
    }
    let total: f64 = sums.iter().sum();
    figure.note = match unit {
        unit if unit.adds_up() && total.is_finite() => frame::note(&unit.value(total), unit),
        unit => frame::note(&show::num(bars.len() as i128), unit),
    };
    let last = chart.before.map(|before| before.name);
    figure.head = [t("Beginn")].into_iter().chain(series.iter().map(|one| one.name)).chain(last).map(str::to_owned).collect();
    figure.rows = bars
        .iter()
        .zip(&names)
        .enumerate()
        .map(|(place, (bar, name))| Row {
            cells: std::iter::once(name.clone())
                .chain(bar.values.iter().zip(series).map(|(value, _)| unit.value(*value)))
                .chain(before(place).map(|value| unit.value(value)))
                .collect(),
            href: bar.href.clone(),
        })
        .collect();
    if let Some(brush) = chart.brush {
        let moments: Vec<String> = edges.iter().map(|edge| edge.0.to_string()).collect();
        figure.data = format!(
            " data-brush=\"{}\" data-edges=\"{}\" data-in=\"gut{}\" data-from=\"{}\" data-to=\"{}\" data-show=\"{}\"",
            escape(&show::link(brush.path, brush.pairs)),
            moments.join(" "),
            figure.drawing.gutter,
            escape(t("Beginn des Ausschnitts")),
            escape(t("Ende des Ausschnitts")),
            escape(t("Ausschnitt zeigen")),
        );
        figure.more = form(&id, brush, from, to);
    }
    figure.render()
}

fn title(name: &str, bar: &TimeBar, series: &[Series<'_>], unit: Unit<'_>) -> String {
    let values = bar.values.iter().zip(series).filter(|(value, _)| series.len() == 1 || positive(**value) > 0.0);
    let values: Vec<String> = values
        .map(|(value, one)| if series.len() == 1 { unit.full(*value) } else { format!("{} {}", unit.value(*value), one.name) })
        .collect();
    if values.is_empty() { format!("{name}: {}", unit.full(0.0)) } else { format!("{name}: {}", values.join(", ")) }
}

/// ` Davon kritisch 4, hoch 12.`
fn shares(bars: &[TimeBar], series: &[Series<'_>], unit: Unit<'_>) -> String {
    if series.len() < 2 {
        return String::new();
    }
    let sums = series.iter().enumerate().map(|(place, one)| {
        let sum: f64 = bars.iter().filter_map(|bar| bar.values.get(place)).map(|value| positive(*value)).sum();
        (one.name, sum)
    });
    let named: Vec<String> =
        sums.filter(|(_, sum)| *sum > 0.0).map(|(name, sum)| format!("{name}\u{a0}{}", unit.value(sum))).rev().collect();
    if named.is_empty() { String::new() } else { format!(" {}", tf("Davon {parts}.", &[("parts", &named.join(", "))])) }
}

/// The same choice without a script.
fn form(id: &str, brush: Brush<'_>, from: Timestamp, to: Timestamp) -> String {
    let mut out = format!(
        "<details class=\"data brush-form\"><summary>{}</summary><form class=\"row\" action=\"{}\">",
        escape(t("Zeitraum eingrenzen")),
        escape(brush.path)
    );
    for (name, value) in brush.pairs.iter().filter(|(_, value)| !value.is_empty()) {
        // A query's control characters mean nothing, and a form could not carry them unchanged.
        let value: String = value.chars().filter(|ch| !ch.is_control()).collect();
        let _ = write!(out, "<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(&value));
    }
    for (name, word, at) in [("von", t("von"), from), ("bis", t("bis"), to)] {
        let _ = write!(
            out,
            "<div class=\"field\"><label for=\"{id}-{name}\">{}</label><input id=\"{id}-{name}\" type=\"datetime-local\" name=\"{name}\" value=\"{}\" required></div>",
            escape(word),
            show::local_input(at)
        );
    }
    let _ = write!(out, "<button class=\"btn\">{}</button></form></details>", escape(t("Zeigen")));
    out
}

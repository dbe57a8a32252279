//! How values spread: a histogram with median and 90th percentile; few values one by one, for a histogram of seven
//! cases shows the classes, not the cases.

use std::fmt::Write as _;

use advisory::kpi::stats::quantile;

use super::axis::{self, Label};
use super::frame::{self, Caption, Figure, Inside, Key, Plot, Row, n, pct};
use super::ink::Ink;
use super::scale::{Scale, sane};
use super::unit::Unit;
use crate::show::{self, Markup, escape};
use crate::words::{t, tf};

/// One value, whose it is, and where that is told.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub label: String,
    pub value: f64,
    pub href: String,
}

/// From so many cases on classes are drawn instead of cases.
const HISTOGRAM_MIN: usize = 12;
const BINS_MAX: usize = 20;
const HEIGHT: f64 = 120.0;
const STRIP_HEIGHT: f64 = 44.0;
/// Above the plot: a line each for the median's and the percentile's name.
const MARKS_PX: f64 = 30.0;

/// `things` are what is counted ("Vorfälle"), `unit` is that of their values.
pub fn distribution(caption: Caption<'_>, things: &str, unit: Unit<'_>, cases: &[Case]) -> Markup {
    let values: Vec<f64> = cases.iter().filter_map(|case| sane(case.value)).collect();
    let (Some(median), Some(p90)) = (quantile(&values, 0.5), quantile(&values, 0.9)) else {
        return frame::empty(caption, "distribution");
    };
    let strip = values.len() < HISTOGRAM_MIN;
    let wanted = if strip { 5 } else { ((values.len() as f64).sqrt().ceil() as usize).clamp(4, BINS_MAX) };
    let across = Scale::over(values.iter().copied(), wanted, false);
    let classes = classes(&across, &values);
    let counts = Unit::Count(things);
    let id = frame::id(caption);
    let drawing =
        if strip { dots(&across, unit, cases, &[median, p90]) } else { histogram(&across, unit, counts, &id, &classes, [median, p90]) };
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    let gist = tf(
        "{n} Werte von {low} bis {high}; die Hälfte bis {median}, neun von zehn bis {p90}.",
        &[
            ("n", &show::num(values.len() as i128)),
            ("low", &unit.value(low)),
            ("high", &unit.value(high)),
            ("median", &unit.value(median)),
            ("p90", &unit.value(p90)),
        ],
    );
    let mut figure = Figure::new(caption, "distribution", gist, drawing);
    figure.inks = vec![Ink::Act];
    figure.keys =
        vec![Key::line("target", &format!("Median {}", unit.value(median))), Key::line("target p90", &format!("P90 {}", unit.value(p90)))];
    figure.note = format!("{} · {}: {}", frame::note(&show::num(values.len() as i128), counts), t("Einheit"), unit.name());
    if strip {
        figure.head = vec![t("Fall").to_owned(), unit.name().to_owned()];
        figure.rows =
            cases.iter().map(|case| Row { cells: vec![case.label.clone(), unit.value(case.value)], href: case.href.clone() }).collect();
    } else {
        figure.head = vec![t("Klasse").to_owned(), things.to_owned()];
        let class = |(from, to, count): &(f64, f64, usize)| Row {
            cells: vec![format!("{} – {}", unit.value(*from), unit.value(*to)), show::num(*count as i128)],
            href: String::new(),
        };
        figure.rows = classes.iter().map(class).collect();
    }
    for (name, value) in [("Median", median), ("P90", p90)] {
        figure.rows.push(Row { cells: vec![name.to_owned(), unit.value(value)], href: String::new() });
    }
    figure.render()
}

/// Between two ticks each; a value on a tick counts to the class above it, the last one's end to it.
fn classes(across: &Scale, values: &[f64]) -> Vec<(f64, f64, usize)> {
    let mut classes: Vec<(f64, f64, usize)> =
        across.ticks.iter().zip(across.ticks.iter().skip(1)).map(|(from, to)| (*from, *to, 0)).collect();
    let last = classes.len().saturating_sub(1);
    for value in values {
        let place = ((value - across.low) / across.step).floor().clamp(0.0, last as f64) as usize;
        if let Some(class) = classes.get_mut(place) {
            class.2 += 1;
        }
    }
    classes
}

fn histogram(across: &Scale, unit: Unit<'_>, counts: Unit<'_>, id: &str, classes: &[(f64, f64, usize)], marks: [f64; 2]) -> Inside {
    let mut plot = Plot::new(Scale::over(classes.iter().map(|class| class.2 as f64), 3, true), counts, HEIGHT);
    for (from, to, count) in classes {
        let (left, right) = (across.part(*from), across.part(*to));
        let height = plot.scale.part(*count as f64) * HEIGHT;
        frame::open_part(&mut plot.marks, "", &format!("{} – {}: {}", unit.value(*from), unit.value(*to), counts.full(*count as f64)));
        let _ = write!(
            plot.marks,
            "<rect class=\"area\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/></g>",
            pct(left + (right - left) * 0.03),
            n(HEIGHT - height),
            pct((right - left) * 0.94),
            n(height),
            Ink::Act.fill(id)
        );
    }
    upright(&mut plot.marks, across, marks, HEIGHT);
    plot.labels(&ticks(across, unit, plot.gutter_px()));
    plot.finish()
}

/// Each case a ring, half transparent so that equal ones show.
fn dots(across: &Scale, unit: Unit<'_>, cases: &[Case], marks: &[f64; 2]) -> Inside {
    let mut out = String::new();
    let top = 8.0;
    frame::open_plot(&mut out, top, STRIP_HEIGHT + MARKS_PX);
    let _ = write!(out, "<line class=\"axis zero\" x1=\"0\" x2=\"100%\" y1=\"{0}\" y2=\"{0}\"/>", n(STRIP_HEIGHT));
    for (place, case) in cases.iter().filter(|case| case.value.is_finite()).enumerate() {
        frame::open_part(&mut out, &case.href, &format!("{}: {}", case.label, unit.value(case.value)));
        // Neighbours stand on different heights.
        let y = STRIP_HEIGHT / 2.0 + [-8.0, 0.0, 8.0].get(place % 3).copied().unwrap_or(0.0);
        let _ = write!(out, "<circle class=\"dot k-act\" cx=\"{}\" cy=\"{}\" r=\"5\"/></g>", pct(across.part(case.value)), n(y));
    }
    upright(&mut out, across, *marks, STRIP_HEIGHT);
    frame::texts(&mut out, &axis::place(&ticks(across, unit, 0.0), 0.0), STRIP_HEIGHT + 15.0);
    out.push_str("</svg>");
    (out, top + STRIP_HEIGHT + MARKS_PX).into()
}

fn ticks(across: &Scale, unit: Unit<'_>, gutter: f64) -> [Vec<Label>; 3] {
    let names: Vec<String> = across.ticks.iter().map(|tick| unit.tick(*tick, across)).collect();
    let places: Vec<f64> = across.ticks.iter().map(|tick| across.part(*tick)).collect();
    axis::categories(&names, gutter, |place| places.get(place).copied().unwrap_or(0.0))
}

/// The median solid, the 90th percentile dashed.
fn upright(out: &mut String, across: &Scale, marks: [f64; 2], height: f64) {
    for (value, class) in marks.into_iter().zip(["target", "target p90"]) {
        let _ = write!(
            out,
            "<line class=\"{}\" x1=\"{2}\" x2=\"{2}\" y1=\"0\" y2=\"{1}\"/>",
            escape(class),
            n(height),
            pct(across.part(value))
        );
    }
}

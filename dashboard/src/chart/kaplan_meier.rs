//! The share that is still open over time, in steps, with its 95 % band, a tick for each case that ends unfinished, and
//! below how many were still watched. Draws the estimate that it is given and estimates nothing itself.

use std::fmt::Write as _;

use super::axis::{self, Label};
use super::frame::{self, Caption, Figure, Key, Plot, Row, n, pct};
use super::lines::path;
use super::scale::{Scale, positive};
use super::unit::Unit;
use crate::show::{self, Markup, escape};
use crate::words::{t, tf};

/// From this time on the share still open is this, within the band.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// In the curve's unit since the start.
    pub at: f64,
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

/// A curve of the share still open.
#[derive(Clone, Copy, Debug)]
pub struct Curve<'a> {
    pub caption: Caption<'a>,
    /// Unit of the times.
    pub unit: Unit<'a>,
    pub steps: &'a [Step],
    /// Number of cases.
    pub n: u64,
    /// The time of every case, ended or not; empty where single cases must not be seen. Then no numbers are below.
    pub times: &'a [f64],
    /// The times of those that had not ended when last looked at.
    pub censored: &'a [f64],
    /// Where the axis ends.
    pub until: f64,
}

const HEIGHT: f64 = 180.0;
/// Steps and ticks beyond this fall together on the screen.
const STEPS_MAX: usize = 2_000;

pub fn kaplan_meier(curve: Curve<'_>) -> Markup {
    let Curve { caption, unit, .. } = curve;
    if curve.n == 0 {
        return frame::empty(caption, "km");
    }
    let until = if positive(curve.until) > 0.0 { positive(curve.until) } else { 1.0 };
    let part = |at: f64| (positive(at) / until).min(1.0);
    let steps: Vec<Step> = curve.steps.iter().copied().filter(|step| positive(step.at) <= until).take(STEPS_MAX).collect();
    let mut plot = Plot::new(Scale::over([100.0], 4, false), Unit::Percent, HEIGHT);
    let y = |share: f64| HEIGHT * (1.0 - positive(share).min(1.0));
    // Corners: to the right at the old height, then down.
    let corners = |height: &dyn Fn(&Step) -> f64| -> Vec<(f64, f64)> {
        let mut points = vec![(0.0, y(1.0))];
        let mut last = y(1.0);
        for step in &steps {
            points.push((part(step.at), last));
            last = y(height(step));
            points.push((part(step.at), last));
        }
        points.push((1.0, last));
        points
    };
    frame::open_stretched(&mut plot.marks, HEIGHT);
    let mut band = corners(&|step| step.high);
    band.extend(corners(&|step| step.low).into_iter().rev());
    let _ = write!(plot.marks, "<polygon class=\"band k-act\" points=\"{}\"/>", path(&band));
    let _ = write!(plot.marks, "<polyline class=\"line k-act\" points=\"{}\"/></svg>", path(&corners(&|step| step.share)));
    let share_at = |at: f64| steps.iter().take_while(|step| step.at <= at).last().map_or(1.0, |step| step.share);
    for at in curve.censored.iter().filter(|at| positive(**at) <= until).take(STEPS_MAX) {
        let (x, y) = (pct(part(*at)), y(share_at(*at)));
        let (above, below) = (n((y - 5.0).max(0.0)), n((y + 5.0).min(HEIGHT)));
        let _ = write!(plot.marks, "<line class=\"censored\" x1=\"{x}\" x2=\"{x}\" y1=\"{above}\" y2=\"{below}\"/>");
    }
    let ticks: Vec<f64> = (0..=4).map(|place| until * f64::from(place) / 4.0).collect();
    let names: Vec<String> = ticks.iter().map(|tick| unit.value(*tick)).collect();
    plot.labels(&axis::categories(&names, plot.gutter_px(), |place| place as f64 / 4.0));
    if !curve.times.is_empty() {
        at_risk(&mut plot, &ticks, curve.times);
    }
    let mut figure = Figure::new(caption, "km", gist(&curve, &steps, until), plot.finish());
    figure.keys = vec![Key::line("line k-act", t("Anteil noch offen"))];
    if !curve.censored.is_empty() {
        let sample = "<line class=\"line k-act\" x1=\"0\" x2=\"22\" y1=\"6\" y2=\"6\"/><line class=\"censored\" x1=\"11\" x2=\"11\" y1=\"1\" y2=\"11\"/>";
        figure.keys.push(Key { sample: sample.into(), name: t("noch nicht beendet").into() });
    }
    let n = frame::note(&show::num(i128::from(curve.n)), Unit::Sign(unit.name()));
    figure.note = format!("{n} · {}", t("Fläche: 95-%-Band"));
    figure.head = vec![t("nach").to_owned(), t("noch offen").to_owned(), t("95-%-Band").to_owned()];
    figure.rows = curve.steps.iter().take(STEPS_MAX).map(|step| row(step, unit)).collect();
    figure.render()
}

/// How many were still watched at each tick, as a line of numbers below the labels.
fn at_risk(plot: &mut Plot<'_>, ticks: &[f64], times: &[f64]) {
    let count = |at: f64| times.iter().filter(|time| positive(**time) >= at).count();
    plot.more_rows(2);
    let y = plot.height + 32.0;
    let _ = write!(plot.marks, "<text class=\"tick\" x=\"0\" y=\"{}\">{}</text>", n(y), escape(t("noch beobachtet:")));
    let labels: Vec<Label> =
        ticks.iter().enumerate().map(|(place, at)| Label { at: place as f64 / 4.0, text: show::num(count(*at) as i128) }).collect();
    let placed = axis::place(&[labels.clone(), labels.clone(), labels], plot.gutter_px());
    frame::texts(&mut plot.marks, &placed, y + 15.0);
}

fn gist(curve: &Curve<'_>, steps: &[Step], until: f64) -> String {
    let unit = curve.unit;
    let half = steps.iter().find(|step| step.share <= 0.5).map(|step| unit.value(step.at));
    let end = steps.last().map_or(1.0, |step| step.share);
    let open =
        tf("nach {until} sind noch {share} offen.", &[("until", &unit.value(until)), ("share", &show::percent(positive(end).min(1.0)))]);
    match half {
        Some(half) => format!("{}; {open}", tf("Nach {half} ist die Hälfte beendet", &[("half", &half)])),
        None => format!("{}; {open}", t("Weniger als die Hälfte ist beendet")),
    }
}

fn row(step: &Step, unit: Unit<'_>) -> Row {
    let band = format!("{} – {}", show::percent(step.low), show::percent(step.high));
    Row { cells: vec![unit.value(step.at), show::percent(step.share), band], href: String::new() }
}

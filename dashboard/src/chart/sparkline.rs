//! A small line without axes beside a figure that is written out. It has no table: the figure is the value, and the
//! chart that it leads to has all.

use std::fmt::Write as _;

use super::frame::{self, Caption};
use super::gist::{self, Point};
use super::lines::{even, path};
use super::scale::Scale;
use super::unit::Unit;
use crate::show::Markup;

const HEIGHT: f64 = 34.0;
/// More points than the place has pixels.
const POINTS_MAX: usize = 200;

/// The points by name; nothing at all without a value.
pub fn sparkline(caption: Caption<'_>, unit: Unit<'_>, points: &[Point]) -> Markup {
    let points = points.get(points.len().saturating_sub(POINTS_MAX)..).unwrap_or_default();
    let known = points.iter().filter_map(|point| point.1).filter(|value| value.is_finite());
    if known.clone().next().is_none() {
        return Markup::default();
    }
    let scale = Scale::over(known, 1, false);
    // Exact ends instead of round ones: there is no axis to name them.
    let top = points.iter().filter_map(|point| point.1).map(|value| scale.part(value)).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let y = |value: f64| HEIGHT - 2.0 - (scale.part(value) / top).min(1.0) * (HEIGHT - 4.0);
    let mut out = String::new();
    frame::open_stretched(&mut out, HEIGHT);
    let placed: Vec<Option<(f64, f64)>> = points
        .iter()
        .enumerate()
        .map(|(place, point)| point.1.filter(|value| value.is_finite()).map(|value| (even(place, points.len()), y(value))))
        .collect();
    for run in placed.split(Option::is_none).filter(|run| !run.is_empty()) {
        let mut run: Vec<(f64, f64)> = run.iter().flatten().copied().collect();
        // A lone value is a dash: a point would vanish.
        if let [(x, y)] = *run.as_slice() {
            run = vec![((x - 0.02).max(0.0), y), ((x + 0.02).min(1.0), y)];
        }
        let line = path(&run);
        let (first, last) = (run.first().map_or(0.0, |point| point.0), run.last().map_or(0.0, |point| point.0));
        let corners = path(&[(last, HEIGHT), (first, HEIGHT)]);
        let _ =
            write!(out, "<polygon class=\"band k-act\" points=\"{line} {corners}\"/><polyline class=\"line k-act\" points=\"{line}\"/>");
    }
    out.push_str("</svg>");
    Markup::trusted(frame::svg(caption, "spark", &gist::course(points, unit), &[], &(out, HEIGHT).into()))
}

//! The chart of a sustained run: four small ones below each other over the same time, readable in light and dark.

use std::fmt::Write as _;

use super::report::number;
use super::sustained::{Row, Run};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 120.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 44.0;
const APART: f64 = 54.0;

/// Lines of a chart: name, and value of a row.
type Curve = (&'static str, fn(&Row) -> f64);

pub(crate) fn draw(run: &Run) -> String {
    let charts: [(&str, &[Curve]); 4] = [
        ("CPU, Prozent der Maschine", &[("dieser Prozess", |row| row.own), ("andere", |row| row.others)]),
        ("Durchsuchbar nach, ms", &[("p50", |row| row.late[0]), ("p99", |row| row.late[1]), ("höchstens", |row| row.late[2])]),
        ("Dauer der Suchen, ms", &[("p50", |row| row.search[0]), ("p95", |row| row.search[1])]),
        ("Speicher, MiB", &[("eigener", |row| row.memory), ("mit eingeblendeten Dateien", |row| row.mapped)]),
    ];
    let title = format!("Dauerlauf mit {} Ereignissen je Sekunde und fünf Suchenden", number(run.rate as f64, 0));
    let height = TOP + charts.len() as f64 * (HEIGHT + APART);
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:.0} {height:.0}" role="img" aria-label="{title}">
<title>{title}</title>
<style>
text {{ font: 12px system-ui, sans-serif; fill: #1f2328 }}
.title {{ font-size: 15px; font-weight: 600 }} .small {{ fill: #59636e }}
.axis {{ stroke: #d1d9e0 }} polyline {{ fill: none; stroke-width: 1.75; stroke-linejoin: round }}
.a {{ stroke: #0550ae }} .b {{ stroke: #bc4c00; stroke-dasharray: 6 3 }} .c {{ stroke: #8250df; stroke-dasharray: 2 3 }}
@media (prefers-color-scheme: dark) {{
text {{ fill: #e6edf3 }} .small {{ fill: #9198a1 }} .axis {{ stroke: #3d444d }}
.a {{ stroke: #79c0ff }} .b {{ stroke: #ffa657 }} .c {{ stroke: #d2a8ff }} }}
</style>
<text class="title" x="{LEFT}" y="20">{title}</text>
"##,
        WIDTH + LEFT + 20.0
    );
    let seconds = run.rows.last().map_or(1.0, |row| row.seconds).max(1.0);
    for (n, (name, curves)) in charts.iter().enumerate() {
        small(&mut svg, name, curves, &run.rows, seconds, TOP + n as f64 * (HEIGHT + APART));
    }
    svg + "</svg>\n"
}

fn small(svg: &mut String, name: &str, curves: &[Curve], rows: &[Row], seconds: f64, top: f64) {
    let most = rows.iter().flat_map(|row| curves.iter().map(|(_, value)| value(row))).fold(0.0, f64::max);
    let high = round_up(most);
    let (bottom, y) = (top + 16.0 + HEIGHT, |value: f64| top + 16.0 + HEIGHT * (1.0 - value / high));
    let x = |at: f64| LEFT + WIDTH * at / seconds;
    let _ = writeln!(svg, r#"<text x="{LEFT}" y="{:.0}">{name}</text>"#, top + 8.0);
    for part in [0.0, 0.5, 1.0] {
        let (value, at) = (high * part, y(high * part));
        let _ = writeln!(svg, r#"<line class="axis" x1="{LEFT}" x2="{:.0}" y1="{at:.1}" y2="{at:.1}"/>"#, LEFT + WIDTH);
        let places = usize::from(high < 10.0);
        let (left, at) = (LEFT - 6.0, at + 4.0);
        let _ = writeln!(svg, r#"<text class="small" text-anchor="end" x="{left:.0}" y="{at:.1}">{}</text>"#, number(value, places));
    }
    for part in 0..=4 {
        let at = seconds * f64::from(part) / 4.0;
        let text = if seconds >= 300.0 { format!("{} min", number(at / 60.0, 0)) } else { format!("{} s", number(at, 0)) };
        let _ = writeln!(svg, r#"<text class="small" text-anchor="middle" x="{:.0}" y="{:.0}">{text}</text>"#, x(at), bottom + 16.0);
    }
    let mut right = LEFT + 220.0;
    for ((label, value), class) in curves.iter().zip(["a", "b", "c"]) {
        let points: Vec<String> = rows.iter().map(|row| format!("{:.1},{:.1}", x(row.seconds), y(value(row)))).collect();
        let _ = writeln!(svg, r#"<polyline class="{class}" points="{}"/>"#, points.join(" "));
        let (from, to, at) = (right, right + 24.0, top + 4.0);
        let _ = writeln!(svg, r#"<polyline class="{class}" points="{from:.0},{at:.0} {to:.0},{at:.0}"/>"#);
        let _ = writeln!(svg, r#"<text x="{:.0}" y="{:.0}">{label}</text>"#, to + 6.0, top + 8.0);
        right += 60.0 + 7.0 * label.chars().count() as f64;
    }
}

/// The next of 1, 2, 5, 10, 20 … at or above a value.
fn round_up(value: f64) -> f64 {
    let mut step = 1.0;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            if step * factor >= value {
                return step * factor;
            }
        }
        step *= 10.0;
    }
}

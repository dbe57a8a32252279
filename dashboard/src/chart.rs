//! Charts as pure functions from values to accessible SVG: `role="img"`, title, description, classes instead of
//! styles (the CSP allows none), and the same data as a table below. Text beside the drawing is HTML, so that it
//! keeps its size on a narrow screen while the drawing stretches.

use std::fmt::Write as _;

use ingest::body::KREISE;

use crate::show::{self, Markup, escape};

/// What every chart has: an id unique on its page, a title, a sentence that says what is to be seen.
#[derive(Clone, Copy, Debug)]
pub struct Caption<'a> {
    pub id: &'a str,
    pub title: &'a str,
    pub desc: &'a str,
}

/// One series of a stacked chart: the class of its colour and its name.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    pub class: &'a str,
    pub name: &'a str,
}

/// One bar: its label and a value for each series.
#[derive(Clone, Debug, Default)]
pub struct Bar {
    pub label: String,
    pub values: Vec<f64>,
    /// Where a click on the bar leads; empty for nowhere.
    pub href: String,
}

/// Bars beyond this are not readable; callers choose wider buckets.
const BARS_MAX: usize = 400;
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 100.0;

/// A histogram of one or more stacked series over time, the series' order from the bottom up.
pub fn stacked(caption: Caption<'_>, series: &[Series<'_>], bars: &[Bar]) -> Markup {
    stacked_in(caption, series, bars, &|value| show::decimal(value, 0))
}

/// As `stacked`, with values written in their unit.
pub fn stacked_in(caption: Caption<'_>, series: &[Series<'_>], bars: &[Bar], written: &dyn Fn(f64) -> String) -> Markup {
    let bars = bars.get(..bars.len().min(BARS_MAX)).unwrap_or_default();
    let sums: Vec<f64> = bars.iter().map(|bar| bar.values.iter().copied().map(positive).sum()).collect();
    let top = nice_top(sums.iter().copied().fold(0.0, f64::max));
    let step = WIDTH / (bars.len().max(1) as f64);
    let gap = (step * 0.14).min(3.0);
    let mut svg = svg_open(caption, "bars", WIDTH, HEIGHT, true);
    grid(&mut svg);
    for (n, bar) in bars.iter().enumerate() {
        let x = step * n as f64 + gap / 2.0;
        let mut y = HEIGHT;
        if !bar.href.is_empty() {
            // No link in here: a drawing's parts are no controls to a screen reader. The script makes the bar
            // clickable, and the table below holds the same links for everybody.
            let _ = write!(svg, "<g data-href=\"{}\"><title>{}</title>", escape(&bar.href), escape(&bar.label));
        }
        for (value, one) in bar.values.iter().zip(series) {
            let height = positive(*value) / top * HEIGHT;
            if height > 0.0 {
                // A count of one must not vanish below the line: a hair is the least that is drawn.
                let height = height.max(0.8);
                y = (y - height).max(0.0);
                let _ = write!(
                    svg,
                    "<rect class=\"{}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                    escape(one.class),
                    step - gap
                );
            }
        }
        if !bar.href.is_empty() {
            svg.push_str("</g>");
        }
    }
    svg.push_str("</svg>");
    let labels: Vec<&str> = bars.iter().map(|bar| bar.label.as_str()).collect();
    let mut head = vec!["Zeit"];
    head.extend(series.iter().map(|one| one.name));
    let rows = bars.iter().map(|bar| {
        let mut row = vec![bar.label.clone()];
        row.extend(bar.values.iter().map(|value| if value.is_finite() { written(*value) } else { "–".into() }));
        (row, bar.href.as_str())
    });
    figure(caption, &svg, Some(&written(top)), &pick(&labels, 7), &head, rows)
}

/// Horizontal bars of named values, longest first as given: value, unit text and a link each.
pub fn ranked(caption: Caption<'_>, unit: &str, rows: &[(String, f64, String)]) -> Markup {
    let top = rows.iter().map(|row| positive(row.1)).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let height = 14.0 * rows.len().max(1) as f64;
    let mut svg = svg_open(caption, "ranked", WIDTH, height, true);
    for (n, (_, value, _)) in rows.iter().enumerate() {
        let _ = write!(
            svg,
            "<rect class=\"f-act\" x=\"0\" y=\"{:.1}\" width=\"{:.1}\" height=\"10\"/>",
            14.0 * n as f64 + 2.0,
            (positive(*value) / top * WIDTH).max(1.0)
        );
    }
    svg.push_str("</svg>");
    let table = rows.iter().map(|(name, _, text)| (vec![name.clone(), text.clone()], ""));
    figure(caption, &svg, None, &[], &["Wert", unit], table)
}

/// A line over evenly spaced points; a missing value breaks it.
pub fn line(caption: Caption<'_>, unit: &str, points: &[(String, Option<f64>)], target: Option<f64>) -> Markup {
    let values = points.iter().filter_map(|point| point.1);
    let top = nice_top(values.chain(target).map(positive).fold(0.0, f64::max));
    let mut svg = svg_open(caption, "line", WIDTH, HEIGHT, true);
    grid(&mut svg);
    if let Some(target) = target {
        let y = HEIGHT - positive(target) / top * HEIGHT;
        let _ = write!(svg, "<line class=\"f-target\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
    }
    let values: Vec<Option<f64>> = points.iter().map(|point| point.1).collect();
    for path in polylines(&values, top) {
        let _ = write!(svg, "<polyline class=\"f-line\" points=\"{path}\"/>");
    }
    svg.push_str("</svg>");
    let labels: Vec<&str> = points.iter().map(|point| point.0.as_str()).collect();
    let rows =
        points.iter().map(|(label, value)| (vec![label.clone(), value.map_or_else(|| "–".into(), |value| show::decimal(value, 1))], ""));
    figure(caption, &svg, Some(&format!("{} {unit}", show::decimal(top, 0))), &pick(&labels, 7), &["Zeitraum", unit], rows)
}

/// One column of a figure over a few periods.
#[derive(Clone, Debug, Default)]
pub struct Column {
    pub label: String,
    /// `None` leaves a gap.
    pub value: Option<f64>,
    /// What the table says.
    pub text: String,
    pub href: String,
}

/// A figure over a few periods, each column above its label, the target as a dashed line.
pub fn columns(caption: Caption<'_>, head: &str, top_text: &str, columns: &[Column], target: f64) -> Markup {
    let top = nice_top(columns.iter().filter_map(|column| column.value).chain([target]).map(positive).fold(0.0, f64::max));
    let step = WIDTH / (columns.len().max(1) as f64);
    let mut svg = svg_open(caption, "bars", WIDTH, HEIGHT, true);
    grid(&mut svg);
    for (n, column) in columns.iter().enumerate() {
        let Some(value) = column.value else { continue };
        let height = (positive(value) / top * HEIGHT).max(0.8);
        let _ = write!(
            svg,
            "<g data-href=\"{}\"><title>{}: {}</title><rect class=\"f-act\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/></g>",
            escape(&column.href),
            escape(&column.label),
            escape(&column.text),
            step * n as f64 + step * 0.2,
            HEIGHT - height,
            step * 0.6
        );
    }
    let y = HEIGHT - positive(target) / top * HEIGHT;
    let _ = write!(svg, "<line class=\"f-target\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/></svg>");
    svg.push_str("<div class=\"axis-x even\" aria-hidden=\"true\">");
    for column in columns {
        let _ = write!(svg, "<span>{}</span>", escape(&column.label));
    }
    svg.push_str("</div>");
    let rows = columns.iter().map(|column| (vec![column.label.clone(), column.text.clone()], column.href.as_str()));
    figure(caption, &svg, Some(&format!("{}\u{a0}{top_text}", show::decimal(top, 0))), &[], &["Zeitraum", head], rows)
}

/// A small line without axes beside a figure that is written out; decoration, so hidden from readers.
pub fn sparkline(values: &[f64]) -> Markup {
    let top = values.iter().copied().map(positive).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let values: Vec<Option<f64>> = values.iter().map(|value| Some(positive(*value) * 0.9)).collect();
    let mut svg = format!(
        "<svg class=\"spark\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">"
    );
    for path in polylines(&values, top) {
        let _ = write!(
            svg,
            "<polygon class=\"f-band\" points=\"0,{HEIGHT} {path} {WIDTH},{HEIGHT}\"/><polyline class=\"f-line\" points=\"{path}\"/>"
        );
    }
    svg.push_str("</svg>");
    Markup::trusted(svg)
}

/// One step of a Kaplan-Meier curve: at this time the share still open falls to this, within the band.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Hours (or days) since the start.
    pub at: f64,
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

/// The share still open over time, in steps, with its 95 % band. `unit` is that of `at`, up to `until`.
pub fn kaplan_meier(caption: Caption<'_>, unit: &str, steps: &[Step], until: f64) -> Markup {
    let until = if until.is_finite() && until > 0.0 { until } else { 1.0 };
    let x = |at: f64| positive(at).min(until) / until * WIDTH;
    let y = |share: f64| HEIGHT - positive(share).min(1.0) * HEIGHT;
    let mut svg = svg_open(caption, "km", WIDTH, HEIGHT, true);
    grid(&mut svg);
    let shown: Vec<Step> = steps.iter().copied().filter(|step| step.at <= until).collect();
    // Corners: to the right at the old height, then down.
    let corners = |height: &dyn Fn(&Step) -> f64| -> Vec<(f64, f64)> {
        let mut points = vec![(0.0, y(1.0))];
        let mut last = y(1.0);
        for step in &shown {
            points.push((x(step.at), last));
            last = y(height(step));
            points.push((x(step.at), last));
        }
        points.push((WIDTH, last));
        points
    };
    let text = |points: &[(f64, f64)]| points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ");
    let mut band = corners(&|step| step.high);
    band.extend(corners(&|step| step.low).into_iter().rev());
    let _ = write!(svg, "<polygon class=\"f-band\" points=\"{}\"/>", text(&band));
    let _ = write!(svg, "<polyline class=\"f-line\" points=\"{}\"/>", text(&corners(&|step| step.share)));
    svg.push_str("</svg>");
    let labels: Vec<String> = (0..=4).map(|n| format!("{} {unit}", show::decimal(until * f64::from(n) / 4.0, 0))).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let rows = shown.iter().map(|step| {
        let band = format!("{} bis {}", show::percent(step.low), show::percent(step.high));
        (vec![show::decimal(step.at, 1), show::percent(step.share), band], "")
    });
    figure(caption, &svg, Some("100\u{a0}%"), &labels, &[&format!("nach ({unit})"), "noch offen", "95-%-Band"], rows)
}

/// How many cases fall in each class of a value, with the median and the 90th percentile as lines.
pub fn distribution(caption: Caption<'_>, unit: &str, bars: &[(String, u64)]) -> Markup {
    let bars: Vec<Bar> =
        bars.iter().map(|(label, count)| Bar { label: label.clone(), values: vec![*count as f64], href: String::new() }).collect();
    stacked(caption, &[Series { class: "f-act", name: unit }], &bars)
}

/// Where each Kreis stands on the tile map: (sign, column, row).
const TILES: [(&str, u8, u8); 22] = [
    ("NDH", 1, 0),
    ("KYF", 2, 0),
    ("EIC", 0, 1),
    ("UH", 1, 1),
    ("SÖM", 2, 1),
    ("AP", 3, 1),
    ("SHK", 4, 1),
    ("G", 5, 1),
    ("ABG", 6, 1),
    ("WAK", 0, 2),
    ("GTH", 1, 2),
    ("EF", 2, 2),
    ("WE", 3, 2),
    ("J", 4, 2),
    ("GRZ", 5, 2),
    ("SM", 0, 3),
    ("SHL", 1, 3),
    ("IK", 2, 3),
    ("SLF", 3, 3),
    ("SOK", 4, 3),
    ("HBN", 1, 4),
    ("SON", 2, 4),
];

/// The 22 Kreise as tiles, shaded by value in four classes. `value` gives the number of a Kreis by its key, and how
/// it is written; a Kreis without a number stays empty.
pub fn tile_map(caption: Caption<'_>, what: &str, value: impl Fn(&str) -> Option<(f64, String)>) -> Markup {
    const STEP: u16 = 60;
    let found: Vec<(&ingest::body::Kreis, Option<(f64, String)>)> = KREISE.iter().map(|kreis| (kreis, value(kreis.key))).collect();
    let top = found.iter().filter_map(|(_, value)| value.as_ref()).map(|value| positive(value.0)).fold(0.0, f64::max);
    let mut svg = svg_open(caption, "tilemap", 420.0, 300.0, false);
    for (sign, column, row) in TILES {
        let Some((kreis, value)) = found.iter().find(|(kreis, _)| kreis.sign == sign) else { continue };
        let shade = match value {
            Some((number, _)) if *number > 0.0 && top > 0.0 => ((number / top * 3.0).ceil() as u8).clamp(1, 3),
            _ => 0,
        };
        let (x, y) = (u16::from(column) * STEP, u16::from(row) * STEP);
        let text = value.as_ref().map_or_else(|| "–".to_owned(), |value| value.1.clone());
        let _ = write!(
            svg,
            "<g class=\"t{shade}\"><title>{}: {}</title><rect x=\"{}\" y=\"{}\" width=\"56\" height=\"56\" rx=\"6\"/><text class=\"sign\" x=\"{}\" y=\"{}\">{sign}</text><text x=\"{}\" y=\"{}\">{}</text></g>",
            escape(kreis.name),
            escape(&text),
            x + 2,
            y + 2,
            x + 30,
            y + 26,
            x + 30,
            y + 46,
            escape(&text)
        );
    }
    svg.push_str("</svg>");
    let rows = found
        .iter()
        .map(|(kreis, value)| (vec![kreis.name.to_owned(), value.as_ref().map_or_else(|| "–".into(), |value| value.1.clone())], ""));
    figure(caption, &svg, None, &[], &["Kreis", what], rows)
}

/// The hours of a week as squares, a row for each day: a tone from 0 to 4 and a text each; `None` where nothing is known.
pub fn week(caption: Caption<'_>, days: &[&str; 7], hours: &[Option<(usize, String)>]) -> Markup {
    let mut svg = svg_open(caption, "heat", 264.0, 92.0, false);
    for (row, day) in days.iter().enumerate() {
        let _ = write!(svg, "<text x=\"0\" y=\"{}\">{}</text>", row * 11 + 9, escape(day));
    }
    for (place, hour) in hours.iter().take(7 * 24).enumerate() {
        let (x, y) = (22 + place % 24 * 10, place / 24 * 11);
        let (class, text) = hour.as_ref().map_or(("none".to_owned(), "?"), |(tone, text)| (format!("h{}", (*tone).min(4)), text));
        let day = days.get(place / 24).copied().unwrap_or_default();
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"9\" height=\"10\" rx=\"1.5\"><title>{} {} Uhr: {}</title></rect>",
            escape(day),
            place % 24,
            escape(text)
        );
    }
    for hour in [0, 6, 12, 18] {
        let _ = write!(svg, "<text x=\"{}\" y=\"89\">{hour} Uhr</text>", 22 + hour * 10);
    }
    svg.push_str("</svg>");
    let mut head = vec!["Uhr"];
    head.extend(days);
    let rows = (0..24).map(|hour| {
        let cell = |day: usize| hours.get(day * 24 + hour).and_then(|one| Some(one.as_ref()?.1.clone())).unwrap_or_else(|| "–".into());
        (std::iter::once(hour.to_string()).chain((0..7).map(cell)).collect(), "")
    });
    figure(caption, &svg, None, &[], &head, rows)
}

fn positive(value: f64) -> f64 {
    if value.is_finite() && value > 0.0 { value } else { 0.0 }
}

/// The round number at or above the greatest value, so that the axis can name it.
fn nice_top(max: f64) -> f64 {
    let max = positive(max);
    if max <= 0.0 {
        return 1.0;
    }
    let magnitude = 10f64.powf(max.log10().floor());
    let factor = [1.0, 2.0, 3.0, 5.0, 10.0].into_iter().find(|factor| factor * magnitude >= max * 0.999_999).unwrap_or(10.0);
    (factor * magnitude).max(1.0)
}

fn svg_open(caption: Caption<'_>, class: &str, width: f64, height: f64, stretch: bool) -> String {
    let id = escape(caption.id);
    let aspect = if stretch { " preserveAspectRatio=\"none\"" } else { "" };
    format!(
        "<svg class=\"chart {class}\" viewBox=\"0 0 {width} {height}\"{aspect} role=\"img\" aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
        escape(caption.title),
        escape(caption.desc)
    )
}

fn grid(svg: &mut String) {
    for y in [0.0, HEIGHT / 2.0, HEIGHT] {
        let _ = write!(svg, "<line class=\"axis\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\"/>");
    }
}

fn polylines(values: &[Option<f64>], top: f64) -> Vec<String> {
    let step = WIDTH / (values.len().saturating_sub(1).max(1) as f64);
    let mut paths = vec![];
    let mut path = String::new();
    for (n, value) in values.iter().enumerate() {
        match value {
            Some(value) => {
                let space = if path.is_empty() { "" } else { " " };
                let _ = write!(path, "{space}{:.1},{:.1}", step * n as f64, HEIGHT - positive(*value) / top * HEIGHT);
            }
            None => paths.extend(Some(std::mem::take(&mut path)).filter(|path| !path.is_empty())),
        }
    }
    paths.extend(Some(path).filter(|path| !path.is_empty()));
    paths
}

/// At most `max` of the labels, evenly spread, the first and the last among them.
fn pick<'a>(labels: &[&'a str], max: usize) -> Vec<&'a str> {
    if labels.len() <= max {
        return labels.to_vec();
    }
    (0..max).filter_map(|n| labels.get(n * (labels.len() - 1) / (max - 1)).copied()).collect()
}

/// The drawing with its axis texts and its table.
fn figure<'r>(
    caption: Caption<'_>,
    svg: &str,
    top: Option<&str>,
    labels: &[&str],
    head: &[&str],
    rows: impl Iterator<Item = (Vec<String>, &'r str)>,
) -> Markup {
    let mut out = String::from("<figure class=\"figure\">");
    if let Some(top) = top {
        let _ = write!(out, "<div class=\"axis-y\" aria-hidden=\"true\">{}</div>", escape(top));
    }
    out.push_str(svg);
    if !labels.is_empty() {
        out.push_str("<div class=\"axis-x\" aria-hidden=\"true\">");
        for label in labels {
            let _ = write!(out, "<span>{}</span>", escape(label));
        }
        out.push_str("</div>");
    }
    out.push_str("<details class=\"data\"><summary>Als Tabelle</summary><div class=\"wide\" tabindex=\"0\" role=\"region\"");
    let _ = write!(out, " aria-label=\"Daten: {0}\"><table class=\"table\"><caption>{0}</caption><thead><tr>", escape(caption.title));
    for (n, cell) in head.iter().enumerate() {
        let class = if n == 0 { "" } else { " class=\"right\"" };
        let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", escape(cell));
    }
    out.push_str("</tr></thead><tbody>");
    for (row, href) in rows {
        out.push_str("<tr>");
        for (n, cell) in row.iter().enumerate() {
            let _ = match n {
                0 if !href.is_empty() => write!(out, "<th scope=\"row\"><a href=\"{}\">{}</a></th>", escape(href), escape(cell)),
                0 => write!(out, "<th scope=\"row\">{}</th>", escape(cell)),
                _ => write!(out, "<td class=\"right num\">{}</td>", escape(cell)),
            };
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div></details></figure>");
    Markup::trusted(out)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const CAPTION: Caption<'static> = Caption { id: "c", title: "Treffer & <mehr>", desc: "je Stunde" };

    /// Enough of a parser to say that elements nest and close and no raw `<` or `&` is in between.
    fn well_formed(markup: &str) {
        let mut open: Vec<String> = vec![];
        let mut rest = markup;
        while let Some(start) = rest.find('<') {
            let end = rest[start..].find('>').expect("a tag that ends") + start;
            let tag = &rest[start + 1..end];
            assert!(!tag.contains('<'), "{tag}");
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop().as_deref(), Some(name)),
                None if tag.ends_with('/') => {}
                None => open.push(tag.split(' ').next().unwrap().to_owned()),
            }
            rest = &rest[end + 1..];
        }
        assert!(open.is_empty(), "{open:?}");
        for part in markup.split('&').skip(1) {
            assert!(["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|name| part.starts_with(name)), "{part}");
        }
        assert!(!markup.contains("style="));
    }

    fn bar(label: &str, values: &[f64]) -> Bar {
        Bar { label: label.into(), values: values.to_vec(), href: format!("/suche?q={label}&x=1") }
    }

    #[test]
    fn a_stacked_histogram() {
        let series = [Series { class: "f-low", name: "niedrig" }, Series { class: "f-crit", name: "kritisch" }];
        let chart = stacked(CAPTION, &series, &[bar("08:00", &[3.0, 1.0]), bar("09:00", &[0.0, f64::NAN])]);
        well_formed(chart.as_str());
        expect![[r#"<figure class="figure"><div class="axis-y" aria-hidden="true">5</div><svg class="chart bars" viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-labelledby="c-t c-d"><title id="c-t">Treffer &amp; &lt;mehr&gt;</title><desc id="c-d">je Stunde</desc><line class="axis" x1="0" x2="1000" y1="0" y2="0"/><line class="axis" x1="0" x2="1000" y1="50" y2="50"/><line class="axis" x1="0" x2="1000" y1="100" y2="100"/><g data-href="/suche?q=08:00&amp;x=1"><title>08:00</title><rect class="f-low" x="1.5" y="40.0" width="497.0" height="60.0"/><rect class="f-crit" x="1.5" y="20.0" width="497.0" height="20.0"/></g><g data-href="/suche?q=09:00&amp;x=1"><title>09:00</title></g></svg><div class="axis-x" aria-hidden="true"><span>08:00</span><span>09:00</span></div><details class="data"><summary>Als Tabelle</summary><div class="wide" tabindex="0" role="region" aria-label="Daten: Treffer &amp; &lt;mehr&gt;"><table class="table"><caption>Treffer &amp; &lt;mehr&gt;</caption><thead><tr><th scope="col">Zeit</th><th scope="col" class="right">niedrig</th><th scope="col" class="right">kritisch</th></tr></thead><tbody><tr><th scope="row"><a href="/suche?q=08:00&amp;x=1">08:00</a></th><td class="right num">3</td><td class="right num">1</td></tr><tr><th scope="row"><a href="/suche?q=09:00&amp;x=1">09:00</a></th><td class="right num">0</td><td class="right num">–</td></tr></tbody></table></div></details></figure>"#]].assert_eq(chart.as_str());
    }

    #[test]
    fn every_chart_is_well_formed_even_without_or_with_odd_values() {
        for values in [vec![], vec![0.0], vec![f64::INFINITY, -1.0, f64::NAN, 1e300, 0.5]] {
            let named: Vec<(String, f64, String)> = values.iter().map(|value| ("<x>&".into(), *value, "\"".into())).collect();
            let points: Vec<(String, Option<f64>)> =
                values.iter().map(|value| ("'".into(), Some(*value))).chain([("–".into(), None)]).collect();
            let steps: Vec<Step> = values.iter().map(|value| Step { at: *value, share: *value, low: *value, high: *value }).collect();
            let bars: Vec<Bar> = values.iter().map(|value| bar("<", &[*value])).collect();
            for chart in [
                stacked(CAPTION, &[Series { class: "f-act", name: "n" }], &bars),
                ranked(CAPTION, "Bytes", &named),
                line(CAPTION, "h", &points, Some(4.0)),
                columns(
                    CAPTION,
                    "<Wert>",
                    "h",
                    &values
                        .iter()
                        .map(|value| Column { label: "<".into(), value: Some(*value), text: "&".into(), href: "/?a&b".into() })
                        .collect::<Vec<_>>(),
                    4.0,
                ),
                sparkline(&values),
                kaplan_meier(CAPTION, "h", &steps, 72.0),
                distribution(CAPTION, "Fälle", &[("< 1 h".into(), 3)]),
                week(CAPTION, &["<"; 7], &[Some((9, "&".to_owned())), None]),
                tile_map(CAPTION, "Vorfälle", |_| values.first().map(|value| (*value, value.to_string()))),
            ] {
                well_formed(chart.as_str());
                assert!(!chart.as_str().contains("NaN"), "{}", chart.as_str());
            }
        }
    }

    #[test]
    fn every_kreis_has_one_tile_of_its_own() {
        let mut places: Vec<(u8, u8)> = TILES.iter().map(|tile| (tile.1, tile.2)).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 22);
        assert!(KREISE.iter().all(|kreis| TILES.iter().any(|tile| tile.0 == kreis.sign)));
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (max, expected) in [(0.0, 1.0), (0.3, 1.0), (4.0, 5.0), (5.0, 5.0), (17.0, 20.0), (3_912.0, 5_000.0), (1_000.0, 1_000.0)] {
            assert_eq!(nice_top(max), expected, "{max}");
        }
    }

    #[test]
    fn a_curve_falls_in_steps() {
        let steps = [Step { at: 10.0, share: 0.5, low: 0.3, high: 0.7 }, Step { at: 20.0, share: 0.0, low: 0.0, high: 0.2 }];
        let chart = kaplan_meier(CAPTION, "h", &steps, 40.0);
        assert!(
            chart.as_str().contains("points=\"0.0,0.0 250.0,0.0 250.0,50.0 500.0,50.0 500.0,100.0 1000.0,100.0\""),
            "{}",
            chart.as_str()
        );
    }
}

//! What every chart has: the drawing with its title, sentence and patterns, the axes, the key, and below it how many
//! there are, in which unit, and all of it as a table.

use std::fmt::Write as _;

use super::axis::{self, Label, Placed};
use super::ink::Ink;
use super::scale::Scale;
use super::unit::Unit;
use crate::show::{self, Markup, escape};
use crate::words::t;

/// An id unique on its page, a title, and what the drawing is ("Balken je Stunde"); the gist comes from the values.
#[derive(Clone, Copy, Debug)]
pub struct Caption<'a> {
    pub id: &'a str,
    pub title: &'a str,
    pub desc: &'a str,
}

/// Free width left of the drawing for the value axis' texts; each is a class in chart.css.
pub(super) const GUTTERS: [f64; 8] = [0.0, 20.0, 28.0, 38.0, 48.0, 60.0, 74.0, 90.0];
/// Above the plot: the unit.
const TOP: f64 = 20.0;
/// Below it: a line of labels.
const BOTTOM: f64 = 22.0;

/// A number as an attribute: two decimals, never anything but a number.
pub(super) fn n(value: f64) -> String {
    if !value.is_finite() {
        return "0".into();
    }
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.to_owned() }
}

/// A share of the width as an attribute.
pub(super) fn pct(part: f64) -> String {
    format!("{}%", n(part.clamp(0.0, 1.0) * 100.0))
}

/// Names and values from outside as text of a drawing: nothing in it turns the line around or hides.
pub(super) fn text(data: &str) -> String {
    escape(&show::safe(data))
}

/// An id that is one whatever comes in: also part of `url(#…)`.
pub(super) fn id(caption: Caption<'_>) -> String {
    let id: String = caption.id.chars().filter(|ch| ch.is_ascii_alphanumeric() || matches!(ch, '-' | '_')).collect();
    format!("d-{id}")
}

/// The plot and its axes while a kind draws into it: x as shares of the width, y in pixels from the top.
pub(super) struct Plot<'a> {
    pub(super) scale: Scale,
    pub(super) height: f64,
    unit: Unit<'a>,
    gutter: usize,
    bottom: f64,
    /// What a kind drew.
    pub(super) marks: String,
}

impl<'a> Plot<'a> {
    pub(super) fn new(scale: Scale, unit: Unit<'a>, height: f64) -> Self {
        let longest = scale.ticks.iter().map(|tick| axis::text_px(&unit.tick(*tick, &scale))).fold(0.0, f64::max);
        let gutter = gutter(longest);
        Self { scale, height, unit, gutter, bottom: BOTTOM, marks: String::new() }
    }

    pub(super) fn gutter_px(&self) -> f64 {
        GUTTERS.get(self.gutter).copied().unwrap_or_default()
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        self.height * (1.0 - self.scale.part(value))
    }

    /// Labels along the lower edge.
    pub(super) fn labels(&mut self, sets: &[Vec<Label>; 3]) {
        let y = self.height + 15.0;
        let placed = axis::place(sets, self.gutter_px());
        texts(&mut self.marks, &placed, y);
    }

    /// Room for `rows` more lines of text below the labels.
    pub(super) fn more_rows(&mut self, rows: usize) {
        self.bottom = BOTTOM + 15.0 * rows as f64;
    }

    /// A line across at a value to be reached.
    pub(super) fn target(&mut self, value: f64) {
        let y = n(self.y(value));
        let _ = write!(self.marks, "<line class=\"target\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>");
    }

    /// The finished drawing's inside, and its height.
    pub(super) fn finish(self) -> Inside {
        let gutter = self.gutter_px();
        let mut out = String::new();
        let mut lines = String::new();
        for tick in &self.scale.ticks {
            let y = self.y(*tick);
            let class = if *tick == 0.0 { "axis zero" } else { "axis" };
            let _ = write!(lines, "<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{0}\" y2=\"{0}\"/>", n(y));
            let _ = write!(
                out,
                "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                -5,
                n(TOP + y + 4.0),
                text(&self.unit.tick(*tick, &self.scale))
            );
        }
        let _ = write!(out, "<text class=\"tick\" x=\"{}\" y=\"9\">{}</text>", n(-gutter), text(&axis::cut(self.unit.name(), 220.0)));
        let inside = format!("{lines}{}", self.marks);
        open_plot(&mut out, TOP, self.height + self.bottom);
        out.push_str(&inside);
        out.push_str("</svg>");
        Inside { svg: out, height: TOP + self.height + self.bottom, gutter: self.gutter }
    }
}

/// The narrowest gutter for texts of this width.
pub(super) fn gutter(text_px: f64) -> usize {
    GUTTERS.iter().position(|gutter| *gutter >= text_px + 8.0).unwrap_or(GUTTERS.len() - 1)
}

/// Opens an inner drawing below what stands above the plot, so that its y begins at the plot's upper edge.
pub(super) fn open_plot(out: &mut String, top: f64, height: f64) {
    let _ = write!(out, "<svg class=\"plot\" y=\"{}\" width=\"100%\" height=\"{}\">", n(top), n(height));
}

/// The inside of a drawing, how high it is, and how wide its gutter: texts in it stand at negative positions.
pub(super) struct Inside {
    pub(super) svg: String,
    pub(super) height: f64,
    pub(super) gutter: usize,
}

impl From<(String, f64)> for Inside {
    fn from((svg, height): (String, f64)) -> Self {
        Self { svg, height, gutter: 0 }
    }
}

/// Opens an inner drawing that is stretched to its place: for curves, which know no shares of the width. 1000 wide.
pub(super) fn open_stretched(out: &mut String, height: f64) {
    let height = n(height);
    let _ = write!(
        out,
        "<svg class=\"stretched\" width=\"100%\" height=\"{height}\" viewBox=\"0 0 1000 {height}\" preserveAspectRatio=\"none\">"
    );
}

pub(super) fn texts(out: &mut String, placed: &[Placed], y: f64) {
    for one in placed {
        let classes = if one.classes == "w0 w1 w2" { "" } else { &one.classes };
        let _ = write!(
            out,
            "<text class=\"tick {classes}\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>",
            pct(one.at),
            n(y),
            one.anchor,
            text(&one.text)
        );
    }
}

/// One text cut to a different length at each width.
pub(super) fn cut_text(out: &mut String, place: &str, data: &str, px: [f64; 3]) {
    let data = show::safe(data);
    let cuts = px.map(|px| axis::cut(&data, px));
    if cuts.iter().all(|cut| *cut == data) {
        let _ = write!(out, "<text {place}>{}</text>", escape(&data));
        return;
    }
    for (width, cut) in cuts.iter().enumerate() {
        let _ = write!(out, "<g class=\"w{width}\"><text {place}>{}</text></g>", escape(cut));
    }
}

/// An entry of the key: a surface, a line, or a mark, and what it stands for.
pub(super) struct Key {
    pub(super) sample: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn surface(ink: Ink, id: &str, name: &str) -> Self {
        Self { sample: format!("<rect class=\"area\" width=\"22\" height=\"12\" fill=\"{}\"/>", ink.fill(id)), name: name.to_owned() }
    }

    pub(super) fn line(class: &str, name: &str) -> Self {
        Self { sample: format!("<line class=\"{class}\" x1=\"0\" x2=\"22\" y1=\"6\" y2=\"6\"/>"), name: name.to_owned() }
    }
}

/// A row of the table: its cells, and where its first leads.
pub(super) struct Row {
    pub(super) cells: Vec<String>,
    pub(super) href: String,
}

/// Everything of a chart, to be put together.
pub(super) struct Figure<'a> {
    pub(super) caption: Caption<'a>,
    pub(super) kind: &'static str,
    pub(super) gist: String,
    pub(super) inks: Vec<Ink>,
    pub(super) drawing: Inside,
    pub(super) keys: Vec<Key>,
    /// How many, and in which unit.
    pub(super) note: String,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Row>,
    /// Attributes of the drawing's place, for the script.
    pub(super) data: String,
    /// What stands between drawing and table.
    pub(super) more: String,
}

impl<'a> Figure<'a> {
    pub(super) fn new(caption: Caption<'a>, kind: &'static str, gist: String, drawing: impl Into<Inside>) -> Self {
        Self {
            caption,
            kind,
            gist,
            inks: vec![],
            drawing: drawing.into(),
            keys: vec![],
            note: String::new(),
            head: vec![],
            rows: vec![],
            data: String::new(),
            more: String::new(),
        }
    }

    pub(super) fn render(self) -> Markup {
        let mut out = format!("<figure class=\"figure\"><div class=\"drawing gut{}\"{}>", self.drawing.gutter, self.data);
        out.push_str(&svg(self.caption, self.kind, &self.gist, &self.inks, &self.drawing));
        out.push_str("</div>");
        if !self.keys.is_empty() {
            out.push_str("<ul class=\"key\">");
            for key in &self.keys {
                let _ = write!(
                    out,
                    "<li><svg class=\"chart\" width=\"22\" height=\"12\" aria-hidden=\"true\" focusable=\"false\">{}</svg>{}</li>",
                    key.sample,
                    text(&key.name)
                );
            }
            out.push_str("</ul>");
        }
        out.push_str(&self.more);
        out.push_str("<div class=\"below\">");
        table(&mut out, &self);
        if !self.note.is_empty() {
            let _ = write!(out, "<p class=\"num\">{}</p>", text(&self.note));
        }
        out.push_str("</div></figure>");
        Markup::trusted(out)
    }
}

/// The drawing itself.
pub(super) fn svg(caption: Caption<'_>, kind: &str, gist: &str, inks: &[Ink], inside: &Inside) -> String {
    let id = id(caption);
    let desc = [caption.desc, gist].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let mut out = format!(
        "<svg class=\"chart {kind}\" width=\"100%\" height=\"{}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\" focusable=\"false\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
        n(inside.height),
        text(caption.title),
        text(&desc)
    );
    if !inks.is_empty() {
        out.push_str("<defs>");
        for ink in inks {
            ink.define(&id, &mut out);
        }
        out.push_str("</defs>");
    }
    out.push_str(&inside.svg);
    out.push_str("</svg>");
    out
}

fn table(out: &mut String, figure: &Figure<'_>) {
    if figure.rows.is_empty() {
        return;
    }
    let title = text(figure.caption.title);
    let _ = write!(
        out,
        "<details class=\"data\"><summary>{}</summary><div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{}: {title}\"><table class=\"table\"><caption>{title}{}</caption><thead><tr>",
        escape(t("Als Tabelle")),
        escape(t("Daten")),
        if figure.note.is_empty() { String::new() } else { format!(" ({})", text(&figure.note)) }
    );
    for (place, cell) in figure.head.iter().enumerate() {
        let class = if place == 0 { "" } else { " class=\"right\"" };
        let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", text(cell));
    }
    out.push_str("</tr></thead><tbody>");
    for row in &figure.rows {
        out.push_str("<tr>");
        for (place, cell) in row.cells.iter().enumerate() {
            // A link or a row without a name could be neither heard nor hit.
            let cell = if place == 0 && cell.is_empty() { t("(leer)") } else { cell.as_str() };
            let _ = match (place, own(&row.href)) {
                (0, None) => write!(out, "<th scope=\"row\">{}</th>", show::shown(cell)),
                (0, Some(href)) => write!(out, "<th scope=\"row\"><a href=\"{}\">{}</a></th>", escape(href), show::shown(cell)),
                _ => write!(out, "<td class=\"right num\">{}</td>", text(cell)),
            };
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div></details>");
}

/// A group that leads somewhere by a click and says what it is under the pointer. No link: a drawing's parts are no
/// controls to a screen reader. The script makes it clickable, and the table holds the same links for everybody.
pub(super) fn open_part(out: &mut String, href: &str, title: &str) {
    let href = own(href).map(|href| format!(" data-href=\"{}\"", escape(href))).unwrap_or_default();
    let _ = write!(out, "<g{href}><title>{}</title>", text(title));
}

/// A link of this house; everything else is none.
fn own(href: &str) -> Option<&str> {
    Some(href).filter(|href| href.starts_with('/') && !href.starts_with("//") && !href.contains(|ch: char| ch.is_control() || ch == '\\'))
}

/// `n = 1.234 · Einheit: Fälle`
pub(super) fn note(count: &str, unit: Unit<'_>) -> String {
    let n = format!("n\u{a0}=\u{a0}{count}");
    match unit {
        Unit::Count(noun) => format!("{n}\u{a0}{noun}"),
        unit => format!("{n} · {}: {}", t("Einheit"), unit.name()),
    }
}

pub(super) fn empty(caption: Caption<'_>, kind: &'static str) -> Markup {
    let mut out = String::new();
    let _ = write!(out, "<text class=\"none\" x=\"50%\" y=\"36\" text-anchor=\"middle\">{}</text>", escape(t("Keine Daten")));
    Figure::new(caption, kind, t("Keine Daten.").into(), (out, 60.0)).render()
}

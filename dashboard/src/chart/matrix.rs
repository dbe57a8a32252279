//! What is covered by what: rows by columns, each crossing full, partly, not, or not wanted. The shape says it, the
//! colour only helps.

use std::fmt::Write as _;

use super::axis::{self, CHAR_PX, WIDTHS};
use super::frame::{self, Caption, Figure, Key, Row, n, pct};
use crate::show::Markup;
use crate::words::{t, tf};

/// How a row is covered by a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    Full,
    Part,
    No,
    /// Not wanted here: counts nowhere.
    Void,
}

/// A row of the matrix.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    pub label: String,
    pub cells: Vec<Cover>,
    pub href: String,
}

const ROWS_MAX: usize = 60;
const COLUMNS_MAX: usize = 16;
const ROW_PX: f64 = 26.0;
/// Share of the width that the rows' names have.
const NAMES: f64 = 0.34;
/// The columns' names: one line, shortened to what fits.
const HEAD_PX: f64 = 20.0;

impl Cover {
    const ALL: [Self; 4] = [Self::Full, Self::Part, Self::No, Self::Void];

    fn name(self) -> &'static str {
        match self {
            Self::Full => t("voll"),
            Self::Part => t("teilweise"),
            Self::No => t("nicht"),
            Self::Void => t("nicht nötig"),
        }
    }

    /// A mark around the origin.
    fn mark(self) -> &'static str {
        match self {
            Self::Full => "<circle class=\"m-full\" r=\"7\"/>",
            Self::Part => "<circle class=\"m-ring\" r=\"6.2\"/><path class=\"m-full\" d=\"M0-7a7 7 0 0 0 0 14z\"/>",
            Self::No => "<circle class=\"m-no\" r=\"6.2\"/>",
            Self::Void => "<path class=\"m-void\" d=\"M-4 0h8\"/>",
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Part => "part",
            Self::No => "no",
            Self::Void => "void",
        }
    }
}

pub fn matrix(caption: Caption<'_>, head: &str, columns: &[String], rows: &[Coverage]) -> Markup {
    let columns = columns.get(..columns.len().min(COLUMNS_MAX)).unwrap_or_default();
    let shown = rows.get(..rows.len().min(ROWS_MAX)).unwrap_or_default();
    if columns.is_empty() || shown.is_empty() {
        return frame::empty(caption, "matrix");
    }
    let id = frame::id(caption);
    let mut out = String::from("<defs>");
    for cover in Cover::ALL {
        let _ = write!(out, "<g id=\"{id}-{}\">{}</g>", cover.id(), cover.mark());
    }
    out.push_str("</defs>");
    let step = (1.0 - NAMES) / columns.len() as f64;
    let centre = |place: usize| NAMES + step * (place as f64 + 0.5);
    for (place, column) in columns.iter().enumerate() {
        let at = format!("class=\"tick\" x=\"{}\" y=\"12\" text-anchor=\"middle\"", pct(centre(place)));
        frame::cut_text(&mut out, &at, column, WIDTHS.map(|width| width * step - CHAR_PX));
    }
    for (line, row) in shown.iter().enumerate() {
        let top = HEAD_PX + ROW_PX * line as f64;
        let _ = write!(out, "<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"{0}\" y2=\"{0}\"/>", n(top));
        frame::open_part(&mut out, &row.href, &row.label);
        let at = format!("class=\"name\" x=\"0\" y=\"{}\"", n(top + 17.0));
        frame::cut_text(&mut out, &at, &row.label, WIDTHS.map(|width| width * NAMES / 1.15 - CHAR_PX));
        out.push_str("</g>");
        for (place, column) in columns.iter().enumerate() {
            let cover = row.cells.get(place).copied().unwrap_or(Cover::Void);
            frame::open_part(&mut out, "", &format!("{}, {column}: {}", row.label, cover.name()));
            let _ = write!(out, "<use href=\"#{id}-{}\" x=\"{}\" y=\"{}\"/></g>", cover.id(), pct(centre(place)), n(top + ROW_PX / 2.0));
        }
    }
    let mut figure = Figure::new(caption, "matrix", gist(columns, rows), (out, HEAD_PX + ROW_PX * shown.len() as f64));
    let key = |cover: Cover| Key {
        sample: format!("<svg x=\"11\" y=\"6\" width=\"1\" height=\"1\">{}</svg>", cover.mark()),
        name: cover.name().into(),
    };
    figure.keys = Cover::ALL.map(key).into();
    figure.note = axis::cut(&format!("n\u{a0}=\u{a0}{} × {}", rows.len(), columns.len()), 400.0);
    figure.head = std::iter::once(head.to_owned()).chain(columns.iter().cloned()).collect();
    figure.rows = rows
        .iter()
        .map(|row| Row {
            cells: std::iter::once(row.label.clone())
                .chain((0..columns.len()).map(|place| row.cells.get(place).copied().unwrap_or(Cover::Void).name().to_owned()))
                .collect(),
            href: row.href.clone(),
        })
        .collect();
    figure.render()
}

fn gist(columns: &[String], rows: &[Coverage]) -> String {
    let all = |cover| count(cover, rows.iter().flat_map(|row| row.cells.iter().take(columns.len())));
    let (full, part, no) = (all(Cover::Full), all(Cover::Part), all(Cover::No));
    let wanted = full + part + no;
    let text = tf(
        "{full} von {wanted} voll, {part} teilweise, {no} nicht.",
        &[("full", &full), ("wanted", &wanted), ("part", &part), ("no", &no)],
    );
    let gaps = |row: &&Coverage| count(Cover::No, row.cells.iter().take(columns.len()));
    match rows.iter().rev().max_by_key(gaps).filter(|row| gaps(row) > 0) {
        Some(row) => format!("{text} {}", tf("Die meisten Lücken hat {label}: {n}.", &[("label", &row.label), ("n", &gaps(&row))])),
        None => text,
    }
}

fn count<'a>(cover: Cover, cells: impl Iterator<Item = &'a Cover>) -> usize {
    cells.filter(|cell| **cell == cover).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_counted() {
        let row = |label: &str, cells: &[Cover]| Coverage { label: label.into(), cells: cells.into(), href: String::new() };
        let rows = [row("Gotha", &[Cover::Full, Cover::No]), row("Jena", &[Cover::Part, Cover::Void])];
        let columns = ["a".to_owned(), "b".to_owned()];
        assert_eq!(gist(&columns, &rows), "1 von 3 voll, 1 teilweise, 1 nicht. Die meisten Lücken hat Gotha: 1.");
        assert_eq!(gist(&columns, &[row("Jena", &[Cover::Full])]), "1 von 1 voll, 0 teilweise, 0 nicht.");
    }
}

//! The hours of a week as squares, a row for each day: more is darker, and denser where colours are forced.

use std::fmt::Write as _;

use super::axis::{self, Label};
use super::frame::{self, Caption, Figure, Inside, Key, Row, n, pct};
use super::ink::Ink;
use super::scale::{positive, sane};
use crate::show::Markup;
use crate::words::{t, tf};

/// What is known of an hour: its value, and how it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub value: f64,
    pub text: String,
}

const HOURS: usize = 24;
const ROW_PX: f64 = 19.0;
/// For names of days.
const GUTTER: usize = 2;

/// Seven rows of 24, from Monday on; `None` where nothing is known. `limits` part the tones, `keys` say what each tone
/// stands for.
pub fn week(caption: Caption<'_>, head: &str, days: &[&str; 7], cells: &[Option<Cell>], limits: [f64; 4], keys: [&str; 5]) -> Markup {
    let id = frame::id(caption);
    let gutter = frame::GUTTERS.get(GUTTER).copied().unwrap_or_default();
    let mut out = String::new();
    for (row, day) in days.iter().enumerate() {
        let _ = write!(
            out,
            "<text class=\"tick\" x=\"{}\" y=\"{}\">{}</text>",
            n(-gutter),
            n(ROW_PX * row as f64 + 13.0),
            frame::text(&axis::cut(day, 22.0))
        );
    }
    let height = ROW_PX * 7.0;
    for place in 0..7 * HOURS {
        let (row, hour) = (place / HOURS, place % HOURS);
        let cell = cells.get(place).and_then(Option::as_ref).filter(|cell| sane(cell.value).is_some());
        let tone = cell.map(|cell| limits.iter().filter(|limit| cell.value >= **limit).count() as u8);
        let day = days.get(row).copied().unwrap_or_default();
        frame::open_part(
            &mut out,
            "",
            &tf("{day}, {hour} Uhr: {value}", &[("day", &day), ("hour", &hour), ("value", &cell.map_or("?", |cell| &cell.text))]),
        );
        let left = hour as f64 / HOURS as f64;
        let fill = tone.map_or_else(|| "none".to_owned(), |tone| Ink::Tone(tone).fill(&id));
        let class = if tone.is_some() { "cell" } else { "cell void" };
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"16\" rx=\"2\" fill=\"{fill}\"/></g>",
            pct(left + 0.003),
            n(ROW_PX * row as f64 + 1.0),
            pct(1.0 / HOURS as f64 - 0.006)
        );
    }
    let hours = |step: usize| -> Vec<Label> {
        (0..HOURS).step_by(step).map(|hour| Label { at: hour as f64 / HOURS as f64, text: tf("{hour} Uhr", &[("hour", &hour)]) }).collect()
    };
    frame::texts(&mut out, &axis::place(&[hours(6), hours(6), hours(3)], gutter), height + 13.0);
    let known = cells.iter().take(7 * HOURS).flatten().filter(|cell| sane(cell.value).is_some()).count();
    let mut figure = Figure::new(caption, "heat", gist(days, cells), Inside { svg: out, height: height + 20.0, gutter: GUTTER });
    figure.inks = Ink::TONES.into();
    figure.keys =
        Ink::TONES.into_iter().zip(keys).filter(|(_, name)| !name.is_empty()).map(|(ink, name)| Key::surface(ink, &id, name)).collect();
    figure.note = tf("{n} von 168 Stunden der Woche bekannt", &[("n", &known)]);
    figure.head = std::iter::once(head).chain(days.iter().copied()).map(str::to_owned).collect();
    let text = |day: usize, hour: usize| {
        cells.get(day * HOURS + hour).and_then(Option::as_ref).map_or_else(|| "–".into(), |cell| cell.text.clone())
    };
    figure.rows = (0..HOURS)
        .map(|hour| Row {
            cells: std::iter::once(tf("{hour} Uhr", &[("hour", &hour)])).chain((0..7).map(|day| text(day, hour))).collect(),
            href: String::new(),
        })
        .collect();
    figure.render()
}

fn gist(days: &[&str; 7], cells: &[Option<Cell>]) -> String {
    let known = || {
        let cells = cells.iter().take(7 * HOURS).enumerate();
        cells.filter_map(|(place, cell)| Some((place, cell.as_ref().filter(|cell| cell.value.is_finite())?)))
    };
    let by = |a: &(usize, &Cell), b: &(usize, &Cell)| positive(a.1.value).total_cmp(&positive(b.1.value)).then(b.0.cmp(&a.0));
    let name = |place: usize| {
        tf("{day}, {hour} Uhr", &[("day", &days.get(place / HOURS).copied().unwrap_or_default()), ("hour", &(place % HOURS))])
    };
    match (known().max_by(by), known().min_by(|a, b| positive(a.1.value).total_cmp(&positive(b.1.value)))) {
        (Some((most, high)), Some((least, low))) if high.value != low.value => tf(
            "Höchster Wert: {high} ({high_label}), niedrigster: {low} ({low_label}).",
            &[("high", &high.text), ("high_label", &name(most)), ("low", &low.text), ("low_label", &name(least))],
        ),
        (Some((_, cell)), _) => tf("Alle bekannten Stunden: {value}.", &[("value", &cell.text)]),
        _ => t("Keine Daten.").into(),
    }
}

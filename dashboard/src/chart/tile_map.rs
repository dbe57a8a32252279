//! The 22 Kreise and kreisfreie Städte of Thuringia as tiles, each about where it lies.

use std::fmt::Write as _;

use ingest::body::{KREISE, Kreis};

use super::axis;
use super::frame::{self, Caption, Figure, Key, Row, n, pct};
use super::gist::{self, Point};
use super::ink::Ink;
use super::scale::positive;
use super::unit::Unit;
use crate::show::Markup;
use crate::words::{t, tf};

/// Where each Kreis stands: (sign, column, row).
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
const COLUMNS: f64 = 7.0;
const ROW_PX: f64 = 48.0;
/// What a tile has room for on the narrowest screen.
const TILE_TEXT_PX: f64 = 30.0;

/// Shades the Kreise by value in four classes. `value` gives the number of a Kreis by its key and where it leads; a
/// Kreis without a number stays empty.
pub fn tile_map(caption: Caption<'_>, unit: Unit<'_>, value: impl Fn(&str) -> Option<(f64, String)>) -> Markup {
    let found: Vec<(&Kreis, Option<(f64, String)>)> = KREISE.iter().map(|kreis| (kreis, value(kreis.key))).collect();
    let top = found.iter().filter_map(|(_, value)| value.as_ref()).map(|value| positive(value.0)).fold(0.0, f64::max);
    let id = frame::id(caption);
    let mut out = String::new();
    for (sign, column, row) in TILES {
        let Some((kreis, value)) = found.iter().find(|(kreis, _)| kreis.sign == sign) else { continue };
        let tone = tone(value.as_ref().map(|value| value.0), top);
        let (left, y) = (f64::from(column) / COLUMNS, f64::from(row) * ROW_PX);
        let middle = pct(left + 0.5 / COLUMNS);
        let number = value.as_ref().map_or_else(|| "–".to_owned(), |value| unit.value(value.0));
        let href = value.as_ref().map(|value| value.1.as_str()).unwrap_or_default();
        frame::open_part(&mut out, href, &format!("{}: {number}", kreis.name));
        let fill = tone.map_or_else(|| "none".to_owned(), |tone| Ink::Tone(tone).fill(&id));
        let class = tone.map_or_else(|| "tile void".to_owned(), |tone| format!("tile on-t{tone}"));
        let _ = write!(
            out,
            "<g class=\"{class}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"44\" rx=\"6\" fill=\"{fill}\"/><text class=\"sign\" x=\"{middle}\" y=\"{}\">{sign}</text><text x=\"{middle}\" y=\"{}\">{}</text></g></g>",
            pct(left + 0.004),
            n(y + 2.0),
            pct(1.0 / COLUMNS - 0.008),
            n(y + 21.0),
            n(y + 37.0),
            frame::text(&axis::cut(&number, TILE_TEXT_PX))
        );
    }
    let points: Vec<Point> = found.iter().map(|(kreis, value)| (kreis.name.to_owned(), value.as_ref().map(|value| value.0))).collect();
    let mut figure = Figure::new(caption, "tile-map", gist::spread(&points, unit), (out, 5.0 * ROW_PX));
    figure.inks = Ink::TONES.into();
    figure.keys = keys(&id, unit, top);
    let known = points.iter().filter(|point| point.1.is_some()).count();
    figure.note = frame::note(&tf("{n} Kreise", &[("n", &known)]), Unit::Sign(unit.name()));
    figure.head = vec![t("Kreis").to_owned(), unit.name().to_owned()];
    figure.rows = found
        .iter()
        .map(|(kreis, value)| Row {
            cells: vec![kreis.name.to_owned(), value.as_ref().map_or_else(|| "–".into(), |value| unit.value(value.0))],
            href: value.as_ref().map(|value| value.1.clone()).unwrap_or_default(),
        })
        .collect();
    figure.render()
}

/// 0 for nothing, then up to a third, two thirds and all of the greatest, as tones with room between them.
fn tone(value: Option<f64>, top: f64) -> Option<u8> {
    let value = value.filter(|value| value.is_finite())?;
    if positive(value) <= 0.0 || top <= 0.0 {
        return Some(0);
    }
    Some(match positive(value) / top {
        share if share <= 1.0 / 3.0 => 1,
        share if share <= 2.0 / 3.0 => 2,
        _ => 4,
    })
}

fn keys(id: &str, unit: Unit<'_>, top: f64) -> Vec<Key> {
    if top <= 0.0 {
        return vec![];
    }
    let upto = |share: f64| tf("bis {value}", &[("value", &unit.value(if unit.whole() { (top * share).floor() } else { top * share }))]);
    let all = [(0, unit.value(0.0)), (1, upto(1.0 / 3.0)), (2, upto(2.0 / 3.0)), (4, upto(1.0))];
    // With a top of two there is no whole number up to a third of it.
    let some = all.into_iter().filter(|(tone, _)| !unit.whole() || top >= 3.0 || matches!((tone, top >= 2.0), (0 | 4, _) | (2, true)));
    some.map(|(tone, name)| Key::surface(Ink::Tone(tone), id, &name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kreis_has_one_tile_of_its_own() {
        let mut places: Vec<(u8, u8)> = TILES.iter().map(|tile| (tile.1, tile.2)).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 22);
        assert!(KREISE.iter().all(|kreis| TILES.iter().any(|tile| tile.0 == kreis.sign)));
    }

    #[test]
    fn shades_are_thirds_of_the_greatest() {
        let table = [
            (None, None),
            (Some(0.0), Some(0)),
            (Some(-2.0), Some(0)),
            (Some(f64::NAN), None),
            (Some(3.0), Some(1)),
            (Some(6.0), Some(2)),
            (Some(7.0), Some(4)),
        ];
        for (value, expected) in table {
            assert_eq!(tone(value, 9.0), expected, "{value:?}");
        }
    }
}

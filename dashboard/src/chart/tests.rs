//! What holds for every chart, whatever is drawn: it is well-formed, no text of it is markup, every position is a number
//! and inside the drawing, ids are unique, and the table has every value.

use std::collections::HashMap;

use expect_test::{Expect, expect};
use ingest::time::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::show::Markup;

/// An element as a strict reader of XML sees it.
#[derive(Debug)]
struct Element {
    name: String,
    attributes: HashMap<String, String>,
    /// Places of the elements around it, the outermost first.
    around: Vec<usize>,
    text: String,
}

impl Element {
    fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// Reads markup as XML, and panics where it is none; only the void elements of HTML may stay open.
fn read(markup: &str) -> Vec<Element> {
    let mut all: Vec<Element> = vec![];
    let mut open: Vec<usize> = vec![];
    let mut rest = markup;
    while !rest.is_empty() {
        let (text, tag) = rest.split_once('<').unwrap_or((rest, ""));
        assert!(!text.contains('>'), "{text}");
        if let Some(place) = open.last() {
            let text = unescape(text);
            all[*place].text.push_str(&text);
        }
        if tag.is_empty() {
            break;
        }
        // A `>` may stand in an attribute only escaped, as `escape` does it.
        let (tag, after) = tag.split_once('>').expect("a tag that ends");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().map(|place| all[place].name.clone()).as_deref(), Some(name), "{markup}");
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(!name.is_empty() && name.chars().all(|ch| ch.is_ascii_alphanumeric()), "<{tag}>");
        let element = Element { name: name.into(), attributes: self::attributes(attributes), around: open.clone(), text: String::new() };
        all.push(element);
        if !closed && name != "input" {
            open.push(all.len() - 1);
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
    all
}

fn attributes(mut text: &str) -> HashMap<String, String> {
    let mut all = HashMap::new();
    while !text.trim().is_empty() {
        let name_end = text.find(['=', ' ']).unwrap_or(text.len());
        let (name, rest) = text.split_at(name_end);
        let (value, rest) = match rest.strip_prefix("=\"") {
            Some(rest) => rest.split_once('"').expect("a value that ends"),
            None => ("", rest),
        };
        assert!(
            !name.is_empty() && name.chars().all(|ch| ch.is_ascii_alphanumeric() || ch == '-') && !value.contains('<'),
            "{name}={value}"
        );
        assert!(!name.starts_with("on") && name != "style", "{name} has no place here");
        assert!(all.insert(name.to_owned(), unescape(value)).is_none(), "{name} twice");
        text = rest.strip_prefix(' ').unwrap_or(rest);
    }
    all
}

fn unescape(text: &str) -> String {
    for part in text.split('&').skip(1) {
        assert!(["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|name| part.starts_with(name)), "&{part}");
    }
    assert!(!text.contains(|ch: char| ch.is_control()), "{text:?}");
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

/// A position: a share of the width, or pixels.
fn number(text: &str) -> f64 {
    let number: f64 = text.trim_end_matches('%').parse().unwrap_or_else(|_| panic!("{text:?} is no number"));
    assert!(number.is_finite() && !text.contains(['e', 'N', 'i']), "{text}");
    number
}

/// Everything that must hold.
fn check_all(charts: &[Markup]) {
    let mut ids: Vec<String> = vec![];
    for chart in charts {
        let all = read(chart.as_str());
        ids.extend(all.iter().map(|element| element.get("id").to_owned()).filter(|id| !id.is_empty()));
        for drawing in all.iter().filter(|element| element.get("role") == "img") {
            for part in drawing.get("aria-labelledby").split(' ') {
                let named = all.iter().find(|element| element.get("id") == part).expect("what it is called by");
                assert!(!named.text.is_empty() && matches!(&*named.name, "title" | "desc"), "{named:?}");
            }
        }
        for (place, element) in all.iter().enumerate() {
            inside(&all, place, element);
            let fill = element.get("fill");
            if let Some(id) = fill.strip_prefix("url(#") {
                let id = id.trim_end_matches(')');
                assert!(all.iter().any(|other| other.get("id") == id && other.name == "pattern"), "{fill}");
            }
            if element.name == "use" {
                assert!(all.iter().any(|other| format!("#{}", other.get("id")) == element.get("href")));
            }
        }
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "ids are unique");
}

/// That an element lies within the drawing around it.
fn inside(all: &[Element], place: usize, element: &Element) {
    let around: Vec<&Element> = element.around.iter().map(|place| &all[*place]).collect();
    let Some(frame) = around.iter().rev().find(|outer| outer.name == "svg") else { return };
    if around.iter().any(|outer| matches!(&*outer.name, "pattern" | "defs")) || frame.get("width") == "1" {
        return;
    }
    let (width, height) = match frame.get("viewBox").split(' ').collect::<Vec<_>>().as_slice() {
        [_, _, width, height] => (number(width), number(height)),
        // Positions in pixels stand only in the gutter, or in a sample of a key.
        _ => (90.0, number(frame.get("height"))),
    };
    // Texts of the value axis stand in the gutter, left of the drawing.
    let least = if element.name == "text" { -90.0 } else { 0.0 };
    let x = |text: &str| if text.ends_with('%') { number(text) <= 100.0 } else { number(text) <= width } && number(text) >= least;
    for (name, value) in &element.attributes {
        let fine = match &**name {
            "x" | "x1" | "x2" | "cx" => x(value),
            "y" | "y1" | "y2" | "cy" | "height" => (0.0..=height + 0.01).contains(&number(value)),
            "width" => x(value),
            "r" | "rx" => (0.0..=10.0).contains(&number(value)),
            "points" => value.split(' ').all(|point| {
                let (a, b) = point.split_once(',').expect("a point");
                x(a) && (0.0..=height + 0.01).contains(&number(b))
            }),
            "d" => value
                .split(|ch: char| ch.is_ascii_alphabetic() || ch == ' ')
                .filter(|part| !part.is_empty())
                .all(|part| number(part) >= 0.0),
            _ => true,
        };
        assert!(fine, "{name}={value:?} of {} {place} leaves {width} × {height}", element.name);
    }
    let end = |at: &str, size: &str| number(element.get(at)) + number(element.get(size));
    if element.name == "rect" && element.get("width").ends_with('%') {
        assert!(end("x", "width") <= 100.02 && end("y", "height") <= height + 0.02, "{element:?}");
    }
}

fn cells(chart: &Markup) -> Vec<String> {
    let all = read(chart.as_str());
    let own = |place: usize| -> String {
        all.iter().enumerate().filter(|(n, one)| *n == place || one.around.contains(&place)).map(|(_, one)| one.text.as_str()).collect()
    };
    all.iter().enumerate().filter(|(_, one)| matches!(&*one.name, "td" | "th")).map(|(place, _)| own(place)).collect()
}

fn caption(id: &str) -> Caption<'_> {
    Caption { id, title: "Titel & <mehr>", desc: "Was es ist." }
}

#[test]
fn every_example_holds() {
    let examples: Vec<Markup> = examples().into_iter().map(|example| example.1).collect();
    assert!(examples.len() > 30);
    check_all(&examples);
}

/// What each example says of itself.
#[test]
fn every_example_says_its_gist() {
    let mut gists = String::new();
    for (name, chart) in examples() {
        let desc = read(chart.as_str()).into_iter().find(|element| element.name == "desc").map(|desc| desc.text).unwrap_or_default();
        gists.push_str(&format!("{name}: {}\n", desc.replace('\u{a0}', " ")));
    }
    expect![[r#"
        Rangliste: Zusammen 76.225 Ereignisse. Höchster Wert: 71.204 Ereignisse (198.51.100.23), niedrigster: 1 Ereignisse (192.0.2.14).
        Rangliste: ein Wert: Ein Wert: 71 kB (198.51.100.23).
        Rangliste: leer: Keine Daten.
        Rangliste: riesig, negativ, keine Zahl, bissiger Name: Höchster Wert: 1,0 · 10³⁰⁰ <img src=x onerror=alert(1)>⟨202E⟩"'&␍␊␀ mit einem Namen, der länger ist als jede Zeile (<img src=x onerror=alert(1)>⟨202E⟩"'&␍␊␀ mit einem Namen, der länger ist als jede Zeile), niedrigster: −4,0 · 10²⁹⁹ <img src=x onerror=alert(1)>⟨202E⟩"'&␍␊␀ mit einem Namen, der länger ist als jede Zeile (negativ). 1 ohne Wert.
        Säulen mit Ziel und Lücke: Höchster Wert: 7 h 30 min (Q1 25), niedrigster: 1 h 45 min (Q4 26). 1 ohne Wert. Tendenz: fallend. Ziel ≤ 4 h.
        Säulen: negativ und keine Zahl: Zusammen 4 Fälle. Höchster Wert: 7 Fälle (Juli), niedrigster: −3 Fälle (Mai). 1 ohne Wert.
        Säulen: alles null: Alle 2 Werte sind gleich: 0 Fälle.
        Säulen: leer: Keine Daten.
        Zeitverlauf, gestapelt, Ende der Sommerzeit: Zusammen 397 Ereignisse. Höchster Wert: 24 Ereignisse (24.10.2026, 20:00), niedrigster: 8 Ereignisse (25.10.2026, 11:00). Tendenz: gleichbleibend. Davon kritisch 6, hoch 51, mittel 86, niedrig 160, Hinweis 94.
        Zeitverlauf mit Ausschnitt: Zusammen 88.970 Ereignisse. Höchster Wert: 2.883 Ereignisse (24.10.2026, 14:24), niedrigster: 0 Ereignisse (24.10.2026, 14:00). Tendenz: steigend.
        Sechs Reihen: Zusammen 380 Ereignisse. Höchster Wert: 33 Ereignisse (24.10.2026, 15:00), niedrigster: 29 Ereignisse (24.10.2026, 17:00). Tendenz: gleichbleibend. Davon sechs 66, fünf 62, vier 61, drei 63, zwei 65, eins 63.
        Zeitverlauf: ein Abschnitt: Ein Wert: 1 Ereignisse (24.10.2026, 14:00).
        Zeitverlauf: alles null: Alle 24 Werte sind gleich: 0 Ereignisse.
        Zeitverlauf: leer: Keine Daten.
        Zeitverlauf: riesig, negativ, keine Zahl: Zusammen 1,0 · 10³⁰⁰ Ereignisse. Höchster Wert: 1,0 · 10³⁰⁰ Ereignisse (24.10.2026, 14:00), niedrigster: 0 Ereignisse (24.10.2026, 15:00).
        Linien mit Lücken: Gotha: Höchster Wert: 71 % (01/26), niedrigster: 51 % (06/26). 2 ohne Wert. Tendenz: gleichbleibend. Jena: Höchster Wert: 70 % (12/26), niedrigster: 48 % (08/26). Tendenz: gleichbleibend. Sömmerda: Höchster Wert: 70 % (06/26), niedrigster: 40 % (09/26). 2 ohne Wert. Tendenz: gleichbleibend.
        Linie mit Vertrauensband und Ziel: Höchster Wert: 66 % (24.10.2026, 14:00), niedrigster: 44 % (28.10.2026, 13:00). 2 ohne Wert. Tendenz: gleichbleibend.
        Linie: riesig, negativ, keine Zahl: Höchster Wert: 1,0 · 10³⁰⁰ % (04/26), niedrigster: −1,0 · 10³⁰⁰ % (01/26). 2 ohne Wert.
        Linie: leer: Keine Daten.
        Verlauf im Kleinen: Höchster Wert: 7 h 30 min (Q1), niedrigster: 1 h 45 min (Q8). Tendenz: fallend.
        Verlauf im Kleinen: ein Wert, Lücken, null: Höchster Wert: 3 h (Q2), niedrigster: 0 s (Q4). 2 ohne Wert.
        Verteilung mit Median und P90: 120 Werte von 0 s bis 2 d 13 h; die Hälfte bis 17 h 24 min, neun von zehn bis 41 h 51 min.
        Verteilung: wenige Fälle: 7 Werte von 0 s bis 41 h 51 min; die Hälfte bis 9 h 45 min, neun von zehn bis 41 h 45 min.
        Verteilung: riesig, negativ, keine Zahl: 2 Werte von −1,0 · 10³⁰⁰ x bis 5,0 · 10²⁹⁹ x; die Hälfte bis −2,5 · 10²⁹⁹ x, neun von zehn bis 3,5 · 10²⁹⁹ x.
        Verteilung: leer: Keine Daten.
        Kaplan-Meier mit Band, Zensierten und Beobachteten: Nach 14 h ist die Hälfte beendet; nach 3 d sind noch 20 % offen.
        Kaplan-Meier: noch nichts beendet: Weniger als die Hälfte ist beendet; nach 24 h sind noch 100 % offen.
        Kaplan-Meier: keine Zahlen: Nach −3 h ist die Hälfte beendet; nach 1 h sind noch 0 % offen.
        Kaplan-Meier: leer: Keine Daten.
        Flüsse über drei Spalten: 30 Wege, zusammen 201,1 Fälle; der größte: Jena → Schadsoftware → eingedämmt mit 12,6 Fälle.
        Flüsse: viele, mit „Übrige“: 147 Wege, zusammen 7,2 GB; der größte: 10.1.1.7 → Port 1 → 203.0.113.1 mit 93 MB.
        Flüsse: ein Weg: 1 Wege, zusammen 12,6 Fälle; der größte: Jena → Schadsoftware → eingedämmt mit 12,6 Fälle.
        Flüsse: riesig, keine Zahl, bissiger Name: 1 Wege, zusammen 1,0 · 10³⁰⁰ Fälle; der größte: <img src=x onerror=alert(1)>⟨202E⟩"'&␍␊␀ mit einem Namen, der länger ist als jede Zeile → <img src=x onerror=alert(1)>⟨202E⟩"'&␍␊␀ mit einem Namen, der länger ist als jede Zeile →  mit 1,0 · 10³⁰⁰ Fälle.
        Flüsse: leer: Keine Daten.
        Kachelkarte: Zusammen 306 Vorfälle. Höchster Wert: 28 Vorfälle (Landkreis Hildburghausen), niedrigster: 2 Vorfälle (Landkreis Schmalkalden-Meiningen).
        Kachelkarte: alles null, Unbekannte: Alle 15 Werte sind gleich: 0 Vorfälle. 7 ohne Wert.
        Kachelkarte: riesig, negativ, keine Zahl: Zusammen 5,0 · 10³⁰⁰ Vorfälle. Höchster Wert: 1,0 · 10³⁰⁰ Vorfälle (Gera), niedrigster: −1 Vorfälle (Jena). 5 ohne Wert.
        Woche nach Stunden: Höchster Wert: 558 min (Mo, 1 Uhr), niedrigster: 0 min (Mo, 0 Uhr).
        Woche: nichts bekannt: Keine Daten.
        Abdeckung: 8 von 16 voll, 4 teilweise, 4 nicht. Die meisten Lücken hat Stadtverwaltung Sömmerda: 1.
        Abdeckung: leer: Keine Daten.
    "#]].assert_eq(&gists);
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        5 => -1e4..1e6f64,
        2 => any::<f64>(),
        1 => prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 1e15]),
    ]
}

fn any_label() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        any::<String>(),
        prop::sample::select(
            ["", "\"><script>alert(1)</script>", "' onload='x", "]]>", "&amp;&#x3c;", "\u{202E}\u{0}\r\n\u{1b}[31m", "ö", "-->", "url(#x)"]
                .map(str::to_owned)
                .to_vec()
        ),
    ]
}

fn any_rows() -> impl Strategy<Value = Vec<(String, f64)>> {
    prop::collection::vec((any_label(), any_number()), 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_drawn_stays_a_drawing(rows in any_rows(), title in any_label(), id in any_label(), unit in 0..5usize, start in any::<i64>(), width in 0..=i64::MAX) {
        let unit = [Unit::Count(&title), Unit::Bytes, Unit::Percent, Unit::Hours, Unit::Sign(&title)][unit];
        // A title that is empty is the caller's mistake, not the data's.
        let named = format!("T {title}");
        let caption = |kind: &str| (format!("{kind}{id}"), named.clone());
        let ids: Vec<(String, String)> = ["a", "b", "c", "e", "f", "g", "h", "i", "j", "k"].map(caption).into();
        let caption = |place: usize| Caption { id: &ids[place].0, title: &ids[place].1, desc: &title };
        let labels: Vec<String> = rows.iter().map(|row| row.0.clone()).collect();
        let values: Vec<f64> = rows.iter().map(|row| row.1).collect();
        let options: Vec<Option<f64>> = values.iter().map(|value| (*value != 7.0).then_some(*value)).collect();
        let ranks: Vec<Rank> = rows.iter().map(|(label, value)| Rank { label: label.clone(), value: *value, href: label.clone() }).collect();
        let ranked = ranked(caption(0), &title, unit, &ranks);
        let standing: Vec<Column> = rows.iter().map(|(label, value)| Column { label: label.clone(), value: Some(*value), text: String::new(), href: label.clone() }).collect();
        let columns = columns(caption(1), &title, unit, &standing, values.first().map(|value| (*value, &*title)));
        let bars: Vec<TimeBar> = values.iter().enumerate().map(|(n, value)| TimeBar { at: Timestamp(start.saturating_add(width.saturating_mul(n as i64))), values: vec![*value, 1.0], href: title.clone() }).collect();
        let over = over_time(OverTime {
            caption: caption(2), unit, bars: &bars, until: Timestamp(start),
            series: &[Series { ink: Ink::Crit, name: &title }, Series { ink: Ink::High, name: "b" }],
            before: None, brush: Some(Brush { path: "/suche", pairs: &[("q", &title)] }),
        });
        let band = values.iter().map(|value| Some((*value, -*value))).collect();
        let moments: Vec<Timestamp> = bars.iter().map(|bar| bar.at).collect();
        let line = Line { name: &title, ink: Ink::Two, values: options.clone(), band };
        let spread_out = lines(Lines { caption: caption(3), unit, along: Along::Named(&labels), lines: &[line.clone(), line.clone()], target: None });
        let timed = lines(Lines { caption: caption(4), unit, along: Along::Time(&moments), lines: &[line], target: None });
        let spark = sparkline(caption(5), unit, &labels.iter().cloned().zip(options).collect::<Vec<_>>());
        let cases: Vec<Case> = rows.iter().map(|(label, value)| Case { label: label.clone(), value: *value, href: String::new() }).collect();
        let spread = distribution(caption(6), &title, unit, &cases);
        let steps: Vec<Step> = values.iter().map(|value| Step { at: *value, share: *value, low: *value, high: -*value }).collect();
        let km = kaplan_meier(Curve { caption: caption(7), unit, steps: &steps, n: 3, times: &values, censored: &values, until: values.first().copied().unwrap_or(1.0) });
        let flows: Vec<Flow> = rows.iter().zip(rows.iter().rev()).map(|(a, b)| Flow { path: [a.0.clone(), b.0.clone(), title.clone()], value: a.1, href: a.0.clone() }).collect();
        let sankey = sankey(caption(8), [&title, "b", "c"], unit, &flows);
        let map = tile_map(caption(9), unit, |key| Some((*values.get(key.len())?, title.clone())));
        // Every value of the data is in its table.
        let found = cells(&ranked);
        for rank in &ranks {
            prop_assert!(found.contains(&crate::show::safe(&unit.value(rank.value))) && found.contains(&shown(&rank.label)), "{rank:?} {found:?}");
        }
        let found = cells(&over);
        prop_assert!(values.iter().all(|value| found.contains(&crate::show::safe(&unit.value(*value)))));
        check_all(&[ranked, columns, over, spread_out, timed, spark, spread, km, sankey, map]);
    }

    #[test]
    fn squares_hold_whatever_they_are_given(rows in any_rows(), title in any_label()) {
        let cell = |(text, value): &(String, f64)| Some(Cell { value: *value, text: text.clone() });
        let heat = week(caption("w"), &title, &[&title; 7], &rows.iter().map(cell).collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0], [&title; 5]);
        let columns: Vec<String> = rows.iter().map(|row| row.0.clone()).collect();
        let covered: Vec<Coverage> = rows.iter().map(|row| Coverage { label: row.0.clone(), cells: vec![Cover::No, Cover::Part], href: row.0.clone() }).collect();
        check_all(&[heat, matrix(caption("m"), &title, &columns, &covered)]);
    }
}

fn snapshot(chart: &Markup, expected: Expect) {
    check_all(std::slice::from_ref(chart));
    // The drawing alone, an element a line.
    let svg = chart.as_str().split("<div class=\"below\">").next().unwrap_or_default();
    expected.assert_eq(&svg.replace("><", ">\n<"));
}

#[test]
fn a_ranking() {
    let rows =
        [Rank { label: "<b>".into(), value: 4.0, href: "/?a&b".into() }, Rank { label: "c".into(), value: 1.0, href: String::new() }];
    snapshot(
        &ranked(caption("r"), "Name", Unit::Count("Fälle"), &rows),
        expect![[r#"
            <figure class="figure">
            <div class="drawing gut0">
            <svg class="chart ranked" width="100%" height="72" role="img" aria-labelledby="d-r-t d-r-d" focusable="false">
            <title id="d-r-t">Titel &amp; &lt;mehr&gt;</title>
            <desc id="d-r-d">Was es ist. Zusammen 5 Fälle. Höchster Wert: 4 Fälle (&lt;b&gt;), niedrigster: 1 Fälle (c).</desc>
            <defs>
            <pattern id="d-r-act" class="ink k-act full" width="8" height="8" patternUnits="userSpaceOnUse">
            <rect width="8" height="8"/>
            </pattern>
            </defs>
            <g data-href="/?a&amp;b">
            <title>&lt;b&gt;: 4 Fälle</title>
            <text class="name" x="0" y="13">&lt;b&gt;</text>
            <text class="name num" x="100%" y="13" text-anchor="end">4</text>
            <rect class="track" x="0" y="18" width="100%" height="10"/>
            <rect class="area" x="0%" y="18" width="100%" height="10" fill="url(#d-r-act)"/>
            </g>
            <g>
            <title>c: 1 Fälle</title>
            <text class="name" x="0" y="49">c</text>
            <text class="name num" x="100%" y="49" text-anchor="end">1</text>
            <rect class="track" x="0" y="54" width="100%" height="10"/>
            <rect class="area" x="0%" y="54" width="25%" height="10" fill="url(#d-r-act)"/>
            </g>
            </svg>
            </div>"#]],
    );
}

#[test]
fn a_histogram_over_time() {
    let series = [Series { ink: Ink::Low, name: "niedrig" }, Series { ink: Ink::Crit, name: "kritisch" }];
    let bar = |hour: i64, values: &[f64]| TimeBar { at: Timestamp(hour * Timestamp::HOUR), values: values.to_vec(), href: "/?a&b".into() };
    let bars = [bar(0, &[3.0, 1.0]), bar(1, &[0.0, f64::NAN])];
    let chart = OverTime {
        caption: caption("s"),
        unit: Unit::Count("Fälle"),
        series: &series,
        bars: &bars,
        until: Timestamp(2 * Timestamp::HOUR),
        before: None,
        brush: None,
    };
    snapshot(
        &over_time(chart),
        expect![[r#"
            <figure class="figure">
            <div class="drawing gut1">
            <svg class="chart over-time" width="100%" height="152" role="img" aria-labelledby="d-s-t d-s-d" focusable="false">
            <title id="d-s-t">Titel &amp; &lt;mehr&gt;</title>
            <desc id="d-s-d">Was es ist. Zusammen 4 Fälle. Höchster Wert: 4 Fälle (01.01.1970, 01:00), niedrigster: 0 Fälle (01.01.1970, 02:00). Davon kritisch 1, niedrig 3.</desc>
            <defs>
            <pattern id="d-s-low" class="ink k-low" width="8" height="8" patternUnits="userSpaceOnUse">
            <rect width="8" height="8"/>
            <path d="M0 2h8M0 6h8"/>
            </pattern>
            <pattern id="d-s-crit" class="ink k-crit full" width="8" height="8" patternUnits="userSpaceOnUse">
            <rect width="8" height="8"/>
            </pattern>
            </defs>
            <text class="tick" x="-5" y="134" text-anchor="end">0</text>
            <text class="tick" x="-5" y="79" text-anchor="end">2</text>
            <text class="tick" x="-5" y="24" text-anchor="end">4</text>
            <text class="tick" x="-20" y="9">Fälle</text>
            <svg class="plot" y="20" width="100%" height="132">
            <line class="axis zero" x1="0" x2="100%" y1="110" y2="110"/>
            <line class="axis" x1="0" x2="100%" y1="55" y2="55"/>
            <line class="axis" x1="0" x2="100%" y1="0" y2="0"/>
            <g data-href="/?a&amp;b">
            <title>01.01.1970, 01:00: 3 niedrig, 1 kritisch</title>
            <rect class="hit" x="0%" y="0" width="50%" height="110"/>
            <rect class="area" x="2.5%" y="27.5" width="45%" height="82.5" fill="url(#d-s-low)"/>
            <rect class="area" x="2.5%" y="0" width="45%" height="27.5" fill="url(#d-s-crit)"/>
            </g>
            <g data-href="/?a&amp;b">
            <title>01.01.1970, 02:00: 0 Fälle</title>
            <rect class="hit" x="50%" y="0" width="50%" height="110"/>
            </g>
            <text class="tick " x="0%" y="125" text-anchor="middle">01:00</text>
            <text class="tick w1 w2" x="25%" y="125" text-anchor="middle">01:30</text>
            <text class="tick " x="50%" y="125" text-anchor="middle">02:00</text>
            <text class="tick w1 w2" x="75%" y="125" text-anchor="middle">02:30</text>
            <text class="tick " x="100%" y="125" text-anchor="end">03:00</text>
            </svg>
            </svg>
            </div>
            <ul class="key">
            <li>
            <svg class="chart" width="22" height="12" aria-hidden="true" focusable="false">
            <rect class="area" width="22" height="12" fill="url(#d-s-crit)"/>
            </svg>kritisch</li>
            <li>
            <svg class="chart" width="22" height="12" aria-hidden="true" focusable="false">
            <rect class="area" width="22" height="12" fill="url(#d-s-low)"/>
            </svg>niedrig</li>
            </ul>"#]],
    );
    let brush = Some(Brush { path: "/suche", pairs: &[("q", "a"), ("leer", "")] });
    let brushed = over_time(OverTime { brush, ..chart });
    assert!(brushed.as_str().contains("data-brush=\"/suche?q=a\" data-edges=\"0 3600000 7200000\""), "{}", brushed.as_str());
    assert!(brushed.as_str().contains("name=\"von\" value=\"1970-01-01T01:00\""), "{}", brushed.as_str());
    // The time before is a mark on each bar, in its name, in the key and in the table; the axis has room for it.
    let marked = over_time(OverTime { before: Some(Before { name: "davor", values: &[8.0, 2.0] }), ..chart });
    for (text, times) in
        [("<line class=\"before\"", 3), ("; davor: 8\u{a0}Fälle</title>", 1), (">davor</th>", 1), ("text-anchor=\"end\">10</text>", 1)]
    {
        assert_eq!(marked.as_str().matches(text).count(), times, "{text}: {}", marked.as_str());
    }
}

#[test]
fn standing_bars_with_a_gap_below_zero_and_a_target() {
    let column = |label: &str, value| Column { label: label.into(), value, text: String::new(), href: String::new() };
    let all = [column("Mai", Some(-2.0)), column("Juni", None), column("Juli", Some(4.0))];
    snapshot(
        &columns(caption("c"), "Fälle", Unit::Count("Fälle"), &all, Some((3.0, "Ziel 3"))),
        expect![[r#"
            <figure class="figure">
            <div class="drawing gut2">
            <svg class="chart columns" width="100%" height="162" role="img" aria-labelledby="d-c-t d-c-d" focusable="false">
            <title id="d-c-t">Titel &amp; &lt;mehr&gt;</title>
            <desc id="d-c-d">Was es ist. Zusammen 2 Fälle. Höchster Wert: 4 Fälle (Juli), niedrigster: −2 Fälle (Mai). 1 ohne Wert. Ziel 3.</desc>
            <defs>
            <pattern id="d-c-act" class="ink k-act full" width="8" height="8" patternUnits="userSpaceOnUse">
            <rect width="8" height="8"/>
            </pattern>
            </defs>
            <text class="tick" x="-5" y="144" text-anchor="end">−2</text>
            <text class="tick" x="-5" y="104" text-anchor="end">0</text>
            <text class="tick" x="-5" y="64" text-anchor="end">2</text>
            <text class="tick" x="-5" y="24" text-anchor="end">4</text>
            <text class="tick" x="-28" y="9">Fälle</text>
            <svg class="plot" y="20" width="100%" height="142">
            <line class="axis" x1="0" x2="100%" y1="120" y2="120"/>
            <line class="axis zero" x1="0" x2="100%" y1="80" y2="80"/>
            <line class="axis" x1="0" x2="100%" y1="40" y2="40"/>
            <line class="axis" x1="0" x2="100%" y1="0" y2="0"/>
            <g>
            <title>Mai: −2</title>
            <rect class="hit" x="0%" y="0" width="33.33%" height="120"/>
            <rect class="area" x="6.67%" y="80" width="20%" height="40" fill="url(#d-c-act)"/>
            </g>
            <g>
            <title>Juni: –</title>
            <rect class="hit" x="33.33%" y="0" width="33.33%" height="120"/>
            <text class="tick" x="50%" y="75" text-anchor="middle">–</text>
            </g>
            <g>
            <title>Juli: 4</title>
            <rect class="hit" x="66.67%" y="0" width="33.33%" height="120"/>
            <rect class="area" x="73.33%" y="0" width="20%" height="80" fill="url(#d-c-act)"/>
            </g>
            <line class="target" x1="0" x2="100%" y1="20" y2="20"/>
            <text class="tick " x="16.67%" y="135" text-anchor="middle">Mai</text>
            <text class="tick " x="50%" y="135" text-anchor="middle">Juni</text>
            <text class="tick " x="83.33%" y="135" text-anchor="middle">Juli</text>
            </svg>
            </svg>
            </div>
            <ul class="key">
            <li>
            <svg class="chart" width="22" height="12" aria-hidden="true" focusable="false">
            <line class="target" x1="0" x2="22" y1="6" y2="6"/>
            </svg>Ziel 3</li>
            </ul>"#]],
    );
}

#[test]
fn lines_break_where_nothing_is_known() {
    let names = ["a", "b", "c", "d"].map(str::to_owned);
    let line = Line {
        name: "x",
        ink: Ink::One,
        values: vec![Some(1.0), Some(2.0), None, Some(4.0)],
        band: vec![Some((0.0, 2.0)), Some((1.0, 3.0))],
    };
    snapshot(
        &lines(Lines { caption: caption("l"), unit: Unit::Percent, along: Along::Named(&names), lines: &[line], target: None }),
        expect![[r#"
            <figure class="figure">
            <div class="drawing gut1">
            <svg class="chart lines" width="100%" height="182" role="img" aria-labelledby="d-l-t d-l-d" focusable="false">
            <title id="d-l-t">Titel &amp; &lt;mehr&gt;</title>
            <desc id="d-l-d">Was es ist. Höchster Wert: 4 % (d), niedrigster: 1 % (a). 1 ohne Wert.</desc>
            <text class="tick" x="-5" y="164" text-anchor="end">0</text>
            <text class="tick" x="-5" y="129" text-anchor="end">1</text>
            <text class="tick" x="-5" y="94" text-anchor="end">2</text>
            <text class="tick" x="-5" y="59" text-anchor="end">3</text>
            <text class="tick" x="-5" y="24" text-anchor="end">4</text>
            <text class="tick" x="-20" y="9">Prozent</text>
            <svg class="plot" y="20" width="100%" height="162">
            <line class="axis zero" x1="0" x2="100%" y1="140" y2="140"/>
            <line class="axis" x1="0" x2="100%" y1="105" y2="105"/>
            <line class="axis" x1="0" x2="100%" y1="70" y2="70"/>
            <line class="axis" x1="0" x2="100%" y1="35" y2="35"/>
            <line class="axis" x1="0" x2="100%" y1="0" y2="0"/>
            <svg class="stretched" width="100%" height="140" viewBox="0 0 1000 140" preserveAspectRatio="none">
            <polygon class="band k-c1" points="0,70 333.33,35 333.33,105 0,140"/>
            <polyline class="line k-c1 dash0" points="0,105 333.33,70"/>
            </svg>
            <circle class="point k-c1" cx="100%" cy="0" r="3"/>
            <text class="tick " x="0%" y="155" text-anchor="middle">a</text>
            <text class="tick " x="33.33%" y="155" text-anchor="middle">b</text>
            <text class="tick " x="66.67%" y="155" text-anchor="middle">c</text>
            <text class="tick " x="100%" y="155" text-anchor="end">d</text>
            </svg>
            </svg>
            </div>"#]],
    );
}

#[test]
fn a_curve_falls_in_steps() {
    let steps = [Step { at: 10.0, share: 0.5, low: 0.3, high: 0.7 }, Step { at: 20.0, share: 0.0, low: 0.0, high: 0.2 }];
    let curve =
        Curve { caption: caption("k"), unit: Unit::Hours, steps: &steps, n: 3, times: &[10.0, 15.0, 20.0], censored: &[15.0], until: 40.0 };
    snapshot(
        &kaplan_meier(curve),
        expect![[r#"
            <figure class="figure">
            <div class="drawing gut3">
            <svg class="chart km" width="100%" height="252" role="img" aria-labelledby="d-k-t d-k-d" focusable="false">
            <title id="d-k-t">Titel &amp; &lt;mehr&gt;</title>
            <desc id="d-k-d">Was es ist. Nach 10 h ist die Hälfte beendet; nach 40 h sind noch 0 % offen.</desc>
            <text class="tick" x="-5" y="204" text-anchor="end">0</text>
            <text class="tick" x="-5" y="114" text-anchor="end">50</text>
            <text class="tick" x="-5" y="24" text-anchor="end">100</text>
            <text class="tick" x="-38" y="9">Prozent</text>
            <svg class="plot" y="20" width="100%" height="232">
            <line class="axis zero" x1="0" x2="100%" y1="180" y2="180"/>
            <line class="axis" x1="0" x2="100%" y1="90" y2="90"/>
            <line class="axis" x1="0" x2="100%" y1="0" y2="0"/>
            <svg class="stretched" width="100%" height="180" viewBox="0 0 1000 180" preserveAspectRatio="none">
            <polygon class="band k-act" points="0,0 250,0 250,54 500,54 500,144 1000,144 1000,180 500,180 500,126 250,126 250,0 0,0"/>
            <polyline class="line k-act" points="0,0 250,0 250,90 500,90 500,180 1000,180"/>
            </svg>
            <line class="censored" x1="37.5%" x2="37.5%" y1="85" y2="95"/>
            <text class="tick " x="0%" y="195" text-anchor="middle">0 s</text>
            <text class="tick " x="25%" y="195" text-anchor="middle">10 h</text>
            <text class="tick " x="50%" y="195" text-anchor="middle">20 h</text>
            <text class="tick " x="75%" y="195" text-anchor="middle">30 h</text>
            <text class="tick " x="100%" y="195" text-anchor="end">40 h</text>
            <text class="tick" x="0" y="212">noch beobachtet:</text>
            <text class="tick " x="0%" y="227" text-anchor="middle">3</text>
            <text class="tick " x="25%" y="227" text-anchor="middle">3</text>
            <text class="tick " x="50%" y="227" text-anchor="middle">1</text>
            <text class="tick " x="75%" y="227" text-anchor="middle">0</text>
            <text class="tick " x="100%" y="227" text-anchor="end">0</text>
            </svg>
            </svg>
            </div>
            <ul class="key">
            <li>
            <svg class="chart" width="22" height="12" aria-hidden="true" focusable="false">
            <line class="line k-act" x1="0" x2="22" y1="6" y2="6"/>
            </svg>Anteil noch offen</li>
            <li>
            <svg class="chart" width="22" height="12" aria-hidden="true" focusable="false">
            <line class="line k-act" x1="0" x2="22" y1="6" y2="6"/>
            <line class="censored" x1="11" x2="11" y1="1" y2="11"/>
            </svg>noch nicht beendet</li>
            </ul>"#]],
    );
}

#[test]
fn a_small_distribution_shows_its_cases() {
    let cases = [1.0, 2.0, 9.0].map(|value| Case { label: format!("TC-{value}"), value, href: "/vorfall/1".into() });
    let chart = distribution(caption("v"), "Fälle", Unit::Hours, &cases);
    assert_eq!(
        cells(&chart),
        [
            "Fall",
            "Stunden",
            "TC-1",
            "1\u{a0}h",
            "TC-2",
            "2\u{a0}h",
            "TC-9",
            "9\u{a0}h",
            "Median",
            "2\u{a0}h",
            "P90",
            "7\u{a0}h 36\u{a0}min"
        ]
    );
    snapshot(
        &chart,
        expect![[r#"
            <figure class="figure">
            <div class="drawing gut0">
            <svg class="chart distribution" width="100%" height="82" role="img" aria-labelledby="d-v-t d-v-d" focusable="false">
            <title id="d-v-t">Titel &amp; &lt;mehr&gt;</title>
            <desc id="d-v-d">Was es ist. 3 Werte von 1 h bis 9 h; die Hälfte bis 2 h, neun von zehn bis 7 h 36 min.</desc>
            <defs>
            <pattern id="d-v-act" class="ink k-act full" width="8" height="8" patternUnits="userSpaceOnUse">
            <rect width="8" height="8"/>
            </pattern>
            </defs>
            <svg class="plot" y="8" width="100%" height="74">
            <line class="axis zero" x1="0" x2="100%" y1="44" y2="44"/>
            <g data-href="/vorfall/1">
            <title>TC-1: 1 h</title>
            <circle class="dot k-act" cx="10%" cy="14" r="5"/>
            </g>
            <g data-href="/vorfall/1">
            <title>TC-2: 2 h</title>
            <circle class="dot k-act" cx="20%" cy="22" r="5"/>
            </g>
            <g data-href="/vorfall/1">
            <title>TC-9: 9 h</title>
            <circle class="dot k-act" cx="90%" cy="30" r="5"/>
            </g>
            <line class="target" x1="20%" x2="20%" y1="0" y2="44"/>
            <line class="target p90" x1="76%" x2="76%" y1="0" y2="44"/>
            <text class="tick " x="0%" y="59" text-anchor="start">0</text>
            <text class="tick " x="20%" y="59" text-anchor="middle">2</text>
            <text class="tick " x="40%" y="59" text-anchor="middle">4</text>
            <text class="tick " x="60%" y="59" text-anchor="middle">6</text>
            <text class="tick " x="80%" y="59" text-anchor="middle">8</text>
            <text class="tick " x="100%" y="59" text-anchor="end">10</text>
            </svg>
            </svg>
            </div>
            <ul class="key">
            <li>
            <svg class="chart" width="22" height="12" aria-hidden="true" focusable="false">
            <line class="target" x1="0" x2="22" y1="6" y2="6"/>
            </svg>Median 2 h</li>
            <li>
            <svg class="chart" width="22" height="12" aria-hidden="true" focusable="false">
            <line class="target p90" x1="0" x2="22" y1="6" y2="6"/>
            </svg>P90 7 h 36 min</li>
            </ul>"#]],
    );
}

#[test]
fn an_amount_splits_and_joins() {
    let flow = |path: [&str; 3], value| Flow { path: path.map(str::to_owned), value, href: String::new() };
    let flows = [flow(["a", "x", "1"], 3.0), flow(["b", "x", "2"], 1.0)];
    snapshot(
        &sankey(caption("f"), ["von", "über", "nach"], Unit::Count("Fälle"), &flows),
        expect![[r#"
            <figure class="figure">
            <div class="drawing gut0">
            <svg class="chart sankey" width="100%" height="214" role="img" aria-labelledby="d-f-t d-f-d" focusable="false">
            <title id="d-f-t">Titel &amp; &lt;mehr&gt;</title>
            <desc id="d-f-d">Was es ist. 2 Wege, zusammen 4 Fälle; der größte: a → x → 1 mit 3 Fälle.</desc>
            <defs>
            <pattern id="d-f-act" class="ink k-act full" width="8" height="8" patternUnits="userSpaceOnUse">
            <rect width="8" height="8"/>
            </pattern>
            </defs>
            <svg class="stretched" width="100%" height="214" viewBox="0 0 1000 214" preserveAspectRatio="none">
            <g>
            <title>a → x: 3 Fälle</title>
            <path class="flow" d="M20 17C255 17 255 17 490 17V144.5C255 144.5 255 144.5 20 144.5Z"/>
            </g>
            <g>
            <title>b → x: 1 Fälle</title>
            <path class="flow" d="M20 166.5C255 166.5 255 144.5 490 144.5V187C255 187 255 209 20 209Z"/>
            </g>
            <g>
            <title>x → 1: 3 Fälle</title>
            <path class="flow" d="M510 17C745 17 745 17 980 17V144.5C745 144.5 745 144.5 510 144.5Z"/>
            </g>
            <g>
            <title>x → 2: 1 Fälle</title>
            <path class="flow" d="M510 144.5C745 144.5 745 166.5 980 166.5V209C745 209 745 187 510 187Z"/>
            </g>
            </svg>
            <g>
            <title>a: 3 Fälle</title>
            <rect class="area" x="0%" y="17" width="2%" height="127.5" fill="url(#d-f-act)"/>
            <text class="name" x="0%" y="13" text-anchor="start">a</text>
            </g>
            <g>
            <title>b: 1 Fälle</title>
            <rect class="area" x="0%" y="166.5" width="2%" height="42.5" fill="url(#d-f-act)"/>
            <text class="name" x="0%" y="162.5" text-anchor="start">b</text>
            </g>
            <g>
            <title>x: 4 Fälle</title>
            <rect class="area" x="49%" y="17" width="2%" height="170" fill="url(#d-f-act)"/>
            <text class="name" x="50%" y="13" text-anchor="middle">x</text>
            </g>
            <g>
            <title>1: 3 Fälle</title>
            <rect class="area" x="98%" y="17" width="2%" height="127.5" fill="url(#d-f-act)"/>
            <text class="name" x="100%" y="13" text-anchor="end">1</text>
            </g>
            <g>
            <title>2: 1 Fälle</title>
            <rect class="area" x="98%" y="166.5" width="2%" height="42.5" fill="url(#d-f-act)"/>
            <text class="name" x="100%" y="162.5" text-anchor="end">2</text>
            </g>
            </svg>
            </div>"#]],
    );
}

#[test]
fn a_spark_is_small() {
    let points = [("a".to_owned(), Some(1.0)), ("b".to_owned(), Some(4.0))];
    snapshot(
        &sparkline(caption("p"), Unit::Percent, &points),
        expect![[r#"
        <svg class="chart spark" width="100%" height="34" role="img" aria-labelledby="d-p-t d-p-d" focusable="false">
        <title id="d-p-t">Titel &amp; &lt;mehr&gt;</title>
        <desc id="d-p-d">Was es ist. Höchster Wert: 4 % (b), niedrigster: 1 % (a).</desc>
        <svg class="stretched" width="100%" height="34" viewBox="0 0 1000 34" preserveAspectRatio="none">
        <polygon class="band k-act" points="0,24.5 1000,2 1000,34 0,34"/>
        <polyline class="line k-act" points="0,24.5 1000,2"/>
        </svg>
        </svg>"#]],
    );
}

#[test]
fn a_tile_and_a_square_and_a_mark() {
    let only = |chart: Markup, with: &str| read(chart.as_str()).into_iter().filter(|element| element.get("class").contains(with)).count();
    let map = tile_map(caption("m"), Unit::Count("Fälle"), |key| (key == "16051").then(|| (3.0, "/vorfaelle".to_owned())));
    assert_eq!((only(map.clone(), "tile on-t4"), only(map, "tile void")), (1, 21));
    let cells = vec![Some(Cell { value: 5.0, text: "5 min".into() }); 24];
    let heat =
        week(caption("h"), "Uhr", &["Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"], &cells, [1.0, 2.0, 9.0, 10.0], ["a", "b", "c", "d", "e"]);
    assert_eq!((only(heat.clone(), "cell"), only(heat.clone(), "void")), (168, 144));
    assert!(heat.as_str().contains("url(#d-h-t2)"), "two limits are reached");
}

/// The text of a label as the table shows it.
fn shown(label: &str) -> String {
    let label = if label.is_empty() { "(leer)" } else { label };
    let mut all = read(&format!("<p>{}</p>", crate::show::shown(label)));
    all.drain(..).map(|element| element.text).collect()
}

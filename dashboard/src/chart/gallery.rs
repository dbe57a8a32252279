//! Every chart in every state, for the page of components: full, empty, one value, all zero, negative, huge, what is no
//! number, labels that bite. The same examples are what the tests look at.

#![expect(clippy::indexing_slicing, reason = "the examples and their lengths stand here")]

use ingest::time::Timestamp;

use super::{
    Along, Brush, Caption, Case, Cell, Column, Cover, Coverage, Curve, Flow, Ink, Line, Lines, OverTime, Rank, Series, Step, TimeBar, Unit,
};
use crate::show::Markup;

/// 24 October 2026, 12:00 UTC: the night after it has 25 hours.
const START: Timestamp = Timestamp(1_792_843_200_000);
const DAYS: [&str; 7] = ["Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"];
/// As an attacker would name a machine: markup, the other direction, a line's end, much too long.
const HOSTILE: &str = "<img src=x onerror=alert(1)>\u{202E}\"'&\r\n\0 mit einem Namen, der länger ist als jede Zeile";

/// (what it shows, the chart); the ids are unique among all of them.
pub fn examples() -> Vec<(&'static str, Markup)> {
    let mut all = vec![];
    all.extend(bars());
    all.extend(times());
    all.extend(curves());
    all.extend(distributions());
    all.extend(survival());
    all.extend(flows());
    all.extend(maps());
    all
}

fn caption<'a>(id: &'a str, title: &'a str) -> Caption<'a> {
    Caption { id, title, desc: "" }
}

/// Numbers that look like some, the same every time.
fn noise(n: usize) -> f64 {
    ((n * 7_919 + n * n * 31) % 97) as f64
}

fn rank(label: &str, value: f64) -> Rank {
    Rank { label: label.into(), value, href: "/suche".into() }
}

fn column(label: &str, value: Option<f64>) -> Column {
    Column { label: label.into(), value, text: String::new(), href: "/kennzahlen".into() }
}

fn bars() -> Vec<(&'static str, Markup)> {
    let addresses = [("198.51.100.23", 71_204.0), ("198.51.100.77", 4_118.0), ("2001:db8:85a3::8a2e:370:7334", 902.0), ("192.0.2.14", 1.0)];
    let addresses = addresses.map(|(label, value)| rank(label, value));
    let odd = [rank(HOSTILE, 1e300), rank("negativ", -4e299), rank("keine Zahl", f64::NAN), rank("", 0.0)];
    let quarters: Vec<Column> = ["Q1 25", "Q2 25", "Q3 25", "Q4 25", "Q1 26", "Q2 26", "Q3 26", "Q4 26"]
        .into_iter()
        .zip([Some(7.5), Some(6.0), None, Some(5.25), Some(4.5), Some(3.0), Some(3.5), Some(1.75)])
        .map(|(label, value)| column(label, value))
        .collect();
    let change = [column("Mai", Some(-3.0)), column("Juni", Some(0.0)), column("Juli", Some(7.0)), column(HOSTILE, Some(f64::INFINITY))];
    let zero = [column("Mai", Some(0.0)), column("Juni", Some(0.0))];
    vec![
        ("Rangliste", super::ranked(caption("rang", "Ereignisse je Quelladresse"), "Adresse", Unit::Count("Ereignisse"), &addresses)),
        ("Rangliste: ein Wert", super::ranked(caption("rang-eins", "Bytes je Ziel"), "Ziel", Unit::Bytes, &addresses[..1])),
        ("Rangliste: leer", super::ranked(caption("rang-leer", "Nichts gefunden"), "Adresse", Unit::Bytes, &[])),
        (
            "Rangliste: riesig, negativ, keine Zahl, bissiger Name",
            super::ranked(caption("rang-wild", HOSTILE), HOSTILE, Unit::Sign(HOSTILE), &odd),
        ),
        (
            "Säulen mit Ziel und Lücke",
            super::columns(
                caption("saeulen", "Zeit bis Empfehlung je Quartal"),
                "Median",
                Unit::Hours,
                &quarters,
                Some((4.0, "Ziel ≤ 4 h")),
            ),
        ),
        (
            "Säulen: negativ und keine Zahl",
            super::columns(caption("saeulen-neg", "Veränderung"), "Fälle", Unit::Count("Fälle"), &change, None),
        ),
        ("Säulen: alles null", super::columns(caption("saeulen-null", "Vorfälle"), "Fälle", Unit::Count("Fälle"), &zero, None)),
        ("Säulen: leer", super::columns(caption("saeulen-leer", "Vorfälle"), "Fälle", Unit::Count("Fälle"), &[], None)),
    ]
}

const LEVELS: [Series<'static>; 5] = [
    Series { ink: Ink::Quiet, name: "Hinweis" },
    Series { ink: Ink::Low, name: "niedrig" },
    Series { ink: Ink::Mid, name: "mittel" },
    Series { ink: Ink::High, name: "hoch" },
    Series { ink: Ink::Crit, name: "kritisch" },
];

fn time_bars(count: usize, width: i64, values: impl Fn(usize) -> Vec<f64>) -> Vec<TimeBar> {
    (0..count).map(|n| TimeBar { at: START.plus(width * n as i64), values: values(n), href: format!("/suche?q=a&n={n}") }).collect()
}

fn times() -> Vec<(&'static str, Markup)> {
    let over = |id: &'static str, title: &'static str, series: &[Series<'_>], bars: &[TimeBar], width: i64, brush: Option<Brush<'_>>| {
        let until = bars.last().map_or(START, |bar| bar.at.plus(width));
        super::over_time(OverTime {
            caption: caption(id, title),
            unit: Unit::Count("Ereignisse"),
            series,
            bars,
            until,
            before: None,
            brush,
        })
    };
    let levels =
        |n: usize| vec![noise(n) % 9.0, noise(n + 3) % 13.0, noise(n + 5) % 7.0, noise(n + 9) % 5.0, (noise(n + 2) % 11.0 - 8.0).max(0.0)];
    let one = [Series { ink: Ink::Act, name: "Ereignisse" }];
    let six: Vec<Series<'_>> =
        Ink::NAMED.into_iter().zip(["eins", "zwei", "drei", "vier", "fünf", "sechs"]).map(|(ink, name)| Series { ink, name }).collect();
    let brush = Brush { path: "/suche", pairs: &[("q", "event.outcome:failure AND \"<b>\"")] };
    let hour = Timestamp::HOUR;
    vec![
        (
            "Zeitverlauf, gestapelt, Ende der Sommerzeit",
            over("stapel", "Alarme je Stunde nach Schwere", &LEVELS, &time_bars(25, hour, levels), hour, None),
        ),
        (
            "Zeitverlauf mit Ausschnitt",
            over(
                "ausschnitt",
                "Ereignisse je 24 Minuten",
                &one,
                &time_bars(60, 24 * Timestamp::MINUTE, |n| vec![noise(n) * 31.0]),
                24 * Timestamp::MINUTE,
                Some(brush),
            ),
        ),
        (
            "Sechs Reihen",
            over(
                "sechs",
                "Sechs Reihen ohne eigene Bedeutung",
                &six,
                &time_bars(12, hour, |n| (0..6).map(|k| 3.0 + noise(n + k) % 5.0).collect()),
                hour,
                None,
            ),
        ),
        ("Zeitverlauf: ein Abschnitt", over("ein-abschnitt", "Ereignisse", &one, &time_bars(1, hour, |_| vec![1.0]), hour, None)),
        ("Zeitverlauf: alles null", over("null-verlauf", "Ereignisse", &one, &time_bars(24, hour, |_| vec![0.0]), hour, None)),
        ("Zeitverlauf: leer", over("leer-verlauf", "Ereignisse", &one, &[], hour, None)),
        (
            "Zeitverlauf: riesig, negativ, keine Zahl",
            over("wild-verlauf", "Ereignisse", &one, &time_bars(4, hour, |n| vec![[1e300, -5.0, f64::NAN, 1.0][n % 4]]), hour, None),
        ),
    ]
}

fn curves() -> Vec<(&'static str, Markup)> {
    let months: Vec<String> = (1..=12).map(|month| format!("{month:02}/26")).collect();
    let line = |name: &'static str, ink: Ink, seed: usize, gap: usize| Line {
        name,
        ink,
        values: (0..12).map(|n| (n != gap && n != gap + 2).then(|| 40.0 + noise(n + seed) / 3.0)).collect(),
        band: vec![],
    };
    let three = [line("Gotha", Ink::One, 1, 4), line("Jena", Ink::Two, 20, 99), line("Sömmerda", Ink::Three, 40, 7)];
    let mut banded = line("Anteil", Ink::Act, 3, 5);
    banded.band = banded.values.iter().map(|value| value.map(|value| (value - 9.0, value + 11.0))).collect();
    let moments: Vec<Timestamp> = (0..12).map(|n| START.plus(n * Timestamp::DAY)).collect();
    let wild = Line {
        name: HOSTILE,
        ink: Ink::Act,
        values: vec![Some(-1e300), None, Some(f64::NAN), Some(1e300)],
        band: vec![Some((f64::NEG_INFINITY, f64::INFINITY))],
    };
    let chart = |id, title, along, lines: &[Line<'_>], target| {
        super::lines(Lines { caption: caption(id, title), unit: Unit::Percent, along, lines, target })
    };
    let points = |values: &[Option<f64>]| values.iter().enumerate().map(|(n, value)| (format!("Q{}", n + 1), *value)).collect::<Vec<_>>();
    let spark = |id, values: &[Option<f64>]| super::sparkline(caption(id, "Verlauf über acht Quartale"), Unit::Hours, &points(values));
    vec![
        ("Linien mit Lücken", chart("linien", "Erreichte Stellen je Monat", Along::Named(&months), &three, None)),
        (
            "Linie mit Vertrauensband und Ziel",
            chart("band", "Anteil rechtzeitig", Along::Time(&moments), &[banded], Some((60.0, "Ziel ≥ 60 %"))),
        ),
        ("Linie: riesig, negativ, keine Zahl", chart("linie-wild", HOSTILE, Along::Named(&months[..4]), &[wild], None)),
        ("Linie: leer", chart("linie-leer", "Nichts", Along::Named(&[]), &[], None)),
        ("Verlauf im Kleinen", spark("funke", &[7.5, 6.0, 6.5, 5.0, 4.5, 3.0, 3.5, 1.75].map(Some))),
        ("Verlauf im Kleinen: ein Wert, Lücken, null", spark("funke-eins", &[None, Some(3.0), None, Some(0.0), Some(0.0)])),
    ]
}

fn distributions() -> Vec<(&'static str, Markup)> {
    let case = |n: usize| Case { label: format!("TC-2026-{n:06}"), value: noise(n) * noise(n + 1) / 120.0, href: "/vorfaelle".to_owned() };
    let (many, few): (Vec<Case>, Vec<Case>) = ((0..120).map(case).collect(), (0..7).map(case).collect());
    let wild = [
        Case { label: HOSTILE.into(), value: -1e300, href: String::new() },
        Case { value: f64::NAN, ..Case::default() },
        Case { value: 5e299, ..Case::default() },
    ];
    vec![
        (
            "Verteilung mit Median und P90",
            super::distribution(caption("verteilung", "Zeit bis Eindämmung"), "Vorfälle", Unit::Hours, &many),
        ),
        ("Verteilung: wenige Fälle", super::distribution(caption("wenige", "Zeit bis Eindämmung"), "Vorfälle", Unit::Hours, &few)),
        (
            "Verteilung: riesig, negativ, keine Zahl",
            super::distribution(caption("verteilung-wild", "Wild"), HOSTILE, Unit::Sign("x"), &wild),
        ),
        ("Verteilung: leer", super::distribution(caption("verteilung-leer", "Nichts"), "Vorfälle", Unit::Hours, &[])),
    ]
}

fn survival() -> Vec<(&'static str, Markup)> {
    let step = |at: f64, share: f64| Step { at, share, low: (share - 0.13).max(0.0), high: (share + 0.1).min(1.0) };
    let steps = [step(2.0, 0.92), step(5.0, 0.83), step(9.0, 0.66), step(14.0, 0.5), step(26.0, 0.41), step(40.0, 0.3), step(61.0, 0.2)];
    let times = [2.0, 5.0, 9.0, 9.0, 11.0, 14.0, 14.0, 20.0, 26.0, 40.0, 48.0, 61.0];
    let curve = |id, steps: &[Step], n, times: &[f64], censored: &[f64], until| {
        super::kaplan_meier(Curve {
            caption: caption(id, "Anteil noch nicht eingedämmter Vorfälle"),
            unit: Unit::Hours,
            steps,
            n,
            times,
            censored,
            until,
        })
    };
    let wild = [step(f64::NAN, f64::INFINITY), step(-3.0, -1.0), step(1e300, f64::NAN)];
    vec![
        ("Kaplan-Meier mit Band, Zensierten und Beobachteten", curve("km", &steps, 12, &times, &[11.0, 20.0, 48.0], 72.0)),
        ("Kaplan-Meier: noch nichts beendet", curve("km-offen", &[], 3, &[5.0, 6.0, 7.0], &[5.0, 6.0, 7.0], 24.0)),
        ("Kaplan-Meier: keine Zahlen", curve("km-wild", &wild, 3, &[f64::NAN], &[f64::INFINITY], f64::NAN)),
        ("Kaplan-Meier: leer", curve("km-leer", &[], 0, &[], &[], 24.0)),
    ]
}

fn flows() -> Vec<(&'static str, Markup)> {
    let flow = |n: usize| Flow {
        path: [
            ["Gotha", "Jena", "Sömmerda", "Kyffhäuserkreis", "Weimar"][n % 5].to_owned(),
            ["Schadsoftware", "Anmeldung", "Ausspähung", "Missbrauch"][(n / 2) % 4].to_owned(),
            ["eingedämmt", "Fehlalarm", "offen"][(n / 3) % 3].to_owned(),
        ],
        value: 1.0 + noise(n) / 8.0,
        href: "/vorfaelle".into(),
    };
    let many = |n: usize| Flow {
        path: [format!("10.1.{}.7", n % 23), format!("Port {}", n % 11), format!("203.0.113.{n}")],
        value: noise(n) * 1e6,
        href: String::new(),
    };
    let columns = ["Stelle", "Art", "Ausgang"];
    let of = |id, title, unit, flows: &[Flow]| super::sankey(caption(id, title), columns, unit, flows);
    let wild = [
        Flow { path: [HOSTILE, HOSTILE, ""].map(str::to_owned), value: 1e300, href: "javascript:alert(1)".into() },
        Flow { value: f64::NAN, ..Flow::default() },
    ];
    vec![
        (
            "Flüsse über drei Spalten",
            of("sankey", "Von der Stelle zum Ausgang", Unit::Count("Fälle"), &(0..30).map(flow).collect::<Vec<_>>()),
        ),
        ("Flüsse: viele, mit „Übrige“", of("sankey-viele", "Datenverkehr", Unit::Bytes, &(0..150).map(many).collect::<Vec<_>>())),
        ("Flüsse: ein Weg", of("sankey-eins", "Ein Weg", Unit::Count("Fälle"), &[flow(1)])),
        ("Flüsse: riesig, keine Zahl, bissiger Name", of("sankey-wild", "Wild", Unit::Count("Fälle"), &wild)),
        ("Flüsse: leer", of("sankey-leer", "Nichts", Unit::Bytes, &[])),
    ]
}

fn maps() -> Vec<(&'static str, Markup)> {
    let number = |key: &str| key.parse::<usize>().unwrap_or(0);
    let map = |id, value: &dyn Fn(usize) -> Option<f64>| {
        super::tile_map(caption(id, "Vorfälle je Kreis"), Unit::Count("Vorfälle"), |key| Some((value(number(key))?, "/vorfaelle".into())))
    };
    let hours = ["unter 1 min", "unter 10 min", "unter 1 h", "unter 6 h", "länger"];
    let week = |id, cells: &[Option<Cell>]| {
        super::week(caption(id, "Übliche Pause je Stunde der Woche"), "Uhrzeit", &DAYS, cells, [1.0, 10.0, 60.0, 360.0], hours)
    };
    let cell = |value: f64| Cell { value, text: Unit::Sign("min").value(value) };
    let hour = |n: usize| (n % 19 != 3).then(|| cell(if (8..18).contains(&(n % 24)) { noise(n) / 30.0 } else { noise(n) * 6.0 }));
    let columns = ["Protokolle", "Flüsse", "Regeln", "Kontakt", "Sicherung"].map(str::to_owned);
    let covers = [Cover::Full, Cover::Part, Cover::No, Cover::Void, Cover::Full];
    let row = |(n, label): (usize, &str)| Coverage {
        label: label.into(),
        cells: (0..5).map(|k| covers[(n * 3 + k * (n + 1)) % 5]).collect(),
        href: "/quellen".into(),
    };
    let rows: Vec<Coverage> =
        ["Stadtverwaltung Sömmerda", "Landkreis Schmalkalden-Meiningen", "Stadt Jena", HOSTILE].into_iter().enumerate().map(row).collect();
    vec![
        ("Kachelkarte", map("karte", &|n| Some((n * n % 31) as f64))),
        ("Kachelkarte: alles null, Unbekannte", map("karte-null", &|n| (n % 3 > 0).then_some(0.0))),
        ("Kachelkarte: riesig, negativ, keine Zahl", map("karte-wild", &|n| Some([1e300, -1.0, f64::NAN, 2.0][n % 4]))),
        ("Woche nach Stunden", week("woche", &(0..168).map(hour).collect::<Vec<_>>())),
        ("Woche: nichts bekannt", week("woche-leer", &[])),
        ("Abdeckung", super::matrix(caption("abdeckung", "Was je Stelle abgedeckt ist"), "Stelle", &columns, &rows)),
        ("Abdeckung: leer", super::matrix(caption("abdeckung-leer", "Nichts"), "Stelle", &columns, &[])),
    ]
}

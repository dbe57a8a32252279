//! How a figure is written: value, spread, number of cases, target and light, in German. Pure.

use advisory::kpi::peers::CLASS_MIN;
use advisory::kpi::stats::KaplanMeier;
use advisory::kpi::{CASES_MIN, Direction, Figure, KpiDef, KpiValue, Light, Period, Unit, figure};
use ingest::time::Timestamp;

use crate::chart::Step;
use crate::show::{self, Markup, Tone};

/// In place of a figure that would give a body away.
pub(super) const WITHHELD: &str = "verborgen, zu wenige Stellen";

pub(super) fn light(value: &KpiValue) -> Markup {
    let (tone, word) = match value.light {
        Light::Good => (Tone::Good, "Ziel erreicht"),
        Light::Endangered => (Tone::Mid, "Ziel knapp verfehlt"),
        Light::Missed => (Tone::High, "Ziel verfehlt"),
        Light::Unrated => (Tone::Quiet, "zu wenige Fälle"),
    };
    // The value above is of all cases; where the light is of some only, it has to say so.
    match value.def.target_for {
        "" => show::badge(tone, word),
        part => show::badge(tone, &format!("{word}: {part}")),
    }
}

pub(super) fn light_withheld() -> Markup {
    show::badge(Tone::Quiet, "verborgen")
}

pub(super) fn hours(hours: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "hours of a few years in milliseconds")]
    let millis = (hours * Timestamp::HOUR as f64) as i64;
    show::duration(millis)
}

fn number(def: &KpiDef, value: f64) -> String {
    match def.unit {
        Unit::Hours => hours(value),
        Unit::Percent => show::percent(value / 100.0),
    }
}

/// The figure itself, or the word for why there is none.
pub(super) fn value(value: &KpiValue) -> String {
    match (value.figure.value(), &value.figure) {
        (Some(number), _) => self::number(&value.def, number),
        (None, Figure::Survival { curve, .. }) if curve.n > 0 => "nicht erreicht".into(),
        (None, _) => "keine Fälle".into(),
    }
}

pub(super) fn value_with_n(value: &KpiValue) -> String {
    let few = if value.figure.n() < CASES_MIN { ", zu wenige Fälle" } else { "" };
    match value.figure.n() {
        0 => self::value(value),
        n => format!("{} (n\u{a0}=\u{a0}{}{few})", self::value(value), show::num(n as i128)),
    }
}

/// `≤ 4 h (kritische Vorfälle)`
pub(super) fn target(def: &KpiDef) -> String {
    let sign = match def.direction {
        Direction::Lower => "≤",
        Direction::Higher => "≥",
    };
    let part = if def.target_for.is_empty() { String::new() } else { format!(" ({})", def.target_for) };
    format!("{sign}\u{a0}{}{part}", number(def, def.target))
}

/// `Q3 26`, for the axis.
pub(super) fn quarter(period: &Period) -> String {
    match period.key.split_once('-') {
        Some((year, quarter)) => format!("{quarter} {}", year.get(2..).unwrap_or(year)),
        None => period.label.clone(),
    }
}

/// What stands below the value: spread, cases, target.
pub(super) fn facts(value: &KpiValue, cases: bool) -> Vec<(&'static str, String)> {
    let def = &value.def;
    let mut facts = vec![];
    let spread = match &value.figure {
        Figure::Duration { p90: Some(p90), .. } => format!("Median; neun von zehn binnen {} (P90)", hours(*p90)),
        Figure::Survival { curve, .. } if curve.n > 0 => survival(value),
        Figure::Share { proportion: Some(p) } => {
            format!("95\u{2011}%\u{2011}Intervall {} bis {}", show::percent(p.low), show::percent(p.high))
        }
        _ => String::new(),
    };
    if !spread.is_empty() {
        facts.push(("Streuung", spread));
    }
    facts.push(("Fälle", count(value, cases)));
    facts.push(("Ziel", format!("{}{}", target(def), rated(value))));
    facts
}

/// How many cases it rests on, and how many are not in it.
fn count(value: &KpiValue, cases: bool) -> String {
    let n = show::num(value.figure.n() as i128);
    let few = if value.figure.n() < CASES_MIN { ", zu wenige für ein Urteil" } else { "" };
    let text = match &value.figure {
        Figure::Duration { missing: 0, .. } => format!("n\u{a0}=\u{a0}{n}"),
        Figure::Duration { missing, .. } => format!("n\u{a0}=\u{a0}{n}, {} noch ohne", show::num(*missing as i128)),
        Figure::Survival { curve, .. } if curve.n > 0 && curve.censored == 0 => format!("n\u{a0}=\u{a0}{n}, alle eingedämmt"),
        Figure::Survival { curve, .. } => format!("n\u{a0}=\u{a0}{n}, {} noch nicht eingedämmt", show::num(curve.censored)),
        // One or two cases are nearly a name: without the right to see them only the rounded share is told.
        Figure::Share { proportion: Some(p) } if cases || (small(p.hits) && small(p.of - p.hits)) => {
            format!("{} von {n}", show::num(p.hits))
        }
        Figure::Share { .. } => format!("n\u{a0}=\u{a0}{n}"),
    };
    format!("{text}{few}")
}

/// Whether a count is large enough to be told to neighbours.
fn small(count: u64) -> bool {
    count == 0 || count >= CLASS_MIN
}

/// Where the target is for some of the cases only: what these alone come to.
fn rated(value: &KpiValue) -> String {
    if value.def.target_for.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = value.rows.iter().filter(|row| row.rated).cloned().collect();
    let figure = figure(&value.def, &rows);
    match figure.value() {
        Some(number) => format!(", dort {} (n\u{a0}=\u{a0}{})", self::number(&value.def, number), show::num(figure.n() as i128)),
        None => ", dort keine Fälle".into(),
    }
}

/// Median, interval and P90 of a figure whose cases may still run.
pub(super) fn survival(value: &KpiValue) -> String {
    let Figure::Survival { low, high, p90, .. } = &value.figure else { return String::new() };
    if low.is_none() && value.figure.value().is_none() {
        return "Median nach Kaplan-Meier; weniger als die Hälfte ist eingedämmt".into();
    }
    let end = |end: &Option<f64>| end.map_or_else(|| "nicht erreicht".to_owned(), hours);
    format!("Median nach Kaplan-Meier, 95\u{2011}%\u{2011}Intervall {} bis {}, P90 {}", end(low), end(high), end(p90))
}

/// The curve's steps. Without the right to see cases each step stands for at least three of them.
pub(super) fn steps(curve: &KaplanMeier, cases: bool) -> Vec<Step> {
    let least = if cases { 1 } else { CLASS_MIN };
    let mut held = 0;
    let kept = curve.steps.iter().filter(|step| {
        held += step.events;
        let keep = held >= least;
        if keep {
            held = 0;
        }
        keep
    });
    kept.map(|step| Step { at: step.time, share: step.survival, low: step.low, high: step.high }).collect()
}

/// Definition and data quality for the figure's own page.
pub(super) fn definition(def: &KpiDef, value: Option<&KpiValue>) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("Formel", format!("{}.", def.formula)),
        ("Ziel", format!("{}, vorgeschlagen für das Steuerungsgremium.", target(def))),
        ("Zu beachten", def.pitfall.to_owned()),
        ("Wertung", format!("Ab {CASES_MIN} Fällen; knapp verfehlt heißt: höchstens ein Viertel neben dem Ziel.")),
    ];
    if let Some(value) = value {
        all.push(("Datenlage", quality(value)));
    }
    all.push(("Nummer", format!("{} im Kennzahlenkatalog", def.number)));
    all
}

fn quality(value: &KpiValue) -> String {
    let quality = &value.quality;
    let part = |count: usize, one: &str, more: &str| match count {
        0 => None,
        1 => Some(format!("einer {one}")),
        count => Some(format!("{} {more}", show::num(count as i128))),
    };
    let late = part(quality.late, "erst mehr als einen Tag danach erfasst", "erst mehr als einen Tag danach erfasst");
    let corrected = part(quality.corrected, "nachträglich berichtigt", "nachträglich berichtigt");
    let events = format!("Aus {} Einträgen im Verlauf", show::num(quality.events as i128));
    match [late, corrected].into_iter().flatten().collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => format!("{events}, keiner nachgetragen oder berichtigt."),
        some => format!("{events}: {some}."),
    }
}

#[cfg(test)]
mod tests {
    use advisory::kpi::stats::{Observed, wilson};
    use advisory::kpi::{KPIS, Quality};
    use expect_test::{Expect, expect};

    use super::*;

    fn check(number: u8, figure: Figure, cases: bool, expected: Expect) {
        let def = *KPIS.iter().find(|def| def.number == number).unwrap();
        let value = KpiValue { def, figure, light: Light::Unrated, quality: Quality { events: 12, late: 1, corrected: 0 }, rows: vec![] };
        let facts: Vec<String> = facts(&value, cases).iter().map(|(label, text)| format!("{label}: {text}")).collect();
        expected.assert_eq(
            &format!("{}\n{}\n{}", super::value(&value), facts.join("\n"), quality(&value)).replace('\u{a0}', " ").replace('\u{2011}', "-"),
        );
    }

    #[test]
    fn figures_read_german() {
        check(
            3,
            Figure::Duration { median: Some(1.75), p90: Some(30.0), n: 40, missing: 3 },
            true,
            expect![[r#"
                1 h 45 min
                Streuung: Median; neun von zehn binnen 30 h (P90)
                Fälle: n = 40, 3 noch ohne
                Ziel: ≤ 4 h (kritische Vorfälle), dort keine Fälle
                Aus 12 Einträgen im Verlauf: einer erst mehr als einen Tag danach erfasst."#]],
        );
        let curve = KaplanMeier::estimate(&[Observed { time: 5.0, event: false }]);
        check(
            4,
            Figure::Survival { median: None, low: None, high: None, p90: None, curve },
            true,
            expect![[r#"
                nicht erreicht
                Streuung: Median nach Kaplan-Meier; weniger als die Hälfte ist eingedämmt
                Fälle: n = 1, 1 noch nicht eingedämmt, zu wenige für ein Urteil
                Ziel: ≤ 24 h
                Aus 12 Einträgen im Verlauf: einer erst mehr als einen Tag danach erfasst."#]],
        );
        check(
            9,
            Figure::Share { proportion: None },
            true,
            expect![[r#"
                keine Fälle
                Fälle: n = 0, zu wenige für ein Urteil
                Ziel: ≤ 30 %
                Aus 12 Einträgen im Verlauf: einer erst mehr als einen Tag danach erfasst."#]],
        );
    }

    #[test]
    fn neighbours_are_not_told_of_one_or_two_cases() {
        for (hits, of, cases, expected) in
            [(2, 40, true, "2 von 40"), (2, 40, false, "n = 40"), (39, 40, false, "n = 40"), (12, 40, false, "12 von 40")]
        {
            let def = KPIS[2];
            let figure = Figure::Share { proportion: wilson(hits, of) };
            let value = KpiValue { def, figure, light: Light::Good, quality: Quality::default(), rows: vec![] };
            assert_eq!(count(&value, cases).replace('\u{a0}', " "), expected);
        }
        let observed: Vec<Observed> = (1..=7).map(|hour| Observed { time: f64::from(hour), event: true }).collect();
        let curve = KaplanMeier::estimate(&observed);
        let times = |cases| steps(&curve, cases).iter().map(|step| step.at).collect::<Vec<_>>();
        assert_eq!((times(true).len(), times(false)), (7, vec![3.0, 6.0]));
    }
}

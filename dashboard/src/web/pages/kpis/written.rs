//! How a figure is written: value, spread, number of cases, target and light. Pure.

use advisory::kpi::peers::CLASS_MIN;
use advisory::kpi::stats::KaplanMeier;
use advisory::kpi::{CASES_MIN, Direction, Figure, KpiDef, KpiValue, Light, Period, Unit, figure};
use ingest::time::Timestamp;

use crate::chart::Step;
use crate::show::{self, Markup, Tone};
use crate::words::{de, t, tf, tn};

/// In place of a figure that would give a body away.
pub(super) const WITHHELD: &str = de("verborgen, zu wenige Stellen");

/// The words of the definitions and of what became of a case, marked for the catalogue: the stage below has them in German,
/// and here they are shown.
const _: &[&str] = &[
    de("Zeit bis Empfehlung"),
    de("Eindämmungszeit"),
    de("Fehlalarmquote"),
    de("Umsetzungsquote"),
    de("Kenntnisnahmequote"),
    de(
        "Von der Eröffnung des Vorfalls bis zur ersten gesendeten Handlungsempfehlung; Median der Vorfälle, die im Zeitraum eröffnet wurden",
    ),
    de("Von der Eröffnung bis zur Eindämmung; Median nach Kaplan-Meier über die im Zeitraum eröffneten Vorfälle"),
    de("Als Fehlalarm bewertete Alarme geteilt durch alle bewerteten Alarme, nach dem Tag der Bewertung"),
    de("Fristgerecht als erledigt bestätigte Handlungsempfehlungen geteilt durch die gesendeten, deren Frist abgelaufen ist"),
    de("Stellen, die eine Meldung binnen 24 Stunden zur Kenntnis genommen haben, geteilt durch die angeschriebenen Stellen"),
    de("kritische Vorfälle"),
    de("rote Warnungen"),
    de(
        "Vorfälle ohne Empfehlung gehen nicht in den Median ein; ihre Zahl steht daneben. Zusammengeführte zählen als einer, ab dem frühesten.",
    ),
    de(
        "Offene Fälle sind zensiert: Sie zählen so lange mit, wie sie beobachtet wurden. Als Fehlalarm geschlossene zählen nicht. Zusammengeführte zählen als einer, ab dem frühesten.",
    ),
    de("Erwünschtes Verhalten (gutartig) zählt nicht als Fehlalarm."),
    de("Keine Antwort zählt als nicht umgesetzt."),
    de("Gezählt wird ein ausdrücklicher Klick, kein Zählpixel. Meldungen der letzten 24 Stunden zählen noch nicht."),
    de("noch ohne Empfehlung"),
    de("noch nicht eingedämmt"),
    de("Fehlalarm"),
    de("gutartig"),
    de("zutreffend"),
    de("fristgerecht"),
    de("verspätet"),
    de("ohne Bestätigung"),
    de("binnen 24 Stunden"),
    de("später"),
    de("keine Antwort"),
];

const MONTHS: [&str; 12] = [
    de("Januar"),
    de("Februar"),
    de("März"),
    de("April"),
    de("Mai"),
    de("Juni"),
    de("Juli"),
    de("August"),
    de("September"),
    de("Oktober"),
    de("November"),
    de("Dezember"),
];

pub(super) fn light(value: &KpiValue) -> Markup {
    let (tone, word) = match value.light {
        Light::Good => (Tone::Good, t("Ziel erreicht")),
        Light::Endangered => (Tone::Mid, t("Ziel knapp verfehlt")),
        Light::Missed => (Tone::High, t("Ziel verfehlt")),
        Light::Unrated => (Tone::Quiet, t("zu wenige Fälle")),
    };
    // The value above is of all cases; where the light is of some only, it has to say so.
    match value.def.target_for {
        "" => show::badge(tone, word),
        part => show::badge(tone, &format!("{word}: {}", t(part))),
    }
}

pub(super) fn light_withheld() -> Markup {
    show::badge(Tone::Quiet, t("verborgen"))
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
        (None, Figure::Survival { curve, .. }) if curve.n > 0 => t("nicht erreicht").into(),
        (None, _) => t("keine Fälle").into(),
    }
}

pub(super) fn value_with_n(value: &KpiValue) -> String {
    let text = match value.figure.n() {
        0 => return self::value(value),
        n if n < CASES_MIN => de("{value} (n\u{a0}=\u{a0}{n}, zu wenige Fälle)"),
        _ => de("{value} (n\u{a0}=\u{a0}{n})"),
    };
    tf(text, &[("value", &self::value(value)), ("n", &show::num(value.figure.n() as i128))])
}

/// `≤ 4 h (kritische Vorfälle)`
pub(super) fn target(def: &KpiDef) -> String {
    let sign = match def.direction {
        Direction::Lower => "≤",
        Direction::Higher => "≥",
    };
    let part = if def.target_for.is_empty() { String::new() } else { format!(" ({})", t(def.target_for)) };
    format!("{sign}\u{a0}{}{part}", number(def, def.target))
}

/// The period's name.
pub(super) fn period(period: &Period) -> String {
    let year = |rest: &str| rest.get(..4).unwrap_or_default().to_owned();
    match period.key.split_once('-') {
        Some((_, part)) if part.starts_with('H') => {
            tf("{n}. Halbjahr {year}", &[("n", &part.get(1..).unwrap_or_default()), ("year", &year(&period.key))])
        }
        Some((_, part)) if part.starts_with('Q') => {
            tf("{n}. Quartal {year}", &[("n", &part.get(1..).unwrap_or_default()), ("year", &year(&period.key))])
        }
        _ => match period.label.split_once(' ') {
            Some((month, year)) => format!("{} {year}", MONTHS.iter().find(|known| **known == month).map_or(month, |known| t(known))),
            None => period.label.clone(),
        },
    }
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
    let mut facts = vec![];
    let spread = match &value.figure {
        Figure::Duration { p90: Some(p90), .. } => tf("Median; neun von zehn binnen {time} (P90)", &[("time", &hours(*p90))]),
        Figure::Survival { curve, .. } if curve.n > 0 => survival(value),
        Figure::Share { proportion: Some(p) } => {
            tf("95\u{2011}%\u{2011}Intervall {low} bis {high}", &[("low", &show::percent(p.low)), ("high", &show::percent(p.high))])
        }
        _ => String::new(),
    };
    if !spread.is_empty() {
        facts.push((t("Streuung"), spread));
    }
    facts.push((t("Fälle"), count(value, cases)));
    facts.push((t("Ziel"), target_met(value)));
    facts
}

/// How many cases it rests on, and how many are not in it.
fn count(value: &KpiValue, cases: bool) -> String {
    let n = show::num(value.figure.n() as i128);
    let plain = || format!("n\u{a0}=\u{a0}{n}");
    let text = match &value.figure {
        Figure::Duration { missing: 0, .. } => plain(),
        Figure::Duration { missing, .. } => {
            tf("n\u{a0}=\u{a0}{n}, {missing} noch ohne", &[("n", &n), ("missing", &show::num(*missing as i128))])
        }
        Figure::Survival { curve, .. } if curve.n > 0 && curve.censored == 0 => tf("n\u{a0}=\u{a0}{n}, alle eingedämmt", &[("n", &n)]),
        Figure::Survival { curve, .. } => {
            tf("n\u{a0}=\u{a0}{n}, {open} noch nicht eingedämmt", &[("n", &n), ("open", &show::num(curve.censored))])
        }
        // One or two cases are nearly a name: without the right to see them only the rounded share is told.
        Figure::Share { proportion: Some(p) } if cases || (small(p.hits) && small(p.of - p.hits)) => {
            tf("{n} von {total}", &[("n", &show::num(p.hits)), ("total", &n)])
        }
        Figure::Share { .. } => plain(),
    };
    if value.figure.n() < CASES_MIN { tf("{count}, zu wenige für ein Urteil", &[("count", &text)]) } else { text }
}

/// Whether a count is large enough to be told to neighbours.
fn small(count: u64) -> bool {
    count == 0 || count >= CLASS_MIN
}

/// The target, and where it is for some of the cases only: what these alone come to.
fn target_met(value: &KpiValue) -> String {
    let target = target(&value.def);
    if value.def.target_for.is_empty() {
        return target;
    }
    let rows: Vec<_> = value.rows.iter().filter(|row| row.rated).cloned().collect();
    let figure = figure(&value.def, &rows);
    match figure.value() {
        Some(number) => tf(
            "{target}, dort {value} (n\u{a0}=\u{a0}{n})",
            &[("target", &target), ("value", &self::number(&value.def, number)), ("n", &show::num(figure.n() as i128))],
        ),
        None => tf("{target}, dort keine Fälle", &[("target", &target)]),
    }
}

/// Median, interval and P90 of a figure whose cases may still run.
pub(super) fn survival(value: &KpiValue) -> String {
    let Figure::Survival { low, high, p90, .. } = &value.figure else { return String::new() };
    if low.is_none() && value.figure.value().is_none() {
        return t("Median nach Kaplan-Meier; weniger als die Hälfte ist eingedämmt").into();
    }
    let end = |end: &Option<f64>| end.map_or_else(|| t("nicht erreicht").to_owned(), hours);
    tf(
        "Median nach Kaplan-Meier, 95\u{2011}%\u{2011}Intervall {low} bis {high}, P90 {p90}",
        &[("low", &end(low)), ("high", &end(high)), ("p90", &end(p90))],
    )
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
        (t("Formel"), format!("{}.", t(def.formula))),
        (t("Ziel"), tf("{target}, vorgeschlagen für das Steuerungsgremium.", &[("target", &target(def))])),
        (t("Zu beachten"), t(def.pitfall).to_owned()),
        (t("Wertung"), tf("Ab {n} Fällen; knapp verfehlt heißt: höchstens ein Viertel neben dem Ziel.", &[("n", &CASES_MIN)])),
    ];
    if let Some(value) = value {
        all.push((t("Datenlage"), quality(value)));
    }
    all.push((t("Nummer"), tf("{n} im Kennzahlenkatalog", &[("n", &def.number)])));
    all
}

fn quality(value: &KpiValue) -> String {
    let quality = &value.quality;
    let (late, corrected) = (quality.late as u64, quality.corrected as u64);
    let mut parts = vec![];
    if late > 0 {
        parts.push(tn("einer erst mehr als einen Tag danach erfasst", "{n} erst mehr als einen Tag danach erfasst", late));
    }
    if corrected > 0 {
        parts.push(tn("einer nachträglich berichtigt", "{n} nachträglich berichtigt", corrected));
    }
    let n = show::num(quality.events as i128);
    match parts.is_empty() {
        true => tf("Aus {n} Einträgen im Verlauf, keiner nachgetragen oder berichtigt.", &[("n", &n)]),
        false => tf("Aus {n} Einträgen im Verlauf: {parts}.", &[("n", &n), ("parts", &parts.join(", "))]),
    }
}

#[cfg(test)]
mod tests {
    use advisory::kpi::stats::{Observed, wilson};
    use advisory::kpi::{KPIS, Quality, period_parse};
    use expect_test::{Expect, expect};

    use super::*;
    use crate::words::{Language, with_language};

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
    fn the_definitions_have_their_english() {
        let words = |def: &KpiDef| [def.name, def.formula, def.target_for, def.pitfall];
        let german = with_language(Language::English, || {
            KPIS.iter().flat_map(words).filter(|text| !text.is_empty() && t(text) == *text).collect::<Vec<_>>()
        });
        assert_eq!(german, Vec::<&str>::new());
        let half = period_parse("2026-H2").unwrap();
        assert_eq!((period(&half), with_language(Language::English, || period(&half))), ("2. Halbjahr 2026".into(), "H2 2026".into()));
        let month = period_parse("2026-03").unwrap();
        assert_eq!((period(&month), with_language(Language::English, || period(&month))), ("März 2026".into(), "March 2026".into()));
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

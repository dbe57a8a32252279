//! The cases behind a figure: named and linked as far as the viewer may see them, counted in classes, and as CSV.

use std::collections::HashMap;

use advisory::advisory::{Advisory, AdvisoryId};
use advisory::kpi::{KpiDef, KpiRow, KpiValue, Unit, peers};
use advisory::store::advisory_get;
use detect::alert::{AlertId, alert_labels};
use detect::incident::{IncidentId, incident_labels};
use ingest::body;
use ingest::db::DbError;

use super::written;
use crate::csv;
use crate::show;
use crate::web::{Ask, PageError};
use crate::words::{de, t, tf};

/// One case as the page and the download show it.
pub(super) struct Case {
    /// Empty where there is no page of it, or none for this viewer.
    pub(super) href: String,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) value: String,
    /// Hours with two decimals, or 1 and 0: for spreadsheets.
    pub(super) number: String,
    pub(super) rated: bool,
    pub(super) note: &'static str,
}

pub(super) fn newest_first(value: Option<&KpiValue>) -> Vec<&KpiRow> {
    let mut rows: Vec<&KpiRow> = value.map(|value| value.rows.iter().collect()).unwrap_or_default();
    rows.sort_by(|a, b| b.from.cmp(&a.from).then_with(|| a.subject.cmp(&b.subject)));
    rows
}

/// What a subject is called: link, number, title.
type Label = (String, String, String);

/// Names and links the cases. What the viewer may not see stays a counted row without a name.
pub(super) fn cases(ask: &Ask, def: &KpiDef, rows: &[&KpiRow]) -> Result<Vec<Case>, PageError> {
    if rows.is_empty() {
        return Ok(vec![]);
    }
    let labels = match def.kinds.first().and_then(|kind| kind.split_once('.')).map(|(noun, _)| noun) {
        Some("advisory") => advisories(ask, rows)?,
        Some("alert") => alerts(ask, rows)?,
        _ => incidents(ask, rows)?,
    };
    let bodies: HashMap<_, _> =
        ask.app.db.read(|c| Ok::<_, DbError>(body::body_list(c)?.into_iter().map(|body| (body.id, body.name)).collect()))?;
    let case = |row: &&KpiRow| {
        let (href, name, title) = labels.get(row.subject.as_str()).cloned().unwrap_or_default();
        Case {
            href,
            name: if name.is_empty() { t("ohne Einsicht").into() } else { name },
            title,
            body: row.body.and_then(|body| bodies.get(&body).cloned()).unwrap_or_else(|| t("keine Stelle").into()),
            from: show::stamp(row.from),
            to: row.to.map(show::stamp).unwrap_or_default(),
            value: match (def.unit, row.value) {
                (_, None) => "–".into(),
                (Unit::Hours, Some(hours)) if row.to.is_none() => tf("bisher {time}", &[("time", &written::hours(hours))]),
                (Unit::Hours, Some(hours)) => written::hours(hours),
                (Unit::Percent, Some(hit)) => if hit > 0.0 { t("ja") } else { t("nein") }.into(),
            },
            number: match (def.unit, row.value) {
                (_, None) => String::new(),
                (Unit::Hours, Some(hours)) => format!("{hours:.2}").replace('.', ","),
                (Unit::Percent, Some(hit)) => format!("{hit:.0}"),
            },
            rated: row.rated,
            note: t(row.note),
        }
    };
    Ok(rows.iter().map(case).collect())
}

fn ids<T: std::str::FromStr>(rows: &[&KpiRow]) -> Vec<T> {
    rows.iter().filter_map(|row| row.subject.parse().ok()).collect()
}

fn incidents(ask: &Ask, rows: &[&KpiRow]) -> Result<HashMap<String, Label>, PageError> {
    let (scope, viewer) = (ask.scope(), ask.viewer()?);
    let labels = ask.app.db.read(|c| incident_labels(c, &scope, &ids::<IncidentId>(rows)))?;
    let visible = labels.into_iter().filter(|(_, label)| viewer.may_read(label.tlp.as_str()));
    Ok(visible.map(|(id, label)| (id.to_string(), (format!("/vorfall/{}", label.number), label.number, label.title))).collect())
}

/// Alerts have no page of their own: the case that they stand in is linked.
fn alerts(ask: &Ask, rows: &[&KpiRow]) -> Result<HashMap<String, Label>, PageError> {
    let (scope, viewer) = (ask.scope(), ask.viewer()?);
    let (alerts, cases) = ask.app.db.read(|c| {
        let alerts = alert_labels(c, &scope, &ids::<AlertId>(rows))?;
        let cases: Vec<IncidentId> = alerts.values().filter_map(|alert| alert.incident).collect();
        Ok::<_, DbError>((alerts, incident_labels(c, &scope, &cases)?))
    })?;
    let label = |(id, alert): (AlertId, detect::alert::AlertLabel)| {
        let case = alert.incident.and_then(|incident| cases.get(&incident));
        let hidden = case.is_some_and(|case| !viewer.may_read(case.tlp.as_str()));
        let number = case.map(|case| case.number.clone()).unwrap_or_else(|| t("ohne Vorfall").into());
        let href = if case.is_some() { format!("/vorfall/{number}") } else { String::new() };
        (!hidden).then(|| (id.to_string(), (href, number, alert.title)))
    };
    Ok(alerts.into_iter().filter_map(label).collect())
}

fn advisories(ask: &Ask, rows: &[&KpiRow]) -> Result<HashMap<String, Label>, PageError> {
    let (scope, viewer) = (ask.scope(), ask.viewer()?);
    let mut wanted: Vec<AdvisoryId> = ids(rows);
    wanted.sort_unstable();
    wanted.dedup();
    let found: Vec<Advisory> = ask.app.db.read(|c| {
        let mut found = vec![];
        for id in wanted {
            found.extend(advisory_get(c, &scope, id)?);
        }
        Ok::<_, DbError>(found)
    })?;
    let label = |one: Advisory| (format!("/meldung/{}", one.id), one.number_label().to_owned(), one.content.title.clone());
    let visible = found.into_iter().filter(|one| viewer.may_read(one.content.tlp.label()));
    Ok(visible.map(|one| (one.id.to_string(), label(one))).collect())
}

/// One class of a distribution.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClassCount {
    pub(super) label: String,
    pub(super) ended: u64,
    /// Still running, by the time up to the last look.
    pub(super) open: u64,
}

impl ClassCount {
    pub(super) fn total(&self) -> u64 {
        self.ended + self.open
    }
}

/// Where one class of hours ends and the next begins, and how that is written.
const EDGES: [(f64, &str); 8] = [
    (1.0, "1\u{a0}h"),
    (4.0, "4\u{a0}h"),
    (8.0, "8\u{a0}h"),
    (24.0, "24\u{a0}h"),
    (72.0, de("3\u{a0}Tage")),
    (168.0, de("7\u{a0}Tage")),
    (720.0, de("30\u{a0}Tage")),
    (f64::INFINITY, ""),
];

/// How many cases fall in which class: of hours, or of what became of them. Without the right to see cases no class
/// holds one or two.
pub(super) fn distribution(value: &KpiValue, cases: bool) -> Vec<ClassCount> {
    let classes = match value.def.unit {
        Unit::Hours => hour_classes(&value.rows),
        Unit::Percent => note_classes(&value.rows),
    };
    if cases {
        return classes.into_iter().map(|(_, _, class)| class).collect();
    }
    let counts: Vec<u64> = classes.iter().map(|(_, _, class)| class.total()).collect();
    let join = |range: std::ops::RangeInclusive<usize>| {
        let parts = classes.get(range).unwrap_or_default();
        let (ended, open) = parts.iter().fold((0, 0), |sum, part| (sum.0 + part.2.ended, sum.1 + part.2.open));
        let label = match (parts, value.def.unit) {
            ([one], _) => one.2.label.clone(),
            ([first, .., last], Unit::Hours) => between(first.0, last.1),
            (several, _) => several.iter().map(|part| part.2.label.as_str()).collect::<Vec<_>>().join(&format!(" {} ", t("oder"))),
        };
        // How many of a class still run could be one or two again: told apart only in the sum.
        ClassCount { label, ended: ended + open, open: 0 }
    };
    peers::merged(&counts).into_iter().map(join).collect()
}

fn between(from: &str, to: &str) -> String {
    match (from, to) {
        ("", to) => tf("unter {to}", &[("to", &to)]),
        (from, "") => tf("{from} und mehr", &[("from", &from)]),
        (from, to) => tf("{from} bis unter {to}", &[("from", &from), ("to", &to)]),
    }
}

type Classes = Vec<(&'static str, &'static str, ClassCount)>;

fn hour_classes(rows: &[KpiRow]) -> Classes {
    let mut lower = "";
    let mut classes: Classes = vec![];
    let mut least = 0.0;
    for (edge, upper) in EDGES {
        let upper = t(upper);
        let inside = |row: &&KpiRow| row.value.is_some_and(|hours| hours >= least && hours < edge);
        let (ended, open) = rows.iter().filter(inside).fold((0, 0), |sum, row| match row.to {
            Some(_) => (sum.0 + 1, sum.1),
            None => (sum.0, sum.1 + 1),
        });
        classes.push((lower, upper, ClassCount { label: between(lower, upper), ended, open }));
        (least, lower) = (edge, upper);
    }
    // Beyond the longest case there is nothing to see.
    while classes.len() > 1 && classes.last().is_some_and(|(_, _, class)| class.total() == 0) {
        classes.pop();
    }
    classes
}

fn note_classes(rows: &[KpiRow]) -> Classes {
    let mut classes: Classes = vec![];
    for row in rows {
        match classes.iter_mut().find(|(note, _, _)| *note == row.note) {
            Some((_, _, class)) => class.ended += 1,
            None => classes.push((row.note, "", ClassCount { label: t(row.note).to_owned(), ended: 1, open: 0 })),
        }
    }
    classes.sort_by(|a, b| b.2.ended.cmp(&a.2.ended).then_with(|| a.0.cmp(b.0)));
    classes
}

/// The cases as a spreadsheet in German settings reads them: semicolons, comma decimals, a mark for UTF-8.
pub(super) fn csv_cases(cases: &[Case]) -> String {
    let head = [t("Fall"), t("Betreff"), t("Stelle"), t("Von"), t("Bis"), t("Wert"), t("Zählt für das Ziel"), t("Anmerkung")];
    let mut out = String::from(csv::MARK);
    csv::line(&mut out, &head);
    for case in cases {
        let rated = if case.rated { t("ja") } else { t("nein") };
        csv::line(&mut out, &[&case.name, &case.title, &case.body, &case.from, &case.to, &case.number, rated, case.note]);
    }
    out
}

pub(super) fn csv_distribution(classes: &[ClassCount]) -> String {
    let mut out = String::from(csv::MARK);
    csv::line(&mut out, &[t("Klasse"), t("Anzahl")]);
    for class in classes {
        csv::line(&mut out, &[&class.label, &class.total().to_string()]);
    }
    out
}

#[cfg(test)]
mod tests {
    use advisory::kpi::{KPIS, Light, Quality, figure};
    use expect_test::{Expect, expect};
    use ingest::time::Timestamp;

    use super::*;

    fn value(number: u8, rows: Vec<KpiRow>) -> KpiValue {
        let def = *KPIS.iter().find(|def| def.number == number).unwrap();
        KpiValue { def, figure: figure(&def, &rows), light: Light::Good, quality: Quality::default(), rows }
    }

    fn hours(all: &[(f64, bool)]) -> Vec<KpiRow> {
        let row = |(hours, ended): &(f64, bool)| KpiRow {
            subject: "s".into(),
            body: None,
            from: Timestamp(0),
            to: ended.then_some(Timestamp(1)),
            value: Some(*hours),
            rated: true,
            note: "",
        };
        all.iter().map(row).collect()
    }

    fn check(rows: &[(f64, bool)], cases: bool, expected: Expect) {
        let classes = distribution(&value(4, hours(rows)), cases);
        let text: Vec<String> = classes.iter().map(|class| format!("{}: {} + {}", class.label, class.ended, class.open)).collect();
        expected.assert_eq(&text.join("\n").replace('\u{a0}', " "));
    }

    #[test]
    fn cases_fall_into_classes() {
        let rows = [(0.5, true), (0.9, true), (1.0, true), (5.0, true), (5.5, true), (6.0, false), (30.0, false)];
        check(
            &rows,
            true,
            expect![[r#"
                unter 1 h: 2 + 0
                1 h bis unter 4 h: 1 + 0
                4 h bis unter 8 h: 2 + 1
                8 h bis unter 24 h: 0 + 0
                24 h bis unter 3 Tage: 0 + 1"#]],
        );
        check(
            &rows,
            false,
            expect![[r#"
                unter 4 h: 3 + 0
                4 h bis unter 3 Tage: 4 + 0"#]],
        );
    }

    #[test]
    fn verdicts_are_counted_and_small_ones_joined_for_neighbours() {
        let mut rows = hours(&[(1.0, true); 9]);
        for (row, note) in rows.iter_mut().zip([
            "Fehlalarm",
            "gutartig",
            "zutreffend",
            "zutreffend",
            "zutreffend",
            "Fehlalarm",
            "Fehlalarm",
            "gutartig",
            "zutreffend",
        ]) {
            row.note = note;
        }
        let labels = |cases| {
            distribution(&value(9, rows.clone()), cases)
                .iter()
                .map(|class| format!("{} {}", class.total(), class.label))
                .collect::<Vec<_>>()
        };
        assert_eq!(labels(true), ["4 zutreffend", "3 Fehlalarm", "2 gutartig"]);
        assert_eq!(labels(false), ["4 zutreffend", "5 Fehlalarm oder gutartig"]);
    }
}

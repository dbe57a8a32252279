//! Kennzahlen: five figures of a period with spread, number of cases and target, and the way down to the cases.

use std::collections::HashMap;

use advisory::advisory::AdvisoryId;
use advisory::kpi::stats::Proportion;
use advisory::kpi::{CASES_MIN, Direction, Figure, KpiDef, KpiValue, Light, Period, Unit, kpi_list, period_containing, period_parse};
use advisory::store::advisory_get;
use askama::Template;
use detect::incident::{IncidentFilter, incident_list};
use ingest::body;
use ingest::db::DbError;
use ingest::scope::Scope;
use ingest::time::Timestamp;

use crate::chart::{self, Caption, Step};
use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};

/// Periods before the chosen one that a figure's line shows.
const TREND_PERIODS: usize = 6;
/// Cases listed behind a figure.
const CASES_MAX: usize = 200;

struct Tile {
    key: &'static str,
    title: &'static str,
    width: &'static str,
    chart_width: &'static str,
    light: Markup,
    value: String,
    spread: String,
    spark: Markup,
    chart_title: String,
    chart: Markup,
    note: String,
}

#[derive(Template)]
#[template(path = "kpis.html")]
struct KpisPage {
    frame: Frame,
    summary: String,
    period: String,
    periods: Vec<(String, String, bool)>,
    kpis: Vec<Tile>,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let period = chosen(ask)?;
    let mut periods = vec![period.clone()];
    while let Some(before) = periods.last().and_then(Period::previous).filter(|_| periods.len() <= TREND_PERIODS) {
        periods.push(before);
    }
    periods.reverse();
    // Figures over all bodies are what this page is for; whoever may not see them does not get to it.
    let values = ask.app.db.read(|c| {
        let mut values = vec![];
        for one in &periods {
            values.push(kpi_list(c, one, ask.now, &Scope::All)?);
        }
        Ok::<_, DbError>(values)
    })?;
    let current = values.last().cloned().unwrap_or_default();
    let kpis = current
        .iter()
        .enumerate()
        .map(|(n, kpi)| {
            let trend: Vec<(String, Option<f64>)> =
                periods.iter().zip(&values).map(|(one, all)| (one.label.clone(), all.get(n).and_then(|kpi| kpi.figure.value()))).collect();
            tile(kpi, &trend, if n < 3 { "c4" } else { "c6" })
        })
        .collect();
    let page = KpisPage {
        frame: ask.frame("Kennzahlen", Place::Kpis),
        summary: format!("{}, Stand {}", period.label, show::stamp(ask.now)),
        periods: choices(ask.now, &period),
        period: period.key,
        kpis,
    };
    ask.page(&page)
}

fn chosen(ask: &Ask) -> Result<Period, PageError> {
    match ask.query("zeitraum") {
        "" => period_containing('H', ask.now).ok_or(PageError::NotFound),
        key => period_parse(key).ok_or(PageError::NotFound),
    }
}

/// Half-years and quarters back from now; the chosen one is among them.
fn choices(now: Timestamp, chosen: &Period) -> Vec<(String, String, bool)> {
    let mut all = vec![];
    for (length, count) in [('H', 5), ('Q', 6)] {
        let mut next = period_containing(length, now);
        for _ in 0..count {
            let Some(period) = next else { break };
            next = period.previous();
            all.push(period);
        }
    }
    if !all.iter().any(|period| period.key == chosen.key) {
        all.push(chosen.clone());
    }
    all.into_iter().map(|period| (period.key.clone(), period.label, period.key == chosen.key)).collect()
}

fn hours(hours: f64) -> String {
    show::duration((hours * Timestamp::HOUR as f64) as i64)
}

fn written(def: &KpiDef, value: Option<f64>) -> String {
    match (def.unit, value) {
        (_, None) => "–".into(),
        (Unit::Hours, Some(value)) => hours(value),
        (Unit::Percent, Some(value)) => format!("{}\u{a0}%", show::decimal(value, 0)),
    }
}

fn target(def: &KpiDef) -> String {
    let sign = match def.direction {
        Direction::Lower => "≤",
        Direction::Higher => "≥",
    };
    let scope = if def.target_for.is_empty() { String::new() } else { format!(" ({})", def.target_for) };
    format!("{sign}\u{a0}{}{scope}", written(def, Some(def.target)))
}

fn light(kpi: &KpiValue) -> Markup {
    match kpi.light {
        Light::Good => show::badge(Tone::Good, "im Plan"),
        Light::Endangered => show::badge(Tone::Mid, "gefährdet"),
        Light::Missed => show::badge(Tone::Crit, "verfehlt"),
        Light::Unrated => show::badge(Tone::Quiet, if kpi.figure.n() < CASES_MIN { "zu wenige Fälle" } else { "ohne Wertung" }),
    }
}

fn spread(kpi: &KpiValue) -> String {
    let def = &kpi.def;
    match &kpi.figure {
        Figure::Duration { p90, n, missing, .. } => {
            let missing = if *missing > 0 { format!(", {missing} noch ohne") } else { String::new() };
            format!("Median, P90 {}, n\u{a0}=\u{a0}{n}{missing} · Ziel {}", written(def, *p90), target(def))
        }
        Figure::Survival { p90, curve, .. } => {
            format!("Median nach Kaplan-Meier, P90 {}, n\u{a0}=\u{a0}{}, {} offen · Ziel {}", p90.map_or_else(|| "nicht erreicht".into(), hours), curve.n, curve.censored, target(def))
        }
        Figure::Share { proportion: Some(Proportion { hits, of, low, high, .. }) } => {
            format!("{} von {}, Wilson {} bis {} · Ziel {}", show::num(*hits), show::num(*of), show::percent(*low), show::percent(*high), target(def))
        }
        Figure::Share { proportion: None } => format!("keine Fälle · Ziel {}", target(def)),
    }
}

fn tile(kpi: &KpiValue, trend: &[(String, Option<f64>)], width: &'static str) -> Tile {
    let def = &kpi.def;
    let unit = match def.unit {
        Unit::Hours => "Stunden",
        Unit::Percent => "Prozent",
    };
    let id = format!("verlauf-{}", def.key);
    let (chart_title, chart, note) = match &kpi.figure {
        Figure::Survival { low, high, curve, .. } => {
            let steps: Vec<Step> = curve.steps.iter().map(|step| Step { at: step.time, share: step.survival, low: step.low, high: step.high }).collect();
            // Three times the target shows what matters; the tail is in the table.
            let caption = Caption { id: &id, title: "Anteil noch nicht eingedämmter Vorfälle", desc: "Stufenkurve nach Kaplan-Meier mit 95-Prozent-Band über die Zeit seit der Eröffnung." };
            let band = match (low, high) {
                (Some(low), Some(high)) => format!(" (95\u{a0}%: {} bis {})", hours(*low), hours(*high)),
                _ => String::new(),
            };
            let note = format!("n\u{a0}=\u{a0}{}, {} noch offen (zensiert). Median {}{band}", curve.n, curve.censored, kpi.figure.value().map_or_else(|| "nicht erreicht".into(), hours));
            (format!("{}: Anteil noch offener Vorfälle", def.name), chart::kaplan_meier(caption, "h", &steps, def.target * 3.0), note)
        }
        _ => {
            let desc = format!("Linie über die letzten {} Zeiträume; gestrichelt das Ziel.", trend.len());
            let caption = Caption { id: &id, title: def.name, desc: &desc };
            (format!("{} im Verlauf", def.name), chart::line(caption, unit, trend, Some(def.target)), def.pitfall.to_owned())
        }
    };
    Tile {
        key: def.key,
        title: def.name,
        width,
        chart_width: if matches!(kpi.figure, Figure::Survival { .. }) { "c12" } else { "c6" },
        light: light(kpi),
        value: match &kpi.figure {
            Figure::Survival { median: None, curve, .. } if curve.n > 0 => "nicht erreicht".into(),
            figure => written(def, figure.value()),
        },
        spread: spread(kpi),
        spark: chart::sparkline(&trend.iter().map(|point| point.1.unwrap_or(0.0)).collect::<Vec<_>>()),
        chart_title,
        chart,
        note,
    }
}

struct Case {
    href: String,
    name: String,
    body: String,
    time: Markup,
    value: String,
}

#[derive(Template)]
#[template(path = "kpi.html")]
struct KpiPage {
    frame: Frame,
    period: String,
    period_label: String,
    light: Markup,
    value: String,
    spread: String,
    definition: Vec<(&'static str, String)>,
    cases: Vec<Case>,
    cases_total: String,
}

pub(in crate::web) fn detail(ask: &mut Ask) -> Reply {
    let period = chosen(ask)?;
    let key = ask.param("name");
    let internal = ask.scope() == Scope::All;
    let (values, numbers, bodies, titles) = ask.app.db.read(|c| {
        let values = kpi_list(c, &period, ask.now, &Scope::All)?;
        let numbers: HashMap<String, String> = if internal {
            incident_list(c, &IncidentFilter { limit: 1_000, ..IncidentFilter::new(Scope::All) })?.into_iter().map(|one| (one.id.to_string(), one.number)).collect()
        } else {
            HashMap::new()
        };
        let bodies: HashMap<_, _> = body::body_list(c)?.into_iter().map(|body| (body.id, body.name)).collect();
        let mut titles = HashMap::new();
        if let Some(kpi) = values.iter().find(|kpi| kpi.def.key == key && kpi.def.number == 21).filter(|_| internal) {
            for row in kpi.rows.iter().take(CASES_MAX) {
                if let Ok(id) = row.subject.parse::<AdvisoryId>()
                    && !titles.contains_key(&row.subject)
                    && let Some(advisory) = advisory_get(c, &Scope::All, id)?
                {
                    titles.insert(row.subject.clone(), advisory.number_label().to_owned());
                }
            }
        }
        Ok::<_, DbError>((values, numbers, bodies, titles))
    })?;
    let kpi = values.iter().find(|kpi| kpi.def.key == key).ok_or(PageError::NotFound)?;
    let case = |row: &advisory::kpi::KpiRow| {
        let (href, name) = match (numbers.get(&row.subject), titles.get(&row.subject)) {
            (Some(number), _) => (format!("/vorfall/{number}"), number.clone()),
            (None, Some(number)) => (format!("/meldung/{}", row.subject), number.clone()),
            // An alert has no page of its own; its identity is enough to tell it from the others.
            (None, None) => (String::new(), row.subject.chars().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect()),
        };
        let value = match (kpi.def.unit, row.value) {
            (_, None) => "–".into(),
            (Unit::Hours, Some(value)) => hours(value),
            (Unit::Percent, Some(value)) => if value > 0.0 { "ja".into() } else { "nein".into() },
        };
        let value = if row.note.is_empty() { value } else { format!("{value} ({})", row.note) };
        Case { href, name, body: row.body.and_then(|body| bodies.get(&body).cloned()).unwrap_or_default(), time: show::time(row.from, ask.now), value }
    };
    let page = KpiPage {
        frame: ask.frame(kpi.def.name, Place::Kpis),
        period: period.key.clone(),
        period_label: period.label.clone(),
        light: light(kpi),
        value: written(&kpi.def, kpi.figure.value()),
        spread: spread(kpi),
        definition: vec![("Formel", kpi.def.formula.into()), ("Ziel", format!("{}, Vorschlag", target(&kpi.def))), ("Zu beachten", kpi.def.pitfall.into()), ("Nummer", kpi.def.number.to_string())],
        // The committee's members are neighbours of those who had the incident: they get the figure, not the cases.
        cases: if internal { kpi.rows.iter().rev().take(CASES_MAX).map(case).collect() } else { vec![] },
        cases_total: if internal { format!("{} Fälle", show::num(i64::try_from(kpi.rows.len()).unwrap_or(0))) } else { "Einzelne Fälle sieht nur das ThüringenCERT.".into() },
    };
    ask.page(&page)
}

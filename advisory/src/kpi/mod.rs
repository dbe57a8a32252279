//! The KPIs (Kennzahlen): pure functions over the history's events of a period, as known at a moment. No live table is
//! read, so an old figure reproduces, and every figure comes with the rows that it was made of. Five of the 25 of
//! DOMAIN.md so far; a new one is a row in `KPIS`, a function below, and hand-computed cases in the tests.

pub mod peers;
mod period;
pub mod stats;

use std::collections::BTreeMap;

use ingest::body::{BodyId, SITE_STATE};
use ingest::db::DbError;
use ingest::history::{HistoryEvent, history_between};
use ingest::rusqlite::Connection;
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde::Serialize;

use crate::advisory::ThreatLevel;

pub use period::{Period, period_containing, period_parse};
use stats::{KaplanMeier, Observed, Proportion, quantile, wilson};

/// Fewer cases than this say nothing about a period: no light, and "zu wenige Fälle" beside the value (DOMAIN.md).
pub const CASES_MIN: usize = 10;

/// What a figure is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Hours,
    Percent,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Lower,
    Higher,
}

/// A KPI's definition, as the pages and the report's annex print it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct KpiDef {
    /// Its number in DOMAIN.md.
    pub number: u8,
    /// Stable, for addresses and exports.
    pub key: &'static str,
    pub name: &'static str,
    pub formula: &'static str,
    pub unit: Unit,
    pub direction: Direction,
    /// Proposed target, in the unit (hours, or per cent of 100).
    pub target: f64,
    /// To which of the cases the target applies, where not to all.
    pub target_for: &'static str,
    pub pitfall: &'static str,
    /// The kinds of history events that it is made of.
    pub kinds: &'static [&'static str],
}

pub const KPIS: [KpiDef; 5] = [
    KpiDef {
        number: 3,
        key: "zeit-bis-empfehlung",
        name: "Zeit bis Empfehlung",
        formula: "Von der Eröffnung des Vorfalls bis zur ersten gesendeten Handlungsempfehlung; Median der Vorfälle, die im Zeitraum eröffnet wurden",
        unit: Unit::Hours,
        direction: Direction::Lower,
        target: 4.0,
        target_for: "kritische Vorfälle",
        pitfall: "Vorfälle ohne Empfehlung gehen nicht in den Median ein; ihre Zahl steht daneben. Zusammengeführte zählen als einer, ab dem frühesten.",
        kinds: &["incident.opened", "incident.severity", "incident.merged", "incident.took_in", "recommendation.sent"],
    },
    KpiDef {
        number: 4,
        key: "eindaemmungszeit",
        name: "Eindämmungszeit",
        formula: "Von der Eröffnung bis zur Eindämmung; Median nach Kaplan-Meier über die im Zeitraum eröffneten Vorfälle",
        unit: Unit::Hours,
        direction: Direction::Lower,
        target: 24.0,
        target_for: "",
        pitfall: "Offene Fälle sind zensiert: Sie zählen so lange mit, wie sie beobachtet wurden. Als Fehlalarm geschlossene zählen nicht. Zusammengeführte zählen als einer, ab dem frühesten.",
        kinds: &["incident.opened", "incident.contained", "incident.merged", "incident.took_in", "incident.closed"],
    },
    KpiDef {
        number: 9,
        key: "fehlalarmquote",
        name: "Fehlalarmquote",
        formula: "Als Fehlalarm bewertete Alarme geteilt durch alle bewerteten Alarme, nach dem Tag der Bewertung",
        unit: Unit::Percent,
        direction: Direction::Lower,
        target: 30.0,
        target_for: "",
        pitfall: "Erwünschtes Verhalten (gutartig) zählt nicht als Fehlalarm.",
        kinds: &["alert.closed"],
    },
    KpiDef {
        number: 14,
        key: "umsetzungsquote",
        name: "Umsetzungsquote",
        formula: "Fristgerecht als erledigt bestätigte Handlungsempfehlungen geteilt durch die gesendeten, deren Frist abgelaufen ist",
        unit: Unit::Percent,
        direction: Direction::Higher,
        target: 80.0,
        target_for: "",
        pitfall: "Keine Antwort zählt als nicht umgesetzt.",
        kinds: &["recommendation.sent", "recommendation.done"],
    },
    KpiDef {
        number: 21,
        key: "kenntnisnahmequote",
        name: "Kenntnisnahmequote",
        formula: "Stellen, die eine Meldung binnen 24 Stunden zur Kenntnis genommen haben, geteilt durch die angeschriebenen Stellen",
        unit: Unit::Percent,
        direction: Direction::Higher,
        target: 90.0,
        target_for: "rote Warnungen",
        pitfall: "Gezählt wird ein ausdrücklicher Klick, kein Zählpixel. Meldungen der letzten 24 Stunden zählen noch nicht.",
        kinds: &["advisory.sent", "advisory.ack", "advisory.affected", "advisory.not_affected", "advisory.remediated"],
    },
];

/// Whether a target is met: shown as colour, shape and word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Light {
    Good,
    /// Missed by up to a quarter of the target.
    Endangered,
    Missed,
    /// Too few cases to rate.
    Unrated,
}

/// A KPI's value with its spread.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Figure {
    /// Times that have all ended; `missing` have not begun to count.
    Duration {
        median: Option<f64>,
        p90: Option<f64>,
        n: usize,
        missing: usize,
    },
    /// Times of which some are still running.
    Survival {
        median: Option<f64>,
        low: Option<f64>,
        high: Option<f64>,
        p90: Option<f64>,
        curve: KaplanMeier,
    },
    Share {
        proportion: Option<Proportion>,
    },
}

impl Figure {
    /// The one number: hours, or per cent.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Duration { median, .. } | Self::Survival { median, .. } => *median,
            Self::Share { proportion } => proportion.map(|p| p.share * 100.0),
        }
    }

    /// How many cases it rests on.
    pub fn n(&self) -> usize {
        match self {
            Self::Duration { n, .. } => *n,
            Self::Survival { curve, .. } => usize::try_from(curve.n).unwrap_or(usize::MAX),
            Self::Share { proportion } => proportion.map_or(0, |p| usize::try_from(p.of).unwrap_or(usize::MAX)),
        }
    }
}

/// One case behind a figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KpiRow {
    /// Identity of the incident, alert or advisory.
    pub subject: String,
    pub body: Option<BodyId>,
    pub from: Timestamp,
    pub to: Option<Timestamp>,
    /// Hours for times (up to the last look for running ones); 1 or 0 for shares.
    pub value: Option<f64>,
    /// Whether it is one of those the target speaks of.
    pub rated: bool,
    pub note: &'static str,
}

/// How far the history behind a figure can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quality {
    /// Events of the period that it is made of.
    pub events: usize,
    /// Of these, written down more than a day after they happened.
    pub late: usize,
    /// Of these, corrections of earlier ones.
    pub corrected: usize,
}

/// A KPI of one period.
#[derive(Clone, Debug, Serialize)]
pub struct KpiValue {
    pub def: KpiDef,
    pub figure: Figure,
    pub light: Light,
    pub quality: Quality,
    pub rows: Vec<KpiRow>,
}

/// All KPIs of a period as known at `as_of`, for what `scope` may see.
///
/// # Errors
/// The database's own.
pub fn kpi_list(connection: &Connection, period: &Period, as_of: Timestamp, scope: &Scope) -> Result<Vec<KpiValue>, DbError> {
    Ok(kpi_lists(connection, std::slice::from_ref(period), as_of, scope)?.pop().unwrap_or_default())
}

/// All KPIs of each of `periods`, in their order, from one reading of the history.
///
/// # Errors
/// The database's own.
pub fn kpi_lists(connection: &Connection, periods: &[Period], as_of: Timestamp, scope: &Scope) -> Result<Vec<Vec<KpiValue>>, DbError> {
    let from = periods.iter().map(|period| period.from).min().unwrap_or(as_of);
    let to = periods.iter().map(|period| period.to).max().unwrap_or(as_of);
    let mut events = Vec::new();
    for prefix in ["incident.", "recommendation.", "alert.", "advisory."] {
        // Cases of the period may end after it, up to the moment of the report.
        events.extend(history_between(connection, prefix, from, as_of.plus(1).max(to), as_of)?);
    }
    // That a warning went out is no body's secret, and it says which of a body's answers were to red ones.
    events.retain(|event| scope.body_allowed(event.body) || event.kind == "advisory.published");
    Ok(periods.iter().map(|period| KPIS.iter().map(|def| kpi(def, &events, period, as_of)).collect()).collect())
}

/// One KPI from events that were known at `as_of`, corrections already applied. Pure.
pub fn kpi(def: &KpiDef, events: &[HistoryEvent], period: &Period, as_of: Timestamp) -> KpiValue {
    let rows = match def.number {
        3 => recommendation_times(events, period),
        4 => containment_times(events, period, as_of),
        9 => alert_verdicts(events, period),
        14 => recommendation_uptake(events, period, as_of),
        _ => acknowledgements(events, period, as_of),
    };
    let figure = figure(def, &rows);
    let rated: Vec<KpiRow> = rows.iter().filter(|row| row.rated).cloned().collect();
    let light = light(def, &self::figure(def, &rated));
    KpiValue { def: *def, figure, light, quality: quality(def, events, period), rows }
}

fn quality(def: &KpiDef, events: &[HistoryEvent], period: &Period) -> Quality {
    let counted = || events.iter().filter(|event| period.contains(event.event_time) && def.kinds.contains(&event.kind.as_str()));
    Quality {
        events: counted().count(),
        late: counted().filter(|event| event.recorded_at.since(event.event_time) > Timestamp::DAY).count(),
        corrected: counted().filter(|event| event.corrects.is_some()).count(),
    }
}

/// The figure that these rows make, such as of those only that the target speaks of.
pub fn figure(def: &KpiDef, rows: &[KpiRow]) -> Figure {
    let ended: Vec<f64> = rows.iter().filter(|row| row.to.is_some()).filter_map(|row| row.value).collect();
    match (def.number, def.unit) {
        (4, _) => {
            let observed: Vec<Observed> =
                rows.iter().filter_map(|row| Some(Observed { time: row.value?, event: row.to.is_some() })).collect();
            let curve = KaplanMeier::estimate(&observed);
            let (low, high) = curve.median_interval();
            Figure::Survival { median: curve.median(), low, high, p90: curve.reaches(0.1), curve }
        }
        (_, Unit::Hours) => Figure::Duration {
            median: quantile(&ended, 0.5),
            p90: quantile(&ended, 0.9),
            n: ended.len(),
            missing: rows.len() - ended.len(),
        },
        (_, Unit::Percent) => {
            let hits = rows.iter().filter(|row| row.value == Some(1.0)).count();
            Figure::Share { proportion: wilson(hits as u64, rows.len() as u64) }
        }
    }
}

fn light(def: &KpiDef, figure: &Figure) -> Light {
    let Some(value) = figure.value().filter(|_| figure.n() >= CASES_MIN) else { return Light::Unrated };
    let (met, near) = match def.direction {
        Direction::Lower => (value <= def.target, value <= def.target * 1.25),
        Direction::Higher => (value >= def.target, value >= def.target * 0.75),
    };
    match (met, near) {
        (true, _) => Light::Good,
        (false, true) => Light::Endangered,
        (false, false) => Light::Missed,
    }
}

/// Events by subject, each in order of time.
fn by_subject<'a>(events: &'a [HistoryEvent], kinds: &[&str]) -> BTreeMap<&'a str, Vec<&'a HistoryEvent>> {
    let mut map: BTreeMap<&str, Vec<&HistoryEvent>> = BTreeMap::new();
    for event in events.iter().filter(|event| kinds.contains(&event.kind.as_str())) {
        map.entry(event.subject.as_str()).or_default().push(event);
    }
    map
}

/// The events of each case, those of the cases that were merged into it among them, by the case that is left.
fn by_case<'a>(events: &'a [HistoryEvent], kinds: &[&str]) -> BTreeMap<&'a str, Vec<&'a HistoryEvent>> {
    let merged = events.iter().filter(|event| event.kind == "incident.merged");
    let into: BTreeMap<&str, &str> = merged.filter_map(|event| Some((event.subject.as_str(), event.data.get("into")?.as_str()?))).collect();
    let mut map: BTreeMap<&str, Vec<&HistoryEvent>> = BTreeMap::new();
    for event in events.iter().filter(|event| kinds.contains(&event.kind.as_str())) {
        let mut left = event.subject.as_str();
        // A case is never merged in a circle; a history that says so is damage, and must not hang the report.
        for _ in 0..into.len() {
            left = into.get(left).copied().unwrap_or(left);
        }
        map.entry(left).or_default().push(event);
    }
    map
}

/// When a case was opened: the earliest of all that were merged in it, also where that one's own opening lies before what was
/// read. `None` where it was not in the period, so that a case counts in one period only.
fn opened<'a>(case: &str, events: &[&'a HistoryEvent], period: &Period) -> Option<(Timestamp, &'a HistoryEvent)> {
    let opening = |event: &&&HistoryEvent| event.kind == "incident.opened";
    let own = events.iter().filter(opening).find(|event| event.subject == case).or_else(|| events.iter().find(opening))?;
    let told = events.iter().filter_map(|event| event.data.get("opened_at")?.as_i64()).map(Timestamp);
    let at = events.iter().filter(opening).map(|event| event.event_time).chain(told).min()?;
    period.contains(at).then_some((at, own))
}

fn first<'a>(events: &[&'a HistoryEvent], kind: &str) -> Option<&'a HistoryEvent> {
    events.iter().copied().find(|event| event.kind == kind)
}

fn hours(from: Timestamp, to: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a few years are far below 2^52")]
    let millis = to.since(from).max(0) as f64;
    millis / 3_600_000.0
}

fn recommendation_times(events: &[HistoryEvent], period: &Period) -> Vec<KpiRow> {
    const KINDS: [&str; 5] = ["incident.opened", "incident.severity", "incident.merged", "incident.took_in", "recommendation.sent"];
    let row = |(case, events): (&str, Vec<&HistoryEvent>)| {
        let (at, opened) = opened(case, &events, period)?;
        // A case of the state is nobody's to recommend to: it suggests a warning, whose time has figures of its own.
        if opened.data.get("site").and_then(|site| site.as_str()) == Some(SITE_STATE.to_string().as_str()) {
            return None;
        }
        let sent = events.iter().filter(|event| event.kind == "recommendation.sent").map(|event| event.event_time).min();
        let critical = events.iter().any(|event| {
            let level = if event.kind == "incident.severity" { event.data.get("to") } else { event.data.get("severity") };
            level.and_then(|level| level.as_str()) == Some("critical")
        });
        Some(KpiRow {
            subject: case.to_owned(),
            body: opened.body,
            from: at,
            to: sent,
            value: sent.map(|sent| hours(at, sent)),
            rated: critical,
            note: if sent.is_some() { "" } else { "noch ohne Empfehlung" },
        })
    };
    by_case(events, &KINDS).into_iter().filter_map(row).collect()
}

fn containment_times(events: &[HistoryEvent], period: &Period, as_of: Timestamp) -> Vec<KpiRow> {
    const KINDS: [&str; 5] = ["incident.opened", "incident.contained", "incident.merged", "incident.took_in", "incident.closed"];
    let row = |(case, events): (&str, Vec<&HistoryEvent>)| {
        let (at, opened) = opened(case, &events, period)?;
        // What was contained in a part is not yet contained in the whole: that is said of the case that is left.
        let events: Vec<&HistoryEvent> = events.into_iter().filter(|event| event.subject == case).collect();
        let contained = first(&events, "incident.contained").map(|event| event.event_time);
        let closed = first(&events, "incident.closed");
        let false_alarm =
            closed.and_then(|event| event.data.get("disposition")).and_then(|d| d.as_str()).is_some_and(|d| d != "true_positive");
        if contained.is_none() && false_alarm {
            return None;
        }
        // Closed without having been contained: observed up to there, like one that is still open.
        let looked = contained.or(closed.map(|event| event.event_time)).unwrap_or(as_of);
        Some(KpiRow {
            subject: case.to_owned(),
            body: opened.body,
            from: at,
            to: contained,
            value: Some(hours(at, looked)),
            rated: true,
            note: if contained.is_some() { "" } else { "noch nicht eingedämmt" },
        })
    };
    by_case(events, &KINDS).into_iter().filter_map(row).collect()
}

fn alert_verdicts(events: &[HistoryEvent], period: &Period) -> Vec<KpiRow> {
    let alerts = by_subject(events, &["alert.created", "alert.closed"]);
    let row = |events: Vec<&HistoryEvent>| {
        // A verdict may be changed: the last one counts.
        let closed = events.iter().rev().find(|event| event.kind == "alert.closed")?;
        if !period.contains(closed.event_time) {
            return None;
        }
        let verdict = closed.data.get("disposition")?.as_str()?;
        Some(KpiRow {
            subject: closed.subject.clone(),
            body: closed.body,
            from: first(&events, "alert.created").map_or(closed.event_time, |event| event.event_time),
            to: Some(closed.event_time),
            value: Some(f64::from(u8::from(verdict == "false_positive"))),
            rated: true,
            note: match verdict {
                "false_positive" => "Fehlalarm",
                "benign" => "gutartig",
                _ => "zutreffend",
            },
        })
    };
    alerts.into_values().filter_map(row).collect()
}

fn recommendation_uptake(events: &[HistoryEvent], period: &Period, as_of: Timestamp) -> Vec<KpiRow> {
    let name = |event: &HistoryEvent| event.data.get("recommendation").and_then(|id| id.as_str()).map(str::to_owned);
    let mut done: BTreeMap<String, Timestamp> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == "recommendation.done") {
        if let Some(id) = name(event) {
            done.entry(id).or_insert(event.event_time);
        }
    }
    let sent = events.iter().filter(|event| event.kind == "recommendation.sent" && period.contains(event.event_time));
    let row = |event: &HistoryEvent| {
        let due = event.data.get("due_at").and_then(serde_json::Value::as_i64).map(Timestamp)?;
        let done = name(event).and_then(|id| done.get(&id).copied());
        if done.is_none() && due > as_of {
            return None;
        }
        let in_time = done.is_some_and(|done| done <= due);
        Some(KpiRow {
            subject: event.subject.clone(),
            body: event.body,
            from: event.event_time,
            to: done,
            value: Some(f64::from(u8::from(in_time))),
            rated: true,
            note: match (in_time, done) {
                (true, _) => "fristgerecht",
                (false, Some(_)) => "verspätet",
                (false, None) => "ohne Bestätigung",
            },
        })
    };
    sent.filter_map(row).collect()
}

fn acknowledgements(events: &[HistoryEvent], period: &Period, as_of: Timestamp) -> Vec<KpiRow> {
    const ANSWERS: [&str; 4] = ["advisory.ack", "advisory.affected", "advisory.not_affected", "advisory.remediated"];
    let red: Vec<&str> = events
        .iter()
        .filter(|event| {
            event.kind == "advisory.published"
                && event.data.get("threat_level").and_then(|level| level.as_str()) == Some(ThreatLevel::Rot.as_str())
        })
        .map(|event| event.subject.as_str())
        .collect();
    let mut answers: BTreeMap<(&str, BodyId), Timestamp> = BTreeMap::new();
    let mut sent: BTreeMap<(&str, BodyId), Timestamp> = BTreeMap::new();
    for event in events {
        let Some(key) = event.body.map(|body| (event.subject.as_str(), body)) else { continue };
        if ANSWERS.contains(&event.kind.as_str()) {
            answers.entry(key).or_insert(event.event_time);
        } else if event.kind == "advisory.sent" {
            sent.entry(key).or_insert(event.event_time);
        }
    }
    let counted = sent.into_iter().filter(|(_, at)| period.contains(*at) && as_of.since(*at) >= Timestamp::DAY);
    let row = |((subject, body), at): ((&str, BodyId), Timestamp)| {
        let answered = answers.get(&(subject, body)).copied();
        let in_time = answered.is_some_and(|answered| answered.since(at) <= Timestamp::DAY);
        KpiRow {
            subject: subject.to_owned(),
            body: Some(body),
            from: at,
            to: answered,
            value: Some(f64::from(u8::from(in_time))),
            rated: red.contains(&subject),
            note: match (in_time, answered) {
                (true, _) => "binnen 24 Stunden",
                (false, Some(_)) => "später",
                (false, None) => "keine Antwort",
            },
        }
    };
    counted.map(row).collect()
}

#[cfg(test)]
mod tests;

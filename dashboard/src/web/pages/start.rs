//! The start page: where somebody lands after signing in. For the CERT the Lage, for a body what it is asked to do,
//! for the others the page that is their work.

use std::collections::HashMap;

use askama::Template;
use detect::alert::{AlertFilter, AlertState, alert_counts, alert_list};
use detect::incident::{Incident, IncidentFilter, State, incident_counts, incident_get, incident_list};
use detect::recommendation::{RecommendationState, StepState};
use detect::role::Role;
use detect::rule::Level;
use ingest::body;
use ingest::db::DbError;
use ingest::history::{HistoryEvent, history_between};
use ingest::scope::Scope;
use ingest::time::Timestamp;

use super::incidents::{Row, visible};
use crate::chart::{self, Caption, Ink, OverTime, Series, TimeBar, Unit};
use crate::show::{self, Markup, Tone, filters};
use crate::web::ask::see_other;
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, Names, t, tf};

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    match ask.viewer()?.role {
        Role::Analyst | Role::Lead => overview(ask),
        Role::Municipality | Role::Provider => portal(ask),
        // Their work is one page: nobody needs a page before it.
        Role::Steering => Ok(see_other("/kennzahlen")),
        Role::Auditor => Ok(see_other("/protokoll")),
        Role::Admin => Ok(see_other("/quellen")),
    }
}

/// One figure of the Lage.
struct Tile {
    title: &'static str,
    href: &'static str,
    value: String,
    of: String,
    why: String,
    badge: Option<Markup>,
    spark: Option<Markup>,
}

/// What changes every few seconds: the part that the script fetches again.
struct Lage {
    tiles: Vec<Tile>,
    overdue: Vec<super::deadlines::Overdue>,
    rows: Vec<Row>,
    open: String,
    map: Markup,
    chart: Markup,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    today: String,
    tasks: String,
    tiles: Vec<Tile>,
    overdue: Vec<super::deadlines::Overdue>,
    rows: Vec<Row>,
    open: String,
    map: Markup,
    chart: Markup,
}

#[derive(Template)]
#[template(path = "overview_live.html")]
struct OverviewLive {
    tiles: Vec<Tile>,
    overdue: Vec<super::deadlines::Overdue>,
    rows: Vec<Row>,
    open: String,
    map: Markup,
    chart: Markup,
}

fn overview(ask: &Ask) -> Reply {
    let Lage { tiles, overdue, rows, open, map, chart } = lage(ask)?;
    let frame = ask.frame(t("Lage"), Place::Overview);
    let tasks = super::tasks::sentence(super::tasks::counts(ask)?);
    ask.page(&OverviewPage { frame, today: show::date_long(ask.now), tasks, tiles, overdue, rows, open, map, chart })
}

pub(in crate::web) fn live(ask: &mut Ask) -> Reply {
    let Lage { tiles, overdue, rows, open, map, chart } = lage(ask)?;
    ask.page(&OverviewLive { tiles, overdue, rows, open, map, chart })
}

/// Open cases on the Lage; the list has all.
const OPEN_ROWS: usize = 12;
/// Alerts and cases read for the day's chart and the month's map: a crisis day stays well below.
const READ_MAX: usize = 1_000;

fn lage(ask: &Ask) -> Result<Lage, PageError> {
    let (scope, now) = (ask.scope(), ask.now);
    let month = now.plus(-30 * Timestamp::DAY);
    let (alerts, counts, cases, open, recent, names, bodies, sent, opened) = ask.app.db.read(|c| {
        let open = IncidentFilter { states: State::OPEN.to_vec(), limit: READ_MAX, ..IncidentFilter::new(scope.clone()) };
        Ok::<_, DbError>((
            alert_list(c, &AlertFilter { limit: READ_MAX, ..AlertFilter::new(scope.clone()) })?,
            alert_counts(c, &scope)?,
            incident_counts(c, &scope)?,
            incident_list(c, &open)?,
            incident_list(c, &IncidentFilter { limit: READ_MAX, ..IncidentFilter::new(scope.clone()) })?,
            Names::load(c)?,
            body::body_list(c)?,
            history_between(c, "recommendation.sent", month, now.plus(1), now)?,
            history_between(c, "incident.opened", month.plus(-30 * Timestamp::DAY), now.plus(1), now)?,
        ))
    })?;
    let new: Vec<_> = alerts.iter().filter(|alert| alert.state == AlertState::New).collect();
    let urgent = new.iter().filter(|alert| alert.level >= Level::High).count();
    let waits = to_recommendation(&opened, &sent);
    let kreis: HashMap<_, _> = bodies.iter().map(|body| (body.id, body.kreis.as_str())).collect();
    let mut per_kreis: HashMap<&str, u64> = HashMap::new();
    for incident in recent.iter().filter(|incident| incident.opened_at >= month && incident.merged_into.is_none()) {
        if let Some(key) = incident.body.and_then(|body| kreis.get(&body)) {
            *per_kreis.entry(key).or_default() += 1;
        }
    }
    let mut urgent_first: Vec<&Incident> = open.iter().collect();
    urgent_first.sort_by_key(|incident| (std::cmp::Reverse(incident.severity), std::cmp::Reverse(incident.last_activity)));
    let hours = per_hour(&alerts.iter().map(|alert| (alert.detected_at, alert.level)).collect::<Vec<_>>(), now);
    let trend: Vec<_> = hours.iter().map(|(at, values)| (show::clock(*at), Some(values.iter().sum()))).collect();
    let series = SERIES.map(|level| Series { ink: Ink::level(level), name: words::level(level) });
    let bars: Vec<TimeBar> = hours.into_iter().map(|(at, values)| TimeBar { at, values: values.to_vec(), href: String::new() }).collect();
    let until = bars.last().map_or(now, |bar| bar.at.plus(Timestamp::HOUR));
    let spark = Caption { id: "alarme-verlauf", title: t("Neue Alarme je Stunde"), desc: t("Die letzten 24 Stunden.") };
    let tiles = vec![
        Tile {
            title: t("Neue Alarme"),
            href: "/alarme",
            value: show::num(counts.new),
            of: String::new(),
            why: match counts.oldest_new {
                Some(at) => tf("{n} hoch oder kritisch, ältester {age}", &[("n", &urgent), ("age", &show::duration(now.since(at)))]),
                None => t("Alle Alarme sind bestätigt.").into(),
            },
            badge: None,
            spark: Some(chart::sparkline(spark, Unit::Count(t("Alarme")), &trend)),
        },
        recommendation_tile(&waits),
        Tile {
            title: t("Offene Vorfälle"),
            href: "/vorfaelle",
            value: show::num(cases.open),
            of: String::new(),
            why: severities(&cases.open_by_severity.iter().map(|(level, count)| (*level, *count)).collect::<Vec<_>>()),
            badge: (cases.new > 0).then(|| show::badge(Tone::Mid, &tf("{n} noch nicht gesichtet", &[("n", &cases.new)]))),
            spark: None,
        },
        super::sources::silent_tile(ask)?.into(),
    ];
    let caption = Caption {
        id: "alarme-24h",
        title: t("Alarme je Stunde nach Schwere"),
        desc: t("Gestapelte Balken über die letzten 24 Stunden, niedrige Schwere unten."),
    };
    let map_caption = Caption {
        id: "kreise",
        title: t("Vorfälle je Kreis"),
        desc: t("Kacheln der 22 Kreise, je kräftiger, desto mehr Vorfälle in den letzten 30 Tagen."),
    };
    Ok(Lage {
        tiles,
        overdue: super::deadlines::overdue(ask, None, OPEN_ROWS)?,
        rows: urgent_first.iter().take(OPEN_ROWS).map(|incident| Row::new(incident, &names, now, incident.last_activity)).collect(),
        open: show::num(cases.open),
        map: chart::tile_map(map_caption, Unit::Count(t("Vorfälle")), |key| {
            Some((per_kreis.get(key).map_or(0.0, |count| *count as f64), String::new()))
        }),
        chart: chart::over_time(OverTime {
            caption,
            unit: Unit::Count(t("Alarme")),
            series: &series,
            bars: &bars,
            until,
            before: None,
            brush: None,
        }),
    })
}

impl From<super::sources::SilentTile> for Tile {
    fn from(silent: super::sources::SilentTile) -> Self {
        Self {
            title: t("Stille Quellen"),
            href: "/quellen",
            value: silent.value,
            of: silent.of,
            why: silent.why,
            badge: silent.badge,
            spark: None,
        }
    }
}

/// From the bottom of the stack up.
const SERIES: [Level; 5] = [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];

/// The last 24 hours, each with its alerts by level as in `SERIES`.
fn per_hour(alerts: &[(Timestamp, Level)], now: Timestamp) -> Vec<(Timestamp, [f64; 5])> {
    // Whole hours, the one that runs among them.
    let start = Timestamp(now.0.div_euclid(Timestamp::HOUR).saturating_mul(Timestamp::HOUR)).plus(-23 * Timestamp::HOUR);
    let mut hours: Vec<(Timestamp, [f64; 5])> = (0..24).map(|hour| (start.plus(hour * Timestamp::HOUR), [0.0; 5])).collect();
    for (at, level) in alerts.iter().filter(|(at, _)| *at >= start && *at <= now) {
        let hour = usize::try_from(at.since(start) / Timestamp::HOUR).unwrap_or(0);
        let place = SERIES.iter().position(|known| known == level).unwrap_or(0);
        if let Some(count) = hours.get_mut(hour).and_then(|hour| hour.1.get_mut(place)) {
            *count += 1.0;
        }
    }
    hours
}

fn severities(counts: &[(Level, u64)]) -> String {
    let named = counts.iter().rev().filter(|(_, count)| *count > 0).map(|(level, count)| format!("{count} {}", words::level(*level)));
    let text = named.collect::<Vec<_>>().join(", ");
    if text.is_empty() { t("Nichts offen.").into() } else { text }
}

/// For each case whose first recommendation was sent in the period: how long that took since its opening, sorted.
fn to_recommendation(opened: &[HistoryEvent], sent: &[HistoryEvent]) -> Vec<i64> {
    let starts: HashMap<&str, Timestamp> = opened.iter().map(|event| (event.subject.as_str(), event.event_time)).collect();
    let mut firsts: HashMap<&str, i64> = HashMap::new();
    for event in sent {
        if let Some(start) = starts.get(event.subject.as_str()) {
            let wait = event.event_time.since(*start).max(0);
            let first = firsts.entry(&event.subject).or_insert(wait);
            *first = wait.min(*first);
        }
    }
    let mut waits: Vec<i64> = firsts.into_values().collect();
    waits.sort_unstable();
    waits
}

/// The proposed target of DOMAIN.md's figure 3.
const RECOMMENDATION_TARGET_MILLIS: i64 = 4 * Timestamp::HOUR;
/// With fewer cases a median says nothing.
const CASES_MIN: usize = 10;

fn recommendation_tile(waits: &[i64]) -> Tile {
    let median = waits.get(waits.len() / 2).copied();
    let (value, badge) = match median {
        None => ("–".into(), None),
        Some(median) if waits.len() < CASES_MIN => (show::duration(median), Some(show::badge(Tone::Quiet, t("zu wenige Fälle")))),
        Some(median) if median <= RECOMMENDATION_TARGET_MILLIS => (show::duration(median), Some(show::badge(Tone::Good, t("im Ziel")))),
        Some(median) => (show::duration(median), Some(show::badge(Tone::High, t("über dem Ziel")))),
    };
    Tile {
        title: t("Zeit bis Empfehlung"),
        href: "/kennzahlen",
        value,
        of: String::new(),
        why: tf("Median, 30 Tage, n\u{a0}=\u{a0}{n} · Ziel ≤\u{a0}4\u{a0}h", &[("n", &waits.len())]),
        badge,
        spark: None,
    }
}

struct Todo {
    badge: Markup,
    due: String,
    href: String,
    title: String,
    why: String,
}

#[derive(Template)]
#[template(path = "portal.html")]
struct PortalPage {
    frame: Frame,
    body: String,
    today: String,
    todo: Vec<Todo>,
    incidents: Vec<Row>,
    advisories: Vec<super::advisories::Row>,
}

fn portal(ask: &Ask) -> Reply {
    let scope = ask.scope();
    let own = ask.viewer()?.body;
    let (views, body, names) = ask.app.db.read(|c| {
        let open = IncidentFilter { states: State::OPEN.to_vec(), limit: 20, ..super::incidents::readable(ask) };
        let mut views = vec![];
        for incident in incident_list(c, &open)? {
            views.extend(incident_get(c, &scope, incident.id)?);
        }
        let body = own.map(|own| body::body_get(c, own)).transpose()?.flatten();
        Ok::<_, DbError>((views, body, Names::load(c)?))
    })?;
    let views: Vec<_> = views.into_iter().filter(|view| visible(ask, &view.incident)).collect();
    let mut todo = vec![];
    for view in &views {
        for one in &view.recommendations {
            if !matches!(one.state, RecommendationState::Sent | RecommendationState::Seen | RecommendationState::InWork) {
                continue;
            }
            let left = one.steps.iter().filter(|step| matches!(step.state, StepState::Open | StepState::InWork)).count();
            let due = one.due_next(ask.now).map(|at| {
                if at < ask.now {
                    tf("überfällig seit {time}", &[("time", &show::duration(ask.now.since(at)))])
                } else {
                    tf("noch {time}", &[("time", &show::duration(at.since(ask.now)))])
                }
            });
            todo.push(Todo {
                badge: words::level_badge(view.incident.severity),
                due: due.unwrap_or_default(),
                href: format!("/vorfall/{}", view.incident.number),
                title: one.title.clone(),
                why: tf(
                    "{left} von {n} Schritten sind offen · {incident}",
                    &[("left", &left), ("n", &one.steps.len()), ("incident", &view.incident.number)],
                ),
            });
        }
    }
    let (asked, advisories) = super::advisories::for_portal(ask)?;
    todo.extend(asked.into_iter().map(|row| Todo {
        badge: row.severity,
        due: String::new(),
        href: row.href,
        title: row.title,
        why: t("Warnung: Bitte bestätigen Sie, dass Sie sie gelesen haben.").into(),
    }));
    let page = PortalPage {
        frame: ask.frame(t("Start"), Place::Overview),
        body: body.map_or_else(|| t("Start").into(), |body| body.name),
        today: show::date_long(ask.now),
        todo,
        incidents: views.iter().map(|view| Row::new(&view.incident, &names, ask.now, view.incident.last_activity)).collect(),
        advisories,
    };
    debug_assert!(scope != Scope::All, "the portal is for bodies");
    ask.page(&page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_hold_their_alerts() {
        let now = Timestamp(100 * Timestamp::HOUR);
        let at = |hours: i64| now.plus(-hours * Timestamp::HOUR);
        let hours = per_hour(
            &[(at(23), Level::Low), (now, Level::Critical), (at(1), Level::Critical), (at(25), Level::High), (now.plus(1), Level::High)],
            now,
        );
        assert_eq!(hours.len(), 24);
        assert_eq!(hours[0].1, [0.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!((hours[22].1, hours[23].1), ([0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0, 1.0]));
        assert_eq!(hours.iter().map(|hour| hour.1.iter().sum::<f64>()).sum::<f64>(), 3.0);
    }

    #[test]
    fn the_first_recommendation_counts() {
        let event = |subject: &str, at: i64| HistoryEvent {
            id: Default::default(),
            event_time: Timestamp(at),
            recorded_at: Timestamp(at),
            kind: String::new(),
            subject: subject.into(),
            body: None,
            actor: String::new(),
            data: serde_json::Value::Null,
            corrects: None,
        };
        let waits =
            to_recommendation(&[event("a", 100), event("b", 0)], &[event("a", 150), event("a", 130), event("b", 500), event("c", 7)]);
        assert_eq!(waits, [30, 500]);
    }
}

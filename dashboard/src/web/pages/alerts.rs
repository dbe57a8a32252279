//! Alarme: what the rules said, by state, with the one click that says "seen".

use askama::Template;
use detect::alert::{Alert, AlertFilter, AlertId, AlertState, Disposition, alert_ack, alert_counts, alert_list};
use detect::finding::Reason;
use detect::incident::{IncidentFilter, incident_list};
use detect::role::{Action, allowed};
use ingest::db::DbError;
use ingest::time::Timestamp;

use super::incidents::refused;
use super::rules::rule_path;
use super::why::{self, Why};
use crate::show::{self, Markup, filters, link};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, t, tf};

const PAGE_ROWS: usize = 50;
/// As far back as anybody keeps alerts.
const DAYS_MAX: i64 = 4_000;

struct Row {
    id: String,
    severity: Markup,
    state: &'static str,
    title: String,
    rule: String,
    entity: String,
    entity_href: String,
    body: String,
    records: String,
    incident: String,
    time: Markup,
    reasons: Vec<Reason>,
    why: Vec<Why>,
    may_ack: bool,
    /// Where the rule can be held back for what this alert shows; empty for what is no rule in a file.
    tune: String,
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct ListPage {
    frame: Frame,
    summary: String,
    tabs: Vec<(String, String, bool)>,
    /// Filters that other pages come with: (text, href without it).
    chips: Vec<(String, String)>,
    rows: Vec<Row>,
    older: String,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let wanted = ask.query("stand");
    let state = AlertState::parse(wanted);
    let states = match (wanted, state) {
        ("alle", _) => vec![],
        (_, Some(state)) => vec![state],
        _ => vec![AlertState::New],
    };
    let (rule, verdict, days) = (ask.query("regel"), ask.query("urteil"), ask.query("tage"));
    let days_known = days.parse::<i64>().ok().filter(|days| (1..=DAYS_MAX).contains(days));
    let filter = AlertFilter {
        states,
        rule_name: Some(rule.to_owned()).filter(|rule| !rule.is_empty()),
        disposition: Disposition::parse(verdict),
        since: days_known.map(|days| ask.now.plus(-days * Timestamp::DAY)),
        limit: PAGE_ROWS + 1,
        before: ask.query("vor").parse().ok(),
        ..AlertFilter::new(ask.scope())
    };
    let scope = ask.scope();
    let (mut found, counts, numbers) = ask.app.db.read(|c| {
        let found = alert_list(c, &filter)?;
        // The numbers of the cases that these alerts stand in; alerts older than the newest thousand cases go without.
        let cases = incident_list(c, &IncidentFilter { limit: 1_000, ..IncidentFilter::new(scope.clone()) })?;
        let numbers: std::collections::HashMap<_, _> = cases.into_iter().map(|case| (case.id, case.number)).collect();
        Ok::<_, DbError>((found, alert_counts(c, &scope)?, numbers))
    })?;
    let more = found.len() > PAGE_ROWS;
    found.truncate(PAGE_ROWS);
    let mut explained = why::load(ask, &found.iter().map(|alert| alert.id).collect::<Vec<_>>())?;
    let kept = [("regel", rule), ("urteil", verdict), ("tage", days)];
    let href = |extra: &[(&str, &str)], without: &str| {
        let pairs: Vec<(&str, &str)> =
            extra.iter().chain(&kept).copied().filter(|(name, value)| !value.is_empty() && *name != without).collect();
        link("/alarme", &pairs)
    };
    let older = found.last().filter(|_| more).map(|last| href(&[("stand", wanted), ("vor", &last.id.to_string())], ""));
    let mut chips = vec![];
    if let Some(rule) = &filter.rule_name {
        let book = ask.app.rules.get();
        let title = book.set.find(rule).map_or_else(|| rule.clone(), |compiled| compiled.rule.title.clone());
        chips.push((tf("Regel: {title}", &[("title", &title)]), href(&[("stand", wanted)], "regel")));
    }
    if let Some(disposition) = filter.disposition {
        chips.push((words::disposition(disposition).to_owned(), href(&[("stand", wanted)], "urteil")));
    }
    if let Some(days) = days_known {
        chips.push((tf("letzte {n} Tage", &[("n", &days)]), href(&[("stand", wanted)], "tage")));
    }
    let book = ask.app.rules.get();
    let may_tune = ask.viewer.as_ref().is_some_and(|viewer| allowed(Action::RuleTune, viewer.role));
    let may_ack = ask.viewer.as_ref().is_some_and(|viewer| allowed(Action::AlertAcknowledge, viewer.role));
    let mut row = |alert: &Alert| {
        let (field, value) = words::entity(&alert.entity);
        let (value, query) = match field {
            "" => {
                (alert.site_name.clone().unwrap_or_default(), super::evidence::term("site", alert.site_name.as_deref().unwrap_or_default()))
            }
            field => (value.to_owned(), super::evidence::term(field, value)),
        };
        Row {
            id: alert.id.to_string(),
            severity: words::level_badge(alert.level),
            state: words::alert_state(alert.state),
            title: alert.title.clone(),
            rule: rule_path(&alert.rule_name),
            entity: value,
            entity_href: super::evidence::href(&query, alert.first, alert.last),
            body: words::whose(alert),
            records: show::num(alert.records),
            incident: alert.incident.and_then(|id| numbers.get(&id).cloned()).unwrap_or_default(),
            time: show::time(alert.detected_at, ask.now),
            reasons: alert.reasons.clone(),
            why: explained.remove(&alert.id).unwrap_or_default(),
            may_ack: may_ack && alert.state == AlertState::New,
            tune: if may_tune && book.set.find(&alert.rule_name).is_some() { tune_href(alert) } else { String::new() },
        }
    };
    let summary = match counts.oldest_new.filter(|_| counts.new > 0) {
        Some(at) => {
            tf("{n} neu, der älteste wartet seit {age}", &[("n", &show::num(counts.new)), ("age", &show::duration(ask.now.since(at)))])
        }
        None if counts.new == 0 => t("Kein neuer Alarm").into(),
        None => tf("{n} neu", &[("n", &show::num(counts.new))]),
    };
    let rows: Vec<Row> = found.iter().map(&mut row).collect();
    let page = ListPage {
        frame: ask.frame(t("Alarme"), Place::Alerts),
        summary,
        tabs: vec![
            (href(&[], ""), tf("Neu ({n})", &[("n", &show::num(counts.new))]), state.is_none() && wanted != "alle"),
            (
                href(&[("stand", "acknowledged")], ""),
                tf("Bestätigt ({n})", &[("n", &show::num(counts.acknowledged))]),
                state == Some(AlertState::Acknowledged),
            ),
            (href(&[("stand", "closed")], ""), t("Geschlossen").into(), state == Some(AlertState::Closed)),
            (href(&[("stand", "alle")], ""), t("Alle").into(), wanted == "alle"),
        ],
        chips,
        rows,
        older: older.unwrap_or_default(),
    };
    ask.page(&page)
}

/// Where an alert's rule is held back for what the alert shows.
pub(super) fn tune_href(alert: &Alert) -> String {
    link(&format!("{}/stillhalten", rule_path(&alert.rule_name)), &[("alarm", &alert.id.to_string())])
}

pub(in crate::web) fn acknowledge(ask: &mut Ask) -> Reply {
    let id: AlertId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.write(move |tx| alert_ack(tx, id, &actor, role, now)).map_err(refused)?;
    ask.redirect("/alarme", "acked")
}

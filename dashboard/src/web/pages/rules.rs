//! Regeln: what is loaded, each with its wording and its latest alerts.

use std::collections::HashMap;

use askama::Template;
use detect::alert::{AlertFilter, alert_list};
use detect::sigma::CompiledRule;
use ingest::time::Timestamp;

use crate::show::{self, Markup, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words;

struct Row {
    name: String,
    level: Markup,
    title: String,
    description: String,
    kind: &'static str,
    attack: String,
    alerts: String,
}

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    frame: Frame,
    summary: String,
    rows: Vec<Row>,
}

fn kind(rule: &CompiledRule) -> &'static str {
    match (rule.alerts, rule.is_correlation()) {
        (false, _) => "Baustein",
        (true, true) => "Zusammenhang",
        (true, false) => "Einzelereignis",
    }
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let month = ask.now.plus(-30 * Timestamp::DAY);
    let filter = AlertFilter { limit: 1_000, ..AlertFilter::new(ask.scope()) };
    let mut counts: HashMap<String, u64> = HashMap::new();
    for alert in ask.app.db.read(|c| alert_list(c, &filter))?.into_iter().filter(|alert| alert.detected_at >= month) {
        *counts.entry(alert.rule_name).or_default() += 1;
    }
    let mut rules: Vec<&CompiledRule> = ask.app.rules.rules().iter().collect();
    rules.sort_by_key(|rule| (!rule.alerts, std::cmp::Reverse(rule.rule.level), rule.rule.title.clone()));
    let row = |rule: &&CompiledRule| Row {
        name: rule.rule.name.clone(),
        level: words::level_badge(rule.rule.level),
        title: rule.rule.title.clone(),
        description: rule.rule.description.clone(),
        kind: kind(rule),
        attack: rule.rule.attack.join(" "),
        alerts: show::num(counts.get(&rule.rule.name).copied().unwrap_or(0)),
    };
    let page = RulesPage {
        frame: ask.frame("Regeln", Place::Rules),
        summary: format!("{} geladen, die strengsten zuerst", show::num(i64::try_from(rules.len()).unwrap_or(0))),
        rows: rules.iter().map(row).collect(),
    };
    ask.page(&page)
}

/// The rule's wording: from the binary, else from the operator's folder as it is now.
fn source(file: &str) -> String {
    let own = || std::fs::read_to_string(file).unwrap_or_else(|_| "Die Datei ist nicht mehr lesbar.".into());
    detect::sigma::shipped_text(file).map_or_else(own, str::to_owned)
}

struct AlertLine {
    state: &'static str,
    time: Markup,
    href: String,
    entity: String,
    body: String,
}

#[derive(Template)]
#[template(path = "rule.html")]
struct RulePage<'a> {
    frame: Frame,
    name: &'a str,
    id: &'a str,
    level: Markup,
    kind: &'static str,
    attack: &'a [String],
    description: &'a str,
    source: String,
    alerts: Vec<AlertLine>,
}

pub(in crate::web) fn detail(ask: &mut Ask) -> Reply {
    let name = ask.param("name");
    let rule = ask.app.rules.rules().iter().find(|rule| rule.rule.name == name).ok_or(PageError::NotFound)?;
    let filter = AlertFilter { rule_name: Some(name.to_owned()), limit: 20, ..AlertFilter::new(ask.scope()) };
    let alerts = ask.app.db.read(|c| alert_list(c, &filter))?;
    let line = |alert: &detect::alert::Alert| {
        let (field, value) = words::entity(&alert.entity);
        let query = if field.is_empty() { super::evidence::term("site", alert.site_name.as_deref().unwrap_or_default()) } else { super::evidence::term(field, value) };
        AlertLine {
            state: words::alert_state(alert.state),
            time: show::time(alert.detected_at, ask.now),
            href: super::evidence::href(&query, alert.first, alert.last),
            entity: value.to_owned(),
            body: alert.body_name.clone().or_else(|| alert.site_name.clone()).unwrap_or_default(),
        }
    };
    let page = RulePage {
        frame: ask.frame(&rule.rule.title, Place::Rules),
        name,
        id: &rule.rule.id,
        level: words::level_badge(rule.rule.level),
        kind: kind(rule),
        attack: &rule.rule.attack,
        description: &rule.rule.description,
        source: source(&rule.file),
        alerts: alerts.iter().map(line).collect(),
    };
    ask.page(&page)
}

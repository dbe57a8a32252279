//! Regeln: what is loaded, how well each judged in the last months, and each with its wording, its playbook and its
//! latest alerts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use advisory::kpi::CASES_MIN;
use askama::Template;
use detect::alert::{Alert, AlertFilter, RuleQuality, alert_list, rule_quality};
use detect::flow::{SHIPPED_FILE, Section, Sheet};
use detect::incident::{IncidentId, incident_labels};
use detect::rsit::Rsit;
use detect::rule::{Level, Rule};
use detect::sigma::{CompiledRule, shipped_text};
use ingest::db::DbError;
use ingest::time::Timestamp;

use crate::show::{self, Markup, filters};
use crate::web::ask::see_other;
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, t, tf};

/// How far back a rule's quality looks.
const QUALITY_DAYS: i64 = 90;
/// Sampling exporters named on the page.
const EXPORTERS_SHOWN: usize = 20;
/// Alerts listed on a rule's page.
const ALERTS_SHOWN: usize = 20;

/// A rule's verdicts, in words and as a bar.
struct Quality {
    alerts: String,
    text: String,
    /// Widths in per cent of those judged: true, harmless, false. Empty below the least number of cases.
    bars: Vec<(&'static str, String, String)>,
}

impl Quality {
    fn new(of: RuleQuality) -> Self {
        let judged = of.judged();
        let percent = |count: u64| count as f64 / judged.max(1) as f64;
        let text = match judged {
            0 => t("noch keiner bewertet").to_owned(),
            n if n < CASES_MIN as u64 => tf(
                "{right} von {n} zutreffend, {wrong} Fehlalarm; zu wenige Fälle für Anteile",
                &[("right", &of.true_positive), ("n", &n), ("wrong", &of.false_positive)],
            ),
            n => tf(
                "{right} zutreffend, {benign} erlaubt, {wrong} Fehlalarm (n\u{a0}=\u{a0}{n})",
                &[
                    ("right", &show::percent(percent(of.true_positive))),
                    ("benign", &show::percent(percent(of.benign))),
                    ("wrong", &show::percent(percent(of.false_positive))),
                    ("n", &show::num(n)),
                ],
            ),
        };
        let mut bars = vec![];
        let mut x = 0.0;
        for (class, count) in [("f-act", of.true_positive), ("rest", of.benign), ("f-high", of.false_positive)] {
            let width = percent(count) * 100.0;
            bars.push((class, format!("{x:.1}"), format!("{width:.1}")));
            x += width;
        }
        if judged < CASES_MIN as u64 {
            bars.clear();
        }
        Self { alerts: show::num(of.alerts), text, bars }
    }
}

/// A detector's memory.
struct Memory {
    name: String,
    title: String,
    runs: bool,
    bytes: String,
    bytes_max: String,
    entries: String,
    dropped: String,
    left_out: String,
}

struct Row {
    name: String,
    level: Markup,
    title: String,
    description: String,
    kind: &'static str,
    rsit: String,
    attack: String,
    quality: Quality,
}

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    frame: Frame,
    summary: String,
    rows: Vec<Row>,
    parts: Vec<Row>,
    memories: Vec<Memory>,
    /// What is to be said of exporters that sample; empty where none does.
    sampled: String,
}

fn kind(rule: &CompiledRule) -> &'static str {
    match (rule.alerts, rule.is_correlation()) {
        (false, _) => t("Baustein"),
        (true, true) => t("Zusammenhang"),
        (true, false) => t("Einzelereignis"),
    }
}

fn rsit(rule: &Rule) -> String {
    words::rsit(rule.rsit.parse().unwrap_or(Rsit::UNDETERMINED))
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let (scope, since) = (ask.scope(), ask.now.plus(-QUALITY_DAYS * Timestamp::DAY));
    let quality = ask.app.db.read(|c| rule_quality(c, &scope, since))?;
    let mut rules: Vec<&CompiledRule> = ask.app.rules.rules().iter().collect();
    rules.sort_by(|a, b| Reverse(a.rule.level).cmp(&Reverse(b.rule.level)).then_with(|| a.rule.title.cmp(&b.rule.title)));
    let row = |rule: &&CompiledRule| Row {
        name: rule.rule.name.clone(),
        level: words::level_badge(rule.rule.level),
        title: rule.rule.title.clone(),
        description: rule.rule.description.clone(),
        kind: kind(rule),
        rsit: rsit(&rule.rule),
        attack: rule.rule.attack.join(", "),
        quality: Quality::new(quality.get(&rule.rule.name).copied().unwrap_or_default()),
    };
    let (alerting, parts): (Vec<&CompiledRule>, Vec<&CompiledRule>) = rules.into_iter().partition(|rule| rule.alerts);
    let sections = ask.app.board.sheet.iter();
    let detector = |(_, section): (&str, &Section)| (section.rule.level, of_detector(section, &quality));
    let mut all: Vec<(Level, Row)> = alerting.iter().map(|rule| (rule.rule.level, row(rule))).chain(sections.map(detector)).collect();
    all.sort_by(|(a, x), (b, y)| Reverse(a).cmp(&Reverse(b)).then_with(|| x.title.cmp(&y.title)));
    let (memories, sampled) = memories(ask);
    let page = RulesPage {
        frame: ask.frame(t("Regeln"), Place::Rules),
        summary: tf(
            "{n} Regeln, die schwersten zuerst, und {parts} Bausteine; Alarme der letzten {days} Tage",
            &[("n", &show::num(all.len() as i128)), ("parts", &show::num(parts.len() as i128)), ("days", &QUALITY_DAYS)],
        ),
        parts: parts.iter().map(row).collect(),
        rows: all.into_iter().map(|(_, row)| row).collect(),
        memories,
        sampled,
    };
    ask.page(&page)
}

fn of_detector(section: &Section, quality: &BTreeMap<String, RuleQuality>) -> Row {
    let rule = &section.rule;
    Row {
        name: rule.name.clone(),
        level: words::level_badge(rule.level),
        title: rule.title.clone(),
        description: rule.description.clone(),
        kind: detector_kind(section),
        rsit: rsit(rule),
        attack: rule.attack.join(", "),
        quality: Quality::new(quality.get(&rule.name).copied().unwrap_or_default()),
    }
}

fn detector_kind(section: &Section) -> &'static str {
    if section.enabled { t("Detektor über Datenflüssen") } else { t("Detektor, abgeschaltet") }
}

/// How the detectors stood about a minute ago, and whose records some of them leave out.
fn memories(ask: &Ask) -> (Vec<Memory>, String) {
    let health = ask.app.board.health();
    let of = |(name, section): (&str, &Section)| {
        let stands = health.detectors.iter().find(|one| one.name == name);
        let of = stands.map(|one| one.footprint).unwrap_or_default();
        Memory {
            name: name.to_owned(),
            title: section.rule.title.clone(),
            runs: section.enabled && stands.is_some(),
            bytes: show::bytes(of.bytes as u64),
            bytes_max: show::bytes(of.bytes_max as u64),
            entries: show::num(of.entries as i128),
            dropped: show::num(of.dropped),
            left_out: show::num(stands.map_or(0, |one| one.left_out)),
        }
    };
    let memories = ask.app.board.sheet.iter().filter(|(_, section)| section.of.is_none()).map(of).collect();
    let exporters: Vec<String> =
        health.sampled.iter().take(EXPORTERS_SHOWN).map(|(exporter, records)| format!("{exporter} ({})", show::num(*records))).collect();
    let sampled = match health.sampled.len() {
        0 => String::new(),
        n => tf("{n} Exporter melden nur Stichproben: {list}", &[("n", &show::num(n as i128)), ("list", &exporters.join(", "))]),
    };
    (memories, sampled)
}

/// The rule's wording: from the binary, else from the operator's folder as it is now.
fn source(file: &str) -> String {
    let own = || std::fs::read_to_string(file).unwrap_or_else(|_| t("Die Datei ist nicht mehr lesbar.").into());
    shipped_text(file).map_or_else(own, str::to_owned)
}

struct AlertLine {
    severity: Markup,
    state: &'static str,
    time: Markup,
    href: String,
    entity: String,
    place: String,
    incident: String,
}

struct Step {
    text: String,
    within: String,
    confirm: String,
}

/// What people do when the rule fires.
struct Plan {
    title: String,
    meaning: String,
    check: Vec<String>,
    steps: Vec<Step>,
}

#[derive(Template)]
#[template(path = "rule.html")]
struct RulePage<'a> {
    frame: Frame,
    name: &'a str,
    level: Markup,
    kind: &'static str,
    rsit: String,
    attack: &'a [String],
    description: &'a str,
    falsepositives: &'a [String],
    quality: Quality,
    days: i64,
    plan: Option<Plan>,
    file: &'a str,
    line: u64,
    id: &'a str,
    source: String,
    /// A detector's parameters: name, value, and the shipped value where it is another.
    parameters: Vec<(String, String, String)>,
    alerts: Vec<AlertLine>,
    parts: bool,
}

pub(in crate::web) fn detail(ask: &mut Ask) -> Reply {
    let name = ask.param("name");
    // An alert of a saved search names it as its rule.
    if let Some(id) = name.strip_prefix(crate::saved_run::RULE_PREFIX) {
        return Ok(see_other(&format!("/suche/gespeichert/{id}")));
    }
    let rules = ask.app.rules.clone();
    let compiled = rules.rules().iter().find(|compiled| compiled.rule.name == name);
    // What the house notices by itself stands in no file.
    let own = || detect::watch::house_rules().into_iter().find(|rule| rule.name == name);
    let board = ask.app.board.clone();
    let section = board.sheet.get(name);
    let own = || section.map(|section| section.rule.clone()).or_else(own);
    let rule = compiled.map(|compiled| compiled.rule.clone()).or_else(own).ok_or(PageError::NotFound)?;
    let (alerts_itself, scope) = (compiled.is_none_or(|compiled| compiled.alerts), ask.scope());
    let filter = AlertFilter { rule_name: Some(rule.name.clone()), limit: ALERTS_SHOWN, ..AlertFilter::new(scope.clone()) };
    let since = ask.now.plus(-QUALITY_DAYS * Timestamp::DAY);
    let (alerts, numbers, quality) = ask.app.db.read(|c| {
        let alerts = alert_list(c, &filter)?;
        let cases: Vec<IncidentId> = alerts.iter().filter_map(|alert| alert.incident).collect();
        let numbers: HashMap<_, _> = incident_labels(c, &scope, &cases)?.into_iter().map(|(id, label)| (id, label.number)).collect();
        Ok::<_, DbError>((alerts, numbers, rule_quality(c, &scope, since)?))
    })?;
    let plan = ask.app.playbooks.choose(&rule.name, rule.playbook.as_deref(), &rule.rsit).filter(|_| alerts_itself);
    let page = RulePage {
        frame: ask.frame(&rule.title, Place::Rules),
        name: &rule.name,
        level: words::level_badge(rule.level),
        kind: compiled.map_or_else(|| section.map_or(t("Eigene Beobachtung"), detector_kind), kind),
        rsit: rsit(&rule),
        attack: &rule.attack,
        description: &rule.description,
        falsepositives: compiled
            .map_or_else(|| section.map_or(&[][..], |section| &section.falsepositives), |compiled| &compiled.falsepositives),
        quality: Quality::new(quality.get(&rule.name).copied().unwrap_or_default()),
        days: QUALITY_DAYS,
        plan: plan.map(|playbook| Plan {
            title: playbook.title.clone(),
            meaning: playbook.meaning.clone(),
            check: playbook.check.clone(),
            steps: playbook
                .steps
                .iter()
                .map(|step| Step { text: step.text.clone(), within: within(step.within_minutes), confirm: step.confirm.clone() })
                .collect(),
        }),
        file: compiled.map_or(if section.is_some() { SHIPPED_FILE } else { "" }, |compiled| &compiled.file),
        line: compiled.map_or(section.map_or(0, |section| section.line as u64), |compiled| compiled.line),
        id: &rule.id,
        source: compiled.map(|compiled| source(&compiled.file)).or_else(|| Sheet::shipped_text(name)).unwrap_or_default(),
        parameters: section.map(parameters).unwrap_or_default(),
        alerts: alerts.iter().map(|alert| line(ask, alert, &numbers)).collect(),
        parts: !alerts_itself,
    };
    ask.page(&page)
}

fn parameters(section: &Section) -> Vec<(String, String, String)> {
    let own =
        |(key, value, shipped): (String, String, String)| (key, value.clone(), if shipped == value { String::new() } else { shipped });
    section.parameters.shown().into_iter().map(own).collect()
}

fn within(minutes: i64) -> String {
    const DAY_MINUTES: i64 = Timestamp::DAY / Timestamp::MINUTE;
    match (minutes / DAY_MINUTES, minutes % DAY_MINUTES) {
        (1, 0) => t("binnen eines Tages").into(),
        (days, 0) => tf("binnen {n}\u{a0}Tagen", &[("n", &days)]),
        _ => tf("binnen {time}", &[("time", &show::duration(minutes.saturating_mul(Timestamp::MINUTE)))]),
    }
}

/// An alert leads to its case, or where it stands in none to its lines.
fn line(ask: &Ask, alert: &Alert, numbers: &HashMap<IncidentId, String>) -> AlertLine {
    let (field, value) = words::entity(&alert.entity);
    let site = alert.site_name.clone().unwrap_or_default();
    let (entity, query) = match field {
        "" => (site.clone(), super::evidence::term("site", &site)),
        field => (value.to_owned(), super::evidence::term(field, value)),
    };
    let number = alert.incident.and_then(|id| numbers.get(&id)).cloned();
    AlertLine {
        severity: words::level_badge(alert.level),
        state: alert.disposition.map_or_else(|| words::alert_state(alert.state), words::disposition),
        time: show::time(alert.detected_at, ask.now),
        href: number.as_ref().map_or_else(|| super::evidence::href(&query, alert.first, alert.last), |number| format!("/vorfall/{number}")),
        entity,
        place: alert.body_name.clone().unwrap_or(site),
        incident: number.unwrap_or_else(|| t("Ereignisse in der Suche").into()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use detect::alert::{Disposition, alert_close};
    use detect::finding::{Entity, Finding};
    use detect::incident::{Filed, finding_file};
    use detect::role::Role;
    use expect_test::expect;
    use ingest::body::{Site, SiteId, site_add};

    use super::*;
    use crate::web::tests::{Front, now};

    #[test]
    fn verdicts_in_words() {
        let quality = |true_positive, benign, false_positive| {
            let quality = Quality::new(RuleQuality { alerts: 50, true_positive, benign, false_positive });
            format!("{} {:?}\n", quality.text.replace('\u{a0}', " "), quality.bars)
        };
        expect![[r#"
            noch keiner bewertet []
            4 von 9 zutreffend, 3 Fehlalarm; zu wenige Fälle für Anteile []
            75 % zutreffend, 5 % erlaubt, 20 % Fehlalarm (n = 20) [("f-act", "0.0", "75.0"), ("rest", "75.0", "5.0"), ("f-high", "80.0", "20.0")]
        "#]]
        .assert_eq(&[quality(0, 0, 0), quality(4, 2, 3), quality(15, 1, 4)].concat());
    }

    #[tokio::test]
    async fn a_rule_shows_wording_playbook_and_its_alerts() {
        let front = Front::new();
        let (cookie, _) = front.enter(Role::Analyst);
        let compiled = front.app.rules.rules().iter().find(|rule| rule.rule.name == "ssh_bruteforce").unwrap();
        let site = Site {
            id: SiteId::new(now()),
            name: "rathaus".into(),
            body: Some(front.body),
            prefixes: vec![],
            certificates: vec![],
            tokens: vec![],
        };
        let finding = Finding {
            rule: compiled.rule.clone(),
            site: site.id,
            body: Some(front.body),
            entity: Entity::Ip("203.0.113.9".parse().unwrap()),
            observables: Default::default(),
            first: now(),
            last: now(),
            detected_at: now(),
            evidence: vec![],
            records: 12,
            reasons: vec![],
        };
        let playbooks = front.app.playbooks.clone();
        let filed = front.app.db.write(move |tx| {
            site_add(tx, &site)?;
            finding_file(tx, &playbooks, &finding, now())
        });
        let Filed::Opened { alert, .. } = filed.unwrap() else { panic!("not opened") };
        front.app.db.write(move |tx| alert_close(tx, alert, Disposition::FalsePositive, "x", Role::Analyst, now())).unwrap();

        let page = front.get("/regel/ssh_bruteforce", &cookie).await;
        for part in [
            "timespan: 5m",
            "T1110",
            "203.0.113.9",
            "href=\"/vorfall/TC-2026-000001\"",
            "Fehlalarm",
            "0 von 1 zutreffend, 1 Fehlalarm",
            "Sperren Sie die angreifende Adresse",
            "binnen 4\u{a0}h",
            "alten Passwort oder Schlüssel",
        ] {
            assert!(page.text.contains(part), "{part} is missing in {}", page.text);
        }
        let list = front.get("/regeln", &cookie).await;
        for rule in front.app.rules.rules() {
            assert!(list.text.contains(&format!("/regel/{}\"", rule.rule.name)), "{}", rule.rule.name);
            assert_eq!(front.get(&format!("/regel/{}", rule.rule.name), &cookie).await.status, StatusCode::OK);
        }
        for rule in detect::watch::house_rules() {
            let page = front.get(&format!("/regel/{}", rule.name), &cookie).await;
            assert_eq!(page.status, StatusCode::OK);
            assert!(page.text.contains("Was dann zu tun ist") && !page.text.contains("Wortlaut"), "{}", page.text);
        }
        for (name, section) in front.app.board.sheet.iter() {
            assert!(list.text.contains(&format!("/regel/{name}\"")), "{name}");
            let page = front.get(&format!("/regel/{name}"), &cookie).await;
            assert_eq!(page.status, StatusCode::OK);
            assert!(page.text.contains("Was dann zu tun ist") && page.text.contains(&section.rule.id), "{}", page.text);
        }
        assert!(front.get("/regel/portscan", &cookie).await.text.contains("ports_min_outside"));
        for name in ["fehlt", "..%2F..%2Fetc%2Fpasswd"] {
            assert_eq!(front.get(&format!("/regel/{name}"), &cookie).await.status, StatusCode::NOT_FOUND);
        }
    }
}

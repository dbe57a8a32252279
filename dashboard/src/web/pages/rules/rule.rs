//! One rule: what it looks for, its wording, how it stands and who decided that, where it is held back, how well it
//! judges, and what is to be done when it fires.

use std::collections::HashMap;

use askama::Template;
use detect::alert::{Alert, AlertFilter, RuleRecord, alert_list, rule_records};
use detect::attack::{technique_name, technique_of};
use detect::flow::{SHIPPED_FILE, Section, Sheet};
use detect::incident::{CaseError, IncidentId, incident_labels};
use detect::role::{Action, allowed};
use detect::rule::Rule;
use detect::rulebook::{
    ProbeHit, RuleStand, RuleState, Rulebook, StateChange, Tuning, probe_hits, rule_state_set, rule_states, tuning_list,
};
use detect::sigma::CompiledRule;
use ingest::db::DbError;
use ingest::time::Timestamp;

use super::quality::{Quality, alerts_href};
use super::{QUALITY_DAYS, WEEKS, detector_kind, kind, rsit, rule_path, state_badge, state_word};
use crate::chart::{self, Caption, Column, Unit};
use crate::show::{self, Markup, filters};
use crate::web::ask::see_other;
use crate::web::frame::{Frame, Place};
use crate::web::pages::evidence;
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, Names, t, tf};

/// Alerts and hits listed on a rule's page.
const SHOWN: usize = 10;

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

struct TuningLine {
    id: String,
    terms: Vec<(String, String)>,
    reason: String,
    who: String,
    /// Since when, until when; or when it ended and by whom.
    time: String,
    in_force: bool,
}

struct HitLine {
    entity: String,
    href: String,
    site: String,
    records: String,
    time: Markup,
}

/// How the rule stands, for rules that can be switched.
struct Stand {
    state: &'static str,
    badge: Markup,
    /// Who decided it, when and why; empty where nobody ever did.
    decided: String,
    reason: String,
    choices: Vec<(&'static str, &'static str, bool)>,
    may_switch: bool,
    /// What the states mean for it.
    hint: &'static str,
    probe: bool,
    hits: String,
    lines: Vec<HitLine>,
}

#[derive(Template)]
#[template(path = "rule.html")]
struct RulePage<'a> {
    frame: Frame,
    name: &'a str,
    path: String,
    level: Markup,
    kind: &'static str,
    rsit: String,
    /// (number and name, the list of rules for it)
    attack: Vec<(String, String)>,
    description: &'a str,
    falsepositives: &'a [String],
    quality: Quality,
    days: i64,
    chart: Markup,
    plan: Option<Plan>,
    file: &'a str,
    line: u64,
    id: &'a str,
    source: String,
    /// What the rule says of itself beyond that: status, author, dates.
    facts: Vec<(&'static str, String)>,
    references: &'a [String],
    remarks: Vec<String>,
    evidence: (&'static str, String, Vec<String>),
    /// What is to be said of its memory: (an alarm, sentence).
    memory: Option<(bool, String)>,
    counts: Vec<(String, String)>,
    counted_by: Vec<(String, String)>,
    stand: Option<Stand>,
    tunings: Vec<TuningLine>,
    may_tune: bool,
    may_try: bool,
    /// A detector's parameters: name, value, and the shipped value where it is another.
    parameters: Vec<(String, String, String)>,
    alerts: Vec<AlertLine>,
    alerts_href: String,
    parts: bool,
}

pub(in crate::web) fn detail(ask: &mut Ask) -> Reply {
    page(ask, axum::http::StatusCode::OK)
}

fn page(ask: &Ask, status: axum::http::StatusCode) -> Reply {
    let name = ask.param("name");
    // An alert of a saved search names it as its rule.
    if let Some(id) = name.strip_prefix(crate::saved_run::RULE_PREFIX) {
        return Ok(see_other(&format!("/suche/gespeichert/{id}")));
    }
    let book = ask.app.rules.get();
    let compiled = book.set.find(name);
    // What the house notices by itself stands in no file.
    let own = || detect::watch::house_rules().into_iter().find(|rule| rule.name == name);
    let board = ask.app.board.clone();
    let section = board.sheet.get(name);
    let own = || section.map(|section| section.rule.clone()).or_else(own);
    let rule = compiled.map(|compiled| compiled.rule.clone()).or_else(own).ok_or(PageError::NotFound)?;
    let (alerts_itself, scope) = (compiled.is_none_or(|compiled| compiled.alerts), ask.scope());
    let filter = AlertFilter { rule_name: Some(rule.name.clone()), limit: SHOWN, ..AlertFilter::new(scope.clone()) };
    let loaded = ask.app.db.read(|c| {
        let alerts = alert_list(c, &filter)?;
        let cases: Vec<IncidentId> = alerts.iter().filter_map(|alert| alert.incident).collect();
        let numbers: HashMap<_, _> = incident_labels(c, &scope, &cases)?.into_iter().map(|(id, label)| (id, label.number)).collect();
        let record = rule_records(c, &scope, WEEKS, ask.now)?.remove(name).unwrap_or_default();
        let stand = rule_states(c)?.remove(name);
        let (tunings, hits) = (tuning_list(c, name)?, probe_hits(c, name, SHOWN)?);
        Ok::<_, DbError>(Loaded { alerts, numbers, record, stand, tunings, hits, names: Names::load(c)? })
    })?;
    let viewer = ask.viewer()?;
    let may = |action| allowed(action, viewer.role);
    let plan = ask.app.playbooks.choose(&rule.name, rule.playbook.as_deref(), &rule.rsit).filter(|_| alerts_itself);
    let link_of = |one: &&CompiledRule| (one.rule.title.clone(), rule_path(&one.rule.name));
    let page = RulePage {
        frame: ask.frame(&rule.title, Place::Rules),
        name: &rule.name,
        path: rule_path(&rule.name),
        level: words::level_badge(rule.level),
        kind: compiled.map_or_else(|| section.map_or(t("Eigene Beobachtung"), detector_kind), kind),
        rsit: rsit(&rule),
        attack: attack(&rule),
        description: &rule.description,
        falsepositives: compiled
            .map_or_else(|| section.map_or(&[][..], |section| &section.falsepositives), |compiled| &compiled.falsepositives),
        quality: Quality::new(name, &loaded.record, ask.now),
        days: QUALITY_DAYS,
        chart: weeks(&loaded.record, ask.now),
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
        source: compiled
            .map(|compiled| book.text(&compiled.file).unwrap_or_default().to_owned())
            .or_else(|| Sheet::shipped_text(name))
            .unwrap_or_default(),
        facts: compiled.map(facts).unwrap_or_default(),
        references: compiled.map_or(&[], |compiled| &compiled.metadata.references),
        remarks: compiled.map(|compiled| remarks(&book, compiled)).unwrap_or_default(),
        evidence: compiled.map(|compiled| evidence_words(&book, compiled)).unwrap_or_default(),
        memory: memory(ask, name),
        counts: compiled.map(|compiled| book.set.counted_by(compiled).iter().map(link_of).collect()).unwrap_or_default(),
        counted_by: compiled.map(|_| book.set.counting(name).iter().map(link_of).collect()).unwrap_or_default(),
        stand: Some(stand(ask, &loaded, may(Action::RuleSwitch), compiled.is_none())),
        tunings: loaded.tunings.iter().map(|tuning| tuning_line(tuning, &loaded.names, ask.now)).collect(),
        may_tune: may(Action::RuleTune) && compiled.is_some() && alerts_itself,
        may_try: may(Action::RuleBacktest) && compiled.is_some(),
        parameters: section.map(parameters).unwrap_or_default(),
        alerts: loaded.alerts.iter().map(|alert| line(ask, alert, &loaded.numbers)).collect(),
        alerts_href: alerts_href(name, None),
        parts: !alerts_itself,
    };
    ask.page_status(status, &page)
}

/// What the database says of the rule.
struct Loaded {
    alerts: Vec<Alert>,
    numbers: HashMap<IncidentId, String>,
    record: RuleRecord,
    stand: Option<RuleStand>,
    tunings: Vec<Tuning>,
    hits: Vec<ProbeHit>,
    names: Names,
}

/// `T1110.003 Password Spraying`, and where the other rules for the technique are.
fn attack(rule: &Rule) -> Vec<(String, String)> {
    let one = |id: &String| {
        let name = technique_name(id).or_else(|| technique_name(technique_of(id))).unwrap_or_default();
        (format!("{id} {name}").trim_end().to_owned(), show::link("/regeln", &[("technik", technique_of(id))]))
    };
    rule.attack.iter().map(one).collect()
}

fn facts(compiled: &CompiledRule) -> Vec<(&'static str, String)> {
    let of = &compiled.metadata;
    let pairs = [
        (t("Reife"), of.status.clone()),
        (t("Geschrieben von"), of.author.clone()),
        (t("Angelegt"), of.date.clone()),
        (t("Geändert"), of.modified.clone()),
        (t("Lizenz"), of.license.clone()),
    ];
    pairs.into_iter().filter_map(|(label, value)| Some((label, value?))).collect()
}

fn remarks(book: &Rulebook, compiled: &CompiledRule) -> Vec<String> {
    let own = |remark: &&detect::sigma::RuleError| remark.file == compiled.file && remark.rule.as_ref() == Some(&compiled.rule.name);
    book.set
        .remarks()
        .iter()
        .filter(own)
        .map(|remark| tf("Zeile {line}: {text}", &[("line", &remark.line), ("text", &remark.message)]))
        .collect()
}

/// Tone, sentence and what fails.
fn evidence_words(book: &Rulebook, compiled: &CompiledRule) -> (&'static str, String, Vec<String>) {
    match book.evidence.get(&compiled.rule.name) {
        Some(evidence) if evidence.failures.is_empty() => ("good", t("Ihre Belege halten: Sie schlägt an, wo sie soll, und schweigt, wo sie soll.").into(), vec![]),
        Some(evidence) => ("bad", t("Ihre Belege halten nicht:").into(), evidence.failures.clone()),
        None if book.is_shipped(compiled) => ("", t("Ihre Belege werden bei jedem Bau des Programms geprüft.").into(), vec![]),
        None => ("", t("Zu dieser Regel gibt es keine Belege. Legen Sie hit.ndjson und miss.ndjson neben die Regel, dann werden sie bei jedem Laden geprüft.").into(), vec![]),
    }
}

fn memory(ask: &Ask, name: &str) -> Option<(bool, String)> {
    let health = ask.app.rules.health().into_iter().find(|one| one.rule.name == name)?;
    let numbers = [
        ("groups", show::num(health.groups as i128)),
        ("entries", show::num(health.entries as i128)),
        ("lost", show::num(health.overflowed)),
    ];
    let pairs: Vec<(&str, &dyn std::fmt::Display)> = numbers.iter().map(|(name, value)| (*name, value as &dyn std::fmt::Display)).collect();
    Some(match health.overflowed {
        0 => (false, tf("Sie behält gerade {groups} Gruppen mit {entries} Einträgen im Blick und hat nichts aufgeben müssen.", &pairs)),
        _ => (
            true,
            tf(
                "Ihr Gedächtnis war voll: {lost} Gruppen oder Zeitabschnitte hat sie aufgegeben. Sie kann etwas übersehen haben. Meist hilft ein Filter für die Quelle, die so viele verschiedene Werte schickt, oder ein kürzerer Zeitraum.",
                &pairs,
            ),
        ),
    })
}

fn weeks(record: &RuleRecord, now: Timestamp) -> Markup {
    if record.quality.alerts == 0 {
        return Markup::default();
    }
    let week = 7 * Timestamp::DAY;
    let first = now.plus(-week * record.weeks.len() as i64);
    let column = |(n, count): (i64, &u64)| Column {
        label: show::stamp_short(first.plus(n * week)).split_whitespace().next().unwrap_or_default().to_owned(),
        value: Some(*count as f64),
        ..Column::default()
    };
    let columns: Vec<Column> = (0..).zip(&record.weeks).map(column).collect();
    let caption = Caption { id: "wochen", title: t("Alarme je Woche"), desc: t("Balken je Woche, von ihrem ersten Tag an") };
    chart::columns(caption, t("Alarme"), Unit::Count(t("Alarme")), &columns, None)
}

fn stand(ask: &Ask, loaded: &Loaded, may_switch: bool, looks_on: bool) -> Stand {
    let state = loaded.stand.as_ref().map_or(RuleState::On, |stand| stand.state);
    let decided = loaded
        .stand
        .as_ref()
        .map(|stand| tf("{who} am {when}", &[("who", &loaded.names.of(&stand.actor)), ("when", &show::stamp(stand.changed_at))]));
    let sites = ask.app.sites();
    let hit = |hit: &ProbeHit| {
        let (field, value) = words::entity(&hit.entity);
        let site = sites.name(hit.site).to_owned();
        let query = if field.is_empty() { evidence::term("site", &site) } else { evidence::term(field, value) };
        HitLine {
            entity: if field.is_empty() { site.clone() } else { value.to_owned() },
            href: evidence::href(&query, hit.first, hit.last),
            site,
            records: show::num(hit.records),
            time: show::time(hit.detected_at, ask.now),
        }
    };
    Stand {
        state: state_word(state),
        badge: state_badge(state),
        decided: decided.unwrap_or_default(),
        reason: loaded.stand.as_ref().map(|stand| stand.reason.clone()).unwrap_or_default(),
        choices: RuleState::ALL.map(|one| (one.as_str(), state_word(one), one == state)).into(),
        may_switch,
        hint: if looks_on {
            t(
                "Auf Probe zählt sie ihre Treffer und alarmiert niemanden. Auch wenn sie aus ist, lernt sie weiter; gemeldet und gezählt wird dann nichts.",
            )
        } else {
            t(
                "Auf Probe zählt sie ihre Treffer und alarmiert niemanden. Was aus ist, sieht nichts; auch Regeln, die sie zählen, sehen dann nichts von ihr.",
            )
        },
        probe: state == RuleState::Probe,
        hits: show::num(loaded.stand.as_ref().map_or(0, |stand| stand.hits)),
        lines: loaded.hits.iter().map(hit).collect(),
    }
}

fn tuning_line(tuning: &Tuning, names: &Names, now: Timestamp) -> TuningLine {
    let in_force = tuning.in_force(now);
    let time = match (tuning.removed_at, &tuning.removed_by) {
        (Some(at), by) => {
            tf("beendet {when} von {who}", &[("when", &show::stamp(at)), ("who", &names.of(by.as_deref().unwrap_or_default()))])
        }
        (None, _) if in_force => {
            tf("seit {from}, bis {to}", &[("from", &show::date(tuning.created_at)), ("to", &show::date(tuning.expires_at))])
        }
        (None, _) => tf("abgelaufen {to}", &[("to", &show::date(tuning.expires_at))]),
    };
    TuningLine {
        id: tuning.id.to_string(),
        terms: tuning.terms.iter().map(|term| (term.field.clone(), term.values.join(", "))).collect(),
        reason: tuning.reason.clone(),
        who: names.of(&tuning.actor),
        time,
        in_force,
    }
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
        "" => (alert.site_name.clone().unwrap_or_default(), evidence::term("site", &site)),
        field => (value.to_owned(), evidence::term(field, value)),
    };
    let number = alert.incident.and_then(|id| numbers.get(&id)).cloned();
    AlertLine {
        severity: words::level_badge(alert.level),
        state: alert.disposition.map_or_else(|| words::alert_state(alert.state), words::disposition),
        time: show::time(alert.detected_at, ask.now),
        href: number.as_ref().map_or_else(|| evidence::href(&query, alert.first, alert.last), |number| format!("/vorfall/{number}")),
        entity,
        place: words::whose(alert),
        incident: number.unwrap_or_else(|| t("Ereignisse in der Suche").into()),
    }
}

/// Switches a rule on, on probation or off.
pub(in crate::web) fn switch(ask: &mut Ask) -> Reply {
    let name = ask.param("name").to_owned();
    let is_detector = ask.app.board.sheet.get(&name).is_some();
    let is_watch = || detect::watch::house_rules().iter().any(|rule| rule.name == name);
    if ask.app.rules.get().set.find(&name).is_none() && !is_detector && !is_watch() {
        return Err(PageError::NotFound);
    }
    let Some(state) = RuleState::parse(ask.form("stand")) else {
        return Err(PageError::Refused(t("Bitte wählen Sie einen Stand aus der Liste.").into()));
    };
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    let change = StateChange { rule: name.clone(), state, reason: ask.form("grund").trim().to_owned() };
    ask.write(move |tx| rule_state_set(tx, &change, &actor, role, now)).map_err(|error| match error {
        CaseError::Invalid { .. } => {
            PageError::Refused(t("Bitte schreiben Sie einen Grund dazu. Wer die Regel später vermisst, muss ihn finden.").into())
        }
        error => crate::web::pages::incidents::refused(error),
    })?;
    ask.app.rules.wake();
    ask.redirect(&rule_path(&name), "rule-switched")
}

//! Rücktest: what a rule would have said of the stored past, be it one in force or one that is typed in here.

use askama::Template;
use axum::http::StatusCode;
use detect::role::{Action, allowed};
use detect::rulebook::{BACKTEST_DAYS_MAX, BACKTEST_HITS_MAX, BacktestHit, BacktestReport, Candidate, CandidateError};
use ingest::time::Timestamp;

use crate::backtests::{BacktestId, BacktestJob, BacktestState, NewBacktest};
use crate::chart::{self, Caption, Column, Unit};
use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::pages::evidence;
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, Names, t, tf, tn};

/// What a rule may be long, typed in: as a rule file's tenth.
const TEXT_BYTES_MAX: usize = 100_000;
const DAYS: i64 = 30;
/// Standing bars that can be told apart.
const BARS_MAX: i64 = 60;

struct JobRow {
    id: String,
    title: String,
    badge: Markup,
    result: String,
    who: String,
    begun: Markup,
}

#[derive(Template)]
#[template(path = "backtests.html")]
struct ListPage {
    frame: Frame,
    problem: String,
    /// What the compiler says, by line.
    errors: Vec<(u64, String)>,
    text: String,
    days: String,
    days_max: i64,
    jobs: Vec<JobRow>,
    runs: bool,
}

struct HitRow {
    entity: String,
    href: String,
    site: String,
    rule: String,
    records: String,
    time: String,
    event: String,
}

#[derive(Template)]
#[template(path = "backtest.html")]
struct JobPage {
    frame: Frame,
    id: String,
    title: String,
    badge: Markup,
    who: String,
    /// The answer in a sentence.
    result: String,
    running: bool,
    percent: u8,
    events: String,
    partial: String,
    chart: Markup,
    hits: Vec<HitRow>,
    more: String,
    text: String,
    rules: Vec<(String, String)>,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    page(ask, StatusCode::OK, String::new(), vec![])
}

fn page(ask: &Ask, status: StatusCode, problem: String, errors: Vec<(u64, String)>) -> Reply {
    let names = ask.app.db.read(Names::load)?;
    let jobs = ask.app.backtests.list();
    let text = ask.form("text").to_owned();
    let page = ListPage {
        frame: ask.frame(t("Rücktest"), Place::Rules),
        problem,
        errors,
        text,
        days: Some(ask.form("tage").trim()).filter(|days| !days.is_empty()).map_or_else(|| DAYS.to_string(), str::to_owned),
        days_max: BACKTEST_DAYS_MAX,
        runs: jobs.iter().any(|job| job.state == BacktestState::Running),
        jobs: jobs.iter().map(|job| row(job, &names, ask.now)).collect(),
    };
    ask.page_status(status, &page)
}

fn badge(job: &BacktestJob) -> Markup {
    match job.state {
        BacktestState::Running => show::badge(Tone::Mid, &tf("läuft, {n}\u{a0}%", &[("n", &job.report.percent())])),
        BacktestState::Done => show::badge(Tone::Good, t("fertig")),
        BacktestState::Cancelled => show::badge(Tone::Quiet, t("abgebrochen")),
        BacktestState::Failed => show::badge(Tone::High, t("fehlgeschlagen")),
    }
}

/// „hätte in 30 Tagen 14-mal angeschlagen“
fn result(job: &BacktestJob) -> String {
    let days = tn("einem Tag|Zeitraum", "{n} Tagen", job.days.unsigned_abs());
    let so_far = job.state != BacktestState::Done;
    match (job.report.alerts, so_far) {
        (0, true) => t("bisher kein Treffer").into(),
        (0, false) => tf("hätte in {days} nie angeschlagen", &[("days", &days)]),
        (n, true) => tf("bisher {n}-mal angeschlagen", &[("n", &show::num(n))]),
        (n, false) => tf("hätte in {days} {n}-mal angeschlagen", &[("days", &days), ("n", &show::num(n))]),
    }
}

fn row(job: &BacktestJob, names: &Names, now: Timestamp) -> JobRow {
    JobRow {
        id: job.id.to_string(),
        title: job.title.clone(),
        badge: badge(job),
        result: result(job),
        who: names.of(&job.by),
        begun: show::time(job.begun_at, now),
    }
}

pub(in crate::web) fn start(ask: &mut Ask) -> Reply {
    let viewer = ask.viewer()?.clone();
    if !allowed(Action::RuleBacktest, viewer.role) {
        return Err(PageError::Forbidden);
    }
    let refused = |problem: &str| page(ask, StatusCode::UNPROCESSABLE_ENTITY, problem.to_owned(), vec![]);
    let Some(days) = ask.form("tage").trim().parse::<i64>().ok().filter(|days| (1..=BACKTEST_DAYS_MAX).contains(days)) else {
        return refused(&tf("Bitte geben Sie 1 bis {n} Tage an.", &[("n", &BACKTEST_DAYS_MAX)]));
    };
    let Some(events) = ask.app.events.clone() else {
        return refused(t("Hier läuft kein Ereignisspeicher, in dem gesucht werden könnte."));
    };
    let (book, name, text) = (ask.app.rules.get(), ask.form("regel").trim(), ask.form("text"));
    let candidate = match (name.is_empty(), text.trim().is_empty()) {
        (false, _) => Candidate::of(&book, name),
        (true, true) => return refused(t("Bitte fügen Sie eine Regel ein.")),
        (true, false) if text.len() > TEXT_BYTES_MAX => {
            return refused(&tf("Die Regel ist länger als {n} Zeichen.", &[("n", &show::num(TEXT_BYTES_MAX as i128))]));
        }
        (true, false) => Candidate::typed(&book, text),
    };
    let candidate = match candidate {
        Ok(candidate) => candidate,
        Err(CandidateError::Unknown(_)) => return Err(PageError::NotFound),
        Err(CandidateError::Refused(errors)) => {
            let errors = errors.into_iter().map(|error| (error.line, words::refused(&error.message))).collect();
            return page(ask, StatusCode::UNPROCESSABLE_ENTITY, t("Die Regel lässt sich nicht übersetzen.").into(), errors);
        }
    };
    ask.remark("name", candidate.names.join(", "));
    let new = NewBacktest {
        text: if name.is_empty() { text.to_owned() } else { String::new() },
        candidate,
        days,
        by: viewer.user.to_string(),
        events,
        flows: ask.app.flows.clone(),
        sites: ask.app.sites(),
        scope: viewer.scope.clone(),
        indicators: ask.app.indicators.get(),
        clock: ask.app.clock.clone(),
    };
    match ask.app.backtests.start(new) {
        Ok(id) => ask.redirect(&format!("/regeln/ruecktest/{id}"), ""),
        Err(_) => refused(t("Es läuft schon ein Rücktest. Warten Sie, bis er fertig ist, oder brechen Sie ihn ab.")),
    }
}

fn job(ask: &Ask) -> Result<BacktestJob, PageError> {
    let id: BacktestId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    ask.app.backtests.find(id).ok_or(PageError::NotFound)
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let (job, names) = (job(ask)?, ask.app.db.read(Names::load)?);
    let (report, titles) = (&job.report, super::titles(ask));
    let rule = |name: &String| (titles.get(name).cloned().unwrap_or_else(|| name.clone()), super::rule_path(name));
    let page = JobPage {
        frame: ask.frame(t("Rücktest"), Place::Rules),
        id: job.id.to_string(),
        title: job.title.clone(),
        badge: badge(&job),
        who: tf("{who}, {when}", &[("who", &names.of(&job.by)), ("when", &show::stamp(job.begun_at))]),
        result: result(&job),
        running: job.state == BacktestState::Running,
        percent: report.percent(),
        events: read(report, job.state == BacktestState::Done && !report.partial),
        partial: if report.partial && job.state == BacktestState::Done {
            t("Ein Teil der Ereignisse war nicht lesbar; es können mehr sein.").into()
        } else {
            String::new()
        },
        chart: days(&job),
        hits: report.hits.iter().map(hit).collect(),
        more: match report.alerts.saturating_sub(report.hits.len() as u64) {
            0 => String::new(),
            n => tf(
                "{n} weitere stehen nicht einzeln hier; gezeigt werden die ersten {max}.",
                &[("n", &show::num(n)), ("max", &BACKTEST_HITS_MAX)],
            ),
        },
        rules: if job.text.is_empty() { job.names.iter().map(rule).collect() } else { vec![] },
        text: job.text.clone(),
    };
    ask.page(&page)
}

/// How many records were put to the rule, of how many.
fn read(report: &BacktestReport, whole: bool) -> String {
    let mut parts = Vec::new();
    if report.events_all > 0 || report.flows_all == 0 {
        let counts: [(&str, &dyn std::fmt::Display); 2] =
            [("n", &show::num(report.events)), ("all", &show::num(report.events_all.max(report.events)))];
        parts.push(tf("{n} von {all} Ereignissen gelesen", &counts));
    }
    if report.flows_all > 0 {
        let counts: [(&str, &dyn std::fmt::Display); 2] = [("n", &show::num(report.flows)), ("all", &show::num(report.flows_all))];
        parts.push(tf("{n} von {all} Datenflüssen gelesen", &counts));
    }
    parts.push(tf("bis {time}", &[("time", &show::stamp(report.reached))]));
    if whole {
        parts.push(t("der Rest kann nicht treffen").to_owned());
    }
    parts.join(", ")
}

/// Alerts by day, or by week where there are too many days.
fn days(job: &BacktestJob) -> Markup {
    if job.report.days.is_empty() {
        return Markup::default();
    }
    let step = Timestamp::DAY * (job.days / BARS_MAX + 1);
    let mut at = job.report.from.0.div_euclid(Timestamp::DAY) * Timestamp::DAY;
    let mut columns = Vec::new();
    while at < job.report.to.0 {
        let count: u64 = job.report.days.range(at..at + step).map(|(_, count)| count).sum();
        columns.push(Column { label: show::date(Timestamp(at)), value: Some(count as f64), ..Column::default() });
        at += step;
    }
    let caption = Caption { id: "tage", title: t("Alarme je Tag"), desc: t("Balken je Tag, wie sie gewesen wären") };
    chart::columns(caption, t("Alarme"), Unit::Count(t("Alarme")), &columns, None)
}

fn hit(hit: &BacktestHit) -> HitRow {
    let (field, value) = words::entity(&hit.entity);
    let query = if field.is_empty() { evidence::term("site", &hit.site) } else { evidence::term(field, value) };
    HitRow {
        entity: if field.is_empty() { hit.site.clone() } else { value.to_owned() },
        href: evidence::href(&query, hit.first, hit.last),
        site: hit.site.clone(),
        rule: hit.rule.clone(),
        records: show::num(hit.records),
        time: show::stamp(hit.first),
        event: hit.seq.map(|seq| format!("/ereignis/{seq}")).unwrap_or_default(),
    }
}

pub(in crate::web) fn cancel(ask: &mut Ask) -> Reply {
    let job = job(ask)?;
    ask.app.backtests.cancel(job.id);
    ask.redirect(&format!("/regeln/ruecktest/{}", job.id), "backtest-cancelled")
}

//! "Diese Regel hier stillhalten": a filter made from an alert's values, with a look at what it would have held back.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::StatusCode;
use detect::alert::{Alert, AlertFilter, AlertId, Observables, alert_list};
use detect::incident::CaseError;
use detect::rulebook::{
    EXPIRY_DAYS_MAX, NewTuning, TUNING_VALUES_MAX, Term, TuningId, shared_with, tuning_add, tuning_preview, tuning_remove,
};
use ingest::fields::FieldId;
use ingest::time::Timestamp;

use super::{QUALITY_DAYS, rule_path};
use crate::show::{self, Markup, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, t, tf, tn};

/// Past alerts that are looked at: what the list gives at once.
const ALERTS_MAX: usize = 1_000;
/// Fields that are offered; an alert has a dozen.
const FIELDS_MAX: usize = 16;
/// How long a filter holds, in days, unless somebody chooses.
const DAYS: i64 = 30;
const DAYS_OFFERED: [i64; 4] = [7, DAYS, 90, EXPIRY_DAYS_MAX];
const SITE: &str = "site";

/// A field with the values that the alert has, each chosen or not.
struct Field {
    name: String,
    label: &'static str,
    values: Vec<(String, String, bool)>,
}

#[derive(Template)]
#[template(path = "rule_tuning.html")]
struct TuningPage {
    frame: Frame,
    path: String,
    title: String,
    problem: String,
    /// The alert that it is made from: what it is about and when.
    about: String,
    when: Markup,
    alert: String,
    fields: Vec<Field>,
    reason: String,
    days: Vec<(String, String, bool)>,
    preview: String,
    /// It would have held back what turned out to be true.
    warning: String,
    shared: Vec<(String, String)>,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    page(ask, StatusCode::OK, String::new())
}

/// Without a choice made yet: the alert's entity at its site.
fn chosen_first(alert: &Alert) -> Vec<String> {
    let (field, value) = words::entity(&alert.entity);
    let entity = (!field.is_empty()).then(|| {
        // The key is lower case; the record's own form is what people know.
        let own = alert.observables.get(field).into_iter().flatten().find(|one| one.eq_ignore_ascii_case(value));
        format!("{field}={}", own.map_or(value, String::as_str))
    });
    entity.into_iter().chain(alert.site_name.as_ref().map(|site| format!("{SITE}={site}"))).collect()
}

fn terms(chosen: &[String]) -> Vec<Term> {
    let mut terms: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (field, value) in chosen.iter().filter_map(|pair| pair.split_once('=')) {
        terms.entry(field).or_default().push(value.to_owned());
    }
    terms.into_iter().map(|(field, values)| Term { field: field.to_owned(), values }).collect()
}

fn fields(alert: &Alert, chosen: &[String]) -> Vec<Field> {
    let mut all: Observables = alert.observables.clone();
    all.extend(alert.site_name.iter().map(|site| (SITE.to_owned(), vec![site.clone()])));
    let known = |(name, values): (String, Vec<String>)| {
        // What only the lists say of a record is told by the indicator's own page.
        let field = FieldId::find(&name).filter(|field| field.known().is_some() && !name.starts_with("threat."))?;
        let value = |value: String| {
            let pair = format!("{name}={value}");
            let on = chosen.contains(&pair);
            (pair, value, on)
        };
        Some(Field { label: words::field(field), values: values.into_iter().take(TUNING_VALUES_MAX).map(value).collect(), name })
    };
    let mut fields: Vec<Field> = all.into_iter().filter_map(known).take(FIELDS_MAX).collect();
    // What is chosen comes first.
    fields.sort_by_key(|field| !field.values.iter().any(|(.., on)| *on));
    fields
}

fn page(ask: &Ask, status: StatusCode, problem: String) -> Reply {
    let name = ask.param("name").to_owned();
    let book = ask.app.rules.get();
    let compiled = book.set.find(&name).filter(|compiled| compiled.alerts).ok_or(PageError::NotFound)?;
    let since = ask.now.plus(-QUALITY_DAYS * Timestamp::DAY);
    let filter = AlertFilter { rule_name: Some(name.clone()), since: Some(since), limit: ALERTS_MAX, ..AlertFilter::new(ask.scope()) };
    let alerts = ask.app.db.read(|c| alert_list(c, &filter))?;
    let asked = if ask.form("alarm").is_empty() { ask.query("alarm") } else { ask.form("alarm") };
    let wanted: Option<AlertId> = asked.parse().ok();
    // One that is older than the list, or none: the newest tells which fields there are.
    let alert = alerts.iter().find(|alert| Some(alert.id) == wanted).or_else(|| alerts.first());
    let posted = !ask.form("was").is_empty();
    let chosen: Vec<String> = match alert {
        _ if posted => ask.form.all("wert").take(200).map(str::to_owned).collect(),
        Some(alert) => chosen_first(alert),
        None => vec![],
    };
    let preview = tuning_preview(&alerts, &terms(&chosen));
    let days = ask.form("tage").parse().ok().filter(|days| DAYS_OFFERED.contains(days)).unwrap_or(DAYS);
    let page = TuningPage {
        frame: ask.frame(t("Regel stillhalten"), Place::Rules),
        title: compiled.rule.title.clone(),
        problem,
        about: alert.map(about).unwrap_or_default(),
        when: alert.map(|alert| show::time(alert.detected_at, ask.now)).unwrap_or_default(),
        alert: alert.map(|alert| alert.id.to_string()).unwrap_or_default(),
        fields: alert.map(|alert| fields(alert, &chosen)).unwrap_or_default(),
        reason: ask.form("grund").to_owned(),
        days: DAYS_OFFERED.map(|n| (n.to_string(), tf("{n} Tage", &[("n", &n)]), n == days)).into(),
        preview: match (chosen.is_empty(), preview.partly) {
            (true, _) => t("Wählen Sie mindestens einen Wert.").into(),
            (false, 0) => tf(
                "Von {n} Alarmen der letzten {days} Tage hätte der Filter {whole} ganz verhindert.",
                &[("n", &show::num(preview.alerts as i128)), ("days", &QUALITY_DAYS), ("whole", &show::num(preview.whole as i128))],
            ),
            (false, partly) => tf(
                "Von {n} Alarmen der letzten {days} Tage hätte der Filter {whole} ganz verhindert und {partly} zum Teil, weil sie auch andere Werte zeigen.",
                &[
                    ("n", &show::num(preview.alerts as i128)),
                    ("days", &QUALITY_DAYS),
                    ("whole", &show::num(preview.whole as i128)),
                    ("partly", &show::num(partly as i128)),
                ],
            ),
        },
        warning: match preview.true_positive {
            0 => String::new(),
            n => tn(
                "Achtung: {n} davon wurde als zutreffend bewertet. Wählen Sie enger.",
                "Achtung: {n} davon wurden als zutreffend bewertet. Wählen Sie enger.",
                n as u64,
            ),
        },
        shared: shared_with(&book.set, compiled).iter().map(|one| (one.rule.title.clone(), rule_path(&one.rule.name))).collect(),
        path: rule_path(&name),
    };
    ask.page_status(status, &page)
}

fn about(alert: &Alert) -> String {
    let (_, value) = words::entity(&alert.entity);
    let place = words::whose(alert);
    if value.is_empty() { place } else { format!("{value} · {place}") }
}

/// Shows what the filter would do, or makes it.
pub(in crate::web) fn add(ask: &mut Ask) -> Reply {
    if ask.form("was") != "speichern" {
        return page(ask, StatusCode::OK, String::new());
    }
    let name = ask.param("name").to_owned();
    let book = ask.app.rules.get();
    let chosen: Vec<String> = ask.form.all("wert").take(200).map(str::to_owned).collect();
    let days: i64 = ask.form("tage").parse().unwrap_or(DAYS);
    let new = NewTuning {
        rule: name.clone(),
        terms: terms(&chosen),
        reason: ask.form("grund").trim().to_owned(),
        expires_at: ask.now.plus(days.clamp(1, EXPIRY_DAYS_MAX) * Timestamp::DAY),
    };
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.remark("until", show::date(new.expires_at));
    // The fields alone: values may be persons, and the log of who did what shows nobody's.
    ask.remark("fields", new.terms.iter().map(|term| term.field.clone()).collect::<Vec<_>>());
    let done = ask.write(move |tx| tuning_add(tx, &book.set, &new, &actor, role, now));
    match done {
        Ok(_) => {
            ask.app.rules.wake();
            ask.redirect(&rule_path(&name), "rule-tuned")
        }
        Err(CaseError::Invalid { what, .. }) => {
            let problem = match what {
                "reason" => t("Bitte schreiben Sie einen Grund dazu. Wer den Filter später prüft, muss ihn verstehen."),
                "filters" => {
                    t("Es sind schon so viele Filter in Kraft, wie das Haus überblicken kann. Beenden Sie einen, den niemand mehr braucht.")
                }
                _ => t("Bitte wählen Sie mindestens einen und höchstens acht der Werte."),
            };
            page(ask, StatusCode::UNPROCESSABLE_ENTITY, problem.into())
        }
        Err(error) => Err(crate::web::pages::incidents::refused(error)),
    }
}

pub(in crate::web) fn remove(ask: &mut Ask) -> Reply {
    let name = ask.param("name").to_owned();
    let id: TuningId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    let viewer = ask.viewer()?;
    let (actor, role, now, rule) = (viewer.user.to_string(), viewer.role, ask.now, name.clone());
    ask.write(move |tx| tuning_remove(tx, &rule, id, &actor, role, now)).map_err(crate::web::pages::incidents::refused)?;
    ask.app.rules.wake();
    ask.redirect(&rule_path(&name), "rule-untuned")
}

//! Alarme: what the rules said, by state, and what is done to one of them: its row comes back as it then is, for who works
//! through the queue by keyboard. What is done to many at once is `bulk`'s.

mod bulk;

use std::collections::HashMap;

use askama::Template;
use detect::alert::{Alert, AlertFilter, AlertId, AlertState, Disposition, alert_ack, alert_close, alert_counts, alert_get, alert_list};
use detect::finding::Reason;
use detect::incident::{CaseError, IncidentId, IncidentLabel, incident_labels};
use detect::role::{Action, allowed};
use detect::rulebook::Rulebook;
use ingest::db::DbError;
use ingest::time::Timestamp;

use super::incidents::refused;
use super::rules::rule_path;
use super::why::{self, Why};
use crate::show::{self, Markup, filters, link};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Pairs, Reply};
use crate::words::{self, t, tf, tn};

pub(in crate::web) use bulk::act as bulk_act;

const PAGE_ROWS: usize = 50;
/// As far back as anybody keeps alerts.
const DAYS_MAX: i64 = 4_000;

struct Row {
    id: String,
    severity: Markup,
    state: String,
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
    /// Somebody may choose it, and do something to it.
    may_act: bool,
    may_ack: bool,
    done: bool,
    /// Where the rule can be held back for what this alert shows; empty for what is no rule in a file.
    tune: String,
}

/// What rows say that their alerts do not hold.
struct Around<'a> {
    ask: &'a Ask,
    cases: HashMap<IncidentId, IncidentLabel>,
    explained: HashMap<AlertId, Vec<Why>>,
    book: std::sync::Arc<Rulebook>,
    may_act: bool,
    may_tune: bool,
}

impl<'a> Around<'a> {
    fn of(ask: &'a Ask, alerts: &[Alert]) -> Result<Self, DbError> {
        let scope = ask.scope();
        let cases: Vec<IncidentId> = alerts.iter().filter_map(|alert| alert.incident).collect();
        let may = |action: Action| ask.viewer.as_ref().is_some_and(|viewer| allowed(action, viewer.role));
        Ok(Self {
            ask,
            cases: ask.app.db.read(|c| incident_labels(c, &scope, &cases))?,
            explained: why::load(ask, &alerts.iter().map(|alert| alert.id).collect::<Vec<_>>())?,
            book: ask.app.rules.get(),
            may_act: may(Action::AlertAcknowledge),
            may_tune: may(Action::RuleTune),
        })
    }

    fn row(&mut self, alert: &Alert) -> Row {
        let (field, value) = words::entity(&alert.entity);
        let site = || alert.site_name.clone().unwrap_or_default();
        let (entity, query) = match field {
            "" => (site(), super::evidence::term("site", &site())),
            field => (value.to_owned(), super::evidence::term(field, value)),
        };
        Row {
            id: alert.id.to_string(),
            severity: words::level_badge(alert.level),
            state: standing(alert),
            title: alert.title.clone(),
            rule: rule_path(&alert.rule_name),
            entity,
            entity_href: super::evidence::href(&query, alert.first, alert.last),
            body: words::whose(alert),
            records: show::num(alert.records),
            incident: alert.incident.and_then(|id| self.cases.get(&id)).map(|case| case.number.clone()).unwrap_or_default(),
            time: show::time(alert.detected_at, self.ask.now),
            reasons: alert.reasons.clone(),
            why: self.explained.remove(&alert.id).unwrap_or_default(),
            may_act: self.may_act,
            may_ack: self.may_act && alert.state == AlertState::New,
            done: alert.state == AlertState::Closed,
            tune: if self.may_tune && self.book.set.find(&alert.rule_name).is_some() { tune_href(alert) } else { String::new() },
        }
    }
}

/// The state, with the verdict where there is one.
fn standing(alert: &Alert) -> String {
    let state = words::alert_state(alert.state);
    alert.disposition.map_or_else(|| state.to_owned(), |verdict| format!("{state}: {}", words::disposition(verdict)))
}

/// Which alerts are asked for: in the address of the list, and in the hidden fields of its form.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    state: &'a str,
    rule: &'a str,
    verdict: &'a str,
    days: &'a str,
}

impl<'a> Wanted<'a> {
    fn of(pairs: &'a Pairs) -> Self {
        Self { state: pairs.get("stand"), rule: pairs.get("regel"), verdict: pairs.get("urteil"), days: pairs.get("tage") }
    }

    fn pairs(&self) -> [(&'static str, &'a str); 4] {
        [("stand", self.state), ("regel", self.rule), ("urteil", self.verdict), ("tage", self.days)]
    }

    /// The list, without the filter `without`.
    fn href(&self, extra: &[(&str, &str)], without: &str) -> String {
        let here = self.pairs();
        let pairs = here.iter().chain(extra).copied().filter(|(name, value)| !value.is_empty() && *name != without);
        link("/alarme", &pairs.collect::<Vec<_>>())
    }

    fn state(&self) -> Option<AlertState> {
        match self.state {
            "alle" => None,
            state => Some(AlertState::parse(state).unwrap_or(AlertState::New)),
        }
    }

    fn days(&self) -> Option<i64> {
        self.days.parse().ok().filter(|days| (1..=DAYS_MAX).contains(days))
    }

    fn filter(&self, ask: &Ask) -> AlertFilter {
        AlertFilter {
            states: self.state().into_iter().collect(),
            rule_name: Some(self.rule.to_owned()).filter(|rule| !rule.is_empty()),
            disposition: Disposition::parse(self.verdict),
            since: self.days().map(|days| ask.now.plus(-days * Timestamp::DAY)),
            ..AlertFilter::new(ask.scope())
        }
    }

    /// Filters that other pages come with: (text, href without it).
    fn chips(&self, ask: &Ask) -> Vec<(String, String)> {
        let mut chips = vec![];
        if !self.rule.is_empty() {
            let book = ask.app.rules.get();
            let title = book.set.find(self.rule).map_or_else(|| self.rule.to_owned(), |compiled| compiled.rule.title.clone());
            chips.push((tf("Regel: {title}", &[("title", &title)]), self.href(&[], "regel")));
        }
        if let Some(disposition) = Disposition::parse(self.verdict) {
            chips.push((words::disposition(disposition).to_owned(), self.href(&[], "urteil")));
        }
        if let Some(days) = self.days() {
            chips.push((tf("letzte {n} Tage", &[("n", &days)]), self.href(&[], "tage")));
        }
        chips
    }
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct ListPage<'a> {
    frame: Frame,
    summary: String,
    /// What became of the form below the list.
    told: String,
    tabs: Vec<(String, String, bool)>,
    chips: Vec<(String, String)>,
    rows: Vec<Row>,
    older: String,
    bulk: Option<bulk::Form<'a>>,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let wanted = Wanted::of(&ask.query);
    let filter = AlertFilter { limit: PAGE_ROWS + 1, before: ask.query("vor").parse().ok(), ..wanted.filter(ask) };
    let scope = ask.scope();
    let (mut found, counts) = ask.app.db.read(|c| Ok::<_, DbError>((alert_list(c, &filter)?, alert_counts(c, &scope)?)))?;
    let more = found.len() > PAGE_ROWS;
    found.truncate(PAGE_ROWS);
    let older = found.last().filter(|_| more).map(|last| wanted.href(&[("vor", &last.id.to_string())], ""));
    let mut around = Around::of(ask, &found)?;
    let rows: Vec<Row> = found.iter().map(|alert| around.row(alert)).collect();
    let summary = match counts.oldest_new.filter(|_| counts.new > 0) {
        Some(at) => {
            tf("{n} neu, der älteste wartet seit {age}", &[("n", &show::num(counts.new)), ("age", &show::duration(ask.now.since(at)))])
        }
        None if counts.new == 0 => t("Kein neuer Alarm").into(),
        None => tf("{n} neu", &[("n", &show::num(counts.new))]),
    };
    let tab = |state: &'static str, text: String| {
        let on = if state.is_empty() { wanted.state() == Some(AlertState::New) } else { wanted.state == state };
        (Wanted { state, ..wanted }.href(&[], ""), text, on)
    };
    let paged = more || filter.before.is_some();
    let page = ListPage {
        summary,
        told: ask.query("getan").parse().map(told).unwrap_or_default(),
        tabs: vec![
            tab("", tf("Neu ({n})", &[("n", &show::num(counts.new))])),
            tab("acknowledged", tf("Bestätigt ({n})", &[("n", &show::num(counts.acknowledged))])),
            tab("closed", t("Geschlossen").into()),
            tab("alle", t("Alle").into()),
        ],
        chips: wanted.chips(ask),
        bulk: if rows.is_empty() || !around.may_act { None } else { Some(bulk::Form::of(ask, wanted, paged)?) },
        rows,
        older: older.unwrap_or_default(),
        frame: ask.frame(t("Alarme"), Place::Alerts),
    };
    ask.page(&page)
}

fn told(n: u64) -> String {
    tn("Erledigt: Ein Alarm ist bearbeitet.", "Erledigt: {n} Alarme sind bearbeitet.", n)
}

/// Where an alert's rule is held back for what the alert shows.
pub(super) fn tune_href(alert: &Alert) -> String {
    link(&format!("{}/stillhalten", rule_path(&alert.rule_name)), &[("alarm", &alert.id.to_string())])
}

pub(in crate::web) fn acknowledge(ask: &mut Ask) -> Reply {
    let id = named(ask)?;
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.write(move |tx| alert_ack(tx, id, &actor, role, now)).map_err(late)?;
    back(ask, id, "acked")
}

pub(in crate::web) fn close(ask: &mut Ask) -> Reply {
    let id = named(ask)?;
    let verdict = Disposition::parse(ask.form("urteil"));
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    let scope = ask.scope();
    ask.app.db.read(|c| alert_get(c, &scope, id))?.ok_or(PageError::NotFound)?;
    let verdict = verdict.ok_or_else(|| PageError::Refused(t("Zum Schließen gehört ein Urteil. Wählen Sie eines.").into()))?;
    ask.write(move |tx| alert_close(tx, id, verdict, &actor, role, now)).map_err(late)?;
    back(ask, id, "closed")
}

fn named(ask: &Ask) -> Result<AlertId, PageError> {
    ask.param("id").parse().map_err(|_| PageError::NotFound)
}

/// An alert goes only forward: who comes too late is told so, in words about alerts.
fn late(error: CaseError) -> PageError {
    match error {
        CaseError::Transition { .. } => PageError::Refused(
            t("Diesen Alarm hat schon jemand bearbeitet. Laden Sie die Liste neu, dann sehen Sie, wie er jetzt steht.").into(),
        ),
        error => refused(error),
    }
}

#[derive(Template)]
#[template(path = "alert_rows.html")]
struct RowsPart {
    frame: Frame,
    rows: Vec<Row>,
}

/// A script gets the row as it is now; a form leads to the list.
fn back(ask: &Ask, id: AlertId, notice: &str) -> Reply {
    if !ask.fragment {
        return ask.redirect("/alarme", notice);
    }
    let scope = ask.scope();
    let alert = ask.app.db.read(|c| alert_get(c, &scope, id))?.ok_or(PageError::NotFound)?;
    let row = Around::of(ask, std::slice::from_ref(&alert))?.row(&alert);
    ask.page(&RowsPart { rows: vec![row], frame: ask.frame(t("Alarme"), Place::Alerts) })
}

#[cfg(test)]
mod tests;

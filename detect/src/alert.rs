//! Alerts: findings deduplicated by (rule, entity, site) within a day, so that an attack of a thousand lines is one
//! line in the queue. Applying a finding twice changes nothing: evidence is keyed by the journal's sequence.

mod bulk;
mod carry;
mod explained;
mod quality;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ingest::body::{BodyId, SiteId};
use ingest::db::{DbError, Migrations};
use ingest::frame::Seq;
use ingest::history::{NewHistory, history_add};
use ingest::rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::finding::{EVIDENCE_MAX, Finding, Reason};
use crate::incident::{CaseError, IncidentId, ROWS_MAX, Where, demand, line_clean, word_known};
use crate::role::{Action, Role};
use crate::rule::Level;

pub use bulk::{ALERTS_BULK_MAX, AlertAct, AlertsDone, NotDone, alert_ids, alerts_bulk};
pub(crate) use carry::{alerts_carry, alerts_find, alerts_of_case};
pub use explained::alert_explanations;
pub use quality::{RuleQuality, RuleRecord, rule_records, rules_fired};

ingest::id_type!(
    /// One rule about one entity at one site within one day.
    AlertId
);

/// Findings up to this far from the event time of the finding that opened an alert belong to it. A day: an
/// attack that goes on is one alert each day, which the daily look at the queue notices.
pub const WINDOW: i64 = Timestamp::DAY;
/// Values kept of one field, fields of one alert and characters of one value: what a page can show. The search
/// finds the rest.
const VALUES_MAX: usize = 50;
const FIELDS_MAX: usize = 32;
const VALUE_CHARS_MAX: usize = 256;
/// Alerts of one key whose windows can touch one moment; more come only of hand-closed ones reopened within a day.
const CANDIDATES_MAX: usize = 16;

pub const MIGRATIONS: Migrations = Migrations {
    owner: "alert",
    steps: &[
        "
        CREATE TABLE alert (
            id TEXT PRIMARY KEY,
            rule TEXT NOT NULL,
            rule_name TEXT NOT NULL,
            title TEXT NOT NULL,
            level TEXT NOT NULL,
            rsit TEXT NOT NULL,
            playbook TEXT,
            site TEXT NOT NULL,
            body TEXT,
            entity TEXT NOT NULL,
            anchor BIGINT NOT NULL,
            first BIGINT NOT NULL,
            last BIGINT NOT NULL,
            detected_at BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            records BIGINT NOT NULL,
            seq_last BIGINT NOT NULL,
            observables TEXT NOT NULL,
            state TEXT NOT NULL,
            disposition TEXT,
            actor TEXT,
            incident TEXT,
            grouped TEXT NOT NULL
        );
        CREATE INDEX alert_key ON alert (rule, entity, site, anchor);
        CREATE INDEX alert_incident ON alert (incident, id);
        CREATE INDEX alert_state ON alert (state, id);
        CREATE INDEX alert_body ON alert (body, id);
        CREATE TABLE alert_evidence (
            alert TEXT NOT NULL REFERENCES alert (id),
            seq BIGINT NOT NULL,
            PRIMARY KEY (alert, seq)
        );
    ",
        "ALTER TABLE alert ADD COLUMN reasons TEXT NOT NULL DEFAULT '[]';",
        "
        CREATE TABLE alert_explanation (
            alert TEXT NOT NULL REFERENCES alert (id),
            seq BIGINT NOT NULL,
            explanation TEXT NOT NULL,
            PRIMARY KEY (alert, seq)
        );
    ",
        // A rule that fires once a year is found among all the others.
        "CREATE INDEX alert_rule ON alert (rule_name, id);",
    ],
};

/// Field name (`source.ip`) to values.
pub type Observables = BTreeMap<String, Vec<String>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    New,
    Acknowledged,
    Closed,
}

impl AlertState {
    pub const ALL: [Self; 3] = [Self::New, Self::Acknowledged, Self::Closed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// The verdict: it feeds the rules' quality and the false-positive rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    TruePositive,
    /// It happened as the rule says, and was allowed (a penetration test, an administrator's script).
    Benign,
    FalsePositive,
}

impl Disposition {
    pub const ALL: [Self; 3] = [Self::TruePositive, Self::Benign, Self::FalsePositive];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::TruePositive => "true_positive",
            Self::Benign => "benign",
            Self::FalsePositive => "false_positive",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|disposition| disposition.as_str() == text)
    }
}

/// An alert as stored; the rule's words are those of the time it fired.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    pub id: AlertId,
    /// The rule's Sigma id, its short name and its German title.
    pub rule: String,
    pub rule_name: String,
    pub title: String,
    pub level: Level,
    pub rsit: String,
    pub playbook: Option<String>,
    pub site: SiteId,
    pub site_name: Option<String>,
    pub body: Option<BodyId>,
    pub body_name: Option<String>,
    /// `Entity::key`, such as `ip:192.0.2.1`.
    pub entity: String,
    /// Event time of the first and the last record.
    pub first: Timestamp,
    pub last: Timestamp,
    pub detected_at: Timestamp,
    pub created_at: Timestamp,
    /// Records that took part, by journal frame; exact up to `EVIDENCE_MAX`, beyond it never counted twice.
    pub records: u64,
    pub observables: Observables,
    /// The figures that decided, each with its threshold, as of the finding that reaches furthest; empty where a rule's
    /// wording says it all.
    pub reasons: Vec<Reason>,
    pub state: AlertState,
    pub disposition: Option<Disposition>,
    /// Who acknowledged or closed it last.
    pub actor: Option<String>,
    pub incident: Option<IncidentId>,
    /// German: why it stands in that incident.
    pub grouped: String,
    /// The middle of its window: `Finding::anchor` of the finding that opened it.
    #[serde(skip)]
    pub(crate) anchor: Timestamp,
    /// The highest sequence ever counted: beyond `EVIDENCE_MAX` it tells new records from known ones.
    #[serde(skip)]
    pub(crate) seq_last: Seq,
}

/// What a finding did to the alerts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Applied {
    Opened(Alert),
    Extended(Alert),
    /// Nothing in it was new.
    Known(Alert),
}

/// Opens an alert for a finding, or extends the one it belongs to. The incident is `incident::finding_file`'s.
pub(crate) fn alert_apply(tx: &Transaction<'_>, finding: &Finding, now: Timestamp) -> Result<Applied, DbError> {
    match pick(&candidates(tx, finding)?, finding) {
        Some(alert) => alert_extend(tx, alert, finding),
        None => Ok(Applied::Opened(alert_open(tx, finding, now)?)),
    }
}

/// The alert that a finding belongs to: the one that holds its last record already, else the latest that began
/// before it, else the earliest that began after it (records come late, files are imported backwards).
fn pick(candidates: &[(Alert, bool)], finding: &Finding) -> Option<Alert> {
    let seq = finding.evidence.last().copied().unwrap_or_default();
    // Judged true and closed, and it goes on: that must come up again. Judged harmless, it stays quiet for the day.
    let silent = |alert: &Alert| alert.disposition == Some(Disposition::TruePositive) && alert.seq_last < seq;
    let eligible = || candidates.iter().filter(|(alert, _)| !silent(alert)).map(|(alert, _)| alert);
    // Two may hold it, where an engine's reports overlap over a window's end: then the one whose stretch it lies in.
    let covers = |alert: &Alert| alert.first <= finding.first && finding.last <= alert.last;
    let holders = || candidates.iter().filter(|(_, holds)| *holds).map(|(alert, _)| alert);
    let holding = holders().find(|alert| covers(alert)).or_else(|| holders().next());
    let before = || eligible().filter(|alert| alert.anchor <= finding.first).max_by_key(|alert| alert.anchor);
    let after = || eligible().filter(|alert| alert.anchor > finding.first).min_by_key(|alert| alert.anchor);
    holding.or_else(before).or_else(after).cloned()
}

fn candidates(tx: &Transaction<'_>, finding: &Finding) -> Result<Vec<(Alert, bool)>, DbError> {
    let mut statement = tx.prepare_cached(&format!(
        "{SELECT} WHERE a.rule = ?1 AND a.entity = ?2 AND a.site = ?3 AND a.anchor > ?4 AND a.anchor < ?5
         ORDER BY a.anchor DESC LIMIT {CANDIDATES_MAX}"
    ))?;
    let (from, to) = (finding.anchor().plus(-WINDOW), finding.anchor().plus(WINDOW));
    let key = params![finding.rule.id, entity_key(finding), finding.site, from.0, to.0];
    let alerts: Vec<Alert> = statement.query_map(key, alert_row)?.collect::<Result<_, _>>()?;
    let mut holds = tx.prepare_cached("SELECT 1 FROM alert_evidence WHERE alert = ?1 AND seq = ?2")?;
    let seq = finding.evidence.last().map_or(-1, |seq| seq_sql(*seq));
    alerts.into_iter().map(|alert| Ok((holds.exists(params![alert.id, seq])?, alert)).map(|(known, alert)| (alert, known))).collect()
}

pub(crate) fn alert_open(tx: &Transaction<'_>, finding: &Finding, now: Timestamp) -> Result<Alert, DbError> {
    let rule = &finding.rule;
    let mut observables = Observables::new();
    observables_merge(&mut observables, finding.observables.iter().map(|(field, values)| (*field, values.as_slice())));
    let evidence: BTreeSet<Seq> = finding.evidence.iter().copied().collect();
    let alert = Alert {
        id: AlertId::new(finding.detected_at),
        rule: rule.id.clone(),
        rule_name: rule.name.clone(),
        title: rule.title.clone(),
        level: rule.level,
        rsit: rule.rsit.clone(),
        playbook: rule.playbook.clone(),
        site: finding.site,
        site_name: None,
        body: finding.body,
        body_name: None,
        entity: entity_key(finding),
        first: finding.first,
        last: finding.last.max(finding.first),
        detected_at: finding.detected_at,
        created_at: now,
        records: finding.records.max(evidence.len() as u64),
        observables,
        reasons: finding.reasons.clone(),
        state: AlertState::New,
        disposition: None,
        actor: None,
        incident: None,
        grouped: String::new(),
        anchor: finding.anchor(),
        seq_last: evidence.last().copied().unwrap_or_default(),
    };
    tx.prepare_cached(
        "INSERT INTO alert (id, rule, rule_name, title, level, rsit, playbook, site, body, entity, anchor, first, last, detected_at,
            created_at, records, seq_last, observables, state, grouped, reasons)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, '', ?20)",
    )?
    .execute(params![
        alert.id,
        alert.rule,
        alert.rule_name,
        alert.title,
        alert.level.as_str(),
        alert.rsit,
        alert.playbook,
        alert.site,
        alert.body,
        alert.entity,
        alert.anchor.0,
        alert.first.0,
        alert.last.0,
        alert.detected_at.0,
        alert.created_at.0,
        count_sql(alert.records),
        seq_sql(alert.seq_last),
        observables_json(&alert.observables),
        alert.state.as_str(),
        json!(alert.reasons).to_string(),
    ])?;
    evidence_add(tx, alert.id, evidence.into_iter().take(EVIDENCE_MAX))?;
    explained::explanation_add(tx, alert.id, finding, true)?;
    let data = json!({ "rule": alert.rule, "rule_name": alert.rule_name, "level": alert.level, "rsit": alert.rsit,
        "site": alert.site, "entity": alert.entity, "first": alert.first });
    history_add(tx, now, &told(&alert, "alert.created", alert.detected_at, &format!("rule:{}", alert.rule), data))?;
    Ok(alert)
}

fn alert_extend(tx: &Transaction<'_>, alert: Alert, finding: &Finding) -> Result<Applied, DbError> {
    let mut statement = tx.prepare_cached("SELECT seq FROM alert_evidence WHERE alert = ?1")?;
    let known: BTreeSet<Seq> = statement.query_map([alert.id], |row| Ok(seq_read(row.get(0)?)))?.collect::<Result<_, _>>()?;
    let (next, fresh) = extended(&alert, &known, finding);
    if next == alert && fresh.is_empty() {
        return Ok(Applied::Known(alert));
    }
    tx.prepare_cached("UPDATE alert SET first = ?2, last = ?3, records = ?4, seq_last = ?5, observables = ?6, reasons = ?7 WHERE id = ?1")?
        .execute(params![
            next.id,
            next.first.0,
            next.last.0,
            count_sql(next.records),
            seq_sql(next.seq_last),
            observables_json(&next.observables),
            json!(next.reasons).to_string(),
        ])?;
    evidence_add(tx, next.id, fresh.into_iter())?;
    explained::explanation_add(tx, next.id, finding, finding.last >= alert.last)?;
    Ok(Applied::Extended(next))
}

/// The alert after a finding, and the evidence to keep of it. Pure, and the same again when applied again.
fn extended(alert: &Alert, known: &BTreeSet<Seq>, finding: &Finding) -> (Alert, Vec<Seq>) {
    let evidence: BTreeSet<Seq> = finding.evidence.iter().copied().collect();
    let room = EVIDENCE_MAX.saturating_sub(known.len());
    // Once the list is full, only the journal's order tells what was counted already.
    let unseen = |seq: &Seq| !known.contains(seq) && (room > 0 || *seq > alert.seq_last);
    let fresh: Vec<Seq> = evidence.iter().copied().filter(unseen).collect();
    let fresh_count = fresh.len() as u64;
    let mut next = alert.clone();
    // A finding of new records only adds all it counted; one that overlaps with what is known (a window that
    // slides) adds its new ones, and is never worth less than what it counted itself.
    next.records = if fresh_count > 0 && fresh.len() == evidence.len() {
        alert.records.saturating_add(finding.records.max(fresh_count))
    } else {
        alert.records.saturating_add(fresh_count).max(finding.records)
    };
    if !finding.reasons.is_empty() && finding.last >= alert.last {
        next.reasons = finding.reasons.clone();
    }
    next.first = alert.first.min(finding.first);
    next.last = alert.last.max(finding.last);
    next.seq_last = evidence.last().copied().unwrap_or_default().max(alert.seq_last);
    observables_merge(&mut next.observables, finding.observables.iter().map(|(field, values)| (*field, values.as_slice())));
    (next, fresh.into_iter().take(room).collect())
}

/// Adds values that are not there yet, within the bounds.
pub(crate) fn observables_merge<'a>(into: &mut Observables, from: impl Iterator<Item = (&'a str, &'a [String])>) {
    for (field, values) in from {
        if !into.contains_key(field) && into.len() >= FIELDS_MAX {
            continue;
        }
        let kept = into.entry(field.to_owned()).or_default();
        for value in values {
            let value: String = value.chars().take(VALUE_CHARS_MAX).collect();
            if kept.len() < VALUES_MAX && !kept.contains(&value) {
                kept.push(value);
            }
        }
    }
    into.retain(|_, values| !values.is_empty());
}

pub(crate) fn observables_json(observables: &Observables) -> String {
    json!(observables).to_string()
}

/// The entity's key, bounded: a hostile host name must not become a key of a megabyte.
fn entity_key(finding: &Finding) -> String {
    line_clean(&finding.entity.key(), VALUE_CHARS_MAX)
}

fn evidence_add(tx: &Transaction<'_>, id: AlertId, seqs: impl Iterator<Item = Seq>) -> Result<(), DbError> {
    let mut insert = tx.prepare_cached("INSERT INTO alert_evidence (alert, seq) VALUES (?1, ?2) ON CONFLICT (alert, seq) DO NOTHING")?;
    for seq in seqs {
        insert.execute(params![id, seq_sql(seq)])?;
    }
    Ok(())
}

/// Ties an alert to its incident, with the German reason.
pub(crate) fn alert_tie(tx: &Transaction<'_>, alert: &Alert, incident: IncidentId, because: &str) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE alert SET incident = ?2, grouped = ?3 WHERE id = ?1")?.execute(params![alert.id, incident, because])?;
    Ok(())
}

/// Marks an alert as seen.
///
/// # Errors
/// `Transition` where it is not new, `Forbidden`, `NotFound`; the database's own.
pub fn alert_ack(tx: &Transaction<'_>, id: AlertId, actor: &str, role: Role, now: Timestamp) -> Result<(), CaseError> {
    demand(Action::AlertAcknowledge, role)?;
    let alert = alert_find(tx, id)?;
    alert_move(tx, &alert, AlertState::Acknowledged, None, actor, now, now)
}

/// Closes an alert with a verdict.
///
/// # Errors
/// `Transition` where it is closed already, `Forbidden`, `NotFound`; the database's own.
pub fn alert_close(
    tx: &Transaction<'_>,
    id: AlertId,
    disposition: Disposition,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<(), CaseError> {
    demand(Action::AlertClose, role)?;
    let alert = alert_find(tx, id)?;
    alert_move(tx, &alert, AlertState::Closed, Some(disposition), actor, now, now)
}

/// Closes an alert whose reason has gone by itself, without a verdict: nobody has judged it. One that a person closed
/// stays as it is.
pub(crate) fn alert_end(tx: &Transaction<'_>, id: AlertId, at: Timestamp, reason: &str, now: Timestamp) -> Result<(), DbError> {
    let found = tx.prepare_cached(&format!("{SELECT} WHERE a.id = ?1"))?.query_row([id], alert_row).optional()?;
    let Some(alert) = found.filter(|alert| alert.state != AlertState::Closed) else { return Ok(()) };
    tx.prepare_cached("UPDATE alert SET state = 'closed', actor = 'system', last = ?2 WHERE id = ?1")?
        .execute(params![alert.id, at.max(alert.first).0])?;
    let data = json!({ "reason": reason, "rule": alert.rule, "incident": alert.incident });
    history_add(tx, now, &told(&alert, "alert.closed", at.max(alert.detected_at).min(now), "system", data))?;
    Ok(())
}

fn alert_find(tx: &Transaction<'_>, id: AlertId) -> Result<Alert, CaseError> {
    let found = tx.prepare_cached(&format!("{SELECT} WHERE a.id = ?1"))?.query_row([id], alert_row).optional()?;
    found.ok_or_else(|| CaseError::NotFound { noun: "alert", id: id.to_string() })
}

fn alert_move(
    tx: &Transaction<'_>,
    alert: &Alert,
    to: AlertState,
    disposition: Option<Disposition>,
    actor: &str,
    event_time: Timestamp,
    now: Timestamp,
) -> Result<(), CaseError> {
    if to <= alert.state {
        return Err(CaseError::Transition { from: alert.state.as_str(), to: to.as_str() });
    }
    tx.prepare_cached("UPDATE alert SET state = ?2, disposition = ?3, actor = ?4 WHERE id = ?1")?.execute(params![
        alert.id,
        to.as_str(),
        disposition.map(Disposition::as_str),
        actor
    ])?;
    let (kind, data) = match disposition {
        Some(disposition) => ("alert.closed", json!({ "disposition": disposition, "rule": alert.rule, "incident": alert.incident })),
        None => ("alert.acked", json!({ "rule": alert.rule, "level": alert.level, "incident": alert.incident })),
    };
    history_add(tx, now, &told(alert, kind, event_time, actor, data))?;
    Ok(())
}

/// Moves those alerts of an incident that are not that far yet, as the incident itself moves.
pub(crate) fn of_incident_move(
    tx: &Transaction<'_>,
    incident: IncidentId,
    to: AlertState,
    disposition: Option<Disposition>,
    actor: &str,
    event_time: Timestamp,
    now: Timestamp,
) -> Result<(), CaseError> {
    let mut statement = tx.prepare_cached(&format!("{SELECT} WHERE a.incident = ?1 AND a.state <> 'closed' ORDER BY a.id"))?;
    let alerts: Vec<Alert> = statement.query_map([incident], alert_row)?.collect::<Result<_, _>>()?;
    for alert in alerts.iter().filter(|alert| alert.state < to) {
        alert_move(tx, alert, to, disposition, actor, event_time.max(alert.detected_at).min(now), now)?;
    }
    Ok(())
}

fn told(alert: &Alert, kind: &'static str, event_time: Timestamp, actor: &str, data: serde_json::Value) -> NewHistory {
    NewHistory { event_time, kind, subject: alert.id.to_string(), body: alert.body, actor: actor.to_owned(), data, corrects: None }
}

/// Which alerts to list: newest first, `limit` of them that are older than `before`.
#[derive(Clone, Debug)]
pub struct AlertFilter {
    pub scope: Scope,
    /// Empty for all.
    pub states: Vec<AlertState>,
    /// A rule's short name.
    pub rule_name: Option<String>,
    pub incident: Option<IncidentId>,
    /// Judged so.
    pub disposition: Option<Disposition>,
    /// Detected since.
    pub since: Option<Timestamp>,
    pub limit: usize,
    pub before: Option<AlertId>,
}

impl AlertFilter {
    /// The newest 100 of what `scope` may see.
    pub fn new(scope: Scope) -> Self {
        Self { scope, states: Vec::new(), rule_name: None, incident: None, disposition: None, since: None, limit: 100, before: None }
    }
}

/// The case of an alert, if it is in one.
///
/// # Errors
/// The database's own.
pub(crate) fn alert_incident(connection: &Connection, id: AlertId) -> Result<Option<IncidentId>, DbError> {
    let mut statement = connection.prepare_cached("SELECT incident FROM alert WHERE id = ?1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?.flatten())
}

/// # Errors
/// The database's own.
pub fn alert_list(connection: &Connection, filter: &AlertFilter) -> Result<Vec<Alert>, DbError> {
    let condition = condition(filter)?;
    // First which, from an index alone where there is one: several states have to be sorted, and rows are long.
    let page = format!("SELECT a.id FROM alert a WHERE {} ORDER BY a.id DESC LIMIT {}", condition.sql(), filter.limit.min(ROWS_MAX));
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE a.id IN ({page}) ORDER BY a.id DESC"))?;
    let rows = statement.query_map(condition.into_values(), alert_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One alert; `None` where it does not exist for this caller.
///
/// # Errors
/// The database's own.
pub fn alert_get(connection: &Connection, scope: &Scope, id: AlertId) -> Result<Option<Alert>, DbError> {
    let mut condition = Where::default();
    condition.and("a.id = ?", &[&id])?;
    condition.scope("a.body", scope)?;
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE {}", condition.sql()))?;
    Ok(statement.query_row(condition.into_values(), alert_row).optional()?)
}

fn condition(filter: &AlertFilter) -> Result<Where, DbError> {
    let mut condition = Where::default();
    condition.scope("a.body", &filter.scope)?;
    if !filter.states.is_empty() {
        let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        condition.any_of("a.state", &states)?;
    }
    if let Some(name) = &filter.rule_name {
        condition.and("a.rule_name = ?", &[name])?;
    }
    if let Some(incident) = filter.incident {
        condition.and("a.incident = ?", &[&incident])?;
    }
    if let Some(disposition) = filter.disposition {
        condition.and("a.disposition = ?", &[&disposition.as_str()])?;
    }
    if let Some(since) = filter.since {
        condition.and("a.detected_at >= ?", &[&since.0])?;
    }
    if let Some(before) = filter.before {
        condition.and("a.id < ?", &[&before])?;
    }
    Ok(condition)
}

/// The overview's figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlertCounts {
    pub new: u64,
    pub acknowledged: u64,
    /// Detection of the oldest one that nobody acknowledged.
    pub oldest_new: Option<Timestamp>,
}

/// # Errors
/// The database's own.
pub fn alert_counts(connection: &Connection, scope: &Scope) -> Result<AlertCounts, DbError> {
    let mut condition = Where::default();
    condition.any_of("state", &["new", "acknowledged"])?;
    condition.scope("body", scope)?;
    let sql = format!("SELECT state, COUNT(*), MIN(detected_at) FROM alert WHERE {} GROUP BY state", condition.sql());
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(condition.into_values())?;
    let mut counts = AlertCounts::default();
    while let Some(row) = rows.next()? {
        let count = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        match AlertState::parse(&row.get::<_, String>(0)?) {
            Some(AlertState::New) => (counts.new, counts.oldest_new) = (count, Some(Timestamp(row.get(2)?))),
            _ => counts.acknowledged = count,
        }
    }
    Ok(counts)
}

/// Changes whenever an alert comes, is merged or is worked on, as long as it is open; cheap enough to be asked every second.
///
/// # Errors
/// The database's own.
pub fn alert_mark(connection: &Connection) -> Result<String, DbError> {
    let sql = "SELECT COUNT(*), COALESCE(MAX(id), ''), COALESCE(SUM(records), 0), COALESCE(MAX(seq_last), 0),
                      COALESCE(SUM(CASE WHEN state = 'new' THEN 1 ELSE 0 END), 0)
               FROM alert WHERE state IN ('new', 'acknowledged')";
    let mark = connection.prepare_cached(sql)?.query_row([], |row| {
        let numbers: [i64; 4] = [row.get(0)?, row.get(2)?, row.get(3)?, row.get(4)?];
        Ok(format!("{} {numbers:?}", row.get::<_, String>(1)?))
    })?;
    Ok(mark)
}

/// What lists of other things say of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertLabel {
    pub title: String,
    pub incident: Option<IncidentId>,
}

/// The labels of those of `ids` that the caller may see.
///
/// # Errors
/// The database's own.
pub fn alert_labels(connection: &Connection, scope: &Scope, ids: &[AlertId]) -> Result<HashMap<AlertId, AlertLabel>, DbError> {
    let mut labels = HashMap::new();
    for part in ids.chunks(ROWS_MAX) {
        let mut condition = Where::default();
        condition.any_of("id", part)?;
        condition.scope("body", scope)?;
        let mut statement = connection.prepare(&format!("SELECT id, title, incident FROM alert WHERE {}", condition.sql()))?;
        let mut rows = statement.query(condition.into_values())?;
        while let Some(row) = rows.next()? {
            labels.insert(row.get(0)?, AlertLabel { title: row.get(1)?, incident: row.get(2)? });
        }
    }
    Ok(labels)
}

/// The evidence of one alert, in journal order; empty where the caller may not see it.
///
/// # Errors
/// The database's own.
pub fn alert_evidence(connection: &Connection, scope: &Scope, id: AlertId) -> Result<Vec<Seq>, DbError> {
    let mut condition = Where::default();
    condition.and("e.alert = ?", &[&id])?;
    condition.scope("a.body", scope)?;
    let sql = format!("SELECT e.seq FROM alert_evidence e JOIN alert a ON a.id = e.alert WHERE {} ORDER BY e.seq", condition.sql());
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(condition.into_values(), |row| Ok(seq_read(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The merged evidence of an incident's alerts; whoever calls has checked the scope.
pub(crate) fn evidence_of_incident(connection: &Connection, id: IncidentId, limit: usize) -> Result<Vec<Seq>, DbError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT DISTINCT e.seq FROM alert_evidence e JOIN alert a ON a.id = e.alert WHERE a.incident = ?1 ORDER BY e.seq LIMIT {limit}"
    ))?;
    let rows = statement.query_map([id], |row| Ok(seq_read(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const SELECT: &str = "SELECT a.id, a.rule, a.rule_name, a.title, a.level, a.rsit, a.playbook, a.site, s.name, a.body, b.name, a.entity,
        a.first, a.last, a.detected_at, a.created_at, a.records, a.observables, a.state, a.disposition, a.actor, a.incident, a.grouped,
        a.anchor, a.seq_last, a.reasons
    FROM alert a LEFT JOIN site s ON s.id = a.site LEFT JOIN body b ON b.id = a.body";

fn alert_row(row: &Row<'_>) -> ingest::rusqlite::Result<Alert> {
    let text = |column: usize| row.get::<_, String>(column);
    Ok(Alert {
        id: row.get(0)?,
        rule: row.get(1)?,
        rule_name: row.get(2)?,
        title: row.get(3)?,
        level: word_known(4, Level::parse(&text(4)?))?,
        rsit: row.get(5)?,
        playbook: row.get(6)?,
        site: row.get(7)?,
        site_name: row.get(8)?,
        body: row.get(9)?,
        body_name: row.get(10)?,
        entity: row.get(11)?,
        first: Timestamp(row.get(12)?),
        last: Timestamp(row.get(13)?),
        detected_at: Timestamp(row.get(14)?),
        created_at: Timestamp(row.get(15)?),
        records: u64::try_from(row.get::<_, i64>(16)?).unwrap_or(0),
        observables: serde_json::from_str(&text(17)?).unwrap_or_default(),
        state: word_known(18, AlertState::parse(&text(18)?))?,
        disposition: row.get::<_, Option<String>>(19)?.and_then(|text| Disposition::parse(&text)),
        actor: row.get(20)?,
        incident: row.get(21)?,
        grouped: row.get(22)?,
        anchor: Timestamp(row.get(23)?),
        seq_last: seq_read(row.get(24)?),
        reasons: serde_json::from_str(&text(25)?).unwrap_or_default(),
    })
}

fn seq_sql(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

fn seq_read(number: i64) -> Seq {
    Seq(u64::try_from(number).unwrap_or(0))
}

fn count_sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

//! Runs the scheduled searches: each interval of each schedule once, under its owner's rights of that moment, and files an
//! alert where it passes its threshold. What a run found, the alert and where the next run begins are one transaction: a
//! restart repeats no interval and skips none.
//!
//! Intervals are of event time and end at whole multiples of their length; a run waits `LATE` for what is still on its way.
//! What comes later than that is found by a search, but raises nothing here: rules, which read the journal, do not have this
//! gap, and what must not be missed belongs into one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use detect::finding::{EVIDENCE_MAX, Entity, Finding};
use detect::incident::{Filed, finding_file};
use detect::playbook::Playbooks;
use detect::rule::Rule;
use ingest::audit::NewAudit;
use ingest::body::{SITE_UNKNOWN, SharedSites, SiteTable};
use ingest::db::{Db, DbError};
use ingest::event::Event;
use ingest::events::{AggregateRequest, EventStore, LIMIT_MAX, SearchRequest, SearchResult, Table, Value};
use ingest::fields::{self, FieldId};
use ingest::pseudonym::Pseudonyms;
use ingest::query::{ColumnKind, Pipeline, Query, Stage};
use ingest::record::{EventRecord, Record as _};
use ingest::time::{Clock, Timestamp};
use serde_json::json;

use crate::access::{self, CERT, Verdict, Viewer};
use crate::audit_queue::AuditQueue;
use crate::saved_search::{
    SavedSearch, Schedule, Threshold, groups_full, groups_learn, saved_search_find, schedule_get, schedule_list, schedule_ran,
};
use crate::show;
use crate::terms::{condition, narrowed};
use crate::user::user_get;

/// A run that takes longer is broken off: `SCHEDULED_MAX` of them fit into the shortest interval.
pub const RUN_TIME_MAX: Duration = Duration::from_secs(5);
/// How long after an interval's end it is looked at.
const LATE: i64 = 2 * Timestamp::MINUTE;
/// Intervals of one schedule that are made up for in one look, after the program has stood still; the rest follows.
const INTERVALS_PER_LOOK_MAX: usize = 12;
/// Alerts of one run for new values; more than these are one alert together.
const ALERTS_PER_RUN_MAX: usize = 10;
/// Values of one field that an alert gets from a run.
const OBSERVABLES_MAX: usize = 20;
/// Rows of a table whose events hang on its alert: the largest.
const ROWS_TOLD_MAX: usize = 10;
/// For the events behind a table's rows, where making it took all the time.
const EVIDENCE_TIME_MIN: Duration = Duration::from_millis(500);
/// What an alert is called that a body gets to see.
const TITLE_SHOWN: &str = "Auffällige Ereignisse in einer Suche des CERT";
/// Rules of saved searches are named so in front of the search's id.
pub const RULE_PREFIX: &str = "gespeichert-";

/// The runner and what it needs.
#[derive(Clone)]
pub struct SavedRuns {
    pub db: Db,
    pub events: Arc<EventStore>,
    pub sites: SharedSites,
    pub pseudonyms: Arc<Pseudonyms>,
    pub playbooks: Arc<Playbooks>,
    pub audit: AuditQueue,
    pub clock: Clock,
}

/// What one look did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    pub runs: usize,
    pub faults: usize,
    pub alerts: usize,
}

/// The next interval that is over, if any: from where the last ended to the next multiple of the length.
fn due(schedule: &Schedule, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let every = schedule.every_minutes.max(1).saturating_mul(Timestamp::MINUTE);
    let end = Timestamp((schedule.done_until.0.div_euclid(every) + 1).saturating_mul(every));
    (now >= end.plus(LATE)).then_some((schedule.done_until, end))
}

/// What was found in an interval.
struct Run {
    /// What the threshold is held against: the events, or the largest number of a table.
    total: u64,
    /// The events that an alert speaks of; of a table those that were fetched.
    records: u64,
    /// Whether where the hits are from is where all of it is from: only then it is one site's.
    proven: bool,
    took_millis: i64,
    hits: Vec<Event>,
    /// German: why the counts are only a lower bound.
    fault: String,
}

impl SavedRuns {
    /// Runs what is due. Call it about twice a minute; one at a time, so that they never take more than one core.
    ///
    /// # Errors
    /// The database's own.
    pub fn look(&self) -> Result<Looked, DbError> {
        let mut looked = Looked::default();
        for mut schedule in self.db.read(schedule_list)? {
            for _ in 0..INTERVALS_PER_LOOK_MAX {
                let now = self.clock.now();
                let Some((from, to)) = due(&schedule, now) else { break };
                let Some(search) = self.db.read(|c| saved_search_find(c, schedule.search))? else { break };
                looked.runs += 1;
                let done = match self.run(&search, &schedule.threshold, from, to, now) {
                    Ok(run) => self.file(&search, &schedule, &run, to, now)?,
                    // Where it cannot be asked at all nothing moves: the interval is made up for when it can.
                    Err(fault) => self.failed(&schedule, fault, now)?,
                };
                let Some((next, alerts)) = done else { break };
                looked.alerts += alerts;
                looked.faults += usize::from(!next.last.fault.is_empty());
                let stuck = next.done_until == schedule.done_until;
                schedule = next;
                if stuck {
                    break;
                }
            }
        }
        Ok(looked)
    }

    /// The search of one interval as its owner; in German, why it could not be.
    fn run(&self, search: &SavedSearch, threshold: &Threshold, from: Timestamp, to: Timestamp, now: Timestamp) -> Result<Run, String> {
        let viewer = self.owner(search, now)?;
        // As if it had been asked when the interval ended, however late it is made up for.
        let asked = Pipeline::parse(&search.asked.query, to).map_err(|error| format!("Die Anfrage ist nicht lesbar: {}", error.message))?;
        self.note(search, &asked.query, now)?;
        let silent = |error| format!("Der Ereignisspeicher antwortet nicht: {error}");
        let sites = self.sites();
        let scope = search.asked.body.map_or(viewer.scope.clone(), |body| viewer.scope.within(body));
        let mut request = SearchRequest::new(asked.query.clone(), scope, sites);
        (request.from, request.to) = (Some(from), Some(to));
        (request.limit, request.buckets, request.time_max) = (LIMIT_MAX, 1, RUN_TIME_MAX);
        request.real_values = detect::role::allowed(detect::role::Action::SearchRealValues, viewer.role);
        let mut counted = None;
        if let (Threshold::Count(min), true) = (threshold, asked.is_table()) {
            let mut table = AggregateRequest::new(asked, request.scope.clone(), request.sites.clone());
            (table.from, table.to, table.time_max) = (request.from, request.to, RUN_TIME_MAX);
            table.real_values = request.real_values;
            let made = self.events.aggregate(&table).map_err(silent)?;
            let Passing { most, rows, all } = passing(&table.pipeline, &made.table, *min);
            // The events behind the rows that pass are the evidence; both together have the time of one search.
            let query = Pipeline::split(&search.asked.query).0;
            // Values are somebody else's: where they make too long a query, the search's own gives the evidence.
            let narrow = rows.and_then(|rows| Query::parse_at(&narrowed(query, &rows), to).ok());
            counted = Some((most, made.partial, made.damaged.len(), all || narrow.is_none()));
            request.query = match narrow {
                Some(narrow) => narrow,
                None => Query::parse_at(query, to).map_err(|error| format!("Die Anfrage ist nicht lesbar: {}", error.message))?,
            };
            request.time_max = RUN_TIME_MAX.saturating_sub(made.took).max(EVIDENCE_TIME_MIN);
            request.limit = if most >= *min { LIMIT_MAX } else { 1 };
            request.summary = false;
        }
        let mut found = self.events.search(&request).map_err(silent)?;
        let (mut records, mut proven) = (found.total, !found.partial && of_one_site(&found));
        if let Some((most, partial, damaged, all)) = counted {
            records = found.hits.len() as u64;
            proven = all && !partial && !found.partial && found.next.is_none();
            found.total = most;
            found.partial = partial;
            found.damaged.truncate(damaged);
        }
        let span = || format!("{} bis {}", show::stamp(from), show::clock(to));
        let fault = if !found.damaged.is_empty() {
            format!("Das Zeitfenster {} war nicht ganz lesbar: {} Tage sind beschädigt.", span(), found.damaged.len())
        } else if found.partial {
            let seconds = RUN_TIME_MAX.as_secs();
            format!("Die Suche war nach {seconds} s nicht fertig; im Zeitfenster {} kann etwas fehlen. Bitte enger fassen.", span())
        } else {
            String::new()
        };
        let took_millis = i64::try_from(found.took.as_millis()).unwrap_or(i64::MAX);
        Ok(Run { total: found.total, records, proven, took_millis, hits: found.hits, fault })
    }

    fn owner(&self, search: &SavedSearch, now: Timestamp) -> Result<Viewer, String> {
        let found = self.db.read(|c| {
            let Some(user) = user_get(c, search.owner)?.filter(|user| !user.disabled) else { return Ok(None) };
            Ok::<_, DbError>(Some(access::viewer(&user, &access::bodies(c, &user, now)?)))
        });
        let viewer = found.map_err(|error| format!("Die Datenbank antwortet nicht: {error}"))?;
        let viewer = viewer.ok_or("Das Konto, dem die Suche gehört, ist gesperrt: Sie läuft nicht mehr. Wer sie braucht, speichert sie als eigene; die Leitung kann diesen Takt beenden.")?;
        if access::judge(CERT, Some(viewer.role)) == Verdict::Enter {
            Ok(viewer)
        } else {
            Err("Das Konto, dem die Suche gehört, darf nicht mehr suchen.".into())
        }
    }

    /// Who searched what, also when he was not there: once an hour.
    fn note(&self, search: &SavedSearch, query: &Query, now: Timestamp) -> Result<(), String> {
        let masked = self.pseudonyms.masked(query);
        let (actor, object) = (search.owner.to_string(), format!("saved_search:{}", search.id));
        let detail = json!({ "query": masked.as_ref().unwrap_or(query).to_string() });
        let full = |_| "Das Protokoll nimmt gerade nichts an.".to_owned();
        if masked.is_some() {
            let new = NewAudit { actor: actor.clone(), kind: "pseudonym.searched", object: object.clone(), detail: detail.clone() };
            self.audit.look(now, new).map_err(full)?;
        }
        self.audit.look(now, NewAudit { actor, kind: "saved_search.ran", object, detail }).map_err(full)
    }

    fn sites(&self) -> Arc<SiteTable> {
        self.sites.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn failed(&self, schedule: &Schedule, fault: String, now: Timestamp) -> Result<Option<(Schedule, usize)>, DbError> {
        let mut next = schedule.clone();
        (next.last.at, next.last.fault, next.last.hits) = (Some(now), fault, 0);
        let before = schedule.clone();
        self.db.write(move |tx| {
            // Changed meanwhile: what it begins with anew is not to be written over with what was.
            if schedule_get(tx, before.search)?.as_ref() != Some(&before) {
                return Ok(None);
            }
            schedule_ran(tx, &next, next.learned)?;
            Ok::<_, DbError>(Some((next, 0)))
        })
    }

    /// Files what a run found and moves on, in one transaction; `None` where the schedule was changed meanwhile.
    fn file(
        &self,
        search: &SavedSearch,
        schedule: &Schedule,
        run: &Run,
        to: Timestamp,
        now: Timestamp,
    ) -> Result<Option<(Schedule, usize)>, DbError> {
        let groups = match &schedule.threshold {
            Threshold::NewGroup(field) => groups(&run.hits, field, &self.sites()),
            Threshold::Count(_) => BTreeMap::new(),
        };
        let values: Vec<String> = groups.keys().cloned().collect();
        let mut next = schedule.clone();
        next.done_until = to;
        (next.last.at, next.last.took_millis, next.last.fault) = (Some(now), run.took_millis, run.fault.clone());
        next.last.hits = i64::try_from(run.total).unwrap_or(i64::MAX);
        if matches!(schedule.threshold, Threshold::NewGroup(_)) && run.total > LIMIT_MAX as u64 && next.last.fault.is_empty() {
            next.last.fault = format!("Von {} Treffern wurden nur {LIMIT_MAX} nach neuen Werten durchgesehen.", show::num(run.total));
        }
        let cooling = schedule.last.alerted_at.is_some_and(|at| now < at.plus(schedule.cool_down_minutes * Timestamp::MINUTE));
        let counted = matches!(schedule.threshold, Threshold::Count(min) if run.total >= min) && !cooling;
        let alarm = Alarm { search, schedule, sites: self.sites(), pseudonyms: &self.pseudonyms, proven: run.proven, now };
        let by_count: Vec<Finding> =
            if counted { alarm.finding(&run.hits.iter().collect::<Vec<_>>(), run.records, None).into_iter().collect() } else { vec![] };
        let by_group: BTreeMap<String, Finding> = groups
            .iter()
            .filter_map(|(value, hits)| Some((value.clone(), alarm.finding(hits, hits.len() as u64, Some(value.as_str()))?)))
            .collect();
        let (before, playbooks) = (schedule.clone(), self.playbooks.clone());
        let all_groups: Vec<&Event> = groups.values().flatten().copied().collect();
        let together = alarm.finding(&all_groups, all_groups.len() as u64, None);
        self.db.write(move |tx| {
            if schedule_get(tx, before.search)?.as_ref() != Some(&before) {
                return Ok(None);
            }
            let mut findings = by_count;
            if matches!(before.threshold, Threshold::NewGroup(_)) {
                let fresh = groups_learn(tx, before.search, &values, now)?;
                if groups_full(tx, before.search)? {
                    next.last.fault =
                        "Mehr verschiedene Werte, als behalten werden: neue fallen nicht mehr auf. Bitte ein anderes Feld.".into();
                }
                // Of the first interval every value is new.
                if before.learned && fresh.len() <= ALERTS_PER_RUN_MAX {
                    findings = fresh.iter().filter_map(|value| by_group.get(value).cloned()).collect();
                } else if before.learned {
                    findings = together.into_iter().collect();
                }
            }
            next.learned = true;
            for finding in &findings {
                let filed = finding_file(tx, &playbooks, finding, now)?;
                (next.last.alerted_at, next.last.alert) = (Some(now), Some(alert_of(&filed)));
            }
            schedule_ran(tx, &next, next.learned)?;
            Ok::<_, DbError>(Some((next, findings.len())))
        })
    }
}

/// Whether all that was found is of one site: all of it was fetched, and can be looked at; or all of it was counted for one.
fn of_one_site(found: &SearchResult) -> bool {
    let counted = found.top.iter().find(|(field, _)| *field == fields::SITE);
    found.total == found.hits.len() as u64 || counted.is_some_and(|(_, sites)| matches!(sites.as_slice(), [(_, n)] if *n == found.total))
}

/// What of a table passes a threshold.
struct Passing {
    /// The largest first number of its rows; where it has no number, how many rows it has.
    most: u64,
    /// A condition for the rows that pass; none where they are not told apart by what is in the table.
    rows: Option<String>,
    /// It is for all of them.
    all: bool,
}

fn passing(pipeline: &Pipeline, table: &Table, min: u64) -> Passing {
    let Some(place) = table.columns.iter().position(|column| column.kind == ColumnKind::Number) else {
        return Passing { most: table.rows.len() as u64, rows: None, all: true };
    };
    let number = |row: &Vec<Value>| match row.get(place) {
        Some(Value::Int(number)) => u64::try_from(*number).unwrap_or(0),
        Some(Value::Float(number)) => number.max(0.0) as u64,
        _ => 0,
    };
    let most = table.rows.iter().map(number).max().unwrap_or(0);
    let by = pipeline.aggregation().map(Stage::by).unwrap_or_default();
    let group = |row: &Vec<Value>| {
        let one = |field: &FieldId| {
            let place = table.columns.iter().position(|column| column.kind == ColumnKind::Field(*field))?;
            Some(condition(*field, row.get(place)?))
        };
        by.iter().map(one).collect::<Option<Vec<_>>>().map(|terms| format!("({})", terms.join(" AND ")))
    };
    let pass = || table.rows.iter().filter(|row| number(row) >= min);
    let rows: Option<Vec<String>> = pass().take(ROWS_TOLD_MAX).map(group).collect();
    let rows = rows.filter(|rows| !rows.is_empty() && !by.is_empty()).map(|rows| format!("({})", rows.join(" OR ")));
    Passing { most, all: rows.is_none() || pass().count() <= ROWS_TOLD_MAX, rows }
}

fn alert_of(filed: &Filed) -> String {
    let (Filed::Known { alert }
    | Filed::Extended { alert }
    | Filed::Waiting { alert }
    | Filed::Joined { alert, .. }
    | Filed::Opened { alert, .. }) = filed;
    alert.to_string()
}

/// The hits by their values of a field.
fn groups<'e>(hits: &'e [Event], field: &str, sites: &SiteTable) -> BTreeMap<String, Vec<&'e Event>> {
    let mut groups: BTreeMap<String, Vec<&Event>> = BTreeMap::new();
    let Some(field) = FieldId::find(field) else { return groups };
    for event in hits {
        let mut values = BTreeSet::new();
        EventRecord { event, sites }.any_value(field, &mut |value| {
            values.insert(value.text().into_owned());
            false
        });
        for value in values {
            groups.entry(value).or_default().push(event);
        }
    }
    groups
}

/// What becomes of hits that pass the threshold.
struct Alarm<'a> {
    search: &'a SavedSearch,
    schedule: &'a Schedule,
    sites: Arc<SiteTable>,
    pseudonyms: &'a Pseudonyms,
    /// `Run::proven`
    proven: bool,
    now: Timestamp,
}

impl Alarm<'_> {
    fn finding(&self, hits: &[&Event], records: u64, group: Option<&str>) -> Option<Finding> {
        let (first, last) = (hits.iter().map(|event| event.timestamp).min()?, hits.iter().map(|event| event.timestamp).max()?);
        // Of several sites, or perhaps of several, it is nobody's alone, and only the CERT's.
        let site = hits.first()?.site;
        let site = if self.proven && hits.iter().all(|event| event.site == site) { site } else { SITE_UNKNOWN };
        let mut seqs: Vec<_> = hits.iter().map(|event| event.seq).collect();
        seqs.sort_unstable();
        seqs.dedup();
        // The newest: they say what it came to.
        let evidence = seqs.split_off(seqs.len().saturating_sub(EVIDENCE_MAX));
        let body = self.sites.body(site);
        Some(Finding {
            rule: Arc::new(self.rule(group, body.is_some())),
            site,
            body,
            entity: group.map_or(Entity::Site, |value| self.entity(value, hits)),
            observables: self.observables(hits),
            first,
            last,
            detected_at: self.now,
            evidence,
            records,
            reasons: vec![],
            explanation: None,
            shares: vec![],
        })
    }

    /// How somebody calls his search is his own affair, and nothing for the body that the case is shown to; the CERT comes
    /// from the alert to the search.
    fn rule(&self, group: Option<&str>, shown: bool) -> Rule {
        let SavedSearch { id, name, .. } = self.search;
        let name = if shown { TITLE_SHOWN } else { name };
        let (id, title) = match group {
            // Each new value is an alert of its own.
            Some(value) => (format!("{id}/{value}"), format!("{name}: neu {value}")),
            None => (id.to_string(), name.to_owned()),
        };
        Rule {
            id: id.chars().take(256).collect(),
            name: format!("{RULE_PREFIX}{}", self.search.id),
            title: title.chars().take(256).collect(),
            description: String::new(),
            level: self.schedule.level,
            rsit: "other/undetermined".into(),
            attack: vec![],
            playbook: None,
        }
    }

    fn entity(&self, value: &str, hits: &[&Event]) -> Entity {
        let Threshold::NewGroup(field) = &self.schedule.threshold else { return Entity::Site };
        match (field.as_str(), value.parse::<IpAddr>()) {
            (_, Ok(ip)) if !hits.iter().any(|event| self.pseudonyms.is_hidden(ip, event.seq)) => Entity::Ip(ip),
            ("host.name", _) => Entity::Host(value.to_owned()),
            ("user.name", _) => Entity::User(value.to_owned()),
            _ => Entity::Site,
        }
    }

    fn observables(&self, hits: &[&Event]) -> BTreeMap<&'static str, Vec<String>> {
        let mut all: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        for field in [fields::SOURCE_IP, fields::DESTINATION_IP, fields::HOST_NAME, fields::USER_NAME] {
            for (event, value) in hits.iter().flat_map(|event| event.get_all(field).map(move |value| (event, value))) {
                // A hidden address is another machine's: it would tie this to a case that it has nothing to do with.
                if value.as_ip().is_some_and(|ip| self.pseudonyms.is_hidden(ip, event.seq)) {
                    continue;
                }
                let (values, text) = (all.entry(field.name()).or_default(), value.text().into_owned());
                if values.len() < OBSERVABLES_MAX && !values.contains(&text) {
                    values.push(text);
                }
            }
        }
        all.retain(|_, values| !values.is_empty());
        all
    }
}

#[cfg(test)]
mod tests;

//! The hunt in the events: the indexes' dictionaries are looked through for values that are sought, which costs as much
//! however many those are, and what is found is searched for. What the store hides (`pseudonym`) is not found here: rules
//! saw it as it came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ingest::body::{BodyId, SiteId, SiteTable};
use ingest::event::{Event, ValueRef};
use ingest::events::{EventStore, LIMIT_MAX, SearchRequest};
use ingest::fields::{self, FieldId};
use ingest::frame::Seq;
use ingest::query::{QUERY_BYTES_MAX, Query};
use ingest::record::{EventRecord, Record as _};
use ingest::scope::Scope;
use ingest::time::Timestamp;

use super::super::indicator::NAME_RETRO_EVENTS;
use super::super::{ParameterError, Sheet};
use crate::finding::{EVIDENCE_MAX, Entity, Finding, Reason};
use crate::intel::{Attributes, Enriched, Hit, IndicatorSet, LOOKED_UP, Pattern, Role, Sightings};
use crate::rule::Rule;
use crate::say::count;

/// Met values of one day that are searched for; of more the rest is left out, and said.
const VALUES_MAX: usize = 5_000;
/// Events of one day that are read; of more the rest is left out, and said.
const EVENTS_MAX: usize = 20_000;
/// Terms of one query.
const TERMS_MAX: usize = 100;
/// How long one walk through a dictionary or one search may take: people who ask come first.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Values of one field that a finding shows.
const SHOWN_MAX: usize = 20;
/// What a finding shows of its events.
const OBSERVED: [FieldId; 10] = [
    fields::SOURCE_IP,
    fields::DESTINATION_IP,
    fields::DESTINATION_PORT,
    fields::HOST_NAME,
    fields::USER_NAME,
    fields::PROCESS_NAME,
    fields::URL_DOMAIN,
    fields::DNS_QUESTION_NAME,
    fields::FILE_HASH_SHA256,
    fields::EMAIL_FROM,
];

/// The next midnight: the store has a partition a day.
pub(super) fn next_day(from: Timestamp) -> Timestamp {
    Timestamp(from.0.div_euclid(Timestamp::DAY).saturating_add(1).saturating_mul(Timestamp::DAY))
}

pub(super) struct EventHunt {
    store: Arc<EventStore>,
    rule: Arc<Rule>,
    confidence_min: u8,
}

/// What was found of one host and indicator.
#[derive(Default)]
struct Met {
    body: Option<BodyId>,
    first: Timestamp,
    last: Timestamp,
    records: u64,
    lists: BTreeSet<String>,
    confidence: u8,
    evidence: Vec<Seq>,
    observables: BTreeMap<&'static str, Vec<String>>,
}

impl EventHunt {
    /// `None` where the sheet has no such rule, or it is switched off.
    ///
    /// # Errors
    /// Where the sheet has a wrong value.
    pub(super) fn new(store: Arc<EventStore>, sheet: &Sheet) -> Result<Option<Self>, ParameterError> {
        let Some(section) = sheet.get(NAME_RETRO_EVENTS).filter(|section| section.enabled) else { return Ok(None) };
        let confidence_min = u8::try_from(section.parameters.count("confidence_min", 0..=100)?).unwrap_or(100);
        Ok(Some(Self { store, rule: section.rule.clone(), confidence_min }))
    }

    /// What events of a stretch of time tell that were received before a moment; and how many met each list, with how many
    /// findings. What cannot be read is left out, and said: a damaged day must not keep the others waiting.
    pub(super) fn search(
        &self,
        set: &IndicatorSet,
        sites: &Arc<SiteTable>,
        (from, until): (Timestamp, Timestamp),
        received_before: Timestamp,
        sightings: &Sightings,
        now: Timestamp,
    ) -> (Vec<Finding>, BTreeMap<String, (i64, i64)>) {
        let (mut met, mut lists) = (MetBy::new(), BTreeMap::new());
        let mut seen: BTreeSet<Seq> = BTreeSet::new();
        for query in queries(&self.met_values(set, from, until)) {
            let Ok(query) = Query::parse_fixed(&query) else { continue };
            let mut request = SearchRequest::new(query, Scope::All, sites.clone());
            (request.from, request.to, request.limit, request.time_max) = (Some(from), Some(until), LIMIT_MAX, TIME_MAX);
            (request.summary, request.tops) = (false, false);
            while let Ok(found) = self.store.search(&request) {
                for event in found.hits.iter().filter(|event| event.received_at < received_before) {
                    // An event may be met by several values.
                    if seen.len() < EVENTS_MAX && seen.insert(event.seq) {
                        self.event(event, set, sites, sightings, &mut met, &mut lists);
                    }
                }
                if found.ended_early {
                    tracing::warn!(day = %from.rfc3339(), "a retro-hunt's search took too long: hits may be missing");
                }
                match found.next {
                    Some(next) if seen.len() < EVENTS_MAX => request.before = Some(next),
                    _ => break,
                }
            }
        }
        if seen.len() >= EVENTS_MAX {
            tracing::warn!(day = %from.rfc3339(), most = EVENTS_MAX, "too many events met new indicators: the rest of the day is left out");
        }
        let mut findings = Vec::new();
        for ((site, entity, Name(name)), met) in met {
            for list in &met.lists {
                lists.entry(list.clone()).or_default().1 += 1;
            }
            findings.push(self.finding(site, entity, &name, met, now));
        }
        (findings, lists)
    }

    /// The values that the days have and the lists name.
    fn met_values(&self, set: &IndicatorSet, from: Timestamp, until: Timestamp) -> Vec<(FieldId, String)> {
        let mut met: BTreeSet<(FieldId, String)> = BTreeSet::new();
        let mut more = 0u64;
        for (field, role) in LOOKED_UP {
            let mut each = |value: ValueRef<'_>| {
                if is_named(set, role, value) {
                    if met.len() < VALUES_MAX {
                        met.insert((field, value.text().into_owned()));
                    } else {
                        more += 1;
                    }
                }
            };
            let walked = self.store.each_value(field, from, until, TIME_MAX, &mut each);
            if walked.partial {
                tracing::warn!(field = field.name(), day = %from.rfc3339(), "a retro-hunt could not look at all values of a day");
            }
        }
        if more > 0 {
            tracing::warn!(more, day = %from.rfc3339(), "too many values of a day are listed: the rest is not hunted for");
        }
        met.into_iter().collect()
    }

    fn event(
        &self,
        event: &Event,
        set: &IndicatorSet,
        sites: &SiteTable,
        sightings: &Sightings,
        met: &mut MetBy,
        lists: &mut BTreeMap<String, (i64, i64)>,
    ) {
        let record = EventRecord { event, sites };
        let enriched = Enriched::new(&record, set);
        for hit in enriched.hits() {
            let Attributes { list, confidence, .. } = hit.attributes;
            if *confidence < self.confidence_min {
                continue;
            }
            sightings.note(hit, event.timestamp);
            lists.entry(list.to_string()).or_default().0 += 1;
            let Some(entity) = entity(&record, hit) else { continue };
            let met = met.entry((event.site, entity, Name(hit.pattern.value()))).or_default();
            let begins = met.records == 0;
            met.first = if begins { event.timestamp } else { met.first.min(event.timestamp) };
            met.last = if begins { event.timestamp } else { met.last.max(event.timestamp) };
            met.body = sites.body(event.site);
            met.records += u64::from(met.evidence.last() != Some(&event.seq));
            met.lists.insert(list.to_string());
            met.confidence = met.confidence.max(*confidence);
            if met.evidence.len() < EVIDENCE_MAX && !met.evidence.contains(&event.seq) {
                met.evidence.push(event.seq);
            }
            for field in OBSERVED {
                record.any_value(field, &mut |value| {
                    let values = met.observables.entry(field.name()).or_default();
                    let text = value.text();
                    if values.len() < SHOWN_MAX && !values.iter().any(|known| *known == text) {
                        values.push(text.into_owned());
                    }
                    false
                });
            }
        }
    }

    fn finding(&self, site: SiteId, entity: Entity, name: &str, mut met: Met, now: Timestamp) -> Finding {
        let lists: Vec<String> = met.lists.into_iter().collect();
        met.observables.retain(|_, values| !values.is_empty());
        met.observables.insert(fields::THREAT_INDICATOR.name(), vec![name.to_owned()]);
        met.observables.insert(fields::THREAT_INDICATOR_LIST.name(), lists.clone());
        met.evidence.sort_unstable();
        Finding {
            rule: self.rule.clone(),
            site,
            body: met.body,
            entity,
            observables: met.observables,
            first: met.first,
            last: met.last,
            detected_at: now,
            records: met.records.max(met.evidence.len() as u64),
            evidence: met.evidence,
            reasons: vec![
                Reason::new("Gelistet als", name, ""),
                Reason::new("Liste", lists.join(", "), ""),
                Reason::new("Vertrauen in den Eintrag", format!("{} %", met.confidence), format!("ab {} %", self.confidence_min)),
                Reason::new("Ereignisse", count(met.records), ""),
            ],
            explanation: None,
            shares: vec![],
        }
    }
}

/// By site, machine and indicator.
type MetBy = BTreeMap<(SiteId, Entity, Name), Met>;

/// An indicator's name, as a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name(String);

fn is_named(set: &IndicatorSet, role: Role, value: ValueRef<'_>) -> bool {
    // Whether it was valid then, the event's own time decides.
    let any = Timestamp(i64::MIN);
    match (role, value) {
        (_, ValueRef::Ip(address)) => set.address(address, any).next().is_some(),
        (Role::Address, value) => value.as_ip().is_some_and(|address| set.address(address, any).next().is_some()),
        (Role::Domain, ValueRef::Str(text)) => match text.parse() {
            Ok(address) => set.address(address, any).next().is_some(),
            Err(_) => !set.domain(text, any).is_empty(),
        },
        (Role::Url, ValueRef::Str(text)) => set.meets_url(text, any),
        (Role::Page, ValueRef::Str(text)) => text.contains("://") && set.meets_url(text, any),
        (Role::Hash, ValueRef::Str(text)) => !set.hash(text, any).is_empty(),
        (Role::Mail, ValueRef::Str(text)) => !set.mail(text, any).is_empty(),
        (_, ValueRef::Int(_) | ValueRef::Bool(_)) => false,
    }
}

/// Whom a hit is about: the machine inside. A listed source is the noise of the net, unless something came of it.
fn entity(record: &EventRecord<'_>, hit: &Hit<'_>) -> Option<Entity> {
    let source = record.first_ip(fields::SOURCE_IP);
    let is_source = match (&hit.pattern, source) {
        (Pattern::Address(address), Some(source)) => *address == source.to_canonical(),
        (Pattern::Prefix(prefix), Some(source)) => prefix.contains(source.to_canonical()),
        _ => false,
    };
    if is_source && record.first_text(fields::EVENT_OUTCOME).as_deref() != Some("success") {
        return None;
    }
    let host = || record.first_text(fields::HOST_NAME).map(Entity::Host);
    let user = || record.first_text(fields::USER_NAME).map(Entity::User);
    Some(source.map(Entity::Ip).or_else(host).or_else(user).unwrap_or(Entity::Site))
}

/// The values as queries, each within the language's bounds.
pub(super) fn queries(values: &[(FieldId, String)]) -> Vec<String> {
    let mut queries: Vec<(String, usize)> = Vec::new();
    for (field, value) in values {
        let term = format!("{}:\"{}\"", field.name(), value.replace('\\', "\\\\").replace('"', "\\\""));
        match queries.last_mut() {
            Some((query, terms)) if *terms < TERMS_MAX && query.len() + term.len() + 4 <= QUERY_BYTES_MAX => {
                query.push_str(" OR ");
                query.push_str(&term);
                *terms += 1;
            }
            _ => queries.push((term, 1)),
        }
    }
    queries.into_iter().map(|(query, _)| query).collect()
}

//! The rules at work: takes records in journal order, asks every detection, feeds the correlations, and says what was
//! found. It reads no clock, no file and no database; its whole state is a snapshot that can be put back, so that the
//! same records give the same findings whether or not the program was restarted in between.

mod explain;
mod reload;

use std::collections::BTreeSet;
use std::sync::Arc;

use ingest::body::{BodyId, SiteId};
use ingest::fields::{self, FieldId};
use ingest::record::Record;
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::correlate::{Correlation, Observables, Outcome, Report, Saved, State};
use crate::explanation::{Explanation, Verdict};
use crate::feed::{Arrival, Feed, Matches};
use crate::finding::{Entity, Finding};
use crate::intel::{Enriched, IndicatorSet, SharedIndicators};
use crate::rule::Rule;
use crate::rulebook::SharedRulebook;
use crate::sigma::{Asking, CompiledRule, EntityField, Logic, RuleIndex};
use crate::snapshot::{self, Snapshot};

pub use crate::sigma::{RuleError, RuleSet};

/// What a finding tells of its records beyond what the rule groups by.
const OBSERVED: [FieldId; 15] = [
    fields::SOURCE_IP,
    fields::DESTINATION_IP,
    fields::DESTINATION_PORT,
    fields::USER_NAME,
    fields::USER_TARGET_NAME,
    fields::GROUP_NAME,
    fields::HOST_NAME,
    fields::OBSERVER_NAME,
    fields::PROCESS_NAME,
    fields::URL_DOMAIN,
    fields::DNS_QUESTION_NAME,
    fields::FILE_HASH_SHA256,
    fields::THREAT_INDICATOR,
    fields::THREAT_INDICATOR_LIST,
    fields::RULE_NAME,
];
/// How often, by receipt, quiet groups are looked after.
const SETTLE_INTERVAL: i64 = Timestamp::MINUTE;
/// The snapshot's format; another one is not read.
const SNAPSHOT_VERSION: u64 = 2;

/// Compiled rules with the state of their windows.
pub struct Engine {
    set: RuleSet,
    /// The detections of `set`, asked at once.
    index: RuleIndex,
    /// By rule: the correlations that refer to it.
    parents: Vec<Vec<usize>>,
    rules: Vec<Arc<Rule>>,
    indicators: Arc<IndicatorSet>,
    shared: SharedIndicators,
    generation: u64,
    /// One per rule; only correlations use theirs.
    states: Vec<State>,
    settled_at: Option<Timestamp>,
    /// Whether the states were written down whole, so that only what changes must be again.
    is_saved: bool,
    scratch: Scratch,
    /// Where the next rule set comes from while the program runs, and which one this is.
    rulebook: Option<(SharedRulebook, u64)>,
    /// The number of the book that the set is of.
    book: u64,
}

/// What one record led to so far; kept to spare the allocations.
#[derive(Default)]
struct Scratch {
    asking: Asking,
    /// The places of the detections that matched.
    places: Vec<usize>,
    matches: Matches,
}

/// How a correlation's memory stands: `overflowed` above zero means that something may have been missed.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleHealth {
    pub rule: Arc<Rule>,
    pub groups: usize,
    pub entries: usize,
    pub overflowed: u64,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({} rules)", self.rules.len())
    }
}

impl Engine {
    pub fn new(set: RuleSet, indicators: Arc<IndicatorSet>) -> Self {
        let rules: Vec<Arc<Rule>> = set.rules().iter().map(|compiled| compiled.rule.clone()).collect();
        let states = rules.iter().map(|_| State::default()).collect();
        let matches = Matches { detections: vec![false; rules.len()], firings: vec![Vec::new(); rules.len()] };
        let scratch = Scratch { matches, ..Scratch::default() };
        let index = RuleIndex::new(&set);
        let mut parents = vec![Vec::new(); rules.len()];
        for (place, compiled) in set.rules().iter().enumerate() {
            let Logic::Correlation(correlation) = &compiled.logic else { continue };
            for child in &correlation.references {
                parents.get_mut(child.place).into_iter().for_each(|parents: &mut Vec<usize>| parents.push(place));
            }
        }
        let shared = SharedIndicators::new(indicators.clone());
        let generation = shared.generation();
        Self {
            set,
            index,
            parents,
            rules,
            indicators,
            shared,
            generation,
            states,
            settled_at: None,
            is_saved: false,
            scratch,
            rulebook: None,
            book: 0,
        }
    }

    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    pub fn is_correlation(&self, rule: &Rule) -> bool {
        self.set.rules.iter().any(|compiled| compiled.is_correlation() && compiled.rule.id == rule.id)
    }

    pub fn set_indicators(&mut self, indicators: Arc<IndicatorSet>) {
        self.indicators = indicators;
    }

    /// Looks records up in the lists in force, also when they change.
    #[must_use]
    pub fn with_indicators(mut self, shared: &SharedIndicators) -> Self {
        (self.shared, self.generation) = (shared.clone(), 0);
        self
    }

    /// Judges one record. Records come in journal order; `received_at` is when this one did.
    pub fn apply(&mut self, record: &dyn Record, site: SiteId, body: Option<BodyId>, received_at: Timestamp) -> Vec<Finding> {
        let mut findings = self.take_over(received_at);
        if self.settled_at.is_none_or(|at| received_at.since(at) >= SETTLE_INTERVAL) {
            findings.extend(self.settle(received_at));
        }
        if self.generation != self.shared.generation() {
            self.generation = self.shared.generation();
            self.indicators = self.shared.get();
        }
        let indicators = self.indicators.clone();
        let record = Enriched::new(record, &indicators);
        record.hits().iter().for_each(|hit| self.shared.sightings().note(hit, record.timestamp()));
        let Scratch { asking, places, matches } = &mut self.scratch;
        self.index.ask(&record, None, asking, places);
        for place in places.iter() {
            matches.detections.get_mut(*place).into_iter().for_each(|slot| *slot = true);
        }
        // Children stand before the correlations that refer to them.
        let mut due: BTreeSet<usize> = places.iter().copied().collect();
        let mut fired = Vec::new();
        while let Some(place) = due.pop_first() {
            let Some(compiled) = self.set.rules.get(place) else { continue };
            let counts = match &compiled.logic {
                Logic::Detection(_) => {
                    if compiled.alerts {
                        let explanation = explain::of_record(compiled, &record, self.book);
                        findings.push(finding_of_record(compiled, &record, site, body, received_at, explanation));
                    }
                    true
                }
                Logic::Off => false,
                Logic::Correlation(correlation) => {
                    let Some(state) = self.states.get_mut(place) else { continue };
                    let arrival = Some(Arrival { record: &record, site, body });
                    let mut feed = Feed { correlation, state, arrival, observed: &OBSERVED, received_at };
                    let Outcome { reports, firings } = feed.run(matches);
                    if compiled.alerts {
                        let told = explain::Telling { set: &self.set, book: self.book };
                        findings
                            .extend(reports.into_iter().map(|report| finding_of_report(compiled, correlation, report, received_at, told)));
                    }
                    let counts = !firings.is_empty();
                    if let Some(slot) = matches.firings.get_mut(place) {
                        *slot = firings;
                        fired.push(place);
                    }
                    counts
                }
            };
            if counts {
                due.extend(self.parents.get(place).into_iter().flatten().copied());
            }
        }
        for place in places.drain(..) {
            matches.detections.get_mut(place).into_iter().for_each(|slot| *slot = false);
        }
        for place in fired {
            matches.firings.get_mut(place).into_iter().for_each(Vec::clear);
        }
        findings
    }

    /// Reports what quiet correlations still hold back; `apply` does it by itself about once a minute, callers do it
    /// where nothing may come any more (a tick, the end of an import).
    pub fn settle(&mut self, now: Timestamp) -> Vec<Finding> {
        let mut findings = self.take_over(now);
        self.settled_at = Some(now);
        self.tell_health(now);
        // Nothing matched since: only what the windows let go of goes on to other correlations.
        let matches = &mut self.scratch.matches;
        for (place, (compiled, state)) in self.set.rules.iter().zip(&mut self.states).enumerate() {
            let Logic::Correlation(correlation) = &compiled.logic else { continue };
            // What the correlations below found so late goes on to this one first.
            let mut feed = Feed { correlation, state, arrival: None, observed: &OBSERVED, received_at: now };
            let Outcome { mut reports, mut firings } = feed.run(matches);
            let settled = state.settle(correlation, now);
            reports.extend(settled.reports);
            firings.extend(settled.firings);
            if compiled.alerts {
                let told = explain::Telling { set: &self.set, book: self.book };
                findings.extend(reports.into_iter().map(|report| finding_of_report(compiled, correlation, report, now, told)));
            }
            if let Some(slot) = matches.firings.get_mut(place) {
                *slot = firings;
            }
        }
        matches.firings.iter_mut().for_each(Vec::clear);
        findings
    }

    /// Reports what the correlations found and hold back for a later report; windows stay as they are.
    pub fn tell(&mut self, now: Timestamp) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (compiled, state) in self.set.rules.iter().zip(&mut self.states) {
            let Logic::Correlation(correlation) = &compiled.logic else { continue };
            let reports = state.tell();
            if compiled.alerts {
                let told = explain::Telling { set: &self.set, book: self.book };
                findings.extend(reports.into_iter().map(|report| finding_of_report(compiled, correlation, report, now, told)));
            }
        }
        findings
    }

    /// The detections that match, whether or not they alert, each with why.
    pub fn explain(&self, record: &dyn Record) -> Vec<(Arc<Rule>, Explanation)> {
        let record = Enriched::new(record, &self.indicators);
        let (mut asking, mut places) = (Asking::default(), Vec::new());
        self.index.ask(&record, None, &mut asking, &mut places);
        let matching = places.into_iter().filter_map(|place| {
            let compiled = self.set.rules.get(place)?;
            Some((compiled.rule.clone(), explain::of_record(compiled, &record, self.book)?))
        });
        matching.collect()
    }

    /// What one rule says of a record, yes or no, and why; nothing for a correlation.
    pub fn verdict(&self, compiled: &CompiledRule, record: &dyn Record) -> Option<Verdict> {
        compiled.verdict(&Enriched::new(record, &self.indicators))
    }

    pub fn health(&self) -> Vec<RuleHealth> {
        let correlations = self.set.rules.iter().zip(&self.states).filter(|(compiled, _)| compiled.is_correlation());
        correlations
            .map(|(compiled, state)| RuleHealth {
                rule: compiled.rule.clone(),
                groups: state.groups(),
                entries: state.cells(),
                overflowed: state.overflowed,
            })
            .collect()
    }

    /// The windows of the correlations that changed since the last snapshot that was `saved`; at first, of all.
    pub fn snapshot(&self) -> Snapshot {
        let states = self.set.rules.iter().zip(&self.states).filter(|(_, state)| !self.is_saved || state.is_changed());
        let parts = states.filter_map(|(compiled, state)| match &compiled.logic {
            Logic::Correlation(correlation) => {
                let part = Part { of: correlation.fingerprint(), state: state.snapshot() };
                Some((compiled.rule.id.clone(), snapshot::pack(&part)))
            }
            Logic::Detection(_) | Logic::Off => None,
        });
        let head = json!({ "version": SNAPSHOT_VERSION, "settled_at": self.settled_at }).to_string();
        Snapshot { head, parts: parts.collect(), whole: !self.is_saved }
    }

    pub fn saved(&mut self) {
        self.is_saved = true;
        self.states.iter_mut().for_each(State::saved);
    }

    /// Goes on from a whole snapshot. What was kept for a rule that is gone or counts differently now is left out, and said.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        let head: Value = serde_json::from_str(&snapshot.head).unwrap_or_default();
        if head.get("version").and_then(Value::as_u64) != Some(SNAPSHOT_VERSION) {
            tracing::warn!("the rules' snapshot is damaged or of another version: open windows begin anew");
            return;
        }
        self.settled_at = head.get("settled_at").and_then(Value::as_i64).map(Timestamp);
        for (compiled, state) in self.set.rules.iter().zip(&mut self.states) {
            let Logic::Correlation(correlation) = &compiled.logic else { continue };
            let Some(part) = snapshot.parts.get(&compiled.rule.id) else { continue };
            let part: Option<Part<Saved>> = snapshot::unpack(part);
            match part.filter(|part| part.of == correlation.fingerprint()) {
                Some(part) => *state = State::restore(part.state),
                None => tracing::warn!(rule = %compiled.rule.name, "the rule has changed: its open windows begin anew"),
            }
        }
    }
}

/// What is kept of a correlation, and of what.
#[derive(Serialize, Deserialize)]
struct Part<S> {
    of: String,
    state: S,
}

fn finding_of_record(
    compiled: &CompiledRule,
    record: &dyn Record,
    site: SiteId,
    body: Option<BodyId>,
    received_at: Timestamp,
    explanation: Option<Explanation>,
) -> Finding {
    let own = match compiled.entity {
        EntityField::Field(field) => Some(field),
        EntityField::Site => None,
    };
    let mut observables = Observables::default();
    observables.add(record, OBSERVED.into_iter().chain(own));
    Finding {
        rule: compiled.rule.clone(),
        site,
        body,
        entity: entity_of(compiled.entity, &observables),
        observables: observables.0,
        first: record.timestamp(),
        last: record.timestamp(),
        detected_at: received_at,
        evidence: vec![record.seq()],
        records: 1,
        reasons: vec![],
        explanation: explanation.map(Box::new),
        shares: vec![],
    }
}

fn finding_of_report(
    compiled: &CompiledRule,
    correlation: &Correlation,
    report: Report,
    detected_at: Timestamp,
    told: explain::Telling<'_>,
) -> Finding {
    let explanation = told.of_report(compiled, correlation, &report);
    let mut observables = report.observables;
    // The group's own values lead: they are what the records have in common.
    for (column, value) in correlation.group_by.iter().zip(&report.key.values) {
        for field in &column.fields {
            let values = observables.0.entry(field.name()).or_default();
            values.retain(|known| known != value);
            values.insert(0, value.clone());
        }
    }
    Finding {
        rule: compiled.rule.clone(),
        site: report.key.site,
        body: report.body,
        entity: entity_of(compiled.entity, &observables),
        observables: observables.0,
        first: report.first,
        last: report.last,
        detected_at,
        evidence: report.evidence,
        records: report.records,
        reasons: vec![],
        explanation: Some(Box::new(explanation)),
        shares: report.shares,
    }
}

/// The entity that the rule names, else the host, else the site: a finding is always about something.
fn entity_of(wanted: EntityField, observables: &Observables) -> Entity {
    let first = |field: FieldId| observables.0.get(field.name()).and_then(|values| values.first());
    let EntityField::Field(field) = wanted else { return Entity::Site };
    let host = || first(fields::HOST_NAME).map(|name| Entity::Host(name.clone()));
    let named = first(field).map(|value| match value.parse() {
        _ if EntityField::is_host(field) => Entity::Host(value.clone()),
        _ if EntityField::is_user(field) => Entity::User(value.clone()),
        _ if EntityField::is_indicator(field) => Entity::Indicator(value.clone()),
        Ok(address) => Entity::Ip(address),
        Err(_) => Entity::Host(value.clone()),
    });
    named.or_else(host).unwrap_or(Entity::Site)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::{Expect, expect};
    use ingest::frame::Seq;
    use ingest::id::Ulid;

    use super::*;
    use crate::intel::{Indicator, IndicatorId, Tlp};
    use crate::json_record::JsonRecord;
    use crate::sigma::{FieldNames, shipped_text};

    /// These few of the pack, which the stories below are about: what else would find something is other rules' affair.
    fn shipped() -> Engine {
        let names = ["linux/ssh_bruteforce", "linux/ssh_bruteforce_success", "firewall/blocked_outbound_indicator"];
        let files = names.map(|name| format!("rules/{name}/rule.yml"));
        let texts = files.map(|file| (file.clone(), shipped_text(&file).unwrap().to_owned()));
        let (set, errors) = RuleSet::compile(texts, FieldNames::Decoded);
        assert_eq!(errors, []);
        Engine::new(set, Arc::default())
    }

    /// `seconds source outcome`, a line each.
    fn ssh(story: &str) -> Vec<JsonRecord> {
        let mut records = Vec::new();
        for (line, seq) in story.lines().map(str::trim).filter(|line| !line.is_empty()).zip(1..) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = Timestamp(words[0].parse::<i64>().unwrap() * 1_000).rfc3339();
            let object = json!({ "@timestamp": at, "event.module": "sshd", "event.action": "ssh_login",
                "source.ip": words[1], "event.outcome": words[2], "user.name": "root", "host.name": "web" });
            records.push(JsonRecord::new(object.as_object().unwrap(), Seq(seq), Timestamp(0)));
        }
        records
    }

    fn show(findings: &[Finding]) -> String {
        let line = |finding: &Finding| {
            let (first, last) = (finding.first.0 / 1_000, finding.last.0 / 1_000);
            format!(
                "{} {} {} records {first}-{last} s, evidence {:?}\n",
                finding.rule.name,
                finding.entity.key(),
                finding.records,
                finding.evidence.iter().map(|seq| seq.0).collect::<Vec<_>>()
            )
        };
        findings.iter().map(line).collect()
    }

    fn check(story: &str, expected: Expect) {
        let mut engine = shipped();
        let mut findings = Vec::new();
        for record in ssh(story) {
            findings.extend(engine.apply(&record, SiteId::default(), None, Timestamp(0)));
        }
        findings.extend(engine.settle(Timestamp(Timestamp::DAY)));
        expected.assert_eq(&show(&findings));
    }

    fn failures(source: &str, from: i64, count: i64) -> String {
        (from..from + count).map(|second| format!("{second} {source} failure\n")).collect()
    }

    #[test]
    fn a_brute_force_and_its_success() {
        let story = failures("192.0.2.1", 0, 12) + "40 192.0.2.9 success\n100 192.0.2.1 success\n";
        check(
            &story,
            expect![[r#"
            ssh_bruteforce ip:192.0.2.1 10 records 0-9 s, evidence [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
            ssh_bruteforce_success ip:192.0.2.1 4 records 9-100 s, evidence [10, 11, 12, 14]
            ssh_bruteforce ip:192.0.2.1 2 records 0-11 s, evidence [11, 12]
        "#]],
        );
    }

    #[test]
    fn a_success_that_is_logged_late_still_counts() {
        let story = failures("192.0.2.1", 0, 9) + "60 192.0.2.1 success\n 9 192.0.2.1 failure\n";
        check(
            &story,
            expect![[r#"
            ssh_bruteforce ip:192.0.2.1 10 records 0-9 s, evidence [1, 2, 3, 4, 5, 6, 7, 8, 9, 11]
            ssh_bruteforce_success ip:192.0.2.1 2 records 9-60 s, evidence [10, 11]
        "#]],
        );
    }

    #[test]
    fn sites_do_not_add_up() {
        let mut engine = shipped();
        let mut findings = Vec::new();
        for (record, n) in ssh(&failures("192.0.2.1", 0, 18)).iter().zip(0u128..) {
            findings.extend(engine.apply(record, SiteId(Ulid(n % 2)), None, Timestamp(0)));
        }
        findings.extend(engine.settle(Timestamp(Timestamp::DAY)));
        assert_eq!(show(&findings), "");
    }

    #[test]
    fn a_restart_anywhere_changes_no_finding() {
        let story = failures("192.0.2.1", 0, 30) + &failures("192.0.2.2", 10, 15) + "100 192.0.2.1 success\n101 192.0.2.2 success\n";
        let records = ssh(&story);
        let run = |restart_at: Option<usize>| {
            let mut engine = shipped();
            let mut findings = Vec::new();
            for (n, record) in records.iter().enumerate() {
                findings.extend(engine.apply(record, SiteId::default(), None, Timestamp(n as i64 * 10_000)));
                if restart_at == Some(n) {
                    let saved = engine.snapshot();
                    engine = shipped();
                    engine.restore(&saved);
                }
            }
            findings.extend(engine.settle(Timestamp(Timestamp::DAY)));
            format!("{findings:?}")
        };
        let whole = run(None);
        (0..records.len()).for_each(|n| assert_eq!(run(Some(n)), whole, "restart behind record {n}"));
    }

    /// What is written down piece by piece is the state that was written down at once.
    #[test]
    fn parts_that_changed_add_up_to_the_whole() {
        let records = ssh(&(failures("192.0.2.1", 0, 12) + "100 192.0.2.1 success\n"));
        let (mut engine, mut written) = (shipped(), BTreeMap::new());
        for (n, record) in records.iter().enumerate() {
            engine.apply(record, SiteId::default(), None, Timestamp(n as i64 * 30_000));
            let changed = engine.snapshot();
            assert_eq!(changed.whole, n == 0);
            assert!(n == 0 || changed.parts.len() < 20, "{} parts for one record", changed.parts.len());
            written.extend(changed.parts);
            engine.saved();
        }
        assert_eq!(engine.snapshot().parts, BTreeMap::new());
        engine.is_saved = false;
        assert_eq!(written, engine.snapshot().parts);
    }

    #[test]
    fn a_damaged_snapshot_is_left_aside() {
        let mut engine = shipped();
        let rule = engine.rules().iter().find(|rule| rule.name == "ssh_bruteforce").unwrap().id.clone();
        let head = json!({ "version": SNAPSHOT_VERSION }).to_string();
        for (head, part) in
            [("", ""), ("null", ""), ("{\"version\": 9}", ""), (&head, ""), (&head, "{\"state\": 5}"), (&head, "\u{28}\u{b5}/")]
        {
            let parts = BTreeMap::from([(rule.clone(), part.as_bytes().to_vec())]);
            engine.restore(&Snapshot { head: head.to_owned(), parts, whole: true });
        }
        assert!(engine.health().iter().all(|health| (health.groups, health.entries, health.overflowed) == (0, 0, 0)));
    }

    #[test]
    fn an_indicator_lends_the_record_its_name_and_list() {
        let mut engine = shipped();
        let indicator = Indicator {
            id: IndicatorId::default(),
            pattern: "203.0.113.0/24".parse().unwrap(),
            list: "Abuse-Liste".into(),
            tlp: Tlp::Green,
            confidence: 90,
            valid_until: Some(Timestamp(5_000)),
            created_at: Timestamp(0),
            live_from: None,
        };
        engine.set_indicators(Arc::new(IndicatorSet::new(vec![indicator])));
        let denied = |at: i64| {
            let object = json!({ "@timestamp": Timestamp(at).rfc3339(), "event.category": "network", "event.type": "denied",
                "source.ip": "10.1.2.3", "destination.ip": "203.0.113.9" });
            JsonRecord::new(object.as_object().unwrap(), Seq(1), Timestamp(0))
        };
        let findings = engine.apply(&denied(5_000), SiteId::default(), None, Timestamp(0));
        assert_eq!(findings[0].observables["threat.indicator.name"], ["203.0.113.0/24"]);
        assert_eq!(findings[0].observables["threat.feed.name"], ["Abuse-Liste"]);
        assert_eq!(findings[0].entity.key(), "ip:10.1.2.3");
        assert!(engine.apply(&denied(5_001), SiteId::default(), None, Timestamp(0)).is_empty(), "expired");
    }
}

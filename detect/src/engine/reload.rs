//! Another rule set while the engine runs. It is taken between two records, so that each record is judged by exactly one
//! set; the windows of correlations that stayed the same go on as they are, those of the others tell what they still hold
//! back and end.

use std::collections::HashMap;

use ingest::time::Timestamp;

use super::explain::Telling;
use super::{Engine, Logic, Outcome, RuleHealth, RuleSet, SETTLE_INTERVAL, finding_of_report};
use crate::correlate::State;
use crate::finding::Finding;
use crate::rule::Rule;
use crate::rulebook::SharedRulebook;

impl Engine {
    /// Follows this book, of whose rules it was made, when it changes.
    #[must_use]
    pub fn with_rulebook(mut self, shared: &SharedRulebook) -> Self {
        self.rulebook = Some((shared.clone(), shared.generation()));
        self.book = shared.get().number;
        self
    }

    /// Whether a rule is on probation: its findings are counted and shown, and alert nobody.
    pub fn probes(&self, rule: &Rule) -> bool {
        self.rulebook.as_ref().is_some_and(|(shared, _)| shared.get().probes(&rule.name))
    }

    /// Takes the book's set where it is another one than that which runs.
    pub(super) fn take_over(&mut self, now: Timestamp) -> Vec<Finding> {
        let Some((shared, known)) = &mut self.rulebook else { return Vec::new() };
        let generation = shared.generation();
        if *known == generation {
            return Vec::new();
        }
        *known = generation;
        let book = shared.get();
        let findings = self.replace(book.running().clone(), now);
        self.book = book.number;
        findings
    }

    /// Goes on with another set. A correlation is the same where its id, what it asks for and the rules that it counts are
    /// the same; that those match other records than before (a filter was added) leaves what was counted counted.
    pub fn replace(&mut self, set: RuleSet, now: Timestamp) -> Vec<Finding> {
        let next = Self::new(set, self.indicators.clone());
        let mut old = std::mem::replace(self, next);
        (self.shared, self.generation) = (old.shared.clone(), old.generation);
        (self.settled_at, self.rulebook) = (old.settled_at, old.rulebook.take());
        let mut kept: HashMap<String, State> = HashMap::new();
        for (place, state) in std::mem::take(&mut old.states).into_iter().enumerate() {
            if let Some(same) = same_of(&old.set, place) {
                kept.insert(same, state);
            }
        }
        let same: Vec<Option<String>> = (0..self.set.rules.len()).map(|place| same_of(&self.set, place)).collect();
        for (slot, same) in self.states.iter_mut().zip(&same) {
            if let Some(state) = same.as_ref().and_then(|same| kept.remove(same)) {
                *slot = state;
            }
        }
        let mut findings = Vec::new();
        for (place, compiled) in old.set.rules.iter().enumerate() {
            let Logic::Correlation(correlation) = &compiled.logic else { continue };
            let Some(mut state) = same_of(&old.set, place).and_then(|same| kept.remove(&same)) else { continue };
            let Outcome { reports, .. } = state.settle(correlation, Timestamp(i64::MAX));
            if compiled.alerts {
                let told = Telling { set: &old.set, book: old.book };
                findings.extend(reports.into_iter().map(|report| finding_of_report(compiled, correlation, report, now, told)));
            }
        }
        findings
    }

    /// Leaves word of how the windows stand, about once a minute.
    pub(super) fn tell_health(&mut self, now: Timestamp) {
        let Some((shared, _)) = &self.rulebook else { return };
        let due = shared.health_at().is_none_or(|at| !(0..SETTLE_INTERVAL).contains(&now.since(at)));
        if due {
            let health: Vec<RuleHealth> = self.health();
            for one in health.iter().filter(|one| one.overflowed > 0) {
                tracing::warn!(rule = %one.rule.name, given_up = one.overflowed, "a correlation's memory is full: it may have missed something");
            }
            shared.health_set(now, health);
        }
    }
}

/// What a correlation's windows were kept for: they are of use for the same again only. `None` for what keeps none.
fn same_of(set: &RuleSet, place: usize) -> Option<String> {
    let compiled = set.rules.get(place)?;
    let Logic::Correlation(correlation) = &compiled.logic else { return None };
    Some(format!("{} {}", compiled.rule.id, correlation.fingerprint()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use ingest::body::SiteId;
    use ingest::frame::Seq;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::json_record::JsonRecord;
    use crate::sigma::FieldNames;

    /// An own rule beside the shipped ones, in as many wordings as one likes.
    fn with_own(wording: u8) -> RuleSet {
        let own = format!(
            "title: Eigene\nname: eigene\nlevel: low\nlogsource: {{product: linux}}\n\
             detection: {{s: {{user.name: benutzer{wording}}}, condition: s}}\n"
        );
        let (set, errors) = RuleSet::shipped_beside([("own/eigene.yml".to_owned(), own)]);
        assert_eq!(errors, []);
        set
    }

    /// Three wordings, made once, in which of the shipped rules only those for SSH are asked: to make one takes long.
    static WORDINGS: LazyLock<[RuleSet; 3]> =
        LazyLock::new(|| [0, 1, 2].map(|wording| with_own(wording).without(|rule| !rule.name.starts_with("ssh") && rule.name != "eigene")));

    fn login(seq: u64, second: i64, source: u8, success: bool) -> JsonRecord {
        let outcome = if success { "success" } else { "failure" };
        let object = json!({ "@timestamp": Timestamp(second * 1_000).rfc3339(), "event.module": "sshd", "event.action": "ssh_login",
            "source.ip": format!("192.0.2.{source}"), "event.outcome": outcome, "user.name": "root", "host.name": "web" });
        JsonRecord::new(object.as_object().unwrap(), Seq(seq), Timestamp(0))
    }

    fn show(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(|one| format!("{} {} {} {:?}", one.rule.name, one.entity.key(), one.records, one.evidence)).collect()
    }

    /// Judges the stream; before the records named in `reloads` the rule set is exchanged.
    fn run(stream: &[(i64, u8, bool)], reloads: &[usize]) -> Vec<String> {
        let mut engine = Engine::new(WORDINGS[0].clone(), Arc::default());
        let mut findings = Vec::new();
        for (n, (second, source, success)) in stream.iter().enumerate() {
            if reloads.contains(&n) {
                findings.extend(engine.replace(WORDINGS[n % 3].clone(), Timestamp(0)));
            }
            let record = login(n as u64 + 1, *second, *source, *success);
            findings.extend(engine.apply(&record, SiteId::default(), None, Timestamp(n as i64 * 7_000)));
        }
        findings.extend(engine.settle(Timestamp(Timestamp::DAY)));
        show(&findings)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// No event is lost and none counts twice, wherever another set comes in between.
        #[test]
        fn reloads_anywhere_change_no_finding(
            stream in proptest::collection::vec((0..240i64, 1..4u8, proptest::bool::weighted(0.1)), 1..120),
            reloads in proptest::collection::vec(0..120usize, 0..12),
        ) {
            prop_assert_eq!(run(&stream, &reloads), run(&stream, &[]));
        }
    }

    #[test]
    fn a_correlation_that_counts_otherwise_begins_anew_and_says_what_it_held_back() {
        let set = |count: u8| {
            let text = format!(
                "title: B\nname: b\nlogsource: {{product: linux}}\ndetection: {{s: {{user.name: root}}, condition: s}}\n---\n\
                 title: C\nname: c\ncorrelation: {{type: event_count, rules: [b], group-by: [source.ip], timespan: 5m, condition: {{gte: {count}}}}}\n"
            );
            let (set, errors) = RuleSet::compile([("own.yml".to_owned(), text)], FieldNames::Decoded);
            assert_eq!(errors, []);
            set
        };
        let mut engine = Engine::new(set(2), Arc::default());
        let apply =
            |engine: &mut Engine, seq: u64| show(&engine.apply(&login(seq, seq as i64, 1, false), SiteId::default(), None, Timestamp(0)));
        assert_eq!([apply(&mut engine, 1), apply(&mut engine, 2)].concat(), ["c ip:192.0.2.1 2 [Seq(1), Seq(2)]"]);
        assert_eq!(apply(&mut engine, 3), [""; 0], "held back until the episode has doubled or is quiet");
        let last_words = show(&engine.replace(set(3), Timestamp(0)));
        assert_eq!(last_words, ["c ip:192.0.2.1 1 [Seq(3)]"], "nothing that was counted is lost");
        assert_eq!([apply(&mut engine, 4), apply(&mut engine, 5)].concat(), [""; 0], "the new one counts from its beginning");
        assert_eq!(apply(&mut engine, 6), ["c ip:192.0.2.1 3 [Seq(4), Seq(5), Seq(6)]"]);
    }

    #[test]
    fn a_rule_that_is_off_neither_alerts_nor_counts() {
        let mut engine =
            Engine::new(with_own(0).without(|rule| rule.name.starts_with("ssh_") && rule.name != "ssh_bruteforce"), Arc::default());
        let mut findings = Vec::new();
        for n in 0..20 {
            findings.extend(engine.apply(&login(n + 1, n as i64, 1, false), SiteId::default(), None, Timestamp(0)));
        }
        findings.extend(engine.settle(Timestamp(Timestamp::DAY)));
        assert_eq!(show(&findings), [""; 0]);
    }
}

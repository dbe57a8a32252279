//! The back-test: what a rule would have said of the stored past. The rule, with those that it refers to and with the
//! filters in force, runs over the stored events in the order of their time, in an engine of its own; nothing is filed. Where
//! it is for flows (`category: network_connection`, `product: flow`), stored flows are read too, as they came.
//!
//! The stores are asked only for what the rule could match (`RuleSet::query`). It sees what they keep: where persons are
//! hidden there, it sees their pseudonyms, and a rule that asks for a name does not find it.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use ingest::body::{SITE_STATE, SiteId, SiteTable};
use ingest::events::{Cancel, EventStore, Order, SearchError, SearchRequest};
use ingest::flows::ask::FlowQuestion;
use ingest::flows::{FlowStore, FlowStoreError};
use ingest::query::Query;
use ingest::record::{EventRecord, FlowView};
use ingest::scope::Scope;
use ingest::time::{Stopwatch, Timestamp};
use serde::Serialize;

use super::Rulebook;
use crate::alert::WINDOW;
use crate::engine::Engine;
use crate::finding::Finding;
use crate::intel::IndicatorSet;
use crate::sigma::{RuleError, RuleSet};

/// As far back as a store keeps anything.
pub const BACKTEST_DAYS_MAX: i64 = 400;
/// Hits that are shown one by one; all are counted.
pub const HITS_MAX: usize = 200;
/// Alerts that are told apart: beyond, a rule is no rule but a listing.
const ALERTS_MAX: usize = 100_000;
/// Events between two words of how far it is.
const PACE_EVENTS: u64 = 5_000;
/// Under which name what was typed in is compiled.
const FILE: &str = "eingabe.yml";
/// Where events and flows are read together: how much of each at once.
const PIECE_MIN: i64 = Timestamp::MINUTE;
const PIECE_MAX: i64 = Timestamp::HOUR;
/// A store's day is read in leaves; each of them may take this long.
const LEAF_TIME: Duration = Duration::from_secs(120);

/// A rule to be tried, with what it needs.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The short names of the rules whose findings count.
    pub names: Vec<String>,
    pub title: String,
    set: RuleSet,
}

/// Why there is nothing to try.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CandidateError {
    #[error("there is no rule '{0}'")]
    Unknown(String),
    /// By line.
    #[error("the rule is refused: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Refused(Vec<RuleError>),
}

impl Candidate {
    /// A rule of the book, whether it is on or off.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn of(book: &Rulebook, name: &str) -> Result<Self, CandidateError> {
        let compiled = book.set.find(name).ok_or_else(|| CandidateError::Unknown(name.to_owned()))?;
        Ok(Self::new(&book.set, vec![name.to_owned()], compiled.rule.title.clone()))
    }

    /// Rules as somebody wrote them. They take the place of those in force that have their names, and may refer to others.
    ///
    /// # Errors
    /// `Refused`, with the lines of `text`.
    pub fn typed(book: &Rulebook, text: &str) -> Result<Self, CandidateError> {
        // First come, first served: what has the same name or id in the book is refused here, and that is no error.
        let others = book.texts.iter().map(|(file, text)| (file.clone(), text.clone()));
        let shipped = book.set.rules().iter().filter(|compiled| book.is_shipped(compiled));
        let shipped: BTreeMap<String, String> =
            shipped.filter_map(|compiled| Some((compiled.file.clone(), book.text(&compiled.file)?.to_owned()))).collect();
        let files = std::iter::once((FILE.to_owned(), text.to_owned())).chain(shipped).chain(others);
        let (set, errors) = RuleSet::compile(files, crate::sigma::FieldNames::Decoded);
        let errors: Vec<RuleError> = errors.into_iter().filter(|error| error.file == FILE).collect();
        let own: Vec<_> = set.rules().iter().filter(|compiled| compiled.file == FILE).collect();
        if !errors.is_empty() || own.is_empty() {
            return Err(CandidateError::Refused(errors));
        }
        let telling: Vec<_> = own.iter().filter(|compiled| compiled.alerts).copied().collect();
        let counted = if telling.is_empty() { own } else { telling };
        let title = counted.first().map(|compiled| compiled.rule.title.clone()).unwrap_or_default();
        let names = counted.iter().map(|compiled| compiled.rule.name.clone()).collect();
        Ok(Self::new(&set, names, title))
    }

    fn new(set: &RuleSet, names: Vec<String>, title: String) -> Self {
        let mut set = set.only(&names);
        for compiled in set.rules.iter_mut() {
            // Also what alone alerts nobody is asked for here.
            compiled.alerts = names.contains(&compiled.rule.name);
        }
        Self { names, title, set }
    }
}

/// One alert as there would have been.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BacktestHit {
    pub rule: String,
    /// `Entity::key`.
    pub entity: String,
    pub site: String,
    pub first: Timestamp,
    pub last: Timestamp,
    pub records: u64,
    /// Of the records that decided, the first.
    pub seq: Option<u64>,
}

/// What came of it, or so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BacktestReport {
    pub from: Timestamp,
    pub to: Timestamp,
    /// Everything before was looked at.
    pub reached: Timestamp,
    pub events: u64,
    pub flows: u64,
    /// How many there were in that time; the rest was passed over, as the rule could not match it. Of flows those looked at.
    pub events_all: u64,
    pub flows_all: u64,
    /// As alerts are counted: one for each rule, entity, site and day.
    pub alerts: u64,
    /// The newest ones last, the first `HITS_MAX`.
    pub hits: Vec<BacktestHit>,
    /// Alerts by the day (UTC, its beginning) of their first record.
    pub days: BTreeMap<i64, u64>,
    /// Not everything could be read, or somebody ended it.
    pub partial: bool,
    pub cancelled: bool,
}

impl BacktestReport {
    /// Percent of the time asked for.
    pub fn percent(&self) -> u8 {
        let (done, all) = (self.reached.since(self.from).max(0), self.to.since(self.from).max(1));
        u8::try_from(done.saturating_mul(100) / all).unwrap_or(100).min(100)
    }
}

/// A back-test with what it reads.
pub struct Backtest<'a> {
    pub events: &'a EventStore,
    /// Read where the rule is for flows.
    pub flows: Option<&'a FlowStore>,
    pub sites: Arc<SiteTable>,
    pub scope: Scope,
    pub indicators: Arc<IndicatorSet>,
    pub from: Timestamp,
    pub to: Timestamp,
    pub cancel: Cancel,
    /// Rests as long as it works, so that who asks questions comes first.
    pub gentle: bool,
    /// Asks the stores for everything: for who wants to see that it makes no difference.
    pub thorough: bool,
}

/// Why it could not be run.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    #[error(transparent)]
    Events(#[from] SearchError),
    #[error(transparent)]
    Flows(#[from] FlowStoreError),
}

impl Backtest<'_> {
    /// Runs it, saying again and again how far it is.
    ///
    /// # Errors
    /// The stores' own.
    pub fn run(&self, candidate: &Candidate, progress: &mut dyn FnMut(&BacktestReport)) -> Result<BacktestReport, BacktestError> {
        let set = &candidate.set;
        let query = if self.thorough { Query::all() } else { set.query() };
        let (wants_flows, wants_events) = set.reads();
        let flows = self.flows.filter(|_| wants_flows);
        let mut running = Running {
            test: self,
            query,
            engine: Engine::new(set.clone(), self.indicators.clone()),
            tally: Tally::new(self),
            watch: Stopwatch::start(),
            progress,
        };
        if wants_events {
            running.tally.report.events_all = self.count_events()?;
        }
        // Both are read piece by piece, so that what is counted over both comes no later than a window's length.
        let piece = match (flows.is_some() && wants_events, set.timespan_min()) {
            (false, _) => Timestamp::DAY,
            (true, span) => span.unwrap_or(PIECE_MAX).clamp(PIECE_MIN, PIECE_MAX),
        };
        let mut from = self.from;
        while from < self.to && !self.cancel.is_cancelled() {
            // A store's partition after the other, and each of them in bounded memory.
            let to = Timestamp((from.0.div_euclid(piece) + 1) * piece).min(self.to);
            if wants_events {
                running.events(from, to)?;
            }
            if let Some(flows) = flows {
                running.flows(flows, from, to)?;
            }
            if !self.cancel.is_cancelled() {
                running.tally.report.reached = to;
            }
            (running.progress)(&running.tally.report);
            from = to;
        }
        let Running { mut engine, mut tally, .. } = running;
        tally.add(engine.settle(Timestamp(i64::MAX)), &self.sites);
        tally.report.cancelled = self.cancel.is_cancelled();
        Ok(tally.report)
    }

    fn request(&self, query: Query, from: Timestamp, to: Timestamp) -> SearchRequest {
        SearchRequest {
            from: Some(from),
            to: Some(to),
            summary: false,
            time_max: LEAF_TIME,
            cancel: self.cancel.clone(),
            ..SearchRequest::new(query, self.scope.clone(), self.sites.clone())
        }
    }

    fn count_events(&self) -> Result<u64, SearchError> {
        let request = SearchRequest { summary: true, tops: false, buckets: 1, limit: 1, ..self.request(Query::all(), self.from, self.to) };
        Ok(self.events.search(&request)?.total)
    }
}

/// A back-test on its way.
struct Running<'a, 'b> {
    test: &'a Backtest<'b>,
    query: Query,
    engine: Engine,
    tally: Tally,
    watch: Stopwatch,
    progress: &'a mut dyn FnMut(&BacktestReport),
}

impl Running<'_, '_> {
    fn events(&mut self, from: Timestamp, to: Timestamp) -> Result<(), SearchError> {
        let (test, request) = (self.test, self.test.request(self.query.clone(), from, to));
        let exported = test.events.export(&request, Order::OldestFirst, &mut |event| {
            let record = EventRecord { event, sites: &test.sites };
            let found = self.engine.apply(&record, event.site, test.sites.body(event.site), event.timestamp);
            self.tally.add(found, &test.sites);
            self.tally.report.events += 1;
            self.tally.report.reached = self.tally.report.reached.max(event.timestamp);
            self.pace();
            ControlFlow::Continue(())
        })?;
        self.tally.report.partial |= exported.partial;
        Ok(())
    }

    fn flows(&mut self, store: &FlowStore, from: Timestamp, to: Timestamp) -> Result<(), FlowStoreError> {
        let (test, query) = (self.test, self.query.clone());
        let question = FlowQuestion {
            from,
            to,
            time_max: LEAF_TIME,
            cancel: test.cancel.clone(),
            ..FlowQuestion::new(&query, &test.scope, &test.sites)
        };
        let given = store.in_order(&question, &mut |flow| {
            let record = FlowView { flow, sites: &test.sites };
            let found = self.engine.apply(&record, flow.site, test.sites.body(flow.site), flow.received_at);
            self.tally.add(found, &test.sites);
            self.tally.report.flows += 1;
            self.pace();
            ControlFlow::Continue(())
        })?;
        self.tally.report.flows_all += given.records_read;
        self.tally.report.partial |= given.partial;
        Ok(())
    }

    fn pace(&mut self) {
        let report = &self.tally.report;
        if (report.events + report.flows).is_multiple_of(PACE_EVENTS) {
            (self.progress)(report);
            if self.test.gentle {
                std::thread::sleep(self.watch.elapsed());
                self.watch = Stopwatch::start();
            }
        }
    }
}

/// Findings on their way to what would have been alerts.
struct Tally {
    report: BacktestReport,
    /// The alerts of an entity by the beginning of their window, with their place among the hits.
    open: HashMap<(String, String, SiteId), (Timestamp, Option<usize>)>,
}

impl Tally {
    fn new(of: &Backtest<'_>) -> Self {
        let report = BacktestReport { from: of.from, to: of.to, reached: of.from, ..BacktestReport::default() };
        Self { report, open: HashMap::new() }
    }

    fn add(&mut self, findings: Vec<Finding>, sites: &SiteTable) {
        for finding in findings {
            let key = (finding.rule.name.clone(), finding.entity.key(), finding.site);
            let known = self.open.get(&key).filter(|(anchor, _)| finding.first.since(*anchor).abs() < WINDOW);
            match known {
                Some((_, place)) => {
                    if let Some(hit) = place.and_then(|place| self.report.hits.get_mut(place)) {
                        (hit.first, hit.last) = (hit.first.min(finding.first), hit.last.max(finding.last));
                        hit.records = hit.records.saturating_add(finding.records);
                    }
                }
                None if self.open.len() < ALERTS_MAX => {
                    self.report.alerts += 1;
                    *self.report.days.entry(finding.first.0.div_euclid(Timestamp::DAY) * Timestamp::DAY).or_default() += 1;
                    let place = (self.report.hits.len() < HITS_MAX).then_some(self.report.hits.len());
                    if place.is_some() {
                        self.report.hits.push(BacktestHit {
                            rule: finding.rule.name.clone(),
                            entity: finding.entity.key(),
                            site: if finding.site == SITE_STATE { "landesweit".to_owned() } else { sites.name(finding.site).to_owned() },
                            first: finding.first,
                            last: finding.last,
                            records: finding.records,
                            seq: finding.evidence.first().map(|seq| seq.0),
                        });
                    }
                    self.open.insert(key, (finding.first, place));
                }
                None => self.report.partial = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use ingest::event::Event;
    use ingest::events::EventConsumer;
    use ingest::fields;
    use ingest::frame::{Seq, Transport};
    use ingest::pipeline::{Batch, Consumer as _};

    use super::*;

    const START: Timestamp = Timestamp(1_795_248_000_000);

    /// Failed log-ins: on two days twelve each from one address, and one a day from another.
    fn store(dir: &std::path::Path) -> Arc<EventStore> {
        let store = EventStore::open(dir, |_, _| None).unwrap();
        let mut consumer = EventConsumer::new(store.clone()).unwrap();
        let mut events = Vec::new();
        for day in 0..4i64 {
            let count = if day % 2 == 0 { 12 } else { 1 };
            for n in 0..count {
                let seq = Seq(events.len() as u64 + 1);
                let at = START.plus(-day * Timestamp::DAY + n * Timestamp::SECOND);
                let peer = "192.0.2.1".parse().unwrap();
                let mut event = Event::new(seq, at, ingest::body::SITE_UNKNOWN, peer, Transport::Udp, b"x");
                event.timestamp = at;
                for (field, value) in [
                    (fields::EVENT_MODULE, "sshd"),
                    (fields::EVENT_ACTION, "ssh_login"),
                    (fields::EVENT_OUTCOME, "failure"),
                    (fields::SOURCE_IP, if count > 1 { "203.0.113.9" } else { "203.0.113.7" }),
                    (fields::USER_NAME, "root"),
                ] {
                    event.push_text(field, value);
                }
                events.push(event);
            }
        }
        let last = Seq(events.len() as u64);
        consumer.apply(&Batch { first: Seq(1), last, events, ..Batch::default() }).unwrap();
        store
    }

    fn run(candidate: &Candidate, days: i64, cancel: Cancel) -> BacktestReport {
        run_so(candidate, days, cancel, false)
    }

    fn run_so(candidate: &Candidate, days: i64, cancel: Cancel, thorough: bool) -> BacktestReport {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let test = Backtest {
            events: &store,
            flows: None,
            sites: Arc::default(),
            scope: Scope::All,
            indicators: Arc::default(),
            from: START.plus(-days * Timestamp::DAY),
            to: START.plus(Timestamp::HOUR),
            cancel,
            gentle: false,
            thorough,
        };
        test.run(candidate, &mut |_| ()).unwrap()
    }

    fn show(report: &BacktestReport) -> String {
        let hits: String = report
            .hits
            .iter()
            .map(|hit| format!("{} {} {} day {}\n", hit.rule, hit.entity, hit.records, hit.first.since(START).div_euclid(Timestamp::DAY)))
            .collect();
        format!("{} events, {} alerts, {} %\n{hits}", report.events, report.alerts, report.percent())
    }

    #[test]
    fn a_rule_of_the_book_and_one_that_was_typed_in() {
        let book = Rulebook::shipped().unwrap();
        expect![[r#"
            26 events, 2 alerts, 100 %
            ssh_bruteforce ip:203.0.113.9 12 day -2
            ssh_bruteforce ip:203.0.113.9 12 day 0
        "#]]
        .assert_eq(&show(&run(&Candidate::of(&book, "ssh_bruteforce").unwrap(), 30, Cancel::default())));
        // The same name as a shipped one: it takes its place, and lives on a shipped one.
        let typed = "title: Strenger\nname: ssh_bruteforce\ncorrelation: {type: event_count, rules: [ssh_login_failed], \
                     group-by: [source.ip], timespan: 1h, condition: {gte: 1}}\n";
        expect![[r#"
            26 events, 4 alerts, 100 %
            ssh_bruteforce ip:203.0.113.7 1 day -3
            ssh_bruteforce ip:203.0.113.9 12 day -2
            ssh_bruteforce ip:203.0.113.7 1 day -1
            ssh_bruteforce ip:203.0.113.9 12 day 0
        "#]]
        .assert_eq(&show(&run(&Candidate::typed(&book, typed).unwrap(), 30, Cancel::default())));
        let single = "title: Root\nname: root\nlogsource: {service: sshd}\ndetection: {s: {user.name: root}, condition: s}\n";
        assert_eq!(run(&Candidate::typed(&book, single).unwrap(), 1, Cancel::default()).events, 13, "only the time asked for");
    }

    /// What the index passes over makes no difference: the same alerts, of fewer records.
    #[test]
    fn the_index_passes_over_what_cannot_match() {
        let book = Rulebook::shipped().unwrap();
        let rules = [
            ("{user.name: root}", 26, 26),
            ("{source.ip: 203.0.113.7}", 2, 26),
            ("{source.ip: [203.0.113.7, 203.0.113.8], user.name|startswith: r}", 2, 26),
            ("{user.name: nobody}", 0, 26),
            ("{source.ip|cidr: 203.0.113.0/24}", 26, 26),
            ("{host.name: null, source.ip: 203.0.113.9}", 24, 26),
        ];
        for (selection, read, all) in rules {
            let rule = format!("title: T\nname: t\nlogsource: {{service: sshd}}\ndetection: {{s: {selection}, condition: s}}\n");
            let candidate = Candidate::typed(&book, &rule).unwrap();
            let [quick, slow] = [false, true].map(|thorough| run_so(&candidate, 30, Cancel::default(), thorough));
            assert_eq!((quick.events, quick.events_all, slow.events), (read, all, all), "{selection}");
            assert_eq!((&quick.hits, quick.alerts, &quick.days), (&slow.hits, slow.alerts, &slow.days), "{selection}");
        }
        let candidate = Candidate::of(&book, "ssh_bruteforce").unwrap();
        let [quick, slow] = [false, true].map(|thorough| run_so(&candidate, 30, Cancel::default(), thorough));
        assert_eq!((quick.hits, quick.alerts), (slow.hits, slow.alerts));
    }

    /// Rules for flows are tried over the flow store, in the order of receipt; correlations count over it.
    #[test]
    fn rules_for_flows_are_tried_over_flows() {
        use ingest::flow::FlowRecord;
        use ingest::flows::FlowConsumer;

        let (dir, events) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let flows = FlowStore::open(dir.path()).unwrap();
        let mut consumer = FlowConsumer::new(flows.clone());
        let flow = |n: i64| {
            let at = START.plus(-Timestamp::HOUR + n * Timestamp::SECOND);
            FlowRecord {
                seq: Seq(n as u64 + 1),
                received_at: at,
                start: at,
                end: at,
                src_ip: "203.0.113.9".parse().unwrap(),
                dst_ip: "192.0.2.7".parse().unwrap(),
                src_port: 40_000,
                dst_port: if n % 3 == 0 { 3389 } else { 443 },
                protocol: 6,
                bytes: 100,
                packets: 1,
                ..FlowRecord::NONE
            }
        };
        let batch = Batch { first: Seq(1), last: Seq(30), flows: (0..30).map(flow).collect(), ..Batch::default() };
        consumer.apply(&batch).unwrap();
        let events = store(events.path());
        let run = |rule: &str, thorough: bool| {
            let book = Rulebook::shipped().unwrap();
            let test = Backtest {
                events: &events,
                flows: Some(&flows),
                sites: Arc::default(),
                scope: Scope::All,
                indicators: Arc::default(),
                from: START.plus(-Timestamp::DAY),
                to: START.plus(Timestamp::HOUR),
                cancel: Cancel::default(),
                gentle: false,
                thorough,
            };
            test.run(&Candidate::typed(&book, rule).unwrap(), &mut |_| ()).unwrap()
        };
        let of = |logsource: &str, rest: &str| {
            format!(
                "title: T\nname: t\nlogsource: {logsource}\ndetection: {{s: {{destination.port: 3389}}, condition: s}}\nwartburg: {{entity: source.ip}}\n{rest}"
            )
        };
        for logsource in ["{category: network_connection}", "{product: flow}", "{product: flow, category: network_connection}"] {
            let found = run(&of(logsource, ""), false);
            assert_eq!((found.flows, found.alerts, found.hits.len()), (10, 1, 1), "{logsource}");
            assert_eq!((found.hits[0].entity.as_str(), found.hits[0].records), ("ip:203.0.113.9", 10));
            let thorough = run(&of(logsource, ""), true);
            assert_eq!((thorough.hits, thorough.flows), (found.hits, 30), "{logsource}");
        }
        assert_eq!(run(&of("{product: flow}", ""), false).events_all, 0, "events are not asked for");
        assert_eq!(run(&of("{service: sshd}", ""), false).flows, 0, "flows are not asked for");
        let counted = of(
            "{product: flow}",
            "---\ntitle: C\nname: c\ncorrelation: {type: event_count, rules: [t], group-by: [source.ip], timespan: 1m, condition: {gte: 10}}\n",
        );
        let found = run(&counted, false);
        assert_eq!((found.alerts, found.hits[0].rule.as_str(), found.hits[0].records), (1, "c", 10));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_who_cancels_ends_it() {
        let book = Rulebook::shipped().unwrap();
        let refused = Candidate::typed(&book, "title: T\nlogsource: {product: linux}\ndetection: {s: {user.nam: x}, condition: s}\n");
        let Err(CandidateError::Refused(errors)) = refused else { panic!("{refused:?}") };
        assert_eq!(errors[0].line, 3);
        assert_eq!(Candidate::of(&book, "fehlt").unwrap_err(), CandidateError::Unknown("fehlt".into()));
        let cancel = Cancel::default();
        drop(cancel.guard());
        let report = run(&Candidate::of(&book, "ssh_bruteforce").unwrap(), 30, cancel);
        assert!(report.cancelled && report.events == 0, "{report:?}");
    }
}

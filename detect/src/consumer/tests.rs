//! A kill anywhere: whatever was interrupted, and wherever reading resumes, the alerts come out the same.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ingest::body::SiteTable;
use ingest::event::Event;
use ingest::frame::Transport;
use ingest::scope::Scope;
use proptest::prelude::*;

use super::*;
use crate::alert::{Alert, AlertFilter, alert_list};
use crate::finding::Entity;
use crate::incident::fixture::{START, Spec, World, spec};
use crate::role::Role;
use crate::rulebook::{RuleState, StateChange, probe_hits, rule_state_set, rule_states};

/// Fires at every third record of an address, with all three as evidence: it has a state that must survive.
#[derive(Default)]
struct Threes {
    open: BTreeMap<IpAddr, Vec<u64>>,
    fixture: Option<Arc<World>>,
    /// Dies when it meets this sequence.
    dies_at: Option<u64>,
    /// Its rule is on probation.
    probe: bool,
}

impl Judge for Threes {
    fn apply(&mut self, record: &dyn Record, _: SiteId, _: Option<BodyId>, _: Timestamp) -> Vec<Finding> {
        assert_ne!(self.dies_at, Some(record.seq().0), "killed");
        let Some(address) = record.first_ip(ingest::fields::SOURCE_IP) else { return Vec::new() };
        let seqs = self.open.entry(address).or_default();
        seqs.push(record.seq().0);
        if seqs.len() < 3 {
            return Vec::new();
        }
        let seqs = std::mem::take(seqs);
        let minute = i64::try_from(record.seq().0).unwrap() * 40;
        let finding = Spec { entity: Entity::Ip(address), ..spec("192.0.2.1", 0, minute, seqs) };
        vec![self.fixture.as_ref().unwrap().finding(&finding)]
    }
    fn settle(&mut self, _now: Timestamp) -> Vec<Finding> {
        Vec::new()
    }
    fn tell(&mut self, _now: Timestamp) -> Vec<Finding> {
        Vec::new()
    }
    fn overflows(&self) -> Vec<(Arc<Rule>, u64)> {
        Vec::new()
    }
    fn snapshot(&self) -> Snapshot {
        let parts = BTreeMap::from([("open".to_owned(), crate::snapshot::pack(&self.open))]);
        Snapshot { head: "{}".to_owned(), parts, whole: false }
    }
    fn saved(&mut self) {}
    fn restore(&mut self, snapshot: &Snapshot) {
        self.open = crate::snapshot::unpack(&snapshot.parts["open"]).unwrap();
    }
    fn probes(&self, _rule: &Rule) -> bool {
        self.probe
    }
}

/// One event a sequence, from a few addresses; every fifth frame holds nothing.
fn batch(first: u64, last: u64) -> Batch {
    let mut events = Vec::new();
    for seq in (first..=last).filter(|seq| seq % 5 != 0) {
        let mut event = Event::new(Seq(seq), START, ingest::body::SITE_UNKNOWN, Ipv4Addr::LOCALHOST.into(), Transport::Udp, b"x");
        event.push_text(ingest::fields::SOURCE_IP, format!("203.0.113.{}", seq * seq % 7));
        events.push(event);
    }
    Batch { first: Seq(first), last: Seq(last), events, flows: Vec::new(), frames: Vec::new(), sites: Arc::new(SiteTable::default()) }
}

fn consumer(world: &Arc<World>, dies_at: Option<u64>) -> DetectConsumer<Threes> {
    let judge = Threes { fixture: Some(world.clone()), dies_at, ..Threes::default() };
    DetectConsumer::new(world.db.clone(), judge, Clock::manual(START), world.playbooks.clone()).unwrap()
}

const LAST: u64 = 120;

fn uninterrupted() -> String {
    let world = Arc::new(World::new());
    let mut consumer = consumer(&world, None);
    consumer.apply(&batch(1, LAST)).unwrap();
    consumer.flush().unwrap();
    world.dump()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Each run reads batches of `size` from a little before the cursor, and dies at `dies_after` records from it
    /// (in the middle of a batch) or after a batch without a flush.
    #[test]
    fn a_kill_anywhere_yields_each_alert_exactly_once(
        runs in proptest::collection::vec((1..40u64, 1..60u64, 0..6u64, any::<bool>()), 1..8)
    ) {
        let world = Arc::new(World::new());
        for (size, dies_after, back, panics) in runs {
            let cursor = consumer(&world, None).cursor().0;
            let dies_at = cursor + dies_after;
            let mut consumer = consumer(&world, panics.then_some(dies_at));
            let mut first = cursor.saturating_sub(back) + 1;
            while first <= LAST.min(dies_at) {
                let last = (first + size - 1).min(LAST);
                let alive = catch_unwind(AssertUnwindSafe(|| consumer.apply(&batch(first, last)).unwrap())).is_ok();
                if !alive {
                    break;
                }
                if size % 3 == 0 {
                    consumer.tick(START.plus(i64::try_from(first).unwrap() * Timestamp::SECOND)).unwrap();
                }
                first = last + 1;
            }
        }
        let mut last_run = consumer(&world, None);
        last_run.apply(&batch(last_run.cursor().0 + 1, LAST)).unwrap();
        last_run.flush().unwrap();
        prop_assert_eq!(last_run.cursor(), Seq(LAST));
        prop_assert_eq!(world.dump(), uninterrupted());
    }
}

#[test]
fn findings_are_durable_when_apply_returns_and_an_idle_cursor_follows_by_the_second() {
    let world = Arc::new(World::new());
    let mut consumer = consumer(&world, None);
    consumer.apply(&batch(1, 1)).unwrap();
    assert_eq!(consumer.cursor(), Seq(0), "nothing found: no write for each batch");
    consumer.tick(START.plus(Timestamp::SECOND - 1)).unwrap();
    assert_eq!(consumer.cursor(), Seq(0));
    consumer.tick(START.plus(Timestamp::SECOND)).unwrap();
    assert_eq!(consumer.cursor(), Seq(1));
    consumer.apply(&batch(2, LAST)).unwrap();
    assert_eq!(consumer.cursor(), Seq(LAST));
    let before = world.dump();
    consumer.apply(&batch(1, LAST)).unwrap();
    assert_eq!(world.dump(), before, "a batch at or below the cursor is skipped");
}

/// On probation a rule alerts nobody; its hits are counted once each, whatever is read again.
#[test]
fn hits_on_probation_are_counted_and_alert_nobody() {
    let world = Arc::new(World::new());
    let consumer = || {
        let judge = Threes { fixture: Some(world.clone()), probe: true, ..Threes::default() };
        DetectConsumer::new(world.db.clone(), judge, Clock::manual(START), world.playbooks.clone()).unwrap()
    };
    let change = StateChange { rule: "ssh_bruteforce".into(), state: RuleState::Probe, reason: "neu".into() };
    world.db.write(move |tx| rule_state_set(tx, &change, "u", Role::Lead, START)).unwrap();
    consumer().apply(&batch(1, 60)).unwrap();
    let mut second = consumer();
    second.apply(&batch(1, LAST)).unwrap();
    second.flush().unwrap();
    let (hits, shown) =
        world.db.read(|c| Ok::<_, DbError>((rule_states(c)?["ssh_bruteforce"].hits, probe_hits(c, "ssh_bruteforce", 500)?))).unwrap();
    let alerts: Vec<Alert> = world.db.read(|c| alert_list(c, &AlertFilter::new(Scope::All))).unwrap();
    assert_eq!(alerts, []);
    // As many as alerts' evidence would have held: three records each.
    let uninterrupted: Vec<u64> = {
        let mut judge = Threes { fixture: Some(world.clone()), ..Threes::default() };
        let batch = batch(1, LAST);
        let seen = |event: &Event| judge.apply(&EventRecord { event, sites: &batch.sites }, event.site, None, START).len() as u64;
        batch.events.iter().map(seen).collect()
    };
    assert_eq!(hits, uninterrupted.iter().sum::<u64>());
    assert_eq!(shown.len() as u64, hits, "fewer than are kept");
}

#[test]
fn a_failed_write_keeps_its_findings_for_the_next_try() {
    let world = Arc::new(World::new());
    let mut consumer = consumer(&world, None);
    let good = consumer.db.clone();
    let folder = tempfile::tempdir().unwrap();
    consumer.db = Db::open(&folder.path().join("other.db"), &[]).unwrap();
    assert!(consumer.apply(&batch(1, LAST)).is_err(), "a database without tables");
    assert_eq!(consumer.cursor(), Seq(0));
    consumer.db = good;
    consumer.flush().unwrap();
    assert_eq!(world.dump(), uninterrupted());
}

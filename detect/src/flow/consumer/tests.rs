//! A kill anywhere: between records, between the file and the transaction, while it replays. What is filed, and how
//! often, comes out the same.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ingest::body::SITE_UNKNOWN;
use ingest::flow::FlowRecord;
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Transport};
use proptest::prelude::*;

use super::*;
use crate::finding::Entity;
use crate::flow::wire::{Reader, Writer};
use crate::flow::{Detection, Detector, Footprint, Reason, RestoreError, Seen, Sheet};
use crate::incident::fixture::{START, World};

/// Speaks of every third record, and of the rest when nothing comes any more: it has a state that must survive.
#[derive(Default)]
struct Threes {
    seqs: Vec<Seq>,
    last: Timestamp,
    dies_at: Option<u64>,
}

impl Threes {
    fn tell(&mut self, found: &mut Vec<Detection>) {
        let seqs = std::mem::take(&mut self.seqs);
        let Some(last) = seqs.last() else { return };
        found.push(Detection {
            rule: "portscan",
            site: SITE_UNKNOWN,
            body: None,
            // Each its own: an alert that swallowed a second filing would hide it.
            entity: Entity::Host(format!("h{}", last.0)),
            observables: [("host.name", vec![format!("h{}", last.0)])].into(),
            first: self.last,
            last: self.last,
            detected_at: self.last,
            records: seqs.len() as u64,
            evidence: seqs,
            reasons: vec![Reason::new("Verschiedene Ports", 3, "ab 3")],
            shares: vec![],
        });
    }
}

impl Detector for Threes {
    fn name(&self) -> &'static str {
        "portscan"
    }
    fn observe(&mut self, flow: &FlowRecord, _: &Seen, found: &mut Vec<Detection>) {
        assert_ne!(self.dies_at, Some(flow.seq.0), "killed");
        self.seqs.push(flow.seq);
        self.last = flow.received_at;
        if self.seqs.len() == 3 {
            self.tell(found);
        }
    }
    fn settle(&mut self, now: Timestamp, found: &mut Vec<Detection>) {
        // What waited for more than two minutes of receipt is told.
        if now.since(self.last) > 2 * Timestamp::MINUTE {
            self.tell(found);
        }
    }
    fn save(&self) -> Vec<u8> {
        let mut out = Writer::new(1);
        out.put(&self.seqs).put(&self.last);
        out.done()
    }
    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut from = Reader::new(state, 1)?;
        (self.seqs, self.last) = (from.take()?, from.take()?);
        from.done()
    }
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }
    fn allows_sampling(&self) -> bool {
        true
    }
}

/// Receipt of a sequence: half a minute each, and now and then a pause in which `settle` has something to tell.
fn receipt(seq: u64) -> Timestamp {
    START.plus(seq as i64 * 30_000 + seq as i64 / 10 * 5 * Timestamp::MINUTE)
}

/// A frame a sequence; every fifth is a line, the others carry one or two flows.
fn batch(first: u64, last: u64) -> Batch {
    let mut batch = Batch { first: Seq(first), last: Seq(last), ..Batch::default() };
    for seq in first..=last {
        let frame = NewFrame {
            received_at: receipt(seq),
            site: SITE_UNKNOWN,
            peer: std::net::Ipv4Addr::LOCALHOST.into(),
            transport: Transport::Udp,
            kind: if seq % 5 == 0 { FrameKind::Line } else { FrameKind::Flow },
            marks: Marks::default(),
            payload: Box::from(&b"x"[..]),
        };
        batch.frames.push(Frame { seq: Seq(seq), frame });
        for _ in 0..(if seq % 5 == 0 { 0 } else { 1 + seq % 2 }) {
            batch.flows.push(FlowRecord { seq: Seq(seq), received_at: receipt(seq), end: receipt(seq), ..FlowRecord::NONE });
        }
    }
    batch
}

/// Behind it something waits for quiet.
const LAST: u64 = 88;

fn consumer(world: &Arc<World>, folder: &Path, dies_at: Option<u64>) -> FlowDetectConsumer {
    let sheet = Arc::new(Sheet::shipped().unwrap());
    let detectors = Detectors::single(sheet.clone(), Box::new(Threes { dies_at, ..Threes::default() }));
    let board = Arc::new(Board::new(sheet));
    FlowDetectConsumer::new(world.db.clone(), folder, detectors, board, Clock::manual(receipt(LAST)), world.playbooks.clone(), Seq(0))
        .unwrap()
}

fn uninterrupted() -> (String, u64) {
    let (world, folder) = (Arc::new(World::new()), tempfile::tempdir().unwrap());
    let mut consumer = consumer(&world, folder.path(), None);
    consumer.apply(&batch(1, LAST)).unwrap();
    consumer.flush().unwrap();
    (world.dump(), consumer.filed())
}

#[test]
fn what_is_found_is_filed_at_once_and_the_state_is_kept_by_the_minute() {
    let (world, folder) = (Arc::new(World::new()), tempfile::tempdir().unwrap());
    let mut consumer = consumer(&world, folder.path(), None);
    consumer.apply(&batch(1, 3)).unwrap();
    assert_eq!((consumer.filed(), consumer.cursor()), (1, Seq(0)), "filed, and the file is not due");
    consumer.apply(&batch(4, 6)).unwrap();
    assert_eq!(consumer.cursor(), Seq(6), "a minute and a half later it is");
    consumer.apply(&batch(7, LAST)).unwrap();
    let before = (world.dump(), consumer.filed());
    consumer.apply(&batch(1, LAST)).unwrap();
    assert_eq!((world.dump(), consumer.filed()), before, "what was seen is skipped");
    assert!(consumer.filed() > 30, "{}", consumer.filed());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Each run reads batches of `size` from its cursor and dies at a record, after a batch, or when the write of its
    /// findings fails; sometimes it has told what waited for quiet before.
    #[test]
    fn a_kill_anywhere_files_each_finding_exactly_once(
        runs in proptest::collection::vec((1..20u64, 1..40u64, any::<bool>()), 1..8)
    ) {
        let (world, folder) = (Arc::new(World::new()), tempfile::tempdir().unwrap());
        for (size, dies_after, panics) in runs {
            let cursor = consumer(&world, folder.path(), None).cursor().0;
            let dies_at = cursor + dies_after;
            let mut consumer = consumer(&world, folder.path(), panics.then_some(dies_at));
            let mut first = cursor + 1;
            while first <= LAST.min(dies_at) {
                let last = (first + size - 1).min(LAST);
                if catch_unwind(AssertUnwindSafe(|| consumer.apply(&batch(first, last)).unwrap())).is_err() {
                    break;
                }
                first = last + 1;
            }
        }
        let mut last_run = consumer(&world, folder.path(), None);
        last_run.apply(&batch(last_run.cursor().0 + 1, LAST)).unwrap();
        last_run.flush().unwrap();
        prop_assert_eq!(last_run.cursor(), Seq(LAST));
        prop_assert_eq!((world.dump(), last_run.filed()), uninterrupted());
    }
}

#[test]
fn what_was_found_in_quiet_is_filed_once_though_no_record_leads_to_it_again() {
    let (world, folder) = (Arc::new(World::new()), tempfile::tempdir().unwrap());
    let good = world.db.clone();
    let mut dying = consumer(&world, folder.path(), None);
    dying.apply(&batch(1, LAST)).unwrap();
    let other = tempfile::tempdir().unwrap();
    dying.db = Db::open(&other.path().join("other.db"), &[]).unwrap();
    assert!(dying.flush().is_err(), "killed between the file and the transaction");
    assert_eq!(dying.pending.len(), 1, "one waited");
    drop(dying);
    let again = consumer(&world, folder.path(), None);
    assert_eq!((world.dump(), again.filed()), uninterrupted());
    drop(again);
    let third = consumer(&world, folder.path(), None);
    assert_eq!((world.dump(), third.filed()), uninterrupted(), "and not with every start");
    good.close();
}

#[test]
fn a_failed_write_keeps_its_findings_for_the_next_try() {
    let (world, folder) = (Arc::new(World::new()), tempfile::tempdir().unwrap());
    let mut consumer = consumer(&world, folder.path(), None);
    let good = consumer.db.clone();
    let other = tempfile::tempdir().unwrap();
    consumer.db = Db::open(&other.path().join("other.db"), &[]).unwrap();
    assert!(consumer.apply(&batch(1, LAST)).is_err(), "a database without tables");
    assert_eq!(consumer.cursor(), Seq(0));
    consumer.db = good;
    consumer.apply(&batch(1, LAST)).unwrap();
    consumer.flush().unwrap();
    assert_eq!((world.dump(), consumer.filed()), uninterrupted());
}

#[test]
fn a_damaged_file_begins_anew_behind_what_was_reported() {
    let (world, folder) = (Arc::new(World::new()), tempfile::tempdir().unwrap());
    let mut first = consumer(&world, folder.path(), None);
    first.apply(&batch(1, 30)).unwrap();
    first.apply(&batch(31, 60)).unwrap();
    let (filed, reported) = (first.filed(), first.reported);
    drop(first);
    let file = folder.path().join("state");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let again = consumer(&world, folder.path(), None);
    assert_eq!((again.cursor(), again.filed()), (reported, filed));
}

/// A detector on probation is counted and alerts nobody, one that is off says nothing; both go on, and a restart changes
/// nothing of it.
#[test]
fn a_detector_is_filed_as_it_stands() {
    use crate::role::Role;
    use crate::rulebook::{RuleState, StateChange, probe_hits, rule_state_set, rule_states};

    let (world, folder) = (Arc::new(World::new()), tempfile::tempdir().unwrap());
    let switch = |state| {
        let change = StateChange { rule: "portscan".into(), state, reason: "Umzug".into() };
        world.db.write(move |tx| rule_state_set(tx, &change, "user:x", Role::Lead, START)).unwrap();
    };
    let counts = || {
        world
            .db
            .read(|c| {
                let alerts: i64 = c.query_row("SELECT COUNT(*) FROM alert", [], |row| row.get(0))?;
                Ok::<_, DbError>((alerts, rule_states(c)?["portscan"].hits, probe_hits(c, "portscan", 50)?.len()))
            })
            .unwrap()
    };
    switch(RuleState::Probe);
    let mut one = consumer(&world, folder.path(), None);
    one.apply(&batch(1, 12)).unwrap();
    let (_, noted, kept) = counts();
    assert!(noted > 1 && kept == noted as usize, "{noted} {kept}");
    assert_eq!((counts().0, one.filed()), (0, noted));
    drop(one);
    // Begins where the last state was kept, and files nothing twice.
    let mut one = consumer(&world, folder.path(), None);
    one.apply(&batch(one.cursor().0 + 1, 12)).unwrap();
    assert_eq!(counts(), (0, noted, kept));
    switch(RuleState::Off);
    one.apply(&batch(13, 30)).unwrap();
    assert_eq!(counts(), (0, 0, 0), "another state begins without hits");
    switch(RuleState::On);
    let filed = one.filed();
    one.apply(&batch(31, 60)).unwrap();
    assert_eq!(counts().0 as u64, one.filed() - filed);
    assert!(counts().0 > 0);
}

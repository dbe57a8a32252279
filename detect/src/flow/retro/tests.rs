//! A list changes while flows come: each is told once, by the detector or in hindsight; restarts, cancelling, lists that
//! change together.

use std::sync::RwLock;

use ingest::audit::NewAudit;
use ingest::flows::FlowConsumer;
use ingest::frame::Seq;
use ingest::pipeline::{Batch, Consumer as _};

use super::super::Detector as _;
use super::super::indicator::IndicatorTraffic;
use super::super::sample::{T0, ip, journal, record};
use super::*;
use crate::intel::{NewIndicator, Tlp, indicator_add};

struct World {
    _dir: tempfile::TempDir,
    db: Db,
    flows: Arc<FlowStore>,
    shared: SharedIndicators,
}

const DAYS: u32 = 2;

fn at(seconds: u32) -> Timestamp {
    Timestamp(i64::from(seconds) * 1_000)
}

impl World {
    /// Two days in which one machine talks to a bad address once an hour, another to a bad net, and all to a good one.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let owners = [
            crate::intel::MIGRATIONS,
            crate::alert::MIGRATIONS,
            crate::incident::MIGRATIONS,
            crate::recommendation::MIGRATIONS,
            crate::duty::MIGRATIONS,
            crate::rulebook::MIGRATIONS,
            ingest::body::MIGRATIONS,
            ingest::history::MIGRATIONS,
            ingest::audit::MIGRATIONS,
        ];
        let db = Db::open(&dir.path().join("w.db"), &owners).unwrap();
        let flows = FlowStore::open(&dir.path().join("flows")).unwrap();
        let mut all = Vec::new();
        for hour in 0..DAYS * 24 {
            let at = T0 + hour * 3_600 + 100;
            all.push(record(ip("10.20.1.7"), ip("198.51.100.7"), 443, at, 3_000));
            all.push(record(ip("10.20.1.8"), ip("203.0.113.9"), 8_080, at + 5, 3_000));
            all.push(record(ip("10.20.1.9"), ip("192.0.2.1"), 443, at + 10, 3_000));
        }
        let world = Self { _dir: dir, db, flows, shared: SharedIndicators::default() };
        world.store(journal(all));
        world
    }

    fn store(&self, flows: Vec<FlowRecord>) {
        let mut consumer = FlowConsumer::new(self.flows.clone());
        let last = flows.last().map_or(Seq(0), |flow| flow.seq);
        consumer.apply(&Batch { first: Seq(1), last, flows, ..Batch::default() }).unwrap();
        consumer.flush().unwrap();
    }

    fn hunter(&self) -> RetroHunter {
        let sites: SharedSites = Arc::new(RwLock::new(Arc::new(SiteTable::new(vec![]))));
        let playbooks = Arc::new(Playbooks::embedded().unwrap());
        let sheet = Sheet::shipped().unwrap();
        let hunter = RetroHunter::new(self.db.clone(), self.flows.clone(), sites, playbooks, self.shared.clone(), &sheet, &[]);
        RetroHunter { back: i64::from(DAYS + 1) * Timestamp::DAY, ..hunter.unwrap().unwrap() }
    }

    fn list(&self, list: &str, patterns: &[&str], now: Timestamp) {
        let new = |pattern: &&str| NewIndicator {
            pattern: pattern.parse().unwrap(),
            list: list.into(),
            tlp: Tlp::Green,
            confidence: 90,
            valid_until: None,
        };
        let all: Vec<NewIndicator> = patterns.iter().map(new).collect();
        self.db.write(move |tx| all.iter().try_for_each(|new| indicator_add(tx, new, now).map(drop))).unwrap();
    }

    /// A line for each hunt, by list and version: several begin in the same moment.
    fn hunts(&self) -> Vec<String> {
        let line = |hunt: &RetroHunt| {
            format!(
                "{} {} {} {} % {} indicators {} hits {} findings",
                hunt.list,
                hunt.version,
                hunt.state.as_str(),
                hunt.percent(),
                hunt.indicators,
                hunt.hits,
                hunt.findings
            )
        };
        let mut lines: Vec<String> = self.db.read(retro_list).unwrap().iter().map(line).collect();
        lines.sort();
        lines
    }

    /// (rule, entity, records) of all alerts.
    fn alerts(&self) -> Vec<(String, String, i64)> {
        self.db
            .read(|c| {
                let mut statement =
                    c.prepare("SELECT rule_name, entity, SUM(records) FROM alert GROUP BY rule_name, entity ORDER BY 1, 2")?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                Ok::<_, DbError>(rows.collect::<Result<_, _>>()?)
            })
            .unwrap()
    }
}

/// Looks until nothing is left to do at that moment.
fn exhaust(hunter: &mut RetroHunter, now: Timestamp) -> usize {
    (0..).map(|_| hunter.look(now, true).unwrap()).take_while(|looked| looked.more || looked.begun > 0).count()
}

#[test]
fn what_a_list_brings_is_found_in_what_is_stored_exactly_once() {
    let world = World::new();
    let now = at(T0 + DAYS * 86_400);
    let mut hunter = world.hunter();
    assert_eq!(hunter.look(now, true).unwrap(), RetroLooked::default());
    drop(hunter);
    world.list("C2", &["198.51.100.7", "bad.example"], now);
    world.list("Netze", &["203.0.113.0/24"], now);
    assert_eq!(world.hunter().look(now, true).unwrap().begun, 2);
    // A restart behind every stretch.
    let mut looks = 0;
    loop {
        let looked = world.hunter().look(now.plus(10 * Timestamp::MINUTE), true).unwrap();
        looks += 1;
        if !looked.more && looked.begun == 0 {
            break;
        }
    }
    assert!(looks > DAYS as usize * 24, "{looks} looks");
    assert_eq!(world.hunts(), ["C2 1 done 100 % 2 indicators 48 hits 48 findings", "Netze 1 done 100 % 1 indicators 48 hits 48 findings"]);
    let expected =
        [("ip:10.20.1.7", 48), ("ip:10.20.1.8", 48)].map(|(entity, records)| (NAME_RETRO.to_owned(), entity.to_owned(), records));
    assert_eq!(world.alerts(), expected);
    // The same list again, and one entry more: only the entry is hunted for.
    world.list("C2", &["198.51.100.7", "192.0.2.1"], now);
    exhaust(&mut world.hunter(), now);
    exhaust(&mut world.hunter(), now.plus(20 * Timestamp::MINUTE));
    assert_eq!(world.hunts()[1], "C2 2 done 100 % 1 indicators 48 hits 48 findings");
    assert_eq!(world.alerts().iter().map(|(.., records)| records).sum::<i64>(), 144);
}

#[test]
fn detector_and_hunt_share_the_records_between_them() {
    let world = World::new();
    // Listed an hour before the end of the second day.
    let now = at(T0 + DAYS * 86_400 - 3_600);
    world.list("C2", &["198.51.100.7"], now);
    let mut hunter = world.hunter();
    let mut detector = IndicatorTraffic::with(hunter.settings);
    detector.indicators(&world.shared);
    hunter.look(now, true).unwrap();
    // A record every ten seconds around the moment at which the detector takes over.
    let around: Vec<FlowRecord> =
        (0..18).map(|n| record(ip("10.20.1.7"), ip("198.51.100.7"), 443, T0 + DAYS * 86_400 - 3_600 + n * 10, 3_000)).collect();
    let around: Vec<FlowRecord> = (1_000..).zip(around).map(|(seq, flow)| FlowRecord { seq: Seq(seq), ..flow }).collect();
    world.store(around.clone());
    let (networks, mut found) = (Networks::new(&[]), Vec::new());
    around.iter().for_each(|flow| detector.observe(flow, &networks.seen(flow, None), &mut found));
    detector.settle(now.plus(Timestamp::DAY), &mut found);
    let live: u64 = found.iter().map(|found| found.records).sum();
    exhaust(&mut hunter, now.plus(Timestamp::HOUR));
    let hindsight: i64 = world.alerts().iter().map(|(.., records)| records).sum();
    // Of the hours 47 lie before, and one behind in a file that was written with them.
    assert_eq!((live, hindsight), (12, 47 + 6), "60 seconds in hindsight, 120 live");
}

#[test]
fn a_cancelled_hunt_finds_nothing_more() {
    let world = World::new();
    let now = at(T0 + DAYS * 86_400);
    world.list("C2", &["198.51.100.7"], now);
    let mut hunter = world.hunter();
    while world.alerts().is_empty() {
        hunter.look(now.plus(10 * Timestamp::MINUTE), true).unwrap();
    }
    let hunt = world.db.read(retro_list).unwrap()[0].clone();
    let audit = NewAudit { actor: "a".into(), kind: "retro_hunt.cancelled", object: hunt.id.to_string(), detail: serde_json::Value::Null };
    let again = audit.clone();
    assert!(world.db.write(move |tx| retro_cancel(tx, hunt.id, &audit, "Lindner", now)).unwrap());
    assert!(!world.db.write(move |tx| retro_cancel(tx, hunt.id, &again, "Lindner", now)).unwrap());
    exhaust(&mut hunter, now.plus(10 * Timestamp::MINUTE));
    let hunt = world.db.read(retro_list).unwrap()[0].clone();
    assert_eq!((hunt.state, hunt.ended_by.as_deref(), hunt.findings), (RetroState::Cancelled, Some("Lindner"), 1));
}

#[test]
fn a_list_that_is_being_read_becomes_one_hunt() {
    let world = World::new();
    let now = at(T0 + DAYS * 86_400);
    let mut hunter = world.hunter();
    hunter.look(now, true).unwrap();
    let seconds = |n: i64| now.plus(n * Timestamp::SECOND);
    for n in 0..5u8 {
        world.list("C2", &[&format!("198.51.100.{n}")], seconds(i64::from(n) * 5));
        assert_eq!(hunter.look(seconds(i64::from(n) * 5 + 1), true).unwrap().begun, 0, "it is still moving");
    }
    assert_eq!(hunter.look(seconds(26), true).unwrap().begun, 1);
    assert_eq!(world.hunts(), ["C2 1 running 1 % 5 indicators 0 hits 0 findings"]);
    // One that never stands still is taken in all the same.
    let begun: usize = (0..20i64)
        .map(|n| {
            world.list("C2", &[&format!("203.0.113.{n}")], seconds(100 + n * 5));
            hunter.look(seconds(100 + n * 5), false).unwrap().begun
        })
        .sum();
    assert_eq!(begun, 1);
}

//! The hunt in the events: every kind of indicator is found in what is stored, each event told once, over restarts.

use std::sync::RwLock;

use ingest::body::SITE_UNKNOWN;
use ingest::event::Event;
use ingest::events::EventConsumer;
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use ingest::pipeline::{Batch, Consumer as _};
use ingest::record::Record as _;
use serde_json::{Map, Value};

use super::*;
use crate::intel::{ListFilter, NewIndicator, Only, Tlp, indicator_add, indicator_list};
use crate::json_record::JsonRecord;

/// 2026-06-01, noon.
const NOON: Timestamp = Timestamp(1_780_315_200_000);

/// A line of our own is a flat JSON object; its fields become the event's.
fn event(frame: &Frame) -> Event {
    let inner = &frame.frame;
    let mut event = Event::new(frame.seq, inner.received_at, inner.site, inner.peer, inner.transport, &inner.payload);
    event.timestamp = inner.received_at;
    let object: Map<String, Value> = serde_json::from_str(event.line()).unwrap_or_default();
    let record = JsonRecord::new(&object, frame.seq, inner.received_at);
    let mut all = Vec::new();
    record.any_field(&mut |field, value| {
        all.push((field, value.text().into_owned(), value.as_ip()));
        false
    });
    for (field, text, address) in all.into_iter().filter(|(field, ..)| *field != ingest::fields::MESSAGE) {
        match address.filter(|_| field.known().is_some_and(|row| row.kind == ingest::fields::Kind::Ip)) {
            Some(address) => event.push_ip(field, address),
            None => event.push_text(field, text),
        }
    }
    event
}

struct World {
    dir: tempfile::TempDir,
    db: Db,
    events: Arc<EventStore>,
    consumer: EventConsumer,
    seq: u64,
}

impl World {
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
        let events = EventStore::open(&dir.path().join("events"), |frame, _| Some(event(frame))).unwrap();
        let consumer = EventConsumer::new(events.clone()).unwrap();
        Self { dir, db, events, consumer, seq: 0 }
    }

    fn line(&mut self, at: Timestamp, text: &str) {
        self.seq += 1;
        let frame = NewFrame {
            received_at: at,
            site: SITE_UNKNOWN,
            peer: "192.0.2.10".parse().unwrap(),
            transport: Transport::Tcp,
            kind: FrameKind::Line,
            marks: Marks::default(),
            payload: text.as_bytes().into(),
        };
        let frame = Frame { seq: Seq(self.seq), frame };
        let batch = Batch { first: frame.seq, last: frame.seq, events: vec![event(&frame)], frames: vec![frame], ..Batch::default() };
        self.consumer.apply(&batch).unwrap();
    }

    fn hunter(&self) -> RetroHunter {
        let flows = FlowStore::open(&self.dir.path().join("flows")).unwrap();
        let sites: SharedSites = Arc::new(RwLock::new(Arc::new(SiteTable::new(vec![]))));
        let (playbooks, sheet) = (Arc::new(Playbooks::embedded().unwrap()), Sheet::shipped().unwrap());
        let hunter = RetroHunter::new(self.db.clone(), flows, sites, playbooks, SharedIndicators::default(), &sheet, &[]);
        let hunter = RetroHunter { back: 5 * Timestamp::DAY, ..hunter.unwrap().unwrap() };
        hunter.with_events(self.events.clone(), &sheet).unwrap()
    }

    fn list(&self, list: &str, patterns: &[&str], confidence: u8) {
        let new = |pattern: &&str| NewIndicator {
            pattern: pattern.parse().unwrap(),
            list: list.into(),
            tlp: Tlp::Green,
            confidence,
            valid_until: None,
        };
        let all: Vec<NewIndicator> = patterns.iter().map(new).collect();
        self.db.write(move |tx| all.iter().try_for_each(|new| indicator_add(tx, new, NOON).map(drop))).unwrap();
    }

    fn alerts(&self) -> Vec<String> {
        self.db
            .read(|c| {
                let mut statement = c.prepare("SELECT rule_name, entity, records FROM alert ORDER BY entity, records")?;
                let rows = statement.query_map([], |row| {
                    Ok(format!("{} {} {}", row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
                })?;
                Ok::<_, DbError>(rows.collect::<Result<_, _>>()?)
            })
            .unwrap()
    }
}

#[test]
fn each_kind_is_found_in_what_is_stored_exactly_once() {
    let mut world = World::new();
    let ago = |hours: i64| NOON.plus(-hours * Timestamp::HOUR);
    for (hours, line) in [
        (70, r#"{"source.ip":"10.1.1.1","destination.ip":"203.0.113.7"}"#),
        (69, r#"{"source.ip":"10.1.1.1","destination.ip":"203.0.113.7"}"#),
        (50, r#"{"source.ip":"10.1.1.2","dns.question.name":"WWW.bad.example"}"#),
        (30, r#"{"source.ip":"10.1.1.3","url.full":"http://worse.example/drop.exe?x=1"}"#),
        (29, r#"{"host.name":"pc-7","file.hash.sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b800"}"#),
        (28, r#"{"host.name":"mail","email.from.address":"Chef@mail.example"}"#),
        (27, r#"{"source.ip":"203.0.113.7","event.outcome":"failure"}"#),
        (26, r#"{"source.ip":"203.0.113.7","event.outcome":"success","user.name":"anna"}"#),
        (25, r#"{"source.ip":"10.1.1.9","destination.ip":"192.0.2.1","dns.question.name":"good.example"}"#),
        (2, r#"{"source.ip":"10.1.1.4","destination.ip":"203.0.113.7"}"#),
    ] {
        world.line(ago(hours), line);
    }
    // A part on disk, a part in memory.
    world.consumer.flush().unwrap();
    world.line(ago(1), r#"{"source.ip":"10.1.1.5","dns.question.name":"bad.example"}"#);
    world.list("C2", &["203.0.113.7", "bad.example", "http://worse.example/drop.exe"], 90);
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b800";
    world.list("Dateien", &[hash, "chef@mail.example"], 90);
    world.list("unsicher", &["good.example"], 20);
    world.hunter().look(NOON, true).unwrap();
    // A restart behind every stretch; both go on where they were.
    let mut looks = 0;
    while world.hunter().look(NOON.plus(Timestamp::HOUR), true).unwrap().more {
        looks += 1;
        assert!(looks < 1_000);
    }
    let hunts: Vec<String> = world
        .db
        .read(retro_list)
        .unwrap()
        .iter()
        .map(|hunt| format!("{} {} {} {} {}", hunt.list, hunt.state.as_str(), hunt.percent(), hunt.event_hits, hunt.findings))
        .collect();
    let mut sorted = hunts.clone();
    sorted.sort();
    assert_eq!(sorted, ["C2 done 100 8 6", "Dateien done 100 2 2", "unsicher done 100 0 0"]);
    assert_eq!(
        world.alerts(),
        [
            "event_indicator_retro host:mail 1",
            "event_indicator_retro host:pc-7 1",
            "event_indicator_retro ip:10.1.1.1 2",
            "event_indicator_retro ip:10.1.1.2 1",
            "event_indicator_retro ip:10.1.1.3 1",
            "event_indicator_retro ip:10.1.1.4 1",
            "event_indicator_retro ip:10.1.1.5 1",
            "event_indicator_retro ip:203.0.113.7 1",
        ],
        "of a listed source only what succeeded"
    );
    // Nothing begins again, and nothing is told twice.
    assert_eq!(world.hunter().look(NOON.plus(2 * Timestamp::HOUR), true).unwrap().findings, 0);
    assert_eq!(world.alerts().len(), 8);
}

#[test]
fn what_the_hunt_meets_is_counted_at_the_indicator() {
    let mut world = World::new();
    world.line(NOON.plus(-Timestamp::HOUR), r#"{"source.ip":"10.1.1.2","dns.question.name":"www.bad.example"}"#);
    world.list("C2", &["bad.example"], 90);
    let mut hunter = world.hunter();
    hunter.look(NOON, true).unwrap();
    while hunter.look(NOON.plus(Timestamp::HOUR), true).unwrap().more {}
    let filter = ListFilter { only: Only::Sighted, ..ListFilter::default() };
    let rows = world.db.read(|c| indicator_list(c, &filter, NOON, 10)).unwrap();
    assert_eq!(rows.iter().map(|row| (row.hits, row.last_hit)).collect::<Vec<_>>(), [(1, Some(NOON.plus(-Timestamp::HOUR)))]);
}

#[test]
fn queries_stay_within_the_languages_bounds() {
    let values: Vec<(ingest::fields::FieldId, String)> =
        (0..500).map(|n| (ingest::fields::URL_FULL, format!("http://a.example/\"{n}\\{}", "x".repeat(200)))).collect();
    let queries = events::queries(&values);
    assert!(queries.len() > 5);
    for query in &queries {
        assert!(ingest::query::Query::parse_fixed(query).is_ok(), "{query}");
    }
}

//! Scheduled searches over a real store and database, with a clock that the test moves.

use std::path::PathBuf;

use detect::alert::{AlertFilter, alert_evidence, alert_list};
use detect::role::Role;
use detect::rule::Level;
use ingest::body::{Body, BodyId, BodyKind, Site, SiteId, body_add};
use ingest::events::EventConsumer;
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use ingest::pipeline::{Batch, Consumer as _};
use ingest::scope::Scope;

use super::*;
use crate::saved_search::{Asked, NewSchedule, SavedSearchId, saved_search_add, schedule_set};
use crate::user::{User, UserId, user_add};

/// Ten o'clock, a multiple of every interval but the day.
const TEN: Timestamp = Timestamp(1_795_082_400_000);
const MINUTE: i64 = Timestamp::MINUTE;

struct House {
    runs: SavedRuns,
    consumer: EventConsumer,
    seq: u64,
    owner: UserId,
    dir: PathBuf,
    _temp: tempfile::TempDir,
}

fn event(frame: &Frame) -> Event {
    let inner = &frame.frame;
    let mut event = Event::new(frame.seq, inner.received_at, inner.site, inner.peer, inner.transport, &inner.payload);
    event.timestamp = inner.received_at;
    event.set_message(0..event.raw().len());
    let line = event.line().to_owned();
    if let Some(user) = line.split_once("user=").map(|(_, user)| user) {
        event.push_text(fields::USER_NAME, user);
    }
    event
}

fn site(n: u128, body: BodyId) -> Site {
    Site {
        id: SiteId(ingest::id::Ulid(n)),
        name: format!("rathaus-{n}"),
        body: Some(body),
        prefixes: vec![],
        certificates: vec![],
        tokens: vec![],
    }
}

impl House {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().to_owned();
        let db = crate::node::database(&dir).unwrap();
        let owner = UserId::new(TEN);
        let user = User { id: owner, login: "anna".into(), name: "Anna".into(), role: Role::Analyst, body: None, disabled: false };
        let bodies = ["16068051", "16067000"].map(|ags| {
            let ags: ingest::body::Ags = ags.parse().unwrap();
            Body {
                id: BodyId::new(TEN),
                name: ags.to_string(),
                kind: BodyKind::Gemeinde,
                ags: Some(ags),
                kreis: ags.kreis_key(),
                population: 1,
            }
        });
        let sites = [site(1, bodies[0].id), site(2, bodies[1].id)];
        let copies = sites.clone();
        db.write(move |tx| {
            user_add(tx, &user, "h", TEN).unwrap();
            bodies.iter().try_for_each(|body| body_add(tx, body, TEN))?;
            copies.iter().try_for_each(|site| ingest::body::site_add(tx, site))
        })
        .unwrap();
        let (events, consumer) = Self::store(&dir);
        let clock = Clock::manual(TEN);
        let runs = SavedRuns {
            audit: AuditQueue::start(db.clone(), clock.clone()).unwrap(),
            db,
            events,
            sites: Arc::new(std::sync::RwLock::new(Arc::new(SiteTable::new(sites.to_vec())))),
            pseudonyms: Arc::new(Pseudonyms::open(&dir.join("keys")).unwrap()),
            playbooks: Arc::new(Playbooks::embedded().unwrap()),
            clock,
        };
        Self { runs, consumer, seq: 0, owner, dir, _temp: temp }
    }

    fn store(dir: &std::path::Path) -> (Arc<EventStore>, EventConsumer) {
        let events = EventStore::open(&dir.join("events"), |frame, _| Some(event(frame))).unwrap();
        let consumer = EventConsumer::new(events.clone()).unwrap();
        (events, consumer)
    }

    /// As after a kill: what was only in memory comes again from the journal, which the test leaves out.
    fn restart(&mut self) {
        self.consumer.flush().unwrap();
        (self.runs.events, self.consumer) = Self::store(&self.dir);
    }

    fn line(&mut self, minute: i64, of: u128, text: &str) {
        self.seq += 1;
        let frame = NewFrame {
            received_at: TEN.plus(minute * MINUTE),
            site: SiteId(ingest::id::Ulid(of)),
            peer: std::net::Ipv4Addr::LOCALHOST.into(),
            transport: Transport::Tcp,
            kind: FrameKind::Line,
            marks: Marks::default(),
            payload: text.as_bytes().into(),
        };
        let frame = Frame { seq: Seq(self.seq), frame };
        let (seq, events) = (frame.seq, vec![event(&frame)]);
        self.consumer.apply(&Batch { first: seq, last: seq, events, frames: vec![frame], ..Batch::default() }).unwrap();
    }

    fn schedule(&self, query: &str, body: Option<BodyId>, new: NewSchedule) -> SavedSearchId {
        let viewer = self.runs.db.read(|c| user_get(c, self.owner)).unwrap().map(|user| access::viewer(&user, &[])).unwrap();
        let (asked, at) = (Asked { query: query.into(), body, ..Asked::default() }, self.runs.clock.now());
        self.runs
            .db
            .write(move |tx| {
                let id = saved_search_add(tx, &viewer, "Fehlanmeldungen", &asked, &asked.query, &[], at)?;
                schedule_set(tx, &viewer, id, Some(&new), at)?;
                Ok::<_, crate::saved_search::SavedError>(id)
            })
            .unwrap()
    }

    /// The time is `minute` minutes past ten: what a look did, as (runs, alerts).
    fn at(&self, minute: i64) -> (usize, usize) {
        self.runs.clock.set(TEN.plus(minute * MINUTE));
        let looked = self.runs.look().unwrap();
        (looked.runs, looked.alerts)
    }

    /// Title, entity, records and evidence of each alert, oldest first.
    fn alerts(&self) -> Vec<String> {
        let show = |alert: &detect::alert::Alert| {
            let seqs = self.runs.db.read(|c| alert_evidence(c, &Scope::All, alert.id)).unwrap();
            let seqs: Vec<u64> = seqs.iter().map(|seq| seq.0).collect();
            let site = alert.site_name.clone().unwrap_or_default();
            format!("{} {} {site} {} {seqs:?}", alert.title, alert.entity, alert.records)
        };
        let mut all: Vec<String> = self.runs.db.read(|c| alert_list(c, &AlertFilter::new(Scope::All))).unwrap().iter().map(show).collect();
        all.reverse();
        all
    }

    fn fault(&self, id: SavedSearchId) -> String {
        self.runs.db.read(|c| schedule_get(c, id)).unwrap().unwrap().last.fault
    }
}

fn count(n: u64) -> NewSchedule {
    NewSchedule { every_minutes: 5, threshold: Threshold::Count(n), level: Level::Informational, cool_down_minutes: 0 }
}

#[test]
fn each_interval_is_looked_at_once_and_none_is_left_out_over_a_restart() {
    let mut house = House::new();
    house.schedule("failed", None, count(2));
    house.line(1, 1, "failed a");
    house.line(4, 1, "failed b");
    house.line(4, 1, "fine");
    assert_eq!(house.at(5), (0, 0), "what is on its way is waited for");
    assert_eq!(house.at(7), (1, 1));
    assert_eq!(house.alerts(), ["Auffällige Ereignisse in einer Suche des CERT site rathaus-1 2 [1, 2]"]);
    assert_eq!(house.at(8), (0, 0), "not twice");
    house.restart();
    assert_eq!(house.at(9), (0, 0), "nor after a restart");
    // One in each of two intervals is not two in one.
    house.line(9, 1, "failed c");
    house.line(10, 1, "failed d");
    assert_eq!(house.at(17), (2, 0));
    // It stood still for an hour: every interval of it is made up for, the boundaries in their own.
    for minute in [20, 24, 39, 40] {
        house.line(minute, 2, "failed");
    }
    house.restart();
    let (mut runs, mut alerts) = (0, 0);
    while let (done @ 1.., found) = house.at(77) {
        (runs, alerts) = (runs + done, alerts + found);
    }
    assert_eq!((runs, alerts), (12, 1));
    assert_eq!(house.alerts().last().unwrap(), "Auffällige Ereignisse in einer Suche des CERT site rathaus-2 2 [6, 7]");
}

#[test]
fn of_a_pipe_the_largest_row_counts_and_its_events_are_the_evidence() {
    let mut house = House::new();
    let id = house.schedule("failed | count by user.name", None, count(3));
    for user in ["eve", "bob", "eve", "bob", "eve"] {
        house.line(1, 1, &format!("failed user={user}"));
    }
    assert_eq!((house.at(7), house.fault(id)), ((1, 1), String::new()));
    assert_eq!(house.alerts(), ["Auffällige Ereignisse in einer Suche des CERT site rathaus-1 3 [1, 3, 5]"]);
    // Three events, of two.
    for user in ["eve", "bob", "eve"] {
        house.line(6, 1, &format!("failed user={user}"));
    }
    assert_eq!(house.at(12), (1, 0));
    // Without a value of its own a row's events are all.
    house.schedule("failed | count", None, count(3));
    house.line(16, 2, "failed user=zoe");
    for _ in 0..2 {
        house.line(17, 1, "failed");
    }
    assert_eq!(house.at(27).1, 1);
    assert_eq!(house.alerts().last().unwrap(), "Fehlanmeldungen site unbekannt 3 [9, 10, 11]");
}

#[test]
fn after_an_alert_there_is_quiet() {
    let mut house = House::new();
    house.schedule("failed", None, NewSchedule { cool_down_minutes: 10, ..count(1) });
    let mut alarms = vec![];
    for minute in (0..40).step_by(5) {
        house.line(minute + 1, 1, "failed");
        alarms.push(house.at(minute + 7).1);
    }
    assert_eq!(alarms, [1, 0, 1, 0, 1, 0, 1, 0]);
}

#[test]
fn a_new_value_is_told_once_and_the_first_interval_only_learns() {
    let mut house = House::new();
    let new = NewSchedule { threshold: Threshold::NewGroup("user.name".into()), ..count(1) };
    house.schedule("login", None, new);
    house.line(1, 1, "login user=root");
    assert_eq!(house.at(7), (1, 0));
    house.line(6, 1, "login user=root");
    house.line(7, 1, "login user=eve");
    house.line(8, 2, "login user=eve");
    house.line(8, 2, "logout user=zoe");
    assert_eq!(house.at(12), (1, 1));
    house.line(11, 1, "login user=eve");
    assert_eq!(house.at(17), (1, 0));
    // Of two sites it is nobody's alone.
    assert_eq!(house.alerts(), ["Fehlanmeldungen: neu eve user:eve unbekannt 2 [3, 4]"]);
    for n in 0..30 {
        house.line(16, 1, &format!("login user=u{n}"));
    }
    assert_eq!(house.at(22), (1, 1), "very many are one alert");
}

#[test]
fn it_sees_what_its_owner_may_see_and_of_that_the_body_it_was_saved_for() {
    let mut house = House::new();
    let body = house.runs.sites().body(SiteId(ingest::id::Ulid(2)));
    house.schedule("failed", body, count(1));
    house.line(1, 1, "failed elsewhere");
    assert_eq!(house.at(7), (1, 0));
    house.line(6, 2, "failed here");
    assert_eq!(house.at(12), (1, 1));
    let owner = house.owner;
    let id = house.schedule("failed", None, count(1));
    house
        .runs
        .db
        .write(move |tx| tx.execute("UPDATE user_account SET role = 'steering' WHERE id = ?1", [owner]).map_err(DbError::from))
        .unwrap();
    house.line(13, 2, "failed");
    assert_eq!(house.at(17).1, 0);
    assert!(house.fault(id).contains("darf nicht mehr suchen"), "{}", house.fault(id));
    house
        .runs
        .db
        .write(move |tx| tx.execute("UPDATE user_account SET disabled = 1 WHERE id = ?1", [owner]).map_err(DbError::from))
        .unwrap();
    house.at(18);
    assert!(house.fault(id).contains("gesperrt"), "{}", house.fault(id));
    // What could not be done is made up for.
    house
        .runs
        .db
        .write(move |tx| tx.execute("UPDATE user_account SET disabled = 0, role = 'lead' WHERE id = ?1", [owner]).map_err(DbError::from))
        .unwrap();
    assert_eq!(house.at(18).1, 2);
    assert_eq!(house.fault(id), "");
    house.runs.audit.close();
    let rows = house.runs.db.read(|c| ingest::audit::audit_list(c, None, 100)).unwrap();
    assert_eq!(rows.iter().filter(|row| row.kind == "saved_search.ran").count(), 2, "once an hour and search");
}

#[test]
fn a_schedule_that_was_changed_meanwhile_keeps_its_change() {
    let mut house = House::new();
    let id = house.schedule("failed", None, count(1));
    house.line(1, 1, "failed");
    house.runs.clock.set(TEN.plus(7 * MINUTE));
    let (schedule, search) =
        house.runs.db.read(|c| Ok::<_, DbError>((schedule_get(c, id)?.unwrap(), saved_search_find(c, id)?.unwrap()))).unwrap();
    let run = house.runs.run(&search, &Threshold::Count(1), TEN, TEN.plus(5 * MINUTE), TEN.plus(7 * MINUTE)).unwrap();
    house.runs.db.write(move |tx| tx.execute("UPDATE search_schedule SET count_min = 99", []).map_err(DbError::from)).unwrap();
    assert_eq!(house.runs.file(&search, &schedule, &run, TEN.plus(5 * MINUTE), TEN).unwrap(), None);
    assert!(house.alerts().is_empty());
}

#[test]
fn a_value_that_cannot_be_asked_for_silences_nothing() {
    for user in ["*".repeat(40), "x".repeat(900)] {
        let mut house = House::new();
        let id = house.schedule("failed | count by user.name", None, count(1));
        // Ten such rows make a query that is too long.
        for n in 0..10 {
            house.line(1, 1, &format!("failed user={user}{n}"));
        }
        assert_eq!((house.at(7), house.fault(id)), ((1, 1), String::new()));
        assert_eq!(house.alerts(), ["Auffällige Ereignisse in einer Suche des CERT site rathaus-1 10 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"]);
    }
}

#[test]
fn what_may_be_of_several_sites_is_nobodys() {
    // The newest thousand are of one site, the oldest line is of another.
    let mut house = House::new();
    house.schedule("failed", None, count(1));
    house.schedule("failed | count by user.name", None, count(1));
    house.line(0, 2, "failed user=eve");
    for _ in 0..LIMIT_MAX {
        house.line(1, 1, "failed user=eve");
    }
    assert_eq!(house.at(7), (2, 2));
    let alerts = house.alerts();
    assert!(alerts.iter().all(|alert| alert.starts_with("Fehlanmeldungen site unbekannt 100")), "{alerts:?}");
    // More than are fetched, but all counted for one.
    house.runs.clock.set(TEN.plus(10 * MINUTE));
    for _ in 0..=LIMIT_MAX {
        house.line(11, 2, "failed");
    }
    house.at(17);
    assert!(house.alerts().iter().any(|alert| alert.contains("site rathaus-2 1001 ")), "{:?}", house.alerts());
    // Eleven rows pass, and ten of them are looked at.
    let mut house = House::new();
    house.schedule("failed | count by user.name", None, count(1));
    for n in 0..11 {
        house.line(1, if n == 10 { 2 } else { 1 }, &format!("failed user=u{n:02}"));
    }
    assert_eq!(house.at(7), (1, 1));
    assert_eq!(house.alerts(), ["Fehlanmeldungen site unbekannt 10 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"]);
}

#[test]
fn a_fault_does_not_undo_a_change() {
    let house = House::new();
    let id = house.schedule("failed", None, count(1));
    let schedule = house.runs.db.read(|c| schedule_get(c, id)).unwrap().unwrap();
    let later = TEN.plus(60 * MINUTE);
    house
        .runs
        .db
        .write(move |tx| tx.execute("UPDATE search_schedule SET done_until = ?1, learned = 1", [later.0]).map_err(DbError::from))
        .unwrap();
    assert_eq!(house.runs.failed(&schedule, "kaputt".into(), TEN).unwrap(), None);
    let kept = house.runs.db.read(|c| schedule_get(c, id)).unwrap().unwrap();
    assert_eq!((kept.done_until, kept.learned, kept.last.fault.as_str()), (later, true, ""));
}

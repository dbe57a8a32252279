//! Turns of feeds over a made-up net: what is asked, what becomes of the list, and what is said where it fails.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::super::{ListFilter, MIGRATIONS, Tlp, indicator_list, warning_lists};
use super::*;

/// Answers by address; a request for what has not changed gets 304.
#[derive(Clone, Default)]
struct Net(Arc<Mutex<Answers>>);

#[derive(Default)]
struct Answers {
    pages: HashMap<String, (u16, String, Option<String>)>,
    asked: Vec<String>,
}

impl Net {
    fn put(&self, url: &str, status: u16, body: &str) -> &Self {
        self.0.lock().unwrap().pages.insert(url.into(), (status, body.into(), None));
        self
    }

    fn added(&self, url: &str, body: &str, last: &str) -> &Self {
        self.0.lock().unwrap().pages.insert(url.into(), (200, body.into(), Some(last.into())));
        self
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }
}

impl Fetch for Net {
    fn get(&self, request: &Request<'_>) -> Result<Response, String> {
        let mut net = self.0.lock().unwrap();
        net.asked.push(request.url.clone());
        let Some((status, body, added_last)) = net.pages.get(&request.url).cloned() else { return Err("no route to host".into()) };
        let etag = format!("{body:?}");
        let status = if status == 200 && request.etag == Some(&etag) { 304 } else { status };
        Ok(Response { status, etag: Some(etag), modified: None, added_last, body: Box::new(std::io::Cursor::new(body)) })
    }
}

struct World {
    _dir: tempfile::TempDir,
    db: Db,
    net: Net,
    now: Timestamp,
}

const MINUTE: i64 = Timestamp::MINUTE;

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        Self { _dir: dir, db, net: Net::default(), now: Timestamp(1_780_272_000_000) }
    }

    fn turn(&mut self, feed: &Feed) -> FeedState {
        self.now = self.now.plus(i64::from(feed.every_minutes) * MINUTE);
        let declared = [feed.clone()];
        self.db.write(move |tx| feed_declare(tx, &declared)).unwrap();
        feeds_look(std::slice::from_ref(feed), &self.net, &self.db, self.now).unwrap();
        self.db.read(feed_list).unwrap()[0].state.clone()
    }

    fn values(&self) -> Vec<String> {
        let rows = self.db.read(|c| indicator_list(c, &ListFilter::default(), self.now, 100)).unwrap();
        let mut values: Vec<String> = rows.iter().map(|row| row.indicator.pattern.value()).collect();
        values.sort();
        values
    }
}

fn feed(kind: FeedKind, url: &str) -> Feed {
    let defaults = Defaults { list: "Liste".into(), tlp: Tlp::Green, confidence: 70, valid_days: None, column: None };
    Feed { kind, url: url.into(), every_minutes: 60, defaults, credentials: Credentials::None, collection: String::new() }
}

#[test]
fn a_document_is_the_list_as_a_whole() {
    let mut world = World::new();
    let url = "https://feeds.example/list.txt";
    let feed = feed(FeedKind::Document(Format::Text), url);
    world.net.put(url, 200, "203.0.113.7\nbad.example\nwort\n");
    let state = world.turn(&feed);
    assert_eq!((state.added, state.report.taken, state.failure), (2, 2, None));
    assert!(world.turn(&feed).unchanged, "the second time it answers that nothing has changed");
    world.net.put(url, 200, "bad.example\nworse.example\n");
    let state = world.turn(&feed);
    assert_eq!((state.added, state.dropped, state.unchanged), (1, 1, false));
    assert_eq!(world.values(), ["bad.example", "worse.example"]);
    // Nothing at all is not believed, and no more is an error of theirs.
    for (status, body, failure) in [
        (200, "# nichts\n", Failure::Empty),
        (503, "", Failure::Theirs),
        (403, "", Failure::Refused),
        (404, "", Failure::NotThere),
        (302, "", Failure::Elsewhere),
    ] {
        world.net.put(url, status, body);
        assert_eq!(world.turn(&feed).failure.map(|(failure, _)| failure), Some(failure));
        assert_eq!(world.values(), ["bad.example", "worse.example"]);
    }
    world.net.put(url, 200, "bad.example\n");
    assert_eq!(world.turn(&feed).failure, None);
    let elsewhere = Feed { url: "https://feeds.example/gone".into(), ..feed };
    assert_eq!(world.turn(&elsewhere).failure, Some((Failure::Unreachable, "no route to host".into())));
}

#[test]
fn a_feed_is_asked_when_it_is_due() {
    let mut world = World::new();
    let url = "https://feeds.example/list.txt";
    let feed = feed(FeedKind::Document(Format::Text), url);
    world.net.put(url, 503, "");
    world.turn(&feed);
    let feeds = [feed];
    let asked = |world: &World, minutes: i64| {
        feeds_look(&feeds, &world.net, &world.db, world.now.plus(minutes * MINUTE)).unwrap();
        world.net.asked().len()
    };
    world.net.asked();
    assert_eq!([14, 15, 29, 30].map(|minutes| asked(&world, minutes)), [0, 1, 0, 1], "after a failure four times as often");
    world.net.put(url, 200, "bad.example\n");
    assert_eq!([45, 60, 104, 105].map(|minutes| asked(&world, minutes)), [1, 0, 0, 1]);
    assert!(world.db.write(|tx| feed_hurry(tx, "Liste")).unwrap());
    assert_eq!(asked(&world, 106), 1);
    assert!(!world.db.write(|tx| feed_hurry(tx, "fehlt")).unwrap());
}

#[test]
fn a_misp_feed_brings_the_events_that_changed() {
    let mut world = World::new();
    let feed = feed(FeedKind::MispFeed, "https://misp.example/feed/");
    let ids = ["0d9e6a3b-2f5c-4c58-9a57-7c0f4f0b1e21", "1d9e6a3b-2f5c-4c58-9a57-7c0f4f0b1e22"];
    let event = |value: &str| format!(r#"{{"Event":{{"Attribute":[{{"uuid":"a","type":"domain","value":"{value}","to_ids":true}}]}}}}"#);
    let manifest = |entries: &[(usize, i64)]| {
        let entries: Vec<String> = entries.iter().map(|(n, at)| format!(r#""{}":{{"timestamp":"{at}"}}"#, ids[*n])).collect();
        format!("{{{}}}", entries.join(","))
    };
    let page = |n: usize| format!("https://misp.example/feed/{}.json", ids[n]);
    world.net.put("https://misp.example/feed/manifest.json", 200, &manifest(&[(0, 5), (1, 7)]));
    world.net.put(&page(0), 200, &event("bad.example")).put(&page(1), 500, "");
    // The second one fails: what came before it is not fetched again.
    assert_eq!(world.turn(&feed).failure.map(|(failure, _)| failure), Some(Failure::Theirs));
    world.net.put(&page(1), 200, &event("worse.example"));
    world.net.asked();
    assert_eq!(world.turn(&feed).failure, None);
    assert_eq!(world.net.asked(), ["https://misp.example/feed/manifest.json", &page(1)]);
    assert_eq!(world.values(), ["bad.example", "worse.example"]);
    world.net.put("https://misp.example/feed/manifest.json", 200, &manifest(&[(0, 9), (1, 7)]));
    world.net.put(&page(0), 200, &event("new.example"));
    world.turn(&feed);
    assert_eq!(world.values(), ["bad.example", "new.example", "worse.example"], "an event of a feed is no whole list");
}

#[test]
fn taxii_from_the_discovery_to_the_last_page() {
    let mut world = World::new();
    let feed = Feed { collection: "Indikatoren".into(), ..feed(FeedKind::Taxii, "https://taxii.example/taxii2") };
    let query = "objects/?limit=5000&match%5Btype%5D=indicator,marking-definition";
    let root = "https://taxii.example/api1/collections/";
    let object = |id: u32| {
        format!(r#"{{"type":"indicator","id":"indicator--{id}","pattern_type":"stix","pattern":"[domain-name:value = 'n{id}.example']"}}"#)
    };
    world.net.put("https://taxii.example/taxii2/", 200, r#"{"title":"t","default":"/api1/","api_roots":["/api1/"]}"#);
    world.net.put(
        root,
        200,
        r#"{"collections":[{"id":"91a7","title":"Anderes","can_read":true},{"id":"92b8","title":"Indikatoren","can_read":true}]}"#,
    );
    world.net.put(&format!("{root}92b8/{query}"), 200, &format!(r#"{{"more":true,"next":"p 2","objects":[{}]}}"#, object(1)));
    world.net.added(
        &format!("{root}92b8/{query}&next=p%202"),
        &format!(r#"{{"more":false,"objects":[{}]}}"#, object(2)),
        "2026-05-01T00:00:00Z",
    );
    let state = world.turn(&feed);
    assert_eq!((state.failure, state.added, state.added_after.as_deref()), (None, 2, Some("2026-05-01T00:00:00Z")));
    assert_eq!(world.values(), ["n1.example", "n2.example"]);
    // The next turn asks for what was added since.
    let since = format!("{root}92b8/{query}&added_after=2026-05-01T00%3A00%3A00Z");
    world.net.put(&since, 200, "{}");
    let state = world.turn(&feed);
    assert_eq!((state.failure, state.unchanged), (None, true));
    // A page that says more, but not where, is no endless loop.
    world.net.put(&since, 200, r#"{"more":true,"objects":[]}"#);
    assert_eq!(world.turn(&feed).failure.map(|(failure, _)| failure), Some(Failure::Theirs));
    let wrong = Feed { collection: "fehlt".into(), ..feed.clone() };
    assert_eq!(world.turn(&wrong).failure, Some((Failure::NotThere, "collection \"fehlt\"; there are: Anderes, Indikatoren".into())));
    world.net.put("https://taxii.example/taxii2/", 200, r#"{"api_roots":["https://evil.example/api1/"]}"#);
    assert_eq!(world.turn(&feed).failure.map(|(failure, _)| failure), Some(Failure::Elsewhere));
}

#[test]
fn a_warning_list_is_fetched_like_any_other() {
    let mut world = World::new();
    let url = "https://feeds.example/list.json";
    let feed = feed(FeedKind::Document(Format::Warning), url);
    world.net.put(url, 200, r#"{"name":"Top","description":"besucht","type":"hostname","list":["gut.example","auch.example"]}"#);
    world.turn(&feed);
    let lists = |world: &World| {
        world.db.read(warning_lists).unwrap().iter().map(|list| format!("{} {}", list.list, list.entries)).collect::<Vec<_>>()
    };
    assert_eq!(lists(&world), ["Liste 2"]);
    world.net.put(url, 200, r#"{"name":"Top","type":"hostname","list":["gut.example"]}"#);
    world.turn(&feed);
    assert_eq!(lists(&world), ["Liste 1"]);
}

//! The live tail as a browser meets it: over the real router, a real store and its consumer.

use std::path::Path;
use std::pin::Pin;

use axum::body::{Body, HttpBody as _};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use detect::role::Role;
use expect_test::expect;
use ingest::body::SITE_UNKNOWN;
use ingest::events::EventConsumer;
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Transport};
use ingest::pipeline::{Batch, Consumer as _};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::super::tests::{Front, now};
use super::*;
use crate::live::Hub;

/// A front over a store that the test fills.
struct Open {
    front: Front,
    app: App,
    consumer: EventConsumer,
    seq: u64,
    _dir: tempfile::TempDir,
}

fn event(frame: &Frame) -> Event {
    let inner = &frame.frame;
    let mut event = Event::new(frame.seq, inner.received_at, inner.site, inner.peer, inner.transport, &inner.payload);
    event.timestamp = inner.received_at;
    event.set_message(0..event.raw().len());
    event
}

fn store(dir: &Path) -> (Arc<EventStore>, EventConsumer) {
    let store = EventStore::open(dir, |frame, _| Some(event(frame))).unwrap();
    let consumer = EventConsumer::new(store.clone()).unwrap();
    (store, consumer)
}

impl Open {
    fn new() -> Self {
        let (front, dir) = (Front::new(), tempfile::tempdir().unwrap());
        let (events, consumer) = store(dir.path());
        let live = Arc::new(Hub::new(CancellationToken::new(), Duration::from_secs(3_600)));
        let app = App { live, events: Some(events), ..front.app.clone() };
        Self { front, app, consumer, seq: 0, _dir: dir }
    }

    async fn get(&self, path: &str, cookie: &str, last: &str) -> Response {
        let request = Request::get(path).header(header::COOKIE, cookie).header("last-event-id", last);
        super::super::router(self.app.clone()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn tail(&self, query: &str, cookie: &str, last: &str) -> Body {
        let response = self.get(&format!("/suche/strom?q={query}"), cookie, last).await;
        assert_eq!(response.status(), StatusCode::OK);
        let mut body = response.into_body();
        assert!(next(&mut body).await.contains("event: hallo"));
        body
    }

    /// Frames of these lines, as one batch of the pipeline.
    fn come(&mut self, lines: &[String]) {
        let frame = |line: &String| {
            self.seq += 1;
            let frame = NewFrame {
                received_at: now(),
                site: SITE_UNKNOWN,
                peer: std::net::Ipv4Addr::LOCALHOST.into(),
                transport: Transport::Tcp,
                kind: FrameKind::Line,
                marks: Marks::default(),
                payload: line.as_bytes().into(),
            };
            Frame { seq: Seq(self.seq), frame }
        };
        let frames: Vec<Frame> = lines.iter().map(frame).collect();
        let (first, last) = (frames.first().unwrap().seq, frames.last().unwrap().seq);
        let events = frames.iter().map(event).collect();
        self.consumer.apply(&Batch { first, last, events, frames, ..Batch::default() }).unwrap();
    }
}

fn lines(text: &str, n: usize) -> Vec<String> {
    (0..n).map(|n| format!("{text} {n}")).collect()
}

async fn next(body: &mut Body) -> String {
    let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
    frame.map_or_else(String::new, |frame| String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
}

/// What a piece tells: the lines' numbers, and how many fitted, were left out, were not looked at; the place behind it.
fn told(text: &str) -> (Vec<u64>, [u64; 3], String) {
    let find = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    let data: Value = serde_json::from_str(&find("data: ")).unwrap();
    let seqs = data["zeilen"].as_array().unwrap().iter().map(|line| line[0].as_u64().unwrap()).collect();
    (seqs, ["treffer", "ausgelassen", "ungesehen"].map(|name| data[name].as_u64().unwrap()), find("id: "))
}

#[tokio::test]
async fn lines_come_as_they_come_and_only_those_asked_for() {
    let mut open = Open::new();
    let (cookie, _) = open.front.enter(Role::Analyst);
    let mut body = open.tail("failed", &cookie, "").await;
    open.come(&["sshd failed <b>".into(), "all is well".into(), "failed\u{202e} again".into()]);
    let text = next(&mut body).await;
    expect![[r#"
        id: 3
        event: zeilen
        data: {"zeilen":[[1,"14:02:09.000","unbekannt","","","sshd failed <b>"],[3,"14:02:09.000","unbekannt","","","failed⟨202E⟩ again"]],"treffer":2,"ausgelassen":0,"ungesehen":0}

    "#]]
    .assert_eq(&text);
}

#[tokio::test]
async fn who_comes_back_gets_every_line_once_from_disk_memory_and_ring() {
    for listened_to in [false, true] {
        comes_back(listened_to).await;
    }
}

async fn comes_back(listened_to: bool) {
    let mut open = Open::new();
    let (cookie, _) = open.front.enter(Role::Analyst);
    let mut body = open.tail("x", &cookie, "").await;
    open.come(&lines("x", 3));
    let (seen, _, id) = told(&next(&mut body).await);
    drop(body);
    // Another page goes on listening, or does not: then the ring holds nothing of this.
    let other = if listened_to { Some(open.tail("nothing", &cookie, "").await) } else { None };
    assert_eq!((seen, id.as_str()), (vec![1, 2, 3], "3"));
    // Part of it goes to disk, part stays in memory.
    open.come(&lines("x", 3_000));
    open.consumer.flush().unwrap();
    open.come(&lines("y", 10));
    open.come(&lines("x", 2_000));
    let mut body = open.tail("x", &cookie, &id).await;
    open.come(&lines("x", 5));
    let (mut got, mut last) = (vec![], String::new());
    while last != open.seq.to_string() {
        let (seqs, [fits, left_out, unseen], id) = told(&next(&mut body).await);
        assert_eq!((fits as usize, left_out, unseen), (seqs.len(), 0, 0), "{listened_to}");
        got.extend(seqs);
        last = id;
    }
    let expected: Vec<u64> = (4..=open.seq).filter(|seq| !(3_004..=3_013).contains(seq)).collect();
    assert_eq!(got, expected);
    drop(other);
}

#[tokio::test]
async fn who_was_away_too_long_is_told_what_he_does_not_get() {
    let mut open = Open::new();
    let (cookie, _) = open.front.enter(Role::Analyst);
    for _ in 0..6 {
        open.come(&lines("x", 10_000));
    }
    let mut body = open.tail("nothing", &cookie, "10").await;
    let (_, counts, id) = told(&next(&mut body).await);
    assert_eq!((counts, id.parse::<u64>().unwrap()), ([0, 0, 60_000 - GAP_MAX - 10], 60_000 - GAP_MAX + PIECE as u64));
}

#[tokio::test]
async fn more_than_a_page_takes_is_left_out_and_counted() {
    let mut open = Open::new();
    let (cookie, _) = open.front.enter(Role::Analyst);
    let mut body = open.tail("x", &cookie, "").await;
    open.come(&lines("x", 4_000));
    let (seqs, counts, _) = told(&next(&mut body).await);
    assert_eq!((seqs, counts), ((3_901..=4_000).collect(), [4_000, 3_900, 0]));
    // More than the ring holds between two rounds.
    for _ in 0..5 {
        open.come(&lines("x", 10_000));
    }
    let (mut fits, mut unseen, mut last) = (0, 0, String::new());
    while last != open.seq.to_string() {
        let (seqs, counts, id) = told(&next(&mut body).await);
        assert!(seqs.len() <= LINES_PER_ROUND_MAX);
        (fits, unseen, last) = (fits + counts[0], unseen + counts[2], id);
    }
    assert_eq!(fits + unseen, 50_000);
    assert!(unseen >= 10_000, "{unseen}");
}

#[tokio::test]
async fn a_query_that_is_none_is_refused_and_looking_on_is_noted() {
    let open = Open::new();
    let (cookie, _) = open.front.enter(Role::Analyst);
    assert_eq!(open.get("/suche/strom?q=(", &cookie, "").await.status(), StatusCode::CONFLICT);
    drop(open.tail("user.name:root", &cookie, "").await);
    drop(open.tail("user.name:root", &cookie, "7").await);
    drop(open.tail("y", &cookie, "").await);
    open.app.audit.close();
    let rows = open.app.db.read(|c| ingest::audit::audit_list(c, None, 100)).unwrap();
    let tailed: Vec<&Value> = rows.iter().filter(|row| row.kind == "search.tailed").map(|row| &row.detail["query"]).collect();
    assert_eq!(tailed.len(), 2, "{tailed:?}");
    assert!(!tailed.iter().any(|query| query.to_string().contains("root")), "no person by a real value: {tailed:?}");
}

#[tokio::test]
async fn the_page_shows_the_newest_and_the_stream_goes_on_behind_them() {
    let mut open = Open::new();
    let (cookie, _) = open.front.enter(Role::Analyst);
    open.come(&lines("x", 60));
    let page = open.get("/suche/live?q=x", &cookie, "").await;
    let page = String::from_utf8(axum::body::to_bytes(page.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
    assert!(page.contains("data-since=\"60\"") && page.contains("data-tail=\"/suche/strom?q=x\""), "{page}");
    assert_eq!(page.matches("data-key=").count(), 50);
    let (at60, at59) = (page.find("data-key=\"60\"").unwrap(), page.find("data-key=\"59\"").unwrap());
    assert!(at60 < at59);
}

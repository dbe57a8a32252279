//! Exports as a receiver meets them, and searches that nobody waits for any more.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::http::StatusCode;
use detect::role::Role;
use ingest::decode::{Options, decode};
use ingest::events::{EventConsumer, EventStore};
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use ingest::pipeline::{Batch, Consumer};
use tower::ServiceExt;

use super::tests::{Front, now};
use super::*;

/// A store with so many lines of the last minutes, half of which say `failed`.
pub(super) fn filled(front: &mut Front, dir: &std::path::Path, lines: u64) -> EventConsumer {
    let store = EventStore::open(dir, |frame, _| decode(frame, &Options::default())).unwrap();
    front.app.events = Some(store.clone());
    front.router = router(front.app.clone());
    let mut consumer = EventConsumer::new(store).unwrap();
    let frame = |seq: u64| {
        let word = ["failed", "=1+1"][seq as usize % 2];
        let received_at = now().plus(seq as i64 - 600_000);
        let payload = format!("{word} line {seq}").into_bytes().into();
        let (site, peer, kind) = (ingest::body::SITE_UNKNOWN, Ipv4Addr::LOCALHOST.into(), FrameKind::Line);
        Frame {
            seq: Seq(seq),
            frame: NewFrame { received_at, site, peer, transport: Transport::Udp, kind, marks: Marks::default(), payload },
        }
    };
    let frames: Vec<Frame> = (1..=lines).map(frame).collect();
    let events = frames.iter().filter_map(|frame| decode(frame, &Options::default())).collect();
    let batch = Batch { first: Seq(1), last: Seq(lines), events, frames, sites: front.app.sites(), ..Batch::default() };
    consumer.apply(&batch).unwrap();
    consumer.flush().unwrap();
    consumer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_every_hit_and_leaves_a_row_in_the_audit_log() {
    let mut front = Front::new();
    let dir = tempfile::tempdir().unwrap();
    let _consumer = filled(&mut front, dir.path(), 5_000);
    let (cookie, _) = front.enter(Role::Analyst);
    let csv = front.get("/suche/export.csv?q=line&zeit=24h", &cookie).await;
    assert_eq!((csv.status, csv.header("content-type")), (StatusCode::OK, "text/csv; charset=utf-8"));
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"ereignisse.csv\"");
    assert_eq!(csv.text.lines().count(), 5_001, "and a head");
    assert!(csv.text.contains(";'=1+1 line 4999\r\n"), "no cell is a formula");
    let ndjson = front.get("/suche/export.ndjson?q=failed&zeit=24h&ordnung=alt", &cookie).await;
    assert_eq!(ndjson.text.lines().count(), 2_500);
    assert!(ndjson.text.lines().next().unwrap().contains("failed line 2\""), "the oldest first");
    let parquet = front.get("/suche/export.parquet?q=failed&zeit=24h", &cookie).await;
    assert!(parquet.text.starts_with("PAR1") && parquet.text.ends_with("PAR1"));
    // Refused questions and people without a right get no file.
    assert_ne!(front.get("/suche/export.csv?q=%28&zeit=24h", &cookie).await.status, StatusCode::OK);
    let (steering, _) = front.enter(Role::Steering);
    assert_eq!(front.get("/suche/export.csv?q=line", &steering).await.status, StatusCode::FORBIDDEN);
    let (auditor, _) = front.enter(Role::Auditor);
    front.app.audit.flush();
    let log = front.get("/protokoll.csv", &auditor).await.text;
    assert_eq!(log.matches("search.exported").count(), 3, "{log}");
    assert!(log.contains("ndjson") && log.contains("oldest_first"), "{log}");
    front.app.audit.flush();
    let rows = front.app.db.read(|c| ingest::audit::audit_list(c, None, 100)).unwrap();
    let ended: Vec<String> = rows.iter().rev().filter(|row| row.kind == "search.export_ended").map(|row| row.detail.to_string()).collect();
    assert_eq!(
        ended,
        [
            r#"{"format":"csv","events":5000,"broken_off":false}"#,
            r#"{"format":"ndjson","events":2500,"broken_off":false}"#,
            r#"{"format":"parquet","events":2500,"broken_off":false}"#,
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_makes_a_table_on_the_page_and_in_a_file() {
    let mut front = Front::new();
    let dir = tempfile::tempdir().unwrap();
    let _consumer = filled(&mut front, dir.path(), 500);
    let (cookie, _) = front.enter(Role::Analyst);
    let table = front.get("/suche?q=line+%7C+count+by+event.kind", &cookie).await.text;
    assert!(table.contains("1 Zeile aus 500 Ereignissen") && table.contains("kein Wert"), "{table}");
    assert!(table.contains("href=\"/suche?q=line%20AND%20NOT%20event.kind%3A%2A&#38;zeit=24h\">500</a>"), "{table}");
    for (pipe, expected) in [
        ("histogram 1h", "data-brush="),
        ("patterns", "Diese Zeilen zeigen"),
        ("distinct event.kind", "Verschiedene"),
        ("stats count, max(@timestamp)", "max(@timestamp)"),
        ("fields @timestamp, message", "line 500"),
        ("top host.name", "Kein Treffer hat einen Wert in diesen Feldern."),
    ] {
        let page = front.get(&format!("/suche?q={}", crate::show::query_encode(&format!("line | {pipe}"))), &cookie).await;
        assert!(page.status == StatusCode::OK && page.text.contains(expected), "{pipe}: {}", page.text);
    }
    let nothing = front.get("/suche?q=gibtesnicht+%7C+count+by+site", &cookie).await.text;
    assert!(nothing.contains("Keine Treffer") && nothing.contains("Ohne | count by site"), "{nothing}");
    let csv = front.get("/suche/export.csv?q=failed+%7C+count", &cookie).await;
    assert_eq!(
        (csv.header("content-disposition"), csv.text.as_str()),
        ("attachment; filename=\"tabelle.csv\"", "\u{feff}count\r\n250\r\n")
    );
    let json = front.get("/suche/export.ndjson?q=failed+%7C+count", &cookie).await;
    assert_eq!(json.text, "{\"count\":250}\n");
    assert_ne!(front.get("/suche/export.parquet?q=failed+%7C+count", &cookie).await.status, StatusCode::OK);
    // A table does not come line by line.
    let live = front.get("/suche/live?q=failed+%7C+count", &cookie).await.text;
    assert!(live.contains("keine Tabelle") && live.contains("/suche/live?q=failed\"") && !live.contains("data-tail="), "{live}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_field_is_counted_on_demand_and_each_value_leads_both_ways() {
    let mut front = Front::new();
    let dir = tempfile::tempdir().unwrap();
    let _consumer = filled(&mut front, dir.path(), 50);
    let (cookie, _) = front.enter(Role::Analyst);
    let page = front.get("/suche?q=line&nach=observer.ip,gibt.es.nicht&nach=user.name", &cookie).await.text;
    assert!(page.contains(">observer.ip</a>") && page.contains("/suche?q=line%20AND%20observer.ip%3A%22127.0.0.1%22"), "{page}");
    assert!(page.contains("/suche?q=line%20AND%20NOT%20observer.ip%3A%22127.0.0.1%22"), "{page}");
    assert!(page.contains("Kein Ereignis hat dieses Feld.") && page.contains("nach=user.name\""), "each can be taken away: {page}");
    assert!(page.contains("name=\"nach\" value=\"observer.ip,user.name\""), "the form keeps them");
    let event = front.get("/ereignis/25?zeilen=25", &cookie).await.text;
    assert_eq!(event.matches("data-key=").count(), 50, "{event}");
    assert!(event.contains("class=\"own\"") && event.contains("5 Minuten davor"), "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_turns_pages_or_reads_around_a_line_leaves_a_row_for_each_search_and_width() {
    let mut front = Front::new();
    let dir = tempfile::tempdir().unwrap();
    let _consumer = filled(&mut front, dir.path(), 50);
    let (cookie, _) = front.enter(Role::Analyst);
    let behind = format!("vor={}.999", now().0);
    for path in [
        format!("/suche?q=line&{behind}"),
        format!("/suche/zeilen?q=line&{behind}"),
        format!("/suche?q=line&zeit=7d&{behind}"),
        format!("/suche/zeilen?q=failed&{behind}"),
        format!("/suche/zeilen?q=failed&{behind}"),
        "/ereignis/25".to_owned(),
        "/ereignis/25?zeilen=5".to_owned(),
        "/ereignis/25?zeilen=100".to_owned(),
    ] {
        assert_eq!(front.get(&path, &cookie).await.status, StatusCode::OK, "{path}");
    }
    front.app.audit.flush();
    let rows = front.app.db.read(|c| ingest::audit::audit_list(c, None, 100)).unwrap();
    let count = |kind: &str, part: &str| rows.iter().filter(|row| row.kind == kind && row.detail.to_string().contains(part)).count();
    assert_eq!((count("search.asked", ""), count("search.paged", "line"), count("search.paged", "failed")), (0, 2, 1), "{rows:?}");
    let mut seen: Vec<&str> = rows.iter().filter(|row| row.kind == "event.seen").map(|row| row.object.as_str()).collect();
    seen.sort_unstable();
    assert_eq!(seen, ["event:25", "event:25±100"]);
}

static STARTED: AtomicBool = AtomicBool::new(false);
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// Works until nobody waits for it: as a search does.
fn works(ask: &mut Ask) -> Reply {
    STARTED.store(true, Ordering::SeqCst);
    while !ask.cancel.is_cancelled() {
        std::thread::yield_now();
    }
    ENDED.fetch_add(1, Ordering::SeqCst);
    Err(PageError::NotFound)
}

#[tokio::test(flavor = "multi_thread")]
async fn work_ends_when_its_client_has_gone() {
    let front = Front::new();
    let route = Box::leak(Box::new(routes::planted("/arbeit", Who::Public, Tenant::Nobodys, works)));
    let router = router_of(front.app.clone(), std::slice::from_ref(route));
    let request = Request::get("/arbeit").body(Body::empty()).unwrap();
    let waiting = tokio::spawn(router.oneshot(request));
    while !STARTED.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    assert_eq!(ENDED.load(Ordering::SeqCst), 0);
    // What the server does with a request whose connection ends.
    waiting.abort();
    while ENDED.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
}

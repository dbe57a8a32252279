//! The pages of the flows as somebody uses them: from a ranking to the flows behind it, on to a connection and to its lines.

use axum::http::StatusCode;
use detect::role::Role;
use ingest::flow::FlowRecord;
use ingest::flows::{FlowConsumer, FlowStore};
use ingest::frame::Seq;
use ingest::pipeline::{Batch, Consumer};
use regex::Regex;

use super::tests::{Front, now};
use super::*;

/// Twelve clients that fetch something from one server, each with an answer; one of the exporters samples.
fn filled(front: &mut Front, dir: &std::path::Path) -> FlowConsumer {
    let store = FlowStore::open(dir).unwrap();
    front.app.flows = Some(store.clone());
    front.router = router(front.app.clone());
    let mut flows: Vec<FlowRecord> = vec![];
    for n in 0..12u8 {
        let received_at = now().plus(-600_000 + i64::from(n) * 1_000);
        let there = FlowRecord {
            seq: Seq(u64::from(n) + 1),
            received_at,
            start: received_at.plus(-2_000),
            end: received_at,
            exporter: [192, 0, 2, 1].into(),
            src_ip: [10, 1, 0, n].into(),
            dst_ip: [198, 51, 100, 7].into(),
            src_port: 50_000 + u16::from(n),
            dst_port: 443,
            protocol: 6,
            tcp_flags: 0x1b,
            bytes: 1_000 * (u64::from(n) + 1),
            packets: 10,
            sampling: if n == 0 { 100 } else { 1 },
            ..FlowRecord::NONE
        };
        flows.extend([there, FlowRecord { bytes: there.bytes * 10, ..there.turned() }]);
    }
    let mut consumer = FlowConsumer::new(store);
    let batch = Batch { first: Seq(1), last: Seq(12), flows, sites: front.app.sites(), ..Batch::default() };
    consumer.apply(&batch).unwrap();
    consumer.flush().unwrap();
    consumer
}

/// The first link whose text is `text`, or that contains it where that is given.
fn link(page: &str, pattern: &str) -> String {
    let found = Regex::new(pattern).unwrap().captures(page).unwrap_or_else(|| panic!("{pattern} is not in {page}"));
    found[1].replace("&#38;", "&").replace("&amp;", "&").replace("&#x26;", "&")
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_ranking_to_the_flows_to_the_connection_to_its_lines() {
    let mut front = Front::new();
    let dir = tempfile::tempdir().unwrap();
    let _consumer = filled(&mut front, dir.path());
    let (cookie, _) = front.enter(Role::Analyst);
    let page = front.get("/fluesse", &cookie).await.text;
    for text in [
        "24 Flüsse",
        "198.51.100.7",
        "443 (https)",
        "hochgerechnet",
        "Im gleich langen Zeitraum davor gab es nichts.",
        "1 von 100",
        "class=\"chart sankey\"",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    // The server sent the most; its twelve answers are behind the number.
    let href = link(&page, "href=\"([^\"]+)#liste\">12</a>");
    let answers = front.get(&href, &cookie).await.text;
    assert!(answers.contains("12 Flüsse") && answers.contains("source.ip:&#34;198.51.100.7&#34;"), "{href}: {answers}");
    // Ways add both directions up, and lead to both.
    let both = front.get("/fluesse?q=client.ip:10.1.0.3+AND+server.port:443&feld=server.port", &cookie).await.text;
    assert!(both.contains("2 Flüsse"), "{both}");
    let connection = link(&both, "href=\"(/fluesse/verbindung[^\"]+)\"");
    let history = front.get(&connection, &cookie).await;
    assert_eq!(history.status, StatusCode::OK);
    for text in ["10.1.0.3:50003 ⇄ 198.51.100.7:443", "1 Sitzung ", "4,0 kB zum Server, 40 kB zum Client", "Ereignisse dazu"] {
        assert!(history.text.replace('\u{a0}', " ").contains(text), "{text}: {}", history.text);
    }
    let lines = link(&history.text, "href=\"(/suche[^\"]+)\">Ereignisse dazu");
    assert_eq!(front.get(&lines, &cookie).await.status, StatusCode::OK);
    // Somebody else's body has no flows here.
    let foreign = front.get(&format!("/fluesse?stelle={}", ingest::body::BodyId::new(now())), &cookie).await.text;
    assert!(foreign.contains("Keine Datenflüsse") && !foreign.contains("198.51.100.7"), "{foreign}");
    front.app.audit.flush();
    let rows = front.app.db.read(|c| ingest::audit::audit_list(c, None, 100)).unwrap();
    assert_eq!(rows.iter().filter(|row| row.kind == "flows.asked").count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_in_both_languages_and_tables() {
    let mut front = Front::new();
    let dir = tempfile::tempdir().unwrap();
    let _consumer = filled(&mut front, dir.path());
    let (cookie, _) = front.enter(Role::Analyst);
    let ask = |query: &str| format!("/fluesse?{query}");
    let nfdump = front.get(&ask("art=nfdump&q=src+ip+10.1.0.0/16+and+bytes+%3E+6k+and+not+flags+R"), &cookie).await.text;
    assert!(
        nfdump.contains("6 Flüsse") && nfdump.contains("source.ip:10.1.0.0/16 AND network.bytes:&gt;=6001 AND NOT flow.tcp_flags:RST"),
        "{nfdump}"
    );
    assert!(!nfdump.contains("art=nfdump&"), "links speak our language");
    let wrong = front.get(&ask("art=nfdump&q=dst+port+http"), &cookie).await.text;
    assert!(wrong.contains("„http“ ist keine Zahl") && wrong.contains("<span class=\"error-at\"><bdi>http</bdi></span>"), "{wrong}");
    let misspelt = front.get(&ask("q=sorce.ip:10.1.0.1"), &cookie).await.text;
    assert!(misspelt.contains("So suchen:") && misspelt.contains("/fluesse?q=source.ip"), "{misspelt}");
    for (pipe, expected) in [
        ("top 2 source.ip by bytes", "<a href=\"/fluesse?q=source.ip%3A%22198.51.100.7%22"),
        ("histogram 1m by network.transport", "class=\"chart over-time\""),
        ("stats sum(network.bytes) by server.port", "858.000"),
        ("count by flow.tcp_flags", "ACK"),
        ("head 3", "3 Zeilen"),
    ] {
        let page = front.get(&ask(&format!("q={}", crate::show::query_encode(&format!("* | {pipe}")))), &cookie).await;
        assert!(page.status == StatusCode::OK && page.text.contains(expected), "{pipe}: {}", page.text);
    }
    let both = front.get(&ask("art=nfdump&q=src+port+443+%7C+count+by+source.ip"), &cookie).await.text;
    assert!(both.contains("1 Zeile") && both.contains("aus 12 Flüssen"), "{both}");
}

//! The same at several bodies, through the built program: lines of four town halls, one case of the state.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use ingest::body::{Body, BodyId, BodyKind, Site, SiteId, body_add, site_add};
use ingest::db::Db;
use ingest::id::Ulid;
use ingest::time::{Clock, Stopwatch, Timestamp};
use serde_json::Value;

use crate::program::{PATIENCE, Server, json_lines};

/// Bodies A to E with a site each, at 127.7.1.0/24 and so on.
pub(crate) fn bodies(data: &Path) -> Vec<SiteId> {
    std::fs::create_dir_all(data).unwrap();
    // The program adds its other tables when it opens it.
    let db = Db::open(&data.join("wartburg.db"), &[ingest::body::MIGRATIONS]).unwrap();
    let sites: Vec<SiteId> = (1..=5).map(|n| SiteId(Ulid(n + 100))).collect();
    let ids = sites.clone();
    db.write(move |tx| {
        for (site, n) in ids.into_iter().zip(1u128..) {
            let name = format!("Stadt {}", ["A", "B", "C", "D", "E"][n as usize - 1]);
            let body = Body { id: BodyId(Ulid(n)), name, kind: BodyKind::Gemeinde, ags: None, kreis: "16068".into(), population: 0 };
            body_add(tx, &body, Timestamp(0))?;
            let prefixes = vec![format!("127.7.{n}.0/24").parse().unwrap()];
            let site = Site { id: site, name: format!("rathaus-{n}"), body: Some(body.id), prefixes, certificates: vec![], tokens: vec![] };
            site_add(tx, &site)?;
        }
        Ok::<_, ingest::db::DbError>(())
    })
    .unwrap();
    db.close();
    sites
}

/// Ten failed log-ins from `address` at body `n`.
fn attack(to: SocketAddr, n: u8, address: &str) {
    let socket = UdpSocket::bind((format!("127.7.{n}.9").as_str(), 0)).unwrap();
    let at = Clock::system().now().rfc3339();
    for _ in 0..10 {
        let line = format!("<86>1 {at} web sshd 1 - - Failed password for root from {address} port 22 ssh2");
        socket.send_to(line.as_bytes(), to).unwrap();
    }
}

fn incidents(data: &Path) -> Vec<Value> {
    json_lines(data, &["incidents", "--json"])
}

fn states(data: &Path) -> Vec<Vec<String>> {
    let all = incidents(data);
    let of_state = all.iter().filter(|incident| incident["body"].is_null() && incident["site"].is_null());
    of_state.map(|incident| incident["bodies"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()).collect()
}

/// What there is of the state once `fits`, or in the end.
fn states_when(data: &Path, fits: impl Fn(&[Vec<String>]) -> bool) -> Vec<Vec<String>> {
    let watch = Stopwatch::start();
    loop {
        let found = states(data);
        if fits(&found) || watch.elapsed() > PATIENCE {
            return found;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn three_bodies_are_one_case_of_the_state_and_a_fourth_joins_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    bodies(&data);
    let address = "203.0.113.77";
    let server = Server::start(&data);
    // Two bodies are two cases. The third comes after a kill: what was counted is still counted.
    attack(server.syslog_udp, 1, address);
    attack(server.syslog_udp, 2, address);
    attack(server.syslog_udp, 5, "198.51.100.5");
    let watch = Stopwatch::start();
    while incidents(&data).len() < 3 && watch.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!((incidents(&data).len(), states(&data)), (3, vec![]), "each body's own, and nothing of the state");
    std::thread::sleep(Duration::from_secs(2));
    server.kill();
    let server = Server::start(&data);
    attack(server.syslog_udp, 3, address);
    let names = |names: &[&str]| vec![names.iter().map(|name| format!("Stadt {name}")).collect::<Vec<_>>()];
    assert_eq!(states_when(&data, |found| !found.is_empty()), names(&["A", "B", "C"]));
    attack(server.syslog_udp, 4, address);
    assert_eq!(states_when(&data, |found| found.iter().any(|bodies| bodies.len() > 3)), names(&["A", "B", "C", "D"]));
    let state = incidents(&data).into_iter().find(|incident| incident["site"].is_null()).unwrap();
    assert!(state["title"].as_str().unwrap().ends_with(": 203.0.113.77 (landesweit)"), "{state}");
    assert_eq!(incidents(&data).len(), 6, "five bodies have their own beside it");
    assert!(server.terminate());
}

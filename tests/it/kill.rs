//! kill -9 under load: what was acknowledged is found afterwards, each line exactly once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::program::{Server, json_lines};

const ROUNDS: u64 = 20;
const LINES_PER_POST: u64 = 40;

/// Posts numbered lines until told to stop or refused; returns the numbers of acknowledged posts.
fn post_until(stop: &AtomicBool, next: &AtomicU64, address: std::net::SocketAddr) -> Vec<u64> {
    let agent = ureq::Agent::new_with_defaults();
    let mut acknowledged = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let first = next.fetch_add(LINES_PER_POST, Ordering::Relaxed);
        let body: String =
            (first..first + LINES_PER_POST).map(|n| format!("{{\"message\":\"numbered\",\"labels\":{{\"n\":\"{n}\"}}}}\n")).collect();
        match agent.post(format!("http://{address}/v1/ingest")).header("content-type", "application/x-ndjson").send(body) {
            Ok(response) if response.status().is_success() => acknowledged.extend(first..first + LINES_PER_POST),
            _ => break,
        }
    }
    acknowledged
}

#[test]
fn acknowledged_lines_survive_twenty_kills_exactly_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let next = Arc::new(AtomicU64::new(0));
    let mut acknowledged = HashSet::new();
    for round in 0..ROUNDS {
        let server = Server::start(&data);
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..3)
            .map(|_| {
                let (stop, next, address) = (stop.clone(), next.clone(), server.http);
                std::thread::spawn(move || post_until(&stop, &next, address))
            })
            .collect();
        // Between 150 and 700 ms: sometimes before the first commit of the stores, sometimes long after.
        std::thread::sleep(Duration::from_millis(150 + round * 7919 % 550));
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for sender in senders {
            acknowledged.extend(sender.join().unwrap());
        }
    }
    assert!(acknowledged.len() as u64 > ROUNDS * LINES_PER_POST, "only {} lines were acknowledged", acknowledged.len());
    assert!(Server::start(&data).terminate(), "SIGTERM must end well");

    let mut found: HashMap<u64, u32> = HashMap::new();
    for event in json_lines(&data, &["search", "numbered", "--json", "--limit", "10000000"]) {
        let number = event["labels.n"].as_str().unwrap().parse().unwrap();
        *found.entry(number).or_default() += 1;
    }
    let lost: Vec<_> = acknowledged.iter().filter(|n| !found.contains_key(n)).collect();
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count != 1).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged lines are lost: {lost:?}", lost.len(), acknowledged.len());
    assert!(twice.is_empty(), "found more than once: {twice:?}");
    println!("{} lines acknowledged over {ROUNDS} kills, {} found, each once", acknowledged.len(), found.len());
}

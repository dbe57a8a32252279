//! kill -9 at random moments under load: while it serves, while it starts, while it ends. What was acknowledged is found
//! afterwards, each line once.

use std::io::Read as _;
use std::time::Duration;

use super::load::{Load, Numbers, Sent};
use super::{Random, accounted_for};
use crate::program::{Server, Setup};

/// Rounds on one data directory: the stores never get to their half-minute commit between two kills, so every start
/// works in anew what all rounds before it brought, and the rounds would grow long.
const ROUNDS_PER_DIR: u64 = 20;
/// By hand a tenth of a minute's patience is enough; CI asks for 200.
const ROUNDS: u64 = 40;

#[test]
fn acknowledged_lines_survive_kills_exactly_once() {
    let rounds = std::env::var("WARTBURG_KILLS").map_or(ROUNDS, |rounds| rounds.parse().expect("WARTBURG_KILLS is a number"));
    let mut random = Random::seeded("acknowledged_lines_survive_kills_exactly_once");
    let (mut done, mut acknowledged, mut found) = (0, 0, 0);
    while done < rounds {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let (numbers, mut sent) = (Numbers::default(), Sent::default());
        for _ in 0..ROUNDS_PER_DIR.min(rounds - done) {
            match random.below(10) {
                0 => kill_at_start(&data, &mut random),
                1..=3 => kill_at_end(&data, &mut random, &numbers, &mut sent),
                _ => kill_while_serving(&data, &mut random, &numbers, &mut sent),
            }
            done += 1;
        }
        assert!(!sent.acknowledged.is_empty(), "no line was acknowledged");
        assert!(Server::start(&data).terminate(), "SIGTERM must end well");
        acknowledged += sent.acknowledged.len();
        found += accounted_for(&data, &sent);
    }
    println!("{acknowledged} lines acknowledged over {done} kills, {found} found, each once");
}

fn kill_while_serving(data: &std::path::Path, random: &mut Random, numbers: &Numbers, sent: &mut Sent) {
    let server = Server::start(data);
    let load = Load::start(&server, numbers);
    std::thread::sleep(Duration::from_millis(100 + random.below(600)));
    server.kill();
    sent.add(load.stop());
}

/// Recovery itself is interrupted: the journal's torn tail, the stores' cursors, the database's migration.
fn kill_at_start(data: &std::path::Path, random: &mut Random) {
    let mut child = Server::spawn(data, &Setup::default());
    std::thread::sleep(Duration::from_millis(random.below(250)));
    child.kill().unwrap();
    child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!said.contains("panicked"), "{said}");
}

/// The stores' commits at the end are interrupted.
fn kill_at_end(data: &std::path::Path, random: &mut Random, numbers: &Numbers, sent: &mut Sent) {
    let server = Server::start(data);
    let load = Load::start(&server, numbers);
    std::thread::sleep(Duration::from_millis(100 + random.below(300)));
    server.ask_to_end();
    std::thread::sleep(Duration::from_millis(random.below(500)));
    server.kill();
    sent.add(load.stop());
}

//! fsync fails, now and then and then always, for every file of the process. A write that was not synced was not
//! acknowledged; when the disk works again, so does the server, without a restart.

use std::time::Duration;

use super::load::{Load, Numbers, Posted, agent, post};
use super::preload::Faults;
use super::{accounted_for, conserved, health, until};
use crate::program::Server;

/// EIO, of which nobody knows what became of the page.
const EIO: u32 = 5;

#[test]
fn failed_fsyncs_are_never_acknowledged_and_pass() {
    let dir = tempfile::tempdir().unwrap();
    let Some((faults, setup)) = Faults::new(dir.path()) else { return };
    let data = dir.path().join("data");
    let mut server = Server::start_as(&data, &setup);
    let numbers = Numbers::default();
    let load = Load::start(&server, &numbers);
    until("lines are acknowledged", || load.acknowledged() > 50);

    let now_and_then = |probability: f32| format!("enable_random name=posix/io/sync/*,probability={probability},failinfo={EIO}");
    for probability in [0.05, 0.5] {
        faults.tell(&server, &now_and_then(probability));
        std::thread::sleep(Duration::from_secs(2));
    }
    faults.tell(&server, &format!("enable name=posix/io/sync/*,failinfo={EIO}"));
    until("health says that nothing can be stored", || health(&server) == 503);
    // What was under way has been answered by now: from here on nobody is told that anything is safe.
    let before = load.acknowledged();
    let mut tried = Vec::new();
    for _ in 0..5 {
        tried.push(numbers.next());
        let posted = post(&agent(), server.http, tried[tried.len() - 1..].iter().copied());
        assert!(matches!(posted, Posted::Refused(503)), "a post on a disk that does not sync must be told to come again");
    }
    assert_eq!(load.acknowledged(), before, "acknowledged although nothing could be synced");
    assert!(server.is_alive());

    faults.tell(&server, "disable name=posix/io/sync/*");
    until("lines are acknowledged again", || load.acknowledged() > before + 50);
    until("health says so", || health(&server) == 200);
    let mut sent = load.stop();
    conserved(&server);
    sent.tried.extend(tried);
    assert!(sent.refusals > 0, "no sender was ever told to come again");
    assert!(server.terminate(), "SIGTERM must end well");
    let found = accounted_for(&data, &sent);
    println!("{} lines acknowledged around failing fsyncs, {} refusals, {found} found", sent.acknowledged.len(), sent.refusals);
}

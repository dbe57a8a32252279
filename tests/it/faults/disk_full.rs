//! The disk is full: each directory of the data directory in turn stands on a file system of 8 MiB of its own that fills
//! up under load. Senders are told to come again or wait, the pages answer, the command line shows what there is, and
//! when there is space again everything goes on by itself. Mounting needs root; who is not is told and passes.

use std::fs::File;
use std::io::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ingest::time::Timestamp;

use super::load::{Load, Numbers, Posted, agent, post};
use super::preload::WrongClock;
use super::{accounted_for, conserved, health, page, until};
use crate::program::{Server, json_lines, required};

const TMPFS_BYTES: u64 = 8 << 20;
/// All that is found; more than the command's usual hundred.
const SEARCH: &[&str] = &["search", "numbered", "--json", "--limit", "10000000"];

#[test]
fn the_journal_is_full() {
    fills_up("journal");
}

#[test]
fn the_event_store_is_full() {
    fills_up("events");
}

#[test]
fn the_flow_store_is_full() {
    fills_up("flows");
}

#[test]
fn the_quarantine_is_full() {
    fills_up("quarantine");
}

#[test]
fn the_advisories_folder_is_full() {
    fills_up("advisories");
}

/// The directory itself: the database, the lock, and whatever has no folder of its own.
#[test]
fn the_database_is_full() {
    fills_up("");
}

fn fills_up(folder: &str) {
    let dir = tempfile::tempdir().unwrap();
    // By the clock the stores write what they hold after half a minute or five: it is put forward.
    let Some((clock, setup)) = WrongClock::new(dir.path()) else { return };
    let data = dir.path().join("data");
    let Some(small) = Mount::small(&data.join(folder)) else { return };
    // The database's file stands in the directory itself; what has a folder gets space of its own then.
    let roomy = if folder.is_empty() { vec!["journal", "events", "flows"] } else { Vec::new() };
    let _roomy: Vec<_> = roomy.iter().map(|name| Mount::of(&data.join(name), 256 << 20).unwrap()).collect();

    let mut server = Server::start_as(&data, &setup);
    let numbers = Numbers::default();
    let load = Load::start(&server, &numbers);
    until("lines are acknowledged", || load.acknowledged() > 100);
    send_flows(&server);
    // The stores look at their clocks once a second; what they hold is a second old by it then.
    std::thread::sleep(Duration::from_secs(3));

    // Full, and everything that is written by age is due.
    let filler = small.fill();
    clock.ahead(10 * Timestamp::MINUTE);
    if folder == "journal" {
        until("a post is told to come again", || {
            small.fill();
            matches!(post(&agent(), server.http, std::iter::empty()), Posted::Refused(503)) || health(&server) == 503
        });
    } else if !folder.is_empty() {
        // (Where the directory itself is full, the watermarks may stop the intake before the journal's own disk does.)
        let before = load.acknowledged();
        until("lines are acknowledged though this is full", || load.acknowledged() > before + 50);
    }
    let held_up = match folder {
        "events" => Some("events"),
        "flows" => Some("flows"),
        "" => Some("sources"),
        _ => None,
    };
    if let Some(consumer) = held_up {
        until("the one who writes there says that it cannot", || {
            small.fill();
            cannot_go_on(&server, consumer)
        });
    }
    assert!(server.is_alive(), "{folder}: the server has died");
    assert_eq!(page(&server, "/login").0, 200, "{folder}: the pages do not answer");
    for command in [SEARCH, &["incidents", "--json"], &["sources", "--json"]] {
        json_lines(&data, command);
    }
    let when_full = load.acknowledged();

    let shown = json_lines(&data, SEARCH).len();
    small.clear(&filler);
    until("lines are acknowledged again", || load.acknowledged() > when_full + 50);
    until("health says so", || health(&server) == 200);
    // Without a restart: what came meanwhile is in the store when it is written by age again.
    clock.ahead(20 * Timestamp::MINUTE);
    until("nobody is held up any more", || ["events", "flows", "sources", "detect"].iter().all(|name| !cannot_go_on(&server, name)));
    until("what came is found", || json_lines(&data, SEARCH).len() > shown);
    let counted = frames_counted(&data);
    until("and counted", || frames_counted(&data) > counted);
    assert!(server.is_alive());
    let mut sent = load.stop();
    conserved(&server);
    // Once more full, and killed: what is on disk is shown all the same.
    let filler = small.fill();
    server.kill();
    for command in [SEARCH, &["incidents", "--json"]] {
        json_lines(&data, command);
    }
    small.clear(&filler);

    let server = Server::start_as(&data, &setup);
    let load = Load::start(&server, &numbers);
    until("lines are acknowledged after a restart", || load.acknowledged() > 50);
    sent.add(load.stop());
    assert!(server.terminate(), "{folder}: SIGTERM must end well");
    // And ended in order, so that SQLite has put away the files in which it works.
    let filler = small.fill();
    for command in [SEARCH, &["incidents", "--json"]] {
        let shown = json_lines(&data, command).len();
        assert!(command[0] == "incidents" || shown > 0, "{folder}: {command:?} shows nothing");
    }
    small.clear(&filler);
    let found = accounted_for(&data, &sent);
    println!("{folder}: {} lines acknowledged, {} refusals, {found} found", sent.acknowledged.len(), sent.refusals);
}

/// Whether a consumer of the journal fails at the moment, as the server's metrics say.
fn cannot_go_on(server: &Server, consumer: &str) -> bool {
    page(server, "/metrics").1.contains(&format!("wartburg_consumer_stopped{{consumer=\"{consumer}\"}} 1"))
}

/// Frames in the sources' counts.
fn frames_counted(data: &Path) -> i64 {
    json_lines(data, &["sources", "--json"]).iter().map(|source| source["frames"].as_i64().unwrap()).sum()
}

/// One NetFlow v5 record, so that the flow store has something to write.
fn send_flows(server: &Server) {
    let record: Vec<u8> = [5u16, 1].iter().flat_map(|n| n.to_be_bytes()).chain(std::iter::repeat_n(1, 20 + 48)).collect();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&record, server.netflow).unwrap();
}

/// A file system in memory, gone with the test.
struct Mount(PathBuf);

impl Mount {
    fn small(at: &Path) -> Option<Self> {
        let mount = Self::of(at, TMPFS_BYTES);
        if mount.is_none() {
            assert!(!required(), "mounting a tmpfs is required here, and it needs root");
            eprintln!("skipped: mounting a tmpfs needs root");
        }
        mount
    }

    fn of(at: &Path, bytes: u64) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(at).output().ok()?;
        mounted.status.success().then(|| Self(at.to_owned()))
    }

    /// Takes all the space that is left.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::options().append(true).create(true).open(&path).unwrap();
        // In pages: a smaller rest would be left by larger pieces.
        for piece in [1 << 20, 4096] {
            while file.write_all(&vec![0; piece]).is_ok() {}
        }
        path
    }

    fn clear(&self, filler: &Path) {
        std::fs::remove_file(filler).unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: the killed server may not have closed its files yet.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

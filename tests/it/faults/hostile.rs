//! Peers that mean no good or are broken: a line without end, connections that dribble, hang half-open, or never read
//! their answers. The memory stays bounded, and who behaves is served meanwhile.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ingest::frame::PAYLOAD_BYTES_MAX;
use ingest::listen::Listener;

use super::load::{Load, Numbers, Posted, agent, post};
use super::{accounted_for, conserved, journal_lines, until};
use crate::program::Server;

/// A server's whole memory, less than the endless line has bytes. Of it the event store may hold 64 MiB of lines that wait
/// for their commit, the journal's queue 64 MiB, an index writer's arena 64 MiB; 120 MiB were seen.
const MEMORY_BYTES_MAX: u64 = 180 << 20;
const ENDLESS_BYTES: usize = 192 << 20;
const DRIBBLERS: usize = 300;

#[test]
fn a_line_without_end_takes_no_memory_and_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let numbers = Numbers::default();
    let load = Load::start(&server, &numbers);
    until("lines are acknowledged", || load.acknowledged() > 20);
    let before = load.acknowledged();

    let mut endless = TcpStream::connect(server.syslog_tcp).unwrap();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..ENDLESS_BYTES / chunk.len() {
        endless.write_all(&chunk).unwrap();
    }
    drop(endless);
    assert!(load.acknowledged() > before, "nobody else was served meanwhile");
    let sent = load.stop();
    conserved(&server);
    let memory = peak_bytes(server.pid());
    assert!(memory < MEMORY_BYTES_MAX, "{} MiB at the most", memory >> 20);
    assert!(server.terminate(), "SIGTERM must end well");
    accounted_for(&data, &sent);
    let parts: usize = journal_lines(&data).iter().filter(|line| line.starts_with("xx")).map(String::len).sum();
    assert_eq!(parts, ENDLESS_BYTES, "all of it was kept, in parts of at most {PAYLOAD_BYTES_MAX} bytes");
    println!("{} MiB of memory at the most", memory >> 20);
}

#[test]
fn dribbling_and_half_open_peers_take_no_memory_and_hold_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let numbers = Numbers::default();
    let connect = |address: SocketAddr, first: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(first.as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    // Each begins something and goes on byte by byte; a third says nothing more at all, as a peer does whose cable was cut.
    let header = "POST /v1/ingest HTTP/1.1\r\nhost: x\r\n";
    let beginnings = [
        (Some(server.syslog_tcp), "<13>begun "),
        (Some(server.syslog_tcp), "60000 <13>begun "),
        (Some(server.http), header),
        (Some(server.http), "POST /v1/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: 16777216\r\n\r\nbegun"),
        (Some(server.pages), "GET /login HTTP/1.1\r\nhost"),
        (server.address(Listener::Relp), "1 op"),
        (server.address(Listener::Relp), "1 open 60000 relp"),
        (server.address(Listener::GelfTcp), "{\"version\":"),
    ];
    let there: Vec<_> = beginnings.into_iter().filter_map(|(address, first)| Some((address?, first))).collect();
    let mut peers: Vec<_> = (0..DRIBBLERS)
        .map(|n| {
            let (address, first) = there[n % there.len()];
            (n % there.len(), connect(address, first))
        })
        .collect();
    // And one who asks for more than all buffers hold, and never reads an answer.
    let mut deaf = connect(server.pages, "");
    let request = "GET /login HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    for _ in 0..20 {
        let _ = deaf.write(request.as_bytes());
    }

    for round in 0..20 {
        for (_, peer) in peers.iter_mut().skip(round % 3).step_by(3) {
            // The server may have closed it: that is its right.
            let _ = peer.write(b"y");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // Those who are still held on to.
    peers.retain_mut(|(_, peer)| peer.read(&mut [0; 64]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
    let kinds: BTreeSet<usize> = peers.iter().map(|(kind, _)| *kind).collect();
    assert!(kinds.len() >= 4, "nearly all were ended at once: {kinds:?}");

    let load = Load::start(&server, &numbers);
    until("who behaves is served", || load.acknowledged() > 200);
    // By HTTP too, where a body that dribbles could hold the place of another.
    let posted: Vec<u64> = (0..20).map(|_| numbers.next()).collect();
    for number in &posted {
        assert!(matches!(post(&agent(), server.http, std::iter::once(*number)), Posted::Accepted), "a post waits for those who dribble");
    }
    // Meanwhile, that is, and not after the time-out that ends the others.
    peers.retain_mut(|(_, peer)| peer.read(&mut [0; 64]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
    let held: BTreeSet<usize> = peers.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(held, kinds, "who behaves was served only when others had been ended: {there:?}");
    let mut sent = load.stop();
    sent.tried.extend(&posted);
    sent.acknowledged.extend(posted);
    conserved(&server);
    let memory = peak_bytes(server.pid());
    assert!(memory < MEMORY_BYTES_MAX, "{} MiB at the most", memory >> 20);
    drop((peers, deaf));
    conserved(&server);
    assert!(server.terminate(), "SIGTERM must end well");
    accounted_for(&data, &sent);
    println!("{} MiB of memory at the most", memory >> 20);
}

/// The most memory that a process ever had.
fn peak_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

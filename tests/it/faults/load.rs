//! Senders that do not rest: HTTP, RELP and TCP, each line with a number of its own. A line that is sent again is
//! another attempt and has another number, so that "exactly once" can be asked of every number, and what a sender was
//! told can be held against what is found.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ingest::listen::Listener;

use crate::program::Server;

/// Lines of one burst; after it a sender rests, so that hundreds of rounds stay a small store.
const BURST: u64 = 5;
const REST: Duration = Duration::from_millis(4);
/// RELP lines that wait for their answers.
const WINDOW: usize = 32;
/// How long a read or write may hang before the sender looks whether it should stop.
const LOOK_UP: Duration = Duration::from_millis(50);
/// What a server that is not there costs before it is tried again.
const RECONNECT: Duration = Duration::from_millis(20);

/// Gives numbers; over all senders and rounds of one test, each once.
#[derive(Clone, Default)]
pub(crate) struct Numbers(Arc<AtomicU64>);

impl Numbers {
    fn take(&self, count: u64) -> std::ops::Range<u64> {
        let first = self.0.fetch_add(count, Ordering::Relaxed);
        first..first + count
    }

    pub(crate) fn next(&self) -> u64 {
        self.take(1).start
    }
}

/// A line with its number between hashes, where `numbers_in` finds it.
pub(crate) fn line(number: u64) -> String {
    format!("<13>1 2026-11-21T10:00:00Z rathaus app 7 - - numbered #{number}#")
}

/// What became of the numbers, as the senders know it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    /// Answered: 200 or RELP's `rsp 200`. These must be found.
    pub(crate) acknowledged: BTreeSet<u64>,
    /// Given to a socket at least in part. Nothing else may be found.
    pub(crate) tried: BTreeSet<u64>,
    /// Per plain TCP connection the numbers in order: what is found of it must be its beginning.
    pub(crate) streams: Vec<Vec<u64>>,
    /// Answers that told the sender to come again.
    pub(crate) refusals: u64,
}

impl Sent {
    pub(crate) fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.tried.extend(other.tried);
        self.streams.extend(other.streams);
        self.refusals += other.refusals;
    }
}

/// Running senders.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    senders: Vec<JoinHandle<Sent>>,
}

/// What each sender has at hand.
#[derive(Clone)]
struct Desk {
    numbers: Numbers,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
}

impl Desk {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn acknowledge(&self, sent: &mut Sent, numbers: impl IntoIterator<Item = u64>) {
        let before = sent.acknowledged.len();
        sent.acknowledged.extend(numbers);
        self.acknowledged.fetch_add((sent.acknowledged.len() - before) as u64, Ordering::Relaxed);
    }
}

impl Load {
    /// Two senders by each way that the server has.
    pub(crate) fn start(server: &Server, numbers: &Numbers) -> Self {
        let desk = Desk { numbers: numbers.clone(), stop: Arc::default(), acknowledged: Arc::default() };
        let mut senders = Vec::new();
        let mut add = |address: Option<SocketAddr>, send: fn(&Desk, SocketAddr) -> Sent| {
            let Some(address) = address else { return };
            for _ in 0..2 {
                let desk = desk.clone();
                senders.push(std::thread::spawn(move || send(&desk, address)));
            }
        };
        add(Some(server.http), http);
        add(server.address(Listener::Relp), relp);
        add(Some(server.syslog_tcp), tcp);
        Self { stop: desk.stop, acknowledged: desk.acknowledged, senders }
    }

    /// Lines acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        let mut sent = Sent::default();
        for sender in self.senders {
            sent.add(sender.join().unwrap());
        }
        sent
    }
}

/// What came of a post.
pub(crate) enum Posted {
    Accepted,
    Refused(u16),
    Broken,
}

/// Posts lines with these numbers as NDJSON. Their days differ, so that the event store commits several partitions one
/// after another, and a kill comes between two of them.
pub(crate) fn post(agent: &ureq::Agent, address: SocketAddr, numbers: impl Iterator<Item = u64>) -> Posted {
    let body: String =
        numbers.map(|n| format!("{{\"@timestamp\":\"2026-11-1{}T10:00:00Z\",\"message\":\"numbered #{n}#\"}}\n", n % 5)).collect();
    match agent.post(format!("http://{address}/v1/ingest")).header("content-type", "application/x-ndjson").send(body) {
        Ok(response) if response.status().is_success() => Posted::Accepted,
        Ok(response) => Posted::Refused(response.status().as_u16()),
        Err(_) => Posted::Broken,
    }
}

pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(20))).build().into()
}

fn http(desk: &Desk, address: SocketAddr) -> Sent {
    let (agent, mut sent) = (agent(), Sent::default());
    while !desk.stopped() {
        let numbers = desk.numbers.take(BURST);
        sent.tried.extend(numbers.clone());
        match post(&agent, address, numbers.clone()) {
            Posted::Accepted => desk.acknowledge(&mut sent, numbers),
            Posted::Refused(_) => {
                sent.refusals += 1;
                std::thread::sleep(RECONNECT);
            }
            Posted::Broken => std::thread::sleep(RECONNECT),
        }
        std::thread::sleep(REST);
    }
    sent
}

fn tcp(desk: &Desk, address: SocketAddr) -> Sent {
    let mut sent = Sent::default();
    while !desk.stopped() {
        let Some(mut stream) = connect(address) else { continue };
        let mut numbers = Vec::new();
        'connection: while !desk.stopped() {
            for number in desk.numbers.take(BURST) {
                numbers.push(number);
                sent.tried.insert(number);
                if !write(desk, &mut stream, format!("{}\n", line(number)).as_bytes()) {
                    break 'connection;
                }
            }
            std::thread::sleep(REST);
        }
        sent.streams.push(numbers);
    }
    sent
}

/// RELP as librelp speaks it: `open`, then `syslog` frames with a window of unanswered ones, each answered by its number.
fn relp(desk: &Desk, address: SocketAddr) -> Sent {
    let mut sent = Sent::default();
    while !desk.stopped() {
        let Some(stream) = connect(address) else { continue };
        let mut session = Relp { stream, received: Vec::new() };
        let offer = "relp_version=0\nrelp_software=wartburg-test\ncommands=syslog";
        if !write(desk, &mut session.stream, format!("1 open {} {offer}\n", offer.len()).as_bytes()) {
            continue;
        }
        // The transaction numbers that wait, with the line's number; the open is one of them.
        let (mut waiting, mut transaction) = (vec![(1, None)], 1);
        loop {
            while let Some((answered, ok)) = session.answer() {
                if let Some(place) = waiting.iter().position(|(transaction, _)| *transaction == answered) {
                    let (_, number) = waiting.remove(place);
                    if ok { desk.acknowledge(&mut sent, number) } else { sent.refusals += 1 }
                }
            }
            if desk.stopped() || !session.read(waiting.len() >= WINDOW) {
                break;
            }
            if waiting.first().is_some_and(|(transaction, _)| *transaction == 1) || waiting.len() >= WINDOW {
                continue;
            }
            let mut burst = String::new();
            for number in desk.numbers.take(BURST) {
                transaction += 1;
                let line = line(number);
                burst += &format!("{transaction} syslog {} {line}\n", line.len());
                waiting.push((transaction, Some(number)));
                sent.tried.insert(number);
            }
            if !write(desk, &mut session.stream, burst.as_bytes()) {
                break;
            }
            std::thread::sleep(REST);
        }
    }
    sent
}

struct Relp {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Relp {
    /// The next whole answer: its transaction and whether it begins with 200.
    fn answer(&mut self) -> Option<(u64, bool)> {
        let text = String::from_utf8_lossy(&self.received).into_owned();
        let (transaction, rest) = text.split_once(' ')?;
        let (command, rest) = rest.split_once(' ')?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (length, rest) = rest.split_at(digits);
        let length: usize = length.parse().ok().filter(|_| !rest.is_empty())?;
        let data = if length == 0 { "" } else { rest.get(1..=length)? };
        let whole = text.len() - rest.len() + if length == 0 { 0 } else { 1 + length } + 1;
        if text.len() < whole {
            return None;
        }
        let answer = (transaction.parse().unwrap_or(0), command == "rsp" && data.starts_with("200"));
        self.received.drain(..whole);
        Some(answer)
    }

    /// Takes what is there; waits for a moment where `patient`. False at the connection's end.
    fn read(&mut self, patient: bool) -> bool {
        let mut chunk = [0; 4_096];
        let wait = if patient { LOOK_UP } else { Duration::from_millis(1) };
        self.stream.set_read_timeout(Some(wait)).unwrap();
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(len) => {
                self.received.extend_from_slice(&chunk[..len]);
                true
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted),
        }
    }
}

fn connect(address: SocketAddr) -> Option<TcpStream> {
    let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(2)) else {
        std::thread::sleep(RECONNECT);
        return None;
    };
    stream.set_nodelay(true).unwrap();
    stream.set_write_timeout(Some(LOOK_UP)).unwrap();
    Some(stream)
}

/// Writes all of it, however long the receiver holds us back; false where the connection or the test is over.
fn write(desk: &Desk, stream: &mut TcpStream, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return false,
            Ok(len) => bytes = &bytes[len..],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                if desk.stopped() {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
    true
}

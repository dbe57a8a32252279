//! RELP: each frame is answered by its number, so many may be under way, and what was under way when a connection broke
//! is sent again on the next one.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};

use ingest::time::Stopwatch;

use super::pace::Pace;
use super::stream::Wire;
use super::{Plan, Stock, Tally};

/// Transaction numbers go round here (the specification's bound).
const TXNR_MAX: u64 = 999_999_999;
const OFFER: &str = "relp_version=0\nrelp_software=wartburg-blast\ncommands=syslog";
/// Lines written at once; the window bounds them too.
const LINES_AT_ONCE: usize = 256;
/// An answer is a number, a code and a few words.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

struct Underway {
    line: usize,
    txnr: u64,
    since: Stopwatch,
}

/// One after another, as they were sent: what a new connection begins with.
struct Sender<'a> {
    plan: &'a Plan,
    stock: &'a Stock,
    underway: VecDeque<Underway>,
    tally: Tally,
    out: Vec<u8>,
}

pub(super) fn send(plan: &Plan, stock: &Stock, pace: &mut Pace, window: usize) -> anyhow::Result<Tally> {
    let mut sender = Sender { plan, stock, underway: VecDeque::new(), tally: Tally::default(), out: Vec::new() };
    let mut session = sender.open()?;
    let (mut at, mut done) = (0, false);
    loop {
        let room = window.max(1).saturating_sub(sender.underway.len());
        if !done && room > 0 {
            match pace.due(room.min(LINES_AT_ONCE)) {
                Some(due) => {
                    sender.out.clear();
                    let since = Stopwatch::start();
                    for _ in 0..due {
                        let txnr = session.next();
                        sender.frame(txnr, at);
                        sender.underway.push_back(Underway { line: at, txnr, since });
                        at = (at + 1) % stock.len();
                    }
                    sender.tally.sent += due as u64;
                    sender.tally.bytes += sender.out.len() as u64;
                    if session.wire.write_all(&sender.out).and_then(|()| session.wire.flush()).is_err() {
                        session = sender.again()?;
                    }
                    // With a rate the window is rarely full: answers are read as they come, not when it is.
                    if room > due && plan.rate == 0 {
                        continue;
                    }
                }
                None => done = true,
            }
        }
        if sender.underway.is_empty() && done {
            break;
        }
        if !sender.underway.is_empty() && session.read().and_then(|()| sender.answers(&mut session)).is_err() {
            session = sender.again()?;
        }
    }
    let goodbye = format!("{} close 0\n", session.next());
    if session.wire.write_all(goodbye.as_bytes()).and_then(|()| session.wire.finish()).is_err() {
        sender.tally.broken += 1;
    }
    Ok(sender.tally)
}

impl Sender<'_> {
    fn frame(&mut self, txnr: u64, line: usize) {
        push_number(&mut self.out, txnr);
        self.out.extend_from_slice(self.stock.one(line));
    }

    fn open(&self) -> anyhow::Result<Session> {
        let mut session = Session { wire: Wire::connect_patiently(self.plan)?, txnr: 0, incoming: Vec::new(), taken: 0 };
        let offer = format!("{} open {} {OFFER}\n", session.next(), OFFER.len());
        session.wire.write_all(offer.as_bytes())?;
        session.wire.flush()?;
        loop {
            if let Some((_, is_ok)) = session.answer()? {
                anyhow::ensure!(is_ok, "the receiver does not open a RELP session");
                return Ok(session);
            }
            session.read()?;
        }
    }

    /// A new connection, and on it everything that was not acknowledged on the last one.
    fn again(&mut self) -> anyhow::Result<Session> {
        self.tally.broken += 1;
        loop {
            let mut session = self.open()?;
            self.out.clear();
            for number in 0..self.underway.len() {
                let txnr = session.next();
                let Some(frame) = self.underway.get_mut(number) else { break };
                frame.txnr = txnr;
                let line = frame.line;
                self.frame(txnr, line);
            }
            self.tally.resent += self.underway.len() as u64;
            if session.wire.write_all(&self.out).and_then(|()| session.wire.flush()).is_ok() {
                return Ok(session);
            }
            self.tally.broken += 1;
        }
    }

    fn answers(&mut self, session: &mut Session) -> std::io::Result<()> {
        while let Some((txnr, is_ok)) = session.answer()? {
            // Receivers answer in order; one that does not is searched for.
            let Some(place) = self.underway.iter().position(|frame| frame.txnr == txnr) else { continue };
            let Some(frame) = self.underway.remove(place) else { continue };
            if is_ok {
                self.tally.acknowledged += 1;
                self.tally.latency.record(frame.since.elapsed(), 1);
            } else {
                self.tally.refused += 1;
            }
        }
        Ok(())
    }
}

struct Session {
    wire: Wire,
    txnr: u64,
    incoming: Vec<u8>,
    taken: usize,
}

impl Session {
    fn next(&mut self) -> u64 {
        self.txnr = if self.txnr >= TXNR_MAX { 1 } else { self.txnr + 1 };
        self.txnr
    }

    fn read(&mut self) -> std::io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        let len = self.wire.read(&mut chunk)?;
        if len == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.incoming.drain(..self.taken);
        self.taken = 0;
        self.incoming.extend_from_slice(chunk.get(..len).unwrap_or_default());
        Ok(())
    }

    /// The next whole answer, `number rsp length [data]\n`: its number and whether it says 200. A hint that the receiver
    /// closes (`0 serverclose 0`) is an end.
    fn answer(&mut self) -> std::io::Result<Option<(u64, bool)>> {
        let rest = self.incoming.get(self.taken..).unwrap_or_default();
        let Some((frame_len, txnr, command, data)) = parse(rest).map_err(|()| ErrorKind::InvalidData)? else {
            return if rest.len() > ANSWER_BYTES_MAX { Err(ErrorKind::InvalidData.into()) } else { Ok(None) };
        };
        if command != b"rsp" {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let answer = (txnr, data.starts_with(b"200"));
        self.taken += frame_len;
        Ok(Some(answer))
    }
}

type Parsed<'a> = (usize, u64, &'a [u8], &'a [u8]);

fn parse(bytes: &[u8]) -> Result<Option<Parsed<'_>>, ()> {
    let Some(first) = memchr::memchr(b' ', bytes) else { return Ok(None) };
    let Some(second) = memchr::memchr(b' ', bytes.get(first + 1..).unwrap_or_default()).map(|at| at + first + 1) else { return Ok(None) };
    let rest = bytes.get(second + 1..).unwrap_or_default();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // The length ends at a blank, or at the newline where it is 0.
    let Some(behind) = rest.get(digits) else { return Ok(None) };
    let number = |text: Option<&[u8]>| text.and_then(|text| std::str::from_utf8(text).ok()).and_then(|text| text.parse::<u64>().ok());
    let txnr = number(bytes.get(..first)).ok_or(())?;
    let len = number(rest.get(..digits)).ok_or(())? as usize;
    let command = bytes.get(first + 1..second).unwrap_or_default();
    let start = second + 1 + digits + usize::from(*behind == b' ');
    let Some(data) = bytes.get(start..start.checked_add(len).ok_or(())?) else { return Ok(None) };
    match bytes.get(start + len) {
        None => Ok(None),
        Some(b'\n') => Ok(Some((start + len + 1, txnr, command, data))),
        Some(_) => Err(()),
    }
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let (mut at, mut left) = (digits.len(), number);
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (left % 10) as u8;
        }
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

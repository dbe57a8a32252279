//! NDJSON over HTTP: a request is acknowledged as a whole, and repeated where it was not.

use std::io::{BufRead, BufReader, Read, Write};
use std::time::Duration;

use anyhow::Context as _;
use ingest::time::Stopwatch;

use super::pace::Pace;
use super::stream::Wire;
use super::{Plan, Stock, Tally};

/// How often a request is repeated, and the pause between: a receiver whose disk is full says 503 until it is not.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(200);
/// What an answer's head and body may have; ours have two hundred bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

pub(super) fn send(plan: &Plan, stock: &Stock, pace: &mut Pace, batch: usize, token: Option<&str>) -> anyhow::Result<Tally> {
    let (mut tally, mut at) = (Tally::default(), 0);
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let mut wire = BufReader::new(Wire::connect_patiently(plan)?);
    while let Some(mut due) = pace.due(batch.max(1)) {
        while due > 0 {
            let (body, number) = stock.piece(at, due);
            let head = format!(
                "POST /v1/ingest HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-ndjson\r\n{authorization}content-length: {}\r\n\r\n",
                plan.to,
                body.len()
            );
            let since = Stopwatch::start();
            tally.sent += number as u64;
            tally.bytes += (head.len() + body.len()) as u64;
            let mut tries = 0;
            let status = loop {
                match exchange(&mut wire, head.as_bytes(), body) {
                    Ok(status) if status < 500 || tries >= TRIES => break status,
                    Ok(_) => {}
                    Err(_) => {
                        tally.broken += 1;
                        wire = BufReader::new(Wire::connect_patiently(plan)?);
                    }
                }
                tries += 1;
                anyhow::ensure!(tries <= 2 * TRIES, "the receiver does not answer");
                tally.resent += number as u64;
                std::thread::sleep(PAUSE);
            };
            if status == 200 {
                tally.acknowledged += number as u64;
                tally.latency.record(since.elapsed(), number as u64);
            } else {
                tally.refused += number as u64;
            }
            (at, due) = ((at + number) % stock.len(), due - number);
        }
    }
    Ok(tally)
}

/// One request and its answer's status.
fn exchange(wire: &mut BufReader<Wire>, head: &[u8], body: &[u8]) -> anyhow::Result<u16> {
    wire.get_mut().write_all(head)?;
    wire.get_mut().write_all(body)?;
    wire.get_mut().flush()?;
    let mut line = String::new();
    wire.by_ref().take(ANSWER_BYTES_MAX).read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no HTTP answer")?;
    let mut len = 0;
    loop {
        line.clear();
        let read = wire.by_ref().take(ANSWER_BYTES_MAX).read_line(&mut line)?;
        anyhow::ensure!(read > 0, "the answer broke off");
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            len = value.trim().parse().context("an answer's length")?;
        }
    }
    anyhow::ensure!(len <= ANSWER_BYTES_MAX, "an answer of {len} bytes");
    std::io::copy(&mut wire.by_ref().take(len), &mut std::io::sink())?;
    Ok(status)
}

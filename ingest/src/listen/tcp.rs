//! Syslog over TCP and TLS: each connection is read in batches, and while one is brought to disk at most one more is
//! read. That is the only acknowledgement plain TCP has: a sender whose lines we cannot keep is slowed down, not lied to.

use std::io::ErrorKind;
use std::sync::Arc;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::accept::{self, Accepting};
use super::framing::Framer;
use super::keep::{Batch, Keeper, Places};
use super::{Intake, Limits, Listener, PeerCounts};
use crate::frame::FrameKind;
use crate::time::Stopwatch;

/// Read at once; on the stack, so that ten thousand quiet connections hold no buffers.
const CHUNK_BYTES: usize = 16 * 1024;
/// Batches read at shutdown: more than the 6 MiB that Linux lets a receive buffer grow to.
const BATCHES_AT_END_MAX: usize = 32;

pub(super) async fn run(
    accepting: Accepting,
    listener: Listener,
    intake: Intake,
    places: Places,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let stop = shutdown.clone();
    let serve = move |stream: accept::Connection| {
        let counts = intake.counters.peer(stream.sender.peer, listener);
        let keeper = Keeper::new(intake.clone(), Arc::clone(&counts), stop.clone());
        let (intake, places, stop) = (intake.clone(), Arc::clone(&places), stop.clone());
        let reading = Reading { stream, listener, framer: Framer::default(), counts, intake };
        async move { serve(reading, keeper, &places, limits, &stop).await }
    };
    accepting.serve(limits.grace, shutdown, serve).await;
}

/// Reads a connection until its end, ours or its time.
async fn serve(mut reading: Reading, mut keeper: Keeper, places: &Places, limits: Limits, shutdown: &CancellationToken) {
    let mut batch = Batch::default();
    // Since when a message has been coming.
    let mut begun: Option<Stopwatch> = None;
    loop {
        if keeper.is_idle() && !batch.frames.is_empty() {
            keeper.start(&mut batch);
        }
        let left = begun.map_or(limits.tcp_idle, |begun| limits.tcp_frame.saturating_sub(begun.elapsed()));
        let patience = left.min(limits.tcp_idle);
        tokio::select! {
            () = shutdown.cancelled() => break,
            kept = keeper.done() => {
                if kept.is_err() {
                    return keeper.lose(&mut batch);
                }
                continue;
            }
            ready = timeout(patience, ready(&reading.stream, &mut batch, places)), if !batch.is_full() => {
                if !matches!(ready, Ok(Ok(()))) {
                    break;
                }
            }
        }
        let before = batch.frames.len();
        let read = reading.read(&mut batch);
        begun = match (reading.framer.has_begun(), batch.frames.len() > before) {
            (false, _) => None,
            (true, false) => begun.or_else(|| Some(Stopwatch::start())),
            (true, true) => Some(Stopwatch::start()),
        };
        batch.settle();
        if read == Read::End {
            break;
        }
    }
    // The journal's refusal has been counted; the connection ends here anyway.
    let _ = finish(reading, keeper, batch, places).await;
}

async fn ready(stream: &accept::Connection, batch: &mut Batch, places: &Places) -> std::io::Result<()> {
    stream.readable().await?;
    batch.enter(places).await;
    Ok(())
}

/// Keeps what has arrived and what was begun: a last line without its newline is a line.
async fn finish(mut reading: Reading, mut keeper: Keeper, mut batch: Batch, places: &Places) -> Result<(), super::keep::JournalStopped> {
    for _ in 0..BATCHES_AT_END_MAX {
        // First what is under way, or all places could be held by those who wait for one.
        keeper.finish(&mut batch).await?;
        batch.enter(places).await;
        if reading.read(&mut batch) != Read::Full {
            break;
        }
    }
    reading.framer.close();
    reading.take(&mut batch);
    keeper.finish(&mut batch).await
}

struct Reading {
    stream: accept::Connection,
    listener: Listener,
    framer: Framer,
    counts: Arc<PeerCounts>,
    intake: Intake,
}

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// A batch is full; there may be more.
    Full,
    /// Nothing more for now.
    Empty,
    /// The sender has closed or broken the connection.
    End,
}

impl Reading {
    /// Reads what is there.
    fn read(&mut self, batch: &mut Batch) -> Read {
        let mut chunk = [0; CHUNK_BYTES];
        let mut bytes = 0;
        loop {
            // A stream of delimiters makes no frames; others have their turn all the same.
            if batch.is_full() || bytes >= super::keep::BATCH_BYTES_MAX {
                break Read::Full;
            }
            match self.stream.try_read(&mut chunk) {
                Ok(0) => break Read::End,
                Ok(len) => {
                    bytes += len;
                    self.framer.push(chunk.get(..len).unwrap_or_default());
                    self.take(batch);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Read::Empty,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break Read::End,
            }
        }
    }

    fn take(&mut self, batch: &mut Batch) {
        let before = batch.frames.len();
        let stamp = self.intake.stamp(&self.stream.sender, self.listener);
        while let Some(frame) = self.framer.next() {
            batch.push(stamp.frame(FrameKind::Line, frame.marks, frame.bytes));
        }
        self.counts.received(batch.frames.len() - before);
    }
}

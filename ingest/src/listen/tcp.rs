//! Syslog over TCP: each connection is read in batches, and the next batch is read only when the last is on disk. That
//! is the only acknowledgement plain TCP has: a sender whose lines we cannot keep is slowed down, not lied to.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::accept::{self, Accepting};
use super::framing::Framer;
use super::{Dropped, Intake, JOURNAL_RETRY, Limits, Listener, PeerCounts};
use crate::frame::{FrameKind, Marks, NewFrame};
use crate::journal::{JournalError, Refused};

/// What one connection may have read and not yet written.
const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Connections that hold a batch at the same time: bounds their memory at 64 MiB and its like in the journal's queue.
const BATCHES_MAX: usize = 256;
/// Read at once; on the stack, so that ten thousand quiet connections hold no buffers.
const CHUNK_BYTES: usize = 16 * 1024;
/// Batches read at shutdown: more than the 6 MiB that Linux lets a receive buffer grow to.
const BATCHES_AT_END_MAX: usize = 32;

pub(super) async fn run(mut accepting: Accepting, listener: Listener, intake: Intake, limits: Limits, shutdown: CancellationToken) {
    let batches = Arc::new(Semaphore::new(BATCHES_MAX));
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                report(&ended);
                continue;
            }
            stream = accepting.accept() => stream,
        };
        let connection = Connection {
            counts: intake.counters.peer(stream.sender.peer, listener),
            stream,
            listener,
            framer: Framer::default(),
            intake: intake.clone(),
            batches: Arc::clone(&batches),
            idle: limits.tcp_idle,
        };
        let shutdown = shutdown.clone();
        connections.spawn(async move { connection.serve(&shutdown).await });
    }
    drop(accepting);
    let finish = async {
        while let Some(ended) = connections.join_next().await {
            report(&ended);
        }
    };
    if timeout(limits.grace, finish).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections cut at shutdown: their last lines were not kept");
    }
}

fn report(ended: &Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task ended by itself");
    }
}

struct Connection {
    stream: accept::Connection,
    listener: Listener,
    framer: Framer,
    counts: Arc<PeerCounts>,
    intake: Intake,
    batches: Arc<Semaphore>,
    idle: Duration,
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

impl Connection {
    async fn serve(mut self, shutdown: &CancellationToken) {
        loop {
            let more = tokio::select! {
                () = shutdown.cancelled() => return self.finish(shutdown).await,
                ready = timeout(self.idle, self.stream.readable()) => matches!(ready, Ok(Ok(()))),
            };
            match self.batch(shutdown).await {
                Ok(Read::Full | Read::Empty) if more => {}
                Ok(_) => return self.finish(shutdown).await,
                Err(JournalStopped) => return,
            }
        }
    }

    /// Reads what is there and brings it to disk.
    async fn batch(&mut self, shutdown: &CancellationToken) -> Result<Read, JournalStopped> {
        let batches = Arc::clone(&self.batches);
        let _place = batches.acquire().await.map_err(|_| JournalStopped)?;
        let mut frames = Vec::new();
        let read = self.read(&mut frames);
        self.keep(frames, shutdown).await?;
        Ok(read)
    }

    /// Keeps what has arrived and what was begun: a last line without its newline is a line.
    async fn finish(mut self, shutdown: &CancellationToken) {
        for _ in 0..BATCHES_AT_END_MAX {
            match self.batch(shutdown).await {
                Ok(Read::Full) => {}
                Ok(Read::Empty | Read::End) => break,
                Err(JournalStopped) => return,
            }
        }
        self.framer.close();
        let mut frames = Vec::new();
        self.take(&mut frames);
        // The journal's refusal has been counted; the connection ends here anyway.
        let _ = self.keep(frames, shutdown).await;
    }

    fn read(&mut self, frames: &mut Vec<NewFrame>) -> Read {
        let mut chunk = [0; CHUNK_BYTES];
        let mut bytes = 0;
        loop {
            if bytes >= BATCH_BYTES_MAX {
                break Read::Full;
            }
            match self.stream.try_read(&mut chunk) {
                Ok(0) => break Read::End,
                Ok(len) => {
                    bytes += len;
                    self.framer.push(chunk.get(..len).unwrap_or_default());
                    self.take(frames);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Read::Empty,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break Read::End,
            }
        }
    }

    fn take(&mut self, frames: &mut Vec<NewFrame>) {
        let before = frames.len();
        let stamp = self.intake.stamp(&self.stream.sender, self.listener);
        while let Some(frame) = self.framer.next() {
            frames.push(stamp.frame(FrameKind::Line, Marks::default(), frame.bytes));
        }
        self.counts.received(frames.len() - before);
    }

    /// Appends, and where the disk refuses, again and again: meanwhile the sender is held back, and nothing is lost.
    async fn keep(&self, mut frames: Vec<NewFrame>, shutdown: &CancellationToken) -> Result<(), JournalStopped> {
        if frames.is_empty() {
            return Ok(());
        }
        let number = frames.len();
        loop {
            match self.intake.append(&self.counts, frames).await {
                Ok(()) => return Ok(()),
                Err(Refused { error: JournalError::Stopped, .. }) => break,
                Err(refused) => {
                    tracing::error!(error = %refused.error, "the journal does not take lines: their senders wait");
                    frames = refused.frames;
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(JOURNAL_RETRY) => {}
            }
        }
        self.counts.dropped(Dropped::JournalStopped, number);
        Err(JournalStopped)
    }
}

/// The journal takes nothing any more; the loss has been counted.
#[derive(Clone, Copy, Debug)]
struct JournalStopped;

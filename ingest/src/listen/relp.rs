//! RELP (the reliable event logging protocol, version 0, as rsyslog's omrelp speaks it), with or without TLS: every message
//! is answered when it is on disk, in order, many in one write. What the other side must not do ends the session with
//! an answer 500 that says why.
//!
//! At least once, not once: where the connection breaks after the fsync and before the answer arrives, the sender
//! gives the message again in its next session, and nothing in the protocol says that it is the same one, since numbers begin
//! anew with each session.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::accept::{self, Accepting};
use super::framing::trim_end;
use super::keep::{BATCH_BYTES_MAX, Batch, Keeper, Places};
use super::relp_frame::{Command, Parser, RelpError};
use super::{Intake, Limits, Listener, PeerCounts, Rejected};
use crate::body::Sender;
use crate::frame::{FrameKind, Marks};
use crate::time::Stopwatch;

/// Read at once; on the stack, as in `tcp`.
const CHUNK_BYTES: usize = 16 * 1024;
/// How long the other side may take to make room for answers: one that never reads them would hold its batch for ever.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// How long whoever was told that the session is over may take to close it too.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// What we say of ourselves when a session is opened.
const OFFERS: &str = concat!("relp_version=0\nrelp_software=wartburg,", env!("CARGO_PKG_VERSION"), "\ncommands=syslog");
/// The hint that a session is over.
const SERVER_CLOSE: &[u8] = b"0 serverclose 0\n";

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
        let sender = Arc::clone(&stream.sender);
        let dialog = Dialog { listener, sender, parser: Parser::default(), counts, intake: intake.clone(), opened: false };
        let session = Session { stream, dialog, keeper, batch: Batch::default(), answers: Vec::new(), under_way: Vec::new() };
        let (places, stop) = (Arc::clone(&places), stop.clone());
        async move { session.serve(&places, limits, &stop).await }
    };
    accepting.serve(limits.grace, shutdown, serve).await;
}

struct Session {
    stream: accept::Connection,
    dialog: Dialog,
    keeper: Keeper,
    batch: Batch,
    /// Answers to be given when `batch` is on disk.
    answers: Vec<u8>,
    /// Answers to be given when what the keeper holds is on disk.
    under_way: Vec<u8>,
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The other side has closed it, or is told that it is over: what was received is answered before.
    Orderly,
    /// Nobody is there any more to be answered.
    Gone,
}

impl Session {
    async fn serve(mut self, places: &Places, limits: Limits, shutdown: &CancellationToken) {
        // Since when a frame has been coming.
        let mut begun: Option<Stopwatch> = None;
        let ended = loop {
            if self.keeper.is_idle() && self.advance().await.is_err() {
                return;
            }
            let left = begun.map_or(limits.tcp_idle, |begun| limits.tcp_frame.saturating_sub(begun.elapsed()));
            let patience = left.min(limits.tcp_idle);
            tokio::select! {
                () = shutdown.cancelled() => break Ended::Orderly,
                kept = self.keeper.done() => {
                    if kept.is_err() {
                        return self.keeper.lose(&mut self.batch);
                    }
                    continue;
                }
                ready = ready(&self.stream, &self.dialog.intake, patience, &mut self.batch, places), if !self.batch.is_full() => {
                    match ready {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => break Ended::Gone,
                        // Silent for too long, or stuck within a frame.
                        Err(_) => break Ended::Orderly,
                    }
                }
            }
            let (before, read) = (self.answers.len(), self.read());
            begun = match (self.dialog.parser.has_begun(), self.answers.len() > before) {
                (false, _) => None,
                (true, false) => begun.or_else(|| Some(Stopwatch::start())),
                (true, true) => Some(Stopwatch::start()),
            };
            self.batch.settle();
            if let Some(ended) = read {
                break ended;
            }
        };
        self.finish(ended).await;
    }

    /// Gives the answers whose frames are on disk, and begins to bring the next ones there.
    async fn advance(&mut self) -> Result<(), ()> {
        let mut answers = std::mem::take(&mut self.under_way);
        let next = std::mem::take(&mut self.answers);
        if self.batch.frames.is_empty() {
            answers.extend(next);
        } else {
            self.under_way = next;
        }
        self.answer(&answers).await?;
        if !self.batch.frames.is_empty() {
            self.keeper.start(&mut self.batch);
        }
        Ok(())
    }

    async fn answer(&mut self, answers: &[u8]) -> Result<(), ()> {
        if answers.is_empty() {
            return Ok(());
        }
        let write = async {
            self.stream.write_all(answers).await?;
            self.stream.flush().await
        };
        match timeout(ANSWER_PATIENCE, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                // What was read is kept all the same: its sender will give it again, once too often rather than never.
                let _ = self.keeper.finish(&mut self.batch).await;
                Err(())
            }
        }
    }

    /// Reads what is there. Says where the session ends with it.
    fn read(&mut self) -> Option<Ended> {
        let mut chunk = [0; CHUNK_BYTES];
        let mut bytes = 0;
        while !self.batch.is_full() && bytes < BATCH_BYTES_MAX {
            match self.stream.try_read(&mut chunk) {
                Ok(0) => return Some(Ended::Gone),
                Ok(len) => {
                    bytes += len;
                    self.dialog.parser.push(chunk.get(..len).unwrap_or_default());
                    if self.dialog.take(&mut self.batch, &mut self.answers) {
                        return Some(Ended::Orderly);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Some(Ended::Gone),
            }
        }
        None
    }

    /// Brings to disk what was received and answers it where anybody listens.
    async fn finish(mut self, ended: Ended) {
        let answers = [std::mem::take(&mut self.under_way), std::mem::take(&mut self.answers)].concat();
        let kept = self.keeper.finish(&mut self.batch).await;
        if kept.is_err() || ended == Ended::Gone {
            return;
        }
        if self.answer(&[answers.as_slice(), SERVER_CLOSE].concat()).await.is_ok() {
            let _ = timeout(LAST_PATIENCE, self.hang_up()).await;
        }
    }

    /// Closes our side and listens a little: to close on somebody who still sends is a reset, which could overtake our
    /// last answers.
    async fn hang_up(&mut self) -> std::io::Result<()> {
        self.stream.shutdown().await?;
        let mut chunk = [0; 1_024];
        while self.stream.read(&mut chunk).await? > 0 {}
        Ok(())
    }
}

/// As in `tcp`.
async fn ready(
    stream: &accept::Connection,
    intake: &Intake,
    patience: Duration,
    batch: &mut Batch,
    places: &Places,
) -> Result<std::io::Result<()>, tokio::time::error::Elapsed> {
    let readable = timeout(patience, stream.readable()).await?;
    intake.turn(&stream.sender).await;
    batch.enter(places).await;
    Ok(readable)
}

/// What is said in a session.
struct Dialog {
    listener: Listener,
    sender: Arc<Sender>,
    parser: Parser,
    counts: Arc<PeerCounts>,
    intake: Intake,
    opened: bool,
}

impl Dialog {
    /// Takes the frames that have come: messages into the batch, answers behind the others. True where it is over.
    fn take(&mut self, batch: &mut Batch, answers: &mut Vec<u8>) -> bool {
        let before = batch.frames.len();
        let over = self.frames(batch, answers).unwrap_or_else(|error| {
            self.counts.rejected(Rejected::Protocol);
            tracing::debug!(listener = self.listener.as_str(), %error, "a RELP session is broken off");
            answer(answers, self.parser.current(), &format!("500 {error}"));
            true
        });
        self.counts.received(batch.frames.len() - before);
        over
    }

    fn frames(&mut self, batch: &mut Batch, answers: &mut Vec<u8>) -> Result<bool, RelpError> {
        let stamp = self.intake.stamp(&self.sender, self.listener);
        while let Some(part) = self.parser.next()? {
            match part.command {
                Command::Open if self.opened => return Err(RelpError::OpenedTwice),
                Command::Open => {
                    self.opened = true;
                    answer(answers, part.txnr, &format!("200 OK\n{OFFERS}"));
                }
                _ if !self.opened => return Err(RelpError::NotOpened),
                Command::Syslog => {
                    let message = if part.last { trim_end(&part.data).into() } else { part.data };
                    if !message.is_empty() {
                        batch.push(stamp.frame(FrameKind::Line, part.marks, message));
                    } else if part.marks == Marks::default() {
                        self.counts.rejected(Rejected::Empty);
                    }
                    if part.last {
                        answer(answers, part.txnr, "200 OK");
                    }
                }
                Command::Close => {
                    answer(answers, part.txnr, "");
                    return Ok(true);
                }
                Command::Other => return Err(RelpError::Unknown),
            }
        }
        Ok(false)
    }
}

/// One answer. Without data there is no space before the end.
fn answer(answers: &mut Vec<u8>, txnr: u32, text: &str) {
    let space = if text.is_empty() { "" } else { " " };
    answers.extend_from_slice(format!("{txnr} rsp {}{space}{text}\n", text.len()).as_bytes());
}

//! A connection's way into the journal. While one append is under way the next gathers, as in the journal itself; there
//! is never more than one, so that what a sender said first stays first even where the disk refuses for a while.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{Dropped, Intake, JOURNAL_RETRY, PeerCounts};
use crate::frame::NewFrame;
use crate::journal::{JournalError, Refused};

/// What one connection may gather, its frames' bookkeeping included.
pub(super) const BATCH_BYTES_MAX: usize = 256 * 1024;
/// What a frame costs besides its bytes; without it a stream of empty lines would take a hundred times its length.
const FRAME_BYTES: usize = 128;
/// Batches that all connections hold at the same time: 32 MiB, and a little more in the journal's queue.
const BATCHES_MAX: usize = 128;

/// The places for batches, shared by all connections.
pub(super) type Places = Arc<Semaphore>;

pub(super) fn places() -> Places {
    Arc::new(Semaphore::new(BATCHES_MAX))
}

/// What has been read and waits for its append.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) frames: Vec<NewFrame>,
    bytes: usize,
    place: Option<OwnedSemaphorePermit>,
}

impl Batch {
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES_MAX
    }

    pub(super) fn push(&mut self, frame: NewFrame) {
        self.bytes += frame.payload.len() + FRAME_BYTES;
        self.frames.push(frame);
    }

    /// Waits for a place, which reading needs. Dropping the future loses nothing.
    pub(super) async fn enter(&mut self, places: &Places) {
        if self.place.is_none() {
            self.place = Arc::clone(places).acquire_owned().await.ok();
        }
    }

    /// Gives the place back where nothing came of it.
    pub(super) fn settle(&mut self) {
        if self.frames.is_empty() {
            *self = Self::default();
        }
    }
}

/// The journal takes nothing any more; the loss has been counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct JournalStopped;

type Running = Pin<Box<dyn Future<Output = Result<(), JournalStopped>> + Send>>;

pub(super) struct Keeper {
    intake: Intake,
    counts: Arc<PeerCounts>,
    shutdown: CancellationToken,
    running: Option<Running>,
}

impl Keeper {
    pub(super) fn new(intake: Intake, counts: Arc<PeerCounts>, shutdown: CancellationToken) -> Self {
        Self { intake, counts, shutdown, running: None }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    /// Begins to append what has gathered. Only where nothing is under way.
    pub(super) fn start(&mut self, batch: &mut Batch) {
        let Batch { frames, place, .. } = std::mem::take(batch);
        let (intake, counts, shutdown) = (self.intake.clone(), Arc::clone(&self.counts), self.shutdown.clone());
        self.running = Some(Box::pin(async move {
            let _place = place;
            keep(&intake, &counts, &shutdown, frames).await
        }));
    }

    /// Waits until what is under way is on disk; for ever where nothing is. Dropping the future loses nothing.
    pub(super) async fn done(&mut self) -> Result<(), JournalStopped> {
        let Some(running) = &mut self.running else { return pending().await };
        let kept = running.await;
        self.running = None;
        kept
    }

    /// Brings all to disk: what is under way, then what has gathered.
    pub(super) async fn finish(&mut self, batch: &mut Batch) -> Result<(), JournalStopped> {
        if !self.is_idle() {
            self.done().await.inspect_err(|_| self.lose(batch))?;
        }
        if !batch.frames.is_empty() {
            self.start(batch);
            self.done().await?;
        }
        Ok(())
    }

    /// Counts what was received and can no longer be kept.
    pub(super) fn lose(&self, batch: &mut Batch) {
        self.counts.dropped(Dropped::JournalStopped, std::mem::take(batch).frames.len());
    }
}

/// Appends, and where the disk refuses, again and again: meanwhile the sender is held back, and nothing is lost.
async fn keep(intake: &Intake, counts: &PeerCounts, shutdown: &CancellationToken, mut frames: Vec<NewFrame>) -> Result<(), JournalStopped> {
    let number = frames.len();
    loop {
        match intake.append(counts, frames).await {
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
    counts.dropped(Dropped::JournalStopped, number);
    Err(JournalStopped)
}

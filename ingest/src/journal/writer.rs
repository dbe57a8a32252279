//! The one writer: collects appends, writes them as one block, fsyncs, and only then answers. While one fsync runs
//! the next block gathers, so that a thousand waiting senders cost as many fsyncs as one.
//! After a failed write or fsync nothing of that block is acknowledged, and the descriptor is never used again:
//! what the kernel still holds of it is unknown, so the file is cut back to its last durable byte and reopened.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::segment::{self, BLOCK_HEADER_BYTES, BlockHeader, COMMIT_BYTES_MAX, HEADER_BYTES};
use super::{JournalError, OpenReport, io_error, segment_list};
use crate::frame::{NewFrame, Seq};
use crate::time::{Stopwatch, Timestamp};

/// Frames that nobody waits for (UDP) may gather this long, so that quiet hours do not cost an fsync a line.
const LINGER: Duration = Duration::from_millis(10);
/// Where a disk syncs faster than this, small commits of several senders are held up until so long after the last one:
/// fifty connections with 400 lines a second each would make 6,500 commits, and half of a core would go into waking up.
/// Disks that take a millisecond or more group by themselves.
const COMMITS_APART: Duration = Duration::from_millis(1);
/// A commit of this size is worth itself: nothing is won by holding it up.
const COMMIT_BYTES_WORTH: usize = 64 << 10;
/// What may wait to be written, in units of `UNIT_BYTES`: 64 MiB. Beyond it senders wait, and datagrams are dropped and counted.
const QUEUE_UNITS: usize = 65_536;
const UNIT_BYTES: usize = 1_024;

/// The durable end of the journal, told to the readers.
#[derive(Clone)]
pub(super) struct Shared(Arc<(Mutex<State>, Condvar)>);

struct State {
    last: u64,
    closed: bool,
}

impl Shared {
    pub(super) fn new(last: Seq) -> Self {
        Self(Arc::new((Mutex::new(State { last: last.0, closed: false }), Condvar::new())))
    }

    pub(super) fn last(&self) -> Seq {
        Seq(self.0.0.lock().unwrap_or_else(PoisonError::into_inner).last)
    }

    fn publish(&self, last: u64) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).last = last;
        self.0.1.notify_all();
    }

    pub(super) fn close(&self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.0.1.notify_all();
    }

    /// Waits until something behind `after` is durable; false on time-out or where the journal has closed.
    pub(super) fn wait_beyond(&self, after: u64, timeout: Duration) -> bool {
        let state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.0.1.wait_timeout_while(state, timeout, |state| state.last <= after && !state.closed);
        wait.unwrap_or_else(PoisonError::into_inner).0.last > after
    }
}

/// What became of frames that nobody waited for; told when their commit has ended.
pub type Receipt = Box<dyn FnOnce(Result<RangeInclusive<u64>, Refused>) + Send>;

/// The journal did not take these frames: nothing of them is on disk, and they may be given to it again.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    pub error: JournalError,
    pub frames: Vec<NewFrame>,
}

impl From<Refused> for JournalError {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

struct Append {
    frames: Vec<NewFrame>,
    bytes: usize,
    reply: Reply,
    _room: OwnedSemaphorePermit,
}

enum Reply {
    /// A sender waits: the commit does not linger.
    Waiting(oneshot::Sender<Result<RangeInclusive<u64>, Refused>>),
    /// A sender that cannot wait; its counts are told.
    Told(Receipt),
}

impl Reply {
    fn give(self, answer: Result<RangeInclusive<u64>, Refused>) {
        match self {
            // The sender may have gone; its frames are safe all the same.
            Self::Waiting(reply) => drop(reply.send(answer)),
            Self::Told(receipt) => receipt(answer),
        }
    }
}

/// Appends frames; clones share the one writer.
#[derive(Clone)]
pub struct JournalWriter {
    /// `None` once stopped.
    queue: Arc<Mutex<Option<Sender<Append>>>>,
    room: Arc<Semaphore>,
}

impl std::fmt::Debug for JournalWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JournalWriter")
    }
}

impl JournalWriter {
    /// Appends frames and returns when they are on disk, with the sequences they got. Waits while the queue is full.
    ///
    /// # Errors
    /// The frames, where the disk did not take them; then they may be given again.
    pub async fn append(&self, frames: Vec<NewFrame>) -> Result<RangeInclusive<u64>, Refused> {
        let Ok(room) = self.room.clone().acquire_many_owned(units(&frames)).await else {
            return Err(Refused { error: JournalError::Stopped, frames });
        };
        self.queue(frames, room)?.await.unwrap_or_else(|_| Err(stopped(Vec::new())))
    }

    /// As `append`, for threads. Not to be called from async code.
    ///
    /// # Errors
    /// As `append`.
    pub fn append_blocking(&self, frames: Vec<NewFrame>) -> Result<RangeInclusive<u64>, Refused> {
        let room = loop {
            match self.room.clone().try_acquire_many_owned(units(&frames)) {
                Ok(room) => break room,
                Err(tokio::sync::TryAcquireError::Closed) => return Err(stopped(frames)),
                Err(tokio::sync::TryAcquireError::NoPermits) => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        self.queue(frames, room)?.blocking_recv().unwrap_or_else(|_| Err(stopped(Vec::new())))
    }

    /// For senders that cannot wait: written with the next commit, whose end `receipt` is told.
    ///
    /// # Errors
    /// The frames themselves where the queue is full or the journal has stopped: to be counted as dropped. Then the
    /// receipt is not used.
    pub fn offer(&self, frames: Vec<NewFrame>, receipt: Receipt) -> Result<(), Vec<NewFrame>> {
        let Ok(room) = self.room.clone().try_acquire_many_owned(units(&frames)) else {
            return Err(frames);
        };
        let bytes = frames.iter().map(segment::frame_bytes).sum();
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.as_ref() {
            None => Err(frames),
            Some(queue) => {
                let append = Append { frames, bytes, reply: Reply::Told(receipt), _room: room };
                queue.send(append).map_err(|std::sync::mpsc::SendError(append)| append.frames)
            }
        }
    }

    fn queue(
        &self,
        frames: Vec<NewFrame>,
        room: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Result<RangeInclusive<u64>, Refused>>, Refused> {
        let (reply, answer) = oneshot::channel();
        let bytes = frames.iter().map(segment::frame_bytes).sum();
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queue.as_ref() else { return Err(stopped(frames)) };
        let append = Append { frames, bytes, reply: Reply::Waiting(reply), _room: room };
        queue.send(append).map_err(|std::sync::mpsc::SendError(append)| stopped(append.frames))?;
        Ok(answer)
    }

    /// Ends the writer once everything queued is written.
    pub(super) fn stop(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn stopped(frames: Vec<NewFrame>) -> Refused {
    Refused { error: JournalError::Stopped, frames }
}

/// The room an append takes; one larger than the whole queue takes the whole queue.
fn units(frames: &[NewFrame]) -> u32 {
    let bytes: usize = frames.iter().map(segment::frame_bytes).sum();
    u32::try_from((bytes / UNIT_BYTES + 1).min(QUEUE_UNITS)).unwrap_or(u32::MAX)
}

pub(super) fn start(active: Active, shared: Shared) -> Result<(JournalWriter, JoinHandle<()>), JournalError> {
    let (queue, appends) = channel();
    let path = active.path.clone();
    let thread = std::thread::Builder::new()
        .name("journal".into())
        .spawn(move || run(active, &appends, &shared))
        .map_err(io_error("start the writer of", &path))?;
    let room = Arc::new(Semaphore::new(QUEUE_UNITS));
    Ok((JournalWriter { queue: Arc::new(Mutex::new(Some(queue))), room }, thread))
}

fn run(mut active: Active, appends: &Receiver<Append>, shared: &Shared) {
    let mut last = (Stopwatch::start(), 0);
    while let Ok(first) = appends.recv() {
        let batch = gather(first, appends, last);
        last = (Stopwatch::start(), batch.len());
        commit(&mut active, batch, shared);
    }
}

/// The appends of one commit: what is queued up to 1 MiB; where nobody waits, also what comes within `LINGER`, and where
/// several wait, within `COMMITS_APART` of the last commit. One that sends alone is never held up: he sends nothing before
/// he has his answer. `last` is when the last commit began and how many appends it had.
fn gather(first: Append, appends: &Receiver<Append>, last: (Stopwatch, usize)) -> Vec<Append> {
    let watch = Stopwatch::start();
    let mut bytes = first.bytes;
    let mut urgent = matches!(first.reply, Reply::Waiting(_));
    let mut held_up = false;
    let mut batch = vec![first];
    while bytes < COMMIT_BYTES_MAX {
        let patience = if urgent { Duration::ZERO } else { LINGER.saturating_sub(watch.elapsed()) };
        let next = match appends.recv_timeout(patience) {
            Ok(next) => next,
            Err(RecvTimeoutError::Timeout) if urgent && !held_up && bytes < COMMIT_BYTES_WORTH && last.1.max(batch.len()) > 1 => {
                held_up = true;
                // Asleep, not receiving: each append would wake it.
                std::thread::sleep(COMMITS_APART.saturating_sub(last.0.elapsed()));
                continue;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        };
        bytes += next.bytes;
        urgent |= matches!(next.reply, Reply::Waiting(_));
        batch.push(next);
    }
    batch
}

fn commit(active: &mut Active, batch: Vec<Append>, shared: &Shared) {
    let mut from = active.next;
    // An append of nothing asks whether the journal is alive; it costs no block.
    let is_empty = batch.iter().all(|append| append.frames.is_empty());
    let result = if is_empty { Ok(()) } else { active.append(&batch) };
    if result.is_ok() {
        shared.publish(active.next - 1);
    }
    for Append { frames, reply, .. } in batch {
        let count = frames.len() as u64;
        let range = from..=(from + count).saturating_sub(1);
        from += count;
        reply.give(match &result {
            Ok(()) => Ok(range),
            Err(error) => Err(Refused { error: JournalError::Write(error.to_string()), frames }),
        });
    }
}

/// The segment that is being written.
pub(super) struct Active {
    dir: PathBuf,
    path: PathBuf,
    /// `None` after a failure, until it has been reopened.
    file: Option<File>,
    /// Bytes known to be on disk.
    durable: u64,
    next: u64,
    segment_bytes_max: u64,
    created: Timestamp,
}

impl Active {
    pub(super) fn open(dir: &Path, now: Timestamp, segment_bytes_max: u64) -> Result<(Self, OpenReport), JournalError> {
        let mut segments = segment_list(dir)?;
        let Some((first, path)) = segments.pop() else {
            let active = Self::create(dir, 1, now, segment_bytes_max)?;
            return Ok((active, OpenReport { segments: 1, ..OpenReport::default() }));
        };
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(io_error("open", &path))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io_error("read", &path))?;
        match segment::segment_header_read(&bytes) {
            Ok(named) if named == first => {}
            // A crash between creating the file and writing its header: it never held a frame.
            _ if bytes.len() <= HEADER_BYTES && segment::next_valid_block(&bytes, 0).is_none() => {
                drop(file);
                let active = Self::create(dir, first, now, segment_bytes_max)?;
                let report = OpenReport {
                    segments: segments.len() + 1,
                    last: Seq(first - 1),
                    torn_bytes: bytes.len() as u64,
                    ..OpenReport::default()
                };
                return Ok((active, report));
            }
            Ok(named) => return Err(JournalError::Format { path, reason: format!("it says it begins at {named}") }),
            Err(reason) => return Err(JournalError::Format { path, reason: reason.into() }),
        }
        let tail = tail_of(&bytes, first);
        let torn_bytes = (bytes.len() - tail.end) as u64;
        if torn_bytes > 0 {
            file.set_len(tail.end as u64).map_err(io_error("cut the torn tail of", &path))?;
            file.sync_all().map_err(io_error("sync", &path))?;
        }
        file.seek(SeekFrom::End(0)).map_err(io_error("seek in", &path))?;
        let report = OpenReport { segments: segments.len() + 1, last: Seq(tail.next - 1), torn_bytes, damaged: tail.damaged, lost: 0 };
        let durable = tail.end as u64;
        Ok((Self { dir: dir.to_owned(), path, file: Some(file), durable, next: tail.next, segment_bytes_max, created: now }, report))
    }

    fn create(dir: &Path, first: u64, now: Timestamp, segment_bytes_max: u64) -> Result<Self, JournalError> {
        let path = dir.join(format!("{first:020}.{}", segment::EXTENSION));
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(true).open(&path).map_err(io_error("create", &path))?;
        file.write_all(&segment::segment_header(first, now)).map_err(io_error("write", &path))?;
        file.sync_all().map_err(io_error("sync", &path))?;
        // The name itself must survive a power cut, or the whole segment is gone with it.
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error("sync", dir))?;
        let durable = HEADER_BYTES as u64;
        Ok(Self { dir: dir.to_owned(), path, file: Some(file), durable, next: first, segment_bytes_max, created: now })
    }

    /// Goes on with a later sequence, in a segment of its own: within one, sequences have no gaps.
    pub(super) fn skip_to(&mut self, next: Seq, now: Timestamp) -> Result<(), JournalError> {
        *self = Self::create(&self.dir, next.0, now, self.segment_bytes_max)?;
        Ok(())
    }

    fn append(&mut self, batch: &[Append]) -> Result<(), JournalError> {
        let frames = || batch.iter().flat_map(|append| &append.frames);
        if let Some(frame) = frames().last() {
            self.created = frame.received_at;
        }
        if self.durable >= self.segment_bytes_max {
            *self = Self::create(&self.dir, self.next, self.created, self.segment_bytes_max)?;
        }
        let bytes = batch.iter().map(|append| append.bytes).sum();
        let block = segment::block(self.next, frames(), bytes).map_err(io_error("compress a block for", &self.path))?;
        if let Err(error) = self.write(&block) {
            self.file = None;
            return Err(error);
        }
        self.durable += block.len() as u64;
        self.next += frames().count() as u64;
        Ok(())
    }

    fn write(&mut self, block: &[u8]) -> Result<(), JournalError> {
        let path = &self.path;
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(reopen(path, self.durable)?),
        };
        file.write_all(block).map_err(io_error("write", path))?;
        file.sync_data().map_err(io_error("sync", path))
    }
}

/// A fresh descriptor, with everything that was never acknowledged cut off.
fn reopen(path: &Path, durable: u64) -> Result<File, JournalError> {
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(io_error("reopen", path))?;
    file.set_len(durable).map_err(io_error("cut", path))?;
    file.seek(SeekFrom::End(0)).map_err(io_error("seek in", path))?;
    file.sync_all().map_err(io_error("sync", path))?;
    Ok(file)
}

struct Tail {
    /// Offset behind the last valid block.
    end: usize,
    next: u64,
    damaged: usize,
}

/// Walks a segment's blocks. Bytes that are no block are damage where a valid block follows, and a torn tail where none does.
fn tail_of(bytes: &[u8], first: u64) -> Tail {
    let mut tail = Tail { end: HEADER_BYTES, next: first, damaged: 0 };
    loop {
        let rest = bytes.get(tail.end..).unwrap_or_default();
        let valid = BlockHeader::read(rest)
            .filter(|header| rest.get(..BLOCK_HEADER_BYTES + header.payload_len).is_some_and(|block| header.verify(block)));
        match valid {
            Some(header) => {
                tail.end += BLOCK_HEADER_BYTES + header.payload_len;
                tail.next = header.last() + 1;
            }
            None => match segment::next_valid_block(bytes, tail.end) {
                Some(offset) => {
                    tail.damaged += 1;
                    tail.end = offset;
                }
                None => return tail,
            },
        }
    }
}

//! The one writer: collects appends, writes them as one block, fsyncs, and only then answers. While one fsync runs
//! the next block gathers, so that a thousand waiting senders cost as many fsyncs as one.
//! After a failed write or fsync nothing of that block is acknowledged, and the file is cut back (`DurableFile`).
//! A full segment is sealed (`chain`) before the next one is created.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::chain::{Chain, Entry, Seal, Sum};
use super::disk::{Disk, DurableFile, read_file};
use super::segment::{self, COMMIT_BYTES_MAX, Encoder, HEADER_BYTES, HeaderFault, SEGMENT_READ_MAX};
use super::{JournalError, OpenReport, io_error, segment_list, segment_path};
use crate::disk::{Level, Watermark};
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

/// The durable end of the journal, told to the readers, and what they found damaged.
#[derive(Clone)]
pub(super) struct Shared(Arc<Common>);

struct Common {
    state: Mutex<State>,
    moved: Condvar,
    damaged: Mutex<std::collections::BTreeSet<(u64, u64)>>,
}

struct State {
    end: DurableEnd,
    closed: bool,
}

/// How far the journal is on disk. Nobody reads behind it: what is there may still be cut off again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DurableEnd {
    /// The last frame.
    pub(super) last: u64,
    /// The first sequence of the segment that is being written; those before it are closed.
    pub(super) segment: u64,
    /// Where its last block ends.
    pub(super) offset: u64,
}

/// Damaged stretches that are told apart; a disk with more has other news.
const DAMAGED_MAX: usize = 10_000;

impl Shared {
    pub(super) fn new(end: DurableEnd) -> Self {
        let state = Mutex::new(State { end, closed: false });
        Self(Arc::new(Common { state, moved: Condvar::new(), damaged: Mutex::default() }))
    }

    pub(super) fn end(&self) -> DurableEnd {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).end
    }

    pub(super) fn publish(&self, end: DurableEnd) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).end = end;
        self.0.moved.notify_all();
    }

    pub(super) fn close(&self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.0.moved.notify_all();
    }

    /// Waits until something behind `after` is durable; `None` on time-out or where the journal has closed.
    pub(super) fn wait_beyond(&self, after: u64, timeout: Duration) -> Option<DurableEnd> {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.0.moved.wait_timeout_while(state, timeout, |state| state.end.last <= after && !state.closed);
        let end = wait.unwrap_or_else(PoisonError::into_inner).0.end;
        (end.last > after).then_some(end)
    }

    /// Notes a damaged stretch, once however many readers meet it.
    pub(super) fn damaged_add(&self, segment: u64, offset: u64) {
        let mut damaged = self.0.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        if damaged.len() < DAMAGED_MAX {
            damaged.insert((segment, offset));
        }
    }

    pub(super) fn damaged(&self) -> u64 {
        self.0.damaged.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
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
        let bytes = bytes_of(&frames);
        let Ok(room) = self.room.clone().acquire_many_owned(units(bytes)).await else {
            return Err(stopped(frames));
        };
        self.queue(frames, bytes, room)?.await.unwrap_or_else(|_| Err(stopped(Vec::new())))
    }

    /// As `append`, for threads. Not to be called from async code.
    ///
    /// # Errors
    /// As `append`.
    pub fn append_blocking(&self, frames: Vec<NewFrame>) -> Result<RangeInclusive<u64>, Refused> {
        let bytes = bytes_of(&frames);
        let room = loop {
            match self.room.clone().try_acquire_many_owned(units(bytes)) {
                Ok(room) => break room,
                Err(tokio::sync::TryAcquireError::Closed) => return Err(stopped(frames)),
                Err(tokio::sync::TryAcquireError::NoPermits) => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        self.queue(frames, bytes, room)?.blocking_recv().unwrap_or_else(|_| Err(stopped(Vec::new())))
    }

    /// For senders that cannot wait: written with the next commit, whose end `receipt` is told.
    ///
    /// # Errors
    /// The frames themselves where the queue is full or the journal has stopped: to be counted as dropped. Then the
    /// receipt is not used.
    pub fn offer(&self, frames: Vec<NewFrame>, receipt: Receipt) -> Result<(), Vec<NewFrame>> {
        let bytes = bytes_of(&frames);
        let Ok(room) = self.room.clone().try_acquire_many_owned(units(bytes)) else {
            return Err(frames);
        };
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
        bytes: usize,
        room: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Result<RangeInclusive<u64>, Refused>>, Refused> {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queue.as_ref() else { return Err(stopped(frames)) };
        let append = Append { frames, bytes, reply: Reply::Waiting(reply), _room: room };
        queue.send(append).map_err(|std::sync::mpsc::SendError(append)| stopped(append.frames))?;
        Ok(answer)
    }

    /// How much of the queue is in use.
    pub fn queue_used_percent(&self) -> usize {
        100 - self.room.available_permits().min(QUEUE_UNITS) * 100 / QUEUE_UNITS
    }

    /// Ends the writer once everything queued is written.
    pub(super) fn stop(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn stopped(frames: Vec<NewFrame>) -> Refused {
    Refused { error: JournalError::Stopped, frames }
}

fn bytes_of(frames: &[NewFrame]) -> usize {
    frames.iter().map(segment::frame_bytes).sum()
}

/// The room an append takes; one larger than the whole queue takes the whole queue.
fn units(bytes: usize) -> u32 {
    u32::try_from((bytes / UNIT_BYTES + 1).min(QUEUE_UNITS)).unwrap_or(u32::MAX)
}

pub(super) fn start(active: Active, shared: Shared, watermark: Watermark) -> Result<(JournalWriter, JoinHandle<()>), JournalError> {
    let (queue, appends) = channel();
    let path = active.file.path.clone();
    let thread = std::thread::Builder::new()
        .name("journal".into())
        .spawn(move || run(active, &appends, &shared, &watermark))
        .map_err(io_error("start the writer of", &path))?;
    let room = Arc::new(Semaphore::new(QUEUE_UNITS));
    Ok((JournalWriter { queue: Arc::new(Mutex::new(Some(queue))), room }, thread))
}

fn run(mut active: Active, appends: &Receiver<Append>, shared: &Shared, watermark: &Watermark) {
    let mut last = (Stopwatch::start(), 0);
    while let Ok(first) = appends.recv() {
        let batch = gather(first, appends, last);
        last = (Stopwatch::start(), batch.len());
        // Refused before the disk is full to the last byte: the stores need room to work off what is here.
        if watermark.level() == Level::Stop {
            batch.into_iter().for_each(|append| append.reply.give(Err(Refused { error: JournalError::DiskFull, frames: append.frames })));
        } else {
            commit(&mut active, batch, shared);
        }
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
        shared.publish(active.end());
    }
    for Append { frames, reply, .. } in batch {
        let count = frames.len() as u64;
        let range = from..=(from + count).saturating_sub(1);
        from += count;
        reply.give(match &result {
            Ok(()) => Ok(range),
            Err(error) => Err(Refused { error: error.refusal(), frames }),
        });
    }
}

/// The chain, shared by the writer, who seals, and the keeper, who frees.
pub(super) type SharedChain = Arc<Mutex<Chain>>;

/// The segment that is being written.
pub(super) struct Active {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    chain: SharedChain,
    file: DurableFile,
    first: u64,
    next: u64,
    /// Of all durable bytes of the segment.
    hash: Sha256,
    /// When its first and its last frame were received; the time of opening before there is one.
    from: Timestamp,
    to: Timestamp,
    segment_bytes_max: u64,
    encoder: Encoder,
}

impl Active {
    pub(super) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        chain: SharedChain,
        now: Timestamp,
        segment_bytes_max: u64,
    ) -> Result<(Self, OpenReport), JournalError> {
        let mut segments = segment_list(disk.as_ref(), dir)?;
        let mut report = OpenReport { segments: segments.len(), ..OpenReport::default() };
        let place = Place { disk, dir, chain, now, segment_bytes_max };
        let Some((first, path)) = segments.pop() else {
            let next = place.chain_last() + 1;
            report.segments = 1;
            report.last = Seq(next - 1);
            return Ok((place.create(next)?, report));
        };
        report.sealed_late = place.seal_late(&segments)?;
        let bytes = read_file(disk.as_ref(), &path, SEGMENT_READ_MAX)?.unwrap_or_default();
        match segment::segment_header_read(&bytes) {
            Ok(named) if named == first => {}
            Err(HeaderFault::Foreign) => {
                return Err(JournalError::Format { path, reason: "not a journal segment of version 01".into() });
            }
            // A crash between creating the file and writing its header: it never held a frame.
            _ if bytes.len() <= HEADER_BYTES => {
                report.last = Seq(first - 1);
                report.torn_bytes = bytes.len() as u64;
                return Ok((place.create(first)?, report));
            }
            // The name says the same, and the blocks are checked one by one.
            _ => report.damaged += 1,
        }
        let walk = segment::walk(&bytes, first);
        report.damaged += walk.damaged.len();
        let sealed = place.lock().read().seal(first).map(|seal| seal.last);
        if let Some(last) = sealed {
            // A crash between the seal and the next segment.
            report.last = Seq(last.max(walk.next - 1));
            report.segments += 1;
            return Ok((place.create(report.last.0 + 1)?, report));
        }
        let durable = bytes.get(..walk.end).unwrap_or(&bytes);
        report.last = Seq(walk.next - 1);
        report.torn_bytes = (bytes.len() - durable.len()) as u64;
        let mut file = DurableFile::open(disk, path, durable.len() as u64);
        // Also where nothing is torn: what a process wrote that was killed before its sync counts from now on.
        file.cut()?;
        let mut active = place.active(file, first, durable)?;
        active.next = walk.next;
        (active.from, active.to) = walk.span(durable).unwrap_or((now, now));
        Ok((active, report))
    }

    /// Goes on with a later sequence, in a segment of its own: within one, sequences have no gaps.
    pub(super) fn skip_to(&mut self, next: Seq, now: Timestamp) -> Result<(), JournalError> {
        let empty = (self.next == self.first).then(|| self.file.path.clone());
        let gap = Entry::Gap { first: self.next, last: next.0 - 1, at: now };
        if empty.is_none() {
            self.seal()?;
        }
        self.chain.lock().unwrap_or_else(PoisonError::into_inner).add(gap)?;
        (self.next, self.to) = (next.0, now);
        self.begin()?;
        if let Some(path) = empty {
            // It never held a frame, and two segments must not begin where one of them would.
            self.disk.remove(&path).map_err(io_error("remove", &path))?;
        }
        Ok(())
    }

    pub(super) fn end(&self) -> DurableEnd {
        DurableEnd { last: self.next - 1, segment: self.first, offset: self.file.durable }
    }

    fn append(&mut self, batch: &[Append]) -> Result<(), JournalError> {
        let frames = || batch.iter().flat_map(|append| &append.frames);
        if self.file.durable >= self.segment_bytes_max {
            self.seal()?;
            self.begin()?;
        }
        let bytes = batch.iter().map(|append| append.bytes).sum();
        let block = self.encoder.block(self.next, frames(), bytes).map_err(io_error("compress a block for", &self.file.path))?;
        self.file.append(block)?;
        self.hash.update(block);
        if self.next == self.first {
            self.from = frames().next().map_or(self.to, |frame| frame.received_at);
        }
        for append in batch {
            self.next += append.frames.len() as u64;
            self.to = append.frames.last().map_or(self.to, |frame| frame.received_at);
        }
        Ok(())
    }

    /// Seals the segment; one that is sealed already (the next could not be created) is left so.
    fn seal(&mut self) -> Result<(), JournalError> {
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        if chain.read().seal(self.first).is_some() {
            return Ok(());
        }
        let Self { first, next, from, to, .. } = *self;
        let (bytes, sum) = (self.file.durable, Sum::finish(self.hash.clone()));
        chain.add(Entry::Seal(Seal { first, last: next - 1, bytes, from, to, sum, late: false }))
    }

    /// Begins the next segment.
    fn begin(&mut self) -> Result<(), JournalError> {
        let (file, header) = segment_create(&self.disk, &self.dir, self.next, self.to)?;
        (self.file, self.first, self.from) = (file, self.next, self.to);
        self.hash = Sha256::new();
        self.hash.update(header);
        Ok(())
    }
}

fn segment_create(disk: &Arc<dyn Disk>, dir: &Path, first: u64, now: Timestamp) -> Result<(DurableFile, [u8; HEADER_BYTES]), JournalError> {
    let header = segment::segment_header(first, now);
    Ok((DurableFile::create(disk, segment_path(dir, first), &header)?, header))
}

/// Where a journal is opened.
struct Place<'a> {
    disk: &'a Arc<dyn Disk>,
    dir: &'a Path,
    chain: SharedChain,
    now: Timestamp,
    segment_bytes_max: u64,
}

impl Place<'_> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chain_last(&self) -> u64 {
        self.lock().read().last()
    }

    fn create(&self, first: u64) -> Result<Active, JournalError> {
        let (file, header) = segment_create(self.disk, self.dir, first, self.now)?;
        self.active(file, first, &header)
    }

    fn active(&self, file: DurableFile, first: u64, durable: &[u8]) -> Result<Active, JournalError> {
        let encoder = Encoder::new().map_err(io_error("prepare compression for", &file.path))?;
        let mut hash = Sha256::new();
        hash.update(durable);
        Ok(Active {
            disk: self.disk.clone(),
            dir: self.dir.to_owned(),
            chain: self.chain.clone(),
            file,
            first,
            next: first,
            hash,
            from: self.now,
            to: self.now,
            segment_bytes_max: self.segment_bytes_max,
            encoder,
        })
    }

    /// Seals closed segments that have no seal: they are older than seals, or their seal was lost. Says how many.
    fn seal_late(&self, closed: &[(u64, PathBuf)]) -> Result<usize, JournalError> {
        let sealed: std::collections::HashSet<u64> = self.lock().read().seals().map(|seal| seal.first).collect();
        let freed = self.lock().read().freed();
        let mut late = 0;
        for (first, path) in closed.iter().filter(|(first, _)| !sealed.contains(first) && *first > freed) {
            let Some(bytes) = read_file(self.disk.as_ref(), path, SEGMENT_READ_MAX)? else { continue };
            let walk = segment::walk(&bytes, *first);
            let (from, to) = walk.span(&bytes).unwrap_or((self.now, self.now));
            let (last, sum) = (walk.next - 1, Sum::of(&bytes));
            self.lock().add(Entry::Seal(Seal { first: *first, last, bytes: bytes.len() as u64, from, to, sum, late: true }))?;
            late += 1;
        }
        Ok(late)
    }
}

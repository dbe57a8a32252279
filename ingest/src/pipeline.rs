//! The way from the journal to the stores and the rules: one thread reads and decodes, each consumer applies the
//! batches on a thread of its own and keeps its own durable cursor. Delivery is at least once from the lowest
//! cursor; a consumer skips what it already has, so that effects happen once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::body::{SharedSites, SiteTable};
use crate::event::Event;
use crate::flow::FlowRecord;
use crate::frame::{Frame, Seq};
use crate::journal::{Journal, JournalError, JournalReader};
use crate::time::{Clock, Stopwatch, Timestamp};

/// What came of a stretch of the journal, decoded once for all consumers.
#[derive(Debug, Default)]
pub struct Batch {
    /// First and last journal sequence of the stretch; every frame in between is accounted for in it.
    pub first: Seq,
    pub last: Seq,
    /// In journal order; `seq` strictly rises over events (one frame, at most one event).
    pub events: Vec<Event>,
    /// In journal order; one frame may carry many flows, all with its `seq`.
    pub flows: Vec<FlowRecord>,
    /// The frames themselves, for consumers that count them or read import marks.
    pub frames: Vec<Frame>,
    /// The sites as they were when the stretch was decoded.
    pub sites: Arc<SiteTable>,
}

/// What a consumer fails with. The pipeline says so and does the same again until it succeeds or ends: a disk that was
/// full has space again one day. Meanwhile the journal keeps the data, and behind a full queue the others wait.
pub type ConsumerError = Box<dyn std::error::Error + Send + Sync>;

/// Turns frames into events and flows. It may have a memory (NetFlow templates and counts), which it keeps over restarts itself.
pub trait Decode: Send {
    fn decode(&mut self, frames: Vec<Frame>, sites: Arc<SiteTable>) -> Batch;

    /// The last sequence that its memory knows at the start; reading begins behind it. It must not lie ahead of any
    /// consumer's cursor: what a consumer still needs must be decoded as it was the first time. `None` where it has no memory.
    fn position(&self) -> Option<Seq> {
        None
    }

    /// Called after every stretch and some times a second when none comes: the place for writing the memory down. `durable` is
    /// what every consumer has durably; `ending` with the last call, when all have flushed. Returns the sequence up to which
    /// the journal need not be kept for the memory's sake.
    fn keep(&mut self, durable: Seq, ending: bool) -> Option<Seq> {
        let _ = (durable, ending);
        None
    }
}

/// Something downstream of the journal: the event store, the flow store, the rules, the source statistics.
///
/// A call that failed is made again with the same argument: it must leave the consumer so that this neither loses nor
/// doubles an effect.
pub trait Consumer: Send {
    fn name(&self) -> &'static str;

    /// The last sequence whose effects are durable; reading resumes behind it after a restart.
    fn cursor(&self) -> Seq;

    /// Applies a batch. Must skip everything at or below its cursor (a batch may straddle it). When this
    /// returns, the effects are visible to queries; they need not be durable yet.
    ///
    /// # Errors
    /// Where the effects cannot be had: disk, database. Hostile content is never an error.
    fn apply(&mut self, batch: &Batch) -> Result<(), ConsumerError>;

    /// Called about once a second, also when nothing comes: the place for flushing by age.
    ///
    /// # Errors
    /// As `apply`.
    fn tick(&mut self, now: Timestamp) -> Result<(), ConsumerError>;

    /// Makes everything applied so far durable and moves the cursor to it.
    ///
    /// # Errors
    /// As `apply`.
    fn flush(&mut self) -> Result<(), ConsumerError>;
}

/// Batches that may wait for one consumer. Blocks are up to 1 MiB, so this bounds memory, and the slowest consumer
/// slows the reading, never the receiving.
const QUEUE_BATCHES: usize = 4;
/// How often a consumer's `tick` runs.
const TICK: Duration = Duration::from_secs(1);
/// How long a consumer that failed waits before it tries again.
const RETRY: Duration = Duration::from_secs(1);
/// How long the reader waits for new frames before it looks whether it should stop.
const READ_PATIENCE: Duration = Duration::from_millis(100);

/// The running threads between the journal and the consumers.
pub struct Pipeline {
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<Box<dyn Decode>>>,
    consumers: Vec<JoinHandle<()>>,
    progress: Arc<Progress>,
}

/// How far each consumer is, and what holds it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerState {
    pub name: &'static str,
    /// The last sequence whose effects are visible.
    pub applied: Seq,
    /// The last sequence whose effects are durable: the journal need not keep it for this consumer.
    pub durable: Seq,
    /// What it fails with at the moment.
    pub error: Option<String>,
}

/// A look at a running pipeline; cheap to clone.
#[derive(Clone)]
pub struct PipelineWatch(Arc<Progress>);

impl PipelineWatch {
    pub fn states(&self) -> Vec<ConsumerState> {
        self.0.states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What every consumer has durably worked off, also one that has stopped, and what the decoder's memory covers.
    pub fn consumed(&self) -> Seq {
        self.0.durable().min(Seq(self.0.remembered.load(Ordering::Relaxed)))
    }
}

struct Progress {
    states: Mutex<Vec<ConsumerState>>,
    /// Up to which sequence the decoder's memory covers the journal; the highest number where it has none.
    remembered: AtomicU64,
    changed: Condvar,
}

impl Progress {
    fn durable(&self) -> Seq {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.iter().map(|state| state.durable).min().unwrap_or_default()
    }

    fn keep(&self, decoder: &mut dyn Decode, ending: bool) {
        if let Some(covered) = decoder.keep(self.durable(), ending) {
            self.remembered.store(covered.0, Ordering::Relaxed);
        }
    }

    fn update(&self, index: usize, change: impl FnOnce(&mut ConsumerState)) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = states.get_mut(index) {
            change(state);
        }
        self.changed.notify_all();
    }
}

impl Pipeline {
    /// Starts reading behind the lowest cursor and applying on one thread per consumer.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub fn start(
        journal: &Journal,
        mut decoder: Box<dyn Decode>,
        consumers: Vec<Box<dyn Consumer>>,
        sites: SharedSites,
        clock: &Clock,
    ) -> Result<Self, JournalError> {
        let needed = consumers.iter().map(|consumer| consumer.cursor()).min().unwrap_or_else(|| journal.last());
        let position = decoder.position();
        let from = position.map_or(needed, |position| position.min(needed));
        let remembered = AtomicU64::new(position.map_or(u64::MAX, |position| position.0));
        let state = |c: &dyn Consumer| ConsumerState { name: c.name(), applied: c.cursor(), durable: c.cursor(), error: None };
        let states = consumers.iter().map(|c| state(c.as_ref())).collect();
        let progress = Arc::new(Progress { states: Mutex::new(states), remembered, changed: Condvar::new() });
        let stop = Arc::new(AtomicBool::new(false));
        let mut queues = Vec::new();
        let mut threads = Vec::new();
        for (index, consumer) in consumers.into_iter().enumerate() {
            let (queue, batches) = sync_channel(QUEUE_BATCHES);
            queues.push(Some(queue));
            let name = consumer.name();
            let place = Place { index, progress: progress.clone(), stop: stop.clone() };
            let clock = clock.clone();
            threads.push(spawn(name, move || consume(consumer, &place, &batches, &clock))?);
        }
        let reader = journal.reader(from);
        let (stopped, seen) = (stop.clone(), progress.clone());
        let reading = spawn("decode", move || {
            read(reader, decoder.as_mut(), queues, &sites, &stopped, &seen);
            decoder
        })?;
        Ok(Self { stop, reader: Some(reading), consumers: threads, progress })
    }

    pub fn states(&self) -> Vec<ConsumerState> {
        self.watch().states()
    }

    /// For those who look at the pipeline without holding it.
    pub fn watch(&self) -> PipelineWatch {
        PipelineWatch(self.progress.clone())
    }

    /// Waits until every consumer that does not fail has applied `seq`; false on time-out.
    pub fn wait_applied(&self, seq: Seq, timeout: Duration) -> bool {
        let states = self.progress.states.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = |states: &mut Vec<ConsumerState>| states.iter().any(|state| state.applied < seq && state.error.is_none());
        let (states, waited) = self.progress.changed.wait_timeout_while(states, timeout, behind).unwrap_or_else(PoisonError::into_inner);
        drop(states);
        !waited.timed_out()
    }

    /// Stops reading, lets the consumers finish what is queued and flush, and waits for them.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let decoder = self.reader.take().and_then(|reader| reader.join().ok());
        for consumer in self.consumers.drain(..) {
            let _ = consumer.join();
        }
        if let Some(mut decoder) = decoder {
            self.progress.keep(decoder.as_mut(), true);
        }
    }
}

fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, JournalError> {
    let started = std::thread::Builder::new().name(name.into()).spawn(work);
    started.map_err(|error| JournalError::Write(format!("start the thread {name}: {error}")))
}

fn read(
    mut reader: JournalReader,
    decoder: &mut dyn Decode,
    mut queues: Vec<Option<SyncSender<Arc<Batch>>>>,
    sites: &SharedSites,
    stop: &AtomicBool,
    progress: &Progress,
) {
    while !stop.load(Ordering::Relaxed) && queues.iter().any(Option::is_some) {
        progress.keep(decoder, false);
        let frames = match reader.next(READ_PATIENCE) {
            Ok(Some(frames)) => frames,
            Ok(None) => continue,
            Err(error) => {
                tracing::error!(%error, "the journal cannot be read; trying again");
                std::thread::sleep(TICK);
                continue;
            }
        };
        let sites = sites.read().unwrap_or_else(PoisonError::into_inner).clone();
        let batch = Arc::new(decoder.decode(frames, sites));
        for queue in &mut queues {
            // A consumer that has stopped is left out from here on; its cursor keeps its place in the journal.
            if queue.as_ref().is_some_and(|queue| queue.send(batch.clone()).is_err()) {
                *queue = None;
            }
        }
    }
}

/// A consumer's place among the others.
struct Place {
    index: usize,
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
}

impl Place {
    fn fails(&self, name: &str, error: &ConsumerError) {
        let error = chain(error.as_ref());
        self.progress.update(self.index, |state| {
            // Said once, not each second for a whole night.
            if state.error.is_none() {
                tracing::error!(consumer = name, error, "cannot go on; the journal keeps what it has not taken, and it tries again");
            }
            state.error = Some(error);
        });
    }

    /// The journal need not keep for this consumer what lies at or below.
    fn is_durable(&self, durable: Seq) {
        self.progress.update(self.index, |state| state.durable = durable);
    }

    fn goes_on(&self, name: &str) {
        self.progress.update(self.index, |state| {
            if state.error.take().is_some() {
                tracing::info!(consumer = name, "goes on");
            }
        });
    }
}

/// An error with its causes, each of which says more than the one before.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn consume(mut consumer: Box<dyn Consumer>, place: &Place, batches: &Receiver<Arc<Batch>>, clock: &Clock) {
    let name = consumer.name();
    let mut since_tick = Stopwatch::start();
    loop {
        match batches.recv_timeout(TICK.saturating_sub(since_tick.elapsed())) {
            Ok(batch) => {
                while let Err(error) = consumer.apply(&batch) {
                    place.fails(name, &error);
                    // What was not applied is read again after the next start.
                    if place.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    std::thread::sleep(RETRY);
                }
                let durable = consumer.cursor();
                place.progress.update(place.index, |state| {
                    state.applied = state.applied.max(batch.last);
                    state.durable = durable;
                });
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        // Looked at after every batch too: under steady load the queue is never empty.
        if since_tick.elapsed() >= TICK {
            // A failure here is tried again with the next tick; what comes meanwhile is applied.
            match consumer.tick(clock.now()) {
                Ok(()) => place.goes_on(name),
                Err(error) => place.fails(name, &error),
            }
            place.is_durable(consumer.cursor());
            since_tick = Stopwatch::start();
        }
    }
    if let Err(error) = consumer.flush() {
        place.fails(name, &error);
    }
    place.is_durable(consumer.cursor());
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::body::SITE_UNKNOWN;
    use crate::frame::{FrameKind, Marks, NewFrame, Transport};

    struct Lines;

    impl Decode for Lines {
        fn decode(&mut self, frames: Vec<Frame>, sites: Arc<SiteTable>) -> Batch {
            let first = frames.first().map(|frame| frame.seq).unwrap_or_default();
            let last = frames.last().map(|frame| frame.seq).unwrap_or_default();
            Batch { first, last, frames, sites, ..Batch::default() }
        }
    }

    /// Keeps what it applied in `seen`, and its cursor outside, as a store on disk would.
    struct Memory {
        seen: Arc<Mutex<Vec<u64>>>,
        cursor: Arc<Mutex<u64>>,
        /// From this sequence on it fails, until that is taken back.
        fail_at: Arc<Mutex<Option<u64>>>,
    }

    impl Consumer for Memory {
        fn name(&self) -> &'static str {
            "memory"
        }
        fn cursor(&self) -> Seq {
            Seq(*self.cursor.lock().unwrap())
        }
        fn apply(&mut self, batch: &Batch) -> Result<(), ConsumerError> {
            let cursor = *self.cursor.lock().unwrap();
            if self.fail_at.lock().unwrap().is_some_and(|at| batch.last.0 >= at) {
                return Err("disk full".into());
            }
            self.seen.lock().unwrap().extend(batch.frames.iter().map(|frame| frame.seq.0).filter(|seq| *seq > cursor));
            Ok(())
        }
        fn tick(&mut self, _now: Timestamp) -> Result<(), ConsumerError> {
            Ok(())
        }
        fn flush(&mut self) -> Result<(), ConsumerError> {
            *self.cursor.lock().unwrap() = self.seen.lock().unwrap().last().copied().unwrap_or(0);
            Ok(())
        }
    }

    fn append(journal: &Journal, count: usize) {
        for _ in 0..count {
            let frame = NewFrame {
                received_at: Timestamp(1),
                site: SITE_UNKNOWN,
                peer: Ipv4Addr::LOCALHOST.into(),
                transport: Transport::Tcp,
                kind: FrameKind::Line,
                marks: Marks::default(),
                payload: Box::from(&b"x"[..]),
            };
            journal.writer().append_blocking(vec![frame]).unwrap();
        }
    }

    #[test]
    fn every_frame_reaches_every_consumer_once_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(&dir.path().join("j"), &dir.path().join("q"), Timestamp(1)).unwrap();
        let seen: [Arc<Mutex<Vec<u64>>>; 2] = Default::default();
        let cursors: [Arc<Mutex<u64>>; 2] = Default::default();
        for round in 1..=3u64 {
            let consumers = seen
                .iter()
                .zip(&cursors)
                .map(|(seen, cursor)| {
                    Box::new(Memory { seen: seen.clone(), cursor: cursor.clone(), fail_at: Arc::default() }) as Box<dyn Consumer>
                })
                .collect();
            let mut pipeline =
                Pipeline::start(&journal, Box::new(Lines), consumers, SharedSites::default(), &Clock::manual(Timestamp(1))).unwrap();
            append(&journal, 5);
            assert!(pipeline.wait_applied(Seq(round * 5), Duration::from_secs(60)));
            pipeline.stop();
        }
        for seen in &seen {
            assert_eq!(*seen.lock().unwrap(), (1..=15).collect::<Vec<_>>());
        }
        journal.close();
    }

    #[test]
    fn a_failing_consumer_says_why_and_goes_on_when_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(&dir.path().join("j"), &dir.path().join("q"), Timestamp(1)).unwrap();
        let seen: [Arc<Mutex<Vec<u64>>>; 2] = Default::default();
        let fail_at = Arc::new(Mutex::new(Some(3)));
        let consumers: Vec<Box<dyn Consumer>> = vec![
            Box::new(Memory { seen: seen[0].clone(), cursor: Arc::default(), fail_at: fail_at.clone() }),
            Box::new(Memory { seen: seen[1].clone(), cursor: Arc::default(), fail_at: Arc::default() }),
        ];
        let mut pipeline =
            Pipeline::start(&journal, Box::new(Lines), consumers, SharedSites::default(), &Clock::manual(Timestamp(1))).unwrap();
        append(&journal, 6);
        // The other one is not held up.
        assert!(pipeline.wait_applied(Seq(6), Duration::from_secs(60)));
        assert_eq!(*seen[1].lock().unwrap(), (1..=6).collect::<Vec<_>>());
        assert_eq!(pipeline.states()[0].error.as_deref(), Some("disk full"));
        *fail_at.lock().unwrap() = None;
        while pipeline.states()[0].applied < Seq(6) || pipeline.states()[0].error.is_some() {
            std::thread::sleep(Duration::from_millis(1));
        }
        pipeline.stop();
        assert_eq!(*seen[0].lock().unwrap(), (1..=6).collect::<Vec<_>>());
    }
}

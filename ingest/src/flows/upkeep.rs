//! The thread that looks after the flow store: adds up new files, compacts hours that are over, lets days go, and rebuilds
//! what a command asks for. It rests as long as it works, so that it takes half a core at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::rebuild::FlowsRebuilt;
use super::{FlowStore, FlowsAgain};
use crate::db::Db;
use crate::events::{Rebuilt, TaskState, store_task_open, store_task_put};
use crate::frame::Seq;
use crate::time::{Clock, Stopwatch, Timestamp};

/// Under which name a rebuild of the flows is asked for.
pub const PART: &str = "flows";
/// How often it is looked whether something is to be done, or the program ends.
const LOOK_EVERY: Duration = Duration::from_millis(500);

type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Opens the journal at a sequence, or before it, for reading it again.
pub type OpenAgain = dyn Fn(Seq) -> Result<Box<FlowsAgain<'static>>, Failure> + Send;

/// How the upkeep works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowSettings {
    /// How often it is looked what is due.
    pub every: Duration,
    /// Days for which flows are kept.
    pub days: u32,
}

/// The running thread; it ends when this is dropped.
pub struct FlowUpkeep {
    stop: Arc<AtomicBool>,
    retain: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FlowUpkeep {
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(store: Arc<FlowStore>, db: Db, clock: Clock, settings: FlowSettings, again: Box<OpenAgain>) -> std::io::Result<Self> {
        let (stop, retain) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let work = Work { store, db, clock, settings, again, stop: stop.clone(), retain: retain.clone() };
        let thread = std::thread::Builder::new().name("flow-upkeep".into()).spawn(move || work.run())?;
        Ok(Self { stop, retain, thread: Some(thread) })
    }

    /// From now on days whose time is over go; not before, as the events'.
    pub fn retain(&self) {
        self.retain.store(true, Ordering::Release);
    }
}

impl Drop for FlowUpkeep {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Work {
    store: Arc<FlowStore>,
    db: Db,
    clock: Clock,
    settings: FlowSettings,
    again: Box<OpenAgain>,
    stop: Arc<AtomicBool>,
    retain: Arc<AtomicBool>,
}

impl Work {
    fn run(&self) {
        let mut since = None::<Stopwatch>;
        while !self.stopped() {
            self.tasks();
            if since.is_none_or(|since| since.elapsed() >= self.settings.every.min(Duration::from_secs(60))) {
                self.round();
                since = Some(Stopwatch::start());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn round(&self) {
        let now = self.clock.now();
        self.store.unread_retry();
        let said = |what: &str, result: Result<(), Failure>| {
            if let Err(error) = result {
                tracing::error!(what, %error, "the flow store's upkeep; trying again");
            }
        };
        // First the sums: they are read from the small files, which are in the order of the journal.
        let summed = self.store.rollup(&self.db, now).map(|_| ());
        let sums_stand = summed.is_ok();
        said("sums", summed);
        if self.retain.load(Ordering::Acquire) {
            said("retention", self.let_go(now));
        }
        while sums_stand && !self.stopped() {
            match self.store.compact_next(now, &|| self.stopped()) {
                Ok(Some(done)) => tracing::info!(
                    files = done.files,
                    records = done.records,
                    before = done.bytes_before,
                    after = done.bytes_after,
                    "flow store: an hour compacted"
                ),
                Ok(None) => break,
                Err(error) => {
                    said("compaction", Err(error.into()));
                    break;
                }
            }
        }
    }

    fn let_go(&self, now: Timestamp) -> Result<(), Failure> {
        for row in self.store.retain(&self.db, self.settings.days, now, &|| self.stopped())? {
            tracing::info!(file = row.file, records = row.records, bytes = row.bytes, why = row.why, "flows deleted");
        }
        Ok(self.store.rollup_forget(&self.db, now, self.settings.days)?)
    }

    fn tasks(&self) {
        let open = match self.db.read(|connection| store_task_open(connection, true)) {
            Ok(open) => open,
            Err(error) => return tracing::error!(%error, "the flow store's tasks cannot be read"),
        };
        let Some(task) = open else { return };
        let state = match self.rebuild() {
            Ok(done) => {
                tracing::info!(gaps = done.gaps, files = done.files, records = done.records, "flow store: rebuilt from the journal");
                if done.waiting > 0 {
                    tracing::warn!(sets = done.waiting, "flow store: data is still missing whose template is not in the journal nearby");
                }
                let missing_before = done.missing_before;
                TaskState::Done(Rebuilt { name: PART.to_owned(), documents: done.records, missing_before, ..Rebuilt::default() })
            }
            // Taken up again after the next start.
            Err(_) if self.stopped() => return,
            Err(error) => {
                tracing::error!(%error, "flow store: rebuild failed");
                TaskState::Failed(error.to_string())
            }
        };
        let now = self.clock.now();
        if let Err(error) = self.db.write(move |tx| store_task_put(tx, &task, &state, Some(now))) {
            tracing::error!(%error, "the flow store's task cannot be noted as done");
        }
    }

    fn rebuild(&self) -> Result<FlowsRebuilt, Failure> {
        let not_before = self.clock.now().plus(-i64::from(self.settings.days).saturating_mul(Timestamp::DAY));
        self.store.unread_retry();
        self.store.sift(&|| self.stopped())?;
        let mut all = FlowsRebuilt::default();
        for gap in self.store.gaps() {
            let mut again = (self.again)(gap.0)?;
            all.add(&self.store.rebuild(gap, not_before, &mut *again, &|| self.stopped())?);
        }
        Ok(all)
    }
}

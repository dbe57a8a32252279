//! Back-tests that pages ask for: one at a time, in a thread of its own that rests as long as it works. They are kept in
//! memory until the program ends or newer ones push them out; what one found is nobody's alert and nobody's record.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use detect::intel::IndicatorSet;
use detect::rulebook::{Backtest, BacktestReport, Candidate};
use ingest::body::SiteTable;
use ingest::events::{Cancel, EventStore};
use ingest::flows::FlowStore;
use ingest::scope::Scope;
use ingest::time::{Clock, Timestamp};
use tokio_util::sync::CancellationToken;

ingest::id_type!(
    /// One try of a rule on what is stored.
    BacktestId
);

/// Kept for who comes back to look.
const KEPT_MAX: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BacktestState {
    Running,
    Done,
    Cancelled,
    /// The store could not be read.
    Failed,
}

/// A back-test as pages show it.
#[derive(Clone, Debug)]
pub struct BacktestJob {
    pub id: BacktestId,
    pub title: String,
    /// The rules whose findings count.
    pub names: Vec<String>,
    /// What was typed in; empty for a rule in force.
    pub text: String,
    pub days: i64,
    pub by: String,
    pub begun_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub state: BacktestState,
    pub report: BacktestReport,
    cancel: Cancel,
}

/// What is to be tried, on what.
pub struct NewBacktest {
    pub candidate: Candidate,
    pub text: String,
    pub days: i64,
    pub by: String,
    pub events: Arc<EventStore>,
    pub flows: Option<Arc<FlowStore>>,
    pub sites: Arc<SiteTable>,
    pub scope: Scope,
    pub indicators: Arc<IndicatorSet>,
    pub clock: Clock,
}

/// Another one runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a back-test runs already")]
pub struct Busy;

/// All of them, the newest first.
#[derive(Debug, Default)]
pub struct Backtests {
    jobs: Arc<Mutex<VecDeque<BacktestJob>>>,
    stop: CancellationToken,
}

impl Backtests {
    /// Ends what runs when the program ends.
    pub fn until(stop: CancellationToken) -> Self {
        Self { jobs: Arc::default(), stop }
    }

    pub fn list(&self) -> Vec<BacktestJob> {
        self.lock().iter().cloned().collect()
    }

    pub fn find(&self, id: BacktestId) -> Option<BacktestJob> {
        self.lock().iter().find(|job| job.id == id).cloned()
    }

    /// Says whether there was one that runs.
    pub fn cancel(&self, id: BacktestId) -> bool {
        let jobs = self.lock();
        let running = jobs.iter().find(|job| job.id == id && job.state == BacktestState::Running);
        running.map(|job| job.cancel.cancel()).is_some()
    }

    /// Begins one.
    ///
    /// # Errors
    /// Where another runs, or no thread can be had.
    pub fn start(&self, new: NewBacktest) -> Result<BacktestId, Busy> {
        let now = new.clock.now();
        let (id, cancel) = (BacktestId::new(now), Cancel::default());
        let (from, to) = (now.plus(-new.days.saturating_mul(Timestamp::DAY)), now);
        let job = BacktestJob {
            id,
            title: new.candidate.title.clone(),
            names: new.candidate.names.clone(),
            text: new.text.clone(),
            days: new.days,
            by: new.by.clone(),
            begun_at: now,
            ended_at: None,
            state: BacktestState::Running,
            report: BacktestReport { from, to, reached: from, ..BacktestReport::default() },
            cancel: cancel.clone(),
        };
        {
            let mut jobs = self.lock();
            if jobs.iter().any(|job| job.state == BacktestState::Running) {
                return Err(Busy);
            }
            jobs.push_front(job);
            jobs.truncate(KEPT_MAX);
        }
        let (jobs, stop) = (self.jobs.clone(), self.stop.clone());
        let work = move || {
            let test = Backtest {
                events: &new.events,
                flows: new.flows.as_deref(),
                sites: new.sites.clone(),
                scope: new.scope.clone(),
                indicators: new.indicators.clone(),
                from,
                to,
                cancel: cancel.clone(),
                gentle: true,
                thorough: false,
            };
            let put = |change: &mut dyn FnMut(&mut BacktestJob)| {
                let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(job) = jobs.iter_mut().find(|job| job.id == id) {
                    change(job);
                }
            };
            let done = test.run(&new.candidate, &mut |report| {
                if stop.is_cancelled() {
                    cancel.cancel();
                }
                put(&mut |job| job.report = report.clone());
            });
            let ended_at = new.clock.now();
            put(&mut |job| {
                job.ended_at = Some(ended_at);
                job.state = match &done {
                    Ok(report) if report.cancelled => BacktestState::Cancelled,
                    Ok(_) => BacktestState::Done,
                    Err(_) => BacktestState::Failed,
                };
                if let Ok(report) = &done {
                    job.report = report.clone();
                }
            });
            if let Err(error) = done {
                tracing::error!(%error, "a back-test could not be run");
            }
        };
        if std::thread::Builder::new().name("backtest".into()).spawn(work).is_err() {
            self.lock().retain(|job| job.id != id);
            return Err(Busy);
        }
        Ok(id)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<BacktestJob>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

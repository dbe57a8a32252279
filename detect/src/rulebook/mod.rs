//! The rules in force: the shipped ones and the operator's own, which of them are on, on probation or off, where they are
//! held back, and what was refused. Everybody who judges or shows rules has the same `Rulebook`; `keeper` makes the next
//! one when a file, a state or a filter changes, and numbers it.
//!
//! **Invariant**: a refused rule is left out and named, and leaves the others unharmed. Where of the operator's own rules
//! not one compiles any more, the book in force stays.

mod backtest;
mod evidence;
mod keeper;
mod probe;
mod route;
mod state;
mod tuning;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::Duration;

use ingest::db::Migrations;
use ingest::time::Timestamp;

pub use backtest::{
    BACKTEST_DAYS_MAX, Backtest, BacktestError, BacktestHit, BacktestReport, Candidate, CandidateError, HITS_MAX as BACKTEST_HITS_MAX,
};
pub use evidence::Evidence;
pub use keeper::{RuleKeeper, Rulekeeping, rulebook_compose};
pub(crate) use probe::probe_add;
pub use probe::{PROBE_HITS_MAX, ProbeHit, probe_hits};
pub(crate) use route::{finding_route, rule_state};
pub use state::{RuleStand, RuleState, StateChange, rule_state_set, rule_states};
pub use tuning::{
    EXPIRY_DAYS_MAX, Held, NewTuning, Preview, TERMS_MAX, Term, Tuning, TuningId, VALUES_MAX as TUNING_VALUES_MAX, shared_with, tuning_add,
    tuning_list, tuning_preview, tuning_remove,
};

use crate::engine::RuleHealth;
use crate::sigma::{CompiledRule, RuleError, RuleSet, shipped_text};

pub const MIGRATIONS: Migrations = Migrations {
    owner: "rulebook",
    steps: &["
        CREATE TABLE rule_state (
            rule TEXT PRIMARY KEY,
            state TEXT NOT NULL,
            reason TEXT NOT NULL,
            actor TEXT NOT NULL,
            changed_at BIGINT NOT NULL,
            hits BIGINT NOT NULL
        );
        CREATE TABLE probe_hit (
            id TEXT PRIMARY KEY,
            rule TEXT NOT NULL,
            site TEXT NOT NULL,
            entity TEXT NOT NULL,
            first BIGINT NOT NULL,
            last BIGINT NOT NULL,
            records BIGINT NOT NULL,
            detected_at BIGINT NOT NULL
        );
        CREATE INDEX probe_hit_rule ON probe_hit (rule, id);
        CREATE TABLE rule_tuning (
            id TEXT PRIMARY KEY,
            rule TEXT NOT NULL,
            terms TEXT NOT NULL,
            text TEXT NOT NULL,
            reason TEXT NOT NULL,
            actor TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL,
            removed_at BIGINT,
            removed_by TEXT
        );
        CREATE INDEX rule_tuning_rule ON rule_tuning (rule, id);
    "],
};

/// The rules in force at one time.
#[derive(Clone, Debug, Default)]
pub struct Rulebook {
    /// Counts the changes, over restarts.
    pub number: u64,
    pub since: Timestamp,
    /// All that compiled, also what is off.
    pub set: RuleSet,
    /// What could not be taken, by file and line.
    pub refused: Vec<RuleError>,
    /// How the evidence of the operator's own rules stood, by the rule's name.
    pub evidence: BTreeMap<String, Evidence>,
    /// Rules that are not simply on.
    states: BTreeMap<String, RuleState>,
    /// The wording of what is not shipped, by file.
    texts: BTreeMap<String, String>,
    running: RuleSet,
}

impl Rulebook {
    pub(crate) fn new(set: RuleSet, refused: Vec<RuleError>, states: BTreeMap<String, RuleState>, texts: BTreeMap<String, String>) -> Self {
        let state = |name: &str| states.get(name).copied().unwrap_or_default();
        let running = set.without(|rule| state(&rule.name) == RuleState::Off);
        Self { set, refused, states, texts, running, ..Self::default() }
    }

    /// The shipped rules alone, all on.
    ///
    /// # Errors
    /// As `RuleSet::shipped`.
    pub fn shipped() -> Result<Self, Vec<RuleError>> {
        Ok(Self::new(RuleSet::shipped()?, Vec::new(), BTreeMap::new(), BTreeMap::new()))
    }

    /// What the engine evaluates: what is off never matches.
    pub fn running(&self) -> &RuleSet {
        &self.running
    }

    pub fn state(&self, name: &str) -> RuleState {
        self.states.get(name).copied().unwrap_or_default()
    }

    pub fn probes(&self, name: &str) -> bool {
        self.state(name) == RuleState::Probe
    }

    /// Whether a rule came with the program.
    pub fn is_shipped(&self, compiled: &CompiledRule) -> bool {
        !self.texts.contains_key(&compiled.file)
    }

    /// The wording of a rule's file as it was taken.
    pub fn text(&self, file: &str) -> Option<&str> {
        self.texts.get(file).map(String::as_str).or_else(|| shipped_text(file))
    }

    /// Rules that are in force, on or on probation.
    pub fn in_force(&self) -> impl Iterator<Item = &CompiledRule> {
        self.set.rules().iter().filter(|compiled| self.state(&compiled.rule.name) != RuleState::Off)
    }
}

/// A try for another book that came to nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedBook {
    pub at: Timestamp,
    pub refused: Vec<RuleError>,
}

/// The book in force. Who holds a clone sees at next to no cost whether it has changed.
#[derive(Clone, Debug, Default)]
pub struct SharedRulebook(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    generation: AtomicU64,
    book: RwLock<Arc<Rulebook>>,
    failed: RwLock<Option<FailedBook>>,
    health: RwLock<(Option<Timestamp>, Vec<RuleHealth>)>,
    /// Somebody asked for a look at once.
    asked: Mutex<bool>,
    bell: Condvar,
}

impl SharedRulebook {
    pub fn new(book: Rulebook) -> Self {
        let shared = Self::default();
        shared.set(book);
        shared
    }

    pub fn get(&self) -> Arc<Rulebook> {
        self.0.book.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, book: Rulebook) {
        *self.0.book.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(book);
        *self.0.failed.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// Another number with each book.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Why the last change did not come into force, where it did not.
    pub fn failed(&self) -> Option<FailedBook> {
        self.0.failed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn failed_set(&self, failed: FailedBook) {
        *self.0.failed.write().unwrap_or_else(PoisonError::into_inner) = Some(failed);
    }

    /// How the windows of the correlations stood about a minute ago.
    pub fn health(&self) -> Vec<RuleHealth> {
        self.0.health.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    pub(crate) fn health_at(&self) -> Option<Timestamp> {
        self.0.health.read().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Leaves word of how they stand.
    pub fn health_set(&self, at: Timestamp, health: Vec<RuleHealth>) {
        *self.0.health.write().unwrap_or_else(PoisonError::into_inner) = (Some(at), health);
    }

    /// Asks the keeper to look at once whether something has changed, and to take it.
    pub fn wake(&self) {
        *self.0.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.bell.notify_all();
    }

    /// Waits for `wake`, at most so long; says whether somebody asked.
    fn wait(&self, at_most: Duration) -> bool {
        let asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut asked, _) = self.0.bell.wait_timeout_while(asked, at_most, |asked| !*asked).unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *asked)
    }
}

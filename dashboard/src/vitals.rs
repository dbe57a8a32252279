//! How the running server is: what it received and what became of it, how far everything downstream of the journal is.
//! Gathered once for three readers: `/metrics`, the sources page, and the database, where `doctor` finds it from outside.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ingest::body::{Sender, SiteTable};
use ingest::db::{Db, DbError};
use ingest::enrich::Enrichment;
use ingest::journal::JournalWatch;
use ingest::listen::{CounterRow, Counters, Dropped, Listener, Rejected};
use ingest::pipeline::PipelineWatch;
use ingest::state::{state_load, state_save};
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Under which name `doctor` finds the last gathering.
const STATE: &str = "vitals";

/// Where a running server is asked; cheap to clone.
#[derive(Clone)]
pub struct Pulse {
    pub journal: JournalWatch,
    pub pipeline: PipelineWatch,
    /// When the listeners were opened.
    pub started: Timestamp,
    pub journal_dir: PathBuf,
    /// The certificate of the TLS listeners.
    pub certificate: Option<PathBuf>,
    pub enrichment: Enrichment,
}

/// What one listener received of one site (or of all), and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub received: u64,
    pub stored: u64,
    /// By `Rejected::as_str` and `Dropped::as_str`; only reasons that occurred.
    pub rejected: BTreeMap<String, u64>,
    pub dropped: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, row: &CounterRow) {
        self.received += row.received;
        self.stored += row.stored;
        for (reason, count) in &row.rejected {
            *self.rejected.entry(reason.as_str().to_owned()).or_default() += count;
        }
        for (reason, count) in &row.dropped {
            *self.dropped.entry(reason.as_str().to_owned()).or_default() += count;
        }
    }

    /// All that is accounted for.
    fn accounted(&self) -> u64 {
        self.stored + self.rejected.values().sum::<u64>() + self.dropped.values().sum::<u64>()
    }

    /// Received and not yet anything else: in flight.
    pub fn open(&self) -> u64 {
        self.received.saturating_sub(self.accounted())
    }

    /// More accounted for than received: the books are wrong.
    pub fn excess(&self) -> u64 {
        self.accounted().saturating_sub(self.received)
    }
}

/// The counters by listener.
pub fn tallies(counters: &Counters) -> BTreeMap<Listener, Tally> {
    let mut all: BTreeMap<Listener, Tally> = BTreeMap::new();
    for row in counters.snapshot() {
        all.entry(row.listener).or_default().add(&row);
    }
    all
}

/// The counters by listener and site. A sender that is known by certificate or token only is counted under the site of
/// its address: that is all that the counters know of it.
pub fn tallies_by_site(counters: &Counters, sites: &SiteTable) -> BTreeMap<(Listener, String), Tally> {
    let mut all: BTreeMap<(Listener, String), Tally> = BTreeMap::new();
    for row in counters.snapshot() {
        let site = row.peer.map_or("andere", |peer| sites.name(sites.attribute(&Sender::of(peer))));
        all.entry((row.listener, site.to_owned())).or_default().add(&row);
    }
    all
}

/// A consumer of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    pub name: String,
    /// The last frame whose effects are visible.
    pub applied: u64,
    pub error: Option<String>,
}

/// All of it at one moment, as kept for `doctor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vitals {
    pub at: Timestamp,
    pub started: Timestamp,
    pub journal_last: u64,
    /// By `Listener::as_str`.
    pub listeners: BTreeMap<String, Tally>,
    pub kernel_dropped: BTreeMap<String, u64>,
    pub consumers: Vec<Reach>,
    pub journal_healthy: bool,
    /// The server ended in order, and this is the last word.
    pub ended: bool,
}

impl Vitals {
    pub fn gather(pulse: &Pulse, counters: &Counters, now: Timestamp) -> Self {
        // The consumers before the journal's end, so that none seems to be ahead of it.
        let consumers = reaches(pulse);
        let kernel = Listener::ALL.into_iter().map(|listener| (listener.as_str().to_owned(), counters.kernel_dropped(listener)));
        Self {
            at: now,
            started: pulse.started,
            journal_last: pulse.journal.last().0,
            listeners: tallies(counters).into_iter().map(|(listener, tally)| (listener.as_str().to_owned(), tally)).collect(),
            kernel_dropped: kernel.filter(|(_, count)| *count > 0).collect(),
            consumers,
            journal_healthy: counters.journal_healthy(),
            ended: false,
        }
    }

    /// # Errors
    /// The database's own.
    pub fn save(&self, db: &Db) -> Result<(), DbError> {
        let value = serde_json::to_value(self).unwrap_or_default();
        db.write(move |tx| state_save(tx, STATE, &value))
    }

    /// What was kept last; `None` where no server ever ran, or one of another version.
    ///
    /// # Errors
    /// The database's own.
    pub fn load(db: &Db) -> Result<Option<Self>, DbError> {
        Ok(db.read(|connection| state_load(connection, STATE))?.and_then(|value| serde_json::from_value(value).ok()))
    }
}

/// How far each consumer is.
pub fn reaches(pulse: &Pulse) -> Vec<Reach> {
    let states = pulse.pipeline.states().into_iter();
    states.map(|state| Reach { name: state.name.to_owned(), applied: state.applied.0, error: state.error }).collect()
}

/// The journal's size on disk; 0 where it cannot be listed.
pub fn journal_bytes(dir: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
}

/// The listener of a stored name.
pub fn listener(name: &str) -> Option<Listener> {
    Listener::ALL.into_iter().find(|known| known.as_str() == name)
}

/// The reasons of stored names.
pub fn rejected(name: &str) -> Option<Rejected> {
    Rejected::ALL.into_iter().find(|known| known.as_str() == name)
}

pub fn dropped(name: &str) -> Option<Dropped> {
    Dropped::ALL.into_iter().find(|known| known.as_str() == name)
}

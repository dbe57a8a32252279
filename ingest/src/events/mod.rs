//! The event store: tantivy, one index per retention class and UTC day, and before it the events of the last seconds
//! in memory (docs/decisions/003-memtable-instead-of-ram-index.md).
//!
//! One `EventConsumer` writes; any number of searches read. What a search sees is one `Views` value, replaced under a
//! lock whenever events come or a commit moves them to disk, so that none is missing or seen twice. The store is
//! derived: what is lost here is rebuilt from the journal. It does not decide who may see what: `Scope` does.

mod aggregate;
mod bound;
mod changes;
mod consumer;
mod context;
mod docs;
mod export;
mod feed;
mod forget;
mod forget_store;
mod form;
mod hold;
mod lines;
mod page;
mod partition;
mod plan;
mod rebuild;
mod retention;
mod schema;
mod seal;
mod search;
mod stored;
mod tally;
mod upkeep;
mod values;
mod views;
mod writers;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use crate::body::SiteTable;
use crate::event::Event;
use crate::fields::{self, FieldId};
use crate::frame::{Frame, FrameKind, Seq};
use crate::pseudonym::{Hidden, Pseudonyms};
use crate::query::Query;
use crate::scope::Scope;
use crate::time::Timestamp;

pub(crate) use aggregate::shaped;
pub use aggregate::{Accumulator, AggregateRequest, AggregateResult, BARS_MAX, GROUPS_MAX, Table, Value};
pub(crate) use bound::Deadline;
pub use bound::{Cancel, CancelGuard};
pub use consumer::EventConsumer;
pub use context::{CONTEXT_LINES_MAX, CONTEXT_TIME_MAX, Context, ContextRequest};
pub use export::{Exported, Order};
pub use feed::{Feed, Heard, LISTENERS_MAX, Listener};
pub use forget::{FORGET_MAX, ForgetError, ForgetOrder, Forgotten};
pub use forget_store::{Forget, ForgetState, NewForget, Refusal, forget_add, forget_list};
pub use hold::{HOLD_SEQS_MAX, HOLDS_MAX, Hold, NewHold, hold_add, hold_in_force, hold_list, hold_release};
pub use rebuild::{RebuildError, Rebuilt};
pub use retention::{Class, DAYS_DEFAULT, Deletion, Due, HoldsNow, MIGRATIONS, deletion_list};
pub use seal::{Sealed, SealedFile};
pub use upkeep::{
    Again, PartitionInfo, Settings, Task, TaskState, Upkeep, task_add, task_list, task_open as store_task_open, task_put as store_task_put,
};
pub use values::Valued;

use changes::Waiting;
use retention::Classes;
use stored::KIND_BARE;
use views::{Shelf, Views};
use writers::Writers;

/// The retention class of what no other is configured for.
pub const CLASS: &str = "standard";
/// What stands in the place of a class for events that are held while their day is gone; retention never touches it.
pub const HOLD: &str = "hold";
/// Hits that one search returns.
pub const LIMIT_MAX: usize = 1_000;
/// Stored lines that one search reads to tell what the index cannot: 5 to 10 µs each, nearly all of it unpacking.
pub const VERIFIED_MAX: usize = 1_000_000;
/// Unpacked blocks of stored lines kept for each segment. Hits are read in the segment's order: more would only be memory,
/// of which a search over 90 days with four segments each may have some.
const STORE_BLOCKS: usize = 4;
/// A search that takes longer returns what it has.
pub const SEARCH_TIME_MAX: Duration = Duration::from_secs(10);
/// Values listed per field.
pub const TOP_VALUES: usize = 10;
/// Different values of one field counted in one search.
pub const COUNTED_VALUES_MAX: usize = 200_000;
/// Sequences asked for at once: an alert's evidence is far smaller.
pub const SEQS_MAX: usize = 10_000;
/// The fields whose most frequent values every search counts.
pub const TOP_FIELDS: [FieldId; 6] =
    [fields::SITE, fields::HOST_NAME, fields::SOURCE_IP, fields::USER_NAME, fields::EVENT_ACTION, fields::EVENT_MODULE];

/// Decodes a stored frame again, with the earlier line that its event needs (`Event::context`), if any. Passed in, because
/// decoding is another module's affair.
pub type Redecode = Arc<dyn Fn(&Frame, Option<Box<str>>) -> Option<Event> + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum EventStoreError {
    #[error("event store: {doing} {path}")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("event store: {doing} partition {partition}")]
    Partition { doing: &'static str, partition: String, source: Box<dyn std::error::Error + Send + Sync> },
}

#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error("the search's end lies before its beginning")]
    Reversed,
    #[error("the event store's files are damaged: run `wartburg store verify`")]
    Damaged,
}

/// Where a page ended: the next one holds what is older. Prints and parses for links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub timestamp: Timestamp,
    pub seq: Seq,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.timestamp.0, self.seq.0)
    }
}

/// A text that is no cursor.
#[derive(Debug, thiserror::Error)]
#[error("not a cursor")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (timestamp, seq) = text.split_once('.').ok_or(CursorError)?;
        let number = timestamp.parse().map_err(|_| CursorError)?;
        Ok(Self { timestamp: Timestamp(number), seq: Seq(seq.parse().map_err(|_| CursorError)?) })
    }
}

/// What is searched for.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    pub query: Query,
    /// Included.
    pub from: Option<Timestamp>,
    /// Excluded.
    pub to: Option<Timestamp>,
    pub scope: Scope,
    pub sites: Arc<SiteTable>,
    /// Hits wanted, at most `LIMIT_MAX`.
    pub limit: usize,
    /// Only hits older than this; total, histogram and top values stay those of the whole range.
    pub before: Option<Cursor>,
    /// Whether total, histogram and top values are wanted. Without them a search ends as soon as its page is full.
    pub summary: bool,
    /// Whether a summary counts the most frequent values too, which is the dearest part of it.
    pub tops: bool,
    /// The histogram's bars.
    pub buckets: usize,
    /// How long it may take; what is found until then is given, as `partial`.
    pub time_max: Duration,
    /// Whether hidden values may be asked for by what they are; else only by their pseudonyms.
    pub real_values: bool,
    /// Ends the search at once; what is found until then is given, as `partial`.
    pub cancel: Cancel,
}

impl SearchRequest {
    /// Everything of all time that the query matches: 100 hits and a summary in 60 bars, in the time that a page has.
    pub fn new(query: Query, scope: Scope, sites: Arc<SiteTable>) -> Self {
        Self {
            query,
            from: None,
            to: None,
            scope,
            sites,
            limit: 100,
            before: None,
            summary: true,
            tops: true,
            buckets: 60,
            time_max: SEARCH_TIME_MAX,
            real_values: false,
            cancel: Cancel::default(),
        }
    }
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Partitions that are looked through to their end in the asked range, of how many.
    pub parts_done: usize,
    pub parts_of: usize,
    /// Everything from here on was looked at.
    pub back_to: Timestamp,
    /// A lower bound of the total.
    pub hits: u64,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct SearchResult {
    /// Newest first, by (timestamp, seq).
    pub hits: Vec<Event>,
    /// All matches in the range; a lower bound where `partial`. 0 without `summary`.
    pub total: u64,
    pub histogram: Histogram,
    /// For each of `TOP_FIELDS` its most frequent values with the events that have them. Values longer than 1 KiB are
    /// not counted.
    pub top: Vec<(FieldId, Vec<(String, u64)>)>,
    pub took: Duration,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
    /// A bound was hit: there may be more matches than counted here.
    pub partial: bool,
    /// It is partial because a bound or the caller ended it; else only by what is damaged.
    pub ended_early: bool,
    /// Partitions of the asked time that could not be read; their events are missing here.
    pub damaged: Vec<String>,
}

/// Matches over time: over the asked range, or where it is open, over the span of the matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    pub start: Timestamp,
    /// Width of a bar in milliseconds; 0 where there are no bars.
    pub width_millis: i64,
    pub counts: Vec<u64>,
}

/// What the store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventStats {
    /// Events, those in memory included.
    pub documents: u64,
    /// Events not yet on disk (the journal has them).
    pub pending: u64,
    pub bytes: u64,
    pub partitions: usize,
    pub newest: Option<Timestamp>,
    pub damaged: Vec<String>,
}

/// The store; shared by the consumer and the searches.
pub struct EventStore {
    dir: PathBuf,
    redecode: Redecode,
    /// What hides persons on the way in and finds them again; `None` in a program without keys.
    pseudonyms: Option<Arc<Pseudonyms>>,
    views: RwLock<Views>,
    /// Days that are open for reading.
    shelf: Arc<Shelf>,
    writers: Writers,
    /// Up to where the consumer has taken everything into memory.
    applied: AtomicU64,
    /// What the consumer is asked to do between two commits.
    waiting: Mutex<Waiting>,
    /// Which class an event belongs to, and for how long each is kept.
    classes: RwLock<Arc<Classes>>,
    /// Sequences that must never be taken in again.
    forgotten: RwLock<Arc<BTreeSet<Seq>>>,
    /// What just came, for those who look on.
    feed: Arc<Feed>,
}

/// An event that waits for its commit.
#[derive(Debug)]
struct Pending {
    event: Event,
    /// The frame's byte for its kind and marks; `schema::KIND_BARE` where only the fields are kept.
    kind: u8,
}

/// What a partition's commit carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Payload {
    /// This partition has everything up to here.
    position: Seq,
    /// Every partition had everything up to here when this was committed.
    complete: Seq,
}

impl EventStore {
    /// Opens what is there; a partition that cannot be opened is reported, and the rest is searchable.
    ///
    /// # Errors
    /// Where the directory itself cannot be had.
    pub fn open(
        dir: &Path,
        redecode: impl Fn(&Frame, Option<Box<str>>) -> Option<Event> + Send + Sync + 'static,
    ) -> Result<Arc<Self>, EventStoreError> {
        Self::open_with(dir, redecode, None)
    }

    /// As `open`, with pseudonyms for persons where these say so.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(
        dir: &Path,
        redecode: impl Fn(&Frame, Option<Box<str>>) -> Option<Event> + Send + Sync + 'static,
        pseudonyms: Option<Arc<Pseudonyms>>,
    ) -> Result<Arc<Self>, EventStoreError> {
        let io = |source| EventStoreError::Io { doing: "create", path: dir.to_owned(), source };
        std::fs::create_dir_all(dir.join(CLASS)).map_err(io)?;
        let shelf = Arc::new(Shelf::default());
        let views = Views::look(dir, &shelf)?;
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            redecode: Arc::new(redecode),
            pseudonyms,
            views: RwLock::new(views),
            shelf,
            writers: Writers::default(),
            applied: AtomicU64::new(0),
            waiting: Mutex::default(),
            classes: RwLock::new(Arc::new(Classes::load(dir))),
            forgotten: RwLock::new(Arc::new(forget::load(dir))),
            feed: Feed::new(),
        }))
    }

    /// # Errors
    /// Where the request makes no sense. Damage is hardly ever an error: the result says what is missing.
    pub fn search(&self, request: &SearchRequest) -> Result<SearchResult, SearchError> {
        self.search_with(request, &mut |_| ())
    }

    /// As `search`, and tells again and again how far it is.
    ///
    /// # Errors
    /// As `search`.
    pub fn search_with(&self, request: &SearchRequest, progress: &mut dyn FnMut(&Progress)) -> Result<SearchResult, SearchError> {
        let views = self.snapshot();
        let asked = self.asked_of(request);
        guarded(|| Ok(search::search(&views, &self.redecode, &asked, progress))).unwrap_or(Err(SearchError::Damaged))
    }

    /// The request as it is asked for, see `asked`.
    fn asked_of<'a>(&self, request: &'a SearchRequest) -> Cow<'a, SearchRequest> {
        match self.asked(&request.query, request.real_values) {
            Some(query) => Cow::Owned(SearchRequest { query, ..request.clone() }),
            None => Cow::Borrowed(request),
        }
    }

    /// The one place where a question by real values becomes one for their pseudonyms too; `None` where it stays as it is.
    pub fn asked(&self, query: &Query, real_values: bool) -> Option<Query> {
        self.pseudonyms.as_ref().filter(|_| real_values).map(|pseudonyms| pseudonyms.asked(query))
    }

    /// What comes, as it comes.
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    pub fn pseudonyms(&self) -> Option<&Arc<Pseudonyms>> {
        self.pseudonyms.as_ref()
    }

    pub fn stats(&self) -> EventStats {
        let views = self.snapshot();
        let damaged = self.damaged().into_iter().collect();
        let mut stats = EventStats { partitions: views.partitions.len(), damaged, ..EventStats::default() };
        for view in views.partitions.values() {
            stats.pending += view.pending();
            stats.documents += view.facts.documents() + view.pending();
            stats.bytes += view.facts.bytes();
            stats.newest = stats.newest.max(view.newest());
        }
        stats
    }

    /// The partitions that cannot be read, be it known since the start or found by a search.
    fn damaged(&self) -> BTreeSet<String> {
        let mut damaged = self.shelf.all_broken();
        damaged.extend(self.views.read().unwrap_or_else(PoisonError::into_inner).damaged.iter().cloned());
        damaged
    }

    /// Takes a damaged partition out of the searches; its files stay for `rebuild`.
    fn set_aside(&self, name: &str) {
        self.change(|views| {
            if let Some(view) = views.partitions.remove(name) {
                let in_memory = view.memory.iter().filter_map(|chunk| chunk.last()).map(|pending| pending.event.seq).max();
                let on_disk = view.facts.seqs().map(|(_, last)| Seq(last));
                views.aside.insert(name.to_owned(), in_memory.max(on_disk).unwrap_or_default());
            }
            if !views.damaged.iter().any(|damaged| damaged == name) {
                views.damaged.push(name.to_owned());
            }
        });
    }

    /// The event as it is kept: with pseudonyms in it where the operator wants that.
    fn pending_of(&self, class: &str, event: &Event, frame: Option<&Frame>) -> Pending {
        let kind = frame.map_or(FrameKind::Line as u8, |frame| frame.frame.kind.to_byte(frame.frame.marks));
        let hidden = match &self.pseudonyms {
            // With the line before it that the event needed: what that says of persons is to be found as well.
            Some(pseudonyms) => pseudonyms.hide(class, frame, event, &|frame| (self.redecode)(frame, event.context.clone())),
            None => Hidden::Plain,
        };
        match hidden {
            Hidden::Plain => Pending { event: event.clone(), kind },
            Hidden::Line(event) => Pending { event, kind },
            Hidden::Bare(event) => Pending { event, kind: KIND_BARE },
        }
    }

    fn forgotten(&self) -> Arc<BTreeSet<Seq>> {
        self.forgotten.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn snapshot(&self) -> Views {
        self.views.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Views) -> T) -> T {
        change(&mut self.views.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs what reads an index's files. Bytes that were damaged behind their checksum can make the library panic; one bad
/// partition must not take the others with it.
fn guarded<T>(work: impl FnOnce() -> tantivy::Result<T>) -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err("the index's files are damaged".into()),
    }
}

#[cfg(test)]
mod contract_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod forget_tests;
#[cfg(test)]
mod isolation_tests;
#[cfg(test)]
mod older_tests;
#[cfg(test)]
mod reach_tests;
#[cfg(test)]
mod rebuild_tests;
#[cfg(test)]
mod scan_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upkeep_tests;

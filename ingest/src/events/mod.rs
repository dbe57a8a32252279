//! The event store: tantivy, one index per retention class and UTC day, and before it the events of the last seconds
//! in memory (docs/decisions/003-memtable-instead-of-ram-index.md).
//!
//! One `EventConsumer` writes; any number of searches read. What a search sees is one `Views` value, replaced under a
//! lock whenever events come or a commit moves them to disk, so that none is missing or seen twice. The store is
//! derived: what is lost here is rebuilt from the journal. It does not decide who may see what: `Scope` does.

mod consumer;
mod docs;
mod plan;
mod schema;
mod search;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tantivy::{Index, IndexReader, ReloadPolicy, Searcher};

use crate::body::SiteTable;
use crate::event::Event;
use crate::fields::{self, FieldId};
use crate::frame::{Frame, Seq};
use crate::pseudonym::Pseudonyms;
use crate::query::Query;
use crate::scope::Scope;
use crate::time::Timestamp;

pub use consumer::EventConsumer;

/// The retention class of everything until classes are configured.
pub const CLASS: &str = "standard";
/// Hits that one search returns.
pub const LIMIT_MAX: usize = 1_000;
/// Stored lines that one search decodes to tell what the index cannot (37 µs each, measured without optimisation).
pub const VERIFIED_MAX: usize = 200_000;
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
    Index { doing: &'static str, partition: String, source: tantivy::TantivyError },
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
    /// The histogram's bars.
    pub buckets: usize,
    /// How long it may take; what is found until then is given, as `partial`.
    pub time_max: Duration,
    /// Whether hidden values may be asked for by what they are; else only by their pseudonyms.
    pub real_values: bool,
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
            buckets: 60,
            time_max: SEARCH_TIME_MAX,
            real_values: false,
        }
    }
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
    /// Partitions that could not be read; their events are missing here.
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
}

/// What can be searched, by partition name (`standard/2026-11-21`).
#[derive(Clone, Default)]
struct Views {
    partitions: BTreeMap<String, View>,
    damaged: Vec<String>,
}

/// One partition as searches see it.
#[derive(Clone)]
struct View {
    index: Index,
    reader: IndexReader,
    searcher: Searcher,
    /// Up to which journal sequence the partition has everything on disk, and the whole store had.
    payload: Payload,
    /// Events that are not yet on disk, in the chunks in which they came.
    memory: Vec<Arc<Vec<Pending>>>,
}

/// An event that waits for its commit.
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
        let class = dir.join(CLASS);
        let io = |doing| move |source| EventStoreError::Io { doing, path: dir.to_owned(), source };
        std::fs::create_dir_all(&class).map_err(io("create"))?;
        let mut views = Views::default();
        for entry in std::fs::read_dir(&class).map_err(io("list"))? {
            let path = entry.map_err(io("list"))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()).map(|day| format!("{CLASS}/{day}")) else { continue };
            if !path.is_dir() || is_unborn(&path) {
                continue;
            }
            match guarded(|| View::open(&path)) {
                Ok(view) => {
                    views.partitions.insert(name, view);
                }
                Err(error) => {
                    tracing::error!(partition = name, %error, "event store: partition set aside as damaged");
                    views.damaged.push(name);
                }
            }
        }
        Ok(Arc::new(Self { dir: dir.to_owned(), redecode: Arc::new(redecode), pseudonyms, views: RwLock::new(views) }))
    }

    /// # Errors
    /// Where the request makes no sense. Damage is hardly ever an error: the result says what is missing.
    pub fn search(&self, request: &SearchRequest) -> Result<SearchResult, SearchError> {
        let views = self.snapshot();
        // The one place where a question by real values becomes one for their pseudonyms too.
        let asked = self.pseudonyms.as_ref().filter(|_| request.real_values).map(|pseudonyms| {
            let query = pseudonyms.asked(&request.query);
            SearchRequest { query, ..request.clone() }
        });
        let request = asked.as_ref().unwrap_or(request);
        guarded(|| Ok(search::search(&views, &self.redecode, request))).unwrap_or(Err(SearchError::Damaged))
    }

    pub fn pseudonyms(&self) -> Option<&Arc<Pseudonyms>> {
        self.pseudonyms.as_ref()
    }

    /// The events of these sequences that the caller may see, by sequence: the evidence of an alert.
    pub fn by_seq(&self, seqs: &[Seq], scope: &Scope, sites: &SiteTable) -> Vec<Event> {
        search::by_seq(&self.snapshot(), &self.redecode, seqs, scope, sites)
    }

    pub fn stats(&self) -> EventStats {
        let views = self.snapshot();
        let mut stats = EventStats { partitions: views.partitions.len(), damaged: views.damaged.clone(), ..EventStats::default() };
        for (name, view) in &views.partitions {
            let pending: usize = view.memory.iter().map(|chunk| chunk.len()).sum();
            stats.pending += pending as u64;
            stats.documents += view.searcher.num_docs() + pending as u64;
            stats.bytes += dir_bytes(&self.dir.join(name));
            stats.newest = stats.newest.max(view.newest());
        }
        stats
    }

    fn snapshot(&self) -> Views {
        self.views.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Views) -> T) -> T {
        change(&mut self.views.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl View {
    fn open(dir: &Path) -> tantivy::Result<Self> {
        let mut index = Index::open_in_dir(dir)?;
        index.set_tokenizers(schema::tokenizers());
        let view = Self::of(index)?;
        view.learn_vendor_fields();
        Ok(view)
    }

    fn create(dir: &Path) -> tantivy::Result<Self> {
        let index =
            Index::builder().schema(schema::schema()).settings(schema::settings()).tokenizers(schema::tokenizers()).create_in_dir(dir)?;
        Self::of(index)
    }

    fn of(index: Index) -> tantivy::Result<Self> {
        // Reloaded by the consumer after its commit, under the views' lock.
        let reader: IndexReader = index.reader_builder().reload_policy(ReloadPolicy::Manual).doc_store_cache_num_blocks(32).try_into()?;
        let payload = index.load_metas()?.payload.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        Ok(Self { searcher: reader.searcher(), index, reader, payload, memory: Vec::new() })
    }

    /// Names of vendors' fields that this partition has, so that queries may name them before such a line comes again.
    fn learn_vendor_fields(&self) {
        for segment in self.searcher.segment_readers() {
            for column in segment.fields_metadata().unwrap_or_default() {
                if let Some(name) = column.field_name.strip_prefix(schema::VENDOR).and_then(|rest| rest.strip_prefix('.')) {
                    let _ = FieldId::intern(name);
                }
            }
        }
    }

    fn newest(&self) -> Option<Timestamp> {
        let on_disk = self.searcher.segment_readers().iter().filter_map(|segment| segment.fast_fields().i64(schema::TIME).ok()?.first(0));
        let in_memory = self.memory.iter().flat_map(|chunk| chunk.iter().map(|pending| pending.event.timestamp.0));
        on_disk.chain(in_memory).max().map(Timestamp)
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

/// Whether a partition's directory is what a crash leaves that comes before the index's first file: it holds nothing.
/// One with segments but without `meta.json` is damaged instead.
fn is_unborn(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    let is_bookkeeping = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.starts_with('.'));
    entries.into_iter().all(|entry| entry.is_ok_and(|entry| is_bookkeeping(&entry.file_name())))
}

fn dir_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum()
}

#[cfg(test)]
mod tests;

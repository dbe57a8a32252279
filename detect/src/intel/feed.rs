//! Feeds: sources that are asked again and again, and what became of it. Reading and writing down is here; how bytes come
//! over the net is the caller's affair (`Fetch`).
//!
//! A document is a list as a whole: what it does not have any more goes. Feeds of MISP and TAXII tell what is new since.
//! An answer without a single entry takes nothing off: that is how a broken source looks.

use std::io::BufRead;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use ingest::db::{Db, DbError};
use ingest::rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use ingest::time::{Clock, Timestamp};
use serde::{Deserialize, Serialize};

use super::read::{Defaults, Format, Item, Manifest, ReadError, Report, document, read};
use super::set::wide;
use super::store::{
    IndicatorId, ListedRow, ROWS_PER_WRITE, indicator_changed, indicator_delete, indicator_each, indicator_ended, indicator_put,
    indicator_withdraw,
};
use super::table::Wide;
use super::taxii;
use super::warning::{NewWarning, warning_replace};
use super::{NewIndicator, Pattern, Put};

/// Feeds that are configured; a house has some dozen.
pub const FEEDS_MAX: usize = 100;
/// How often it is looked whether one is due.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// A feed that failed is asked again after a quarter of its interval, but not sooner than this.
const RETRY_MIN: i64 = 5 * Timestamp::MINUTE;
/// Events of a MISP feed that are fetched in one turn; the others follow with the next.
const EVENTS_PER_TURN: usize = 500;
/// How often it is looked for what has ended: a walk through all of it.
const ENDED_EVERY: i64 = 6 * Timestamp::HOUR;
/// What has ended is kept for so long: records that come late, and people who ask.
const ENDED_KEEP: i64 = 90 * Timestamp::DAY;

/// A source that is asked by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    pub kind: FeedKind,
    pub url: String,
    pub every_minutes: u32,
    /// With the name of its list.
    pub defaults: Defaults,
    pub credentials: Credentials,
    /// Of a TAXII server: identity or title; empty where it has only one.
    pub collection: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedKind {
    Document(Format),
    /// A folder with `manifest.json` and a file an event.
    MispFeed,
    Taxii,
}

#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    #[default]
    None,
    Basic {
        user: String,
        password: String,
    },
    /// What the header `Authorization` says.
    Header(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The secrets stay out of every log.
        f.write_str(match self {
            Self::None => "no credentials",
            Self::Basic { .. } => "user and password",
            Self::Header(_) => "a token",
        })
    }
}

/// One question over the net.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub url: String,
    pub accept: &'static str,
    pub credentials: &'a Credentials,
    /// Only if it has changed since: what the last answer said.
    pub etag: Option<&'a str>,
    pub modified: Option<&'a str>,
}

/// Its answer.
pub struct Response {
    pub status: u16,
    pub etag: Option<String>,
    pub modified: Option<String>,
    /// `X-TAXII-Date-Added-Last`.
    pub added_last: Option<String>,
    pub body: Box<dyn BufRead>,
}

/// How bytes come over the net; an error says what went wrong, for people who look after it.
pub trait Fetch: Send {
    /// # Errors
    /// Where there is no answer.
    fn get(&self, request: &Request<'_>) -> Result<Response, String>;
}

/// Why a feed brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// No answer: the address, the net or the certificate.
    Unreachable,
    /// 401, 403: the credentials.
    Refused,
    /// 404, 410, or no such collection.
    NotThere,
    /// Asked too often, or an error of theirs: it comes right by itself or not.
    Theirs,
    /// It answered something else than what the configuration says.
    Unreadable,
    /// A whole list without a single entry: what there was stays.
    Empty,
    /// It leads to another machine, which must not get the credentials.
    Elsewhere,
    /// Our own database.
    Ours,
}

/// What a feed's turn came to, and where the next begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FeedState {
    pub url: String,
    pub every_minutes: u32,
    pub etag: Option<String>,
    pub modified: Option<String>,
    /// TAXII: what was added later is asked for; and the page that comes next.
    pub added_after: Option<String>,
    pub next: Option<String>,
    /// MISP: the newest event that was read, by its time of change and its identity.
    pub event: Option<(i64, String)>,
    /// The last turn that brought something.
    pub report: Report,
    pub added: u64,
    pub changed: u64,
    pub dropped: u64,
    /// Nothing new the last time.
    pub unchanged: bool,
    pub failure: Option<(Failure, String)>,
    /// There is more at once.
    pub more: bool,
}

/// A feed as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRow {
    pub name: String,
    pub tried_at: Option<Timestamp>,
    pub done_at: Option<Timestamp>,
    pub state: FeedState,
}

/// All feeds that are configured, by name.
///
/// # Errors
/// The database's own.
pub fn feed_list(connection: &Connection) -> Result<Vec<FeedRow>, DbError> {
    let mut statement = connection.prepare_cached("SELECT name, tried_at, done_at, state FROM indicator_feed ORDER BY name LIMIT ?1")?;
    let rows = statement.query_map([FEEDS_MAX as i64], |row| {
        let (tried_at, state): (i64, String) = (row.get(1)?, row.get(3)?);
        Ok(FeedRow {
            name: row.get(0)?,
            tried_at: Some(Timestamp(tried_at)).filter(|at| at.0 > 0),
            done_at: row.get::<_, Option<i64>>(2)?.map(Timestamp),
            // A state of another program: it begins anew, which costs one reading.
            state: serde_json::from_str(&state).unwrap_or_default(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Says which feeds there are: the others are asked no more, and their entries stay until somebody takes them off.
///
/// # Errors
/// The database's own.
pub fn feed_declare(tx: &Transaction<'_>, feeds: &[Feed]) -> Result<(), DbError> {
    let known = feed_list(tx)?;
    for row in &known {
        if !feeds.iter().any(|feed| feed.defaults.list == row.name) {
            tx.execute("DELETE FROM indicator_feed WHERE name = ?1", [&row.name])?;
        }
    }
    for feed in feeds.iter().take(FEEDS_MAX) {
        let row = known.iter().find(|row| row.name == feed.defaults.list);
        // From another place everything is read anew.
        let same = row.filter(|row| row.state.url == feed.url);
        let state =
            FeedState { url: feed.url.clone(), every_minutes: feed.every_minutes, ..same.map(|row| row.state.clone()).unwrap_or_default() };
        tx.execute("DELETE FROM indicator_feed WHERE name = ?1", [&feed.defaults.list])?;
        let (tried, done) = same.map_or((0, None), |row| (row.tried_at.map_or(0, |at| at.0), row.done_at.map(|at| at.0)));
        tx.execute(
            "INSERT INTO indicator_feed (name, tried_at, done_at, state) VALUES (?1, ?2, ?3, ?4)",
            params![feed.defaults.list, tried, done, serde_json::to_string(&state).unwrap_or_default()],
        )?;
    }
    Ok(())
}

/// Makes a feed due at once; says whether there is one of that name.
///
/// # Errors
/// The database's own.
pub fn feed_hurry(tx: &Transaction<'_>, name: &str) -> Result<bool, DbError> {
    Ok(tx.execute("UPDATE indicator_feed SET tried_at = 0 WHERE name = ?1", [name])? > 0)
}

fn feed_get(connection: &Connection, name: &str) -> Result<Option<(i64, FeedState)>, DbError> {
    let mut statement = connection.prepare_cached("SELECT tried_at, state FROM indicator_feed WHERE name = ?1")?;
    let found: Option<(i64, String)> = statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found.map(|(tried, state)| (tried, serde_json::from_str(&state).unwrap_or_default())))
}

fn feed_put(db: &Db, name: &str, state: &FeedState, now: Timestamp) -> Result<(), DbError> {
    let (name, text, done) = (name.to_owned(), serde_json::to_string(state).unwrap_or_default(), state.failure.is_none());
    db.write(move |tx| {
        tx.execute(
            "UPDATE indicator_feed SET tried_at = ?2, done_at = CASE WHEN ?3 THEN ?2 ELSE done_at END, state = ?4 WHERE name = ?1",
            params![name, now.0, done, text],
        )?;
        Ok(())
    })
}

impl Feed {
    /// When it is asked next, after it was last tried.
    fn due(&self, tried: i64, state: &FeedState) -> i64 {
        let every = i64::from(self.every_minutes).saturating_mul(Timestamp::MINUTE);
        match (&state.failure, state.more) {
            (None, true) => tried,
            (None, false) => tried.saturating_add(every),
            (Some(_), _) => tried.saturating_add((every / 4).max(RETRY_MIN).min(every)),
        }
    }

    /// Asks the source once and writes down what it says. What went wrong stands in the state; the entries stay then.
    pub fn turn(&self, before: &FeedState, fetch: &dyn Fetch, db: &Db, now: Timestamp) -> FeedState {
        let mut state = FeedState { failure: None, more: false, unchanged: false, ..before.clone() };
        let done = match self.kind {
            FeedKind::Document(format) => self.document(format, &mut state, fetch, db, now),
            FeedKind::MispFeed => self.misp(&mut state, fetch, db, now),
            FeedKind::Taxii => taxii::turn(self, &mut state, fetch, db, now),
        };
        if let Err((failure, detail)) = done {
            state.failure = Some((failure, detail.chars().take(300).collect()));
            // A page's mark may have become void: from the beginning of what is new.
            state.next = None;
        }
        state
    }

    fn document(&self, format: Format, state: &mut FeedState, fetch: &dyn Fetch, db: &Db, now: Timestamp) -> Turn {
        let request = Request {
            url: self.url.clone(),
            accept: "*/*",
            credentials: &self.credentials,
            etag: state.etag.as_deref(),
            modified: state.modified.as_deref(),
        };
        let mut answer = fetch.get(&request).map_err(|error| (Failure::Unreachable, error))?;
        if answer.status == 304 {
            state.unchanged = true;
            return Ok(());
        }
        checked(&answer, &self.url)?;
        let outcome = import(db, &mut answer.body, format, &self.defaults, true, now).map_err(unreadable)?;
        outcome.tell(state);
        if outcome.report.taken == 0 {
            return Err((Failure::Empty, String::new()));
        }
        // Only what was read to its end is not asked for again.
        (state.etag, state.modified) = (answer.etag, answer.modified);
        Ok(())
    }

    fn misp(&self, state: &mut FeedState, fetch: &dyn Fetch, db: &Db, now: Timestamp) -> Turn {
        let folder = self.url.trim_end_matches("manifest.json").trim_end_matches('/');
        let ask = |url: String, etag: Option<&str>, modified: Option<&str>| {
            let request = Request { url, accept: "application/json", credentials: &self.credentials, etag, modified };
            fetch.get(&request).map_err(|error| (Failure::Unreachable, error))
        };
        let url = format!("{folder}/manifest.json");
        let mut answer = ask(url.clone(), state.etag.as_deref(), state.modified.as_deref())?;
        if answer.status == 304 {
            state.unchanged = true;
            return Ok(());
        }
        checked(&answer, &url)?;
        let manifest = document(&mut answer.body).map_err(unreadable)?;
        let manifest = Manifest::read(&manifest).ok_or((Failure::Unreadable, "manifest.json".to_owned()))?;
        let known = state.event.clone().unwrap_or_default();
        let new: Vec<&(String, i64)> = manifest.events.iter().filter(|(id, at)| (*at, id) > (known.0, &known.1)).collect();
        state.unchanged = new.is_empty();
        let mut sum = Outcome::default();
        for (id, at) in new.iter().take(EVENTS_PER_TURN) {
            let url = format!("{folder}/{id}.json");
            let mut answer = ask(url.clone(), None, None)?;
            checked(&answer, &url)?;
            sum.add(&import(db, &mut answer.body, Format::Misp, &self.defaults, false, now).map_err(unreadable)?);
            sum.tell(state);
            state.event = Some((*at, id.clone()));
        }
        state.more = new.len() > EVENTS_PER_TURN;
        if !state.more {
            (state.etag, state.modified) = (answer.etag, answer.modified);
        }
        Ok(())
    }
}

/// Done, or what kept it from being so.
pub(super) type Turn = Result<(), (Failure, String)>;

/// Sorts what a status says.
pub(super) fn checked(answer: &Response, url: &str) -> Turn {
    let failure = match answer.status {
        200..=299 => return Ok(()),
        401 | 403 | 407 => Failure::Refused,
        404 | 410 => Failure::NotThere,
        300..=399 => Failure::Elsewhere,
        _ => Failure::Theirs,
    };
    Err((failure, format!("{} {}", answer.status, shown(url))))
}

/// An address without its query, which may hold a key.
pub(super) fn shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

pub(super) fn unreadable(error: ReadError) -> (Failure, String) {
    match error {
        ReadError::Db(error) => (Failure::Ours, error.to_string()),
        ReadError::Io(error) => (Failure::Unreachable, error.to_string()),
        error => (Failure::Unreadable, error.to_string()),
    }
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub report: Report,
    pub added: u64,
    pub changed: u64,
    pub dropped: u64,
}

impl Outcome {
    pub(super) fn add(&mut self, other: &Self) {
        self.added += other.added;
        self.changed += other.changed;
        self.dropped += other.dropped;
        self.report.taken += other.report.taken;
        self.report.withdrawn += other.report.withdrawn;
        for (reason, count) in &other.report.refused {
            *self.report.refused.entry(*reason).or_default() += count;
        }
        let room = 20usize.saturating_sub(self.report.examples.len());
        self.report.examples.extend(other.report.examples.iter().take(room).cloned());
    }

    pub(super) fn tell(&self, state: &mut FeedState) {
        state.report.clone_from(&self.report);
        (state.added, state.changed, state.dropped) = (self.added, self.changed, self.dropped);
    }
}

/// Reads a source into a list, or into the warning list of that name; with `whole`, what the list has besides goes.
///
/// # Errors
/// Where it cannot be read to its end: what was read stays, and nothing is taken off.
pub fn import(
    db: &Db,
    source: &mut dyn BufRead,
    format: Format,
    defaults: &Defaults,
    whole: bool,
    now: Timestamp,
) -> Result<Outcome, ReadError> {
    let mut importer = Importer::new(db, &defaults.list, now);
    if whole {
        importer.known = Some(Known::load(db, &defaults.list)?);
    }
    let report = read(source, format, defaults, now, &mut |item| importer.take(item))?;
    Ok(importer.done(report)?)
}

/// Takes a list off, or a warning list; says how many entries it had.
///
/// # Errors
/// The database's own.
pub fn remove(db: &Db, list: &str, now: Timestamp) -> Result<u64, DbError> {
    let name = list.to_owned();
    let warned = db.write(move |tx| {
        let had = tx.query_row("SELECT COUNT(*) FROM warning_entry WHERE list = ?1", [&name], |row| row.get::<_, i64>(0))?;
        if had > 0 {
            warning_replace(tx, &name, "", &[], now)?;
        }
        Ok::<_, DbError>(had)
    })?;
    Ok(drop_rows(db, list, &|_| true)? + warned.unsigned_abs())
}

/// Takes those rows off a list that `gone` says, in parts.
fn drop_rows(db: &Db, list: &str, gone: &dyn Fn(&ListedRow<'_>) -> bool) -> Result<u64, DbError> {
    let mut ids: Vec<IndicatorId> = Vec::new();
    db.read(|connection| indicator_each(connection, list, &mut |row| ids.extend(gone(row).then_some(row.id))))?;
    for chunk in ids.chunks(ROWS_PER_WRITE) {
        let chunk = chunk.to_vec();
        db.write(move |tx| indicator_delete(tx, &chunk))?;
    }
    Ok(ids.len() as u64)
}

/// Takes off what ended long ago and never met anything; says how many.
fn sweep(db: &Db, now: Timestamp) -> Result<usize, DbError> {
    let ended = db.read(|connection| indicator_ended(connection, now.plus(-ENDED_KEEP)))?;
    let count = ended.len();
    if count > 0 {
        db.write(move |tx| indicator_delete(tx, &ended))?;
    }
    Ok(count)
}

/// A list as it is, for comparing: 32 bytes a row.
struct Known {
    /// Kind and value, what is said of it, and whether the reading has it; in order.
    rows: Vec<(Wide, u64, bool)>,
}

impl Known {
    fn load(db: &Db, list: &str) -> Result<Self, DbError> {
        let mut rows = Vec::new();
        db.read(|connection| {
            indicator_each(connection, list, &mut |row| {
                let said = said(row.tlp, row.confidence, row.valid_until, row.reference);
                rows.push((key(row.kind, row.value), said, false));
            })
        })?;
        rows.sort_unstable_by_key(|(key, ..)| *key);
        Ok(Self { rows })
    }

    /// Whether the list has it already, just as it is.
    fn has(&mut self, new: &NewIndicator, reference: Option<&str>) -> bool {
        let key = key(new.pattern.kind(), &new.pattern.value());
        let found = self.rows.binary_search_by_key(&key, |(key, ..)| *key).ok().and_then(|place| self.rows.get_mut(place));
        let Some((_, known, seen)) = found else { return false };
        *seen = true;
        *known == said(new.tlp.as_str(), i64::from(new.confidence), new.valid_until.map(|at| at.0), reference)
    }

    fn is_gone(&self, row: &ListedRow<'_>) -> bool {
        let key = key(row.kind, row.value);
        let found = self.rows.binary_search_by_key(&key, |(key, ..)| *key).ok().and_then(|place| self.rows.get(place));
        // What came in between is somebody else's.
        found.is_some_and(|(.., seen)| !seen)
    }
}

fn key(kind: &str, value: &str) -> Wide {
    wide(&format!("{kind} {value}"))
}

fn said(tlp: &str, confidence: i64, valid_until: Option<i64>, reference: Option<&str>) -> u64 {
    wide(&format!("{tlp} {confidence} {valid_until:?} {reference:?}")).0
}

/// What is written together.
enum Write {
    Put(NewIndicator, Option<String>),
    Withdraw(Pattern),
}

/// Writes items down in parts, so that nobody waits long for the one writer.
pub(super) struct Importer<'a> {
    db: &'a Db,
    list: String,
    now: Timestamp,
    waiting: Vec<Write>,
    warnings: Vec<NewWarning>,
    /// Where the source is the list as a whole: what there is already.
    known: Option<Known>,
    outcome: Outcome,
}

impl<'a> Importer<'a> {
    pub(super) fn new(db: &'a Db, list: &str, now: Timestamp) -> Self {
        Self { db, list: list.to_owned(), now, waiting: Vec::new(), warnings: Vec::new(), known: None, outcome: Outcome::default() }
    }

    pub(super) fn take(&mut self, item: Item) -> Result<(), DbError> {
        match item {
            Item::Listed { new, reference } => {
                // Of a list of a million that is read every hour nearly all is as it was.
                if self.known.as_mut().is_some_and(|known| known.has(&new, reference.as_deref())) {
                    return Ok(());
                }
                self.waiting.push(Write::Put(new, reference));
            }
            Item::Withdrawn(pattern) => self.waiting.push(Write::Withdraw(pattern)),
            Item::Warning(entry) => self.warnings.push(entry),
        }
        if self.waiting.len() >= ROWS_PER_WRITE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), DbError> {
        let (writes, list, now) = (std::mem::take(&mut self.waiting), self.list.clone(), self.now);
        let (added, changed, dropped) = self.db.write(move |tx| {
            let (mut added, mut changed, mut dropped) = (0, 0, 0);
            for write in &writes {
                match write {
                    Write::Put(new, reference) => match indicator_put(tx, new, reference.as_deref(), now)? {
                        Put::New => added += 1,
                        Put::Changed => changed += 1,
                        Put::Same => {}
                    },
                    Write::Withdraw(pattern) => dropped += u64::from(indicator_withdraw(tx, &list, pattern)?),
                }
            }
            if added + changed + dropped > 0 {
                indicator_changed(tx)?;
            }
            Ok::<_, DbError>((added, changed, dropped))
        })?;
        self.outcome.added += added;
        self.outcome.changed += changed;
        self.outcome.dropped += dropped;
        Ok(())
    }

    pub(super) fn done(mut self, report: Report) -> Result<Outcome, DbError> {
        self.flush()?;
        if !self.warnings.is_empty() {
            let (list, about, entries, now) = (self.list.clone(), report.description.clone(), std::mem::take(&mut self.warnings), self.now);
            self.db.write(move |tx| warning_replace(tx, &list, &about, &entries, now))?;
        } else if let Some(known) = self.known.take().filter(|_| report.taken > 0) {
            self.outcome.dropped += drop_rows(self.db, &self.list, &|row| known.is_gone(row))?;
        }
        Ok(Outcome { report, ..self.outcome })
    }
}

/// Asks every feed that is due; says whether there is more to do at once.
///
/// # Errors
/// The database's own.
pub fn feeds_look(feeds: &[Feed], fetch: &dyn Fetch, db: &Db, now: Timestamp) -> Result<bool, DbError> {
    let mut more = false;
    for feed in feeds.iter().take(FEEDS_MAX) {
        let name = feed.defaults.list.clone();
        let Some((tried, before)) = db.read(|connection| feed_get(connection, &name))? else { continue };
        if feed.due(tried, &before) > now.0 {
            continue;
        }
        let state = feed.turn(&before, fetch, db, now);
        match &state.failure {
            Some((failure, _)) => tracing::warn!(feed = name, ?failure, "a feed of indicators brought nothing; the page says what to do"),
            None => tracing::info!(feed = name, added = state.added, dropped = state.dropped, "a feed of indicators was read"),
        }
        more |= state.more;
        feed_put(db, &name, &state, now)?;
    }
    Ok(more)
}

/// The thread that asks the feeds; dropped, it ends by itself after the answer it waits for, which nobody else need wait
/// for.
pub struct Feeds {
    _stop: Sender<()>,
}

impl Feeds {
    /// # Errors
    /// Where no thread can be had, or the database takes nothing.
    pub fn start(feeds: Vec<Feed>, fetch: Box<dyn Fetch>, db: Db, clock: Clock) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let declared = feeds.clone();
        db.write(move |tx| feed_declare(tx, &declared))?;
        let (stop, stopped) = channel::<()>();
        let work = move || {
            let mut swept: Option<Timestamp> = None;
            loop {
                let now = clock.now();
                let due = swept.is_none_or(|at| !(0..ENDED_EVERY).contains(&now.since(at)));
                let looked = feeds_look(&feeds, fetch.as_ref(), &db, now).and_then(|more| {
                    // More than one turn's worth goes on with the next look.
                    if due && sweep(&db, now)? < ROWS_PER_WRITE {
                        swept = Some(now);
                    }
                    Ok(more)
                });
                let pause = match looked {
                    Ok(true) => Duration::from_secs(1),
                    Ok(false) => LOOK_EVERY,
                    Err(error) => {
                        tracing::error!(%error, "the feeds of indicators cannot be looked after; trying again");
                        LOOK_EVERY
                    }
                };
                if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("feeds".into()).spawn(work)?;
        Ok(Self { _stop: stop })
    }
}

#[cfg(test)]
mod tests;

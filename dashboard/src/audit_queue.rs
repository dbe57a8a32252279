//! Rows for the audit log that tell of looks, not of changes: gathered and written several times a second, so that a page
//! view costs no fsync of its own. What changes something writes its row itself, in its own transaction.
//!
//! Nothing is dropped: who finds the queue full waits, and who waits too long is not answered (`Full`), because nobody
//! looks unseen. A kill -9 may lose the last `GATHER`; an orderly end loses nothing.
//!
//! What could be made to fill the disk is counted instead of listed: looks once per viewer, object and hour, failed
//! logins per account and minute, and all accounts that there are not as one.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ingest::audit::{NewAudit, audit_add};
use ingest::db::{Db, DbError};
use ingest::time::{Clock, Timestamp};
use serde_json::json;

/// Rows that wait. At five fsyncs a second this is a hundred times what all users together cause.
const ROWS_MAX: usize = 4_096;
/// Rows in one transaction.
const BATCH_MAX: usize = 512;
/// How long rows gather before they are written; with the fsync well within a second.
const GATHER: Duration = Duration::from_millis(200);
/// How long a page waits for a place in the queue.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a failure of the disk.
const AGAIN: Duration = Duration::from_secs(1);
/// Looks remembered for "once an hour". Beyond it all are forgotten, and then some are written twice.
const LOOKS_MAX: usize = 50_000;
/// Accounts with failed logins in one minute; there are some hundreds of accounts.
const ACCOUNTS_MAX: usize = 2_000;
/// Addresses named in one row of failed logins.
const ADDRESSES_MAX: usize = 5;
/// What failed logins of accounts that there are not are counted under.
const UNKNOWN: &str = "unknown";

/// The row could not be taken in time: what it tells of must not happen.
#[derive(Debug, thiserror::Error)]
#[error("the audit log takes nothing at the moment")]
pub struct Full;

/// A handle; the last one that goes writes the rest.
#[derive(Clone)]
pub struct AuditQueue(Arc<Handle>);

impl std::fmt::Debug for AuditQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditQueue")
    }
}

struct Handle {
    shared: Arc<Shared>,
    clock: Clock,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    rows: VecDeque<(Timestamp, NewAudit)>,
    /// Rows that are being written.
    writing: usize,
    /// The hour that `looks` is about.
    hour: i64,
    looks: HashSet<(String, &'static str, String)>,
    failures: HashMap<String, Failures>,
    /// Somebody waits for everything to be written.
    hurry: bool,
    closed: bool,
}

struct Failures {
    minute: i64,
    count: u64,
    addresses: BTreeSet<IpAddr>,
    more_addresses: bool,
}

impl AuditQueue {
    /// Starts the writer.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(db: Db, clock: Clock) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (worker, time) = (Arc::clone(&shared), clock.clone());
        let thread = std::thread::Builder::new().name("audit".into()).spawn(move || worker.work(&db, &time))?;
        Ok(Self(Arc::new(Handle { shared, clock, thread: Mutex::new(Some(thread)) })))
    }

    /// Takes a row; waits where there is no place.
    ///
    /// # Errors
    /// Where there was none for `PATIENCE`, or the writer has ended.
    pub fn add(&self, at: Timestamp, new: NewAudit) -> Result<(), Full> {
        let shared = &self.0.shared;
        let full = |state: &mut State| state.rows.len() >= ROWS_MAX && !state.closed;
        let waited = shared.emptied.wait_timeout_while(shared.state(), PATIENCE, full);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.closed || state.rows.len() >= ROWS_MAX {
            return Err(Full);
        }
        state.rows.push_back((at, new));
        drop(state);
        shared.filled.notify_one();
        Ok(())
    }

    /// Takes a row about a look, unless the same one was taken in the same hour.
    ///
    /// # Errors
    /// As `add`.
    pub fn look(&self, at: Timestamp, new: NewAudit) -> Result<(), Full> {
        let key = (new.actor.clone(), new.kind, new.object.clone());
        {
            let mut state = self.0.shared.state();
            let hour = at.0.div_euclid(Timestamp::HOUR);
            if state.hour != hour || state.looks.len() >= LOOKS_MAX {
                state.looks.clear();
                state.hour = hour;
            }
            if !state.looks.insert(key.clone()) {
                return Ok(());
            }
        }
        self.add(at, new).inspect_err(|_| {
            self.0.shared.state().looks.remove(&key);
        })
    }

    /// Counts a failed login: `account` is the id of the account that was named, if there is one.
    pub fn login_failed(&self, at: Timestamp, account: Option<&str>, address: Option<IpAddr>) {
        let mut state = self.0.shared.state();
        let minute = at.0.div_euclid(Timestamp::MINUTE);
        let account = account.filter(|account| state.failures.len() < ACCOUNTS_MAX || state.failures.contains_key(*account));
        let account = account.unwrap_or(UNKNOWN).to_owned();
        // What is left of an earlier minute is told before the new one is counted.
        if let Some(over) = state.failures.get(&account).filter(|failures| failures.minute != minute).map(|over| over.row(&account)) {
            state.failures.remove(&account);
            state.rows.push_back(over);
        }
        let fresh = Failures { minute, count: 0, addresses: BTreeSet::new(), more_addresses: false };
        let failures = state.failures.entry(account).or_insert(fresh);
        failures.count = failures.count.saturating_add(1);
        if let Some(address) = address {
            let known = failures.addresses.contains(&address);
            let place = failures.addresses.len() < ADDRESSES_MAX;
            failures.more_addresses |= !known && !place;
            if place {
                failures.addresses.insert(address);
            }
        }
    }

    /// Waits until everything that was taken is durable. Failed logins of the running minute are told too.
    pub fn flush(&self) {
        let shared = &self.0.shared;
        let mut state = shared.state();
        state.tell_failures(i64::MAX);
        state.hurry = true;
        shared.filled.notify_one();
        let open = |state: &mut State| (!state.rows.is_empty() || state.writing > 0) && !state.closed;
        let mut state = shared.emptied.wait_while(state, open).unwrap_or_else(PoisonError::into_inner);
        state.hurry = false;
    }

    /// Writes what is left and ends; later rows are refused.
    pub fn close(&self) {
        self.0.close();
    }

    /// The time that rows are stamped with.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }
}

impl Failures {
    fn row(&self, account: &str) -> (Timestamp, NewAudit) {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let detail = json!({ "count": self.count, "addresses": addresses, "more_addresses": self.more_addresses });
        let at = Timestamp(self.minute.saturating_mul(Timestamp::MINUTE));
        (at, NewAudit { actor: UNKNOWN.into(), kind: "login.failed", object: format!("user:{account}"), detail })
    }
}

impl State {
    /// Makes rows of the failed logins of minutes before this one.
    fn tell_failures(&mut self, minute: i64) {
        let over: Vec<String> = self.failures.iter().filter(|(_, one)| one.minute < minute).map(|(account, _)| account.clone()).collect();
        for account in over {
            if let Some(failures) = self.failures.remove(&account) {
                self.rows.push_back(failures.row(&account));
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, db: &Db, clock: &Clock) {
        loop {
            let (batch, ended) = self.gather(clock);
            if !batch.is_empty() && !write(db, batch) {
                break;
            }
            let mut state = self.state();
            state.writing = 0;
            let done = ended && state.rows.is_empty();
            drop(state);
            self.emptied.notify_all();
            if done {
                break;
            }
        }
        let mut state = self.state();
        (state.closed, state.writing) = (true, 0);
        drop(state);
        self.emptied.notify_all();
    }

    /// The next rows, and whether the end has been asked for.
    fn gather(&self, clock: &Clock) -> (Vec<(Timestamp, NewAudit)>, bool) {
        let idle = |state: &mut State| state.rows.is_empty() && !state.closed && !state.hurry;
        // Wakes up now and then, for failed logins whose minute is over.
        let waited = self.filled.wait_timeout_while(self.state(), AGAIN, idle);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let gathering = |state: &mut State| state.rows.len() < BATCH_MAX && !state.closed && !state.hurry;
        let state = if state.rows.is_empty() {
            state
        } else {
            self.filled.wait_timeout_while(state, GATHER, gathering).unwrap_or_else(PoisonError::into_inner).0
        };
        let mut state = state;
        let minute = if state.closed { i64::MAX } else { clock.now().0.div_euclid(Timestamp::MINUTE) };
        state.tell_failures(minute);
        let count = state.rows.len().min(BATCH_MAX);
        let batch: Vec<_> = state.rows.drain(..count).collect();
        state.writing = batch.len();
        (batch, state.closed)
    }
}

/// Writes until it is written. False where the database has been closed: then there is nobody to write to.
fn write(db: &Db, batch: Vec<(Timestamp, NewAudit)>) -> bool {
    let batch = Arc::new(batch);
    let mut told = false;
    loop {
        let rows = Arc::clone(&batch);
        match db.write(move |tx| rows.iter().try_for_each(|(at, new)| audit_add(tx, *at, new).map(drop))) {
            Ok(()) => return true,
            Err(DbError::Stopped) => {
                tracing::error!(rows = batch.len(), "rows of the audit log came after the database was closed");
                return false;
            }
            Err(error) => {
                if !told {
                    tracing::error!(%error, "the audit log cannot be written; pages wait until it can");
                }
                told = true;
                std::thread::sleep(AGAIN);
            }
        }
    }
}

impl Handle {
    fn close(&self) {
        self.shared.state().closed = true;
        self.shared.filled.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use ingest::audit::{audit_list, audit_verify};

    use super::*;

    const NOON: Timestamp = Timestamp(1_795_262_400_000);

    fn queue() -> (tempfile::TempDir, Db, AuditQueue) {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[ingest::audit::MIGRATIONS]).unwrap();
        let queue = AuditQueue::start(db.clone(), Clock::manual(NOON)).unwrap();
        (dir, db, queue)
    }

    fn row(actor: &str, n: usize) -> NewAudit {
        NewAudit { actor: actor.into(), kind: "incident.seen", object: format!("incident:{n}"), detail: json!({}) }
    }

    fn told(db: &Db) -> String {
        let mut rows = db.read(|c| audit_list(c, None, 500)).unwrap();
        rows.reverse();
        rows.iter().map(|row| format!("{} {} {} {}\n", row.actor, row.kind, row.object, row.detail)).collect()
    }

    #[test]
    fn many_writers_lose_nothing_and_the_chain_is_whole() {
        let (_dir, db, queue) = queue();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let queue = queue.clone();
                scope.spawn(move || (0..2_000).for_each(|n| queue.add(NOON, row(&format!("u{writer}"), n)).unwrap()));
            }
        });
        queue.flush();
        let head = db.read(|c| audit_verify(c, None)).unwrap().unwrap();
        assert_eq!(head.n, 8_000);
    }

    #[test]
    fn closing_writes_the_rest_and_refuses_what_comes_later() {
        let (_dir, db, queue) = queue();
        queue.add(NOON, row("a", 1)).unwrap();
        queue.login_failed(NOON, Some("b"), None);
        queue.close();
        assert!(queue.add(NOON, row("a", 2)).is_err());
        expect![[r#"
            a incident.seen incident:1 {}
            unknown login.failed user:b {"count":1,"addresses":[],"more_addresses":false}
        "#]]
        .assert_eq(&told(&db));
    }

    #[test]
    fn a_look_counts_once_an_hour() {
        let (_dir, db, queue) = queue();
        for (minutes, actor, n) in [(0, "a", 1), (1, "a", 1), (2, "b", 1), (3, "a", 2), (60, "a", 1)] {
            queue.look(NOON.plus(minutes * Timestamp::MINUTE), row(actor, n)).unwrap();
        }
        queue.flush();
        expect![[r#"
            a incident.seen incident:1 {}
            b incident.seen incident:1 {}
            a incident.seen incident:2 {}
            a incident.seen incident:1 {}
        "#]]
        .assert_eq(&told(&db));
    }

    #[test]
    fn guessing_does_not_fill_the_disk() {
        let (_dir, db, queue) = queue();
        for n in 0..5_000u32 {
            // Ten minutes of guessing one account and thousands of invented ones, from many addresses.
            let at = NOON.plus(i64::from(n) * 120);
            queue.login_failed(at, Some("lead"), Some(IpAddr::from([192, 0, 2, 1])));
            queue.login_failed(at, None, Some(IpAddr::from(n.to_be_bytes())));
        }
        queue.flush();
        let rows = db.read(|c| audit_list(c, None, 500)).unwrap();
        assert_eq!(rows.len(), 20, "two rows a minute");
        let counted: u64 = rows.iter().map(|row| row.detail["count"].as_u64().unwrap()).sum();
        assert_eq!(counted, 10_000, "and every try is counted");
        assert!(rows.iter().all(|row| row.detail["addresses"].as_array().unwrap().len() <= ADDRESSES_MAX));
    }

    #[test]
    fn a_database_that_cannot_write_holds_the_pages_up_instead_of_losing_rows() {
        let (_dir, db, queue) = queue();
        // The writer is busy for as long as this transaction takes.
        let (started, go_on) = (std::sync::mpsc::channel::<()>(), std::sync::mpsc::channel::<()>());
        let (tell, wait) = (started.0, go_on.1);
        let busy = db.clone();
        let holder = std::thread::spawn(move || {
            busy.write(move |_| {
                tell.send(()).unwrap();
                wait.recv().unwrap();
                Ok::<_, DbError>(())
            })
            .unwrap();
        });
        started.1.recv().unwrap();
        let filler = {
            let queue = queue.clone();
            std::thread::spawn(move || (0..ROWS_MAX + 2 * BATCH_MAX).filter(|n| queue.add(NOON, row("a", *n)).is_ok()).count())
        };
        // It fills up to the bound and then waits; more than the bound is never held.
        while queue.0.shared.state().rows.len() < ROWS_MAX {
            std::thread::yield_now();
        }
        assert!(!filler.is_finished());
        go_on.0.send(()).unwrap();
        holder.join().unwrap();
        let taken = filler.join().unwrap();
        queue.flush();
        let head = db.read(|c| audit_verify(c, None)).unwrap().unwrap();
        assert_eq!(usize::try_from(head.n).unwrap(), taken, "what was taken was written");
        assert_eq!(taken, ROWS_MAX + 2 * BATCH_MAX);
    }
}

//! The database handle: SQLite with one writer thread and pooled readers (WAL, synchronous=FULL).
//! Tables and SQL belong to the `store` modules of their owners; this file knows none of them.
//! SQL keeps to the subset that PostgreSQL accepts too (docs/decisions/002-sql-subset.md).

use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

/// Writers queue here; a queue this long means the disk has stopped, and callers then wait.
const WRITE_QUEUE_MAX: usize = 256;
/// Idle read connections kept; more are opened under load and closed afterwards.
const READERS_IDLE_MAX: usize = 8;
/// How long SQLite itself waits for another process (a backup, a second tool) before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum DbError {
    #[error("open database {path}")]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("migrate {owner} to version {version}")]
    Migrate { owner: &'static str, version: u32, source: rusqlite::Error },
    #[error("the database has {owner} at version {found}, this program knows up to {known}: use a newer wartburg")]
    TooNew { owner: String, found: u32, known: u32 },
    #[error("database: {0}")]
    Sql(#[from] rusqlite::Error),
    #[error("the database writer has stopped")]
    Stopped,
}

/// One owner's tables: statements applied in order, each once, its version being its place from 1.
/// Statements that have been released are never edited; a change is a new one at the end.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    pub owner: &'static str,
    pub steps: &'static [&'static str],
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle to the database; clones share the writer and the readers.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    path: PathBuf,
    jobs: Mutex<Option<SyncSender<Job>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    idle: Mutex<Vec<Connection>>,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Db({})", self.0.path.display())
    }
}

impl Db {
    /// Opens or creates the database and brings every owner's tables to its newest version.
    ///
    /// # Errors
    /// Where the file cannot be opened, a migration fails, or the file is from a newer program.
    pub fn open(path: &Path, owners: &[Migrations]) -> Result<Self, DbError> {
        let mut writer = connect(path).map_err(|source| DbError::Open { path: path.to_owned(), source })?;
        migrate(&mut writer, owners)?;
        let (jobs, queue) = sync_channel::<Job>(WRITE_QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("db-writer".into())
            .spawn(move || {
                while let Ok(job) = queue.recv() {
                    job(&mut writer);
                }
            })
            .map_err(|error| DbError::Open { path: path.to_owned(), source: rusqlite::Error::ToSqlConversionFailure(Box::new(error)) })?;
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            jobs: Mutex::new(Some(jobs)),
            writer: Mutex::new(Some(thread)),
            idle: Mutex::new(Vec::new()),
        })))
    }

    /// Opens a database that nobody else uses, for reading, on a disk that takes nothing any more. SQLite would put its
    /// index of the log into a file beside it; with the lock held for good it keeps it in memory. There is one
    /// connection, so reads come one after another, and writes fail with `Stopped`.
    ///
    /// # Errors
    /// Where there is no database, or it cannot be read.
    pub fn open_for_reading(path: &Path) -> Result<Self, DbError> {
        let open = || {
            let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            connection.execute_batch("PRAGMA locking_mode=EXCLUSIVE; PRAGMA query_only=ON;")?;
            connection.query_row("SELECT COUNT(*) FROM migration", [], |_| Ok(()))?;
            Ok(connection)
        };
        let connection = open().map_err(|source| DbError::Open { path: path.to_owned(), source })?;
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            jobs: Mutex::new(None),
            writer: Mutex::new(None),
            idle: Mutex::new(vec![connection]),
        })))
    }

    /// Reads from a database without opening it for more: beside whoever uses it, changing nothing.
    ///
    /// # Errors
    /// Where there is none, or it cannot be read.
    pub fn peek<T>(path: &Path, read: impl FnOnce(&Connection) -> Result<T, DbError>) -> Result<T, DbError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|source| DbError::Open { path: path.to_owned(), source })?;
        read(&connection)
    }

    /// Runs `work` in one transaction on the writer and waits until it is durable. An `Err` rolls back.
    ///
    /// # Errors
    /// What `work` returns, or the database's own failure to begin or commit.
    pub fn write<T, E>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let (reply, answer) = sync_channel(1);
        let job: Job = Box::new(move |connection| {
            // The caller waits below; where it has gone all the same, nobody wants the answer.
            let _ = reply.send(in_transaction(connection, work));
        });
        let jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        jobs.ok_or(DbError::Stopped)?.send(job).map_err(|_| DbError::Stopped)?;
        answer.recv().map_err(|_| DbError::Stopped)?
    }

    /// Runs `work` on a pooled read connection.
    ///
    /// # Errors
    /// What `work` returns, or a failure to open a connection.
    pub fn read<T, E: From<DbError>>(&self, work: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        let pooled = self.idle().pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => connect_read(&self.0.path).map_err(|source| DbError::Open { path: self.0.path.clone(), source })?,
        };
        let result = work(&connection);
        let mut idle = self.idle();
        if idle.len() < READERS_IDLE_MAX {
            idle.push(connection);
        }
        result
    }

    /// Ends the writer after the queued work; later writes fail with `Stopped`.
    pub fn close(&self) {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_transaction<T, E: From<DbError>>(connection: &mut Connection, work: impl FnOnce(&Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(DbError::from)?;
    let value = work(&transaction)?;
    transaction.commit().map_err(DbError::from)?;
    Ok(value)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // FULL: with WAL it costs one fsync a commit, and a commit is what the caller acknowledges.
    connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")?;
    settled(&connection)?;
    Ok(connection)
}

fn connect_read(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    settled(&connection)?;
    Ok(connection)
}

/// Statements are kept, with the plan that they were made with: else SQLite makes a plan anew for each use of a statement whose plan
/// could depend on what is bound, which took a quarter of the time that a storm of alerts takes to be filed.
fn settled(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(128);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

fn migrate(connection: &mut Connection, owners: &[Migrations]) -> Result<(), DbError> {
    connection.execute_batch("CREATE TABLE IF NOT EXISTS migration (owner TEXT PRIMARY KEY, version BIGINT NOT NULL)")?;
    for owner in owners {
        let known = u32::try_from(owner.steps.len()).unwrap_or(u32::MAX);
        let found: u32 =
            connection.query_row("SELECT COALESCE(MAX(version), 0) FROM migration WHERE owner = ?1", [owner.owner], |row| row.get(0))?;
        if found > known {
            return Err(DbError::TooNew { owner: owner.owner.into(), found, known });
        }
        for (step, version) in owner.steps.iter().zip(1u32..).skip(found as usize) {
            let apply = |connection: &mut Connection| {
                let transaction = connection.transaction()?;
                transaction.execute_batch(step)?;
                transaction.execute(
                    "INSERT INTO migration (owner, version) VALUES (?1, ?2) ON CONFLICT (owner) DO UPDATE SET version = excluded.version",
                    (owner.owner, version),
                )?;
                transaction.commit()
            };
            apply(connection).map_err(|source| DbError::Migrate { owner: owner.owner, version, source })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: Migrations = Migrations { owner: "t", steps: &["CREATE TABLE a (n BIGINT)"] };
    const V2: Migrations = Migrations { owner: "t", steps: &["CREATE TABLE a (n BIGINT)", "CREATE TABLE b (n BIGINT)"] };

    fn count(db: &Db, table: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        db.read(|c| c.query_row(&sql, [], |row| row.get(0)).map_err(DbError::from)).unwrap()
    }

    #[test]
    fn an_error_rolls_back() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[V1]).unwrap();
        db.write(|tx| tx.execute("INSERT INTO a VALUES (1)", []).map_err(DbError::from)).unwrap();
        let failed: Result<(), DbError> = db.write(|tx| {
            tx.execute("INSERT INTO a VALUES (2)", [])?;
            Err(DbError::Stopped)
        });
        assert!(failed.is_err());
        assert_eq!(count(&db, "a"), 1);
    }

    #[test]
    fn a_kept_statement_keeps_its_plan() {
        let connection = Connection::open_in_memory().unwrap();
        settled(&connection).unwrap();
        connection
            .execute_batch("CREATE TABLE a (id TEXT PRIMARY KEY, owner TEXT); CREATE TABLE b (id TEXT PRIMARY KEY, name TEXT)")
            .unwrap();
        let ask = "SELECT a.id, b.name FROM a LEFT JOIN b ON b.id = a.owner WHERE a.id = ?1 AND a.owner <> ?2 ORDER BY a.id LIMIT 1";
        for n in 0..5 {
            assert!(!connection.prepare_cached(ask).unwrap().exists((n.to_string(), "x")).unwrap());
        }
        assert_eq!(connection.prepare_cached(ask).unwrap().get_status(rusqlite::StatementStatus::RePrepare), 0);
    }

    #[test]
    fn migrations_run_once_and_a_newer_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.db");
        Db::open(&path, &[V1]).unwrap().close();
        let db = Db::open(&path, &[V2]).unwrap();
        assert_eq!(count(&db, "b"), 0);
        db.close();
        let error = Db::open(&path, &[V1]).unwrap_err().to_string();
        assert_eq!(error, "the database has t at version 2, this program knows up to 1: use a newer wartburg");
    }

    #[test]
    fn a_closed_writer_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[V1]).unwrap();
        db.close();
        let result: Result<(), DbError> = db.write(|_| Ok(()));
        assert!(matches!(result, Err(DbError::Stopped)));
    }
}

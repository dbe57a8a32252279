//! Requests of programs that carry an `Idempotency-Key`: the answer that each got, kept for a day, so that a program whose
//! connection broke can ask again without doing it twice. The row is written in the transaction of what was done.
//!
//! A key belongs to the token (or session) that sent it: two programs of one account that both count from 1 do not meet. Where
//! a token has as many answers as are kept, its next change is refused until the oldest is a day old. To do it without
//! keeping the answer would break the promise silently, and to drop an older answer would break it for that one.

use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use ingest::time::Timestamp;

pub const MIGRATIONS: Migrations = Migrations {
    owner: "api_request",
    steps: &[
        "
        CREATE TABLE api_request (
            user_id TEXT NOT NULL REFERENCES user_account (id),
            key TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            status BIGINT NOT NULL,
            body TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            PRIMARY KEY (user_id, key)
        );
        CREATE INDEX api_request_created ON api_request (created_at);
    ",
        // By token; what was kept of accounts ends within the day.
        "
        DROP TABLE api_request;
        CREATE TABLE api_request (
            holder TEXT NOT NULL,
            key TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            status BIGINT NOT NULL,
            body TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            PRIMARY KEY (holder, key)
        );
        CREATE INDEX api_request_created ON api_request (created_at);
        CREATE INDEX api_request_holder ON api_request (holder, created_at);
    ",
    ],
};

/// How long an answer is kept: a program that repeats later than that has lost more than an answer.
pub const KEEP_MILLIS: i64 = Timestamp::DAY;
pub const KEY_CHARS_MAX: usize = 200;
/// Of one token within that time: a program that does more than one thing a second all day.
pub const KEPT_MAX: i64 = if cfg!(test) { 20 } else { 100_000 };

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Of what was asked: the same key for something else is a mistake.
    pub fingerprint: String,
    pub status: u16,
    pub body: String,
}

/// Why an answer is not kept, and so nothing may be done.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// There is room again then.
    #[error("as many answers are kept for this token as may be")]
    Full { until: Timestamp },
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<ingest::rusqlite::Error> for KeepError {
    fn from(error: ingest::rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// # Errors
/// The database's own.
pub fn api_request_find(connection: &Connection, holder: &str, key: &str, now: Timestamp) -> Result<Option<Answered>, DbError> {
    let sql = "SELECT fingerprint, status, body FROM api_request WHERE holder = ?1 AND key = ?2 AND created_at > ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row(params![holder, key, now.0.saturating_sub(KEEP_MILLIS)], |row| {
        Ok(Answered { fingerprint: row.get(0)?, status: row.get(1)?, body: row.get(2)? })
    });
    Ok(found.optional()?)
}

/// Keeps an answer, and lets go what is older than a day.
///
/// # Errors
/// Where there is no room, or the database's own: the caller's transaction must not be committed then.
pub fn api_request_add(tx: &Transaction<'_>, holder: &str, key: &str, answered: &Answered, now: Timestamp) -> Result<(), KeepError> {
    tx.execute("DELETE FROM api_request WHERE created_at <= ?1", params![now.0.saturating_sub(KEEP_MILLIS)])?;
    let sql = "SELECT COUNT(*), MIN(created_at) FROM api_request WHERE holder = ?1";
    let (kept, oldest): (i64, Option<i64>) = tx.prepare_cached(sql)?.query_row([holder], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if kept >= KEPT_MAX {
        return Err(KeepError::Full { until: Timestamp(oldest.unwrap_or(now.0).saturating_add(KEEP_MILLIS)) });
    }
    tx.execute(
        "INSERT INTO api_request (holder, key, fingerprint, status, body, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (holder, key) DO NOTHING",
        params![holder, key, answered.fingerprint, answered.status, answered.body, now.0],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use ingest::db::Db;

    use super::*;

    #[test]
    fn a_days_answers_are_kept_and_then_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("x.db"), &[MIGRATIONS]).unwrap();
        let start = Timestamp(1_795_248_000_000);
        let answered = Answered { fingerprint: "f".into(), status: 200, body: "{}".into() };
        let add = |holder: &'static str, key: i64, now: Timestamp| {
            let answered = answered.clone();
            db.write(move |tx| api_request_add(tx, holder, &key.to_string(), &answered, now))
        };
        for key in 0..KEPT_MAX {
            add("a", key, start.plus(key)).unwrap();
        }
        let later = start.plus(Timestamp::HOUR);
        assert!(matches!(add("a", -1, later), Err(KeepError::Full { until }) if until == start.plus(KEEP_MILLIS)));
        add("b", -1, later).unwrap();
        let find = |key: &str, now: Timestamp| db.read(|c| api_request_find(c, "a", key, now)).unwrap();
        assert_eq!((find("0", later), find("-1", later)), (Some(answered.clone()), None));
        add("a", -1, start.plus(KEEP_MILLIS)).unwrap();
        assert_eq!(find("0", start.plus(KEEP_MILLIS)), None);
    }
}

//! Requests of programs that carry an `Idempotency-Key`: the answer that each got, kept for a day, so that a program whose
//! connection broke can ask again without doing it twice. The row is written in the transaction of what was done.

use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use ingest::time::Timestamp;

use crate::user::UserId;

pub const MIGRATIONS: Migrations = Migrations {
    owner: "api_request",
    steps: &["
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
    "],
};

/// How long an answer is kept: a program that repeats later than that has lost more than an answer.
pub const KEEP_MILLIS: i64 = Timestamp::DAY;
pub const KEY_CHARS_MAX: usize = 200;
/// Of one account within that time: a program that does more than one thing a second all day.
const KEPT_MAX: i64 = 100_000;

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Of what was asked: the same key for something else is a mistake.
    pub fingerprint: String,
    pub status: u16,
    pub body: String,
}

/// # Errors
/// The database's own.
pub fn api_request_find(connection: &Connection, user: UserId, key: &str, now: Timestamp) -> Result<Option<Answered>, DbError> {
    let sql = "SELECT fingerprint, status, body FROM api_request WHERE user_id = ?1 AND key = ?2 AND created_at > ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row(params![user, key, now.0.saturating_sub(KEEP_MILLIS)], |row| {
        Ok(Answered { fingerprint: row.get(0)?, status: row.get(1)?, body: row.get(2)? })
    });
    Ok(found.optional()?)
}

/// Keeps an answer, and lets go what is older than a day.
///
/// # Errors
/// The database's own.
pub fn api_request_add(tx: &Transaction<'_>, user: UserId, key: &str, answered: &Answered, now: Timestamp) -> Result<(), DbError> {
    tx.execute("DELETE FROM api_request WHERE created_at <= ?1", params![now.0.saturating_sub(KEEP_MILLIS)])?;
    let kept: i64 = tx.query_row("SELECT COUNT(*) FROM api_request WHERE user_id = ?1", params![user], |row| row.get(0))?;
    if kept >= KEPT_MAX {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO api_request (user_id, key, fingerprint, status, body, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (user_id, key) DO NOTHING",
        params![user, key, answered.fingerprint, answered.status, answered.body, now.0],
    )?;
    Ok(())
}

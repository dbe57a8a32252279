//! The audit log: who did what to what, and when. Rows are only ever added; each carries the hash of the one before, so
//! that a row that was changed, taken out or moved is found. The head stands in a row of its own, so that a missing end
//! is found too. Who may write to the database file could make the whole chain anew: against that the head can be noted
//! elsewhere, and `verify` asked whether the chain still contains it; and each day a root is signed (`root`).
//!
//! Owns no words and no rights: kinds are named by those who write them, pages read them for whom they let in.

mod find;
mod root;
#[cfg(test)]
mod tests;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::db::{DbError, Migrations};
use crate::time::Timestamp;

pub use find::{AuditFilter, AuditPage, SCAN_ROWS_MAX, audit_find};
pub use root::{ROOT_KIND, ROOTS_DIR, Root, RootError, RootFault, RootKey, root_last, root_sign, roots_read, roots_verify};

pub const MIGRATIONS: Migrations = Migrations {
    owner: "audit",
    steps: &[
        "CREATE TABLE audit (
        n BIGINT PRIMARY KEY, at BIGINT NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL,
        prev TEXT NOT NULL, hash TEXT NOT NULL);
     CREATE INDEX audit_by_object ON audit (object, n);
     CREATE TABLE audit_head (id BIGINT PRIMARY KEY, n BIGINT NOT NULL, hash TEXT NOT NULL);",
        "CREATE INDEX audit_by_actor ON audit (actor, n);
     CREATE INDEX audit_by_kind ON audit (kind, n);",
    ],
};

/// Rows that one list returns.
pub const LIST_MAX: usize = 500;
/// What the first row follows.
const ORIGIN: &str = "";

/// A row to be.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAudit {
    /// The account's id, or `system`.
    pub actor: String,
    /// What was done, as `pseudonym.reveal_asked`.
    pub kind: &'static str,
    /// To what: an id, by which its rows are found again.
    pub object: String,
    pub detail: Value,
}

/// A row as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    pub n: i64,
    pub at: Timestamp,
    pub actor: String,
    pub kind: String,
    pub object: String,
    pub detail: Value,
    pub hash: String,
}

/// Where the chain ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub n: i64,
    pub hash: String,
}

/// What is wrong with the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    #[error("row {0} is missing")]
    Missing(i64),
    #[error("row {0} was changed")]
    Changed(i64),
    #[error("row {0} does not follow the one before")]
    Unlinked(i64),
    #[error("the end is not the one that was noted: rows behind {0} are missing or were added")]
    End(i64),
    #[error("the given head is not in the chain")]
    UnknownHead,
}

/// Adds a row, in the transaction of what it tells of: the one is never there without the other.
///
/// # Errors
/// The database's own.
pub fn audit_add(tx: &Transaction<'_>, now: Timestamp, new: &NewAudit) -> Result<Head, DbError> {
    let last = audit_head(tx)?;
    let n = last.n + 1;
    let detail = new.detail.to_string();
    let hash = hash(n, now, [&new.actor, new.kind, &new.object, &detail], &last.hash);
    tx.prepare_cached("INSERT INTO audit (n, at, actor, kind, object, detail, prev, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute((n, now.0, &new.actor, new.kind, &new.object, &detail, &last.hash, &hash))?;
    tx.prepare_cached(
        "INSERT INTO audit_head (id, n, hash) VALUES (1, ?1, ?2) ON CONFLICT (id) DO UPDATE SET n = excluded.n, hash = excluded.hash",
    )?
    .execute((n, &hash))?;
    Ok(Head { n, hash })
}

/// Where the chain ends; to be noted elsewhere.
///
/// # Errors
/// The database's own.
pub fn audit_head(connection: &Connection) -> Result<Head, DbError> {
    let mut statement = connection.prepare_cached("SELECT n, hash FROM audit_head WHERE id = 1")?;
    let head = statement.query_row([], |row| Ok(Head { n: row.get(0)?, hash: row.get(1)? })).optional()?;
    Ok(head.unwrap_or_default())
}

/// The newest rows before `before`, newest first.
///
/// # Errors
/// The database's own.
pub fn audit_list(connection: &Connection, before: Option<i64>, limit: usize) -> Result<Vec<Audit>, DbError> {
    let mut statement =
        connection.prepare_cached("SELECT n, at, actor, kind, object, detail, hash FROM audit WHERE n < ?1 ORDER BY n DESC LIMIT ?2")?;
    let limit = i64::try_from(limit.min(LIST_MAX)).unwrap_or(0);
    let rows = statement.query_map((before.unwrap_or(i64::MAX), limit), audit_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// All rows about one thing, oldest first.
///
/// # Errors
/// The database's own.
pub fn audit_of(connection: &Connection, object: &str) -> Result<Vec<Audit>, DbError> {
    let mut statement =
        connection.prepare_cached("SELECT n, at, actor, kind, object, detail, hash FROM audit WHERE object = ?1 ORDER BY n LIMIT ?2")?;
    let rows = statement.query_map((object, i64::try_from(LIST_MAX).unwrap_or(0)), audit_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn audit_row(row: &Row<'_>) -> rusqlite::Result<Audit> {
    Ok(Audit {
        n: row.get(0)?,
        at: Timestamp(row.get(1)?),
        actor: row.get(2)?,
        kind: row.get(3)?,
        object: row.get(4)?,
        detail: serde_json::from_str(&row.get::<_, String>(5)?).unwrap_or_default(),
        hash: row.get(6)?,
    })
}

/// Reads the whole chain; its head where it is whole. With `noted`, an earlier head, that must be in it.
///
/// # Errors
/// The database's own; the inner error is the first fault of the chain.
pub fn audit_verify(connection: &Connection, noted: Option<&str>) -> Result<Result<Head, AuditFault>, DbError> {
    let mut statement = connection.prepare_cached("SELECT n, at, actor, kind, object, detail, prev, hash FROM audit ORDER BY n")?;
    let mut rows = statement.query([])?;
    let (mut last, mut seen) = (Head { n: 0, hash: ORIGIN.into() }, noted.is_none());
    while let Some(row) = rows.next()? {
        // What is of another kind than we write it was changed, and so were bytes that are no text.
        let number = |at| match row.get_ref(at)? {
            ValueRef::Integer(number) => Ok::<_, DbError>(Some(number)),
            _ => Ok(None),
        };
        let text = |at| match row.get_ref(at)? {
            ValueRef::Text(bytes) => Ok::<_, DbError>(std::str::from_utf8(bytes).ok().map(str::to_owned)),
            _ => Ok(None),
        };
        let Some(n) = number(0)? else { return Ok(Err(AuditFault::Changed(last.n + 1))) };
        let texts = (text(2)?, text(3)?, text(4)?, text(5)?, text(6)?, text(7)?);
        let (Some(at), (Some(actor), Some(kind), Some(object), Some(detail), Some(prev), Some(stored))) = (number(1)?, texts) else {
            return Ok(Err(AuditFault::Changed(n)));
        };
        if n != last.n + 1 {
            return Ok(Err(AuditFault::Missing(last.n + 1)));
        }
        if prev != last.hash {
            return Ok(Err(AuditFault::Unlinked(n)));
        }
        if hash(n, Timestamp(at), [&actor, &kind, &object, &detail], &prev) != stored {
            return Ok(Err(AuditFault::Changed(n)));
        }
        seen |= noted == Some(stored.as_str());
        last = Head { n, hash: stored };
    }
    // A head that cannot be read is not the one that was noted.
    match audit_head(connection) {
        Ok(head) if head == last => {}
        Ok(head) => return Ok(Err(AuditFault::End(last.n.min(head.n)))),
        Err(DbError::Sql(rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::Utf8Error(..))) => {
            return Ok(Err(AuditFault::End(last.n)));
        }
        Err(error) => return Err(error),
    }
    Ok(if seen { Ok(last) } else { Err(AuditFault::UnknownHead) })
}

/// Over every part with its length before it, so that no two rows read the same.
fn hash(n: i64, at: Timestamp, parts: [&str; 4], prev: &str) -> String {
    let mut sha = Sha256::new();
    sha.update(n.to_be_bytes());
    sha.update(at.0.to_be_bytes());
    for part in parts.into_iter().chain([prev]) {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part.as_bytes());
    }
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

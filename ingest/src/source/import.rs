//! How far each file's import has come; kept with the inventory because it moves in the same transaction.

use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::db::DbError;
use crate::time::Timestamp;

/// How far the import of a file has come: the frame that is written with the lines it speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportMark {
    /// ULID of this file's import; a file that has grown goes on under the same.
    pub id: String,
    pub name: String,
    /// Bytes of the (unpacked) file that are in the journal.
    pub bytes: u64,
    pub lines: u64,
    /// SHA-256 of these bytes, in hex: by it the file is known again under any name.
    pub sha256: String,
}

/// All imports so far.
///
/// # Errors
/// The database's own.
pub fn import_list(connection: &Connection) -> Result<Vec<ImportMark>, DbError> {
    let mut statement = connection.prepare_cached("SELECT id, name, bytes, lines, sha256 FROM import ORDER BY bytes")?;
    let rows = statement.query_map([], |row| {
        let (bytes, lines): (i64, i64) = (row.get(2)?, row.get(3)?);
        Ok(ImportMark { id: row.get(0)?, name: row.get(1)?, bytes: bytes.unsigned_abs(), lines: lines.unsigned_abs(), sha256: row.get(4)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn import_put(tx: &Transaction<'_>, mark: &ImportMark, at: Timestamp) -> Result<(), DbError> {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    tx.prepare_cached(
        "INSERT INTO import (id, name, bytes, lines, sha256, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, bytes = excluded.bytes, lines = excluded.lines,
            sha256 = excluded.sha256, updated_at = excluded.updated_at",
    )?
    .execute(params![mark.id, mark.name, number(mark.bytes), number(mark.lines), mark.sha256, at.0])?;
    Ok(())
}

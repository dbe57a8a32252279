//! Small pieces of state that a stage keeps over restarts and that can be had again without it, if slower: NetFlow
//! templates, for one. A named JSON value each; nothing that counts as a record belongs here.

use rusqlite::{Connection, OptionalExtension, Transaction};
use serde_json::Value;

use crate::db::{DbError, Migrations};

pub const MIGRATIONS: Migrations =
    Migrations { owner: "state", steps: &["CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL)"] };

/// The value kept under `name`; `None` where there is none, or none that can be read.
///
/// # Errors
/// The database's own.
pub fn state_load(connection: &Connection, name: &str) -> Result<Option<Value>, DbError> {
    let mut statement = connection.prepare_cached("SELECT value FROM state WHERE name = ?1")?;
    let text: Option<String> = statement.query_row([name], |row| row.get(0)).optional()?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// # Errors
/// The database's own.
pub fn state_save(tx: &Transaction<'_>, name: &str, value: &Value) -> Result<(), DbError> {
    tx.prepare_cached("INSERT INTO state (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")?
        .execute((name, value.to_string()))?;
    Ok(())
}

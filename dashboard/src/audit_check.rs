//! What the last look at the audit log's chain and roots found, kept for those who read the log. The command `verify` asks
//! anew instead of believing it.

use std::path::Path;

use ingest::audit::{RootError, audit_verify, roots_read, roots_verify};
use ingest::db::{Db, DbError};
use ingest::rusqlite::Connection;
use ingest::state::{state_load, state_save};
use ingest::time::Timestamp;
use serde_json::json;

const STATE: &str = "audit.checked";

/// A look at all rows and roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditCheck {
    pub at: Timestamp,
    pub rows: i64,
    /// What was wrong; `None` where all was as it was written.
    pub fault: Option<String>,
}

impl AuditCheck {
    /// Reads everything.
    ///
    /// # Errors
    /// Where the database or the roots cannot be read.
    pub fn run(db: &Db, dir: &Path, key: &str, now: Timestamp) -> Result<Self, RootError> {
        let roots = roots_read(dir)?;
        let found = db.read(|c| {
            Ok::<_, DbError>(match audit_verify(c, None)? {
                Err(fault) => (0, Some(fault.to_string())),
                Ok(head) => (head.n, roots_verify(c, &roots, Some(key), None)?.err().map(|fault| fault.to_string())),
            })
        })?;
        Ok(Self { at: now, rows: found.0, fault: found.1 })
    }

    /// # Errors
    /// The database's own.
    pub fn save(self, db: &Db) -> Result<(), RootError> {
        if let Some(fault) = &self.fault {
            tracing::error!(%fault, "the audit log is not as it was written: `wartburg verify` says more");
        }
        let value = json!({ "at": self.at.rfc3339(), "rows": self.rows, "fault": self.fault });
        db.write(move |tx| state_save(tx, STATE, &value)).map_err(|error: DbError| error.into())
    }

    /// The last one, if there was any.
    ///
    /// # Errors
    /// The database's own.
    pub fn load(connection: &Connection) -> Result<Option<Self>, DbError> {
        let Some(value) = state_load(connection, STATE)? else { return Ok(None) };
        let at = value.get("at").and_then(|at| at.as_str()).and_then(Timestamp::parse_rfc3339);
        let rows = value.get("rows").and_then(serde_json::Value::as_i64).unwrap_or_default();
        let fault = value.get("fault").and_then(|fault| fault.as_str()).map(str::to_owned);
        Ok(at.map(|at| Self { at, rows, fault }))
    }
}

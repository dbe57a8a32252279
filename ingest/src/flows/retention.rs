//! Retention: files whose day is over for longer than flows are kept go, each with a row in the deletion log and one in the
//! audit log before it is unlinked. What was set aside as damaged goes by the same rule.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use rusqlite::{Connection, Transaction};
use serde::{Deserialize, Serialize};

use super::file::{FileInfo, replace};
use super::{CURSOR_FILE, FlowStore, QUARANTINE};
use crate::audit::{NewAudit, audit_add};
use crate::db::{Db, DbError};
use crate::frame::Seq;
use crate::id::ulid_new;
use crate::time::Timestamp;

/// For how long flows are kept where nothing else is configured.
pub const DAYS_DEFAULT: u32 = 30;
/// Rows that one list returns.
const LIST_MAX: i64 = 10_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A row of the deletion log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowDeletion {
    pub id: String,
    pub at: Timestamp,
    /// Below the store's directory.
    pub file: String,
    pub records: u64,
    pub bytes: u64,
    pub first: Seq,
    pub last: Seq,
    pub received_from: Timestamp,
    pub received_to: Timestamp,
    pub why: String,
}

impl FlowStore {
    /// Lets files go whose time is over, oldest first.
    ///
    /// # Errors
    /// Where the database or the disk refuses; the next call goes on.
    pub fn retain(&self, db: &Db, days: u32, now: Timestamp, stop: &dyn Fn() -> bool) -> Result<Vec<FlowDeletion>, Failure> {
        let keep = i64::from(days).saturating_mul(Timestamp::DAY);
        // Whole days, as the events'.
        let day_end = |at: Timestamp| at.0.saturating_sub(at.0.rem_euclid(Timestamp::DAY)).saturating_add(Timestamp::DAY);
        let over = |info: &&Arc<FileInfo>| now.0.saturating_sub(day_end(info.span.received_to)) >= keep;
        let due: Vec<Arc<FileInfo>> = self.view().files.iter().filter(over).cloned().collect();
        let mut done = self.retain_damaged(db, keep, now)?;
        if due.is_empty() {
            return Ok(done);
        }
        // Where the newest files go, nothing else says how far the journal was worked in.
        replace(&self.dir.join(CURSOR_FILE), format!("{}\n", self.cursor().0).as_bytes())?;
        for info in due.into_iter().take_while(|_| !stop()) {
            let file = info.path.strip_prefix(&self.dir).unwrap_or(&info.path).display().to_string();
            let row = FlowDeletion {
                id: ulid_new(now).to_string(),
                at: now,
                file,
                records: info.records,
                bytes: info.bytes,
                first: info.span.seq_from,
                last: info.span.seq_to,
                received_from: info.span.received_from,
                received_to: info.span.received_to,
                why: "retention".to_owned(),
            };
            let written = row.clone();
            db.write(move |tx| deletion_add(tx, &written))?;
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            // One that was set aside meanwhile is not there any more, and that is all right.
            state.files.retain(|other| !Arc::ptr_eq(other, &info));
            info.retire();
            done.push(row);
        }
        self.folders_remove();
        Ok(done)
    }

    /// What cannot be read is known by its name, which begins with its day.
    fn retain_damaged(&self, db: &Db, keep: i64, now: Timestamp) -> Result<Vec<FlowDeletion>, Failure> {
        let mut done = Vec::new();
        for name in self.quarantined() {
            let day = name.get(..10).and_then(|day| Timestamp::parse_rfc3339(&format!("{day}T00:00:00Z")));
            let Some(day) = day.filter(|day| now.since(day.plus(Timestamp::DAY)) >= keep) else { continue };
            let path = self.dir.join(QUARANTINE).join(&name);
            let row = FlowDeletion {
                id: ulid_new(now).to_string(),
                at: now,
                file: format!("{QUARANTINE}/{name}"),
                records: 0,
                bytes: std::fs::metadata(&path)?.len(),
                first: Seq(0),
                last: Seq(0),
                received_from: day,
                received_to: day,
                why: "retention, damaged".to_owned(),
            };
            let written = row.clone();
            db.write(move |tx| deletion_add(tx, &written))?;
            std::fs::remove_file(&path)?;
            done.push(row);
        }
        Ok(done)
    }

    /// Removes days that have become empty.
    fn folders_remove(&self) {
        let days = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for day in days.filter(|day| day.file_type().is_ok_and(|kind| kind.is_dir())) {
            // One that is not empty stays: the system sees to that.
            let _ = std::fs::remove_dir(day.path());
        }
    }

    /// The directory below which the files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The same file is logged once, also where a crash came between its row and its end.
fn deletion_add(tx: &Transaction<'_>, row: &FlowDeletion) -> Result<(), DbError> {
    let added = tx
        .prepare_cached(
            "INSERT INTO flow_deletion (id, at, file, records, bytes, first_seq, last_seq, received_from, received_to, why)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (file, first_seq, last_seq, records) DO NOTHING",
        )?
        .execute(rusqlite::params![
            row.id,
            row.at.0,
            row.file,
            number(row.records),
            number(row.bytes),
            number(row.first.0),
            number(row.last.0),
            row.received_from.0,
            row.received_to.0,
            row.why
        ])?;
    if added > 0 {
        let detail = serde_json::json!({ "records": row.records, "bytes": row.bytes, "why": row.why });
        let new = NewAudit { actor: "system".into(), kind: "flows.deleted", object: format!("flows:{}", row.file), detail };
        audit_add(tx, row.at, &new)?;
    }
    Ok(())
}

/// The deletion log of the flows, newest first.
///
/// # Errors
/// The database's own.
pub fn flow_deletion_list(connection: &Connection) -> Result<Vec<FlowDeletion>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, at, file, records, bytes, first_seq, last_seq, received_from, received_to, why FROM flow_deletion
         ORDER BY id DESC LIMIT ?1",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        let count = |at: usize| Ok::<_, rusqlite::Error>(row.get::<_, i64>(at)?.max(0).unsigned_abs());
        Ok(FlowDeletion {
            id: row.get(0)?,
            at: Timestamp(row.get(1)?),
            file: row.get(2)?,
            records: count(3)?,
            bytes: count(4)?,
            first: Seq(count(5)?),
            last: Seq(count(6)?),
            received_from: Timestamp(row.get(7)?),
            received_to: Timestamp(row.get(8)?),
            why: row.get(9)?,
        })
    };
    Ok(statement.query_map([LIST_MAX], read)?.collect::<Result<_, _>>()?)
}

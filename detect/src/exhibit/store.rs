//! The rows of exhibits. Each act (put in, released, taken out) is an event of the case's history in the same transaction:
//! the chain of custody is read from there and from nowhere else.

use ingest::body::BodyId;
use ingest::db::{DbError, Migrations};
use ingest::history::{NewHistory, history_add, history_of};
use ingest::rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde_json::json;

use super::sniff::warnings;
use super::{CASE_BYTES_MAX, CASE_FILES_MAX, Custody, Exhibit, ExhibitError, ExhibitId, Fault, Locker, Sealed, Source, Warning};
use crate::incident::{CaseError, IncidentId, demand, filled, incident_find, line_clean, word_known};
use crate::role::{Action, Role};

pub const MIGRATIONS: Migrations = Migrations {
    owner: "exhibit",
    steps: &["
        CREATE TABLE exhibit (
            id TEXT PRIMARY KEY,
            incident TEXT REFERENCES incident (id),
            letter TEXT,
            source TEXT NOT NULL,
            name TEXT NOT NULL,
            bytes BIGINT NOT NULL,
            sha256 TEXT NOT NULL,
            claimed TEXT NOT NULL,
            found TEXT NOT NULL,
            warnings TEXT NOT NULL,
            quarantined BIGINT NOT NULL,
            added_by TEXT NOT NULL,
            added_at BIGINT NOT NULL
        );
        CREATE INDEX exhibit_incident ON exhibit (incident, id);
        CREATE INDEX exhibit_letter ON exhibit (letter);
    "],
};

/// A file's name on one line of a list.
const NAME_CHARS_MAX: usize = 150;
const TYPE_CHARS_MAX: usize = 100;
/// Why somebody opens the quarantine or takes a file out.
const WHY_CHARS_MAX: usize = 500;

/// A file that is to become an exhibit; its bytes are in the locker already.
#[derive(Clone, Debug)]
pub struct NewExhibit {
    pub incident: Option<IncidentId>,
    pub letter: Option<String>,
    pub source: Source,
    pub name: String,
    pub claimed: String,
    pub sealed: Sealed,
}

/// Puts a file into a case. `role` is who does it; `None` is the intake of mails, which is nobody's act.
///
/// # Errors
/// Where the case is full or not there, or the role may not.
pub fn exhibit_add(
    tx: &Transaction<'_>,
    new: &NewExhibit,
    actor: &str,
    role: Option<Role>,
    now: Timestamp,
) -> Result<ExhibitId, ExhibitError> {
    if let Some(role) = role {
        demand(Action::ExhibitAdd, role)?;
    }
    if let Some(incident) = new.incident {
        let (files, bytes) = exhibit_total(tx, incident)?;
        if role.is_some() && files >= CASE_FILES_MAX {
            return Err(ExhibitError::CaseFull { what: "files" });
        }
        if role.is_some() && bytes + new.sealed.bytes > CASE_BYTES_MAX {
            return Err(ExhibitError::CaseFull { what: "bytes" });
        }
    }
    let claimed = line_clean(&new.claimed.to_lowercase(), TYPE_CHARS_MAX);
    let claimed = claimed.split(';').next().unwrap_or_default().trim().to_owned();
    let exhibit = Exhibit {
        id: ExhibitId::new(now),
        incident: new.incident,
        letter: new.letter.clone(),
        source: new.source,
        name: name_clean(&new.name),
        bytes: new.sealed.bytes,
        sha256: new.sealed.sha256.clone(),
        warnings: warnings(&new.sealed.kind, &claimed),
        claimed,
        found: new.sealed.kind.mime.to_owned(),
        quarantined: new.source.quarantined(),
        added_by: actor.to_owned(),
        added_at: now,
    };
    let words: Vec<&str> = exhibit.warnings.iter().map(|warning| warning.as_str()).collect();
    tx.prepare_cached(
        "INSERT INTO exhibit (id, incident, letter, source, name, bytes, sha256, claimed, found, warnings, quarantined, added_by, added_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        exhibit.id,
        exhibit.incident,
        exhibit.letter,
        exhibit.source.as_str(),
        exhibit.name,
        i64::try_from(exhibit.bytes).unwrap_or(i64::MAX),
        exhibit.sha256,
        exhibit.claimed,
        exhibit.found,
        words.join(" "),
        exhibit.quarantined,
        exhibit.added_by,
        now.0,
    ])?;
    if exhibit.incident.is_some() {
        custody_add(tx, &exhibit, "exhibit.added", "", actor, now)?;
    }
    Ok(exhibit.id)
}

/// What came with a letter is the case's from now on.
///
/// # Errors
/// The database's own.
pub fn exhibits_file(tx: &Transaction<'_>, letter: &str, incident: IncidentId, actor: &str, now: Timestamp) -> Result<(), ExhibitError> {
    for exhibit in exhibit_of_letter(tx, letter)?.into_iter().filter(|exhibit| exhibit.incident.is_none()) {
        tx.prepare_cached("UPDATE exhibit SET incident = ?2 WHERE id = ?1")?.execute(params![exhibit.id, incident])?;
        custody_add(tx, &Exhibit { incident: Some(incident), ..exhibit }, "exhibit.added", "", actor, now)?;
    }
    Ok(())
}

/// Lets a file out of quarantine; whoever does it says why.
///
/// # Errors
/// Without a reason, or where the role may not.
pub fn exhibit_release(
    tx: &Transaction<'_>,
    incident: IncidentId,
    id: ExhibitId,
    why: &str,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<(), ExhibitError> {
    demand(Action::ExhibitRelease, role)?;
    let why = filled("reason", why, WHY_CHARS_MAX)?;
    let exhibit = exhibit_get(tx, &Scope::All, incident, id)?.ok_or_else(|| missing(id))?;
    if exhibit.quarantined {
        tx.prepare_cached("UPDATE exhibit SET quarantined = 0 WHERE id = ?1")?.execute([id])?;
        custody_add(tx, &exhibit, "exhibit.released", &why, actor, now)?;
    }
    Ok(())
}

/// Notes that somebody takes a copy; the bytes are given out after that.
///
/// # Errors
/// `Quarantined`, or where the role may not.
pub fn exhibit_taken(
    tx: &Transaction<'_>,
    incident: IncidentId,
    id: ExhibitId,
    why: &str,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<Exhibit, ExhibitError> {
    demand(Action::ExhibitAdd, role)?;
    let exhibit = exhibit_get(tx, &Scope::All, incident, id)?.ok_or_else(|| missing(id))?;
    if exhibit.quarantined {
        return Err(ExhibitError::Quarantined);
    }
    custody_add(tx, &exhibit, "exhibit.downloaded", &line_clean(why, WHY_CHARS_MAX), actor, now)?;
    Ok(exhibit)
}

fn missing(id: ExhibitId) -> ExhibitError {
    ExhibitError::Case(CaseError::NotFound { noun: "exhibit", id: id.to_string() })
}

fn custody_add(tx: &Transaction<'_>, exhibit: &Exhibit, kind: &'static str, why: &str, actor: &str, now: Timestamp) -> Result<(), DbError> {
    let Some(incident) = exhibit.incident else { return Ok(()) };
    let body: Option<BodyId> = incident_find(tx, incident)?.and_then(|incident| incident.body);
    let event = NewHistory {
        event_time: now,
        kind,
        subject: incident.to_string(),
        body,
        actor: actor.to_owned(),
        data: json!({ "exhibit": exhibit.id, "name": exhibit.name, "sha256": exhibit.sha256, "why": why }),
        corrects: None,
    };
    history_add(tx, now, &event).map(drop)
}

/// Who had an exhibit in hands, from the first on.
///
/// # Errors
/// The database's own.
pub fn exhibit_custody(connection: &Connection, incident: IncidentId, id: ExhibitId) -> Result<Vec<Custody>, DbError> {
    let id = id.to_string();
    let text = |data: &serde_json::Value, key: &str| data.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let all = history_of(connection, &incident.to_string())?;
    let of = all.into_iter().filter(|event| event.kind.starts_with("exhibit.") && text(&event.data, "exhibit") == id);
    let link = of.map(|event| Custody {
        at: event.event_time,
        what: event.kind.trim_start_matches("exhibit.").to_owned(),
        actor: event.actor,
        why: text(&event.data, "why"),
    });
    Ok(link.collect())
}

const COLUMNS: &str = "e.id, e.incident, e.letter, e.source, e.name, e.bytes, e.sha256, e.claimed, e.found, e.warnings, e.quarantined, \
                       e.added_by, e.added_at";

/// The files of a case, in the order in which they came. Only the CERT has any: what a body sees of its case is its own.
///
/// # Errors
/// The database's own.
pub fn exhibit_list(connection: &Connection, scope: &Scope, incident: IncidentId) -> Result<Vec<Exhibit>, DbError> {
    if *scope != Scope::All {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM exhibit e WHERE e.incident = ?1 ORDER BY e.id"))?;
    Ok(statement.query_map([incident], exhibit_row)?.collect::<Result<_, _>>()?)
}

/// # Errors
/// The database's own.
pub fn exhibit_of_letter(connection: &Connection, letter: &str) -> Result<Vec<Exhibit>, DbError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM exhibit e WHERE e.letter = ?1 ORDER BY e.id"))?;
    Ok(statement.query_map([letter], exhibit_row)?.collect::<Result<_, _>>()?)
}

/// One file of one case.
///
/// # Errors
/// The database's own.
pub fn exhibit_get(connection: &Connection, scope: &Scope, incident: IncidentId, id: ExhibitId) -> Result<Option<Exhibit>, DbError> {
    if *scope != Scope::All {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM exhibit e WHERE e.id = ?1 AND e.incident = ?2"))?;
    Ok(statement.query_row(params![id, incident], exhibit_row).optional()?)
}

/// Files and bytes of a case.
///
/// # Errors
/// The database's own.
pub fn exhibit_total(connection: &Connection, incident: IncidentId) -> Result<(u64, u64), DbError> {
    let mut statement = connection.prepare_cached("SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM exhibit WHERE incident = ?1")?;
    let (files, bytes): (i64, i64) = statement.query_row([incident], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((files.unsigned_abs(), bytes.unsigned_abs()))
}

/// Hashes every stored file anew: how many there are, and which are not what was put in.
///
/// # Errors
/// The database's own, or a file that cannot be read.
pub fn exhibits_verify(connection: &Connection, locker: &Locker) -> Result<(usize, Vec<(String, Fault)>), ExhibitError> {
    let mut statement = connection.prepare("SELECT DISTINCT sha256 FROM exhibit ORDER BY sha256")?;
    let all: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut faults = Vec::new();
    for sha256 in &all {
        if let Some(fault) = locker.verify(sha256)? {
            faults.push((sha256.clone(), fault));
        }
    }
    Ok((all.len(), faults))
}

fn exhibit_row(row: &Row<'_>) -> ingest::rusqlite::Result<Exhibit> {
    let source: String = row.get(3)?;
    let bytes: i64 = row.get(5)?;
    let warnings: String = row.get(9)?;
    Ok(Exhibit {
        id: row.get(0)?,
        incident: row.get(1)?,
        letter: row.get(2)?,
        source: word_known(3, Source::parse(&source))?,
        name: row.get(4)?,
        bytes: bytes.unsigned_abs(),
        sha256: row.get(6)?,
        claimed: row.get(7)?,
        found: row.get(8)?,
        warnings: warnings.split_whitespace().filter_map(Warning::parse).collect(),
        quarantined: row.get(10)?,
        added_by: row.get(11)?,
        added_at: Timestamp(row.get(12)?),
    })
}

/// A name without a path, without what turns text around, and never empty.
pub(super) fn name_clean(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean = line_clean(last, NAME_CHARS_MAX);
    if clean.trim_matches(['.', ' ']).is_empty() { "ohne-namen".to_owned() } else { clean }
}

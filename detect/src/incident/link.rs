//! How cases hang together: two that are related, with the reason, and the way from a merged case to the one that it went into.
//! A tie may lead to another body's case, so it is the CERT's alone.

use ingest::db::DbError;
use ingest::history::{NewHistory, history_add};
use ingest::rusqlite::{Connection, OptionalExtension, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::change::filled;
use super::store::{incident_find, word_known};
use super::{CaseError, Incident, IncidentId, State, Tlp, demand};
use crate::role::{Action, Role};

pub(super) const MIGRATION: &str = "
    CREATE TABLE incident_link (
        one TEXT NOT NULL REFERENCES incident (id),
        other TEXT NOT NULL REFERENCES incident (id),
        reason TEXT NOT NULL,
        actor TEXT NOT NULL,
        at BIGINT NOT NULL,
        PRIMARY KEY (one, other)
    );
    CREATE INDEX incident_link_other ON incident_link (other);
";

/// A reason is a sentence.
const REASON_CHARS_MAX: usize = 500;
/// Ties of one case: a wave over all bodies is a case of the state, not a heap of ties.
const LINKS_MAX: usize = 100;
/// Cases that were merged into one, as a page shows them.
const PARTS_MAX: usize = 100;
/// Merges one behind the other that are followed; people have never gone further than a few.
const WAY_MAX: usize = 100;

/// Another case, as far as a link needs it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseRef {
    pub id: IncidentId,
    pub number: String,
    pub title: String,
    pub state: State,
    pub tlp: Tlp,
    pub body_name: Option<String>,
}

/// A related case, and who said why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Linked {
    pub case: CaseRef,
    pub reason: String,
    pub actor: String,
    pub at: Timestamp,
}

/// The cases around a case.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Relations {
    /// Where it went when it was merged; at the end of the way, where that one was merged too.
    pub merged_into: Option<CaseRef>,
    /// What was merged into it.
    pub parts: Vec<CaseRef>,
    /// Empty for those who do not see all.
    pub links: Vec<Linked>,
}

/// Ties two cases together, both ways. Nothing of either is overwritten, so no version is compared.
///
/// # Errors
/// `Forbidden`, `NotFound`; `Invalid` for a case with itself, twice, without a reason, or too many; the database's own.
pub fn incident_link(
    tx: &Transaction<'_>,
    id: IncidentId,
    with: IncidentId,
    reason: &str,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<(), CaseError> {
    demand(Action::IncidentJoin, role)?;
    let (case, other) = pair(tx, id, with)?;
    let reason = filled("reason", reason, REASON_CHARS_MAX)?;
    for one in [&case, &other] {
        let known: i64 =
            tx.prepare_cached("SELECT COUNT(*) FROM incident_link WHERE one = ?1 OR other = ?1")?.query_row([one.id], |row| row.get(0))?;
        if usize::try_from(known).unwrap_or(usize::MAX) >= LINKS_MAX {
            return Err(CaseError::Invalid { what: "links", value: one.number.clone(), wanted: "fewer than 100 of one case" });
        }
    }
    let added = tx
        .prepare_cached("INSERT INTO incident_link (one, other, reason, actor, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING")?
        .execute(params![id.min(with), id.max(with), reason, actor, now.0])?;
    if added == 0 {
        return Err(CaseError::Invalid { what: "link", value: other.number, wanted: "a case that it is not linked with yet" });
    }
    tell_both(tx, "incident.linked", (&case, &other), &reason, actor, now)
}

/// Takes a tie away, on both sides.
///
/// # Errors
/// `Forbidden`; `NotFound` where there is none; the database's own.
pub fn incident_unlink(
    tx: &Transaction<'_>,
    id: IncidentId,
    with: IncidentId,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<(), CaseError> {
    demand(Action::IncidentJoin, role)?;
    let (case, other) = pair(tx, id, with)?;
    let removed = tx.prepare_cached("DELETE FROM incident_link WHERE one = ?1 AND other = ?2")?.execute([id.min(with), id.max(with)])?;
    if removed == 0 {
        return Err(CaseError::NotFound { noun: "link", id: other.number });
    }
    tell_both(tx, "incident.unlinked", (&case, &other), "", actor, now)
}

/// The case at the end of the way of merges: `id` itself where it was not merged.
///
/// # Errors
/// The database's own.
pub fn incident_root(connection: &Connection, id: IncidentId) -> Result<IncidentId, DbError> {
    let mut statement = connection.prepare_cached("SELECT merged_into FROM incident WHERE id = ?1")?;
    let mut at = id;
    for _ in 0..WAY_MAX {
        let next: Option<Option<IncidentId>> = statement.query_row([at], |row| row.get(0)).optional()?;
        match next.flatten() {
            Some(next) => at = next,
            None => break,
        }
    }
    Ok(at)
}

/// The cases around `id`, as far as `scope` reaches; whether their labels allow them is the reader's to ask.
///
/// # Errors
/// The database's own.
pub fn incident_relations(connection: &Connection, scope: &Scope, id: IncidentId) -> Result<Relations, DbError> {
    let Some(case) = incident_find(connection, id)?.filter(|case| scope.body_allowed(case.body)) else {
        return Ok(Relations::default());
    };
    // Only cases of the same owner are merged: what may be seen of one may be seen of the other, but for its label.
    let root = incident_root(connection, id)?;
    let merged_into = if root == id { None } else { incident_find(connection, root)?.map(reference) };
    let mut statement =
        connection.prepare_cached(&format!("SELECT id FROM incident WHERE merged_into = ?1 ORDER BY number LIMIT {PARTS_MAX}"))?;
    let ids: Vec<IncidentId> = statement.query_map([case.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut parts = Vec::new();
    for part in ids {
        parts.extend(incident_find(connection, part)?.map(reference));
    }
    Ok(Relations { merged_into, parts, links: if *scope == Scope::All { links(connection, id)? } else { Vec::new() } })
}

fn links(connection: &Connection, id: IncidentId) -> Result<Vec<Linked>, DbError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT i.id, i.number, i.title, i.state, i.tlp, b.name, l.reason, l.actor, l.at
         FROM incident_link l JOIN incident i ON i.id = CASE WHEN l.one = ?1 THEN l.other ELSE l.one END
         LEFT JOIN body b ON b.id = i.body
         WHERE l.one = ?1 OR l.other = ?1 ORDER BY l.at, i.id LIMIT {LINKS_MAX}"
    ))?;
    let rows = statement.query_map([id], |row| {
        let case = CaseRef {
            id: row.get(0)?,
            number: row.get(1)?,
            title: row.get(2)?,
            state: word_known(3, State::parse(&row.get::<_, String>(3)?))?,
            tlp: word_known(4, Tlp::parse(&row.get::<_, String>(4)?))?,
            body_name: row.get(5)?,
        };
        Ok(Linked { case, reason: row.get(6)?, actor: row.get(7)?, at: Timestamp(row.get(8)?) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn reference(case: Incident) -> CaseRef {
    CaseRef { id: case.id, number: case.number, title: case.title, state: case.state, tlp: case.tlp, body_name: case.body_name }
}

fn pair(tx: &Transaction<'_>, id: IncidentId, with: IncidentId) -> Result<(Incident, Incident), CaseError> {
    let find = |id: IncidentId| incident_find(tx, id)?.ok_or_else(|| CaseError::NotFound { noun: "incident", id: id.to_string() });
    let case = find(id)?;
    if id == with {
        return Err(CaseError::Invalid { what: "link", value: case.number, wanted: "another case" });
    }
    Ok((case, find(with)?))
}

/// An event on either side that names the other.
fn tell_both(
    tx: &Transaction<'_>,
    kind: &'static str,
    (one, other): (&Incident, &Incident),
    reason: &str,
    actor: &str,
    now: Timestamp,
) -> Result<(), CaseError> {
    for (of, with) in [(one, other), (other, one)] {
        let data = json!({ "case": with.id, "number": with.number, "reason": reason });
        let subject = of.id.to_string();
        let event = NewHistory { event_time: now, kind, subject, body: of.body, actor: actor.to_owned(), data, corrects: None };
        history_add(tx, now, &event)?;
    }
    Ok(())
}

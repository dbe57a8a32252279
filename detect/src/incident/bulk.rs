//! The same act on many cases, each by the rules of the single one and in one transaction. A case that has changed since the list
//! was made is left alone and named, as everything that cannot be done.

use ingest::rusqlite::Transaction;
use ingest::time::Timestamp;

use super::store::incident_find;
use super::{CaseError, Change, IncidentId, Seen, State, demand, incident_change, incident_merge, moves};
use crate::alert::Disposition;
use crate::role::{Action, Role};

/// Cases of one act: a page of the list, and some.
pub const CASES_BULK_MAX: usize = 500;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseAct {
    /// `None` gives them back.
    Assign(Option<String>),
    /// A new one is triaged on the way: who judges it has looked at it.
    Close(Disposition),
    /// All into the one that was opened first.
    Merge,
}

#[derive(Debug, Default)]
pub struct CasesDone {
    /// The one that the others went into.
    pub into: Option<IncidentId>,
    pub done: Vec<IncidentId>,
    pub refused: Vec<(IncidentId, CaseError)>,
}

/// Does `act` to each of `seen`.
///
/// # Errors
/// `Forbidden`; `Invalid` for too many, or fewer than two to merge; the database's own. Nothing was done then.
pub fn incidents_bulk(
    tx: &Transaction<'_>,
    seen: &[Seen],
    act: &CaseAct,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<CasesDone, CaseError> {
    if seen.len() > CASES_BULK_MAX {
        return Err(CaseError::Invalid { what: "cases", value: seen.len().to_string(), wanted: "at most 500 at once" });
    }
    let mut outcome = CasesDone::default();
    if *act == CaseAct::Merge {
        demand(Action::IncidentJoin, role)?;
        return merge(tx, seen, outcome, actor, role, now);
    }
    for one in seen {
        let done = match act {
            CaseAct::Close(disposition) => close(tx, *one, *disposition, actor, role, now),
            CaseAct::Assign(user) => incident_change(tx, one.id, one.version, &Change::Assign(user.clone()), actor, role, now).map(|_| ()),
            CaseAct::Merge => Ok(()),
        };
        settle(&mut outcome, one.id, done)?;
    }
    Ok(outcome)
}

/// The database's trouble ends all; a refusal is one case's.
fn settle(outcome: &mut CasesDone, id: IncidentId, done: Result<(), CaseError>) -> Result<(), CaseError> {
    match done {
        Ok(()) => outcome.done.push(id),
        Err(CaseError::Db(error)) => return Err(error.into()),
        Err(error) => outcome.refused.push((id, error)),
    }
    Ok(())
}

fn close(tx: &Transaction<'_>, seen: Seen, disposition: Disposition, actor: &str, role: Role, now: Timestamp) -> Result<(), CaseError> {
    let case = incident_find(tx, seen.id)?.ok_or_else(|| CaseError::NotFound { noun: "incident", id: seen.id.to_string() })?;
    let mut version = seen.version;
    // Not half of it: triaged only where it may then be closed.
    if case.state == State::New && case.version == version && moves(State::Triaged, role).any(|state| state == State::Closed) {
        version = incident_change(tx, seen.id, version, &Change::Move { to: State::Triaged, at: None }, actor, role, now)?;
    }
    incident_change(tx, seen.id, version, &Change::Close { disposition, at: None }, actor, role, now).map(|_| ())
}

fn merge(
    tx: &Transaction<'_>,
    seen: &[Seen],
    mut outcome: CasesDone,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<CasesDone, CaseError> {
    let mut cases = Vec::new();
    for one in seen {
        let case = incident_find(tx, one.id)?.ok_or_else(|| CaseError::NotFound { noun: "incident", id: one.id.to_string() })?;
        cases.push((case.opened_at, *one));
    }
    cases.sort_by_key(|(opened_at, one)| (*opened_at, one.id));
    let few = || CaseError::Invalid { what: "cases", value: seen.len().to_string(), wanted: "two or more" };
    let ((_, mut whole), rest) = cases.split_first().map(|(first, rest)| (*first, rest)).ok_or_else(few)?;
    if rest.is_empty() {
        return Err(few());
    }
    outcome.into = Some(whole.id);
    for (_, part) in rest {
        let done = incident_merge(tx, *part, whole, actor, role, now);
        if done.is_ok()
            && let Some(case) = incident_find(tx, whole.id)?
        {
            whole.version = case.version;
        }
        settle(&mut outcome, part.id, done)?;
    }
    Ok(outcome)
}

//! What a person does to a letter that waits: it goes into a case, opens one, or is put aside. Each is an event.

use detect::exhibit::exhibits_file;
use detect::incident::{CaseError, IncidentId};
use detect::role::{Action, Role, allowed};
use ingest::rusqlite::{Transaction, params};
use ingest::scope::Scope;
use serde_json::json;

use super::receive::{case_open, letter_noted};
use super::{BodyId, LetterId, LetterState, MailroomError, StoredLetter, Timestamp, letter_get};
use crate::letter::Letter;

fn waiting(tx: &Transaction<'_>, id: LetterId, role: Role) -> Result<StoredLetter, MailroomError> {
    if !allowed(Action::LetterSort, role) {
        return Err(CaseError::Forbidden { action: format!("{:?}", Action::LetterSort), role }.into());
    }
    let letter = letter_get(tx, &Scope::All, id)?.ok_or(MailroomError::Missing(id))?;
    // Filed is filed: a letter that moved from case to case would be in two chains of custody.
    if letter.state == LetterState::Filed {
        return Err(CaseError::Transition { from: "filed", to: "sorted" }.into());
    }
    Ok(letter)
}

/// Puts a waiting letter with its files into a case.
///
/// # Errors
/// Where it does not wait any more, the case is not there, or the role may not.
pub fn letter_file(
    tx: &Transaction<'_>,
    id: LetterId,
    incident: IncidentId,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<(), MailroomError> {
    let letter = waiting(tx, id, role)?;
    tx.prepare_cached("UPDATE letter SET state = ?2, incident = ?3 WHERE id = ?1")?.execute(params![id, LetterState::Filed, incident])?;
    exhibits_file(tx, &id.to_string(), incident, actor, now)?;
    letter_noted(tx, "letter.filed", incident, id, letter.body, actor, json!("sorted"), now)?;
    Ok(())
}

/// Opens a case with a waiting letter; `body` is whose it is, as the person says who sorts.
///
/// # Errors
/// As `letter_file`.
pub fn letter_open_case(
    tx: &Transaction<'_>,
    id: LetterId,
    body: Option<BodyId>,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<IncidentId, MailroomError> {
    let letter = waiting(tx, id, role)?;
    let content = Letter { subject: letter.subject, text: letter.text, ..Letter::default() };
    let incident = case_open(tx, &content, body, actor, role, now)?;
    letter_file(tx, id, incident, actor, role, now)?;
    Ok(incident)
}

/// Puts a waiting letter aside; it is kept.
///
/// # Errors
/// As `letter_file`.
pub fn letter_set_aside(tx: &Transaction<'_>, id: LetterId, role: Role) -> Result<(), MailroomError> {
    waiting(tx, id, role)?;
    tx.prepare_cached("UPDATE letter SET state = ?2 WHERE id = ?1")?.execute(params![id, LetterState::Aside])?;
    Ok(())
}

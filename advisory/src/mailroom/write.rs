//! Writing to a body out of a case. The mail goes through the outbox, so it is sent once whatever dies; what is said stands
//! in the case, whether or not it may travel in the mail.

use detect::incident::{CaseError, IncidentId, Tlp};
use detect::role::{Action, Role, allowed};
use ingest::rusqlite::Transaction;
use ingest::rusqlite::params;
use serde_json::json;

use super::receive::letter_noted;
use super::store::{StoredLetter, letter_insert};
use super::{BodyId, ContactId, Direction, LetterId, LetterState, MailroomError, Signature, Timestamp};
use crate::advisory::tidy_text;
use crate::csaf::Publisher;
use crate::mail::{CaseMail, case_mail, header_text};
use crate::openpgp::contact_keys;
use crate::outbox::outbox_add;

/// What somebody writes.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Made when the form was shown: the same form sent twice is one letter.
    pub once: LetterId,
    pub incident: IncidentId,
    pub number: String,
    pub tlp: Tlp,
    pub body: BodyId,
    pub body_name: String,
    pub contact: ContactId,
    pub contact_name: String,
    pub email: String,
    pub subject: String,
    pub text: String,
    /// The letter that it answers, without angle brackets.
    pub answers: Option<String>,
}

/// A page of text; what is longer is a document.
const TEXT_CHARS_MAX: usize = 10_000;
const SUBJECT_CHARS_MAX: usize = 150;

/// Whether a text of this label may not travel in the open.
pub fn sealed_needed(tlp: Tlp) -> bool {
    tlp >= Tlp::Amber
}

/// Puts a letter into the outbox and into the case; `false` where the same form was sent before. `sealing` says whether the
/// house has a key of its own, without which it encrypts nothing.
///
/// # Errors
/// Without text or recipient, or where the role may not.
pub fn letter_send(
    tx: &Transaction<'_>,
    reply: &Reply,
    publisher: &Publisher,
    sealing: bool,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<bool, MailroomError> {
    if !allowed(Action::LetterSend, role) {
        return Err(CaseError::Forbidden { action: format!("{:?}", Action::LetterSend), role }.into());
    }
    let text: String = tidy_text(&reply.text).chars().take(TEXT_CHARS_MAX).collect();
    if text.is_empty() {
        return Err(CaseError::Invalid { what: "text", value: String::new(), wanted: "a letter says something" }.into());
    }
    let encrypted = sealing && contact_keys(tx, &reply.email.to_lowercase())?.iter().any(|key| key.usable(now));
    let mail = case_mail(
        &CaseMail {
            key: format!("letter/{}", reply.once),
            incident: reply.incident.to_string(),
            number: &reply.number,
            tlp: reply.tlp,
            body: reply.body,
            body_name: &reply.body_name,
            contact: reply.contact,
            contact_name: &reply.contact_name,
            email: &reply.email,
            subject: &header_text(&reply.subject, SUBJECT_CHARS_MAX),
            text: &text,
            answers: reply.answers.as_deref(),
            encrypted,
        },
        publisher,
    );
    if !outbox_add(tx, &mail, now)? {
        return Ok(false);
    }
    // As the outbox writes the address, by which the two are found together.
    let party: String =
        tx.prepare_cached("SELECT recipient FROM outbox WHERE mail_key = ?1")?.query_row(params![mail.key], |row| row.get(0))?;
    let letter = StoredLetter {
        id: reply.once,
        direction: Direction::Out,
        state: LetterState::Filed,
        incident: Some(reply.incident),
        body: Some(reply.body),
        contact: Some(reply.contact),
        party,
        party_name: reply.contact_name.clone(),
        subject: mail.subject.clone(),
        text,
        message_id: String::new(),
        sender: None,
        why: None,
        named: None,
        automatic: false,
        signature: Signature::None,
        encrypted,
        defects: Vec::new(),
        report: None,
        sent: None,
        written_at: Some(now),
        received_at: now,
    };
    letter_insert(tx, &letter, None, Some(&mail.key))?;
    letter_noted(tx, "letter.sent", reply.incident, reply.once, Some(reply.body), actor, json!(null), now)?;
    Ok(true)
}

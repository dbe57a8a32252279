//! Receiving a letter. The order is what makes it safe: first it is asked whether the letter is known, then the raw bytes are made
//! durable in the locker, then the files in it, then one transaction writes the letter, its exhibits and what it does to a case.
//! Whoever is killed before the commit has received nothing and is brought it again; whoever is killed after it is brought it
//! again too, and knows it by its digest.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use detect::alert::Observables;
use detect::exhibit::{Draft, ExhibitError, FILE_BYTES_MAX, NewExhibit, Sealed, Source, exhibit_add};
use detect::incident::{IncidentId, NewIncident, Origin, Tlp, incident_by_number, incident_open_manual, incident_root};
use detect::role::Role;
use detect::rsit::Rsit;
use detect::rule::Level;
use ingest::history::{NewHistory, history_add};
use ingest::rusqlite::{Connection, OptionalExtension, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::store::{StoredLetter, letter_insert};
use super::{BodyId, ContactId, DbError, Direction, LetterId, LetterState, Mailroom, MailroomError, Own, Receipt, Signature};
use crate::letter::{Defect, Judgement, Known, Letter, Place, Protection, case_numbers, judge, letter_read};
use crate::mail::header_text;
use crate::openpgp::{Opened, contact_keys};
use crate::outbox::outbox_bounced;

/// Who acts where a letter comes in by itself.
pub(super) const ACTOR: &str = "system";
/// A case's title may have no more; a letter's subject may.
const TITLE_CHARS_MAX: usize = 150;
/// A mailbox's name may be anything.
const SUBJECT_CHARS_MAX: usize = 250;
/// How much of a letter becomes the new case's summary; the letter itself is on its page.
const SUMMARY_CHARS_MAX: usize = 4_000;

impl Mailroom {
    pub fn new(db: ingest::db::Db, locker: detect::exhibit::Locker, clock: ingest::time::Clock, own: Own) -> Self {
        Self { db, locker, clock, own, reader: letter_read, turn: Arc::default() }
    }

    pub fn locker(&self) -> &detect::exhibit::Locker {
        &self.locker
    }

    pub fn own(&self) -> &Own {
        &self.own
    }

    /// Keeps a letter whose raw bytes are written aside in the locker. Blocks; when it returns, the letter is durable. One that
    /// is known leaves nothing behind. (Only a kill between file and row does; nothing is swept, because rows that came back
    /// from an old backup would make evidence look like waste.)
    ///
    /// # Errors
    /// Where it could not be kept: whoever brought it must bring it again. Never for what stands in the letter.
    pub fn receive(&self, raw: Draft) -> Result<Receipt, MailroomError> {
        let bytes = raw.content()?;
        let digest = digest(&bytes);
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = self.known(&digest)? {
            return Ok(Receipt::Known(id));
        }
        let raw = self.locker.seal(raw)?;
        let now = self.clock.now();
        // A parser of other people's bytes may have a mistake left: then the raw mail alone is kept, and somebody looks at it.
        let read = catch_unwind(AssertUnwindSafe(|| {
            let mut letter = (self.reader)(&bytes, self.own.authserv.as_deref());
            self.open(&mut letter).map(|(signature, encrypted)| (letter, signature, encrypted))
        }));
        let (mut letter, signature, encrypted) = read.unwrap_or_else(|_| {
            tracing::error!("a letter brought its reader down; it is kept unread");
            Ok((Letter { defects: vec![Defect::Unreadable], ..Letter::default() }, Signature::None, false))
        })?;
        let bytes_max = FILE_BYTES_MAX.max(raw.bytes);
        let mut files = vec![file(Source::Letter, "nachricht.eml", "message/rfc822", raw)];
        for attachment in std::mem::take(&mut letter.attachments) {
            match self.locker.put(&attachment.content, bytes_max) {
                Ok(sealed) => files.push(file(Source::Attachment, &attachment.name, &attachment.claimed, sealed)),
                // Small when it came, packed and encrypted.
                Err(ExhibitError::TooLarge { .. }) => letter.defects.push(Defect::LargeFile),
                Err(error) => return Err(error.into()),
            }
        }
        letter.defects.dedup();
        let own = self.own.clone();
        self.db.write(move |tx| keep(tx, &own, &letter, signature, encrypted, &files, &digest, now))
    }

    /// Puts a note into the tray that a letter lies at `place` and could not be fetched, once for each place.
    ///
    /// # Errors
    /// The database's own.
    pub fn unfetched(&self, place: &str, why: &str) -> Result<Receipt, MailroomError> {
        let digest = digest(format!("unfetched\n\n{place}").as_bytes());
        let letter = Letter {
            subject: header_text(&format!("Nicht abgeholt: {place}"), SUBJECT_CHARS_MAX),
            text: why.to_owned(),
            defects: vec![Defect::NotFetched],
            ..Letter::default()
        };
        let (own, now) = (self.own.clone(), self.clock.now());
        self.db.write(move |tx| keep(tx, &own, &letter, Signature::None, false, &[], &digest, now))
    }

    fn known(&self, digest: &str) -> Result<Option<LetterId>, DbError> {
        self.db.read(|c| letter_by_digest(c, digest))
    }

    /// Takes the OpenPGP layers off, and says what was found.
    fn open(&self, letter: &mut Letter) -> Result<(Signature, bool), MailroomError> {
        if letter.protection == Protection::None {
            return Ok((Signature::None, false));
        }
        let from = letter.from.clone();
        let keys = self.db.read(|c| contact_keys(c, &from))?;
        let now = self.clock.now();
        match std::mem::take(&mut letter.protection) {
            Protection::None => Ok((Signature::None, false)),
            Protection::Signed { part, signature } => Ok((crate::openpgp::verify(&part, &signature, &keys, now), false)),
            Protection::Encrypted { message } => {
                let opened = self.own.pgp.as_ref().and_then(|key| key.open(&message, &keys, now));
                let Some(Opened { content, signature }) = opened else { return Ok((Signature::None, true)) };
                let mut inner = letter_read(&content, None);
                let mut signature = signature;
                // Signed first and encrypted then, each in its own envelope (RFC 3156, 6.1).
                if let Protection::Signed { part, signature: by } = &inner.protection {
                    signature = crate::openpgp::verify(part, by, &keys, now);
                }
                letter.text = inner.text;
                letter.attachments = std::mem::take(&mut inner.attachments);
                // The subject outside stands in the open; a protected one inside is the true one.
                if !inner.subject.is_empty() {
                    letter.subject = inner.subject;
                }
                Ok((signature, true))
            }
        }
    }
}

fn file(source: Source, name: &str, claimed: &str, sealed: Sealed) -> NewExhibit {
    NewExhibit { incident: None, letter: None, source, name: name.to_owned(), claimed: claimed.to_owned(), sealed }
}

/// By what a letter is known again: all that its sender wrote, and not the fields that servers put in front on each way.
pub(super) fn digest(raw: &[u8]) -> String {
    let end = |mark: &[u8]| raw.windows(mark.len()).position(|window| window == mark).map(|at| at + mark.len());
    let (crlf, lf) = (end(b"\r\n\r\n"), end(b"\n\n"));
    let head_end = crlf.into_iter().chain(lf).min().unwrap_or(raw.len());
    let head = String::from_utf8_lossy(raw.get(..head_end).unwrap_or_default()).into_owned();
    let mut hash = Sha256::new();
    let mut wanted = false;
    for line in head.lines() {
        if !line.starts_with([' ', '\t']) {
            let name = line.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
            wanted = ["message-id", "from", "date", "subject", "to", "content-type"].contains(&name.as_str());
        }
        if wanted {
            hash.update(line.trim_end().as_bytes());
            hash.update(b"\n");
        }
    }
    hash.update(b"\0");
    hash.update(raw.get(head_end..).unwrap_or_default());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn letter_by_digest(connection: &Connection, digest: &str) -> Result<Option<LetterId>, DbError> {
    Ok(connection.prepare_cached("SELECT id FROM letter WHERE digest = ?1")?.query_row([digest], |row| row.get(0)).optional()?)
}

#[expect(clippy::too_many_arguments, reason = "one letter with all that was found out about it")]
fn keep(
    tx: &Transaction<'_>,
    own: &Own,
    letter: &Letter,
    signature: Signature,
    encrypted: bool,
    files: &[NewExhibit],
    digest: &str,
    now: Timestamp,
) -> Result<Receipt, MailroomError> {
    // Brought twice at the same time: the other one was faster.
    if let Some(id) = letter_by_digest(tx, digest)? {
        return Ok(Receipt::Known(id));
    }
    let numbers = case_numbers(&letter.subject);
    let known = known(tx, own, letter, &numbers, matches!(signature, Signature::Good { .. }), now)?;
    let Judgement { place, why, sender } = judge(letter, &known);
    let id = LetterId::new(now);
    let (state, incident) = match place {
        Place::Case(case) => (LetterState::Filed, Some(case)),
        Place::Open(body) => (LetterState::Filed, Some(case_open(tx, letter, Some(body), ACTOR, Role::Analyst, now)?)),
        Place::Tray => (LetterState::Tray, None),
        Place::Aside => (LetterState::Aside, None),
    };
    let stored = StoredLetter {
        id,
        direction: Direction::In,
        state,
        incident,
        // A body is named where it is proved, so that its people see their own letters in their case.
        body: known.contact.filter(|_| sender == crate::letter::Sender::Proved).map(|(body, _)| body),
        contact: known.contact.map(|(_, contact)| contact),
        party: letter.from.clone(),
        party_name: letter.from_name.clone(),
        subject: letter.subject.clone(),
        text: letter.text.clone(),
        message_id: letter.message_id.clone(),
        sender: Some(sender),
        why: Some(why),
        named: numbers.first().cloned(),
        automatic: letter.automatic.is_some() || letter.report.is_some(),
        signature,
        encrypted,
        defects: letter.defects.clone(),
        report: letter.report.clone(),
        sent: None,
        written_at: letter.date,
        received_at: now,
    };
    letter_insert(tx, &stored, Some(digest), None)?;
    for file in files {
        let new = NewExhibit { incident, letter: Some(id.to_string()), ..file.clone() };
        exhibit_add(tx, &new, ACTOR, None, now)?;
    }
    if let Some(report) = letter.report.as_ref().filter(|report| report.action == "failed" && !report.about.is_empty()) {
        outbox_bounced(tx, &format!("<{}>", report.about), &report.why, now)?;
    }
    if let Some(case) = incident {
        letter_noted(tx, "letter.received", case, id, stored.body, ACTOR, json!(why.as_str()), now)?;
    }
    Ok(Receipt::Kept(id))
}

/// The history names the letter and why it is there, and no person.
#[expect(clippy::too_many_arguments, reason = "the fields of one event")]
pub(super) fn letter_noted(
    tx: &Transaction<'_>,
    kind: &'static str,
    case: IncidentId,
    letter: LetterId,
    body: Option<BodyId>,
    actor: &str,
    why: serde_json::Value,
    now: Timestamp,
) -> Result<(), DbError> {
    let data = json!({ "letter": letter, "why": why });
    let event = NewHistory { event_time: now, kind, subject: case.to_string(), body, actor: actor.to_owned(), data, corrects: None };
    history_add(tx, now, &event).map(drop)
}

fn known(tx: &Transaction<'_>, own: &Own, letter: &Letter, numbers: &[String], signed: bool, now: Timestamp) -> Result<Known, DbError> {
    let by_mail = |id: &str| thread(tx, id);
    let ours = (!letter.from.is_empty() && letter.from == own.address) || sent_by_us(tx, &letter.message_id)?;
    let about = letter.report.as_ref().map(|report| report.about.clone());
    let mut case = None;
    for id in about.iter().chain(&letter.answers) {
        case = by_mail(id)?;
        if case.is_some() {
            break;
        }
    }
    let mut named = None;
    for number in numbers {
        if let Some(id) = incident_by_number(tx, &Scope::All, number)? {
            // Whoever answers to a merged case means what became of it.
            let id = incident_root(tx, id)?;
            let body = tx.prepare_cached("SELECT body FROM incident WHERE id = ?1")?.query_row([id], |row| row.get(0))?;
            named = Some((id, body));
            break;
        }
    }
    let hour_ago = now.plus(-Timestamp::HOUR);
    let opened: i64 = tx
        .prepare_cached("SELECT COUNT(*) FROM letter WHERE party = ?1 AND received_at > ?2 AND why = 'contact'")?
        .query_row(params![letter.from, hour_ago.0], |row| row.get(0))?;
    let contact = contact_of(tx, &letter.from)?;
    Ok(Known { ours, thread: case, named, contact, signed, opened: usize::try_from(opened).unwrap_or(usize::MAX) })
}

/// The case of a mail of ours.
fn thread(connection: &Connection, message_id: &str) -> Result<Option<IncidentId>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT i.id FROM outbox o JOIN incident i ON i.id = o.about WHERE o.message_id = ?1 AND o.topic IN ('recommendation', 'incident')",
    )?;
    let id: Option<IncidentId> = statement.query_row([format!("<{message_id}>")], |row| row.get(0)).optional()?;
    id.map(|id| incident_root(connection, id)).transpose()
}

fn sent_by_us(connection: &Connection, message_id: &str) -> Result<bool, DbError> {
    let mut statement = connection.prepare_cached("SELECT COUNT(*) FROM outbox WHERE message_id = ?1")?;
    let count: i64 = statement.query_row([format!("<{message_id}>")], |row| row.get(0))?;
    Ok(count > 0 && !message_id.is_empty())
}

/// Whose contact an address is; nobody's where several bodies have it (a provider's common mailbox says not for whom).
fn contact_of(connection: &Connection, address: &str) -> Result<Option<(BodyId, ContactId)>, DbError> {
    if address.is_empty() {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached("SELECT body, id FROM contact WHERE lower(email) = ?1 LIMIT 2")?;
    let found: Vec<(BodyId, ContactId)> =
        statement.query_map([address], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    Ok(match found.as_slice() {
        [one] => Some(*one),
        _ => None,
    })
}

pub(super) fn case_open(
    tx: &Transaction<'_>,
    letter: &Letter,
    body: Option<BodyId>,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<IncidentId, MailroomError> {
    let short = |text: &str, chars: usize| text.chars().take(chars).collect::<String>();
    let title = if letter.subject.is_empty() { "Mail ohne Betreff".to_owned() } else { short(&letter.subject, TITLE_CHARS_MAX) };
    let summary =
        if letter.text.is_empty() { "Die Mail hat keinen lesbaren Text.".to_owned() } else { short(&letter.text, SUMMARY_CHARS_MAX) };
    let new = NewIncident {
        title,
        summary,
        // What it is, a person says at triage.
        severity: Level::Medium,
        rsit: Rsit::UNDETERMINED,
        services: vec![],
        tlp: Tlp::Amber,
        origin: Origin::Mail,
        body,
        site: None,
        first_activity: None,
        aware_at: now,
        observables: Observables::new(),
    };
    Ok(incident_open_manual(tx, &Scope::All, &new, actor, role, now)?)
}

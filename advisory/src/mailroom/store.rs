//! The letters' table: what came in and what went out, of cases and of none.

use ingest::db::Migrations;
use ingest::rusqlite::{Connection, OptionalExtension, Row, params};
use ingest::scope::Scope;
use serde_json::json;

use super::{BodyId, ContactId, DbError, Defect, IncidentId, LetterId, Report, Sender, Signature, Timestamp, Why};
use crate::advisory::text_enum;
use crate::outbox::OutboxState;

pub const MIGRATIONS: Migrations = Migrations {
    owner: "letter",
    steps: &["
        CREATE TABLE letter (
            id TEXT PRIMARY KEY,
            digest TEXT UNIQUE,
            direction TEXT NOT NULL,
            state TEXT NOT NULL,
            incident TEXT REFERENCES incident (id),
            body TEXT,
            contact TEXT,
            party TEXT NOT NULL,
            party_name TEXT NOT NULL,
            subject TEXT NOT NULL,
            body_text TEXT NOT NULL,
            message_id TEXT NOT NULL,
            sender TEXT,
            why TEXT,
            named TEXT,
            automatic BIGINT NOT NULL,
            signature TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            encrypted BIGINT NOT NULL,
            defects TEXT NOT NULL,
            report TEXT,
            mail_key TEXT,
            written_at BIGINT,
            received_at BIGINT NOT NULL
        );
        CREATE INDEX letter_incident ON letter (incident, received_at);
        CREATE INDEX letter_state ON letter (state, id);
        CREATE INDEX letter_party ON letter (party, received_at);
        CREATE INDEX letter_message ON letter (message_id);
    "],
};

text_enum! {
    Direction {
        In = "in", "Eingang";
        Out = "out", "Ausgang";
    }
}

text_enum! {
    LetterState {
        /// It belongs to a case.
        Filed = "filed", "im Vorfall";
        /// It waits for somebody who says where it belongs.
        Tray = "tray", "zu sortieren";
        /// Kept, and of no interest.
        Aside = "aside", "abgelegt";
    }
}

/// A letter as pages show it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredLetter {
    pub id: LetterId,
    pub direction: Direction,
    pub state: LetterState,
    pub incident: Option<IncidentId>,
    /// Whose contact wrote it, or to whose it went.
    pub body: Option<BodyId>,
    pub contact: Option<ContactId>,
    /// The other side's address and name.
    pub party: String,
    pub party_name: String,
    pub subject: String,
    pub text: String,
    /// Without angle brackets.
    pub message_id: String,
    pub sender: Option<Sender>,
    pub why: Option<Why>,
    /// The number in the subject of a letter that waits.
    pub named: Option<String>,
    pub automatic: bool,
    pub signature: Signature,
    /// It came or went encrypted.
    pub encrypted: bool,
    pub defects: Vec<Defect>,
    pub report: Option<Report>,
    /// What became of one that went out, and what the server said.
    pub sent: Option<(OutboxState, Option<String>)>,
    /// As the letter says.
    pub written_at: Option<Timestamp>,
    pub received_at: Timestamp,
}

/// What `letter_list` looks for.
#[derive(Clone, Copy, Debug)]
pub struct LetterFilter {
    pub state: LetterState,
    pub before: Option<LetterId>,
    pub limit: usize,
}

/// A page of the list.
const LIST_MAX: usize = 200;
/// Letters of one case on its page; the raw mails are among its exhibits.
const CASE_MAX: usize = 300;

const SELECT: &str = "SELECT l.id, l.direction, l.state, l.incident, l.body, l.contact, l.party, l.party_name, l.subject, l.body_text, \
                      l.message_id, l.sender, l.why, l.named, l.automatic, l.signature, l.fingerprint, l.encrypted, l.defects, l.report, \
                      l.written_at, l.received_at, o.state, o.last_error \
                      FROM letter l LEFT JOIN outbox o ON o.mail_key = l.mail_key AND o.recipient = l.party";

/// Letters in one state, the newest first. Only for who may see all bodies: a letter that is in no case is nobody's.
///
/// # Errors
/// The database's own.
pub fn letter_list(connection: &Connection, scope: &Scope, filter: LetterFilter) -> Result<Vec<StoredLetter>, DbError> {
    if *scope != Scope::All {
        return Ok(Vec::new());
    }
    let sql = format!("{SELECT} WHERE l.state = ?1 AND (?2 IS NULL OR l.id < ?2) ORDER BY l.id DESC LIMIT ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(filter.limit.min(LIST_MAX)).unwrap_or(0);
    Ok(statement.query_map(params![filter.state, filter.before, limit], letter_row)?.collect::<Result<_, _>>()?)
}

/// # Errors
/// The database's own.
pub fn letter_get(connection: &Connection, scope: &Scope, id: LetterId) -> Result<Option<StoredLetter>, DbError> {
    if *scope != Scope::All {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE l.id = ?1"))?;
    Ok(statement.query_row([id], letter_row).optional()?)
}

/// The letters of a case in the order in which they came and went; whether the caller may see the case is asked before. A
/// body sees what went to it and what its own people wrote, and no one else's.
///
/// # Errors
/// The database's own.
pub fn letters_of_case(connection: &Connection, scope: &Scope, incident: IncidentId) -> Result<Vec<StoredLetter>, DbError> {
    let sql = format!("{SELECT} WHERE l.incident = ?1 ORDER BY l.received_at DESC, l.id DESC LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![incident, i64::try_from(CASE_MAX).unwrap_or(0)], letter_row)?;
    let mut letters: Vec<StoredLetter> = rows.collect::<Result<_, _>>()?;
    // The newest are what one looks for.
    letters.reverse();
    letters.retain(|letter| *scope == Scope::All || (letter.body.is_some() && scope.body_allowed(letter.body) && !letter.automatic));
    Ok(letters)
}

/// How many wait, and since when the oldest does.
///
/// # Errors
/// The database's own.
pub fn letter_counts(connection: &Connection) -> Result<(u64, Option<Timestamp>), DbError> {
    let mut statement = connection.prepare_cached("SELECT COUNT(*), MIN(received_at) FROM letter WHERE state = 'tray'")?;
    let (count, oldest): (i64, Option<i64>) = statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((count.unsigned_abs(), oldest.map(Timestamp)))
}

/// Writes a letter; `None` where its digest is known.
pub(super) fn letter_insert(
    tx: &ingest::rusqlite::Transaction<'_>,
    letter: &StoredLetter,
    digest: Option<&str>,
    mail_key: Option<&str>,
) -> Result<bool, DbError> {
    let fingerprint = match &letter.signature {
        Signature::Good { fingerprint } => fingerprint.as_str(),
        _ => "",
    };
    let defects: Vec<&str> = letter.defects.iter().map(|defect| defect.as_str()).collect();
    let report = letter.report.as_ref().map(|report| {
        json!({ "action": report.action, "recipient": report.recipient, "why": report.why, "about": report.about }).to_string()
    });
    let added = tx
        .prepare_cached(
            "INSERT INTO letter (id, digest, direction, state, incident, body, contact, party, party_name, subject, body_text, message_id,
                sender, why, named, automatic, signature, fingerprint, encrypted, defects, report, mail_key, written_at, received_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)
             ON CONFLICT (digest) DO NOTHING",
        )?
        .execute(params![
            letter.id,
            digest,
            letter.direction,
            letter.state,
            letter.incident,
            letter.body,
            letter.contact,
            letter.party,
            letter.party_name,
            letter.subject,
            letter.text,
            letter.message_id,
            letter.sender.map(Sender::as_str),
            letter.why.map(Why::as_str),
            letter.named,
            letter.automatic,
            letter.signature.as_str(),
            fingerprint,
            letter.encrypted,
            defects.join(" "),
            report,
            mail_key,
            letter.written_at.map(|at| at.0),
            letter.received_at.0,
        ])?;
    Ok(added == 1)
}

fn letter_row(row: &Row<'_>) -> ingest::rusqlite::Result<StoredLetter> {
    let text = |column: usize| row.get::<_, String>(column);
    let maybe = |column: usize| row.get::<_, Option<String>>(column);
    let report = maybe(19)?.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok()).map(|value| {
        let field = |name: &str| value.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        Report { action: field("action"), recipient: field("recipient"), why: field("why"), about: field("about") }
    });
    let state: Option<OutboxState> = row.get(22)?;
    Ok(StoredLetter {
        id: row.get(0)?,
        direction: row.get(1)?,
        state: row.get(2)?,
        incident: row.get(3)?,
        body: row.get(4)?,
        contact: row.get(5)?,
        party: text(6)?,
        party_name: text(7)?,
        subject: text(8)?,
        text: text(9)?,
        message_id: text(10)?,
        sender: maybe(11)?.as_deref().and_then(Sender::parse),
        why: maybe(12)?.as_deref().and_then(Why::parse),
        named: row.get(13)?,
        automatic: row.get(14)?,
        signature: Signature::parse(&text(15)?, &text(16)?),
        encrypted: row.get(17)?,
        defects: text(18)?.split_whitespace().filter_map(Defect::parse).collect(),
        report,
        sent: state.map(|state| Ok::<_, ingest::rusqlite::Error>((state, row.get(23)?))).transpose()?,
        written_at: row.get::<_, Option<i64>>(20)?.map(Timestamp),
        received_at: Timestamp(row.get(21)?),
    })
}

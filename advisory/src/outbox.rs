//! The outbox: one row per (message, recipient), written in the transaction of the change that it tells of. The row's key is
//! unique for ever, so that nothing is queued twice; its state and its Message-ID survive any crash.
//!
//! ```text
//! queued ──claim──► sending ──► sent ──► bounced
//!    ▲                 │ 4xx, network: later
//!    └─────────────────┤
//!                      └ 5xx: failed
//! ```

use ingest::body::{BodyId, ContactId};
use ingest::db::{DbError, Migrations};
use ingest::history::{NewHistory, history_add};
use ingest::rusqlite::types::Value;
use ingest::rusqlite::{Connection, Row, Transaction, params, params_from_iter};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::advisory::text_enum;
use crate::mail::{Mail, Topic, address_parse, header_text};

ingest::id_type!(
    /// One message to one recipient.
    OutboxId
);

pub const MIGRATIONS: Migrations = Migrations {
    owner: "outbox",
    steps: &[
        "
        CREATE TABLE outbox (
            id TEXT PRIMARY KEY,
            mail_key TEXT NOT NULL,
            recipient TEXT NOT NULL,
            subject TEXT NOT NULL,
            body_text TEXT NOT NULL,
            headers TEXT NOT NULL,
            secret TEXT,
            topic TEXT NOT NULL,
            about TEXT NOT NULL,
            body TEXT,
            contact TEXT,
            state TEXT NOT NULL,
            attempts BIGINT NOT NULL,
            next_attempt_at BIGINT NOT NULL,
            last_error TEXT,
            message_id TEXT,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            UNIQUE (mail_key, recipient)
        );
        CREATE INDEX outbox_due ON outbox (state, next_attempt_at);
        CREATE INDEX outbox_about ON outbox (about, body);
    ",
        "
        ALTER TABLE outbox ADD COLUMN sealed BIGINT NOT NULL DEFAULT 0;
        CREATE INDEX outbox_message ON outbox (message_id);
    ",
    ],
};

text_enum! {
    OutboxState {
        Queued = "queued", "Wartet";
        /// Handed to the server, or about to be; after a crash nobody knows which.
        Sending = "sending", "Wird gesendet";
        /// The server took responsibility. Whether it was read, the acknowledgement says.
        Sent = "sent", "Gesendet";
        Failed = "failed", "Nicht zustellbar";
        Bounced = "bounced", "Zurückgekommen";
    }
}

/// A row as `delivery` works on it.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    pub id: OutboxId,
    pub mail: Mail,
    /// Tries before this one.
    pub attempts: u32,
    pub message_id: String,
}

/// A row as pages show it: without the text and never with the secret.
#[derive(Clone, Debug, Serialize)]
pub struct OutboxEntry {
    pub id: OutboxId,
    pub recipient: String,
    pub subject: String,
    pub about: String,
    pub body: Option<BodyId>,
    pub state: OutboxState,
    pub attempts: u32,
    pub next_attempt_at: Timestamp,
    pub last_error: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What a server said, kept for people: enough for a sentence.
const ERROR_CHARS_MAX: usize = 500;
/// A page of the list.
pub const LIST_MAX: usize = 200;

/// Queues a mail inside the caller's transaction; `false` where it was queued before. A recipient that is no address
/// becomes a failed row: seen by people, never a reason to hold back everybody else's warning.
///
/// # Errors
/// The database's own.
pub fn outbox_add(tx: &Transaction<'_>, mail: &Mail, now: Timestamp) -> Result<bool, DbError> {
    let address = address_parse(&mail.recipient);
    let (state, error) = match &address {
        Ok(_) => (OutboxState::Queued, None),
        Err(error) => (OutboxState::Failed, Some(error.to_string())),
    };
    // The part behind the @ has no case; what stands before it is the receiver's affair.
    let recipient = address
        .map_or_else(|_| header_text(&mail.recipient, 250), |address| format!("{}@{}", address.user(), address.domain().to_lowercase()));
    let row = Mail { recipient, ..mail.clone() };
    let id = OutboxId::new(now);
    let added = tx
        .prepare_cached(
            "INSERT INTO outbox (id, mail_key, recipient, subject, body_text, headers, secret, topic, about, body, contact,
                 state, attempts, next_attempt_at, last_error, created_at, updated_at, sealed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 0, ?13, ?14, ?13, ?13, ?15)
             ON CONFLICT (mail_key, recipient) DO NOTHING",
        )?
        .execute(params![
            id,
            row.key,
            row.recipient,
            row.subject,
            row.text,
            serde_json::to_string(&row.headers).unwrap_or_default(),
            row.secret.as_ref().filter(|_| state == OutboxState::Queued),
            row.topic,
            row.about,
            row.body,
            row.contact,
            state,
            now.0,
            error,
            row.sealed,
        ])?;
    if added == 1 && state == OutboxState::Failed {
        let row = OutboxRow { id, mail: row, attempts: 0, message_id: String::new() };
        outcome_record(tx, &row, false, error.as_deref().unwrap_or_default(), now)?;
    }
    Ok(added == 1)
}

/// After a start: rows that were in the middle are due again, with the same Message-ID. Only the one process that
/// delivers may call it.
///
/// # Errors
/// The database's own.
pub fn outbox_recover(tx: &Transaction<'_>, now: Timestamp) -> Result<usize, DbError> {
    let sql = "UPDATE outbox SET state = 'queued', next_attempt_at = ?1, updated_at = ?1 WHERE state = 'sending'";
    Ok(tx.execute(sql, [now.0])?)
}

/// Takes the next due rows: from now on they are `sending`, durable before the first byte goes out.
///
/// # Errors
/// The database's own.
pub fn outbox_claim(tx: &Transaction<'_>, domain: &str, limit: usize, now: Timestamp) -> Result<Vec<OutboxRow>, DbError> {
    let mut statement = tx.prepare_cached(
        "UPDATE outbox SET state = 'sending', message_id = COALESCE(message_id, '<' || id || '@' || ?1 || '>'), updated_at = ?2
         WHERE id IN (SELECT id FROM outbox WHERE state = 'queued' AND next_attempt_at <= ?2 ORDER BY next_attempt_at, id LIMIT ?3)
         RETURNING id, mail_key, recipient, subject, body_text, headers, secret, topic, about, body, contact, attempts, message_id, sealed",
    )?;
    let rows = statement.query_map(params![domain, now.0, i64::try_from(limit).unwrap_or(i64::MAX)], row_from_row)?;
    let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
    rows.sort_by_key(|row| row.id);
    Ok(rows)
}

/// The server accepted it; the secret is forgotten.
///
/// # Errors
/// The database's own.
pub fn outbox_sent(tx: &Transaction<'_>, row: &OutboxRow, now: Timestamp) -> Result<(), DbError> {
    tx.prepare_cached(
        "UPDATE outbox SET state = 'sent', attempts = attempts + 1, last_error = NULL, secret = NULL, updated_at = ?2 WHERE id = ?1",
    )?
    .execute(params![row.id, now.0])?;
    outcome_record(tx, row, true, "", now)
}

/// It will be tried again at `next`.
///
/// # Errors
/// The database's own.
pub fn outbox_retry(tx: &Transaction<'_>, row: &OutboxRow, error: &str, next: Timestamp, now: Timestamp) -> Result<(), DbError> {
    tx.prepare_cached(
        "UPDATE outbox SET state = 'queued', attempts = attempts + 1, next_attempt_at = ?2, last_error = ?3, updated_at = ?4 WHERE id = ?1",
    )?
    .execute(params![row.id, next.0, header_text(error, ERROR_CHARS_MAX), now.0])?;
    Ok(())
}

/// It will not be tried again; people see why.
///
/// # Errors
/// The database's own.
pub fn outbox_failed(tx: &Transaction<'_>, row: &OutboxRow, error: &str, now: Timestamp) -> Result<(), DbError> {
    let error = header_text(error, ERROR_CHARS_MAX);
    tx.prepare_cached(
        "UPDATE outbox SET state = 'failed', attempts = attempts + 1, last_error = ?2, secret = NULL, updated_at = ?3 WHERE id = ?1",
    )?
    .execute(params![row.id, error, now.0])?;
    outcome_record(tx, row, false, &error, now)
}

/// Claimed but not tried: due again at once, and the attempt does not count.
///
/// # Errors
/// The database's own.
pub fn outbox_release(tx: &Transaction<'_>, row: OutboxId, now: Timestamp) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE outbox SET state = 'queued', updated_at = ?2 WHERE id = ?1 AND state = 'sending'")?
        .execute(params![row, now.0])?;
    Ok(())
}

/// A sent mail came back; `false` where the Message-ID is not one of ours, or it is known already.
///
/// # Errors
/// The database's own.
pub fn outbox_bounced(tx: &Transaction<'_>, message_id: &str, error: &str, now: Timestamp) -> Result<bool, DbError> {
    let error = header_text(error, ERROR_CHARS_MAX);
    let mut statement = tx.prepare_cached(
        "UPDATE outbox SET state = 'bounced', last_error = ?2, updated_at = ?3 WHERE message_id = ?1 AND state = 'sent'
         RETURNING id, mail_key, recipient, subject, body_text, headers, secret, topic, about, body, contact, attempts, message_id, sealed",
    )?;
    let rows = statement.query_map(params![message_id, error, now.0], row_from_row)?.collect::<Result<Vec<_>, _>>()?;
    for row in &rows {
        outcome_record(tx, row, false, &error, now)?;
    }
    Ok(!rows.is_empty())
}

/// The newest rows first, of one state or all, and only of the caller's bodies.
///
/// # Errors
/// The database's own.
pub fn outbox_list(connection: &Connection, scope: &Scope, state: Option<OutboxState>, limit: usize) -> Result<Vec<OutboxEntry>, DbError> {
    let mut sql = "SELECT id, recipient, subject, about, body, state, attempts, next_attempt_at, last_error, created_at, updated_at
                   FROM outbox WHERE 1 = 1"
        .to_owned();
    let mut values: Vec<Value> = Vec::new();
    if let Some(state) = state {
        sql.push_str(" AND state = ?");
        values.push(state.as_str().to_owned().into());
    }
    if let Scope::Bodies(bodies) = scope {
        if bodies.is_empty() {
            return Ok(Vec::new());
        }
        sql.push_str(&format!(" AND body IN ({})", vec!["?"; bodies.len()].join(", ")));
        values.extend(bodies.iter().map(|body| Value::from(body.to_string())));
    }
    sql.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(i64::try_from(limit.min(LIST_MAX)).unwrap_or(0).into());
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| {
        Ok(OutboxEntry {
            id: row.get(0)?,
            recipient: row.get(1)?,
            subject: row.get(2)?,
            about: row.get(3)?,
            body: row.get(4)?,
            state: row.get(5)?,
            attempts: row.get(6)?,
            next_attempt_at: Timestamp(row.get(7)?),
            last_error: row.get(8)?,
            created_at: Timestamp(row.get(9)?),
            updated_at: Timestamp(row.get(10)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many rows stand in each state, for the health page.
///
/// # Errors
/// The database's own.
pub fn outbox_counts(connection: &Connection) -> Result<Vec<(OutboxState, i64)>, DbError> {
    let mut statement = connection.prepare_cached("SELECT state, COUNT(*) FROM outbox GROUP BY state ORDER BY state")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// `advisory.delivered` or `advisory.bounced` (and the same of recommendations).
fn outcome_record(tx: &Transaction<'_>, row: &OutboxRow, delivered: bool, error: &str, now: Timestamp) -> Result<(), DbError> {
    let kind = match (row.mail.topic, delivered) {
        (Topic::Advisory, true) => "advisory.delivered",
        (Topic::Advisory, false) => "advisory.bounced",
        (Topic::Recommendation, true) => "recommendation.delivered",
        (Topic::Recommendation, false) => "recommendation.bounced",
        (Topic::Incident, true) => "letter.delivered",
        (Topic::Incident, false) => "letter.bounced",
        (Topic::Report, true) => "report.delivered",
        (Topic::Report, false) => "report.bounced",
        (Topic::Reminder, true) => "reminder.delivered",
        (Topic::Reminder, false) => "reminder.bounced",
    };
    let data = match delivered {
        true => json!({ "mail": row.id, "key": row.mail.key, "contact": row.mail.contact }),
        false => json!({ "mail": row.id, "key": row.mail.key, "contact": row.mail.contact, "error": error }),
    };
    let event = NewHistory {
        event_time: now,
        kind,
        subject: row.mail.about.clone(),
        body: row.mail.body,
        actor: "system".into(),
        data,
        corrects: None,
    };
    history_add(tx, now, &event)?;
    Ok(())
}

fn row_from_row(row: &Row<'_>) -> ingest::rusqlite::Result<OutboxRow> {
    let headers: String = row.get(5)?;
    let contact: Option<ContactId> = row.get(10)?;
    Ok(OutboxRow {
        id: row.get(0)?,
        mail: Mail {
            key: row.get(1)?,
            recipient: row.get(2)?,
            subject: row.get(3)?,
            text: row.get(4)?,
            headers: serde_json::from_str(&headers).unwrap_or_default(),
            secret: row.get(6)?,
            sealed: row.get(13)?,
            topic: row.get(7)?,
            about: row.get(8)?,
            body: row.get(9)?,
            contact,
        },
        attempts: row.get(11)?,
        message_id: row.get(12)?,
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::mail::tests::mail;
    use crate::store::tests::Fixture;

    fn write<T: Send + 'static>(fixture: &Fixture, work: impl FnOnce(&Transaction<'_>) -> Result<T, DbError> + Send + 'static) -> T {
        fixture.db.write(work).unwrap()
    }

    fn states(fixture: &Fixture) -> String {
        let rows = fixture.db.read(|c| outbox_list(c, &Scope::All, None, 50)).unwrap();
        let line = |row: &OutboxEntry| {
            format!("{} {} {} {}\n", row.recipient, row.state.as_str(), row.attempts, row.last_error.as_deref().unwrap_or("-"))
        };
        let mut lines: Vec<String> = rows.iter().map(line).collect();
        lines.sort();
        lines.concat()
    }

    #[test]
    fn a_key_and_a_recipient_are_queued_once() {
        let fixture = Fixture::new();
        let to = |recipient: &str, key: &str| Mail { recipient: recipient.into(), key: key.into(), ..mail() };
        let mails = [
            to("a@x.example", "1"),
            to("a@x.example", "1"),
            to("a@X.Example ", "1"),
            to("b@x.example", "1"),
            to("a@x.example", "2"),
            to("nobody\r\n", "1"),
        ];
        let added = write(&fixture, move |tx| mails.iter().map(|mail| outbox_add(tx, mail, Timestamp(5))).collect::<Result<Vec<_>, _>>());
        assert_eq!(added, [true, false, false, true, true, true]);
        expect![[r#"
            a@x.example queued 0 -
            a@x.example queued 0 -
            b@x.example queued 0 -
            nobody failed 0 not a mail address: "nobody"
        "#]]
        .assert_eq(&states(&fixture));
    }

    #[test]
    fn a_row_walks_its_states_and_keeps_its_message_id() {
        let fixture = Fixture::new();
        write(&fixture, |tx| outbox_add(tx, &mail(), Timestamp(5)));
        let claim = |now| write(&fixture, move |tx| outbox_claim(tx, "cert.example", 10, Timestamp(now)));
        assert!(claim(4).is_empty(), "not due yet");
        let first = claim(5).remove(0);
        assert!(claim(6).is_empty(), "claimed is claimed");
        assert_eq!(write(&fixture, |tx| outbox_recover(tx, Timestamp(7))), 1);
        let second = claim(7).remove(0);
        assert_eq!((&second.message_id, second.attempts), (&first.message_id, 0));
        {
            let row = second.clone();
            write(&fixture, move |tx| outbox_retry(tx, &row, "451 later", Timestamp(100), Timestamp(8)));
        }
        assert!(claim(99).is_empty());
        let third = claim(100).remove(0);
        assert_eq!((&third.message_id, third.attempts, third.mail.secret.as_deref()), (&first.message_id, 1, Some("t0ken")));
        {
            let row = third.clone();
            write(&fixture, move |tx| outbox_sent(tx, &row, Timestamp(101)));
        }
        let secret: Option<String> =
            fixture.db.read(|c| c.query_row("SELECT secret FROM outbox", [], |row| row.get(0)).map_err(DbError::from)).unwrap();
        assert_eq!(secret, None, "forgotten once sent");
        let message_id = third.message_id.clone();
        assert!(write(&fixture, move |tx| outbox_bounced(tx, &message_id, "5.1.1", Timestamp(200))));
        assert!(!write(&fixture, move |tx| outbox_bounced(tx, &third.message_id, "5.1.1", Timestamp(201))));
        let kinds: Vec<String> = fixture.history(&mail().about).into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, ["advisory.delivered", "advisory.bounced"]);
    }

    #[test]
    fn a_body_sees_only_its_own_mails() {
        let fixture = Fixture::new();
        write(&fixture, |tx| outbox_add(tx, &mail(), Timestamp(5)));
        let own = mail().body.unwrap();
        let count = |scope: Scope| fixture.db.read(|c| outbox_list(c, &scope, None, 50)).unwrap().len();
        assert_eq!(
            (
                count(Scope::All),
                count(Scope::Bodies(vec![own])),
                count(Scope::Bodies(vec![BodyId::default()])),
                count(Scope::Bodies(vec![]))
            ),
            (1, 1, 0, 0)
        );
    }
}

//! Webhooks: what happens to cases and alerts, told to other programs. What is told says that something happened and to
//! which number, never what: the program that wants to know asks the interface with its own token, and hears what it may.
//! Nothing is told of cases that are TLP:RED. Here stand the nouns and who is told; `outbox` keeps the deliveries, `send`
//! brings them over the net.

pub mod outbox;
pub mod send;

use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, Transaction, params};
use ingest::time::Timestamp;

use crate::proof::vault::Vault;
use crate::secret::Secret;

ingest::id_type!(
    /// A program that is told.
    WebhookId
);
ingest::id_type!(
    /// One event for one program. By it the receiver knows what came twice.
    DeliveryId
);

pub const MIGRATIONS: Migrations = Migrations {
    owner: "webhook",
    steps: &["
        CREATE TABLE webhook (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            url TEXT NOT NULL,
            events TEXT NOT NULL,
            sealed TEXT NOT NULL,
            created_by TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            ended_at BIGINT,
            read_to TEXT NOT NULL,
            dropped BIGINT NOT NULL DEFAULT 0,
            away_until BIGINT NOT NULL DEFAULT 0
        );
        CREATE TABLE webhook_delivery (
            id TEXT PRIMARY KEY,
            webhook TEXT NOT NULL REFERENCES webhook (id),
            history TEXT NOT NULL,
            event TEXT NOT NULL,
            content TEXT NOT NULL,
            state TEXT NOT NULL,
            attempts BIGINT NOT NULL,
            next_at BIGINT NOT NULL,
            last_error TEXT,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            UNIQUE (webhook, history)
        );
        CREATE INDEX webhook_delivery_due ON webhook_delivery (state, next_at);
        CREATE INDEX webhook_delivery_webhook ON webhook_delivery (webhook, state);
    "],
};

pub const NAME_CHARS_MAX: usize = 60;
/// Longer addresses are a mistake.
pub const URL_CHARS_MAX: usize = 500;
/// Programs that are told: a ticket system, a chat, a data lake, and room for trials.
pub const WEBHOOKS_MAX: i64 = 20;
/// What a secret is sealed for.
const PURPOSE: &str = "webhook";

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    Opened,
    Changed,
    Closed,
    Filed,
}

impl Event {
    pub const ALL: [Self; 4] = [Self::Opened, Self::Changed, Self::Closed, Self::Filed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "incident.opened",
            Self::Changed => "incident.changed",
            Self::Closed => "incident.closed",
            Self::Filed => "alert.filed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == text)
    }

    /// Which one tells of a kind of the history.
    fn of(kind: &str) -> Option<Self> {
        match kind {
            "incident.opened" => Some(Self::Opened),
            "incident.closed" => Some(Self::Closed),
            "alert.created" => Some(Self::Filed),
            // They come with the opening, or with each alert, which is told by itself; and drafts are nobody's business yet.
            "incident.first_activity" | "incident.aware" | "incident.alert_joined" => None,
            "recommendation.drafted" | "recommendation.edited" => None,
            _ => ["incident.", "recommendation.", "duty."].iter().any(|start| kind.starts_with(start)).then_some(Self::Changed),
        }
    }
}

/// A webhook as the page shows it: all but what it is signed with.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    pub id: WebhookId,
    pub name: String,
    pub url: String,
    pub events: Vec<Event>,
    pub created_by: String,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Deliveries that wait, and those that were given up.
    pub queued: i64,
    pub dead: i64,
    /// Events that found the queue full.
    pub dropped: i64,
    pub sent_at: Option<Timestamp>,
    /// What went wrong last; `None` where the last delivery arrived.
    pub error: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("a webhook's name is empty or too long")]
    Name,
    #[error("a webhook's address is neither https nor on this machine, or names a user")]
    Url,
    #[error("a webhook that nothing is told")]
    Events,
    #[error("there are as many webhooks as can be kept")]
    TooMany,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<ingest::rusqlite::Error> for WebhookError {
    fn from(error: ingest::rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// What somebody wants to be told.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    pub name: String,
    pub url: String,
    pub events: Vec<Event>,
}

/// Adds a program; what it can check signatures with is shown this once.
///
/// # Errors
/// What is wrong with it; the database's own.
pub fn webhook_add(
    tx: &Transaction<'_>,
    vault: &Vault,
    new: &NewWebhook,
    actor: &str,
    now: Timestamp,
) -> Result<(WebhookId, Secret), WebhookError> {
    let (name, url) = (new.name.trim(), new.url.trim());
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(WebhookError::Name);
    }
    if url.chars().count() > URL_CHARS_MAX || crate::oidc::secure(url).is_none() {
        return Err(WebhookError::Url);
    }
    if new.events.is_empty() {
        return Err(WebhookError::Events);
    }
    let count: i64 = tx.query_row("SELECT COUNT(*) FROM webhook WHERE ended_at IS NULL", [], |row| row.get(0))?;
    if count >= WEBHOOKS_MAX {
        return Err(WebhookError::TooMany);
    }
    let (id, secret) = (WebhookId::new(now), Secret::random());
    let sealed = vault.seal(PURPOSE, &id.to_string(), secret.reveal().as_bytes());
    let events: Vec<&str> = new.events.iter().map(|event| event.as_str()).collect();
    tx.prepare_cached(
        "INSERT INTO webhook (id, name, url, events, sealed, created_by, created_at, read_to) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![id, name, url, events.join(" "), sealed, actor, now.0, ingest::history::history_mark(now)])?;
    Ok((id, secret))
}

/// Tells a program nothing more; what waits for it is dropped. `false` where there is none.
///
/// # Errors
/// The database's own.
pub fn webhook_end(tx: &Transaction<'_>, id: WebhookId, now: Timestamp) -> Result<bool, DbError> {
    tx.execute("DELETE FROM webhook_delivery WHERE webhook = ?1 AND state = 'queued'", [id])?;
    Ok(tx.execute("UPDATE webhook SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL", params![id, now.0])? == 1)
}

/// Tries again what was given up; `false` where there is no such program.
///
/// # Errors
/// The database's own.
pub fn webhook_again(tx: &Transaction<'_>, id: WebhookId, now: Timestamp) -> Result<bool, DbError> {
    let alive = tx.execute("UPDATE webhook SET dropped = 0, away_until = 0 WHERE id = ?1 AND ended_at IS NULL", [id])? == 1;
    if alive {
        tx.execute(
            "UPDATE webhook_delivery SET state = 'queued', attempts = 0, next_at = ?2, updated_at = ?2 WHERE webhook = ?1 AND state IN ('dead', 'queued')",
            params![id, now.0],
        )?;
    }
    Ok(alive)
}

/// All of them, the newest first.
///
/// # Errors
/// The database's own.
pub fn webhook_list(connection: &Connection) -> Result<Vec<Webhook>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT w.id, w.name, w.url, w.events, w.created_by, w.created_at, w.ended_at, w.dropped,
             (SELECT COUNT(*) FROM webhook_delivery d WHERE d.webhook = w.id AND d.state = 'queued'),
             (SELECT COUNT(*) FROM webhook_delivery d WHERE d.webhook = w.id AND d.state = 'dead'),
             (SELECT MAX(d.updated_at) FROM webhook_delivery d WHERE d.webhook = w.id AND d.state = 'sent'),
             (SELECT d.last_error FROM webhook_delivery d WHERE d.webhook = w.id AND d.state <> 'sent' AND d.last_error IS NOT NULL
              ORDER BY d.updated_at DESC, d.id DESC LIMIT 1)
         FROM webhook w ORDER BY w.ended_at IS NOT NULL, w.id DESC LIMIT 100",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Webhook {
            id: row.get(0)?,
            name: row.get(1)?,
            url: row.get(2)?,
            events: events_read(&row.get::<_, String>(3)?),
            created_by: row.get(4)?,
            created_at: Timestamp(row.get(5)?),
            ended_at: row.get::<_, Option<i64>>(6)?.map(Timestamp),
            dropped: row.get(7)?,
            queued: row.get(8)?,
            dead: row.get(9)?,
            sent_at: row.get::<_, Option<i64>>(10)?.map(Timestamp),
            error: row.get(11)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn events_read(text: &str) -> Vec<Event> {
    text.split(' ').filter_map(Event::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_the_history() {
        for (kind, event) in [
            ("incident.opened", Some(Event::Opened)),
            ("incident.contained", Some(Event::Changed)),
            ("recommendation.done", Some(Event::Changed)),
            ("duty.sent", Some(Event::Changed)),
            ("incident.closed", Some(Event::Closed)),
            ("alert.created", Some(Event::Filed)),
            ("alert.acked", None),
            ("incident.alert_joined", None),
            ("recommendation.drafted", None),
            ("advisory.published", None),
        ] {
            assert_eq!(Event::of(kind), event, "{kind}");
        }
        for event in Event::ALL {
            assert_eq!(Event::parse(event.as_str()), Some(event));
        }
    }
}

//! The webhooks' outbox. The history is read by cursor, some seconds behind itself, because what was recorded a moment ago
//! may be committed a moment later; each event becomes one row for each program that wants it, and no second one, whatever
//! dies. Rows are tried until they arrive or are given up.
//!
//! ```text
//! queued ──► sent
//!    ▲  │ no answer, 5xx: later, with all that waits for this program
//!    └──┤ 4xx: later, this one
//!       └ too often: dead, until somebody says again
//! ```

use std::collections::BTreeSet;

use detect::alert::{AlertId, alert_labels};
use detect::incident::{IncidentId, Tlp, incident_labels};
use ingest::db::{Db, DbError};
use ingest::history::{HistoryEvent, HistoryId, history_mark, history_since};
use ingest::rusqlite::{Connection, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde_json::{Value, json};

use super::send::{Post, Said};
use super::{DeliveryId, Event, PURPOSE, WebhookId, events_read};
use crate::proof::vault::Vault;

/// How far behind the clock the cursor stays: no transaction is open for so long.
const BEHIND_MILLIS: i64 = 60 * 1_000;
/// Events of one look: more than a storm brings in the time that the cursor stays behind.
const LOOK_MAX: usize = 20_000;
/// Where the cursor is noted when nothing was told: so much is read again after a start.
const NOTE_MILLIS: i64 = 10 * Timestamp::MINUTE;
/// Rows of one program that wait; beyond that it is told of none until some have gone.
const QUEUE_MAX: i64 = 5_000;
/// Rows tried in one look.
const BATCH: usize = 50;
const BACKOFF_MILLIS_MIN: i64 = 5 * 1_000;
const BACKOFF_MILLIS_MAX: i64 = Timestamp::HOUR;
/// With the waits above some eight hours: a receiver that is away for longer is looked after by a person.
pub const ATTEMPTS_MAX: i64 = 17;
/// How long rows are kept: what arrived for questions, what did not for somebody who says again.
const SENT_KEEP_MILLIS: i64 = 7 * Timestamp::DAY;
const DEAD_KEEP_MILLIS: i64 = 30 * Timestamp::DAY;
const ERROR_CHARS_MAX: usize = 300;

/// What one look did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    pub queued: usize,
    pub sent: usize,
    pub failed: usize,
}

/// Reads the history and brings what is due.
pub struct Teller {
    db: Db,
    post: Box<dyn Post>,
    /// Where links of the pages begin.
    base_url: String,
    cursor: Option<HistoryId>,
    /// Behind the cursor and told already.
    seen: BTreeSet<HistoryId>,
    cleaned: Timestamp,
}

struct Hook {
    id: WebhookId,
    events: Vec<Event>,
    created_at: Timestamp,
    read_to: HistoryId,
}

struct Due {
    id: DeliveryId,
    webhook: WebhookId,
    url: String,
    sealed: String,
    event: String,
    content: String,
    attempts: i64,
}

impl Teller {
    pub fn new(db: Db, post: Box<dyn Post>, base_url: String) -> Self {
        Self { db, post, base_url, cursor: None, seen: BTreeSet::new(), cleaned: Timestamp(0) }
    }

    /// One look. `stop` says that nobody waits for the rest any more.
    ///
    /// # Errors
    /// The database's own.
    pub fn look(&mut self, vault: &Vault, now: Timestamp, stop: &dyn Fn() -> bool) -> Result<Looked, DbError> {
        let mut looked = Looked { queued: self.collect(now)?, ..Looked::default() };
        self.deliver(vault, now, stop, &mut looked)?;
        if now.since(self.cleaned) > Timestamp::HOUR {
            self.db.write(move |tx| clean(tx, now))?;
            self.cleaned = now;
        }
        Ok(looked)
    }

    /// Makes rows of what the history has that is new.
    fn collect(&mut self, now: Timestamp) -> Result<usize, DbError> {
        let hooks = self.db.read(hooks)?;
        let Some(noted) = hooks.iter().map(|hook| hook.read_to).min() else {
            (self.cursor, self.seen) = (None, BTreeSet::new());
            return Ok(0);
        };
        let from = self.cursor.unwrap_or(noted).max(noted);
        let events = self.db.read(|c| history_since(c, from, LOOK_MAX))?;
        let fresh: Vec<HistoryEvent> = events.iter().filter(|event| !self.seen.contains(&event.id)).cloned().collect();
        let rows = self.db.read(|c| rows(c, &hooks, &fresh, &self.base_url))?;
        // Never past what may still be committed, and never back.
        let last =
            if events.len() < LOOK_MAX { history_mark(now.plus(-BEHIND_MILLIS)) } else { events.last().map_or(from, |event| event.id) };
        let next = last.min(history_mark(now.plus(-BEHIND_MILLIS))).max(from);
        let queued = rows.len();
        if queued > 0 || next > history_mark_after(noted, NOTE_MILLIS) {
            self.db.write(move |tx| rows_add(tx, &rows, next, now))?;
        }
        self.cursor = Some(next);
        self.seen.extend(fresh.iter().map(|event| event.id));
        self.seen = self.seen.split_off(&next);
        Ok(queued)
    }

    fn deliver(&self, vault: &Vault, now: Timestamp, stop: &dyn Fn() -> bool, looked: &mut Looked) -> Result<(), DbError> {
        let mut away: BTreeSet<WebhookId> = BTreeSet::new();
        for row in self.db.read(|c| due(c, now))? {
            if stop() {
                return Ok(());
            }
            if away.contains(&row.webhook) {
                continue;
            }
            let said = match vault.unseal(PURPOSE, &row.webhook.to_string(), &row.sealed) {
                Some(secret) => self.post.post(&row.url, &row.id.to_string(), &row.event, &row.content, &secret, now),
                None => Said::Refused("the key of the secrets is another: end this webhook and add it anew".into()),
            };
            match said {
                Said::Taken => looked.sent += 1,
                Said::Refused(_) => looked.failed += 1,
                Said::Away(_) => {
                    looked.failed += 1;
                    away.insert(row.webhook);
                }
            }
            self.db.write(move |tx| noted(tx, &row, &said, now))?;
        }
        Ok(())
    }
}

fn history_mark_after(mark: HistoryId, millis: i64) -> HistoryId {
    history_mark(Timestamp(i64::try_from(mark.0.timestamp_ms()).unwrap_or(i64::MAX)).plus(millis))
}

fn hooks(connection: &Connection) -> Result<Vec<Hook>, DbError> {
    let mut statement =
        connection.prepare_cached("SELECT id, events, created_at, read_to FROM webhook WHERE ended_at IS NULL ORDER BY id")?;
    let rows = statement.query_map([], |row| {
        let events: String = row.get(1)?;
        Ok(Hook { id: row.get(0)?, events: events_read(&events), created_at: Timestamp(row.get(2)?), read_to: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// (program, event of the history, event, content)
type NewRow = (WebhookId, HistoryId, Event, String);

/// What is told to whom of these events.
fn rows(connection: &Connection, hooks: &[Hook], events: &[HistoryEvent], base_url: &str) -> Result<Vec<NewRow>, DbError> {
    let wanted: Vec<(&HistoryEvent, Event)> = events
        .iter()
        .filter_map(|event| Some((event, Event::of(&event.kind)?)))
        .filter(|(event, kind)| hooks.iter().any(|hook| wants(hook, event, *kind)))
        .collect();
    let alerts: Vec<AlertId> =
        wanted.iter().filter(|(_, kind)| *kind == Event::Filed).filter_map(|(event, _)| event.subject.parse().ok()).collect();
    let alerts = alert_labels(connection, &Scope::All, &alerts)?;
    let case = |event: &HistoryEvent, kind: Event| -> Option<IncidentId> {
        match kind {
            Event::Filed => alerts.get(&event.subject.parse().ok()?)?.incident,
            _ => event.subject.parse().ok(),
        }
    };
    let cases: Vec<IncidentId> = wanted.iter().filter_map(|(event, kind)| case(event, *kind)).collect();
    let cases = incident_labels(connection, &Scope::All, &cases)?;
    let mut rows = Vec::new();
    for (event, kind) in wanted {
        let id = case(event, kind);
        let label = id.and_then(|id| cases.get(&id));
        // What is for named persons only is told to no program; and a case that is none any more is nobody's news.
        if label.is_some_and(|label| label.tlp == Tlp::Red) || (kind != Event::Filed && label.is_none()) {
            continue;
        }
        let incident = label.map(|label| {
            json!({ "id": id.map(|id| id.to_string()), "number": label.number, "tlp": label.tlp.as_str(), "url": format!("{base_url}/vorfall/{}", label.number) })
        });
        let mut content = json!({
            "event": kind.as_str(), "at": event.event_time.rfc3339(), "recorded_at": event.recorded_at.rfc3339(), "incident": incident,
        });
        if let Some(content) = content.as_object_mut() {
            match kind {
                Event::Filed => {
                    let rule = event.data.get("rule_name").cloned().unwrap_or(Value::Null);
                    let level = event.data.get("level").cloned().unwrap_or(Value::Null);
                    content.insert("alert".into(), json!({ "id": event.subject, "rule_name": rule, "level": level }));
                }
                _ => drop(content.insert("change".into(), json!(event.kind))),
            }
        }
        let content = content.to_string();
        rows.extend(hooks.iter().filter(|hook| wants(hook, event, kind)).map(|hook| (hook.id, event.id, kind, content.clone())));
    }
    Ok(rows)
}

fn wants(hook: &Hook, event: &HistoryEvent, kind: Event) -> bool {
    hook.events.contains(&kind) && event.recorded_at >= hook.created_at
}

fn rows_add(tx: &Transaction<'_>, rows: &[NewRow], next: HistoryId, now: Timestamp) -> Result<(), DbError> {
    let mut count = tx.prepare_cached("SELECT COUNT(*) FROM webhook_delivery WHERE webhook = ?1 AND state = 'queued'")?;
    let mut waiting: std::collections::HashMap<WebhookId, i64> = std::collections::HashMap::new();
    let mut insert = tx.prepare_cached(
        "INSERT INTO webhook_delivery (id, webhook, history, event, content, state, attempts, next_at, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 'queued', 0, ?6, ?6, ?6) ON CONFLICT (webhook, history) DO NOTHING",
    )?;
    for (webhook, history, event, content) in rows {
        let before = match waiting.get(webhook) {
            Some(before) => *before,
            None => count.query_row([webhook], |row| row.get(0))?,
        };
        if before >= QUEUE_MAX {
            tx.prepare_cached("UPDATE webhook SET dropped = dropped + 1 WHERE id = ?1")?.execute([webhook])?;
            waiting.insert(*webhook, before);
            continue;
        }
        let added = insert.execute(params![DeliveryId::new(now), webhook, history, event.as_str(), content, now.0])?;
        waiting.insert(*webhook, before + i64::try_from(added).unwrap_or(0));
    }
    tx.prepare_cached("UPDATE webhook SET read_to = ?1 WHERE ended_at IS NULL AND read_to < ?1")?.execute([next])?;
    Ok(())
}

fn due(connection: &Connection, now: Timestamp) -> Result<Vec<Due>, DbError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT d.id, d.webhook, w.url, w.sealed, d.event, d.content, d.attempts FROM webhook_delivery d JOIN webhook w ON w.id = d.webhook
         WHERE d.state = 'queued' AND d.next_at <= ?1 AND w.away_until <= ?1 AND w.ended_at IS NULL ORDER BY d.history, d.id LIMIT {BATCH}"
    ))?;
    let rows = statement.query_map([now.0], |row| {
        Ok(Due {
            id: row.get(0)?,
            webhook: row.get(1)?,
            url: row.get(2)?,
            sealed: row.get(3)?,
            event: row.get(4)?,
            content: row.get(5)?,
            attempts: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn noted(tx: &Transaction<'_>, row: &Due, said: &Said, now: Timestamp) -> Result<(), DbError> {
    let (error, all) = match said {
        Said::Taken => {
            let sql =
                "UPDATE webhook_delivery SET state = 'sent', attempts = attempts + 1, last_error = NULL, updated_at = ?2 WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![row.id, now.0])?;
            tx.prepare_cached("UPDATE webhook SET away_until = 0 WHERE id = ?1 AND away_until <> 0")?.execute([row.webhook])?;
            return Ok(());
        }
        Said::Refused(error) => (error, false),
        Said::Away(error) => (error, true),
    };
    // A receiver that is away is so for all that waits for it, and for what comes in the meantime: one try stands for all.
    let next = now.plus(backoff(row.attempts)).0;
    if all {
        tx.prepare_cached("UPDATE webhook SET away_until = ?2 WHERE id = ?1")?.execute(params![row.webhook, next])?;
    }
    let which = if all { "webhook = ?1 AND state = 'queued'" } else { "id = ?1" };
    let key = if all { row.webhook.to_string() } else { row.id.to_string() };
    let error: String = error.chars().take(ERROR_CHARS_MAX).collect();
    tx.prepare_cached(&format!(
        "UPDATE webhook_delivery SET attempts = attempts + 1, next_at = ?2, last_error = ?3, updated_at = ?4,
             state = CASE WHEN attempts + 1 >= {ATTEMPTS_MAX} THEN 'dead' ELSE 'queued' END WHERE {which}"
    ))?
    .execute(params![key, next, error, now.0])?;
    Ok(())
}

/// Doubling from the shortest wait to the longest.
fn backoff(attempts: i64) -> i64 {
    let times = u32::try_from(attempts.clamp(0, 30)).unwrap_or(0);
    BACKOFF_MILLIS_MIN.saturating_mul(1_i64 << times).min(BACKOFF_MILLIS_MAX)
}

fn clean(tx: &Transaction<'_>, now: Timestamp) -> Result<(), DbError> {
    for (state, keep) in [("sent", SENT_KEEP_MILLIS), ("dead", DEAD_KEEP_MILLIS)] {
        tx.execute("DELETE FROM webhook_delivery WHERE state = ?1 AND updated_at < ?2", params![state, now.plus(-keep).0])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

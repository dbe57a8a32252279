//! Revealing: two persons for one look at what a pseudonym stands for. One asks with a reason, another approves or
//! declines with a reason, then both may look for a day; each step is a row in the audit log, in the same transaction.
//! The values themselves are never stored: they are opened from their tokens for the page that shows them.

use detect::role::{Action, Role, allowed};
use ingest::audit::{NewAudit, audit_add};
use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{self, Connection, OptionalExtension as _, Row, Transaction, params};
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::user::UserId;

pub const MIGRATIONS: Migrations = Migrations {
    owner: "reveal",
    steps: &["CREATE TABLE reveal (
        id TEXT PRIMARY KEY, asker TEXT NOT NULL, asked_at BIGINT NOT NULL, reason TEXT NOT NULL, incident TEXT NOT NULL,
        objects TEXT NOT NULL, state TEXT NOT NULL, decider TEXT NOT NULL, decided_at BIGINT, answer TEXT NOT NULL, until BIGINT)"],
};

/// How long both may look: a working day and the night that may follow it.
pub const VISIBLE_MILLIS: i64 = 24 * Timestamp::HOUR;
/// A request that nobody has answered for so long lapses: its reason is no longer today's.
pub const OPEN_MILLIS_MAX: i64 = 7 * Timestamp::DAY;
/// Pseudonyms in one request. Whoever needs more has not one case but a list, and a list is another decision.
pub const OBJECTS_MAX: usize = 20;
/// Shorter is no reason.
pub const REASON_CHARS_MIN: usize = 10;
pub const REASON_CHARS_MAX: usize = 1_000;
/// Requests that one page lists.
pub const LIST_MAX: usize = 100;

ingest::id_type!(
    /// A request's identity.
    RevealId
);

/// A pseudonym that is asked about. An address does not say by itself when it was hidden: its event's number does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    pub value: String,
    pub seq: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Asked,
    Approved,
    Declined,
    /// Not answered in time.
    Lapsed,
    /// Approved, and the time is over.
    Over,
}

#[derive(Clone, Debug)]
pub struct Reveal {
    pub id: RevealId,
    pub asker: UserId,
    pub asked_at: Timestamp,
    pub reason: String,
    /// The case's number; may be empty.
    pub incident: String,
    pub objects: Vec<Object>,
    pub decider: Option<UserId>,
    pub decided_at: Option<Timestamp>,
    pub answer: String,
    pub until: Option<Timestamp>,
    approved: Option<bool>,
}

impl Reveal {
    pub fn state(&self, now: Timestamp) -> State {
        match self.approved {
            None if now.since(self.asked_at) >= OPEN_MILLIS_MAX => State::Lapsed,
            None => State::Asked,
            Some(false) => State::Declined,
            Some(true) if self.until.is_none_or(|until| until <= now) => State::Over,
            Some(true) => State::Approved,
        }
    }

    /// Whether somebody may decide it now: with the right, and never the own one.
    pub fn may_decide(&self, who: UserId, role: Role, now: Timestamp) -> bool {
        allowed(Action::RevealDecide, role) && self.asker != who && self.state(now) == State::Asked
    }

    /// Whether somebody may look now: the two persons, as long as they have the right.
    pub fn may_show(&self, who: UserId, role: Role, now: Timestamp) -> bool {
        let is_one_of_two = self.asker == who || self.decider == Some(who);
        allowed(Action::RevealAsk, role) && is_one_of_two && self.state(now) == State::Approved
    }
}

/// Why a step is not done; the German sentence is for the person.
#[derive(Debug, thiserror::Error)]
pub enum RevealError {
    #[error("Das darf Ihre Rolle nicht.")]
    Forbidden,
    #[error("Über den eigenen Antrag entscheidet eine andere Person.")]
    OwnRequest,
    #[error("Darüber ist schon entschieden, oder der Antrag ist verfallen.")]
    NotOpen,
    #[error("Der Antrag ist nicht genehmigt, oder die Zeit zum Ansehen ist vorbei.")]
    NotVisible,
    #[error("Bitte begründen Sie es mit mindestens {REASON_CHARS_MIN} und höchstens {REASON_CHARS_MAX} Zeichen.")]
    Reason,
    #[error("Bitte nennen Sie mindestens ein und höchstens {OBJECTS_MAX} Pseudonyme.")]
    Objects,
    #[error("no such request")]
    NotFound,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<rusqlite::Error> for RevealError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

fn reasoned(text: &str) -> Result<String, RevealError> {
    let text = text.trim();
    let fits = (REASON_CHARS_MIN..=REASON_CHARS_MAX).contains(&text.chars().count());
    if fits { Ok(text.to_owned()) } else { Err(RevealError::Reason) }
}

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct NewReveal {
    pub reason: String,
    pub incident: String,
    pub objects: Vec<Object>,
}

/// # Errors
/// Without the right, a reason or a pseudonym; the database's own.
pub fn reveal_ask(tx: &Transaction<'_>, who: UserId, role: Role, new: &NewReveal, now: Timestamp) -> Result<RevealId, RevealError> {
    if !allowed(Action::RevealAsk, role) {
        return Err(RevealError::Forbidden);
    }
    let reason = reasoned(&new.reason)?;
    if !(1..=OBJECTS_MAX).contains(&new.objects.len()) {
        return Err(RevealError::Objects);
    }
    let id = RevealId::new(now);
    let objects = json!(new.objects).to_string();
    tx.execute(
        "INSERT INTO reveal (id, asker, asked_at, reason, incident, objects, state, decider, answer)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'asked', '', '')",
        params![id, who.to_string(), now.0, reason, new.incident, objects],
    )?;
    let detail = json!({ "reason": reason, "incident": new.incident, "objects": new.objects });
    audit(tx, now, who, "pseudonym.reveal_asked", id, detail)?;
    Ok(id)
}

/// Approves or declines.
///
/// # Errors
/// Without the right, by the person who asked, or too late; the database's own.
pub fn reveal_decide(
    tx: &Transaction<'_>,
    id: RevealId,
    (who, role): (UserId, Role),
    approve: bool,
    answer: &str,
    now: Timestamp,
) -> Result<(), RevealError> {
    let reveal = reveal_get(tx, id)?.ok_or(RevealError::NotFound)?;
    if !allowed(Action::RevealDecide, role) {
        return Err(RevealError::Forbidden);
    }
    if reveal.asker == who {
        return Err(RevealError::OwnRequest);
    }
    if !reveal.may_decide(who, role, now) {
        return Err(RevealError::NotOpen);
    }
    let answer = reasoned(answer)?;
    let (state, until) = if approve { ("approved", Some(now.plus(VISIBLE_MILLIS).0)) } else { ("declined", None) };
    tx.execute(
        "UPDATE reveal SET state = ?2, decider = ?3, decided_at = ?4, answer = ?5, until = ?6 WHERE id = ?1 AND state = 'asked'",
        params![id, state, who.to_string(), now.0, answer, until],
    )?;
    let kind = if approve { "pseudonym.reveal_approved" } else { "pseudonym.reveal_declined" };
    audit(tx, now, who, kind, id, json!({ "reason": answer, "until": until }))?;
    Ok(())
}

/// Notes that somebody looks, and gives what he may look at. Who shows values without it shows them unseen.
///
/// # Errors
/// Where he may not, or no longer; the database's own.
pub fn reveal_show(tx: &Transaction<'_>, id: RevealId, (who, role): (UserId, Role), now: Timestamp) -> Result<Reveal, RevealError> {
    let reveal = reveal_get(tx, id)?.ok_or(RevealError::NotFound)?;
    if !reveal.may_show(who, role, now) {
        return Err(RevealError::NotVisible);
    }
    audit(tx, now, who, "pseudonym.reveal_shown", id, json!({ "objects": reveal.objects.len() }))?;
    Ok(reveal)
}

fn audit(
    tx: &Transaction<'_>,
    now: Timestamp,
    who: UserId,
    kind: &'static str,
    id: RevealId,
    detail: serde_json::Value,
) -> Result<(), RevealError> {
    audit_add(tx, now, &NewAudit { actor: who.to_string(), kind, object: format!("reveal:{id}"), detail })?;
    Ok(())
}

const SELECT: &str = "SELECT id, asker, asked_at, reason, incident, objects, state, decider, decided_at, answer, until FROM reveal";

/// # Errors
/// The database's own.
pub fn reveal_get(connection: &Connection, id: RevealId) -> Result<Option<Reveal>, DbError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?;
    Ok(statement.query_row([id], reveal_row).optional()?)
}

/// The newest requests first.
///
/// # Errors
/// The database's own.
pub fn reveal_list(connection: &Connection) -> Result<Vec<Reveal>, DbError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} ORDER BY id DESC LIMIT {LIST_MAX}"))?;
    let rows = statement.query_map([], reveal_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many requests wait for this person's decision.
///
/// # Errors
/// The database's own.
pub fn reveal_waiting(connection: &Connection, who: UserId, role: Role, now: Timestamp) -> Result<u64, DbError> {
    if !allowed(Action::RevealDecide, role) {
        return Ok(0);
    }
    let since = now.plus(-OPEN_MILLIS_MAX).0;
    let mut statement = connection.prepare_cached("SELECT COUNT(*) FROM reveal WHERE state = 'asked' AND asker <> ?1 AND asked_at > ?2")?;
    let count: i64 = statement.query_row(params![who.to_string(), since], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn reveal_row(row: &Row<'_>) -> rusqlite::Result<Reveal> {
    let user = |text: String| text.parse::<UserId>().unwrap_or_default();
    let decider: String = row.get(7)?;
    Ok(Reveal {
        id: row.get(0)?,
        asker: user(row.get(1)?),
        asked_at: Timestamp(row.get(2)?),
        reason: row.get(3)?,
        incident: row.get(4)?,
        objects: serde_json::from_str(&row.get::<_, String>(5)?).unwrap_or_default(),
        approved: match row.get::<_, String>(6)?.as_str() {
            "approved" => Some(true),
            "asked" => None,
            _ => Some(false),
        },
        decider: (!decider.is_empty()).then(|| user(decider)),
        decided_at: row.get::<_, Option<i64>>(8)?.map(Timestamp),
        answer: row.get(9)?,
        until: row.get::<_, Option<i64>>(10)?.map(Timestamp),
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use ingest::audit::{audit_list, audit_verify};
    use ingest::db::Db;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_248_000_000);

    fn db(dir: &std::path::Path) -> Db {
        Db::open(&dir.join("w.db"), &[ingest::audit::MIGRATIONS, MIGRATIONS]).unwrap()
    }

    fn new() -> NewReveal {
        let objects = vec![Object { value: "p1abc".into(), seq: 7 }];
        NewReveal { reason: "Vorfall mit gestohlenem Konto".into(), incident: "TC-2026-000412".into(), objects }
    }

    fn ask(db: &Db, who: UserId, role: Role) -> Result<RevealId, RevealError> {
        db.write(move |tx| reveal_ask(tx, who, role, &new(), NOW))
    }

    fn decide(db: &Db, id: RevealId, who: UserId, role: Role, approve: bool, now: Timestamp) -> Result<(), RevealError> {
        db.write(move |tx| reveal_decide(tx, id, (who, role), approve, "Der Grund ist nachvollziehbar.", now))
    }

    fn show(db: &Db, id: RevealId, who: UserId, role: Role, now: Timestamp) -> Result<Reveal, RevealError> {
        db.write(move |tx| reveal_show(tx, id, (who, role), now))
    }

    /// The matrix role × action, over the store's functions.
    #[test]
    fn who_may_ask_decide_and_look() {
        let dir = tempfile::tempdir().unwrap();
        let db = db(dir.path());
        let asker = UserId::new(NOW);
        let mut table = String::new();
        for role in Role::ALL {
            let who = UserId::new(NOW);
            let word = |yes: bool| if yes { "yes" } else { "-" };
            let asked = ask(&db, who, role).is_ok();
            let open = ask(&db, asker, Role::Analyst).unwrap();
            let approved = decide(&db, open, who, role, true, NOW).is_ok();
            let open = ask(&db, asker, Role::Analyst).unwrap();
            let declined = decide(&db, open, who, role, false, NOW).is_ok();
            let own = ask(&db, who, Role::Lead).unwrap();
            let own = decide(&db, own, who, role, true, NOW).is_ok();
            let foreign = ask(&db, asker, Role::Analyst).unwrap();
            decide(&db, foreign, UserId::new(NOW.plus(1)), Role::Lead, true, NOW).unwrap();
            let looked = show(&db, foreign, who, role, NOW).is_ok();
            table += &format!(
                "{}: asks {}, approves {}, declines {}, the own {}, looks at others' {}\n",
                role.as_str(),
                word(asked),
                word(approved),
                word(declined),
                word(own),
                word(looked)
            );
        }
        expect![[r#"
            analyst: asks yes, approves -, declines -, the own -, looks at others' -
            lead: asks yes, approves yes, declines yes, the own -, looks at others' -
            municipality: asks -, approves -, declines -, the own -, looks at others' -
            provider: asks -, approves -, declines -, the own -, looks at others' -
            steering: asks -, approves -, declines -, the own -, looks at others' -
            auditor: asks -, approves -, declines -, the own -, looks at others' -
            admin: asks -, approves -, declines -, the own -, looks at others' -
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn a_reveal_takes_two_lasts_a_day_and_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let db = db(dir.path());
        let (asker, decider) = (UserId::new(NOW), UserId::new(NOW.plus(1)));
        let id = ask(&db, asker, Role::Lead).unwrap();
        assert!(matches!(show(&db, id, asker, Role::Lead, NOW), Err(RevealError::NotVisible)));
        assert!(matches!(decide(&db, id, asker, Role::Lead, true, NOW), Err(RevealError::OwnRequest)));
        assert_eq!(db.read(|c| reveal_waiting(c, decider, Role::Lead, NOW)).unwrap(), 1);
        assert_eq!(db.read(|c| reveal_waiting(c, asker, Role::Lead, NOW)).unwrap(), 0);
        decide(&db, id, decider, Role::Lead, true, NOW).unwrap();
        assert!(matches!(decide(&db, id, decider, Role::Lead, false, NOW), Err(RevealError::NotOpen)), "decided once");
        for who in [asker, decider] {
            assert!(show(&db, id, who, Role::Lead, NOW.plus(VISIBLE_MILLIS - 1)).is_ok());
            assert!(matches!(show(&db, id, who, Role::Lead, NOW.plus(VISIBLE_MILLIS)), Err(RevealError::NotVisible)));
            assert!(matches!(show(&db, id, who, Role::Admin, NOW), Err(RevealError::NotVisible)), "who lost the right sees no more");
        }
        let mut told = db.read(|c| audit_list(c, None, 10)).unwrap();
        told.reverse();
        let told: Vec<_> = told.iter().map(|row| (row.kind.as_str(), row.actor == asker.to_string())).collect();
        assert_eq!(
            told,
            [
                ("pseudonym.reveal_asked", true),
                ("pseudonym.reveal_approved", false),
                ("pseudonym.reveal_shown", true),
                ("pseudonym.reveal_shown", false)
            ]
        );
        assert!(db.read(|c| audit_verify(c, None)).unwrap().is_ok());
    }

    #[test]
    fn reasons_and_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let db = db(dir.path());
        let who = UserId::new(NOW);
        let try_ask = |new: NewReveal| db.write(move |tx| reveal_ask(tx, who, Role::Analyst, &new, NOW));
        assert!(matches!(try_ask(NewReveal { reason: "  weil   ".into(), ..new() }), Err(RevealError::Reason)));
        assert!(matches!(try_ask(NewReveal { reason: "x".repeat(REASON_CHARS_MAX + 1), ..new() }), Err(RevealError::Reason)));
        assert!(matches!(try_ask(NewReveal { objects: vec![], ..new() }), Err(RevealError::Objects)));
        let many = vec![Object { value: "p1".into(), seq: 1 }; OBJECTS_MAX + 1];
        assert!(matches!(try_ask(NewReveal { objects: many, ..new() }), Err(RevealError::Objects)));
        let id = try_ask(new()).unwrap();
        let late = NOW.plus(OPEN_MILLIS_MAX);
        assert!(matches!(decide(&db, id, UserId::new(late), Role::Lead, true, late), Err(RevealError::NotOpen)));
        assert_eq!(db.read(|c| reveal_get(c, id)).unwrap().unwrap().state(late), State::Lapsed);
    }
}

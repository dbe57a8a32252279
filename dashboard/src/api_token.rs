//! API tokens: what a program shows instead of a log-in. A token does at most what its owner may do at that moment, and
//! of that only what was ticked when it was made; it ends by itself. The database holds its hash.
//!
//! Form: `wbt_`, 64 hexadecimal digits of randomness, and 8 that are a checksum of what stands before. By prefix and
//! checksum a scanner of published code finds leaked tokens without false alarms, and a token that was cut short is
//! refused without asking the database.

use ingest::audit::{NewAudit, audit_add};
use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, Row, Transaction, params};
use ingest::time::Timestamp;
use serde_json::json;

use crate::secret::{Secret, secret_hash};
use crate::user::{self, User, UserId};

ingest::id_type!(
    /// An API token.
    ApiTokenId
);

pub const MIGRATIONS: Migrations = Migrations {
    owner: "api_token",
    steps: &["
        CREATE TABLE api_token (
            id TEXT PRIMARY KEY,
            hash TEXT NOT NULL UNIQUE,
            user_id TEXT NOT NULL REFERENCES user_account (id),
            name TEXT NOT NULL,
            grants TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            until_at BIGINT NOT NULL,
            seen_at BIGINT,
            revoked_at BIGINT,
            revoked_by TEXT
        );
        CREATE INDEX api_token_user ON api_token (user_id);
    "],
};

pub const PREFIX: &str = "wbt_";
/// A token nobody looks after ends within the year.
pub const AGE_MILLIS_MAX: i64 = 365 * Timestamp::DAY;
/// Alive per account: one for each program somebody plausibly runs.
pub const PER_USER_MAX: i64 = 20;
pub const NAME_CHARS_MAX: usize = 60;
/// `seen_at` is written at most this often: a request must not cost an fsync.
const SEEN_STEP_MILLIS: i64 = Timestamp::MINUTE;
const CHECK_CHARS: usize = 8;
/// Revoked and ended ones are listed for a while, but not without end.
const LIST_MAX: i64 = 100;

/// A part of the house that programs may read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    Advisories,
    Incidents,
    Kpis,
    Sources,
}

impl Area {
    pub const ALL: [Self; 4] = [Self::Advisories, Self::Incidents, Self::Kpis, Self::Sources];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Advisories => "advisories",
            Self::Incidents => "incidents",
            Self::Kpis => "kpis",
            Self::Sources => "sources",
        }
    }
}

/// One thing that a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    pub area: Area,
    pub write: bool,
}

impl Grant {
    pub fn all() -> impl Iterator<Item = Self> {
        Area::ALL.into_iter().flat_map(|area| [false, true].map(|write| Self { area, write }))
    }

    /// `kpis:read`
    pub fn key(self) -> String {
        format!("{}:{}", self.area.as_str(), if self.write { "write" } else { "read" })
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::all().find(|grant| grant.key() == text)
    }
}

/// A token as its owner sees it again: all but the secret.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiToken {
    pub id: ApiTokenId,
    pub user: UserId,
    pub name: String,
    pub grants: Vec<Grant>,
    pub created_at: Timestamp,
    pub until: Timestamp,
    pub seen_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl ApiToken {
    pub fn works(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.until
    }

    pub fn grants(&self, grant: Grant) -> bool {
        self.grants.contains(&grant)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ApiTokenError {
    #[error("a token needs a name of at most {NAME_CHARS_MAX} characters")]
    Name,
    #[error("a token ends after now and within a year")]
    Until,
    #[error("{PER_USER_MAX} tokens of this account still work")]
    TooMany,
    #[error("no such token")]
    NotFound,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<ingest::rusqlite::Error> for ApiTokenError {
    fn from(error: ingest::rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

fn secret_new() -> Secret {
    let body = Secret::random();
    Secret::given(&format!("{PREFIX}{}{}", body.reveal(), check(body.reveal())))
}

fn check(body: &str) -> String {
    secret_hash(&format!("{PREFIX}{body}")).chars().take(CHECK_CHARS).collect()
}

/// Whether a text has a token's form; says nothing of whether there is such a token.
pub fn well_formed(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(PREFIX) else { return false };
    rest.is_ascii() && rest.len() == 64 + CHECK_CHARS && rest.split_at_checked(64).is_some_and(|(body, given)| check(body) == given)
}

/// Makes a token; its secret is in the answer and nowhere else.
///
/// # Errors
/// Where name or end are none, or there are too many; the database's own.
pub fn api_token_add(
    tx: &Transaction<'_>,
    owner: UserId,
    name: &str,
    grants: &[Grant],
    until: Timestamp,
    now: Timestamp,
) -> Result<(ApiTokenId, Secret), ApiTokenError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(ApiTokenError::Name);
    }
    if until <= now || until.since(now) > AGE_MILLIS_MAX {
        return Err(ApiTokenError::Until);
    }
    let alive: i64 = tx.query_row(
        "SELECT COUNT(*) FROM api_token WHERE user_id = ?1 AND revoked_at IS NULL AND until_at > ?2",
        params![owner, now.0],
        |row| row.get(0),
    )?;
    if alive >= PER_USER_MAX {
        return Err(ApiTokenError::TooMany);
    }
    let (id, secret) = (ApiTokenId::new(now), secret_new());
    let mut keys: Vec<String> = grants.iter().map(|grant| grant.key()).collect();
    keys.sort();
    keys.dedup();
    tx.execute(
        "INSERT INTO api_token (id, hash, user_id, name, grants, created_at, until_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![id, secret.hash(), owner, name, json!(keys).to_string(), now.0, until.0],
    )?;
    let detail = json!({ "grants": keys, "until": until.rfc3339() });
    audit_add(tx, now, &NewAudit { actor: owner.to_string(), kind: "api_token.added", object: format!("api_token:{id}"), detail })?;
    Ok((id, secret))
}

const COLUMNS: &str = "SELECT t.id, t.user_id, t.name, t.grants, t.created_at, t.until_at, t.seen_at, t.revoked_at FROM api_token t";

/// The token behind a secret and its owner as he is now; nothing where the token has ended or was revoked, or the owner
/// is disabled. And whether its time of use wants to be written.
///
/// # Errors
/// The database's own.
pub fn api_token_find(connection: &Connection, secret: &str, now: Timestamp) -> Result<Option<(ApiToken, User, bool)>, DbError> {
    if !well_formed(secret) {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} WHERE t.hash = ?1"))?;
    let mut rows = statement.query_map([secret_hash(secret)], from_row)?;
    let Some(token) = rows.next().transpose()?.filter(|token| token.works(now)) else { return Ok(None) };
    let owner = user::user_get(connection, token.user)?.filter(|user| !user.disabled);
    let stale = token.seen_at.is_none_or(|seen| now.since(seen) >= SEEN_STEP_MILLIS);
    Ok(owner.map(|owner| (token, owner, stale)))
}

/// Notes that the token was used.
///
/// # Errors
/// The database's own.
pub fn api_token_seen(tx: &Transaction<'_>, id: ApiTokenId, now: Timestamp) -> Result<(), DbError> {
    tx.execute("UPDATE api_token SET seen_at = ?2 WHERE id = ?1", params![id, now.0])?;
    Ok(())
}

/// An account's tokens, the newest first.
///
/// # Errors
/// The database's own.
pub fn api_token_list(connection: &Connection, owner: UserId) -> Result<Vec<ApiToken>, DbError> {
    let mut statement =
        connection.prepare_cached(&format!("{COLUMNS} WHERE t.user_id = ?1 ORDER BY t.created_at DESC, t.id DESC LIMIT ?2"))?;
    let rows = statement.query_map(params![owner, LIST_MAX], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Ends a token of `owner` at once; `actor` is himself or an administrator.
///
/// # Errors
/// Where the account has no such token that still works; the database's own.
pub fn api_token_revoke(tx: &Transaction<'_>, id: ApiTokenId, owner: UserId, actor: UserId, now: Timestamp) -> Result<(), ApiTokenError> {
    let ended = tx.execute(
        "UPDATE api_token SET revoked_at = ?3, revoked_by = ?4 WHERE id = ?1 AND user_id = ?2 AND revoked_at IS NULL AND until_at > ?3",
        params![id, owner, now.0, actor],
    )?;
    if ended == 0 {
        return Err(ApiTokenError::NotFound);
    }
    let object = format!("api_token:{id}");
    audit_add(tx, now, &NewAudit { actor: actor.to_string(), kind: "api_token.revoked", object, detail: json!({}) })?;
    Ok(())
}

/// Ends all tokens of an account that still work; how many. The caller has it in the audit log.
///
/// # Errors
/// The database's own.
pub(crate) fn api_token_revoke_all(tx: &Transaction<'_>, owner: UserId, now: Timestamp) -> Result<usize, DbError> {
    let sql = "UPDATE api_token SET revoked_at = ?2, revoked_by = 'system' WHERE user_id = ?1 AND revoked_at IS NULL AND until_at > ?2";
    Ok(tx.execute(sql, params![owner, now.0])?)
}

fn from_row(row: &Row<'_>) -> ingest::rusqlite::Result<ApiToken> {
    let grants: String = row.get(3)?;
    let keys: Vec<String> = serde_json::from_str(&grants).unwrap_or_default();
    Ok(ApiToken {
        id: row.get(0)?,
        user: row.get(1)?,
        name: row.get(2)?,
        // What this program does not know grants nothing.
        grants: keys.iter().filter_map(|key| Grant::parse(key)).collect(),
        created_at: Timestamp(row.get(4)?),
        until: Timestamp(row.get(5)?),
        seen_at: row.get::<_, Option<i64>>(6)?.map(Timestamp),
        revoked_at: row.get::<_, Option<i64>>(7)?.map(Timestamp),
    })
}

#[cfg(test)]
mod tests {
    use detect::role::Role;
    use ingest::db::Db;
    use proptest::prelude::*;

    use super::*;

    const READ: Grant = Grant { area: Area::Kpis, write: false };

    fn open() -> (tempfile::TempDir, Db, UserId) {
        let dir = tempfile::tempdir().unwrap();
        let db = crate::node::database(dir.path()).unwrap();
        let user =
            User { id: UserId::new(Timestamp(1)), login: "a".into(), name: "A".into(), role: Role::Analyst, body: None, disabled: false };
        let id = user.id;
        db.write(move |tx| user::user_add(tx, &user, "h", Timestamp(1))).unwrap();
        (dir, db, id)
    }

    fn add(db: &Db, owner: UserId, until: i64) -> Result<(ApiTokenId, Secret), ApiTokenError> {
        db.write(move |tx| api_token_add(tx, owner, "Bericht", &[READ, READ], Timestamp(until), Timestamp(10)))
    }

    fn found(db: &Db, secret: &Secret, now: i64) -> bool {
        db.read(|c| api_token_find(c, secret.reveal(), Timestamp(now))).unwrap().is_some()
    }

    #[test]
    fn a_token_works_until_its_end_or_its_revocation() {
        let (_dir, db, owner) = open();
        let (id, secret) = add(&db, owner, 100).unwrap();
        let (token, _, stale) = db.read(|c| api_token_find(c, secret.reveal(), Timestamp(99))).unwrap().unwrap();
        assert!(stale && token.grants == [READ] && token.grants(READ) && !token.grants(Grant { write: true, ..READ }));
        assert!(!found(&db, &secret, 100));
        let stranger = UserId::default();
        assert!(matches!(db.write(move |tx| api_token_revoke(tx, id, stranger, stranger, Timestamp(20))), Err(ApiTokenError::NotFound)));
        db.write(move |tx| api_token_seen(tx, id, Timestamp(30))).unwrap();
        assert!(!db.read(|c| api_token_find(c, secret.reveal(), Timestamp(40))).unwrap().unwrap().2);
        db.write(move |tx| api_token_revoke(tx, id, owner, owner, Timestamp(50))).unwrap();
        assert!(!found(&db, &secret, 50));
        let (_, other) = add(&db, owner, 100).unwrap();
        assert!(found(&db, &other, 60));
        db.write(move |tx| Ok::<_, DbError>(tx.execute("UPDATE user_account SET disabled = 1", [])?)).unwrap();
        assert!(!found(&db, &other, 60), "a disabled owner's tokens do nothing");
        let stored: String =
            db.read(|c| Ok::<_, DbError>(c.query_row("SELECT group_concat(hash) FROM api_token", [], |row| row.get(0))?)).unwrap();
        assert!(!stored.contains("wbt_"));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let (_dir, db, owner) = open();
        assert!(matches!(add(&db, owner, 10), Err(ApiTokenError::Until)));
        assert!(matches!(add(&db, owner, 11 + AGE_MILLIS_MAX), Err(ApiTokenError::Until)));
        assert!(add(&db, owner, 10 + AGE_MILLIS_MAX).is_ok());
        for _ in 1..PER_USER_MAX {
            add(&db, owner, 1_000).unwrap();
        }
        assert!(matches!(add(&db, owner, 1_000), Err(ApiTokenError::TooMany)));
    }

    proptest! {
        #[test]
        fn any_changed_letter_breaks_the_form(at in 0usize..76, to in "[0-9a-z_]") {
            let secret = secret_new();
            let text = secret.reveal();
            prop_assert!(well_formed(text));
            let changed: String = text.chars().enumerate().map(|(n, ch)| if n == at { to.chars().next().unwrap_or(ch) } else { ch }).collect();
            prop_assert_eq!(well_formed(&changed), changed == text);
            prop_assert!(!well_formed(&text[..75]));
        }

        #[test]
        fn no_text_is_a_token_by_chance(text in ".{0,80}") {
            prop_assert!(!well_formed(&text));
        }
    }
}

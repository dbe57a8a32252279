//! Sessions: a random token in a cookie, its hash in the database, an idle and an absolute end, and when its owner last
//! proved who he is. The CSRF token of a session is derived from it, so that it needs no row of its own and dies with it.

use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use ingest::time::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::user::{self, User, UserId};

ingest::id_type!(
    /// A session as its owner's page names it; the token stays a secret.
    SessionId
);

/// Registered behind `user`, whose table of sessions it replaces: who was signed in signs in once more.
pub const MIGRATIONS: Migrations = Migrations {
    owner: "session",
    steps: &["
        DROP TABLE session;
        CREATE TABLE session (
            id TEXT PRIMARY KEY,
            token_hash TEXT NOT NULL UNIQUE,
            user_id TEXT NOT NULL REFERENCES user_account (id),
            how TEXT NOT NULL,
            address TEXT NOT NULL,
            browser TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            seen_at BIGINT NOT NULL,
            proved_at BIGINT NOT NULL
        );
        CREATE INDEX session_by_user ON session (user_id);
    "],
};

/// When sessions end; the configuration sets them within bounds (`web.session_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Without a click this long the session ends; the live refresh does not count as one.
    pub idle_millis: i64,
    /// However busy, it ends this long after the login.
    pub age_millis: i64,
}

impl Default for Limits {
    /// Two hours away from the desk; one shift and its hand-over.
    fn default() -> Self {
        Self { idle_millis: 2 * Timestamp::HOUR, age_millis: 12 * Timestamp::HOUR }
    }
}

/// `seen_at` is written at most this often: a page view must not cost an fsync.
const SEEN_STEP_MILLIS: i64 = Timestamp::MINUTE;
/// Sessions kept per account; a further login ends the oldest.
const PER_USER_MAX: i64 = 10;
/// For so long a proof of who one is counts as fresh: a form's work, not a lunch break.
pub const FRESH_MILLIS: i64 = 10 * Timestamp::MINUTE;
/// What time servers set a clock back by.
const SKEW_MILLIS: i64 = Timestamp::MINUTE;

/// By what somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Password,
    PasswordAndCode,
    PasswordAndPasskey,
    PasswordAndRecovery,
    Passkey,
    /// The house's identity provider.
    Oidc,
    /// A one-time link: an invitation, or the first administrator's.
    Link,
}

impl How {
    pub const ALL: [Self; 7] =
        [Self::Password, Self::PasswordAndCode, Self::PasswordAndPasskey, Self::PasswordAndRecovery, Self::Passkey, Self::Oidc, Self::Link];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::PasswordAndCode => "password+totp",
            Self::PasswordAndPasskey => "password+passkey",
            Self::PasswordAndRecovery => "password+recovery",
            Self::Passkey => "passkey",
            Self::Oidc => "oidc",
            Self::Link => "link",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|how| how.as_str() == text)
    }
}

/// The secret in the cookie. Never logged, never stored.
#[derive(Clone)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// 256 random bits.
    pub fn new() -> Self {
        Self(hex(&ingest::id::random_bytes::<32>()))
    }

    /// From a cookie; anything but 64 hexadecimal digits is no token.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it is stored: 256 random bits need neither salt nor a slow hash.
    pub(crate) fn hash(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }

    /// The token that every form of this session carries.
    pub fn csrf(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(b"wartburg csrf 1\0");
        hasher.update(self.0.as_bytes());
        hex(&hasher.finalize())
    }

    pub fn csrf_fits(&self, given: &str) -> bool {
        self.csrf().as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl Default for Token {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A session to be.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub user: UserId,
    pub how: How,
    /// From where; empty where a proxy on this machine hides it.
    pub address: String,
    /// The browser's class, never its whole text.
    pub browser: String,
}

/// Opens a session; the account's oldest beyond the bound and all that have ended go.
///
/// # Errors
/// The database's own.
pub fn session_open(tx: &Transaction<'_>, new: &NewSession, token: &Token, limits: Limits, now: Timestamp) -> Result<SessionId, DbError> {
    tx.execute(
        "DELETE FROM session WHERE created_at < ?1 OR seen_at < ?2",
        params![now.0 - limits.age_millis, now.0 - limits.idle_millis],
    )?;
    tx.execute(
        "DELETE FROM session WHERE user_id = ?1 AND id NOT IN
           (SELECT id FROM session WHERE user_id = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2)",
        params![new.user, PER_USER_MAX - 1],
    )?;
    let id = SessionId::new(now);
    tx.execute(
        "INSERT INTO session (id, token_hash, user_id, how, address, browser, created_at, seen_at, proved_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?7)",
        params![id, token.hash(), new.user, new.how.as_str(), new.address, new.browser, now.0],
    )?;
    Ok(id)
}

/// Whose a token is.
#[derive(Clone, Debug)]
pub struct Found {
    pub id: SessionId,
    pub user: User,
    pub how: How,
    pub proved_at: Timestamp,
    /// Its time of use wants to be written.
    pub stale: bool,
}

impl Found {
    /// Whether its owner has just proved who he is. A proof of the future is none: a clock that was set back must not
    /// keep one fresh for days.
    pub fn fresh(&self, now: Timestamp) -> bool {
        (-SKEW_MILLIS..FRESH_MILLIS).contains(&now.since(self.proved_at))
    }
}

/// The session and account behind a token, where it has not ended.
///
/// # Errors
/// The database's own.
pub fn session_find(connection: &Connection, token: &Token, limits: Limits, now: Timestamp) -> Result<Option<Found>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT u.id, u.login, u.name, u.role, u.body, u.disabled, s.id, s.seen_at, s.proved_at, s.how
         FROM session s JOIN user_account u ON u.id = s.user_id
         WHERE s.token_hash = ?1 AND s.created_at > ?2 AND s.seen_at > ?3 AND u.disabled = 0",
    )?;
    let found = statement
        .query_row(params![token.hash(), now.0 - limits.age_millis, now.0 - limits.idle_millis], |row| {
            let seen_at: i64 = row.get(7)?;
            let stale = now.0 - seen_at >= SEEN_STEP_MILLIS;
            let how = How::parse(&row.get::<_, String>(9)?).unwrap_or(How::Password);
            Ok(Found { id: row.get(6)?, user: user::from_row(row)?, how, proved_at: Timestamp(row.get(8)?), stale })
        })
        .optional()?;
    Ok(found.filter(|found| !found.user.disabled))
}

/// Notes that the session was used.
///
/// # Errors
/// The database's own.
pub fn session_seen(tx: &Transaction<'_>, token: &Token, now: Timestamp) -> Result<(), DbError> {
    tx.execute("UPDATE session SET seen_at = ?2 WHERE token_hash = ?1", params![token.hash(), now.0])?;
    Ok(())
}

/// Notes that its owner has just proved who he is.
///
/// # Errors
/// The database's own.
pub fn session_proved(tx: &Transaction<'_>, token: &Token, now: Timestamp) -> Result<(), DbError> {
    tx.execute("UPDATE session SET proved_at = ?2, seen_at = ?2 WHERE token_hash = ?1", params![token.hash(), now.0])?;
    Ok(())
}

/// # Errors
/// The database's own.
pub fn session_close(tx: &Transaction<'_>, token: &Token) -> Result<(), DbError> {
    tx.execute("DELETE FROM session WHERE token_hash = ?1", params![token.hash()])?;
    Ok(())
}

/// A session as its owner's page lists it.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: SessionId,
    pub how: Option<How>,
    pub address: String,
    pub browser: String,
    pub created_at: Timestamp,
    pub seen_at: Timestamp,
}

/// An account's open sessions, the one used last first.
///
/// # Errors
/// The database's own.
pub fn session_list(connection: &Connection, user: UserId, limits: Limits, now: Timestamp) -> Result<Vec<Listed>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, how, address, browser, created_at, seen_at FROM session
         WHERE user_id = ?1 AND created_at > ?2 AND seen_at > ?3 ORDER BY seen_at DESC, id DESC LIMIT ?4",
    )?;
    let rows =
        statement.query_map(params![user, now.0 - limits.age_millis, now.0 - limits.idle_millis, PER_USER_MAX], |row: &Row<'_>| {
            Ok(Listed {
                id: row.get(0)?,
                how: How::parse(&row.get::<_, String>(1)?),
                address: row.get(2)?,
                browser: row.get(3)?,
                created_at: Timestamp(row.get(4)?),
                seen_at: Timestamp(row.get(5)?),
            })
        })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Ends one session of an account; whether there was one.
///
/// # Errors
/// The database's own.
pub fn session_revoke(tx: &Transaction<'_>, user: UserId, id: SessionId) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM session WHERE user_id = ?1 AND id = ?2", params![user, id])? > 0)
}

/// Ends all sessions of an account, or all but one; how many.
///
/// # Errors
/// The database's own.
pub fn session_revoke_all(tx: &Transaction<'_>, user: UserId, but: Option<SessionId>) -> Result<usize, DbError> {
    let but = but.map(|id| id.to_string()).unwrap_or_default();
    Ok(tx.execute("DELETE FROM session WHERE user_id = ?1 AND id <> ?2", params![user, but])?)
}

#[cfg(test)]
mod tests {
    use detect::role::Role;
    use ingest::db::Db;

    use super::*;

    const LIMITS: Limits = Limits { idle_millis: IDLE_MILLIS_MAX, age_millis: AGE_MILLIS_MAX };
    const IDLE_MILLIS_MAX: i64 = 2 * Timestamp::HOUR;
    const AGE_MILLIS_MAX: i64 = 12 * Timestamp::HOUR;

    fn db() -> (tempfile::TempDir, Db, UserId) {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[user::MIGRATIONS, MIGRATIONS]).unwrap();
        let id = UserId::new(Timestamp(1));
        let user = User { id, login: "a".into(), name: "A".into(), role: Role::Analyst, body: None, disabled: false };
        db.write(move |tx| user::user_add(tx, &user, "h", Timestamp(1))).unwrap();
        (dir, db, id)
    }

    fn open(db: &Db, user: UserId, now: Timestamp) -> Token {
        let token = Token::new();
        let copy = token.clone();
        let new = NewSession { user, how: How::Password, address: String::new(), browser: "Firefox".into() };
        db.write(move |tx| session_open(tx, &new, &copy, LIMITS, now)).unwrap();
        token
    }

    fn found(db: &Db, token: &Token, now: Timestamp) -> bool {
        db.read(|c| session_find(c, token, LIMITS, now)).unwrap().is_some()
    }

    #[test]
    fn a_session_ends_when_idle_and_when_old() {
        let (_dir, db, user) = db();
        let start = Timestamp(1_000_000_000);
        let token = open(&db, user, start);
        assert!(found(&db, &token, start.plus(IDLE_MILLIS_MAX - 1)));
        assert!(!found(&db, &token, start.plus(IDLE_MILLIS_MAX)));
        // Used every hour it still ends at its age.
        for hour in 1..=11 {
            let copy = token.clone();
            db.write(move |tx| session_seen(tx, &copy, start.plus(hour * Timestamp::HOUR))).unwrap();
        }
        assert!(found(&db, &token, start.plus(AGE_MILLIS_MAX - 1)));
        assert!(!found(&db, &token, start.plus(AGE_MILLIS_MAX)));
    }

    #[test]
    fn the_database_never_holds_the_token_and_a_logout_ends_it() {
        let (_dir, db, user) = db();
        let token = open(&db, user, Timestamp(5));
        let stored: String =
            db.read(|c| c.query_row("SELECT token_hash FROM session", [], |row| row.get(0)).map_err(DbError::from)).unwrap();
        assert_ne!(stored, token.as_str());
        assert!(Token::parse(&stored).is_some_and(|stolen| !found(&db, &stolen, Timestamp(6))));
        let copy = token.clone();
        db.write(move |tx| session_close(tx, &copy)).unwrap();
        assert!(!found(&db, &token, Timestamp(6)));
    }

    #[test]
    fn the_oldest_of_too_many_sessions_goes() {
        let (_dir, db, user) = db();
        let tokens: Vec<Token> = (0..12).map(|n| open(&db, user, Timestamp(100 + n))).collect();
        let alive: Vec<bool> = tokens.iter().map(|token| found(&db, token, Timestamp(200))).collect();
        assert_eq!(alive.iter().filter(|alive| **alive).count(), 10);
        assert!(!alive[0] && !alive[1] && alive[11]);
    }

    #[test]
    fn a_csrf_token_is_its_sessions_own() {
        let (one, two) = (Token::new(), Token::new());
        assert!(one.csrf_fits(&one.csrf()));
        assert!(!one.csrf_fits(&two.csrf()) && !one.csrf_fits("") && !one.csrf_fits(one.as_str()));
        assert!(Token::parse("zz").is_none() && Token::parse(&"é".repeat(32)).is_none());
    }

    #[test]
    fn sessions_are_listed_and_ended_by_their_owner_only() {
        let (_dir, db, user) = db();
        let tokens: Vec<Token> = (0..3).map(|n| open(&db, user, Timestamp(100 + n))).collect();
        let now = Timestamp(500);
        let list = || db.read(|c| session_list(c, user, LIMITS, now)).unwrap();
        let (first, keep) = (list()[2].id, list()[0].id);
        assert!(!db.write(move |tx| session_revoke(tx, UserId::new(Timestamp(9)), first)).unwrap(), "somebody else's");
        assert!(db.write(move |tx| session_revoke(tx, user, first)).unwrap());
        assert!(!found(&db, &tokens[0], now) && found(&db, &tokens[1], now));
        assert_eq!(db.write(move |tx| session_revoke_all(tx, user, Some(keep))).unwrap(), 1);
        assert!(!found(&db, &tokens[1], now) && found(&db, &tokens[2], now));
        assert_eq!(db.write(move |tx| session_revoke_all(tx, user, None)).unwrap(), 1);
        assert!(list().is_empty());
    }

    #[test]
    fn a_proof_is_fresh_for_ten_minutes() {
        let (_dir, db, user) = db();
        let token = open(&db, user, Timestamp(0));
        let fresh = |now: Timestamp| db.read(|c| session_find(c, &token, LIMITS, now)).unwrap().unwrap().fresh(now);
        assert!(fresh(Timestamp(FRESH_MILLIS - 1)) && !fresh(Timestamp(FRESH_MILLIS)));
        let copy = token.clone();
        db.write(move |tx| session_proved(tx, &copy, Timestamp(FRESH_MILLIS))).unwrap();
        assert!(fresh(Timestamp(2 * FRESH_MILLIS - 1)));
        assert!(fresh(Timestamp(FRESH_MILLIS - SKEW_MILLIS)), "a clock that was set right");
        assert!(!fresh(Timestamp(FRESH_MILLIS - SKEW_MILLIS - 1)), "a clock that was set back");
    }

    #[test]
    fn every_way_in_reads_back() {
        for how in How::ALL {
            assert_eq!(How::parse(how.as_str()), Some(how));
        }
    }
}

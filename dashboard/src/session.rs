//! Sessions: a random token in a cookie, its hash in the database, an idle and an absolute end. The CSRF token of
//! a session is derived from it, so that it needs no row of its own and dies with it.

use ingest::db::DbError;
use ingest::rusqlite::{Connection, Transaction, params};
use ingest::time::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::user::{self, User, UserId};

/// Without a click this long the session ends; the live refresh does not count as one.
pub const IDLE_MILLIS_MAX: i64 = 2 * Timestamp::HOUR;
/// One shift and its hand-over; then the password is asked for again.
pub const AGE_MILLIS_MAX: i64 = 12 * Timestamp::HOUR;
/// `seen_at` is written at most this often: a page view must not cost an fsync.
const SEEN_STEP_MILLIS: i64 = Timestamp::MINUTE;
/// Sessions kept per account; a further login ends the oldest.
const PER_USER_MAX: i64 = 10;

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

    fn hash(&self) -> String {
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

/// Opens a session; the account's oldest beyond the bound and all that have ended go.
///
/// # Errors
/// The database's own.
pub fn session_open(tx: &Transaction<'_>, user: UserId, token: &Token, now: Timestamp) -> Result<(), DbError> {
    tx.execute("DELETE FROM session WHERE created_at < ?1 OR seen_at < ?2", params![now.0 - AGE_MILLIS_MAX, now.0 - IDLE_MILLIS_MAX])?;
    tx.execute(
        "DELETE FROM session WHERE user_id = ?1 AND token_hash NOT IN
           (SELECT token_hash FROM session WHERE user_id = ?1 ORDER BY created_at DESC, token_hash LIMIT ?2)",
        params![user, PER_USER_MAX - 1],
    )?;
    tx.execute(
        "INSERT INTO session (token_hash, user_id, created_at, seen_at) VALUES (?1, ?2, ?3, ?3)",
        params![token.hash(), user, now.0],
    )?;
    Ok(())
}

/// The account behind a token that has not ended, and whether its time of use wants to be written.
///
/// # Errors
/// The database's own.
pub fn session_find(connection: &Connection, token: &Token, now: Timestamp) -> Result<Option<(User, bool)>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT u.id, u.login, u.name, u.role, u.body, u.disabled, s.seen_at FROM session s JOIN user_account u ON u.id = s.user_id
         WHERE s.token_hash = ?1 AND s.created_at > ?2 AND s.seen_at > ?3 AND u.disabled = 0",
    )?;
    let mut rows = statement.query_map(params![token.hash(), now.0 - AGE_MILLIS_MAX, now.0 - IDLE_MILLIS_MAX], |row| {
        let seen_at: i64 = row.get(6)?;
        Ok((user::from_row(row)?, now.0 - seen_at >= SEEN_STEP_MILLIS))
    })?;
    let found = rows.next().transpose()?;
    Ok(found.filter(|(user, _)| !user.disabled))
}

/// Notes that the session was used.
///
/// # Errors
/// The database's own.
pub fn session_seen(tx: &Transaction<'_>, token: &Token, now: Timestamp) -> Result<(), DbError> {
    tx.execute("UPDATE session SET seen_at = ?2 WHERE token_hash = ?1", params![token.hash(), now.0])?;
    Ok(())
}

/// # Errors
/// The database's own.
pub fn session_close(tx: &Transaction<'_>, token: &Token) -> Result<(), DbError> {
    tx.execute("DELETE FROM session WHERE token_hash = ?1", params![token.hash()])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use detect::role::Role;
    use ingest::db::Db;

    use super::*;

    fn db() -> (tempfile::TempDir, Db, UserId) {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[user::MIGRATIONS]).unwrap();
        let id = UserId::new(Timestamp(1));
        let user = User { id, login: "a".into(), name: "A".into(), role: Role::Analyst, body: None, disabled: false };
        db.write(move |tx| user::user_add(tx, &user, "h", Timestamp(1))).unwrap();
        (dir, db, id)
    }

    fn open(db: &Db, user: UserId, now: Timestamp) -> Token {
        let token = Token::new();
        let copy = token.clone();
        db.write(move |tx| session_open(tx, user, &copy, now)).unwrap();
        token
    }

    fn found(db: &Db, token: &Token, now: Timestamp) -> bool {
        db.read(|c| session_find(c, token, now)).unwrap().is_some()
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
}

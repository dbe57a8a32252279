//! Accounts and their store: argon2id hashes, one role each, a body for those who answer for one. What an account
//! may see is `access`' affair.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use detect::role::Role;
use ingest::body::BodyId;
use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, Row, Transaction, params};
use ingest::time::Timestamp;

ingest::id_type!(
    /// An account.
    UserId
);

pub const MIGRATIONS: Migrations = Migrations {
    owner: "user",
    steps: &["
        CREATE TABLE user_account (
            id TEXT PRIMARY KEY,
            login TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            role TEXT NOT NULL,
            body TEXT,
            password TEXT NOT NULL,
            disabled BIGINT NOT NULL DEFAULT 0,
            created_at BIGINT NOT NULL
        );
        CREATE TABLE session (
            token_hash TEXT PRIMARY KEY,
            user_id TEXT NOT NULL REFERENCES user_account (id),
            created_at BIGINT NOT NULL,
            seen_at BIGINT NOT NULL
        );
        CREATE INDEX session_user ON session (user_id);
    "],
};

/// An account without its secret.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub id: UserId,
    /// What is typed at the door: lower case, unique.
    pub login: String,
    /// How the person is named on pages.
    pub name: String,
    pub role: Role,
    pub body: Option<BodyId>,
    pub disabled: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error("password shorter than {PASSWORD_CHARS_MIN} characters")]
    PasswordShort,
    #[error("password longer than {PASSWORD_BYTES_MAX} bytes")]
    PasswordLong,
    #[error("login name is empty, too long or has odd characters: {0:?}")]
    Login(String),
    #[error("a user of role {} needs a body", .0.as_str())]
    NoBody(Role),
    #[error("hash the password")]
    Hash,
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Stands where a hash would: the account has no password (yet). It fits none, being no hash.
pub const NO_PASSWORD: &str = "!";

/// BSI and NIST: length beats rules about characters.
pub const PASSWORD_CHARS_MIN: usize = 10;
/// argon2 reads all of it: more is no secret but work for us.
pub const PASSWORD_BYTES_MAX: usize = 256;
pub const LOGIN_CHARS_MAX: usize = 64;

/// What is typed as the account's name, as it is stored: trimmed, lower case.
pub fn login_normal(text: &str) -> String {
    text.trim().to_lowercase().chars().take(LOGIN_CHARS_MAX).collect()
}

/// Hashes with argon2id (19 MiB, 2 passes: OWASP's first choice and this crate's default). Slow on purpose: never
/// call it inside a transaction.
///
/// # Errors
/// Where the password is too short or too long.
pub fn password_hash(password: &str) -> Result<String, UserError> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(UserError::PasswordShort);
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(UserError::PasswordLong);
    }
    let hash: PasswordHash = Argon2::default().hash_password(password.as_bytes()).map_err(|_| UserError::Hash)?;
    Ok(hash.to_string())
}

/// Whether the password fits. Without an account it hashes all the same, so that the answer's time tells nothing.
pub fn password_verify(password: &str, stored: Option<&str>) -> bool {
    // Hash of random bytes that nobody kept, with the parameters above.
    const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$tX8G1p3qvlZxqKf3Jt9m2y0l0bq0dGvQwQmJbqzGvGE";
    // An account without a password must cost as much as one with: else the time tells which sign in elsewhere.
    let known = stored.and_then(|stored| PasswordHash::new(stored).ok());
    let Some(hash) = known.clone().or_else(|| PasswordHash::new(NOBODY).ok()) else { return false };
    let long = password.len() > PASSWORD_BYTES_MAX;
    let fits = Argon2::default().verify_password(if long { b"" } else { password.as_bytes() }, &hash).is_ok();
    fits && known.is_some() && !long
}

/// Adds an account; `hash` is `password_hash`'s.
///
/// # Errors
/// Where the login is no login, taken, or the role needs a body; the database's own.
pub fn user_add(tx: &Transaction<'_>, user: &User, hash: &str, now: Timestamp) -> Result<(), UserError> {
    let odd = |ch: char| ch.is_control() || ch.is_whitespace();
    if user.login.is_empty() || user.login != login_normal(&user.login) || user.login.chars().any(odd) {
        return Err(UserError::Login(user.login.chars().take(LOGIN_CHARS_MAX).collect()));
    }
    // A provider's account may have an organisation instead, which it joins next (`mandate::provider_join`).
    if user.body.is_none() && user.role == Role::Municipality {
        return Err(UserError::NoBody(user.role));
    }
    tx.execute(
        "INSERT INTO user_account (id, login, name, role, body, password, disabled, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![user.id, user.login, user.name, user.role.as_str(), user.body, hash, i64::from(user.disabled), now.0],
    )
    .map_err(DbError::from)?;
    crate::mandate::provider_adopt(tx, user, now)?;
    Ok(())
}

/// All accounts by login.
///
/// # Errors
/// The database's own.
pub fn user_list(connection: &Connection) -> Result<Vec<User>, DbError> {
    let mut statement = connection.prepare_cached("SELECT id, login, name, role, body, disabled FROM user_account ORDER BY login")?;
    let rows = statement.query_map([], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// # Errors
/// The database's own.
pub fn user_get(connection: &Connection, id: UserId) -> Result<Option<User>, DbError> {
    let mut statement = connection.prepare_cached("SELECT id, login, name, role, body, disabled FROM user_account WHERE id = ?1")?;
    let mut rows = statement.query_map([id], from_row)?;
    Ok(rows.next().transpose()?)
}

/// The account of that login with its hash; a disabled one is not found.
///
/// # Errors
/// The database's own.
pub(crate) fn user_by_login(connection: &Connection, login: &str) -> Result<Option<(User, String)>, DbError> {
    let mut statement = connection
        .prepare_cached("SELECT id, login, name, role, body, disabled, password FROM user_account WHERE login = ?1 AND disabled = 0")?;
    let mut rows = statement.query_map([login], |row| Ok((from_row(row)?, row.get(6)?)))?;
    Ok(rows.next().transpose()?)
}

/// Sets another password and ends all sessions of the account.
///
/// # Errors
/// The database's own.
pub fn user_password_set(tx: &Transaction<'_>, id: UserId, hash: &str) -> Result<(), DbError> {
    tx.execute("UPDATE user_account SET password = ?2 WHERE id = ?1", params![id, hash])?;
    tx.execute("DELETE FROM session WHERE user_id = ?1", params![id])?;
    Ok(())
}

pub(crate) fn from_row(row: &Row<'_>) -> ingest::rusqlite::Result<User> {
    let role: String = row.get(3)?;
    let known = Role::parse(&role);
    let disabled: i64 = row.get(5)?;
    Ok(User {
        id: row.get(0)?,
        login: row.get(1)?,
        name: row.get(2)?,
        // A role that this program does not know may do nothing: the account counts as disabled.
        role: known.unwrap_or(Role::Auditor),
        body: row.get(4)?,
        disabled: disabled != 0 || known.is_none(),
    })
}

#[cfg(test)]
mod tests {
    use ingest::db::Db;

    use super::*;

    fn user(login: &str, role: Role, body: Option<BodyId>) -> User {
        User { id: UserId::new(Timestamp(1)), login: login.into(), name: "M. Lindner".into(), role, body, disabled: false }
    }

    #[test]
    fn a_password_fits_only_its_own_hash() {
        let hash = password_hash("Wartburg-1521!").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(password_verify("Wartburg-1521!", Some(&hash)));
        for (password, stored) in
            [("wartburg-1521!", Some(hash.as_str())), ("Wartburg-1521!", None), ("", Some(&hash)), ("x", Some("no hash"))]
        {
            assert!(!password_verify(password, stored), "{password}");
        }
        assert!(!password_verify(&"x".repeat(PASSWORD_BYTES_MAX + 1), Some(&hash)));
        assert!(matches!(password_hash("kurz"), Err(UserError::PasswordShort)));
        assert!(matches!(password_hash(&"x".repeat(PASSWORD_BYTES_MAX + 1)), Err(UserError::PasswordLong)));
    }

    #[test]
    fn an_unknown_user_costs_a_hash_too() {
        // The stand-in must parse, else unknown users would be answered at once.
        let nobody = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$tX8G1p3qvlZxqKf3Jt9m2y0l0bq0dGvQwQmJbqzGvGE";
        let hash = PasswordHash::new(nobody).unwrap();
        assert!(matches!(Argon2::default().verify_password(b"x", &hash), Err(argon2::password_hash::Error::PasswordInvalid)));
    }

    #[test]
    fn accounts_are_kept_and_odd_ones_refused() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let body = Some(BodyId::new(Timestamp(0)));
        let add = |user: User| db.write(move |tx| user_add(tx, &user, "hash", Timestamp(1)));
        add(user("m.lindner", Role::Analyst, None)).unwrap();
        add(user("isb@soemmerda.de", Role::Municipality, body)).unwrap();
        for (login, role) in
            [("m.lindner", Role::Lead), ("", Role::Lead), ("Groß", Role::Lead), ("a b", Role::Lead), ("x", Role::Municipality)]
        {
            assert!(add(user(login, role, None)).is_err(), "{login}");
        }
        let all = db.read(user_list).unwrap();
        assert_eq!(
            all.iter().map(|user| (user.login.as_str(), user.role)).collect::<Vec<_>>(),
            [("isb@soemmerda.de", Role::Municipality), ("m.lindner", Role::Analyst)]
        );
        let found = db.read(|c| user_by_login(c, &login_normal(" M.Lindner "))).unwrap().unwrap();
        assert_eq!((found.0.name.as_str(), found.1.as_str()), ("M. Lindner", "hash"));
    }
}

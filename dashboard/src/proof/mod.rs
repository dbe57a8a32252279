//! How somebody proves who he is: a password by rules, a code from an app, a passkey, a recovery code. Each has a file with
//! its judging and its store; which of them an account has is `Standing`. When which is asked for is `login`'s affair.

pub mod passkey;
pub mod password;
pub mod recovery;
pub mod totp;
pub mod vault;

use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use ingest::time::Timestamp;

use crate::user::UserId;

/// Registered behind `user`.
pub const MIGRATIONS: Migrations = Migrations {
    owner: "proof",
    steps: &["
        CREATE TABLE totp (
            user_id TEXT PRIMARY KEY REFERENCES user_account (id),
            sealed TEXT NOT NULL,
            last_step BIGINT NOT NULL,
            confirmed_at BIGINT,
            pending TEXT NOT NULL,
            pending_at BIGINT NOT NULL
        );
        CREATE TABLE recovery_code (
            id TEXT PRIMARY KEY,
            user_id TEXT NOT NULL REFERENCES user_account (id),
            salt TEXT NOT NULL,
            hash TEXT NOT NULL,
            used_at BIGINT
        );
        CREATE INDEX recovery_code_by_user ON recovery_code (user_id);
        CREATE TABLE passkey (
            id TEXT PRIMARY KEY,
            user_id TEXT NOT NULL REFERENCES user_account (id),
            credential TEXT NOT NULL UNIQUE,
            transports BIGINT NOT NULL,
            fixed TEXT NOT NULL,
            state TEXT NOT NULL,
            name TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            used_at BIGINT
        );
        CREATE INDEX passkey_by_user ON passkey (user_id);
        CREATE TABLE password_due (
            user_id TEXT PRIMARY KEY REFERENCES user_account (id),
            since BIGINT NOT NULL
        );
    "],
};

/// By what an account can prove itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Somebody who only ever comes by the identity provider has none.
    pub password: bool,
    /// Somebody else set it: it must be changed at the next login.
    pub password_due: bool,
    pub totp: bool,
    pub passkeys: usize,
    pub recovery_left: usize,
}

impl Standing {
    /// Whether there is something beside the password. Recovery codes alone are not: they stand in for a lost factor.
    pub fn second_factor(self) -> bool {
        self.totp || self.passkeys > 0
    }
}

/// # Errors
/// The database's own.
pub fn standing(connection: &Connection, user: UserId) -> Result<Standing, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT (SELECT COUNT(*) FROM user_account WHERE id = ?1 AND password NOT IN ('', '!')),
                (SELECT COUNT(*) FROM password_due WHERE user_id = ?1),
                (SELECT COUNT(*) FROM totp WHERE user_id = ?1 AND confirmed_at IS NOT NULL),
                (SELECT COUNT(*) FROM passkey WHERE user_id = ?1),
                (SELECT COUNT(*) FROM recovery_code WHERE user_id = ?1 AND used_at IS NULL)",
    )?;
    let count = |n: i64| usize::try_from(n).unwrap_or(0);
    let found = statement
        .query_row([user], |row| {
            Ok(Standing {
                password: row.get::<_, i64>(0)? > 0,
                password_due: row.get::<_, i64>(1)? > 0,
                totp: row.get::<_, i64>(2)? > 0,
                passkeys: count(row.get(3)?),
                recovery_left: count(row.get(4)?),
            })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Demands another password at the next login: somebody else knows the one that was just set.
///
/// # Errors
/// The database's own.
pub fn password_due_set(tx: &Transaction<'_>, user: UserId, now: Timestamp) -> Result<(), DbError> {
    tx.execute("INSERT INTO password_due (user_id, since) VALUES (?1, ?2) ON CONFLICT (user_id) DO NOTHING", params![user, now.0])?;
    Ok(())
}

/// The owner has chosen a password himself.
///
/// # Errors
/// The database's own.
pub fn password_due_clear(tx: &Transaction<'_>, user: UserId) -> Result<(), DbError> {
    tx.execute("DELETE FROM password_due WHERE user_id = ?1", [user])?;
    Ok(())
}

/// Sets a password in the owner's stead, who must choose another at the next login. Ends all his sessions and logins.
///
/// # Errors
/// The database's own.
pub fn password_reset(tx: &Transaction<'_>, user: UserId, hash: &str, now: Timestamp) -> Result<(), DbError> {
    crate::user::user_password_set(tx, user, hash)?;
    crate::login::half_close_all(tx, user)?;
    password_due_set(tx, user, now)
}

/// Takes every factor from an account: for an administrator whom its owner has convinced on the phone that all are lost.
///
/// # Errors
/// The database's own.
pub fn factors_clear(tx: &Transaction<'_>, user: UserId) -> Result<(), DbError> {
    for table in ["totp", "passkey", "recovery_code"] {
        tx.execute(&format!("DELETE FROM {table} WHERE user_id = ?1"), [user])?;
    }
    Ok(())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use detect::role::Role;
    use ingest::db::Db;

    use super::*;
    use crate::user::{self, User};

    /// A database with one account.
    pub(crate) fn db() -> (tempfile::TempDir, Db, UserId) {
        db_with(&[MIGRATIONS])
    }

    pub(crate) fn db_with(owners: &[Migrations]) -> (tempfile::TempDir, Db, UserId) {
        let dir = tempfile::tempdir().unwrap();
        let owners = [&[user::MIGRATIONS, crate::session::MIGRATIONS], owners].concat();
        let db = Db::open(&dir.path().join("w.db"), &owners).unwrap();
        let id = UserId::new(Timestamp(1));
        let user = User { id, login: "m.lindner".into(), name: "M. Lindner".into(), role: Role::Analyst, body: None, disabled: false };
        db.write(move |tx| user::user_add(tx, &user, "h", Timestamp(1))).unwrap();
        (dir, db, id)
    }

    #[test]
    fn an_account_begins_with_a_password_and_nothing_else() {
        let (_dir, db, user) = db();
        let has = || db.read(|c| standing(c, user)).unwrap();
        assert_eq!(has(), Standing { password: true, ..Standing::default() });
        db.write(move |tx| password_due_set(tx, user, Timestamp(2))).unwrap();
        assert!(has().password_due);
        db.write(move |tx| password_due_clear(tx, user)).unwrap();
        assert!(!has().password_due && !has().second_factor());
    }
}

//! The way from name and password to a session, as a small machine: what has been proved and what the account has decide
//! the next step (`next`), nothing else does. Between the steps there is only a half-session: a secret in a cookie of its
//! own that opens the one page of its step and nothing else, ends soon, and is replaced at every step.

use detect::role::Role;
use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use ingest::time::Timestamp;

use crate::proof::Standing;
use crate::session::{How, Token};
use crate::user::{self, User, UserId};

/// Registered behind `user`.
pub const MIGRATIONS: Migrations = Migrations {
    owner: "login",
    steps: &["
        CREATE TABLE half_session (
            token_hash TEXT PRIMARY KEY,
            user_id TEXT NOT NULL REFERENCES user_account (id),
            step TEXT NOT NULL,
            how TEXT NOT NULL,
            target TEXT NOT NULL,
            ends_at BIGINT NOT NULL
        );
        CREATE INDEX half_session_by_user ON half_session (user_id);
    "],
};

/// What somebody has to do before he is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Prove a second factor.
    Factor,
    /// Set one up, because his role demands one and he has none.
    Enrol,
    /// Choose a password of his own.
    Password,
}

impl Step {
    pub const ALL: [Self; 3] = [Self::Factor, Self::Enrol, Self::Password];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Factor => "factor",
            Self::Enrol => "enrol",
            Self::Password => "password",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == text)
    }

    /// How long the step may take. A code is at hand; an app has to be found and installed first.
    pub fn millis(self) -> i64 {
        match self {
            Self::Factor => 5 * Timestamp::MINUTE,
            Self::Enrol | Self::Password => 15 * Timestamp::MINUTE,
        }
    }
}

/// Which step comes next; `None` is the session. Somebody who came by a passkey has proved two factors in one; who came by
/// the identity provider or a one-time link proved himself there.
pub fn next(how: How, has: Standing, demanded: bool) -> Option<Step> {
    let second = match how {
        How::Password => false,
        How::PasswordAndCode | How::PasswordAndPasskey | How::PasswordAndRecovery | How::Passkey | How::Oidc | How::Link => true,
    };
    if !second && has.second_factor() {
        return Some(Step::Factor);
    }
    // With a recovery code somebody says that the factor is lost, not that he has none: it stays until he removes it.
    if demanded && !has.second_factor() && !matches!(how, How::Oidc) {
        return Some(Step::Enrol);
    }
    let by_password = !matches!(how, How::Passkey | How::Oidc | How::Link);
    (has.password_due && by_password).then_some(Step::Password)
}

/// Of which roles a second factor is demanded (`web.second_factor`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand(pub Vec<Role>);

impl Demand {
    pub fn of(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
}

/// Half-sessions of one account at once: as many as somebody plausibly has windows open.
const PER_USER_MAX: i64 = 5;

/// A login half done.
#[derive(Clone, Debug)]
pub struct Half {
    pub user: User,
    pub step: Step,
    pub how: How,
    /// Where he wanted to go.
    pub target: String,
}

/// Begins a step; what was left of earlier logins goes.
///
/// # Errors
/// The database's own.
pub fn half_open(
    tx: &Transaction<'_>,
    user: UserId,
    step: Step,
    how: How,
    target: &str,
    token: &Token,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute("DELETE FROM half_session WHERE ends_at <= ?1", [now.0])?;
    tx.execute(
        "DELETE FROM half_session WHERE user_id = ?1 AND token_hash NOT IN
           (SELECT token_hash FROM half_session WHERE user_id = ?1 ORDER BY ends_at DESC, token_hash LIMIT ?2)",
        params![user, PER_USER_MAX - 1],
    )?;
    tx.execute(
        "INSERT INTO half_session (token_hash, user_id, step, how, target, ends_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![token.hash(), user, step.as_str(), how.as_str(), target, now.0 + step.millis()],
    )?;
    Ok(())
}

/// The login behind a token, where it has not ended and its account may still come in.
///
/// # Errors
/// The database's own.
pub fn half_find(connection: &Connection, token: &Token, now: Timestamp) -> Result<Option<Half>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT u.id, u.login, u.name, u.role, u.body, u.disabled, h.step, h.how, h.target
         FROM half_session h JOIN user_account u ON u.id = h.user_id WHERE h.token_hash = ?1 AND h.ends_at > ?2",
    )?;
    let found = statement
        .query_row(params![token.hash(), now.0], |row| {
            let (step, how): (String, String) = (row.get(6)?, row.get(7)?);
            Ok((user::from_row(row)?, Step::parse(&step), How::parse(&how), row.get(8)?))
        })
        .optional()?;
    Ok(found.and_then(|(user, step, how, target)| Some(Half { user, step: step?, how: how?, target })).filter(|half| !half.user.disabled))
}

/// Ends a half-session. Whether there was one: of two who finish the same step at once, one does.
///
/// # Errors
/// The database's own.
pub fn half_close(tx: &Transaction<'_>, token: &Token) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM half_session WHERE token_hash = ?1", [token.hash()])? == 1)
}

/// Ends all half-sessions of an account: its password or factors have changed.
///
/// # Errors
/// The database's own.
pub fn half_close_all(tx: &Transaction<'_>, user: UserId) -> Result<(), DbError> {
    tx.execute("DELETE FROM half_session WHERE user_id = ?1", [user])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_machine() {
        let none = Standing { password: true, ..Standing::default() };
        let app = Standing { totp: true, recovery_left: 10, ..none };
        let mut table = String::new();
        for (what, has) in [("nothing more", none), ("an app", app), ("a passkey", Standing { passkeys: 1, ..none })] {
            for due in [false, true] {
                let has = Standing { password_due: due, ..has };
                for demanded in [false, true] {
                    let steps: Vec<String> = How::ALL
                        .into_iter()
                        .map(|how| format!("{}→{}", how.as_str(), next(how, has, demanded).map_or("in", Step::as_str)))
                        .collect();
                    let due = if due { ", password set by another" } else { "" };
                    let demanded = if demanded { ", second factor demanded" } else { "" };
                    table += &format!("{what}{due}{demanded}: {}\n", steps.join(" "));
                }
            }
        }
        expect![[r#"
            nothing more: password→in password+totp→in password+passkey→in password+recovery→in passkey→in oidc→in link→in
            nothing more, second factor demanded: password→enrol password+totp→enrol password+passkey→enrol password+recovery→enrol passkey→enrol oidc→in link→enrol
            nothing more, password set by another: password→password password+totp→password password+passkey→password password+recovery→password passkey→in oidc→in link→in
            nothing more, password set by another, second factor demanded: password→enrol password+totp→enrol password+passkey→enrol password+recovery→enrol passkey→enrol oidc→in link→enrol
            an app: password→factor password+totp→in password+passkey→in password+recovery→in passkey→in oidc→in link→in
            an app, second factor demanded: password→factor password+totp→in password+passkey→in password+recovery→in passkey→in oidc→in link→in
            an app, password set by another: password→factor password+totp→password password+passkey→password password+recovery→password passkey→in oidc→in link→in
            an app, password set by another, second factor demanded: password→factor password+totp→password password+passkey→password password+recovery→password passkey→in oidc→in link→in
            a passkey: password→factor password+totp→in password+passkey→in password+recovery→in passkey→in oidc→in link→in
            a passkey, second factor demanded: password→factor password+totp→in password+passkey→in password+recovery→in passkey→in oidc→in link→in
            a passkey, password set by another: password→factor password+totp→password password+passkey→password password+recovery→password passkey→in oidc→in link→in
            a passkey, password set by another, second factor demanded: password→factor password+totp→password password+passkey→password password+recovery→password passkey→in oidc→in link→in
        "#]].assert_eq(&table);
    }

    #[test]
    fn a_half_session_ends_and_its_account_may_end_before() {
        let (_dir, db, user) = crate::proof::tests::db_with(&[MIGRATIONS]);
        let open = |step: Step| {
            let token = Token::new();
            let copy = token.clone();
            db.write(move |tx| half_open(tx, user, step, How::Password, "/alarme", &copy, Timestamp(1_000))).unwrap();
            token
        };
        let found = |token: &Token, at: i64| db.read(|c| half_find(c, token, Timestamp(at))).unwrap();
        let token = open(Step::Factor);
        let half = found(&token, 1_001).unwrap();
        assert_eq!((half.step, half.target.as_str(), half.user.id), (Step::Factor, "/alarme", user));
        assert!(found(&token, 1_000 + Step::Factor.millis()).is_none());
        assert!(found(&Token::new(), 1_001).is_none());
        let tokens: Vec<Token> = (0..8).map(|_| open(Step::Enrol)).collect();
        assert_eq!(tokens.iter().filter(|token| found(token, 1_001).is_some()).count(), 5);
        let last = tokens.last().unwrap().clone();
        let copy = last.clone();
        assert!(db.write(move |tx| half_close(tx, &copy)).unwrap());
        let copy = last.clone();
        assert!(!db.write(move |tx| half_close(tx, &copy)).unwrap(), "once");
        let token = open(Step::Password);
        db.write(|tx| tx.execute("UPDATE user_account SET disabled = 1", []).map_err(DbError::from)).unwrap();
        assert!(found(&token, 1_001).is_none());
    }
}

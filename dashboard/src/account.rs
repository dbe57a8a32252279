//! What an administrator does with accounts, each act with its row in the audit log: add, change, disable, reset, end the
//! sessions. And what follows from it for everybody: nobody changes the own account here, the last administrator stays.

use std::collections::HashMap;

use detect::role::Role;
use ingest::audit::{NewAudit, audit_add};
use ingest::body::BodyId;
use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, Transaction, params};
use ingest::time::Timestamp;
use serde_json::{Value, json};

use crate::invitation::{Kind, invitation_add};
use crate::login;
use crate::mandate::{MandateError, ProviderId, provider_join};
use crate::proof;
use crate::secret::Secret;
use crate::user::{self, NO_PASSWORD, User, UserError, UserId};

pub const MIGRATIONS: Migrations = Migrations {
    owner: "account",
    steps: &["CREATE TABLE user_login (user_id TEXT PRIMARY KEY REFERENCES user_account (id), at BIGINT NOT NULL);"],
};

/// One screen of accounts; the search narrows them down. 600 bodies with two officers each are more than fit anyway.
pub const LIST_MAX: usize = 200;
pub const NAME_CHARS_MAX: usize = 120;

/// An account as the administrator sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    pub user: User,
    pub provider: Option<ProviderId>,
    pub last_login: Option<Timestamp>,
    pub sessions: i64,
    /// Signs in at the outside provider: role and body follow its groups there.
    pub external: bool,
    pub has_password: bool,
    /// Until when an open link works.
    pub invited_until: Option<Timestamp>,
}

/// What an administrator may set.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub name: String,
    pub role: Role,
    pub body: Option<BodyId>,
    pub provider: Option<ProviderId>,
}

#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("no such account")]
    NotFound,
    /// Whoever hands out roles must not hand one to himself: a second administrator does.
    #[error("nobody changes the own account here")]
    Oneself,
    #[error("the last active administrator cannot be disabled or lose the role")]
    LastAdmin,
    #[error("name, role and body of this account follow the groups of the outside provider")]
    External,
    #[error("a name is needed, of at most {NAME_CHARS_MAX} characters")]
    Name,
    #[error("the login is taken")]
    Taken,
    /// Municipality without a body, provider without an organisation.
    #[error("the role needs somebody to act for")]
    NoTenant,
    #[error("no such body or provider")]
    NoSuchTenant,
    #[error(transparent)]
    User(UserError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<ingest::rusqlite::Error> for AccountError {
    fn from(error: ingest::rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

impl From<UserError> for AccountError {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Db(error) => Self::Db(error),
            other => Self::User(other),
        }
    }
}

impl From<MandateError> for AccountError {
    fn from(error: MandateError) -> Self {
        match error {
            MandateError::Db(error) => Self::Db(error),
            _ => Self::NoSuchTenant,
        }
    }
}

const COLUMNS: &str = "SELECT u.id, u.login, u.name, u.role, u.body, u.disabled, p.provider, l.at,
       (SELECT COUNT(*) FROM session s WHERE s.user_id = u.id),
       (SELECT COUNT(*) FROM user_identity i WHERE i.user_id = u.id),
       u.password <> '!',
       (SELECT MAX(until_at) FROM invitation v WHERE v.user_id = u.id AND v.used_at IS NULL AND v.until_at > ?1)
     FROM user_account u LEFT JOIN provider_account p ON p.user_id = u.id LEFT JOIN user_login l ON l.user_id = u.id";

/// Accounts by login, at most `LIST_MAX`, whose login or name contains `word`.
///
/// # Errors
/// The database's own.
pub fn account_list(connection: &Connection, word: &str, role: Option<Role>, now: Timestamp) -> Result<Vec<Account>, DbError> {
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} ORDER BY u.login"))?;
    let rows = statement.query_map([now.0], from_row)?;
    // Compared here: SQLite's own comparison knows no umlauts.
    let word = word.trim().to_lowercase();
    let mut found = vec![];
    for account in rows {
        let account = account?;
        let fits = account.user.login.contains(&word) || account.user.name.to_lowercase().contains(&word);
        if fits && role.is_none_or(|role| account.user.role == role) {
            found.push(account);
        }
        if found.len() > LIST_MAX {
            break;
        }
    }
    Ok(found)
}

/// # Errors
/// The database's own.
pub fn account_get(connection: &Connection, id: UserId, now: Timestamp) -> Result<Option<Account>, DbError> {
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} WHERE u.id = ?2"))?;
    let mut rows = statement.query_map(params![now.0, id], from_row)?;
    Ok(rows.next().transpose()?)
}

fn from_row(row: &ingest::rusqlite::Row<'_>) -> ingest::rusqlite::Result<Account> {
    Ok(Account {
        user: user::from_row(row)?,
        provider: row.get(6)?,
        last_login: row.get::<_, Option<i64>>(7)?.map(Timestamp),
        sessions: row.get(8)?,
        external: row.get::<_, i64>(9)? > 0,
        has_password: row.get::<_, i64>(10)? != 0,
        invited_until: row.get::<_, Option<i64>>(11)?.map(Timestamp),
    })
}

/// How many second factors each account has enrolled: apps and passkeys. Recovery codes only stand in for one.
///
/// # Errors
/// The database's own.
pub fn account_factors(connection: &Connection) -> Result<HashMap<UserId, u64>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT user_id, COUNT(*) FROM (
           SELECT user_id FROM totp WHERE confirmed_at IS NOT NULL UNION ALL SELECT user_id FROM passkey
         ) AS factor GROUP BY user_id",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Notes that somebody signed in; belongs into the transaction that opens the session.
///
/// # Errors
/// The database's own.
pub fn account_login_noted(tx: &Transaction<'_>, user: UserId, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO user_login (user_id, at) VALUES (?1, ?2) ON CONFLICT (user_id) DO UPDATE SET at = excluded.at",
        params![user, now.0],
    )?;
    Ok(())
}

/// Adds an account without a password and the link by which its owner sets one.
///
/// # Errors
/// Where login, name or tenant are none; the database's own.
pub fn account_add(
    tx: &Transaction<'_>,
    actor: &str,
    login: &str,
    change: &Change,
    now: Timestamp,
) -> Result<(UserId, Secret), AccountError> {
    let change = checked(tx, change)?;
    let user = User {
        id: UserId::new(now),
        login: user::login_normal(login),
        name: change.name.clone(),
        role: change.role,
        body: change.body,
        disabled: false,
    };
    let taken: i64 = tx.query_row("SELECT COUNT(*) FROM user_account WHERE login = ?1", params![user.login], |row| row.get(0))?;
    if taken > 0 {
        return Err(AccountError::Taken);
    }
    user::user_add(tx, &user, NO_PASSWORD, now)?;
    if change.provider.is_some() {
        provider_join(tx, user.id, change.provider)?;
    }
    let secret = invitation_add(tx, Kind::Invite, user.id, actor, now)?;
    note(tx, actor, "user.invited", user.id, words(&change), now)?;
    Ok((user.id, secret))
}

/// What of a change makes sense together: only a municipality's account has a body, only a provider's an organisation.
fn checked(tx: &Transaction<'_>, change: &Change) -> Result<Change, AccountError> {
    let mut change = Change { name: change.name.trim().to_owned(), ..change.clone() };
    if change.name.is_empty() || change.name.chars().count() > NAME_CHARS_MAX {
        return Err(AccountError::Name);
    }
    match change.role {
        Role::Municipality => change.provider = None,
        // The command line and older accounts have a body instead, which is the first mandate.
        Role::Provider => change.body = change.body.filter(|_| change.provider.is_none()),
        _ => (change.body, change.provider) = (None, None),
    }
    if matches!(change.role, Role::Municipality | Role::Provider) && change.body.is_none() && change.provider.is_none() {
        return Err(AccountError::NoTenant);
    }
    if let Some(body) = change.body
        && ingest::body::body_get(tx, body)?.is_none()
    {
        return Err(AccountError::NoSuchTenant);
    }
    Ok(change)
}

/// Changes name, role and body or organisation. Another role or tenant ends the sessions: what is open shows what the
/// account may no longer see.
///
/// # Errors
/// What is refused, see `AccountError`; the database's own.
pub fn account_change(tx: &Transaction<'_>, actor: UserId, id: UserId, change: &Change, now: Timestamp) -> Result<(), AccountError> {
    let before = open(tx, actor, id, now)?;
    if before.external {
        return Err(AccountError::External);
    }
    let mut change = change.clone();
    if change.role == Role::Provider && change.provider.is_none() {
        change.provider = before.provider;
    }
    let change = checked(tx, &change)?;
    if before.user.role == Role::Admin && change.role != Role::Admin && !before.user.disabled {
        another_admin(tx, id)?;
    }
    tx.execute(
        "UPDATE user_account SET name = ?2, role = ?3, body = ?4 WHERE id = ?1",
        params![id, change.name, change.role.as_str(), change.body],
    )?;
    provider_join(tx, id, change.provider)?;
    let rights = |role: Role, body: Option<BodyId>, provider: Option<ProviderId>| (role, body, provider);
    if rights(change.role, change.body, change.provider) != rights(before.user.role, before.user.body, before.provider) {
        sessions_end(tx, id)?;
    }
    let old = Change { name: before.user.name, role: before.user.role, body: before.user.body, provider: before.provider };
    note(tx, &actor.to_string(), "user.changed", id, json!({ "before": words(&old), "after": words(&change) }), now)
}

/// # Errors
/// What is refused, see `AccountError`; the database's own.
pub fn account_disable(tx: &Transaction<'_>, actor: UserId, id: UserId, now: Timestamp) -> Result<(), AccountError> {
    let before = open(tx, actor, id, now)?;
    if before.user.role == Role::Admin && !before.user.disabled {
        another_admin(tx, id)?;
    }
    tx.execute("UPDATE user_account SET disabled = 1 WHERE id = ?1", params![id])?;
    tx.execute("DELETE FROM invitation WHERE user_id = ?1 AND used_at IS NULL", params![id])?;
    sessions_end(tx, id)?;
    note(tx, &actor.to_string(), "user.disabled", id, json!({}), now)
}

/// # Errors
/// What is refused, see `AccountError`; the database's own.
pub fn account_enable(tx: &Transaction<'_>, actor: UserId, id: UserId, now: Timestamp) -> Result<(), AccountError> {
    open(tx, actor, id, now)?;
    tx.execute("UPDATE user_account SET disabled = 0 WHERE id = ?1", params![id])?;
    note(tx, &actor.to_string(), "user.enabled", id, json!({}), now)
}

/// Ends all sessions of an account; also the own ones.
///
/// # Errors
/// Where there is no such account; the database's own.
pub fn account_sessions_end(tx: &Transaction<'_>, actor: UserId, id: UserId, now: Timestamp) -> Result<(), AccountError> {
    account_get(tx, id, now)?.ok_or(AccountError::NotFound)?;
    let ended = sessions_end(tx, id)?;
    note(tx, &actor.to_string(), "user.sessions_ended", id, json!({ "sessions": ended }), now)
}

/// Neither the old password nor the second factors count any more, the sessions end, and a new link sets another password.
///
/// # Errors
/// What is refused, see `AccountError`; the database's own.
pub fn account_reset(tx: &Transaction<'_>, actor: UserId, id: UserId, now: Timestamp) -> Result<Secret, AccountError> {
    let before = open(tx, actor, id, now)?;
    if before.external && !before.has_password {
        return Err(AccountError::External);
    }
    account_reset_by(tx, &actor.to_string(), id, now)
}

/// The same from the command line, where whoever owns the data directory acts.
///
/// # Errors
/// The database's own.
pub(crate) fn account_reset_by(tx: &Transaction<'_>, actor: &str, id: UserId, now: Timestamp) -> Result<Secret, AccountError> {
    user::user_password_set(tx, id, NO_PASSWORD)?;
    // Whoever needs a reset has often lost the telephone too; and what a thief has enrolled must not outlive it.
    proof::factors_clear(tx, id)?;
    sessions_end(tx, id)?;
    let secret = invitation_add(tx, Kind::Reset, id, actor, now)?;
    note(tx, actor, "user.reset", id, json!({}), now)?;
    Ok(secret)
}

/// The account, where the actor may touch it.
fn open(tx: &Transaction<'_>, actor: UserId, id: UserId, now: Timestamp) -> Result<Account, AccountError> {
    let account = account_get(tx, id, now)?.ok_or(AccountError::NotFound)?;
    if actor == id { Err(AccountError::Oneself) } else { Ok(account) }
}

/// Whether an administrator stays who can sign in: not disabled, with a password or a known identity outside.
fn another_admin(tx: &Transaction<'_>, without: UserId) -> Result<(), AccountError> {
    let others: i64 = tx.query_row(
        "SELECT COUNT(*) FROM user_account u WHERE u.role = 'admin' AND u.disabled = 0 AND u.id <> ?1
           AND (u.password <> '!' OR EXISTS (SELECT 1 FROM user_identity i WHERE i.user_id = u.id))",
        params![without],
        |row| row.get(0),
    )?;
    if others == 0 { Err(AccountError::LastAdmin) } else { Ok(()) }
}

fn sessions_end(tx: &Transaction<'_>, id: UserId) -> Result<usize, DbError> {
    // Also those who are half way in.
    login::half_close_all(tx, id)?;
    Ok(tx.execute("DELETE FROM session WHERE user_id = ?1", params![id])?)
}

/// A grant as the audit log keeps it.
fn words(change: &Change) -> Value {
    json!({ "role": change.role.as_str(), "body": change.body, "provider": change.provider })
}

fn note(tx: &Transaction<'_>, actor: &str, kind: &'static str, id: UserId, detail: Value, now: Timestamp) -> Result<(), AccountError> {
    audit_add(tx, now, &NewAudit { actor: actor.to_owned(), kind, object: format!("user:{id}"), detail })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use ingest::db::Db;

    use super::*;
    use crate::session::{How, Limits, NewSession, Token, session_open};

    fn signed_in(user: UserId) -> NewSession {
        NewSession { user, how: How::Password, address: String::new(), browser: String::new() }
    }

    fn open() -> (tempfile::TempDir, Db, UserId) {
        let dir = tempfile::tempdir().unwrap();
        let db = crate::node::database(dir.path()).unwrap();
        let id = add(&db, "chef", Role::Admin, "$hash");
        (dir, db, id)
    }

    fn add(db: &Db, login: &str, role: Role, hash: &'static str) -> UserId {
        let user = User { id: UserId::new(Timestamp(1)), login: login.into(), name: login.into(), role, body: None, disabled: false };
        let id = user.id;
        db.write(move |tx| user::user_add(tx, &user, hash, Timestamp(1))).unwrap();
        id
    }

    fn to(role: Role) -> Change {
        Change { name: "N".into(), role, body: None, provider: None }
    }

    #[test]
    fn the_last_administrator_stays_and_nobody_changes_the_own_account() {
        let (_dir, db, chef) = open();
        let invited = add(&db, "eingeladen", Role::Admin, NO_PASSWORD);
        let second = add(&db, "zweite", Role::Admin, "$hash");
        let mut story = String::new();
        let mut say = |what: &str, result: Result<(), AccountError>| {
            story.push_str(&format!("{what}: {}\n", result.map_or_else(|error| error.to_string(), |()| "done".into())));
        };
        let now = Timestamp(5);
        say("chef makes himself analyst", db.write(move |tx| account_change(tx, chef, chef, &to(Role::Analyst), now)));
        say("chef disables himself", db.write(move |tx| account_disable(tx, chef, chef, now)));
        say("chef resets himself", db.write(move |tx| account_reset(tx, chef, chef, now).map(|_| ())));
        say("chef disables the second", db.write(move |tx| account_disable(tx, chef, second, now)));
        say("the invited one disables chef", db.write(move |tx| account_disable(tx, invited, chef, now)));
        say("the invited one demotes chef", db.write(move |tx| account_change(tx, invited, chef, &to(Role::Auditor), now)));
        say("chef enables the second", db.write(move |tx| account_enable(tx, chef, second, now)));
        say("the second demotes chef", db.write(move |tx| account_change(tx, second, chef, &to(Role::Auditor), now)));
        say("nobody knows", db.write(move |tx| account_disable(tx, chef, UserId::default(), now)));
        expect![[r#"
            chef makes himself analyst: nobody changes the own account here
            chef disables himself: nobody changes the own account here
            chef resets himself: nobody changes the own account here
            chef disables the second: done
            the invited one disables chef: the last active administrator cannot be disabled or lose the role
            the invited one demotes chef: the last active administrator cannot be disabled or lose the role
            chef enables the second: done
            the second demotes chef: done
            nobody knows: no such account
        "#]]
        .assert_eq(&story);
    }

    #[test]
    fn a_grant_is_told_and_ends_the_sessions() {
        let (_dir, db, chef) = open();
        let id = add(&db, "x", Role::Steering, "$hash");
        let token = Token::new();
        let copy = token.clone();
        db.write(move |tx| session_open(tx, &signed_in(id), &copy, Limits::default(), Timestamp(2)).map(|_| ())).unwrap();
        let change = |role, name: &str| {
            let change = Change { name: name.into(), ..to(role) };
            db.write(move |tx| account_change(tx, chef, id, &change, Timestamp(3))).unwrap();
            db.read(|c| account_get(c, id, Timestamp(3))).unwrap().unwrap().sessions
        };
        assert_eq!(change(Role::Steering, "Neuer Name"), 1, "another name ends nothing");
        assert_eq!(change(Role::Analyst, "Neuer Name"), 0);
        let rows = db.read(|c| ingest::audit::audit_of(c, &format!("user:{id}"))).unwrap();
        let last = rows.last().unwrap();
        assert_eq!((last.kind.as_str(), last.actor.as_str()), ("user.changed", chef.to_string().as_str()));
        assert_eq!(last.detail["after"]["role"], "analyst");
        assert!(!last.detail.to_string().contains("Neuer Name"), "the log holds no names");
    }

    #[test]
    fn a_new_account_has_no_password_and_one_link() {
        let (_dir, db, chef) = open();
        let actor = chef.to_string();
        let (id, secret) = db.write(move |tx| account_add(tx, &actor, " Neu ", &to(Role::Analyst), Timestamp(9))).unwrap();
        let account = db.read(|c| account_get(c, id, Timestamp(9))).unwrap().unwrap();
        assert_eq!((account.user.login.as_str(), account.has_password), ("neu", false));
        assert!(
            account.invited_until.is_some()
                && db.read(|c| crate::invitation::invitation_open(c, secret.reveal(), Timestamp(9))).unwrap().is_some()
        );
        let again = |login: &'static str, change: Change| db.write(move |tx| account_add(tx, "a", login, &change, Timestamp(9)));
        assert!(matches!(again("NEU", to(Role::Analyst)), Err(AccountError::Taken)));
        assert!(matches!(again("isb", to(Role::Municipality)), Err(AccountError::NoTenant)));
        assert!(matches!(again("kdn", to(Role::Provider)), Err(AccountError::NoTenant)));
        assert!(matches!(again("x", Change { name: " ".into(), ..to(Role::Analyst) }), Err(AccountError::Name)));
        let strange = Change { body: Some(BodyId::default()), ..to(Role::Municipality) };
        assert!(matches!(again("y", strange), Err(AccountError::NoSuchTenant)));
        assert!(matches!(again("a b", to(Role::Analyst)), Err(AccountError::User(_))));
    }

    #[test]
    fn a_reset_ends_password_factors_and_sessions_at_once() {
        let (_dir, db, chef) = open();
        let id = add(&db, "x", Role::Steering, "$hash");
        db.write(move |tx| {
            tx.execute(
                "INSERT INTO totp (user_id, sealed, last_step, confirmed_at, pending, pending_at) VALUES (?1, '', 0, 2, '', 0)",
                params![id],
            )?;
            tx.execute(
                "INSERT INTO passkey (id, user_id, credential, transports, fixed, state, name, created_at) VALUES ('p', ?1, 'c', 0, '', '', '', 2)",
                params![id],
            )
            .map_err(DbError::from)
        })
        .unwrap();
        let factors = || db.read(account_factors).unwrap();
        assert_eq!(factors(), HashMap::from([(id, 2)]));
        let one = db.write(move |tx| account_reset(tx, chef, id, Timestamp(3))).unwrap();
        let account = db.read(|c| account_get(c, id, Timestamp(3))).unwrap().unwrap();
        assert!(!account.has_password && account.sessions == 0 && factors().is_empty());
        assert!(!db.read(|c| crate::proof::standing(c, id)).unwrap().password, "no password is nothing to prove oneself by");
        db.write(move |tx| account_disable(tx, chef, id, Timestamp(4))).unwrap();
        assert!(db.read(|c| crate::invitation::invitation_open(c, one.reveal(), Timestamp(5))).unwrap().is_none());
    }
}

//! Accounts of the outside provider: which account is whose there, by issuer and subject and never by name or mail, which
//! can be given to somebody else. Made at the first log-in; role and body follow the groups at each.

use detect::role::Role;
use ingest::audit::{NewAudit, audit_add};
use ingest::body::BodyId;
use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use ingest::time::Timestamp;
use serde_json::json;

use crate::api_token::api_token_revoke_all;
use crate::mandate::{MandateError, ProviderId, provider_join, provider_of};
use crate::secret::secret_hash;
use crate::user::{self, NO_PASSWORD, User, UserError, UserId};

pub const MIGRATIONS: Migrations = Migrations {
    owner: "identity",
    steps: &["
        CREATE TABLE user_identity (
            issuer TEXT NOT NULL,
            subject TEXT NOT NULL,
            user_id TEXT NOT NULL REFERENCES user_account (id),
            created_at BIGINT NOT NULL,
            PRIMARY KEY (issuer, subject)
        );
        CREATE INDEX user_identity_user ON user_identity (user_id);
    "],
};

/// Whom the provider has vouched for.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    pub issuer: String,
    pub subject: String,
    /// What the provider would call the account; taken where it is free here.
    pub login: String,
    pub name: String,
}

/// What the person's groups give.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rights {
    pub role: Role,
    pub body: Option<BodyId>,
    pub provider: Option<ProviderId>,
}

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// An administrator has disabled the account; the provider cannot enable it.
    #[error("the account is disabled")]
    Disabled,
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Mandate(#[from] MandateError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<ingest::rusqlite::Error> for IdentityError {
    fn from(error: ingest::rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// The account of a person, made or brought to what the groups say now.
///
/// # Errors
/// Where the account is disabled; the database's own.
pub fn identity_sign_in(tx: &Transaction<'_>, person: &Person, rights: Rights, now: Timestamp) -> Result<User, IdentityError> {
    match identity_user(tx, person)?.map(|id| user::user_get(tx, id)).transpose()?.flatten() {
        Some(user) if user.disabled => Err(IdentityError::Disabled),
        Some(user) => follow(tx, user, person, rights, now),
        None => create(tx, person, rights, now),
    }
}

/// For whom the provider still vouches though no group of his gives a role here any more: what he has open ends, and his
/// access tokens do. The account stays, for the audit log and for the day on which a group gives a role again.
///
/// # Errors
/// The database's own.
pub fn identity_ungrouped(tx: &Transaction<'_>, person: &Person, now: Timestamp) -> Result<(), DbError> {
    let Some(id) = identity_user(tx, person)? else { return Ok(()) };
    crate::login::half_close_all(tx, id)?;
    let sessions = tx.execute("DELETE FROM session WHERE user_id = ?1", params![id])?;
    let tokens = api_token_revoke_all(tx, id, now)?;
    // Trying again and again fills no log.
    if sessions + tokens > 0 {
        let detail = json!({ "by": "oidc", "sessions": sessions, "api_tokens": tokens });
        audit_add(tx, now, &NewAudit { actor: id.to_string(), kind: "user.ungrouped", object: format!("user:{id}"), detail })?;
    }
    Ok(())
}

/// Whether an account comes in by the provider only. Then nothing else may let it in, no passkey either: whom the provider
/// has dismissed would stay.
///
/// # Errors
/// The database's own.
pub fn identity_only(connection: &Connection, user: UserId) -> Result<bool, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT COUNT(*) FROM user_identity i JOIN user_account u ON u.id = i.user_id WHERE i.user_id = ?1 AND u.password = ?2",
    )?;
    let count: i64 = statement.query_row(params![user, NO_PASSWORD], |row| row.get(0))?;
    Ok(count > 0)
}

fn identity_user(tx: &Transaction<'_>, person: &Person) -> Result<Option<UserId>, DbError> {
    let mut statement = tx.prepare_cached("SELECT user_id FROM user_identity WHERE issuer = ?1 AND subject = ?2")?;
    Ok(statement.query_row(params![person.issuer, person.subject], |row| row.get(0)).optional()?)
}

fn follow(tx: &Transaction<'_>, mut user: User, person: &Person, rights: Rights, now: Timestamp) -> Result<User, IdentityError> {
    let provider = provider_of(tx, user.id)?;
    let had = Rights { role: user.role, body: user.body, provider };
    if had != rights {
        tx.execute("UPDATE user_account SET role = ?2, body = ?3 WHERE id = ?1", params![user.id, rights.role.as_str(), rights.body])?;
        provider_join(tx, user.id, rights.provider)?;
        // What is open elsewhere shows what the account may no longer see.
        tx.execute("DELETE FROM session WHERE user_id = ?1", params![user.id])?;
        note(tx, "user.regrouped", user.id, rights, now)?;
        (user.role, user.body) = (rights.role, rights.body);
    }
    if user.name != person.name {
        tx.execute("UPDATE user_account SET name = ?2 WHERE id = ?1", params![user.id, person.name])?;
        user.name.clone_from(&person.name);
    }
    Ok(user)
}

fn create(tx: &Transaction<'_>, person: &Person, rights: Rights, now: Timestamp) -> Result<User, IdentityError> {
    let wanted = user::login_normal(&person.login);
    let taken: i64 = tx.query_row("SELECT COUNT(*) FROM user_account WHERE login = ?1", params![wanted], |row| row.get(0))?;
    let odd = wanted.is_empty() || wanted.chars().any(|ch| ch.is_control() || ch.is_whitespace());
    // The name is only a label here: whoever has the same one locally is somebody else.
    let login = if taken > 0 || odd {
        let key: String = secret_hash(&format!("{}\0{}", person.issuer, person.subject)).chars().take(16).collect();
        format!("extern-{key}")
    } else {
        wanted
    };
    let user = User { id: UserId::new(now), login, name: person.name.clone(), role: rights.role, body: rights.body, disabled: false };
    user::user_add(tx, &user, NO_PASSWORD, now)?;
    provider_join(tx, user.id, rights.provider)?;
    tx.execute(
        "INSERT INTO user_identity (issuer, subject, user_id, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![person.issuer, person.subject, user.id, now.0],
    )?;
    note(tx, "user.joined", user.id, rights, now)?;
    Ok(user)
}

fn note(tx: &Transaction<'_>, kind: &'static str, id: UserId, rights: Rights, now: Timestamp) -> Result<(), DbError> {
    let detail = json!({ "by": "oidc", "role": rights.role.as_str(), "body": rights.body, "provider": rights.provider });
    audit_add(tx, now, &NewAudit { actor: id.to_string(), kind, object: format!("user:{id}"), detail })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use ingest::db::Db;

    use super::*;
    use crate::session::{How, Limits, NewSession, Token, session_find, session_open};

    fn signed_in(user: UserId) -> NewSession {
        NewSession { user, how: How::Password, address: String::new(), browser: String::new() }
    }

    fn sign_in(db: &Db, subject: &str, role: Role) -> Result<User, IdentityError> {
        let person = Person { issuer: "https://idp".into(), subject: subject.into(), login: "Anna".into(), name: "Anna Müller".into() };
        let rights = Rights { role, body: None, provider: None };
        db.write(move |tx| identity_sign_in(tx, &person, rights, Timestamp(5)))
    }

    #[test]
    fn an_account_is_its_subjects_and_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let db = crate::node::database(dir.path()).unwrap();
        let local =
            User { id: UserId::new(Timestamp(1)), login: "anna".into(), name: "A".into(), role: Role::Admin, body: None, disabled: false };
        let local_id = local.id;
        db.write(move |tx| user::user_add(tx, &local, "$hash", Timestamp(1))).unwrap();
        let first = sign_in(&db, "s1", Role::Analyst).unwrap();
        assert!(first.id != local_id && first.login.starts_with("extern-"), "the same name is not the same person");
        assert_eq!(sign_in(&db, "s1", Role::Analyst).unwrap(), first);
        let other = sign_in(&db, "s2", Role::Steering).unwrap();
        assert!(other.id != first.id && other.login != first.login);
        assert!(db.read(|c| identity_only(c, first.id)).unwrap() && !db.read(|c| identity_only(c, local_id)).unwrap());
    }

    #[test]
    fn the_role_follows_the_groups_and_a_disabled_account_stays_disabled() {
        let dir = tempfile::tempdir().unwrap();
        let db = crate::node::database(dir.path()).unwrap();
        let user = sign_in(&db, "s", Role::Lead).unwrap();
        let token = Token::new();
        let (copy, id) = (token.clone(), user.id);
        db.write(move |tx| session_open(tx, &signed_in(id), &copy, Limits::default(), Timestamp(5)).map(|_| ())).unwrap();
        assert_eq!(sign_in(&db, "s", Role::Auditor).unwrap().role, Role::Auditor);
        assert!(
            db.read(|c| session_find(c, &token, Limits::default(), Timestamp(6))).unwrap().is_none(),
            "the sessions with the old role end"
        );
        db.write(move |tx| Ok::<_, DbError>(tx.execute("UPDATE user_account SET disabled = 1 WHERE id = ?1", params![id])?)).unwrap();
        assert!(matches!(sign_in(&db, "s", Role::Lead), Err(IdentityError::Disabled)));
        assert_eq!(db.read(|c| user::user_get(c, id)).unwrap().unwrap().role, Role::Auditor);
        let kinds: Vec<_> =
            db.read(|c| ingest::audit::audit_of(c, &format!("user:{id}"))).unwrap().into_iter().map(|row| row.kind).collect();
        assert_eq!(kinds, ["user.joined", "user.regrouped"]);
    }
}

//! One-time links that let somebody set a password: for a new account, after a reset, and for the first administrator of
//! a house without any account. A link is opened by GET as often as a mail scanner likes; only the form behind it uses it
//! up. The database holds its hash, never the link.

use std::path::{Path, PathBuf};

use detect::role::Role;
use ingest::audit::{NewAudit, audit_add};
use ingest::db::{Db, DbError, Migrations};
use ingest::rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use ingest::time::Timestamp;
use serde_json::json;

use crate::proof::password_due_clear;
use crate::secret::{Secret, secret_hash};
use crate::user::{self, NO_PASSWORD, User, UserError, UserId};

pub const MIGRATIONS: Migrations = Migrations {
    owner: "invitation",
    steps: &["
        CREATE TABLE invitation (
            hash TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            user_id TEXT REFERENCES user_account (id),
            created_by TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            until_at BIGINT NOT NULL,
            used_at BIGINT
        );
        CREATE INDEX invitation_user ON invitation (user_id);
    "],
};

/// A colleague may be away over a weekend's start; longer, and the link lies in a mailbox that others read.
pub const INVITATION_MILLIS: i64 = 48 * Timestamp::HOUR;
/// Who starts a server for the first time is at it.
pub const FIRST_MILLIS: i64 = 24 * Timestamp::HOUR;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Makes the first administrator, while there is no account at all.
    First,
    /// Sets an account's first password.
    Invite,
    /// Sets another one.
    Reset,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Invite => "invite",
            Self::Reset => "reset",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::First, Self::Invite, Self::Reset].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A link that still works.
#[derive(Clone, Debug, PartialEq)]
pub struct Invitation {
    pub kind: Kind,
    pub user: Option<User>,
    pub until: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum InvitationError {
    /// Unknown, used, late, or for an account that is disabled: one answer for all.
    #[error("the link does not work, or no longer")]
    Gone,
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<ingest::rusqlite::Error> for InvitationError {
    fn from(error: ingest::rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// The link itself, below the house's address.
pub fn invitation_url(base_url: &str, secret: &Secret) -> String {
    format!("{base_url}/einladung/{}", secret.reveal())
}

/// Makes a link for an account; earlier ones of it stop working. The caller has it in the audit log.
///
/// # Errors
/// The database's own.
pub fn invitation_add(tx: &Transaction<'_>, kind: Kind, user: UserId, by: &str, now: Timestamp) -> Result<Secret, DbError> {
    tx.execute("DELETE FROM invitation WHERE user_id = ?1 AND used_at IS NULL", params![user])?;
    let secret = Secret::random();
    tx.execute(
        "INSERT INTO invitation (hash, kind, user_id, created_by, created_at, until_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![secret.hash(), kind.as_str(), user, by, now.0, now.0 + INVITATION_MILLIS],
    )?;
    Ok(secret)
}

/// The link for the first administrator, while there is no account; an earlier one stops working.
///
/// # Errors
/// The database's own.
pub fn invitation_first(tx: &Transaction<'_>, now: Timestamp) -> Result<Option<Secret>, DbError> {
    if accounts(tx)? > 0 {
        return Ok(None);
    }
    tx.execute("DELETE FROM invitation WHERE kind = 'first'", [])?;
    let secret = Secret::random();
    tx.execute(
        "INSERT INTO invitation (hash, kind, created_by, created_at, until_at) VALUES (?1, 'first', 'system', ?2, ?3)",
        params![secret.hash(), now.0, now.0 + FIRST_MILLIS],
    )?;
    let detail = json!({ "until": now.plus(FIRST_MILLIS).rfc3339() });
    audit_add(tx, now, &NewAudit { actor: "system".into(), kind: "user.first_invited", object: "user:first".into(), detail })?;
    Ok(Some(secret))
}

fn accounts(connection: &Connection) -> Result<i64, DbError> {
    Ok(connection.query_row("SELECT COUNT(*) FROM user_account", [], |row| row.get(0))?)
}

/// What a link would do, without using it up; `None` where it does not work.
///
/// # Errors
/// The database's own.
pub fn invitation_open(connection: &Connection, link: &str, now: Timestamp) -> Result<Option<Invitation>, DbError> {
    let found = connection
        .prepare_cached("SELECT kind, user_id, until_at FROM invitation WHERE hash = ?1 AND used_at IS NULL AND until_at > ?2")?
        .query_row(params![secret_hash(link), now.0], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<UserId>>(1)?, row.get::<_, i64>(2)?))
        })
        .optional()?;
    let Some((kind, id, until)) = found else { return Ok(None) };
    let user = id.map(|id| user::user_get(connection, id)).transpose()?.flatten();
    let works = match (Kind::parse(&kind), &user) {
        (Some(Kind::First), None) => accounts(connection)? == 0,
        (Some(Kind::Invite | Kind::Reset), Some(user)) => !user.disabled,
        _ => false,
    };
    let open = |kind| Invitation { kind, user: user.clone(), until: Timestamp(until) };
    Ok(Kind::parse(&kind).filter(|_| works).map(open))
}

/// What is typed behind a link.
#[derive(Clone, Debug)]
pub struct Typed {
    /// Of `user::password_hash`.
    pub hash: String,
    /// For the first administrator only.
    pub login: String,
    pub name: String,
}

/// Uses a link up: sets the password, ends the account's sessions; the first one makes the administrator. Of two at once
/// one comes too late.
///
/// # Errors
/// Where the link does not work (any longer), or the login is none; the database's own.
pub fn invitation_redeem(tx: &Transaction<'_>, link: &str, typed: &Typed, now: Timestamp) -> Result<UserId, InvitationError> {
    let open = invitation_open(tx, link, now)?.ok_or(InvitationError::Gone)?;
    let used = tx.execute("UPDATE invitation SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL", params![secret_hash(link), now.0])?;
    if used != 1 {
        return Err(InvitationError::Gone);
    }
    let id = match open.user {
        Some(user) => {
            user::user_password_set(tx, user.id, &typed.hash)?;
            // Chosen by the owner: there is nothing left to change at the log-in.
            password_due_clear(tx, user.id)?;
            user.id
        }
        None => {
            let login = user::login_normal(&typed.login);
            let name = if typed.name.trim().is_empty() { login.clone() } else { typed.name.trim().to_owned() };
            let user = User { id: UserId::new(now), login, name, role: Role::Admin, body: None, disabled: false };
            user::user_add(tx, &user, &typed.hash, now)?;
            user.id
        }
    };
    let kind = match open.kind {
        Kind::First => "user.first_added",
        Kind::Invite => "user.invitation_redeemed",
        Kind::Reset => "user.reset_redeemed",
    };
    audit_add(tx, now, &NewAudit { actor: id.to_string(), kind, object: format!("user:{id}"), detail: json!({}) })?;
    Ok(id)
}

/// Until when an account's open link works.
///
/// # Errors
/// The database's own.
pub fn invitation_until(connection: &Connection, user: UserId, now: Timestamp) -> Result<Option<Timestamp>, DbError> {
    let mut statement =
        connection.prepare_cached("SELECT MAX(until_at) FROM invitation WHERE user_id = ?1 AND used_at IS NULL AND until_at > ?2")?;
    let until: Option<i64> = statement.query_row(params![user, now.0], |row| row.get(0))?;
    Ok(until.map(Timestamp))
}

/// Whether an account can sign in with a password at all.
///
/// # Errors
/// The database's own.
pub fn has_password(connection: &Connection, user: UserId) -> Result<bool, DbError> {
    let mut statement = connection.prepare_cached("SELECT COUNT(*) FROM user_account WHERE id = ?1 AND password <> ?2")?;
    let count: i64 = statement.query_row(params![user, NO_PASSWORD], |row| row.get(0))?;
    Ok(count > 0)
}

/// Where the first administrator's link lies.
pub fn first_file(data: &Path) -> PathBuf {
    data.join("keys").join("erster-zugang.txt")
}

/// On a directory without accounts: makes the first link and puts it into a file that only this program's user can read.
/// The link is not written to the log, which more people read than may become administrator. Where there are accounts, an
/// old file goes.
///
/// # Errors
/// The database's own, or the file's.
pub fn first_link(db: &Db, data: &Path, base_url: &str, now: Timestamp) -> anyhow::Result<Option<String>> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let path = first_file(data);
    // Made anew each time, so that an older file's rights do not count.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let Some(secret) = db.write(move |tx| invitation_first(tx, now))? else { return Ok(None) };
    let url = invitation_url(base_url, &secret);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    writeln!(file, "{url}")?;
    file.sync_all()?;
    Ok(Some(url))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn open() -> (tempfile::TempDir, Db) {
        let dir = tempfile::tempdir().unwrap();
        let db = crate::node::database(dir.path()).unwrap();
        (dir, db)
    }

    fn typed(login: &str) -> Typed {
        Typed { hash: "$hash".into(), login: login.into(), name: String::new() }
    }

    fn account(db: &Db, disabled: bool) -> UserId {
        let user =
            User { id: UserId::new(Timestamp(1)), login: "neu".into(), name: "Neu".into(), role: Role::Analyst, body: None, disabled };
        let id = user.id;
        db.write(move |tx| user::user_add(tx, &user, NO_PASSWORD, Timestamp(1))).unwrap();
        id
    }

    fn invite(db: &Db, user: UserId, now: Timestamp) -> String {
        db.write(move |tx| invitation_add(tx, Kind::Invite, user, "admin", now)).unwrap().reveal().to_owned()
    }

    fn redeem(db: &Db, link: &str, now: Timestamp) -> Result<UserId, InvitationError> {
        let link = link.to_owned();
        db.write(move |tx| invitation_redeem(tx, &link, &typed(""), now))
    }

    #[test]
    fn a_link_is_looked_at_often_and_used_once() {
        let (_dir, db) = open();
        let id = account(&db, false);
        let link = invite(&db, id, Timestamp(0));
        assert!(!db.read(|c| has_password(c, id)).unwrap());
        for _ in 0..5 {
            assert!(db.read(|c| invitation_open(c, &link, Timestamp(1))).unwrap().is_some());
        }
        assert_eq!(redeem(&db, &link, Timestamp(2)).unwrap(), id);
        assert!(db.read(|c| has_password(c, id)).unwrap());
        assert!(matches!(redeem(&db, &link, Timestamp(3)), Err(InvitationError::Gone)));
        let kinds: Vec<_> =
            db.read(|c| ingest::audit::audit_of(c, &format!("user:{id}"))).unwrap().into_iter().map(|row| row.kind).collect();
        assert_eq!(kinds, ["user.invitation_redeemed"]);
    }

    #[test]
    fn of_many_at_once_one_is_first() {
        let (_dir, db) = open();
        let link = invite(&db, account(&db, false), Timestamp(0));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (db, link) = (db.clone(), link.clone());
                std::thread::spawn(move || redeem(&db, &link, Timestamp(1)).is_ok())
            })
            .collect();
        assert_eq!(threads.into_iter().filter_map(|thread| thread.join().unwrap().then_some(())).count(), 1);
    }

    #[test]
    fn links_that_do_not_work() {
        let (_dir, db) = open();
        let id = account(&db, false);
        let late = invite(&db, id, Timestamp(0));
        assert!(db.read(|c| invitation_open(c, &late, Timestamp(INVITATION_MILLIS - 1))).unwrap().is_some());
        assert!(matches!(redeem(&db, &late, Timestamp(INVITATION_MILLIS)), Err(InvitationError::Gone)));
        let older = invite(&db, id, Timestamp(0));
        let newer = invite(&db, id, Timestamp(0));
        assert!(matches!(redeem(&db, &older, Timestamp(1)), Err(InvitationError::Gone)), "a new link ends the old one");
        let stored: String = db.read(|c| Ok::<_, DbError>(c.query_row("SELECT hash FROM invitation", [], |row| row.get(0))?)).unwrap();
        for wrong in ["", "zz", &stored, &newer[1..]] {
            assert!(matches!(redeem(&db, wrong, Timestamp(1)), Err(InvitationError::Gone)), "{wrong}");
        }
        db.write(move |tx| Ok::<_, DbError>(tx.execute("UPDATE user_account SET disabled = 1 WHERE id = ?1", params![id])?)).unwrap();
        assert!(matches!(redeem(&db, &newer, Timestamp(1)), Err(InvitationError::Gone)), "a disabled account stays disabled");
    }

    #[test]
    fn the_first_administrator_is_made_once() {
        let (dir, db) = open();
        let url = first_link(&db, dir.path(), "https://w.example", Timestamp(0)).unwrap().unwrap();
        let again = first_link(&db, dir.path(), "https://w.example", Timestamp(1)).unwrap().unwrap();
        assert_ne!(url, again);
        let file = first_file(dir.path());
        assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), again);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let secret = |url: &str| url.rsplit('/').next().unwrap().to_owned();
        let redeem = |link: String, login: &'static str, now| db.write(move |tx| invitation_redeem(tx, &link, &typed(login), now));
        assert!(matches!(redeem(secret(&url), "chef", Timestamp(2)), Err(InvitationError::Gone)), "the older link");
        assert!(matches!(redeem(secret(&again), "a b", Timestamp(2)), Err(InvitationError::User(_))), "an odd login does not use it up");
        assert!(matches!(redeem(secret(&again), "chef", Timestamp(FIRST_MILLIS + 1)), Err(InvitationError::Gone)));
        let id = redeem(secret(&again), "Chef", Timestamp(3)).unwrap();
        let made = db.read(|c| user::user_get(c, id)).unwrap().unwrap();
        assert_eq!((made.login.as_str(), made.role), ("chef", Role::Admin));
        assert!(first_link(&db, dir.path(), "https://w.example", Timestamp(4)).unwrap().is_none());
        assert!(!file.exists(), "the used link does not stay behind");
    }

    #[test]
    fn the_first_link_dies_with_the_first_account() {
        let (dir, db) = open();
        let url = first_link(&db, dir.path(), "", Timestamp(0)).unwrap().unwrap();
        account(&db, false);
        let link = url.rsplit('/').next().unwrap().to_owned();
        assert!(db.read(|c| invitation_open(c, &link, Timestamp(1))).unwrap().is_none());
        assert!(matches!(db.write(move |tx| invitation_redeem(tx, &link, &typed("x"), Timestamp(1))), Err(InvitationError::Gone)));
    }
}

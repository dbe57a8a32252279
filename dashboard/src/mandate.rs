//! Providers (Dienstleister) and their mandates: an account of role `Provider` belongs to an organisation, and the
//! organisation acts for the bodies that have mandated it, for as long as they do. What an account may see is made of
//! `mandate_bodies` by `access`; here stand the nouns, their store and who changed them.

use detect::role::Role;
use ingest::audit::{NewAudit, audit_add};
use ingest::body::BodyId;
use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use ingest::time::Timestamp;
use serde_json::json;

use crate::user::{User, UserId};

ingest::id_type!(
    /// An organisation that works for bodies: a municipal data centre, a company.
    ProviderId
);
ingest::id_type!(
    /// A body's order to a provider to act for it.
    MandateId
);

/// Accounts of role `provider` were bound to one body by a column of their own; each of them becomes an organisation with
/// that one mandate, from the account's first day on. The column stays as it was.
pub const MIGRATIONS: Migrations = Migrations {
    owner: "mandate",
    steps: &["
        CREATE TABLE provider (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            created_at BIGINT NOT NULL
        );
        CREATE TABLE provider_account (
            user_id TEXT PRIMARY KEY REFERENCES user_account (id),
            provider TEXT NOT NULL REFERENCES provider (id)
        );
        CREATE TABLE mandate (
            id TEXT PRIMARY KEY,
            provider TEXT NOT NULL REFERENCES provider (id),
            body TEXT NOT NULL REFERENCES body (id),
            scope TEXT NOT NULL,
            from_at BIGINT NOT NULL,
            until_at BIGINT,
            granted_by TEXT NOT NULL,
            granted_at BIGINT NOT NULL,
            ended_by TEXT,
            ended_at BIGINT
        );
        CREATE INDEX mandate_by_provider ON mandate (provider);
        INSERT INTO provider (id, name, created_at)
            SELECT id, 'Dienstleister ' || login, created_at FROM user_account WHERE role = 'provider' AND body IS NOT NULL;
        INSERT INTO provider_account (user_id, provider)
            SELECT id, id FROM user_account WHERE role = 'provider' AND body IS NOT NULL;
        INSERT INTO mandate (id, provider, body, scope, from_at, granted_by, granted_at)
            SELECT id, id, body, 'all', created_at, 'system', created_at FROM user_account WHERE role = 'provider' AND body IS NOT NULL;
    "],
};

pub const NAME_CHARS_MAX: usize = 120;
/// One page shows them all; the Land has some dozen municipal data centres and companies.
const PROVIDERS_MAX: i64 = 500;
/// Every body of the Land with a few providers each, twice over.
const MANDATES_MAX: i64 = 10_000;

/// What a mandate covers. One kind today: all that the body's own officer sees, up to TLP:AMBER. The column is there so
/// that a narrower one can be told from it.
pub const SCOPE_ALL: &str = "all";

#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    pub id: ProviderId,
    pub name: String,
    /// Accounts that belong to it.
    pub accounts: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Mandate {
    pub id: MandateId,
    pub provider: ProviderId,
    pub body: BodyId,
    pub from: Timestamp,
    /// The first moment at which it no longer holds; none: until it is ended.
    pub until: Option<Timestamp>,
    pub granted_by: String,
    pub ended_by: Option<String>,
    pub ended_at: Option<Timestamp>,
}

impl Mandate {
    pub fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until) && self.ended_at.is_none_or(|ended| now < ended)
    }
}

#[derive(Clone, Copy, Debug)]
pub struct NewMandate {
    pub provider: ProviderId,
    pub body: BodyId,
    pub from: Timestamp,
    pub until: Option<Timestamp>,
}

#[derive(Debug, thiserror::Error)]
pub enum MandateError {
    #[error("a provider's name is empty, too long or taken")]
    Name,
    #[error("no such provider, body or mandate")]
    NotFound,
    #[error("the mandate would end before it begins")]
    Period,
    #[error("this provider acts for this body already")]
    Exists,
    #[error("there are as many as can be kept")]
    TooMany,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<ingest::rusqlite::Error> for MandateError {
    fn from(error: ingest::rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// The bodies for which this account acts now, by the mandates of its organisation; none where it has no organisation.
///
/// # Errors
/// The database's own.
pub fn mandate_bodies(connection: &Connection, account: UserId, now: Timestamp) -> Result<Vec<BodyId>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT m.body FROM mandate m JOIN provider_account a ON a.provider = m.provider
         WHERE a.user_id = ?1 AND m.from_at <= ?2 AND (m.until_at IS NULL OR m.until_at > ?2)
           AND (m.ended_at IS NULL OR m.ended_at > ?2) ORDER BY m.body",
    )?;
    let rows = statement.query_map(params![account, now.0], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// # Errors
/// Where the name is none or taken; the database's own.
pub fn provider_add(tx: &Transaction<'_>, name: &str, actor: &str, now: Timestamp) -> Result<ProviderId, MandateError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(MandateError::Name);
    }
    let count: i64 = tx.query_row("SELECT COUNT(*) FROM provider", [], |row| row.get(0))?;
    if count >= PROVIDERS_MAX {
        return Err(MandateError::TooMany);
    }
    let id = ProviderId::new(now);
    let added = tx.execute(
        "INSERT INTO provider (id, name, created_at) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING",
        params![id, name, now.0],
    )?;
    if added == 0 {
        return Err(MandateError::Name);
    }
    let detail = json!({ "name": name });
    audit_add(tx, now, &NewAudit { actor: actor.to_owned(), kind: "provider.added", object: format!("provider:{id}"), detail })?;
    Ok(id)
}

/// # Errors
/// The database's own.
pub fn provider_list(connection: &Connection) -> Result<Vec<Provider>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT p.id, p.name, (SELECT COUNT(*) FROM provider_account a WHERE a.provider = p.id) FROM provider p ORDER BY p.name LIMIT ?1",
    )?;
    let row = |row: &Row<'_>| Ok(Provider { id: row.get(0)?, name: row.get(1)?, accounts: row.get(2)? });
    let rows = statement.query_map([PROVIDERS_MAX], row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The organisation of an account.
///
/// # Errors
/// The database's own.
pub fn provider_of(connection: &Connection, account: UserId) -> Result<Option<ProviderId>, DbError> {
    let mut statement = connection.prepare_cached("SELECT provider FROM provider_account WHERE user_id = ?1")?;
    Ok(statement.query_row([account], |row| row.get(0)).optional()?)
}

/// Puts an account into an organisation, or into none. The caller has it in the audit log.
///
/// # Errors
/// Where there is no such organisation; the database's own.
pub fn provider_join(tx: &Transaction<'_>, account: UserId, provider: Option<ProviderId>) -> Result<(), MandateError> {
    let Some(provider) = provider else {
        tx.execute("DELETE FROM provider_account WHERE user_id = ?1", params![account])?;
        return Ok(());
    };
    let known: i64 = tx.query_row("SELECT COUNT(*) FROM provider WHERE id = ?1", params![provider], |row| row.get(0))?;
    if known == 0 {
        return Err(MandateError::NotFound);
    }
    tx.execute(
        "INSERT INTO provider_account (user_id, provider) VALUES (?1, ?2) ON CONFLICT (user_id) DO UPDATE SET provider = excluded.provider",
        params![account, provider],
    )?;
    Ok(())
}

/// For an account of role `provider` that was made with a body: an organisation of its own with that one mandate, as the
/// migration makes of older ones.
///
/// # Errors
/// The database's own.
pub(crate) fn provider_adopt(tx: &Transaction<'_>, user: &User, now: Timestamp) -> Result<(), DbError> {
    let Some(body) = user.body.filter(|_| user.role == Role::Provider) else { return Ok(()) };
    let id = user.id.to_string();
    tx.execute(
        "INSERT INTO provider (id, name, created_at) VALUES (?1, ?2, ?3)",
        params![id, format!("Dienstleister {}", user.login), now.0],
    )?;
    tx.execute("INSERT INTO provider_account (user_id, provider) VALUES (?1, ?1)", params![id])?;
    tx.execute(
        "INSERT INTO mandate (id, provider, body, scope, from_at, granted_by, granted_at) VALUES (?1, ?1, ?2, ?3, ?4, 'system', ?4)",
        params![id, body, SCOPE_ALL, now.0],
    )?;
    Ok(())
}

/// # Errors
/// Where provider or body do not exist, the period is none, or such a mandate holds already; the database's own.
pub fn mandate_add(tx: &Transaction<'_>, new: NewMandate, actor: &str, now: Timestamp) -> Result<MandateId, MandateError> {
    if new.until.is_some_and(|until| until <= new.from) {
        return Err(MandateError::Period);
    }
    let known: i64 = tx.query_row(
        "SELECT (SELECT COUNT(*) FROM provider WHERE id = ?1) * (SELECT COUNT(*) FROM body WHERE id = ?2)",
        params![new.provider, new.body],
        |row| row.get(0),
    )?;
    if known == 0 {
        return Err(MandateError::NotFound);
    }
    let all: i64 = tx.query_row("SELECT COUNT(*) FROM mandate", [], |row| row.get(0))?;
    if all >= MANDATES_MAX {
        return Err(MandateError::TooMany);
    }
    // Two that overlap would make an end that ends nothing.
    let until = new.until.map_or(i64::MAX, |until| until.0);
    let overlapping: i64 = tx.query_row(
        "SELECT COUNT(*) FROM mandate WHERE provider = ?1 AND body = ?2 AND ended_at IS NULL
           AND from_at < ?4 AND (until_at IS NULL OR until_at > ?3)",
        params![new.provider, new.body, new.from.0, until],
        |row| row.get(0),
    )?;
    if overlapping > 0 {
        return Err(MandateError::Exists);
    }
    let id = MandateId::new(now);
    tx.execute(
        "INSERT INTO mandate (id, provider, body, scope, from_at, until_at, granted_by, granted_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![id, new.provider, new.body, SCOPE_ALL, new.from.0, new.until.map(|until| until.0), actor, now.0],
    )?;
    let until = new.until.map(Timestamp::rfc3339);
    let detail = json!({ "provider": new.provider, "body": new.body, "scope": SCOPE_ALL, "from": new.from.rfc3339(), "until": until });
    audit_add(tx, now, &NewAudit { actor: actor.to_owned(), kind: "mandate.granted", object: format!("mandate:{id}"), detail })?;
    Ok(id)
}

/// Ends a mandate at once.
///
/// # Errors
/// Where there is none that still holds or will; the database's own.
pub fn mandate_end(tx: &Transaction<'_>, id: MandateId, actor: &str, now: Timestamp) -> Result<(), MandateError> {
    let ended = tx.execute(
        "UPDATE mandate SET ended_at = ?2, ended_by = ?3 WHERE id = ?1 AND ended_at IS NULL AND (until_at IS NULL OR until_at > ?2)",
        params![id, now.0, actor],
    )?;
    if ended == 0 {
        return Err(MandateError::NotFound);
    }
    let object = format!("mandate:{id}");
    audit_add(tx, now, &NewAudit { actor: actor.to_owned(), kind: "mandate.ended", object, detail: json!({}) })?;
    Ok(())
}

/// All mandates, those that ended too, the newest first.
///
/// # Errors
/// The database's own.
pub fn mandate_list(connection: &Connection) -> Result<Vec<Mandate>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, provider, body, from_at, until_at, granted_by, ended_by, ended_at FROM mandate ORDER BY granted_at DESC, id LIMIT ?1",
    )?;
    let rows = statement.query_map([MANDATES_MAX], |row| {
        Ok(Mandate {
            id: row.get(0)?,
            provider: row.get(1)?,
            body: row.get(2)?,
            from: Timestamp(row.get(3)?),
            until: row.get::<_, Option<i64>>(4)?.map(Timestamp),
            granted_by: row.get(5)?,
            ended_by: row.get(6)?,
            ended_at: row.get::<_, Option<i64>>(7)?.map(Timestamp),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use ingest::body::{Body, BodyKind, body_add};
    use ingest::db::Db;

    use super::*;
    use crate::user::{self, user_add};

    fn open(dir: &std::path::Path) -> (Db, [BodyId; 2]) {
        let owners = [ingest::audit::MIGRATIONS, ingest::body::MIGRATIONS, user::MIGRATIONS, MIGRATIONS];
        let db = Db::open(&dir.join("w.db"), &owners).unwrap();
        let bodies = ["Gotha", "Sömmerda"].map(|name| Body {
            id: BodyId::new(Timestamp(1)),
            name: name.into(),
            kind: BodyKind::Gemeinde,
            ags: None,
            kreis: "16067".into(),
            population: 0,
        });
        let ids = [bodies[0].id, bodies[1].id];
        db.write(move |tx| bodies.iter().try_for_each(|body| body_add(tx, body, Timestamp(1)))).unwrap();
        (db, ids)
    }

    fn provider_user(login: &str, body: Option<BodyId>) -> User {
        User { id: UserId::new(Timestamp(1)), login: login.into(), name: login.into(), role: Role::Provider, body, disabled: false }
    }

    #[test]
    fn an_account_acts_for_the_bodies_of_its_organisation_while_they_want_it() {
        let dir = tempfile::tempdir().unwrap();
        let (db, [gotha, soemmerda]) = open(dir.path());
        let (user, stranger) = (provider_user("kdn", None), provider_user("fremd", None));
        let (id, other) = (user.id, stranger.id);
        let provider = db
            .write(move |tx| {
                user_add(tx, &user, "!", Timestamp(1)).unwrap();
                user_add(tx, &stranger, "!", Timestamp(1)).unwrap();
                let provider = provider_add(tx, "KDN", "a", Timestamp(1))?;
                provider_join(tx, id, Some(provider))?;
                Ok::<_, MandateError>(provider)
            })
            .unwrap();
        let add = |body, from: i64, until: Option<i64>| {
            let new = NewMandate { provider, body, from: Timestamp(from), until: until.map(Timestamp) };
            db.write(move |tx| mandate_add(tx, new, "admin", Timestamp(5)))
        };
        let first = add(gotha, 10, Some(20)).unwrap();
        add(soemmerda, 15, None).unwrap();
        let mut table = String::new();
        let mut at = |now: i64, user| {
            let bodies = db.read(|c| mandate_bodies(c, user, Timestamp(now))).unwrap();
            let names: Vec<_> = bodies.iter().map(|body| if *body == gotha { "Gotha" } else { "Sömmerda" }).collect();
            table.push_str(&format!("{now}: {}\n", names.join(", ")));
        };
        for now in [9, 10, 15, 19, 20] {
            at(now, id);
        }
        at(15, other);
        db.write(move |tx| mandate_end(tx, first, "admin", Timestamp(16))).unwrap();
        at(16, id);
        expect![[r#"
            9: 
            10: Gotha
            15: Gotha, Sömmerda
            19: Gotha, Sömmerda
            20: Sömmerda
            15: 
            16: Sömmerda
        "#]]
        .assert_eq(&table);
        assert!(matches!(add(soemmerda, 30, Some(40)), Err(MandateError::Exists)));
        assert!(matches!(add(gotha, 30, Some(30)), Err(MandateError::Period)));
        assert!(matches!(add(BodyId::default(), 30, None), Err(MandateError::NotFound)));
        assert!(matches!(db.write(move |tx| mandate_end(tx, first, "admin", Timestamp(17))), Err(MandateError::NotFound)));
        let rows = db.read(|c| ingest::audit::audit_of(c, &format!("mandate:{first}"))).unwrap();
        assert_eq!(rows.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>(), ["mandate.granted", "mandate.ended"]);
    }

    #[test]
    fn older_accounts_keep_their_body_as_a_mandate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.db");
        let (id, body) = (UserId::new(Timestamp(7)), BodyId::new(Timestamp(7)));
        {
            let db = Db::open(&path, &[ingest::audit::MIGRATIONS, ingest::body::MIGRATIONS, user::MIGRATIONS]).unwrap();
            db.write(move |tx| {
                tx.execute("INSERT INTO body (id, name, kind, kreis, created_at) VALUES (?1, 'Gotha', 'gemeinde', '16067', 1)", params![body])?;
                tx.execute(
                    "INSERT INTO user_account (id, login, name, role, body, password, created_at) VALUES (?1, 'tlrz', 'T', 'provider', ?2, 'h', 3)",
                    params![id, body],
                )?;
                Ok::<_, DbError>(())
            })
            .unwrap();
            db.close();
        }
        let owners = [ingest::audit::MIGRATIONS, ingest::body::MIGRATIONS, user::MIGRATIONS, MIGRATIONS];
        let db = Db::open(&path, &owners).unwrap();
        assert_eq!(db.read(|c| mandate_bodies(c, id, Timestamp(8))).unwrap(), [body]);
        assert_eq!(db.read(provider_list).unwrap()[0].name, "Dienstleister tlrz");
        assert_eq!(db.read(|c| user::user_get(c, id)).unwrap().unwrap().body, Some(body), "nothing is lost");
        // What is added later with a body is treated alike.
        let late = provider_user("spaet", Some(body));
        let late_id = late.id;
        db.write(move |tx| user_add(tx, &late, "!", Timestamp(9))).unwrap();
        assert_eq!(db.read(|c| mandate_bodies(c, late_id, Timestamp(9))).unwrap(), [body]);
    }
}

//! The contacts' keys: kept as they were given, judged anew at every use, because time passes and keys die.

use ingest::body::ContactId;
use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, Transaction, params};
use ingest::time::Timestamp;
use pgp::composed::{Deserializable as _, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{PublicKey, Signature, SignatureType};
use pgp::types::{KeyDetails as _, KeyId, Tag};

use super::{KEY_BYTES_MAX, PgpError, fingerprint};

pub const MIGRATIONS: Migrations = Migrations {
    owner: "openpgp",
    steps: &["
        CREATE TABLE contact_key (
            email TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            contact TEXT NOT NULL,
            armored TEXT NOT NULL,
            added_by TEXT NOT NULL,
            added_at BIGINT NOT NULL,
            PRIMARY KEY (email, fingerprint)
        );
    "],
};

/// Keys of one address: an old one and a new one, while people change over.
const KEYS_MAX: i64 = 5;

/// A contact's key.
#[derive(Clone, Debug)]
pub struct ContactKey {
    pub fingerprint: String,
    pub email: String,
    key: SignedPublicKey,
}

/// A part of a key that may sign.
pub(super) enum Signer<'a> {
    Primary(&'a PublicKey),
    Sub(&'a SignedPublicSubKey),
}

impl ContactKey {
    /// Reads a public key in armor, and refuses what could not be used.
    ///
    /// # Errors
    /// Why not.
    pub fn parse(email: &str, armored: &str, now: Timestamp) -> Result<Self, PgpError> {
        let key = Self::read(email, armored)?;
        if !key.bound() {
            return Err(PgpError::Unbound);
        }
        if key.dead(now) {
            return Err(PgpError::Dead);
        }
        if key.openers(now).next().is_none() {
            return Err(PgpError::CannotEncrypt);
        }
        Ok(key)
    }

    fn read(email: &str, armored: &str) -> Result<Self, PgpError> {
        if armored.len() > KEY_BYTES_MAX {
            return Err(PgpError::NoKey("too long".into()));
        }
        let (key, _) = SignedPublicKey::from_string(armored).map_err(|error| PgpError::NoKey(error.to_string()))?;
        Ok(Self { fingerprint: fingerprint(&key.primary_key), email: email.to_lowercase(), key })
    }

    /// Signatures of the key over itself that hold: they say what it may and until when.
    fn own_words(&self) -> impl Iterator<Item = &Signature> {
        let (primary, id) = (&self.key.primary_key, self.key.primary_key.legacy_key_id());
        let own = move |signature: &&Signature| signature.issuer_key_id().contains(&&id);
        let users = self.key.details.users.iter().flat_map(|user| user.signatures.iter().map(move |signature| (user, signature)));
        let users = users.filter(move |(_, signature)| own(signature));
        let users = users.filter(move |(user, signature)| signature.verify_certification(primary, Tag::UserId, &user.id).is_ok());
        let direct = self.key.details.direct_signatures.iter().filter(move |signature| signature.verify_key(primary).is_ok());
        // A name that was taken back says nothing of the key any more; above all its taking back is no word on how long it holds.
        let kept = users.filter(|(_, signature)| signature.typ() != Some(SignatureType::CertRevocation));
        kept.map(|(_, signature)| signature).chain(direct)
    }

    fn bound(&self) -> bool {
        self.own_words().next().is_some()
    }

    /// Revoked, or over: by the newest word that the key says about itself.
    pub fn dead(&self, now: Timestamp) -> bool {
        let primary = &self.key.primary_key;
        let revoked = self.key.details.revocation_signatures.iter().any(|signature| signature.verify_key(primary).is_ok());
        let newest = self.own_words().max_by_key(|signature| signature.created().map(|at| at.as_secs()));
        revoked || over(primary.created_at().as_secs(), newest, now)
    }

    /// Whether something can be encrypted to it now.
    pub fn usable(&self, now: Timestamp) -> bool {
        !self.dead(now) && self.openers(now).next().is_some()
    }

    /// When its time is over, where it says so.
    pub fn expires_at(&self) -> Option<Timestamp> {
        let newest = self.own_words().max_by_key(|signature| signature.created().map(|at| at.as_secs()))?;
        let after = newest.key_expiration_time().filter(|time| time.as_secs() > 0)?;
        Some(Timestamp((i64::from(self.key.primary_key.created_at().as_secs()) + i64::from(after.as_secs())) * 1_000))
    }

    /// The subkeys to encrypt to.
    pub(super) fn openers(&self, now: Timestamp) -> impl Iterator<Item = &SignedPublicSubKey> {
        self.subkeys(now, |binding, _| binding.key_flags().encrypt_comms() || binding.key_flags().encrypt_storage())
    }

    /// What may sign: the primary key, and subkeys that say so and that say themselves that they belong to it (RFC 9580, 5.2.1.9).
    /// Without that word somebody could put another's subkey under his own key, and what the other signed would be his. A
    /// subkey's time is asked at the moment of checking: who still signs with one that is over should make a new one.
    pub(super) fn signers(&self, now: Timestamp) -> impl Iterator<Item = Signer<'_>> {
        let primary = self.own_words().any(|signature| signature.key_flags().sign() || signature.key_flags().certify());
        let primary = primary.then_some(Signer::Primary(&self.key.primary_key));
        let own = &self.key.primary_key;
        let subkeys = self.subkeys(now, |binding, sub| {
            let back = binding.embedded_signature().is_some_and(|back| back.verify_primary_key_binding(&sub.key, own).is_ok());
            binding.key_flags().sign() && back
        });
        primary.into_iter().chain(subkeys.map(Signer::Sub))
    }

    /// The subkeys that are alive and whose newest binding allows what is asked.
    fn subkeys(&self, now: Timestamp, may: impl Fn(&Signature, &SignedPublicSubKey) -> bool) -> impl Iterator<Item = &SignedPublicSubKey> {
        let primary = &self.key.primary_key;
        self.key.public_subkeys.iter().filter(move |sub| {
            let holds = |signature: &&Signature| signature.verify_subkey_binding(primary, &sub.key).is_ok();
            let valid: Vec<&Signature> = sub.signatures.iter().filter(holds).collect();
            let revoked = valid.iter().any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation));
            let newest = valid.iter().max_by_key(|signature| signature.created().map(|at| at.as_secs())).copied();
            !revoked && newest.is_some_and(|binding| may(binding, sub)) && !over(sub.key.created_at().as_secs(), newest, now)
        })
    }

    /// Whether a signature's issuer is part of it.
    pub(super) fn has(&self, id: &KeyId) -> bool {
        self.key.primary_key.legacy_key_id() == *id || self.key.public_subkeys.iter().any(|sub| sub.key.legacy_key_id() == *id)
    }
}

fn over(created_secs: u32, newest: Option<&Signature>, now: Timestamp) -> bool {
    let lasts = newest.and_then(Signature::key_expiration_time).map(|time| i64::from(time.as_secs())).filter(|secs| *secs > 0);
    lasts.is_some_and(|secs| i64::from(created_secs) + secs <= now.0 / 1_000)
}

/// Puts a key into a contact's file; the same key again replaces its older state.
///
/// # Errors
/// Where the key cannot be used, or there are too many of this address.
pub fn contact_key_add(
    tx: &Transaction<'_>,
    contact: ContactId,
    email: &str,
    armored: &str,
    actor: &str,
    now: Timestamp,
) -> Result<String, PgpError> {
    let key = ContactKey::parse(email, armored, now)?;
    let added = tx
        .prepare_cached(
            "INSERT INTO contact_key (email, fingerprint, contact, armored, added_by, added_at)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT COUNT(*) FROM contact_key WHERE email = ?1 AND fingerprint <> ?2) < ?7
             ON CONFLICT (email, fingerprint) DO UPDATE SET armored = excluded.armored, added_by = excluded.added_by, added_at = excluded.added_at",
        )
        .and_then(|mut statement| {
            statement.execute(params![key.email, key.fingerprint, contact, armored, actor, now.0, KEYS_MAX])
        })
        .map_err(DbError::from)?;
    if added == 0 { Err(PgpError::NoKey("this address has enough keys: remove an old one".into())) } else { Ok(key.fingerprint) }
}

/// Takes a key out of a contact's file; `false` where it was not there.
///
/// # Errors
/// The database's own.
pub fn contact_key_remove(tx: &Transaction<'_>, email: &str, fingerprint: &str) -> Result<bool, DbError> {
    let sql = "DELETE FROM contact_key WHERE email = ?1 AND fingerprint = ?2";
    Ok(tx.prepare_cached(sql)?.execute(params![email.to_lowercase(), fingerprint.to_uppercase()])? == 1)
}

/// The keys of an address; what cannot be read any more is left out.
///
/// # Errors
/// The database's own.
pub fn contact_keys(connection: &Connection, email: &str) -> Result<Vec<ContactKey>, DbError> {
    let mut statement = connection.prepare_cached("SELECT armored FROM contact_key WHERE email = ?1 ORDER BY added_at DESC")?;
    let armored: Vec<String> = statement.query_map([email.to_lowercase()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(armored.iter().filter_map(|armored| ContactKey::read(email, armored).ok()).collect())
}

/// All keys on file, by address.
///
/// # Errors
/// The database's own.
pub fn contact_key_list(connection: &Connection) -> Result<Vec<ContactKey>, DbError> {
    let mut statement = connection.prepare_cached("SELECT email, armored FROM contact_key ORDER BY email, added_at")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let rows: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
    Ok(rows.iter().filter_map(|(email, armored)| ContactKey::read(email, armored).ok()).collect())
}

//! Passkeys (WebAuthn, level 3): keys that never leave the owner's device. One kind serves all uses: it lies on the device
//! and asks for finger, face or PIN, so it is two factors in one and lets its owner in without a password.
//!
//! The ceremonies' challenges are kept in memory and each is good once, for one purpose and five minutes: a restart costs
//! whoever is just touching a key one more click.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use ingest::db::DbError;
use ingest::rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use ingest::time::Timestamp;
use webauthn_rp::bin::{Decode as _, Encode as _};
use webauthn_rp::request::auth::{AuthenticationVerificationOptions, AuthenticatorAttachmentEnforcement, SignatureCounterEnforcement};
use webauthn_rp::request::register::{
    CredProtect, PublicKeyCredentialUserEntity, RegistrationVerificationOptions, UserHandle, UserHandle16,
};
use webauthn_rp::request::{AsciiDomain, BackupReq, ExtensionInfo, PublicKeyCredentialDescriptor, RpId};
use webauthn_rp::response::register::{CompressedPubKey, DynamicState, StaticState};
use webauthn_rp::response::{AuthTransports, CredentialId};
use webauthn_rp::{
    AuthenticatedCredential, DiscoverableAuthentication, DiscoverableAuthenticationServerState, DiscoverableCredentialRequestOptions,
    PublicKeyCredentialCreationOptions, Registration, RegistrationServerState,
};

use super::unhex;
use crate::session::hex;
use crate::user::{User, UserId};

/// Passkeys of one account: phone, desk, a key in the drawer, with room.
pub const PER_USER_MAX: usize = 10;
pub const NAME_CHARS_MAX: usize = 40;
/// How long a challenge waits for its answer, as the browser is told too.
const CHALLENGE_MILLIS: i64 = 5 * Timestamp::MINUTE;
/// Challenges that wait at once, a few hundred bytes each. Beyond it the oldest half is forgotten: who floods the door
/// would need thousands a second to outrun somebody's finger.
const CHALLENGES_MAX: usize = 20_000;

ingest::id_type!(
    /// A passkey's row.
    PasskeyId
);

/// For which address passkeys are made. A browser gives a passkey to no other.
#[derive(Clone, Debug)]
pub struct Relying {
    rp: RpId,
    /// The host as a browser writes it.
    pub host: String,
    /// Scheme, host and port as a browser writes them.
    pub origin: String,
}

impl Relying {
    /// From the address by which people reach the pages. `None` where browsers make no passkeys: for a bare IP address
    /// and without TLS. This machine's own address is `localhost`, which browsers trust without.
    pub fn of(base_url: &str) -> Option<Self> {
        let (scheme, rest) = base_url.split_once("://")?;
        let authority = rest.split('/').next()?.to_ascii_lowercase();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host.to_owned(), Some(port.to_owned())),
            _ => (authority, None),
        };
        let host = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if address.is_loopback() => "localhost".to_owned(),
            Ok(_) => return None,
            Err(_) => host,
        };
        if scheme != "https" && host != "localhost" {
            return None;
        }
        let usual = if scheme == "https" { "443" } else { "80" };
        let port = port.filter(|port| port != usual).map(|port| format!(":{port}")).unwrap_or_default();
        let rp = RpId::Domain(AsciiDomain::try_from(host.clone()).ok()?);
        Some(Self { rp, origin: format!("{scheme}://{host}{port}"), host })
    }
}

/// Why a ceremony came to nothing. What exactly was wrong is for our log; the person can only try again.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// Unknown, used, too old, or begun for another purpose.
    #[error("no such challenge")]
    Challenge,
    #[error("the answer is no answer: {0}")]
    Unreadable(String),
    #[error("the answer does not fit: {0}")]
    Refused(String),
    #[error("no such passkey")]
    Unknown,
    #[error(transparent)]
    Db(#[from] DbError),
}

enum Waiting {
    Register(Box<RegistrationServerState<16>>),
    Prove(Box<DiscoverableAuthenticationServerState>),
}

struct Ceremony {
    /// What it was begun for: a session, a half-finished login, the door.
    purpose: String,
    at: Timestamp,
    waiting: Waiting,
}

/// The challenges that wait for their answers.
#[derive(Default)]
pub struct Ceremonies(Mutex<HashMap<u128, Ceremony>>);

impl std::fmt::Debug for Ceremonies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ceremonies(…)")
    }
}

/// A passkey that was just made.
#[derive(Debug)]
pub struct NewPasskey {
    pub credential: String,
    pub(crate) transports: u8,
    pub(crate) fixed: String,
    pub(crate) state: String,
}

/// What a passkey's answer proved.
#[derive(Clone, Debug)]
pub struct Proof {
    pub passkey: PasskeyId,
    pub user: UserId,
    /// The key's counter went back: there may be a copy of it.
    pub regressed: bool,
    state: String,
}

impl Ceremonies {
    /// Begins the making of a passkey: what the browser is to be told, as JSON.
    pub fn register_begin(&self, relying: &Relying, user: &User, known: Vec<Known>, purpose: &str, now: Timestamp) -> Option<String> {
        let handle = handle(user.id);
        let entity = PublicKeyCredentialUserEntity {
            // Names that no device would show stay out; the login is always a name.
            name: user.login.as_str().try_into().or_else(|_| "konto".try_into()).ok()?,
            id: &handle,
            display_name: user.name.as_str().try_into().ok(),
        };
        let exclude = known.into_iter().filter_map(Known::descriptor).collect();
        let mut options = PublicKeyCredentialCreationOptions::passkey(&relying.rp, entity, exclude);
        // Asked for, not insisted on: a device that does not know it would refuse, and we ask for finger or PIN anyway.
        options.extensions.cred_protect = CredProtect::UserVerificationRequired(ExtensionInfo::AllowDontEnforceValue);
        let (waiting, options) = options.start_ceremony().ok()?;
        let json = serde_json::to_value(&options).ok()?;
        self.keep(&json, purpose, now, Waiting::Register(Box::new(waiting)))?;
        Some(json.to_string())
    }

    /// Judges the browser's answer to it.
    ///
    /// # Errors
    /// Where the challenge or the answer does not fit.
    pub fn register_finish(&self, relying: &Relying, purpose: &str, json: &str, now: Timestamp) -> Result<NewPasskey, PasskeyError> {
        let unreadable = |error: &dyn std::fmt::Display| PasskeyError::Unreadable(error.to_string());
        let answer = Registration::from_json_relaxed(json.as_bytes()).map_err(|error| unreadable(&error))?;
        let challenge = answer.challenge_relaxed().map_err(|error| unreadable(&error))?;
        let Some(Waiting::Register(waiting)) = self.take(challenge.0, purpose, now) else { return Err(PasskeyError::Challenge) };
        let options = RegistrationVerificationOptions::<String, String> {
            allowed_origins: std::slice::from_ref(&relying.origin),
            error_on_unsolicited_extensions: false,
            ..RegistrationVerificationOptions::default()
        };
        let made = waiting.verify(&relying.rp, &answer, &options).map_err(|error| PasskeyError::Refused(error.to_string()))?;
        let (id, transports, _, fixed, state, _) = made.into_parts();
        let Ok(transports) = transports.encode();
        let Ok(fixed) = fixed.encode();
        let Ok(state) = state.encode();
        Ok(NewPasskey { credential: hex(id.inner()), transports, fixed: hex(&fixed), state: hex(&state) })
    }

    /// Begins a proof by any passkey of this house: what the browser is to be told, as JSON.
    pub fn prove_begin(&self, relying: &Relying, purpose: &str, now: Timestamp) -> Option<String> {
        let (waiting, options) = DiscoverableCredentialRequestOptions::passkey(&relying.rp).start_ceremony().ok()?;
        let json = serde_json::to_value(&options).ok()?;
        self.keep(&json, purpose, now, Waiting::Prove(Box::new(waiting)))?;
        Some(json.to_string())
    }

    /// Judges the browser's answer to it, with the passkey as it is stored.
    ///
    /// # Errors
    /// Where the challenge, the passkey or the answer does not fit; the database's own.
    pub fn prove_finish(
        &self,
        relying: &Relying,
        purpose: &str,
        json: &str,
        now: Timestamp,
        find: impl FnOnce(&str) -> Result<Option<Stored>, DbError>,
    ) -> Result<Proof, PasskeyError> {
        let unreadable = |error: &dyn std::fmt::Display| PasskeyError::Unreadable(error.to_string());
        let answer = DiscoverableAuthentication::<16>::from_json_relaxed(json.as_bytes()).map_err(|error| unreadable(&error))?;
        let challenge = answer.challenge_relaxed().map_err(|error| unreadable(&error))?;
        let Some(Waiting::Prove(waiting)) = self.take(challenge.0, purpose, now) else { return Err(PasskeyError::Challenge) };
        let stored = find(&hex(answer.raw_id().inner()))?.ok_or(PasskeyError::Unknown)?;
        let damaged = || PasskeyError::Refused("the stored passkey cannot be read".to_owned());
        let fixed = unhex(&stored.fixed).ok_or_else(damaged)?;
        let fixed = StaticState::<CompressedPubKey<[u8; 32], [u8; 32], [u8; 48], Vec<u8>>>::decode(&fixed).map_err(|_| damaged())?;
        let state: [u8; 7] = unhex(&stored.state).and_then(|state| state.try_into().ok()).ok_or_else(damaged)?;
        let state = DynamicState::decode(state).map_err(|_| damaged())?;
        let user = handle(stored.user);
        let refused = |error: &dyn std::fmt::Display| PasskeyError::Refused(error.to_string());
        let mut credential = AuthenticatedCredential::new(answer.raw_id(), &user, fixed, state).map_err(|error| refused(&error))?;
        let options = AuthenticationVerificationOptions::<String, String> {
            allowed_origins: std::slice::from_ref(&relying.origin),
            // A key may begin to be synchronised after it was made: that is its owner's affair.
            backup_requirement: Some(BackupReq::None),
            error_on_unsolicited_extensions: false,
            auth_attachment_enforcement: AuthenticatorAttachmentEnforcement::Ignore(false),
            // Told to the auditor, not held against the person: synchronised keys count oddly.
            sig_counter_enforcement: SignatureCounterEnforcement::Update,
            ..AuthenticationVerificationOptions::default()
        };
        let before = state.sign_count;
        waiting.verify(&relying.rp, &answer, &mut credential, &options).map_err(|error| refused(&error))?;
        let Ok(state) = credential.dynamic_state().encode();
        let regressed = before > 0 && counter(answer.response().authenticator_data()).is_none_or(|now| now <= before);
        Ok(Proof { passkey: stored.id, user: stored.user, regressed, state: hex(&state) })
    }

    /// Remembers a challenge by its value, which stands in the options.
    fn keep(&self, options: &serde_json::Value, purpose: &str, at: Timestamp, waiting: Waiting) -> Option<()> {
        use webauthn_rp::request::TimedCeremony as _;
        options.get("challenge")?;
        let challenge = match &waiting {
            Waiting::Register(state) => state.sent_challenge().0,
            Waiting::Prove(state) => state.sent_challenge().0,
        };
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= CHALLENGES_MAX {
            map.retain(|_, ceremony| at.since(ceremony.at) < CHALLENGE_MILLIS);
        }
        if map.len() >= CHALLENGES_MAX {
            let mut times: Vec<i64> = map.values().map(|ceremony| ceremony.at.0).collect();
            times.sort_unstable();
            let middle = times.get(times.len() / 2).copied().unwrap_or(i64::MAX);
            map.retain(|_, ceremony| ceremony.at.0 > middle);
        }
        map.insert(challenge, Ceremony { purpose: purpose.to_owned(), at, waiting });
        Some(())
    }

    /// A challenge is gone with its first answer, whatever that was worth.
    fn take(&self, challenge: u128, purpose: &str, now: Timestamp) -> Option<Waiting> {
        let ceremony = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&challenge)?;
        let fits = ceremony.purpose == purpose && now.since(ceremony.at) < CHALLENGE_MILLIS;
        fits.then_some(ceremony.waiting)
    }
}

/// The account's identity says nothing of the person, so that it may lie on his devices.
fn handle(user: UserId) -> UserHandle16 {
    let Ok(handle) = UserHandle::<16>::decode(user.0.0.to_be_bytes());
    handle
}

/// Bytes 33 to 36 of what the authenticator signed.
fn counter(data: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(33..37)?.try_into().ok()?))
}

/// A passkey as its owner's device is told not to make it twice.
#[derive(Clone, Debug)]
pub struct Known {
    credential: String,
    transports: u8,
}

impl Known {
    fn descriptor(self) -> Option<PublicKeyCredentialDescriptor<Vec<u8>>> {
        let id = CredentialId::<Vec<u8>>::decode(unhex(&self.credential)?).ok()?;
        Some(PublicKeyCredentialDescriptor { id, transports: AuthTransports::decode(self.transports).ok()? })
    }
}

/// A passkey as a proof needs it.
#[derive(Clone, Debug)]
pub struct Stored {
    id: PasskeyId,
    user: UserId,
    fixed: String,
    state: String,
}

/// A passkey as its owner's page lists it.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: PasskeyId,
    pub name: String,
    pub created_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

/// What the owner calls it, as it is kept.
pub fn name_normal(text: &str) -> String {
    let name: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().filter(|ch| !ch.is_control()).collect();
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    if name.is_empty() { "Passkey".to_owned() } else { name }
}

/// Keeps a new passkey; `None` where the account has as many as it may, or the key is known already.
///
/// # Errors
/// The database's own.
pub fn passkey_add(tx: &Transaction<'_>, user: UserId, new: &NewPasskey, name: &str, now: Timestamp) -> Result<Option<PasskeyId>, DbError> {
    let count: i64 = tx.query_row("SELECT COUNT(*) FROM passkey WHERE user_id = ?1", [user], |row| row.get(0))?;
    if usize::try_from(count).unwrap_or(usize::MAX) >= PER_USER_MAX {
        return Ok(None);
    }
    let id = PasskeyId::new(now);
    let added = tx.execute(
        "INSERT INTO passkey (id, user_id, credential, transports, fixed, state, name, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (credential) DO NOTHING",
        params![id, user, new.credential, new.transports, new.fixed, new.state, name_normal(name), now.0],
    )?;
    Ok((added == 1).then_some(id))
}

/// # Errors
/// The database's own.
pub fn passkey_known(connection: &Connection, user: UserId) -> Result<Vec<Known>, DbError> {
    let mut statement = connection.prepare_cached("SELECT credential, transports FROM passkey WHERE user_id = ?1")?;
    let rows = statement.query_map([user], |row| Ok(Known { credential: row.get(0)?, transports: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// By the key's own identity, as the browser names it.
///
/// # Errors
/// The database's own.
pub fn passkey_find(connection: &Connection, credential: &str) -> Result<Option<Stored>, DbError> {
    let mut statement = connection.prepare_cached("SELECT id, user_id, fixed, state FROM passkey WHERE credential = ?1")?;
    let row = |row: &Row<'_>| Ok(Stored { id: row.get(0)?, user: row.get(1)?, fixed: row.get(2)?, state: row.get(3)? });
    Ok(statement.query_row([credential], row).optional()?)
}

/// Notes that a passkey was used, with its counter.
///
/// # Errors
/// The database's own.
pub fn passkey_used(tx: &Transaction<'_>, proof: &Proof, now: Timestamp) -> Result<(), DbError> {
    tx.execute("UPDATE passkey SET state = ?2, used_at = ?3 WHERE id = ?1", params![proof.passkey, proof.state, now.0])?;
    Ok(())
}

/// # Errors
/// The database's own.
pub fn passkey_list(connection: &Connection, user: UserId) -> Result<Vec<Listed>, DbError> {
    let mut statement = connection.prepare_cached("SELECT id, name, created_at, used_at FROM passkey WHERE user_id = ?1 ORDER BY id")?;
    let rows = statement.query_map([user], |row| {
        let used_at: Option<i64> = row.get(3)?;
        Ok(Listed { id: row.get(0)?, name: row.get(1)?, created_at: Timestamp(row.get(2)?), used_at: used_at.map(Timestamp) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether there was one.
///
/// # Errors
/// The database's own.
pub fn passkey_rename(tx: &Transaction<'_>, user: UserId, id: PasskeyId, name: &str) -> Result<bool, DbError> {
    Ok(tx.execute("UPDATE passkey SET name = ?3 WHERE user_id = ?1 AND id = ?2", params![user, id, name_normal(name)])? == 1)
}

/// Whether there was one.
///
/// # Errors
/// The database's own.
pub fn passkey_remove(tx: &Transaction<'_>, user: UserId, id: PasskeyId) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM passkey WHERE user_id = ?1 AND id = ?2", params![user, id])? == 1)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn for_which_addresses_there_are_passkeys() {
        let mut table = String::new();
        for url in [
            "https://wartburg.thueringen.example",
            "https://Wartburg.Thueringen.example:443/pfad",
            "https://wartburg.thueringen.example:8443",
            "http://wartburg.thueringen.example",
            "http://127.0.0.1:8804",
            "http://[::1]:8804",
            "http://localhost:8080",
            "https://10.1.2.3",
            "wartburg",
            "https://",
        ] {
            let relying = Relying::of(url).map_or_else(|| "none".to_owned(), |relying| format!("{} at {}", relying.host, relying.origin));
            table += &format!("{url}: {relying}\n");
        }
        expect![[r#"
            https://wartburg.thueringen.example: wartburg.thueringen.example at https://wartburg.thueringen.example
            https://Wartburg.Thueringen.example:443/pfad: wartburg.thueringen.example at https://wartburg.thueringen.example
            https://wartburg.thueringen.example:8443: wartburg.thueringen.example at https://wartburg.thueringen.example:8443
            http://wartburg.thueringen.example: none
            http://127.0.0.1:8804: localhost at http://localhost:8804
            http://[::1]:8804: localhost at http://localhost:8804
            http://localhost:8080: localhost at http://localhost:8080
            https://10.1.2.3: none
            wartburg: none
            https://: none
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn challenges_are_bounded_and_good_once() {
        let ceremonies = Ceremonies::default();
        let relying = Relying::of("http://localhost:1").unwrap();
        for n in 0..i64::try_from(CHALLENGES_MAX).unwrap() + 10 {
            ceremonies.prove_begin(&relying, "door", Timestamp(n / 1_000)).unwrap();
        }
        let len = ceremonies.0.lock().unwrap().len();
        assert!(len <= CHALLENGES_MAX && len > CHALLENGES_MAX / 4, "{len}");
        let challenge = *ceremonies.0.lock().unwrap().keys().next().unwrap();
        assert!(ceremonies.take(challenge, "door", Timestamp(30)).is_some());
        assert!(ceremonies.take(challenge, "door", Timestamp(30)).is_none());
        let challenge = *ceremonies.0.lock().unwrap().keys().next().unwrap();
        assert!(ceremonies.take(challenge, "session:x", Timestamp(30)).is_none(), "another purpose");
        let challenge = *ceremonies.0.lock().unwrap().keys().next().unwrap();
        assert!(ceremonies.take(challenge, "door", Timestamp(CHALLENGE_MILLIS + 30)).is_none(), "too late");
    }

    #[test]
    fn names_are_short_and_plain() {
        for (typed, kept) in [("  Diensthandy \n A ", "Diensthandy A"), ("", "Passkey"), ("\u{1b}[31m", "[31m")] {
            assert_eq!(name_normal(typed), kept);
        }
        assert_eq!(name_normal(&"ä".repeat(90)).chars().count(), NAME_CHARS_MAX);
    }
}

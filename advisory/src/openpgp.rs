//! OpenPGP for the mails of cases (RFC 9580, RFC 3156), over rPGP: the house's own key signs and opens, the contacts' keys
//! check and seal. Trust is simple: a key counts for the contact in whose file somebody put it, and for nothing else; no key
//! server is asked and no web of trust is followed. Keys, states and answers are ours; rPGP's types stay in here.

mod contact;
mod own;

use std::io::Read as _;

use ingest::time::Timestamp;
use pgp::composed::{Deserializable as _, DetachedSignature, Message};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::SignatureType;

use crate::mailroom::Signature;

pub use contact::{ContactKey, MIGRATIONS, contact_key_add, contact_key_list, contact_key_remove, contact_keys};
pub(crate) use own::MICALG;
pub use own::OwnKey;

/// What was in an encrypted mail.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    pub content: Vec<u8>,
    pub signature: Signature,
}

#[derive(Debug, thiserror::Error)]
pub enum PgpError {
    #[error("this is no OpenPGP key: {0}")]
    NoKey(String),
    #[error("the key may not sign")]
    CannotSign,
    #[error("the key has a passphrase: remove it before importing (gpg --edit-key … passwd)")]
    Locked,
    #[error("the own key must be an elliptic one (Ed25519 and Curve25519, or NIST)")]
    Algorithm,
    #[error("nobody vouches for what is in the key: its own signature does not hold")]
    Unbound,
    #[error("the key is revoked or its time is over")]
    Dead,
    #[error("the key cannot be encrypted to")]
    CannotEncrypt,
    #[error("OpenPGP: {0}")]
    Library(#[from] pgp::errors::Error),
    #[error("{doing} {path}")]
    Io { doing: &'static str, path: std::path::PathBuf, source: std::io::Error },
    #[error(transparent)]
    Db(#[from] ingest::db::DbError),
}

/// A signature or a key is a few kilobytes; with pictures and many people's signatures up to this.
const KEY_BYTES_MAX: usize = 256 * 1024;
/// What comes out of an encrypted mail; a small mail that becomes a huge one is an attack.
const OPENED_BYTES_MAX: u64 = 64 << 20;
/// Clocks differ; a signature from further in the future is not believed.
const CLOCK_SECONDS_MAX: i64 = 24 * 3600;

/// A letter takes days at most to come: an older signature was made for something else, and is sent again by somebody.
const AGE_SECONDS_MAX: i64 = 7 * 24 * 3600;

/// Whether a signature was made for a letter of these days.
fn timely(signature: &pgp::packet::Signature, now: Timestamp) -> bool {
    let now = now.0 / 1_000;
    signature.created().map(|at| i64::from(at.as_secs())).is_some_and(|at| at <= now + CLOCK_SECONDS_MAX && at >= now - AGE_SECONDS_MAX)
}

/// Whether a signature (in armor) is one of these keys' over `part`.
pub fn verify(part: &[u8], signature: &[u8], keys: &[ContactKey], now: Timestamp) -> Signature {
    let signature = signature.get(..signature.len().min(KEY_BYTES_MAX)).unwrap_or_default();
    let Ok((signature, _)) = DetachedSignature::from_armor_single(signature) else { return Signature::Bad };
    let strong = |hash| {
        matches!(
            hash,
            HashAlgorithm::Sha256 | HashAlgorithm::Sha384 | HashAlgorithm::Sha512 | HashAlgorithm::Sha3_256 | HashAlgorithm::Sha3_512
        )
    };
    // Other kinds are signatures over something else than a text.
    let over_text = matches!(signature.signature.typ(), Some(SignatureType::Binary | SignatureType::Text));
    if !signature.signature.hash_alg().is_some_and(strong) || !over_text || !timely(&signature.signature, now) {
        return Signature::Bad;
    }
    let mut known = false;
    for key in keys {
        let ids = signature.signature.issuer_key_id();
        known |= ids.iter().any(|id| key.has(id));
        let good = key.signers(now).any(|signer| match signer {
            contact::Signer::Primary(one) => signature.signature.verify(one, part).is_ok(),
            contact::Signer::Sub(one) => signature.signature.verify(one, part).is_ok(),
        });
        if good {
            return if key.dead(now) { Signature::ExpiredKey } else { Signature::Good { fingerprint: key.fingerprint.clone() } };
        }
    }
    if known { Signature::Bad } else { Signature::UnknownKey }
}

impl OwnKey {
    /// Opens what was encrypted to us; `None` where it was not, or is damaged.
    pub fn open(&self, message: &[u8], keys: &[ContactKey], now: Timestamp) -> Option<Opened> {
        let (message, _) = Message::from_armor(message).ok()?;
        let mut message = message.decrypt(&pgp::types::Password::empty(), self.secret()).ok()?;
        // One layer, as programs make it.
        if message.is_compressed() {
            message = message.decompress().ok()?;
        }
        let mut content = Vec::new();
        (&mut message).take(OPENED_BYTES_MAX + 1).read_to_end(&mut content).ok()?;
        if content.len() as u64 > OPENED_BYTES_MAX {
            return None;
        }
        let mut signature = if message.is_signed() || message.is_one_pass_signed() { Signature::UnknownKey } else { Signature::None };
        for key in keys {
            let good = key.signers(now).any(|signer| match signer {
                contact::Signer::Primary(one) => message.verify(one).is_ok_and(|signature| timely(signature, now)),
                contact::Signer::Sub(one) => message.verify(one).is_ok_and(|signature| timely(signature, now)),
            });
            if good {
                signature = if key.dead(now) { Signature::ExpiredKey } else { Signature::Good { fingerprint: key.fingerprint.clone() } };
            }
        }
        Some(Opened { content, signature })
    }
}

fn fingerprint(key: &impl pgp::types::KeyDetails) -> String {
    key.fingerprint().to_string().to_uppercase()
}

#[cfg(test)]
mod tests;

//! The house's own key. It stands in `keys/openpgp.key`, readable for the server alone like the other keys there, and is made
//! or imported by a command; without it mails go out unsigned, as before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ingest::time::Timestamp;
use pgp::composed::{
    ArmorOptions, Deserializable as _, DetachedSignature, EncryptionCaps, KeyType, MessageBuilder, SecretKeyParamsBuilder, SignedSecretKey,
    SubkeyParamsBuilder,
};
use pgp::crypto::ecc_curve::ECCCurve;
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::types::{KeyDetails as _, Password, SigningKey};
use rand_core::OsRng;

use super::{ContactKey, KEY_BYTES_MAX, PgpError, fingerprint};

/// Below `DATA/keys`.
const FILE: &str = "openpgp.key";

/// The key that signs and opens.
pub struct OwnKey {
    secret: SignedSecretKey,
    /// Which subkey signs; none: the primary key.
    signer: Option<usize>,
}

impl std::fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OwnKey({})", self.fingerprint())
    }
}

impl OwnKey {
    /// A fresh key for `user` (`ThüringenCERT <cert@cert.example>`): Ed25519 signs, Curve25519 opens. In the old forms of both,
    /// which every program knows.
    ///
    /// # Errors
    /// The library's own.
    pub fn generate(user: &str, now: Timestamp) -> Result<Self, PgpError> {
        let built = |error: &dyn std::fmt::Display| PgpError::NoKey(error.to_string());
        let created = pgp::types::Timestamp::from_secs(u32::try_from(now.0 / 1_000).unwrap_or_default());
        let mut opens = SubkeyParamsBuilder::default();
        opens.key_type(KeyType::ECDH(ECCCurve::Curve25519Legacy)).can_encrypt(EncryptionCaps::All).created_at(created);
        let mut params = SecretKeyParamsBuilder::default();
        params
            .key_type(KeyType::Ed25519Legacy)
            .can_certify(true)
            .can_sign(true)
            .created_at(created)
            // Without a word about it GnuPG signs what it encrypts to us with SHA-1, which nobody believes any more.
            .preferred_hash_algorithms([HASH, HashAlgorithm::Sha256].into_iter().collect())
            .preferred_symmetric_algorithms([SymmetricKeyAlgorithm::AES256, SymmetricKeyAlgorithm::AES128].into_iter().collect())
            .primary_user_id(user.into())
            .subkeys(vec![opens.build().map_err(|error| built(&error))?]);
        let params = params.build().map_err(|error| built(&error))?;
        Self::of(params.generate(OsRng)?)
    }

    /// A key that somebody has already, in armor and without a passphrase: the server could not type it in.
    ///
    /// # Errors
    /// What it cannot be used for.
    pub fn import(armored: &str) -> Result<Self, PgpError> {
        if armored.len() > KEY_BYTES_MAX {
            return Err(PgpError::NoKey("too long".into()));
        }
        let (secret, _) = SignedSecretKey::from_string(armored).map_err(|error| PgpError::NoKey(error.to_string()))?;
        Self::of(secret)
    }

    fn of(secret: SignedSecretKey) -> Result<Self, PgpError> {
        let locked = |params: &pgp::types::SecretParams| matches!(params, pgp::types::SecretParams::Encrypted(_));
        if locked(secret.primary_key.secret_params()) || secret.secret_subkeys.iter().any(|sub| locked(sub.key.secret_params())) {
            return Err(PgpError::Locked);
        }
        // The time that an RSA private key takes tells of it (RUSTSEC-2023-0071), and mails ask us to use ours.
        let elliptic = |algorithm| {
            use PublicKeyAlgorithm::{ECDH, ECDSA, Ed448, Ed25519, EdDSALegacy, X448, X25519};
            matches!(algorithm, ECDH | ECDSA | Ed448 | Ed25519 | EdDSALegacy | X448 | X25519)
        };
        let all = std::iter::once(secret.primary_key.algorithm()).chain(secret.secret_subkeys.iter().map(|sub| sub.key.algorithm()));
        if !all.into_iter().all(elliptic) {
            return Err(PgpError::Algorithm);
        }
        secret.verify_bindings().map_err(|_| PgpError::Unbound)?;
        let signer = secret.secret_subkeys.iter().position(|sub| sub.signatures.iter().any(|signature| signature.key_flags().sign()));
        let primary = secret.details.users.iter().flat_map(|user| &user.signatures).chain(&secret.details.direct_signatures);
        let primary_signs = primary.into_iter().any(|signature| signature.key_flags().sign());
        if signer.is_none() && !primary_signs {
            return Err(PgpError::CannotSign);
        }
        Ok(Self { secret, signer })
    }

    /// Reads the key; `None` where there is none.
    ///
    /// # Errors
    /// Where the file cannot be read, or is none.
    pub fn load(keys: &Path) -> Result<Option<Self>, PgpError> {
        let path = keys.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::import(&text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(PgpError::Io { doing: "read", path, source }),
        }
    }

    /// Writes the key: whole or not at all, and never over another one.
    ///
    /// # Errors
    /// The system's own, also where there is a key.
    pub fn save(&self, keys: &Path) -> Result<(), PgpError> {
        let path = keys.join(FILE);
        let text = self.secret.to_armored_string(ArmorOptions::default())?;
        let write = || {
            fs::create_dir_all(keys)?;
            if path.exists() {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            let fresh = path.with_extension("new");
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            File::open(keys)?.sync_all()
        };
        write().map_err(|source| PgpError::Io { doing: "write", path: path.clone(), source })
    }

    pub fn fingerprint(&self) -> String {
        fingerprint(&self.secret.primary_key)
    }

    /// What others need to check our mails and to write to us.
    ///
    /// # Errors
    /// The library's own.
    pub fn public(&self) -> Result<String, PgpError> {
        Ok(self.secret.to_public_key().to_armored_string(ArmorOptions::default())?)
    }

    pub(super) fn secret(&self) -> &SignedSecretKey {
        &self.secret
    }

    /// A signature over exactly these bytes, in armor.
    ///
    /// # Errors
    /// The library's own.
    pub fn sign(&self, part: &[u8]) -> Result<String, PgpError> {
        let (password, hash) = (Password::empty(), HASH);
        let signature = match self.signer.and_then(|n| self.secret.secret_subkeys.get(n)) {
            Some(sub) => DetachedSignature::sign_binary_data(OsRng, &sub.key, &password, hash, part)?,
            None => DetachedSignature::sign_binary_data(OsRng, &self.secret.primary_key, &password, hash, part)?,
        };
        Ok(signature.to_armored_string(ArmorOptions::default())?)
    }

    /// Signs and encrypts to a contact and to ourselves, in armor: what we wrote we must be able to read again.
    ///
    /// # Errors
    /// Where nobody can be encrypted to, or the library's own.
    pub fn seal(&self, part: &[u8], to: &ContactKey, now: Timestamp) -> Result<String, PgpError> {
        let mut message = MessageBuilder::from_bytes("", part.to_vec()).seipd_v1(OsRng, SymmetricKeyAlgorithm::AES256);
        let signer: &dyn SigningKey = match self.signer.and_then(|n| self.secret.secret_subkeys.get(n)) {
            Some(sub) => &sub.key,
            None => &self.secret.primary_key,
        };
        message.sign(signer, Password::empty(), HASH);
        let mut recipients = 0;
        for sub in to.openers(now) {
            message.encrypt_to_key(OsRng, &sub)?;
            recipients += 1;
        }
        if recipients == 0 {
            return Err(PgpError::CannotEncrypt);
        }
        for sub in self.secret.secret_subkeys.iter().filter(|sub| sub.signatures.iter().any(|one| one.key_flags().encrypt_comms())) {
            message.encrypt_to_key(OsRng, &sub.signed_public_key())?;
        }
        Ok(message.to_armored_string(OsRng, ArmorOptions::default())?)
    }
}

/// What `micalg` says in the signed mail.
const HASH: HashAlgorithm = HashAlgorithm::Sha512;
pub(crate) const MICALG: &str = "pgp-sha512";

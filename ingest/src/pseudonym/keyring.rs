//! The key file: one master key, and for each retention class the salts from which its keys come by HKDF. Without its salt
//! a key cannot be made again, so that to strike the salt is to forget all that was hidden under it. The plans stand here
//! too: from which sequence on what was hidden, so that a replay of the journal does the same again.

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use super::address::Pan;
use super::token::TextKey;
use crate::frame::Seq;
use crate::id::random_bytes;
use crate::time::Timestamp;

/// The file's name below `DATA/keys`.
pub const KEY_FILE: &str = "pseudonym.json";
const VERSION: u32 = 1;
/// Nobody rotates this often; a file with more is not ours.
const KEYS_MAX: usize = 10_000;

#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error("{doing} the key file {path}")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the key file {path} is damaged or from a newer program; restore it from the backup, or its pseudonyms stay closed")]
    Unreadable { path: PathBuf },
    #[error("the key file {path} may be read by others (mode {mode:o}): chmod 600 it")]
    Open { path: PathBuf, mode: u32 },
    #[error("no key {0}")]
    NoKey(KeyId),
}

/// A key's name, in every token that it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyId(pub u32);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

/// A text that names no key.
#[derive(Debug, thiserror::Error)]
#[error("not a key's name (eight hexadecimal digits)")]
pub struct KeyIdError;

impl FromStr for KeyId {
    type Err = KeyIdError;
    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        if text.len() != 8 {
            return Err(KeyIdError);
        }
        u32::from_str_radix(text, 16).map(Self).map_err(|_| KeyIdError)
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyIdError;
    fn try_from(text: String) -> Result<Self, KeyIdError> {
        text.parse()
    }
}

/// Whose addresses are hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Addresses {
    None,
    /// Private ones and those of the sites.
    #[default]
    Internal,
    All,
}

/// What is hidden from a sequence on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub since: Seq,
    pub at: Timestamp,
    pub on: bool,
    pub users: bool,
    pub mails: bool,
    pub addresses: Addresses,
    /// The sites' prefixes as they were: by them addresses were hidden, and by them they come back.
    pub prefixes: Vec<String>,
}

impl Plan {
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let of = |plan: &Self| (plan.on, plan.users, plan.mails, plan.addresses, plan.prefixes.clone());
        of(self) == of(other)
    }
}

/// One key of a class, as the file has it.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeyRow {
    pub id: KeyId,
    pub class: String,
    pub since: Seq,
    pub made_at: Timestamp,
    /// In hex; `None` once the key is destroyed.
    salt: Option<String>,
    pub forgotten_at: Option<Timestamp>,
}

impl KeyRow {
    pub fn is_forgotten(&self) -> bool {
        self.salt.is_none()
    }
}

impl fmt::Debug for KeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRow({}, {}, since {})", self.id, self.class, self.since.0)
    }
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    master: String,
    keys: Vec<KeyRow>,
    plans: Vec<Plan>,
}

/// The file, read. Its secrets are wiped when it goes.
pub struct Keyring {
    path: PathBuf,
    master: Zeroizing<[u8; 32]>,
    pub keys: Vec<KeyRow>,
    pub plans: Vec<Plan>,
}

impl Drop for Keyring {
    fn drop(&mut self) {
        self.keys.iter_mut().filter_map(|row| row.salt.as_mut()).for_each(|salt| salt.zeroize());
    }
}

impl Keyring {
    /// The keys in `dir`; `None` where there never were any.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged, or open to others.
    pub fn load(dir: &Path) -> Result<Option<Self>, KeyringError> {
        let path = dir.join(KEY_FILE);
        let io = |source| KeyringError::Io { doing: "read", path: path.clone(), source };
        let text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let mode = fs::metadata(&path).map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyringError::Open { path, mode });
        }
        let unreadable = || KeyringError::Unreadable { path: path.clone() };
        let mut written: Written = serde_json::from_str(&text).map_err(|_| unreadable())?;
        let master = unhex(&written.master);
        written.master.zeroize();
        let master = master.filter(|_| written.version == VERSION && written.keys.len() <= KEYS_MAX).ok_or_else(unreadable)?;
        Ok(Some(Self { path, master, keys: written.keys, plans: written.plans }))
    }

    /// A new master key, not yet written.
    pub fn new(dir: &Path) -> Self {
        Self { path: dir.join(KEY_FILE), master: Zeroizing::new(random_bytes()), keys: Vec::new(), plans: Vec::new() }
    }

    /// Writes the file so that a crash leaves the old or the new one.
    ///
    /// # Errors
    /// The disk's own.
    pub fn save(&self) -> Result<(), KeyringError> {
        let io = |source| KeyringError::Io { doing: "write", path: self.path.clone(), source };
        let dir = self.path.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io)?;
        let written = Written { version: VERSION, master: hex(&*self.master), keys: self.keys.clone(), plans: self.plans.clone() };
        let text = Zeroizing::new(serde_json::to_string_pretty(&written).map_err(|error| io(error.into()))?);
        let fresh = self.path.with_extension("new");
        let replace = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            // One that lay there already keeps its own mode.
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &self.path)?;
            File::open(dir)?.sync_all()
        };
        replace().map_err(io)
    }

    /// A new key for a class, in force from `since` on; those before it still open what they closed.
    pub fn add(&mut self, class: &str, since: Seq, now: Timestamp) -> KeyId {
        let id = loop {
            let id = KeyId(u32::from_be_bytes(random_bytes()));
            if self.keys.iter().all(|row| row.id != id) {
                break id;
            }
        };
        let salt = Some(hex(&random_bytes::<32>()));
        self.keys.push(KeyRow { id, class: class.into(), since, made_at: now, salt, forgotten_at: None });
        id
    }

    /// Destroys a key: nothing that it closed can be opened any more, by nobody.
    ///
    /// # Errors
    /// Where there is no such key.
    pub fn forget(&mut self, id: KeyId, now: Timestamp) -> Result<(), KeyringError> {
        let row = self.keys.iter_mut().find(|row| row.id == id).ok_or(KeyringError::NoKey(id))?;
        if let Some(mut salt) = row.salt.take() {
            salt.zeroize();
            row.forgotten_at = Some(now);
        }
        Ok(())
    }

    /// The keys that are not destroyed, ready for use.
    pub(super) fn derive(&self) -> Vec<ClassKey> {
        self.keys.iter().filter_map(|row| self.derive_one(row)).collect()
    }

    fn derive_one(&self, row: &KeyRow) -> Option<ClassKey> {
        let salt: Zeroizing<[u8; 32]> = unhex(row.salt.as_deref()?)?;
        let hkdf = Hkdf::<Sha256>::new(Some(&*salt), &*self.master);
        let mut text = Zeroizing::new([0; 64]);
        let mut pan = Zeroizing::new([0; 32]);
        hkdf.expand(format!("wartburg pseudonym text {} {}", row.class, row.id).as_bytes(), &mut *text).ok()?;
        hkdf.expand(format!("wartburg pseudonym address {} {}", row.class, row.id).as_bytes(), &mut *pan).ok()?;
        let text = TextKey { id: row.id, class: row.class.as_str().into(), key: text };
        Some(ClassKey { since: row.since, text, pan: Pan::new(&pan) })
    }
}

/// A class' key in use.
pub(super) struct ClassKey {
    pub(super) since: Seq,
    pub(super) text: TextKey,
    pub(super) pan: Pan,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    if text.len() != 2 * bytes.len() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_and_the_file_is_for_one_reader() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        assert!(Keyring::load(&keys).unwrap().is_none());
        let mut ring = Keyring::new(&keys);
        let (old, new) = (ring.add("standard", Seq(1), Timestamp(5)), ring.add("standard", Seq(9), Timestamp(6)));
        ring.save().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&keys), mode(&keys.join(KEY_FILE))), (0o700, 0o600));
        let tokens = |ring: &Keyring| ring.derive().iter().map(|key| key.text.token("anna")).collect::<Vec<_>>();
        let mut again = Keyring::load(&keys).unwrap().unwrap();
        assert_eq!(tokens(&ring), tokens(&again));
        assert_ne!(tokens(&ring)[0], tokens(&ring)[1]);

        again.forget(old, Timestamp(7)).unwrap();
        again.save().unwrap();
        let text = fs::read_to_string(keys.join(KEY_FILE)).unwrap();
        let salt = ring.keys[0].salt.clone().unwrap();
        assert!(!text.contains(&salt), "the salt is struck from the file");
        let left = Keyring::load(&keys).unwrap().unwrap();
        assert_eq!(left.derive().iter().map(|key| key.text.id).collect::<Vec<_>>(), [new]);
        assert!(left.keys[0].is_forgotten());
        assert!(matches!(again.forget(KeyId(old.0 ^ new.0 ^ 1), Timestamp(8)), Err(KeyringError::NoKey(_))));
    }

    #[test]
    fn a_damaged_or_open_file_is_refused_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let mut ring = Keyring::new(dir.path());
        ring.add("standard", Seq(1), Timestamp(5));
        ring.save().unwrap();
        let path = dir.path().join(KEY_FILE);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Keyring::load(dir.path()), Err(KeyringError::Open { mode: 0o640, .. })));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert!(matches!(Keyring::load(dir.path()), Err(KeyringError::Unreadable { .. })));
    }
}

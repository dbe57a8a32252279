//! The key under which the secrets of accounts lie in the database. It stands in a file of its own beside the database, so
//! that a copy of the database alone opens nothing. Without the file the codes from apps no longer fit; passwords,
//! passkeys and recovery codes do, because of those only what is no secret is kept.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aes_siv::KeyInit as _;
use aes_siv::siv::Aes256Siv;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::unhex;
use crate::session::hex;

/// Below `DATA/keys`.
const FILE: &str = "accounts.key";

/// Seals and opens; the key is wiped with it.
pub struct Vault(Zeroizing<[u8; 64]>);

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(…)")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("{doing} {path}")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{path} is no key: restore it from the backup of the data directory")]
    Unreadable { path: PathBuf },
    #[error("{path} is open to others (mode {mode:o}): chmod 600")]
    Open { path: PathBuf, mode: u32 },
}

impl Vault {
    /// The key in `dir`, made at first use.
    ///
    /// # Errors
    /// A file that cannot be read or written, is damaged, or open to others.
    pub fn open(dir: &Path) -> Result<Self, VaultError> {
        let path = dir.join(FILE);
        let io = |doing| {
            let path = path.clone();
            move |source| VaultError::Io { doing, path, source }
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = Zeroizing::new(hex(&*Zeroizing::new(ingest::id::random_bytes::<32>())));
                make(dir, &path, &text).map_err(io("write"))?;
                text
            }
            Err(error) => return Err(io("read")(error)),
        };
        let mode = fs::metadata(&path).map_err(io("read"))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(VaultError::Open { path, mode });
        }
        let master = Zeroizing::new(unhex(text.trim()).filter(|master| master.len() == 32).unwrap_or_default());
        if master.is_empty() { Err(VaultError::Unreadable { path }) } else { Ok(Self::of(&master)) }
    }

    fn of(master: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; 64]);
        // Fails only for more than 255 hashes' worth of key.
        let _ = Hkdf::<Sha256>::new(None, master).expand(b"wartburg accounts 1", &mut *key);
        Self(key)
    }

    /// For the purpose and the account that it is sealed for it opens again, for no other: a row moved to another
    /// account is worth nothing.
    pub fn seal(&self, purpose: &str, of: &str, secret: &[u8]) -> String {
        // Fails for more than 126 headers only.
        hex(&self.cipher().encrypt([purpose.as_bytes(), of.as_bytes()], secret).unwrap_or_default())
    }

    pub fn unseal(&self, purpose: &str, of: &str, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        let opened = self.cipher().decrypt([purpose.as_bytes(), of.as_bytes()], &unhex(sealed)?).ok()?;
        Some(Zeroizing::new(opened))
    }

    fn cipher(&self) -> Aes256Siv {
        Aes256Siv::new(&(*self.0).into())
    }
}

impl Default for Vault {
    /// A key that is gone with the program: for tests.
    fn default() -> Self {
        Self::of(&*Zeroizing::new(ingest::id::random_bytes::<32>()))
    }
}

/// Whole or not at all: a half-written key would lock everybody out at the next start.
fn make(dir: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_purpose_and_owner_only() {
        let vault = Vault::default();
        let sealed = vault.seal("totp", "u1", b"secret");
        assert_eq!(vault.unseal("totp", "u1", &sealed).unwrap().as_slice(), b"secret");
        let cut = &sealed[..sealed.len() - 2];
        for (purpose, of, sealed) in [("totp", "u2", sealed.as_str()), ("x", "u1", &sealed), ("totp", "u1", cut), ("totp", "u1", "é0")] {
            assert!(vault.unseal(purpose, of, sealed).is_none(), "{purpose} {of} {sealed}");
        }
        assert!(Vault::default().unseal("totp", "u1", &sealed).is_none(), "another key");
    }

    #[test]
    fn the_key_comes_back_is_for_one_reader_and_never_made_anew_over_a_broken_one() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let sealed = Vault::open(&keys).unwrap().seal("totp", "u1", b"secret");
        assert!(Vault::open(&keys).unwrap().unseal("totp", "u1", &sealed).is_some());
        let path = keys.join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Vault::open(&keys), Err(VaultError::Open { mode: 0o640, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "abc").unwrap();
        assert!(matches!(Vault::open(&keys), Err(VaultError::Unreadable { .. })));
    }
}

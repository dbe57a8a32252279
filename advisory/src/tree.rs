//! The folder of published CSAF documents: `advisories/<label>/<year>/<name>.json` with its `.sha256` and `.sha512`.
//! The database is the truth and the folder its copy, so that `tree_sync` can mend it after a crash or a restore.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use ingest::rusqlite::Connection;
use sha2::{Digest, Sha256, Sha512};

use crate::publication::csaf_files;

/// A document and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsafFile {
    /// `green/2026/wid-th-2026-0001.json`, below the folder.
    pub path: String,
    pub text: String,
}

#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("write {path}")]
    Write { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Db(#[from] ingest::db::DbError),
}

/// The folders that a label's change can leave behind.
const LABELS: [&str; 4] = ["white", "green", "amber", "red"];

/// Writes the document and its two digests, each atomically, and removes the same document below other labels: what has
/// become AMBER must not stay in the green folder.
///
/// # Errors
/// Where the folder cannot be written.
pub fn tree_write(folder: &Path, file: &CsafFile) -> Result<(), TreeError> {
    remove_elsewhere(folder, file)?;
    let path = folder.join(&file.path);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    write_atomically(&path, file.text.as_bytes())?;
    // As the coreutils write it, so that `sha512sum -c` works (CSAF requirement 18).
    write_atomically(&suffixed(&path, ".sha256"), format!("{}  {name}\n", hex(&Sha256::digest(&file.text))).as_bytes())?;
    write_atomically(&suffixed(&path, ".sha512"), format!("{}  {name}\n", hex(&Sha512::digest(&file.text))).as_bytes())
}

/// Brings the folder to what the database says; returns how many documents had to be written.
///
/// # Errors
/// The database's own, or where the folder cannot be written.
pub fn tree_sync(connection: &Connection, folder: &Path) -> Result<usize, TreeError> {
    let mut written = 0;
    for file in csaf_files(connection)? {
        let path = folder.join(&file.path);
        let present = fs::read(&path).is_ok_and(|bytes| bytes == file.text.as_bytes())
            && [".sha256", ".sha512"].iter().all(|suffix| suffixed(&path, suffix).exists());
        if present {
            remove_elsewhere(folder, &file)?;
        } else {
            tree_write(folder, &file)?;
            written += 1;
        }
    }
    Ok(written)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn remove_elsewhere(folder: &Path, file: &CsafFile) -> Result<(), TreeError> {
    let Some((label, rest)) = file.path.split_once('/') else { return Ok(()) };
    for other in LABELS.iter().filter(|other| **other != label) {
        for suffix in ["", ".sha256", ".sha512"] {
            let path = suffixed(&folder.join(other).join(rest), suffix);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(TreeError::Write { path, source }),
                _ => {}
            }
        }
    }
    Ok(())
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Temporary file, fsync, rename, fsync of the folder: a reader sees the old or the new file, also after a power cut.
fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TreeError> {
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let temporary = suffixed(path, ".tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| TreeError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(folder: &Path) -> Vec<String> {
        let mut names = Vec::new();
        for label in LABELS {
            for entry in fs::read_dir(folder.join(label).join("2026")).into_iter().flatten() {
                names.push(format!("{label}/{}", entry.unwrap().file_name().to_string_lossy()));
            }
        }
        names.sort();
        names
    }

    #[test]
    fn a_document_has_digests_and_leaves_its_old_label() {
        let dir = tempfile::tempdir().unwrap();
        let file = |label: &str| CsafFile { path: format!("{label}/2026/x.json"), text: "abc".into() };
        tree_write(dir.path(), &file("green")).unwrap();
        tree_write(dir.path(), &file("amber")).unwrap();
        assert_eq!(listing(dir.path()), ["amber/x.json", "amber/x.json.sha256", "amber/x.json.sha512"]);
        let digest = fs::read_to_string(dir.path().join("amber/2026/x.json.sha256")).unwrap();
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  x.json\n");
    }
}

//! The locker: one file per content, under its SHA-256, below `exhibits/` in the data directory. A file is written aside,
//! hashed on the way, made durable, and only then named; a row that tells of it is committed after that. So every row has its
//! file, and what a crash leaves aside is removed at the next start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ingest::disk::{Level, Watermark};
use sha2::{Digest as _, Sha256};

use super::{ExhibitError, Kind, sniff};

/// Where files lie until they are whole.
const ASIDE: &str = "new";
/// What of a file is kept to tell what it is: a header and an archive's first entry.
const HEAD_BYTES: usize = 4 * 1024;
const CHUNK_BYTES: usize = 64 * 1024;

/// The folder of all files.
#[derive(Clone, Debug)]
pub struct Locker {
    dir: PathBuf,
    watermark: Watermark,
}

/// A file on its way in; dropped, it is gone.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    file: Option<File>,
    hash: Sha256,
    head: Vec<u8>,
    bytes: u64,
    bytes_max: u64,
}

/// A file that is in, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub sha256: String,
    pub bytes: u64,
    pub kind: Kind,
}

/// What is wrong with a stored file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Missing,
    Changed,
}

impl Locker {
    /// Opens or makes the folder, and removes what was never finished.
    ///
    /// # Errors
    /// The system's own.
    pub fn open(dir: &Path, watermark: Watermark) -> Result<Self, ExhibitError> {
        let aside = dir.join(ASIDE);
        let io = |doing| {
            let path = aside.clone();
            move |source| ExhibitError::Io { doing, path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&aside).map_err(io("make"))?;
        for entry in fs::read_dir(&aside).map_err(io("list"))? {
            fs::remove_file(entry.map_err(io("list"))?.path()).map_err(io("clear"))?;
        }
        Ok(Self { dir: dir.to_owned(), watermark })
    }

    /// Looks at files beside a running server, and changes nothing.
    pub fn reader(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), watermark: Watermark::default() }
    }

    /// Begins a file of at most `bytes_max`.
    ///
    /// # Errors
    /// Where the disk is fuller than evidence may make it, or the system's own.
    pub fn draft(&self, bytes_max: u64) -> Result<Draft, ExhibitError> {
        // The journal goes before: it is what cannot be sent again.
        if self.watermark.level() >= Level::Shed {
            return Err(ExhibitError::DiskFull);
        }
        let name: [u8; 16] = ingest::id::random_bytes();
        let path = self.dir.join(ASIDE).join(hex(&name));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|source| ExhibitError::Io { doing: "make", path: path.clone(), source })?;
        Ok(Draft { path, file: Some(file), hash: Sha256::new(), head: Vec::new(), bytes: 0, bytes_max })
    }

    /// Brings a file to disk and gives it its name. The same content again is the same file.
    ///
    /// # Errors
    /// The system's own; nothing of it is left then.
    pub fn seal(&self, mut draft: Draft) -> Result<Sealed, ExhibitError> {
        let sha256 = hex(&std::mem::take(&mut draft.hash).finalize());
        let to = self.path(&sha256);
        let io = |doing| {
            let path = to.clone();
            move |source| ExhibitError::Io { doing, path, source }
        };
        if let Some(file) = draft.file.take() {
            file.sync_all().map_err(io("sync"))?;
        }
        let folder = to.parent().unwrap_or(&self.dir);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io("make the folder of"))?;
        fs::rename(&draft.path, &to).map_err(io("name"))?;
        for folder in [folder, &self.dir] {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync the folder of"))?;
        }
        Ok(Sealed { sha256, bytes: draft.bytes, kind: sniff(&draft.head) })
    }

    /// A whole file at once.
    ///
    /// # Errors
    /// As `draft`, `write` and `seal`.
    pub fn put(&self, content: &[u8], bytes_max: u64) -> Result<Sealed, ExhibitError> {
        let mut draft = self.draft(bytes_max)?;
        draft.write(content)?;
        self.seal(draft)
    }

    /// The content, and that it is still the one that was put in.
    ///
    /// # Errors
    /// `Damaged` where it is another, or the system's own.
    pub fn read(&self, sha256: &str) -> Result<Vec<u8>, ExhibitError> {
        let path = self.path(sha256);
        let content = fs::read(&path).map_err(|source| ExhibitError::Io { doing: "read", path, source })?;
        let same = hex(&Sha256::digest(&content)) == sha256;
        if same { Ok(content) } else { Err(ExhibitError::Damaged { sha256: sha256.to_owned() }) }
    }

    /// Hashes a file anew, in constant memory.
    ///
    /// # Errors
    /// The system's own, apart from its absence.
    pub fn verify(&self, sha256: &str) -> Result<Option<Fault>, ExhibitError> {
        let path = self.path(sha256);
        let io = |source| ExhibitError::Io { doing: "read", path: path.clone(), source };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Fault::Missing)),
            Err(error) => return Err(io(error)),
        };
        let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK_BYTES]);
        loop {
            let read = file.read(&mut chunk).map_err(io)?;
            if read == 0 {
                break;
            }
            hash.update(chunk.get(..read).unwrap_or_default());
        }
        Ok((hex(&hash.finalize()) != sha256).then_some(Fault::Changed))
    }

    /// Two levels, so that no folder grows without end. What is no hash names a file that there is not.
    fn path(&self, sha256: &str) -> PathBuf {
        let plain = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        let name = if plain { sha256 } else { "none" };
        self.dir.join(name.get(..2).unwrap_or("00")).join(name)
    }
}

impl Draft {
    /// # Errors
    /// `TooLarge` as soon as it is, or the system's own.
    pub fn write(&mut self, part: &[u8]) -> Result<(), ExhibitError> {
        self.bytes += part.len() as u64;
        if self.bytes > self.bytes_max {
            return Err(ExhibitError::TooLarge { max: self.bytes_max });
        }
        self.hash.update(part);
        let room = HEAD_BYTES.saturating_sub(self.head.len()).min(part.len());
        self.head.extend_from_slice(part.get(..room).unwrap_or_default());
        let file = self.file.as_mut().ok_or_else(|| io::Error::other("closed"));
        let written = file.and_then(|file| file.write_all(part));
        written.map_err(|source| ExhibitError::Io { doing: "write", path: self.path.clone(), source })
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was written so far.
    ///
    /// # Errors
    /// The system's own.
    pub fn content(&self) -> Result<Vec<u8>, ExhibitError> {
        fs::read(&self.path).map_err(|source| ExhibitError::Io { doing: "read", path: self.path.clone(), source })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Named by now, or nobody's: then what cannot be removed goes at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

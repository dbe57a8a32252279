//! The file operations that the journal rests on, as a seam: the real disk, and in tests one in memory that records
//! every operation, so that a crash can be put between any two of them (`crash`). Nothing here is buffered.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{JournalError, io_error};

/// A place for files. Names are durable only after `sync_dir`, contents only after `DiskFile::sync`.
pub(super) trait Disk: Send + Sync {
    /// The folder and those above it; one that is there is left alone.
    fn create_dir(&self, dir: &Path) -> Result<()>;
    /// An empty file for reading and writing; one that is there is emptied.
    fn create(&self, path: &Path) -> Result<Box<dyn DiskFile>>;
    /// A file that is there, for reading and writing.
    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>>;
    /// A file that is there, for reading.
    fn open_read(&self, path: &Path) -> Result<Box<dyn DiskFile>>;
    fn remove(&self, path: &Path) -> Result<()>;
    fn sync_dir(&self, dir: &Path) -> Result<()>;
    /// The files in a folder, in no order.
    fn list(&self, dir: &Path) -> Result<Vec<PathBuf>>;
}

/// An open file.
pub(super) trait DiskFile: Send {
    fn len(&self) -> Result<u64>;
    /// Up to `len` bytes at `offset`: fewer only at the file's end.
    fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>>;
    /// Writes all of `bytes`, or fails having written any part of them.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()>;
    fn truncate(&mut self, len: u64) -> Result<()>;
    /// Brings content and length to the disk. After an error nothing is known of what was written before, and a
    /// second call on the same descriptor would lie.
    fn sync(&mut self) -> Result<()>;
}

pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn create_dir(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn open_read(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(File::open(path)?)))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        // The folder of a relative path of one part is the one we stand in.
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir)?.sync_all()
    }

    fn list(&self, dir: &Path) -> Result<Vec<PathBuf>> {
        std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn len(&self) -> Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(read);
        Ok(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn truncate(&mut self, len: u64) -> Result<()> {
        self.0.set_len(len)
    }

    fn sync(&mut self) -> Result<()> {
        // Length and content; times do not matter here.
        self.0.sync_data()
    }
}

/// A file that grows by durable steps. After a step that failed its descriptor is never used again: what the kernel
/// still holds of it is unknown, so the file is cut back to its last durable byte through a fresh one.
pub(super) struct DurableFile {
    disk: Arc<dyn Disk>,
    pub(super) path: PathBuf,
    /// `None` after a failure, until it has been reopened.
    file: Option<Box<dyn DiskFile>>,
    /// Bytes known to be on disk.
    pub(super) durable: u64,
}

impl DurableFile {
    /// Creates the file with its first bytes; when this returns, its name is durable too.
    pub(super) fn create(disk: &Arc<dyn Disk>, path: PathBuf, head: &[u8]) -> std::result::Result<Self, JournalError> {
        let mut file = disk.create(&path).map_err(io_error("create", &path))?;
        file.write_at(0, head).map_err(io_error("write", &path))?;
        file.sync().map_err(io_error("sync", &path))?;
        // The name itself must survive a power cut, or all that is in the file is gone with it.
        let dir = path.parent().unwrap_or(Path::new(""));
        disk.sync_dir(dir).map_err(io_error("sync", dir))?;
        Ok(Self { disk: disk.clone(), path, file: Some(file), durable: head.len() as u64 })
    }

    /// A file of which the first `durable` bytes count; what is behind them is cut off before the first step.
    pub(super) fn open(disk: &Arc<dyn Disk>, path: PathBuf, durable: u64) -> Self {
        Self { disk: disk.clone(), path, file: None, durable }
    }

    /// Cuts off what is behind the durable end now.
    pub(super) fn cut(&mut self) -> std::result::Result<(), JournalError> {
        self.file = Some(self.reopen()?);
        Ok(())
    }

    /// Brings `bytes` to the disk, behind all before them; or nothing of them counts.
    pub(super) fn append(&mut self, bytes: &[u8]) -> std::result::Result<(), JournalError> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.reopen()?,
        };
        file.write_at(self.durable, bytes).map_err(io_error("write", &self.path))?;
        file.sync().map_err(io_error("sync", &self.path))?;
        self.file = Some(file);
        self.durable += bytes.len() as u64;
        Ok(())
    }

    fn reopen(&self) -> std::result::Result<Box<dyn DiskFile>, JournalError> {
        let path = &self.path;
        let mut file = self.disk.open(path).map_err(io_error("reopen", path))?;
        file.truncate(self.durable).map_err(io_error("cut", path))?;
        file.sync().map_err(io_error("sync", path))?;
        Ok(file)
    }
}

/// The whole of a file, of which at most `max` bytes are read; `None` where there is none.
pub(super) fn read_file(disk: &dyn Disk, path: &Path, max: usize) -> std::result::Result<Option<Vec<u8>>, JournalError> {
    let file = match disk.open_read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("open", path)(error)),
    };
    let len = usize::try_from(file.len().map_err(io_error("measure", path))?).unwrap_or(max).min(max);
    file.read_at(0, len).map(Some).map_err(io_error("read", path))
}

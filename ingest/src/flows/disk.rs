//! How a flow file's bytes come from the disk, and their checksums. The reader of Parquet makes text of every error; here it is
//! kept what the system refused, so that a disk that fails for a moment is not taken for a file that is broken.
//!
//! **Checksums** (CRC32C): of each column of each row group and of each Bloom filter, in the file's own metadata
//! (`wartburg.sums`), and one of these metadata to the file's end (`wartburg.crc32c`, reckoned with its own digits as `-`).
//! Whatever is read is held against them first, so that no flipped byte is taken for data, and no question must read more of
//! a file than it needs. Parquet has checksums of its own, of pages, but the writer that we use writes none. Files of
//! earlier versions have none at all.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};

use super::file::{FileError, guarded};

const SUMS: &str = "wartburg.sums";
const SUM: &str = "wartburg.crc32c";
/// What the digits stand behind, so that they are found without knowing Parquet.
const MARK: &str = "crc32c=";
const DIGITS: &str = "--------";
const MAGIC: &[u8; 4] = b"PAR1";
/// Length and magic number at a Parquet file's end.
const TAIL_BYTES: u64 = 8;
/// Read at once where something is added up.
const STEP_BYTES: u64 = 256 << 10;

/// A file that is being read; clones share it.
#[derive(Clone)]
pub(super) struct Disk {
    file: Arc<File>,
    pub(super) len: u64,
    /// What the system refused.
    met: Arc<Mutex<Option<io::Error>>>,
}

impl Disk {
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self::of(File::open(path)?)?)
    }

    fn of(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self { file: Arc::new(file), len: metadata.len(), met: Arc::default() })
    }

    /// Reads by Parquet's reader. Where the system refused something, that is why it failed, whatever the reader made of it.
    pub(super) fn reading<T>(&self, read: impl FnOnce(Self) -> Result<T, FileError>) -> Result<T, FileError> {
        let outcome = guarded(|| read(self.clone()));
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (outcome, met) {
            (Err(_), Some(error)) => Err(FileError::Io(error)),
            (outcome, _) => outcome,
        }
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        if at >= self.len {
            return Ok(0);
        }
        loop {
            match self.file.read_at(buffer, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let same = error.raw_os_error().map_or_else(|| io::Error::from(error.kind()), io::Error::from_raw_os_error);
                    *self.met.lock().unwrap_or_else(PoisonError::into_inner) = Some(same);
                    return Err(error);
                }
                read => return read,
            }
        }
    }

    fn sum(&self, (begin, length): (u64, u64)) -> Result<u32, FileError> {
        let (mut at, end, mut crc) = (begin, begin.saturating_add(length), 0);
        while at < end {
            let step = (end - at).min(STEP_BYTES);
            let bytes = self.get_bytes(at, usize::try_from(step).unwrap_or_default())?;
            crc = crc32c::crc32c_append(crc, &bytes);
            at += step;
        }
        Ok(crc)
    }
}

impl Length for Disk {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Disk {
    type T = BufReader<Rest>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(Rest { disk: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        // Before it is made room for: a flipped bit may ask for any amount.
        if start.checked_add(length as u64).is_none_or(|end| end > self.len) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start}, but it has {}", self.len)));
        }
        let mut bytes = vec![0; length];
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, start + done as u64)? {
                0 => return Err(ParquetError::EOF("it became shorter".to_owned())),
                read => done += read,
            }
        }
        Ok(bytes.into())
    }
}

/// The file from a place on.
pub(super) struct Rest {
    disk: Disk,
    at: u64,
}

impl Read for Rest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.disk.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// What a file says of its bytes.
pub(super) struct Sums {
    /// Of each part by its beginning; `None` in a file of an earlier version.
    of_parts: Option<HashMap<u64, u32>>,
    /// Where the metadata begin.
    end: u64,
}

impl Sums {
    /// Holds the file's metadata against their checksum, before anything is believed that they say.
    pub(super) fn check(disk: &Disk) -> Result<Self, FileError> {
        let (end, footer) = footer(disk)?;
        let Some(at) = place(&footer)? else { return Ok(Self { of_parts: None, end }) };
        let (before, rest) = footer.split_at_checked(at).unwrap_or_default();
        let (digits, behind) = rest.split_at_checked(DIGITS.len()).unwrap_or_default();
        // As text: a flipped bit may make a capital of a digit.
        if *digits == *text(sum_around(before, behind)).as_bytes() {
            Ok(Self { of_parts: Some(HashMap::new()), end })
        } else {
            Err(FileError::Damaged("the checksum of its metadata does not match".to_owned()))
        }
    }

    /// Takes in what the metadata say of the parts.
    pub(super) fn fill(&mut self, metadata: &ParquetMetaData) -> Result<(), FileError> {
        let Some(of_parts) = &mut self.of_parts else { return Ok(()) };
        let values = metadata.file_metadata().key_value_metadata();
        let said = values.and_then(|values| values.iter().find(|value| value.key == SUMS)?.value.as_ref());
        let (digits, _) = said.map_or(&[][..], |said| said.as_bytes()).as_chunks::<8>();
        let sum = |digits: &[u8; 8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let parts = parts(metadata.row_groups());
        *of_parts = parts.iter().zip(digits).filter_map(|(part, digits)| Some((part.0, sum(digits)?))).collect();
        if of_parts.len() == parts.len() { Ok(()) } else { Err(FileError::Damaged("checksums are missing".to_owned())) }
    }

    /// Holds a column of a row group against its checksum.
    pub(super) fn check_column(&self, disk: &Disk, column: &ColumnChunkMetaData) -> Result<(), FileError> {
        self.check_part(disk, column.byte_range())
    }

    /// Holds a column's Bloom filter against its checksum, where there is one.
    pub(super) fn check_bloom(&self, disk: &Disk, column: &ColumnChunkMetaData) -> Result<(), FileError> {
        bloom(column).map_or(Ok(()), |part| self.check_part(disk, part))
    }

    fn check_part(&self, disk: &Disk, part: (u64, u64)) -> Result<(), FileError> {
        let Some(of_parts) = &self.of_parts else { return Ok(()) };
        match of_parts.get(&part.0) {
            Some(said) if disk.sum(part)? == *said => Ok(()),
            _ => Err(FileError::Damaged("a checksum does not match".to_owned())),
        }
    }

    /// Holds all of the file against its checksums, and looks that no byte is in none.
    pub(super) fn check_all(&self, disk: &Disk, metadata: &ParquetMetaData) -> Result<(), FileError> {
        if self.of_parts.is_none() {
            return Ok(());
        }
        let mut parts = parts(metadata.row_groups());
        parts.sort_unstable();
        let mut at = MAGIC.len() as u64;
        for part in parts {
            if part.0 != at {
                return Err(FileError::Damaged("there is something between its columns".to_owned()));
            }
            self.check_part(disk, part)?;
            at = at.saturating_add(part.1);
        }
        let begun = *disk.get_bytes(0, MAGIC.len())? == *MAGIC;
        if begun && at == self.end { Ok(()) } else { Err(FileError::Damaged("it has another beginning or end".to_owned())) }
    }
}

/// What a file's metadata must have before they are written: the checksums of all parts, and the place for their own, which
/// `seal` fills. They must stand before what every file must say: then no flipped bit makes the list end before them
/// without the file being refused.
pub(super) fn entries(file: &File, groups: &[RowGroupMetaData]) -> io::Result<[KeyValue; 2]> {
    let disk = Disk::of(file.try_clone()?)?;
    let mut sums = String::new();
    for part in parts(groups) {
        sums += &text(disk.sum(part).map_err(refused)?);
    }
    Ok([KeyValue::new(SUM.to_owned(), format!("{MARK}{DIGITS}")), KeyValue::new(SUMS.to_owned(), sums)])
}

/// Puts the metadata's checksum into its place and brings the file to the disk; returns its size.
pub(super) fn seal(file: &File) -> io::Result<u64> {
    let disk = Disk::of(file.try_clone()?)?;
    let (begin, footer) = footer(&disk).map_err(refused)?;
    let at = place(&footer).map_err(refused)?.ok_or_else(|| io::Error::other("there is no place for the checksum"))?;
    let (before, rest) = footer.split_at_checked(at).unwrap_or_default();
    let (_, behind) = rest.split_at_checked(DIGITS.len()).unwrap_or_default();
    file.write_all_at(text(sum_around(before, behind)).as_bytes(), begin + at as u64)?;
    file.sync_all()?;
    Ok(disk.len)
}

/// Of a file that is being written nothing is damage.
fn refused(error: FileError) -> io::Error {
    match error {
        FileError::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn text(sum: u32) -> String {
    format!("{sum:08x}")
}

fn sum_around(before: &[u8], behind: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(before), DIGITS.as_bytes()), behind)
}

/// All that is not metadata: each column of each row group, and the Bloom filters.
fn parts(groups: &[RowGroupMetaData]) -> Vec<(u64, u64)> {
    let of_group = |group: &RowGroupMetaData| -> Vec<(u64, u64)> {
        group.columns().iter().map(ColumnChunkMetaData::byte_range).chain(group.columns().iter().filter_map(bloom)).collect()
    };
    groups.iter().flat_map(of_group).collect()
}

fn bloom(column: &ColumnChunkMetaData) -> Option<(u64, u64)> {
    Some((u64::try_from(column.bloom_filter_offset()?).ok()?, u64::try_from(column.bloom_filter_length()?).ok()?))
}

/// From where the metadata begin to the file's end.
fn footer(disk: &Disk) -> Result<(u64, Bytes), FileError> {
    let damaged = |what: &str| FileError::Damaged(what.to_owned());
    let tail = disk.len.checked_sub(TAIL_BYTES).ok_or_else(|| damaged("it is too short"))?;
    let end = disk.get_bytes(tail, usize::try_from(TAIL_BYTES).unwrap_or_default())?;
    let Some((length, magic)) = end.split_first_chunk::<4>() else { return Err(damaged("it is too short")) };
    if *magic != *MAGIC {
        return Err(damaged("it has no end"));
    }
    let begin = tail.checked_sub(u32::from_le_bytes(*length).into()).ok_or_else(|| damaged("its metadata begin before it"))?;
    Ok((begin, disk.get_bytes(begin, usize::try_from(disk.len - begin).unwrap_or_default())?))
}

/// Where in the metadata the checksum's digits are; `None` in a file of an earlier version.
fn place(footer: &[u8]) -> Result<Option<usize>, FileError> {
    match memchr::memmem::find(footer, MARK.as_bytes()) {
        Some(at) => Ok(Some(at + MARK.len())),
        // One flipped byte takes only one of the two away.
        None if memchr::memmem::find(footer, SUM.as_bytes()).is_some() => Err(FileError::Damaged("it has lost its checksum".to_owned())),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

    use super::*;

    #[test]
    fn what_the_system_refuses_is_told_whatever_the_reader_makes_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        std::fs::write(&path, [7; 100]).unwrap();
        let load = |disk: Disk| ArrowReaderMetadata::load(&disk, ArrowReaderOptions::new()).map(drop).map_err(FileError::from);
        assert!(matches!(Disk::open(&path).unwrap().reading(load), Err(FileError::Damaged(_))));
        // What is open for writing cannot be read.
        let refusing = Disk::of(File::options().write(true).open(&path).unwrap()).unwrap();
        assert!(matches!(refusing.reading(load), Err(FileError::Io(_))));
        let text_of_it = |disk: Disk| disk.get_bytes(0, 4).map(drop).map_err(|error| FileError::Damaged(error.to_string()));
        assert!(matches!(refusing.reading(text_of_it), Err(FileError::Io(_))));
        assert!(matches!(Disk::open(dir.path()), Err(FileError::Io(_))));
    }
}

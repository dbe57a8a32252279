//! Reads the journal from any place, block by block, and waits at its durable end. A damaged stretch is copied to
//! the quarantine folder, counted, and read past; the file itself is left as it is.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::segment::{self, BLOCK_HEADER_BYTES, BlockHeader, HEADER_BYTES};
use super::writer::Shared;
use super::{JournalError, io_error, segment_list};
use crate::frame::{Frame, Seq};

/// A reader with its own place. Places are kept by the consumers, not here.
pub struct JournalReader {
    dir: PathBuf,
    quarantine: PathBuf,
    shared: Shared,
    /// The last sequence given out or passed over.
    after: u64,
    open: Option<OpenSegment>,
    damaged: u64,
}

struct OpenSegment {
    first: u64,
    path: PathBuf,
    file: File,
    offset: u64,
}

impl std::fmt::Debug for JournalReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JournalReader(after {})", self.after)
    }
}

impl JournalReader {
    pub(super) fn new(dir: PathBuf, quarantine: PathBuf, shared: Shared, after: Seq) -> Self {
        Self { dir, quarantine, shared, after: after.0, open: None, damaged: 0 }
    }

    /// How many damaged stretches this reader has set aside.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The next block's frames behind the reader's place; `None` where nothing came within `timeout`.
    ///
    /// # Errors
    /// Where a segment cannot be read at all.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Vec<Frame>>, JournalError> {
        loop {
            if !self.shared.wait_beyond(self.after, timeout) {
                return Ok(None);
            }
            let Some(mut frames) = self.next_block()? else { continue };
            frames.retain(|frame| frame.seq.0 > self.after);
            if let Some(last) = frames.last() {
                self.after = last.seq.0;
                return Ok(Some(frames));
            }
        }
    }

    /// One step: a block's frames, or `None` after moving on (to the next segment, past older blocks or damage).
    fn next_block(&mut self) -> Result<Option<Vec<Frame>>, JournalError> {
        if self.open.is_none() {
            self.open = Some(self.segment_for(self.after + 1)?);
        }
        let Some(open) = self.open.as_mut() else { return Ok(None) };
        let header = read_at(open, BLOCK_HEADER_BYTES)?;
        if header.is_empty() {
            return self.end_of_segment();
        }
        let Some(header) = BlockHeader::read(&header) else { return self.set_aside() };
        if header.last() <= self.after {
            // Older than wanted: passed over unread; whoever wants it verifies it.
            open.offset += (BLOCK_HEADER_BYTES + header.payload_len) as u64;
            return Ok(None);
        }
        let block = read_at(open, BLOCK_HEADER_BYTES + header.payload_len)?;
        let frames = if header.verify(&block) { header.frames(&block) } else { None };
        match frames {
            Some(frames) => {
                open.offset += block.len() as u64;
                Ok(Some(frames))
            }
            None => self.set_aside(),
        }
    }

    /// Behind the last block: the next segment, if there is one; else what is missing was lost with a damaged stretch.
    fn end_of_segment(&mut self) -> Result<Option<Vec<Frame>>, JournalError> {
        let current = self.open.as_ref().map_or(0, |open| open.first);
        let segments = segment_list(&self.dir)?;
        match segments.into_iter().find(|(first, _)| *first > current) {
            Some((first, path)) => {
                // Frames between here and there were in a damaged stretch that has been set aside.
                self.after = self.after.max(first.saturating_sub(1));
                self.open = Some(open_segment(first, path)?);
            }
            None => self.after = self.after.max(self.shared.last().0),
        }
        Ok(None)
    }

    /// Copies the bytes from here to the next valid block (or the segment's end) to the quarantine and moves behind them.
    fn set_aside(&mut self) -> Result<Option<Vec<Frame>>, JournalError> {
        let Some(open) = self.open.as_mut() else { return Ok(None) };
        let mut rest = Vec::new();
        open.file.seek(SeekFrom::Start(open.offset)).map_err(io_error("seek in", &open.path))?;
        open.file.read_to_end(&mut rest).map_err(io_error("read", &open.path))?;
        let end = segment::next_valid_block(&rest, 1).unwrap_or(rest.len());
        let name = format!("journal-{:020}-{}.bin", open.first, open.offset);
        keep(&self.quarantine, &name, rest.get(..end).unwrap_or_default())?;
        self.damaged += 1;
        tracing::error!(segment = %open.path.display(), offset = open.offset, bytes = end, copy = name, "damaged stretch of the journal set aside");
        open.offset += end as u64;
        Ok(None)
    }

    /// The segment that holds `seq`, or the first one behind it.
    fn segment_for(&self, seq: u64) -> Result<OpenSegment, JournalError> {
        let segments = segment_list(&self.dir)?;
        let holding = segments.iter().rposition(|(first, _)| *first <= seq).unwrap_or(0);
        let (first, path) = segments.into_iter().nth(holding).ok_or(JournalError::Stopped)?;
        open_segment(first, path)
    }
}

fn open_segment(first: u64, path: PathBuf) -> Result<OpenSegment, JournalError> {
    let file = File::open(&path).map_err(io_error("open", &path))?;
    Ok(OpenSegment { first, path, file, offset: HEADER_BYTES as u64 })
}

/// Up to `len` bytes at the segment's place.
fn read_at(open: &mut OpenSegment, len: usize) -> Result<Vec<u8>, JournalError> {
    let mut bytes = Vec::with_capacity(len);
    open.file.seek(SeekFrom::Start(open.offset)).map_err(io_error("seek in", &open.path))?;
    (&mut open.file).take(len as u64).read_to_end(&mut bytes).map_err(io_error("read", &open.path))?;
    Ok(bytes)
}

fn keep(quarantine: &Path, name: &str, bytes: &[u8]) -> Result<(), JournalError> {
    std::fs::create_dir_all(quarantine).map_err(io_error("create", quarantine))?;
    let path = quarantine.join(name);
    std::fs::write(&path, bytes).map_err(io_error("write", &path))
}

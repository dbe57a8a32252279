//! Reads the journal from any place, block by block, and waits at its durable end; behind that it never looks, because
//! what is there may still be cut off again. A damaged stretch is copied to the quarantine folder, counted, and read
//! past; the file itself is left as it is.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::disk::{Disk, DiskFile};
use super::segment::{self, BLOCK_HEADER_BYTES, BlockHeader, HEADER_BYTES, SEGMENT_READ_MAX};
use super::writer::{DurableEnd, Shared};
use super::{JournalError, io_error, segment_list};
use crate::frame::{Frame, Seq};

/// How often a segment is looked for that was freed between the listing and the opening.
const OPEN_TRIES: usize = 3;

/// A reader with its own place. Places are kept by the consumers, not here.
pub struct JournalReader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// `None`: only looks, and leaves no copies.
    quarantine: Option<PathBuf>,
    shared: Shared,
    /// The last sequence given out or passed over.
    after: u64,
    open: Option<OpenSegment>,
    damaged: u64,
}

struct OpenSegment {
    first: u64,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    offset: u64,
    /// The length of a closed segment.
    closed_len: Option<u64>,
}

impl std::fmt::Debug for JournalReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JournalReader(after {})", self.after)
    }
}

impl JournalReader {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf, quarantine: Option<PathBuf>, shared: Shared, after: Seq) -> Self {
        Self { disk, dir, quarantine, shared, after: after.0, open: None, damaged: 0 }
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
            let Some(end) = self.shared.wait_beyond(self.after, timeout) else { return Ok(None) };
            let Some(mut frames) = self.next_block(end)? else { continue };
            frames.retain(|frame| frame.seq.0 > self.after);
            if let Some(last) = frames.last() {
                self.after = last.seq.0;
                return Ok(Some(frames));
            }
        }
    }

    /// One step: a block's frames, or `None` after moving on (to the next segment, past older blocks or damage).
    fn next_block(&mut self, end: DurableEnd) -> Result<Option<Vec<Frame>>, JournalError> {
        if self.open.is_none() {
            self.open = Some(self.segment_for(self.after + 1, end)?);
        }
        let Some(open) = self.open.as_mut() else { return Ok(None) };
        let limit = open.limit(end)?;
        if open.offset >= limit {
            return self.end_of_segment(end);
        }
        let Some(header) = BlockHeader::read(&open.read(limit, BLOCK_HEADER_BYTES)?) else { return self.set_aside(limit) };
        if header.last() <= self.after {
            // Older than wanted: passed over unread; whoever wants it verifies it.
            open.offset += (BLOCK_HEADER_BYTES + header.payload_len) as u64;
            return Ok(None);
        }
        let block = open.read(limit, BLOCK_HEADER_BYTES + header.payload_len)?;
        let frames = if header.verify(&block) { header.frames(&block) } else { None };
        match frames {
            Some(frames) => {
                open.offset += block.len() as u64;
                Ok(Some(frames))
            }
            None => self.set_aside(limit),
        }
    }

    /// Behind the last block: the next segment, if there is one; else what is missing was lost with a damaged stretch.
    fn end_of_segment(&mut self, end: DurableEnd) -> Result<Option<Vec<Frame>>, JournalError> {
        let current = self.open.as_ref().map_or(0, |open| open.first);
        if current >= end.segment {
            self.after = self.after.max(end.last);
            return Ok(None);
        }
        let next = self.segment_for_any(end, |segments| segments.iter().position(|(first, _)| *first > current))?;
        // Frames between here and there were in a damaged stretch that has been set aside.
        self.after = self.after.max(next.first.saturating_sub(1));
        self.open = Some(next);
        Ok(None)
    }

    /// Copies the bytes from here to the next valid block (or the segment's end) to the quarantine and moves behind them.
    fn set_aside(&mut self, limit: u64) -> Result<Option<Vec<Frame>>, JournalError> {
        let Some(open) = self.open.as_mut() else { return Ok(None) };
        let rest = open.read(limit, SEGMENT_READ_MAX)?;
        let end = segment::next_valid_block(&rest, 1).unwrap_or(rest.len());
        if let Some(quarantine) = &self.quarantine {
            let name = format!("journal-{:020}-{}.bin", open.first, open.offset);
            keep(self.disk.as_ref(), quarantine, &name, rest.get(..end).unwrap_or_default())?;
            tracing::error!(segment = %open.path.display(), offset = open.offset, bytes = end, copy = name, "damaged stretch of the journal set aside");
        }
        self.shared.damaged_add(open.first, open.offset);
        self.damaged += 1;
        // A file that lost its end has nothing to read here: all the same it must go on.
        open.offset = if rest.is_empty() { limit } else { open.offset + end as u64 };
        Ok(None)
    }

    /// The segment that holds `seq`, or the first one behind it.
    fn segment_for(&self, seq: u64, end: DurableEnd) -> Result<OpenSegment, JournalError> {
        self.segment_for_any(end, |segments| Some(segments.iter().rposition(|(first, _)| *first <= seq).unwrap_or(0)))
    }

    /// Opens one of the segments up to the one being written. Another one may just be made, or freed.
    fn segment_for_any(&self, end: DurableEnd, choose: impl Fn(&[(u64, PathBuf)]) -> Option<usize>) -> Result<OpenSegment, JournalError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut segments = segment_list(self.disk.as_ref(), &self.dir)?;
            segments.retain(|(first, _)| *first <= end.segment);
            let chosen = choose(&segments).and_then(|at| segments.into_iter().nth(at));
            let (first, path) = chosen.ok_or(JournalError::Stopped)?;
            match self.disk.open_read(&path) {
                Ok(file) => return Ok(OpenSegment { first, path, file, offset: HEADER_BYTES as u64, closed_len: None }),
                Err(error) if error.kind() == ErrorKind::NotFound && tries < OPEN_TRIES => {}
                Err(error) => return Err(io_error("open", &path)(error)),
            }
        }
    }
}

impl OpenSegment {
    /// Where reading ends: a closed segment's length, the durable end of the one being written.
    fn limit(&mut self, end: DurableEnd) -> Result<u64, JournalError> {
        if self.first >= end.segment {
            return Ok(end.offset);
        }
        if let Some(len) = self.closed_len {
            return Ok(len);
        }
        let len = self.file.len().map_err(io_error("measure", &self.path))?;
        self.closed_len = Some(len);
        Ok(len)
    }

    /// Up to `len` bytes at the segment's place, none behind `limit`.
    fn read(&self, limit: u64, len: usize) -> Result<Vec<u8>, JournalError> {
        let left = usize::try_from(limit.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        self.file.read_at(self.offset, len.min(left)).map_err(io_error("read", &self.path))
    }
}

pub(super) fn keep(disk: &dyn Disk, quarantine: &Path, name: &str, bytes: &[u8]) -> Result<(), JournalError> {
    disk.create_dir(quarantine).map_err(io_error("create", quarantine))?;
    let path = quarantine.join(name);
    disk.create(&path).and_then(|mut file| file.write_at(0, bytes)).map_err(io_error("write", &path))
}

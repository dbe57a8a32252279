//! Reading the journal on and on beside the process that writes it (`wartburg tail`): no lock, no cursor, nothing written.
//! What is in the files is looked for again with each call, from where the last look ended, so that a quiet journal costs a
//! listing and one read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::disk::{Disk, RealDisk};
use super::reader::JournalReader;
use super::segment::{BLOCK_HEADER_BYTES, BlockHeader, HEADER_BYTES};
use super::writer::{DurableEnd, Shared};
use super::{JournalError, io_error, segment_list};
use crate::frame::{Frame, Seq};

/// Blocks that one look takes in; the next looks for more.
const BLOCKS_PER_LOOK_MAX: usize = 256;

/// A reader that goes on where the writer does.
pub struct JournalFollower {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    shared: Shared,
    reader: JournalReader,
}

impl std::fmt::Debug for JournalFollower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JournalFollower({:?})", self.reader)
    }
}

impl JournalFollower {
    /// Reads behind `after`. What another process has written counts as soon as it is a whole block, a moment before that
    /// process may have made it durable: for looking on, not for keeping.
    ///
    /// # Errors
    /// Where the folder or the last segment cannot be read.
    pub fn open(dir: &Path, after: Seq) -> Result<Self, JournalError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        // Begins before the segment that holds `after`, so that closed ones are not walked through.
        let segments = segment_list(disk.as_ref(), dir)?;
        let first = segments.iter().rev().find(|(first, _)| *first <= after.0 + 1).or(segments.first()).map_or(0, |(first, _)| *first);
        let end = DurableEnd { last: first.saturating_sub(1), segment: first, offset: HEADER_BYTES as u64 };
        let shared = Shared::new(end);
        let reader = JournalReader::new(Arc::clone(&disk), dir.to_owned(), None, shared.clone(), after);
        Ok(Self { disk, dir: dir.to_owned(), shared, reader })
    }

    /// The last frame that there is now.
    ///
    /// # Errors
    /// Where the folder or a segment cannot be read.
    pub fn last(dir: &Path) -> Result<Seq, JournalError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let Some((first, _)) = segment_list(disk.as_ref(), dir)?.pop() else { return Ok(Seq(0)) };
        let mut follower = Self::open(dir, Seq(first.saturating_sub(1)))?;
        while follower.look()? {}
        Ok(Seq(follower.shared.end().last))
    }

    /// The next frames; `None` where there are none yet.
    ///
    /// # Errors
    /// Where a segment cannot be read at all.
    pub fn read(&mut self) -> Result<Option<Vec<Frame>>, JournalError> {
        loop {
            if let Some(frames) = self.reader.next(Duration::ZERO)? {
                return Ok(Some(frames));
            }
            if !self.look()? {
                return Ok(None);
            }
        }
    }

    /// How many damaged stretches were passed over.
    pub fn damaged(&self) -> u64 {
        self.reader.damaged()
    }

    /// Looks how far the journal goes now; whether it goes further than before.
    fn look(&mut self) -> Result<bool, JournalError> {
        let before = self.shared.end();
        let segments = segment_list(self.disk.as_ref(), &self.dir)?;
        let mut end = before;
        if let Some((_, path)) = segments.iter().find(|(first, _)| *first == before.segment) {
            end = self.walk(path, before)?;
        }
        // A segment behind it is there only when this one is closed, and then this one is read to its length.
        if end == before
            && let Some((first, path)) = segments.iter().find(|(first, _)| *first > before.segment)
        {
            end = self.walk(path, DurableEnd { last: before.last.max(first - 1), segment: *first, offset: HEADER_BYTES as u64 })?;
        }
        self.shared.publish(end);
        Ok(end != before)
    }

    /// The end behind the whole blocks that follow `end` in its segment.
    fn walk(&self, path: &Path, mut end: DurableEnd) -> Result<DurableEnd, JournalError> {
        let file = match self.disk.open_read(path) {
            Ok(file) => file,
            // Freed since the listing: what follows is looked for with the next one.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(end),
            Err(error) => return Err(io_error("open", path)(error)),
        };
        for _ in 0..BLOCKS_PER_LOOK_MAX {
            let read = |len| file.read_at(end.offset, len).map_err(io_error("read", path));
            let Some(header) = BlockHeader::read(&read(BLOCK_HEADER_BYTES)?) else { break };
            let len = BLOCK_HEADER_BYTES + header.payload_len;
            // Half written, or damaged: either will show when there is more behind it.
            if !header.verify(&read(len)?) {
                break;
            }
            end = DurableEnd { last: header.last(), offset: end.offset + len as u64, ..end };
        }
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::{Journal, JournalOptions};
    use super::*;
    use crate::body::SITE_UNKNOWN;
    use crate::frame::{FrameKind, Marks, NewFrame, Transport};
    use crate::time::Timestamp;

    fn append(journal: &Journal, from: u64, to: u64) {
        for n in from..=to {
            let noise: String = (0..40u64).map(|i| char::from(b'a' + u8::try_from((n * 31 + i * i * 17) % 26).unwrap())).collect();
            let frame = NewFrame {
                received_at: Timestamp(7),
                site: SITE_UNKNOWN,
                peer: Ipv4Addr::LOCALHOST.into(),
                transport: Transport::Tcp,
                kind: FrameKind::Line,
                marks: Marks::default(),
                payload: format!("{n} {noise}").into_bytes().into(),
            };
            journal.writer().append_blocking(vec![frame]).unwrap();
        }
    }

    fn all(follower: &mut JournalFollower) -> Vec<u64> {
        let mut seqs = vec![];
        while let Some(frames) = follower.read().unwrap() {
            seqs.extend(frames.iter().map(|frame| frame.seq.0));
        }
        seqs
    }

    #[test]
    fn it_goes_on_where_the_writer_does_over_segments() {
        let dir = tempfile::tempdir().unwrap();
        let (path, quarantine) = (dir.path().join("j"), dir.path().join("q"));
        // Segments of 2,000 bytes.
        let (mut journal, _) =
            Journal::open_on(Arc::new(RealDisk), &path, &quarantine, Timestamp(1), &JournalOptions::default(), 2_000).unwrap();
        let mut follower = JournalFollower::open(&path, Seq(0)).unwrap();
        assert_eq!(all(&mut follower), [0u64; 0]);
        append(&journal, 1, 50);
        assert_eq!(all(&mut follower), (1..=50).collect::<Vec<_>>());
        append(&journal, 51, 120);
        assert_eq!(all(&mut follower), (51..=120).collect::<Vec<_>>());
        assert_eq!(JournalFollower::last(&path).unwrap(), Seq(120));
        let mut late = JournalFollower::open(&path, Seq(100)).unwrap();
        assert_eq!(all(&mut late), (101..=120).collect::<Vec<_>>());
        let mut ahead = JournalFollower::open(&path, Seq(120)).unwrap();
        assert_eq!(all(&mut ahead), [0u64; 0]);
        append(&journal, 121, 121);
        assert_eq!(all(&mut ahead), [121]);
        journal.close();
        assert_eq!(all(&mut ahead), [0u64; 0]);
        assert!(super::super::segment_list(&RealDisk, &path).unwrap().len() > 3);
    }

    #[test]
    fn a_half_written_block_waits_until_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (path, quarantine) = (dir.path().join("j"), dir.path().join("q"));
        let (mut journal, _) = Journal::open(&path, &quarantine, Timestamp(1)).unwrap();
        append(&journal, 1, 2);
        journal.close();
        let (_, segment) = super::super::segment_list(&RealDisk, &path).unwrap().pop().unwrap();
        let bytes = std::fs::read(&segment).unwrap();
        std::fs::write(&segment, &bytes[..bytes.len() - 5]).unwrap();
        let mut follower = JournalFollower::open(&path, Seq(0)).unwrap();
        assert_eq!(all(&mut follower), [1]);
        std::fs::write(&segment, &bytes).unwrap();
        assert_eq!(all(&mut follower), [2]);
    }
}

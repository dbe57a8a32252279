//! The journal: every received frame in order of receipt, checksummed, on disk before anything is acknowledged.
//! Segments of blocks (`segment`), one writer with group commit (`writer`), readers at their own pace (`reader`).
//! It knows nothing of what the frames mean, and frees nothing by itself: retention is its operator's decision.

mod reader;
mod segment;
mod writer;

use std::path::{Path, PathBuf};

pub use reader::JournalReader;
pub use writer::{JournalWriter, Receipt, Refused};

use crate::frame::Seq;
use crate::time::Timestamp;

/// Why the journal could not do what was asked. After `Stopped` nothing is acknowledged until a restart.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{action} {path}")]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the journal {path} belongs to another format: {reason}")]
    Format { path: PathBuf, reason: String },
    #[error("the journal could not write: {0}")]
    Write(String),
    #[error("the journal has stopped")]
    Stopped,
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { action, path, source }
}

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    pub segments: usize,
    /// The last frame on disk; 0 for an empty journal.
    pub last: Seq,
    /// Bytes of an unfinished block at the end that were cut off: never acknowledged, so nothing is lost.
    pub torn_bytes: u64,
    /// Damaged stretches inside the last segment that have valid blocks behind them; left as they are for readers to set aside.
    pub damaged: usize,
    /// Frames at the end that the stores have seen but the journal has not (any more).
    pub lost: u64,
}

/// An open journal. Dropping it does not wait: call `close`.
pub struct Journal {
    dir: PathBuf,
    quarantine: PathBuf,
    shared: writer::Shared,
    writer: JournalWriter,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// A look at a running journal; cheap to clone.
#[derive(Clone)]
pub struct JournalWatch(writer::Shared);

impl JournalWatch {
    /// As `Journal::last`.
    pub fn last(&self) -> Seq {
        self.0.last()
    }
}

impl Journal {
    /// Opens or creates the journal in `dir`, cutting off a torn tail. Damage found by readers is copied to `quarantine`.
    ///
    /// # Errors
    /// Where the folder or the last segment cannot be read or written.
    pub fn open(dir: &Path, quarantine: &Path, now: Timestamp) -> Result<(Self, OpenReport), JournalError> {
        Self::open_sized(dir, quarantine, now, segment::SEGMENT_BYTES_MAX, Seq(0))
    }

    /// As `open`, giving new frames only sequences above `floor`: what the stores have seen already. Where the journal
    /// has lost its end (a restored backup, a bad disk), a sequence given twice would be taken for known and lost.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_above(dir: &Path, quarantine: &Path, now: Timestamp, floor: Seq) -> Result<(Self, OpenReport), JournalError> {
        Self::open_sized(dir, quarantine, now, segment::SEGMENT_BYTES_MAX, floor)
    }

    fn open_sized(
        dir: &Path,
        quarantine: &Path,
        now: Timestamp,
        segment_bytes_max: u64,
        floor: Seq,
    ) -> Result<(Self, OpenReport), JournalError> {
        std::fs::create_dir_all(dir).map_err(io_error("create the journal's folder", dir))?;
        let (mut file, mut report) = writer::Active::open(dir, now, segment_bytes_max)?;
        if report.last < floor {
            report.lost = floor.0 - report.last.0;
            file.skip_to(floor.next(), now)?;
            report.last = floor;
        }
        let shared = writer::Shared::new(report.last);
        let (writer, thread) = writer::start(file, shared.clone())?;
        let journal = Self { dir: dir.to_owned(), quarantine: quarantine.to_owned(), shared, writer, thread: Some(thread) };
        Ok((journal, report))
    }

    pub fn writer(&self) -> JournalWriter {
        self.writer.clone()
    }

    /// A reader that gives the frames behind `after`, and then waits for new ones.
    pub fn reader(&self, after: Seq) -> JournalReader {
        JournalReader::new(self.dir.clone(), self.quarantine.clone(), self.shared.clone(), after)
    }

    /// The last frame that is on disk.
    pub fn last(&self) -> Seq {
        self.shared.last()
    }

    /// For those who look at the journal without holding it.
    pub fn watch(&self) -> JournalWatch {
        JournalWatch(self.shared.clone())
    }

    /// Writes what is queued, then ends the writer; later appends fail with `Stopped`.
    pub fn close(&mut self) {
        self.writer.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.shared.close();
    }
}

/// The segments in `dir` by their first sequence.
fn segment_list(dir: &Path) -> Result<Vec<(u64, PathBuf)>, JournalError> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io_error("list", dir))? {
        let path = entry.map_err(io_error("list", dir))?.path();
        let is_segment = path.extension().is_some_and(|extension| extension == segment::EXTENSION);
        let first = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let (true, Some(first)) = (is_segment, first) {
            segments.push((first, path));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::body::SITE_UNKNOWN;
    use crate::frame::{FrameKind, Marks, NewFrame, Transport};

    fn line(text: &str) -> NewFrame {
        NewFrame {
            received_at: Timestamp(7),
            site: SITE_UNKNOWN,
            peer: Ipv4Addr::LOCALHOST.into(),
            transport: Transport::Tcp,
            kind: FrameKind::Line,
            marks: Marks::default(),
            payload: text.as_bytes().into(),
        }
    }

    struct Dir(tempfile::TempDir);

    impl Dir {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }
        fn journal(&self) -> PathBuf {
            self.0.path().join("journal")
        }
        fn open(&self) -> (Journal, OpenReport) {
            Journal::open_sized(&self.journal(), &self.0.path().join("quarantine"), Timestamp(1), 2_000, Seq(0)).unwrap()
        }
        fn segments(&self) -> Vec<PathBuf> {
            segment_list(&self.journal()).unwrap().into_iter().map(|(_, path)| path).collect()
        }
        fn quarantined(&self) -> usize {
            std::fs::read_dir(self.0.path().join("quarantine")).map_or(0, Iterator::count)
        }
    }

    fn read_all(journal: &Journal, after: u64) -> Vec<(u64, String)> {
        let mut reader = journal.reader(Seq(after));
        let mut all = Vec::new();
        while let Some(frames) = reader.next(Duration::ZERO).unwrap() {
            all.extend(frames.into_iter().map(|f| (f.seq.0, String::from_utf8_lossy(&f.frame.payload).into_owned())));
        }
        all
    }

    fn fill(journal: &Journal, from: u64, to: u64) {
        for n in from..=to {
            // Hardly compressible, so that small segments roll.
            let noise: String = (0..40u64).map(|i| char::from(b'a' + u8::try_from((n * 31 + i * i * 17) % 26).unwrap())).collect();
            journal.writer().append_blocking(vec![line(&format!("{n} {noise}"))]).unwrap();
        }
    }

    #[test]
    fn frames_come_back_in_order_over_segments_and_restarts() {
        let dir = Dir::new();
        let (mut journal, report) = dir.open();
        assert_eq!(report, OpenReport { segments: 1, ..OpenReport::default() });
        fill(&journal, 1, 60);
        journal.close();
        assert!(matches!(journal.writer().append_blocking(vec![line("late")]), Err(Refused { error: JournalError::Stopped, .. })));
        let (journal, report) = dir.open();
        assert_eq!(report.last, Seq(60));
        assert!(report.segments > 2, "{report:?}");
        fill(&journal, 61, 70);
        let all = read_all(&journal, 0);
        assert_eq!(all.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), (1..=70).collect::<Vec<_>>());
        assert!(all.iter().all(|(seq, text)| text.starts_with(&format!("{seq} "))));
        assert_eq!(read_all(&journal, 65).first().map(|(seq, _)| *seq), Some(66));
        assert_eq!(read_all(&journal, 70), []);
    }

    #[test]
    fn everything_about_a_frame_is_kept() {
        let dir = Dir::new();
        let (journal, _) = dir.open();
        let frame = NewFrame {
            received_at: Timestamp(1_795_000_000_123),
            site: crate::body::SiteId(crate::id::Ulid(42)),
            peer: "2001:db8::7".parse().unwrap(),
            transport: Transport::Udp,
            kind: FrameKind::Flow,
            marks: Marks::REST.and(Marks::TORN),
            payload: vec![0, 255, 10, 13].into(),
        };
        let v4 = NewFrame { peer: "192.0.2.1".parse().unwrap(), payload: Box::default(), ..frame.clone() };
        let range = journal.writer().append_blocking(vec![frame.clone(), v4.clone()]).unwrap();
        assert_eq!(range, 1..=2);
        let back = journal.reader(Seq(0)).next(Duration::ZERO).unwrap().unwrap();
        assert_eq!(back.into_iter().map(|f| f.frame).collect::<Vec<_>>(), [frame, v4]);
    }

    #[test]
    fn a_torn_tail_is_cut_at_every_length() {
        let dir = Dir::new();
        let (mut journal, _) = dir.open();
        fill(&journal, 1, 3);
        journal.close();
        let path = dir.segments().pop().unwrap();
        let whole = std::fs::read(&path).unwrap();
        let (mut journal, _) = dir.open();
        fill(&journal, 4, 4);
        journal.close();
        let longer = std::fs::read(&path).unwrap();
        for cut in whole.len()..longer.len() {
            std::fs::write(&path, &longer[..cut]).unwrap();
            let (mut journal, report) = dir.open();
            assert_eq!((report.last.0, report.torn_bytes), (3, (cut - whole.len()) as u64));
            assert_eq!(journal.writer().append_blocking(vec![line("again")]).unwrap(), 4..=4);
            assert_eq!(read_all(&journal, 3), [(4, "again".to_owned())]);
            journal.close();
        }
    }

    #[test]
    fn a_journal_that_lost_its_end_gives_no_sequence_twice() {
        let dir = Dir::new();
        let (mut journal, _) = dir.open();
        fill(&journal, 1, 5);
        journal.close();
        let quarantine = dir.0.path().join("quarantine");
        let (mut journal, report) = Journal::open_above(&dir.journal(), &quarantine, Timestamp(1), Seq(9)).unwrap();
        assert_eq!((report.last, report.lost), (Seq(9), 4));
        assert_eq!(journal.writer().append_blocking(vec![line("new")]).unwrap(), 10..=10);
        assert_eq!(read_all(&journal, 9), [(10, "new".to_owned())]);
        assert_eq!(read_all(&journal, 3).len(), 3);
        journal.close();
        assert_eq!(dir.open().1.last, Seq(10));
    }

    #[test]
    fn damage_in_the_middle_is_set_aside_and_the_rest_is_read() {
        let dir = Dir::new();
        let (mut journal, _) = dir.open();
        fill(&journal, 1, 60);
        journal.close();
        let first = dir.segments().swap_remove(0);
        let mut bytes = std::fs::read(&first).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        std::fs::write(&first, &bytes).unwrap();
        let (journal, _) = dir.open();
        let mut reader = journal.reader(Seq(0));
        let mut seen = 0;
        while let Some(frames) = reader.next(Duration::ZERO).unwrap() {
            seen += frames.len();
        }
        assert_eq!((seen, reader.damaged(), dir.quarantined()), (59, 1, 1));
    }

    #[test]
    fn every_flipped_bit_of_a_block_is_noticed() {
        let dir = Dir::new();
        let (mut journal, _) = dir.open();
        fill(&journal, 1, 1);
        journal.close();
        let path = dir.segments().pop().unwrap();
        let whole = std::fs::read(&path).unwrap();
        for bit in segment::HEADER_BYTES * 8..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).unwrap();
            let (mut journal, report) = dir.open();
            assert_eq!(report.last, Seq(0), "bit {bit}");
            journal.close();
        }
    }

    #[test]
    fn a_reader_waits_for_what_comes() {
        let dir = Dir::new();
        let (journal, _) = dir.open();
        let mut reader = journal.reader(Seq(0));
        let writer = journal.writer();
        let thread = std::thread::spawn(move || writer.append_blocking(vec![line("x")]).unwrap());
        let frames = reader.next(Duration::from_secs(30)).unwrap().unwrap();
        assert_eq!(frames.len(), 1);
        thread.join().unwrap();
    }

    #[test]
    fn offers_are_written_with_the_next_commit() {
        let dir = Dir::new();
        let (mut journal, _) = dir.open();
        let (told, receipt) = std::sync::mpsc::channel();
        journal.writer().offer(vec![line("a"), line("b")], Box::new(move |answer| told.send(answer.unwrap()).unwrap())).unwrap();
        journal.close();
        assert_eq!(receipt.recv().unwrap(), 1..=2);
        assert_eq!(read_all(&dir.open().0, 0).len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_payloads_come_back(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2_000), 1..40)) {
            let dir = Dir::new();
            let (mut journal, _) = dir.open();
            for payload in &payloads {
                journal.writer().offer(vec![NewFrame { payload: payload.clone().into(), ..line("") }], Box::new(drop)).unwrap();
            }
            journal.close();
            let (journal, _) = dir.open();
            let mut reader = journal.reader(Seq(0));
            let mut back = Vec::new();
            while let Some(frames) = reader.next(Duration::ZERO).unwrap() {
                back.extend(frames.into_iter().map(|f| f.frame.payload.into_vec()));
            }
            prop_assert_eq!(back, payloads);
        }
    }
}

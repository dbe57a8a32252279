//! The journal: every received frame in order of receipt, checksummed, on disk before anything is acknowledged.
//! Segments of blocks (`segment`), one writer with group commit (`writer`), readers at their own pace (`reader`), a chain
//! of seals over the closed segments (`chain`, `verify`). It knows nothing of what the frames mean, and frees nothing by
//! itself: its operator calls `Keeper::retain`.

mod chain;
#[cfg(test)]
mod crash;
mod disk;
mod follow;
mod keep;
mod reader;
#[cfg(test)]
mod recorded;
mod segment;
mod verify;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub use chain::{Seal, Sum};
pub use follow::JournalFollower;
pub use keep::{Freed, Keeper};
pub use reader::JournalReader;
pub use verify::{Fault, FaultKind, SegmentInfo, VerifyReport, peek, segments, verify};
pub use writer::{JournalWriter, Receipt, Refused};

use crate::disk::Watermark;
use crate::frame::Seq;
use crate::time::Timestamp;
use disk::{Disk, RealDisk};

/// Why the journal could not do what was asked. After `Stopped` nothing is acknowledged until a restart; after `Write`
/// and `DiskFull` the same may be asked again.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{action} {path}")]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the journal {path} belongs to another format: {reason}")]
    Format { path: PathBuf, reason: String },
    #[error("the journal could not write: {0}")]
    Write(String),
    #[error("the journal takes nothing: the disk is full")]
    DiskFull,
    #[error("the journal has stopped")]
    Stopped,
}

impl JournalError {
    /// What each sender of a failed commit is told.
    fn refusal(&self) -> Self {
        use std::io::ErrorKind;
        match self {
            Self::Io { source, .. } if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => Self::DiskFull,
            Self::Io { source, .. } => Self::Write(format!("{self}: {source}")),
            other => Self::Write(other.to_string()),
        }
    }
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
    /// Closed segments that had no seal and were sealed now: the journal is older than seals, or seals were lost.
    pub sealed_late: usize,
    /// Lines of the chain of seals that do not follow from the one before: damage, or somebody's hand.
    pub chain_broken: usize,
    /// Bytes of an unfinished line of the chain that were cut off.
    pub chain_torn_bytes: u64,
}

/// How a journal is opened.
#[derive(Clone, Debug, Default)]
pub struct JournalOptions {
    /// New frames get only sequences above this: what the stores have seen already. Where the journal has lost its end
    /// (a restored backup, a bad disk), a sequence given twice would be taken for known and lost.
    pub floor: Seq,
    /// At `Level::Stop` nothing is taken.
    pub watermark: Watermark,
}

/// An open journal. Dropping it does not wait: call `close`.
pub struct Journal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    quarantine: PathBuf,
    shared: writer::Shared,
    writer: JournalWriter,
    keeper: Keeper,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// A look at a running journal; cheap to clone.
#[derive(Clone)]
pub struct JournalWatch(writer::Shared);

impl JournalWatch {
    /// As `Journal::last`.
    pub fn last(&self) -> Seq {
        Seq(self.0.end().last)
    }
}

impl Journal {
    /// Opens or creates the journal in `dir`, cutting off a torn tail. Damage found by readers is copied to `quarantine`.
    ///
    /// # Errors
    /// Where the folder or the last segment cannot be read or written.
    pub fn open(dir: &Path, quarantine: &Path, now: Timestamp) -> Result<(Self, OpenReport), JournalError> {
        Self::open_with(dir, quarantine, now, &JournalOptions::default())
    }

    /// As `open`, with options.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(dir: &Path, quarantine: &Path, now: Timestamp, options: &JournalOptions) -> Result<(Self, OpenReport), JournalError> {
        Self::open_on(Arc::new(RealDisk), dir, quarantine, now, options, segment::SEGMENT_BYTES_MAX)
    }

    fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        quarantine: &Path,
        now: Timestamp,
        options: &JournalOptions,
        segment_bytes_max: u64,
    ) -> Result<(Self, OpenReport), JournalError> {
        disk.create_dir(dir).map_err(io_error("create the journal's folder", dir))?;
        if let Some(above) = dir.parent() {
            disk.sync_dir(above).map_err(io_error("sync", above))?;
        }
        // Names that a process made that was killed before their sync count from now on: they must be durable first.
        disk.sync_dir(dir).map_err(io_error("sync", dir))?;
        let (chain, state) = chain::Chain::open(&disk, dir, quarantine)?;
        let chain = Arc::new(Mutex::new(chain));
        let (mut active, mut report) = writer::Active::open(&disk, dir, chain.clone(), now, segment_bytes_max)?;
        report.chain_broken = state.broken;
        report.chain_torn_bytes = state.torn_bytes;
        if report.last < options.floor {
            report.lost = options.floor.0 - report.last.0;
            active.skip_to(options.floor.next(), now)?;
            report.last = options.floor;
        }
        let shared = writer::Shared::new(active.end());
        let keeper = Keeper::new(disk.clone(), dir.to_owned(), chain, shared.clone());
        keeper.quarantine_count(quarantine);
        keeper.finish_freeing()?;
        let (writer, thread) = writer::start(active, shared.clone(), options.watermark.clone())?;
        let (dir, quarantine) = (dir.to_owned(), quarantine.to_owned());
        Ok((Self { disk, dir, quarantine, shared, writer, keeper, thread: Some(thread) }, report))
    }

    pub fn writer(&self) -> JournalWriter {
        self.writer.clone()
    }

    /// A reader that gives the frames behind `after`, and then waits for new ones. Where the journal begins later, because
    /// what was before has been freed, it gives what there is.
    pub fn reader(&self, after: Seq) -> JournalReader {
        JournalReader::new(self.disk.clone(), self.dir.clone(), Some(self.quarantine.clone()), self.shared.clone(), after)
    }

    /// Frees what is no longer needed; to be had by a thread of its own.
    pub fn keeper(&self) -> Keeper {
        self.keeper.clone()
    }

    /// The last frame that is on disk.
    pub fn last(&self) -> Seq {
        Seq(self.shared.end().last)
    }

    /// Damaged stretches that readers have set aside and nobody has cleared from the quarantine folder before this start.
    pub fn damaged(&self) -> u64 {
        self.shared.damaged()
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

fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.{}", segment::EXTENSION))
}

/// The segments in `dir` by their first sequence.
fn segment_list(disk: &dyn Disk, dir: &Path) -> Result<Vec<(u64, PathBuf)>, JournalError> {
    let mut segments = Vec::new();
    for path in disk.list(dir).map_err(io_error("list", dir))? {
        let is_segment = path.extension().is_some_and(|extension| extension == segment::EXTENSION);
        let first = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        // Sequences begin with 1; the name must be the one we give.
        if let (true, Some(first @ 1..)) = (is_segment, first)
            && path == segment_path(dir, first)
        {
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
            self.open_with(&JournalOptions::default())
        }
        fn open_with(&self, options: &JournalOptions) -> (Journal, OpenReport) {
            let quarantine = self.0.path().join("quarantine");
            Journal::open_on(Arc::new(RealDisk), &self.journal(), &quarantine, Timestamp(1), options, 2_000).unwrap()
        }
        fn segments(&self) -> Vec<PathBuf> {
            segment_list(&RealDisk, &self.journal()).unwrap().into_iter().map(|(_, path)| path).collect()
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
        let (mut journal, report) = dir.open_with(&JournalOptions { floor: Seq(9), ..JournalOptions::default() });
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
    fn a_reader_never_looks_behind_the_durable_end() {
        let dir = Dir::new();
        let (journal, _) = dir.open();
        fill(&journal, 1, 1);
        let path = dir.segments().pop().unwrap();
        // The last block is damaged, and the writer has just begun the next one: that is no damage.
        let mut bytes = std::fs::read(&path).unwrap();
        let durable = bytes.len();
        bytes[durable - 1] ^= 1;
        bytes.extend_from_slice(b"WBLK half a block");
        std::fs::write(&path, &bytes).unwrap();
        let mut reader = journal.reader(Seq(0));
        assert_eq!(reader.next(Duration::ZERO).unwrap(), None);
        fill(&journal, 2, 2);
        let next = reader.next(Duration::ZERO).unwrap().unwrap();
        assert_eq!((next[0].seq, reader.damaged(), journal.damaged()), (Seq(2), 1, 1));
        let copy = std::fs::read_dir(dir.0.path().join("quarantine")).unwrap().next().unwrap().unwrap().path();
        assert_eq!(std::fs::read(copy).unwrap().len(), durable - segment::HEADER_BYTES);
    }

    #[test]
    fn damage_is_counted_once_for_all_readers_and_over_restarts() {
        let dir = Dir::new();
        let (mut journal, _) = dir.open();
        fill(&journal, 1, 30);
        let first = dir.segments().swap_remove(0);
        let mut bytes = std::fs::read(&first).unwrap();
        bytes[100] ^= 1;
        std::fs::write(&first, &bytes).unwrap();
        for _ in 0..2 {
            assert_eq!(read_all(&journal, 0).len(), 29);
        }
        assert_eq!(journal.damaged(), 1);
        journal.close();
        assert_eq!(dir.open().0.damaged(), 1);
    }

    #[test]
    fn segments_are_freed_when_they_are_old_and_everybody_has_passed_them() {
        let dir = Dir::new();
        let (mut journal, _) = dir.open();
        fill(&journal, 1, 60);
        let before = dir.segments().len();
        let keeper = journal.keeper();
        let retain = |keep_from, consumed| keeper.retain(Timestamp(keep_from), Seq(consumed), Timestamp(9)).unwrap();
        assert_eq!(retain(7, 60), Freed::default(), "received at 7, kept from 7 on");
        assert_eq!(retain(8, 0), Freed::default(), "nobody has read anything");
        let freed = retain(8, 30);
        assert!(freed.segments > 0 && freed.last <= Seq(30) && freed.last > Seq(15), "{freed:?}");
        assert_eq!(dir.segments().len(), before - freed.segments);
        // A reader from the beginning gives what there is.
        assert_eq!(read_all(&journal, 0).first().map(|(seq, _)| *seq), Some(freed.last.0 + 1));
        let all = retain(8, 60);
        assert!(all.last < Seq(60) && dir.segments().len() == 1, "the one being written stays");
        journal.close();
        let report = verify(&dir.journal(), &mut |_, _| {}).unwrap();
        assert!(report.is_sound(), "{:?}", report.faults);
        assert_eq!((report.freed, report.last), (all.last, Seq(60)));
        assert_eq!(dir.open().1.last, Seq(60));
    }

    #[test]
    fn a_journal_without_seals_gets_them_at_opening() {
        let dir = Dir::new();
        let (mut journal, _) = dir.open();
        fill(&journal, 1, 60);
        journal.close();
        std::fs::remove_file(dir.journal().join(chain::FILE)).unwrap();
        let closed = dir.segments().len() - 1;
        assert_eq!(verify(&dir.journal(), &mut |_, _| {}).unwrap().faults_total, closed);
        assert_eq!(dir.open().1.sealed_late, closed);
        let report = verify(&dir.journal(), &mut |_, _| {}).unwrap();
        assert!(report.is_sound(), "{:?}", report.faults);
        assert_eq!((report.sealed, report.sealed_late), (closed, closed));
        assert_eq!(dir.open().1.sealed_late, 0);
    }

    #[test]
    fn a_journal_whose_segments_are_gone_gives_no_sequence_twice() {
        let dir = Dir::new();
        let (mut journal, _) = dir.open();
        fill(&journal, 1, 60);
        journal.close();
        dir.segments().iter().for_each(|path| std::fs::remove_file(path).unwrap());
        let (journal, report) = dir.open();
        assert!(report.last > Seq(40), "{report:?}");
        assert_eq!(journal.writer().append_blocking(vec![line("new")]).unwrap().start(), &(report.last.0 + 1));
        assert!(!verify(&dir.journal(), &mut |_, _| {}).unwrap().is_sound());
    }

    #[test]
    fn a_damaged_segment_header_is_no_reason_not_to_open_and_a_foreign_one_is() {
        let dir = Dir::new();
        let (mut journal, _) = dir.open();
        fill(&journal, 1, 3);
        journal.close();
        let path = dir.segments().pop().unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        bytes[20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let (mut journal, report) = dir.open();
        assert_eq!((report.last, report.damaged, read_all(&journal, 0).len()), (Seq(3), 1, 3));
        journal.close();
        bytes = whole;
        bytes[7] = b'2';
        let crc = crc32c::crc32c(&bytes[..28]).to_le_bytes();
        bytes[28..32].copy_from_slice(&crc);
        std::fs::write(&path, &bytes).unwrap();
        let opened = Journal::open(&dir.journal(), dir.0.path(), Timestamp(1));
        assert!(matches!(opened, Err(JournalError::Format { .. })));
    }

    #[test]
    fn a_full_disk_stops_the_intake_and_room_lets_it_go_on() {
        use crate::disk::{Space, Thresholds};
        let dir = Dir::new();
        let options = JournalOptions::default();
        let (mut journal, _) = dir.open_with(&options);
        options.watermark.update(Space { total: 1_000, free: 10 }, Thresholds::default());
        let refused = journal.writer().append_blocking(vec![line("x")]).unwrap_err();
        assert!(matches!(refused.error, JournalError::DiskFull), "{refused:?}");
        let (told, receipt) = std::sync::mpsc::channel();
        journal.writer().offer(vec![line("y")], Box::new(move |answer| told.send(answer).unwrap())).unwrap();
        assert!(matches!(receipt.recv().unwrap(), Err(Refused { error: JournalError::DiskFull, .. })));
        options.watermark.update(Space { total: 1_000, free: 500 }, Thresholds::default());
        assert_eq!(journal.writer().append_blocking(refused.frames).unwrap(), 1..=1);
        journal.close();
    }

    #[test]
    fn a_look_from_outside_needs_no_lock_and_leaves_nothing() {
        let dir = Dir::new();
        let (journal, _) = dir.open();
        fill(&journal, 1, 30);
        let mut reader = peek(&dir.journal(), Seq(20)).unwrap();
        let mut seqs = Vec::new();
        while let Some(frames) = reader.next(Duration::ZERO).unwrap() {
            seqs.extend(frames.into_iter().map(|frame| frame.seq.0));
        }
        assert_eq!(seqs, (21..=30).collect::<Vec<_>>());
        let infos = segments(&dir.journal()).unwrap();
        assert_eq!((infos[0].first, infos.last().unwrap().last), (Seq(1), Seq(30)));
        assert!(infos[0].seal.is_some() && infos.last().unwrap().seal.is_none());
        assert_eq!(infos.last().unwrap().span, Some((Timestamp(7), Timestamp(7))));
        drop(journal);
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

//! Checks a journal from outside: every block's checksum, the sequences, and every seal and its chain; and says what is
//! wrong where. It only reads, and works beside a server that writes: the segments are listed first and the chain is
//! read after that, so that whatever the list calls closed must have its seal already.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chain::{ChainRead, FILE, Seal, Sum, chain_read};
use super::disk::{Disk, RealDisk, read_file};
use super::reader::JournalReader;
use super::segment::{self, HEADER_BYTES, SEGMENT_READ_MAX};
use super::writer::{DurableEnd, Shared};
use super::{JournalError, io_error, segment_list};
use crate::frame::Seq;
use crate::time::Timestamp;

/// Faults that are listed; the rest is counted.
const FAULTS_MAX: usize = 1_000;

/// What is wrong with a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The segment's first bytes are not what was written, or belong to another segment.
    Header,
    /// A block's checksum is wrong, or there is no block.
    Block,
    /// A sequence is missing or there twice.
    Sequence,
    /// The content is not what was sealed, though its checksums may be right.
    Seal,
    /// Shorter or longer than what was sealed.
    Size,
    /// A sealed segment is not there, and was not freed.
    Missing,
    /// A closed segment has no seal.
    Unsealed,
    /// A line of the chain does not follow from the one before.
    Chain,
    /// The disk does not give it.
    Unreadable,
}

impl FaultKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Block => "block",
            Self::Sequence => "sequence",
            Self::Seal => "seal",
            Self::Size => "size",
            Self::Missing => "missing",
            Self::Unsealed => "unsealed",
            Self::Chain => "chain",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file's name in the journal's folder.
    pub file: String,
    /// Where in the file (in the chain: the line), if there is a place.
    pub offset: Option<u64>,
    pub kind: FaultKind,
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.offset.map(|offset| format!(" at {offset}")).unwrap_or_default();
        write!(f, "{}{offset}: {}: {}", self.file, self.kind.as_str(), self.detail)
    }
}

/// What checking found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    pub segments: usize,
    pub sealed: usize,
    /// Segments that were sealed only at a later opening: older than seals, or their seal was lost.
    pub sealed_late: usize,
    pub bytes: u64,
    /// The first frame that is there, and the last; 0 where there is none.
    pub first: Seq,
    pub last: Seq,
    /// Everything up to here was freed when its keep time ended.
    pub freed: Seq,
    /// Bytes at the end that are no block yet: a server is writing, or a crash interrupted one.
    pub unfinished_bytes: u64,
    /// The end of the chain: noted elsewhere, it shows later that nobody made the chain anew.
    pub head: Sum,
    /// The first `FAULTS_MAX` things that are wrong, and how many there are.
    pub faults: Vec<Fault>,
    pub faults_total: usize,
    sums: Vec<Sum>,
}

impl VerifyReport {
    pub fn is_sound(&self) -> bool {
        self.faults_total == 0
    }

    /// Whether a head that was noted before is part of the chain.
    pub fn knows(&self, head: Sum) -> bool {
        head == Sum::default() || self.sums.contains(&head)
    }

    fn fault(&mut self, path: &Path, offset: Option<u64>, kind: FaultKind, detail: String) {
        self.faults_total += 1;
        if self.faults.len() < FAULTS_MAX {
            let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            self.faults.push(Fault { file, offset, kind, detail });
        }
    }
}

/// Checks the journal in `dir`. `progress` is told the bytes done and the bytes there are.
///
/// # Errors
/// Where the folder cannot be read at all.
pub fn verify(dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, JournalError> {
    verify_on(&RealDisk, dir, progress)
}

pub(super) fn verify_on(disk: &dyn Disk, dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, JournalError> {
    let segments = segment_list(disk, dir)?;
    let chain = chain_read(disk, dir)?;
    let mut report = VerifyReport { segments: segments.len(), freed: Seq(chain.freed()), head: chain.head(), ..VerifyReport::default() };
    let seals = seals_by_first(&chain, dir, &mut report);
    for line in &chain.broken {
        report.fault(&dir.join(FILE), Some(*line as u64), FaultKind::Chain, "the line does not follow from the one before".into());
    }
    let freed = report.freed.0;
    for seal in seals.values().filter(|seal| seal.last > freed && !segments.iter().any(|(first, _)| *first == seal.first)) {
        let path = super::segment_path(dir, seal.first);
        report.fault(&path, None, FaultKind::Missing, format!("frames {}–{} were sealed and are not there", seal.first, seal.last));
    }
    let total = segments.iter().map(|(_, path)| len(disk, path)).sum();
    let mut expected = report.freed.0 + 1;
    let last_segment = segments.last().map_or(0, |(first, _)| *first);
    for (first, path) in &segments {
        let seal = seals.get(first).copied();
        // A crash between the freeing's line and its removal of the files.
        if seal.is_some_and(|seal| seal.last <= report.freed.0) {
            continue;
        }
        if *first > expected && !chain.is_gap(expected, first - 1) {
            report.fault(path, None, FaultKind::Sequence, format!("begins with {first}, though {expected} is next"));
        } else if *first < expected {
            report.fault(path, None, FaultKind::Sequence, format!("begins with {first}, though {} is there already", expected - 1));
        }
        let done = report.bytes;
        let next = segment_check(disk, *first, path, seal, *first == last_segment, &mut report);
        expected = next.unwrap_or(*first).max(expected);
        progress(report.bytes.max(done), total);
    }
    report.last = Seq(expected - 1);
    report.first = Seq(segments.iter().map(|(first, _)| *first).find(|first| *first > report.freed.0).unwrap_or(0));
    if report.first > report.last {
        report.first = Seq(0);
    }
    report.sums = chain.sums;
    Ok(report)
}

fn len(disk: &dyn Disk, path: &Path) -> u64 {
    disk.open_read(path).and_then(|file| file.len()).unwrap_or(0)
}

fn seals_by_first<'c>(chain: &'c ChainRead, dir: &Path, report: &mut VerifyReport) -> HashMap<u64, &'c Seal> {
    let mut seals = HashMap::new();
    for seal in chain.seals() {
        if seals.contains_key(&seal.first) {
            // The chain grows only, so somebody added it to make a changed segment look right.
            report.fault(&dir.join(FILE), None, FaultKind::Chain, format!("a second seal for the segment that begins with {}", seal.first));
            continue;
        }
        report.sealed_late += usize::from(seal.late);
        seals.insert(seal.first, seal);
    }
    seals
}

/// Checks one segment; gives the sequence behind it.
fn segment_check(disk: &dyn Disk, first: u64, path: &Path, seal: Option<&Seal>, is_last: bool, report: &mut VerifyReport) -> Option<u64> {
    let bytes = match read_file(disk, path, SEGMENT_READ_MAX + 1) {
        Ok(Some(bytes)) => bytes,
        // Freed since the chain was read, or taken away; the chain as it is now tells.
        Ok(None) => {
            let dir = path.parent().unwrap_or(path);
            let freed = chain_read(disk, dir).map_or(0, |chain| chain.freed());
            match seal {
                Some(seal) if seal.last <= freed => {}
                _ => report.fault(path, None, FaultKind::Missing, "it was there a moment ago, and was not freed".into()),
            }
            return seal.map(|seal| seal.last + 1);
        }
        Err(error) => {
            report.fault(path, None, FaultKind::Unreadable, error.refusal().to_string());
            return seal.map(|seal| seal.last + 1);
        }
    };
    report.bytes += bytes.len() as u64;
    if bytes.len() > SEGMENT_READ_MAX {
        report.fault(path, None, FaultKind::Size, "longer than any segment can be".into());
    }
    match segment::segment_header_read(&bytes) {
        Ok(named) if named == first => {}
        Ok(named) => report.fault(path, Some(0), FaultKind::Header, format!("it is the segment that begins with {named}")),
        // Being created just now.
        Err(_) if is_last && seal.is_none() && bytes.len() <= HEADER_BYTES => {
            report.unfinished_bytes += bytes.len() as u64;
            return Some(first);
        }
        Err(_) => report.fault(path, Some(0), FaultKind::Header, "it is not what was written".into()),
    }
    let walk = segment::walk(&bytes, first);
    for (from, to) in &walk.damaged {
        report.fault(path, Some(*from as u64), FaultKind::Block, format!("{} bytes are no block", to - from));
    }
    for (offset, expected, found) in &walk.jumps {
        report.fault(path, Some(*offset as u64), FaultKind::Sequence, format!("{found} stands where {expected} is next"));
    }
    let rest = bytes.len().saturating_sub(walk.end) as u64;
    if rest > 0 && is_last && seal.is_none() {
        report.unfinished_bytes += rest;
    } else if rest > 0 {
        report.fault(path, Some(walk.end as u64), FaultKind::Block, format!("{rest} bytes are no block"));
    }
    let Some(seal) = seal else {
        if !is_last {
            report.fault(path, None, FaultKind::Unsealed, "it is closed and has no seal".into());
        }
        return Some(walk.next);
    };
    report.sealed += 1;
    if bytes.len() as u64 != seal.bytes {
        report.fault(path, None, FaultKind::Size, format!("{} bytes, sealed were {}", bytes.len(), seal.bytes));
    }
    if Sum::of(&bytes) != seal.sum {
        report.fault(path, None, FaultKind::Seal, "its content is not what was sealed".into());
    }
    Some(seal.last + 1)
}

/// A segment as `journal ls` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    pub path: PathBuf,
    pub first: Seq,
    /// Below `first` where there is no frame yet.
    pub last: Seq,
    /// When the first and the last frame were received; `None` where there is none.
    pub span: Option<(Timestamp, Timestamp)>,
    pub bytes: u64,
    pub seal: Option<Seal>,
}

/// The segments of the journal in `dir`, which another process may be writing. Sealed ones are described by their seals;
/// to know whether those are right is `verify`'s.
///
/// # Errors
/// Where the folder or an unsealed segment cannot be read.
pub fn segments(dir: &Path) -> Result<Vec<SegmentInfo>, JournalError> {
    let disk = RealDisk;
    let segments = segment_list(&disk, dir)?;
    let chain = chain_read(&disk, dir)?;
    let mut infos = Vec::new();
    for (first, path) in segments {
        if let Some(seal) = chain.seal(first).cloned() {
            let bytes = len(&disk, &path);
            let span = (seal.last >= first).then_some((seal.from, seal.to));
            infos.push(SegmentInfo { path, first: Seq(first), last: Seq(seal.last), span, bytes, seal: Some(seal) });
            continue;
        }
        let Some(bytes) = read_file(&disk, &path, SEGMENT_READ_MAX)? else { continue };
        let walk = segment::walk(&bytes, first);
        let (last, span, bytes) = (Seq(walk.next - 1), walk.span(&bytes), bytes.len() as u64);
        infos.push(SegmentInfo { path, first: Seq(first), last, span, bytes, seal: None });
    }
    Ok(infos)
}

/// A reader for the journal in `dir`, which another process may be writing: it ends where the journal ends now, and
/// leaves no copies of what is damaged.
///
/// # Errors
/// Where the folder or the last segment cannot be read.
pub fn peek(dir: &Path, after: Seq) -> Result<JournalReader, JournalError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let last = segment_list(disk.as_ref(), dir)?.pop();
    let end = match &last {
        None => DurableEnd { last: 0, segment: 0, offset: 0 },
        Some((first, path)) => {
            let bytes = read_file(disk.as_ref(), path, SEGMENT_READ_MAX)?
                .ok_or_else(|| io_error("open", path)(std::io::Error::new(std::io::ErrorKind::NotFound, "it was there a moment ago")))?;
            let walk = segment::walk(&bytes, *first);
            DurableEnd { last: walk.next - 1, segment: *first, offset: walk.end as u64 }
        }
    };
    Ok(JournalReader::new(disk, dir.to_owned(), None, Shared::new(end), after))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::recorded::{Image, Random, Recorded};
    use super::super::segment::{BLOCK_HEADER_BYTES, BlockHeader, Encoder};
    use super::super::{Journal, JournalOptions};
    use super::*;
    use crate::frame::{FrameKind, Marks, NewFrame, Transport};

    const DIR: &str = "/d/journal";

    fn line(text: &str) -> NewFrame {
        NewFrame {
            received_at: Timestamp(7),
            site: crate::body::SITE_UNKNOWN,
            peer: std::net::Ipv4Addr::LOCALHOST.into(),
            transport: Transport::Tcp,
            kind: FrameKind::Line,
            marks: Marks::default(),
            payload: text.as_bytes().into(),
        }
    }

    /// Four closed segments of a few blocks and one that is being written.
    fn image() -> Image {
        let disk = Recorded::of(&Image { dirs: [Path::new("/d").into()].into(), ..Image::default() }, None);
        let options = JournalOptions::default();
        let quarantine = Path::new("/d/quarantine");
        let (mut journal, _) = Journal::open_on(Arc::new(disk.clone()), Path::new(DIR), quarantine, Timestamp(1), &options, 500).unwrap();
        let mut random = Random(1);
        for n in 0..17 {
            let noise: String = (0..60).map(|_| char::from(b' ' + u8::try_from(random.below(95)).unwrap())).collect();
            journal.writer().append_blocking(vec![line(&format!("{n} {noise}"))]).unwrap();
        }
        journal.close();
        let mut replay = super::super::recorded::Replay::of(&Image { dirs: [Path::new("/d").into()].into(), ..Image::default() });
        disk.log().iter().for_each(|op| replay.play(op));
        replay.crash(super::super::recorded::Leaves::Nothing, &mut random)
    }

    fn verified(image: &Image) -> VerifyReport {
        verify_on(&Recorded::of(image, None), Path::new(DIR), &mut |_, _| {}).unwrap()
    }

    fn paths(image: &Image) -> Vec<PathBuf> {
        image.files.keys().filter(|path| path.extension().is_some()).cloned().collect()
    }

    fn check(change: impl FnOnce(&mut Image, &[PathBuf]), expected: Expect) {
        let mut image = image();
        let segments = paths(&image);
        change(&mut image, &segments);
        let faults = verified(&image).faults;
        expected.assert_eq(&faults.iter().map(|fault| format!("{fault}\n")).collect::<String>());
    }

    #[test]
    fn a_journal_that_nobody_touched_is_sound() {
        let image = image();
        let report = verified(&image);
        assert!(report.is_sound(), "{:?}", report.faults);
        assert_eq!((report.segments, report.sealed, report.sealed_late, report.first, report.last), (5, 4, 0, Seq(1), Seq(17)));
        assert!(report.knows(report.head) && report.knows(Sum::default()) && !report.knows(Sum::of(b"another")));
    }

    #[test]
    fn every_flipped_bit_of_a_sealed_segment_and_of_the_chain_is_noticed() {
        let whole = image();
        let chain = Path::new(DIR).join(FILE);
        for path in [paths(&whole)[1].clone(), chain] {
            for bit in 0..whole.files[&path].len() * 8 {
                let mut image = whole.clone();
                image.files.get_mut(&path).unwrap()[bit / 8] ^= 1 << (bit % 8);
                assert!(!verified(&image).is_sound(), "bit {bit} of {}", path.display());
            }
        }
    }

    #[test]
    fn every_truncation_of_a_sealed_segment_and_of_the_chain_is_noticed() {
        let whole = image();
        let chain = Path::new(DIR).join(FILE);
        for path in [paths(&whole)[1].clone(), chain] {
            for len in 0..whole.files[&path].len() {
                let mut image = whole.clone();
                image.files.get_mut(&path).unwrap().truncate(len);
                assert!(!verified(&image).is_sound(), "{len} bytes of {}", path.display());
            }
        }
    }

    #[test]
    fn segments_cannot_be_taken_away_or_exchanged() {
        let whole = image();
        let sealed = &paths(&whole)[..4];
        for path in sealed {
            let mut image = whole.clone();
            image.files.remove(path);
            assert!(!verified(&image).is_sound(), "without {}", path.display());
        }
        for (a, b) in sealed.iter().flat_map(|a| sealed.iter().map(move |b| (a, b))).filter(|(a, b)| a < b) {
            let mut image = whole.clone();
            image.files.insert(a.clone(), whole.files[b].clone());
            image.files.insert(b.clone(), whole.files[a].clone());
            assert!(!verified(&image).is_sound(), "{} and {}", a.display(), b.display());
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        check(
            |image, segments| image.files.get_mut(&segments[1]).unwrap()[100] ^= 1,
            expect![[r#"
                00000000000000000005.wbj at 32: block: 127 bytes are no block
                00000000000000000005.wbj: seal: its content is not what was sealed
            "#]],
        );
        check(
            |image, segments| drop(image.files.remove(&segments[0])),
            expect![[r#"
                00000000000000000001.wbj: missing: frames 1–4 were sealed and are not there
                00000000000000000005.wbj: sequence: begins with 5, though 1 is next
            "#]],
        );
        check(
            |image, _| {
                let chain = image.files.get_mut(&Path::new(DIR).join(FILE)).unwrap();
                chain.truncate(chain.len() - 1);
            },
            expect![[r#"
                00000000000000000013.wbj: unsealed: it is closed and has no seal
            "#]],
        );
    }

    #[test]
    fn who_repairs_the_checksum_is_caught_by_the_seal() {
        check(
            |image, segments| {
                let bytes = image.files.get_mut(&segments[2]).unwrap();
                let header = BlockHeader::read(&bytes[HEADER_BYTES..]).unwrap();
                let end = HEADER_BYTES + BLOCK_HEADER_BYTES + header.payload_len;
                let mut frame = header.frames(&bytes[HEADER_BYTES..end]).unwrap().remove(0).frame;
                frame.payload[5] ^= 1;
                let bytes_plain = segment::frame_bytes(&frame);
                let forged = Encoder::new().unwrap().block(header.first, [&frame].into_iter(), bytes_plain).unwrap().to_vec();
                bytes.splice(HEADER_BYTES..end, forged);
            },
            expect![[r#"
                00000000000000000009.wbj: seal: its content is not what was sealed
            "#]],
        );
    }

    #[test]
    fn a_second_seal_for_a_changed_segment_does_not_help() {
        let mut image = image();
        let path = paths(&image)[2].clone();
        image.files.get_mut(&path).unwrap()[200] ^= 1;
        // As our own program would do it for a segment without a seal.
        let chain = ChainRead::of(&image.files[&Path::new(DIR).join(FILE)]);
        let mut seal = chain.seals().nth(2).unwrap().clone();
        seal.sum = Sum::of(&image.files[&path]);
        let line = super::super::chain::Entry::Seal(seal).line(chain.head());
        image.files.get_mut(&Path::new(DIR).join(FILE)).unwrap().extend_from_slice(line.as_bytes());
        let kinds: Vec<_> = verified(&image).faults.iter().map(|fault| fault.kind).collect();
        assert_eq!(kinds, [FaultKind::Chain, FaultKind::Block, FaultKind::Seal]);
    }
}

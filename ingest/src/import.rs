//! Import of files through the journal: the same way that the network's lines go, so that a file's events are
//! found, judged and counted like any other. A file is known again by its content: importing it twice changes
//! nothing, and one that has grown since goes on where it ended, also after a kill -9 in the middle.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::body::SiteId;
use crate::frame::{FrameKind, Marks, NewFrame, PAYLOAD_BYTES_MAX, Transport};
use crate::id::ulid_new;
use crate::journal::{JournalError, JournalWriter};
use crate::source::ImportMark;
use crate::time::Timestamp;

/// Lines and bytes that go to the journal together with one mark: one fsync for about half a MiB.
const CHUNK_LINES_MAX: usize = 2_000;
const CHUNK_BYTES_MAX: usize = 512 * 1024;
/// The sender of what comes from a file.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Why a file could not be imported; the others go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("open {path}")]
    Open { path: PathBuf, source: std::io::Error },
    #[error("read {path} behind byte {at}")]
    Read { path: PathBuf, at: u64, source: std::io::Error },
    #[error("{path} has {bytes} bytes: a flow datagram has at most 65535")]
    NoDatagram { path: PathBuf, bytes: u64 },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What the file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Lines of log, one JSON object or text each.
    Lines,
    /// One NetFlow datagram.
    Datagram,
}

/// One import to be done.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub path: &'a Path,
    pub site: SiteId,
    pub content: Content,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Imported {
    /// Lines (or datagrams) that are new in the journal.
    pub lines: u64,
    /// Lines that had been imported before.
    pub lines_known: u64,
    pub bytes: u64,
    /// The journal's sequence behind which everything of this file stands.
    pub last: u64,
}

/// Imports one file. `known` are the imports so far; `progress` is told the bytes read.
///
/// # Errors
/// Where the file cannot be read or the journal not written; what was written before stays, and is known again.
pub fn import_file(
    request: &Request<'_>,
    known: &[ImportMark],
    writer: &JournalWriter,
    now: &dyn Fn() -> Timestamp,
    progress: &mut dyn FnMut(u64),
) -> Result<Imported, ImportError> {
    let path = request.path;
    let mut state = State::find(path, known, now)?;
    if request.content == Content::Datagram {
        return import_datagram(request, state, writer, now, progress);
    }
    let mut input = unpacked(path)?;
    let mut in_line =
        skip(&mut input, state.mark.bytes).map_err(|source| ImportError::Read { path: path.into(), at: state.mark.bytes, source })?;
    let mut imported = Imported { lines_known: state.mark.lines, ..Imported::default() };
    progress(state.mark.bytes);
    let mut chunk = Vec::new();
    let mut line = Vec::new();
    let mut chunk_bytes = 0;
    loop {
        line.clear();
        let at = state.mark.bytes;
        let read = read_line(&mut input, &mut line).map_err(|source| ImportError::Read { path: path.into(), at, source })?;
        state.take(line.get(..read).unwrap_or_default());
        // A line longer than a frame comes in parts, and so does one that was half written when the file was last read.
        let cut = read == PAYLOAD_BYTES_MAX && !line.ends_with(b"\n");
        let marks = [(in_line, Marks::REST), (cut, Marks::CUT)].into_iter().filter(|(is, _)| *is);
        let marks = marks.fold(Marks::default(), |all, (_, mark)| all.and(mark));
        in_line = cut;
        let text = trim_end(&line);
        if !text.is_empty() {
            chunk_bytes += text.len();
            imported.lines += 1;
            chunk.push(NewFrame { marks, ..frame(request, now(), FrameKind::of_line(text), text) });
        }
        let full = chunk.len() >= CHUNK_LINES_MAX || chunk_bytes >= CHUNK_BYTES_MAX;
        if (full || read == 0) && !chunk.is_empty() {
            state.mark.lines = imported.lines_known + imported.lines;
            chunk.push(frame(request, now(), FrameKind::ImportMark, &state.mark_json()));
            imported.last = *writer.append_blocking(std::mem::take(&mut chunk)).map_err(JournalError::from)?.end();
            chunk_bytes = 0;
            progress(state.mark.bytes);
        }
        if read == 0 {
            imported.bytes = state.mark.bytes;
            return Ok(imported);
        }
    }
}

fn import_datagram(
    request: &Request<'_>,
    mut state: State,
    writer: &JournalWriter,
    now: &dyn Fn() -> Timestamp,
    progress: &mut dyn FnMut(u64),
) -> Result<Imported, ImportError> {
    let path = request.path;
    let mut bytes = Vec::new();
    let read = unpacked(path)?.take(PAYLOAD_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|source| ImportError::Read { path: path.into(), at: 0, source })?;
    if bytes.len() > PAYLOAD_BYTES_MAX {
        return Err(ImportError::NoDatagram { path: path.into(), bytes: bytes.len() as u64 });
    }
    progress(bytes.len() as u64);
    if state.mark.bytes == bytes.len() as u64 {
        return Ok(Imported { lines_known: 1, bytes: state.mark.bytes, ..Imported::default() });
    }
    state = State::new(path, now());
    state.take(&bytes);
    state.mark.lines = 1;
    let frames = vec![frame(request, now(), FrameKind::Flow, &bytes), frame(request, now(), FrameKind::ImportMark, &state.mark_json())];
    let last = *writer.append_blocking(frames).map_err(JournalError::from)?.end();
    Ok(Imported { lines: 1, lines_known: 0, bytes: state.mark.bytes, last })
}

/// The mark being moved, with the running hash behind it.
struct State {
    mark: ImportMark,
    hash: Sha256,
}

impl State {
    fn new(path: &Path, now: Timestamp) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mark = ImportMark { id: ulid_new(now).to_string(), name, bytes: 0, lines: 0, sha256: String::new() };
        Self { mark, hash: Sha256::new() }
    }

    /// The longest known import whose bytes this file begins with; a fresh one where there is none.
    fn find(path: &Path, known: &[ImportMark], now: &dyn Fn() -> Timestamp) -> Result<Self, ImportError> {
        let mut best = Self::new(path, now());
        let mut lengths: Vec<u64> = known.iter().map(|mark| mark.bytes).filter(|bytes| *bytes > 0).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let mut input = unpacked(path)?;
        let mut hash = Sha256::new();
        let mut at = 0;
        for length in lengths {
            let read = hash_through(&mut input, &mut hash, length - at);
            let read = read.map_err(|source| ImportError::Read { path: path.into(), at, source })?;
            if read < length - at {
                break;
            }
            at = length;
            let sha256 = hex(&hash.clone().finalize());
            if let Some(mark) = known.iter().find(|mark| mark.bytes == length && mark.sha256 == sha256) {
                best = Self { mark: mark.clone(), hash: hash.clone() };
            }
        }
        Ok(best)
    }

    fn take(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.mark.bytes += bytes.len() as u64;
    }

    fn mark_json(&mut self) -> Vec<u8> {
        self.mark.sha256 = hex(&self.hash.clone().finalize());
        serde_json::to_vec(&self.mark).unwrap_or_default()
    }
}

/// The file's bytes, unpacked where it is gzip or zstd by its first bytes (names lie).
///
/// # Errors
/// Where it cannot be opened or its first bytes not be read.
pub fn unpacked(path: &Path) -> Result<Box<dyn BufRead>, ImportError> {
    let open = |source| ImportError::Open { path: path.into(), source };
    let mut file = File::open(path).map_err(open)?;
    let mut head = Vec::with_capacity(4);
    (&mut file).take(4).read_to_end(&mut head).map_err(open)?;
    file.seek(SeekFrom::Start(0)).map_err(open)?;
    Ok(match head.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(BufReader::new(file)))),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(BufReader::new(zstd::stream::read::Decoder::new(file).map_err(open)?)),
        _ => Box::new(BufReader::with_capacity(256 * 1024, file)),
    })
}

fn frame(request: &Request<'_>, received_at: Timestamp, kind: FrameKind, payload: &[u8]) -> NewFrame {
    NewFrame {
        received_at,
        site: request.site,
        peer: PEER,
        transport: Transport::Import,
        kind,
        marks: Marks::default(),
        payload: payload.into(),
    }
}

/// Reads to the next newline or the bound; what is longer comes as further lines. Returns the bytes taken.
fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    input.take(PAYLOAD_BYTES_MAX as u64).read_until(b'\n', line)
}

fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Passes over what is known; says whether it ends within a line.
fn skip(input: &mut dyn BufRead, bytes: u64) -> std::io::Result<bool> {
    let Some(before_last) = bytes.checked_sub(1) else { return Ok(false) };
    std::io::copy(&mut input.take(before_last), &mut std::io::sink())?;
    let mut last = Vec::new();
    input.take(1).read_to_end(&mut last)?;
    Ok(last != b"\n")
}

fn hash_through(input: &mut dyn BufRead, hash: &mut Sha256, bytes: u64) -> std::io::Result<u64> {
    let mut left = bytes;
    let mut buffer = vec![0; 64 * 1024];
    while left > 0 {
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = input.read(buffer.get_mut(..want).unwrap_or_default())?;
        if read == 0 {
            break;
        }
        hash.update(buffer.get(..read).unwrap_or_default());
        left -= read as u64;
    }
    Ok(bytes - left)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::body::SITE_UNKNOWN;
    use crate::frame::Seq;
    use crate::journal::Journal;

    struct Bench {
        dir: tempfile::TempDir,
        journal: Journal,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let (journal, _) = Journal::open(&dir.path().join("j"), &dir.path().join("q"), Timestamp(1)).unwrap();
            Self { dir, journal }
        }

        /// The marks and lines in the journal, as the source consumer would keep them.
        fn journaled(&self) -> (Vec<ImportMark>, Vec<String>) {
            let (mut marks, mut lines) = (std::collections::HashMap::new(), Vec::new());
            let mut reader = self.journal.reader(Seq(0));
            while let Some(frames) = reader.next(Duration::ZERO).unwrap() {
                for frame in frames {
                    if frame.frame.kind == FrameKind::ImportMark {
                        let mark: ImportMark = serde_json::from_slice(&frame.frame.payload).unwrap();
                        marks.insert(mark.id.clone(), mark);
                    } else {
                        lines.push(String::from_utf8_lossy(&frame.frame.payload).into_owned());
                    }
                }
            }
            (marks.into_values().collect(), lines)
        }

        /// The lines' marks, in order.
        fn marks(&self) -> Vec<Marks> {
            let mut reader = self.journal.reader(Seq(0));
            let blocks = std::iter::from_fn(|| reader.next(Duration::ZERO).unwrap());
            blocks.flatten().filter(|frame| frame.frame.kind != FrameKind::ImportMark).map(|frame| frame.frame.marks).collect()
        }

        fn import(&self, name: &str, bytes: &[u8], content: Content) -> Result<Imported, ImportError> {
            let path = self.dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let request = Request { path: &path, site: SITE_UNKNOWN, content };
            import_file(&request, &self.journaled().0, &self.journal.writer(), &|| Timestamp(5), &mut |_| {})
        }
    }

    fn counts(imported: &Imported) -> (u64, u64) {
        (imported.lines, imported.lines_known)
    }

    #[test]
    fn the_same_bytes_are_imported_once_under_any_name_and_packing() {
        let bench = Bench::new();
        let text = "a\nb\r\n\n{\"c\":1}";
        assert_eq!(counts(&bench.import("x.log", text.as_bytes(), Content::Lines).unwrap()), (3, 0));
        assert_eq!(counts(&bench.import("y.log", text.as_bytes(), Content::Lines).unwrap()), (0, 3));
        let gz = {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut gz, text.as_bytes()).unwrap();
            gz.finish().unwrap()
        };
        assert_eq!(counts(&bench.import("z.gz", &gz, Content::Lines).unwrap()), (0, 3));
        let zst = zstd::bulk::compress(text.as_bytes(), 1).unwrap();
        assert_eq!(counts(&bench.import("z.zst", &zst, Content::Lines).unwrap()), (0, 3));
        assert_eq!(bench.journaled().1, ["a", "b", "{\"c\":1}"]);
    }

    #[test]
    fn a_grown_file_goes_on_and_another_one_starts_anew() {
        let bench = Bench::new();
        bench.import("x.log", b"a\nb\n", Content::Lines).unwrap();
        bench.import("x.log", b"a\nb\nc\n", Content::Lines).unwrap();
        assert_eq!(counts(&bench.import("x.log", b"a\nb\nc\nd\n", Content::Lines).unwrap()), (1, 3));
        assert_eq!(counts(&bench.import("x.log", b"a\nX\nc\nd\n", Content::Lines).unwrap()), (4, 0));
        assert_eq!(bench.journaled().1.concat(), "abcdaXcd");
        assert_eq!(bench.journaled().0.len(), 2);
    }

    #[test]
    fn chunks_and_long_lines_lose_no_byte() {
        let bench = Bench::new();
        let text: String = (0..CHUNK_LINES_MAX * 2 + 7).map(|n| format!("line {n}\n")).collect();
        let long = format!("{text}{}\nend\n", "y".repeat(PAYLOAD_BYTES_MAX + 10));
        bench.import("x.log", text.as_bytes(), Content::Lines).unwrap();
        assert_eq!(bench.import("x.log", long.as_bytes(), Content::Lines).unwrap().lines, 3);
        assert_eq!(bench.journaled().1.concat(), long.replace('\n', ""));
    }

    #[test]
    fn parts_of_a_line_say_so() {
        let bench = Bench::new();
        bench.import("x.log", b"whole\nhalf wri", Content::Lines).unwrap();
        let long = format!("whole\nhalf written\n{}\nend", "y".repeat(PAYLOAD_BYTES_MAX + 10));
        bench.import("x.log", long.as_bytes(), Content::Lines).unwrap();
        let marks: Vec<_> = bench.marks().into_iter().map(|marks| (marks.has(Marks::CUT), marks.has(Marks::REST))).collect();
        let (whole, rest, cut) = ((false, false), (false, true), (true, false));
        assert_eq!(marks, [whole, whole, rest, cut, rest, whole]);
    }

    #[test]
    fn a_datagram_is_one_frame_once() {
        let bench = Bench::new();
        assert_eq!(counts(&bench.import("f.dat", b"\x00\x05\n\n", Content::Datagram).unwrap()), (1, 0));
        assert_eq!(counts(&bench.import("f.dat", b"\x00\x05\n\n", Content::Datagram).unwrap()), (0, 1));
        let error = bench.import("f.dat", &vec![0; PAYLOAD_BYTES_MAX + 1], Content::Datagram).unwrap_err();
        assert!(error.to_string().ends_with("has 65536 bytes: a flow datagram has at most 65535"), "{error}");
    }

    #[test]
    fn a_broken_archive_keeps_what_came_before() {
        let bench = Bench::new();
        let text: String = (0..50_000).map(|n| format!("{n} {}\n", n * 7919 % 10_007)).collect();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gz, text.as_bytes()).unwrap();
        let mut gz = gz.finish().unwrap();
        gz.truncate(gz.len() / 2);
        assert!(matches!(bench.import("x.gz", &gz, Content::Lines), Err(ImportError::Read { .. })));
        let before = bench.journaled().1.len();
        assert!(before > 1_000);
        bench.import("x.log", text.as_bytes(), Content::Lines).unwrap();
        assert_eq!(bench.journaled().1.len(), 50_000);
    }
}

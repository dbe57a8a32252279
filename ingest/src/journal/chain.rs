//! The chain of seals: one line for each closed segment with its SHA-256, and each line hashed together with the hash
//! of the line before, so that a sealed segment that was changed, taken away or exchanged later shows (`verify`).
//!
//! ```text
//! WBSEAL01
//! seal FIRST LAST BYTES FROM TO SHA256 CHAIN     a segment, when it was closed; FROM and TO are the receipt of its
//!                                                first and last frame in epoch milliseconds
//! late FIRST LAST BYTES FROM TO SHA256 CHAIN     the same, at a later opening that found it without a seal
//! gap FIRST LAST AT CHAIN                        sequences that were lost with the journal's end and are never given again
//! freed FIRST LAST AT CHAIN                      segments that the keep time has ended for
//! ```
//! CHAIN is the SHA-256 of the CHAIN before (of zeros at the beginning), a newline, and the line up to CHAIN.
//! A segment is sealed before the next one is created: only the last segment may stand without a seal.
//!
//! The chain has no key: who may write here can make all of it anew. That shows only against a CHAIN that was noted
//! elsewhere before; `wartburg journal verify` prints the last one and takes a noted one.
//!
//! Bound: a line of 200 bytes for 64 MiB of journal, for ever: 3 MB for each TB received.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::disk::{Disk, DurableFile, read_file};
use super::{JournalError, io_error};
use crate::time::Timestamp;

pub(super) const FILE: &str = "seals";
const MAGIC: &str = "WBSEAL01";
/// More is no chain of ours: the lines of a petabyte.
pub(super) const CHAIN_BYTES_MAX: usize = 4 << 30;

/// A SHA-256.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sum([u8; 32]);

impl Sum {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    pub(super) fn finish(hash: Sha256) -> Self {
        Self(hash.finalize().into())
    }

    /// From 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut sum = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        for (byte, at) in sum.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        }
        Some(Self(sum))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is known of a closed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    pub first: u64,
    /// Below `first` where the segment is empty.
    pub last: u64,
    pub bytes: u64,
    /// When its first and its last frame were received.
    pub from: Timestamp,
    pub to: Timestamp,
    pub sum: Sum,
    /// Not sealed when it was closed, but found without a seal later.
    pub late: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Seal(Seal),
    Gap { first: u64, last: u64, at: Timestamp },
    Freed { first: u64, last: u64, at: Timestamp },
}

impl Entry {
    fn body(&self) -> String {
        match self {
            Self::Seal(Seal { first, last, bytes, from, to, sum, late }) => {
                let word = if *late { "late" } else { "seal" };
                format!("{word} {first} {last} {bytes} {} {} {sum}", from.0, to.0)
            }
            Self::Gap { first, last, at } => format!("gap {first} {last} {}", at.0),
            Self::Freed { first, last, at } => format!("freed {first} {last} {}", at.0),
        }
    }

    /// The line behind one whose hash is `before`.
    pub(super) fn line(&self, before: Sum) -> String {
        let body = self.body();
        format!("{body} {}\n", linked(before, &body))
    }

    fn parse(body: &str) -> Option<Self> {
        let mut words = body.split(' ');
        let word = words.next()?;
        let (first, last) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let time = |words: &mut std::str::Split<'_, char>| words.next()?.parse().ok().map(Timestamp);
        let entry = match word {
            "seal" | "late" => Self::Seal(Seal {
                first,
                last,
                bytes: words.next()?.parse().ok()?,
                from: time(&mut words)?,
                to: time(&mut words)?,
                sum: Sum::parse(words.next()?)?,
                late: word == "late",
            }),
            "gap" => Self::Gap { first, last, at: time(&mut words)? },
            "freed" => Self::Freed { first, last, at: time(&mut words)? },
            _ => return None,
        };
        // Only what we would write ourselves.
        (entry.body() == body).then_some(entry)
    }
}

fn linked(before: Sum, body: &str) -> Sum {
    Sum::of(format!("{before}\n{body}").as_bytes())
}

/// What a chain's file says.
#[derive(Debug, Default)]
pub(super) struct ChainRead {
    /// Valid lines only: what a broken one says is not believed.
    pub(super) entries: Vec<Entry>,
    /// The hash at each valid line.
    pub(super) sums: Vec<Sum>,
    /// Numbers of the broken lines.
    pub(super) broken: Vec<usize>,
    /// Behind the last valid line; 0 where not even the first line is there.
    pub(super) end: usize,
    /// Broken lines before `end`.
    broken_inside: usize,
}

impl ChainRead {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut read = Self::default();
        let (mut before, mut offset) = (Sum::default(), 0);
        for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            offset += line.len();
            // Without its newline it is being written, or was torn: no line yet.
            let Some(line) = line.strip_suffix(b"\n") else { continue };
            let valid = if number == 0 { (line == MAGIC.as_bytes()).then_some(None) } else { link(line, &mut before) };
            match valid {
                Some(entry) => {
                    if let Some(entry) = entry {
                        read.entries.push(entry);
                        read.sums.push(before);
                    }
                    read.end = offset;
                    read.broken_inside = read.broken.len();
                }
                None => read.broken.push(number + 1),
            }
        }
        read
    }

    pub(super) fn head(&self) -> Sum {
        self.sums.last().copied().unwrap_or_default()
    }

    pub(super) fn seals(&self) -> impl Iterator<Item = &Seal> {
        self.entries.iter().filter_map(|entry| if let Entry::Seal(seal) = entry { Some(seal) } else { None })
    }

    /// The first seal of the segment that begins with `first`; a second one counts for nothing.
    pub(super) fn seal(&self, first: u64) -> Option<&Seal> {
        self.seals().find(|seal| seal.first == first)
    }

    /// Everything up to here was freed; 0 where nothing was.
    pub(super) fn freed(&self) -> u64 {
        self.entries.iter().filter_map(|entry| if let Entry::Freed { last, .. } = entry { Some(*last) } else { None }).max().unwrap_or(0)
    }

    /// The last sequence that any line speaks of.
    pub(super) fn last(&self) -> u64 {
        let last = |entry: &Entry| match entry {
            Entry::Seal(Seal { last, .. }) | Entry::Gap { last, .. } | Entry::Freed { last, .. } => *last,
        };
        self.entries.iter().map(last).max().unwrap_or(0)
    }

    /// Whether the chain says that all of `first..=last` was lost.
    pub(super) fn is_gap(&self, first: u64, last: u64) -> bool {
        let mut next = first;
        for entry in &self.entries {
            if let Entry::Gap { first, last, .. } = entry
                && *first <= next
            {
                next = next.max(last + 1);
            }
        }
        next > last
    }
}

/// Reads one line and moves `before` to its hash; `None` where it does not follow from the one before.
fn link(line: &[u8], before: &mut Sum) -> Option<Option<Entry>> {
    let (body, sum) = std::str::from_utf8(line).ok()?.rsplit_once(' ')?;
    let sum = Sum::parse(sum).filter(|parsed| parsed.to_string() == sum)?;
    let expected = linked(*before, body);
    *before = sum;
    if sum == expected { Entry::parse(body).map(Some) } else { None }
}

/// The chain as its one writer holds it.
pub(super) struct Chain {
    file: DurableFile,
    read: ChainRead,
}

/// What opening the chain found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChainState {
    /// Bytes of an unfinished line that were cut off.
    pub(super) torn_bytes: u64,
    /// Broken lines that stay where they are.
    pub(super) broken: usize,
}

impl Chain {
    pub(super) fn open(disk: &Arc<dyn Disk>, dir: &Path, quarantine: &Path) -> Result<(Self, ChainState), JournalError> {
        let path = dir.join(FILE);
        let head = format!("{MAGIC}\n");
        let Some(bytes) = read_file(disk.as_ref(), &path, CHAIN_BYTES_MAX)? else {
            let file = DurableFile::create(disk, path, head.as_bytes())?;
            return Ok((Self { file, read: ChainRead::default() }, ChainState::default()));
        };
        let mut read = ChainRead::of(&bytes);
        let torn = bytes.get(read.end..).unwrap_or_default();
        let state = ChainState { torn_bytes: torn.len() as u64, broken: read.broken_inside };
        read.broken.truncate(read.broken_inside);
        if read.end == 0 {
            // Not even the first line: a crash while the file was made, or a file that is not ours.
            if torn.len() > head.len() {
                super::reader::keep(disk.as_ref(), quarantine, "seals-0.bin", torn)?;
            }
            let file = DurableFile::create(disk, path, head.as_bytes())?;
            return Ok((Self { file, read: ChainRead::default() }, state));
        }
        let mut file = DurableFile::open(disk, path, read.end as u64);
        if !torn.is_empty() {
            // Mostly a line that a crash interrupted. Should it have been more, the copy tells.
            super::reader::keep(disk.as_ref(), quarantine, &format!("seals-{}.bin", read.end), torn)?;
        }
        // What a process wrote that was killed before its sync counts from now on: it must be durable first.
        file.cut()?;
        Ok((Self { file, read }, state))
    }

    pub(super) fn read(&self) -> &ChainRead {
        &self.read
    }

    /// Adds a line, durably.
    pub(super) fn add(&mut self, entry: Entry) -> Result<(), JournalError> {
        let sum = linked(self.read.head(), &entry.body());
        self.file.append(entry.line(self.read.head()).as_bytes())?;
        self.read.entries.push(entry);
        self.read.sums.push(sum);
        Ok(())
    }
}

/// The chain of a journal that another process may be writing.
pub(super) fn chain_read(disk: &dyn Disk, dir: &Path) -> Result<ChainRead, JournalError> {
    let path = dir.join(FILE);
    let bytes = read_file(disk, &path, CHAIN_BYTES_MAX)?.unwrap_or_default();
    if bytes.len() == CHAIN_BYTES_MAX {
        return Err(io_error("read", &path)(std::io::Error::other("too long for a chain of seals")));
    }
    Ok(ChainRead::of(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(entries: &[Entry]) -> Vec<u8> {
        let mut text = format!("{MAGIC}\n");
        let mut before = Sum::default();
        for entry in entries {
            before = linked(before, &entry.body());
            text += &format!("{} {before}\n", entry.body());
        }
        text.into_bytes()
    }

    fn entries() -> Vec<Entry> {
        let seal = |first, last, late| Seal { first, last, bytes: 99, from: Timestamp(5), to: Timestamp(-7), sum: Sum::of(b"x"), late };
        vec![
            Entry::Seal(seal(1, 10, true)),
            Entry::Seal(seal(11, 20, false)),
            Entry::Gap { first: 21, last: 29, at: Timestamp(1) },
            Entry::Freed { first: 1, last: 10, at: Timestamp(2) },
        ]
    }

    #[test]
    fn lines_come_back() {
        let read = ChainRead::of(&chain(&entries()));
        assert_eq!((read.entries.as_slice(), read.broken.as_slice()), (entries().as_slice(), [].as_slice()));
        assert_eq!((read.freed(), read.last(), read.sums.len()), (10, 29, 4));
        assert!(read.is_gap(21, 29) && read.is_gap(22, 23) && !read.is_gap(20, 29) && !read.is_gap(21, 30));
    }

    #[test]
    fn every_flipped_bit_breaks_a_line() {
        let whole = chain(&entries());
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = ChainRead::of(&bytes);
            let last_newline = bit / 8 == whole.len() - 1;
            assert!(!read.broken.is_empty() || (last_newline && read.end < whole.len()), "bit {bit}");
            assert!(read.entries.len() < 4 || bit / 8 <= MAGIC.len(), "bit {bit}");
        }
    }

    #[test]
    fn lines_cannot_be_dropped_or_exchanged() {
        let whole = String::from_utf8(chain(&entries())).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        for gone in 0..lines.len() - 1 {
            let text: String = lines.iter().enumerate().filter(|(n, _)| *n != gone).map(|(_, line)| format!("{line}\n")).collect();
            assert!(!ChainRead::of(text.as_bytes()).broken.is_empty(), "line {gone}");
        }
        let mut swapped = lines.clone();
        swapped.swap(1, 2);
        assert!(!ChainRead::of(format!("{}\n", swapped.join("\n")).as_bytes()).broken.is_empty());
    }
}

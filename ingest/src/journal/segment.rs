//! The journal's format on disk, as pure functions over bytes. A segment is a header and blocks; a block is what
//! one group commit wrote, whole or not at all: its checksum covers its own header and its payload.
//!
//! ```text
//! segment  "WBJRNL01" · first seq u64 · created ms i64 · 0 u32 · crc32c u32 of the 28 bytes before
//! block    "WBLK" · crc32c u32 of all that follows · payload length u32 · unpacked length u32 ·
//!          first seq u64 · frames u32 · codec u8 (0 plain, 1 zstd) · 0 0 0 · payload
//! frame    kind and marks u8 · transport u8 · site 16 · peer 16 (IPv4 mapped) · received ms i64 · length u32 · bytes
//! ```
//! All numbers little-endian. The version is the magic's last two digits; an unknown one is refused, never guessed.

use std::net::{IpAddr, Ipv6Addr};

use crate::body::SiteId;
use crate::frame::{Frame, FrameKind, NewFrame, PAYLOAD_BYTES_MAX, Seq, Transport};
use crate::id::Ulid;
use crate::time::Timestamp;

pub(super) const EXTENSION: &str = "wbj";
pub(super) const HEADER_BYTES: usize = 32;
pub(super) const BLOCK_HEADER_BYTES: usize = 32;
/// A segment is closed at this size: small enough to free disk soon, large enough that 180 days are a few thousand files.
pub(super) const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// A commit is closed at this many bytes (DESIGN: 10 ms or 1 MiB); one append may be larger, up to `BLOCK_BYTES_MAX`.
pub(super) const COMMIT_BYTES_MAX: usize = 1 << 20;
/// What a reader accepts as a block: a larger length is damage, and must not make it allocate.
pub(super) const BLOCK_BYTES_MAX: usize = 32 << 20;

/// What is read of a segment at most: no segment of ours is longer than a full one and its last block.
pub(super) const SEGMENT_READ_MAX: usize = (SEGMENT_BYTES_MAX as usize) + BLOCK_BYTES_MAX + BLOCK_HEADER_BYTES;

const SEGMENT_MAGIC: [u8; 8] = *b"WBJRNL01";
const BLOCK_MAGIC: [u8; 4] = *b"WBLK";
const FRAME_HEADER_BYTES: usize = 46;
/// Level 1: on log lines three quarters of the gain of level 3 for half the CPU, and this is the receiver's path.
const ZSTD_LEVEL: i32 = 1;

/// How many bytes a frame takes in a block before compression.
pub(super) fn frame_bytes(frame: &NewFrame) -> usize {
    FRAME_HEADER_BYTES + frame.payload.len()
}

pub(super) fn segment_header(first: u64, created: Timestamp) -> [u8; HEADER_BYTES] {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&SEGMENT_MAGIC);
    header.extend_from_slice(&first.to_le_bytes());
    header.extend_from_slice(&created.0.to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    let crc = crc32c::crc32c(&header);
    header.extend_from_slice(&crc.to_le_bytes());
    header.try_into().unwrap_or([0; HEADER_BYTES])
}

/// Why bytes are no segment header of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// Whole, but of another format: whoever wrote it knows what it means, we do not.
    Foreign,
    Damaged,
}

/// The first sequence that a segment's header names, or why it is no header of ours.
pub(super) fn segment_header_read(bytes: &[u8]) -> Result<u64, HeaderFault> {
    let read = || {
        let mut input = Input(bytes);
        let magic = input.take(8)?;
        let first = input.u64()?;
        input.take(12)?;
        let whole = input.u32()? == crc32c::crc32c(bytes.get(..HEADER_BYTES - 4)?);
        Some((magic == SEGMENT_MAGIC, first, whole))
    };
    match read() {
        Some((true, first, true)) => Ok(first),
        Some((false, _, true)) => Err(HeaderFault::Foreign),
        _ => Err(HeaderFault::Damaged),
    }
}

/// Larger buffers are given back after their block: one HTTP body may make a block of 16 MiB, most make none of 2.
const BUFFER_BYTES_KEPT: usize = 4 << 20;

/// Makes blocks. It keeps its buffers and its compressor from one to the next: making those costs as much as packing
/// a small block.
pub(super) struct Encoder {
    plain: Vec<u8>,
    block: Vec<u8>,
    zstd: zstd::bulk::Compressor<'static>,
}

impl Encoder {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { plain: Vec::new(), block: Vec::new(), zstd: zstd::bulk::Compressor::new(ZSTD_LEVEL)? })
    }

    /// A block of frames, ready to be written. There must be at least one, and they stay below the bounds of `u32`;
    /// `bytes` is what they take before compression.
    pub(super) fn block<'f>(&mut self, first: u64, frames: impl Iterator<Item = &'f NewFrame>, bytes: usize) -> std::io::Result<&[u8]> {
        let Self { plain, block, zstd } = self;
        for buffer in [&mut *plain, &mut *block] {
            if buffer.capacity() > BUFFER_BYTES_KEPT {
                *buffer = Vec::new();
            }
        }
        plain.clear();
        plain.reserve(bytes);
        let mut count = 0;
        for frame in frames {
            count += 1;
            let payload = frame.payload.get(..PAYLOAD_BYTES_MAX).unwrap_or(&frame.payload);
            let mut head = [0; FRAME_HEADER_BYTES];
            frame_header(&mut head, frame, payload.len());
            plain.extend_from_slice(&head);
            plain.extend_from_slice(payload);
        }
        let room = BLOCK_HEADER_BYTES + zstd::zstd_safe::compress_bound(plain.len());
        if block.len() < room {
            block.resize(room, 0);
        }
        let packed = zstd.compress_to_buffer(plain, block.get_mut(BLOCK_HEADER_BYTES..).unwrap_or_default())?;
        let (codec, len) = if packed < plain.len() { (1u8, packed) } else { (0, plain.len()) };
        let end = BLOCK_HEADER_BYTES + len;
        if let (0, Some(place)) = (codec, block.get_mut(BLOCK_HEADER_BYTES..end)) {
            place.copy_from_slice(plain);
        }
        let mut header = Vec::with_capacity(BLOCK_HEADER_BYTES);
        header.extend_from_slice(&BLOCK_MAGIC);
        header.extend_from_slice(&[0; 4]);
        header.extend_from_slice(&len_u32(len).to_le_bytes());
        header.extend_from_slice(&len_u32(plain.len()).to_le_bytes());
        header.extend_from_slice(&first.to_le_bytes());
        header.extend_from_slice(&len_u32(count).to_le_bytes());
        header.extend_from_slice(&[codec, 0, 0, 0]);
        if let Some(place) = block.get_mut(..BLOCK_HEADER_BYTES) {
            place.copy_from_slice(&header);
        }
        let crc = block.get(8..end).map_or(0, crc32c::crc32c);
        if let Some(place) = block.get_mut(4..8) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        Ok(block.get(..end).unwrap_or_default())
    }
}

/// Built on the stack and copied once: the growing vector is asked for room once a frame, not six times.
fn frame_header(head: &mut [u8; FRAME_HEADER_BYTES], frame: &NewFrame, payload_len: usize) {
    let (site, peer) = (frame.site.0.0.to_le_bytes(), mapped(frame.peer).octets());
    let (received_at, len) = (frame.received_at.0.to_le_bytes(), len_u32(payload_len).to_le_bytes());
    let kind = [frame.kind.to_byte(frame.marks), frame.transport as u8];
    let mut rest = head.as_mut_slice();
    for field in [kind.as_slice(), &site, &peer, &received_at, &len] {
        if let Some((place, after)) = std::mem::take(&mut rest).split_at_mut_checked(field.len()) {
            place.copy_from_slice(field);
            rest = after;
        }
    }
}

/// A block's header, not yet trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHeader {
    crc: u32,
    pub(super) payload_len: usize,
    plain_len: usize,
    pub(super) first: u64,
    pub(super) count: u32,
    codec: u8,
}

impl BlockHeader {
    /// The header at the start of `bytes`; `None` where it is too short or cannot be one.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        if input.take(4)? != BLOCK_MAGIC {
            return None;
        }
        let header = Self {
            crc: input.u32()?,
            payload_len: input.u32()? as usize,
            plain_len: input.u32()? as usize,
            first: input.u64()?,
            count: input.u32()?,
            codec: *input.take(1)?.first()?,
        };
        (header.payload_len <= BLOCK_BYTES_MAX && header.plain_len <= BLOCK_BYTES_MAX && header.count > 0).then_some(header)
    }

    /// Whether `block` (header and payload) is what was written.
    pub(super) fn verify(&self, block: &[u8]) -> bool {
        block.len() == BLOCK_HEADER_BYTES + self.payload_len && block.get(8..).map(crc32c::crc32c) == Some(self.crc)
    }

    /// The last sequence in the block.
    pub(super) fn last(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count)) - 1
    }

    /// The frames of a verified block; `None` where the content contradicts the header (a bug or an attack, since the checksum fits).
    pub(super) fn frames(&self, block: &[u8]) -> Option<Vec<Frame>> {
        let payload = block.get(BLOCK_HEADER_BYTES..)?;
        let unpacked;
        let plain = match self.codec {
            0 => payload,
            1 => {
                unpacked = zstd::bulk::decompress(payload, self.plain_len).ok()?;
                &unpacked
            }
            _ => return None,
        };
        let mut input = Input(plain);
        let mut frames = Vec::with_capacity(self.count.min(100_000) as usize);
        for seq in self.first..=self.last() {
            let (kind, marks) = FrameKind::from_byte(*input.take(1)?.first()?)?;
            let transport = Transport::from_u8(*input.take(1)?.first()?)?;
            let site = SiteId(Ulid(u128::from_le_bytes(input.take(16)?.try_into().ok()?)));
            let peer = Ipv6Addr::from(<[u8; 16]>::try_from(input.take(16)?).ok()?);
            let received_at = Timestamp(i64::from_le_bytes(input.take(8)?.try_into().ok()?));
            let len = input.u32()? as usize;
            let payload = Box::from(input.take(len)?);
            let peer = IpAddr::V6(peer).to_canonical();
            frames.push(Frame { seq: Seq(seq), frame: NewFrame { received_at, site, peer, transport, kind, marks, payload } });
        }
        input.0.is_empty().then_some(frames)
    }
}

/// The offset of the first valid block in `bytes` at or behind `from`.
pub(super) fn next_valid_block(bytes: &[u8], from: usize) -> Option<usize> {
    let tail = bytes.get(from..)?;
    memchr::memmem::find_iter(tail, &BLOCK_MAGIC).map(|at| from + at).find(|at| {
        let block = bytes.get(*at..).unwrap_or_default();
        BlockHeader::read(block).is_some_and(|header| {
            let whole = block.get(..BLOCK_HEADER_BYTES + header.payload_len);
            whole.is_some_and(|whole| header.verify(whole))
        })
    })
}

/// What a segment's bytes hold.
#[derive(Debug)]
pub(super) struct Walk {
    /// Offset behind the last valid block.
    pub(super) end: usize,
    /// The sequence behind the last one in it.
    pub(super) next: u64,
    /// Valid blocks: offset and header.
    pub(super) first_block: Option<(usize, BlockHeader)>,
    pub(super) last_block: Option<(usize, BlockHeader)>,
    /// Stretches that are no block but have one behind them: from, to.
    pub(super) damaged: Vec<(usize, usize)>,
    /// Where a block does not begin with the sequence that the one before it ended with: offset, expected, found.
    /// Not behind a damaged stretch.
    pub(super) jumps: Vec<(usize, u64, u64)>,
}

/// Walks a segment's blocks. Bytes that are no block are damage where a valid block follows, and a torn tail where none does.
pub(super) fn walk(bytes: &[u8], first: u64) -> Walk {
    let mut walk = Walk { end: HEADER_BYTES, next: first, first_block: None, last_block: None, damaged: Vec::new(), jumps: Vec::new() };
    let mut after_damage = false;
    loop {
        let rest = bytes.get(walk.end..).unwrap_or_default();
        let valid = BlockHeader::read(rest)
            .filter(|header| rest.get(..BLOCK_HEADER_BYTES + header.payload_len).is_some_and(|block| header.verify(block)));
        match valid {
            Some(header) => {
                if header.first != walk.next && !after_damage {
                    walk.jumps.push((walk.end, walk.next, header.first));
                }
                after_damage = false;
                walk.first_block.get_or_insert((walk.end, header));
                walk.last_block = Some((walk.end, header));
                walk.end += BLOCK_HEADER_BYTES + header.payload_len;
                walk.next = header.last() + 1;
            }
            None => match next_valid_block(bytes, walk.end) {
                Some(offset) => {
                    after_damage = true;
                    walk.damaged.push((walk.end, offset));
                    walk.end = offset;
                }
                None => return walk,
            },
        }
    }
}

impl Walk {
    /// When the first and the last frame were received.
    pub(super) fn span(&self, bytes: &[u8]) -> Option<(Timestamp, Timestamp)> {
        let frames =
            |(offset, header): (usize, BlockHeader)| header.frames(bytes.get(offset..offset + BLOCK_HEADER_BYTES + header.payload_len)?);
        let first = frames(self.first_block?)?.first()?.frame.received_at;
        let last = frames(self.last_block?)?.last()?.frame.received_at;
        Some((first, last))
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// Lengths here are bounded far below 4 GiB by `BLOCK_BYTES_MAX`.
fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }
    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }
}

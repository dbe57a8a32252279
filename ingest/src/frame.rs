//! What is received, before anything is parsed: the bytes, when they came, from whom, and by which way.
//! This is the journal's unit; its binary form is the journal's (`journal::segment`).

use std::net::IpAddr;

use crate::body::SiteId;
use crate::time::Timestamp;

/// A frame's place in the journal: 1 for the first, without gaps. Order is this, not a device's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What a frame's payload is. The numbers are the journal's format and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// One log line, with or without a syslog header.
    Line = 1,
    /// One JSON object.
    Json = 2,
    /// One NetFlow datagram.
    Flow = 3,
    /// How far the import of a file has come (`ImportMark` as JSON); written together with the lines it speaks of.
    ImportMark = 4,
}

impl FrameKind {
    /// What a line of text is by its look: a JSON object from brace to brace, else a log line. Whether the JSON is
    /// sound is the decoder's to say.
    pub fn of_line(line: &[u8]) -> Self {
        let text = line.trim_ascii();
        if text.first() == Some(&b'{') && text.last() == Some(&b'}') { Self::Json } else { Self::Line }
    }

    pub fn from_u8(number: u8) -> Option<Self> {
        [Self::Line, Self::Json, Self::Flow, Self::ImportMark].into_iter().find(|kind| *kind as u8 == number)
    }
}

/// What the receiver noticed while it framed a message; the decoder names it as a defect. The bits are the journal's
/// format (the upper half of the kind's byte) and never change their meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u8);

impl Marks {
    /// The message was longer than a frame: it goes on in the sender's next frame.
    pub const CUT: Self = Self(0x10);
    /// The rest of a message that was cut.
    pub const REST: Self = Self(0x20);
    /// An octet count did not fit its message.
    pub const COUNT: Self = Self(0x40);
    /// The connection ended within the message.
    pub const TORN: Self = Self(0x80);

    const ALL: u8 = 0xF0;

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn has(self, mark: Self) -> bool {
        self.0 & mark.0 == mark.0
    }
}

impl FrameKind {
    /// The journal's byte for a kind with its marks.
    pub(crate) fn to_byte(self, marks: Marks) -> u8 {
        self as u8 | marks.0
    }

    pub(crate) fn from_byte(byte: u8) -> Option<(Self, Marks)> {
        Some((Self::from_u8(byte & !Marks::ALL)?, Marks(byte & Marks::ALL)))
    }
}

/// Which way a frame came. The numbers are the journal's format and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Transport {
    Udp = 1,
    Tcp = 2,
    Http = 3,
    Import = 4,
    /// Syslog over TLS (RFC 5425).
    Tls = 5,
    /// RELP, with or without TLS.
    Relp = 6,
    /// GELF, over UDP or TCP.
    Gelf = 7,
}

impl Transport {
    const ALL: [Self; 7] = [Self::Udp, Self::Tcp, Self::Http, Self::Import, Self::Tls, Self::Relp, Self::Gelf];

    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| *transport as u8 == number)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Import => "import",
            Self::Tls => "tls",
            Self::Relp => "relp",
            Self::Gelf => "gelf",
        }
    }
}

/// A received frame that waits for its place in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFrame {
    pub received_at: Timestamp,
    pub site: SiteId,
    /// Who sent it: the network's word, not the line's.
    pub peer: IpAddr,
    pub transport: Transport,
    pub kind: FrameKind,
    pub marks: Marks,
    pub payload: Box<[u8]>,
}

/// A frame as the journal gives it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub seq: Seq,
    pub frame: NewFrame,
}

/// The longest payload a frame may have. A UDP datagram cannot be longer; TCP lines are cut here.
pub const PAYLOAD_BYTES_MAX: usize = 65_535;

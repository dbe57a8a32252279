//! Lines as devices send them, turned into events by the decoders: how evidence proves the whole way from a line to an
//! alert. Nothing is stored, and no clock is read.

use ingest::body::SITE_UNKNOWN;
use ingest::decode::{Options, decode};
use ingest::event::Event;
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use ingest::time::Timestamp;

/// When evidence came in: a stamp without a year is of 2026, as most of the pack's evidence is.
const RECEIVED_AT: &str = "2026-12-31T00:00:00Z";

/// A sender of lines. What a line declares for later ones (the columns of a W3C log) holds within one of these.
#[derive(Debug)]
pub(super) struct Lines {
    options: Options,
    received_at: Timestamp,
}

impl Default for Lines {
    fn default() -> Self {
        Self { options: Options::default(), received_at: Timestamp::parse_rfc3339(RECEIVED_AT).unwrap_or_default() }
    }
}

impl Lines {
    /// The event of a line; there is one whatever the line says.
    pub(super) fn event(&self, number: u64, line: &str) -> Option<Event> {
        let frame = NewFrame {
            received_at: self.received_at,
            site: SITE_UNKNOWN,
            peer: std::net::Ipv4Addr::LOCALHOST.into(),
            transport: Transport::Import,
            kind: FrameKind::Line,
            marks: Marks::default(),
            payload: line.as_bytes().into(),
        };
        decode(&Frame { seq: Seq(number), frame }, &self.options)
    }
}

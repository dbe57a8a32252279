//! Doors for the fuzz targets (`fuzz/`) into parsers that nobody else may use. Each takes bytes and how to split them, and
//! returns what came out, for the target to hold against other splits.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::gelf::{self, Assembly};
use super::relp_frame::Parser;
use super::{Stamp, http};
use crate::body::SITE_UNKNOWN;
use crate::frame::{NewFrame, Transport};
use crate::time::Timestamp;

/// The parts that a RELP stream, pushed in pieces of at most `piece` bytes, is taken apart into, and the error that ended it.
pub fn relp(stream: &[u8], piece: usize) -> (Vec<String>, Option<String>) {
    let (mut parser, mut parts) = (Parser::default(), Vec::new());
    for bytes in stream.chunks(piece.max(1)) {
        parser.push(bytes);
        loop {
            match parser.next() {
                Ok(Some(part)) => parts.push(format!("{part:?}")),
                Ok(None) => break,
                Err(error) => return (parts, Some(error.to_string())),
            }
        }
    }
    (parts, None)
}

/// The frames that come of an HTTP body, `None` where it is refused. The lower two bits of `kind` say what it is (NDJSON,
/// Elastic's bulk, OTLP in protobuf, OTLP in JSON), the next two how it is packed (not, gzip, deflate, zstd).
pub fn http(kind: u8, body: &[u8]) -> Option<Vec<NewFrame>> {
    let peer = Ipv4Addr::LOCALHOST.into();
    http::fuzzing::frames(kind, body, Stamp { received_at: Timestamp(1), site: SITE_UNKNOWN, peer, transport: Transport::Http })
}

/// The payloads of the frames that come of GELF datagrams of one sender, a tenth of a second apart.
pub fn gelf<'d>(datagrams: impl IntoIterator<Item = &'d [u8]>) -> Vec<Vec<u8>> {
    let (mut assembly, mut payloads) = (Assembly::default(), Vec::new());
    for (number, datagram) in (0u32..).zip(datagrams) {
        if let Ok(Some(message)) = assembly.put(Ipv4Addr::LOCALHOST.into(), datagram, Duration::from_millis(100) * number) {
            payloads.extend(gelf::parts(&message).map(|(_, _, part)| part.to_vec()));
        }
    }
    assembly.end();
    payloads
}

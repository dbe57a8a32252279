//! A door for the fuzz targets: what the handlers make of a body, without a socket.

use super::batch::Batch;
use super::otlp::Encoding;
use super::unpack::Packing;
use super::{bulk, ndjson, otlp};
use crate::frame::NewFrame;
use crate::listen::Stamp;

/// The frames of a body, `None` where it is refused. The lower two bits of `kind` say what it is (NDJSON, bulk, OTLP in
/// protobuf, OTLP in JSON), the next two how it is packed.
pub(in crate::listen) fn frames(kind: u8, body: &[u8], stamp: Stamp) -> Option<Vec<NewFrame>> {
    let packing = match kind >> 2 & 3 {
        0 => Packing::Plain,
        1 => Packing::Gzip,
        2 => Packing::Deflate,
        _ => Packing::Zstd,
    };
    let read: Result<Batch, _> = match kind & 3 {
        0 => ndjson::batch_of(packing, body, stamp),
        1 => bulk::read(packing, body, stamp, None).map(|bulk| bulk.batch),
        2 => otlp::read(Encoding::Protobuf, packing, body, stamp).map(|logs| logs.batch),
        _ => otlp::read(Encoding::Json, packing, body, stamp).map(|logs| logs.batch),
    };
    read.ok().map(Batch::into_frames)
}

//! What a request becomes: frames within a bound. A line or document that is too long for one frame is kept in parts.

use super::problem::{Refusal, too_large};
use super::unpack::UNPACKED_BYTES_MAX;
use crate::frame::{FrameKind, Marks, NewFrame, PAYLOAD_BYTES_MAX};
use crate::listen::Stamp;
use crate::listen::framing::Framer;

/// A frame costs a hundred bytes besides its own; this bounds them at 20 MiB a request.
pub(super) const FRAMES_MAX: usize = 200_000;

/// The frames of one request.
pub(super) struct Batch {
    stamp: Stamp,
    frames: Vec<NewFrame>,
    bytes: usize,
    cut: usize,
}

impl Batch {
    pub(super) fn new(stamp: Stamp) -> Self {
        Self { stamp, frames: Vec::new(), bytes: 0, cut: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Lines that were too long for one frame.
    pub(super) fn cut(&self) -> usize {
        self.cut
    }

    pub(super) fn into_frames(self) -> Vec<NewFrame> {
        self.frames
    }

    /// Puts one line or document, which has no newline.
    pub(super) fn put(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if line.len() <= PAYLOAD_BYTES_MAX {
            return self.push(FrameKind::of_line(line), Marks::default(), line.into());
        }
        let mut framer = Framer::lines();
        framer.push(line);
        framer.close();
        self.take(&mut framer)
    }

    /// Takes what a framer has ready. Blank lines are nothing.
    pub(super) fn take(&mut self, framer: &mut Framer) -> Result<(), Refusal> {
        while let Some(frame) = framer.next() {
            let (is_rest, is_cut) = (frame.marks.has(Marks::REST), frame.marks.has(Marks::CUT));
            if !is_rest && !is_cut && frame.bytes.trim_ascii().is_empty() {
                continue;
            }
            self.cut += usize::from(is_cut && !is_rest);
            let kind = if is_rest || is_cut { FrameKind::Line } else { FrameKind::of_line(&frame.bytes) };
            self.push(kind, frame.marks, frame.bytes)?;
        }
        Ok(())
    }

    fn push(&mut self, kind: FrameKind, marks: Marks, payload: Box<[u8]>) -> Result<(), Refusal> {
        self.bytes += payload.len();
        if self.frames.len() == FRAMES_MAX {
            return Err(too_large(format!("a body may have {FRAMES_MAX} lines: send smaller batches")));
        }
        // OTLP repeats what all records of a resource have in common; other bodies stay below their own bound.
        if self.bytes > UNPACKED_BYTES_MAX {
            return Err(too_large(format!("a body may become {UNPACKED_BYTES_MAX} bytes of events: send smaller batches")));
        }
        self.frames.push(self.stamp.frame(kind, marks, payload));
        Ok(())
    }
}

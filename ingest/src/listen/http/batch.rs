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
    /// The next frame goes on with a line that was cut.
    in_long: bool,
}

impl Batch {
    pub(super) fn new(stamp: Stamp) -> Self {
        Self { stamp, frames: Vec::new(), bytes: 0, cut: 0, in_long: false }
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
            let is_rest = std::mem::replace(&mut self.in_long, frame.cut);
            if !is_rest && !frame.cut && frame.bytes.trim_ascii().is_empty() {
                continue;
            }
            self.cut += usize::from(frame.cut && !is_rest);
            let (kind, marks) = match (is_rest, frame.cut) {
                (false, false) => (FrameKind::of_line(&frame.bytes), Marks::default()),
                (false, true) => (FrameKind::Line, Marks::CUT),
                (true, false) => (FrameKind::Line, Marks::REST),
                (true, true) => (FrameKind::Line, Marks::CUT.and(Marks::REST)),
            };
            self.push(kind, marks, frame.bytes)?;
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

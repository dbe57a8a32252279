//! The journal's flows once more, for a rebuild: decoded as they were the first time, as far as that can be known.
//!
//! What it cannot know are the templates from before it begins. So it begins long enough before the gap that exporters have
//! repeated theirs, and says of data that waited which datagram it came in: `rebuild` finds out from the store whether that
//! was decoded at once the first time.

use std::path::Path;
use std::time::Duration;

use crate::flow::{FlowDecoder, FlowRecord, SamplingTable};
use crate::frame::{FrameKind, Seq};
use crate::journal::{SegmentInfo, peek, segments};
use crate::time::Timestamp;

type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Gives the journal again, from before a gap on.
pub type FlowsAgain<'a> = dyn FnMut() -> Result<Option<Replayed>, Failure> + 'a;

/// Exporters repeat their templates after half an hour at the latest, as they come out of the box.
pub(super) const TEMPLATE_MILLIS: i64 = Timestamp::HOUR;

/// A stretch of the journal, decoded again.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    pub first: Seq,
    pub last: Seq,
    /// Receipt of the last frame.
    pub at: Timestamp,
    /// What was decoded at once, in the order of the journal.
    pub flows: Vec<FlowRecord>,
    /// What had waited, with its own sequence, behind that of the datagram that brought its template.
    pub late: Vec<(Seq, FlowRecord)>,
    /// The datagrams of which something waits still.
    pub waiting: Vec<Seq>,
}

/// Opens the journal in `dir` before a gap that begins with `gap`. The operator's table of sampling is the one of today.
///
/// # Errors
/// Where the journal cannot be read.
pub fn replay(dir: &Path, gap: Seq, sampling: SamplingTable) -> Result<Box<FlowsAgain<'static>>, Failure> {
    let first = begin(&segments(dir)?, gap);
    let mut reader = peek(dir, Seq(first.0.saturating_sub(1)))?;
    let mut decoder = FlowDecoder::again(sampling);
    Ok(Box::new(move || {
        let Some(frames) = reader.next(Duration::ZERO)? else { return Ok(None) };
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(None) };
        let mut replayed = Replayed { first: first.seq, last: last.seq, at: last.frame.received_at, ..Replayed::default() };
        let mut decoded = Vec::new();
        for frame in frames.iter().filter(|frame| frame.frame.kind == FrameKind::Flow) {
            decoder.decode(frame, &mut decoded);
            for flow in decoded.drain(..) {
                match flow.seq == frame.seq {
                    true => replayed.flows.push(flow),
                    false => replayed.late.push((frame.seq, flow)),
                }
            }
        }
        replayed.waiting = decoder.waiting().collect();
        Ok(Some(replayed))
    }))
}

/// The first sequence to read: an hour before the gap, or where the journal begins.
fn begin(segments: &[SegmentInfo], gap: Seq) -> Seq {
    let Some(oldest) = segments.first() else { return gap };
    let before = segments.iter().rev().filter(|segment| segment.first <= gap).find_map(|segment| segment.span);
    let Some((from, _)) = before else { return oldest.first };
    let from = from.plus(-TEMPLATE_MILLIS);
    let reaches = segments.iter().find(|segment| segment.span.is_some_and(|(_, to)| to >= from));
    reaches.map_or(oldest.first, |segment| segment.first.min(gap))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn reading_begins_an_hour_before_the_gap() {
        let segment = |first: u64, from: i64, to: i64| SegmentInfo {
            path: PathBuf::new(),
            first: Seq(first),
            last: Seq(first + 99),
            span: Some((Timestamp(from * Timestamp::MINUTE), Timestamp(to * Timestamp::MINUTE))),
            bytes: 0,
            seal: None,
        };
        let segments = [segment(1, 0, 30), segment(101, 30, 50), segment(201, 50, 100), segment(301, 100, 130)];
        let begun = |gap| begin(&segments, Seq(gap)).0;
        assert_eq!([begun(1), begun(150), begun(250), begun(350)], [1, 1, 1, 101]);
        let kept = segments.get(2..).unwrap();
        assert_eq!((begin(kept, Seq(7)), begin(&[], Seq(7))), (Seq(201), Seq(7)), "what was before has been freed");
    }
}

//! Long connections in pieces: an exporter reports a connection that lasts every few minutes (its active time-out), and
//! counted by records a film or a remote desktop would be the most regular beacon of all. Pieces of one 5-tuple are put
//! together here, so that one connection is one contact.

use ingest::flow::FlowRecord;

use super::super::RestoreError;
use super::super::book::keep_fields;
use super::super::wire::{Reader, Writer};
use super::moment;

/// Connections that are open at once and end with the active time-out; one that is pushed out counts as a new contact with
/// its next piece.
const OPEN_MAX: usize = 1 << 15;
/// IANA flowEndReason.
const ACTIVE_TIMEOUT: u8 = 2;
const REASON_UNKNOWN: u8 = 0;
/// Of exporters that do not say why: the shortest active time-out in use is a minute, and shorter records were ended by
/// something else.
const PIECE_SECONDS_MIN: u32 = 55;
/// Records that begin so near to each other are the same piece, seen by two exporters.
const SAME_PIECE_SECONDS: u32 = 2;

/// An open connection. All zero: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Open {
    /// Hash of the 5-tuple and the site.
    pub(super) tuple: u64,
    /// When the connection began: the contact it counts for.
    pub(super) began: u32,
    /// Beginning and end of its latest piece.
    pub(super) piece: u32,
    pub(super) end: u32,
}

/// What a record is to the connections that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The beginning of a conversation.
    New,
    /// Goes on with the conversation that began then.
    Continues { began: u32 },
    /// What another exporter has told already.
    Again,
}

#[derive(Clone, Debug)]
pub(super) struct Stitcher {
    open: Vec<Open>,
    gap_seconds_max: u32,
}

impl Stitcher {
    /// Pieces of one connection lie at most so far apart: the active time-out.
    pub(super) fn new(gap_seconds_max: u32) -> Self {
        Self { open: vec![Open::default(); OPEN_MAX], gap_seconds_max }
    }

    pub(super) fn piece(&mut self, tuple: u64, flow: &FlowRecord) -> Piece {
        let at = moment(flow);
        let lasted = u32::try_from(flow.end.since(flow.start).max(0) / 1_000).unwrap_or(u32::MAX);
        let goes_on = flow.end_reason == ACTIVE_TIMEOUT || (flow.end_reason == REASON_UNKNOWN && lasted >= PIECE_SECONDS_MIN);
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is small")]
        let place = (tuple % OPEN_MAX as u64) as usize;
        let Some(slot) = self.open.get_mut(place) else { return Piece::New };
        let known = slot.tuple == tuple;
        if known && at.abs_diff(slot.piece) <= SAME_PIECE_SECONDS {
            return Piece::Again;
        }
        let continues = known && at > slot.piece && at.saturating_sub(slot.end) <= self.gap_seconds_max;
        let began = if continues { slot.began } else { at };
        if goes_on {
            *slot = Open { tuple, began, piece: at, end: at.saturating_add(lasted) };
        } else if known {
            *slot = Open::default();
        }
        if continues { Piece::Continues { began } } else { Piece::New }
    }

    pub(super) fn bytes() -> usize {
        OPEN_MAX * std::mem::size_of::<Open>()
    }

    /// Writes the connections that are open, with their places.
    pub(super) fn save(&self, out: &mut Writer) {
        let open = (0u32..).zip(self.open.iter().copied()).filter(|(_, open)| open.tuple != 0);
        out.put(&Vec::from_iter(open));
    }

    pub(super) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), RestoreError> {
        self.open.fill(Open::default());
        for _ in 0..from.count()? {
            let (place, open) = from.take::<(u32, Open)>()?;
            *self.open.get_mut(place as usize).ok_or(RestoreError::Damaged("a place outside the open connections"))? = open;
        }
        Ok(())
    }
}

keep_fields!(Open { tuple, began, piece, end });

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use ingest::time::Timestamp;

    use super::*;

    /// Records of one 5-tuple (begin, end, reason) and what each is.
    fn check(records: &[(i64, i64, u8)], expected: Expect) {
        let mut stitcher = Stitcher::new(1_800);
        let line = |(start, end, reason): &(i64, i64, u8)| {
            let (start, end) = (Timestamp(start * 1_000), Timestamp(end * 1_000));
            let flow = FlowRecord { start, end, received_at: end, end_reason: *reason, ..FlowRecord::NONE };
            format!("{:?}", stitcher.piece(77, &flow))
        };
        expected.assert_eq(&records.iter().map(line).collect::<Vec<_>>().join(" · "));
    }

    #[test]
    fn pieces_of_one_connection_are_one_contact() {
        // Active time-outs, then the end; then the same port again.
        check(
            &[(1_000, 1_060, 2), (1_060, 1_120, 2), (1_121, 1_150, 3), (1_500, 1_510, 3)],
            expect!["New · Continues { began: 1000 } · Continues { began: 1000 } · New"],
        );
        // Ended by idleness each time: a beacon with a fixed port.
        check(&[(1_000, 1_001, 1), (1_060, 1_061, 1), (1_120, 1_121, 1)], expect!["New · New · New"]);
        // NetFlow v5 does not say why: what lasted a time-out goes on, what was short does not.
        check(
            &[(1_000, 1_060, 0), (1_061, 1_121, 0), (1_121, 1_130, 0), (1_190, 1_195, 0)],
            expect!["New · Continues { began: 1000 } · Continues { began: 1000 } · New"],
        );
        // Two exporters tell the same piece; silence longer than a time-out ends a connection.
        check(&[(1_000, 1_060, 2), (1_001, 1_061, 2), (5_000, 5_060, 2)], expect!["New · Again · New"]);
    }
}

//! What the sequence numbers of a stream say: what is missing, what came late, twice or from elsewhere. Whoever knows an
//! exporter's address can forge its numbers, so a number far from what was due is set aside at first: it is believed when the
//! next datagram goes on from it, and taken back when the exporter goes on where it had been. A gap as network and kernel
//! tear them is believed at once, and is filled again by what comes in it after all.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What lies behind by no more than this many units came twice; what lies further behind is from elsewhere.
const BEHIND_MAX: u32 = 100_000;
/// Gaps that still may be filled, for each stream: more than this are never open within a reordering's moment.
const GAPS_MAX: usize = 8;
/// What fills a gap later than this is from elsewhere. Exporters of small sites send a datagram a minute.
const LATE_MILLIS_MAX: i64 = 10 * Timestamp::MINUTE;
/// So long, and for so many datagrams, the exporter may take up again the numbers that others seemed to have replaced.
const RETURN_MILLIS_MAX: i64 = 10 * Timestamp::MINUTE;
const RETURN_DATAGRAMS_MAX: u32 = 64;
/// In a burst an exporter sends this many times what it sends on average; a larger gap is a new count.
const BURST: u128 = 16;
/// An uptime that goes back by more than a reordering's moment, or ahead by so much more than the time that passed, is another
/// one: of an exporter that started anew, or of somebody else. (It wraps after 49.7 days, which is no step at all.)
const UPTIME_BACK_MILLIS: u32 = 10_000;
const UPTIME_AHEAD_MILLIS: i64 = Timestamp::HOUR;

/// A datagram, or a sample, as its stream's sequence counts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered {
    pub(super) sequence: u32,
    /// In milliseconds, where the protocol says it.
    pub(super) uptime: Option<u32>,
    pub(super) received_at: Timestamp,
    /// By how much the sequence goes on with it.
    pub(super) units: u32,
    /// It held more than that, and nobody knows how much.
    pub(super) unsure: bool,
    /// A gap of so many units is believed at once.
    pub(super) sure: u32,
}

impl Numbered {
    fn after(&self) -> u32 {
        self.sequence.wrapping_add(self.units)
    }
}

/// What a datagram changes in the counts of its stream. What proves to be wrong is taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) lost: i64,
    pub(super) late: i64,
    pub(super) doubled: i64,
    pub(super) strays: i64,
    pub(super) restarts: i64,
    pub(super) unsure: i64,
}

impl Change {
    /// Whether the datagram belongs to what the exporter sends now.
    pub(super) fn is_of_the_line(&self) -> bool {
        self.doubled <= 0 && self.strays <= 0
    }
}

impl AddAssign for Change {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.late += other.late;
        self.doubled += other.doubled;
        self.strays += other.strays;
        self.restarts += other.restarts;
        self.unsure += other.unsure;
    }
}

/// Where a stream's numbers stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sequence {
    since: Timestamp,
    /// What is believed.
    line: Option<Line>,
    /// Missing on it, the oldest first, no more than `GAPS_MAX`.
    gaps: Vec<Gap>,
    /// One datagram with another number: the beginning of a line, if the next goes on from it.
    aside: Option<Line>,
    /// What was believed before, until it is clear that nobody goes on with it; and what was missing there.
    left: Option<Line>,
    left_gaps: Vec<Gap>,
    /// Units that came.
    units: u64,
}

/// Numbers that go on from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    first: u32,
    /// The number that comes next, if nothing is missing.
    next: u32,
    /// The next one may be a higher one, and nothing be missing.
    open: bool,
    uptime: Option<u32>,
    /// The last datagram's receipt.
    at: Timestamp,
    /// It began where numbers had been already.
    behind: bool,
    /// Since it is believed in the other's place, in case that it must be taken back: units, missing units, datagrams that
    /// are not counted as doubled or stray, and whether it counts as a restart.
    units: u64,
    lost: u64,
    datagrams: u32,
    restart: bool,
}

/// Units from a number on that never came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Gap {
    from: u32,
    len: u32,
    at: Timestamp,
}

impl Sequence {
    /// Units that came, without those that came twice or from elsewhere.
    pub(super) fn units(&self) -> u64 {
        self.units
    }

    /// What it takes beside itself, in bytes, at most.
    pub(super) const HEAP_BYTES_MAX: usize = 2 * GAPS_MAX * size_of::<Gap>();

    /// Takes note of a datagram.
    pub(super) fn step(&mut self, now: &Numbered) -> Change {
        let Some(line) = self.line else {
            (self.since, self.units) = (now.received_at, now.units.into());
            self.line = Some(Line::begun(now));
            return Change::default();
        };
        let ahead = now.sequence.wrapping_sub(line.next);
        if ahead == 0 {
            return self.go_on(now);
        }
        if let Some(left) = self.left.filter(|left| line.may_be_taken_back_for(left, now)) {
            return self.go_back(left, now);
        }
        if line.goes_on(now) {
            return self.go_on(now);
        }
        let rebooted = line.rebooted(now.uptime, now.received_at);
        let late = if rebooted { None } else { self.fill(now) };
        if let Some(change) = late {
            return change;
        }
        match self.aside.filter(|aside| aside.goes_on(now)) {
            Some(aside) => self.move_aside(line, aside, now),
            None => self.set_aside(&line, rebooted, now),
        }
    }

    /// The next on the line, perhaps behind a gap.
    fn go_on(&mut self, now: &Numbered) -> Change {
        let Some(line) = &mut self.line else { return Change::default() };
        let mut change = Change::default();
        let missing = now.sequence.wrapping_sub(line.next);
        if missing > 0 && line.open {
            change.unsure = 1;
        } else if missing > 0 {
            change.lost = missing.into();
            line.lost += u64::from(missing);
            gap_add(&mut self.gaps, Gap { from: line.next, len: missing, at: now.received_at });
        }
        (line.next, line.open) = (now.after(), now.unsure);
        (line.uptime, line.at) = (now.uptime, now.received_at);
        line.units += u64::from(now.units);
        line.datagrams = line.datagrams.saturating_add(1);
        self.units += u64::from(now.units);
        self.aside = None;
        // Numbers that had been already, up to where the line was left: all of it came twice.
        let line = *line;
        let met = |left: &Line| {
            let same = line.behind && left.next == line.next && line.is_young(left, now);
            same && !left.rebooted(now.uptime, now.received_at)
        };
        if let Some(left) = self.left.filter(met) {
            change += self.take_back(Line { uptime: line.uptime, at: line.at, ..left });
        }
        change
    }

    /// The exporter goes on with the line that was left: what seemed to replace it was none of its.
    fn go_back(&mut self, left: Line, now: &Numbered) -> Change {
        let mut change = self.take_back(left);
        change += self.go_on(now);
        change
    }

    fn take_back(&mut self, left: Line) -> Change {
        let mut change = Change::default();
        if let Some(line) = self.line.replace(left) {
            self.units = self.units.saturating_sub(line.units);
            let lost = i64::try_from(line.lost).unwrap_or(i64::MAX);
            // By the numbers they were missing, and it turned out that they are not.
            (change.lost, change.late) = (-lost, lost);
            change.restarts = -i64::from(line.restart);
            *(if line.behind { &mut change.doubled } else { &mut change.strays }) = line.datagrams.into();
        }
        (self.left, self.gaps) = (None, std::mem::take(&mut self.left_gaps));
        change
    }

    /// What comes late: it lies where something was missing, wholly or with its beginning.
    fn fill(&mut self, now: &Numbered) -> Option<Change> {
        let within = |gap: &Gap| now.sequence.wrapping_sub(gap.from) < gap.len && now.received_at.since(gap.at) <= LATE_MILLIS_MAX;
        let found = self.gaps.iter().position(within)?;
        if now.units == 0 || now.unsure {
            return Some(Change { unsure: now.unsure.into(), ..Change::default() });
        }
        let gap = self.gaps.remove(found);
        let before = now.sequence.wrapping_sub(gap.from);
        let filled = now.units.min(gap.len - before);
        for part in [Gap { len: before, ..gap }, Gap { from: now.sequence.wrapping_add(filled), len: gap.len - before - filled, ..gap }] {
            if part.len > 0 {
                gap_add(&mut self.gaps, part);
            }
        }
        self.units += u64::from(now.units);
        if let Some(line) = &mut self.line {
            line.lost = line.lost.saturating_sub(filled.into());
            // Beyond the gap it lies over what had torn it, and the line goes on behind it.
            let beyond = now.after().wrapping_sub(line.next);
            if filled < now.units && beyond <= now.sure {
                line.next = now.after();
            }
        }
        Some(Change { lost: -i64::from(filled), late: filled.into(), ..Change::default() })
    }

    /// A second datagram goes on from the one that was set aside: the exporter sends there now. What lies between was lost, if
    /// it can have sent that much in the meantime; otherwise it counts anew.
    fn move_aside(&mut self, line: Line, aside: Line, now: &Numbered) -> Change {
        let mut change = Change { strays: -i64::from(!aside.behind), ..Change::default() };
        let (mut from, mut between) = (line, self.is_loss(&line, &aside, now));
        if let Some(left) = self.left.filter(|left| !between && line.is_young(left, now)) {
            // Two jumps from which nothing leads to the other: where it was before them it may go on still.
            change += self.take_back(left);
            (from, between) = (left, self.is_loss(&left, &aside, now));
        }
        self.left_gaps = std::mem::take(&mut self.gaps);
        let mut moved = Line { datagrams: u32::from(!aside.behind), ..aside };
        let missing = aside.first.wrapping_sub(from.next);
        if between && from.open {
            change.unsure += 1;
        } else if between {
            change.lost += i64::from(missing);
            moved.lost = missing.into();
            gap_add(&mut self.gaps, Gap { from: from.next, len: missing, at: aside.at });
        } else {
            change.restarts += 1;
            moved.restart = true;
        }
        self.units += moved.units;
        (self.left, self.line) = (Some(from), Some(moved));
        change += self.go_on(now);
        change
    }

    /// Whether what lies between the lines can have been sent, and is lost.
    fn is_loss(&self, line: &Line, aside: &Line, now: &Numbered) -> bool {
        let missing = aside.first.wrapping_sub(line.next);
        !line.rebooted(aside.uptime, aside.at) && u128::from(missing) <= self.sendable(line, aside.at, now.sure)
    }

    /// What the exporter can have sent since the line's last datagram, by what it sent until then.
    fn sendable(&self, line: &Line, until: Timestamp, sure: u32) -> u128 {
        let millis = |from: Timestamp, to: Timestamp| u128::try_from(to.since(from)).unwrap_or_default();
        let sent = u128::from(self.units).saturating_mul(millis(line.at, until)).saturating_mul(BURST);
        sent.checked_div(millis(self.since, line.at)).unwrap_or_default().saturating_add(sure.into())
    }

    fn set_aside(&mut self, line: &Line, rebooted: bool, now: &Numbered) -> Change {
        let behind = !rebooted && line.next.wrapping_sub(now.sequence) <= BEHIND_MAX;
        // Templates alone take no number: whether they came late or twice does not matter.
        if behind && now.units == 0 && !now.unsure {
            return Change::default();
        }
        self.aside = Some(Line { behind, ..Line::begun(now) });
        Change { doubled: behind.into(), strays: (!behind).into(), ..Change::default() }
    }
}

impl Line {
    fn begun(now: &Numbered) -> Self {
        Self {
            first: now.sequence,
            next: now.after(),
            open: now.unsure,
            uptime: now.uptime,
            at: now.received_at,
            behind: false,
            units: now.units.into(),
            lost: 0,
            datagrams: 0,
            restart: false,
        }
    }

    /// Whether the datagram is the next, or the next behind a gap that is believed at once.
    fn goes_on(&self, now: &Numbered) -> bool {
        now.sequence.wrapping_sub(self.next) <= now.sure && !self.rebooted(now.uptime, now.received_at)
    }

    /// Whether the uptime says that the exporter started anew since.
    fn rebooted(&self, uptime: Option<u32>, at: Timestamp) -> bool {
        let (Some(before), Some(uptime)) = (self.uptime, uptime) else { return false };
        let passed = at.since(self.at).max(0);
        let ahead = i64::from(uptime.wrapping_sub(before)) > passed.saturating_add(UPTIME_AHEAD_MILLIS);
        ahead && before.wrapping_sub(uptime) > UPTIME_BACK_MILLIS
    }

    /// Whether it only just took the other's place.
    fn is_young(&self, left: &Self, now: &Numbered) -> bool {
        self.datagrams <= RETURN_DATAGRAMS_MAX && now.received_at.since(left.at) <= RETURN_MILLIS_MAX
    }

    /// Whether the datagram goes on with the line that was left rather than with this one.
    fn may_be_taken_back_for(&self, left: &Self, now: &Numbered) -> bool {
        let nearer = now.sequence.wrapping_sub(left.next) < now.sequence.wrapping_sub(self.next);
        nearer && self.is_young(left, now) && left.goes_on(now)
    }
}

/// The oldest goes where there is no room.
fn gap_add(gaps: &mut Vec<Gap>, gap: Gap) {
    if gaps.len() >= GAPS_MAX {
        gaps.remove(0);
    }
    gaps.push(gap);
}

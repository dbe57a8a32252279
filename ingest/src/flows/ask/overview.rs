//! What a page shows of a stretch of time: its sums beside those of the stretch before, who has the most, how that went
//! over time, and the ways from client over service to server.
//!
//! Two walks: the first finds who has the most, the second reckons the sums and curves of just those, so that of each of the
//! others one number is held.

use std::ops::ControlFlow;
use std::time::Duration;

use super::keys::{Keys, Packed};
use super::rank::{Contest, Found, Measured, Place, RANK_BYTES_MAX, Ranked, SUM_COLUMNS, rank};
use super::walk::Walk;
use super::{Amount, FlowQuestion, Sums};
use crate::events::Value;
use crate::fields::{self, FieldId};
use crate::flows::chunk::Chunk;
use crate::flows::column::Column;
use crate::flows::scan::SCAN_THREADS;
use crate::flows::{FlowStore, FlowStoreError};
use crate::time::Timestamp;

/// Ways that are given: a drawing shows the greatest, its table as many.
const PATHS_GIVEN: usize = 200;
/// Rows that are given.
const ROWS_MAX: usize = 1_000;

/// What to show.
#[derive(Clone)]
pub struct OverviewRequest<'a> {
    pub question: FlowQuestion<'a>,
    /// One field, or two and three for pairs and ways.
    pub by: &'a [FieldId],
    pub amount: Amount,
    /// Rows of the ranking.
    pub rows: usize,
    /// Of these, so many have a curve of their own; the rest is one.
    pub series: usize,
    /// Equal stretches of time.
    pub bars: usize,
    /// Whether client, service and server are asked for.
    pub paths: bool,
}

/// One row of the ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct OverviewRow {
    /// As many as `by` has.
    pub values: Vec<Value>,
    pub sums: Sums,
    /// In the stretch of time before, which is as long.
    pub before: Sums,
}

/// From a client over a service to a server, both ways added up.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// `client.ip`, `server.port`, `server.ip`
    pub values: [Value; 3],
    pub sums: Sums,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    pub total: Sums,
    pub before: Sums,
    pub rows: Vec<OverviewRow>,
    /// How many different values there are.
    pub groups: usize,
    /// There are more than could be counted: others may belong among the rows.
    pub incomplete: bool,
    /// Where each bar begins.
    pub bars: Vec<Timestamp>,
    /// For each bar the amounts of the first `series` rows, and behind them of everything else.
    pub curves: Vec<Vec<u64>>,
    /// The whole amount of each bar of the stretch before.
    pub curve_before: Vec<u64>,
    pub paths: Vec<Path>,
    pub records_read: u64,
    pub took: Duration,
    /// The time was over: sums and curves are of a part.
    pub ended_early: bool,
}

impl FlowStore {
    /// # Errors
    /// As `ask`.
    pub fn overview(&self, request: &OverviewRequest<'_>) -> Result<Overview, FlowStoreError> {
        let question = &request.question;
        let (from, to, sites) = (question.from, question.to, question.sites);
        let mut found = Overview::default();
        let Some(keys) = Keys::of(request.by, None, sites) else { return Ok(found) };
        let Some(ways) = Keys::of(&[fields::CLIENT_IP, fields::SERVER_PORT, fields::SERVER_IP], None, sites) else { return Ok(found) };
        let mut walk = Walk::new(self, question);
        let contest =
            |keys, rows, whole_only| Contest { keys, amount: request.amount, rows, amount_max: u64::MAX, least: false, whole_only };
        let mut contests = vec![contest(&keys, request.rows.clamp(1, ROWS_MAX), false)];
        contests.extend(request.paths.then(|| contest(&ways, PATHS_GIVEN, true)));
        let (total, mut ranked) = rank(&mut walk, (from, to), &contests, RANK_BYTES_MAX)?;
        let paths = if request.paths { ranked.pop().unwrap_or_default() } else { Ranked::default() };
        let ranked = ranked.pop().unwrap_or_default();
        (found.total, found.groups, found.incomplete) = (total, ranked.groups, ranked.incomplete || paths.incomplete);

        // The same again over twice the time, for curves, what was before, and all sums of what is shown.
        let span = to.since(from);
        let start = from.plus(-span);
        let look = Look {
            keys: &keys,
            rows: Found::new(&ranked.places),
            ways: request.paths.then(|| (&ways, Found::new(&paths.places))),
            bars: Bars::new(from, to, request.bars),
            series: request.series.min(ranked.places.len()),
            amount: request.amount,
            from,
            span,
        };
        let make = || Course {
            curves: vec![vec![0; look.series + 1]; look.bars.count],
            before: vec![0; look.bars.count],
            total_before: Sums::default(),
            rows: vec![(Sums::default(), Sums::default()); ranked.places.len()],
            paths: vec![Sums::default(); paths.places.len()],
            packed: Packed::default(),
        };
        let columns = keys.columns().and(SUM_COLUMNS).with(Column::ReceivedAt);
        let columns = if request.paths { columns.and(ways.columns()) } else { columns };
        let parts = walk.chunks((start, to), columns, SCAN_THREADS, make, |course, chunk| {
            course.chunk(chunk, &look);
            ControlFlow::Continue(())
        })?;
        let mut course = make();
        parts.into_iter().for_each(|part| course.merge(part));
        found.bars = look.bars.starts();
        (found.curves, found.curve_before, found.before) = (course.curves, course.before, course.total_before);
        let row = |(place, (sums, before)): (Place, (Sums, Sums))| OverviewRow { values: place.values, sums, before };
        found.rows = ranked.places.into_iter().zip(course.rows).map(row).collect();
        let path = |(place, sums): (Place, Sums)| Some(Path { values: place.values.try_into().ok()?, sums });
        found.paths = paths.places.into_iter().zip(course.paths).filter_map(path).collect();
        let done = walk.done();
        (found.records_read, found.took, found.ended_early) = (done.read, done.took, done.ended_early);
        Ok(found)
    }
}

/// What the second walk looks for.
struct Look<'a> {
    keys: &'a Keys<'a>,
    rows: Found,
    ways: Option<(&'a Keys<'a>, Found)>,
    bars: Bars,
    series: usize,
    amount: Amount,
    from: Timestamp,
    /// From the beginning of the stretch before to `from`, in milliseconds.
    span: i64,
}

/// How it went over time, and what was before.
struct Course {
    curves: Vec<Vec<u64>>,
    before: Vec<u64>,
    total_before: Sums,
    /// Of each row what is and what was before.
    rows: Vec<(Sums, Sums)>,
    paths: Vec<Sums>,
    packed: Packed,
}

impl Course {
    fn chunk(&mut self, chunk: &Chunk<'_>, look: &Look<'_>) {
        let (measured, received) = (Measured::of(chunk), chunk.longs(Column::ReceivedAt));
        look.keys.pack(chunk, &mut self.packed);
        for row in chunk.mask().rows() {
            let (sums, amount) = (measured.sums(row), measured.amount(row, look.amount));
            let at = Timestamp(received.get(row).copied().unwrap_or_default());
            let place = look.rows.place(look.keys, &self.packed, chunk, row);
            let of_row = place.and_then(|place| self.rows.get_mut(place));
            let cell = if at < look.from {
                self.total_before.merge(&sums);
                of_row.into_iter().for_each(|(_, before)| before.merge(&sums));
                self.before.get_mut(look.bars.place(at.plus(look.span)))
            } else {
                of_row.into_iter().for_each(|(now, _)| now.merge(&sums));
                let series = place.filter(|place| *place < look.series).unwrap_or(look.series);
                self.curves.get_mut(look.bars.place(at)).and_then(|bar| bar.get_mut(series))
            };
            if let Some(cell) = cell {
                *cell = cell.saturating_add(amount);
            }
        }
        let Some((ways, found)) = &look.ways else { return };
        ways.pack(chunk, &mut self.packed);
        for row in chunk.mask().rows() {
            let now = received.get(row).is_some_and(|at| *at >= look.from.0) && self.packed.is_whole(row);
            if now && let Some(sums) = found.place(ways, &self.packed, chunk, row).and_then(|place| self.paths.get_mut(place)) {
                sums.merge(&measured.sums(row));
            }
        }
    }

    fn merge(&mut self, other: Self) {
        let add = |mine: &mut u64, theirs: u64| *mine = mine.saturating_add(theirs);
        for (mine, theirs) in self.curves.iter_mut().zip(other.curves) {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| add(mine, theirs));
        }
        self.before.iter_mut().zip(other.before).for_each(|(mine, theirs)| add(mine, theirs));
        self.total_before.merge(&other.total_before);
        for ((now, before), (more, earlier)) in self.rows.iter_mut().zip(&other.rows) {
            now.merge(more);
            before.merge(earlier);
        }
        self.paths.iter_mut().zip(&other.paths).for_each(|(mine, theirs)| mine.merge(theirs));
    }
}

/// Equal stretches of time.
#[derive(Clone, Copy, Debug)]
struct Bars {
    from: Timestamp,
    width: i64,
    count: usize,
}

impl Bars {
    /// `count` at most; none where there is no time.
    fn new(from: Timestamp, to: Timestamp, count: usize) -> Self {
        let span = to.since(from);
        if span <= 0 || count == 0 {
            return Self { from, width: 1, count: 0 };
        }
        let wanted = i64::try_from(count).unwrap_or(1).min(span);
        let width = span / wanted + i64::from(span % wanted > 0);
        let count = span / width + i64::from(span % width > 0);
        Self { from, width, count: usize::try_from(count).unwrap_or(0) }
    }

    /// Which bar a moment lies in.
    fn place(&self, at: Timestamp) -> usize {
        usize::try_from(at.since(self.from) / self.width).unwrap_or(0).min(self.count.saturating_sub(1))
    }

    fn starts(&self) -> Vec<Timestamp> {
        (0..self.count).map(|n| self.from.plus(i64::try_from(n).unwrap_or(0).saturating_mul(self.width))).collect()
    }
}

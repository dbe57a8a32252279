//! What a page shows of a stretch of time: its sums beside those of the stretch before, who has the most, how that went
//! over time, and the ways from client over service to server.
//!
//! Two walks: the first finds who has the most, the second reckons the curves of just those, so that memory depends on what
//! is shown and not on how many there are.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::group::{Bars, Groups, Key, Keys};
use super::table::SUM_COLUMNS;
use super::walk::Walk;
use super::{Amount, FlowQuestion, Sums};
use crate::events::Value;
use crate::fields::{self, FieldId};
use crate::flows::{FlowStore, FlowStoreError};
use crate::time::Timestamp;

/// Groups that a thread holds at most, 60 MB.
const GROUPS_MAX: usize = 400_000;
/// Ways that a thread holds at most, 30 MB.
const PATHS_MAX: usize = 200_000;
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
    /// How many different values there are; where groups found no room, at least these.
    pub groups: usize,
    /// What belongs to groups that found no room.
    pub other: Sums,
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
        let Some(keys) = Keys::of(request.by) else { return Ok(found) };
        let Some(ways) = Keys::of(&[fields::CLIENT_IP, fields::SERVER_PORT, fields::SERVER_IP]) else { return Ok(found) };
        let mut walk = Walk::new(self, question);
        let columns = keys.columns().and(SUM_COLUMNS);
        let more = if request.paths { columns.and(ways.columns()) } else { columns };
        let make = || (Sums::default(), Groups::new(GROUPS_MAX), Groups::new(PATHS_MAX));
        let parts = walk.over((from, to), more, make, |(total, groups, paths), flow| {
            total.add(flow);
            groups.add(keys.key(flow, 0, sites), flow);
            if request.paths {
                let key = ways.key(flow, 0, sites);
                if Keys::is_whole(&key) {
                    paths.add(key, flow);
                }
            }
            ControlFlow::Continue(())
        })?;
        let (_, mut groups, mut paths) = make();
        for (total, more, ways) in parts {
            found.total.merge(&total);
            groups.merge(more);
            paths.merge(ways);
        }
        (found.groups, found.other) = (groups.len(), groups.other);
        let rank = |sums: &Sums| sums.of(request.amount);
        let ranked = groups.ranked(request.rows.clamp(1, ROWS_MAX), rank);
        let paths = paths.ranked(PATHS_GIVEN, rank);
        found.paths =
            paths.into_iter().filter_map(|(key, sums)| Some(Path { values: ways.values(&key, sites).try_into().ok()?, sums })).collect();
        let places: HashMap<Key, usize, RandomState> = ranked.iter().zip(0..).map(|((key, _), place)| (*key, place)).collect();
        found.rows = ranked
            .iter()
            .map(|(key, sums)| OverviewRow { values: keys.values(key, sites), sums: *sums, before: Sums::default() })
            .collect();

        // The same again over twice the time, for curves and what was before.
        let span = to.since(from);
        let bars = Bars::new(from, to, request.bars);
        let start = from.plus(-span);
        let series = request.series.min(found.rows.len());
        found.bars = bars.starts();
        let make = || Course {
            curves: vec![vec![0; series + 1]; bars.count],
            before: vec![0; bars.count],
            total_before: Sums::default(),
            rows_before: vec![Sums::default(); ranked.len()],
        };
        let parts = walk.over((start, to), columns, make, |course, flow| {
            let place = places.get(&keys.key(flow, 0, sites)).copied();
            let earlier = flow.received_at < from;
            let bar = bars.place(if earlier { flow.received_at.plus(span) } else { flow.received_at });
            let cell = if earlier {
                course.total_before.add(flow);
                if let Some(row) = place.and_then(|place| course.rows_before.get_mut(place)) {
                    row.add(flow);
                }
                course.before.get_mut(bar)
            } else {
                course.curves.get_mut(bar).and_then(|bar| bar.get_mut(place.filter(|place| *place < series).unwrap_or(series)))
            };
            if let Some(cell) = cell {
                *cell = cell.saturating_add(request.amount.of_flow(flow));
            }
            ControlFlow::Continue(())
        })?;
        let mut course = make();
        parts.into_iter().for_each(|part| course.merge(part));
        (found.curves, found.curve_before, found.before) = (course.curves, course.before, course.total_before);
        found.rows.iter_mut().zip(course.rows_before).for_each(|(row, before)| row.before = before);
        let done = walk.done();
        (found.records_read, found.took, found.ended_early) = (done.read, done.took, done.ended_early);
        Ok(found)
    }
}

/// How it went over time, and what was before.
struct Course {
    curves: Vec<Vec<u64>>,
    before: Vec<u64>,
    total_before: Sums,
    rows_before: Vec<Sums>,
}

impl Course {
    fn merge(&mut self, other: Self) {
        let add = |mine: &mut u64, theirs: u64| *mine = mine.saturating_add(theirs);
        for (mine, theirs) in self.curves.iter_mut().zip(other.curves) {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| add(mine, theirs));
        }
        self.before.iter_mut().zip(other.before).for_each(|(mine, theirs)| add(mine, theirs));
        self.total_before.merge(&other.total_before);
        self.rows_before.iter_mut().zip(&other.rows_before).for_each(|(mine, theirs)| mine.merge(theirs));
    }
}

//! The windows of one correlation, by group. Bounded by groups and by cells; what is given up is counted.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use ingest::body::BodyId;
use ingest::frame::Seq;
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::condition::Amount;
use super::episode::Report;
use super::era::Era;
use super::line::Cell;
use super::{Correlation, GroupKey, Observables, Reach};

/// Cells of all groups of one rule: some 50 MB.
const RULE_CELLS_MAX: usize = 1_000_000;
/// Groups of one rule. Forged source addresses are the way to fill it; `overflowed` then says so.
pub(super) const GROUPS_MAX: usize = 50_000;
/// Stretches of event time that one group follows at once: the present, and old logs being imported beside it.
const ERAS_MAX: usize = 4;
/// Quiet time, by receipt, after which what is not yet reported of an episode is.
const QUIET: i64 = Timestamp::MINUTE;
/// How much longer than its windows a quiet group is kept, by receipt, for what comes late.
const KEEP: i64 = 10 * Timestamp::MINUTE;

/// One match of a referenced rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input {
    pub(crate) time: Timestamp,
    pub(crate) seq: Seq,
    /// Which of the correlation's rules, counted from 0.
    pub(crate) rule: u8,
    /// What is added up, or the fingerprint of what is told apart.
    pub(crate) value: Amount,
}

/// The end of a matching window: what a correlation of correlations is fed with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Firing {
    pub(crate) time: Timestamp,
    pub(crate) seq: Seq,
    pub(crate) body: Option<BodyId>,
}

/// What an input led to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) reports: Vec<Report>,
    pub(crate) firings: Vec<(GroupKey, Firing)>,
}

/// Where news go, and whose they are.
pub(super) struct News<'a> {
    pub(super) key: &'a GroupKey,
    pub(super) body: Option<BodyId>,
    pub(super) outcome: &'a mut Outcome,
}

impl News<'_> {
    pub(super) fn fired(&mut self, last: &Cell) {
        let firing = Firing { time: Timestamp(last.time), seq: last.seq, body: self.body };
        self.outcome.firings.push((self.key.clone(), firing));
    }
}

/// The windows of one correlation.
#[derive(Debug, Default)]
pub(crate) struct State {
    groups: HashMap<GroupKey, Group, RandomState>,
    cells: usize,
    /// Counts touches, so that the longest untouched group is known for sure.
    touches: u64,
    /// The highest sequence so far: one below it may have been seen.
    newest: Seq,
    /// Groups, stretches of time and records given up for want of room.
    pub(crate) overflowed: u64,
    /// Whether something changed since it was last written down.
    changed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Group {
    body: Option<BodyId>,
    touched: u64,
    touched_at: Timestamp,
    eras: Vec<Era>,
}

impl State {
    pub(crate) fn insert(
        &mut self,
        correlation: &Correlation,
        key: &GroupKey,
        input: Input,
        body: Option<BodyId>,
        received_at: Timestamp,
        observe: &mut dyn FnMut(&mut Observables),
    ) -> Outcome {
        // A group is one body's, or it tells bodies apart.
        let (body, told) = if correlation.reach == Reach::State { (None, body) } else { (body, None) };
        let mut outcome = Outcome::default();
        self.changed = true;
        self.make_room(correlation, &mut outcome);
        self.touches += 1;
        let again = input.seq < self.newest;
        self.newest = self.newest.max(input.seq);
        if !self.groups.contains_key(key) {
            self.groups.insert(key.clone(), Group { body, touched: 0, touched_at: received_at, eras: Vec::new() });
        }
        let Some(group) = self.groups.get_mut(key) else { return outcome };
        (group.touched, group.touched_at) = (self.touches, received_at);
        let before = group.len();
        let mut news = News { key, body, outcome: &mut outcome };
        let Some(era) = group.era_for(correlation, input.time.0, &mut self.overflowed, &mut news) else { return outcome };
        let Input { time, seq, rule, value } = input;
        let cell = Cell { time: time.0, seq, rule, hot: false, end: false, aside: false, body: 0, count: 1, value };
        self.overflowed += era.insert(correlation, cell, again, told, observe, &mut news);
        self.cells = (self.cells + group.len()).saturating_sub(before);
        outcome
    }

    /// Reports what quiet groups still hold back, and forgets the groups that nothing can join any more.
    pub(crate) fn settle(&mut self, correlation: &Correlation, now: Timestamp) -> Outcome {
        let mut outcome = Outcome::default();
        let span = correlation.timespan;
        let idle = self.groups.iter().filter(|(_, group)| now.since(group.touched_at) >= span.min(QUIET));
        let mut idle: Vec<GroupKey> = idle.map(|(key, _)| key.clone()).collect();
        self.changed |= !idle.is_empty();
        idle.sort_unstable();
        for key in idle {
            let Some(group) = self.groups.get_mut(&key) else { continue };
            let (before, quiet) = (group.len(), now.since(group.touched_at));
            let mut news = News { key: &key, body: group.body, outcome: &mut outcome };
            let over = quiet >= 2 * span;
            for era in &mut group.eras {
                if over || correlation.slides() {
                    era.close(correlation, i64::MAX, &mut news);
                }
                era.tell(&mut news);
            }
            let mut after = group.len();
            if quiet >= 2 * span + KEEP {
                self.groups.remove(&key);
                after = 0;
            }
            self.cells = (self.cells + after).saturating_sub(before);
        }
        outcome
    }

    /// Reports what all groups hold back, and leaves everything else as it is.
    pub(crate) fn tell(&mut self) -> Vec<Report> {
        let mut outcome = Outcome::default();
        self.changed |= !self.groups.is_empty();
        let mut groups: Vec<(&GroupKey, &mut Group)> = self.groups.iter_mut().collect();
        groups.sort_unstable_by_key(|(key, _)| *key);
        for (key, group) in groups {
            let mut news = News { key, body: group.body, outcome: &mut outcome };
            group.eras.iter_mut().for_each(|era| era.tell(&mut news));
        }
        outcome.reports
    }

    /// Where a bound is reached: first all groups make do with less, then the quarter that was untouched for longest goes.
    fn make_room(&mut self, correlation: &Correlation, outcome: &mut Outcome) {
        if self.groups.len() < GROUPS_MAX && self.cells < RULE_CELLS_MAX {
            return;
        }
        if self.cells >= RULE_CELLS_MAX {
            for (key, group) in &mut self.groups {
                let mut news = News { key, body: group.body, outcome };
                group.eras.iter_mut().for_each(|era| era.coarsen(correlation, &mut news));
            }
            self.cells = self.groups.values().map(Group::len).sum();
        }
        if self.groups.len() >= GROUPS_MAX || self.cells >= RULE_CELLS_MAX / 4 * 3 {
            self.evict(outcome);
        }
    }

    fn evict(&mut self, outcome: &mut Outcome) {
        let mut touched: Vec<u64> = self.groups.values().map(|group| group.touched).collect();
        let quarter = touched.len().div_ceil(4);
        if quarter < touched.len() {
            touched.select_nth_unstable(quarter);
        }
        let since = touched.get(quarter).copied().unwrap_or(u64::MAX);
        let mut gone: Vec<(GroupKey, Group)> = self.groups.extract_if(|_, group| group.touched < since).collect();
        gone.sort_unstable_by_key(|(_, group)| group.touched);
        for (key, mut group) in gone {
            self.cells = self.cells.saturating_sub(group.len());
            self.overflowed += 1;
            let mut news = News { key: &key, body: group.body, outcome };
            group.eras.iter_mut().for_each(|era| era.tell(&mut news));
        }
    }

    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    pub(crate) fn knows(&self, key: &GroupKey) -> bool {
        self.groups.contains_key(key)
    }

    pub(crate) fn cells(&self) -> usize {
        self.cells
    }

    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    /// What `snapshot` gave is written down.
    pub(crate) fn saved(&mut self) {
        self.changed = false;
    }

    /// What `Saved` reads, the groups in order.
    pub(crate) fn snapshot(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Snapshot<'a> {
            groups: Vec<(&'a GroupKey, &'a Group)>,
            touches: u64,
            newest: Seq,
            overflowed: u64,
        }
        let mut groups: Vec<(&GroupKey, &Group)> = self.groups.iter().collect();
        groups.sort_unstable_by_key(|(key, _)| *key);
        Snapshot { groups, touches: self.touches, newest: self.newest, overflowed: self.overflowed }
    }

    pub(crate) fn restore(saved: Saved) -> Self {
        let cells = saved.groups.iter().map(|(_, group)| group.len()).sum();
        let Saved { groups, touches, newest, overflowed } = saved;
        Self { groups: groups.into_iter().collect(), cells, touches, newest, overflowed, changed: false }
    }
}

/// The state of one correlation as the snapshot holds it.
#[derive(Debug, Deserialize)]
pub(crate) struct Saved {
    groups: Vec<(GroupKey, Group)>,
    touches: u64,
    newest: Seq,
    overflowed: u64,
}

impl Group {
    fn len(&self) -> usize {
        self.eras.iter().map(Era::len).sum()
    }

    /// The stretch of time that `time` belongs to: the newest that it is not too late for, else a new one.
    fn era_for(&mut self, correlation: &Correlation, time: i64, overflowed: &mut u64, news: &mut News<'_>) -> Option<&mut Era> {
        let fits = |era: &Era| era.newest_time().is_none_or(|newest| time >= newest.saturating_sub(correlation.timespan));
        let found = (0..).zip(&self.eras).filter(|(_, era)| fits(era)).max_by_key(|(_, era)| era.newest_time()).map(|(index, _)| index);
        if let Some(index) = found {
            return self.eras.get_mut(index);
        }
        if self.eras.len() >= ERAS_MAX {
            // The oldest in event time: a present attack matters more than an old file.
            self.eras.sort_by_key(Era::newest_time);
            let mut oldest = self.eras.remove(0);
            oldest.tell(news);
            *overflowed += 1;
        }
        self.eras.push(Era::default());
        self.eras.last_mut()
    }
}

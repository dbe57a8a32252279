//! One stretch of event time of one group: its records in order, the newest window, and the episode.

use ingest::body::BodyId;
use serde::{Deserialize, Serialize};

use super::chain::Chains;
use super::condition::Measure;
use super::episode::Episode;
use super::judge;
use super::line::{Cell, Line, Order, Put};
use super::reach::Bodies;
use super::state::News;
use super::window::Window;
use super::{Correlation, DIFFERENT_MAX, Observables};

/// Cells of one stretch of time, 1 MB: twice as many different values as a condition may ask for, so that a flood cannot
/// push its own beginning out.
pub(super) const GROUP_CELLS_MAX: usize = 2 * DIFFERENT_MAX as usize;
/// How coarse the grid of folded cells may become: parts of a time span, by powers of two.
const GRID_SHIFTS: [u32; 4] = [10, 8, 6, 4];

/// Looking at windows again is paid for: so many cells for each record that came …
const CREDIT_PER_RECORD: usize = 8;
/// … up to so many, which is the most that there can be.
const CREDIT_MAX: usize = GROUP_CELLS_MAX;
/// Fewer than this are looked at in any case.
const REPLAY_FREE: usize = 64;

/// What the first so many records say is told in full, then of each so-manieth: to read the values of a record costs more
/// than to count it, and twenty of a field are all that is told.
const OBSERVED_FIRST: u64 = 256;
const OBSERVED_EACH: u64 = 16;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Era {
    line: Line,
    episode: Episode,
    observables: Observables,
    #[serde(default, skip_serializing_if = "Bodies::is_empty")]
    bodies: Bodies,
    /// Windows that end at this time or later have not been looked at since something came late.
    stale: Option<i64>,
    credit: usize,
    /// How often cells were folded: which grid.
    folds: u8,
    /// Records so far.
    records: u64,
    /// What the newest window holds; made anew where it is missing.
    #[serde(skip)]
    newest: Option<Newest>,
}

#[derive(Debug)]
enum Newest {
    Window(Window),
    Chains(Chains),
}

impl Era {
    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    pub(super) fn newest_time(&self) -> Option<i64> {
        self.line.last().map(|cell| cell.time)
    }

    /// Takes a record in; `again` where one of its sequence may have been seen, `body` where bodies are told apart. Gives back
    /// how many records were given up.
    pub(super) fn insert(
        &mut self,
        correlation: &Correlation,
        cell: Cell,
        again: bool,
        body: Option<BodyId>,
        observe: &mut dyn FnMut(&mut Observables),
        news: &mut News<'_>,
    ) -> u64 {
        let span = correlation.timespan;
        if self.newest_time().is_some_and(|newest| cell.time > newest.saturating_add(2 * span)) {
            // Nothing of before can share a window with it.
            self.close(correlation, i64::MAX, news);
            self.tell(news);
            *self = Self::default();
        }
        let mut newest = self.newest.take().unwrap_or_else(|| self.newest_made(correlation));
        let late = self.line.last().is_some_and(|last| cell.order() < last.order());
        let cell = Cell { aside: late && matches!(newest, Newest::Chains(_)), body: self.bodies.number(body), ..cell };
        let put = self.line.put(cell, again);
        if put == Put::Known {
            self.newest = Some(newest);
            return 0;
        }
        self.records += 1;
        if self.records <= OBSERVED_FIRST || self.records.is_multiple_of(OBSERVED_EACH) {
            observe(&mut self.observables);
        }
        self.credit = (self.credit + CREDIT_PER_RECORD).min(CREDIT_MAX);
        if correlation.slides() {
            match put {
                Put::Last => self.step(correlation, &mut newest, &cell, news),
                _ => self.step_late(correlation, &mut newest, &cell, news),
            }
        }
        self.newest = Some(newest);
        let mut given_up = 0;
        if correlation.slides() {
            // Before what they need is forgotten below, or if it has been paid for.
            let late = self.newest_time().unwrap_or(cell.time).saturating_sub(2 * span);
            self.replay(correlation, self.stale.is_some_and(|stale| stale < late), news);
            self.forget(self.stale.map_or(late, |stale| late.min(stale.saturating_sub(span))));
        } else {
            self.close(correlation, self.newest_time().unwrap_or(cell.time), news);
        }
        if self.line.len() > GROUP_CELLS_MAX {
            self.fold(correlation, news);
            given_up = self.cut();
        }
        if self.episode.due(span) {
            self.tell(news);
        }
        given_up
    }

    /// The window that ends with the last cell.
    fn step(&mut self, correlation: &Correlation, newest: &mut Newest, cell: &Cell, news: &mut News<'_>) {
        match newest {
            Newest::Chains(chains) => {
                let mut parts: Vec<Order> = Vec::new();
                if chains.step(cell.order(), &mut |part| parts.push(part)) {
                    parts.sort_unstable();
                    for part in parts {
                        if let Some(fresh) = self.line.heat_at(part) {
                            self.count(&fresh, correlation.timespan, news);
                        }
                    }
                    self.end(cell, news);
                }
            }
            Newest::Window(window) => {
                let since = cell.time.saturating_sub(correlation.timespan);
                if since > window.since {
                    self.line.since(window.since).take_while(|old| old.time < since).for_each(|old| window.remove(old));
                    window.since = since;
                }
                window.add(cell);
                if window.matches(correlation) {
                    self.heat(window, cell, correlation.timespan, news);
                    self.episode.reached(window.amount());
                    self.end(cell, news);
                }
            }
        }
    }

    /// A record that comes late is part of the newest window all the same, as none is later than a time span.
    fn step_late(&mut self, correlation: &Correlation, newest: &mut Newest, cell: &Cell, news: &mut News<'_>) {
        self.stale = Some(self.stale.map_or(cell.time, |stale| stale.min(cell.time)));
        let (Newest::Window(window), Some(last)) = (newest, self.line.last().copied()) else { return };
        window.add(cell);
        if window.matches(correlation) {
            self.heat(window, &last, correlation.timespan, news);
            self.episode.reached(window.amount());
            self.end(&last, news);
        }
    }

    /// Looks at the windows that something late is part of.
    fn replay(&mut self, correlation: &Correlation, now: bool, news: &mut News<'_>) {
        let Some(stale) = self.stale else { return };
        let from = stale.saturating_sub(correlation.timespan);
        let cost = self.line.count_since(from);
        if !now && cost > REPLAY_FREE && cost > self.credit {
            return;
        }
        self.credit = self.credit.saturating_sub(cost);
        self.stale = None;
        self.newest = Some(match Newest::new(correlation, from) {
            Newest::Window(window) => Newest::Window(self.replay_window(correlation, window, stale, news)),
            mut chains @ Newest::Chains(_) => {
                for cell in self.line.taken_in(from) {
                    self.step(correlation, &mut chains, &cell, news);
                }
                chains
            }
        });
    }

    /// Judges each window that ends at `stale` or later, and gives back the last. One reader walks where they end and one
    /// where they begin; what they found is noted behind them, as the line stands still meanwhile.
    fn replay_window(&mut self, correlation: &Correlation, mut window: Window, stale: i64, news: &mut News<'_>) -> Window {
        let mut behind = (0usize..).zip(self.line.since(window.since)).peekable();
        let (mut matching, mut heated): (Vec<(i64, Cell, bool, super::Amount)>, usize) = (Vec::new(), 0);
        for (at, cell) in (1usize..).zip(self.line.since(window.since)) {
            if cell.time >= stale {
                window.since = window.since.max(cell.time.saturating_sub(correlation.timespan));
                while let Some((place, old)) = behind.next_if(|(_, old)| old.time < window.since) {
                    window.remove(&Cell { hot: old.hot || place < heated, ..*old });
                }
            }
            window.add(cell);
            if cell.time >= stale && window.matches(correlation) {
                matching.push((window.since, *cell, window.cold > 0, window.amount()));
                (window.cold, heated) = (0, at);
            }
        }
        drop(behind);
        for (since, end, cold, amount) in matching {
            for fresh in if cold { self.line.heat(since, end.order()) } else { Vec::new() } {
                self.count(&fresh, correlation.timespan, news);
            }
            self.episode.reached(amount);
            self.end(&end, news);
        }
        window
    }

    /// The newest window as it is without having been kept up.
    fn newest_made(&self, correlation: &Correlation) -> Newest {
        let since = self.newest_time().map_or(i64::MIN, |newest| newest.saturating_sub(correlation.timespan));
        let mut newest = Newest::new(correlation, since);
        for cell in self.line.since(since).filter(|cell| !cell.aside) {
            match &mut newest {
                Newest::Window(window) => window.add(cell),
                Newest::Chains(chains) => {
                    chains.step(cell.order(), &mut |_| {});
                }
            }
        }
        newest
    }

    /// Makes all of a window that ends with `end` hot.
    fn heat(&mut self, window: &mut Window, end: &Cell, span: i64, news: &mut News<'_>) {
        if window.cold == 0 {
            return;
        }
        if window.cold == 1
            && self.line.last().is_some_and(|last| last.order() == end.order())
            && let Some(fresh) = self.line.heat_last()
        {
            self.count(&fresh, span, news);
        } else {
            for fresh in self.line.heat(window.since, end.order()) {
                self.count(&fresh, span, news);
            }
        }
        window.cold = 0;
    }

    fn count(&mut self, cell: &Cell, span: i64, news: &mut News<'_>) {
        if self.episode.is_over(cell.time, span) {
            self.tell(news);
            self.episode = Episode::default();
        }
        self.episode.add(cell);
    }

    fn end(&mut self, cell: &Cell, news: &mut News<'_>) {
        if self.line.mark_end(cell.order()) {
            news.fired(cell);
        }
    }

    /// Forgets what no window can reach any more: neither one of a record that comes late, nor one to be looked at again.
    fn forget(&mut self, horizon: i64) {
        while self.line.first().is_some_and(|first| first.time < horizon) {
            self.line.pop_first();
        }
    }

    /// Judges what nothing can join any more: with `newest` at the end of time, everything.
    pub(super) fn close(&mut self, correlation: &Correlation, newest: i64, news: &mut News<'_>) {
        if correlation.slides() {
            return self.replay(correlation, newest == i64::MAX, news);
        }
        let span = correlation.timespan;
        while let Some(first) = self.line.first().map(|cell| cell.time) {
            if newest != i64::MAX && first.saturating_add(2 * span) >= newest {
                return;
            }
            let mut window: Vec<Cell> = Vec::new();
            while self.line.first().is_some_and(|cell| cell.time <= first.saturating_add(span)) {
                window.extend(self.line.pop_first());
            }
            let (matches, measured) = judge::judge(correlation, &window);
            if matches {
                window.iter().for_each(|cell| self.episode.add(cell));
                measured.into_iter().for_each(|amount| self.episode.reached(amount));
                self.tell(news);
                if let Some(last) = window.last() {
                    news.fired(last);
                }
            }
            self.episode = Episode::default();
        }
    }

    pub(super) fn tell(&mut self, news: &mut News<'_>) {
        self.episode.tell(&self.observables, &self.bodies, news);
    }

    /// Makes one cell of those that say the same, until half the room is free.
    fn fold(&mut self, correlation: &Correlation, news: &mut News<'_>) {
        self.fold_once(correlation, self.folds.max(1), news);
        while self.line.len() > GROUP_CELLS_MAX / 2 && usize::from(self.folds) < GRID_SHIFTS.len() {
            self.fold_once(correlation, self.folds + 1, news);
        }
    }

    /// The next coarser grid.
    pub(super) fn coarsen(&mut self, correlation: &Correlation, news: &mut News<'_>) {
        if usize::from(self.folds) < GRID_SHIFTS.len() && self.line.len() > 1 << GRID_SHIFTS[3] {
            self.fold_once(correlation, self.folds + 1, news);
        }
    }

    fn fold_once(&mut self, correlation: &Correlation, folds: u8, news: &mut News<'_>) {
        self.replay(correlation, true, news);
        self.folds = folds;
        let shift = GRID_SHIFTS.get(usize::from(folds).saturating_sub(1)).copied().unwrap_or_default();
        self.line.fold((correlation.timespan >> shift).max(1), &correlation.measure);
        self.newest = None;
    }

    /// Drops the oldest quarter where folding was not enough; what is hot has been counted already, only the rest is a loss.
    fn cut(&mut self) -> u64 {
        let mut given_up = 0;
        while self.line.len() > GROUP_CELLS_MAX / 4 * 3
            && let Some(oldest) = self.line.pop_first()
        {
            given_up += if oldest.hot { 0 } else { u64::from(oldest.count) };
            self.newest = None;
        }
        given_up
    }
}

impl Newest {
    fn new(correlation: &Correlation, since: i64) -> Self {
        match &correlation.measure {
            Measure::Order(orders) => Self::Chains(Chains::new(orders, correlation.timespan)),
            measure => Self::Window(Window::new(measure, since)),
        }
    }
}

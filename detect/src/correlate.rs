//! Correlations: how many, how many different, which together, which in what order, within a time span and per group.
//!
//! Windows are judged in event time and to the millisecond; events that come late are inserted in their place. A
//! result does not depend on the order of arrival as long as no event is later than one time span behind its group's
//! newest. A group is one site and one set of group-by values: what happens at two sites never adds up here, for a
//! finding belongs to one tenant. A record without one of the group-by fields takes no part.
//!
//! What a group reports: an *episode* is a run of matching windows that overlap or follow within one time span. It is
//! reported when it begins, then whenever its records have doubled or a time span has gone by, and once more when it has
//! been quiet for a while (`settle`), so that ten thousand lines are some fifteen findings. Each report counts the
//! records not reported before: the counts of one episode's findings add up. `first` and `last` are the episode's own.
//!
//! Conditions with an upper end (`lt`, `lte`, `eq`) can be judged only when nothing more can come: their windows begin
//! with the first event, do not overlap, and close two time spans later, or when the group has been quiet for that long.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use ingest::body::{BodyId, SiteId};
use ingest::fields::FieldId;
use ingest::frame::Seq;
use ingest::record::Record;
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::finding::EVIDENCE_MAX;

/// Thresholds: more in one group and window than a group keeps could never be reached.
pub const THRESHOLD_MAX: u64 = 10_000;
/// The longest time span: windows live in memory.
pub const TIMESPAN_MAX: i64 = 30 * Timestamp::DAY;
/// Rules one correlation may refer to.
pub const REFERENCES_MAX: usize = 16;
/// Entries of one group; at least twice the largest threshold, so that a flood cannot push its own beginning out.
const GROUP_ENTRIES_MAX: usize = 20_000;
/// Entries of all groups of one rule: some 40 MB.
const RULE_ENTRIES_MAX: usize = 1_000_000;
/// Groups of one rule. Forged source addresses are the way to fill it; the counter `overflowed` then says so.
const GROUPS_MAX: usize = 50_000;
/// Stretches of event time that one group follows at once: the present, and old logs being imported beside it.
const ERAS_MAX: usize = 4;
/// Values kept per observable and group.
const OBSERVABLE_VALUES_MAX: usize = 20;
/// A longer value is cut: observables are for reading and grouping.
const OBSERVABLE_BYTES_MAX: usize = 256;
/// Quiet time, by receipt, after which what is not yet reported of an episode is.
const QUIET: i64 = Timestamp::MINUTE;
/// How much longer than its windows a quiet group is kept, by receipt, for what comes late.
const KEEP: i64 = 10 * Timestamp::MINUTE;

/// A compiled correlation. `rules` are places in the rule set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Correlation {
    pub(crate) measure: Measure,
    pub(crate) threshold: Threshold,
    pub(crate) rules: Vec<usize>,
    pub(crate) group_by: Vec<FieldId>,
    pub(crate) timespan: i64,
}

/// What is measured in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Measure {
    Count,
    /// Different values of a field.
    Values(FieldId),
    /// Different rules that matched: `temporal` is this with the number of rules as threshold.
    Rules,
    /// All rules in the given order.
    Order,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Threshold {
    AtLeast(u64),
    AtMost(u64),
    Exactly(u64),
}

impl Threshold {
    fn holds(self, measured: u64) -> bool {
        match self {
            Self::AtLeast(n) => measured >= n,
            Self::AtMost(n) => measured <= n,
            Self::Exactly(n) => measured == n,
        }
    }
}

impl Correlation {
    /// What a saved state must have been kept for, to be of use.
    pub(crate) fn fingerprint(&self) -> String {
        let fields: Vec<&str> = self.group_by.iter().map(|field| field.name()).collect();
        let measure = match self.measure {
            Measure::Values(field) => format!("values of {}", field.name()),
            other => format!("{other:?}"),
        };
        format!("{measure} {:?} by {} in {} of {}", self.threshold, fields.join(","), self.timespan, self.rules.len())
    }
}

/// Field names to values, each bounded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Vec<String>>")]
pub(crate) struct Observables(pub(crate) BTreeMap<&'static str, Vec<String>>);

impl From<BTreeMap<String, Vec<String>>> for Observables {
    fn from(saved: BTreeMap<String, Vec<String>>) -> Self {
        Self(saved.into_iter().filter_map(|(name, values)| Some((FieldId::intern(&name)?.name(), values))).collect())
    }
}

impl Observables {
    /// Adds what `record` says of `fields`.
    pub(crate) fn add(&mut self, record: &dyn Record, fields: impl Iterator<Item = FieldId>) {
        for field in fields {
            record.any_value(field, &mut |value| {
                let values = self.0.entry(field.name()).or_default();
                if values.len() >= OBSERVABLE_VALUES_MAX {
                    return true;
                }
                let text = value.text();
                let text = text.get(..text.floor_char_boundary(OBSERVABLE_BYTES_MAX)).unwrap_or_default();
                if !values.iter().any(|known| known == text) {
                    values.push(text.to_owned());
                }
                false
            });
        }
    }
}

/// Whose windows these are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct GroupKey {
    pub(crate) site: SiteId,
    pub(crate) values: Vec<String>,
}

impl GroupKey {
    /// The group that a record belongs to; `None` where it lacks a field.
    pub(crate) fn of(record: &dyn Record, site: SiteId, group_by: &[FieldId]) -> Option<Self> {
        let values: Option<Vec<String>> = group_by.iter().map(|field| record.first_text(*field)).collect();
        Some(Self { site, values: values? })
    }
}

/// A text's fingerprint for counting different ones. Were the standard library to change its hash, values saved before
/// would be counted anew for one window.
pub(crate) fn value_hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// One match of a referenced rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input {
    pub(crate) time: Timestamp,
    pub(crate) seq: Seq,
    /// Which of the correlation's rules, counted from 0.
    pub(crate) rule: u8,
    /// The fingerprint of the value, for `Measure::Values`.
    pub(crate) value: u64,
}

/// News of an episode.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) key: GroupKey,
    pub(crate) body: Option<BodyId>,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    /// Records that no earlier report of the episode counted.
    pub(crate) records: u64,
    pub(crate) evidence: Vec<Seq>,
    pub(crate) observables: Observables,
}

/// The end of a matching window: what a correlation of correlations is fed with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Firing {
    pub(crate) time: Timestamp,
    pub(crate) seq: Seq,
}

/// What an input led to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) reports: Vec<Report>,
    pub(crate) firings: Vec<Firing>,
}

/// The windows of one correlation.
#[derive(Debug, Default)]
pub(crate) struct State {
    groups: HashMap<GroupKey, Group>,
    entries: usize,
    /// Counts touches, so that the longest untouched group is known for sure.
    touches: u64,
    /// Groups, stretches of time and entries given up for want of room.
    pub(crate) overflowed: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Group {
    body: Option<BodyId>,
    touched: u64,
    touched_at: Timestamp,
    eras: Vec<Era>,
}

/// One stretch of event time: entries by (time, sequence).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Era {
    entries: VecDeque<Entry>,
    episode: Episode,
    observables: Observables,
    /// What the newest window holds; rebuilt where it is missing.
    #[serde(skip)]
    newest: Option<Distinct>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(i64, u64, u64, u8, bool, bool)", into = "(i64, u64, u64, u8, bool, bool)")]
struct Entry {
    time: i64,
    seq: Seq,
    /// The value's fingerprint, or the rule.
    value: u64,
    rule: u8,
    /// Part of a matching window.
    hot: bool,
    /// End of a matching window.
    end: bool,
}

impl From<(i64, u64, u64, u8, bool, bool)> for Entry {
    fn from((time, seq, value, rule, hot, end): (i64, u64, u64, u8, bool, bool)) -> Self {
        Self { time, seq: Seq(seq), value, rule, hot, end }
    }
}

impl From<Entry> for (i64, u64, u64, u8, bool, bool) {
    fn from(entry: Entry) -> Self {
        (entry.time, entry.seq.0, entry.value, entry.rule, entry.hot, entry.end)
    }
}

impl Entry {
    fn order(&self) -> (i64, Seq, u8) {
        (self.time, self.seq, self.rule)
    }
}

/// What was and what is to be reported of a run of matching windows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Episode {
    first: i64,
    last: i64,
    told: u64,
    /// Where `last` stood at the last report.
    told_at: i64,
    pending: u64,
    evidence: Vec<Seq>,
    /// The newest evidence, once `evidence` holds the older half.
    evidence_tail: VecDeque<Seq>,
}

/// How often each value stands in the window that begins at index `from` and ends with the last entry.
#[derive(Clone, Debug, Default)]
struct Distinct {
    from: usize,
    counts: HashMap<u64, u32>,
}

impl Distinct {
    fn add(&mut self, value: u64) {
        *self.counts.entry(value).or_default() += 1;
    }

    fn remove(&mut self, value: u64) {
        if let Some(count) = self.counts.get_mut(&value) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&value);
            }
        }
    }

    fn len(&self) -> u64 {
        self.counts.len() as u64
    }
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
        let mut outcome = Outcome::default();
        self.make_room(&mut outcome);
        self.touches += 1;
        let group = self.groups.entry(key.clone()).or_insert_with(|| Group { body, touched: 0, touched_at: received_at, eras: Vec::new() });
        (group.touched, group.touched_at) = (self.touches, received_at);
        let before = group.len();
        let Some(era) = group.era_for(correlation.timespan, input.time.0, &mut self.overflowed) else { return outcome };
        let value = if correlation.measure == Measure::Rules { u64::from(input.rule) } else { input.value };
        let entry = Entry { time: input.time.0, seq: input.seq, value, rule: input.rule, hot: false, end: false };
        let mut news = News { key, body, outcome: &mut outcome };
        era.insert(correlation, entry, observe, &mut news, &mut self.overflowed);
        self.entries = (self.entries + group.len()).saturating_sub(before);
        outcome
    }

    /// Reports what quiet groups still hold back, and forgets the groups that nothing can join any more.
    pub(crate) fn settle(&mut self, correlation: &Correlation, now: Timestamp) -> Outcome {
        let mut outcome = Outcome::default();
        let span = correlation.timespan;
        let mut idle: Vec<GroupKey> = Vec::new();
        for (key, group) in &self.groups {
            if now.since(group.touched_at) >= span.min(QUIET) {
                idle.push(key.clone());
            }
        }
        idle.sort_unstable();
        for key in idle {
            let Some(group) = self.groups.get_mut(&key) else { continue };
            let (before, quiet) = (group.len(), now.since(group.touched_at));
            let mut news = News { key: &key, body: group.body, outcome: &mut outcome };
            for era in &mut group.eras {
                if quiet >= 2 * span {
                    era.close(correlation, i64::MAX, &mut news);
                }
                era.tell(&mut news);
            }
            let mut after = group.len();
            if quiet >= 2 * span + KEEP {
                self.groups.remove(&key);
                after = 0;
            }
            self.entries = (self.entries + after).saturating_sub(before);
        }
        outcome
    }

    /// Where a bound is reached, gives up the quarter of the groups that was untouched for longest.
    fn make_room(&mut self, outcome: &mut Outcome) {
        if self.groups.len() < GROUPS_MAX && self.entries < RULE_ENTRIES_MAX {
            return;
        }
        let mut touched: Vec<(u64, GroupKey)> = self.groups.iter().map(|(key, group)| (group.touched, key.clone())).collect();
        touched.sort_unstable();
        let quarter = touched.len().div_ceil(4);
        for (_, key) in touched.into_iter().take(quarter) {
            let Some(mut group) = self.groups.remove(&key) else { continue };
            self.entries = self.entries.saturating_sub(group.len());
            self.overflowed += 1;
            let mut news = News { key: &key, body: group.body, outcome };
            group.eras.iter_mut().for_each(|era| era.tell(&mut news));
        }
    }

    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    pub(crate) fn entries(&self) -> usize {
        self.entries
    }

    pub(crate) fn snapshot(&self) -> Saved {
        let mut groups: Vec<(GroupKey, Group)> = self.groups.iter().map(|(key, group)| (key.clone(), group.clone())).collect();
        groups.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Saved { groups, touches: self.touches, overflowed: self.overflowed }
    }

    pub(crate) fn restore(saved: Saved) -> Self {
        let entries = saved.groups.iter().map(|(_, group)| group.len()).sum();
        Self { groups: saved.groups.into_iter().collect(), entries, touches: saved.touches, overflowed: saved.overflowed }
    }
}

/// The state of one correlation as the snapshot holds it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Saved {
    groups: Vec<(GroupKey, Group)>,
    touches: u64,
    overflowed: u64,
}

impl Group {
    fn len(&self) -> usize {
        self.eras.iter().map(|era| era.entries.len()).sum()
    }

    /// The stretch of time that `time` belongs to: the newest that it is not too late for, else a new one.
    fn era_for(&mut self, span: i64, time: i64, overflowed: &mut u64) -> Option<&mut Era> {
        let fits = |era: &Era| era.newest_time().is_none_or(|newest| time >= newest.saturating_sub(span));
        let found = (0..).zip(&self.eras).filter(|(_, era)| fits(era)).max_by_key(|(_, era)| era.newest_time()).map(|(index, _)| index);
        if let Some(index) = found {
            return self.eras.get_mut(index);
        }
        if self.eras.len() >= ERAS_MAX {
            // The oldest in event time: a present attack matters more than an old file.
            self.eras.sort_by_key(Era::newest_time);
            self.eras.remove(0);
            *overflowed += 1;
        }
        self.eras.push(Era::default());
        self.eras.last_mut()
    }
}

/// Where news go, and whose they are.
struct News<'a> {
    key: &'a GroupKey,
    body: Option<BodyId>,
    outcome: &'a mut Outcome,
}

impl Era {
    fn newest_time(&self) -> Option<i64> {
        self.entries.back().map(|entry| entry.time)
    }

    fn time(&self, index: usize) -> i64 {
        self.entries.get(index).map_or(i64::MAX, |entry| entry.time)
    }

    fn insert(
        &mut self,
        correlation: &Correlation,
        entry: Entry,
        observe: &mut dyn FnMut(&mut Observables),
        news: &mut News<'_>,
        overflowed: &mut u64,
    ) {
        let span = correlation.timespan;
        if self.newest_time().is_some_and(|newest| entry.time > newest.saturating_add(2 * span)) {
            // Nothing of before can share a window with it.
            self.close(correlation, i64::MAX, news);
            self.tell(news);
            *self = Self::default();
        }
        observe(&mut self.observables);
        let at = self.entries.partition_point(|known| known.order() <= entry.order());
        let late = at < self.entries.len();
        self.entries.insert(at, entry);
        match (correlation.threshold, correlation.measure) {
            (Threshold::AtLeast(n), Measure::Order) => self.mark_ordered(n, span, at, late, news),
            (Threshold::AtLeast(n), Measure::Count) => self.mark_counted(n, span, at, late, news),
            (Threshold::AtLeast(n), Measure::Values(_) | Measure::Rules) => self.mark_distinct(n, span, at, late, news),
            (Threshold::AtMost(_) | Threshold::Exactly(_), _) => {
                let newest = self.newest_time().unwrap_or(entry.time);
                self.close(correlation, newest, news);
            }
        }
        self.prune(correlation, overflowed);
        if self.episode.due(span) {
            self.tell(news);
        }
    }

    /// Forgets entries that no window of an event at most one time span late can reach, and the oldest above the bound.
    fn prune(&mut self, correlation: &Correlation, overflowed: &mut u64) {
        let horizon = self.newest_time().unwrap_or(i64::MIN).saturating_sub(correlation.timespan.saturating_mul(2));
        let closing = !matches!(correlation.threshold, Threshold::AtLeast(_));
        while let Some(oldest) = self.entries.front().copied() {
            let excess = self.entries.len() > GROUP_ENTRIES_MAX;
            if !excess && (closing || oldest.time >= horizon) {
                break;
            }
            // What is hot has been counted already; only the rest is a loss.
            *overflowed += u64::from(excess && !oldest.hot && oldest.time >= horizon);
            self.entries.pop_front();
            if let Some(newest) = &mut self.newest {
                match newest.from.checked_sub(1) {
                    Some(from) => newest.from = from,
                    None => newest.remove(oldest.value),
                }
            }
        }
    }

    /// `event_count`: a window that ends at entry j holds the entries from the first within the span to j.
    fn mark_counted(&mut self, n: u64, span: i64, at: usize, late: bool, news: &mut News<'_>) {
        let mut marked = 0;
        for end in self.ends(at, late, span) {
            let from = self.first_since(self.time(end).saturating_sub(span));
            if (end + 1 - from) as u64 >= n {
                self.mark(from.max(marked), end, late, span, news);
                marked = end + 1;
            }
        }
    }

    /// `value_count` and `temporal`. In order, the newest window is kept up; a late entry costs one walk over the
    /// windows that it is part of.
    fn mark_distinct(&mut self, n: u64, span: i64, at: usize, late: bool, news: &mut News<'_>) {
        let mut window = match self.newest.take() {
            Some(window) if !late => window,
            _ => {
                let from = self.first_since(self.time(at).saturating_sub(span));
                let mut window = Distinct { from, ..Distinct::default() };
                self.entries.range(from..at).for_each(|entry| window.add(entry.value));
                window
            }
        };
        let mut marked = 0;
        let mut ends = self.ends(at, late, span);
        let behind = ends.end;
        for end in ends.by_ref() {
            self.slide(&mut window, end, span);
            if window.len() >= n {
                self.mark(window.from.max(marked), end, late, span, news);
                marked = end + 1;
            }
        }
        for end in behind..self.entries.len() {
            self.slide(&mut window, end, span);
        }
        self.newest = Some(window);
    }

    /// Moves the window on by one entry.
    fn slide(&self, window: &mut Distinct, end: usize, span: i64) {
        let Some(entry) = self.entries.get(end) else { return };
        window.add(entry.value);
        while let Some(oldest) = self.entries.get(window.from)
            && oldest.time < entry.time.saturating_sub(span)
        {
            window.remove(oldest.value);
            window.from += 1;
        }
    }

    /// `temporal_ordered`: an entry is hot where the tightest chain of all rules through it fits into the span. The
    /// latest start of a chain up to an entry is found going forward, its earliest end going backward.
    fn mark_ordered(&mut self, rules: u64, span: i64, at: usize, late: bool, news: &mut News<'_>) {
        let steps = usize::try_from(rules).unwrap_or(usize::MAX).min(REFERENCES_MAX);
        let Some(entry) = self.entries.get(at).copied() else { return };
        if !late && usize::from(entry.rule) + 1 != steps {
            return; // The newest entry can only complete a chain as its last link.
        }
        let from = self.first_since(entry.time.saturating_sub(span));
        let to = self.entries.partition_point(|known| known.time <= entry.time.saturating_add(span));
        let mut starts: Vec<Option<i64>> = Vec::with_capacity(to.saturating_sub(from));
        let mut latest = [None; REFERENCES_MAX];
        for known in self.entries.range(from..to) {
            let rule = usize::from(known.rule);
            let start = match rule.checked_sub(1) {
                None => Some(known.time),
                Some(before) => latest.get(before).copied().flatten(),
            };
            starts.push(start);
            if let Some(slot) = latest.get_mut(rule) {
                *slot = start.or(*slot);
            }
        }
        let mut hot = Vec::new();
        let mut earliest = [None; REFERENCES_MAX];
        for ((index, known), start) in (from..to).zip(self.entries.range(from..to)).zip(&starts).rev() {
            let rule = usize::from(known.rule);
            let end = if rule + 1 == steps { Some(known.time) } else { earliest.get(rule + 1).copied().flatten() };
            if let Some(slot) = earliest.get_mut(rule) {
                *slot = end.or(*slot);
            }
            if let (Some(start), Some(end)) = (start, end)
                && end.saturating_sub(*start) <= span
            {
                hot.push((index, rule + 1 == steps));
            }
        }
        for (index, end) in hot.into_iter().rev() {
            self.heat(index, span, news);
            if end {
                self.end(index, news);
            }
        }
    }

    /// The entries whose windows hold the one at `at`.
    fn ends(&self, at: usize, late: bool, span: i64) -> std::ops::Range<usize> {
        let last = self.time(at).saturating_add(span);
        let behind = if late { self.entries.partition_point(|entry| entry.time <= last) } else { self.entries.len() };
        at..behind
    }

    fn first_since(&self, time: i64) -> usize {
        self.entries.partition_point(|entry| entry.time < time)
    }

    /// Marks a matching window. In order, everything before an entry that is hot already is hot too.
    fn mark(&mut self, from: usize, end: usize, late: bool, span: i64, news: &mut News<'_>) {
        let mut start = from;
        if !late {
            let fresh = self.entries.range(from..=end).rev().take_while(|entry| !entry.hot).count();
            start = end + 1 - fresh;
        }
        for index in start..=end {
            self.heat(index, span, news);
        }
        self.end(end, news);
    }

    fn heat(&mut self, index: usize, span: i64, news: &mut News<'_>) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        if std::mem::replace(&mut entry.hot, true) {
            return;
        }
        let entry = *entry;
        if self.episode.is_over(entry.time, span) {
            self.tell(news);
            self.episode = Episode::default();
        }
        self.episode.add(entry);
    }

    fn end(&mut self, index: usize, news: &mut News<'_>) {
        if let Some(entry) = self.entries.get_mut(index)
            && !std::mem::replace(&mut entry.end, true)
        {
            news.outcome.firings.push(Firing { time: Timestamp(entry.time), seq: entry.seq });
        }
    }

    /// Judges and removes the windows of a condition with an upper end that nothing can join any more.
    fn close(&mut self, correlation: &Correlation, newest: i64, news: &mut News<'_>) {
        if matches!(correlation.threshold, Threshold::AtLeast(_)) {
            return;
        }
        let span = correlation.timespan;
        while let Some(first) = self.entries.front().copied() {
            if newest != i64::MAX && first.time.saturating_add(2 * span) >= newest {
                return;
            }
            let behind = self.entries.partition_point(|entry| entry.time <= first.time.saturating_add(span));
            let window: Vec<Entry> = self.entries.drain(..behind).collect();
            let measured = match correlation.measure {
                Measure::Values(_) => window.iter().map(|entry| entry.value).collect::<std::collections::HashSet<_>>().len(),
                _ => window.len(),
            };
            if correlation.threshold.holds(measured as u64) {
                window.iter().for_each(|entry| self.episode.add(*entry));
                self.tell(news);
                if let Some(last) = window.last() {
                    news.outcome.firings.push(Firing { time: Timestamp(last.time), seq: last.seq });
                }
            }
            self.episode = Episode::default();
        }
    }

    /// Reports what is pending.
    fn tell(&mut self, news: &mut News<'_>) {
        let episode = &mut self.episode;
        if episode.pending == 0 {
            return;
        }
        let mut evidence = std::mem::take(&mut episode.evidence);
        evidence.extend(std::mem::take(&mut episode.evidence_tail));
        evidence.sort_unstable();
        evidence.dedup();
        news.outcome.reports.push(Report {
            key: news.key.clone(),
            body: news.body,
            first: Timestamp(episode.first),
            last: Timestamp(episode.last),
            records: episode.pending,
            evidence,
            observables: self.observables.clone(),
        });
        episode.told += episode.pending;
        episode.pending = 0;
        episode.told_at = episode.last;
    }
}

impl Episode {
    fn is_empty(&self) -> bool {
        self.told == 0 && self.pending == 0
    }

    fn is_over(&self, time: i64, span: i64) -> bool {
        !self.is_empty() && time > self.last.saturating_add(span)
    }

    fn due(&self, span: i64) -> bool {
        self.pending > 0 && (self.told == 0 || self.pending >= self.told || self.last.saturating_sub(self.told_at) >= span)
    }

    fn add(&mut self, entry: Entry) {
        if self.is_empty() {
            (self.first, self.last) = (entry.time, entry.time);
        }
        self.first = self.first.min(entry.time);
        self.last = self.last.max(entry.time);
        self.pending += 1;
        // The first half of the evidence shows how it began, the second where it stands.
        if self.evidence.len() < EVIDENCE_MAX / 2 {
            self.evidence.push(entry.seq);
        } else {
            if self.evidence_tail.len() >= EVIDENCE_MAX - EVIDENCE_MAX / 2 {
                self.evidence_tail.pop_front();
            }
            self.evidence_tail.push_back(entry.seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SPAN: i64 = 100;

    fn correlation(measure: Measure, threshold: Threshold) -> Correlation {
        Correlation { measure, threshold, rules: vec![0, 1, 2], group_by: vec![], timespan: SPAN }
    }

    /// What all reports of a key add up to.
    #[derive(Debug, Default, PartialEq)]
    struct Total {
        records: u64,
        span: Option<(i64, i64)>,
        /// Ends of matching windows.
        firings: Vec<i64>,
    }

    impl Total {
        fn add(&mut self, outcome: Outcome) {
            for report in outcome.reports {
                self.records += report.records;
                let (first, last) = self.span.unwrap_or((i64::MAX, i64::MIN));
                self.span = Some((first.min(report.first.0), last.max(report.last.0)));
            }
            self.firings.extend(outcome.firings.iter().map(|firing| firing.time.0));
        }
    }

    fn key() -> GroupKey {
        GroupKey { site: SiteId::default(), values: vec![] }
    }

    /// Feeds inputs in the given order; with `restart`, through a snapshot behind each.
    fn total(correlation: &Correlation, inputs: &[Input], restart: bool) -> Total {
        let (mut state, mut total) = (State::default(), Total::default());
        for input in inputs {
            total.add(state.insert(correlation, &key(), *input, None, Timestamp(0), &mut |_| {}));
            if restart {
                let saved = serde_json::to_string(&state.snapshot()).unwrap();
                state = State::restore(serde_json::from_str(&saved).unwrap());
            }
        }
        total.add(state.settle(correlation, Timestamp(i64::MAX)));
        assert_eq!((state.overflowed, state.entries, state.groups.len()), (0, 0, 0));
        total.firings.sort_unstable();
        total
    }

    /// The same by the definition: every window of the sorted stream looked at by itself.
    fn naive(correlation: &Correlation, inputs: &[Input]) -> Total {
        let mut sorted = inputs.to_vec();
        sorted.sort_by_key(|input| (input.time, input.seq));
        let mut total = Total::default();
        let mut hot = vec![false; sorted.len()];
        let mut next = 0;
        while next < sorted.len() {
            // Windows end with an entry; those with an upper end begin with one and do not overlap.
            let tumbling = !matches!(correlation.threshold, Threshold::AtLeast(_));
            let window: Vec<usize> = match tumbling {
                true => (next..sorted.len()).filter(|n| sorted[*n].time.0 <= sorted[next].time.0 + SPAN).collect(),
                false => (0..=next).filter(|n| sorted[*n].time.0 >= sorted[next].time.0 - SPAN).collect(),
            };
            let different =
                |by: &dyn Fn(&Input) -> u64| window.iter().map(|n| by(&sorted[*n])).collect::<std::collections::BTreeSet<_>>().len() as u64;
            let taking_part: Vec<usize> = match correlation.measure {
                Measure::Order => {
                    let chains = window
                        .iter()
                        .flat_map(|a| window.iter().map(move |b| (*a, *b)))
                        .flat_map(|(a, b)| window.iter().map(move |c| (a, b, *c)))
                        .filter(|(a, b, c)| a < b && b < c && *c == next)
                        .filter(|(a, b, c)| (sorted[*a].rule, sorted[*b].rule, sorted[*c].rule) == (0, 1, 2));
                    chains.flat_map(|(a, b, c)| [a, b, c]).collect()
                }
                Measure::Count if correlation.threshold.holds(window.len() as u64) => window.clone(),
                Measure::Values(_) if correlation.threshold.holds(different(&|input| input.value)) => window.clone(),
                Measure::Rules if correlation.threshold.holds(different(&|input| input.rule.into())) => window.clone(),
                _ => vec![],
            };
            if !taking_part.is_empty() {
                total.firings.push(sorted[*window.last().unwrap()].time.0);
            }
            taking_part.iter().for_each(|n| hot[*n] = true);
            next = if tumbling { window.last().unwrap() + 1 } else { next + 1 };
        }
        let times: Vec<i64> = sorted.iter().zip(&hot).filter(|(_, hot)| **hot).map(|(input, _)| input.time.0).collect();
        total.records = times.len() as u64;
        total.span = times.first().copied().zip(times.last().copied());
        total
    }

    /// Events with (gap before, lateness, rule, value), and the order in which they arrive: none later than the span.
    fn stream() -> impl Strategy<Value = Vec<Input>> {
        proptest::collection::vec((0..60i64, 0..=SPAN, 0..3u8, 0..5u64), 0..40).prop_map(|events| {
            let mut time = 0;
            let mut arriving: Vec<(i64, Input)> = Vec::new();
            for ((gap, late, rule, value), seq) in events.into_iter().zip(1..) {
                // Now and then a pause that no window spans.
                time += if gap == 59 { 5 * SPAN } else { gap };
                arriving.push((time + late, Input { time: Timestamp(time), seq: Seq(seq), rule, value }));
            }
            arriving.sort_by_key(|(at, _)| *at);
            arriving.into_iter().map(|(_, input)| input).collect()
        })
    }

    proptest! {
        /// Whatever the order of arrival within the span, and with a restart behind each event, the totals are those of
        /// the definition.
        #[test]
        fn late_events_count_as_if_they_had_come_in_time(inputs in stream(), n in 1..5u64) {
            let field = ingest::fields::DESTINATION_PORT;
            for correlation in [
                correlation(Measure::Count, Threshold::AtLeast(n)),
                correlation(Measure::Values(field), Threshold::AtLeast(n)),
                correlation(Measure::Rules, Threshold::AtLeast(3)),
                correlation(Measure::Order, Threshold::AtLeast(3)),
                correlation(Measure::Count, Threshold::AtMost(n)),
                correlation(Measure::Count, Threshold::Exactly(n)),
                correlation(Measure::Values(field), Threshold::AtMost(n)),
            ] {
                let expected = naive(&correlation, &inputs);
                prop_assert_eq!(&total(&correlation, &inputs, false), &expected, "{:?}", &correlation);
                prop_assert_eq!(&total(&correlation, &inputs, true), &expected, "with restarts {:?}", &correlation);
            }
        }
    }

    fn inputs(times: impl IntoIterator<Item = i64>) -> Vec<Input> {
        times.into_iter().zip(1..).map(|(time, seq)| Input { time: Timestamp(time), seq: Seq(seq), rule: 0, value: 0 }).collect()
    }

    #[test]
    fn ten_thousand_lines_are_a_handful_of_reports() {
        let correlation = correlation(Measure::Count, Threshold::AtLeast(10));
        let (mut state, mut reports) = (State::default(), Vec::new());
        for input in inputs((0..10_000).map(|n| n / 200)) {
            reports.extend(state.insert(&correlation, &key(), input, None, Timestamp(0), &mut |_| {}).reports);
        }
        reports.extend(state.settle(&correlation, Timestamp(Timestamp::MINUTE)).reports);
        let told: Vec<u64> = reports.iter().map(|report| report.records).collect();
        assert_eq!(told, [10, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 4880]);
        let last = reports.last().unwrap();
        assert_eq!((last.first.0, last.last.0, last.evidence.len()), (0, 49, EVIDENCE_MAX));
        assert_eq!((last.evidence[0], last.evidence[99]), (Seq(5121), Seq(10_000)));
    }

    #[test]
    fn an_old_file_beside_the_present_is_counted_by_itself() {
        let correlation = correlation(Measure::Count, Threshold::AtLeast(3));
        let interleaved = inputs([1_000_000, 5_000, 1_000_010, 5_010, 5_020, 1_000_020]);
        let total = total(&correlation, &interleaved, false);
        assert_eq!((total.records, total.span), (6, Some((5_000, 1_000_020))));
    }

    #[test]
    fn a_flood_of_groups_is_bounded_and_said() {
        let correlation = correlation(Measure::Count, Threshold::AtLeast(2));
        let mut state = State::default();
        for (n, input) in inputs((0..GROUPS_MAX as i64 + 10).map(|_| 0)).into_iter().enumerate() {
            let key = GroupKey { values: vec![n.to_string()], ..key() };
            state.insert(&correlation, &key, input, None, Timestamp(0), &mut |_| {});
        }
        assert_eq!(state.overflowed, GROUPS_MAX as u64 / 4);
        assert!(state.groups.len() <= GROUPS_MAX && state.entries == state.groups.len());
    }

    #[test]
    fn a_flood_within_a_group_is_bounded_and_counted_all_the_same() {
        let correlation = correlation(Measure::Count, Threshold::AtLeast(2));
        let flood = inputs((0..2 * GROUP_ENTRIES_MAX as i64).map(|n| n / 1_000));
        let mut state = State::default();
        let mut told = 0;
        for input in flood {
            told += state
                .insert(&correlation, &key(), input, None, Timestamp(0), &mut |_| {})
                .reports
                .iter()
                .map(|report| report.records)
                .sum::<u64>();
        }
        told += state.settle(&correlation, Timestamp(Timestamp::MINUTE)).reports.iter().map(|report| report.records).sum::<u64>();
        assert_eq!((told, state.overflowed), (2 * GROUP_ENTRIES_MAX as u64, 0));
        assert!(state.entries <= GROUP_ENTRIES_MAX);
    }
}

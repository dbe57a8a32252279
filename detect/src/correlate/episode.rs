//! A run of matching windows, and what was and is to be reported of it.

use std::collections::VecDeque;

use ingest::body::BodyId;
use ingest::frame::Seq;
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::line::Cell;
use super::reach::{Bodies, Shares};
use super::state::News;
use super::{GroupKey, Observables};
use crate::finding::{EVIDENCE_MAX, Share};

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
    /// What of the records was at which body, where the correlation looks over all of them.
    pub(crate) shares: Vec<Share>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Episode {
    first: i64,
    last: i64,
    told: u64,
    /// Where `last` stood at the last report.
    told_at: i64,
    pending: u64,
    evidence: Vec<Seq>,
    /// The newest evidence, once `evidence` holds the older half.
    evidence_tail: VecDeque<Seq>,
    #[serde(default, skip_serializing_if = "Shares::is_empty")]
    shares: Shares,
}

impl Episode {
    fn is_empty(&self) -> bool {
        self.told == 0 && self.pending == 0
    }

    /// Whether a record of that time belongs to another episode.
    pub(super) fn is_over(&self, time: i64, span: i64) -> bool {
        !self.is_empty() && time > self.last.saturating_add(span)
    }

    pub(super) fn due(&self, span: i64) -> bool {
        self.pending > 0
            && (self.told == 0 || self.shares.has_news() || self.pending >= self.told || self.last.saturating_sub(self.told_at) >= span)
    }

    pub(super) fn add(&mut self, cell: &Cell) {
        if self.is_empty() {
            (self.first, self.last) = (cell.time, cell.time);
        }
        self.first = self.first.min(cell.time);
        self.last = self.last.max(cell.time);
        self.pending += u64::from(cell.count);
        self.shares.add(cell);
        // The first half of the evidence shows how it began, the second where it stands.
        if self.evidence.len() < EVIDENCE_MAX / 2 {
            self.evidence.push(cell.seq);
        } else {
            if self.evidence_tail.len() >= EVIDENCE_MAX - EVIDENCE_MAX / 2 {
                self.evidence_tail.pop_front();
            }
            self.evidence_tail.push_back(cell.seq);
        }
    }

    /// Reports what is pending.
    pub(super) fn tell(&mut self, observables: &Observables, bodies: &Bodies, news: &mut News<'_>) {
        if self.pending == 0 {
            return;
        }
        let mut evidence = std::mem::take(&mut self.evidence);
        evidence.extend(std::mem::take(&mut self.evidence_tail));
        evidence.sort_unstable();
        evidence.dedup();
        news.outcome.reports.push(Report {
            key: news.key.clone(),
            body: news.body,
            first: Timestamp(self.first),
            last: Timestamp(self.last),
            records: self.pending,
            evidence,
            observables: observables.clone(),
            shares: self.shares.take(bodies),
        });
        self.told += self.pending;
        self.pending = 0;
        self.told_at = self.last;
    }
}

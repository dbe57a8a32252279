//! Single records of files and memory: the newest ones, and the flows of given datagrams. Each question demands the
//! caller's scope; only the columns that it needs are read. Groups and sums are `ask`'s.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::chunk::Chunk;
use super::column::{Column, ColumnSet};
use super::file::FileInfo;
use super::read::Opened;
use super::scan::{FILTER_NONE, FlowRange, Halt, Judge};
use super::{FlowStore, FlowStoreError, View};
use crate::body::SiteTable;
use crate::flow::FlowRecord;
use crate::frame::Seq;
use crate::scope::Scope;
use crate::time::Timestamp;

/// Records of an answer at most.
const ROWS_MAX: usize = 10_000;

impl FlowStore {
    /// The records that match, the newest of the journal first. Of one datagram those of a compacted file are in its order.
    ///
    /// # Errors
    /// Where files cannot be opened for reasons of the system; damaged ones are set aside.
    pub fn list(&self, range: &FlowRange<'_>, limit: usize) -> Result<Vec<FlowRecord>, FlowStoreError> {
        self.again(|| {
            let view = self.view();
            let judge = Judge::new(range, &[]);
            let mut found = open_newest(&view, &judge, limit.min(ROWS_MAX));
            for info in view.files.iter().rev() {
                let left = limit.min(ROWS_MAX) - found.len();
                if left == 0 {
                    break;
                }
                if judge.may_hold(info) {
                    let newest = file_newest(info, &judge, left).map_err(|error| Halt { info: Arc::clone(info), error })?;
                    found.extend(newest);
                }
            }
            Ok(found)
        })
    }

    /// The flows of given datagrams, in their order: the evidence of an alert.
    ///
    /// # Errors
    /// As `list`.
    pub fn by_seq(&self, seqs: &[Seq], scope: &Scope, sites: &SiteTable) -> Result<Vec<FlowRecord>, FlowStoreError> {
        let mut seqs = seqs.to_vec();
        seqs.sort_unstable();
        seqs.dedup();
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let range = FlowRange { from: Timestamp(i64::MIN), to: Timestamp(i64::MAX), filter: FILTER_NONE, scope, sites };
        let make = || Records(Vec::new());
        let (workers, _) = self.scan_seqs(&range, &seqs, ColumnSet::ALL, 1, make)?;
        let mut found: Vec<FlowRecord> = workers.into_iter().flat_map(|worker| worker.0).collect();
        found.sort_by_key(|flow| flow.seq);
        found.truncate(ROWS_MAX);
        Ok(found)
    }
}

struct Records(Vec<FlowRecord>);

impl super::scan::Worker for Records {
    fn chunk(&mut self, chunk: &Chunk<'_>) -> ControlFlow<()> {
        self.0.extend(chunk.mask().rows().map(|row| chunk.record(row)));
        // Beyond what is shown nothing need be gathered; a chunk of slack keeps the memory bounded.
        if self.0.len() > ROWS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn open_newest(view: &View, judge: &Judge<'_>, limit: usize) -> Vec<FlowRecord> {
    let mut found: Vec<FlowRecord> = Vec::new();
    for chunk in view.open.iter().rev() {
        if found.len() >= limit {
            break;
        }
        judge.memory(&[chunk], ColumnSet::NONE, &mut |here| {
            let rows = here.mask().rows().rev().filter_map(|row| chunk.get(row).copied());
            found.extend(rows.take(limit - found.len()));
        });
    }
    found
}

/// The newest matches of a file. Its row groups are taken by their latest sequence, so that those of a compacted file, which
/// overlap, are looked at only as long as they may hold something newer than what is found. Records are made of the last ones only.
fn file_newest(info: &Arc<FileInfo>, judge: &Judge<'_>, limit: usize) -> Result<Vec<FlowRecord>, super::file::FileError> {
    let opened = Opened::open(info)?;
    let mut groups: Vec<(i64, usize)> = judge
        .with_wanted(|wanted| opened.groups(wanted))
        .into_iter()
        .map(|group| (opened.longs(group, Column::Seq).map_or(i64::MAX, |(_, max)| max), group))
        .collect();
    groups.sort_unstable_by_key(|key| Reverse(*key));
    // Sequence, row group, row in it.
    let mut best: Vec<(i64, usize, usize)> = Vec::new();
    for (latest, group) in groups {
        if best.len() >= limit && best.last().is_some_and(|(seq, ..)| *seq > latest) {
            break;
        }
        if judge.bloom_excludes(&opened, group)? {
            continue;
        }
        judge.group(&opened, group, ColumnSet::of(&[Column::Seq]), &mut |chunk| {
            let seqs = chunk.longs(Column::Seq);
            best.extend(chunk.mask().rows().filter_map(|row| Some((*seqs.get(row)?, group, row))));
        })?;
        best.sort_unstable_by_key(|key| Reverse(*key));
        best.truncate(limit);
    }
    let mut by_group: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for (place, (_, group, row)) in best.iter().enumerate() {
        by_group.entry(*group).or_default().push((*row, place));
    }
    let mut found: Vec<Option<FlowRecord>> = vec![None; best.len()];
    for (group, rows) in by_group {
        let batch = opened.read(group, ColumnSet::ALL)?;
        let mut chunk = Chunk::new(batch.rows);
        batch.fill(&mut chunk);
        for (row, place) in rows {
            if let Some(found) = found.get_mut(place) {
                *found = Some(chunk.record(row));
            }
        }
    }
    Ok(found.into_iter().flatten().collect())
}

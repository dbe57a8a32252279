//! A page of hits on its way: the newest ones before a cursor, as places that are read at the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use tantivy::{DocAddress, Searcher};

use super::stored::Lines;
use super::{Cursor, Pending, guarded};
use crate::event::Event;
use crate::frame::Seq;
use crate::time::Timestamp;

/// The newest hits before a cursor; one more than asked for, to know whether there are more.
pub(super) struct Page {
    limit: usize,
    pub(super) before: Option<Cursor>,
    pub(super) found: BTreeMap<Cursor, Source>,
    /// From when on everything was looked at, where a bound ended the search early.
    cut: Option<i64>,
}

/// Where a hit is.
pub(super) enum Source {
    Memory(Arc<Vec<Pending>>, usize),
    Stored(String, Searcher, DocAddress),
}

impl Source {
    /// The hit itself.
    ///
    /// # Errors
    /// The partition that cannot be read, and why.
    pub(super) fn event(self, lines: &mut Lines<'_>) -> Result<Event, (String, Box<dyn std::error::Error + Send + Sync>)> {
        match self {
            Self::Memory(chunk, n) => {
                chunk.get(n).map(|pending| pending.event.clone()).ok_or_else(|| (String::new(), "no such event".into()))
            }
            Self::Stored(partition, searcher, address) => guarded(|| lines.event(&searcher, address)).map_err(|error| (partition, error)),
        }
    }
}

impl Page {
    pub(super) fn new(limit: usize, before: Option<Cursor>) -> Self {
        Self { limit, before, found: BTreeMap::new(), cut: None }
    }

    /// Takes a hit if it is new enough; false where nothing older can come in any more.
    pub(super) fn offer(&mut self, cursor: Cursor, source: impl FnOnce() -> Source) -> bool {
        if self.before.is_some_and(|before| cursor >= before) {
            return true;
        }
        if self.found.len() > self.limit {
            if self.found.first_key_value().is_some_and(|(oldest, _)| cursor < *oldest) {
                // Of equal times the order within a segment is not the sequence's: only an older time ends it.
                return self.found.first_key_value().is_some_and(|(oldest, _)| cursor.timestamp == oldest.timestamp);
            }
            self.found.pop_first();
        }
        self.found.insert(cursor, source());
        true
    }

    /// Whether the page is full with hits at or after `time`.
    pub(super) fn is_full_above(&self, time: i64) -> bool {
        self.found.len() > self.limit && self.found.first_key_value().is_some_and(|(oldest, _)| oldest.timestamp.0 >= time)
    }

    /// Its hits, newest first, and where the next page begins. A page that came not a moment further back has no next one:
    /// that one would not either.
    pub(super) fn close(self) -> (Vec<(Cursor, Source)>, Option<Cursor>) {
        let (limit, before, cut) = (self.limit, self.before, self.cut);
        let mut newest_first = self.found.into_iter().rev();
        let hits: Vec<_> = newest_first.by_ref().take(limit).collect();
        let last = hits.last().map(|(cursor, _)| *cursor);
        let more = newest_first.next().is_some();
        let cut = cut.map(|from| Cursor { timestamp: Timestamp(from), seq: Seq(0) });
        let cut = cut.filter(|cut| before.is_none_or(|before| *cut < before));
        (hits, if more { last } else { cut })
    }

    pub(super) fn cut(&mut self, from: i64) {
        self.found = self.found.split_off(&Cursor { timestamp: Timestamp(from), seq: Seq(0) });
        self.cut = Some(from);
    }
}

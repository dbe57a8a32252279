//! All hits of a search, however many, one after the other: read in leaves of a bounded number of places, so that an
//! export of any size takes the memory of one leaf. What form they get is the caller's affair.

use std::ops::ControlFlow;

use super::search::{Leaf, leaf};
use super::stored::Lines;
use super::{Cursor, EventStore, SearchError, SearchRequest};
use crate::event::Event;

/// Hits whose places are held at once: some 100 bytes each, and one plan of the query for all of them.
const LEAF_HITS: usize = 16_384;

/// In which order hits are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    NewestFirst,
    /// Looks through everything twice: first for where the leaves begin.
    OldestFirst,
}

/// What became of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    pub events: u64,
    /// The last hit given. With `NewestFirst` the rest comes with it as `SearchRequest::before`.
    pub last: Option<Cursor>,
    /// Hits may be missing: it was ended, its time was over, or partitions could not be read.
    pub partial: bool,
    /// Of these the first two: hits are missing that no name in `damaged` accounts for.
    pub ended_early: bool,
    /// Partitions of the asked time that could not be read.
    pub damaged: Vec<String>,
}

impl EventStore {
    /// Gives every hit of the request to `each` until that breaks off. `limit` and `summary` have no meaning here;
    /// `time_max` is for each leaf of some thousand hits, `cancel` for all.
    ///
    /// # Errors
    /// Where the request makes no sense.
    pub fn export(
        &self,
        request: &SearchRequest,
        order: Order,
        each: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<Exported, SearchError> {
        self.export_by(request, order, LEAF_HITS, each)
    }

    pub(super) fn export_by(
        &self,
        request: &SearchRequest,
        order: Order,
        leaf_hits: usize,
        each: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<Exported, SearchError> {
        if let (Some(from), Some(to)) = (request.from, request.to)
            && from > to
        {
            return Err(SearchError::Reversed);
        }
        let request = self.asked_of(request).into_owned();
        let mut export = Export { store: self, request, leaf_hits, done: Exported::default() };
        match order {
            Order::NewestFirst => export.newest_first(each),
            Order::OldestFirst => export.oldest_first(each),
        }
        export.done.damaged.sort_unstable();
        export.done.damaged.dedup();
        Ok(export.done)
    }
}

struct Export<'a> {
    store: &'a EventStore,
    request: SearchRequest,
    leaf_hits: usize,
    done: Exported,
}

impl Export<'_> {
    fn newest_first(&mut self, each: &mut dyn FnMut(&Event) -> ControlFlow<()>) {
        loop {
            let leaf = self.leaf();
            let next = leaf.next;
            if self.give(leaf, None, false, each).is_break() {
                return;
            }
            match next {
                Some(next) => self.request.before = Some(next),
                None => return,
            }
        }
    }

    fn oldest_first(&mut self, each: &mut dyn FnMut(&Event) -> ControlFlow<()>) {
        // A cursor for each leaf of hits: bytes against thousands of them.
        let mut starts = vec![self.request.before];
        loop {
            let leaf = self.leaf();
            self.miss(&leaf);
            match leaf.next {
                Some(next) => starts.push(Some(next)),
                None => break,
            }
            self.request.before = leaf.next;
        }
        let mut older = None;
        // What came late into a leaf since its beginning was noted must not push its oldest hits out.
        self.leaf_hits *= 2;
        for start in starts.into_iter().rev() {
            self.request.before = start;
            let leaf = self.leaf();
            let short = leaf.next.is_some_and(|next| older.is_none_or(|older| next > older));
            self.done.partial |= short;
            self.done.ended_early |= short;
            if self.give(leaf, older, true, each).is_break() {
                return;
            }
            older = start;
        }
    }

    /// The next hits; read anew from the store, so that nothing of it is held over the whole export.
    fn leaf(&mut self) -> Leaf {
        let (store, request, hits) = (self.store, &self.request, self.leaf_hits);
        let views = store.snapshot();
        let read = super::guarded(|| Ok(leaf(&views, &store.redecode, request, hits)));
        read.unwrap_or_else(|_| Leaf { hits: vec![], next: None, partial: true, ended_early: true, damaged: vec![] })
    }

    /// Notes what a leaf lacks. A bound of time between two leaves costs nothing: the next one goes on there.
    fn miss(&mut self, leaf: &Leaf) {
        if leaf.next.is_none() {
            self.done.partial |= leaf.partial;
            self.done.ended_early |= leaf.ended_early;
        }
    }

    /// Gives a leaf's hits; none older than `floor`, which were given already.
    fn give(
        &mut self,
        leaf: Leaf,
        floor: Option<Cursor>,
        reversed: bool,
        each: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.miss(&leaf);
        self.done.damaged.extend(leaf.damaged);
        let mut hits = leaf.hits;
        if reversed {
            hits.reverse();
        }
        let mut lines = Lines::new(&self.store.redecode);
        for (cursor, source) in hits.into_iter().filter(|(cursor, _)| floor.is_none_or(|floor| *cursor >= floor)) {
            if self.request.cancel.is_cancelled() {
                (self.done.partial, self.done.ended_early) = (true, true);
                return ControlFlow::Break(());
            }
            match source.event(&mut lines) {
                Ok(event) => {
                    if each(&event).is_break() {
                        (self.done.partial, self.done.ended_early) = (true, true);
                        return ControlFlow::Break(());
                    }
                    self.done.events += 1;
                    self.done.last = Some(cursor);
                }
                Err((partition, error)) => {
                    tracing::error!(partition, %error, "event store: a line cannot be exported");
                    self.done.damaged.push(partition);
                    self.done.partial = true;
                }
            }
        }
        ControlFlow::Continue(())
    }
}

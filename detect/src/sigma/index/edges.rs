//! Texts that stand at an end of a value or are all of it, found by the value's outermost eight bytes.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::super::pattern::Place;
use super::filter::Filter;

/// Bytes that an edge has.
const EDGE: usize = 8;

/// The first and the last eight bytes of a value, nought where it has fewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edges {
    /// The first byte is the lowest.
    head: u64,
    /// The last byte is the highest.
    tail: u64,
    length: usize,
}

/// What the edge of a value must be for a text to stand there; whether it does is still to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    mask: u64,
    bytes: u64,
}

impl Edges {
    #[inline]
    pub(super) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let whole = |chunk: Option<&[u8; EDGE]>| chunk.map(|chunk| u64::from_le_bytes(*chunk));
        match (whole(bytes.first_chunk()), whole(bytes.last_chunk())) {
            (Some(head), Some(tail)) => Self { head, tail, length: bytes.len() },
            _ => {
                let head = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
                Self { head, tail: if bytes.is_empty() { 0 } else { head << (64 - 8 * bytes.len()) }, length: bytes.len() }
            }
        }
    }

    #[inline]
    pub(super) fn starts(&self, edge: Edge) -> bool {
        self.head & edge.mask == edge.bytes
    }

    #[inline]
    pub(super) fn ends(&self, edge: Edge) -> bool {
        self.tail & edge.mask == edge.bytes
    }

    /// Equal texts have the same.
    fn whole_key(&self) -> u64 {
        self.head ^ self.tail.rotate_left(29) ^ (self.length as u64) << 51
    }
}

impl Edge {
    pub(super) fn start(text: &str) -> Self {
        let mask = start_mask(text.len());
        Self { mask, bytes: Edges::of(text).head & mask }
    }

    pub(super) fn end(text: &str) -> Self {
        let mask = end_mask(text.len());
        Self { mask, bytes: Edges::of(text).tail & mask }
    }
}

fn start_mask(length: usize) -> u64 {
    u64::MAX.checked_shr(64 - 8 * u32::try_from(length.min(EDGE)).unwrap_or_default()).unwrap_or(0)
}

fn end_mask(length: usize) -> u64 {
    u64::MAX.checked_shl(64 - 8 * u32::try_from(length.min(EDGE)).unwrap_or_default()).unwrap_or(0)
}

/// A text and the rules that wait for it.
type Waited = (Box<str>, Vec<u32>);

/// Texts of one place, each with the rules that wait for it.
#[derive(Debug)]
pub(super) struct AtEdge {
    place: Place,
    /// By the number of their bytes that are looked at, ascending.
    masks: Vec<u64>,
    filter: Filter,
    texts: HashMap<u64, Vec<Waited>, RandomState>,
}

impl AtEdge {
    /// `place` is not `Anywhere`.
    pub(super) fn new(place: Place, all: Vec<(String, Vec<u32>)>) -> Self {
        let mut masks: Vec<u64> = Vec::new();
        let mut texts: HashMap<u64, Vec<Waited>, RandomState> = HashMap::default();
        for (text, rules) in all {
            let (mask, key) = match place {
                Place::Start => (start_mask(text.len()), Edge::start(&text).bytes),
                Place::End => (end_mask(text.len()), Edge::end(&text).bytes),
                Place::Whole | Place::Anywhere => (0, Edges::of(&text).whole_key()),
            };
            if !masks.contains(&mask) {
                masks.push(mask);
            }
            texts.entry(key).or_default().push((text.into_boxed_str(), rules));
        }
        Self { place, masks, filter: Filter::new(texts.keys().copied()), texts }
    }

    pub(super) fn find(&self, value: &str, edges: &Edges, found: &mut dyn FnMut(&[u32])) {
        for mask in &self.masks {
            let key = match self.place {
                Place::Start => edges.head & mask,
                Place::End => edges.tail & mask,
                Place::Whole | Place::Anywhere => edges.whole_key(),
            };
            if self.filter.may_have(key) {
                let here = self.texts.get(&key).into_iter().flatten().filter(|(text, _)| match self.place {
                    // Others of another length may have the same bytes.
                    Place::Start => value.starts_with(&**text) && start_mask(text.len()) == *mask,
                    Place::End => value.ends_with(&**text) && end_mask(text.len()) == *mask,
                    Place::Whole | Place::Anywhere => *value == **text,
                });
                here.for_each(|(_, rules)| found(rules));
            }
        }
    }
}

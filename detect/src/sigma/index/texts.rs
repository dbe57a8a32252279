//! Many texts looked for in one value: those that stand at its start or end by what stands there, those that stand
//! anywhere by the rarest four bytes of each. A filter in the first cache says of nearly every place of a value that
//! nothing begins there; an automaton over thousands of texts would take a step through memory for each byte.

use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::Span;
use aho_corasick::packed::Searcher;
use foldhash::fast::RandomState;

use super::super::pattern::Place;
use super::edges::{AtEdge, Edges};
use super::filter::Filter;

/// Texts in lower case, each with the rules that wait for it.
#[derive(Debug)]
pub(super) struct Texts {
    edges: Vec<AtEdge>,
    anywhere: Anywhere,
}

/// How often four bytes stand in what rules look for: what many rules speak of, records have often.
#[derive(Debug, Default)]
pub(super) struct Commonness(HashMap<u32, u32, RandomState>);

#[derive(Debug, Default)]
struct Anywhere {
    filter: Filter,
    /// Which of the needles have the gram.
    grams: HashMap<u32, Range<u32>, RandomState>,
    needles: Vec<Needle>,
    /// Finds the grams by the processor's wide registers, where they are few.
    few: Option<Searcher>,
    /// Texts of two or three bytes by the first two, one bit for each pair that there is.
    pairs: HashMap<u16, Vec<Needle>, RandomState>,
    pair_bits: Vec<u64>,
    /// Single bytes.
    bytes: Vec<Needle>,
}

#[derive(Debug)]
struct Needle {
    text: Box<[u8]>,
    /// Where the gram stands in it.
    gram_at: usize,
    rules: Vec<u32>,
}

/// Bytes of a gram.
const GRAM: usize = 4;
/// More of them than this would be found everywhere by what `Searcher` looks at first.
const FEW_GRAMS_MAX: usize = 64;
/// In shorter values the filter is as quick.
const FEW_FROM_BYTES: usize = 48;

impl Commonness {
    pub(super) fn add(&mut self, text: &str) {
        for gram in grams(text.as_bytes()) {
            *self.0.entry(gram).or_default() += 1;
        }
    }

    /// Of the gram of a text that is the rarest: how often it stands in what rules look for, and where in the text.
    pub(super) fn rarest(&self, text: &str) -> Option<(u32, usize)> {
        let counted = grams(text.as_bytes()).enumerate().map(|(at, gram)| (self.0.get(&gram).copied().unwrap_or(0), at));
        counted.min_by_key(|(count, at)| (*count, std::cmp::Reverse(*at)))
    }

    /// That gram.
    pub(super) fn rarest_gram(&self, text: &str) -> Option<u32> {
        let (_, at) = self.rarest(text)?;
        grams(text.as_bytes()).nth(at)
    }
}

/// Every four bytes that stand together in a text.
pub(super) fn grams(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.windows(GRAM).map(|window| window.try_into().map_or(0, u32::from_le_bytes))
}

impl Texts {
    /// `texts` are each another one.
    pub(super) fn new(texts: impl Iterator<Item = (Place, String, Vec<u32>)>, commonness: &Commonness) -> Option<Self> {
        let mut at_edge: HashMap<Place, Vec<(String, Vec<u32>)>> = HashMap::new();
        let mut needles = Vec::new();
        for (place, text, rules) in texts {
            if place == Place::Anywhere {
                let gram_at = commonness.rarest(&text).map_or(0, |(_, at)| at);
                needles.push(Needle { text: text.into_bytes().into(), gram_at, rules });
            } else {
                at_edge.entry(place).or_default().push((text, rules));
            }
        }
        let edges: Vec<AtEdge> = at_edge.into_iter().map(|(place, texts)| AtEdge::new(place, texts)).collect();
        (!edges.is_empty() || !needles.is_empty()).then(|| Self { edges, anywhere: Anywhere::new(needles) })
    }

    pub(super) fn find(&self, value: &str, edges: &Edges, found: &mut dyn FnMut(&[u32])) {
        self.edges.iter().for_each(|texts| texts.find(value, edges, found));
        self.anywhere.find(value.as_bytes(), found);
    }
}

impl Needle {
    fn gram(&self) -> Option<u32> {
        self.text.get(self.gram_at..)?.first_chunk().map(|gram| u32::from_le_bytes(*gram))
    }
}

impl Anywhere {
    fn new(all: Vec<Needle>) -> Self {
        let mut new = Self::default();
        for needle in all {
            match (needle.gram(), needle.text.first_chunk()) {
                (Some(_), _) => new.needles.push(needle),
                (None, Some(pair)) => new.pairs.entry(u16::from_le_bytes(*pair)).or_default().push(needle),
                (None, None) => new.bytes.push(needle),
            }
        }
        new.needles.sort_unstable_by(|one, other| (one.gram(), &one.text).cmp(&(other.gram(), &other.text)));
        for (needle, place) in new.needles.iter().zip(0..) {
            new.grams.entry(needle.gram().unwrap_or_default()).or_insert(place..place).end = place + 1;
        }
        new.filter = Filter::new(new.grams.keys().map(|gram| u64::from(*gram)));
        if (1..=FEW_GRAMS_MAX).contains(&new.grams.len()) {
            new.few = Searcher::new(new.grams.keys().map(|gram| gram.to_le_bytes()));
        }
        if !new.pairs.is_empty() {
            new.pair_bits = vec![0; 1 << 10];
            for pair in new.pairs.keys() {
                if let Some(word) = new.pair_bits.get_mut(usize::from(pair >> 6)) {
                    *word |= 1 << (pair & 63);
                }
            }
        }
        new
    }

    fn find(&self, bytes: &[u8], found: &mut dyn FnMut(&[u32])) {
        if let Some(few) = self.few.as_ref().filter(|_| bytes.len() >= FEW_FROM_BYTES) {
            let mut span = Span { start: 0, end: bytes.len() };
            while let Some(hit) = few.find_in(bytes, span) {
                let gram = bytes.get(hit.start()..).and_then(|behind| behind.first_chunk()).map_or(0, |gram| u32::from_le_bytes(*gram));
                self.verify(bytes, hit.start(), gram, found);
                span.start = hit.start() + 1;
            }
        } else if !self.needles.is_empty() {
            for (at, gram) in grams(bytes).enumerate() {
                if self.filter.may_have(gram.into()) {
                    self.verify(bytes, at, gram, found);
                }
            }
        }
        if !self.pairs.is_empty() {
            for (at, pair) in bytes.windows(2).enumerate() {
                let pair = pair.try_into().map_or(0, u16::from_le_bytes);
                if self.pair_bits.get(usize::from(pair >> 6)).is_some_and(|word| word >> (pair & 63) & 1 == 1) {
                    let behind = bytes.get(at..).unwrap_or_default();
                    let needles = self.pairs.get(&pair).into_iter().flatten();
                    needles.filter(|needle| behind.starts_with(&needle.text)).for_each(|needle| found(&needle.rules));
                }
            }
        }
        for needle in &self.bytes {
            if needle.text.first().is_some_and(|byte| bytes.contains(byte)) {
                found(&needle.rules);
            }
        }
    }

    #[cold]
    fn verify(&self, bytes: &[u8], at: usize, gram: u32, found: &mut dyn FnMut(&[u32])) {
        let Some(range) = self.grams.get(&gram) else { return };
        for needle in self.needles.get(range.start as usize..range.end as usize).into_iter().flatten() {
            let from = at.checked_sub(needle.gram_at);
            if from.and_then(|from| bytes.get(from..)).is_some_and(|behind| behind.starts_with(&needle.text)) {
                found(&needle.rules);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against asking for each text by itself.
        #[test]
        fn every_text_is_found_where_it_stands(
            texts in proptest::collection::btree_set((0..4usize, "[abc]{0,5}|[ab]{6,12}|[aäß]{1,4}"), 0..40),
            values in proptest::collection::vec("[abc]{0,6}|[ab]{4,20}|[abc]{48,80}|[aäß]{0,5}", 1..6),
        ) {
            let places = [Place::Whole, Place::Start, Place::End, Place::Anywhere];
            // An empty text is looked for as a whole only.
            let texts: Vec<(Place, String)> =
                texts.into_iter().map(|(place, text)| (if text.is_empty() { Place::Whole } else { places[place] }, text)).collect();
            let texts: std::collections::HashSet<(Place, String)> = texts.into_iter().collect();
            let texts: Vec<(Place, String)> = texts.into_iter().collect();
            let mut commonness = Commonness::default();
            texts.iter().step_by(2).for_each(|(_, text)| commonness.add(text));
            let all = texts.iter().zip(0..).map(|((place, text), rule)| (*place, text.clone(), vec![rule]));
            let Some(built) = Texts::new(all, &commonness) else { return Ok(()) };
            for value in values {
                let mut found = std::collections::BTreeSet::new();
                built.find(&value, &Edges::of(&value), &mut |rules| found.extend(rules.iter().copied()));
                let expected = (0u32..).zip(&texts).filter(|(_, (place, text))| match place {
                    Place::Whole => value == *text,
                    Place::Start => value.starts_with(&**text),
                    Place::End => value.ends_with(&**text),
                    Place::Anywhere => value.contains(&**text),
                });
                prop_assert_eq!(found, expected.map(|(rule, _)| rule).collect(), "{:?} in {:?}", texts, value);
            }
        }
    }
}

//! Many texts looked for in one value: those that stand at its start or end by a hash of what stands there, those that
//! stand anywhere by the rarest four bytes of each. A filter in the first cache says of nearly every place of a value
//! that nothing begins there; an automaton over thousands of texts would take a step through memory for each byte.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::super::pattern::Place;

/// Texts in lower case, each with the rules that wait for it.
#[derive(Debug, Default)]
pub(super) struct Texts {
    starts: Ends,
    ends: Ends,
    anywhere: Anywhere,
}

/// How often four bytes stand in what rules look for: what many rules speak of, records have often.
#[derive(Debug, Default)]
pub(super) struct Commonness(HashMap<u32, u32, RandomState>);

/// Texts at one end of a value, by their length and the text.
#[derive(Debug, Default)]
struct Ends {
    /// Ascending.
    lengths: Vec<usize>,
    rules: HashMap<Box<[u8]>, Vec<u32>, RandomState>,
}

#[derive(Debug, Default)]
struct Anywhere {
    /// One bit each for the hashes of the grams in `grams`.
    filter: Vec<u64>,
    /// The hash's bits that the filter has room for.
    shift: u32,
    grams: HashMap<u32, Vec<Needle>, RandomState>,
    /// Texts of two or three bytes by the first two, one bit of the filter for each pair that there is.
    pairs: HashMap<u16, Vec<Needle>, RandomState>,
    pair_filter: Vec<u64>,
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
/// Bits of the filter for each text: one place in a hundred passes without reason.
const FILTER_BITS: usize = 96;
/// Texts at an end are looked up by a few lengths only; longer ones by the nearest below.
const LENGTHS: [usize; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 14];

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
}

fn grams(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.windows(GRAM).map(|window| window.try_into().map_or(0, u32::from_le_bytes))
}

impl Texts {
    /// `texts` are each another one.
    pub(super) fn new(texts: impl Iterator<Item = (Place, String, Vec<u32>)>, commonness: &Commonness) -> Option<Self> {
        let mut all = Self::default();
        let mut any = false;
        for (place, text, rules) in texts {
            any = true;
            match place {
                Place::Start => all.starts.add(text.as_bytes(), Place::Start, rules),
                Place::End => all.ends.add(text.as_bytes(), Place::End, rules),
                Place::Anywhere | Place::Whole => {
                    let gram_at = commonness.rarest(&text).map_or(0, |(_, at)| at);
                    all.anywhere.add(Needle { text: text.into_bytes().into(), gram_at, rules });
                }
            }
        }
        all.anywhere.finish();
        any.then_some(all)
    }

    pub(super) fn find(&self, value: &str, found: &mut dyn FnMut(&Vec<u32>)) {
        let bytes = value.as_bytes();
        for length in &self.starts.lengths {
            let Some(start) = bytes.get(..*length) else { break };
            self.starts.rules.get(start).into_iter().for_each(&mut *found);
        }
        for length in &self.ends.lengths {
            let Some(end) = bytes.len().checked_sub(*length).and_then(|from| bytes.get(from..)) else { break };
            self.ends.rules.get(end).into_iter().for_each(&mut *found);
        }
        self.anywhere.find(bytes, found);
    }
}

impl Ends {
    fn add(&mut self, text: &[u8], place: Place, rules: Vec<u32>) {
        let length = LENGTHS.into_iter().rev().find(|length| *length <= text.len()).unwrap_or(0);
        let part = if place == Place::Start { text.get(..length) } else { text.get(text.len() - length..) };
        let known = self.rules.entry(part.unwrap_or_default().into()).or_default();
        known.extend(rules);
        known.sort_unstable();
        known.dedup();
        if let Err(at) = self.lengths.binary_search(&length) {
            self.lengths.insert(at, length);
        }
    }
}

impl Anywhere {
    fn add(&mut self, needle: Needle) {
        let gram = needle.text.get(needle.gram_at..needle.gram_at + GRAM).and_then(|gram| gram.try_into().ok()).map(u32::from_le_bytes);
        match gram {
            Some(gram) => self.grams.entry(gram).or_default().push(needle),
            None => match needle.text.first_chunk() {
                Some(pair) => self.pairs.entry(u16::from_le_bytes(*pair)).or_default().push(needle),
                None => self.bytes.push(needle),
            },
        }
    }

    fn finish(&mut self) {
        if !self.pairs.is_empty() {
            self.pair_filter = vec![0; 1 << 10];
            for pair in self.pairs.keys() {
                if let Some(word) = self.pair_filter.get_mut(usize::from(pair >> 6)) {
                    *word |= 1 << (pair & 63);
                }
            }
        }
        if self.grams.is_empty() {
            return;
        }
        let bits = (self.grams.len() * FILTER_BITS).next_power_of_two().max(64);
        self.shift = 32 - bits.trailing_zeros().min(24);
        self.filter = vec![0; 1 << (32 - self.shift - 6)];
        for gram in self.grams.keys() {
            let (word, bit) = place_of(*gram, self.shift);
            if let Some(word) = self.filter.get_mut(word) {
                *word |= 1 << bit;
            }
        }
    }

    fn find(&self, bytes: &[u8], found: &mut dyn FnMut(&Vec<u32>)) {
        if !self.filter.is_empty() {
            for (at, gram) in grams(bytes).enumerate() {
                let (word, bit) = place_of(gram, self.shift);
                if self.filter.get(word).is_some_and(|word| word >> bit & 1 == 1) {
                    self.verify(bytes, at, gram, found);
                }
            }
        }
        if !self.pair_filter.is_empty() {
            for (at, pair) in bytes.windows(2).enumerate() {
                let pair = pair.try_into().map_or(0, u16::from_le_bytes);
                if self.pair_filter.get(usize::from(pair >> 6)).is_some_and(|word| word >> (pair & 63) & 1 == 1) {
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
    fn verify(&self, bytes: &[u8], at: usize, gram: u32, found: &mut dyn FnMut(&Vec<u32>)) {
        for needle in self.grams.get(&gram).into_iter().flatten() {
            let from = at.checked_sub(needle.gram_at);
            if from.and_then(|from| bytes.get(from..)).is_some_and(|behind| behind.starts_with(&needle.text)) {
                found(&needle.rules);
            }
        }
    }
}

/// The filter's word and bit of a gram: the upper bits of a product depend on all of it.
fn place_of(gram: u32, shift: u32) -> (usize, u32) {
    let hash = gram.wrapping_mul(0x9E37_79B1) >> shift;
    ((hash >> 6) as usize, hash & 63)
}

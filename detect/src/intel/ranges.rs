//! Which prefixes name an address: those of one family as disjoint ranges in order, so that one search
//! finds every prefix around it. A million of them take some 20 MB, and a lookup reads a handful of
//! cache lines: the upper 16 bits say where to search.

/// An address as a number.
pub(super) trait Number: Copy + Ord {
    /// The upper 16 bits.
    fn upper(self) -> usize;
    /// The next one; `None` behind the last.
    fn next(self) -> Option<Self>;
}

impl Number for u32 {
    fn upper(self) -> usize {
        (self >> 16) as usize
    }
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Number for u128 {
    fn upper(self) -> usize {
        (self >> 112) as usize
    }
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

/// How many upper halves there are, and one more for the end.
const HEADS: usize = (1 << 16) + 1;
/// The place of the empty set in `members`.
const NOBODY: u32 = 0;

/// The ranges of one family.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges<T> {
    /// Where a range begins; it ends before the next.
    starts: Vec<T>,
    /// Of each range, where its set begins in `members`.
    sets: Vec<u32>,
    /// Sets one after another: how many, then who, the narrowest first.
    members: Vec<u32>,
    /// By upper half, the first range that begins there or later. Empty where there are no ranges.
    heads: Vec<u32>,
}

impl<T: Number> Ranges<T> {
    /// From (first, last, who). Ranges lie within each other or apart, as prefixes do.
    pub(super) fn new(mut named: Vec<(T, T, u32)>) -> Self {
        named.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2)));
        let mut ranges = Self { starts: Vec::new(), sets: Vec::new(), members: vec![0], heads: Vec::new() };
        // The ranges around the current place, the widest first, each with the set that holds within it.
        let mut around: Vec<(T, u32, u32)> = Vec::new();
        for (first, last, who) in named {
            ranges.leave(&mut around, Some(first));
            let set = u32::try_from(ranges.members.len()).unwrap_or(NOBODY);
            ranges.members.push(u32::try_from(around.len() + 1).unwrap_or(0));
            ranges.members.push(who);
            ranges.members.extend(around.iter().rev().map(|(_, who, _)| *who));
            around.push((last, who, set));
            ranges.begin(first, set);
        }
        ranges.leave(&mut around, None);
        ranges.starts.shrink_to_fit();
        ranges.sets.shrink_to_fit();
        ranges.members.shrink_to_fit();
        if !ranges.starts.is_empty() {
            ranges.heads = Vec::with_capacity(HEADS);
            for (place, start) in (0u32..).zip(&ranges.starts) {
                let missing = (start.upper() + 1).saturating_sub(ranges.heads.len());
                ranges.heads.extend(std::iter::repeat_n(place, missing));
            }
            let end = u32::try_from(ranges.starts.len()).unwrap_or(u32::MAX);
            ranges.heads.resize(HEADS, end);
        }
        ranges
    }

    /// Ends the ranges that are over before `next`: behind each, what is around it holds again.
    fn leave(&mut self, around: &mut Vec<(T, u32, u32)>, next: Option<T>) {
        while let Some((last, ..)) = around.last().copied().filter(|(last, ..)| next.is_none_or(|next| *last < next)) {
            around.pop();
            if let Some(behind) = last.next() {
                self.begin(behind, around.last().map_or(NOBODY, |(.., set)| *set));
            }
        }
    }

    fn begin(&mut self, start: T, set: u32) {
        if self.starts.last() == Some(&start) {
            // Wider ranges that end or begin at the same place.
            if let Some(last) = self.sets.last_mut() {
                *last = set;
            }
        } else {
            self.starts.push(start);
            self.sets.push(set);
        }
    }

    /// Who names the address, the narrowest first.
    pub(super) fn find(&self, address: T) -> &[u32] {
        let upper = address.upper();
        let (Some(from), Some(to)) = (self.heads.get(upper), self.heads.get(upper + 1)) else { return &[] };
        let (from, to) = (*from as usize, *to as usize);
        let within = self.starts.get(from..to).unwrap_or_default().partition_point(|start| *start <= address);
        let Some(set) = (from + within).checked_sub(1).and_then(|place| self.sets.get(place)) else { return &[] };
        let set = *set as usize;
        let count = self.members.get(set).copied().unwrap_or(0) as usize;
        self.members.get(set + 1..set + 1 + count).unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> usize {
        self.starts.len() * size_of::<T>() + (self.sets.len() + self.members.len() + self.heads.len()) * 4
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Beside asking every prefix: nested, touching, repeated, at both ends of the numbers.
        #[test]
        fn beside_asking_each(prefixes in prop::collection::vec((any::<u32>(), 0u32..=32), 0..40), asked in prop::collection::vec(any::<u32>(), 0..20)) {
            // Few different addresses, so that they meet.
            let narrow = |address: u32| address & 0x8000_0703 | if address & 0x10 > 0 { 0x7fff_f8fc } else { 0 };
            let named: Vec<(u32, u32, u32)> = (0u32..).zip(&prefixes).map(|(who, (address, bits))| {
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                (narrow(*address) & mask, narrow(*address) | !mask, who)
            }).collect();
            let ranges = Ranges::new(named.clone());
            let edges = named.iter().flat_map(|(first, last, _)| [*first, *last, first.wrapping_sub(1), last.wrapping_add(1)]);
            for address in asked.into_iter().map(narrow).chain(edges) {
                let mut found = ranges.find(address).to_vec();
                let widths: Vec<u32> = found.iter().map(|who| named[*who as usize].1 - named[*who as usize].0).collect();
                prop_assert!(widths.is_sorted(), "the narrowest first: {widths:?}");
                found.sort_unstable();
                let expected: Vec<u32> = named.iter().filter(|(first, last, _)| (*first..=*last).contains(&address)).map(|(.., who)| *who).collect();
                prop_assert_eq!(found, expected, "{:x}", address);
            }
        }
    }

    #[test]
    fn memory_of_many() {
        let named: Vec<(u32, u32, u32)> = (0..200_000u32).map(|n| n.wrapping_mul(0x9e37_79b1)).map(|n| (n, n, n)).collect();
        let ranges = Ranges::new(named);
        assert!(ranges.bytes() < 200_000 * 24 + 300_000, "{}", ranges.bytes());
        assert_eq!(ranges.find(0x9e37_79b1), [0x9e37_79b1]);
        assert_eq!(Ranges::<u128>::new(vec![]).find(7), [0; 0]);
    }
}

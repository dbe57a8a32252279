//! Sets of a segment's documents, and pairs of them: what surely matches and what may. With the pair a query may mix
//! what the index answers exactly with what only the stored line can tell, under AND, OR and NOT alike.

/// Documents of one segment within `lo..hi`, as bits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Docs {
    lo: u32,
    hi: u32,
    bits: Vec<u64>,
}

impl Docs {
    pub(super) fn none(lo: u32, hi: u32) -> Self {
        Self { lo, hi, bits: vec![0; (hi.saturating_sub(lo) as usize).div_ceil(64)] }
    }

    pub(super) fn all(lo: u32, hi: u32) -> Self {
        let mut all = Self::none(lo, hi);
        all.negate();
        all
    }

    /// Documents outside the range are ignored.
    pub(super) fn insert(&mut self, doc: u32) {
        let Some(place) = doc.checked_sub(self.lo).filter(|_| doc < self.hi) else { return };
        if let Some(bits) = self.bits.get_mut(place as usize / 64) {
            *bits |= 1 << (place % 64);
        }
    }

    pub(super) fn contains(&self, doc: u32) -> bool {
        let place = doc.checked_sub(self.lo).filter(|_| doc < self.hi);
        place.and_then(|place| Some(self.bits.get(place as usize / 64)? >> (place % 64) & 1 == 1)).unwrap_or(false)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bits.iter().all(|bits| *bits == 0)
    }

    pub(super) fn and(&mut self, other: &Self) {
        self.bits.iter_mut().zip(&other.bits).for_each(|(a, b)| *a &= b);
    }

    pub(super) fn or(&mut self, other: &Self) {
        self.bits.iter_mut().zip(&other.bits).for_each(|(a, b)| *a |= b);
    }

    pub(super) fn and_not(&mut self, other: &Self) {
        self.bits.iter_mut().zip(&other.bits).for_each(|(a, b)| *a &= !b);
    }

    pub(super) fn negate(&mut self) {
        self.bits.iter_mut().for_each(|bits| *bits = !*bits);
        let spare = self.bits.len() as u32 * 64 - self.hi.saturating_sub(self.lo);
        if let Some(last) = self.bits.last_mut() {
            *last &= u64::MAX >> spare;
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.bits.iter().map(|bits| u64::from(bits.count_ones())).sum()
    }

    /// The first one at or behind `doc`.
    pub(super) fn next(&self, doc: u32) -> Option<u32> {
        let place = doc.saturating_sub(self.lo);
        let mut word = place as usize / 64;
        let mut bits = self.bits.get(word)? & (u64::MAX << (place % 64));
        while bits == 0 {
            word += 1;
            bits = *self.bits.get(word)?;
        }
        Some(self.lo + word as u32 * 64 + bits.trailing_zeros())
    }

    /// How many there are in `from..to`.
    pub(super) fn count(&self, from: u32, to: u32) -> u64 {
        let (from, to) = (from.max(self.lo) - self.lo, to.min(self.hi).saturating_sub(self.lo));
        if from >= to {
            return 0;
        }
        let (first, last) = (from as usize / 64, (to - 1) as usize / 64);
        let words = self.bits.iter().enumerate().skip(first).take(last - first + 1);
        words
            .map(|(n, bits)| {
                let behind = if n == first { u64::MAX << (from % 64) } else { u64::MAX };
                let before = if n == last { u64::MAX >> (63 - (to - 1) % 64) } else { u64::MAX };
                u64::from((bits & behind & before).count_ones())
            })
            .sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.bits.iter().zip((self.lo..).step_by(64)).flat_map(|(bits, first)| {
            let mut left = *bits;
            std::iter::from_fn(move || {
                let place = left.trailing_zeros();
                left &= left.checked_sub(1)?;
                Some(first + place)
            })
        })
    }
}

/// What surely matches, and what may: certain ⊆ the true answer ⊆ possible.
#[derive(Clone, Debug)]
pub(super) struct Sure {
    pub(super) certain: Docs,
    pub(super) possible: Docs,
}

impl Sure {
    pub(super) fn exactly(docs: Docs) -> Self {
        Self { certain: docs.clone(), possible: docs }
    }

    pub(super) fn all(lo: u32, hi: u32) -> Self {
        Self::exactly(Docs::all(lo, hi))
    }

    pub(super) fn none(lo: u32, hi: u32) -> Self {
        Self::exactly(Docs::none(lo, hi))
    }

    /// Nothing is known.
    pub(super) fn unknown(lo: u32, hi: u32) -> Self {
        Self { certain: Docs::none(lo, hi), possible: Docs::all(lo, hi) }
    }

    pub(super) fn and(&mut self, other: &Self) {
        self.certain.and(&other.certain);
        self.possible.and(&other.possible);
    }

    pub(super) fn or(&mut self, other: &Self) {
        self.certain.or(&other.certain);
        self.possible.or(&other.possible);
    }

    #[must_use]
    pub(super) fn not(self) -> Self {
        let (mut certain, mut possible) = (self.possible, self.certain);
        certain.negate();
        possible.negate();
        Self { certain, possible }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_agree_with_a_set(lo in 0u32..200, length in 0u32..200, inserted in prop::collection::vec(0u32..500, 0..50)) {
            let hi = lo + length;
            let mut docs = Docs::none(lo, hi);
            inserted.iter().for_each(|doc| docs.insert(*doc));
            let set: BTreeSet<u32> = inserted.into_iter().filter(|doc| (lo..hi).contains(doc)).collect();
            prop_assert_eq!(docs.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert!((0..500).all(|doc| docs.contains(doc) == set.contains(&doc)));
            prop_assert_eq!(docs.is_empty(), set.is_empty());
            prop_assert_eq!(docs.len(), set.len() as u64);
            for from in (0..500).step_by(7) {
                prop_assert_eq!(docs.next(from), set.range(from..).next().copied());
                for to in (0..500).step_by(11) {
                    prop_assert_eq!(docs.count(from, to), set.iter().filter(|doc| (from..to).contains(doc)).count() as u64);
                }
            }
            docs.negate();
            prop_assert_eq!(docs.iter().collect::<Vec<_>>(), (lo..hi).filter(|doc| !set.contains(doc)).collect::<Vec<_>>());
        }
    }
}

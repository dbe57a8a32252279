//! Percentiles and numbers of different values: exact while they are few, then by sketches of bounded size.
//!
//! A percentile beyond `EXACT_VALUES_MAX` values comes from bins whose ends differ by 2 %: what is told is within 1 % of
//! the value that has that rank. A number of different values beyond `EXACT_DISTINCT_MAX` comes from a HyperLogLog of 2^14
//! registers: 0.8 % standard error. Forty lines each, so that no crate is needed and merging is ours to prove.

use std::collections::{BTreeMap, HashSet};

use foldhash::fast::RandomState;

/// Values of one group kept as they are: 800 KB.
pub(super) const EXACT_VALUES_MAX: usize = 100_000;
/// Different values of one group kept by their hashes, about 18 MB. Two of a million share a 64-bit hash once in 40 million times.
pub(super) const EXACT_DISTINCT_MAX: usize = 1_000_000;
/// From here on a sketch is smaller than what it replaces.
const SHORT_VALUES_MIN: usize = 2_048;

/// Bytes left for all groups together.
#[derive(Clone, Debug)]
pub(super) struct Room {
    used: usize,
    max: usize,
    /// Something found no room.
    pub(super) lost: bool,
}

impl Room {
    pub(super) fn new(max: usize) -> Self {
        Self { used: 0, max, lost: false }
    }

    /// Takes bytes, if they are there.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let fits = self.used.saturating_add(bytes) <= self.max;
        if fits {
            self.used += bytes;
        }
        self.lost |= !fits;
        fits
    }

    fn give(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }
}

/// The ratio of a bin's ends.
const GAMMA: f64 = 1.01 / 0.99;
/// A bin in the tree with its share of nodes.
const BIN_BYTES: usize = 24;

/// Numbers of which percentiles are asked.
#[derive(Clone, Debug)]
pub(super) enum Quantiles {
    Exact(Vec<i64>),
    Bins(BTreeMap<i32, u64>),
}

impl Quantiles {
    pub(super) fn add(&mut self, value: i64, room: &mut Room) {
        if let Self::Exact(values) = self {
            // A growing vector holds up to twice what it needs.
            if values.len() < EXACT_VALUES_MAX && room.take(2 * size_of::<i64>()) {
                values.push(value);
                return;
            }
            if values.len() < SHORT_VALUES_MIN {
                return;
            }
            self.sketched(room);
        }
        self.add_bin(bin(value), 1, room);
    }

    pub(super) fn merge(&mut self, other: Self, room: &mut Room) {
        match other {
            Self::Exact(values) => values.into_iter().for_each(|value| self.add(value, room)),
            Self::Bins(bins) => {
                self.sketched(room);
                bins.into_iter().for_each(|(bin, count)| self.add_bin(bin, count, room));
            }
        }
    }

    /// The smallest value that `percent` of a hundred values do not exceed.
    pub(super) fn percentile(&mut self, percent: u8) -> Option<i64> {
        let rank = |count: u64| (count * u64::from(percent)).div_ceil(100).max(1);
        match self {
            Self::Exact(values) => {
                let place = usize::try_from(rank(values.len() as u64)).ok()?.checked_sub(1).filter(|place| *place < values.len())?;
                Some(*values.select_nth_unstable(place).1)
            }
            Self::Bins(bins) => {
                let mut left = rank(bins.values().sum());
                bins.iter()
                    .find(|(_, count)| {
                        let found = left <= **count;
                        left = left.saturating_sub(**count);
                        found
                    })
                    .map(|(bin, _)| middle(*bin))
            }
        }
    }

    fn sketched(&mut self, room: &mut Room) {
        let Self::Exact(values) = self else { return };
        let values = std::mem::take(values);
        room.give(values.len() * 2 * size_of::<i64>());
        *self = Self::Bins(BTreeMap::new());
        values.into_iter().for_each(|value| self.add_bin(bin(value), 1, room));
    }

    fn add_bin(&mut self, bin: i32, count: u64, room: &mut Room) {
        let Self::Bins(bins) = self else { return };
        if let Some(held) = bins.get_mut(&bin) {
            *held += count;
        } else if room.take(BIN_BYTES) || bins.is_empty() {
            bins.insert(bin, count);
        } else {
            // No room for another one: its neighbour takes it, and the table says that it is not all.
            let above = bins.range(bin..).next().map(|(near, _)| *near);
            let near = above.or_else(|| bins.keys().next_back().copied());
            if let Some(held) = near.and_then(|near| bins.get_mut(&near)) {
                *held += count;
            }
        }
    }
}

/// 0 for 0, from 1 on for 1 and more, downward for what is negative.
fn bin(value: i64) -> i32 {
    let size = value.unsigned_abs();
    if size == 0 {
        return 0;
    }
    let place = ((size as f64).ln() / GAMMA.ln()).ceil() as i32 + 1;
    if value < 0 { -place } else { place }
}

fn middle(bin: i32) -> i64 {
    if bin == 0 {
        return 0;
    }
    let size = (2.0 * GAMMA.powi(bin.abs() - 1) / (GAMMA + 1.0)).round() as i64;
    if bin < 0 { -size } else { size }
}

/// Registers of a HyperLogLog.
const REGISTERS_BITS: u32 = 14;
const REGISTERS: usize = 1 << REGISTERS_BITS;
/// A hash in a set, with the set's free places.
const HASH_BYTES: usize = 18;

/// Different values, by their hashes.
#[derive(Clone, Debug)]
pub(super) enum Distinct {
    Exact(HashSet<u64, RandomState>),
    Registers(Box<[u8]>),
}

impl Distinct {
    pub(super) fn add(&mut self, hash: u64, room: &mut Room) {
        if let Self::Exact(hashes) = self {
            if hashes.contains(&hash) {
                return;
            }
            if hashes.len() < EXACT_DISTINCT_MAX && room.take(HASH_BYTES) {
                hashes.insert(hash);
                return;
            }
            if hashes.len() < SHORT_VALUES_MIN {
                return;
            }
            self.sketched(room);
        }
        self.register(hash);
    }

    pub(super) fn merge(&mut self, other: Self, room: &mut Room) {
        match other {
            Self::Exact(hashes) => hashes.into_iter().for_each(|hash| self.add(hash, room)),
            Self::Registers(theirs) => {
                self.sketched(room);
                if let Self::Registers(mine) = self {
                    mine.iter_mut().zip(theirs.iter()).for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
                }
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Exact(hashes) => hashes.len() as u64,
            Self::Registers(registers) => estimate(registers),
        }
    }

    fn sketched(&mut self, room: &mut Room) {
        let Self::Exact(hashes) = self else { return };
        let hashes = std::mem::take(hashes);
        room.give(hashes.len() * HASH_BYTES);
        room.take(REGISTERS);
        *self = Self::Registers(vec![0; REGISTERS].into());
        hashes.into_iter().for_each(|hash| self.register(hash));
    }

    fn register(&mut self, hash: u64) {
        let Self::Registers(registers) = self else { return };
        let place = (hash >> (64 - REGISTERS_BITS)) as usize;
        // The first one among the other bits; the last one is set so that there is one.
        let first = ((hash << REGISTERS_BITS) | (1 << (REGISTERS_BITS - 1))).leading_zeros() as u8 + 1;
        if let Some(register) = registers.get_mut(place) {
            *register = (*register).max(first);
        }
    }
}

/// Ertl 2017 (arXiv 1702.01284), algorithm 6: without the bias that the first estimator has where registers fill up.
fn estimate(registers: &[u8]) -> u64 {
    let size = REGISTERS as f64;
    let last = (64 - REGISTERS_BITS) as u8 + 1;
    let share = |value: u8| registers.iter().filter(|register| **register == value).count() as f64 / size;
    let mut sum: f64 = size * full(1.0 - share(last)) * 2f64.powi(1 - i32::from(last));
    sum += registers.iter().filter(|register| (1..last).contains(*register)).map(|register| 2f64.powi(-i32::from(*register))).sum::<f64>();
    sum += size * empty(share(0));
    (size * size / (2.0 * std::f64::consts::LN_2 * sum)).round() as u64
}

/// What registers that are still empty add (the paper's sigma).
fn empty(mut share: f64) -> f64 {
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let (mut sum, mut factor, mut before) = (share, 1.0, f64::NAN);
    while sum != before {
        before = sum;
        share *= share;
        sum += share * factor;
        factor += factor;
    }
    sum
}

/// What registers that can hold no more add (the paper's tau).
fn full(mut share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    let (mut sum, mut factor, mut before) = (1.0 - share, 1.0, f64::NAN);
    while sum != before {
        before = sum;
        share = share.sqrt();
        factor *= 0.5;
        sum -= (1.0 - share).powi(2) * factor;
    }
    sum / 3.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn room() -> Room {
        Room::new(usize::MAX)
    }

    /// A good hash of small numbers.
    fn hash(n: u64) -> u64 {
        let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    #[test]
    fn a_sketch_of_different_values_is_within_three_standard_errors() {
        for count in [5_000u64, 40_000, 80_000, 300_000, 1_500_000] {
            let mut distinct = Distinct::Exact(HashSet::default());
            distinct.sketched(&mut room());
            for n in 0..count {
                distinct.add(hash(n), &mut room());
                distinct.add(hash(n / 2), &mut room());
            }
            let error = distinct.count() as f64 / count as f64 - 1.0;
            assert!(error.abs() < 0.025, "{count}: {error}");
        }
    }

    #[test]
    fn different_values_are_exact_up_to_the_bound() {
        let (mut one, mut other, mut room) = (Distinct::Exact(HashSet::default()), Distinct::Exact(HashSet::default()), room());
        (0..600_000).for_each(|n| one.add(hash(n), &mut room));
        (400_000..EXACT_DISTINCT_MAX as u64).for_each(|n| other.add(hash(n), &mut room));
        one.merge(other, &mut room);
        assert_eq!(one.count(), EXACT_DISTINCT_MAX as u64);
        assert!(matches!(one, Distinct::Exact(_)));
        one.add(hash(1 << 40), &mut room);
        assert!(matches!(one, Distinct::Registers(_)));
    }

    #[test]
    fn without_room_a_great_set_shrinks_and_a_small_one_stops() {
        let mut room = Room::new(SHORT_VALUES_MIN * HASH_BYTES);
        let mut great = Distinct::Exact(HashSet::default());
        (0..10_000).for_each(|n| great.add(hash(n), &mut room));
        assert!(room.lost && (great.count() as f64 / 10_000.0 - 1.0).abs() < 0.03, "{}", great.count());
        let mut small = Distinct::Exact(HashSet::default());
        (0..10_000).for_each(|n| small.add(hash(n), &mut Room::new(10 * HASH_BYTES)));
        let mut room = Room::new(10 * HASH_BYTES);
        let mut small = Distinct::Exact(HashSet::default());
        (0..10_000).for_each(|n| small.add(hash(n), &mut room));
        assert_eq!((small.count(), room.lost), (10, true));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn bins_are_within_one_percent(values in prop::collection::vec(prop_oneof![any::<i64>(), -1_000i64..1_000, Just(0)], 1..200), percent in 1u8..=99, cut in 0usize..200) {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let wanted = sorted[(values.len() * usize::from(percent)).div_ceil(100).max(1) - 1];
            let of = |values: &[i64]| {
                let mut quantiles = Quantiles::Exact(vec![]);
                values.iter().for_each(|value| quantiles.add(*value, &mut room()));
                quantiles
            };
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut exact = of(left);
            exact.merge(of(right), &mut room());
            prop_assert_eq!(exact.percentile(percent), Some(wanted));
            let mut bins = of(left);
            bins.sketched(&mut room());
            bins.merge(of(right), &mut room());
            let told = bins.percentile(percent).unwrap();
            prop_assert!((told as f64 - wanted as f64).abs() <= (wanted as f64).abs() * 0.0101 + 0.5, "{} {}", told, wanted);
        }
    }
}

//! An open hash map from a packed key to what it adds up to, in shards that grow one at a time, bounded: when its bytes are used up it
//! goes on with half of the keys, told by their hash, and says so; who asks makes another pass for the other half.

use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::RandomState;

/// Shards: each holds a 64th, so that growing one needs little beside it.
const SHARD_BITS: u32 = 6;
/// Slots of a new shard.
const SLOTS_MIN: usize = 16;

/// What a group adds up to.
pub(super) trait Tally: Copy {
    /// Of no record at all: an empty slot.
    const NONE: Self;
    fn is_none(&self) -> bool;
    fn add(&mut self, other: &Self);
}

/// Which keys a table keeps: those whose hash ends in `part`, looked at in its lowest `bits`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) bits: u32,
    pub(super) part: u64,
}

impl Part {
    fn has(self, hash: u64) -> bool {
        hash & ((1 << self.bits) - 1) == self.part
    }

    /// What a pass that ended with `self` has left out of what it began with.
    pub(super) fn left_of(self, begun: Self) -> impl Iterator<Item = Self> {
        (begun.bits..self.bits).map(move |bits| Self { bits: bits + 1, part: begun.part | 1 << bits })
    }
}

#[derive(Clone, Copy)]
struct Slot<K, V> {
    key: K,
    /// None: empty.
    tally: V,
}

struct Shard<K, V> {
    slots: Vec<Slot<K, V>>,
    used: usize,
}

pub(super) struct Table<K, V> {
    shards: Vec<Shard<K, V>>,
    hasher: RandomState,
    part: Part,
    bytes: usize,
    bytes_max: usize,
}

impl<K: Copy + Default + Eq + Hash, V: Tally> Table<K, V> {
    pub(super) fn new(hasher: RandomState, part: Part, bytes_max: usize) -> Self {
        let shards = (0..1 << SHARD_BITS).map(|_| Shard { slots: Vec::new(), used: 0 }).collect();
        Self { shards, hasher, part, bytes: 0, bytes_max }
    }

    /// Takes as much memory as that from here on.
    pub(super) fn room(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    pub(super) fn part(&self) -> Part {
        self.part
    }

    pub(super) fn add(&mut self, key: K, tally: &V) {
        let hash = self.hasher.hash_one(key);
        if self.part.has(hash) {
            self.add_hashed(hash, key, tally);
        }
    }

    fn add_hashed(&mut self, hash: u64, key: K, tally: &V) {
        let shard_at = shard_of(hash);
        let Some(shard) = self.shards.get_mut(shard_at) else { return };
        if let Some(slot) = shard.find(hash, &key) {
            if !slot.tally.is_none() {
                slot.tally.add(tally);
                return;
            }
            // Three quarters full: beyond it, probing gets long.
            if shard.used * 4 < shard.slots.len() * 3 {
                shard.used += 1;
                if let Some(slot) = shard.find(hash, &key) {
                    *slot = Slot { key, tally: *tally };
                }
                return;
            }
        }
        self.grow(shard_at);
        if self.part.has(hash) {
            self.add_hashed(hash, key, tally);
        }
    }

    fn grow(&mut self, shard_at: usize) {
        let hasher = self.hasher.clone();
        let Some(shard) = self.shards.get_mut(shard_at) else { return };
        let (before, more) = (shard.slots.len(), (shard.slots.len() * 2).max(SLOTS_MIN));
        let added = (more - before) * size_of::<Slot<K, V>>();
        if self.bytes + added > self.bytes_max && before > SLOTS_MIN {
            return self.halve();
        }
        self.bytes += added;
        shard.rebuild(more, &hasher, self.part);
    }

    /// Goes on with half of the keys.
    fn halve(&mut self) {
        self.part.bits += 1;
        self.shrink();
    }

    fn shrink(&mut self) {
        let (hasher, part) = (self.hasher.clone(), self.part);
        for shard in &mut self.shards {
            let kept = shard.slots.iter().filter(|slot| !slot.tally.is_none() && part.has(hasher.hash_one(slot.key))).count();
            shard.rebuild((kept * 2).next_power_of_two().max(SLOTS_MIN), &hasher, part);
        }
        self.bytes = self.shards.iter().map(|shard| shard.slots.len() * size_of::<Slot<K, V>>()).sum();
    }

    /// Keeps no more than that part, which is one of its own.
    pub(super) fn keep(&mut self, part: Part) {
        if part.bits > self.part.bits {
            self.part = part;
            self.shrink();
        }
    }

    /// Takes in all that the other has; it ends with what both kept.
    pub(super) fn absorb(&mut self, other: Self) {
        self.keep(other.part);
        // By shards, so that the other's memory goes as this one's grows.
        for shard in other.shards {
            for slot in shard.slots.into_iter().filter(|slot| !slot.tally.is_none()) {
                self.add(slot.key, &slot.tally);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.used).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, V)> + '_ {
        let slots = self.shards.iter().flat_map(|shard| shard.slots.iter());
        slots.filter(|slot| !slot.tally.is_none()).map(|slot| (slot.key, slot.tally))
    }
}

impl<K: Copy + Default + Eq + Hash, V: Tally> Shard<K, V> {
    /// The key's slot, or the empty one where it would be; `None` where there are no slots yet.
    fn find(&mut self, hash: u64, key: &K) -> Option<&mut Slot<K, V>> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = slot_of(hash) & mask;
        loop {
            let slot = self.slots.get(at)?;
            if slot.tally.is_none() || slot.key == *key {
                return self.slots.get_mut(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn rebuild(&mut self, slots: usize, hasher: &RandomState, part: Part) {
        let old = std::mem::replace(&mut self.slots, vec![Slot { key: K::default(), tally: V::NONE }; slots]);
        self.used = 0;
        for slot in old.into_iter().filter(|slot| !slot.tally.is_none()) {
            let hash = hasher.hash_one(slot.key);
            if part.has(hash)
                && let Some(place) = self.find(hash, &slot.key)
            {
                *place = slot;
                self.used += 1;
            }
        }
    }
}

/// The hash's lowest bits choose the part, its highest the shard, those in between the slot.
fn shard_of(hash: u64) -> usize {
    usize::try_from(hash >> (64 - SHARD_BITS)).unwrap_or_default()
}

fn slot_of(hash: u64) -> usize {
    usize::try_from(hash >> 8 & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Count(u64);

    impl Tally for Count {
        const NONE: Self = Self(0);
        fn is_none(&self) -> bool {
            self.0 == 0
        }
        fn add(&mut self, other: &Self) {
            self.0 += other.0;
        }
    }

    proptest! {
        #[test]
        fn passes_of_small_tables_find_what_a_map_finds(
            adds in proptest::collection::vec((0u64..5_000, 1u64..9), 0..4_000),
            bytes_max in 1_000usize..400_000,
        ) {
            let mut naive: HashMap<u64, Count> = HashMap::new();
            adds.iter().for_each(|(key, n)| naive.entry(*key).or_insert(Count::NONE).add(&Count(*n)));
            let hasher = RandomState::default();
            let mut found: HashMap<u64, Count> = HashMap::new();
            let mut parts = vec![Part::default()];
            while let Some(begun) = parts.pop() {
                let (mut one, mut other) = (Table::new(hasher.clone(), begun, bytes_max), Table::new(hasher.clone(), begun, bytes_max / 2));
                for (n, (key, add)) in adds.iter().enumerate() {
                    if n % 2 == 0 { one.add(*key, &Count(*add)) } else { other.add(*key, &Count(*add)) }
                }
                one.absorb(other);
                parts.extend(one.part().left_of(begun));
                prop_assert_eq!(one.iter().count(), one.len());
                for (key, count) in one.iter() {
                    prop_assert_eq!(found.insert(key, count), None, "in one pass only");
                }
                prop_assert!(parts.len() < 10_000);
            }
            prop_assert_eq!(found, naive);
        }
    }
}

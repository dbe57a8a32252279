//! A table of bounded size that forgets what was least recently touched, and a set of hashes in a fixed number of bits:
//! what keeps a detector's memory constant, whoever sends whatever. Both behave the same after they were saved and
//! restored; how the index hashes is random to each process and shows nowhere.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::{FixedState, RandomState};

use super::RestoreError;
use super::wire::{Keep, Reader, Writer};

/// No slot.
const NONE: u32 = u32::MAX;

/// A map of at most `capacity` entries, the least recently touched of which makes place for a new one.
#[derive(Debug)]
pub struct Table<K, V> {
    index: HashMap<K, u32, RandomState>,
    slots: Vec<Slot<K, V>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    capacity: usize,
    dropped: u64,
}

#[derive(Debug)]
struct Slot<K, V> {
    key: K,
    value: V,
    older: u32,
    newer: u32,
}

#[expect(clippy::indexing_slicing, reason = "links and index name slots that exist; a random test holds that")]
impl<K: Copy + Eq + Hash, V: Default> Table<K, V> {
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, NONE as usize - 1);
        Self { index: HashMap::default(), slots: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE, capacity, dropped: 0 }
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Entries that made place for others.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The entry, which counts as touched now.
    pub fn touch(&mut self, key: &K) -> Option<&mut V> {
        let slot = *self.index.get(key)?;
        self.bring_to_front(slot);
        Some(&mut self.slots[slot as usize].value)
    }

    /// The entry as it is, in its place.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.index.get(key).map(|slot| &self.slots[*slot as usize].value)
    }

    /// The entry, made where there is none; touched now. What is dropped for it is not said again.
    pub fn entry(&mut self, key: K) -> &mut V {
        if let Some(slot) = self.index.get(&key).copied() {
            self.bring_to_front(slot);
            return &mut self.slots[slot as usize].value;
        }
        if self.index.len() >= self.capacity {
            self.dropped += 1;
            self.pop_oldest();
        }
        let made = Slot { key, value: V::default(), older: NONE, newer: NONE };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = made;
                slot
            }
            None => {
                self.slots.push(made);
                u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
            }
        };
        self.index.insert(key, slot);
        self.link_newest(slot);
        &mut self.slots[slot as usize].value
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.index.remove(key)?;
        self.unlink(slot);
        self.free.push(slot);
        Some(std::mem::take(&mut self.slots[slot as usize].value))
    }

    /// The least recently touched entry.
    pub fn oldest(&self) -> Option<(&K, &V)> {
        (self.oldest != NONE).then(|| &self.slots[self.oldest as usize]).map(|slot| (&slot.key, &slot.value))
    }

    pub fn pop_oldest(&mut self) -> Option<(K, V)> {
        let key = *self.oldest()?.0;
        self.remove(&key).map(|value| (key, value))
    }

    /// All entries, the least recently touched first.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let mut next = self.oldest;
        std::iter::from_fn(move || {
            let slot = (next != NONE).then(|| &self.slots[next as usize])?;
            next = slot.newer;
            Some((&slot.key, &slot.value))
        })
    }

    /// Gives every entry to `each`, the least recently touched first, in its place.
    pub fn each_mut(&mut self, mut each: impl FnMut(&K, &mut V)) {
        let mut next = self.oldest;
        while next != NONE {
            let slot = &mut self.slots[next as usize];
            next = slot.newer;
            each(&slot.key, &mut slot.value);
        }
    }

    pub fn clear(&mut self) {
        *self = Self { dropped: self.dropped, ..Self::new(self.capacity) };
    }

    /// Bytes that `entries` of them take, without what values hold elsewhere; an upper estimate with the index half empty.
    pub fn bytes(entries: usize) -> usize {
        entries.saturating_mul(size_of::<Slot<K, V>>() + 4 + 2 * (size_of::<K>() + 5)).saturating_mul(2)
    }

    fn bring_to_front(&mut self, slot: u32) {
        if slot != self.newest {
            self.unlink(slot);
            self.link_newest(slot);
        }
    }

    fn link_newest(&mut self, slot: u32) {
        let last = self.newest;
        {
            let entry = &mut self.slots[slot as usize];
            (entry.older, entry.newer) = (last, NONE);
        }
        match last {
            NONE => self.oldest = slot,
            last => self.slots[last as usize].newer = slot,
        }
        self.newest = slot;
    }

    fn unlink(&mut self, slot: u32) {
        let (older, newer) = (self.slots[slot as usize].older, self.slots[slot as usize].newer);
        match older {
            NONE => self.oldest = newer,
            older => self.slots[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.slots[newer as usize].older = older,
        }
    }
}

impl<K: Copy + Eq + Hash + Keep, V: Default + Keep> Table<K, V> {
    pub fn save(&self, out: &mut Writer) {
        out.put(&self.dropped).put(&(self.len() as u64));
        for (key, value) in self.iter() {
            out.put(key).put(value);
        }
    }

    /// # Errors
    /// Where the bytes are damaged. Of more entries than there is place for, the last ones stay.
    pub fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), RestoreError> {
        let dropped = from.take()?;
        let mut fresh = Self::new(self.capacity);
        for _ in 0..from.count()? {
            let (key, value) = (from.take::<K>()?, from.take::<V>()?);
            *fresh.entry(key) = value;
        }
        fresh.dropped = dropped;
        *self = fresh;
        Ok(())
    }
}

/// The hash by which values are remembered: the same in every process, for it is saved. Who can choose values to collide
/// hides them from being counted as different ones; that costs him more than it brings.
pub fn hash_of(value: &impl Hash) -> u64 {
    FixedState::with_seed(0x7761_7274_6275_7267).hash_one(value)
}

/// Which of some values were seen, and roughly how many different ones: a Bloom filter of 1,024 bits with two probes. Of
/// 50 values it takes 1 in 100 for known, of 200 1 in 10.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Few {
    bits: [u64; 16],
    count: u32,
}

impl Few {
    /// Remembers a hash; says whether it was new.
    pub fn insert(&mut self, hash: u64) -> bool {
        let mut fresh = false;
        for place in [hash & 1_023, (hash >> 32) & 1_023] {
            if let Some(word) = self.bits.get_mut((place >> 6) as usize) {
                let bit = 1u64 << (place & 63);
                fresh |= *word & bit == 0;
                *word |= bit;
            }
        }
        self.count = self.count.saturating_add(u32::from(fresh));
        fresh
    }

    /// Whether a hash was seen.
    pub fn contains(&self, hash: u64) -> bool {
        [hash & 1_023, (hash >> 32) & 1_023].into_iter().all(|place| bit(&self.bits, place))
    }

    /// Takes over what another one has seen.
    pub fn join(&mut self, other: &Self) {
        for (word, more) in self.bits.iter_mut().zip(other.bits) {
            *word |= more;
        }
        self.count = self.count.saturating_add(other.count);
    }

    /// How many different values, never more than there were.
    pub fn count(&self) -> u32 {
        self.count
    }
}

impl Keep for Few {
    fn put(&self, out: &mut Writer) {
        out.put(&self.bits).put(&self.count);
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        Ok(Self { bits: from.take()?, count: from.take()? })
    }
}

/// Which of very many values were seen in the last one to two terms: two Bloom filters of which the elder is forgotten.
/// With `bits` eight times the values of a term, 1 in 40 strangers is taken for known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    now: Vec<u64>,
    before: Vec<u64>,
    /// How many went into `now`.
    count: u64,
}

impl Known {
    /// Of 2 to the power of `bits_log` bits each.
    pub fn new(bits_log: u32) -> Self {
        let words = 1usize << bits_log.clamp(6, 30).saturating_sub(6);
        Self { now: vec![0; words], before: vec![0; words], count: 0 }
    }

    /// Remembers a hash; says whether it was new. What only the elder knows is taken over, so that what goes on is never
    /// forgotten.
    pub fn insert(&mut self, hash: u64) -> bool {
        let places = self.places(hash);
        let known = places.iter().all(|place| bit(&self.now, *place));
        if known {
            return false;
        }
        let elder = places.iter().all(|place| bit(&self.before, *place));
        for place in places {
            if let Some(word) = self.now.get_mut(usize::try_from(place >> 6).unwrap_or(usize::MAX)) {
                *word |= 1 << (place & 63);
            }
        }
        self.count += 1;
        !elder
    }

    /// Whether it was seen, in this term or the last.
    pub fn contains(&self, hash: u64) -> bool {
        let places = self.places(hash);
        places.iter().all(|place| bit(&self.now, *place)) || places.iter().all(|place| bit(&self.before, *place))
    }

    fn places(&self, hash: u64) -> [u64; 3] {
        let mask = (self.now.len() as u64) * 64 - 1;
        [hash & mask, (hash >> 32) & mask, (hash.rotate_left(21) ^ (hash >> 11)) & mask]
    }

    /// Values since the last turn; with an eighth of the bits it is full.
    pub fn is_full(&self) -> bool {
        self.count.saturating_mul(8) > (self.now.len() as u64) * 64
    }

    /// A new term: what was seen in the last one is the elder's now.
    pub fn turn(&mut self) {
        self.before = std::mem::replace(&mut self.now, vec![0; self.before.len()]);
        self.count = 0;
    }

    pub fn bytes(&self) -> usize {
        (self.now.len() + self.before.len()) * 8
    }

    pub fn save(&self, out: &mut Writer) {
        out.put(&self.count);
        words_save(&self.now, out);
        words_save(&self.before, out);
    }

    /// # Errors
    /// Where the bytes are damaged, or of another size.
    pub fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), RestoreError> {
        let words = self.now.len();
        *self = Self { count: from.take()?, now: words_restore(words, from)?, before: words_restore(words, from)? };
        Ok(())
    }
}

/// Most filters are nearly empty most of the time: the words that are not zero, with their places.
fn words_save(words: &[u64], out: &mut Writer) {
    let set = words.iter().zip(0u32..).filter(|(word, _)| **word != 0);
    out.put(&set.map(|(word, place)| (place, *word)).collect::<Vec<(u32, u64)>>());
}

fn words_restore(count: usize, from: &mut Reader<'_>) -> Result<Vec<u64>, RestoreError> {
    let mut words = vec![0; count];
    for (place, word) in from.take::<Vec<(u32, u64)>>()? {
        *words.get_mut(place as usize).ok_or(RestoreError::Damaged("a filter of another size"))? = word;
    }
    Ok(words)
}

fn bit(words: &[u64], place: u64) -> bool {
    words.get(usize::try_from(place >> 6).unwrap_or(usize::MAX)).is_some_and(|word| word & (1 << (place & 63)) != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        /// Against a list in order of touch; and saved and restored between any two steps it goes on the same.
        #[test]
        fn a_table_is_a_bounded_list_in_order_of_touch(steps in prop::collection::vec((0u8..4, 0u64..12, any::<bool>()), 0..80)) {
            let mut table: Table<u64, u64> = Table::new(5);
            let mut oracle: Vec<(u64, u64)> = Vec::new();
            for (step, key, restart) in steps {
                let at = oracle.iter().position(|(known, _)| *known == key);
                match step {
                    0 | 1 => {
                        *table.entry(key) += 1;
                        let old = at.map(|at| oracle.remove(at).1);
                        if old.is_none() && oracle.len() == 5 {
                            oracle.remove(0);
                        }
                        oracle.push((key, old.unwrap_or(0) + 1));
                    }
                    2 => {
                        prop_assert_eq!(table.touch(&key).copied(), at.map(|at| oracle[at].1));
                        if let Some(at) = at {
                            let entry = oracle.remove(at);
                            oracle.push(entry);
                        }
                    }
                    _ => prop_assert_eq!(table.remove(&key), at.map(|at| oracle.remove(at).1)),
                }
                if restart {
                    let mut out = Writer::new(1);
                    table.save(&mut out);
                    let bytes = out.done();
                    let mut again: Table<u64, u64> = Table::new(5);
                    let mut reader = Reader::new(&bytes, 1).unwrap();
                    again.restore(&mut reader).unwrap();
                    reader.done().unwrap();
                    table = again;
                }
                let shown: Vec<(u64, u64)> = table.iter().map(|(key, value)| (*key, *value)).collect();
                prop_assert_eq!(&shown, &oracle);
                prop_assert_eq!(table.len(), oracle.len());
            }
        }

        /// Every cut and every length that lies is refused, none is believed.
        #[test]
        fn a_damaged_state_is_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut table: Table<u64, Few> = Table::new(4);
            let _ = Reader::new(&bytes, 1).and_then(|mut reader| table.restore(&mut reader).and_then(|()| reader.done()));
            prop_assert!(table.len() <= 4);
        }
    }

    #[test]
    fn filters_miss_few_and_forget_what_stays_away() {
        let mut few = Few::default();
        (0..50u64).for_each(|n| assert!(few.insert(hash_of(&n)) || n > 5));
        assert!((49..=50).contains(&few.count()), "{}", few.count());
        assert!((0..50u64).all(|n| !few.insert(hash_of(&n))));
        let mut known = Known::new(16);
        let fresh = (0..8_000u64).filter(|n| known.insert(hash_of(n))).count();
        assert!(fresh > 7_800, "{fresh}");
        assert!(!known.is_full());
        known.turn();
        assert!((0..4_000u64).all(|n| !known.insert(hash_of(&n))), "the elder knows them");
        known.turn();
        assert!((0..4_000u64).all(|n| !known.insert(hash_of(&n))), "what went on is known");
        let back = (4_000..8_000u64).filter(|n| known.insert(hash_of(n))).count();
        assert!(back > 3_800, "what stayed away two terms is new again: {back}");
    }
}

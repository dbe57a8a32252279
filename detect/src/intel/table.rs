//! A table of millions of keys in as many bytes as they need: rows in the order of their keys, found by the key's upper
//! bits, behind a filter that says of most keys at once that they are not there. Keys are spread evenly (hashes, or numbers
//! mixed by `mixed_u32`), so that the upper bits lead to a handful of rows; where somebody chose keys that do not, a search
//! by halves takes over.

/// What a row says, in eight bytes: until when it is valid and where its attributes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts([u32; 2]);

/// Attributes that a set tells apart: lists, TLP, confidence and hunts in all their combinations.
pub(super) const ATTRIBUTES_MAX: usize = 1 << Facts::PLACE_BITS;

impl Facts {
    const PLACE_BITS: u32 = 22;
    /// 2^42 milliseconds reach to the year 2109; the last one is for ever.
    const FOREVER: u64 = (1 << 42) - 1;

    /// # Panics
    /// Never: what does not fit is cut to what does.
    pub(super) fn new(place: u32, valid_until: Option<i64>) -> Self {
        let until = valid_until.map_or(Self::FOREVER, |until| u64::try_from(until).unwrap_or(0).min(Self::FOREVER));
        let whole = until << Self::PLACE_BITS | u64::from(place) & ((1 << Self::PLACE_BITS) - 1);
        Self([(whole >> 32) as u32, whole as u32])
    }

    fn whole(self) -> u64 {
        u64::from(self.0[0]) << 32 | u64::from(self.0[1])
    }

    pub(super) fn place(self) -> usize {
        (self.whole() & ((1 << Self::PLACE_BITS) - 1)) as usize
    }

    /// Whether it is valid at a moment, in milliseconds.
    pub(super) fn holds(self, at: i64) -> bool {
        let until = self.whole() >> Self::PLACE_BITS;
        until == Self::FOREVER || at <= i64::try_from(until).unwrap_or(i64::MAX)
    }
}

/// Keys that are spread evenly over their bits.
pub(super) trait Key: Copy + Ord {
    /// Its upper 32 bits.
    fn upper(self) -> u32;
    /// 64 bits that its upper ones do not decide alone, for the filter.
    fn digest(self) -> u64;
}

/// Of texts, hashes and IPv6 addresses: 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wide(pub(super) u64, pub(super) u64);

impl Key for Wide {
    fn upper(self) -> u32 {
        (self.0 >> 32) as u32
    }
    fn digest(self) -> u64 {
        self.1 ^ self.0
    }
}

impl Key for u32 {
    fn upper(self) -> u32 {
        self
    }
    fn digest(self) -> u64 {
        let mixed = u64::from(self ^ self >> 15).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ mixed >> 32
    }
}

/// An odd factor mixes all lower bits into the upper ones, and can be taken back.
const FACTOR_32: u32 = 0x9e37_79b1;
const FACTOR_128: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

pub(super) fn mixed_u32(number: u32) -> u32 {
    number.wrapping_mul(FACTOR_32)
}

pub(super) fn unmixed_u32(mixed: u32) -> u32 {
    // Newton's iteration: each round doubles the right bits of the inverse.
    let inverse = (0..5).fold(FACTOR_32, |guess, _| guess.wrapping_mul(2u32.wrapping_sub(FACTOR_32.wrapping_mul(guess))));
    mixed.wrapping_mul(inverse)
}

pub(super) fn mixed_u128(number: u128) -> Wide {
    let mixed = number.wrapping_mul(FACTOR_128);
    Wide((mixed >> 64) as u64, mixed as u64)
}

pub(super) fn unmixed_u128(Wide(upper, lower): Wide) -> u128 {
    let inverse = (0..7).fold(FACTOR_128, |guess, _| guess.wrapping_mul(2u128.wrapping_sub(FACTOR_128.wrapping_mul(guess))));
    (u128::from(upper) << 64 | u128::from(lower)).wrapping_mul(inverse)
}

/// A key and what is said of it; 24 bytes of a wide key, 12 of a narrow one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row<K> {
    pub(super) key: K,
    pub(super) facts: Facts,
}

/// The rows of one kind of key; a key may have several.
#[derive(Clone, Debug)]
pub(super) struct Table<K> {
    rows: Vec<Row<K>>,
    /// By the keys' upper bits, the first row that has these or more; one more for the end.
    heads: Vec<u32>,
    head_bits: u32,
    filter: Filter,
}

/// Rows that a head leads to on average: two cache lines.
const ROWS_PER_HEAD: usize = 4;

impl<K: Key> Table<K> {
    pub(super) fn new(mut rows: Vec<Row<K>>) -> Self {
        rows.sort_unstable_by_key(|row| row.key);
        rows.shrink_to_fit();
        let head_bits = (rows.len() / ROWS_PER_HEAD).max(1).next_power_of_two().trailing_zeros().min(24);
        let mut heads = Vec::with_capacity((1 << head_bits) + 1);
        for (place, row) in (0u32..).zip(&rows) {
            let missing = (head(row.key, head_bits) + 1).saturating_sub(heads.len());
            heads.extend(std::iter::repeat_n(place, missing));
        }
        heads.resize((1 << head_bits) + 1, u32::try_from(rows.len()).unwrap_or(u32::MAX));
        let mut filter = Filter::new(rows.len());
        rows.iter().for_each(|row| filter.add(row.key.digest()));
        Self { rows, heads, head_bits, filter }
    }

    pub(super) fn find(&self, key: K) -> &[Row<K>] {
        if !self.filter.perhaps(key.digest()) {
            return &[];
        }
        let head = head(key, self.head_bits);
        let (Some(from), Some(to)) = (self.heads.get(head), self.heads.get(head + 1)) else { return &[] };
        let near = self.rows.get(*from as usize..*to as usize).unwrap_or_default();
        let first = near.partition_point(|row| row.key < key);
        let same = near.get(first..).unwrap_or_default();
        let count = same.iter().take_while(|row| row.key == key).count();
        same.get(..count).unwrap_or_default()
    }

    pub(super) fn rows(&self) -> &[Row<K>] {
        &self.rows
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row<K>>() + self.heads.capacity() * 4 + self.filter.words.capacity() * 8
    }
}

impl<K: Key> Default for Table<K> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

fn head(key: impl Key, bits: u32) -> usize {
    u64::from(key.upper()).checked_shr(32 - bits).unwrap_or(0) as usize
}

/// A Bloom filter in blocks of one word: one cache line says that a key is not there. Of keys that are not, it lets about
/// one in fifty pass.
#[derive(Clone, Debug)]
struct Filter {
    words: Vec<u64>,
}

const FILTER_BITS_PER_KEY: usize = 12;

impl Filter {
    fn new(keys: usize) -> Self {
        Self { words: vec![0; (keys * FILTER_BITS_PER_KEY).div_ceil(64)] }
    }

    fn place(&self, digest: u64) -> (usize, u64) {
        let word = ((u128::from(digest) * self.words.len() as u128) >> 64) as usize;
        let bits = (0..4).fold(0, |bits, n| bits | 1u64 << (digest >> (6 * n) & 63));
        (word, bits)
    }

    fn add(&mut self, digest: u64) {
        let (word, bits) = self.place(digest);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bits;
        }
    }

    fn perhaps(&self, digest: u64) -> bool {
        let (word, bits) = self.place(digest);
        self.words.get(word).is_some_and(|word| word & bits == bits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Beside asking every row: few different keys, so that several have the same, and keys that are bunched together.
        #[test]
        fn beside_asking_each(keys in prop::collection::vec((0u64..40, 0u64..3), 0..200), asked in prop::collection::vec((0u64..44, 0u64..4), 1..40), spread in any::<bool>()) {
            let key = |(upper, lower): (u64, u64)| Wide(if spread { upper.wrapping_mul(0x0600_0000_0000_0000) } else { upper }, lower);
            let rows: Vec<Row<Wide>> = (0u32..).zip(&keys).map(|(n, of)| Row { key: key(*of), facts: Facts::new(n, None) }).collect();
            let table = Table::new(rows.clone());
            for of in asked {
                let mut found: Vec<usize> = table.find(key(of)).iter().map(|row| row.facts.place()).collect();
                found.sort_unstable();
                let expected: Vec<usize> = rows.iter().filter(|row| row.key == key(of)).map(|row| row.facts.place()).collect();
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn mixing_is_taken_back(narrow in any::<u32>(), wide in any::<u128>()) {
            prop_assert_eq!(unmixed_u32(mixed_u32(narrow)), narrow);
            prop_assert_eq!(unmixed_u128(mixed_u128(wide)), wide);
        }

        #[test]
        fn facts_keep_both(place in 0u32..(1 << 22), until in prop::option::of(0i64..4_000_000_000_000)) {
            let facts = Facts::new(place, until);
            prop_assert_eq!(facts.place(), place as usize);
            prop_assert!(until.is_none_or(|until| facts.holds(until) && !facts.holds(until + 1)));
            prop_assert!(until.is_some() || facts.holds(i64::MAX));
        }
    }

    #[test]
    fn bytes_of_many_and_few_false_alarms() {
        let rows: Vec<Row<Wide>> = (0..200_000u128).map(|n| Row { key: mixed_u128(n * 3), facts: Facts::new(0, None) }).collect();
        let table = Table::new(rows);
        assert!(table.bytes() < 200_000 * 28, "{}", table.bytes());
        let passed = (0..100_000u128).filter(|n| table.filter.perhaps(mixed_u128(n * 3 + 1).digest())).count();
        assert!(passed < 5_000, "{passed} of 100,000 pass the filter");
        assert!((0..200_000u128).all(|n| table.find(mixed_u128(n * 3)).len() == 1));
        let narrow: Vec<Row<u32>> = (0..200_000).map(|n| Row { key: mixed_u32(n), facts: Facts::new(0, None) }).collect();
        let narrow = Table::new(narrow);
        assert!(narrow.bytes() < 200_000 * 16 && (0..200_000).all(|n| narrow.find(mixed_u32(n)).len() == 1), "{}", narrow.bytes());
        let passed = (200_000..300_000).filter(|n| narrow.filter.perhaps(mixed_u32(*n).digest())).count();
        assert!(passed < 5_000, "{passed} of 100,000 pass the narrow filter");
    }
}

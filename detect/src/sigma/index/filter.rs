//! Which keys are surely not there: two bits of one word for each key, so that a key that is not there passes about once in
//! five hundred, and asking costs a multiplication and a load from the first cache.

/// Bits for each key.
const BITS_A_KEY: usize = 48;
/// Some mebibytes; beyond it the filter only lets more pass.
const WORDS_MAX: usize = 1 << 19;

#[derive(Debug, Default)]
pub(super) struct Filter {
    words: Vec<u64>,
    shift: u32,
}

impl Filter {
    pub(super) fn new(keys: impl ExactSizeIterator<Item = u64>) -> Self {
        let (room, shift) = room(keys.len(), BITS_A_KEY);
        let mut words = vec![0; room];
        for key in keys {
            mark(&mut words, shift, key);
        }
        Self { words, shift }
    }

    #[inline]
    pub(super) fn may_have(&self, key: u64) -> bool {
        may_have(&self.words, self.shift, key)
    }
}

/// Words for that many keys, and the shift that tells a key's word.
pub(super) fn room(keys: usize, bits_a_key: usize) -> (usize, u32) {
    let words = (keys * bits_a_key / 64).next_power_of_two().clamp(2, WORDS_MAX);
    (words, 64 - words.trailing_zeros())
}

#[inline]
pub(super) fn mark(words: &mut [u64], shift: u32, key: u64) {
    let (word, bits) = slot(key, shift);
    if let Some(word) = words.get_mut(word) {
        *word |= bits;
    }
}

#[inline]
pub(super) fn may_have(words: &[u64], shift: u32, key: u64) -> bool {
    let (word, bits) = slot(key, shift);
    words.get(word).is_some_and(|word| word & bits == bits)
}

/// The upper bits of a product depend on all of the key: the uppermost choose the word, others two bits in it.
#[inline]
fn slot(key: u64, shift: u32) -> (usize, u64) {
    let hash = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    #[expect(clippy::cast_possible_truncation, reason = "fewer bits than a word has")]
    let word = (hash >> shift) as usize;
    (word, 1 << (hash >> 32 & 63) | 1 << (hash >> 38 & 63))
}

//! Entries that a flood cannot push out: new ones share a quarter of the room, and one that has lasted is settled by its
//! detector in the rest, which only other lasting ones contend for. Both parts forget what was least recently touched.

use std::hash::Hash;
use std::net::IpAddr;

use super::RestoreError;
use super::table::Table;
use super::wire::{Keep, Reader, Writer};

/// A table of at most `capacity` entries in two parts.
#[derive(Debug)]
pub(super) struct Book<K, V> {
    new: Table<K, V>,
    settled: Table<K, V>,
}

impl<K: Copy + Eq + Hash, V: Default> Book<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        let new = (capacity / 4).max(1);
        Self { new: Table::new(new), settled: Table::new(capacity.saturating_sub(new)) }
    }

    pub(super) fn len(&self) -> usize {
        self.new.len() + self.settled.len()
    }

    /// Entries that made place for others.
    pub(super) fn dropped(&self) -> u64 {
        self.new.dropped() + self.settled.dropped()
    }

    /// The entry, which counts as touched now.
    pub(super) fn touch(&mut self, key: &K) -> Option<&mut V> {
        // Most traffic is of those who have been there for long.
        match self.settled.get(key) {
            Some(_) => self.settled.touch(key),
            None => self.new.touch(key),
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.settled.get(key).or_else(|| self.new.get(key))
    }

    /// Adds an entry that is not there, as a new one; returns what had to make place.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<K> {
        put(&mut self.new, key, value)
    }

    /// Makes an entry one that lasts; returns what had to make place.
    pub(super) fn settle(&mut self, key: &K) -> Option<K> {
        let value = self.new.remove(key)?;
        put(&mut self.settled, *key, value)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.new.remove(key).or_else(|| self.settled.remove(key))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.new.iter().chain(self.settled.iter())
    }

    /// Bytes that so many entries take, without what values hold elsewhere.
    pub(super) fn bytes(entries: usize) -> usize {
        Table::<K, V>::bytes(entries)
    }
}

fn put<K: Copy + Eq + Hash, V: Default>(table: &mut Table<K, V>, key: K, value: V) -> Option<K> {
    let gone = if table.len() >= table.capacity() { table.oldest().map(|(oldest, _)| *oldest) } else { None };
    *table.entry(key) = value;
    gone
}

impl<K: Copy + Eq + Hash + Keep, V: Default + Keep> Book<K, V> {
    pub(super) fn save(&self, out: &mut Writer) {
        self.new.save(out);
        self.settled.save(out);
    }

    pub(super) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), RestoreError> {
        self.new.restore(from)?;
        self.settled.restore(from)
    }
}

impl Keep for IpAddr {
    fn put(&self, out: &mut Writer) {
        match self {
            Self::V4(v4) => out.put(&4u8).put(&v4.to_bits()),
            Self::V6(v6) => out.put(&6u8).put(&v6.to_bits()),
        };
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        match from.take::<u8>()? {
            4 => from.take::<u32>().map(|bits| Self::V4(bits.into())),
            6 => from.take::<u128>().map(|bits| Self::V6(bits.into())),
            _ => Err(RestoreError::Damaged("an address of no family")),
        }
    }
}

/// Writes plain structs field by field.
macro_rules! keep_fields {
    ($kind:ident { $($field:ident),* $(,)? }) => {
        impl $crate::flow::wire::Keep for $kind {
            fn put(&self, out: &mut $crate::flow::wire::Writer) {
                $(out.put(&self.$field);)*
            }
            fn take(from: &mut $crate::flow::wire::Reader<'_>) -> Result<Self, $crate::flow::RestoreError> {
                Ok(Self { $($field: from.take()?),* })
            }
        }
    };
}
pub(super) use keep_fields;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_settled_outlives_a_flood() {
        let mut book: Book<u32, u32> = Book::new(1_000);
        for key in 0..700 {
            assert_eq!(book.insert(key, key), None);
            assert_eq!(book.settle(&key), None);
        }
        let gone = (1_000..200_000).filter(|key| book.insert(*key, 1).is_some()).count();
        assert!((0..700).all(|key| book.touch(&key).copied() == Some(key)));
        assert_eq!((book.len(), book.dropped(), gone), (950, 198_750, 198_750));
        let mut out = Writer::new(1);
        book.save(&mut out);
        let saved = out.done();
        let mut again: Book<u32, u32> = Book::new(1_000);
        let mut from = Reader::new(&saved, 1).unwrap();
        again.restore(&mut from).unwrap();
        from.done().unwrap();
        assert!(again.iter().eq(book.iter()));
        // The settled ones contend among themselves, the least recently touched goes first.
        book.touch(&0);
        let gone: Vec<u32> = (1_000_000..1_000_051)
            .filter_map(|key| {
                book.insert(key, 0);
                book.settle(&key)
            })
            .collect();
        assert_eq!(gone, [1]);
    }
}

//! Which pairs are worth being kept with all their contacts: those that meet evenly. Every pair that meets costs twenty
//! bytes here, in a table of fixed size; of most of them (somebody reads a page) nothing more is ever kept. A rhythm is
//! seen where fewer new pairs than there are places come between two of its beats.

use super::super::RestoreError;
use super::super::book::keep_fields;
use super::super::wire::{Reader, Writer};

/// A set's slots: a new pair competes with three others for a place.
const WAYS: usize = 4;
/// Sets that are made at once, when the first of them is needed: a small house never needs most of them.
const SETS_PER_PAGE: usize = 512;
/// Contacts so near to each other are one: a page opens several connections, two exporters see the same one.
const SAME_CONTACT_SECONDS: u32 = 5;
/// A longer pause begins anew: rhythms slower than this make too few contacts in a day to be told from chance.
const PAUSE_SECONDS_MAX: u32 = 3 * 3_600;
/// Intervals are kept in quarters of seconds, so that three hours fit into 16 bits.
const QUARTERS: u32 = 4;

/// What is known of one pair. All zero: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// A part of the pair's hash that does not choose the set.
    pub(super) mark: u32,
    /// The first and the latest contact, seconds since 1970.
    pub(super) first: u32,
    pub(super) last: u32,
    /// Running mean of the intervals, and of their distance from it, in quarters of a second.
    pub(super) mean: u16,
    pub(super) spread: u16,
    /// Contacts, as far as the number goes.
    pub(super) count: u16,
}

/// A pair that meets evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Regular {
    /// Contacts so far, this one among them, and when the first was.
    pub(super) contacts: u16,
    pub(super) first: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Sieve {
    /// Empty where no pair has come yet.
    pages: Vec<Vec<Slot>>,
    sets: usize,
    contacts_min: u16,
    /// Of the mean interval, in percent: how far intervals may be from it in the mean.
    spread_percent_max: u32,
    dropped: u64,
}

impl Sieve {
    /// Of at most about `pairs` pairs.
    pub(super) fn new(pairs: usize, contacts_min: u16, spread_percent_max: u32) -> Self {
        let sets = (pairs / WAYS).clamp(1, 1 << 24).next_power_of_two();
        Self { pages: vec![Vec::new(); sets.div_ceil(SETS_PER_PAGE)], sets, contacts_min, spread_percent_max, dropped: 0 }
    }

    /// Counts a contact of the pair with this hash; tells where the pair has become worth keeping, and forgets it then.
    pub(super) fn contact(&mut self, hash: u64, at: u32) -> Option<Regular> {
        // The upper half chooses the set, the lower half is the mark; no pair has the mark of an empty slot.
        #[expect(clippy::cast_possible_truncation, reason = "halves of the hash")]
        let (set, mark) = ((hash >> 32) as usize % self.sets, (hash as u32).max(1));
        let page = self.pages.get_mut(set / SETS_PER_PAGE)?;
        if page.is_empty() {
            page.resize(SETS_PER_PAGE.min(self.sets) * WAYS, Slot::default());
        }
        let set = set % SETS_PER_PAGE * WAYS;
        let set = page.get_mut(set..set + WAYS)?;
        let Some(slot) = set.iter_mut().find(|slot| slot.mark == mark) else {
            let worth = |slot: &&mut Slot| {
                let living = slot.mark != 0 && at.saturating_sub(slot.last) <= PAUSE_SECONDS_MAX;
                (living, slot.count, slot.last)
            };
            let slot = set.iter_mut().min_by_key(worth)?;
            self.dropped += u64::from(slot.count > 1 && at.saturating_sub(slot.last) <= PAUSE_SECONDS_MAX);
            *slot = Slot { mark, first: at, last: at, mean: 0, spread: 0, count: 1 };
            return None;
        };
        let pause = at.saturating_sub(slot.last);
        if pause > PAUSE_SECONDS_MAX {
            *slot = Slot { mark, first: at, last: at, mean: 0, spread: 0, count: 1 };
            return None;
        }
        if pause < SAME_CONTACT_SECONDS {
            return None;
        }
        slot.last = at;
        slot.count = slot.count.saturating_add(1);
        slot.interval(pause * QUARTERS);
        let even = u32::from(slot.spread) * 100 <= u32::from(slot.mean) * self.spread_percent_max;
        if slot.count < self.contacts_min || !even {
            return None;
        }
        let regular = Regular { contacts: slot.count, first: slot.first };
        *slot = Slot::default();
        Some(regular)
    }

    pub(super) fn bytes(&self) -> usize {
        self.sets * WAYS * std::mem::size_of::<Slot>()
    }

    /// Pairs pushed out by others while they were still meeting.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Writes the slots that hold something, with their places.
    pub(super) fn save(&self, out: &mut Writer) {
        let first = (0u32..).step_by(SETS_PER_PAGE * WAYS);
        let placed = first.zip(&self.pages).flat_map(|(first, page)| (first..).zip(page.iter().copied()));
        out.put(&self.dropped).put(&Vec::from_iter(placed.filter(|(_, slot)| slot.mark != 0)));
    }

    pub(super) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), RestoreError> {
        self.dropped = from.take()?;
        self.pages.iter_mut().for_each(Vec::clear);
        for _ in 0..from.count()? {
            let (place, slot) = from.take::<(u32, Slot)>()?;
            let (page, within) = (place as usize / (SETS_PER_PAGE * WAYS), place as usize % (SETS_PER_PAGE * WAYS));
            let page = self.pages.get_mut(page).ok_or(OUTSIDE)?;
            if page.is_empty() {
                page.resize(SETS_PER_PAGE.min(self.sets) * WAYS, Slot::default());
            }
            *page.get_mut(within).ok_or(OUTSIDE)? = slot;
        }
        Ok(())
    }
}

const OUTSIDE: RestoreError = RestoreError::Damaged("a place outside the sieve");

keep_fields!(Slot { mark, first, last, mean, spread, count });

impl Slot {
    /// Running means as TCP keeps its round-trip times (RFC 6298): the newest interval counts an eighth, its distance from
    /// the mean a quarter.
    fn interval(&mut self, quarters: u32) {
        let new = u16::try_from(quarters).unwrap_or(u16::MAX);
        if self.mean == 0 {
            (self.mean, self.spread) = (new, new / 2);
            return;
        }
        let towards = |from: u16, to: u16, parts: i32| {
            let step = (i32::from(to) - i32::from(from)) / parts;
            u16::try_from(i32::from(from) + step).unwrap_or(from)
        };
        self.spread = towards(self.spread, new.abs_diff(self.mean), 4);
        self.mean = towards(self.mean, new, 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At which contact a series of intervals is found worth keeping.
    fn kept_at(intervals: &[u32]) -> Option<usize> {
        let mut sieve = Sieve::new(64, 6, 65);
        let mut at = 1_000_000;
        assert_eq!(sieve.contact(7 << 32 | 9, at), None);
        intervals.iter().position(|interval| {
            at += interval;
            sieve.contact(7 << 32 | 9, at).is_some()
        })
    }

    #[test]
    fn even_pairs_are_kept_and_uneven_ones_are_not() {
        assert_eq!(kept_at(&[60; 20]), Some(4), "the sixth contact");
        assert_eq!(kept_at(&[1; 20]), None, "one contact, to the eye");
        assert_eq!(kept_at(&[45, 75, 50, 70, 60, 55, 80]), Some(4));
        // A page, pauses between minutes and an hour, a page.
        assert_eq!(kept_at(&[6, 11, 1_700, 8, 5, 30, 600, 7, 2_400, 5, 19, 900, 6, 12]), None);
        // After an outage it takes a while, and it is kept all the same.
        assert_eq!(kept_at(&[10_000, 60, 60, 60, 60]), None);
        assert!(kept_at(&[[10_000].as_slice(), &[60; 60]].concat()).is_some());
        assert_eq!(kept_at(&[10_801; 20]), None, "slower than can be told");
    }

    #[test]
    fn a_flood_of_pairs_does_not_push_out_those_that_meet() {
        let mut sieve = Sieve::new(1 << 12, 50, 65);
        let mut kept = 0;
        for round in 0..60u32 {
            for pair in 0..200u64 {
                kept += usize::from(sieve.contact(pair.wrapping_mul(0x9e37_79b9_7f4a_7c15), round * 60).is_some());
            }
            for noise in 0..1_000u64 {
                sieve.contact((u64::from(round) * 1_000 + noise).wrapping_mul(0xd6e8_feb8_6659_fd93), round * 60 + 1);
            }
        }
        assert!(kept > 150, "{kept}");
        assert_eq!(sieve.bytes(), 20 << 12);
    }
}

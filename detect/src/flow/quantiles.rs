//! Quantiles of amounts in constant memory: counts in classes whose width grows with the amount, so that an answer is
//! right to a quarter at any size. It draws no random numbers, as KLL and REQ do, and depends on no order, as a t-digest
//! does: the same amounts always give the same quantile, also over a restart; and what is old fades by halving.

/// Amounts below are one class: 64 KiB an hour is nothing.
const FLOOR_BITS: u32 = 16;
/// Amounts from 4 TiB up are one class.
const CEILING_BITS: u32 = 42;
/// Classes of each doubling.
const PER_OCTAVE: u32 = 4;
const CLASSES: usize = ((CEILING_BITS - FLOOR_BITS) * PER_OCTAVE + 2) as usize;

/// The amounts seen; `FADE` of them are kept at full weight, then all count half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantiles<const FADE: u16> {
    counts: [u8; CLASSES],
    total: u16,
}

impl<const FADE: u16> Default for Quantiles<FADE> {
    fn default() -> Self {
        Self { counts: [0; CLASSES], total: 0 }
    }
}

impl<const FADE: u16> Quantiles<FADE> {
    pub(super) fn add(&mut self, amount: u64) {
        let class = class(amount);
        let full = self.counts.get(class).is_some_and(|count| *count == u8::MAX);
        if self.total >= FADE || full {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().map(|count| u16::from(*count)).sum();
        }
        if let Some(count) = self.counts.get_mut(class) {
            *count += 1;
            self.total += 1;
        }
    }

    pub(super) fn len(&self) -> u16 {
        self.total
    }

    /// The amount that a share of `q` of the amounts does not exceed, at most a quarter too high; 0 where none is known.
    pub(super) fn at(&self, q: f64) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the total")]
        let rank = ((f64::from(self.total) * q).ceil() as u16).clamp(1, self.total.max(1));
        let mut below = 0u16;
        for (class, count) in self.counts.iter().enumerate() {
            below += u16::from(*count);
            if below >= rank {
                return upper(class);
            }
        }
        0
    }

    /// The classes that hold something: (class, count).
    pub(super) fn saved(&self) -> impl Iterator<Item = (u8, u8)> {
        (0u8..).zip(self.counts).filter(|(_, count)| *count > 0)
    }

    /// Puts a saved class back; says whether there is such a class.
    pub(super) fn fill(&mut self, class: u8, count: u8) -> bool {
        let Some(place) = self.counts.get_mut(usize::from(class)) else { return false };
        self.total = self.total - u16::from(*place) + u16::from(count);
        *place = count;
        true
    }
}

fn class(amount: u64) -> usize {
    if amount < 1 << FLOOR_BITS {
        return 0;
    }
    let octave = amount.ilog2();
    if octave >= CEILING_BITS {
        return CLASSES - 1;
    }
    // The two bits behind the leading one.
    let quarter = (amount >> (octave - 2)) & 3;
    1 + ((octave - FLOOR_BITS) * PER_OCTAVE) as usize + usize::try_from(quarter).unwrap_or(0)
}

/// The largest amount of a class.
fn upper(class: usize) -> u64 {
    let Some(n) = class.checked_sub(1).and_then(|n| u32::try_from(n).ok()) else { return (1 << FLOOR_BITS) - 1 };
    let (octave, quarter) = (FLOOR_BITS + n / PER_OCTAVE, u64::from(n % PER_OCTAVE));
    (1u64 << octave) + ((quarter + 1) << (octave - 2)) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn within_a_quarter_of_the_exact_quantile(
            amounts in prop::collection::vec((16u32..41, any::<u32>()).prop_map(|(octave, rest)| (1u64 << octave) + (u64::from(rest) % (1 << octave.min(31)))), 1..200),
            q in 0.01f64..1.0,
        ) {
            let mut sketch: Quantiles<672> = Quantiles::default();
            amounts.iter().for_each(|amount| sketch.add(*amount));
            let mut sorted = amounts;
            sorted.sort_unstable();
            let exact = sorted[((sorted.len() as f64 * q).ceil() as usize).clamp(1, sorted.len()) - 1];
            prop_assert!(sketch.at(q) >= exact, "{} < {exact}", sketch.at(q));
            prop_assert!(sketch.at(q) as f64 <= exact as f64 * 1.25, "{} > {exact}", sketch.at(q));
            let mut again: Quantiles<672> = Quantiles::default();
            prop_assert!(sketch.saved().all(|(class, count)| again.fill(class, count)));
            prop_assert_eq!(again, sketch);
        }
    }

    #[test]
    fn what_is_old_fades() {
        let mut sketch: Quantiles<100> = Quantiles::default();
        (0..100).for_each(|_| sketch.add(1 << 30));
        assert_eq!(sketch.at(0.5) >> 30, 1);
        (0..100).for_each(|_| sketch.add(1 << 20));
        assert_eq!(sketch.at(0.5) >> 20, 1);
        assert!(sketch.len() <= 100);
        assert_eq!((Quantiles::<100>::default().at(0.99), class(0), class(u64::MAX), upper(0)), (0, 0, CLASSES - 1, 65_535));
    }
}

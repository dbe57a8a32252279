//! The records of one group in the order of event time, in chunks: adding at the end and forgetting at the front cost
//! nothing, putting one in the middle moves a chunk's worth, finding a place is a binary search, and chunks without a cell
//! that still waits for a match are passed over whole.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;

use foldhash::fast::FixedState;
use ingest::frame::Seq;
use serde::{Deserialize, Serialize, Serializer};

use super::condition::{Amount, Measure};

/// Cells of one chunk: 6 kB that a late record may have to move half of.
const CHUNK_CELLS_MAX: usize = 128;

/// One match of a referenced rule, or several that were folded into one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) time: i64,
    pub(super) seq: Seq,
    pub(super) rule: u8,
    /// Part of a matching window.
    pub(super) hot: bool,
    /// End of a matching window.
    pub(super) end: bool,
    /// Came late, and the open chains do not know of it yet.
    pub(super) aside: bool,
    /// At which body, where that matters (`reach::Bodies`).
    pub(super) body: u16,
    /// How many records it stands for.
    pub(super) count: u32,
    /// Their value's fingerprint, or what their values add up to.
    pub(super) value: Amount,
}

/// Where a cell stands.
pub(super) type Order = (i64, Seq, u8);

impl Cell {
    pub(super) fn order(&self) -> Order {
        (self.time, self.seq, self.rule)
    }
}

/// What became of a cell that was to be put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    Last,
    Between,
    /// It is there already.
    Known,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "String")]
pub(super) struct Line {
    chunks: VecDeque<Chunk>,
    len: usize,
}

/// Never empty.
#[derive(Clone, Debug, Default)]
struct Chunk {
    cells: VecDeque<Cell>,
    /// Those that are not hot.
    cold: usize,
}

impl Chunk {
    fn last(&self) -> Option<&Cell> {
        self.cells.back()
    }

    fn ends_before(&self, order: Order) -> bool {
        self.last().is_some_and(|last| last.order() < order)
    }

    fn is_older(&self, time: i64) -> bool {
        self.last().is_some_and(|last| last.time < time)
    }
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn first(&self) -> Option<&Cell> {
        self.chunks.front()?.cells.front()
    }

    pub(super) fn last(&self) -> Option<&Cell> {
        self.chunks.back()?.last()
    }

    /// Puts a cell in its place. `again`: it may have come before, and is the same as one of the same time and sequence.
    pub(super) fn put(&mut self, cell: Cell, again: bool) -> Put {
        let order = cell.order();
        if self.last().is_none_or(|last| last.order() < order) {
            self.push(cell);
            return Put::Last;
        }
        let newest = self.chunks.len().saturating_sub(1);
        let found = self.chunks.partition_point(|chunk| chunk.ends_before(order)).min(newest);
        let Some(chunk) = self.chunks.get_mut(found) else { return Put::Known };
        let from = chunk.cells.partition_point(|known| known.order() < order);
        if again && chunk.cells.get(from).is_some_and(|known| known.order() == order) {
            return Put::Known;
        }
        // Several records of one frame may be alike in all this: they stand behind each other as they came.
        let at = chunk.cells.partition_point(|known| known.order() <= order);
        let last = at == chunk.cells.len() && found == newest;
        chunk.cells.insert(at, cell);
        chunk.cold += usize::from(!cell.hot);
        self.len += 1;
        if chunk.cells.len() > CHUNK_CELLS_MAX {
            let behind = chunk.cells.split_off(CHUNK_CELLS_MAX / 2);
            let cold = behind.iter().filter(|cell| !cell.hot).count();
            chunk.cold -= cold;
            self.chunks.insert(found + 1, Chunk { cells: behind, cold });
        }
        if last { Put::Last } else { Put::Between }
    }

    fn push(&mut self, cell: Cell) {
        if self.chunks.back().is_none_or(|chunk| chunk.cells.len() >= CHUNK_CELLS_MAX) {
            self.chunks.push_back(Chunk::default());
        }
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.cold += usize::from(!cell.hot);
            chunk.cells.push_back(cell);
            self.len += 1;
        }
    }

    pub(super) fn pop_first(&mut self) -> Option<Cell> {
        let chunk = self.chunks.front_mut()?;
        let cell = chunk.cells.pop_front()?;
        chunk.cold -= usize::from(!cell.hot);
        if chunk.cells.is_empty() {
            self.chunks.pop_front();
        }
        self.len -= 1;
        Some(cell)
    }

    /// The cells from that time on.
    pub(super) fn since(&self, time: i64) -> impl Iterator<Item = &Cell> {
        let first = self.chunks.partition_point(|chunk| chunk.is_older(time));
        let skip = self.chunks.get(first).map_or(0, |chunk| chunk.cells.partition_point(|cell| cell.time < time));
        self.chunks.range(first..).flat_map(|chunk| chunk.cells.iter()).skip(skip)
    }

    /// How many those are; counted by chunks.
    pub(super) fn count_since(&self, time: i64) -> usize {
        let first = self.chunks.partition_point(|chunk| chunk.is_older(time));
        let skip = self.chunks.get(first).map_or(0, |chunk| chunk.cells.partition_point(|cell| cell.time < time));
        self.chunks.range(first..).map(|chunk| chunk.cells.len()).sum::<usize>() - skip
    }

    /// Makes the last cell hot, if it is not; gives it back if so.
    pub(super) fn heat_last(&mut self) -> Option<Cell> {
        let chunk = self.chunks.back_mut()?;
        let cell = chunk.cells.back_mut()?;
        heat(cell, &mut chunk.cold)
    }

    /// Makes a cell hot, if it is there and is not; gives it back if so.
    pub(super) fn heat_at(&mut self, order: Order) -> Option<Cell> {
        let found = self.chunks.partition_point(|chunk| chunk.ends_before(order));
        let chunk = self.chunks.get_mut(found)?;
        let at = chunk.cells.partition_point(|cell| cell.order() < order);
        let cell = chunk.cells.range_mut(at..).find(|cell| !cell.hot || cell.order() != order).filter(|cell| cell.order() == order)?;
        heat(cell, &mut chunk.cold)
    }

    /// Makes all cells of a window hot; gives back those that were not.
    pub(super) fn heat(&mut self, since: i64, until: Order) -> Vec<Cell> {
        let mut fresh = Vec::new();
        let first = self.chunks.partition_point(|chunk| chunk.is_older(since));
        for chunk in self.chunks.range_mut(first..) {
            if chunk.cells.front().is_none_or(|cell| cell.order() > until) {
                break;
            }
            if chunk.cold == 0 {
                continue;
            }
            let cells = chunk.cells.iter_mut().filter(|cell| cell.time >= since && cell.order() <= until);
            for cell in cells {
                fresh.extend(heat(cell, &mut chunk.cold));
            }
        }
        fresh
    }

    /// Marks the end of a matching window; whether it was none.
    pub(super) fn mark_end(&mut self, order: Order) -> bool {
        let found = self.chunks.partition_point(|chunk| chunk.ends_before(order));
        let Some(chunk) = self.chunks.get_mut(found) else { return false };
        let at = chunk.cells.partition_point(|cell| cell.order() < order);
        chunk.cells.get_mut(at).is_some_and(|cell| cell.order() == order && !std::mem::replace(&mut cell.end, true))
    }

    /// All cells from that time on, none of them aside any more.
    pub(super) fn taken_in(&mut self, since: i64) -> Vec<Cell> {
        let first = self.chunks.partition_point(|chunk| chunk.is_older(since));
        let mut taken = Vec::new();
        for cell in self.chunks.range_mut(first..).flat_map(|chunk| &mut chunk.cells).filter(|cell| cell.time >= since) {
            cell.aside = false;
            taken.push(*cell);
        }
        taken
    }

    /// Cells that say the same within the same `grid` milliseconds become one, which stands where the last of them stood.
    pub(super) fn fold(&mut self, grid: i64, measure: &Measure) {
        let cells: Vec<Cell> = self.chunks.drain(..).flat_map(|chunk| chunk.cells).collect();
        self.len = 0;
        let mut together: HashMap<(Amount, u8, bool, u16), usize, FixedState> = HashMap::default();
        for block in cells.chunk_by(|one, other| one.time.div_euclid(grid) == other.time.div_euclid(grid)) {
            let mut folded: Vec<Cell> = Vec::new();
            together.clear();
            for cell in block {
                let rule = if measure.tells_rules_apart() { cell.rule } else { 0 };
                let at = *together.entry((sameness(cell, measure), rule, cell.hot, cell.body)).or_insert(folded.len());
                match folded.get_mut(at) {
                    None => folded.push(*cell),
                    Some(known) => {
                        (known.time, known.seq, known.rule) = cell.order();
                        known.end |= cell.end;
                        known.count = known.count.saturating_add(cell.count);
                        if measure.is_numeric() {
                            known.value = known.value.saturating_add(cell.value);
                        }
                    }
                }
            }
            folded.sort_unstable_by_key(Cell::order);
            folded.into_iter().for_each(|cell| self.push(cell));
        }
    }
}

fn heat(cell: &mut Cell, cold: &mut usize) -> Option<Cell> {
    if std::mem::replace(&mut cell.hot, true) {
        return None;
    }
    *cold -= 1;
    Some(*cell)
}

/// Cells are alike if this is the same: of what is added up all are, of what is ranked those whose values lie within a
/// hundredth of each other, else those of the same value.
fn sameness(cell: &Cell, measure: &Measure) -> Amount {
    match measure {
        Measure::Values => cell.value,
        Measure::Median | Measure::Percentile(_) => {
            let mean = cell.value / Amount::from(cell.count.max(1));
            // The leading seven bits and how many follow: steps of 1/64 to 1/128.
            let bits = Amount::BITS.saturating_sub(mean.unsigned_abs().leading_zeros()).saturating_sub(7);
            mean >> bits << bits
        }
        _ => 0,
    }
}

/// Numbers of a cell as they are saved, the first two as differences to the cell before. All in one text: as numbers of
/// their own they would take twenty times the room on their way.
const SAVED_NUMBERS: usize = 6;

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut text, mut time, mut seq) = (String::with_capacity(self.len * 16), 0_i64, 0_u64);
        for cell in self.chunks.iter().flat_map(|chunk| &chunk.cells) {
            let marks = u32::from(cell.aside) << 2 | u32::from(cell.end) << 1 | u32::from(cell.hot);
            let flags = u32::from(cell.body) << 11 | u32::from(cell.rule) << 3 | marks;
            let (time_step, seq_step) = (cell.time.wrapping_sub(time), cell.seq.0.wrapping_sub(seq).cast_signed());
            let bits = cell.value.cast_unsigned();
            // Writing to a text cannot fail.
            let _ = write!(text, "{time_step} {seq_step} {flags} {} {:x} {:x} ", cell.count, bits >> 64, bits & u128::from(u64::MAX));
            (time, seq) = (cell.time, cell.seq.0);
        }
        serializer.serialize_str(&text)
    }
}

impl From<String> for Line {
    fn from(saved: String) -> Self {
        let (mut line, mut time, mut seq) = (Self::default(), 0_i64, 0_u64);
        let words: Vec<&str> = saved.split_ascii_whitespace().collect();
        for cell in words.chunks_exact(SAVED_NUMBERS) {
            let &[time_step, seq_step, flags, count, high, low] = cell else { continue };
            let step = |text: &str| text.parse::<i64>().unwrap_or_default();
            let half = |text: &str| u128::from_str_radix(text, 16).unwrap_or_default();
            (time, seq) = (time.wrapping_add(step(time_step)), seq.wrapping_add(step(seq_step).cast_unsigned()));
            let flags: u32 = flags.parse().unwrap_or_default();
            line.push(Cell {
                time,
                seq: Seq(seq),
                rule: u8::try_from(flags >> 3 & 0xFF).unwrap_or_default(),
                body: u16::try_from(flags >> 11).unwrap_or_default(),
                hot: flags & 1 != 0,
                end: flags & 2 != 0,
                aside: flags & 4 != 0,
                count: count.parse().unwrap_or(1),
                value: (half(high) << 64 | half(low)).cast_signed(),
            });
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell(time: i64, seq: u64) -> Cell {
        Cell { time, seq: Seq(seq), rule: 0, hot: false, end: false, aside: false, body: 0, count: 1, value: -Amount::from(seq) }
    }

    proptest! {
        /// Against a sorted vector.
        #[test]
        fn a_line_is_a_sorted_list(times in proptest::collection::vec(0..200i64, 0..600), from in 0..200i64, to in 0..200i64) {
            let (mut line, mut naive) = (Line::default(), Vec::new());
            for (time, seq) in times.into_iter().zip(1..) {
                let last = naive.last().is_none_or(|last: &Cell| last.time <= time);
                prop_assert_eq!(line.put(cell(time, seq), true), if last { Put::Last } else { Put::Between });
                prop_assert_eq!(line.put(cell(time, seq), true), Put::Known);
                naive.push(cell(time, seq));
                naive.sort_by_key(Cell::order);
            }
            prop_assert!(line.since(i64::MIN).eq(&naive));
            prop_assert!(line.since(from).eq(naive.iter().filter(|cell| cell.time >= from)));
            prop_assert_eq!(line.count_since(from), line.since(from).count());
            let mut heated = line.heat(from, (to, Seq(u64::MAX), 0));
            prop_assert!(heated.iter().map(|cell| (cell.time, cell.seq)).eq(
                naive.iter().filter(|cell| cell.time >= from && cell.time <= to).map(|cell| (cell.time, cell.seq))));
            prop_assert_eq!(line.heat(from, (to, Seq(u64::MAX), 0)), vec![]);
            if let Some(any) = naive.get(naive.len() / 2) {
                heated.extend(line.heat_at(any.order()));
                prop_assert!(line.heat_at(any.order()).is_none() && line.mark_end(any.order()) && !line.mark_end(any.order()));
            }
            let saved: Line = serde_json::from_str(&serde_json::to_string(&line).unwrap()).unwrap();
            prop_assert!(saved.since(i64::MIN).eq(line.since(i64::MIN)) && saved.len() == line.len());
            let cold = |line: &Line| line.chunks.iter().map(|chunk| chunk.cold).sum::<usize>();
            prop_assert_eq!((cold(&line), cold(&saved)), (naive.len() - heated.len(), naive.len() - heated.len()));
            for first in naive {
                prop_assert_eq!(line.pop_first().unwrap().order(), first.order());
            }
            prop_assert_eq!(line.len(), 0);
        }

        /// Folding loses nothing and keeps the order.
        #[test]
        fn folded_cells_add_up(times in proptest::collection::vec((0..100i64, 0..9i64), 0..300), grid in 1..40i64) {
            for measure in [Measure::Count, Measure::Sum, Measure::Values, Measure::Median] {
                let mut line = Line::default();
                for ((time, value), seq) in times.iter().zip(1..) {
                    line.put(Cell { value: Amount::from(*value), ..cell(*time, seq) }, false);
                }
                line.fold(grid, &measure);
                let cells: Vec<Cell> = line.since(i64::MIN).copied().collect();
                prop_assert!(cells.is_sorted_by_key(Cell::order));
                prop_assert_eq!(cells.iter().map(|cell| cell.count as usize).sum::<usize>(), times.len());
                if measure.is_numeric() {
                    let sum: Amount = times.iter().map(|(_, value)| Amount::from(*value)).sum();
                    prop_assert_eq!(cells.iter().map(|cell| cell.value).sum::<Amount>(), sum);
                }
                let kinds = if matches!(measure, Measure::Count | Measure::Sum) { 1 } else { 9 };
                prop_assert!(cells.len() <= usize::try_from(100 / grid + 1).unwrap() * kinds);
            }
        }
    }
}

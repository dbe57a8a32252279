//! Who holds how much of a room that all exporters share. Whoever holds most gives up first: so one sender, however loud, takes
//! nothing from the others, and where nobody else needs the room it has all of it.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// The exporters' shares of a room, in bytes.
#[derive(Debug)]
pub(super) struct Shares {
    held: HashMap<IpAddr, usize>,
    /// Those who hold more than `fair`, by how much.
    heavy: BTreeSet<(usize, IpAddr)>,
    fair: usize,
    total: usize,
}

impl Shares {
    /// Nobody who holds no more than `fair` gives up anything as the heaviest.
    pub(super) fn new(fair: usize) -> Self {
        Self { held: HashMap::new(), heavy: BTreeSet::new(), fair, total: 0 }
    }

    pub(super) fn add(&mut self, exporter: IpAddr, bytes: usize) {
        let before = self.of(exporter);
        self.set(exporter, before, before + bytes);
    }

    pub(super) fn take(&mut self, exporter: IpAddr, bytes: usize) {
        let before = self.of(exporter);
        self.set(exporter, before, before.saturating_sub(bytes));
    }

    fn set(&mut self, exporter: IpAddr, before: usize, after: usize) {
        if before > self.fair {
            self.heavy.remove(&(before, exporter));
        }
        if after > self.fair {
            self.heavy.insert((after, exporter));
        }
        if after > 0 {
            self.held.insert(exporter, after);
        } else {
            self.held.remove(&exporter);
        }
        self.total = self.total.saturating_sub(before) + after;
    }

    pub(super) fn of(&self, exporter: IpAddr) -> usize {
        self.held.get(&exporter).copied().unwrap_or_default()
    }

    /// Who holds most, if that is more than fair.
    pub(super) fn heaviest(&self) -> Option<IpAddr> {
        self.heavy.last().map(|(_, exporter)| *exporter)
    }

    /// All that is held.
    pub(super) fn total(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_gives_up_first() {
        let [a, b]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().unwrap());
        let mut shares = Shares::new(100);
        shares.add(a, 100);
        shares.add(b, 60);
        assert_eq!((shares.heaviest(), shares.total()), (None, 160));
        shares.add(b, 60);
        assert_eq!(shares.heaviest(), Some(b));
        shares.add(a, 30);
        assert_eq!(shares.heaviest(), Some(a));
        shares.take(a, 50);
        assert_eq!((shares.heaviest(), shares.of(a), shares.total()), (Some(b), 80, 200));
        shares.take(b, 120);
        shares.take(a, 80);
        assert_eq!((shares.heaviest(), shares.total(), shares.held.len()), (None, 0, 0));
    }
}

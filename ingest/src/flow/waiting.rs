//! Data sets that came before their template, within bounds. Where they do not suffice, whoever holds most gives up its oldest:
//! what one exporter sends without ever naming a template costs no other one its data.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;

use super::exporters::TemplateKey;
use super::share::Shares;
use super::template::Origin;
use crate::time::Timestamp;

/// After a restart of everything each of 600 exporters may send for some minutes before it repeats its templates.
pub(super) const WAITING_BYTES_MAX: usize = 4 << 20;
pub(super) const WAITING_SETS_MAX: usize = 8_192;
/// What a set costs beside its bytes (maps, allocations), roughly.
pub(super) const WAITING_ENTRY_BYTES: usize = 512;
/// A sixteenth of all that may wait. Nobody below gives anything up while somebody is above.
const FAIR_BYTES: usize = (WAITING_BYTES_MAX + WAITING_SETS_MAX * WAITING_ENTRY_BYTES) / 16;
/// Templates are repeated every thirty minutes at the latest (Cisco's default). What waits longer is given up: the exporter may
/// have started anew since, and use the template's number for something else.
pub(super) const WAITING_MILLIS_MAX: i64 = Timestamp::HOUR;

/// For which exporter's template a set waits.
pub(super) type WaitingKey = (IpAddr, TemplateKey);

/// Data sets without template, oldest first, within their bounds.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) sets: BTreeMap<u64, WaitingSet>,
    pub(super) by_key: HashMap<WaitingKey, VecDeque<u64>>,
    by_exporter: BTreeSet<(IpAddr, u64)>,
    shares: Shares,
    tick: u64,
    pub(super) bytes: usize,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            sets: BTreeMap::new(),
            by_key: HashMap::new(),
            by_exporter: BTreeSet::new(),
            shares: Shares::new(FAIR_BYTES),
            tick: 0,
            bytes: 0,
        }
    }
}

#[derive(Debug)]
pub(super) struct WaitingSet {
    pub(super) key: WaitingKey,
    pub(super) origin: Origin,
    pub(super) body: Box<[u8]>,
}

impl WaitingSet {
    /// Whether its template comes too late, as of `now`.
    pub(super) fn is_outdated(&self, now: Timestamp) -> bool {
        now.since(self.origin.received_at) > WAITING_MILLIS_MAX
    }
}

impl Waiting {
    /// Keeps a set, and returns for whom others had to go.
    pub(super) fn push(&mut self, key: WaitingKey, origin: &Origin, body: &[u8]) -> Vec<WaitingKey> {
        self.tick += 1;
        let (exporter, _) = key;
        self.by_key.entry(key).or_default().push_back(self.tick);
        self.by_exporter.insert((exporter, self.tick));
        self.shares.add(exporter, body.len() + WAITING_ENTRY_BYTES);
        self.bytes += body.len();
        self.sets.insert(self.tick, WaitingSet { key, origin: *origin, body: body.into() });
        let mut gone = Vec::new();
        while let Some(id) = self.surplus(origin.received_at) {
            gone.extend(self.give_up(id));
        }
        gone
    }

    /// The set that must go next, if one must.
    fn surplus(&self, now: Timestamp) -> Option<u64> {
        let (oldest, set) = self.sets.first_key_value()?;
        if set.is_outdated(now) {
            return Some(*oldest);
        }
        if self.bytes <= WAITING_BYTES_MAX && self.sets.len() <= WAITING_SETS_MAX {
            return None;
        }
        let Some(heaviest) = self.shares.heaviest() else { return Some(*oldest) };
        self.by_exporter.range((heaviest, 0)..).next().map(|(_, id)| *id)
    }

    /// Lets a set go that is its exporter's oldest.
    fn give_up(&mut self, id: u64) -> Option<WaitingKey> {
        let set = self.sets.remove(&id)?;
        self.forget(id, &set);
        if let Some(ids) = self.by_key.get_mut(&set.key) {
            // The oldest of its exporter is the oldest of its key.
            ids.pop_front();
            if ids.is_empty() {
                self.by_key.remove(&set.key);
            }
        }
        Some(set.key)
    }

    fn forget(&mut self, id: u64, set: &WaitingSet) {
        let (exporter, _) = set.key;
        self.by_exporter.remove(&(exporter, id));
        self.shares.take(exporter, set.body.len() + WAITING_ENTRY_BYTES);
        self.bytes = self.bytes.saturating_sub(set.body.len());
    }

    /// Takes out what waits for a template, oldest first.
    pub(super) fn take(&mut self, key: &WaitingKey) -> Vec<WaitingSet> {
        let mut taken = Vec::new();
        for id in self.by_key.remove(key).unwrap_or_default() {
            if let Some(set) = self.sets.remove(&id) {
                self.forget(id, &set);
                taken.push(set);
            }
        }
        taken
    }

    /// What all of it takes, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        self.shares.total()
    }
}

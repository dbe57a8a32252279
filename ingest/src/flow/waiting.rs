//! Data sets that came before their template, oldest first, within bounds.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;

use super::exporters::TemplateKey;
use super::template::Origin;

/// After a restart of everything each of 600 exporters may send for some minutes before it repeats its templates. The oldest
/// are given up first.
pub(super) const WAITING_BYTES_MAX: usize = 4 << 20;
pub(super) const WAITING_SETS_MAX: usize = 8_192;
/// What a set costs beside its bytes (maps, allocations), roughly.
pub(super) const WAITING_ENTRY_BYTES: usize = 256;

/// For which exporter's template a set waits.
pub(super) type WaitingKey = (IpAddr, TemplateKey);

/// Data sets without template, oldest first, within their bounds.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) sets: BTreeMap<u64, WaitingSet>,
    pub(super) by_key: HashMap<WaitingKey, VecDeque<u64>>,
    tick: u64,
    pub(super) bytes: usize,
}

#[derive(Debug)]
pub(super) struct WaitingSet {
    pub(super) key: WaitingKey,
    pub(super) origin: Origin,
    pub(super) body: Box<[u8]>,
}

impl Waiting {
    /// Keeps a set, and returns how many had to go for it.
    pub(super) fn push(&mut self, key: WaitingKey, origin: &Origin, body: &[u8]) -> usize {
        self.tick += 1;
        self.by_key.entry(key).or_default().push_back(self.tick);
        self.bytes += body.len();
        self.sets.insert(self.tick, WaitingSet { key, origin: *origin, body: body.into() });
        let mut lost = 0;
        while self.bytes > WAITING_BYTES_MAX || self.sets.len() > WAITING_SETS_MAX {
            let Some((_, set)) = self.sets.pop_first() else { break };
            self.bytes = self.bytes.saturating_sub(set.body.len());
            if let Some(ids) = self.by_key.get_mut(&set.key) {
                // The oldest of all is the oldest of its key.
                ids.pop_front();
                if ids.is_empty() {
                    self.by_key.remove(&set.key);
                }
            }
            lost += 1;
        }
        lost
    }

    /// Takes out what waits for a template, oldest first.
    pub(super) fn take(&mut self, key: &WaitingKey) -> Vec<WaitingSet> {
        let ids = self.by_key.remove(key).unwrap_or_default();
        let sets: Vec<WaitingSet> = ids.iter().filter_map(|id| self.sets.remove(id)).collect();
        self.bytes = self.bytes.saturating_sub(sets.iter().map(|set| set.body.len()).sum());
        sets
    }
}

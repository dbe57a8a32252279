//! What exporters told once and is needed for all that follows: templates and sampling rates, within one budget for all.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::sampler::{Rates, SamplerKey};
use super::share::Shares;
use super::template::Template;

/// Routers with many flow monitors define some hundreds. Of an exporter beyond the half goes that served data the longest ago:
/// those that somebody else announced under its address serve none.
const TEMPLATES_PER_EXPORTER_MAX: usize = 1_024;
/// Line cards each may have their own rate; beyond, the rates are learnt afresh.
const SAMPLERS_PER_EXPORTER_MAX: usize = 256;
/// All templates of all exporters together: 40,000 usual ones, 60 for each of the 600 sites. Whoever holds most goes first if
/// that is more than fair, then the exporter that was silent the longest.
const CACHE_BYTES_MAX: usize = 16 << 20;
/// 600 usual templates.
const FAIR_BYTES: usize = 256 << 10;
const SAMPLER_BYTES: usize = 64;
/// What an exporter takes beside its templates: its place in the maps, and the first node of its own, which has room for eleven.
const EXPORTER_BYTES: usize = 1_536;

/// A template's place: NetFlow v9 (9) and IPFIX (10) of one exporter do not know of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TemplateKey {
    pub(super) version: u8,
    /// Source id or observation domain.
    pub(super) domain: u32,
    pub(super) id: u16,
}

/// What one exporter told.
#[derive(Debug, Default)]
pub(super) struct Exporter {
    pub(super) templates: BTreeMap<TemplateKey, Template>,
    pub(super) samplers: BTreeMap<SamplerKey, u32>,
    used: u64,
}

impl Exporter {
    /// The rates of a template's records that do not say it themselves.
    pub(super) fn rates(&self, key: TemplateKey, otherwise: u32) -> Rates<'_> {
        Rates::new(&self.samplers, key, otherwise)
    }

    /// Drops the templates that served data the longest ago, half of all or more; returns the bytes that they took.
    fn forget_half(&mut self) -> usize {
        let mut used: Vec<u64> = self.templates.values().map(|template| template.used).collect();
        let middle = used.len() / 2;
        let (_, median, _) = used.select_nth_unstable(middle);
        let (median, mut freed) = (*median, 0);
        self.templates.retain(|_, template| {
            let stays = template.used > median;
            freed += if stays { 0 } else { template.size_bytes() };
            stays
        });
        freed
    }

    #[cfg(test)]
    fn size_bytes(&self) -> usize {
        EXPORTER_BYTES + self.templates.values().map(Template::size_bytes).sum::<usize>() + self.samplers.len() * SAMPLER_BYTES
    }
}

/// All exporters' templates within one budget.
#[derive(Debug)]
pub(super) struct Exporters {
    exporters: HashMap<IpAddr, Exporter>,
    /// The exporters by last use, the longest unused first.
    order: BTreeMap<u64, IpAddr>,
    tick: u64,
    /// Data sets that were read.
    served: u64,
    shares: Shares,
}

impl Default for Exporters {
    fn default() -> Self {
        Self { exporters: HashMap::new(), order: BTreeMap::new(), tick: 0, served: 0, shares: Shares::new(FAIR_BYTES) }
    }
}

impl Exporters {
    /// The exporter if it is known; counts as use.
    pub(super) fn get(&mut self, address: IpAddr) -> Option<&mut Exporter> {
        let exporter = self.exporters.get_mut(&address)?;
        if exporter.used != self.tick {
            self.order.remove(&exporter.used);
            self.tick += 1;
            exporter.used = self.tick;
            self.order.insert(self.tick, address);
        }
        Some(exporter)
    }

    /// The exporter of a data set, if its template is known; counts as use of both.
    pub(super) fn serve(&mut self, address: IpAddr, key: &TemplateKey) -> Option<&Exporter> {
        self.served += 1;
        let served = self.served;
        let exporter = self.get(address)?;
        exporter.templates.get_mut(key)?.used = served;
        Some(&*exporter)
    }

    /// Keeps a template; says whether it was new or changed.
    pub(super) fn template_set(&mut self, address: IpAddr, key: TemplateKey, template: Template) -> bool {
        if !self.exporters.contains_key(&address) {
            self.tick += 1;
            self.exporters.insert(address, Exporter { used: self.tick, ..Exporter::default() });
            self.order.insert(self.tick, address);
            self.shares.add(address, EXPORTER_BYTES);
        }
        let Some(exporter) = self.get(address) else { return false };
        let known = exporter.templates.get(&key);
        if known.is_some_and(|known| known.fields == template.fields && known.scope == template.scope) {
            return false;
        }
        let mut freed = known.map_or(0, Template::size_bytes);
        if known.is_none() && exporter.templates.len() >= TEMPLATES_PER_EXPORTER_MAX {
            freed = exporter.forget_half();
        }
        let added = template.size_bytes();
        exporter.templates.insert(key, template);
        self.shares.take(address, freed);
        self.shares.add(address, added);
        self.shrink();
        true
    }

    /// Keeps a sampling rate of a known exporter.
    pub(super) fn sampler_set(&mut self, address: IpAddr, key: SamplerKey, rate: u32) {
        let Some(exporter) = self.get(address) else { return };
        let before = exporter.samplers.len();
        if before >= SAMPLERS_PER_EXPORTER_MAX && !exporter.samplers.contains_key(&key) {
            exporter.samplers.clear();
        }
        exporter.samplers.insert(key, rate);
        let after = exporter.samplers.len();
        self.shares.take(address, before * SAMPLER_BYTES);
        self.shares.add(address, after * SAMPLER_BYTES);
        self.shrink();
    }

    /// Forgets a template that its exporter took back.
    pub(super) fn template_remove(&mut self, address: IpAddr, key: TemplateKey) {
        let Some(exporter) = self.exporters.get_mut(&address) else { return };
        let removed = exporter.templates.remove(&key);
        self.shares.take(address, removed.map_or(0, |template| template.size_bytes()));
        // One that told nothing else is forgotten, or forged ones that announce and withdraw would fill the memory.
        if exporter.templates.is_empty() && exporter.samplers.is_empty() {
            self.remove(address);
        }
    }

    fn remove(&mut self, address: IpAddr) {
        if let Some(exporter) = self.exporters.remove(&address) {
            self.order.remove(&exporter.used);
        }
        self.shares.take(address, self.shares.of(address));
    }

    fn shrink(&mut self) {
        while self.shares.total() > CACHE_BYTES_MAX && self.exporters.len() > 1 {
            let silent = || self.order.first_key_value().map(|(_, address)| *address);
            let Some(gone) = self.shares.heaviest().or_else(silent) else { break };
            self.remove(gone);
        }
    }

    /// All exporters by address, for the snapshot.
    pub(super) fn sorted(&self) -> Vec<(IpAddr, &Exporter)> {
        let mut all: Vec<_> = self.exporters.iter().map(|(address, exporter)| (*address, exporter)).collect();
        all.sort_by_key(|(address, _)| *address);
        all
    }

    /// Of all templates and rates, as the budget counts them.
    pub(super) fn size_bytes(&self) -> usize {
        self.shares.total()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::flow::sampler::Scope;
    use crate::flow::template::{FIELDS_MAX, TemplateField};

    const fn key(id: u16) -> TemplateKey {
        TemplateKey { version: 9, domain: 0, id }
    }

    fn template(len: u16, fields: usize) -> Template {
        Template::compile(vec![TemplateField { element: 1, len, enterprise: 0 }; fields], None, false).unwrap()
    }

    #[test]
    fn the_cache_keeps_its_budget_and_its_busy_exporters() {
        let mut cache = Exporters::default();
        let busy: IpAddr = "10.0.0.1".parse().unwrap();
        cache.template_set(busy, key(256), template(4, 1));
        for stranger in 0..24u32 {
            let address = IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + stranger));
            for id in 0..1_100u16 {
                cache.template_set(address, key(256 + id), template(4, FIELDS_MAX));
                cache.sampler_set(address, (9, 0, Scope::Sampler(id.into())), 100);
            }
            assert!(cache.get(busy).is_some(), "a used exporter stays");
            assert!(cache.size_bytes() <= CACHE_BYTES_MAX);
        }
        let counted: usize = cache.exporters.values().map(Exporter::size_bytes).sum();
        assert_eq!(counted, cache.size_bytes());
        assert_eq!(cache.order.len(), cache.exporters.len());
        assert!(cache.exporters.values().all(|exporter| exporter.templates.len() <= TEMPLATES_PER_EXPORTER_MAX));
    }

    /// Ten strangers who announce all they can, under their own addresses and under the honest one's.
    #[test]
    fn a_flood_takes_no_template_that_serves() {
        let mut cache = Exporters::default();
        let [honest, idle]: [IpAddr; 2] = ["10.0.0.1", "10.0.0.2"].map(|address| address.parse().unwrap());
        for id in 256..276 {
            cache.template_set(honest, key(id), template(4, 20));
            cache.template_set(idle, key(id), template(4, 20));
        }
        for round in 0..12u16 {
            for loud in 0..10u32 {
                let address = IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + loud));
                for id in 0..200u16 {
                    cache.template_set(address, key(300 + round * 200 + id), template(4, FIELDS_MAX));
                }
            }
            for id in 0..100u16 {
                let forged = TemplateKey { domain: 9, ..key(300 + round * 100 + id) };
                cache.template_set(honest, forged, template(4, 2));
            }
            assert!((256..276).all(|id| cache.serve(honest, &key(id)).is_some()), "round {round}");
            assert!(cache.size_bytes() <= CACHE_BYTES_MAX);
        }
        assert!((256..276).all(|id| cache.serve(idle, &key(id)).is_some()), "who holds little keeps it, however silent");
        let counted: usize = cache.exporters.values().map(Exporter::size_bytes).sum();
        assert_eq!(counted, cache.size_bytes());
    }

    #[test]
    fn the_same_template_again_is_no_news() {
        let mut cache = Exporters::default();
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(cache.template_set(address, key(256), template(4, 2)));
        assert!(!cache.template_set(address, key(256), template(4, 2)));
        assert!(cache.template_set(address, key(256), template(8, 2)));
    }
}

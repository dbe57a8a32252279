//! Sampling rates that exporters tell in options, and for which records each of them holds: that is what the scope of an options
//! record says (RFC 3954 section 6.1, RFC 7011 section 3.4.2.1, RFC 5476 section 6.5). A rate whose scope is not understood holds
//! for nothing that we could name, and is not kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FlowRecord;
use super::exporters::TemplateKey;
use super::sets::V9;
use super::template::{Extra, Origin, RecordBytes, Template, TemplateField, low, number};

/// What a rate holds for, in an observation domain; the narrower the further down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Scope {
    Domain,
    /// The records of one template.
    Template(u16),
    /// The packets that came in by one interface, or went out where the record says that it was seen there.
    Interface(u32),
    /// The records that name one sampler, or PSAMP's selector.
    Sampler(u64),
}

/// A rate's place: the protocol's version, the source id or observation domain, and what it holds for there.
pub(super) type SamplerKey = (u8, u32, Scope);

/// What a scope field means.
enum Meaning {
    /// The exporter as a whole, or the one process of it that measures.
    All,
    /// The observation domain of this number.
    Domain,
    Narrower(fn(u64) -> Scope),
    Unknown,
}

fn meaning(version: u8, field: &TemplateField) -> Meaning {
    let interface = Meaning::Narrower(|index| Scope::Interface(low(index)));
    let template = Meaning::Narrower(|id| Scope::Template(low(id)));
    match (version, field.enterprise, field.element) {
        // NetFlow's scopes have numbers of their own: system, interface, template. Line cards and caches are named in no record.
        (V9, _, 1) => Meaning::All,
        (V9, _, 2) => interface,
        (V9, _, 5) => template,
        (V9, ..) => Meaning::Unknown,
        // exporterIPv4Address, exporterIPv6Address, meteringProcessId, exportingProcessId
        (_, 0, 130 | 131 | 143 | 144) => Meaning::All,
        // observationDomainId
        (_, 0, 149) => Meaning::Domain,
        // ingressInterface, egressInterface
        (_, 0, 10 | 14) => interface,
        // templateId
        (_, 0, 145) => template,
        // samplerId, selectorId
        (_, 0, 48 | 302) => Meaning::Narrower(Scope::Sampler),
        _ => Meaning::Unknown,
    }
}

/// Where the rate of an options record holds, which may name its `sampler` outside of the scope, too.
pub(super) fn place(template: &Template, record: &RecordBytes<'_, '_>, sampler: Option<u64>, origin: &Origin) -> Option<SamplerKey> {
    let (mut domain, mut scope, mut understood) = (origin.domain, Scope::Domain, true);
    let mut left = template.scope.unwrap_or_default();
    template.each_field(record, &mut |field, bytes| {
        if left == 0 {
            return;
        }
        left -= 1;
        match (meaning(origin.version, &field), number(bytes)) {
            (Meaning::All, _) | (Meaning::Domain, 0) => {}
            (Meaning::Domain, of) => domain = low(of),
            (Meaning::Narrower(narrower), value) => {
                // Two at once are narrower than each of them.
                understood &= scope == Scope::Domain;
                scope = narrower(value);
            }
            (Meaning::Unknown, _) => understood = false,
        }
    });
    if let (Some(sampler), Scope::Domain) = (sampler, scope) {
        scope = Scope::Sampler(sampler);
    }
    understood.then_some((origin.version, domain, scope))
}

/// The rates for the records of one template.
pub(super) struct Rates<'a> {
    samplers: &'a BTreeMap<SamplerKey, u32>,
    key: TemplateKey,
    /// Some rate holds for less than the template: each record must be asked.
    narrow: bool,
    otherwise: u32,
}

impl<'a> Rates<'a> {
    /// `otherwise` is the operator's word, which counts where the exporter says nothing.
    pub(super) fn new(samplers: &'a BTreeMap<SamplerKey, u32>, key: TemplateKey, otherwise: u32) -> Self {
        let find = |scope| samplers.get(&(key.version, key.domain, scope)).copied();
        let (from, to) = (Scope::Interface(0), Scope::Sampler(u64::MAX));
        let narrow = samplers.range((key.version, key.domain, from)..=(key.version, key.domain, to)).next().is_some();
        let otherwise = find(Scope::Template(key.id)).or_else(|| find(Scope::Domain)).unwrap_or(otherwise);
        Self { samplers, key, narrow, otherwise }
    }

    /// By the record itself, by options from the narrowest scope up, or by the operator's word.
    pub(super) fn of(&self, extra: &Extra, record: &FlowRecord) -> u32 {
        if let Some(rate) = extra.sampling {
            return rate;
        }
        if !self.narrow {
            return self.otherwise;
        }
        let find = |scope| self.samplers.get(&(self.key.version, self.key.domain, scope)).copied();
        let interface = if record.direction == 1 { record.out_if } else { record.in_if };
        let of_sampler = extra.sampler.and_then(|sampler| find(Scope::Sampler(sampler)));
        of_sampler.or_else(|| find(Scope::Interface(interface))).unwrap_or(self.otherwise)
    }
}

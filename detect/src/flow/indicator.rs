//! Traffic to listed addresses: an inside host speaks with an address or prefix that an indicator list names. What inside
//! sends is judged: a call to a listed address always, an answer to one only where it is a conversation, as what listed
//! addresses send to us is the everyday noise of the net. The lists are those of `intel`, asked in the same place as for
//! the Sigma rules, which raise nothing of their own for flows.
//!
//! Of a host and an indicator the first record is told at once, and what follows about every ten minutes; alerts put it
//! together. `Settings` and `Contact` are pure and serve the retro-hunt too.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::time::Timestamp;

use super::networks::{RST, TCP};
use super::table::{Table, hash_of};
use super::wire::{Host, Keep, Reader, Writer};
use super::{Detection, Detector, Footprint, ParameterError, Parameters, Reason, RestoreError, Seen};
use crate::finding::Entity;
use crate::intel::{Hit, IndicatorSet, SharedIndicators};
use crate::say::{count, size};

pub(crate) const NAME: &str = "flow_indicator";
/// The rule of what the retro-hunt finds.
pub(crate) const NAME_RETRO: &str = "flow_indicator_retro";
/// The rule of what it finds in events.
pub(crate) const NAME_RETRO_EVENTS: &str = "event_indicator_retro";
const VERSION: u8 = 1;
/// Host and indicator pairs remembered at once: each tells once more where it is pushed out.
const PAIRS_MAX: usize = 20_000;
/// What follows the first record is told so often, by receipt.
const TELL_EVERY: i64 = 10 * Timestamp::MINUTE;
/// Flows kept as evidence of one telling.
const EVIDENCE: usize = 20;
/// Ports and addresses named in one telling.
const NAMED_MAX: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) confidence_min: u8,
    pub(crate) answer_packets: u64,
    pub(crate) answer_bytes: u64,
}

impl Settings {
    /// # Errors
    /// Where a parameter is out of its range.
    pub(crate) fn read(parameters: &Parameters) -> Result<Self, ParameterError> {
        Ok(Self {
            confidence_min: u8::try_from(parameters.count("confidence_min", 0..=100)?).unwrap_or(100),
            answer_packets: parameters.count("answer_packets_min", 1..=1_000_000)?,
            answer_bytes: parameters.count("answer_bytes_min", 1..=1_000_000_000)?,
        })
    }

    /// Whether a record is one that inside sends and that tells something, before any list is asked.
    pub(crate) fn worth(&self, flow: &FlowRecord, seen: &Seen) -> bool {
        // A reset or a lone answer to a probe is what a closed port does.
        let refused = flow.protocol == TCP && flow.tcp_flags & RST != 0 && flow.packets <= 2;
        let conversation = seen.packets >= self.answer_packets && seen.bytes >= self.answer_bytes && !refused;
        seen.src_inside && !seen.dst_inside && (seen.initiator || conversation)
    }

    /// The indicator that a record's destination meets: the narrowest, of those the most trusted.
    pub(crate) fn meets<'s>(&self, set: &'s IndicatorSet, flow: &FlowRecord) -> Option<Hit<'s>> {
        set.address(flow.dst_ip, flow.received_at).find(|hit| hit.attributes.confidence >= self.confidence_min)
    }
}

/// What was seen between one host and one indicator since it was last told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Contact {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    records: u64,
    bytes: u64,
    called: bool,
    ports: Vec<u16>,
    addresses: Vec<IpAddr>,
    evidence: Vec<Seq>,
    received_at: Timestamp,
    told_at: Timestamp,
}

impl Contact {
    pub(crate) fn add(&mut self, flow: &FlowRecord, seen: &Seen) {
        let begins = self.records == 0;
        self.first = if begins { flow.start } else { self.first.min(flow.start) };
        self.last = if begins { flow.end } else { self.last.max(flow.end) };
        self.records += 1;
        self.bytes = self.bytes.saturating_add(seen.bytes);
        self.called |= seen.initiator;
        self.received_at = flow.received_at;
        note(&mut self.ports, if seen.initiator { flow.dst_port } else { flow.src_port }, NAMED_MAX);
        note(&mut self.addresses, flow.dst_ip, NAMED_MAX);
        note(&mut self.evidence, flow.seq, EVIDENCE);
    }

    /// What is told, and a new beginning.
    pub(crate) fn tell(&mut self, host: Host, name: &str, lists: &[String], confidence: u8, settings: &Settings) -> Detection {
        let told = std::mem::take(self);
        self.told_at = told.received_at;
        let mut reasons = vec![
            Reason::new("Gelistet als", name, ""),
            Reason::new("Liste", lists.join(", "), ""),
            Reason::new("Vertrauen in den Eintrag", format!("{confidence} %"), format!("ab {} %", settings.confidence_min)),
            Reason::new("Vom Rechner gesendet", format!("{} (Flüsse: {})", size(told.bytes), count(told.records)), ""),
        ];
        reasons.push(match told.called {
            true => Reason::new("Richtung", "der Rechner hat die Verbindung begonnen", ""),
            false => Reason::new(
                "Richtung",
                "der Rechner hat geantwortet",
                format!("ab {} Paketen und {} je Fluss", settings.answer_packets, size(settings.answer_bytes)),
            ),
        });
        Detection {
            rule: NAME,
            site: host.site,
            body: None,
            entity: Entity::Ip(host.address()),
            observables: BTreeMap::from([
                ("source.ip", vec![host.address().to_string()]),
                ("destination.ip", told.addresses.iter().map(IpAddr::to_string).collect()),
                ("destination.port", told.ports.iter().map(u16::to_string).collect()),
                ("threat.indicator.name", vec![name.to_owned()]),
                ("threat.feed.name", lists.to_vec()),
            ]),
            first: told.first,
            last: told.last,
            detected_at: told.received_at,
            evidence: told.evidence,
            records: told.records,
            reasons,
            shares: vec![],
        }
    }
}

fn note<T: PartialEq>(list: &mut Vec<T>, value: T, max: usize) {
    if list.len() < max && !list.contains(&value) {
        list.push(value);
    }
}

/// A host and an indicator: its name's hash.
type Key = (Host, u64);

/// A pair, and what must be known to tell of it when the list may have changed.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pair {
    contact: Contact,
    name: String,
    list: String,
    confidence: u8,
}

/// The detector; see the file.
pub(super) struct IndicatorTraffic {
    settings: Settings,
    shared: SharedIndicators,
    generation: u64,
    set: Arc<IndicatorSet>,
    pairs: Table<Key, Pair>,
}

impl IndicatorTraffic {
    /// # Errors
    /// Where a parameter is out of its range.
    pub(super) fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        Settings::read(parameters).map(Self::with)
    }

    pub(super) fn with(settings: Settings) -> Self {
        Self { settings, shared: SharedIndicators::default(), generation: 0, set: Arc::default(), pairs: Table::new(PAIRS_MAX) }
    }
}

impl Detector for IndicatorTraffic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn indicators(&mut self, shared: &SharedIndicators) {
        self.shared = shared.clone();
        self.generation = 0;
    }

    fn observe(&mut self, flow: &FlowRecord, seen: &Seen, found: &mut Vec<Detection>) {
        if self.generation != self.shared.generation() {
            self.generation = self.shared.generation();
            self.set = self.shared.get();
        }
        if !self.settings.worth(flow, seen) {
            return;
        }
        let Some(hit) = self.settings.meets(&self.set, flow) else { return };
        let attributes = hit.attributes;
        // What was received before belongs to the retro-hunt.
        if attributes.live_from.is_some_and(|from| flow.received_at < from) {
            return;
        }
        let (host, name) = (Host::new(flow.site, flow.src_ip), hit.pattern.value());
        let pair = self.pairs.entry((host, hash_of(&name)));
        pair.contact.add(flow, seen);
        (pair.name, pair.list, pair.confidence) = (name, attributes.list.to_string(), attributes.confidence);
        if pair.contact.told_at == Timestamp(0) || flow.received_at.since(pair.contact.told_at) >= TELL_EVERY {
            found.push(pair.contact.tell(host, &pair.name, std::slice::from_ref(&pair.list), pair.confidence, &self.settings));
        }
    }

    fn settle(&mut self, now: Timestamp, found: &mut Vec<Detection>) {
        let settings = self.settings;
        self.pairs.each_mut(|(host, _), pair| {
            if pair.contact.records > 0 && now.since(pair.contact.told_at) >= TELL_EVERY {
                found.push(pair.contact.tell(*host, &pair.name, std::slice::from_ref(&pair.list), pair.confidence, &settings));
            }
        });
        // Who has been quiet for so long is told at once when it begins again.
        while let Some((_, pair)) = self.pairs.oldest()
            && pair.contact.records == 0
            && now.since(pair.contact.told_at) >= 6 * TELL_EVERY
        {
            self.pairs.pop_oldest();
        }
    }

    fn save(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        self.pairs.save(&mut out);
        out.done()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut from = Reader::new(state, VERSION)?;
        let mut pairs = Table::new(PAIRS_MAX);
        pairs.restore(&mut from)?;
        from.done()?;
        self.pairs = pairs;
        Ok(())
    }

    fn footprint(&self) -> Footprint {
        // Names and lists are short texts; a list's name is bounded where it is taken in.
        let own = NAMED_MAX * (2 + 17) + EVIDENCE * 8 + 2 * 128;
        Footprint {
            bytes: Table::<Key, Pair>::bytes(self.pairs.len()) + self.pairs.len() * own,
            bytes_max: Table::<Key, Pair>::bytes(PAIRS_MAX) + PAIRS_MAX * own,
            entries: self.pairs.len(),
            dropped: self.pairs.dropped(),
        }
    }

    fn allows_sampling(&self) -> bool {
        // What a sample shows was there.
        true
    }
}

impl Keep for Contact {
    fn put(&self, out: &mut Writer) {
        out.put(&self.first).put(&self.last).put(&self.records).put(&self.bytes).put(&self.called).put(&self.ports);
        out.put(&self.addresses).put(&self.evidence).put(&self.received_at).put(&self.told_at);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            first: from.take()?,
            last: from.take()?,
            records: from.take()?,
            bytes: from.take()?,
            called: from.take()?,
            ports: from.take()?,
            addresses: from.take()?,
            evidence: from.take()?,
            received_at: from.take()?,
            told_at: from.take()?,
        })
    }
}

impl Keep for Pair {
    fn put(&self, out: &mut Writer) {
        out.put(&self.contact).bytes(self.name.as_bytes()).bytes(self.list.as_bytes()).put(&self.confidence);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        let contact = from.take()?;
        let mut text = || String::from_utf8(from.bytes()?.to_vec()).map_err(|_| RestoreError::Damaged("a text that is none"));
        let (name, list) = (text()?, text()?);
        Ok(Self { contact, name, list, confidence: from.take()? })
    }
}

#[cfg(test)]
mod tests;

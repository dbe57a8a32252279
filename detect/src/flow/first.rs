//! What was never there before: a service that a machine inside offers, and a peer outside with whom one works remotely.
//! Told of only where a site has been seen long enough, and only so often a day: a hint for who looks, no alarm.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ingest::fields;
use ingest::flow::FlowRecord;
use ingest::time::Timestamp;

use super::learning::Learning;
use super::networks::{ACK, PSH, TCP};
use super::table::{Known, hash_of};
use super::wire::{Host, Reader, Writer};
use super::{Detection, Detector, Footprint, ParameterError, Parameters, Reason, RestoreError, Seen};
use crate::finding::Entity;
use crate::say::duration;

const VERSION: u8 = 1;
/// 2^21 bits hold 260,000 services or peers of a term: 256 KiB, twice.
const KNOWN_BITS_LOG: u32 = 21;
/// Packets from the initiator below which a conversation may be a probe.
const PACKETS_MIN: u64 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Service,
    Peer,
}

pub(super) struct First {
    kind: Kind,
    ports: Vec<u16>,
    term: i64,
    memory: i64,
    per_day_max: u32,
    known: Known,
    turned_at: Timestamp,
    learning: Learning,
    high: Timestamp,
}

impl First {
    pub(super) fn new(kind: Kind, parameters: &Parameters) -> Result<Self, ParameterError> {
        Ok(Self {
            kind,
            ports: parameters.ports("ports")?,
            term: parameters.millis("learning_days", 0.0..=60.0)?,
            memory: parameters.millis("memory_days", 1.0..=365.0)?,
            per_day_max: u32::try_from(parameters.count("per_day_max", 1..=1_000)?).unwrap_or(20),
            known: Known::new(KNOWN_BITS_LOG),
            turned_at: Timestamp(0),
            learning: Learning::default(),
            high: Timestamp(0),
        })
    }
}

/// The network that an address outside stands for: providers give their customers another address of it each day.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & 0xffff_ff00).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !(u128::MAX >> 48)).into()),
    }
}

impl Detector for First {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Service => "first_seen_service",
            Kind::Peer => "first_seen_peer",
        }
    }

    fn observe(&mut self, flow: &FlowRecord, seen: &Seen, found: &mut Vec<Detection>) {
        self.learning.see(flow.site, seen.at);
        // A conversation, not a probe.
        if flow.protocol != TCP || !seen.initiator || flow.packets < PACKETS_MIN || !self.ports.contains(&flow.dst_port) {
            return;
        }
        if flow.tcp_flags != 0 && flow.tcp_flags & (ACK | PSH) != ACK | PSH {
            return;
        }
        let hash = match self.kind {
            Kind::Service if seen.dst_inside => hash_of(&(1u8, flow.site, flow.dst_ip, flow.dst_port)),
            Kind::Peer if seen.src_inside && !seen.dst_inside => hash_of(&(2u8, flow.site, flow.src_ip, network(flow.dst_ip))),
            Kind::Peer if !seen.src_inside && seen.dst_inside => hash_of(&(3u8, flow.site, flow.dst_ip, network(flow.src_ip))),
            _ => return,
        };
        self.high = self.high.max(seen.at);
        if self.turned_at == Timestamp(0) {
            self.turned_at = seen.at;
        }
        if self.high.since(self.turned_at) >= self.memory || self.known.is_full() {
            self.known.turn();
            self.turned_at = self.high;
        }
        let learned = self.learning.is_over(flow.site, seen.at, self.term);
        if !self.known.insert(hash) || !learned || !self.learning.may_tell(flow.site, seen.at, self.per_day_max) {
            return;
        }
        let (rule, entity, what) = match self.kind {
            Kind::Service => ("first_seen_service", flow.dst_ip, "Dienst zum ersten Mal gesehen"),
            Kind::Peer if seen.src_inside => ("first_seen_peer", flow.src_ip, "Gegenstelle zum ersten Mal gesehen"),
            Kind::Peer => ("first_seen_peer", flow.dst_ip, "Gegenstelle zum ersten Mal gesehen"),
        };
        let peer = if entity == flow.dst_ip { flow.src_ip } else { flow.dst_ip };
        let value = if self.kind == Kind::Service { format!("{}, Port {}", flow.dst_ip, flow.dst_port) } else { peer.to_string() };
        found.push(Detection {
            rule,
            site: flow.site,
            body: seen.body,
            entity: Entity::Ip(Host::new(flow.site, entity).address()),
            observables: BTreeMap::from([
                (fields::SOURCE_IP.name(), vec![flow.src_ip.to_string()]),
                (fields::DESTINATION_IP.name(), vec![flow.dst_ip.to_string()]),
                (fields::DESTINATION_PORT.name(), vec![flow.dst_port.to_string()]),
            ]),
            first: flow.start.min(seen.at),
            last: seen.at,
            detected_at: flow.received_at,
            evidence: vec![flow.seq],
            records: 1,
            reasons: vec![
                Reason::new(what, value, ""),
                Reason::new("vorher nicht gesehen seit", duration(self.memory.max(self.term)), format!("Lernzeit {}", duration(self.term))),
            ],
            shares: vec![],
        });
    }

    fn settle(&mut self, _now: Timestamp, _found: &mut Vec<Detection>) {}

    fn save(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        out.put(&self.high).put(&self.turned_at);
        self.known.save(&mut out);
        self.learning.save(&mut out);
        out.done()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut from = Reader::new(state, VERSION)?;
        (self.high, self.turned_at) = (from.take()?, from.take()?);
        self.known.restore(&mut from)?;
        self.learning.restore(&mut from)?;
        from.done()
    }

    fn footprint(&self) -> Footprint {
        Footprint {
            bytes: self.known.bytes() + self.learning.bytes(),
            bytes_max: self.known.bytes() + Learning::bytes_max(),
            entries: 0,
            dropped: self.learning.untold,
        }
    }

    fn allows_sampling(&self) -> bool {
        // Four packets and both flags of one conversation are seldom among the sampled ones, but what is seen is true.
        true
    }
}

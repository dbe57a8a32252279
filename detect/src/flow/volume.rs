//! Floods, in and out: what one machine gets or sends within a minute, against what its whole body usually does (a mean
//! that follows slowly) and a floor below which nobody is hurt. In, many sources must take part: a download is large and
//! comes of one. Out, only what no receiver has asked for counts: datagrams, echoes, connections never acknowledged.

use std::collections::BTreeMap;

use ingest::fields;
use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::time::Timestamp;

use super::networks::{ACK, TCP};
use super::table::{Few, Table, hash_of};
use super::wire::{Host, Keep, Reader, Writer};
use super::{Detection, Detector, Footprint, ParameterError, Parameters, Reason, RestoreError, Seen};
use crate::finding::Entity;
use crate::say::{amount, duration};

const VERSION: u8 = 1;
const EVIDENCE: usize = 40;
/// Peers named in a finding.
const NAMED: usize = 16;
/// What a minute's total moves the mean by: half of a lasting change is in after an hour (1 - 0.5^(1/60)).
const FOLLOWS: f64 = 0.0115;
/// A minute moves the mean as if it had been at most so many times the mean: an attack must not become usual.
const MINUTE_FACTOR_MAX: f64 = 4.0;
/// Minutes after which a flood that goes on is told of again.
const AGAIN: i64 = 10;
/// Bodies, in both directions; the Land has about a thousand.
const BODIES_MAX: usize = 20_000;

pub(super) struct Volume {
    floor: Amounts,
    factor: f64,
    sources_min: u32,
    minutes_min: u32,
    hosts: Table<(Host, u8), Minute>,
    bodies: BTreeMap<(u128, u8), Usual>,
    high: Timestamp,
}

/// Of a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Amounts {
    bytes: f64,
    packets: f64,
    flows: f64,
}

/// What a body usually does within a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Usual {
    minute: i64,
    current: Amounts,
    mean: Amounts,
    minutes: u32,
}

/// One machine's minute.
#[derive(Clone, Debug, Default, PartialEq)]
struct Minute {
    minute: i64,
    amounts: Amounts,
    peers: Few,
    first: Timestamp,
    last: Timestamp,
    told: i64,
    named: Vec<u128>,
    ports: Vec<u16>,
    evidence: Vec<Seq>,
}

impl Volume {
    pub(super) fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        let hosts = parameters.count("hosts_max", 1_000..=500_000)?;
        let small = |key, most| parameters.count(key, 1..=most).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Ok(Self {
            floor: Amounts {
                bytes: parameters.number("floor_megabytes", 1.0..=1e6)? * 1e6,
                packets: parameters.number("floor_packets", 1_000.0..=1e9)?,
                flows: parameters.number("floor_flows", 100.0..=1e9)?,
            },
            factor: parameters.number("factor", 1.0..=1_000.0)?,
            sources_min: small("sources_min", 400)?,
            minutes_min: small("learning_minutes", 10_000)?,
            hosts: Table::new(usize::try_from(hosts).unwrap_or(50_000)),
            bodies: BTreeMap::new(),
            high: Timestamp(0),
        })
    }
}

impl Amounts {
    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.packets += other.packets;
        self.flows += other.flows;
    }

    fn each(self, other: Self, of: impl Fn(f64, f64) -> f64) -> Self {
        Self { bytes: of(self.bytes, other.bytes), packets: of(self.packets, other.packets), flows: of(self.flows, other.flows) }
    }

    fn exceeds(self, other: Self) -> bool {
        self.bytes >= other.bytes || self.packets >= other.packets || self.flows >= other.flows
    }
}

impl Usual {
    fn advance(&mut self, minute: i64, floor: Amounts) {
        let steps = minute.saturating_sub(self.minute);
        if steps <= 0 {
            return;
        }
        if self.minute != 0 {
            let most = self.mean.each(floor, |mean, floor| MINUTE_FACTOR_MAX * mean.max(floor / MINUTE_FACTOR_MAX));
            let total = self.current.each(most, f64::min);
            // The first minutes are a plain mean, later ones move it little.
            let weight = FOLLOWS.max(1.0 / f64::from(self.minutes.saturating_add(1)));
            self.mean = self.mean.each(total, |mean, total| mean + weight * (total - mean));
            // Minutes in which nothing came.
            let still = (1.0 - FOLLOWS).powi(i32::try_from((steps - 1).min(10_000)).unwrap_or(10_000));
            self.mean = self.mean.each(self.mean, |mean, _| mean * still);
            self.minutes = self.minutes.saturating_add(1);
        }
        (self.minute, self.current) = (minute, Amounts::default());
    }
}

impl Detector for Volume {
    fn name(&self) -> &'static str {
        "volumetric"
    }

    fn observe(&mut self, flow: &FlowRecord, seen: &Seen, found: &mut Vec<Detection>) {
        let direction = match (seen.src_inside, seen.dst_inside) {
            (false, true) => 0u8,
            (true, false) => 1,
            _ => return,
        };
        self.high = self.high.max(seen.at);
        let minute = seen.at.0.div_euclid(Timestamp::MINUTE);
        // Of a flow that took longer only its last minute lies in this one.
        let lasted = flow.end.since(flow.start).max(Timestamp::MINUTE);
        #[expect(clippy::cast_precision_loss, reason = "amounts, not money")]
        let (share, bytes, packets) = (Timestamp::MINUTE as f64 / lasted as f64, seen.bytes as f64, seen.packets as f64);
        // Of a sampled exporter every packet is a flow.
        let flows = if flow.sampling > 1 { 0.0 } else { 1.0 };
        let amounts = Amounts { bytes: bytes * share, packets: packets * share, flows };
        let owner = (seen.body.map_or(flow.site.0.0, |body| body.0.0), direction);
        if self.bodies.len() >= BODIES_MAX && !self.bodies.contains_key(&owner) {
            return;
        }
        let usual = self.bodies.entry(owner).or_default();
        usual.advance(minute, self.floor);
        usual.current.add(amounts);
        let asked = direction == 1 && flow.protocol == TCP && (flow.tcp_flags & ACK != 0 || flow.tcp_flags == 0);
        if asked || direction == 1 && !seen.initiator {
            return;
        }
        let (own, peer) = if direction == 0 { (flow.dst_ip, flow.src_ip) } else { (flow.src_ip, flow.dst_ip) };
        let host = self.hosts.entry((Host::new(flow.site, own), direction));
        if minute > host.minute {
            *host = Minute { minute, first: seen.at, last: seen.at, told: host.told, ..Minute::default() };
        }
        host.amounts.add(amounts);
        host.first = host.first.min(seen.at);
        host.last = host.last.max(seen.at);
        let peer_number = Host::new(flow.site, peer).number();
        if host.peers.insert(hash_of(&peer_number)) && host.named.len() < NAMED {
            host.named.push(peer_number);
        }
        if host.ports.len() < NAMED && !host.ports.contains(&flow.dst_port) {
            host.ports.push(flow.dst_port);
        }
        if host.evidence.last() != Some(&flow.seq) && host.evidence.len() < EVIDENCE {
            host.evidence.push(flow.seq);
        }
        if !host.amounts.exceeds(self.floor) || direction == 0 && host.peers.count() < self.sources_min {
            return;
        }
        // Before enough was seen of a body, its floor is all there is.
        let factor = if usual.minutes >= self.minutes_min { self.factor } else { 0.0 };
        let least = self.floor.each(usual.mean, |floor, mean| floor.max(factor * mean));
        if host.amounts.exceeds(least) && (host.told == 0 || minute - host.told >= AGAIN) {
            host.told = minute;
            found.push(detection(flow, seen, direction, host, usual.mean, least, self.sources_min));
        }
    }

    fn settle(&mut self, _now: Timestamp, _found: &mut Vec<Detection>) {
        let minute = self.high.0.div_euclid(Timestamp::MINUTE);
        while self.hosts.oldest().is_some_and(|(_, host)| minute - host.minute > AGAIN) {
            self.hosts.pop_oldest();
        }
    }

    fn save(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        let bodies: Vec<((u128, u8), Usual)> = self.bodies.iter().map(|(owner, usual)| (*owner, *usual)).collect();
        out.put(&self.high).put(&bodies);
        self.hosts.save(&mut out);
        out.done()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut from = Reader::new(state, VERSION)?;
        self.high = from.take()?;
        self.bodies = from.take::<Vec<((u128, u8), Usual)>>()?.into_iter().take(BODIES_MAX).collect();
        self.hosts.restore(&mut from)?;
        from.done()
    }

    fn footprint(&self) -> Footprint {
        let body = size_of::<((u128, u8), Usual)>() * 2;
        let of = |entries: usize| Table::<(Host, u8), Minute>::bytes(entries) + entries * (EVIDENCE * 8 + NAMED * 18) * 2;
        Footprint {
            bytes: of(self.hosts.len()) + self.bodies.len() * body,
            bytes_max: of(self.hosts.capacity()) + BODIES_MAX * body,
            entries: self.hosts.len(),
            dropped: self.hosts.dropped(),
        }
    }

    fn allows_sampling(&self) -> bool {
        // Bytes and packets are multiplied by the rate; flows of such exporters do not count.
        true
    }
}

fn detection(flow: &FlowRecord, seen: &Seen, direction: u8, host: &Minute, usual: Amounts, least: Amounts, sources_min: u32) -> Detection {
    let (rule, own, peers) = match direction {
        0 => ("volumetric", flow.dst_ip, fields::SOURCE_IP),
        _ => ("volumetric_out", flow.src_ip, fields::DESTINATION_IP),
    };
    let own_field = if direction == 0 { fields::DESTINATION_IP } else { fields::SOURCE_IP };
    let text = |number: &u128| Host::of_number(flow.site, *number).address().to_string();
    let mut reasons = Vec::new();
    let rows = [
        ("Datenmenge in einer Minute", host.amounts.bytes, least.bytes, usual.bytes, true),
        ("Pakete in einer Minute", host.amounts.packets, least.packets, usual.packets, false),
        ("Datenflüsse in einer Minute", host.amounts.flows, least.flows, usual.flows, false),
    ];
    for (label, value, least, usual, bytes) in rows {
        let shown = |value: f64| if bytes { amount(value, "B") } else { amount(value, "") };
        let threshold =
            if value >= least { format!("ab {} (üblich für die ganze Stelle: {})", shown(least), shown(usual)) } else { String::new() };
        reasons.push(Reason::new(label, shown(value), threshold));
    }
    let label = if direction == 0 { "Verschiedene Quellen" } else { "Verschiedene Ziele" };
    reasons.push(Reason::new(label, host.peers.count(), if direction == 0 { format!("ab {sources_min}") } else { String::new() }));
    reasons.push(Reason::new("Zeitraum", duration(host.last.since(host.first)), ""));
    Detection {
        rule,
        site: flow.site,
        body: seen.body,
        entity: Entity::Ip(own),
        observables: BTreeMap::from([
            (own_field.name(), vec![own.to_string()]),
            (peers.name(), host.named.iter().map(text).collect()),
            (fields::DESTINATION_PORT.name(), host.ports.iter().map(u16::to_string).collect()),
        ]),
        first: host.first,
        last: host.last,
        detected_at: flow.received_at,
        evidence: host.evidence.clone(),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        records: host.amounts.flows as u64,
        reasons,
        shares: vec![],
    }
}

impl Keep for Amounts {
    fn put(&self, out: &mut Writer) {
        out.put(&self.bytes).put(&self.packets).put(&self.flows);
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        Ok(Self { bytes: from.take()?, packets: from.take()?, flows: from.take()? })
    }
}

impl Keep for Usual {
    fn put(&self, out: &mut Writer) {
        out.put(&self.minute).put(&self.current).put(&self.mean).put(&self.minutes);
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        Ok(Self { minute: from.take()?, current: from.take()?, mean: from.take()?, minutes: from.take()? })
    }
}

impl Keep for Minute {
    fn put(&self, out: &mut Writer) {
        out.put(&self.minute).put(&self.amounts).put(&self.peers).put(&self.first).put(&self.last).put(&self.told);
        out.put(&self.named).put(&self.ports).put(&self.evidence);
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            minute: from.take()?,
            amounts: from.take()?,
            peers: from.take()?,
            first: from.take()?,
            last: from.take()?,
            told: from.take()?,
            named: from.take()?,
            ports: from.take()?,
            evidence: from.take()?,
        })
    }
}

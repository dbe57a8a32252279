//! Port scans, of many ports of one machine and of many machines: threshold random walk on first contacts (Jung, Paxson,
//! Berger, Balakrishnan: Fast Portscan Detection Using Sequential Hypothesis Testing, 2004). Each first contact of a
//! source with a target moves its score by the logarithm of how much likelier the outcome is for a scanner; past the
//! upper bound it is one. Flows tell an outcome by flags, packets and answers. Nothing is kept of who never fails.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use ingest::body::SiteId;
use ingest::fields;
use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::time::Timestamp;

use super::networks::{ACK, FIN, ICMP, ICMP6, PSH, RST, TCP, UDP};
use super::table::{Few, Known, Table, hash_of};
use super::wire::{Host, Keep, Reader, Writer};
use super::{Detection, Detector, Footprint, ParameterError, Parameters, Reason, RestoreError, Seen};
use crate::finding::Entity;
use crate::say::duration;

const VERSION: u8 = 1;
/// Flows kept of a walk as evidence: what a person reads, and what 50,000 of them may take.
const EVIDENCE: usize = 40;
/// Targets named in a finding.
const NAMED: usize = 16;
/// How long a datagram or an echo may go unanswered; answers come in the same minute or not at all.
const PATIENCE: i64 = Timestamp::MINUTE;
/// Datagrams that wait for an answer; beyond, the oldest is judged before its time.
const WAITING_MAX: usize = 16_384;
/// 2^18 bits for the answers of some minutes: 32 KiB, twice.
const ANSWERS_BITS_LOG: u32 = 18;
/// Beyond so many targets a filter of 1,024 bits knows most strangers: a walk that has not decided begins anew.
const TARGETS_MAX: u32 = 500;

/// What the targets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Ports of one machine.
    Ports,
    /// Machines.
    Hosts,
}

/// Who walks: a source at a site and, for ports, the machine (else 0).
type Key = (Host, u128);

pub(super) struct Scan {
    kind: Kind,
    success: f32,
    failure: f32,
    upper: f32,
    lower: f32,
    targets_min: u32,
    targets_min_outside: u32,
    window: i64,
    ignored: Vec<u16>,
    walks: Table<Key, Walk>,
    answers: Known,
    waiting: VecDeque<Waiting>,
    /// The latest time of a record so far.
    high: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Walk {
    score: f32,
    targets: Few,
    failed: u32,
    records: u64,
    first: Timestamp,
    last: Timestamp,
    /// How many had failed when it was told of; 0 while it was not.
    told: u32,
    /// Ports or machines, as numbers, of the first failures.
    named: Vec<u128>,
    ports: Vec<u16>,
    evidence: Vec<Seq>,
}

/// A first contact, judged or waiting for its answer.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Contact {
    source: Host,
    target: Host,
    port: u16,
    at: Timestamp,
    received_at: Timestamp,
    seq: Seq,
    inside: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Waiting {
    contact: Contact,
    /// What its answer will hash to.
    answer: u64,
}

impl Scan {
    pub(super) fn new(kind: Kind, parameters: &Parameters) -> Result<Self, ParameterError> {
        let theta0 = parameters.number("theta0", 0.5..=0.99)?;
        let theta1 = parameters.number("theta1", 0.01..=0.5)?;
        let (alpha, beta) = (parameters.number("alpha", 1e-9..=0.1)?, parameters.number("beta", 0.5..=0.999_999)?);
        if theta1 >= theta0 {
            return Err(parameters.refused("theta1", "ein Wert kleiner als theta0"));
        }
        let (targets_min, outside) = match kind {
            Kind::Ports => ("ports_min", "ports_min_outside"),
            Kind::Hosts => ("hosts_min", "hosts_min_outside"),
        };
        #[expect(clippy::cast_possible_truncation, reason = "a score needs no more")]
        let ln = |number: f64| number.ln() as f32;
        let number = |key| parameters.count(key, 3..=400).map(|number| u32::try_from(number).unwrap_or(400));
        let walks = parameters.count("sources_max", 1_000..=1_000_000)?;
        Ok(Self {
            kind,
            success: ln(theta1 / theta0),
            failure: ln((1.0 - theta1) / (1.0 - theta0)),
            upper: ln(beta / alpha),
            lower: ln((1.0 - beta) / (1.0 - alpha)),
            targets_min: number(targets_min)?,
            targets_min_outside: number(outside)?,
            window: parameters.millis("window_hours", 0.1..=168.0)?,
            ignored: parameters.ports("udp_ignored_ports")?,
            walks: Table::new(usize::try_from(walks).unwrap_or(50_000)),
            answers: Known::new(ANSWERS_BITS_LOG),
            waiting: VecDeque::new(),
            high: Timestamp(0),
        })
    }

    /// Whom a contact lets walk, and over which target.
    fn key(&self, contact: &Contact) -> (Key, u64, u128) {
        let to = contact.target.number();
        match self.kind {
            Kind::Ports => ((contact.source, to), hash_of(&(1u8, contact.port)), u128::from(contact.port)),
            Kind::Hosts => ((contact.source, 0), hash_of(&(2u8, to)), to),
        }
    }

    fn judge(&mut self, contact: &Contact, failed: bool, found: &mut Vec<Detection>) {
        let (key, target, name) = self.key(contact);
        // Who has never failed needs no memory.
        let walk = if failed { Some(self.walks.entry(key)) } else { self.walks.touch(&key) };
        let Some(walk) = walk else { return };
        let over = contact.at.since(walk.first) > self.window || walk.targets.count() > TARGETS_MAX && walk.told == 0;
        if walk.records == 0 || over {
            *walk = Walk { first: contact.at, last: contact.at, ..Walk::default() };
        }
        if !walk.targets.insert(target) {
            return;
        }
        walk.records += 1;
        walk.first = walk.first.min(contact.at);
        walk.last = walk.last.max(contact.at);
        walk.score = (walk.score + if failed { self.failure } else { self.success }).max(self.lower);
        if !failed {
            return;
        }
        walk.failed += 1;
        if walk.named.len() < NAMED {
            walk.named.push(name);
        }
        if walk.ports.len() < NAMED && !walk.ports.contains(&contact.port) {
            walk.ports.push(contact.port);
        }
        // The first ones tell how it began, the last ones are the newest.
        if walk.evidence.last() != Some(&contact.seq) {
            if walk.evidence.len() >= EVIDENCE {
                walk.evidence.remove(EVIDENCE / 2);
            }
            walk.evidence.push(contact.seq);
        }
        let least = if contact.inside { self.targets_min } else { self.targets_min_outside };
        // Told when it is decided, and again whenever it has doubled: the alert grows with it.
        if walk.score >= self.upper && walk.failed >= least && walk.failed >= walk.told.saturating_mul(2) {
            walk.told = walk.failed;
            found.push(detection(self.kind, contact, walk, least, self.upper));
        }
    }

    fn advance(&mut self, at: Timestamp, found: &mut Vec<Detection>) {
        self.high = self.high.max(at);
        while let Some(front) = self.waiting.front() {
            if self.high.since(front.contact.at) < PATIENCE && self.waiting.len() <= WAITING_MAX {
                break;
            }
            let Some(Waiting { contact, answer }) = self.waiting.pop_front() else { break };
            let failed = !self.answers.contains(answer);
            self.judge(&contact, failed, found);
        }
    }
}

/// How a conversation that its initiator's record tells of came out; `None` where only an answer can tell.
fn failed(flow: &FlowRecord) -> Option<bool> {
    let refused = flow.firewall_event == 3 || flow.forwarding >> 6 == 2;
    let flags = flow.tcp_flags;
    match flow.protocol {
        _ if refused => Some(true),
        // Some exporters keep no flags; a conversation takes more than three packets.
        TCP if flags == 0 => Some(flow.packets <= 3),
        // Nothing acknowledged: no answer, a refusal, or half open.
        TCP if flags & ACK == 0 => Some(true),
        // Opened and dropped at once, or an acknowledgement out of nothing.
        TCP if flags & PSH == 0 && flow.packets <= 3 && flags & (RST | FIN) != FIN => Some(true),
        TCP => Some(false),
        UDP if flow.packets > 3 => Some(false),
        _ => None,
    }
}

impl Detector for Scan {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Ports => "portscan",
            Kind::Hosts => "hostscan",
        }
    }

    fn observe(&mut self, flow: &FlowRecord, seen: &Seen, found: &mut Vec<Detection>) {
        self.advance(seen.at, found);
        let answers = matches!(flow.protocol, UDP | ICMP | ICMP6);
        if !seen.initiator {
            if answers && !self.ignored.contains(&flow.src_port) {
                self.answers.insert(answer(flow.site, flow.protocol, flow.dst_ip, flow.src_ip, flow.src_port));
                if self.answers.is_full() {
                    self.answers.turn();
                }
            }
            return;
        }
        let told = match flow.protocol {
            TCP => true,
            UDP => !self.ignored.contains(&flow.dst_port),
            ICMP | ICMP6 => self.kind == Kind::Hosts,
            _ => false,
        };
        // What is said to all is no contact with one.
        if !told || flow.dst_ip.is_multicast() || !(seen.src_inside || seen.dst_inside) || flow.dst_ip == flow.src_ip {
            return;
        }
        let contact = Contact {
            source: Host::new(flow.site, flow.src_ip),
            target: Host::new(flow.site, flow.dst_ip),
            port: if answers && flow.protocol != UDP { 0 } else { flow.dst_port },
            at: seen.at,
            received_at: flow.received_at,
            seq: flow.seq,
            inside: seen.src_inside,
        };
        match failed(flow) {
            Some(failed) => self.judge(&contact, failed, found),
            None => {
                let answer = answer(flow.site, flow.protocol, flow.src_ip, flow.dst_ip, contact.port);
                if self.answers.contains(answer) {
                    self.judge(&contact, false, found);
                } else {
                    self.waiting.push_back(Waiting { contact, answer });
                }
            }
        }
    }

    fn settle(&mut self, now: Timestamp, found: &mut Vec<Detection>) {
        // Receipt that is an hour on tells that nothing comes any more: what waits is not answered.
        let last = self.waiting.back().map(|waiting| waiting.contact.received_at);
        if last.is_some_and(|last| now.since(last) >= 2 * PATIENCE) {
            self.advance(self.high.plus(PATIENCE), found);
        }
        while self.walks.oldest().is_some_and(|(_, walk)| self.high.since(walk.last) > self.window) {
            self.walks.pop_oldest();
        }
    }

    fn save(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        out.put(&self.high);
        self.walks.save(&mut out);
        self.answers.save(&mut out);
        out.put(&(self.waiting.len() as u64));
        for waiting in &self.waiting {
            out.put(&waiting.contact).put(&waiting.answer);
        }
        out.done()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut from = Reader::new(state, VERSION)?;
        self.high = from.take()?;
        self.walks.restore(&mut from)?;
        self.answers.restore(&mut from)?;
        let count = from.count()?;
        self.waiting = (0..count).map(|_| Ok(Waiting { contact: from.take()?, answer: from.take()? })).collect::<Result<_, _>>()?;
        from.done()
    }

    fn footprint(&self) -> Footprint {
        let of = |entries: usize| Table::<Key, Walk>::bytes(entries) + entries * (EVIDENCE * 8 + NAMED * 18) * 2 + self.answers.bytes();
        let waiting = size_of::<Waiting>() * (WAITING_MAX + 1) * 2;
        Footprint {
            bytes: of(self.walks.len()) + size_of::<Waiting>() * self.waiting.len() * 2,
            bytes_max: of(self.walks.capacity()) + waiting,
            entries: self.walks.len(),
            dropped: self.walks.dropped(),
        }
    }

    fn allows_sampling(&self) -> bool {
        // Of a conversation of which one packet in a thousand is seen, every one looks like a probe.
        false
    }
}

/// What an answer hashes to, in the asker's order.
fn answer(site: SiteId, protocol: u8, asker: IpAddr, asked: IpAddr, port: u16) -> u64 {
    let port = if protocol == UDP { port } else { 0 };
    hash_of(&(site, protocol, asker, asked, port))
}

fn detection(kind: Kind, contact: &Contact, walk: &Walk, least: u32, upper: f32) -> Detection {
    let text = |number: &u128| Host::of_number(contact.source.site, *number).address().to_string();
    let (targets, ports): (Vec<String>, Vec<String>) = match kind {
        Kind::Ports => (vec![contact.target.address().to_string()], walk.named.iter().map(u128::to_string).collect()),
        Kind::Hosts => (walk.named.iter().map(text).collect(), walk.ports.iter().filter(|port| **port != 0).map(u16::to_string).collect()),
    };
    let (rule, label) = match kind {
        Kind::Ports => ("portscan", "Verschiedene Ports"),
        Kind::Hosts => ("hostscan", "Verschiedene Ziele"),
    };
    let all = walk.targets.count().max(walk.failed);
    Detection {
        rule,
        site: contact.source.site,
        body: None,
        entity: Entity::Ip(contact.source.address()),
        observables: BTreeMap::from([
            (fields::SOURCE_IP.name(), vec![contact.source.address().to_string()]),
            (fields::DESTINATION_IP.name(), targets),
            (fields::DESTINATION_PORT.name(), ports),
        ]),
        first: walk.first,
        last: walk.last,
        detected_at: contact.received_at,
        evidence: walk.evidence.clone(),
        records: walk.records,
        reasons: vec![
            Reason::new(label, all, ""),
            Reason::new("davon ohne brauchbare Antwort", walk.failed, format!("ab {least}")),
            Reason::new("Entscheidungswert", format!("{:.1}", walk.score).replace('.', ","), format!("ab {upper:.1}").replace('.', ",")),
            Reason::new("Zeitraum", duration(walk.last.since(walk.first)), ""),
        ],
        shares: vec![],
    }
}

impl Keep for Walk {
    fn put(&self, out: &mut Writer) {
        out.put(&self.score).put(&self.targets).put(&self.failed).put(&self.records).put(&self.first).put(&self.last);
        out.put(&self.told).put(&self.named).put(&self.ports).put(&self.evidence);
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            score: from.take()?,
            targets: from.take()?,
            failed: from.take()?,
            records: from.take()?,
            first: from.take()?,
            last: from.take()?,
            told: from.take()?,
            named: from.take()?,
            ports: from.take()?,
            evidence: from.take()?,
        })
    }
}

impl Keep for Contact {
    fn put(&self, out: &mut Writer) {
        out.put(&self.source).put(&self.target).put(&self.port).put(&self.at).put(&self.received_at).put(&self.seq).put(&self.inside);
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            source: from.take()?,
            target: from.take()?,
            port: from.take()?,
            at: from.take()?,
            received_at: from.take()?,
            seq: from.take()?,
            inside: from.take()?,
        })
    }
}

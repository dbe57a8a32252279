//! Guessing of passwords on SSH, RDP and VPN gateways, and the success that follows, after SSHCure (Hellemons and others,
//! 2012): probes of few packets are a scan; many flows of about the same size are log-ins that fail; one that stands out
//! behind them, or after which the attempts end, is the log-in that did not.

use std::collections::BTreeMap;

use ingest::fields;
use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::time::Timestamp;

use super::table::Table;
use super::wire::{Host, Keep, Reader, Writer};
use super::{Detection, Detector, Footprint, ParameterError, Parameters, Reason, RestoreError, Seen};
use crate::finding::Entity;
use crate::say::duration;

const VERSION: u8 = 1;
/// Flows kept as evidence: those that came last.
const EVIDENCE: usize = 40;
const SERVICES: [(&str, &str); 3] = [("ssh", "SSH"), ("rdp", "RDP"), ("vpn", "VPN")];
/// No service.
const NONE: u8 = u8::MAX;

pub(super) struct Brute {
    services: [Service; 3],
    /// The service by port.
    ports: Vec<u8>,
    attempts_min: u32,
    window: i64,
    attempts_min_slow: u32,
    window_slow: i64,
    success_factor: f64,
    success_millis: i64,
    follow: i64,
    quiet: i64,
    pairs: Table<(Host, u128, u8), Pair>,
    high: Timestamp,
}

/// Packets from the client of a log-in that fails.
#[derive(Clone, Copy, Debug, Default)]
struct Service {
    packets_min: u64,
    packets_max: u64,
}

/// A source and a machine, on one service.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pair {
    /// Attempts in the current and the last half of the window.
    half: i64,
    now: u32,
    before: u32,
    /// Since `first`, and probes of fewer packets.
    attempts: u32,
    probes: u32,
    packets: u64,
    millis: u64,
    first: Timestamp,
    last: Timestamp,
    last_packets: u64,
    last_millis: i64,
    received_at: Timestamp,
    port: u16,
    /// Attempts when it was told of; 0 while it was not.
    told: u32,
    succeeded: bool,
    evidence: Vec<Seq>,
}

impl Brute {
    pub(super) fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        let mut ports = vec![NONE; 65_536];
        let mut services = [Service::default(); 3];
        for ((name, service), number) in SERVICES.iter().map(|(name, _)| *name).zip(&mut services).zip(0u8..) {
            service.packets_min = parameters.count(&format!("{name}_packets_min"), 1..=10_000)?;
            service.packets_max = parameters.count(&format!("{name}_packets_max"), 1..=10_000)?;
            if service.packets_min > service.packets_max {
                return Err(parameters.refused(&format!("{name}_packets_min"), &format!("ein Wert bis {name}_packets_max")));
            }
            for port in parameters.ports(&format!("{name}_ports"))? {
                if let Some(slot) = ports.get_mut(usize::from(port)) {
                    *slot = number;
                }
            }
        }
        let count = |key| parameters.count(key, 5..=100_000).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        let pairs = parameters.count("pairs_max", 1_000..=1_000_000)?;
        Ok(Self {
            services,
            ports,
            attempts_min: count("attempts_min")?,
            window: parameters.millis("window_minutes", 1.0..=1_440.0)?,
            attempts_min_slow: count("attempts_min_slow")?,
            window_slow: parameters.millis("window_slow_hours", 1.0..=168.0)?,
            success_factor: parameters.number("success_factor", 1.1..=100.0)?,
            success_millis: parameters.millis("success_seconds", 5.0..=86_400.0)?,
            follow: parameters.millis("follow_minutes", 1.0..=1_440.0)?,
            quiet: parameters.millis("quiet_minutes", 1.0..=1_440.0)?,
            pairs: Table::new(usize::try_from(pairs).unwrap_or(50_000)),
            high: Timestamp(0),
        })
    }

    fn service(&self, port: u16) -> Option<(u8, Service)> {
        let number = *self.ports.get(usize::from(port))?;
        self.services.get(usize::from(number)).map(|service| (number, *service))
    }
}

impl Detector for Brute {
    fn name(&self) -> &'static str {
        "flow_bruteforce"
    }

    fn observe(&mut self, flow: &FlowRecord, seen: &Seen, found: &mut Vec<Detection>) {
        self.high = self.high.max(seen.at);
        let Some((number, service)) = self.service(flow.dst_port) else { return };
        if !seen.initiator || !(seen.src_inside || seen.dst_inside) || !matches!(flow.protocol, 6 | 17) {
            return;
        }
        let key = (Host::new(flow.site, flow.src_ip), Host::new(flow.site, flow.dst_ip).number(), number);
        let millis = flow.end.since(flow.start).max(0);
        let attempt = (service.packets_min..=service.packets_max).contains(&flow.packets) && millis < self.success_millis;
        let larger = flow.packets > service.packets_max || millis >= self.success_millis;
        // A session of somebody who has not tried before is nothing to remember.
        let pair = if larger { self.pairs.touch(&key) } else { Some(self.pairs.entry(key)) };
        let Some(pair) = pair else { return };
        if pair.received_at == Timestamp(0)
            || seen.at.since(pair.last) > self.window_slow
            || seen.at.since(pair.first) > 2 * self.window_slow
        {
            *pair = Pair { first: seen.at, last: seen.at, port: flow.dst_port, ..Pair::default() };
        }
        pair.received_at = flow.received_at;
        if larger {
            let mean = pair.packets as f64 / f64::from(pair.attempts.max(1));
            let outstanding =
                flow.packets as f64 >= mean * self.success_factor || millis >= self.success_millis && flow.packets as f64 >= mean;
            // One that was there before the attempts is somebody's session, one that comes long after is another day's.
            let follows = flow.start >= pair.first && flow.start.since(pair.last) <= self.follow;
            if pair.told > 0 && !pair.succeeded && outstanding && follows {
                pair.succeeded = true;
                pair.remember(flow.seq);
                let reasons = vec![
                    Reason::new(
                        "Pakete der Verbindung danach",
                        flow.packets,
                        format!("ab {:.0} (das {}-Fache der Versuche)", mean * self.success_factor, german(self.success_factor)),
                    ),
                    Reason::new("Dauer der Verbindung danach", duration(millis), format!("oder ab {}", duration(self.success_millis))),
                ];
                found.push(success(&key, pair, seen.at.max(pair.last), reasons));
            }
            return;
        }
        if !attempt {
            pair.probes = pair.probes.saturating_add(1);
            return;
        }
        let half = seen.at.0.div_euclid((self.window / 2).max(1));
        match half - pair.half {
            0 => {}
            1 => (pair.half, pair.before, pair.now) = (half, pair.now, 0),
            // Records come a little out of order; those count where they are.
            ..0 => {}
            _ => (pair.half, pair.before, pair.now) = (half, 0, 0),
        }
        pair.now = pair.now.saturating_add(1);
        pair.attempts = pair.attempts.saturating_add(1);
        pair.packets += flow.packets;
        pair.millis = pair.millis.saturating_add(millis.unsigned_abs());
        pair.first = pair.first.min(seen.at);
        if seen.at >= pair.last {
            (pair.last, pair.last_packets, pair.last_millis) = (seen.at, flow.packets, millis);
        }
        pair.remember(flow.seq);
        let recent = pair.now.saturating_add(pair.before);
        let fast = recent >= self.attempts_min;
        // Slowly from outside; inside, whoever asks once a minute is a monitoring system.
        let slow = !seen.src_inside && pair.attempts >= self.attempts_min_slow && pair.last.since(pair.first) <= self.window_slow;
        if (fast || slow) && pair.attempts >= pair.told.saturating_mul(2) {
            pair.told = pair.attempts;
            let (count, least) = match fast {
                true => (format!("{recent} in {}", duration(self.window)), format!("ab {}", self.attempts_min)),
                false => {
                    (format!("{} in {}", pair.attempts, duration(pair.last.since(pair.first))), format!("ab {}", self.attempts_min_slow))
                }
            };
            let mean = pair.packets as f64 / f64::from(pair.attempts.max(1));
            let reasons = vec![
                Reason::new("Anmeldeversuche", count, least),
                Reason::new(
                    "Pakete je Versuch im Mittel",
                    format!("{mean:.0}"),
                    format!("{} bis {}", service.packets_min, service.packets_max),
                ),
                Reason::new("Kurze Proben davor", pair.probes, ""),
            ];
            found.push(detection("flow_bruteforce", &key, pair, pair.last, reasons));
        }
    }

    fn settle(&mut self, _now: Timestamp, found: &mut Vec<Detection>) {
        let (high, quiet, factor) = (self.high, self.quiet, self.success_factor);
        self.pairs.each_mut(|key, pair| {
            let ended = pair.told > 0 && !pair.succeeded && high.since(pair.last) >= quiet && pair.last_packets > 0;
            if !ended {
                return;
            }
            let before = f64::from(pair.attempts.saturating_sub(1).max(1));
            let packets = pair.packets.saturating_sub(pair.last_packets) as f64 / before;
            let millis = pair.millis.saturating_sub(pair.last_millis.unsigned_abs()) as f64 / before;
            let (last_packets, last_millis) = (pair.last_packets as f64, pair.last_millis as f64);
            // Judged once: the next attempt begins the question anew.
            pair.last_packets = 0;
            if last_packets >= factor * packets || last_packets > packets && last_millis >= 2.0 * factor * millis.max(1_000.0) {
                pair.succeeded = true;
                let reasons = vec![
                    Reason::new("Pakete der letzten Verbindung", format!("{last_packets:.0}"), format!("ab {:.0}", factor * packets)),
                    Reason::new("Danach kein Versuch mehr seit", duration(high.since(pair.last)), format!("ab {}", duration(quiet))),
                ];
                found.push(success(key, pair, pair.last, reasons));
            }
        });
        while self.pairs.oldest().is_some_and(|(_, pair)| self.high.since(pair.last) > self.window_slow) {
            self.pairs.pop_oldest();
        }
    }

    fn save(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        out.put(&self.high);
        self.pairs.save(&mut out);
        out.done()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut from = Reader::new(state, VERSION)?;
        self.high = from.take()?;
        self.pairs.restore(&mut from)?;
        from.done()
    }

    fn footprint(&self) -> Footprint {
        let of = |entries: usize| Table::<(Host, u128, u8), Pair>::bytes(entries) + entries * EVIDENCE * 8 * 2 + self.ports.len();
        Footprint {
            bytes: of(self.pairs.len()),
            bytes_max: of(self.pairs.capacity()),
            entries: self.pairs.len(),
            dropped: self.pairs.dropped(),
        }
    }

    fn allows_sampling(&self) -> bool {
        // It lives on how many packets a log-in takes.
        false
    }
}

impl Pair {
    fn remember(&mut self, seq: Seq) {
        if self.evidence.last() != Some(&seq) {
            if self.evidence.len() >= EVIDENCE {
                self.evidence.remove(0);
            }
            self.evidence.push(seq);
        }
    }
}

fn success(key: &(Host, u128, u8), pair: &Pair, last: Timestamp, mut reasons: Vec<Reason>) -> Detection {
    reasons.insert(0, Reason::new("Anmeldeversuche davor", pair.attempts, ""));
    detection("flow_bruteforce_success", key, pair, last, reasons)
}

fn detection(
    rule: &'static str,
    (source, target, service): &(Host, u128, u8),
    pair: &Pair,
    last: Timestamp,
    mut reasons: Vec<Reason>,
) -> Detection {
    let label = SERVICES.get(usize::from(*service)).map_or("", |(_, label)| label);
    reasons.push(Reason::new("Dienst", format!("{label}, Port {}", pair.port), ""));
    Detection {
        rule,
        site: source.site,
        body: None,
        entity: Entity::Ip(source.address()),
        observables: BTreeMap::from([
            (fields::SOURCE_IP.name(), vec![source.address().to_string()]),
            (fields::DESTINATION_IP.name(), vec![Host::of_number(source.site, *target).address().to_string()]),
            (fields::DESTINATION_PORT.name(), vec![pair.port.to_string()]),
        ]),
        first: pair.first,
        last,
        detected_at: pair.received_at,
        evidence: pair.evidence.clone(),
        records: u64::from(pair.attempts),
        reasons,
        shares: vec![],
    }
}

fn german(number: f64) -> String {
    number.to_string().replace('.', ",")
}

impl Keep for Pair {
    fn put(&self, out: &mut Writer) {
        out.put(&self.half).put(&self.now).put(&self.before).put(&self.attempts).put(&self.probes).put(&self.packets).put(&self.millis);
        out.put(&self.first).put(&self.last).put(&self.last_packets).put(&self.last_millis).put(&self.received_at).put(&self.port);
        out.put(&self.told).put(&self.succeeded).put(&self.evidence);
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            half: from.take()?,
            now: from.take()?,
            before: from.take()?,
            attempts: from.take()?,
            probes: from.take()?,
            packets: from.take()?,
            millis: from.take()?,
            first: from.take()?,
            last: from.take()?,
            last_packets: from.take()?,
            last_millis: from.take()?,
            received_at: from.take()?,
            port: from.take()?,
            told: from.take()?,
            succeeded: from.take()?,
            evidence: from.take()?,
        })
    }
}

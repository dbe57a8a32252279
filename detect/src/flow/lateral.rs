//! Lateral movement: a machine that turns to many others inside on the ports of remote work (22, 445, 3389, 5985, 5986),
//! against its own history. Whom it has turned to before counts no more, so that a file server's clients, the backup and
//! the administrator's machine are quiet once they are known.

use std::collections::BTreeMap;

use ingest::fields;
use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::time::Timestamp;

use super::learning::Learning;
use super::networks::TCP;
use super::table::{Few, Table, hash_of};
use super::wire::{Host, Keep, Reader, Writer};
use super::{Detection, Detector, Footprint, ParameterError, Parameters, Reason, RestoreError, Seen};
use crate::finding::Entity;
use crate::say::duration;

const VERSION: u8 = 1;
const EVIDENCE: usize = 40;
/// Machines named in a finding.
const NAMED: usize = 16;
/// What an hour without anything new leaves of the usual number: after a week nothing.
const FADES: f32 = 0.97;
/// With more peers than this a filter knows most strangers: the machine's memory begins anew, behind what it is used to.
const PEERS_MAX: u32 = 400;

pub(super) struct Lateral {
    ports: Vec<u16>,
    fanout_min: u32,
    fanout_min_learning: u32,
    factor: f32,
    window: i64,
    term: i64,
    hosts: Table<Host, Own>,
    learning: Learning,
    high: Timestamp,
}

/// What is known of one machine.
#[derive(Clone, Debug, Default, PartialEq)]
struct Own {
    /// Whom it turned to before, and newly in the last and this half of the window.
    known: Few,
    before: Few,
    now: Few,
    half: i64,
    /// The most it newly turned to within a window of late.
    usual: f32,
    told: u32,
    first: Timestamp,
    last: Timestamp,
    named: Vec<u128>,
    ports: Vec<u16>,
    evidence: Vec<Seq>,
}

impl Lateral {
    pub(super) fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        let number = |key| parameters.count(key, 3..=300).map(|number| u32::try_from(number).unwrap_or(300));
        let hosts = parameters.count("hosts_max", 1_000..=500_000)?;
        #[expect(clippy::cast_possible_truncation, reason = "a factor needs no more")]
        let factor = parameters.number("factor", 1.0..=100.0)? as f32;
        Ok(Self {
            ports: parameters.ports("ports")?,
            fanout_min: number("fanout_min")?,
            fanout_min_learning: number("fanout_min_learning")?,
            factor,
            window: parameters.millis("window_minutes", 2.0..=1_440.0)?,
            term: parameters.millis("learning_days", 0.0..=60.0)?,
            hosts: Table::new(usize::try_from(hosts).unwrap_or(30_000)),
            learning: Learning::default(),
            high: Timestamp(0),
        })
    }
}

impl Own {
    /// Halves of windows that are over become history.
    fn advance(&mut self, half: i64) {
        let steps = half.saturating_sub(self.half);
        if steps <= 0 {
            return;
        }
        // Only what leaves the window is history: what goes on must not become its own measure.
        let leaves = self.before.count() + if steps > 1 { self.now.count() } else { 0 };
        #[expect(clippy::cast_precision_loss, reason = "some hundred")]
        let count = leaves as f32;
        // What was told of is no usage, and whom it concerned stays a stranger.
        if self.told == 0 {
            self.usual = (self.usual * FADES.powi(i32::try_from(steps.min(1_000)).unwrap_or(1_000))).max(count);
            self.known.join(&self.before);
        }
        if self.known.count() > PEERS_MAX {
            self.known = Few::default();
        }
        let last = std::mem::take(&mut self.now);
        self.before = if steps == 1 {
            last
        } else {
            if self.told == 0 {
                self.known.join(&last);
            }
            Few::default()
        };
        if self.before.count() == 0 {
            self.told = 0;
        }
        if self.told == 0 {
            self.named.clear();
            self.ports.clear();
            self.evidence.clear();
            self.first = Timestamp(0);
        }
        self.half = half;
    }
}

impl Detector for Lateral {
    fn name(&self) -> &'static str {
        "lateral_movement"
    }

    fn observe(&mut self, flow: &FlowRecord, seen: &Seen, found: &mut Vec<Detection>) {
        self.learning.see(flow.site, seen.at);
        let wanted = flow.protocol == TCP && seen.initiator && seen.src_inside && seen.dst_inside;
        if !wanted || !self.ports.contains(&flow.dst_port) || flow.src_ip == flow.dst_ip {
            return;
        }
        self.high = self.high.max(seen.at);
        let learned = self.learning.is_over(flow.site, seen.at, self.term);
        let target = Host::new(flow.site, flow.dst_ip).number();
        let hash = hash_of(&target);
        let own = self.hosts.entry(Host::new(flow.site, flow.src_ip));
        own.advance(seen.at.0.div_euclid((self.window / 2).max(1)));
        if own.known.contains(hash) || own.before.contains(hash) || !own.now.insert(hash) {
            return;
        }
        if own.first == Timestamp(0) {
            own.first = seen.at;
        }
        (own.first, own.last) = (own.first.min(seen.at), own.last.max(seen.at));
        if own.named.len() < NAMED {
            own.named.push(target);
        }
        if own.ports.len() < NAMED && !own.ports.contains(&flow.dst_port) {
            own.ports.push(flow.dst_port);
        }
        if own.evidence.last() != Some(&flow.seq) && own.evidence.len() < EVIDENCE {
            own.evidence.push(flow.seq);
        }
        let count = own.now.count() + own.before.count();
        let floor = if learned { self.fanout_min } else { self.fanout_min_learning };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousand at most")]
        let least = floor.max((own.usual * self.factor).ceil() as u32);
        if count >= least && count >= own.told.saturating_mul(2) {
            own.told = count;
            let text = |number: &u128| Host::of_number(flow.site, *number).address().to_string();
            found.push(Detection {
                rule: "lateral_movement",
                site: flow.site,
                body: seen.body,
                entity: Entity::Ip(flow.src_ip),
                observables: BTreeMap::from([
                    (fields::SOURCE_IP.name(), vec![flow.src_ip.to_string()]),
                    (fields::DESTINATION_IP.name(), own.named.iter().map(text).collect()),
                    (fields::DESTINATION_PORT.name(), own.ports.iter().map(u16::to_string).collect()),
                ]),
                first: own.first,
                last: own.last,
                detected_at: flow.received_at,
                evidence: own.evidence.clone(),
                records: u64::from(count),
                reasons: vec![
                    Reason::new("Ziele, die es vorher nicht ansprach", count, format!("ab {least}")),
                    Reason::new(
                        "bei diesem Rechner üblich",
                        format!("{:.0}", own.usual),
                        format!("höchstens das {:.0}-Fache", self.factor),
                    ),
                    Reason::new("Zeitraum", duration(own.last.since(own.first)), format!("höchstens {}", duration(self.window))),
                ],
                shares: vec![],
            });
        }
    }

    fn settle(&mut self, _now: Timestamp, _found: &mut Vec<Detection>) {}

    fn save(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        out.put(&self.high);
        self.hosts.save(&mut out);
        self.learning.save(&mut out);
        out.done()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut from = Reader::new(state, VERSION)?;
        self.high = from.take()?;
        self.hosts.restore(&mut from)?;
        self.learning.restore(&mut from)?;
        from.done()
    }

    fn footprint(&self) -> Footprint {
        let of = |entries: usize| Table::<Host, Own>::bytes(entries) + entries * (EVIDENCE * 8 + NAMED * 18) * 2;
        Footprint {
            bytes: of(self.hosts.len()) + self.learning.bytes(),
            bytes_max: of(self.hosts.capacity()) + Learning::bytes_max(),
            entries: self.hosts.len(),
            dropped: self.hosts.dropped(),
        }
    }

    fn allows_sampling(&self) -> bool {
        // Fewer peers are seen than there are; none is seen that is not.
        true
    }
}

impl Keep for Own {
    fn put(&self, out: &mut Writer) {
        out.put(&self.known).put(&self.before).put(&self.now).put(&self.half).put(&self.usual).put(&self.told);
        out.put(&self.first).put(&self.last).put(&self.named).put(&self.ports).put(&self.evidence);
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            known: from.take()?,
            before: from.take()?,
            now: from.take()?,
            half: from.take()?,
            usual: from.take()?,
            told: from.take()?,
            first: from.take()?,
            last: from.take()?,
            named: from.take()?,
            ports: from.take()?,
            evidence: from.take()?,
        })
    }
}

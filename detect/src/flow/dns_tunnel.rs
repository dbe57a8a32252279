//! DNS tunnels by volume: data is carried out in the names that are asked for, or in with the answers. Flows tell no names,
//! but a tunnel asks often, asks long or gets long answers, and does so with one resolver or name server. Each pair (inside
//! host, resolver or destination) is counted in windows; a window is told when there are many queries a minute, and queries
//! or answers are far larger than names make them, and the bytes are more than the pair's own usual by a factor.
//!
//! Time is the records' own; a pair's window ends with its first record of another.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::time::Timestamp;

use super::book::{Book, keep_fields};
use super::wire::{Host, Reader, Writer};
use super::{Detection, Detector, Footprint, ParameterError, Parameters, Reason, RestoreError, Seen};
use crate::finding::Entity;
use crate::say::{count, decimal, size};

const NAME: &str = "dns_tunnel";
const VERSION: u8 = 1;
/// Flows kept as evidence of a window, the first ones.
const EVIDENCE: usize = 12;
/// Windows from which a pair's usual is one, and it is settled in memory.
const WINDOWS_KNOWN: u32 = 12;
/// The usual follows the windows with this share (a sixteenth), so it takes a few hours to be believed.
const USUAL_PARTS: u64 = 16;
/// A pair is told once in so long.
const TOLD_AGAIN: i64 = Timestamp::DAY;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) ports: Vec<u16>,
    pub(super) window: i64,
    pub(super) queries_per_minute: f64,
    pub(super) query_bytes: f64,
    pub(super) answer_bytes: f64,
    pub(super) floor: u64,
    pub(super) factor: f64,
    pub(super) pairs: usize,
}

impl Settings {
    fn read(parameters: &Parameters) -> Result<Self, ParameterError> {
        Ok(Self {
            ports: parameters.ports("ports")?,
            window: parameters.millis("window_minutes", 1.0..=120.0)?,
            queries_per_minute: parameters.number("queries_per_minute", 1.0..=100_000.0)?,
            query_bytes: parameters.number("query_bytes_mean", 60.0..=1_500.0)?,
            answer_bytes: parameters.number("answer_bytes_mean", 100.0..=65_535.0)?,
            floor: parameters.count("floor_kib", 1..=10_000_000)? << 10,
            factor: parameters.number("factor", 1.0..=1_000.0)?,
            pairs: usize::try_from(parameters.count("pairs_max", 64..=4_000_000)?).unwrap_or(usize::MAX),
        })
    }

    fn minutes(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "minutes")]
        let minutes = self.window as f64 / Timestamp::MINUTE as f64;
        minutes
    }
}

/// A host and whom it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    host: Host,
    resolver: IpAddr,
}

/// One pair's window, and what is usual for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pair {
    /// Which window, counted since 1970.
    window: u64,
    queries: u64,
    query_bytes: u64,
    answers: u64,
    answer_bytes: u64,
    records: u64,
    from: Timestamp,
    /// Windows that are over, and the usual bytes of one, both ways.
    windows: u32,
    usual: u64,
    told_at: Timestamp,
    evidence: [Seq; EVIDENCE],
}

impl Pair {
    fn turn(&mut self, window: u64, at: Timestamp, cap: u64) {
        if self.window > 0 {
            // What was told teaches a little at a time: a tunnel must not become usual within the day.
            let cap = self.usual.saturating_mul(2).max(cap);
            let bytes = self.query_bytes.saturating_add(self.answer_bytes).min(cap);
            self.usual = match self.windows {
                0 => bytes,
                _ => (self.usual / USUAL_PARTS).saturating_mul(USUAL_PARTS - 1).saturating_add(bytes / USUAL_PARTS),
            };
            self.windows = self.windows.saturating_add(1);
        }
        *self = Self { window, from: at, windows: self.windows, usual: self.usual, told_at: self.told_at, ..Self::default() };
    }

    fn keep(&mut self, seq: Seq) {
        if let Some(place) = self.evidence.iter_mut().take_while(|known| **known != seq).find(|known| **known == Seq(0)) {
            *place = seq;
        }
    }
}

/// The detector; see the file.
pub(super) struct DnsTunnel {
    settings: Settings,
    pairs: Book<Key, Pair>,
}

impl DnsTunnel {
    /// # Errors
    /// Where a parameter is out of its range.
    pub(super) fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        Settings::read(parameters).map(Self::with)
    }

    pub(super) fn with(settings: Settings) -> Self {
        Self { pairs: Book::new(settings.pairs), settings }
    }
}

/// A mean; of none it is 0.
fn mean(bytes: u64, number: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a mean of sizes")]
    let mean = bytes as f64 / number.max(1) as f64;
    mean
}

fn judge(key: &Key, pair: &Pair, flow: &FlowRecord, at: Timestamp, settings: &Settings) -> Option<Detection> {
    let bytes = pair.query_bytes.saturating_add(pair.answer_bytes);
    let (query, answer) = (mean(pair.query_bytes, pair.queries), mean(pair.answer_bytes, pair.answers));
    let rate = mean(pair.queries, 1) / settings.minutes();
    let (out, back) = (query >= settings.query_bytes, answer >= settings.answer_bytes && pair.answers > 0);
    if bytes < settings.floor || rate < settings.queries_per_minute || !(out || back) {
        return None;
    }
    let usual = if pair.windows >= WINDOWS_KNOWN { Some(pair.usual) } else { None };
    #[expect(clippy::cast_precision_loss, reason = "an amount of bytes, roughly")]
    let as_usual = usual.is_some_and(|usual| (bytes as f64) < usual as f64 * settings.factor);
    if as_usual || (pair.told_at > Timestamp(0) && at.since(pair.told_at) < TOLD_AGAIN) {
        return None;
    }
    let minutes = decimal(settings.minutes(), 0);
    let mut reasons = vec![
        Reason::new("Anfragen je Minute", decimal(rate, 0), format!("ab {}", decimal(settings.queries_per_minute, 0))),
        Reason::new(
            "Bytes je Anfrage",
            decimal(query, 0),
            format!("{}ab {}", if out { "" } else { "auffällig " }, decimal(settings.query_bytes, 0)),
        ),
        Reason::new(
            "Bytes je Antwort",
            decimal(answer, 0),
            format!("{}ab {}", if back { "" } else { "auffällig " }, decimal(settings.answer_bytes, 0)),
        ),
        Reason::new("Bytes im Zeitfenster", format!("{} in {minutes} Minuten", size(bytes)), format!("ab {}", size(settings.floor))),
        Reason::new("Anfragen und Antworten", format!("{} und {}", count(pair.queries), count(pair.answers)), ""),
    ];
    reasons.push(match usual {
        Some(usual) => Reason::new("Sonst in einem Zeitfenster", size(usual), format!("ab dem {}-Fachen", decimal(settings.factor, 1))),
        None => Reason::new("Sonst in einem Zeitfenster", "noch nicht bekannt", ""),
    });
    Some(Detection {
        rule: NAME,
        site: key.host.site,
        body: None,
        entity: Entity::Ip(key.host.address()),
        observables: BTreeMap::from([
            ("source.ip", vec![key.host.address().to_string()]),
            ("destination.ip", vec![key.resolver.to_string()]),
            ("destination.port", settings.ports.iter().map(u16::to_string).collect()),
        ]),
        first: pair.from,
        last: at.max(pair.from),
        detected_at: flow.received_at,
        evidence: pair.evidence.iter().copied().filter(|seq| *seq != Seq(0)).collect(),
        records: pair.records,
        reasons,
        shares: vec![],
    })
}

impl Detector for DnsTunnel {
    fn name(&self) -> &'static str {
        NAME
    }

    fn observe(&mut self, flow: &FlowRecord, seen: &Seen, found: &mut Vec<Detection>) {
        let asks = seen.src_inside && self.settings.ports.binary_search(&flow.dst_port).is_ok();
        let answers = !asks && seen.dst_inside && self.settings.ports.binary_search(&flow.src_port).is_ok();
        if !asks && !answers {
            return;
        }
        let (host, resolver) = if asks { (flow.src_ip, flow.dst_ip) } else { (flow.dst_ip, flow.src_ip) };
        let key = Key { host: Host::new(flow.site, host), resolver };
        let window = u64::try_from(seen.at.0.max(0) / self.settings.window.max(1)).unwrap_or(0);
        if self.pairs.get(&key).is_none() {
            // What answers unasked takes no memory.
            if answers {
                return;
            }
            self.pairs.insert(key, Pair::default());
        }
        let Some(pair) = self.pairs.touch(&key) else { return };
        // What comes late counts for the window that is on.
        let turned = window > pair.window;
        if turned {
            pair.turn(window, seen.at, self.settings.floor);
        }
        pair.records += 1;
        pair.keep(flow.seq);
        if asks {
            pair.queries = pair.queries.saturating_add(seen.packets);
            pair.query_bytes = pair.query_bytes.saturating_add(seen.bytes);
        } else {
            pair.answers = pair.answers.saturating_add(seen.packets);
            pair.answer_bytes = pair.answer_bytes.saturating_add(seen.bytes);
        }
        let settles = turned && pair.windows == WINDOWS_KNOWN;
        if let Some(detection) = judge(&key, pair, flow, seen.at, &self.settings) {
            pair.told_at = seen.at;
            found.push(detection);
        }
        if settles {
            self.pairs.settle(&key);
        }
    }

    fn settle(&mut self, _now: Timestamp, _found: &mut Vec<Detection>) {}

    fn save(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        self.pairs.save(&mut out);
        out.done()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut fresh = Self::with(self.settings.clone());
        let mut from = Reader::new(state, VERSION)?;
        fresh.pairs.restore(&mut from)?;
        from.done()?;
        *self = fresh;
        Ok(())
    }

    fn footprint(&self) -> Footprint {
        Footprint {
            bytes: Book::<Key, Pair>::bytes(self.pairs.len()),
            bytes_max: Book::<Key, Pair>::bytes(self.settings.pairs),
            entries: self.pairs.len(),
            dropped: self.pairs.dropped(),
        }
    }

    fn allows_sampling(&self) -> bool {
        // Sizes are means and rates are scaled: of so many packets a sample tells both.
        true
    }
}

keep_fields!(Key { host, resolver });
keep_fields!(Pair { window, queries, query_bytes, answers, answer_bytes, records, from, windows, usual, told_at, evidence });

#[cfg(test)]
mod tests;

//! Exfiltration: a host sends out far more than it ever does. Each inside host is held against its own hours and days (the
//! quantiles in `quantiles`), not against others: a mail server's Monday is no alarm, a clerk's machine that sends as much
//! is. Below floors nothing is judged; while a host is being learnt, only amounts that are out of all proportion are told.
//! Peers that get much again and again (backups, a provider) are learnt, and what they get no longer counts.
//!
//! Time is the records' own; a host's hour ends with its first record of another.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::time::Timestamp;

use super::book::{Book, keep_fields};
use super::quantiles::Quantiles;
use super::wire::{Host, Keep, Reader, Writer};
use super::{Detection, Detector, Footprint, ParameterError, Parameters, Reason, RestoreError, Seen};
use crate::finding::Entity;
use crate::say::{count, decimal, size};

const NAME: &str = "exfiltration";
const VERSION: u8 = 1;
/// Hours and days after which what was before counts half: four weeks, eight weeks.
const FADE_HOURS: u16 = 672;
const FADE_DAYS: u16 = 56;
/// Nets of a host that are counted by themselves: where much goes, few get it.
const PEERS: usize = 6;
/// The largest flows of the hour, kept as evidence.
const EVIDENCE: usize = 6;
/// A learnt peer that has got nothing for so long is forgotten: longer than from one month's backup to the next.
const PEER_DAYS_KEPT: u32 = 40;
/// Bits of the net that counts as one peer: providers answer from neighbouring addresses.
const PEER_BITS_V4: u32 = 24;
const PEER_BITS_V6: u32 = 48;
/// Hours with traffic from which a host is settled in memory.
const SETTLED_HOURS: u16 = 24;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) floor_hour: u64,
    pub(super) floor_day: u64,
    pub(super) floor_learning: u64,
    pub(super) factor: f64,
    pub(super) quantile_hour: f64,
    pub(super) quantile_day: f64,
    pub(super) ratio_min: f64,
    pub(super) learning_days: u32,
    pub(super) learning_hours: u16,
    pub(super) peer_bytes: u64,
    pub(super) peer_days: u8,
    pub(super) hosts: usize,
}

impl Settings {
    fn read(parameters: &Parameters) -> Result<Self, ParameterError> {
        let mebibytes = |key: &str| parameters.count(key, 1..=100_000_000).map(|number| number << 20);
        Ok(Self {
            floor_hour: mebibytes("floor_hour_mib")?,
            floor_day: mebibytes("floor_day_mib")?,
            floor_learning: mebibytes("floor_learning_mib")?,
            factor: parameters.number("factor", 1.0..=1_000.0)?,
            quantile_hour: parameters.number("quantile_hour", 0.5..=1.0)?,
            quantile_day: parameters.number("quantile_day", 0.5..=1.0)?,
            ratio_min: parameters.number("ratio_min", 0.0..=1_000.0)?,
            learning_days: u32::try_from(parameters.millis("learning_days", 1.0..=60.0)? / Timestamp::DAY).unwrap_or(u32::MAX),
            learning_hours: u16::try_from(parameters.count("learning_hours", 1..=600)?).unwrap_or(u16::MAX),
            peer_bytes: mebibytes("peer_mib")?,
            peer_days: u8::try_from(parameters.count("peer_times", 1..=100)?).unwrap_or(u8::MAX),
            hosts: usize::try_from(parameters.count("hosts_max", 64..=4_000_000)?).unwrap_or(usize::MAX),
        })
    }
}

/// A net that gets much of a host. All zero: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Peer {
    /// Its first address, IPv4 as mapped.
    net: u128,
    today: u64,
    /// On how many days it got much, and on which last (since 1970).
    times: u8,
    last: u32,
}

/// One of the hour's largest flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Large {
    bytes: u64,
    seq: Seq,
    to: u128,
}

/// Out, to whom it is known to go, and in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amounts {
    out: u64,
    known: u64,
    back: u64,
}

impl Amounts {
    fn new_out(&self) -> u64 {
        self.out.saturating_sub(self.known)
    }
}

/// What is known of one inside host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    /// Hours since 1970: the one it was first seen in, and the one that is on.
    first_hour: u32,
    hour: u32,
    this_hour: Amounts,
    this_day: Amounts,
    hours: Quantiles<FADE_HOURS>,
    days: Quantiles<FADE_DAYS>,
    /// From what amount on the hour and the day are told.
    limit_hour: u64,
    limit_day: u64,
    told_hour: bool,
    told_day: bool,
    /// While it was learnt: once is enough to say that it is a large one.
    told_new: bool,
    records: u64,
    from: Timestamp,
    peers: [Peer; PEERS],
    largest: [Large; EVIDENCE],
}

impl State {
    fn day(&self) -> u32 {
        self.hour / 24
    }

    fn learnt(&self, settings: &Settings) -> bool {
        self.hours.len() >= settings.learning_hours && self.hour.saturating_sub(self.first_hour) >= settings.learning_days * 24
    }

    /// Begins an hour, and a day where it is another one's.
    fn turn(&mut self, hour: u32, settings: &Settings) {
        if self.first_hour == 0 {
            self.first_hour = hour;
        } else {
            // What was told teaches no more than what would not have been: else one theft allows the next.
            self.hours.add(self.this_hour.new_out().min(self.limit_hour));
        }
        if hour / 24 != self.day() && self.hour > 0 {
            self.days.add(self.this_day.new_out().min(self.limit_day));
            self.close_day(settings);
        }
        self.hour = hour;
        self.this_hour = Amounts::default();
        self.told_hour = false;
        self.largest = [Large::default(); EVIDENCE];
        (self.limit_hour, self.limit_day) = match self.learnt(settings) {
            true => (
                settings.floor_hour.max(times(self.hours.at(settings.quantile_hour), settings.factor)),
                settings.floor_day.max(times(self.days.at(settings.quantile_day), settings.factor)),
            ),
            false => (settings.floor_learning, settings.floor_learning.saturating_mul(4)),
        };
    }

    fn close_day(&mut self, settings: &Settings) {
        let day = self.day();
        for peer in &mut self.peers {
            if peer.today >= settings.peer_bytes {
                peer.times = peer.times.saturating_add(1);
                peer.last = day;
            }
            peer.today = 0;
            if day.saturating_sub(peer.last) > PEER_DAYS_KEPT {
                *peer = Peer::default();
            }
        }
        self.this_day = Amounts::default();
        self.told_day = false;
    }

    /// Counts what goes to a net; says whether it is one that gets much again and again.
    fn peer(&mut self, net: u128, bytes: u64, settings: &Settings) -> bool {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.net == net) {
            peer.today = peer.today.saturating_add(bytes);
            return peer.times >= settings.peer_days;
        }
        // The weakest loses as much as the newcomer brings, and its place when nothing is left: what gets a large share
        // of a day is among the few in the end, in whatever order it came (Misra and Gries).
        if let Some(weakest) = self.peers.iter_mut().min_by_key(|peer| (peer.times, peer.today)) {
            match bytes.checked_sub(weakest.today) {
                Some(rest) if weakest.times == 0 || rest >= settings.peer_bytes => {
                    *weakest = Peer { net, today: bytes, times: 0, last: self.hour / 24 }
                }
                Some(_) => weakest.today = 0,
                None => weakest.today -= bytes,
            }
        }
        false
    }

    fn keep_large(&mut self, flow: &FlowRecord, bytes: u64, to: u128) {
        if let Some(smallest) = self.largest.iter_mut().min_by_key(|large| large.bytes)
            && smallest.bytes < bytes
        {
            *smallest = Large { bytes, seq: flow.seq, to };
        }
    }
}

fn times(amount: u64, factor: f64) -> u64 {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an amount of bytes, roughly")]
    let product = (amount as f64 * factor) as u64;
    product
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn net(address: IpAddr) -> u128 {
    let host_bits = if address.to_canonical().is_ipv4() { 32 - PEER_BITS_V4 } else { 128 - PEER_BITS_V6 };
    bits(address) >> host_bits << host_bits
}

/// The detector; see the file.
pub(super) struct Exfiltration {
    settings: Settings,
    hosts: Book<Host, State>,
}

impl Exfiltration {
    /// # Errors
    /// Where a parameter is out of its range.
    pub(super) fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        Settings::read(parameters).map(Self::with)
    }

    pub(super) fn with(settings: Settings) -> Self {
        Self { hosts: Book::new(settings.hosts), settings }
    }

    /// The host's state in the hour of a record.
    fn host(&mut self, host: Host, hour: u32) -> Option<&mut State> {
        if self.hosts.touch(&host).is_none() {
            self.hosts.insert(host, State::default());
        }
        let state = self.hosts.touch(&host)?;
        // What comes late counts for the hour that is on.
        if hour > state.hour {
            state.turn(hour, &self.settings);
            if state.hours.len() == SETTLED_HOURS {
                self.hosts.settle(&host);
            }
        }
        self.hosts.touch(&host)
    }
}

/// What is told of an hour or a day, where it is too much.
fn judge(state: &State, host: Host, flow: &FlowRecord, settings: &Settings, day: bool) -> Option<Detection> {
    let (amounts, limit) = if day { (state.this_day, state.limit_day) } else { (state.this_hour, state.limit_hour) };
    #[expect(clippy::cast_precision_loss, reason = "a ratio, roughly")]
    let ratio = amounts.new_out() as f64 / amounts.back.max(1) as f64;
    let learnt = state.learnt(settings);
    if amounts.new_out() < limit || ratio < settings.ratio_min || (state.told_new && !learnt) {
        return None;
    }
    let (usual, q, known) = match day {
        true => (state.days.at(settings.quantile_day), settings.quantile_day, u64::from(state.days.len())),
        false => (state.hours.at(settings.quantile_hour), settings.quantile_hour, u64::from(state.hours.len())),
    };
    let what = if day { "Hinausgesendet an diesem Tag" } else { "Hinausgesendet in dieser Stunde" };
    let mut reasons = vec![Reason::new(what, size(amounts.new_out()), format!("ab {}", size(limit)))];
    if learnt {
        let unit = if day { "Tagen" } else { "Stunden" };
        let over = format!("{} % von {} {unit} mit Verkehr lagen darunter", decimal(q * 100.0, 1), count(known));
        reasons.push(Reason::new("Das eigene Übliche", format!("{} ({over})", size(usual)), ""));
        reasons.push(Reason::new(
            "Schwelle",
            format!(
                "das {}-Fache davon, mindestens {}",
                decimal(settings.factor, 1),
                size(if day { settings.floor_day } else { settings.floor_hour })
            ),
            "",
        ));
    } else {
        let since = state.hour.saturating_sub(state.first_hour) / 24;
        reasons.push(Reason::new(
            "Noch in der Lernzeit",
            format!("seit {since} Tagen bekannt"),
            format!("bis {} Tage", settings.learning_days),
        ));
    }
    reasons.push(Reason::new(
        "Gesendet je empfangenem Byte",
        if amounts.back == 0 { "nichts empfangen".into() } else { decimal(ratio, 1) },
        format!("ab {}", decimal(settings.ratio_min, 1)),
    ));
    if amounts.known > 0 {
        reasons.push(Reason::new("Außerdem an gelernte Gegenstellen (zählt nicht)", size(amounts.known), ""));
    }
    let mut largest: Vec<Large> = state.largest.iter().copied().filter(|large| large.bytes > 0).collect();
    largest.sort_unstable_by_key(|large| std::cmp::Reverse((large.bytes, large.seq)));
    let mut destinations: Vec<String> = Vec::new();
    for large in &largest {
        let to = IpAddr::V6(large.to.into()).to_canonical().to_string();
        if !destinations.contains(&to) {
            destinations.push(to);
        }
    }
    let mut evidence: Vec<Seq> = largest.iter().map(|large| large.seq).collect();
    evidence.sort_unstable();
    evidence.dedup();
    Some(Detection {
        rule: NAME,
        site: host.site,
        body: None,
        entity: Entity::Ip(host.address()),
        observables: BTreeMap::from([("source.ip", vec![host.address().to_string()]), ("destination.ip", destinations)]),
        first: state.from,
        last: flow.end.max(state.from),
        detected_at: flow.received_at,
        evidence,
        records: state.records,
        reasons,
        shares: vec![],
    })
}

impl Detector for Exfiltration {
    fn name(&self) -> &'static str {
        NAME
    }

    fn observe(&mut self, flow: &FlowRecord, seen: &Seen, found: &mut Vec<Detection>) {
        let hour = u32::try_from(seen.at.0.max(0) / Timestamp::HOUR).unwrap_or(0);
        if seen.dst_inside && !seen.src_inside {
            // Only of hosts that have sent: what merely receives takes no memory.
            let host = Host::new(flow.site, flow.dst_ip);
            if self.hosts.get(&host).is_some()
                && let Some(state) = self.host(host, hour)
            {
                state.this_hour.back = state.this_hour.back.saturating_add(seen.bytes);
                state.this_day.back = state.this_day.back.saturating_add(seen.bytes);
            }
            return;
        }
        if !seen.src_inside || seen.dst_inside {
            return;
        }
        let host = Host::new(flow.site, flow.src_ip);
        let settings = self.settings;
        let Some(state) = self.host(host, hour) else { return };
        let known = state.peer(net(flow.dst_ip), seen.bytes, &settings);
        for amounts in [&mut state.this_hour, &mut state.this_day] {
            amounts.out = amounts.out.saturating_add(seen.bytes);
            amounts.known = amounts.known.saturating_add(if known { seen.bytes } else { 0 });
        }
        if state.this_hour.out == seen.bytes {
            (state.records, state.from) = (0, seen.at);
        }
        state.records += 1;
        if !known {
            state.keep_large(flow, seen.bytes, bits(flow.dst_ip));
        }
        if !state.told_hour
            && state.this_hour.new_out() >= state.limit_hour
            && let Some(detection) = judge(state, host, flow, &settings, false)
        {
            (state.told_hour, state.told_day, state.told_new) = (true, true, true);
            found.push(detection);
        } else if !state.told_day
            && state.this_day.new_out() >= state.limit_day
            && let Some(detection) = judge(state, host, flow, &settings, true)
        {
            (state.told_day, state.told_new) = (true, true);
            found.push(detection);
        }
    }

    fn settle(&mut self, _now: Timestamp, _found: &mut Vec<Detection>) {}

    fn save(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        self.hosts.save(&mut out);
        out.done()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut fresh = Self::with(self.settings);
        let mut from = Reader::new(state, VERSION)?;
        fresh.hosts.restore(&mut from)?;
        from.done()?;
        *self = fresh;
        Ok(())
    }

    fn footprint(&self) -> Footprint {
        Footprint {
            bytes: Book::<Host, State>::bytes(self.hosts.len()),
            bytes_max: Book::<Host, State>::bytes(self.settings.hosts),
            entries: self.hosts.len(),
            dropped: self.hosts.dropped(),
        }
    }

    fn allows_sampling(&self) -> bool {
        // Amounts as large as these are told rightly by one packet of a thousand, times a thousand.
        true
    }
}

keep_fields!(Peer { net, today, times, last });
keep_fields!(Large { bytes, seq, to });
keep_fields!(Amounts { out, known, back });
keep_fields!(State {
    first_hour,
    hour,
    this_hour,
    this_day,
    hours,
    days,
    limit_hour,
    limit_day,
    told_hour,
    told_day,
    told_new,
    records,
    from,
    peers,
    largest
});

impl<const FADE: u16> Keep for Quantiles<FADE> {
    fn put(&self, out: &mut Writer) {
        out.put(&Vec::from_iter(self.saved()));
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        let mut quantiles = Self::default();
        for _ in 0..from.count()? {
            let (class, count) = from.take::<(u8, u8)>()?;
            if !quantiles.fill(class, count) {
                return Err(RestoreError::Damaged("a class outside the quantiles"));
            }
        }
        Ok(quantiles)
    }
}

#[cfg(test)]
mod tests;

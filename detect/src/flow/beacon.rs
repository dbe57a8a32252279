//! Beaconing: software that asks its master for orders meets an outside address again and again, evenly, with messages of
//! the same size, by day and night. Each pair (inside source, outside destination and port) is scored once an hour over a
//! rolling day with RITA's four-part score (`score`); long connections are put together first (`stitch`), and only pairs
//! that meet evenly are kept with their contacts (`sieve`), so that memory stays bounded however many pages people read.
//!
//! What many inside hosts contact is a service, not a master: it is marked down as RITA does. Time is the records' own.

mod score;
mod sieve;
mod stitch;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;

use foldhash::fast::RandomState;
use ingest::body::{Prefix, SiteId};
use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::time::Timestamp;

use self::score::{HOURS, Score, Series, score};
use self::sieve::Sieve;
use self::stitch::{Piece, Stitcher};
use super::book::{Book, keep_fields};
use super::table::hash_of;
use super::wire::{Host, Keep, Reader, Writer};
use super::{Detection, Detector, Footprint, ParameterError, Parameters, Reason, RestoreError, Seen};
use crate::finding::Entity;
use crate::say::{count, decimal, seconds, size};

const NAME: &str = "beaconing";
const VERSION: u8 = 1;
/// Contacts kept of a pair, the newest: a day of one every five minutes; faster rhythms are judged by their last 288.
const CONTACTS_MAX: usize = 288;
/// Flows kept as evidence of a pair, the newest: a person looks at a handful.
const EVIDENCE: usize = 16;
/// Pairs kept of one source: a host that scans must not take all room.
const PAIRS_PER_SOURCE_MAX: u32 = 512;
/// More pairs with one destination than this many times `sources_many` are not kept: they are marked down anyway.
const PAIRS_PER_DESTINATION_FACTOR: u32 = 2;
/// A part of the window is judged so long after its end: records come when a connection has ended.
const GRACE_SECONDS: u32 = 600;
/// Without records for so long, what has begun is judged as it is: an import has ended.
const QUIET: i64 = 4 * Timestamp::MINUTE;
/// A pair that has not met for this share of the window is forgotten (half a day: a machine that sleeps at night is not).
const FORGET_PARTS: u32 = 16;
/// Parts with contacts from which a pair has lasted.
const SETTLED_PARTS: usize = 4;
/// Pairs judged with one record while a round is on, and with one `settle`: some ten microseconds each.
const JUDGED_PER_RECORD: usize = 2;
const JUDGED_PER_SETTLE: usize = 4_096;
/// Contacts so near to each other from one port are one, seen by two exporters.
const SAME_CONTACT_SECONDS: u32 = 2;
/// How far an exporter's clock may be ahead before receipt counts instead.
const CLOCK_AHEAD: i64 = 5 * Timestamp::MINUTE;

/// What the operator can set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) score_min: f64,
    pub(super) contacts_min: u32,
    /// Of the window's 24 parts.
    pub(super) window_seconds: u32,
    pub(super) active_timeout_seconds: u32,
    pub(super) sources_many: u32,
    pub(super) discount: f64,
    pub(super) ports_ignored: Vec<u16>,
    pub(super) destinations_ignored: Vec<Prefix>,
    pub(super) watched: usize,
    pub(super) pairs: usize,
}

impl Settings {
    fn read(parameters: &Parameters) -> Result<Self, ParameterError> {
        let whole =
            |key: &str, low: u64, high: u64| parameters.count(key, low..=high).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        let prefixes: Result<Vec<Prefix>, _> = parameters.texts("destinations_ignored")?.iter().map(|text| text.parse()).collect();
        Ok(Self {
            score_min: parameters.number("score_min", 0.5..=1.0)?,
            contacts_min: whole("contacts_min", 6, 1_000)?,
            window_seconds: u32::try_from(parameters.millis("window_hours", 6.0..=168.0)? / 1_000).unwrap_or(u32::MAX),
            active_timeout_seconds: u32::try_from(parameters.millis("active_timeout_seconds", 10.0..=7_200.0)? / 1_000).unwrap_or(u32::MAX),
            sources_many: whole("sources_many", 2, 1_000_000)?,
            discount: parameters.number("sources_many_discount", 0.0..=1.0)?,
            ports_ignored: parameters.ports("ports_ignored")?,
            destinations_ignored: prefixes.map_err(|_| parameters.refused("destinations_ignored", "eine Liste von Adressen und Netzen"))?,
            watched: whole("watched_max", 1_024, 1 << 24)? as usize,
            pairs: whole("pairs_max", 64, 1 << 20)? as usize,
        })
    }

    /// Seconds of one of the window's parts: an hour of a day.
    fn part(&self) -> u32 {
        (self.window_seconds / HOURS as u32).max(1)
    }
}

/// Who meets whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    site: SiteId,
    src: IpAddr,
    dst: IpAddr,
    port: u16,
    protocol: u8,
}

impl Key {
    fn of(flow: &FlowRecord) -> Self {
        Self { site: flow.site, src: flow.src_ip, dst: flow.dst_ip, port: flow.dst_port, protocol: flow.protocol }
    }

    fn source(&self) -> Host {
        Host::new(self.site, self.src)
    }
}

/// When the contact was, in seconds since 1970: the exporter's word, unless it is from the future.
fn moment(flow: &FlowRecord) -> u32 {
    let at = if flow.start > flow.received_at.plus(CLOCK_AHEAD) { flow.received_at } else { flow.start };
    u32::try_from(at.0.max(0) / 1_000).unwrap_or(u32::MAX)
}

/// One part of the window with contacts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Part {
    /// Which one, counted since 1970.
    index: u32,
    count: u32,
    first: u32,
    last: u32,
}

/// A pair that meets evenly, with its contacts.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pair {
    /// (second, bytes), as they came; about the last day.
    contacts: VecDeque<(u32, u32)>,
    /// By part, modulo one more than the window has.
    parts: [Part; HOURS + 1],
    /// The latest contact and its port, for what two exporters see.
    last: u32,
    last_port: u16,
    evidence: VecDeque<Seq>,
    records: u64,
    /// The part behind which it was told; 0 for never.
    told: u32,
    received_at: Timestamp,
}

impl Pair {
    /// Counts a contact at a moment of which nothing else is known.
    fn count(&mut self, at: u32, part_seconds: u32) {
        let index = at / part_seconds;
        let Some(part) = self.parts.get_mut(index as usize % (HOURS + 1)) else { return };
        match part.index.cmp(&index) {
            // Of a window that is over.
            std::cmp::Ordering::Greater => {}
            std::cmp::Ordering::Less => *part = Part { index, count: 1, first: at, last: at },
            std::cmp::Ordering::Equal => {
                *part = Part { index, count: part.count.saturating_add(1), first: part.first.min(at), last: part.last.max(at) };
            }
        }
    }

    fn contact(&mut self, at: u32, bytes: u64, part_seconds: u32) {
        self.count(at, part_seconds);
        if self.contacts.len() >= CONTACTS_MAX {
            self.contacts.pop_front();
        }
        self.contacts.push_back((at, u32::try_from(bytes).unwrap_or(u32::MAX)));
        self.last = self.last.max(at);
    }

    fn seen(&mut self, flow: &FlowRecord) {
        self.records += 1;
        self.received_at = flow.received_at;
        if self.evidence.back() != Some(&flow.seq) {
            if self.evidence.len() >= EVIDENCE {
                self.evidence.pop_front();
            }
            self.evidence.push_back(flow.seq);
        }
    }

    /// Parts with contacts among the window's, which ends with the part before `end`.
    fn window(&self, end: u32) -> impl Iterator<Item = &Part> {
        let from = end.saturating_sub(HOURS as u32);
        self.parts.iter().filter(move |part| part.count > 0 && (from..end).contains(&part.index))
    }

    fn score(&self, end: u32, settings: &Settings) -> Option<Score> {
        let part_seconds = settings.part();
        let (from, to) = (end.saturating_sub(HOURS as u32) * part_seconds, end.saturating_mul(part_seconds));
        let mut hours = [0u32; HOURS];
        for part in self.window(end) {
            if let Some(hour) = hours.get_mut((part.index + HOURS as u32 - end) as usize) {
                *hour = part.count;
            }
        }
        let first = self.window(end).map(|part| part.first).min()?;
        let last = self.window(end).map(|part| part.last).max()?;
        let within = self.contacts.iter().filter(|(at, _)| (from..to).contains(at));
        let (mut times, sizes): (Vec<u32>, Vec<u32>) = within.copied().unzip();
        times.sort_unstable();
        score(&Series { times: &times, sizes: &sizes, hours: &hours, first, last, window: part_seconds * HOURS as u32 })
    }

    fn bytes(&self) -> usize {
        self.contacts.capacity() * 8 + self.evidence.capacity() * 8
    }
}

/// The detector; see the file.
pub(super) struct Beaconing {
    settings: Settings,
    sieve: Sieve,
    stitcher: Stitcher,
    pairs: Book<Key, Pair>,
    /// Pairs by source, by destination, and by both: worked out of `pairs`.
    tallies: Tallies,
    /// The latest moment that a record told, and the latest receipt.
    clock: u32,
    received_at: Timestamp,
    round: Round,
}

/// Where the judging is: at the part behind the window's end, and which pairs are still to be judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Round {
    end: u32,
    todo: Vec<Key>,
}

#[derive(Clone, Debug, Default)]
struct Tallies {
    sources: HashMap<Host, u32, RandomState>,
    /// Different sources of a destination.
    destinations: HashMap<IpAddr, u32, RandomState>,
    links: HashMap<(Host, IpAddr), u32, RandomState>,
}

impl Tallies {
    fn add(&mut self, key: &Key) {
        *self.sources.entry(key.source()).or_default() += 1;
        let link = self.links.entry((key.source(), key.dst)).or_default();
        *link += 1;
        if *link == 1 {
            *self.destinations.entry(key.dst).or_default() += 1;
        }
    }

    fn remove(&mut self, key: &Key) {
        if less(&mut self.links, (key.source(), key.dst)) {
            less(&mut self.destinations, key.dst);
        }
        less(&mut self.sources, key.source());
    }

    fn of_source(&self, source: Host) -> u32 {
        self.sources.get(&source).copied().unwrap_or(0)
    }

    fn of_destination(&self, destination: IpAddr) -> u32 {
        self.destinations.get(&destination).copied().unwrap_or(0)
    }
}

/// Counts one down; says whether it was the last.
fn less<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, u32, RandomState>, key: K) -> bool {
    let std::collections::hash_map::Entry::Occupied(mut entry) = counts.entry(key) else { return false };
    *entry.get_mut() -= 1;
    let last = *entry.get() == 0;
    if last {
        entry.remove();
    }
    last
}

impl Beaconing {
    /// # Errors
    /// Where a parameter is out of its range.
    pub(super) fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        Settings::read(parameters).map(Self::with)
    }

    pub(super) fn with(settings: Settings) -> Self {
        // The sieve wants fewer contacts than the judgement; what it lets through is even to two thirds (chance has 74 %).
        let contacts = u16::try_from(settings.contacts_min / 2).unwrap_or(u16::MAX).max(5);
        Self {
            sieve: Sieve::new(settings.watched, contacts, 65),
            stitcher: Stitcher::new(settings.active_timeout_seconds),
            pairs: Book::new(settings.pairs),
            tallies: Tallies::default(),
            clock: 0,
            received_at: Timestamp(0),
            round: Round::default(),
            settings,
        }
    }

    fn contact(&mut self, key: &Key, flow: &FlowRecord, seen: &Seen, at: u32, piece: Piece) {
        let part = self.settings.part();
        if let Some(pair) = self.pairs.touch(key) {
            if let Piece::Continues { began } = piece {
                pair.seen(flow);
                // What a connection sends later is its contact's size all the same.
                if let Some((_, bytes)) = pair.contacts.iter_mut().rev().find(|(at, _)| *at == began) {
                    *bytes = bytes.saturating_add(u32::try_from(seen.bytes).unwrap_or(u32::MAX));
                }
                return;
            }
            if pair.last_port == flow.src_port && at.abs_diff(pair.last) <= SAME_CONTACT_SECONDS {
                return;
            }
            pair.last_port = flow.src_port;
            pair.contact(at, seen.bytes, part);
            pair.seen(flow);
            return;
        }
        if piece != Piece::New {
            return;
        }
        let Some(regular) = self.sieve.contact(hash_of(key), at) else { return };
        let crowd = self.settings.sources_many.saturating_mul(PAIRS_PER_DESTINATION_FACTOR);
        if self.settings.destinations_ignored.iter().any(|net| net.contains(key.dst)) {
            return;
        }
        if self.tallies.of_source(key.source()) >= PAIRS_PER_SOURCE_MAX || self.tallies.of_destination(key.dst) >= crowd {
            return;
        }
        let mut pair = Pair { last_port: flow.src_port, ..Pair::default() };
        // The contacts before were even and so can be told from the first one; only their sizes are not known.
        let (before, span) = (u64::from(regular.contacts).saturating_sub(1), u64::from(at.saturating_sub(regular.first)));
        for n in 0..before {
            let earlier = regular.first + u32::try_from(span * n / before).unwrap_or(0);
            if earlier > at.saturating_sub(self.settings.window_seconds) {
                pair.count(earlier, part);
            }
        }
        pair.contact(at, seen.bytes, part);
        pair.seen(flow);
        self.tallies.add(key);
        if let Some(gone) = self.pairs.insert(*key, pair) {
            self.tallies.remove(&gone);
        }
    }

    /// Begins a round where a part of the window is over.
    fn begin(&mut self, end: u32) {
        if self.round.todo.is_empty() && end > self.round.end {
            self.round = Round { end, todo: self.pairs.iter().map(|(key, _)| *key).collect() };
        }
    }

    /// Judges the next pairs of the round.
    fn go_on(&mut self, pairs: usize, found: &mut Vec<Detection>) {
        let end = self.round.end;
        for _ in 0..pairs {
            let Some(key) = self.round.todo.pop() else { return };
            let Some(pair) = self.pairs.get(&key) else { continue };
            if pair.last / self.settings.part() + FORGET_PARTS < end {
                self.pairs.remove(&key);
                self.tallies.remove(&key);
                continue;
            }
            let fresh = pair.told == 0 || pair.told + HOURS as u32 <= end;
            let lasts = pair.window(end).count() >= SETTLED_PARTS;
            let contacts: u32 = pair.window(end).map(|part| part.count).sum();
            if fresh && contacts >= self.settings.contacts_min {
                let many = self.tallies.of_destination(key.dst);
                if let Some(detection) = judge(&key, pair, end, contacts, many, &self.settings) {
                    found.push(detection);
                    if let Some(pair) = self.pairs.touch(&key) {
                        pair.told = end;
                    }
                }
            }
            if lasts && let Some(gone) = self.pairs.settle(&key) {
                self.tallies.remove(&gone);
            }
        }
    }
}

/// The detection, where the score of the window is high enough.
fn judge(key: &Key, pair: &Pair, end: u32, contacts: u32, sources: u32, settings: &Settings) -> Option<Detection> {
    let score = pair.score(end, settings)?;
    let crowd = sources >= settings.sources_many;
    let total = if crowd { (score.total - settings.discount).max(0.0) } else { score.total };
    if total < settings.score_min {
        return None;
    }
    let first = pair.window(end).map(|part| part.first).min()?;
    let moment = |seconds: u32| Timestamp(i64::from(seconds) * 1_000);
    let part = |name: &'static str, value: f64, because: String| Reason::new(name, format!("{} ({because})", decimal(value, 3)), "");
    let spread = format!("Median {}, halbe Streuung {}", seconds(score.interval), seconds(score.interval_spread));
    let mut reasons = vec![
        Reason::new("Gesamtwert (RITA)", decimal(total, 3), format!("ab {}", decimal(settings.score_min, 2))),
        part("Gleichmäßige Abstände", score.timestamps, spread),
        part("Gleiche Größen", score.sizes, format!("Median {} gesendet", size(score.size as u64))),
        part("Gleichmäßig über den Tag", score.histogram, format!("in {} von {HOURS} Abschnitten", score.hours)),
        part("Ausdauer", score.duration, format!("längste Folge {} Abschnitte", score.run)),
        Reason::new("Kontakte im Zeitraum", count(contacts.into()), format!("ab {}", settings.contacts_min)),
        Reason::new("Rechner mit diesem Ziel", count(sources.into()), format!("unter {}", settings.sources_many)),
    ];
    if crowd {
        reasons.push(Reason::new("Abzug, weil viele Rechner das Ziel nutzen", decimal(settings.discount, 2), ""));
    }
    Some(Detection {
        rule: NAME,
        site: key.site,
        body: None,
        entity: Entity::Ip(key.src),
        observables: BTreeMap::from([
            ("source.ip", vec![key.src.to_string()]),
            ("destination.ip", vec![key.dst.to_string()]),
            ("destination.port", vec![key.port.to_string()]),
        ]),
        first: moment(first),
        last: moment(pair.last),
        detected_at: pair.received_at,
        evidence: pair.evidence.iter().copied().collect(),
        records: pair.records,
        reasons,
        shares: vec![],
    })
}

impl Detector for Beaconing {
    fn name(&self) -> &'static str {
        NAME
    }

    fn observe(&mut self, flow: &FlowRecord, seen: &Seen, found: &mut Vec<Detection>) {
        if !seen.src_inside || seen.dst_inside || !seen.initiator || self.settings.ports_ignored.binary_search(&flow.dst_port).is_ok() {
            return;
        }
        let at = moment(flow);
        self.received_at = self.received_at.max(flow.received_at);
        if at > self.clock {
            self.clock = at;
            self.begin(at.saturating_sub(GRACE_SECONDS) / self.settings.part());
        }
        self.go_on(JUDGED_PER_RECORD, found);
        let key = Key::of(flow);
        match self.stitcher.piece(hash_of(&(key, flow.src_port)), flow) {
            Piece::Again => {}
            piece => self.contact(&key, flow, seen, at, piece),
        }
    }

    fn settle(&mut self, now: Timestamp, found: &mut Vec<Detection>) {
        self.go_on(JUDGED_PER_SETTLE, found);
        // Nothing comes any more: the part that has begun is judged too, once.
        if now.since(self.received_at) >= QUIET && self.clock > 0 {
            self.go_on(usize::MAX, found);
            self.begin(self.clock / self.settings.part() + 1);
            self.go_on(usize::MAX, found);
        }
    }

    fn save(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        out.put(&self.clock).put(&self.received_at).put(&self.round.end).put(&self.round.todo);
        self.sieve.save(&mut out);
        self.stitcher.save(&mut out);
        self.pairs.save(&mut out);
        out.done()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut fresh = Self::with(self.settings.clone());
        let mut from = Reader::new(state, VERSION)?;
        (fresh.clock, fresh.received_at) = (from.take()?, from.take()?);
        fresh.round = Round { end: from.take()?, todo: from.take()? };
        fresh.sieve.restore(&mut from)?;
        fresh.stitcher.restore(&mut from)?;
        fresh.pairs.restore(&mut from)?;
        from.done()?;
        fresh.pairs.iter().for_each(|(key, _)| fresh.tallies.add(key));
        *self = fresh;
        Ok(())
    }

    fn footprint(&self) -> Footprint {
        let tables = self.sieve.bytes() + Stitcher::bytes();
        // The tallies have an address or two and a number for each pair.
        let pairs = |entries: usize| Book::<Key, Pair>::bytes(entries) + entries * 2 * (2 * 48 + 24 + 80);
        let own: usize = self.pairs.iter().map(|(_, pair)| pair.bytes()).sum();
        let own_max = self.settings.pairs * (CONTACTS_MAX.next_power_of_two() + EVIDENCE) * 8;
        let todo = std::mem::size_of::<Key>();
        Footprint {
            bytes: tables + pairs(self.pairs.len()) + own + self.round.todo.capacity() * todo,
            bytes_max: tables + pairs(self.settings.pairs) + own_max + self.settings.pairs * todo,
            entries: self.pairs.len(),
            dropped: self.pairs.dropped() + self.sieve.dropped(),
        }
    }

    fn allows_sampling(&self) -> bool {
        // One of a hundred packets: most contacts are not seen, and what is left has no rhythm.
        false
    }
}

keep_fields!(Key { site, src, dst, port, protocol });
keep_fields!(Part { index, count, first, last });

impl Keep for Pair {
    fn put(&self, out: &mut Writer) {
        out.put(&Vec::from_iter(self.contacts.iter().copied())).put(&self.parts).put(&self.last).put(&self.last_port);
        out.put(&Vec::from_iter(self.evidence.iter().copied())).put(&self.records).put(&self.told).put(&self.received_at);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            contacts: from.take::<Vec<_>>()?.into(),
            parts: from.take()?,
            last: from.take()?,
            last_port: from.take()?,
            evidence: from.take::<Vec<_>>()?.into(),
            records: from.take()?,
            told: from.take()?,
            received_at: from.take()?,
        })
    }
}

//! Counts sources from the journal's batches: frames, bytes, defects, formats, hours, gaps and clocks, all added in one
//! transaction with the cursor. What a sender makes up (hosts, addresses) costs no rows beyond a bound.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction, params};

use super::SourceId;
use super::gap::Gaps;
use super::import::{ImportMark, import_put};
use super::store::{HOURS_KEPT, hour, source_cursor};
use crate::body::{SITE_UNKNOWN, SiteId};
use crate::db::{Db, DbError};
use crate::event::{Defect, Defects, Event};
use crate::fields;
use crate::frame::{FrameKind, NewFrame, Seq, Transport};
use crate::pipeline::{Batch, Consumer, ConsumerError};
use crate::time::Timestamp;

/// Host names told apart per peer; a peer that invents more is counted under its address alone.
const HOSTS_PER_PEER_MAX: usize = 1_000;
/// Addresses told apart that belong to no site; a sender of UDP can forge as many as there are. Those beyond are
/// counted together, under the address `::`.
const STRANGERS_MAX: usize = 2_000;
/// Clock differences kept of one source between two writes: their middle is as good as that of all.
const SKEWS_MAX: usize = 64;
/// How slowly the stored clock difference follows the new ones: by an eighth with each write, so that a burst of late
/// lines does not look like a wrong clock and a clock set right shows within a minute.
const SKEW_INERTIA: i64 = 8;
/// How often old hours are thrown away.
const CLEAN_INTERVAL: i64 = Timestamp::HOUR;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    site: SiteId,
    peer: IpAddr,
    host: Box<str>,
    transport: Transport,
    flow: bool,
}

impl Key {
    fn kind(&self) -> &'static str {
        if self.flow { "flow" } else { "log" }
    }
}

/// What came of one source since the last write.
#[derive(Clone, Debug, Default)]
struct Delta {
    first: Option<Timestamp>,
    last: Timestamp,
    frames: i64,
    bytes: i64,
    records: i64,
    defective: i64,
    defects: HashMap<&'static str, i64>,
    formats: HashMap<&'static str, i64>,
    /// Frames and the longest gap within each hour.
    hours: BTreeMap<i64, (i64, (Timestamp, Timestamp))>,
    /// Gaps from one hour into another.
    gaps: Vec<(Timestamp, Timestamp)>,
    skews: Vec<i64>,
}

impl Delta {
    fn add(&mut self, frame: &NewFrame, seen: &Seen) {
        let at = frame.received_at;
        let before = self.first.map(|_| self.last);
        self.first.get_or_insert(at);
        self.last = self.last.max(at);
        self.frames += 1;
        self.bytes += i64::try_from(frame.payload.len()).unwrap_or(0);
        self.records += seen.records;
        // RFC 3164 has no year: that it had to be worked out is counted below, but it is no fault of the sender.
        self.defective += i64::from(seen.defects.iter().any(|defect| defect != Defect::NoYear));
        for defect in seen.defects.iter().map(Defect::name) {
            *self.defects.entry(defect).or_default() += 1;
        }
        if let Some(format) = seen.format {
            *self.formats.entry(format).or_default() += 1;
        }
        if let Some(skew) = seen.skew.filter(|_| self.skews.len() < SKEWS_MAX) {
            self.skews.push(skew);
        }
        let (frames, longest) = self.hours.entry(hour(at)).or_insert((0, (at, at)));
        *frames += 1;
        match before {
            Some(before) if hour(before) != hour(at) => self.gaps.push((before, at)),
            Some(before) if at.since(before) > longest.1.since(longest.0) => *longest = (before, at),
            _ => {}
        }
    }

    fn skew(&self) -> Option<i64> {
        let mut skews = self.skews.clone();
        skews.sort_unstable();
        skews.get(skews.len() / 2).copied()
    }
}

/// What the decoders found in one frame.
#[derive(Default)]
struct Seen {
    host: Option<String>,
    records: i64,
    defects: Defects,
    /// The decoder that understood it, empty for none; `None` where there was nothing to decode.
    format: Option<&'static str>,
    skew: Option<i64>,
}

impl Seen {
    fn event(&mut self, event: &Event) {
        self.records += 1;
        self.defects = event.defects;
        self.host = event.get(fields::HOST_NAME).map(|name| name.text().into_owned());
        self.format = Some(event.decoder);
        // Only a stamp without any fault says something of the device's clock.
        let sound = event.timestamp != event.received_at && event.defects.iter().all(|defect| defect == Defect::NoYear);
        self.skew = sound.then(|| event.received_at.since(event.timestamp));
    }
}

/// Counts sources and notes imports. Its cursor moves in the same transaction as the counts.
pub struct SourceConsumer {
    db: Db,
    cursor: Seq,
    applied: Seq,
    deltas: HashMap<Key, Delta>,
    marks: HashMap<String, (ImportMark, Timestamp)>,
    hosts: HashMap<IpAddr, HashSet<Box<str>>>,
    strangers: HashSet<IpAddr>,
    cleaned_at: Option<Timestamp>,
}

impl SourceConsumer {
    /// # Errors
    /// The database's own.
    pub fn new(db: Db) -> Result<Self, DbError> {
        let (cursor, known) = db.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT site, peer, host FROM source")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)))?;
            let known: Vec<(SiteId, String, String)> = rows.collect::<Result<_, _>>()?;
            Ok::<_, DbError>((source_cursor(connection)?, known))
        })?;
        let (mut hosts, mut strangers): (HashMap<IpAddr, HashSet<Box<str>>>, _) = (HashMap::new(), HashSet::new());
        for (site, peer, host) in known {
            let Ok(peer) = peer.parse() else { continue };
            if site == SITE_UNKNOWN {
                strangers.insert(peer);
            }
            if !host.is_empty() {
                hosts.entry(peer).or_default().insert(host.into());
            }
        }
        let (deltas, marks) = (HashMap::new(), HashMap::new());
        Ok(Self { db, cursor, applied: cursor, deltas, marks, hosts, strangers, cleaned_at: None })
    }

    /// Under which address a frame is counted.
    fn peer_for(&mut self, site: SiteId, peer: IpAddr) -> IpAddr {
        if site != SITE_UNKNOWN || self.strangers.contains(&peer) {
            return peer;
        }
        if self.strangers.len() < STRANGERS_MAX {
            self.strangers.insert(peer);
            return peer;
        }
        Ipv6Addr::UNSPECIFIED.into()
    }

    fn host_for(&mut self, peer: IpAddr, host: Option<String>) -> Box<str> {
        let Some(host) = host else { return Box::default() };
        let hosts = self.hosts.entry(peer).or_default();
        if hosts.contains(host.as_str()) || hosts.len() < HOSTS_PER_PEER_MAX {
            let host: Box<str> = host.into();
            hosts.insert(host.clone());
            return host;
        }
        Box::default()
    }
}

impl Consumer for SourceConsumer {
    fn name(&self) -> &'static str {
        "sources"
    }

    fn cursor(&self) -> Seq {
        self.cursor
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), ConsumerError> {
        let mut events = batch.events.iter().peekable();
        let mut flows = batch.flows.iter().peekable();
        for frame in &batch.frames {
            let (seq, frame) = (frame.seq, &frame.frame);
            let mut seen = Seen::default();
            while let Some(event) = events.next_if(|event| event.seq <= seq) {
                seen.event(event);
            }
            while flows.next_if(|flow| flow.seq <= seq).is_some() {
                seen.records += 1;
                seen.format = Some(NETFLOW);
            }
            if seq <= self.applied {
                continue;
            }
            if frame.kind == FrameKind::ImportMark {
                if let Ok(mark) = serde_json::from_slice::<ImportMark>(&frame.payload) {
                    self.marks.insert(mark.id.clone(), (mark, frame.received_at));
                }
                continue;
            }
            let peer = self.peer_for(frame.site, frame.peer);
            let host = self.host_for(peer, seen.host.take());
            let flow = frame.kind == FrameKind::Flow;
            let key = Key { site: frame.site, peer, host, transport: frame.transport, flow };
            self.deltas.entry(key).or_default().add(frame, &seen);
        }
        self.applied = self.applied.max(batch.last);
        Ok(())
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), ConsumerError> {
        if self.cleaned_at.is_none_or(|at| !(0..CLEAN_INTERVAL).contains(&now.since(at))) {
            self.cleaned_at = Some(now);
            let oldest = hour(now) - HOURS_KEPT;
            self.db.write(move |tx| {
                tx.execute("DELETE FROM source_hour WHERE hour < ?1", [oldest])?;
                Ok::<_, DbError>(())
            })?;
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), ConsumerError> {
        if self.applied == self.cursor {
            return Ok(());
        }
        let (deltas, marks) = (Arc::new(std::mem::take(&mut self.deltas)), Arc::new(std::mem::take(&mut self.marks)));
        let (counted, marked, applied) = (deltas.clone(), marks.clone(), self.applied);
        let written = self.db.write(move |tx| {
            for (key, delta) in counted.iter() {
                source_add(tx, key, delta)?;
            }
            for (mark, at) in marked.values() {
                import_put(tx, mark, *at)?;
            }
            tx.execute(
                "INSERT INTO source_cursor (name, seq) VALUES ('source', ?1) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
                [i64::try_from(applied.0).unwrap_or(i64::MAX)],
            )?;
            Ok::<_, DbError>(())
        });
        if written.is_err() {
            // A full disk: what was counted is kept for the next time.
            (self.deltas, self.marks) = (Arc::unwrap_or_clone(deltas), Arc::unwrap_or_clone(marks));
        }
        written?;
        self.cursor = applied;
        Ok(())
    }
}

/// What flows are called among the formats; lines have their decoders' names.
const NETFLOW: &str = "netflow";

/// What is stored of a source and has to be read before it can be added to.
struct Known {
    last_seen: Timestamp,
    defects: BTreeMap<String, i64>,
    formats: BTreeMap<String, i64>,
    skew: Option<i64>,
}

fn source_add(tx: &Transaction<'_>, key: &Key, delta: &Delta) -> Result<(), DbError> {
    let (peer, transport, kind) = (key.peer.to_string(), key.transport.as_str(), key.kind());
    let known = tx
        .prepare_cached(
            "SELECT last_seen, defects, formats, skew FROM source
             WHERE site = ?1 AND peer = ?2 AND host = ?3 AND transport = ?4 AND kind = ?5",
        )?
        .query_row(params![key.site, peer, key.host, transport, kind], |row| {
            let counts = |text: String| serde_json::from_str(&text).unwrap_or_default();
            let (defects, formats) = (counts(row.get(1)?), counts(row.get(2)?));
            Ok(Known { last_seen: Timestamp(row.get(0)?), defects, formats, skew: row.get(3)? })
        })
        .optional()?;
    let last_seen = known.as_ref().map(|known| known.last_seen);
    let (mut defects, mut formats, skew) = known.map_or_else(Default::default, |known| (known.defects, known.formats, known.skew));
    add_counts(&mut defects, &delta.defects);
    add_counts(&mut formats, &delta.formats);
    // A file is read in long after its lines were written: that says nothing of a clock.
    let now = delta.skew().filter(|_| key.transport != Transport::Import);
    let skew = match (skew, now) {
        (Some(old), Some(new)) => Some(old + (new - old) / SKEW_INERTIA),
        (old, new) => new.or(old),
    };
    let json = |counts: &BTreeMap<String, i64>| serde_json::to_string(counts).unwrap_or_else(|_| "{}".into());
    let first = delta.first.unwrap_or(delta.last);
    tx.prepare_cached(
        "INSERT INTO source (site, peer, host, transport, kind, first_seen, last_seen, frames, bytes, records, defective, defects,
            formats, skew)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (site, peer, host, transport, kind) DO UPDATE SET
            last_seen = CASE WHEN excluded.last_seen > source.last_seen THEN excluded.last_seen ELSE source.last_seen END,
            frames = source.frames + excluded.frames, bytes = source.bytes + excluded.bytes,
            records = source.records + excluded.records, defective = source.defective + excluded.defective,
            defects = excluded.defects, formats = excluded.formats, skew = excluded.skew",
    )?
    .execute(params![
        key.site,
        peer,
        key.host,
        transport,
        kind,
        first.0,
        delta.last.0,
        delta.frames,
        delta.bytes,
        delta.records,
        delta.defective,
        json(&defects),
        json(&formats),
        skew,
    ])?;
    // An import says when it was read in, not when somebody sent.
    if key.transport == Transport::Import {
        return Ok(());
    }
    let id = SourceId::of(key.site, &peer, &key.host, transport, kind);
    hours_add(tx, id, delta)?;
    gaps_add(tx, id, last_seen.map(|last| (last, first)), delta)
}

fn add_counts(known: &mut BTreeMap<String, i64>, new: &HashMap<&'static str, i64>) {
    for (name, count) in new {
        *known.entry((*name).to_owned()).or_default() += count;
    }
}

fn hours_add(tx: &Transaction<'_>, id: SourceId, delta: &Delta) -> Result<(), DbError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO source_hour (source, hour, frames) VALUES (?1, ?2, ?3)
         ON CONFLICT (source, hour) DO UPDATE SET frames = source_hour.frames + excluded.frames",
    )?;
    for (hour, (frames, _)) in &delta.hours {
        insert.execute(params![id, hour, frames])?;
    }
    Ok(())
}

/// Notes the gaps; written only where they change what is known, which for a steady source they seldom do.
fn gaps_add(tx: &Transaction<'_>, id: SourceId, before: Option<(Timestamp, Timestamp)>, delta: &Delta) -> Result<(), DbError> {
    let stored = tx.prepare_cached("SELECT gaps FROM source_gap WHERE source = ?1")?.query_row([id], |row| row.get(0)).optional()?;
    let mut gaps = stored.map_or_else(Gaps::default, |text: String| Gaps::of_text(&text));
    let within = delta.hours.values().map(|(_, longest)| *longest).filter(|(from, to)| from < to);
    let mut all: Vec<(Timestamp, Timestamp)> = before.into_iter().chain(within).chain(delta.gaps.iter().copied()).collect();
    // In the order of time: a week that has ended is closed.
    all.sort_unstable();
    let mut changed = false;
    for (from, to) in all {
        changed |= gaps.add(from, to);
    }
    if changed {
        tx.prepare_cached("INSERT INTO source_gap (source, gaps) VALUES (?1, ?2) ON CONFLICT (source) DO UPDATE SET gaps = excluded.gaps")?
            .execute(params![id, gaps.to_text()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::body::SiteTable;
    use crate::frame::{Frame, Marks};
    use crate::scope::Scope;
    use crate::source::{MIGRATIONS, Source, source_hours, source_list};

    fn sources(db: &Db, now: Timestamp) -> Vec<Source> {
        db.read(|c| source_list(c, &Scope::All, &SiteTable::default(), now)).unwrap()
    }

    fn batch(seqs: std::ops::RangeInclusive<u64>) -> Batch {
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        let frames: Vec<Frame> = seqs
            .clone()
            .map(|seq| {
                let at = Timestamp(i64::try_from(seq).unwrap() * 1_000);
                let payload = Box::from(&b"line"[..]);
                let frame = NewFrame {
                    received_at: at,
                    site: SITE_UNKNOWN,
                    peer,
                    transport: Transport::Udp,
                    kind: FrameKind::Line,
                    marks: Marks::default(),
                    payload,
                };
                Frame { seq: Seq(seq), frame }
            })
            .collect();
        let events = frames
            .iter()
            .map(|f| {
                let mut event = Event::new(f.seq, f.frame.received_at, f.frame.site, peer, Transport::Udp, &f.frame.payload);
                event.push_text(fields::HOST_NAME, "fw");
                event.defects.add(Defect::NoHeader);
                event
            })
            .collect();
        Batch { first: Seq(*seqs.start()), last: Seq(*seqs.end()), events, frames, ..Batch::default() }
    }

    #[test]
    fn a_journal_that_begins_behind_the_cursor_is_counted_from_there() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let mut consumer = SourceConsumer::new(db.clone()).unwrap();
        consumer.apply(&batch(51..=60)).unwrap();
        consumer.flush().unwrap();
        assert_eq!((consumer.cursor(), sources(&db, Timestamp(60_000))[0].frames), (Seq(60), 10));
    }

    #[test]
    fn counts_are_exact_over_a_crash_and_a_replay() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let mut first = SourceConsumer::new(db.clone()).unwrap();
        first.apply(&batch(1..=10)).unwrap();
        first.flush().unwrap();
        first.apply(&batch(11..=15)).unwrap();
        drop(first); // killed before its flush
        let mut second = SourceConsumer::new(db.clone()).unwrap();
        assert_eq!(second.cursor(), Seq(10));
        second.apply(&batch(9..=20)).unwrap();
        second.tick(Timestamp(0)).unwrap();
        let sites = SiteTable::default();
        let sources = sources(&db, Timestamp(20_000));
        let source = &sources[0];
        assert_eq!((sources.len(), source.frames, source.records, source.defective, source.bytes), (1, 20, 20, 20, 80));
        assert_eq!(
            (source.first_seen, source.last_seen, source.usual_gap_millis(Timestamp(0))),
            (Timestamp(1_000), Timestamp(20_000), 1_000)
        );
        assert_eq!(source.defects.get("no_header"), Some(&20));
        let hours = db.read(|c| source_hours(c, source.id, Timestamp(20_000))).unwrap();
        assert_eq!((source.day, hours.len(), hours.last()), (20, 168, Some(&(Timestamp(0), 20))));
        assert!(!source.is_silent(Timestamp(20_000 + Timestamp::HOUR)));
        assert!(source.is_silent(Timestamp(20_001 + Timestamp::HOUR)));
        let nobody = db.read(|c| source_list(c, &Scope::Bodies(vec![]), &sites, Timestamp(0))).unwrap();
        assert!(nobody.is_empty());
    }

    #[test]
    fn an_invented_host_name_costs_no_row_beyond_the_bound() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let mut consumer = SourceConsumer::new(db).unwrap();
        let peer = "192.0.2.1".parse().unwrap();
        for n in 0..HOSTS_PER_PEER_MAX + 5 {
            consumer.host_for(peer, Some(format!("h{n}")));
        }
        assert_eq!(consumer.host_for(peer, Some("one more".into())).as_ref(), "");
        assert_eq!(consumer.host_for(peer, Some("h1".into())).as_ref(), "h1");
    }

    /// One frame of `host`, received at `at`, stamped `behind` earlier, understood by `decoder`.
    fn one(seq: u64, peer: &str, host: &str, at: i64, behind: i64, decoder: &'static str) -> Batch {
        let mut batch = batch(seq..=seq);
        batch.frames[0].frame.received_at = Timestamp(at);
        batch.frames[0].frame.peer = peer.parse().unwrap();
        let frame = &batch.frames[0].frame;
        let mut event = Event::new(Seq(seq), frame.received_at, frame.site, frame.peer, Transport::Udp, &frame.payload);
        event.push_text(fields::HOST_NAME, host);
        event.timestamp = Timestamp(at - behind);
        event.decoder = decoder;
        batch.events = vec![event];
        batch
    }

    #[test]
    fn clock_format_and_rhythm_come_of_the_lines() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let mut consumer = SourceConsumer::new(db.clone()).unwrap();
        let mut at = 1_795_000_000_000;
        for seq in 1..=240 {
            at += 5 * Timestamp::MINUTE;
            // Every fourth line was delayed by ten minutes; the clock is an hour behind all the same.
            let late = if seq % 4 == 0 { 10 * Timestamp::MINUTE } else { 0 };
            consumer.apply(&one(seq, "192.0.2.1", "fw", at, Timestamp::HOUR + late, if seq % 10 == 0 { "" } else { "sshd" })).unwrap();
            if seq % 3 == 0 {
                consumer.flush().unwrap();
            }
        }
        let source = &sources(&db, Timestamp(at))[0];
        assert_eq!(source.format(), Some(("sshd", 0.9)));
        let skew = source.skew.unwrap();
        assert!((Timestamp::HOUR..Timestamp::HOUR + 5 * Timestamp::MINUTE).contains(&skew), "{skew}");
        assert!((11.5..=12.5).contains(&source.rate(Timestamp(at))), "{}", source.rate(Timestamp(at)));
        let usual = source.usual_gap_millis(Timestamp(at));
        assert!((usual - 5 * Timestamp::MINUTE).abs() < 20_000, "{usual}");
        assert_eq!(source.patience_millis(Timestamp(at)), Timestamp::HOUR);
        assert!(source.is_regular());
    }

    #[test]
    fn strangers_beyond_the_bound_share_a_row_over_a_restart_too() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let mut consumer = SourceConsumer::new(db.clone()).unwrap();
        let strangers = STRANGERS_MAX as u32;
        for n in 0..strangers {
            let peer = std::net::Ipv4Addr::from_bits(n + 1).to_string();
            consumer.apply(&one(u64::from(n) + 1, &peer, "h", 1_000, 0, "")).unwrap();
        }
        consumer.flush().unwrap();
        let mut consumer = SourceConsumer::new(db.clone()).unwrap();
        for n in 0..3 {
            consumer.apply(&one(u64::from(strangers) + 1 + n, &format!("198.51.100.{n}"), "h", 2_000, 0, "")).unwrap();
        }
        consumer.flush().unwrap();
        let all = sources(&db, Timestamp(2_000));
        assert_eq!(all.len(), STRANGERS_MAX + 1);
        assert_eq!(all.iter().find(|source| source.peer == "::").map(|source| source.frames), Some(3));
    }
}

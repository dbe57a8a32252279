//! Made-up traffic for the tests of the hunting detectors: series of contacts with known rhythm, days of browsing, and the
//! records that an exporter would make of them. The numbers come of a plain congruential generator, so that a script in
//! another language makes the same series (see `beacon::tests`).

use std::net::IpAddr;

use ingest::body::SiteId;
use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::id::Ulid;
use ingest::time::Timestamp;

use super::networks::{Networks, TCP};
use super::{Detection, Detector};

pub(super) const HOUR: u32 = 3_600;
pub(super) const DAY: u32 = 24 * HOUR;
/// The midnight that all series begin at.
pub(super) const T0: u32 = 1_800_057_600 / DAY * DAY;

/// Knuth's congruential generator, upper 31 bits.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    /// Both ends included.
    pub(super) fn between(&mut self, from: u32, to: u32) -> u32 {
        from + self.next() % (to - from + 1)
    }

    /// The waiting time of chance.
    pub(super) fn chance(&mut self, mean: f64) -> u32 {
        let u = (f64::from(self.next()) + 1.0) / 2_147_483_649.0;
        ((-u.ln() * mean) as u32).max(1)
    }
}

/// (second, bytes sent)
pub(super) type Contacts = Vec<(u32, u32)>;

/// A beacon: intervals and sizes between two bounds, from one hour to another, with so many percent lost.
pub(super) fn steady(seed: u64, intervals: (u32, u32), sizes: (u32, u32), hours: (u32, u32), loss: u32) -> Contacts {
    let mut rng = Rng(seed);
    let mut contacts = Vec::new();
    let mut at = T0 + hours.0 * HOUR + rng.between(0, 30);
    while at < T0 + hours.1 * HOUR {
        if loss == 0 || rng.between(1, 100) > loss {
            contacts.push((at, rng.between(sizes.0, sizes.1)));
        }
        at += rng.between(intervals.0, intervals.1);
    }
    contacts
}

/// A beacon of which each contact is two connections.
pub(super) fn double(seed: u64) -> Contacts {
    steady(seed, (60, 60), (512, 512), (0, 24), 0).into_iter().flat_map(|(at, bytes)| [(at, bytes), (at + 2, bytes)]).collect()
}

/// A person at work: bursts of pages, pauses of minutes.
pub(super) fn browsing(seed: u64) -> Contacts {
    let mut rng = Rng(seed);
    let mut contacts = Vec::new();
    let mut at = T0 + 8 * HOUR;
    while at < T0 + 18 * HOUR {
        for _ in 0..rng.between(1, 12) {
            let size = 300 + (1 << rng.between(0, 15));
            contacts.push((at, size + rng.between(0, 400)));
            at += rng.chance(9.0);
        }
        at += rng.chance(900.0);
    }
    contacts.retain(|(at, _)| *at < T0 + DAY);
    contacts
}

/// Chance, all day.
pub(super) fn poisson(seed: u64) -> Contacts {
    let mut rng = Rng(seed);
    let mut contacts = Vec::new();
    let mut at = T0;
    loop {
        at += rng.chance(120.0);
        if at >= T0 + DAY {
            return contacts;
        }
        contacts.push((at, rng.between(200, 3_000)));
    }
}

/// A mail client at work: every ten minutes and a bit.
pub(super) fn office(seed: u64) -> Contacts {
    let mut rng = Rng(seed);
    let mut contacts = Vec::new();
    let mut at = T0 + 7 * HOUR + rng.between(0, 600);
    while at < T0 + 17 * HOUR {
        contacts.push((at, rng.between(400, 9_000)));
        at += 600 + rng.between(0, 240);
    }
    contacts
}

pub(super) fn site(n: u128) -> SiteId {
    SiteId(Ulid(n))
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A TCP connection of a second, as an exporter reports it when it has ended.
pub(super) fn record(src: IpAddr, dst: IpAddr, port: u16, at: u32, bytes: u64) -> FlowRecord {
    let start = Timestamp(i64::from(at) * 1_000);
    FlowRecord {
        start,
        end: start.plus(1_000),
        received_at: start.plus(2_000),
        site: site(1),
        src_ip: src,
        dst_ip: dst,
        src_port: 40_000 + (at % 20_000) as u16,
        dst_port: port,
        protocol: TCP,
        tcp_flags: 0x1b,
        bytes,
        packets: bytes.div_ceil(1_000).max(3),
        end_reason: 3,
        ..FlowRecord::NONE
    }
}

/// In order of receipt, numbered.
pub(super) fn journal(mut records: Vec<FlowRecord>) -> Vec<FlowRecord> {
    records.sort_by_key(|record| record.received_at);
    for (seq, record) in (1..).zip(&mut records) {
        record.seq = Seq(seq);
    }
    records
}

/// What a detector says of records, with a minute's `settle` by receipt and quiet at the end. With `restart` it is saved
/// and restored behind every so many records into what `fresh` makes.
pub(super) fn run<D: Detector>(
    mut detector: D,
    fresh: impl Fn() -> D,
    records: &[FlowRecord],
    restart: Option<usize>,
) -> (D, Vec<Detection>) {
    let networks = Networks::new(&[]);
    let mut found = Vec::new();
    let mut settled = 0;
    for (n, record) in records.iter().enumerate() {
        if record.received_at.0 / Timestamp::MINUTE > settled {
            settled = record.received_at.0 / Timestamp::MINUTE;
            detector.settle(record.received_at, &mut found);
        }
        detector.observe(record, &networks.seen(record, None), &mut found);
        if restart.is_some_and(|every| n % every == every - 1) {
            let state = detector.save();
            detector = fresh();
            detector.restore(&state).unwrap();
            assert_eq!(detector.save(), state, "what is restored is what was saved");
        }
    }
    let end = records.last().map_or(Timestamp(0), |record| record.received_at);
    detector.settle(end.plus(Timestamp::HOUR), &mut found);
    (detector, found)
}

/// Restarts change nothing, and a damaged state is refused.
pub(super) fn check_restart<D: Detector>(fresh: impl Fn() -> D + Copy, records: &[FlowRecord], every: usize) {
    let (whole, found) = run(fresh(), fresh, records, None);
    let (restarted, again) = run(fresh(), fresh, records, Some(every));
    assert_eq!(again, found);
    let state = whole.save();
    assert_eq!(restarted.save(), state);
    let mut other = fresh();
    for cut in [0, 1, 2, state.len() / 3, state.len() / 2, state.len() - 1] {
        assert!(other.restore(&state[..cut]).is_err(), "cut at {cut}");
    }
    assert!(other.restore(&[&[99], &state[1..]].concat()).is_err());
    // Flipped bits: refused or read, never a panic.
    for place in (0..state.len()).step_by((state.len() / 200).max(1)) {
        let mut flipped = state.clone();
        flipped[place] ^= 0x80;
        let _ = other.restore(&flipped);
    }
}

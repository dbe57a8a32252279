//! Traffic as it is at five bodies over ten days, seeded and without a clock: web, names, time, mail, files, backups,
//! monitoring, users behind one address, what fails every day, and the noise of the Internet. Attacks are planted into
//! it. For tests and the measurement, which brings this file in by its path.

use std::net::{IpAddr, Ipv4Addr};

use ingest::body::{BodyId, Prefix, Site, SiteId, SiteTable};
use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::id::Ulid;
use ingest::time::Timestamp;

/// A Monday, 2026-11-09, at midnight UTC.
pub(crate) const BEGIN: Timestamp = Timestamp(1_794_182_400_000);
pub(crate) const SITES: u8 = 5;
/// Records of one datagram share its sequence.
const PER_DATAGRAM: u64 = 10;

const S: u8 = 2;
const SR: u8 = 6;
const RA: u8 = 0x14;
const FULL: u8 = 0x1b;

/// A small generator of even numbers (splitmix64).
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `from` to before `to`.
    pub(crate) fn within(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from).max(1)
    }

    pub(crate) fn chance(&mut self, of_thousand: u64) -> bool {
        self.next() % 1_000 < of_thousand
    }
}

pub(crate) fn site_id(site: u8) -> SiteId {
    SiteId(Ulid(1_000 + u128::from(site)))
}

pub(crate) fn sites() -> SiteTable {
    let site = |n: u8| Site {
        id: site_id(n),
        name: format!("standort-{n}"),
        body: Some(BodyId(Ulid(2_000 + u128::from(n)))),
        prefixes: vec![format!("10.{n}.0.0/16").parse::<Prefix>(), format!("203.0.{n}.0/24").parse()].into_iter().flatten().collect(),
        certificates: vec![],
        tokens: vec![],
    };
    SiteTable::new((1..=SITES).map(site).collect())
}

pub(crate) fn inner(site: u8, a: u8, b: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, site, a, b)
}

pub(crate) fn public(site: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, site, host)
}

/// One conversation, from which both directions' records come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk {
    pub(crate) site: u8,
    pub(crate) from: Ipv4Addr,
    pub(crate) to: Ipv4Addr,
    pub(crate) ports: (u16, u16),
    pub(crate) protocol: u8,
    pub(crate) flags: (u8, u8),
    /// Packets of the initiator and of the other; 0: no record.
    pub(crate) packets: (u64, u64),
    pub(crate) bytes: (u64, u64),
    pub(crate) start: Timestamp,
    pub(crate) millis: i64,
}

impl Talk {
    /// A TCP conversation that came about.
    pub(crate) fn tcp(site: u8, from: Ipv4Addr, to: Ipv4Addr, port: u16, start: Timestamp, packets: u64, millis: i64) -> Self {
        let source = 32_768 + (start.0 as u64 ^ u64::from(from.to_bits()).wrapping_mul(31) ^ u64::from(to.to_bits())) % 28_000;
        Self {
            site,
            from,
            to,
            ports: (source as u16, port),
            protocol: 6,
            flags: (FULL, FULL),
            packets: (packets, packets + packets / 2),
            bytes: (packets * 90, packets * 900),
            start,
            millis,
        }
    }

    /// A SYN that nobody answers.
    pub(crate) fn probe(site: u8, from: Ipv4Addr, to: Ipv4Addr, port: u16, start: Timestamp) -> Self {
        Self { flags: (S, 0), packets: (1, 0), bytes: (60, 0), ..Self::tcp(site, from, to, port, start, 1, 0) }
    }

    /// A SYN that is refused.
    pub(crate) fn refused(site: u8, from: Ipv4Addr, to: Ipv4Addr, port: u16, start: Timestamp) -> Self {
        Self { flags: (S, RA), packets: (1, 1), bytes: (60, 40), ..Self::tcp(site, from, to, port, start, 1, 1) }
    }

    /// A SYN that is answered and dropped: an open port, seen by a half-open scan.
    pub(crate) fn half_open(site: u8, from: Ipv4Addr, to: Ipv4Addr, port: u16, start: Timestamp) -> Self {
        Self { flags: (SR, 0x12), packets: (2, 1), bytes: (100, 60), ..Self::tcp(site, from, to, port, start, 2, 2) }
    }

    pub(crate) fn udp(site: u8, from: Ipv4Addr, to: Ipv4Addr, port: u16, start: Timestamp, packets: (u64, u64)) -> Self {
        let talk = Self::tcp(site, from, to, port, start, 1, 20);
        Self { protocol: 17, flags: (0, 0), packets, bytes: (packets.0 * 80, packets.1 * 300), ..talk }
    }

    pub(crate) fn ping(site: u8, from: Ipv4Addr, to: Ipv4Addr, start: Timestamp, answered: bool) -> Self {
        Self { protocol: 1, ports: (0, 8 << 8), ..Self::udp(site, from, to, 0, start, (2, if answered { 2 } else { 0 })) }
    }

    pub(crate) fn records(&self, mut each: impl FnMut(FlowRecord)) {
        let end = self.start.plus(self.millis);
        let there = FlowRecord {
            received_at: end.plus(5_000),
            start: self.start,
            end,
            site: site_id(self.site),
            exporter: IpAddr::V4(inner(self.site, 0, 1)),
            src_ip: IpAddr::V4(self.from),
            dst_ip: IpAddr::V4(self.to),
            src_port: self.ports.0,
            dst_port: self.ports.1,
            protocol: self.protocol,
            tcp_flags: self.flags.0,
            packets: self.packets.0,
            bytes: self.bytes.0,
            version: 9,
            ..FlowRecord::NONE
        };
        let mut back = FlowRecord { tcp_flags: self.flags.1, packets: self.packets.1, bytes: self.bytes.1, ..there.turned() };
        if self.protocol == 1 {
            (back.src_port, back.dst_port) = (0, 0);
        }
        each(there);
        if back.packets > 0 {
            each(back);
        }
    }
}

/// Ten days of five bodies with what is planted into them, minute by minute, without end.
pub(crate) struct Traffic {
    rng: Rng,
    minute: i64,
    /// In order of their start.
    planted: std::iter::Peekable<std::vec::IntoIter<Talk>>,
    ready: std::vec::IntoIter<FlowRecord>,
    given: u64,
    /// Conversations of a body in a busy minute.
    busy: u64,
}

impl Traffic {
    /// About 100,000 records a day.
    pub(crate) fn new(seed: u64, planted: Vec<Talk>) -> Self {
        Self::with(seed, planted, 12)
    }

    pub(crate) fn with(seed: u64, mut planted: Vec<Talk>, busy: u64) -> Self {
        planted.sort_by_key(|talk| talk.start);
        Self { rng: Rng::new(seed), minute: 0, planted: planted.into_iter().peekable(), ready: Vec::new().into_iter(), given: 0, busy }
    }

    fn minute(&mut self) {
        let start = BEGIN.plus(self.minute * Timestamp::MINUTE);
        let of_day = self.minute % 1_440;
        let weekend = (self.minute / 1_440) % 7 >= 5;
        let works = (420..1_020).contains(&of_day) && !weekend;
        let mut talks = Vec::new();
        for site in 1..=SITES {
            let count = if works { self.busy } else { 1 + self.busy / 4 };
            for _ in 0..count {
                let at = start.plus(self.rng.within(0, 60_000) as i64);
                talks.push(ordinary(&mut self.rng, site, at, works));
            }
            // Monitoring asks twelve machines each quarter of an hour; two of them are always off.
            if (self.minute + i64::from(site)) % 15 == 0 {
                for host in 0..12u8 {
                    let (from, to) = (inner(site, 0, 40), inner(site, 0, 10 + host));
                    let at = start.plus(i64::from(host) * 500);
                    let down = host >= 10;
                    talks.push(Talk::ping(site, from, to, at, !down));
                    talks.push(if down { Talk::probe(site, from, to, 22, at) } else { Talk::tcp(site, from, to, 22, at, 14, 700) });
                }
            }
            // The backup fetches from thirty machines each night.
            if of_day == 60 + i64::from(site) * 7 {
                for host in 0..30u8 {
                    let at = start.plus(i64::from(host) * 1_500);
                    let packets = self.rng.within(100_000, 2_000_000);
                    talks.push(Talk::tcp(site, inner(site, 0, 30), inner(site, 1, host), 445, at, packets, 50_000));
                }
            }
        }
        let next = start.plus(Timestamp::MINUTE);
        while let Some(talk) = self.planted.next_if(|talk| talk.start < next) {
            talks.push(talk);
        }
        let mut records = Vec::new();
        talks.iter().for_each(|talk| talk.records(|record| records.push(record)));
        // As an exporter sends them: when they end.
        records.sort_by_key(|record| record.received_at);
        self.ready = records.into_iter();
        self.minute += 1;
    }
}

impl Iterator for Traffic {
    type Item = FlowRecord;

    fn next(&mut self) -> Option<FlowRecord> {
        loop {
            if let Some(mut record) = self.ready.next() {
                self.given += 1;
                record.seq = Seq(1 + self.given / PER_DATAGRAM);
                return Some(record);
            }
            self.minute();
        }
    }
}

/// What people and machines do at any moment.
fn ordinary(rng: &mut Rng, site: u8, at: Timestamp, works: bool) -> Talk {
    let user = inner(site, 1, rng.within(0, 60) as u8);
    let nat = inner(site, 0, 2);
    let popular = |rng: &mut Rng| {
        let n = rng.within(0, 400).min(rng.within(0, 400)) as u32;
        Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + n * 3)
    };
    let rare = |rng: &mut Rng| Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 19, 0, 0)) + rng.within(0, 60_000) as u32);
    let stranger = |rng: &mut Rng| Ipv4Addr::from(u32::from(Ipv4Addr::new(45, 0, 0, 0)) + rng.within(0, 16_000_000) as u32);
    let long = |rng: &mut Rng| rng.within(6, 40) * rng.within(1, 30);
    match rng.within(0, if works { 100 } else { 70 }) {
        // Names: the users ask the resolver, the resolver the world.
        0..16 => Talk::udp(site, user, inner(site, 0, 10), 53, at, (1, 1)),
        16..24 => {
            let to = rare(rng);
            Talk::udp(site, inner(site, 0, 10), to, 53, at, (1, u64::from(!rng.chance(30))))
        }
        24..26 => Talk::udp(site, user, inner(site, 0, 11), 123, at, (1, 1)),
        // The noise of the Internet: somebody tries a port or five of an address or two.
        26..33 => {
            let (from, to) = (stranger(rng), public(site, rng.within(1, 20) as u8));
            let port = [22, 23, 80, 443, 445, 3_389, 5_060, 8_080, 8_443, 37_777][rng.within(0, 10) as usize];
            if port == 5_060 { Talk::udp(site, from, to, port, at, (1, 0)) } else { Talk::probe(site, from, to, port, at) }
        }
        // Answers to attacks that somebody else makes with our addresses.
        33 => {
            let (from, to) = (stranger(rng), public(site, rng.within(1, 20) as u8));
            Talk { flags: (0x12, 0), ports: (443, rng.within(1_024, 65_000) as u16), ..Talk::probe(site, from, to, 1, at) }
        }
        // Mail and the web server, from outside.
        34..40 => {
            let (from, packets) = (stranger(rng), rng.within(10, 60));
            Talk::tcp(site, from, public(site, 5), 25, at, packets, 4_000)
        }
        40..48 => {
            let (from, packets) = (stranger(rng), long(rng));
            Talk::tcp(site, from, public(site, 6), 443, at, packets, 9_000)
        }
        // Users behind one address: many targets, some of which fail; games and calls over UDP.
        48..58 => {
            let to = rare(rng);
            match rng.within(0, 100) {
                0..5 => Talk::probe(site, nat, to, 443, at),
                5..7 => Talk::refused(site, nat, to, 443, at),
                7..15 => {
                    let port = rng.within(30_000, 60_000) as u16;
                    Talk::udp(site, nat, to, port, at, (2, u64::from(!rng.chance(100)) * 2))
                }
                _ => {
                    let packets = long(rng);
                    Talk::tcp(site, nat, to, 443, at, packets, 20_000)
                }
            }
        }
        // Remote work: long sessions over the VPN, now and then a wrong password.
        58..60 => {
            let from = Ipv4Addr::new(91, 5, site, rng.within(0, 30) as u8);
            if rng.chance(120) {
                Talk::tcp(site, from, public(site, 7), 10_443, at, 18, 3_000)
            } else {
                Talk::tcp(site, from, public(site, 7), 10_443, at, 30_000, 55_000)
            }
        }
        // The web, at times a server that is gone.
        60..88 => {
            let (to, packets) = (popular(rng), long(rng));
            if rng.chance(15) {
                return Talk::probe(
                    site,
                    user,
                    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 51, 100, 0)) + rng.within(0, 40) as u32),
                    443,
                    at,
                );
            }
            Talk::tcp(site, user, to, 443, at, packets, rng.within(100, 50_000) as i64)
        }
        // Files, print, directory, mail inside; a printer that is off.
        88..97 => {
            let (to, port) = [((0, 20), 445), ((0, 11), 389), ((0, 11), 88), ((0, 25), 143), ((0, 21), 9_100), ((0, 11), 135)]
                [rng.within(0, 6) as usize];
            let to = inner(site, to.0, to.1);
            if port == 9_100 && rng.chance(300) {
                return Talk::probe(site, user, to, port, at);
            }
            let packets = rng.within(8, 300);
            Talk::tcp(site, user, to, port, at, packets, 2_000)
        }
        // The administrator's machine, on the servers.
        97 => {
            let to = inner(site, 0, 10 + rng.within(0, 12) as u8);
            let (port, packets) = (if rng.chance(500) { 22 } else { 3_389 }, rng.within(200, 9_000));
            Talk::tcp(site, inner(site, 0, 50), to, port, at, packets, 40_000)
        }
        // A call: UDP in both directions.
        _ => {
            let to = popular(rng);
            Talk::udp(site, user, to, 3_479, at, (4_000, 4_000))
        }
    }
}

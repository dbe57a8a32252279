//! Made-up traffic with the shapes that matter: sites of very different size, few busy servers and many rare ones, ephemeral
//! ports, both directions of a conversation, mostly short flows with heavy tails. 3,000 records a second, as benchmark B1 has.

use std::net::{IpAddr, Ipv4Addr};

use ingest::body::SiteId;
use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::id::Ulid;
use ingest::time::Timestamp;

/// 2026-09-21T14:00:00Z.
pub(crate) const BEGIN: Timestamp = Timestamp(1_789_999_200_000);
/// Records a second.
const RATE: u64 = 3_000;
/// Records of a datagram.
pub(crate) const PER_DATAGRAM: usize = 24;

pub(crate) struct Traffic {
    state: u64,
    made: u64,
    seq: u64,
}

impl Traffic {
    pub(crate) fn new() -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, made: 0, seq: 0 }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % below.max(1)
    }

    fn tail(&mut self, most: u64) -> u64 {
        let most = self.random(most);
        1 << self.random(1 + most)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let at = self.random(of.len() as u64);
        of.get(usize::try_from(at).ok()?).copied()
    }

    fn byte(&mut self, below: u64) -> u8 {
        u8::try_from(self.random(below.min(256))).unwrap_or_default()
    }

    /// One exporter's datagram.
    pub(crate) fn datagram(&mut self, into: &mut Vec<FlowRecord>) {
        self.seq += 1 + self.random(3);
        let at = BEGIN.plus((self.made * 1_000 / RATE).cast_signed());
        let most = self.random(200);
        let site_n = self.random(1 + most);
        let site = u8::try_from(site_n).unwrap_or_default();
        for _ in 0..PER_DATAGRAM / 2 {
            let client = Ipv4Addr::new(10, site, self.byte(4), self.byte(250));
            let hosts = self.tail(16);
            let server = u32::try_from(self.random(hosts).wrapping_mul(2_654_435_761) & u64::from(u32::MAX)).unwrap_or_default();
            let most = self.tail(10);
            let packets = 1 + self.random(most);
            let most = self.tail(18);
            let duration = self.random(most).cast_signed();
            let end = at.plus(-self.random(15_000).cast_signed());
            let there = FlowRecord {
                seq: Seq(self.seq),
                received_at: at,
                start: end.plus(-duration),
                end,
                site: SiteId(Ulid(u128::from(1_000 + site_n))),
                exporter: IpAddr::from([10, site, 0, 1]),
                src_ip: client.into(),
                dst_ip: Ipv4Addr::from(server | 0x4000_0000).into(),
                src_port: 32_768 + u16::try_from(self.random(28_000)).unwrap_or_default(),
                dst_port: self.pick(&[443, 443, 443, 443, 53, 53, 80, 123, 25, 993, 8_443, 3_389]).unwrap_or(443),
                protocol: if self.random(3) == 0 { 17 } else { 6 },
                tcp_flags: self.pick(&[0x1b, 0x1b, 0x1b, 0x02, 0x18, 0]).unwrap_or_default(),
                version: 9,
                bytes: packets * 40 + self.random(packets * 1_000),
                packets,
                in_if: 1 + u32::from(self.byte(3)),
                out_if: 10,
                src_mask: 24,
                dst_mask: 16,
                next_hop: IpAddr::from([10, site, 0, 254]),
                direction: 0,
                end_reason: 1 + self.byte(3),
                domain: 256,
                ..FlowRecord::NONE
            };
            let packets = 1 + packets * 2 / 3;
            let back = FlowRecord {
                packets,
                bytes: packets * 52 + self.random(packets * 1_400),
                start: there.start.plus(self.random(60).cast_signed()),
                next_hop: there.next_hop,
                direction: 0,
                ..there.turned()
            };
            into.extend([there, back]);
        }
        self.made += PER_DATAGRAM as u64;
    }
}

/// So many records, about `size` at a time, whole datagrams.
pub(crate) fn batches(records: usize, size: usize) -> impl Iterator<Item = Vec<FlowRecord>> {
    let mut traffic = Traffic::new();
    let mut left = records;
    std::iter::from_fn(move || {
        let mut batch = Vec::with_capacity(size + PER_DATAGRAM);
        while batch.len() < size.min(left) {
            traffic.datagram(&mut batch);
        }
        left = left.saturating_sub(batch.len());
        (!batch.is_empty()).then_some(batch)
    })
}

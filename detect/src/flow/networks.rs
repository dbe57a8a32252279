//! Which addresses are the own ones, and what else is worked out of a record once for all detectors: who began, how much
//! it was, and when.

use std::net::IpAddr;
use std::sync::Arc;

use ingest::body::{BodyId, Prefix, SiteTable};
use ingest::flow::FlowRecord;
use ingest::time::Timestamp;

use super::Seen;

/// What is inside where nothing else is configured: the private networks (RFC 1918), carriers' shared ones (RFC 6598),
/// link-local and unique local addresses (RFC 3927, 4193, 4291).
pub const PRIVATE: [&str; 7] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"];
/// A site known by a wider prefix than this is known by "everything": that says nothing about inside.
const SITE_BITS_MIN: u8 = 8;
/// A record that ends so long after its receipt comes of a wrong clock.
const AHEAD_MAX: i64 = Timestamp::MINUTE;

/// The own networks, as disjoint ranges in order.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    configured: Vec<Prefix>,
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
    sites: Arc<SiteTable>,
}

impl Networks {
    /// The configured networks, else the private ones; the sites' join them with `follow`.
    pub fn new(configured: &[Prefix]) -> Self {
        let private = || PRIVATE.iter().filter_map(|text| text.parse().ok()).collect();
        let configured = if configured.is_empty() { private() } else { configured.to_vec() };
        let mut networks = Self { configured, ..Self::default() };
        networks.rebuild();
        networks
    }

    /// Takes the sites' networks as they are now; cheap where they have not changed.
    pub fn follow(&mut self, sites: &Arc<SiteTable>) {
        if !Arc::ptr_eq(&self.sites, sites) {
            self.sites = sites.clone();
            self.rebuild();
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => within(&self.v4, v4.to_bits()),
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| within(&self.v6, v6.to_bits()), |v4| within(&self.v4, v4.to_bits())),
        }
    }

    /// What is worked out of a record.
    pub fn seen(&self, flow: &FlowRecord, body: Option<BodyId>) -> Seen {
        let sampling = u64::from(flow.sampling.max(1));
        Seen {
            body,
            src_inside: self.contains(flow.src_ip),
            dst_inside: self.contains(flow.dst_ip),
            initiator: is_initiator(flow),
            bytes: flow.bytes.saturating_mul(sampling),
            packets: flow.packets.saturating_mul(sampling),
            at: time_of(flow),
        }
    }

    fn rebuild(&mut self) {
        let of_sites: Vec<Prefix> = self.sites.iter().flat_map(|site| site.prefixes.iter().copied()).collect();
        let known = of_sites.into_iter().filter(|prefix| prefix.bits() >= SITE_BITS_MIN).chain(self.configured.iter().copied());
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for prefix in known {
            match prefix.range() {
                (IpAddr::V4(from), IpAddr::V4(to)) => v4.push((from.to_bits(), to.to_bits())),
                (IpAddr::V6(from), IpAddr::V6(to)) => v6.push((from.to_bits(), to.to_bits())),
                _ => {}
            }
        }
        (self.v4, self.v6) = (disjoint(v4), disjoint(v6));
    }
}

fn disjoint<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    let mut joined: Vec<(T, T)> = Vec::new();
    for (from, to) in ranges {
        match joined.last_mut() {
            Some((_, end)) if from <= *end => *end = (*end).max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}

fn within<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let at = ranges.partition_point(|(from, _)| *from <= address);
    at.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, to)| address <= *to)
}

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;
pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP6: u8 = 58;

/// Whether the source began: what the exporter says of it, else flags that only one side can have sent, else the ports.
fn is_initiator(flow: &FlowRecord) -> bool {
    match (flow.biflow, flow.protocol) {
        (1, _) => true,
        (2, _) => false,
        // Echo, timestamp and mask requests; everything else answers something.
        (_, ICMP) => matches!(flow.dst_port >> 8, 8 | 13 | 15 | 17),
        (_, ICMP6) => flow.dst_port >> 8 == 128,
        (_, TCP) if flow.tcp_flags & (SYN | ACK) == SYN => true,
        // A port that is closed answers with a reset and nothing else.
        (_, TCP) if flow.tcp_flags & RST != 0 && flow.tcp_flags & (SYN | PSH) == 0 && flow.packets <= 2 => false,
        _ => match (rank(flow.src_port), rank(flow.dst_port)) {
            (source, destination) if source == destination => flow.src_port >= flow.dst_port,
            (source, destination) => source > destination,
        },
    }
}

/// How little a port looks like a service's.
fn rank(port: u16) -> u8 {
    match port {
        0..1_024 => 0,
        1_433 | 1_521 | 1_883 | 3_128 | 3_306 | 3_389 | 5_060 | 5_061 | 5_432 | 5_900 | 5_985 | 5_986 | 6_379 | 8_000 | 8_080 | 8_443
        | 9_100 | 9_200 | 10_443 | 27_017 => 1,
        // Below, systems take no ports for calls of their own (RFC 6335, Linux from 32,768).
        1_024..32_768 => 2,
        _ => 3,
    }
}

/// When a record was: its last packet by the exporter's clock, unless that cannot be.
fn time_of(flow: &FlowRecord) -> Timestamp {
    if flow.end.0 <= 0 || flow.end.since(flow.received_at) > AHEAD_MAX { flow.received_at } else { flow.end }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use ingest::body::{Site, SiteId};

    use super::*;

    #[test]
    fn inside_is_what_is_private_configured_or_a_sites() {
        let site = Site {
            id: SiteId(ingest::id::Ulid(7)),
            name: "s".into(),
            body: None,
            prefixes: vec!["203.0.113.8/29".parse().unwrap(), "0.0.0.0/0".parse().unwrap()],
            certificates: vec![],
            tokens: vec![],
        };
        let mut private = Networks::new(&[]);
        let mut own = Networks::new(&["192.0.2.0/24".parse().unwrap(), "192.0.2.128/25".parse().unwrap()]);
        let sites = Arc::new(SiteTable::new(vec![site]));
        private.follow(&sites);
        own.follow(&sites);
        let mut shown = String::new();
        for address in [
            "10.0.0.0",
            "9.255.255.255",
            "172.31.255.255",
            "172.32.0.0",
            "192.0.2.200",
            "203.0.113.15",
            "203.0.113.16",
            "fd00::1",
            "2001:db8::1",
            "::ffff:10.1.2.3",
        ] {
            let address: IpAddr = address.parse().unwrap();
            shown.push_str(&format!("{address} private={} own={}\n", private.contains(address), own.contains(address)));
        }
        expect![[r#"
            10.0.0.0 private=true own=false
            9.255.255.255 private=false own=false
            172.31.255.255 private=true own=false
            172.32.0.0 private=false own=false
            192.0.2.200 private=false own=true
            203.0.113.15 private=true own=true
            203.0.113.16 private=false own=false
            fd00::1 private=true own=false
            2001:db8::1 private=false own=false
            ::ffff:10.1.2.3 private=true own=false
        "#]]
        .assert_eq(&shown);
    }

    #[test]
    fn who_began() {
        let flow = |protocol, src_port, dst_port, tcp_flags, packets, biflow| {
            is_initiator(&FlowRecord { protocol, src_port, dst_port, tcp_flags, packets, biflow, ..FlowRecord::NONE })
        };
        assert!(flow(TCP, 50_000, 443, 0x1b, 9, 0) && !flow(TCP, 443, 50_000, 0x1b, 9, 0), "by ports");
        assert!(flow(TCP, 53, 40_000, SYN, 1, 0), "a scan from port 53");
        assert!(!flow(TCP, 8_081, 8_080, RST | ACK, 1, 0), "a closed port's answer");
        assert!(!flow(TCP, 50_000, 443, 0x1b, 9, 2), "the exporter knows");
        assert!(flow(UDP, 40_000, 33_434, 0, 1, 0) && flow(ICMP, 0, 8 << 8, 0, 1, 0) && !flow(ICMP, 0, 3 << 8, 0, 1, 0));
        assert!(flow(TCP, 50_000, 3_389, 0x1b, 9, 0) && !flow(TCP, 3_389, 50_000, 0x1b, 9, 0));
    }
}

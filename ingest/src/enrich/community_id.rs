//! The Community ID, version 1: one short name for both directions of a connection, which Suricata, Zeek and others
//! give too, so that their records, the firewalls' and the flows are found with each other. Version 1 is a SHA-1 over
//! seed, addresses, protocol and ports, with the lesser end first (github.com/corelight/community-id-spec). The seed is
//! 0, as everybody has it who never set one.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use crate::event::{Event, ValueRef};
use crate::flow::FlowRecord;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP6: u8 = 58;
const SCTP: u8 = 132;

/// Seed, two IPv6 addresses, protocol, padding, two ports.
const INPUT_BYTES_MAX: usize = 2 + 16 + 16 + 2 + 4;
/// `1:` and 20 bytes in base64.
const ID_BYTES: usize = 2 + 28;

/// ICMP's questions and their answers: one conversation, so each is the other's port. Types without a counterpart go one
/// way, and their code is the port.
const ICMP_PAIRS: [(u8, u8); 5] = [(8, 0), (13, 14), (15, 16), (10, 9), (17, 18)];
const ICMP6_PAIRS: [(u8, u8); 6] = [(128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145)];

/// The ID of a connection. `ports` are source and destination port, for ICMP type and code; protocols without ports have
/// none. `None` where the protocol has ports and they are not known, or the addresses are of two families.
pub fn community_id(source: IpAddr, destination: IpAddr, protocol: u8, ports: Option<(u16, u16)>) -> Option<Box<str>> {
    let (source, destination) = (source.to_canonical(), destination.to_canonical());
    let (ports, one_way) = match protocol {
        TCP | UDP | SCTP => (Some(ports?), false),
        ICMP => paired(&ICMP_PAIRS, ports?),
        ICMP6 => paired(&ICMP6_PAIRS, ports?),
        _ => (None, false),
    };
    let mut input = Input { bytes: [0; INPUT_BYTES_MAX], len: 0 };
    let (mut from, mut to) = ((source, ports.map_or(0, |(port, _)| port)), (destination, ports.map_or(0, |(_, port)| port)));
    if !one_way && to < from {
        std::mem::swap(&mut from, &mut to);
    }
    // The seed.
    input.put(&[0, 0]);
    match (from.0, to.0) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            input.put(&from.octets());
            input.put(&to.octets());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            input.put(&from.octets());
            input.put(&to.octets());
        }
        _ => return None,
    }
    input.put(&[protocol, 0]);
    if ports.is_some() {
        input.put(&from.1.to_be_bytes());
        input.put(&to.1.to_be_bytes());
    }
    let mut id = [0; ID_BYTES];
    let (version, hash) = id.split_at_mut(2);
    version.copy_from_slice(b"1:");
    STANDARD.encode_slice(Sha1::digest(input.bytes()), hash).ok()?;
    std::str::from_utf8(&id).ok().map(Box::from)
}

struct Input {
    bytes: [u8; INPUT_BYTES_MAX],
    len: usize,
}

impl Input {
    fn put(&mut self, part: &[u8]) {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + part.len()) {
            place.copy_from_slice(part);
            self.len += part.len();
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Type and code as ports, and whether that goes one way only.
fn paired(pairs: &[(u8, u8)], (kind, code): (u16, u16)) -> (Option<(u16, u16)>, bool) {
    let answer = pairs.iter().find_map(|(a, b)| match kind {
        kind if kind == u16::from(*a) => Some(u16::from(*b)),
        kind if kind == u16::from(*b) => Some(u16::from(*a)),
        _ => None,
    });
    (Some((kind, answer.unwrap_or(code))), answer.is_none())
}

/// The ID of a flow; its ICMP type and code stand in the destination port.
pub fn flow_community_id(flow: &FlowRecord) -> Option<Box<str>> {
    let ports = match flow.protocol {
        ICMP | ICMP6 => (flow.dst_port >> 8, flow.dst_port & 0xFF),
        _ => (flow.src_port, flow.dst_port),
    };
    community_id(flow.src_ip, flow.dst_ip, flow.protocol, Some(ports))
}

/// The IP protocol of a name in `network.transport`, or of its number.
pub(super) fn protocol(name: &str, source: IpAddr) -> Option<u8> {
    const NAMES: [(&str, u8); 13] = [
        ("tcp", TCP),
        ("udp", UDP),
        ("icmp", ICMP),
        ("ipv6-icmp", ICMP6),
        ("icmpv6", ICMP6),
        ("icmp6", ICMP6),
        ("sctp", SCTP),
        ("igmp", 2),
        ("gre", 47),
        ("esp", 50),
        ("ah", 51),
        ("ospf", 89),
        ("vrrp", 112),
    ];
    let named = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, number)| *number);
    match named.or_else(|| name.parse().ok()) {
        // Some devices say "icmp" of both.
        Some(ICMP) if source.to_canonical().is_ipv6() => Some(ICMP6),
        protocol => protocol,
    }
}

/// Type and code of an event about ICMP. Every vendor has names of his own for them, below his prefix.
pub(super) fn icmp_ports(event: &Event) -> Option<(u16, u16)> {
    let (mut kind, mut code) = (None, None);
    for (field, value) in event.fields().filter(|(field, _)| field.known().is_none()) {
        let last = field.name().rsplit('.').next().unwrap_or_default();
        match last {
            "icmp_type" | "icmptype" => kind = kind.or_else(|| icmp_type(value)),
            "icmp_code" | "icmpcode" => code = code.or_else(|| number(value)),
            _ => {}
        }
    }
    let kind = kind?;
    let is_paired = !paired(&ICMP_PAIRS, (kind, 0)).1 || !paired(&ICMP6_PAIRS, (kind, 0)).1;
    // Of a question and its answer the code does not count; of any other it must be known.
    Some((kind, code.or(Some(0).filter(|_| is_paired))?))
}

fn number(value: ValueRef<'_>) -> Option<u16> {
    value.as_int().and_then(|number| u8::try_from(number).ok()).map(u16::from)
}

fn icmp_type(value: ValueRef<'_>) -> Option<u16> {
    match value {
        ValueRef::Str("request") => Some(8),
        ValueRef::Str("reply") => Some(0),
        value => number(value),
    }
}

/// The two ports of an event.
pub(super) fn ports(source: Option<i64>, destination: Option<i64>) -> Option<(u16, u16)> {
    Some((u16::try_from(source?).ok()?, u16::try_from(destination?).ok()?))
}

/// Whether an event about this protocol says its type and code instead of ports.
pub(super) fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, ICMP | ICMP6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(protocol: u8, source: &str, destination: &str, ports: Option<(u16, u16)>, expected: &str) {
        let id = community_id(source.parse().unwrap(), destination.parse().unwrap(), protocol, ports);
        assert_eq!(id.as_deref(), Some(expected), "{protocol} {source} {destination} {ports:?}");
    }

    /// The published baseline of the specification (baseline/baseline_deflt.json) and the vectors of its reference
    /// implementation's tests, seed 0.
    #[test]
    fn the_specifications_vectors() {
        let (a6, b6) = ("fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea");
        let solicit = "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=";
        for (protocol, source, destination, ports, expected) in [
            (58, a6, b6, (135, 0), solicit),
            (58, b6, a6, (136, 0), solicit),
            (58, b6, a6, (135, 0), "1:zavyT/cezQr1fmImYCwYnMXbgck="),
            (58, a6, b6, (136, 0), "1:zavyT/cezQr1fmImYCwYnMXbgck="),
            (58, "3ffe:501:1800:2345::2", "3ffe:507:0:1:200:86ff:fe05:80da", (3, 0), "1:2ObVBgIn28oZvibYZhZMBgh7WdQ="),
            (58, "3ffe:501:410:0:2c0:dfff:fe47:33e", "3ffe:507:0:1:200:86ff:fe05:80da", (1, 4), "1:hLZd0XGWojozrvxqE0dWB1iM6R0="),
            (58, "3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:501:0:1001::2", (128, 0), "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="),
            (58, "3ffe:501:0:1001::2", "3ffe:507:0:1:200:86ff:fe05:80da", (129, 0), "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="),
            (58, a6, "ff02::2", (133, 0), "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="),
            (58, b6, "ff02::1", (134, 0), "1:pkvHqCL88/tg1k4cPigmZXUtL00="),
            (58, "3ffe:507:0:1:260:97ff:fe07:69ea", "3ffe:507:0:1:200:86ff:fe05:80da", (3, 0), "1:NdobDX8PQNJbAyfkWxhtL2Pqp5w="),
            (58, "3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:507:0:1:260:97ff:fe07:69ea", (3, 0), "1:/OGBt9BN1ofenrmSPWYicpij2Vc="),
            (1, "192.168.0.89", "192.168.0.1", (8, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
            (1, "192.168.0.1", "192.168.0.89", (0, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
            (1, "192.168.0.1", "192.168.0.89", (0, 20), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
            (1, "192.168.0.89", "192.168.0.1", (20, 0), "1:3o2RFccXzUgjl7zDpqmY7yJi8rI="),
            (1, "192.168.0.89", "192.168.0.1", (20, 1), "1:tz/fHIDUHs19NkixVVoOZywde+I="),
            (1, "10.0.0.1", "10.0.0.2", (11, 0), "1:YHxtAirCG//0OzkcVAukqKQN9xM="),
            (6, "2001:470:e5bf:dead:4957:2174:e82c:4887", "2607:f8b0:400c:c03::1a", (63943, 25), "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="),
            (6, "2607:f8b0:400c:c03::1a", "2001:470:e5bf:dead:4957:2174:e82c:4887", (25, 63943), "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="),
            (132, "192.168.170.8", "192.168.170.56", (7, 7), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
            (132, "192.168.170.56", "192.168.170.8", (7, 7), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
            (132, "192.168.170.8", "192.168.170.56", (7, 80), "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ="),
            (6, "128.232.110.120", "66.35.250.204", (34855, 80), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            (6, "66.35.250.204", "128.232.110.120", (80, 34855), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            (6, "10.0.0.1", "10.0.0.2", (10, 11569), "1:SXBGMX1lBOwhhoDrZynfROxnhnM="),
            (17, "192.168.1.52", "8.8.8.8", (54585, 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
            (17, "8.8.8.8", "192.168.1.52", (53, 54585), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
            (46, "10.1.24.4", "10.1.12.1", (1, 2), "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4="),
            (46, "10.1.12.1", "10.1.24.4", (0, 0), "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4="),
            (46, "10.1.12.1", "10.1.12.2", (0, 0), "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
        ] {
            check(protocol, source, destination, Some(ports), expected);
        }
        check(46, "10.1.12.2", "10.1.12.1", None, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw=");
        check(6, "::ffff:66.35.250.204", "128.232.110.120", Some((80, 34855)), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    }

    #[test]
    fn what_has_no_id() {
        let (v4, v6): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap());
        assert_eq!(community_id(v4, v4, TCP, None), None, "no ports");
        assert_eq!(community_id(v4, v6, TCP, Some((1, 2))), None, "two families");
        assert_eq!(protocol("warp", v4), None);
        assert_eq!((protocol("TCP", v4), protocol("17", v4), protocol("icmp", v6)), (Some(TCP), Some(UDP), Some(ICMP6)));
        assert_eq!(ports(Some(70_000), Some(1)), None);
    }
}

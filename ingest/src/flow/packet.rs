//! The first bytes of a packet, as sFlow samples them: Ethernet with VLAN tags and MPLS, IPv4, IPv6 with its extension
//! headers, TCP, UDP, ICMP. What is cut off stays unknown.

use std::net::{Ipv4Addr, Ipv6Addr};

use nom::bytes::complete::take;
use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser};

use super::FlowRecord;

/// Tags, labels and extension headers that are followed: more is no packet of a network in its senses.
const LAYERS_MAX: usize = 8;

const VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const MPLS: [u16; 2] = [0x8847, 0x8848];

/// From the Ethernet header on.
pub(super) fn ethernet(input: &[u8], record: &mut FlowRecord) {
    let Ok((mut rest, (dst_mac, src_mac, mut kind))) = ethernet_header(input) else { return };
    record.src_mac = src_mac;
    record.dst_mac = dst_mac;
    for _ in 0..LAYERS_MAX {
        if VLAN.contains(&kind) {
            let Ok((after, (tag, inner))) = two_shorts(rest) else { return };
            if record.in_vlan == 0 {
                record.in_vlan = tag & 0x0fff;
            }
            (rest, kind) = (after, inner);
        } else if MPLS.contains(&kind) {
            let Ok((after, label)) = word(rest) else { return };
            if record.mpls_label == 0 {
                record.mpls_label = label >> 12;
            }
            rest = after;
            // Behind the bottom of the stack stands what its first bits say.
            if label & 0x100 != 0 {
                kind = if rest.first().is_some_and(|byte| byte >> 4 == 6) { IPV6 } else { IPV4 };
            }
        } else {
            break;
        }
    }
    match kind {
        IPV4 => ipv4(rest, record),
        IPV6 => ipv6(rest, record),
        _ => {}
    }
}

pub(super) fn ipv4(input: &[u8], record: &mut FlowRecord) {
    let Ok((_, header)) = ipv4_header(input) else { return };
    record.src_ip = Ipv4Addr::from(header.src).into();
    record.dst_ip = Ipv4Addr::from(header.dst).into();
    record.protocol = header.protocol;
    record.tos = header.tos;
    (record.min_ttl, record.max_ttl) = (header.ttl, header.ttl);
    (record.min_length, record.max_length) = (header.total_len, header.total_len);
    // Only the first fragment has the ports.
    if header.fragment & 0x1fff == 0 {
        transport(input.get(header.header_len..).unwrap_or_default(), record);
    }
}

pub(super) fn ipv6(input: &[u8], record: &mut FlowRecord) {
    let Ok((mut rest, header)) = ipv6_header(input) else { return };
    record.src_ip = std::net::IpAddr::V6(header.src).to_canonical();
    record.dst_ip = std::net::IpAddr::V6(header.dst).to_canonical();
    record.tos = u8::try_from((header.first >> 20) & 0xff).unwrap_or_default();
    record.flow_label = header.first & 0x000f_ffff;
    (record.min_ttl, record.max_ttl) = (header.hops, header.hops);
    let len = header.payload_len.saturating_add(40);
    (record.min_length, record.max_length) = (len, len);
    record.protocol = header.next;
    for _ in 0..LAYERS_MAX {
        let (next, len) = match (record.protocol, rest) {
            // Hop-by-hop, routing, destination options: lengths in 8 bytes beyond the first 8.
            (0 | 43 | 60, [next, len, ..]) => (*next, (usize::from(*len) + 1) * 8),
            // A fragment; only the first goes on with the transport.
            (44, [next, _, high, low, ..]) => {
                if u16::from_be_bytes([*high, *low]) >> 3 != 0 {
                    record.protocol = *next;
                    return;
                }
                (*next, 8)
            }
            _ => break,
        };
        record.protocol = next;
        rest = rest.get(len..).unwrap_or_default();
    }
    transport(rest, record);
}

fn transport(input: &[u8], record: &mut FlowRecord) {
    match record.protocol {
        6 | 17 | 132 => {
            if let Ok((_, (src, dst))) = two_shorts(input) {
                (record.src_port, record.dst_port) = (src, dst);
            }
            if record.protocol == 6 {
                record.tcp_flags = input.get(13).copied().unwrap_or_default();
            }
        }
        1 | 58 => {
            if let Some([kind, code]) = input.first_chunk() {
                record.dst_port = u16::from_be_bytes([*kind, *code]);
            }
        }
        _ => {}
    }
}

type Macs = ([u8; 6], [u8; 6], u16);

fn ethernet_header(input: &[u8]) -> IResult<&[u8], Macs> {
    let (rest, (dst, src, kind)) = (take(6usize), take(6usize), be_u16).parse(input)?;
    Ok((rest, (dst.try_into().unwrap_or_default(), src.try_into().unwrap_or_default(), kind)))
}

fn two_shorts(input: &[u8]) -> IResult<&[u8], (u16, u16)> {
    (be_u16, be_u16).parse(input)
}

fn word(input: &[u8]) -> IResult<&[u8], u32> {
    be_u32.parse(input)
}

struct Ipv4Header {
    header_len: usize,
    tos: u8,
    total_len: u16,
    fragment: u16,
    ttl: u8,
    protocol: u8,
    src: u32,
    dst: u32,
}

fn ipv4_header(input: &[u8]) -> IResult<&[u8], Ipv4Header> {
    let (rest, (first, tos, total_len, _id, fragment)) = (be_u8, be_u8, be_u16, be_u16, be_u16).parse(input)?;
    let (rest, (ttl, protocol, _checksum, src, dst)) = (be_u8, be_u8, be_u16, be_u32, be_u32).parse(rest)?;
    let header_len = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || header_len < 20 {
        return Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Verify)));
    }
    Ok((rest, Ipv4Header { header_len, tos, total_len, fragment, ttl, protocol, src, dst }))
}

struct Ipv6Header {
    first: u32,
    payload_len: u16,
    next: u8,
    hops: u8,
    src: Ipv6Addr,
    dst: Ipv6Addr,
}

fn ipv6_header(input: &[u8]) -> IResult<&[u8], Ipv6Header> {
    let (rest, (first, payload_len, next, hops)) = (be_u32, be_u16, be_u8, be_u8).parse(input)?;
    let (rest, (src, dst)) = (take(16usize), take(16usize)).parse(rest)?;
    if first >> 28 != 6 {
        return Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Verify)));
    }
    let address = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).map_or(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from);
    Ok((rest, Ipv6Header { first, payload_len, next, hops, src: address(src), dst: address(dst) }))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(bytes: &[u8], expected: &Expect) {
        let mut r = FlowRecord::NONE;
        ethernet(bytes, &mut r);
        let (flags, vlan, mpls) = (r.tcp_flags, r.in_vlan, r.mpls_label);
        let line = format!(
            "{} {}:{} > {}:{} flags {flags:02x} vlan {vlan} mpls {mpls} ttl {}",
            r.protocol, r.src_ip, r.src_port, r.dst_ip, r.dst_port, r.min_ttl
        );
        expected.assert_eq(&line);
        // Cut anywhere it is no more than this, and no panic.
        for len in 0..bytes.len() {
            ethernet(&bytes[..len], &mut r);
        }
    }

    const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

    fn v4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
        let [high, low] = fragment.to_be_bytes();
        let header = [0x46, 0xb8, 0, 60, 0, 1, high, low, 63, protocol, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2, 1, 1, 1, 1];
        [&header[..], payload].concat()
    }

    fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut header = vec![0x6b, 0x80, 0, 7, 0, 20, next, 64];
        header.extend("2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        header.extend("2001:db8::2".parse::<Ipv6Addr>().unwrap().octets());
        [header, payload.to_vec()].concat()
    }

    #[test]
    fn packets_of_all_layers() {
        let tcp = [&[0xc0u8, 0, 0, 22][..], &[0; 8], &[0x50, 0x12, 0, 0]].concat();
        let of = |kind: &[u8], body: Vec<u8>| [&MACS[..], kind, &body].concat();
        check(&of(&[8, 0], v4(6, 0, &tcp)), &expect!["6 192.0.2.1:49152 > 198.51.100.2:22 flags 12 vlan 0 mpls 0 ttl 63"]);
        check(&of(&[8, 0], v4(6, 0x00b9, &tcp)), &expect!["6 192.0.2.1:0 > 198.51.100.2:0 flags 00 vlan 0 mpls 0 ttl 63"]);
        let tagged = [&[0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0x20, 0x2a, 8, 0][..]].concat();
        check(&of(&tagged, v4(17, 0, &tcp)), &expect!["17 192.0.2.1:49152 > 198.51.100.2:22 flags 00 vlan 7 mpls 0 ttl 63"]);
        let labelled = [0x88, 0x47, 0x00, 0x01, 0x00, 0x40, 0x00, 0x02, 0x01, 0x40];
        check(&of(&labelled, v6(6, &tcp)), &expect!["6 2001:db8::1:49152 > 2001:db8::2:22 flags 12 vlan 0 mpls 16 ttl 64"]);
        let options = [&[6u8, 0, 0, 0, 0, 0, 0, 0][..], &tcp].concat();
        check(&of(&[0x86, 0xdd], v6(0, &options)), &expect!["6 2001:db8::1:49152 > 2001:db8::2:22 flags 12 vlan 0 mpls 0 ttl 64"]);
        let fragment = [&[17u8, 0, 0x00, 0x08, 0, 0, 0, 0][..], &tcp].concat();
        check(&of(&[0x86, 0xdd], v6(44, &fragment)), &expect!["17 2001:db8::1:0 > 2001:db8::2:0 flags 00 vlan 0 mpls 0 ttl 64"]);
        check(&of(&[0x86, 0xdd], v6(58, &[128, 0])), &expect!["58 2001:db8::1:0 > 2001:db8::2:32768 flags 00 vlan 0 mpls 0 ttl 64"]);
        check(&of(&[8, 6], vec![0; 28]), &expect!["0 0.0.0.0:0 > 0.0.0.0:0 flags 00 vlan 0 mpls 0 ttl 0"]);
    }
}

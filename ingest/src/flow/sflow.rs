//! sFlow version 5 (sflow.org, July 2004): samples of packets and of interface counters, in XDR. Each sampled packet becomes
//! one flow of one packet; its `sampling` says for how many it stands.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nom::bytes::complete::take;
use nom::number::complete::be_u32;
use nom::{IResult, Parser};

use super::account::{Heard, StreamKey};
use super::decoder::FlowReport;
use super::defect::FlowDefect;
use super::drops::Drops;
use super::template::{Origin, low};
use super::{DIRECTION_UNKNOWN, FlowRecord, SFLOW, packet};
use crate::frame::{Frame, NewFrame};

/// A datagram holds a few dozen samples; more are noise.
const SAMPLES_MAX: u32 = 4_096;
/// Records of one sample: the header and what the switch knew of it.
const RECORDS_MAX: u32 = 64;

/// Formats of the standard (enterprise 0).
pub(super) const FLOW_SAMPLE: u32 = 1;
pub(super) const COUNTER_SAMPLE: u32 = 2;
pub(super) const FLOW_SAMPLE_EXPANDED: u32 = 3;
pub(super) const COUNTER_SAMPLE_EXPANDED: u32 = 4;

pub(super) struct Header {
    agent: Option<IpAddr>,
    sub_agent: u32,
    sequence: u32,
    uptime: u32,
    samples: u32,
}

/// A sampled packet, and what its source says of itself.
pub(super) struct Sample {
    /// `None` where no record tells of the packet.
    pub(super) record: Option<FlowRecord>,
    /// The kind of the source in the upper half, its number in the lower.
    source: u64,
    /// Packets that it could not sample, by its own count.
    drops: u32,
}

pub(super) fn decode(
    frame: &Frame,
    mut drops: Option<&mut Drops>,
    out: &mut Vec<FlowRecord>,
    report: &mut FlowReport,
) -> Option<(u32, Heard)> {
    let Ok((mut rest, header)) = header(&frame.frame.payload) else {
        report.defects.add(FlowDefect::Truncated);
        return None;
    };
    let origin = origin(frame, &header);
    let key = stream(frame, &header);
    if header.samples > SAMPLES_MAX {
        report.defects.add(FlowDefect::RecordCount);
    }
    for _ in 0..header.samples.min(SAMPLES_MAX) {
        let Ok((after, (format, body))) = tagged(rest) else {
            report.defects.add(FlowDefect::Truncated);
            report.skipped += 1;
            rest = &[];
            break;
        };
        rest = after;
        match format {
            FLOW_SAMPLE | FLOW_SAMPLE_EXPANDED => {
                let Ok((_, sample)) = flow_sample(body, format == FLOW_SAMPLE_EXPANDED, &origin) else {
                    report.skipped += 1;
                    report.defects.add(FlowDefect::Truncated);
                    continue;
                };
                if let Some(drops) = &mut drops {
                    report.dropped_by_exporter += drops.heard(key, sample.source, sample.drops);
                }
                if let Some(record) = sample.record {
                    report.flow(&origin, &record);
                    out.push(record);
                } else {
                    report.skipped += 1;
                    report.defects.add(FlowDefect::NoTraffic);
                }
            }
            COUNTER_SAMPLE | COUNTER_SAMPLE_EXPANDED => report.counters += 1,
            // Samples of vendors; their length lets us go on behind them.
            _ => report.skipped += 1,
        }
    }
    if rest.len() > 3 {
        report.defects.add(FlowDefect::TrailingBytes);
    }
    let NewFrame { received_at, site, .. } = frame.frame;
    let (sequence, uptime) = (header.sequence, Some(header.uptime));
    Some((header.sub_agent, Heard { agent: key.agent, sequence, uptime, export_at: received_at, received_at, site }))
}

/// An agent is known by the address that it gives itself and its number: several may send by one address, a collector's or a
/// translated one.
fn stream(frame: &Frame, header: &Header) -> StreamKey {
    let exporter = frame.frame.peer;
    let agent = header.agent.filter(|agent| *agent != exporter && !agent.is_unspecified());
    StreamKey { exporter, version: SFLOW, agent, domain: header.sub_agent }
}

pub(super) fn origin(frame: &Frame, header: &Header) -> Origin {
    let received_at = frame.frame.received_at;
    Origin {
        seq: frame.seq,
        received_at,
        site: frame.frame.site,
        exporter: frame.frame.peer,
        domain: header.sub_agent,
        version: SFLOW,
        // It tells no time of day; samples are sent within a second.
        export_at: received_at,
        uptime: Some(header.uptime),
        // Each sample says its own.
        sampling: 1,
    }
}

pub(super) fn header(input: &[u8]) -> IResult<&[u8], Header> {
    let (rest, _version) = be_u32.parse(input)?;
    let (rest, agent) = address(rest)?;
    let (rest, (sub_agent, sequence, uptime, samples)) = (be_u32, be_u32, be_u32, be_u32).parse(rest)?;
    Ok((rest, Header { agent, sub_agent, sequence, uptime, samples }))
}

/// An address with its kind before it; one of unknown kind has no bytes.
fn address(input: &[u8]) -> IResult<&[u8], Option<IpAddr>> {
    let (rest, kind) = be_u32.parse(input)?;
    match kind {
        1 => be_u32.map(|bits| Some(Ipv4Addr::from(bits).into())).parse(rest),
        2 => take(16usize)
            .map(|bytes: &[u8]| <[u8; 16]>::try_from(bytes).ok().map(|octets| IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()))
            .parse(rest),
        _ => Ok((rest, None)),
    }
}

/// A format (vendor in the upper 20 bits) and its body, as samples and their records are both framed.
pub(super) fn tagged(input: &[u8]) -> IResult<&[u8], (u32, &[u8])> {
    let (rest, (format, len)) = (be_u32, be_u32).parse(input)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let (rest, body) = take(len).parse(rest)?;
    // XDR fills up to four bytes.
    let padding = (4 - len % 4) % 4;
    Ok((rest.get(padding..).unwrap_or_default(), (format, body)))
}

/// A flow sample, in its usual form or the expanded one, which has more room for the numbers of sources and interfaces.
pub(super) fn flow_sample<'a>(input: &'a [u8], expanded: bool, origin: &Origin) -> IResult<&'a [u8], Sample> {
    let (rest, _sequence) = be_u32.parse(input)?;
    let (rest, source) = if expanded {
        (be_u32, be_u32).map(|(kind, index)| u64::from(kind) << 32 | u64::from(index)).parse(rest)?
    } else {
        be_u32.map(|source| u64::from(source >> 24) << 32 | u64::from(source & 0x00ff_ffff)).parse(rest)?
    };
    let (rest, (rate, _pool, drops)) = (be_u32, be_u32, be_u32).parse(rest)?;
    let (rest, (input, output)) = if expanded {
        (expanded_interface, expanded_interface).parse(rest)?
    } else {
        (compact_interface, compact_interface).parse(rest)?
    };
    let (mut rest, count) = be_u32.parse(rest)?;
    let mut record = FlowRecord { sampling: rate.max(1), packets: 1, direction: DIRECTION_UNKNOWN, ..origin.record() };
    let mut seen = false;
    for _ in 0..count.min(RECORDS_MAX) {
        let (after, (format, body)) = tagged(rest)?;
        rest = after;
        seen |= flow_record(format, body, &mut record).is_ok_and(|(_, is_packet)| is_packet);
    }
    record.in_if = input.index();
    record.out_if = output.index();
    if let Interface::Discarded(reason) = output {
        record.forwarding = forwarding_status(reason);
        (record.dropped_packets, record.dropped_bytes) = (record.packets, record.bytes);
    }
    Ok((rest, Sample { record: seen.then_some(record), source, drops }))
}

/// What stands in an interface's place.
enum Interface {
    /// By its number; 0 where it is not known.
    Index(u32),
    /// The packet was discarded, for this reason.
    Discarded(u32),
    /// It went out by so many that none is named.
    Several,
}

impl Interface {
    fn new(format: u32, value: u32) -> Self {
        match format {
            0 => Self::Index(value),
            1 => Self::Discarded(value),
            _ => Self::Several,
        }
    }

    fn index(&self) -> u32 {
        if let Self::Index(index) = self { *index } else { 0 }
    }
}

/// The two upper bits say what kind of number it is.
fn compact_interface(input: &[u8]) -> IResult<&[u8], Interface> {
    be_u32.map(|value| Interface::new(value >> 30, value & 0x3fff_ffff)).parse(input)
}

fn expanded_interface(input: &[u8]) -> IResult<&[u8], Interface> {
    (be_u32, be_u32).map(|(format, value)| Interface::new(format, value)).parse(input)
}

/// sFlow's reason for discarding a packet as IANA's forwardingStatus: below 256 the codes of ICMP's "destination unreachable".
fn forwarding_status(reason: u32) -> u8 {
    match reason {
        // Forbidden, by a router or an access list.
        9 | 10 | 13 | 257 => 129,
        // No route to the network, the host, or for this service.
        0 | 1 | 6 | 7 | 8 | 11 | 12 => 131,
        // Too big, and not to be cut.
        4 | 261 => 133,
        // Traffic shaping, random early detection.
        260 => 138,
        259 => 139,
        _ => 128,
    }
}

/// Takes over what a record of a sample tells; says whether it tells of the packet itself.
fn flow_record<'a>(format: u32, body: &'a [u8], record: &mut FlowRecord) -> IResult<&'a [u8], bool> {
    match format {
        // Raw packet header: protocol, length on the wire, bytes cut from its end, the header.
        1 => {
            let (rest, (protocol, frame_len, _stripped, header_len)) = (be_u32, be_u32, be_u32, be_u32).parse(body)?;
            let header = rest.get(..usize::try_from(header_len).unwrap_or(usize::MAX)).unwrap_or(rest);
            record.bytes = frame_len.into();
            match protocol {
                1 => packet::ethernet(header, record),
                11 => packet::ipv4(header, record),
                12 => packet::ipv6(header, record),
                _ => {}
            }
            Ok((&[], true))
        }
        // Ethernet frame data, where no header was kept.
        2 => {
            let (rest, (len, src, _, dst, _)) = (be_u32, take(6usize), take(2usize), take(6usize), take(2usize)).parse(body)?;
            record.src_mac = src.try_into().unwrap_or_default();
            record.dst_mac = dst.try_into().unwrap_or_default();
            record.bytes = record.bytes.max(len.into());
            Ok((rest, true))
        }
        // IPv4 and IPv6 data.
        3 | 4 => {
            let (rest, (len, protocol)) = (be_u32, be_u32).parse(body)?;
            let (rest, (src, dst)) = if format == 3 { (v4, v4).parse(rest)? } else { (v6, v6).parse(rest)? };
            let (rest, (src_port, dst_port, flags, tos)) = (be_u32, be_u32, be_u32, be_u32).parse(rest)?;
            (record.src_ip, record.dst_ip) = (src, dst);
            record.protocol = low(protocol.into());
            (record.src_port, record.dst_port) = (low(src_port.into()), low(dst_port.into()));
            record.tcp_flags = low(u64::from(flags) & 0xff);
            record.tos = low(tos.into());
            record.bytes = record.bytes.max(len.into());
            Ok((rest, true))
        }
        // Extended switch data: VLANs and priorities on both sides.
        1_001 => {
            let (rest, (src_vlan, _, dst_vlan, _)) = (be_u32, be_u32, be_u32, be_u32).parse(body)?;
            (record.in_vlan, record.out_vlan) = (low(src_vlan.into()), low(dst_vlan.into()));
            Ok((rest, false))
        }
        // Extended router data: next hop and prefix lengths.
        1_002 => {
            let (rest, next_hop) = address(body)?;
            let (rest, (src_mask, dst_mask)) = (be_u32, be_u32).parse(rest)?;
            record.next_hop = next_hop.unwrap_or(record.next_hop);
            (record.src_mask, record.dst_mask) = (low(src_mask.into()), low(dst_mask.into()));
            Ok((rest, false))
        }
        // Extended gateway data: BGP's next hop, systems of source and (the path's last) destination.
        1_003 => gateway(body, record),
        // Extended NAT data, and its ports.
        1_007 => {
            let (rest, (src, dst)) = (address, address).parse(body)?;
            record.nat_src_ip = src.unwrap_or(record.nat_src_ip);
            record.nat_dst_ip = dst.unwrap_or(record.nat_dst_ip);
            Ok((rest, false))
        }
        1_020 => {
            let (rest, (src, dst)) = (be_u32, be_u32).parse(body)?;
            (record.nat_src_port, record.nat_dst_port) = (low(src.into()), low(dst.into()));
            Ok((rest, false))
        }
        _ => Ok((body, false)),
    }
}

fn gateway<'a>(body: &'a [u8], record: &mut FlowRecord) -> IResult<&'a [u8], bool> {
    let (rest, next_hop) = address(body)?;
    let (rest, (_router_as, src_as, _src_peer_as, segments)) = (be_u32, be_u32, be_u32, be_u32).parse(rest)?;
    record.src_as = src_as;
    if let Some(next_hop) = next_hop.filter(|_| record.next_hop.is_unspecified()) {
        record.next_hop = next_hop;
    }
    let mut rest = rest;
    for _ in 0..segments.min(RECORDS_MAX) {
        let (after, (_kind, len)) = (be_u32, be_u32).parse(rest)?;
        let (after, path) = take(usize::try_from(len).unwrap_or(usize::MAX).saturating_mul(4)).parse(after)?;
        if let Some(last) = path.last_chunk() {
            record.dst_as = u32::from_be_bytes(*last);
        }
        rest = after;
    }
    Ok((rest, false))
}

fn v4(input: &[u8]) -> IResult<&[u8], IpAddr> {
    be_u32.map(|bits| Ipv4Addr::from(bits).into()).parse(input)
}

fn v6(input: &[u8]) -> IResult<&[u8], IpAddr> {
    let octets = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).map_or(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from);
    take(16usize).map(|bytes: &[u8]| IpAddr::V6(octets(bytes)).to_canonical()).parse(input)
}

#[cfg(test)]
mod tests;

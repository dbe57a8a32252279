//! Flow records: one fixed record for whatever protocol an exporter speaks (NetFlow v5 and v9, IPFIX, sFlow v5). The
//! decoder compiles templates to copy operations on it; the store (`crate::flows`) writes it as Parquet; the rules read it.

mod account;
mod decoder;
mod defect;
mod drops;
pub mod elements;
mod explain;
mod exporters;
mod memory;
mod packet;
mod sampler;
mod sampling;
mod sequence;
mod sets;
mod sflow;
mod share;
mod snapshot;
mod template;
mod v5;
mod waiting;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod hostile;

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

pub use account::{Account, FlowAccounts, StreamKey};
pub use decoder::{FlowDecoder, FlowReport, MEMORY_BYTES_MAX};
pub use defect::{FlowDefect, FlowDefects};
pub use explain::{Item, ItemKind};
pub use memory::{FlowMemory, MIGRATIONS, accounts_saved};
pub use sampling::{SamplingRule, SamplingTable};

use crate::body::{SITE_UNKNOWN, SiteId};
use crate::frame::Seq;
use crate::time::Timestamp;

/// `FlowRecord::version` of sFlow version 5, whose number NetFlow has taken.
pub const SFLOW: u8 = 105;

/// The protocol by the number that a flow carries; none for datagrams of no version that we know.
pub fn protocol(version: u8) -> Option<Cow<'static, str>> {
    match version {
        0 => None,
        10 => Some("IPFIX".into()),
        SFLOW => Some("sFlow".into()),
        version => Some(format!("NetFlow v{version}").into()),
    }
}
/// `FlowRecord::direction` where the exporter does not say.
pub const DIRECTION_UNKNOWN: u8 = 255;
/// An address that the exporter does not say.
pub const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// One unidirectional flow as an exporter reported it. What it does not say is zero, unless told otherwise here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowRecord {
    /// The journal's sequence of the datagram it came in.
    pub seq: Seq,
    pub received_at: Timestamp,
    /// First and last packet, in the exporter's time.
    pub start: Timestamp,
    pub end: Timestamp,
    pub site: SiteId,
    pub exporter: IpAddr,
    /// The part of the exporter that observed it: v5 engine, v9 source id, IPFIX observation domain, sFlow sub-agent.
    pub domain: u32,
    pub src_ip: IpAddr,
    pub dst_ip: IpAddr,
    pub src_port: u16,
    /// For ICMP type × 256 + code, as NetFlow has it.
    pub dst_port: u16,
    /// IP protocol number (6 TCP, 17 UDP, 1 ICMP).
    pub protocol: u8,
    /// All TCP flags seen, or-ed; NS, the ninth, and the reserved ones above it are not kept.
    pub tcp_flags: u8,
    pub tos: u8,
    /// 5, 9, 10 for IPFIX, or `SFLOW`.
    pub version: u8,
    /// Bytes and packets as exported (not multiplied by the sampling rate).
    pub bytes: u64,
    pub packets: u64,
    /// 1 of this many packets was looked at; 1 where unsampled or unknown.
    pub sampling: u32,
    pub in_if: u32,
    pub out_if: u32,
    pub src_as: u32,
    pub dst_as: u32,
    pub next_hop: IpAddr,
    /// Length of the routing prefixes, in bits.
    pub src_mask: u8,
    pub dst_mask: u8,
    /// 0 seen at the ingress, 1 at the egress, or `DIRECTION_UNKNOWN`.
    pub direction: u8,
    /// Why it was exported: 1 idle, 2 active time-out, 3 end, 4 forced, 5 lack of memory (IANA flowEndReason).
    pub end_reason: u8,
    /// 1 created, 2 deleted, 3 denied, 4 alert, 5 update (IANA firewallEvent).
    pub firewall_event: u8,
    /// IANA natEvent.
    pub nat_event: u8,
    /// IANA forwardingStatus: the two upper bits are 1 forwarded, 2 dropped, 3 consumed.
    pub forwarding: u8,
    /// 0 one way, 1 from the initiator, 2 the answers to it (IANA biflowDirection and RFC 5103).
    pub biflow: u8,
    /// After address translation.
    pub nat_src_ip: IpAddr,
    pub nat_dst_ip: IpAddr,
    pub nat_src_port: u16,
    pub nat_dst_port: u16,
    pub src_mac: [u8; 6],
    pub dst_mac: [u8; 6],
    pub in_vlan: u16,
    pub out_vlan: u16,
    /// The top label, 20 bits.
    pub mpls_label: u32,
    pub in_vrf: u32,
    pub out_vrf: u32,
    pub min_ttl: u8,
    pub max_ttl: u8,
    /// Of one packet, in bytes.
    pub min_length: u16,
    pub max_length: u16,
    pub flow_label: u32,
    /// The exporter's number of the flow or, of firewalls, of the connection.
    pub flow_id: u64,
    /// IANA applicationId: engine in the upper byte, selector below.
    pub application: u64,
    /// Of the flow, what was dropped.
    pub dropped_bytes: u64,
    pub dropped_packets: u64,
}

impl FlowRecord {
    /// A record of which nothing is known.
    pub const NONE: Self = Self {
        seq: Seq(0),
        received_at: Timestamp(0),
        start: Timestamp(0),
        end: Timestamp(0),
        site: SITE_UNKNOWN,
        exporter: NO_ADDRESS,
        domain: 0,
        src_ip: NO_ADDRESS,
        dst_ip: NO_ADDRESS,
        src_port: 0,
        dst_port: 0,
        protocol: 0,
        tcp_flags: 0,
        tos: 0,
        version: 0,
        bytes: 0,
        packets: 0,
        sampling: 1,
        in_if: 0,
        out_if: 0,
        src_as: 0,
        dst_as: 0,
        next_hop: NO_ADDRESS,
        src_mask: 0,
        dst_mask: 0,
        direction: DIRECTION_UNKNOWN,
        end_reason: 0,
        firewall_event: 0,
        nat_event: 0,
        forwarding: 0,
        biflow: 0,
        nat_src_ip: NO_ADDRESS,
        nat_dst_ip: NO_ADDRESS,
        nat_src_port: 0,
        nat_dst_port: 0,
        src_mac: [0; 6],
        dst_mac: [0; 6],
        in_vlan: 0,
        out_vlan: 0,
        mpls_label: 0,
        in_vrf: 0,
        out_vrf: 0,
        min_ttl: 0,
        max_ttl: 0,
        min_length: 0,
        max_length: 0,
        flow_label: 0,
        flow_id: 0,
        application: 0,
        dropped_bytes: 0,
        dropped_packets: 0,
    };

    /// The same flow seen from its other end: source and destination exchanged.
    #[must_use]
    pub fn turned(&self) -> Self {
        Self {
            src_ip: self.dst_ip,
            dst_ip: self.src_ip,
            src_port: self.dst_port,
            dst_port: self.src_port,
            in_if: self.out_if,
            out_if: self.in_if,
            src_as: self.dst_as,
            dst_as: self.src_as,
            src_mask: self.dst_mask,
            dst_mask: self.src_mask,
            nat_src_ip: self.nat_dst_ip,
            nat_dst_ip: self.nat_src_ip,
            nat_src_port: self.nat_dst_port,
            nat_dst_port: self.nat_src_port,
            src_mac: self.dst_mac,
            dst_mac: self.src_mac,
            in_vlan: self.out_vlan,
            out_vlan: self.in_vlan,
            in_vrf: self.out_vrf,
            out_vrf: self.in_vrf,
            next_hop: NO_ADDRESS,
            direction: match self.direction {
                0 => 1,
                1 => 0,
                other => other,
            },
            ..*self
        }
    }
}

/// The name of an IP protocol number as ECS `network.transport` writes it.
pub fn protocol_name(protocol: u8) -> Option<&'static str> {
    match protocol {
        1 => Some("icmp"),
        2 => Some("igmp"),
        6 => Some("tcp"),
        17 => Some("udp"),
        47 => Some("gre"),
        50 => Some("esp"),
        51 => Some("ah"),
        58 => Some("ipv6-icmp"),
        89 => Some("ospf"),
        132 => Some("sctp"),
        _ => None,
    }
}

//! Flow records: one fixed record for whatever version an exporter speaks. The decoders (`netflow`) compile
//! templates to copy operations on it; the store (`crate::flows`) writes it as Parquet; the rules read it.

pub mod netflow;
mod template;
mod v5;
mod v9;

#[cfg(test)]
mod conformance;

use std::net::IpAddr;

use crate::body::SiteId;
use crate::frame::Seq;
use crate::time::Timestamp;

/// One unidirectional flow as an exporter reported it.
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
    pub src_ip: IpAddr,
    pub dst_ip: IpAddr,
    pub src_port: u16,
    /// For ICMP type × 256 + code, as NetFlow has it.
    pub dst_port: u16,
    /// IP protocol number (6 TCP, 17 UDP, 1 ICMP).
    pub protocol: u8,
    /// All TCP flags seen, or-ed.
    pub tcp_flags: u8,
    pub tos: u8,
    /// 5 or 9.
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

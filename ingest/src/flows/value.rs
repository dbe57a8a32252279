//! What a flow answers to a field: one row for each ECS or `flow.*` field that flows have, with the columns it is read
//! from. `record::FlowView`, the compiled filter (`filter`) and the questions (`ask`) read this one table, so that they
//! cannot differ in what a field is.
//!
//! Zero stands for what an exporter did not say: such a field is not there, except where zero is a value (ports, bytes).

use std::net::IpAddr;
use std::sync::LazyLock;

use super::column::{Access, Column, ColumnSet};
use crate::fields::{self, FIELDS, FieldId};
use crate::flow::{self, FlowRecord, NO_ADDRESS, SFLOW};

/// How a field's value is made of a record.
#[derive(Clone, Copy)]
pub(crate) enum Get {
    /// A column's number; where `zero` is not set, 0 is no value.
    Number {
        column: Column,
        zero: bool,
    },
    /// The duration, which ECS gives in nanoseconds.
    Nanos,
    /// Worked out.
    Reckoned(fn(&FlowRecord) -> Option<i64>, &'static [Column]),
    Address {
        column: Column,
        zero: bool,
    },
    ReckonedAddress(fn(&FlowRecord) -> Option<IpAddr>, &'static [Column]),
    /// A word for a byte; those without a word are no value.
    Code {
        column: Column,
        name: fn(u8) -> Option<&'static str>,
    },
    ReckonedCode {
        of: fn(&FlowRecord) -> u8,
        name: fn(u8) -> Option<&'static str>,
        columns: &'static [Column],
    },
    /// A word for each TCP flag that is set.
    Flags,
    Mac(Column),
    Site,
    Direction,
    CommunityId,
    /// The same of every flow.
    Constant(&'static str),
}

/// One row of the table.
#[derive(Clone, Copy)]
pub(crate) struct FlowField {
    pub(crate) field: FieldId,
    pub(crate) get: Get,
}

const fn number(field: FieldId, column: Column) -> FlowField {
    FlowField { field, get: Get::Number { column, zero: true } }
}

const fn some(field: FieldId, column: Column) -> FlowField {
    FlowField { field, get: Get::Number { column, zero: false } }
}

const fn address(field: FieldId, column: Column, zero: bool) -> FlowField {
    FlowField { field, get: Get::Address { column, zero } }
}

const fn code(field: FieldId, column: Column, name: fn(u8) -> Option<&'static str>) -> FlowField {
    FlowField { field, get: Get::Code { column, name } }
}

const fn row(field: FieldId, get: Get) -> FlowField {
    FlowField { field, get }
}

/// What of a record tells who asked and who answered.
const SIDES: &[Column] =
    &[Column::SrcIp, Column::DstIp, Column::SrcPort, Column::DstPort, Column::Protocol, Column::TcpFlags, Column::Biflow];

/// The fields that flows have, in the order in which a record is shown.
static FLOW_TABLE: [FlowField; 65] = [
    row(fields::SITE, Get::Site),
    address(fields::OBSERVER_IP, Column::Exporter, true),
    address(fields::SOURCE_IP, Column::SrcIp, true),
    address(fields::DESTINATION_IP, Column::DstIp, true),
    number(fields::SOURCE_PORT, Column::SrcPort),
    number(fields::DESTINATION_PORT, Column::DstPort),
    code(fields::NETWORK_TRANSPORT, Column::Protocol, flow::protocol_name),
    row(fields::NETWORK_DIRECTION, Get::Direction),
    row(fields::NETWORK_COMMUNITY_ID, Get::CommunityId),
    number(fields::NETWORK_BYTES, Column::Bytes),
    number(fields::NETWORK_PACKETS, Column::Packets),
    row(fields::EVENT_KIND, Get::Constant("event")),
    row(fields::EVENT_CATEGORY, Get::Constant("network")),
    row(fields::EVENT_ACTION, Get::Constant("network_flow")),
    row(fields::EVENT_DURATION, Get::Nanos),
    row(fields::CLIENT_IP, Get::ReckonedAddress(|flow| sides(flow).map(|sides| sides.client), SIDES)),
    row(fields::SERVER_IP, Get::ReckonedAddress(|flow| sides(flow).map(|sides| sides.server), SIDES)),
    row(fields::SERVER_PORT, Get::Reckoned(|flow| sides(flow).map(|sides| sides.port.into()), SIDES)),
    row(fields::NETWORK_TYPE, Get::ReckonedCode { of: family, name: family_name, columns: &[Column::SrcIp] }),
    number(fields::NETWORK_IANA_NUMBER, Column::Protocol),
    row(fields::FLOW_TCP_FLAGS, Get::Flags),
    some(fields::FLOW_TOS, Column::Tos),
    code(fields::FLOW_VERSION, Column::Version, version_name),
    some(fields::FLOW_SAMPLING, Column::Sampling),
    row(fields::FLOW_BYTES_SCALED, Get::Reckoned(|flow| Some(signed(bytes_scaled(flow))), &[Column::Bytes, Column::Sampling])),
    row(fields::FLOW_PACKETS_SCALED, Get::Reckoned(|flow| Some(signed(packets_scaled(flow))), &[Column::Packets, Column::Sampling])),
    row(fields::FLOW_PPS, Get::Reckoned(|flow| Some(rate(flow.packets, flow)), &[Column::Packets, Column::Start, Column::Duration])),
    row(
        fields::FLOW_BPS,
        Get::Reckoned(|flow| Some(rate(flow.bytes.saturating_mul(8), flow)), &[Column::Bytes, Column::Start, Column::Duration]),
    ),
    row(
        fields::FLOW_BPP,
        Get::Reckoned(|flow| Some(signed(flow.bytes.checked_div(flow.packets).unwrap_or(0))), &[Column::Bytes, Column::Packets]),
    ),
    row(fields::FLOW_ICMP_TYPE, Get::Reckoned(|flow| icmp(flow).map(|word| i64::from(word >> 8)), &[Column::DstPort, Column::Protocol])),
    row(fields::FLOW_ICMP_CODE, Get::Reckoned(|flow| icmp(flow).map(|word| i64::from(word & 0xff)), &[Column::DstPort, Column::Protocol])),
    some(fields::OBSERVER_INGRESS_INTERFACE_ID, Column::InIf),
    some(fields::OBSERVER_EGRESS_INTERFACE_ID, Column::OutIf),
    some(fields::SOURCE_AS_NUMBER, Column::SrcAs),
    some(fields::DESTINATION_AS_NUMBER, Column::DstAs),
    some(fields::FLOW_DOMAIN, Column::Domain),
    address(fields::FLOW_NEXT_HOP, Column::NextHop, false),
    some(fields::FLOW_SRC_MASK, Column::SrcMask),
    some(fields::FLOW_DST_MASK, Column::DstMask),
    code(fields::FLOW_DIRECTION, Column::Direction, direction_name),
    code(fields::FLOW_END_REASON, Column::EndReason, end_reason_name),
    code(fields::FLOW_FIREWALL_EVENT, Column::FirewallEvent, firewall_event_name),
    some(fields::FLOW_NAT_EVENT, Column::NatEvent),
    code(fields::FLOW_FORWARDING, Column::Forwarding, forwarding_name),
    code(fields::FLOW_BIFLOW, Column::Biflow, biflow_name),
    address(fields::SOURCE_NAT_IP, Column::NatSrcIp, false),
    address(fields::DESTINATION_NAT_IP, Column::NatDstIp, false),
    some(fields::SOURCE_NAT_PORT, Column::NatSrcPort),
    some(fields::DESTINATION_NAT_PORT, Column::NatDstPort),
    row(fields::SOURCE_MAC, Get::Mac(Column::SrcMac)),
    row(fields::DESTINATION_MAC, Get::Mac(Column::DstMac)),
    some(fields::NETWORK_VLAN_ID, Column::InVlan),
    some(fields::OBSERVER_EGRESS_VLAN_ID, Column::OutVlan),
    some(fields::FLOW_MPLS_LABEL, Column::MplsLabel),
    some(fields::FLOW_IN_VRF, Column::InVrf),
    some(fields::FLOW_OUT_VRF, Column::OutVrf),
    some(fields::FLOW_MIN_TTL, Column::MinTtl),
    some(fields::FLOW_MAX_TTL, Column::MaxTtl),
    some(fields::FLOW_MIN_LENGTH, Column::MinLength),
    some(fields::FLOW_MAX_LENGTH, Column::MaxLength),
    some(fields::FLOW_LABEL, Column::FlowLabel),
    some(fields::FLOW_ID, Column::FlowId),
    some(fields::FLOW_APPLICATION, Column::Application),
    some(fields::FLOW_DROPPED_BYTES, Column::DroppedBytes),
    some(fields::FLOW_DROPPED_PACKETS, Column::DroppedPackets),
];

static PLACES: LazyLock<Vec<Option<&'static Get>>> = LazyLock::new(|| {
    let place = |id: u16| FLOW_TABLE.iter().find(|row| row.field == FieldId(id)).map(|row| &row.get);
    (0..u16::try_from(FIELDS.len()).unwrap_or(u16::MAX)).map(place).collect()
});

/// How a field is answered; `None` where flows have no such field.
pub(crate) fn get(field: FieldId) -> Option<&'static Get> {
    PLACES.get(usize::from(field.0)).copied().flatten()
}

/// The fields that flows have, for suggestions and pages.
pub fn flow_fields() -> impl Iterator<Item = FieldId> {
    FLOW_TABLE.iter().map(|row| row.field)
}

impl Get {
    /// The columns that an answer needs.
    pub(crate) fn columns(&self) -> ColumnSet {
        match self {
            Self::Number { column, .. } | Self::Address { column, .. } | Self::Code { column, .. } | Self::Mac(column) => {
                ColumnSet::of(&[*column])
            }
            Self::Nanos => ColumnSet::of(&[Column::Start, Column::Duration]),
            Self::Reckoned(_, columns) | Self::ReckonedAddress(_, columns) | Self::ReckonedCode { columns, .. } => ColumnSet::of(columns),
            Self::Flags => ColumnSet::of(&[Column::TcpFlags]),
            Self::Site => ColumnSet::of(&[Column::Site]),
            Self::Direction => ColumnSet::of(&[Column::Site, Column::SrcIp, Column::DstIp]),
            Self::CommunityId => ColumnSet::of(&[Column::SrcIp, Column::DstIp, Column::SrcPort, Column::DstPort, Column::Protocol]),
            Self::Constant(_) => ColumnSet::NONE,
        }
    }

    /// The value where it is a number.
    pub(crate) fn number(&self, flow: &FlowRecord) -> Option<i64> {
        match self {
            Self::Number { column, zero } => Some(column_number(column.info().access, flow)).filter(|number| *zero || *number != 0),
            Self::Nanos => Some(flow.end.since(flow.start).saturating_mul(NANOS_PER_MILLI)),
            Self::Reckoned(of, _) => of(flow),
            _ => None,
        }
    }

    /// The value where it is an address.
    pub(crate) fn address(&self, flow: &FlowRecord) -> Option<IpAddr> {
        match self {
            Self::Address { column, zero } => column_address(column.info().access, flow).filter(|address| *zero || *address != NO_ADDRESS),
            Self::ReckonedAddress(of, _) => of(flow),
            _ => None,
        }
    }

    /// The value where it is one word of a few.
    pub(crate) fn word(&self, flow: &FlowRecord) -> Option<&'static str> {
        match self {
            Self::Code { column, name } => name(u8::try_from(column_number(column.info().access, flow)).unwrap_or(0)),
            Self::ReckonedCode { of, name, .. } => name(of(flow)),
            Self::Constant(word) => Some(word),
            _ => None,
        }
    }

    /// The value where it is a hardware address.
    pub(crate) fn mac(&self, flow: &FlowRecord) -> Option<[u8; 6]> {
        let Self::Mac(column) = self else { return None };
        match column.info().access {
            Access::Mac(of, _) => Some(of(flow)).filter(|mac| *mac != [0; 6]),
            _ => None,
        }
    }
}

/// Nanoseconds of a millisecond: ECS' unit in ours.
pub(crate) const NANOS_PER_MILLI: i64 = 1_000_000;

/// A column's number as questions compare it: what is above 2^63-1 is that.
pub(crate) fn column_number(access: Access, flow: &FlowRecord) -> i64 {
    match access {
        Access::Time(of, _) | Access::Long(of, _) => of(flow),
        Access::Id(of, _) => signed(of(flow)),
        Access::Int(of, _) => of(flow).into(),
        Access::Short(of, _) => of(flow).into(),
        Access::Byte(of, _) => of(flow).into(),
        Access::Address(..) | Access::Mac(..) | Access::Site(..) => 0,
    }
}

pub(crate) fn column_address(access: Access, flow: &FlowRecord) -> Option<IpAddr> {
    if let Access::Address(of, _) = access { Some(of(flow).to_canonical()) } else { None }
}

/// As ECS writes it: `00-00-5E-00-53-23`.
pub(crate) fn mac_text(mac: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = mac;
    format!("{a:02X}-{b:02X}-{c:02X}-{d:02X}-{e:02X}-{f:02X}")
}

/// The TCP flags by their bits, least first, as `flow.tcp_flags` names them.
pub(crate) const FLAG_NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

/// The names of the flags that are set.
pub(crate) fn flag_names(flags: u8) -> impl Iterator<Item = &'static str> {
    FLAG_NAMES.into_iter().enumerate().filter(move |(bit, _)| flags >> bit & 1 == 1).map(|(_, name)| name)
}

/// Bytes times the sampling rate: about what went by.
pub fn bytes_scaled(flow: &FlowRecord) -> u64 {
    flow.bytes.saturating_mul(flow.sampling.max(1).into())
}

/// Packets times the sampling rate.
pub fn packets_scaled(flow: &FlowRecord) -> u64 {
    flow.packets.saturating_mul(flow.sampling.max(1).into())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// So many a second, as nfdump reckons it: nothing for what took no time.
fn rate(count: u64, flow: &FlowRecord) -> i64 {
    let millis = flow.end.since(flow.start).max(0).unsigned_abs();
    if millis == 0 { 0 } else { i64::try_from(u128::from(count) * 1_000 / u128::from(millis)).unwrap_or(i64::MAX) }
}

fn icmp(flow: &FlowRecord) -> Option<u16> {
    matches!(flow.protocol, 1 | 58).then_some(flow.dst_port)
}

/// Who asked and who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    pub client: IpAddr,
    pub server: IpAddr,
    pub port: u16,
}

/// The two sides of a connection: by the exporter's word (biflow), else a TCP flow that only ever said SYN comes from the
/// client, else the lower port is the service's. `None` for protocols without ports.
pub fn sides(flow: &FlowRecord) -> Option<Sides> {
    const TCP: u8 = 6;
    const SYN_ACK: u8 = 0x12;
    const SYN: u8 = 0x02;
    if !matches!(flow.protocol, TCP | 17 | 33 | 132 | 136) {
        return None;
    }
    let from_client = match flow.biflow {
        1 => true,
        2 => false,
        _ if flow.protocol == TCP && flow.tcp_flags & SYN_ACK == SYN => true,
        _ => flow.src_port == 0 || flow.dst_port <= flow.src_port,
    };
    Some(if from_client {
        Sides { client: flow.src_ip, server: flow.dst_ip, port: flow.dst_port }
    } else {
        Sides { client: flow.dst_ip, server: flow.src_ip, port: flow.src_port }
    })
}

fn family(flow: &FlowRecord) -> u8 {
    if flow.src_ip.to_canonical().is_ipv4() { 4 } else { 6 }
}

fn family_name(family: u8) -> Option<&'static str> {
    match family {
        4 => Some("ipv4"),
        6 => Some("ipv6"),
        _ => None,
    }
}

fn version_name(version: u8) -> Option<&'static str> {
    match version {
        5 => Some("netflow5"),
        9 => Some("netflow9"),
        10 => Some("ipfix"),
        SFLOW => Some("sflow5"),
        _ => None,
    }
}

fn direction_name(direction: u8) -> Option<&'static str> {
    match direction {
        0 => Some("ingress"),
        1 => Some("egress"),
        _ => None,
    }
}

/// IANA flowEndReason.
fn end_reason_name(reason: u8) -> Option<&'static str> {
    match reason {
        1 => Some("idle"),
        2 => Some("active"),
        3 => Some("end"),
        4 => Some("forced"),
        5 => Some("lack"),
        _ => None,
    }
}

/// IANA firewallEvent.
fn firewall_event_name(event: u8) -> Option<&'static str> {
    match event {
        1 => Some("created"),
        2 => Some("deleted"),
        3 => Some("denied"),
        4 => Some("alert"),
        5 => Some("update"),
        _ => None,
    }
}

/// The two upper bits of IANA forwardingStatus.
fn forwarding_name(status: u8) -> Option<&'static str> {
    match status >> 6 {
        1 => Some("forwarded"),
        2 => Some("dropped"),
        3 => Some("consumed"),
        _ => None,
    }
}

/// RFC 5103.
fn biflow_name(biflow: u8) -> Option<&'static str> {
    match biflow {
        1 => Some("initiator"),
        2 => Some("responder"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_stands_once_and_every_stored_column_has_one() {
        let mut seen = ColumnSet::of(&[Column::Seq, Column::ReceivedAt]);
        for (place, row) in FLOW_TABLE.iter().enumerate() {
            assert!(FLOW_TABLE.iter().skip(place + 1).all(|other| other.field != row.field), "{}", row.field.name());
            assert!(get(row.field).is_some() && row.field.known().is_some());
            seen = seen.and(row.get.columns());
        }
        let missing: Vec<&str> = Column::ALL.into_iter().filter(|column| !seen.has(*column)).map(Column::name).collect();
        assert_eq!(missing, [""; 0]);
        assert!(get(fields::USER_NAME).is_none() && get(FieldId(u16::MAX)).is_none());
    }

    #[test]
    fn who_asked_is_told_by_the_exporter_then_flags_then_ports() {
        let side = |src_port, dst_port, protocol, tcp_flags, biflow| {
            let (src_ip, dst_ip) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
            let flow = FlowRecord { src_ip, dst_ip, src_port, dst_port, protocol, tcp_flags, biflow, ..FlowRecord::NONE };
            sides(&flow).map_or("none".into(), |sides| format!("{} > {}:{}", sides.client, sides.server, sides.port))
        };
        for (found, expected) in [
            (side(50_000, 443, 6, 0x1b, 0), "10.0.0.1 > 10.0.0.2:443"),
            (side(443, 50_000, 6, 0x1b, 0), "10.0.0.2 > 10.0.0.1:443"),
            // Says only SYN, to a high port.
            (side(443, 50_000, 6, 0x02, 0), "10.0.0.1 > 10.0.0.2:50000"),
            (side(443, 50_000, 6, 0x12, 0), "10.0.0.2 > 10.0.0.1:443"),
            (side(443, 50_000, 6, 0x1b, 1), "10.0.0.1 > 10.0.0.2:50000"),
            (side(50_000, 443, 6, 0x1b, 2), "10.0.0.2 > 10.0.0.1:50000"),
            (side(53, 53, 17, 0, 0), "10.0.0.1 > 10.0.0.2:53"),
            (side(0, 53, 17, 0, 0), "10.0.0.1 > 10.0.0.2:53"),
            (side(0, 2_048, 1, 0, 0), "none"),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn rates_as_nfdump_reckons_them() {
        let of = |field, bytes, packets, millis: i64| {
            let (start, end) = (crate::time::Timestamp(5), crate::time::Timestamp(5 + millis));
            get(field).unwrap().number(&FlowRecord { bytes, packets, start, end, ..FlowRecord::NONE })
        };
        assert_eq!(of(fields::FLOW_PPS, 0, 10, 2_000), Some(5));
        assert_eq!(of(fields::FLOW_BPS, 1_000, 1, 2_000), Some(4_000));
        assert_eq!((of(fields::FLOW_PPS, 1, 10, 0), of(fields::FLOW_PPS, 1, 10, -7)), (Some(0), Some(0)));
        assert_eq!((of(fields::FLOW_BPP, 1_000, 3, 0), of(fields::FLOW_BPP, 1_000, 0, 0)), (Some(333), Some(0)));
        assert_eq!(of(fields::FLOW_BPS, u64::MAX, 1, 1), Some(i64::MAX));
    }
}

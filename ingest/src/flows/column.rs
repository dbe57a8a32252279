//! The columns of the flow store, one row for each: its name in the Parquet files, its type, how it is taken from a
//! `FlowRecord` and put into one, and the ECS field that shows it. Files, chunks and questions all read this table.
//!
//! A question goes through the files by one way (`scan`), which gives typed slices (`chunk`) and no records.
//!
//! Zero stands for what an exporter did not say, as in the record; no column has nulls. A file of an earlier version
//! lacks columns: they read as `FlowRecord::NONE` has them.

use std::net::{IpAddr, Ipv6Addr};

use arrow_schema::{DataType, TimeUnit};

use crate::body::SiteId;
use crate::fields::{self, FieldId};
use crate::flow::FlowRecord;
use crate::frame::Seq;
use crate::time::Timestamp;

/// How a column's values are taken from a record and put into one.
#[derive(Clone, Copy)]
pub enum Access {
    /// Milliseconds since 1970, UTC.
    Time(fn(&FlowRecord) -> i64, fn(&mut FlowRecord, i64)),
    /// Counters, signed because Spark has no others: what is above 2^63-1 is that.
    Long(fn(&FlowRecord) -> i64, fn(&mut FlowRecord, i64)),
    Id(fn(&FlowRecord) -> u64, fn(&mut FlowRecord, u64)),
    Int(fn(&FlowRecord) -> u32, fn(&mut FlowRecord, u32)),
    Short(fn(&FlowRecord) -> u16, fn(&mut FlowRecord, u16)),
    Byte(fn(&FlowRecord) -> u8, fn(&mut FlowRecord, u8)),
    Address(fn(&FlowRecord) -> IpAddr, fn(&mut FlowRecord, IpAddr)),
    Mac(fn(&FlowRecord) -> [u8; 6], fn(&mut FlowRecord, [u8; 6])),
    Site(fn(&FlowRecord) -> SiteId, fn(&mut FlowRecord, SiteId)),
}

/// One row of the table.
#[derive(Clone, Copy)]
pub struct Info {
    pub column: Column,
    /// Its name in the files and, as `flow.<name>`, in questions where no ECS field shows it.
    pub name: &'static str,
    /// The ECS field that shows it, which may write the value another way (transport: a name; duration: nanoseconds).
    pub field: Option<FieldId>,
    pub access: Access,
}

macro_rules! columns {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $field:expr, $kind:ident, $get:expr, $set:expr;)*) => {
        /// The columns in the order of the files.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Column {
            $($(#[$doc])* $id,)*
        }

        impl Column {
            pub const ALL: [Self; COLUMNS] = [$(Self::$id),*];

            /// The column's row.
            pub fn info(self) -> Info {
                match self {
                    $(Self::$id => Info { column: self, name: $name, field: $field, access: Access::$kind($get, $set) },)*
                }
            }
        }

        /// How many columns there are.
        pub const COLUMNS: usize = [$($name),*].len();
    };
}

columns! {
    // column = name, ECS field, type, |record| value, |record, value| put
    Seq = "seq", None, Long, |f| signed(f.seq.0), |f, v| f.seq = Seq(unsigned(v));
    ReceivedAt = "received_at", None, Time, |f| f.received_at.0, |f, v| f.received_at = Timestamp(v);
    Start = "start", None, Time, |f| f.start.0, |f, v| f.start = Timestamp(v);
    /// Milliseconds from start to end; put after the start.
    Duration = "duration_ms", Some(fields::EVENT_DURATION), Long, |f| f.end.since(f.start), |f, v| f.end = f.start.plus(v);
    Site = "site", Some(fields::SITE), Site, |f| f.site, |f, v| f.site = v;
    Exporter = "exporter", Some(fields::OBSERVER_IP), Address, |f| f.exporter, |f, v| f.exporter = v;
    SrcIp = "src_ip", Some(fields::SOURCE_IP), Address, |f| f.src_ip, |f, v| f.src_ip = v;
    DstIp = "dst_ip", Some(fields::DESTINATION_IP), Address, |f| f.dst_ip, |f, v| f.dst_ip = v;
    SrcPort = "src_port", Some(fields::SOURCE_PORT), Short, |f| f.src_port, |f, v| f.src_port = v;
    DstPort = "dst_port", Some(fields::DESTINATION_PORT), Short, |f| f.dst_port, |f, v| f.dst_port = v;
    Protocol = "protocol", Some(fields::NETWORK_TRANSPORT), Byte, |f| f.protocol, |f, v| f.protocol = v;
    TcpFlags = "tcp_flags", None, Byte, |f| f.tcp_flags, |f, v| f.tcp_flags = v;
    Tos = "tos", None, Byte, |f| f.tos, |f, v| f.tos = v;
    Version = "version", None, Byte, |f| f.version, |f, v| f.version = v;
    Bytes = "bytes", Some(fields::NETWORK_BYTES), Long, |f| signed(f.bytes), |f, v| f.bytes = unsigned(v);
    Packets = "packets", Some(fields::NETWORK_PACKETS), Long, |f| signed(f.packets), |f, v| f.packets = unsigned(v);
    Sampling = "sampling", None, Int, |f| f.sampling, |f, v| f.sampling = v;
    InIf = "in_if", None, Int, |f| f.in_if, |f, v| f.in_if = v;
    OutIf = "out_if", None, Int, |f| f.out_if, |f, v| f.out_if = v;
    SrcAs = "src_as", Some(fields::SOURCE_AS_NUMBER), Int, |f| f.src_as, |f, v| f.src_as = v;
    DstAs = "dst_as", Some(fields::DESTINATION_AS_NUMBER), Int, |f| f.dst_as, |f, v| f.dst_as = v;
    Domain = "domain", None, Int, |f| f.domain, |f, v| f.domain = v;
    NextHop = "next_hop", None, Address, |f| f.next_hop, |f, v| f.next_hop = v;
    SrcMask = "src_mask", None, Byte, |f| f.src_mask, |f, v| f.src_mask = v;
    DstMask = "dst_mask", None, Byte, |f| f.dst_mask, |f, v| f.dst_mask = v;
    Direction = "direction", None, Byte, |f| f.direction, |f, v| f.direction = v;
    EndReason = "end_reason", None, Byte, |f| f.end_reason, |f, v| f.end_reason = v;
    FirewallEvent = "firewall_event", None, Byte, |f| f.firewall_event, |f, v| f.firewall_event = v;
    NatEvent = "nat_event", None, Byte, |f| f.nat_event, |f, v| f.nat_event = v;
    Forwarding = "forwarding", None, Byte, |f| f.forwarding, |f, v| f.forwarding = v;
    Biflow = "biflow", None, Byte, |f| f.biflow, |f, v| f.biflow = v;
    NatSrcIp = "nat_src_ip", None, Address, |f| f.nat_src_ip, |f, v| f.nat_src_ip = v;
    NatDstIp = "nat_dst_ip", None, Address, |f| f.nat_dst_ip, |f, v| f.nat_dst_ip = v;
    NatSrcPort = "nat_src_port", None, Short, |f| f.nat_src_port, |f, v| f.nat_src_port = v;
    NatDstPort = "nat_dst_port", None, Short, |f| f.nat_dst_port, |f, v| f.nat_dst_port = v;
    SrcMac = "src_mac", Some(fields::SOURCE_MAC), Mac, |f| f.src_mac, |f, v| f.src_mac = v;
    DstMac = "dst_mac", Some(fields::DESTINATION_MAC), Mac, |f| f.dst_mac, |f, v| f.dst_mac = v;
    InVlan = "in_vlan", None, Short, |f| f.in_vlan, |f, v| f.in_vlan = v;
    OutVlan = "out_vlan", None, Short, |f| f.out_vlan, |f, v| f.out_vlan = v;
    MplsLabel = "mpls_label", None, Int, |f| f.mpls_label, |f, v| f.mpls_label = v;
    InVrf = "in_vrf", None, Int, |f| f.in_vrf, |f, v| f.in_vrf = v;
    OutVrf = "out_vrf", None, Int, |f| f.out_vrf, |f, v| f.out_vrf = v;
    MinTtl = "min_ttl", None, Byte, |f| f.min_ttl, |f, v| f.min_ttl = v;
    MaxTtl = "max_ttl", None, Byte, |f| f.max_ttl, |f, v| f.max_ttl = v;
    MinLength = "min_length", None, Short, |f| f.min_length, |f, v| f.min_length = v;
    MaxLength = "max_length", None, Short, |f| f.max_length, |f, v| f.max_length = v;
    FlowLabel = "flow_label", None, Int, |f| f.flow_label, |f, v| f.flow_label = v;
    FlowId = "flow_id", None, Id, |f| f.flow_id, |f, v| f.flow_id = v;
    Application = "application", None, Id, |f| f.application, |f, v| f.application = v;
    DroppedBytes = "dropped_bytes", None, Long, |f| signed(f.dropped_bytes), |f, v| f.dropped_bytes = unsigned(v);
    DroppedPackets = "dropped_packets", None, Long, |f| signed(f.dropped_packets), |f, v| f.dropped_packets = unsigned(v);
}

impl Column {
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The column of that name in the files.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    /// The column that an ECS field is read from.
    pub fn of_field(field: FieldId) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.info().field == Some(field))
    }

    /// Whether files of the first version, which have no more, have it.
    pub(super) fn is_old(self) -> bool {
        self <= Self::DstAs
    }

    pub(super) fn data_type(self) -> DataType {
        match self.info().access {
            Access::Time(..) => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Access::Long(..) => DataType::Int64,
            Access::Id(..) => DataType::UInt64,
            Access::Int(..) => DataType::UInt32,
            Access::Short(..) => DataType::UInt16,
            Access::Byte(..) => DataType::UInt8,
            Access::Address(..) => DataType::FixedSizeBinary(16),
            Access::Mac(..) => DataType::FixedSizeBinary(6),
            Access::Site(..) => DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()),
        }
    }
}

/// Some of the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColumnSet(u64);

impl ColumnSet {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(u64::MAX >> (64 - COLUMNS));

    pub fn of(columns: &[Column]) -> Self {
        columns.iter().fold(Self::NONE, |set, column| set.with(*column))
    }

    #[must_use]
    pub const fn with(self, column: Column) -> Self {
        Self(self.0 | 1 << column as u64)
    }

    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without those of the other.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub const fn has(self, column: Column) -> bool {
        self.0 >> column as u64 & 1 == 1
    }

    /// In the order of the files.
    pub fn iter(self) -> impl Iterator<Item = Column> {
        Column::ALL.into_iter().filter(move |column| self.has(*column))
    }
}

/// An address as the files and chunks have it: network order, IPv4 as `::ffff:a.b.c.d`.
pub fn address_octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The address behind the octets.
pub fn octets_address(octets: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(octets).to_canonical()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    number.max(0).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (n, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!((column as usize, Column::named(column.name())), (n, Some(column)));
            assert!(ColumnSet::ALL.has(column) && !ColumnSet::NONE.has(column));
        }
        assert_eq!(ColumnSet::of(&Column::ALL), ColumnSet::ALL);
        assert_eq!(ColumnSet::of(&[Column::DstIp, Column::Seq]).iter().collect::<Vec<_>>(), [Column::Seq, Column::DstIp]);
    }
}

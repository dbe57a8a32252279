//! The compiled filter held against the query that it is made of.

use proptest::prelude::{
    ProptestConfig, Strategy, any as any_value, prop, prop_assert, prop_assert_eq, prop_compose, prop_oneof, proptest,
};

use super::*;
use crate::body::Site;
use crate::flow::NO_ADDRESS;
use crate::flows::values::Values;
use crate::frame::Seq;
use crate::id::Ulid;
use crate::time::Timestamp;

fn sites() -> SiteTable {
    let site = |n: u128, prefix: &str| Site {
        id: SiteId(Ulid(n)),
        name: format!("Rathaus-{n}"),
        body: None,
        prefixes: vec![prefix.parse().unwrap()],
        certificates: vec![],
        tokens: vec![],
    };
    SiteTable::new(vec![site(1, "10.1.0.0/16"), site(2, "10.2.0.0/16")])
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop::sample::select(vec![
        "10.1.0.1",
        "10.1.0.2",
        "10.2.0.9",
        "198.51.100.7",
        "0.0.0.0",
        "255.255.255.255",
        "2001:db8::1",
        "fe80::1",
        "::",
        "::fffe:ffff:ffff",
        "::1:0:0:0",
        "::ffff:10.1.0.1",
    ])
    .prop_map(|text| text.parse().unwrap())
}

prop_compose! {
    fn any_flow()(
        src_ip in any_address(), dst_ip in any_address(), nat_src_ip in any_address(), next_hop in any_address(), exporter in any_address(),
        ports in prop::sample::select(vec![(0u16, 0u16), (443, 50_000), (50_000, 443), (53, 53), (1, 65_535), (2_048, 771)]),
        protocol in prop::sample::select(vec![0u8, 1, 6, 17, 58, 200]),
        bytes in prop::sample::select(vec![0u64, 1, 40, 1_000_000, 1_000_001, u64::MAX]),
        packets in prop::sample::select(vec![0u64, 1, 3, 1_000, u64::MAX]),
        times in (0i64..5_000, prop::sample::select(vec![-5i64, 0, 1, 7, 1_000, 60_000, i64::MAX / 2])),
        small in (any_value::<u8>(), any_value::<u8>(), 0u8..6, 0u8..3, any_value::<u8>(), prop::sample::select(vec![0u8, 5, 9, 10, 105])),
        site in 0u128..4, sampling in prop::sample::select(vec![0u32, 1, 100, u32::MAX]),
        mac in prop::sample::select(vec![[0u8; 6], [0, 0, 0x5e, 0, 0x53, 0x23]]), vlan in 0u16..3, flow_id in prop::sample::select(vec![0u64, 7, u64::MAX]),
    ) -> FlowRecord {
        FlowRecord {
            seq: Seq(1), received_at: Timestamp(times.0), start: Timestamp(times.0), end: Timestamp(times.0.saturating_add(times.1)),
            site: SiteId(Ulid(site)), exporter, src_ip, dst_ip, nat_src_ip, next_hop, src_port: ports.0, dst_port: ports.1, protocol, bytes, packets,
            tcp_flags: small.0, tos: small.1, end_reason: small.2, biflow: small.3, forwarding: small.4, version: small.5, sampling, src_mac: mac,
            in_vlan: vlan, flow_id, ..FlowRecord::NONE
        }
    }
}

fn any_term() -> impl Strategy<Value = String> {
    let address = prop::sample::select(vec![
        "*",
        "10.1.0.1",
        "10.1.0.0/24",
        "0.0.0.0/0",
        "::/0",
        "2001:db8::/32",
        "10.1.0.1..10.2.0.9",
        "[:: TO ffff::]",
        "0.0.0.0",
        "10.1.*",
        "::ffff:10.1.0.2",
        "::",
        "::ffff:0:0/96",
        "[10.0.0.0 TO 198.51.100.7]",
    ]);
    let addressed = prop::sample::select(vec![
        "source.ip",
        "destination.ip",
        "observer.ip",
        "source.nat.ip",
        "destination.nat.ip",
        "flow.next_hop",
        "client.ip",
        "server.ip",
    ]);
    let number = prop::sample::select(vec![
        "*",
        "0",
        "1",
        "443",
        "0443",
        ">=443",
        "<443",
        ">0",
        "[0 TO 53]",
        "1..1000000",
        "4*",
        "1000000",
        ">1000000",
        ">=9223372036854775807",
        "<=-1",
        "7000000",
        ">7000001",
        "<=60000000000",
        "-5000000",
        "[* TO 1]",
    ]);
    let numbered = prop::sample::select(vec![
        "source.port",
        "destination.port",
        "network.bytes",
        "network.packets",
        "event.duration",
        "flow.tos",
        "flow.sampling",
        "flow.bytes_scaled",
        "flow.packets_scaled",
        "flow.pps",
        "flow.bps",
        "flow.bpp",
        "server.port",
        "flow.icmp_type",
        "network.vlan.id",
        "network.iana_number",
        "flow.flow_id",
        "flow.min_ttl",
        "user.count",
    ]);
    let word = prop::sample::select(vec![
        "*",
        "tcp",
        "UDP",
        "t*",
        "syn",
        "SYN",
        "ACK",
        "ipv4",
        "ipfix",
        "netflow5",
        "inbound",
        "in*",
        "internal",
        "idle",
        "initiator",
        "dropped",
        "Rathaus-1",
        "rathaus-*",
        "unbekannt",
        "event",
        "network_flow",
        "00-00-5E-00-53-23",
        "00-00-00-00-00-00",
        "00-*",
        "00:00:5e:00:53:23",
        "6",
    ]);
    let worded = prop::sample::select(vec![
        "network.transport",
        "flow.tcp_flags",
        "network.type",
        "flow.version",
        "network.direction",
        "flow.end_reason",
        "flow.biflow",
        "flow.forwarding",
        "site",
        "event.kind",
        "event.action",
        "source.mac",
        "network.community_id",
        "user.name",
    ]);
    prop_oneof![
        4 => (addressed, address).prop_map(|(field, value)| quoted(field, value)),
        4 => (numbered, number).prop_map(|(field, value)| format!("{field}:{value}")),
        4 => (worded, word).prop_map(|(field, value)| quoted(field, value)),
        1 => prop::sample::select(vec!["*", "failed", "\"\"x", "_defect:*", "_defect:no_year", "\"-\"", "@timestamp:>1970-01-01T00:00:02Z", "@timestamp:[1970-01-01T00:00:01Z TO 1970-01-01T00:00:03Z]"]).prop_map(str::to_owned),
    ]
}

/// A colon in a bare value begins no field, but a bare `::` may not stand there.
fn quoted(field: &str, value: &str) -> String {
    if value.starts_with(['*', '[']) || value.contains(['*']) || value.contains("..") {
        format!("{field}:{value}")
    } else {
        format!("{field}:\"{value}\"")
    }
}

fn any_query() -> impl Strategy<Value = String> {
    any_term().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..5).prop_map(|terms| format!("({})", terms.join(" AND "))),
            prop::collection::vec(inner.clone(), 1..5).prop_map(|terms| format!("({})", terms.join(" OR "))),
            inner.prop_map(|term| format!("NOT {term}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_compiled_filter_says_what_the_query_says(text in any_query(), flows in prop::collection::vec(any_flow(), 1..40)) {
        let Ok(query) = Query::parse_fixed(&text) else { return Ok(()) };
        let sites = sites();
        let filter = FlowFilter::new(&query, &sites);
        // By columns, of which it sees only those that it names; counters as the files keep them.
        let values = |columns: ColumnSet| -> Vec<(Column, Values)> {
            columns.iter().map(|column| {
                let mut values = Values::new(column, flows.len());
                values.extend(column, &flows);
                (column, values)
            }).collect()
        };
        let (whole, named) = (values(ColumnSet::ALL), values(filter.needed()));
        let (whole, named) = (Chunk::of(flows.len(), &whole), Chunk::of(flows.len(), &named));
        let mut mask = Mask::full(flows.len());
        filter.narrow(&named, &sites, &mut mask);
        for row in 0..flows.len() {
            let expected = query.matches(&FlowView { flow: &whole.record(row), sites: &sites });
            prop_assert_eq!(mask.has(row), expected, "{} by columns on {:?}", text, whole.record(row));
        }
        // As the files keep them: counters beyond 2^63 are that.
        let stored: Vec<FlowRecord> = (0..flows.len()).map(|row| whole.record(row)).collect();
        for flow in &stored {
            let expected = query.matches(&FlowView { flow, sites: &sites });
            prop_assert_eq!(filter.matches(flow), expected, "{} on {:?}", text, flow);
            if !expected {
                continue;
            }
            // Whatever is left out of the files must not match.
            for (columns, ranges) in filter.address_bounds() {
                let has = |column: &Column| value::column_address(column.info().access, flow).is_some_and(|address| Ranges::of(ranges.clone()).has(bits(address)));
                prop_assert!(columns.iter().any(has), "{} prunes {:?}", text, flow);
            }
            for (column, low, high) in filter.number_bounds() {
                prop_assert!((low..=high).contains(&value::column_number(column.info().access, flow)), "{} prunes {:?}", text, flow);
            }
            // The columns that it names are all that it looks at.
            let mut bare = FlowRecord::NONE;
            for column in filter.columns().with(Column::Start).iter() {
                put(column, flow, &mut bare);
            }
            prop_assert!(filter.matches(&bare), "{} looks at more than {:?}", text, filter.columns().iter().collect::<Vec<_>>());
        }
    }
}

fn put(column: Column, from: &FlowRecord, to: &mut FlowRecord) {
    match column.info().access {
        Access::Time(of, put) | Access::Long(of, put) => put(to, of(from)),
        Access::Id(of, put) => put(to, of(from)),
        Access::Int(of, put) => put(to, of(from)),
        Access::Short(of, put) => put(to, of(from)),
        Access::Byte(of, put) => put(to, of(from)),
        Access::Address(of, put) => put(to, of(from)),
        Access::Mac(of, put) => put(to, of(from)),
        Access::Site(of, put) => put(to, of(from)),
    }
}

#[test]
fn what_usual_queries_become() {
    let sites = sites();
    let slow = |text: &str| FlowFilter::new(&Query::parse_fixed(text).unwrap(), &sites).is_slow();
    for text in [
        "source.ip:10.0.0.0/8 AND destination.port:3389 AND network.bytes:>1000000",
        "NOT flow.tcp_flags:ACK",
        "site:rat* network.direction:in*",
        "source.mac:00-00-5e-00-53-23",
    ] {
        assert!(!slow(text), "{text}");
    }
    assert!(slow("source.ip:10.1.*") && slow("network.community_id:\"1:x\""));
    let list = (1..200).map(|n| format!("source.ip:10.0.0.{n}")).collect::<Vec<_>>().join(" OR ");
    let filter = FlowFilter::new(&Query::parse_fixed(&list).unwrap(), &sites);
    assert!(matches!(&filter.root, Check::Address(Column::SrcIp, _, ranges) if ranges.0.len() == 199));
    assert!(FlowFilter::new(&Query::all(), &sites).is_all());
    let nothing = FlowFilter::new(&Query::parse_fixed("user.name:root").unwrap(), &sites);
    assert!(matches!(nothing.root, Check::Always(false)));
    assert!(!nothing.matches(&FlowRecord { src_ip: NO_ADDRESS, ..FlowRecord::NONE }));
}

#[test]
fn either_end_prunes_by_both_columns() {
    let sites = sites();
    let query = Query::parse_fixed("(source.ip:10.0.0.1 OR destination.ip:10.0.0.1) AND destination.port:22..25").unwrap();
    let filter = FlowFilter::new(&query, &sites);
    let one = bits("10.0.0.1".parse().unwrap());
    assert_eq!(filter.address_bounds(), [(vec![Column::SrcIp, Column::DstIp], vec![(one, one)])]);
    assert_eq!(filter.number_bounds(), [(Column::DstPort, 22, 25)]);
    let half = FlowFilter::new(&Query::parse_fixed("source.ip:10.0.0.1 OR destination.port:22").unwrap(), &sites);
    assert!(half.address_bounds().is_empty() && half.number_bounds().is_empty());
}

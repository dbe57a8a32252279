//! Questions held against naive ones over the same records.

use std::path::Path as FilePath;
use std::sync::Arc;

use expect_test::expect;
use proptest::prelude::*;

use super::conversation::stitched;
use super::*;
use crate::body::{BodyId, Site, SiteId};
use crate::events::Value;
use crate::fields;
use crate::flows::{FlowConsumer, FlowStore};
use crate::frame::Seq;
use crate::id::Ulid;
use crate::pipeline::{Batch, Consumer};
use crate::query::Pipeline;
use crate::record::{FlowView, Record};

const T0: i64 = 1_795_262_400_000;

fn sites() -> SiteTable {
    let site = |n: u128, body: u128| Site {
        id: SiteId(Ulid(n)),
        name: format!("rathaus-{n}"),
        body: Some(BodyId(Ulid(body))),
        prefixes: vec![format!("10.{n}.0.0/16").parse().unwrap()],
        certificates: vec![],
        tokens: vec![],
    };
    SiteTable::new(vec![site(1, 1), site(2, 2)])
}

prop_compose! {
    fn any_flow()(
        src in (1u8..3, 0u8..4), dst in prop::sample::select(vec!["10.1.0.1", "10.2.0.2", "198.51.100.7", "2001:db8::1"]),
        ports in prop::sample::select(vec![(50_000u16, 443u16), (443, 50_000), (40_000, 22), (53, 53), (0, 0)]),
        protocol in prop::sample::select(vec![6u8, 17, 1, 200]), bytes in prop::sample::select(vec![0u64, 40, 1_500, 1 << 40, 1 << 62]),
        packets in 0u64..5, at in 0i64..7_200_000, length in 0i64..90_000, site in 0u128..4, sampling in prop::sample::select(vec![0u32, 1, 100]),
        flags in any::<u8>(),
    ) -> FlowRecord {
        let received_at = Timestamp(T0 + at);
        FlowRecord {
            received_at, start: received_at.plus(-length), end: received_at, site: SiteId(Ulid(site)), src_ip: std::net::IpAddr::from([10, src.0, 0, src.1]),
            dst_ip: dst.parse().unwrap(), src_port: ports.0, dst_port: ports.1, protocol, bytes, packets, sampling, tcp_flags: flags, ..FlowRecord::NONE
        }
    }
}

/// Three flows a datagram, in order of receipt; a part of them in files.
fn filled(dir: &FilePath, flows: &mut [FlowRecord]) -> Arc<FlowStore> {
    flows.sort_by_key(|flow| flow.received_at);
    for (n, datagram) in (1u64..).zip(flows.chunks_mut(3)) {
        let at = datagram[0].received_at;
        datagram.iter_mut().for_each(|flow| (flow.seq, flow.received_at) = (Seq(n), at));
    }
    let store = FlowStore::open(dir).unwrap();
    let mut consumer = FlowConsumer::new(Arc::clone(&store));
    let half = flows.chunks(3).count() / 2 * 3;
    for (part, flush) in [(&flows[..half], true), (&flows[half..], false)] {
        if let Some(last) = part.last() {
            let batch = Batch { last: last.seq, flows: part.to_vec(), ..Batch::default() };
            consumer.apply(&batch).unwrap();
        }
        if flush {
            consumer.flush().unwrap();
        }
    }
    store
}

const QUERIES: [&str; 8] = [
    "*",
    "destination.port:443",
    "source.ip:10.1.0.0/16 AND NOT network.transport:udp",
    "network.bytes:>1000 OR flow.tcp_flags:SYN",
    "network.direction:outbound",
    "site:rathaus-1",
    "server.port:443",
    "NOT source.ip:10.1.*",
];

const PIPES: [&str; 16] = [
    "count",
    "count by site",
    "count by source.ip, destination.ip",
    "count by network.transport, server.port, network.direction",
    "top 3 source.ip by bytes",
    "top 5 destination.port by packets",
    "top 4 server.port by flows",
    "top 4 client.ip by sum(flow.bytes_scaled)",
    "rare 3 destination.ip",
    "histogram 5m",
    "histogram 10m by network.transport",
    "stats sum(network.bytes), count, sum(flow.packets_scaled) by network.type",
    "stats sum(network.bytes)",
    "stats p95(network.bytes), dc(source.ip) by destination.port",
    "count by flow.tcp_flags",
    "stats sum(network.bytes) by source.ip, destination.ip | sort -sum(network.bytes) | head 3",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn answers_equal_the_naive_ones(
        mut flows in prop::collection::vec(any_flow(), 0..90), query in prop::sample::select(QUERIES.to_vec()), pipe in prop::sample::select(PIPES.to_vec()),
        window in (0i64..4_000_000, 1i64..7_200_000), owner in 0u128..3, limit in 1usize..20,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = filled(dir.path(), &mut flows);
        let sites = sites();
        let scope = if owner == 0 { Scope::All } else { Scope::Bodies(vec![BodyId(Ulid(owner))]) };
        let pipeline = Pipeline::parse(&format!("{query} | {pipe}"), Timestamp(T0)).unwrap();
        let mut question = FlowQuestion::new(&pipeline.query, &scope, &sites);
        (question.from, question.to) = (Timestamp(T0 + window.0), Timestamp(T0 + window.0 + window.1));
        let wanted = |from: Timestamp, to: Timestamp| -> Vec<FlowRecord> {
            let fits = |flow: &&FlowRecord| {
                (from..to).contains(&flow.received_at) && scope.site_allowed(flow.site, &sites) && pipeline.query.matches(&FlowView { flow, sites: &sites })
            };
            flows.iter().filter(fits).copied().collect()
        };
        let matching = wanted(question.from, question.to);
        let total = |flows: &[FlowRecord]| {
            let mut sums = Sums::default();
            flows.iter().for_each(|flow| sums.add(flow));
            sums
        };

        let found = store.ask(&question, &pipeline).unwrap();
        let naive = table::naive(&matching, &pipeline, &question);
        prop_assert_eq!(Some(&found.table), naive.as_ref());
        prop_assert_eq!((found.total, found.partial), (total(&matching), false));
        if !found.sums.is_empty() {
            prop_assert_eq!(found.sums.len(), found.table.rows.len());
        }

        // Page by page every flow once, the newest first.
        let (mut paged, mut cursor): (Vec<FlowRecord>, Option<FlowCursor>) = (vec![], None);
        loop {
            let page = store.page(&question, cursor, limit).unwrap();
            prop_assert!(page.flows.len() < limit + 3);
            paged.extend(&page.flows);
            cursor = page.next;
            prop_assert!(cursor.is_none_or(|cursor| cursor.to_string().parse::<FlowCursor>().unwrap() == cursor));
            if cursor.is_none() {
                break;
            }
        }
        prop_assert!(paged.is_sorted_by_key(|flow| std::cmp::Reverse((flow.received_at, flow.seq))));
        let key = |flow: &FlowRecord| format!("{flow:?}");
        let sorted = |flows: &[FlowRecord]| { let mut keys: Vec<String> = flows.iter().map(key).collect(); keys.sort(); keys };
        prop_assert_eq!(sorted(&paged), sorted(&matching));

        for (by, amount) in [(&[fields::SOURCE_IP][..], Amount::Bytes), (&[fields::CLIENT_IP, fields::SERVER_PORT][..], Amount::Flows), (&[fields::NETWORK_TRANSPORT][..], Amount::PacketsScaled)] {
            let request = OverviewRequest { question: question.clone(), by, amount, rows: 4, series: 2, bars: 7, paths: true };
            let overview = store.overview(&request).unwrap();
            let before = wanted(question.from.plus(-window.1), question.from);
            prop_assert_eq!((overview.total, overview.before), (total(&matching), total(&before)));
            let of = |flow: &FlowRecord, fields: &[crate::fields::FieldId]| -> Vec<String> {
                fields.iter().map(|field| FlowView { flow, sites: &sites }.first_text(*field).unwrap_or_default()).collect()
            };
            let texts = |values: &[Value]| values.iter().map(|value| value.text().into_owned()).collect::<Vec<_>>();
            let mut left: Vec<u64> = vec![];
            for row in &overview.rows {
                let own = |flows: &[FlowRecord]| total(&flows.iter().filter(|flow| of(flow, by) == texts(&row.values)).copied().collect::<Vec<_>>());
                prop_assert_eq!((row.sums, row.before), (own(&matching), own(&before)));
                left.push(row.sums.of(amount));
            }
            prop_assert!(left.is_sorted_by_key(|value| std::cmp::Reverse(*value)));
            prop_assert!(overview.rows.len() == overview.groups.min(4));
            // The curves add up to what they are of.
            let sum = |values: &mut dyn Iterator<Item = u64>| values.fold(0u64, u64::saturating_add);
            let all = sum(&mut overview.curves.iter().flatten().copied());
            prop_assert_eq!(all, total(&matching).of(amount));
            prop_assert_eq!(sum(&mut overview.curve_before.iter().copied()), total(&before).of(amount));
            for (place, row) in overview.rows.iter().take(2).enumerate() {
                prop_assert_eq!(sum(&mut overview.curves.iter().map(|bar| bar[place])), row.sums.of(amount));
            }
            let ways: u64 = overview.paths.iter().map(|path| path.sums.flows).sum();
            prop_assert_eq!(ways, matching.iter().filter(|flow| crate::flows::value::sides(flow).is_some()).count() as u64);
        }
    }
}

#[test]
fn who_leaves_ends_it_and_what_is_there_is_a_part() {
    let dir = tempfile::tempdir().unwrap();
    let mut flows: Vec<FlowRecord> = (0..9).map(|n| FlowRecord { received_at: Timestamp(T0 + n), ..FlowRecord::NONE }).collect();
    let store = filled(dir.path(), &mut flows);
    let (sites, pipeline) = (sites(), Pipeline::parse("* | count", Timestamp(T0)).unwrap());
    let question = FlowQuestion::new(&pipeline.query, &Scope::All, &sites);
    question.cancel.cancel();
    let found = store.ask(&question, &pipeline).unwrap();
    assert!(found.partial && found.ended_early && found.total.flows < 9);
    let page = store.page(&question, None, 5).unwrap();
    assert!(page.partial && page.flows.is_empty());
}

#[test]
fn lines_of_flows_are_a_table_too() {
    let dir = tempfile::tempdir().unwrap();
    let flow = |n: u8| FlowRecord {
        received_at: Timestamp(T0 + i64::from(n)),
        start: Timestamp(T0 + i64::from(n)),
        src_ip: [10, 1, 0, n].into(),
        dst_ip: [10, 2, 0, 1].into(),
        src_port: 50_000,
        dst_port: 443,
        protocol: 6,
        tcp_flags: 0x12,
        bytes: u64::from(n) * 100,
        ..FlowRecord::NONE
    };
    let mut flows: Vec<FlowRecord> = (1..6).map(flow).collect();
    let store = filled(dir.path(), &mut flows);
    let sites = sites();
    let mut out = String::new();
    for text in
        ["* | head 2", "* | sort network.bytes | head 1", "* | fields source.ip, flow.tcp_flags | head 1", "destination.port:80 | head 3"]
    {
        let pipeline = Pipeline::parse(text, Timestamp(T0)).unwrap();
        let found = store.ask(&FlowQuestion::new(&pipeline.query, &Scope::All, &sites), &pipeline).unwrap();
        out += &format!("{text}: {}\n", if found.partial { "part" } else { "all" });
        for row in found.table.rows {
            out += &format!("    {}\n", row.iter().map(|value| value.text().into_owned()).collect::<Vec<_>>().join(" "));
        }
    }
    expect![[r#"
        * | head 2: all
            2026-11-21T12:00:00.004Z unbekannt 10.1.0.4 50000 10.2.0.1 443 tcp SYN ACK 400 0
            2026-11-21T12:00:00.005Z unbekannt 10.1.0.5 50000 10.2.0.1 443 tcp SYN ACK 500 0
        * | sort network.bytes | head 1: all
            2026-11-21T12:00:00.001Z unbekannt 10.1.0.1 50000 10.2.0.1 443 tcp SYN ACK 100 0
        * | fields source.ip, flow.tcp_flags | head 1: all
            10.1.0.4 SYN ACK
        destination.port:80 | head 3: all
    "#]]
    .assert_eq(&out);
}

#[test]
fn a_long_connection_is_one_session_and_a_new_one_another() {
    let tuple = Tuple { client: [10, 1, 0, 1].into(), client_port: 50_000, server: [10, 2, 0, 1].into(), server_port: 443, protocol: 6 };
    let flow = |seconds: i64, length: i64, flags: u8, end_reason: u8, back: bool| {
        let flow = FlowRecord {
            start: Timestamp(T0 + seconds * 1_000),
            end: Timestamp(T0 + (seconds + length) * 1_000),
            src_ip: tuple.client,
            dst_ip: tuple.server,
            src_port: tuple.client_port,
            dst_port: tuple.server_port,
            protocol: 6,
            tcp_flags: flags,
            end_reason,
            bytes: 100,
            packets: 1,
            ..FlowRecord::NONE
        };
        if back { flow.turned() } else { flow }
    };
    let shown = |flows: Vec<FlowRecord>| {
        let found = stitched(flows, &tuple);
        let one = |session: &Session| {
            format!("{}+{} in {} s", session.there.flows, session.back.flows, session.last.since(session.first) / 1_000)
        };
        found.sessions.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    for (name, flows, expected) in [
        ("both ways", vec![flow(0, 10, 0x1b, 3, false), flow(0, 10, 0x1b, 3, true)], "1+1 in 10 s"),
        (
            "cut by the active time-out",
            vec![flow(0, 60, 0x18, 2, false), flow(61, 60, 0x18, 2, false), flow(400, 5, 0x18, 1, false)],
            "3+0 in 405 s",
        ),
        ("an idle end and long after", vec![flow(0, 10, 0x18, 1, false), flow(200, 5, 0x18, 1, false)], "1+0 in 10 s, 1+0 in 5 s"),
        ("the same port again", vec![flow(0, 10, 0x1b, 3, false), flow(12, 5, 0x1b, 3, false)], "1+0 in 10 s, 1+0 in 5 s"),
        ("the last acknowledgement", vec![flow(0, 10, 0x1b, 3, false), flow(12, 0, 0x10, 1, true)], "1+1 in 12 s"),
        ("nothing", vec![], ""),
    ] {
        assert_eq!(shown(flows), expected, "{name}");
    }
    assert_eq!(Tuple::of(&flow(0, 1, 0x1b, 3, true)), tuple);
}

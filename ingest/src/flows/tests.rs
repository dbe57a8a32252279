//! The store against a naive computation, across restarts, replays, crashes and damage.

use std::net::{IpAddr, Ipv4Addr};

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::ask::FlowQuestion;
use super::*;
use crate::body::{BodyId, Site, SiteId, SiteTable};
use crate::event::ValueRef;
use crate::events::Value;
use crate::fields;
use crate::id::Ulid;
use crate::pipeline::{Batch, Consumer};
use crate::query::Pipeline;
use crate::record::{FlowView, Record};
use crate::scope::Scope;

/// 2026-09-21T14:13:20Z.
pub(super) const T0: i64 = 1_790_000_000_000;

pub(super) fn site(n: u64) -> SiteId {
    SiteId(Ulid(n.into()))
}

pub(super) fn body(n: u64) -> BodyId {
    BodyId(Ulid(n.into()))
}

/// Sites 1 to 4; 1 and 2 are body 1's, 3 is body 2's, 4 is nobody's.
pub(super) fn sites() -> SiteTable {
    let one = |n: u64, owner: Option<u64>| Site {
        id: site(n),
        name: format!("s{n}"),
        body: owner.map(body),
        prefixes: vec![],
        certificates: vec![],
        tokens: vec![],
    };
    SiteTable::new(vec![one(1, Some(1)), one(2, Some(1)), one(3, Some(2)), one(4, None)])
}

pub(super) fn flow(seq: u64, received_secs: i64) -> FlowRecord {
    let at = Timestamp(T0 + received_secs * 1_000);
    FlowRecord {
        seq: Seq(seq),
        received_at: at,
        start: at.plus(-3_000),
        end: at.plus(-1_000),
        site: site(1 + seq % 4),
        exporter: "10.0.0.1".parse().unwrap(),
        src_ip: IpAddr::V4(Ipv4Addr::new(10, 0, 1, seq as u8)),
        dst_ip: "2001:db8::1".parse().unwrap(),
        src_port: 50_000,
        dst_port: 443,
        protocol: 6,
        tcp_flags: 0x1b,
        tos: 0,
        version: 9,
        bytes: 1_000,
        packets: 10,
        sampling: 1,
        in_if: 1,
        out_if: 2,
        src_as: 0,
        dst_as: 64_512,
        ..FlowRecord::NONE
    }
}

pub(super) fn batch(first: u64, last: u64, flows: Vec<FlowRecord>) -> Batch {
    Batch { first: Seq(first), last: Seq(last), flows, ..Batch::default() }
}

pub(super) fn range<'a>(scope: &'a Scope, sites: &'a SiteTable) -> FlowRange<'a> {
    FlowRange { from: Timestamp(0), to: Timestamp(i64::MAX), filter: FILTER_NONE, scope, sites }
}

/// All records, oldest first.
pub(super) fn all(store: &FlowStore) -> Vec<FlowRecord> {
    let mut found = store.list(&range(&Scope::All, &sites()), 10_000).unwrap();
    found.reverse();
    found
}

pub(super) fn consumer(dir: &Path) -> (Arc<FlowStore>, FlowConsumer) {
    let store = FlowStore::open(dir).unwrap();
    (Arc::clone(&store), FlowConsumer::new(store))
}

/// The files below the store's directory, sorted.
pub(super) fn tree(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(dir).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn check_tree(dir: &Path, expected: Expect) {
    expected.assert_eq(&tree(dir).join("\n"));
}

#[test]
fn a_file_for_each_five_minutes_and_queries_see_the_open_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer) = consumer(dir.path());
    let flows: Vec<FlowRecord> = [0, 1, 90, 250, 299, 300, 301, 900].into_iter().zip(1..).map(|(secs, seq)| flow(seq, secs)).collect();
    consumer.apply(&batch(1, 9, flows.clone())).unwrap();
    assert_eq!(all(&store), flows);
    let FlowStats { files, records, open_records, cursor, .. } = store.stats();
    assert_eq!((files, records, open_records, cursor), (2, 8, 1, Seq(7)));
    consumer.tick(Timestamp(T0 + 901_000)).unwrap();
    assert_eq!(store.stats().open_records, 1, "its five minutes are not over");
    consumer.tick(Timestamp(T0 + 1_200_000)).unwrap();
    assert_eq!((store.stats().open_records, consumer.cursor()), (0, Seq(9)));
    assert_eq!(all(&store), flows);
    check_tree(
        dir.path(),
        expect![[r#"
            2026-09-21/1410-1.parquet
            2026-09-21/1415-4.parquet
            2026-09-21/1425-8.parquet"#]],
    );
}

#[test]
fn a_restart_resumes_at_the_cursor_and_a_replay_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let batches: Vec<Batch> =
        (0..10).map(|n| batch(n * 10 + 1, n * 10 + 10, (1..=5).map(|k| flow(n * 10 + k, n as i64)).collect())).collect();
    let expected: Vec<FlowRecord> = batches.iter().flat_map(|batch| batch.flows.clone()).collect();
    // Every run gets all batches again from the start, and stops (without flushing) two further than the last.
    for run in 1..=5 {
        let (store, mut consumer) = consumer(dir.path());
        assert_eq!(consumer.cursor(), Seq(run * 10 - 10));
        for (n, batch) in (1..).zip(&batches) {
            if n <= run * 2 {
                consumer.apply(batch).unwrap();
                assert_eq!(all(&store).len() as u64, (n * 5).max(store.stats().records), "visible at once");
            }
            if n == run {
                consumer.flush().unwrap();
            }
        }
    }
    let (store, mut consumer) = consumer(dir.path());
    for batch in &batches {
        consumer.apply(batch).unwrap();
        consumer.apply(batch).unwrap();
    }
    consumer.flush().unwrap();
    consumer.flush().unwrap();
    assert_eq!(all(&store), expected);
    assert_eq!(all(&FlowStore::open(dir.path()).unwrap()), expected);
    // A batch that straddles the cursor gives only what is behind it.
    let straddling = batch(91, 110, vec![flow(95, 20), flow(101, 20), flow(101, 20), flow(107, 20)]);
    consumer.apply(&straddling).unwrap();
    assert_eq!(all(&store).len(), expected.len() + 3);
}

#[test]
fn stretches_without_flows_move_the_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut first) = consumer(dir.path());
    first.apply(&batch(1, 50, vec![])).unwrap();
    assert_eq!(first.cursor(), Seq(0), "not durable yet");
    first.flush().unwrap();
    assert_eq!(first.cursor(), Seq(50));
    first.apply(&batch(51, 60, vec![])).unwrap();
    first.tick(Timestamp(T0)).unwrap();
    first.apply(&batch(61, 70, vec![])).unwrap();
    first.tick(Timestamp(T0 + 1_000)).unwrap();
    let (store, mut second) = consumer(dir.path());
    assert_eq!(second.cursor(), Seq(60), "once a minute is enough");
    second.apply(&batch(61, 80, vec![flow(75, 0)])).unwrap();
    second.flush().unwrap();
    std::fs::write(dir.path().join("cursor"), "rubbish").unwrap();
    assert_eq!(consumer(dir.path()).1.cursor(), Seq(80));
    assert_eq!(all(&store).len(), 1);
}

#[test]
fn a_crash_between_write_and_rename_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut first) = consumer(dir.path());
    first.apply(&batch(1, 5, vec![flow(1, 0), flow(5, 1)])).unwrap();
    first.flush().unwrap();
    first.apply(&batch(6, 9, vec![flow(6, 2), flow(9, 3)])).unwrap();
    first.flush().unwrap();
    let expected = all(&store);
    // The second file as it is between write and rename: whole, but under its temporary name.
    let path = dir.path().join("2026-09-21/1410-6.parquet");
    std::fs::rename(&path, path.with_extension("tmp")).unwrap();
    let (store, mut second) = consumer(dir.path());
    assert_eq!((second.cursor(), all(&store).len()), (Seq(5), 2));
    check_tree(dir.path(), expect!["2026-09-21/1410-1.parquet"]);
    second.apply(&batch(1, 9, expected.clone())).unwrap();
    second.flush().unwrap();
    assert_eq!(all(&store), expected);
}

#[test]
fn a_clock_that_jumps_opens_a_new_window_and_late_data_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer) = consumer(dir.path());
    let hours = |n: i64| n * 3_600;
    let flows = vec![flow(1, hours(48)), flow(2, 0), flow(3, -600), flow(4, 10)];
    consumer.apply(&batch(1, 4, flows.clone())).unwrap();
    consumer.tick(Timestamp(T0 - 2 * Timestamp::HOUR)).unwrap();
    assert_eq!(store.stats().open_records, 0);
    assert_eq!(all(&store), flows);
    check_tree(
        dir.path(),
        expect![[r#"
            2026-09-21/1410-2.parquet
            2026-09-23/1410-1.parquet"#]],
    );
    // Files are chosen by what is in them, not by their names.
    let table = sites();
    let early = FlowRange { to: Timestamp(T0 - 1), ..range(&Scope::All, &table) };
    assert_eq!(store.list(&early, 10).unwrap(), [flows[2]]);
}

#[test]
fn damage_is_set_aside_and_the_rest_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut writer) = consumer(dir.path());
    for n in 0..4u64 {
        writer.apply(&batch(n + 1, n + 1, vec![flow(n + 1, n as i64 * 300)])).unwrap();
        writer.flush().unwrap();
    }
    let whole = std::fs::read(dir.path().join("2026-09-21/1410-1.parquet")).unwrap();
    // Cut off, empty, and with data that is none behind a good end.
    std::fs::write(dir.path().join("2026-09-21/1410-1.parquet"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(dir.path().join("2026-09-21/1415-2.parquet"), "").unwrap();
    let mut scrambled = std::fs::read(dir.path().join("2026-09-21/1420-3.parquet")).unwrap();
    scrambled[4..300].fill(0xa5);
    std::fs::write(dir.path().join("2026-09-21/1420-3.parquet"), scrambled).unwrap();
    let (store, reader) = consumer(dir.path());
    assert_eq!((store.stats().files, store.stats().damaged_files), (2, 2));
    assert_eq!(all(&store).iter().map(|flow| flow.seq.0).collect::<Vec<_>>(), [4]);
    assert_eq!((store.stats().files, store.stats().damaged_files), (1, 3));
    assert_eq!(reader.cursor(), Seq(4));
    check_tree(
        dir.path(),
        expect![[r#"
            2026-09-21/1425-4.parquet
            quarantine/2026-09-21-1410-1.parquet
            quarantine/2026-09-21-1415-2.parquet
            quarantine/2026-09-21-1420-3.parquet"#]],
    );
}

#[test]
fn no_flipped_byte_breaks_the_reader() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = consumer(dir.path());
    writer.apply(&batch(1, 300, (1..=300).map(|n| flow(n, 0)).collect())).unwrap();
    writer.flush().unwrap();
    let path = dir.path().join(&tree(dir.path())[0]);
    let whole = std::fs::read(&path).unwrap();
    drop(store);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let store = FlowStore::open(dir.path()).unwrap();
        assert!(all(&store).len() <= 300, "byte {at}");
    }
}

#[test]
fn a_removed_file_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = consumer(dir.path());
    writer.apply(&batch(1, 2, vec![flow(1, 0), flow(2, 300)])).unwrap();
    writer.flush().unwrap();
    std::fs::remove_file(dir.path().join("2026-09-21/1410-1.parquet")).unwrap();
    assert_eq!(all(&store).len(), 1);
    assert_eq!((store.stats().files, store.stats().damaged_files), (1, 0));
}

#[test]
fn a_scope_never_shows_a_foreign_site() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = consumer(dir.path());
    writer.apply(&batch(1, 40, (1..=40).map(|seq| flow(seq, 0)).collect())).unwrap();
    writer.flush().unwrap();
    writer.apply(&batch(41, 80, (41..=80).map(|seq| flow(seq, 0)).collect())).unwrap();
    let table = sites();
    let seqs: Vec<Seq> = (1..=80).map(Seq).collect();
    for (scope, allowed) in [
        (Scope::All, vec![1, 2, 3, 4]),
        (Scope::Bodies(vec![body(1)]), vec![1, 2]),
        (Scope::Bodies(vec![body(2)]), vec![3]),
        (Scope::Bodies(vec![body(9)]), vec![]),
        (Scope::Bodies(vec![]), vec![]),
    ] {
        let is_allowed = |flow: &FlowRecord| allowed.iter().any(|n| site(*n) == flow.site);
        let range = range(&scope, &table);
        let listed = store.list(&range, 1_000).unwrap();
        assert!(listed.iter().all(is_allowed) && listed.len() == allowed.len() * 20);
        assert_eq!(store.by_seq(&seqs, &scope, &table).unwrap().len(), allowed.len() * 20);
        for text in ["* | top 9 site by flows", "* | count by site"] {
            let found = asked(&store, text, &scope, &table, ALWAYS);
            let names: Vec<String> = found.table.rows.iter().map(|row| row[0].text().into_owned()).collect();
            assert_eq!(names, allowed.iter().map(|n| format!("s{n}")).collect::<Vec<_>>());
            assert_eq!(found.total.flows, allowed.len() as u64 * 20);
        }
    }
}

#[test]
fn evidence_is_found_by_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = consumer(dir.path());
    for n in 0..6u64 {
        let mut flows: Vec<FlowRecord> = (1..=5).map(|k| flow(n * 5 + k, n as i64 * 100)).collect();
        flows.insert(0, flows[0]);
        writer.apply(&batch(n * 5 + 1, n * 5 + 5, flows)).unwrap();
    }
    let found = store.by_seq(&[Seq(30), Seq(6), Seq(3), Seq(3), Seq(99)], &Scope::All, &sites()).unwrap();
    assert_eq!(found.iter().map(|flow| flow.seq.0).collect::<Vec<_>>(), [3, 6, 6, 30]);
}

#[test]
fn groups_are_named_as_people_read_them() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = consumer(dir.path());
    writer.apply(&batch(1, 2, vec![flow(1, 0), FlowRecord { protocol: 200, bytes: 7, ..flow(2, 9) }])).unwrap();
    let (table, scope) = (sites(), Scope::All);
    let mut shown = String::new();
    for by in ["source.ip", "destination.ip", "source.port", "network.transport", "site", "observer.ip", "source.ip, destination.ip"] {
        let text = format!("* | stats sum(network.bytes) by {by} | sort -sum(network.bytes) | head 5");
        let found = asked(&store, &text, &scope, &table, ALWAYS);
        let row = |row: &Vec<Value>| row.iter().map(|value| value.text().into_owned()).collect::<Vec<_>>().join(" ");
        shown += &format!("{by}: {}\n", found.table.rows.iter().map(row).collect::<Vec<_>>().join(", "));
    }
    expect![[r#"
        source.ip: 10.0.1.1 1000, 10.0.1.2 7
        destination.ip: 2001:db8::1 1007
        source.port: 50000 1007
        network.transport: tcp 1000,  7
        site: s2 1000, s3 7
        observer.ip: 10.0.0.1 1007
        source.ip, destination.ip: 10.0.1.1 2001:db8::1 1000, 10.0.1.2 2001:db8::1 7
    "#]]
    .assert_eq(&shown);
}

#[test]
fn strange_ranges_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = consumer(dir.path());
    writer.apply(&batch(1, 1, vec![flow(1, 0)])).unwrap();
    let (table, scope) = (sites(), Scope::All);
    for (from, to, flows) in [(5, 5, 0), (9, 5, 0), (0, 2, 0), (i64::MIN, i64::MAX, 1), (T0, T0 + 1, 1)] {
        for text in ["* | count", "* | histogram 1h", "* | top 3 source.ip"] {
            let found = asked(&store, text, &scope, &table, (Timestamp(from), Timestamp(to)));
            assert_eq!((found.total.flows, found.partial), (flows, false), "{text} {from}..{to}");
        }
    }
}

/// Few values for each field, so that groups have members; extremes among them.
pub(super) fn any_flow() -> impl Strategy<Value = FlowRecord> {
    let address = prop_oneof![
        (0u8..4).prop_map(|n| IpAddr::from([10, 0, 0, n])),
        Just("2001:db8::7".parse().unwrap()),
        any::<[u8; 16]>().prop_map(|octets| IpAddr::from(octets).to_canonical()),
    ];
    let number = || prop_oneof![0u64..2_000, Just(i64::MAX as u64)];
    let ids = (0i64..2_000, 1u64..5, address.clone(), address, prop_oneof![Just(443u16), Just(53), any::<u16>()]);
    let rest = (number(), number(), any::<[u8; 3]>(), any::<[u32; 5]>(), prop_oneof![0i64..100_000, Just(i64::MAX - T0)]);
    let rare = (any::<bool>(), any::<[u8; 21]>(), any::<[u16; 6]>(), any::<[u32; 5]>(), any::<[u64; 2]>());
    (ids, rest, rare).prop_map(|((secs, n, src_ip, dst_ip, dst_port), (bytes, packets, small, ints, duration), rare)| {
        let base = flow(0, secs);
        FlowRecord {
            site: site(n),
            src_ip,
            dst_ip,
            dst_port,
            bytes,
            packets,
            end: base.start.plus(duration),
            protocol: small[0] % 20,
            tcp_flags: small[1],
            tos: small[2],
            sampling: ints[0],
            in_if: ints[1],
            out_if: ints[2],
            src_as: ints[3],
            dst_as: ints[4],
            ..said_by_few(&base, &rare)
        }
    })
}

type Rare = (bool, [u8; 21], [u16; 6], [u32; 5], [u64; 2]);

/// Half of the records have what only few exporters say.
fn said_by_few(base: &FlowRecord, (said, small, shorts, ints, longs): &Rare) -> FlowRecord {
    if !said {
        return *base;
    }
    let mac = |from: usize| <[u8; 6]>::try_from(&small[from..from + 6]).unwrap();
    FlowRecord {
        domain: ints[0],
        next_hop: IpAddr::from([10, 9, 8, small[0]]),
        src_mask: small[1],
        dst_mask: small[2],
        direction: small[3],
        end_reason: small[4],
        firewall_event: small[5],
        nat_event: small[6],
        forwarding: small[7],
        biflow: small[8],
        nat_src_ip: IpAddr::from([192, 0, 2, small[1]]),
        nat_dst_ip: "2001:db8::5".parse().unwrap(),
        nat_src_port: shorts[0],
        nat_dst_port: shorts[1],
        src_mac: mac(9),
        dst_mac: mac(15),
        in_vlan: shorts[2],
        out_vlan: shorts[3],
        mpls_label: ints[1],
        in_vrf: ints[2],
        out_vrf: ints[3],
        min_ttl: small[0],
        max_ttl: small[1],
        min_length: shorts[4],
        max_length: shorts[5],
        flow_label: ints[4],
        flow_id: longs[0],
        application: longs[1],
        dropped_bytes: longs[0] >> 1,
        dropped_packets: longs[1] >> 1,
        ..*base
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn answers_equal_the_naive_ones(
        mut flows in proptest::collection::vec(any_flow(), 1..120),
        steps in proptest::collection::vec((1usize..20, 0u8..5), 1..20),
        window in (0i64..2_000, 1i64..2_000),
        owner in 0u64..3,
        filtered in any::<bool>(),
        limit in 0usize..12,
    ) {
        // Three flows a datagram, received in order.
        flows.sort_by_key(|flow| flow.received_at);
        (3u64..).zip(&mut flows).for_each(|(n, flow)| flow.seq = Seq(n / 3));
        let dir = tempfile::tempdir().unwrap();
        let (store, mut writer) = consumer(dir.path());
        let mut rest = &flows[..];
        for (count, then) in steps.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            // A batch ends with a datagram's last flow.
            let last = rest[(count - 1).min(rest.len() - 1)].seq;
            let (now, later) = rest.split_at(rest.partition_point(|flow| flow.seq <= last));
            writer.apply(&batch(now[0].seq.0, last.0, now.to_vec())).unwrap();
            match then {
                0 => writer.flush().unwrap(),
                1 => writer.tick(now[0].received_at.plus(WINDOW_MILLIS)).unwrap(),
                // Some of the files, whatever is in them.
                2 => {
                    let files = store.view().files;
                    let from = count % files.len().max(1);
                    let some: Vec<_> = files.iter().skip(from).take(1 + count % 3).take_while(|info| !info.span.compacted).cloned().collect();
                    drop(files);
                    store.compact(&some, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
                }
                _ => {}
            }
            rest = later;
        }
        let table = sites();
        let scope = if owner == 0 { Scope::All } else { Scope::Bodies(vec![body(owner)]) };
        let web = |record: &dyn Record| record.any_value(fields::DESTINATION_PORT, &mut |value| value == ValueRef::Int(443));
        let (from, to) = (Timestamp(T0 + window.0 * 1_000), Timestamp(T0 + (window.0 + window.1) * 1_000));
        let range = FlowRange { from, to, filter: filtered.then_some(&web as Filter<'_>), scope: &scope, sites: &table };
        let wanted: Vec<FlowRecord> = flows.iter().filter(|flow| {
            flow.received_at >= from && flow.received_at < to
                && scope.site_allowed(flow.site, &table) && (!filtered || web(&FlowView { flow, sites: &table }))
        }).copied().collect();
        let check = |store: &FlowStore| -> Result<(), TestCaseError> {
            let newest: Vec<FlowRecord> = wanted.iter().rev().copied().take(limit).collect();
            let listed = store.list(&range, limit).unwrap();
            prop_assert_eq!(seqs(&listed), seqs(&newest));
            prop_assert_eq!(sorted(&store.list(&range, 1_000).unwrap()), sorted(&wanted));
            let mut left = sorted(&wanted);
            for line in sorted(&listed) {
                let at = left.binary_search(&line);
                prop_assert!(at.is_ok(), "listed twice, or not wanted: {}", line);
                left.remove(at.unwrap());
            }
            let (query, rows) = (if filtered { "destination.port:443" } else { "*" }, limit.max(1));
            for pipe in [
                format!("top {rows} source.ip by bytes"),
                format!("count by source.ip, destination.ip | head {rows}"),
                format!("stats sum(network.packets) by network.transport, site | sort -sum(network.packets) | head {rows}"),
                format!("rare {rows} destination.ip"),
                "count by destination.port, site".to_owned(),
                "histogram 1m by site".to_owned(),
            ] {
                let text = format!("{query} | {pipe}");
                let got = asked(store, &text, &scope, &table, (from, to));
                let pipeline = Pipeline::parse(&text, Timestamp(T0)).unwrap();
                let mut question = FlowQuestion::new(&pipeline.query, &scope, &table);
                (question.from, question.to) = (from, to);
                prop_assert_eq!(Some(got.table), ask::naive(&wanted, &pipeline, &question), "{}", text);
                prop_assert_eq!((got.total.flows, got.partial), (wanted.len() as u64, false));
            }
            Ok(())
        };
        check(&store)?;
        writer.flush().unwrap();
        check(&store)?;
        check(&FlowStore::open(dir.path()).unwrap())?;
    }
}

fn seqs(flows: &[FlowRecord]) -> Vec<Seq> {
    flows.iter().map(|flow| flow.seq).collect()
}

/// As lines in a fixed order, whatever the order of a datagram's flows is.
pub(super) fn sorted(flows: &[FlowRecord]) -> Vec<String> {
    let mut lines: Vec<String> = flows.iter().map(|flow| format!("{flow:?}")).collect();
    lines.sort_unstable();
    lines
}

/// What a pipe makes of the flows of a stretch of time.
pub(super) fn asked(store: &FlowStore, text: &str, scope: &Scope, sites: &SiteTable, (from, to): (Timestamp, Timestamp)) -> ask::FlowTable {
    let pipeline = Pipeline::parse(text, Timestamp(T0)).unwrap();
    let question = FlowQuestion { from, to, ..FlowQuestion::new(&pipeline.query, scope, sites) };
    store.ask(&question, &pipeline).unwrap()
}

pub(super) const ALWAYS: (Timestamp, Timestamp) = (Timestamp(i64::MIN), Timestamp(i64::MAX));

/// Five minutes of made-up traffic with the shapes that matter for size: few busy servers and many rare ones,
/// ephemeral ports, both directions of a conversation, mostly short flows with heavy tails.
pub(super) fn realistic(count: usize) -> Vec<FlowRecord> {
    let state = std::cell::Cell::new(0x9e37_79b9_7f4a_7c15u64);
    let random = |below: u64| {
        let mut next = state.get();
        next ^= next << 13;
        next ^= next >> 7;
        next ^= next << 17;
        state.set(next);
        (next >> 11) % below
    };
    let tail = |most: u64| 1u64 << random(1 + random(most));
    let mut flows: Vec<FlowRecord> = Vec::new();
    let mut seq = 1;
    while flows.len() < count {
        let at = Timestamp(window_start(Timestamp(T0)) + (flows.len() as i64 * WINDOW_MILLIS) / count as i64);
        let site_n = random(1 + random(200));
        // About 24 records a datagram, of one exporter.
        for _ in 0..12 {
            let client = Ipv4Addr::new(10, site_n as u8, random(4) as u8, random(250) as u8);
            let hosts = tail(16);
            let server = random(hosts).wrapping_mul(2_654_435_761) as u32;
            let packets = 1 + random(tail(10));
            let duration = random(tail(18)) as i64;
            let end = at.plus(-(random(15_000) as i64));
            let there = FlowRecord {
                seq: Seq(seq),
                received_at: at,
                start: end.plus(-duration),
                end,
                site: site(1_000 + site_n),
                exporter: IpAddr::from([10, site_n as u8, 0, 1]),
                src_ip: client.into(),
                dst_ip: Ipv4Addr::from(server | 0x4000_0000).into(),
                src_port: 32_768 + random(28_000) as u16,
                dst_port: [443, 443, 443, 443, 53, 53, 80, 123, 25, 993, 8_443, 3_389][random(12) as usize],
                protocol: if random(3) == 0 { 17 } else { 6 },
                tcp_flags: [0x1b, 0x1b, 0x1b, 0x02, 0x18, 0][random(6) as usize],
                bytes: packets * 40 + random(packets * 1_000),
                packets,
                in_if: 1 + random(3) as u32,
                out_if: 10,
                ..flow(seq, 0)
            };
            let packets = 1 + packets * 2 / 3;
            let back = FlowRecord {
                src_ip: there.dst_ip,
                dst_ip: there.src_ip,
                src_port: there.dst_port,
                dst_port: there.src_port,
                packets,
                bytes: packets * 52 + random(packets * 1_400),
                in_if: there.out_if,
                out_if: there.in_if,
                start: there.start.plus(random(60) as i64),
                ..there
            };
            flows.extend([there, back]);
        }
        seq += 1 + random(20);
    }
    flows
}

#[test]
fn size_of_a_realistic_file() {
    for count in [2_000, 100_000] {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut writer) = consumer(dir.path());
        let flows = realistic(count);
        writer.apply(&batch(1, flows[flows.len() - 1].seq.0, flows)).unwrap();
        writer.flush().unwrap();
        let FlowStats { records, bytes, .. } = store.stats();
        println!("{records} records, {:.1} bytes each", bytes as f64 / records as f64);
        let path = dir.path().join(&tree(dir.path())[0]);
        let columns = file::column_sizes(&path).unwrap();
        columns.iter().for_each(|(name, bytes)| println!("    {name:12} {:5.2}", *bytes as f64 / records as f64));
        assert!(bytes < records * 22 || count < 10_000, "a later change made flows larger");
    }
}

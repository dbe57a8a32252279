//! Encodes datagrams and decodes them again; cuts and flips them; lets templates come late, change and flood.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::body::SITE_UNKNOWN;
use crate::flow::waiting::{WAITING_BYTES_MAX, WAITING_SETS_MAX};
use crate::frame::{Marks, NewFrame, Transport};
use crate::time::Timestamp;

const SECS: u32 = 1_790_000_000;
const UPTIME: u32 = 3_600_000;

fn frame(seq: u64, payload: Vec<u8>) -> Frame {
    frame_of("192.0.2.1", seq, payload)
}

fn frame_of(peer: &str, seq: u64, payload: Vec<u8>) -> Frame {
    let frame = NewFrame {
        received_at: Timestamp(i64::from(SECS) * 1_000 + 7),
        site: SITE_UNKNOWN,
        peer: peer.parse().unwrap(),
        transport: Transport::Udp,
        kind: FrameKind::Flow,
        marks: Marks::default(),
        payload: payload.into(),
    };
    Frame { seq: Seq(seq), frame }
}

fn tcp_frame(peer: &str, seq: u64, payload: Vec<u8>) -> Frame {
    let mut frame = frame_of(peer, seq, payload);
    frame.frame.transport = Transport::Tcp;
    frame
}

fn v5(records: &[FlowRecord], count: u16, sampling: u16) -> Vec<u8> {
    let mut bytes = [&5u16.to_be_bytes()[..], &count.to_be_bytes(), &UPTIME.to_be_bytes(), &SECS.to_be_bytes(), &[0; 10]].concat();
    bytes.extend((0x4000 | sampling).to_be_bytes());
    let ip = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(_) => unreachable!(),
    };
    let uptime = |at: Timestamp| (i64::from(UPTIME) - (i64::from(SECS) * 1_000 - at.0)) as u32;
    for r in records {
        bytes.extend(ip(r.src_ip));
        bytes.extend(ip(r.dst_ip));
        bytes.extend([0; 4]);
        bytes.extend((r.in_if as u16).to_be_bytes());
        bytes.extend((r.out_if as u16).to_be_bytes());
        bytes.extend((r.packets as u32).to_be_bytes());
        bytes.extend((r.bytes as u32).to_be_bytes());
        bytes.extend(uptime(r.start).to_be_bytes());
        bytes.extend(uptime(r.end).to_be_bytes());
        bytes.extend(r.src_port.to_be_bytes());
        bytes.extend(r.dst_port.to_be_bytes());
        bytes.extend([0, r.tcp_flags, r.protocol, r.tos]);
        bytes.extend((r.src_as as u16).to_be_bytes());
        bytes.extend((r.dst_as as u16).to_be_bytes());
        bytes.extend([0; 4]);
    }
    bytes
}

fn v9(source: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let header = [&9u16.to_be_bytes()[..], &1u16.to_be_bytes(), &UPTIME.to_be_bytes(), &SECS.to_be_bytes(), &[0; 4]].concat();
    [header, source.to_be_bytes().to_vec(), sets.concat()].concat()
}

fn set(id: u16, body: &[u8]) -> Vec<u8> {
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    let len = (4 + body.len() + padding.len()) as u16;
    [&id.to_be_bytes()[..], &len.to_be_bytes(), body, &padding].concat()
}

fn template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let fields_bytes = fields.iter().flat_map(|(element, len)| [element.to_be_bytes(), len.to_be_bytes()].concat());
    [&id.to_be_bytes()[..], &(fields.len() as u16).to_be_bytes(), &fields_bytes.collect::<Vec<u8>>()].concat()
}

fn options(id: u16, scope: &[(u16, u16)], fields: &[(u16, u16)]) -> Vec<u8> {
    let all: Vec<_> = [scope, fields].concat();
    let lens = [(scope.len() as u16 * 4).to_be_bytes(), (fields.len() as u16 * 4).to_be_bytes()].concat();
    [&id.to_be_bytes()[..], &lens, &template(0, &all)[4..]].concat()
}

/// Source and destination address, bytes, packets: enough for most cases here.
const SHORT: &[(u16, u16)] = &[(8, 4), (12, 4), (1, 4), (2, 4)];

fn ipfix(sequence: u32, domain: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    let len = (16 + body.len()) as u16;
    [&10u16.to_be_bytes()[..], &len.to_be_bytes(), &SECS.to_be_bytes(), &sequence.to_be_bytes(), &domain.to_be_bytes(), &body].concat()
}

/// An IPFIX template; elements of vendors by their number.
fn ipfix_template(id: u16, fields: &[(u32, u16, u16)]) -> Vec<u8> {
    let mut bytes = [id.to_be_bytes(), (fields.len() as u16).to_be_bytes()].concat();
    for (enterprise, element, len) in fields {
        let bit = if *enterprise == 0 { 0 } else { 0x8000 };
        bytes.extend([(element | bit).to_be_bytes(), len.to_be_bytes()].concat());
        bytes.extend(if *enterprise == 0 { Vec::new() } else { enterprise.to_be_bytes().to_vec() });
    }
    bytes
}

fn short(n: u8) -> Vec<u8> {
    vec![10, 0, 0, n, 10, 0, 1, n, 0, 0, 1, 0, 0, 0, 0, 2]
}

fn line(record: &FlowRecord) -> String {
    let FlowRecord { seq, src_ip, dst_ip, src_port, dst_port, protocol, bytes, packets, sampling, .. } = record;
    let (start, end) = (record.start.0 - i64::from(SECS) * 1_000, record.end.0 - i64::from(SECS) * 1_000);
    format!(
        "#{} {src_ip}:{src_port} > {dst_ip}:{dst_port} proto {protocol} {bytes} B {packets} P 1:{sampling} {start:+}..{end:+} ms",
        seq.0
    )
}

fn summary(report: &FlowReport) -> String {
    let FlowReport { records, late, options, templates, skipped, sets_waiting, sets_lost, defects, .. } = report;
    let counts = [
        ("records", records),
        ("late", late),
        ("options", options),
        ("templates", templates),
        ("skipped", skipped),
        ("waiting", sets_waiting),
        ("lost", sets_lost),
    ];
    let counts: Vec<_> = counts.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{name} {n}")).collect();
    format!("{} {defects:?}", counts.join(", "))
}

/// Decodes the datagrams in order with one decoder; shows each report and its records.
fn check(datagrams: &[Vec<u8>], expected: Expect) {
    let mut decoder = FlowDecoder::default();
    let mut shown = String::new();
    for (seq, datagram) in (1..).zip(datagrams) {
        let mut out = Vec::new();
        let report = decoder.decode(&frame(seq, datagram.clone()), &mut out);
        assert_eq!(report.records, out.len());
        shown += &format!("{seq}: {}\n", summary(&report));
        out.iter().take(4).for_each(|record| shown += &format!("   {}\n", line(record)));
    }
    expected.assert_eq(&shown);
}

#[test]
fn a_template_then_its_data() {
    check(
        &[v9(1, &[set(0, &template(256, SHORT)), set(256, &[short(1), short(2)].concat())])],
        expect![[r#"
            1: records 2, templates 1 {}
               #1 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 +0..+0 ms
               #1 10.0.0.2:0 > 10.0.1.2:0 proto 0 256 B 2 P 1:1 +0..+0 ms
        "#]],
    );
}

#[test]
fn data_waits_for_its_template_and_gets_its_sequence() {
    check(
        &[
            v9(1, &[set(256, &short(1))]),
            v9(2, &[set(0, &template(256, SHORT))]),
            v9(1, &[set(256, &short(2)), set(0, &template(256, SHORT)), set(256, &short(3))]),
            v9(1, &[set(0, &template(256, SHORT))]),
        ],
        expect![[r#"
            1: waiting 1 {}
            2: templates 1 {}
            3: records 3, late 1, templates 1 {}
               #3 10.0.0.3:0 > 10.0.1.3:0 proto 0 256 B 2 P 1:1 +0..+0 ms
               #3 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 +0..+0 ms
               #3 10.0.0.2:0 > 10.0.1.2:0 proto 0 256 B 2 P 1:1 +0..+0 ms
            4:  {}
        "#]],
    );
}

#[test]
fn sampling_comes_from_options_by_source_and_sampler() {
    let sampled = &[SHORT, &[(48, 1)]].concat();
    check(
        &[
            v9(1, &[set(0, &template(256, sampled)), set(1, &options(257, &[(1, 4)], &[(48, 1), (49, 1), (50, 4)]))]),
            v9(1, &[set(257, &[0, 0, 0, 9, 7, 2, 0, 0, 0, 100])]),
            v9(1, &[set(256, &[short(1), vec![7]].concat()), set(256, &[short(2), vec![8]].concat())]),
            v9(1, &[set(1, &options(258, &[(1, 4)], &[(34, 4), (35, 1)])), set(258, &[0, 0, 0, 9, 0, 0, 3, 232, 1])]),
            v9(1, &[set(256, &[short(1), vec![7]].concat()), set(256, &[short(2), vec![8]].concat())]),
            v9(2, &[set(0, &template(256, &[SHORT, &[(305, 2), (306, 2)]].concat())), set(256, &[short(3), vec![0, 1, 0, 99]].concat())]),
        ],
        expect![[r#"
            1: templates 2 {}
            2: options 1 {}
            3: records 2 {}
               #3 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:100 +0..+0 ms
               #3 10.0.0.2:0 > 10.0.1.2:0 proto 0 256 B 2 P 1:1 +0..+0 ms
            4: options 1, templates 1 {}
            5: records 2 {}
               #5 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:100 +0..+0 ms
               #5 10.0.0.2:0 > 10.0.1.2:0 proto 0 256 B 2 P 1:1000 +0..+0 ms
            6: records 1, templates 1 {}
               #6 10.0.0.3:0 > 10.0.1.3:0 proto 0 256 B 2 P 1:100 +0..+0 ms
        "#]],
    );
}

/// Sampled at one interface, for one template, of one line card, by one selector: each holds for its records, and none for all.
#[test]
fn a_rate_holds_for_what_its_scope_says() {
    let fields = &[SHORT, &[(48, 1), (10, 2), (14, 2), (61, 1)]].concat();
    let record = |sampler: u8, input: u8, output: u8, direction: u8| [short(1), vec![sampler, 0, input, 0, output, direction]].concat();
    let records = [record(0, 1, 2, 0), record(0, 2, 1, 1), record(0, 3, 1, 0), record(7, 1, 3, 0)].concat();
    // The sampling interval behind one scope field, or behind two.
    let told = |id: u16, scope: &[(u16, u16)], values: &[u8]| vec![set(1, &options(id, scope, &[(34, 2)])), set(id, values)];
    let rates = |datagrams: &[Vec<u8>]| {
        let (mut decoder, mut out) = (FlowDecoder::default(), Vec::new());
        for (seq, datagram) in (1..).zip(datagrams) {
            decoder.decode(&frame(seq, datagram.clone()), &mut Vec::new());
        }
        let flows = [set(0, &[template(256, fields), template(257, fields)].concat()), set(256, &records), set(257, &records[..22])];
        decoder.decode(&frame(9, v9(1, &flows)), &mut out);
        out.iter().map(|record| record.sampling).collect::<Vec<_>>()
    };
    let system = v9(1, &told(300, &[(1, 2)], &[0, 9, 0, 10]));
    let interface = v9(1, &told(301, &[(2, 2)], &[0, 1, 0, 20]));
    let template = v9(1, &told(302, &[(5, 2)], &[1, 1, 0, 30]));
    let line_card = v9(1, &told(303, &[(3, 2)], &[0, 1, 0, 40]));
    let cache = v9(1, &told(304, &[(1, 2), (4, 2)], &[0, 9, 0, 1, 0, 40]));
    let two = v9(1, &told(305, &[(2, 2), (5, 2)], &[0, 1, 1, 0, 0, 40]));
    let sampler = v9(1, &[set(1, &options(306, &[(1, 2)], &[(48, 1), (34, 2)])), set(306, &[0, 9, 7, 0, 50])]);
    assert_eq!(rates(std::slice::from_ref(&system)), [10; 5]);
    assert_eq!(rates(std::slice::from_ref(&interface)), [20, 20, 1, 20, 20], "in by it, or seen when going out by it");
    assert_eq!(rates(std::slice::from_ref(&template)), [1, 1, 1, 1, 30]);
    assert_eq!(rates(&[line_card.clone(), cache.clone(), two.clone()]), [1; 5]);
    assert_eq!(rates(std::slice::from_ref(&sampler)), [1, 1, 1, 50, 1]);
    let all = [system, interface, template, line_card, cache, two, sampler];
    assert_eq!(rates(&all), [20, 20, 10, 50, 20], "the narrowest that is known");
    assert_eq!(rates(&all[..1]), [10; 5]);
}

/// The scopes of IPFIX are elements; one of them may name another observation domain.
#[test]
fn the_scopes_of_ipfix() {
    let rate = |scope: &[(u16, u16)], values: &[u8]| {
        let count = (scope.len() + 1) as u16;
        let fields: Vec<u8> =
            [scope, &[(305, 2), (306, 2)]].concat().iter().flat_map(|(e, len)| [e.to_be_bytes(), len.to_be_bytes()].concat()).collect();
        let head = [300u16, count + 1, count - 1].iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
        let sets = [set(3, &[head, fields].concat()), set(300, &[values, &[0, 1, 0, 99]].concat())];
        let mut decoder = FlowDecoder::default();
        let report = decoder.decode(&frame(1, ipfix(0, 7, &sets)), &mut Vec::new());
        assert_eq!((report.options, report.defects), (1, FlowDefects::default()), "{scope:?}");
        [7u32, 8].map(|domain| {
            let mut out = Vec::new();
            let fields = [SHORT, &[(302, 1), (10, 1)]].concat();
            let flows = [set(2, &template(256, &fields)), set(256, &[short(1), vec![5, 6]].concat())];
            decoder.decode(&frame(2, ipfix(1, domain, &flows)), &mut out);
            out[0].sampling
        })
    };
    assert_eq!(rate(&[(143, 1)], &[1]), [100, 1], "metering process");
    assert_eq!(rate(&[(144, 1), (149, 4)], &[1, 0, 0, 0, 8]), [1, 100], "observation domain");
    assert_eq!(rate(&[(302, 1)], &[5]), [100, 1], "selector");
    assert_eq!(rate(&[(302, 1)], &[4]), [1, 1]);
    assert_eq!(rate(&[(10, 4)], &[0, 0, 0, 6]), [100, 1], "interface");
    assert_eq!(rate(&[(145, 2)], &[1, 0]), [100, 1], "template");
    assert_eq!(rate(&[(141, 4)], &[0, 0, 0, 1]), [1, 1], "line card");
    assert_eq!(rate(&[(148, 4)], &[0, 0, 0, 1]), [1, 1], "flow");
}

#[test]
fn times_in_every_form() {
    let at = |fields: &[(u16, u16)], bytes: &[u8]| {
        let body = [short(1), bytes.to_vec()].concat();
        v9(1, &[set(0, &template(256, &[SHORT, fields].concat())), set(256, &body)])
    };
    let millis = (u64::from(SECS) * 1_000 - 1_500).to_be_bytes();
    let wrapped = UPTIME.wrapping_sub(4_000_000).to_be_bytes();
    let ntp = ((u64::from(SECS) + 2_208_988_800 - 3) << 32 | 1 << 31).to_be_bytes();
    check(
        &[
            at(&[(22, 4), (21, 4)], &[(UPTIME - 2_000).to_be_bytes(), (UPTIME + 50).to_be_bytes()].concat()),
            at(&[(22, 4)], &wrapped),
            at(&[(152, 8), (22, 4)], &[&millis[..], &[0; 4]].concat()),
            at(&[(150, 4), (151, 4)], &[(SECS - 9).to_be_bytes(), (SECS - 8).to_be_bytes()].concat()),
            at(&[(156, 8)], &ntp),
            at(&[(158, 4), (159, 4)], &[2_000_000u32.to_be_bytes(), 500_000u32.to_be_bytes()].concat()),
            at(&[(152, 8), (153, 8)], &[[0xff; 8], millis].concat()),
            at(&[(22, 4), (21, 4)], &[(UPTIME - 10).to_be_bytes(), (UPTIME - 20).to_be_bytes()].concat()),
        ],
        expect![[r#"
            1: records 1, templates 1 {}
               #1 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 -2000..+50 ms
            2: records 1, templates 1 {}
               #2 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 -4000000..-4000000 ms
            3: records 1, templates 1 {}
               #3 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 -1500..-1500 ms
            4: records 1, templates 1 {}
               #4 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 -9000..-8000 ms
            5: records 1, templates 1 {}
               #5 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 -2500..-2500 ms
            6: records 1, templates 1 {}
               #6 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 -2000..-500 ms
            7: records 1, templates 1 {"bad_time"}
               #7 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 -1500..-1500 ms
            8: records 1, templates 1 {"bad_time"}
               #8 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 -20..-20 ms
        "#]],
    );
}

/// A header without a time, or with one that is to come: flows lie where they were received; how long they took stays.
#[test]
fn a_clock_that_cannot_be_right_moves_no_flow() {
    let times = [(UPTIME - 2_000).to_be_bytes(), (UPTIME - 500).to_be_bytes()].concat();
    let flows = [set(0, &template(256, &[SHORT, &[(22, 4), (21, 4)]].concat())), set(256, &[short(1), times].concat())];
    let at = |secs: u32| {
        let mut datagram = v9(1, &flows);
        datagram[8..12].copy_from_slice(&secs.to_be_bytes());
        datagram
    };
    check(
        &[at(SECS), at(0), at(SECS + 86_000), at(SECS + 87_000), at(u32::MAX), at(SECS - 864_000)],
        expect![[r#"
            1: records 1, templates 1 {}
               #1 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 -2000..-500 ms
            2: records 1 {"bad_time"}
               #2 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 -1993..-493 ms
            3: records 1 {}
               #3 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 +85998000..+85999500 ms
            4: records 1 {"bad_time"}
               #4 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 -1993..-493 ms
            5: records 1 {"bad_time"}
               #5 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 -1993..-493 ms
            6: records 1 {}
               #6 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 -864002000..-864000500 ms
        "#]],
    );
    // The moments of flows themselves, in milliseconds: a day ahead is a zone mistaken for another, a year is none.
    let absolute = |ahead: u64| {
        let at = (u64::from(SECS) * 1_000 + ahead).to_be_bytes();
        v9(1, &[set(0, &template(257, &[SHORT, &[(152, 8), (153, 8)]].concat())), set(257, &[short(1), [at, at].concat()].concat())])
    };
    check(
        &[absolute(43_200_000), absolute(31_536_000_000)],
        expect![[r#"
            1: records 1, templates 1 {}
               #1 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 +43200000..+43200000 ms
            2: records 1 {"bad_time"}
               #2 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 +0..+0 ms
    "#]],
    );
}

/// A flow of 30 days, seen from an uptime that has gone on since; and one that ends two hours ahead of the header.
#[test]
fn uptimes_near_and_far() {
    let at = |start: u32, end: u32| {
        let times = [start.to_be_bytes(), end.to_be_bytes()].concat();
        v9(1, &[set(0, &template(256, &[SHORT, &[(22, 4), (21, 4)]].concat())), set(256, &[short(1), times].concat())])
    };
    check(
        &[
            at(UPTIME.wrapping_sub(2_592_000_000), UPTIME - 9),
            at(UPTIME + 3_600_000, UPTIME + 7_200_000),
            at(UPTIME + 86_403_131, UPTIME + 86_403_200),
        ],
        expect![[r#"
            1: records 1, templates 1 {}
               #1 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 -2592000000..-9 ms
            2: records 1 {}
               #2 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 +3600000..+7200000 ms
            3: records 1 {}
               #3 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 +86403131..+86403200 ms
        "#]],
    );
}

/// RFC 7011 section 3.3.1: zeros shorter than a record are padding, to whatever boundary the exporter likes.
#[test]
fn padding_is_no_defect() {
    let data = |padding: &[u8]| {
        let body = [short(1), padding.to_vec()].concat();
        [&256u16.to_be_bytes()[..], &(body.len() as u16 + 4).to_be_bytes(), &body].concat()
    };
    let of = |padding: &[u8]| {
        let sets = [set(2, &template(256, SHORT)), data(padding)];
        let report = FlowDecoder::default().decode(&frame(1, ipfix(0, 1, &sets)), &mut Vec::new());
        (report.records, report.defects.is_empty())
    };
    assert_eq!([of(&[]), of(&[9; 3]), of(&[0; 7]), of(&[0; 15])], [(1, true); 4]);
    assert_eq!(of(&[9; 4]), (1, false));
}

#[test]
fn what_is_wrong_has_a_name() {
    let record = FlowRecord { start: Timestamp(i64::from(SECS) * 1_000), ..blank() };
    check(
        &[
            vec![],
            vec![0],
            vec![0, 10, 0, 0],
            vec![0, 9, 0, 0],
            v5(&[], 31, 0),
            v5(&[], 0, 0),
            v5(&[record; 2], 3, 0),
            v5(&[record; 2], 1, 0),
            v9(1, &[vec![1, 0, 0, 3]]),
            v9(1, &[vec![1, 0, 0, 90, 1]]),
            v9(1, &[vec![0; 64]]),
            v9(1, &[set(2, &[1; 4])]),
            v9(1, &[set(0, &template(255, SHORT))]),
            v9(1, &[set(0, &template(256, &[(1, 0)]))]),
            v9(1, &[set(0, &template(256, &[(9_999, 60_000), (9_999, 60_000)]))]),
            v9(1, &[set(0, &template(256, &[(8, 4), (1, 9)])), set(256, &[1; 20])]),
            v9(1, &[set(0, &template(256, &[(9_999, 4)])), set(256, &[1; 20])]),
            v9(1, &[set(0, &template(256, &[(1, 1)])), set(256, &[1; 9_000])]),
        ],
        expect![[r#"
            1:  {"truncated"}
            2:  {"truncated"}
            3:  {"truncated"}
            4:  {"truncated"}
            5:  {"record_count"}
            6:  {"record_count"}
            7: records 2, skipped 1 {"truncated"}
               #7 0.0.0.0:0 > 0.0.0.0:0 proto 0 0 B 0 P 1:1 +0..+0 ms
               #7 0.0.0.0:0 > 0.0.0.0:0 proto 0 0 B 0 P 1:1 +0..+0 ms
            8: records 1 {"trailing_bytes"}
               #8 0.0.0.0:0 > 0.0.0.0:0 proto 0 0 B 0 P 1:1 +0..+0 ms
            9:  {"truncated"}
            10:  {"truncated"}
            11:  {}
            12:  {"unknown_set"}
            13:  {"bad_template"}
            14:  {"template_empty"}
            15:  {"template_too_long"}
            16: records 1, templates 1 {"trailing_bytes", "field_length"}
               #16 1.1.1.1:0 > 0.0.0.0:0 proto 0 0 B 0 P 1:1 +0..+0 ms
            17: templates 1, skipped 5 {"no_traffic"}
            18: records 8192, templates 1, skipped 808 {"record_count"}
               #18 0.0.0.0:0 > 0.0.0.0:0 proto 0 1 B 0 P 1:1 +0..+0 ms
               #18 0.0.0.0:0 > 0.0.0.0:0 proto 0 1 B 0 P 1:1 +0..+0 ms
               #18 0.0.0.0:0 > 0.0.0.0:0 proto 0 1 B 0 P 1:1 +0..+0 ms
               #18 0.0.0.0:0 > 0.0.0.0:0 proto 0 1 B 0 P 1:1 +0..+0 ms
        "#]],
    );
}

fn blank() -> FlowRecord {
    Origin {
        seq: Seq(1),
        received_at: Timestamp(i64::from(SECS) * 1_000 + 7),
        site: SITE_UNKNOWN,
        exporter: "192.0.2.1".parse().unwrap(),
        domain: 0,
        version: 5,
        export_at: Timestamp(i64::from(SECS) * 1_000),
        uptime: Some(UPTIME),
        sampling: 1,
    }
    .record()
}

/// IPFIX: fields whose length each record tells, up to none and beyond 254 bytes; elements of vendors; both ways in one.
#[test]
fn records_of_any_length() {
    let fields = [(0, 8, 4), (6_871, 33, 65_535), (0, 12, 4), (0, 1, 65_535), (29_305, 1, 2), (0, 160, 8), (0, 22, 4), (0, 21, 4)];
    let record = |text: &[u8], bytes: &[u8], back: u16| {
        let start = u64::from(SECS - 100) * 1_000;
        let text_len = if text.len() < 255 { vec![text.len() as u8] } else { [&[255][..], &(text.len() as u16).to_be_bytes()].concat() };
        [
            &[10, 0, 0, 1][..],
            &text_len,
            text,
            &[10, 0, 0, 2, bytes.len() as u8],
            bytes,
            &back.to_be_bytes(),
            &start.to_be_bytes(),
            &90_000u32.to_be_bytes(),
            &95_000u32.to_be_bytes(),
        ]
        .concat()
    };
    let data = [record(b"x", &[1, 0], 0), record(b"", &[], 9), record(&[7; 300], &[0, 0, 0, 0, 0, 0, 0, 0, 3], 0)].concat();
    check(
        &[ipfix(0, 7, &[set(2, &ipfix_template(300, &fields)), set(300, &data)]), ipfix(3, 7, &[set(300, &data[..20])])],
        expect![[r#"
        1: records 4, templates 1 {}
           #1 10.0.0.1:0 > 10.0.0.2:0 proto 0 256 B 0 P 1:1 -10000..-5000 ms
           #1 10.0.0.1:0 > 10.0.0.2:0 proto 0 0 B 0 P 1:1 -10000..-5000 ms
           #1 10.0.0.2:0 > 10.0.0.1:0 proto 0 9 B 0 P 1:1 -10000..-5000 ms
           #1 10.0.0.1:0 > 10.0.0.2:0 proto 0 0 B 0 P 1:1 -10000..-5000 ms
        2:  {"trailing_bytes"}
    "#]],
    );
}

#[test]
fn templates_are_taken_back() {
    let withdrawal = |id: u16| [id.to_be_bytes(), [0, 0]].concat();
    let templates = [template(300, SHORT), template(301, SHORT)].concat();
    let mut decoder = FlowDecoder::default();
    let mut decode = |seq, sets: &[Vec<u8>]| {
        let report = decoder.decode(&tcp_frame("192.0.2.1", seq, ipfix(0, 7, sets)), &mut Vec::new());
        (report.templates, report.withdrawn, report.records, report.sets_waiting)
    };
    assert_eq!(decode(1, &[set(2, &templates), set(300, &short(1)), set(301, &short(1))]), (2, 0, 2, 0));
    assert_eq!(decode(2, &[set(2, &withdrawal(300)), set(300, &short(1)), set(301, &short(1))]), (0, 1, 1, 1));
    assert_eq!(decode(3, &[set(2, &template(300, SHORT))]), (1, 0, 1, 0), "what waited is there");
    assert_eq!(decode(4, &[set(2, &withdrawal(2)), set(300, &short(1)), set(301, &short(1))]), (0, 2, 0, 2));
}

/// RFC 7011 section 8.1: not over UDP, neither one nor all; it is counted.
#[test]
fn nobody_takes_templates_back_over_udp() {
    let withdrawals = [[300u16.to_be_bytes(), [0, 0]].concat(), [2u16.to_be_bytes(), [0, 0]].concat()];
    check(
        &[
            ipfix(0, 7, &[set(2, &template(300, SHORT))]),
            ipfix(0, 7, &[set(2, &withdrawals[0])]),
            ipfix(0, 7, &[set(2, &withdrawals[1])]),
            ipfix(0, 7, &[set(300, &short(1))]),
        ],
        expect![[r#"
            1: templates 1 {}
            2:  {"withdrawal_over_udp"}
            3:  {"withdrawal_over_udp"}
            4: records 1 {}
               #4 10.0.0.1:0 > 10.0.1.1:0 proto 0 256 B 2 P 1:1 +0..+0 ms
        "#]],
    );
}

/// Version 9 and IPFIX of one exporter may use the same numbers for other things.
#[test]
fn versions_do_not_share_templates() {
    check(
        &[v9(1, &[set(0, &template(256, SHORT))]), ipfix(0, 1, &[set(256, &short(1))]), v9(1, &[set(256, &short(2))])],
        expect![[r#"
        1: templates 1 {}
        2: waiting 1 {}
        3: records 1 {}
           #3 10.0.0.2:0 > 10.0.1.2:0 proto 0 256 B 2 P 1:1 +0..+0 ms
    "#]],
    );
}

#[test]
fn a_snapshot_carries_on_where_it_was_taken() {
    let datagrams = [
        v9(1, &[set(0, &template(256, SHORT)), set(1, &options(258, &[(1, 4)], &[(34, 4)])), set(258, &[0, 0, 0, 9, 0, 0, 0, 50])]),
        v9(1, &[set(300, &short(1)), set(256, &short(2))]),
        v9(1, &[set(256, &short(3)), set(300, &short(4))]),
        v9(1, &[set(0, &template(300, SHORT))]),
    ];
    let decode = |decoder: &mut FlowDecoder, from: usize| {
        let mut out = Vec::new();
        for (seq, datagram) in (1..).zip(&datagrams).skip(from) {
            decoder.decode(&frame(seq, datagram.clone()), &mut out);
        }
        out
    };
    let whole = decode(&mut FlowDecoder::default(), 0);
    assert_eq!(whole.len(), 4);
    for cut in 0..datagrams.len() {
        let mut first = FlowDecoder::default();
        let mut out = Vec::new();
        for (seq, datagram) in (1..).zip(&datagrams).take(cut) {
            first.decode(&frame(seq, datagram.clone()), &mut out);
        }
        let snapshot = first.snapshot();
        let mut second = FlowDecoder::default();
        second.restore(&serde_json::from_str(&snapshot.to_string()).unwrap());
        assert_eq!(second.snapshot(), snapshot);
        assert_eq!(second.position(), Seq(cut as u64));
        out.extend(decode(&mut second, cut));
        assert_eq!(out, whole, "cut behind {cut}");
    }
    // Reading from the start again with the last state: nothing that waits comes twice.
    let mut last = FlowDecoder::default();
    decode(&mut last, 0);
    let mut again = FlowDecoder::default();
    again.restore(&last.snapshot());
    assert_eq!(decode(&mut again, 0).len(), whole.len());
}

#[test]
fn a_snapshot_from_elsewhere_is_data_too() {
    let mut decoder = FlowDecoder::default();
    for text in ["null", "{}", "[1]", r#"{"format":1,"position":1,"exporters":[],"waiting":[],"streams":[]}"#] {
        decoder.restore(&serde_json::from_str(text).unwrap());
    }
    assert_eq!(decoder.position(), Seq(0));
}

#[test]
fn waiting_data_is_bounded() {
    let mut decoder = FlowDecoder::default();
    let mut lost = 0;
    for seq in 1..1_200 {
        let sets: Vec<Vec<u8>> = (0..8).map(|n| set(300 + n, &[7; 1_000])).collect();
        lost += decoder.decode(&frame(seq, v9(1, &sets)), &mut Vec::new()).sets_lost;
        assert!(decoder.waiting.bytes <= WAITING_BYTES_MAX && decoder.waiting.sets.len() <= WAITING_SETS_MAX);
    }
    let waiting: usize = decoder.waiting.by_key.values().map(VecDeque::len).sum();
    assert_eq!(waiting, decoder.waiting.sets.len());
    assert_eq!(waiting + lost, 1_199 * 8);
}

/// A flood of data without template gives up its own, and what is given up is counted with whom it was of.
#[test]
fn one_sender_takes_no_waiting_data_from_others() {
    let mut decoder = FlowDecoder::default();
    let mut seq = 0;
    let mut decode = |decoder: &mut FlowDecoder, peer: &str, sets: &[Vec<u8>]| {
        seq += 1;
        let mut out = Vec::new();
        let report = decoder.decode(&frame_of(peer, seq, v9(1, sets)), &mut out);
        (out.len(), report.sets_waiting, report.sets_lost)
    };
    let quiet: Vec<String> = (1..100).map(|n| format!("192.0.2.{n}")).collect();
    for peer in &quiet {
        assert_eq!(decode(&mut decoder, peer, &[set(256, &short(1)), set(257, &short(2))]), (0, 2, 0));
    }
    let mut lost = 0;
    for n in 0..3_000 {
        let body = vec![7; if n % 2 == 0 { 4 } else { 1_000 }];
        let sets: Vec<Vec<u8>> = (0..8).map(|m| set(300 + n % 50 * 8 + m, &body)).collect();
        lost += decode(&mut decoder, "198.51.100.1", &sets).2;
    }
    for peer in &quiet {
        let templates = [template(256, SHORT), template(257, SHORT)].concat();
        assert_eq!(decode(&mut decoder, peer, &[set(0, &templates)]), (2, 0, 0), "{peer}");
    }
    assert_eq!(lost + decoder.waiting.sets.len(), 24_000);
    // Many who hold little each: then somebody else's oldest must go.
    for n in 0..9_000u32 {
        decode(&mut decoder, &Ipv4Addr::from(0x0a00_0000 + n).to_string(), &[set(300, &[7; 4])]);
    }
    assert_eq!(decoder.waiting.sets.len(), WAITING_SETS_MAX);
    let accounts = decoder.accounts().list();
    let given_up: u64 = accounts.iter().map(|(_, account)| account.sets_lost).sum();
    let waited: u64 = accounts.iter().map(|(_, account)| account.sets_waited).sum();
    assert!(given_up > 0 && given_up <= waited);
}

#[test]
fn data_waits_no_longer_than_an_hour() {
    let mut decoder = FlowDecoder::default();
    let mut decode = |minutes: i64, seq: u64, sets: &[Vec<u8>]| {
        let mut frame = frame(seq, v9(1, sets));
        frame.frame.received_at = frame.frame.received_at.plus(minutes * Timestamp::MINUTE);
        let report = decoder.decode(&frame, &mut Vec::new());
        (report.records, report.sets_waiting, report.sets_lost)
    };
    assert_eq!(decode(0, 1, &[set(256, &short(1)), set(257, &short(1))]), (0, 2, 0));
    assert_eq!(decode(59, 2, &[set(0, &template(256, SHORT))]), (1, 0, 0));
    assert_eq!(decode(61, 3, &[set(0, &template(257, SHORT))]), (0, 0, 1));
    assert_eq!(decode(61, 4, &[set(258, &short(1))]), (0, 1, 0));
    assert_eq!(decode(122, 5, &[set(259, &short(1))]), (0, 1, 1), "also where its template never comes");
}

/// Four mebibytes that wait, and then a template of a byte: four million records of some hundred bytes each.
#[test]
fn a_template_calls_up_no_more_than_fits() {
    let mut decoder = FlowDecoder::default();
    for seq in 1..70 {
        decoder.decode(&frame(seq, v9(1, &[set(256, &[1; 60_000])])), &mut Vec::new());
    }
    let mut out = Vec::new();
    let report = decoder.decode(&frame(70, v9(1, &[set(0, &template(256, &[(1, 1)]))])), &mut out);
    assert_eq!((out.len(), report.sets_lost), (CALLED_UP_MAX, 61));
    assert_eq!(report.skipped, 8 * (60_000 - 8_192));
}

type Put = fn(&mut FlowRecord, u64);

/// How a test writes one element, its own length, and where it must turn up.
fn elements() -> Vec<(u16, u16, Put)> {
    vec![
        (1, 8, |r, n| r.bytes = n),
        (2, 8, |r, n| r.packets = n),
        (4, 1, |r, n| r.protocol = n as u8),
        (5, 1, |r, n| r.tos = n as u8),
        (6, 1, |r, n| r.tcp_flags = n as u8),
        (7, 2, |r, n| r.src_port = n as u16),
        (11, 2, |r, n| r.dst_port = n as u16),
        (10, 4, |r, n| r.in_if = n as u32),
        (14, 4, |r, n| r.out_if = n as u32),
        (16, 4, |r, n| r.src_as = n as u32),
        (17, 4, |r, n| r.dst_as = n as u32),
        (34, 4, |r, n| r.sampling = (n as u32).max(1)),
        (9_999, 8, |_, _| ()),
        (95, 8, |r, n| r.application = n),
        (148, 8, |r, n| r.flow_id = n),
        (234, 4, |r, n| r.in_vrf = n as u32),
    ]
}

proptest! {
    #[test]
    fn v5_round_trip(
        fields in proptest::collection::vec(any::<([u8; 8], [u16; 6], [u32; 2], [u8; 3], u16)>(), 1..=30),
        sampling in 0u16..0x4000,
    ) {
        let records: Vec<FlowRecord> = fields.iter().map(|(ips, shorts, counts, bytes, back)| FlowRecord {
            src_ip: Ipv4Addr::new(ips[0], ips[1], ips[2], ips[3]).into(),
            dst_ip: Ipv4Addr::new(ips[4], ips[5], ips[6], ips[7]).into(),
            src_port: shorts[0], dst_port: shorts[1], in_if: shorts[2].into(), out_if: shorts[3].into(),
            src_as: shorts[4].into(), dst_as: shorts[5].into(), packets: counts[0].into(), bytes: counts[1].into(),
            protocol: bytes[0], tcp_flags: bytes[1], tos: bytes[2], sampling: u32::from(sampling).max(1),
            start: blank().start.plus(-i64::from(*back) * 2), end: blank().start.plus(-i64::from(*back)),
            ..blank()
        }).collect();
        let mut out = Vec::new();
        let report = FlowDecoder::default().decode(&frame(1, v5(&records, records.len() as u16, sampling)), &mut out);
        prop_assert_eq!(report.defects, FlowDefects::default());
        prop_assert_eq!(out, records);
    }

    #[test]
    fn v9_round_trip_in_any_order_and_length(
        picks in proptest::sample::subsequence((0..elements().len()).collect::<Vec<_>>(), 1..=elements().len()).prop_shuffle(),
        lens in proptest::collection::vec(1u16..=8, elements().len()),
        rows in proptest::collection::vec((proptest::collection::vec(any::<u64>(), elements().len()), any::<[u8; 32]>()), 1..20),
        v6 in any::<bool>(),
        padding in 0usize..4,
    ) {
        let table = elements();
        let (src, dst, width) = if v6 { (27, 28, 16usize) } else { (8, 12, 4) };
        let mut fields: Vec<(u16, u16)> = picks.iter().map(|n| (table[*n].0, lens[*n])).collect();
        fields.push((src, width as u16));
        fields.insert(0, (dst, width as u16));
        let (mut body, mut expected) = (Vec::new(), Vec::new());
        for (values, ips) in &rows {
            let mut record = FlowRecord { version: 9, domain: 5, ..blank() };
            let ip = |bytes: &[u8]| if v6 {
                IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap())).to_canonical()
            } else {
                Ipv4Addr::from(<[u8; 4]>::try_from(bytes).unwrap()).into()
            };
            (record.dst_ip, record.src_ip) = (ip(&ips[..width]), ip(&ips[16..16 + width]));
            body.extend(&ips[..width]);
            for n in &picks {
                let (_, natural, put) = table[*n];
                let bits = 8 * u32::from(lens[*n].min(natural));
                let value = values[*n] & (u64::MAX >> (64 - bits));
                body.extend(&value.to_be_bytes()[8 - usize::from(lens[*n])..]);
                put(&mut record, value);
            }
            body.extend(&ips[16..16 + width]);
            expected.push(record);
        }
        let mut datagram = v9(5, &[set(0, &template(400, &fields))]);
        // A record shorter than the padding would be read out of it; these have addresses.
        body.extend(vec![0; padding]);
        datagram.extend([&400u16.to_be_bytes()[..], &(body.len() as u16 + 4).to_be_bytes(), &body].concat());
        let mut out = Vec::new();
        let report = FlowDecoder::default().decode(&frame(1, datagram), &mut out);
        prop_assert_eq!(report.defects, FlowDefects::default());
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn no_datagram_breaks_the_decoder(
        version in prop_oneof![Just(5u16), Just(9), any::<u16>()],
        datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..5),
    ) {
        let mut decoder = FlowDecoder::default();
        for (seq, bytes) in (1..).zip(&datagrams) {
            let mut out = Vec::new();
            decoder.decode(&frame(seq, [&version.to_be_bytes()[..], bytes].concat()), &mut out);
            prop_assert!(out.iter().all(|record| record.start <= record.end && record.sampling > 0));
        }
    }

    #[test]
    fn every_cut_and_flip_is_survived(cut in 0usize..200, at in 0usize..200, mask in 1u8..) {
        let datagram = v9(1, &[
            set(0, &[template(256, SHORT), template(257, &[SHORT, &[(152, 8), (21, 4), (22, 4), (34, 2)]].concat())].concat()),
            set(1, &options(258, &[(1, 4)], &[(34, 4)])),
            set(256, &short(1)), set(257, &[7; 34]), set(258, &[1; 8]),
        ]);
        let mut flipped = datagram.clone();
        let index = at % flipped.len();
        flipped[index] ^= mask;
        for bytes in [datagram[..cut.min(datagram.len())].to_vec(), flipped] {
            let mut decoder = FlowDecoder::default();
            for seq in 1..4 {
                let mut out = Vec::new();
                let report = decoder.decode(&frame(seq, bytes.clone()), &mut out);
                prop_assert_eq!(report.records, out.len());
            }
            let mut restored = FlowDecoder::default();
            restored.restore(&decoder.snapshot());
            prop_assert_eq!(restored.snapshot(), decoder.snapshot());
        }
    }
}

#[test]
fn a_flood_of_templates_stays_in_its_budget() {
    let mut decoder = FlowDecoder::default();
    for n in 0..16u64 {
        let peer = format!("198.51.100.{n}");
        let bomb: Vec<u8> = (0..5_000u16).flat_map(|id| template(256 + id, &[(1, 4), (id, 1)])).collect();
        decoder.decode(&frame_of(&peer, n, v9(n as u32, &[set(0, &bomb)])), &mut Vec::new());
        assert!(decoder.exporters.size_bytes() <= 16 << 20);
    }
}

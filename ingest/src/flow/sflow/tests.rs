//! Encodes datagrams after the standard and decodes them again; cuts and flips them.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::{FlowDecoder, StreamKey};
use super::*;
use crate::body::SITE_UNKNOWN;
use crate::frame::{FrameKind, Marks, NewFrame, Seq, Transport};
use crate::time::Timestamp;

fn frame(payload: Vec<u8>) -> Frame {
    let frame = NewFrame {
        received_at: Timestamp(1_790_000_000_000),
        site: SITE_UNKNOWN,
        peer: "192.0.2.9".parse().unwrap(),
        transport: Transport::Udp,
        kind: FrameKind::Flow,
        marks: Marks::default(),
        payload: payload.into(),
    };
    Frame { seq: Seq(1), frame }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// With format and length before it, filled up to four bytes.
fn with_tag(format: u32, body: &[u8]) -> Vec<u8> {
    let padding = vec![0; (4 - body.len() % 4) % 4];
    [words(&[format, body.len() as u32]), body.to_vec(), padding].concat()
}

fn datagram(sequence: u32, samples: &[Vec<u8>]) -> Vec<u8> {
    [words(&[5, 1, 0xc000_0209, 3, sequence, 60_000, samples.len() as u32]), samples.concat()].concat()
}

fn raw_header(bytes: &[u8]) -> Vec<u8> {
    with_tag(1, &[words(&[1, 1_518, 4, bytes.len() as u32]), bytes.to_vec(), vec![0; (4 - bytes.len() % 4) % 4]].concat())
}

/// A TCP SYN to port 443 in VLAN 42.
fn syn() -> Vec<u8> {
    let ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 42, 8, 0];
    let ip = [0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2];
    let tcp = [0xc0, 0, 1, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0];
    [&ethernet[..], &ip, &tcp].concat()
}

fn sample(records: &[Vec<u8>]) -> Vec<u8> {
    with_tag(FLOW_SAMPLE, &[words(&[1, 7, 512, 9_000, 2, 7, 0x4000_0003, records.len() as u32]), records.concat()].concat())
}

fn expanded(records: &[Vec<u8>]) -> Vec<u8> {
    with_tag(
        FLOW_SAMPLE_EXPANDED,
        &[words(&[1, 0, 70_000, 256, 9_000, 0, 0, 70_000, 0, 80_000, records.len() as u32]), records.concat()].concat(),
    )
}

fn check(bytes: Vec<u8>, expected: &Expect) {
    let (mut decoder, mut out) = (FlowDecoder::default(), Vec::new());
    let report = decoder.decode(&frame(bytes), &mut out);
    let mut text = String::new();
    for r in &out {
        text += &format!("{} {}:{} > {}:{} flags {:02x} ", r.protocol, r.src_ip, r.src_port, r.dst_ip, r.dst_port, r.tcp_flags);
        text += &format!(
            "{} bytes {} packets 1:{} if {}>{} vlan {}>{} ",
            r.bytes, r.packets, r.sampling, r.in_if, r.out_if, r.in_vlan, r.out_vlan
        );
        text += &format!(
            "as {}>{} hop {} /{}>/{} nat {}:{}\n",
            r.src_as, r.dst_as, r.next_hop, r.src_mask, r.dst_mask, r.nat_src_ip, r.nat_src_port
        );
    }
    text += &format!("{} flows, {} counters, {} skipped {:?}", report.records, report.counters, report.skipped, report.defects);
    expected.assert_eq(&text);
}

#[test]
fn samples_and_what_the_switch_knew() {
    let switch = with_tag(1_001, &words(&[42, 0, 43, 0]));
    let router = with_tag(1_002, &words(&[1, 0x0a00_0001, 24, 16]));
    let gateway = with_tag(1_003, &words(&[1, 0x0a00_0002, 64_500, 64_501, 64_502, 1, 2, 2, 64_503, 64_504, 0, 100]));
    let nat = [with_tag(1_007, &words(&[1, 0xcb00_7101, 1, 0xcb00_7102])), with_tag(1_020, &words(&[4_711, 443]))].concat();
    check(
        datagram(1, &[sample(&[raw_header(&syn()), switch, router]), expanded(&[gateway, raw_header(&syn()), nat])]),
        &expect![[r#"
            6 192.0.2.1:49152 > 198.51.100.2:443 flags 02 1518 bytes 1 packets 1:512 if 7>0 vlan 42>43 as 0>0 hop 10.0.0.1 /24>/16 nat 0.0.0.0:0
            6 192.0.2.1:49152 > 198.51.100.2:443 flags 02 1518 bytes 1 packets 1:256 if 70000>80000 vlan 42>0 as 64501>64504 hop 10.0.0.2 /0>/0 nat 203.0.113.1:0
            2 flows, 0 counters, 0 skipped {}"#]],
    );
    let ipv4 = with_tag(3, &words(&[60, 17, 0xc000_0201, 0xc633_6402, 5_353, 53, 0, 8]));
    check(
        datagram(1, &[sample(&[ipv4]), with_tag(COUNTER_SAMPLE, &words(&[1, 7, 0])), with_tag(0x00ff_f001, &[1, 2, 3])]),
        &expect![[r#"
            17 192.0.2.1:5353 > 198.51.100.2:53 flags 00 60 bytes 1 packets 1:512 if 7>0 vlan 0>0 as 0>0 hop 0.0.0.0 /0>/0 nat 0.0.0.0:0
            1 flows, 1 counters, 1 skipped {}"#]],
    );
}

#[test]
fn what_is_wrong_has_a_name() {
    check(words(&[5, 1, 0]), &expect![[r#"0 flows, 0 counters, 0 skipped {"truncated"}"#]]);
    check(datagram(1, &[sample(&[])]), &expect![[r#"0 flows, 0 counters, 1 skipped {"no_traffic"}"#]]);
    let cut = datagram(1, &[sample(&[raw_header(&syn())])]);
    check(cut[..cut.len() - 9].to_vec(), &expect![[r#"0 flows, 0 counters, 1 skipped {"truncated"}"#]]);
    let many = words(&[5, 1, 0, 0, 1, 1, u32::MAX]);
    check(many, &expect![[r#"0 flows, 0 counters, 1 skipped {"truncated", "record_count"}"#]]);
    check([datagram(1, &[]), vec![1, 2, 3, 4]].concat(), &expect![[r#"0 flows, 0 counters, 0 skipped {"trailing_bytes"}"#]]);
}

#[test]
fn lost_datagrams_are_counted_and_the_exporters_own_drops() {
    let mut decoder = FlowDecoder::default();
    for sequence in [1, 2, 5, 6, 9] {
        decoder.decode(&frame(datagram(sequence, &[sample(&[raw_header(&syn())])])), &mut Vec::new());
    }
    let (key, account) = decoder.accounts().list().remove(0);
    assert_eq!(key, StreamKey { exporter: "192.0.2.9".parse().unwrap(), version: SFLOW, agent: None, domain: 3 });
    assert_eq!((account.datagrams, account.lost, account.dropped_by_exporter, account.sampling), (5, 4, 2, 512));
}

/// The formats of an interface: its number, a discarded packet's reason, several at once.
#[test]
fn what_stands_in_an_interfaces_place() {
    let seen = |expanded: bool, ports: &[u32]| {
        let mut head = if expanded { vec![1, 0, 7, 512, 9_000, 2] } else { vec![1, 7, 512, 9_000, 2] };
        head.extend(ports.iter().chain(&[1]));
        let format = if expanded { FLOW_SAMPLE_EXPANDED } else { FLOW_SAMPLE };
        let sample = with_tag(format, &[words(&head), raw_header(&syn())].concat());
        let mut out = Vec::new();
        FlowDecoder::default().decode(&frame(datagram(1, &[sample])), &mut out);
        let FlowRecord { in_if, out_if, forwarding, dropped_packets, dropped_bytes, .. } = out[0];
        (in_if, out_if, forwarding, dropped_packets, dropped_bytes)
    };
    assert_eq!(seen(false, &[7, 3]), (7, 3, 0, 0, 0));
    assert_eq!(seen(false, &[7, 0x4000_0101]), (7, 0, 129, 1, 1_518), "discarded by an access list");
    assert_eq!(seen(false, &[7, 0x4000_0001]), (7, 0, 131, 1, 1_518), "no route to the host");
    assert_eq!(seen(false, &[7, 0x8000_0005]), (7, 0, 0, 0, 0), "out by five");
    assert_eq!(seen(true, &[0, 70_000, 0, 0x4000_0101]), (70_000, 0x4000_0101, 0, 0, 0));
    assert_eq!(seen(true, &[0, 70_000, 1, 260]), (70_000, 0, 138, 1, 1_518));
    assert_eq!(seen(true, &[0, 70_000, 2, 5]), (70_000, 0, 0, 0, 0));
}

/// Agents that send by one address, each with a sequence of its own.
#[test]
fn agents_behind_one_address_are_streams_of_their_own() {
    let mut decoder = FlowDecoder::default();
    let agents = [0xc000_0209, 0xc000_020a, 0xc000_020b];
    for n in 0..50u32 {
        for (base, agent) in (0..).step_by(1_000).zip(agents) {
            let samples = [sample(&[raw_header(&syn())])];
            let datagram = [words(&[5, 1, agent, 3, base + n, 60_000, 1]), samples.concat()].concat();
            decoder.decode(&frame(datagram), &mut Vec::new());
        }
    }
    let all = decoder.accounts().list();
    assert!(all.iter().all(|(_, account)| (account.datagrams, account.lost, account.restarts, account.strays) == (50, 0, 0, 0)));
    let names: Vec<_> = all.iter().map(|(key, _)| key.domain_name()).collect();
    assert_eq!(names, ["3", "3@192.0.2.10", "3@192.0.2.11"]);
}

proptest! {
    #[test]
    fn every_cut_and_flip_is_survived(cut in 0usize..400, at in 0usize..400, mask in 1u8..) {
        let router = with_tag(1_002, &words(&[2, 0, 0, 0, 1, 24, 16]));
        let mut bytes = datagram(1, &[sample(&[raw_header(&syn()), router]), expanded(&[raw_header(&syn())])]);
        let at = at % bytes.len();
        bytes[at] ^= mask;
        bytes.truncate(cut);
        let mut out = Vec::new();
        let report = FlowDecoder::default().decode(&frame(bytes), &mut out);
        prop_assert_eq!(report.records, out.len());
    }
}

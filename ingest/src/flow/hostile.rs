//! Bad input: every truncation and every flipped byte of datagrams that real exporters sent, floods of templates, templates
//! that change their meaning, lengths of zero, counters that wrap, times in the future, forged exporters. Whatever comes is
//! counted, stays within the decoder's memory, and takes nothing from who sends in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};
use serde_json::Value;

use super::decoder::MEMORY_BYTES_MAX;
use super::{Account, FlowDecoder, FlowRecord, FlowReport};
use crate::body::SITE_UNKNOWN;
use crate::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use crate::time::Timestamp;

const SECS: u32 = 1_790_000_000;

pub(super) fn flow_frame(peer: &str, seq: u64, payload: &[u8]) -> Frame {
    let frame = NewFrame {
        received_at: Timestamp(i64::from(SECS) * 1_000 + i64::try_from(seq).unwrap() / 10),
        site: SITE_UNKNOWN,
        peer: peer.parse().unwrap(),
        transport: Transport::Udp,
        kind: FrameKind::Flow,
        marks: Marks::default(),
        payload: payload.into(),
    };
    Frame { seq: Seq(seq), frame }
}

pub(super) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

pub(super) fn shorts(shorts: &[u16]) -> Vec<u8> {
    shorts.iter().flat_map(|short| short.to_be_bytes()).collect()
}

pub(super) fn set(id: u16, body: &[u8]) -> Vec<u8> {
    [shorts(&[id, 4 + body.len() as u16]), body.to_vec()].concat()
}

pub(super) fn v9(sequence: u32, domain: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    [shorts(&[9, 1]), words(&[3_600_000, SECS, sequence, domain]), sets.concat()].concat()
}

pub(super) fn ipfix(sequence: u32, domain: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    [shorts(&[10, 16 + body.len() as u16]), words(&[SECS, sequence, domain]), body].concat()
}

fn v5(sequence: u32, uptime: u32, records: &[[u32; 12]]) -> Vec<u8> {
    let header = [shorts(&[5, records.len() as u16]), words(&[uptime, SECS, 0, sequence, 0])].concat();
    [header, records.iter().flat_map(|record| words(record)).collect()].concat()
}

/// An IPFIX template; elements of vendors by their number.
pub(super) fn ipfix_template(id: u16, fields: &[(u32, u16, u16)]) -> Vec<u8> {
    let mut bytes = shorts(&[id, fields.len() as u16]);
    for (enterprise, element, len) in fields {
        let bit = if *enterprise == 0 { 0 } else { 0x8000 };
        bytes.extend(shorts(&[element | bit, *len]));
        bytes.extend(if *enterprise == 0 { Vec::new() } else { words(&[*enterprise]) });
    }
    bytes
}

pub(super) fn sflow_datagram(sequence: u32, samples: &[Vec<u8>]) -> Vec<u8> {
    [words(&[5, 1, 0xc000_0209, 3, sequence, 60_000, samples.len() as u32]), samples.concat()].concat()
}

fn template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let fields: Vec<u16> = fields.iter().flat_map(|(element, len)| [*element, *len]).collect();
    [shorts(&[id, fields.len() as u16 / 2]), shorts(&fields)].concat()
}

/// Source and destination address, bytes, packets.
const SHORT: &[(u16, u16)] = &[(8, 4), (12, 4), (1, 4), (2, 4)];

fn short(n: u32) -> Vec<u8> {
    words(&[0x0a00_0000 + n, 0x0a00_0100 + n, 256, 2])
}

/// Datagrams of one exporter each, in their order: of the corpora, where they are there, and of sFlow our own.
fn series() -> Option<Vec<Vec<Vec<u8>>>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    let folder = std::env::var_os("WARTBURG_CORPORA").map_or_else(beside, PathBuf::from).join("netflow");
    if !folder.is_dir() {
        assert!(std::env::var_os("WARTBURG_CORPORA_REQUIRED").is_none_or(|value| value != "1"), "no corpora at {}", folder.display());
        println!("skipped: no corpora at {}", folder.display());
        return None;
    }
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(folder.join("logstash/cases.json")).unwrap()).unwrap();
    let read = |file: PathBuf| std::fs::read(file).unwrap();
    let of_case = |case: &Value| -> Vec<Vec<u8>> {
        case["files"].as_array().unwrap().iter().map(|file| read(folder.join("logstash").join(file.as_str().unwrap()))).collect()
    };
    let mut all: Vec<Vec<Vec<u8>>> = cases.iter().map(of_case).collect();
    for (example, files) in [("netflow_v5_example", vec!["netflow_v5"]), ("netflow_v9_example", vec!["netflow_v9"])] {
        all.push(files.iter().map(|file| read(folder.join("telegraf").join(example).join(format!("{file}.bin")))).collect());
    }
    all.push((0..7).map(|n| read(folder.join(format!("telegraf/ipfix_example/ipfix_{n}.bin")))).collect());
    all.push(vec![sflow_example()]);
    Some(all)
}

/// A flow sample with a packet's header and what the switch knew, an expanded one, and counters.
fn sflow_example() -> Vec<u8> {
    let tagged = |format: u32, body: &[u8]| [words(&[format, body.len() as u32]), body.to_vec()].concat();
    let packet = [
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 42, 8, 0][..],
        &[0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2],
        &[0xc0, 0, 1, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0],
    ]
    .concat();
    let header = tagged(1, &[words(&[1, 1_518, 4, packet.len() as u32]), packet].concat());
    let gateway = tagged(1_003, &words(&[1, 0x0a00_0002, 64_500, 64_501, 64_502, 1, 2, 2, 64_503, 64_504, 0, 100]));
    let router = tagged(1_002, &words(&[2, 0x2001_0db8, 0, 0, 1, 24, 16]));
    let flow = tagged(1, &[words(&[1, 7, 512, 9_000, 2, 7, 3, 2]), header.clone(), router].concat());
    let expanded = tagged(3, &[words(&[1, 0, 7, 256, 9_000, 0, 0, 7, 0, 8, 2]), gateway, header].concat());
    sflow_datagram(1, &[flow, expanded, tagged(2, &[words(&[1, 7, 1]), tagged(1, &[7; 88])].concat())])
}

/// What a kind of damage came to, over all datagrams of a version.
#[derive(Default)]
struct Outcome {
    mutants: usize,
    /// As many records as undamaged, fewer, more.
    same: usize,
    fewer: usize,
    more: usize,
    records: usize,
    skipped: usize,
    waiting: usize,
    defects: BTreeMap<&'static str, usize>,
}

#[test]
fn every_truncation_and_every_flipped_byte_of_the_corpora() {
    let Some(all) = series() else { return };
    let mut table: BTreeMap<(u16, &str), Outcome> = BTreeMap::new();
    for series in &all {
        for (index, datagram) in series.iter().enumerate() {
            let (before, _) = series.split_at(index);
            let mut decoder = primed(before);
            let whole = decode(&mut primed(before), datagram).1;
            for (kind, mutant) in mutants(datagram) {
                let (out, report) = decode(&mut decoder, &mutant);
                assert_eq!(out.len(), report.records, "{kind}");
                assert!(out.iter().all(|record| record.start <= record.end && record.sampling > 0), "{kind}");
                assert!(decoder.memory_bytes() <= MEMORY_BYTES_MAX);
                let outcome = table.entry((whole.version, kind)).or_default();
                outcome.mutants += 1;
                *match report.records.cmp(&whole.records) {
                    std::cmp::Ordering::Equal => &mut outcome.same,
                    std::cmp::Ordering::Less => &mut outcome.fewer,
                    std::cmp::Ordering::Greater => &mut outcome.more,
                } += 1;
                outcome.records += report.records;
                outcome.skipped += report.skipped;
                outcome.waiting += report.sets_waiting;
                report.defects.iter().for_each(|defect| *outcome.defects.entry(defect.name()).or_default() += 1);
                // What it told would change how the next is read.
                if report.templates + report.withdrawn + report.options + report.sets_waiting > 0 {
                    decoder = primed(before);
                }
            }
        }
    }
    let line = |((version, kind), outcome): (&(u16, &str), &Outcome)| {
        let Outcome { mutants, same, fewer, more, records, skipped, waiting, defects } = outcome;
        format!(
            "{version} {kind}: {mutants} datagrams ({same} as many, {fewer} fewer, {more} more), {records} records, {skipped} skipped, {waiting} waiting, {defects:?}\n"
        )
    };
    expect![[r#"
        5 all bits: 3600 datagrams (3592 as many, 8 fewer, 0 more), 6680 records, 0 skipped, 0 waiting, {"bad_time": 30, "record_count": 1466, "trailing_bytes": 1724, "unknown_version": 6}
        5 cut: 3600 datagrams (3072 as many, 528 fewer, 0 more), 4608 records, 1872 skipped, 0 waiting, {"record_count": 1440, "trailing_bytes": 1607, "truncated": 552}
        5 highest bit: 3600 datagrams (3592 as many, 8 fewer, 0 more), 6680 records, 0 skipped, 0 waiting, {"bad_time": 28, "record_count": 1466, "trailing_bytes": 1724, "unknown_version": 6}
        5 lowest bit: 3600 datagrams (3593 as many, 6 fewer, 1 more), 6691 records, 1 skipped, 0 waiting, {"bad_time": 18, "record_count": 1464, "trailing_bytes": 1725, "truncated": 1, "unknown_version": 6}
        9 all bits: 15300 datagrams (14754 as many, 544 fewer, 2 more), 149575 records, 0 skipped, 303 waiting, {"bad_template": 191, "bad_time": 780, "field_length": 2275, "trailing_bytes": 296, "truncated": 222, "unknown_set": 41, "unknown_version": 58}
        9 cut: 15300 datagrams (6572 as many, 8728 fewer, 0 more), 25920 records, 0 skipped, 0 waiting, {"truncated": 15053}
        9 highest bit: 15300 datagrams (14754 as many, 544 fewer, 2 more), 149737 records, 0 skipped, 302 waiting, {"bad_template": 189, "bad_time": 817, "field_length": 2258, "trailing_bytes": 292, "truncated": 219, "unknown_set": 50, "unknown_version": 58}
        9 lowest bit: 15300 datagrams (14786 as many, 492 fewer, 22 more), 150879 records, 0 skipped, 209 waiting, {"bad_template": 289, "bad_time": 704, "field_length": 1587, "template_empty": 7, "template_too_long": 8, "trailing_bytes": 327, "truncated": 219, "unknown_set": 14, "unknown_version": 58}
        10 all bits: 9392 datagrams (9145 as many, 246 fewer, 1 more), 75737 records, 0 skipped, 5706 waiting, {"bad_template": 491, "bad_time": 450, "field_length": 558, "trailing_bytes": 46, "truncated": 237, "unknown_set": 16, "unknown_version": 38}
        10 cut: 9392 datagrams (5321 as many, 4071 fewer, 0 more), 13784 records, 0 skipped, 3339 waiting, {"truncated": 9392}
        10 highest bit: 9392 datagrams (9132 as many, 260 fewer, 0 more), 75783 records, 0 skipped, 5704 waiting, {"bad_template": 491, "bad_time": 450, "field_length": 590, "template_too_long": 3, "trailing_bytes": 35, "truncated": 237, "unknown_set": 21, "unknown_version": 38}
        10 lowest bit: 9392 datagrams (9146 as many, 246 fewer, 0 more), 75901 records, 4 skipped, 5701 waiting, {"bad_template": 111, "bad_time": 391, "field_length": 382, "no_traffic": 1, "template_too_long": 30, "trailing_bytes": 57, "truncated": 215, "unknown_set": 5, "unknown_version": 38, "withdrawal_over_udp": 4}
        105 all bits: 488 datagrams (432 as many, 56 fewer, 0 more), 912 records, 81 skipped, 0 waiting, {"no_traffic": 8, "record_count": 7, "trailing_bytes": 1, "truncated": 44, "unknown_version": 4}
        105 cut: 488 datagrams (116 as many, 372 fewer, 0 more), 420 records, 460 skipped, 0 waiting, {"truncated": 488}
        105 highest bit: 488 datagrams (432 as many, 56 fewer, 0 more), 912 records, 83 skipped, 0 waiting, {"no_traffic": 8, "record_count": 7, "trailing_bytes": 1, "truncated": 44, "unknown_version": 4}
        105 lowest bit: 488 datagrams (434 as many, 54 fewer, 0 more), 916 records, 78 skipped, 0 waiting, {"no_traffic": 9, "record_count": 6, "trailing_bytes": 3, "truncated": 40, "unknown_version": 4}
    "#]].assert_eq(&table.iter().map(line).collect::<String>());
}

fn primed(before: &[Vec<u8>]) -> FlowDecoder {
    let mut decoder = FlowDecoder::default();
    before.iter().for_each(|datagram| drop(decode(&mut decoder, datagram)));
    decoder
}

fn decode(decoder: &mut FlowDecoder, datagram: &[u8]) -> (Vec<FlowRecord>, FlowReport) {
    let mut out = Vec::new();
    let report = decoder.decode(&flow_frame("192.0.2.1", decoder.position().0 + 1, datagram), &mut out);
    (out, report)
}

/// Cut at every byte; every byte with all of its bits, its lowest and its highest turned.
fn mutants(datagram: &[u8]) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let cuts = (0..datagram.len()).map(|len| ("cut", datagram.get(..len).unwrap_or_default().to_vec()));
    let flips = (0..datagram.len()).flat_map(|at| {
        [("all bits", 0xff), ("lowest bit", 1), ("highest bit", 0x80)].map(|(kind, mask)| {
            let mut flipped = datagram.to_vec();
            flipped[at] ^= mask;
            (kind, flipped)
        })
    });
    cuts.chain(flips)
}

#[test]
fn floods_of_templates_stay_in_the_memory_and_harm_nobody() {
    let mut decoder = FlowDecoder::default();
    let (mut seq, mut most) = (0, 0);
    let honest = |decoder: &mut FlowDecoder, seq: &mut u64, sequence: u32, sets: &[Vec<u8>]| {
        *seq += 1;
        let mut out = Vec::new();
        decoder.decode(&flow_frame("192.0.2.1", *seq, &v9(sequence, 1, sets)), &mut out);
        out.len()
    };
    honest(&mut decoder, &mut seq, 0, &[set(0, &template(256, SHORT))]);
    for round in 0..200u32 {
        let attacker = format!("198.51.{}.{}", 100 + round % 2, round % 250);
        let wide: Vec<(u16, u16)> = (0..250).map(|n| (n + 1, 1)).collect();
        // As many as fit, as wide as they may be; in v9, in IPFIX, as options, in ever new domains.
        let bombs: Vec<u8> = (0..60u16).flat_map(|n| template(256 + n + (round as u16 % 16) * 60, &wide)).collect();
        let small: Vec<u8> = (0..500u16).flat_map(|n| template(256 + n, &[(1, 4)])).collect();
        let options = [shorts(&[1_000, 4, 8]), shorts(&[1, 4, 48, 4, 34, 4])].concat();
        let rates: Vec<u8> = (0..2_000).flat_map(|n| words(&[1, n, 100])).collect();
        let withdrawn: Vec<u8> = (0..60u16).flat_map(|n| shorts(&[256 + n, 0])).collect();
        for datagram in [
            v9(round, 0, &[set(0, &small)]),
            v9(round, round, &[set(0, &bombs)]),
            ipfix(round, round, &[set(2, &bombs)]),
            v9(round, 1, &[set(1, &options), set(1_000, &rates)]),
            ipfix(round, round, &[set(2, &withdrawn)]),
            v9(round, round, &[set(60_000, &[1; 60_000])]),
        ] {
            seq += 1;
            decoder.decode(&flow_frame(&attacker, seq, &datagram), &mut Vec::new());
            most = most.max(decoder.memory_bytes());
            assert!(most <= MEMORY_BYTES_MAX, "{most} bytes in round {round}");
        }
        assert_eq!(honest(&mut decoder, &mut seq, round + 1, &[set(256, &short(1))]), 1, "round {round}");
    }
    assert!(most > 8 << 20, "the floods must reach the bounds to say something: {most}");
}

#[test]
fn who_announces_and_withdraws_leaves_nothing() {
    let mut decoder = FlowDecoder::default();
    for n in 0..40_000u64 {
        let peer = std::net::Ipv4Addr::from(0x0b00_0000 + n as u32).to_string();
        let sets = [set(2, &template(256, SHORT)), set(2, &shorts(&[256, 0]))];
        let mut frame = flow_frame(&peer, n + 1, &ipfix(0, 1, &sets));
        // Over UDP it is not heeded.
        frame.frame.transport = Transport::Tcp;
        decoder.decode(&frame, &mut Vec::new());
    }
    assert_eq!(decoder.exporters.sorted().len(), 0, "an exporter that has told nothing takes no place");
}

/// Reports and accounts of a table of datagrams.
fn check(datagrams: &[Vec<u8>], expected: Expect) {
    let (mut decoder, mut text) = (FlowDecoder::default(), String::new());
    for datagram in datagrams {
        let (out, report) = decode(&mut decoder, datagram);
        let FlowReport { records, options, templates, withdrawn, skipped, sets_waiting, defects, .. } = report;
        text += &format!("{records} records, {options} options, {templates} templates, {withdrawn} withdrawn, {skipped} skipped, ");
        text += &format!("{sets_waiting} waiting {defects:?}\n");
        for r in out.iter().take(3) {
            text += &format!("  {} > {} {} B {} P {}..{}\n", r.src_ip, r.dst_ip, r.bytes, r.packets, r.start.rfc3339(), r.end.rfc3339());
        }
    }
    for (key, account) in decoder.accounts().list() {
        let Account { datagrams, records, lost, late, doubled, restarts, unsure, defective, skew_ms, delay_ms, .. } = account;
        text += &format!("{} of {}: {datagrams} datagrams, {records} records, {lost} lost, {late} late, ", key.version, key.domain);
        text +=
            &format!("{doubled} doubled, {restarts} restarts, {unsure} unsure, {defective} defective, skew {skew_ms}, delay {delay_ms}\n");
    }
    expected.assert_eq(&text);
}

#[test]
fn templates_that_change_their_meaning() {
    let turned: &[(u16, u16)] = &[(12, 4), (8, 4), (2, 4), (1, 4)];
    let longer: &[(u16, u16)] = &[(8, 4), (12, 4), (1, 8), (2, 8), (4, 1)];
    check(
        &[
            v9(0, 1, &[set(0, &template(256, SHORT)), set(256, &short(1))]),
            // In the middle of a datagram: what stands before it is read as before.
            v9(1, 1, &[set(256, &short(2)), set(0, &template(256, turned)), set(256, &short(3))]),
            v9(2, 1, &[set(0, &template(256, longer)), set(256, &short(4)), set(256, &[1; 25])]),
            // As options from now on: no flow any more.
            v9(3, 1, &[set(1, &[shorts(&[256, 4, 8]), shorts(&[1, 4, 48, 4, 34, 4])].concat()), set(256, &short(5))]),
            v9(4, 1, &[set(0, &template(256, SHORT)), set(256, &short(6))]),
        ],
        expect![[r#"
            1 records, 0 options, 1 templates, 0 withdrawn, 0 skipped, 0 waiting {}
              10.0.0.1 > 10.0.1.1 256 B 2 P 2026-09-21T14:13:20.000Z..2026-09-21T14:13:20.000Z
            2 records, 0 options, 1 templates, 0 withdrawn, 0 skipped, 0 waiting {}
              10.0.0.2 > 10.0.1.2 256 B 2 P 2026-09-21T14:13:20.000Z..2026-09-21T14:13:20.000Z
              10.0.1.3 > 10.0.0.3 2 B 256 P 2026-09-21T14:13:20.000Z..2026-09-21T14:13:20.000Z
            1 records, 0 options, 1 templates, 0 withdrawn, 0 skipped, 0 waiting {"trailing_bytes"}
              1.1.1.1 > 1.1.1.1 72340172838076673 B 72340172838076673 P 2026-09-21T14:13:20.000Z..2026-09-21T14:13:20.000Z
            0 records, 1 options, 1 templates, 0 withdrawn, 0 skipped, 0 waiting {"trailing_bytes"}
            1 records, 0 options, 1 templates, 0 withdrawn, 0 skipped, 0 waiting {}
              10.0.0.6 > 10.0.1.6 256 B 2 P 2026-09-21T14:13:20.000Z..2026-09-21T14:13:20.000Z
            9 of 1: 5 datagrams, 5 records, 0 lost, 0 late, 0 doubled, 0 restarts, 0 unsure, 2 defective, skew 0, delay 0
        "#]],
    );
}

#[test]
fn lengths_of_zero() {
    let variable = ipfix_template(256, &[(0, 8, 4), (0, 1, 4), (0, 82, 65_535), (9_999, 1, 65_535)]);
    check(
        &[
            Vec::new(),
            vec![0],
            shorts(&[5]),
            shorts(&[9]),
            words(&[5]),
            shorts(&[9, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ipfix(0, 1, &[]),
            shorts(&[10, 0, 0, 0, 0, 0, 0, 0]),
            v9(0, 1, &[shorts(&[256, 0])]),
            v9(1, 1, &[shorts(&[256, 4]), shorts(&[0, 4]), shorts(&[1, 4])]),
            v9(2, 1, &[set(0, &template(256, &[]))]),
            v9(3, 1, &[set(0, &template(257, &[(8, 0), (1, 0)]))]),
            v9(4, 1, &[set(0, &template(258, &[(8, 4), (82, 0), (1, 4)])), set(258, &words(&[1, 2]))]),
            v9(5, 1, &[set(1, &shorts(&[259, 0, 0]))]),
            ipfix(0, 1, &[set(2, &variable), set(256, &[words(&[0x0a00_0001, 9]), vec![0, 0]].concat())]),
            ipfix(1, 1, &[set(256, &[words(&[0x0a00_0001, 9]), vec![255, 0, 0, 255, 0, 0]].concat())]),
            sflow_datagram(1, &[words(&[1, 0]), words(&[2, 0]), words(&[3, 0]), words(&[77, 0])]),
            sflow_datagram(2, &[]),
        ],
        expect![[r#"
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {"truncated"}
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {"truncated"}
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {"truncated"}
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {"truncated"}
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {"truncated"}
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {"bad_time"}
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {}
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {"bad_time"}
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {"truncated"}
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {}
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {"template_empty"}
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {"template_empty"}
            1 records, 0 options, 1 templates, 0 withdrawn, 0 skipped, 0 waiting {}
              0.0.0.1 > 0.0.0.0 2 B 0 P 2026-09-21T14:13:20.000Z..2026-09-21T14:13:20.000Z
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {"template_empty"}
            1 records, 0 options, 1 templates, 0 withdrawn, 0 skipped, 0 waiting {}
              10.0.0.1 > 0.0.0.0 9 B 0 P 2026-09-21T14:13:20.000Z..2026-09-21T14:13:20.000Z
            1 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {}
              10.0.0.1 > 0.0.0.0 9 B 0 P 2026-09-21T14:13:20.000Z..2026-09-21T14:13:20.000Z
            0 records, 0 options, 0 templates, 0 withdrawn, 3 skipped, 0 waiting {"truncated"}
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {}
            0 of 0: 2 datagrams, 0 records, 0 lost, 0 late, 0 doubled, 0 restarts, 0 unsure, 2 defective, skew 0, delay 0
            5 of 0: 1 datagrams, 0 records, 0 lost, 0 late, 0 doubled, 0 restarts, 0 unsure, 1 defective, skew 0, delay 0
            9 of 0: 2 datagrams, 0 records, 0 lost, 0 late, 0 doubled, 0 restarts, 0 unsure, 2 defective, skew -1790000000000, delay 0
            9 of 1: 6 datagrams, 1 records, 0 lost, 0 late, 0 doubled, 0 restarts, 0 unsure, 4 defective, skew -1, delay 0
            10 of 0: 1 datagrams, 0 records, 0 lost, 0 late, 0 doubled, 0 restarts, 0 unsure, 1 defective, skew -1790000000000, delay 0
            10 of 1: 3 datagrams, 2 records, 0 lost, 0 late, 0 doubled, 0 restarts, 0 unsure, 0 defective, skew -1, delay 0
            105 of 0: 1 datagrams, 0 records, 0 lost, 0 late, 0 doubled, 0 restarts, 0 unsure, 1 defective, skew 0, delay 0
            105 of 3: 2 datagrams, 0 records, 0 lost, 0 late, 0 doubled, 0 restarts, 0 unsure, 1 defective, skew 0, delay 0
        "#]],
    );
}

#[test]
fn counters_that_wrap_and_times_in_the_future() {
    let record = |first: u32, last: u32| [0x0a00_0001, 0x0a00_0002, 0, 0, u32::MAX, u32::MAX, first, last, 0, 0, 0, 0];
    let big = template(256, &[(8, 4), (12, 4), (1, 8), (2, 8), (152, 8), (153, 8)]);
    let wide = |start: u64, end: u64| {
        let numbers = [u64::MAX, u64::MAX, start, end];
        [words(&[0x0a00_0001, 0x0a00_0002]), numbers.iter().flat_map(|n| n.to_be_bytes()).collect()].concat()
    };
    check(
        &[
            // The sequence over its end, with ten records missing there.
            v5(u32::MAX - 1, 1_000, &[record(0, 500); 2]),
            v5(10, 2_000, &[record(1_000, 1_500); 1]),
            // The uptime over its end; a flow that began before.
            v5(11, u32::MAX - 10, &[record(u32::MAX - 500, u32::MAX - 100); 1]),
            v5(12, 100, &[record(u32::MAX - 500, 50); 1]),
            // A flow that ends after its export, and one that ends before it began.
            v5(13, 200, &[record(100, 60_000), record(150, 20)]),
            ipfix(0, 1, &[set(2, &big), set(256, &wide(4_000_000_000_000, 4_000_000_000_500))]),
            ipfix(1, 1, &[set(256, &[wide(u64::MAX, u64::MAX), wide(0, 0), wide(1_790_000_000_000, 1_789_999_999_000)].concat())]),
            // An exporter whose clock says 2106.
            [shorts(&[10, 16]), words(&[u32::MAX, 4, 1])].concat(),
        ],
        expect![[r#"
            2 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {}
              10.0.0.1 > 10.0.0.2 4294967295 B 4294967295 P 2026-09-21T14:13:19.000Z..2026-09-21T14:13:19.500Z
              10.0.0.1 > 10.0.0.2 4294967295 B 4294967295 P 2026-09-21T14:13:19.000Z..2026-09-21T14:13:19.500Z
            1 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {}
              10.0.0.1 > 10.0.0.2 4294967295 B 4294967295 P 2026-09-21T14:13:19.000Z..2026-09-21T14:13:19.500Z
            1 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {}
              10.0.0.1 > 10.0.0.2 4294967295 B 4294967295 P 2026-09-21T14:13:19.510Z..2026-09-21T14:13:19.910Z
            1 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {}
              10.0.0.1 > 10.0.0.2 4294967295 B 4294967295 P 2026-09-21T14:13:19.399Z..2026-09-21T14:13:19.950Z
            2 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {"bad_time"}
              10.0.0.1 > 10.0.0.2 4294967295 B 4294967295 P 2026-09-21T14:13:19.900Z..2026-09-21T14:14:19.800Z
              10.0.0.1 > 10.0.0.2 4294967295 B 4294967295 P 2026-09-21T14:13:19.820Z..2026-09-21T14:13:19.820Z
            1 records, 0 options, 1 templates, 0 withdrawn, 0 skipped, 0 waiting {"bad_time"}
              10.0.0.1 > 10.0.0.2 18446744073709551615 B 18446744073709551615 P 2026-09-21T14:13:20.000Z..2026-09-21T14:13:20.000Z
            3 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {"bad_time"}
              10.0.0.1 > 10.0.0.2 18446744073709551615 B 18446744073709551615 P 2026-09-21T14:13:20.000Z..2026-09-21T14:13:20.000Z
              10.0.0.1 > 10.0.0.2 18446744073709551615 B 18446744073709551615 P 2026-09-21T14:13:20.000Z..2026-09-21T14:13:20.000Z
              10.0.0.1 > 10.0.0.2 18446744073709551615 B 18446744073709551615 P 2026-09-21T14:13:19.000Z..2026-09-21T14:13:19.000Z
            0 records, 0 options, 0 templates, 0 withdrawn, 0 skipped, 0 waiting {"bad_time"}
            5 of 0: 5 datagrams, 7 records, 10 lost, 0 late, 0 doubled, 0 restarts, 0 unsure, 1 defective, skew 0, delay -29810
            10 of 1: 3 datagrams, 4 records, 0 lost, 0 late, 0 doubled, 0 restarts, 0 unsure, 3 defective, skew 2504967295000, delay 333
        "#]],
    );
}

#[test]
fn forged_exporters_are_bounded_and_the_honest_ones_account_stays_exact() {
    let mut decoder = FlowDecoder::default();
    let (mut seq, mut sequence) = (0, 0);
    for n in 0..30_000u32 {
        seq += 1;
        let forged = std::net::Ipv4Addr::from(0x0b00_0000 + n).to_string();
        let datagram = match n % 5 {
            0 => v5(n, n, &[[n; 12]]),
            1 => v9(n, n, &[set(0, &template(256, SHORT)), set(256, &short(n % 200))]),
            2 => ipfix(n, n, &[set(300, &[7; 40])]),
            3 => sflow_example(),
            _ => vec![n as u8; 40],
        };
        decoder.decode(&flow_frame(&forged, seq, &datagram), &mut Vec::new());
        if n % 10 == 0 {
            // Of every fourth of the honest one's datagrams nothing comes.
            let sets = [set(2, &template(256, SHORT)), set(256, &[short(1), short(2), short(3)].concat())];
            if n % 40 != 10 {
                seq += 1;
                decoder.decode(&flow_frame("192.0.2.1", seq, &ipfix(sequence, 7, &sets)), &mut Vec::new());
            }
            sequence += 3;
        }
        assert!(decoder.memory_bytes() <= MEMORY_BYTES_MAX);
    }
    let all = decoder.accounts().list();
    let (_, honest) = all.iter().find(|(key, _)| key.exporter.to_string() == "192.0.2.1").unwrap();
    assert_eq!((honest.records, honest.lost, honest.restarts, honest.unsure), (3 * 2_250, 3 * 750, 0, 0));
    assert!((honest.loss().unwrap() - 0.25).abs() < 1e-9);
}

/// Somebody knows the exporter's address, and sends datagrams with any number and uptime among its own, alone and in pairs that go
/// on from each other, while the network loses a fifth of the exporter's.
#[test]
fn forged_datagrams_under_an_exporters_own_address_change_no_count() {
    let numbered = |version: u16, sequence: u32, uptime: u32| {
        let sets = [set(if version == 9 { 0 } else { 2 }, &template(256, SHORT)), set(256, &[short(1), short(2), short(3)].concat())];
        match version {
            5 => v5(sequence, uptime, &[[1; 12]; 3]),
            9 => [shorts(&[9, 2]), words(&[uptime, SECS, sequence, 1]), sets.concat()].concat(),
            _ => ipfix(sequence, 1, &sets),
        }
    };
    for version in [5, 9, 10] {
        let (mut decoder, mut seq, mut random) = (FlowDecoder::default(), 0, 7u32);
        let mut next = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random.rotate_right(4)
        };
        let mut send = |sequence: u32, uptime: u32| {
            seq += 1;
            decoder.decode(&flow_frame("192.0.2.1", seq, &numbered(version, sequence, uptime)), &mut Vec::new());
        };
        let units = if version == 9 { 1 } else { 3 };
        let (mut lost, mut forged) = (0, 0);
        for n in 0..4_000u32 {
            if n % 3_999 == 0 || next() % 5 > 0 {
                send(1_000_000 + n * units, 900_000 + n);
            } else {
                lost += u64::from(units);
            }
            if next() % 7 == 0 {
                let (sequence, uptime) = (next(), next());
                let pair = next() % 2;
                (0..=pair).for_each(|m| send(sequence.wrapping_add(m * units), uptime));
                forged += u64::from(pair) + 1;
            }
        }
        // Where the forger has the last word nobody knows yet that it was one.
        send(1_000_000 + 4_000 * units, 904_000);
        let (_, account) = decoder.accounts().list().remove(0);
        assert_eq!((account.lost, account.restarts, account.unsure), (lost, 0, 0), "version {version}");
        assert_eq!(account.strays + account.doubled, forged, "version {version}");
        assert_eq!(account.came() + account.lost, u64::from(4_001 * units), "version {version}");
    }
}

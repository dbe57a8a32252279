//! The decoder against datagrams and answers that nobody here wrote (`netflow/` of the corpora): number of
//! records, asserted fields, listed events. Where the corpora are absent the tests say so and pass.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use expect_test::expect;
use serde_json::Value;

use super::template::TemplateField;
use super::{FlowDecoder, FlowRecord, FlowReport, elements};
use crate::body::SITE_UNKNOWN;
use crate::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use crate::time::Timestamp;

fn corpora() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    let path = std::env::var_os("WARTBURG_CORPORA").map_or_else(beside, PathBuf::from).join("netflow");
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var_os("WARTBURG_CORPORA_REQUIRED").is_none_or(|value| value != "1"), "no corpora at {}", path.display());
    println!("skipped: no corpora at {}", path.display());
    None
}

/// Decodes files as datagrams of one exporter; the sums of the reports, and every field of every data record.
fn decode(files: impl Iterator<Item = PathBuf>) -> (Vec<FlowRecord>, FlowReport, Vec<Fields>) {
    let mut decoder = FlowDecoder::default();
    let (mut out, mut sum, mut fields) = (Vec::new(), FlowReport::default(), Vec::new());
    for (seq, file) in (1..).zip(files) {
        let frame = NewFrame {
            received_at: Timestamp(1_790_000_000_000),
            site: SITE_UNKNOWN,
            peer: "192.0.2.1".parse().unwrap(),
            transport: Transport::Udp,
            kind: FrameKind::Flow,
            marks: Marks::default(),
            payload: std::fs::read(file).unwrap().into(),
        };
        let frame = Frame { seq: Seq(seq), frame };
        let report = decoder.decode(&frame, &mut out);
        fields.extend(decoder.fields(&frame));
        sum.version = report.version;
        sum.records += report.records;
        sum.back += report.back;
        sum.options += report.options;
        sum.skipped += report.skipped;
        sum.sets_waiting += report.sets_waiting;
        report.defects.iter().for_each(|defect| sum.defects.add(defect));
    }
    (out, sum, fields)
}

type Fields = Vec<(TemplateField, Vec<u8>)>;

/// The elements that the record does not keep and these cases ask for: name, enterprise, number.
const NAMES: [(&str, u32, u16); 19] = [
    ("scope_system", 0, 1),
    ("total_bytes_exp", 0, 40),
    ("total_pkts_exp", 0, 41),
    ("total_flows_exp", 0, 42),
    ("if_desc", 0, 83),
    ("conn_id", 0, 148),
    ("rev_flow_delta_bytes", 0, 232),
    ("layer2SegmentId", 0, 351),
    ("app_id", 0, 56_701),
    ("silkAppLabel", 6_871, 33),
    ("flowTablePeakCount", 6_871, 105),
    ("FW_Rule", 10_704, 4),
    ("ServiceName", 10_704, 5),
    ("ReasonText", 10_704, 7),
    ("BindIPv4Address", 10_704, 8),
    ("viptelaVPNId", 41_916, 4_321),
    ("proceraBaseService", 15_397, 2),
    ("proceraService", 15_397, 1),
    ("proceraFlowBehavior", 15_397, 15),
];

/// A field of a data record under the codec's name, as text: what the record itself does not keep is read on demand.
fn field_on_demand(fields: &Fields, name: &str, expected: &str) -> Option<String> {
    let of_table = NAMES.iter().find(|(known, ..)| *known == name).map(|(_, enterprise, number)| (*enterprise, *number));
    let place = of_table.or_else(|| elements::ELEMENTS.iter().find(|e| e.name == name).map(|e| (e.enterprise, e.number)))?;
    let (_, bytes) = fields.iter().find(|(field, _)| (field.enterprise, field.element) == place)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    Some(match bytes.len() {
        _ if expected.parse::<std::net::Ipv4Addr>().is_ok() => {
            std::net::Ipv4Addr::from(<[u8; 4]>::try_from(&bytes[..]).unwrap()).to_string()
        }
        0..=8 if expected.parse::<u64>().is_ok() => super::template::number(bytes).to_string(),
        _ => text(bytes),
    })
}

/// Our value of a field under the codec's name, as text; `None` for what the record does not keep.
fn field(record: &FlowRecord, name: &str) -> Option<String> {
    let seconds = |at: Timestamp| (at.0 / 1_000).to_string();
    Some(match name {
        "version" => record.version.to_string(),
        "ipv4_src_addr" | "ipv6_src_addr" => record.src_ip.to_string(),
        "ipv4_dst_addr" | "ipv6_dst_addr" => record.dst_ip.to_string(),
        "l4_src_port" => record.src_port.to_string(),
        "l4_dst_port" => record.dst_port.to_string(),
        "protocol" => record.protocol.to_string(),
        "tcp_flags" => record.tcp_flags.to_string(),
        "src_tos" => record.tos.to_string(),
        "in_bytes" | "fwd_flow_delta_bytes" => record.bytes.to_string(),
        "in_pkts" => record.packets.to_string(),
        "input_snmp" => record.in_if.to_string(),
        "output_snmp" => record.out_if.to_string(),
        "src_as" => record.src_as.to_string(),
        "dst_as" => record.dst_as.to_string(),
        // With v5's fractions of a second the codec's error below has no rule, and it knows no wrapped uptime.
        "first_switched" | "last_switched" if record.version == 5 => return None,
        "first_switched" => without_borrow(record.start).rfc3339(),
        "last_switched" => without_borrow(record.end).rfc3339(),
        "flow_start_msec" => record.start.0.to_string(),
        "event_time_msec" => record.end.0.to_string(),
        "flowStartSeconds" => seconds(record.start),
        "flowEndSeconds" => seconds(record.end),
        _ => return None,
    })
}

/// The codec subtracts uptimes as seconds less and a second's rest more, without borrowing: its moments are a
/// second late (telegraf's answers for the same kind of field are not, and agree with ours).
fn without_borrow(at: Timestamp) -> Timestamp {
    at.plus(1_000)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn logstash_cases() {
    let Some(corpora) = corpora() else { return };
    let folder = corpora.join("logstash");
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let mut shown = String::new();
    let (mut asserts, mut fields, mut left) = (0, 0, Vec::new());
    for case in &cases {
        let name = case["name"].as_str().unwrap().trim();
        let files: Vec<PathBuf> = case["files"].as_array().unwrap().iter().map(|file| folder.join(file.as_str().unwrap())).collect();
        let (records, report, all_fields) = decode(files.into_iter());
        if let Some(count) = case["records"].as_u64() {
            assert_eq!((report.records - report.back + report.options) as u64, count, "{name}: records");
        }
        for assert in case["asserts"].as_array().unwrap() {
            let index = usize::try_from(assert["record"].as_u64().unwrap()).unwrap();
            let (asserted, expected) = (assert["field"].as_str().unwrap(), assert["value"].as_str().unwrap().trim_matches('"'));
            // Flows without their way back, which the codec does not make; its options records come before them in these files.
            let flows: Vec<&FlowRecord> = records.iter().filter(|record| record.biflow != 2).collect();
            let kept = index.checked_sub(report.options).and_then(|index| field(flows.get(index)?, asserted));
            match kept.or_else(|| field_on_demand(all_fields.get(index)?, asserted, expected)) {
                Some(value) => assert_eq!(value, expected, "{name}: {asserted} of record {index:?}"),
                None => left.push(format!("{name}: {asserted}")),
            }
            asserts += 1;
        }
        for event in case["events"].as_array().unwrap() {
            let flow = event["netflow"].as_object().unwrap();
            if !flow.contains_key("ipv4_src_addr") {
                continue;
            }
            let differs = |record: &FlowRecord| {
                let wrong = flow.iter().filter_map(|(name, value)| {
                    let ours = field(record, name)?;
                    (ours != text(value)).then(|| format!("{name} {ours} not {}", text(value)))
                });
                wrong.collect::<Vec<_>>()
            };
            let nearest = records.iter().map(differs).min_by_key(Vec::len).unwrap();
            assert!(nearest.is_empty(), "{name}: no record is like the event; the nearest differs in {nearest:?}");
            fields += flow.keys().filter(|name| field(&records[0], name).is_some()).count();
        }
        let FlowReport { records, options, skipped, sets_waiting, defects, .. } = report;
        shown += &format!("{name}: {records} flows, {options} options, {skipped} skipped, {sets_waiting} waiting {defects:?}\n");
    }
    expect![[r#""#]].assert_eq(&left.join("\n"));
    println!("{asserts} asserts and {fields} fields of listed events agree");
    assert!(asserts >= 15 && fields > 100);
    expect![[r#"
        Netflow 5 valid 01: 2 flows, 0 options, 0 skipped, 0 waiting {"trailing_bytes"}
        Netflow 5 invalid 01: 0 flows, 0 options, 0 skipped, 0 waiting {"record_count"}
        Netflow 9 valid 01: 7 flows, 0 options, 0 skipped, 0 waiting {}
        Netflow 9 Cisco ACI: 3 flows, 0 options, 0 skipped, 0 waiting {}
        Netflow 9 multiple netflow exporters: 8 flows, 1 options, 0 skipped, 0 waiting {}
        Netflow 9 options template with scope fields: 0 flows, 1 options, 0 skipped, 0 waiting {}
        Netflow 9 Cisco ASA #2: 34 flows, 0 options, 0 skipped, 0 waiting {}
        Netflow 9 IE150 IE151: 2 flows, 0 options, 0 skipped, 0 waiting {}
        IPFIX Procera: 8 flows, 0 options, 0 skipped, 0 waiting {}
        IPFIX Barracuda extended uniflow template 256: 2 flows, 0 options, 0 skipped, 0 waiting {}
        Netflow 9 Ubiquiti Edgerouter with MPLS labels: 16 flows, 0 options, 0 skipped, 0 waiting {}
        Netflow 9 Fortigate FortiOS 5.2.1: 1 flows, 1 options, 0 skipped, 0 waiting {}
        Netflow 9 Cisco ASR 9000 series options template 256: 0 flows, 19 options, 0 skipped, 0 waiting {}
        Netflow 9 Huawei Netstream: 1 flows, 0 options, 0 skipped, 0 waiting {}
        Netflow 9 field layer2segmentid: 1 flows, 0 options, 0 skipped, 0 waiting {}
        Netflow 9 Cisco WLC 8500 release 8.2: 0 flows, 0 options, 0 skipped, 0 waiting {}
        Netflow 9 Cisco 1941/K9 release 15.1: 29 flows, 0 options, 0 skipped, 0 waiting {}
        Netflow 9 Cisco ASR1001-X: 25 flows, 0 options, 0 skipped, 0 waiting {}
        Netflow 9 Palo Alto PAN-OS with app-id: 8 flows, 0 options, 0 skipped, 0 waiting {}
        IPFIX vIPtela with VPN id: 1 flows, 0 options, 0 skipped, 0 waiting {}
        IPFIX YAF basic with applabel: 4 flows, 1 options, 0 skipped, 0 waiting {}
        IPFIX Netscaler with variable length fields, missing templates: 0 flows, 0 options, 0 skipped, 4 waiting {}
    "#]]
    .assert_eq(&shown);
}

#[test]
fn telegraf_cases() {
    let Some(corpora) = corpora() else { return };
    for (folder, file) in [("netflow_v5_example", "netflow_v5.bin"), ("netflow_v9_example", "netflow_v9.bin")] {
        let folder = corpora.join("telegraf").join(folder);
        let (records, report, _) = decode([folder.join(file)].into_iter());
        assert!(report.defects.is_empty());
        let expected = std::fs::read_to_string(folder.join("expected.out")).unwrap();
        let lines: Vec<&str> = expected.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(records.len(), lines.len());
        for (record, line) in records.iter().zip(lines) {
            let fields = line.split(' ').nth(1).unwrap().split(',').map(|pair| pair.split_once('=').unwrap());
            let fields: BTreeMap<&str, &str> = fields.map(|(name, value)| (name, value.trim_matches('"').trim_end_matches('u'))).collect();
            assert_eq!(record.src_ip.to_string(), fields["src"]);
            assert_eq!(record.dst_ip.to_string(), fields["dst"]);
            assert_eq!(record.src_port.to_string(), fields["src_port"]);
            assert_eq!(record.dst_port.to_string(), fields["dst_port"]);
            assert_eq!(record.bytes.to_string(), fields["in_bytes"]);
            assert_eq!(record.packets.to_string(), fields["in_packets"]);
            assert_eq!(super::protocol_name(record.protocol), Some(fields["protocol"]));
            if let (Some(start), Some(end)) = (fields.get("flow_start_ms"), fields.get("flow_end_ms")) {
                assert_eq!((record.start.0.to_string(), record.end.0.to_string()), (start.to_string(), end.to_string()));
            }
            if let (Some(first), Some(last)) = (fields.get("first_switched"), fields.get("last_switched")) {
                let between = last.parse::<i64>().unwrap() - first.parse::<i64>().unwrap();
                assert_eq!(record.end.since(record.start), between);
            }
        }
    }
}

/// IPFIX of an exporter that tells of both ways (RFC 5103): each line of the answers is one or two of our flows.
#[test]
fn telegraf_ipfix() {
    let Some(corpora) = corpora() else { return };
    let folder = corpora.join("telegraf/ipfix_example");
    let (records, report, _) = decode((0..7).map(|n| folder.join(format!("ipfix_{n}.bin"))));
    assert!(report.defects.is_empty(), "{:?}", report.defects);
    let expected = std::fs::read_to_string(folder.join("expected.out")).unwrap();
    // One line is about the exporter itself; of its two records of that kind telegraf shows the one with counters.
    let lines: Vec<&str> = expected.lines().filter(|line| line.contains("src_port=")).collect();
    assert_eq!((records.len() - report.back, report.back, report.options), (lines.len(), 27, 2));
    let mut ours = records.iter().peekable();
    for line in lines {
        let text = line.split_once(' ').unwrap().1.rsplit_once(' ').unwrap().0;
        let fields: BTreeMap<&str, &str> = text
            .split(',')
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (name, value.trim_matches('"').trim_end_matches('u')))
            .collect();
        let number = |name: &str| fields.get(name).map(|hex| i64::from_str_radix(hex.trim_start_matches("0x"), 16).unwrap());
        let forth = ours.next().unwrap();
        let reason = ["", "idle timeout", "active timeout", "end of flow", "forced end"][usize::from(forth.end_reason)];
        let values = [
            ("src", forth.src_ip.to_string()),
            ("dst", forth.dst_ip.to_string()),
            ("src_port", forth.src_port.to_string()),
            ("dst_port", forth.dst_port.to_string()),
            ("protocol", super::protocol_name(forth.protocol).unwrap().to_owned()),
            ("in_total_bytes", forth.bytes.to_string()),
            ("in_total_packets", forth.packets.to_string()),
            ("flow_start_ms", forth.start.0.to_string()),
            ("flow_end_ms", forth.end.0.to_string()),
            ("flow_end_reason", reason.to_owned()),
            ("vlan_src", forth.in_vlan.to_string()),
        ];
        values.iter().for_each(|(name, ours)| assert_eq!(fields[name], ours, "{name} in {line}"));
        if let Some(bytes) = number("type_29305_85") {
            let back = ours.next().unwrap();
            assert_eq!((back.src_ip, back.dst_port, back.biflow, forth.biflow), (forth.dst_ip, forth.src_port, 2, 1));
            assert_eq!((Some(bytes), Some(back.packets)), (i64::try_from(back.bytes).ok(), number("type_29305_86").map(i64::unsigned_abs)));
            assert_eq!(back.start.since(forth.start), number("type_6871_21").unwrap());
        }
    }
    assert!(ours.next().is_none());
}

//! The number of records in the corpora's datagrams of flows, beside what nfcapd and tshark make of the same: where they
//! agree with each other or the codec's own answer, so must we; each exception is argued here. Without the programs the tests
//! say so and pass, unless `WARTBURG_CORPORA_REQUIRED=1`, as in CI.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ingest::body::SITE_UNKNOWN;
use ingest::flow::{FlowDecoder, FlowReport};
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use ingest::time::Timestamp;

use crate::program::{corpora, required};

/// Both programs read on behind the records that the header announces (2 here, 30 there): what lies there is what the
/// exporter's buffer held before. The codec of the answers takes 2, and so do we.
const V5_ANNOUNCED: [&str; 2] = ["Netflow 5 valid 01", "Netflow 5 invalid 01"];

struct Case {
    name: String,
    datagrams: Vec<Vec<u8>>,
    /// Data records, as the codec counts them; where its author says.
    records: Option<u64>,
}

fn cases(test: &str) -> Option<Vec<Case>> {
    let folder = corpora(test)?.join("netflow/logstash");
    let cases: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let case = |case: &serde_json::Value| Case {
        name: case["name"].as_str().unwrap().trim().to_owned(),
        datagrams: case["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| std::fs::read(folder.join(file.as_str().unwrap())).unwrap())
            .collect(),
        records: case["records"].as_u64(),
    };
    Some(cases.iter().map(case).collect())
}

fn ours(case: &Case) -> FlowReport {
    let (mut decoder, mut sum) = (FlowDecoder::default(), FlowReport::default());
    for (seq, datagram) in (1..).zip(&case.datagrams) {
        let frame = NewFrame {
            received_at: Timestamp(1_790_000_000_000),
            site: SITE_UNKNOWN,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            transport: Transport::Udp,
            kind: FrameKind::Flow,
            marks: Marks::default(),
            payload: datagram.clone().into(),
        };
        let report = decoder.decode(&Frame { seq: Seq(seq), frame }, &mut Vec::new());
        (sum.records, sum.back, sum.options) = (sum.records + report.records, sum.back + report.back, sum.options + report.options);
    }
    sum
}

fn there(program: &str) -> bool {
    // The same for all three: each says how it is used, and ends.
    let found = Command::new(program).arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(found || !required(), "{program} is not installed, and here it must be");
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

#[test]
fn as_many_data_records_as_tshark_shows() {
    let Some(cases) = cases("as_many_data_records_as_tshark_shows").filter(|_| there("tshark")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for case in &cases {
        let file = dir.path().join("case.pcap");
        std::fs::write(&file, capture(&case.datagrams)).unwrap();
        let output = Command::new("tshark").arg("-r").arg(&file).args(["-d", "udp.port==2055,cflow", "-T", "pdml"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let theirs = ["show=\"Flow ", "show=\"pdu "].iter().map(|mark| text.matches(mark).count()).sum::<usize>();
        let report = ours(case);
        if V5_ANNOUNCED.contains(&case.name.as_str()) {
            assert!(theirs >= report.records, "{}", case.name);
            continue;
        }
        assert_eq!(report.records - report.back + report.options, theirs, "{}", case.name);
        assert!(case.records.is_none_or(|records| records == theirs as u64), "{}", case.name);
        compared += 1;
    }
    assert!(compared >= 20, "{compared}");
}

#[test]
fn as_many_flows_as_nfcapd_stores() {
    let Some(cases) = cases("as_many_flows_as_nfcapd_stores").filter(|_| there("nfcapd") && there("nfdump")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new("nfcapd");
    command.arg("-w").arg(dir.path()).args(["-p", &port.to_string(), "-b", "127.0.0.1", "-t", "3600"]);
    let mut nfcapd = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_port(port);
    // Each case from an address of its own: nfdump says of each flow by which exporter it came.
    let exporter = |index: usize| Ipv4Addr::new(127, 0, 1, u8::try_from(index + 1).unwrap());
    for (index, case) in cases.iter().enumerate() {
        let socket = UdpSocket::bind((exporter(index), 0)).unwrap();
        for datagram in &case.datagrams {
            socket.send_to(datagram, ("127.0.0.1", port)).unwrap();
        }
    }
    // It answers nothing; it takes what is in its socket before it heeds the signal, if it was given a moment.
    std::thread::sleep(Duration::from_secs(2));
    Command::new("kill").arg("-TERM").arg(nfcapd.id().to_string()).status().unwrap();
    nfcapd.wait().unwrap();
    let stored = stored(dir.path());
    for (index, case) in cases.iter().enumerate() {
        let (report, theirs) = (ours(case), stored.get(&exporter(index).to_string()).copied().unwrap_or_default());
        if !V5_ANNOUNCED.contains(&case.name.as_str()) {
            // It keeps what is about exporters elsewhere, and makes no flow of the way back.
            assert_eq!(report.records - report.back, theirs, "{}", case.name);
        }
    }
}

/// Until the kernel lists the port as taken.
fn wait_for_port(port: u16) {
    let listed = || std::fs::read_to_string("/proc/net/udp").unwrap_or_default().contains(&format!(":{port:04X} "));
    assert!((0..500).any(|_| listed() || (std::thread::sleep(Duration::from_millis(10)), false).1), "nfcapd listens in vain");
}

/// How many flows nfcapd stored, by exporter.
fn stored(dir: &Path) -> BTreeMap<String, usize> {
    let output = Command::new("nfdump").arg("-R").arg(dir).args(["-q", "-o", "fmt:%ra %sa"]).output().unwrap();
    let mut stored = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some(exporter) = line.split_whitespace().next() {
            *stored.entry(exporter.to_owned()).or_default() += 1;
        }
    }
    stored
}

/// A capture file (libpcap, little endian, Ethernet) of UDP datagrams to port 2055.
fn capture(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let mut file: Vec<u8> = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1].iter().flat_map(|word| word.to_le_bytes()).collect();
    for (second, datagram) in (1_790_000_000u32..).zip(datagrams) {
        let len = u16::try_from(datagram.len()).unwrap();
        let mut packet = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0];
        packet.extend((28 + len).to_be_bytes());
        packet.extend([0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        packet.extend([40_000u16, 2_055, 8 + len, 0].iter().flat_map(|short| short.to_be_bytes()));
        packet.extend(datagram);
        let len = u32::try_from(packet.len()).unwrap();
        file.extend([second, 0, len, len].iter().flat_map(|word| word.to_le_bytes()));
        file.extend(packet);
    }
    file
}

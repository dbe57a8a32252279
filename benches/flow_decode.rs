//! What decoding flows costs, beside the crate `netflow_parser` on the same datagrams and `nfcapd` on the same over UDP.
//!
//! `cargo bench --bench flow_decode` prints the tables of `docs/messungen/fluesse.md`: records per second of one core and CPU time
//! per record, of the whole process. A number behind it is how many million records of each kind (10). `nfcapd` is measured
//! where it is installed (Debian's nfdump): it receives, decodes and stores; what it loses is said. No threshold is asserted:
//! the machine decides.
#![allow(clippy::print_stdout, clippy::indexing_slicing, reason = "a measurement says what it measured, of data that it made itself")]

use std::hint::black_box;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ingest::body::SITE_UNKNOWN;
use ingest::flow::{FlowDecoder, FlowRecord};
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use ingest::time::{Stopwatch, Timestamp};
use netflow_parser::variable_versions::ipfix::FlowSetBody as IpfixBody;
use netflow_parser::variable_versions::v9::FlowSetBody as V9Body;
use netflow_parser::{NetflowPacket, NetflowParser};
use nix::sys::resource::{UsageWho, getrusage};

const SECS: u32 = 1_790_000_000;
/// Datagrams that are made once and decoded again and again: more than a processor's caches hold.
const DATAGRAMS: u32 = 4_096;
/// What the pipeline gives on at once.
const BATCH: usize = 64;

fn main() {
    let millions: u64 = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(10);
    println!("| Datagrams | records | ours, million/s per core | ours, µs/record | netflow_parser, million/s per core | ratio |");
    println!("|---|---:|---:|---:|---:|---:|");
    for (name, datagrams) in kinds() {
        let rounds = (millions * 1_000_000 / records(&datagrams)).max(1);
        let (number, seconds) = ours(&datagrams, rounds);
        // The peer is slower: a fifth of the records is as exact.
        let (peer_number, peer_seconds) = peer(&datagrams, (rounds / 5).max(1));
        let (rate, peer_rate) = (number as f64 / seconds / 1e6, peer_number as f64 / peer_seconds / 1e6);
        let ratio = if peer_number == 0 { "–".to_owned() } else { format!("{:.1}", rate / peer_rate) };
        println!("| {name} | {number} | {rate:.2} | {:.3} | {peer_rate:.2} | {ratio} |", seconds * 1e6 / number as f64);
    }
    println!("\n| nfcapd (receives, decodes, stores) | records sent | stored | µs CPU/record |");
    println!("|---|---:|---:|---:|");
    for (name, datagrams) in kinds().into_iter().take(3) {
        match nfcapd(&datagrams, millions * 1_000_000 / 2) {
            Some((sent, stored, seconds)) => println!("| {name} | {sent} | {stored} | {:.3} |", seconds * 1e6 / stored.max(1) as f64),
            None => println!("| {name} | – | – | not installed |"),
        }
    }
}

type Kind = (&'static str, Vec<Frame>);

/// As exporters send them: a template once in a while, datagrams of up to 1,400 bytes.
fn kinds() -> Vec<Kind> {
    let frames = |make: fn(u32) -> Vec<u8>| (0..DATAGRAMS).map(|n| frame(n, make(n))).collect();
    vec![
        ("NetFlow v9, 18 fields, 24 records", frames(v9)),
        ("IPFIX, 20 fields, 16 records", frames(ipfix)),
        ("NetFlow v5, 30 records", frames(v5)),
        ("IPFIX with a field of variable length, 16 records", frames(ipfix_variable)),
        ("sFlow, 8 samples with headers", frames(sflow)),
    ]
}

fn frame(n: u32, payload: Vec<u8>) -> Frame {
    let frame = NewFrame {
        received_at: Timestamp(i64::from(SECS) * 1_000),
        site: SITE_UNKNOWN,
        peer: Ipv4Addr::from(0x0a00_0000 + n % 64).into(),
        transport: Transport::Udp,
        kind: FrameKind::Flow,
        marks: Marks::default(),
        payload: payload.into(),
    };
    Frame { seq: Seq(u64::from(n) + 1), frame }
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the kernel says it");
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn records(datagrams: &[Frame]) -> u64 {
    let (mut decoder, mut out) = (FlowDecoder::default(), Vec::new());
    for frame in datagrams {
        decoder.decode(frame, &mut out);
    }
    out.len() as u64
}

/// Records and CPU seconds. The records go into a batch of their own each time, as in the pipeline.
fn ours(datagrams: &[Frame], rounds: u64) -> (u64, f64) {
    let mut decoder = FlowDecoder::default();
    let (mut number, before) = (0, cpu());
    for _ in 0..rounds {
        for batch in datagrams.chunks(BATCH) {
            let mut out: Vec<FlowRecord> = Vec::new();
            for frame in batch {
                black_box(decoder.decode(frame, &mut out));
            }
            number += black_box(&out).len() as u64;
        }
    }
    (number, cpu() - before)
}

fn peer(datagrams: &[Frame], rounds: u64) -> (u64, f64) {
    // One for each exporter, as its manual wants it.
    let mut parsers: Vec<NetflowParser> = (0..64).map(|_| NetflowParser::default()).collect();
    let (mut number, before) = (0, cpu());
    for _ in 0..rounds {
        for (frame, at) in datagrams.iter().zip((0..64).cycle()) {
            let result = parsers[at].parse_bytes(&frame.frame.payload);
            number += black_box(&result).packets.iter().map(flows).sum::<usize>() as u64;
        }
    }
    (number, cpu() - before)
}

fn flows(packet: &NetflowPacket) -> usize {
    match packet {
        NetflowPacket::V5(v5) => v5.flowsets.len(),
        NetflowPacket::V9(v9) => v9.flowsets.iter().map(|set| if let V9Body::Data(data) = &set.body { data.fields.len() } else { 0 }).sum(),
        NetflowPacket::IPFix(ipfix) => {
            ipfix.flowsets.iter().map(|set| if let IpfixBody::Data(data) = &set.body { data.fields.len() } else { 0 }).sum()
        }
        _ => 0,
    }
}

/// Records sent over UDP at a rate that it can bear, records stored, and its CPU seconds.
fn nfcapd(datagrams: &[Frame], records_wanted: u64) -> Option<(u64, u64, f64)> {
    let dir = std::env::temp_dir().join(format!("flow_decode-{}", std::process::id()));
    std::fs::create_dir_all(&dir).ok()?;
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    let port = UdpSocket::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
    let child = Command::new("nfcapd")
        .args(["-w"])
        .arg(&dir)
        .args(["-p", &port.to_string(), "-b", "127.0.0.1", "-B", "8000000", "-t", "3600"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    std::thread::sleep(Duration::from_secs(1));
    let each = records(datagrams) / u64::from(DATAGRAMS);
    let (mut sent, watch) = (0, Stopwatch::start());
    for frame in datagrams.iter().cycle() {
        socket.send_to(&frame.frame.payload, ("127.0.0.1", port)).ok()?;
        sent += each;
        if sent >= records_wanted {
            break;
        }
        // 400,000 records a second.
        let due = Duration::from_secs_f64(sent as f64 / 400_000.0);
        if due > watch.elapsed() + Duration::from_millis(2) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    std::thread::sleep(Duration::from_secs(1));
    let seconds = cpu_of(&child)?;
    let stored = end(child, &dir);
    let _ = std::fs::remove_dir_all(&dir);
    Some((sent, stored, seconds))
}

/// CPU seconds of a process (proc(5): the 14th and 15th field, in hundredths).
fn cpu_of(child: &Child) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

/// Ends it in order and counts what it has stored.
fn end(mut child: Child, dir: &std::path::Path) -> u64 {
    let _ = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
    let _ = child.wait();
    let Ok(output) = Command::new("nfdump").arg("-R").arg(dir).args(["-I"]).output() else { return 0 };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("Flows:")?.trim().parse().ok()).unwrap_or_default()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn shorts(shorts: &[u16]) -> Vec<u8> {
    shorts.iter().flat_map(|short| short.to_be_bytes()).collect()
}

fn set(id: u16, body: &[u8]) -> Vec<u8> {
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    [shorts(&[id, (4 + body.len() + padding.len()) as u16]), body.to_vec(), padding].concat()
}

fn template(id: u16, fields: &[u16]) -> Vec<u8> {
    [shorts(&[id, fields.len() as u16 / 2]), shorts(fields)].concat()
}

/// Every exporter's first datagram, and one of a thousand later on, has its template.
fn with_template(n: u32) -> bool {
    n < 64 || n.is_multiple_of(1_000)
}

fn v9(n: u32) -> Vec<u8> {
    let fields = [8, 4, 12, 4, 15, 4, 10, 4, 14, 4, 2, 4, 1, 4, 22, 4, 21, 4, 7, 2, 11, 2, 4, 1, 6, 1, 5, 1, 61, 1, 16, 4, 17, 4, 48, 1];
    let record = |m: u32| {
        let head = words(&[0x0a00_0000 + m, 0xc633_6400 + n % 256, 0x0a00_00fe, 1, 2, 10 + m, 5_000 + n, 3_590_000, 3_599_000]);
        [head, shorts(&[40_000 + m as u16, 443]), vec![6, 0x1b, 0, 1], words(&[64_500, 64_501]), vec![0]].concat()
    };
    let template = if with_template(n) { set(0, &template(256, &fields)) } else { Vec::new() };
    let data = set(256, &(0..24).flat_map(record).collect::<Vec<u8>>());
    [shorts(&[9, 25]), words(&[3_600_000, SECS, n / 64, 0]), template, data].concat()
}

/// IANA's elements with 64-bit counters and moments in milliseconds, as VMware, Juniper and OPNsense send them.
fn ipfix(n: u32) -> Vec<u8> {
    let fields = [
        8, 4, 12, 4, 5, 1, 4, 1, 7, 2, 11, 2, 32, 2, 10, 4, 58, 2, 9, 1, 13, 1, 16, 4, 17, 4, 15, 4, 6, 1, 14, 4, 1, 8, 2, 8, 152, 8, 153,
        8,
    ];
    let record = |m: u32| {
        let moment = u64::from(SECS) * 1_000;
        [
            words(&[0x0a00_0000 + m, 0xc633_6400 + n % 256]),
            vec![0, 6],
            shorts(&[40_000 + m as u16, 443, 0]),
            words(&[1]),
            shorts(&[42]),
            vec![24, 16],
            words(&[64_500, 64_501, 0x0a00_00fe]),
            vec![0x1b],
            words(&[2]),
            [u64::from(5_000 + n), u64::from(10 + m), moment - 9_000, moment - 1_000].iter().flat_map(|n| n.to_be_bytes()).collect(),
        ]
        .concat()
    };
    let template = if with_template(n) { set(2, &template(256, &fields)) } else { Vec::new() };
    message(n, template, set(256, &(0..16).flat_map(record).collect::<Vec<u8>>()))
}

fn message(n: u32, template: Vec<u8>, data: Vec<u8>) -> Vec<u8> {
    let len = (16 + template.len() + data.len()) as u16;
    [shorts(&[10, len]), words(&[SECS, n / 64 * 16, 0]), template, data].concat()
}

fn ipfix_variable(n: u32) -> Vec<u8> {
    let fields = [8, 4, 12, 4, 4, 1, 7, 2, 11, 2, 1, 8, 2, 8, 152, 8, 153, 8, 96, 65_535];
    let record = |m: u32| {
        let moment = u64::from(SECS) * 1_000;
        let name = ["https", "dns", "microsoft-teams"][m as usize % 3];
        [
            words(&[0x0a00_0000 + m, 0xc633_6400 + n % 256]),
            vec![6],
            shorts(&[40_000 + m as u16, 443]),
            [u64::from(5_000 + n), u64::from(10 + m), moment - 9_000, moment - 1_000].iter().flat_map(|n| n.to_be_bytes()).collect(),
            vec![name.len() as u8],
            name.as_bytes().to_vec(),
        ]
        .concat()
    };
    let template = if with_template(n) { set(2, &template(256, &fields)) } else { Vec::new() };
    message(n, template, set(256, &(0..16).flat_map(record).collect::<Vec<u8>>()))
}

fn v5(n: u32) -> Vec<u8> {
    let record = |m: u32| {
        let head = words(&[0x0a00_0000 + m, 0xc633_6400 + n % 256, 0x0a00_00fe]);
        let counts = words(&[10 + m, 5_000 + n, 3_590_000, 3_599_000]);
        [head, shorts(&[1, 2]), counts, shorts(&[40_000, 443]), vec![0, 0x1b, 6, 0], shorts(&[64_500, 64_501]), vec![24, 16, 0, 0]].concat()
    };
    let header = [shorts(&[5, 30]), words(&[3_600_000, SECS, 0, n / 64 * 30, 0])].concat();
    [header, (0..30).flat_map(record).collect()].concat()
}

fn sflow(n: u32) -> Vec<u8> {
    let packet = [
        vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 5, 220, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, n as u8, 198, 51, 100, 2],
        vec![0xc0, 0, 1, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0, 0],
        vec![0; 78],
    ]
    .concat();
    let header = [words(&[1, 16 + packet.len() as u32, 1, 1_518, 4, packet.len() as u32]), packet].concat();
    let switch = words(&[1_001, 16, 42, 0, 43, 0]);
    let sample = |m: u32| {
        let body = [words(&[n * 8 + m, 7, 512, 9_000, 0, 7, 3, 2]), header.clone(), switch.clone()].concat();
        [words(&[1, body.len() as u32]), body].concat()
    };
    [words(&[5, 1, 0x7f00_0001, 0, n / 64, 60_000, 8]), (0..8).flat_map(sample).collect()].concat()
}

//! The same records in nfcapd's files, made by sending them to it as NetFlow v5 over loopback, and nfdump's answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use ingest::flow::FlowRecord;
use ingest::time::Stopwatch;
use serde_json::Value;

use super::asking::ADDRESS;
use super::{say, traffic};

/// Records a second that are sent: what nfcapd takes without loss beside the sender.
const RATE: u64 = 250_000;
const UPTIME_MS: i64 = 3_600_000;

/// A NetFlow v5 datagram of these records (Cisco's description of the export format, version 5).
pub(crate) fn v5(records: &[FlowRecord], sequence: u32) -> Vec<u8> {
    let at = records.first().map_or(0, |record| record.received_at.0);
    let mut bytes = Vec::with_capacity(24 + 48 * records.len());
    let low = |number: i64| u32::try_from(number.max(0) & i64::from(u32::MAX)).unwrap_or_default();
    bytes.extend(5u16.to_be_bytes());
    bytes.extend(u16::try_from(records.len()).unwrap_or_default().to_be_bytes());
    bytes.extend(low(UPTIME_MS).to_be_bytes());
    bytes.extend(low(at / 1_000).to_be_bytes());
    bytes.extend(low(at % 1_000 * 1_000_000).to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend([0; 4]);
    for record in records {
        let v4 = |address: IpAddr| if let IpAddr::V4(v4) = address { v4.octets() } else { [0; 4] };
        bytes.extend(v4(record.src_ip));
        bytes.extend(v4(record.dst_ip));
        bytes.extend(v4(record.next_hop));
        for interface in [record.in_if, record.out_if] {
            bytes.extend(u16::try_from(interface).unwrap_or_default().to_be_bytes());
        }
        for count in [record.packets, record.bytes] {
            bytes.extend(u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
        }
        for moment in [record.start, record.end] {
            bytes.extend(low(UPTIME_MS + moment.since(ingest::time::Timestamp(at))).to_be_bytes());
        }
        bytes.extend(record.src_port.to_be_bytes());
        bytes.extend(record.dst_port.to_be_bytes());
        bytes.extend([0, record.tcp_flags, record.protocol, record.tos, 0, 0, 0, 0, record.src_mask, record.dst_mask, 0, 0]);
    }
    bytes
}

/// Sends the traffic, so many records a second.
pub(crate) fn send(to: SocketAddr, records: usize, rate: u64) -> anyhow::Result<u64> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(to)?;
    let (watch, mut sent) = (Stopwatch::start(), 0u64);
    // Made before, so that the sender takes little of the two cores while it is measured.
    let mut made: Vec<Vec<u8>> = Vec::new();
    let mut sequence = 0u32;
    for batch in traffic::batches(records, 6_000) {
        for datagram in batch.chunks(traffic::PER_DATAGRAM) {
            made.push(v5(datagram, sequence));
            sequence = sequence.wrapping_add(u32::try_from(datagram.len())?);
        }
    }
    let begun = watch.elapsed();
    for datagram in &made {
        socket.send(datagram)?;
        sent += traffic::PER_DATAGRAM as u64;
        let due = Duration::from_micros(sent * 1_000_000 / rate);
        let ahead = due.saturating_sub(watch.elapsed().saturating_sub(begun));
        // Sleeping costs more than it is worth below a millisecond.
        if ahead > Duration::from_millis(1) {
            std::thread::sleep(ahead);
        }
    }
    Ok(sent)
}

/// Lets nfcapd write the records, unless it has.
pub(crate) fn record(dir: &Path, records: usize) -> anyhow::Result<()> {
    if dir.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(dir)?;
    let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let mut nfcapd = Command::new("nfcapd");
    nfcapd.args(["-b", "127.0.0.1", "-p", &port.to_string(), "-t", "3600", "-B", "8000000", "-l"]).arg(dir).stderr(Stdio::null());
    let mut nfcapd = nfcapd.spawn().context("start nfcapd (Debian's package nfdump)")?;
    std::thread::sleep(Duration::from_secs(1));
    let sent = send((Ipv4Addr::LOCALHOST, port).into(), records, RATE)?;
    std::thread::sleep(Duration::from_secs(2));
    Command::new("kill").arg(nfcapd.id().to_string()).status()?;
    nfcapd.wait()?;
    let output = Command::new("nfdump").arg("-R").arg(dir).arg("-I").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let flows = text.lines().find_map(|line| line.strip_prefix("Flows: ")).unwrap_or("?").to_owned();
    let size: u64 = std::fs::read_dir(dir)?.flatten().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
    say(&format!("nfcapd: {sent} records sent, {flows} in its files, {size} bytes"))
}

pub(crate) fn ask(dir: &Path, what: &str) -> anyhow::Result<Value> {
    let address = format!("ip {ADDRESS}");
    let question: &[&str] = match what {
        "source" => &["-s", "srcip/bytes", "-n", "10"],
        "pairs" => &["-A", "srcip,dstip", "-O", "bytes", "-n", "10"],
        _ => &["-o", "line", "-N", &address],
    };
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args(["--wrap", "nfdump", "-R"]).arg(dir).args(question).stderr(Stdio::inherit()).output()?;
    serde_json::from_slice(&output.stdout).context("nfdump's answer")
}

//! softflowd makes NetFlow v5, v9 and IPFIX of a capture: as the listeners get it, and through the whole program.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use ingest::flow::FlowDecoder;
use ingest::frame::FrameKind;
use ingest::listen::Listener;

use super::{Receiver, program, run};
use crate::flows::{figure, serve, wait_figure};
use crate::program::json_lines;

#[test]
fn softflowd_exports_what_a_capture_holds() {
    let Some(softflowd) = program("softflowd", None) else { return };
    for version in ["5", "9", "10"] {
        let mut receiver = Receiver::start();
        export(&softflowd, version, &receiver.at[Listener::NetflowUdp].unwrap().to_string());

        let (mut decoder, mut flows) = (FlowDecoder::default(), Vec::new());
        // Each conversation is two flows, there and back.
        while flows.len() < 2 * CONVERSATIONS.len() {
            for frame in receiver.more() {
                assert_eq!(frame.frame.kind, FrameKind::Flow);
                assert_eq!(frame.frame.payload.get(..2), Some(&[0, version.parse().unwrap()][..]));
                decoder.decode(&frame, &mut flows);
            }
        }
        let seen: BTreeSet<_> = flows.iter().map(|flow| (flow.src_ip, flow.src_port, flow.dst_ip, flow.dst_port, flow.packets)).collect();
        assert_eq!(seen, sent(), "version {version}");
    }
}

#[test]
fn softflowds_flows_are_found_in_the_store() {
    let Some(softflowd) = program("softflowd", None) else { return };
    for version in ["5", "9", "10"] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let server = serve(&data);
        export(&softflowd, version, &server.netflow.to_string());
        wait_figure(&server, "wartburg_flow_records_total", version, 2 * CONVERSATIONS.len() as u64);
        assert_eq!(figure(&server, "wartburg_flow_missed_total", version), 0);
        assert!(server.terminate());
        let flows = json_lines(&data, &["flows", "*", "--json", "--limit", "100"]);
        let address = |value: &serde_json::Value| value.as_str().unwrap().parse::<IpAddr>().unwrap();
        let port = |value: &serde_json::Value| u16::try_from(value.as_u64().unwrap()).unwrap();
        let found: BTreeSet<_> = flows
            .iter()
            .map(|flow| {
                let (from, to) = (address(&flow["source.ip"]), address(&flow["destination.ip"]));
                (from, port(&flow["source.port"]), to, port(&flow["destination.port"]), flow["network.packets"].as_u64().unwrap())
            })
            .collect();
        assert_eq!(found, sent(), "version {version}");
    }
}

fn export(softflowd: &Path, version: &str, to: &str) {
    let dir = tempfile::tempdir().unwrap();
    let capture = dir.path().join("capture.pcap");
    std::fs::write(&capture, capture_of(&CONVERSATIONS)).unwrap();
    let mut command = Command::new(softflowd);
    command.arg("-r").arg(&capture).args(["-n", to, "-v", version, "-d"]);
    // Without a control socket: reading a capture, softflowd sometimes waits for somebody to connect to it.
    command.arg("-p").arg(dir.path().join("pid")).args(["-c", "none"]);
    run(&mut command);
}

/// Each conversation is two flows, there and back.
fn sent() -> BTreeSet<(IpAddr, u16, IpAddr, u16, u64)> {
    let both = |(client, port, packets): &([u8; 4], u16, u64)| {
        let (client, server) = (IpAddr::V4((*client).into()), IpAddr::V4(SERVER.into()));
        [(client, *port, server, 443, *packets), (server, 443, client, *port, *packets)]
    };
    CONVERSATIONS.iter().flat_map(both).collect()
}

const SERVER: [u8; 4] = [192, 0, 2, 10];
/// Client, its port, and the packets in each direction.
const CONVERSATIONS: [([u8; 4], u16, u64); 5] = [
    ([10, 20, 0, 1], 40_001, 1),
    ([10, 20, 0, 2], 40_002, 3),
    ([10, 20, 0, 3], 40_003, 10),
    ([10, 20, 0, 3], 40_004, 2),
    ([10, 20, 0, 4], 65_535, 200),
];

/// A capture file (libpcap, little endian, Ethernet) of TCP conversations.
fn capture_of(conversations: &[([u8; 4], u16, u64)]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    let mut millis = 0;
    for (client, port, packets) in conversations {
        for _ in 0..*packets {
            for (from, from_port, to, to_port) in [(*client, *port, SERVER, 443), (SERVER, 443, *client, *port)] {
                let packet = packet(from, from_port, to, to_port);
                millis += 1;
                let len = u32::try_from(packet.len()).unwrap();
                for word in [1_795_000_000 + millis / 1000, millis % 1000 * 1000, len, len] {
                    file.extend(word.to_le_bytes());
                }
                file.extend(packet);
            }
        }
    }
    file
}

/// Ethernet, IPv4, TCP with ACK, and a hundred bytes.
fn packet(from: [u8; 4], from_port: u16, to: [u8; 4], to_port: u16) -> Vec<u8> {
    let mut packet = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
    packet.extend([0x45, 0, 0, 140, 0, 0, 0x40, 0, 64, 6, 0, 0]);
    packet.extend(from.into_iter().chain(to));
    packet.extend(from_port.to_be_bytes().into_iter().chain(to_port.to_be_bytes()));
    packet.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend([b'x'; 100]);
    packet
}

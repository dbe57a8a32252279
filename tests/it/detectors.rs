//! The flow detectors in the real program: over imports, each a process of its own, and over a kill -9.

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::program::{Server, json_lines};

/// A NetFlow v5 datagram of single SYNs from one address to twelve ports of a machine inside, which nobody answers.
fn probes(first_port: u16, sequence: u32) -> Vec<u8> {
    const COUNT: u16 = 12;
    let mut out = Vec::new();
    out.extend_from_slice(&5u16.to_be_bytes());
    out.extend_from_slice(&COUNT.to_be_bytes());
    // One hour up; 2026-11-21 08:00 UTC.
    out.extend_from_slice(&3_600_000u32.to_be_bytes());
    out.extend_from_slice(&1_795_248_000u32.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    for n in 0..COUNT {
        out.extend_from_slice(&[198, 51, 100, 9]);
        out.extend_from_slice(&[10, 20, 1, 5]);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&[0, 1, 0, 2]);
        out.extend_from_slice(&1u32.to_be_bytes());
        out.extend_from_slice(&44u32.to_be_bytes());
        out.extend_from_slice(&3_599_000u32.to_be_bytes());
        out.extend_from_slice(&3_599_000u32.to_be_bytes());
        out.extend_from_slice(&(40_000 + n).to_be_bytes());
        out.extend_from_slice(&(first_port + n).to_be_bytes());
        // Padding, flags, protocol, and the rest.
        out.extend_from_slice(&[0, 2, 6, 0]);
        out.extend_from_slice(&[0; 8]);
    }
    out
}

/// The one alert that both datagrams together are worth.
fn one_alert(data: &Path) {
    let alerts = json_lines(data, &["alerts", "--json"]);
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    let alert = &alerts[0];
    assert_eq!((alert["rule_name"].as_str(), alert["entity"].as_str()), (Some("portscan"), Some("ip:198.51.100.9")), "{alert:#?}");
    let reason =
        |name: &str| alert["reasons"].as_array().unwrap().iter().find(|reason| reason["name"] == name).cloned().unwrap_or(Value::Null);
    assert_eq!(reason("davon ohne brauchbare Antwort")["value"], "20", "{alert:#?}");
    assert_eq!(json_lines(data, &["incidents", "--json"]).len(), 1);
}

#[test]
fn a_scan_in_two_imports_is_one_alert() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let files = [dir.path().join("a.bin"), dir.path().join("b.bin")];
    std::fs::write(&files[0], probes(1, 0)).unwrap();
    std::fs::write(&files[1], probes(101, 12)).unwrap();
    json_lines(&data, &["import", "--flow", &files[0].display().to_string(), "--json"]);
    assert_eq!(json_lines(&data, &["alerts", "--json"]).len(), 0, "twelve ports are not enough");
    json_lines(&data, &["import", "--flow", &files[1].display().to_string(), "--json"]);
    one_alert(&data);
    json_lines(&data, &["import", "--flow", &files[1].display().to_string(), "--json"]);
    one_alert(&data);
}

#[test]
fn a_scan_with_a_kill_in_the_middle_is_one_alert() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (first_port, sequence) in [(1, 0), (101, 12)] {
        let server = Server::start(&data);
        udp.send_to(&probes(first_port, sequence), server.netflow).unwrap();
        // UDP has no answer to wait for.
        std::thread::sleep(Duration::from_millis(500));
        server.kill();
    }
    one_alert(&data);
}

#[test]
fn a_wrong_parameter_is_named_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("detectors.toml"), "\n[portscan.parameters]\nports_min = 1\n").unwrap();
    let file = dir.path().join("a.bin");
    std::fs::write(&file, probes(1, 0)).unwrap();
    let output = crate::program::wartburg(&data, &["import", "--flow", &file.display().to_string()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("detectors.toml, Zeile 3: [portscan.parameters] ports_min") && said.contains("zum Beispiel ports_min = 15"),
        "{said}"
    );
}

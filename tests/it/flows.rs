//! Flows over real sockets into the running program: what exporters send is found again, what never came is counted exactly,
//! and a restart between a template and its data changes neither.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use ingest::listen::Listener;

use crate::program::{PATIENCE, Server, Setup, json_lines, wartburg};

/// A site that everything on this machine belongs to: exporters that nobody knows have no figures of their own.
pub(crate) const SITE: &str = "[[sites]]\nname = \"hier\"\nprefixes = [\"127.0.0.0/8\"]\n";

pub(crate) fn serve(data: &Path) -> Server {
    Server::start_as(data, &Setup { config: SITE.into(), ..Setup::default() })
}

/// A figure of a stream of this machine; 0 where there is none yet.
pub(crate) fn figure(server: &Server, name: &str, version: &str) -> u64 {
    let text = ureq::get(format!("http://{}/metrics", server.pages)).call().unwrap().body_mut().read_to_string().unwrap();
    let of = format!("version=\"{version}\"");
    let lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{")) && (version.is_empty() || line.contains(&of)));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap() as u64).sum()
}

pub(crate) fn wait_figure(server: &Server, name: &str, version: &str, expected: u64) {
    let pause = Duration::from_millis(50);
    let tries = PATIENCE.as_millis() / pause.as_millis();
    let mut seen = 0;
    let came = (0..tries).any(|_| {
        seen = figure(server, name, version);
        seen >= expected || (std::thread::sleep(pause), false).1
    });
    assert!(came && seen == expected, "{name} of version {version} is {seen}, not {expected}");
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn shorts(shorts: &[u16]) -> Vec<u8> {
    shorts.iter().flat_map(|short| short.to_be_bytes()).collect()
}

fn set(id: u16, body: &[u8]) -> Vec<u8> {
    [shorts(&[id, 4 + body.len() as u16]), body.to_vec()].concat()
}

const SECS: u32 = 1_790_000_000;

/// Source and destination address, bytes, packets.
fn template(id: u16) -> Vec<u8> {
    shorts(&[id, 4, 8, 4, 12, 4, 1, 4, 2, 4])
}

fn records(first: u32, number: u32) -> Vec<u8> {
    (first..first + number).flat_map(|n| words(&[0x0a00_0000 + n, 0xc000_0201, 1_000 + n, 1])).collect()
}

fn v9(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    [shorts(&[9, 1]), words(&[3_600_000, SECS, sequence, 1]), sets.concat()].concat()
}

fn ipfix(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    [shorts(&[10, 16 + body.len() as u16]), words(&[SECS, sequence, 1]), body].concat()
}

fn v5(sequence: u32, first: u32, number: u32) -> Vec<u8> {
    let header = [shorts(&[5, number as u16]), words(&[3_600_000, SECS, 0, sequence, 0])].concat();
    let record = |n| words(&[0x0a00_0000 + n, 0xc000_0201, 0, 0, 1, 1_000 + n, 0, 0, 0, 0, 0, 0]);
    [header, (first..first + number).flat_map(record).collect()].concat()
}

fn sflow(sequence: u32) -> Vec<u8> {
    let packet = words(&[60, 17, 0x0a00_0001, 0xc000_0201, 53, 53, 0, 0]);
    let sample = [words(&[1, 7, 512, 9_000, 0, 7, 3, 1, 3, 32]), packet].concat();
    [words(&[5, 1, 0x7f00_0001, 0, sequence, 60_000, 1, 1, sample.len() as u32]), sample].concat()
}

#[test]
fn one_port_takes_every_version_and_every_port_does() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = serve(&data);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (n, listener) in (0..).zip([Listener::NetflowUdp, Listener::IpfixUdp, Listener::SflowUdp]) {
        let at = server.address(listener).unwrap();
        let datagrams = [
            v5(n, n, 1),
            v9(n, &[set(0, &template(256)), set(256, &records(n, 1))]),
            ipfix(n, &[set(2, &template(256)), set(256, &records(n, 1))]),
            sflow(n),
            b"no flow at all".to_vec(),
        ];
        for datagram in &datagrams {
            socket.send_to(datagram, at).unwrap();
        }
        // Ports are read side by side; what went to one of them is counted before the next is sent to, or the numbers of the
        // sequence could arrive in another order.
        for version in ["5", "9", "10", "sflow"] {
            wait_figure(&server, "wartburg_flow_records_total", version, u64::from(n) + 1);
        }
    }
    for version in ["5", "9", "10", "sflow"] {
        assert_eq!(figure(&server, "wartburg_flow_missed_total", version), 0, "{version}");
    }
    wait_figure(&server, "wartburg_flow_defective_total", "0", 3);
    assert!(server.terminate());
    assert_eq!(json_lines(&data, &["flows", "*", "--json"]).len(), 12);
}

#[test]
fn a_kill_between_template_and_data_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |server: &Server, datagram: &[u8]| assert_eq!(socket.send_to(datagram, server.netflow).unwrap(), datagram.len());
    // Templates; of 300 the data comes first.
    let server = serve(&data);
    send(&server, &v9(0, &[set(0, &template(256))]));
    send(&server, &ipfix(0, &[set(2, &template(256))]));
    send(&server, &ipfix(0, &[set(300, &records(100, 2))]));
    wait_figure(&server, "wartburg_flow_datagrams_total", "", 3);
    server.kill();
    let server = serve(&data);
    wait_figure(&server, "wartburg_flow_datagrams_total", "", 3);
    send(&server, &v9(1, &[set(256, &records(1, 3))]));
    send(&server, &ipfix(2, &[set(256, &records(4, 5))]));
    wait_figure(&server, "wartburg_flow_datagrams_total", "", 5);
    assert!(server.terminate(), "this time in order");
    let server = serve(&data);
    send(&server, &ipfix(7, &[set(2, &template(300))]));
    // Three datagrams of v9 and four records of IPFIX that never come.
    send(&server, &v9(5, &[set(256, &records(20, 1))]));
    send(&server, &ipfix(11, &[set(256, &records(30, 1))]));
    wait_figure(&server, "wartburg_flow_datagrams_total", "", 8);
    server.kill();
    let server = serve(&data);
    wait_figure(&server, "wartburg_flow_datagrams_total", "", 8);
    let figures = |version| {
        ["records", "missed", "sets_waited", "restarts", "unsure"]
            .map(|name| figure(&server, &format!("wartburg_flow_{name}_total"), version))
    };
    assert_eq!(figures("9"), [4, 3, 0, 0, 0]);
    assert_eq!(figures("10"), [8, 4, 1, 0, 1]);
    assert!(server.terminate());
    let flows = json_lines(&data, &["flows", "*", "--json", "--limit", "1000"]);
    let mut bytes: Vec<u64> = flows.iter().map(|flow| flow["network.bytes"].as_u64().unwrap()).collect();
    bytes.sort_unstable();
    assert_eq!(bytes, [1_001, 1_002, 1_003, 1_004, 1_005, 1_006, 1_007, 1_008, 1_020, 1_030, 1_100, 1_101], "{flows:#?}");
}

/// The rate that only the operator knows is part of how a flow is decoded, also when the journal is read again.
#[test]
fn what_is_rebuilt_is_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let config = format!("{SITE}[[flows.sampling]]\nexporters = [\"127.0.0.0/8\"]\nrate = 100\n");
    let serve = || Server::start_as(&data, &Setup { config: config.clone(), ..Setup::default() });
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |server: &Server, datagram: &[u8]| assert_eq!(socket.send_to(datagram, server.netflow).unwrap(), datagram.len());
    let server = serve();
    send(&server, &v5(0, 1, 3));
    send(&server, &v9(0, &[set(0, &template(256)), set(256, &records(10, 2))]));
    wait_figure(&server, "wartburg_flow_records_total", "", 5);
    assert!(server.terminate());
    let server = serve();
    send(&server, &v9(1, &[set(256, &records(20, 1))]));
    wait_figure(&server, "wartburg_flow_records_total", "", 6);
    assert!(server.terminate());
    let flows = || {
        let mut flows = json_lines(&data, &["flows", "*", "--json", "--limit", "1000"]);
        flows.sort_by_key(|flow| flow["network.bytes"].as_u64());
        flows
    };
    let before = flows();
    assert_eq!(before.iter().filter(|flow| flow["flow.sampling"] == 100).count(), 6, "{before:#?}");
    // The first of the two files loses its end.
    let days = std::fs::read_dir(data.join("flows")).unwrap().map(|day| day.unwrap().path()).filter(|day| day.is_dir());
    let files = days.flat_map(|day| std::fs::read_dir(day).unwrap()).map(|file| file.unwrap().path());
    let seq = |file: &std::path::PathBuf| file.file_stem().unwrap().to_str().unwrap().rsplit_once('-').unwrap().1.parse::<u64>().unwrap();
    let first = files.min_by_key(seq).unwrap();
    let file = std::fs::File::options().write(true).open(&first).unwrap();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    let server = serve();
    let rebuilt = wartburg(&data, &["store", "rebuild"]);
    assert!(rebuilt.status.success(), "{}{}", String::from_utf8_lossy(&rebuilt.stdout), String::from_utf8_lossy(&rebuilt.stderr));
    assert!(server.terminate());
    assert_eq!(flows(), before);
}

/// Passes datagrams on, but drops one of five, never the first or the last `ends` of them. Says what it dropped.
fn lossy(datagrams: &[Vec<u8>], ends: usize, to: SocketAddr) -> Vec<usize> {
    let (entry, exit) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (from, at, number) = (UdpSocket::bind("127.0.0.1:0").unwrap(), entry.local_addr().unwrap(), datagrams.len());
    let proxy = std::thread::spawn(move || {
        let (mut buffer, mut dice, mut dropped) = (vec![0; 65_536], 2_026u64, Vec::new());
        for index in 0..number {
            let len = entry.recv(&mut buffer).unwrap();
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (dice >> 33).is_multiple_of(5) && (ends..number - ends).contains(&index) {
                dropped.push(index);
            } else {
                exit.send_to(&buffer[..len], to).unwrap();
            }
        }
        dropped
    });
    for datagram in datagrams {
        from.send_to(datagram, at).unwrap();
        // The proxy's own buffer is the system's default.
        std::thread::sleep(Duration::from_micros(100));
    }
    proxy.join().unwrap()
}

#[test]
fn of_datagrams_that_are_dropped_the_records_are_counted_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = serve(&data);
    // Three exporters at once; each datagram with another number of records.
    let number = |n: u32| 1 + n % 28;
    let (mut datagrams, mut sent, mut sequence) = (Vec::new(), Vec::new(), 0);
    for n in 0..1_000 {
        let of = number(n);
        let templates = |id: u16| if n % 100 == 0 { set(id, &template(256)) } else { Vec::new() };
        datagrams.push(v5(sequence, n, of));
        datagrams.push(v9(n, &[templates(0), set(256, &records(n, of))]));
        datagrams.push(ipfix(sequence, &[templates(2), set(256, &records(n, of))]));
        sent.extend([("5", of), ("9", 1), ("10", of)]);
        sequence += of;
    }
    let dropped = lossy(&datagrams, 3, server.netflow);
    assert!(dropped.len() > 400, "{} of {}", dropped.len(), datagrams.len());
    for version in ["5", "9", "10"] {
        let of_version = |indices: &mut dyn Iterator<Item = usize>| -> (u64, u64, u64) {
            let mut sum = (0, 0, 0);
            for index in indices.filter(|index| sent[*index].0 == version) {
                sum = (sum.0 + 1, sum.1 + u64::from(sent[index].1), sum.2 + u64::from(number(index as u32 / 3)));
            }
            sum
        };
        let (all, lost) = (of_version(&mut (0..datagrams.len())), of_version(&mut dropped.iter().copied()));
        wait_figure(&server, "wartburg_flow_datagrams_total", version, all.0 - lost.0);
        assert_eq!(figure(&server, "wartburg_flow_missed_total", version), lost.1, "lost of version {version}");
        assert_eq!(figure(&server, "wartburg_flow_records_total", version), all.2 - lost.2, "records of version {version}");
        assert_eq!(figure(&server, "wartburg_flow_late_total", version) + figure(&server, "wartburg_flow_restarts_total", version), 0);
    }
    assert_eq!(figure(&server, "wartburg_intake_kernel_dropped_total", ""), 0, "or the test says nothing");
    assert!(server.terminate());
}

#[test]
fn decode_shows_every_field() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: Vec<u8>| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    // An element that we do not keep, and one of a vendor that nobody knows; the data comes before its template.
    let odd = [shorts(&[256, 3, 8, 4, 351, 8, 0x8000 | 33, 2]), words(&[9_999])].concat();
    let options = [shorts(&[258, 4, 4, 2, 4, 34, 4]), Vec::new()].concat();
    let counters = [words(&[7, 3, 1, 1, 12]), words(&[1, 6, 0])].concat();
    let files = [
        file("1", ipfix(0, &[set(256, &[words(&[0x0a00_0001, 0, 42]), shorts(&[80])].concat())])),
        file("2", ipfix(1, &[set(2, &odd)])),
        file("3", v9(0, &[set(1, &options), set(258, &words(&[9, 50]))])),
        file("4", [words(&[5, 1, 0x7f00_0001, 0, 1, 60_000, 1, 2, counters.len() as u32]), counters].concat()),
    ];
    let mut args = vec!["decode", "--flow", "--json", "--all"];
    args.extend(files.iter().map(String::as_str));
    let lines = json_lines(&dir.path().join("data"), &args);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert_eq!(lines[0]["source.ip"], "10.0.0.1");
    assert_eq!(lines[0]["_fields"], serde_json::json!({ "sourceIPv4Address": "10.0.0.1", "351": 42, "9999:33": 80 }));
    assert_eq!((&lines[1]["_item"], &lines[1]["_fields"]["samplingInterval"]), (&"options".into(), &50.into()));
    assert_eq!((&lines[2]["_item"], &lines[2]["_fields"]["ifType"]), (&"counters".into(), &6.into()));
    // Without --all the number of lines is that of the flows.
    args.retain(|arg| *arg != "--all");
    assert_eq!(json_lines(&dir.path().join("data"), &args).len(), 1);
}

//! The whole way over real sockets: what is sent to a running server is found by its pages' search and by the command line.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use crate::program::{Server, json_lines};

/// A log-in at the front, as a browser does it; the page's text.
fn fetch(server: &Server, path: &str) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
    let mut response = agent.get(format!("http://{}{path}", server.pages)).call().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

#[test]
fn every_transport_ends_in_the_store_with_its_defects() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);

    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.send_to(b"<34>1 2026-11-21T10:00:00Z fw-udp app 7 ID1 - over udp", server.syslog_udp).unwrap();
    let mut tcp = TcpStream::connect(server.syslog_tcp).unwrap();
    tcp.write_all(b"<13>Nov 21 10:00:00 fw-tcp app: newline framed\n51 <13>Nov 21 10:00:01 fw-tcp app: octets\nwith a break").unwrap();
    drop(tcp);
    let body = "{\"message\":\"over http\",\"host\":{\"name\":\"fw-http\"}}\n{\"broken\":}\n";
    let mut answer = ureq::post(format!("http://{}/v1/ingest", server.http)).send(body).unwrap();
    assert_eq!(answer.body_mut().read_json::<serde_json::Value>().unwrap()["accepted"], 2);
    let v5: Vec<u8> = [5u16, 1].iter().flat_map(|n| n.to_be_bytes()).chain(std::iter::repeat_n(1, 20 + 48)).collect();
    udp.send_to(&v5, server.netflow).unwrap();

    // Signed out, the front shows its door and nothing else.
    assert_eq!(fetch(&server, "/vorfaelle").0, 303);
    assert!(fetch(&server, "/login").1.contains("Anmelden"));

    // UDP has no answer to wait for.
    std::thread::sleep(Duration::from_millis(500));
    assert!(server.terminate());
    let events = json_lines(&data, &["search", "*", "--json"]);
    let of_host = |host: &str| events.iter().filter(|event| event["host.name"] == host).count();
    assert_eq!((of_host("fw-udp"), of_host("fw-tcp"), of_host("fw-http")), (1, 2, 1), "{events:#?}");
    assert_eq!(json_lines(&data, &["search", "_defect:bad_json", "--json"])[0]["_raw"], "{\"broken\":}");
    assert_eq!(json_lines(&data, &["flows", "*", "--json"]).len(), 1);
    let sources = json_lines(&data, &["sources", "--json"]);
    let frames: i64 = sources.iter().map(|source| source["frames"].as_i64().unwrap()).sum();
    assert_eq!(frames, 6, "{sources:#?}");
}

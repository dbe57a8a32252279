//! The protocols over HTTP: Elastic's bulk API, OpenTelemetry's logs, tokens, and what slow or hostile requests meet.

use std::path::Path;

use prost::Message as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::*;

impl Bench {
    fn request(&self, line: &str, headers: &str, body: &[u8]) -> String {
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        self.http(&[head.as_bytes(), body].concat())
    }

    fn bulk(&self, headers: &str, body: &[u8]) -> String {
        self.request("POST /_bulk", headers, body)
    }
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipper_of_elastic_is_welcome() {
    let bench = Bench::start().await;
    expect![[r#"
        HTTP/1.1 200 OK
        content-type: application/json
        x-elastic-product: Elasticsearch
        content-length: 319

        {"name":"wartburg","cluster_name":"wartburg","cluster_uuid":"wartburg","version":{"number":"8.99.0","build_flavor":"default","build_type":"tar","build_snapshot":false,"lucene_version":"9.12.0","minimum_wire_compatibility_version":"7.17.0","minimum_index_compatibility_version":"7.0.0"},"tagline":"You Know, for Search"}"#]].assert_eq(&bench.request("GET /", "", b""));
    expect![[r#"
        HTTP/1.1 200 OK
        content-type: application/json
        x-elastic-product: Elasticsearch
        content-length: 319
    "#]]
    .assert_eq(&bench.request("HEAD /", "", b""));
    expect![[r#"
        HTTP/1.1 200 OK
        content-type: application/json
        x-elastic-product: Elasticsearch
        content-length: 106

        {"license":{"status":"active","type":"basic","mode":"basic","uid":"00000000-0000-0000-0000-000000000000"}}"#]]
    .assert_eq(&bench.request("GET /_license?human=false", "", b""));
    expect![[r#"
        HTTP/1.1 200 OK
        content-type: application/json
        x-elastic-product: Elasticsearch
        content-length: 21

        {"acknowledged":true}"#]]
    .assert_eq(&bench.request("PUT /_index_template/filebeat-8.19.0", "", b"{}"));
    expect![[r#"
        HTTP/1.1 405 Method Not Allowed
        content-type: application/json
        x-elastic-product: Elasticsearch
        content-length: 185

        {"error":{"root_cause":[{"type":"illegal_argument_exception","reason":"only _bulk is taken here"}],"type":"illegal_argument_exception","reason":"only _bulk is taken here"},"status":405}"#]].assert_eq(&bench.request("DELETE /_index_template/filebeat-8.19.0", "", b""));
    for line in [
        "GET /_xpack",
        "GET /_cluster/health",
        "HEAD /_ilm/policy/filebeat",
        "PUT /_ilm/policy/filebeat",
        "GET /_data_stream/logs",
        "PUT /_template/old",
        "GET /_ingest/pipeline/filebeat-8.19.0-system-auth-pipeline",
        "GET /_nodes/ingest",
    ] {
        let answer = bench.request(line, "", b"");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("x-elastic-product: Elasticsearch"), "{line}: {answer}");
    }
    for line in ["POST /_search", "POST /logs/_search", "POST /_cluster/health", "GET /logs", "POST /_nodes/ingest"] {
        assert!(["404", "405"].contains(&status(&bench.request(line, "", b"{}"))), "{line}");
    }
    assert_eq!(bench.counters.snapshot().iter().map(|row| row.received).sum::<u64>(), 0, "questions are no events");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_in_bulk() {
    let mut bench = Bench::start().await;
    let body = "{\"create\":{\"_index\":\"logs\"}}\n{\"@timestamp\":\"2026-11-22T10:00:00Z\",\"message\":\"one\"}\n\
                {\"delete\":{\"_id\":\"1\"}}\n{\"index\":{}}\n{\"message\":\"two\"}\n{\"index\":{}}\n\n";
    expect![[r#"
        HTTP/1.1 200 OK
        content-type: application/json
        x-elastic-product: Elasticsearch
        content-length: 399

        {"took":0,"errors":true,"items":[{"create":{"_index":"logs","status":201,"result":"created"}},{"delete":{"_id":"1","status":400,"error":{"type":"illegal_argument_exception","reason":"events are not changed here: only index and create are taken"}}},{"index":{"status":201,"result":"created"}},{"index":{"status":400,"error":{"type":"illegal_argument_exception","reason":"the document is missing"}}}]}"#]].assert_eq(&bench.bulk("Content-Type: application/x-ndjson\r\nContent-Encoding: gzip\r\n", &gzip(body.as_bytes())));
    expect![[r#"
        {\"@timestamp\":\"2026-11-22T10:00:00Z\",\"message\":\"one\"}
        {\"message\":\"two\"}"#]]
    .assert_eq(&bench.lines(2));
    let answer = bench.request("POST /logs-2026.11/_bulk?filter_path=errors", "", b"{\"index\":{}}\n{\"message\":\"three\"}\n");
    assert!(
        answer.ends_with(r#""errors":false,"items":[{"index":{"_index":"logs-2026.11","status":201,"result":"created"}}]}"#),
        "{answer}"
    );
    assert_eq!(bench.frames(1)[0].kind, FrameKind::Json);
    expect![[r#"
        HTTP/1.1 400 Bad Request
        content-type: application/json
        x-elastic-product: Elasticsearch
        content-length: 249

        {"error":{"root_cause":[{"type":"illegal_argument_exception","reason":"action 1 is malformed: expected value at line 1 column 1"}],"type":"illegal_argument_exception","reason":"action 1 is malformed: expected value at line 1 column 1"},"status":400}"#]].assert_eq(&bench.bulk("", b"no action\n"));
    expect!["http received 6 stored 3 rejected [(Empty, 1), (Unreadable, 1), (Protocol, 1)] dropped []"]
        .assert_eq(&bench.counts(received(6)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_journal_is_told_in_each_protocol() {
    let mut bench = Bench::start().await;
    bench.journal.close();
    expect![[r#"
        HTTP/1.1 503 Service Unavailable
        content-type: application/json
        retry-after: 5
        x-elastic-product: Elasticsearch
        content-length: 239

        {"error":{"root_cause":[{"type":"es_rejected_execution_exception","reason":"nothing can be stored now: send it again later"}],"type":"es_rejected_execution_exception","reason":"nothing can be stored now: send it again later"},"status":503}"#]].assert_eq(&bench.bulk("", b"{\"index\":{}}\n{}\n{\"delete\":{}}\n"));
    let record = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{}]}]}]}"#;
    expect![[r#"
        HTTP/1.1 503 Service Unavailable
        content-type: application/json
        retry-after: 5
        content-length: 70

        {"code":14,"message":"nothing can be stored now: send it again later"}"#]]
    .assert_eq(&bench.request("POST /v1/logs", "Content-Type: application/json\r\n", record));
    expect!["http received 4 stored 0 rejected [(Protocol, 1)] dropped [(JournalStopped, 3)]"].assert_eq(&bench.counts(received(4)).await);
}

#[derive(Clone, PartialEq, prost::Message)]
struct GrpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetry_logs() {
    let mut bench = Bench::start().await;
    let logs = |content_type: &str, body: &[u8]| bench.request("POST /v1/logs", &format!("Content-Type: {content_type}\r\n"), body);
    let json = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"from json"}}]}]}]}"#;
    expect![[r#"
        HTTP/1.1 200 OK
        content-type: application/json
        content-length: 2

        {}"#]]
    .assert_eq(&logs("application/json; charset=utf-8", json));
    // ResourceLogs { ScopeLogs { LogRecord { body: AnyValue { string } } } }
    let protobuf = b"\x0a\x10\x12\x0e\x12\x0c\x2a\x0a\x0a\x08protobuf";
    expect![[r#"
        HTTP/1.1 200 OK
        content-type: application/x-protobuf
        content-length: 0
    "#]]
    .assert_eq(&logs("application/x-protobuf\r\nContent-Encoding: gzip", &gzip(protobuf)));
    let partial = b"\x0a\x14\x12\x12\x12\x02\x0a\xff\x12\x0c\x2a\x0a\x0a\x08protobuf";
    let answer = logs("application/x-protobuf", partial);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("these records could not be read"), "{answer}");

    let answer = logs("application/x-protobuf", b"\x0a\xff");
    let (head, body) = answer.split_once("\n\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400") && head.contains("content-type: application/x-protobuf"), "{head}");
    let status = GrpcStatus::decode(body.as_bytes()).unwrap();
    expect!["3 the protobuf message cannot be read: failed to decode Protobuf message: invalid varint"]
        .assert_eq(&format!("{} {}", status.code, status.message));
    expect![[r#"
        HTTP/1.1 400 Bad Request
        content-type: application/json
        content-length: 95

        {"code":3,"message":"the JSON cannot be read: 7 is no value for an object at line 1 column 17"}"#]]
    .assert_eq(&logs("application/json", b"{\"resourceLogs\":7}"));
    expect![[r#"
        HTTP/1.1 415 Unsupported Media Type
        content-type: application/json
        content-length: 85

        {"code":3,"message":"Content-Type may be application/x-protobuf or application/json"}"#]]
    .assert_eq(&logs("text/plain", b""));
    expect![[r#"
        {\"message\":\"from json\"}
        {\"message\":\"protobuf\"}
        {\"message\":\"protobuf\"}"#]]
    .assert_eq(&bench.lines(3));
    expect!["http received 7 stored 3 rejected [(Unreadable, 4)] dropped []"].assert_eq(&bench.counts(received(7)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sites_token_says_whose_it_is() {
    for global in [None, Some("geheim")] {
        let mut bench = Bench::start_with(global, |_| {}).await;
        // base64 of "elastic:bauamt-geheim" and of "id:bauamt-geheim".
        for given in
            ["Bearer bauamt-geheim", "Basic ZWxhc3RpYzpiYXVhbXQtZ2VoZWlt", "ApiKey aWQ6YmF1YW10LWdlaGVpbQ==", "ApiKey bauamt-geheim"]
        {
            let answer = bench.bulk(&format!("Authorization: {given}\r\n"), b"{\"index\":{}}\n{}\n");
            assert_eq!(status(&answer), "200", "{given}: {answer}");
            assert_eq!(bench.frames(1)[0].site, SiteId(crate::id::Ulid(8)), "{given}");
        }
        for wrong in ["Bearer bauamt", "Basic ZWxhc3RpYzpnZWhlaW0h", "Bearer ", "Negotiate x"] {
            for line in ["POST /v1/ingest", "POST /_bulk", "GET /", "POST /v1/logs"] {
                let answer = bench.request(line, &format!("Authorization: {wrong}\r\nContent-Type: application/json\r\n"), b"{}");
                assert_eq!(status(&answer), "401", "{wrong}: {answer}");
            }
        }
        let without = bench.post("", b"x\n");
        assert_eq!(status(&without), if global.is_none() { "200" } else { "401" });
        let globals = bench.post("Authorization: Basic ZWxhc3RpYzpnZWhlaW0=\r\n", b"x\n");
        assert_eq!(status(&globals), if global.is_none() { "401" } else { "200" });
        assert_eq!(bench.frames(1)[0].site, SiteId(crate::id::Ulid(7)), "the global token says nothing of the site");
        expect!["http received 22 stored 5 rejected [(Unauthorized, 17)] dropped []"].assert_eq(&bench.counts(received(22)).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_in_each_protocol() {
    let bench = Bench::start_with(Some("geheim"), |_| {}).await;
    expect![[r#"
        HTTP/1.1 401 Unauthorized
        content-type: application/json
        www-authenticate: Bearer
        x-elastic-product: Elasticsearch
        content-length: 227

        {"error":{"root_cause":[{"type":"security_exception","reason":"send the collector's token: Authorization: Bearer …"}],"type":"security_exception","reason":"send the collector's token: Authorization: Bearer …"},"status":401}"#]].assert_eq(&bench.bulk("", b""));
    expect![[r#"
        HTTP/1.1 401 Unauthorized
        content-type: application/json
        www-authenticate: Bearer
        content-length: 77

        {"code":16,"message":"send the collector's token: Authorization: Bearer …"}"#]]
    .assert_eq(&bench.request("POST /v1/logs", "Content-Type: application/json\r\n", b""));
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs() {
    let bench = Bench::start().await;
    let many = "x\n".repeat(30 << 20);
    let actions = "{\"delete\":{}}\n".repeat(4 << 20);
    let records = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}{{}}]}}]}}]}}"#, "{},".repeat(20 << 20));
    for (line, body) in [("POST /v1/ingest", &many), ("POST /_bulk", &actions), ("POST /v1/logs", &records)] {
        for (encoding, packed) in [("gzip", gzip(body.as_bytes())), ("zstd", zstd::encode_all(body.as_bytes(), 1).unwrap())] {
            assert!(packed.len() < 1 << 20);
            let answer = bench.request(line, &format!("Content-Type: application/json\r\nContent-Encoding: {encoding}\r\n"), &packed);
            assert_eq!(status(&answer), "413", "{line} {encoding}: {answer}");
        }
    }
    expect!["http received 6 stored 0 rejected [(TooLarge, 6)] dropped []"].assert_eq(&bench.counts(received(6)).await);
}

/// Sends a byte now and then until the other side closes.
fn drip(bench: &Bench, begin: &[u8]) -> String {
    tokio::task::block_in_place(|| {
        let mut stream = TcpStream::connect(bench.at[Listener::Http].unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        stream.write_all(begin).unwrap();
        let mut answer = Vec::new();
        for _ in 0..3_000 {
            let mut chunk = [0; 1024];
            match stream.read(&mut chunk) {
                Ok(0) => return String::from_utf8(answer).unwrap(),
                Ok(len) => answer.extend_from_slice(&chunk[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return String::from_utf8(answer).unwrap(),
            }
            let _ = stream.write_all(b"x");
        }
        panic!("never closed");
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_drips_is_cut_though_never_idle() {
    let bench = Bench::start_with(None, |limits| {
        (limits.http_idle, limits.http_body) = (Duration::from_millis(300), Duration::from_millis(300));
    })
    .await;
    assert_eq!(drip(&bench, b"POST /v1/ingest HTTP/1.1\r\nX-Slow: "), "", "closed within the head");
    let answer = drip(&bench, b"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    assert_eq!(status(&answer), "408", "{answer}");
    expect!["http received 1 stored 0 rejected [(Unreadable, 1)] dropped []"].assert_eq(&bench.counts(received(1)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_a_bound() {
    let bench = Bench::start().await;
    let answer = bench.request("POST /v1/ingest", &format!("X-Long: {}\r\n", "x".repeat(33_000)), b"");
    assert_eq!(status(&answer), "431", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_many_requests_and_ends_with_the_shutdown() {
    let mut bench = Bench::start().await;
    let mut stream = TcpStream::connect(bench.at[Listener::Http].unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for number in 0..3 {
        stream.write_all(format!("POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{number}\n").as_bytes()).unwrap();
        let mut answer = [0; 512];
        let len = tokio::task::block_in_place(|| stream.read(&mut answer)).unwrap();
        assert_eq!(status(std::str::from_utf8(&answer[..len]).unwrap()), "200");
    }
    assert_eq!(bench.lines(3), "0\n1\n2");
    bench.stop().await;
    assert!(closed(&mut stream));
}

/// An authority in `dir`, the server's certificate, and a client's connection with the sender's certificate or without.
struct Pki {
    files: TlsFiles,
    authority: rcgen::Certificate,
    sender: (rcgen::Certificate, KeyPair),
}

impl Pki {
    fn new(dir: &Path) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let signed = |name: &str| {
            let key = KeyPair::generate().unwrap();
            (CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap(), key)
        };
        let ((server, server_key), sender) = (signed("localhost"), signed("shipper.bauamt.example"));
        let put = |name: &str, text: String| {
            let path = dir.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let files = TlsFiles {
            certificate: put("tls.pem", server.pem()),
            key: put("tls.key", server_key.serialize_pem()),
            client_ca: Some(put("ca.pem", authority.pem())),
            clients_required: true,
        };
        Self { files, authority, sender }
    }

    /// Sends a request, gives the answer; an error where the server does not let us in.
    fn request(&self, at: SocketAddr, with_certificate: bool, request: &[u8]) -> std::io::Result<String> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots);
        let (certificate, key) = &self.sender;
        let config = if with_certificate {
            let key = PrivatePkcs8KeyDer::from(key.serialize_der());
            config.with_client_auth_cert(vec![certificate.der().clone()], key.into()).unwrap()
        } else {
            config.with_no_client_auth()
        };
        let connection = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let stream = TcpStream::connect(at)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut stream = rustls::StreamOwned::new(connection, stream);
        stream.write_all(request)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_certificate_says_whose_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::new(dir.path());
    let mut config = ListenConfig { tls: Some(pki.files.clone()), ..ListenConfig::default() };
    config.addresses[Listener::Https] = Some((Ipv4Addr::LOCALHOST, 0).into());
    let mut bench = Bench::start_as(config, |_| {}).await;
    let at = bench.at[Listener::Https].unwrap();
    let request = b"POST /_bulk HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 15\r\n\r\n{\"index\":{}}\n{}";
    let answer = tokio::task::block_in_place(|| pki.request(at, true, request)).unwrap();
    assert_eq!(status(&answer), "200", "{answer}");
    let frame = bench.frames(1).remove(0);
    assert_eq!((frame.site, frame.transport), (SiteId(crate::id::Ulid(8)), Transport::Http));
    assert!(tokio::task::block_in_place(|| pki.request(at, false, request)).is_err());
    expect!["https received 2 stored 1 rejected [(Handshake, 1)] dropped []"].assert_eq(&bench.counts(received(2)).await);
}

//! What others send, as they write it; what is wrong with it, by line; and what must not bring the reader down.

use expect_test::{Expect, expect};

use super::*;
use crate::incident::Tlp;

const NOW: Timestamp = Timestamp(1_795_248_000_000);

fn read_all(text: &[u8], file_name: &str) -> (Result<Report, ReadError>, Vec<Row>) {
    let mut rows = Vec::new();
    let hint = Hint { file_name: file_name.into(), report: None };
    let report = read(&mut &text[..], &hint, NOW, &mut |row| rows.push(row));
    (report, rows)
}

/// Rows and faults, a line each.
fn told(text: &str, file_name: &str) -> String {
    let (report, rows) = read_all(text.as_bytes(), file_name);
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let addresses: Vec<String> = row.addresses.iter().map(ToString::to_string).collect();
            let observables: Vec<String> = row.observables.iter().map(|(field, values)| format!("{field}={}", values.join("+"))).collect();
            format!(
                "{} [{}] {} {} {} {} {} {} | {}",
                row.first.rfc3339(),
                row.source,
                row.kind,
                row.rsit,
                row.level.as_str(),
                row.tlp.as_str(),
                addresses.join("+"),
                row.host.as_deref().unwrap_or("-"),
                observables.join(" ")
            )
        })
        .collect();
    match report {
        Ok(report) => {
            lines
                .extend(report.faults.iter().map(|fault| format!("! {} {} {:?}: {:?}", fault.place, fault.column, fault.value, fault.why)));
            lines.push(format!("{}: {} rows, {} faults, {} mended", report.form, report.rows, report.fault_count, report.mended));
        }
        Err(error) => lines.push(error.to_string()),
    }
    lines.join("\n") + "\n"
}

fn check(text: &str, file_name: &str, expected: Expect) {
    expected.assert_eq(&told(text, file_name));
}

#[test]
fn shadowservers_scans_and_events() {
    check(
        "\"timestamp\",\"severity\",\"ip\",\"protocol\",\"port\",\"hostname\",\"tag\",\"asn\",\"geo\"\n\
         \"2026-11-20 03:14:15\",\"medium\",\"198.51.100.10\",\"tcp\",3389,\"rds.musterhausen.example\",\"rdp\",64500,\"DE\"\n\
         \"2026-11-20 03:15:00\",\"medium\",\"fehlt\",\"tcp\",3389,\"\",\"rdp\",64500,\"DE\"\n\
         \"gestern\",\"medium\",\"198.51.100.11\",\"tcp\",3389,\"\",\"rdp\",64500,\"DE\"\n\
         \"2036-11-20 03:15:00\",\"medium\",\"198.51.100.11\",\"tcp\",3389,\"\",\"rdp\",64500,\"DE\"\n",
        "2026-11-20-scan_rdp-thueringen-geo.csv",
        expect![[r#"
            2026-11-20T03:14:15.000Z [Shadowserver] scan_rdp vulnerable/potentially-unwanted-accessible medium AMBER 198.51.100.10 rds.musterhausen.example | destination.port=3389 event.reason=rdp host.ip=198.51.100.10 host.name=rds.musterhausen.example
            ! 3 ip "fehlt": NotAnAddress
            ! 4 timestamp "gestern": NotATime
            ! 5 timestamp "2036-11-20 03:15:00": Future
            shadowserver: 1 rows, 3 faults, 0 mended
        "#]],
    );
    check(
        "timestamp,protocol,src_ip,src_port,src_asn,src_geo,dst_ip,dst_port,infection,family,tag\n\
         2026-11-20 00:00:01,tcp,198.51.100.10,50123,64500,DE,203.0.113.80,80,andromeda,,botnet\n",
        "2026-11-20-event4_sinkhole_http-geo.csv",
        expect![[r#"
            2026-11-20T00:00:01.000Z [Shadowserver] event_sinkhole_http malicious-code/infected-system high AMBER 198.51.100.10 - | destination.ip=203.0.113.80 destination.port=80 event.reason=andromeda+botnet host.ip=198.51.100.10
            shadowserver: 1 rows, 0 faults, 0 mended
        "#]],
    );
    check(
        "timestamp,ip\n",
        "2026-11-20-neue_art-geo.csv",
        expect![[r#"
        the kind of report is not known: "2026-11-20-neue_art-geo.csv"
    "#]],
    );
}

#[test]
fn intelmqs_events() {
    check(
        "time.source;source.ip;source.fqdn;classification.taxonomy;classification.type;classification.identifier;feed.name;malware.name;destination.ip\n\
         2026-11-20T10:00:00+00:00;198.51.100.10;;malicious-code;infected-system;qakbot;Sinkhole A;qakbot;203.0.113.1\n\
         2026-11-20T11:00:00+00:00;;www.musterhausen.example;intrusions;;;Sinkhole A;;\n\
         2026-11-20T12:00:00+00:00;198.51.100.10;;;c2server;;Alt;;\n\
         2026-11-20T12:00:00+00:00;198.51.100.10;;;nie gehört;;Alt;;\n\
         ;198.51.100.10;;;scanner;;Alt;;\n\
         2026-11-20T12:00:00+00:00;;;;scanner;;Alt;;\n",
        "events.csv",
        expect![[r#"
            2026-11-20T10:00:00.000Z [Sinkhole A] malicious-code/infected-system:qakbot malicious-code/infected-system high AMBER 198.51.100.10+203.0.113.1 - | destination.ip=203.0.113.1 event.reason=qakbot host.ip=198.51.100.10
            2026-11-20T11:00:00.000Z [Sinkhole A] intrusions:intrusions intrusions high AMBER  www.musterhausen.example | host.name=www.musterhausen.example
            2026-11-20T12:00:00.000Z [Alt] malicious-code/c2-server:c2server malicious-code/c2-server high AMBER 198.51.100.10 - | host.ip=198.51.100.10
            ! 5 classification.type "nie gehört": UnknownClass
            ! 6 time.source "": Missing
            ! 7 source.ip "": Missing
            intelmq: 3 rows, 3 faults, 0 mended
        "#]],
    );
}

#[test]
fn a_misp_event() {
    check(
        r#"{"Event": {"uuid": "5f0e0c0e-0000-4000-8000-000000000001", "info": "Angriff auf VPN", "date": "2026-11-19", "Orgc": {"name": "CERT Nord"},
            "Tag": [{"name": "tlp:red"}, {"name": "rsit:intrusion-attempts=\"brute-force\""}],
            "Attribute": [
              {"uuid": "a", "type": "ip-dst|port", "value": "198.51.100.10|443", "timestamp": "1795200000"},
              {"uuid": "b", "type": "ip-src", "value": "kein", "timestamp": "1795200000"},
              {"uuid": "c", "type": "domain", "value": "bad.example"},
              {"uuid": "d", "type": "ip-src", "value": "198.51.100.99", "deleted": true}],
            "Object": [{"name": "x", "Attribute": [{"uuid": "e", "type": "ip-src", "value": "2001:db8::1", "first_seen": "2026-11-19T05:00:00Z"}]}]}}"#,
        "event.json",
        expect![[r#"
            2026-11-20T18:40:00.000Z [CERT Nord] 5f0e0c0e-0000-4000-8000-000000000001 intrusion-attempts/brute-force medium RED 198.51.100.10 - | host.ip=198.51.100.10 threat.indicator.name=bad.example
            2026-11-19T05:00:00.000Z [CERT Nord] 5f0e0c0e-0000-4000-8000-000000000001 intrusion-attempts/brute-force medium RED 2001:db8::1 - | host.ip=2001:db8::1 threat.indicator.name=bad.example
            ! b ip-src "kein": NotAnAddress
            misp: 2 rows, 1 faults, 0 mended
        "#]],
    );
}

/// A row is as closed as the most closed thing in it, wherever the mark stands.
#[test]
fn the_strictest_label_wins() {
    let labels = |text: &str| read_all(text.as_bytes(), "x.json").1.iter().map(|row| row.tlp).collect::<Vec<_>>();
    let misp = |attribute: &str, object: &str| {
        format!(
            r#"{{"Event": {{"uuid": "u", "info": "x", "date": "2026-11-19", "Tag": [{{"name": "tlp:green"}}],
            "Attribute": [{{"uuid": "a", "type": "ip-dst", "value": "198.51.100.10"{attribute}}}],
            "Object": [{{"Attribute": [{{"uuid": "b", "type": "md5", "value": "00"{object}}}]}}]}}}}"#
        )
    };
    let red = r#", "Tag": [{"name": "other"}, {"name": "tlp:red"}]"#;
    assert_eq!(labels(&misp("", "")), [Tlp::Amber]);
    assert_eq!(labels(&misp(red, "")), [Tlp::Red]);
    assert_eq!(labels(&misp("", red)), [Tlp::Red]);
    assert_eq!(labels(&misp("", &format!(r#"{red}, "deleted": true"#))), [Tlp::Amber], "what is deleted says nothing");
    let stix = |case: &str, observed: &str, part: &str| {
        format!(
            r#"{{"type":"bundle","id":"bundle--1","objects":[
            {{"type":"incident","id":"incident--1","name":"Fall"{case}}},
            {{"type":"observed-data","id":"observed-data--1","first_observed":"2026-11-19T05:00:00Z",
              "last_observed":"2026-11-19T06:00:00Z","number_observed":1,"object_refs":["ipv4-addr--1"]{observed}}},
            {{"type":"ipv4-addr","id":"ipv4-addr--1","value":"198.51.100.10"{part}}}]}}"#
        )
    };
    let mark = r#","object_marking_refs":["marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"]"#;
    let granular =
        r#","granular_markings":[{"marking_ref":"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed","selectors":["value"]}]"#;
    for (text, label) in [
        (stix("", "", ""), Tlp::Amber),
        (stix(mark, "", ""), Tlp::Red),
        (stix("", mark, ""), Tlp::Red),
        (stix("", "", mark), Tlp::Red),
        (stix("", "", granular), Tlp::Red),
    ] {
        assert_eq!(labels(&text), [label], "{text}");
    }
}

#[test]
fn what_we_export_can_be_read() {
    use super::super::tests::{case, sender};
    use super::super::{Format, export};
    for (format, expected) in [
        (
            Format::Stix,
            expect![[r#"
                2026-11-21T08:01:00.000Z [ThüringenCERT] intrusions/unprivileged-account-compromise AMBER 203.0.113.9 -
                2026-11-21T08:02:00.000Z [ThüringenCERT] intrusions/unprivileged-account-compromise AMBER 2001:db8::66 -
            "#]],
        ),
        (
            Format::Misp,
            expect![[r#"
                2026-11-21T09:00:00.000Z [ThüringenCERT] intrusions/unprivileged-account-compromise AMBER 2001:db8::66 -
                2026-11-21T09:00:00.000Z [ThüringenCERT] intrusions/unprivileged-account-compromise AMBER 203.0.113.9 -
            "#]],
        ),
    ] {
        let mut rows = Vec::new();
        let text = export(&case(), format, &sender(), NOW);
        let report = read(&mut text.as_bytes(), &Hint::default(), NOW.plus(Timestamp::DAY), &mut |row| rows.push(row)).unwrap();
        assert_eq!(report.fault_count, 0, "{report:?}");
        let line = |row: &Row| {
            let host = row.host.as_deref().unwrap_or("-");
            format!("{} [{}] {} {} {} {host}\n", row.first.rfc3339(), row.source, row.rsit, row.tlp.as_str(), row.addresses[0])
        };
        expected.assert_eq(&rows.iter().map(line).collect::<String>());
    }
}

#[test]
fn a_foreign_bundle() {
    check(
        r#"{"type":"bundle","id":"bundle--1","objects":[
            {"type":"identity","id":"identity--1","name":"Partner"},
            {"type":"observed-data","id":"observed-data--1","first_observed":"2026-11-19T05:00:00Z","last_observed":"2026-11-19T06:00:00Z",
             "number_observed":3,"object_refs":["ipv4-addr--1","domain-name--1","ipv4-addr--fehlt"],
             "object_marking_refs":["marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"]},
            {"type":"ipv4-addr","id":"ipv4-addr--1","value":"198.51.100.10"},
            {"type":"domain-name","id":"domain-name--1","value":"rathaus.example"},
            {"type":"observed-data","id":"observed-data--2","first_observed":"gestern","last_observed":"2026-11-19T06:00:00Z"},
            {"type":"sighting","id":"sighting--1","sighting_of_ref":"indicator--1","observed_data_refs":["observed-data--1"]}]}"#,
        "bundle.json",
        expect![[r#"
            2026-11-19T05:00:00.000Z [Partner] observed-data--1 other/undetermined low RED 198.51.100.10 - | host.ip=198.51.100.10
            ! observed-data--1 object_refs "ipv4-addr--fehlt": Missing
            ! observed-data--2 first_observed "gestern": NotATime
            stix: 1 rows, 2 faults, 0 mended
        "#]],
    );
}

#[test]
fn hostile_files_end_in_words() {
    let deep = format!("{{\"type\":\"bundle\",\"objects\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(matches!(read_all(deep.as_bytes(), "x.json").0, Err(ReadError::Json(_))), "a depth bomb");
    let large = vec![b' '; usize::try_from(JSON_BYTES_MAX).unwrap() + 2];
    let mut large_json = b"{".to_vec();
    large_json.extend(large);
    assert!(matches!(read_all(&large_json, "x.json").0, Err(ReadError::TooLarge(JSON_BYTES_MAX))));
    assert!(matches!(read_all(b"\xff\xfet\0i\0", "x.csv").0, Err(ReadError::Utf16)));
    assert!(matches!(read_all(b"", "x.csv").0, Err(ReadError::Unknown)));
    assert!(matches!(read_all(b"a,b\n1,2\n", "x.csv").0, Err(ReadError::Unknown)));
    assert!(matches!(read_all(b"[]", "x.json").0, Err(ReadError::Unknown)));
    assert!(matches!(read_all(b"{\"Event\": 7}", "x.json").0, Err(ReadError::Unknown)));
    // Latin-1 in a text that nobody needs does not cost the row.
    let (report, rows) = read_all(b"timestamp,ip,tag\n2026-11-20 00:00:00,198.51.100.1,M\xfcller\n", "a-scan_rdp-b.csv");
    assert_eq!((report.unwrap().mended, rows.len(), rows[0].observables["event.reason"][0].as_str()), (1, 1, "M\u{fffd}ller"));
    // 50 MB whose quotation mark is never closed: each line a fault, the first hundred told, and an end.
    let line = format!("2026-11-20 00:00:00,198.51.100.1,{}\n", "x".repeat(200));
    let mut text = String::from("timestamp,ip,tag\n\"");
    while text.len() < 50 << 20 {
        text.push_str(&line);
    }
    let hint = Hint { file_name: "a-scan_rdp-b.csv".into(), report: None };
    let mut rows = 0;
    let report = read(&mut text.as_bytes(), &hint, NOW, &mut |_| rows += 1).unwrap();
    assert_eq!((report.fault_count, report.faults[0].why), (1, Why::OpenQuote), "{:?}", report.faults);
    assert!(rows > 200_000 && report.rows == rows);
    // A thousand faults are counted, a hundred told.
    let bad = format!("timestamp,ip\n{}", "x,198.51.100.1\n".repeat(1_000));
    let report = read_all(bad.as_bytes(), "a-scan_rdp-b.csv").0.unwrap();
    assert_eq!((report.fault_count, report.faults.len()), (1_000, FAULTS_MAX));
}

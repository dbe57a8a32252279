//! Requests and the frames they become.

use std::net::Ipv4Addr;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::body::SITE_UNKNOWN;
use crate::frame::{Frame, Seq, Transport};
use crate::time::Timestamp;

fn stamp() -> Stamp {
    Stamp { received_at: Timestamp(1), site: SITE_UNKNOWN, peer: Ipv4Addr::LOCALHOST.into(), transport: Transport::Http }
}

fn check(request: &str, expected: Expect) {
    let text = match read(Encoding::Json, Packing::Plain, request.as_bytes(), stamp()) {
        Err((reason, problem)) => format!("{reason:?}: {problem:?}"),
        Ok(logs) => {
            let rejected = format!("rejected {:?}", logs.rejected);
            let frames = logs.batch.into_frames();
            let frames = frames.iter().map(|frame| String::from_utf8_lossy(&frame.payload).into_owned());
            frames.chain((rejected != "rejected []").then_some(rejected)).collect::<Vec<_>>().join("\n")
        }
    };
    expected.assert_eq(&text);
}

/// One record, with what stands around it.
fn record(record: &str) -> String {
    format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}],"scope":{{"name":"lib"}}}}],
        "resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"fileserver"}}}},{{"key":"host.name","value":{{"stringValue":"rathaus-7"}}}}]}}}}]}}"#
    )
}

#[test]
fn a_record_in_ecs_names() {
    check(
        &record(
            r#"{"timeUnixNano":"1795000000123456789","severityNumber":17,"body":{"stringValue":"Failed password for root"},
            "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","attributes":[
            {"key":"client.address","value":{"stringValue":"198.51.100.7"}},
            {"key":"user.name","value":{"stringValue":"root"}},
            {"key":"http.response.status_code","value":{"intValue":"401"}},
            {"key":"own.name","value":{"boolValue":true}},
            {"key":"host.name","value":{"stringValue":"from-the-record"}}]}"#,
        ),
        expect![[
            r#"{"@timestamp":"2026-11-18T11:06:40.123456789Z","message":"Failed password for root","log.level":"error","event.severity":17,"trace.id":"5b8efff798038103d269b633813fc60c","span.id":"eee19b7ec3c1b174","source.ip":"198.51.100.7","user.name":"root","http.response.status_code":401,"otel.own.name":true,"host.name":"from-the-record","service.name":"fileserver","otel.host.name":"rathaus-7","otel.scope.name":"lib"}"#
        ]],
    );
}

#[test]
fn severities_times_and_absent_fields() {
    check(&record("{}"), expect![[r#"{"service.name":"fileserver","host.name":"rathaus-7","otel.scope.name":"lib"}"#]]);
    check(
        &record(r#"{"observedTimeUnixNano":1795000000000000000,"severityText":"WARN","severityNumber":13}"#),
        expect![[
            r#"{"@timestamp":"2026-11-18T11:06:40.000000000Z","log.level":"WARN","event.severity":13,"service.name":"fileserver","host.name":"rathaus-7","otel.scope.name":"lib"}"#
        ]],
    );
    check(
        &record(
            r#"{"timeUnixNano":"18446744073709551615","traceId":"","spanId":"0000000000000000","eventName":"login","droppedAttributesCount":2,"flags":1}"#,
        ),
        expect![[
            r#"{"otel.event_name":"login","otel.dropped_attributes_count":2,"service.name":"fileserver","host.name":"rathaus-7","otel.scope.name":"lib"}"#
        ]],
    );
}

#[test]
fn bodies_and_values_of_every_kind() {
    check(
        &record(
            r#"{"body":{"kvlistValue":{"values":[{"key":"message","value":{"stringValue":"anmeldung"}},{"key":"event_id","value":{"intValue":4625}}]}}}"#,
        ),
        expect![[
            r#"{"message":"anmeldung","otel.body":{"message":"anmeldung","event_id":4625},"service.name":"fileserver","host.name":"rathaus-7","otel.scope.name":"lib"}"#
        ]],
    );
    check(
        &record(r#"{"body":{"arrayValue":{"values":[{"intValue":"-1"},{"doubleValue":0.5},{"bytesValue":"3q2+7w=="},{}]}}}"#),
        expect![[
            r#"{"message":"[-1,0.5,\"3q2+7w==\",null]","service.name":"fileserver","host.name":"rathaus-7","otel.scope.name":"lib"}"#
        ]],
    );
    check(
        &record(
            r#"{"body":{"doubleValue":"Infinity"},"attributes":[{"key":"a","value":{"stringValue":"1"}},{"key":"a","value":{"stringValue":"2"}},{"key":"client.address","value":{"stringValue":"/run/socket"}},{"key":"none"}]}"#,
        ),
        expect![[
            r#"{"message":"inf","otel.a":"1","otel.a.again":"2","otel.client.address":"/run/socket","service.name":"fileserver","host.name":"rathaus-7","otel.scope.name":"lib"}"#
        ]],
    );
    check(
        &record(
            r#"{"attributes":[{"key":"message","value":{"stringValue":"taken"}},{"key":"site","value":{"stringValue":"forged"}}],"body":{"stringValue":"first"}}"#,
        ),
        expect![[
            r#"{"message":"first","otel.message":"taken","site":"forged","service.name":"fileserver","host.name":"rathaus-7","otel.scope.name":"lib"}"#
        ]],
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    check(
        "",
        expect![[
            r#"Unreadable: Problem { status: 400, detail: "the JSON cannot be read: EOF while parsing a value at line 1 column 0", header: None }"#
        ]],
    );
    check(
        "[]",
        expect![[
            r#"Unreadable: Problem { status: 400, detail: "the JSON cannot be read: invalid type: sequence, expected an object of OTLP at line 1 column 0", header: None }"#
        ]],
    );
    check("{}", expect![[r#""#]]);
    check(r#"{"resourceLogs":null,"later":[{}]}"#, expect![[r#""#]]);
    check(
        &record(r#"{"timeUnixNano":"yesterday"}"#),
        expect![[
            r#"Unreadable: Problem { status: 400, detail: "the JSON cannot be read: invalid value: string \"yesterday\", expected a number at line 1 column 73", header: None }"#
        ]],
    );
    check(
        &record(r#"{"timeUnixNano":-1}"#),
        expect![[
            r#"Unreadable: Problem { status: 400, detail: "the JSON cannot be read: -1 is no value for a number at line 1 column 64", header: None }"#
        ]],
    );
    check(
        &record(r#"{"severityNumber":99999999999999999999}"#),
        expect![[
            r#"Unreadable: Problem { status: 400, detail: "the JSON cannot be read: 100000000000000000000 is no value for a number at line 1 column 84", header: None }"#
        ]],
    );
    check(
        &record(r#"{"traceId":"xyz"}"#),
        expect![[
            r#"Unreadable: Problem { status: 400, detail: "the JSON cannot be read: invalid value: string \"xyz\", expected a text in hex at line 1 column 62", header: None }"#
        ]],
    );
    check(
        &record(r#"{"body":"text"}"#),
        expect![[
            r#"Unreadable: Problem { status: 400, detail: "the JSON cannot be read: invalid value: string \"text\", expected an object at line 1 column 60", header: None }"#
        ]],
    );
    check(
        &record(&format!(r#"{{"body":{}1{}}}"#, r#"{"arrayValue":{"values":["#.repeat(60), "]}}".repeat(60))),
        expect![[
            r#"Unreadable: Problem { status: 400, detail: "the JSON cannot be read: recursion limit exceeded at line 1 column 1055", header: None }"#
        ]],
    );
}

#[test]
fn an_event_decodes_to_its_fields() {
    let request = record(
        r#"{"timeUnixNano":"1795000000123456789","severityText":"Error","body":{"stringValue":"Failed password for root"},
        "attributes":[{"key":"client.address","value":{"stringValue":"198.51.100.7"}},{"key":"http.response.status_code","value":{"intValue":"401"}},{"key":"own","value":{"intValue":"1"}}]}"#,
    );
    let frame = read(Encoding::Json, Packing::Plain, request.as_bytes(), stamp()).ok().unwrap().batch.into_frames().remove(0);
    let decoded = crate::decode::decode(&Frame { seq: Seq(1), frame }, &crate::decode::Options::default());
    let decoded = decoded.unwrap().json("rathaus");
    expect![[r#"
        {
          "@timestamp": "1970-01-01T00:00:00.001Z",
          "event.ingested": "1970-01-01T00:00:00.001Z",
          "event.sequence": 1,
          "site": "rathaus",
          "observer.ip": "127.0.0.1",
          "message": "Failed password for root",
          "log.level": "Error",
          "source.ip": "198.51.100.7",
          "http.response.status_code": 401,
          "otel.own": 1,
          "service.name": "fileserver",
          "host.name": "rathaus-7",
          "otel.scope.name": "lib",
          "event.created": "2026-11-18T11:06:40.123Z",
          "_defects": [
            "future_time"
          ],
          "_raw": "{\"@timestamp\":\"2026-11-18T11:06:40.123456789Z\",\"message\":\"Failed password for root\",\"log.level\":\"Error\",\"source.ip\":\"198.51.100.7\",\"http.response.status_code\":401,\"otel.own\":1,\"service.name\":\"fileserver\",\"host.name\":\"rathaus-7\",\"otel.scope.name\":\"lib\"}"
        }"#]].assert_eq(&serde_json::to_string_pretty(&decoded).unwrap());
}

fn delimited(tag: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_key(tag, WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

#[test]
fn a_broken_record_is_rejected_alone() {
    let good = delimited(2, &delimited(5, &delimited(1, b"m\xfcll")));
    let broken = delimited(2, b"\x0a\xff");
    let long = delimited(2, &delimited(5, &delimited(1, &vec![b'x'; RECORD_BYTES_MAX])));
    let scope_logs = [good.clone(), broken, long, good].concat();
    let request = delimited(1, &delimited(2, &scope_logs));
    let logs = read(Encoding::Protobuf, Packing::Plain, &request, stamp()).ok().unwrap();
    assert_eq!(logs.rejected, [Rejected::Unreadable, Rejected::TooLarge]);
    let frames = logs.batch.into_frames();
    assert_eq!(frames.len(), 2);
    assert_eq!(String::from_utf8_lossy(&frames[1].payload), r#"{"message":"müll"}"#);
    expect![[r#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"these records could not be read or are longer than 1 MiB"}}"#]]
        .assert_eq(std::str::from_utf8(&taken(Encoding::Json, 2)).unwrap());
    assert_eq!(taken(Encoding::Protobuf, 0), b"");
    assert_eq!(Answer::decode(taken(Encoding::Protobuf, 2).as_slice()).unwrap().partial_success.unwrap().rejected_log_records, 2);
}

#[test]
fn small_requests_that_would_become_large_are_refused() {
    // Two bytes a record.
    let many = delimited(1, &delimited(2, &b"\x12\x00".repeat(FRAMES_MAX + 1)));
    let refused = |request: &[u8]| read(Encoding::Protobuf, Packing::Plain, request, stamp()).map(|_| ()).unwrap_err().0;
    assert_eq!(refused(&many), Rejected::TooLarge);
    // A resource that every record repeats.
    let resource = delimited(1, &delimited(1, &[delimited(1, b"key"), delimited(2, &delimited(1, &vec![b'x'; 60_000]))].concat()));
    let repeated = delimited(1, &[delimited(2, &b"\x12\x00".repeat(2_000)), resource].concat());
    assert_eq!(refused(&repeated), Rejected::TooLarge);
    let huge = delimited(1, &delimited(1, &vec![0x0a; AROUND_BYTES_MAX + 1]));
    assert_eq!(refused(&huge), Rejected::TooLarge);
}

proptest! {
    #[test]
    fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(Encoding::Protobuf, Packing::Plain, &bytes, stamp());
        let _ = read(Encoding::Protobuf, Packing::Plain, &delimited(1, &delimited(2, &delimited(2, &bytes))), stamp());
        let _ = read(Encoding::Json, Packing::Plain, &bytes, stamp());
    }

    /// JSON and protobuf say the same.
    #[test]
    fn texts_come_through(message in any::<String>(), key in "[a-zäöü.]{1,20}", value in any::<i64>()) {
        let json = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [{
            "body": { "stringValue": message }, "attributes": [{ "key": format!("x.{key}"), "value": { "intValue": value.to_string() } }],
        }] }] }] });
        let frames = read(Encoding::Json, Packing::Plain, json.to_string().as_bytes(), stamp()).ok().unwrap().batch.into_frames();
        let event: serde_json::Value = serde_json::from_slice(&frames[0].payload).unwrap();
        prop_assert_eq!(event["message"].as_str().unwrap(), message);
        prop_assert_eq!(event[format!("otel.x.{key}")].as_i64().unwrap(), value);
    }
}

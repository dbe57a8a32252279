//! Clients that come as Python packages: GELF by graypy, Elastic's own client for `_bulk`, OpenTelemetry's OTLP exporter;
//! DuckDB, which reads the flow store's files.
//! `.ci/run` puts them into target/ci-tools/python; `WARTBURG_PYTHON` may name another interpreter that has them.

use std::path::{Path, PathBuf};
use std::process::Command;

use ingest::listen::Listener;
use serde_json::Value;

use super::{Receiver, run};
use crate::program::required;

/// The interpreter that knows a module; `None`, said aloud, where there is none.
pub(crate) fn python(module: &str) -> Option<PathBuf> {
    let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci-tools/python/bin/python");
    let python = std::env::var_os("WARTBURG_PYTHON").map_or_else(ours, PathBuf::from);
    let knows = Command::new(&python).args(["-c", &format!("import {module}")]).output().is_ok_and(|output| output.status.success());
    if !knows {
        assert!(!required(), "{} does not know {module}, and here it must", python.display());
        eprintln!("skipped: {} does not know {module}", python.display());
    }
    knows.then_some(python)
}

fn run_script(python: &Path, script: &str, port: u16) {
    run(Command::new(python).args(["-c", script, &port.to_string()]));
}

#[test]
fn graypy_sends_gelf_over_udp_and_tcp() {
    let Some(python) = python("graypy") else { return };
    // The third is longer than a datagram and comes in parts, packed.
    let script = |handler: &str| {
        format!(
            "import graypy, logging, random, sys
log = logging.getLogger('rathaus')
log.addHandler({handler})
noise = ''.join(random.choices('abcdefghijklmnopqrstuvwxyz0123456789', k=20000))
for text in ['kurz', 'für müller', noise]:
    log.warning(text, extra={{'benutzer': 'müller'}})
logging.shutdown()"
        )
    };
    for (listener, handler) in [
        (Listener::GelfUdp, "graypy.GELFUDPHandler('127.0.0.1', int(sys.argv[1]))"),
        (Listener::GelfTcp, "graypy.GELFTCPHandler('127.0.0.1', int(sys.argv[1]))"),
    ] {
        let mut receiver = Receiver::start();
        run_script(&python, &script(handler), receiver.at[listener].expect("GELF listens").port());
        let messages: Vec<Value> = receiver.lines(3).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(
            messages
                .iter()
                .all(|message| message["version"].as_str().is_some_and(|v| v.starts_with("1.")) && message["_benutzer"] == "müller"),
            "{messages:?}"
        );
        let mut texts: Vec<&str> = messages.iter().filter_map(|message| message["short_message"].as_str()).collect();
        texts.sort_by_key(|text| text.len());
        assert_eq!((texts[0], texts[1], texts[2].len()), ("kurz", "für müller", 20_000), "{listener:?}");
    }
}

#[test]
fn elastics_own_client_fills_its_index_here() {
    let Some(python) = python("elasticsearch") else { return };
    let script = "import sys
from elasticsearch import Elasticsearch, helpers
client = Elasticsearch(f'http://127.0.0.1:{sys.argv[1]}', http_compress=True)
actions = ({'_op_type': 'create', '_index': 'logs-rathaus', '@timestamp': '2026-11-21T10:00:00Z', 'message': f'Anmeldung {n}', 'host': {'name': 'rathaus'}} for n in range(500))
done, errors = helpers.bulk(client, actions, chunk_size=120)
assert (done, errors) == (500, []), (done, errors)";
    let mut receiver = Receiver::start();
    run_script(&python, script, receiver.at[Listener::Http].unwrap().port());
    for (number, line) in receiver.lines(500).iter().enumerate() {
        let document: Value = serde_json::from_str(line).unwrap();
        assert_eq!(document["message"], format!("Anmeldung {number}"));
        assert_eq!(document["host"]["name"], "rathaus");
    }
}

#[test]
fn opentelemetrys_exporter_sends_logs() {
    let Some(python) = python("opentelemetry.exporter.otlp.proto.http._log_exporter") else { return };
    let script = "import logging, sys
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
provider = LoggerProvider(resource=Resource.create({'service.name': 'fachverfahren', 'host.name': 'rathaus'}))
exporter = OTLPLogExporter(endpoint=f'http://127.0.0.1:{sys.argv[1]}/v1/logs', compression=Compression.Gzip)
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
log = logging.getLogger('app')
log.addHandler(LoggingHandler(logger_provider=provider))
for n in range(100):
    log.warning('Anmeldung %d für müller', n, extra={'benutzer': 'müller'})
provider.shutdown()";
    let mut receiver = Receiver::start();
    run_script(&python, script, receiver.at[Listener::Http].unwrap().port());
    for (number, line) in receiver.lines(100).iter().enumerate() {
        assert!(line.contains(&format!("Anmeldung {number} für müller")), "{line}");
        assert!(line.contains("fachverfahren") && line.contains("rathaus") && line.contains("benutzer"), "{line}");
    }
}

/// The flow store's files as they are, those of five minutes and a compacted one, in one question.
#[test]
fn duckdb_reads_the_flow_store() {
    use ingest::flow::FlowRecord;
    use ingest::flows::{FlowConsumer, FlowStore};
    use ingest::frame::Seq;
    use ingest::pipeline::{Batch, Consumer as _};
    use ingest::time::Timestamp;
    let Some(python) = python("duckdb") else { return };
    let dir = tempfile::tempdir().unwrap();
    let store = FlowStore::open(dir.path()).unwrap();
    let mut consumer = FlowConsumer::new(store.clone());
    let at = |n: i64| Timestamp(1_790_000_000_000 + n * 60_000);
    let flow = |n: u64| FlowRecord {
        seq: Seq(n),
        received_at: at(n.cast_signed()),
        start: at(n.cast_signed()).plus(-2_000),
        end: at(n.cast_signed()),
        src_ip: "10.0.0.9".parse().unwrap(),
        dst_ip: "2001:db8::1".parse().unwrap(),
        dst_port: 443,
        bytes: n,
        flow_id: u64::MAX,
        src_mac: [1, 2, 3, 4, 5, 6],
        direction: 1,
        ..FlowRecord::NONE
    };
    let flows: Vec<FlowRecord> = (1..=120).map(flow).collect();
    consumer.apply(&Batch { first: Seq(1), last: Seq(120), flows, ..Batch::default() }).unwrap();
    consumer.flush().unwrap();
    assert!(store.compact_next(at(100), &|| false).unwrap().is_some());
    let script = "import duckdb, ipaddress, sys
rows = duckdb.sql(f\"SELECT count(*), sum(bytes), min(seq), max(seq), count(DISTINCT seq), count(DISTINCT filename) > 10 FROM read_parquet('{sys.argv[1]}/*/*.parquet', filename = true)\").fetchall()
assert rows == [(120, 7260, 1, 120, 120, True)], rows
row = duckdb.sql(f\"SELECT src_ip, dst_ip, dst_port, flow_id, src_mac, direction, site, duration_ms, epoch_ms(start), next_hop FROM read_parquet('{sys.argv[1]}/*/*.parquet') ORDER BY seq LIMIT 1\").fetchall()[0]
assert ipaddress.ip_address(row[0]).ipv4_mapped == ipaddress.ip_address('10.0.0.9'), row
assert ipaddress.ip_address(row[1]) == ipaddress.ip_address('2001:db8::1'), row
assert row[2:6] == (443, 2**64 - 1, bytes([1, 2, 3, 4, 5, 6]), 1), row
assert row[6] == '0' * 26 and row[7:9] == (2000, 1790000058000), row
columns = duckdb.sql(f\"DESCRIBE SELECT * FROM read_parquet('{sys.argv[1]}/*/*.parquet')\").fetchall()
assert len(columns) == int(sys.argv[2]), len(columns)
";
    run(Command::new(python).args(["-c", script]).arg(dir.path()).arg(ingest::flows::column::COLUMNS.to_string()));
}

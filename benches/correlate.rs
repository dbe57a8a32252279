//! What correlations cost: one record more, by type, while its window holds ten to a million.
//! `cargo bench --workspace --bench correlate`, with `-- event_count` for one type
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement fails loudly")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use detect::engine::{Engine, RuleSet};
use detect::sigma::FieldNames;
use ingest::body::SiteId;
use ingest::event::{Defects, ValueRef};
use ingest::fields::{self, FieldId};
use ingest::frame::Seq;
use ingest::record::Record;
use ingest::time::Timestamp;

/// How many records one window holds.
const WINDOWS: [u64; 4] = [10, 1_000, 100_000, 1_000_000];
const SPAN: i64 = 3_600_000;

/// Two rules that tell records apart by their action, and the correlations over them.
const BASE: &str = "title: A\nname: a\nlogsource: {product: linux}\ndetection: {s: {event.action: a}, condition: s}\n---\n\
    title: B\nname: b\nlogsource: {product: linux}\ndetection: {s: {event.action: b}, condition: s}\n---\n\
    title: K\nname: k\nlevel: high\ncorrelation:\n  group-by: source.ip\n  timespan: 1h\n  ";

/// Name, correlation, and whether every tenth record is late by up to the time span.
const KINDS: [(&str, &str, bool); 10] = [
    ("event_count", "type: event_count\n  rules: a\n  condition: {gte: 1000000000}", false),
    ("event_count, matching", "type: event_count\n  rules: a\n  condition: {gte: 5}", false),
    ("event_count, a tenth late", "type: event_count\n  rules: a\n  condition: {gte: 1000000000}", true),
    ("value_count", "type: value_count\n  rules: a\n  condition: {gte: 1001, field: destination.port}", false),
    ("value_count, a tenth late", "type: value_count\n  rules: a\n  condition: {gte: 1001, field: destination.port}", true),
    ("temporal", "type: temporal\n  rules: [a, b]", false),
    ("temporal_ordered", "type: temporal_ordered\n  rules: [b, a]", false),
    ("value_sum", "type: value_sum\n  rules: a\n  condition: {gte: 1e14, field: source.bytes}", false),
    ("value_avg", "type: value_avg\n  rules: a\n  condition: {gte: 1e14, field: source.bytes}", false),
    ("value_percentile", "type: value_percentile\n  rules: a\n  condition: {gte: 1e14, field: source.bytes, percentile: 95}", false),
];

/// A log-in as the decoders leave it, without the decoding.
struct Made {
    seq: u64,
    time: i64,
}

impl Made {
    /// The n-th of a stream of which a time span holds so many.
    fn nth(n: u64, window: u64, late: bool) -> Self {
        let time = i64::try_from(u128::from(n) * u128::from(SPAN.unsigned_abs()) / u128::from(window)).unwrap();
        let behind =
            if late && n.is_multiple_of(10) { i64::try_from(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20).unwrap() % SPAN } else { 0 };
        Self { seq: n + 1, time: time - behind }
    }
}

impl Record for Made {
    fn seq(&self) -> Seq {
        Seq(self.seq)
    }
    fn timestamp(&self) -> Timestamp {
        Timestamp(self.time)
    }
    fn text(&self) -> &str {
        "Failed password for root from 203.0.113.5 port 4711 ssh2"
    }
    fn defects(&self) -> Defects {
        Defects::default()
    }
    fn any_value(&self, field: FieldId, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
        match field {
            fields::EVENT_ACTION => visit(ValueRef::Str("a")),
            fields::SOURCE_IP => visit(ValueRef::Ip([203, 0, 113, 5].into())),
            fields::USER_NAME => visit(ValueRef::Str("root")),
            fields::HOST_NAME => visit(ValueRef::Str("web")),
            fields::DESTINATION_PORT => visit(ValueRef::Int(i64::try_from(self.seq % 1_000).unwrap())),
            fields::SOURCE_BYTES => visit(ValueRef::Int(i64::try_from(self.seq % 100_003).unwrap())),
            _ => false,
        }
    }
    fn any_field(&self, visit: &mut dyn FnMut(FieldId, ValueRef<'_>) -> bool) -> bool {
        let all =
            [fields::EVENT_ACTION, fields::SOURCE_IP, fields::USER_NAME, fields::HOST_NAME, fields::DESTINATION_PORT, fields::SOURCE_BYTES];
        all.into_iter().any(|field| self.any_value(field, &mut |value| visit(field, value)))
    }
}

fn engine(correlation: &str) -> Engine {
    let (set, errors) = RuleSet::compile([("rules/k/rule.yml".to_owned(), format!("{BASE}{correlation}\n"))], FieldNames::Decoded);
    assert!(errors.is_empty(), "{errors:?}");
    Engine::new(set, Default::default())
}

fn bench(c: &mut Criterion) {
    for (name, correlation, late) in KINDS {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(1)).sample_size(10);
        group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
        for window in WINDOWS {
            let mut engine = engine(correlation);
            let mut next = 0;
            let mut apply = || {
                let record = Made::nth(next, window, late);
                next += 1;
                black_box(engine.apply(&record, SiteId::default(), None, Timestamp(0)).len())
            };
            // Full windows, before and behind the one that is measured.
            for _ in 0..3 * window + 1_000 {
                apply();
            }
            group.bench_function(window.to_string(), |b| b.iter(&mut apply));
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);

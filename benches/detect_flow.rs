//! What the flow detectors cost: a day of ordinary traffic of five bodies with attacks in it, through all of them
//! together and through each alone. `cargo bench --workspace --bench detect_flow`
#![allow(clippy::unwrap_used, clippy::indexing_slicing, dead_code, reason = "a measurement fails loudly; the generator serves tests too")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use detect::flow::{Detectors, Sheet};
use ingest::flow::FlowRecord;

#[path = "../detect/src/flow/traffic.rs"]
mod traffic;

/// Enough that tables and filters do not fit into the second cache.
const RECORDS: usize = 200_000;

fn detectors(sheet: &Arc<Sheet>) -> Detectors {
    let mut detectors = Detectors::new(sheet.clone(), &[]).unwrap();
    detectors.follow(&Arc::new(traffic::sites()));
    detectors
}

/// The shipped sheet with one detector alone; `None` for all.
fn sheet(only: Option<&str>) -> Arc<Sheet> {
    let shipped = Sheet::shipped().unwrap();
    let off: String = shipped
        .iter()
        .filter(|(name, _)| only.is_some_and(|only| only != *name))
        .map(|(name, _)| format!("[{name}]\nenabled = false\n"))
        .collect();
    Arc::new(shipped.overridden("bench", &off).unwrap())
}

fn bench(c: &mut Criterion) {
    let scan = (0..1_000)
        .map(|n| traffic::Talk::probe(1, [185, 220, 101, 1].into(), traffic::public(1, 9), n, traffic::BEGIN.plus(i64::from(n) * 60_000)));
    let records: Vec<FlowRecord> = traffic::Traffic::new(1, scan.collect()).take(RECORDS).collect();
    let mut group = c.benchmark_group("flow detectors");
    group.throughput(Throughput::Elements(RECORDS as u64)).sample_size(10);
    let names: Vec<String> =
        Sheet::shipped().unwrap().iter().filter(|(_, section)| section.of.is_none()).map(|(name, _)| name.to_owned()).collect();
    let cases = [("all", None), ("none", Some("-"))].into_iter().chain(names.iter().map(|name| (name.as_str(), Some(name.as_str()))));
    for (name, only) in cases {
        let sheet = sheet(only);
        group.bench_function(name, |b| {
            let mut found = Vec::new();
            b.iter_batched(
                || detectors(&sheet),
                |mut detectors| {
                    for record in &records {
                        detectors.advance(record.received_at, &mut found);
                        detectors.apply(record, &mut found);
                    }
                    black_box(found.drain(..).count());
                    detectors
                },
                criterion::BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);

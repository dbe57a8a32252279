//! Compaction: each record once at every step of it, whatever is killed or asked meanwhile; the order it makes; files of the
//! first version; groups against a naive count, with little memory as well.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;

use super::ask::FlowQuestion;
use super::column::{Column, ColumnSet};
use super::compact::Step;
use super::tests::{ALWAYS, T0, all, any_flow, asked, batch, consumer, flow, range, realistic, sites, sorted, tree};
use super::values::Values;
use super::*;
use crate::body::SiteTable;
use crate::events::Value;
use crate::pipeline::Consumer as _;
use crate::query::Pipeline;
use crate::scope::Scope;

const GO_ON: ControlFlow<()> = ControlFlow::Continue(());

fn copy(from: &Path, to: &Path) {
    for name in tree(from) {
        let target = to.join(&name);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(from.join(name), target).unwrap();
    }
}

/// Five files of one hour, and one that is not over.
fn hour(dir: &Path) -> (Arc<FlowStore>, FlowConsumer, Vec<FlowRecord>) {
    let (store, mut writer) = consumer(dir);
    let flows: Vec<FlowRecord> = (1..=400).map(|seq| flow(seq, seq as i64 * 3)).chain([flow(401, 7_300)]).collect();
    writer.apply(&batch(1, 401, flows.clone())).unwrap();
    (store, writer, flows)
}

fn later() -> Timestamp {
    Timestamp(T0 + 2 * Timestamp::HOUR)
}

#[test]
fn a_kill_at_any_step_leaves_each_record_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer, flows) = hour(dir.path());
    writer.flush().unwrap();
    let files = store.compact_due(later()).unwrap();
    let mut steps = Vec::new();
    store
        .compact(&files, &mut |step| {
            let killed = tempfile::tempdir().unwrap();
            copy(dir.path(), killed.path());
            let before = tree(killed.path()).len();
            // Beside it first: that changes nothing.
            let beside = FlowStore::open_beside(killed.path()).unwrap();
            assert_eq!((sorted(&all(&beside)), tree(killed.path()).len()), (sorted(&flows), before), "{step:?}");
            let (again, mut writer) = consumer(killed.path());
            assert_eq!(sorted(&all(&again)), sorted(&flows), "{step:?}");
            // What the journal gives again changes nothing, and it can be done again.
            writer.apply(&batch(1, 401, flows.clone())).unwrap();
            while again.compact_next(later(), &|| false).unwrap().is_some() {}
            assert_eq!(sorted(&all(&again)), sorted(&flows), "{step:?}");
            assert_eq!((tree(killed.path()).len(), again.stats().damaged_files), (2, 0), "{step:?}: {:?}", tree(killed.path()));
            // The store that is at work has each once, too.
            assert_eq!(sorted(&all(&store)), sorted(&flows), "{step:?}");
            steps.push(step);
            GO_ON
        })
        .unwrap();
    assert_eq!(steps, [Step::Begun, Step::Written, Step::Renamed, Step::Replaced]);
    drop(files);
    assert_eq!(tree(dir.path()), ["2026-09-21/14-1.parquet", "2026-09-21/1615-401.parquet"]);
    assert_eq!((store.stats().records, sorted(&all(&FlowStore::open(dir.path()).unwrap()))), (401, sorted(&flows)));
}

#[test]
fn one_that_is_stopped_leaves_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer, flows) = hour(dir.path());
    writer.flush().unwrap();
    let before = tree(dir.path());
    assert_eq!(store.compact_next(later(), &|| true).unwrap(), None);
    assert_eq!((tree(dir.path()), sorted(&all(&store))), (before, sorted(&flows)));
}

#[test]
fn a_question_that_has_begun_reads_the_old_files_to_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer, flows) = hour(dir.path());
    writer.flush().unwrap();
    let view = store.view();
    let done = store.compact_next(later(), &|| false).unwrap().unwrap();
    assert_eq!((done.files, done.records), (5, 400));
    for info in &view.files {
        assert!(info.path.exists());
    }
    assert_eq!((tree(dir.path()).len(), sorted(&all(&store))), (7, sorted(&flows)));
    drop(view);
    assert_eq!(tree(dir.path()).len(), 2);
}

#[test]
fn an_hour_is_compacted_when_it_is_over_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer, _) = hour(dir.path());
    assert!(store.compact_due(Timestamp(T0)).is_none());
    // 14:13 to 14:33; 401 is open and of another hour.
    assert_eq!(store.compact_due(later()).unwrap().len(), 5);
    writer.flush().unwrap();
    assert!(store.compact_next(later(), &|| false).unwrap().is_some());
    assert!(store.compact_due(later()).is_none(), "the last is of an hour that is not over");
    // Late ones of the hour get a file of their own.
    writer.apply(&batch(402, 402, vec![flow(402, 90)])).unwrap();
    writer.flush().unwrap();
    assert!(store.compact_due(later()).is_some_and(|files| files.len() == 1));
}

#[test]
fn a_damaged_file_is_set_aside_and_the_others_are_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer, flows) = hour(dir.path());
    writer.flush().unwrap();
    let path = dir.path().join(&tree(dir.path())[1]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4..40].fill(0xaa);
    std::fs::write(&path, bytes).unwrap();
    for _ in 0..4 {
        store.compact_next(later(), &|| false).unwrap();
    }
    assert_eq!((store.stats().damaged_files, tree(&dir.path().join("quarantine")).len()), (1, 1));
    let left = all(&store);
    assert!(left.len() > 250 && left.iter().all(|flow| flows.contains(flow)), "{}", left.len());
    assert!(store.compact_due(later()).is_none());
}

#[test]
fn a_file_of_the_first_version_reads_as_if_nothing_more_were_known() {
    let dir = tempfile::tempdir().unwrap();
    let flows: Vec<FlowRecord> = (1..=50).map(|seq| flow(seq, seq as i64)).collect();
    let (store, mut writer) = consumer(dir.path());
    writer.apply(&batch(1, 50, flows.clone())).unwrap();
    writer.flush().unwrap();
    drop((store, writer));
    // The same with the columns of then.
    let path = dir.path().join(&tree(dir.path())[0]);
    let metadata = file::inspect(&path).unwrap();
    let old: Vec<Column> = Column::ALL.into_iter().filter(|column| column.is_old()).collect();
    assert_eq!(old.len(), 21);
    let arrays = old.iter().map(|column| {
        let mut values = Values::new(*column, 50);
        values.extend(*column, &flows);
        values.into_array(*column).unwrap()
    });
    let schema = Arc::new(Schema::new(file::SCHEMA.fields()[..21].to_vec()));
    let rows = RecordBatch::try_new(schema.clone(), arrays.collect()).unwrap();
    let span = file::Span { compacted: true, ..metadata.span };
    let mut file =
        ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), schema, Some(file::properties(ColumnSet::NONE, true))).unwrap();
    file.write(&rows).unwrap();
    span.metadata().into_iter().for_each(|entry| file.append_key_value_metadata(entry));
    file.close().unwrap();
    let (store, mut writer) = consumer(dir.path());
    assert_eq!((sorted(&all(&store)), store.stats().damaged_files), (sorted(&flows), 0));
    // Together with new ones in one question, and compacted.
    writer.apply(&batch(51, 51, vec![FlowRecord { nat_src_port: 9, ..flow(51, 60) }])).unwrap();
    writer.flush().unwrap();
    let files = store.view().files;
    store.compact(&files, &mut |_| GO_ON).unwrap();
    let (table, scope) = (sites(), Scope::All);
    let found = asked(&store, "* | count by source.nat.port", &scope, &table, ALWAYS);
    assert_eq!(found.table.rows, [[Value::Missing, Value::Int(50)], [Value::Int(9), Value::Int(1)]]);
}

/// Those with this address at any end.
struct Either(IpAddr);

impl Predicate for Either {
    fn needed(&self) -> ColumnSet {
        ColumnSet::of(&[Column::SrcIp, Column::DstIp])
    }
    fn prune(&self) -> Prune {
        Prune::address(End::Either, self.0)
    }
    fn narrow(&self, chunk: &Chunk<'_>, _sites: &SiteTable, mask: &mut Mask) {
        let octets = column::address_octets(self.0);
        let mut source = mask.clone();
        source.narrow(chunk.addresses(Column::SrcIp), |address| address == octets);
        mask.narrow(chunk.addresses(Column::DstIp), |address| address == octets);
        mask.or(&source);
    }
}

#[test]
fn an_address_is_looked_for_in_few_row_groups() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = consumer(dir.path());
    let flows = realistic(400_000);
    for part in flows.chunk_by(|a, b| a.seq == b.seq) {
        writer.apply(&batch(part[0].seq.0, part[0].seq.0, part.to_vec())).unwrap();
    }
    writer.flush().unwrap();
    while store.compact_next(later(), &|| false).unwrap().is_some() {}
    let (table, scope) = (sites(), Scope::All);
    let mut seen: BTreeMap<IpAddr, usize> = BTreeMap::new();
    flows.iter().for_each(|flow| *seen.entry(flow.dst_ip).or_default() += 1);
    let rare = *seen.iter().find(|(_, times)| **times == 1).unwrap().0;
    let inside = flows[100].src_ip;
    for (address, groups_max) in [(inside, 2), (rare, 2), ("198.51.100.7".parse().unwrap(), 1)] {
        let wanted = flows.iter().filter(|flow| flow.src_ip == address || flow.dst_ip == address).count();
        let filter = Either(address);
        let range = FlowRange { filter: Some(&filter), ..range(&scope, &table) };
        let found = std::sync::atomic::AtomicUsize::new(0);
        let make = || {
            |chunk: &Chunk<'_>| {
                found.fetch_add(chunk.mask().count(), std::sync::atomic::Ordering::Relaxed);
                GO_ON
            }
        };
        let (_, scanned) = store.scan(&range, ColumnSet::of(&[Column::Bytes]), 2, make).unwrap();
        assert_eq!(found.into_inner(), wanted, "{address}");
        assert!(scanned.groups <= groups_max && scanned.groups + scanned.groups_left_out == 7, "{address}: {scanned:?}");
        assert_eq!(store.list(&range, 10_000).unwrap().len(), wanted.min(10_000));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn groups_by_any_fields_equal_a_naive_count(
        flows in proptest::collection::vec(any_flow(), 1..200),
        by in proptest::sample::subsequence(super::value::flow_fields().collect::<Vec<_>>(), 1..4),
        figure in proptest::sample::select(vec!["count", "sum(network.bytes)", "sum(flow.packets_scaled)"]),
        limit in prop_oneof![Just(10_000usize), 1usize..9],
        bytes_max in prop_oneof![Just(0usize), 0usize..300_000, Just(1 << 28)],
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut writer) = consumer(dir.path());
        let flows: Vec<FlowRecord> = (1..).zip(flows).map(|(seq, flow)| FlowRecord { seq: Seq(seq), ..flow }).collect();
        let (now, later) = flows.split_at(flows.len() / 2);
        writer.apply(&batch(1, now.len() as u64, now.to_vec())).unwrap();
        writer.flush().unwrap();
        let files = store.view().files;
        store.compact(&files, &mut |_| GO_ON).unwrap();
        writer.apply(&batch(now.len() as u64 + 1, flows.len() as u64, later.to_vec())).unwrap();
        let (table, scope) = (sites(), Scope::All);
        let names = by.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ");
        for end in [format!(" | sort -{figure} | head {limit}"), String::new()] {
            let pipeline = Pipeline::parse(&format!("* | stats {figure} by {names}{end}"), Timestamp(T0)).unwrap();
            let question = FlowQuestion::new(&pipeline.query, &scope, &table);
            let found = store.ask_within(&question, &pipeline, bytes_max).unwrap();
            let naive = super::ask::naive(&flows, &pipeline, &question);
            prop_assert_eq!(Some(&found.table), naive.as_ref(), "{} by {}", figure, names);
            prop_assert_eq!((found.total.flows, found.partial), (flows.len() as u64, false));
        }
    }
}

#[test]
fn more_groups_than_can_be_counted_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = consumer(dir.path());
    let flows: Vec<FlowRecord> = (1..=60_000u16).map(|port| FlowRecord { dst_port: port, sampling: 10, ..flow(1, 0) }).collect();
    writer.apply(&batch(1, 1, flows)).unwrap();
    let (table, scope) = (sites(), Scope::All);
    let text = "* | stats sum(flow.bytes_scaled) by destination.port | sort -sum(flow.bytes_scaled) | head 5";
    let pipeline = Pipeline::parse(text, Timestamp(T0)).unwrap();
    let found = store.ask_within(&FlowQuestion::new(&pipeline.query, &scope, &table), &pipeline, 0).unwrap();
    assert!(found.partial && found.table.rows.len() == 5);
    let total = found.total;
    assert_eq!((total.flows, total.bytes_scaled, total.packets_scaled), (60_000, 600_000_000, 6_000_000), "the sums are of all");
}

#[test]
fn a_ranking_that_takes_several_walks_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = consumer(dir.path());
    let amount = |port: u16| u64::from(port).wrapping_mul(2_654_435_761) % 100_003;
    let flows: Vec<FlowRecord> = (1..=4_000u16).map(|port| FlowRecord { dst_port: port, bytes: amount(port), ..flow(1, 0) }).collect();
    writer.apply(&batch(1, 1, flows.clone())).unwrap();
    let (table, scope) = (sites(), Scope::All);
    for text in
        ["* | top 7 destination.port by bytes", "* | stats sum(network.bytes) by destination.port | sort -sum(network.bytes) | head 9"]
    {
        let pipeline = Pipeline::parse(text, Timestamp(T0)).unwrap();
        let question = FlowQuestion::new(&pipeline.query, &scope, &table);
        let found = store.ask_within(&question, &pipeline, 0).unwrap();
        assert_eq!(Some(found.table), super::ask::naive(&flows, &pipeline, &question), "{text}");
        assert!(!found.partial && found.records_read > 4_000, "{text}: in one walk");
    }
}

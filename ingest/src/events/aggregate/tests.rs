//! Pipes over the store against the simplest reckoning there is; bounds; and that nobody sees what is another's.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::tests::{DAY0, batch, body, filled, frames, open, query, redecode, site, sites};
use super::*;
use crate::event::ValueRef;
use crate::fields::{FieldId, Kind};
use crate::frame::{Frame, Seq, Transport};
use crate::pipeline::Consumer;
use crate::query::{Function, Measure, Operand, Rank};

fn request(text: &str) -> AggregateRequest {
    AggregateRequest::new(Pipeline::parse(text, Timestamp(DAY0)).unwrap_or_else(|error| panic!("{text}: {error}")), Scope::All, sites())
}

// The oracle.

fn value(field: FieldId, value: ValueRef<'_>) -> Value {
    let text = || Value::Text(value.text().into());
    match field.known().map(|row| row.kind) {
        Some(Kind::Int) => value.as_int().map_or_else(text, Value::Int),
        Some(Kind::Ip) => value.as_ip().map_or_else(text, |ip| Value::Ip(ip.to_canonical())),
        _ => text(),
    }
}

fn values(event: &Event, field: FieldId) -> Vec<Value> {
    let mut all = Vec::new();
    EventRecord { event, sites: &sites() }.any_value(field, &mut |one| {
        all.push(value(field, one));
        false
    });
    all
}

fn different(event: &Event, field: FieldId) -> Vec<Value> {
    let mut all = values(event, field);
    all.sort_by(Value::order);
    all.dedup();
    all
}

/// Every combination of one element of each set.
fn product(sets: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let Some((first, rest)) = sets.split_first() else { return vec![vec![]] };
    let rest = product(rest);
    first.iter().flat_map(|one| rest.iter().map(move |rest| [vec![one.clone()], rest.clone()].concat())).collect()
}

fn figure(measure: &Measure, events: &[&Event]) -> Value {
    let field = match measure.operand {
        None => return Value::Int(events.len() as i64),
        Some(Operand::Time) => {
            let times = events.iter().map(|event| event.timestamp);
            return if measure.function == Function::Min { times.min() } else { times.max() }.map_or(Value::Missing, Value::Time);
        }
        Some(Operand::Field(field)) => field,
    };
    match measure.function {
        Function::Count => return Value::Int(events.iter().filter(|event| !values(event, field).is_empty()).count() as i64),
        Function::Distinct => return distinct(&[field], events),
        _ => {}
    }
    let number = |value: Value| match value {
        Value::Int(number) => Some(number),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    let mut numbers: Vec<i64> = events.iter().flat_map(|event| values(event, field)).filter_map(number).collect();
    numbers.sort_unstable();
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return Value::Missing };
    let rank = |percent: usize| Value::Int(numbers[(numbers.len() * percent).div_ceil(100) - 1]);
    match measure.function {
        Function::Sum => Value::Int(numbers.iter().sum()),
        Function::Min => Value::Int(*first),
        Function::Max => Value::Int(*last),
        Function::Avg => Value::Float(numbers.iter().sum::<i64>() as f64 / numbers.len() as f64),
        Function::Percentile(percent) => rank(percent.into()),
        _ => rank(50),
    }
}

fn distinct(fields: &[FieldId], events: &[&Event]) -> Value {
    let sets = events.iter().flat_map(|event| product(&fields.iter().map(|field| different(event, *field)).collect::<Vec<_>>()));
    let all: BTreeSet<String> = sets.map(|combination| format!("{combination:?}")).collect();
    Value::Int(all.len() as i64)
}

fn by_rows(a: &[Value], b: &[Value], keys: &[(usize, bool)]) -> Ordering {
    for (place, descending) in keys {
        let order = a[*place].order(&b[*place]);
        let missing = a[*place] == Value::Missing || b[*place] == Value::Missing;
        if order.is_ne() {
            return if *descending && !missing { order.reverse() } else { order };
        }
    }
    Ordering::Equal
}

/// The table, from looking at every event as often as it takes.
fn naive(frames: &[Frame], request: &AggregateRequest) -> Table {
    let events: Vec<Event> = frames.iter().filter_map(redecode).collect();
    let seen = |event: &&Event| {
        request.from.is_none_or(|from| event.timestamp >= from)
            && request.to.is_none_or(|to| event.timestamp < to)
            && request.scope.site_allowed(event.site, &request.sites)
            && request.pipeline.query.matches(&EventRecord { event, sites: &request.sites })
    };
    let found: Vec<&Event> = events.iter().filter(seen).collect();
    let stage = request.pipeline.aggregation().unwrap();
    let mut groups: BTreeMap<String, (Vec<Value>, Vec<&Event>)> = BTreeMap::new();
    for event in &found {
        let mut sets: Vec<Vec<Value>> = stage.by().iter().map(|field| different(event, *field)).collect();
        if !matches!(stage, Stage::Top { .. } | Stage::Rare { .. }) {
            sets.iter_mut().filter(|set| set.is_empty()).for_each(|set| set.push(Value::Missing));
        }
        if let Stage::Histogram { width, .. } = stage {
            sets.insert(0, vec![Value::Time(width.bar(event.timestamp).0)]);
        }
        for keys in product(&sets) {
            groups.entry(format!("{keys:?}")).or_insert_with(|| (keys, vec![])).1.push(event);
        }
    }
    if groups.is_empty() && stage.by().is_empty() && !matches!(stage, Stage::Histogram { .. }) {
        groups.insert(String::new(), (vec![], vec![]));
    }
    let count = Measure { function: Function::Count, operand: None };
    let figures = |events: &[&Event]| match stage {
        Stage::Top { rank: Rank::Sum(operand), .. } => vec![figure(&Measure { function: Function::Sum, operand: Some(*operand) }, events)],
        Stage::Distinct { fields, .. } => vec![distinct(fields, events)],
        Stage::Stats { measures, .. } => measures.iter().map(|measure| figure(measure, events)).collect(),
        _ => vec![figure(&count, events)],
    };
    let mut rows: Vec<Vec<Value>> = groups.into_values().map(|(keys, events)| [keys, figures(&events)].concat()).collect();
    let last = stage.columns().len() - 1;
    let keys: Vec<(usize, bool)> = (0..last).map(|place| (place, false)).collect();
    let ranked = |descending| [vec![(last, descending)], keys.clone()].concat();
    let (order, limit) = match stage {
        Stage::Top { rows, .. } => (ranked(true), *rows),
        Stage::Rare { rows, .. } => (ranked(false), *rows),
        Stage::Count { .. } | Stage::Distinct { .. } => (ranked(true), usize::MAX),
        Stage::Stats { by, .. } => ((0..by.len()).map(|place| (place, false)).collect(), usize::MAX),
        _ => (keys, usize::MAX),
    };
    rows.sort_by(|a, b| by_rows(a, b, &order));
    rows.truncate(limit);
    let mut columns = stage.columns();
    for stage in &request.pipeline.stages[1..] {
        let place = |name: &str| columns.iter().position(|column| column.name == *name).unwrap();
        match stage {
            Stage::Sort(sorted) => {
                let keys: Vec<_> = sorted.iter().map(|key| (place(&key.column), key.descending)).collect();
                rows.sort_by(|a, b| by_rows(a, b, &keys));
            }
            Stage::Head(limit) => rows.truncate(*limit),
            Stage::Fields(names) => {
                let places: Vec<usize> = names.iter().map(|name| place(name)).collect();
                rows = rows.iter().map(|row| places.iter().map(|place| row[*place].clone()).collect()).collect();
                columns = places.iter().map(|place| columns[*place].clone()).collect();
            }
            _ => unreachable!(),
        }
    }
    Table { columns, rows, partial: false, other: 0 }
}

/// Histograms without `by` also have their empty bars, which the oracle has not.
fn without_empty_bars(mut table: Table, pipeline: &Pipeline) -> Table {
    if matches!(pipeline.aggregation(), Some(Stage::Histogram { by, .. }) if by.is_empty()) {
        table.rows.retain(|row| row.last() != Some(&Value::Int(0)));
    }
    table
}

fn compare(store: &EventStore, frames: &[Frame], request: &AggregateRequest) -> Result<(), TestCaseError> {
    let result = store.aggregate(request).unwrap();
    let label = format!("{} {:?} {:?}..{:?}", request.pipeline, request.scope, request.from, request.to);
    prop_assert!(!result.partial && result.damaged.is_empty(), "{}", &label);
    prop_assert_eq!(without_empty_bars(result.table, &request.pipeline), naive(frames, request), "{}", label);
    Ok(())
}

fn stages() -> impl Strategy<Value = String> {
    const FIELDS: &[&str] = &[
        "site",
        "user.name",
        "source.ip",
        "source.port",
        "destination.port",
        "event.code",
        "event.action",
        "host.name",
        "process.command_line",
        "vendor.rule",
        "vendor..x",
        "message",
        "observer.ip",
        "dns.resolved_ip",
    ];
    for name in ["vendor.rule", "vendor..x", "vendor.none"] {
        FieldId::intern(name).unwrap();
    }
    let field = || prop::sample::select(FIELDS.to_vec());
    let list = |max| prop::sample::subsequence(FIELDS.to_vec(), 1..=max).prop_map(|fields| fields.join(", "));
    let by = move || prop_oneof![1 => Just(String::new()), 3 => list(3).prop_map(|fields| format!(" by {fields}"))];
    let number = || prop::sample::select(vec!["source.port", "destination.port", "vendor.rule", "vendor.none", "process.pid"]);
    let measure = move || {
        prop_oneof![
            ("(sum|min|max|avg|median|p1|p50|p95|p99)", number()).prop_map(|(name, field)| format!("{name}({field})")),
            ("(dc|count)", field()).prop_map(|(name, field)| format!("{name}({field})")),
            "(min|max)\\(@timestamp\\)",
            Just("count".to_owned()),
        ]
    };
    let measures = prop::collection::btree_set(measure(), 1..4).prop_map(|all| all.into_iter().collect::<Vec<_>>().join(", "));
    let width = prop::sample::select(vec!["1h", "6h", "1d", "7d"]);
    let last = prop_oneof![
        by().prop_map(|by| (format!("count{by}"), "count".to_owned())),
        (1usize..6, field()).prop_map(|(n, field)| (format!("top {n} {field}"), "count".to_owned())),
        (1usize..6, field(), number()).prop_map(|(n, field, of)| (format!("top {n} {field} by sum({of})"), format!("sum({of})"))),
        (1usize..6, field()).prop_map(|(n, field)| (format!("rare {n} {field}"), "count".to_owned())),
        (list(2), by()).prop_map(|(fields, by)| (format!("distinct {fields}{by}"), "distinct".to_owned())),
        (measures, measure(), by()).prop_map(|(all, one, by)| {
            let all = if all.split(", ").any(|known| known == one) { all } else { format!("{all}, {one}") };
            (format!("stats {all}{by}"), one)
        }),
        (width, by()).prop_map(|(width, by)| (format!("histogram {width}{by}"), "count".to_owned())),
    ];
    let shape = prop_oneof![
        2 => Just(String::new()),
        1 => Just(" | sort -COLUMN".to_owned()),
        1 => (1usize..9).prop_map(|n| format!(" | sort COLUMN | head {n}")),
        1 => (1usize..9).prop_map(|n| format!(" | head {n} | fields COLUMN")),
    ];
    (last, shape).prop_map(|((stage, column), shape)| format!("{stage}{}", shape.replace("COLUMN", &column)))
}

fn requests(count: usize) -> impl Strategy<Value = Vec<AggregateRequest>> {
    let scope = prop_oneof![
        3 => Just(Scope::All),
        2 => Just(Scope::Bodies(vec![body(1)])),
        1 => Just(Scope::Bodies(vec![])),
    ];
    let bound = prop::option::weighted(0.2, prop::sample::select(vec![-1, 1, 2, 5_000, Timestamp::DAY, 4 * Timestamp::DAY]));
    let query = prop_oneof![1 => Just("*".to_owned()), 2 => query()];
    let one = (query, stages(), scope, bound.clone(), bound).prop_map(|(query, stages, scope, a, b)| {
        let (from, to) = match (a, b) {
            (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b))),
            open => open,
        };
        let moment = |offset: Option<i64>| offset.map(|offset| Timestamp(DAY0 + offset));
        AggregateRequest { from: moment(from), to: moment(to), scope, ..request(&format!("{query} | {stages}")) }
    });
    prop::collection::vec(one, count)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn a_pipe_equals_the_naive_reckoning(frames in frames(900), cuts in prop::collection::vec(0usize..900, 1..4), requests in requests(120)) {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut consumer) = open(dir.path());
        let mut cuts: BTreeSet<usize> = cuts.into_iter().collect();
        cuts.insert(frames.len());
        let mut start = 0;
        for cut in cuts {
            // What came before is on disk, what comes now in memory.
            if cut > start {
                consumer.flush().unwrap();
                consumer.apply(&batch(&frames[start..cut])).unwrap();
            }
            start = cut;
        }
        for request in &requests {
            compare(&store, &frames, request)?;
        }
    }

    /// What a municipality is told is what it would be told if the others did not exist.
    #[test]
    fn a_table_tells_nothing_of_another_tenant(frames in frames(300), requests in requests(60)) {
        let own: Vec<Frame> = frames.iter().filter(|frame| frame.frame.site == site(1)).cloned().collect();
        let (all_dir, own_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ((all, mut all_in), (alone, mut own_in)) = (open(all_dir.path()), open(own_dir.path()));
        for (consumer, frames) in [(&mut all_in, &frames), (&mut own_in, &own)] {
            let (disk, memory) = frames.split_at(frames.len() / 2);
            consumer.apply(&batch(disk)).unwrap();
            consumer.flush().unwrap();
            consumer.apply(&batch(memory)).unwrap();
        }
        for request in requests {
            let mine = AggregateRequest { scope: Scope::Bodies(vec![body(1)]), ..request.clone() };
            let (seen, expected) = (all.aggregate(&mine).unwrap(), alone.aggregate(&AggregateRequest { scope: Scope::All, ..request }).unwrap());
            prop_assert_eq!((seen.total, seen.table), (expected.total, expected.table), "{}", &mine.pipeline);
        }
    }

    #[test]
    fn parts_merge_to_the_whole(frames in frames(80), cut in 0usize..80, stages in stages()) {
        let pipeline = Pipeline::parse(&format!("* | {stages}"), Timestamp(DAY0)).unwrap();
        let events: Vec<Event> = frames.iter().filter_map(redecode).collect();
        let of = |events: &[Event]| {
            let mut all = Accumulator::new(&pipeline).unwrap();
            events.iter().for_each(|event| all.add(&EventRecord { event, sites: &sites() }));
            all
        };
        let mut merged = of(&events[..cut]);
        merged.merge(of(&events[cut..]));
        prop_assert_eq!(merged.finish(None), of(&events).finish(None));
    }
}

fn shown(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let row = |row: &Vec<Value>| row.iter().map(Value::text).collect::<Vec<_>>().join(" | ") + "\n";
    format!("{}\n", names.join(" | ")) + &table.rows.iter().map(row).collect::<String>()
}

fn check(store: &EventStore, text: &str, table: &Expect) {
    table.assert_eq(&shown(&store.aggregate(&request(text)).unwrap().table));
}

#[test]
fn what_analysts_ask() {
    let dir = tempfile::tempdir().unwrap();
    let at = |minute: i64| DAY0 + 10 * Timestamp::HOUR + minute * Timestamp::MINUTE;
    let line = |minute: i64, user: &str, ip: &str, bytes: i64, text: &str| {
        format!("t={}\tuser.name={user}\tsource.ip={ip}\tnetwork.bytes={bytes}\tprocess.name=sshd\t{text}", at(minute))
    };
    let store = filled(
        dir.path(),
        &[
            line(0, "root", "192.0.2.1", 100, "Failed password for root from 192.0.2.1"),
            line(1, "root", "192.0.2.2", 300, "Failed password for root from 192.0.2.2"),
            line(70, "anna", "192.0.2.1", 50, "Accepted password for anna from 192.0.2.1"),
            line(200, "root", "192.0.2.1", 900, "Failed password for root from 192.0.2.1"),
            format!("t={}\tno user here", at(201)),
        ],
    );
    check(
        &store,
        "* | count by user.name",
        &expect![[r#"
        user.name | count
        root | 3
        anna | 1
         | 1
    "#]],
    );
    check(
        &store,
        "failed | count",
        &expect![[r#"
        count
        3
    "#]],
    );
    check(
        &store,
        "nothing | count",
        &expect![[r#"
        count
        0
    "#]],
    );
    check(
        &store,
        "nothing | stats count, sum(network.bytes), dc(user.name)",
        &expect![[r#"
        count | sum(network.bytes) | dc(user.name)
        0 |  | 0
    "#]],
    );
    check(
        &store,
        "* | top 1 source.ip by sum(network.bytes)",
        &expect![[r#"
        source.ip | sum(network.bytes)
        192.0.2.1 | 1050
    "#]],
    );
    check(
        &store,
        "* | rare user.name",
        &expect![[r#"
        user.name | count
        anna | 1
        root | 3
    "#]],
    );
    check(
        &store,
        "* | distinct source.ip by user.name",
        &expect![[r#"
        user.name | distinct
        root | 2
        anna | 1
         | 0
    "#]],
    );
    check(
        &store,
        "* | stats avg(network.bytes), p95(network.bytes), min(@timestamp) by user.name",
        &expect![[r#"
        user.name | avg(network.bytes) | p95(network.bytes) | min(@timestamp)
        anna | 50.00 | 50 | 2024-10-04T11:10:00.000Z
        root | 433.33 | 900 | 2024-10-04T10:00:00.000Z
         |  |  | 2024-10-04T13:21:00.000Z
    "#]],
    );
    check(
        &store,
        "* | histogram 1h",
        &expect![[r#"
        @timestamp | count
        2024-10-04T10:00:00.000Z | 2
        2024-10-04T11:00:00.000Z | 1
        2024-10-04T12:00:00.000Z | 0
        2024-10-04T13:00:00.000Z | 2
    "#]],
    );
    check(
        &store,
        "* | histogram 1h by user.name | fields user.name, count",
        &expect![[r#"
        user.name | count
        root | 2
        anna | 1
        root | 1
         | 1
    "#]],
    );
    check(
        &store,
        "* | patterns",
        &expect![[r#"
        process.name | pattern | count | first | last | example
        sshd | Failed password for root from <*> | 3 | 2024-10-04T10:00:00.000Z | 2024-10-04T13:20:00.000Z | Failed password for root from 192.0.2.1
         | no user here | 1 | 2024-10-04T13:21:00.000Z | 2024-10-04T13:21:00.000Z | no user here
        sshd | Accepted password for anna from <*> | 1 | 2024-10-04T11:10:00.000Z | 2024-10-04T11:10:00.000Z | Accepted password for anna from 192.0.2.1
    "#]],
    );
    check(
        &store,
        "password | fields @timestamp, user.name, message | head 2",
        &expect![[r#"
        @timestamp | user.name | message
        2024-10-04T13:20:00.000Z | root | Failed password for root from 192.0.2.1
        2024-10-04T11:10:00.000Z | anna | Accepted password for anna from 192.0.2.1
    "#]],
    );
    check(
        &store,
        "* | sort network.bytes | fields network.bytes, user.name",
        &expect![[r#"
        network.bytes | user.name
        50 | anna
        100 | root
        300 | root
        900 | root
         | 
    "#]],
    );
    let day = AggregateRequest {
        from: Some(Timestamp(at(-60))),
        to: Some(Timestamp(at(61))),
        ..request("@timestamp:>2024-10-04T10:30Z | histogram 1h")
    };
    expect![[r#"
        @timestamp | count
        2024-10-04T09:00:00.000Z | 0
        2024-10-04T10:00:00.000Z | 0
        2024-10-04T11:00:00.000Z | 0
    "#]]
    .assert_eq(&shown(&store.aggregate(&day).unwrap().table));
}

#[test]
fn beyond_the_groups_the_held_ones_stay_whole_and_the_rest_is_other() {
    let pipeline = Pipeline::parse("* | count by user.name", Timestamp(0)).unwrap();
    let mut all = Accumulator::new(&pipeline).unwrap();
    let mut add = |n: usize| {
        let mut event = Event::new(Seq(0), Timestamp(0), site(1), Ipv4Addr::LOCALHOST.into(), Transport::Udp, b"x");
        event.push_text(fields::USER_NAME, format!("u{n}"));
        all.add(&EventRecord { event: &event, sites: &sites() });
    };
    (0..GROUPS_MAX + 7).for_each(&mut add);
    (0..5).for_each(&mut add);
    add(GROUPS_MAX + 1);
    let table = all.finish(None);
    assert_eq!((table.rows.len(), table.other, table.partial), (GROUPS_MAX, 8, true));
    assert_eq!(table.rows[4], [Value::Text("u4".into()), Value::Int(2)]);
    assert_eq!(table.rows[5].last(), Some(&Value::Int(1)));
}

#[test]
fn long_values_fill_the_room_before_the_groups() {
    let pipeline = Pipeline::parse("* | count by file.path", Timestamp(0)).unwrap();
    let mut all = Accumulator::new(&pipeline).unwrap();
    for n in 0..1_200 {
        let mut event = Event::new(Seq(0), Timestamp(0), site(1), Ipv4Addr::LOCALHOST.into(), Transport::Udp, b"x");
        event.push_text(fields::FILE_PATH, format!("{n}{}", "x".repeat(60_000)));
        all.add(&EventRecord { event: &event, sites: &sites() });
    }
    let table = all.finish(None);
    assert!(table.partial && table.rows.len() < 700, "{}", table.rows.len());
    assert_eq!(table.rows.len() as u64 + table.other, 1_200);
}

#[test]
fn a_histogram_has_a_bound_on_its_bars() {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..2_100).map(|n| format!("t={}\thello", DAY0 + n * 2_000)).collect();
    let store = filled(dir.path(), &lines);
    let result = store.aggregate(&request("* | histogram 1s")).unwrap();
    assert_eq!((result.table.rows.len(), result.table.other, result.partial, result.total), (BARS_MAX, 100, true, 2_100));
    assert!(!store.aggregate(&request("* | histogram 1m")).unwrap().partial);
}

#[test]
fn a_damaged_partition_is_named_and_the_rest_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..3).map(|day| format!("t={}\tuser.name=u{day}\thello", DAY0 + day * Timestamp::DAY)).collect();
    drop(filled(dir.path(), &lines));
    for file in std::fs::read_dir(dir.path().join("standard/2024-10-05")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "fast") {
            std::fs::write(file, b"broken").unwrap();
        }
    }
    let (store, _consumer) = open(dir.path());
    let result = store.aggregate(&request("* | count by user.name")).unwrap();
    assert_eq!((result.damaged.as_slice(), result.table.rows.len()), (&["standard/2024-10-05".to_owned()][..], 2));
    let reversed = AggregateRequest { from: Some(Timestamp(2)), to: Some(Timestamp(1)), ..request("* | count") };
    assert!(matches!(store.aggregate(&reversed), Err(SearchError::Reversed)));
}

/// Nobody waits any more while the columns are being counted.
struct Leaves<T>(T, Cancel);

impl<T: Collect> Collect for Leaves<T> {
    fn total(&self) -> u64 {
        self.0.total()
    }
    fn add_columns(&mut self, strand: &Strand<'_>, docs: &Docs, sites: &SiteTable, deadline: &Deadline) -> tantivy::Result<()> {
        self.1.cancel();
        self.0.add_columns(strand, docs, sites, deadline)
    }
    fn add_event(&mut self, event: &Event, sites: &SiteTable) {
        self.0.add_event(event, sites);
    }
}

#[test]
fn counting_ends_when_nobody_waits_for_it_and_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..500).map(|n| format!("t={}\tuser.name=u{n}\thello", DAY0 + n)).collect();
    let store = filled(dir.path(), &lines);
    let asked = request("hello | count by user.name");
    for of_groups in [true, false] {
        let search = SearchRequest { cancel: Cancel::default(), ..asked.search() };
        let (mut groups, mut tally);
        let collect: &mut dyn Collect = if of_groups {
            groups = Leaves(Accumulator::new(&asked.pipeline).unwrap(), search.cancel.clone());
            &mut groups
        } else {
            tally = Leaves(super::super::tally::Tally::new(&search), search.cancel.clone());
            &mut tally
        };
        let walked = walk(&store.snapshot(), &store.redecode, &search, collect, &mut |_| ()).unwrap();
        assert!(walked.partial && walked.damaged.is_empty(), "{of_groups}");
        assert_eq!(collect.total() > 0, !of_groups, "a chunk of groups is not begun, a summary not ended");
    }
    // The store itself is sound, and says how far it is until it is ended.
    let mut looks = 0;
    let ended = request("hello | count by user.name");
    let result = store.aggregate_with(&ended, &mut |_| {
        looks += 1;
        ended.cancel.cancel();
    });
    let result = result.unwrap();
    assert!(looks == 1 && result.partial && result.damaged.is_empty() && (1..500).contains(&result.total), "{}", result.total);
    assert_eq!(store.aggregate(&request("hello | count by user.name")).unwrap().total, 500);
}

/// What hostile pipes are answered: a refusal, or how many rows.
fn answer(text: &str, range: (i64, i64), expected: &Expect) {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..40).map(|n| format!("t={}\tuser.name=u{n}\tsource.ip=10.0.0.{n}\thello w{n}", DAY0 + n)).collect();
    let store = filled(dir.path(), &lines);
    expected.assert_eq(&match Pipeline::parse(text, Timestamp(DAY0)) {
        Err(error) => error.to_string(),
        Ok(pipeline) => {
            let all = AggregateRequest::new(pipeline, Scope::All, sites());
            let asked = AggregateRequest { from: Some(Timestamp(range.0)), to: Some(Timestamp(range.1)), ..all };
            let result = store.aggregate(&asked).unwrap();
            format!("{} rows of {}, partial: {}", result.table.rows.len(), result.total, result.partial)
        }
    });
}

#[test]
fn hostile_pipes() {
    const YEAR_2106: i64 = 4_294_967_296_000;
    let open = (i64::MIN, i64::MAX);
    answer(
        &format!("*{}", " | head 1".repeat(10_000)),
        open,
        &expect!["Die Suche ist länger als 8192 Zeichen. Bitte teilen Sie sie in mehrere Suchen. (Stelle 8192)"],
    );
    answer(&format!("*{}", "|head 1".repeat(900)), open, &expect!["Mehr als 8 Schritte. Bitte lassen Sie einige weg. (Stelle 58)"]);
    answer(
        &"|".repeat(8_000),
        open,
        &expect![
            "Nach „|“ fehlt ein Schritt, zum Beispiel count by site. Das Zeichen „|“ selbst suchen Sie in Anführungszeichen. (Stelle 1)"
        ],
    );
    answer("* | head 99999999999999999999", open, &expect!["Die Zahl der Zeilen liegt zwischen 1 und 100000. (Stelle 9)"]);
    answer("* | top 4294967296 user.name", open, &expect!["Die Zahl der Zeilen liegt zwischen 1 und 100000. (Stelle 8)"]);
    answer("* | head 100000", open, &expect!["40 rows of 40, partial: false"]);
    answer(
        &format!("* | count by site{}", ", user.name".repeat(700)),
        open,
        &expect!["Das Feld „user.name“ steht hier schon. (Stelle 30)"],
    );
    answer(
        &format!("* | stats {}count", (1..99).map(|n| format!("p{n}(source.port), ")).collect::<String>()),
        open,
        &expect!["Mehr als 8 Kennwerte. Bitte lassen Sie einige weg. (Stelle 146)"],
    );
    answer(
        &format!("* | sort {}site", "-user.name, ".repeat(600)),
        open,
        &expect!["Mehr als 32 Spalten. Bitte lassen Sie einige weg. (Stelle 393)"],
    );
    answer(&format!("* | count by {}", "x".repeat(8_000)), open, &expect!["Feldnamen haben höchstens 128 Zeichen. (Stelle 13)"]);
    answer(
        &format!("* | {}", "x".repeat(8_000)),
        open,
        &expect![
            "Den Schritt „xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…“ gibt es nicht. Möglich sind: count, top, rare, distinct, stats, histogram, patterns, sort, head, fields. (Stelle 4)"
        ],
    );
    answer(
        &format!("* | stats {}", "x".repeat(8_000)),
        open,
        &expect![
            "Den Kennwert „xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…“ gibt es nicht. Möglich sind count, sum, min, max, avg, median, p1 bis p99 und dc. (Stelle 10)"
        ],
    );
    answer(
        &format!("* | histogram {}", "9".repeat(8_000)),
        open,
        &expect![
            "„9999999999999999999999999999999999999999…“ ist keine Breite, zum Beispiel 1m, 15m, 1h, 6h, 1d oder 1w. Ab einem Tag sind es ganze Tage, höchstens 366. (Stelle 14)"
        ],
    );
    answer("* | histogram 1s", (0, YEAR_2106), &expect!["1 rows of 40, partial: false"]);
    answer("* | histogram 1d", (0, YEAR_2106), &expect!["1 rows of 40, partial: false"]);
    answer("* | histogram 366d", open, &expect!["1 rows of 40, partial: false"]);
    answer("@timestamp:1970-01-01 | histogram 1s", (0, YEAR_2106), &expect!["0 rows of 0, partial: false"]);
    answer("@timestamp:2106-02-07 | count by user.name", (0, YEAR_2106), &expect!["0 rows of 0, partial: false"]);
    answer("@timestamp:[1970-01-01 TO 2106-02-07] | count", (0, YEAR_2106), &expect!["1 rows of 40, partial: false"]);
    answer("@timestamp:>now-4294967295w | count", open, &expect!["1 rows of 40, partial: false"]);
    answer("@timestamp:>now+4294967295w | count", open, &expect!["1 rows of 0, partial: false"]);
    answer(
        "@timestamp:>now-99999999999w | count",
        open,
        &expect![
            "@timestamp erwartet eine Zeit, zum Beispiel @timestamp:>now-24h, @timestamp:2026-11-21 oder @timestamp:[2026-11-21T14:00 TO now]. (Stelle 11)"
        ],
    );
    answer(
        "* | distinct user.name, source.ip, site, host.name by event.action, event.code, observer.ip, message",
        open,
        &expect!["40 rows of 40, partial: false"],
    );
    answer("*u*1* OR *a*b*c* OR source.ip:* | rare 100000 message", open, &expect!["40 rows of 40, partial: false"]);
}

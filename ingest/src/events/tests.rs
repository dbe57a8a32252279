//! The store as a whole: against a naive scan, over crashes, pages, scopes and damage.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::body::{BodyId, Site, SiteId};
use crate::event::Defect;
use crate::frame::{FrameKind, Marks, NewFrame, Transport};
use crate::pipeline::{Batch, Consumer};
use crate::record::{EventRecord, Record};

pub(super) const DAY0: i64 = 20_000 * Timestamp::DAY;

/// A decoder for tests: `t=…` (time), `m=…` (bytes by which the message begins later), `!defect`, `field=value`, all
/// separated by tabs; the last part is the message.
pub(super) fn redecode(frame: &Frame) -> Option<Event> {
    let inner = &frame.frame;
    let mut event = Event::new(frame.seq, inner.received_at, inner.site, inner.peer, inner.transport, &inner.payload);
    let line = event.line().to_owned();
    let mut at = 0;
    let mut skip = 0;
    let last = line.split('\t').count() - 1;
    for (n, part) in line.split('\t').enumerate() {
        let range = at..at + part.len();
        at = range.end + 1;
        if let Some(defect) = part.strip_prefix('!') {
            Defect::ALL.into_iter().filter(|known| known.name() == defect).for_each(|known| event.defects.add(known));
        }
        match part.split_once('=').filter(|_| n < last) {
            Some(("t", time)) => event.timestamp = Timestamp(time.parse().unwrap()),
            Some(("m", bytes)) => skip = bytes.parse().unwrap(),
            // A dot of the strategies may be any character, a tab and an equals sign among them.
            Some(("", _)) => {}
            Some((name, _)) => event.push_slice(FieldId::intern(name).unwrap(), range.start + name.len() + 1..range.end),
            None => event.set_message((range.start + skip).min(range.end)..range.end),
        }
    }
    Some(event)
}

pub(super) fn site(n: u128) -> SiteId {
    SiteId(crate::id::Ulid(n))
}

pub(super) fn body(n: u128) -> BodyId {
    BodyId(crate::id::Ulid(100 + n))
}

/// Sites 1 and 2 belong to bodies 1 and 2; 9 is in no table.
pub(super) fn sites() -> Arc<SiteTable> {
    let one = |n: u128| Site {
        id: site(n),
        name: format!("Rathaus-{n}"),
        body: Some(body(n)),
        prefixes: vec![],
        certificates: vec![],
        tokens: vec![],
    };
    Arc::new(SiteTable::new(vec![one(1), one(2)]))
}

pub(super) fn frame(seq: u64, of: u128, line: &str) -> Frame {
    let (peer, payload) = (Ipv4Addr::new(10, 0, 0, of as u8).into(), line.as_bytes().into());
    let received_at = Timestamp(DAY0 + 3 * Timestamp::DAY);
    Frame {
        seq: Seq(seq),
        frame: NewFrame {
            received_at,
            site: site(of),
            peer,
            transport: Transport::Udp,
            kind: FrameKind::Line,
            marks: Marks::default(),
            payload,
        },
    }
}

pub(super) fn batch(frames: &[Frame]) -> Batch {
    let seq = |frame: Option<&Frame>| frame.map_or(Seq(0), |frame| frame.seq);
    let events = frames.iter().filter_map(redecode).collect();
    Batch { first: seq(frames.first()), last: seq(frames.last()), events, frames: frames.to_vec(), sites: sites(), ..Batch::default() }
}

pub(super) fn open(dir: &Path) -> (Arc<EventStore>, EventConsumer) {
    let store = EventStore::open(dir, |frame, _| redecode(frame)).unwrap();
    let consumer = EventConsumer::new(store.clone()).unwrap();
    (store, consumer)
}

pub(super) fn request(query: &str) -> SearchRequest {
    SearchRequest::new(Query::parse_fixed(query).unwrap(), Scope::All, sites())
}

pub(super) fn seqs(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.seq.0).collect()
}

/// What the store must say, from looking at every event.
pub(super) struct Naive<'a>(pub(super) &'a [Frame]);

impl Naive<'_> {
    pub(super) fn found(&self, request: &SearchRequest) -> Vec<Event> {
        let seen = |event: &Event| {
            request.from.is_none_or(|from| event.timestamp >= from)
                && request.to.is_none_or(|to| event.timestamp < to)
                && request.scope.site_allowed(event.site, &request.sites)
                && request.query.matches(&EventRecord { event, sites: &request.sites })
        };
        let mut found: Vec<Event> = self.0.iter().filter_map(redecode).filter(seen).collect();
        found.sort_by_key(|event| std::cmp::Reverse((event.timestamp, event.seq)));
        found
    }

    fn top(found: &[Event], field: FieldId) -> Vec<(String, u64)> {
        let mut counts: HashMap<String, u64> = HashMap::new();
        for event in found {
            let mut values = BTreeSet::new();
            EventRecord { event, sites: &sites() }.any_value(field, &mut |value| {
                let text = match field {
                    fields::SOURCE_IP => value.as_ip().map(|ip| ip.to_canonical().to_string()),
                    _ => Some(value.text().into_owned()).filter(|text| text.len() <= schema::VALUE_BYTES_MAX),
                };
                values.extend(text);
                false
            });
            values.into_iter().for_each(|value| *counts.entry(value).or_default() += 1);
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts.truncate(TOP_VALUES);
        counts
    }
}

fn compare(store: &EventStore, frames: &[Frame], request: &SearchRequest) -> Result<(), TestCaseError> {
    let naive = Naive(frames).found(request);
    let result = store.search(request).unwrap();
    let label = format!("{} {:?}", request.query, request.scope);
    prop_assert_eq!(result.total, naive.len() as u64, "{}", &label);
    prop_assert_eq!(seqs(&result.hits), seqs(&naive[..naive.len().min(request.limit)]), "{}", &label);
    prop_assert!(!result.partial && result.damaged.is_empty());
    prop_assert_eq!(result.histogram.counts.iter().sum::<u64>(), result.total, "{}", &label);
    for (field, values) in &result.top {
        prop_assert_eq!(values, &Naive::top(&naive, *field), "{} {}", &label, field.name());
    }
    prop_assert_eq!(result.top.len(), TOP_FIELDS.len());
    let plain = store.search(&SearchRequest { tops: false, ..request.clone() }).unwrap();
    prop_assert_eq!((plain.total, &plain.histogram, plain.top), (result.total, &result.histogram, vec![]), "{}", &label);
    // Page by page each hit comes exactly once, with and without a summary on the way.
    let mut pages = Vec::new();
    let mut page = SearchRequest { limit: 7, ..request.clone() };
    loop {
        let result = store.search(&page).unwrap();
        pages.extend(seqs(&result.hits));
        prop_assert_eq!(result.total, if page.summary { naive.len() as u64 } else { 0 });
        page.summary = pages.len() % 2 == 0;
        let Some(next) = result.next else { break };
        prop_assert!(!result.hits.is_empty());
        page.before = Some(next.to_string().parse().unwrap());
    }
    prop_assert_eq!(pages, seqs(&naive), "{}", label);
    Ok(())
}

fn line() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        "user.name=(root|ROOT|Müller|MÜLLER|max muster|u[0-9])".boxed(),
        "source.ip=(10\\.0\\.0\\.[0-9]|192\\.0\\.2\\.1|fe80::[0-9]|FE80::1|::ffff:10\\.0\\.0\\.1|kaputt)".boxed(),
        "source.port=(22|443|0443|-1|ssh)".boxed(),
        "destination.port=(22|443|0443|x)".boxed(),
        "event.code=(4624|4625|x1)".boxed(),
        "event.action=(login|Logout)".boxed(),
        "host.name=(dc|DC|web-[12])".boxed(),
        "process.command_line=(cmd|CMD /c|net user [ab])".boxed(),
        "vendor.rule=(12|deny|Deny|10\\.0\\.0\\.1|10\\.0\\.0\\.0/8)".boxed(),
        "vendor.odd name=(a|b)".boxed(),
        "vendor..x=(a|b)".boxed(),
        "!(no_header|bad_json)".boxed(),
        Just(format!("user.name={}", "x".repeat(2_000))).boxed(),
        Just(format!("process.command_line={}", "y".repeat(2_000))).boxed(),
        "m=[0-3]".boxed(),
    ];
    let message = "((failed|Failed|login|10\\.0\\.0\\.1|üÜ|İx|a-b|user=|[abc]{70}|:)( |-)?){0,5}";
    // Few moments, so that equal times are frequent; some far off, which are filed by receipt.
    let moments =
        [0, 1, 2, 5_000, Timestamp::DAY - 1, Timestamp::DAY, 2 * Timestamp::DAY, 3 * Timestamp::DAY + 7, -DAY0, 90_000 * Timestamp::DAY];
    (prop::sample::select(moments.to_vec()), prop::collection::vec(field, 0..6), message)
        .prop_map(|(time, fields, message)| format!("t={}\t{}\t{message}", DAY0 + time, fields.join("\t")))
}

pub(super) fn frames(count: usize) -> impl Strategy<Value = Vec<Frame>> {
    let one = (prop::sample::select(vec![1u128, 2, 9]), line());
    prop::collection::vec(one, count).prop_map(|lines| (1..).zip(lines).map(|(seq, (of, line))| frame(seq, of, &line)).collect())
}

const TERMS: &[&str] = &[
    "failed",
    "Login",
    "fail*",
    "*in",
    "10.0.0.1",
    "\"failed login\"",
    "\"failed-login\"",
    "üü",
    "i\u{307}x",
    "x",
    "a-b",
    "*a*b*",
    "?????",
    "\": \"",
    "*",
    "\"user=\"",
    "root",
    "user.name:root",
    "user.name:müller",
    "user.name:\"max muster\"",
    "user.name:u*",
    "user.name:xx*",
    "user.name:*",
    "user.name:>=0",
    "source.ip:10.0.0.1",
    "source.ip:10.0.0.0/30",
    "source.ip:0.0.0.0/0",
    "source.ip:::/0",
    "source.ip:fe80::1",
    "source.ip:kap*",
    "source.ip:10.*",
    "source.ip:*",
    "source.ip:[10.0.0.2 TO 10.0.0.5]",
    "source.port:443",
    "source.port:>=23",
    "source.port:*4*",
    "source.port:*",
    "source.port:<0",
    "destination.port:443",
    "destination.port:[1 TO 100]",
    "destination.port:4*",
    "destination.port:*",
    "event.code:4624..4625",
    "event.code:>4624",
    "event.action:LOGIN",
    "process.command_line:cmd",
    "process.command_line:*USER*",
    "process.command_line:y*",
    "process.command_line:*",
    "vendor.rule:deny",
    "vendor.rule:10.0.0.0/8",
    "vendor.rule:>=12",
    "vendor.rule:*",
    "vendor..x:a",
    "vendor..x:*",
    "_defect:no_header",
    "_defect:*",
    "site:rathaus-1",
    "site:rathaus*",
    "site:unbekannt",
    "site:*",
    "observer.ip:10.0.0.2",
    "observer.ip:*",
    "message:failed",
    "message:ailed",
    "message:*",
    "message:\"login \"",
    "host.name:dc",
    "@timestamp:>=2024-10-05",
    "@timestamp:2024-10-04",
    "@timestamp:<2024-10-04T02:00:00.001Z",
    "@timestamp:[2024-10-04T00:00:00.001Z TO 2024-10-06]",
];

pub(super) fn query() -> impl Strategy<Value = String> {
    prop::sample::select(TERMS.to_vec()).prop_map(str::to_owned).prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} {b})")),
            inner.prop_map(|a| format!("NOT {a}")),
        ]
    })
}

pub(super) fn requests() -> impl Strategy<Value = Vec<SearchRequest>> {
    for name in ["vendor.rule", "vendor..x"] {
        FieldId::intern(name).unwrap();
    }
    let scope = prop_oneof![
        3 => Just(Scope::All),
        2 => Just(Scope::Bodies(vec![body(1)])),
        1 => Just(Scope::Bodies(vec![])),
    ];
    let bound = prop::option::weighted(0.3, prop::sample::select(vec![-1, 1, 2, 5_000, Timestamp::DAY, 4 * Timestamp::DAY]));
    let one = (query(), scope, bound.clone(), bound, 0usize..30).prop_map(|(query, scope, a, b, limit)| {
        let (from, to) = match (a, b) {
            (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b))),
            open => open,
        };
        let moment = |offset: Option<i64>| offset.map(|offset| Timestamp(DAY0 + offset));
        SearchRequest { from: moment(from), to: moment(to), scope, limit, ..request(&query) }
    });
    prop::collection::vec(one, 40)
}

/// Every term alone, then what was generated.
fn all_requests(generated: Vec<SearchRequest>) -> impl Iterator<Item = SearchRequest> {
    TERMS.iter().flat_map(|term| [request(term), request(&format!("NOT {term}"))]).chain(generated)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn search_equals_a_naive_scan(frames in frames(120), commits in prop::collection::vec(0usize..120, 0..4), generated in requests()) {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut consumer) = open(dir.path());
        let mut cuts: BTreeSet<usize> = commits.into_iter().collect();
        cuts.insert(frames.len());
        let mut start = 0;
        for cut in cuts {
            if cut > start {
                // What came before is on disk, what comes now in memory.
                consumer.flush().unwrap();
                consumer.apply(&batch(&frames[start..cut])).unwrap();
            }
            start = cut;
        }
        for request in all_requests(generated) {
            compare(&store, &frames, &request)?;
        }
        let some: Vec<Seq> = frames.iter().step_by(7).map(|frame| frame.seq).rev().collect();
        let visible: Vec<u64> = frames.iter().step_by(7).filter(|frame| frame.frame.site == site(1)).map(|frame| frame.seq.0).collect();
        prop_assert_eq!(seqs(&store.by_seq(&some, &Scope::Bodies(vec![body(1)]), &sites())), visible);
        prop_assert_eq!(store.stats().documents, frames.len() as u64);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Apply(usize),
    Flush,
    /// A commit is begun, and goes on beside what follows.
    Begin,
    /// One partition is committed, and then the power goes.
    CrashInCommit(usize),
    Crash,
    CrashWithoutCursor,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1usize..20).prop_map(Step::Apply),
        2 => Just(Step::Flush),
        2 => Just(Step::Begin),
        2 => (0usize..4).prop_map(Step::CrashInCommit),
        1 => Just(Step::Crash),
        1 => Just(Step::CrashWithoutCursor),
    ];
    prop::collection::vec(step, 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn a_replay_after_a_crash_neither_loses_nor_doubles(frames in frames(100), steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, mut consumer) = open(dir.path());
        let mut next = 0;
        for step in steps.into_iter().chain([Step::Crash, Step::Apply(100)]) {
            match step {
                Step::Apply(count) => {
                    let end = (next + count).min(frames.len());
                    if end > next {
                        consumer.apply(&batch(&frames[next..end])).unwrap();
                    }
                    next = end;
                    let all = SearchRequest { limit: LIMIT_MAX, ..request("*") };
                    let mut found = seqs(&store.search(&all).unwrap().hits);
                    found.sort_unstable();
                    // Before the replay has come as far as before the crash, partitions may be ahead, but never behind.
                    prop_assert!((1..=next as u64).all(|seq| found.binary_search(&seq).is_ok()), "lost");
                    prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "doubled");
                    continue;
                }
                Step::Flush => {
                    consumer.flush().unwrap();
                    prop_assert!(consumer.cursor() >= Seq(next as u64));
                    continue;
                }
                Step::Begin => {
                    (0..2).for_each(|minute| consumer.tick(Timestamp(minute * Timestamp::MINUTE)).unwrap());
                    continue;
                }
                Step::CrashInCommit(n) => {
                    if let Some(name) = consumer.dirty.keys().nth(n).cloned() {
                        consumer.commit_partition(&name).unwrap();
                    }
                }
                Step::Crash => {}
                Step::CrashWithoutCursor => std::fs::remove_file(dir.path().join("cursor")).unwrap(),
            }
            drop(consumer);
            drop(store);
            (store, consumer) = open(dir.path());
            // The pipeline reads on behind the cursor; batches may straddle it.
            next = (consumer.cursor().0 as usize).saturating_sub(3).min(next);
        }
        let all = SearchRequest { limit: LIMIT_MAX, ..request("*") };
        compare(&store, &frames, &all)?;
    }
}

/// A store with one committed event per line.
pub(super) fn filled(dir: &Path, lines: &[String]) -> Arc<EventStore> {
    let (store, mut consumer) = open(dir);
    let frames: Vec<Frame> = (1..).zip(lines).map(|(seq, line)| frame(seq, 1, line)).collect();
    consumer.apply(&batch(&frames)).unwrap();
    consumer.flush().unwrap();
    store
}

#[test]
fn a_damaged_partition_is_reported_and_the_rest_is_searchable() {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..3).map(|day| format!("t={}\thello", DAY0 + day * Timestamp::DAY)).collect();
    drop(filled(dir.path(), &lines));
    let broken = dir.path().join("standard/2024-10-05");
    for file in std::fs::read_dir(&broken).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "store") {
            std::fs::remove_file(file).unwrap();
        }
    }
    let (store, mut consumer) = open(dir.path());
    let result = store.search(&request("hello")).unwrap();
    assert_eq!(result.damaged, ["standard/2024-10-05"]);
    assert_eq!(seqs(&result.hits), [3, 1]);
    assert_eq!(store.stats().damaged, ["standard/2024-10-05"]);
    // What comes for that day goes beside it; the damaged files stay for `rebuild`.
    consumer.apply(&batch(&[frame(4, 1, &format!("t={}\thello", DAY0 + Timestamp::DAY))])).unwrap();
    consumer.flush().unwrap();
    drop((store, consumer));
    let (store, _consumer) = open(dir.path());
    assert_eq!(seqs(&store.search(&request("hello")).unwrap().hits), [3, 4, 1]);
    assert!(broken.join("meta.json").exists());
}

#[test]
fn flipped_bytes_never_panic() {
    let lines: Vec<String> = (0..40).map(|n| format!("t={}\tuser.name=u{n}\tvendor.rule=r{n}\thello w{n}", DAY0 + n)).collect();
    let pristine = tempfile::tempdir().unwrap();
    drop(filled(pristine.path(), &lines));
    let day = pristine.path().join("standard/2024-10-04");
    let files: Vec<PathBuf> = std::fs::read_dir(&day).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()).collect();
    for file in files {
        let name = file.file_name().unwrap();
        for part in 1..6 {
            let dir = tempfile::tempdir().unwrap();
            let copy = dir.path().join("standard/2024-10-04");
            std::fs::create_dir_all(&copy).unwrap();
            for other in std::fs::read_dir(&day).unwrap() {
                let other = other.unwrap().path();
                std::fs::copy(&other, copy.join(other.file_name().unwrap())).unwrap();
            }
            let mut bytes = std::fs::read(&file).unwrap();
            let place = bytes.len() * part / 6;
            bytes[place..].iter_mut().take(24).for_each(|byte| *byte ^= 0x5a);
            std::fs::write(copy.join(name), bytes).unwrap();
            let store = EventStore::open(dir.path(), |frame, _| redecode(frame)).unwrap();
            for query in ["*", "hello", "w1*", "user.name:u1*", "vendor.rule:r1*", "\"hello w3\""] {
                if let Ok(query) = Query::parse_fixed(query) {
                    let _ = store.search(&SearchRequest { query, ..request("*") });
                }
            }
            store.by_seq(&[Seq(3), Seq(30)], &Scope::All, &sites());
            store.stats();
        }
    }
}

#[test]
fn bounds_end_a_search_early_and_paging_goes_on_behind_them() {
    let dir = tempfile::tempdir().unwrap();
    // Nothing is known of a message's place in the line: each line must be read.
    let lines: Vec<String> = (0..30).map(|n| format!("t={}\thello", DAY0 + n * Timestamp::HOUR)).collect();
    let store = filled(dir.path(), &lines);
    let mut page = SearchRequest { limit: 7, summary: false, ..request("message:hello") };
    let mut found = Vec::new();
    loop {
        let result = search::search_within(&store.snapshot(), &store.redecode, &page, 4, &mut |_| ()).unwrap();
        found.extend(seqs(&result.hits));
        let Some(next) = result.next else { break };
        assert!(page.before.is_none_or(|before| next < before));
        page.before = Some(next);
    }
    assert_eq!(found, (1..=30).rev().collect::<Vec<_>>());
    let whole = search::search_within(&store.snapshot(), &store.redecode, &request("message:hello"), 4, &mut |_| ()).unwrap();
    assert!(whole.partial);
    assert_eq!(whole.total, 4);
    assert_eq!(seqs(&whole.hits), [30, 29, 28, 27]);
}

#[test]
fn one_moment_with_too_many_lines_does_not_hold_the_paging_up() {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..30).map(|n| format!("t={}\thello", DAY0 + i64::from(n < 25))).collect();
    let store = filled(dir.path(), &lines);
    let mut page = SearchRequest { limit: 7, summary: false, ..request("message:hello") };
    let mut pages = 0;
    while let Some(next) = search::search_within(&store.snapshot(), &store.redecode, &page, 4, &mut |_| ()).unwrap().next {
        assert!(page.before.is_none_or(|before| next < before));
        page.before = Some(next);
        pages += 1;
        assert!(pages < 100);
    }
}

#[test]
fn the_histogram_covers_the_range_or_the_matches() {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = [0, 1_000, 9_999, 50_000].iter().map(|at| format!("t={}\thello", DAY0 + at)).collect();
    let store = filled(dir.path(), &lines);
    let asked = SearchRequest { from: Some(Timestamp(DAY0)), to: Some(Timestamp(DAY0 + 10_000)), buckets: 5, ..request("hello") };
    let expected = Histogram { start: Timestamp(DAY0), width_millis: 2_000, counts: vec![2, 0, 0, 0, 1] };
    assert_eq!(store.search(&asked).unwrap().histogram, expected);
    let open = SearchRequest { buckets: 5, ..request("hello") };
    let expected = Histogram { start: Timestamp(DAY0), width_millis: 11_000, counts: vec![3, 0, 0, 0, 1] };
    assert_eq!(store.search(&open).unwrap().histogram, expected);
    let none = SearchRequest { buckets: 2, query: Query::parse_fixed("nothing").unwrap(), ..asked };
    assert_eq!(store.search(&none).unwrap().histogram.counts, [0, 0]);
    assert!(matches!(store.search(&SearchRequest { from: none.to, to: none.from, ..none }), Err(SearchError::Reversed)));
}

#[test]
fn many_days_at_once_are_committed_within_the_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer) = open(dir.path());
    let frames: Vec<Frame> = (0..70u64).map(|n| frame(n + 1, 1, &format!("t={}\thello", DAY0 - n as i64 * Timestamp::DAY))).collect();
    consumer.apply(&batch(&frames)).unwrap();
    consumer.wait();
    let stats = store.stats();
    assert_eq!((stats.documents, stats.pending, stats.partitions), (70, 0, 70));
    assert_eq!(stats.newest, Some(Timestamp(DAY0)));
    assert!(store.writers_open() <= 4);
    let seqs: Vec<u64> = seqs(&store.search(&request("hello")).unwrap().hits);
    assert_eq!(seqs, (1..=70).collect::<Vec<_>>());
}

#[test]
fn pending_events_are_committed_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer) = open(dir.path());
    consumer.apply(&batch(&[frame(1, 1, &format!("t={DAY0}\thello"))])).unwrap();
    for (second, pending) in [(0, 1), (29, 1), (30, 0)] {
        consumer.tick(Timestamp(DAY0 + second * Timestamp::SECOND)).unwrap();
        consumer.wait();
        assert_eq!(store.stats().pending, pending, "{second}");
    }
    assert_eq!(consumer.cursor(), Seq(1));
}

#[test]
fn a_vendors_field_is_known_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), &[format!("t={DAY0}\tvendor.restart.only-here=7\thello")]));
    // Another process: the name is learned from the partition's columns, not from a line.
    let store = EventStore::open(dir.path(), |frame, _| redecode(frame)).unwrap();
    let columns: BTreeMap<String, ()> = store
        .snapshot()
        .partitions
        .values()
        .flat_map(|view| view.searcher().unwrap().segment_readers().to_vec())
        .flat_map(|segment| segment.fields_metadata().unwrap())
        .map(|column| (column.field_name, ()))
        .collect();
    assert!(columns.contains_key("_vendor.vendor.restart.only-here"), "{columns:?}");
    assert_eq!(store.search(&request("vendor.restart.only-here:7")).unwrap().total, 1);
}

/// Measured once for docs/decisions/003; run with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn measure_indexing_and_scanning() {
    const EVENTS: u64 = 100_000;
    let actions = ["accept", "deny", "close", "timeout"];
    let line = |n: u64| {
        let (a, b) = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33, n.wrapping_mul(0xd134_2543_de82_ef95) >> 40);
        format!(
            "t={}\tsource.ip=10.{}.{}.{}\tdestination.ip=192.0.2.{}\tsource.port={}\tdestination.port={}\tevent.action={}\thost.name=fw-{}\tvendor.policyid={}\tdate=2024-10-04 srcip devname sent {} rcvd {} policy action session {}",
            DAY0 + n as i64 * 20,
            a % 8,
            a % 250,
            b % 250,
            b % 200,
            1024 + a % 60_000,
            [443, 53, 80, 22][(a % 4) as usize],
            actions[(b % 4) as usize],
            n % 600,
            b % 90,
            a % 9_000,
            b % 9_000,
            n
        )
    };
    let frames: Vec<Frame> = (1..=EVENTS).map(|n| frame(n, 1 + u128::from(n % 2), &line(n))).collect();
    let raw: usize = frames.iter().map(|frame| frame.frame.payload.len()).sum();
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer) = open(dir.path());
    let batches: Vec<Batch> = frames.chunks(1_000).map(batch).collect();
    let watch = crate::time::Stopwatch::start();
    let (last, first) = batches.split_last().unwrap();
    first.iter().for_each(|batch| consumer.apply(batch).unwrap());
    println!("into memory: {:.0} events/s", 99_000.0 / watch.elapsed().as_secs_f64());
    let scan = |query: &str| {
        let result = store.search(&request(query)).unwrap();
        println!("{query}: {} of {} pending, {:?}", result.total, store.stats().pending, result.took);
    };
    for query in ["source.ip:10.1.0.0/16", "policy 777", "*7*8*", "\"action session\"", "message:rcvd"] {
        scan(query);
    }
    let watch = crate::time::Stopwatch::start();
    consumer.apply(last).unwrap();
    consumer.flush().unwrap();
    println!("commit: {:.0} events/s", EVENTS as f64 / watch.elapsed().as_secs_f64());
    println!("{} bytes/event on disk, {} raw", store.stats().bytes / EVENTS, raw as u64 / EVENTS);
    for query in ["source.ip:10.1.0.0/16", "policy 777", "*7*8*", "\"action session\"", "message:rcvd"] {
        scan(query);
    }
}

/// The second of two lines: it has fields that its own line does not hold.
#[test]
fn what_an_earlier_line_said_is_found_and_shown_after_the_commit_too() {
    const ALERT: &str = "<189>Mar 14 07:59:58 r PACKET_ALERT: Dst: 10.0.200.10:80 {}, Src: 203.0.113.37:4353 {} (TCP): port filter";
    const INFO: &str = "<189>Mar 14 07:59:58 r PACKET_INFO: matched filter: BLOCKHTTP actions: drop;";
    let really = |frame: &Frame| crate::decode::decode(frame, &crate::decode::Options::default());
    let again = move |frame: &Frame, context: Option<Box<str>>| {
        let mut event = really(frame)?;
        crate::decode::rejoin(&mut event, context, really);
        Some(event)
    };
    let dir = tempfile::tempdir().unwrap();
    let store = EventStore::open(dir.path(), again).unwrap();
    let mut consumer = EventConsumer::new(store.clone()).unwrap();
    let frames = [frame(1, 1, ALERT), frame(2, 1, INFO)];
    let mut pairs = crate::decode::Pairs::default();
    let mut taken = batch(&frames);
    taken.events = frames.iter().filter_map(really).collect();
    taken.events.iter_mut().for_each(|event| pairs.join(event));
    let joined = taken.events[1].clone();
    consumer.apply(&taken).unwrap();
    for _ in ["in memory", "on disk"] {
        let found = store.search(&request("source.ip:203.0.113.37 event.action:blocked")).unwrap().hits;
        assert_eq!(found, std::slice::from_ref(&joined));
        assert_eq!(store.by_seq(&[Seq(2)], &Scope::All, &sites()), std::slice::from_ref(&joined));
        consumer.flush().unwrap();
    }
}

//! The public rules and the events recorded for them, where they lie beside the workspace. Where they are absent the tests
//! say so and pass, unless `WARTBURG_CORPORA_REQUIRED=1`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::*;

fn corpora() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    let folder = std::env::var_os("WARTBURG_CORPORA").map_or(beside, PathBuf::from).join("sigma");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("WARTBURG_CORPORA_REQUIRED").is_none_or(|required| required != "1"), "no corpora at {}", folder.display());
    eprintln!("skipped: no corpora at {} (set WARTBURG_CORPORA)", folder.display());
    None
}

static PUBLIC: LazyLock<Option<(RuleSet, Vec<RuleError>)>> =
    LazyLock::new(|| Some(RuleSet::load(&[corpora()?.join("rules")], FieldNames::Raw)));

/// All compile, but for the few whose placeholders only an operator can fill; none of the main collection has such.
#[test]
fn public_rules_compile() {
    let Some((set, errors)) = PUBLIC.as_ref() else { return };
    let refused: Vec<String> =
        errors.iter().filter(|error| !error.message.starts_with("placeholder '%")).map(ToString::to_string).collect();
    assert_eq!(refused, [""; 0]);
    let main: Vec<&RuleError> = errors.iter().filter(|error| error.file.contains("/rules/rules/")).collect();
    assert!(main.is_empty(), "{main:#?}");
    let files = fs::read_dir(corpora().unwrap().join("rules")).unwrap().map(|part| count_rules(&part.unwrap().path())).sum::<usize>();
    assert_eq!(set.rules().len() + errors.len(), files);
    assert!(set.rules().iter().all(|compiled| compiled.metadata.status.is_some() && compiled.metadata.date.is_some()));
    assert_eq!(set.remarks(), []);
}

fn count_rules(path: &Path) -> usize {
    match fs::read_dir(path) {
        Ok(inside) => inside.map(|entry| count_rules(&entry.unwrap().path())).sum(),
        Err(_) => usize::from(path.extension().is_some_and(|extension| extension == "yml")),
    }
}

/// A rule and the events that were recorded for it, with how many it must match where the record says so.
struct Case {
    rule: String,
    count: Option<usize>,
    events: Vec<serde_json::Value>,
}

#[test]
fn each_rule_fires_on_the_events_recorded_for_it() {
    let Some((set, _)) = PUBLIC.as_ref() else { return };
    let mut cases = Vec::new();
    cases_below(&corpora().unwrap().join("regression"), &mut cases);
    assert!(!cases.is_empty());
    let mut failed = Vec::new();
    for case in &cases {
        let compiled = set.rules().iter().find(|compiled| compiled.rule.id == case.rule);
        let Some(Logic::Detection(detection)) = compiled.map(|compiled| &compiled.logic) else {
            failed.push(format!("{}: no such rule", case.rule));
            continue;
        };
        let found = case.events.iter().filter(|event| detection.matches(&record(event))).count();
        case.events.iter().for_each(|event| explained(detection, &record(event)));
        if case.count.map_or(found == 0, |count| count != found) {
            failed.push(format!("{}: {found} of {} events, {:?} expected", case.rule, case.events.len(), case.count));
        }
    }
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), cases.len());
}

/// The explanation says yes where the rule does, and never nothing.
fn explained(detection: &super::super::detection::Detection, record: &JsonRecord) {
    let verdict = detection.verdict(record);
    assert_eq!(verdict.matched, detection.matches(record));
    assert!(!verdict.of_source || !verdict.parts.is_empty());
    let held = verdict.parts.iter().filter(|part| part.held == verdict.matched);
    assert!(
        !verdict.of_source
            || held.clone().any(|part| !part.lines.is_empty())
            || verdict.parts.iter().any(|part| part.held != verdict.matched)
    );
    for found in verdict.parts.iter().flat_map(|part| &part.lines).flat_map(|line| &line.found) {
        let inside = |(offset, length): (usize, usize)| found.from <= offset && offset + length <= found.of;
        assert!(found.mark.is_none_or(inside), "{found:?}");
    }
}

/// The recorded events as our decoders read them, and public rules in the fields that these give: behind the shipped
/// pipelines each rule fires on its own as it does on the raw event.
#[test]
fn public_rules_fire_on_decoded_events() {
    let Some((_, raw_errors)) = PUBLIC.as_ref() else { return };
    let (set, errors) = RuleSet::shipped_with(&[corpora().unwrap().join("rules")]);
    let mut reasons: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for error in errors.iter().filter(|error| !raw_errors.contains(error)) {
        let reason = error.message.split('\'').next().unwrap_or_default().trim();
        *reasons.entry(reason).or_default() += 1;
    }
    println!("{} rules in our fields, refused: {reasons:#?}", set.rules().len());
    assert!(set.rules().len() >= 2_900, "{} {reasons:#?}", set.rules().len());
    let mut cases = Vec::new();
    cases_below(&corpora().unwrap().join("regression"), &mut cases);
    let (index, mut asking, mut matched) = (RuleIndex::new(&set), Asking::default(), Vec::new());
    let (sites, mut failed) = (ingest::body::SiteTable::default(), Vec::new());
    for case in &cases {
        let mut found = 0;
        for event in &case.events {
            let event = decoded(event);
            index.ask(&ingest::record::EventRecord { event: &event, sites: &sites }, None, &mut asking, &mut matched);
            found += usize::from(matched.iter().any(|place| set.rules()[*place].rule.id == case.rule));
        }
        if case.count.map_or(found == 0, |count| count != found) {
            failed.push(format!("{}: {found} of {} events, {:?} expected", case.rule, case.events.len(), case.count));
        }
    }
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), cases.len());
}

fn decoded(event: &serde_json::Value) -> ingest::event::Event {
    let frame = ingest::frame::NewFrame {
        received_at: Timestamp(0),
        site: ingest::body::SITE_UNKNOWN,
        peer: std::net::Ipv4Addr::LOCALHOST.into(),
        transport: ingest::frame::Transport::Tcp,
        kind: ingest::frame::FrameKind::Json,
        marks: ingest::frame::Marks::default(),
        payload: event.to_string().into_bytes().into(),
    };
    ingest::decode::decode(&ingest::frame::Frame { seq: Seq(1), frame }, &ingest::decode::Options::default()).unwrap()
}

/// All public rules at once against all recorded events, and against each alone.
#[test]
fn all_rules_at_once_say_what_each_says_alone() {
    let Some((set, _)) = PUBLIC.as_ref() else { return };
    let mut cases = Vec::new();
    cases_below(&corpora().unwrap().join("regression"), &mut cases);
    let (index, mut asking, mut matched) = (RuleIndex::new(set), Asking::default(), Vec::new());
    let mut hits = 0;
    for record in cases.iter().flat_map(|case| &case.events).map(record) {
        let alone = |(_, compiled): &(usize, &CompiledRule)| match &compiled.logic {
            Logic::Detection(detection) => detection.matches(&record),
            Logic::Correlation(_) | Logic::Off => false,
        };
        let expected: Vec<usize> = (0..).zip(set.rules()).filter(alone).map(|(place, _)| place).collect();
        index.ask(&record, None, &mut asking, &mut matched);
        assert_eq!(matched, expected);
        hits += matched.len();
    }
    assert!(hits >= cases.len(), "{hits}");
    let open: Vec<&str> = index.without_clue().into_iter().map(|place| set.rules()[place].file.as_str()).collect();
    assert!(open.len() < 60, "{} rules are put to every record: {open:#?}", open.len());
}

fn cases_below(folder: &Path, cases: &mut Vec<Case>) {
    let info = folder.join("info.yml");
    if !info.is_file() {
        let mut inside: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
        inside.sort();
        return inside.iter().for_each(|path| cases_below(path, cases));
    }
    let info = yaml::parse(&fs::read_to_string(info).unwrap()).unwrap().remove(0);
    let first = |key: &str| match &info.get(key).unwrap().node.value {
        yaml::Value::List(items) => items[0].clone(),
        other => panic!("{other:?}"),
    };
    let rule = first("rule_metadata").get("id").unwrap().node.scalar_text().unwrap();
    let count = first("regression_tests_info").get("match_count").map(|entry| entry.node.scalar_text().unwrap().parse().unwrap());
    let text = fs::read_to_string(folder.join(format!("{rule}.json"))).unwrap();
    let events: Result<Vec<serde_json::Value>, _> = serde_json::Deserializer::from_str(&text).into_iter().collect();
    cases.push(Case { rule, count, events: events.unwrap() });
}

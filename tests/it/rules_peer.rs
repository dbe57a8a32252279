//! The public rules beside rsigma, on the same events with the same log sources given: both must name the same rules for
//! each event. 50,000 of them where the corpora must be there (`WARTBURG_CORPORA_REQUIRED=1`), some thousands by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use detect::json_record::JsonRecord;
use detect::sigma::{Asking, FieldNames, RuleIndex, RuleSet, Told};
use ingest::frame::Seq;
use ingest::time::Timestamp;
use rsigma_eval::{Engine, JsonEvent};
use rsigma_parser::LogSource;
use serde_json::Value;

#[path = "../../benches/rules/events.rs"]
#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, dead_code, reason = "made for a measurement too")]
mod events;

/// Of each of the four kinds, where everything is to be shown …
const EVENTS: usize = 12_500;
/// … and by hand: the recorded ones are all among them, and each kind of the made ones many times.
const EVENTS_BY_HAND: usize = 2_500;

#[test]
fn public_rules_match_what_they_match_elsewhere() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    let corpora = std::env::var_os("WARTBURG_CORPORA").map_or(beside, Into::into);
    let folder = corpora.join("sigma/rules/rules");
    let required = std::env::var_os("WARTBURG_CORPORA_REQUIRED").is_some_and(|required| required == "1");
    if !folder.is_dir() {
        assert!(!required, "no rules at {}", folder.display());
        return eprintln!("skipped: no rules at {} (set WARTBURG_CORPORA)", folder.display());
    }
    let (set, errors) = RuleSet::load(std::slice::from_ref(&folder), FieldNames::Raw);
    assert_eq!(errors, []);
    let (index, mut asking, mut matched) = (RuleIndex::new(&set), Asking::default(), Vec::new());
    let mut peer = Engine::new();
    peer.add_collection(&rsigma_parser::parse_sigma_directory(&folder).unwrap()).unwrap();
    assert_eq!(set.rules().len(), peer.rule_count());

    let events = if required { EVENTS } else { EVENTS_BY_HAND };
    let (mut hits, mut seen) = (0, 0);
    let mut told: BTreeMap<[Option<String>; 3], Told> = BTreeMap::new();
    for kind in events::kinds(&corpora, events) {
        for given in kind.events {
            let source = given.source;
            let words = [&source.product, &source.category, &source.service].map(Clone::clone);
            let told = told.entry(words).or_insert_with_key(|words| {
                let [product, category, service] = words.each_ref().map(Option::as_deref);
                index.told(product, category, service)
            });
            index.ask(&JsonRecord::new(&given.event, Seq(1), Timestamp(0)), Some(&*told), &mut asking, &mut matched);
            let ours: BTreeSet<&str> = matched.iter().map(|place| set.rules()[*place].rule.id.as_str()).collect();
            let event = Value::Object(given.event);
            let source = LogSource { product: source.product, category: source.category, service: source.service, ..LogSource::default() };
            let found = peer.evaluate_pruned(&JsonEvent::borrow(&event), &source);
            let theirs: BTreeSet<&str> = found.iter().filter_map(|found| found.header.rule_id.as_deref()).collect();
            assert_eq!(ours, theirs, "{}: {event}", kind.name);
            hits += ours.len();
            seen += 1;
        }
    }
    assert!(seen == 4 * events && hits > events, "{hits} matches in {seen} events");
}

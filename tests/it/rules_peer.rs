//! The public rules beside rsigma, on the same 50,000 events with the same log sources given: both must name the same
//! rules for each event.

use std::collections::BTreeSet;
use std::path::Path;

use detect::json_record::JsonRecord;
use detect::sigma::{Asking, FieldNames, RuleIndex, RuleSet};
use ingest::frame::Seq;
use ingest::time::Timestamp;
use rsigma_eval::{Engine, JsonEvent};
use rsigma_parser::LogSource;
use serde_json::Value;

#[path = "../../benches/rules/events.rs"]
#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, dead_code, reason = "made for a measurement too")]
mod events;

/// Of each of the four kinds.
const EVENTS: usize = 12_500;

#[test]
fn public_rules_match_what_they_match_elsewhere() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    let corpora = std::env::var_os("WARTBURG_CORPORA").map_or(beside, Into::into);
    let folder = corpora.join("sigma/rules/rules");
    if !folder.is_dir() {
        assert!(std::env::var_os("WARTBURG_CORPORA_REQUIRED").is_none_or(|required| required != "1"), "no rules at {}", folder.display());
        return eprintln!("skipped: no rules at {} (set WARTBURG_CORPORA)", folder.display());
    }
    let (set, errors) = RuleSet::load(std::slice::from_ref(&folder), FieldNames::Raw);
    assert_eq!(errors, []);
    let (index, mut asking, mut matched) = (RuleIndex::new(&set), Asking::default(), Vec::new());
    let mut peer = Engine::new();
    peer.add_collection(&rsigma_parser::parse_sigma_directory(&folder).unwrap()).unwrap();
    assert_eq!(set.rules().len(), peer.rule_count());

    let (mut hits, mut seen) = (0, 0);
    for kind in events::kinds(&corpora, EVENTS) {
        for given in kind.events {
            let source = given.source;
            let told = index.told(source.product.as_deref(), source.category.as_deref(), source.service.as_deref());
            index.ask(&JsonRecord::new(&given.event, Seq(1), Timestamp(0)), Some(&told), &mut asking, &mut matched);
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
    assert!(seen == 4 * EVENTS && hits > EVENTS, "{hits} matches in {seen} events");
}

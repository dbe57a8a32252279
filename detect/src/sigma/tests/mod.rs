//! What rules mean and which are refused, as tables over whole rules. The meanings follow pySigma's.

mod across;
mod corpora;
mod correlations;
mod documents;
mod filters;
mod meaning;
mod naive;
mod pipelines;
mod refusals;

use ingest::frame::Seq;
use ingest::time::Timestamp;

use super::*;
use crate::json_record::JsonRecord;

fn compile(text: &str) -> (RuleSet, Vec<RuleError>) {
    compile_as(text, FieldNames::Decoded)
}

fn compile_as(text: &str, names: FieldNames) -> (RuleSet, Vec<RuleError>) {
    RuleSet::compile([("rules/x/y/rule.yml".to_owned(), text.to_owned())], names)
}

fn record(object: &serde_json::Value) -> JsonRecord {
    JsonRecord::new(object.as_object().unwrap(), Seq(1), Timestamp(0))
}

/// The names of the rules that match a record, of a whole file.
fn matching(set: &RuleSet, object: &serde_json::Value) -> Vec<String> {
    let record = record(object);
    let hit = |compiled: &&CompiledRule| matches!(&compiled.logic, Logic::Detection(detection) if detection.matches(&record));
    set.rules().iter().filter(hit).map(|compiled| compiled.rule.name.clone()).collect()
}

/// Whether a detection matches each of the records.
fn matches(detection: &str, records: &[serde_json::Value]) -> Vec<bool> {
    let (set, errors) = compile(&format!("title: T\nlogsource: {{product: linux}}\ndetection:\n{detection}"));
    assert_eq!(errors, [], "{detection}");
    let Logic::Detection(compiled) = &set.rules()[0].logic else { panic!() };
    records.iter().map(|object| compiled.matches(&record(object))).collect()
}

const HEAD: &str = "title: T\nlogsource: {product: linux}\ndetection:\n";

//! What correlations mean: pySigma's expectations and the specification's text, as documents with what they find.

use ingest::body::SiteId;
use ingest::record::Record as _;
use serde_json::{Map, Value, json};

use super::*;
use crate::engine::Engine;

/// Three rules that tell records apart by their action.
const BASE: &str = "title: A\nname: a\nid: 5f0c5a3e-52c6-4b2e-8f2f-0c9b5b7f5a01\nlogsource: {product: linux}\ndetection: {s: {event.action: a}, condition: s}\n---\n\
    title: B\nname: b\nlogsource: {product: linux}\ndetection: {s: {event.action: b}, condition: s}\n---\n\
    title: C\nname: c\nlogsource: {product: linux}\ndetection: {s: {event.action: c}, condition: s}\n---\n";

/// `second action`, then further fields: `0 a source.ip=192.0.2.1`, a line each.
fn records(story: &str) -> Vec<JsonRecord> {
    let lines = story.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut records = Vec::new();
    for (line, seq) in lines.zip(1..) {
        let mut words = line.split_whitespace();
        let at = Timestamp((words.next().unwrap().parse::<f64>().unwrap() * 1_000.0) as i64).rfc3339();
        let mut object = Map::from_iter([("@timestamp".to_owned(), json!(at)), ("event.action".to_owned(), json!(words.next().unwrap()))]);
        for (field, value) in words.map(|word| word.split_once('=').unwrap()) {
            object.insert(field.to_owned(), value.parse::<i64>().map_or_else(|_| json!(value), Value::from));
        }
        records.push(JsonRecord::new(&object, Seq(seq), Timestamp(0)));
    }
    records
}

/// What the correlations of a file find in a story, beyond the base rules' own findings: rule, group, lines.
fn found_by(documents: &str, story: &str) -> String {
    let (set, errors) = compile(&format!("{BASE}{documents}"));
    assert_eq!(errors, [], "{documents}");
    let mut engine = Engine::new(set, Default::default());
    let mut findings = Vec::new();
    for record in records(story) {
        findings.extend(engine.apply(&record, SiteId::default(), None, Timestamp(0)));
        assert!(record.seq().0 > 0);
    }
    findings.extend(engine.settle(Timestamp(100 * Timestamp::DAY)));
    findings.retain(|finding| !["a", "b", "c"].contains(&finding.rule.name.as_str()));
    let line = |finding: &crate::finding::Finding| {
        let lines: Vec<String> = finding.evidence.iter().map(|seq| seq.0.to_string()).collect();
        format!("{} {}", finding.rule.name, lines.join(","))
    };
    findings.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// As `found_by`, of one correlation with a time span of ten seconds; the lines it found.
fn found(correlation: &str, story: &str) -> String {
    let document = format!("title: K\nname: k\ncorrelation:\n  timespan: 10s\n  {}\n", correlation.replace('\n', "\n  "));
    found_by(&document, story).replace("k ", "")
}

fn check(correlation: &str, story: &str, expected: &str) {
    assert_eq!(found(correlation, story), expected, "{correlation} on {story}");
}

#[test]
fn counts_and_their_operators() {
    let burst = "0 a\n1 a\n2 a\n3 a\n";
    let count = |condition: &str| found(&format!("type: event_count\nrules: a\ncondition: {condition}"), burst);
    for (condition, expected) in [
        ("{gte: 4}", "1,2,3,4"),
        ("{gt: 3}", "1,2,3,4"),
        ("{gt: 4}", ""),
        ("{gte: 3.5}", "1,2,3,4"),
        ("{gte: '4'}", "1,2,3,4"),
        ("{lte: 4}", "1,2,3,4"),
        ("{lt: 4}", ""),
        ("{eq: 4}", "1,2,3,4"),
        ("{eq: 3}", ""),
        ("{neq: 3}", "1,2,3,4"),
        ("{neq: 4}", ""),
        ("{gte: 2, lt: 5}", "1,2,3,4"),
        ("{gt: 1, lte: 3}", ""),
        ("{gte: 2, neq: 4}", ""),
    ] {
        assert_eq!(count(condition), expected, "{condition}");
    }
}

#[test]
fn windows_are_exact_to_the_millisecond() {
    let two = "type: event_count\nrules: a\ncondition: {gte: 2}";
    check(two, "0 a\n10 a", "1,2");
    check(two, "0 a\n10.001 a", "");
    check(
        "type: event_count\nrules: a\ncondition: {gte: 2}\ngroup-by: [source.ip, user.name]",
        "0 a source.ip=1 user.name=x\n1 a source.ip=1 user.name=y\n2 a source.ip=1\n3 a source.ip=1 user.name=x",
        "1,4",
    );
}

#[test]
fn different_values_and_combinations() {
    let story = "0 a user.name=x host.name=h\n1 a user.name=x host.name=i\n2 a user.name=y host.name=h\n3 a user.name=y\n";
    check("type: value_count\nrules: a\ncondition: {field: user.name, gte: 2}", story, "1,2,3; 4");
    check("type: value_count\nrules: a\ncondition: {field: user.name, gte: 3}", story, "");
    check("type: value_count\nrules: a\ncondition: {field: [user.name, host.name], gte: 3}", story, "1,2,3");
    check("type: value_count\nrules: a\ncondition: {field: [user.name, host.name], eq: 3}", story, "1,2,3");
}

#[test]
fn sums_means_and_percentiles() {
    let story = "0 a source.bytes=10\n1 a source.bytes=20\n2 a source.bytes=60\n3 a source.bytes=x\n4 a\n";
    for (kind, condition, expected) in [
        ("value_sum", "gte: 90", "1,2,3"),
        ("value_sum", "gt: 90", ""),
        ("value_sum", "gte: 89.5", "1,2,3"),
        ("value_sum", "lt: 100", "1,2,3"),
        ("value_sum", "gte: 30, lt: 90", ""),
        ("value_avg", "gte: 30", "1,2,3"),
        ("value_avg", "gt: 30", ""),
        ("value_avg", "gt: 29.99, lte: 30", "1,2,3"),
        ("value_median", "eq: 20", "1,2,3"),
        ("value_median", "neq: 20", ""),
        ("value_percentile", "percentile: 50, eq: 20", "1,2,3"),
        ("value_percentile", "percentile: 67, eq: 60", "1,2,3"),
        ("value_percentile", "percentile: 66.6, eq: 20", "1,2,3"),
        ("value_percentile", "percentile: 0, eq: 10", "1,2,3"),
        ("value_percentile", "percentile: 100, eq: 60", "1,2,3"),
    ] {
        check(&format!("type: {kind}\nrules: a\ncondition: {{field: source.bytes, {condition}}}"), story, expected);
    }
    check("type: value_median\nrules: a\ncondition: {field: source.bytes, eq: 15}", "0 a source.bytes=10\n1 a source.bytes=20", "1,2");
    check("type: value_avg\nrules: a\ncondition: {field: source.bytes, eq: 0.25}", "0 a source.bytes=0.1\n1 a source.bytes=0.4", "1,2");
}

#[test]
fn rules_that_match_together() {
    let temporal = |condition: &str| format!("type: temporal\nrules: [a, b, c]{condition}");
    check(&temporal(""), "0 c\n1 b\n2 a", "1,2,3");
    check(&temporal(""), "0 c\n1 b\n11 a", "");
    check(&temporal("\ncondition: {gte: 2}"), "0 a\n1 a\n2 c", "1,2,3");
    check(&temporal("\ncondition: {eq: 3}"), "0 c\n1 b\n2 a", "1,2,3");
    check(&temporal("\ncondition: {lt: 3}"), "0 c\n1 b\n2 a", "");
    check(&temporal("\ncondition: {eq: 2}"), "0 c\n1 b\n2 b", "1,2,3");
    check(&temporal("\ncondition: a and (b or c)"), "0 c\n1 a", "1,2");
    check(&temporal("\ncondition: a and (b or c)"), "0 c\n1 b", "");
    check(&temporal("\ncondition: a and not (b or c)"), "0 a\n1 a", "1,2");
    check(&temporal("\ncondition: a and not (b or c)"), "0 a\n1 b", "");
    check(&temporal("\ncondition: all of them"), "0 a\n1 b\n2 c", "1,2,3");
    check(&temporal("\ncondition: 1 of *"), "0 b", "1");
    check("type: temporal\ncondition: a and b", "0 b\n1 a", "1,2");
    check("type: temporal\nrules: [5F0C5A3E-52C6-4B2E-8F2F-0C9B5B7F5A01, b]", "0 b\n1 a", "1,2");
}

#[test]
fn rules_that_match_in_order() {
    let ordered = |condition: &str| format!("type: temporal_ordered\nrules: [a, b, c]{condition}");
    check(&ordered(""), "0 a\n1 b\n2 c", "1,2,3");
    check(&ordered(""), "0 c\n1 b\n2 a", "");
    check(&ordered(""), "0 b\n1 a\n2 a\n3 b\n4 a\n5 c", "2,3,4,6");
    check(&ordered(""), "0 a\n1 b\n10.001 c", "");
    check(&ordered("\ncondition: {gte: 2}"), "0 a\n1 c", "1,2");
    check(&ordered("\ncondition: {gt: 1}"), "0 c\n1 a", "");
    check(&ordered("\ncondition: a and (b or c)"), "0 a\n1 c", "1,2");
    check(&ordered("\ncondition: a and (b or c)"), "0 c\n1 a", "");
    check("type: temporal_ordered\ncondition: b and a", "0 b\n1 a", "1,2");
    check("type: temporal_ordered\ncondition: b and a", "0 a\n1 b", "");
}

/// The specification's example: one address, here the destination and there the source.
#[test]
fn aliases_bring_fields_together() {
    let document = "type: temporal\nrules: [a, b]\ngroup-by: [internal_ip, remote_ip]\naliases:\n  \
        internal_ip: {a: destination.ip, b: source.ip}\n  remote_ip: {5f0c5a3e-52c6-4b2e-8f2f-0c9b5b7f5a01: source.ip, b: destination.ip}";
    check(document, "0 a source.ip=192.0.2.1 destination.ip=10.0.0.1\n1 b source.ip=10.0.0.1 destination.ip=192.0.2.1", "1,2");
    check(document, "0 a source.ip=192.0.2.1 destination.ip=10.0.0.1\n1 b source.ip=192.0.2.1 destination.ip=10.0.0.1", "");
    let counted = "type: value_count\nrules: [a, b]\naliases: {ip: {a: source.ip, b: destination.ip}}\ncondition: {field: ip, gte: 2}";
    check(counted, "0 a source.ip=192.0.2.1\n1 b destination.ip=192.0.2.1\n2 b destination.ip=192.0.2.2", "1,2,3");
}

/// Correlations of correlations: by name, over an alias of the inner one, also where a window closed late.
#[test]
fn correlations_of_correlations() {
    let inner = |kind: &str| {
        format!(
            "title: I\nname: inner\ncorrelation: {{type: event_count, rules: [a, b], group-by: who, aliases: {{who: {{a: source.ip, b: destination.ip}}}}, timespan: 10s, condition: {{{kind}: 2}}}}\n---\n"
        )
    };
    let outer = "title: O\nname: outer\ncorrelation: {type: temporal_ordered, rules: [inner, c], group-by: addr, aliases: {addr: {inner: who, c: host.ip}}, timespan: 1m}\n";
    let story = "0 a source.ip=192.0.2.1\n1 b destination.ip=192.0.2.1\n30 c host.ip=192.0.2.1\n31 c host.ip=192.0.2.2";
    assert_eq!(found_by(&format!("{}{outer}", inner("gte")), story), "outer 2,3");
    // The inner one is sure only when nothing more can come; then the outer one is told all the same.
    assert_eq!(found_by(&format!("{}{outer}", inner("eq")), story), "outer 2,3");
    let many = "title: M\nname: many\ncorrelation: {type: value_count, rules: inner, timespan: 1h, condition: {field: who, gte: 2}}\n";
    let story = "0 a source.ip=192.0.2.1\n1 a source.ip=192.0.2.1\n2 a source.ip=192.0.2.2\n3 b destination.ip=192.0.2.2";
    assert_eq!(found_by(&format!("{}{many}", inner("gte")), story), "many 2,4");
}

#[test]
fn months_are_pysigmas() {
    let month = |timespan: &str| {
        format!("title: K\nname: k\ncorrelation: {{type: event_count, rules: a, timespan: {timespan}, condition: {{gte: 2}}}}\n")
    };
    assert_eq!(found_by(&month("1M"), "0 a\n2629746 a"), "k 1,2");
    assert_eq!(found_by(&month("1M"), "0 a\n2629746.001 a"), "");
    assert_eq!(found_by(&month("2w"), "0 a\n1209600 a"), "k 1,2");
}

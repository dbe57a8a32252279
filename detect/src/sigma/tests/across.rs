//! `wartburg: {scope: state}`: correlations that look over all bodies, as documents with what they find and whose it is, and
//! what such documents may not say.

use ingest::body::{BodyId, SITE_STATE, SiteId};
use ingest::id::Ulid;
use serde_json::{Map, json};

use super::*;
use crate::engine::Engine;

const BASE: &str = "title: A\nname: a\nlogsource: {product: linux}\ndetection: {s: {event.action: a}, condition: s}\n---\n\
    title: Zwei\nname: two\ncorrelation: {type: event_count, rules: a, group-by: source.ip, timespan: 10s, condition: {gte: 2}}\n---\n";

/// `second body address`, a line each; `-` is nobody's. What the rule `k` says: entity, lines, and records by body.
fn found(document: &str, story: &str) -> String {
    found_from(document, story, None)
}

fn found_from(document: &str, story: &str, restart_at: Option<usize>) -> String {
    let engine = || {
        let (set, errors) = compile(&format!("{BASE}{document}"));
        assert_eq!(errors, [], "{document}");
        Engine::new(set, Default::default())
    };
    let (mut engine_now, mut findings) = (engine(), Vec::new());
    for (place, line) in story.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = Timestamp(words[0].parse::<i64>().unwrap() * 1_000).rfc3339();
        let object = Map::from_iter(
            [("@timestamp", at.as_str()), ("event.action", "a"), ("source.ip", words[2])].map(|(k, v)| (k.to_owned(), json!(v))),
        );
        let record = JsonRecord::new(&object, Seq(place as u64 + 1), Timestamp(0));
        let body = words[1].bytes().next().filter(|name| *name != b'-').map(|name| BodyId(Ulid(u128::from(name))));
        // Two sites a body, so that a site is not a body by chance.
        let site = SiteId(Ulid(place as u128 % 2 + body.map_or(0, |body| body.0.0 * 10)));
        findings.extend(engine_now.apply(&record, site, body, Timestamp(0)));
        if restart_at == Some(place) {
            let saved = engine_now.snapshot();
            engine_now = engine();
            engine_now.restore(&saved);
        }
    }
    findings.extend(engine_now.settle(Timestamp(100 * Timestamp::DAY)));
    findings.retain(|finding| finding.rule.name == "k");
    let line = |finding: &crate::finding::Finding| {
        assert_eq!((finding.site, finding.body), (SITE_STATE, None), "what it finds is the state's");
        let letter = |body: BodyId| char::from(u8::try_from(body.0.0).unwrap());
        let shares: Vec<String> = finding.shares.iter().map(|share| format!("{}{}", letter(share.body), share.records)).collect();
        let lines: Vec<String> = finding.evidence.iter().map(|seq| seq.0.to_string()).collect();
        format!("{} {} of {}", finding.entity.key(), lines.join(","), shares.join(" "))
    };
    findings.iter().map(line).collect::<Vec<_>>().join("; ")
}

fn document(correlation: &str) -> String {
    format!("title: K\nname: k\ncorrelation:\n  group-by: source.ip\n  timespan: 10s\n  {correlation}\nwartburg: {{scope: state}}\n")
}

const BODIES: &str = "type: value_count\n  rules: a\n  condition: {field: organization.id, gte: 3}";
const IP: &str = "203.0.113.9";

#[test]
fn bodies_are_counted_over_all_sites() {
    let check = |correlation: &str, story: &str, expected: &str| {
        let story = story.replace("IP", IP);
        assert_eq!(found(&document(correlation), &story), expected.replace("IP", IP), "{correlation} on {story}");
    };
    let story = "0 A IP\n1 B IP\n2 B IP\n3 C IP\n";
    check(BODIES, story, "ip:IP 1,2,3,4 of A1 B2 C1");
    check(BODIES, "0 A IP\n1 B IP\n2 B IP\n3 A IP\n", "");
    check(BODIES, "0 A IP\n1 B IP\n11 C IP\n", "");
    check(BODIES, "0 A IP\n1 B IP\n2 C 203.0.113.10\n", "");
    check(BODIES, "0 A IP\n1 B IP\n2 - IP\n", "");
    check(BODIES, "0 A 10.1.1.1\n1 B 10.1.1.1\n2 C 10.1.1.1\n", "");
    // More bodies later; late ones; and a record that comes twice.
    check(BODIES, &format!("{story}9 D IP\n"), "ip:IP 1,2,3,4 of A1 B2 C1; ip:IP 5 of D1");
    // A body that is known waits for the rest, one that is new is told at once, with what has waited.
    check(BODIES, &format!("{story}4 A IP\n5 D IP\n6 D IP\n"), "ip:IP 1,2,3,4 of A1 B2 C1; ip:IP 5,6 of A1 D1; ip:IP 7 of D1");
    check(BODIES, "3 C IP\n0 A IP\n1 B IP\n", "ip:IP 1,2,3 of A1 B1 C1");
    // Whatever else a correlation can do.
    check("type: event_count\n  rules: a\n  condition: {gte: 3}", "0 A IP\n1 A IP\n2 B IP\n", "ip:IP 1,2,3 of A2 B1");
    check("type: value_count\n  rules: a\n  condition: {field: organization.id, gte: 2, lt: 4}", story, "ip:IP 1,2,3,4 of A1 B2 C1");
    // Of what a correlation found at each body by itself: A's second comes from its other site, and does not add up there.
    let of_two = "type: value_count\n  rules: two\n  condition: {field: organization.id, gte: 2}";
    check(of_two, "0 A IP\n0 B IP\n2 A IP\n2 B IP\n", "ip:IP 3,4 of A1 B1");
    check(of_two, "0 A IP\n1 A IP\n2 B IP\n3 B IP\n", "");
}

#[test]
fn a_restart_anywhere_changes_nothing() {
    let story = "0 A IP\n1 B IP\n2 B IP\n9 C IP\n5 D IP\n30 A IP\n31 E IP\n32 F IP\n".replace("IP", IP);
    let whole = found(&document(BODIES), &story);
    assert_eq!(whole.split("; ").count(), 3, "{whole}");
    (0..8).for_each(|place| assert_eq!(found_from(&document(BODIES), &story, Some(place)), whole, "restart behind line {place}"));
}

#[test]
fn what_a_scope_cannot_be() {
    let refusals = |document: &str| {
        let (_, errors) = compile(&format!("{BASE}{document}"));
        errors.iter().map(|error| format!("{}: {}", error.rule.clone().unwrap_or_default(), error.message)).collect::<Vec<_>>().join("; ")
    };
    let state = document(BODIES);
    for (document, expected) in [
        (state.replace("scope: state", "scope: stat"), "k: unknown scope 'stat', did you mean 'state'?"),
        (
            state.replace("scope: state", "scope: site"),
            "k: 'organization.id' is the same throughout a site: counting bodies needs 'wartburg: {scope: state}'",
        ),
        (
            state.replace("group-by: source.ip", "group-by: [source.ip, organization.id]"),
            "k: 'organization.id' can be counted, not grouped by: then nothing is left to look over",
        ),
        (
            state.replace("group-by: source.ip", "group-by: destination.ip"),
            "k: the entity of a rule over all bodies must be one of its group-by fields: it is what they have in common",
        ),
        (
            state.replace("scope: state", "scope: state, entity: site"),
            "k: the entity of a rule over all bodies must be one of its group-by fields: it is what they have in common",
        ),
        (
            format!("{state}---\ntitle: L\nname: l\ncorrelation: {{type: event_count, rules: k, timespan: 1m, condition: {{gte: 2}}}}\n"),
            "l: 'k' looks over all bodies: what it finds is told, and counted by no other correlation",
        ),
        (
            "title: D\nname: d\nlogsource: {product: linux}\ndetection: {s: {event.action: a}, condition: s}\nwartburg: {scope: state}\n"
                .into(),
            "d: a detection judges one record: only a correlation has a scope",
        ),
    ] {
        assert_eq!(refusals(&document), expected, "{document}");
    }
}

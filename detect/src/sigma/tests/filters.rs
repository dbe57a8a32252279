//! Filter documents: pySigma's meaning, and what of them is refused or remarked.

use serde_json::json;

use super::*;

const RULE: &str = "title: T\nname: target\nid: 5f0c5a3e-52c6-4b2e-8f2f-0c9b5b7f5a01\nlogsource: {product: linux, service: sshd}\n\
    detection:\n  selection_a: {user.name: a}\n  selection_b: {host.name: h}\n  condition: 1 of selection_*\n---\n";

fn with(filter: &str) -> (RuleSet, Vec<RuleError>) {
    compile(&format!("{RULE}title: F\nname: f\nlogsource: {{product: linux}}\nfilter:\n{filter}"))
}

fn sshd(mut object: serde_json::Value) -> serde_json::Value {
    object["event.module"] = json!("sshd");
    object
}

/// filter; whether the target still fires on user a, on user a of host h, on host h.
#[test]
fn a_filter_narrows_its_rules() {
    let events = [json!({"user.name": "a"}), json!({"user.name": "a", "host.name": "h"}), json!({"host.name": "h"})].map(sshd);
    let table = [
        ("  rules: [target]\n  x: {host.name: h}\n  condition: not x\n", [true, false, false]),
        ("  rules: target\n  x: {host.name: h}\n  condition: not x\n", [true, false, false]),
        ("  rules: [5F0C5A3E-52C6-4B2E-8F2F-0C9B5B7F5A01]\n  x: {host.name: h}\n  condition: not x\n", [true, false, false]),
        ("  rules: any\n  x: {host.name: h}\n  condition: not x\n", [true, false, false]),
        ("  rules: ALL\n  x: {host.name: h}\n  condition: not x\n", [true, false, false]),
        ("  rules: []\n  x: {host.name: h}\n  condition: not x\n", [true, false, false]),
        ("  rules: [target]\n  x: {host.name: h}\n  y: {user.name: a}\n  condition: not (x and y)\n", [true, false, true]),
        // Patterns mean the filter's own selections only, the rule's mean the rule's.
        ("  rules: [target]\n  selection_x: {host.name: h}\n  condition: not 1 of selection_*\n", [true, false, false]),
        ("  rules: [target]\n  selection_a: {host.name: h}\n  condition: not selection_a\n", [true, false, false]),
        ("  rules: [target]\n  selection_x: {user.name: nobody}\n  condition: not all of them\n", [true, true, true]),
        // Without a `not`, the rule fires only where the filter holds.
        ("  rules: [target]\n  x: {host.name: h}\n  condition: x\n", [false, true, true]),
    ];
    for (filter, expected) in table {
        let (set, errors) = with(filter);
        assert_eq!(errors, [], "{filter}");
        let hits = events.each_ref().map(|event| matching(&set, event) == ["target"]);
        assert_eq!(hits, expected, "{filter}");
    }
}

#[test]
fn two_filters_and_a_list_of_conditions() {
    let text = RULE.replace("condition: 1 of selection_*", "condition: [selection_a, selection_b]")
        + "title: F\nname: f\nlogsource: {service: sshd}\nfilter: {rules: target, x: {user.id: '1'}, condition: not x}\n---\n\
           title: G\nname: g\nlogsource: {product: linux}\nfilter: {rules: any, x: {user.id: '2'}, condition: not x}\n";
    let (set, errors) = compile(&text);
    assert_eq!(errors, []);
    let fires = |id: &str, user: &str| !matching(&set, &sshd(json!({"user.name": user, "host.name": "h", "user.id": id}))).is_empty();
    assert_eq!([fires("1", "a"), fires("2", "a"), fires("3", "a"), fires("1", "b"), fires("3", "b")], [false, false, true, false, true]);
}

#[test]
fn filters_are_refused_by_line_and_name() {
    let table = [
        (
            "  rules: [targt]\n  x: {host.name: h}\n  condition: not x\n",
            14,
            "the filter refers to an unknown or refused rule 'targt', did you mean 'target'?",
        ),
        (
            "  x: {host.name: h}\n  condition: not x\n",
            13,
            "the filter does not say 'rules': the rules that it applies to, by id or name, or 'any'",
        ),
        (
            "  rules: {a: b}\n  x: {host.name: h}\n  condition: not x\n",
            14,
            "'rules' of a filter is the rules that it applies to, by id or name, or 'any'",
        ),
        ("  rules: any\n  x: {host.name: h}\n", 13, "the filter has no condition"),
        ("  rules: any\n  x: {host.name: h}\n  condition: [not x, x]\n", 16, "a filter has one condition, a text"),
        ("  rules: any\n  x: {host.name: h}\n  condition: not 1 of selection_*\n", 16, "no selection is called 'selection_*'"),
        ("  rules: any\n  x: {host.nam: h}\n  condition: not x\n", 15, "unknown field 'host.nam', did you mean 'host.name'?"),
        ("  rules: any\n  x: {host.name: h}\n  y: {host.name: i}\n  condition: not x\n", 16, "the condition does not use selection 'y'"),
    ];
    for (filter, line, message) in table {
        let (set, errors) = with(filter);
        assert_eq!(errors.iter().map(|error| (error.line, error.message.as_str())).collect::<Vec<_>>(), [(line, message)], "{filter}");
        assert_eq!(matching(&set, &sshd(json!({"user.name": "a"}))), ["target"], "the target goes on");
    }
    let whole = [
        ("title: F\nfilter: {rules: any, x: {host.name: h}, condition: not x}\n", "the filter has no logsource"),
        ("title: F\nwartburg: {alert: false}\nfilter: {rules: any}\n", "'wartburg' belongs to rules, not to a filter"),
        (
            "title: F\nlogsource: {product: linux}\ndetection: {}\nfilter: {rules: any}\n",
            "a document is a filter or has a detection, not both",
        ),
        (
            "title: F\nlogsource: {product: windows}\nfilter: {rules: [target], x: {host.name: h}, condition: not x}\n",
            "the filter is for another logsource than 'target', so it would never apply to it",
        ),
        (
            "title: F\nname: target\nlogsource: {product: linux}\nfilter: {rules: any, x: {host.name: h}, condition: not x}\n",
            "the name 'target' is taken by rules/x/y/rule.yml:1",
        ),
        (
            "title: C\nname: c\ncorrelation: {type: event_count, rules: target, timespan: 1m, condition: {gte: 2}}\n---\n\
          title: F\nname: f\nlogsource: {product: linux}\nfilter: {rules: c, x: {host.name: h}, condition: not x}\n",
            "'c' is a correlation; a filter applies to the rules that it refers to",
        ),
    ];
    for (filter, message) in whole {
        let (_, errors) = compile(&format!("{RULE}{filter}"));
        assert_eq!(errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>(), [message], "{filter}");
    }
}

#[test]
fn what_may_be_meant_otherwise_is_remarked() {
    let remarks = |set: &RuleSet| set.remarks().iter().map(ToString::to_string).collect::<Vec<_>>();
    let (set, _) = with("  rules: any\n  x: {host.name: h}\n  condition: x\n");
    let expected = "rules/x/y/rule.yml:10: the filter's condition has no 'not': the rules now fire only where it holds; to keep them quiet there, write 'not'";
    assert_eq!(remarks(&set), [expected]);
    let text = format!("{RULE}title: F\nlogsource: {{category: dns}}\nfilter: {{rules: any, x: {{host.name: h}}, condition: not x}}\n");
    let (set, errors) = compile(&text);
    assert_eq!(errors, []);
    assert_eq!(remarks(&set), ["rules/x/y/rule.yml:10: the filter's logsource covers no rule"]);
    let (set, _) = with("  rules: any\n  x: {host.name: h}\n  condition: not x\n");
    assert_eq!(remarks(&set), [""; 0]);
}

//! What rules mean and which are refused, as tables over whole rules. The meanings follow pySigma's.

use std::path::Path;

use expect_test::expect;
use ingest::frame::Seq;
use ingest::time::Timestamp;

use super::*;
use crate::json_record::JsonRecord;

fn compile(text: &str) -> (RuleSet, Vec<RuleError>) {
    RuleSet::compile([("rules/x/y/rule.yml".to_owned(), text.to_owned())])
}

/// Whether a detection matches each of the records.
fn matches(detection: &str, records: &[serde_json::Value]) -> Vec<bool> {
    let (set, errors) = compile(&format!("title: T\nlogsource: {{product: linux}}\ndetection:\n{detection}"));
    assert_eq!(errors, [], "{detection}");
    let Logic::Detection(compiled) = &set.rules()[0].logic else { panic!() };
    let matches = |record: &serde_json::Value| compiled.matches(&JsonRecord::new(record.as_object().unwrap(), Seq(1), Timestamp(0)));
    records.iter().map(matches).collect()
}

/// One `field|modifiers: value` against values of that field that must match, and others that must not.
fn check(item: &str, hits: &[serde_json::Value], misses: &[serde_json::Value]) {
    let field = item.split(['|', ':']).next().unwrap().trim_matches('\'');
    let record = |value: &serde_json::Value| serde_json::json!({ field: value });
    let detection = format!("  s:\n    {item}\n  condition: s\n");
    for hit in hits {
        assert_eq!(matches(&detection, &[record(hit)]), [true], "{item} on {hit}");
    }
    for miss in misses {
        assert_eq!(matches(&detection, &[record(miss)]), [false], "{item} on {miss}");
    }
}

#[test]
fn values_and_modifiers() {
    use serde_json::json;
    check("user.name: root", &[json!("root"), json!("ROOT"), json!(["x", "root"])], &[json!("roots"), json!(""), json!(null)]);
    check("user.name: [a, b*]", &[json!("A"), json!("bcd")], &[json!("c")]);
    check(r"user.name: 'a\*'", &[json!("a*")], &[json!("ab")]);
    check("user.name: ''", &[json!("")], &[json!(null), json!("x")]);
    check("user.name: null", &[json!(null)], &[json!(""), json!("x")]);
    check("user.name: [null, root]", &[json!(null), json!("root")], &[json!("x")]);
    check("user.name: '*'", &[json!(""), json!("x")], &[json!(null)]);
    check("user.name|contains: oo", &[json!("ROOT")], &[json!("ro")]);
    check("user.name|contains|all: [a, b]", &[json!("xbxa"), json!(["a", "b"])], &[json!("a"), json!("b")]);
    check("user.name|startswith: ro", &[json!("Root")], &[json!("aroot")]);
    check("user.name|endswith: [ot, in]", &[json!("root"), json!("admin")], &[json!("roots")]);
    check("user.name|cased: Root", &[json!("Root")], &[json!("root")]);
    check("user.name|contains|cased: oO", &[json!("roOt")], &[json!("root")]);
    check("user.name|exists: true", &[json!(""), json!("x")], &[json!(null)]);
    check("user.name|exists: false", &[json!(null)], &[json!("x")]);
    check("user.name|re: '^r[o0]+t$'", &[json!("root"), json!("r00t")], &[json!("Root"), json!("roots")]);
    check("user.name|re|i: '^ROOT'", &[json!("rooted")], &[json!("x root")]);
    check("user.name|re|i|s: 'a.b'", &[json!("A\nB")], &[json!("ab")]);
    check("user.name|re|m: '^b$'", &[json!("a\nb\nc")], &[json!("abc")]);
    check("destination.port: 22", &[json!(22), json!("22")], &[json!(2222), json!("ssh")]);
    check("destination.port: '2*'", &[json!(22)], &[json!(32)]);
    check("destination.port|gte: 1024", &[json!(1024), json!("65535")], &[json!(1023), json!("x"), json!(null)]);
    check("destination.port|lt: 1024", &[json!(1023)], &[json!(1024), json!(null)]);
    check("destination.port|gt: 10.5", &[json!(11)], &[json!(10)]);
    check("destination.port|lte: 10", &[json!(10)], &[json!(11)]);
    check("source.ip|cidr: 10.20.0.0/16", &[json!("10.20.255.1"), json!("::ffff:10.20.0.1")], &[json!("10.21.0.1"), json!("x")]);
    check("source.ip|cidr: [fd00::/8, 192.0.2.0/24]", &[json!("fd12::1"), json!("192.0.2.9")], &[json!("fe80::1")]);
    check("source.ip: '10.*'", &[json!("10.1.2.3")], &[json!("110.1.2.3")]);
    check("fortinet.firewall.policyid: 7", &[json!("7"), json!(7)], &[json!(8)]);
    check("tags: true", &[json!(true), json!("True")], &[json!(false), json!(1)]);
}

#[test]
fn maps_lists_and_keywords() {
    use serde_json::json;
    let records = [
        json!({"user.name": "a", "host.name": "h"}),
        json!({"user.name": "a"}),
        json!({"host.name": "h"}),
        json!({"message": "Failed password for ROOT from x", "user.name": "root"}),
        json!({"message": "Failed publickey"}),
    ];
    let table = [
        ("  s: {user.name: a, host.name: h}\n  condition: s\n", [true, false, false, false, false]),
        ("  s: [{user.name: a}, {host.name: h}]\n  condition: s\n", [true, true, true, false, false]),
        ("  s: [failed password, '*x*y*']\n  condition: s\n", [false, false, false, true, false]),
        ("  s: [{host.name: h}, publickey]\n  condition: s\n", [true, false, true, false, true]),
        ("  s: {'|all': [failed, root]}\n  condition: s\n", [false, false, false, true, false]),
        ("  s: failed\n  f: {user.name: root}\n  condition: s and not f\n", [false, false, false, false, true]),
        ("  s: {user.name: a}\n  t: {host.name: h}\n  condition: [s, t]\n", [true, true, true, false, false]),
        ("  s1: {user.name: a}\n  s2: {host.name: h}\n  condition: all of s*\n", [true, false, false, false, false]),
        ("  s1: {user.name: a}\n  s2: {host.name: h}\n  condition: not 1 of s*\n", [false, false, false, true, true]),
    ];
    for (detection, expected) in table {
        assert_eq!(matches(detection, &records), expected, "{detection}");
    }
    // A flow has no text: keywords look at its values.
    assert_eq!(
        matches("  s: '192.0.2'\n  condition: s\n", &[json!({"source.ip": "192.0.2.1"}), json!({"source.ip": "192.0.3.1"})]),
        [true, false]
    );
}

const HEAD: &str = "title: T\nlogsource: {product: linux}\ndetection:\n";

#[test]
fn what_is_not_supported_is_refused_by_line_and_name() {
    let detections = [
        "  s:\n    sorce.ip: x\n  condition: s\n",
        "  s: {CommandLine: x}\n  condition: s\n",
        "  s: {user.name|contians: x}\n  condition: s\n",
        "  s: {user.name|base64offset|contains: x}\n  condition: s\n",
        "  s: {user.name|contains|endswith: x}\n  condition: s\n",
        "  s: {user.name|i: x}\n  condition: s\n",
        "  s: {user.name|re|cased: x}\n  condition: s\n",
        "  s: {user.name|re: '(?=x)'}\n  condition: s\n",
        "  s: {user.name|re: 'a{1000}{1000}'}\n  condition: s\n",
        "  s: {user.name|gte: many}\n  condition: s\n",
        "  s: {user.name|exists: maybe}\n  condition: s\n",
        "  s: {user.name|contains: null}\n  condition: s\n",
        "  s: {source.ip|cidr: 10.0.0.1/8}\n  condition: s\n",
        "  s: {source.ip|cidr: 10.0.0.0/99}\n  condition: s\n",
        "  s: {user.name: []}\n  condition: s\n",
        "  s: {user.name: {a: b}}\n  condition: s\n",
        "  s: {}\n  condition: s\n",
        "  s: {user.name: x}\n",
        "  s: {user.name: x}\n  condition: selection\n",
        "  s: {user.name: x}\n  filter: {user.name: y}\n  condition: s and not 1 of fliter*\n",
        "  s: {user.name: x}\n  t: {user.name: y}\n  condition: s\n",
        "  s: {user.name: x}\n  condition: s | count() > 5\n",
        "  s: {user.name: x}\n  condition: s\nlevle: high\n",
        "  s: {user.name: x}\n  condition: s\nlevel: severe\n",
        "  s: {user.name: x}\n  condition: s\nid: 17\n",
        "  s: {user.name: x}\n  condition: s\nwartburg: {rsit: intrusions/privileged-acount-compromise}\n",
        "  s: {user.name: x}\n  condition: s\nwartburg: {entity: destination.port}\n",
        "  s: {user.name: x}\n  condition: s\nwartburg: {playbok: x}\n",
        "  s: {user.name: x\n",
        "  s: {user.name: x}\n  s: {user.name: x}\n  condition: s\n",
    ];
    let mut shown = String::new();
    for detection in detections {
        let (set, errors) = compile(&format!("{HEAD}{detection}"));
        assert!(set.rules().is_empty(), "{detection}");
        errors.iter().for_each(|error| shown.push_str(&format!("{error}\n")));
    }
    for whole in [
        "logsource: {product: linux}\n",
        "title: T\n",
        "title: T\nlogsource: {product: windows}\ndetection: {s: {user.name: x}, condition: s}\n",
        "title: T\nlogsource: {service: sshhd}\ndetection: {s: {user.name: x}, condition: s}\n",
        "title: T\ndetection: {s: {user.name: x}, condition: s}\n",
        "action: global\n",
        "title: T\nfilter: {rules: [x]}\n",
        "",
        "- a\n",
    ] {
        let (_, errors) = compile(whole);
        errors.iter().for_each(|error| shown.push_str(&format!("{error}\n")));
    }
    expect![[r#"
        rules/x/y/rule.yml:5: unknown field 'sorce.ip', did you mean 'source.ip'?
        rules/x/y/rule.yml:4: unknown field 'CommandLine'
        rules/x/y/rule.yml:4: unknown modifier 'contians', did you mean 'contains'?
        rules/x/y/rule.yml:4: modifier 'base64offset' is not supported yet
        rules/x/y/rule.yml:4: modifier 'endswith' does not go together with the one before it
        rules/x/y/rule.yml:4: modifier 'i' stands only behind 're'
        rules/x/y/rule.yml:4: modifier 'cased' is for texts
        rules/x/y/rule.yml:4: regular expression: look-around, including look-ahead and look-behind, is not supported
        rules/x/y/rule.yml:4: regular expression: Compiled regex exceeds size limit of 1048576 bytes.
        rules/x/y/rule.yml:4: a comparison needs a number, not a text
        rules/x/y/rule.yml:4: 'exists' needs a field and true or false
        rules/x/y/rule.yml:4: a text is expected here, not nothing
        rules/x/y/rule.yml:4: the range '10.0.0.1/8' has host bits set, it would be '10.0.0.0/8'
        rules/x/y/rule.yml:4: not an address prefix (such as 10.20.0.0/16 or fd00:1::/48): "10.0.0.0/99"
        rules/x/y/rule.yml:4: 'user.name' has an empty list
        rules/x/y/rule.yml:4: a value is expected here, not a map
        rules/x/y/rule.yml:4: selection 's' is empty
        rules/x/y/rule.yml:3: the detection has no condition
        rules/x/y/rule.yml:5: unknown selection 'selection' in the condition
        rules/x/y/rule.yml:6: no selection is called 'fliter*'
        rules/x/y/rule.yml:5: the condition does not use selection 't'
        rules/x/y/rule.yml:5: aggregations behind '|' are not supported: write a correlation
        rules/x/y/rule.yml:6: unknown key 'levle', did you mean 'level'?
        rules/x/y/rule.yml:6: level 'severe' is not valid: expected informational, low, medium, high, critical
        rules/x/y/rule.yml:6: id '17' is not valid: expected a UUID
        rules/x/y/rule.yml:6: unknown RSIT class 'intrusions/privileged-acount-compromise', did you mean 'intrusions/privileged-account-compromise'?
        rules/x/y/rule.yml:6: 'destination.port' names no address, host or account, so it cannot be the entity
        rules/x/y/rule.yml:6: unknown wartburg key 'playbok', did you mean 'playbook'?
        rules/x/y/rule.yml:4: unclosed bracket '{'
        rules/x/y/rule.yml:5: duplicate mapping key: s
        rules/x/y/rule.yml:1: the rule has no title
        rules/x/y/rule.yml:1: the rule has neither a detection nor a correlation
        rules/x/y/rule.yml:2: no records of logsource product 'windows' are decoded
        rules/x/y/rule.yml:2: no records of logsource service 'sshhd' are decoded, did you mean 'sshd'?
        rules/x/y/rule.yml:2: the rule has no logsource
        rules/x/y/rule.yml:1: documents with 'action' are not supported yet
        rules/x/y/rule.yml:2: filters are not supported yet
        rules/x/y/rule.yml:1: the file holds no rule
        rules/x/y/rule.yml:1: a rule must be a map, not a list
    "#]].assert_eq(&shown);
}

#[test]
fn correlations_are_refused_by_line_and_name() {
    let base = format!("{HEAD}  s: {{user.name: x}}\n  condition: s\nname: base\n---\ntitle: C\nname: corr\ncorrelation:\n");
    let correlations = [
        "  type: event_count\n  rules: [bse]\n  timespan: 5m\n  condition: {gte: 2}\n",
        "  type: event_cuont\n  rules: [base]\n  timespan: 5m\n  condition: {gte: 2}\n",
        "  type: value_sum\n  rules: [base]\n  timespan: 5m\n  condition: {gte: 2}\n",
        "  type: event_count\n  rules: [base]\n  timespan: 5\n  condition: {gte: 2}\n",
        "  type: event_count\n  rules: [base]\n  timespan: 90d\n  condition: {gte: 2}\n",
        "  type: event_count\n  rules: [base]\n  condition: {gte: 2}\n",
        "  type: event_count\n  rules: [base]\n  timespan: 5m\n",
        "  type: event_count\n  rules: [base]\n  timespan: 5m\n  condition: {gte: 0}\n",
        "  type: event_count\n  rules: [base]\n  timespan: 5m\n  condition: {gte: 2.5}\n",
        "  type: event_count\n  rules: [base]\n  timespan: 5m\n  condition: {gte: 2, lte: 5}\n",
        "  type: event_count\n  rules: [base]\n  timespan: 5m\n  condition: {least: 2}\n",
        "  type: event_count\n  rules: [base]\n  timespan: 5m\n  group-by: [sorce.ip]\n  condition: {gte: 2}\n",
        "  type: event_count\n  rules: [base, base]\n  timespan: 5m\n  condition: {gte: 2}\n",
        "  type: event_count\n  rules: []\n  timespan: 5m\n  condition: {gte: 2}\n",
        "  type: value_count\n  rules: [base]\n  timespan: 5m\n  condition: {gte: 2}\n",
        "  type: value_count\n  rules: [base]\n  timespan: 5m\n  condition: {gte: 2, field: user.nme}\n",
        "  type: temporal\n  rules: [base]\n  timespan: 5m\n  condition: {gte: 2}\n",
        "  type: temporal\n  rules: [base]\n  timespan: 5m\n  aliases: {}\n",
        "  type: temporal\n  rules: [base]\n  timespan: 5m\n  windw: 1\n",
        "  type: event_count\n  rules: [corr]\n  timespan: 5m\n  condition: {gte: 2}\n",
        "  type: event_count\n  rules: [base]\n  timespan: 5m\n  group-by: source.ip\n  condition: {gte: 2}\n---\ntitle: D\nname: outer\ncorrelation:\n  type: event_count\n  rules: corr\n  timespan: 1h\n  group-by: user.name\n  condition: {gte: 2}\n",
        "  type: event_count\n  rules: [gone]\n  timespan: 5m\n  condition: {gte: 2}\n---\ntitle: D\nname: outer\ncorrelation:\n  type: event_count\n  rules: corr\n  timespan: 1h\n  condition: {gte: 2}\n",
        "  type: event_count\n  rules: base\n  timespan: 5m\n  condition: {gte: 2}\n---\ntitle: D\nname: base\nlogsource: {product: linux}\ndetection: {s: {user.name: x}, condition: s}\n",
    ];
    let mut shown = String::new();
    for correlation in correlations {
        let (set, errors) = compile(&format!("{base}{correlation}"));
        assert_eq!(set.rules()[0].rule.name, "base", "the others go on");
        assert!(!errors.is_empty(), "{correlation}");
        errors.iter().for_each(|error| shown.push_str(&format!("{error}\n")));
    }
    expect![[r#"
        rules/x/y/rule.yml:12: the correlation refers to an unknown or refused rule 'bse', did you mean 'base'?
        rules/x/y/rule.yml:11: unknown correlation type 'event_cuont', did you mean 'event_count'?
        rules/x/y/rule.yml:11: correlation type 'value_sum' is not supported yet
        rules/x/y/rule.yml:13: '5' is no time span (such as 30s, 5m, 1h or 7d)
        rules/x/y/rule.yml:13: a time span of 90d is too long: windows are kept for at most 30d
        rules/x/y/rule.yml:10: the correlation has no timespan
        rules/x/y/rule.yml:10: the correlation has no condition
        rules/x/y/rule.yml:14: the condition must mean 1 to 10000 events
        rules/x/y/rule.yml:14: a whole number is expected, not a number
        rules/x/y/rule.yml:14: ranges in a condition are not supported yet
        rules/x/y/rule.yml:14: unknown operator 'least': use gte, gt, lte, lt or eq
        rules/x/y/rule.yml:14: unknown field 'sorce.ip', did you mean 'source.ip'?
        rules/x/y/rule.yml:12: the correlation refers to 'base' twice
        rules/x/y/rule.yml:10: a correlation refers to 1 to 16 rules, this one to 0
        rules/x/y/rule.yml:10: the condition of a value_count needs a field
        rules/x/y/rule.yml:14: unknown field 'user.nme', did you mean 'user.name'?
        rules/x/y/rule.yml:14: a condition on 'temporal' is not supported yet
        rules/x/y/rule.yml:14: 'aliases' in correlations are not supported yet
        rules/x/y/rule.yml:14: unknown key 'windw' in the correlation
        rules/x/y/rule.yml:8: the correlations refer to each other in a circle
        rules/x/y/rule.yml:19: 'user.name' is needed here, but 'corr' does not group by it
        rules/x/y/rule.yml:12: the correlation refers to an unknown or refused rule 'gone'
        rules/x/y/rule.yml:16: a rule that the correlation refers to was refused
        rules/x/y/rule.yml:16: the name 'base' is taken by rules/x/y/rule.yml:1
    "#]]
    .assert_eq(&shown);
}

#[test]
fn rules_refer_by_name_or_id_in_any_order_and_base_rules_are_silent() {
    let text = "title: C\nname: corr\ncorrelation: {type: temporal, rules: [5F0C5A3E-52c6-4b2e-8f2f-0c9b5b7f5a01, other], timespan: 5m, generate: true}\n---\n\
        title: D\nname: outer\ncorrelation: {type: event_count, rules: corr, timespan: 1h, condition: {gte: 2}}\n---\n\
        title: A\nid: 5f0c5a3e-52c6-4b2e-8f2f-0c9b5b7f5a01\nlogsource: {product: linux}\ndetection: {s: {user.name: x}, condition: s}\n---\n\
        title: B\nname: other\nlogsource: {product: linux}\ndetection: {s: {user.name: y}, condition: s}\nwartburg: {alert: false}\n";
    let (set, errors) = compile(text);
    assert_eq!(errors, []);
    let shown: Vec<(&str, bool)> = set.rules().iter().map(|compiled| (compiled.rule.name.as_str(), compiled.alerts)).collect();
    // `corr` is referred to without `generate`, `y` (the folder's name) with it.
    assert_eq!(shown, [("y", true), ("other", false), ("corr", false), ("outer", true)]);
}

#[test]
fn metadata_is_read() {
    let text = format!(
        "{HEAD}  s: {{user.name: x}}\n  condition: s\nid: 5F0C5A3E-52C6-4B2E-8F2F-0C9B5B7F5A01\nlevel: high\ntags: [attack.persistence, attack.t1136.001, cve.2021-44228]\n\
         wartburg: {{rsit: intrusions/burglary, playbook: p, entity: host.name}}\ncustom_key: 1\n"
    );
    let (set, errors) = compile(&text);
    assert_eq!(errors, []);
    expect![[r#"
        Rule {
            id: "5f0c5a3e-52c6-4b2e-8f2f-0c9b5b7f5a01",
            name: "y",
            title: "T",
            description: "",
            level: High,
            rsit: "intrusions/burglary",
            attack: [
                "T1136.001",
            ],
            playbook: Some(
                "p",
            ),
        }
    "#]]
    .assert_eq(&format!("{:#?}\n", set.rules()[0].rule));
}

#[test]
fn large_rules_are_bounded() {
    let values = "x, ".repeat(10_001);
    let (_, errors) = compile(&format!("{HEAD}  s: {{user.name: [{values}]}}\n  condition: s\n"));
    assert_eq!(errors[0].message, "the rule has more than 10000 values");
    let (set, errors) = compile(&format!("{HEAD}  s: {{user.name: [{}]}}\n  condition: s\n", "x, ".repeat(9_000)));
    assert_eq!((set.rules().len(), errors.len()), (1, 0));
}

/// Prints how the public rules fare; nearly all speak of fields that no pipeline maps to ECS yet.
#[test]
#[ignore = "needs the corpora beside the repository"]
fn public_rules() {
    let Some(dir) = std::env::var_os("WARTBURG_CORPORA") else { return };
    let (set, errors) = RuleSet::load(&[Path::new(&dir).join("sigma/rules")]);
    let mut reasons = std::collections::BTreeMap::<String, usize>::new();
    for error in &errors {
        *reasons.entry(error.message.split('\'').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    println!("{} compile, {} are refused: {reasons:#?}", set.rules().len(), errors.len());
}

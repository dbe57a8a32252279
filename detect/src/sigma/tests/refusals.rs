//! What is refused, by file, line and name: nothing that means something is accepted and then ignored.

use expect_test::expect;

use super::*;

#[test]
fn what_is_not_supported_is_refused_by_line_and_name() {
    let detections = [
        "  s:\n    sorce.ip: x\n  condition: s\n",
        "  s: {CommandLine: x}\n  condition: s\n",
        "  s: {user.name|contians: x}\n  condition: s\n",
        "  s: {user.name|base64offset|contains: x}\n  condition: s\n",
        "  s: {user.name|base64: 'x*'}\n  condition: s\n",
        "  s: {user.name|utf16: x}\n  condition: s\n",
        "  s: {user.name|hour: 24}\n  condition: s\n",
        "  s: {user.name|hour: late}\n  condition: s\n",
        "  s: {user.name|fieldref: 'user.*'}\n  condition: s\n",
        "  s: {user.name|fieldref: usr.name}\n  condition: s\n",
        "  s: {user.name|expand: '%Administrators%'}\n  condition: s\n",
        "  s: {'|cidr': 10.0.0.0/8}\n  condition: s\n",
        "  s: {'@timestamp': x}\n  condition: s\n",
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
        "  s: {user.name: x}\n  condition: s\ntags: [attack.t1110, brute]\n",
        "  s: {user.name: x}\n  condition: s\ndate: 31.1.2026\n",
        "  s: {user.name: x}\n  condition: s\nrelated: [{id: 5f0c5a3e-52c6-4b2e-8f2f-0c9b5b7f5a01, type: twin}]\n",
        "  s: {user.name: x}\n  condition: s\ntaxonomy: ocsf\n",
        "  s: {user.name: x}\n  condition: s\nstatus: done\n",
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
        "title: T\nlogsource: {product: okta}\ndetection: {s: {user.name: x}, condition: s}\n",
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
        rules/x/y/rule.yml:4: the value is too short to be recognised within base64
        rules/x/y/rule.yml:4: a value with wildcards cannot be encoded
        rules/x/y/rule.yml:4: utf16 of this value is no text: 'base64' or 'base64offset' must follow
        rules/x/y/rule.yml:4: there is no hour 24
        rules/x/y/rule.yml:4: a part of a time is a whole number, not a text
        rules/x/y/rule.yml:4: 'user.*' is no field's name: it has wildcards
        rules/x/y/rule.yml:4: unknown field 'usr.name', did you mean 'user.name'?
        rules/x/y/rule.yml:4: placeholder '%Administrators%' has no values: name it in placeholders.yml beside the rules
        rules/x/y/rule.yml:4: modifier 'cidr' needs a field
        rules/x/y/rule.yml:4: unknown field '@timestamp'
        rules/x/y/rule.yml:4: modifier 'endswith' does not go together with 'contains' before it
        rules/x/y/rule.yml:4: modifier 'i' stands only behind 're'
        rules/x/y/rule.yml:4: modifier 'cased' does not go together with 're' before it
        rules/x/y/rule.yml:4: regular expression: look-around, including look-ahead and look-behind, is not supported
        rules/x/y/rule.yml:4: regular expression: Compiled regex exceeds size limit of 1048576 bytes.
        rules/x/y/rule.yml:4: a comparison needs a number, not a text
        rules/x/y/rule.yml:4: 'exists' needs true or false, not a text
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
        rules/x/y/rule.yml:6: tag 'brute' has no namespace (such as attack.t1110)
        rules/x/y/rule.yml:6: date '31.1.2026' is not valid: expected a date such as 2026-01-31
        rules/x/y/rule.yml:6: type 'twin' is not valid: expected derived, obsolete, merged, renamed, similar
        rules/x/y/rule.yml:6: taxonomy 'ocsf' is not valid: expected sigma, ecs
        rules/x/y/rule.yml:6: status 'done' is not valid: expected stable, test, experimental, deprecated, unsupported
        rules/x/y/rule.yml:6: unknown RSIT class 'intrusions/privileged-acount-compromise', did you mean 'intrusions/privileged-account-compromise'?
        rules/x/y/rule.yml:6: 'destination.port' names no address, host, account or indicator, so it cannot be the entity
        rules/x/y/rule.yml:6: unknown wartburg key 'playbok', did you mean 'playbook'?
        rules/x/y/rule.yml:4: unclosed bracket '{'
        rules/x/y/rule.yml:5: duplicate mapping key: s
        rules/x/y/rule.yml:1: the rule has no title
        rules/x/y/rule.yml:1: the rule has neither a detection nor a correlation
        rules/x/y/rule.yml:2: no records of logsource product 'okta' are decoded
        rules/x/y/rule.yml:2: no records of logsource service 'sshhd' are decoded, did you mean 'sshd'?
        rules/x/y/rule.yml:2: the rule has no logsource
        rules/x/y/rule.yml:1: the file holds no rule
        rules/x/y/rule.yml:1: the filter has no logsource
        rules/x/y/rule.yml:1: the file holds no rule
        rules/x/y/rule.yml:1: a rule must be a map, not a list
    "#]].assert_eq(&shown);
}

#[test]
fn correlations_are_refused_by_line_and_name() {
    let rule = |name: &str| format!("{HEAD}  s: {{user.name: x}}\n  condition: s\nname: {name}\n---\n");
    let base = format!("{}{}title: C\nname: corr\ncorrelation:\n", rule("base"), rule("other"));
    // Of the type, the rules and the rest.
    let correlation = |kind: &str, rules: &str, rest: &str| format!("  type: {kind}\n  rules: {rules}\n  timespan: 5m\n{rest}");
    let counting = |rest: &str| correlation("event_count", "[base]", rest);
    let behind = |first: &str, name: &str, rest: &str| format!("{first}---\ntitle: D\nname: {name}\n{rest}");
    let outer = "correlation:\n  type: event_count\n  rules: corr\n  timespan: 1h\n";
    let two = "[base, other]";
    let many = (0..9).map(|n| format!("r{n}")).collect::<Vec<_>>().join(", ");
    let correlations = [
        correlation("event_count", "[bse]", "  condition: {gte: 2}\n"),
        correlation("event_cuont", "[base]", "  condition: {gte: 2}\n"),
        "  type: event_count\n  rules: [base]\n  timespan: 5\n  condition: {gte: 2}\n".into(),
        "  type: event_count\n  rules: [base]\n  timespan: +5m\n  condition: {gte: 2}\n".into(),
        "  type: event_count\n  rules: [base]\n  timespan: 90d\n  condition: {gte: 2}\n".into(),
        "  type: event_count\n  rules: [base]\n  timespan: 1y\n  condition: {gte: 2}\n".into(),
        "  type: event_count\n  rules: [base]\n  condition: {gte: 2}\n".into(),
        counting(""),
        counting("  condition: {gte: 0}\n"),
        counting("  condition: {lt: 1}\n"),
        counting("  condition: {eq: 2.5}\n"),
        counting("  condition: {neq: 0}\n"),
        counting("  condition: {gt: 5, lt: 6}\n"),
        counting("  condition: {gte: many}\n"),
        counting("  condition: {gt: 2, gte: 3}\n"),
        counting("  condition: {eq: 2, lt: 3}\n"),
        counting("  condition: {least: 2}\n"),
        counting("  condition: {field: user.name}\n"),
        counting("  condition: {gte: 2, field: user.name}\n"),
        counting("  condition: {gte: 2, percentile: 5}\n"),
        counting("  condition: base\n"),
        counting("  group-by: [sorce.ip]\n  condition: {gte: 2}\n"),
        counting("  generate: perhaps\n  condition: {gte: 2}\n"),
        correlation("event_count", "[base, base]", "  condition: {gte: 2}\n"),
        correlation("event_count", "[]", "  condition: {gte: 2}\n"),
        correlation("value_count", "[base]", "  condition: {gte: 2}\n"),
        correlation("value_count", "[base]", "  condition: {gte: 2, field: user.nme}\n"),
        correlation("value_count", "[base]", "  condition: {gte: 20000, field: user.name}\n"),
        correlation("value_sum", "[base]", "  condition: {gte: 2}\n"),
        correlation("value_avg", "[base]", "  condition: {gte: 2, field: [source.bytes, source.port]}\n"),
        correlation("value_avg", "[base]", "  condition: {gt: 2, lt: 2, field: source.bytes}\n"),
        correlation("value_percentile", "[base]", "  condition: {gte: 2, field: source.bytes}\n"),
        correlation("value_percentile", "[base]", "  condition: {gte: 2, field: source.bytes, percentile: 101}\n"),
        correlation("temporal", two, "  condition: {gte: 3}\n"),
        correlation("temporal", two, "  condition: {gte: 2, field: user.name}\n"),
        correlation("temporal", two, "  condition: base and bse\n"),
        correlation("temporal", two, "  condition: base\n"),
        correlation("temporal", two, "  condition: not base and not other\n"),
        correlation("temporal", two, "  condition: base near other\n"),
        correlation("temporal", "[]", "  condition: 1 of ba*\n"),
        correlation("temporal_ordered", two, "  condition: base and not other\n"),
        correlation("temporal_ordered", two, "  condition: {lte: 1}\n"),
        correlation("temporal_ordered", &format!("[{many}]"), "  condition: {gte: 4}\n"),
        correlation("temporal", two, "  aliases: []\n"),
        correlation("temporal", two, "  aliases: {ip: source.ip}\n"),
        correlation("temporal", two, "  aliases: {ip: {base: source.ip, other: destination.ip}}\n"),
        correlation("temporal", two, "  group-by: ip\n  aliases: {ip: {base: source.ip}}\n"),
        correlation("temporal", two, "  group-by: ip\n  aliases: {ip: {base: source.ip, othr: source.ip}}\n"),
        correlation("temporal", two, "  group-by: ip\n  aliases: {ip: {base: source.ip, other: destination.pi}}\n"),
        correlation("temporal", "[base]", "  windw: 1\n"),
        correlation("event_count", "[corr]", "  condition: {gte: 2}\n"),
        behind(
            &counting("  group-by: source.ip\n  condition: {gte: 2}\n"),
            "outer",
            &format!("{outer}  group-by: user.name\n  condition: {{gte: 2}}\n"),
        ),
        behind(&correlation("event_count", "[gone]", "  condition: {gte: 2}\n"), "outer", &format!("{outer}  condition: {{gte: 2}}\n")),
        behind(&counting("  condition: {gte: 2}\n"), "base", "logsource: {product: linux}\ndetection: {s: {user.name: x}, condition: s}\n"),
    ];
    let mut shown = String::new();
    for correlation in correlations {
        let (set, errors) = compile(&format!("{base}{correlation}"));
        assert!(!errors.is_empty(), "{correlation}");
        assert!(set.rules().first().is_some_and(|first| first.rule.name == "base"), "the others go on: {errors:?}");
        errors.iter().for_each(|error| shown.push_str(&format!("{error}\n")));
    }
    expect![[r#"
        rules/x/y/rule.yml:19: the correlation refers to an unknown or refused rule 'bse', did you mean 'base'?
        rules/x/y/rule.yml:18: unknown correlation type 'event_cuont', did you mean 'event_count'?
        rules/x/y/rule.yml:20: '5' is no time span (such as 30s, 5m, 1h or 7d)
        rules/x/y/rule.yml:20: '+5m' is no time span (such as 30s, 5m, 1h or 7d)
        rules/x/y/rule.yml:20: a time span of 90d is too long: windows are kept for at most 31d
        rules/x/y/rule.yml:20: a time span of 1y is too long: windows are kept for at most 31d
        rules/x/y/rule.yml:17: the correlation has no timespan
        rules/x/y/rule.yml:17: the correlation has no condition
        rules/x/y/rule.yml:21: the condition must mean 1 to 1000000000 events
        rules/x/y/rule.yml:21: the condition must mean 1 to 1000000000 events
        rules/x/y/rule.yml:21: the condition must mean 1 to 1000000000 events
        rules/x/y/rule.yml:21: the condition must mean 1 to 1000000000 events
        rules/x/y/rule.yml:21: the condition must mean 1 to 1000000000 events
        rules/x/y/rule.yml:21: a number is expected, not a text
        rules/x/y/rule.yml:21: 'gte' and another operator of the condition say the same end twice
        rules/x/y/rule.yml:21: 'lt' and another operator of the condition say the same end twice
        rules/x/y/rule.yml:21: unknown operator 'least': use gte, gt, lte, lt, eq or neq
        rules/x/y/rule.yml:21: the condition has no operator: use gte, gt, lte, lt, eq or neq
        rules/x/y/rule.yml:21: an event_count counts records: 'field' belongs to value_count
        rules/x/y/rule.yml:21: 'percentile' belongs to value_percentile
        rules/x/y/rule.yml:21: the condition must be a map such as 'gte: 10', not a text
        rules/x/y/rule.yml:21: unknown field 'sorce.ip', did you mean 'source.ip'?
        rules/x/y/rule.yml:21: 'generate' must be true or false
        rules/x/y/rule.yml:19: the correlation refers to 'base' twice
        rules/x/y/rule.yml:17: a correlation refers to 1 to 16 rules, this one to 0
        rules/x/y/rule.yml:17: the condition of a value_count needs a field
        rules/x/y/rule.yml:21: unknown field 'user.nme', did you mean 'user.name'?
        rules/x/y/rule.yml:21: the condition must mean 1 to 10000 different values
        rules/x/y/rule.yml:17: the condition of a value_sum needs a field
        rules/x/y/rule.yml:21: a value_avg reckons with one field
        rules/x/y/rule.yml:21: no number lies between the condition's limits
        rules/x/y/rule.yml:17: the condition of a value_percentile needs a percentile
        rules/x/y/rule.yml:21: a percentile is a number from 0 to 100
        rules/x/y/rule.yml:21: the condition must mean 1 to 2 rules
        rules/x/y/rule.yml:21: a temporal correlation counts its rules: it has neither field nor percentile
        rules/x/y/rule.yml:21: unknown rule 'bse' in the condition, did you mean 'base'?
        rules/x/y/rule.yml:19: the condition does not use rule 'other'
        rules/x/y/rule.yml:21: the condition holds for none of its rules: no window is judged without a record
        rules/x/y/rule.yml:21: unexpected 'near' in the condition
        rules/x/y/rule.yml:21: a pattern needs the rules' names: list them under 'rules'
        rules/x/y/rule.yml:21: 'not' has no place in an order: use temporal
        rules/x/y/rule.yml:21: of rules in order there can be asked for at least so many: use gte or gt
        rules/x/y/rule.yml:21: the rules can follow each other in more than 32 ways
        rules/x/y/rule.yml:21: aliases must be a map, not a list
        rules/x/y/rule.yml:21: alias 'ip' must be a map, not a text
        rules/x/y/rule.yml:21: the correlation does not use the alias 'ip'
        rules/x/y/rule.yml:21: the alias 'ip' says nothing of 'other'
        rules/x/y/rule.yml:22: the alias 'ip' speaks of 'othr', which the correlation does not refer to, did you mean 'other'?
        rules/x/y/rule.yml:22: unknown field 'destination.pi', did you mean 'destination.ip'?
        rules/x/y/rule.yml:21: unknown key 'windw' in the correlation
        rules/x/y/rule.yml:15: the correlations refer to each other in a circle
        rules/x/y/rule.yml:30: 'user.name' is needed here, but 'corr' does not group by it
        rules/x/y/rule.yml:19: the correlation refers to an unknown or refused rule 'gone'
        rules/x/y/rule.yml:23: a rule that the correlation refers to was refused
        rules/x/y/rule.yml:23: the name 'base' is taken by rules/x/y/rule.yml:1
    "#]]
    .assert_eq(&shown);
}

#[test]
fn large_rules_are_bounded() {
    let values = "x, ".repeat(10_001);
    let (_, errors) = compile(&format!("{HEAD}  s: {{user.name: [{values}]}}\n  condition: s\n"));
    assert_eq!(errors[0].message, "the rule has more than 10000 values");
    let (set, errors) = compile(&format!("{HEAD}  s: {{user.name: [{}]}}\n  condition: s\n", "x, ".repeat(9_000)));
    assert_eq!((set.rules().len(), errors.len()), (1, 0));
}

#[test]
fn a_rule_made_to_cost_is_bounded() {
    let selections: String = (0..600).map(|n| format!("  s{n}: {{user.name: x}}\n")).collect();
    let (_, errors) = compile(&format!("{HEAD}{selections}  condition: 1 of s*\n"));
    assert_eq!(errors[0].message, "the detection has more than 500 selections");
    let (_, errors) = compile(&format!("{HEAD}  s: {{user.name: {}}}\n  condition: s\n", "x".repeat(9_000)));
    assert_eq!(errors[0].message, "a value is longer than 8192 bytes");
    let (_, errors) = compile(&format!("{HEAD}  s: {{user.name|windash|base64: '{}'}}\n  condition: s\n", " -a".repeat(5)));
    assert_eq!(errors[0].message, "the dashes of this value make more than 625 texts to encode");
    // A rule that matches everything is a rule; what becomes of its alerts is bounded where they are filed.
    let (set, errors) = compile(&format!("{HEAD}  s: {{user.name: '*'}}\n  t: {{user.name: null}}\n  condition: s or t\n"));
    assert_eq!(errors, []);
    assert_eq!(matching(&set, &serde_json::json!({})), ["y"]);
}

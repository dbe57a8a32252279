//! What pipelines make of rules, by whether the rules match; and the public rules in our own fields.

use serde_json::{Value, json};

use super::*;

/// The refusals, and which of the records a rule matches behind a pipeline.
fn behind(pipeline: &str, rule: &str, records: &[Value]) -> (Vec<String>, Vec<bool>) {
    let files = [("x/pipelines/p.yml", pipeline), ("x/rule.yml", rule)].map(|(file, text)| (file.to_owned(), text.to_owned()));
    let (set, errors) = RuleSet::compile(files, FieldNames::Raw);
    let hits = records.iter().map(|object| !matching(&set, object).is_empty()).collect();
    (errors.iter().map(ToString::to_string).collect(), hits)
}

const RULE: &str =
    "title: T\nlogsource: {product: x, category: c}\ntags: [attack.t1110]\ndetection:\n  a: {A: one, B|contains: two}\n  condition: a\n";

/// transformations, the record that matches then, one that does not.
#[test]
fn transformations() {
    let table: &[(&str, Value, Value)] = &[
        ("- {type: field_name_mapping, mapping: {A: n.a}}", json!({"n.a": "one", "B": "two"}), json!({"A": "one", "B": "two"})),
        ("- {type: field_name_mapping, mapping: {A: [n, m]}}", json!({"m": "one", "B": "two"}), json!({"m": "x", "n": "x", "B": "two"})),
        ("- {type: field_name_prefix_mapping, mapping: {B: n.}}", json!({"A": "one", "n.": "two"}), json!({"A": "one", "B": "two"})),
        ("- {type: field_name_prefix, prefix: p.}", json!({"p.A": "one", "p.B": "a two"}), json!({"p.A": "one", "B": "two"})),
        ("- {type: field_name_suffix, suffix: .s}", json!({"A.s": "one", "B.s": "a two"}), json!({"A": "one", "B.s": "two"})),
        (
            "- {type: drop_detection_item, field_name_conditions: [{type: include_fields, fields: [A]}]}",
            json!({"B": "two"}),
            json!({"A": "one"}),
        ),
        ("- {type: add_condition, conditions: {C: 3}}", json!({"A": "one", "B": "two", "C": 3}), json!({"A": "one", "B": "two"})),
        (
            "- {type: add_condition, conditions: {C: $category}, template: true}",
            json!({"A": "one", "B": "two", "C": "c"}),
            json!({"A": "one", "B": "two", "C": "$category"}),
        ),
        (
            "- {type: add_condition, conditions: {C: 3}, negated: true}",
            json!({"A": "one", "B": "two"}),
            json!({"A": "one", "B": "two", "C": 3}),
        ),
        (r"- {type: replace_string, regex: '(o)n', replacement: '\1h'}", json!({"A": "ohe", "B": "two"}), json!({"A": "one", "B": "two"})),
        ("- {type: map_string, mapping: {one: [uno, eins]}}", json!({"A": "eins", "B": "two"}), json!({"A": "one", "B": "two"})),
        (
            "- {type: set_value, value: 7, field_name_conditions: [{type: exclude_fields, fields: [B]}]}",
            json!({"A": 7, "B": "two"}),
            json!({"A": "one", "B": "two"}),
        ),
        ("- {type: case, method: upper}", json!({"A": "one", "B": "two"}), json!({"A": "on", "B": "two"})),
        (
            "- {type: field_name_mapping, mapping: {A: n}, detection_item_conditions: [{type: match_string, cond: any, pattern: on}]}",
            json!({"n": "one", "B": "two"}),
            json!({"A": "one", "B": "two"}),
        ),
        (
            "- {type: field_name_mapping, mapping: {A: n, B: m}, field_name_conditions: [{type: include_fields, mode: re, fields: ['[A-A]$']}]}",
            json!({"n": "one", "B": "two"}),
            json!({"n": "one", "m": "two"}),
        ),
        (
            "- {type: nest, items: [{type: field_name_mapping, mapping: {A: n}}]}",
            json!({"n": "one", "B": "two"}),
            json!({"A": "one", "B": "two"}),
        ),
        // In order: what one has changed, the next finds so.
        (
            "- {id: i, type: field_name_mapping, mapping: {A: n}}\n- {type: field_name_prefix, prefix: p., field_name_conditions: [{type: processing_item_applied, processing_item_id: i}]}",
            json!({"p.n": "one", "B": "two"}),
            json!({"n": "one", "B": "two"}),
        ),
    ];
    for (steps, hit, miss) in table {
        let pipeline = format!("name: p\ntransformations:\n{}\n", indented(steps));
        assert_eq!(behind(&pipeline, RULE, &[hit.clone(), miss.clone()]), (vec![], vec![true, false]), "{steps}");
    }
}

fn indented(steps: &str) -> String {
    steps.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// Conditions on the rule under which `A` becomes `n`.
#[test]
fn conditions_on_rules() {
    let table = [
        ("rule_conditions: [{type: logsource, product: x}]", true),
        ("rule_conditions: [{type: logsource, product: X, category: c}]", true),
        ("rule_conditions: [{type: logsource, product: x, service: s}]", false),
        ("rule_conditions: [{type: logsource, product: x}, {type: logsource, product: y}]", false),
        ("rule_conditions: [{type: logsource, product: x}, {type: logsource, product: y}], rule_cond_op: or", true),
        ("rule_conditions: [{type: logsource, product: x}], rule_cond_not: true", false),
        ("rule_conditions: [{type: contains_field, field: B}]", true),
        ("rule_conditions: [{type: contains_field, field: C}]", false),
        ("rule_conditions: [{type: contains_detection_item, field: A, value: one}]", true),
        ("rule_conditions: [{type: contains_detection_item, field: A, value: two}]", false),
        ("rule_conditions: [{type: tag, tag: attack.t1110}]", true),
        ("rule_conditions: [{type: processing_item_applied, processing_item_id: before}]", true),
        ("rule_conditions: [{type: processing_item_applied, processing_item_id: other}]", false),
        ("rule_conditions: [{type: processing_state, key: k, val: v}]", true),
        ("rule_conditions: [{type: processing_state, key: k, val: w}]", false),
        ("rule_conditions: [{type: is_sigma_rule}]", true),
        ("rule_conditions: [{type: is_sigma_correlation_rule}]", false),
    ];
    let records = [json!({"n": "one", "B": "two"}), json!({"A": "one", "B": "two"})];
    for (conditions, applies) in table {
        let steps = format!(
            "  - {{id: before, type: set_state, key: k, val: v}}\n  - {{type: field_name_mapping, mapping: {{A: n}}, {conditions}}}\n"
        );
        let pipeline = format!("transformations:\n{steps}");
        assert_eq!(behind(&pipeline, RULE, &records), (vec![], vec![applies, !applies]), "{conditions}");
    }
}

#[test]
fn a_log_source_that_is_changed_is_the_rules_from_then_on() {
    let steps = "- {type: change_logsource, product: y}\n- {type: field_name_mapping, mapping: {A: n}, rule_conditions: [{type: logsource, product: y}]}\n- {type: field_name_mapping, mapping: {B: m}, rule_conditions: [{type: logsource, category: c}]}";
    let pipeline = format!("transformations:\n{}\n", indented(steps));
    assert_eq!(behind(&pipeline, RULE, &[json!({"n": "one", "B": "two"})]), (vec![], vec![true]));
}

#[test]
fn lower_priorities_come_first() {
    let file = |name: &str, priority: i64, to: &str| {
        let text = format!("priority: {priority}\ntransformations: [{{type: field_name_mapping, mapping: {{A: {to}, {to}: {to}{to}}}}}]\n");
        (format!("x/pipelines/{name}.yml"), text)
    };
    let (set, errors) = RuleSet::compile([file("a", 20, "n"), file("b", 10, "m"), ("x/rule.yml".into(), RULE.into())], FieldNames::Raw);
    assert_eq!(errors, []);
    assert_eq!(matching(&set, &json!({"m": "one", "B": "two"})).len(), 1, "the other one no longer finds A");
}

#[test]
fn variables_are_placeholders() {
    let rule = "title: T\nlogsource: {product: x}\ndetection:\n  a: {A|expand: '%who%', B|expand: 'x%else%'}\n  condition: a\n";
    let pipeline =
        "vars: {who: [anna, 'adm*']}\ntransformations: [{type: wildcard_placeholders, include: [else]}, {type: value_placeholders}]\n";
    let records = [json!({"A": "admin", "B": "xyz"}), json!({"A": "kurt", "B": "xyz"}), json!({"A": "anna", "B": "y"})];
    assert_eq!(behind(pipeline, rule, &records), (vec![], vec![true, false, false]));
}

#[test]
fn what_cannot_be_done_is_refused_by_line_and_name() {
    let table = [
        ("trans: []", "unknown key 'trans' in the pipeline"),
        ("transformations: {a: b}", "transformations must be a list, not a map"),
        (
            "transformations:\n  - {type: field_name_maping}",
            "2: transformation 'field_name_maping' is not supported, did you mean 'field_name_mapping'?",
        ),
        ("transformations:\n  - {type: field_name_mapping}", "2: 'field_name_mapping' needs 'mapping', a map"),
        ("transformations:\n  - {type: hashes_fields}", "2: transformation 'hashes_fields' is not supported"),
        ("transformations:\n  - {type: case, methode: lower}", "2: unknown key 'methode' in the transformation, did you mean 'method'?"),
        ("transformations:\n  - {type: case, rule_conditions: [{type: moon}]}", "2: condition 'moon' on rules is not supported"),
        ("transformations:\n  - {type: replace_string, regex: '(', replacement: x}", "2: regular expression: "),
        ("transformations:\n  - {type: rule_failure, message: not here}", "x/rule.yml:1: not here"),
        (
            "transformations:\n  - {type: detection_item_failure, message: not this, field_name_conditions: [{type: include_fields, fields: [B]}]}",
            "x/rule.yml:5: not this",
        ),
        ("transformations:\n  - {type: drop_detection_item}", "x/rule.yml:5: a pipeline drops all of selection 'a'"),
        (
            "transformations:\n  - {type: set_state, key: k, val: v, field_name_conditions: [{type: include_fields, fields: [B]}]}",
            "2: 'set_state' changes the rule as a whole",
        ),
        ("transformations:\n  - {type: add_condition, conditions: {C: $category}}", "2: '$' in a condition needs 'template: true'"),
        ("priority: high\ntransformations: []", "1: priority must be a whole number"),
    ];
    for (pipeline, expected) in table {
        let (errors, _) = behind(pipeline, RULE, &[]);
        assert!(errors.len() == 1 && errors[0].contains(expected), "{pipeline}: {errors:?}");
    }
}

/// What a correlation over these rules counts by, behind a pipeline; or why it is refused.
fn grouped(pipeline: &str, rules: &str, correlation: &str) -> Result<String, String> {
    let documents = format!("title: C\nname: c\ncorrelation: {correlation}\n---\n{rules}");
    let files = [("x/pipelines/p.yml", pipeline.to_owned()), ("x/rule.yml", documents)].map(|(file, text)| (file.to_owned(), text));
    let (set, errors) = RuleSet::compile(files, FieldNames::Raw);
    if let Some(error) = errors.first() {
        return Err(error.to_string());
    }
    let Logic::Correlation(correlation) = &set.find("c").unwrap().logic else { panic!() };
    Ok(correlation.fingerprint().split_once(" in 60000: ").unwrap().1.to_owned())
}

/// As pySigma has it: what the lines of the rules are called, their correlation calls it too. What is not the same in all of
/// them, or could be several, is refused by name and line, and an alias says which is meant.
#[test]
fn correlations_are_renamed_as_their_rules_are() {
    let rule = |name: &str, product: &str| {
        format!("title: {name}\nname: {name}\nlogsource: {{product: {product}}}\ndetection: {{s: {{A: 1}}, condition: s}}\n")
    };
    let of = |conditions: &str, mapping: &str| format!("  - {{type: field_name_mapping, mapping: {mapping}{conditions}}}\n");
    let only = |product: &str| format!(", rule_conditions: [{{type: logsource, product: {product}}}]");
    let pipeline = |steps: &[String]| format!("transformations:\n{}", steps.concat());
    let (one, two) = (rule("r", "x"), format!("{}---\n{}", rule("r", "x"), rule("q", "y")));
    let both = [of(&only("x"), "{src: source.ip, U: n.u}"), of(&only("y"), "{src: source.ip, U: m.u}")];
    let count = |rules: &str, rest: &str| format!("{{type: event_count, rules: [{rules}], timespan: 1m, condition: {{gte: 2}}, {rest}}}");
    let table: &[(String, &str, String, Result<&str, &str>)] = &[
        (pipeline(&both), &one, count("r", "group-by: [src]"), Ok("r by (source.ip) of ()")),
        (pipeline(&both), &two, count("r, q", "group-by: [src]"), Ok("r by (source.ip) of (), q by (source.ip) of ()")),
        (pipeline(&both), &two, count("r, q", "group-by: [other]"), Ok("r by (other) of (), q by (other) of ()")),
        (
            pipeline(&both),
            &two,
            count("r, q", "group-by: [U]"),
            Err("x/rule.yml:3: 'U' is 'n.u' in the records of 'r' and 'm.u' in those of 'q': say with 'aliases' which is meant"),
        ),
        // Renamed for one of them only.
        (
            pipeline(&both[..1]),
            &two,
            count("r, q", "group-by: [src]"),
            Err("x/rule.yml:3: 'src' is 'source.ip' in the records of 'r' and 'src' in those of 'q': say with 'aliases' which is meant"),
        ),
        (
            pipeline(&both),
            &two,
            count("r, q", "group-by: [u], aliases: {u: {r: U, q: U}}"),
            Ok("r by (n.u) of (), q by (m.u) of ()"),
        ),
        (
            pipeline(&both),
            &one,
            "{type: value_count, rules: [r], timespan: 1m, group-by: [src], condition: {field: U, gte: 2}}".into(),
            Ok("r by (source.ip) of (n.u)"),
        ),
        (
            pipeline(&[of("", "{src: [a, b]}")]),
            &one,
            count("r", "group-by: [src]"),
            Err("x/rule.yml:3: 'src' is one of a, b in the records of 'r': name the one that is meant"),
        ),
        // One behind the other; what is for correlations alone counts for these.
        (pipeline(&[of("", "{src: b}"), of("", "{b: c}")]), &one, count("r", "group-by: [src]"), Ok("r by (c) of ()")),
        (
            pipeline(&[of(", rule_conditions: [{type: is_sigma_correlation_rule}]", "{src: d}")]),
            &one,
            count("r", "group-by: [src]"),
            Ok("r by (d) of ()"),
        ),
        (
            pipeline(&[of(", detection_item_conditions: [{type: match_string, pattern: x}]", "{src: d}")]),
            &one,
            count("r", "group-by: [src]"),
            Err("x/rule.yml:3: 'src': 'src' is renamed for some values only, so that it cannot be counted or grouped by"),
        ),
        (
            "transformations:\n  - {type: detection_item_failure, message: nicht da, field_name_conditions: [{type: include_fields, fields: [src]}]}\n".into(),
            &one,
            count("r", "group-by: [src]"),
            Err("x/rule.yml:3: 'src': nicht da"),
        ),
    ];
    for (pipeline, rules, correlation, expected) in table {
        let found = grouped(pipeline, rules, correlation);
        assert_eq!(found.as_deref().map_err(String::as_str), *expected, "{correlation}\n{pipeline}");
    }
}

/// Zeek, PAN-OS and auditd's arguments: public rules in the names that our decoders give.
#[test]
fn public_names_of_zeek_panos_and_auditd_are_ours() {
    let table = [
        ("product: zeek\n  service: dns", "query: evil.test", "dns.question.name", true),
        ("product: zeek\n  service: http", "c-uri|contains: x", "zeek.http.uri", true),
        ("product: zeek\n  service: smb_files", "name|endswith: x", "file.path", true),
        ("product: zeek\n  service: x509", "certificate.serial: x", "zeek.x509.certificate.serial", true),
        ("product: zeek\n  service: rdp", "id.orig_h: 192.0.2.1", "source.ip", true),
        ("product: zeek\n  service: dns", "dns.question.name: evil.test", "dns.question.name", true),
        ("product: zeek\n  service: moon", "query: x", "no records of logsource service 'moon' are decoded", false),
        ("product: paloalto", "app: ssh", "network.application", true),
        ("category: proxy", "dst_ip: 192.0.2.1", "destination.ip", true),
        ("category: antivirus", "Signature|contains: x", "threat.indicator.name", true),
        ("product: linux\n  service: auditd", "a1|startswith: x", "auditd.a1", true),
        ("product: linux\n  service: auditd", "key: x", "rule.name", true),
        ("product: linux\n  service: auditd", "a12: x", "Argumente vom elften an", false),
    ];
    for (logsource, line, expected, taken) in table {
        let rule = format!("title: T\nname: t\nlogsource:\n  {logsource}\ndetection:\n  s:\n    {line}\n  condition: s\n");
        let (set, errors) = RuleSet::shipped_beside([("own/rule.yml".to_owned(), rule)]);
        match set.find("t") {
            Some(compiled) if taken => {
                let parts = compiled.verdict(&record(&json!({}))).unwrap().parts;
                assert_eq!(parts[0].lines[0].field, expected, "{line}");
            }
            Some(_) => panic!("{line} was taken"),
            None => assert!(!taken && errors[0].message.contains(expected), "{line}: {errors:?}"),
        }
    }
}

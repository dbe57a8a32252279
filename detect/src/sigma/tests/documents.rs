//! Documents: metadata, references, several in one file, placeholders.

use expect_test::expect;
use serde_json::json;

use super::*;

#[test]
fn rules_refer_by_name_or_id_in_any_order_and_base_rules_are_silent() {
    let text = "title: C\nname: corr\ncorrelation: {type: temporal, rules: [5F0C5A3E-52c6-4b2e-8f2f-0c9b5b7f5a01, other], timespan: 5m, generate: true}\n---\n\
        title: D\nname: outer\ncorrelation: {type: event_count, rules: corr, timespan: 1h, condition: {gte: 2}}\n---\n\
        title: A\nid: 5f0c5a3e-52c6-4b2e-8f2f-0c9b5b7f5a01\nlogsource: {product: linux}\ndetection: {s: {user.name: x}, condition: s}\n---\n\
        title: B\nname: other\nlogsource: {product: linux}\ndetection: {s: {user.name: y}, condition: s}\nwartburg: {alert: false}\n";
    let (set, errors) = compile(text);
    assert_eq!(errors, []);
    let shown: Vec<(&str, bool)> = set.rules().iter().map(|compiled| (compiled.rule.name.as_str(), compiled.alerts)).collect();
    // `corr` is referred to without `generate`, `y` (the folder's name, for the one without its own) with it.
    assert_eq!(shown, [("y", true), ("other", false), ("corr", false), ("outer", true)]);
}

#[test]
fn metadata_is_read() {
    let text = format!(
        "{HEAD}  s: {{user.name: x}}\n  condition: s\nid: 5F0C5A3E-52C6-4B2E-8F2F-0C9B5B7F5A01\nlevel: high\ntags: [attack.persistence, attack.t1136.001, cve.2021-44228]\n\
         wartburg: {{rsit: intrusions/burglary, playbook: p, entity: host.name}}\ncustom_key: 1\n\
         status: test\nauthor: A, B\ndate: 2026-01-31\nmodified: 2026/02/01\nlicense: MIT\nreferences: [https://example.org]\n\
         fields: [user.name]\nscope: [server]\ntaxonomy: sigma\nrelated: [{{id: 5F0C5A3E-52C6-4B2E-8F2F-0C9B5B7F5A02, type: derived}}]\n"
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
    let metadata = &set.rules()[0].metadata;
    let texts = [&metadata.status, &metadata.author, &metadata.date, &metadata.modified, &metadata.license].map(Option::as_deref);
    assert_eq!(texts, [Some("test"), Some("A, B"), Some("2026-01-31"), Some("2026/02/01"), Some("MIT")]);
    let lists = [&metadata.references, &metadata.tags, &metadata.fields, &metadata.scope, &metadata.custom].map(|list| list.join(" "));
    assert_eq!(lists, ["https://example.org", "attack.persistence attack.t1136.001 cve.2021-44228", "user.name", "server", "custom_key"]);
    assert_eq!(metadata.related, [("5f0c5a3e-52c6-4b2e-8f2f-0c9b5b7f5a02".to_owned(), "derived".to_owned())]);
}

/// A template for all that follows, its end, and a rule said again with changes.
#[test]
fn global_reset_and_repeat() {
    let text = "action: global\ntitle: G\nlevel: high\nlogsource: {product: linux}\ndetection:\n  s: {user.name: a}\n---\n\
        name: one\ndetection:\n  t: {host.name: h}\n  condition: s and t\n---\n\
        action: repeat\nname: two\ntitle: R\ndetection:\n  condition: s and not t\n---\n\
        action: reset\n---\n\
        title: N\nname: three\nlogsource: {product: linux}\ndetection: {s: {user.name: b}, condition: s}\n";
    let (set, errors) = compile(text);
    assert_eq!(errors, []);
    let shown: Vec<(&str, &str, &str)> =
        set.rules().iter().map(|it| (it.rule.name.as_str(), it.rule.title.as_str(), it.rule.level.as_str())).collect();
    assert_eq!(shown, [("one", "G", "high"), ("two", "R", "high"), ("three", "N", "informational")]);
    assert_eq!(matching(&set, &json!({"user.name": "a", "host.name": "h"})), ["one"]);
    assert_eq!(matching(&set, &json!({"user.name": "a"})), ["two"]);
    assert_eq!(matching(&set, &json!({"user.name": "b"})), ["three"]);
}

/// Where both say something, the template wins, as in pySigma; whoever wrote the other is told.
#[test]
fn a_template_wins_and_says_so() {
    let rule = "logsource: {product: linux}\ndetection: {s: {user.name: a}, condition: s}\n";
    let (set, errors) =
        compile(&format!("action: global\nlevel: high\n---\ntitle: T\nlevel: low\n{rule}---\ntitle: U\nlevel: high\n{rule}"));
    assert_eq!(errors, []);
    assert_eq!(set.rules()[0].rule.level.as_str(), "high");
    let remarks: Vec<String> = set.remarks().iter().map(ToString::to_string).collect();
    assert_eq!(remarks, ["rules/x/y/rule.yml:5: the global document's 'level' takes the place of this one"]);
    // Documents without a name of their own get the folder's, numbered.
    assert_eq!(set.rules().iter().map(|it| it.rule.name.as_str()).collect::<Vec<_>>(), ["y", "y_2"]);
}

#[test]
fn actions_that_say_nothing_are_refused() {
    let rule = "title: T\nlogsource: {product: linux}\ndetection: {s: {user.name: a}, condition: s}\n";
    let table = [
        ("action: globl\n".to_owned(), "unknown action 'globl', did you mean 'global'?"),
        ("action: repeat\ntitle: T\n".to_owned(), "'action: repeat' has no document before it"),
        ("action: reset\ntitle: T\n".to_owned(), "a document with 'action: reset' says nothing else"),
        ("action: global\ntitle: T\n".to_owned(), "the file holds no rule"),
        (
            format!("action: global\nid: 5f0c5a3e-52c6-4b2e-8f2f-0c9b5b7f5a01\n---\n{rule}---\n{rule}"),
            "the id '5f0c5a3e-52c6-4b2e-8f2f-0c9b5b7f5a01' is taken by rules/x/y/rule.yml:4",
        ),
    ];
    for (text, expected) in table {
        let (_, errors) = compile(&text);
        assert_eq!(errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>(), [expected], "{text}");
    }
    // A long template before many rules.
    let values = "x, ".repeat(9_000);
    let bomb = format!("action: global\ncustom: [{values}]\n") + &"---\ntitle: T\n".repeat(100);
    let (_, errors) = compile(&bomb);
    assert!(errors.iter().any(|error| error.message == "global and repeated documents make more than 400000 values of the file"));
}

#[test]
fn placeholders_come_from_a_table_beside_the_rules() {
    let rule =
        |value: &str| format!("title: T\nname: t\nlogsource: {{product: linux}}\ndetection:\n  s: {{user.name|{value}}}\n  condition: s\n");
    let compile = |text: String| {
        let table = "Administrators: [root, 'adm_*']\n";
        RuleSet::compile([("r/rule.yml".to_owned(), text), ("r/placeholders.yml".to_owned(), table.to_owned())], FieldNames::Decoded)
    };
    for (value, hits, misses) in [
        ("expand: '%Administrators%'", ["root", "ADM_x"], ["%Administrators%", "otto"]),
        ("expand|contains: '%Administrators%'", ["x root", "y.adm_x"], ["otto", "ad"]),
        ("re|expand: '^%Administrators%-[0-9]$'", ["root-1", "adm_x-2"], ["root", "Root-1"]),
        ("contains: '%Administrators%'", ["x%administrators%", "%Administrators%"], ["root", "adm_x"]),
    ] {
        let (set, errors) = compile(rule(value));
        assert_eq!(errors, [], "{value}");
        hits.iter().for_each(|name| assert_eq!(matching(&set, &json!({"user.name": name})), ["t"], "{value} {name}"));
        misses.iter().for_each(|name| assert_eq!(matching(&set, &json!({"user.name": name})), [""; 0], "{value} {name}"));
    }
    let (_, errors) = compile(rule("expand: '%Servers%'"));
    assert_eq!(errors[0].to_string(), "r/rule.yml:5: placeholder '%Servers%' has no values: name it in placeholders.yml beside the rules");
}

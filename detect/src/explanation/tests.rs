//! What is told of rules that fire and of those that do not, and what of it stays hidden.

use std::net::Ipv4Addr;

use expect_test::{Expect, expect};
use ingest::body::{SITE_UNKNOWN, SiteTable};
use ingest::event::Event;
use ingest::fields;
use ingest::frame::Transport;
use serde_json::{Value, json};

use super::*;
use crate::engine::Engine;
use crate::json_record::JsonRecord;
use crate::sigma::{FieldNames, RuleSet};

fn set(rules: &str) -> RuleSet {
    let (set, errors) = RuleSet::compile([("rules/x/y/rule.yml".to_owned(), rules.to_owned())], FieldNames::Raw);
    assert_eq!(errors, []);
    set
}

fn record(object: &Value) -> JsonRecord {
    JsonRecord::new(object.as_object().unwrap(), Seq(7), Timestamp(0))
}

/// `selection +: field contains "x" <before[marked]behind>`
fn shown(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        let fits = part.fits.map_or_else(String::new, |(held, all)| format!(" {held}/{all}"));
        let filter = if part.of_filter { "filter " } else { "" };
        let more = if part.more > 0 { format!(" and {} more", part.more) } else { String::new() };
        text += &format!("{filter}{} {}{fits}{more}\n", part.selection, if part.held { "holds" } else { "does not hold" });
        for line in &part.lines {
            let asked: Vec<String> = line.asked.iter().map(|asked| format!("{:?} {:?}", asked.how, asked.text)).collect();
            let found: Vec<String> = line.found.iter().map(of_found).collect();
            let more = if line.asked_more > 0 { format!(" +{}", line.asked_more) } else { String::new() };
            let not = if line.negated { "not " } else { "" };
            text += &format!("  {:?} {not}{}{more}: {}\n", line.field, asked.join(" | "), found.join(" "));
        }
    }
    text
}

fn of_found(found: &Found) -> String {
    if found.hidden {
        return "hidden".into();
    }
    let (before, marked, behind) = found.marked();
    if marked.is_empty() { format!("<{before}>") } else { format!("<{before}[{marked}]{behind}>") }
}

/// Yes or no, and why.
fn check(detection: &str, object: Value, expected: Expect) {
    let rule = format!("title: T\nlogsource: {{product: linux}}\ndetection:\n{detection}");
    let verdict = set(&rule).rules()[0].verdict(&record(&object)).unwrap();
    expected.assert_eq(&format!("{}\n{}", if verdict.matched { "fires" } else { "silent" }, shown(&verdict.parts)));
}

#[test]
fn a_match_names_selection_line_and_bytes() {
    check(
        "  sel:\n    Image|endswith: ['\\powershell.exe', '\\pwsh.exe']\n    CommandLine|contains|all: [' -enc', 'bypass']\n  filter_a:\n    User: SYSTEM\n  other:\n    A: 1\n  condition: (sel or other) and not 1 of filter_*\n",
        json!({"Image": "C:\\WINDOWS\\PowerShell.EXE", "CommandLine": "powershell -ep Bypass -enc AAAA", "User": "anna"}),
        expect![[r#"
            fires
            sel holds
              "Image" EndsWith "\\powershell.exe": <C:\WINDOWS[\PowerShell.EXE]>
              "CommandLine" Contains " -enc" | Contains "bypass": <powershell -ep Bypass[ -enc] AAAA> <powershell -ep [Bypass] -enc AAAA>
            filter_a does not hold
        "#]],
    );
}

#[test]
fn every_modifier_says_what_it_asks_and_where() {
    check(
        "  sel:\n    a|re: 'x+y'\n    b|cidr: 192.0.2.0/24\n    c|gte: 5\n    d|fieldref|contains: e\n    f|exists: true\n    g: null\n    h: true\n    i: 'a*c?'\n    j|windash|contains: ' -s'\n    k|neq: z\n    l: '*'\n    m|hour: 7\n    n: 12\n  condition: sel\n",
        json!({"a": "..xxy", "b": "192.0.2.7", "c": 6, "d": "to Anna", "e": "anna", "f": "x", "h": "True", "i": "abcd",
               "j": "x /s y", "k": "q", "l": "any", "m": "2026-01-01T07:00:00Z", "n": "12"}),
        expect![[r#"
            fires
            sel holds
              "a" Regex "x+y": <..[xxy]>
              "b" Network "192.0.2.0/24": <[192.0.2.7]>
              "c" AtLeast "5": <[6]>
              "d" ContainsField "e": <to [Anna]>
              "f" Present "": 
              "g" Missing "": 
              "h" Is "true": <[True]>
              "i" Like "a*c?": <[abcd]>
              "j" Like "* -s*": <x[ /s] y>
              "k" not Is "z": <q>
              "l" Anything "": <[any]>
              "m" TimePart "hour 7": <[2026-01-01T07:00:00Z]>
              "n" Is "12": <[12]>
        "#]],
    );
}

#[test]
fn a_near_miss_names_what_stood_in_its_way() {
    let rule = "  sel:\n    a: 1\n    b|contains: [two, zwei, deux, dos, due, duo, dwa]\n    c: 3\n  condition: sel\n";
    check(
        rule,
        json!({"a": 1, "b": "three"}),
        expect![[r#"
            silent
            sel does not hold 1/3
              "b" Contains "two" | Contains "zwei" | Contains "deux" | Contains "dos" | Contains "due" +2: <three>
              "c" Is "3": 
        "#]],
    );
    // What must not be there, is; and of the selections only the one that is missing.
    let rule = "  sel:\n    a: 1\n  more:\n    b: 2\n  not_so:\n    c|startswith: adm\n  condition: sel and more and not not_so\n";
    check(
        rule,
        json!({"a": 1, "b": 2, "c": "Admin"}),
        expect![[r#"
            silent
            not_so holds
              "c" StartsWith "adm": <[Adm]in>
        "#]],
    );
    check(
        "  words: [alpha, beta]\n  condition: words\n",
        json!({"message": "gamma"}),
        expect![[r#"
            silent
            words does not hold
              "" Contains "alpha": <gamma>
              "" Contains "beta": <gamma>
        "#]],
    );
}

#[test]
fn a_filter_that_keeps_a_rule_quiet_is_named() {
    let rules = "title: T\nname: t\nlogsource: {product: linux}\ndetection: {sel: {a: 1}, condition: sel}\n---\ntitle: F\nlogsource: {product: linux}\nfilter: {rules: [t], backup: {b|contains: veeam}, condition: not backup}\n";
    let told = |object: Value| shown(&set(rules).find("t").unwrap().verdict(&record(&object)).unwrap().parts);
    assert_eq!(told(json!({"a": 1, "b": "Veeam Agent"})), "filter backup holds\n  \"b\" Contains \"veeam\": <[Veeam] Agent>\n");
    assert_eq!(told(json!({"a": 1})), "sel holds\n  \"a\" Is \"1\": <[1]>\nfilter backup does not hold\n");
    let both = "sel does not hold\n  \"a\" Is \"1\": \nfilter backup holds\n  \"b\" Contains \"veeam\": <[veeam]>\n";
    assert_eq!(told(json!({"b": "veeam"})), both, "all that stands in its way, its own first");
}

/// A thousand lines, a value of a megabyte: what is told stays small, and says that there is more.
#[test]
fn what_is_told_is_bounded() {
    let lines: String = (0..1_000).map(|n| format!("    - f{n}|contains: x{n}\n")).collect();
    let rule = format!("title: T\nlogsource: {{product: linux}}\ndetection:\n  sel:\n{lines}  condition: sel\n");
    let set = set(&rule);
    let verdict = set.rules()[0].verdict(&record(&json!({}))).unwrap();
    assert_eq!((verdict.parts[0].lines.len(), verdict.parts[0].more), (LINES_MAX, 1_000 - LINES_MAX));
    let long = format!("{}x7{}", "ä".repeat(300_000), "ö".repeat(300_000));
    let verdict = set.rules()[0].verdict(&record(&json!({ "f7": long }))).unwrap();
    let found = &verdict.parts[0].lines[0].found[0];
    assert!(verdict.matched && found.text.len() <= EXCERPT_BYTES_MAX);
    assert_eq!((found.mark, found.marked().1, found.of), (Some((600_000, 2)), "x7", long.len()));
}

#[test]
fn a_correlation_tells_what_it_counted_and_what_began_it() {
    let rules = "title: Z\nname: z\nmodified: 2026-02-03\ncorrelation: {type: value_count, rules: [t], group-by: [ip], timespan: 10m, condition: {field: user, gte: 3}}\n---\ntitle: T\nname: t\nlogsource: {product: linux}\ndetection: {sel: {a: 1}, condition: sel}\n";
    let set = set(rules);
    let content = set.find("z").unwrap().content.clone();
    let mut engine = Engine::new(set, std::sync::Arc::default());
    let mut found = Vec::new();
    for n in 0..4 {
        let object = json!({"@timestamp": Timestamp(n * 1_000).rfc3339(), "a": 1, "ip": "192.0.2.1", "user": format!("u{n}")});
        let record = JsonRecord::new(object.as_object().unwrap(), Seq(n as u64 + 1), Timestamp(0));
        found.extend(engine.apply(&record, SITE_UNKNOWN, None, Timestamp(n)));
    }
    let explanation = found[0].explanation.clone().unwrap();
    assert_eq!(explanation.version, RuleVersion { content, modified: Some("2026-02-03".into()), book: 0 });
    let Because::Count(counted) = explanation.because else { panic!() };
    expect![[r#"
        {
          "kind": "value_count",
          "fields": [
            "user"
          ],
          "reached": "3",
          "limits": [
            [
              "gte",
              "3"
            ]
          ],
          "timespan_millis": 600000,
          "group": [
            [
              "ip",
              "192.0.2.1"
            ]
          ],
          "values": [
            "u0",
            "u1",
            "u2"
          ],
          "rules": [
            "t"
          ],
          "first": 0,
          "last": 2000,
          "firsts": [
            1,
            2,
            3
          ]
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&counted).unwrap());
}

/// The explanation of a match, as the store keeps the event: a person is hidden wherever he stands, what tells of nobody stays.
#[test]
fn what_the_store_hides_is_hidden() {
    let rule = "title: T\nlogsource: {service: sshd}\ndetection:\n  sel:\n    user.name|startswith: ann\n    event.action: login\n    process.command_line|contains: ' -x '\n    network.community_id|startswith: '1:'\n    threat.indicator.name: bad\n  words: [sudo, ' -x anna ']\n  condition: sel and words\n";
    let event = |user: &str, command: &str, line: &str| {
        let mut event = Event::new(Seq(7), Timestamp(0), SITE_UNKNOWN, Ipv4Addr::LOCALHOST.into(), Transport::Udp, line.as_bytes());
        for (field, value) in [
            (fields::EVENT_MODULE, "sshd"),
            (fields::EVENT_ACTION, "login"),
            (fields::USER_NAME, user),
            (fields::PROCESS_COMMAND_LINE, command),
        ] {
            event.push_text(field, value);
        }
        event
    };
    let mut original = event("anna", "tool -x anna", "sudo tool -x anna ");
    original.push_text(fields::THREAT_INDICATOR, "bad");
    // Made of the real addresses, which can be found by trying: the store leaves it out.
    original.push_text(fields::FieldId::find("network.community_id").unwrap(), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    let sites = SiteTable::default();
    let set = {
        let (set, errors) = RuleSet::compile([("rules/x/y/rule.yml".to_owned(), rule.to_owned())], FieldNames::Decoded);
        assert_eq!(errors, []);
        set
    };
    let parts = |kept: Option<&Event>| {
        let verdict = set.rules()[0].verdict(&EventRecord { event: &original, sites: &sites }).unwrap();
        assert!(verdict.matched);
        let mut explanation =
            Explanation { version: RuleVersion::default(), because: Because::Record { seq: Seq(7), parts: verdict.parts } };
        kept.into_iter().for_each(|event| explanation.hide(&EventRecord { event, sites: &sites }));
        let Because::Record { parts, .. } = explanation.because else { panic!() };
        shown(&parts)
    };
    expect![[r#"
        sel holds
          "user.name" StartsWith "ann": <[ann]a>
          "event.action" Is "login": <[login]>
          "process.command_line" Contains " -x ": <tool[ -x ]anna>
          "network.community_id" StartsWith "1:": <[1:]LQU9qZlK+B5F3KDmev6m5PMibrg=>
          "threat.indicator.name" Is "bad": <[bad]>
        words holds
          "" Contains "sudo": <[sudo] tool -x anna >
          "" Contains " -x anna ": <sudo tool[ -x anna ]>
    "#]]
    .assert_eq(&parts(None));
    expect![[r#"
        sel holds
          "user.name" StartsWith "ann": <p1xyz>
          "event.action" Is "login": <[login]>
          "process.command_line" Contains " -x ": <tool[ -x ]p1xyz>
          "network.community_id" StartsWith "1:": hidden
          "threat.indicator.name" Is "bad": <[bad]>
        words holds
          "" Contains "sudo": <[sudo] tool -x p1xyz >
          "" Contains " -x anna ": <sudo tool -x p1xyz >
    "#]]
    .assert_eq(&parts(Some(&event("p1xyz", "tool -x p1xyz", "sudo tool -x p1xyz "))));
    let mut bare = Event::new(Seq(7), Timestamp(0), SITE_UNKNOWN, Ipv4Addr::LOCALHOST.into(), Transport::Udp, b"");
    bare.push_text(fields::EVENT_ACTION, "login");
    let told = parts(Some(&bare));
    // The rule's own words are no secret.
    assert!(told.matches("anna").count() == 1 && told.contains("\"user.name\" StartsWith \"ann\": hidden"), "{told}");
    assert!(!told.contains("LQU9"), "{told}");
}

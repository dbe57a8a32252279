//! What values, modifiers, selections and keywords mean, by topic: the expectations of pySigma's tests and of the
//! specification's text, as tables in our words.

use serde_json::json;

use super::*;

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

/// value modifiers that change the value; what is found, what is not.
#[test]
fn encodings() {
    // "foo" in base64 at the three shifts, and what lies beside it.
    check("user.name|base64: foobar", &[json!("Zm9vYmFy"), json!("zM9VyMFY")], &[json!("xZm9vYmFy"), json!("foobar")]);
    check("user.name|base64|cased: foobar", &[json!("Zm9vYmFy")], &[json!("zM9VyMFY")]);
    check("user.name|base64|contains: foobar", &[json!("-e Zm9vYmFy")], &[json!("Zm9vYmF")]);
    check(
        "user.name|base64offset|contains: foobar",
        &[json!("Zm9vYmFy"), json!("IGZvb2JhciA="), json!("ICBmb29iYXI=")],
        &[json!("Zm9vYmE=")],
    );
    check("user.name|wide|base64offset|contains: ping", &[json!("cABpAG4AZwA="), json!("AHAAaQBuAGcA")], &[json!("cGluZw==")]);
    check("user.name|utf16le|base64: ä", &[json!("5AA=")], &[json!("w6Q=")]);
    check("user.name|utf16be|base64: ping", &[json!("AHAAaQBuAGc=")], &[json!("cABpAG4AZwA=")]);
    check("user.name|utf16|base64: ping", &[json!("//5wAGkAbgBnAA==")], &[json!("cABpAG4AZwA=")]);
    check("user.name|wide: ab", &[json!("a\0b\0")], &[json!("ab")]);
    check("user.name|base64offset|contains|all: [foobar, bazbar]", &[json!("Zm9vYmFy YmF6YmFy")], &[json!("Zm9vYmFy")]);
}

#[test]
fn dashes_of_switches() {
    check(
        "process.command_line|windash|contains: ' -enc '",
        &[json!("x -enc y"), json!("x /ENC y"), json!("x –enc y"), json!("x —enc y"), json!("x ―enc y")],
        &[json!("x enc y"), json!("x +enc y")],
    );
    check("process.command_line|contains|windash: 'a -b /c'", &[json!("a /b -c"), json!("a –b ―c")], &[json!("a b c")]);
    check("process.command_line|windash: '-param-name'", &[json!("/param-name")], &[json!("-param/name")]);
    check("process.command_line|windash|contains|all: ['-a', '-b']", &[json!("/b –a")], &[json!("/a")]);
    check("process.command_line|windash|base64|contains: '-foo'", &[json!("LWZvbw=="), json!("L2Zvbw==")], &[json!("K2Zvbw==")]);
}

#[test]
fn turned_round() {
    check("user.name|neq: root", &[json!("adm"), json!(null), json!("")], &[json!("root"), json!("ROOT"), json!(["x", "root"])]);
    check("user.name|neq: [a, b]", &[json!("c")], &[json!("a"), json!("b")]);
    check("user.name|contains|all|neq: [a, b]", &[json!("a"), json!("b")], &[json!("ab")]);
    check("user.name|neq: null", &[json!("a"), json!("")], &[json!(null)]);
    check("user.name|neq: ''", &[json!("a"), json!(null)], &[json!("")]);
    check("destination.port|gte|neq: 1024", &[json!(22), json!(null)], &[json!(1024)]);
    check("destination.port|neq: 22", &[json!(23)], &[json!(22), json!("22")]);
    check("source.ip|cidr|neq: 10.0.0.0/8", &[json!("192.0.2.1")], &[json!("10.1.1.1")]);
    check("user.name|re|neq: '^r'", &[json!("adm")], &[json!("root")]);
    check("user.name|exists|neq: true", &[json!(null)], &[json!("x")]);
}

#[test]
fn parts_of_a_time() {
    check("user.name|hour: [22, 23]", &[json!("2026-04-17 22:24:53"), json!("2026-04-17T23:00:00Z")], &[json!("2026-04-17 05:22:23")]);
    check("user.name|minute: 24", &[json!("2026-04-17 05:24:53")], &[json!("2026-04-17"), json!("24")]);
    check("user.name|day: 17", &[json!("2026-04-17")], &[json!("2026-04-18"), json!(null)]);
    check("user.name|week: 16", &[json!("2026-04-17")], &[json!("2026-04-20")]);
    check("user.name|month: 4", &[json!("2026/04/17")], &[json!("2026/05/17")]);
    check("user.name|year: 2026", &[json!("2026-04-17")], &[json!("2025-04-17")]);
    let night = "  s: {'@timestamp|hour': [0, 1, 2, 3]}\n  condition: s\n";
    let at = |hour: u32| json!({"@timestamp": format!("2026-04-17T{hour:02}:00:00Z")});
    assert_eq!(matches(night, &[at(2), at(4), json!({})]), [true, false, true], "without a time of its own, 1970 began at midnight");
}

#[test]
fn other_fields() {
    let pair = |a: serde_json::Value, b: serde_json::Value| json!({"user.name": a, "user.target.name": b});
    let table = [
        ("fieldref", json!("Anna"), json!("anna"), true),
        ("fieldref", json!("anna"), json!("otto"), false),
        ("fieldref", json!(7), json!("7"), true),
        ("fieldref", json!(["x", "anna"]), json!(["y", "anna"]), true),
        ("fieldref", json!("anna"), json!(null), false),
        ("fieldref|neq", json!("anna"), json!("otto"), true),
        ("fieldref|neq", json!("anna"), json!("ANNA"), false),
        ("fieldref|startswith", json!("anna.x"), json!("ANNA"), true),
        ("fieldref|startswith", json!("x.anna"), json!("anna"), false),
        ("fieldref|endswith", json!("x.anna"), json!("anna"), true),
        ("fieldref|contains", json!("x.anna.y"), json!("anna"), true),
        ("fieldref|contains", json!("anna"), json!("x.anna.y"), false),
        ("fieldref|cased", json!("Anna"), json!("anna"), false),
        ("fieldref|endswith|cased", json!("x.Anna"), json!("Anna"), true),
        ("cased|fieldref", json!("Anna"), json!("Anna"), true),
    ];
    for (modifiers, one, other, expected) in table {
        let detection = format!("  s: {{user.name|{modifiers}: user.target.name}}\n  condition: s\n");
        assert_eq!(matches(&detection, &[pair(one.clone(), other.clone())]), [expected], "{modifiers} {one} {other}");
    }
}

/// Sigma's escapes, as the specification lists them: plain backslashes, wildcards, and both together.
#[test]
fn escapes() {
    check(r"file.path: 'C:\x'", &[json!(r"c:\x")], &[json!("c:x")]);
    check(r"file.path: 'C:\\x'", &[json!(r"c:\x")], &[json!(r"c:\\x")]);
    check(r"file.path: '\*'", &[json!("*")], &[json!("x"), json!(r"\x")]);
    check(r"file.path: '\?'", &[json!("?")], &[json!("x")]);
    check(r"file.path: '\\*'", &[json!(r"\"), json!(r"\x")], &[json!("x"), json!("*")]);
    check(r"file.path: '\\\*'", &[json!(r"\*")], &[json!(r"\x")]);
    check(r"file.path: '\\\x'", &[json!(r"\\x")], &[json!(r"\x")]);
    check(r"file.path: '\\\\x'", &[json!(r"\\x")], &[json!(r"\x")]);
    check(r"file.path|endswith: '\cmd.exe'", &[json!(r"C:\Windows\CMD.EXE")], &[json!("cmd.exe")]);
    check(r"file.path|contains: '\\'", &[json!(r"a\b")], &[json!("ab")]);
    check(r"file.path|contains: '\'", &[json!(r"a\b")], &[json!("ab")]);
    check("file.path|re: 'a\\*'", &[json!("a*")], &[json!("ab")]);
}

#[test]
fn keywords_with_modifiers() {
    let records =
        [json!({"message": "Curl -o a.exe"}), json!({"message": "curl only"}), json!({"user.name": "curl", "host.name": "a.exe"})];
    let table = [
        ("  s: {'|all': [curl, a.exe]}\n  condition: s\n", [true, false, true]),
        ("  s: {'|re': 'C[a-z]+ -o'}\n  condition: s\n", [true, false, false]),
        ("  s: {'|cased': Curl}\n  condition: s\n", [true, false, false]),
        ("  s: {'|windash': ' /o '}\n  condition: s\n", [true, false, false]),
        ("  s: {'|startswith': curl}\n  condition: s\n", [true, true, true]),
        ("  s: [curl -o, 7]\n  condition: s\n", [true, false, false]),
        ("  s: {'|contains|neq': a.exe}\n  condition: s\n", [false, true, false]),
    ];
    for (detection, expected) in table {
        assert_eq!(matches(detection, &records), expected, "{detection}");
    }
}

/// Names that begin with an underscore are for conditions that name them.
#[test]
fn conditions_of_whole_rules() {
    let records = [json!({"user.name": "a"}), json!({"host.name": "h"}), json!({"user.name": "a", "host.name": "h"}), json!({})];
    let two = "  sel_a: {user.name: a}\n  sel_h: {host.name: h}\n";
    let table = [
        ("1 of them", [true, true, true, false]),
        ("all of them", [false, false, true, false]),
        ("any of sel_*", [true, true, true, false]),
        ("1 of *_a or sel_h and not sel_h", [true, false, true, false]),
        ("1 of s*_h or sel_a and not sel_a", [false, true, true, false]),
        ("not 1 of them", [false, false, false, true]),
        ("not sel_a and sel_h", [false, true, false, false]),
        ("not (sel_a and sel_h)", [true, true, false, true]),
        ("sel_a or sel_h and sel_a", [true, false, true, false]),
        ("[sel_a, sel_h]", [true, true, true, false]),
        ("[all of them, not sel_a]", [false, true, true, true]),
    ];
    for (condition, expected) in table {
        assert_eq!(matches(&format!("{two}  condition: {condition}\n"), &records), expected, "{condition}");
    }
    let hidden = "  _h: {host.name: h}\n  sel: {user.name: a}\n  condition: ";
    assert_eq!(matches(&format!("{hidden}1 of them\n"), &records), [true, false, true, false]);
    assert_eq!(matches(&format!("{hidden}sel and not _h\n"), &records), [true, false, false, false]);
}

/// An event's own names: any is taken, and a log source rules out what the event says of itself.
#[test]
fn raw_events() {
    let sysmon = |id: i64| json!({"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": id, "Image": r"C:\x\cmd.exe"});
    let security = json!({"Channel": "Security", "EventID": 4688, "Image": r"C:\x\cmd.exe"});
    let other = json!({"Image": r"C:\x\cmd.exe"});
    let table = [
        ("{category: process_creation, product: windows}", [true, false, true, true]),
        ("{category: registry_event, product: windows}", [false, true, false, true]),
        ("{service: security, product: windows}", [false, false, true, true]),
        ("{product: windows}", [true, true, true, true]),
        ("{category: process_creation, product: linux}", [false, false, false, true]),
        ("{product: aws, service: cloudtrail}", [false, false, false, true]),
        ("{category: antivirus}", [true, true, true, true]),
        ("{category: webserver}", [false, false, false, true]),
    ];
    for (logsource, expected) in table {
        let text = format!("title: T\nname: t\nlogsource: {logsource}\ndetection:\n  s: {{Image|endswith: '\\cmd.exe'}}\n  condition: s\n");
        let (set, errors) = compile_as(&text, FieldNames::Raw);
        assert_eq!(errors, []);
        let hits = [sysmon(1), sysmon(13), security.clone(), other.clone()].map(|event| !matching(&set, &event).is_empty());
        assert_eq!(hits, expected, "{logsource}");
    }
    // Where an event says its service, another one's rule does not apply; where it says none, it does.
    let text = "title: T\nname: t\nlogsource: {product: linux, service: sshd}\ndetection:\n  s: [Failed]\n  condition: s\n";
    let (set, _) = compile_as(text, FieldNames::Raw);
    assert_eq!(matching(&set, &json!({"message": "Failed x"})), ["t"]);
    assert_eq!(matching(&set, &json!({"message": "Failed x", "process.name": "sshd"})), ["t"]);
    assert_eq!(matching(&set, &json!({"message": "Failed x", "process.name": "cron"})), [""; 0]);
}

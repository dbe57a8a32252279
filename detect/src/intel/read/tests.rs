//! Readers over small samples of each format, in a table, and over cut and flipped ones.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn defaults() -> Defaults {
    Defaults { list: "liste".into(), tlp: Tlp::Amber, confidence: 60, valid_days: None, column: None }
}

/// 2026-06-01.
const NOW: Timestamp = Timestamp(1_780_272_000_000);

fn told(source: &str, format: Format, defaults: &Defaults) -> Result<String, ReadError> {
    let mut out = String::new();
    let report = read(&mut source.as_bytes(), format, defaults, NOW, &mut |item| {
        out.push_str(&match item {
            Item::Listed { new, reference } => format!(
                "+ {} {} {} {} {} {}\n",
                new.pattern.kind(),
                new.pattern.value(),
                new.tlp.as_str(),
                new.confidence,
                new.valid_until.map_or("-".into(), Timestamp::rfc3339),
                reference.as_deref().unwrap_or("-")
            ),
            Item::Withdrawn(pattern) => format!("- {} {}\n", pattern.kind(), pattern.value()),
            Item::Warning(entry) => format!("! {entry:?}\n"),
        });
        Ok(())
    })?;
    for refused in &report.examples {
        out.push_str(&format!("? {} {:?} {}\n", refused.place, refused.reason, refused.what));
    }
    let counted: u64 = report.refused.values().sum();
    assert_eq!(report.examples.len() as u64, counted.min(20), "every refusal is counted");
    Ok(out)
}

fn check(source: &str, expected: Expect) {
    expected.assert_eq(&told(source, Format::Auto, &defaults()).unwrap_or_else(|error| format!("{error}\n")));
}

#[test]
fn plain_lists() {
    check(
        "\u{feff}# Eine Liste\n\n203.0.113.7\n203.0.113.7:443\n203.0.113.0/24 ; Netz\nbad[.]example # Kommentar\nhxxps://bad.example/x\n\
         0.0.0.0 blocked.example\n; auch ein Kommentar\n0.0.0.0/0\nwort\nd41d8cd98f00b204e9800998ecf8427f,0d9e6a3b-2f5c-4c58-9a57-7c0f4f0b1e21\n",
        expect![[r#"
            + address 203.0.113.7 TLP:AMBER 60 - -
            + address 203.0.113.7 TLP:AMBER 60 - -
            + prefix 203.0.113.0/24 TLP:AMBER 60 - -
            + domain bad.example TLP:AMBER 60 - -
            + url https://bad.example/x TLP:AMBER 60 - -
            + domain blocked.example TLP:AMBER 60 - -
            ? 10 TooBroad 0.0.0.0/0
            ? 11 NotAnIndicator wort
            ? 12 ValueDigest d41d8cd98f00b204e9800998ecf8427f,0d9e6a3b-2f5c-4c58-9a57-7c0f4f0b1e21
        "#]],
    );
}

#[test]
fn tables() {
    check(
        "Indicator;TLP;Confidence;Valid Until;Kommentar\nbad.example;green;80;2026-12-31;\"mit ; und \"\"Zeichen\"\"\"\n\
         203.0.113.7;;;;\n203.0.113.8;lila;;;\n203.0.113.9;;;2020-01-01;\n;;;;\n\"offen;;;;\n",
        expect![[r#"
            + domain bad.example TLP:GREEN 80 2026-12-31T00:00:00.000Z -
            + address 203.0.113.7 TLP:AMBER 60 - -
            ? 4 Malformed tlp: lila
            ? 5 Expired 203.0.113.9
            ? 6 Malformed no value
            ? 7 Malformed quotation mark
        "#]],
    );
    // The names in a comment, as abuse.ch has them, and an own column.
    check(
        "################\n# Botnet C2     #\n################\n# first_seen_utc,dst_ip,dst_port,last_online\n2026-05-01 10:00:00,203.0.113.7,443,2026-05-31\n",
        expect![[r#"
            + address 203.0.113.7 TLP:AMBER 60 - -
        "#]],
    );
    let own = Defaults { column: Some("Ziel Adresse".into()), valid_days: Some(30), ..defaults() };
    let shown = told("nr,ziel_adresse,last_seen\n1,203.0.113.7,2026-05-31\n2,203.0.113.8,\n3,203.0.113.9,2026-04-01\n", Format::Auto, &own);
    expect![[r#"
        + address 203.0.113.7 TLP:AMBER 60 2026-06-30T00:00:00.000Z -
        + address 203.0.113.8 TLP:AMBER 60 2026-07-01T00:00:00.000Z -
        ? 4 Expired 203.0.113.9
    "#]]
    .assert_eq(&shown.unwrap());
}

const MISP: &str = r#"{"response":[{"Event":{"uuid":"e1","info":"Welle","Tag":[{"name":"tlp:green"},{"name":"misp:confidence-level=\"usually-confident\""}],
  "Attribute":[
    {"uuid":"a1","type":"ip-dst","value":"203.0.113.7","to_ids":true,"timestamp":"1780000000"},
    {"uuid":"a2","type":"ip-dst|port","value":"203.0.113.8|443","to_ids":"1","Tag":[{"name":"tlp:red"},{"name":"tlp:amber+strict"}]},
    {"uuid":"a3","type":"domain|ip","value":"bad.example|203.0.113.9","to_ids":true},
    {"uuid":"a4","type":"domain","value":"context.example","to_ids":false},
    {"uuid":"a5","type":"yara","value":"rule x {}","to_ids":true},
    {"uuid":"a6","type":"url","value":"http://bad.example/x","to_ids":true,"deleted":true},
    {"uuid":"a7","type":"sha256","value":"nur-ein-name.exe","to_ids":true},
    {"uuid":"a8","type":"ip-src","value":"bad.example","to_ids":true}],
  "Object":[{"name":"file","Attribute":[
    {"uuid":"o1","type":"filename|sha256","value":"a.exe|e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b800","to_ids":true}]},
    {"name":"email","deleted":true,"Attribute":[{"uuid":"o2","type":"email-src","value":"Chef@Bad.example","to_ids":true}]}]}}]}"#;

#[test]
fn misp_events() {
    check(
        MISP,
        expect![[r#"
            + address 203.0.113.7 TLP:GREEN 75 - a1
            + address 203.0.113.8 TLP:RED 75 - a2
            + domain bad.example TLP:GREEN 75 - a3
            + address 203.0.113.9 TLP:GREEN 75 - a3
            - url http://bad.example/x
            + sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b800 TLP:GREEN 75 - o1
            - mail chef@bad.example
            ? a4 NotForDetection domain
            ? a5 OtherKind yara
            ? a7 NotAnIndicator nur-ein-name.exe
            ? a8 NotAnIndicator bad.example
        "#]],
    );
    check(
        r#"{"response":{"Attribute":[{"uuid":"a1","type":"md5","value":"D41D8CD98F00B204E9800998ECF8427F","to_ids":true,"last_seen":"2026-05-31T00:00:00+00:00"}]}}"#,
        expect![[r#"
            + md5 d41d8cd98f00b204e9800998ecf8427f TLP:AMBER 60 - a1
        "#]],
    );
}

#[test]
fn a_feeds_manifest() {
    let manifest = |text: &str| Manifest::read(&serde_json::from_str(text).unwrap()).map(|manifest| manifest.events);
    let (first, second) = ("0d9e6a3b-2f5c-4c58-9a57-7c0f4f0b1e21", "1d9e6a3b-2f5c-4c58-9a57-7c0f4f0b1e22");
    let text = format!(
        r#"{{"{second}":{{"info":"b","timestamp":1700000001}},"{first}":{{"info":"a","timestamp":"1700000000"}},"../../etc/passwd":{{"timestamp":1}}}}"#
    );
    assert_eq!(manifest(&text).unwrap(), [(first.to_owned(), 1_700_000_000), (second.to_owned(), 1_700_000_001)]);
    assert_eq!(manifest("{}").unwrap(), []);
    assert_eq!(manifest(r#"{"errors":"no"}"#), None);
    assert_eq!(manifest("[1]"), None);
}

#[test]
fn stix_bundles() {
    let indicator = |id: &str, more: &str| {
        format!(r#"{{"type":"indicator","spec_version":"2.1","id":"indicator--{id}","pattern_type":"stix",{more}}}"#)
    };
    let bundle = |objects: &[String]| format!(r#"{{"type":"bundle","id":"bundle--1","objects":[{}]}}"#, objects.join(","));
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b800";
    check(
        &bundle(&[
            indicator(
                "1",
                r#""pattern":"[ipv4-addr:value = '203.0.113.7' OR domain-name:value = 'bad.example']","confidence":90,"valid_until":"2026-12-31T00:00:00Z","object_marking_refs":["marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003","marking-definition--own"]"#,
            ),
            indicator(
                "2",
                &format!(
                    r#""pattern":"[file:hashes.'SHA-256' = '{hash}'] OR [url:value IN ('http://bad.example/a', 'http://bad.example/b')]","object_marking_refs":["marking-definition--own"]"#
                ),
            ),
            indicator("3", r#""pattern":"[ipv4-addr:value ISSUBSET '203.0.113.0/24']""#),
            indicator("4", r#""pattern":"[email-message:from_ref.value = 'chef@bad.example']","revoked":true"#),
            indicator("5", r#""pattern":"[file:name = 'a.exe' AND file:size = 5]""#),
            indicator("6", r#""pattern":"[ipv4-addr:value = '203.0.113.7'] FOLLOWEDBY [url:value = 'http://a.example/']""#),
            indicator("7", r#""pattern":"[domain-name:value = 'a.example'] WITHIN 5 SECONDS""#),
            indicator("8", r#""pattern":"[domain-name:value LIKE '%.example' OR x-own:thing = 'y' OR domain-name:value = 'ok.example']""#),
            indicator("9", r#""pattern":"[ipv4-addr:value = '203.0.113.7'","valid_from":"2026-01-01T00:00:00Z""#),
            indicator("10", r#""pattern":"[ipv4-addr:value = '203.0.113.8']","valid_from":"2027-01-01T00:00:00Z""#),
            indicator("11", r#""pattern":"[ipv4-addr:value = '203.0.113.8']","valid_until":"2025-01-01T00:00:00Z""#),
            indicator("12", r#""pattern":"rule x {}","pattern_type":"yara""#).replacen(r#""pattern_type":"stix","#, "", 1),
            indicator("13", r#""pattern":"[domain-name:value NOT = 'a.example']""#),
            r#"{"type":"malware","id":"malware--1","name":"x"}"#.to_owned(),
            r#"{"type":"identity","id":"identity--1","name":"x"}"#.to_owned(),
            r#"{"type":"marking-definition","id":"marking-definition--own","definition_type":"tlp","definition":{"tlp":"white"}}"#
                .to_owned(),
        ]),
        expect![[r#"
            + address 203.0.113.7 TLP:AMBER+STRICT 90 2026-12-31T00:00:00.000Z indicator--1
            + domain bad.example TLP:AMBER+STRICT 90 2026-12-31T00:00:00.000Z indicator--1
            + sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b800 TLP:CLEAR 60 - indicator--2
            + url http://bad.example/a TLP:CLEAR 60 - indicator--2
            + url http://bad.example/b TLP:CLEAR 60 - indicator--2
            + prefix 203.0.113.0/24 TLP:AMBER 60 - indicator--3
            - mail chef@bad.example
            + domain ok.example TLP:AMBER 60 - indicator--8
            ? indicator--5 TooComplex AND
            ? indicator--6 TooComplex FOLLOWEDBY
            ? indicator--7 TooComplex WITHIN
            ? indicator--8 UnknownPattern domain-name:value LIKE
            ? indicator--8 UnknownPattern x-own:thing =
            ? indicator--9 Malformed ends too early
            ? indicator--10 NotYetValid [ipv4-addr:value = '203.0.113.8']
            ? indicator--11 Expired 203.0.113.8
            ? indicator--12 UnknownPattern pattern_type yara
            ? indicator--13 TooComplex NOT
            ? malware--1 OtherKind malware
        "#]],
    );
}

#[test]
fn stix_patterns_nest_and_quote() {
    let shown = |pattern: &str| format!("{:?}", stix_pattern::leaves(pattern));
    assert!(shown(r"[url:value = 'http://a.example/it\'s']").contains("it's"));
    assert!(
        shown("(([ipv4-addr:value='203.0.113.7'])) OR [(domain-name:value='a.example' OR (url:value='b'))]").matches("Value").count() == 3
    );
    let deep = format!("{}[a:b = 'c']{}", "(".repeat(100), ")".repeat(100));
    assert!(shown(&deep).contains("nested deeper"));
    let many = format!("[{}]", vec!["a:b = 'c'"; 10_001].join(" OR "));
    assert!(shown(&many).contains("TooMany"));
    assert!(shown("[a:b = 'c' OR NOT a:b = 'd']").contains("\"NOT\""));
}

#[test]
fn warning_lists() {
    check(
        r#"{"name":"Top 3","description":"besucht","type":"hostname","list":["Gut.Example","com","10.0.0.0/8",7]}"#,
        expect![[r#"
            ! Below("gut.example")
            ! Below("com")
            ! Net(Prefix { base: 10.0.0.0, bits: 8 })
            ? 3 Malformed not a text
        "#]],
    );
    check(
        r#"{"name":"Teile","type":"substring","list":["gut"]}"#,
        expect![[r#"
            ? 0 InexactWarning substring: gut
        "#]],
    );
    let shown = told("# Rang, Name\n1,gut.example\n2,*.besser.example\nwort\n", Format::Warning, &defaults()).unwrap();
    expect![[r#"
        ! Name("gut.example")
        ! Below("besser.example")
        ? 4 NotAnIndicator wort
    "#]]
    .assert_eq(&shown);
}

#[test]
fn what_is_none_of_them_is_said() {
    check("{\"a\": 1}", expect![["neither MISP nor STIX 2.1 nor a warning list: a\n"]]);
    check("{\"a\": ", expect![["not JSON: EOF while parsing a value at line 1 column 6\n"]]);
    let long = "x".repeat(70_000) + "\n203.0.113.7\n";
    check(&long, expect![["+ address 203.0.113.7 TLP:AMBER 60 - -\n? 1 Malformed line too long\n"]]);
    assert_eq!(told("", Format::Auto, &defaults()).unwrap(), "");
}

#[test]
fn moments_in_all_their_forms() {
    for (text, expected) in [
        ("2026-05-31", "2026-05-31T00:00:00.000Z"),
        ("2026-05-31 10:00:00", "2026-05-31T10:00:00.000Z"),
        ("2026-05-31 10:00:00 UTC", "2026-05-31T10:00:00.000Z"),
        ("2026-05-31T10:00:00+02:00", "2026-05-31T08:00:00.000Z"),
        ("1780000000", "2026-05-28T20:26:40.000Z"),
        ("gestern", "-"),
        ("0", "-"),
    ] {
        assert_eq!(moment(text).map_or("-".into(), Timestamp::rfc3339), expected, "{text}");
    }
}

const SAMPLES: [&str; 5] = [
    MISP,
    r#"{"type":"bundle","objects":[{"type":"indicator","id":"indicator--1","pattern":"[ipv4-addr:value = '203.0.113.7' OR file:hashes.'SHA-256' IN ('a','b')] OR ([url:value='x'])","object_marking_refs":["marking-definition--1"]},{"type":"marking-definition","id":"marking-definition--1","name":"TLP:RED"}]}"#,
    r#"{"name":"Top","type":"hostname","list":["gut.example","10.0.0.0/8"]}"#,
    "# id,ip,url\n1,203.0.113.7,http://bad.example/x\n2,\"203.0.113.8\",\n",
    "203.0.113.7\nbad.example\nhttp://bad.example/%zz\n2001:db8::/32\n",
];

proptest! {
    /// Cut, flipped and doubled, read as any format: no panic, and never more items than bytes.
    #[test]
    fn mutated_input_is_read_or_refused(
        sample in 0usize..SAMPLES.len(),
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        format in 0usize..5,
        cut_it in any::<bool>(),
    ) {
        let mut bytes = SAMPLES[sample].as_bytes().to_vec();
        if cut_it {
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut items = 0usize;
        let days = Defaults { valid_days: Some(u32::MAX), ..defaults() };
        let read = read(&mut bytes.as_slice(), Format::ALL[format].1, &days, NOW, &mut |_| { items += 1; Ok(()) });
        prop_assert!(items <= bytes.len());
        if let Ok(report) = read {
            prop_assert!(report.examples.len() <= EXAMPLES_MAX);
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(leaves) = stix_pattern::leaves(&text) {
            prop_assert!(leaves.len() <= bytes.len());
        }
    }
}

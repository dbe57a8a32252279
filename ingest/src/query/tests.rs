//! The language: what it prints, what it refuses and what it suggests instead.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::{Query, Reach};
use crate::fields::FieldId;

fn check(text: &str, printed: &Expect) {
    let query = Query::parse_fixed(text).unwrap();
    printed.assert_eq(&query.to_string());
    assert_eq!(Query::parse_fixed(&query.to_string()), Ok(query), "{text}");
}

#[test]
fn printed_canonically() {
    check("", &expect!["*"]);
    check("  a   b ", &expect!["a AND b"]);
    check("a b OR c -d", &expect!["(a AND b) OR (c AND NOT d)"]);
    check("((a)) AND (b AND (c))", &expect!["a AND b AND c"]);
    check("NOT (a OR b)", &expect!["NOT (a OR b)"]);
    check(r#""a b" "and" "AND" "x..y""#, &expect![[r#""a b" AND and AND "AND" AND "x..y""#]]);
    check(r#"fail* "fail*" a\*b*"#, &expect![[r#"fail* AND "fail*" AND a\*b*"#]]);
    check(
        "source.port:>1023 source.port:<=5 source.port:[1 TO 5] source.port:1..5",
        &expect!["source.port:>=1024 AND source.port:<=5 AND source.port:[1 TO 5] AND source.port:[1 TO 5]"],
    );
    check(
        "source.ip:10.1.2.3/8 source.ip:fe80::1 source.ip:[10.0.0.1 TO 10.0.0.9]",
        &expect!["source.ip:10.1.2.3/8 AND source.ip:fe80::1 AND source.ip:[10.0.0.1 TO 10.0.0.9]"],
    );
    check(r#"user.name:"Max Muster" user.name:* user.name:"*""#, &expect![[r#"user.name:"Max Muster" AND user.name:* AND user.name:"*""#]]);
    check("_defect:no_header OR _defect:*", &expect!["_defect:no_header OR _defect:*"]);
    check(r"file.path:C:\Temp\x*", &expect![r"file.path:C:\\Temp\\x*"]);
    check("site:rathaus-a", &expect!["site:rathaus-a"]);
    check("\\-a* url.full:http://x.y/?q", &expect![r"\-a* AND url.full:http://x.y/?q"]);
}

fn refuse(text: &str, error: &Expect) {
    error.assert_eq(&Query::parse_fixed(text).unwrap_err().to_string());
}

#[test]
fn errors_say_where_and_what_to_do() {
    refuse(
        "a sorce.ip:1.2.3.4",
        &expect![
            "Das Feld „sorce.ip“ gibt es nicht. Meinten Sie „source.ip“? Text mit einem Doppelpunkt suchen Sie in Anführungszeichen. (Stelle 2)"
        ],
    );
    refuse(
        "usr.nam:x",
        &expect![
            "Das Feld „usr.nam“ gibt es nicht. Meinten Sie „user.name“? Text mit einem Doppelpunkt suchen Sie in Anführungszeichen. (Stelle 0)"
        ],
    );
    refuse(
        "winlog.event_data.Never:3",
        &expect![
            "Ein Feld „winlog.event_data.Never“ hatte seit dem Start noch kein Ereignis. Stimmt der Name? Text mit einem Doppelpunkt suchen Sie in Anführungszeichen. (Stelle 0)"
        ],
    );
    refuse("14:02:07", &expect!["Das Feld „14“ gibt es nicht. Text mit einem Doppelpunkt suchen Sie in Anführungszeichen. (Stelle 0)"]);
    refuse("(a", &expect!["Diese Klammer wird nicht geschlossen. Bitte ergänzen Sie „)“. (Stelle 0)"]);
    refuse("a)", &expect!["Diese schließende Klammer hat keine öffnende. Bitte entfernen Sie sie. (Stelle 1)"]);
    refuse("()", &expect!["Hier fehlt ein Suchbegriff vor der schließenden Klammer. (Stelle 1)"]);
    refuse("a OR", &expect!["Hier fehlt ein Suchbegriff, zum Beispiel failed oder user.name:root. (Stelle 4)"]);
    refuse("AND b", &expect!["AND und OR stehen zwischen zwei Suchbegriffen. Das Wort selbst suchen Sie in Anführungszeichen. (Stelle 0)"]);
    refuse("ä \"b", &expect!["Dieses Anführungszeichen wird nicht geschlossen. Bitte ergänzen Sie „\"“ am Ende des Textes. (Stelle 3)"]);
    refuse("\"\"", &expect!["Die Anführungszeichen sind leer. Bitte schreiben Sie den gesuchten Text hinein. (Stelle 0)"]);
    refuse("user.name:", &expect!["Nach „user.name:“ fehlt der Wert. Ob das Feld vorhanden ist, fragt user.name:* (Stelle 10)"]);
    refuse("user.name:(a OR b)", &expect!["Bitte wiederholen Sie das Feld: (user.name:a OR user.name:b) (Stelle 10)"]);
    refuse(
        "source.port:ssh",
        &expect!["source.port erwartet eine ganze Zahl, zum Beispiel source.port:443 oder source.port:>=1024 (Stelle 12)"],
    );
    refuse(
        "source.ip:10.0.0.0/33",
        &expect!["source.ip erwartet eine Adresse, zum Beispiel source.ip:10.20.30.40 oder source.ip:10.0.0.0/8 (Stelle 10)"],
    );
    refuse(
        "source.port:[9 TO 1]",
        &expect!["Der Anfang des Bereichs liegt hinter seinem Ende. Bitte vertauschen Sie: [1 TO 9] (Stelle 12)"],
    );
    refuse("source.port:[9 - 1]", &expect!["Ein Bereich hat die Form [1 TO 1024]. (Stelle 0)"]);
    refuse(
        "source.ip:[10.0.0.1 TO ::1]",
        &expect![
            "Ein Bereich hat zwei ganze Zahlen oder zwei Adressen einer Art, zum Beispiel [1 TO 1024] oder [10.0.0.1 TO 10.0.0.9]. (Stelle 10)"
        ],
    );
    refuse(
        "source.port:>",
        &expect![
            "Nach dem Vergleichszeichen steht eine ganze Zahl, zum Beispiel >=1024. Adressen vergleichen Sie mit [10.0.0.1 TO 10.0.0.9]. (Stelle 12)"
        ],
    );
    refuse(
        "_defect:nohead",
        &expect!["Diesen Mangel gibt es nicht. Möglich sind zum Beispiel _defect:no_header oder _defect:* für jeden. (Stelle 8)"],
    );
    refuse("a*b*c*d*e*f*g*h*i*", &expect!["Mehr als 8 Sternchen in einem Begriff. Bitte suchen Sie mit mehreren Begriffen. (Stelle 0)"]);
}

#[test]
fn a_query_that_names_nothing_is_told_from_one_that_does() {
    for (text, reach) in [
        ("", Reach::Everything),
        ("(*)", Reach::Everything),
        ("@timestamp:*", Reach::Everything),
        ("NOT user.name:eve", Reach::Open),
        ("-a -b", Reach::Open),
        ("a OR -a", Reach::Open),
        ("@timestamp:>2026-01-01", Reach::Open),
        ("@timestamp:>2026-01-01 -a", Reach::Open),
        ("user.name:*", Reach::Open),
        ("user.name:?*", Reach::Open),
        ("NOT NOT *", Reach::Open),
        ("eve", Reach::Named),
        ("-a eve", Reach::Named),
        ("user.name:eve AND @timestamp:>2026-01-01", Reach::Named),
        ("user.name:e*", Reach::Named),
        ("a OR (b -c)", Reach::Named),
    ] {
        assert_eq!(Query::parse_fixed(text).map(|query| query.reach()), Ok(reach), "{text}");
    }
}

#[test]
fn only_stars_that_stand_for_something_are_counted() {
    let stars = "*".repeat(3_000);
    for quoted in [format!("user.name:\"{stars}\""), format!("\"{stars}\""), format!("user.name:{}", r"\*".repeat(40))] {
        assert!(Query::parse_fixed(&quoted).is_ok(), "{quoted}");
    }
    let wild = ["a*b*c*"; 11].join(" ");
    assert!(Query::parse_fixed(&wild).unwrap_err().message.contains("Mehr als 32"));
    let wild = ["user.name:a*b*c*"; 11].join(" ");
    assert!(Query::parse_fixed(&wild).unwrap_err().message.contains("Mehr als 32"));
}

#[test]
fn hostile_queries_are_refused() {
    for (hostile, part) in [
        ("x".repeat(1 << 20), "länger als"),
        (vec!["a"; 10_000].join(" OR "), "länger als"),
        (vec!["a"; 300].join(" OR "), "Mehr als 256"),
        (format!("{}a{}", "(".repeat(4_000), ")".repeat(4_000)), "Ebenen"),
        ("NOT ".repeat(2_000), "Ebenen"),
        ("-".repeat(8_000), "Ebenen"),
        (")".repeat(8_000), "Suchbegriff"),
    ] {
        let error = Query::parse_fixed(&hostile).unwrap_err();
        assert!(error.message.contains(part), "{error}");
        assert!(error.message.len() < 300);
    }
    assert!(Query::parse_fixed("*a*b*c*").is_ok());
}

pub(super) fn term() -> impl Strategy<Value = String> {
    let word = "[a-zA-Z0-9äÄİ_.@/\\-:<>\\[\\]*?\\\\!=^]{1,8}";
    prop_oneof![
        word.prop_map(|word| word.to_owned()),
        "\"[ -~ä]{1,8}\"".prop_map(|text| text.to_owned()),
        ("(user.name|file.path|event.code|message|vendor.roundtrip)", word).prop_map(|(field, word)| format!("{field}:{word}")),
        ("(user.name|source.ip|message)", "[ -~ä]{1,8}").prop_map(|(field, text)| format!("{field}:\"{text}\"")),
        ("(>=|<=|>|<)", any::<i64>()).prop_map(|(sign, n)| format!("source.port:{sign}{n}")),
        (any::<i32>(), any::<i32>()).prop_map(|(a, b)| format!("source.bytes:{}..{}", a.min(b), a.max(b))),
        (any::<[u8; 4]>(), 0..=32u8).prop_map(|(ip, bits)| format!("source.ip:{}/{bits}", std::net::Ipv4Addr::from(ip))),
        any::<[u16; 8]>().prop_map(|ip| format!("source.ip:{}", std::net::Ipv6Addr::from(ip))),
        "_defect:(no_header|\\*)",
    ]
}

pub(super) fn query() -> impl Strategy<Value = String> {
    term().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            inner.clone().prop_map(|a| format!("NOT {a}")),
            inner.prop_map(|a| format!("-({a})")),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(text in query()) {
        let _ = FieldId::intern("vendor.roundtrip");
        if let Ok(query) = Query::parse_fixed(&text) {
            prop_assert_eq!(Query::parse_fixed(&query.to_string()), Ok(query));
        }
    }

    #[test]
    fn nothing_makes_it_panic(text in any::<String>()) {
        let _ = Query::parse_fixed(&text);
    }
}

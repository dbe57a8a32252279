//! Pipes: what they print, what they refuse and what they suggest instead.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::tests::{query, term};
use super::{Pipeline, Query, QueryError};
use crate::fields::FieldId;
use crate::time::Timestamp;

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-21T12:00:00Z").unwrap()
}

fn check(text: &str, printed: &Expect) {
    let pipeline = Pipeline::parse(text, now()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let columns: Vec<String> = pipeline.columns().into_iter().map(|column| column.name).collect();
    printed.assert_eq(&format!("{pipeline}  [{}]", columns.join(" ")));
    assert_eq!(Pipeline::parse(&pipeline.to_string(), now()), Ok(pipeline), "{text}");
}

#[test]
fn printed_canonically() {
    check("a b", &expect!["a AND b  [@timestamp site host.name message]"]);
    check("| count", &expect!["* | count  [count]"]);
    check(
        "failed|count by site,event.action|sort -count|head 20",
        &expect!["failed | count by site, event.action | sort -count | head 20  [site event.action count]"],
    );
    check(
        "\"a|b\" c\\|d user.name:\"x|y\" | COUNT BY site",
        &expect![[r#""a|b" AND "c|d" AND user.name:"x|y" | count by site  [site count]"#]],
    );
    check("* | top source.ip", &expect!["* | top 10 source.ip  [source.ip count]"]);
    check(
        "* | top 5 source.ip by sum(network.bytes) | sort sum(network.bytes)",
        &expect!["* | top 5 source.ip by sum(network.bytes) | sort sum(network.bytes)  [source.ip sum(network.bytes)]"],
    );
    check("* | top 5 source.ip by count()", &expect!["* | top 5 source.ip  [source.ip count]"]);
    check("* | rare process.name | fields process.name", &expect!["* | rare process.name | fields process.name  [process.name]"]);
    check("* | rare 20 process.name", &expect!["* | rare process.name  [process.name count]"]);
    check("* | rare 3 process.name", &expect!["* | rare 3 process.name  [process.name count]"]);
    check("* | distinct source.ip by user.name", &expect!["* | distinct source.ip by user.name  [user.name distinct]"]);
    check("* | distinct source.ip, destination.port", &expect!["* | distinct source.ip, destination.port  [distinct]"]);
    check(
        "* | stats count, P95(network.bytes), dc(source.ip), min(@timestamp) by site | sort -dc(source.ip), site",
        &expect![
            "* | stats count, p95(network.bytes), dc(source.ip), min(@timestamp) by site | sort -dc(source.ip), site  [site count p95(network.bytes) dc(source.ip) min(@timestamp)]"
        ],
    );
    check(
        "* | stats median(network.bytes), p50(network.bytes)",
        &expect!["* | stats median(network.bytes), p50(network.bytes)  [median(network.bytes) p50(network.bytes)]"],
    );
    check("* | histogram 60m by event.outcome", &expect!["* | histogram 1h by event.outcome  [@timestamp event.outcome count]"]);
    check("* | histogram 24h | sort -@timestamp | head 7", &expect!["* | histogram 1d | sort -@timestamp | head 7  [@timestamp count]"]);
    check("* | patterns | sort -last", &expect!["* | patterns | sort -last  [process.name pattern count first last example]"]);
    check(
        "* | fields @timestamp, user.name | sort user.name",
        &expect!["* | fields @timestamp, user.name | sort user.name  [@timestamp user.name]"],
    );
    check("* | sort -source.port | head 3", &expect!["* | sort -source.port | head 3  [@timestamp site host.name message source.port]"]);
    check("* | sort -source.port | fields user.name", &expect!["* | sort -source.port | fields user.name  [user.name]"]);
    check(
        "@timestamp:>now-24h @timestamp:[now-7d TO now] | count",
        &expect!["@timestamp:>now-1d AND @timestamp:[now-7d TO now] | count  [count]"],
    );
    check(
        "@timestamp:2026-11-21 OR @timestamp:<=21.11.2026 OR @timestamp:2026-11-20..2026-11-21",
        &expect![
            "@timestamp:2026-11-21 OR @timestamp:<=2026-11-21 OR @timestamp:[2026-11-20 TO 2026-11-21]  [@timestamp site host.name message]"
        ],
    );
    check(
        "@timestamp:\"2026-11-21 14:00\" @timestamp:>=2026-11-21T14:00:01Z @timestamp:[* TO now-1h] @timestamp:*",
        &expect![
            "@timestamp:2026-11-21T14:00+01:00 AND @timestamp:>=2026-11-21T15:00:01+01:00 AND @timestamp:<=now-1h AND *  [@timestamp site host.name message]"
        ],
    );
}

fn refuse(text: &str, error: &Expect) {
    error.assert_eq(&Pipeline::parse(text, now()).unwrap_err().to_string());
}

#[test]
fn errors_say_where_and_what_to_do() {
    refuse(
        "a | cuont",
        &expect!["Den Schritt „cuont“ gibt es nicht. Meinten Sie „count“? Zum Beispiel: count by site, event.action (Stelle 4)"],
    );
    refuse(
        "a | where x",
        &expect![
            "Den Schritt „where“ gibt es nicht. Möglich sind: count, top, rare, distinct, stats, histogram, patterns, sort, head, fields. (Stelle 4)"
        ],
    );
    refuse(
        "a |",
        &expect![
            "Nach „|“ fehlt ein Schritt, zum Beispiel count by site. Das Zeichen „|“ selbst suchen Sie in Anführungszeichen. (Stelle 3)"
        ],
    );
    refuse(
        "a || count",
        &expect![
            "Nach „|“ fehlt ein Schritt, zum Beispiel count by site. Das Zeichen „|“ selbst suchen Sie in Anführungszeichen. (Stelle 3)"
        ],
    );
    refuse(
        "sorce.ip:1 | count",
        &expect![
            "Das Feld „sorce.ip“ gibt es nicht. Meinten Sie „source.ip“? Text mit einem Doppelpunkt suchen Sie in Anführungszeichen. (Stelle 0)"
        ],
    );
    refuse("a | count by sorce.ip", &expect!["Das Feld „sorce.ip“ gibt es nicht. Meinten Sie „source.ip“? (Stelle 13)"]);
    refuse("ä | count by", &expect!["Nach „by“ fehlt ein Feld, zum Beispiel by site. (Stelle 13)"]);
    refuse("a | count by site site", &expect!["Das gehört nicht mehr zu „count“. Vor dem nächsten Schritt steht „|“. (Stelle 18)"]);
    refuse("a | count by site, site", &expect!["Das Feld „site“ steht hier schon. (Stelle 19)"]);
    refuse(
        "a | count by site, host.name, user.name, event.action, event.code",
        &expect!["Mehr als 4 Felder. Bitte lassen Sie einige weg. (Stelle 55)"],
    );
    refuse("a | count by @timestamp", &expect!["Nach der Zeit fasst „histogram“ zusammen, zum Beispiel histogram 1h. (Stelle 13)"]);
    refuse("a | count site", &expect!["Vor „site“ fehlt „by“ oder ein Komma. (Stelle 10)"]);
    refuse(
        "a | count by site | sort -cuont",
        &expect!["Die Spalte „cuont“ gibt es hier nicht. Meinten Sie „count“? Möglich sind: site, count. (Stelle 25)"],
    );
    refuse(
        "a | count by site | fields site | sort count",
        &expect!["Die Spalte „count“ gibt es hier nicht. Möglich sind: site. (Stelle 39)"],
    );
    refuse("a | sort sorce.ip", &expect!["Das Feld „sorce.ip“ gibt es nicht. Meinten Sie „source.ip“? (Stelle 9)"]);
    refuse(
        "a | count | count by site",
        &expect!["„count“ kann nur der erste Schritt sein. Auf eine Tabelle folgen sort, head und fields. (Stelle 12)"],
    );
    refuse(
        "a | head 3 | count",
        &expect!["„count“ kann nur der erste Schritt sein. Auf eine Tabelle folgen sort, head und fields. (Stelle 13)"],
    );
    refuse("a | head", &expect!["Nach „head“ fehlt die Zahl der Zeilen, zum Beispiel head 20. (Stelle 8)"]);
    refuse("a | head 0", &expect!["Die Zahl der Zeilen liegt zwischen 1 und 100000. (Stelle 9)"]);
    refuse("a | head -3", &expect!["Die Zahl der Zeilen liegt zwischen 1 und 100000. (Stelle 9)"]);
    refuse("a | top 3", &expect!["Nach „top“ fehlt ein Feld, zum Beispiel top 10 source.ip. (Stelle 9)"]);
    refuse(
        "a | top 3 site by avg(network.bytes)",
        &expect!["„top“ ordnet nach count oder nach einer Summe, zum Beispiel top 10 source.ip by sum(network.bytes). (Stelle 18)"],
    );
    refuse(
        "a | stats",
        &expect!["Hier fehlt ein Kennwert, zum Beispiel count, sum(network.bytes), p95(network.bytes) oder dc(source.ip). (Stelle 9)"],
    );
    refuse("a | stats sum", &expect!["Nach „sum“ fehlt das Feld in Klammern, zum Beispiel sum(network.bytes). (Stelle 13)"]);
    refuse("a | stats sum(", &expect!["Nach „sum(“ fehlt ein Feld, zum Beispiel sum(network.bytes). (Stelle 14)"]);
    refuse("a | stats sum(network.bytes", &expect!["Hier fehlt „)“. (Stelle 27)"]);
    refuse(
        "a | stats sum(user.name)",
        &expect![
            "„user.name“ hat keine Zahlen. sum rechnet mit Zahlen, zum Beispiel sum(network.bytes); verschiedene Werte zählt dc(user.name). (Stelle 14)"
        ],
    );
    refuse("a | stats avg(@timestamp)", &expect!["Von @timestamp gibt es nur min (zuerst) und max (zuletzt). (Stelle 14)"]);
    refuse(
        "a | stats p100(network.bytes)",
        &expect!["Den Kennwert „p100“ gibt es nicht. Möglich sind count, sum, min, max, avg, median, p1 bis p99 und dc. (Stelle 10)"],
    );
    refuse(
        "a | stats mean(network.bytes)",
        &expect![
            "Den Kennwert „mean“ gibt es nicht. Meinten Sie „min“? Möglich sind count, sum, min, max, avg, median, p1 bis p99 und dc. (Stelle 10)"
        ],
    );
    refuse("a | stats count, count", &expect!["„count“ steht hier schon. (Stelle 17)"]);
    refuse("a | histogram", &expect!["Nach „histogram“ fehlt die Breite, zum Beispiel 1m, 15m, 1h, 6h, 1d oder 1w. (Stelle 13)"]);
    refuse(
        "a | histogram 36h",
        &expect![
            "„36h“ ist keine Breite, zum Beispiel 1m, 15m, 1h, 6h, 1d oder 1w. Ab einem Tag sind es ganze Tage, höchstens 366. (Stelle 14)"
        ],
    );
    refuse("a | fields", &expect!["Nach „fields“ fehlt eine Spalte, zum Beispiel fields site, count. (Stelle 10)"]);
    refuse(
        "a | fields a:b",
        &expect!["Das Zeichen „:“ gehört nicht in einen Schritt. Einen Text mit „|“ suchen Sie in Anführungszeichen. (Stelle 12)"],
    );
    refuse(
        "a | count by user.name=x",
        &expect!["Das Zeichen „=“ gehört nicht in einen Schritt. Einen Text mit „|“ suchen Sie in Anführungszeichen. (Stelle 22)"],
    );
    refuse(
        "a | count | head 1 | head 1 | head 1 | head 1 | head 1 | head 1 | head 1 | head 1",
        &expect!["Mehr als 8 Schritte. Bitte lassen Sie einige weg. (Stelle 74)"],
    );
    refuse(
        "@timestamp:>gestern | count",
        &expect![
            "@timestamp erwartet eine Zeit, zum Beispiel @timestamp:>now-24h, @timestamp:2026-11-21 oder @timestamp:[2026-11-21T14:00 TO now]. (Stelle 11)"
        ],
    );
    refuse(
        "@timestamp: | count",
        &expect![
            "Nach „@timestamp:“ fehlt die Zeit, zum Beispiel @timestamp:>now-24h, @timestamp:2026-11-21 oder @timestamp:[2026-11-21T14:00 TO now]. (Stelle 11)"
        ],
    );
    refuse(
        "@timestamp:[now TO now-7d] | count",
        &expect!["Der Anfang des Bereichs liegt hinter seinem Ende. Bitte vertauschen Sie: [now-7d TO now] (Stelle 11)"],
    );
    refuse(
        "@timestamp:(a) | count",
        &expect![
            "Nach „@timestamp:“ fehlt die Zeit, zum Beispiel @timestamp:>now-24h, @timestamp:2026-11-21 oder @timestamp:[2026-11-21T14:00 TO now]. (Stelle 11)"
        ],
    );
    refuse(
        "timestamp:now | count",
        &expect![
            "Das Feld „timestamp“ gibt es nicht. Meinten Sie „@timestamp“? Text mit einem Doppelpunkt suchen Sie in Anführungszeichen. (Stelle 0)"
        ],
    );
    expect!["„now“ ist hier nicht möglich. Bitte nennen Sie einen festen Zeitpunkt. (Stelle 13)"]
        .assert_eq(&Query::parse_fixed("a @timestamp:>now-1h").unwrap_err().to_string());
}

#[test]
fn without_a_pipe_it_is_the_query() {
    for text in ["", "*", "failed \"a|b\"", "a\\|b", "user.name:root AND NOT x", "a)", "\"a", "sorce.ip:1", "a:\"", "source.port:[1 TO 3]"]
    {
        // The suggestion is of the whole text, and so differs.
        let plain = |query: Result<Query, QueryError>| query.map_err(|error| (error.at, error.message));
        let query = plain(Query::parse_fixed(text));
        assert_eq!(plain(Pipeline::parse(text, now()).map(|pipeline| pipeline.query)), query, "{text}");
        // With one, the query before it and its errors stay what they are.
        assert_eq!(plain(Pipeline::parse(&format!("{text} | count"), now()).map(|pipeline| pipeline.query)), query, "{text}");
    }
}

fn stages() -> impl Strategy<Value = String> {
    let by = prop_oneof![Just(""), Just(" by site"), Just(" by site, user.name"), Just(" by vendor.x-y")];
    let first = prop_oneof![
        by.clone().prop_map(|by| format!("count{by}")),
        (0usize..30).prop_map(|n| format!("top {n} user.name by sum(source.bytes)")),
        (1usize..30).prop_map(|n| format!("rare {n} user.name")),
        by.clone().prop_map(|by| format!("distinct user.name{by}")),
        ("(p[0-9]{1,3}|sum|avg|dc|max)", by.clone()).prop_map(|(name, by)| format!("stats {name}(source.bytes), count{by}")),
        ("[0-9]{1,3}[smhdw]", by).prop_map(|(width, by)| format!("histogram {width}{by}")),
        Just("patterns".to_owned()),
        Just("fields site, @timestamp".to_owned()),
    ];
    let shape = "(sort -?(count|site|user.name|distinct)|head [0-9]{1,4}|fields (site|count), user.name|[a-z]{1,5} \\PC{0,6})";
    (first, prop::collection::vec(shape, 0..4)).prop_map(|(first, rest)| [vec![first], rest].concat().join(" | "))
}

const MISTAKES: &[&str] = &[
    "sorce.ip:1",
    "usr.name: root",
    "14:02:07",
    "user.name:",
    "source.port:[9 TO 1]",
    "_defect:nohead",
    "@timestamp:[now TO now-1h]",
    "| cuont",
    "| top 3 sorce.ip",
    "| head 999999",
    "| stats men(source.bytes)",
    "| count site",
    "| sort -cuont",
];

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(
        query in prop_oneof![
            "([a-z|\"\\\\ ]{0,8}|@timestamp:[<>]?=?now[-+][0-9]{1,3}[smhd])".prop_map(String::from),
            query(),
        ],
        stages in stages(),
    ) {
        let _ = FieldId::intern("vendor.x-y");
        if let Ok(pipeline) = Pipeline::parse(&format!("{query} | {stages}"), now()) {
            prop_assert_eq!(Pipeline::parse(&pipeline.to_string(), now()), Ok(pipeline));
        }
    }

    /// What is suggested mends one mistake after the other until the query can be asked, or nothing more is known.
    #[test]
    fn a_suggestion_leads_on(
        parts in prop::collection::vec(prop_oneof![
            term(),
            stages(),
            "[ ()|\"]".prop_map(String::from),
            prop::sample::select(MISTAKES.to_vec()).prop_map(String::from),
        ], 0..6),
    ) {
        let mut text = parts.join(" ");
        let mut steps = 0;
        while let Err(error) = Pipeline::parse(&text, now()) {
            prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at) && error.message.len() < 400, "{}", error);
            let Some(suggestion) = error.suggestion else { break };
            prop_assert_ne!(&suggestion, &text);
            text = suggestion;
            steps += 1;
            prop_assert!(steps < 40, "goes round in a circle: {}", text);
        }
    }

    #[test]
    fn nothing_makes_it_panic(text in "(a|\"|\\||\\\\|\\PC){0,40}") {
        if let Err(error) = Pipeline::parse(&text, now()) {
            prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at), "{}", error);
        }
    }
}

/// What stands on a page behind "Meinten Sie".
fn suggest(text: &str, suggestion: Option<&str>) {
    let error = Pipeline::parse(text, now()).unwrap_err();
    assert_eq!(error.suggestion.as_deref(), suggestion, "{text}: {error}");
}

#[test]
fn what_was_meant_is_suggested_as_a_whole_query() {
    suggest("failed sorce.ip:10.0.0.1 x | count", Some("failed source.ip:10.0.0.1 x | count"));
    suggest("ü AND (usr.nam:root OR y)", Some("ü AND (user.name:root OR y)"));
    suggest("(a | count", Some("(a) | count"));
    suggest("a) b", Some("a b"));
    suggest("\"failed  | count", Some("\"failed\"  | count"));
    suggest("at 14:02:07", Some("at \"14:02:07\""));
    suggest("www.example.org:443", Some("\"www.example.org:443\""));
    suggest("http://x.y/z OR b", Some("\"http://x.y/z\" OR b"));
    suggest("user.name: root", Some("user.name:root"));
    suggest("user.name: | count", Some("user.name:* | count"));
    suggest("source.port:[9 TO 1] x", Some("source.port:[1 TO 9] x"));
    suggest("source.ip:10.0.0.9..10.0.0.1", Some("source.ip:[10.0.0.1 TO 10.0.0.9]"));
    suggest("@timestamp:[now TO now-7d]", Some("@timestamp:[now-7d TO now]"));
    suggest("_defect:no_heder", Some("_defect:no_header"));
    suggest("a | cuont by site", Some("a | count by site"));
    suggest("a | count site", Some("a | count by site"));
    suggest("a | count by sorce.ip | head 3", Some("a | count by source.ip | head 3"));
    suggest("a | stats mean(network.bytes)", Some("a | stats min(network.bytes)"));
    suggest("a | stats dc(source.ip) | sort -dc(sorce.ip)", Some("a | stats dc(source.ip) | sort -dc(source.ip)"));
    suggest("a | fields user.nam", Some("a | fields user.name"));
    suggest("a | head 1000000", Some("a | head 100000"));
    for text in ["a OR", "()", "source.ip:x", "user.name:(a)", "a | where x", "a |", "a | histogram 36h", "_defect:"] {
        suggest(text, None);
    }
    let refused = Query::parse_at("failed  | count by site", now()).unwrap_err();
    assert_eq!((refused.at, refused.suggestion.as_deref()), (8, Some("failed")));
}

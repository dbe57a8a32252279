//! What a search says beside its lines: that it did not get to its end, what to try where it found nothing, and how a query
//! is written.

use std::time::Duration;

use ingest::events::{AggregateResult, Progress, SearchResult};
use ingest::fields::{FIELDS, FieldId};
use ingest::query::Pipeline;
use ingest::time::Timestamp;

use super::super::range::Range;
use crate::show;
use crate::words::{self, de, t, tf};

/// A sentence and what to do now: (label, where it leads).
pub(in crate::web) struct Said {
    pub(in crate::web) text: String,
    pub(in crate::web) links: Vec<(String, String)>,
}

/// Why not everything was found, and the ways to the rest; `None` where it was.
pub(super) fn lines(found: &SearchResult, reached: Option<Progress>, time_max: Duration, range: &Range, text: &str) -> Option<Said> {
    if !found.partial && found.damaged.is_empty() {
        return None;
    }
    let mut said = vec![];
    let mut links = vec![];
    let back_to = reached.map(|progress| progress.back_to).filter(|back_to| *back_to > range.from && *back_to < range.to);
    match back_to {
        _ if !found.ended_early => {}
        Some(back_to) => {
            said.push(over(found.took, time_max));
            said.push(seen(back_to, range));
            let (at, from, to) = (back_to.rfc3339(), range.from.rfc3339(), range.to.rfc3339());
            links.push((t("Nur diese Zeit zeigen").into(), range.over("/suche", text, &[("von", &at), ("bis", &to)])));
            links.push((t("Davor weitersuchen").into(), range.over("/suche", text, &[("von", &from), ("bis", &at)])));
        }
        None => {
            said.push(over(found.took, time_max));
            said.push(t("Grenzen Sie den Zeitraum oder die Anfrage ein.").into());
            links = shorter(range, text);
        }
    }
    said.extend(damage(found.damaged.len()));
    Some(Said { text: said.join(" "), links })
}

/// The same of a table.
pub(super) fn table(found: &AggregateResult, time_max: Duration, range: &Range, text: &str) -> Option<Said> {
    let mut said: Vec<String> = vec![];
    let mut links = vec![];
    if found.table.other > 0 {
        let n = show::num(found.table.other);
        said.push(tf("{n} Ereignisse gehören zu Gruppen, für die kein Platz war; was hier steht, ist ganz gezählt.", &[("n", &n)]));
    } else if found.ended_early {
        said.push(over(found.took, time_max));
        said.push(t("Die Zahlen sind eine Untergrenze.").into());
    }
    if !said.is_empty() {
        links = shorter(range, text);
    }
    said.extend(damage(found.damaged.len()));
    if said.is_empty() { None } else { Some(Said { text: said.join(" "), links }) }
}

fn over(took: Duration, time_max: Duration) -> String {
    if took >= time_max {
        tf("Nach {n} s beendet.", &[("n", &time_max.as_secs())])
    } else {
        t("Beendet, weil eine Suche nicht mehr Zeilen liest.").into()
    }
}

/// „Durchsucht ist die Zeit ab 21.11.2026 14:03, 2 von 90 Tagen.“
fn seen(back_to: Timestamp, range: &Range) -> String {
    let at = show::stamp(back_to);
    let days = |millis: i64| show::num((millis + Timestamp::DAY - 1) / Timestamp::DAY);
    let all = range.to.since(range.from);
    if all <= 2 * Timestamp::DAY {
        return tf("Durchsucht ist die Zeit ab {at}.", &[("at", &at)]);
    }
    tf("Durchsucht ist die Zeit ab {at}: {n} von {all} Tagen.", &[("at", &at), ("n", &days(range.to.since(back_to))), ("all", &days(all))])
}

fn damage(days: usize) -> Option<String> {
    match days {
        0 => None,
        1 => Some(t("Ein Tag war nicht lesbar und fehlt hier.").into()),
        n => Some(tf("{n} Tage waren nicht lesbar und fehlen hier.", &[("n", &n)])),
    }
}

/// The spans that are shorter than this one, the longest first.
fn shorter(range: &Range, text: &str) -> Vec<(String, String)> {
    let length = range.to.since(range.from);
    let spans = [
        ("7d", 7 * Timestamp::DAY, de("Nur die letzten 7 Tage")),
        ("24h", Timestamp::DAY, de("Nur die letzten 24 Stunden")),
        ("1h", Timestamp::HOUR, de("Nur die letzte Stunde")),
    ];
    let fits = spans.into_iter().filter(|(_, span, _)| *span + Timestamp::MINUTE < length);
    fits.map(|(value, _, label)| (t(label).to_owned(), range.over("/suche", text, &[("zeit", value)]))).collect()
}

/// What may find something where nothing was found: a longer time, one condition less, an example.
pub(super) fn empty(text: &str, range: &Range, chips: &[(String, String)]) -> Vec<(String, String)> {
    let mut helps = vec![];
    let length = range.to.since(range.from);
    for (span, days) in [("7d", 7), ("90d", 90)] {
        if length < days * Timestamp::DAY {
            helps.push((tf("In den letzten {n} Tagen suchen", &[("n", &days)]), range.over("/suche", text, &[("zeit", span)])));
        }
    }
    helps.extend(chips.iter().map(|(condition, href)| (tf("Ohne {condition}", &[("condition", condition)]), href.clone())));
    if !Pipeline::split(text).0.trim().is_empty() {
        helps.push((t("Alles in diesem Zeitraum zeigen").into(), range.link("/suche", &[])));
    }
    for example in ["event.outcome:failure", "source.ip:198.51.100.0/24", "\"Failed password\""] {
        helps.push((tf("Beispiel: {query}", &[("query", &example)]), range.link("/suche", &[("q", example)])));
    }
    helps
}

/// A line of the sheet: an example, where it leads, what it does.
pub(in crate::web) struct Hint {
    pub(in crate::web) query: &'static str,
    pub(in crate::web) href: String,
    pub(in crate::web) does: &'static str,
}

/// How a query is written, in the order in which people need it; the manual has the rest.
const SHEET: [(&str, &str); 14] = [
    ("failed password", de("Zeilen mit beiden Wörtern, ob groß oder klein")),
    ("\"failed password\"", de("genau diese Folge")),
    ("fail*", de("Wörter, die so beginnen")),
    ("user.name:root", de("Wert eines Feldes")),
    ("user.name:*", de("das Feld hat irgendeinen Wert")),
    ("source.ip:10.0.0.0/8", de("Adressen eines Netzes")),
    ("destination.port:>=1024", de("Zahlen vergleichen")),
    ("failed AND NOT (site:a OR site:b)", de("verknüpfen; AND darf fehlen")),
    ("@timestamp:>now-2h", de("Zeiten, von jetzt aus gerechnet")),
    ("event.outcome:failure | count by host.name, user.name", de("zählen, je Kombination von Werten")),
    ("* | top 20 source.ip", de("die häufigsten Werte")),
    ("* | histogram 1h by event.outcome", de("Verlauf über die Zeit")),
    ("event.outcome:failure | distinct source.ip by user.name | sort -distinct | head 10", de("verschiedene Werte zählen, ordnen, kürzen")),
    ("* | patterns", de("Zeilen nach ihrem Muster")),
];

pub(super) fn sheet(range: &Range) -> Vec<Hint> {
    SHEET.into_iter().map(|(query, does)| Hint { query, href: range.link("/suche", &[("q", query)]), does: t(does) }).collect()
}

/// The fields by name with their labels: what is suggested.
pub(super) fn fields() -> Vec<(&'static str, &'static str)> {
    let mut fields: Vec<_> = FIELDS.iter().filter_map(|field| Some((field.name, words::field(FieldId::find(field.name)?)))).collect();
    fields.push(("@timestamp", t("Zeit")));
    fields.sort_unstable();
    fields
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use ingest::query::Pipeline;

    use super::*;

    fn range(days: i64) -> Range {
        let to = Timestamp::parse_rfc3339("2026-11-21T13:00:00Z").unwrap();
        Range { from: to.plus(-days * Timestamp::DAY), to, words: vec![("zeit", "90d".into())], body: None, choices: vec![] }
    }

    #[test]
    fn a_search_that_was_ended_says_how_far_it_came_and_leads_on() {
        let check = |days: i64, back: Option<i64>, secs: u64, damaged: usize, expected: Expect| {
            let range = range(days);
            let reached =
                back.map(|hours| Progress { parts_done: 1, parts_of: 9, back_to: range.to.plus(-hours * Timestamp::HOUR), hits: 5 });
            let found = SearchResult {
                hits: vec![],
                total: 5,
                histogram: ingest::events::Histogram::default(),
                top: vec![],
                took: Duration::from_secs(secs),
                next: None,
                partial: back.is_some() || secs > 0 || damaged > 0,
                ended_early: back.is_some() || secs > 0,
                damaged: vec!["x".into(); damaged],
            };
            let said = lines(&found, reached, Duration::from_secs(10), &range, "a | b");
            let said = said.map(|said| {
                format!("{}\n{}", said.text, said.links.iter().map(|(label, href)| format!("  {label}: {href}\n")).collect::<String>())
            });
            expected.assert_eq(&said.unwrap_or_default());
        };
        check(90, None, 0, 0, expect![[""]]);
        check(
            90,
            Some(30),
            10,
            0,
            expect![[r#"
            Nach 10 s beendet. Durchsucht ist die Zeit ab 20.11.2026, 08:00: 2 von 90 Tagen.
              Nur diese Zeit zeigen: /suche?q=a%20%7C%20b&von=2026-11-20T07%3A00%3A00.000Z&bis=2026-11-21T13%3A00%3A00.000Z
              Davor weitersuchen: /suche?q=a%20%7C%20b&von=2026-08-23T13%3A00%3A00.000Z&bis=2026-11-20T07%3A00%3A00.000Z
        "#]],
        );
        check(
            1,
            Some(3),
            10,
            0,
            expect![[r#"
            Nach 10 s beendet. Durchsucht ist die Zeit ab 21.11.2026, 11:00.
              Nur diese Zeit zeigen: /suche?q=a%20%7C%20b&von=2026-11-21T10%3A00%3A00.000Z&bis=2026-11-21T13%3A00%3A00.000Z
              Davor weitersuchen: /suche?q=a%20%7C%20b&von=2026-11-20T13%3A00%3A00.000Z&bis=2026-11-21T10%3A00%3A00.000Z
        "#]],
        );
        check(
            90,
            None,
            3,
            0,
            expect![[r#"
            Beendet, weil eine Suche nicht mehr Zeilen liest. Grenzen Sie den Zeitraum oder die Anfrage ein.
              Nur die letzten 7 Tage: /suche?q=a%20%7C%20b&zeit=7d
              Nur die letzten 24 Stunden: /suche?q=a%20%7C%20b&zeit=24h
              Nur die letzte Stunde: /suche?q=a%20%7C%20b&zeit=1h
        "#]],
        );
        check(
            90,
            None,
            0,
            2,
            expect![[r#"
            2 Tage waren nicht lesbar und fehlen hier.
        "#]],
        );
    }

    #[test]
    fn every_example_can_be_asked() {
        for (query, _) in SHEET {
            Pipeline::parse(query, Timestamp(0)).unwrap_or_else(|error| panic!("{query}: {error}"));
        }
    }
}

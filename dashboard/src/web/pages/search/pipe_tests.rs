//! Views of pipes as a reader would copy them down: heads, cells with where they lead, what stands below.

use expect_test::{Expect, expect};
use ingest::events::{AggregateResult, Table};
use std::time::Duration;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn range() -> Range {
    let words = vec![("zeit", "24h".into()), ("von", String::new()), ("bis", String::new())];
    Range { from: at("2026-11-20T12:30:00Z"), to: at("2026-11-21T12:30:00Z"), words, body: None, choices: vec![] }
}

fn decoded(href: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = href.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: Option<u8>| (byte.unwrap() as char).to_digit(16).unwrap() as u8;
        bytes.push(if byte == b'%' { hex(rest.next()) * 16 + hex(rest.next()) } else { byte });
    }
    String::from_utf8(bytes).unwrap()
}

fn view_of(text: &str, rows: Vec<Vec<Datum>>) -> View {
    let pipeline = Pipeline::parse(text, at("2026-11-21T12:30:00Z")).unwrap();
    let table = Table { columns: pipeline.columns(), rows, ..Table::default() };
    let found = AggregateResult { total: 9, table, took: Duration::ZERO, partial: false, ended_early: false, damaged: vec![] };
    let range = range();
    let values = Values::for_tests("/suche", text, &range);
    view(&Asked { path: "/suche", more: &[], noun: "Ereignisse", pipeline: &pipeline, text, range: &range, values: &values }, &found)
}

fn told(view: &View) -> String {
    let mut out = String::new();
    for head in &view.heads {
        out += &format!("[{} {}] {}\n", head.label, head.direction, decoded(&head.href));
    }
    for row in &view.rows {
        for cell in &row.cells {
            let (text, href) = match &cell.value {
                Some(value) => (value.text.clone(), value.links.get(1).map(|(_, href)| href.clone()).unwrap_or_default()),
                None => (cell.text.clone(), cell.href.clone()),
            };
            out += &format!("  {text} <{}> {}\n", cell.class, decoded(&href));
        }
        out += &format!("  bar {}\n", row.bar);
    }
    for pattern in &view.patterns {
        out += &format!("{} {} {} {}\n", pattern.count, pattern.bar, pattern.text, decoded(&pattern.href));
    }
    for (label, href) in &view.pivots {
        out += &format!("{label}: {}\n", decoded(href));
    }
    if !view.chart.as_str().is_empty() {
        let hrefs: Vec<String> =
            view.chart.as_str().split("data-href=\"").skip(1).map(|rest| decoded(rest.split('"').next().unwrap())).collect();
        out += &format!("chart of {} bars\n  {}\n  {}\n", hrefs.len(), hrefs.first().unwrap(), hrefs.last().unwrap());
    }
    out + view.note.as_str()
}

fn check(text: &str, rows: Vec<Vec<Datum>>, expected: Expect) {
    expected.assert_eq(&told(&view_of(text, rows)));
}

fn text(text: &str) -> Datum {
    Datum::Text(text.into())
}

#[test]
fn each_number_leads_to_the_rows_behind_it() {
    check(
        "failed OR denied | count by site, user.name | head 2",
        vec![vec![text("Jena"), text("x\" y"), Datum::Int(1_200)], vec![text("Gotha"), Datum::Missing, Datum::Int(300)]],
        expect![[r#"
            [Standort ] /suche?q=failed OR denied | count by site, user.name | sort site | head 2&zeit=24h
            [Konto ] /suche?q=failed OR denied | count by site, user.name | sort user.name | head 2&zeit=24h
            [Anzahl descending] /suche?q=failed OR denied | count by site, user.name | sort count | head 2&zeit=24h
              Jena <mono> /suche?q=(failed OR denied) AND NOT site:"Jena" | count by site, user.name | head 2&zeit=24h
              x" y <mono> /suche?q=(failed OR denied) AND NOT user.name:"x\" y" | count by site, user.name | head 2&zeit=24h
              1.200 <right num> /suche?q=(failed OR denied) AND site:"Jena" AND user.name:"x\" y"&zeit=24h
              bar 100.0
              Gotha <mono> /suche?q=(failed OR denied) AND NOT site:"Gotha" | count by site, user.name | head 2&zeit=24h
              kein Wert <soft> 
              300 <right num> /suche?q=(failed OR denied) AND site:"Gotha" AND NOT user.name:*&zeit=24h
              bar 25.0
            Was sonst noch: alles von 2 Werten in Standort: /suche?q=site:"Jena" OR site:"Gotha"&zeit=24h
        "#]],
    );
    // Without what made the groups nobody can say which rows these are.
    check(
        "* | count by site | fields count",
        vec![vec![Datum::Int(7)]],
        expect![[r#"
        [Anzahl descending] /suche?q=* | count by site | sort count | fields count&zeit=24h
          7 <right num> 
          bar 
    "#]],
    );
    check(
        "| stats avg(network.bytes), max(@timestamp)",
        vec![vec![Datum::Float(1.5), Datum::Time(at("2026-11-21T10:00:00Z"))]],
        expect![[r#"
            [avg(network.bytes) ] /suche?q=* | stats avg(network.bytes), max(@timestamp) | sort -avg(network.bytes)&zeit=24h
            [max(@timestamp) ] /suche?q=* | stats avg(network.bytes), max(@timestamp) | sort max(@timestamp)&zeit=24h
              1,50 <right num> /suche?zeit=24h
              21.11. 11:00:00.000 <soft nowrap> 
              bar 
        "#]],
    );
    check(
        "a | fields @timestamp, source.port | head 1",
        vec![vec![Datum::Time(at("2026-11-21T10:00:00Z")), Datum::Int(443)]],
        expect![[r#"
            [Zeit ] /suche?q=a | sort @timestamp | fields @timestamp, source.port | head 1&zeit=24h
            [Quellport ] /suche?q=a | sort source.port | fields @timestamp, source.port | head 1&zeit=24h
              21.11. 11:00:00.000 <soft nowrap> 
              443 <mono> /suche?q=a AND NOT source.port:"443" | fields @timestamp, source.port | head 1&zeit=24h
              bar 
        "#]],
    );
}

#[test]
fn time_is_a_chart_and_shaped_further_a_table() {
    let rows = |by: &[Datum]| {
        ["2026-11-20T12:00:00Z", "2026-11-20T13:00:00Z"]
            .iter()
            .map(|start| [vec![Datum::Time(at(start))], by.to_vec(), vec![Datum::Int(3)]].concat())
            .collect()
    };
    check(
        "a | histogram 1h",
        rows(&[]),
        expect![[r#"
        chart of 25 bars
          /suche?q=a&amp;von=2026-11-20T12:30:00.000Z&amp;bis=2026-11-20T13:00:00.000Z
          /suche?q=a&amp;von=2026-11-21T12:00:00.000Z&amp;bis=2026-11-21T12:30:00.000Z
    "#]],
    );
    check(
        "a | histogram 1h by site",
        rows(&[text("Jena")]),
        expect![[r#"
        chart of 25 bars
          /suche?q=a&amp;von=2026-11-20T12:30:00.000Z&amp;bis=2026-11-20T13:00:00.000Z
          /suche?q=a&amp;von=2026-11-21T12:00:00.000Z&amp;bis=2026-11-21T12:30:00.000Z
    "#]],
    );
    check(
        "a | histogram 1h | sort -count",
        rows(&[]),
        expect![[r#"
        [Zeit ] /suche?q=a | histogram 1h | sort @timestamp&zeit=24h
        [Anzahl descending] /suche?q=a | histogram 1h | sort count&zeit=24h
          20.11. 13:00:00.000 <soft nowrap> 
          3 <right num> /suche?q=a&von=2026-11-20T12:30:00.000Z&bis=2026-11-20T13:00:00.000Z
          bar 100.0
          20.11. 14:00:00.000 <soft nowrap> 
          3 <right num> /suche?q=a&von=2026-11-20T13:00:00.000Z&bis=2026-11-20T14:00:00.000Z
          bar 100.0
    "#]],
    );
}

#[test]
fn templates_open_to_their_lines() {
    let row = |program: Datum, pattern: &str| {
        let time = Datum::Time(at("2026-11-21T10:00:00Z"));
        vec![program, text(pattern), Datum::Int(4), time.clone(), time, text("an example")]
    };
    check(
        "a | patterns",
        vec![
            row(text("sshd"), "Failed password for <*> from <*> port <*> ssh2"),
            row(Datum::Missing, "user= door= opened \"x\\"),
            row(Datum::Missing, "<*>"),
        ],
        expect![[r#"
              4 100.0 Failed password for <*> from <*> port <*> ssh2 /suche?q=a AND process.name:"sshd" AND "Failed password for" AND "from" AND "port" AND "ssh2"&zeit=24h
              4 100.0 user= door= opened "x\ /suche?q=a AND "user=" AND "door=" AND "opened \"x\\"&zeit=24h
              4 100.0 <*> /suche?q=a&zeit=24h
        "#]],
    );
}

#[test]
fn a_long_table_says_where_the_rest_is() {
    let rows = (0..ROWS_SHOWN as i64 + 1).map(|n| vec![Datum::Int(n), Datum::Int(1)]).collect();
    let view = view_of("* | count by source.port", rows);
    assert_eq!((view.rows.len(), view.pivots.len()), (ROWS_SHOWN, 0));
    expect!["Hier stehen die ersten 500 von 501 Zeilen. Alle hat die Datei, weniger gibt „| head 20“."].assert_eq(&view.note);
}

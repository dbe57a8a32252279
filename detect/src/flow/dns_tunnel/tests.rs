//! Pairs of host and resolver and what is told of them; restarts; a flood of pairs.

use expect_test::expect;

use super::super::networks::UDP;
use super::super::sample::{self, DAY, T0, ip, journal, record};
use super::*;

fn settings() -> Settings {
    Settings {
        ports: vec![53],
        window: 10 * Timestamp::MINUTE,
        queries_per_minute: 30.0,
        query_bytes: 110.0,
        answer_bytes: 600.0,
        floor: 128 << 10,
        factor: 4.0,
        pairs: 400,
    }
}

/// So many minutes of so many queries a minute of so many bytes each, with an answer each; a record a minute and way.
fn asking(resolver: &str, minutes: std::ops::Range<u32>, queries: u64, query: u64, answer: u64) -> Vec<FlowRecord> {
    let minute = |n: u32| {
        let flow = record(ip("10.20.1.7"), ip(resolver), 53, T0 + n * 60, queries * query);
        let flow = FlowRecord { protocol: UDP, packets: queries, ..flow };
        [flow, FlowRecord { bytes: queries * answer, ..flow.turned() }]
    };
    minutes.flat_map(minute).collect()
}

#[test]
fn what_is_told_of_a_pair() {
    let day = DAY / 60;
    let cases = [
        ("a person's machine", asking("192.0.2.53", 0..600, 12, 68, 160)),
        ("a busy resolver: 900 a minute, signed answers", asking("192.0.2.53", 0..600, 900, 82, 420)),
        ("a few long names", asking("192.0.2.53", 0..600, 5, 220, 260)),
        ("data in the names: 200 a minute of 210 bytes", asking("198.51.100.53", 100..160, 200, 210, 140)),
        ("data in the answers: 120 a minute of 900 bytes", asking("198.51.100.53", 100..160, 120, 95, 900)),
        ("slowly: 35 a minute of 240 bytes", asking("198.51.100.53", 0..300, 35, 240, 300)),
        ("a mail server that asks blocklists all day", asking("192.0.2.53", 0..2 * day, 300, 125, 180)),
        (
            "that, and then a tunnel ten times as much",
            [asking("192.0.2.53", 0..2 * day, 60, 115, 180), asking("192.0.2.53", 2 * day..2 * day + 30, 900, 220, 300)].concat(),
        ),
        ("inside too", asking("10.20.1.53", 100..160, 200, 210, 140)),
    ];
    let mut shown = String::new();
    for (name, records) in cases {
        let (_, found) = sample::run(DnsTunnel::with(settings()), || DnsTunnel::with(settings()), &journal(records), None);
        shown.push_str(&format!("{name}\n"));
        for found in found {
            let minute = (found.detected_at.0 / 1_000 - i64::from(T0)) / 60;
            let reasons: Vec<String> =
                found.reasons.iter().map(|reason| format!("{} {} {}", reason.name, reason.value, reason.threshold)).collect();
            shown.push_str(&format!("minute {minute}, evidence {}: {}\n", found.evidence.len(), reasons.join("; ")));
        }
    }
    expect![[r#"
        a person's machine
        a busy resolver: 900 a minute, signed answers
        a few long names
        data in the names: 200 a minute of 210 bytes
        minute 101, evidence 4: Anfragen je Minute 40 ab 30; Bytes je Anfrage 210 ab 110; Bytes je Antwort 140 auffällig ab 600; Bytes im Zeitfenster 140,0 kB in 10 Minuten ab 131,1 kB; Anfragen und Antworten 400 und 400 ; Sonst in einem Zeitfenster noch nicht bekannt 
        data in the answers: 120 a minute of 900 bytes
        minute 102, evidence 5: Anfragen je Minute 36 ab 30; Bytes je Anfrage 95 auffällig ab 110; Bytes je Antwort 900 ab 600; Bytes im Zeitfenster 250,2 kB in 10 Minuten ab 131,1 kB; Anfragen und Antworten 360 und 240 ; Sonst in einem Zeitfenster noch nicht bekannt 
        slowly: 35 a minute of 240 bytes
        minute 8, evidence 12: Anfragen je Minute 32 ab 30; Bytes je Anfrage 240 ab 110; Bytes je Antwort 300 auffällig ab 600; Bytes im Zeitfenster 159,6 kB in 10 Minuten ab 131,1 kB; Anfragen und Antworten 315 und 280 ; Sonst in einem Zeitfenster noch nicht bekannt 
        a mail server that asks blocklists all day
        minute 1, evidence 4: Anfragen je Minute 60 ab 30; Bytes je Anfrage 125 ab 110; Bytes je Antwort 180 auffällig ab 600; Bytes im Zeitfenster 183,0 kB in 10 Minuten ab 131,1 kB; Anfragen und Antworten 600 und 600 ; Sonst in einem Zeitfenster noch nicht bekannt 
        that, and then a tunnel ten times as much
        minute 7, evidence 12: Anfragen je Minute 48 ab 30; Bytes je Anfrage 115 ab 110; Bytes je Antwort 180 auffällig ab 600; Bytes im Zeitfenster 141,6 kB in 10 Minuten ab 131,1 kB; Anfragen und Antworten 480 und 480 ; Sonst in einem Zeitfenster noch nicht bekannt 
        minute 2881, evidence 4: Anfragen je Minute 180 ab 30; Bytes je Anfrage 220 ab 110; Bytes je Antwort 300 auffällig ab 600; Bytes im Zeitfenster 936,0 kB in 10 Minuten ab 131,1 kB; Anfragen und Antworten 1.800 und 1.800 ; Sonst in einem Zeitfenster 176,8 kB ab dem 4,0-Fachen
        inside too
        minute 101, evidence 4: Anfragen je Minute 40 ab 30; Bytes je Anfrage 210 ab 110; Bytes je Antwort 140 auffällig ab 600; Bytes im Zeitfenster 140,0 kB in 10 Minuten ab 131,1 kB; Anfragen und Antworten 400 und 400 ; Sonst in einem Zeitfenster noch nicht bekannt 
    "#]].assert_eq(&shown);
}

#[test]
fn restarts_change_nothing() {
    let all = [asking("192.0.2.53", 0..600, 12, 68, 160), asking("198.51.100.53", 100..160, 200, 210, 140)].concat();
    sample::check_restart(|| DnsTunnel::with(settings()), &journal(all), 101);
}

#[test]
fn a_flood_of_pairs_stays_within_the_bound() {
    let mut all = asking("198.51.100.53", 0..300, 40, 70, 150);
    for n in 0..20_000u32 {
        let flow = record(ip(&format!("10.64.{}.{}", n / 250, n % 250)), ip("203.0.113.53"), 53, T0 + 9_000 + n / 10, 70);
        all.push(FlowRecord { protocol: UDP, ..flow });
    }
    all.extend(asking("198.51.100.53", 300..330, 300, 210, 150));
    let (detector, found) = sample::run(DnsTunnel::with(settings()), || DnsTunnel::with(settings()), &journal(all), None);
    let footprint = detector.footprint();
    assert!(footprint.bytes <= footprint.bytes_max && footprint.entries <= 400 && footprint.dropped > 0, "{footprint:?}");
    assert_eq!(found.len(), 1, "the pair that was known before the flood");
}

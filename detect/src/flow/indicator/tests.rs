//! Which traffic to listed addresses is told; what a changed list does; restarts; a flood.

use expect_test::expect;

use super::super::networks::SYN;
use super::super::sample::{self, T0, ip, journal, record};
use super::*;
use crate::intel::{Indicator, IndicatorId, Tlp};

fn settings() -> Settings {
    Settings { confidence_min: 50, answer_packets: 6, answer_bytes: 1_000 }
}

fn indicator(pattern: &str, list: &str, confidence: u8) -> Indicator {
    Indicator {
        id: IndicatorId::default(),
        pattern: pattern.parse().unwrap(),
        list: list.into(),
        tlp: Tlp::Green,
        confidence,
        valid_until: None,
        created_at: Timestamp(0),
        live_from: None,
    }
}

fn shared() -> SharedIndicators {
    let expired = Indicator { valid_until: Some(Timestamp(0)), ..indicator("198.51.100.9", "alt", 90) };
    let late = Indicator { live_from: Some(Timestamp(i64::from(T0 + 1_000) * 1_000)), ..indicator("198.51.100.10", "neu", 90) };
    SharedIndicators::new(Arc::new(IndicatorSet::new(vec![
        indicator("198.51.100.7", "C2", 90),
        indicator("203.0.113.0/24", "Netze", 60),
        indicator("203.0.113.5", "unsicher", 20),
        indicator("2001:db8:bad::/48", "C2", 90),
        expired,
        late,
    ])))
}

fn detector() -> IndicatorTraffic {
    let mut detector = IndicatorTraffic::with(settings());
    detector.indicators(&shared());
    detector
}

fn run(records: &[FlowRecord]) -> Vec<Detection> {
    sample::run(detector(), detector, records, None).1
}

#[test]
fn what_is_told_and_what_is_not() {
    let out = |dst: &str, at: u32| record(ip("10.20.1.7"), ip(dst), 443, T0 + at, 3_000);
    let answer = |dst: &str, packets, bytes, flags| {
        let flow = record(ip("10.20.1.7"), ip(dst), 51_000, T0, bytes);
        FlowRecord { src_port: 443, packets, tcp_flags: flags, ..flow }
    };
    let v6 = FlowRecord { src_ip: ip("fd00::7"), ..out("2001:db8:bad:1::9", 0) };
    let cases = [
        ("a call to a listed address", out("198.51.100.7", 0)),
        ("to a listed net, whose own entry nobody trusts", out("203.0.113.5", 0)),
        ("version 6", v6),
        ("next to it", out("198.51.100.8", 0)),
        ("an entry that has expired", out("198.51.100.9", 0)),
        ("received before the entry was in force", out("198.51.100.10", 0)),
        ("and behind that", out("198.51.100.10", 999)),
        ("a call that nobody answers", FlowRecord { packets: 1, bytes: 44, tcp_flags: SYN, ..out("198.51.100.7", 0) }),
        ("what the listed one sends", out("198.51.100.7", 0).turned()),
        ("a closed port's answer to its probe", answer("198.51.100.7", 1, 40, RST)),
        ("an open port's answer to its probe", answer("198.51.100.7", 2, 100, 0x12)),
        ("a conversation that it began", answer("198.51.100.7", 40, 60_000, 0x1b)),
        ("between two outside", FlowRecord { src_ip: ip("192.0.2.1"), ..out("198.51.100.7", 0) }),
    ];
    let mut shown = String::new();
    for (name, flow) in cases {
        let found = run(&journal(vec![flow]));
        let told = found.iter().map(|found| {
            let reasons: Vec<String> =
                found.reasons.iter().map(|reason| format!("{} {} {}", reason.name, reason.value, reason.threshold)).collect();
            format!("{} {:?}", found.entity.key(), reasons)
        });
        shown.push_str(&format!("{name}: {}\n", told.collect::<String>()));
    }
    expect![[r#"
        a call to a listed address: ip:10.20.1.7 ["Gelistet als 198.51.100.7 ", "Liste C2 ", "Vertrauen in den Eintrag 90 % ab 50 %", "Vom Rechner gesendet 3,0 kB (Flüsse: 1) ", "Richtung der Rechner hat die Verbindung begonnen "]
        to a listed net, whose own entry nobody trusts: ip:10.20.1.7 ["Gelistet als 203.0.113.0/24 ", "Liste Netze ", "Vertrauen in den Eintrag 60 % ab 50 %", "Vom Rechner gesendet 3,0 kB (Flüsse: 1) ", "Richtung der Rechner hat die Verbindung begonnen "]
        version 6: ip:fd00::7 ["Gelistet als 2001:db8:bad::/48 ", "Liste C2 ", "Vertrauen in den Eintrag 90 % ab 50 %", "Vom Rechner gesendet 3,0 kB (Flüsse: 1) ", "Richtung der Rechner hat die Verbindung begonnen "]
        next to it: 
        an entry that has expired: 
        received before the entry was in force: 
        and behind that: ip:10.20.1.7 ["Gelistet als 198.51.100.10 ", "Liste neu ", "Vertrauen in den Eintrag 90 % ab 50 %", "Vom Rechner gesendet 3,0 kB (Flüsse: 1) ", "Richtung der Rechner hat die Verbindung begonnen "]
        a call that nobody answers: ip:10.20.1.7 ["Gelistet als 198.51.100.7 ", "Liste C2 ", "Vertrauen in den Eintrag 90 % ab 50 %", "Vom Rechner gesendet 44 Byte (Flüsse: 1) ", "Richtung der Rechner hat die Verbindung begonnen "]
        what the listed one sends: 
        a closed port's answer to its probe: 
        an open port's answer to its probe: 
        a conversation that it began: ip:10.20.1.7 ["Gelistet als 198.51.100.7 ", "Liste C2 ", "Vertrauen in den Eintrag 90 % ab 50 %", "Vom Rechner gesendet 60,0 kB (Flüsse: 1) ", "Richtung der Rechner hat geantwortet ab 6 Paketen und 1,0 kB je Fluss"]
        between two outside: 
    "#]].assert_eq(&shown);
}

#[test]
fn what_goes_on_is_told_every_ten_minutes_with_all_its_records() {
    let all: Vec<FlowRecord> = (0..1_800).step_by(10).map(|at| record(ip("10.20.1.7"), ip("198.51.100.7"), 443, T0 + at, 500)).collect();
    let found = run(&journal(all));
    let told: Vec<(u64, usize)> = found.iter().map(|found| (found.records, found.evidence.len())).collect();
    assert_eq!(told.iter().map(|(records, _)| records).sum::<u64>(), 180);
    assert_eq!(told, [(1, 1), (59, 20), (60, 20), (60, 20)]);
}

#[test]
fn a_list_that_changes_is_in_force_at_once() {
    let (shared, networks) = (shared(), super::super::networks::Networks::new(&[]));
    let mut detector = IndicatorTraffic::with(settings());
    detector.indicators(&shared);
    let flow = record(ip("10.20.1.7"), ip("192.0.2.200"), 443, T0, 500);
    let mut found = Vec::new();
    detector.observe(&flow, &networks.seen(&flow, None), &mut found);
    assert!(found.is_empty());
    shared.set(Arc::new(IndicatorSet::new(vec![indicator("192.0.2.0/24", "C2", 90)])));
    detector.observe(&flow, &networks.seen(&flow, None), &mut found);
    assert_eq!(found.len(), 1);
}

#[test]
fn restarts_change_nothing() {
    let all = (0..1_800u32).map(|at| record(ip(&format!("10.20.1.{}", at % 7)), ip(&format!("203.0.113.{}", at % 5)), 443, T0 + at, 500));
    sample::check_restart(detector, &journal(all.collect()), 113);
}

#[test]
fn a_flood_stays_within_the_bound() {
    let all = (0..30_000u32).map(|n| record(ip(&format!("10.64.{}.{}", n / 250, n % 250)), ip("203.0.113.1"), 443, T0 + n / 100, 500));
    let (detector, found) = sample::run(detector(), detector, &journal(all.collect()), None);
    let footprint = detector.footprint();
    assert!(footprint.bytes <= footprint.bytes_max && footprint.dropped > 0 && found.len() == 30_000, "{footprint:?}");
}

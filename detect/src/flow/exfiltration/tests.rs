//! Hosts with a history and what is told of them; restarts; a flood of hosts.

use expect_test::expect;

use super::super::sample::{self, DAY, HOUR, Rng, T0, ip, journal, record};
use super::*;

const MB: u64 = 1 << 20;

fn settings() -> Settings {
    Settings {
        floor_hour: 500 * MB,
        floor_day: 2_000 * MB,
        floor_learning: 20_000 * MB,
        factor: 3.0,
        quantile_hour: 0.99,
        quantile_day: 0.95,
        ratio_min: 1.0,
        learning_days: 7,
        learning_hours: 48,
        peer_bytes: 100 * MB,
        peer_days: 3,
        hosts: 1_000,
    }
}

/// A flow out of a host, in the middle of an hour of a day (counted from T0), and what came back.
fn out(day: u32, hour: u32, dst: &str, bytes: u64, back: u64) -> [FlowRecord; 2] {
    let at = T0 + day * DAY + hour * HOUR + 600;
    let flow = record(ip("10.20.1.7"), ip(dst), 443, at, bytes);
    [flow, FlowRecord { bytes: back, received_at: flow.received_at.plus(-1), ..flow.turned() }]
}

/// Working days of 20 to 60 MB an hour from 7 to 18, which bring five times as much back.
fn office(days: u32, seed: u64) -> Vec<FlowRecord> {
    let mut rng = Rng(seed);
    let mut all = Vec::new();
    for hour in (0..days).flat_map(|day| (7..18).map(move |hour| (day, hour))) {
        let bytes = u64::from(rng.between(20, 60)) * MB;
        all.extend(out(hour.0, hour.1, "203.0.113.80", bytes, 5 * bytes));
    }
    all
}

fn told(records: Vec<FlowRecord>) -> String {
    let (_, found) = sample::run(Exfiltration::with(settings()), || Exfiltration::with(settings()), &journal(records), None);
    let line = |found: &Detection| {
        let at = found.detected_at.0 / 1_000 - i64::from(T0);
        let reasons: Vec<String> =
            found.reasons.iter().map(|reason| format!("{} {} {}", reason.name, reason.value, reason.threshold)).collect();
        format!(
            "day {} {} h to {:?}: {}\n",
            at / i64::from(DAY),
            at % i64::from(DAY) / 3_600,
            found.observables["destination.ip"],
            reasons.join("; ")
        )
    };
    found.iter().map(line).collect()
}

#[test]
fn what_is_told_of_a_host() {
    let with = |more: Vec<[FlowRecord; 2]>| [office(14, 1), more.concat()].concat();
    let nightly = |bytes: u64| (0..14).map(move |day| out(day, 2, "192.0.2.9", bytes, bytes / 100)).collect::<Vec<_>>();
    let cases = [
        ("as always", office(30, 1)),
        ("2 GB in an hour of the night", with(vec![out(13, 3, "198.51.100.66", 2_000 * MB, MB)])),
        ("400 MB, ten times the usual, below the floor", with(vec![out(13, 3, "198.51.100.66", 400 * MB, MB)])),
        ("200 MB an hour all day: 3.4 GB", with((0..17).map(|hour| out(13, hour, "198.51.100.66", 200 * MB, MB)).collect())),
        ("2 GB out and 6 GB back: a synchronisation", with(vec![out(13, 3, "198.51.100.66", 2_000 * MB, 6_000 * MB)])),
        ("2 GB on the third day, not learnt yet", [office(3, 1), out(2, 20, "198.51.100.66", 2_000 * MB, MB).to_vec()].concat()),
        ("30 GB on the third day", [office(3, 1), out(2, 20, "198.51.100.66", 30_000 * MB, MB).to_vec()].concat()),
        ("a backup of 5 GB every night", with(nightly(5_000 * MB))),
        ("that backup, and 2 GB elsewhere", with([nightly(5_000 * MB), vec![out(13, 3, "198.51.100.66", 2_000 * MB, MB)]].concat())),
        (
            "the second theft of 4 GB is told as the first",
            with(vec![out(12, 3, "198.51.100.66", 4_000 * MB, MB), out(13, 3, "198.51.100.67", 4_000 * MB, MB)]),
        ),
        (
            "a file server: 5 GB every hour for two weeks",
            (0..14)
                .flat_map(|day| (0..24).flat_map(move |hour| out(day, hour, &format!("203.0.{}.1", hour * 9), 5_000 * MB, MB)))
                .collect(),
        ),
    ];
    let shown: String = cases.into_iter().map(|(name, records)| format!("{name}\n{}", told(records))).collect();
    expect![[r#"
        as always
        2 GB in an hour of the night
        day 13 3 h to ["198.51.100.66"]: Hinausgesendet in dieser Stunde 2,1 GB ab 524,3 MB; Das eigene Übliche 67,1 MB (99,0 % von 143 Stunden mit Verkehr lagen darunter) ; Schwelle das 3,0-Fache davon, mindestens 524,3 MB ; Gesendet je empfangenem Byte 2000,0 ab 1,0
        400 MB, ten times the usual, below the floor
        200 MB an hour all day: 3.4 GB
        day 13 9 h to ["198.51.100.66"]: Hinausgesendet an diesem Tag 2,1 GB ab 2,1 GB; Das eigene Übliche 536,9 MB (95,0 % von 13 Tagen mit Verkehr lagen darunter) ; Schwelle das 3,0-Fache davon, mindestens 2,1 GB ; Gesendet je empfangenem Byte 3,6 ab 1,0; Außerdem an gelernte Gegenstellen (zählt nicht) 113,2 MB 
        2 GB out and 6 GB back: a synchronisation
        2 GB on the third day, not learnt yet
        30 GB on the third day
        day 2 20 h to ["198.51.100.66"]: Hinausgesendet in dieser Stunde 31,5 GB ab 21,0 GB; Noch in der Lernzeit seit 2 Tagen bekannt bis 7 Tage; Gesendet je empfangenem Byte 30000,0 ab 1,0
        a backup of 5 GB every night
        that backup, and 2 GB elsewhere
        the second theft of 4 GB is told as the first
        day 12 3 h to ["198.51.100.66"]: Hinausgesendet in dieser Stunde 4,2 GB ab 524,3 MB; Das eigene Übliche 67,1 MB (99,0 % von 132 Stunden mit Verkehr lagen darunter) ; Schwelle das 3,0-Fache davon, mindestens 524,3 MB ; Gesendet je empfangenem Byte 4000,0 ab 1,0
        day 13 3 h to ["198.51.100.67"]: Hinausgesendet in dieser Stunde 4,2 GB ab 524,3 MB; Das eigene Übliche 67,1 MB (99,0 % von 144 Stunden mit Verkehr lagen darunter) ; Schwelle das 3,0-Fache davon, mindestens 524,3 MB ; Gesendet je empfangenem Byte 4000,0 ab 1,0
        a file server: 5 GB every hour for two weeks
        day 0 15 h to ["203.0.135.1"]: Hinausgesendet an diesem Tag 83,9 GB ab 83,9 GB; Noch in der Lernzeit seit 0 Tagen bekannt bis 7 Tage; Gesendet je empfangenem Byte 5333,3 ab 1,0
    "#]].assert_eq(&shown);
}

#[test]
fn planted_thefts_are_found_and_nothing_else() {
    let mut all = Vec::new();
    let moved = |records: Vec<FlowRecord>, host: u32| {
        let own = ip(&format!("10.20.2.{host}"));
        let of = |flow: FlowRecord| {
            if flow.src_ip == ip("10.20.1.7") { FlowRecord { src_ip: own, ..flow } } else { FlowRecord { dst_ip: own, ..flow } }
        };
        records.into_iter().map(of).collect::<Vec<_>>()
    };
    for host in 0..60 {
        all.extend(moved(office(21, u64::from(host) * 31), host));
        if host % 10 == 3 {
            all.extend(moved(out(20, 1 + host / 10, "198.51.100.66", u64::from(600 + host * 20) * MB, MB).to_vec(), host));
        }
    }
    let (_, found) = sample::run(Exfiltration::with(settings()), || Exfiltration::with(settings()), &journal(all), None);
    let told: Vec<String> = found.iter().map(|found| found.entity.key()).collect();
    assert_eq!(told, ["ip:10.20.2.3", "ip:10.20.2.13", "ip:10.20.2.23", "ip:10.20.2.33", "ip:10.20.2.43", "ip:10.20.2.53"]);
}

#[test]
fn restarts_change_nothing() {
    let all = [office(14, 3), out(13, 3, "198.51.100.66", 2_000 * MB, MB).to_vec()].concat();
    sample::check_restart(|| Exfiltration::with(settings()), &journal(all), 37);
}

#[test]
fn a_flood_of_invented_hosts_forgets_no_known_one() {
    let settings = Settings { hosts: 100, ..settings() };
    let mut all = office(14, 3);
    for n in 0..20_000u32 {
        all.push(record(
            ip(&format!("10.{}.{}.{}", 64 + n / 62_500, n / 250 % 250, n % 250)),
            ip("203.0.113.1"),
            443,
            T0 + 9 * DAY + n * 10,
            100,
        ));
    }
    all.extend(out(13, 3, "198.51.100.66", 2_000 * MB, MB));
    let (detector, found) = sample::run(Exfiltration::with(settings), || Exfiltration::with(settings), &journal(all), None);
    let footprint = detector.footprint();
    assert!(footprint.bytes <= footprint.bytes_max && footprint.entries <= 100 && footprint.dropped > 0, "{footprint:?}");
    assert_eq!(found.len(), 1);
    println!("{} bytes a host", Book::<Host, State>::bytes(1));
}

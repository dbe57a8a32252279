//! The score beside an independent evaluation of the published formulas, what the detector says of the same series, and
//! both among normal traffic.
//!
//! The expected scores are those of a script of some sixty lines in Python that uses the `statistics` module and nothing of
//! this program: it makes the series with the same congruential generator (`sample::Rng`), and evaluates RITA v5's formulas
//! (median and quartiles as medians of the halves, Bowley skewness, MAD, population standard deviation over mean of the
//! hours, bimodal fit, coverage and longest run) on the last 288 contacts and on the hours of all.

use std::collections::BTreeSet;

use expect_test::expect;

use super::super::sample::{self, Contacts, DAY, HOUR, T0, browsing, double, ip, journal, office, poisson, record, steady};
use super::*;

fn settings() -> Settings {
    Settings {
        score_min: 0.85,
        contacts_min: 12,
        window_seconds: DAY,
        active_timeout_seconds: 1_800,
        sources_many: 20,
        discount: 0.2,
        ports_ignored: vec![123],
        destinations_ignored: vec![],
        watched: 1 << 14,
        pairs: 512,
    }
}

fn series() -> Vec<(&'static str, Contacts)> {
    let day = (0, 24);
    vec![
        ("perfect, 5 min", steady(1, (300, 300), (512, 512), day, 0)),
        ("perfect, 1 h", steady(2, (3_600, 3_600), (512, 512), day, 0)),
        ("jitter 10 %", steady(3, (270, 330), (512, 512), day, 0)),
        ("jitter 30 %", steady(4, (210, 390), (512, 512), day, 0)),
        ("jitter 50 %", steady(5, (150, 450), (512, 512), day, 0)),
        ("jitter 50 %, sizes ± 30 %", steady(6, (150, 450), (360, 660), day, 0)),
        ("jitter 10 %, a fifth lost", steady(7, (270, 330), (512, 512), day, 20)),
        ("only 8 to 18 h, jitter 10 %", steady(8, (270, 330), (512, 512), (8, 18), 0)),
        ("12 hours so far, jitter 10 %", steady(9, (270, 330), (512, 512), (12, 24), 0)),
        ("6 hours so far", steady(10, (300, 300), (512, 512), (18, 24), 0)),
        ("two contacts a minute", double(11)),
        ("browsing", browsing(12)),
        ("browsing, another day", browsing(13)),
        ("chance, 30 an hour", poisson(14)),
        ("mail client at work", office(15)),
    ]
}

/// Contacts, then total, timestamps, sizes, histogram, duration.
const EXPECTED: [(&str, usize, [f64; 5]); 15] = [
    ("perfect, 5 min", 288, [1.000, 1.000, 1.000, 1.000, 1.000]),
    ("perfect, 1 h", 24, [1.000, 1.000, 1.000, 1.000, 1.000]),
    ("jitter 10 %", 289, [0.972, 0.925, 1.000, 0.962, 1.000]),
    ("jitter 30 %", 287, [0.955, 0.869, 1.000, 0.949, 1.000]),
    ("jitter 50 %", 286, [0.942, 0.843, 1.000, 0.924, 1.000]),
    ("jitter 50 %, sizes ± 30 %", 301, [0.889, 0.815, 0.834, 0.905, 1.000]),
    ("jitter 10 %, a fifth lost", 236, [0.954, 0.944, 1.000, 0.870, 1.000]),
    ("only 8 to 18 h, jitter 10 %", 121, [0.684, 0.903, 1.000, 0.000, 0.834]),
    ("12 hours so far, jitter 10 %", 146, [0.990, 0.958, 1.000, 1.000, 1.000]),
    ("6 hours so far", 72, [0.625, 1.000, 1.000, 0.000, 0.500]),
    ("two contacts a minute", 2_880, [1.000, 1.000, 1.000, 1.000, 1.000]),
    ("browsing", 285, [0.401, 0.458, 0.314, 0.000, 0.834]),
    ("browsing, another day", 247, [0.410, 0.458, 0.349, 0.000, 0.834]),
    ("chance, 30 an hour", 714, [0.776, 0.511, 0.739, 0.855, 1.000]),
    ("mail client at work", 50, [0.591, 0.880, 0.650, 0.000, 0.834]),
];

#[test]
fn scores_are_those_of_the_published_formulas() {
    for ((name, contacts), (of, number, expected)) in series().into_iter().zip(EXPECTED) {
        assert_eq!((name, contacts.len()), (of, number), "the generators have parted");
        let mut hours = [0; HOURS];
        contacts.iter().for_each(|(at, _)| hours[((at - T0) / HOUR).min(23) as usize] += 1);
        let newest = &contacts[contacts.len().saturating_sub(CONTACTS_MAX)..];
        let (mut times, sizes): (Vec<u32>, Vec<u32>) = newest.iter().copied().unzip();
        times.sort_unstable();
        let (first, last) = (contacts.iter().map(|(at, _)| *at).min().unwrap(), contacts.iter().map(|(at, _)| *at).max().unwrap());
        let score = score(&Series { times: &times, sizes: &sizes, hours: &hours, first, last, window: DAY }).unwrap();
        let parts = [score.total, score.timestamps, score.sizes, score.histogram, score.duration];
        assert!(parts.iter().zip(expected).all(|(is, wanted)| (is - wanted).abs() < 0.000_5), "{name}: {parts:?}, expected {expected:?}");
    }
}

#[test]
fn too_little_has_no_score() {
    let hours = [1; HOURS];
    let score = |times: &[u32], sizes: &[u32]| score(&Series { times, sizes, hours: &hours, first: 0, last: DAY, window: DAY });
    assert_eq!(score(&[], &[]), None);
    assert_eq!(score(&[1, 2, 3], &[1, 1, 1]), None, "two intervals");
    assert_eq!(score(&[5, 5, 5, 5, 5], &[1; 5]), None, "no interval at all");
    assert_eq!(score(&[1, 2, 3, 4], &[0; 4]).map(|score| score.sizes), Some(0.5), "nothing sent");
    assert!(score(&[0, u32::MAX, 3, 9, u32::MAX], &[u32::MAX; 5]).is_none_or(|score| (0.0..=1.0).contains(&score.total)));
}

/// A source's records with one destination.
fn records(src: &str, dst: &str, contacts: &Contacts) -> Vec<FlowRecord> {
    contacts.iter().map(|(at, bytes)| record(ip(src), ip(dst), 443, *at, (*bytes).into())).collect()
}

fn run(settings: &Settings, records: &[FlowRecord]) -> (Beaconing, Vec<Detection>) {
    sample::run(Beaconing::with(settings.clone()), || Beaconing::with(settings.clone()), records, None)
}

#[test]
fn what_the_detector_says_of_each_series() {
    let mut shown = String::new();
    for (name, contacts) in series() {
        let (detector, found) = run(&settings(), &journal(records("10.20.1.7", "198.51.100.9", &contacts)));
        let whole = detector.pairs.iter().next().and_then(|(_, pair)| pair.score(T0 / HOUR + 24, &settings()));
        let whole = whole.map_or("not kept".into(), |score| {
            format!("{:.3} (exact {:.3})", score.total, EXPECTED.iter().find(|row| row.0 == name).unwrap().2[0])
        });
        let told =
            found.iter().map(|found| format!("{} at {} h", found.reasons[0].value, (found.detected_at.0 / 1_000 - i64::from(T0)) / 3_600));
        shown.push_str(&format!("{name}: the day {whole}; told {:?}\n", told.collect::<Vec<_>>()));
    }
    expect![[r#"
        perfect, 5 min: the day 1.000 (exact 1.000); told ["0,979 at 10 h"]
        perfect, 1 h: the day 1.000 (exact 1.000); told ["1,000 at 11 h"]
        jitter 10 %: the day 0.972 (exact 0.972); told ["0,946 at 10 h"]
        jitter 30 %: the day 0.956 (exact 0.955); told ["0,909 at 10 h"]
        jitter 50 %: the day 0.944 (exact 0.942); told ["0,867 at 10 h"]
        jitter 50 %, sizes ± 30 %: the day 0.889 (exact 0.889); told ["0,858 at 11 h"]
        jitter 10 %, a fifth lost: the day 0.956 (exact 0.954); told ["0,864 at 11 h"]
        only 8 to 18 h, jitter 10 %: the day 0.687 (exact 0.684); told []
        12 hours so far, jitter 10 %: the day 0.989 (exact 0.990); told ["0,966 at 22 h"]
        6 hours so far: the day 0.625 (exact 0.625); told []
        two contacts a minute: the day 1.000 (exact 1.000); told ["0,979 at 11 h"]
        browsing: the day 0.397 (exact 0.401); told []
        browsing, another day: the day not kept; told []
        chance, 30 an hour: the day 0.776 (exact 0.776); told []
        mail client at work: the day 0.606 (exact 0.591); told []
    "#]]
    .assert_eq(&shown);
}

#[test]
fn a_person_can_check_the_reasoning() {
    let (_, found) = run(&settings(), &journal(records("10.20.1.7", "198.51.100.9", &steady(3, (270, 330), (512, 512), (0, 24), 0))));
    let found = &found[0];
    let reasons: Vec<String> =
        found.reasons.iter().map(|reason| format!("{}: {} {}\n", reason.name, reason.value, reason.threshold)).collect();
    let shown = format!(
        "{:?} {:?} {} records, evidence {:?}\n{}",
        found.entity.key(),
        found.observables,
        found.records,
        found.evidence.len(),
        reasons.concat()
    );
    expect![[r#"
        "ip:10.20.1.7" {"destination.ip": ["198.51.100.9"], "destination.port": ["443"], "source.ip": ["10.20.1.7"]} 117 records, evidence 16
        Gesamtwert (RITA): 0,946 ab 0,85
        Gleichmäßige Abstände: 0,966 (Median 5,0 min, halbe Streuung 15,5 s) 
        Gleiche Größen: 1,000 (Median 512 Byte gesendet) 
        Gleichmäßig über den Tag: 0,900 (in 11 von 24 Abschnitten) 
        Ausdauer: 0,917 (längste Folge 11 Abschnitte) 
        Kontakte im Zeitraum: 122 ab 12
        Rechner mit diesem Ziel: 1 unter 20
    "#]].assert_eq(&shown);
}

/// One connection that lasts the whole day, in pieces of `timeout` seconds.
fn pieces(reason: u8, timeout: u32) -> Vec<FlowRecord> {
    let piece = |at: u32| {
        let flow = record(ip("10.20.1.8"), ip("198.51.100.10"), 443, at, 5_000);
        let end = flow.start.plus(i64::from(timeout) * 1_000);
        FlowRecord { end, received_at: end.plus(1_000), src_port: 50_000, end_reason: reason, ..flow }
    };
    (0..DAY / timeout).map(|n| piece(T0 + n * timeout)).collect()
}

#[test]
fn a_long_connection_in_pieces_is_no_beacon() {
    for (reason, timeout) in [(2, 60), (2, 300), (0, 300), (0, 1_800)] {
        let (detector, found) = run(&settings(), &journal(pieces(reason, timeout)));
        assert_eq!((found.len(), detector.pairs.len()), (0, 0), "{reason} {timeout}");
    }
    // Without stitching it would be the most regular of all: the same pieces from a new port each.
    let apart: Vec<FlowRecord> =
        pieces(2, 300).into_iter().zip(1_000u16..).map(|(flow, src_port)| FlowRecord { src_port: 40_000 + src_port, ..flow }).collect();
    assert_eq!(run(&settings(), &journal(apart)).1.len(), 1);
    // A beacon whose connections are long ones: each counts once, with all it sent.
    let mut long = Vec::new();
    for (n, (at, _)) in (0..).zip(steady(5, (1_200, 1_200), (1, 1), (0, 24), 0)) {
        for part in 0..4 {
            let flow = record(ip("10.20.1.8"), ip("198.51.100.10"), 443, at + part * 60, 100);
            let end = flow.start.plus(59_000);
            long.push(FlowRecord { end, received_at: end, src_port: 45_000 + n, end_reason: if part == 3 { 3 } else { 2 }, ..flow });
        }
    }
    let (detector, found) = run(&settings(), &journal(long));
    let pair = detector.pairs.iter().next().unwrap().1.clone();
    assert_eq!((found.len(), pair.parts.iter().map(|part| part.count).sum::<u32>()), (1, 72));
    assert!(pair.contacts.iter().all(|(_, bytes)| *bytes == 400), "{:?}", pair.contacts);
}

#[test]
fn what_two_exporters_see_is_one_contact() {
    let once = records("10.20.1.7", "198.51.100.9", &steady(1, (300, 300), (512, 512), (0, 24), 0));
    let again = once.iter().map(|flow| FlowRecord {
        start: flow.start.plus(900),
        received_at: flow.received_at.plus(1_500),
        exporter: ip("192.0.2.1"),
        ..*flow
    });
    let (detector, found) = run(&settings(), &journal(once.iter().copied().chain(again).collect()));
    let pair = detector.pairs.iter().next().unwrap().1;
    assert_eq!((found.len(), pair.parts.iter().map(|part| part.count).sum::<u32>()), (1, 288));
}

/// A working day of `hosts` machines: pages on many servers, mail, the time, updates and the maker's telemetry, which all
/// machines ask evenly.
fn background(hosts: u32, seed: u64) -> Vec<FlowRecord> {
    let mut all = Vec::new();
    for host in 0..hosts {
        let src = ip(&format!("10.20.{}.{}", 1 + host / 200, 1 + host % 200));
        let seed = seed + u64::from(host) * 100;
        for server in 0..4u32 {
            let dst = ip(&format!("203.0.113.{}", 1 + (host * 7 + server * 13) % 250));
            all.extend(browsing(seed + u64::from(server)).into_iter().map(|(at, bytes)| record(src, dst, 443, at + server, bytes.into())));
        }
        let mail = ip("192.0.2.25");
        all.extend(office(seed + 11).into_iter().map(|(at, bytes)| record(src, mail, 993, at, bytes.into())));
        let even = |seed, every: u32, dst: &str, port| {
            steady(seed, (every, every + 2), (300, 302), (0, 24), 0)
                .into_iter()
                .map(move |(at, bytes)| record(src, ip(dst), port, at, bytes.into()))
                .collect::<Vec<_>>()
        };
        all.extend(even(seed + 21, 600, "192.0.2.80", 443));
        all.extend(even(seed + 31, 1_024, "192.0.2.123", 123));
    }
    all
}

#[test]
fn planted_beacons_are_found_among_normal_traffic() {
    let mut all = background(40, 7_000);
    let mut planted = BTreeSet::new();
    for (n, (name, contacts)) in (0u8..).zip(series()) {
        let expected = EXPECTED[usize::from(n)].2[0];
        // Infected machines do everything else that the others do.
        let src = format!("10.20.1.{}", 1 + n);
        all.extend(records(&src, &format!("198.51.100.{}", 100 + n), &contacts));
        if expected >= 0.85 {
            planted.insert(format!("{src} {name}"));
        }
    }
    let all = journal(all);
    let (detector, found) = run(&settings(), &all);
    let name = |found: &Detection| {
        let n: usize = found.observables["destination.ip"][0].strip_prefix("198.51.100.")?.parse().ok()?;
        Some(format!("{} {}", found.observables["source.ip"][0], EXPECTED[n - 100].0))
    };
    let hits: BTreeSet<String> = found.iter().filter_map(name).collect();
    let others: Vec<String> = found.iter().filter(|found| name(found).is_none()).map(|found| format!("{:?}", found.observables)).collect();
    assert_eq!(planted.difference(&hits).count(), 0, "missed: {:?}", planted.difference(&hits));
    let footprint = detector.footprint();
    assert!(footprint.bytes <= footprint.bytes_max);
    let shown = format!(
        "{} records, {} pairs, {} kept; planted {}, found {}, beyond them {:?}, of the rest {others:?}\n",
        all.len(),
        40 * 7 + 15,
        footprint.entries,
        planted.len(),
        hits.len(),
        hits.difference(&planted).collect::<Vec<_>>(),
    );
    expect![[r#"
        57540 records, 295 pairs, 147 kept; planted 9, found 9, beyond them [], of the rest []
    "#]]
    .assert_eq(&shown);
}

#[test]
fn a_flood_of_even_pairs_stays_within_the_bound_and_hides_nothing() {
    let settings = Settings { pairs: 128, watched: 1 << 12, ..settings() };
    let mut all = records("10.20.1.7", "198.51.100.9", &steady(3, (270, 330), (512, 512), (0, 24), 0));
    // From the second hour on, ten contacts each of 6,000 pairs with invented sources: all of them even.
    for n in 0..6_000u32 {
        let (src, dst) = (ip(&format!("10.99.{}.{}", n / 250, n % 250)), ip(&format!("198.18.{}.{}", n % 250, n / 250)));
        all.extend((0..10).map(|k| record(src, dst, 443, T0 + 7 * HOUR + n * 8 + k * 30, 100)));
    }
    let (detector, found) = run(&settings, &journal(all));
    let footprint = detector.footprint();
    assert!(footprint.bytes <= footprint.bytes_max, "{footprint:?}");
    assert!(footprint.entries <= 128 && footprint.dropped > 0, "{footprint:?}");
    assert_eq!(found.iter().map(|found| found.entity.key()).collect::<Vec<_>>(), ["ip:10.20.1.7"]);
}

#[test]
fn restarts_change_nothing() {
    let mut all = background(4, 50);
    for (n, (_, contacts)) in (1..).zip(series()) {
        all.extend(records(&format!("10.20.1.{n}"), "198.51.100.9", &contacts));
    }
    all.extend(pieces(2, 300));
    let settings = Settings { watched: 1 << 10, pairs: 64, ..settings() };
    sample::check_restart(|| Beaconing::with(settings.clone()), &journal(all), 701);
}

#[test]
fn clocks_that_are_wrong_do_no_harm() {
    let mut all = records("10.20.1.7", "198.51.100.9", &steady(1, (300, 300), (512, 512), (0, 24), 0));
    let odd =
        [Timestamp(0), Timestamp(-5), Timestamp(i64::MAX), Timestamp(i64::MIN), Timestamp(i64::from(T0) * 1_000 + 900 * Timestamp::DAY)];
    for (n, start) in (0..).zip(odd) {
        let flow = record(ip("10.20.1.9"), ip("198.51.100.77"), 443, T0 + 100 + n, 100);
        all.push(FlowRecord { start, end: start, ..flow });
    }
    let (_, found) = run(&settings(), &journal(all));
    assert_eq!(found.len(), 1);
}

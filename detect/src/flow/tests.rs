//! The detectors on a million flows with attacks planted into them: what they find, what they miss, what they cry wolf
//! about. And that neither a restart nor an adversary changes that.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use expect_test::expect;
use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::time::Timestamp;
use proptest::prelude::*;

use super::traffic::{BEGIN, Rng, Talk, Traffic, inner, public, site_id, sites};
use super::{Detectors, Sheet};
use crate::finding::Finding;

/// A planted attack: its name, the rule and the entity by which it must be found, what else may be found of it, and its
/// conversations.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) rule: &'static str,
    pub(super) entity: Ipv4Addr,
    pub(super) also: &'static [&'static str],
    pub(super) talks: Vec<Talk>,
}

const SECOND: i64 = Timestamp::SECOND;
const MINUTE: i64 = Timestamp::MINUTE;

/// All attacks, beginning at `at`; `slow` stretches what is slow.
pub(super) fn attacks(at: Timestamp, slow: i64) -> Vec<Attack> {
    let mut rng = Rng::new(7);
    let evil = |n: u8| Ipv4Addr::new(185, 220, 101, n);
    let attack = |name, rule, entity, also, talks: Vec<Talk>| Attack { name, rule, entity, also, talks };
    let many = |count: i64, gap: i64, mut make: Box<dyn FnMut(i64, Timestamp) -> Talk + '_>| {
        (0..count).map(|n| make(n, at.plus(n * gap))).collect::<Vec<Talk>>()
    };
    // A failed log-in: the size of one, in packets from the client.
    let guess = |site, from, to, port, n: i64, at| Talk::tcp(site, from, to, port, at, 13 + (n % 6) as u64, 2_500 + n % 700);
    let mut all = vec![
        attack(
            "vertical, fast, from outside",
            "portscan",
            evil(1),
            &[],
            many(1_000, 60, Box::new(move |n, at| Talk::probe(1, evil(1), public(1, 9), 1 + n as u16, at))),
        ),
        attack(
            "vertical, slow, inside",
            "portscan",
            inner(1, 1, 201),
            &[],
            many(60, slow * MINUTE, Box::new(|n, at| Talk::refused(1, inner(1, 1, 201), inner(1, 0, 20), 8_000 + n as u16, at))),
        ),
        attack(
            "vertical, connecting, some open",
            "portscan",
            evil(2),
            &[],
            many(
                120,
                400,
                Box::new(move |n, at| match n % 12 {
                    0 => Talk::half_open(2, evil(2), public(2, 9), 20 + n as u16, at),
                    1 => Talk::tcp(2, evil(2), public(2, 9), 20 + n as u16, at, 5, 100),
                    _ => Talk::refused(2, evil(2), public(2, 9), 20 + n as u16, at),
                }),
            ),
        ),
        attack(
            "vertical, over UDP",
            "portscan",
            inner(2, 1, 202),
            &[],
            many(300, SECOND, Box::new(|n, at| Talk::udp(2, inner(2, 1, 202), inner(2, 0, 20), 10_000 + n as u16, at, (1, 0)))),
        ),
        attack(
            "horizontal, fast, inside",
            "hostscan",
            inner(2, 1, 203),
            &["lateral_movement"],
            many(
                250,
                400,
                Box::new(|n, at| match n % 20 {
                    0 => Talk::tcp(2, inner(2, 1, 203), inner(2, 5, n as u8), 445, at, 9, 300),
                    _ => Talk::probe(2, inner(2, 1, 203), inner(2, 5, n as u8), 445, at),
                }),
            ),
        ),
        attack(
            "horizontal, slow, from outside",
            "hostscan",
            evil(3),
            &[],
            many(100, slow * MINUTE, Box::new(move |n, at| Talk::probe(3, evil(3), public(3, n as u8), 3_389, at))),
        ),
        attack(
            "horizontal, from inside into the world",
            "hostscan",
            inner(4, 1, 204),
            &[],
            many(
                200,
                3 * SECOND,
                Box::new(|n, at| Talk::probe(4, inner(4, 1, 204), Ipv4Addr::from(0x2d00_0000 + n as u32 * 7_919), 23, at)),
            ),
        ),
        attack(
            "ping sweep",
            "hostscan",
            inner(5, 1, 205),
            &[],
            many(250, 200, Box::new(|n, at| Talk::ping(5, inner(5, 1, 205), inner(5, 6, n as u8), at, n % 10 == 0))),
        ),
        attack(
            "SSH, fast, without success",
            "flow_bruteforce",
            evil(4),
            &[],
            many(300, 2 * SECOND, Box::new(move |n, at| guess(1, evil(4), public(1, 8), 22, n, at))),
        ),
        attack(
            "VPN, without success",
            "flow_bruteforce",
            evil(5),
            &[],
            many(80, 5 * SECOND, Box::new(move |n, at| guess(2, evil(5), public(2, 7), 10_443, n, at))),
        ),
        attack(
            "SSH, inside",
            "flow_bruteforce",
            inner(3, 1, 206),
            &[],
            many(120, 3 * SECOND, Box::new(move |n, at| guess(3, inner(3, 1, 206), inner(3, 0, 21), 22, n, at))),
        ),
        attack(
            "lateral, SMB",
            "lateral_movement",
            inner(1, 1, 7),
            &[],
            many(25, 40 * SECOND, Box::new(|n, at| Talk::tcp(1, inner(1, 1, 7), inner(1, 1, 20 + n as u8), 445, at, 40, 3_000))),
        ),
        attack(
            "lateral, WinRM",
            "lateral_movement",
            inner(5, 1, 8),
            &[],
            many(14, 150 * SECOND, Box::new(|n, at| Talk::tcp(5, inner(5, 1, 8), inner(5, 1, 20 + n as u8), 5_985, at, 60, 8_000))),
        ),
        attack(
            "service never seen before",
            "first_seen_service",
            inner(1, 1, 44),
            &[],
            vec![Talk::tcp(1, inner(1, 1, 45), inner(1, 1, 44), 5_900, at, 300, 9_000)],
        ),
        attack(
            "peer never seen before",
            "first_seen_peer",
            inner(2, 1, 46),
            &[],
            vec![Talk::tcp(2, inner(2, 1, 46), Ipv4Addr::new(45, 9, 148, 7), 22, at, 300, 9_000)],
        ),
    ];
    let after = |talks: &mut Vec<Talk>, seconds: i64, make: &dyn Fn(Timestamp) -> Talk| {
        let last = talks.last().map_or(at, |talk| talk.start);
        talks.push(make(last.plus(seconds * SECOND)));
    };
    let mut ssh = many(200, 3 * SECOND, Box::new(move |n, at| guess(4, evil(6), public(4, 8), 22, n, at)));
    after(&mut ssh, 20, &|at| Talk::tcp(4, evil(6), public(4, 8), 22, at, 900, 600_000));
    all.push(attack(
        "SSH, with success",
        "flow_bruteforce_success",
        evil(6),
        &["flow_bruteforce", "first_seen_service", "first_seen_peer"],
        ssh,
    ));
    let mut rdp = many(90, slow * MINUTE, Box::new(move |n, at| guess(5, evil(7), public(5, 9), 3_389, n, at)));
    after(&mut rdp, 60, &|at| Talk::tcp(5, evil(7), public(5, 9), 3_389, at, 4_000, 90_000));
    all.push(attack("RDP, slow, with success", "flow_bruteforce_success", evil(7), &["flow_bruteforce"], rdp));
    let mut ends = many(60, 4 * SECOND, Box::new(move |n, at| guess(3, evil(8), public(3, 8), 22, n, at)));
    after(&mut ends, 4, &|at| Talk::tcp(3, evil(8), public(3, 8), 22, at, 42, 25_000));
    all.push(attack("SSH, ends with the one that succeeded", "flow_bruteforce_success", evil(8), &["flow_bruteforce"], ends));
    let flood = (0..3_000).map(|n: i64| {
        let from = Ipv4Addr::from(0x5000_0000 + (rng.within(0, 900) as u32) * 65_537);
        Talk { bytes: (1_300_000, 0), ..Talk::udp(4, from, public(4, 6), 443, at.plus(n * 20), (1_000, 0)) }
    });
    all.push(attack("flood from outside", "volumetric", public(4, 6), &[], flood.collect()));
    let out = (0..20).map(|n| Talk {
        bytes: (80_000_000, 0),
        ..Talk::udp(3, inner(3, 1, 9), Ipv4Addr::new(198, 51, 100, 200), 80, at.plus(n * SECOND), (100_000, 0))
    });
    // Half a gigabyte that leaves a host is more than it ever sent, too.
    all.push(attack("flood from inside", "volumetric_out", inner(3, 1, 9), &["exfiltration"], out.collect()));
    all
}

fn sheet(changes: &str) -> Arc<Sheet> {
    Arc::new(Sheet::shipped().unwrap().overridden("test", changes).unwrap())
}

/// Learning that is over in a quarter of an hour, for short traffic.
pub(super) const QUICK: &str = "
    [lateral_movement.parameters]\nlearning_days = 0.01\nfanout_min_learning = 300
    [first_seen_service.parameters]\nlearning_days = 0.01
    [first_seen_peer.parameters]\nlearning_days = 0.01";

fn detectors(sheet: &Arc<Sheet>) -> Detectors {
    let mut detectors = Detectors::new(sheet.clone(), &[]).unwrap();
    detectors.follow(&Arc::new(sites()));
    detectors
}

/// What the detectors say of the records, and in the end of what waits.
fn run(detectors: &mut Detectors, records: impl Iterator<Item = FlowRecord>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut last = Timestamp(0);
    for record in records {
        detectors.advance(record.received_at, &mut findings);
        detectors.apply(&record, &mut findings);
        last = record.received_at;
    }
    detectors.settle(last.plus(Timestamp::HOUR), &mut findings);
    findings
}

/// Found of planted, and what else was said, a line a rule.
fn table(attacks: &[Attack], findings: &[Finding]) -> String {
    let said: BTreeSet<(String, String)> = findings.iter().map(|finding| (finding.rule.name.clone(), finding.entity.key())).collect();
    let mut allowed = BTreeSet::new();
    let mut rows: BTreeMap<&str, (u32, u32, Vec<String>)> = BTreeMap::new();
    let mut missed = String::new();
    for attack in attacks {
        let key = |rule: &str| (rule.to_owned(), format!("ip:{}", attack.entity));
        let row = rows.entry(attack.rule).or_default();
        row.0 += 1;
        if said.contains(&key(attack.rule)) {
            row.1 += 1;
        } else {
            missed.push_str(&format!("MISSED {}\n", attack.name));
        }
        allowed.insert(key(attack.rule));
        allowed.extend(attack.also.iter().map(|rule| key(rule)));
        // Services and peers that an attack made use of are new as well, and a hint about them is right.
        allowed.extend(attack.talks.iter().map(|talk| ("first_seen_service".to_owned(), format!("ip:{}", talk.to))));
        for (rule, of) in
            [("first_seen_service", attack.talks[0].to), ("first_seen_peer", attack.talks[0].to), ("first_seen_peer", attack.talks[0].from)]
        {
            allowed.insert((rule.to_owned(), format!("ip:{of}")));
        }
    }
    for (rule, entity) in said.difference(&allowed) {
        let name = [
            "portscan",
            "hostscan",
            "flow_bruteforce",
            "flow_bruteforce_success",
            "lateral_movement",
            "volumetric",
            "volumetric_out",
            "first_seen_service",
            "first_seen_peer",
            "beaconing",
            "exfiltration",
            "dns_tunnel",
            "flow_indicator",
        ]
        .into_iter()
        .find(|name| name == rule)
        .unwrap();
        rows.entry(name).or_default().2.push(entity.clone());
    }
    let row = |(rule, (planted, found, wrong)): (&&str, &(u32, u32, Vec<String>))| {
        format!(
            "{rule:<24} planted {planted:>2} found {found:>2} false {} {}\n",
            wrong.len(),
            if wrong.len() > 10 { String::new() } else { wrong.join(" ") }
        )
    };
    rows.iter().map(row).collect::<String>() + &missed
}

#[test]
fn a_million_flows_none_missed() {
    // The second Tuesday, when ten days' learning is over everywhere.
    let attacks = attacks(BEGIN.plus(8 * Timestamp::DAY + 8 * Timestamp::HOUR), 8);
    let planted: Vec<Talk> = attacks.iter().flat_map(|attack| attack.talks.iter().copied()).collect();
    let mut detectors = detectors(&sheet(""));
    let findings = run(&mut detectors, Traffic::new(1, planted).take(1_000_000));
    expect![[r#"
        first_seen_peer          planted  1 found  1 false 0 
        first_seen_service       planted  1 found  1 false 0 
        flow_bruteforce          planted  3 found  3 false 0 
        flow_bruteforce_success  planted  3 found  3 false 0 
        hostscan                 planted  4 found  4 false 0 
        lateral_movement         planted  2 found  2 false 0 
        portscan                 planted  4 found  4 false 0 
        volumetric               planted  1 found  1 false 0 
        volumetric_out           planted  1 found  1 false 0 
    "#]]
    .assert_eq(&table(&attacks, &findings));
    // One of each rule, as a person reads it.
    let mut shown = String::new();
    for rule in findings.iter().map(|finding| finding.rule.name.as_str()).collect::<BTreeSet<_>>() {
        let finding = findings.iter().find(|finding| finding.rule.name == rule).unwrap();
        shown.push_str(&format!("{rule}: {} {} Belege, {} Flüsse\n", finding.entity.key(), finding.evidence.len(), finding.records));
        for reason in &finding.reasons {
            shown.push_str(&format!("    {}: {} {}\n", reason.name, reason.value, reason.threshold));
        }
    }
    expect![[r#"
        exfiltration: ip:10.3.1.9 6 Belege, 7 Flüsse
            Hinausgesendet in dieser Stunde: 560,0 MB ab 524,3 MB
            Das eigene Übliche: 524,3 kB (99,0 % von 123 Stunden mit Verkehr lagen darunter) 
            Schwelle: das 3,0-Fache davon, mindestens 524,3 MB 
            Gesendet je empfangenem Byte: nichts empfangen ab 1,0
        first_seen_peer: ip:203.0.2.9 1 Belege, 1 Flüsse
            Gegenstelle zum ersten Mal gesehen: 185.220.101.2 
            vorher nicht gesehen seit: 30 Tage Lernzeit 7 Tage
        first_seen_service: ip:10.2.5.0 1 Belege, 1 Flüsse
            Dienst zum ersten Mal gesehen: 10.2.5.0, Port 445 
            vorher nicht gesehen seit: 30 Tage Lernzeit 7 Tage
        flow_bruteforce: ip:185.220.101.4 30 Belege, 30 Flüsse
            Anmeldeversuche: 30 in 10 min ab 30
            Pakete je Versuch im Mittel: 16 8 bis 51
            Kurze Proben davor: 0 
            Dienst: SSH, Port 22 
        flow_bruteforce_success: ip:185.220.101.6 40 Belege, 200 Flüsse
            Anmeldeversuche davor: 200 
            Pakete der Verbindung danach: 900 ab 31 (das 2-Fache der Versuche)
            Dauer der Verbindung danach: 10 min oder ab 2 min
            Dienst: SSH, Port 22 
        hostscan: ip:10.2.1.203 16 Belege, 16 Flüsse
            Verschiedene Ziele: 16 
            davon ohne brauchbare Antwort: 16 ab 16
            Entscheidungswert: 22,2 ab 11,5
            Zeitraum: 6 s 
        lateral_movement: ip:10.2.1.203 12 Belege, 12 Flüsse
            Ziele, die es vorher nicht ansprach: 12 ab 12
            bei diesem Rechner üblich: 0 höchstens das 3-Fache
            Zeitraum: 4 s höchstens 60 min
        portscan: ip:185.220.101.1 11 Belege, 20 Flüsse
            Verschiedene Ports: 20 
            davon ohne brauchbare Antwort: 20 ab 20
            Entscheidungswert: 27,7 ab 11,5
            Zeitraum: 1 s 
        volumetric: ip:203.0.4.6 40 Belege, 577 Flüsse
            Datenmenge in einer Minute: 750 MB ab 750 MB (üblich für die ganze Stelle: 1,3 MB)
            Pakete in einer Minute: 577 Tsd. 
            Datenflüsse in einer Minute: 577 
            Verschiedene Quellen: 376 ab 60
            Zeitraum: 12 s 
        volumetric_out: ip:10.3.1.9 6 Belege, 6 Flüsse
            Datenmenge in einer Minute: 480 MB 
            Pakete in einer Minute: 600 Tsd. ab 600 Tsd. (üblich für die ganze Stelle: 10 Tsd.)
            Datenflüsse in einer Minute: 6 
            Verschiedene Ziele: 1 
            Zeitraum: 5 s 
    "#]]
    .assert_eq(&shown);
    let health = detectors.health(Timestamp(0));
    // Resolvers ask thousands of servers once each; those make place for each other.
    assert!(health.detectors.iter().all(|one| one.footprint.dropped == 0 || one.name == "dns_tunnel"), "{health:?}");
}

/// Two hours of quieter traffic with everything planted, quick enough to be done again and again.
pub(super) fn short(seed: u64) -> (Vec<Attack>, Vec<FlowRecord>) {
    let attacks = attacks(BEGIN.plus(40 * MINUTE), 1);
    let planted: Vec<Talk> = attacks.iter().flat_map(|attack| attack.talks.iter().copied()).collect();
    let until = BEGIN.plus(180 * MINUTE);
    let records = Traffic::with(seed, planted, 6).take_while(|record| record.received_at < until.plus(15 * MINUTE)).collect();
    (attacks, records)
}

fn told(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|one| format!("{} {} {:?} {} {:?} {:?}", one.rule.name, one.entity.key(), one.last, one.records, one.evidence, one.reasons))
        .collect()
}

#[test]
fn a_short_stretch_finds_all_of_it_too() {
    let (attacks, records) = short(3);
    let findings = run(&mut detectors(&sheet(QUICK)), records.iter().copied());
    expect![[r#"
        first_seen_peer          planted  1 found  1 false 0 
        first_seen_service       planted  1 found  1 false 48 
        flow_bruteforce          planted  3 found  3 false 0 
        flow_bruteforce_success  planted  3 found  3 false 0 
        hostscan                 planted  4 found  4 false 0 
        lateral_movement         planted  2 found  2 false 5 ip:10.1.0.30 ip:10.2.0.30 ip:10.3.0.30 ip:10.4.0.30 ip:10.5.0.30
        portscan                 planted  4 found  4 false 0 
        volumetric               planted  1 found  1 false 0 
        volumetric_out           planted  1 found  1 false 0 
    "#]]
    .assert_eq(&table(&attacks, &findings));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 20, ..ProptestConfig::default() })]
    /// Saved and put into new detectors at any points, the same is found with the same words.
    #[test]
    fn a_restart_at_any_record_changes_nothing(cuts in prop::collection::btree_set(0usize..14_000, 1..6)) {
        let (_, records) = short(5);
        let sheet = sheet(QUICK);
        let through = run(&mut detectors(&sheet), records.iter().copied());
        let mut current = detectors(&sheet);
        let mut findings = Vec::new();
        for (at, record) in records.iter().enumerate() {
            if cuts.contains(&at) {
                let state = current.save();
                current = detectors(&sheet);
                current.restore(&state).unwrap();
                prop_assert_eq!(current.save(), state, "what was restored is what was saved");
            }
            current.advance(record.received_at, &mut findings);
            current.apply(record, &mut findings);
        }
        current.settle(records.last().unwrap().received_at.plus(Timestamp::HOUR), &mut findings);
        prop_assert_eq!(told(&findings), told(&through));
    }
}

#[test]
fn what_changed_its_parameters_begins_anew_and_damage_is_refused() {
    let (_, records) = short(5);
    let mut old = detectors(&sheet(QUICK));
    run(&mut old, records.iter().take(9_000).copied());
    let state = old.save();
    let entries = |detectors: &Detectors| {
        detectors.health(Timestamp(0)).detectors.iter().map(|one| (one.name.clone(), one.footprint.entries)).collect::<BTreeMap<_, _>>()
    };
    let mut changed = detectors(&sheet(&format!("{QUICK}\n[portscan.parameters]\nports_min = 30")));
    changed.restore(&state).unwrap();
    assert_eq!(entries(&changed)["portscan"], 0);
    assert_eq!(entries(&changed)["hostscan"], entries(&old)["hostscan"]);
    // Cut anywhere it is refused as a whole, or one detector's part begins anew; never a panic.
    for cut in (0..state.len()).step_by(state.len() / 300) {
        assert!(detectors(&sheet(QUICK)).restore(&state[..cut]).is_err());
        let mut flipped = state.clone();
        flipped[cut] ^= 0x41;
        let _ = detectors(&sheet(QUICK)).restore(&flipped);
    }
}

#[test]
fn a_million_addresses_stay_within_the_bounds() {
    let mut detectors = detectors(&sheet(QUICK));
    let mut findings = Vec::new();
    let mut rng = Rng::new(11);
    for n in 0..1_000_000u64 {
        let (a, b) = (rng.next(), rng.next());
        let outside = IpAddr::V6(Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(a)));
        let inside = IpAddr::V6(Ipv6Addr::from(0xfd00_u128 << 112 | u128::from(b)));
        let (src_ip, dst_ip) = if n % 2 == 0 { (outside, inside) } else { (inside, outside) };
        let dst_ip = if n % 5 == 0 { IpAddr::V6(Ipv6Addr::from(0xfd00_u128 << 112 | u128::from(a))) } else { dst_ip };
        let at = BEGIN.plus(n as i64 / 50);
        let ports = [22, 445, 3_389, 5_985, 80, 40_000];
        let flow = FlowRecord {
            seq: Seq(n + 1),
            received_at: at,
            start: at,
            end: at,
            site: site_id(1),
            src_ip,
            dst_ip,
            src_port: 50_000,
            dst_port: ports[(n % 6) as usize],
            protocol: if n % 7 == 0 { 17 } else { 6 },
            tcp_flags: if n % 3 == 0 { 2 } else { 0x1b },
            packets: if n % 3 == 0 { 1 } else { 20 },
            bytes: 1_000,
            ..FlowRecord::NONE
        };
        detectors.advance(at, &mut findings);
        detectors.apply(&flow, &mut findings);
    }
    let mut shown = String::new();
    let mut sum = 0;
    for one in detectors.health(Timestamp(0)).detectors {
        let of = one.footprint;
        assert!(of.bytes <= of.bytes_max, "{one:?}");
        sum += of.bytes_max;
        shown.push_str(&format!(
            "{} {} MB at most, {}\n",
            one.name,
            of.bytes_max / 1_000_000,
            if of.dropped > 0 { "full" } else { "never full" }
        ));
    }
    // What is saved is what is held, without the index and the links.
    assert!(detectors.save().len() < sum / 2, "{} of {sum}", detectors.save().len());
    expect![[r#"
        portscan 65 MB at most, full
        hostscan 44 MB at most, full
        flow_bruteforce 39 MB at most, full
        lateral_movement 50 MB at most, full
        volumetric 66 MB at most, full
        first_seen_service 1 MB at most, never full
        first_seen_peer 1 MB at most, never full
        beaconing 84 MB at most, never full
        exfiltration 49 MB at most, full
        dns_tunnel 31 MB at most, never full
        flow_indicator 25 MB at most, never full
        attack_across_bodies 23 MB at most, never full
    "#]]
    .assert_eq(&shown);
}

#[test]
fn sampled_exporters_are_left_out_where_sampling_lies_and_counted() {
    let (_, records) = short(3);
    let mut detectors = detectors(&sheet(QUICK));
    let findings = run(&mut detectors, records.iter().map(|record| FlowRecord { sampling: 100, ..*record }));
    let rules: BTreeSet<&str> = findings.iter().map(|finding| finding.rule.name.as_str()).collect();
    expect!["exfiltration first_seen_peer first_seen_service lateral_movement volumetric volumetric_out"]
        .assert_eq(&rules.into_iter().collect::<Vec<_>>().join(" "));
    let health = detectors.health(Timestamp(0));
    let left: Vec<(String, bool)> = health.detectors.iter().map(|one| (one.name.clone(), one.left_out == records.len() as u64)).collect();
    assert_eq!(
        left.iter().filter(|(_, all)| *all).map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["portscan", "hostscan", "flow_bruteforce", "beaconing"]
    );
    assert_eq!(health.sampled.len(), 5, "one exporter a site");
    assert_eq!(health.sampled.iter().map(|(_, records)| records).sum::<u64>(), records.len() as u64);
}

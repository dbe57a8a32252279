//! kill -9 while the rules count: windows of every kind are open, alerts are being filed. What the alerts say afterwards, each
//! record of them once, is what they say where nothing was ever interrupted. Both read the same journal.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use ingest::body::SITE_UNKNOWN;
use ingest::frame::{FrameKind, Marks, NewFrame, Transport};
use ingest::journal::Journal;
use ingest::time::{Clock, Timestamp};
use rusqlite::{Connection, OpenFlags};

use super::{Random, until};
use crate::program::{Server, Setup};

/// By hand; CI asks for more.
const KILLS: u64 = 8;
/// Lines of the journal: some seconds of work.
const LINES: u64 = 24_000;
/// Kills of one run over the journal.
const KILLS_PER_RUN: u64 = 8;

/// Correlations of each kind, beside those that are shipped.
const RULES: &str = "
title: Viele Konten
name: many_users
correlation: {type: value_count, rules: ssh_login_failed, group-by: source.ip, timespan: 1m, condition: {field: user.name, gte: 6}}
wartburg: {entity: source.ip}
---
title: Viel und nicht zu viel
name: range_of_failures
correlation: {type: event_count, rules: ssh_login_failed, group-by: source.ip, timespan: 30s, condition: {gte: 4, lt: 7}}
wartburg: {entity: source.ip}
---
title: Hohe Quellports
name: high_ports
correlation: {type: value_avg, rules: ssh_login_failed, group-by: source.ip, timespan: 30s, condition: {field: source.port, gt: 30100.5}}
wartburg: {entity: source.ip}
---
title: Beides
name: failure_and_success
correlation: {type: temporal, rules: [ssh_login_failed, ssh_login_succeeded], group-by: source.ip, timespan: 10s, condition: ssh_login_failed and ssh_login_succeeded}
wartburg: {entity: source.ip}
---
title: Summe
name: sum_of_ports
correlation: {type: value_sum, rules: ssh_login_failed, group-by: user.name, timespan: 20s, condition: {field: source.port, gte: 2500000}}
wartburg: {entity: user.name}
---
title: Drei Stellen
name: three_bodies
correlation: {type: value_count, rules: ssh_login_failed, group-by: source.ip, timespan: 10s, condition: {field: organization.id, gte: 3}}
wartburg: {entity: source.ip, scope: state}
---
title: Ausbruch bei zwei Stellen
name: bursts_at_two
level: low
correlation: {type: value_count, rules: failure_and_success, group-by: source.ip, timespan: 1m, condition: {field: organization.id, gte: 2}, generate: true}
wartburg: {entity: source.ip, scope: state}
";

#[test]
fn alerts_are_filed_exactly_once_through_kills_while_the_rules_count() {
    let kills = std::env::var("WARTBURG_RULE_KILLS").map_or(KILLS, |kills| kills.parse().expect("WARTBURG_RULE_KILLS is a number"));
    let mut random = Random::seeded("alerts_are_filed_exactly_once_through_kills_while_the_rules_count");
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("rules");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("kinds.yml"), RULES).unwrap();
    let setup = Setup { config: format!("[rules]\ndirs = [{folder:?}]\n"), ..Setup::default() };
    let undisturbed = dir.path().join("undisturbed");
    write_journal(&undisturbed, &mut random);
    let template = dir.path().join("template");
    copy(&undisturbed, &template);
    let expected = finish(&undisturbed, &setup);
    for rule in [
        "three_bodies",
        "bursts_at_two",
        "of the state",
        "many_users",
        "range_of_failures",
        "high_ports",
        "failure_and_success",
        "sum_of_ports",
        "ssh_bruteforce",
    ] {
        assert!(expected.keys().any(|key| key.starts_with(&format!("{rule} "))), "{rule} found nothing: the test tests too little");
    }
    let (mut done, mut midway) = (0, 0);
    while done < kills {
        let data = dir.path().join(format!("run-{done}"));
        copy(&template, &data);
        for _ in 0..KILLS_PER_RUN.min(kills - done) {
            let server = Server::start_as(&data, &setup);
            std::thread::sleep(Duration::from_millis(random.below(700)));
            server.kill();
            done += 1;
            midway += u64::from(cursor(&data).is_some_and(|seq| seq > 0 && seq < LINES));
        }
        let found = finish(&data, &setup);
        let pairs = expected.iter().map(|(key, alert)| (key, alert, found.get(key)));
        let differing: Vec<_> = pairs.filter(|(_, alert, found)| *found != Some(alert)).take(5).collect();
        let strange: Vec<_> = found.keys().filter(|key| !expected.contains_key(*key)).take(5).collect();
        assert!(differing.is_empty() && strange.is_empty(), "{differing:#?} {strange:#?}");
    }
    println!("{done} kills, {midway} of them while the rules were under way, {} alerts as without", expected.len());
    assert!(midway > 0 || done < 4, "no kill came while the rules were under way");
}

/// Failed and successful log-ins from thirty addresses: bursts, pauses, and lines that come late.
fn write_journal(data: &Path, random: &mut Random) {
    let sites = crate::statewide::bodies(data);
    // Received a little later than the test runs: no clock closes a window in one run and not in the other.
    let now = Clock::system().now().plus(Timestamp::HOUR);
    let (mut journal, _) = Journal::open(&data.join("journal"), &data.join("quarantine"), now).unwrap();
    let mut time = Timestamp(1_795_255_200_000);
    let mut frames = Vec::new();
    for number in 0..LINES {
        time = time.plus(i64::try_from(if random.below(400) == 0 { random.below(90_000) } else { random.below(40) }).unwrap());
        let at = if random.below(5) == 0 { time.plus(-i64::try_from(random.below(4_000)).unwrap()) } else { time };
        let address = random.below(6) * 5 + time.0.cast_unsigned() / 60_000 % 5;
        let (user, port) = (random.below(9), 30_000 + random.below(200));
        let what = if random.below(60) == 0 { "Accepted" } else { "Failed" };
        let line = format!(
            "<86>1 {} web sshd {number} - - {what} password for user{user} from 203.0.113.{address} port {port} ssh2",
            at.rfc3339()
        );
        frames.push(NewFrame {
            received_at: now,
            // Most are nobody's, as before there were bodies.
            site: if random.below(6) == 0 { sites[random.below(5) as usize] } else { SITE_UNKNOWN },
            peer: Ipv4Addr::LOCALHOST.into(),
            transport: Transport::Tcp,
            kind: FrameKind::Line,
            marks: Marks::default(),
            payload: line.into_bytes().into(),
        });
        if frames.len() == 500 {
            journal.writer().append_blocking(std::mem::take(&mut frames)).unwrap();
        }
    }
    journal.writer().append_blocking(frames).ok();
    journal.close();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Lets the rules read to the end; what they found: alert to its span, records and evidence.
fn finish(data: &Path, setup: &Setup) -> BTreeMap<String, String> {
    let server = Server::start_as(data, setup);
    until("the rules read to the end", || cursor(data).is_some_and(|seq| seq >= LINES));
    assert!(server.terminate(), "SIGTERM must end well");
    let database = database(data).unwrap();
    let mut statement = database
        .prepare(
            "SELECT a.rule_name || ' ' || a.entity || ' ' || a.site || ' ' || a.anchor || ' ' || a.first, a.last || ' n' || a.records || ' [' ||
                (SELECT GROUP_CONCAT(seq) FROM (SELECT e.seq FROM alert_evidence e WHERE e.alert = a.id ORDER BY e.seq)) || ']'
             FROM alert a WHERE a.rule_name NOT IN ('sender_unknown', 'source_silent', 'flow_loss', 'rule_memory')",
        )
        .unwrap();
    let mut rows: Vec<(String, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    // What of it happened at which body; an address has one case of the state at a time.
    let mut statement = database
        .prepare(
            "SELECT 'of the state ' || i.title || ' ' || i.first_activity || ' ' || b.body, b.records || ' ' || b.first || ' ' || b.last
             FROM incident_affected b JOIN incident i ON i.id = b.incident",
        )
        .unwrap();
    rows.extend(statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap));
    let count = rows.len();
    let alerts: BTreeMap<String, String> = rows.into_iter().collect();
    assert_eq!(alerts.len(), count, "an alert stands there twice");
    alerts
}

/// How far the rules have read.
fn cursor(data: &Path) -> Option<u64> {
    let seq = database(data)?.query_row("SELECT seq FROM detect_cursor WHERE name = 'detect'", [], |row| row.get::<_, i64>(0));
    u64::try_from(seq.ok()?).ok()
}

fn database(data: &Path) -> Option<Connection> {
    Connection::open_with_flags(data.join("wartburg.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).ok()
}

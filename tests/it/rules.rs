//! The rules of a running program: changed beside it, tried on its past, asked about a line.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::program::{PATIENCE, Server, Setup, json_lines, wartburg};

fn rule(name: &str, user: &str) -> String {
    format!(
        "title: Anmeldung als {user}\nname: {name}\nlevel: medium\nlogsource: {{service: sshd}}\n\
         detection: {{s: {{user.name: {user}}}, condition: s}}\n"
    )
}

fn send(server: &Server, users: &[&str]) {
    let mut stream = TcpStream::connect(server.syslog_tcp).unwrap();
    for (n, user) in users.iter().enumerate() {
        let line =
            format!("<38>1 2026-11-21T08:00:{:02}Z web sshd 1 - - Failed password for {user} from 203.0.113.9 port 22 ssh2\n", n % 60);
        stream.write_all(line.as_bytes()).unwrap();
    }
}

/// The entities' counts of records by rule, once there are `records` of them together.
fn alerts(data: &Path, records: u64) -> Vec<(String, u64)> {
    let watch = ingest::time::Stopwatch::start();
    loop {
        let found = json_lines(data, &["alerts", "--json"]);
        let mut counts: Vec<(String, u64)> = found
            .iter()
            .filter(|alert| alert["rule_name"].as_str().unwrap().starts_with("eigen_"))
            .map(|alert| (alert["rule_name"].as_str().unwrap().to_owned(), alert["records"].as_u64().unwrap()))
            .collect();
        counts.sort();
        if counts.iter().map(|(_, count)| count).sum::<u64>() >= records || watch.elapsed() > PATIENCE {
            return counts;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Lines flow while rules come, break, and go: none is lost and none counts twice.
#[test]
fn rules_change_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let (data, rules) = (dir.path().join("data"), dir.path().join("regeln"));
    std::fs::create_dir_all(&rules).unwrap();
    std::fs::write(rules.join("a.yml"), rule("eigen_a", "anna")).unwrap();
    let setup = Setup { config: format!("[rules]\ndirs = [\"{}\"]\n", rules.display()), ..Setup::default() };
    let server = Server::start_as(&data, &setup);
    send(&server, &["anna"; 10]);
    assert_eq!(alerts(&data, 10), [("eigen_a".to_owned(), 10)]);
    // A new rule, at once by SIGHUP; the other goes on where it stood.
    std::fs::write(rules.join("b.yml"), rule("eigen_b", "bert")).unwrap();
    assert!(std::process::Command::new("kill").args(["-HUP", &server.pid().to_string()]).status().unwrap().success());
    std::thread::sleep(Duration::from_millis(1_500));
    send(&server, &["anna", "bert", "anna", "bert", "bert"]);
    assert_eq!(alerts(&data, 15), [("eigen_a".to_owned(), 12), ("eigen_b".to_owned(), 3)]);
    // A broken one is left out; the rest goes on. Nobody asks: it is noticed within seconds.
    std::fs::write(rules.join("b.yml"), "title: [").unwrap();
    std::thread::sleep(Duration::from_secs(7));
    send(&server, &["anna", "bert", "anna"]);
    assert_eq!(alerts(&data, 17), [("eigen_a".to_owned(), 14), ("eigen_b".to_owned(), 3)]);
    assert!(server.terminate());
    // It starts with the broken rule as well.
    let server = Server::start_as(&data, &setup);
    send(&server, &["anna"]);
    assert_eq!(alerts(&data, 18), [("eigen_a".to_owned(), 15), ("eigen_b".to_owned(), 3)]);
    assert!(server.terminate());
}

#[test]
fn a_rule_is_tried_on_the_past_beside_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let log = dir.path().join("auth.log");
    let now = ingest::time::Clock::system().now();
    let mut text = String::new();
    for day in 0..3 {
        for second in 0..5 {
            let at = now.plus(-day * ingest::time::Timestamp::DAY - second * 1_000 - 60_000).rfc3339();
            text.push_str(&format!("<38>1 {at} web sshd 1 - - Failed password for anna from 203.0.113.9 port 22 ssh2\n"));
        }
    }
    std::fs::write(&log, text).unwrap();
    json_lines(&data, &["import", &log.display().to_string(), "--json"]);
    let file = dir.path().join("neu.yml");
    std::fs::write(&file, rule("neu", "anna")).unwrap();
    let hits = json_lines(&data, &["rules", "backtest", &file.display().to_string(), "--days", "30", "--json"]);
    assert_eq!(hits.iter().map(|hit| hit["records"].as_u64().unwrap()).sum::<u64>(), 15, "{hits:#?}");
    assert!(hits.len() >= 3, "{hits:#?}");
    assert_eq!(json_lines(&data, &["rules", "backtest", &file.display().to_string(), "--days", "1", "--json"]).len(), 1);
    std::fs::write(&file, rule("neu", "anna").replace("user.name", "user.nam")).unwrap();
    let refused = wartburg(&data, &["rules", "backtest", &file.display().to_string()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("neu.yml:5: unknown field"), "{refused:?}");
}

#[test]
fn a_line_is_explained_and_the_coverage_computed() {
    let dir = tempfile::tempdir().unwrap();
    let line = "<38>1 2026-11-21T08:00:00Z web sshd 1 - - Failed password for anna from 203.0.113.9 port 22 ssh2";
    let told = json_lines(dir.path(), &["rules", "explain", line, "--json"]);
    let failed = told.iter().find(|one| one["name"] == "ssh_login_failed").unwrap_or_else(|| panic!("{told:#?}"));
    assert!(failed["counted_by"].as_array().unwrap().iter().any(|name| name == "ssh_bruteforce"), "{failed:#?}");
    assert_eq!(failed["fields"]["event.outcome"], "failure");
    let part = &failed["explanation"]["because"]["record"]["parts"][0];
    assert_eq!(part["lines"][0]["found"][0]["mark"], serde_json::json!([0, 9]), "{failed:#?}");
    assert_eq!(failed["explanation"]["version"]["content"].as_str().unwrap().len(), 16);
    // Asked of one rule, also why not; of a correlation, of those that it counts.
    let accepted = line.replace("Failed", "Accepted");
    let near = json_lines(dir.path(), &["rules", "explain", "ssh_login_failed", &accepted, "--json"]);
    assert_eq!((near.len(), near[0]["verdict"]["matched"].as_bool()), (1, Some(false)));
    let said = wartburg(dir.path(), &["rules", "explain", "ssh_bruteforce", &accepted]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("schlägt nicht an") && said.contains("verlangt: ist „failure“") && said.contains("success"), "{said}");
    let said = wartburg(dir.path(), &["rules", "explain", "ssh_bruteforce", line]);
    assert!(String::from_utf8_lossy(&said.stdout).contains("ssh_bruteforce zählt diese Zeile"));
    let techniques = json_lines(dir.path(), &["rules", "coverage", "--json"]);
    assert!(techniques.iter().any(|one| one["technique"] == "T1110" && one["tactic"] == "credential-access"), "{techniques:#?}");
    let layer = wartburg(dir.path(), &["rules", "coverage", "--layer"]);
    let layer: serde_json::Value = serde_json::from_slice(&layer.stdout).unwrap();
    assert_eq!(layer["versions"]["layer"], "4.5");
}

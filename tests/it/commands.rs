//! The command line as a user meets it: import, search, incidents, decode, exit codes and messages.

use std::path::Path;
use std::process::Command;

use expect_test::expect;
use serde_json::Value;

use crate::program::{corpora, json_lines, wartburg};

/// 24 failed log-ins within two minutes, then a successful one; and noise.
fn attack_log() -> String {
    let mut log = String::new();
    for n in 0..24 {
        log += &format!(
            "Nov 20 10:{:02}:{:02} web-03 sshd[41{n:02}]: Failed password for root from 203.0.113.9 port 5{n:04} ssh2\n",
            n / 12,
            n % 12 * 5
        );
    }
    log += "Nov 20 10:02:30 web-03 sshd[4200]: Accepted password for root from 203.0.113.9 port 50999 ssh2\n";
    log += "no syslog at all\n";
    log
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn names(incidents: &[Value]) -> Vec<String> {
    incidents.iter().flat_map(|i| i["rules"].as_array().unwrap().iter().map(|rule| rule.as_str().unwrap().to_owned())).collect()
}

#[test]
fn an_imported_log_becomes_incidents_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let log = write(dir.path(), "auth.log", &attack_log());
    let first = json_lines(&data, &["import", &log, "--json"]);
    assert_eq!((first[0]["lines"].as_u64(), first[0]["lines_known"].as_u64()), (Some(26), Some(0)), "{first:?}");
    let incidents = json_lines(&data, &["incidents", "--json"]);
    assert!(names(&incidents).contains(&"ssh_bruteforce".to_owned()), "{incidents:#?}");
    assert!(names(&incidents).contains(&"ssh_bruteforce_success".to_owned()), "{incidents:#?}");
    assert_eq!(incidents[0]["source.ip"], serde_json::json!(["203.0.113.9"]));
    let evidence = incidents[0]["evidence_query"].as_str().unwrap();
    assert_eq!(json_lines(&data, &["search", evidence, "--json"]).len(), 25);
    let defect = json_lines(&data, &["search", "_defect:no_header", "--json"]);
    assert_eq!(defect[0]["_raw"], "no syslog at all");

    let again = json_lines(&data, &["import", &log, "--json"]);
    assert_eq!((again[0]["lines"].as_u64(), again[0]["lines_known"].as_u64()), (Some(0), Some(26)));
    assert_eq!(json_lines(&data, &["incidents", "--json"]), incidents);
    assert_eq!(json_lines(&data, &["search", "*", "--json"]).len(), 26);
    assert_eq!(json_lines(&data, &["alerts", "--json"]).len(), json_lines(&data, &["alerts", "--json"]).len());
}

#[test]
fn a_pipe_prints_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let log = write(dir.path(), "auth.log", &attack_log());
    json_lines(&data, &["import", &log, "--json"]);
    let printed = |query: &str| {
        let output = wartburg(&data, &["search", query]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let table = printed("* | count by event.outcome, source.ip");
    assert!(table.starts_with("event.outcome  source.ip") && table.contains("failure        203.0.113.9"), "{table}");
    assert!(printed("Accepted").contains("  web-03  Accepted password for root from 203.0.113.9"), "{}", printed("Accepted"));
    let rows = json_lines(&data, &["search", "sshd | count by event.outcome | sort count", "--json"]);
    assert_eq!(
        rows,
        [serde_json::json!({"event.outcome": "success", "count": 1}), serde_json::json!({"event.outcome": "failure", "count": 24})]
    );
    assert_eq!(json_lines(&data, &["search", "* | count by source.port", "--json", "--limit", "3"]).len(), 3);
    assert_eq!(json_lines(&data, &["search", "sshd @timestamp:<2000-01-01", "--json"]), Vec::<Value>::new());
    let wrong = wartburg(&data, &["search", "sshd | cuont"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("Meinten Sie „count“? Zum Beispiel: count by site, event.action (Stelle 7)"));
}

#[test]
fn the_public_openssh_log_names_its_attacker() {
    let Some(corpora) = corpora("the_public_openssh_log_names_its_attacker") else { return };
    let dir = tempfile::tempdir().unwrap();
    let log = corpora.join("loghub/OpenSSH/OpenSSH_2k.log").display().to_string();
    json_lines(dir.path(), &["import", &log, "--json"]);
    let incidents = json_lines(dir.path(), &["incidents", "--json"]);
    let sources: Vec<&str> = incidents
        .iter()
        .filter(|i| i["rules"].as_array().unwrap().iter().any(|rule| rule == "ssh_bruteforce"))
        .flat_map(|i| i["source.ip"].as_array().unwrap())
        .filter_map(Value::as_str)
        .collect();
    assert!(sources.contains(&"183.62.140.253"), "{sources:?}");
    let events = json_lines(dir.path(), &["search", "*", "--json", "--limit", "5000"]).len();
    assert_eq!(events, 2_000);
    json_lines(dir.path(), &["import", &log, "--json"]);
    assert_eq!(json_lines(dir.path(), &["incidents", "--json"]), incidents);
    assert_eq!(json_lines(dir.path(), &["search", "*", "--json", "--limit", "5000"]).len(), events);
}

#[test]
fn an_unreadable_file_does_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let good = write(dir.path(), "good.log", "one line\n");
    let missing = dir.path().join("missing.log").display().to_string();
    let output = wartburg(&data, &["import", &missing, &good]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).replace(&dir.path().display().to_string(), "DIR");
    expect![[r#"
        1 Datei nicht eingelesen:
          DIR/missing.log: open DIR/missing.log: No such file or directory (os error 2)
    "#]]
    .assert_eq(&stderr);
    assert_eq!(json_lines(&data, &["search", "*", "--json"]).len(), 1);
}

#[test]
fn standard_input_and_packed_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let log = std::fs::File::open(write(dir.path(), "a.log", "Nov 20 10:00:00 h app: from a pipe\n")).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_wartburg")).arg("--data").arg(&data).args(["import", "-"]).stdin(log).output().unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    assert_eq!(json_lines(&data, &["search", "pipe", "--json"]).len(), 1);
}

#[test]
fn decode_stores_nothing_and_names_the_defects() {
    let dir = tempfile::tempdir().unwrap();
    let log = write(
        dir.path(),
        "a.log",
        "<86>Nov 20 10:00:00 web-03 sshd[1]: Accepted password for root from 192.0.2.7 port 1 ssh2\nno header\n",
    );
    let data = dir.path().join("data");
    let events = json_lines(&data, &["decode", &log, "--json"]);
    assert_eq!(events[0]["source.ip"], "192.0.2.7");
    assert_eq!(events[0]["user.name"], "root");
    assert_eq!(events[1]["_defects"], serde_json::json!(["no_header"]));
    assert!(!data.exists());
}

#[test]
fn a_line_is_shown_as_a_document_and_as_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let log =
        write(dir.path(), "a.log", "<86>1 2025-11-20T10:00:00Z web-03 sshd 1 - - Accepted password for root from 192.0.2.7 port 1 ssh2\n");
    let document = &json_lines(dir.path(), &["decode", &log, "--ecs"])[0];
    assert_eq!(document["source"], serde_json::json!({"ip": "192.0.2.7", "port": 1}));
    assert_eq!(document["@timestamp"], "2025-11-20T10:00:00.000Z");
    assert!(document["event"]["original"].as_str().unwrap().starts_with("<86>1 "), "{document}");
    let table = wartburg(dir.path(), &["decode", &log]);
    expect![[r#"
        Zeile 1  <86>1 2025-11-20T10:00:00Z web-03 sshd 1 - - Accepted password for root from 192.0.2.7 port 1 ssh2
          OpenSSH (sshd)
          Zeitpunkt                  @timestamp                         2025-11-20T10:00:00.000Z
          Syslog-Bereich             log.syslog.facility.name           authpriv
          Stufe                      log.level                          informational
          Host                       host.name                          web-03
          Prozess                    process.name                       sshd
          Prozessnummer              process.pid                        1
          Produkt                    event.module                       sshd
          Kategorie                  event.category                     authentication
          Vorgang                    event.action                       ssh_login
          Ergebnis                   event.outcome                      success
                                     sshd.method                        password
          Konto                      user.name                          root
          Quelladresse               source.ip                          192.0.2.7
          Quellport                  source.port                        1
          Meldung                    message                            Accepted password for root from 192.0.2.7 port 1 ssh2

    "#]]
    .assert_eq(&String::from_utf8_lossy(&table.stdout));
    assert_eq!(String::from_utf8_lossy(&table.stderr), "1 Zeile: OpenSSH 1\n");
}

#[test]
fn lines_that_nobody_understands_are_grouped() {
    let dir = tempfile::tempdir().unwrap();
    let lines: String = (0..5)
        .map(|n| format!("<13>1 2025-11-20T10:00:0{n}Z srv tuerwaechter 1 - - Karte {n}17 an Tor {n} abgewiesen\n"))
        .chain(["<38>1 2025-11-20T10:00:09Z srv sshd 1 - - something that sshd never said\n".to_owned()])
        .chain(["<86>1 2025-11-20T10:00:00Z srv sshd 1 - - Accepted password for root from 192.0.2.7 port 1 ssh2\n".to_owned()])
        .collect();
    let (log, data) = (write(dir.path(), "a.log", &lines), dir.path().join("data"));
    assert!(wartburg(&data, &["import", &log]).status.success());
    let rows: Vec<_> = json_lines(&data, &["sources", "unparsed", "--json"])
        .iter()
        .map(|row| format!("{} {} {} {}", row["count"], row["app"], row["template"], row["why"]))
        .collect();
    expect![[r#"
        5 "tuerwaechter" "Karte <*> an Tor <*> abgewiesen" "no_decoder"
        1 "sshd" "something that sshd never said" "nothing_read""#]]
    .assert_eq(&rows.join("\n"));
    let output = wartburg(&data, &["sources", "unparsed", "--site", "nirgends"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Einen Standort „nirgends“ gibt es nicht."));
}

#[test]
fn wrong_settings_are_named_with_an_example() {
    let dir = tempfile::tempdir().unwrap();
    let config = write(dir.path(), "w.toml", "[intake]\nsyslog_upd = \"0.0.0.0:514\"\n[web]\nlisten = \"8080\"\n");
    let output = wartburg(dir.path(), &["check-config", "--config", &config]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr).replace(&dir.path().display().to_string(), "DIR");
    expect![[r#"
        wartburg: DIR/w.toml, Zeile 2: unbekannter Schlüssel „intake.syslog_upd“. Gemeint ist vielleicht „intake.syslog_udp“.
        wartburg: DIR/w.toml, Zeile 4: web.listen: „8080“ ist keine Adresse mit Port. Zum Beispiel: "127.0.0.1:8080"
    "#]]
    .assert_eq(&stderr);
}

#[test]
fn a_port_in_use_says_which() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let off = "syslog_udp=\"aus\"\nhttp=\"aus\"\nnetflow_udp=\"aus\"\n";
    let config =
        write(dir.path(), "w.toml", &format!("[intake]\n{off}syslog_tcp = \"127.0.0.1:{port}\"\n[web]\nlisten = \"127.0.0.1:0\"\n"));
    let output = wartburg(&dir.path().join("data"), &["--config", &config, "serve"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains(&format!("syslog_tcp: 127.0.0.1:{port} is in use")), "{stderr}");
}

#[test]
fn a_wrong_query_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let log = write(dir.path(), "a.log", "x\n");
    json_lines(&dir.path().join("data"), &["import", &log, "--json"]);
    let output = wartburg(&dir.path().join("data"), &["search", "sorce.ip:1.2.3.4"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("source.ip"), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_shipped_rules_pass_their_evidence() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").display().to_string();
    let dir = tempfile::tempdir().unwrap();
    for command in ["check", "test"] {
        let output = wartburg(dir.path(), &["rules", command, &rules]);
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
}

/// A public rule as it is, an event as a tool turned it into JSON, and a filter of one's own.
#[test]
fn rules_run_reads_windows_events_under_sigmas_names() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    let folder = rules.display().to_string();
    let rule = "title: R\nid: 5f0c5a3e-52c6-4b2e-8f2f-0c9b5b7f5a01\nlogsource: {category: process_creation, product: windows}\n\
        detection:\n  selection:\n    Image|endswith: '\\whoami.exe'\n  condition: selection\n";
    write(&rules, "rule_r.yml", rule);
    let event = |image: &str| {
        let system = serde_json::json!({ "Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1 });
        serde_json::json!({ "Event": { "System": system, "EventData": { "Image": image } } }).to_string() + "\n"
    };
    let file = write(dir.path(), "events.ndjson", &[r"C:\Windows\WHOAMI.EXE", r"C:\x\whoami.exe", "other.exe"].map(event).concat());
    let lines = || -> Vec<u64> {
        let found = json_lines(dir.path(), &["rules", "run", "--rules", &folder, "--json", &file]);
        found.iter().map(|found| found["line"].as_u64().unwrap()).collect()
    };
    assert_eq!(lines(), [1, 2]);
    let filter =
        "title: F\nlogsource: {product: windows}\nfilter:\n  rules: [rule_r]\n  own: {Image|startswith: 'C:\\x\\'}\n  condition: not own\n";
    write(&rules, "filter.yml", filter);
    assert_eq!(lines(), [1]);
    // Without --raw, names must be those of decoded records, or such as the shipped pipelines rewrite: those of Windows.
    assert!(wartburg(dir.path(), &["rules", "check", &folder]).status.success());
    let elsewhere = rule.replace("product: windows", "product: linux").replace("category: process_creation, ", "").replace("a01", "a02");
    write(&rules, "elsewhere.yml", &elsewhere);
    for (raw, success) in [(&["--raw"][..], true), (&[][..], false)] {
        let args = [&["rules", "check", folder.as_str()][..], raw].concat();
        assert_eq!(wartburg(dir.path(), &args).status.success(), success, "{raw:?}");
    }
}

#[test]
fn completions_and_help_are_there() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        assert!(wartburg(dir.path(), &["completions", shell]).stdout.len() > 1_000);
    }
    let help = String::from_utf8(wartburg(dir.path(), &["--help"]).stdout).unwrap();
    assert!(help.contains("wartburg demo") && help.contains("import"), "{help}");
}

#[test]
fn tail_shows_what_came_and_what_comes_once_and_in_order() {
    use std::io::{BufRead as _, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let lines = |word: &str| (0..30).map(|n| format!("Nov 20 10:00:{n:02} web-03 app: {word} {n}\n")).collect::<String>();
    let first = write(dir.path(), "a.log", &lines("marke"));
    json_lines(&data, &["import", &first, "--json"]);
    let told = json_lines(&data, &["tail", "marke", "--from", "1h", "--limit", "30", "--json"]);
    let messages: Vec<&str> = told.iter().map(|event| event["message"].as_str().unwrap()).collect();
    assert_eq!(messages, (0..30).map(|n| format!("marke {n}")).collect::<Vec<_>>());
    // It looks on while another program writes.
    let mut tail = Command::new(env!("CARGO_BIN_EXE_wartburg"))
        .arg("--data")
        .arg(&data)
        .args(["tail", "marke OR spur", "--from", "1h", "--limit", "60"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(tail.stdout.take().unwrap()).lines();
    let seen: Vec<String> = out.by_ref().take(30).map(Result::unwrap).collect();
    assert!(seen[29].ends_with("web-03              marke 29") && !seen[29].contains('\x1b'), "{}", seen[29]);
    let second = write(dir.path(), "b.log", &lines("spur"));
    json_lines(&data, &["import", &second, "--json"]);
    let rest: Vec<String> = out.map(Result::unwrap).collect();
    assert_eq!((rest.len(), rest.iter().enumerate().all(|(n, line)| line.ends_with(&format!("spur {n}")))), (30, true), "{rest:?}");
    assert!(tail.wait().unwrap().success());
}

//! Pseudonyms from end to end: a file comes in, the store holds nobody's name, a question by the real value finds it, the
//! rules have seen it, and what stands behind a token takes two persons and leaves a trace.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::Regex;
use serde_json::Value;

use crate::program::{Server, Setup, json_lines, wartburg};

const NAME: &str = "annegret.mueller";
const ADDRESS: &str = "10.20.30.41";
const MAIL: &str = "annegret.mueller@rathaus-a.example";
const PASSWORD: &str = "Kohlmeise-Dachrinne";

fn config(dir: &Path, more: &str) -> String {
    let path = dir.join("w.toml");
    let sites = "[[sites]]\nname = \"rathaus-a\"\nprefixes = [\"10.20.0.0/16\"]\n";
    std::fs::write(&path, format!("{more}\n{sites}")).unwrap();
    path.display().to_string()
}

fn log(dir: &Path) -> String {
    let mut log = String::new();
    for n in 0..24 {
        log += &format!(
            "2026-11-20T10:{:02}:{:02}Z web-03 sshd[41{n:02}]: Failed password for {NAME} from {ADDRESS} port 5{n:04} ssh2\n",
            n / 12,
            n % 12 * 5
        );
    }
    log += &format!("2026-11-20T10:05:00Z mx postfix/qmgr[9]: 4F7A11: from=<{MAIL}>, size=2301, nrcpt=1 (queue active)\n");
    log += &format!(
        "{{\"@timestamp\":\"2026-11-20T09:06:00Z\",\"user\":{{\"name\":\"RATHAUS\\\\{NAME}\"}},\"source\":{{\"ip\":\"{ADDRESS}\"}},\"message\":\"Anmeldung\"}}\n"
    );
    let path = dir.join("auth.log");
    std::fs::write(&path, log).unwrap();
    path.display().to_string()
}

/// All files below a folder that hold one of the texts.
fn holding(folder: &Path, texts: &[&str]) -> Vec<String> {
    let (mut open, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let lower = bytes.to_ascii_lowercase();
        found.extend(
            texts
                .iter()
                .filter(|text| memchr::memmem::find(&lower, text.as_bytes()).is_some())
                .map(|text| format!("{}: {text}", path.display())),
        );
    }
    found
}

fn user_add(data: &Path, login: &str, role: &str) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wartburg"))
        .arg("--data")
        .arg(data)
        .args(["user", "add", login, "--role", role])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Somebody in front of the pages.
struct Person {
    agent: ureq::Agent,
    base: String,
    cookie: String,
}

impl Person {
    fn enter(base: &str, login: &str) -> Self {
        let agent: ureq::Agent = ureq::Agent::config_builder().max_redirects(0).http_status_as_error(false).build().into();
        let mut person = Self { agent, base: base.into(), cookie: String::new() };
        let answer = person.agent.post(format!("{base}/login")).send_form([("konto", login), ("kennwort", PASSWORD)]).unwrap();
        person.cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        person
    }

    fn get(&self, path: &str) -> String {
        self.agent.get(format!("{}{path}", self.base)).header("cookie", &self.cookie).call().unwrap().body_mut().read_to_string().unwrap()
    }

    /// The status and the page.
    fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let csrf = Regex::new(r#"name="csrf" value="([0-9a-f]+)""#).unwrap();
        let token = csrf.captures(&self.get("/aufdeckung")).unwrap()[1].to_owned();
        let form: HashMap<&str, &str> = form.iter().copied().chain([("csrf", token.as_str())]).collect();
        let mut answer = self.agent.post(format!("{}{path}", self.base)).header("cookie", &self.cookie).send_form(form).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }
}

fn value<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or_default()
}

#[test]
fn nobody_is_named_in_the_store_and_two_persons_reveal() {
    let dir = tempfile::tempdir().unwrap();
    let data: PathBuf = dir.path().join("data");
    let config = config(dir.path(), "[pseudonymise]\nenabled = \"ja\"");
    json_lines(&data, &["import", &log(dir.path()), "--json", "--config", &config]);

    // Nothing below events/ holds a name, be it a word of the index or a stored line.
    assert_eq!(holding(&data.join("events"), &["annegret", "10.20.30.41"]), [""; 0]);
    let all = json_lines(&data, &["search", "*", "--json", "--limit", "100"]);
    assert_eq!(all.len(), 26);
    for event in &all {
        let text = event.to_string().to_lowercase();
        assert!(!text.contains("annegret") && !text.contains(ADDRESS), "{event}");
        assert!(event["_defects"].as_array().unwrap().iter().all(|defect| defect != "pseudonymised_line"), "{event}");
    }
    // Found by what it is, also without the configuration's file; shown as what it is called here.
    let found = |query: &str| json_lines(&data, &["search", query, "--json", "--limit", "100"]);
    assert_eq!(found(&format!("user.name:{NAME}")).len(), 24);
    assert_eq!(found(&format!("source.ip:{ADDRESS}")).len(), 25);
    assert_eq!(found("source.ip:10.20.30.0/24").len(), 25);
    assert_eq!(found("source.ip:10.20.31.0/24").len(), 0);
    assert_eq!(found(&format!("email.from.address:{MAIL}")).len(), 1);
    let event = found(&format!("user.name:{NAME}")).remove(0);
    let (token, address) = (value(&event, "user.name").to_owned(), value(&event, "source.ip").to_owned());
    assert!(token.starts_with("p1") && address.starts_with("10.20.") && address != ADDRESS, "{event}");
    assert_eq!(found(&format!("user.name:{token}")).len(), 24);
    // The rules have seen the real values.
    let incidents = json_lines(&data, &["incidents", "--json"]);
    assert_eq!(incidents[0]["source.ip"], serde_json::json!([ADDRESS]), "{incidents:#?}");
    let evidence = incidents[0]["evidence_query"].as_str().unwrap();
    assert!(!found(evidence).is_empty(), "{evidence}");
    // Silence in the configuration switches nothing off.
    let plain = dir.path().join("plain.log");
    std::fs::write(&plain, format!("2026-11-20T11:00:00Z h sshd[1]: Failed password for {NAME} from {ADDRESS} port 1 ssh2\n")).unwrap();
    json_lines(&data, &["import", &plain.display().to_string(), "--json"]);
    // A line of which its fields alone are kept is found by the words that stand in its place.
    let dropped = dir.path().join("firewall.log");
    let mac = "00:11:22:33:44:55:66:77:88:99:aa:bb:08:00";
    let line =
        format!("2026-11-20T11:00:01Z gw kernel: DROP IN=eth0 OUT= MAC={mac} SRC={ADDRESS} DST=198.51.100.7 PROTO=TCP SPT=1 DPT=22\n");
    std::fs::write(&dropped, line).unwrap();
    json_lines(&data, &["import", &dropped.display().to_string(), "--json"]);
    let fields_alone = found("\"iptables blocked\"");
    assert_eq!(fields_alone.len(), 1);
    assert!(value(&fields_alone[0], "message").starts_with("iptables blocked "), "{fields_alone:#?}");
    assert_eq!(holding(&data.join("events"), &["annegret", "10.20.30.41"]), [""; 0]);
    let doctor = String::from_utf8(wartburg(&data, &["doctor"]).stdout).unwrap();
    assert!(doctor.contains("Pseudonymisiert wird seit") && doctor.contains("Das Prüfprotokoll ist lückenlos"), "{doctor}");

    user_add(&data, "analyse", "analyst");
    user_add(&data, "leitung", "lead");
    let server = Server::start_as(&data, &Setup::default());
    let base = format!("http://{}", server.pages);
    let (analyst, lead) = (Person::enter(&base, "analyse"), Person::enter(&base, "leitung"));
    let page = analyst.get(&format!("/suche?q=user.name%3A{NAME}&von=2026-11-20T00%3A00%3A00Z&bis=2026-11-21T00%3A00%3A00Z"));
    let event_page = Regex::new("href=\"(/ereignis/[^\"]+)\"").unwrap().captures(&page).unwrap()[1].replace("&#38;", "&");
    let page = analyst.get(&event_page);
    assert!(page.contains("Aufdecken beantragen") && page.contains(&token), "the hits show tokens, and where to ask");
    let seq = event["event.sequence"].to_string();
    let wanted = format!("{token}\n{address} {seq}");
    assert_eq!(analyst.post("/aufdeckung", &[("wert", &wanted), ("grund", "Das Konto wird angegriffen."), ("vorfall", "")]).0, 303);
    let id = Regex::new("/aufdeckung/([0-9A-Z]{26})/entscheiden").unwrap().captures(&lead.get("/aufdeckung")).unwrap()[1].to_owned();
    let shows = |page: &str| (page.contains(NAME), page.contains(ADDRESS));
    let (look, decide) = (format!("/aufdeckung/{id}/zeigen"), format!("/aufdeckung/{id}/entscheiden"));
    let (status, page) = analyst.post(&look, &[]);
    assert_eq!((status, shows(&page)), (409, (false, false)), "one person is not enough");
    let yes = [("wort", "genehmigen"), ("grund", "Nachvollziehbar und nötig.")];
    assert_eq!(analyst.post(&decide, &yes).0, 403);
    assert_eq!(lead.post(&decide, &yes).0, 303);
    for person in [&analyst, &lead] {
        let (status, page) = person.post(&look, &[]);
        assert_eq!((status, shows(&page)), (200, (true, true)));
    }
    drop(server);
    let db = rusqlite::Connection::open(data.join("wartburg.db")).unwrap();
    let mut rows = db.prepare("SELECT kind FROM audit ORDER BY n").unwrap();
    let kinds: Vec<String> = rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for kind in ["plan_changed", "searched", "reveal_asked", "reveal_approved", "reveal_shown"] {
        assert!(kinds.contains(&format!("pseudonym.{kind}")), "{kinds:?}");
    }
    assert_eq!(kinds.iter().filter(|kind| *kind == "user.added").count(), 2, "{kinds:?}");
    let named: i64 = db.query_row("SELECT COUNT(*) FROM audit WHERE detail LIKE '%annegret%'", [], |row| row.get(0)).unwrap();
    assert_eq!(named, 0, "the audit log names nobody");
}

#[test]
fn keys_are_rotated_and_destroyed() {
    let dir = tempfile::tempdir().unwrap();
    let data: PathBuf = dir.path().join("data");
    assert_eq!(wartburg(&data, &["pseudonyms", "ls"]).status.code(), Some(2));
    let config = config(dir.path(), "[pseudonymise]\nenabled = \"ja\"");
    let log = log(dir.path());
    json_lines(&data, &["import", &log, "--json", "--config", &config]);
    let keys =
        || json_lines(&data, &["pseudonyms", "ls", "--json"]).into_iter().filter_map(|line| line.get("key").cloned()).collect::<Vec<_>>();
    let old = keys()[0]["id"].as_str().unwrap().to_owned();
    assert!(wartburg(&data, &["pseudonyms", "rotate", "--config", &config]).status.success());
    assert_eq!(keys().len(), 2);
    let found = |query: &str| json_lines(&data, &["search", query, "--json", "--limit", "100"]).len();
    assert_eq!(found(&format!("user.name:{NAME}")), 24, "what the old key hid is still found");
    assert!(wartburg(&data, &["pseudonyms", "forget", &old, "--config", &config]).status.success());
    assert!(!keys()[0]["forgotten_at"].is_null());
    assert_eq!(found(&format!("user.name:{NAME}")), 0, "forgotten is forgotten");
    assert_eq!(found("*"), 26);
    assert_eq!(wartburg(&data, &["pseudonyms", "forget", "zzzzzzzz"]).status.code(), Some(2));
}

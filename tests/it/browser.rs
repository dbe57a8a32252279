//! The pages in headless Chromium: one test per spec of tests/browser, each against the demo. Needs Node, Chromium and the
//! packages of tests/browser; says what is missing where it skips, and fails for it in CI.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, OnceLock, PoisonError};

use regex::Regex;

use crate::program::{PATIENCE, lines_of, required, wait_for};

#[test]
fn every_page_in_every_theme_and_width_is_accessible_and_quiet() {
    run("pages.mjs");
}

#[test]
fn every_control_is_reached_and_seen_by_the_keyboard() {
    run("keyboard.mjs");
}

#[test]
fn small_windows_large_words_and_more_room_lose_nothing() {
    run("reflow.mjs");
}

#[test]
fn the_main_ways_work_without_scripts() {
    run("plain.mjs");
}

#[test]
fn forms_survive_what_goes_wrong() {
    run("forms.mjs");
}

#[test]
fn lighthouse_gives_full_marks_for_accessibility() {
    run("lighthouse.mjs");
}

#[test]
fn the_modules_keep_what_they_promise() {
    // Who signs in often ends the account's oldest session: beside other specs that could be this one's.
    run_with("modules.mjs", Demo::start);
}

#[test]
fn triage_of_twenty_alerts_takes_at_most_three_keys_each() {
    // It judges alerts, and sends lines for some more: a demo of its own.
    run_with("triage.mjs", Demo::start);
}

#[test]
fn passkeys_open_the_door_and_only_to_their_owner() {
    // While it runs, its account has a second factor: a demo of its own.
    run_with("passkey.mjs", Demo::start);
}

#[test]
fn hostile_strings_do_nothing_in_a_browser() {
    // What it leaves behind is on every page: a demo of its own.
    run_with("hostile.mjs", Demo::start);
}

/// A spec against the demo that all of them share.
fn run(spec: &str) {
    static SHARED: OnceLock<Demo> = OnceLock::new();
    run_with(spec, || SHARED.get_or_init(Demo::start).clone());
}

/// One at a time: each spec keeps all processors busy by itself, and the demo beside it.
static TURN: Mutex<()> = Mutex::new(());

fn run_with(spec: &str, demo: impl FnOnce() -> Demo) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    if let Some(missing) = missing(&folder) {
        assert!(!required(), "required here, but missing: {missing}");
        eprintln!("{spec}: skipped, missing: {missing}");
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let demo = demo();
    let mut command = Command::new("node");
    let output = command.current_dir(&folder).arg(spec).arg(&demo.base).arg(&demo.logins).arg(&demo.syslog).output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{spec}: the problems stand above\n{}", String::from_utf8_lossy(&output.stderr));
}

/// What of Node, Chromium and the packages is not there.
fn missing(folder: &Path) -> Option<String> {
    let node = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    let chromium = std::env::var_os("CHROMIUM").map_or_else(|| PathBuf::from("/usr/bin/chromium"), PathBuf::from);
    let packages = ["playwright-core", "axe-core", "lighthouse"].iter().all(|name| folder.join("node_modules").join(name).exists());
    let missing: Vec<&str> = [(node, "node"), (chromium.exists(), "chromium"), (packages, "the packages of tests/browser (npm ci)")]
        .into_iter()
        .filter_map(|(there, name)| (!there).then_some(name))
        .collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// A running demo, as a spec is told of it. It ends when `Leash` goes, and with this process at the latest.
#[derive(Clone)]
struct Demo {
    base: String,
    /// One per role, as JSON.
    logins: String,
    /// Where it takes syslog by TCP.
    syslog: String,
    _leash: std::sync::Arc<Leash>,
}

impl Demo {
    fn start() -> Self {
        let (leash, lines) = Leash::start();
        let address = wait_for(&lines, "Oberfläche");
        let base = found(r"http://\S+", &address);
        let login = Regex::new(r"^\s+(\S+)\s+(\S+)\s{2,}(\S.*)$").unwrap();
        let mut logins: Vec<(String, serde_json::Value)> = Vec::new();
        let intake = loop {
            let line = lines.recv_timeout(PATIENCE).unwrap();
            if line.contains("Empfang") {
                break line;
            }
            let Some(parts) = login.captures(&line) else { continue };
            let role = parts[3].split('(').next().unwrap_or_default().trim().to_owned();
            // One login per role is enough; a second analyst sees the same.
            if logins.iter().all(|(known, _)| *known != role) {
                let told = serde_json::json!({ "role": role, "login": parts[1].to_owned(), "password": parts[2].to_owned() });
                logins.push((role, told));
            }
        };
        assert!(logins.len() >= 4, "{logins:?}");
        let syslog = found(r"TCP (\S+),", &intake).replace("TCP ", "").replace(',', "");
        // The first scripted attack is under way, so that there is something fresh on the pages.
        wait_for(&lines, "Angriff von");
        std::thread::spawn(move || lines.iter().count());
        let logins = serde_json::Value::from(logins.into_iter().map(|(_, told)| told).collect::<Vec<_>>()).to_string();
        Self { base, logins, syslog, _leash: std::sync::Arc::new(leash) }
    }
}

fn found(pattern: &str, text: &str) -> String {
    Regex::new(pattern).unwrap().find(text).unwrap_or_else(|| panic!("no {pattern} in {text}")).as_str().to_owned()
}

/// What ends the demo. A static is never dropped, so a shell holds the other end of a pipe: it closes with this process,
/// however that ends, and the shell then ends the demo, which takes its directory with it.
struct Leash(Child);

impl Leash {
    fn start() -> (Self, Receiver<String>) {
        // Standard input is the shell's to watch; a command in the background would get an empty one anyway.
        let script = r#""$0" demo --port 0 --pseudonyms & demo=$!; cat >/dev/null; kill "$demo"; wait "$demo""#;
        let mut shell = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_wartburg")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_of(shell.stderr.take().unwrap());
        (Self(shell), lines)
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

//! The demo's pages in headless Chromium, as each role. Needs Node, Chromium and the packages of tests/browser; says what is
//! missing where it skips, and fails for it in CI.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use regex::Regex;

use crate::program::{lines_of, required, wait_for};

struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_page_works_for_every_role() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let node = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".into());
    let missing: Vec<&str> = [
        (node, "node"),
        (Path::new(&chromium).exists(), "chromium"),
        (folder.join("node_modules/playwright-core").exists(), "the packages of tests/browser (npm ci)"),
    ]
    .into_iter()
    .filter_map(|(there, name)| (!there).then_some(name))
    .collect();
    if !missing.is_empty() {
        assert!(!required(), "required here, but missing: {}", missing.join(", "));
        eprintln!("every_page_works_for_every_role: skipped, missing: {}", missing.join(", "));
        return;
    }
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_wartburg")).args(["demo", "--port", "0", "--pseudonyms"]).stderr(Stdio::piped()).spawn().unwrap();
    let lines = lines_of(child.stderr.take().unwrap());
    let _demo = Demo(child);
    let address = wait_for(&lines, "Oberfläche");
    let base = Regex::new(r"http://\S+").unwrap().find(&address).unwrap().as_str().to_owned();
    let login = Regex::new(r"^\s+(\S+)\s+(\S+)\s{2,}(\S.*)$").unwrap();
    let mut logins = Vec::new();
    while let Ok(line) = lines.recv_timeout(crate::program::PATIENCE) {
        match login.captures(&line) {
            Some(found) if !line.contains("Empfang") => logins.push((found[1].to_owned(), found[2].to_owned(), found[3].to_owned())),
            _ => break,
        }
    }
    assert!(logins.len() >= 4, "{logins:?}");
    std::thread::spawn(move || lines.iter().count());
    // The first scripted attack has come by then, so that there is something fresh on every page.
    std::thread::sleep(std::time::Duration::from_secs(15));
    // One login per role is enough; a second analyst sees the same.
    logins.dedup_by_key(|(_, _, role)| role.split('(').next().unwrap_or_default().trim().to_owned());
    let logins: Vec<_> =
        logins.iter().map(|(name, password, _)| serde_json::json!({ "role": name, "login": name, "password": password })).collect();
    let mut command = Command::new("node");
    command.current_dir(&folder).arg("pages.mjs").arg(&base).arg(serde_json::Value::from(logins).to_string());
    if let Ok(shots) = std::env::var("WARTBURG_SHOTS") {
        command.arg(shots);
    }
    let output = command.output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

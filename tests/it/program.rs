//! The built program under test: started as a user would, on loopback and free ports, ended with the test.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use regex::Regex;

pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a command on a data directory and waits for it.
pub(crate) fn wartburg(data: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wartburg")).arg("--data").arg(data).args(args).stdin(Stdio::null()).output().unwrap()
}

/// As `wartburg`, expecting success; the lines of standard output as JSON.
pub(crate) fn json_lines(data: &Path, args: &[&str]) -> Vec<serde_json::Value> {
    let output = wartburg(data, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The corpora's folder; `None`, said aloud, where they are not there. In CI their absence is a failure.
pub(crate) fn corpora(test: &str) -> Option<PathBuf> {
    let fallback = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    let folder = std::env::var_os("WARTBURG_CORPORA").map_or_else(fallback, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(!required(), "the corpora are required here, but {} is no folder", folder.display());
    eprintln!("{test}: skipped, the corpora are not at {} (set WARTBURG_CORPORA)", folder.display());
    None
}

/// Whether this run must not skip anything (CI).
pub(crate) fn required() -> bool {
    std::env::var_os("WARTBURG_CORPORA_REQUIRED").is_some_and(|value| value == "1")
}

/// A running `serve` with its addresses.
pub(crate) struct Server {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) syslog_tcp: SocketAddr,
    pub(crate) syslog_udp: SocketAddr,
    pub(crate) netflow: SocketAddr,
    pub(crate) pages: SocketAddr,
}

impl Server {
    pub(crate) fn start(data: &Path) -> Self {
        let config = data.with_extension("toml");
        let free = "\"127.0.0.1:0\"";
        let intake = format!("[intake]\nsyslog_udp={free}\nsyslog_tcp={free}\nhttp={free}\nnetflow_udp={free}\n[web]\nlisten={free}\n");
        std::fs::write(&config, intake).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_wartburg"))
            .arg("--data")
            .arg(data)
            .arg("--config")
            .arg(&config)
            .arg("serve")
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_of(child.stderr.take().unwrap());
        let serving = wait_for(&lines, "serving");
        let address = |name: &str| -> SocketAddr {
            let pattern = Regex::new(&format!(r"{name}(?:=|: Some\()([0-9.]+:[0-9]+)")).unwrap();
            let found = pattern.captures(&serving).unwrap_or_else(|| panic!("no {name} in {serving}"));
            found[1].parse().unwrap()
        };
        // Whatever else it says is read and dropped, so that its pipe never fills.
        let [http, syslog_tcp, syslog_udp, netflow, pages] = ["http", "syslog_tcp", "syslog_udp", "netflow_udp", "pages"].map(address);
        std::thread::spawn(move || lines.iter().count());
        Self { child, http, syslog_tcp, syslog_udp, netflow, pages }
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, as systemd does it; says whether it ended well.
    pub(crate) fn terminate(mut self) -> bool {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap().success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream as they come.
pub(crate) fn lines_of(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The first line that contains `text`; what came before it is in the panic where it never comes.
pub(crate) fn wait_for(lines: &Receiver<String>, text: &str) -> String {
    let colours = Regex::new("\x1b\\[[0-9;]*m").unwrap();
    let mut seen = Vec::new();
    while let Ok(line) = lines.recv_timeout(PATIENCE) {
        let plain = colours.replace_all(&line, "").into_owned();
        if plain.contains(text) {
            return plain;
        }
        seen.push(plain);
    }
    panic!("no line with {text:?} among {seen:#?}");
}

//! The built program under test: started as a user would, on loopback and free ports, ended with the test.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ingest::listen::Listener;
use regex::Regex;

pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What a command logs under test: all but how full the disk of the test's machine is.
const LOG: &str = "warn,ingest::disk=off";

/// Runs a command on a data directory and waits for it.
pub(crate) fn wartburg(data: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wartburg"));
    command.env("RUST_LOG", LOG).arg("--data").arg(data).args(args).stdin(Stdio::null()).output().unwrap()
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

/// How a server is started where the plain way is not enough.
#[derive(Default)]
pub(crate) struct Setup {
    /// Further lines of the configuration, behind the addresses.
    pub(crate) config: String,
    /// Its environment, such as a library that makes its system calls fail.
    pub(crate) env: Vec<(&'static str, String)>,
}

/// A running `serve` with its addresses.
pub(crate) struct Server {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) syslog_tcp: SocketAddr,
    pub(crate) syslog_udp: SocketAddr,
    pub(crate) netflow: SocketAddr,
    pub(crate) pages: SocketAddr,
    /// All that it said it listens on, by the name in the configuration.
    listening: HashMap<String, SocketAddr>,
}

impl Server {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_as(data, &Setup::default())
    }

    pub(crate) fn start_as(data: &Path, setup: &Setup) -> Self {
        let mut child = Self::spawn(data, setup);
        let lines = lines_of(child.stderr.take().unwrap());
        let serving = wait_for(&lines, "serving");
        let address = Regex::new(r"(\w+)(?:=|: Some\()(\d+\.\d+\.\d+\.\d+:\d+)").unwrap();
        let listening: HashMap<String, SocketAddr> =
            address.captures_iter(&serving).map(|found| (found[1].to_owned(), found[2].parse().unwrap())).collect();
        let [http, syslog_tcp, syslog_udp, netflow, pages] = ["http", "syslog_tcp", "syslog_udp", "netflow_udp", "pages"]
            .map(|name| *listening.get(name).unwrap_or_else(|| panic!("no {name} in {serving}")));
        // Whatever else it says is read and dropped, so that its pipe never fills; with WARTBURG_LOG=1 it is shown.
        let shown = std::env::var_os("WARTBURG_LOG").is_some();
        std::thread::spawn(move || lines.iter().filter(|line| shown && (eprintln!("{line}"), true).1).count());
        Self { child, http, syslog_tcp, syslog_udp, netflow, pages, listening }
    }

    /// Only begins to start it; its standard error is a pipe.
    pub(crate) fn spawn(data: &Path, setup: &Setup) -> Child {
        let config = data.with_extension("toml");
        let mut intake = String::from("[intake]\n");
        for listener in Listener::ALL.into_iter().filter(|listener| !listener.is_tls()) {
            intake += &format!("{} = \"127.0.0.1:0\"\n", listener.as_str());
        }
        std::fs::write(&config, format!("{intake}[web]\nlisten = \"127.0.0.1:0\"\n{}", setup.config)).unwrap();
        Command::new(env!("CARGO_BIN_EXE_wartburg"))
            .arg("--data")
            .arg(data)
            .arg("--config")
            .arg(&config)
            .arg("serve")
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .envs(setup.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Where a listener listens; `None` where this program has none of the kind.
    pub(crate) fn address(&self, listener: Listener) -> Option<SocketAddr> {
        self.listening.get(listener.as_str()).copied()
    }

    /// Where mails are handed over, if the configuration says so.
    pub(crate) fn lmtp(&self) -> SocketAddr {
        self.listening["lmtp"]
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, as systemd does it; says whether it ended well.
    pub(crate) fn terminate(mut self) -> bool {
        self.ask_to_end();
        self.child.wait().unwrap().success()
    }

    /// SIGTERM, without waiting for what comes of it.
    pub(crate) fn ask_to_end(&self) {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
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

//! The programs that really send, against the listeners and the journal. What they say arrives, byte for byte and in
//! order. Where a program is missing the test says so and passes, unless `WARTBURG_CORPORA_REQUIRED=1`, as in CI.

mod forwarders;
mod python;
mod softflowd;

pub(crate) use python::python;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use ingest::body::SiteTable;
use ingest::frame::{Frame, Seq};
use ingest::journal::{Journal, JournalReader};
use ingest::listen::{self, Addresses, CancellationToken, Counters, ListenConfig, Listener, TlsFiles};
use ingest::time::{Clock, Timestamp};
use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Long enough for a loaded machine; a test waits this long only when it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The listeners and a journal, on ports of their own.
struct Receiver {
    at: Addresses,
    reader: JournalReader,
    _journal: Journal,
    _runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

impl Receiver {
    fn start() -> Self {
        Self::start_with(None)
    }

    /// With everything that listens; what needs certificates only with them.
    fn start_with(tls: Option<TlsFiles>) -> Self {
        let anywhere = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let mut config = ListenConfig::default();
        for listener in Listener::ALL.into_iter().filter(|listener| tls.is_some() || !listener.is_tls()) {
            config.addresses[listener] = anywhere;
        }
        config.tls = tls;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let bound = runtime.block_on(listen::bind(&config)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(&dir.path().join("journal"), &dir.path().join("quarantine"), Timestamp(1)).unwrap();
        let at = bound.addresses();
        let sites = Arc::new(RwLock::new(Arc::new(SiteTable::default())));
        runtime.spawn(bound.run(journal.writer(), sites, Arc::new(Counters::default()), Clock::system(), CancellationToken::new()));
        Self { at, reader: journal.reader(Seq(0)), _journal: journal, _runtime: runtime, _dir: dir }
    }

    fn more(&mut self) -> Vec<Frame> {
        self.reader.next(PATIENCE).unwrap().expect("more arrives")
    }

    fn lines(&mut self, number: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < number {
            lines.extend(self.more().into_iter().map(|frame| String::from_utf8(frame.frame.payload.into()).unwrap()));
        }
        assert_eq!(lines.len(), number, "{:?}", lines.last());
        lines
    }
}

/// The name in our certificate.
const SERVER_NAME: &str = "wartburg.example";

/// A certification authority, our certificate, and a sender's, as files.
struct Certificates(tempfile::TempDir);

impl Certificates {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
        for (file, name) in [("server", SERVER_NAME), ("client", "collector.example")] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned(), "127.0.0.1".to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &authority).unwrap();
            std::fs::write(dir.path().join(format!("{file}.pem")), certificate.pem()).unwrap();
            std::fs::write(dir.path().join(format!("{file}.key")), key.serialize_pem()).unwrap();
        }
        Self(dir)
    }

    /// What the listeners need: they insist on a certificate of this authority.
    fn files(&self) -> TlsFiles {
        let file = |name| self.0.path().join(name);
        TlsFiles { certificate: file("server.pem"), key: file("server.key"), client_ca: Some(file("ca.pem")), clients_required: true }
    }

    /// Whom a sender trusts, its certificate and its key.
    fn of_client(&self) -> [String; 3] {
        ["ca.pem", "client.pem", "client.key"].map(|name| self.0.path().join(name).display().to_string())
    }
}

/// A program that runs until the test is over.
struct Running(Child, PathBuf);

impl Running {
    fn start(command: &mut Command, dir: &Path) -> Self {
        let log = dir.join("output");
        let output = std::fs::File::create(&log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
        Self(child, log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(&self.1).unwrap_or_default());
        }
    }
}

/// Runs a program that ends by itself; one that does not is ended, or it would hold up everybody's tests.
fn run(command: &mut Command) {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(command, dir.path());
    let mut status = None;
    wait_for(&format!("the end of {command:?}"), || {
        status = running.0.try_wait().unwrap();
        status.is_some()
    });
    assert!(status.is_some_and(|status| status.success()), "{command:?}: {status:?}");
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let pause = Duration::from_millis(10);
    let tries = PATIENCE.as_millis() / pause.as_millis();
    assert!((0..tries).any(|_| done() || (std::thread::sleep(pause), false).1), "in vain: {what}");
}

/// Where a program is, or why this test is skipped. System services often stand outside a user's search path.
fn program(name: &str, elsewhere: Option<PathBuf>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]).chain(elsewhere);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        assert_ne!(std::env::var("WARTBURG_CORPORA_REQUIRED").as_deref(), Ok("1"), "{name} is not installed, and here it must be");
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// rsyslog's daemon and where its modules are, if not where it looks by itself. Debian's package excludes that of syslog-ng, so
/// `WARTBURG_RSYSLOG_ROOT` may name a folder into which the package was unpacked.
fn rsyslog() -> Option<(PathBuf, Option<PathBuf>)> {
    let unpacked = std::env::var_os("WARTBURG_RSYSLOG_ROOT").map(PathBuf::from);
    let daemon = program("rsyslogd", unpacked.as_ref().map(|root| root.join("usr/sbin")))?;
    let root = unpacked.filter(|root| daemon.starts_with(root));
    let libraries = root.and_then(|root| std::fs::read_dir(root.join("usr/lib")).ok());
    let modules = libraries.and_then(|mut all| all.find_map(|entry| Some(entry.ok()?.path().join("rsyslog")).filter(|path| path.is_dir())));
    Some((daemon, modules))
}

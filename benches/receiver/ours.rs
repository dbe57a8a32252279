//! Ours: this same program started again as a receiver. It says where it listens, answers each line on its standard input
//! with its counts, and ends when its input does.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, RwLock};

use anyhow::Context as _;
use ingest::body::SiteTable;
use ingest::journal::Journal;
use ingest::listen::{self, CancellationToken, Counters, ListenConfig, Listener, TlsFiles};
use ingest::time::Clock;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use super::{Door, Receiver};

/// The argument that makes this program a receiver.
pub const RECEIVE: &str = "--receive";

pub struct Ours {
    child: Child,
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    addresses: Value,
}

impl Ours {
    pub fn start(dir: &Path) -> anyhow::Result<Self> {
        certificate(dir).context("a certificate for our receiver")?;
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command.arg(RECEIVE).arg(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start our receiver")?;
        let ask = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().context("our receiver's output")?);
        let addresses = read_json(&mut answers)?;
        Ok(Self { child, ask, answers, addresses })
    }

    /// What a sender over TLS must trust.
    pub fn authority(dir: &Path) -> PathBuf {
        dir.join("ca.pem")
    }

    /// Its counts at this moment.
    pub fn counts(&mut self) -> anyhow::Result<Value> {
        self.ask.as_mut().context("our receiver has been ended")?.write_all(b"\n")?;
        read_json(&mut self.answers)
    }
}

/// An authority, and the receiver's certificate from it, as files.
fn certificate(dir: &Path) -> anyhow::Result<()> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let authority = CertifiedIssuer::self_signed(params, key)?;
    let key = KeyPair::generate()?;
    let own = CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, &authority)?;
    std::fs::write(Ours::authority(dir), authority.pem())?;
    std::fs::write(dir.join("own.pem"), own.pem())?;
    std::fs::write(dir.join("own.key"), key.serialize_pem())?;
    Ok(())
}

fn read_json(answers: &mut impl BufRead) -> anyhow::Result<Value> {
    let mut line = String::new();
    answers.read_line(&mut line).context("our receiver answers")?;
    serde_json::from_str(&line).with_context(|| format!("our receiver says {line:?}"))
}

impl Receiver for Ours {
    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn address(&self, door: Door) -> anyhow::Result<SocketAddr> {
        let listener = match door {
            Door::Udp => Listener::SyslogUdp,
            Door::Tcp => Listener::SyslogTcp,
            Door::Tls => Listener::SyslogTls,
            Door::Relp => Listener::Relp,
        };
        let address = self.addresses.get(listener.as_str()).and_then(Value::as_str).with_context(|| format!("no {door:?} here"))?;
        Ok(address.parse()?)
    }

    fn progress(&mut self) -> anyhow::Result<u64> {
        self.counts()?.get("stored").and_then(Value::as_u64).context("our receiver's counts")
    }

    fn kept(&mut self) -> anyhow::Result<u64> {
        self.progress()
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        // The end of its input ends it in order; whoever hangs is killed by the next line.
        drop(self.ask.take());
        for _ in 0..200 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The receiver's process: listeners and journal, as `serve` has them, and nothing behind.
pub fn receive(dir: &Path) -> anyhow::Result<()> {
    let anywhere = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let mut config = ListenConfig { udp_receive_buffer_bytes: listen::UDP_RECEIVE_BUFFER_BYTES, ..ListenConfig::default() };
    config.tls = Some(TlsFiles { certificate: dir.join("own.pem"), key: dir.join("own.key"), client_ca: None, clients_required: false });
    for listener in [Listener::SyslogUdp, Listener::SyslogTcp, Listener::SyslogTls, Listener::Relp] {
        config.addresses[listener] = anywhere;
    }
    let clock = Clock::system();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let bound = runtime.block_on(listen::bind(&config))?;
    let (mut journal, _) = Journal::open(&dir.join("journal"), &dir.join("quarantine"), clock.now())?;
    let (counters, shutdown) = (Arc::new(Counters::default()), CancellationToken::new());
    let addresses: Value = bound
        .addresses()
        .iter()
        .filter_map(|(listener, address)| Some((listener.as_str().to_owned(), Value::from(address.as_ref()?.to_string()))))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let sites = Arc::new(RwLock::new(Arc::new(SiteTable::default())));
    let listening = runtime.spawn(bound.run(journal.writer(), sites, Arc::clone(&counters), clock, shutdown.clone()));
    let mut out = std::io::stdout();
    writeln!(out, "{addresses}")?;
    for line in std::io::stdin().lines() {
        line?;
        let rows = counters.snapshot();
        let stored: u64 = rows.iter().map(|row| row.stored).sum();
        let received: u64 = rows.iter().map(|row| row.received).sum();
        writeln!(out, "{}", json!({ "received": received, "stored": stored, "segments_bytes": size(&dir.join("journal")) }))?;
    }
    shutdown.cancel();
    runtime.block_on(listening)?;
    journal.close();
    Ok(())
}

fn size(dir: &Path) -> u64 {
    let files: Vec<PathBuf> = std::fs::read_dir(dir).map(|files| files.flatten().map(|file| file.path()).collect()).unwrap_or_default();
    files.iter().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

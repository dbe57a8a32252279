//! The peer: rsyslogd as Debian ships it, writing each message into one plain file (no fsync: its default), or with its
//! queue on disk and fsynced.

use std::fs::File;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use ingest::listen::UDP_RECEIVE_BUFFER_BYTES;

use super::{Door, Receiver};

/// Where rsyslogd and its modules are.
#[derive(Clone, Debug)]
pub struct RsyslogRoot {
    daemon: PathBuf,
    modules: Option<PathBuf>,
    libraries: Option<PathBuf>,
}

impl RsyslogRoot {
    /// The system's, or the one unpacked below `root` (Debian's package excludes that of syslog-ng, so it may not be installed).
    pub fn find(root: Option<&Path>) -> Option<Self> {
        if let Some(daemon) = root.map(|root| root.join("usr/sbin/rsyslogd")).filter(|daemon| daemon.is_file()) {
            let triples = std::fs::read_dir(root?.join("usr/lib")).ok()?;
            let libraries = triples
                .flatten()
                .map(|entry| entry.path())
                .find(|path| path.join("rsyslog/imtcp.so").is_file() || path.join("rsyslog/lmtcpsrv.so").is_file());
            return Some(Self { daemon, modules: libraries.as_ref().map(|path| path.join("rsyslog")), libraries });
        }
        let daemon = ["/usr/sbin/rsyslogd", "/usr/local/sbin/rsyslogd"].iter().map(PathBuf::from).find(|path| path.is_file())?;
        Some(Self { daemon, modules: None, libraries: None })
    }

    pub fn version(&self) -> String {
        let output = Command::new(&self.daemon).arg("-v").output().map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&output).into_owned();
        text.split_ascii_whitespace().nth(1).unwrap_or("?").to_owned()
    }

    pub fn has_relp(&self) -> bool {
        let modules = self.modules.clone().unwrap_or_else(|| "/usr/lib/x86_64-linux-gnu/rsyslog".into());
        modules.join("imrelp.so").is_file()
    }
}

pub struct Rsyslog {
    child: Child,
    address: SocketAddr,
    file: PathBuf,
    line_bytes: u64,
}

/// What rsyslog writes for a message of ours: as it came, and a newline.
const TEMPLATE: &str = r#"template(name="asis" type="string" string="%rawmsg%\n")"#;

impl Rsyslog {
    /// Starts it with one input. `safe` puts its queue on disk and fsyncs it, so that it acknowledges what it will not lose.
    pub fn start(root: &RsyslogRoot, dir: &Path, door: Door, safe: bool, line_bytes: u64) -> anyhow::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(door)?));
        let port = address.port();
        let input = match door {
            Door::Udp => format!(
                r#"module(load="imudp") input(type="imudp" address="127.0.0.1" port="{port}" rcvbufSize="{UDP_RECEIVE_BUFFER_BYTES}")"#
            ),
            Door::Tcp => format!(r#"module(load="imtcp" maxSessions="2000") input(type="imtcp" address="127.0.0.1" port="{port}")"#),
            Door::Relp => format!(r#"module(load="imrelp") input(type="imrelp" address="127.0.0.1" port="{port}")"#),
            Door::Tls => anyhow::bail!("rsyslog is not measured over TLS"),
        };
        // Without a checkpoint for each write the queue's bookkeeping is only in memory, and a kill -9 loses what it holds.
        let queue = if safe {
            r#"main_queue(queue.type="Disk" queue.filename="main" queue.syncQueueFiles="on" queue.checkpointInterval="1")"#
        } else {
            ""
        };
        let (dir_text, file) = (dir.display(), dir.join("out.log"));
        let config = format!(
            "global(workDirectory=\"{dir_text}\")\n{TEMPLATE}\n{queue}\n{input}\naction(type=\"omfile\" file=\"{}\" template=\"asis\")\n",
            file.display()
        );
        let path = dir.join("rsyslog.conf");
        std::fs::write(&path, config)?;
        let log = File::create(dir.join("rsyslog.output"))?;
        let mut command = Command::new(&root.daemon);
        command.args(["-n", "-iNONE", "-f"]).arg(&path).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if let Some(modules) = &root.modules {
            command.arg("-M").arg(modules);
        }
        if let Some(libraries) = &root.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let child = command.spawn().context("start rsyslogd")?;
        let rsyslog = Self { child, address, file, line_bytes };
        rsyslog.wait_until_it_listens(door, dir)?;
        Ok(rsyslog)
    }

    fn wait_until_it_listens(&self, door: Door, dir: &Path) -> anyhow::Result<()> {
        for _ in 0..200 {
            std::thread::sleep(Duration::from_millis(25));
            let is_there = match door {
                Door::Udp => {
                    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
                    table.contains(&format!(":{:04X} ", self.address.port()))
                }
                _ => TcpStream::connect(self.address).is_ok(),
            };
            if is_there {
                return Ok(());
            }
        }
        anyhow::bail!("rsyslogd does not listen: {}", std::fs::read_to_string(dir.join("rsyslog.output")).unwrap_or_default())
    }
}

/// A port that is free now. rsyslog cannot be asked which one it chose.
fn free_port(door: Door) -> anyhow::Result<u16> {
    let here = (Ipv4Addr::LOCALHOST, 0);
    Ok(match door {
        Door::Udp => std::net::UdpSocket::bind(here)?.local_addr()?.port(),
        _ => TcpListener::bind(here)?.local_addr()?.port(),
    })
}

impl Receiver for Rsyslog {
    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn address(&self, _: Door) -> anyhow::Result<SocketAddr> {
        Ok(self.address)
    }

    fn progress(&mut self) -> anyhow::Result<u64> {
        Ok(self.file.metadata().map_or(0, |file| file.len()) / self.line_bytes)
    }

    fn kept(&mut self) -> anyhow::Result<u64> {
        let Ok(mut file) = File::open(&self.file) else { return Ok(0) };
        let (mut chunk, mut lines) = (vec![0; 1 << 20], 0);
        loop {
            let len = file.read(&mut chunk)?;
            if len == 0 {
                return Ok(lines);
            }
            lines += memchr::memchr_iter(b'\n', chunk.get(..len).unwrap_or_default()).count() as u64;
        }
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

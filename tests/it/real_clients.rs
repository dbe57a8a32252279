//! The programs that really send: logger, rsyslog, syslog-ng and softflowd, against the listeners and the journal. What
//! they say arrives, byte for byte and in order. Where a program is missing the test says so and passes, unless
//! `WARTBURG_CORPORA_REQUIRED=1`, as in CI.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use ingest::body::SiteTable;
use ingest::flow::netflow::NetflowDecoder;
use ingest::frame::{Frame, FrameKind, Seq};
use ingest::journal::{Journal, JournalReader};
use ingest::listen::{self, Addresses, CancellationToken, Counters, ListenConfig, Listener};
use ingest::time::{Clock, Timestamp};

/// Long enough for a loaded machine; a test waits this long only when it fails.
const PATIENCE: Duration = Duration::from_secs(60);
const LINES: usize = 500;

#[test]
fn logger_speaks_every_dialect() {
    let Some(logger) = program("logger", None) else { return };
    let mut receiver = Receiver::start();
    let (udp, tcp) = (receiver.at[Listener::SyslogUdp].unwrap(), receiver.at[Listener::SyslogTcp].unwrap());
    for (number, (at, flags)) in [
        (udp, &["--udp", "--rfc3164"][..]),
        (udp, &["--udp", "--rfc5424"]),
        (tcp, &["--tcp", "--rfc3164"]),
        (tcp, &["--tcp", "--rfc5424"]),
        (tcp, &["--tcp", "--rfc3164", "--octet-count"]),
        (tcp, &["--tcp", "--rfc5424", "--octet-count"]),
    ]
    .into_iter()
    .enumerate()
    {
        let message = format!("Anmeldung {number} für müller");
        let mut command = Command::new(&logger);
        command.args(["--server", "127.0.0.1", "--port", &at.port().to_string(), "--priority", "auth.warning", "--tag", "wartburg"]);
        run(command.args(flags).arg(&message));
        let line = receiver.lines(1).remove(0);
        // <36> is auth.warning; after it RFC 5424 has a version, RFC 3164 a month.
        let start = if flags.contains(&"--rfc5424") { "<36>1 " } else { "<36>" };
        assert!(line.starts_with(start) && line.ends_with(&message), "{flags:?}: {line}");
        assert_eq!(line.contains("<36>1 "), flags.contains(&"--rfc5424"), "{flags:?}: {line}");
    }
}

#[test]
fn rsyslog_forwards_in_both_framings() {
    let Some((rsyslogd, modules)) = rsyslog() else { return };
    for framing in ["traditional", "octet-counted"] {
        let mut receiver = Receiver::start();
        let dir = tempfile::tempdir().unwrap();
        let (dir, port) = (dir.path(), receiver.at[Listener::SyslogTcp].unwrap().port());
        let config = format!(
            r#"global(workDirectory="{dir}")
               module(load="imuxsock" SysSock.Use="off")
               input(type="imuxsock" Socket="{dir}/log" RateLimit.Interval="0" UseSpecialParser="off")
               action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" TCP_Framing="{framing}"
                      template="RSYSLOG_SyslogProtocol23Format")"#,
            dir = dir.display()
        );
        std::fs::write(dir.join("rsyslog.conf"), config).unwrap();
        let mut command = Command::new(&rsyslogd);
        command.args(["-n", "-iNONE", "-f"]).arg(dir.join("rsyslog.conf"));
        if let Some(modules) = &modules {
            command.arg("-M").arg(modules);
        }
        let _rsyslogd = Running::start(&mut command, dir);
        forward_lines(&dir.join("log"));
        expect_forwarded(&receiver.lines(LINES), framing);
    }
}

#[test]
fn syslog_ng_forwards_in_both_framings() {
    let Some(syslog_ng) = program("syslog-ng", None) else { return };
    for driver in ["network", "syslog"] {
        let mut receiver = Receiver::start();
        let dir = tempfile::tempdir().unwrap();
        let (dir, port) = (dir.path(), receiver.at[Listener::SyslogTcp].unwrap().port());
        // The newline-framed driver sends RFC 3164, the counted one RFC 5424.
        let config = format!(
            r#"@version: current
               options {{ keep-hostname(yes); stats-freq(0); }};
               source in {{ unix-dgram("{dir}/log"); }};
               destination out {{ {driver}("127.0.0.1" port({port}) transport("tcp")); }};
               log {{ source(in); destination(out); }};"#,
            dir = dir.display()
        );
        std::fs::write(dir.join("syslog-ng.conf"), config).unwrap();
        let mut command = Command::new(&syslog_ng);
        command.args(["--foreground", "--no-caps"]);
        for (flag, file) in [("--cfgfile", "syslog-ng.conf"), ("--persist-file", "persist"), ("--control", "control"), ("--pidfile", "pid")]
        {
            command.arg(flag).arg(dir.join(file));
        }
        let _syslog_ng = Running::start(&mut command, dir);
        forward_lines(&dir.join("log"));
        expect_forwarded(&receiver.lines(LINES), driver);
    }
}

/// Gives the lines to a forwarder's local socket, once it is there.
fn forward_lines(socket: &Path) {
    let sender = UnixDatagram::unbound().unwrap();
    for number in 0..LINES {
        let line = format!("<38>Nov 21 10:00:00 rathaus sshd[77]: Accepted password {number} für müller");
        wait_for(&format!("{} takes line {number}", socket.display()), || sender.send_to(line.as_bytes(), socket).is_ok());
    }
}

fn expect_forwarded(lines: &[String], how: &str) {
    for (number, line) in lines.iter().enumerate() {
        let has = line.starts_with("<38>") && line.contains("rathaus") && line.contains("sshd");
        assert!(has && line.trim_end().ends_with(&format!("Accepted password {number} für müller")), "{how}, line {number}: {line}");
    }
}

#[test]
fn softflowd_exports_what_a_capture_holds() {
    let Some(softflowd) = program("softflowd", None) else { return };
    for version in ["5", "9"] {
        let mut receiver = Receiver::start();
        let dir = tempfile::tempdir().unwrap();
        let capture = dir.path().join("capture.pcap");
        std::fs::write(&capture, capture_of(&CONVERSATIONS)).unwrap();
        let exporter = receiver.at[Listener::NetflowUdp].unwrap().to_string();
        let mut command = Command::new(&softflowd);
        command.arg("-r").arg(&capture).args(["-n", &exporter, "-v", version, "-d"]);
        // Without a control socket: reading a capture, softflowd sometimes waits for somebody to connect to it.
        command.arg("-p").arg(dir.path().join("pid")).args(["-c", "none"]);
        run(&mut command);

        let (mut decoder, mut flows) = (NetflowDecoder::default(), Vec::new());
        // Each conversation is two flows, there and back.
        while flows.len() < 2 * CONVERSATIONS.len() {
            for frame in receiver.more() {
                assert_eq!(frame.frame.kind, FrameKind::Flow);
                assert_eq!(frame.frame.payload.get(..2), Some(&[0, version.parse().unwrap()][..]));
                decoder.decode(&frame, &mut flows);
            }
        }
        let seen: BTreeSet<_> = flows.iter().map(|flow| (flow.src_ip, flow.src_port, flow.dst_ip, flow.dst_port, flow.packets)).collect();
        let sent: BTreeSet<_> = CONVERSATIONS
            .iter()
            .flat_map(|(client, port, packets)| {
                let (client, server) = (IpAddr::V4((*client).into()), IpAddr::V4(SERVER.into()));
                [(client, *port, server, 443, *packets), (server, 443, client, *port, *packets)]
            })
            .collect();
        assert_eq!(seen, sent, "version {version}");
    }
}

const SERVER: [u8; 4] = [192, 0, 2, 10];
/// Client, its port, and the packets in each direction.
const CONVERSATIONS: [([u8; 4], u16, u64); 5] = [
    ([10, 20, 0, 1], 40_001, 1),
    ([10, 20, 0, 2], 40_002, 3),
    ([10, 20, 0, 3], 40_003, 10),
    ([10, 20, 0, 3], 40_004, 2),
    ([10, 20, 0, 4], 65_535, 200),
];

/// A capture file (libpcap, little endian, Ethernet) of TCP conversations.
fn capture_of(conversations: &[([u8; 4], u16, u64)]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    let mut millis = 0;
    for (client, port, packets) in conversations {
        for _ in 0..*packets {
            for (from, from_port, to, to_port) in [(*client, *port, SERVER, 443), (SERVER, 443, *client, *port)] {
                let packet = packet(from, from_port, to, to_port);
                millis += 1;
                let len = u32::try_from(packet.len()).unwrap();
                for word in [1_795_000_000 + millis / 1000, millis % 1000 * 1000, len, len] {
                    file.extend(word.to_le_bytes());
                }
                file.extend(packet);
            }
        }
    }
    file
}

/// Ethernet, IPv4, TCP with ACK, and a hundred bytes.
fn packet(from: [u8; 4], from_port: u16, to: [u8; 4], to_port: u16) -> Vec<u8> {
    let mut packet = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
    packet.extend([0x45, 0, 0, 140, 0, 0, 0x40, 0, 64, 6, 0, 0]);
    packet.extend(from.into_iter().chain(to));
    packet.extend(from_port.to_be_bytes().into_iter().chain(to_port.to_be_bytes()));
    packet.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend([b'x'; 100]);
    packet
}

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
        let anywhere = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let mut config = ListenConfig::default();
        for listener in [Listener::SyslogUdp, Listener::SyslogTcp, Listener::NetflowUdp] {
            config.addresses[listener] = anywhere;
        }
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

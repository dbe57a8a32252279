//! The load generator against the listeners: what it says was acknowledged is in the journal, over every way, and what a
//! broken RELP connection left open is sent again on the next one.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use ingest::body::SiteTable;
use ingest::journal::Journal;
use ingest::listen::{self, Addresses, CancellationToken, Counters, ListenConfig, Listener, TlsFiles};
use ingest::time::{Clock, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

#[path = "../../benches/load/mod.rs"]
mod load;

use load::{Framing, Lines, Plan, Way};

const MESSAGES: u64 = 2_000;

#[test]
fn what_is_acknowledged_is_kept() {
    let receiver = Receiver::start();
    let mut stored = 0;
    for (listener, way) in [
        (Listener::SyslogTcp, Way::Tcp(Framing::Newline)),
        (Listener::SyslogTcp, Way::Tcp(Framing::Counted)),
        (Listener::SyslogTls, Way::Tcp(Framing::Newline)),
        (Listener::SyslogUdp, Way::Udp),
        (Listener::Relp, Way::Relp { window: 100 }),
        (Listener::RelpTls, Way::Relp { window: 1 }),
        (Listener::Http, Way::Http { batch: 70, token: None }),
    ] {
        let mut plan = receiver.plan(listener, way);
        if listener == Listener::SyslogUdp {
            // Nobody holds a datagram back: faster than a busy machine reads, it is the kernel that drops.
            plan.rate = 500;
        }
        let tally = load::run(&plan).unwrap().tally;
        assert_eq!((tally.sent, tally.refused, tally.resent, tally.broken), (MESSAGES, 0, 0, 0), "{listener:?}");
        if matches!(listener, Listener::Relp | Listener::RelpTls | Listener::Http) {
            assert_eq!(tally.acknowledged, MESSAGES, "{listener:?}");
            assert!(tally.latency.percentile(50.0).is_some(), "{listener:?}");
        }
        stored += MESSAGES;
        // Those that acknowledge have it already; so has TCP, whose end the generator waits for.
        for _ in 0..1_000 {
            if listener != Listener::SyslogUdp || receiver.stored() == stored {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(receiver.stored(), stored, "{listener:?}");
    }
}

#[test]
fn a_broken_relp_connection_is_resumed() {
    let receiver = Receiver::start();
    // Between the two stands somebody who breaks the first connection after 20 kB and carries the second.
    let middle = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (here, behind) = (middle.local_addr().unwrap(), receiver.at[Listener::Relp].unwrap());
    let breaker = std::thread::spawn(move || {
        for bytes_max in [20_000, u64::MAX] {
            let (client, _) = middle.accept().unwrap();
            let server = TcpStream::connect(behind).unwrap();
            let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let back = std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            let mut there = server.try_clone().unwrap();
            let _ = std::io::copy(&mut client.try_clone().unwrap().take(bytes_max), &mut there);
            let _ = there.flush();
            let both = if bytes_max == u64::MAX { std::net::Shutdown::Write } else { std::net::Shutdown::Both };
            let _ = server.shutdown(both);
            if bytes_max < u64::MAX {
                let _ = client.shutdown(both);
            }
            let _ = back.join();
        }
    });
    let plan = Plan { to: here, connections: 1, ..receiver.plan(Listener::Relp, Way::Relp { window: 100 }) };
    let tally = load::run(&plan).unwrap().tally;
    breaker.join().unwrap();
    assert_eq!((tally.sent, tally.acknowledged), (MESSAGES, MESSAGES));
    assert!(tally.broken >= 1 && tally.resent >= 1, "{tally:?}");
    // At least once: what was kept but not acknowledged in time came twice.
    assert!((MESSAGES..=MESSAGES + tally.resent).contains(&receiver.stored()), "{} stored, {tally:?}", receiver.stored());
}

struct Receiver {
    at: Addresses,
    counters: Arc<Counters>,
    dir: tempfile::TempDir,
    shutdown: CancellationToken,
    _journal: Journal,
    _runtime: tokio::runtime::Runtime,
}

impl Receiver {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let file = |name: &str, text: String| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        file("ca.pem", authority.pem());
        let tls = TlsFiles {
            certificate: file("own.pem", own.pem()),
            key: file("own.key", key.serialize_pem()),
            client_ca: None,
            clients_required: false,
        };
        let mut config = ListenConfig { tls: Some(tls), ..ListenConfig::default() };
        for listener in [Listener::SyslogUdp, Listener::SyslogTcp, Listener::SyslogTls, Listener::Relp, Listener::RelpTls, Listener::Http] {
            config.addresses[listener] = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let bound = runtime.block_on(listen::bind(&config)).unwrap();
        let (journal, _) = Journal::open(&dir.path().join("journal"), &dir.path().join("quarantine"), Timestamp(1)).unwrap();
        let (at, counters, shutdown) = (bound.addresses(), Arc::new(Counters::default()), CancellationToken::new());
        let sites = Arc::new(RwLock::new(Arc::new(SiteTable::default())));
        runtime.spawn(bound.run(journal.writer(), sites, Arc::clone(&counters), Clock::system(), shutdown.clone()));
        Self { at, counters, dir, shutdown, _journal: journal, _runtime: runtime }
    }

    fn plan(&self, listener: Listener, way: Way) -> Plan {
        let text: String = (0..50).map(|number| format!("<38>Nov 21 10:00:00 rathaus sshd[77]: Accepted password {number}\n")).collect();
        let tls = listener.is_tls().then(|| load::tls_config(&self.dir.path().join("ca.pem"), None).unwrap());
        Plan {
            to: self.at[listener].unwrap(),
            way,
            lines: Arc::new(Lines::of(&text, 120).unwrap()),
            // Datagrams nobody slows down.
            rate: if listener.is_udp() { 20_000 } else { 0 },
            connections: 3,
            messages: MESSAGES,
            time: Duration::from_secs(60),
            tls,
        }
    }

    fn stored(&self) -> u64 {
        self.counters.snapshot().iter().map(|row| row.stored).sum()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

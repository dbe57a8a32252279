//! TCP, TLS, RELP and proxies over real loopback sockets, with a real journal behind them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};

use expect_test::{Expect, expect};
use rustls::{ClientConfig, ClientConnection, StreamOwned, version};

use super::tests::{Bench, PATIENCE, closed, received};
use super::tls::tests::{Authority, files};
use super::*;
use crate::frame::{PAYLOAD_BYTES_MAX, Seq};

async fn start(configure: impl FnOnce(&mut ListenConfig), limit: impl FnOnce(&mut Limits)) -> Bench {
    let mut config = ListenConfig::default();
    config.addresses[Listener::Relp] = Some((Ipv4Addr::LOCALHOST, 0).into());
    configure(&mut config);
    Bench::start_as(config, limit).await
}

fn connect(bench: &Bench, listener: Listener) -> TcpStream {
    let stream = TcpStream::connect(bench.at[listener].unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Listeners over TLS for senders of an authority.
struct Secured {
    bench: Bench,
    authority: Authority,
    _dir: tempfile::TempDir,
}

impl Secured {
    async fn start(limit: impl FnOnce(&mut Limits)) -> Self {
        let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new("Landes-CA"));
        let tls = files(dir.path(), &authority.signs(&["localhost"], 2100), Some(&authority.pem()), true);
        let configure = |config: &mut ListenConfig| {
            for listener in [Listener::SyslogTls, Listener::RelpTls] {
                config.addresses[listener] = Some((Ipv4Addr::LOCALHOST, 0).into());
            }
            config.tls = Some(tls);
        };
        Self { bench: start(configure, limit).await, authority, _dir: dir }
    }

    fn connect(&self, listener: Listener, client: Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
        let connection = ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
        StreamOwned::new(connection, connect(&self.bench, listener))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_whose_a_line_is() {
    let mut secured = Secured::start(|_| {}).await;
    let pair = secured.authority.signs(&["collector.bauhof.example"], 2100);
    for version in [&version::TLS12, &version::TLS13] {
        let mut stream = secured.connect(Listener::SyslogTls, secured.authority.client(Some(&pair), version));
        stream.write_all(b"10 <13>line 1<13>line 2\n").unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        let frames = secured.bench.frames(2);
        assert_eq!((frames[0].site, frames[0].transport), (SiteId(crate::id::Ulid(9)), Transport::Tls));
        assert_eq!(frames[1].payload.as_ref(), b"<13>line 2");
    }
    let stranger = secured.authority.signs(&["collector.elsewhere.example"], 2100);
    let mut stream = secured.connect(Listener::SyslogTls, secured.authority.client(Some(&stranger), &version::TLS13));
    stream.write_all(b"<13>by the address\n").unwrap();
    assert_eq!(secured.bench.frames(1)[0].site, SiteId(crate::id::Ulid(7)));
    expect!["syslog_tls received 5 stored 5 rejected [] dropped []"].assert_eq(&secured.bench.counts(received(5)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_no_certificate_of_ours_is_refused_and_counted() {
    let secured = Secured::start(|limits| limits.opening = Duration::from_millis(300)).await;
    let foreign = Authority::new("somebody else").signs(&["collector.bauhof.example"], 2100);
    for shown in [None, Some(&foreign)] {
        let mut stream = secured.connect(Listener::SyslogTls, secured.authority.client(shown, &version::TLS13));
        // The refusal may come while we write or when we read.
        let refused = tokio::task::block_in_place(|| stream.write_all(b"<13>line\n").and_then(|()| stream.read(&mut [0; 1])));
        assert!(refused.is_err(), "{refused:?}");
    }
    // A hello of TLS 1.1, plain syslog, and one who begins and says nothing more.
    let hello = [&[22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2][..], &[7; 32], &[0, 0, 2, 0, 0x2F, 1, 0]].concat();
    for bytes in [hello.as_slice(), b"<13>plain text\n", &[22]] {
        let mut stream = connect(&secured.bench, Listener::SyslogTls);
        stream.write_all(bytes).unwrap();
        let mut alert = Vec::new();
        let _ = tokio::task::block_in_place(|| stream.read_to_end(&mut alert));
        assert!(alert.is_empty() || alert[0] == 21, "an alert: {alert:?}");
    }
    // Whoever only looks whether somebody is here is no fault.
    drop(connect(&secured.bench, Listener::SyslogTls));
    expect!["syslog_tls received 5 stored 0 rejected [(Handshake, 5)] dropped []"].assert_eq(&secured.bench.counts(received(5)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_without_certificate_says_which_keys_are_missing() {
    let mut config = ListenConfig::default();
    config.addresses[Listener::RelpTls] = Some((Ipv4Addr::LOCALHOST, 0).into());
    expect!["relp_tls: TLS needs a certificate and its key: set intake.tls_certificate and intake.tls_key"]
        .assert_eq(&bind(&config).await.unwrap_err().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_says_whose_a_line_is_and_must_say_it() {
    let mut bench = start(|config| config.proxies = vec!["127.0.0.0/8".parse().unwrap()], |_| {}).await;
    let mut stream = connect(&bench, Listener::SyslogTcp);
    stream.write_all(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x80\0\x02\x02<13>behind v2\n").unwrap();
    let frame = bench.frames(1).remove(0);
    assert_eq!((frame.peer.to_string().as_str(), frame.site), ("192.0.2.7", SiteId(crate::id::Ulid(9))));
    let mut without = connect(&bench, Listener::SyslogTcp);
    without.write_all(b"<13>1 no header\n").unwrap();
    assert!(closed(&mut without));
    expect![[r#"
        syslog_tcp received 1 stored 0 rejected [(Proxy, 1)] dropped []
        syslog_tcp received 1 stored 1 rejected [] dropped []"#]]
    .assert_eq(&bench.counts(received(2)).await);
    assert_eq!(bench.counters.snapshot()[1].peer.unwrap().to_string(), "192.0.2.7");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_believed_a_proxy() {
    let mut bench = start(|config| config.proxies = vec!["192.0.2.0/24".parse().unwrap()], |_| {}).await;
    connect(&bench, Listener::SyslogTcp).write_all(b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 514\r\n").unwrap();
    let frame = bench.frames(1).remove(0);
    assert_eq!((frame.peer, frame.payload.starts_with(b"PROXY")), (Ipv4Addr::LOCALHOST.into(), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_trickles_is_cut_and_kept_as_torn() {
    let mut bench = start(|_| {}, |limits| limits.tcp_frame = Duration::from_millis(200)).await;
    for listener in [Listener::SyslogTcp, Listener::Relp] {
        let mut stream = connect(&bench, listener);
        stream.write_all(if listener == Listener::Relp { b"1 open 9999 " } else { b"<13>whole\n<13>be" }).unwrap();
        let mut drips = stream.try_clone().unwrap();
        tokio::task::spawn_blocking(move || {
            while drips.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let mut answer = Vec::new();
        let _ = tokio::task::block_in_place(|| stream.read_to_end(&mut answer));
        assert_eq!(answer.is_empty(), listener == Listener::SyslogTcp);
    }
    let frames = bench.frames(2);
    assert_eq!((frames[0].payload.as_ref(), frames[0].marks), (&b"<13>whole"[..], Marks::default()));
    assert!(frames[1].payload.starts_with(b"<13>bex") && frames[1].marks == Marks::TORN);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_silent_connections_hold_nobody_up() {
    let mut bench = start(|_| {}, |_| {}).await;
    let _silent: Vec<_> = (0..2_000).map(|_| connect(&bench, Listener::SyslogTcp)).collect();
    connect(&bench, Listener::SyslogTcp).write_all(b"<13>line\n").unwrap();
    assert_eq!(bench.lines(1), "<13>line");
}

/// Says something over RELP after an open, and gives the answers up to the end.
fn talk(bench: &Bench, said: &str) -> String {
    let mut stream = connect(bench, Listener::Relp);
    stream.write_all(said.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    tokio::task::block_in_place(|| stream.read_to_string(&mut answer)).unwrap();
    answer
}

fn check(bench: &Bench, said: &str, expected: Expect) {
    expected.assert_eq(&talk(bench, said));
}

const OPEN: &str = "1 open 30 relp_version=0\ncommands=syslog\n";

#[tokio::test(flavor = "multi_thread")]
async fn relp_dialogs() {
    let mut bench = start(|_| {}, |_| {}).await;
    let opened = |rest: &str| format!("{OPEN}{rest}");
    check(
        &bench,
        &opened("2 syslog 7 <13>one\n3 syslog 8 <13>two\n\n4 syslog 0\n5 close 0\n"),
        expect![[r#"
        1 rsp 66 200 OK
        relp_version=0
        relp_software=wartburg,0.1.0
        commands=syslog
        2 rsp 6 200 OK
        3 rsp 6 200 OK
        4 rsp 6 200 OK
        5 rsp 0
        0 serverclose 0
    "#]],
    );
    check(
        &bench,
        &opened("2 syslog 6 <13>in\n4 syslog 7 <13>out\n"),
        expect![[r#"
        1 rsp 66 200 OK
        relp_version=0
        relp_software=wartburg,0.1.0
        commands=syslog
        2 rsp 6 200 OK
        4 rsp 33 500 transaction 3 was next, not 4
        0 serverclose 0
    "#]],
    );
    check(
        &bench,
        &opened("2 syslog 7 <13>dup\n2 syslog 7 <13>dup\n"),
        expect![[r#"
        1 rsp 66 200 OK
        relp_version=0
        relp_software=wartburg,0.1.0
        commands=syslog
        2 rsp 6 200 OK
        2 rsp 33 500 transaction 3 was next, not 2
        0 serverclose 0
    "#]],
    );
    check(
        &bench,
        &opened("2 syslog 7 <13>long\n"),
        expect![[r#"
        1 rsp 66 200 OK
        relp_version=0
        relp_software=wartburg,0.1.0
        commands=syslog
        2 rsp 48 500 the frame does not end where its length says
        0 serverclose 0
    "#]],
    );
    check(
        &bench,
        &opened("2 syslog 1048577 x\n"),
        expect![[r#"
        1 rsp 66 200 OK
        relp_version=0
        relp_software=wartburg,0.1.0
        commands=syslog
        2 rsp 47 500 a frame may have 1048576 bytes, not 1048577
        0 serverclose 0
    "#]],
    );
    check(
        &bench,
        &opened("2 starttls 0\n"),
        expect![[r#"
        1 rsp 66 200 OK
        relp_version=0
        relp_software=wartburg,0.1.0
        commands=syslog
        2 rsp 19 500 unknown command
        0 serverclose 0
    "#]],
    );
    check(
        &bench,
        &opened("2 open 0\n"),
        expect![[r#"
        1 rsp 66 200 OK
        relp_version=0
        relp_software=wartburg,0.1.0
        commands=syslog
        2 rsp 31 500 the session is open already
        0 serverclose 0
    "#]],
    );
    check(
        &bench,
        "1 syslog 1 x\n",
        expect![[r#"
        1 rsp 31 500 the session is not open yet
        0 serverclose 0
    "#]],
    );
    check(
        &bench,
        "<13>this is no RELP\n",
        expect![[r#"
        1 rsp 25 500 this is no RELP frame
        0 serverclose 0
    "#]],
    );
    assert_eq!(bench.lines(4), "<13>one\n<13>two\n<13>in\n<13>dup");
    expect!["relp received 13 stored 4 rejected [(Empty, 1), (Protocol, 8)] dropped []"].assert_eq(&bench.counts(received(13)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn relp_answers_come_in_order_and_after_the_disk() {
    const MESSAGES: u32 = 5_000;
    let mut bench = start(|_| {}, |_| {}).await;
    let stream = connect(&bench, Listener::Relp);
    let mut writer = stream.try_clone().unwrap();
    let sending = tokio::task::spawn_blocking(move || {
        writer.write_all(OPEN.as_bytes()).unwrap();
        for number in 0..MESSAGES {
            let message = format!("<13>{number}");
            writer.write_all(format!("{} syslog {} {message}\n", number + 2, message.len()).as_bytes()).unwrap();
        }
    });
    let answers = tokio::task::spawn_blocking(move || {
        let mut reader = std::io::BufReader::new(stream);
        let mut line = String::new();
        // Ours of the open has four lines.
        for _ in 0..3 {
            std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
        }
        for number in 0..MESSAGES {
            line.clear();
            std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
            if number == 0 && line.starts_with("commands") {
                line.clear();
                std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
            }
            assert_eq!(line, format!("{} rsp 6 200 OK\n", number + 2));
        }
    });
    answers.await.unwrap();
    sending.await.unwrap();
    // All of it is on disk when it is answered: nothing to wait for.
    assert_eq!(bench.journal.last(), Seq(u64::from(MESSAGES)));
    bench.counts(received(u64::from(MESSAGES))).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_relp_session_loses_nothing_answered_and_keeps_no_half_frame() {
    let mut bench = start(|_| {}, |_| {}).await;
    let mut stream = connect(&bench, Listener::Relp);
    stream.write_all(format!("{OPEN}2 syslog 7 <13>one\n3 syslog 100 <13>half").as_bytes()).unwrap();
    let mut answer = [0; 512];
    let mut text = String::new();
    while !text.ends_with("2 rsp 6 200 OK\n") {
        let len = tokio::task::block_in_place(|| stream.read(&mut answer)).unwrap();
        text.push_str(std::str::from_utf8(&answer[..len]).unwrap());
    }
    drop(stream);
    bench.stop().await;
    assert_eq!(bench.journal.last(), Seq(1));
    assert_eq!(bench.lines(1), "<13>one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relp_session_is_ended_with_a_hint_at_shutdown() {
    let mut bench = start(|_| {}, |_| {}).await;
    let mut stream = connect(&bench, Listener::Relp);
    stream.write_all(format!("{OPEN}2 syslog 7 <13>one\n").as_bytes()).unwrap();
    bench.counts(received(1)).await;
    bench.shutdown.cancel();
    let mut answer = String::new();
    tokio::task::block_in_place(|| stream.read_to_string(&mut answer)).unwrap();
    assert!(answer.ends_with("2 rsp 6 200 OK\n0 serverclose 0\n"), "{answer}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_relp_message_is_kept_in_parts_and_answered_once() {
    let mut bench = start(|_| {}, |_| {}).await;
    let long = "x".repeat(2 * PAYLOAD_BYTES_MAX);
    let said = format!("{OPEN}2 syslog {} {long}y\n3 close 0\n", long.len() + 1);
    assert!(talk(&bench, &said).ends_with("\n2 rsp 6 200 OK\n3 rsp 0\n0 serverclose 0\n"));
    let shape: Vec<_> = bench.frames(3).iter().map(|frame| (frame.payload.len(), frame.marks)).collect();
    let (cut, rest) = (Marks::CUT, Marks::REST);
    assert_eq!(shape, [(PAYLOAD_BYTES_MAX, cut), (PAYLOAD_BYTES_MAX, cut.and(rest)), (1, rest)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn relp_over_tls() {
    let mut secured = Secured::start(|_| {}).await;
    let pair = secured.authority.signs(&["collector.bauhof.example"], 2100);
    let mut stream = secured.connect(Listener::RelpTls, secured.authority.client(Some(&pair), &version::TLS13));
    stream.write_all(format!("{OPEN}2 syslog 7 <13>one\n3 close 0\n").as_bytes()).unwrap();
    let mut answer = String::new();
    tokio::task::block_in_place(|| stream.read_to_string(&mut answer)).unwrap();
    assert!(answer.ends_with("2 rsp 6 200 OK\n3 rsp 0\n0 serverclose 0\n"), "{answer}");
    let frame = secured.bench.frames(1).remove(0);
    assert_eq!((frame.site, frame.transport), (SiteId(crate::id::Ulid(9)), Transport::Relp));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_journal_answers_nothing() {
    let mut bench = start(|_| {}, |_| {}).await;
    bench.journal.close();
    let answer = talk(&bench, &format!("{OPEN}2 syslog 7 <13>one\n"));
    assert!(!answer.contains("2 rsp"), "{answer}");
    expect!["relp received 1 stored 0 rejected [] dropped [(JournalStopped, 1)]"].assert_eq(&bench.counts(received(1)).await);
}

/// Run by hand: `cargo test --workspace --lib listen::stream_tests::memory -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten thousand descriptors and says figures, not faults"]
async fn memory() {
    descriptors_raise().unwrap();
    let rss = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned()
    };
    let secured = Secured::start(|_| {}).await;
    println!("at first: {}", rss());
    let tcp: Vec<_> = (0..8_000).map(|_| connect(&secured.bench, Listener::SyslogTcp)).collect();
    println!("{} silent connections on both sides: {}", tcp.len(), rss());
    let pair = secured.authority.signs(&["collector.bauhof.example"], 2100);
    let client = secured.authority.client(Some(&pair), &version::TLS13);
    let tls: Vec<_> = (0..1_000)
        .map(|_| {
            let mut stream = secured.connect(Listener::SyslogTls, Arc::clone(&client));
            stream.write_all(b"<13>line\n").unwrap();
            stream
        })
        .collect();
    secured.bench.counts(received(1_000)).await;
    println!("and {} over TLS on both sides: {}", tls.len(), rss());
}

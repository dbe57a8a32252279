//! The listeners over real loopback sockets, with a real journal behind them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream, UdpSocket};

use expect_test::{Expect, expect};

use super::*;
use crate::body::{Site, SiteId};
use crate::frame::{Frame, PAYLOAD_BYTES_MAX, Seq, Transport};
use crate::journal::{Journal, JournalOptions, JournalReader};
use crate::time::Timestamp;

mod http;

/// Long enough for a loaded machine; a test waits this long only when it fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A running receiver. Its sites: loopback is "rathaus" (7); who shows the token `bauamt-geheim` or a certificate for
/// shipper.bauamt.example is "bauamt" (8); 192.0.2.0/24 and a certificate are "bauhof" (9).
pub(super) struct Bench {
    pub(super) journal: Journal,
    reader: JournalReader,
    pub(super) counters: Arc<Counters>,
    pub(super) at: Addresses,
    pub(super) shutdown: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        Self::start_with(None, |_| {}).await
    }

    /// As it is delivered.
    pub(super) async fn start_measured() -> Self {
        Self::start_as(ListenConfig { udp_receive_buffer_bytes: 8 << 20, ..ListenConfig::default() }, |_| {}).await
    }

    async fn start_with(token: Option<&str>, limit: impl FnOnce(&mut Limits)) -> Self {
        let config = ListenConfig { http_token: token.map(Into::into), udp_receive_buffer_bytes: 1 << 20, ..ListenConfig::default() };
        Self::start_as(config, limit).await
    }

    pub(super) async fn start_as(config: ListenConfig, limit: impl FnOnce(&mut Limits)) -> Self {
        Self::start_over(&Watermark::default(), config, limit).await
    }

    /// Over a journal that goes by a watermark of its own.
    async fn start_over(journal: &Watermark, mut config: ListenConfig, limit: impl FnOnce(&mut Limits)) -> Self {
        let options = JournalOptions { watermark: journal.clone(), ..JournalOptions::default() };
        let anywhere = Some((Ipv4Addr::LOCALHOST, 0).into());
        for listener in [Listener::SyslogUdp, Listener::SyslogTcp, Listener::Http, Listener::NetflowUdp] {
            config.addresses[listener] = config.addresses[listener].or(anywhere);
        }
        let mut bound = bind(&config).await.unwrap();
        limit(&mut bound.limits);
        let dir = tempfile::tempdir().unwrap();
        let (at, aside) = (dir.path().join("journal"), dir.path().join("quarantine"));
        let (journal, _) = Journal::open_with(&at, &aside, Timestamp(1), &options).unwrap();
        let site = Site {
            id: SiteId(crate::id::Ulid(7)),
            name: "rathaus".into(),
            body: None,
            prefixes: vec!["127.0.0.0/8".parse().unwrap()],
            certificates: vec![],
            tokens: vec![],
        };
        let bauamt = Site {
            id: SiteId(crate::id::Ulid(8)),
            name: "bauamt".into(),
            prefixes: vec![],
            certificates: vec!["shipper.bauamt.example".into()],
            tokens: vec![token_hash("bauamt-geheim")],
            ..site.clone()
        };
        let bauhof = Site {
            id: SiteId(crate::id::Ulid(9)),
            name: "bauhof".into(),
            prefixes: vec!["192.0.2.0/24".parse().unwrap()],
            certificates: vec!["collector.bauhof.example".into()],
            ..site.clone()
        };
        let sites = Arc::new(RwLock::new(Arc::new(SiteTable::new(vec![site, bauamt, bauhof]))));
        let (counters, shutdown, at) = (Arc::new(Counters::default()), CancellationToken::new(), bound.addresses());
        let clock = Clock::manual(Timestamp(1_795_000_000_000));
        let running = tokio::spawn(bound.run(journal.writer(), sites, Arc::clone(&counters), clock, shutdown.clone()));
        let reader = journal.reader(Seq(0));
        Self { journal, reader, counters, at, shutdown, running, _dir: dir }
    }

    /// The next frames, when so many have arrived.
    pub(super) fn frames(&mut self, number: usize) -> Vec<NewFrame> {
        tokio::task::block_in_place(|| {
            let mut frames: Vec<Frame> = Vec::new();
            while frames.len() < number {
                frames.extend(self.reader.next(PATIENCE).unwrap().unwrap_or_else(|| panic!("{} of {number} frames came", frames.len())));
            }
            assert_eq!(frames.len(), number);
            frames.into_iter().map(|frame| frame.frame).collect()
        })
    }

    pub(super) fn lines(&mut self, number: usize) -> String {
        let lines: Vec<_> = self.frames(number).iter().map(|frame| frame.payload.escape_ascii().to_string()).collect();
        lines.join("\n")
    }

    fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at[Listener::SyslogTcp].unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request's bytes, gives the whole answer.
    fn http(&self, request: &[u8]) -> String {
        tokio::task::block_in_place(|| {
            let mut stream = TcpStream::connect(self.at[Listener::Http].unwrap()).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            // A refused body may not be read to its end.
            let _ = stream.write_all(request);
            let mut answer = Vec::new();
            let mut chunk = [0; 4096];
            loop {
                match stream.read(&mut chunk) {
                    Ok(len @ 1..) => answer.extend_from_slice(&chunk[..len]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("not closed: {}", answer.escape_ascii()),
                    Ok(_) | Err(_) => break,
                }
            }
            let answer = String::from_utf8(answer).unwrap();
            answer.lines().filter(|line| !line.starts_with("date: ") && !line.starts_with("connection: ")).collect::<Vec<_>>().join("\n")
        })
    }

    fn post(&self, headers: &str, body: &[u8]) -> String {
        let head = format!("POST /v1/ingest HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        self.http(&[head.as_bytes(), body].concat())
    }

    /// The counts as text. Counting follows the answer, so it is waited for.
    pub(super) async fn counts(&self, settled: impl Fn(&[CounterRow]) -> bool) -> String {
        for _ in 0..3_000 {
            let rows = self.counters.snapshot();
            if settled(&rows) && rows.iter().all(|row| row.unaccounted() == 0) {
                let text = rows.iter().map(|row| {
                    let CounterRow { listener, received, stored, rejected, dropped, .. } = row;
                    format!("{} received {received} stored {stored} rejected {rejected:?} dropped {dropped:?}", listener.as_str())
                });
                return text.collect::<Vec<_>>().join("\n");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not settled: {:?}", self.counters.snapshot());
    }

    pub(super) async fn stop(&mut self) {
        self.shutdown.cancel();
        (&mut self.running).await.unwrap();
    }
}

pub(super) fn received(number: u64) -> impl Fn(&[CounterRow]) -> bool {
    move |rows| rows.iter().map(|row| row.received).sum::<u64>() == number
}

/// Waits until the other side has closed.
pub(super) fn closed(stream: &mut TcpStream) -> bool {
    tokio::task::block_in_place(|| match stream.read(&mut [0; 16]) {
        Ok(len) => len == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datagram_is_a_stamped_frame() {
    let mut bench = Bench::start().await;
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for datagram in [&b"<13>one"[..], b"<13>two\n", b"<13>two\nlines\r\n\0", b"", b"\n"] {
        sender.send_to(datagram, bench.at[Listener::SyslogUdp].unwrap()).unwrap();
    }
    let frames = bench.frames(3);
    assert_eq!(
        frames[0],
        NewFrame {
            received_at: Timestamp(1_795_000_000_000),
            site: SiteId(crate::id::Ulid(7)),
            peer: Ipv4Addr::LOCALHOST.into(),
            transport: Transport::Udp,
            kind: FrameKind::Line,
            marks: Marks::default(),
            payload: b"<13>one"[..].into(),
        }
    );
    assert_eq!(frames[2].payload.as_ref(), b"<13>two\nlines");
    expect!["syslog_udp received 5 stored 3 rejected [(Empty, 2)] dropped []"].assert_eq(&bench.counts(received(5)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_datagram_is_kept_to_its_last_zero() {
    let mut bench = Bench::start().await;
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"\x00\x05 flows \n\0\0", bench.at[Listener::NetflowUdp].unwrap()).unwrap();
    let frames = bench.frames(1);
    assert_eq!((frames[0].kind, frames[0].payload.as_ref()), (FrameKind::Flow, &b"\x00\x05 flows \n\0\0"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_datagrams_is_stored_or_counted() {
    let mut bench = Bench::start().await;
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..3_000 {
        sender.send_to(format!("<13>line {number}").as_bytes(), bench.at[Listener::SyslogUdp].unwrap()).unwrap();
        if number % 200 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    // Loopback does not reorder; what the kernel dropped is its affair, so only order and sums are asserted.
    bench.stop().await;
    bench.journal.close();
    let row = bench.counters.snapshot().remove(0);
    assert_eq!((row.unaccounted(), row.dropped.len()), (0, 0));
    assert!(row.received > 0);
    let frames = bench.frames(usize::try_from(row.stored).unwrap());
    let numbers: Vec<u32> = frames.iter().map(|frame| std::str::from_utf8(&frame.payload).unwrap()[9..].parse().unwrap()).collect();
    assert!(numbers.is_sorted());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sockets_share_an_address_and_keep_each_senders_order() {
    let config = ListenConfig { udp_sockets: 4, udp_receive_buffer_bytes: 1 << 20, ..ListenConfig::default() };
    let mut bench = Bench::start_as(config, |_| {}).await;
    let at = bench.at[Listener::SyslogUdp].unwrap();
    let senders: Vec<_> = (0..16).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for number in 10..30 {
        for (sender, socket) in senders.iter().enumerate() {
            socket.send_to(format!("<13>{sender} {number}").as_bytes(), at).unwrap();
        }
    }
    let frames = bench.frames(16 * 20);
    for sender in 0..16 {
        let head = format!("<13>{sender} ");
        let of_sender = frames.iter().filter_map(|frame| frame.payload.strip_prefix(head.as_bytes()));
        assert!(of_sender.clone().is_sorted() && of_sender.count() == 20, "sender {sender}");
    }
    let buffer = bench.counters.receive_buffer(Listener::SyslogUdp).unwrap();
    assert_eq!((buffer.sockets, buffer.asked_bytes), (4, 1 << 20));
    assert!(buffer.given_bytes > 0);
    assert_eq!(bench.counters.receive_buffer(Listener::GelfUdp), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datagram_of_the_greatest_length_is_whole_and_an_ipv4_sender_at_ipv6_is_one() {
    let mut config = ListenConfig::default();
    config.addresses[Listener::SyslogUdp] = Some("[::]:0".parse().unwrap());
    let mut bench = Bench::start_as(config, |_| {}).await;
    let at = (Ipv4Addr::LOCALHOST, bench.at[Listener::SyslogUdp].unwrap().port());
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let longest = vec![b'x'; 65_507];
    for datagram in [&longest, &b"short".to_vec(), &longest] {
        sender.send_to(datagram, at).unwrap();
    }
    let frames = bench.frames(3);
    assert_eq!(frames.iter().map(|frame| frame.payload.len()).collect::<Vec<_>>(), [65_507, 5, 65_507]);
    assert!(frames.iter().all(|frame| frame.peer == Ipv4Addr::LOCALHOST && frame.site == SiteId(crate::id::Ulid(7))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_sends_too_much_over_udp_loses_the_rest_and_over_tcp_waits() {
    let loud = SiteQuota { rate: Some(2_000), priority: Priority::Normal };
    let quota = QuotaConfig { rate: 0, sites: [("rathaus".to_owned(), loud)].into() };
    let mut bench = Bench::start_as(ListenConfig { quota, udp_receive_buffer_bytes: 8 << 20, ..ListenConfig::default() }, |_| {}).await;
    let mut stream = bench.tcp();
    let lines: String = (0..11_500).map(|number| format!("<13>{number}\n")).collect();
    let writer = tokio::task::spawn_blocking(move || {
        stream.write_all(lines.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        closed(&mut stream)
    });
    for (number, frame) in bench.frames(11_500).iter().enumerate() {
        assert_eq!(frame.payload.as_ref(), format!("<13>{number}").as_bytes());
    }
    assert!(writer.await.unwrap());
    // The account is empty now, whichever way it was spent.
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..20_000 {
        sender.send_to(b"<13>more", bench.at[Listener::SyslogUdp].unwrap()).unwrap();
    }
    bench.stop().await;
    bench.journal.close();
    let rows = bench.counters.snapshot();
    assert!(rows.iter().all(|row| row.unaccounted() == 0));
    assert_eq!((rows[1].stored, rows[1].dropped.len()), (11_500, 0));
    let (received, kernel) = (rows[0].received, bench.counters.kernel_dropped(Listener::SyslogUdp));
    assert_eq!(received + kernel, 20_000);
    assert!(matches!(rows[0].dropped[..], [(Dropped::RateLimited, 1..)]), "{:?}", rows[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_nearly_full_disk_low_priorities_datagrams_are_dropped_and_others_told_to_come_later() {
    let full = crate::disk::Space { total: 100 << 30, free: 5 << 30 };
    let watermark = Watermark::default();
    watermark.update(full, crate::disk::Thresholds::default());
    let low = expect![[r"
        syslog_udp received 1 stored 0 rejected [] dropped [(DiskFull, 1)]
        http received 1 stored 0 rejected [(Later, 1)] dropped []"]];
    let normal = expect![[r"
        syslog_udp received 1 stored 1 rejected [] dropped []
        http received 1 stored 1 rejected [] dropped []"]];
    for (priority, status, expected) in [(Priority::Low, "429", low), (Priority::Normal, "200", normal)] {
        let quota = QuotaConfig { rate: 0, sites: [("rathaus".to_owned(), SiteQuota { rate: None, priority })].into() };
        let bench = Bench::start_as(ListenConfig { quota, watermark: watermark.clone(), ..ListenConfig::default() }, |_| {}).await;
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"<13>x", bench.at[Listener::SyslogUdp].unwrap()).unwrap();
        let answer = bench.post("", b"<13>x");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        expected.assert_eq(&bench.counts(received(2)).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gelf_over_udp_and_tcp() {
    let mut config = ListenConfig::default();
    for listener in [Listener::GelfUdp, Listener::GelfTcp] {
        config.addresses[listener] = Some((Ipv4Addr::LOCALHOST, 0).into());
    }
    let mut bench = Bench::start_as(config, |_| {}).await;
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = bench.at[Listener::GelfUdp].unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(br#"{"short_message":"packed"}"#).unwrap();
    let gzip = gzip.finish().unwrap();
    let (first, second) = gzip.split_at(20);
    for datagram in [
        br#"{"short_message":"plain"}"#.as_slice(),
        b"no json",
        b"",
        &gzip,
        &gzip[..25],
        &[b"\x1e\x0f12345678\x01\x02", second].concat(),
        &[b"\x1e\x0f87654321\x00\x02", first].concat(),
        &[b"\x1e\x0f12345678\x00\x02", first].concat(),
        b"\x1e\x0f12345678\x02\x02x",
    ] {
        udp.send_to(datagram, at).unwrap();
    }
    let shown = |frame: &NewFrame| format!("{} {:?} {}\n", frame.transport.as_str(), frame.kind, frame.payload.escape_ascii());
    expect![[r#"
        gelf Json {\"short_message\":\"plain\"}
        gelf Line no json
        gelf Json {\"short_message\":\"packed\"}
        gelf Json {\"short_message\":\"packed\"}
    "#]]
    .assert_eq(&bench.frames(4).iter().map(shown).collect::<String>());
    let mut tcp = TcpStream::connect(bench.at[Listener::GelfTcp].unwrap()).unwrap();
    tcp.write_all(b"{\"short_message\":\n \"over\\ntcp\"}\0\0no json\0{\"short_message\":\"torn\"").unwrap();
    tcp.shutdown(Shutdown::Write).unwrap();
    expect![[r#"
        gelf Json {\"short_message\":\n \"over\\ntcp\"}
        gelf Line no json
        gelf Line {\"short_message\":\"torn\"
    "#]]
    .assert_eq(&bench.frames(3).iter().map(shown).collect::<String>());
    // At the end a message of which a part never came is given up.
    bench.stop().await;
    expect![[r#"
        gelf_udp received 8 stored 4 rejected [(Empty, 1), (Unreadable, 1), (Protocol, 1), (Incomplete, 1)] dropped []
        gelf_tcp received 3 stored 3 rejected [] dropped []"#]]
    .assert_eq(&bench.counts(received(11)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_framings_over_one_connection_in_drips() {
    let mut bench = Bench::start().await;
    let mut stream = bench.tcp();
    for byte in b"<13>one\r\n12 <13>two\nmore5 <13>wrong\n<13>three\n<13>no newline" {
        stream.write_all(&[*byte]).unwrap();
        stream.flush().unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    expect![[r"
        <13>one
        <13>two\nmore
        <13>w
        rong
        <13>three
        <13>no newline"]]
    .assert_eq(&bench.lines(6));
    expect!["syslog_tcp received 6 stored 6 rejected [] dropped []"].assert_eq(&bench.counts(received(6)).await);
    assert!(closed(&mut stream));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_end_is_kept_in_parts() {
    let mut bench = Bench::start().await;
    let mut stream = bench.tcp();
    let long = "x".repeat(3 * PAYLOAD_BYTES_MAX);
    tokio::task::block_in_place(|| stream.write_all(format!("{long}rest\n<13>next\n").as_bytes())).unwrap();
    let lens: Vec<_> = bench.frames(5).iter().map(|frame| frame.payload.len()).collect();
    assert_eq!(lens, [PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX, 4, 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_holds_nobody_up_and_its_half_line_is_kept_at_the_end() {
    let mut bench = Bench::start().await;
    let mut half = bench.tcp();
    half.write_all(b"<13>half a li").unwrap();
    let _silent: Vec<_> = (0..50).map(|_| bench.tcp()).collect();
    let mut other = bench.tcp();
    other.write_all(b"<13>whole\n").unwrap();
    assert_eq!(bench.lines(1), "<13>whole");
    // Its bytes have surely arrived before the listener is stopped: loopback delivers in order of writing.
    bench.stop().await;
    assert_eq!(bench.lines(1), "<13>half a li");
    assert!(closed(&mut half));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_stream_comes_whole_and_in_order() {
    let mut bench = Bench::start().await;
    let at = bench.at[Listener::SyslogTcp].unwrap();
    let writer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(at).unwrap();
        for number in 0..20_000 {
            let line = format!("<13>{number} {}", "y".repeat(number % 90));
            let framed = if number % 3 == 0 { format!("{} {line}", line.len()) } else { format!("{line}\n") };
            stream.write_all(framed.as_bytes()).unwrap();
        }
    });
    let frames = bench.frames(20_000);
    writer.await.unwrap();
    for (number, frame) in frames.iter().enumerate() {
        assert!(frame.payload.starts_with(format!("<13>{number} ").as_bytes()), "{number}: {}", frame.payload.escape_ascii());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_above_the_bound_is_closed_and_counted() {
    let bench = Bench::start_with(None, |limits| limits.tcp_connections = 1).await;
    let mut first = bench.tcp();
    first.write_all(b"<13>first\n").unwrap();
    bench.counts(received(1)).await;
    assert!(closed(&mut bench.tcp()));
    expect!["syslog_tcp received 2 stored 1 rejected [(TooManyConnections, 1)] dropped []"].assert_eq(&bench.counts(received(2)).await);
    drop(first);
    // The place is free again, soon.
    for attempt in 0.. {
        let mut again = bench.tcp();
        again.write_all(b"<13>again\n").unwrap();
        again.shutdown(Shutdown::Write).unwrap();
        if closed(&mut again) && bench.counters.snapshot()[0].stored == 2 {
            break;
        }
        assert!(attempt < 1_000);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_and_what_it_began_is_kept() {
    let mut bench = Bench::start_with(None, |limits| limits.tcp_idle = Duration::from_millis(50)).await;
    let mut stream = bench.tcp();
    stream.write_all(b"<13>begun").unwrap();
    assert!(closed(&mut stream));
    assert_eq!(bench.lines(1), "<13>begun");
}

/// What the queue took and the disk then refused is lost, and is no longer counted as kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_datagram_that_the_disk_refuses_is_counted_as_dropped() {
    let watermark = Watermark::default();
    watermark.update(crate::disk::Space { total: 100, free: 0 }, crate::disk::Thresholds::default());
    let mut bench = Bench::start_over(&watermark, ListenConfig::default(), |_| {}).await;
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"<13>one", bench.at[Listener::SyslogUdp].unwrap()).unwrap();
    expect!["syslog_udp received 1 stored 0 rejected [] dropped [(DiskFull, 1)]"].assert_eq(&bench.counts(received(1)).await);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_journal_is_counted_and_said() {
    let mut bench = Bench::start().await;
    bench.journal.close();
    let mut stream = bench.tcp();
    stream.write_all(b"<13>one\n<13>two\n").unwrap();
    assert!(closed(&mut stream));
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"<13>three", bench.at[Listener::SyslogUdp].unwrap()).unwrap();
    let answer = bench.post("", b"four\n");
    expect![[r#"
        HTTP/1.1 503 Service Unavailable
        content-type: application/problem+json
        retry-after: 5
        content-length: 123

        {"type":"about:blank","title":"Service Unavailable","status":503,"detail":"nothing can be stored now: send it again later"}"#]]
    .assert_eq(&answer);
    expect![[r"
        syslog_udp received 1 stored 0 rejected [] dropped [(QueueFull, 1)]
        syslog_tcp received 2 stored 0 rejected [] dropped [(JournalStopped, 2)]
        http received 1 stored 0 rejected [] dropped [(JournalStopped, 1)]"]]
    .assert_eq(&bench.counts(received(4)).await);
    assert!(bench.http(b"GET /healthz HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 503"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_lines_and_objects() {
    let mut bench = Bench::start().await;
    let body = "{\"a\":1}\r\n\n  {\"b\":2}  \n   \n<13>a line\n{\"broken\":\n7 <13>no count\nlast";
    expect![[r#"
        HTTP/1.1 200 OK
        content-type: application/json
        content-length: 14

        {"accepted":6}"#]]
    .assert_eq(&bench.post("Content-Type: application/x-ndjson\r\n", body.as_bytes()));
    let frames: Vec<_> = bench.frames(6).iter().map(|frame| format!("{:?} {}", frame.kind, frame.payload.escape_ascii())).collect();
    expect![[r#"
        Json {\"a\":1}
        Json   {\"b\":2}  
        Line <13>a line
        Line {\"broken\":
        Line 7 <13>no count
        Line last"#]]
    .assert_eq(&frames.join("\n"));
    expect!["http received 6 stored 6 rejected [] dropped []"].assert_eq(&bench.counts(received(6)).await);
    assert!(bench.post("", b"").ends_with(r#"{"accepted":0}"#));
    assert!(bench.http(b"GET /healthz HTTP/1.0\r\n\r\n").ends_with(r#"{"status":"ok"}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_bodies() {
    let mut bench = Bench::start().await;
    let body = "{\"a\":1}\n{\"a\":2}\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(body.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(body.as_bytes(), 3).unwrap();
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    deflate.write_all(body.as_bytes()).unwrap();
    let deflate = deflate.finish().unwrap();
    for (encoding, packed) in
        [("deflate", deflate.as_slice()), ("gzip", gzip.as_slice()), ("X-GZIP", &gzip), ("zstd", &zstd), ("identity", body.as_bytes())]
    {
        let answer = bench.post(&format!("Content-Encoding: {encoding}\r\n"), packed);
        assert!(answer.ends_with(r#"{"accepted":2}"#), "{encoding}: {answer}");
        assert_eq!(bench.frames(2)[1].payload.as_ref(), br#"{"a":2}"#);
    }
    for (encoding, broken) in [("gzip", &gzip[..gzip.len() - 9]), ("gzip", b"not gzip"), ("zstd", &zstd[..9]), ("zstd", b"not zstd")] {
        let answer = bench.post(&format!("Content-Encoding: {encoding}\r\n"), broken);
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("the body cannot be unpacked"), "{encoding}: {answer}");
    }
    check_refusal(&bench.post("Content-Encoding: br\r\n", b"x"), expect!["415 Content-Encoding may be gzip, deflate, zstd or identity"]);
    expect!["http received 15 stored 10 rejected [(Unreadable, 5)] dropped []"].assert_eq(&bench.counts(received(15)).await);
}

fn check_refusal(answer: &str, expected: Expect) {
    let (_, problem) = answer.rsplit_once('\n').unwrap();
    let problem: serde_json::Value = serde_json::from_str(problem).unwrap_or_else(|error| panic!("{error}: {answer}"));
    assert!(answer.starts_with(&format!("HTTP/1.1 {}", problem["status"])) && answer.contains("application/problem+json"), "{answer}");
    expected.assert_eq(&format!("{} {}", problem["status"], problem["detail"].as_str().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_bounds() {
    let bench = Bench::start().await;
    let announced = b"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 16777217\r\nConnection: close\r\n\r\n";
    check_refusal(&bench.http(announced), expect!["413 a body may have 16777216 bytes: send smaller batches"]);

    let mut chunked = b"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1000001\r\n".to_vec();
    chunked.resize(chunked.len() + 0x100_0001, b'x');
    check_refusal(&bench.http(&chunked), expect!["413 a body may have 16777216 bytes: send smaller batches"]);

    for (encoding, bomb) in [("gzip", gzip_zeros(80)), ("zstd", zstd::encode_all(std::io::repeat(b'x').take(80 << 20), 3).unwrap())] {
        assert!(bomb.len() < 1 << 20);
        let answer = bench.post(&format!("Content-Encoding: {encoding}\r\n"), &bomb);
        check_refusal(&answer, expect!["413 a body may unpack to 67108864 bytes: send smaller batches"]);
    }
    check_refusal(&bench.post("", "x\n".repeat(200_001).as_bytes()), expect!["413 a body may have 200000 lines: send smaller batches"]);
    expect!["http received 5 stored 0 rejected [(TooLarge, 5)] dropped []"].assert_eq(&bench.counts(received(5)).await);
}

fn gzip_zeros(mebibytes: usize) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..mebibytes {
        gzip.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    gzip.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_line_in_a_body_is_kept_in_parts_and_said() {
    let mut bench = Bench::start().await;
    let body = format!("{{\"a\":\"{}{{}}\n{{}}\n", "x".repeat(PAYLOAD_BYTES_MAX - 6));
    assert!(bench.post("", body.as_bytes()).ends_with(r#"{"accepted":3,"cut":1}"#));
    let frames: Vec<_> = bench.frames(3).iter().map(|frame| (frame.kind, frame.marks, frame.payload.len())).collect();
    let (cut, rest) = ((FrameKind::Line, Marks::CUT, PAYLOAD_BYTES_MAX), (FrameKind::Line, Marks::REST, 2));
    assert_eq!(frames, [cut, rest, (FrameKind::Json, Marks::default(), 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_right_token_opens() {
    let bench = Bench::start_with(Some("geheim"), |_| {}).await;
    for wrong in [
        "",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer geheiM\r\n",
        "Authorization: Basic geheim\r\n",
        "Authorization: Bearer geheim1\r\n",
    ] {
        let answer = bench.post(wrong, b"x\n");
        check_refusal(&answer, expect!["401 send the collector's token: Authorization: Bearer …"]);
        assert!(answer.contains("www-authenticate: Bearer"));
    }
    assert!(bench.post("Authorization: bearer geheim\r\n", b"x\n").ends_with(r#"{"accepted":1}"#));
    expect!["http received 6 stored 1 rejected [(Unauthorized, 5)] dropped []"].assert_eq(&bench.counts(received(6)).await);
    check_refusal(
        &bench.http(b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        expect!["404 there is POST /v1/ingest, POST /v1/logs, POST /_bulk and GET /healthz here"],
    );
    check_refusal(
        &bench.http(b"GET /v1/ingest HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        expect!["405 POST to /v1/ingest, /v1/logs and /_bulk, GET from /healthz"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_request_is_cut_and_a_stuck_one_does_not_hold_the_shutdown() {
    let mut bench =
        Bench::start_with(None, |limits| (limits.http_idle, limits.grace) = (Duration::from_millis(100), Duration::from_millis(50))).await;
    let half = b"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf";
    let answer = bench.http(half);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(bench.http(b"POST /v1/ing"), "", "closed without an answer");
    let mut stuck = TcpStream::connect(bench.at[Listener::Http].unwrap()).unwrap();
    stuck.write_all(half).unwrap();
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named() {
    let bench = Bench::start().await;
    let mut messages = Vec::new();
    for (listener, address) in bench.at.iter().filter(|(_, address)| address.is_some()) {
        let mut config = ListenConfig::default();
        config.addresses[listener] = *address;
        messages.push(bind(&config).await.unwrap_err().to_string().replace(&address.unwrap().to_string(), "ADDRESS"));
    }
    expect![[r"
        syslog_udp: ADDRESS is in use
        syslog_tcp: ADDRESS is in use
        http: ADDRESS is in use
        netflow_udp: ADDRESS is in use"]]
    .assert_eq(&messages.join("\n"));
    let mut elsewhere = ListenConfig::default();
    elsewhere.addresses[Listener::Http] = Some("203.0.113.1:80".parse().unwrap());
    expect!["http: 203.0.113.1:80 is no address of this machine"].assert_eq(&bind(&elsewhere).await.unwrap_err().to_string());
    let empty = ListenConfig { http_token: Some(String::new()), ..ListenConfig::default() };
    expect!["http: the token is empty; leave it out to accept everybody"].assert_eq(&bind(&empty).await.unwrap_err().to_string());
    assert!(!format!("{:?}", ListenConfig { http_token: Some("geheim".into()), ..ListenConfig::default() }).contains("geheim"));
}

//! LMTP as a mail server speaks it, and as it should not.

use std::fmt::Write as _;

use detect::exhibit::Locker;
use expect_test::expect;
use ingest::db::DbError;
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::net::TcpStream;

use super::*;
use crate::mailroom::tests::Room;

fn session(mailroom: &Mailroom, limits: Limits) -> (DuplexStream, tokio::task::JoinHandle<std::io::Result<()>>, watch::Sender<bool>) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let (stop, stopped) = watch::channel(false);
    let session = Session::new(mailroom.clone(), limits, Arc::new(Semaphore::new(1)), stopped);
    (client, tokio::spawn(session.talk(server)), stop)
}

/// Says all at once, and hears what is answered until the other side ends it.
async fn talk(room: &Room, limits: Limits, says: &[u8]) -> String {
    let (mut client, task, _stop) = session(&room.mailroom, limits);
    let (mut read, mut write) = tokio::io::split(&mut client);
    let mut heard = String::new();
    let speak = async {
        // A server that has hung up hears no more.
        let _ = write.write_all(says).await;
        let _ = write.shutdown().await;
    };
    let (_, heard_all) = tokio::join!(speak, read.read_to_string(&mut heard));
    heard_all.unwrap();
    task.await.unwrap().unwrap();
    heard.replace("\r\n", "\n")
}

fn letters(room: &Room) -> usize {
    let count =
        |c: &ingest::rusqlite::Connection| Ok::<_, DbError>(c.query_row("SELECT COUNT(*) FROM letter", [], |row| row.get::<_, i64>(0))?);
    usize::try_from(room.fixture.db.read(count).unwrap()).unwrap()
}

const MAIL: &str = "From: a@b.example\r\nMessage-ID: <1@b.example>\r\nSubject: x\r\n\r\n..punkt\r\n.\r\n";

#[tokio::test]
async fn a_conversation() {
    let room = Room::new();
    let says = format!(
        "LHLO mx\r\nMAIL FROM:<a@b.example> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<cert@cert.example>\r\nRCPT TO:<wid@cert.example>\r\nDATA\r\n{MAIL}NOOP\r\n\
         MAIL FROM:<>\r\nRSET\r\nDATA\r\nQUIT\r\n"
    );
    expect![[r#"
        220 wartburg LMTP
        250-wartburg
        250-PIPELINING
        250-8BITMIME
        250-ENHANCEDSTATUSCODES
        250 SIZE 37748736
        250 2.1.0 ok
        250 2.1.5 ok
        250 2.1.5 ok
        354 go on
        250 2.0.0 kept
        250 2.0.0 kept
        250 2.0.0 ok
        250 2.1.0 ok
        250 2.0.0 ok
        503 5.5.1 no valid recipients
        221 2.0.0 bye
    "#]]
    .assert_eq(&talk(&room, Limits::default(), says.as_bytes()).await);
    assert_eq!(letters(&room), 1);
}

#[tokio::test]
async fn what_is_too_much_or_wrong_is_refused() {
    let room = Room::new();
    let small = Limits { message_bytes: 1_000, recipients: 2, errors: 4, messages: 1, ..Limits::default() };
    let long = "x".repeat(5_000);
    let mut table = String::new();
    for (name, says) in [
        ("no greeting", "MAIL FROM:<a@b>\r\nQUIT\r\n".to_owned()),
        ("SMTP", "EHLO x\r\nQUIT\r\n".into()),
        ("too large, announced", "LHLO x\r\nMAIL FROM:<a@b> SIZE=1001\r\nQUIT\r\n".into()),
        ("too large, found out", format!("LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n{long}\r\n.\r\nNOOP\r\nQUIT\r\n")),
        ("too many recipients", "LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<c@d>\r\nRCPT TO:<c@d>\r\nQUIT\r\n".into()),
        ("long line", format!("LHLO {long}\r\nQUIT\r\n")),
        ("mistakes", "A\r\nB\r\nC\r\nD\r\nE\r\n".into()),
        ("two letters", format!("LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n{MAIL}MAIL FROM:<a@b>\r\n")),
        ("half a text", "LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nFrom: half\r\n".into()),
        ("bad path", "LHLO x\r\nMAIL FROM:a@b\r\nMAIL FROM:<a@b>\r\nRCPT TO:<>\r\nQUIT\r\n".into()),
        ("smuggling", "LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nFrom: s@t\n.\nMAIL FROM:<evil@x>\r\n.\r\nQUIT\r\n".into()),
    ] {
        let heard = talk(&room, small, says.as_bytes()).await;
        let codes: Vec<&str> = heard.lines().filter(|line| line.as_bytes().get(3) == Some(&b' ')).map(|line| &line[..3]).collect();
        writeln!(table, "{name}: {}", codes.join(" ")).unwrap();
    }
    expect![[r#"
        no greeting: 220 503 221
        SMTP: 220 500 221
        too large, announced: 220 250 552 221
        too large, found out: 220 250 250 250 354 552 250 221
        too many recipients: 220 250 250 250 250 452 221
        long line: 220 500 221
        mistakes: 220 500 500 500 421
        two letters: 220 250 250 250 354 250 421
        half a text: 220 250 250 250 354
        bad path: 220 250 501 250 501 221
        smuggling: 220 250 250 250 354 250 221
    "#]]
    .assert_eq(&table);
    assert_eq!(letters(&room), 2, "what was refused or cut off is not kept");
    let left = std::fs::read_dir(room.fixture.dir.path().join("exhibits/new")).unwrap().count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn an_answer_that_was_lost_makes_no_second_letter() {
    let room = Room::new();
    let says = format!("LHLO mx\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n{MAIL}");
    // The server vanishes at every point of the conversation, and comes again with the same letter.
    for cut in (0..=says.len()).step_by(7).chain([says.len()]) {
        let (mut client, task, _stop) = session(&room.mailroom, Limits::default());
        client.write_all(&says.as_bytes()[..cut]).await.unwrap();
        // It says no more, and hears nothing of what is answered.
        client.shutdown().await.unwrap();
        let _ = task.await.unwrap();
    }
    assert_eq!(letters(&room), 1);
}

#[tokio::test]
async fn a_full_disk_and_slowness_are_temporary() {
    let room = Room::new();
    let watermark = ingest::disk::Watermark::default();
    watermark.update(ingest::disk::Space { total: 1 << 40, free: 1 << 30 }, ingest::disk::Thresholds::default());
    let locker = Locker::open(&room.fixture.dir.path().join("voll"), watermark).unwrap();
    let clock = ingest::time::Clock::manual(ingest::time::Timestamp(0));
    let full = Room { mailroom: Mailroom::new(room.fixture.db.clone(), locker, clock, crate::mailroom::Own::default()), ..room };
    let says = format!("LHLO mx\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n{MAIL}QUIT\r\n");
    assert!(talk(&full, Limits::default(), says.as_bytes()).await.contains("452 4.3.1"));
    let slow = Limits { command_time: Duration::from_millis(50), part_time: Duration::from_millis(50), ..Limits::default() };
    for says in ["", "LHLO mx\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nFrom: a"] {
        let (mut client, task, _stop) = session(&full.mailroom, slow);
        client.write_all(says.as_bytes()).await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), task).await.unwrap().unwrap().unwrap();
    }
    assert_eq!(letters(&full), 0);
}

#[tokio::test]
async fn only_our_addresses_and_the_bounds_of_the_port() {
    let room = Room::new();
    let own = crate::mailroom::Own { addresses: vec!["cert@cert.example".into()], ..crate::mailroom::Own::default() };
    let clock = ingest::time::Clock::manual(ingest::time::Timestamp(0));
    let mailroom = Mailroom::new(room.fixture.db.clone(), room.mailroom.locker().clone(), clock, own);
    let limits = Limits { connections: 1, ..Limits::default() };
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), mailroom, vec![], limits).await.unwrap();
    assert!(!listener.allowed("192.0.2.1".parse().unwrap()) && listener.allowed("::ffff:127.0.0.1".parse().unwrap()));
    let address = listener.address().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(listener.run(async { stopped.await.unwrap_or_default() }));
    let hear = async |stream: &mut TcpStream| {
        let mut bytes = [0; 200];
        let read = stream.read(&mut bytes).await.unwrap();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    };
    let mut first = TcpStream::connect(address).await.unwrap();
    assert!(hear(&mut first).await.starts_with("220"));
    let mut second = TcpStream::connect(address).await.unwrap();
    assert!(hear(&mut second).await.starts_with("421"));
    first.write_all(b"LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<root@cert.example>\r\nRCPT TO:<CERT@cert.example>\r\n").await.unwrap();
    let mut heard = String::new();
    while !heard.contains("2.1.5") {
        heard.push_str(&hear(&mut first).await);
    }
    assert!(heard.contains("550 5.1.1"), "{heard}");
    stop.send(()).unwrap();
    assert!(hear(&mut first).await.starts_with("421 4.3.2 closing"));
    task.await.unwrap();
}

//! A program that is told of cases, through the built program: what could not be brought is brought after kill -9, under the
//! same identity, and nothing is lost.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};

use crate::end_to_end::{Person, found, house, user_add};
use crate::program::{PATIENCE, Server};

/// What came: (identity, event, content).
type Told = (String, String, String);

/// A receiver that answers each message with the same words.
fn receiver(listener: TcpListener, answer: &'static str) -> Receiver<Told> {
    let (send, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut id, mut event, mut length) = (String::new(), String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                    break;
                }
                match line.trim().split_once(": ") {
                    Some(("x-wartburg-id", value)) => value.clone_into(&mut id),
                    Some(("x-wartburg-event", value)) => value.clone_into(&mut event),
                    Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap(),
                    _ => {}
                }
            }
            let mut content = vec![0; length];
            if reader.read_exact(&mut content).is_err() || stream.write_all(answer.as_bytes()).is_err() {
                continue;
            }
            if send.send((id, event, String::from_utf8(content).unwrap())).is_err() {
                return;
            }
        }
    });
    told
}

fn next(told: &Receiver<Told>) -> Told {
    told.recv_timeout(PATIENCE).expect("a message comes")
}

fn report(analyst: &Person, what: &str) {
    analyst.does("/vorfaelle/neu", "", &[("was", what), ("stelle", "00000000000000000000000001")]);
}

#[test]
fn messages_survive_a_kill_and_a_receiver_that_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    house(&data);
    for role in ["analyst", "admin"] {
        user_add(&data, role);
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let server = Server::start(&data);
    let (analyst, admin) = (Person::signed_in(&server, "analyst"), Person::signed_in(&server, "admin"));
    let fields = [("name", "Tickets"), ("adresse", &*format!("http://{address}/hook")), ("ereignis", "incident.opened")];
    let (status, page) = admin.form("/konten/webhooks", "", &fields);
    assert_eq!(status, 200, "{page}");
    found(r#"value="([0-9a-f]{64})" readonly"#, &page);

    // A receiver that has trouble of its own hears of the case again and again, under one identity.
    let failing = receiver(listener, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    report(&analyst, "Alle Dateien sind verschlüsselt");
    let (first, event, content) = next(&failing);
    assert_eq!(event, "incident.opened");
    assert!(content.contains("TC-2026-000001") && !content.contains("verschlüsselt"), "{content}");
    assert_eq!(next(&failing).0, first, "tried again");
    let page = admin.page("/konten/webhooks");
    assert!(page.contains("HTTP 503") && page.contains("gestört"), "{page}");
    // Killed with one that waits and one that may not even stand in the outbox.
    report(&analyst, "Noch einer");
    server.kill();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let moved = listener.local_addr().unwrap();
    // The receiver is back at another port: nobody else can have taken its old one in between.
    let db = rusqlite::Connection::open(data.join("wartburg.db")).unwrap();
    db.execute("UPDATE webhook SET url = ?1", [format!("http://{moved}/hook")]).unwrap();
    drop(db);
    let working = receiver(listener, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    let server = Server::start(&data);
    let admin = Person::signed_in(&server, "admin");
    let (a, b) = (next(&working), next(&working));
    assert_eq!(a.0, first, "the same message");
    assert!(b.2.contains("TC-2026-000002") && b.0 != first, "{b:?}");
    // Nothing twice, and the page is at peace.
    assert!(working.recv_timeout(std::time::Duration::from_secs(5)).is_err());
    let page = admin.page("/konten/webhooks");
    assert!(!page.contains("HTTP 503") && !page.contains("gestört"), "{page}");
    assert!(server.terminate());
}

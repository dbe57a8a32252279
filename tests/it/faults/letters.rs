//! kill -9 while a mail server hands letters over: at any moment between the first byte and the answer. The mail server does
//! what mail servers do: it brings a letter again until it hears that it was kept.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::Random;
use crate::program::{Server, Setup, wartburg};

/// Each a start of the program.
const ROUNDS: u64 = 12;
const LETTERS_A_ROUND: u64 = 40;

#[test]
fn letters_survive_kills_exactly_once() {
    let rounds = std::env::var("WARTBURG_LETTER_KILLS").map_or(ROUNDS, |rounds| rounds.parse().expect("WARTBURG_LETTER_KILLS is a number"));
    let mut random = Random::seeded("letters_survive_kills_exactly_once");
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut waiting: Vec<u64> = (0..rounds * LETTERS_A_ROUND / 4).collect();
    let all = waiting.len();
    for _ in 0..rounds {
        let server = start(&data);
        let address = server.lmtp();
        let sender = std::thread::spawn(move || {
            let mut kept = Vec::new();
            for number in &waiting {
                match hand_over(address, *number) {
                    Ok(true) => kept.push(*number),
                    // Cut off in the middle: who knows whether it was kept. It is brought again.
                    Ok(false) | Err(_) => break,
                }
            }
            waiting.retain(|number| !kept.contains(number));
            waiting
        });
        std::thread::sleep(Duration::from_millis(20 + random.below(400)));
        server.kill();
        waiting = sender.join().unwrap();
    }
    let server = start(&data);
    for number in waiting {
        assert!(hand_over(server.lmtp(), number).unwrap());
    }
    assert!(server.terminate());
    let count = |sql: &str| {
        let db = rusqlite::Connection::open(data.join("wartburg.db")).unwrap();
        db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(count("SELECT COUNT(*) FROM letter"), all as i64);
    assert_eq!(count("SELECT COUNT(DISTINCT message_id) FROM letter"), all as i64, "each once");
    assert_eq!(count("SELECT COUNT(*) FROM letter l WHERE NOT EXISTS (SELECT 1 FROM exhibit e WHERE e.letter = l.id)"), 0);
    let verified = wartburg(&data, &["verify"]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success() && said.contains("sie sind unverändert"), "{said}");
    let aside = std::fs::read_dir(data.join("exhibits/new")).unwrap().count();
    assert_eq!(aside, 0, "nothing half-written is left");
}

fn start(data: &Path) -> Server {
    Server::start_as(data, &Setup { config: "[mailroom]\nlmtp = \"127.0.0.1:0\"\n".into(), ..Setup::default() })
}

/// One letter over a connection of its own; whether it was acknowledged.
fn hand_over(address: SocketAddr, number: u64) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let text = format!(
        "From: a@stelle-{number}.example\r\nMessage-ID: <{number}@stelle.example>\r\nSubject: Brief {number}\r\n\r\n{}\r\n.\r\n",
        "Zeile. ".repeat(200)
    );
    let says = format!("LHLO mx\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<cert@cert.example>\r\nDATA\r\n{text}QUIT\r\n");
    stream.write_all(says.as_bytes())?;
    let mut last = String::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(last.contains("kept"));
        }
        if !line.starts_with("221") {
            last = line;
        }
    }
}

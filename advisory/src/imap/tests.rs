//! IMAP against a server that says what a script tells it: what is fetched, when it is marked, and what a lost line costs.

use std::collections::BTreeMap;
use std::sync::Mutex;

use ingest::db::DbError;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::mailroom::tests::Room;

/// A mailbox: UID to letter, and what happened to each.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Mailbox>>);

#[derive(Default)]
struct Mailbox {
    letters: BTreeMap<u32, (String, String)>,
    moved: Vec<u32>,
    /// Hangs up when it hears this.
    cut: Option<&'static str>,
    /// Says that letters are so long.
    size: Option<u64>,
    /// Gives no text for it.
    mute: Option<u32>,
    /// Says nothing of it, as of one that somebody has just moved away.
    gone: Option<u32>,
    commands: Vec<String>,
}

impl Server {
    async fn start(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.talk(stream).await });
            }
        });
        port
    }

    async fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"* OK ready\r\n").await?;
        while let Some(line) = lines.next_line().await? {
            let (tag, command) = line.split_once(' ').unwrap();
            let (answer, end) = self.answer(command);
            if end {
                return Ok(());
            }
            write.write_all(format!("{answer}{tag} OK done\r\n").as_bytes()).await?;
        }
        Ok(())
    }

    fn answer(&self, command: &str) -> (String, bool) {
        let mut mailbox = self.0.lock().unwrap();
        mailbox.commands.push(command.to_owned());
        if mailbox.cut.is_some_and(|cut| command.contains(cut)) {
            mailbox.cut = None;
            return (String::new(), true);
        }
        let words: Vec<&str> = command.split(' ').collect();
        let uid = words.get(2).and_then(|uid| uid.parse::<u32>().ok()).unwrap_or_default();
        let answer = match (words[0], words.get(1).copied().unwrap_or_default()) {
            ("SELECT", _) => format!("* {} EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n", mailbox.letters.len()),
            ("UID", "SEARCH") => {
                let seen = command.contains("UNSEEN");
                let new = mailbox.letters.iter().filter(|(_, (_, flags))| !(flags.contains("Flagged") || (seen && flags.contains("Seen"))));
                format!("* SEARCH {}\r\n", new.map(|(uid, _)| uid.to_string()).collect::<Vec<_>>().join(" "))
            }
            ("UID", "FETCH") => {
                if mailbox.gone == Some(uid) {
                    return (String::new(), false);
                }
                let text = mailbox.letters[&uid].0.clone();
                let size = mailbox.size.unwrap_or(text.len() as u64);
                if command.contains("SIZE") {
                    format!("* 9 FETCH (FLAGS (\\Recent))\r\n* 1 FETCH (UID {uid} RFC822.SIZE {size})\r\n")
                } else if mailbox.mute == Some(uid) {
                    format!("* 1 FETCH (UID {uid} BODY[] NIL)\r\n")
                } else {
                    format!("* 1 FETCH (UID {uid} BODY[] {{{}}}\r\n{text})\r\n", text.len())
                }
            }
            ("UID", "STORE") => {
                mailbox.letters.get_mut(&uid).unwrap().1.push_str(command);
                String::new()
            }
            ("UID", "MOVE") => {
                mailbox.letters.remove(&uid);
                mailbox.moved.push(uid);
                String::new()
            }
            _ => String::new(),
        };
        (answer, false)
    }

    fn put(&self, uid: u32) {
        let text = format!("From: a@b.example\r\nMessage-ID: <{uid}@b.example>\r\nSubject: {uid}\r\n\r\ntext\r\n");
        self.0.lock().unwrap().letters.insert(uid, (text, String::new()));
    }
}

fn poller(room: &Room, port: u16, done: Option<&str>) -> Poller {
    let config = ImapConfig {
        host: "127.0.0.1".into(),
        port,
        tls: Tls::None,
        login: Login { user: "cert".into(), password: "geheim".into() },
        folder: "INBOX".into(),
        done: done.map(str::to_owned),
        every: Duration::from_secs(60),
    };
    Poller::new(config, room.mailroom.clone()).unwrap()
}

fn letters(room: &Room) -> i64 {
    room.fixture.db.read(|c| Ok::<_, DbError>(c.query_row("SELECT COUNT(*) FROM letter", [], |row| row.get(0))?)).unwrap()
}

#[tokio::test]
async fn what_is_new_is_kept_and_then_marked() {
    let (room, server) = (Room::new(), Server::default());
    [3, 5].into_iter().for_each(|uid| server.put(uid));
    let poller = poller(&room, server.start().await, None);
    assert_eq!(poller.pass().await.unwrap(), Pass { kept: 2, left: 0 });
    assert_eq!(poller.pass().await.unwrap(), Pass::default());
    server.put(9);
    assert_eq!(poller.pass().await.unwrap().kept, 1);
    assert_eq!(letters(&room), 3);
    let commands = server.0.lock().unwrap().commands.clone();
    let at = |what: &str| commands.iter().position(|command| command.contains(what)).unwrap();
    assert!(at("UID FETCH 3 (UID BODY.PEEK[])") < at("UID STORE 3 +FLAGS.SILENT (\\Seen)"));
}

#[tokio::test]
async fn a_line_that_breaks_anywhere_loses_and_doubles_nothing() {
    for done in [None, Some("Erledigt")] {
        let (room, server) = (Room::new(), Server::default());
        [1, 2].into_iter().for_each(|uid| server.put(uid));
        let poller = poller(&room, server.start().await, done);
        for cut in ["LOGIN", "SELECT", "SEARCH", "SIZE", "PEEK", "STORE 1", "MOVE 1", "UID FETCH 2 (UID BODY", "STORE 2", "MOVE 2"] {
            server.0.lock().unwrap().cut = Some(cut);
            let _ = poller.pass().await;
            server.0.lock().unwrap().cut = None;
        }
        poller.pass().await.unwrap();
        assert_eq!(letters(&room), 2);
        let mailbox = server.0.lock().unwrap();
        match done {
            None => assert!(mailbox.letters.values().all(|(_, flags)| flags.contains("Seen"))),
            Some(_) => assert_eq!((mailbox.letters.len(), mailbox.moved.as_slice()), (0, [1, 2].as_slice())),
        }
    }
}

#[tokio::test]
async fn a_mailbox_made_anew_brings_no_letter_twice_and_a_long_one_is_left() {
    let (room, server) = (Room::new(), Server::default());
    server.put(1);
    let poller = poller(&room, server.start().await, None);
    poller.pass().await.unwrap();
    let old = server.0.lock().unwrap().letters.remove(&1).unwrap();
    server.0.lock().unwrap().letters.insert(77, (old.0, String::new()));
    assert_eq!(poller.pass().await.unwrap().kept, 1);
    assert_eq!(letters(&room), 1);
    server.put(80);
    server.0.lock().unwrap().size = Some(MAIL_BYTES_MAX + 1);
    assert_eq!(poller.pass().await.unwrap(), Pass { kept: 0, left: 1 });
    assert_eq!(poller.pass().await.unwrap(), Pass::default(), "it is flagged and not asked for again");
    assert_eq!(letters(&room), 2, "a note of it waits in the tray");
}

/// A letter without a text, one that brings its reader down and one that is gone stand before a good one.
#[tokio::test]
async fn a_letter_that_cannot_be_taken_holds_up_none_behind_it() {
    let room = Room::new().reading(|bytes, authserv| match String::from_utf8_lossy(bytes).contains("Subject: 2\r\n") {
        true => panic!("planted"),
        false => crate::letter::letter_read(bytes, authserv),
    });
    let server = Server::default();
    (1..=4).for_each(|uid| server.put(uid));
    {
        let mut mailbox = server.0.lock().unwrap();
        (mailbox.mute, mailbox.gone) = (Some(1), Some(3));
    }
    let poller = poller(&room, server.start().await, None);
    assert_eq!(poller.pass().await.unwrap(), Pass { kept: 2, left: 1 });
    let mut told: Vec<String> = room.tray();
    told.sort();
    assert_eq!(told, [" unreadable", "4 ", "Nicht abgeholt: INBOX, UID 1 (1) not_fetched"]);
    let flags = |uid: u32| server.0.lock().unwrap().letters[&uid].1.clone();
    assert!(flags(1).contains("Flagged") && flags(2).contains("Seen") && flags(3).is_empty() && flags(4).contains("Seen"));
    server.0.lock().unwrap().gone = None;
    assert_eq!(poller.pass().await.unwrap(), Pass { kept: 1, left: 0 });
}

#[test]
fn a_password_does_not_travel_in_the_open() {
    let room = Room::new();
    let config = ImapConfig { host: "imap.example".into(), ..poller(&room, 1, None).config };
    assert!(matches!(Poller::new(config.clone(), room.mailroom.clone()), Err(ImapError::OpenPassword)));
    assert!(!format!("{config:?}").contains("geheim"));
}

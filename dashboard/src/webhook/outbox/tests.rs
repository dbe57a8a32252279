//! The webhooks' outbox over a real database: what is told, once, to whom, and what becomes of it where nobody takes it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::*;
use crate::web::tests::{Front, now, open_case};
use crate::webhook::send::{Net, signature};
use crate::webhook::{NewWebhook, Webhook, webhook_add, webhook_again, webhook_end, webhook_list};

/// (id, event, content) of each try.
type Tries = Arc<Mutex<Vec<(String, String, String)>>>;

/// Answers each try with the next word, and in the end with the last.
struct Script {
    words: Mutex<Vec<Said>>,
    tries: Tries,
}

impl Post for Script {
    fn post(&self, _: &str, id: &str, event: &str, content: &str, secret: &[u8], _: Timestamp) -> Said {
        assert_eq!(secret.len(), 64);
        self.tries.lock().unwrap().push((id.to_owned(), event.to_owned(), content.to_owned()));
        let mut words = self.words.lock().unwrap();
        if words.len() > 1 { words.remove(0) } else { words[0].clone() }
    }
}

struct World {
    front: Front,
    vault: Arc<Vault>,
    tries: Tries,
}

impl World {
    fn new() -> Self {
        let front = Front::new();
        let vault = front.app.door.vault.clone();
        Self { front, vault, tries: Tries::default() }
    }

    fn hook(&self, url: &str, events: &[Event], at: Timestamp) -> (WebhookId, String) {
        let (vault, new) = (self.vault.clone(), NewWebhook { name: "Tickets".into(), url: url.into(), events: events.to_vec() });
        let (id, secret) = self.front.app.db.write(move |tx| webhook_add(tx, &vault, &new, "chefin", at)).unwrap();
        (id, secret.reveal().to_owned())
    }

    fn teller(&self, words: &[Said]) -> Teller {
        let post = Script { words: Mutex::new(words.to_vec()), tries: self.tries.clone() };
        Teller::new(self.front.app.db.clone(), Box::new(post), "https://wartburg.example".into())
    }

    fn look(&self, teller: &mut Teller, at: Timestamp) -> Looked {
        teller.look(&self.vault, at, &|| false).unwrap()
    }

    fn listed(&self) -> Webhook {
        self.front.app.db.read(webhook_list).unwrap().remove(0)
    }

    fn tried(&self) -> Vec<(String, String, String)> {
        std::mem::take(&mut self.tries.lock().unwrap())
    }
}

const URL: &str = "https://tickets.example/wartburg";

fn away() -> Said {
    Said::Away("HTTP 503".into())
}

#[test]
fn each_event_is_told_once_whatever_dies() {
    let world = World::new();
    open_case(&world.front, world.front.body, "Vor dem Eintragen");
    let later = now().plus(1_000);
    world.hook(URL, &[Event::Opened], later);
    world.front.app.clock.set(later);
    let mut teller = world.teller(&[Said::Taken]);
    assert_eq!(world.look(&mut teller, later), Looked::default(), "what was before is not told");
    let number = {
        let db = &world.front.app.db;
        let number = open_case(&world.front, world.front.body, "Geheimer Titel");
        // As if it had happened now: the fixture's cases are all of one moment.
        let (at, named) = (later, number.clone());
        db.write(move |tx| {
            let sql = "UPDATE history SET recorded_at = ?2, id = ?3 WHERE kind = 'incident.opened' AND subject = (SELECT id FROM incident WHERE number = ?1)";
            tx.execute(sql, params![named, at.0, HistoryId::new(at)]).map_err(DbError::from)
        })
        .unwrap();
        number
    };
    assert_eq!(world.look(&mut teller, later), Looked { queued: 1, sent: 1, failed: 0 });
    let tried = world.tried();
    let [(_, event, content)] = tried.as_slice() else { panic!("{tried:?}") };
    let told: Value = serde_json::from_str(content).unwrap();
    assert_eq!(
        (event.as_str(), &told["event"], &told["incident"]["number"]),
        ("incident.opened", &json!("incident.opened"), &json!(number))
    );
    assert_eq!(told["incident"]["url"], format!("https://wartburg.example/vorfall/{number}"));
    assert!(!content.contains("Geheimer"), "that something happened, not what: {content}");
    // The same again, after a start, and long after.
    for (teller, at) in
        [(&mut teller, later), (&mut world.teller(&[Said::Taken]), later), (&mut world.teller(&[Said::Taken]), later.plus(Timestamp::HOUR))]
    {
        assert_eq!(world.look(teller, at).sent, 0);
    }
    assert!(world.tried().is_empty());
    assert!(world.listed().sent_at.is_some());
}

#[test]
fn what_is_red_is_told_to_no_program() {
    let world = World::new();
    world.hook(URL, &Event::ALL, now().plus(-1_000));
    open_case(&world.front, world.front.body, "Fall");
    world.front.app.db.write(|tx| tx.execute("UPDATE incident SET tlp = 'RED'", []).map_err(DbError::from)).unwrap();
    assert_eq!(world.look(&mut world.teller(&[Said::Taken]), now()), Looked::default());
}

#[test]
fn who_is_away_is_tried_less_and_less_and_in_the_end_no_more() {
    let world = World::new();
    let (id, _) = world.hook(URL, &[Event::Opened], now().plus(-1_000));
    open_case(&world.front, world.front.body, "Eins");
    open_case(&world.front, world.front.body, "Zwei");
    let mut teller = world.teller(&[away()]);
    assert_eq!(world.look(&mut teller, now()), Looked { queued: 2, sent: 0, failed: 1 }, "one try stands for all");
    assert_eq!(world.look(&mut teller, now().plus(4_999)).failed, 0, "not yet");
    let mut at = now();
    for _ in 1..ATTEMPTS_MAX {
        at = at.plus(BACKOFF_MILLIS_MAX);
        assert_eq!(world.look(&mut teller, at).failed, 1);
    }
    let listed = world.listed();
    assert_eq!((listed.queued, listed.dead, listed.error.as_deref()), (0, 2, Some("HTTP 503")), "seen on the page");
    assert_eq!(world.look(&mut teller, at.plus(Timestamp::DAY)).failed, 0, "given up");
    let first = world.tried().remove(0).0;
    world.front.app.db.write(move |tx| webhook_again(tx, id, at)).unwrap();
    assert_eq!(world.look(&mut world.teller(&[Said::Taken]), at).sent, 2);
    assert_eq!(world.tried()[0].0, first, "the receiver knows it by its id");
    let listed = world.listed();
    assert_eq!((listed.queued, listed.dead, listed.error), (0, 0, None));
}

#[test]
fn news_do_not_wear_out_what_waits() {
    let world = World::new();
    world.hook(URL, &[Event::Opened], now().plus(-1_000));
    let mut teller = world.teller(&[away()]);
    for n in 0..ATTEMPTS_MAX + 3 {
        open_case(&world.front, world.front.body, "Noch einer");
        assert_eq!(world.look(&mut teller, now().plus(n)).failed, usize::from(n == 0), "who is away is left in peace for a while");
    }
    let listed = world.listed();
    assert_eq!((listed.queued, listed.dead), (ATTEMPTS_MAX + 3, 0));
    let mut back = world.teller(&[Said::Taken]);
    assert_eq!(world.look(&mut back, now().plus(BACKOFF_MILLIS_MIN)).sent, usize::try_from(ATTEMPTS_MAX + 3).unwrap());
}

#[test]
fn one_that_is_refused_holds_nobody_up_and_an_ended_one_hears_nothing() {
    let world = World::new();
    let (id, _) = world.hook(URL, &[Event::Opened], now().plus(-1_000));
    open_case(&world.front, world.front.body, "Eins");
    open_case(&world.front, world.front.body, "Zwei");
    let mut teller = world.teller(&[Said::Refused("HTTP 400".into()), Said::Taken]);
    assert_eq!(world.look(&mut teller, now()), Looked { queued: 2, sent: 1, failed: 1 });
    assert!(world.front.app.db.write(move |tx| webhook_end(tx, id, now())).unwrap());
    assert!(!world.front.app.db.write(move |tx| webhook_again(tx, id, now())).unwrap());
    open_case(&world.front, world.front.body, "Drei");
    assert_eq!(world.look(&mut teller, now().plus(Timestamp::DAY)), Looked::default());
}

#[test]
fn waits_double_and_have_an_end() {
    assert_eq!([0, 1, 2, 5, 40].map(backoff), [5_000, 10_000, 20_000, 160_000, BACKOFF_MILLIS_MAX]);
    let all: i64 = (0..ATTEMPTS_MAX - 1).map(backoff).sum();
    assert!((7 * Timestamp::HOUR..9 * Timestamp::HOUR).contains(&all), "{all}");
}

#[test]
fn a_receiver_can_check_what_it_gets() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim_end().to_lowercase();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
            head.push(line);
        }
        let mut content = vec![0; length];
        reader.read_exact(&mut content).unwrap();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        (head, String::from_utf8(content).unwrap())
    });
    let (_, secret) = world.hook(&url, &[Event::Opened], now().plus(-1_000));
    open_case(&world.front, world.front.body, "Fall");
    let mut teller = Teller::new(world.front.app.db.clone(), Box::new(Net::new(vec![])), String::new());
    assert_eq!(world.look(&mut teller, now()), Looked { queued: 1, sent: 1, failed: 0 });
    let (head, content) = receiver.join().unwrap();
    let field = |name: &str| head.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} in {head:?}"));
    assert_eq!(field("x-wartburg-signature: "), signature(secret.as_bytes(), now(), &content));
    assert_eq!((field("x-wartburg-event: "), field("content-type: ")), ("incident.opened", "application/json"));
    assert_eq!(field("x-wartburg-id: ").len(), 26);
}

//! The mail room over a real database: what is kept, once, and what it does to cases.

use std::fmt::Write as _;

use detect::exhibit::{MAIL_BYTES_MAX, exhibit_list, exhibit_of_letter};
use detect::incident::{IncidentFilter, Origin, Tlp, incident_get, incident_list};
use detect::role::Role;
use expect_test::expect;
use ingest::disk::Watermark;
use ingest::history::history_of;
use ingest::id::Ulid;
use ingest::scope::Scope;
use ingest::time::Clock;

use super::receive::digest;
use super::*;
use crate::csaf::tests::publisher;
use crate::outbox::{OutboxState, outbox_claim, outbox_list, outbox_sent};
use crate::store::tests::Fixture;

pub(crate) struct Room {
    pub(crate) fixture: Fixture,
    pub(crate) mailroom: Mailroom,
    pub(crate) clock: Clock,
}

const START: Timestamp = Timestamp(1_795_248_000_000);

impl Room {
    pub(crate) fn new() -> Self {
        let fixture = Fixture::new();
        let locker = Locker::open(&fixture.dir.path().join("exhibits"), Watermark::default()).unwrap();
        let clock = Clock::manual(START);
        let own = Own { address: "cert@cert.example".into(), authserv: Some("mx.cert.example".into()), ..Own::default() };
        let mailroom = Mailroom::new(fixture.db.clone(), locker, clock.clone(), own);
        Self { fixture, mailroom, clock }
    }

    fn receive(&self, raw: &str) -> Receipt {
        let raw = raw.replace('\n', "\r\n");
        let mut draft = self.mailroom.locker().draft(MAIL_BYTES_MAX).unwrap();
        draft.write(raw.as_bytes()).unwrap();
        self.mailroom.receive(draft).unwrap()
    }

    /// The files that the locker holds, whole and aside.
    fn files(&self) -> Vec<std::path::PathBuf> {
        let list = |dir: std::path::PathBuf| std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        list(self.fixture.dir.path().join("exhibits")).flat_map(list).collect()
    }

    /// What waits in the tray: subject and defects.
    pub(crate) fn tray(&self) -> Vec<String> {
        let filter = LetterFilter { state: LetterState::Tray, before: None, limit: 100 };
        let letters = self.fixture.db.read(|c| letter_list(c, &Scope::All, filter)).unwrap();
        let words = |letter: &StoredLetter| letter.defects.iter().map(|defect| defect.as_str()).collect::<Vec<_>>().join(" ");
        letters.iter().map(|letter| format!("{} {}", letter.subject, words(letter))).collect()
    }

    /// The same room with another reader of mails.
    pub(crate) fn reading(mut self, reader: Reader) -> Self {
        self.mailroom.reader = reader;
        self
    }

    /// A letter of the own body's ISB, proved by our mail server.
    fn isb(&self, id: &str, subject: &str, head: &str) -> LetterId {
        let raw = format!(
            "Authentication-Results: mx.cert.example; dmarc=pass header.from=stadt-soemmerda.example\nFrom: ISB <isb@stadt-soemmerda.example>\n\
             To: cert@cert.example\nMessage-ID: <{id}@soemmerda.example>\nSubject: {subject}\n{head}\nText von {id}\n"
        );
        match self.receive(&raw) {
            Receipt::Kept(id) => id,
            Receipt::Known(_) => panic!("{id} was known"),
        }
    }

    fn get(&self, id: LetterId) -> StoredLetter {
        self.fixture.db.read(|c| letter_get(c, &Scope::All, id)).unwrap().unwrap()
    }

    fn cases(&self) -> Vec<detect::incident::Incident> {
        self.fixture.db.read(|c| incident_list(c, &IncidentFilter { limit: 100, ..IncidentFilter::new(Scope::All) })).unwrap()
    }

    /// A reply out of a case, as the outbox sent it; gives its Message-ID.
    fn reply(&self, incident: &detect::incident::Incident, tlp: Tlp, email: &str) -> String {
        let reply = Reply {
            once: LetterId::new(self.clock.now()),
            incident: incident.id,
            number: incident.number.clone(),
            tlp,
            body: self.fixture.bodies[0],
            body_name: "Stadt Sömmerda".into(),
            contact: ContactId(Ulid(9)),
            contact_name: "ISB".into(),
            email: email.into(),
            subject: "Rückfrage".into(),
            text: "Ist der Rechner noch am Netz?\u{7}".into(),
            answers: Some("m1@soemmerda.example".into()),
        };
        let now = self.clock.now();
        let send = || {
            let reply = reply.clone();
            self.fixture.db.write(move |tx| letter_send(tx, &reply, &publisher(), true, "anna", Role::Analyst, now)).unwrap()
        };
        assert!(send());
        assert!(!send(), "the same form is one letter");
        let sent = self.fixture.db.write(move |tx| {
            let rows = outbox_claim(tx, "cert.example", 10, now)?;
            rows.iter().try_for_each(|row| outbox_sent(tx, row, now))?;
            Ok::<_, DbError>(rows)
        });
        sent.unwrap().pop().unwrap().message_id
    }
}

#[test]
fn a_contacts_letter_opens_a_case_and_is_kept_whole() {
    let room = Room::new();
    let id = room.isb(
        "m1",
        "Rechner verschlüsselt",
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nHilfe!\n--b\nContent-Type: image/png; name=a.png\n\n\
         PK-kein-Bild\n--b--",
    );
    let letter = room.get(id);
    let cases = room.cases();
    assert_eq!((cases.len(), cases[0].origin, cases[0].title.as_str()), (1, Origin::Mail, "Rechner verschlüsselt"));
    assert_eq!((cases[0].body, letter.incident, letter.body), (Some(room.fixture.bodies[0]), Some(cases[0].id), cases[0].body));
    let exhibits = room.fixture.db.read(|c| exhibit_list(c, &Scope::All, cases[0].id)).unwrap();
    let told: Vec<String> = exhibits.iter().map(|one| format!("{} {} {}", one.name, one.found, one.quarantined)).collect();
    assert_eq!(told, ["nachricht.eml text/plain true", "a.png text/plain true"]);
    assert_eq!(exhibits[1].warnings, [detect::exhibit::Warning::OtherType]);
    let raw = room.mailroom.locker().read(&exhibits[0].sha256).unwrap();
    assert!(raw.starts_with(b"Authentication-Results:"), "the raw mail is kept byte for byte");
    let kinds: Vec<String> =
        room.fixture.db.read(|c| history_of(c, &cases[0].id.to_string())).unwrap().into_iter().map(|event| event.kind).collect();
    let after = ["incident.first_activity", "incident.aware", "incident.opened", "exhibit.added", "exhibit.added", "letter.received"];
    assert_eq!(kinds, after);
    let own = Scope::Bodies(vec![room.fixture.bodies[0]]);
    let other = Scope::Bodies(vec![room.fixture.bodies[1]]);
    let seen = |scope: &Scope| room.fixture.db.read(|c| letters_of_case(c, scope, cases[0].id)).unwrap().len();
    assert_eq!((seen(&own), seen(&other), seen(&Scope::All)), (1, 0, 1));
    assert!(room.fixture.db.read(|c| letter_get(c, &own, id)).unwrap().is_none(), "the tray is nobody's");
}

#[test]
fn the_same_letter_is_kept_once_whatever_stands_in_front_of_it() {
    let room = Room::new();
    let raw = "From: x@y.example\nMessage-ID: <1@y>\nSubject: a\n\ntext\n";
    let Receipt::Kept(id) = room.receive(raw) else { panic!() };
    for again in [raw.to_owned(), format!("Received: from a by b; now\nDelivered-To: wid@cert.example\n{raw}")] {
        assert_eq!(room.receive(&again), Receipt::Known(id));
    }
    // Another text under the same Message-ID is another letter: nobody can keep one away by being faster.
    assert!(matches!(room.receive(&raw.replace("text", "anders")), Receipt::Kept(_)));
    assert_ne!(digest(b"From: a\r\n\r\nx"), digest(b"From: a\r\nSubject: b\r\n\r\nx"));
}

/// Each way puts its own lines in front, so each time the raw bytes are others.
#[test]
fn a_letter_brought_again_leaves_no_file() {
    let room = Room::new();
    let raw = "From: x@y.example\nMessage-ID: <1@y>\nSubject: a\n\ntext\n";
    room.receive(raw);
    assert_eq!(room.files().len(), 1);
    for way in 0..3 {
        assert!(matches!(room.receive(&format!("Received: from {way} by b; now\n{raw}")), Receipt::Known(_)));
    }
    assert_eq!(room.files().len(), 1);
}

/// What a letter holds never keeps it away: it waits with what is wrong with it, and its raw bytes are there.
#[test]
fn whatever_a_letter_does_to_its_reader_it_is_kept_and_shown() {
    let raw = "From: x@y.example\nSubject: a\n\ntext\n";
    let large: Reader = |bytes, authserv| {
        let content = vec![0; usize::try_from(detect::exhibit::FILE_BYTES_MAX).unwrap() + 1];
        let attachment = crate::letter::Attachment { name: "a.bin".into(), claimed: String::new(), content };
        Letter { attachments: vec![attachment.clone(), attachment], ..crate::letter::letter_read(bytes, authserv) }
    };
    for (reader, defect, subject) in [(large, Defect::LargeFile, "a"), ((|_, _| panic!("planted")) as Reader, Defect::Unreadable, "")] {
        let room = Room::new().reading(reader);
        let Receipt::Kept(id) = room.receive(raw) else { panic!() };
        let letter = room.get(id);
        assert_eq!((letter.state, letter.defects.as_slice(), letter.subject.as_str()), (LetterState::Tray, [defect].as_slice(), subject));
        let exhibits = room.fixture.db.read(|c| exhibit_of_letter(c, &id.to_string())).unwrap();
        assert_eq!(exhibits.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["nachricht.eml"]);
        assert_eq!(room.mailroom.locker().read(&exhibits[0].sha256).unwrap(), raw.replace('\n', "\r\n").as_bytes());
        assert!(matches!(room.receive(raw), Receipt::Known(_)));
    }
}

#[test]
fn an_answer_finds_its_case_and_a_claim_does_not() {
    let room = Room::new();
    room.isb("m1", "Erster Fall", "");
    let case = room.cases().remove(0);
    let ours = room.reply(&case, Tlp::Green, "isb@stadt-soemmerda.example");
    let by_answer = room.isb("m2", "AW: etwas anderes", &format!("In-Reply-To: {ours}\n"));
    let by_number = room.isb("m3", &format!("Zu {}", case.number), "");
    let stranger = room.receive(&format!("From: x@evil.example\nSubject: {}\n\nx\n", case.number));
    let guessed = room.receive("From: x@evil.example\nIn-Reply-To: <01ARZ3NDEKTSV4RRFFQ69G5FAV@cert.example>\nSubject: geraten\n\nx\n");
    let forged = room.receive(&format!(
        "Authentication-Results: mx.cert.example; dmarc=fail header.from=stadt-soemmerda.example\nFrom: isb@stadt-soemmerda.example\n\
         In-Reply-To: {ours}\nSubject: {}\n\nBitte überweisen\n",
        case.number
    ));
    let mut table = String::new();
    for (name, id) in [("answer", by_answer), ("number", by_number)].into_iter().chain(
        [("stranger", stranger), ("guessed", guessed), ("forged", forged)].map(|(name, receipt)| match receipt {
            Receipt::Kept(id) | Receipt::Known(id) => (name, id),
        }),
    ) {
        let letter = room.get(id);
        let place = if letter.incident == Some(case.id) { "case" } else { "-" };
        writeln!(table, "{name}: {} {place} {} {}", letter.state.as_str(), letter.why.unwrap().as_str(), letter.sender.unwrap().as_str())
            .unwrap();
    }
    expect![[r#"
        answer: filed case answer proved
        number: filed case number proved
        stranger: tray - stranger stranger
        guessed: tray - stranger stranger
        forged: tray - forged forged
    "#]]
    .assert_eq(&table);
    assert_eq!(room.cases().len(), 1);
}

#[test]
fn loops_and_programs_open_nothing_and_a_flood_ends() {
    let room = Room::new();
    room.isb("m1", "Fall", "");
    let case = room.cases().remove(0);
    let ours = room.reply(&case, Tlp::Green, "isb@stadt-soemmerda.example");
    let away = room.isb("m2", "Abwesend", &format!("Auto-Submitted: auto-replied\nIn-Reply-To: {ours}\n"));
    assert_eq!((room.get(away).incident, room.get(away).automatic), (Some(case.id), true));
    let alone = room.isb("m3", "Abwesend", "Auto-Submitted: auto-replied\n");
    assert_eq!(room.get(alone).state, LetterState::Aside);
    // Our own mail comes back, by somebody's forwarding.
    let Receipt::Kept(back) =
        room.receive(&format!("From: ThüringenCERT <cert@cert.example>\nMessage-ID: {ours}\nSubject: Rückfrage\n\nx\n"))
    else {
        panic!()
    };
    assert_eq!((room.get(back).state, room.get(back).why), (LetterState::Aside, Some(Why::Loop)));
    for n in 10..20 {
        room.isb(&format!("m{n}"), &format!("Fall {n}"), "");
    }
    assert_eq!(room.cases().len(), 5, "five within an hour");
    let (waiting, _) = room.fixture.db.read(letter_counts).unwrap();
    assert_eq!(waiting, 6);
    room.clock.set(START.plus(2 * Timestamp::HOUR));
    room.isb("m30", "später", "");
    assert_eq!(room.cases().len(), 6);
    let queued = room.fixture.db.read(|c| outbox_list(c, &Scope::All, Some(OutboxState::Queued), 99)).unwrap();
    assert!(queued.is_empty(), "nothing is answered by itself: {queued:?}");
}

#[test]
fn a_report_is_shown_with_the_mail_that_it_is_about() {
    let room = Room::new();
    room.isb("m1", "Fall", "");
    let case = room.cases().remove(0);
    let ours = room.reply(&case, Tlp::Green, "isb@stadt-soemmerda.example");
    let Receipt::Kept(id) = room.receive(&format!(
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nSubject: Undelivered\nContent-Type: multipart/report; \
         report-type=delivery-status; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\nFinal-Recipient: \
         rfc822; isb@stadt-soemmerda.example\nAction: failed\nStatus: 5.1.1\n\n--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: {ours}\n--b--\n"
    )) else {
        panic!()
    };
    assert_eq!((room.get(id).incident, room.get(id).why), (Some(case.id), Some(Why::Report)));
    let letters = room.fixture.db.read(|c| letters_of_case(c, &Scope::All, case.id)).unwrap();
    let out = letters.iter().find(|letter| letter.direction == Direction::Out).unwrap();
    assert_eq!(out.sent, Some((OutboxState::Bounced, Some("5.1.1".into()))));
}

#[test]
fn what_waits_is_sorted_by_a_person_once() {
    let room = Room::new();
    let Receipt::Kept(id) = room.receive("From: x@neu.example\nSubject: Wir haben ein Problem\n\nBitte melden\n") else { panic!() };
    let files = |letter: LetterId| room.fixture.db.read(|c| exhibit_of_letter(c, &letter.to_string())).unwrap();
    assert_eq!((room.get(id).state, room.cases().len(), files(id)[0].incident), (LetterState::Tray, 0, None));
    let body = room.fixture.bodies[1];
    let open = |role| room.fixture.db.write(move |tx| letter_open_case(tx, id, Some(body), "anna", role, START));
    assert!(matches!(open(Role::Municipality), Err(MailroomError::Case(CaseError::Forbidden { .. }))));
    let case = open(Role::Analyst).unwrap();
    assert_eq!((room.get(id).incident, files(id)[0].incident), (Some(case), Some(case)));
    assert!(matches!(open(Role::Analyst), Err(MailroomError::Case(CaseError::Transition { .. }))), "filed is filed");
    let view = room.fixture.db.read(|c| incident_get(c, &Scope::All, case)).unwrap().unwrap();
    assert_eq!((view.incident.body, view.summary.as_str()), (Some(body), "Bitte melden"));
    let Receipt::Kept(spam) = room.receive("From: x@spam.example\nSubject: Gewinn\n\nx\n") else { panic!() };
    room.fixture.db.write(move |tx| letter_set_aside(tx, spam, Role::Lead)).unwrap();
    let Receipt::Kept(late) = room.receive("From: x@neu.example\nSubject: Nachtrag\n\nx\n") else { panic!() };
    room.fixture.db.write(move |tx| letter_file(tx, late, case, "anna", Role::Analyst, START)).unwrap();
    let list =
        |state| room.fixture.db.read(|c| letter_list(c, &Scope::All, LetterFilter { state, before: None, limit: 10 })).unwrap().len();
    assert_eq!((list(LetterState::Tray), list(LetterState::Aside), list(LetterState::Filed)), (0, 1, 2));
}

#[test]
fn what_is_confidential_stays_in_the_house_without_a_key() {
    let room = Room::new();
    room.isb("m1", "Fall", "");
    let case = room.cases().remove(0);
    let texts = |tlp| {
        room.reply(&case, tlp, "isb@stadt-soemmerda.example");
        let sql = "SELECT subject || char(10) || body_text FROM outbox ORDER BY id DESC LIMIT 1";
        room.fixture.db.read(|c| Ok::<_, DbError>(c.query_row(sql, [], |row| row.get::<_, String>(0))?)).unwrap()
    };
    let (green, amber) = (texts(Tlp::Green), texts(Tlp::Amber));
    assert!(green.contains("noch am Netz?") && green.contains("Rückfrage") && !green.contains('\u{7}'), "{green}");
    assert!(!amber.contains("Netz") && !amber.contains("Rückfrage") && amber.contains("/vorfall/"), "{amber}");
    let letters = room.fixture.db.read(|c| letters_of_case(c, &Scope::All, case.id)).unwrap();
    let said: Vec<&str> = letters.iter().filter(|letter| letter.direction == Direction::Out).map(|letter| letter.text.as_str()).collect();
    assert_eq!(said, ["Ist der Rechner noch am Netz?"; 2], "the case knows what was said");
}

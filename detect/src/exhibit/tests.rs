//! Exhibits: what is kept, what is refused, what is said of it, and who had it in hands.

use expect_test::expect;
use ingest::db::Db;
use ingest::disk::{Space, Thresholds, Watermark};
use ingest::scope::Scope;
use proptest::prelude::*;

use super::*;
use crate::alert::Observables;
use crate::incident::fixture::{START, World};
use crate::incident::{NewIncident, Origin, Tlp, incident_open_manual};
use crate::role::Role;
use crate::rsit::Rsit;
use crate::rule::Level;

struct Room {
    world: World,
    locker: Locker,
    watermark: Watermark,
    incident: IncidentId,
    dir: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        let (world, dir, watermark) = (World::new(), tempfile::tempdir().unwrap(), Watermark::default());
        let body = world.bodies[0];
        let new = NewIncident {
            title: "Verschlüsselter Rechner".into(),
            summary: "Anruf".into(),
            severity: Level::High,
            rsit: Rsit::UNDETERMINED,
            services: vec![],
            tlp: Tlp::Amber,
            origin: Origin::Phone,
            body: Some(body),
            site: None,
            first_activity: None,
            aware_at: START,
            observables: Observables::new(),
        };
        let incident = world
            .db
            .write(move |tx| incident_open_manual(tx, &Scope::All, &new, "anna", Role::Analyst, START))
            .unwrap_or_else(|error: CaseError| panic!("{error}"));
        Self { world, locker: Locker::open(dir.path(), watermark.clone()).unwrap(), watermark, incident, dir }
    }

    fn db(&self) -> &Db {
        &self.world.db
    }

    fn add(&self, source: Source, name: &str, claimed: &str, content: &[u8]) -> Result<ExhibitId, ExhibitError> {
        let sealed = self.locker.put(content, FILE_BYTES_MAX)?;
        let (name, claimed) = (name.to_owned(), claimed.to_owned());
        let new = NewExhibit { incident: Some(self.incident), letter: None, source, name, claimed, sealed };
        self.db().write(move |tx| exhibit_add(tx, &new, "anna", Some(Role::Analyst), START))
    }

    fn list(&self) -> Vec<Exhibit> {
        self.db().read(|c| exhibit_list(c, &Scope::All, self.incident)).unwrap()
    }
}

/// Local header of a ZIP with one entry; `flags` bit 0 says that it is encrypted.
fn zip(flags: u8) -> Vec<u8> {
    let mut head = b"PK\x03\x04\x14\0".to_vec();
    head.extend([flags, 0, 8, 0]);
    head.extend([0; 30]);
    head
}

#[test]
fn what_a_file_is_and_what_is_said_of_it() {
    let room = Room::new();
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice();
    let mz = [b"MZ".as_slice(), &[0; 64]].concat();
    for (name, claimed, content) in [
        ("bild.png", "image/png", png),
        ("rechnung.pdf", "application/pdf", &mz),
        ("rechnung.pdf", "application/pdf", b"%PDF-1.7\n"),
        ("log.txt", "text/plain; charset=utf-8", b"Nov 23 rathaus sshd"),
        ("bericht.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", &zip(0)),
        ("geheim.zip", "application/zip", &zip(1)),
        ("bombe.zip", "image/png", &zip(0)),
        ("skript", "text/plain", b"#!/bin/sh\nrm -rf /\n"),
        ("../../etc/passwd", "", b""),
        ("rechnung\u{202e}fdp.exe", "application/octet-stream", &mz),
        ("..", "image/jpeg", b"only text"),
    ] {
        room.add(Source::Upload, name, claimed, content).unwrap();
    }
    let line = |one: &Exhibit| {
        format!(
            "{} | {} | {} | {}\n",
            one.name,
            one.claimed,
            one.found,
            one.warnings.iter().map(|w| w.as_str()).collect::<Vec<_>>().join(" ")
        )
    };
    expect![[r#"
        bild.png | image/png | image/png | 
        rechnung.pdf | application/pdf | application/vnd.microsoft.portable-executable | other_type program
        rechnung.pdf | application/pdf | application/pdf | 
        log.txt | text/plain | text/plain | 
        bericht.docx | application/vnd.openxmlformats-officedocument.wordprocessingml.document | application/zip | archive
        geheim.zip | application/zip | application/zip | archive encrypted
        bombe.zip | image/png | application/zip | other_type archive
        skript | text/plain | text/x-shellscript | program
        passwd |  | text/plain | 
        rechnungfdp.exe | application/octet-stream | application/vnd.microsoft.portable-executable | program
        ohne-namen | image/jpeg | text/plain | other_type
    "#]]
    .assert_eq(&room.list().iter().map(line).collect::<String>());
}

#[test]
fn quarantine_is_opened_by_a_person_with_a_reason_and_every_hand_is_noted() {
    let room = Room::new();
    let (db, case) = (room.db(), room.incident);
    let id = room.add(Source::Attachment, "a.zip", "application/zip", &zip(0)).unwrap();
    let take = |role| db.write(move |tx| exhibit_taken(tx, case, id, "Analyse", "bert", role, START.plus(2_000)));
    let release = |why: &'static str, role| db.write(move |tx| exhibit_release(tx, case, id, why, "bert", role, START.plus(1_000)));
    assert!(matches!(take(Role::Analyst), Err(ExhibitError::Quarantined)));
    assert!(matches!(release(" ", Role::Analyst), Err(ExhibitError::Case(CaseError::Invalid { .. }))), "a reason is needed");
    assert!(matches!(release("geprüft", Role::Auditor), Err(ExhibitError::Case(CaseError::Forbidden { .. }))));
    release("geprüft in der Sandbox", Role::Analyst).unwrap();
    release("noch einmal", Role::Analyst).unwrap();
    take(Role::Lead).unwrap();
    let custody = db.read(|c| exhibit_custody(c, case, id)).unwrap();
    let told: Vec<String> = custody.iter().map(|link| format!("{} {} {}", link.what, link.actor, link.why)).collect();
    assert_eq!(told, ["added anna ", "released bert geprüft in der Sandbox", "downloaded bert Analyse"]);
    // A body sees its case and none of its files.
    let own = Scope::Bodies(vec![room.world.bodies[0]]);
    assert_eq!(db.read(|c| exhibit_list(c, &own, case)).unwrap(), vec![]);
    assert_eq!(db.read(|c| exhibit_get(c, &own, case, id)).unwrap(), None);
}

#[test]
fn bounds_of_a_file_a_case_and_the_disk() {
    let room = Room::new();
    assert!(matches!(room.locker.put(&[1; 11], 10), Err(ExhibitError::TooLarge { max: 10 })));
    let full = || std::fs::read_dir(room.dir.path().join("new")).unwrap().count();
    assert_eq!(full(), 0, "nothing of it is left");
    let draft = room.locker.draft(10).unwrap();
    assert_eq!(full(), 1);
    drop(draft);
    assert_eq!(full(), 0);
    let case = room.incident;
    room.db()
        .write(move |tx| {
            tx.execute("UPDATE exhibit SET bytes = ?1", [1])?;
            let kind = sniff(b"");
            let sealed = Sealed { sha256: "0".repeat(64), bytes: CASE_BYTES_MAX, kind };
            let new =
                NewExhibit { incident: Some(case), letter: None, source: Source::Upload, name: "x".into(), claimed: String::new(), sealed };
            exhibit_add(tx, &new, "anna", Some(Role::Lead), START)
        })
        .unwrap();
    assert!(matches!(room.add(Source::Upload, "y", "", b"y"), Err(ExhibitError::CaseFull { what: "bytes" })));
    room.watermark.update(Space { total: 1 << 40, free: 1 << 34 }, Thresholds::default());
    assert!(matches!(room.locker.put(b"z", 10), Err(ExhibitError::DiskFull)));
}

#[test]
fn a_file_that_was_changed_or_lost_is_named() {
    let room = Room::new();
    for content in [b"one".as_slice(), b"two", b"three", b"one"] {
        room.add(Source::Upload, "x", "", content).unwrap();
    }
    let verify = || room.db().read(|c| exhibits_verify(c, &room.locker)).unwrap();
    assert_eq!(verify(), (3, vec![]), "the same content is one file");
    let hashes: Vec<String> = room.list().into_iter().map(|one| one.sha256).collect();
    let path = |n: usize| room.dir.path().join(&hashes[n][..2]).join(&hashes[n]);
    std::fs::write(path(0), b"One").unwrap();
    std::fs::remove_file(path(1)).unwrap();
    let mut faults = verify().1;
    faults.sort_by_key(|(hash, _)| *hash != hashes[0]);
    assert_eq!(faults, [(hashes[0].clone(), Fault::Changed), (hashes[1].clone(), Fault::Missing)]);
    assert!(matches!(room.locker.read(&hashes[0]), Err(ExhibitError::Damaged { .. })));
    assert_eq!(room.locker.read(&hashes[2]).unwrap(), b"three");
    assert!(room.locker.read("../../../etc/passwd").is_err());
}

#[test]
fn what_was_never_finished_goes_at_the_next_start() {
    let room = Room::new();
    std::fs::write(room.dir.path().join("new").join("half"), b"half").unwrap();
    Locker::open(room.dir.path(), Watermark::default()).unwrap();
    assert!(!room.dir.path().join("new").join("half").exists());
}

proptest! {
    #[test]
    fn any_head_has_a_kind_and_any_name_is_one_line(head in proptest::collection::vec(any::<u8>(), 0..300), name in "\\PC{0,300}") {
        let kind = sniff(&head);
        prop_assert!(kind.mime.contains('/'));
        let name = super::store::name_clean(&name);
        prop_assert!(!name.is_empty() && !name.contains(['/', '\\', '\n', '\r']) && name.chars().count() <= 150);
    }
}

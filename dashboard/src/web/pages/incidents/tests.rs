//! The page of a case of the state: what it shows, to whom, and the way to the warning that it suggests.

use std::sync::Arc;

use axum::http::StatusCode;
use detect::finding::{Entity, Finding, Share};
use detect::incident::{IncidentFilter, finding_file, incident_list};
use detect::role::Role;
use detect::rule::Level;
use ingest::body::{BodyId, SITE_STATE, Site, SiteId, SiteTable, site_add};
use ingest::frame::Seq;
use ingest::scope::Scope;
use ingest::time::Timestamp;

use crate::web::tests::{Front, now};

const ADDRESS: &str = "203.0.113.77";

/// A finding of a shipped rule about the address: at a body, or over all of them.
fn file(front: &Front, rule: &str, body: Option<BodyId>, shares: &[(BodyId, u64)], seq: u64) {
    let rules = front.app.rules.get();
    let rule = rules.set.find(rule).unwrap().rule.clone();
    let at = now().plus(-Timestamp::HOUR);
    let finding = Finding {
        rule: Arc::new(detect::rule::Rule { level: Level::High, ..(*rule).clone() }),
        site: body.map_or(SITE_STATE, |body| SiteId(body.0)),
        body,
        entity: Entity::Ip(ADDRESS.parse().unwrap()),
        observables: [("source.ip", vec![ADDRESS.to_owned()]), ("host.name", vec!["web".to_owned()])].into(),
        first: at,
        last: at,
        detected_at: at,
        evidence: vec![Seq(seq)],
        records: 10,
        reasons: vec![],
        shares: shares.iter().map(|(body, records)| Share { body: *body, records: *records, first: at, last: at }).collect(),
        explanation: None,
    };
    let playbooks = front.app.playbooks.clone();
    front.app.db.write(move |tx| finding_file(tx, &playbooks, &finding, at)).unwrap();
}

/// Own and foreign case, and that of the state: (front, own number, foreign number, state's number).
fn world() -> (Front, String, String, String) {
    let front = Front::new();
    let bodies = [front.body, front.other];
    let sites = front
        .app
        .db
        .write(move |tx| {
            for (body, name) in bodies.iter().zip(["rathaus-soemmerda", "landratsamt-gotha"]) {
                let (id, name) = (SiteId(body.0), name.to_owned());
                site_add(tx, &Site { id, name, body: Some(*body), prefixes: vec![], certificates: vec![], tokens: vec![] })?;
            }
            SiteTable::load(tx)
        })
        .unwrap();
    *front.app.sites.write().unwrap() = Arc::new(sites);
    file(&front, "ssh_bruteforce", Some(front.body), &[], 1);
    file(&front, "ssh_bruteforce", Some(front.other), &[], 2);
    file(&front, "state_login_attack", None, &[(front.body, 21), (front.other, 13)], 3);
    let all = front.app.db.read(|c| incident_list(c, &IncidentFilter::new(Scope::All))).unwrap();
    let of = |body: Option<BodyId>| all.iter().find(|incident| incident.body == body).unwrap().number.clone();
    let numbers = (of(Some(front.body)), of(Some(front.other)), of(None));
    (front, numbers.0, numbers.1, numbers.2)
}

#[tokio::test]
async fn each_role_sees_of_it_what_is_its_own() {
    let (front, own, foreign, state) = world();
    let mut table = String::new();
    for role in Role::ALL {
        let (cookie, _) = front.enter(role);
        let mut marks = vec![];
        for number in [&own, &foreign, &state] {
            marks.push(front.get(&format!("/vorfall/{number}"), &cookie).await.status.as_u16().to_string());
        }
        let list = front.get("/vorfaelle", &cookie).await.text;
        let listed: String = [&own, &foreign, &state].map(|number| if list.contains(number.as_str()) { 'x' } else { '-' }).iter().collect();
        // Whatever page somebody without all cases opens: no word of the other body, of the state's case, or of a number of bodies.
        if !matches!(role, Role::Analyst | Role::Lead) {
            for path in
                ["/".to_owned(), "/vorfaelle".into(), "/kennzahlen".into(), format!("/vorfall/{own}"), format!("/vorfaelle?wort={ADDRESS}")]
            {
                let page = front.get(&path, &cookie).await.text;
                for word in ["landesweit", state.as_str(), "Gotha", "mehrerer Stellen", "2 Stellen"] {
                    assert!(!page.contains(word), "{role:?} reads {word} on {path}");
                }
            }
        }
        table.push_str(&format!("{}: {} {listed}\n", role.as_str(), marks.join(" ")));
    }
    expect_test::expect![[r#"
        analyst: 200 200 200 xxx
        lead: 200 200 200 xxx
        municipality: 200 404 404 x--
        provider: 200 404 404 x--
        steering: 403 403 403 ---
        auditor: 403 403 403 ---
        admin: 403 403 403 ---
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn the_page_names_the_bodies_and_the_draft_does_not() {
    let (front, own, foreign, state) = world();
    let (cookie, csrf) = front.enter(Role::Analyst);
    let path = format!("/vorfall/{state}");
    let page = front.get(&path, &cookie).await.text;
    for there in [
        "Stadtverwaltung Sömmerda",
        "Landratsamt Gotha",
        ">21<",
        ">13<",
        &own,
        &foreign,
        "Warnung vorgeschlagen",
        "landesweit",
        "rathaus-soemmerda",
    ] {
        assert!(page.contains(there), "{there} is missing: {page}");
    }
    assert!(!front.get(&format!("/vorfall/{own}"), &cookie).await.text.contains("Warnung vorgeschlagen"));
    // Nobody else decides, and nobody without a reason.
    let wish = |choice, reason| [("csrf", csrf.as_str()), ("wahl", choice), ("grund", reason)];
    for role in [Role::Municipality, Role::Steering, Role::Admin] {
        let (cookie, csrf) = front.enter(role);
        let answer = front.post(&format!("{path}/warnung"), &cookie, &[("csrf", &csrf), ("wahl", "entwurf")]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{role:?}");
    }
    assert_ne!(front.post(&format!("{path}/warnung"), &cookie, &wish("ablehnen", " ")).await.status, StatusCode::SEE_OTHER);
    assert!(front.get(&path, &cookie).await.text.contains("Warnung vorgeschlagen"), "still open");
    assert_eq!(front.post(&format!("{path}/warnung"), &cookie, &wish("ablehnen", "Unser Prüfdienst")).await.status, StatusCode::SEE_OTHER);
    let declined = front.get(&path, &cookie).await.text;
    assert!(declined.contains("Unser Prüfdienst") && !declined.contains("Warnung vorgeschlagen</h2>"));
    // Thought better of it: the draft, in its editor.
    let made = front.post(&format!("{path}/warnung"), &cookie, &wish("entwurf", "")).await;
    let editor = made.header("location").to_owned();
    assert!(editor.starts_with("/meldung/") && editor.contains("/bearbeiten"), "{editor}");
    let text = front.get(&editor, &cookie).await.text;
    assert!(text.contains(ADDRESS) && text.contains("Sperren Sie die genannte Adresse"), "{text}");
    assert!(!text.contains("Gotha") && !text.contains("Sömmerda"), "{text}");
    // The way back, and forth.
    let advisory = editor.split("/bearbeiten").next().unwrap();
    assert!(front.get(advisory, &cookie).await.text.contains(&format!("href=\"{path}\"")));
    let page = front.get(&path, &cookie).await.text;
    assert!(page.contains(&format!("href=\"{advisory}\"")) && page.contains("Entwurf einer Warnung angelegt"), "{page}");
    assert_ne!(front.post(&format!("{path}/warnung"), &cookie, &wish("entwurf", "")).await.status, StatusCode::SEE_OTHER, "one draft");
}

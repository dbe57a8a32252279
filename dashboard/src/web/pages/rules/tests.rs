//! The pages of the rules as a browser meets them.

use axum::http::StatusCode;
use detect::alert::{Disposition, alert_close};
use detect::finding::{Entity, Finding};
use detect::incident::{Filed, finding_file};
use detect::role::Role;
use detect::rulebook::Rulekeeping;
use ingest::body::{Site, SiteId, site_add};
use ingest::time::Timestamp;

use crate::web::tests::{Answer, Front, now};

#[tokio::test]
async fn a_rule_shows_wording_playbook_and_its_alerts() {
    let front = Front::new();
    let (cookie, _) = front.enter(Role::Analyst);
    let book = front.app.rules.get();
    let compiled = book.set.find("ssh_bruteforce").unwrap();
    let site = Site {
        id: SiteId::new(now()),
        name: "rathaus".into(),
        body: Some(front.body),
        prefixes: vec![],
        certificates: vec![],
        tokens: vec![],
    };
    let finding = Finding {
        rule: compiled.rule.clone(),
        site: site.id,
        body: Some(front.body),
        entity: Entity::Ip("203.0.113.9".parse().unwrap()),
        observables: Default::default(),
        first: now(),
        last: now(),
        detected_at: now(),
        evidence: vec![],
        records: 12,
        reasons: vec![],
        explanation: None,
        shares: vec![],
    };
    let playbooks = front.app.playbooks.clone();
    let filed = front.app.db.write(move |tx| {
        site_add(tx, &site)?;
        finding_file(tx, &playbooks, &finding, now())
    });
    let Filed::Opened { alert, .. } = filed.unwrap() else { panic!("not opened") };
    front.app.db.write(move |tx| alert_close(tx, alert, Disposition::FalsePositive, "x", Role::Analyst, now())).unwrap();

    let page = front.get("/regel/ssh_bruteforce", &cookie).await;
    for part in [
        "timespan: 5m",
        "T1110",
        "203.0.113.9",
        "href=\"/vorfall/TC-2026-000001\"",
        "Fehlalarm",
        "0 von 1 zutreffend, 1 Fehlalarm",
        "Sperren Sie die angreifende Adresse",
        "binnen 4\u{a0}h",
        "alten Passwort oder Schlüssel",
    ] {
        assert!(page.text.contains(part), "{part} is missing in {}", page.text);
    }
    // All pages of the list, one behind the other.
    let mut list = String::new();
    for page in 1..=book.set.rules().len() / 100 + 1 {
        list += &front.get(&format!("/regeln?seite={page}"), &cookie).await.text;
        list += &front.get(&format!("/regeln?art=baustein&seite={page}"), &cookie).await.text;
    }
    for rule in book.set.rules() {
        assert!(list.contains(&format!("/regel/{}\"", rule.rule.name)), "{}", rule.rule.name);
        assert_eq!(front.get(&format!("/regel/{}", rule.rule.name), &cookie).await.status, StatusCode::OK);
    }
    for rule in detect::watch::house_rules() {
        let page = front.get(&format!("/regel/{}", rule.name), &cookie).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text.contains("Was dann zu tun ist") && !page.text.contains("Wortlaut"), "{}", page.text);
    }
    for (name, section) in front.app.board.sheet.iter() {
        assert!(list.contains(&format!("/regel/{name}\"")), "{name}");
        let page = front.get(&format!("/regel/{name}"), &cookie).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text.contains("Was dann zu tun ist") && page.text.contains(&section.rule.id), "{}", page.text);
    }
    assert!(front.get("/regel/portscan", &cookie).await.text.contains("ports_min_outside"));
    for name in ["fehlt", "..%2F..%2Fetc%2Fpasswd"] {
        assert_eq!(front.get(&format!("/regel/{name}"), &cookie).await.status, StatusCode::NOT_FOUND);
    }
}

/// What matched stands marked on the alert's and the case's page, escaped, in both languages; what is hidden does not.
#[tokio::test]
async fn an_alert_says_why_its_rule_fired() {
    use detect::explanation::Because;
    use ingest::body::SiteTable;
    use ingest::event::Event;
    use ingest::record::EventRecord;

    let front = Front::new();
    let (cookie, _) = front.enter(Role::Analyst);
    let rule = "title: T\nname: t\nmodified: 2026-05-06\nlogsource: {service: sshd}\ndetection:\n  sel: {process.command_line|contains: '<b>', user.name: anna}\n  condition: sel\n";
    let files = [("rules/x/t/rule.yml".to_owned(), rule.to_owned())];
    let (set, errors) = detect::sigma::RuleSet::compile(files, detect::sigma::FieldNames::Decoded);
    assert_eq!(errors, []);
    let event = |user: &str| {
        let peer = std::net::Ipv4Addr::LOCALHOST.into();
        let mut event = Event::new(ingest::frame::Seq(9), now(), ingest::body::SITE_UNKNOWN, peer, ingest::frame::Transport::Udp, b"x");
        for (field, value) in [
            (ingest::fields::EVENT_MODULE, "sshd"),
            (ingest::fields::PROCESS_COMMAND_LINE, "echo '<B>&amp;"),
            (ingest::fields::USER_NAME, user),
        ] {
            event.push_text(field, value);
        }
        event
    };
    let (sites, original, kept) = (SiteTable::default(), event("anna"), event("p1zzz"));
    let mut engine = detect::engine::Engine::new(set, Default::default());
    let mut finding =
        engine.apply(&EventRecord { event: &original, sites: &sites }, SiteId(ingest::id::Ulid(9)), Some(front.body), now()).remove(0);
    let explanation = finding.explanation.as_mut().unwrap();
    assert!(matches!(explanation.because, Because::Record { .. }));
    explanation.hide(&EventRecord { event: &kept, sites: &sites });
    // What the alert itself says of persons is not this test's affair.
    finding.observables.clear();
    (finding.entity, finding.rule) =
        (Entity::Ip("203.0.113.9".parse().unwrap()), front.app.rules.get().set.find("ssh_login_failed").unwrap().rule.clone());
    let playbooks = front.app.playbooks.clone();
    front.app.db.write(move |tx| finding_file(tx, &playbooks, &finding, now())).unwrap();
    let content = front.app.db.read(|c| detect::alert::alert_list(c, &detect::alert::AlertFilter::new(ingest::scope::Scope::All))).unwrap();
    let case = if content[0].incident.is_some() { Some("/vorfall/TC-2026-000001") } else { None };
    for path in std::iter::once("/alarme").chain(case) {
        let page = front.get(path, &cookie).await.text;
        for part in [
            "Warum sie anschlug",
            "Auswahl „sel“ trifft zu",
            "<mark><bdi>&lt;B&gt;</bdi></mark><bdi>&amp;amp;</bdi>",
            "enthält „&lt;b&gt;“",
            "p1zzz",
            "geändert 2026-05-06",
            "href=\"/ereignis/9\"",
        ] {
            assert!(page.contains(part), "{part} is missing at {path} in {page}");
        }
        assert!(!page.contains("<B>") && !page.contains(">anna<"), "{page}");
    }
    let english = front.get("/alarme", &format!("{cookie}; sprache=en")).await.text;
    assert!(english.contains("Why it fired") && english.contains("Selection “sel” holds"), "{english}");
}

/// Files a finding of a shipped rule, and gives the alert's id.
fn alert_of(front: &Front, rule: &str, address: &str, user: &str, minute: i64) -> String {
    let book = front.app.rules.get();
    let site = Site {
        id: SiteId(ingest::id::Ulid(9)),
        name: "rathaus".into(),
        body: Some(front.body),
        prefixes: vec![],
        certificates: vec![],
        tokens: vec![],
    };
    let at = now().plus(minute * Timestamp::MINUTE);
    let finding = Finding {
        rule: book.set.find(rule).unwrap().rule.clone(),
        site: site.id,
        body: Some(front.body),
        entity: Entity::Ip(address.parse().unwrap()),
        observables: [("source.ip", vec![address.to_owned()]), ("user.name", vec![user.to_owned()])].into(),
        first: at,
        last: at,
        detected_at: at,
        evidence: vec![],
        records: 12,
        reasons: vec![],
        explanation: None,
        shares: vec![],
    };
    let playbooks = front.app.playbooks.clone();
    let filed = front.app.db.write(move |tx| {
        tx.execute("DELETE FROM site WHERE id = ?1", [site.id])?;
        site_add(tx, &site)?;
        finding_file(tx, &playbooks, &finding, at)
    });
    let (Filed::Opened { alert, .. } | Filed::Joined { alert, .. }) = filed.unwrap() else { panic!("no alert") };
    alert.to_string()
}

/// Detectors and the house's own watches are switched like rules; the list shows it, also after a restart.
#[tokio::test]
async fn detectors_and_watches_are_switched_like_rules() {
    let front = Front::new();
    let (lead, csrf) = front.enter(Role::Lead);
    for name in ["portscan", "source_silent"] {
        let page = front.get(&format!("/regel/{name}"), &lead).await.text;
        assert!(page.contains("Neuer Stand") && page.contains("lernt sie weiter"), "{page}");
        let without = front.post(&format!("/regel/{name}/stand"), &lead, &[("csrf", csrf.as_str()), ("stand", "off"), ("grund", "")]).await;
        assert_eq!(without.status, StatusCode::CONFLICT, "a reason is needed");
        let fields = [("csrf", csrf.as_str()), ("stand", "probe"), ("grund", "Umzug des Rechenzentrums")];
        let switched = front.post(&format!("/regel/{name}/stand"), &lead, &fields).await;
        assert_eq!(switched.status, StatusCode::SEE_OTHER);
        let page = front.get(&format!("/regel/{name}"), &lead).await.text;
        assert!(page.contains("Umzug des Rechenzentrums") && page.contains("0 Treffer auf Probe"), "{page}");
    }
    look(&front);
    let list = front.get("/regeln?stand=probe", &lead).await.text;
    assert!(
        list.contains("/regel/portscan\"") && list.contains("/regel/source_silent\"") && !list.contains("/regel/flow_loss\""),
        "{list}"
    );
    let (analyst, csrf) = front.enter(Role::Analyst);
    let fields = [("csrf", csrf.as_str()), ("stand", "on"), ("grund", "")];
    assert_eq!(front.post("/regel/portscan/stand", &analyst, &fields).await.status, StatusCode::FORBIDDEN);
    let fields = [("csrf", csrf.as_str()), ("stand", "on"), ("grund", "")];
    assert_ne!(front.post("/regel/fehlt/stand", &lead, &fields).await.status, StatusCode::SEE_OTHER);
}

/// Lets the keeper look as it does in the program.
fn look(front: &Front) -> bool {
    let app = &front.app;
    Rulekeeping::beside(app.db.clone(), vec![], app.clock.clone(), app.rules.clone()).look(true).unwrap()
}

#[tokio::test]
async fn the_lead_switches_a_rule_and_says_why() {
    let front = Front::new();
    let (lead, csrf) = front.enter(Role::Lead);
    let (analyst, _) = front.enter(Role::Analyst);
    let set = async |state: &str, reason: &str| {
        front.post("/regel/ssh_bruteforce/stand", &lead, &[("csrf", &csrf), ("stand", state), ("grund", reason)]).await
    };
    assert_eq!(set("off", " ").await.status, StatusCode::CONFLICT, "without a reason");
    assert_eq!(set("weg", "x").await.status, StatusCode::CONFLICT);
    let done = set("off", "Wir prüfen selbst").await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/regel/ssh_bruteforce?ok=rule-switched"));
    assert!(look(&front) && front.app.rules.get().running().rules().len() == front.app.rules.get().set.rules().len());
    assert!(!front.app.rules.get().in_force().any(|one| one.rule.name == "ssh_bruteforce"));
    let page = front.get("/regel/ssh_bruteforce", &analyst).await.text;
    assert!(page.contains("Wir prüfen selbst") && page.contains("Frau lead") && !page.contains("/regel/ssh_bruteforce/stand"), "{page}");
    assert!(front.get("/regeln?stand=off", &analyst).await.text.contains("/regel/ssh_bruteforce\""));
    assert!(!front.get("/regeln?stand=on", &analyst).await.text.contains("/regel/ssh_bruteforce\""));
    let (auditor, _) = front.enter(Role::Auditor);
    let log = front.get("/protokoll?art=rule.", &auditor).await.text;
    assert!(log.contains("hat die Regel ssh_bruteforce umgeschaltet") && log.contains("Wir prüfen selbst"), "{log}");
}

#[tokio::test]
async fn a_rule_is_held_back_from_an_alert_and_the_preview_says_what_that_costs() {
    let front = Front::new();
    let (cookie, csrf) = front.enter(Role::Analyst);
    let first = alert_of(&front, "ssh_bruteforce", "203.0.113.9", "root", 0);
    alert_of(&front, "ssh_bruteforce", "203.0.113.9", "admin", 3 * 24 * 60);
    alert_of(&front, "ssh_bruteforce", "203.0.113.7", "root", 1);
    front.app.clock.set(now().plus(4 * Timestamp::DAY));
    let (cookie, csrf) =
        if front.get("/alarme", &cookie).await.status == StatusCode::OK { (cookie, csrf) } else { front.enter(Role::Analyst) };
    let alerts = front.get("/alarme", &cookie).await.text;
    let way = format!("/regel/ssh_bruteforce/stillhalten?alarm={first}");
    assert!(alerts.contains(&way), "{alerts}");
    let page = front.get(&way, &cookie).await.text;
    assert!(page.contains("Von 3 Alarmen der letzten 90 Tage hätte der Filter 2 ganz verhindert."), "{page}");
    assert!(page.contains("value=\"source.ip=203.0.113.9\" checked") && page.contains("value=\"site=rathaus\" checked"), "{page}");
    assert!(page.contains("/regel/ssh_bruteforce_success"), "who else is held back");
    let post = async |form: &[(&str, &str)]| -> Answer {
        let mut all = vec![("csrf", csrf.as_str()), ("alarm", &first)];
        all.extend_from_slice(form);
        front.post("/regel/ssh_bruteforce/stillhalten", &cookie, &all).await
    };
    let narrower = post(&[("was", "vorschau"), ("wert", "source.ip=203.0.113.9"), ("wert", "user.name=root")]).await.text;
    assert!(narrower.contains("hätte der Filter 1 ganz verhindert"), "{narrower}");
    assert_eq!(
        post(&[("was", "speichern"), ("wert", "source.ip=203.0.113.9")]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "no reason"
    );
    assert_eq!(post(&[("was", "speichern"), ("grund", "Prüfer")]).await.status, StatusCode::UNPROCESSABLE_ENTITY, "nothing chosen");
    let done = post(&[("was", "speichern"), ("wert", "source.ip=203.0.113.9"), ("grund", "Unser Prüfer"), ("tage", "7")]).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/regel/ssh_bruteforce?ok=rule-tuned"));
    assert!(look(&front));
    assert_eq!(front.app.rules.get().refused, []);
    let (auditor, _) = front.enter(Role::Auditor);
    let log = front.get("/protokoll?art=rule.", &auditor).await.text;
    assert!(log.contains("Unser Prüfer") && log.contains("source.ip") && !log.contains("203.0.113.9"), "which fields, not whose: {log}");
    let page = front.get("/regel/ssh_bruteforce", &cookie).await.text;
    assert!(page.contains("Unser Prüfer") && page.contains("<bdi>source.ip</bdi>: <bdi>203.0.113.9</bdi>"), "{page}");
    let end = regex::Regex::new("/regel/ssh_bruteforce/stillhalten/[0-9A-Z]{26}/beenden").unwrap().find(&page).unwrap().as_str().to_owned();
    assert_eq!(front.post(&end, &cookie, &[("csrf", &csrf)]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(front.post(&end, &cookie, &[("csrf", &csrf)]).await.status, StatusCode::NOT_FOUND, "once");
    assert!(look(&front));
}

#[tokio::test]
async fn every_number_leads_to_its_alerts() {
    let front = Front::new();
    let (cookie, _) = front.enter(Role::Analyst);
    alert_of(&front, "ssh_bruteforce", "203.0.113.9", "root", -60);
    let id: detect::alert::AlertId = alert_of(&front, "ssh_bruteforce", "203.0.113.7", "root", -60).parse().unwrap();
    alert_of(&front, "new_admin_account", "203.0.113.5", "root", -60);
    front.app.db.write(move |tx| alert_close(tx, id, Disposition::FalsePositive, "x", Role::Analyst, now())).unwrap();
    let page = front.get("/regel/ssh_bruteforce", &cookie).await.text;
    for (href, shown) in [
        ("/alarme?stand=alle&#38;regel=ssh_bruteforce&#38;tage=90", ["203.0.113.9", "203.0.113.7"].as_slice()),
        ("/alarme?stand=alle&#38;regel=ssh_bruteforce&#38;tage=90&#38;urteil=false_positive", &["203.0.113.7"]),
    ] {
        assert!(page.contains(&format!("href=\"{href}\"")), "{href} in {page}");
        let list = front.get(&href.replace("&#38;", "&"), &cookie).await.text;
        for address in ["203.0.113.9", "203.0.113.7", "203.0.113.5"] {
            assert_eq!(list.contains(&format!(">{address}<")), shown.contains(&address), "{href} {address} in {list}");
        }
    }
}

#[tokio::test]
async fn the_list_narrows_sorts_and_turns_over() {
    let front = Front::new();
    let (cookie, _) = front.enter(Role::Analyst);
    let rule = |n: usize| {
        format!(
            "title: Regel {n:04}\nname: regel_{n}\nlevel: low\ntags: [attack.t1110.003]\nlogsource: {{product: linux}}\ndetection: {{s: {{user.name: b{n}}}, condition: s}}\n"
        )
    };
    let dir = tempfile::tempdir().unwrap();
    (0..250).for_each(|n| std::fs::write(dir.path().join(format!("r{n}.yml")), rule(n)).unwrap());
    std::fs::write(dir.path().join("schlecht.yml"), "title: [").unwrap();
    front.app.rules.set(detect::rulebook::rulebook_compose(&[dir.path().to_owned()]));
    let names = async |path: &str| -> Vec<String> {
        let text = front.get(path, &cookie).await.text;
        let found = regex::Regex::new("class=\"strong\" href=\"/regel/(regel_[0-9]+)\"").unwrap();
        found.captures_iter(&text).map(|found| found[1].to_owned()).collect()
    };
    let own = names("/regeln?art=eigen&nach=regel").await;
    assert_eq!((own.len(), own[0].as_str()), (100, "regel_0"));
    assert_eq!(names("/regeln?art=eigen&nach=regel&seite=3").await.len(), 50);
    assert_eq!(names("/regeln?art=eigen&nach=regel&richtung=ab").await[0], "regel_249");
    assert_eq!(names("/regeln?wort=Regel%200123").await, ["regel_123"]);
    assert_eq!(names("/regeln?technik=T1110&art=eigen&stufe=high").await, [""; 0]);
    let page = front.get("/regeln", &cookie).await.text;
    assert!(page.contains("1 abgelehnt") && page.contains("schlecht.yml"), "{page}");
    let coverage = front.get("/regeln/abdeckung", &cookie).await.text;
    assert!(coverage.contains("Password Spraying") && coverage.contains("Zugangsdaten"), "{coverage}");
    let layer: serde_json::Value = serde_json::from_str(&front.get("/regeln/abdeckung.json", &cookie).await.text).unwrap();
    assert_eq!(layer["domain"], "enterprise-attack");
}

#[tokio::test]
async fn a_typed_rule_is_refused_by_line_before_anything_runs() {
    let front = Front::new();
    let (cookie, csrf) = front.enter(Role::Analyst);
    let text = "title: T\nlogsource: {product: linux}\ndetection: {s: {user.nam: x}, condition: s}\n";
    let post =
        async |text: &str, days: &str| front.post("/regeln/ruecktest", &cookie, &[("csrf", &csrf), ("text", text), ("tage", days)]).await;
    // No store here: what is wrong with the form is said first.
    assert!(post(text, "0").await.text.contains("Bitte geben Sie 1 bis 400 Tage an."));
    let dir = tempfile::tempdir().unwrap();
    let mut front = front;
    front.app.events = Some(ingest::events::EventStore::open(dir.path(), |_, _| None).unwrap());
    front.router = crate::web::router(front.app.clone());
    let refused = front.post("/regeln/ruecktest", &cookie, &[("csrf", &csrf), ("text", text), ("tage", "30")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("Zeile 3: unbekanntes Feld") && refused.text.contains("user.nam: x"), "{}", refused.text);
    let begun = front
        .post("/regeln/ruecktest", &cookie, &[("csrf", &csrf), ("text", &text.replace("user.nam", "user.name")), ("tage", "30")])
        .await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text);
    let path = begun.header("location").split('?').next().unwrap().to_owned();
    for _ in 0..200 {
        if front.get(&path, &cookie).await.text.contains("hätte in 30 Tagen nie angeschlagen") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{}", front.get(&path, &cookie).await.text);
}

#[tokio::test]
async fn a_rule_may_be_called_anything() {
    let front = Front::new();
    let (cookie, csrf) = front.enter(Role::Lead);
    let dir = tempfile::tempdir().unwrap();
    let text = "title: T\nname: 'Prüfung 50% #1?'\nlogsource: {product: linux}\ndetection: {s: {user.name: x}, condition: s}\n";
    std::fs::write(dir.path().join("x.yml"), text).unwrap();
    front.app.rules.set(detect::rulebook::rulebook_compose(&[dir.path().to_owned()]));
    let path = "/regel/Pr%C3%BCfung%2050%25%20%231%3F";
    assert!(front.get("/regeln?art=eigen", &cookie).await.text.contains(&format!("href=\"{path}\"")));
    assert!(front.get(path, &cookie).await.text.contains(&format!("{path}/stand")));
    let set = front.post(&format!("{path}/stand"), &cookie, &[("csrf", &csrf), ("stand", "probe"), ("grund", "neu")]).await;
    assert_eq!(set.header("location"), format!("{path}?ok=rule-switched"));
}

#[tokio::test]
async fn a_full_memory_is_an_alarm_on_the_list_and_on_the_rules_page() {
    let front = Front::new();
    let (cookie, _) = front.enter(Role::Analyst);
    let rule = front.app.rules.get().set.find("ssh_bruteforce").unwrap().rule.clone();
    let health = |overflowed| vec![detect::engine::RuleHealth { rule: rule.clone(), groups: 50_000, entries: 90_000, overflowed }];
    front.app.rules.health_set(now(), health(0));
    let calm = front.get("/regel/ssh_bruteforce", &cookie).await.text;
    assert!(calm.contains("50.000 Gruppen mit 90.000 Einträgen") && !front.get("/regeln", &cookie).await.text.contains("role=\"alert\""));
    front.app.rules.health_set(now(), health(12_500));
    for path in ["/regeln", "/regel/ssh_bruteforce"] {
        let page = front.get(path, &cookie).await.text;
        assert!(page.contains("role=\"alert\"") && page.contains("12.500 Gruppen"), "{path}: {page}");
    }
}

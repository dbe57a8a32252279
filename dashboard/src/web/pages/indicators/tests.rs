//! The page over a small store: one value in many ways of writing, numbers and their rows, a feed that fails, what is typed.

use std::sync::Arc;

use axum::http::StatusCode;
use detect::intel::feed::{Credentials, Failure, Feed, FeedKind, feed_declare};
use detect::intel::read::{Defaults, Format};
use detect::intel::{NewIndicator, NewWarning, Tlp, indicator_add, indicator_refresh, warning_replace};
use detect::role::Role;
use ingest::db::DbError;

use crate::web::tests::{Front, now};

fn new(pattern: &str, list: &str) -> NewIndicator {
    NewIndicator { pattern: pattern.parse().unwrap(), list: list.into(), tlp: Tlp::AmberStrict, confidence: 80, valid_until: None }
}

fn front() -> Front {
    let front = Front::new();
    let all = [
        new("203.0.113.0/24", "C2<b>"),
        new("bad.example", "C2<b>"),
        new("http://worse.example/drop.exe", "C2<b>"),
        new("8.8.8.8", "Andere"),
        NewIndicator { valid_until: Some(now().plus(-1)), ..new("old.example", "Andere") },
    ];
    front
        .app
        .db
        .write(move |tx| {
            all.iter().try_for_each(|one| indicator_add(tx, one, now()).map(drop))?;
            warning_replace(tx, "DNS-Server", "öffentliche", &[NewWarning::parse("8.8.8.8").unwrap()], now())?;
            tx.execute("UPDATE indicator SET hits = 7, first_hit = ?1, last_hit = ?1 WHERE value = 'bad.example'", [now().0])?;
            Ok::<_, DbError>(())
        })
        .unwrap();
    front.app.indicators.set(Arc::new(indicator_refresh(&front.app.db).unwrap()));
    front
}

#[tokio::test]
async fn one_value_in_every_way_of_writing() {
    let front = front();
    let (cookie, _) = front.enter(Role::Analyst);
    for (asked, expected) in [
        ("203.0.113.77", "203.0.113.0/24"),
        ("hxxp://www[.]Bad.example/x", "bad.example"),
        ("HTTPS://worse.example:443/a/../drop.exe?id=1", "http://worse.example/drop.exe"),
        ("wer@bad.example", "bad.example"),
        ("8.8.8.8", "trifft nicht: steht auf der Warnliste „DNS-Server“"),
        ("old.example", "abgelaufen"),
        ("192.0.2.1", "192.0.2.1 steht auf keiner Liste."),
        ("wort", "Das ist keine Adresse, kein Netz"),
    ] {
        let page = front.get(&crate::show::link("/indikatoren", &[("wert", asked)]), &cookie).await;
        assert!(page.status == StatusCode::OK && page.text.contains(expected), "{asked}: {expected} is missing in {}", page.text);
    }
}

#[tokio::test]
async fn every_number_opens_to_its_rows() {
    let front = front();
    let (cookie, _) = front.enter(Role::Analyst);
    let page = front.get("/indikatoren", &cookie).await.text;
    assert!(page.contains("5 Einträge in 2 Listen") && page.contains("C2&lt;b&gt;") && page.contains("DNS-Server"), "{page}");
    let mut links = 0;
    for part in page.split("href=\"/indikatoren/eintraege").skip(1) {
        let (href, rest) = part.split_once('"').unwrap();
        let text = rest.trim_start_matches('>').split('<').next().unwrap();
        let count: usize = text.split_whitespace().next().unwrap().parse().unwrap();
        let rows = front.get(&format!("/indikatoren/eintraege{}", href.replace("&amp;", "&").replace("&#38;", "&")), &cookie).await;
        assert_eq!(rows.text.matches("<th scope=\"row\"").count(), count, "{href} says {text}");
        links += 1;
    }
    assert_eq!(links, 2 + 5 + 3, "two lists, their kinds, and what was sighted, has expired, is warned of");
    let rows = front.get("/indikatoren/eintraege?nur=getroffen", &cookie).await.text;
    assert!(rows.contains("/suche?q=dns.question.name") && rows.contains("TLP:AMBER+STRICT"), "{rows}");
    assert!(front.get("/indikatoren/eintraege?art=md5", &cookie).await.text.contains("Nichts gefunden"));
}

#[tokio::test]
async fn a_feed_that_fails_says_what_to_do() {
    let front = front();
    let defaults = Defaults { list: "Verbund".into(), tlp: Tlp::Green, confidence: 70, valid_days: None, column: None };
    let feed = Feed {
        kind: FeedKind::Document(Format::Stix),
        url: "https://feeds.example/list?key=geheim".into(),
        every_minutes: 60,
        defaults,
        credentials: Credentials::None,
        collection: String::new(),
    };
    front.app.db.write(move |tx| feed_declare(tx, &[feed])).unwrap();
    let (cookie, csrf) = front.enter(Role::Analyst);
    let page = front.get("/indikatoren", &cookie).await.text;
    assert!(page.contains("noch nie gelesen") && page.contains("feeds.example, alle") && !page.contains("geheim"), "{page}");
    let state = serde_json::json!({ "url": "https://feeds.example/", "every_minutes": 60, "failure": [Failure::Refused, "403"],
        "report": { "taken": 3, "refused": { "not_for_detection": 2 }, "examples": [{ "place": "a1", "reason": "not_for_detection", "what": "<b>" }] } });
    front.app.db.write(move |tx| Ok::<_, DbError>(tx.execute("UPDATE indicator_feed SET state = ?1", [state.to_string()])?)).unwrap();
    let page = front.get("/indikatoren", &cookie).await.text;
    for part in ["bringt nichts", "lehnt die Anmeldung ab", "von der Quelle nicht zur Erkennung bestimmt", "&lt;b&gt;"] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    let hurried = front.post("/indikatoren/feed", &cookie, &[("csrf", csrf.as_str()), ("feed", "Verbund")]).await;
    assert_eq!(hurried.status, StatusCode::SEE_OTHER);
    assert_eq!(front.post("/indikatoren/feed", &cookie, &[("csrf", csrf.as_str()), ("feed", "fehlt")]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_typed_is_listed_or_said() {
    let front = Front::new();
    let (cookie, csrf) = front.enter(Role::Analyst);
    let form = |entries: &'static str| {
        let csrf = csrf.clone();
        [
            ("csrf", csrf),
            ("liste", "Warnung 7".to_owned()),
            ("eintraege", entries.to_owned()),
            ("vertrauen", "80".into()),
            ("tlp", "TLP:GREEN".into()),
        ]
    };
    let send = async |entries: &'static str| {
        let form = form(entries);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        front.post("/indikatoren", &cookie, &form).await
    };
    let wrong = send("bad.example\nwo rt\n").await;
    assert!(wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.text.contains("„wo rt“ ist keine Adresse"), "{}", wrong.text);
    assert!(wrong.text.contains("bad.example"), "what was typed stays");
    let right = send("bad.example\nhxxp://bad[.]example/x\nD41D8CD98F00B204E9800998ECF8427E\nchef@bad.example\n").await;
    assert_eq!(right.status, StatusCode::SEE_OTHER);
    let page = front.get("/indikatoren", &cookie).await.text;
    for part in ["4 Einträge in 1 Liste", "1 Name", "1 URL", "1 MD5", "1 E-Mail-Adresse"] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
}

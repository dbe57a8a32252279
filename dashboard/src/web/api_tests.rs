//! Cases over the programs' interface: who gets what with a token, what changes tell apart, and what a repeated, late or
//! broken request comes to. And the files that cases leave in, as pages and programs get them.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use detect::incident::Tlp;
use detect::role::Role;
use expect_test::expect;
use ingest::db::DbError;
use ingest::time::Timestamp;
use serde_json::{Value, json};

use super::tests::{Answer, Front, now, open_case};
use crate::api_token::{Area, Grant, api_token_add};
use crate::user::user_by_login;

/// A token of a role's account, for cases.
fn token(front: &Front, role: Role, write: bool) -> String {
    let owner = front.app.db.read(|c| user_by_login(c, role.as_str())).unwrap().unwrap().0.id;
    let grants: Vec<Grant> =
        [false, true].into_iter().filter(|one| !one || write).map(|write| Grant { area: Area::Incidents, write }).collect();
    let until = front.app.clock.now().plus(Timestamp::DAY);
    let at = front.app.clock.now();
    let made = front.app.db.write(move |tx| api_token_add(tx, owner, "Programm", &grants, until, at));
    made.unwrap().1.reveal().to_owned()
}

async fn get(front: &Front, token: &str, path: &str) -> Answer {
    let request = Request::get(path).header(header::HOST, "wartburg.test").header(header::AUTHORIZATION, format!("Bearer {token}"));
    front.send(request.body(Body::empty()).unwrap()).await
}

async fn post(front: &Front, token: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::post(path)
        .header(header::HOST, "wartburg.test")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    front.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

fn read(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text).unwrap_or_else(|error| panic!("{error}: {}", answer.text))
}

fn numbers(answer: &Answer) -> Vec<String> {
    let list = read(answer);
    list["incidents"].as_array().unwrap().iter().map(|case| case["number"].as_str().unwrap().to_owned()).collect()
}

/// Rows: what is asked; columns: the roles. A token's owner decides, and what is foreign does not exist.
#[tokio::test]
async fn every_role_with_a_token_at_own_and_foreign_cases() {
    let front = Front::new();
    let own = open_case(&front, front.body, "Eigener Fall");
    let foreign = open_case(&front, front.other, "Fremder Fall");
    let mut table = String::new();
    let tokens: Vec<(Role, String, String)> =
        Role::ALL.into_iter().map(|role| (role, token(&front, role, false), token(&front, role, true))).collect();
    let mut asked: Vec<(String, Option<&str>)> = vec![
        ("/api/v1/incidents".into(), None),
        ("/api/v1/alerts".into(), None),
        ("/vorfaelle.csv".into(), None),
        ("/api/v1/incidents".into(), Some(r#"{"title": "Neu", "summary": "Es brennt", "severity": "high"}"#)),
    ];
    for (word, number) in [("own", &own), ("foreign", &foreign)] {
        for part in ["", "/history", "/recommendations", "/alerts"] {
            asked.push((format!("/api/v1/incidents/{number}{part}#{word}"), None));
        }
        asked.push((format!("/vorfall/{number}/export?form=iodef#{word}"), None));
        asked.push((format!("/api/v1/incidents/{number}/notes#{word}"), Some(r#"{"text": "Notiz"}"#)));
        asked.push((format!("/api/v1/incidents/{number}/move#{word}"), Some(r#"{"to": "triaged"}"#)));
        asked.push((format!("/api/v1/incidents/{number}/close#{word}"), Some(r#"{"disposition": "benign"}"#)));
        asked.push((format!("/api/v1/incidents/{number}/assignee#{word}"), Some(r#"{"assignee": null}"#)));
        asked.push((format!("/api/v1/incidents/{number}/answer#{word}"), Some(r#"{"recommendation": "x", "word": "seen"}"#)));
    }
    for (path, body) in &asked {
        let (bare, word) = path.split_once('#').unwrap_or((path, ""));
        let mut line = vec![];
        for (role, reading, writing) in &tokens {
            // A version that is nobody's: what is let in answers 409, and changes nothing for the next role.
            let answer = match body {
                None => get(&front, reading, bare).await,
                Some(body) => post(&front, writing, bare, &[("if-match", "\"99\"")], body).await,
            };
            assert!(!answer.text.contains("<html"), "{path}");
            let bound = !matches!(role, Role::Analyst | Role::Lead);
            assert!(!bound || !answer.text.contains("Fremder Fall"), "{path} as {role:?}: {}", answer.text);
            line.push(answer.status.as_u16().to_string());
        }
        let shown = bare.replace(&own, "N").replace(&foreign, "N");
        table.push_str(&format!("{} {shown} {word}: {}\n", if body.is_some() { "POST" } else { "GET" }, line.join(" ")));
        // A reading token changes nothing.
        if let Some(body) = body {
            let (_, reading, _) = &tokens[1];
            let refused = post(&front, reading, bare, &[], body).await;
            assert_eq!(read(&refused)["error"], "insufficient_scope", "{path}");
        }
    }
    expect![[r#"
        GET /api/v1/incidents : 200 200 200 200 403 403 403
        GET /api/v1/alerts : 200 200 403 403 403 403 403
        GET /vorfaelle.csv : 200 200 200 200 403 403 403
        POST /api/v1/incidents : 201 201 201 201 403 403 403
        GET /api/v1/incidents/N own: 200 200 200 200 403 403 403
        GET /api/v1/incidents/N/history own: 200 200 200 200 403 403 403
        GET /api/v1/incidents/N/recommendations own: 200 200 200 200 403 403 403
        GET /api/v1/incidents/N/alerts own: 200 200 403 403 403 403 403
        GET /vorfall/N/export?form=iodef own: 200 200 200 200 403 403 403
        POST /api/v1/incidents/N/notes own: 200 200 403 403 403 403 403
        POST /api/v1/incidents/N/move own: 409 409 403 403 403 403 403
        POST /api/v1/incidents/N/close own: 409 409 403 403 403 403 403
        POST /api/v1/incidents/N/assignee own: 409 409 403 403 403 403 403
        POST /api/v1/incidents/N/answer own: 422 422 422 422 403 403 403
        GET /api/v1/incidents/N foreign: 200 200 404 404 403 403 403
        GET /api/v1/incidents/N/history foreign: 200 200 404 404 403 403 403
        GET /api/v1/incidents/N/recommendations foreign: 200 200 404 404 403 403 403
        GET /api/v1/incidents/N/alerts foreign: 200 200 403 403 403 403 403
        GET /vorfall/N/export?form=iodef foreign: 200 200 404 404 403 403 403
        POST /api/v1/incidents/N/notes foreign: 200 200 403 403 403 403 403
        POST /api/v1/incidents/N/move foreign: 409 409 403 403 403 403 403
        POST /api/v1/incidents/N/close foreign: 409 409 403 403 403 403 403
        POST /api/v1/incidents/N/assignee foreign: 409 409 403 403 403 403 403
        POST /api/v1/incidents/N/answer foreign: 422 422 404 404 403 403 403
    "#]]
    .assert_eq(&table);
    // Nobody without a token; and no token beside a cookie.
    let nobody = front.get("/api/v1/incidents", "").await;
    assert_eq!((nobody.status, nobody.header("content-type")), (StatusCode::UNAUTHORIZED, "application/problem+json"));
}

#[tokio::test]
async fn a_program_keeps_a_copy_up_to_date() {
    let front = Front::new();
    let reading = token(&front, Role::Analyst, true);
    let all: Vec<String> = (0..5)
        .map(|n| {
            front.app.clock.set(now().plus(n * Timestamp::MINUTE));
            open_case(&front, front.body, &format!("Fall {n}"))
        })
        .collect();
    // All of them, two a page, none twice.
    let (mut got, mut next) = (vec![], String::new());
    let since = loop {
        let page = get(&front, &reading, &format!("/api/v1/incidents?limit=2{next}")).await;
        got.extend(numbers(&page));
        match read(&page)["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break read(&page)["updated_since"].as_str().unwrap().to_owned(),
        }
    };
    let mut sorted = got.clone();
    sorted.sort();
    assert_eq!(sorted, all);
    // Nothing new beside the overlap; then one changes, and it alone comes again.
    front.app.clock.set(now().plus(Timestamp::HOUR));
    let later = now().plus(30 * Timestamp::MINUTE).rfc3339();
    assert!(numbers(&get(&front, &reading, &format!("/api/v1/incidents?updated_since={later}")).await).is_empty());
    let noted = post(&front, &reading, &format!("/api/v1/incidents/{}/notes", all[1]), &[], r#"{"text": "weiter"}"#).await;
    assert_eq!(noted.status, StatusCode::OK, "{}", noted.text);
    let changed = get(&front, &reading, &format!("/api/v1/incidents?updated_since={since}&limit=500")).await;
    assert_eq!(numbers(&changed).last(), Some(&all[1]), "what changed last comes last: {}", changed.text);
    assert_eq!(numbers(&get(&front, &reading, &format!("/api/v1/incidents?updated_since={later}")).await), [all[1].clone()]);
    // To the body a note is no change: it must not learn of one by the time alone.
    let body = token(&front, Role::Municipality, false);
    assert!(numbers(&get(&front, &body, &format!("/api/v1/incidents?updated_since={later}")).await).is_empty());
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("updated_since=gestern", "updated_since"),
        ("cursor=x", "cursor"),
        ("state=offen", "state"),
        ("severity_min=schlimm", "severity_min"),
        ("body=1", "body"),
    ] {
        let wrong = get(&front, &reading, &format!("/api/v1/incidents?{query}")).await;
        assert_eq!((wrong.status, read(&wrong)["parameter"].as_str()), (StatusCode::BAD_REQUEST, Some(parameter)), "{query}");
    }
}

#[tokio::test]
async fn a_change_names_what_it_saw() {
    let front = Front::new();
    let number = open_case(&front, front.body, "Fall");
    let path = |part: &str| format!("/api/v1/incidents/{number}{part}");
    let (analyst, lead) = (token(&front, Role::Analyst, true), token(&front, Role::Lead, true));
    let case = get(&front, &analyst, &path("")).await;
    assert_eq!(case.header("etag"), "\"1\"");
    let blind = post(&front, &analyst, &path("/move"), &[], r#"{"to": "triaged"}"#).await;
    assert_eq!((blind.status, read(&blind)["error"].as_str()), (StatusCode::PRECONDITION_REQUIRED, Some("version_missing")));
    let moved = post(&front, &analyst, &path("/move"), &[("if-match", "\"1\"")], r#"{"to": "triaged"}"#).await;
    assert_eq!((moved.status, moved.header("etag"), read(&moved)["state"].as_str()), (StatusCode::OK, "\"2\"", Some("triaged")));
    // The other one read version 1: nothing is overwritten, and he is told what happened.
    let late = post(&front, &lead, &path("/close"), &[("if-match", "\"1\"")], r#"{"disposition": "benign"}"#).await;
    let told = read(&late);
    assert_eq!((late.status, told["error"].as_str(), &told["version"]), (StatusCode::CONFLICT, Some("stale"), &json!(2)));
    assert_eq!((late.header("content-type"), told["status"].as_u64()), ("application/problem+json", Some(409)));
    assert_eq!(
        (told["changes"][0]["kind"].as_str(), told["changes"][0]["actor"].as_str()),
        (Some("incident.triaged"), Some("Frau analyst"))
    );
    let no_way = post(&front, &analyst, &path("/move"), &[("if-match", "\"2\"")], r#"{"to": "recovered"}"#).await;
    assert_eq!((no_way.status, read(&no_way)["error"].as_str()), (StatusCode::CONFLICT, Some("no_transition")));
    let not_he = post(&front, &analyst, &path("/close"), &[("if-match", "\"2\"")], r#"{"disposition": "benign"}"#).await;
    assert_eq!((not_he.status, read(&not_he)["error"].as_str()), (StatusCode::FORBIDDEN, Some("forbidden")));
    let taken = post(&front, &analyst, &path("/assignee"), &[("if-match", "\"2\"")], r#"{"assignee": "me"}"#).await;
    assert!(taken.status == StatusCode::OK && read(&taken)["assignee"].is_string(), "{}", taken.text);
    let stranger = post(&front, &analyst, &path("/assignee"), &[("if-match", "\"3\"")], r#"{"assignee": "municipality"}"#).await;
    assert_eq!((stranger.status, read(&stranger)["member"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("assignee")));
    let closed = post(&front, &lead, &path("/close"), &[("if-match", "\"3\"")], r#"{"disposition": "benign"}"#).await;
    assert_eq!((closed.status, read(&closed)["disposition"].as_str()), (StatusCode::OK, Some("benign")));
}

#[tokio::test]
async fn what_carries_a_key_happens_once() {
    let front = Front::new();
    let number = open_case(&front, front.body, "Fall");
    let (path, writing) = (format!("/api/v1/incidents/{number}/notes"), token(&front, Role::Analyst, true));
    let notes = |front: &Front| {
        front.app.db.read(|c| Ok::<i64, DbError>(c.query_row("SELECT COUNT(*) FROM incident_note", [], |row| row.get(0))?)).unwrap()
    };
    let key = [("idempotency-key", "ticket-4711")];
    let first = post(&front, &writing, &path, &key, r#"{"text": "eins"}"#).await;
    let again = post(&front, &writing, &path, &key, r#"{"text": "eins"}"#).await;
    assert_eq!((first.status, again.status, &first.text), (StatusCode::OK, StatusCode::OK, &again.text));
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed"), notes(&front)), ("", "true", 1));
    let other = post(&front, &writing, &path, &key, r#"{"text": "zwei"}"#).await;
    assert_eq!((read(&other)["error"].as_str(), notes(&front)), (Some("key_reused"), 1));
    // Keys are each token's own, also of one account; and end after a day.
    assert_eq!(
        post(&front, &token(&front, Role::Analyst, true), &path, &key, r#"{"text": "zwei"}"#).await.header("idempotency-replayed"),
        ""
    );
    front.app.db.write(|tx| Ok::<_, DbError>(tx.execute("DELETE FROM incident_note WHERE text = 'zwei'", [])?)).unwrap();
    assert_eq!(post(&front, &token(&front, Role::Lead, true), &path, &key, r#"{"text": "eins"}"#).await.status, StatusCode::OK);
    assert_eq!(notes(&front), 2);
    // What was refused is no answer to keep.
    let wrong = [("idempotency-key", "neu")];
    assert_eq!(post(&front, &writing, &path, &wrong, r#"{"text": ""}"#).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(post(&front, &writing, &path, &wrong, r#"{"text": "doch"}"#).await.status, StatusCode::OK);
    front.app.clock.set(now().plus(2 * Timestamp::DAY));
    let writing = token(&front, Role::Analyst, true);
    assert_eq!(post(&front, &writing, &path, &key, r#"{"text": "zwei"}"#).await.status, StatusCode::OK);
    assert_eq!(notes(&front), 4);
    let opened = r#"{"title": "Neu", "summary": "Es brennt", "severity": "high", "rsit": "fraud/phishing"}"#;
    let made = post(&front, &writing, "/api/v1/incidents", &[("idempotency-key", "a")], opened).await;
    let twice = post(&front, &writing, "/api/v1/incidents", &[("idempotency-key", "a")], opened).await;
    assert_eq!((made.status, twice.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!((read(&made)["number"].clone(), made.header("location").is_empty()), (read(&twice)["number"].clone(), false));
    assert_eq!(get(&front, &writing, made.header("location")).await.status, StatusCode::OK);
}

/// More than are kept: nothing is done that could not be asked again, until the oldest is a day old.
#[tokio::test]
async fn without_room_for_its_answer_nothing_is_done() {
    let front = Front::new();
    let number = open_case(&front, front.body, "Fall");
    let (path, writing) = (format!("/api/v1/incidents/{number}/notes"), token(&front, Role::Analyst, true));
    let send = async |key: String| post(&front, &writing, &path, &[("idempotency-key", &key)], r#"{"text": "x"}"#).await;
    for n in 0..crate::api_request::KEPT_MAX {
        assert_eq!(send(n.to_string()).await.status, StatusCode::OK);
    }
    let notes =
        || front.app.db.read(|c| Ok::<i64, DbError>(c.query_row("SELECT COUNT(*) FROM incident_note", [], |row| row.get(0))?)).unwrap();
    let full = send("mehr".into()).await;
    assert_eq!((full.status, read(&full)["error"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("keys_full")));
    assert_eq!((full.header("retry-after"), notes()), ("86401", crate::api_request::KEPT_MAX));
    assert_eq!(send("0".into()).await.header("idempotency-replayed"), "true", "what is kept still answers");
    let other = token(&front, Role::Analyst, true);
    let there = post(&front, &other, &path, &[("idempotency-key", "mehr")], r#"{"text": "x"}"#).await;
    assert_eq!(there.status, StatusCode::OK, "another token has its own room");
}

#[tokio::test]
async fn broken_requests_are_told_apart() {
    let front = Front::new();
    let number = open_case(&front, front.body, "Fall");
    let (path, writing) = (format!("/api/v1/incidents/{number}/notes"), token(&front, Role::Analyst, true));
    let long = format!("{{\"text\": \"{}\"}}", "x".repeat(100_000));
    let deep = format!("{{\"text\": {}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("[]", 400),
        ("\"text\"", 400),
        (deep.as_str(), 400),
        ("{}", 422),
        (r#"{"text": 7}"#, 422),
        (r#"{"text": null}"#, 422),
        (r#"{"text": "x", "mehr": "y"}"#, 422),
        (long.as_str(), 413),
    ] {
        let answer = post(&front, &writing, &path, &[], body).await;
        assert_eq!(answer.status.as_u16(), status, "{:.60}: {}", body, answer.text);
    }
    for key in ["", &"k".repeat(201)] {
        assert_eq!(post(&front, &writing, &path, &[("idempotency-key", key)], r#"{"text": "x"}"#).await.status.as_u16(), 400);
    }
    let tag = post(&front, &writing, &path.replace("/notes", "/move"), &[("if-match", "*")], r#"{"to": "triaged"}"#).await;
    assert_eq!(read(&tag)["error"], "invalid_version");
    // A browser's session needs its CSRF token, which JSON of another site cannot know.
    let (cookie, csrf) = front.enter(Role::Analyst);
    let send = |kind: &'static str, body: String| {
        let request = Request::post(path.as_str()).header(header::HOST, "wartburg.test").header(header::COOKIE, &cookie);
        front.send(request.header(header::CONTENT_TYPE, kind).body(Body::from(body)).unwrap())
    };
    let forged = send("application/json", r#"{"text": "x"}"#.into()).await;
    assert_eq!((forged.status, forged.header("content-type")), (StatusCode::FORBIDDEN, "application/problem+json"));
    assert_eq!(send("application/x-www-form-urlencoded", format!("csrf={csrf}&text=x")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn red_leaves_only_on_purpose_and_every_file_is_noted() {
    let front = Front::new();
    let (open, red) = (open_case(&front, front.body, "Offener Fall"), open_case(&front, front.body, "Roter Fall"));
    let copy = red.clone();
    front
        .app
        .db
        .write(move |tx| Ok::<_, DbError>(tx.execute("UPDATE incident SET tlp = ?2 WHERE number = ?1", [&copy, Tlp::Red.as_str()])?))
        .unwrap();
    let (cookie, _) = front.enter(Role::Analyst);
    for (form, mime) in [
        ("stix", "application/stix+json;version=2.1"),
        ("misp", "application/json"),
        ("iodef", "application/xml"),
        ("csv", "text/csv; charset=utf-8"),
    ] {
        let file = front.get(&format!("/vorfall/{open}/export?form={form}"), &cookie).await;
        assert_eq!((file.status, file.header("content-type")), (StatusCode::OK, mime));
        assert!(file.header("content-disposition").contains(&format!("{open}.")) && file.text.contains(&open));
        assert_eq!(front.get(&format!("/vorfall/{red}/export?form={form}"), &cookie).await.status, StatusCode::CONFLICT);
        assert_eq!(front.get(&format!("/vorfall/{red}/export?form={form}&bestaetigt=ja"), &cookie).await.status, StatusCode::OK);
    }
    assert_eq!(front.get(&format!("/vorfall/{open}/export?form=pdf"), &cookie).await.status, StatusCode::CONFLICT);
    let list = front.get("/vorfaelle.csv", &cookie).await;
    assert!(list.text.contains(&open) && !list.text.contains(&red), "{}", list.text);
    let page = front.get(&format!("/vorfall/{red}"), &cookie).await.text;
    assert!(page.contains("name=\"bestaetigt\"") && page.contains("TLP:RED"));
    front.app.audit.flush();
    let noted = front.app.db.read(|c| {
        let sql = "SELECT object || ' ' || detail FROM audit WHERE kind = 'incident.exported' ORDER BY n";
        let mut statement = c.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        Ok::<Vec<String>, DbError>(rows.collect::<Result<_, _>>()?)
    });
    let noted = noted.unwrap();
    assert_eq!(noted.len(), 9, "each file that left, and no other: {noted:#?}");
    assert!(
        noted.iter().filter(|row| row.contains("\"tlp\":\"RED\"")).count() == 4 && noted[8].contains("\"red_left_out\":1"),
        "{noted:#?}"
    );
}

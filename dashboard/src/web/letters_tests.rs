//! Exhibits and correspondence as a browser meets them: forms with a file, quarantine, the tray, the answer out of a case.

use advisory::mailroom::{LetterId, Mailroom, Own, Receipt};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use detect::exhibit::{Exhibit, MAIL_BYTES_MAX, exhibit_list};
use detect::incident::incident_by_number;
use detect::role::Role;
use ingest::audit::{AuditFilter, audit_find};
use ingest::db::DbError;
use ingest::scope::Scope;

use super::tests::{Answer, Front, open_case};

fn form(csrf: &str, file: Option<(&str, &str, &[u8])>) -> Vec<u8> {
    let mut body = format!("--b\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{csrf}\r\n").into_bytes();
    if let Some((name, kind, content)) = file {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"datei\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n");
        body.extend(head.into_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    body
}

async fn upload(front: &Front, number: &str, cookie: &str, body: Vec<u8>) -> Answer {
    let request = Request::post(format!("/vorfall/{number}/beweis"))
        .header(header::COOKIE, cookie)
        .header(header::HOST, "wartburg.test")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b");
    front.send(request.body(Body::from(body)).unwrap()).await
}

fn exhibits(front: &Front, number: &str) -> Vec<Exhibit> {
    let found = front.app.db.read(|c| {
        let id = incident_by_number(c, &Scope::All, number)?.unwrap();
        exhibit_list(c, &Scope::All, id)
    });
    found.unwrap_or_else(|error: DbError| panic!("{error}"))
}

fn aside(front: &Front) -> usize {
    // A sealed file has left this folder; what is dropped is gone.
    let draft = front.app.locker.draft(1).unwrap();
    let path = format!("{draft:?}");
    let start = path.find("path: \"").unwrap() + 7;
    let folder = std::path::Path::new(path[start..].split('"').next().unwrap()).parent().unwrap().to_owned();
    drop(draft);
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn a_file_goes_in_and_comes_out_as_bytes_to_keep() {
    let front = Front::new();
    let number = open_case(&front, front.body, "Fall");
    let (cookie, csrf) = front.enter(Role::Analyst);
    let html = b"<script>alert(1)</script>";
    let answer = upload(&front, &number, cookie.as_str(), form(&csrf, Some(("b\u{f6}se.html", "image/png", html)))).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, &*format!("/vorfall/{number}?ok=exhibit-added")));
    let file = exhibits(&front, &number).remove(0);
    let page = front.get(&format!("/vorfall/{number}"), &cookie).await.text;
    for part in ["böse.html", &file.sha256, "genannt: image/png", "Der Inhalt ist etwas anderes"] {
        assert!(page.contains(part), "{part}");
    }
    let take = format!("/vorfall/{number}/beweis/{}/herunterladen", file.id);
    let taken = front.post(&take, &cookie, &[("csrf", &csrf), ("zweck", "Analyse")]).await;
    assert_eq!((taken.status, taken.text.as_bytes()), (StatusCode::OK, html.as_slice()));
    assert_eq!(taken.header("content-type"), "application/octet-stream");
    assert!(
        taken.header("content-disposition").starts_with("attachment; filename=\"b_se.html\""),
        "{}",
        taken.header("content-disposition")
    );
    assert!(taken.header("content-security-policy").contains("sandbox") && taken.header("x-content-type-options") == "nosniff");
    let page = front.get(&format!("/vorfall/{number}"), &cookie).await.text;
    assert!(page.contains("heruntergeladen, Frau analyst: Analyse"), "the chain of custody stands on the page");
    let rows = front.app.db.read(|c| audit_find(c, &AuditFilter { limit: 50, ..AuditFilter::default() })).unwrap().rows;
    let kinds: Vec<&str> = rows.iter().map(|row| row.kind.as_str()).filter(|kind| kind.starts_with("exhibit.")).collect();
    assert_eq!(kinds, ["exhibit.downloaded", "exhibit.added"]);
}

#[tokio::test]
async fn a_file_that_may_not_come_leaves_nothing() {
    let front = Front::new();
    let (number, foreign) = (open_case(&front, front.body, "Fall"), open_case(&front, front.other, "Fremd"));
    let (cookie, csrf) = front.enter(Role::Analyst);
    let (isb, isb_csrf) = front.enter(Role::Municipality);
    let file = Some(("a.txt", "text/plain", b"x".as_slice()));
    let big = vec![b'x'; (25 << 20) + 1];
    for (name, number, cookie, body, status) in [
        ("nobody", &number, "", form(&csrf, file), 303),
        ("a body's person", &number, isb.as_str(), form(&isb_csrf, file), 403),
        ("foreign token", &number, cookie.as_str(), form(&isb_csrf, file), 403),
        ("no file", &number, cookie.as_str(), form(&csrf, None), 409),
        ("empty file", &number, cookie.as_str(), form(&csrf, Some(("a", "", b""))), 409),
        ("no such case", &"TC-1999-000001".to_owned(), cookie.as_str(), form(&csrf, file), 404),
        ("too large", &number, cookie.as_str(), form(&csrf, Some(("a", "", &big))), 413),
        ("cut off", &number, cookie.as_str(), form(&csrf, file)[..60].to_vec(), 400),
        ("no form", &number, cookie.as_str(), b"x".repeat(10_000), 400),
    ] {
        let answer = upload(&front, number, cookie, body).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text.chars().take(300).collect::<String>());
    }
    assert!(exhibits(&front, &number).is_empty() && exhibits(&front, &foreign).is_empty());
    assert_eq!(aside(&front), 0);
}

fn receive(front: &Front, raw: &str) -> LetterId {
    let own = Own { address: "cert@thueringen.example".into(), authserv: Some("mx".into()), ..Own::default() };
    let mailroom = Mailroom::new(front.app.db.clone(), front.app.locker.clone(), front.app.clock.clone(), own);
    let mut draft = front.app.locker.draft(MAIL_BYTES_MAX).unwrap();
    draft.write(raw.replace('\n', "\r\n").as_bytes()).unwrap();
    match mailroom.receive(draft).unwrap() {
        Receipt::Kept(id) | Receipt::Known(id) => id,
    }
}

#[tokio::test]
async fn a_letter_waits_in_the_tray_until_somebody_says_where_it_belongs() {
    let front = Front::new();
    let number = open_case(&front, front.body, "Fall");
    let (cookie, csrf) = front.enter(Role::Analyst);
    let id = receive(
        &front,
        "From: \"<b>Neu</b>\" <x@neu.example>\nSubject: <script>alert(1)</script> TC-1999-000001\nContent-Type: multipart/mixed; boundary=b\n\n\
         --b\nContent-Type: text/html\n\n<script>alert(2)</script><p>Hilfe</p><img src=http://x.example/p.gif>\n--b\nContent-Type: \
         application/zip; name=a.zip\n\nPK\u{3}\u{4}\n--b--\n",
    );
    let tray = front.get("/post", &cookie).await.text;
    assert!(tray.contains("Absender unbekannt") && tray.contains("Mails zu sortieren"));
    let page = front.get(&format!("/post/{id}"), &cookie).await.text;
    assert!(page.contains("Hilfe") && page.contains("&lt;script&gt;") || page.contains("&#60;script&#62;"), "{page}");
    assert!(!page.contains("<script>alert") && !page.contains("http://x.example") && !page.contains("<b>Neu"), "{page}");
    let to = |path: &str| format!("/post/{id}/{path}");
    assert_eq!(front.post(&to("zuordnen"), &cookie, &[("csrf", &csrf), ("nummer", "TC-1999-000001")]).await.status.as_u16(), 409);
    let filed = front.post(&to("zuordnen"), &cookie, &[("csrf", &csrf), ("nummer", &number)]).await;
    assert_eq!(filed.header("location"), format!("/vorfall/{number}?ok=letter-filed"));
    let again = front.post(&to("ablegen"), &cookie, &[("csrf", &csrf)]).await;
    assert_eq!(again.status.as_u16(), 409, "filed is filed");
    let case = front.get(&format!("/vorfall/{number}"), &cookie).await.text;
    assert!(case.contains("Schriftwechsel") && case.contains("a.zip") && case.contains("Quarantäne"));
    // The body's people see neither the stranger's letter nor any file.
    let (isb, _) = front.enter(Role::Municipality);
    let theirs = front.get(&format!("/vorfall/{number}"), &isb).await.text;
    assert!(!theirs.contains("a.zip") && !theirs.contains("x@neu.example") && !theirs.contains("Beweismittel hinzugefügt"), "{theirs}");
    let file = exhibits(&front, &number).into_iter().find(|file| file.name == "a.zip").unwrap();
    let path = |what: &str| format!("/vorfall/{number}/beweis/{}/{what}", file.id);
    assert_eq!(front.post(&path("herunterladen"), &cookie, &[("csrf", &csrf)]).await.status.as_u16(), 409, "in quarantine");
    assert_eq!(front.post(&path("freigeben"), &cookie, &[("csrf", &csrf), ("grund", "")]).await.status.as_u16(), 409);
    assert_eq!(front.post(&path("freigeben"), &cookie, &[("csrf", &csrf), ("grund", "geprüft")]).await.status.as_u16(), 303);
    assert_eq!(front.post(&path("herunterladen"), &cookie, &[("csrf", &csrf)]).await.status.as_u16(), 200);
}

#[tokio::test]
async fn an_answer_goes_out_once_and_is_read_in_the_portal() {
    let front = Front::new();
    front.contact();
    let number = open_case(&front, front.body, "Fall");
    let (cookie, csrf) = front.enter(Role::Analyst);
    let page = front.get(&format!("/vorfall/{number}"), &cookie).await.text;
    let value = |name: &str| {
        let start = page.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}")) + name.len() + 15;
        page[start..].split('"').next().unwrap().to_owned()
    };
    let contact = front.app.db.read(|c| ingest::body::contact_list(c, front.body)).unwrap().remove(0).id.to_string();
    let once = value("einmal");
    let path = format!("/vorfall/{number}/schreiben");
    let say =
        [("csrf", csrf.as_str()), ("einmal", &once), ("zu", ""), ("an", &contact), ("betreff", "Frage"), ("text", "Ist er noch am Netz?")];
    for _ in 0..2 {
        assert_eq!(front.post(&path, &cookie, &say).await.header("location"), format!("/vorfall/{number}?ok=letter-sent"));
    }
    let queued = front.app.db.read(|c| advisory::outbox::outbox_list(c, &Scope::All, None, 10)).unwrap();
    assert_eq!(queued.len(), 1, "the same form is one mail");
    assert!(queued[0].subject.contains(&number), "{}", queued[0].subject);
    let (isb, _) = front.enter(Role::Municipality);
    assert!(front.get(&format!("/vorfall/{number}"), &isb).await.text.contains("Ist er noch am Netz?"), "the body reads it in the portal");
    let (steering, steering_csrf) = front.enter(Role::Municipality);
    let theirs = front.post(&path, &steering, &[("csrf", &steering_csrf), ("text", "x")]).await;
    assert_eq!(theirs.status, StatusCode::FORBIDDEN);
}

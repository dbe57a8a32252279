//! The front as a browser meets it: requests into the router, answers out of it, over a real database.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use detect::role::Role;
use expect_test::expect;
use ingest::body::BodyId;
use ingest::time::Timestamp;
use tower::ServiceExt;

use super::*;
use crate::access::Verdict;
use crate::session::{How, NewSession};
use crate::user::{self, User, UserId};

pub(crate) const PASSWORD: &str = "Wartburg-1521!";

/// A front with one account per role, and a clock that the test sets.
pub(crate) struct Front {
    pub(crate) app: App,
    pub(crate) router: axum::Router,
    pub(crate) body: BodyId,
    pub(crate) other: BodyId,
    _dir: tempfile::TempDir,
}

/// An answer as a test reads it.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-21T13:02:09Z").unwrap()
}

impl Front {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (app, body, other) = super::sample::app(dir.path(), settings, now());
        // One hash for all: seven would make every test wait.
        let hash = user::password_hash(PASSWORD).unwrap();
        for role in Role::ALL {
            let user = User {
                id: UserId::new(now()),
                login: role.as_str().into(),
                name: format!("Frau {}", role.as_str()),
                role,
                body: Some(body),
                disabled: false,
            };
            let hash = hash.clone();
            app.db.write(move |tx| user::user_add(tx, &user, &hash, now())).unwrap();
        }
        Self { router: router(app.clone()), app, body, other, _dir: dir }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 8 << 20).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    pub(crate) async fn get(&self, path: &str, cookie: &str) -> Answer {
        self.send(Request::get(path).header(header::COOKIE, cookie).header(header::HOST, "wartburg.test").body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn post(&self, path: &str, cookie: &str, form: &[(&str, &str)]) -> Answer {
        let body: Vec<String> = form.iter().map(|(key, value)| format!("{key}={}", crate::show::query_encode(value))).collect();
        let request = Request::post(path)
            .header(header::COOKIE, cookie)
            .header(header::HOST, "wartburg.test")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(body.join("&"))).unwrap()).await
    }

    /// Gives the own body somebody who gets its mails.
    pub(crate) fn contact(&self) {
        let id = ingest::body::ContactId::new(now());
        let (name, email) = ("ISB Sömmerda".to_owned(), "isb@soemmerda.example".to_owned());
        let person = ingest::body::Contact { id, body: self.body, name, email, role: "isb".into(), confirmed_at: None };
        self.app.db.write(move |tx| ingest::body::contact_add(tx, &person)).unwrap();
    }

    /// A session opened without the password's cost: (cookie, csrf token).
    pub(crate) fn enter(&self, role: Role) -> (String, String) {
        let token = Token::new();
        let (copy, login, at) = (token.clone(), role.as_str(), self.app.clock.now());
        let (user, _) = self.app.db.read(|c| user::user_by_login(c, login)).unwrap().unwrap();
        let new = NewSession { user: user.id, how: How::Password, address: String::new(), browser: String::new() };
        let limits = self.app.settings.session;
        self.app.db.write(move |tx| session::session_open(tx, &new, &copy, limits, at)).unwrap();
        (format!("wartburg={}", token.as_str()), token.csrf())
    }
}

/// The cookie that an answer sets.
fn cookie_of(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn signing_in_and_out() {
    let front = Front::new();
    let door = front.get("/vorfaelle?stand=neu", "").await;
    assert_eq!((door.status, door.header("location")), (StatusCode::SEE_OTHER, "/login?weiter=%2Fvorfaelle%3Fstand%3Dneu"));

    let wrong = front.post("/login", "", &[("konto", "analyst"), ("kennwort", "falsch-falsch")]).await;
    let unknown = front.post("/login", "", &[("konto", "niemand"), ("kennwort", "falsch-falsch")]).await;
    assert_eq!((wrong.status, unknown.status), (StatusCode::UNPROCESSABLE_ENTITY, StatusCode::UNPROCESSABLE_ENTITY));
    assert_eq!(wrong.text.replace("analyst", "niemand"), unknown.text, "the answer must not tell which accounts exist");
    assert!(wrong.text.contains("value=\"analyst\""), "the name is kept");
    assert!(wrong.headers.get("set-cookie").is_none());

    let planted = front.enter(Role::Steering).0;
    let right = front.post("/login", &planted, &[("konto", " Analyst "), ("kennwort", PASSWORD), ("weiter", "/vorfaelle")]).await;
    assert_eq!((right.status, right.header("location")), (StatusCode::SEE_OTHER, "/vorfaelle"));
    let set = right.header("set-cookie").to_owned();
    assert!(set.contains("; Path=/; HttpOnly; SameSite=Lax; Max-Age=43200") && !set.contains("Secure"), "{set}");
    let cookie = cookie_of(&right);
    assert_ne!(cookie, planted, "a session is never taken over from before the login");
    assert_eq!(front.get("/", &planted).await.status, StatusCode::SEE_OTHER);
    let home = front.get("/", &cookie).await;
    assert_eq!(home.status, StatusCode::OK);
    assert!(home.text.contains("Frau analyst"));

    let token = Token::parse(cookie.split_once('=').unwrap().1).unwrap();
    let out = front.post("/logout", &cookie, &[("csrf", &token.csrf())]).await;
    assert_eq!(out.header("location"), "/login?ok=signed-out");
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(front.get("/", &cookie).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_language_is_a_switch_that_everybody_has() {
    let front = Front::new();
    let set = front.post("/sprache", "", &[("sprache", "en"), ("weiter", "/login")]).await;
    assert_eq!((set.status, set.header("location"), cookie_of(&set)), (StatusCode::SEE_OTHER, "/login", "sprache=en".into()));
    let door = front.get("/login", "sprache=en").await.text;
    assert!(door.contains("<html lang=\"en\"") && door.contains("Sign in"), "{door}");
    // The next answer on the same threads is German again.
    for _ in 0..8 {
        assert!(front.get("/login", "sprache=kli").await.text.contains("<html lang=\"de\""));
    }
}

#[tokio::test]
async fn a_form_whose_session_has_ended_leads_back_to_its_page() {
    let front = Front::new();
    let mut table = String::new();
    for referer in ["http://wartburg.test/vorfall/TC-1?x=1", "https://evil.test/vorfall", "http://wartburg.test.evil.test/x", "//x", ""] {
        let request = Request::post("/vorfall/TC-1/notiz").header(header::HOST, "wartburg.test").header(header::REFERER, referer);
        let answer =
            front.send(request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::empty()).unwrap()).await;
        table.push_str(&format!("{referer:?} {} {}\n", answer.status.as_u16(), answer.header("location")));
    }
    expect![[r#"
        "http://wartburg.test/vorfall/TC-1?x=1" 303 /login?weiter=%2Fvorfall%2FTC-1%3Fx%3D1
        "https://evil.test/vorfall" 303 /login
        "http://wartburg.test.evil.test/x" 303 /login
        "//x" 303 /login
        "" 303 /login
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn a_secure_front_sets_a_host_cookie() {
    let front = Front::with(Settings { secure: true, ..Settings::default() });
    let right = front.post("/login", "", &[("konto", "analyst"), ("kennwort", PASSWORD)]).await;
    let set = right.header("set-cookie");
    assert!(set.starts_with("__Host-wartburg=") && set.ends_with("; Secure"), "{set}");
    assert!(right.header("strict-transport-security").starts_with("max-age="));
}

#[tokio::test]
async fn guessing_is_slowed_down_and_never_locks_for_good() {
    let front = Front::new();
    let try_in = async |password: &str| front.post("/login", "", &[("konto", "lead"), ("kennwort", password)]).await.status;
    for _ in 0..5 {
        assert_eq!(try_in("falsch-falsch").await, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(try_in(PASSWORD).await, StatusCode::TOO_MANY_REQUESTS);
    front.app.clock.set(now().plus(5 * Timestamp::MINUTE));
    assert_eq!(try_in(PASSWORD).await, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_form_counts_only_with_its_token_and_from_here() {
    let front = Front::new();
    let (cookie, csrf) = front.enter(Role::Analyst);
    let (_, foreign) = front.enter(Role::Lead);
    let mut table = String::new();
    for (name, token, extra) in [
        ("no token", "", None),
        ("another session's token", foreign.as_str(), None),
        ("right token, foreign site", csrf.as_str(), Some(("sec-fetch-site", "cross-site"))),
        ("right token, sibling site", csrf.as_str(), Some(("sec-fetch-site", "same-site"))),
        ("right token, foreign origin", csrf.as_str(), Some(("origin", "https://evil.test"))),
        ("right token, null origin", csrf.as_str(), Some(("origin", "null"))),
        ("right token, our origin", csrf.as_str(), Some(("origin", "http://wartburg.test"))),
        ("right token", csrf.as_str(), Some(("sec-fetch-site", "same-origin"))),
    ] {
        let mut request = Request::post("/darstellung")
            .header(header::COOKIE, &cookie)
            .header(header::HOST, "wartburg.test")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some((key, value)) = extra {
            request = request.header(key, value);
        }
        let answer = front.send(request.body(Body::from(format!("csrf={token}&thema=dunkel&weiter=/"))).unwrap()).await;
        table.push_str(&format!("{name}: {}\n", answer.status.as_u16()));
    }
    expect![[r#"
        no token: 403
        another session's token: 403
        right token, foreign site: 403
        right token, sibling site: 403
        right token, foreign origin: 403
        right token, null origin: 403
        right token, our origin: 303
        right token: 303
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn the_live_refresh_does_not_keep_a_session_alive() {
    let front = Front::new();
    let (cookie, _) = front.enter(Role::Analyst);
    for minute in 1..=4 {
        front.app.clock.set(now().plus(minute * 29 * Timestamp::MINUTE));
        let request = Request::get("/").header(header::COOKIE, &cookie).header("x-fragment", "1");
        assert_eq!(front.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
    }
    front.app.clock.set(now().plus(front.app.settings.session.idle_millis));
    let request = Request::get("/").header(header::COOKIE, &cookie).header("x-fragment", "1");
    assert_eq!(front.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let front = Front::new();
    let (cookie, _) = front.enter(Role::Analyst);
    for path in ["/login", "/", "/gibt-es-nicht", assets::css(), assets::js(), "/assets/alt/wartburg.css"] {
        let answer = front.get(path, &cookie).await;
        assert_eq!(answer.header("content-security-policy"), gate::CSP, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let cached = answer.header("cache-control");
        assert_eq!(cached.contains("immutable"), answer.status == StatusCode::OK && path.starts_with("/assets/"), "{path}: {cached}");
        for inline in ["style=", "onclick=", "<style", "javascript:"] {
            assert!(path.starts_with("/assets") || !answer.text.contains(inline), "{path} has {inline}");
        }
    }
    let missing = front.get("/gibt-es-nicht", &cookie).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(missing.text.contains("Das gibt es hier nicht") && missing.text.contains("Hauptnavigation"));
}

#[test]
fn the_matrix_of_routes_and_roles() {
    let mut matrix = String::new();
    for route in ROUTES {
        let mark = |role: Option<Role>| match access::judge(route.who, role) {
            Verdict::Enter => role.map_or("everybody", Role::as_str),
            Verdict::SignIn | Verdict::Forbidden => "-",
        };
        let marks: Vec<&str> = [None].into_iter().chain(Role::ALL.map(Some)).map(mark).collect();
        let fresh = if route.fresh { " (fresh proof)" } else { "" };
        matrix.push_str(&format!("{:?} {}: {}{fresh}\n", route.verb, route.path, marks.join(" ")));
    }
    expect![[r#"
        Get /login: everybody analyst lead municipality provider steering auditor admin
        Post /login: everybody analyst lead municipality provider steering auditor admin
        Get /login/schritt: everybody analyst lead municipality provider steering auditor admin
        Post /login/nachweis: everybody analyst lead municipality provider steering auditor admin
        Post /login/einrichten: everybody analyst lead municipality provider steering auditor admin
        Post /login/kennwort: everybody analyst lead municipality provider steering auditor admin
        Post /login/passkey: everybody analyst lead municipality provider steering auditor admin
        Post /login/passkey/optionen: everybody analyst lead municipality provider steering auditor admin
        Get /konto: - analyst lead municipality provider steering auditor admin
        Post /konto/kennwort: - analyst lead municipality provider steering auditor admin
        Get /konto/app: - analyst lead municipality provider steering auditor admin
        Post /konto/app: - analyst lead municipality provider steering auditor admin (fresh proof)
        Post /konto/app/bestaetigen: - analyst lead municipality provider steering auditor admin
        Post /konto/app/entfernen: - analyst lead municipality provider steering auditor admin (fresh proof)
        Post /konto/codes: - analyst lead municipality provider steering auditor admin (fresh proof)
        Post /konto/passkey/neu: - analyst lead municipality provider steering auditor admin (fresh proof)
        Post /konto/passkey: - analyst lead municipality provider steering auditor admin
        Post /konto/passkey/{id}/nennen: - analyst lead municipality provider steering auditor admin
        Post /konto/passkey/{id}/entfernen: - analyst lead municipality provider steering auditor admin (fresh proof)
        Post /konto/sitzung/{id}/beenden: - analyst lead municipality provider steering auditor admin
        Post /konto/sitzungen/beenden: - analyst lead municipality provider steering auditor admin
        Post /logout: - analyst lead municipality provider steering auditor admin
        Post /darstellung: - analyst lead municipality provider steering auditor admin
        Post /sprache: everybody analyst lead municipality provider steering auditor admin
        Get /login/oidc: everybody analyst lead municipality provider steering auditor admin
        Get /login/oidc/zurueck: everybody analyst lead municipality provider steering auditor admin
        Get /login/oidc/abmelden: everybody analyst lead municipality provider steering auditor admin
        Get /einladung/{token}: everybody analyst lead municipality provider steering auditor admin
        Post /einladung/{token}: everybody analyst lead municipality provider steering auditor admin
        Get /konto/zugriff: - analyst lead municipality provider steering auditor admin
        Post /konto/zugriff: - analyst lead municipality provider steering auditor admin (fresh proof)
        Post /konto/zugriff/{id}/widerrufen: - analyst lead municipality provider steering auditor admin
        Get /api/v1/me: - analyst lead municipality provider steering auditor admin
        Get /api/v1/incidents: - analyst lead municipality provider - - -
        Get /api/v1/alerts: - analyst lead - - - - -
        Get /api/v1/incidents/{number}: - analyst lead municipality provider - - -
        Get /api/v1/incidents/{number}/history: - analyst lead municipality provider - - -
        Get /api/v1/incidents/{number}/recommendations: - analyst lead municipality provider - - -
        Get /api/v1/incidents/{number}/alerts: - analyst lead - - - - -
        Post /api/v1/incidents: - analyst lead municipality provider - - -
        Post /api/v1/incidents/{number}/notes: - analyst lead - - - - -
        Post /api/v1/incidents/{number}/move: - analyst lead - - - - -
        Post /api/v1/incidents/{number}/close: - analyst lead - - - - -
        Post /api/v1/incidents/{number}/assignee: - analyst lead - - - - -
        Post /api/v1/incidents/{number}/answer: - analyst lead municipality provider - - -
        Get /konten: - - - - - - - admin
        Get /konten/neu: - - - - - - - admin
        Post /konten/neu: - - - - - - - admin (fresh proof)
        Get /konten/mandate: - - - - - - - admin
        Post /konten/mandate: - - - - - - - admin (fresh proof)
        Post /konten/mandate/{id}/beenden: - - - - - - - admin
        Post /konten/dienstleister: - - - - - - - admin (fresh proof)
        Get /konten/webhooks: - - - - - - - admin
        Post /konten/webhooks: - - - - - - - admin (fresh proof)
        Post /konten/webhooks/{id}/beenden: - - - - - - - admin
        Post /konten/webhooks/{id}/erneut: - - - - - - - admin
        Get /konten/{id}: - - - - - - - admin
        Post /konten/{id}: - - - - - - - admin (fresh proof)
        Post /konten/{id}/sperren: - - - - - - - admin
        Post /konten/{id}/freigeben: - - - - - - - admin (fresh proof)
        Post /konten/{id}/zuruecksetzen: - - - - - - - admin (fresh proof)
        Post /konten/{id}/abmelden: - - - - - - - admin
        Post /konten/{id}/zugriff/{token}/widerrufen: - - - - - - - admin
        Get /: - analyst lead municipality provider steering auditor admin
        Get /lage/live: - analyst lead - - - - -
        Get /strom: - analyst lead municipality provider - - -
        Get /vorfaelle: - analyst lead municipality provider - - -
        Post /vorfaelle: - analyst lead - - - - -
        Get /vorfaelle.csv: - analyst lead municipality provider - - -
        Get /fristen: - analyst lead municipality provider - - -
        Get /vorfaelle/neu: - analyst lead - - - - -
        Post /vorfaelle/neu: - analyst lead - - - - -
        Get /vorfaelle/meldelinks: - analyst lead - - - - -
        Post /vorfaelle/meldelinks: - analyst lead - - - - -
        Get /vorfall/{number}/export: - analyst lead municipality provider - - -
        Get /vorfall/{number}/bericht.pdf: - analyst lead municipality provider - - -
        Get /vorfall/{number}: - analyst lead municipality provider - - -
        Post /vorfall/{number}/uebernehmen: - analyst lead - - - - -
        Post /vorfall/{number}/stand: - analyst lead - - - - -
        Post /vorfall/{number}/notiz: - analyst lead - - - - -
        Get /vorfall/{number}/angaben: - analyst lead - - - - -
        Post /vorfall/{number}/angaben: - analyst lead - - - - -
        Post /vorfall/{number}/zeitleiste: - analyst lead - - - - -
        Post /vorfall/{number}/zeitleiste/streichen: - analyst lead - - - - -
        Post /zeitleiste: - analyst lead - - - - -
        Get /aufgaben: - analyst lead - - - - -
        Post /aufgaben: - analyst lead - - - - -
        Get /aufgabe/{id}: - analyst lead - - - - -
        Post /aufgabe/{id}: - analyst lead - - - - -
        Post /aufgabe/{id}/stand: - analyst lead - - - - -
        Get /vorfall/{number}/zusammenfuehren: - analyst lead - - - - -
        Post /vorfall/{number}/zusammenfuehren: - analyst lead - - - - -
        Get /vorfall/{number}/trennen: - analyst lead - - - - -
        Post /vorfall/{number}/trennen: - analyst lead - - - - -
        Post /vorfall/{number}/verbinden: - analyst lead - - - - -
        Post /vorfall/{number}/loesen: - analyst lead - - - - -
        Post /vorfall/{number}/empfehlung: - analyst lead - - - - -
        Post /vorfall/{number}/warnung: - analyst lead - - - - -
        Post /vorfall/{number}/antwort: - analyst lead municipality provider - - -
        Get /vorfall/{number}/pflicht/{duty}: - analyst lead municipality provider - - -
        Get /vorfall/{number}/pflicht/{duty}/formular.json: - analyst lead municipality provider - - -
        Get /vorfall/{number}/pflicht/{duty}/formular.pdf: - analyst lead municipality provider - - -
        Post /vorfall/{number}/pflicht/{duty}: - analyst lead municipality provider - - -
        Post /vorfall/{number}/beweis: - analyst lead - - - - -
        Post /vorfall/{number}/beweis/{id}/herunterladen: - analyst lead - - - - -
        Post /vorfall/{number}/beweis/{id}/freigeben: - analyst lead - - - - -
        Post /vorfall/{number}/schreiben: - analyst lead - - - - -
        Get /post: - analyst lead - - - - -
        Get /post/{id}: - analyst lead - - - - -
        Post /post/{id}/zuordnen: - analyst lead - - - - -
        Post /post/{id}/eroeffnen: - analyst lead - - - - -
        Post /post/{id}/ablegen: - analyst lead - - - - -
        Get /alarme: - analyst lead - - - - -
        Post /alarme: - analyst lead - - - - -
        Post /alarm/{id}/schliessen: - analyst lead - - - - -
        Post /alarm/{id}/bestaetigen: - analyst lead - - - - -
        Get /suche: - analyst lead - - - - -
        Get /suche/zeilen: - analyst lead - - - - -
        Get /suche/export.csv: - analyst lead - - - - -
        Get /suche/export.ndjson: - analyst lead - - - - -
        Get /suche/export.parquet: - analyst lead - - - - -
        Get /suche/gespeichert: - analyst lead - - - - -
        Post /suche/gespeichert: - analyst lead - - - - -
        Get /suche/gespeichert/{id}: - analyst lead - - - - -
        Post /suche/gespeichert/{id}: - analyst lead - - - - -
        Post /suche/gespeichert/{id}/loeschen: - analyst lead - - - - -
        Post /suche/gespeichert/{id}/plan: - analyst lead - - - - -
        Get /suche/live: - analyst lead - - - - -
        Get /suche/strom: - analyst lead - - - - -
        Get /ereignis/{number}: - analyst lead - - - - -
        Get /fluesse: - analyst lead - - - - -
        Get /fluesse/verbindung: - analyst lead - - - - -
        Get /aufdeckung: - analyst lead - - - - -
        Post /aufdeckung: - analyst lead - - - - -
        Post /aufdeckung/{id}/entscheiden: - - lead - - - - - (fresh proof)
        Post /aufdeckung/{id}/zeigen: - analyst lead - - - - - (fresh proof)
        Get /indikatoren: - analyst lead - - - - -
        Get /indikatoren/eintraege: - analyst lead - - - - -
        Post /indikatoren: - analyst lead - - - - -
        Post /indikatoren/rueckschau/{id}/abbrechen: - analyst lead - - - - -
        Post /indikatoren/feed: - analyst lead - - - - -
        Get /regeln: - analyst lead - - - - -
        Get /regeln/abdeckung: - analyst lead - - - - -
        Get /regeln/abdeckung.json: - analyst lead - - - - -
        Get /regeln/ruecktest: - analyst lead - - - - -
        Post /regeln/ruecktest: - analyst lead - - - - -
        Get /regeln/ruecktest/{id}: - analyst lead - - - - -
        Post /regeln/ruecktest/{id}/abbrechen: - analyst lead - - - - -
        Get /regel/{name}: - analyst lead - - - - -
        Post /regel/{name}/stand: - - lead - - - - -
        Get /regel/{name}/stillhalten: - analyst lead - - - - -
        Post /regel/{name}/stillhalten: - analyst lead - - - - -
        Post /regel/{name}/stillhalten/{id}/beenden: - analyst lead - - - - -
        Get /meldungen: - analyst lead municipality provider - - -
        Get /meldung/neu: - analyst lead - - - - -
        Post /meldung/neu: - analyst lead - - - - -
        Get /meldung/{id}: - analyst lead municipality provider - - -
        Get /meldung/{id}/csaf: - analyst lead municipality provider - - -
        Get /meldung/{id}/bearbeiten: - analyst lead - - - - -
        Post /meldung/{id}/bearbeiten: - analyst lead - - - - -
        Post /meldung/{id}/pruefen: - analyst lead - - - - -
        Post /meldung/{id}/freigeben: - analyst lead - - - - -
        Post /meldung/{id}/zurueck: - analyst lead - - - - -
        Post /meldung/{id}/veroeffentlichen: - analyst lead - - - - - (fresh proof)
        Post /meldung/{id}/ueberarbeiten: - analyst lead - - - - -
        Post /meldung/{id}/zurueckziehen: - analyst lead - - - - - (fresh proof)
        Post /meldung/{id}/kenntnis: - - - municipality provider - - -
        Get /w/{token}: everybody analyst lead municipality provider steering auditor admin
        Post /w/{token}: everybody analyst lead municipality provider steering auditor admin
        Get /empfehlung/{token}: everybody analyst lead municipality provider steering auditor admin
        Post /empfehlung/{token}: everybody analyst lead municipality provider steering auditor admin
        Get /melden: everybody analyst lead municipality provider steering auditor admin
        Post /melden: everybody analyst lead municipality provider steering auditor admin
        Get /melden/{token}: everybody analyst lead municipality provider steering auditor admin
        Post /melden/{token}: everybody analyst lead municipality provider steering auditor admin
        Get /abos: - analyst lead municipality provider - - -
        Post /abos: - analyst lead municipality provider - - -
        Post /abo/{id}/beenden: - analyst lead municipality provider - - -
        Get /kennzahlen: - analyst lead municipality - steering auditor -
        Get /kennzahl/{name}: - analyst lead municipality - steering auditor -
        Get /quellen: - analyst lead municipality provider - - admin
        Get /quelle/{id}: - analyst lead municipality provider - - admin
        Post /quelle/{id}: - analyst lead - - - - admin
        Get /protokoll: - - - - - - auditor -
        Get /protokoll.csv: - - - - - - auditor -
        Get /bausteine: - analyst lead municipality provider steering auditor admin
        Get /bausteine/raster: - analyst lead municipality provider steering auditor admin
        Get /bausteine/raster/zeilen: - analyst lead municipality provider steering auditor admin
        Get /bausteine/raster/{n}: - analyst lead municipality provider steering auditor admin
        Get /metrics: everybody analyst lead municipality provider steering auditor admin
        Get /postfach: - analyst lead municipality provider steering auditor admin
        Get /postfach/{id}: - analyst lead municipality provider steering auditor admin
    "#]]
    .assert_eq(&matrix);
}

/// The macros' `attrs` is not escaped: it may only be a literal, and none that is made of anything.
#[test]
fn further_attributes_are_never_data() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut seen = 0;
    // To its end: nothing may be joined to it.
    let literal = regex::Regex::new(r#"^"(?:[^"\\]|\\.)*"\s*[,)]"#).unwrap();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let handed = if path.ends_with("ui.html") { text.replace("attrs=\"\"", "") } else { text };
        for (at, _) in handed.match_indices("attrs=") {
            seen += 1;
            let rest = &handed[at + "attrs=".len()..];
            assert!(literal.is_match(rest), "{}: {}", path.display(), &rest[..40]);
        }
        let safe = handed.matches("|safe").count();
        assert_eq!(safe, if path.ends_with("ui.html") { handed.matches("{{ attrs|safe }}").count() } else { 0 }, "{}", path.display());
    }
    assert!(seen > 10, "{seen}");
}

/// Strings that have broken other people's pages: markup, attributes, templates, controls, direction, odd unicode.
const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "&lt;b&gt; &amp; &#60;",
    "a\u{202E}gpj.exe\u{2066}",
    "\u{1b}[31mrot\u{7}\r\nset-cookie: x=1",
    "null\u{0}byte\u{200B}\u{FEFF}",
    "=cmd|' /C calc'!A0",
    "]]>--><!--",
];

pub(crate) fn open_case(front: &Front, body: BodyId, title: &str) -> String {
    use detect::incident::{IncidentFilter, NewIncident, Origin, Tlp, incident_list, incident_open_manual};
    let new = NewIncident {
        title: title.to_owned(),
        summary: title.to_owned(),
        severity: detect::rule::Level::High,
        rsit: detect::rsit::Rsit::UNDETERMINED,
        services: vec![],
        tlp: Tlp::Amber,
        origin: Origin::Phone,
        body: Some(body),
        site: None,
        first_activity: None,
        aware_at: now(),
        observables: [("host.name".to_owned(), vec![title.to_owned()])].into(),
    };
    let id =
        front.app.db.write(move |tx| incident_open_manual(tx, &ingest::scope::Scope::All, &new, "system", Role::Analyst, now())).unwrap();
    let all = front.app.db.read(|c| incident_list(c, &IncidentFilter::new(ingest::scope::Scope::All))).unwrap();
    all.into_iter().find(|case| case.id == id).unwrap().number
}

/// Every tag of the page is one that our templates write, and no attribute is an event handler.
fn assert_harmless(path: &str, page: &str) {
    for (at, _) in page.match_indices('<') {
        let tag = page[at..].split('>').next().unwrap();
        let name: String = tag.trim_start_matches(['<', '/']).chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
        assert!(!["img", "iframe", "object", "base"].contains(&name.as_str()), "{path}: {tag}");
        assert!(name != "script" || tag.contains("type=\"module\" src=\"/assets/") || tag == "</script", "{path}: {tag}");
        // Attribute values are quoted; what stands outside of them must hold no handler.
        let outside: String = tag.split('"').step_by(2).collect();
        assert!(!outside.contains(" on") && !outside.contains("javascript:"), "{path}: {tag}");
    }
    // A field gives back what was typed, letter for letter; everything that is only read shows symbols.
    let fields = regex::Regex::new(r#"(?s)value="[^"]*"|<textarea.*?</textarea>"#).unwrap();
    let read = fields.replace_all(page, "");
    assert!(!read.contains(['\u{202E}', '\u{2066}', '\u{1b}', '\u{0}', '\u{200B}']), "{path}");
}

#[tokio::test]
async fn hostile_strings_stay_text_on_every_page() {
    let front = Front::new();
    let (cookie, csrf) = front.enter(Role::Analyst);
    for hostile in HOSTILE {
        let number = open_case(&front, front.body, hostile);
        let case = format!("/vorfall/{number}");
        front.post(&format!("{case}/notiz"), &cookie, &[("csrf", &csrf), ("text", hostile)]).await;
        let query = crate::show::query_encode(hostile);
        for path in [
            case.clone(),
            "/".into(),
            "/lage/live".into(),
            "/vorfaelle".into(),
            format!("/vorfaelle?wort={query}"),
            format!("/suche?q={query}&zeit={query}&vor={query}"),
            format!("/suche/zeilen?q={query}&zeit={query}&vor={query}"),
            format!("/bausteine/raster/zeilen?finden={query}&ab={query}&n={query}"),
            format!("/fluesse?q={query}&feld={query}"),
            format!("/fluesse?q={query}&art=nfdump&mass={query}&vor={query}"),
            format!("/fluesse/verbindung?a={query}&ap=1&b={query}&bp=2&p=6"),
            format!("/aufdeckung?wert={query}&nr={query}"),
            format!("/alarme?stand={query}&vor={query}"),
            format!("/kennzahlen?zeitraum={query}"),
            format!("/meldungen?stand={query}&ab={query}"),
            format!("/login?weiter={query}"),
            format!("/regel/{query}"),
            format!("/w/{query}"),
            format!("/empfehlung/{query}"),
            format!("/{query}"),
        ] {
            let answer = front.get(&path, &cookie).await;
            assert!(!answer.status.is_server_error(), "{path}: {}", answer.status);
            assert_harmless(&path, &answer.text);
        }
        let login = front.post("/login", "", &[("konto", hostile), ("kennwort", hostile), ("weiter", hostile)]).await;
        assert_harmless("/login", &login.text);
        let form = [("csrf", csrf.as_str()), ("title", hostile), ("situation", hostile), ("cves", hostile), ("sources", hostile)];
        assert_harmless("/meldung/neu", &front.post("/meldung/neu", &cookie, &form).await.text);
        let form = [("csrf", csrf.as_str()), ("wert", hostile), ("grund", hostile), ("vorfall", hostile)];
        assert_harmless("/aufdeckung", &front.post("/aufdeckung", &cookie, &form).await.text);
    }
}

#[tokio::test]
async fn what_belongs_to_another_body_does_not_exist() {
    let front = Front::new();
    let (own, foreign) = (open_case(&front, front.body, "Eigener Fall"), open_case(&front, front.other, "Fremder Fall"));
    for role in [Role::Municipality, Role::Provider] {
        let (cookie, csrf) = front.enter(role);
        assert_eq!(front.get(&format!("/vorfall/{own}"), &cookie).await.status, StatusCode::OK);
        assert_eq!(front.get(&format!("/vorfall/{foreign}"), &cookie).await.status, StatusCode::NOT_FOUND);
        let form = [("csrf", csrf.as_str()), ("wort", "erledigt"), ("empfehlung", "00000000000000000000000001")];
        assert_eq!(front.post(&format!("/vorfall/{foreign}/antwort"), &cookie, &form).await.status, StatusCode::NOT_FOUND);
        let other = front.other.to_string();
        let form = [("csrf", csrf.as_str()), ("stelle", other.as_str()), ("schwere", "hoch")];
        assert_eq!(front.post("/abos", &cookie, &form).await.status, StatusCode::NOT_FOUND);
        for path in ["/", "/vorfaelle", "/vorfaelle?stand=alle", "/abos", "/quellen", "/meldungen"] {
            let page = front.get(path, &cookie).await.text;
            assert!(!page.contains("Fremder Fall") && !page.contains("Landratsamt Gotha"), "{path} as {role:?}");
        }
    }
    let (cookie, _) = front.enter(Role::Analyst);
    assert_eq!(front.get(&format!("/vorfall/{foreign}"), &cookie).await.status, StatusCode::OK);
}

#[tokio::test]
async fn nobody_approves_the_own_warning() {
    let front = Front::new();
    let ((author, csrf), (second, second_csrf)) = (front.enter(Role::Analyst), front.enter(Role::Lead));
    let form = [
        ("csrf", csrf.as_str()),
        ("title", "Lücke in Beispiel-VPN"),
        ("situation", "Angreifer kommen ohne Anmeldung hinein."),
        ("assessment", "Wird ausgenutzt."),
        ("check", "Version nachsehen."),
        ("measures", "Version 7.2 einspielen."),
        ("products", "Beispiel AG | Beispiel-VPN | < 7.2"),
        ("cves", "CVE-2026-12345"),
        ("cvss", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
        ("sources", "Hinweis | https://hersteller.example/hinweis"),
    ];
    let wrong = front
        .post(
            "/meldung/neu",
            &author,
            &[form.as_slice(), &[("cves", "CVE-1")]].concat().into_iter().filter(|pair| pair.1 != "CVE-2026-12345").collect::<Vec<_>>(),
        )
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        wrong.text.contains("Angreifer kommen ohne Anmeldung hinein.") && wrong.text.contains("keine CVE-Nummer"),
        "what was typed is kept"
    );
    let made = front.post("/meldung/neu", &author, &form).await;
    let path = made.header("location").split('?').next().unwrap().to_owned();
    let mut story = String::new();
    for (who, cookie, token, word) in [
        ("author", &author, &csrf, "pruefen"),
        ("author", &author, &csrf, "freigeben"),
        ("second", &second, &second_csrf, "freigeben"),
        ("second", &second, &second_csrf, "veroeffentlichen"),
    ] {
        let answer = front.post(&format!("{path}/{word}"), cookie, &[("csrf", token)]).await;
        story.push_str(&format!("{who} {word}: {}\n", answer.status.as_u16()));
    }
    expect![[r#"
        author pruefen: 303
        author freigeben: 409
        second freigeben: 303
        second veroeffentlichen: 303
    "#]]
    .assert_eq(&story);
    let csaf = front.get(&format!("{path}/csaf"), &second).await;
    assert_eq!((csaf.status, csaf.header("content-type")), (StatusCode::OK, "application/json"));
    assert!(
        csaf.header("content-disposition").starts_with("attachment; filename=\"wid-th-2026-0001"),
        "{}",
        csaf.header("content-disposition")
    );
    // The body's own user reads and answers it.
    let (reader, reader_csrf) = front.enter(Role::Municipality);
    assert!(front.get(&path, &reader).await.text.contains("Ihre Kenntnisnahme"));
    let answered = front.post(&format!("{path}/kenntnis"), &reader, &[("csrf", &reader_csrf), ("antwort", "behoben")]).await;
    assert_eq!(answered.status, StatusCode::SEE_OTHER);
    assert!(front.get(&path, &reader).await.text.contains("Behoben am 21.11.2026"));
}

#[tokio::test]
async fn a_pseudonym_is_revealed_by_two_persons() {
    let front = Front::new();
    let token = front.app.pseudonyms.tokens("anna.mueller").remove(0);
    let (analyst, csrf) = front.enter(Role::Analyst);
    let (lead, lead_csrf) = front.enter(Role::Lead);
    let page = front.get(&format!("/aufdeckung?wert={token}"), &analyst).await;
    assert!(page.text.contains(&token) && page.text.contains("Aufdecken beantragen"));

    for (value, reason, case, problem) in [
        ("anna", "Ein Grund, der lang genug ist", "", "ist kein Pseudonym"),
        ("10.20.30.40", "Ein Grund, der lang genug ist", "", "laufende Nummer"),
        (token.as_str(), "kurz", "", "mindestens 10"),
        (token.as_str(), "Ein Grund, der lang genug ist", "TC-1999-000001", "gibt es nicht"),
        ("", "Ein Grund, der lang genug ist", "", "mindestens ein"),
    ] {
        let form = [("csrf", csrf.as_str()), ("wert", value), ("grund", reason), ("vorfall", case)];
        let answer = front.post("/aufdeckung", &analyst, &form).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{value} {reason}");
        assert!(answer.text.contains(problem), "{problem}");
        assert!(answer.text.contains(reason), "what was typed is kept");
    }
    let form = [("csrf", csrf.as_str()), ("wert", token.as_str()), ("grund", "Das Konto versendet Spam."), ("vorfall", "")];
    assert_eq!(front.post("/aufdeckung", &analyst, &form).await.header("location"), "/aufdeckung?ok=reveal-asked");
    let id = front.app.db.read(crate::reveal::reveal_list).unwrap()[0].id;
    let path = |step: &str| format!("/aufdeckung/{id}/{step}");

    let mut story = String::new();
    let yes = [("wort", "genehmigen"), ("grund", "Nachvollziehbar und nötig.")];
    for (who, cookie, csrf, step) in [
        ("analyst", &analyst, &csrf, "zeigen"),
        ("analyst", &analyst, &csrf, "entscheiden"),
        ("lead", &lead, &lead_csrf, "zeigen"),
        ("lead", &lead, &lead_csrf, "entscheiden"),
        ("lead", &lead, &lead_csrf, "entscheiden"),
        ("analyst", &analyst, &csrf, "zeigen"),
        ("lead", &lead, &lead_csrf, "zeigen"),
    ] {
        let form: Vec<(&str, &str)> = [("csrf", csrf.as_str())].into_iter().chain(yes).collect();
        let answer = front.post(&path(step), cookie, &form).await;
        let seen = if answer.text.contains("anna.mueller") { ", the value" } else { "" };
        story += &format!("{who} {step}: {}{seen}\n", answer.status.as_u16());
    }
    for (who, cookie) in [("analyst", &analyst), ("lead", &lead)] {
        assert!(
            !front.get("/aufdeckung", cookie).await.text.contains("anna.mueller"),
            "{who}: nothing is shown without a look that is noted"
        );
    }
    front.app.clock.set(now().plus(crate::reveal::VISIBLE_MILLIS));
    let (analyst, csrf) = front.enter(Role::Analyst);
    let late = front.post(&path("zeigen"), &analyst, &[("csrf", &csrf)]).await;
    story += &format!("analyst a day later: {}\n", late.status.as_u16());
    expect![[r#"
        analyst zeigen: 409
        analyst entscheiden: 403
        lead zeigen: 409
        lead entscheiden: 303
        lead entscheiden: 409
        analyst zeigen: 200, the value
        lead zeigen: 200, the value
        analyst a day later: 409
    "#]]
    .assert_eq(&story);
    let rows = front.app.db.read(|c| ingest::audit::audit_of(c, &format!("reveal:{id}"))).unwrap();
    let kinds: Vec<&str> = rows.iter().map(|row| row.kind.trim_start_matches("pseudonym.reveal_")).collect();
    assert_eq!(kinds, ["asked", "approved", "shown", "shown"]);
    assert!(rows.iter().all(|row| !row.detail.to_string().contains("anna")), "the audit log holds no real value");
}

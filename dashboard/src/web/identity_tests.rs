//! Who may knock, over the wire: the outside provider, API tokens, one-time links, and what an administrator does.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use detect::role::Role;
use expect_test::expect;
use ingest::db::DbError;
use ingest::time::Timestamp;
use serde_json::{Value, json};

use super::tests::{Answer, Front, PASSWORD, now};
use super::*;
use crate::api_token::{Area, Grant, api_token_add, api_token_revoke};
use crate::invitation::{INVITATION_MILLIS, Kind, invitation_add, invitation_first};
use crate::mandate::mandate_bodies;
use crate::oidc::Oidc;
use crate::oidc::fake::{Fake, Mood, SECRET, Signed};
use crate::oidc::groups::GroupRow;
use crate::secret::Secret;
use crate::user::{User, UserId, user_by_login, user_list};

fn row(group: &str, role: Role, body: Option<&str>) -> GroupRow {
    GroupRow { group: group.into(), role: Some(role), body: body.map(str::to_owned) }
}

fn front_with(fake: &Fake, secure: bool, only: bool) -> Front {
    let settings = crate::oidc::Settings {
        issuer: fake.issuer.clone(),
        client_id: "wartburg".into(),
        client_secret: Some(Secret::given(SECRET)),
        scopes: vec!["openid".into()],
        groups_claim: "groups".into(),
        groups: vec![
            row("cert-leitung", Role::Lead, None),
            row("cert-analyse", Role::Analyst, None),
            row("isb-*", Role::Municipality, Some("*")),
        ],
        label: "Landeskonto".into(),
        only,
        emergency: vec!["admin".into()],
    };
    let oidc = Arc::new(Oidc::new(settings, "https://wartburg.test", Duration::from_millis(400)));
    Front::with(Settings { secure, oidc: Some(oidc), ..Settings::default() })
}

fn cookies(answer: &Answer) -> Vec<String> {
    answer.headers.get_all("set-cookie").into_iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

fn first_part(cookie: &str) -> &str {
    cookie.split(';').next().unwrap()
}

/// A whole log-in; the answer to the way back, and the cookie it came with.
async fn sign_in(front: &Front, fake: &Fake, change: impl FnOnce(&mut Value)) -> Answer {
    let out = front.get("/login/oidc?weiter=/vorfaelle", "").await;
    assert_eq!(out.status, StatusCode::SEE_OTHER);
    let cookie = cookies(&out)[0].clone();
    let (code, state) = fake.consent(out.header("location"), Signed::Es256, change, front.app.clock.now().0 / 1_000);
    front.get(&format!("/login/oidc/zurueck?code={code}&state={state}"), first_part(&cookie)).await
}

#[tokio::test]
async fn a_log_in_at_the_provider_and_back() {
    let fake = Fake::start();
    let front = front_with(&fake, true, false);
    let door = front.get("/login?weiter=/vorfaelle", "").await.text;
    assert!(door.contains("Mit Landeskonto anmelden") && door.contains("/login/oidc?weiter=%2Fvorfaelle"));
    let out = front.get("/login/oidc?weiter=/vorfaelle", "").await;
    let cookie = cookies(&out)[0].clone();
    assert!(
        cookie.starts_with("__Host-wartburg-oidc=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600; Secure"),
        "{cookie}"
    );
    let (code, state) = fake.consent(out.header("location"), Signed::Es256, |_| {}, now().0 / 1_000);
    let back = format!("/login/oidc/zurueck?code={code}&state={state}");
    let foreign = front.get(&back, "").await;
    assert_eq!(foreign.status, StatusCode::BAD_REQUEST);
    assert!(foreign.text.contains("passt nicht zu Ihrem Browser"));
    let planted = format!("{}; __Host-wartburg={}", first_part(&cookie), Token::new().as_str());
    let home = front.get(&back, &planted).await;
    assert_eq!((home.status, home.header("location")), (StatusCode::SEE_OTHER, "/vorfaelle"));
    let set = cookies(&home);
    assert!(
        set.iter().any(|cookie| cookie.starts_with("__Host-wartburg-oidc=;") && cookie.contains("Max-Age=0")),
        "the round's cookie is over"
    );
    let session = set.iter().find(|cookie| cookie.starts_with("__Host-wartburg=")).unwrap();
    let page = front.get("/", first_part(session)).await;
    assert!(page.status == StatusCode::OK && page.text.contains("Anna Müller"));
    // The same answer again.
    assert_eq!(front.get(&back, first_part(&cookie)).await.status, StatusCode::BAD_REQUEST);
    // After signing out the provider's door is offered, as a link.
    let out = front.get("/login?ok=signed-out", "").await;
    assert!(out.text.contains("/login/oidc/abmelden"));
    assert!(front.get("/login/oidc/abmelden", "").await.header("location").starts_with(&format!("{}/logout?", fake.issuer)));
    let rows = front.app.db.read(|c| ingest::audit::audit_list(c, None, 10)).unwrap();
    let kinds: Vec<&str> = rows.iter().rev().map(|row| row.kind.as_str()).collect();
    assert_eq!(kinds, ["user.joined", "session.opened"]);
    assert!(rows.iter().all(|row| !row.detail.to_string().contains("Anna")));
}

#[tokio::test]
async fn groups_decide_and_a_lock_holds() {
    let fake = Fake::start();
    let front = front_with(&fake, false, false);
    let groups = |groups: Value| move |claims: &mut Value| claims["groups"] = groups;
    let mut table = String::new();
    let account = || {
        let found = front.app.db.read(user_list).unwrap().into_iter().find(|user| user.login == "anna.mueller");
        found.map_or("no account".to_owned(), |user| {
            let body = match user.body {
                Some(body) if body == front.body => " own",
                Some(_) => " other",
                None => "",
            };
            format!("{}{body}{}", user.role.as_str(), if user.disabled { ", disabled" } else { "" })
        })
    };
    for (what, value) in [
        ("no group that counts", json!(["fremde"])),
        ("analyst", json!(["cert-analyse", "fremde"])),
        ("lead", json!(["cert-analyse", "cert-leitung"])),
        ("a body", json!(["isb-16068051"])),
        ("another body", json!(["isb-Landratsamt Gotha"])),
        ("a body that is not here", json!(["isb-99999999"])),
    ] {
        let answer = sign_in(&front, &fake, groups(value)).await;
        let _ = writeln!(table, "{what}: {}, {}", answer.status.as_u16(), account());
    }
    // Who lost the last group loses what is open, too.
    let home = sign_in(&front, &fake, groups(json!(["cert-analyse"]))).await;
    let session = cookies(&home).into_iter().find(|cookie| cookie.starts_with("wartburg=")).unwrap();
    let anna = front.app.db.read(|c| user_by_login(c, "anna.mueller")).unwrap().unwrap().0.id;
    let (_, secret) = token(&front, anna, &[]);
    for (what, value) in [("with a group", json!(["cert-analyse"])), ("without", json!([]))] {
        if what == "without" {
            sign_in(&front, &fake, groups(value)).await;
        }
        let page = front.get("/", first_part(&session)).await.status.as_u16();
        let me = with_token(&front, "/api/v1/me", &secret, "").await.status;
        let _ = writeln!(table, "{what}: page {page}, token {me}");
    }
    front
        .app
        .db
        .write(|tx| Ok::<_, DbError>(tx.execute("UPDATE user_account SET disabled = 1 WHERE login = 'anna.mueller'", [])?))
        .unwrap();
    let answer = sign_in(&front, &fake, groups(json!(["cert-leitung"]))).await;
    let _ = writeln!(table, "disabled here: {}, {}", answer.status.as_u16(), account());
    assert!(answer.text.contains("Ihr Konto ist hier gesperrt"));
    expect![[r#"
        no group that counts: 403, no account
        analyst: 303, analyst
        lead: 303, lead
        a body: 303, municipality own
        another body: 303, municipality other
        a body that is not here: 403, municipality other
        with a group: page 200, token 200
        without: page 303, token 401
        disabled here: 403, analyst, disabled
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn without_the_provider_the_other_door_opens() {
    let fake = Fake::start();
    let front = front_with(&fake, false, false);
    fake.mood(Mood::Broken);
    let down = front.get("/login/oidc", "").await;
    assert_eq!(down.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(down.text.contains("antwortet gerade nicht") && down.text.contains("name=\"kennwort\""));
    let local = front.post("/login", "", &[("konto", "analyst"), ("kennwort", PASSWORD)]).await;
    assert_eq!(local.status, StatusCode::SEE_OTHER);
    assert_eq!(Front::new().get("/login/oidc", "").await.status, StatusCode::NOT_FOUND);
    for query in ["", "?error=access_denied&state=x", "?code=x&state=%3Cscript%3E", "?iss=%00&code=%FF"] {
        let odd = front.get(&format!("/login/oidc/zurueck{query}"), "wartburg-oidc=1.2.3").await;
        assert_eq!(odd.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(!odd.text.contains("<script>"));
    }
}

#[tokio::test]
async fn with_passwords_off_only_emergency_accounts_have_one() {
    let fake = Fake::start();
    let front = front_with(&fake, false, true);
    let try_in = async |konto: &str| front.post("/login", "", &[("konto", konto), ("kennwort", PASSWORD)]).await;
    let refused = try_in("analyst").await;
    let unknown = try_in("niemand").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.text.replace("analyst", "niemand"), unknown.text);
    assert_eq!(try_in("admin").await.status, StatusCode::SEE_OTHER);
}

struct Asked {
    status: u16,
    text: String,
}

async fn with_token(front: &Front, path: &str, token: &str, cookie: &str) -> Asked {
    let mut request = Request::get(path).header(header::HOST, "wartburg.test").header(header::AUTHORIZATION, format!("Bearer {token}"));
    if !cookie.is_empty() {
        request = request.header(header::COOKIE, cookie);
    }
    let answer = front.send(request.body(Body::empty()).unwrap()).await;
    assert!(answer.header("content-type") != "text/html; charset=utf-8" && answer.headers.get("set-cookie").is_none(), "{path}");
    Asked { status: answer.status.as_u16(), text: answer.text }
}

fn user(front: &Front, role: Role) -> UserId {
    front.app.db.read(|c| user_by_login(c, role.as_str())).unwrap().unwrap().0.id
}

fn token(front: &Front, owner: UserId, grants: &[Grant]) -> (crate::api_token::ApiTokenId, String) {
    let grants = grants.to_vec();
    let made = front.app.db.write(move |tx| api_token_add(tx, owner, "Bericht", &grants, now().plus(Timestamp::DAY), now())).unwrap();
    (made.0, made.1.reveal().to_owned())
}

#[tokio::test]
async fn a_token_opens_what_it_is_for_and_nothing_else() {
    let front = Front::new();
    let kpis = Grant { area: Area::Kpis, write: false };
    let advisories = Grant { area: Area::Advisories, write: false };
    let owner = user(&front, Role::Analyst);
    let (id, all) = token(&front, owner, &[kpis, advisories]);
    let (_, figures) = token(&front, owner, &[kpis]);
    let (_, none) = token(&front, owner, &[]);
    // Somebody who ticked more than his role has: the role decides.
    let (_, admins) = token(&front, user(&front, Role::Admin), &[kpis, advisories]);
    let csv = format!("/kennzahl/{}.csv", advisory::kpi::KPIS[0].key);
    let page = csv.trim_end_matches(".csv").to_owned();
    let csaf = "/meldung/00000000000000000000000001/csaf".to_owned();
    let mut table = String::new();
    for (what, secret) in [("kpis+advisories", &all), ("kpis", &figures), ("nothing", &none), ("admin's", &admins)] {
        for path in ["/api/v1/me", &csv, &page, &csaf, "/vorfaelle", "/konto/zugriff", "/gibt-es-nicht"] {
            let asked = with_token(&front, path, secret, "").await;
            let error = serde_json::from_str::<Value>(&asked.text).ok().and_then(|value| value["error"].as_str().map(str::to_owned));
            let path = path.replace(advisory::kpi::KPIS[0].key, "KPI");
            let _ = writeln!(table, "{what} {path}: {} {}", asked.status, error.unwrap_or_default());
        }
    }
    let (cookie, _) = front.enter(Role::Analyst);
    let mut say = |what: &str, asked: Asked| {
        let _ = writeln!(table, "{what}: {}", asked.status);
    };
    say("with a cookie", with_token(&front, "/api/v1/me", &all, &cookie).await);
    say("one letter less", with_token(&front, "/api/v1/me", &all[..all.len() - 1], "").await);
    say("made up", with_token(&front, "/api/v1/me", &format!("wbt_{}", "0".repeat(72)), "").await);
    let set = |sql: &'static str| front.app.db.write(move |tx| Ok::<_, DbError>(tx.execute(sql, [])?)).unwrap();
    set("UPDATE user_account SET role = 'admin' WHERE login = 'analyst'");
    say("owner demoted", with_token(&front, &csv, &all, "").await);
    set("UPDATE user_account SET role = 'analyst', disabled = 1 WHERE login = 'analyst'");
    say("owner disabled", with_token(&front, &csv, &all, "").await);
    set("UPDATE user_account SET disabled = 0 WHERE login = 'analyst'");
    say("owner enabled", with_token(&front, &csv, &all, "").await);
    front.app.db.write(move |tx| api_token_revoke(tx, id, owner, owner, now())).unwrap();
    say("revoked", with_token(&front, &csv, &all, "").await);
    front.app.clock.set(now().plus(Timestamp::DAY));
    say("expired", with_token(&front, &csv, &figures, "").await);
    expect![[r#"
        kpis+advisories /api/v1/me: 200 
        kpis+advisories /kennzahl/KPI.csv: 200 
        kpis+advisories /kennzahl/KPI: 406 no_machine_form
        kpis+advisories /meldung/00000000000000000000000001/csaf: 404 refused
        kpis+advisories /vorfaelle: 403 not_for_tokens
        kpis+advisories /konto/zugriff: 403 not_for_tokens
        kpis+advisories /gibt-es-nicht: 404 not_found
        kpis /api/v1/me: 200 
        kpis /kennzahl/KPI.csv: 200 
        kpis /kennzahl/KPI: 406 no_machine_form
        kpis /meldung/00000000000000000000000001/csaf: 403 insufficient_scope
        kpis /vorfaelle: 403 not_for_tokens
        kpis /konto/zugriff: 403 not_for_tokens
        kpis /gibt-es-nicht: 404 not_found
        nothing /api/v1/me: 200 
        nothing /kennzahl/KPI.csv: 403 insufficient_scope
        nothing /kennzahl/KPI: 403 insufficient_scope
        nothing /meldung/00000000000000000000000001/csaf: 403 insufficient_scope
        nothing /vorfaelle: 403 not_for_tokens
        nothing /konto/zugriff: 403 not_for_tokens
        nothing /gibt-es-nicht: 404 not_found
        admin's /api/v1/me: 200 
        admin's /kennzahl/KPI.csv: 403 forbidden
        admin's /kennzahl/KPI: 403 forbidden
        admin's /meldung/00000000000000000000000001/csaf: 403 forbidden
        admin's /vorfaelle: 403 not_for_tokens
        admin's /konto/zugriff: 403 not_for_tokens
        admin's /gibt-es-nicht: 404 not_found
        with a cookie: 400
        one letter less: 401
        made up: 401
        owner demoted: 403
        owner disabled: 401
        owner enabled: 200
        revoked: 401
        expired: 401
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn a_token_says_whose_it_is_and_posts_nothing() {
    let front = Front::new();
    let (_, secret) = token(&front, user(&front, Role::Steering), &[Grant { area: Area::Kpis, write: false }]);
    let me: Value = serde_json::from_str(&with_token(&front, "/api/v1/me", &secret, "").await.text).unwrap();
    assert_eq!((me["login"].as_str(), me["role"].as_str()), (Some("steering"), Some("steering")));
    assert_eq!(me["token"], json!({ "name": "Bericht", "scope": ["kpis:read"], "until": "2026-11-22T13:02:09.000Z" }));
    assert!(!me.to_string().contains("wbt_"));
    for route in ROUTES.iter().filter(|route| route.verb == Verb::Post) {
        let for_programs = route.path.starts_with("/api/");
        assert_eq!(route.machine.is_some(), for_programs, "{}: a page's form takes no token; it would need no CSRF token then", route.path);
    }
    let request = Request::post("/konto/zugriff")
        .header(header::AUTHORIZATION, format!("bearer {secret}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::HOST, "x");
    assert_eq!(front.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn tokens_are_made_shown_once_and_revoked() {
    let front = Front::new();
    let (cookie, csrf) = front.enter(Role::Analyst);
    let form = |grant: &'static str, until: &'static str| {
        vec![("csrf", csrf.clone()), ("name", "<b>Bericht</b>".into()), ("recht", grant.into()), ("bis", until.into())]
    };
    let post = async |form: Vec<(&'static str, String)>| {
        let form: Vec<(&str, &str)> = form.iter().map(|(key, value)| (*key, value.as_str())).collect();
        front.post("/konto/zugriff", &cookie, &form).await
    };
    let made = post(form("kpis:read", "2027-01-31")).await;
    assert_eq!(made.status, StatusCode::OK);
    let secret = made.text.split("value=\"wbt_").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(with_token(&front, "/api/v1/me", &format!("wbt_{secret}"), "").await.status, 200);
    let list = front.get("/konto/zugriff", &cookie).await.text;
    assert!(!list.contains(&secret) && list.contains("31.01.2027") && list.contains("&lt;b&gt;Bericht"));
    for (grant, until) in
        [("kpis:read", "2026-11-20"), ("kpis:read", "2028-01-31"), ("kpis:read", "31.1.2027"), ("sources:write", "2027-01-31")]
    {
        assert_eq!(post(form(grant, until)).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{grant} {until}");
    }
    let id = front.app.db.read(|c| crate::api_token::api_token_list(c, user(&front, Role::Analyst))).unwrap()[0].id;
    let (other, other_csrf) = front.enter(Role::Lead);
    let path = format!("/konto/zugriff/{id}/widerrufen");
    assert_eq!(front.post(&path, &other, &[("csrf", &other_csrf)]).await.status, StatusCode::NOT_FOUND, "somebody else's");
    let (admin, admin_csrf) = front.enter(Role::Admin);
    let account = format!("/konten/{}", user(&front, Role::Analyst));
    assert!(front.get(&account, &admin).await.text.contains("&lt;b&gt;Bericht"));
    let revoked = front.post(&format!("{account}/zugriff/{id}/widerrufen"), &admin, &[("csrf", &admin_csrf)]).await;
    assert_eq!(revoked.status, StatusCode::SEE_OTHER);
    assert_eq!(with_token(&front, "/api/v1/me", &format!("wbt_{secret}"), "").await.status, 401);
}

#[tokio::test]
async fn an_invitation_from_the_administrator_to_the_first_log_in() {
    let front = Front::new();
    let (admin, csrf) = front.enter(Role::Admin);
    let body = front.body.to_string();
    let form = [("csrf", csrf.as_str()), ("konto", "Neu.Isb"), ("name", "Neue ISB"), ("rolle", "municipality"), ("stelle", &body)];
    let wrong = front.post("/konten/neu", &admin, &form[..4]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("gehört eine Stelle") && wrong.text.contains("value=\"Neu.Isb\""), "what was typed is kept");
    let made = front.post("/konten/neu", &admin, &form).await;
    let link = made.text.split("/einladung/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let path = format!("/einladung/{link}");
    assert!(front.get("/konten?wort=neue", &admin).await.text.contains("eingeladen"));
    // A mail scanner looks, more than once.
    for _ in 0..3 {
        let looked = front.get(&path, "").await;
        assert!(looked.status == StatusCode::OK && looked.text.contains("neu.isb"));
    }
    let try_in = async || front.post("/login", "", &[("konto", "neu.isb"), ("kennwort", "ein guter Satz")]).await.status;
    assert_eq!(try_in().await, StatusCode::UNPROCESSABLE_ENTITY);
    let set = async |one: &str, two: &str| front.post(&path, "", &[("kennwort", one), ("kennwort2", two)]).await;
    assert!(set("ein guter Satz", "ein anderer").await.text.contains("sind verschieden"));
    assert!(set("kurz", "kurz").await.text.contains("zu kurz"));
    assert_eq!(set("ein guter Satz", "ein guter Satz").await.header("location"), "/login?ok=password-set");
    assert_eq!(set("ein guter Satz", "ein guter Satz").await.status, StatusCode::NOT_FOUND);
    assert_eq!(front.get(&path, "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(try_in().await, StatusCode::SEE_OTHER);
    // A reset: the old password is gone at once.
    let id = front.app.db.read(|c| user_by_login(c, "neu.isb")).unwrap().unwrap().0.id;
    let reset = front.post(&format!("/konten/{id}/zuruecksetzen"), &admin, &[("csrf", &csrf)]).await;
    assert!(reset.text.contains("/einladung/"));
    assert_eq!(try_in().await, StatusCode::UNPROCESSABLE_ENTITY);
    let rows = front.app.db.read(|c| ingest::audit::audit_of(c, &format!("user:{id}"))).unwrap();
    let kinds: Vec<&str> = rows.iter().map(|row| row.kind.as_str()).collect();
    assert_eq!(kinds, ["user.invited", "user.invitation_redeemed", "session.opened", "user.reset"]);
    assert!(rows.iter().all(|row| !row.detail.to_string().contains(&link)));
}

#[tokio::test]
async fn a_link_that_is_late_or_foreign_is_no_link() {
    let front = Front::new();
    let id = user(&front, Role::Lead);
    let link = front.app.db.write(move |tx| invitation_add(tx, Kind::Reset, id, "admin", now())).unwrap();
    let foreign = Request::post(format!("/einladung/{}", link.reveal()))
        .header("sec-fetch-site", "cross-site")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::HOST, "x");
    assert_eq!(front.send(foreign.body(Body::empty()).unwrap()).await.status, StatusCode::FORBIDDEN);
    front.app.clock.set(now().plus(INVITATION_MILLIS));
    let late = front.get(&format!("/einladung/{}", link.reveal()), "").await;
    assert!(late.status == StatusCode::NOT_FOUND && late.text.contains("gilt nicht mehr"));
    assert_eq!(front.app.db.write(|tx| invitation_first(tx, now())).unwrap(), None, "there are accounts");
}

#[tokio::test]
async fn an_administrator_gives_rights_to_others_only() {
    let front = Front::new();
    let (admin, csrf) = front.enter(Role::Admin);
    let own = user(&front, Role::Admin);
    let post = async |path: String, extra: &[(&str, &str)]| {
        let form: Vec<(&str, &str)> = [("csrf", csrf.as_str()), ("name", "N")].into_iter().chain(extra.iter().copied()).collect();
        front.post(&path, &admin, &form).await
    };
    let myself = post(format!("/konten/{own}"), &[("rolle", "analyst")]).await;
    assert!(myself.status == StatusCode::UNPROCESSABLE_ENTITY && myself.text.contains("eigenen Konto"));
    for step in ["sperren", "zuruecksetzen", "freigeben"] {
        assert_eq!(post(format!("/konten/{own}/{step}"), &[]).await.status, StatusCode::CONFLICT, "{step}");
    }
    let other = user(&front, Role::Steering);
    let (their_cookie, _) = front.enter(Role::Steering);
    assert_eq!(post(format!("/konten/{other}"), &[("rolle", "auditor")]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(front.get("/", &their_cookie).await.status, StatusCode::SEE_OTHER, "signed out");
    assert_eq!(post(format!("/konten/{other}"), &[("rolle", "chef")]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(post(format!("/konten/{other}/sperren"), &[]).await.status, StatusCode::SEE_OTHER);
    assert!(front.get(&format!("/konten/{other}"), &admin).await.text.contains("gesperrt"));
}

#[tokio::test]
async fn what_grants_wants_a_fresh_proof_and_what_takes_away_does_not() {
    let front = Front::new();
    let (admin, csrf) = front.enter(Role::Admin);
    front.app.clock.set(now().plus(11 * Timestamp::MINUTE));
    let form = [("csrf", csrf.as_str()), ("konto", "spaet"), ("name", "Spät"), ("rolle", "analyst")];
    let asked = front.post("/konten/neu", &admin, &form).await;
    assert!(asked.text.contains("Bitte bestätigen Sie") && !asked.text.contains("/einladung/"));
    assert!(front.app.db.read(|c| user_by_login(c, "spaet")).unwrap().is_none());
    let proved: Vec<(&str, &str)> = form.into_iter().chain([("nachweis-kennwort", PASSWORD)]).collect();
    assert!(front.post("/konten/neu", &admin, &proved).await.text.contains("/einladung/"));
    front.app.clock.set(now().plus(30 * Timestamp::MINUTE));
    let other = format!("/konten/{}", user(&front, Role::Steering));
    assert_eq!(front.post(&format!("{other}/sperren"), &admin, &form[..1]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(front.post(&format!("{other}/freigeben"), &admin, &form[..1]).await.status, StatusCode::OK, "asked again");
}

#[tokio::test]
async fn a_mandate_is_entered_and_ended() {
    let front = Front::new();
    let (admin, csrf) = front.enter(Role::Admin);
    let provider_account = user(&front, Role::Provider);
    let other = front.other;
    let acts = || front.app.db.read(|c| mandate_bodies(c, provider_account, front.app.clock.now())).unwrap();
    assert_eq!(acts(), [front.body], "what the account had as its body");
    let (theirs, _) = front.enter(Role::Provider);
    let foreign = format!("/vorfall/{}", super::tests::open_case(&front, other, "Fall der anderen"));
    assert_eq!(front.get(&foreign, &theirs).await.status, StatusCode::NOT_FOUND);
    let page = front.get("/konten/mandate", &admin).await.text;
    let provider = page.split("<option value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let other_id = other.to_string();
    let form = [("csrf", csrf.as_str()), ("dienstleister", &provider), ("stelle", &other_id), ("von", "2026-11-21"), ("bis", "2026-11-30")];
    assert_eq!(front.post("/konten/mandate", &admin, &form).await.status, StatusCode::SEE_OTHER);
    assert_eq!(acts().len(), 2);
    assert_eq!(front.get(&foreign, &theirs).await.status, StatusCode::OK, "by the mandate, at once");
    let twice = front.post("/konten/mandate", &admin, &form).await;
    assert!(twice.status == StatusCode::UNPROCESSABLE_ENTITY && twice.text.contains("schon für diese Stelle"));
    let id = front.app.db.read(crate::mandate::mandate_list).unwrap().into_iter().find(|one| one.body == other).unwrap().id;
    front.post(&format!("/konten/mandate/{id}/beenden"), &admin, &[("csrf", &csrf)]).await;
    assert_eq!(acts(), [front.body]);
    assert_eq!(front.get(&foreign, &theirs).await.status, StatusCode::NOT_FOUND, "no longer, at once");
    let own = front.app.db.read(crate::mandate::mandate_list).unwrap().into_iter().find(|one| one.body == front.body).unwrap().id;
    front.post(&format!("/konten/mandate/{own}/beenden"), &admin, &[("csrf", &csrf)]).await;
    let first = format!("/vorfall/{}", super::tests::open_case(&front, front.body, "Eigener Fall"));
    assert_eq!(front.get(&first, &theirs).await.status, StatusCode::NOT_FOUND, "the older column opens nothing");
    let named = [("csrf", csrf.as_str()), ("name", "KDN")];
    assert_eq!(front.post("/konten/dienstleister", &admin, &named).await.status, StatusCode::SEE_OTHER);
    assert_eq!(front.post("/konten/dienstleister", &admin, &named).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// With an account per role the front has all; here is one without any.
#[tokio::test]
async fn the_first_administrator_comes_by_the_link() {
    let front = Front::new();
    front
        .app
        .db
        .write(|tx| {
            tx.execute_batch(
                "DELETE FROM mandate; DELETE FROM provider_account; DELETE FROM provider; DELETE FROM session; DELETE FROM user_account;",
            )
            .map_err(DbError::from)
        })
        .unwrap();
    let link = front.app.db.write(|tx| invitation_first(tx, now())).unwrap().unwrap();
    let path = format!("/einladung/{}", link.reveal());
    assert!(front.get(&path, "").await.text.contains("Das erste Konto der Verwaltung"));
    let form =
        |login: &'static str| [("konto", login), ("name", "Chefin"), ("kennwort", "ein guter Satz"), ("kennwort2", "ein guter Satz")];
    let odd = front.post(&path, "", &form("a b")).await;
    assert!(odd.status == StatusCode::UNPROCESSABLE_ENTITY && odd.text.contains("value=\"Chefin\""));
    assert_eq!(front.post(&path, "", &form("chefin")).await.status, StatusCode::SEE_OTHER);
    assert_eq!(front.post(&path, "", &form("zweite")).await.status, StatusCode::NOT_FOUND);
    let all: Vec<User> = front.app.db.read(user_list).unwrap();
    assert_eq!(all.iter().map(|user| (user.login.as_str(), user.role)).collect::<Vec<_>>(), [("chefin", Role::Admin)]);
}

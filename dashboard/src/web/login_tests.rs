//! The door step by step, as a browser meets it: what each step takes, what it refuses, and what is left of a login that
//! was begun and not finished.

use axum::http::StatusCode;
use detect::role::Role;
use expect_test::expect;
use ingest::time::Timestamp;

use super::tests::{Answer, Front, PASSWORD, now};
use super::*;
use crate::proof::recovery::recovery_make;
use crate::proof::totp::{Secret, totp_begin, totp_confirm, totp_pending};
use crate::proof::{password_due_set, standing};
use crate::user::{self, User};

const STEP: i64 = 30_000;

/// A browser: its cookies as the answers set them.
#[derive(Default)]
struct Browser {
    session: String,
    half: String,
}

impl Browser {
    fn cookies(&self) -> String {
        let pair = |name: &str, value: &str| (!value.is_empty()).then(|| format!("{name}={value}"));
        let all = [pair("wartburg", &self.session), pair("wartburg-anmeldung", &self.half)];
        all.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    fn take(&mut self, answer: &Answer) {
        for line in answer.headers.get_all("set-cookie") {
            let (name, value) = line.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            match name {
                "wartburg" => self.session = value.to_owned(),
                "wartburg-anmeldung" => self.half = value.to_owned(),
                _ => {}
            }
        }
    }

    fn csrf(&self) -> String {
        let token = if self.half.is_empty() { &self.session } else { &self.half };
        Token::parse(token).map(|token| token.csrf()).unwrap_or_default()
    }

    async fn get(&mut self, front: &Front, path: &str) -> Answer {
        let answer = front.get(path, &self.cookies()).await;
        self.take(&answer);
        answer
    }

    async fn post(&mut self, front: &Front, path: &str, form: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf();
        let form = [&[("csrf", csrf.as_str())][..], form].concat();
        let answer = front.post(path, &self.cookies(), &form).await;
        self.take(&answer);
        answer
    }

    async fn password(&mut self, front: &Front, role: Role) -> Answer {
        self.post(front, "/login", &[("konto", role.as_str()), ("kennwort", PASSWORD), ("weiter", "/konto")]).await
    }

    async fn code(&mut self, front: &Front, code: &str) -> Answer {
        self.post(front, "/login/nachweis", &[("code", code)]).await
    }
}

/// What came of a request, for the tables.
fn told(answer: &Answer, browser: &Browser) -> String {
    let to = answer.header("location");
    let inside = if browser.session.is_empty() { "" } else { ", in" };
    format!("{} {to}{inside}", answer.status.as_u16()).trim().to_owned()
}

fn account(front: &Front, role: Role) -> User {
    front.app.db.read(|c| user::user_by_login(c, role.as_str())).unwrap().unwrap().0
}

/// Gives an account an app and recovery codes, as of half an hour ago.
fn enrol(front: &Front, role: Role) -> (Secret, Vec<String>) {
    let (user, vault, early) = (account(front, role).id, front.app.door.vault.clone(), now().plus(-30 * Timestamp::MINUTE));
    let key = vault.clone();
    front.app.db.write(move |tx| totp_begin(tx, &key, user, early)).unwrap();
    let secret = front.app.db.read(|c| totp_pending(c, &vault, user, early)).unwrap().unwrap();
    let code = secret.code_at(early);
    assert!(front.app.db.write(move |tx| totp_confirm(tx, &vault, user, &code, early)).unwrap());
    let codes = front.app.db.write(move |tx| recovery_make(tx, user, early)).unwrap();
    (secret, codes)
}

#[tokio::test]
async fn the_second_factor_step_by_step() {
    let front = Front::new();
    let (secret, codes) = enrol(&front, Role::Lead);
    let clock = &front.app.clock;
    let mut table = String::new();
    let mut browser = Browser::default();
    let begun = browser.password(&front, Role::Lead).await;
    assert!(begun.header("set-cookie").contains("; HttpOnly; SameSite=Strict; Max-Age=300"), "{}", begun.header("set-cookie"));
    table += &format!("password right: {}\n", told(&begun, &browser));
    for path in ["/", "/konto", "/vorfaelle"] {
        table += &format!("{path} with the half-session: {}\n", told(&browser.get(&front, path).await, &browser));
    }
    let as_session = front.get("/konto", &format!("wartburg={}", browser.half)).await;
    table += &format!("the half-session's secret as a session: {}\n", told(&as_session, &browser));
    let page = browser.get(&front, "/login/schritt").await;
    assert!(
        page.text.contains("Code aus der App") && page.text.contains("Wiederherstellungscode") && !page.text.contains("data-passkey=\"")
    );
    table += &format!("code wrong: {}\n", told(&browser.code(&front, "000000").await, &browser));
    table += &format!("no code: {}\n", told(&browser.code(&front, " ").await, &browser));
    let foreign = front.post("/login/nachweis", &browser.cookies(), &[("csrf", "x"), ("code", &secret.code_at(now()))]).await;
    table += &format!("code right, foreign form: {}\n", told(&foreign, &browser));
    for path in ["/login/einrichten", "/login/kennwort"] {
        let mut other = Browser { session: String::new(), half: browser.half.clone() };
        let answer = other.post(&front, path, &[("code", "1"), ("neu", "Kohlmeise-Dachrinne"), ("nochmal", "Kohlmeise-Dachrinne")]).await;
        table += &format!("{path} instead: {}\n", told(&answer, &other));
    }
    let half = browser.half.clone();
    table += &format!("code right: {}\n", told(&browser.code(&front, &secret.code_at(now())).await, &browser));
    assert!(browser.half.is_empty(), "the half-session's cookie goes");
    let mut again = Browser { session: String::new(), half };
    table +=
        &format!("the finished half-session, next code: {}\n", told(&again.code(&front, &secret.code_at(now().plus(STEP))).await, &again));

    let mut second = Browser::default();
    second.password(&front, Role::Lead).await;
    table += &format!("the same code again: {}\n", told(&second.code(&front, &secret.code_at(now())).await, &second));
    let recovery = |code: &str| [("ersatzcode", code.to_owned())];
    let form = recovery(&codes[0].to_lowercase());
    let answer = second.post(&front, "/login/nachweis", &form.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    table += &format!("recovery code: {}\n", told(&answer, &second));
    let mut third = Browser::default();
    third.password(&front, Role::Lead).await;
    let form = recovery(&codes[0]);
    let answer = third.post(&front, "/login/nachweis", &form.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    table += &format!("the same recovery code again: {}\n", told(&answer, &third));
    clock.set(now().plus(5 * Timestamp::MINUTE));
    let late = third.code(&front, &secret.code_at(clock.now())).await;
    table += &format!("code right, half-session too old: {}\n", told(&late, &third));
    let mut nobody = Browser::default();
    table += &format!("code right, no half-session: {}\n", told(&nobody.code(&front, &secret.code_at(clock.now())).await, &nobody));
    table += &format!("the step's page without one: {}\n", told(&nobody.get(&front, "/login/schritt").await, &nobody));
    let mut fourth = Browser::default();
    fourth.password(&front, Role::Lead).await;
    front
        .app
        .db
        .write(|tx| tx.execute("UPDATE user_account SET disabled = 1 WHERE login = 'lead'", []).map_err(ingest::db::DbError::from))
        .unwrap();
    table +=
        &format!("code right, account disabled meanwhile: {}\n", told(&fourth.code(&front, &secret.code_at(clock.now())).await, &fourth));
    expect![[r#"
        password right: 303 /login/schritt
        / with the half-session: 303 /login
        /konto with the half-session: 303 /login?weiter=%2Fkonto
        /vorfaelle with the half-session: 303 /login?weiter=%2Fvorfaelle
        the half-session's secret as a session: 303 /login?weiter=%2Fkonto
        code wrong: 422
        no code: 422
        code right, foreign form: 403
        /login/einrichten instead: 303 /login?ok=login-expired
        /login/kennwort instead: 303 /login?ok=login-expired
        code right: 303 /konto, in
        the finished half-session, next code: 303 /login?ok=login-expired
        the same code again: 422
        recovery code: 303 /konto, in
        the same recovery code again: 422
        code right, half-session too old: 303 /login?ok=login-expired
        code right, no half-session: 303 /login?ok=login-expired
        the step's page without one: 303 /login?ok=login-expired
        code right, account disabled meanwhile: 303 /login?ok=login-expired
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn codes_cannot_be_tried_out() {
    let front = Front::new();
    let (secret, _) = enrol(&front, Role::Analyst);
    let clock = &front.app.clock;
    let mut table = String::new();
    // Somebody who knows the password tries for a day, as fast as he may.
    let (mut refused, mut judged) = (0, 0);
    for round in 0..288 {
        clock.set(now().plus(round * 5 * Timestamp::MINUTE));
        let mut browser = Browser::default();
        browser.password(&front, Role::Analyst).await;
        for _ in 0..6 {
            match browser.code(&front, "000000").await.status {
                StatusCode::UNPROCESSABLE_ENTITY => judged += 1,
                StatusCode::TOO_MANY_REQUESTS => refused += 1,
                other => panic!("{other}"),
            }
        }
        if judged == 20 {
            table += &format!("after {} rounds: {judged} judged, {refused} sent away\n", round + 1);
            let right = browser.code(&front, &secret.code_at(clock.now())).await;
            table += &format!("the right one then: {}\n", told(&right, &browser));
            break;
        }
    }
    clock.set(now().plus(Timestamp::DAY));
    let mut browser = Browser::default();
    browser.password(&front, Role::Analyst).await;
    table += &format!("a day later: {}\n", told(&browser.code(&front, &secret.code_at(clock.now())).await, &browser));
    let user = account(&front, Role::Analyst).id;
    let rows = front.app.db.read(|c| ingest::audit::audit_of(c, &format!("user:{user}"))).unwrap();
    let refused = rows.iter().filter(|row| row.kind == "login.factor_refused").count();
    table +=
        &format!("rows in the audit log: {refused} refused, {} opened\n", rows.iter().filter(|row| row.kind == "session.opened").count());
    expect![[r#"
        after 4 rounds: 20 judged, 4 sent away
        the right one then: 429
        a day later: 303 /konto, in
        rows in the audit log: 20 refused, 1 opened
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn of_two_with_one_code_one_gets_in() {
    let front = Front::new();
    let (secret, _) = enrol(&front, Role::Analyst);
    let code = secret.code_at(now());
    let (mut one, mut two) = (Browser::default(), Browser::default());
    one.password(&front, Role::Analyst).await;
    two.password(&front, Role::Analyst).await;
    let (first, second) = tokio::join!(one.code(&front, &code), two.code(&front, &code));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 422]);
}

/// At each step whatever came with the request is worth nothing afterwards.
#[tokio::test]
async fn nothing_planted_survives_a_step() {
    let front = Front::new();
    let (secret, _) = enrol(&front, Role::Lead);
    let planted_session = front.enter(Role::Steering).0.split_once('=').unwrap().1.to_owned();
    let mut other = Browser::default();
    other.password(&front, Role::Lead).await;
    let planted_half = other.half.clone();
    let mut browser = Browser { session: planted_session.clone(), half: planted_half.clone() };
    let begun = front.post("/login", &browser.cookies(), &[("konto", "lead"), ("kennwort", PASSWORD)]).await;
    browser.take(&begun);
    assert_ne!(browser.half, planted_half, "replaced, not taken over");
    let half_is_dead =
        |half: &str| front.app.db.read(|c| crate::login::half_find(c, &Token::parse(half).unwrap(), now())).unwrap().is_none();
    assert!(half_is_dead(&planted_half));
    assert_eq!(front.get("/konto", &format!("wartburg={planted_session}")).await.status, StatusCode::SEE_OTHER);
    let step = browser.half.clone();
    // Another one is planted between the steps.
    let planted = front.enter(Role::Auditor).0.split_once('=').unwrap().1.to_owned();
    browser.session = planted.clone();
    browser.code(&front, &secret.code_at(now())).await;
    assert_ne!(browser.session, planted);
    assert_ne!(browser.session, step, "the step's secret is not the session's");
    assert!(half_is_dead(&step));
    assert_eq!(front.get("/konto", &format!("wartburg={planted}")).await.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.get(&front, "/konto").await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_must_have_a_second_factor_sets_one_up_first() {
    let demand = login::Demand(vec![Role::Admin]);
    let front = Front::with(Settings { second_factor: demand, ..Settings::default() });
    let mut table = String::new();
    let mut browser = Browser::default();
    let user = account(&front, Role::Admin).id;
    front.app.db.write(move |tx| password_due_set(tx, user, now())).unwrap();
    table += &format!("password: {}\n", told(&browser.password(&front, Role::Admin).await, &browser));
    let page = browser.get(&front, "/login/schritt").await;
    assert!(page.text.contains("class=\"qr\"") && page.text.contains("Ihre Rolle verlangt"));
    table += &format!("/konto: {}\n", told(&browser.get(&front, "/konto").await, &browser));
    table += &format!("wrong code: {}\n", told(&browser.post(&front, "/login/einrichten", &[("code", "123")]).await, &browser));
    let pending = || front.app.db.read(|c| totp_pending(c, &front.app.door.vault, user, now())).unwrap();
    let code = pending().unwrap().code_at(now());
    let half = browser.half.clone();
    let codes = browser.post(&front, "/login/einrichten", &[("code", &code)]).await;
    table += &format!("right code: {}\n", told(&codes, &browser));
    assert!(codes.text.matches("<li>").count() == 10 && codes.text.contains("href=\"/login/schritt\""));
    let mut old = Browser { session: String::new(), half };
    table += &format!("the step again: {}\n", told(&old.post(&front, "/login/einrichten", &[("code", &code)]).await, &old));
    // The password came from the administrator: that is the next step.
    let page = browser.get(&front, "/login/schritt").await;
    assert!(page.text.contains("Neues Kennwort"));
    for (what, new, again) in [
        ("different", "Kohlmeise-Dachrinne", "Kohlmeise-Dachrinn"),
        ("short", "Kohlmeise", "Kohlmeise"),
        ("common", "Sommer2026!", "Sommer2026!"),
        ("the one before", PASSWORD, PASSWORD),
        ("good", "Kohlmeise-Dachrinne", "Kohlmeise-Dachrinne"),
    ] {
        let answer = browser.post(&front, "/login/kennwort", &[("neu", new), ("nochmal", again)]).await;
        table += &format!("new password, {what}: {}\n", told(&answer, &browser));
    }
    assert_eq!(browser.get(&front, "/konto").await.status, StatusCode::OK);
    assert!(!front.app.db.read(|c| standing(c, user)).unwrap().password_due);
    let remove = browser.post(&front, "/konto/app/entfernen", &[]).await;
    assert!(remove.text.contains("Ihre Rolle verlangt einen zweiten Faktor"), "the last factor stays where one is demanded");
    expect![[r#"
        password: 303 /login/schritt
        /konto: 303 /login?weiter=%2Fkonto
        wrong code: 422
        right code: 200
        the step again: 303 /login?ok=login-expired
        new password, different: 422
        new password, short: 422
        new password, common: 422
        new password, the one before: 422
        new password, good: 303 /konto, in
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn a_step_up_keeps_what_was_typed() {
    let front = Front::new();
    let (secret, _) = enrol(&front, Role::Lead);
    let (cookie, csrf) = front.enter(Role::Lead);
    let path = "/aufdeckung/00000000000000000000000001/entscheiden";
    let typed = "Zeile 1\nZeile 2 \"&<b>";
    let base = [("csrf", csrf.as_str()), ("wort", "genehmigen"), ("grund", typed)];
    let send = async |extra: &[(&str, &str)]| front.post(path, &cookie, &[&base[..], extra].concat()).await;
    let mut table = String::new();
    let mut row = |what: &str, answer: &Answer| {
        let asked = if answer.text.contains("Bitte bestätigen Sie, dass Sie es sind") { ", asked" } else { "" };
        table += &format!("{what}: {}{asked}\n", answer.status.as_u16());
    };
    row("just signed in", &send(&[]).await);
    front.app.clock.set(now().plus(session::FRESH_MILLIS));
    let later = front.app.clock.now();
    let asked = send(&[]).await;
    row("ten minutes later", &asked);
    assert!(asked.text.contains("name=\"grund\" value=\"Zeile 1\nZeile 2 &#34;&#38;&#60;b&#62;\""), "{}", asked.text);
    assert!(asked.text.contains("name=\"wort\" value=\"genehmigen\"") && asked.text.contains(&format!("action=\"{path}\"")));
    let foreign = front.post(path, &cookie, &[("csrf", "x"), ("nachweis-kennwort", PASSWORD)]).await;
    row("a foreign form with the password", &foreign);
    row("wrong password", &send(&[("nachweis-kennwort", "falsch-falsch")]).await);
    row("wrong code", &send(&[("nachweis-code", "000000")]).await);
    row("a passkey that is none", &send(&[("nachweis-passkey", "{}")]).await);
    row("right code", &send(&[("nachweis-code", &secret.code_at(later))]).await);
    row("from now on", &send(&[]).await);
    front.app.clock.set(later.plus(session::FRESH_MILLIS));
    row("ten minutes later, the used code", &send(&[("nachweis-code", &secret.code_at(later))]).await);
    row("the right password", &send(&[("nachweis-kennwort", PASSWORD)]).await);
    front.app.clock.set(later.plus(2 * session::FRESH_MILLIS));
    for _ in 0..5 {
        send(&[("nachweis-kennwort", "falsch-falsch")]).await;
    }
    row("after five wrong passwords, the right one", &send(&[("nachweis-kennwort", PASSWORD)]).await);
    expect![[r#"
        just signed in: 404
        ten minutes later: 200, asked
        a foreign form with the password: 403
        wrong password: 422, asked
        wrong code: 422, asked
        a passkey that is none: 422, asked
        right code: 404
        from now on: 404
        ten minutes later, the used code: 422, asked
        the right password: 404
        after five wrong passwords, the right one: 429, asked
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn the_own_page_changes_only_the_own_account() {
    let front = Front::new();
    let mut browser = Browser::default();
    browser.password(&front, Role::Municipality).await;
    let (second, _) = front.enter(Role::Municipality);
    let (foreign, _) = front.enter(Role::Lead);
    let page = browser.get(&front, "/konto").await;
    assert!(page.text.contains("Stadtverwaltung Sömmerda") && page.text.contains("Alle anderen beenden (1)"));
    let foreign_id =
        front.app.db.read(|c| session::session_list(c, account(&front, Role::Lead).id, front.app.settings.session, now())).unwrap()[0].id;
    let mut table = String::new();
    let answer = browser.post(&front, &format!("/konto/sitzung/{foreign_id}/beenden"), &[]).await;
    table += &format!("somebody else's session: {}\n", told(&answer, &browser));
    assert_eq!(front.get("/konto", &foreign).await.status, StatusCode::OK);
    for (what, old, new) in [
        ("wrong old password", "falsch-falsch", "Kohlmeise-Dachrinne"),
        ("a new one with the own name", PASSWORD, "municipality-1"),
        ("good", PASSWORD, "Kohlmeise-Dachrinne"),
    ] {
        let answer = browser.post(&front, "/konto/kennwort", &[("alt", old), ("neu", new), ("nochmal", new)]).await;
        table += &format!("{what}: {}\n", told(&answer, &browser));
    }
    table += &format!("another session of mine: {}\n", told(&front.get("/konto", &second).await, &Browser::default()));
    assert_eq!(browser.get(&front, "/konto").await.status, StatusCode::OK);
    let mut next = Browser::default();
    table += &format!("the old password: {}\n", told(&next.password(&front, Role::Municipality).await, &next));
    // An app: begun, confirmed, its codes shown once, taken away again.
    table += &format!("app begun: {}\n", told(&browser.post(&front, "/konto/app", &[]).await, &browser));
    let user = account(&front, Role::Municipality).id;
    let secret = front.app.db.read(|c| totp_pending(c, &front.app.door.vault, user, now())).unwrap().unwrap();
    assert!(browser.get(&front, "/konto/app").await.text.contains(&secret.text()));
    let codes = browser.post(&front, "/konto/app/bestaetigen", &[("code", &secret.code_at(now()))]).await;
    table += &format!("app confirmed: {}, {} codes\n", told(&codes, &browser), codes.text.matches("<li>").count());
    table += &format!("the page of a secret that does not wait: {}\n", told(&browser.get(&front, "/konto/app").await, &browser));
    assert!(browser.get(&front, "/konto").await.text.contains("Noch 10 unbenutzte"));
    table += &format!("app removed: {}\n", told(&browser.post(&front, "/konto/app/entfernen", &[]).await, &browser));
    assert_eq!(front.app.db.read(|c| standing(c, user)).unwrap().recovery_left, 0, "codes end with the last factor");
    let rows = front.app.db.read(|c| ingest::audit::audit_of(c, &format!("user:{user}"))).unwrap();
    table += &format!("audit: {}\n", rows.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>().join(" "));
    expect![[r#"
        somebody else's session: 404 , in
        wrong old password: 422 , in
        a new one with the own name: 422 , in
        good: 303 /konto?ok=password-changed, in
        another session of mine: 303 /login?weiter=%2Fkonto
        the old password: 422
        app begun: 303 /konto/app, in
        app confirmed: 200 , in, 16 codes
        the page of a secret that does not wait: 303 /konto, in
        app removed: 303 /konto?ok=app-removed, in
        audit: session.opened password.changed session.opened totp.enrolled totp.removed
    "#]]
    .assert_eq(&table);
}

/// The brake tells the auditor once, of known and unknown names alike, and never what was typed.
#[tokio::test]
async fn a_brake_is_told_without_the_name() {
    let front = Front::new();
    for login in ["lead", "Mein-geheimes-Kennwort"] {
        for _ in 0..6 {
            front.post("/login", "", &[("konto", login), ("kennwort", "falsch-falsch")]).await;
        }
    }
    front.app.audit.flush();
    let rows = front.app.db.read(|c| ingest::audit::audit_list(c, None, 10)).unwrap();
    let user = account(&front, Role::Lead).id;
    let mut objects: Vec<&str> = rows.iter().map(|row| row.object.as_str()).collect();
    objects.sort_unstable();
    let known = format!("user:{user}");
    assert_eq!(objects, [known.as_str(), "user:unknown"], "one row for each, however many tries");
    assert!(rows.iter().all(|row| row.kind == "login.failed" && !row.detail.to_string().to_lowercase().contains("geheim")));
}

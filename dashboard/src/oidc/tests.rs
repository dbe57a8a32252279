//! Log-ins at the fake provider: the good one, and every way we know in which an answer can be a lie.

use std::fmt::Write as _;
use std::time::Duration;

use expect_test::expect;
use ingest::time::Timestamp;
use serde_json::{Value, json};

use super::fake::{Fake, Mood, SECRET, Signed};
use super::*;

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-21T13:02:09Z").unwrap()
}

fn seconds() -> i64 {
    now().0 / 1_000
}

fn oidc(fake: &Fake) -> Oidc {
    let settings = Settings {
        issuer: fake.issuer.clone(),
        client_id: "wartburg".into(),
        client_secret: Some(Secret::given(SECRET)),
        scopes: vec!["openid".into(), "profile".into()],
        groups_claim: "groups".into(),
        ..Settings::default()
    };
    Oidc::new(settings, "https://wartburg.example", Duration::from_millis(400))
}

fn told_of(result: Result<Vouched, OidcError>, fake: &Fake) -> String {
    match result {
        Ok(vouched) => format!("{} ({}), {}, to {}", vouched.person.name, vouched.person.subject, vouched.groups.join("+"), vouched.next),
        Err(error) => {
            // The port is another one each time, and with it the columns; the list of algorithms is a set.
            let text = error.to_string().replace(fake.issuer.split('/').nth(2).unwrap(), "idp");
            let end = [", line:", " is not one of"].iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
            text[..end].to_owned()
        }
    }
}

/// One log-in: how the token is signed, and what is wrong in its claims.
fn round(fake: &Fake, oidc: &Oidc, signed: Signed, change: impl FnOnce(&mut Value)) -> Result<Vouched, OidcError> {
    let start = oidc.start("/vorfaelle?stand=neu", now())?;
    let (code, state) = fake.consent(&start.url, signed, change, seconds());
    oidc.finish(Answer { code: &code, state: &state, ..Answer::default() }, Some(&start.cookie), now().plus(1_000))
}

#[test]
fn who_is_believed() {
    let fake = Fake::start();
    let oidc = oidc(&fake);
    let mut table = String::new();
    let mut case = |what: &str, signed: Signed, change: &dyn Fn(&mut Value)| {
        let _ = writeln!(table, "{what}: {}", told_of(round(&fake, &oidc, signed, change), &fake));
    };
    let set = |key: &'static str, value: Value| move |claims: &mut Value| claims[key] = value.clone();
    let without = |key: &'static str| {
        move |claims: &mut Value| {
            claims.as_object_mut().unwrap().remove(key);
        }
    };
    case("good", Signed::Es256, &|_| {});
    case("good, EdDSA", Signed::EdDsa, &|_| {});
    case("no groups", Signed::Es256, &without("groups"));
    case("one group as a text", Signed::Es256, &set("groups", json!("cert-leitung")));
    case("groups of odd kinds", Signed::Es256, &set("groups", json!([1, null, "a", ["b"], {"c": 1}, "x".repeat(300)])));
    case("wrong nonce", Signed::Es256, &set("nonce", json!("other")));
    case("no nonce", Signed::Es256, &without("nonce"));
    case("wrong issuer", Signed::Es256, &set("iss", json!("https://evil.example")));
    case("wrong audience", Signed::Es256, &set("aud", json!("other")));
    case("a second audience", Signed::Es256, &set("aud", json!(["wartburg", "other"])));
    case("issued to another client", Signed::Es256, &set("azp", json!("other")));
    case("issued to us", Signed::Es256, &set("azp", json!("wartburg")));
    case("expired", Signed::Es256, &set("exp", json!(seconds() - 1)));
    case("not valid yet", Signed::Es256, &set("nbf", json!(seconds() + 600)));
    case("without an end", Signed::Es256, &without("exp"));
    case("without a beginning", Signed::Es256, &without("iat"));
    case("without an audience", Signed::Es256, &without("aud"));
    case("without an issuer", Signed::Es256, &without("iss"));
    case("issued in the future", Signed::Es256, &set("iat", json!(seconds() + 600)));
    case("issued long ago", Signed::Es256, &set("iat", json!(seconds() - 7_200)));
    case("no subject", Signed::Es256, &set("sub", json!("")));
    case("no subject claim", Signed::Es256, &without("sub"));
    case("a subject without end", Signed::Es256, &set("sub", json!("x".repeat(256))));
    case("alg none", Signed::None, &|_| {});
    case("alg none, with a signature", Signed::Denied, &|_| {});
    case("HS256 with the public key", Signed::Hs256Public, &|_| {});
    case("HS256 with the client's secret", Signed::Hs256Secret, &|_| {});
    case("a foreign key", Signed::Foreign, &|_| {});
    case("one bit turned", Signed::Bent, &|_| {});
    expect![[r#"
        good: Anna Müller (4711), cert-analyse, to /vorfaelle?stand=neu
        good, EdDSA: Anna Müller (4711), cert-analyse, to /vorfaelle?stand=neu
        no groups: Anna Müller (4711), , to /vorfaelle?stand=neu
        one group as a text: Anna Müller (4711), cert-leitung, to /vorfaelle?stand=neu
        groups of odd kinds: Anna Müller (4711), a, to /vorfaelle?stand=neu
        wrong nonce: the provider's answer is refused: Invalid nonce: nonce mismatch
        no nonce: the provider's answer is refused: Invalid nonce: missing nonce claim
        wrong issuer: the provider's answer is refused: Invalid issuer: expected `http://idp/realms/cert` (found `https://evil.example`)
        wrong audience: the provider's answer is refused: Invalid audiences: must contain `wartburg` (found audiences: `other`)
        a second audience: the provider's answer is refused: Invalid audiences: `other` is not a trusted audience
        issued to another client: the provider's answer is refused: issued to another client (azp)
        issued to us: Anna Müller (4711), cert-analyse, to /vorfaelle?stand=neu
        expired: the provider's answer is refused: Expired: ID token expired at 2026-11-21 13:02:08 UTC (current time is 2026-11-21 13:02:10 UTC)
        not valid yet: the provider's answer is refused: not valid yet (nbf)
        without an end: the provider's answer is refused: no readable ID token: Failed to parse payload JSON: Error("missing field `exp`"
        without a beginning: the provider's answer is refused: no readable ID token: Failed to parse payload JSON: Error("missing field `iat`"
        without an audience: the provider's answer is refused: Invalid audiences: must contain `wartburg` (found audiences: )
        without an issuer: the provider's answer is refused: no readable ID token: Failed to parse payload JSON: Error("missing field `iss`"
        issued in the future: the provider's answer is refused: Expired: issued in the future
        issued long ago: the provider's answer is refused: Expired: issued before this log-in began
        no subject: the provider's answer is refused: no subject
        no subject claim: the provider's answer is refused: no readable ID token: Failed to parse payload JSON: Error("missing field `sub`"
        a subject without end: the provider's answer is refused: no subject
        alg none: the provider's answer is refused: Signature verification failed: No signature found
        alg none, with a signature: the provider's answer is refused: Signature verification failed: No signature found
        HS256 with the public key: the provider's answer is refused: Signature verification failed: Disallowed signature algorithm: algorithm `HS256`
        HS256 with the client's secret: the provider's answer is refused: Signature verification failed: Disallowed signature algorithm: algorithm `HS256`
        a foreign key: the provider's answer is refused: Signature verification failed: Crypto error: EC Signature was wrong
        one bit turned: the provider's answer is refused: Signature verification failed: Crypto error: EC Signature was wrong
    "#]].assert_eq(&table);
}

#[test]
fn an_answer_counts_once_and_only_where_it_was_asked_for() {
    let fake = Fake::start();
    let oidc = oidc(&fake);
    let mut table = String::new();
    let mut say = |what: &str, result: Result<Vouched, OidcError>| {
        let _ = writeln!(table, "{what}: {}", told_of(result, &fake));
    };
    let begin = || {
        let start = oidc.start("/", now()).unwrap();
        let (code, state) = fake.consent(&start.url, Signed::Es256, |_| {}, seconds());
        (start.cookie, code, state)
    };
    let finish = |cookie: &str, code: &str, state: &str, at: i64| {
        oidc.finish(Answer { code, state, ..Answer::default() }, Some(cookie), now().plus(at))
    };
    let (cookie, code, state) = begin();
    let (other_cookie, other_code, other_state) = begin();
    say("no cookie", oidc.finish(Answer { code: &code, state: &state, ..Answer::default() }, None, now()));
    say("another browser's cookie", finish(&other_cookie, &code, &state, 0));
    say("wrong state", finish(&cookie, &code, "zz", 0));
    say("no state", finish(&cookie, &code, "", 0));
    say("too late", finish(&cookie, &code, &state, ROUND_MILLIS_MAX + 1));
    say("before it began", finish(&cookie, &code, &state, -1));
    let younger = cookie.replacen(&now().0.to_string(), &(now().0 + 1).to_string(), 1);
    say("a cookie with another time", finish(&younger, &code, &state, 5));
    say("a cookie with another end", finish(&format!("{cookie}x"), &code, &state, 0));
    for odd in ["", "..", "1.2.3", &"x".repeat(9_000)] {
        say("an odd cookie", finish(odd, &code, &state, 0));
    }
    // Somebody else's code in the own browser: PKCE.
    say("another round's code", finish(&other_cookie, &code, &other_state, 0));
    say("its own answer, after the code was burnt", finish(&cookie, &code, &state, 0));
    say("the same answer twice", finish(&cookie, &code, &state, 1));
    say("a round used before, with its own code", finish(&other_cookie, &other_code, &other_state, 1));
    let (cookie, code, state) = begin();
    say("its own answer", finish(&cookie, &code, &state, 1));
    say("its own answer again", finish(&cookie, &code, &state, 2));
    let (cookie, _, state) = begin();
    say("a code used before", finish(&cookie, &code, &state, 1));
    let (cookie, code, state) = begin();
    let answer = Answer { code: &code, state: &state, issuer: "https://evil.example", ..Answer::default() };
    say("another provider's answer", oidc.finish(answer, Some(&cookie), now()));
    let (cookie, _, state) = begin();
    let answer = Answer { state: &state, error: "access_denied\r\nx: y", ..Answer::default() };
    say("refused there", oidc.finish(answer, Some(&cookie), now()));
    let (cookie, code, state) = begin();
    let restarted = self::oidc(&fake);
    say("after a restart", restarted.finish(Answer { code: &code, state: &state, ..Answer::default() }, Some(&cookie), now()));
    expect![[r#"
        no cookie: the answer belongs to no log-in of this browser: no cookie
        another browser's cookie: the answer belongs to no log-in of this browser: wrong state
        wrong state: the answer belongs to no log-in of this browser: wrong state
        no state: the answer belongs to no log-in of this browser: wrong state
        too late: the answer belongs to no log-in of this browser: too late
        before it began: the answer belongs to no log-in of this browser: too late
        a cookie with another time: the answer belongs to no log-in of this browser: wrong state
        a cookie with another end: the answer belongs to no log-in of this browser: wrong state
        an odd cookie: the answer belongs to no log-in of this browser: no cookie
        an odd cookie: the answer belongs to no log-in of this browser: no cookie
        an odd cookie: the answer belongs to no log-in of this browser: no cookie
        an odd cookie: the answer belongs to no log-in of this browser: no cookie
        another round's code: the provider's answer is refused: 127.0.0.1/realms/cert/token answered 400
        its own answer, after the code was burnt: the provider's answer is refused: 127.0.0.1/realms/cert/token answered 400
        the same answer twice: the answer belongs to no log-in of this browser: used twice
        a round used before, with its own code: the answer belongs to no log-in of this browser: used twice
        its own answer: Anna Müller (4711), cert-analyse, to /
        its own answer again: the answer belongs to no log-in of this browser: used twice
        a code used before: the provider's answer is refused: 127.0.0.1/realms/cert/token answered 400
        another provider's answer: the provider's answer is refused: another issuer answered
        refused there: the provider refused: access_deniedx:y
        after a restart: the answer belongs to no log-in of this browser: wrong state
    "#]]
    .assert_eq(&table);
}

#[test]
fn keys_may_change_and_made_up_ones_are_not_fetched_for() {
    let fake = Fake::start();
    let oidc = oidc(&fake);
    round(&fake, &oidc, Signed::Es256, |_| {}).unwrap();
    assert_eq!((fake.asked("/openid-configuration"), fake.asked("/certs")), (1, 1));
    fake.rotate();
    // Within the minute nothing is fetched, whatever comes.
    for _ in 0..3 {
        assert!(matches!(round(&fake, &oidc, Signed::Es256, |_| {}), Err(OidcError::Untrusted(_))));
    }
    assert_eq!(fake.asked("/certs"), 1);
    let at = now().plus(Timestamp::MINUTE + 1);
    let start = oidc.start("/", at).unwrap();
    let (code, state) = fake.consent(&start.url, Signed::Es256, |_| {}, at.0 / 1_000);
    oidc.finish(Answer { code: &code, state: &state, ..Answer::default() }, Some(&start.cookie), at).unwrap();
    assert_eq!((fake.asked("/openid-configuration"), fake.asked("/certs")), (1, 2));
    // What is known has an end.
    oidc.start("/", now().plus(61 * Timestamp::MINUTE)).unwrap();
    assert_eq!(fake.asked("/openid-configuration"), 2);
}

#[test]
fn a_provider_that_is_ill_keeps_nobody_waiting() {
    let mut table = String::new();
    for mood in [Mood::Huge, Mood::Slow, Mood::Redirects, Mood::OtherIssuer, Mood::PlainHttp, Mood::NotJson, Mood::Broken] {
        let fake = Fake::start();
        let oidc = oidc(&fake);
        fake.mood(mood);
        let down = matches!(oidc.start("/", now()), Err(OidcError::Down(_)));
        let again = matches!(oidc.start("/", now().plus(1)), Err(OidcError::Down(_)));
        let asked = fake.asked("/openid-configuration");
        let followed = fake.asked("/elsewhere");
        fake.mood(Mood::Well);
        let well = oidc.start("/", now().plus(11_000)).is_ok();
        let _ = writeln!(table, "{mood:?}: down {down}, still {again}, asked {asked}, followed {followed}; later well {well}");
    }
    expect![[r#"
        Huge: down true, still true, asked 1, followed 0; later well true
        Slow: down true, still true, asked 1, followed 0; later well true
        Redirects: down true, still true, asked 1, followed 0; later well true
        OtherIssuer: down true, still true, asked 1, followed 0; later well true
        PlainHttp: down true, still true, asked 1, followed 0; later well true
        NotJson: down true, still true, asked 1, followed 0; later well true
        Broken: down true, still true, asked 1, followed 0; later well true
    "#]]
    .assert_eq(&table);
    // Nobody listens there.
    let settings = Settings { issuer: "http://127.0.0.1:1/x".into(), ..Settings::default() };
    let nobody = Oidc::new(settings, "", Duration::from_millis(400));
    assert!(matches!(nobody.start("/", now()), Err(OidcError::Down(_))));
}

#[test]
fn what_goes_out_holds_no_secret() {
    let fake = Fake::start();
    let oidc = oidc(&fake);
    assert!(oidc.logout_url(now()).is_none(), "nothing is asked for a link");
    let start = oidc.start(&format!("/{}", "x".repeat(2_000)), now()).unwrap();
    assert!(start.url.starts_with(&format!("{}/auth?kc=1&response_type=code&client_id=wartburg&", fake.issuer)));
    assert!(!start.url.contains("geheim") && start.cookie.len() < 200, "a long way back leads home");
    let seed = start.cookie.split('.').nth(1).unwrap();
    assert!(!start.url.contains(seed), "the address, which others log, does not give the cookie away");
    assert!(!format!("{oidc:?}").contains("geheim"));
    let out = oidc.logout_url(now()).unwrap();
    assert!(
        out.ends_with("/logout?client_id=wartburg&post_logout_redirect_uri=https%3A%2F%2Fwartburg.example%2Flogin%3Fok%3Dsigned-out"),
        "{out}"
    );
}

#[test]
fn groups_are_found_where_the_configuration_says() {
    let fake = Fake::start();
    let mut settings = oidc(&fake).settings;
    let claims = json!({ "realm_access": { "roles": ["a", "b"] }, "https://x.example/g": ["c"], "deep": "d" });
    let mut table = String::new();
    for path in ["realm_access.roles", "https://x.example/g", "deep", "realm_access", "missing.x", ""] {
        settings.groups_claim = path.into();
        let oidc = Oidc::new(settings.clone(), "", Duration::from_millis(1));
        let _ = writeln!(table, "{path}: {:?}", oidc.groups(claims.as_object().unwrap()));
    }
    expect![[r#"
        realm_access.roles: ["a", "b"]
        https://x.example/g: ["c"]
        deep: ["d"]
        realm_access: []
        missing.x: []
        : []
    "#]]
    .assert_eq(&table);
}

#[test]
fn only_emergency_accounts_keep_their_passwords() {
    let fake = Fake::start();
    let mut oidc = oidc(&fake);
    assert!(oidc.password_allowed("anna"));
    (oidc.settings.only, oidc.settings.emergency) = (true, vec!["notfall".into()]);
    assert!(oidc.password_allowed("notfall") && !oidc.password_allowed("anna"));
}

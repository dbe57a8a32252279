//! The steps of a login after the first (`login::next`): second factor, setting one up, a password of one's own; and the
//! login by passkey alone. Each step has one page, opened by the half-session's cookie and by nothing else.

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use ingest::db::DbError;
use serde_json::json;

use super::ask::{local_path, see_other};
use super::door::{self, Advance};
use super::frame::{Frame, Place};
use super::prove::{self, Brought, Judged, tell};
use super::stepup::{PasskeyAsk, passkey_ask};
use super::{Ask, PageError, Reply};
use crate::identity::identity_only;
use crate::login::{Half, Step};
use crate::proof::passkey::{passkey_add, passkey_known};
use crate::proof::recovery::recovery_make;
use crate::proof::totp::{self, totp_begin, totp_confirm, totp_pending};
use crate::proof::{Standing, password, password_due_clear, standing};
use crate::session::{How, Token};
use crate::show::{Markup, filters};
use crate::user;
use crate::words::{de, t};

#[derive(Template)]
#[template(path = "login_factor.html")]
struct FactorPage {
    frame: Frame,
    csrf: String,
    problem: Option<String>,
    has: Standing,
    passkey: Option<PasskeyAsk>,
}

#[derive(Template)]
#[template(path = "login_enrol.html")]
struct EnrolPage {
    frame: Frame,
    csrf: String,
    problem: Option<String>,
    picture: Option<Markup>,
    secret: String,
    passkey: Option<PasskeyAsk>,
}

#[derive(Template)]
#[template(path = "login_codes.html")]
struct CodesPage {
    frame: Frame,
    codes: Vec<String>,
    to: String,
}

#[derive(Template)]
#[template(path = "login_password.html")]
struct PasswordPage {
    frame: Frame,
    csrf: String,
    login: String,
    problem: Option<String>,
}

/// The page of whichever step it is.
pub(super) fn show(ask: &mut Ask) -> Reply {
    let Some((token, half)) = door::half(ask)? else { return expired(ask) };
    match half.step {
        Step::Factor => factor_page(ask, &token, &half, StatusCode::OK, None),
        Step::Enrol => enrol_page(ask, &token, &half, StatusCode::OK, None),
        Step::Password => password_page(ask, &token, &half, StatusCode::OK, None),
    }
}

/// The half-session of a form that was sent: of the right step, with its own token.
fn sent(ask: &Ask, step: Step) -> Result<Option<(Token, Half)>, PageError> {
    let found = door::half(ask)?.filter(|(_, half)| half.step == step);
    match found {
        Some((token, _)) if !token.csrf_fits(ask.form("csrf")) => Err(PageError::ForeignForm),
        found => Ok(found),
    }
}

fn expired(ask: &Ask) -> Reply {
    let mut response = see_other("/login?ok=login-expired");
    door::half_forget(ask, &mut response);
    Ok(response)
}

/// What a passkey's challenge of this step is begun for.
fn purpose(token: &Token) -> String {
    format!("half:{}", token.hash())
}

pub(super) fn factor_do(ask: &mut Ask) -> Reply {
    let Some((token, half)) = sent(ask, Step::Factor)? else { return expired(ask) };
    let brought = Brought { passkey: ask.form("passkey"), code: ask.form("code"), recovery: ask.form("ersatzcode") };
    match prove::second_factor(ask, &half.user, &brought, &purpose(&token))? {
        Judged::Yes(how) => advanced(ask, token, &half, how),
        Judged::No(text) => factor_page(ask, &token, &half, StatusCode::UNPROCESSABLE_ENTITY, Some(text)),
        Judged::Wait(text) => factor_page(ask, &token, &half, StatusCode::TOO_MANY_REQUESTS, Some(text)),
    }
}

/// On to the next step or in. Who was overtaken by himself in another window begins anew.
fn advanced(ask: &mut Ask, token: Token, half: &Half, how: How) -> Reply {
    match door::advance(ask, &half.user, how, &half.target, Some(token)) {
        Ok(advance) => Ok(advance.redirect()),
        Err(PageError::Gone) => expired(ask),
        Err(error) => Err(error),
    }
}

fn factor_page(ask: &Ask, token: &Token, half: &Half, status: StatusCode, problem: Option<String>) -> Reply {
    let has = ask.app.db.read(|c| standing(c, half.user.id))?;
    let passkey = if has.passkeys > 0 { passkey_ask(ask, &purpose(token)) } else { None };
    let frame = ask.frame(t("Zweiter Faktor"), Place::Elsewhere);
    ask.page_status(status, &FactorPage { frame, csrf: token.csrf(), problem, has, passkey })
}

fn enrol_page(ask: &Ask, token: &Token, half: &Half, status: StatusCode, problem: Option<String>) -> Reply {
    let (door, user, now) = (ask.app.door.clone(), half.user.id, ask.now);
    let mut secret = ask.app.db.read(|c| totp_pending(c, &door.vault, user, now))?;
    if secret.is_none() {
        let vault = door.vault.clone();
        ask.app.db.write(move |tx| totp_begin(tx, &vault, user, now))?;
        secret = ask.app.db.read(|c| totp_pending(c, &door.vault, user, now))?;
    }
    let known = ask.app.db.read(|c| passkey_known(c, user))?;
    let passkey = ask.app.settings.relying.as_ref().and_then(|relying| {
        let options = door.ceremonies.register_begin(relying, &half.user, known, &purpose(token), now)?;
        Some(PasskeyAsk { options, host: relying.host.clone() })
    });
    let page = EnrolPage {
        frame: ask.frame(t("Zweiten Faktor einrichten"), Place::Elsewhere),
        csrf: token.csrf(),
        problem,
        picture: secret.as_ref().and_then(|secret| totp::picture(&secret.uri(&half.user.login), t(PICTURE_LABEL))),
        secret: secret.map(|secret| secret.text()).unwrap_or_default(),
        passkey,
    };
    ask.page_status(status, &page)
}

pub(super) const PICTURE_LABEL: &str = de("QR-Code für Ihre App. Der Schlüssel steht als Text darunter.");

pub(super) fn enrol_do(ask: &mut Ask) -> Reply {
    let Some((token, half)) = sent(ask, Step::Enrol)? else { return expired(ask) };
    let (user, now) = (half.user.id, ask.now);
    if ask.app.db.read(|c| standing(c, user))?.second_factor() {
        // Set up in another window meanwhile: from here nobody adds one without proving the first.
        return expired(ask);
    }
    let answer = ask.form("passkey").to_owned();
    let done = if answer.is_empty() {
        let key = user.to_string();
        if let Err(wait) = ask.app.door.factors.enter(&key, "", now) {
            return enrol_page(ask, &token, &half, StatusCode::TOO_MANY_REQUESTS, Some(prove::too_many(wait)));
        }
        let (vault, code) = (ask.app.door.vault.clone(), ask.form("code").to_owned());
        let codes = ask.app.db.write(move |tx| {
            if !totp_confirm(tx, &vault, user, &code, now)? {
                return Ok::<_, PageError>(None);
            }
            tell(tx, now, user, "totp.enrolled", json!({}))?;
            Ok(Some(recovery_make(tx, user, now)?))
        })?;
        if codes.is_some() {
            ask.app.door.factors.succeeded(&key, "");
        }
        codes.map(|codes| (codes, How::PasswordAndCode)).ok_or(WRONG_FIRST_CODE)
    } else {
        let made = ask
            .app
            .settings
            .relying
            .as_ref()
            .map(|relying| ask.app.door.ceremonies.register_finish(relying, &purpose(&token), &answer, now));
        match made {
            Some(Ok(made)) => {
                let name = ask.form("name").to_owned();
                let codes = ask.app.db.write(move |tx| {
                    let Some(id) = passkey_add(tx, user, &made, &name, now)? else { return Ok::<_, PageError>(None) };
                    tell(tx, now, user, "passkey.added", json!({ "passkey": id }))?;
                    Ok(Some(recovery_make(tx, user, now)?))
                })?;
                codes.map(|codes| (codes, How::PasswordAndPasskey)).ok_or(PASSKEY_FAILED)
            }
            refused => {
                if let Some(Err(error)) = refused {
                    tracing::info!(%error, "a passkey was not made");
                }
                Err(PASSKEY_FAILED)
            }
        }
    };
    match done {
        Ok((codes, how)) => {
            let advance = match door::advance(ask, &half.user, how, &half.target, Some(token)) {
                Ok(advance) => advance,
                Err(PageError::Gone) => return expired(ask),
                Err(error) => return Err(error),
            };
            let page = CodesPage { frame: ask.frame(t("Wiederherstellungscodes"), Place::Elsewhere), codes, to: advance.to.clone() };
            let response = ask.page(&page)?;
            Ok(advance.with(response))
        }
        Err(text) => enrol_page(ask, &token, &half, StatusCode::UNPROCESSABLE_ENTITY, Some(t(text).to_owned())),
    }
}

pub(super) const WRONG_FIRST_CODE: &str =
    de("Der Code passt nicht zu diesem Schlüssel. Prüfen Sie, ob Ihre App den Eintrag „Wartburg“ zeigt und die Uhr Ihres Telefons stimmt.");
pub(super) const PASSKEY_FAILED: &str =
    de("Der Passkey wurde nicht angelegt. Bitte versuchen Sie es noch einmal, oder nehmen Sie eine App.");

fn password_page(ask: &Ask, token: &Token, half: &Half, status: StatusCode, problem: Option<String>) -> Reply {
    let frame = ask.frame(t("Neues Kennwort"), Place::Elsewhere);
    ask.page_status(status, &PasswordPage { frame, csrf: token.csrf(), login: half.user.login.clone(), problem })
}

pub(super) fn password_do(ask: &mut Ask) -> Reply {
    let Some((token, half)) = sent(ask, Step::Password)? else { return expired(ask) };
    let problem = new_password(ask, &half.user)?;
    if let Some(text) = problem {
        return password_page(ask, &token, &half, StatusCode::UNPROCESSABLE_ENTITY, Some(text));
    }
    advanced(ask, token, &half, half.how)
}

/// Sets the password of the form's fields `neu` and `nochmal`; why not, where it may not be. Ends all sessions.
pub(super) fn new_password(ask: &Ask, user: &user::User) -> Result<Option<String>, PageError> {
    let (new, again) = (ask.form("neu"), ask.form("nochmal"));
    if new != again {
        return Ok(Some(t("Die beiden Eingaben sind verschieden. Bitte tippen Sie das neue Kennwort zweimal gleich.").to_owned()));
    }
    if let Err(weak) = password::check(new, user) {
        return Ok(Some(weak.to_string()));
    }
    // Also not the one before.
    let found = ask.app.db.read(|c| user::user_by_login(c, &user.login))?;
    match ask.app.door.hasher.verify(new, found.as_ref().map(|(_, hash)| hash.as_str())) {
        None => return Ok(Some(t(prove::BUSY).to_owned())),
        Some(true) => return Ok(Some(t("Das ist Ihr bisheriges Kennwort. Bitte wählen Sie ein anderes.").to_owned())),
        Some(false) => {}
    }
    let hash = user::password_hash(new).map_err(PageError::store)?;
    let (id, now) = (user.id, ask.now);
    ask.app.db.write(move |tx| {
        user::user_password_set(tx, id, &hash)?;
        password_due_clear(tx, id)?;
        tell(tx, now, id, "password.changed", json!({}))
    })?;
    Ok(None)
}

/// What the door's passkey button asks first, by script.
pub(super) fn passkey_options(ask: &mut Ask) -> Reply {
    let Some(passkey) = passkey_ask(ask, "door") else { return Err(PageError::NotFound) };
    let mut response = Response::new(Body::from(passkey.options));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// In by passkey alone. An unknown key, a wrong answer and a disabled account are answered alike.
pub(super) fn passkey_do(ask: &mut Ask) -> Reply {
    let target = local_path(ask.form("weiter")).to_owned();
    let proved = prove::passkey(ask, ask.form("passkey"), "door")?;
    let user = match proved {
        Some(id) => ask
            .app
            .db
            .read(|c| if identity_only(c, id)? { Ok::<_, DbError>(None) } else { user::user_get(c, id) })?
            .filter(|user| !user.disabled),
        None => None,
    };
    let Some(user) = user else {
        let text = t("Mit diesem Passkey ging es nicht. Versuchen Sie es noch einmal, oder melden Sie sich mit Name und Kennwort an.");
        return door::login_page(ask, StatusCode::UNPROCESSABLE_ENTITY, "", &target, Some(text.into()));
    };
    let advance: Advance = door::advance(ask, &user, How::Passkey, &target, None)?;
    Ok(advance.redirect())
}

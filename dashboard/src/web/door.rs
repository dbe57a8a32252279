//! Signing in and out. Unknown account, wrong password and disabled account get the same answer after the same work.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use ingest::audit::{NewAudit, audit_add};
use ingest::db::DbError;
use ingest::rusqlite::Transaction;
use serde_json::json;

use super::ask::{local_path, see_other};
use super::frame::{Frame, Place};
use super::{Ask, PageError, Reply, prove};
use crate::access::role_label;
use crate::login::{self, Half};
use crate::proof::standing;
use crate::session::{self, How, NewSession, Token};
use crate::show::{self, filters};
use crate::user::{self, User, UserId};
use crate::words::t;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    frame: Frame,
    login: &'a str,
    next: &'a str,
    error: Option<String>,
    oidc: Option<Outside>,
    demo_logins: Vec<(&'static str, &'a str, &'a str)>,
    /// The host that passkeys are for; `None` where there are none.
    passkey_host: Option<&'a str>,
}

/// The outside provider at the door.
struct Outside {
    label: String,
    href: String,
    /// Passwords are for emergency accounts only.
    only: bool,
    /// After signing out: where to end the session there too.
    logout: bool,
}

impl Outside {
    fn of(ask: &Ask, next: &str) -> Option<Self> {
        let oidc = ask.app.settings.oidc.as_ref()?;
        let next = if next == "/" { "" } else { next };
        Some(Self {
            label: oidc.settings.label.clone(),
            href: show::link("/login/oidc", &[("weiter", next)]),
            only: oidc.settings.only,
            logout: ask.query("ok") == "signed-out" && oidc.logout_url(ask.now).is_some(),
        })
    }
}

pub(super) fn login_show(ask: &mut Ask) -> Reply {
    if ask.viewer.is_some() {
        return Ok(see_other(ask.query("weiter")));
    }
    login_page(ask, StatusCode::OK, "", ask.query("weiter"), None)
}

pub(super) fn login_page(ask: &Ask, status: StatusCode, login: &str, next: &str, error: Option<String>) -> Reply {
    let frame = ask.frame(t("Anmelden"), Place::Elsewhere);
    let next = if next.is_empty() { "/" } else { local_path(next) };
    let passkey_host = ask.app.settings.relying.as_ref().map(|relying| relying.host.as_str());
    let oidc = Outside::of(ask, next);
    let demo_logins = ask.app.settings.demo_logins.iter();
    let demo_logins = demo_logins.map(|(role, login, password)| (role_label(*role), login.as_str(), password.as_str())).collect();
    ask.page_status(status, &LoginPage { frame, login, next, error, oidc, demo_logins, passkey_host })
}

pub(super) fn login_do(ask: &mut Ask) -> Reply {
    let login = user::login_normal(ask.form("konto"));
    let next = ask.form("weiter").to_owned();
    let address = ask.address();
    let door = ask.app.door.clone();
    if let Err(wait) = door.throttle.enter(&login, &address, ask.now) {
        ask.app.audit.login_failed(ask.now, None, ask.peer);
        return login_page(ask, StatusCode::TOO_MANY_REQUESTS, &login, &next, Some(prove::too_many(wait)));
    }
    let found = ask.app.db.read(|c| user::user_by_login(c, &login))?;
    let Some(fits) = door.hasher.verify(ask.form("kennwort"), found.as_ref().map(|(_, hash)| hash.as_str())) else {
        door.throttle.succeeded(&login, &address);
        return login_page(ask, StatusCode::SERVICE_UNAVAILABLE, &login, &next, Some(t(prove::BUSY).into()));
    };
    let known = found.as_ref().map(|(user, _)| user.id);
    // Refused only after the work, with the same words: the door does not tell which accounts are for emergencies.
    let local = ask.app.settings.oidc.as_ref().is_none_or(|oidc| oidc.password_allowed(&login));
    let Some((user, _)) = found.filter(|(user, _)| fits && local && !user.disabled) else {
        ask.app.audit.login_failed(ask.now, known.map(|user| user.to_string()).as_deref(), ask.peer);
        let text = t("Name oder Kennwort stimmt nicht. Bitte prüfen Sie beides, auch Groß- und Kleinschreibung des Kennworts.");
        return login_page(ask, StatusCode::UNPROCESSABLE_ENTITY, &login, &next, Some(text.into()));
    };
    door.throttle.succeeded(&login, &address);
    Ok(advance(ask, &user, How::Password, local_path(&next), None)?.redirect())
}

/// Where a login has come to: the address that goes on, and the cookies that open it.
pub(super) struct Advance {
    pub(super) to: String,
    cookies: Vec<HeaderValue>,
}

impl Advance {
    pub(super) fn redirect(self) -> Response {
        let response = see_other(&self.to);
        self.with(response)
    }

    /// With a page of its own, that leads to `to`.
    pub(super) fn with(self, mut response: Response) -> Response {
        for cookie in self.cookies {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// The one place that goes on with a login: to its next step, or in. Everything that came with the request, session or
/// half-session, ends: it might have been planted. `from` is the half-session whose step was just done; where somebody
/// did it already, this is `Gone`.
pub(super) fn advance(ask: &mut Ask, user: &User, how: How, target: &str, from: Option<Token>) -> Result<Advance, PageError> {
    let has = ask.app.db.read(|c| standing(c, user.id))?;
    let Some(step) = login::next(how, has, ask.app.settings.second_factor.of(user.role)) else {
        let token = enter(ask, user.id, how, from, |_| Ok(()))?;
        return Ok(Advance { to: local_path(target).to_owned(), cookies: session_cookies(ask, &token) });
    };
    let (old, token, now, id, copy) = (ask.token.take(), Token::new(), ask.now, user.id, local_path(target).to_owned());
    let (fresh, came) = (token.clone(), ask.cookie(half_cookie(ask)).and_then(Token::parse));
    ask.app.db.write(move |tx| {
        finish(tx, old, came, from)?;
        login::half_open(tx, id, step, how, &copy, &fresh, now)?;
        Ok::<_, PageError>(())
    })?;
    let cookies = half_cookie_line(ask, token.as_str(), step.millis() / 1_000).into_iter().collect();
    Ok(Advance { to: STEP.to_owned(), cookies })
}

/// Where the steps' pages are.
const STEP: &str = "/login/schritt";

/// Opens a session for whoever came in by another way (a one-time link, the house's identity provider) and leads to `next`.
/// `also` runs in the same transaction (using up the link, noting the provider's identity).
pub(super) fn open_session(
    ask: &mut Ask,
    user: UserId,
    how: How,
    next: &str,
    also: impl FnOnce(&Transaction<'_>) -> Result<(), DbError> + Send + 'static,
) -> Reply {
    let token = enter(ask, user, how, None, also)?;
    Ok(Advance { to: next.to_owned(), cookies: session_cookies(ask, &token) }.redirect())
}

/// The one place that opens a session: with a new token, and a row in the audit log.
fn enter(
    ask: &mut Ask,
    user: UserId,
    how: How,
    from: Option<Token>,
    also: impl FnOnce(&Transaction<'_>) -> Result<(), DbError> + Send + 'static,
) -> Result<Token, PageError> {
    let (old, token, now, limits) = (ask.token.take(), Token::new(), ask.now, ask.app.settings.session);
    let new = NewSession { user, how, address: ask.address(), browser: ask.browser() };
    let (fresh, came) = (token.clone(), ask.cookie(half_cookie(ask)).and_then(Token::parse));
    ask.app.db.write(move |tx| {
        finish(tx, old, came, from)?;
        let id = session::session_open(tx, &new, &fresh, limits, now)?;
        let detail = json!({ "how": how.as_str(), "address": new.address, "session": id });
        audit_add(tx, now, &NewAudit { actor: user.to_string(), kind: "session.opened", object: format!("user:{user}"), detail })?;
        crate::account::account_login_noted(tx, user, now)?;
        also(tx)?;
        Ok::<_, PageError>(())
    })?;
    Ok(token)
}

/// Ends what came with the request.
fn finish(tx: &Transaction<'_>, session: Option<Token>, half: Option<Token>, from: Option<Token>) -> Result<(), PageError> {
    if let Some(session) = session {
        session::session_close(tx, &session)?;
    }
    match from {
        Some(from) if !login::half_close(tx, &from)? => return Err(PageError::Gone),
        Some(_) => {}
        None => {
            if let Some(half) = half {
                login::half_close(tx, &half)?;
            }
        }
    }
    Ok(())
}

/// The half-session that came with the request, where it has not ended.
pub(super) fn half(ask: &Ask) -> Result<Option<(Token, Half)>, PageError> {
    let Some(token) = ask.cookie(half_cookie(ask)).and_then(Token::parse) else { return Ok(None) };
    let found = ask.app.db.read(|c| login::half_find(c, &token, ask.now))?;
    Ok(found.map(|half| (token, half)))
}

/// Takes the half-session's cookie back.
pub(super) fn half_forget(ask: &Ask, response: &mut Response) {
    if ask.cookie(half_cookie(ask)).is_some()
        && let Some(cookie) = half_cookie_line(ask, "", 0)
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

pub(super) fn logout(ask: &mut Ask) -> Reply {
    if let (Some(token), Some(session)) = (ask.token.take(), ask.session.take()) {
        let now = ask.now;
        ask.app.db.write(move |tx| {
            session::session_close(tx, &token)?;
            prove::tell(tx, now, session.user.id, "session.closed", json!({ "session": session.id }))
        })?;
    }
    let mut response = see_other("/login?ok=signed-out");
    if let Some(cookie) = session_cookie(ask, "", 0) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// How pages look and in which language: kept in cookies, so that the page arrives right. Light, dark or as the system
/// has it; German or English. A form names one of the two and leaves the other as it is.
pub(super) fn appearance(ask: &mut Ask) -> Reply {
    let theme = match ask.form("thema") {
        "" => None,
        "hell" => Some("thema=hell; Path=/; SameSite=Lax; HttpOnly; Max-Age=31536000"),
        "dunkel" => Some("thema=dunkel; Path=/; SameSite=Lax; HttpOnly; Max-Age=31536000"),
        _ => Some("thema=; Path=/; SameSite=Lax; HttpOnly; Max-Age=0"),
    };
    let language = match ask.form("sprache") {
        "" => None,
        "en" => Some("sprache=en; Path=/; SameSite=Lax; HttpOnly; Max-Age=31536000"),
        _ => Some("sprache=; Path=/; SameSite=Lax; HttpOnly; Max-Age=0"),
    };
    let mut response = see_other(ask.form("weiter"));
    for cookie in [theme, language].into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static(cookie));
    }
    Ok(response)
}

/// To the door, and back to where somebody wanted to go.
pub(super) fn to_login(ask: &Ask) -> Response {
    let query = ask.query.0.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>();
    let wanted = show::link(&ask.path, &query);
    let next = if wanted == "/" { String::new() } else { wanted };
    see_other(&show::link("/login", &[("weiter", &next)]))
}

/// The session's cookie, and the end of the half-session's.
fn session_cookies(ask: &Ask, token: &Token) -> Vec<HeaderValue> {
    let mut cookies: Vec<HeaderValue> =
        session_cookie(ask, token.as_str(), ask.app.settings.session.age_millis / 1_000).into_iter().collect();
    if ask.cookie(half_cookie(ask)).is_some() {
        cookies.extend(half_cookie_line(ask, "", 0));
    }
    cookies
}

/// `Lax`, not `Strict`: warnings and incidents are reached by links in mails, and with `Strict` who clicks one in webmail
/// would find himself signed out. What changes something is a POST, and those are kept by the CSRF token and the check
/// of where the form comes from, besides `Lax` itself.
fn session_cookie(ask: &Ask, value: &str, max_age_secs: i64) -> Option<HeaderValue> {
    cookie_line(ask, ask.cookie_name(), value, "Lax", max_age_secs)
}

/// `Strict`: nobody comes from elsewhere into the middle of a login.
fn half_cookie_line(ask: &Ask, value: &str, max_age_secs: i64) -> Option<HeaderValue> {
    cookie_line(ask, half_cookie(ask), value, "Strict", max_age_secs)
}

fn half_cookie(ask: &Ask) -> &'static str {
    if ask.app.settings.secure { "__Host-wartburg-anmeldung" } else { "wartburg-anmeldung" }
}

fn cookie_line(ask: &Ask, name: &str, value: &str, same_site: &str, max_age_secs: i64) -> Option<HeaderValue> {
    let secure = if ask.app.settings.secure { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}; Max-Age={max_age_secs}{secure}")).ok()
}

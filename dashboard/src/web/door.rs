//! Signing in and out. Unknown account, wrong password and disabled account get the same answer after the same work.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use ingest::audit::{NewAudit, audit_add};
use ingest::db::DbError;
use ingest::rusqlite::Transaction;
use ingest::time::Timestamp;
use serde_json::json;

use super::ask::{local_path, see_other};
use super::frame::{Frame, Place};
use super::{Ask, Reply};
use crate::session::{self, How, NewSession, Token};
use crate::show::{self, filters};
use crate::user::{self, UserId};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    frame: Frame,
    login: &'a str,
    next: &'a str,
    error: Option<String>,
    demo_logins: &'a [(String, String, String)],
}

pub(super) fn login_show(ask: &mut Ask) -> Reply {
    if ask.viewer.is_some() {
        return Ok(see_other(ask.query("weiter")));
    }
    login_page(ask, StatusCode::OK, "", ask.query("weiter"), None)
}

fn login_page(ask: &Ask, status: StatusCode, login: &str, next: &str, error: Option<String>) -> Reply {
    let frame = ask.frame("Anmelden", Place::Elsewhere);
    let next = if next.is_empty() { "/" } else { local_path(next) };
    ask.page_status(status, &LoginPage { frame, login, next, error, demo_logins: &ask.app.settings.demo_logins })
}

pub(super) fn login_do(ask: &mut Ask) -> Reply {
    let login = user::login_normal(ask.form("konto"));
    let next = ask.form("weiter").to_owned();
    let address = ask.address();
    let door = ask.app.door.clone();
    if let Some(wait) = door.throttle.wait(&login, &address, ask.now) {
        ask.app.audit.login_failed(ask.now, None, ask.peer);
        let text = format!("Zu viele Versuche. Bitte warten Sie {} und versuchen Sie es dann noch einmal.", show::duration(wait));
        return login_page(ask, StatusCode::TOO_MANY_REQUESTS, &login, &next, Some(text));
    }
    let found = ask.app.db.read(|c| user::user_by_login(c, &login))?;
    let account = found.as_ref().map(|(user, _)| user.id.to_string());
    door.throttle.tried(&login, &address, ask.now);
    let Some(fits) = door.hasher.verify(ask.form("kennwort"), found.as_ref().map(|(_, hash)| hash.as_str())) else {
        door.throttle.succeeded(&login, &address);
        let text = "Gerade melden sich sehr viele an. Bitte versuchen Sie es in ein paar Sekunden noch einmal.";
        return login_page(ask, StatusCode::SERVICE_UNAVAILABLE, &login, &next, Some(text.into()));
    };
    let Some((user, _)) = found.filter(|(user, _)| fits && !user.disabled) else {
        ask.app.audit.login_failed(ask.now, account.as_deref(), ask.peer);
        let text = "Name oder Kennwort stimmt nicht. Bitte prüfen Sie beides, auch Groß- und Kleinschreibung des Kennworts.";
        return login_page(ask, StatusCode::UNPROCESSABLE_ENTITY, &login, &next, Some(text.into()));
    };
    door.throttle.succeeded(&login, &address);
    open_session(ask, user.id, How::Password, &next, |_| Ok(()))
}

/// The one place that opens a session: whoever came with one loses it, for it might have been planted; the token is new,
/// the login stands in the audit log, and the answer leads to `next`. `also` runs in the same transaction (using up a
/// one-time link, noting the provider's identity).
pub(super) fn open_session(
    ask: &mut Ask,
    user: UserId,
    how: How,
    next: &str,
    also: impl FnOnce(&Transaction<'_>) -> Result<(), DbError> + Send + 'static,
) -> Reply {
    let (old, token, now, limits) = (ask.token.take(), Token::new(), ask.now, ask.app.settings.session);
    let new = NewSession { user, how, address: ask.address(), browser: ask.browser() };
    let fresh = token.clone();
    ask.app.db.write(move |tx| {
        if let Some(old) = old {
            session::session_close(tx, &old)?;
        }
        let id = session::session_open(tx, &new, &fresh, limits, now)?;
        let detail = json!({ "how": how.as_str(), "address": new.address, "session": id });
        audit_add(tx, now, &NewAudit { actor: user.to_string(), kind: "session.opened", object: format!("user:{user}"), detail })?;
        also(tx)
    })?;
    let mut response = see_other(next);
    set_cookie(ask, &mut response, token.as_str(), limits.age_millis / 1_000);
    Ok(response)
}

pub(super) fn logout(ask: &mut Ask) -> Reply {
    if let Some(token) = ask.token.take() {
        let (now, user) = (ask.now, ask.viewer()?.user.to_string());
        ask.app.db.write(move |tx| {
            session::session_close(tx, &token)?;
            session_noted(tx, now, &user, "session.closed")
        })?;
    }
    let mut response = see_other("/login?ok=signed-out");
    set_cookie(ask, &mut response, "", 0);
    Ok(response)
}

/// Who came and went, in the transaction in which he did.
fn session_noted(tx: &Transaction<'_>, now: Timestamp, user: &str, kind: &'static str) -> Result<(), DbError> {
    let new = NewAudit { actor: user.to_owned(), kind, object: format!("user:{user}"), detail: serde_json::json!({}) };
    audit_add(tx, now, &new).map(drop)
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

fn set_cookie(ask: &Ask, response: &mut Response, value: &str, max_age_secs: i64) {
    let secure = if ask.app.settings.secure { "; Secure" } else { "" };
    let cookie = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_secs}{secure}", ask.cookie_name());
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

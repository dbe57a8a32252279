//! Programs at the door: a request with an API token is answered as its owner would be, where the route says that tokens
//! are taken there, within what the token was given. No cookie is read then, so that nobody's browser can be made to lend
//! its session to a token's request or the other way round; and what goes wrong is said in JSON.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;

use super::problem::problem;
use super::{Ask, Machine, PageError, Reply, Route, Verb, note, pages};
use crate::access::{self, Verdict};
use crate::api_token::{Grant, PREFIX, api_token_find, api_token_seen};

/// The token of a request, where it brings one of ours. Another kind of bearer is the route's own affair (`/metrics`).
pub(super) fn given(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && token.starts_with(PREFIX)).then(|| token.to_owned())
}

pub(super) fn admit(ask: &mut Ask, route: Option<&'static Route>, secret: &str) -> Reply {
    if ask.cookie(ask.cookie_name()).is_some() {
        let text = "Entweder ein Zugriffsschlüssel oder ein Cookie, nicht beides.";
        return Ok(refused(StatusCode::BAD_REQUEST, "token_and_cookie", text));
    }
    let Some(route) = route else {
        return Ok(refused(StatusCode::NOT_FOUND, "not_found", "Unter dieser Adresse liegt nichts."));
    };
    let Some(machine) = route.machine else {
        return Ok(refused(StatusCode::FORBIDDEN, "not_for_tokens", "Diese Seite ist nur für Menschen; hier gilt kein Zugriffsschlüssel."));
    };
    let now = ask.now;
    let Some((token, owner, stale)) = ask.app.db.read(|c| api_token_find(c, secret, now))? else {
        let text = "Dieser Zugriffsschlüssel gilt nicht: falsch, abgelaufen oder widerrufen, oder das Konto ist gesperrt.";
        return Ok(refused(StatusCode::UNAUTHORIZED, "invalid_token", text));
    };
    // The owner's rights of today, whatever they were when the token was made.
    let bodies = ask.app.db.read(|c| access::bodies(c, &owner, now))?;
    ask.viewer = Some(access::viewer(&owner, &bodies));
    ask.route = Some(route);
    // The audit log says by which of his programs.
    ask.remark("api_token", token.id.to_string());
    if access::judge(route.who, Some(owner.role)) != Verdict::Enter {
        note::refused(ask, route, &PageError::Forbidden)?;
        return Ok(refused(StatusCode::FORBIDDEN, "forbidden", "Dafür reicht die Rolle des Kontos nicht."));
    }
    if let Machine::In(area) = machine {
        let grant = Grant { area, write: route.verb == Verb::Post };
        if !token.grants(grant) {
            note::refused(ask, route, &PageError::Forbidden)?;
            let text = format!("Dafür ist dieser Zugriffsschlüssel nicht gemacht; er bräuchte „{}“.", grant.key());
            return Ok(refused(StatusCode::FORBIDDEN, "insufficient_scope", &text));
        }
    }
    if stale {
        let id = token.id;
        ask.app.db.write(move |tx| api_token_seen(tx, id, now))?;
    }
    ask.bearer = Some(token);
    let response = (route.page)(ask)?;
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("text/html") {
        let text = "Hier gibt es nur eine Seite für Menschen. Hängen Sie an den Namen .csv an, wo es eine Tabelle gibt.";
        return Ok(refused(StatusCode::NOT_ACCEPTABLE, "no_machine_form", text));
    }
    Ok(response)
}

/// A program that brought nothing to know it by: it would only follow a redirect to a page for people.
pub(super) fn missing() -> Response {
    let text = "Hier braucht es einen Zugriffsschlüssel: Authorization: Bearer wbt_… (anlegen unter Mein Konto, Zugriff).";
    refused(StatusCode::UNAUTHORIZED, "no_token", text)
}

/// What went wrong, for a program: the page's status without its HTML.
pub(super) fn told(ask: &Ask, error: PageError) -> Response {
    let text = match &error {
        PageError::NotFound => "Das gibt es nicht, oder es gehört nicht zum Bereich des Kontos.".to_owned(),
        PageError::Refused(why) => why.clone(),
        _ => "Das ging nicht.".to_owned(),
    };
    let status = pages::error::respond(ask, error).status();
    refused(status, "refused", &text)
}

/// JSON, as programs read it.
pub(super) fn json_reply(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{value}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refused(status: StatusCode, code: &str, text: &str) -> Response {
    let mut response = problem(status, code, text);
    let challenge = match status {
        StatusCode::UNAUTHORIZED => "Bearer error=\"invalid_token\"",
        StatusCode::FORBIDDEN => "Bearer error=\"insufficient_scope\"",
        _ => return response,
    };
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

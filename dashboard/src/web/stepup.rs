//! Step-up: routes that publish, reveal, delete or grant want a proof of who one is that is not older than ten minutes.
//! Where it is older, the form that was sent is not lost: it comes back in hidden fields of a page that asks for the
//! proof, and that page sends both to the same address. The CSRF token binds them to the session, as with any form.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::frame::{Frame, Place};
use super::prove::{self, Brought, Judged, tell};
use super::{Ask, PageError, Pairs, plain};
use crate::proof::{Standing, standing};
use crate::session::session_proved;
use crate::show::{self, filters};
use crate::words::t;

/// The fields of the proof; no page has fields of these names.
const PASSWORD: &str = "nachweis-kennwort";
const CODE: &str = "nachweis-code";
const PASSKEY: &str = "nachweis-passkey";

#[derive(Template)]
#[template(path = "step_up.html")]
struct StepUpPage<'a> {
    frame: Frame,
    action: String,
    /// What was sent, to be sent again.
    fields: Vec<&'a (String, String)>,
    problem: Option<String>,
    has: Standing,
    passkey: Option<PasskeyAsk>,
}

/// What `passkey.js` needs to know.
pub(super) struct PasskeyAsk {
    pub(super) options: String,
    pub(super) host: String,
}

/// `None` where the form may be carried out: the proof is fresh, or came with it and was right.
pub(super) fn demand(ask: &mut Ask) -> Result<Option<Response>, PageError> {
    let Some(session) = ask.session.clone() else { return Err(PageError::Gone) };
    let (password, code, passkey) = (ask.form(PASSWORD).to_owned(), ask.form(CODE).to_owned(), ask.form(PASSKEY).to_owned());
    let sent = std::mem::take(&mut ask.form);
    ask.form = Pairs(sent.0.into_iter().filter(|(name, _)| ![PASSWORD, CODE, PASSKEY].contains(&name.as_str())).collect());
    if session.fresh(ask.now) {
        return Ok(None);
    }
    if ask.fragment {
        // A module's request: it sends the form again without the header, and the person sees the page below.
        return Ok(Some(plain(StatusCode::FORBIDDEN, t("Bitte bestätigen Sie zuerst, dass Sie es sind."))));
    }
    let judged = if !password.is_empty() {
        prove::password(ask, &session.user, &password)?
    } else if !(code.trim().is_empty() && passkey.is_empty()) {
        prove::second_factor(ask, &session.user, &Brought { passkey: &passkey, code: &code, recovery: "" }, &purpose(ask))?
    } else {
        return page(ask, StatusCode::OK, None).map(Some);
    };
    match judged {
        Judged::Yes(how) => {
            let (now, id, user, token) = (ask.now, session.id, session.user.id, ask.token.clone());
            ask.app.db.write(move |tx| {
                if let Some(token) = token {
                    session_proved(tx, &token, now)?;
                }
                tell(tx, now, user, "session.proved", json!({ "how": how.as_str(), "session": id }))
            })?;
            if let Some(session) = &mut ask.session {
                session.proved_at = now;
            }
            Ok(None)
        }
        Judged::No(text) => page(ask, StatusCode::UNPROCESSABLE_ENTITY, Some(text)).map(Some),
        Judged::Wait(text) => page(ask, StatusCode::TOO_MANY_REQUESTS, Some(text)).map(Some),
    }
}

fn page(ask: &Ask, status: StatusCode, problem: Option<String>) -> Result<Response, PageError> {
    let Some(session) = &ask.session else { return Err(PageError::Gone) };
    let has = ask.app.db.read(|c| standing(c, session.user.id))?;
    let query: Vec<(&str, &str)> = ask.query.0.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    ask.page_status(
        status,
        &StepUpPage {
            frame: ask.frame(t("Bitte bestätigen"), Place::Elsewhere),
            action: show::link(&ask.path, &query),
            fields: ask.form.0.iter().filter(|(name, _)| name != "csrf").collect(),
            problem,
            has,
            passkey: if has.passkeys > 0 { passkey_ask(ask, &purpose(ask)) } else { None },
        },
    )
}

fn purpose(ask: &Ask) -> String {
    ask.session.as_ref().map(|session| format!("session:{}", session.id)).unwrap_or_default()
}

/// Begins a proof by passkey; `None` where this address has none.
pub(super) fn passkey_ask(ask: &Ask, purpose: &str) -> Option<PasskeyAsk> {
    let relying = ask.app.settings.relying.as_ref()?;
    let options = ask.app.door.ceremonies.prove_begin(relying, purpose, ask.now)?;
    Some(PasskeyAsk { options, host: relying.host.clone() })
}

//! What programs ask: who they are, cases and alerts (`incidents`), and what they do to them (`acts`).

pub(in crate::web) mod acts;
pub(in crate::web) mod incidents;

use axum::http::StatusCode;
use serde_json::json;

use crate::user;
use crate::web::bearer::json_reply;
use crate::web::{Ask, PageError, Reply};

/// Who am I, and for how long: the first thing to ask when a program's access does not work.
pub(in crate::web) fn me(ask: &mut Ask) -> Reply {
    let viewer = ask.viewer()?.clone();
    let user = ask.app.db.read(|c| user::user_get(c, viewer.user))?.ok_or(PageError::Gone)?;
    let token = ask.bearer.as_ref().map(|token| {
        let grants: Vec<String> = token.grants.iter().map(|grant| grant.key()).collect();
        json!({ "name": token.name, "scope": grants, "until": token.until.rfc3339() })
    });
    let me = json!({ "login": user.login, "name": user.name, "role": user.role.as_str(), "body": user.body, "token": token });
    Ok(json_reply(StatusCode::OK, &me))
}

//! Zyxel's ZyWALL, USG and USG FLEX: `src="ip:port" dst="ip:port" msg="…" note="…" user="…" devID="…" cat="…"`, as their user's guides have it.
//! CEF, which newer ones can be told to send, is read by its own decoder. What ECS has no name for stands below `zyxel`.

use memchr::memmem;

use super::Look;
use super::draft::Draft;
use super::part::between;
use super::walk::{Dialect, ESCAPABLE, Kept, Put, says, verdict_of};
use crate::fields;

const MESSAGE: usize = 0;
const NOTE: usize = 1;
const CATEGORY: usize = 2;
const ACTION: usize = 3;

pub(super) const DIALECT: Dialect = Dialect {
    prefix: "zyxel",
    nothing: &["unknown"],
    escapable: ESCAPABLE,
    runs_on: false,
    keys: &[
        ("action", Put::Both(ACTION)),
        ("cat", Put::Both(CATEGORY)),
        ("dst", Put::Call(|text, draft| draft.destination_endpoint(bare(text)))),
        ("duration", Put::Seconds),
        ("mac", Put::Ecs(fields::SOURCE_MAC)),
        ("msg", Put::Both(MESSAGE)),
        ("note", Put::Both(NOTE)),
        ("proto", Put::Ecs(fields::NETWORK_PROTOCOL)),
        ("protoID", Put::Transport),
        ("rcvd", Put::Ecs(fields::DESTINATION_BYTES)),
        ("sent", Put::Ecs(fields::SOURCE_BYTES)),
        ("src", Put::Call(|text, draft| draft.source_endpoint(bare(text)))),
        ("user", Put::Ecs(fields::USER_NAME)),
    ],
};

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.is_of(&["zyxel", "zywall", "usg"]) && look.text.starts_with("src=\"") && memmem::find(look.text.as_bytes(), b" cat=\"").is_some()
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    if memmem::find(look.text.as_bytes(), b" msg=\"").is_none() {
        return false;
    }
    draft.product("zyxel", "zyxel", "Zyxel", "");
    let kept = DIALECT.walk(look.text, draft);
    event(&kept, draft);
    true
}

/// `192.0.2.1:0`: what has no port is written with 0.
fn bare(endpoint: &str) -> &str {
    endpoint.strip_suffix(":0").unwrap_or(endpoint)
}

fn event(kept: &Kept<'_>, draft: &mut Draft<'_>) {
    let (message, note, category) = (kept.get(MESSAGE), kept.get(NOTE), kept.get(CATEGORY));
    match category {
        "Traffic Log" => {
            draft.name(fields::EVENT_TYPE, "end");
            draft.event("network", "connection_end", "success");
        }
        // `Administrator anna from https has logged in Device`, `Failed login attempt to Device from ssh (…)`.
        "User" => {
            if let (false, Some((user, _))) = (draft.has(fields::USER_NAME), between(message, "Administrator ", " from ")) {
                draft.str(fields::USER_NAME, user.split('(').next().unwrap_or(user));
            }
            draft.once(fields::USER_NAME, note.strip_prefix("Account: ").unwrap_or_default());
            if says(message, &["failed login", "login failed", "locked out"]) {
                draft.event("authentication", "login", "failure");
            } else if says(message, &["logged in"]) {
                draft.event("authentication", "login", "success");
            } else if says(message, &["logged out"]) {
                draft.event("authentication", "logout", "success");
            } else {
                draft.name(fields::EVENT_CATEGORY, "authentication");
            }
        }
        _ => {
            // `ACCESS BLOCK`, `ACCESS FORWARD`: the note says what the policy did, the action in newer ones.
            let noted = note.strip_prefix("ACCESS ").unwrap_or_default();
            match verdict_of(kept.get(ACTION)).or_else(|| verdict_of(noted)) {
                Some(allowed) => draft.verdict(Some(allowed)),
                None => draft.name(fields::EVENT_CATEGORY, "network"),
            }
        }
    }
}

//! Keycloak's login events: `WARN  [org.keycloak.events] (executor-thread-1) type="LOGIN_ERROR", realmId="…", ipAddress="192.0.2.1", error="…", username="…"`.

use super::Look;
use super::draft::Draft;
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    // A container's name is the operator's, but a Java server's mostly says so.
    look.is_of(&["keycloak", "kc", "java", "wildfly", "jboss", "docker"])
        && look.text.find(".events]").zip(look.text.find("type=")).is_some_and(|(logger, pairs)| logger < pairs)
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some(at) = look.text.find("type=") else { return false };
    let Some(pairs) = look.text.get(at..) else { return false };
    draft.name(fields::EVENT_MODULE, "keycloak");
    // `2026-03-14 08:00:00,123 WARN  [org.keycloak.events] …`
    let level =
        look.text.get(..at).and_then(|before| before.split_once(" [")).and_then(|(before, _)| before.split_ascii_whitespace().next_back());
    if !draft.has(fields::LOG_LEVEL) {
        match level {
            Some("WARN") => draft.name(fields::LOG_LEVEL, "warning"),
            Some("DEBUG") => draft.name(fields::LOG_LEVEL, "debug"),
            Some("ERROR") => draft.name(fields::LOG_LEVEL, "error"),
            Some("INFO") => draft.name(fields::LOG_LEVEL, "informational"),
            _ => {}
        }
    }
    let mut kind = "";
    for pair in pairs.split(", ") {
        let Some((key, value)) = pair.split_once('=') else { continue };
        let value = value.trim_matches('"');
        if value == "null" {
            continue;
        }
        // The first of a name counts: a later one stands in what somebody typed as his own name.
        match key {
            "type" if kind.is_empty() => kind = value,
            "ipAddress" if !draft.has(fields::SOURCE_IP) && !draft.has(fields::SOURCE_DOMAIN) => draft.source(value),
            "username" if !draft.has(fields::USER_NAME) => draft.str(fields::USER_NAME, value),
            "userId" if !draft.has(fields::USER_ID) => draft.str(fields::USER_ID, value),
            "error" if !draft.has(fields::EVENT_REASON) => draft.str(fields::EVENT_REASON, value),
            "realmId" | "realmName" | "clientId" | "auth_method" | "redirect_uri" => draft.vendor("keycloak", key, value),
            _ => {}
        }
    }
    let outcome = if kind.ends_with("_ERROR") { "failure" } else { "success" };
    match kind {
        "LOGIN" | "LOGIN_ERROR" => draft.event("authentication", "login", outcome),
        "LOGOUT" | "LOGOUT_ERROR" => draft.event("authentication", "logout", outcome),
        _ => {
            draft.name(fields::EVENT_CATEGORY, "iam");
            draft.name(fields::EVENT_OUTCOME, outcome);
        }
    }
    draft.vendor("keycloak", "type", kind);
    true
}

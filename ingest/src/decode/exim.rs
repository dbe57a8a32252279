//! Exim's main and reject log: `H=name [address]:port … rejected RCPT <a>: why`, `<=`, `=>`, and failed logins.

use super::Look;
use super::draft::Draft;
use super::part::between;
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.app == "exim"
        || look.app == "exim4"
        || (look.app.is_empty() && (look.text.contains("H=") || look.text.contains(" authenticator failed for ")))
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let text = look.text;
    if let Some((method, rest)) = text.split_once(" authenticator failed for ") {
        draft.name(fields::EVENT_MODULE, "exim");
        draft.event("authentication", "smtp_login", "failure");
        draft.vendor("exim", "authenticator", method.rsplit(' ').next().unwrap_or_default());
        put_host(rest, draft);
        if let Some((_, user)) = rest.split_once("set_id=") {
            draft.str(fields::USER_NAME, user.split([' ', ')', ',']).next().unwrap_or_default());
        }
        if let Some((_, reason)) = rest.split_once("]: ").or_else(|| rest.split_once(": ")) {
            draft.str(fields::EVENT_REASON, reason.split(" (set_id=").next().unwrap_or(reason));
        }
        return true;
    }
    let host = text.strip_prefix("H=").or_else(|| text.split_once(" H=").map(|(_, rest)| rest));
    let Some(host) = host.filter(|host| host.contains('[')) else { return false };
    draft.name(fields::EVENT_MODULE, "exim");
    draft.name(fields::EVENT_CATEGORY, "email");
    put_host(host, draft);
    if let Some((from, _)) = between(text, " F=<", ">") {
        draft.str(fields::EMAIL_FROM, from);
    }
    if let Some((user, _)) = between(text, " A=", " ") {
        // `A=dovecot_login:anna@example.net`
        draft.str(fields::USER_NAME, user.split_once(':').map_or(user, |(_, user)| user));
    }
    if let Some((before, after)) = text.split_once("rejected ") {
        let temporary = before.ends_with("temporarily ");
        draft.name(fields::EVENT_ACTION, if temporary { "smtp_defer" } else { "smtp_reject" });
        draft.name(fields::EVENT_TYPE, "denied");
        draft.name(fields::EVENT_OUTCOME, "failure");
        if let Some((to, reason)) = after.strip_prefix("RCPT <").and_then(|rest| rest.split_once(">")) {
            draft.str(fields::EMAIL_TO, to);
            draft.str(fields::EVENT_REASON, reason.trim_start_matches([':', ' ']).trim_matches('"'));
        } else if let Some((_, reason)) = after.split_once(": ") {
            draft.str(fields::EVENT_REASON, reason.trim_matches('"'));
        }
    } else if let Some((_, rest)) = text.split_once("sender verify fail for <") {
        draft.name(fields::EVENT_ACTION, "smtp_sender_verify");
        draft.name(fields::EVENT_OUTCOME, "failure");
        let (sender, reason) = rest.split_once('>').unwrap_or((rest, ""));
        draft.str(fields::EMAIL_FROM, sender);
        draft.str(fields::EVENT_REASON, reason.trim_start_matches([':', ' ']));
    } else if text.contains(" <= ") {
        draft.name(fields::EVENT_ACTION, "smtp_receive");
        if let Some((from, _)) = between(text, " <= ", " ") {
            draft.str(fields::EMAIL_FROM, from);
        }
    } else if text.contains(" => ") {
        draft.name(fields::EVENT_ACTION, "mail_delivery");
        draft.name(fields::EVENT_OUTCOME, "success");
        if let Some((to, _)) = between(text, " => ", " ") {
            draft.str(fields::EMAIL_TO, to);
        }
    }
    true
}

/// `name (helo) [address]:port`, each but the address optional.
fn put_host(text: &str, draft: &mut Draft<'_>) {
    let Some((before, rest)) = text.split_once('[') else { return };
    let (address, rest) = rest.split_once(']').unwrap_or((rest, ""));
    draft.source(address);
    let port = rest.strip_prefix(':').map_or("", |rest| rest.split(|char: char| !char.is_ascii_digit()).next().unwrap_or_default());
    draft.optional(fields::SOURCE_PORT, port);
    let name = before.split(' ').next().unwrap_or_default();
    if !name.is_empty() && !name.starts_with('(') {
        draft.str(fields::SOURCE_DOMAIN, name);
    }
    if let Some((helo, _)) = between(before, "(", ")") {
        draft.vendor("exim", "helo", helo);
    }
}

//! Exim's main and reject log: `H=name [address]:port … rejected RCPT <a>: why`, `<=`, `=>`, and failed logins.

use super::Look;
use super::draft::Draft;
use super::part::between;
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.app == "exim"
        || look.app == "exim4"
        || (look.app.is_empty()
            && (look.text.contains("H=") || look.text.contains(" authenticator failed for ") || message_id(look.text).is_some()))
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
    if let Some((id, rest)) = message_id(text)
        && arrow(id, rest, draft)
    {
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

/// `1tXyZ1-000001-Ab` or since 4.97 `1tXyZ1-00000000001-Abcd` and what follows it, behind the log's own time or not.
fn message_id(text: &str) -> Option<(&str, &str)> {
    let text = match text.split_at_checked(STAMP_BYTES) {
        Some((stamp, rest)) if stamp.starts_with("20") && stamp.ends_with(' ') => rest,
        _ => text,
    };
    // `[1234] ` with `log_selector = +pid`
    let text = text.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(text, |(_, rest)| rest);
    let (id, rest) = text.split_once(' ')?;
    let mut parts = id.split('-');
    let lengths = [parts.next()?.len(), parts.next()?.len(), parts.next()?.len()];
    let sound = matches!(lengths, [6, 6, 2] | [6, 11, 4]) && parts.next().is_none();
    (sound && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')).then_some((id, rest))
}

/// `2026-03-14 08:00:00 `
const STAMP_BYTES: usize = 20;

/// The main log's arrows: `<=` arrival, `=>` delivery, `->` another address of it, `>>` cutthrough, `*>` suppressed, `**` bounced,
/// `==` deferred, `Completed`.
fn arrow(id: &str, text: &str, draft: &mut Draft<'_>) -> bool {
    let (mark, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (action, outcome) = match mark {
        "<=" => ("smtp_receive", ""),
        "=>" | "->" | ">>" => ("mail_delivery", "success"),
        "*>" => ("mail_suppressed", ""),
        "**" => ("mail_delivery", "failure"),
        "==" => ("mail_deferred", "failure"),
        "Completed" => ("mail_removed", ""),
        _ => return false,
    };
    draft.name(fields::EVENT_MODULE, "exim");
    draft.event("email", action, outcome);
    draft.vendor("exim", "message_id", id);
    let address = rest.split(' ').next().unwrap_or_default();
    // `anna <anna@example.net>` names the mailbox and the address.
    let whole = rest
        .split_once(" <")
        .filter(|(before, _)| *before == address)
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or(address, |(whole, _)| whole);
    match mark {
        "<=" => draft.str(fields::EMAIL_FROM, if whole == "<>" { "" } else { whole }),
        _ => draft.str(fields::EMAIL_TO, whole.trim_end_matches(':')),
    }
    let value = |name: &str| rest.split_once(name).and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default();
    if let Some((_, host)) = rest.split_once(" H=") {
        if mark == "<=" {
            put_host(host, draft);
        } else if let Some((name, behind)) = host.split_once(" [") {
            let (address, behind) = behind.split_once(']').unwrap_or((behind, ""));
            draft.str(fields::DESTINATION_DOMAIN, name.split(' ').next().unwrap_or_default());
            draft.optional(fields::DESTINATION_IP, address);
            draft.optional(
                fields::DESTINATION_PORT,
                behind.strip_prefix(':').map_or("", |port| port.split([' ', ':']).next().unwrap_or_default()),
            );
        }
    }
    let login = value(" A=");
    draft.str(fields::USER_NAME, login.split_once(':').map_or("", |(_, user)| user));
    if !login.is_empty() && mark == "<=" {
        draft.vendor("exim", "authenticator", login.split(':').next().unwrap_or_default());
    }
    // U= is a local user where the mail came without a connection.
    if mark == "<=" && login.is_empty() && !rest.contains(" H=") {
        draft.str(fields::USER_NAME, value(" U="));
    }
    draft.str(fields::EMAIL_MESSAGE_ID, value(" id="));
    draft.optional(fields::NETWORK_BYTES, value(" S="));
    draft.vendor("exim", "protocol", value(" P="));
    draft.vendor("exim", "tls", value(" X="));
    if matches!(mark, "**" | "==")
        && let Some((_, reason)) = rest.split_once(": ")
    {
        draft.str(fields::EVENT_REASON, reason);
    } else if let Some((reply, _)) = between(rest, " C=\"", "\"") {
        draft.str(fields::EVENT_REASON, reply);
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

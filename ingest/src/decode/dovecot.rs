//! Dovecot: logins to IMAP, POP3, submission and ManageSieve, and what its authentication workers say
//! (`imap-login: Disconnected (auth failed, 1 attempts): user=<…>, rip=…`).

use super::Look;
use super::draft::Draft;
use super::part::between;
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.app == "dovecot" || matches!(look.app, "auth" | "imap-login" | "pop3-login") && look.text.contains("rip=")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    draft.name(fields::EVENT_MODULE, "dovecot");
    let Some((service, text)) = look.text.split_once(": ") else { return true };
    // Where the service is the program, the text is all its own.
    let (service, text) = if look.app == "dovecot" { (service, text) } else { (look.app, look.text) };
    let text = ["Info: ", "Error: ", "Warning: ", "Fatal: ", "Panic: ", "Debug: "]
        .iter()
        .fold(text, |text, level| text.strip_prefix(level).unwrap_or(text));
    let about = service;
    let service = service.split(['(', '[', '<']).next().unwrap_or(service);
    draft.vendor("dovecot", "service", service);
    if matches!(service, "imap" | "pop3" | "lmtp" | "lda" | "managesieve" | "submission") && about.len() > service.len() {
        return mailbox(about, text, draft);
    }
    if let Some(protocol) = service.strip_suffix("-login") {
        draft.str(fields::NETWORK_PROTOCOL, protocol);
        return login(text, draft);
    }
    worker(text, draft);
    true
}

fn login(text: &str, draft: &mut Draft<'_>) -> bool {
    let (what, about) = text.find(": user=<").and_then(|at| text.split_at_checked(at)).unwrap_or_else(|| match text.find("rip=") {
        Some(at) => text.split_at_checked(at).unwrap_or((text, "")),
        None => (text, ""),
    });
    let bare = what.trim_end_matches([':', ' ', ',']);
    // 2.2 and 2.3 say `Login`, 2.4 `Logged in`; `Login aborted: …` is the opposite.
    if matches!(bare, "Login" | "Logged in") {
        draft.event("authentication", "mail_login", "success");
    } else if what.contains("auth failed")
        || what.contains("auth attempts") && !what.contains("no auth attempts")
        || FAILURES.iter().any(|failure| what.contains(failure))
    {
        draft.event("authentication", "mail_login", "failure");
        draft.str(fields::EVENT_REASON, what.trim_end_matches([':', ' ', ',']));
    } else {
        draft.event("network", "mail_disconnect", "");
        draft.str(fields::EVENT_REASON, what.trim_end_matches([':', ' ', ',']));
    }
    if let Some((user, _)) = between(about, "user=<", ">") {
        draft.str(fields::USER_NAME, user);
    }
    put_peers(about, draft);
    if let Some((method, _)) = between(about, "method=", ",") {
        draft.vendor("dovecot", "method", method);
    }
    true
}

/// Why a login ended without one, in 2.2 to 2.4 (`Login aborted: Logged out (auth failed, 1 attempts in 2 secs) (auth_failed)`).
const FAILURES: [&str; 5] =
    ["(auth_failed)", "(user_disabled)", "(authorization_failed)", "(password_expired)", "(cleartext_auth_disabled)"];

/// `imap(anna)<1234><session>: Disconnected: Logged out in=1 out=2`, `lmtp(anna@example.net)<1><x>: msgid=<a>: saved mail to INBOX`
fn mailbox(about: &str, text: &str, draft: &mut Draft<'_>) -> bool {
    if let Some((user, rest)) = between(about, "(", ")") {
        // lmtp(1234, anna@example.net) of 2.2
        let user = user.rsplit_once(", ").map_or(user, |(_, user)| user);
        if !user.bytes().all(|byte| byte.is_ascii_digit()) {
            draft.str(fields::USER_NAME, user);
        }
        if let Some((pid, _)) = between(rest, "<", ">").filter(|(pid, _)| super::part::is_number(pid) && !draft.has(fields::PROCESS_PID)) {
            draft.number(fields::PROCESS_PID, pid);
        }
    }
    let action = match text {
        _ if text.starts_with("Disconnected") || text.starts_with("Logged out") || text.starts_with("Connection closed") => "mail_logout",
        _ if text.contains("saved mail to ") || text.contains("stored mail into mailbox ") => "mail_delivery",
        _ if text.contains("marked message to be discarded") || text.contains("discarded") => "mail_discarded",
        _ if text.starts_with("delete:") || text.starts_with("expunge:") => "mail_deleted",
        _ => "",
    };
    draft.name(fields::EVENT_CATEGORY, "email");
    if !action.is_empty() {
        draft.name(fields::EVENT_ACTION, action);
    }
    if action == "mail_delivery" {
        draft.name(fields::EVENT_OUTCOME, "success");
    }
    if let Some((id, _)) = between(text, "msgid=<", ">") {
        draft.str(fields::EMAIL_MESSAGE_ID, id);
    }
    draft.str(fields::EVENT_REASON, text);
    true
}

fn put_peers(about: &str, draft: &mut Draft<'_>) {
    let value = |name: &str| {
        // The last one: the user's name stands before it and may hold anything.
        let rest = about.rsplit_once(name)?.1;
        rest.split([',', ' ', '>']).next().filter(|value| !value.is_empty())
    };
    if let Some(address) = value("rip=") {
        draft.source(address);
    }
    if let Some(address) = value("lip=").and_then(super::draft::address) {
        draft.put_ip(fields::DESTINATION_IP, address);
    }
    if let Some(port) = value("rport=") {
        draft.optional(fields::SOURCE_PORT, port);
    }
    if let Some(port) = value("lport=") {
        draft.optional(fields::DESTINATION_PORT, port);
    }
}

/// `pam(anna,192.0.2.1,<session>): unknown user`, perhaps behind `conn unix:auth-worker (…): auth-worker<4>: `.
fn worker(text: &str, draft: &mut Draft<'_>) {
    const STORES: [&str; 8] = ["pam", "passwd-file", "ldap", "sql", "passwd", "shadow", "lua", "static"];
    let found = STORES.iter().find_map(|store| {
        let at = text.match_indices(store).map(|(at, _)| at).find(|at| {
            let before = at.checked_sub(1).and_then(|before| text.as_bytes().get(before));
            before.is_none_or(|byte| *byte == b' ') && text.as_bytes().get(at + store.len()) == Some(&b'(')
        })?;
        text.get(at + store.len() + 1..)
    });
    let Some((who, what)) = found.and_then(|rest| rest.split_once("): ")) else { return };
    let (user, from) = who.split_once(',').unwrap_or((who, ""));
    let failed =
        ["unknown user", "failed", "mismatch", "Password mismatch", "no such user", "Invalid"].iter().any(|word| what.contains(word));
    draft.event("authentication", "mail_login", if failed { "failure" } else { "unknown" });
    draft.str(fields::USER_NAME, user);
    let from = from.split(',').next().unwrap_or_default();
    if !from.is_empty() {
        draft.source(from);
    }
    draft.str(fields::EVENT_REASON, what);
}

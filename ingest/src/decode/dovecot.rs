//! Dovecot: logins to IMAP, POP3, submission and ManageSieve, and what its authentication workers say
//! (`imap-login: Disconnected (auth failed, 1 attempts): user=<…>, rip=…`).

use super::Look;
use super::draft::Draft;
use super::part::between;
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.app == "dovecot" || look.app == "auth" && look.text.contains("rip=")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    draft.name(fields::EVENT_MODULE, "dovecot");
    let Some((service, text)) = look.text.split_once(": ") else { return true };
    let text = ["Info: ", "Error: ", "Warning: "].iter().fold(text, |text, level| text.strip_prefix(level).unwrap_or(text));
    let service = service.split(['(', '[', '<']).next().unwrap_or(service);
    draft.vendor("dovecot", "service", service);
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
    if what.starts_with("Login") {
        draft.event("authentication", "mail_login", "success");
    } else if what.contains("auth failed") || what.starts_with("Aborted login (auth failed") {
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

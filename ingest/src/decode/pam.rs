//! PAM: `pam_unix(sshd:auth): …` of any program, and the old `sshd(pam_unix)[…]:` tags. An attempt that sshd
//! reports as `ssh_login` is reported here a second time, so these have actions of their own and a rule that
//! counts `ssh_login` counts each attempt once.

use super::Look;
use super::draft::Draft;
use super::kv;
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.text.starts_with("pam_")
        || look.tag.ends_with("(pam_unix)")
        || look.tag.ends_with("(pam_google_authenticator)")
        || look.text.starts_with("PAM ")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let (service, text) = match look.text.strip_prefix("pam_") {
        Some(rest) => {
            let Some((head, text)) = rest.split_once("): ") else { return false };
            let service = head.split_once('(').map_or("", |(_, inner)| inner);
            (service.split_once(':').map_or(service, |(service, _)| service), text)
        }
        None => (look.app, look.text),
    };
    let Some(read) = read(text) else { return false };
    draft.name(fields::EVENT_MODULE, if service.starts_with("sshd") { "sshd" } else { "pam" });
    draft.vendor("pam", "service", service);
    draft.name(fields::EVENT_CATEGORY, read.category);
    draft.name(fields::EVENT_ACTION, read.action);
    draft.name(fields::EVENT_OUTCOME, read.outcome);
    draft.str(fields::EVENT_REASON, read.reason);
    draft.str(fields::USER_NAME, read.user);
    draft.str(fields::USER_ID, read.user_id);
    draft.str(fields::SOURCE_USER_NAME, read.by);
    draft.source(read.from);
    if let Some(times) = read.repeated {
        draft.vendor_int("pam", "repeated", times);
    }
    true
}

#[derive(Default)]
struct Read<'t> {
    category: &'static str,
    action: &'static str,
    outcome: &'static str,
    reason: &'t str,
    user: &'t str,
    user_id: &'t str,
    by: &'t str,
    from: &'t str,
    repeated: Option<i64>,
}

fn read(text: &str) -> Option<Read<'_>> {
    let authentication = Read { category: "authentication", action: "pam_authentication", outcome: "failure", ..Read::default() };
    if let Some(details) = text.strip_prefix("authentication failure; ") {
        return Some(with_details(authentication, details));
    }
    if let Some((count, rest)) = text.strip_prefix("PAM ").and_then(|rest| rest.split_once(" more authentication failure")) {
        let details = rest.split_once("; ").map_or("", |(_, details)| details);
        return Some(with_details(Read { repeated: count.parse().ok(), ..authentication }, details));
    }
    if text == "check pass; user unknown" {
        return Some(Read { action: "pam_user_unknown", reason: text, ..authentication });
    }
    if let Some(rest) = text.strip_prefix("session opened for user ") {
        let (user, by) = rest.split_once(" by ").unwrap_or((rest, ""));
        let (user, user_id) = name_and_id(user);
        let session = Read { category: "session", action: "session_opened", outcome: "success", ..Read::default() };
        return Some(Read { user, user_id, by: name_and_id(by).0, ..session });
    }
    if let Some(user) = text.strip_prefix("session closed for user ") {
        return Some(Read { category: "session", action: "session_closed", outcome: "success", user, ..Read::default() });
    }
    if let Some(user) = text.strip_prefix("password changed for ") {
        return Some(Read { category: "iam", action: "password_changed", outcome: "success", user, ..Read::default() });
    }
    if let Some(rest) = text.strip_prefix("account ").filter(|rest| rest.ends_with("has expired (account expired)")) {
        let user = rest.split(' ').next().unwrap_or_default();
        return Some(Read { reason: "account expired", user, ..authentication });
    }
    other_modules(text, authentication)
}

/// What pam_sss, pam_faillock, pam_tally2, pam_access, pam_succeed_if, pam_winbind, pam_krb5, pam_listfile and the one-time
/// code's module say.
fn other_modules<'t>(text: &'t str, failed: Read<'t>) -> Option<Read<'t>> {
    if let Some(details) = text.strip_prefix("authentication success; ") {
        return Some(with_details(Read { outcome: "success", ..failed }, details));
    }
    // `received for user anna: 7 (Authentication failure)`, `Access denied for user anna: 6 (Permission denied)`
    if let Some((user, why)) = text.strip_prefix("received for user ").and_then(|rest| rest.rsplit_once(": ")) {
        return Some(Read { user, reason: why, ..failed });
    }
    if let Some((user, why)) = text.strip_prefix("Access denied for user ").and_then(|rest| rest.rsplit_once(": ")) {
        return Some(Read { action: "pam_access_denied", user, reason: why, ..failed });
    }
    // access denied for user `anna' from `192.0.2.1'
    if let Some(rest) = text.strip_prefix("access denied for user ") {
        let (user, from) = rest.rsplit_once(" from ").unwrap_or((rest, ""));
        let bare = |text: &'t str| text.trim_matches(['`', '\'']);
        return Some(Read { action: "pam_access_denied", user: bare(user), from: bare(from), ..failed });
    }
    if let Some(rest) = text.strip_prefix("Consecutive login failures for user ") {
        let user = rest.strip_suffix(" account temporarily locked").unwrap_or(rest);
        return Some(Read { action: "pam_account_locked", user, reason: "account temporarily locked", ..failed });
    }
    // user anna (1000) tally 4, deny 3
    if let Some((user, _)) = text.strip_prefix("user ").filter(|rest| rest.contains(" tally ")).and_then(|rest| rest.split_once(" (")) {
        return Some(Read { action: "pam_account_locked", user, reason: text, ..failed });
    }
    if let Some((requirement, user)) = text.strip_prefix("requirement ").and_then(|rest| rest.split_once(" not met by user ")) {
        return Some(Read { action: "pam_requirement_not_met", user: user.trim_matches('"'), reason: requirement, ..failed });
    }
    if let Some((user, why)) = text.strip_prefix("user '").and_then(|rest| rest.rsplit_once("' ")) {
        let outcome = if why.starts_with("granted access") || why.starts_with("OK") { "success" } else { "failure" };
        return (why.contains("access") || why.contains("OK")).then_some(Read {
            outcome,
            user,
            reason: if outcome == "success" { "" } else { why },
            ..failed
        });
    }
    if let Some((user, _)) = text.strip_prefix("user ").and_then(|rest| rest.split_once(" authenticated as ")) {
        return Some(Read { outcome: "success", user, ..failed });
    }
    if let Some((user, _)) = text.strip_prefix("Refused user ").and_then(|rest| rest.rsplit_once(" for service ")) {
        return Some(Read { action: "pam_access_denied", user, reason: text, ..failed });
    }
    if let Some(user) = text.strip_prefix("Accepted google_authenticator for ") {
        return Some(Read { action: "pam_second_factor", outcome: "success", user, ..failed });
    }
    if let Some(user) = text.strip_prefix("Invalid verification code for ") {
        return Some(Read { action: "pam_second_factor", user, ..failed });
    }
    if let Some(rest) = text.strip_prefix("auth could not identify password for [") {
        return Some(Read { user: rest.trim_end_matches(']'), reason: "no password given", ..failed });
    }
    if let Some(rest) = text.strip_prefix("bad username [") {
        return Some(Read { action: "pam_user_unknown", user: rest.trim_end_matches(']'), ..failed });
    }
    let expired = text.strip_prefix("expired password for user ").or_else(|| text.strip_prefix("password for user "))?;
    let (user, why) = expired.split_once(' ')?;
    let expiring = text.starts_with("password for user ");
    Some(Read { action: "pam_password_expired", outcome: if expiring { "unknown" } else { "failure" }, user, reason: why, ..failed })
}

fn with_details<'t>(mut read: Read<'t>, details: &'t str) -> Read<'t> {
    for pair in kv::pairs(details) {
        match pair.key {
            "rhost" => read.from = pair.value,
            // PAM writes it last, and who logs in has typed it: what looks like a key behind it is part of the name.
            "user" => {
                read.user = pair.value;
                break;
            }
            "ruser" => read.by = pair.value,
            _ => {}
        }
    }
    read
}

/// `root(uid=0)` gives the name and the number; `(uid=0)` only the number.
fn name_and_id(text: &str) -> (&str, &str) {
    let (name, id) = text.split_once("(uid=").unwrap_or((text, ""));
    (name.trim_end(), id.strip_suffix(')').unwrap_or(""))
}

//! PAM: `pam_unix(sshd:auth): …` of any program, and the old `sshd(pam_unix)[…]:` tags. An attempt that sshd
//! reports as `ssh_login` is reported here a second time, so these have actions of their own and a rule that
//! counts `ssh_login` counts each attempt once.

use super::Look;
use super::draft::Draft;
use super::kv;
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.text.starts_with("pam_") || look.tag.ends_with("(pam_unix)") || look.text.starts_with("PAM ")
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
    None
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

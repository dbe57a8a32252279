//! sudo and su: who did what as whom. sudo's PAM lines are `pam`'s.

use super::Look;
use super::draft::Draft;
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    matches!(look.app, "sudo" | "su")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    if look.app == "su" { su(look.text, draft) } else { sudo(look.text, draft) }
}

/// `anna : [why not ;] TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/id`. The command is last and may
/// hold anything, so the fields before it are read from the left.
fn sudo(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((user, rest)) = text.split_once(" : ") else { return false };
    let Some((before, command)) = rest.split_once("COMMAND=") else { return false };
    let (mut reason, mut target) = ("", "");
    for part in before.split(" ; ") {
        match part.trim_end_matches([' ', ';']).split_once('=') {
            Some(("USER", name)) => target = name,
            Some(_) => {}
            None if reason.is_empty() => reason = part.trim_end_matches([' ', ';']),
            None => {}
        }
    }
    draft.name(fields::EVENT_MODULE, "sudo");
    draft.name(fields::EVENT_CATEGORY, "process");
    draft.name(fields::EVENT_ACTION, "sudo_command");
    // A word before TTY= is always a refusal: "3 incorrect password attempts", "user NOT in sudoers".
    draft.name(fields::EVENT_OUTCOME, if reason.is_empty() { "success" } else { "failure" });
    draft.str(fields::EVENT_REASON, reason);
    draft.str(fields::USER_NAME, user.trim());
    draft.str(fields::USER_EFFECTIVE_NAME, target);
    draft.str(fields::USER_TARGET_NAME, target);
    draft.str(fields::PROCESS_COMMAND_LINE, command);
    true
}

/// `(to root) anna on pts/0`, `FAILED SU (to root) anna on pts/0`, `Successful su for root by anna`.
fn su(text: &str, draft: &mut Draft<'_>) -> bool {
    let failed = text.starts_with("FAILED");
    let read = match text.split_once("(to ") {
        Some((_, rest)) => rest.split_once(") ").map(|(target, rest)| (target, rest.split_once(" on ").map_or(rest, |(user, _)| user))),
        None => text.split_once(" su for ").and_then(|(_, rest)| rest.split_once(" by ")),
    };
    let Some((target, user)) = read else { return false };
    draft.name(fields::EVENT_MODULE, "su");
    draft.name(fields::EVENT_CATEGORY, "authentication");
    draft.name(fields::EVENT_ACTION, "su");
    draft.name(fields::EVENT_OUTCOME, if failed { "failure" } else { "success" });
    draft.str(fields::USER_NAME, user);
    draft.str(fields::USER_EFFECTIVE_NAME, target);
    draft.str(fields::USER_TARGET_NAME, target);
    true
}

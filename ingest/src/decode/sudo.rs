//! sudo, su and doas: who did what as whom; and login at the console. Their PAM lines are `pam`'s.

use super::Look;
use super::draft::Draft;
use super::part::between;
use crate::event::Defect;
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    matches!(look.app, "sudo" | "su" | "doas" | "login")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    match look.app {
        "su" => su(look.text, draft),
        "doas" => doas(look.text, draft),
        "login" => login(look.text, draft),
        _ => sudo(look.text, draft),
    }
}

/// `anna : [why not ;] TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/id`. The command is last and may
/// hold anything, so it begins at the first `COMMAND=`. The folder's name may hold anything too, and sudo escapes none of
/// it: a folder called `x ; USER=nobody` is seen through, for the last `USER=` before the command counts; one that holds a
/// whole `; USER=nobody ; COMMAND=true` cannot be told from a command that holds the rest. Commands hold such text without
/// more ado (`sh -c`), folders must be made for it, so the command is believed to be the longer, and the defect says that
/// the line can be read in two ways.
fn sudo(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((user, rest)) = text.split_once(" : ") else { return false };
    // `anna : problem with defaults entries ; TTY=pts/0 ; PWD=/` has none; `anna : (command continued) …` is the rest of one.
    let (before, command) = match (rest.split_once("COMMAND="), rest.strip_prefix("(command continued) ")) {
        (_, Some(command)) => ("", command),
        (Some(found), None) => found,
        (None, None) if rest.contains("TTY=") || rest.contains("PWD=") => (rest, ""),
        (None, None) => return false,
    };
    let (mut reason, mut target, mut named, mut users) = ("", "", false, 0);
    for part in before.split(" ; ") {
        match part.trim_end_matches([' ', ';']).split_once('=') {
            Some(("USER", name)) => (target, named, users) = (name, true, users + 1),
            Some(_) => named = true,
            // Why not stands before everything with a name; behind it is a part of the folder's.
            None if reason.is_empty() && !named => reason = part.trim_end_matches([' ', ';']),
            None => {}
        }
    }
    if users > 1 || command.contains(" ; COMMAND=") {
        draft.defects.add(Defect::BadKeyValue);
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

/// util-linux: `(to root) anna on pts/0`, `FAILED SU (to root) anna on pts/0`. shadow: `Successful su for root by anna`,
/// `FAILED su for root by anna`, `+ /dev/pts/0 anna:root`, `- /dev/pts/0 anna:root`. BSD: `BAD SU anna to root on /dev/pts/0`.
fn su(text: &str, draft: &mut Draft<'_>) -> bool {
    let failed = text.starts_with("FAILED") || text.starts_with("BAD SU") || text.starts_with("- ");
    let on = |rest: &'_ str| -> usize { rest.find(" on ").unwrap_or(rest.len()) };
    let read = if let Some((_, rest)) = text.split_once("(to ") {
        rest.split_once(") ").map(|(target, rest)| (target, rest.get(..on(rest)).unwrap_or(rest)))
    } else if let Some((_, rest)) = text.split_once(" su for ") {
        rest.split_once(" by ")
    } else if let Some(rest) = text.strip_prefix("+ ").or_else(|| text.strip_prefix("- ")) {
        rest.split_once(' ').and_then(|(_, who)| who.split_once(':')).map(|(user, target)| (target, user))
    } else {
        let rest = text.strip_prefix("BAD SU ").unwrap_or(text);
        rest.get(..on(rest)).filter(|_| rest.contains(" on ")).and_then(|who| who.split_once(" to ")).map(|(user, target)| (target, user))
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

/// `anna ran command /bin/sh as root from /home/anna`, `command not permitted for anna: /bin/sh`, `failed auth for anna`
fn doas(text: &str, draft: &mut Draft<'_>) -> bool {
    let (user, target, command, reason) = if let Some((user, rest)) = text.split_once(" ran command ") {
        let (rest, _) = rest.rsplit_once(" from ").unwrap_or((rest, ""));
        let (command, target) = rest.rsplit_once(" as ").unwrap_or((rest, ""));
        (user, target, command, "")
    } else if let Some((user, command)) = text.strip_prefix("command not permitted for ").and_then(|rest| rest.split_once(": ")) {
        (user, "", command, "command not permitted")
    } else if let Some(user) = text.strip_prefix("failed auth for ") {
        (user, "", "", "failed auth")
    } else {
        return false;
    };
    draft.name(fields::EVENT_MODULE, "doas");
    draft.event("process", "sudo_command", if reason.is_empty() { "success" } else { "failure" });
    draft.str(fields::EVENT_REASON, reason);
    draft.str(fields::USER_NAME, user);
    draft.str(fields::USER_EFFECTIVE_NAME, target);
    draft.str(fields::USER_TARGET_NAME, target);
    draft.str(fields::PROCESS_COMMAND_LINE, command);
    true
}

/// `LOGIN ON tty1 BY anna`, `ROOT LOGIN ON tty1`, `FAILED LOGIN (1) on '/dev/tty1' FOR 'anna', Authentication failure`
fn login(text: &str, draft: &mut Draft<'_>) -> bool {
    let (user, from, reason, failed) = if text.starts_with("FAILED LOGIN") || text.starts_with("TOO MANY LOGIN TRIES") {
        let Some((_, rest)) = text.split_once(" FOR ") else { return false };
        let (user, reason) = rest.rsplit_once(", ").unwrap_or((rest, ""));
        (user.trim_matches('\''), between(text, " FROM ", " FOR ").map_or("", |(from, _)| from.trim_matches('\'')), reason, true)
    } else if text.starts_with("LOGIN ON ") {
        let Some((_, rest)) = text.split_once(" BY ") else { return false };
        let (user, from) = rest.split_once(" FROM ").unwrap_or((rest, ""));
        (user, from, "", false)
    } else if text.starts_with("ROOT LOGIN") {
        ("root", text.split_once(" FROM ").map_or("", |(_, from)| from.trim_matches('\'')), "", false)
    } else {
        return false;
    };
    draft.name(fields::EVENT_MODULE, "login");
    draft.event("authentication", "login", if failed { "failure" } else { "success" });
    draft.str(fields::USER_NAME, user);
    draft.str(fields::EVENT_REASON, reason);
    if !from.is_empty() {
        draft.source(from);
    }
    true
}

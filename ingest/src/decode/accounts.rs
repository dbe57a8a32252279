//! Accounts and groups: useradd, usermod, userdel, groupadd, groupdel, groupmod, gpasswd, passwd and their kin of
//! the shadow suite. `user.name` is the account concerned (`user.target.name` repeats it), `source.user.name` who did it.

use super::Look;
use super::draft::Draft;
use crate::fields;

const PROGRAMS: [&str; 13] = [
    "useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "gpasswd", "passwd", "chpasswd", "chage", "chsh", "chfn",
    "newusers",
];

pub(super) fn first_look(look: &Look<'_>) -> bool {
    PROGRAMS.contains(&look.app)
}

#[derive(Default)]
struct Read<'t> {
    action: &'static str,
    kind: &'static str,
    user: &'t str,
    user_id: &'t str,
    group: &'t str,
    group_id: &'t str,
    by: &'t str,
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some(read) = read(look.text.trim()) else { return false };
    let failed = look.text.starts_with("failed ");
    draft.name(fields::EVENT_MODULE, "accounts");
    draft.name(fields::EVENT_CATEGORY, "iam");
    draft.name(fields::EVENT_TYPE, read.kind);
    draft.name(fields::EVENT_ACTION, read.action);
    draft.name(fields::EVENT_OUTCOME, if failed { "failure" } else { "success" });
    draft.str(fields::USER_NAME, read.user);
    draft.str(fields::USER_TARGET_NAME, read.user);
    draft.str(fields::USER_ID, read.user_id);
    draft.str(fields::GROUP_NAME, read.group);
    draft.str(fields::GROUP_ID, read.group_id);
    draft.str(fields::SOURCE_USER_NAME, read.by);
    true
}

fn read(text: &str) -> Option<Read<'_>> {
    // failed adding user 'mallory', exit code: 9
    if let Some((user, _)) = text.strip_prefix("failed adding user ").and_then(quoted) {
        return Some(Read { action: "user_added", kind: "creation", user, ..Read::default() });
    }
    let text = text.strip_prefix("failed ").and_then(|rest| rest.strip_prefix("adding ")).unwrap_or(text);
    if let Some(rest) = text.strip_prefix("new user: ") {
        return Some(Read { action: "user_added", kind: "creation", ..listed(rest) });
    }
    if let Some(rest) = text.strip_prefix("new group: ").or_else(|| text.strip_prefix("group added to /etc/group: ")) {
        let group = listed(rest);
        return Some(Read { action: "group_added", kind: "creation", user: "", group: group.user, ..group });
    }
    // `add 'mallory' to group 'sudo'` comes in twos, once for /etc/gshadow: only the first is the change.
    if let Some((user, rest)) = text.strip_prefix("add ").and_then(quoted) {
        let (action, group) = match rest.strip_prefix(" to group ") {
            Some(group) => ("user_added_to_group", group),
            None => ("user_added_to_shadow_group", rest.strip_prefix(" to shadow group ")?),
        };
        return Some(Read { action, kind: "change", user, group: quoted(group)?.0, ..Read::default() });
    }
    if let Some((user, rest)) = text.strip_prefix("delete ").and_then(quoted) {
        let (action, group) = match rest.strip_prefix(" from group ") {
            Some(group) => ("user_removed_from_group", group),
            None => ("user_removed_from_shadow_group", rest.strip_prefix(" from shadow group ")?),
        };
        return Some(Read { action, kind: "change", user, group: quoted(group)?.0, ..Read::default() });
    }
    if let Some((user, _)) = text.strip_prefix("delete user ").and_then(quoted) {
        return Some(Read { action: "user_deleted", kind: "deletion", user, ..Read::default() });
    }
    if let Some((group, _)) = text.strip_prefix("removed group ").or_else(|| text.strip_prefix("group ")).and_then(quoted) {
        return text.contains("removed").then_some(Read { action: "group_deleted", kind: "deletion", group, ..Read::default() });
    }
    if let Some(rest) = text.strip_prefix("user ") {
        return gpasswd(rest);
    }
    if let Some(user) = text.strip_prefix("changed password expiry for ") {
        return Some(Read { action: "password_expiry_changed", kind: "change", user, ..Read::default() });
    }
    // chsh and chfn: changed user 'anna' shell to '/bin/sh'
    if let Some((user, _)) = text.strip_prefix("changed user ").and_then(quoted) {
        return Some(Read { action: "user_changed", kind: "change", user, ..Read::default() });
    }
    if let Some((user, _)) = text.strip_prefix("change user name ").and_then(quoted) {
        return Some(Read { action: "user_renamed", kind: "change", user, ..Read::default() });
    }
    // members of group sudo set by root to anna,mallory
    if let Some((group, rest)) = text.strip_prefix("members of group ").and_then(|rest| rest.split_once(" set by ")) {
        let (by, user) = rest.split_once(" to ").unwrap_or((rest, ""));
        return Some(Read { action: "group_members_set", kind: "change", user, group, by, ..Read::default() });
    }
    // group changed in /etc/group (group sudo/27, new name: root2)
    if let Some(rest) = text.strip_prefix("group changed in ").and_then(|rest| rest.split_once("(group ")).map(|(_, rest)| rest) {
        let (group, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let group_id = rest.split([',', ')']).next().unwrap_or_default();
        return Some(Read { action: "group_changed", kind: "change", group, group_id, ..Read::default() });
    }
    if let Some((user, rest)) = text.strip_prefix("change user ").and_then(quoted) {
        let action = if rest.starts_with(" password") { "password_changed" } else { "user_changed" };
        let user_id = rest.strip_prefix(" UID from ").and_then(|rest| quoted(rest.split_once(" to ")?.1)).map_or("", |(id, _)| id);
        return Some(Read { action, kind: "change", user, user_id, ..Read::default() });
    }
    if let Some((user, _)) = text.strip_prefix("lock user ").and_then(quoted) {
        return Some(Read { action: "user_locked", kind: "change", user, ..Read::default() });
    }
    if let Some((user, _)) = text.strip_prefix("unlock user ").and_then(quoted) {
        return Some(Read { action: "user_unlocked", kind: "change", user, ..Read::default() });
    }
    if let Some((user, rest)) = text.strip_prefix("password for ").and_then(quoted) {
        let by = rest.strip_prefix(" changed by ").and_then(quoted)?.0;
        return Some(Read { action: "password_changed", kind: "change", user, by, ..Read::default() });
    }
    None
}

/// gpasswd: `user mallory added by root to group sudo`.
fn gpasswd(text: &str) -> Option<Read<'_>> {
    let change = Read { kind: "change", ..Read::default() };
    if let Some((user, rest)) = text.split_once(" added by ") {
        let (by, group) = rest.split_once(" to group ")?;
        return Some(Read { action: "user_added_to_group", user, group, by, ..change });
    }
    let (user, rest) = text.split_once(" removed by ")?;
    let (by, group) = rest.split_once(" from group ")?;
    Some(Read { action: "user_removed_from_group", user, group, by, ..change })
}

/// `name=x, UID=0, GID=0, home=/root, …`; a group's name comes back as `user`.
fn listed(text: &str) -> Read<'_> {
    let mut read = Read::default();
    for part in text.split(", ") {
        match part.split_once('=') {
            Some(("name", name)) => read.user = name,
            Some(("UID", id)) => read.user_id = id,
            Some(("GID", id)) => read.group_id = id,
            _ => {}
        }
    }
    read
}

/// `'name'` and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let open = |char| matches!(char, '\'' | '"' | '`');
    text.strip_prefix(open)?.split_once(['\'', '"'])
}

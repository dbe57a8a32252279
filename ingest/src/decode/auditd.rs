//! Linux' audit records: `type=SYSCALL msg=audit(1696431255.037:8272): arch=… exe="/usr/bin/bash" …`. Records of one event share
//! its number; each is read for itself.

use super::Look;
use super::draft::Draft;
use super::kv;
use super::part::{between, some};
use crate::event::Defect;
use crate::fields;
use crate::syslog::{self, Stamp};

/// Arguments of a command that are kept; the rest stays in the raw line.
const ARGUMENTS_MAX: usize = 60;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.text.contains("msg=audit(")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((head, body)) = look.text.split_once("msg=audit(") else { return false };
    let Some((id, body)) = body.split_once(')') else { return false };
    let kind = between(head, "type=", " ").map_or(head.trim(), |(kind, _)| kind);
    let (seconds, number) = id.split_once(':').unwrap_or((id, ""));
    draft.name(fields::EVENT_MODULE, "auditd");
    draft.vendor("auditd", "type", kind);
    draft.vendor("auditd", "sequence", number);
    if let (Stamp::Absent | Stamp::Civil(_), Some(at)) = (draft.stamp, syslog::epoch_text(seconds)) {
        draft.stamp = Stamp::Moment(at);
    }
    let body = body.trim_start_matches([':', ' ']);
    // `msg='op=login acct="anna" … res=success'` holds the pairs of programs that audit themselves; behind 0x1D stand names
    // that the daemon looked up (`UID="anna"`).
    let inner = between(body, "msg='", "'").map(|(inner, _)| inner);
    let (mut command, mut arguments) = (String::new(), 0);
    let mut read = |text: &str, draft: &mut Draft<'_>| {
        for pair in text.split('\u{1d}').flat_map(kv::pairs) {
            if pair.unterminated {
                draft.defects.add(Defect::BadKeyValue);
            }
            let value = some(pair.value.trim_matches(['?', '\'']));
            let is_argument = pair
                .key
                .strip_prefix('a')
                .is_some_and(|rest| !rest.is_empty() && rest.len() <= 3 && rest.bytes().all(|byte| byte.is_ascii_digit()));
            match pair.key {
                _ if kind == "EXECVE" && is_argument && arguments < ARGUMENTS_MAX => {
                    arguments += 1;
                    command.push_str(if command.is_empty() { "" } else { " " });
                    command.push_str(&unhexed(value));
                }
                "exe" => draft.str(fields::PROCESS_EXECUTABLE, value),
                "comm" if !draft.has(fields::PROCESS_NAME) => draft.str(fields::PROCESS_NAME, value),
                "pid" if !draft.has(fields::PROCESS_PID) => draft.optional(fields::PROCESS_PID, value),
                "ppid" => draft.optional(fields::PROCESS_PARENT_PID, value),
                "uid" => draft.str(fields::USER_ID, value),
                "UID" | "acct" if !draft.has(fields::USER_NAME) => draft.str(fields::USER_NAME, &unhexed(value)),
                "addr" if !value.is_empty() => draft.source(value),
                "hostname" => draft.vendor("auditd", "hostname", value),
                "name" | "cwd" if matches!(kind, "PATH" | "CWD") => draft.str(fields::FILE_PATH, &unhexed(value)),
                "res" | "success" => match value {
                    "success" | "yes" | "1" => draft.name(fields::EVENT_OUTCOME, "success"),
                    "failed" | "no" | "0" => draft.name(fields::EVENT_OUTCOME, "failure"),
                    _ => {}
                },
                "key" => draft.str(fields::RULE_NAME, value),
                "op" | "auid" | "euid" | "tty" | "ses" | "terminal" | "syscall" | "SYSCALL" | "exit" | "sig" | "AUID" | "EUID" | "cmd" => {
                    draft.vendor("auditd", pair.key, value);
                }
                _ => {}
            }
        }
    };
    match inner {
        Some(inner) => {
            read(body.split("msg='").next().unwrap_or_default(), draft);
            read(inner, draft);
        }
        None => read(body, draft),
    }
    draft.str(fields::PROCESS_COMMAND_LINE, &command);
    let Some((category, action)) = (match kind {
        "EXECVE" => Some(("process", "process_started")),
        "USER_LOGIN" | "USER_AUTH" => Some(("authentication", "login")),
        "USER_LOGOUT" | "USER_END" => Some(("authentication", "logout")),
        "USER_CMD" => Some(("process", "sudo")),
        "ADD_USER" => Some(("iam", "user_created")),
        "DEL_USER" => Some(("iam", "user_deleted")),
        "ADD_GROUP" => Some(("iam", "group_created")),
        "ANOM_ABEND" => Some(("process", "process_crashed")),
        "CONFIG_CHANGE" => Some(("configuration", "audit_policy_changed")),
        "SYSCALL" => Some(("process", "syscall")),
        _ => None,
    }) else {
        return true;
    };
    draft.event(category, action, "");
    true
}

/// The audit system writes what is not plain ASCII in hexadecimal, without quotes.
fn unhexed(text: &str) -> String {
    let is_hex = text.len() >= 2
        && text.len().is_multiple_of(2)
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'A'..=b'F'))
        && text.bytes().any(|byte| byte.is_ascii_uppercase());
    if !is_hex {
        return text.to_owned();
    }
    let bytes: Option<Vec<u8>> = (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map_or_else(|| text.to_owned(), |text| text.replace('\0', " "))
}

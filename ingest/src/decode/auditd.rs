//! Linux' audit records: `type=SYSCALL msg=audit(1696431255.037:8272): arch=… exe="/usr/bin/bash" …`, from auditd or, where
//! none runs, from the kernel (`audit: type=1400 audit(…): apparmor="DENIED" …`). Records of one event share its number
//! (`auditd.sequence`); each is read for itself.

use std::borrow::Cow;

use super::Look;
use super::draft::Draft;
use super::kv::{self, Pair};
use super::part::{between, some};
use crate::event::Defect;
use crate::fields;
use crate::syslog::{self, Stamp};

/// Arguments of a command that are kept together; the rest stays in the raw line. The first ten stand alone too, as rules ask
/// for them (`auditd.a1`).
const ARGUMENTS_MAX: usize = 60;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    // `audispd`, `audit_log` and whatever a shipper of the file calls it.
    look.text.contains("audit(") && look.is_of(&["audi", "kernel"])
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((head, rest)) = look.text.split_once("audit(") else { return false };
    let Some((id, body)) = rest.split_once(')') else { return false };
    // Behind a quote it is what another line tells of somebody.
    if head.contains('"') {
        return false;
    }
    let Some(kind) = head.split_once("type=").and_then(|(_, kind)| kind.split(' ').next()) else { return false };
    let kind = NUMBERS.iter().find(|(number, _)| *number == kind).map_or(kind, |(_, name)| name);
    let (seconds, number) = id.split_once(':').unwrap_or((id, ""));
    draft.name(fields::EVENT_MODULE, "auditd");
    if let Some((node, _)) = between(head, "node=", " ") {
        draft.vendor("auditd", "node", node);
    }
    draft.vendor("auditd", "type", kind);
    draft.vendor("auditd", "sequence", number);
    if let (Stamp::Absent | Stamp::Civil(_), Some(at)) = (draft.stamp, syslog::epoch_text(seconds)) {
        draft.stamp = Stamp::Moment(at);
    }
    let mut record = Record { kind, command: String::new(), arguments: 0, denied: false };
    let body = body.trim_start_matches([':', ' ']);
    // `avc:  denied  { read } for  pid=1 …`
    if let Some((verdict, asked)) = body.strip_prefix("avc:").and_then(|rest| rest.split_once('{')) {
        record.denied = verdict.trim() == "denied";
        draft.name(fields::EVENT_OUTCOME, if record.denied { "failure" } else { "success" });
        draft.vendor("auditd", "permission", asked.split('}').next().unwrap_or_default().trim());
    }
    // `msg='op=login acct="anna" … res=success'` holds the pairs of programs that audit themselves; behind 0x1D stand names
    // that the daemon looked up (`UID="anna"`).
    match between(body, "msg='", "'") {
        Some((inner, behind)) => {
            record.read(body.split("msg='").next().unwrap_or_default(), draft);
            record.read(inner, draft);
            record.read(behind, draft);
        }
        None => record.read(body, draft),
    }
    draft.str(fields::PROCESS_COMMAND_LINE, &record.command);
    if let Some((_, category, action)) = KINDS.iter().find(|(name, ..)| *name == kind) {
        draft.event(category, if record.denied { "access_denied" } else { action }, "");
    }
    true
}

struct Record<'t> {
    kind: &'t str,
    command: String,
    arguments: usize,
    denied: bool,
}

impl Record<'_> {
    fn read(&mut self, text: &str, draft: &mut Draft<'_>) {
        for pair in text.split('\u{1d}').flat_map(kv::pairs) {
            if pair.unterminated {
                draft.defects.add(Defect::BadKeyValue);
            }
            self.pair(&pair, draft);
        }
    }

    fn argument(&mut self, argument: &str) {
        if self.arguments < ARGUMENTS_MAX {
            self.arguments += 1;
            self.command.push_str(if self.command.is_empty() { "" } else { " " });
            self.command.push_str(argument);
        }
    }

    fn pair(&mut self, pair: &Pair<'_>, draft: &mut Draft<'_>) {
        let value = some(pair.value.trim_matches(['?', '\'']));
        let value = if value == "(null)" { "" } else { value };
        match pair.key {
            key if self.kind == "EXECVE" && is_argument(key) => {
                let argument = unhexed(value);
                if key.len() == 2 {
                    draft.vendor("auditd", key, &argument);
                }
                self.argument(&argument);
            }
            // A call's own arguments, in hexadecimal.
            "a0" | "a1" | "a2" | "a3" if self.kind == "SYSCALL" => draft.vendor("auditd", pair.key, value),
            "exe" => draft.str(fields::PROCESS_EXECUTABLE, &unhexed(value)),
            "comm" if !draft.has(fields::PROCESS_NAME) || draft.text(fields::PROCESS_NAME).is_some_and(is_transport) => {
                draft.replace_str(fields::PROCESS_NAME, &unhexed(value));
            }
            "comm" => draft.vendor("auditd", "comm", &unhexed(value)),
            "pid" if !draft.has(fields::PROCESS_PID) => draft.optional(fields::PROCESS_PID, value),
            "ppid" => draft.optional(fields::PROCESS_PARENT_PID, value),
            "uid" => draft.str(fields::USER_ID, value),
            "UID" | "acct" if !draft.has(fields::USER_NAME) => draft.str(fields::USER_NAME, &unhexed(value)),
            "addr" | "laddr" if !value.is_empty() && !draft.has(fields::SOURCE_IP) => draft.source(value),
            "hostname" => draft.vendor("auditd", "hostname", value),
            "name" if matches!(self.kind, "AVC" | "PATH" | "APPARMOR_DENIED") => draft.str(fields::FILE_PATH, &unhexed(value)),
            "name" if self.kind == "KERN_MODULE" => draft.vendor("auditd", "module", &unhexed(value)),
            "cwd" if self.kind == "CWD" => draft.str(fields::FILE_PATH, &unhexed(value)),
            "cwd" => draft.vendor("auditd", "cwd", &unhexed(value)),
            "proctitle" => draft.str(fields::PROCESS_COMMAND_LINE, &unhexed(value)),
            "cmd" => draft.str(fields::PROCESS_COMMAND_LINE, &unhexed(value)),
            "unit" => draft.vendor("auditd", "unit", value),
            "apparmor" => {
                self.denied = value == "DENIED";
                if matches!(value, "DENIED" | "ALLOWED") {
                    draft.name(fields::EVENT_OUTCOME, if self.denied { "failure" } else { "success" });
                }
                draft.vendor("auditd", "apparmor", value);
            }
            "res" | "success" => match value {
                "success" | "yes" | "1" => draft.name(fields::EVENT_OUTCOME, "success"),
                "failed" | "no" | "0" => draft.name(fields::EVENT_OUTCOME, "failure"),
                _ => {}
            },
            "key" => draft.str(fields::RULE_NAME, &unhexed(value)),
            key if KEPT.contains(&key) => draft.vendor("auditd", key, value),
            _ => {}
        }
    }
}

/// Kept under their own names.
const KEPT: [&str; 31] = [
    "op",
    "auid",
    "euid",
    "tty",
    "ses",
    "terminal",
    "syscall",
    "SYSCALL",
    "exit",
    "sig",
    "AUID",
    "EUID",
    "saddr",
    "nametype",
    "mode",
    "dev",
    "prom",
    "old-auid",
    "id",
    "ID",
    "grp",
    "scontext",
    "tcontext",
    "tclass",
    "permissive",
    "profile",
    "operation",
    "requested_mask",
    "denied_mask",
    "table",
    "grantors",
];

/// Programs that only carry the kernel's records.
fn is_transport(name: &str) -> bool {
    matches!(name, "kernel" | "audit" | "auditd" | "audispd" | "audisp-syslog")
}

fn is_argument(key: &str) -> bool {
    // `a0`, and `a0[0]` of an argument in parts.
    let rest = key.strip_prefix('a').map(|rest| rest.split('[').next().unwrap_or_default());
    rest.is_some_and(|rest| !rest.is_empty() && rest.len() <= 3 && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The kernel names types by number where no daemon does it for it (linux/audit.h).
const NUMBERS: &[(&str, &str)] = &[
    ("1100", "USER_AUTH"),
    ("1101", "USER_ACCT"),
    ("1103", "CRED_ACQ"),
    ("1104", "CRED_DISP"),
    ("1105", "USER_START"),
    ("1106", "USER_END"),
    ("1107", "USER_AVC"),
    ("1112", "USER_LOGIN"),
    ("1113", "USER_LOGOUT"),
    ("1123", "USER_CMD"),
    ("1130", "SERVICE_START"),
    ("1131", "SERVICE_STOP"),
    ("1300", "SYSCALL"),
    ("1302", "PATH"),
    ("1305", "CONFIG_CHANGE"),
    ("1306", "SOCKADDR"),
    ("1307", "CWD"),
    ("1309", "EXECVE"),
    ("1325", "NETFILTER_CFG"),
    ("1326", "SECCOMP"),
    ("1327", "PROCTITLE"),
    ("1334", "BPF"),
    ("1400", "AVC"),
    ("1404", "MAC_STATUS"),
    ("1700", "ANOM_PROMISCUOUS"),
    ("1701", "ANOM_ABEND"),
];

/// Type, category and action.
const KINDS: &[(&str, &str, &str)] = &[
    ("EXECVE", "process", "process_started"),
    ("SYSCALL", "process", "syscall"),
    ("PROCTITLE", "process", "process_title"),
    ("PATH", "file", "file_accessed"),
    ("SOCKADDR", "network", "socket_address"),
    ("ANOM_ABEND", "process", "process_crashed"),
    ("ANOM_PROMISCUOUS", "network", "promiscuous_mode"),
    ("SECCOMP", "process", "seccomp"),
    ("AVC", "process", "access_granted"),
    ("USER_AVC", "process", "access_granted"),
    ("USER_LOGIN", "authentication", "login"),
    ("USER_AUTH", "authentication", "login"),
    ("USER_ERR", "authentication", "login_error"),
    ("USER_ACCT", "authentication", "account_checked"),
    ("CRED_ACQ", "authentication", "credentials_acquired"),
    ("CRED_REFR", "authentication", "credentials_refreshed"),
    ("CRED_DISP", "authentication", "credentials_disposed"),
    ("USER_START", "session", "session_opened"),
    ("USER_END", "session", "session_closed"),
    ("USER_LOGOUT", "authentication", "logout"),
    ("LOGIN", "session", "session_assigned"),
    ("USER_CMD", "process", "sudo"),
    ("USER_CHAUTHTOK", "iam", "password_changed"),
    ("USER_MGMT", "iam", "user_changed"),
    ("ACCT_LOCK", "iam", "user_locked"),
    ("ACCT_UNLOCK", "iam", "user_unlocked"),
    ("ADD_USER", "iam", "user_created"),
    ("DEL_USER", "iam", "user_deleted"),
    ("ADD_GROUP", "iam", "group_created"),
    ("DEL_GROUP", "iam", "group_deleted"),
    ("GRP_MGMT", "iam", "group_changed"),
    ("CONFIG_CHANGE", "configuration", "audit_policy_changed"),
    ("DAEMON_START", "configuration", "audit_started"),
    ("DAEMON_END", "configuration", "audit_stopped"),
    ("MAC_STATUS", "configuration", "selinux_mode_changed"),
    ("MAC_POLICY_LOAD", "configuration", "selinux_policy_loaded"),
    ("NETFILTER_CFG", "configuration", "firewall_changed"),
    ("KERN_MODULE", "driver", "kernel_module"),
    ("BPF", "process", "bpf_program"),
    ("SERVICE_START", "process", "service_started"),
    ("SERVICE_STOP", "process", "service_stopped"),
];

/// The audit system writes what is not plain ASCII in hexadecimal, without quotes.
fn unhexed(text: &str) -> Cow<'_, str> {
    let is_hex = text.len() >= 2
        && text.len().is_multiple_of(2)
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'A'..=b'F'))
        && (text.bytes().any(|byte| byte.is_ascii_uppercase()) || text.len() >= DIGITS_HEX_MIN);
    if !is_hex {
        return Cow::Borrowed(text);
    }
    let bytes: Option<Vec<u8>> = (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect();
    let read = bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| !text.contains(|char: char| char.is_control() && !matches!(char, '\0' | '\n' | '\t')));
    read.map_or(Cow::Borrowed(text), |text| Cow::Owned(text.replace('\0', " ")))
}

/// Digits alone are a number, unless they are as many as no number has (`2F62696E2F6C73` has letters, `72652072…` not).
const DIGITS_HEX_MIN: usize = 12;

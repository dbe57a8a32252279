//! What the system itself says: cron and anacron, systemd and its login manager, polkit, pkexec, and the kernel (processes
//! killed for memory, crashes, USB devices, links, disks). Lines of the kernel's packet filter are `netfilter`'s, its audit
//! records `auditd`'s.

use super::Look;
use super::draft::Draft;
use super::part::{between, is_number};
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    program(look.app).is_some()
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    program(look.app).is_some_and(|read| read(look.text.trim_end(), draft))
}

type Reader = fn(&str, &mut Draft<'_>) -> bool;

fn program(app: &str) -> Option<Reader> {
    Some(match app {
        "cron" | "CRON" | "crond" | "CROND" | "crontab" | "cronie" => cron,
        "anacron" => anacron,
        "systemd" => systemd,
        "systemd-logind" | "elogind" => logind,
        "polkitd" | "polkit-agent-helper-1" => polkit,
        "pkexec" => pkexec,
        "kernel" => kernel,
        _ => return None,
    })
}

/// `(anna) CMD (/usr/bin/backup)`, `(anna) REPLACE (anna)`, `(root) MAIL (mailed 45 bytes …)`
fn cron(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((user, rest)) = text.strip_prefix('(').and_then(|rest| rest.split_once(") ")) else { return false };
    let (what, details) = rest.split_once(" (").unwrap_or((rest, ""));
    let details = details.strip_suffix(')').unwrap_or(details).trim();
    let (category, action, outcome) = match what {
        "CMD" => ("process", "cron_command", ""),
        "CMDOUT" => ("process", "cron_output", ""),
        "CMDEND" => ("process", "cron_command_ended", ""),
        "BEGIN EDIT" | "END EDIT" => ("configuration", "crontab_edited", "success"),
        "REPLACE" => ("configuration", "crontab_replaced", "success"),
        "DELETE" => ("configuration", "crontab_deleted", "success"),
        "LIST" => ("configuration", "crontab_listed", "success"),
        "RELOAD" => ("configuration", "crontab_reloaded", "success"),
        "AUTH" => ("configuration", "crontab_refused", "failure"),
        "MAIL" => ("process", "cron_mail", ""),
        "STARTUP" | "INFO" | "SHUTDOWN" => ("process", "cron_info", ""),
        _ if what.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b' ' | b'>' | b'0'..=b'9'))
            || what.starts_with("FAILED") =>
        {
            ("process", "cron_error", "failure")
        }
        _ => return false,
    };
    draft.name(fields::EVENT_MODULE, "cron");
    draft.event(category, action, outcome);
    if !matches!(user, "CRON" | "*system*" | "system") {
        draft.str(fields::USER_NAME, user);
    }
    match action {
        "cron_command" | "cron_command_ended" => draft.str(fields::PROCESS_COMMAND_LINE, details),
        "crontab_edited" | "crontab_replaced" | "crontab_deleted" | "crontab_listed" => draft.str(fields::USER_TARGET_NAME, details),
        "crontab_reloaded" => draft.str(fields::FILE_PATH, details),
        _ => draft.str(fields::EVENT_REASON, if details.is_empty() { what } else { details }),
    }
    true
}

/// ``Job `cron.daily' started``, ``Job `cron.daily' terminated (exit status: 1) (mailing output)``
fn anacron(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((job, what)) = text.split_once("ob `").and_then(|(_, rest)| rest.split_once('\'')) else { return false };
    let (action, outcome) = match what.trim() {
        "started" => ("cron_command", ""),
        ended if ended.starts_with("terminated") => {
            ("cron_command_ended", if ended.contains("exit status: ") { "failure" } else { "success" })
        }
        _ => return false,
    };
    draft.name(fields::EVENT_MODULE, "cron");
    draft.event("process", action, outcome);
    draft.vendor("cron", "job", job);
    true
}

/// What happened to a unit, by systemd's first word or two.
const JOBS: &[(&str, &str, &str)] = &[
    ("Started ", "service_started", "success"),
    ("Starting ", "service_starting", ""),
    ("Stopped ", "service_stopped", "success"),
    ("Stopping ", "service_stopping", ""),
    ("Reloaded ", "service_reloaded", "success"),
    ("Reloading ", "service_reloading", ""),
    ("Finished ", "service_finished", "success"),
    ("Failed to start ", "service_failed", "failure"),
    ("Dependency failed for ", "service_failed", "failure"),
    ("Timed out waiting for ", "service_failed", "failure"),
    ("Mounted ", "mounted", "success"),
    ("Unmounted ", "unmounted", "success"),
    ("Reached target ", "target_reached", "success"),
];

/// `nginx.service: Failed with result 'exit-code'.` and how such a remark begins.
const REMARKS: &[(&str, &str, &str)] = &[
    ("Failed with result ", "service_failed", "failure"),
    ("Main process exited, code=", "service_exited", ""),
    ("Control process exited, code=", "service_exited", ""),
    ("Start request repeated too quickly", "service_failed", "failure"),
    ("Scheduled restart job", "service_restarted", ""),
    ("Service hold-off time over, scheduling restart", "service_restarted", ""),
    ("A process of this unit has been killed by the OOM killer", "out_of_memory", "failure"),
    ("Deactivated successfully", "service_stopped", "success"),
    ("Succeeded", "service_stopped", "success"),
    ("Killing process ", "service_killed", ""),
    ("Watchdog timeout", "service_failed", "failure"),
    ("Permission denied", "service_failed", "failure"),
];

/// `Started nginx.service - A web server.`, `Started A web server.` of older ones, `nginx.service: Main process exited, …`
fn systemd(text: &str, draft: &mut Draft<'_>) -> bool {
    if let Some((job, action, outcome)) = JOBS.iter().find(|(opening, ..)| text.starts_with(opening)) {
        let what = text.get(job.len()..).unwrap_or_default().trim_end_matches('.');
        let (unit, description) = what.split_once(" - ").filter(|(unit, _)| is_unit(unit)).unwrap_or(("", what));
        draft.name(fields::EVENT_MODULE, "systemd");
        draft.event("process", action, outcome);
        draft.vendor("systemd", "unit", if unit.is_empty() && is_unit(what) { what } else { unit });
        draft.vendor("systemd", "description", description);
        // Session 12 of User anna
        if let Some((_, user)) = description.split_once(" of User ") {
            draft.str(fields::USER_NAME, user);
        }
        return true;
    }
    let Some((unit, what)) = text.split_once(": ").filter(|(unit, _)| is_unit(unit)) else { return false };
    let Some((_, action, outcome)) = REMARKS.iter().find(|(opening, ..)| what.starts_with(opening)) else { return false };
    draft.name(fields::EVENT_MODULE, "systemd");
    draft.event("process", action, outcome);
    draft.vendor("systemd", "unit", unit);
    draft.str(fields::EVENT_REASON, what);
    if let Some((_, status)) = what.split_once("status=") {
        draft.vendor("systemd", "status", status);
    }
    true
}

fn is_unit(text: &str) -> bool {
    const KINDS: [&str; 9] = [".service", ".socket", ".timer", ".scope", ".mount", ".slice", ".target", ".path", ".device"];
    !text.contains(' ') && KINDS.iter().any(|kind| text.ends_with(kind))
}

/// `New session 12 of user anna.`, since 256 `New session '12' of user 'anna' with class 'user' and type 'tty'.`
fn logind(text: &str, draft: &mut Draft<'_>) -> bool {
    let text = text.trim_end_matches('.');
    let bare = |text: &str| -> usize { text.len() - text.trim_start_matches('\'').len() };
    let word = |text: &'static str| text;
    let (action, session, user) =
        if let Some((session, user)) = text.strip_prefix("New session ").and_then(|rest| rest.split_once(" of user ")) {
            (word("session_opened"), session, user)
        } else if let Some(session) = text.strip_prefix("Removed session ") {
            ("session_closed", session, "")
        } else if let Some((session, _)) = text.strip_prefix("Session ").and_then(|rest| rest.split_once(" logged out")) {
            ("session_logged_out", session, "")
        } else {
            let action = match text {
                "System is rebooting" | "The system will reboot now!" => "system_reboot",
                "System is powering down" | "The system will power off now!" => "system_shutdown",
                "Power key pressed" | "Power key pressed short" => "power_key",
                _ => return false,
            };
            draft.name(fields::EVENT_MODULE, "systemd");
            draft.event("host", action, "");
            return true;
        };
    draft.name(fields::EVENT_MODULE, "systemd");
    draft.event("session", action, "success");
    draft.vendor("systemd", "session", session.trim_matches('\''));
    let user = match user.get(bare(user)..) {
        Some(inner) if bare(user) > 0 => inner.split('\'').next().unwrap_or_default(),
        _ => user,
    };
    draft.str(fields::USER_NAME, user);
    true
}

/// `Operator of unix-session:2 successfully authenticated as unix-user:root to gain … for action org.example.x … (owned by unix-user:anna)`
fn polkit(text: &str, draft: &mut Draft<'_>) -> bool {
    let outcome = match text {
        _ if text.contains(" successfully authenticated as ") => "success",
        _ if text.contains(" FAILED to authenticate ") => "failure",
        _ => return false,
    };
    draft.name(fields::EVENT_MODULE, "polkit");
    draft.event("authentication", "privilege_requested", outcome);
    let end = |text: &str| text.find([' ', ')']).unwrap_or(text.len());
    if let Some((_, rest)) = text.split_once("(owned by unix-user:") {
        draft.str(fields::USER_NAME, rest.get(..end(rest)).unwrap_or_default());
    }
    if let Some((_, rest)) = text.split_once(" as unix-user:") {
        let target = rest.get(..end(rest)).unwrap_or_default();
        draft.str(fields::USER_EFFECTIVE_NAME, target);
        draft.str(fields::USER_TARGET_NAME, target);
    }
    if let Some((_, rest)) = text.split_once(" for action ") {
        draft.vendor("polkit", "action", rest.get(..end(rest)).unwrap_or_default());
    }
    true
}

/// `anna: Executing command [USER=root] [TTY=/dev/pts/3] [CWD=/home/anna] [COMMAND=/usr/bin/id]`, or why not in that place.
fn pkexec(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((who, command)) = text.split_once(" [COMMAND=") else { return false };
    let Some((user, what)) = who.split_once(": ") else { return false };
    let Some((what, about)) = what.split_once(" [USER=") else { return false };
    let allowed = what == "Executing command";
    draft.name(fields::EVENT_MODULE, "polkit");
    draft.event("process", "pkexec_command", if allowed { "success" } else { "failure" });
    draft.str(fields::EVENT_REASON, if allowed { "" } else { what });
    draft.str(fields::USER_NAME, user);
    let target = about.split(']').next().unwrap_or_default();
    draft.str(fields::USER_EFFECTIVE_NAME, target);
    draft.str(fields::USER_TARGET_NAME, target);
    draft.str(fields::PROCESS_COMMAND_LINE, command.strip_suffix(']').unwrap_or(command));
    true
}

/// The kernel's lines behind `[12345.678901] `.
fn kernel(text: &str, draft: &mut Draft<'_>) -> bool {
    let text = match text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((time, rest)) if time.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'.')) => rest,
        _ => text,
    };
    let known = out_of_memory(text, draft) || crash(text, draft) || usb(text, draft) || link(text, draft) || trouble(text, draft);
    if known {
        draft.name(fields::EVENT_MODULE, "kernel");
    }
    known
}

/// `Out of memory: Killed process 1234 (mysqld) total-vm:…, UID:112 …`, `oom-kill:constraint=…,task=mysqld,pid=1234,uid=112`
fn out_of_memory(text: &str, draft: &mut Draft<'_>) -> bool {
    let (name, pid, user_id) = if let Some((_, rest)) = text.split_once("illed process ").filter(|(before, _)| before.contains("emory")) {
        let Some((pid, rest)) = rest.split_once([' ', ',']) else { return false };
        let name = between(rest, "(", ")").map_or("", |(name, _)| name);
        (name, pid, between(rest, "UID:", " ").map_or("", |(id, _)| id))
    } else if let Some(rest) = text.strip_prefix("oom-kill:") {
        let value = |name: &str| rest.split(',').find_map(|part| part.strip_prefix(name)).unwrap_or_default();
        (value("task="), value("pid="), value("uid="))
    } else if let Some((name, _)) = text.split_once(" invoked oom-killer") {
        (name, "", "")
    } else {
        return false;
    };
    draft.event("process", "out_of_memory", "failure");
    draft.vendor("kernel", "process.name", name);
    if is_number(pid) {
        draft.vendor("kernel", "process.pid", pid);
    }
    draft.str(fields::USER_ID, user_id.trim_end_matches(','));
    true
}

/// `nginx[1234]: segfault at 0 ip … in libc.so.6[…]`, `traps: nginx[1234] general protection fault ip:…`
fn crash(text: &str, draft: &mut Draft<'_>) -> bool {
    let text = text.strip_prefix("traps: ").unwrap_or(text);
    let Some((name, rest)) = text.split_once('[') else { return false };
    let Some((pid, what)) = rest.split_once(']').filter(|(pid, _)| is_number(pid)) else { return false };
    let what = what.trim_start_matches([':', ' ']);
    if !["segfault at", "general protection", "trap "].iter().any(|opening| what.starts_with(opening)) {
        return false;
    }
    draft.event("process", "process_crashed", "failure");
    draft.vendor("kernel", "process.name", name);
    draft.vendor("kernel", "process.pid", pid);
    draft.str(fields::EVENT_REASON, what);
    true
}

/// `usb 1-1: New USB device found, idVendor=0781, idProduct=5583, bcdDevice= 1.00`, `usb 1-1: USB disconnect, device number 5`
fn usb(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((port, what)) =
        text.strip_prefix("usb").and_then(|rest| rest.trim_start_matches("-storage").strip_prefix(' ')?.split_once(": "))
    else {
        return false;
    };
    let action = match what {
        _ if what.starts_with("New USB device found") || what.starts_with("new ") && what.contains("USB device number") => "usb_connected",
        _ if what.starts_with("USB disconnect") => "usb_disconnected",
        _ if what.starts_with("USB Mass Storage device detected") => "usb_storage_connected",
        _ if ["Product: ", "Manufacturer: ", "SerialNumber: "].iter().any(|name| what.starts_with(name)) => "usb_described",
        _ => return false,
    };
    draft.event("host", action, "");
    draft.vendor("kernel", "usb.port", port);
    for (name, key) in [
        ("idVendor=", "usb.vendor_id"),
        ("idProduct=", "usb.product_id"),
        ("Product: ", "usb.product"),
        ("Manufacturer: ", "usb.manufacturer"),
        ("SerialNumber: ", "usb.serial_number"),
    ] {
        let value = if name.ends_with('=') {
            what.split_once(name).map(|(_, rest)| rest.split(',').next().unwrap_or_default())
        } else {
            what.strip_prefix(name)
        };
        draft.vendor("kernel", key, value.unwrap_or_default().trim());
    }
    true
}

/// `e1000e 0000:00:1f.6 eno1: NIC Link is Up 1000 Mbps …`, `eth0: link down`, `device eth0 entered promiscuous mode`
fn link(text: &str, draft: &mut Draft<'_>) -> bool {
    if let Some((before, what)) = text.split_once(" promiscuous mode").map(|(before, _)| before).and_then(|text| text.rsplit_once(' ')) {
        let interface = before.trim_start_matches("device ").trim_end_matches(':');
        draft.event("network", if what == "entered" { "promiscuous_mode_on" } else { "promiscuous_mode_off" }, "");
        draft.str(fields::OBSERVER_INGRESS_INTERFACE, interface.rsplit(' ').next().unwrap_or_default());
        return true;
    }
    let found = [": NIC Link is ", ": Link is ", ": NIC link is ", ": link is ", ": link ", ": Link "]
        .iter()
        .find_map(|mark| text.split_once(mark));
    let Some((before, rest)) = found else { return false };
    let action = match rest.get(..2).unwrap_or_default() {
        "Up" | "up" | "UP" => "link_up",
        "be" if rest.starts_with("becomes ready") => "link_up",
        "Do" | "do" | "DO" => "link_down",
        _ => return false,
    };
    draft.event("network", action, "");
    draft.str(fields::OBSERVER_INGRESS_INTERFACE, before.rsplit(' ').next().unwrap_or_default());
    true
}

/// Signs of failing hardware and of a system under attack, by a piece of their text.
const TROUBLES: &[(&str, &str, &str)] = &[
    ("Kernel panic - not syncing", "host", "kernel_panic"),
    ("nf_conntrack: table full", "network", "conntrack_full"),
    ("Possible SYN flooding on port ", "network", "syn_flood"),
    ("I/O error", "host", "disk_error"),
    ("-fs error ", "host", "filesystem_error"),
    ("Disk failure on ", "host", "disk_error"),
    ("temperature above threshold", "host", "temperature"),
    ("blocked for more than ", "host", "task_blocked"),
    ("martian source ", "network", "martian_source"),
];

fn trouble(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((mark, category, action)) = TROUBLES.iter().find(|(mark, ..)| text.contains(mark)) else { return false };
    draft.event(category, action, "failure");
    draft.str(fields::EVENT_REASON, text);
    if *action == "martian_source"
        && let Some((_, rest)) = text.split_once(mark)
        && let Some((to, rest)) = rest.split_once(" from ")
        && let Some((from, interface)) = rest.split_once(", on dev ")
    {
        draft.source(from);
        draft.optional(fields::DESTINATION_IP, to);
        draft.str(fields::OBSERVER_INGRESS_INTERFACE, interface);
    }
    true
}

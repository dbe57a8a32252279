//! Windows events: one table of what an event id means, and one of what its data are called in ECS, for every way they
//! come. EventData keep their names below `winlog.event_data`, as Sigma's rules and Winlogbeat have them.

mod snare;
mod text;
mod xml;

pub(super) use snare::{decode as snare, first_look as snare_first_look};
pub(super) use xml::{decode as xml, first_look as xml_first_look};

use super::draft::Draft;
use super::part::{is_number, some};
use crate::fields::{self, FieldId};

const SECURITY: &str = "Security";

/// What a Windows event says of itself, whichever way it came.
#[derive(Clone, Copy, Debug, Default)]
struct System<'t> {
    channel: &'t str,
    provider: &'t str,
    id: &'t str,
    computer: &'t str,
    record: &'t str,
}

fn put_system(system: System<'_>, draft: &mut Draft<'_>) {
    draft.name(fields::EVENT_MODULE, "windows");
    draft.str(fields::EVENT_CODE, system.id);
    draft.vendor("winlog", "channel", system.channel);
    draft.vendor("winlog", "provider_name", system.provider);
    draft.vendor("winlog", "record_id", system.record);
    if is_number(system.id) {
        draft.vendor("winlog", "event_id", system.id);
    }
    draft.vendor("winlog", "computer_name", system.computer);
    if !draft.has(fields::HOST_NAME) {
        draft.str(fields::HOST_NAME, system.computer);
    }
    meaning(system.channel, system.provider, system.id, draft);
}

/// An event that a shipper sent as JSON: Winlogbeat's names stand below `winlog.`, NXLog's at the top.
pub(super) fn shipped(draft: &mut Draft<'_>, prefix: &str) {
    let named = |draft: &Draft<'_>, name: &str| draft.named_text(name).unwrap_or_default();
    let (id, channel, provider, computer) = if prefix.is_empty() {
        (named(draft, "EventID"), named(draft, "Channel"), named(draft, "SourceName"), named(draft, "Hostname"))
    } else {
        (
            named(draft, "winlog.event_id"),
            named(draft, "winlog.channel"),
            named(draft, "winlog.provider_name"),
            named(draft, "winlog.computer_name"),
        )
    };
    if !draft.has(fields::EVENT_CODE) {
        draft.str(fields::EVENT_CODE, &id);
    }
    if !draft.has(fields::HOST_NAME) {
        draft.str(fields::HOST_NAME, &computer);
    }
    if prefix.is_empty() {
        draft.vendor("winlog", "channel", &channel);
        draft.vendor("winlog", "event_id", &id);
    }
    for name in DATA {
        let own = if prefix.is_empty() { (*name).to_owned() } else { format!("winlog.event_data.{name}") };
        let Some(value) = draft.named_text(&own) else { continue };
        if prefix.is_empty() {
            put_data(name, &value, draft);
        } else if let Some(field) = ecs(name) {
            put_ecs(field, value.trim(), draft);
        }
    }
    // Winlogbeat's modules have said what it is; without them the table does.
    if !draft.has(fields::EVENT_ACTION) || !draft.has(fields::EVENT_CATEGORY) {
        meaning(&channel, &provider, &id, draft);
    }
}

/// EventData that rules and analysts ask for; others keep the names they came with.
const DATA: &[&str] = &[
    "TargetUserName",
    "SubjectUserName",
    "User",
    "TargetDomainName",
    "TargetSid",
    "LogonType",
    "IpAddress",
    "IpPort",
    "SourceIp",
    "SourcePort",
    "SourceAddress",
    "DestinationIp",
    "DestinationPort",
    "DestAddress",
    "DestPort",
    "DestinationHostname",
    "WorkstationName",
    "Workstation",
    "NewProcessName",
    "Image",
    "ProcessName",
    "CommandLine",
    "ParentProcessName",
    "ParentImage",
    "ParentCommandLine",
    "QueryName",
    "TargetFilename",
    "ShareName",
    "RelativeTargetName",
    "ServiceName",
    "ImagePath",
    "TaskName",
    "ScriptBlockText",
    "Status",
    "SubStatus",
];

/// What an event id means: category, action, outcome (Microsoft's "Events to monitor" and Sysmon's manual).
fn meaning(channel: &str, provider: &str, id: &str, draft: &mut Draft<'_>) {
    let Some((category, action, outcome)) = (match (channel, id) {
        (SECURITY, "4624") => Some(("authentication", "logon", "success")),
        (SECURITY, "4625") => Some(("authentication", "logon", "failure")),
        (SECURITY, "4634" | "4647") => Some(("authentication", "logoff", "success")),
        (SECURITY, "4648") => Some(("authentication", "logon_explicit_credentials", "")),
        (SECURITY, "4672") => Some(("iam", "logon_special_privileges", "success")),
        (SECURITY, "4768") => Some(("authentication", "kerberos_ticket_requested", "")),
        (SECURITY, "4769") => Some(("authentication", "kerberos_service_ticket_requested", "")),
        (SECURITY, "4771") => Some(("authentication", "kerberos_preauthentication", "failure")),
        (SECURITY, "4776") => Some(("authentication", "credential_validated", "")),
        (SECURITY, "4740") => Some(("iam", "user_locked_out", "success")),
        (SECURITY, "4767") => Some(("iam", "user_unlocked", "success")),
        (SECURITY, "4720") => Some(("iam", "user_created", "success")),
        (SECURITY, "4722") => Some(("iam", "user_enabled", "success")),
        (SECURITY, "4723" | "4724") => Some(("iam", "password_reset", "")),
        (SECURITY, "4725") => Some(("iam", "user_disabled", "success")),
        (SECURITY, "4726") => Some(("iam", "user_deleted", "success")),
        (SECURITY, "4738") => Some(("iam", "user_changed", "success")),
        (SECURITY, "4727" | "4731" | "4754") => Some(("iam", "group_created", "success")),
        (SECURITY, "4728" | "4732" | "4756") => Some(("iam", "group_member_added", "success")),
        (SECURITY, "4729" | "4733" | "4757") => Some(("iam", "group_member_removed", "success")),
        (SECURITY, "4688") => Some(("process", "process_started", "success")),
        (SECURITY, "4689") => Some(("process", "process_ended", "success")),
        (SECURITY, "4697") | ("System", "7045") => Some(("configuration", "service_installed", "success")),
        (SECURITY, "4698") => Some(("configuration", "scheduled_task_created", "success")),
        (SECURITY, "4702") => Some(("configuration", "scheduled_task_changed", "success")),
        (SECURITY, "4719") => Some(("configuration", "audit_policy_changed", "success")),
        (SECURITY, "1102") | ("System", "104") => Some(("iam", "log_cleared", "success")),
        (SECURITY, "5140" | "5145") => Some(("file", "share_accessed", "")),
        (SECURITY, "5156") => Some(("network", "allowed", "success")),
        (SECURITY, "5157" | "5152") => Some(("network", "blocked", "failure")),
        (_, "4104") if provider.contains("PowerShell") => Some(("process", "powershell_script", "")),
        (_, "1116" | "1117") if provider.contains("Defender") => Some(("malware", "malware_detected", "success")),
        (_, "5001") if provider.contains("Defender") => Some(("configuration", "protection_disabled", "success")),
        (_, "1") if provider.contains("Sysmon") => Some(("process", "process_started", "success")),
        (_, "3") if provider.contains("Sysmon") => Some(("network", "connection", "success")),
        (_, "5") if provider.contains("Sysmon") => Some(("process", "process_ended", "success")),
        (_, "7") if provider.contains("Sysmon") => Some(("process", "image_loaded", "success")),
        (_, "8") if provider.contains("Sysmon") => Some(("process", "remote_thread_created", "success")),
        (_, "10") if provider.contains("Sysmon") => Some(("process", "process_accessed", "success")),
        (_, "11") if provider.contains("Sysmon") => Some(("file", "file_created", "success")),
        (_, "12" | "13" | "14") if provider.contains("Sysmon") => Some(("configuration", "registry_changed", "success")),
        (_, "22") if provider.contains("Sysmon") => Some(("network", "dns_query", "success")),
        _ => None,
    }) else {
        return;
    };
    draft.event(category, action, outcome);
}

/// One of an event's data: below `winlog.event_data` under its own name, and under ECS' where it has one.
fn put_data(name: &str, value: &str, draft: &mut Draft<'_>) {
    let value = value.trim();
    if name.is_empty() || some(value).is_empty() {
        return;
    }
    if let Some(field) = draft.vendor_field(&["winlog.event_data.", name]) {
        draft.str(field, value);
    }
    if let Some(field) = ecs(name) {
        put_ecs(field, value, draft);
    }
}

/// ECS' name for one of an event's data.
fn ecs(name: &str) -> Option<FieldId> {
    Some(match name {
        "TargetUserName" | "User" | "LogonAccount" => fields::USER_NAME,
        "SubjectUserName" => fields::SOURCE_USER_NAME,
        "TargetSid" => fields::USER_ID,
        "IpAddress" | "SourceAddress" | "SourceIp" | "ClientAddress" => fields::SOURCE_IP,
        "IpPort" | "SourcePort" | "ClientPort" => fields::SOURCE_PORT,
        "DestAddress" | "DestinationIp" => fields::DESTINATION_IP,
        "DestPort" | "DestinationPort" => fields::DESTINATION_PORT,
        "DestinationHostname" => fields::DESTINATION_DOMAIN,
        "WorkstationName" | "Workstation" | "SourceHostname" => fields::SOURCE_DOMAIN,
        "NewProcessName" | "Image" | "ProcessName" => fields::PROCESS_EXECUTABLE,
        "CommandLine" => fields::PROCESS_COMMAND_LINE,
        "ParentProcessName" | "ParentImage" => fields::PROCESS_PARENT_EXECUTABLE,
        "QueryName" => fields::DNS_QUESTION_NAME,
        "TargetFilename" | "ShareName" | "RelativeTargetName" => fields::FILE_PATH,
        _ => return None,
    })
}

/// The first that names a field wins; a machine's loopback says nothing.
fn put_ecs(field: FieldId, value: &str, draft: &mut Draft<'_>) {
    let is_machine = field == fields::SOURCE_IP && value == "LOCAL";
    if !draft.has(field) && !is_machine && !some(value).is_empty() {
        draft.typed(field, value);
    }
}

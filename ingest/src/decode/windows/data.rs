//! What an event's data are called in ECS. Their own names stay below `winlog.event_data`; here their values are put in
//! ECS' fields beside them, each account in the place of its role (`Who`), so that none overwrites another.

use std::borrow::Cow;

use super::meaning::{Family, Who};
use crate::decode::draft::{Draft, address};
use crate::decode::part::some;
use crate::fields::{self, FieldId};

/// Where a value goes, and how it is read.
#[derive(Clone, Copy)]
enum Put {
    Text(FieldId),
    Address(FieldId),
    Port(FieldId),
    /// `0x1f4` or `500`.
    Number(FieldId),
    /// A program's file, and its name.
    Program(FieldId, FieldId),
    File,
    /// A file, or a key of the registry: `ObjectType` says which.
    Object,
    Registry,
    Hashes,
    Protocol,
    Answers,
    /// `DOMAIN\name`.
    Account,
    /// `CN=Anna Muster,OU=…`.
    Member,
    LogonType,
    Initiated,
    Direction,
    /// Lines of `Key = value` or `Key=value`.
    Context,
    Url,
    Reason,
    Precise,
    /// A vendor's field, by prefix and key.
    Vendor(&'static str, &'static str),
}

/// All data of an event, by their names.
pub(super) fn all<'a>(draft: &Draft<'a>) -> Vec<(&'static str, Cow<'a, str>)> {
    places(draft).into_iter().map(|(name, at)| (name, draft.text_at(at))).collect()
}

fn places(draft: &Draft<'_>) -> Vec<(&'static str, usize)> {
    let mut places = Vec::with_capacity(32);
    for (at, id) in draft.ids().enumerate() {
        if id.known().is_none() {
            let name = id.name();
            let data = name.strip_prefix("winlog.event_data.").or_else(|| name.strip_prefix("winlog.user_data."));
            places.extend(data.map(|data| (data, at)));
        }
    }
    places
}

/// Puts what the data say in ECS' fields. The first that names a field wins.
pub(super) fn put(family: Family, id: u32, who: Who, draft: &mut Draft<'_>) {
    let places = places(draft);
    let is_key = family == Family::Security
        && places.iter().any(|(name, at)| *name == "ObjectType" && matches!(draft.text_at(*at).as_ref(), "Key" | "Schlüssel"));
    // Read first and put then: what is put may take the place of what the header said, and move the others.
    let named = |(name, at)| Some((account(who, id, name).or_else(|| place(family, id, name))?, draft.text_at(at)));
    let all: Vec<(Put, Cow<'_, str>)> = places.into_iter().filter_map(named).collect();
    for (put, text) in all {
        let text = some(text.trim());
        // `S-1-0-0` is nobody.
        if !matches!(text, "" | "N/A" | "S-1-0-0" | "NULL SID") {
            put_one(put, text, is_key, draft);
        }
    }
}

/// The places of accounts, by who acts.
fn account(who: Who, id: u32, name: &str) -> Option<Put> {
    use fields::{
        GROUP_DOMAIN, GROUP_ID, GROUP_NAME, SOURCE_DOMAIN, USER_DOMAIN, USER_EFFECTIVE_DOMAIN, USER_EFFECTIVE_ID, USER_EFFECTIVE_NAME,
        USER_ID, USER_NAME, USER_TARGET_DOMAIN, USER_TARGET_ID, USER_TARGET_NAME,
    };
    let target = match who {
        Who::Target => [USER_NAME, USER_DOMAIN, USER_ID],
        Who::Effective => [USER_EFFECTIVE_NAME, USER_EFFECTIVE_DOMAIN, USER_EFFECTIVE_ID],
        Who::Account => [USER_TARGET_NAME, USER_TARGET_DOMAIN, USER_TARGET_ID],
        Who::Group => [GROUP_NAME, GROUP_DOMAIN, GROUP_ID],
        Who::Subject | Who::User => [USER_TARGET_NAME, USER_TARGET_DOMAIN, USER_TARGET_ID],
    };
    let [target_name, target_domain, target_id] = target;
    Some(match name {
        // A lockout names the computer where the wrong passwords came from in the place of the domain.
        "TargetDomainName" if id == 4740 => Put::Text(SOURCE_DOMAIN),
        "TargetUserName" | "OldTargetUserName" => Put::Text(target_name),
        "TargetDomainName" => Put::Text(target_domain),
        "TargetUserSid" | "TargetSid" => Put::Text(target_id),
        // Of a logon the subject is the machine that reports it; it stays in the data.
        "SubjectUserName" | "SubjectDomainName" | "SubjectUserSid" if who == Who::Target => return None,
        "SubjectUserName" => Put::Text(USER_NAME),
        "SubjectDomainName" => Put::Text(USER_DOMAIN),
        "SubjectUserSid" => Put::Text(USER_ID),
        "MemberName" => Put::Member,
        "MemberSid" => Put::Text(USER_TARGET_ID),
        _ => return None,
    })
}

/// The places of everything else.
fn place(family: Family, id: u32, name: &str) -> Option<Put> {
    use Family::{AppLocker, Bits, Defender, DnsClient, PowerShell, Security, Sysmon, System, TaskScheduler, TerminalServices, Wmi};
    Some(match (family, name) {
        (_, "IpAddress" | "SourceIp" | "ClientAddress" | "ClientIP") => Put::Address(fields::SOURCE_IP),
        (Security, "SourceAddress") => Put::Address(fields::SOURCE_IP),
        (TerminalServices, "Address" | "Param3") => Put::Address(fields::SOURCE_IP),
        (TerminalServices, "Param1") => Put::Text(fields::USER_NAME),
        (TerminalServices, "Param2") => Put::Text(fields::USER_DOMAIN),
        (_, "IpPort" | "SourcePort" | "ClientPort") => Put::Port(fields::SOURCE_PORT),
        (_, "DestAddress" | "DestinationIp") => Put::Address(fields::DESTINATION_IP),
        (_, "DestPort" | "DestinationPort") => Put::Port(fields::DESTINATION_PORT),
        (_, "DestinationHostname" | "TargetServerName") => Put::Text(fields::DESTINATION_DOMAIN),
        (_, "WorkstationName" | "Workstation" | "SourceHostname") => Put::Text(fields::SOURCE_DOMAIN),
        (Security, "ClientName") => Put::Text(fields::SOURCE_DOMAIN),
        (Security, "AccountName") => Put::Text(fields::USER_NAME),
        (Security, "AccountDomain") => Put::Text(fields::USER_DOMAIN),
        (Security | Sysmon, "Protocol") => Put::Protocol,
        (Sysmon, "Initiated") => Put::Initiated,
        (Security, "Direction") => Put::Direction,
        // Processes.
        (_, "NewProcessName" | "Image" | "Application" | "SourceImage" | "Process_Name") => {
            Put::Program(fields::PROCESS_EXECUTABLE, fields::PROCESS_NAME)
        }
        (_, "ProcessName" | "CallerProcessName") => Put::Program(fields::PROCESS_EXECUTABLE, fields::PROCESS_NAME),
        (_, "NewProcessId" | "SourceProcessId") => Put::Number(fields::PROCESS_PID),
        // Of a process' start it is the creator's.
        (Security, "ProcessId") if id == 4688 => Put::Number(fields::PROCESS_PARENT_PID),
        (Security | Sysmon, "ProcessId" | "ProcessID" | "CallerProcessId") => Put::Number(fields::PROCESS_PID),
        (_, "CommandLine") => Put::Text(fields::PROCESS_COMMAND_LINE),
        (Sysmon, "CurrentDirectory") => Put::Text(fields::PROCESS_WORKING_DIRECTORY),
        (Sysmon, "ProcessGuid" | "SourceProcessGUID" | "SourceProcessGuid") => Put::Text(fields::PROCESS_ENTITY_ID),
        (Sysmon, "ParentProcessGuid") => Put::Text(fields::PROCESS_PARENT_ENTITY_ID),
        (Sysmon, "ParentProcessId") => Put::Number(fields::PROCESS_PARENT_PID),
        (_, "ParentProcessName" | "ParentImage") => Put::Program(fields::PROCESS_PARENT_EXECUTABLE, fields::PROCESS_PARENT_NAME),
        (Sysmon, "ParentCommandLine") => Put::Text(fields::PROCESS_PARENT_COMMAND_LINE),
        (Sysmon, "Hashes" | "Hash") => Put::Hashes,
        // Files and the registry.
        (Sysmon, "TargetFilename" | "ImageLoaded" | "PipeName" | "Device") => Put::File,
        (Security, "ObjectName") => Put::Object,
        // Of a file on a share the path within it says more than the share, and comes behind it.
        (Security, "ShareName") if id != 5145 => Put::File,
        (Security, "RelativeTargetName") => Put::File,
        (AppLocker, "FilePath") => Put::File,
        (AppLocker, "TargetUser") => Put::Text(fields::USER_ID),
        (Sysmon, "TargetObject") => Put::Registry,
        (Sysmon, "Details") | (Security, "NewValue") => Put::Text(fields::REGISTRY_DATA),
        (Security, "ObjectValueName") => Put::Text(fields::REGISTRY_VALUE),
        // Names.
        (Sysmon | DnsClient, "QueryName") => Put::Text(fields::DNS_QUESTION_NAME),
        (Sysmon | DnsClient, "QueryResults") => Put::Answers,
        (Security | System, "ServiceName") => Put::Text(fields::SERVICE_NAME),
        (System, "param1") if id == 7036 || id == 7040 => Put::Text(fields::SERVICE_NAME),
        (System, "param7") if id == 1074 => Put::Account,
        (System, "param1") if id == 1074 => Put::Program(fields::PROCESS_EXECUTABLE, fields::PROCESS_NAME),
        (System, "param3") if id == 1074 => Put::Reason,
        (_, "RuleName" | "Threat_Name") => Put::Text(fields::RULE_NAME),
        (Defender, "Threat_ID") => Put::Text(fields::RULE_ID),
        (Defender, "Path") => Put::File,
        (Defender, "Detection_User" | "User") => Put::Account,
        (Security, "LogonType") => Put::LogonType,
        // The second status says more, where it says anything.
        (Security, "SubStatus") if id == 4625 => Put::Precise,
        (Security, "Status") if matches!(id, 4625 | 4768 | 4769 | 4771 | 4776) => Put::Reason,
        (Sysmon | TerminalServices | Wmi | Bits, "User" | "SourceUser") => Put::Account,
        (TaskScheduler, "UserContext" | "UserName") => Put::Account,
        (Bits, "jobOwner") => Put::Account,
        (Bits, "url" | "RemoteName") => Put::Url,
        (PowerShell, "Data" | "ContextInfo") => Put::Context,
        (PowerShell, "Path") => Put::File,
        // A long script comes in parts.
        (PowerShell, "MessageNumber") => Put::Vendor("powershell", "sequence"),
        (PowerShell, "MessageTotal") => Put::Vendor("powershell", "total"),
        (PowerShell, "ScriptBlockId") => Put::Vendor("powershell.file", "script_block_id"),
        _ => return None,
    })
}

fn put_one(put: Put, text: &str, is_key: bool, draft: &mut Draft<'_>) {
    match put {
        Put::Text(field) => once(field, text, draft),
        Put::Address(field) => {
            // `::ffff:10.0.0.7` is how Windows writes IPv4 on a socket for both.
            if let Some(address) = address(text).filter(|_| !draft.has(field)) {
                draft.put_ip(field, address.to_canonical());
            }
        }
        Put::Port(field) => {
            if let Ok(port @ 1..=65_535) = text.parse::<i64>()
                && !draft.has(field)
            {
                draft.int(field, port);
            }
        }
        Put::Number(field) => {
            let number = match text.strip_prefix("0x") {
                Some(hex) => i64::from_str_radix(hex, 16).ok(),
                None => text.parse().ok(),
            };
            if let Some(number) = number {
                // In the place of the header's, which is the agent's.
                draft.remove(field);
                draft.int(field, number);
            }
        }
        Put::Program(path, name) => {
            let said = draft.has(path);
            once(path, text, draft);
            if !said {
                // The header's program is the agent, which only passes the event on.
                draft.replace(name, file_name(text));
            }
        }
        Put::File => file(text, draft),
        Put::Object if is_key => registry(text, draft),
        Put::Object => file(text, draft),
        Put::Registry => registry(text, draft),
        Put::Hashes => hashes(text, draft),
        Put::Protocol => {
            let name = match text {
                "6" | "tcp" | "TCP" => "tcp",
                "17" | "udp" | "UDP" => "udp",
                "1" => "icmp",
                "58" => "ipv6-icmp",
                _ => return once(fields::NETWORK_TRANSPORT, text, draft),
            };
            draft.name(fields::NETWORK_TRANSPORT, name);
        }
        Put::Answers => {
            for answer in text.split(';').map(str::trim).filter_map(address).take(ANSWERS_MAX) {
                draft.put_ip(fields::DNS_RESOLVED_IP, answer.to_canonical());
            }
        }
        Put::Account => {
            let (domain, name) = text.split_once('\\').unwrap_or(("", text));
            if !draft.has(fields::USER_NAME) {
                draft.str(fields::USER_NAME, name);
                once(fields::USER_DOMAIN, domain, draft);
            }
        }
        Put::Member => {
            let name = text.strip_prefix("CN=").or_else(|| text.strip_prefix("cn="));
            once(fields::USER_TARGET_NAME, name.map_or(text, |name| name.split(",").next().unwrap_or(name)), draft);
        }
        Put::LogonType => {
            let name = match text {
                "2" => "Interactive",
                "3" => "Network",
                "4" => "Batch",
                "5" => "Service",
                "7" => "Unlock",
                "8" => "NetworkCleartext",
                "9" => "NewCredentials",
                "10" => "RemoteInteractive",
                "11" => "CachedInteractive",
                "12" => "CachedRemoteInteractive",
                "13" => "CachedUnlock",
                _ => return,
            };
            draft.vendor("winlog.logon", "type", name);
        }
        Put::Initiated => draft.name(fields::NETWORK_DIRECTION, if text == "true" { "egress" } else { "ingress" }),
        Put::Direction => match text {
            "%%14592" | "Inbound" | "Eingehend" => draft.name(fields::NETWORK_DIRECTION, "ingress"),
            "%%14593" | "Outbound" | "Ausgehend" => draft.name(fields::NETWORK_DIRECTION, "egress"),
            _ => {}
        },
        Put::Context => context(text, draft),
        Put::Url => {
            once(fields::URL_FULL, text, draft);
            let host = text.split_once("://").and_then(|(_, rest)| rest.split(['/', ':', '?']).next());
            once(fields::URL_DOMAIN, host.unwrap_or_default(), draft);
        }
        Put::Precise => {
            if let Some(reason) = status(text) {
                draft.remove(fields::EVENT_REASON);
                draft.name(fields::EVENT_REASON, reason);
            }
        }
        Put::Vendor(prefix, key) => draft.vendor(prefix, key, text),
        Put::Reason => once(fields::EVENT_REASON, status(text).unwrap_or(if text.starts_with("0x") { "" } else { text }), draft),
    }
}

/// A name with more addresses is a content network; the rest stays in the data.
const ANSWERS_MAX: usize = 16;

fn once(field: FieldId, text: &str, draft: &mut Draft<'_>) {
    if !draft.has(field) && !some(text).is_empty() {
        draft.str(field, text);
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

fn file(text: &str, draft: &mut Draft<'_>) {
    // Defender writes `file:_C:\x.exe; containerfile:_…`.
    let text = text.strip_prefix("file:_").map_or(text, |path| path.split(';').next().unwrap_or(path));
    if !draft.has(fields::FILE_PATH) {
        draft.str(fields::FILE_PATH, text);
        draft.str(fields::FILE_NAME, file_name(text));
    }
}

fn registry(text: &str, draft: &mut Draft<'_>) {
    once(fields::REGISTRY_PATH, text, draft);
    if let Some((hive, rest)) = text.trim_start_matches('\\').split_once('\\') {
        once(fields::REGISTRY_HIVE, hive, draft);
        once(fields::REGISTRY_KEY, rest, draft);
    }
}

/// `SHA1=…,MD5=…,SHA256=…,IMPHASH=…`: of the process where one starts, else of the file.
fn hashes(text: &str, draft: &mut Draft<'_>) {
    let of_process = draft.text(fields::EVENT_CODE) == Some("1");
    for (kind, hash) in text.split(',').filter_map(|pair| pair.split_once('=')) {
        let [process, file] = match kind.trim() {
            "MD5" => [fields::PROCESS_HASH_MD5, fields::FILE_HASH_MD5],
            "SHA1" => [fields::PROCESS_HASH_SHA1, fields::FILE_HASH_SHA1],
            "SHA256" => [fields::PROCESS_HASH_SHA256, fields::FILE_HASH_SHA256],
            "IMPHASH" => [fields::PROCESS_PE_IMPHASH, fields::FILE_PE_IMPHASH],
            _ => continue,
        };
        // Indicator lists are in small letters.
        draft.str(if of_process { process } else { file }, &hash.to_ascii_lowercase());
    }
}

/// What PowerShell says of who runs it and how: `HostApplication=…` (400, 403, 600), `Host Application = …` (4103).
fn context(text: &str, draft: &mut Draft<'_>) {
    for line in text.split(['\n', '\r', '\t']).take(CONTEXT_LINES_MAX) {
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        match key.trim() {
            "HostApplication" | "Host Application" | "Hostanwendung" => once(fields::PROCESS_COMMAND_LINE, value, draft),
            "User" | "UserId" | "Benutzer" => put_one(Put::Account, value, false, draft),
            "ScriptName" | "Script Name" | "Skriptname" if !value.is_empty() => file(value, draft),
            "EngineVersion" | "Engine Version" => draft.vendor("powershell.engine", "version", value),
            "CommandName" | "Command Name" | "Befehlsname" => draft.vendor("powershell.command", "name", value),
            _ => {}
        }
    }
}

/// PowerShell writes some fifteen.
const CONTEXT_LINES_MAX: usize = 64;

/// The usual reasons of a refused logon: NTSTATUS, and Kerberos' codes (RFC 4120, 7.5.9).
fn status(code: &str) -> Option<&'static str> {
    let number = u32::from_str_radix(code.strip_prefix("0x")?, 16).ok()?;
    Some(match number {
        0xC000_0064 | 0x6 => "unknown user",
        0xC000_006A | 0x18 => "wrong password",
        0xC000_006D => "wrong user name or password",
        0xC000_006E => "account restriction",
        0xC000_006F => "outside of logon hours",
        0xC000_0070 => "workstation not allowed",
        0xC000_0071 | 0x17 => "password expired",
        0xC000_0072 => "account disabled",
        0x12 => "account disabled, expired or locked out",
        0xC000_0133 | 0x25 => "clocks differ too much",
        0xC000_015B => "logon type not granted",
        0xC000_0193 => "account expired",
        0xC000_0224 => "password must be changed",
        0xC000_0234 => "account locked out",
        0xC000_0413 => "authentication firewall",
        0x7 => "unknown service",
        0x1F => "integrity check failed",
        0x20 => "ticket expired",
        _ => return None,
    })
}

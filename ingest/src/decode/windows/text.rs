//! An event's rendered English text, taken apart into its data: `Subject:   Account Name:  anna   …`. Agents that send
//! the text only (Snare, Windows' own forwarder as text) leave no names; these are what EventData calls them.

/// Parts of a text that say whose the following lines are.
const SECTIONS: [&str; 22] = [
    "Subject",
    "Creator Subject",
    "Target Subject",
    "New Logon",
    "Account For Which Logon Failed",
    "Account Whose Credentials Were Used",
    "Account That Was Locked Out",
    "Account Information",
    "Service Information",
    "Target Account",
    "New Account",
    "Member",
    "Group",
    "New Group",
    "Process Information",
    "Network Information",
    "Failure Information",
    "Logon Information",
    "Target Server",
    "Detailed Authentication Information",
    "Attributes",
    "Additional Information",
];

/// Gives each named value; the text ends where prose begins.
pub(super) fn each(text: &str, mut take: impl FnMut(&'static str, &str)) {
    let mut section = "";
    let mut label = "";
    for chunk in text.split("  ").map(str::trim).filter(|chunk| !chunk.is_empty()) {
        if let Some(name) = chunk.strip_suffix(':') {
            if SECTIONS.contains(&name) {
                (section, label) = (name, "");
            } else {
                label = name;
            }
            continue;
        }
        // `Label: value` with a single blank, as some labels are too long for a tab.
        let (name, value) = match chunk.split_once(": ") {
            Some((name, value)) if label.is_empty() && name.len() <= LABEL_BYTES_MAX => (name, value.trim()),
            _ => (label, chunk),
        };
        if let Some(data) = data_name(section, name) {
            take(data, value);
        }
        label = "";
    }
}

/// `Package Name (NTLM only)` and its like; prose is longer.
const LABEL_BYTES_MAX: usize = 40;

fn data_name(section: &str, label: &str) -> Option<&'static str> {
    let subject = matches!(section, "Subject" | "Creator Subject");
    Some(match label {
        "Account Name" if subject => "SubjectUserName",
        "Account Domain" if subject => "SubjectDomainName",
        "Security ID" if subject => "SubjectUserSid",
        "Logon ID" if subject => "SubjectLogonId",
        "Account Name" if section == "Member" => "MemberName",
        "Security ID" if section == "Member" => "MemberSid",
        "Group Name" => "TargetUserName",
        "Account Name" => "TargetUserName",
        "Account Domain" => "TargetDomainName",
        "Security ID" => "TargetSid",
        "Logon ID" => "TargetLogonId",
        "Logon Account" => "TargetUserName",
        "Source Workstation" => "Workstation",
        "Logon Type" => "LogonType",
        "Workstation Name" => "WorkstationName",
        "Source Network Address" | "Network Address" | "Client Address" | "Source Address" => "IpAddress",
        "Source Port" | "Port" | "Client Port" => "IpPort",
        "Destination Address" => "DestAddress",
        "Destination Port" => "DestPort",
        "Failure Reason" => "FailureReason",
        "Status" | "Error Code" => "Status",
        "Sub Status" => "SubStatus",
        "Authentication Package" => "AuthenticationPackageName",
        "Logon Process" => "LogonProcessName",
        "New Process Name" => "NewProcessName",
        "New Process ID" => "NewProcessId",
        "Creator Process Name" => "ParentProcessName",
        "Process Command Line" => "CommandLine",
        "Process Name" => "ProcessName",
        "Process ID" => "ProcessId",
        "Service Name" => "ServiceName",
        "Service File Name" => "ServiceFileName",
        "Task Name" => "TaskName",
        "Share Name" => "ShareName",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let mut out = Vec::new();
        super::each(text, |name, value| out.push(format!("{name}={value}")));
        expected.assert_eq(&out.join(" | "));
    }

    #[test]
    fn a_text_becomes_data() {
        check(
            "An account failed to log on.    Subject:   Security ID:  S-1-0-0   Account Name:  -   Account Domain:     Logon ID:  0x0    \
             Logon Type:   3    Account For Which Logon Failed:   Security ID:  S-1-0-0   Account Name:  anna   Account Domain:  KREIS    \
             Network Information:   Workstation Name: PC-7   Source Network Address: 203.0.113.9   Source Port:  4711",
            expect![
                "SubjectUserSid=S-1-0-0 | SubjectUserName=- | SubjectLogonId=0x0 | LogonType=3 | TargetSid=S-1-0-0 | TargetUserName=anna | TargetDomainName=KREIS | WorkstationName=PC-7 | IpAddress=203.0.113.9 | IpPort=4711"
            ],
        );
        check("Windows is starting up.    This event is logged when LSASS.EXE starts.", expect![""]);
        check("", expect![""]);
    }
}

//! What an event's number means, by who logs it: Microsoft's audit reference, Sysmon's manual, and the manifests of the
//! other channels. One row an event; nothing else in the house knows these numbers.

/// Who logs: numbers are told apart only within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Security,
    System,
    Sysmon,
    PowerShell,
    Defender,
    TaskScheduler,
    TerminalServices,
    AppLocker,
    Wmi,
    Bits,
    DnsClient,
    Firewall,
    Iis,
    Other,
}

/// Whose accounts the data's `Subject` and `Target` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The target is who acts: logons.
    Target,
    /// The subject is who acts.
    Subject,
    /// The subject acts as the target.
    Effective,
    /// The subject does something to the target's account.
    Account,
    /// The subject does something to a group, and a member.
    Group,
    /// `User` is who acts.
    User,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning {
    pub(super) category: &'static str,
    pub(super) kind: &'static str,
    pub(super) action: &'static str,
    pub(super) outcome: &'static str,
    pub(super) who: Who,
}

impl Family {
    pub(super) fn of(channel: &str, provider: &str) -> Self {
        let either = |part: &str| channel.contains(part) || provider.contains(part);
        if channel == "Security" || provider == "Microsoft-Windows-Security-Auditing" {
            Self::Security
        } else if either("Sysmon") {
            Self::Sysmon
        } else if either("PowerShell") {
            Self::PowerShell
        } else if either("Windows Defender") {
            Self::Defender
        } else if either("TaskScheduler") {
            Self::TaskScheduler
        } else if either("TerminalServices") {
            Self::TerminalServices
        } else if either("AppLocker") {
            Self::AppLocker
        } else if either("WMI-Activity") {
            Self::Wmi
        } else if either("Bits-Client") {
            Self::Bits
        } else if either("DNS-Client") {
            Self::DnsClient
        } else if either("Windows Firewall") {
            Self::Firewall
        } else if either("IIS-Logging") {
            Self::Iis
        } else if channel == "System" {
            Self::System
        } else {
            Self::Other
        }
    }
}

pub(super) fn meaning(family: Family, id: u32) -> Option<Meaning> {
    use Family::{
        AppLocker, Bits, Defender, DnsClient, Firewall, PowerShell, Security, Sysmon, System, TaskScheduler, TerminalServices, Wmi,
    };
    use Who::{Account, Effective, Group, Subject, Target, User};
    let (category, kind, action, outcome, who) = match (family, id) {
        // Logons.
        (Security, 4624) => ("authentication", "start", "logon", "success", Target),
        (Security, 4625) => ("authentication", "start", "logon", "failure", Target),
        (Security, 4634 | 4647) => ("authentication", "end", "logoff", "success", Target),
        (Security, 4648) => ("authentication", "start", "logon_explicit_credentials", "success", Effective),
        (Security, 4672) => ("iam", "admin", "logon_special_privileges", "success", Subject),
        (Security, 4778) => ("session", "start", "session_reconnected", "success", User),
        (Security, 4779) => ("session", "end", "session_disconnected", "success", User),
        (Security, 4800) => ("session", "info", "workstation_locked", "success", Target),
        (Security, 4801) => ("session", "info", "workstation_unlocked", "success", Target),
        (Security, 4768) => ("authentication", "start", "kerberos_ticket_requested", "", Target),
        (Security, 4769) => ("authentication", "start", "kerberos_service_ticket_requested", "", Target),
        (Security, 4770) => ("authentication", "start", "kerberos_ticket_renewed", "success", Target),
        (Security, 4771) => ("authentication", "start", "kerberos_preauthentication", "failure", Target),
        (Security, 4772 | 4773) => ("authentication", "start", "kerberos_ticket_requested", "failure", Target),
        (Security, 4774 | 4775) => ("authentication", "start", "account_mapped", "", Target),
        (Security, 4776) => ("authentication", "start", "credential_validated", "", Target),
        // Objects, registry, directory.
        (Security, 4656) => ("file", "access", "object_handle_requested", "", Subject),
        (Security, 4657) => ("registry", "change", "registry_changed", "success", Subject),
        (Security, 4658) => ("file", "access", "object_handle_closed", "", Subject),
        (Security, 4660) => ("file", "deletion", "object_deleted", "success", Subject),
        (Security, 4661) => ("iam", "access", "directory_handle_requested", "", Subject),
        (Security, 4662) => ("iam", "access", "directory_object_accessed", "", Subject),
        (Security, 4663) => ("file", "access", "object_accessed", "", Subject),
        (Security, 4670) => ("iam", "change", "permissions_changed", "success", Subject),
        (Security, 4673) => ("iam", "admin", "privileged_service_called", "", Subject),
        (Security, 4674) => ("iam", "admin", "privileged_object_operation", "", Subject),
        (Security, 5136) => ("configuration", "change", "directory_object_changed", "success", Subject),
        (Security, 5137) => ("configuration", "creation", "directory_object_created", "success", Subject),
        (Security, 5138) => ("configuration", "creation", "directory_object_undeleted", "success", Subject),
        (Security, 5139) => ("configuration", "change", "directory_object_moved", "success", Subject),
        (Security, 5141) => ("configuration", "deletion", "directory_object_deleted", "success", Subject),
        (Security, 5140) => ("file", "access", "share_accessed", "", Subject),
        (Security, 5142) => ("configuration", "creation", "share_created", "success", Subject),
        (Security, 5143) => ("configuration", "change", "share_changed", "success", Subject),
        (Security, 5144) => ("configuration", "deletion", "share_deleted", "success", Subject),
        (Security, 5145) => ("file", "access", "share_file_checked", "", Subject),
        // Processes, services, tasks.
        (Security, 4688) => ("process", "start", "process_started", "success", Effective),
        (Security, 4689) => ("process", "end", "process_ended", "success", Subject),
        (Security, 4696) => ("process", "info", "token_assigned", "success", Effective),
        (Security, 4697) => ("configuration", "installation", "service_installed", "success", Subject),
        (Security, 4698) => ("configuration", "creation", "scheduled_task_created", "success", Subject),
        (Security, 4699) => ("configuration", "deletion", "scheduled_task_deleted", "success", Subject),
        (Security, 4700) => ("configuration", "change", "scheduled_task_enabled", "success", Subject),
        (Security, 4701) => ("configuration", "change", "scheduled_task_disabled", "success", Subject),
        (Security, 4702) => ("configuration", "change", "scheduled_task_changed", "success", Subject),
        // Policies.
        (Security, 4719) => ("configuration", "change", "audit_policy_changed", "success", Subject),
        (Security, 4704 | 4717) => ("iam", "change", "user_right_assigned", "success", Account),
        (Security, 4705 | 4718) => ("iam", "change", "user_right_removed", "success", Account),
        (Security, 4739) => ("configuration", "change", "domain_policy_changed", "success", Subject),
        (Security, 4907) => ("configuration", "change", "audit_settings_changed", "success", Subject),
        (Security, 4946) => ("configuration", "creation", "firewall_rule_added", "success", Subject),
        (Security, 4947) => ("configuration", "change", "firewall_rule_changed", "success", Subject),
        (Security, 4948) => ("configuration", "deletion", "firewall_rule_deleted", "success", Subject),
        (Security, 4949) => ("configuration", "change", "firewall_restored_to_default", "success", Subject),
        (Security, 4950) => ("configuration", "change", "firewall_setting_changed", "success", Subject),
        // Accounts.
        (Security, 4720) => ("iam", "creation", "user_created", "success", Account),
        (Security, 4722) => ("iam", "change", "user_enabled", "success", Account),
        (Security, 4723) => ("iam", "change", "password_changed", "", Account),
        (Security, 4724) => ("iam", "change", "password_reset", "", Account),
        (Security, 4725) => ("iam", "change", "user_disabled", "success", Account),
        (Security, 4726) => ("iam", "deletion", "user_deleted", "success", Account),
        (Security, 4738) => ("iam", "change", "user_changed", "success", Account),
        (Security, 4740) => ("iam", "change", "user_locked_out", "success", Account),
        (Security, 4767) => ("iam", "change", "user_unlocked", "success", Account),
        (Security, 4781) => ("iam", "change", "user_renamed", "success", Account),
        (Security, 4741) => ("iam", "creation", "computer_created", "success", Account),
        (Security, 4742) => ("iam", "change", "computer_changed", "success", Account),
        (Security, 4743) => ("iam", "deletion", "computer_deleted", "success", Account),
        (Security, 4765 | 4766) => ("iam", "change", "sid_history_added", "", Account),
        (Security, 4780) => ("iam", "change", "permissions_changed", "success", Account),
        (Security, 4794) => ("iam", "change", "dsrm_password_changed", "", Subject),
        (Security, 4798) => ("iam", "info", "user_groups_listed", "success", Account),
        (Security, 4799) => ("iam", "info", "group_members_listed", "success", Group),
        // Groups: local, global, universal; with security and without.
        (Security, 4727 | 4731 | 4754 | 4744 | 4749 | 4759) => ("iam", "creation", "group_created", "success", Group),
        (Security, 4728 | 4732 | 4756 | 4746 | 4751 | 4761) => ("iam", "change", "group_member_added", "success", Group),
        (Security, 4729 | 4733 | 4757 | 4747 | 4752 | 4762) => ("iam", "change", "group_member_removed", "success", Group),
        (Security, 4730 | 4734 | 4758 | 4748 | 4753 | 4763) => ("iam", "deletion", "group_deleted", "success", Group),
        (Security, 4735 | 4737 | 4755 | 4745 | 4750 | 4760 | 4764) => ("iam", "change", "group_changed", "success", Group),
        // Network.
        (Security, 5031) => ("network", "denied", "application_blocked", "failure", Subject),
        (Security, 5152 | 5153) => ("network", "denied", "blocked", "failure", Subject),
        (Security, 5154) => ("network", "allowed", "listening", "success", Subject),
        (Security, 5155 | 5157 | 5159) => ("network", "denied", "blocked", "failure", Subject),
        (Security, 5156 | 5158) => ("network", "allowed", "allowed", "success", Subject),
        // The log itself.
        (Security, 1100) => ("configuration", "end", "logging_stopped", "success", Subject),
        (Security, 1101) => ("configuration", "error", "audit_events_dropped", "failure", Subject),
        (Security, 1102) | (System, 104) => ("iam", "deletion", "log_cleared", "success", Subject),
        (Security, 1104) => ("configuration", "error", "log_full", "failure", Subject),
        (Security, 1105) => ("configuration", "info", "log_archived", "success", Subject),
        (Security, 4608) => ("host", "start", "system_started", "success", Subject),
        (Security, 4616) => ("configuration", "change", "system_time_changed", "success", Subject),
        // System.
        (System, 7036) => ("configuration", "change", "service_state_changed", "", Subject),
        (System, 7040) => ("configuration", "change", "service_start_type_changed", "success", Subject),
        (System, 7045) => ("configuration", "installation", "service_installed", "success", Subject),
        (System, 7034 | 7031) => ("host", "error", "service_crashed", "failure", Subject),
        (System, 6005) => ("host", "start", "logging_started", "success", Subject),
        (System, 6006) => ("host", "end", "logging_stopped", "success", Subject),
        (System, 6008) => ("host", "error", "unexpected_shutdown", "failure", Subject),
        (System, 1074) => ("host", "end", "shutdown_requested", "success", Subject),
        // Sysmon.
        (Sysmon, 1) => ("process", "start", "process_started", "success", User),
        (Sysmon, 2) => ("file", "change", "file_time_changed", "success", User),
        (Sysmon, 3) => ("network", "connection", "connection", "success", User),
        (Sysmon, 4) => ("configuration", "change", "sysmon_state_changed", "success", User),
        (Sysmon, 5) => ("process", "end", "process_ended", "success", User),
        (Sysmon, 6) => ("driver", "start", "driver_loaded", "success", User),
        (Sysmon, 7) => ("process", "change", "image_loaded", "success", User),
        (Sysmon, 8) => ("process", "change", "remote_thread_created", "success", User),
        (Sysmon, 9) => ("process", "access", "raw_disk_read", "success", User),
        (Sysmon, 10) => ("process", "access", "process_accessed", "success", User),
        (Sysmon, 11) => ("file", "creation", "file_created", "success", User),
        (Sysmon, 12) => ("registry", "change", "registry_object_changed", "success", User),
        (Sysmon, 13) => ("registry", "change", "registry_changed", "success", User),
        (Sysmon, 14) => ("registry", "change", "registry_renamed", "success", User),
        (Sysmon, 15) => ("file", "creation", "file_stream_created", "success", User),
        (Sysmon, 16) => ("configuration", "change", "sysmon_configuration_changed", "success", User),
        (Sysmon, 17) => ("file", "creation", "pipe_created", "success", User),
        (Sysmon, 18) => ("file", "access", "pipe_connected", "success", User),
        (Sysmon, 19) => ("configuration", "creation", "wmi_filter_registered", "success", User),
        (Sysmon, 20) => ("configuration", "creation", "wmi_consumer_registered", "success", User),
        (Sysmon, 21) => ("configuration", "creation", "wmi_binding_registered", "success", User),
        (Sysmon, 22) => ("network", "protocol", "dns_query", "", User),
        (Sysmon, 23 | 26) => ("file", "deletion", "file_deleted", "success", User),
        (Sysmon, 24) => ("process", "info", "clipboard_changed", "success", User),
        (Sysmon, 25) => ("process", "change", "process_tampered", "success", User),
        (Sysmon, 27) => ("file", "denied", "executable_blocked", "failure", User),
        (Sysmon, 28) => ("file", "denied", "shredding_blocked", "failure", User),
        (Sysmon, 29) => ("file", "creation", "executable_created", "success", User),
        (Sysmon, 255) => ("process", "error", "sysmon_error", "failure", User),
        // PowerShell.
        (PowerShell, 400) => ("process", "start", "powershell_started", "success", User),
        (PowerShell, 403) => ("process", "end", "powershell_ended", "success", User),
        (PowerShell, 600) => ("process", "start", "powershell_provider_started", "success", User),
        (PowerShell, 800 | 4103) => ("process", "info", "powershell_command", "", User),
        (PowerShell, 4104) => ("process", "info", "powershell_script", "", User),
        (PowerShell, 4105) => ("process", "start", "powershell_script_started", "", User),
        (PowerShell, 4106) => ("process", "end", "powershell_script_ended", "", User),
        // Defender.
        (Defender, 1006 | 1015 | 1116) => ("malware", "info", "malware_detected", "success", User),
        (Defender, 1007 | 1117) => ("malware", "info", "malware_handled", "success", User),
        (Defender, 1008 | 1118 | 1119) => ("malware", "error", "malware_handled", "failure", User),
        (Defender, 1009) => ("malware", "info", "quarantine_restored", "success", User),
        (Defender, 1011..=1013) => ("malware", "deletion", "quarantine_deleted", "success", User),
        (Defender, 1121 | 1122 | 1123 | 1124 | 1125 | 1126 | 1127 | 1128 | 1133) => (
            "intrusion_detection",
            "denied",
            "attack_surface_rule",
            if matches!(id, 1121 | 1123 | 1126 | 1127) { "failure" } else { "" },
            User,
        ),
        (Defender, 1000 | 1001) => ("malware", "info", "scan", "success", User),
        (Defender, 1002 | 1005) => ("malware", "error", "scan", "failure", User),
        (Defender, 1150 | 1151) => ("host", "info", "protection_health", "success", User),
        (Defender, 2000 | 2002) => ("configuration", "change", "signatures_updated", "success", User),
        (Defender, 2001 | 2003) => ("configuration", "error", "signatures_updated", "failure", User),
        (Defender, 5000 | 5009) => ("configuration", "change", "protection_enabled", "success", User),
        (Defender, 5001 | 5010 | 5012) => ("configuration", "change", "protection_disabled", "success", User),
        (Defender, 5004 | 5007) => ("configuration", "change", "protection_changed", "success", User),
        (Defender, 5013) => ("configuration", "denied", "protection_change_blocked", "failure", User),
        (Defender, 3002 | 5008) => ("malware", "error", "protection_failed", "failure", User),
        // The others.
        (TaskScheduler, 106) => ("configuration", "creation", "scheduled_task_created", "success", User),
        (TaskScheduler, 140) => ("configuration", "change", "scheduled_task_changed", "success", User),
        (TaskScheduler, 141) => ("configuration", "deletion", "scheduled_task_deleted", "success", User),
        (TaskScheduler, 129 | 200) => ("process", "start", "scheduled_task_started", "success", User),
        (TaskScheduler, 201) => ("process", "end", "scheduled_task_ended", "success", User),
        (TerminalServices, 21 | 22) => ("authentication", "start", "logon", "success", User),
        (TerminalServices, 23) => ("authentication", "end", "logoff", "success", User),
        (TerminalServices, 24) => ("session", "end", "session_disconnected", "success", User),
        (TerminalServices, 25) => ("session", "start", "session_reconnected", "success", User),
        (TerminalServices, 1149) => ("authentication", "start", "rdp_connection", "", User),
        (AppLocker, 8002 | 8005) => ("process", "allowed", "application_allowed", "success", User),
        (AppLocker, 8003 | 8006) => ("process", "allowed", "application_would_be_blocked", "success", User),
        (AppLocker, 8004 | 8007) => ("process", "denied", "application_blocked", "failure", User),
        (Wmi, 5857) => ("process", "start", "wmi_provider_started", "", User),
        (Wmi, 5858) => ("process", "error", "wmi_query", "failure", User),
        (Wmi, 5859 | 5860) => ("configuration", "creation", "wmi_temporary_subscription", "success", User),
        (Wmi, 5861) => ("configuration", "creation", "wmi_permanent_subscription", "success", User),
        (Bits, 3) => ("network", "info", "bits_job_created", "success", User),
        (Bits, 4) => ("network", "info", "bits_job_done", "success", User),
        (Bits, 59) => ("network", "start", "bits_transfer_started", "", User),
        (Bits, 60) => ("network", "end", "bits_transfer_ended", "", User),
        (Bits, 61) => ("network", "end", "bits_transfer_ended", "failure", User),
        (Bits, 16403) => ("network", "info", "bits_job_created", "success", User),
        (DnsClient, 3006 | 3008 | 3020) => ("network", "protocol", "dns_query", "", User),
        (Firewall, 2004 | 2071 | 2097) => ("configuration", "creation", "firewall_rule_added", "success", User),
        (Firewall, 2005 | 2073) => ("configuration", "change", "firewall_rule_changed", "success", User),
        (Firewall, 2006 | 2033 | 2052 | 2059) => ("configuration", "deletion", "firewall_rule_deleted", "success", User),
        (Firewall, 2002 | 2003 | 2008 | 2082 | 2083) => ("configuration", "change", "firewall_setting_changed", "success", User),
        _ => return None,
    };
    Some(Meaning { category, kind, action, outcome, who })
}

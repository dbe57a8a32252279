//! Windows event logs as they are written: which log and which event numbers Sigma's categories and services mean. Events
//! with their own field names have them as `Channel` and `EventID`, decoded records as `winlog.channel` and `event.code`.

use std::sync::LazyLock;

use ingest::event::ValueRef;
use ingest::fields::FieldId;
use ingest::record::Record;

use super::names::FieldNames;

/// Which log, and which event: raw events' fields and those of decoded records.
static RAW: LazyLock<[Option<FieldId>; 2]> = LazyLock::new(|| ["Channel", "EventID"].map(FieldId::intern));
static DECODED: LazyLock<[Option<FieldId>; 2]> = LazyLock::new(|| ["winlog.channel", "event.code"].map(FieldId::intern));

fn fields(names: FieldNames) -> [Option<FieldId>; 2] {
    match names {
        FieldNames::Raw => *RAW,
        FieldNames::Decoded => *DECODED,
    }
}

/// The field that says which log a record is of.
pub(crate) fn channel(names: FieldNames) -> Option<FieldId> {
    let [channel, _] = fields(names);
    channel
}

/// Events of one log: those with these numbers, all where there are none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Log {
    channel: &'static str,
    ids: &'static [i64],
}

/// Whether the record is of a Windows event log.
pub(crate) fn is_event(record: &dyn Record, names: FieldNames) -> bool {
    fields(names).into_iter().all(|field| field.is_some_and(|field| record.any_value(field, &mut |_| true)))
}

impl Log {
    pub(crate) fn channel(self) -> &'static str {
        self.channel
    }

    pub(crate) fn wrote(self, record: &dyn Record, names: FieldNames) -> bool {
        let [channel, event_id] = fields(names);
        let any = |field: Option<FieldId>, visit: &mut dyn FnMut(ValueRef<'_>) -> bool| field.is_some_and(|it| record.any_value(it, visit));
        any(channel, &mut |value| value.text().eq_ignore_ascii_case(self.channel))
            && (self.ids.is_empty() || any(event_id, &mut |value| value.as_int().is_some_and(|id| self.ids.contains(&id))))
    }
}

/// `None` where the category is not one of Windows' logs.
pub(crate) fn logs_of_category(category: &str) -> Option<Vec<Log>> {
    logs_of(CATEGORIES.iter().filter(|(name, ..)| *name == category).map(|(_, channel, ids)| Log { channel, ids }))
}

/// `None` where the service is not one of Windows' logs.
pub(crate) fn logs_of_service(service: &str) -> Option<Vec<Log>> {
    logs_of(SERVICES.iter().filter(|(name, _)| *name == service).map(|(_, channel)| Log { channel, ids: &[] }))
}

fn logs_of(logs: impl Iterator<Item = Log>) -> Option<Vec<Log>> {
    let logs: Vec<Log> = logs.collect();
    (!logs.is_empty()).then_some(logs)
}

const SYSMON: &str = "Microsoft-Windows-Sysmon/Operational";
const POWERSHELL: &str = "Microsoft-Windows-PowerShell/Operational";
const POWERSHELL_CORE: &str = "PowerShellCore/Operational";
const POWERSHELL_CLASSIC: &str = "Windows PowerShell";

const CATEGORIES: &[(&str, &str, &[i64])] = &[
    ("process_creation", SYSMON, &[1]),
    ("process_creation", "Security", &[4688]),
    ("file_change", SYSMON, &[2]),
    ("network_connection", SYSMON, &[3]),
    ("network_connection", "Security", &[5156]),
    ("sysmon_status", SYSMON, &[4, 16]),
    ("process_termination", SYSMON, &[5]),
    ("driver_load", SYSMON, &[6]),
    ("image_load", SYSMON, &[7]),
    ("create_remote_thread", SYSMON, &[8]),
    ("raw_access_thread", SYSMON, &[9]),
    ("process_access", SYSMON, &[10]),
    ("file_event", SYSMON, &[11]),
    ("registry_add", SYSMON, &[12]),
    ("registry_delete", SYSMON, &[12]),
    ("registry_set", SYSMON, &[13]),
    ("registry_rename", SYSMON, &[14]),
    ("registry_event", SYSMON, &[12, 13, 14]),
    ("registry_event", "Security", &[4657]),
    ("registry_set", "Security", &[4657]),
    ("create_stream_hash", SYSMON, &[15]),
    ("pipe_created", SYSMON, &[17, 18]),
    ("wmi_event", SYSMON, &[19, 20, 21]),
    ("dns_query", SYSMON, &[22]),
    ("file_delete", SYSMON, &[23, 26]),
    ("clipboard_capture", SYSMON, &[24]),
    ("process_tampering", SYSMON, &[25]),
    ("file_delete_detected", SYSMON, &[26]),
    ("file_block_executable", SYSMON, &[27]),
    ("file_block_shredding", SYSMON, &[28]),
    ("file_executable_detected", SYSMON, &[29]),
    ("sysmon_error", SYSMON, &[255]),
    ("ps_module", POWERSHELL, &[4103]),
    ("ps_module", POWERSHELL_CORE, &[4103]),
    ("ps_script", POWERSHELL, &[4104]),
    ("ps_script", POWERSHELL_CORE, &[4104]),
    ("ps_classic_start", POWERSHELL_CLASSIC, &[400]),
    ("ps_classic_provider_start", POWERSHELL_CLASSIC, &[600]),
    ("ps_classic_script", POWERSHELL_CLASSIC, &[800]),
];

const SERVICES: &[(&str, &str)] = &[
    ("application", "Application"),
    ("applocker", "Microsoft-Windows-AppLocker/EXE and DLL"),
    ("applocker", "Microsoft-Windows-AppLocker/MSI and Script"),
    ("applocker", "Microsoft-Windows-AppLocker/Packaged app-Deployment"),
    ("applocker", "Microsoft-Windows-AppLocker/Packaged app-Execution"),
    ("appmodel-runtime", "Microsoft-Windows-AppModel-Runtime/Admin"),
    ("appxdeployment-server", "Microsoft-Windows-AppXDeploymentServer/Operational"),
    ("appxpackaging-om", "Microsoft-Windows-AppxPackaging/Operational"),
    ("bits-client", "Microsoft-Windows-Bits-Client/Operational"),
    ("capi2", "Microsoft-Windows-CAPI2/Operational"),
    ("certificateservicesclient-lifecycle-system", "Microsoft-Windows-CertificateServicesClient-Lifecycle-System/Operational"),
    ("codeintegrity-operational", "Microsoft-Windows-CodeIntegrity/Operational"),
    ("dhcp", "Microsoft-Windows-DHCP-Server/Operational"),
    ("diagnosis-scripted", "Microsoft-Windows-Diagnosis-Scripted/Operational"),
    ("dns-client", "Microsoft-Windows-DNS Client Events/Operational"),
    ("dns-server", "DNS Server"),
    ("dns-server-analytic", "Microsoft-Windows-DNS-Server/Analytical"),
    ("dns-server-audit", "Microsoft-Windows-DNS-Server/Audit"),
    ("driver-framework", "Microsoft-Windows-DriverFrameworks-UserMode/Operational"),
    ("firewall-as", "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall"),
    ("iis-configuration", "Microsoft-IIS-Configuration/Operational"),
    ("iis-configuration", "Microsoft-IIS-Configuration/Administrative"),
    ("ldap", "Microsoft-Windows-LDAP-Client/Debug"),
    ("lsa-server", "Microsoft-Windows-LSA/Operational"),
    ("microsoft-servicebus-client", "Microsoft-ServiceBus-Client"),
    ("msexchange-management", "MSExchange Management"),
    ("ntlm", "Microsoft-Windows-NTLM/Operational"),
    ("openssh", "OpenSSH/Operational"),
    ("powershell", POWERSHELL),
    ("powershell", POWERSHELL_CORE),
    ("powershell-classic", POWERSHELL_CLASSIC),
    ("printservice-admin", "Microsoft-Windows-PrintService/Admin"),
    ("printservice-operational", "Microsoft-Windows-PrintService/Operational"),
    ("security", "Security"),
    ("security-mitigations", "Microsoft-Windows-Security-Mitigations/Kernel Mode"),
    ("security-mitigations", "Microsoft-Windows-Security-Mitigations/User Mode"),
    ("shell-core", "Microsoft-Windows-Shell-Core/Operational"),
    ("smbclient-connectivity", "Microsoft-Windows-SmbClient/Connectivity"),
    ("smbclient-security", "Microsoft-Windows-SmbClient/Security"),
    ("smbserver-connectivity", "Microsoft-Windows-SMBServer/Connectivity"),
    ("sysmon", SYSMON),
    ("system", "System"),
    ("taskscheduler", "Microsoft-Windows-TaskScheduler/Operational"),
    ("terminalservices-localsessionmanager", "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational"),
    ("vhdmp", "Microsoft-Windows-VHDMP/Operational"),
    ("windefend", "Microsoft-Windows-Windows Defender/Operational"),
    ("wmi", "Microsoft-Windows-WMI-Activity/Operational"),
];

#[cfg(test)]
mod tests {
    use ingest::frame::Seq;
    use ingest::time::Timestamp;

    use super::*;
    use crate::json_record::JsonRecord;

    #[test]
    fn a_registry_value_that_is_set_is_an_event_of_two_categories() {
        let object = serde_json::json!({ "Channel": "microsoft-windows-sysmon/operational", "EventID": "13" });
        let record = JsonRecord::new(object.as_object().unwrap(), Seq(1), Timestamp(0));
        let of = |category: &str| logs_of_category(category).unwrap().iter().any(|log| log.wrote(&record, FieldNames::Raw));
        assert!(is_event(&record, FieldNames::Raw) && of("registry_set") && of("registry_event"));
        assert!(!of("registry_add") && !of("process_creation"));
        assert!(
            logs_of_service("sysmon").unwrap()[0].wrote(&record, FieldNames::Raw)
                && !logs_of_service("system").unwrap()[0].wrote(&record, FieldNames::Raw)
        );
        assert_eq!(logs_of_category("webserver"), None);
    }
}

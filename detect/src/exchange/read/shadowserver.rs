//! Tables of the Shadowserver Foundation's daily reports. What a report is about stands in the file's name only
//! (`2026-11-20-scan_rdp-thueringen-geo.csv`); the table below says what it means. The columns are those that the reports
//! share: `timestamp` in UTC, `ip` or (in reports of events) `src_ip`, `hostname`, `port`, `tag`, `infection`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::table::Record;
use super::{Hint, Row, Taking, Why, host, kept};
use crate::incident::Tlp;
use crate::rsit::Rsit;
use crate::rule::Level;

/// One kind of report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// As the file's name has it, without the address family (`event4_`, `scan6_`).
    name: &'static str,
    title: &'static str,
    rsit: &'static str,
    level: Level,
}

const fn kind(name: &'static str, title: &'static str, rsit: &'static str, level: Level) -> Kind {
    Kind { name, title, rsit, level }
}

/// The reports that say something of a machine of ours. Those that count the whole net, and those that say nothing by
/// which anybody could act, are none.
const KINDS: [Kind; 52] = {
    use Level::{Critical, High, Low, Medium};
    const OPEN: &str = "vulnerable/potentially-unwanted-accessible";
    const AMPLIFIER: &str = "vulnerable/ddos-amplifier";
    const VULNERABLE: &str = "vulnerable/vulnerable-system";
    [
        kind("blocklist", "Adresse auf einer Sperrliste", "other/other", Low),
        kind("compromised_website", "Website übernommen", "intrusions/system-compromise", High),
        kind("event_ddos_participant", "Beteiligt an einem Überlastungsangriff", "availability/ddos", High),
        kind("event_honeypot_brute_force", "Anmeldeversuche gegen fremde Systeme", "intrusion-attempts/brute-force", High),
        kind("event_honeypot_darknet", "Verkehr in unbenutzte Netze", "information-gathering/scanner", Medium),
        kind("event_honeypot_http_scan", "Scannt fremde Webserver", "information-gathering/scanner", Medium),
        kind("event_honeypot_ics_scan", "Scannt fremde Anlagensteuerungen", "information-gathering/scanner", Medium),
        kind("event_ip_spoofer", "Sendet unter fremden Adressen", "fraud/masquerade", Medium),
        kind("event_sinkhole", "Mit Schadprogramm infiziert (Sinkhole)", "malicious-code/infected-system", High),
        kind("event_sinkhole_dns", "Fragt nach Namen eines Schadprogramms", "malicious-code/infected-system", Medium),
        kind("event_sinkhole_http", "Mit Schadprogramm infiziert (Sinkhole, HTTP)", "malicious-code/infected-system", High),
        kind("malware_url", "Verteilt Schadprogramme", "malicious-code/malware-distribution", High),
        kind("phish_url", "Phishing-Seite", "fraud/phishing", High),
        kind("sandbox_conn", "Ziel eines Schadprogramms", "malicious-code/malware-distribution", Medium),
        kind("sandbox_url", "Ziel eines Schadprogramms (URL)", "malicious-code/malware-distribution", Medium),
        kind("spam_url", "In Spam verlinkt", "abusive-content/spam", Low),
        kind("scan_adb", "Android-Fernsteuerung (ADB) aus dem Internet erreichbar", OPEN, Medium),
        kind("scan_chargen", "CHARGEN als Verstärker nutzbar", AMPLIFIER, Medium),
        kind("scan_cisco_smart_install", "Cisco Smart Install aus dem Internet erreichbar", OPEN, High),
        kind("scan_couchdb", "CouchDB aus dem Internet erreichbar", OPEN, High),
        kind("scan_dns", "Offener DNS-Resolver", AMPLIFIER, Medium),
        kind("scan_docker", "Docker aus dem Internet erreichbar", OPEN, High),
        kind("scan_elasticsearch", "Elasticsearch aus dem Internet erreichbar", OPEN, High),
        kind("scan_exchange", "Verwundbarer Exchange-Server", VULNERABLE, Critical),
        kind("scan_ftp", "FTP aus dem Internet erreichbar", OPEN, Low),
        kind("scan_http_vulnerable", "Webserver gibt Interna preis", "vulnerable/information-disclosure", Medium),
        kind("scan_ics", "Anlagensteuerung aus dem Internet erreichbar", OPEN, High),
        kind("scan_ipmi", "IPMI aus dem Internet erreichbar", OPEN, High),
        kind("scan_ipp", "Drucker aus dem Internet erreichbar", OPEN, Low),
        kind("scan_isakmp", "Verwundbarer VPN-Dienst (IKE)", VULNERABLE, Medium),
        kind("scan_kubernetes", "Kubernetes aus dem Internet erreichbar", OPEN, High),
        kind("scan_ldap_tcp", "LDAP aus dem Internet erreichbar", OPEN, Medium),
        kind("scan_ldap_udp", "LDAP als Verstärker nutzbar", AMPLIFIER, Medium),
        kind("scan_memcached", "Memcached als Verstärker nutzbar", AMPLIFIER, High),
        kind("scan_mongodb", "MongoDB aus dem Internet erreichbar", OPEN, High),
        kind("scan_mssql", "SQL-Server aus dem Internet erreichbar", OPEN, Medium),
        kind("scan_mysql", "MySQL aus dem Internet erreichbar", OPEN, Medium),
        kind("scan_netbios", "NetBIOS aus dem Internet erreichbar", OPEN, Medium),
        kind("scan_ntpmonitor", "NTP als Verstärker nutzbar", AMPLIFIER, Medium),
        kind("scan_portmapper", "Portmapper als Verstärker nutzbar", AMPLIFIER, Medium),
        kind("scan_postgres", "PostgreSQL aus dem Internet erreichbar", OPEN, Medium),
        kind("scan_rdp", "RDP aus dem Internet erreichbar", OPEN, Medium),
        kind("scan_redis", "Redis aus dem Internet erreichbar", OPEN, High),
        kind("scan_smb", "SMB aus dem Internet erreichbar", OPEN, High),
        kind("scan_smtp_vulnerable", "Verwundbarer Mailserver", VULNERABLE, High),
        kind("scan_snmp", "SNMP als Verstärker nutzbar", AMPLIFIER, Medium),
        kind("scan_ssdp", "SSDP als Verstärker nutzbar", AMPLIFIER, Medium),
        kind("scan_ssl_freak", "Schwache Verschlüsselung (FREAK)", "vulnerable/weak-crypto", Low),
        kind("scan_ssl_poodle", "Schwache Verschlüsselung (SSLv3)", "vulnerable/weak-crypto", Low),
        kind("scan_telnet", "Telnet aus dem Internet erreichbar", OPEN, Medium),
        kind("scan_tftp", "TFTP als Verstärker nutzbar", AMPLIFIER, Medium),
        kind("scan_vnc", "VNC aus dem Internet erreichbar", OPEN, High),
    ]
};

/// The names of all kinds of report that are read, with what they mean.
pub fn report_names() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    KINDS.iter().map(|kind| (kind.name, kind.title, kind.rsit))
}

pub(super) fn looks_so(names: &[String]) -> bool {
    let has = |name: &str| names.iter().any(|known| known == name);
    has("timestamp") && (has("ip") || has("src_ip"))
}

/// The kind that the caller names or that stands in the file's name: the longest that fits.
pub(super) fn kind_of(hint: &Hint) -> Option<Kind> {
    let plain = |text: &str| text.to_lowercase().replace("event4_", "event_").replace("event6_", "event_").replace("scan6_", "scan_");
    if let Some(name) = &hint.report {
        return KINDS.into_iter().find(|kind| kind.name == plain(name));
    }
    let name = plain(&hint.file_name);
    // Whole parts only: `scan_ssl` is not `scan_ssl_poodle`, and `scan_http` none of ours at all.
    let parts: Vec<&str> = name.split(['-', '.']).collect();
    KINDS.into_iter().find(|kind| parts.contains(&kind.name))
}

pub(super) fn row(taking: &mut Taking<'_>, record: &Record<'_>, kind: Kind) {
    let Some(at) = taking.time(&record.line, "timestamp", record.get("timestamp")) else { return };
    let (column, text) = record.first_of(&["ip", "src_ip"]);
    let Ok(address) = text.parse::<IpAddr>() else {
        return taking.fault(&record.line, column, text, if text.is_empty() { Why::Missing } else { Why::NotAnAddress });
    };
    let Ok(rsit) = kind.rsit.parse::<Rsit>() else { return };
    let address = address.to_canonical();
    let (_, name) = record.first_of(&["hostname", "src_hostname"]);
    let mut observables: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut add = |field: &'static str, text: &str| observables.entry(field).or_default().extend(kept(text));
    add("host.ip", &address.to_string());
    add("host.name", name);
    add("destination.ip", record.get("dst_ip"));
    // In a scan the port is the service's that stands open; in an event it is the one that was spoken to.
    let (_, port) = if kind.name.starts_with("event_") { record.first_of(&["dst_port"]) } else { record.first_of(&["port"]) };
    add("destination.port", port);
    for column in ["infection", "tag", "family", "detail"] {
        add("event.reason", record.get(column));
    }
    add("url.full", record.get("url"));
    observables.retain(|_, values| !values.is_empty());
    taking.row(Row {
        source: "Shadowserver".into(),
        kind: kind.name.into(),
        title: format!("Shadowserver meldet: {}", kind.title),
        rsit,
        level: kind.level,
        // Shadowserver's reports are for those whose networks they are about, and for their CERT.
        tlp: Tlp::default(),
        addresses: vec![address],
        host: host(name),
        first: at,
        last: at,
        observables,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_a_class_and_stands_once() {
        for (n, kind) in KINDS.iter().enumerate() {
            assert!(kind.rsit.parse::<Rsit>().is_ok(), "{}", kind.name);
            assert!(!KINDS.iter().skip(n + 1).any(|other| other.name == kind.name), "{}", kind.name);
        }
    }

    #[test]
    fn the_files_name_tells() {
        let of = |name: &str| kind_of(&Hint { file_name: name.into(), report: None }).map(|kind| kind.name);
        assert_eq!(of("2026-11-20-scan_rdp-thueringen-geo.csv"), Some("scan_rdp"));
        assert_eq!(of("2026-11-20-event4_sinkhole_http-asn.csv"), Some("event_sinkhole_http"));
        assert_eq!(of("2026-11-20-scan6_smb-geo.csv"), Some("scan_smb"));
        assert_eq!(of("2026-11-20-scan_ssl-geo.csv"), None);
        assert_eq!(of("bericht.csv"), None);
        assert_eq!(
            kind_of(&Hint { file_name: "bericht.csv".into(), report: Some("event4_sinkhole".into()) }).unwrap().name,
            "event_sinkhole"
        );
    }
}

//! What the intake knows in English: its ways in, why something was refused or lost, what was wrong with a line, who
//! understood it. Each with its one word in the reader's language, and with what to do where somebody can do something.

use ingest::event::Defect;
use ingest::listen::{Dropped, Listener, Rejected};

use super::t;

pub fn listener(listener: Listener) -> &'static str {
    match listener {
        Listener::SyslogUdp => t("Syslog über UDP"),
        Listener::SyslogTcp => t("Syslog über TCP"),
        Listener::SyslogTls => t("Syslog über TLS"),
        Listener::Relp => "RELP",
        Listener::RelpTls => t("RELP über TLS"),
        Listener::GelfUdp => t("GELF über UDP"),
        Listener::GelfTcp => t("GELF über TCP"),
        Listener::Http => "HTTP",
        Listener::Https => "HTTPS",
        Listener::NetflowUdp => t("Flussdaten (NetFlow)"),
        Listener::IpfixUdp => t("Flussdaten (IPFIX)"),
        Listener::SflowUdp => t("Flussdaten (sFlow)"),
    }
}

/// The protocol by the number that a flow carries.
pub fn flow_version(version: u8) -> String {
    ingest::flow::protocol(version).unwrap_or_else(|| t("unbekannt").into()).into_owned()
}

/// A transport as the inventory keeps it.
pub fn transport(name: &str) -> &str {
    match name {
        "udp" => "UDP",
        "tcp" => "TCP",
        "tls" => "TLS",
        "relp" => "RELP",
        "gelf" => "GELF",
        "http" => "HTTP",
        "import" => "Import",
        other => other,
    }
}

pub fn rejected(reason: Rejected) -> &'static str {
    match reason {
        Rejected::Empty => t("leer"),
        Rejected::Unauthorized => t("ohne gültiges Token"),
        Rejected::TooLarge => t("zu groß"),
        Rejected::Unreadable => t("unlesbar"),
        Rejected::TooManyConnections => t("zu viele Verbindungen"),
        Rejected::Handshake => t("TLS-Aushandlung gescheitert"),
        Rejected::Protocol => t("Protokoll verletzt"),
        Rejected::Proxy => t("Proxy-Kopf fehlt oder ist falsch"),
        Rejected::Incomplete => t("Teile fehlten"),
        Rejected::Later => t("auf später verwiesen"),
    }
}

pub fn dropped(reason: Dropped) -> &'static str {
    match reason {
        Dropped::QueueFull => t("Warteschlange voll"),
        Dropped::JournalStopped => t("Journal konnte nicht schreiben"),
        Dropped::RateLimited => t("über dem Kontingent"),
        Dropped::DiskFull => t("Platte fast voll"),
    }
}

pub fn dropped_todo(reason: Dropped) -> &'static str {
    match reason {
        Dropped::QueueFull => t("Die Platte war zu langsam: eine schnellere nehmen, oder laute Absender begrenzen oder auf TCP umstellen."),
        Dropped::JournalStopped => t("Platz und Platte prüfen; sobald wieder geschrieben werden kann, geht es von selbst weiter."),
        Dropped::RateLimited => t("Den lauten Absender prüfen, oder das Kontingent seines Standorts erhöhen."),
        Dropped::DiskFull => t("Platz schaffen: die Platte vergrößern oder journal.keep_days verkürzen."),
    }
}

/// A consumer of the journal.
pub fn consumer(name: &str) -> &str {
    match name {
        "events" => t("Ereignisspeicher"),
        "flows" => t("Flussspeicher"),
        "sources" => t("Quellenverzeichnis"),
        "detect" => t("Regelwerk"),
        "leases" => t("Rechnernamen aus DHCP"),
        other => other,
    }
}

/// A decoder, or what else a source's format is.
pub fn format(name: &str) -> &'static str {
    match name {
        "" => t("unverstanden"),
        "json" => "JSON",
        "pam" => "PAM",
        "sshd" => "OpenSSH",
        "netfilter" => t("Linux-Firewall (netfilter)"),
        "sudo" => "sudo, su",
        "accounts" => t("Kontenverwaltung"),
        "checkpoint" => "Check Point",
        "sonicwall" => "SonicWall",
        "watchguard" => "WatchGuard",
        "zyxel" => "Zyxel",
        "pf" => "pf (OpenBSD)",
        "lancom" => "LANCOM",
        "sophos" => "Sophos",
        "wlan" => "WLAN (hostapd)",
        "fortigate" => "FortiGate",
        "apache" => t("Webserver (Apache)"),
        "http_access" => t("Webserver"),
        "snare" | "windows_xml" | "nxlog" => "Windows",
        "windows_firewall" => t("Windows-Firewall"),
        "windows_dhcp" => t("Windows-DHCP"),
        "iis" => "IIS",
        "exchange_tracking" | "exchange_smtp" | "exchange_mailbox" | "exchange_httpproxy" => "Exchange",
        "zeek" => "Zeek",
        "w3c" | "columns" => t("W3C-Protokoll"),
        "auditd" => t("Linux-Audit"),
        "cef" => t("CEF oder LEEF"),
        "csv" => "Palo Alto",
        "postfix" => "Postfix",
        "dovecot" => "Dovecot",
        "exim" => "Exim",
        "amavis" => "Amavis",
        "filterlog" => "OPNsense, pfSense",
        "mikrotik" => "MikroTik",
        "cisco" => "Cisco",
        "named" => t("DNS-Server"),
        "services" => "Squid",
        "system" => t("Linux-System (cron, systemd, Kern)"),
        "resolver" => t("DNS-Auflösung"),
        "dhcp" => "DHCP",
        "mailfilter" => t("Mailfilter"),
        "modsecurity" => "ModSecurity",
        "application" => t("Anwendung"),
        "vpn" => "VPN",
        "suricata" => "Suricata",
        "database" => t("Datenbank"),
        "keycloak" => "Keycloak",
        "kv" => t("Schlüssel=Wert"),
        "netflow" => "NetFlow",
        _ => t("anderes"),
    }
}

/// A defect by its stored name: its word, and what somebody can do about it.
pub fn defect(name: &str) -> (&str, &'static str) {
    let Some(defect) = Defect::ALL.into_iter().find(|known| known.name() == name) else { return (name, "") };
    match defect {
        Defect::NotUtf8 => (t("kein UTF-8"), t("als Windows-1252 gelesen; am Gerät UTF-8 einstellen")),
        Defect::NoHeader => (t("ohne Syslog-Kopf"), t("am Gerät das Format RFC 5424 wählen")),
        Defect::BadPriority => (t("ungültige Priorität"), t("am Gerät das Format RFC 5424 wählen")),
        Defect::BadTimestamp => (t("ungültige Zeit"), t("Uhr und Zeitformat des Geräts prüfen")),
        Defect::NoYear => (t("ohne Jahr"), t("üblich bei RFC 3164; das Jahr wird ergänzt")),
        Defect::NoHost => (t("ohne Gerätenamen"), t("am Gerät einen Namen einstellen")),
        Defect::FutureTime => (t("Zeit in der Zukunft"), t("Uhr und Zeitzone des Geräts prüfen")),
        Defect::BadStructuredData => (t("fehlerhafte strukturierte Daten"), t("am Gerät eine neuere Fassung der Software prüfen")),
        Defect::BadJson => (t("fehlerhaftes JSON"), t("oft wurde die Zeile unterwegs abgeschnitten")),
        Defect::BadKeyValue => (t("fehlerhafte Schlüssel=Wert-Paare"), t("oft wurde die Zeile unterwegs abgeschnitten")),
        Defect::BadField => (t("Wert passt nicht zum Feld"), t("die Rohzeile zeigt den Wert")),
        Defect::TooManyFields => (t("zu viele Felder"), t("die übrigen stehen in der Rohzeile")),
        Defect::Truncated => (t("abgeschnitten"), t("länger als 64 KiB; der Rest steht in der nächsten Zeile")),
        Defect::Continuation => (t("Fortsetzung"), t("der Rest einer überlangen Zeile")),
        Defect::BadOctetCount => (t("falsche Längenangabe"), t("am Absender die Rahmung prüfen")),
        Defect::UnsureClock => (t("Uhr nie gestellt"), t("am Gerät einen Zeitserver (NTP) einstellen")),
        Defect::PseudonymisedLine => (t("nur Felder, pseudonymisiert"), t("die Zeile selbst steht im Journal, solange es sie behält")),
        Defect::Torn => (t("Verbindung brach ab"), t("die Leitung zum Absender prüfen")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decoder_has_a_name_for_people() {
        let nameless: Vec<_> = ingest::decode::decoder_names().filter(|name| format(name) == "anderes").collect();
        assert!(nameless.is_empty(), "{nameless:?}");
    }

    #[test]
    fn every_defect_has_a_word() {
        for known in Defect::ALL {
            assert_ne!(defect(known.name()).0, known.name());
        }
    }
}

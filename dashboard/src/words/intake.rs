//! What the intake knows in English: its ways in, why something was refused or lost, what was wrong with a line, who
//! understood it. Each with its one German word, and with what to do where somebody can do something.

use ingest::event::Defect;
use ingest::listen::{Dropped, Listener, Rejected};

pub fn listener(listener: Listener) -> &'static str {
    match listener {
        Listener::SyslogUdp => "Syslog über UDP",
        Listener::SyslogTcp => "Syslog über TCP",
        Listener::SyslogTls => "Syslog über TLS",
        Listener::Relp => "RELP",
        Listener::RelpTls => "RELP über TLS",
        Listener::GelfUdp => "GELF über UDP",
        Listener::GelfTcp => "GELF über TCP",
        Listener::Http => "HTTP",
        Listener::Https => "HTTPS",
        Listener::NetflowUdp => "NetFlow",
    }
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
        Rejected::Empty => "leer",
        Rejected::Unauthorized => "ohne gültiges Token",
        Rejected::TooLarge => "zu groß",
        Rejected::Unreadable => "unlesbar",
        Rejected::TooManyConnections => "zu viele Verbindungen",
        Rejected::Handshake => "TLS-Aushandlung gescheitert",
        Rejected::Protocol => "Protokoll verletzt",
        Rejected::Proxy => "Proxy-Kopf fehlt oder ist falsch",
        Rejected::Incomplete => "Teile fehlten",
        Rejected::Later => "auf später verwiesen",
    }
}

pub fn dropped(reason: Dropped) -> &'static str {
    match reason {
        Dropped::QueueFull => "Warteschlange voll",
        Dropped::JournalStopped => "Journal konnte nicht schreiben",
        Dropped::RateLimited => "über dem Kontingent",
        Dropped::DiskFull => "Platte fast voll",
    }
}

pub fn dropped_todo(reason: Dropped) -> &'static str {
    match reason {
        Dropped::QueueFull => "Die Platte war zu langsam: eine schnellere nehmen, oder laute Absender begrenzen oder auf TCP umstellen.",
        Dropped::JournalStopped => "Platz und Platte prüfen; sobald wieder geschrieben werden kann, geht es von selbst weiter.",
        Dropped::RateLimited => "Den lauten Absender prüfen, oder das Kontingent seines Standorts erhöhen.",
        Dropped::DiskFull => "Platz schaffen: die Platte vergrößern oder journal.keep_days verkürzen.",
    }
}

/// A consumer of the journal.
pub fn consumer(name: &str) -> &str {
    match name {
        "events" => "Ereignisspeicher",
        "flows" => "Flussspeicher",
        "sources" => "Quellenverzeichnis",
        "detect" => "Regelwerk",
        "leases" => "Rechnernamen aus DHCP",
        other => other,
    }
}

/// A decoder, or what else a source's format is.
pub fn format(name: &str) -> &'static str {
    match name {
        "" => "unverstanden",
        "json" => "JSON",
        "pam" => "PAM",
        "sshd" => "OpenSSH",
        "netfilter" => "Linux-Firewall (netfilter)",
        "sudo" => "sudo, su",
        "accounts" => "Kontenverwaltung",
        "checkpoint" => "Check Point",
        "sonicwall" => "SonicWall",
        "watchguard" => "WatchGuard",
        "zyxel" => "Zyxel",
        "pf" => "pf (OpenBSD)",
        "lancom" => "LANCOM",
        "sophos" => "Sophos",
        "wlan" => "WLAN (hostapd)",
        "fortigate" => "FortiGate",
        "apache" => "Webserver (Apache)",
        "http_access" => "Webserver",
        "snare" | "windows_xml" | "nxlog" => "Windows",
        "windows_firewall" => "Windows-Firewall",
        "windows_dhcp" => "Windows-DHCP",
        "iis" => "IIS",
        "exchange_tracking" | "exchange_smtp" | "exchange_mailbox" | "exchange_httpproxy" => "Exchange",
        "zeek" => "Zeek",
        "w3c" | "columns" => "W3C-Protokoll",
        "auditd" => "Linux-Audit",
        "cef" => "CEF oder LEEF",
        "csv" => "Palo Alto",
        "postfix" => "Postfix",
        "dovecot" => "Dovecot",
        "exim" => "Exim",
        "amavis" => "Amavis",
        "filterlog" => "OPNsense, pfSense",
        "mikrotik" => "MikroTik",
        "cisco" => "Cisco",
        "named" => "DNS-Server",
        "services" => "Squid",
        "system" => "Linux-System (cron, systemd, Kern)",
        "resolver" => "DNS-Auflösung",
        "dhcp" => "DHCP",
        "mailfilter" => "Mailfilter",
        "modsecurity" => "ModSecurity",
        "application" => "Anwendung",
        "vpn" => "VPN",
        "suricata" => "Suricata",
        "database" => "Datenbank",
        "keycloak" => "Keycloak",
        "kv" => "Schlüssel=Wert",
        "netflow" => "NetFlow",
        _ => "anderes",
    }
}

/// A defect by its stored name: its word, and what somebody can do about it.
pub fn defect(name: &str) -> (&str, &'static str) {
    let Some(defect) = Defect::ALL.into_iter().find(|known| known.name() == name) else { return (name, "") };
    match defect {
        Defect::NotUtf8 => ("kein UTF-8", "als Windows-1252 gelesen; am Gerät UTF-8 einstellen"),
        Defect::NoHeader => ("ohne Syslog-Kopf", "am Gerät das Format RFC 5424 wählen"),
        Defect::BadPriority => ("ungültige Priorität", "am Gerät das Format RFC 5424 wählen"),
        Defect::BadTimestamp => ("ungültige Zeit", "Uhr und Zeitformat des Geräts prüfen"),
        Defect::NoYear => ("ohne Jahr", "üblich bei RFC 3164; das Jahr wird ergänzt"),
        Defect::NoHost => ("ohne Gerätenamen", "am Gerät einen Namen einstellen"),
        Defect::FutureTime => ("Zeit in der Zukunft", "Uhr und Zeitzone des Geräts prüfen"),
        Defect::BadStructuredData => ("fehlerhafte strukturierte Daten", "am Gerät eine neuere Fassung der Software prüfen"),
        Defect::BadJson => ("fehlerhaftes JSON", "oft wurde die Zeile unterwegs abgeschnitten"),
        Defect::BadKeyValue => ("fehlerhafte Schlüssel=Wert-Paare", "oft wurde die Zeile unterwegs abgeschnitten"),
        Defect::BadField => ("Wert passt nicht zum Feld", "die Rohzeile zeigt den Wert"),
        Defect::TooManyFields => ("zu viele Felder", "die übrigen stehen in der Rohzeile"),
        Defect::Truncated => ("abgeschnitten", "länger als 64 KiB; der Rest steht in der nächsten Zeile"),
        Defect::Continuation => ("Fortsetzung", "der Rest einer überlangen Zeile"),
        Defect::BadOctetCount => ("falsche Längenangabe", "am Absender die Rahmung prüfen"),
        Defect::UnsureClock => ("Uhr nie gestellt", "am Gerät einen Zeitserver (NTP) einstellen"),
        Defect::PseudonymisedLine => ("nur Felder, pseudonymisiert", "die Zeile selbst steht im Journal, solange es sie behält"),
        Defect::Torn => ("Verbindung brach ab", "die Leitung zum Absender prüfen"),
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

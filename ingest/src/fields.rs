//! The field table: every ECS field that we know, with its type, how the event store keeps it, whether it is
//! personal data, and its German label. One row here is all that a new field needs. Fields that are not in the
//! table (a vendor's own, below the vendor's prefix) are interned at run time within a bound.

use std::sync::{LazyLock, PoisonError, RwLock};

use foldhash::fast::RandomState;

/// An interned field name: an index into the table, or behind its end an interned vendor field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u16);

/// What a field's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Keyword,
    Ip,
    Int,
    Bool,
}

/// How the event store keeps a field (DESIGN: pivots inverted, everything else columnar).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Inverted and columnar: found at once over months.
    Pivot,
    /// Columnar: found by reading the column, counted fast.
    Column,
}

/// Whether a value tells of a person (for pseudonymisation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Technical,
    Personal,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub storage: Storage,
    pub class: Class,
    pub label: &'static str,
}

macro_rules! fields {
    ($($id:ident = $name:literal, $kind:ident, $storage:ident, $class:ident, $label:literal;)*) => {
        /// All known fields; a `FieldId` is an index into it.
        pub const FIELDS: &[Field] = &[$(Field {
            name: $name, kind: Kind::$kind, storage: Storage::$storage, class: Class::$class, label: $label,
        }),*];
        /// The rows' places in the table.
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "named as the constants that are made of them")]
        #[derive(Clone, Copy)]
        enum Place { $($id),* }
        $(pub const $id: FieldId = FieldId(Place::$id as u16);)*
    };
}

fields! {
    // name, type, storage, class, German label
    SITE = "site", Keyword, Pivot, Technical, "Standort";
    OBSERVER_IP = "observer.ip", Ip, Column, Technical, "Gemeldet von";
    HOST_NAME = "host.name", Keyword, Pivot, Technical, "Host";
    HOST_IP = "host.ip", Ip, Pivot, Personal, "Hostadresse";
    SOURCE_IP = "source.ip", Ip, Pivot, Personal, "Quelladresse";
    SOURCE_PORT = "source.port", Int, Column, Technical, "Quellport";
    SOURCE_MAC = "source.mac", Keyword, Column, Personal, "Quell-MAC";
    SOURCE_BYTES = "source.bytes", Int, Column, Technical, "Bytes gesendet";
    SOURCE_PACKETS = "source.packets", Int, Column, Technical, "Pakete gesendet";
    SOURCE_DOMAIN = "source.domain", Keyword, Pivot, Personal, "Quellname";
    SOURCE_USER_NAME = "source.user.name", Keyword, Pivot, Personal, "Konto (Quelle)";
    SOURCE_GEO_COUNTRY = "source.geo.country_name", Keyword, Column, Technical, "Land (Quelle)";
    DESTINATION_IP = "destination.ip", Ip, Pivot, Personal, "Zieladresse";
    DESTINATION_PORT = "destination.port", Int, Pivot, Technical, "Zielport";
    DESTINATION_MAC = "destination.mac", Keyword, Column, Personal, "Ziel-MAC";
    DESTINATION_BYTES = "destination.bytes", Int, Column, Technical, "Bytes empfangen";
    DESTINATION_PACKETS = "destination.packets", Int, Column, Technical, "Pakete empfangen";
    DESTINATION_DOMAIN = "destination.domain", Keyword, Pivot, Technical, "Zielname";
    DESTINATION_GEO_COUNTRY = "destination.geo.country_name", Keyword, Column, Technical, "Land (Ziel)";
    USER_NAME = "user.name", Keyword, Pivot, Personal, "Konto";
    USER_ID = "user.id", Keyword, Column, Personal, "Kontokennung";
    USER_TARGET_NAME = "user.target.name", Keyword, Pivot, Personal, "Zielkonto";
    USER_EFFECTIVE_NAME = "user.effective.name", Keyword, Pivot, Personal, "Wirksames Konto";
    GROUP_NAME = "group.name", Keyword, Pivot, Technical, "Gruppe";
    GROUP_ID = "group.id", Keyword, Column, Technical, "Gruppenkennung";
    EVENT_ACTION = "event.action", Keyword, Pivot, Technical, "Vorgang";
    EVENT_CATEGORY = "event.category", Keyword, Column, Technical, "Kategorie";
    EVENT_TYPE = "event.type", Keyword, Column, Technical, "Art";
    EVENT_OUTCOME = "event.outcome", Keyword, Pivot, Technical, "Ergebnis";
    EVENT_CODE = "event.code", Keyword, Pivot, Technical, "Ereigniscode";
    EVENT_KIND = "event.kind", Keyword, Column, Technical, "Ereignisklasse";
    EVENT_MODULE = "event.module", Keyword, Pivot, Technical, "Produkt";
    EVENT_DATASET = "event.dataset", Keyword, Column, Technical, "Datensatz";
    EVENT_REASON = "event.reason", Keyword, Column, Technical, "Grund";
    EVENT_SEVERITY = "event.severity", Int, Column, Technical, "Schwere (Gerät)";
    EVENT_DURATION = "event.duration", Int, Column, Technical, "Dauer (ns)";
    EVENT_CREATED = "event.created", Keyword, Column, Technical, "Zeit im Kopf";
    RULE_NAME = "rule.name", Keyword, Pivot, Technical, "Regel (Gerät)";
    RULE_ID = "rule.id", Keyword, Pivot, Technical, "Regelnummer (Gerät)";
    PROCESS_NAME = "process.name", Keyword, Pivot, Technical, "Prozess";
    PROCESS_PID = "process.pid", Int, Column, Technical, "Prozessnummer";
    PROCESS_COMMAND_LINE = "process.command_line", Keyword, Column, Personal, "Befehl";
    LOG_LEVEL = "log.level", Keyword, Column, Technical, "Stufe";
    LOG_SYSLOG_FACILITY = "log.syslog.facility.name", Keyword, Column, Technical, "Syslog-Bereich";
    LOG_SYSLOG_MSGID = "log.syslog.msgid", Keyword, Column, Technical, "Syslog-Nachrichtenart";
    NETWORK_TRANSPORT = "network.transport", Keyword, Column, Technical, "Transport";
    NETWORK_PROTOCOL = "network.protocol", Keyword, Column, Technical, "Protokoll";
    NETWORK_BYTES = "network.bytes", Int, Column, Technical, "Bytes";
    NETWORK_PACKETS = "network.packets", Int, Column, Technical, "Pakete";
    NETWORK_DIRECTION = "network.direction", Keyword, Column, Technical, "Richtung";
    NETWORK_APPLICATION = "network.application", Keyword, Column, Technical, "Anwendung";
    OBSERVER_NAME = "observer.name", Keyword, Pivot, Technical, "Gerät";
    OBSERVER_SERIAL = "observer.serial_number", Keyword, Column, Technical, "Seriennummer";
    OBSERVER_VENDOR = "observer.vendor", Keyword, Column, Technical, "Hersteller";
    OBSERVER_PRODUCT = "observer.product", Keyword, Column, Technical, "Produktname";
    OBSERVER_INGRESS_INTERFACE = "observer.ingress.interface.name", Keyword, Column, Technical, "Eingang";
    OBSERVER_EGRESS_INTERFACE = "observer.egress.interface.name", Keyword, Column, Technical, "Ausgang";
    URL_FULL = "url.full", Keyword, Column, Personal, "URL";
    URL_DOMAIN = "url.domain", Keyword, Pivot, Technical, "Domäne";
    URL_ORIGINAL = "url.original", Keyword, Column, Personal, "Anforderung";
    URL_QUERY = "url.query", Keyword, Column, Personal, "Anfrageteil";
    URL_PATH = "url.path", Keyword, Column, Technical, "Pfad";
    HTTP_METHOD = "http.request.method", Keyword, Column, Technical, "HTTP-Methode";
    HTTP_STATUS = "http.response.status_code", Int, Pivot, Technical, "HTTP-Status";
    HTTP_VERSION = "http.version", Keyword, Column, Technical, "HTTP-Version";
    HTTP_REFERRER = "http.request.referrer", Keyword, Column, Personal, "Verweis von";
    HTTP_RESPONSE_BYTES = "http.response.body.bytes", Int, Column, Technical, "Bytes der Antwort";
    USER_AGENT = "user_agent.original", Keyword, Column, Technical, "Browserkennung";
    FILE_PATH = "file.path", Keyword, Column, Technical, "Datei";
    FILE_HASH_SHA256 = "file.hash.sha256", Keyword, Pivot, Technical, "SHA-256";
    DNS_QUESTION_TYPE = "dns.question.type", Keyword, Column, Technical, "DNS-Art";
    DNS_QUESTION_NAME = "dns.question.name", Keyword, Pivot, Technical, "DNS-Name";
    EMAIL_FROM = "email.from.address", Keyword, Pivot, Personal, "Absender";
    EMAIL_TO = "email.to.address", Keyword, Pivot, Personal, "Empfänger";
    EMAIL_MESSAGE_ID = "email.message_id", Keyword, Column, Personal, "Nachrichtenkennung";
    PROCESS_EXECUTABLE = "process.executable", Keyword, Pivot, Technical, "Programmdatei";
    PROCESS_PARENT_EXECUTABLE = "process.parent.executable", Keyword, Column, Technical, "Aufrufende Programmdatei";
    PROCESS_PARENT_PID = "process.parent.pid", Int, Column, Technical, "Aufrufende Prozessnummer";
    THREAT_INDICATOR = "threat.indicator.name", Keyword, Pivot, Technical, "Indikator";
    THREAT_INDICATOR_LIST = "threat.feed.name", Keyword, Column, Technical, "Indikatorliste";
    TAGS = "tags", Keyword, Column, Technical, "Merkmale";
    NETWORK_COMMUNITY_ID = "network.community_id", Keyword, Pivot, Technical, "Community-ID";
    SOURCE_GEO_ISO_CODE = "source.geo.country_iso_code", Keyword, Column, Technical, "Länderkürzel (Quelle)";
    SOURCE_AS_NUMBER = "source.as.number", Int, Column, Technical, "AS-Nummer (Quelle)";
    SOURCE_AS_ORGANIZATION = "source.as.organization.name", Keyword, Column, Technical, "Netzbetreiber (Quelle)";
    DESTINATION_GEO_ISO_CODE = "destination.geo.country_iso_code", Keyword, Column, Technical, "Länderkürzel (Ziel)";
    DESTINATION_AS_NUMBER = "destination.as.number", Int, Column, Technical, "AS-Nummer (Ziel)";
    DESTINATION_AS_ORGANIZATION = "destination.as.organization.name", Keyword, Column, Technical, "Netzbetreiber (Ziel)";
    USER_AGENT_NAME = "user_agent.name", Keyword, Column, Technical, "Browser oder Programm";
    USER_AGENT_OS_NAME = "user_agent.os.name", Keyword, Column, Technical, "Betriebssystem (Browserkennung)";
    USER_AGENT_CLASS = "user_agent.class", Keyword, Column, Technical, "Art der Browserkennung";
    USER_DOMAIN = "user.domain", Keyword, Column, Technical, "Domäne des Kontos";
    USER_TARGET_DOMAIN = "user.target.domain", Keyword, Column, Technical, "Domäne des Zielkontos";
    USER_TARGET_ID = "user.target.id", Keyword, Column, Personal, "Kennung des Zielkontos";
    USER_EFFECTIVE_DOMAIN = "user.effective.domain", Keyword, Column, Technical, "Domäne des wirksamen Kontos";
    USER_EFFECTIVE_ID = "user.effective.id", Keyword, Column, Personal, "Kennung des wirksamen Kontos";
    GROUP_DOMAIN = "group.domain", Keyword, Column, Technical, "Domäne der Gruppe";
    PROCESS_ENTITY_ID = "process.entity_id", Keyword, Column, Technical, "Prozesskennung";
    PROCESS_WORKING_DIRECTORY = "process.working_directory", Keyword, Column, Personal, "Arbeitsverzeichnis";
    PROCESS_HASH_MD5 = "process.hash.md5", Keyword, Pivot, Technical, "MD5 (Prozess)";
    PROCESS_HASH_SHA1 = "process.hash.sha1", Keyword, Pivot, Technical, "SHA-1 (Prozess)";
    PROCESS_HASH_SHA256 = "process.hash.sha256", Keyword, Pivot, Technical, "SHA-256 (Prozess)";
    PROCESS_PE_IMPHASH = "process.pe.imphash", Keyword, Column, Technical, "Importhash (Prozess)";
    PROCESS_PARENT_NAME = "process.parent.name", Keyword, Column, Technical, "Aufrufender Prozess";
    PROCESS_PARENT_COMMAND_LINE = "process.parent.command_line", Keyword, Column, Personal, "Befehl des Aufrufers";
    PROCESS_PARENT_ENTITY_ID = "process.parent.entity_id", Keyword, Column, Technical, "Prozesskennung des Aufrufers";
    FILE_NAME = "file.name", Keyword, Column, Technical, "Dateiname";
    FILE_HASH_MD5 = "file.hash.md5", Keyword, Pivot, Technical, "MD5";
    FILE_HASH_SHA1 = "file.hash.sha1", Keyword, Pivot, Technical, "SHA-1";
    FILE_PE_IMPHASH = "file.pe.imphash", Keyword, Column, Technical, "Importhash";
    REGISTRY_PATH = "registry.path", Keyword, Column, Technical, "Registrierungspfad";
    REGISTRY_HIVE = "registry.hive", Keyword, Column, Technical, "Registrierungsstruktur";
    REGISTRY_KEY = "registry.key", Keyword, Column, Technical, "Registrierungsschlüssel";
    REGISTRY_VALUE = "registry.value", Keyword, Column, Technical, "Registrierungswert";
    REGISTRY_DATA = "registry.data.strings", Keyword, Column, Technical, "Registrierungsdaten";
    SERVICE_NAME = "service.name", Keyword, Column, Technical, "Dienst";
    DNS_RESOLVED_IP = "dns.resolved_ip", Ip, Pivot, Personal, "Aufgelöste Adresse";
    DNS_RESPONSE_CODE = "dns.response_code", Keyword, Column, Technical, "DNS-Antwort";
    HTTP_REQUEST_BYTES = "http.request.body.bytes", Int, Column, Technical, "Bytes der Anfrage";
    NETWORK_FORWARDED_IP = "network.forwarded_ip", Ip, Pivot, Personal, "Weitergeleitete Adresse";
    EMAIL_SUBJECT = "email.subject", Keyword, Column, Personal, "Betreff";
    TLS_VERSION = "tls.version", Keyword, Column, Technical, "TLS-Version";
    TLS_CIPHER = "tls.cipher", Keyword, Column, Technical, "TLS-Verfahren";
    TLS_CLIENT_JA3 = "tls.client.ja3", Keyword, Column, Technical, "JA3 (Client)";
    TLS_SERVER_JA3S = "tls.server.ja3s", Keyword, Column, Technical, "JA3 (Server)";
    // What flows have besides (`flows::value` says which column each is read from). Who asked and who answered, as far as
    // ports, flags and the exporter's word tell.
    CLIENT_IP = "client.ip", Ip, Column, Personal, "Client";
    SERVER_IP = "server.ip", Ip, Column, Personal, "Server";
    SERVER_PORT = "server.port", Int, Column, Technical, "Dienstport";
    SOURCE_NAT_IP = "source.nat.ip", Ip, Column, Personal, "Quelladresse (übersetzt)";
    SOURCE_NAT_PORT = "source.nat.port", Int, Column, Technical, "Quellport (übersetzt)";
    DESTINATION_NAT_IP = "destination.nat.ip", Ip, Column, Personal, "Zieladresse (übersetzt)";
    DESTINATION_NAT_PORT = "destination.nat.port", Int, Column, Technical, "Zielport (übersetzt)";
    NETWORK_TYPE = "network.type", Keyword, Column, Technical, "Adressart";
    NETWORK_IANA_NUMBER = "network.iana_number", Int, Column, Technical, "Protokollnummer";
    NETWORK_VLAN_ID = "network.vlan.id", Int, Column, Technical, "VLAN";
    OBSERVER_EGRESS_VLAN_ID = "observer.egress.vlan.id", Int, Column, Technical, "VLAN am Ausgang";
    OBSERVER_INGRESS_INTERFACE_ID = "observer.ingress.interface.id", Int, Column, Technical, "Eingang (Nummer)";
    OBSERVER_EGRESS_INTERFACE_ID = "observer.egress.interface.id", Int, Column, Technical, "Ausgang (Nummer)";
    // What ECS has no name for, as the files' columns are called.
    FLOW_BYTES_SCALED = "flow.bytes_scaled", Int, Column, Technical, "Bytes (hochgerechnet)";
    FLOW_PACKETS_SCALED = "flow.packets_scaled", Int, Column, Technical, "Pakete (hochgerechnet)";
    FLOW_SAMPLING = "flow.sampling", Int, Column, Technical, "Stichprobe, 1 von";
    FLOW_TCP_FLAGS = "flow.tcp_flags", Keyword, Column, Technical, "TCP-Flags";
    FLOW_TOS = "flow.tos", Int, Column, Technical, "TOS";
    FLOW_VERSION = "flow.version", Keyword, Column, Technical, "Flussprotokoll";
    FLOW_DOMAIN = "flow.domain", Int, Column, Technical, "Beobachtungsbereich";
    FLOW_NEXT_HOP = "flow.next_hop", Ip, Column, Technical, "Nächster Router";
    FLOW_SRC_MASK = "flow.src_mask", Int, Column, Technical, "Netzmaske (Quelle)";
    FLOW_DST_MASK = "flow.dst_mask", Int, Column, Technical, "Netzmaske (Ziel)";
    FLOW_DIRECTION = "flow.direction", Keyword, Column, Technical, "Gesehen am";
    FLOW_END_REASON = "flow.end_reason", Keyword, Column, Technical, "Ende durch";
    FLOW_FIREWALL_EVENT = "flow.firewall_event", Keyword, Column, Technical, "Firewall-Vorgang";
    FLOW_NAT_EVENT = "flow.nat_event", Int, Column, Technical, "NAT-Vorgang";
    FLOW_FORWARDING = "flow.forwarding", Keyword, Column, Technical, "Weiterleitung";
    FLOW_BIFLOW = "flow.biflow", Keyword, Column, Technical, "Seite der Verbindung";
    FLOW_MPLS_LABEL = "flow.mpls_label", Int, Column, Technical, "MPLS-Marke";
    FLOW_IN_VRF = "flow.in_vrf", Int, Column, Technical, "VRF am Eingang";
    FLOW_OUT_VRF = "flow.out_vrf", Int, Column, Technical, "VRF am Ausgang";
    FLOW_MIN_TTL = "flow.min_ttl", Int, Column, Technical, "Kleinste TTL";
    FLOW_MAX_TTL = "flow.max_ttl", Int, Column, Technical, "Größte TTL";
    FLOW_MIN_LENGTH = "flow.min_length", Int, Column, Technical, "Kleinstes Paket";
    FLOW_MAX_LENGTH = "flow.max_length", Int, Column, Technical, "Größtes Paket";
    FLOW_LABEL = "flow.flow_label", Int, Column, Technical, "IPv6-Flussmarke";
    FLOW_ID = "flow.flow_id", Int, Column, Technical, "Flussnummer";
    FLOW_APPLICATION = "flow.application", Int, Column, Technical, "Anwendungsnummer";
    FLOW_DROPPED_BYTES = "flow.dropped_bytes", Int, Column, Technical, "Bytes verworfen";
    FLOW_DROPPED_PACKETS = "flow.dropped_packets", Int, Column, Technical, "Pakete verworfen";
    FLOW_ICMP_TYPE = "flow.icmp_type", Int, Column, Technical, "ICMP-Art";
    FLOW_ICMP_CODE = "flow.icmp_code", Int, Column, Technical, "ICMP-Code";
    FLOW_PPS = "flow.pps", Int, Column, Technical, "Pakete je Sekunde";
    FLOW_BPS = "flow.bps", Int, Column, Technical, "Bit je Sekunde";
    FLOW_BPP = "flow.bpp", Int, Column, Technical, "Bytes je Paket";
    MESSAGE = "message", Keyword, Column, Technical, "Meldung";
}

/// Vendor fields interned at run time. Each costs its name once; a stream that invents names stops here, and
/// its further fields stay in the raw line with the defect `too_many_fields`.
#[cfg(not(test))]
const VENDOR_FIELDS_MAX: usize = 4_096;
/// All unit tests share one process and one table, and some invent names by the thousand.
#[cfg(test)]
const VENDOR_FIELDS_MAX: usize = 60_000;
/// A longer name is no field name but data; it stays in the raw line.
pub const NAME_BYTES_MAX: usize = 128;

/// Field names are looked up for each value of each line. Seeded by chance, so that nobody can send colliding ones.
type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;

#[derive(Default)]
struct Vendor {
    ids: HashMap<&'static str, FieldId>,
    names: Vec<&'static str>,
}

static KNOWN: LazyLock<HashMap<&'static str, FieldId>> =
    LazyLock::new(|| FIELDS.iter().zip(0u16..).map(|(field, n)| (field.name, FieldId(n))).collect());
static VENDOR: LazyLock<RwLock<Vendor>> = LazyLock::new(RwLock::default);

impl FieldId {
    /// The table's row; `None` for a vendor's field.
    pub fn known(self) -> Option<&'static Field> {
        FIELDS.get(usize::from(self.0))
    }

    pub fn name(self) -> &'static str {
        if let Some(field) = self.known() {
            return field.name;
        }
        let vendor = VENDOR.read().unwrap_or_else(PoisonError::into_inner);
        vendor.names.get(usize::from(self.0).saturating_sub(FIELDS.len())).copied().unwrap_or("unknown")
    }

    /// The German label, or the name where there is none.
    pub fn label(self) -> &'static str {
        self.known().map_or_else(|| self.name(), |field| field.label)
    }

    /// The field of that name if it is in the table or was seen before.
    pub fn find(name: &str) -> Option<Self> {
        let known = KNOWN.get(name).copied();
        known.or_else(|| VENDOR.read().unwrap_or_else(PoisonError::into_inner).ids.get(name).copied())
    }

    /// The field of that name, interned where it is new; `None` where the bound is reached or the name too long.
    pub fn intern(name: &str) -> Option<Self> {
        if let Some(found) = Self::find(name) {
            return Some(found);
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return None;
        }
        let mut vendor = VENDOR.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = vendor.ids.get(name) {
            return Some(*found);
        }
        if vendor.names.len() >= VENDOR_FIELDS_MAX {
            return None;
        }
        let id = Self(u16::try_from(FIELDS.len() + vendor.names.len()).ok()?);
        // Leaked once a name, at most VENDOR_FIELDS_MAX of them: the table lives as long as the program.
        let name: &'static str = Box::leak(name.into());
        vendor.names.push(name);
        vendor.ids.insert(name, id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_names_are_unique_and_found() {
        assert_eq!(KNOWN.len(), FIELDS.len());
        assert_eq!(FieldId::find("source.ip"), Some(SOURCE_IP));
        assert_eq!(MESSAGE.name(), "message");
        assert_eq!(usize::from(MESSAGE.0), FIELDS.len() - 1);
    }

    #[test]
    fn a_vendor_field_keeps_its_id() {
        let id = FieldId::intern("fortinet.firewall.policytype").unwrap();
        assert_eq!(FieldId::intern("fortinet.firewall.policytype"), Some(id));
        assert_eq!(id.name(), "fortinet.firewall.policytype");
        assert!(id.known().is_none());
        assert_eq!(FieldId::intern(&"x".repeat(NAME_BYTES_MAX + 1)), None);
    }
}

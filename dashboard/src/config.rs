//! The configuration file: read, checked key by key, and explained. Every key stands once in `KEYS`, with its kind,
//! default, example and German help; the checks, the messages and the commented example are made from that table.
//! An error names file, line, key, value and an accepted example; an unknown key names the nearest known one.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use detect::role::Role;
use detect::watch::LossLimit;
use ingest::body::Prefix;
use ingest::disk::Thresholds;
use ingest::enrich;
use ingest::flow::SamplingRule;
use ingest::listen::{Addresses, Listener, Priority, QuotaConfig, SiteQuota, TlsFiles};
use ingest::pseudonym::{Addresses as HiddenAddresses, Wanted};
use ingest::time::Timestamp;
use toml::de::{DeTable, DeValue};

use crate::oidc;
use crate::oidc::groups::GroupRow;
use crate::secret::Secret;

/// One thing that is wrong, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub String);

/// The configuration as the program uses it.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub data: Option<PathBuf>,
    pub intake: Intake,
    /// Days for which the journal keeps what everybody has worked off.
    pub journal_keep_days: u32,
    pub disk: Thresholds,
    pub web: Web,
    pub mail: Mail,
    /// The outside provider for log-ins; without an issuer there is none.
    pub oidc: oidc::Settings,
    /// Publisher of the CSAF documents.
    pub csaf_namespace: String,
    pub contact: String,
    /// Zone of log stamps that carry none.
    pub zone: chrono_tz::Tz,
    pub rule_dirs: Vec<PathBuf>,
    /// The own networks as flow detectors see them; none: the private ones.
    pub flow_inside: Vec<Prefix>,
    /// What the operator changes of the detectors; `detectors.toml` in the data directory where it is not said.
    pub detectors_file: Option<PathBuf>,
    /// What is added to events.
    pub enrich: enrich::Settings,
    /// Whom the event store hides; what is not said stays as it was.
    pub pseudonymise: Wanted,
    pub retention: Retention,
    pub flows: Flows,
    pub sites: Vec<SiteConfig>,
}

/// What is particular to flows.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    /// From which loss on there is an alert.
    pub loss: LossLimit,
    /// What exporters sample that do not say it.
    pub sampling: Vec<SamplingRule>,
}

/// For how long events are kept, and when their days are sealed.
#[derive(Clone, Debug, Default)]
pub struct Retention {
    pub default_days: u32,
    pub flow_days: u32,
    pub seal_days: u32,
    pub check_seconds: u64,
    pub classes: Vec<ClassConfig>,
}

/// A retention class and whose events belong to it.
#[derive(Clone, Debug, Default)]
pub struct ClassConfig {
    pub name: String,
    pub days: u32,
    /// Names of sites.
    pub sites: Vec<String>,
    /// Senders' addresses.
    pub sources: Vec<Prefix>,
}

#[derive(Clone, Debug, Default)]
pub struct Intake {
    pub addresses: Addresses,
    pub http_token: Option<String>,
    pub udp_receive_buffer_bytes: usize,
    pub udp_sockets: usize,
    /// Frames a second that a site may send; 0 is without limit.
    pub site_rate: u64,
    pub tls_certificate: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub tls_client_ca: Option<PathBuf>,
    /// Senders may do without a certificate.
    pub tls_clients_optional: bool,
    /// Load balancers, which say whose a connection is.
    pub proxies: Vec<Prefix>,
}

impl Intake {
    /// What listeners over TLS need, where the configuration gives it.
    pub fn tls(&self) -> Option<TlsFiles> {
        let (certificate, key) = (self.tls_certificate.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { certificate, key, client_ca: self.tls_client_ca.clone(), clients_required: !self.tls_clients_optional })
    }
}

#[derive(Clone, Debug, Default)]
pub struct Web {
    pub listen: Option<SocketAddr>,
    pub base_url: String,
    /// Further names that the pages answer to.
    pub names: Vec<String>,
    /// Proxies in front of the pages, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Prefix>,
    /// What `/metrics` is asked with; without one only this machine is answered.
    pub metrics_token: Option<String>,
    /// Of which roles a second factor is demanded.
    pub second_factor: crate::login::Demand,
    /// When sessions end.
    pub session: crate::session::Limits,
    /// Folder with the original KERN theme.
    pub theme_dir: Option<PathBuf>,
}

#[derive(Clone, Debug, Default)]
pub struct Mail {
    /// Empty: mails stay in the outbox.
    pub host: String,
    pub port: u16,
    pub tls: String,
    pub user: Option<String>,
    pub password: Option<String>,
    pub from: String,
}

#[derive(Clone, Default, PartialEq)]
pub struct SiteConfig {
    pub name: String,
    pub body: Option<String>,
    pub prefixes: Vec<Prefix>,
    /// Names in client certificates, or their fingerprints.
    pub certificates: Vec<String>,
    /// What its HTTP senders authenticate with.
    pub tokens: Vec<String>,
    /// Zone of its stamps that carry none.
    pub zone: Option<chrono_tz::Tz>,
    /// Where its rate is not that of all sites.
    pub rate: Option<u64>,
    pub priority: Priority,
}

impl Config {
    /// How much each site may send.
    pub fn quota(&self) -> QuotaConfig {
        let of = |site: &SiteConfig| (site.name.clone(), SiteQuota { rate: site.rate, priority: site.priority });
        QuotaConfig { rate: self.intake.site_rate, sites: self.sites.iter().map(of).collect() }
    }
}

impl fmt::Debug for SiteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The tokens stay out of every log.
        let Self { name, body, prefixes, certificates, tokens, zone, rate, priority } = self;
        let tokens = tokens.len();
        write!(f, "SiteConfig({name:?}, {body:?}, {prefixes:?}, {certificates:?}, {tokens} tokens, {zone:?}, {rate:?}, {priority:?})")
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Address,
    Text,
    Path,
    /// A file whose first line is the secret.
    Secret,
    Paths,
    Integer(i64, i64),
    Choice(&'static [&'static str]),
    Zone,
    Url,
    /// https, or http on this machine.
    SafeUrl,
    Prefixes,
    Texts,
    /// Names of roles.
    Roles,
    /// Files whose first lines are the secrets.
    Secrets,
}

struct Key {
    path: &'static str,
    kind: Kind,
    /// As written in TOML; empty where the key has no default and may be missing.
    default: &'static str,
    example: &'static str,
    help: &'static str,
}

const fn key(path: &'static str, kind: Kind, default: &'static str, example: &'static str, help: &'static str) -> Key {
    Key { path, kind, default, example, help }
}

const KEYS: &[Key] = &[
    key("data", Kind::Path, "", "\"/var/lib/wartburg\"", "Datenverzeichnis; geht auch mit --data oder WARTBURG_DATA"),
    key("intake.syslog_udp", Kind::Address, "\"0.0.0.0:514\"", "\"0.0.0.0:514\"", "Syslog über UDP; \"aus\" schaltet ab"),
    key(
        "intake.syslog_tcp",
        Kind::Address,
        "\"0.0.0.0:514\"",
        "\"0.0.0.0:514\"",
        "Syslog über TCP (Zeilen oder mit Längenangabe); \"aus\" schaltet ab",
    ),
    key(
        "intake.http",
        Kind::Address,
        "\"127.0.0.1:8514\"",
        "\"127.0.0.1:8514\"",
        "NDJSON (/v1/ingest), Elasticsearch (_bulk) und OpenTelemetry (/v1/logs) über HTTP, bestätigt nach fsync; \"aus\" schaltet ab",
    ),
    key(
        "intake.http_token_file",
        Kind::Secret,
        "",
        "\"/etc/wartburg/intake.token\"",
        "Datei mit dem Token, das HTTP-Absender nennen müssen, die keines eines Standorts haben",
    ),
    key("intake.syslog_tls", Kind::Address, "\"aus\"", "\"0.0.0.0:6514\"", "Syslog über TLS (RFC 5425); \"aus\" schaltet ab"),
    key("intake.relp", Kind::Address, "\"aus\"", "\"0.0.0.0:2514\"", "RELP, jede Zeile nach fsync bestätigt; \"aus\" schaltet ab"),
    key("intake.relp_tls", Kind::Address, "\"aus\"", "\"0.0.0.0:2515\"", "RELP über TLS; \"aus\" schaltet ab"),
    key("intake.gelf_udp", Kind::Address, "\"aus\"", "\"0.0.0.0:12201\"", "GELF über UDP, auch in Teilen; \"aus\" schaltet ab"),
    key("intake.gelf_tcp", Kind::Address, "\"aus\"", "\"0.0.0.0:12201\"", "GELF über TCP; \"aus\" schaltet ab"),
    key("intake.https", Kind::Address, "\"aus\"", "\"0.0.0.0:8515\"", "wie intake.http, über TLS; \"aus\" schaltet ab"),
    key(
        "intake.netflow_udp",
        Kind::Address,
        "\"0.0.0.0:2055\"",
        "\"0.0.0.0:2055\"",
        "Flussdaten über UDP: NetFlow v5 und v9, IPFIX und sFlow, an den ersten Bytes erkannt; \"aus\" schaltet ab",
    ),
    key(
        "intake.ipfix_udp",
        Kind::Address,
        "\"aus\"",
        "\"0.0.0.0:4739\"",
        "dasselbe am üblichen Anschluss von IPFIX, für Geräte, an denen er sich nicht ändern lässt; \"aus\" schaltet ab",
    ),
    key("intake.sflow_udp", Kind::Address, "\"aus\"", "\"0.0.0.0:6343\"", "dasselbe am üblichen Anschluss von sFlow; \"aus\" schaltet ab"),
    key("intake.tls_certificate", Kind::Path, "", "\"/etc/wartburg/tls.pem\"", "Zertifikat der TLS-Anschlüsse mit seiner Kette, PEM"),
    key("intake.tls_key", Kind::Path, "", "\"/etc/wartburg/tls.key\"", "Schlüssel dazu, PEM; beide werden nach einer Änderung neu gelesen"),
    key(
        "intake.tls_client_ca",
        Kind::Path,
        "",
        "\"/etc/wartburg/absender-ca.pem\"",
        "Stelle, die die Zertifikate der Absender ausstellt, PEM; ohne sie wird keines verlangt",
    ),
    key(
        "intake.tls_clients",
        Kind::Choice(&["verlangt", "erlaubt"]),
        "\"verlangt\"",
        "\"verlangt\"",
        "ob Absender ein Zertifikat zeigen müssen; gilt, wenn tls_client_ca gesetzt ist",
    ),
    key(
        "intake.proxies",
        Kind::Prefixes,
        "[]",
        "[\"10.1.2.3/32\"]",
        "Lastverteiler, die jeder TCP-Verbindung einen PROXY-Kopf voranstellen (Version 1 oder 2); dort ist er Pflicht",
    ),
    key(
        "intake.udp_receive_buffer_bytes",
        Kind::Integer(65_536, 1 << 30),
        "8388608",
        "8388608",
        "Empfangspuffer je UDP-Anschluss in Bytes; ohne das Recht CAP_NET_ADMIN höchstens net.core.rmem_max",
    ),
    key(
        "intake.udp_sockets",
        Kind::Integer(1, 16),
        "1",
        "2",
        "UDP-Anschlüsse je Adresse für Syslog oder Flussdaten, jeder mit eigenem Thread; mehr als einer lohnt erst über 100.000 Zeilen je Sekunde",
    ),
    key(
        "intake.site_rate",
        Kind::Integer(0, 10_000_000),
        "20000",
        "20000",
        "Zeilen je Sekunde, die ein Standort senden darf, für 5 Sekunden auf einmal; mehr wird gebremst, über UDP verworfen und gezählt; 0: ohne Grenze",
    ),
    key(
        "journal.keep_days",
        Kind::Integer(1, 3_650),
        "30",
        "30",
        "Tage, die das Journal Empfangenes behält; so lange lassen sich die Speicher daraus neu aufbauen",
    ),
    key(
        "retention.default_days",
        Kind::Integer(1, 3_650),
        "90",
        "90",
        "Tage, für die der Ereignisspeicher Ereignisse behält, die zu keiner anderen Klasse gehören (docs/aufbewahrung.md)",
    ),
    key(
        "retention.flow_days",
        Kind::Integer(1, 3_650),
        "30",
        "30",
        "Tage, für die der Flussspeicher Flüsse behält; Summen je Minute bleiben zwei Tage, je Stunde so lange wie die Flüsse",
    ),
    key(
        "retention.seal_days",
        Kind::Integer(0, 30),
        "2",
        "2",
        "Tage nach seinem Ende, nach denen ein Tag zusammengefasst und versiegelt wird",
    ),
    key(
        "retention.check_seconds",
        Kind::Integer(1, 86_400),
        "300",
        "300",
        "alle wie viel Sekunden nachgesehen wird, was zu löschen und zu versiegeln ist",
    ),
    key(
        "retention.classes[].name",
        Kind::Text,
        "",
        "\"kurz\"",
        "Name einer weiteren Klasse: Kleinbuchstaben, Ziffern, Bindestrich; ihre Ereignisse liegen unter events/<Name>/<Tag>",
    ),
    key("retention.classes[].days", Kind::Integer(1, 3_650), "", "30", "Tage, für die sie behalten wird"),
    key(
        "retention.classes[].sites",
        Kind::Texts,
        "",
        "[\"rathaus-soemmerda\"]",
        "Standorte, deren Ereignisse dazugehören; gilt für alles, was danach eingeht",
    ),
    key(
        "retention.classes[].sources",
        Kind::Prefixes,
        "",
        "[\"10.20.0.1/32\"]",
        "Absenderadressen, deren Ereignisse dazugehören; von mehreren Klassen gilt die erste, die passt",
    ),
    key(
        "flows.loss_percent",
        Kind::Integer(0, 100),
        "1",
        "5",
        "ab mehr als so viel Prozent verlorener Flussdaten eines Exporteurs gibt es einen Alarm (gerechnet aus seinen Folgenummern); 0: keinen",
    ),
    key("flows.loss_minutes", Kind::Integer(1, 60), "15", "15", "über so viele Minuten wird dieser Anteil gerechnet"),
    key(
        "flows.inside",
        Kind::Prefixes,
        "[]",
        "[\"10.0.0.0/8\", \"203.0.113.0/24\"]",
        "eigene Netze, nach denen die Detektoren innen und außen unterscheiden; leer: die privaten; die der Standorte zählen immer dazu",
    ),
    key(
        "flows.detectors",
        Kind::Path,
        "",
        "\"/etc/wartburg/detectors.toml\"",
        "Datei mit geänderten Parametern der Detektoren (docs/detektoren.md); ohne Angabe detectors.toml im Datenverzeichnis, wenn es sie gibt",
    ),
    key(
        "flows.sampling[].exporters",
        Kind::Prefixes,
        "",
        "[\"10.20.0.1/32\"]",
        "Exporteure, die nur jedes n-te Paket ansehen und es nicht selbst sagen; von mehreren Zeilen gilt die erste, die passt",
    ),
    key("flows.sampling[].domain", Kind::Integer(0, u32::MAX as i64), "", "0", "nur diese Domäne des Exporteurs; ohne Angabe alle"),
    key("flows.sampling[].rate", Kind::Integer(1, 1 << 24), "", "1000", "n: eines von so vielen Paketen wird angesehen"),
    key("disk.warn_percent", Kind::Integer(1, 100), "85", "85", "ab so vielen belegten Prozent der Platte wird gewarnt"),
    key(
        "disk.shed_percent",
        Kind::Integer(1, 100),
        "92",
        "92",
        "ab so vielen Prozent werden Quellen niedriger Priorität verworfen und gezählt",
    ),
    key("disk.stop_percent", Kind::Integer(1, 100), "97", "97", "ab so vielen Prozent wird nichts mehr bestätigt, bis wieder Platz ist"),
    key(
        "web.listen",
        Kind::Address,
        "\"127.0.0.1:8080\"",
        "\"127.0.0.1:8080\"",
        "Adresse der Oberfläche; TLS übernimmt ein vorgeschalteter Proxy",
    ),
    key(
        "web.base_url",
        Kind::Url,
        "\"http://127.0.0.1:8080\"",
        "\"https://wartburg.thueringen.example\"",
        "Adresse, unter der Menschen die Oberfläche erreichen; steht in Mails",
    ),
    key(
        "web.names",
        Kind::Texts,
        "[]",
        "[\"wartburg.intern.example\"]",
        "weitere Namen der Oberfläche neben dem in web.base_url; unter anderen antwortet sie nicht",
    ),
    key(
        "web.trusted_proxies",
        Kind::Prefixes,
        "[]",
        "[\"10.1.2.3/32\"]",
        "Proxys vor der Oberfläche; nur ihnen wird X-Forwarded-For geglaubt (Bremse bei der Anmeldung, Protokoll)",
    ),
    key(
        "web.metrics_token_file",
        Kind::Secret,
        "",
        "\"/etc/wartburg/metrics.token\"",
        "Datei mit dem Bearer-Token für /metrics; ohne sie wird nur dieser Rechner bedient",
    ),
    key(
        "web.second_factor",
        Kind::Roles,
        "[]",
        "[\"lead\", \"admin\"]",
        "Rollen, die nur mit zweitem Faktor (App oder Passkey) hineinkommen; wer noch keinen hat, richtet ihn bei der nächsten Anmeldung ein. Angeboten wird er allen",
    ),
    key("web.session_idle_minutes", Kind::Integer(5, 480), "120", "30", "Minuten ohne einen Klick, nach denen eine Sitzung endet"),
    key("web.session_hours", Kind::Integer(1, 24), "12", "10", "Stunden, nach denen eine Sitzung auf jeden Fall endet"),
    key(
        "web.theme_dir",
        Kind::Path,
        "",
        "\"/usr/share/wartburg/kern\"",
        "Ordner mit dem Original-Theme von KERN (dist des Pakets @kern-ux/native); geht auch mit --theme-dir",
    ),
    key(
        "oidc.issuer",
        Kind::SafeUrl,
        "",
        "\"https://anmeldung.thueringen.example/realms/verwaltung\"",
        "Anmeldedienst (OpenID Connect), wie er sich selbst nennt; ohne Angabe gibt es keinen. Rückkehradresse dort: web.base_url + /login/oidc/zurueck",
    ),
    key("oidc.client_id", Kind::Text, "\"wartburg\"", "\"wartburg\"", "Name von Wartburg beim Anmeldedienst"),
    key(
        "oidc.client_secret_file",
        Kind::Secret,
        "",
        "\"/etc/wartburg/oidc.secret\"",
        "Datei mit dem Geheimnis dazu; ohne sie nur mit PKCE",
    ),
    key(
        "oidc.scopes",
        Kind::Texts,
        "[\"openid\", \"profile\"]",
        "[\"openid\", \"profile\", \"groups\"]",
        "was beim Anmeldedienst erbeten wird; \"openid\" gehört dazu",
    ),
    key(
        "oidc.groups_claim",
        Kind::Text,
        "\"groups\"",
        "\"realm_access.roles\"",
        "wo im ID-Token die Gruppen stehen; ein Punkt führt in ein Objekt hinein",
    ),
    key("oidc.label", Kind::Text, "\"Landeskonto\"", "\"Landeskonto\"", "Name des Anmeldedienstes auf der Schaltfläche: „Mit … anmelden“"),
    key("oidc.only", Kind::Choice(&["ja", "nein"]), "\"nein\"", "\"ja\"", "\"ja\": Kennwörter gelten nur noch für die Notfallkonten"),
    key(
        "oidc.emergency_accounts",
        Kind::Texts,
        "[]",
        "[\"notfall\"]",
        "Anmeldenamen der Notfallkonten, die trotz only = \"ja\" ein Kennwort benutzen dürfen",
    ),
    key(
        "oidc.groups[].group",
        Kind::Text,
        "",
        "\"wartburg-isb-*\"",
        "Gruppe beim Anmeldedienst; die erste Zeile, die passt, gilt. Ein * steht für Namen oder AGS einer Stelle",
    ),
    key(
        "oidc.groups[].role",
        Kind::Choice(&["analyst", "lead", "municipality", "provider", "steering", "auditor", "admin"]),
        "",
        "\"municipality\"",
        "Rolle, die sie gibt",
    ),
    key(
        "oidc.groups[].body",
        Kind::Text,
        "",
        "\"*\"",
        "für \"municipality\" die Stelle (Name oder AGS), für \"provider\" der Dienstleister; \"*\": was in der Gruppe für * steht",
    ),
    key("mail.host", Kind::Text, "\"\"", "\"mail.thueringen.example\"", "SMTP-Server; leer: Mails bleiben im Ausgang"),
    key("mail.port", Kind::Integer(1, 65_535), "25", "587", "Port des SMTP-Servers"),
    key("mail.tls", Kind::Choice(&["none", "starttls", "implicit"]), "\"starttls\"", "\"starttls\"", "Verschlüsselung zum SMTP-Server"),
    key("mail.user", Kind::Text, "", "\"wartburg\"", "Anmeldung am SMTP-Server"),
    key("mail.password_file", Kind::Secret, "", "\"/etc/wartburg/smtp.password\"", "Datei mit dem Kennwort dazu"),
    key(
        "mail.from",
        Kind::Text,
        "\"ThüringenCERT <cert@thueringen.example>\"",
        "\"ThüringenCERT <cert@thueringen.example>\"",
        "Absender der Mails",
    ),
    key(
        "csaf.namespace",
        Kind::Url,
        "\"https://cert.thueringen.example\"",
        "\"https://cert.thueringen.example\"",
        "Namensraum des Herausgebers in CSAF-Dokumenten",
    ),
    key("csaf.contact", Kind::Text, "\"cert@thueringen.example\"", "\"cert@thueringen.example\"", "Kontakt in Warnungen"),
    key("time.zone", Kind::Zone, "\"Europe/Berlin\"", "\"Europe/Berlin\"", "Zeitzone von Zeitstempeln ohne Angabe"),
    key("rules.dirs", Kind::Paths, "[]", "[\"/etc/wartburg/rules\"]", "Ordner mit eigenen Sigma-Regeln, neben den mitgelieferten"),
    key(
        "enrich.community_id",
        Kind::Choice(&["an", "aus"]),
        "\"an\"",
        "\"aus\"",
        "Verbindungen bekommen ihre Community-ID, mit der sie sich in Suricata und Zeek wiederfinden",
    ),
    key(
        "enrich.direction",
        Kind::Choice(&["an", "aus"]),
        "\"an\"",
        "\"aus\"",
        "Verbindungen bekommen ihre Richtung nach den Netzen des Standorts, wo das Gerät keine nennt",
    ),
    key(
        "enrich.user_agent",
        Kind::Choice(&["an", "aus"]),
        "\"an\"",
        "\"aus\"",
        "Browserkennungen werden gedeutet: Programm, Betriebssystem und Art (Browser, Bot, Scanner …)",
    ),
    key(
        "enrich.leases",
        Kind::Choice(&["an", "aus"]),
        "\"an\"",
        "\"aus\"",
        "Adressen bekommen den Rechnernamen, den der DHCP-Server zu dieser Zeit vergeben hatte",
    ),
    key(
        "enrich.lease_hours",
        Kind::Integer(1, 8_760),
        "24",
        "8",
        "Stunden, für die eine Adresse vergeben ist, wenn der DHCP-Server die Dauer nicht mitschreibt",
    ),
    key("enrich.lease_days", Kind::Integer(1, 3_650), "90", "30", "Tage, die man nach ihrem Ende noch weiß, wer eine Adresse hatte"),
    key(
        "enrich.geo_files",
        Kind::Paths,
        "[]",
        "[\"/var/lib/GeoIP/GeoLite2-Country.mmdb\", \"/var/lib/GeoIP/GeoLite2-ASN.mmdb\"]",
        "eigene MMDB-Dateien mit Land und Netzbetreiber öffentlicher Adressen; Neues wird von selbst gelesen; leer: aus",
    ),
    key(
        "pseudonymise.enabled",
        Kind::Choice(&["ja", "nein"]),
        "",
        "\"ja\"",
        "ob der Ereignisspeicher Personen pseudonymisiert (docs/pseudonyme.md); gilt für alles, was danach eingeht. Ohne Angabe bleibt es, wie es war: zu Anfang aus",
    ),
    key(
        "pseudonymise.users",
        Kind::Choice(&["all", "none"]),
        "",
        "\"all\"",
        "Konten und was in Anforderungen und Befehlen von Personen erzählt; ohne Angabe wie zuletzt, zu Anfang \"all\"",
    ),
    key("pseudonymise.mails", Kind::Choice(&["all", "none"]), "", "\"all\"", "E-Mail-Adressen; ohne Angabe wie zuletzt, zu Anfang \"all\""),
    key(
        "pseudonymise.addresses",
        Kind::Choice(&["internal", "all", "none"]),
        "",
        "\"internal\"",
        "IP-Adressen: \"internal\" sind private und die der Standorte; ein Pseudonym bleibt eine Adresse seines Netzes. Ohne Angabe wie zuletzt, zu Anfang \"internal\"",
    ),
    key("sites[].name", Kind::Text, "", "\"rathaus-soemmerda\"", "Kurzname des Standorts; ändert sich nie"),
    key("sites[].body", Kind::Text, "", "\"Stadtverwaltung Sömmerda\"", "Stelle, zu der er gehört"),
    key("sites[].prefixes", Kind::Prefixes, "", "[\"10.20.0.0/16\"]", "Netze, aus denen er sendet"),
    key(
        "sites[].certificates",
        Kind::Texts,
        "",
        "[\"collector.soemmerda.example\"]",
        "Namen in den Client-Zertifikaten seiner Absender, oder \"sha256:…\" (geht vor dem Netz)",
    ),
    key(
        "sites[].token_files",
        Kind::Secrets,
        "",
        "[\"/etc/wartburg/soemmerda.token\"]",
        "Dateien mit den Tokens seiner HTTP-Absender (gehen vor dem Netz)",
    ),
    key("sites[].zone", Kind::Zone, "", "\"UTC\"", "Zeitzone seiner Zeitstempel ohne Angabe, wo sie von time.zone abweicht"),
    key(
        "sites[].rate",
        Kind::Integer(0, 10_000_000),
        "",
        "50000",
        "Zeilen je Sekunde, wo sie von intake.site_rate abweichen; 0: ohne Grenze",
    ),
    key(
        "sites[].priority",
        Kind::Choice(&["hoch", "normal", "niedrig"]),
        "",
        "\"hoch\"",
        "\"hoch\", \"normal\" oder \"niedrig\": bei voller Platte wird Niedriges verworfen, bei Überlast hat Hohes den größeren Anteil",
    ),
];

/// Reads and checks a file.
///
/// # Errors
/// Everything that is wrong with it, not only the first.
pub fn load(path: &Path) -> Result<Config, Vec<ConfigError>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        vec![ConfigError(format!("{}: kann nicht gelesen werden ({error}). Mit --config einen anderen Pfad nennen.", path.display()))]
    })?;
    parse(&path.display().to_string(), &text)
}

/// The configuration of an empty file.
///
/// # Panics
/// Never: a test reads every default.
pub fn defaults() -> Config {
    parse("", "").unwrap_or_default()
}

/// A commented file with every key at its default.
pub fn example() -> String {
    let mut text = String::from("# Wartburg: Konfiguration. Auskommentiert stehen die Voreinstellungen.\n");
    let mut section = "";
    for key in KEYS {
        let (table, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if table != section {
            section = table;
            let header = table.strip_suffix("[]").map_or_else(|| format!("[{table}]"), |list| format!("#[[{list}]]"));
            let _ = write!(text, "\n{header}\n");
        }
        let value = if key.default.is_empty() { key.example } else { key.default };
        let _ = write!(text, "# {}\n#{name} = {value}\n", key.help);
    }
    text
}

fn parse(file: &str, text: &str) -> Result<Config, Vec<ConfigError>> {
    let mut reader = Reader { file, text, errors: Vec::new(), config: Config::default() };
    match DeTable::parse(text) {
        Ok(table) => reader.table("", table.get_ref()),
        Err(error) => {
            let line = error.span().map_or(1, |span| reader.line(span.start));
            reader.errors.push(ConfigError(format!("{file}, Zeile {line}: kein gültiges TOML: {}.", error.message())));
        }
    }
    reader.fill_defaults();
    if reader.errors.is_empty() { Ok(reader.config) } else { Err(reader.errors) }
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    errors: Vec<ConfigError>,
    config: Config,
}

/// A value that has passed its kind's check.
enum Checked {
    Address(Option<SocketAddr>),
    Text(String),
    Integer(i64),
    Paths(Vec<PathBuf>),
    Prefixes(Vec<Prefix>),
    Texts(Vec<String>),
    Zone(chrono_tz::Tz),
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        self.text.get(..offset).map_or(1, |before| before.matches('\n').count() + 1)
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path = if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
            let line = self.line(name.span().start);
            match value.get_ref() {
                DeValue::Table(inner) if KEYS.iter().any(|key| key.path.starts_with(&format!("{path}."))) => self.table(&path, inner),
                DeValue::Array(items) if KEYS.iter().any(|key| key.path.starts_with(&format!("{path}[]."))) => {
                    for item in items {
                        match path.as_str() {
                            "oidc.groups" => self.config.oidc.groups.push(GroupRow::default()),
                            "retention.classes" => self.config.retention.classes.push(ClassConfig::default()),
                            "flows.sampling" => self.config.flows.sampling.push(SamplingRule { exporters: vec![], domain: None, rate: 0 }),
                            _ => self.config.sites.push(SiteConfig::default()),
                        }
                        if let DeValue::Table(inner) = item.get_ref() {
                            self.table(&format!("{path}[]"), inner);
                        }
                        match path.as_str() {
                            "oidc.groups" => {
                                self.group_checked(line);
                                continue;
                            }
                            "retention.classes" => {
                                self.class_checked(line);
                                continue;
                            }
                            "flows.sampling" => {
                                self.sampling_checked(line);
                                continue;
                            }
                            _ => {}
                        }
                        if self.config.sites.last().is_some_and(|site| site.name.is_empty()) {
                            self.fail(line, "sites[].name", "fehlt", "\"rathaus-soemmerda\"");
                        }
                    }
                }
                value => self.value(&path, line, value),
            }
        }
    }

    /// A class must have a name that can be a folder's, of its own, and days.
    fn class_checked(&mut self, line: usize) {
        let Some(class) = self.config.retention.classes.last().cloned() else { return };
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let taken = [ingest::events::CLASS, ingest::events::HOLD].contains(&class.name.as_str())
            || self.config.retention.classes.iter().filter(|other| other.name == class.name).count() > 1;
        if class.name.is_empty() || class.name.len() > 32 || !class.name.bytes().all(plain) || class.name.starts_with('-') {
            self.fail(
                line,
                "retention.classes[].name",
                "fehlt oder hat andere Zeichen als Kleinbuchstaben, Ziffern, Bindestrich",
                "\"kurz\"",
            );
        } else if taken {
            self.fail(line, "retention.classes[].name", &format!("„{}“ ist schon vergeben", class.name), "\"kurz\"");
        }
        if class.days == 0 {
            self.fail(line, "retention.classes[].days", "fehlt", "30");
        }
        if class.sites.is_empty() && class.sources.is_empty() {
            self.fail(line, "retention.classes[].sites", "und sources fehlen: zu der Klasse gehörte nichts", "[\"rathaus-soemmerda\"]");
        }
    }

    fn sampling_checked(&mut self, line: usize) {
        let Some(rule) = self.config.flows.sampling.last().cloned() else { return };
        if rule.exporters.is_empty() {
            self.fail(line, "flows.sampling[].exporters", "fehlt", "[\"10.20.0.1/32\"]");
        }
        if rule.rate == 0 {
            self.fail(line, "flows.sampling[].rate", "fehlt", "1000");
        }
    }

    /// A row that could give nobody anything, or more than it says, is a mistake.
    fn group_checked(&mut self, line: usize) {
        let Some(row) = self.config.oidc.groups.last().cloned() else { return };
        if row.group.is_empty() {
            return self.fail(line, "oidc.groups[].group", "fehlt", "\"wartburg-analyse\"");
        }
        if row.group.matches('*').count() > 1 {
            return self.fail(line, "oidc.groups[].group", "hat mehr als ein *", "\"wartburg-isb-*\"");
        }
        let Some(role) = row.role else { return self.fail(line, "oidc.groups[].role", "fehlt", "\"analyst\"") };
        match (role, row.body.as_deref()) {
            (Role::Municipality | Role::Provider, None) => self.fail(line, "oidc.groups[].body", "fehlt für diese Rolle", "\"16068051\""),
            (_, Some("*")) if !row.group.contains('*') => {
                self.fail(line, "oidc.groups[].body", "„*“, aber in der Gruppe steht keines", "\"16068051\"");
            }
            _ => {}
        }
    }

    fn value(&mut self, path: &str, line: usize, value: &DeValue<'_>) {
        let Some(key) = KEYS.iter().find(|key| key.path == path) else {
            let nearest = KEYS.iter().map(|key| key.path).min_by_key(|known| distance(known, path)).unwrap_or_default();
            let file = self.file;
            self.errors
                .push(ConfigError(format!("{file}, Zeile {line}: unbekannter Schlüssel „{path}“. Gemeint ist vielleicht „{nearest}“.")));
            return;
        };
        match check(key, value) {
            Ok(checked) => self.set(path, checked),
            Err(problem) => self.fail(line, path, &format!("{} {problem}", shown(value)), key.example),
        }
    }

    fn fail(&mut self, line: usize, path: &str, problem: &str, example: &str) {
        let file = self.file;
        self.errors.push(ConfigError(format!("{file}, Zeile {line}: {path}: {problem}. Zum Beispiel: {example}")));
    }

    fn fill_defaults(&mut self) {
        let given: Vec<String> = match DeTable::parse(self.text) {
            Ok(table) => paths("", table.get_ref()),
            Err(_) => return,
        };
        for key in KEYS.iter().filter(|key| !key.default.is_empty() && !given.iter().any(|path| path == key.path)) {
            if let Ok(value) = DeValue::parse(key.default) {
                self.value(key.path, 0, value.get_ref());
            }
        }
    }

    fn set(&mut self, path: &str, value: Checked) {
        let config = &mut self.config;
        match (path, value) {
            ("data", Checked::Text(path)) => config.data = Some(path.into()),
            ("intake.http_token_file", Checked::Text(token)) => config.intake.http_token = Some(token),
            ("intake.udp_receive_buffer_bytes", Checked::Integer(bytes)) => {
                config.intake.udp_receive_buffer_bytes = usize::try_from(bytes).unwrap_or_default();
            }
            ("journal.keep_days", Checked::Integer(days)) => config.journal_keep_days = u32::try_from(days).unwrap_or(u32::MAX),
            ("retention.default_days", Checked::Integer(days)) => config.retention.default_days = u32::try_from(days).unwrap_or(u32::MAX),
            ("retention.flow_days", Checked::Integer(days)) => config.retention.flow_days = u32::try_from(days).unwrap_or(u32::MAX),
            ("retention.seal_days", Checked::Integer(days)) => config.retention.seal_days = u32::try_from(days).unwrap_or_default(),
            ("retention.check_seconds", Checked::Integer(seconds)) => {
                config.retention.check_seconds = u64::try_from(seconds).unwrap_or_default();
            }
            (
                "retention.classes[].name" | "retention.classes[].days" | "retention.classes[].sites" | "retention.classes[].sources",
                value,
            ) => {
                if let Some(class) = config.retention.classes.last_mut() {
                    match value {
                        Checked::Text(name) => class.name = name,
                        Checked::Integer(days) => class.days = u32::try_from(days).unwrap_or(u32::MAX),
                        Checked::Texts(sites) => class.sites = sites,
                        Checked::Prefixes(sources) => class.sources = sources,
                        _ => {}
                    }
                }
            }
            ("flows.loss_percent", Checked::Integer(percent)) => config.flows.loss.percent = u32::try_from(percent).unwrap_or_default(),
            ("flows.loss_minutes", Checked::Integer(minutes)) => config.flows.loss.minutes = u32::try_from(minutes).unwrap_or(15),
            ("flows.sampling[].exporters" | "flows.sampling[].domain" | "flows.sampling[].rate", value) => {
                if let Some(rule) = config.flows.sampling.last_mut() {
                    match (path, value) {
                        ("flows.sampling[].domain", Checked::Integer(domain)) => rule.domain = u32::try_from(domain).ok(),
                        (_, Checked::Integer(rate)) => rule.rate = u32::try_from(rate).unwrap_or(1),
                        (_, Checked::Prefixes(exporters)) => rule.exporters = exporters,
                        _ => {}
                    }
                }
            }
            ("disk.warn_percent", Checked::Integer(percent)) => config.disk.warn_percent = u8::try_from(percent).unwrap_or(100),
            ("disk.shed_percent", Checked::Integer(percent)) => config.disk.shed_percent = u8::try_from(percent).unwrap_or(100),
            ("disk.stop_percent", Checked::Integer(percent)) => config.disk.stop_percent = u8::try_from(percent).unwrap_or(100),
            ("intake.tls_certificate", Checked::Text(path)) => config.intake.tls_certificate = Some(path.into()),
            ("intake.tls_key", Checked::Text(path)) => config.intake.tls_key = Some(path.into()),
            ("intake.tls_client_ca", Checked::Text(path)) => config.intake.tls_client_ca = Some(path.into()),
            ("intake.tls_clients", Checked::Text(choice)) => config.intake.tls_clients_optional = choice == "erlaubt",
            ("intake.proxies", Checked::Prefixes(prefixes)) => config.intake.proxies = prefixes,
            ("intake.udp_sockets", Checked::Integer(number)) => config.intake.udp_sockets = usize::try_from(number).unwrap_or(1),
            ("intake.site_rate", Checked::Integer(rate)) => config.intake.site_rate = u64::try_from(rate).unwrap_or_default(),
            ("web.listen", Checked::Address(address)) => config.web.listen = address,
            (listener, Checked::Address(address)) => {
                let named = |known: &Listener| listener.strip_prefix("intake.") == Some(known.as_str());
                if let Some(listener) = Listener::ALL.into_iter().find(named) {
                    config.intake.addresses[listener] = address;
                }
            }
            ("web.base_url", Checked::Text(url)) => config.web.base_url = url.trim_end_matches('/').to_owned(),
            ("web.names", Checked::Texts(names)) => config.web.names = names,
            ("web.trusted_proxies", Checked::Prefixes(prefixes)) => config.web.trusted_proxies = prefixes,
            ("web.theme_dir", Checked::Text(dir)) => config.web.theme_dir = Some(dir.into()),
            ("web.metrics_token_file", Checked::Text(token)) => config.web.metrics_token = Some(token),
            ("web.second_factor", Checked::Texts(roles)) => {
                config.web.second_factor.0 = roles.iter().filter_map(|role| Role::parse(role)).collect();
            }
            ("web.session_idle_minutes", Checked::Integer(minutes)) => config.web.session.idle_millis = minutes * Timestamp::MINUTE,
            ("web.session_hours", Checked::Integer(hours)) => config.web.session.age_millis = hours * Timestamp::HOUR,
            ("oidc.issuer", Checked::Text(issuer)) => config.oidc.issuer = issuer,
            ("oidc.client_id", Checked::Text(id)) => config.oidc.client_id = id,
            ("oidc.client_secret_file", Checked::Text(secret)) => config.oidc.client_secret = Some(Secret::given(&secret)),
            ("oidc.scopes", Checked::Texts(scopes)) => config.oidc.scopes = scopes,
            ("oidc.groups_claim", Checked::Text(claim)) => config.oidc.groups_claim = claim,
            ("oidc.label", Checked::Text(label)) => config.oidc.label = label,
            ("oidc.only", Checked::Text(choice)) => config.oidc.only = choice == "ja",
            ("oidc.emergency_accounts", Checked::Texts(logins)) => {
                config.oidc.emergency = logins.iter().map(|login| crate::user::login_normal(login)).collect();
            }
            ("oidc.groups[].group" | "oidc.groups[].role" | "oidc.groups[].body", Checked::Text(text)) => {
                if let Some(row) = config.oidc.groups.last_mut() {
                    match path {
                        "oidc.groups[].group" => row.group = text,
                        "oidc.groups[].role" => row.role = Role::parse(&text),
                        _ => row.body = Some(text),
                    }
                }
            }
            ("mail.host", Checked::Text(host)) => config.mail.host = host,
            ("mail.port", Checked::Integer(port)) => config.mail.port = u16::try_from(port).unwrap_or_default(),
            ("mail.tls", Checked::Text(tls)) => config.mail.tls = tls,
            ("mail.user", Checked::Text(user)) => config.mail.user = Some(user),
            ("mail.password_file", Checked::Text(password)) => config.mail.password = Some(password),
            ("mail.from", Checked::Text(from)) => config.mail.from = from,
            ("csaf.namespace", Checked::Text(url)) => config.csaf_namespace = url,
            ("csaf.contact", Checked::Text(contact)) => config.contact = contact,
            ("time.zone", Checked::Zone(zone)) => config.zone = zone,
            ("rules.dirs", Checked::Paths(dirs)) => config.rule_dirs = dirs,
            ("flows.inside", Checked::Prefixes(prefixes)) => config.flow_inside = prefixes,
            ("flows.detectors", Checked::Text(file)) => config.detectors_file = Some(file.into()),
            ("enrich.community_id", Checked::Text(choice)) => config.enrich.community_id = choice == "an",
            ("enrich.direction", Checked::Text(choice)) => config.enrich.direction = choice == "an",
            ("enrich.user_agent", Checked::Text(choice)) => config.enrich.user_agent = choice == "an",
            ("enrich.leases", Checked::Text(choice)) => config.enrich.leases = choice == "an",
            ("enrich.lease_hours", Checked::Integer(hours)) => config.enrich.lease_term_hours = u32::try_from(hours).unwrap_or(24),
            ("enrich.lease_days", Checked::Integer(days)) => config.enrich.lease_days = u32::try_from(days).unwrap_or(90),
            ("enrich.geo_files", Checked::Paths(files)) => config.enrich.geo_files = files,
            ("pseudonymise.enabled", Checked::Text(choice)) => config.pseudonymise.enabled = Some(choice == "ja"),
            ("pseudonymise.users", Checked::Text(choice)) => config.pseudonymise.users = Some(choice == "all"),
            ("pseudonymise.mails", Checked::Text(choice)) => config.pseudonymise.mails = Some(choice == "all"),
            ("pseudonymise.addresses", Checked::Text(choice)) => config.pseudonymise.addresses = Some(hidden_of(&choice)),
            (site, value) => {
                if let Some(last) = config.sites.last_mut() {
                    match (site, value) {
                        ("sites[].name", Checked::Text(name)) => last.name = name,
                        ("sites[].body", Checked::Text(body)) => last.body = Some(body),
                        ("sites[].prefixes", Checked::Prefixes(prefixes)) => last.prefixes = prefixes,
                        ("sites[].certificates", Checked::Texts(names)) => last.certificates = names,
                        ("sites[].token_files", Checked::Texts(tokens)) => last.tokens = tokens,
                        ("sites[].rate", Checked::Integer(rate)) => last.rate = u64::try_from(rate).ok(),
                        ("sites[].priority", Checked::Text(priority)) => last.priority = priority_of(&priority),
                        ("sites[].zone", Checked::Zone(zone)) => last.zone = Some(zone),
                        _ => {}
                    }
                }
            }
        }
    }
}

fn hidden_of(text: &str) -> HiddenAddresses {
    match text {
        "none" => HiddenAddresses::None,
        "all" => HiddenAddresses::All,
        _ => HiddenAddresses::Internal,
    }
}

/// The German words of `KEYS`.
fn priority_of(text: &str) -> Priority {
    match text {
        "hoch" => Priority::High,
        "niedrig" => Priority::Low,
        _ => Priority::Normal,
    }
}

/// All key paths that a table gives.
fn paths(prefix: &str, table: &DeTable<'_>) -> Vec<String> {
    let mut all = Vec::new();
    for (name, value) in table {
        let path = if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
        match value.get_ref() {
            DeValue::Table(inner) => all.extend(paths(&path, inner)),
            _ => all.push(path),
        }
    }
    all
}

fn check(key: &Key, value: &DeValue<'_>) -> Result<Checked, String> {
    let text = || value.as_str().map(str::to_owned).ok_or_else(|| "ist kein Text in Anführungszeichen".to_owned());
    match key.kind {
        Kind::Address => match text()?.as_str() {
            "aus" => Ok(Checked::Address(None)),
            text => text.parse().map(|address| Checked::Address(Some(address))).map_err(|_| "ist keine Adresse mit Port".to_owned()),
        },
        Kind::Text | Kind::Path => text().map(Checked::Text),
        Kind::Secret => secret(&text()?).map(Checked::Text),
        Kind::Secrets => {
            let read = |path: String| secret(&path).map_err(|problem| format!("enthält „{path}“: {problem}"));
            list(value)?.into_iter().map(read).collect::<Result<_, _>>().map(Checked::Texts)
        }
        Kind::Texts => list(value).map(Checked::Texts),
        Kind::Roles => {
            let roles = list(value)?;
            match roles.iter().find(|role| Role::parse(role).is_none()) {
                None => Ok(Checked::Texts(roles)),
                Some(odd) => Err(format!("nennt „{odd}“, möglich sind: {}", Role::ALL.map(Role::as_str).join(", "))),
            }
        }
        Kind::Url => {
            let url = text()?;
            let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
            if rest.is_empty() || rest.contains(char::is_whitespace) {
                return Err("ist keine Adresse mit https://".to_owned());
            }
            Ok(Checked::Text(url))
        }
        Kind::SafeUrl => {
            let url = text()?;
            oidc::secure(&url)
                .map(|_| Checked::Text(url))
                .ok_or_else(|| "ist keine Adresse mit https:// (http nur auf diesem Rechner)".to_owned())
        }
        Kind::Choice(choices) => {
            let choice = text()?;
            let known = choices.contains(&choice.as_str());
            if known { Ok(Checked::Text(choice)) } else { Err(format!("ist keines von: {}", choices.join(", "))) }
        }
        Kind::Zone => text()?.parse().map(Checked::Zone).map_err(|_| "ist keine Zeitzone".to_owned()),
        Kind::Integer(min, max) => {
            let DeValue::Integer(integer) = value else { return Err("ist keine ganze Zahl".to_owned()) };
            let number = i64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| "ist zu groß".to_owned())?;
            if (min..=max).contains(&number) { Ok(Checked::Integer(number)) } else { Err(format!("liegt nicht zwischen {min} und {max}")) }
        }
        Kind::Paths => list(value).map(|all| Checked::Paths(all.into_iter().map(PathBuf::from).collect())),
        Kind::Prefixes => {
            let parse = |text: String| text.parse::<Prefix>().map_err(|_| format!("enthält „{text}“, das ist kein Netz"));
            list(value)?.into_iter().map(parse).collect::<Result<_, _>>().map(Checked::Prefixes)
        }
    }
}

/// The first line of a file.
fn secret(path: &str) -> Result<String, String> {
    let secret = std::fs::read_to_string(path).map_err(|error| format!("kann nicht gelesen werden ({error})"))?;
    let secret = secret.lines().next().unwrap_or_default().trim().to_owned();
    if secret.is_empty() { Err("ist eine leere Datei".to_owned()) } else { Ok(secret) }
}

fn list(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let error = || "ist keine Liste von Texten".to_owned();
    let items = value.as_array().ok_or_else(error)?;
    items.iter().map(|item| item.get_ref().as_str().map(str::to_owned).ok_or_else(error)).collect()
}

/// A value as people wrote it, short.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("„{}“", text.chars().take(60).collect::<String>()),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Float(float) => float.to_string(),
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::Array(_) => "die Liste".to_owned(),
        DeValue::Table(_) => "die Tabelle".to_owned(),
    }
}

/// Edit distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (to, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = *cell;
            left = replaced.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let errors = parse("w.toml", text).err().unwrap_or_default();
        expected.assert_eq(&errors.iter().map(|error| format!("{}\n", error.0)).collect::<String>());
    }

    #[test]
    fn errors_name_file_line_key_value_and_an_example() {
        check(
            "[intake]\nsyslog_udp = \"514\"\n",
            expect![[r#"
            w.toml, Zeile 2: intake.syslog_udp: „514“ ist keine Adresse mit Port. Zum Beispiel: "0.0.0.0:514"
        "#]],
        );
        check(
            "[intake]\nsyslog_upd = \"0.0.0.0:514\"\n[mail]\nport = 99999\ntls = \"ssl\"",
            expect![[r#"
            w.toml, Zeile 2: unbekannter Schlüssel „intake.syslog_upd“. Gemeint ist vielleicht „intake.syslog_udp“.
            w.toml, Zeile 4: mail.port: 99999 liegt nicht zwischen 1 und 65535. Zum Beispiel: 587
            w.toml, Zeile 5: mail.tls: „ssl“ ist keines von: none, starttls, implicit. Zum Beispiel: "starttls"
        "#]],
        );
        check(
            "[[sites]]\nprefixes = [\"10.0.0.0/40\"]\n",
            expect![[r#"
            w.toml, Zeile 2: sites[].prefixes: die Liste enthält „10.0.0.0/40“, das ist kein Netz. Zum Beispiel: ["10.20.0.0/16"]
            w.toml, Zeile 1: sites[].name: fehlt. Zum Beispiel: "rathaus-soemmerda"
        "#]],
        );
        check(
            "time.zone = \"Berlin\"\nweb.base_url = 7\n",
            expect![[r#"
            w.toml, Zeile 1: time.zone: „Berlin“ ist keine Zeitzone. Zum Beispiel: "Europe/Berlin"
            w.toml, Zeile 2: web.base_url: 7 ist kein Text in Anführungszeichen. Zum Beispiel: "https://wartburg.thueringen.example"
        "#]],
        );
    }

    #[test]
    fn broken_toml_says_where() {
        let errors = parse("w.toml", "a = 1\nb = = 2\n").unwrap_err();
        assert!(errors[0].0.starts_with("w.toml, Zeile 2: kein gültiges TOML: "), "{errors:?}");
    }

    #[test]
    fn a_missing_secret_is_named() {
        let errors = parse("w.toml", "[mail]\npassword_file = \"/nonexistent/x\"\n").unwrap_err();
        assert!(errors[0].0.contains("mail.password_file: „/nonexistent/x“ kann nicht gelesen werden"), "{errors:?}");
    }

    #[test]
    fn every_default_and_the_example_are_accepted() {
        let config = defaults();
        assert_eq!(config.zone, chrono_tz::Europe::Berlin);
        assert_eq!(config.intake.udp_receive_buffer_bytes, 8 << 20);
        assert_eq!(config.mail.tls, "starttls");
        assert_eq!((config.journal_keep_days, config.disk), (30, Thresholds::default()));
        let secrets = |line: &str| line.contains("_file");
        let open: String = example()
            .lines()
            .filter(|line| !secrets(line))
            .map(|line| line.strip_prefix('#').unwrap_or(line))
            .filter(|line| !line.starts_with(' '))
            .map(|line| format!("{line}\n"))
            .collect();
        let config = parse("example", &open).unwrap();
        assert_eq!(
            config.sites,
            [SiteConfig {
                name: "rathaus-soemmerda".into(),
                body: Some("Stadtverwaltung Sömmerda".into()),
                prefixes: vec!["10.20.0.0/16".parse().unwrap()],
                certificates: vec!["collector.soemmerda.example".into()],
                tokens: vec![],
                rate: Some(50_000),
                priority: Priority::High,
                zone: Some(chrono_tz::UTC),
            }]
        );
    }

    #[test]
    fn what_is_not_said_of_pseudonyms_stays_as_it_was() {
        assert_eq!(defaults().pseudonymise, Wanted::default());
        let config = parse("", "[pseudonymise]\nenabled = \"ja\"\naddresses = \"all\"\n").unwrap();
        let wanted = Wanted { enabled: Some(true), addresses: Some(HiddenAddresses::All), ..Wanted::default() };
        assert_eq!(config.pseudonymise, wanted);
    }

    #[test]
    fn a_provider_and_its_groups() {
        let config = parse(
            "",
            "[oidc]
issuer = \"https://idp.example/realms/x\"
only = \"ja\"
emergency_accounts = [\" Notfall\"]
[[oidc.groups]]
group = \"cert\"
role = \"analyst\"
[[oidc.groups]]
group = \"isb-*\"
role = \"municipality\"
body = \"*\"",
        )
        .unwrap();
        assert_eq!(config.oidc.scopes, ["openid", "profile"]);
        assert_eq!(config.oidc.emergency, ["notfall"]);
        let rows: Vec<_> = config.oidc.groups.iter().map(|row| (row.group.as_str(), row.role, row.body.as_deref())).collect();
        assert_eq!(rows, [("cert", Some(Role::Analyst), None), ("isb-*", Some(Role::Municipality), Some("*"))]);
        assert_eq!(defaults().oidc.issuer, "");
        check(
            "[oidc]\nissuer = \"http://idp.example\"",
            expect![[r#"
            w.toml, Zeile 2: oidc.issuer: „http://idp.example“ ist keine Adresse mit https:// (http nur auf diesem Rechner). Zum Beispiel: "https://anmeldung.thueringen.example/realms/verwaltung"
        "#]],
        );
        check(
            "[[oidc.groups]]\nrole = \"analyst\"",
            expect![[r#"
            w.toml, Zeile 1: oidc.groups[].group: fehlt. Zum Beispiel: "wartburg-analyse"
        "#]],
        );
        check(
            "[[oidc.groups]]\ngroup = \"a\"\nrole = \"chef\"",
            expect![[r#"
            w.toml, Zeile 3: oidc.groups[].role: „chef“ ist keines von: analyst, lead, municipality, provider, steering, auditor, admin. Zum Beispiel: "municipality"
            w.toml, Zeile 1: oidc.groups[].role: fehlt. Zum Beispiel: "analyst"
        "#]],
        );
        check(
            "[[oidc.groups]]\ngroup = \"a\"\nrole = \"municipality\"",
            expect![[r#"
            w.toml, Zeile 1: oidc.groups[].body: fehlt für diese Rolle. Zum Beispiel: "16068051"
        "#]],
        );
        check(
            "[[oidc.groups]]\ngroup = \"a\"\nrole = \"municipality\"\nbody = \"*\"",
            expect![[r#"
            w.toml, Zeile 1: oidc.groups[].body: „*“, aber in der Gruppe steht keines. Zum Beispiel: "16068051"
        "#]],
        );
        check(
            "[[oidc.groups]]\ngroup = \"a*b*\"\nrole = \"analyst\"",
            expect![[r#"
            w.toml, Zeile 1: oidc.groups[].group: hat mehr als ein *. Zum Beispiel: "wartburg-isb-*"
        "#]],
        );
        check(
            "[[oidc.groups]]\ngruppe = \"a\"",
            expect![[r#"
            w.toml, Zeile 2: unbekannter Schlüssel „oidc.groups[].gruppe“. Gemeint ist vielleicht „oidc.groups[].group“.
            w.toml, Zeile 1: oidc.groups[].group: fehlt. Zum Beispiel: "wartburg-analyse"
        "#]],
        );
    }

    #[test]
    fn what_exporters_sample_and_do_not_say() {
        let config = parse("", "[[flows.sampling]]\nexporters = [\"10.20.0.1/32\"]\ndomain = 7\nrate = 1000\n").unwrap();
        let exporters = vec!["10.20.0.1/32".parse().unwrap()];
        assert_eq!(config.flows.sampling, [SamplingRule { exporters, domain: Some(7), rate: 1_000 }]);
        assert_eq!(defaults().flows.loss, LossLimit { percent: 1, minutes: 15 });
        check(
            "[[flows.sampling]]\nexporters = []\nrate = 0\n[[flows.sampling]]\n",
            expect![[r#"
                w.toml, Zeile 3: flows.sampling[].rate: 0 liegt nicht zwischen 1 und 16777216. Zum Beispiel: 1000
                w.toml, Zeile 1: flows.sampling[].exporters: fehlt. Zum Beispiel: ["10.20.0.1/32"]
                w.toml, Zeile 1: flows.sampling[].rate: fehlt. Zum Beispiel: 1000
                w.toml, Zeile 1: flows.sampling[].exporters: fehlt. Zum Beispiel: ["10.20.0.1/32"]
                w.toml, Zeile 1: flows.sampling[].rate: fehlt. Zum Beispiel: 1000
            "#]],
        );
    }

    #[test]
    fn a_listener_can_be_switched_off() {
        assert_eq!(parse("", "[intake]\nsyslog_udp = \"aus\"").unwrap().intake.addresses[Listener::SyslogUdp], None);
    }
}

//! The configuration: what the program uses of it stands here. Every key stands once in `keys`, with its kind, default,
//! example and German help; the checks, the messages and the commented example are made from that table. `read` names
//! file, line, key, value and an accepted example of what is wrong; an unknown key names the nearest known one.

mod keys;
mod read;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use detect::intel::Tlp;
use detect::intel::feed::{Credentials, Feed, FeedKind};
use detect::intel::read::{Defaults, Format};
use detect::watch::LossLimit;
use ingest::body::Prefix;
use ingest::disk::Thresholds;
use ingest::enrich;
use ingest::flow::SamplingRule;
use ingest::listen::{Addresses, Priority, QuotaConfig, SiteQuota, TlsFiles};
use ingest::pseudonym::Wanted;

pub use keys::example;
pub use read::{defaults, load};

use crate::oidc;

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
    pub mailroom: MailroomConfig,
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
    /// Private networks that webhooks may reach.
    pub webhook_inside: Vec<Prefix>,
    /// What the operator changes of the detectors; `detectors.toml` in the data directory where it is not said.
    pub detectors_file: Option<PathBuf>,
    /// What is added to events.
    pub enrich: enrich::Settings,
    /// Whom the event store hides; what is not said stays as it was.
    pub pseudonymise: Wanted,
    pub retention: Retention,
    pub flows: Flows,
    /// Sources of indicators that are asked by themselves.
    pub feeds: Vec<FeedConfig>,
    pub sites: Vec<SiteConfig>,
}

/// A source of indicators, as it is written.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FeedConfig {
    pub name: String,
    pub url: String,
    pub format: String,
    pub every_minutes: u32,
    pub tlp: String,
    pub confidence: u8,
    pub valid_days: Option<u32>,
    pub column: Option<String>,
    pub collection: String,
    pub user: Option<String>,
    pub password: Option<String>,
    pub token: Option<String>,
}

impl FeedConfig {
    /// As it is asked.
    pub fn feed(&self) -> Feed {
        let kind = match self.format.as_str() {
            "misp-feed" => FeedKind::MispFeed,
            "taxii" => FeedKind::Taxii,
            format => FeedKind::Document(Format::parse(format).unwrap_or(Format::Auto)),
        };
        let credentials = match (&self.token, &self.user, &self.password) {
            // A token may say itself how it is shown; MISP wants its key bare.
            (Some(token), ..) if token.contains(' ') || matches!(self.format.as_str(), "misp" | "misp-feed") => {
                Credentials::Header(token.clone())
            }
            (Some(token), ..) => Credentials::Header(format!("Bearer {token}")),
            (None, Some(user), password) => Credentials::Basic { user: user.clone(), password: password.clone().unwrap_or_default() },
            _ => Credentials::None,
        };
        let defaults = Defaults {
            list: self.name.clone(),
            tlp: Tlp::parse(&self.tlp).unwrap_or(Tlp::Amber),
            confidence: self.confidence,
            valid_days: self.valid_days,
            column: self.column.clone(),
        };
        Feed { kind, url: self.url.clone(), every_minutes: self.every_minutes, defaults, credentials, collection: self.collection.clone() }
    }
}

impl fmt::Debug for FeedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secrets stay out of every log, and addresses may hold one.
        write!(f, "FeedConfig({:?}, {}, every {} minutes)", self.name, self.format, self.every_minutes)
    }
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

/// How mails come in.
#[derive(Clone, Default)]
pub struct MailroomConfig {
    pub lmtp: Option<SocketAddr>,
    /// Who may hand over, beside this machine.
    pub lmtp_peers: Vec<Prefix>,
    /// For which addresses, in lower case; none: for all.
    pub addresses: Vec<String>,
    /// Whose word about senders is believed.
    pub authserv: Option<String>,
    /// Empty: no mailbox is asked.
    pub imap_host: String,
    pub imap_port: u16,
    pub imap_tls: String,
    pub imap_user: String,
    pub imap_password: Option<String>,
    pub imap_folder: String,
    pub imap_done: Option<String>,
    pub imap_every_seconds: u64,
}

impl MailroomConfig {
    /// Whether mails come in at all.
    pub fn is_open(&self) -> bool {
        self.lmtp.is_some() || !self.imap_host.is_empty()
    }
}

impl fmt::Debug for MailroomConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password stays out of every log.
        let Self { lmtp, addresses, authserv, imap_host, imap_folder, .. } = self;
        write!(f, "MailroomConfig({lmtp:?}, {addresses:?}, {authserv:?}, {imap_host:?}, {imap_folder:?})")
    }
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

#[cfg(test)]
mod tests;

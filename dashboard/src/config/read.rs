//! Reads the file and checks it against the table of keys. All that is wrong is said, not only the first.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use detect::role::Role;
use ingest::body::Prefix;
use ingest::flow::SamplingRule;
use ingest::listen::{Listener, Priority};
use ingest::pseudonym::Addresses as HiddenAddresses;
use ingest::time::Timestamp;
use toml::de::{DeTable, DeValue};

use super::keys::{KEYS, Key, Kind};
use super::{ClassConfig, Config, ConfigError, FeedConfig, SiteConfig};
use crate::oidc;
use crate::oidc::groups::GroupRow;
use crate::secret::Secret;

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

pub(super) fn parse(file: &str, text: &str) -> Result<Config, Vec<ConfigError>> {
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
                            "indicators.feeds" => {
                                self.config.feeds.push(FeedConfig { every_minutes: 60, confidence: 50, ..FeedConfig::default() })
                            }
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
                            "indicators.feeds" => {
                                self.feed_checked(line);
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

    /// A feed must have a name of its own and a place, and credentials that are whole.
    fn feed_checked(&mut self, line: usize) {
        let Some(feed) = self.config.feeds.last().cloned() else { return };
        let same = self.config.feeds.iter().filter(|other| other.name == feed.name).count();
        let strange = feed.name.chars().count() > 80 || feed.name.chars().any(char::is_control);
        if feed.name.trim().is_empty() || strange {
            self.fail(line, "indicators.feeds[].name", "fehlt oder ist länger als 80 Zeichen", "\"URLhaus\"");
        } else if same > 1 {
            self.fail(line, "indicators.feeds[].name", &format!("„{}“ ist schon vergeben", feed.name), "\"URLhaus\"");
        } else if self.config.feeds.len() > detect::intel::feed::FEEDS_MAX {
            self.fail(line, "indicators.feeds[].name", &format!("mehr als {} Feeds", detect::intel::feed::FEEDS_MAX), "\"URLhaus\"");
        }
        if feed.url.is_empty() {
            self.fail(line, "indicators.feeds[].url", "fehlt", "\"https://urlhaus.abuse.ch/downloads/csv_online/\"");
        }
        if feed.user.is_none() && feed.password.is_some() {
            self.fail(line, "indicators.feeds[].user", "fehlt zu password_file", "\"thueringencert\"");
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
            (feed, value) if feed.starts_with("indicators.feeds[].") => {
                if let Some(last) = config.feeds.last_mut() {
                    match (feed.trim_start_matches("indicators.feeds[]."), value) {
                        ("name", Checked::Text(name)) => last.name = name.trim().to_owned(),
                        ("url", Checked::Text(url)) => last.url = url,
                        ("format", Checked::Text(format)) => last.format = format,
                        ("every_minutes", Checked::Integer(minutes)) => last.every_minutes = u32::try_from(minutes).unwrap_or(60),
                        ("tlp", Checked::Text(tlp)) => last.tlp = tlp,
                        ("confidence", Checked::Integer(percent)) => last.confidence = u8::try_from(percent).unwrap_or(50),
                        ("valid_days", Checked::Integer(days)) => last.valid_days = u32::try_from(days).ok(),
                        ("column", Checked::Text(column)) => last.column = Some(column),
                        ("collection", Checked::Text(collection)) => last.collection = collection,
                        ("user", Checked::Text(user)) => last.user = Some(user),
                        ("password_file", Checked::Text(password)) => last.password = Some(password),
                        ("token_file", Checked::Text(token)) => last.token = Some(token),
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
            ("mailroom.lmtp", Checked::Address(address)) => config.mailroom.lmtp = address,
            ("mailroom.lmtp_peers", Checked::Prefixes(peers)) => config.mailroom.lmtp_peers = peers,
            ("mailroom.addresses", Checked::Texts(addresses)) => {
                config.mailroom.addresses = addresses.iter().map(|address| address.trim().to_lowercase()).collect();
            }
            ("mailroom.authserv", Checked::Text(name)) => config.mailroom.authserv = Some(name.trim().to_owned()),
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
            ("mailroom.imap_host", Checked::Text(host)) => config.mailroom.imap_host = host,
            ("mailroom.imap_port", Checked::Integer(port)) => config.mailroom.imap_port = u16::try_from(port).unwrap_or_default(),
            ("mailroom.imap_tls", Checked::Text(tls)) => config.mailroom.imap_tls = tls,
            ("mailroom.imap_user", Checked::Text(user)) => config.mailroom.imap_user = user,
            ("mailroom.imap_password_file", Checked::Text(password)) => config.mailroom.imap_password = Some(password),
            ("mailroom.imap_folder", Checked::Text(folder)) => config.mailroom.imap_folder = folder,
            ("mailroom.imap_done_folder", Checked::Text(folder)) => {
                config.mailroom.imap_done = Some(folder).filter(|name| !name.is_empty())
            }
            ("mailroom.imap_every_seconds", Checked::Integer(seconds)) => {
                config.mailroom.imap_every_seconds = u64::try_from(seconds).unwrap_or(60);
            }
            ("csaf.namespace", Checked::Text(url)) => config.csaf_namespace = url,
            ("csaf.contact", Checked::Text(contact)) => config.contact = contact,
            ("time.zone", Checked::Zone(zone)) => config.zone = zone,
            ("rules.dirs", Checked::Paths(dirs)) => config.rule_dirs = dirs,
            ("flows.inside", Checked::Prefixes(prefixes)) => config.flow_inside = prefixes,
            ("webhook.inside", Checked::Prefixes(prefixes)) => config.webhook_inside = prefixes,
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

//! The server: a node with its listeners, its pages and its mail delivery, until somebody ends it. Opening comes before
//! serving, so that a port in use or a bad setting is said at once and nothing half-started is left behind.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use advisory::csaf::Publisher;
use advisory::delivery::{Delivery, Login, SmtpConfig, Tls};
use advisory::imap::{ImapConfig, Poller};
use advisory::lmtp;
use advisory::mailroom::{Mailroom, Own};
use advisory::openpgp::OwnKey;
use advisory::reminder::reminders_look;
use anyhow::{Context as _, Result, bail};
use detect::duty::clocks_start;
use detect::exhibit::Locker;
use detect::intel::feed::{Feed, Feeds};
use detect::watch::{LossLimit, LossWatch, MemoryWatch, Watch};
use ingest::audit::{RootKey, root_sign};
use ingest::listen::{self, Addresses, Counters, ListenConfig, PageLimits, Pages};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::audit_check::AuditCheck;
use crate::audit_queue::AuditQueue;
use crate::backtests::Backtests;
use crate::config::{Config, FeedConfig};
use crate::feeds::Net;
use crate::invitation;
use crate::live::{self, Hub};
use crate::node::{Node, exhibits_dir, keys_dir};
use crate::oidc::{self, Oidc};
use crate::proof::passkey::Relying;
use crate::proof::vault::Vault;
use crate::saved_run::SavedRuns;
use crate::vitals::{Pulse, Vitals};
use crate::web::{self, App, Door, Settings};
use crate::webhook;
use crate::webhook::outbox::Teller;

/// How long open work may take to finish at the end; the pages have a little less.
pub const GRACE: Duration = Duration::from_secs(12);
/// Each connection is a descriptor: 12,000 streams, 1,000 over HTTP, the pages', and the stores' files.
const DESCRIPTORS_WANTED: u64 = 16_000;
/// How often the sources are looked after: silence is told within the minute that it becomes too long.
const CARE_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked whether a scheduled search is due; the shortest schedule is five minutes.
const SAVED_EVERY: Duration = Duration::from_secs(30);
/// How soon other programs hear of what happened.
const WEBHOOKS_EVERY: Duration = Duration::from_secs(2);
const SMTP_TIMEOUT: Duration = Duration::from_secs(60);

/// A running server.
pub struct Server {
    pub intake: Addresses,
    pub web: SocketAddr,
    /// Where mails are handed over.
    pub lmtp: Option<SocketAddr>,
    tasks: JoinSet<()>,
    shutdown: CancellationToken,
    last_word: Box<dyn FnOnce() + Send>,
    /// Asks the feeds of indicators.
    _feeds: Option<Feeds>,
}

/// Opens the listeners and the pages and starts them on the current runtime.
///
/// # Errors
/// A port in use, an address that is none, a mail setting that cannot work.
pub async fn start(node: &Node, config: &Config, settings: Settings) -> Result<Server> {
    node.retention_begin(config)?;
    let intake = &config.intake;
    let listen = ListenConfig {
        addresses: intake.addresses,
        http_token: intake.http_token.clone(),
        udp_receive_buffer_bytes: intake.udp_receive_buffer_bytes,
        tls: intake.tls(),
        proxies: intake.proxies.clone(),
        udp_sockets: intake.udp_sockets,
        quota: config.quota(),
        watermark: node.watermark.clone(),
    };
    let bound = listen::bind(&listen)
        .await
        .map_err(|error| anyhow::anyhow!("{error}. In der Konfiguration unter [intake] eine andere Adresse nennen, oder \"aus\"."))?;
    let Some(address) = config.web.listen else { bail!("web.listen fehlt: die Oberfläche braucht eine Adresse, etwa \"127.0.0.1:8080\"") };
    let pages =
        TcpListener::bind(address).await.with_context(|| format!("web.listen: {address} ist nicht zu öffnen; läuft dort schon etwas?"))?;
    let web_address = pages.local_addr()?;

    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let counters = Arc::new(Counters::default());
    let addresses = bound.addresses();
    tasks.spawn(bound.run(node.journal.writer(), node.sites.clone(), counters.clone(), node.clock.clone(), shutdown.clone()));
    let pgp = OwnKey::load(&keys_dir(&node.dir)).map_err(|error| anyhow::anyhow!("eigener OpenPGP-Schlüssel: {error}"))?.map(Arc::new);
    let locker = Locker::open(&exhibits_dir(&node.dir), node.watermark.clone()).context("Beweismittel öffnen")?;
    let mailroom = mailroom(node, config, &locker, pgp.clone());
    let mut lmtp = None;
    if let Some(listener) = letters(config, &mailroom).await? {
        lmtp = Some(listener.address()?);
        let stop = shutdown.clone();
        tasks.spawn(async move { listener.run(stop.cancelled_owned()).await });
    }
    if let Some(poller) = mailbox(config, &mailroom)? {
        let stop = shutdown.clone();
        tasks.spawn(async move { poller.run(stop.cancelled_owned()).await });
    }
    if let Some(delivery) = delivery(node, config)? {
        let delivery = delivery.with_key(pgp.clone());
        let stop = shutdown.clone();
        tasks.spawn(async move { delivery.run(stop.cancelled_owned()).await });
    }
    let pulse = Pulse {
        journal: node.journal.watch(),
        pipeline: node.pipeline.watch(),
        started: node.clock.now(),
        journal_dir: node.dir.join("journal"),
        certificate: config.intake.tls_certificate.clone(),
        enrichment: node.enrichment.clone(),
    };
    tasks.spawn(care(node, publisher(config), config.flows.loss, pulse.clone(), counters.clone(), shutdown.clone()));
    let audit = AuditQueue::start(node.db.clone(), node.clock.clone()).context("Protokoll beginnen")?;
    tasks.spawn(saved_runs(node, audit.clone(), shutdown.clone()));
    tasks.spawn(roots(node, shutdown.clone())?);
    // The demo may run on any port: what people open is where it listens.
    let base_url = if settings.demo { format!("http://{web_address}") } else { config.web.base_url.clone() };
    let theme = config.web.theme_dir.as_deref().map(theme).transpose()?;
    let settings = Settings {
        theme,
        metrics_token: config.web.metrics_token.as_deref().map(listen::token_hash),
        trusted_proxies: config.web.trusted_proxies.clone(),
        session: config.web.session,
        second_factor: config.web.second_factor.clone(),
        relying: Relying::of(&base_url),
        oidc: provider(config),
        first_link_file: Some(invitation::first_file(&node.dir)),
        ..settings
    };
    let vault = Vault::open(&keys_dir(&node.dir)).context("Schlüssel der Konten öffnen")?;
    let door = Arc::new(Door::new(vault));
    tasks.spawn(webhooks(node, config, base_url, door.clone(), shutdown.clone()));
    let last_word = {
        let (db, clock, pulse, counters) = (node.db.clone(), node.clock.clone(), pulse.clone(), counters.clone());
        let audit = audit.clone();
        Box::new(move || {
            audit.close();
            let vitals = Vitals { ended: true, ..Vitals::gather(&pulse, &counters, clock.now()) };
            if let Err(error) = vitals.save(&db) {
                tracing::error!(%error, "how the server ended could not be noted");
            }
        })
    };
    let hub = Arc::new(Hub::until(shutdown.clone()));
    tasks.spawn(live::watch(hub.clone(), node.db.clone()));
    let app = App {
        db: node.db.clone(),
        clock: node.clock.clone(),
        sites: node.sites.clone(),
        events: Some(node.events.clone()),
        flows: Some(node.flows.clone()),
        counters,
        flow_accounts: node.flow_accounts.clone(),
        journal: Some(node.journal.keeper()),
        watermark: node.watermark.clone(),
        pulse: Some(pulse.clone()),
        pseudonyms: node.pseudonyms.clone(),
        readings: node.readings.clone(),
        rules: node.rules.clone(),
        backtests: Arc::new(Backtests::until(shutdown.clone())),
        indicators: node.indicators.clone(),
        board: node.board.clone(),
        playbooks: node.playbooks.clone(),
        duties: node.duties.clone(),
        publisher: Arc::new(publisher(config)),
        csaf_dir: node.dir.join("advisories"),
        settings: Arc::new(settings),
        door,
        audit,
        live: hub,
        locker,
        pgp,
    };
    let pages = Pages::new(pages, PageLimits::default(), &config.web.trusted_proxies);
    tasks.spawn(pages.run(web::router(app), shutdown.clone()));
    let feeds: Vec<Feed> = config.feeds.iter().map(FeedConfig::feed).collect();
    let feeds = Feeds::start(feeds, Box::new(Net::new()), node.db.clone(), node.clock.clone());
    let feeds = feeds.map_err(|error| anyhow::anyhow!("Feeds der Indikatoren: {error}"))?;
    Ok(Server { intake: addresses, web: web_address, lmtp, tasks, shutdown, last_word, _feeds: Some(feeds) })
}

impl Server {
    /// Stops listening, lets open work finish within a bound, and returns when all is done.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::warn!("some requests did not finish in time and were ended");
        }
        // When nothing is received any more, the books must be closed.
        (self.last_word)();
    }
}

/// Once a minute: looks after the sources and the rules' memory, and leaves word of how the server is for `doctor`.
fn care(
    node: &Node,
    publisher: Publisher,
    limit: LossLimit,
    pulse: Pulse,
    counters: Arc<Counters>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let (db, clock, sites) = (node.db.clone(), node.clock.clone(), node.sites.clone());
    let mut watch = Watch::new(db.clone(), pulse.started);
    let (mut losses, accounts) = (LossWatch::new(db.clone(), limit), node.flow_accounts.clone());
    let mut memory = MemoryWatch::new(db.clone());
    let (duties, playbooks, publisher) = (node.duties.clone(), node.playbooks.clone(), Arc::new(publisher));
    let mut once = move || {
        let now = clock.now();
        let sites = sites.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(error) = watch.look(&sites, pulse.journal.last(), now) {
            tracing::error!(%error, "the sources could not be looked after");
        }
        if let Err(error) = losses.look(&accounts.list(), &sites, now) {
            tracing::error!(%error, "the exporters of flows could not be looked after");
        }
        if let Err(error) = memory.look(now) {
            tracing::error!(%error, "the rules' memory could not be looked after");
        }
        let book = duties.clone();
        if let Err(error) = db.write(move |tx| clocks_start(tx, &book, now)) {
            tracing::error!(%error, "the duties to report could not be looked after");
        }
        match reminders_look(&db, &playbooks, &duties, &publisher, now) {
            Ok(0) => {}
            Ok(reminders) => tracing::info!(reminders, "reminders of what is not answered"),
            Err(error) => tracing::error!(%error, "nobody could be reminded; trying again"),
        }
        if let Err(error) = Vitals::gather(&pulse, &counters, now).save(&db) {
            tracing::error!(%error, "how the server is could not be noted");
        }
    };
    async move {
        loop {
            // The database may have to wait for its disk: not on a thread that serves connections.
            let done = tokio::task::spawn_blocking(move || {
                once();
                once
            });
            match done.await {
                Ok(again) => once = again,
                Err(error) => return tracing::error!(%error, "nobody looks after the sources any more"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(CARE_EVERY) => {}
            }
        }
    }
}

/// Runs the searches that have a schedule.
fn saved_runs(node: &Node, audit: AuditQueue, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
    let runs = SavedRuns {
        db: node.db.clone(),
        events: node.events.clone(),
        sites: node.sites.clone(),
        pseudonyms: node.pseudonyms.clone(),
        playbooks: node.playbooks.clone(),
        audit,
        clock: node.clock.clone(),
    };
    async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SAVED_EVERY) => {}
            }
            let once = runs.clone();
            match tokio::task::spawn_blocking(move || once.look()).await {
                Ok(Ok(looked)) if looked.runs > 0 => {
                    tracing::info!(runs = looked.runs, faults = looked.faults, alerts = looked.alerts, "scheduled searches");
                }
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::error!(%error, "the scheduled searches could not be run; trying again"),
                Err(error) => tracing::error!(%error, "a scheduled search broke off; trying again"),
            }
        }
    }
}

/// Tells other programs of cases and alerts, until the server ends.
fn webhooks(
    node: &Node,
    config: &Config,
    base_url: String,
    door: Arc<Door>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let net = webhook::send::Net::new(config.webhook_inside.clone());
    let mut teller = Some(Teller::new(node.db.clone(), Box::new(net), base_url));
    let clock = node.clock.clone();
    async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(WEBHOOKS_EVERY) => {}
            }
            let Some(mut one) = teller.take() else { return };
            let (door, now, ends) = (door.clone(), clock.now(), stop.clone());
            let looked = tokio::task::spawn_blocking(move || {
                let looked = one.look(&door.vault, now, &|| ends.is_cancelled());
                (one, looked)
            });
            match looked.await {
                Ok((one, looked)) => {
                    teller = Some(one);
                    match looked {
                        Ok(looked) if looked.failed > 0 => {
                            tracing::warn!(failed = looked.failed, "webhooks that do not arrive; trying again")
                        }
                        Ok(_) => {}
                        Err(error) => tracing::error!(%error, "webhooks could not be sent; trying again"),
                    }
                }
                Err(error) => return tracing::error!(%error, "webhooks broke off; they go on with the next start"),
            }
        }
    }
}

/// Signs the audit log's end once a day, after the first midnight that it sees or at the start if one was missed, and
/// looks whether the whole of it is as it was written.
fn roots(node: &Node, stop: CancellationToken) -> Result<impl Future<Output = ()> + Send + 'static> {
    let key = Arc::new(RootKey::open(&keys_dir(&node.dir)).context("Schlüssel des Protokolls öffnen")?);
    let (db, clock, dir) = (node.db.clone(), node.clock.clone(), node.dir.clone());
    let once = move || {
        let now = clock.now();
        match root_sign(&db, &key, &dir, now) {
            Ok(None) => {}
            Ok(Some(root)) => {
                tracing::info!(rows = root.n, "the audit log's end was signed");
                let check = AuditCheck::run(&db, &dir, &key.public(), now);
                if let Err(error) = check.and_then(|check| check.save(&db)) {
                    tracing::error!(%error, "the audit log could not be checked");
                }
            }
            Err(error) => tracing::error!(%error, "the audit log's end could not be signed; trying again"),
        }
    };
    let once = Arc::new(once);
    Ok(async move {
        loop {
            let work = Arc::clone(&once);
            if let Err(error) = tokio::task::spawn_blocking(move || work()).await {
                return tracing::error!(%error, "nobody signs the audit log's end any more");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(CARE_EVERY) => {}
            }
        }
    })
}

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// What kept the server from starting.
pub fn serve(dir: &Path, config: &Config, clock: &ingest::time::Clock) -> Result<()> {
    match listen::descriptors_raise() {
        Ok(descriptors) if descriptors < DESCRIPTORS_WANTED => {
            tracing::warn!(descriptors, "too few for all connections: raise LimitNOFILE")
        }
        Ok(descriptors) => tracing::info!(descriptors, "allowed"),
        Err(error) => tracing::warn!(%error, "the number of descriptors cannot be raised"),
    }
    let runtime = runtime()?;
    let node = Node::open(dir, config, clock)?;
    let settings = Settings { secure: config.web.base_url.starts_with("https://"), hosts: hosts(config), ..Settings::default() };
    let result = runtime.block_on(async {
        // Before it says that it serves: from then on it may be asked to end.
        let end = End::listen()?;
        let server = start(&node, config, settings).await?;
        if let Err(error) = first_account(&node, config) {
            // The intake does not depend on it, and `wartburg user add` makes an account as well.
            tracing::error!(error = format!("{error:#}"), "no link for the first account");
        }
        let lmtp = server.lmtp.map(tracing::field::display);
        tracing::info!(pages = %server.web, lmtp, intake = ?server.intake, "serving");
        end.wait(|| {
            tracing::info!("asked to read the rules again");
            node.rules.wake();
        })
        .await;
        tracing::info!("stopping");
        server.stop().await;
        Ok(())
    });
    // A search that still runs must not keep the program from ending.
    runtime.shutdown_timeout(GRACE);
    node.close();
    result
}

/// Under which names the pages answer: those of the configuration, and this machine's own where they listen only there.
fn hosts(config: &Config) -> Vec<String> {
    let authority = config.web.base_url.split("://").last().and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let mut hosts = vec![web::host_of(authority).to_owned()];
    hosts.extend(config.web.names.iter().map(|name| web::host_of(name).to_owned()));
    if config.web.listen.is_some_and(|address| address.ip().is_loopback()) {
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
    }
    hosts
}

/// Where nobody has an account yet: makes the link for the first one, and says where it lies. The link itself goes to the
/// person who started the server at a terminal, and into a file that only this program's user reads; the log is read by more.
fn first_account(node: &Node, config: &Config) -> Result<()> {
    use std::io::IsTerminal as _;
    let base_url = &config.web.base_url;
    if let Some(url) =
        invitation::first_link(&node.db, &node.dir, base_url, node.clock.now()).context("Link für das erste Konto anlegen")?
    {
        let file = invitation::first_file(&node.dir);
        tracing::warn!(file = %file.display(), hours = 24, "there is no account yet: open the link in this file to make the first administrator");
        if std::io::stderr().is_terminal() {
            say(&format!("Noch gibt es kein Konto. Das erste legen Sie hier an (24 Stunden lang, einmal):\n  {url}"));
        }
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "the one-time link is for the person at the terminal, not for the log")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// The outside provider, where the configuration names one. It is asked when somebody first comes that way, so that its
/// failing keeps no server from starting.
fn provider(config: &Config) -> Option<Arc<Oidc>> {
    let settings = &config.oidc;
    if settings.issuer.is_empty() {
        return None;
    }
    if settings.groups.is_empty() {
        tracing::warn!("oidc.groups is empty: nobody who signs in there gets a role");
    }
    if settings.only && settings.emergency.is_empty() {
        tracing::warn!("oidc.only without oidc.emergency_accounts: when the provider fails, nobody can sign in");
    }
    Some(Arc::new(Oidc::new(settings.clone(), &config.web.base_url, oidc::TIMEOUT)))
}

/// The runtime of all servers.
///
/// # Errors
/// The system's own.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("Laufzeit starten")
}

/// The wish that the program ends: SIGINT (Strg+C) or SIGTERM. One that comes before `wait` is kept. SIGHUP ends nothing: it
/// asks for the rules to be read again.
#[derive(Debug)]
pub struct End {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl End {
    /// From here on the signals end nothing by themselves.
    ///
    /// # Errors
    /// Where the system refuses the handlers.
    pub fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the end; `again` is called at each SIGHUP until then.
    pub async fn wait(mut self, again: impl Fn()) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hang_up.recv() => again(),
            }
        }
    }
}

fn theme(dir: &Path) -> Result<web::Theme> {
    web::Theme::read(dir).map_err(|error| anyhow::anyhow!("web.theme_dir: {}: {error}", dir.display()))
}

/// As whom warnings are published.
pub fn publisher(config: &Config) -> Publisher {
    Publisher {
        name: "ThüringenCERT".to_owned(),
        namespace: config.csaf_namespace.clone(),
        contact: format!("ThüringenCERT, {}", config.contact),
        mail: config.contact.clone(),
        base_url: config.web.base_url.clone(),
    }
}

fn mailroom(node: &Node, config: &Config, locker: &Locker, pgp: Option<Arc<OwnKey>>) -> Mailroom {
    let own = Own {
        address: own_address(&config.mail.from),
        addresses: config.mailroom.addresses.clone(),
        authserv: config.mailroom.authserv.clone(),
        pgp,
    };
    Mailroom::new(node.db.clone(), locker.clone(), node.clock.clone(), own)
}

/// The port for mails, where one is configured.
async fn letters(config: &Config, mailroom: &Mailroom) -> Result<Option<lmtp::Listener>> {
    let Some(address) = config.mailroom.lmtp else { return Ok(None) };
    let bound = lmtp::Listener::bind(address, mailroom.clone(), config.mailroom.lmtp_peers.clone(), lmtp::Limits::default()).await;
    let listener = bound.with_context(|| format!("mailroom.lmtp: {address} ist nicht zu öffnen; läuft dort schon etwas?"))?;
    Ok(Some(listener))
}

/// The mailbox that is asked, where one is configured.
fn mailbox(config: &Config, mailroom: &Mailroom) -> Result<Option<Poller>> {
    let room = &config.mailroom;
    if room.imap_host.is_empty() {
        return Ok(None);
    }
    let imap = ImapConfig {
        host: room.imap_host.clone(),
        port: room.imap_port,
        tls: protection(&room.imap_tls),
        login: Login { user: room.imap_user.clone(), password: room.imap_password.clone().unwrap_or_default() },
        folder: room.imap_folder.clone(),
        done: room.imap_done.clone(),
        every: Duration::from_secs(room.imap_every_seconds),
    };
    Poller::new(imap, mailroom.clone()).map(Some).map_err(|error| anyhow::anyhow!("[mailroom]: {error}"))
}

fn protection(word: &str) -> Tls {
    match word {
        "none" => Tls::None,
        "implicit" => Tls::Implicit,
        _ => Tls::Starttls,
    }
}

/// The address in `ThüringenCERT <cert@cert.example>`, in lower case: by it a mail of ours is known when it comes back.
fn own_address(from: &str) -> String {
    let inner = from.rsplit_once('<').map_or(from, |(_, rest)| rest.trim_end().trim_end_matches('>'));
    inner.trim().to_lowercase()
}

fn delivery(node: &Node, config: &Config) -> Result<Option<Delivery>> {
    let mail = &config.mail;
    if mail.host.is_empty() {
        return Ok(None);
    }
    let tls = protection(&mail.tls);
    let login = mail.user.clone().map(|user| Login { user, password: mail.password.clone().unwrap_or_default() });
    let smtp = SmtpConfig { host: mail.host.clone(), port: mail.port, tls, login, from: mail.from.clone(), timeout: SMTP_TIMEOUT };
    let delivery = Delivery::new(node.db.clone(), smtp, node.clock.clone()).map_err(|error| anyhow::anyhow!("[mail]: {error}"))?;
    Ok(Some(delivery))
}

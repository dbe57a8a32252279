//! Receiving: syslog over UDP, TCP and TLS, RELP, GELF, NetFlow, IPFIX and sFlow over UDP, lines and JSON over HTTP. Receiving is urgent: a
//! frame is stamped, attributed to a site by who its sender is, and appended to the journal; nothing is parsed here and
//! nothing is answered before it is on disk.

mod accept;
mod certificate;
mod counters;
pub mod framing;
#[doc(hidden)]
pub mod fuzzing;
mod gelf;
mod http;
mod keep;
mod pages;
mod proxy;
mod quota;
mod relp;
mod relp_frame;
mod tcp;
mod tls;
mod udp;

use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
/// What ends the listeners; given on, so that callers need no dependency of their own for it.
pub use tokio_util::sync::CancellationToken;

pub use accept::descriptors_raise;
pub use counters::{CounterRow, Counters, Dropped, Listener, PEERS_MAX, PeerCounts, PerListener, ReceiveBuffer, Rejected};
pub use pages::{PageLimits, Pages, Peer};
pub use quota::{Priority, QuotaConfig, SiteQuota};
pub use tls::{TlsError, TlsFiles, certificate_end};

use self::accept::{Accepting, Entry, Room};
use self::quota::{Admission, Grant, Pressure, Quotas};
use self::tls::ServerTls;
use crate::body::{Prefix, Sender, SiteId, SiteTable};
use crate::disk::{Level, Watermark};
use crate::frame::{FrameKind, Marks, NewFrame, Transport};
use crate::journal::{JournalWriter, Refused};
use crate::time::{Clock, Stopwatch, Timestamp};

/// The receive buffer that is asked for where the configuration names none: a burst of 26,000 lines of 350 bytes in one
/// second (DOMAIN.md, load B1) waits here while the journal syncs. The kernel counts about 1 KiB for such a datagram.
pub const UDP_RECEIVE_BUFFER_BYTES: usize = 32 * 1024 * 1024;

/// How long a journal that could not write is left alone before the same frames are given to it again.
const JOURNAL_RETRY: Duration = Duration::from_secs(1);

/// Where to listen, and what is asked of senders.
#[derive(Clone, Default)]
pub struct ListenConfig {
    /// A listener without an address is off.
    pub addresses: Addresses,
    /// The Bearer token that HTTP senders must know who have none of a site's; without one the network alone decides
    /// who may send.
    pub http_token: Option<String>,
    /// 0 leaves the system's default.
    pub udp_receive_buffer_bytes: usize,
    /// Sockets, each with its thread, that share a syslog or NetFlow address; 0 is one, too.
    pub udp_sockets: usize,
    /// How much each site may send.
    pub quota: QuotaConfig,
    /// How full the disk is: what is shed depends on it.
    pub watermark: Watermark,
    /// What listeners over TLS need.
    pub tls: Option<TlsFiles>,
    /// From these addresses, and only from them, each TCP connection begins with a PROXY protocol header.
    pub proxies: Vec<Prefix>,
}

/// The address of each listener. Of bound ones: with the port that the system chose where the configuration said 0.
pub type Addresses = PerListener<Option<SocketAddr>>;

impl fmt::Debug for ListenConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token stays out of every log.
        f.debug_struct("ListenConfig")
            .field("addresses", &self.addresses)
            .field("http_token", &self.http_token.as_ref().map(|_| "…"))
            .field("udp_receive_buffer_bytes", &self.udp_receive_buffer_bytes)
            .field("udp_sockets", &self.udp_sockets)
            .field("quota", &self.quota)
            .field("tls", &self.tls)
            .field("proxies", &self.proxies)
            .finish()
    }
}

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{listener}: {address} is in use")]
    InUse { listener: &'static str, address: SocketAddr },
    #[error("{listener}: {address} is not allowed; a port below 1024 needs the capability CAP_NET_BIND_SERVICE")]
    NotAllowed { listener: &'static str, address: SocketAddr },
    #[error("{listener}: {address} is no address of this machine")]
    NotHere { listener: &'static str, address: SocketAddr },
    #[error("{listener}: cannot listen on {address}")]
    Io { listener: &'static str, address: SocketAddr, source: std::io::Error },
    #[error("http: the token is empty; leave it out to accept everybody")]
    TokenEmpty,
    #[error("{listener}: TLS needs a certificate and its key: set intake.tls_certificate and intake.tls_key")]
    NoCertificate { listener: &'static str },
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
}

/// The bounds that tests make small.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Of all stream listeners but HTTP together: ten for each body and its provider with room for the Land's offices.
    /// A connection costs at most a frame's length while it says nothing.
    tcp_connections: usize,
    /// Of one address: the tenth part.
    tcp_connections_per_peer: usize,
    /// How long a proxy's header and a TLS handshake may take together: three seconds over a bad line, and time for
    /// the thousand handshakes after an outage.
    opening: Duration,
    /// A sender that says nothing for a day has gone; closing earlier would cost a quiet sender the first line it
    /// writes afterwards. Dead peers are found by keep-alive within two minutes.
    tcp_idle: Duration,
    /// How long one message may take to come: what trickles is kept as far as it came, and its connection closed.
    tcp_frame: Duration,
    /// Of HTTP and HTTPS together.
    http_connections: usize,
    /// Of one address: the fourth part, since a shipper opens a few dozen and a proxy may stand for many.
    http_connections_per_peer: usize,
    /// Longer than the minute for which clients usually keep a connection.
    http_idle: Duration,
    /// How long a body may take: 16 MiB over 2 Mbit/s.
    http_body: Duration,
    /// How long connections may take to finish at shutdown before they are cut.
    grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tcp_connections: 12_000,
            tcp_connections_per_peer: 1_200,
            opening: Duration::from_secs(30),
            tcp_idle: Duration::from_secs(24 * 60 * 60),
            tcp_frame: Duration::from_secs(5 * 60),
            http_connections: 1_000,
            http_connections_per_peer: 250,
            http_idle: Duration::from_secs(75),
            http_body: Duration::from_secs(70),
            grace: Duration::from_secs(10),
        }
    }
}

/// Opened listeners: the addresses are ours, nothing is received yet.
#[derive(Debug)]
pub struct Bound {
    udp: PerListener<Option<udp::Sockets>>,
    tcp: PerListener<Option<TcpListener>>,
    tls: Option<Arc<ServerTls>>,
    proxies: Arc<[Prefix]>,
    http_token: Option<String>,
    quota: QuotaConfig,
    watermark: Watermark,
    addresses: Addresses,
    limits: Limits,
}

/// Opens all configured listeners, or none.
///
/// # Errors
/// For the first that cannot be opened, by its name and address.
pub async fn bind(config: &ListenConfig) -> Result<Bound, ListenError> {
    if config.http_token.as_ref().is_some_and(String::is_empty) {
        return Err(ListenError::TokenEmpty);
    }
    let tls = config.tls.clone().map(ServerTls::open).transpose()?.map(Arc::new);
    let mut addresses = Addresses::default();
    let (mut udp, mut tcp) = (PerListener::default(), PerListener::default());
    for listener in Listener::ALL {
        let address = config.addresses[listener];
        if listener.is_tls() && address.is_some() && tls.is_none() {
            return Err(ListenError::NoCertificate { listener: listener.as_str() });
        }
        if listener.is_udp() {
            udp[listener] = open(listener, address, &mut addresses, |at| udp::open(listener, at, config))?;
        } else {
            tcp[listener] = open(listener, address, &mut addresses, accept::open)?;
        }
    }
    let (proxies, http_token) = (config.proxies.clone().into(), config.http_token.clone());
    let (quota, watermark) = (config.quota.clone(), config.watermark.clone());
    Ok(Bound { udp, tcp, tls, proxies, http_token, quota, watermark, addresses, limits: Limits::default() })
}

type Opened<S> = std::io::Result<(S, SocketAddr)>;

fn open<S>(
    listener: Listener,
    address: Option<SocketAddr>,
    addresses: &mut Addresses,
    open: impl FnOnce(SocketAddr) -> Opened<S>,
) -> Result<Option<S>, ListenError> {
    let Some(address) = address else { return Ok(None) };
    let name = listener.as_str();
    match open(address) {
        Ok((socket, at)) => {
            tracing::info!(listener = name, address = %at, "listening");
            addresses[listener] = Some(at);
            Ok(Some(socket))
        }
        Err(error) => Err(match error.kind() {
            ErrorKind::AddrInUse => ListenError::InUse { listener: name, address },
            ErrorKind::PermissionDenied => ListenError::NotAllowed { listener: name, address },
            ErrorKind::AddrNotAvailable => ListenError::NotHere { listener: name, address },
            _ => ListenError::Io { listener: name, address, source: error },
        }),
    }
}

impl Bound {
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Receives until `shutdown`, then finishes what was read and closes.
    pub async fn run(
        mut self,
        journal: JournalWriter,
        sites: Arc<RwLock<Arc<SiteTable>>>,
        counters: Arc<Counters>,
        clock: Clock,
        shutdown: CancellationToken,
    ) {
        let quotas = Arc::new(Quotas::new(std::mem::take(&mut self.quota)));
        let (watermark, watch) = (self.watermark.clone(), Stopwatch::start());
        let intake = Intake { journal, sites, counters, clock, quotas, watermark, watch };
        let mut tasks = JoinSet::new();
        for listener in Listener::ALL.into_iter().filter(|listener| listener.is_udp()) {
            if let Some(sockets) = self.udp[listener].take() {
                tasks.spawn(udp::run(sockets, listener, intake.clone(), shutdown.clone()));
            }
        }
        let limits = self.limits;
        let room = Room::new(limits.tcp_connections, limits.tcp_connections_per_peer);
        let places = keep::places();
        for listener in [Listener::SyslogTcp, Listener::SyslogTls, Listener::GelfTcp] {
            if let Some(accepting) = self.accepting(listener, &room, &intake) {
                tasks.spawn(tcp::run(accepting, listener, intake.clone(), Arc::clone(&places), limits, shutdown.clone()));
            }
        }
        for listener in [Listener::Relp, Listener::RelpTls] {
            if let Some(accepting) = self.accepting(listener, &room, &intake) {
                tasks.spawn(relp::run(accepting, listener, intake.clone(), Arc::clone(&places), limits, shutdown.clone()));
            }
        }
        if let Some(server) = self.tls.clone() {
            tasks.spawn(tls::watch(server, shutdown.clone()));
        }
        let room = Room::new(limits.http_connections, limits.http_connections_per_peer);
        let shared = http::Shared { token: self.http_token.take(), room: http::Room::default() };
        for listener in [Listener::Http, Listener::Https] {
            if let Some(accepting) = self.accepting(listener, &room, &intake) {
                tasks.spawn(http::run(accepting, listener, shared.clone(), intake.clone(), limits, shutdown.clone()));
            }
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a listener ended by itself");
            }
        }
    }
}

impl Bound {
    fn accepting(&mut self, listener: Listener, room: &Arc<Room>, intake: &Intake) -> Option<Accepting> {
        let socket = self.tcp[listener].take()?;
        let tls = self.tls.clone().filter(|_| listener.is_tls());
        let entry = Entry { proxies: Arc::clone(&self.proxies), tls, patience: self.limits.opening };
        Some(Accepting::new(socket, listener, Arc::clone(room), entry, Arc::clone(&intake.counters)))
    }
}

/// How a token is kept and compared: its SHA-256 in hex, so that no database or backup holds one.
pub fn token_hash(token: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What every listener needs to turn bytes into frames in the journal.
#[derive(Clone)]
struct Intake {
    journal: JournalWriter,
    sites: Arc<RwLock<Arc<SiteTable>>>,
    counters: Arc<Counters>,
    clock: Clock,
    quotas: Arc<Quotas>,
    watermark: Watermark,
    /// The time of the quotas: nobody sets it back.
    watch: Stopwatch,
}

/// What all frames of one sender have in common at one moment.
#[derive(Clone, Copy)]
struct Stamp {
    received_at: Timestamp,
    site: SiteId,
    peer: IpAddr,
    transport: Transport,
}

impl Stamp {
    fn frame(self, kind: FrameKind, marks: Marks, payload: Box<[u8]>) -> NewFrame {
        let Self { received_at, site, peer, transport } = self;
        NewFrame { received_at, site, peer, transport, kind, marks, payload }
    }
}

/// More than this of the journal's queue in use is pressure: what is loud is held to its share.
const PRESSURE_PERCENT: usize = 50;
/// The longest that a sender's turn is waited for before it is asked again: pressure passes.
const TURN_PAUSE_MAX: Duration = Duration::from_secs(1);

impl Intake {
    fn site_table(&self) -> Arc<SiteTable> {
        Arc::clone(&self.sites.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn pressure(&self) -> Pressure {
        Pressure { queue: self.journal.queue_used_percent() > PRESSURE_PERCENT, disk: self.watermark.level() >= Level::Shed }
    }

    /// What of so many datagrams of a site is taken, and paid for.
    fn grant(&self, site: SiteId, wanted: usize) -> Grant {
        self.quotas.grant(site, self.site_table().name(site), wanted, self.watch.elapsed(), self.pressure())
    }

    /// Whether a sender's site may send more, for senders that are told or slowed down: asked before something of theirs
    /// is read. What is read is paid for when it is appended.
    fn admit(&self, sender: &Sender) -> Admission {
        let sites = self.site_table();
        let site = sites.attribute(sender);
        self.quotas.admit(site, sites.name(site), self.watch.elapsed(), self.pressure())
    }

    /// Waits until a sender's site may send more. Dropping the future loses nothing.
    async fn turn(&self, sender: &Sender) {
        while let Admission::Wait(pause) | Admission::Shed(pause) = self.admit(sender) {
            tokio::time::sleep(pause.min(TURN_PAUSE_MAX)).await;
        }
    }

    fn spend(&self, site: SiteId, frames: usize) {
        self.quotas.spend(site, self.site_table().name(site), frames, self.watch.elapsed(), self.pressure());
    }

    fn stamp(&self, sender: &Sender, listener: Listener) -> Stamp {
        let sites = self.site_table();
        Stamp { received_at: self.clock.now(), site: sites.attribute(sender), peer: sender.peer, transport: listener.transport() }
    }

    /// Appends frames of a sender who waits for the answer, counts them, and lets their site pay for them.
    ///
    /// # Errors
    /// The frames, which are not counted then.
    async fn append(&self, counts: &PeerCounts, frames: Vec<NewFrame>) -> Result<(), Refused> {
        let number = frames.len();
        // All frames of an append are one sender's.
        let site = frames.first().map(|frame| frame.site);
        let result = self.journal.append(frames).await;
        if let (Some(site), Ok(_)) = (site, &result) {
            self.spend(site, number);
        }
        self.counters.set_journal_healthy(result.is_ok());
        result.map(|_| counts.stored(number))
    }
}

#[cfg(test)]
mod measure;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;

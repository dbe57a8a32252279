//! Accepting connections, the same for everything that listens on TCP: a bound on all connections and on one
//! address's, keep-alive, then what is asked of a connection before it may send (a proxy's header, a TLS handshake),
//! and who it is. What is said on it is for others.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::tls::ServerTls;
use super::{Counters, Listener, Opened, Rejected, proxy, tls};
use crate::body::{Prefix, Sender};
use crate::time::Stopwatch;

/// Connections that wait to be accepted: every sender of a Kreis reconnects at once after an outage.
const BACKLOG: i32 = 1_024;
/// After an error of `accept`: it is mostly about file descriptors, which only time gives back.
const ERROR_PAUSE: Duration = Duration::from_millis(200);
/// Refusals written to the log one by one in `REFUSALS_PER`; all of them are counted.
const REFUSALS_LOGGED_MAX: u32 = 10;
const REFUSALS_PER: Duration = Duration::from_secs(60);

pub(super) fn open(address: SocketAddr) -> Opened<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the old connections' TIME_WAIT. It does not let two processes share the port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let at = listener.local_addr()?;
    Ok((listener, at))
}

/// Lets this process have as many descriptors as the system allows it: each connection is one. Says how many.
///
/// # Errors
/// The system's own.
pub fn descriptors_raise() -> std::io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// The places for connections: so many in all, and so many for one address, so that none can take them all.
#[derive(Debug)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    per_peer_max: usize,
    /// Who may have more: proxies, behind which are many.
    exempt: Vec<Prefix>,
    peers: Mutex<HashMap<IpAddr, usize>>,
}

impl Room {
    pub(super) fn new(connections_max: usize, per_peer_max: usize) -> Arc<Self> {
        Self::with_exempt(connections_max, per_peer_max, &[])
    }

    pub(super) fn with_exempt(connections_max: usize, per_peer_max: usize, exempt: &[Prefix]) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(connections_max));
        Arc::new(Self { places, per_peer_max, exempt: exempt.to_vec(), peers: Mutex::default() })
    }

    fn enter(self: &Arc<Self>) -> Option<Place> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place { room: Arc::clone(self), holder: None, _place: place })
    }
}

/// One connection's place; free again when dropped.
#[derive(Debug)]
struct Place {
    room: Arc<Room>,
    holder: Option<IpAddr>,
    _place: OwnedSemaphorePermit,
}

impl Place {
    /// Counts the place as this peer's. False where he holds as many as one may.
    fn taken_by(&mut self, peer: IpAddr) -> bool {
        let holder = holder(peer);
        // Whoever is on this machine needs no connection to do harm, and tests and local relays come from here.
        if peer.is_loopback() || self.room.exempt.iter().any(|proxy| proxy.contains(peer)) {
            return true;
        }
        let mut peers = self.room.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let count = peers.entry(holder).or_default();
        if *count >= self.room.per_peer_max {
            return false;
        }
        *count += 1;
        self.holder = Some(holder);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(holder) = self.holder else { return };
        let mut peers = self.room.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = peers.get_mut(&holder) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&holder);
            }
        }
    }
}

/// Whom a place is counted for: an IPv6 host has all addresses of its /64.
fn holder(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// What is asked of a connection before it may send.
#[derive(Clone, Default)]
pub(super) struct Entry {
    /// From these addresses, and only from them, each connection begins with a proxy's header.
    pub(super) proxies: Arc<[Prefix]>,
    pub(super) tls: Option<Arc<ServerTls>>,
    /// How long header and handshake may take together.
    pub(super) patience: Duration,
}

/// Accepts connections and opens them side by side: a slow handshake holds nobody up.
pub(super) struct Accepting {
    listener: TcpListener,
    room: Arc<Room>,
    entry: Entry,
    door: Arc<Refusals>,
    opening: JoinSet<Option<Connection>>,
}

impl Accepting {
    pub(super) fn new(listener: TcpListener, which: Listener, room: Arc<Room>, entry: Entry, counters: Arc<Counters>) -> Self {
        Self { listener, room, entry, door: Arc::new(Refusals::new(Some((which, counters)))), opening: JoinSet::new() }
    }

    /// For the pages, whose connections are no intake and are not counted as such.
    pub(super) fn uncounted(listener: TcpListener, room: Arc<Room>) -> Self {
        Self { listener, room, entry: Entry::default(), door: Arc::new(Refusals::new(None)), opening: JoinSet::new() }
    }

    /// The next connection that may send. Waits until there is one: an error of one connection, or of the moment, is
    /// not the listener's end. Dropping the future loses nothing.
    pub(super) async fn accept(&mut self) -> Connection {
        loop {
            tokio::select! {
                Some(opened) = self.opening.join_next(), if !self.opening.is_empty() => {
                    if let Ok(Some(connection)) = opened {
                        return connection;
                    }
                }
                (stream, peer) = accept(&self.listener, &self.door) => {
                    let Some(place) = self.room.enter() else {
                        // Closed at once, so that the sender tries its next server instead of waiting here.
                        self.door.refuse(peer, Rejected::TooManyConnections, &"no place is free");
                        continue;
                    };
                    let opening = Opening { stream, peer, place, entry: self.entry.clone(), door: Arc::clone(&self.door) };
                    if self.entry.tls.is_some() || self.entry.proxies.iter().any(|proxy| proxy.contains(peer)) {
                        self.opening.spawn(opening.open_within());
                    } else if let Some(connection) = opening.open().await {
                        return connection;
                    }
                }
            }
        }
    }
}

impl Accepting {
    /// Serves each connection in a task of its own until `shutdown`; then they have `grace` to finish.
    pub(super) async fn serve<F, S>(mut self, grace: Duration, shutdown: CancellationToken, serve: F)
    where
        F: Fn(Connection) -> S,
        S: Future<Output = ()> + Send + 'static,
    {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(ended) = connections.join_next(), if !connections.is_empty() => report(&ended),
                connection = self.accept() => {
                    connections.spawn(serve(connection));
                }
            }
        }
        let listener = self.door.listener();
        drop(self);
        let finish = async {
            while let Some(ended) = connections.join_next().await {
                report(&ended);
            }
        };
        if timeout(grace, finish).await.is_err() {
            tracing::warn!(listener, connections = connections.len(), "connections cut at shutdown: their last lines were not kept");
        }
    }
}

fn report(ended: &Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task ended by itself");
    }
}

async fn accept(listener: &TcpListener, door: &Refusals) -> (TcpStream, IpAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let keepalive =
                    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15)).with_retries(4);
                if let Err(error) = SockRef::from(&stream).set_tcp_keepalive(&keepalive) {
                    tracing::debug!(%error, "no keep-alive for a connection");
                }
                return (stream, peer.ip().to_canonical());
            }
            Err(error) => {
                tracing::warn!(listener = door.listener(), %error, "cannot accept");
                sleep(ERROR_PAUSE).await;
            }
        }
    }
}

/// A connection that is not open yet.
struct Opening {
    stream: TcpStream,
    peer: IpAddr,
    place: Place,
    entry: Entry,
    door: Arc<Refusals>,
}

impl Opening {
    async fn open_within(self) -> Option<Connection> {
        let (door, peer, patience) = (Arc::clone(&self.door), self.peer, self.entry.patience);
        let reason = if self.entry.tls.is_some() { Rejected::Handshake } else { Rejected::Proxy };
        match timeout(patience, self.open()).await {
            Ok(opened) => opened,
            Err(_) => {
                door.refuse(peer, reason, &"took too long");
                None
            }
        }
    }

    async fn open(mut self) -> Option<Connection> {
        let mut peer = self.peer;
        if self.entry.proxies.iter().any(|proxy| proxy.contains(peer)) {
            match proxy::read(&mut self.stream).await {
                Ok(Some(header)) => peer = header.client.unwrap_or(peer),
                // It has only looked whether somebody is here, as load balancers do every few seconds.
                Ok(None) => return None,
                Err(error) => return self.refuse(peer, Rejected::Proxy, &error),
            }
        }
        if !self.place.taken_by(peer) {
            return self.refuse(peer, Rejected::TooManyConnections, &"one address has too many");
        }
        let mut sender = Sender::of(peer);
        let stream = match &self.entry.tls {
            None => Stream::Plain(self.stream),
            Some(_) if !matches!(self.stream.peek(&mut [0]).await, Ok(1)) => return None,
            Some(server) => match TlsAcceptor::from(server.config()).accept(self.stream).await {
                Ok(stream) => {
                    sender.certificate = tls::client_names(stream.get_ref().1.peer_certificates());
                    Stream::Tls(Box::new(stream))
                }
                Err(error) => {
                    self.door.refuse(peer, Rejected::Handshake, &error);
                    return None;
                }
            },
        };
        // With the handshake's last message the first lines may have come: they are read, and the socket shows nothing of them.
        let more = matches!(stream, Stream::Tls(_));
        Some(Connection { stream, sender: Arc::new(sender), more, _place: self.place })
    }

    fn refuse<T>(&self, peer: IpAddr, reason: Rejected, why: &dyn std::fmt::Display) -> Option<T> {
        self.door.refuse(peer, reason, why);
        None
    }
}

/// Counts who was refused, and says so in the log, but not a thousand times.
struct Refusals {
    /// `None` for the pages, whose connections are no intake.
    counted: Option<(Listener, Arc<Counters>)>,
    logged: Mutex<(Stopwatch, u32)>,
}

impl Refusals {
    fn new(counted: Option<(Listener, Arc<Counters>)>) -> Self {
        Self { counted, logged: Mutex::new((Stopwatch::start(), 0)) }
    }

    fn listener(&self) -> &'static str {
        self.counted.as_ref().map_or("web", |(listener, _)| listener.as_str())
    }

    fn refuse(&self, peer: IpAddr, reason: Rejected, why: &dyn std::fmt::Display) {
        if let Some((listener, counters)) = &self.counted {
            counters.peer(peer, *listener).rejected(reason);
        }
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.0.elapsed() > REFUSALS_PER {
            *logged = (Stopwatch::start(), 0);
        }
        logged.1 += 1;
        if logged.1 <= REFUSALS_LOGGED_MAX {
            tracing::warn!(listener = self.listener(), %peer, reason = reason.as_str(), %why, "connection refused");
        }
        if logged.1 == REFUSALS_LOGGED_MAX {
            tracing::warn!(listener = self.listener(), "more refused connections are only counted for the next minute");
        }
    }
}

/// An accepted connection whose sender is known. It holds no buffer while nothing comes.
pub(super) struct Connection {
    stream: Stream,
    pub(super) sender: Arc<Sender>,
    /// The last read gave something: TLS may hold more of it than the socket shows.
    more: bool,
    _place: Place,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Waits until `try_read` has something to say: bytes, the end, or an error. Dropping the future loses nothing.
    pub(super) async fn readable(&self) -> std::io::Result<()> {
        if self.more {
            return Ok(());
        }
        match &self.stream {
            Stream::Plain(stream) => stream.readable().await,
            Stream::Tls(stream) => stream.get_ref().0.readable().await,
        }
    }

    pub(super) fn socket(&self) -> SockRef<'_> {
        match &self.stream {
            Stream::Plain(stream) => SockRef::from(stream),
            Stream::Tls(stream) => SockRef::from(stream.get_ref().0),
        }
    }

    /// Reads what is there; `WouldBlock` where nothing is.
    pub(super) fn try_read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.try_read(buffer),
            Stream::Tls(stream) => {
                let mut buffer = ReadBuf::new(buffer);
                // Nobody is to be woken: who waits, waits in `readable`.
                match Pin::new(stream.as_mut()).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer) {
                    Poll::Ready(read) => read.map(|()| buffer.filled().len()),
                    Poll::Pending => Err(ErrorKind::WouldBlock.into()),
                }
            }
        };
        self.more = matches!(read, Ok(1..)) && matches!(self.stream, Stream::Tls(_));
        read
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}

/// A connection whose reads fail when nothing comes for too long, and nothing that it is sent is taken either: who only
/// listens to a stream of events says nothing for hours.
pub(super) struct IdleStream {
    connection: Connection,
    idle: Duration,
    alarm: Pin<Box<Sleep>>,
    /// The alarm counts from when reading began to wait.
    waiting: bool,
    /// The last thing that was to be sent was not taken.
    blocked: bool,
    /// We are making an answer: that nothing passes is ours then, unless it is not taken.
    ours: Arc<AtomicBool>,
}

impl IdleStream {
    pub(super) fn new(connection: Connection, idle: Duration) -> Self {
        Self { connection, idle, alarm: Box::pin(sleep(idle)), waiting: false, blocked: false, ours: Arc::default() }
    }

    /// As long as this is set nobody is cut off for saying nothing.
    pub(super) fn while_ours(mut self, ours: Arc<AtomicBool>) -> Self {
        self.ours = ours;
        self
    }
}

impl AsyncRead for IdleStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.connection).poll_read(context, buffer) {
            self.waiting = false;
            return Poll::Ready(read);
        }
        if !self.waiting {
            let idle = self.idle;
            self.alarm.set(sleep(idle));
            self.waiting = true;
        }
        loop {
            ready!(self.alarm.as_mut().poll(context));
            if self.blocked || !self.ours.load(Ordering::Relaxed) {
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
            let idle = self.idle;
            self.alarm.set(sleep(idle));
        }
    }
}

impl AsyncWrite for IdleStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write(context, bytes);
        self.blocked = written.is_pending();
        let written = ready!(written);
        // Counted from when reading waits again: the alarm that runs wakes the reader, who then sets it anew.
        self.waiting = false;
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places() {
        let room = Room::new(10, 2);
        let take = |peer: &str| {
            let mut place = room.enter()?;
            place.taken_by(peer.parse().unwrap()).then_some(place)
        };
        let (first, _second) = (take("192.0.2.1").unwrap(), take("192.0.2.1").unwrap());
        assert!(take("192.0.2.1").is_none());
        assert!(take("192.0.2.2").is_some());
        let _v6: Vec<_> = ["2001:db8::1", "2001:db8::2"].map(|peer| take(peer).unwrap()).into();
        assert!(take("2001:db8::3").is_none(), "a host has its whole /64");
        assert!(take("2001:db8:0:1::3").is_some());
        drop(first);
        let _again = take("192.0.2.1").expect("a place is free again");
        let _local: Vec<_> = (0..6).map(|_| take("127.0.0.1").unwrap()).collect();
        assert!(take("127.0.0.1").is_none(), "all ten are taken");
        drop((_v6, _local, _second, _again));
        let behind = Room::with_exempt(10, 1, &["192.0.2.7/32".parse().unwrap()]);
        let place = |peer: &str| {
            let mut place = behind.enter()?;
            place.taken_by(peer.parse().unwrap()).then_some(place)
        };
        let _three = [place("192.0.2.7"), place("192.0.2.7"), place("192.0.2.7")].map(|place| place.expect("a proxy may have many"));
        let _one = place("192.0.2.8").unwrap();
        assert!(place("192.0.2.8").is_none());
        assert_eq!(room.peers.lock().unwrap().len(), 0, "who has left is forgotten");
    }
}

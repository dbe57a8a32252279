//! Conservation: for each sender and listener, received = stored + rejected(reason) + dropped(reason). The unit is the
//! frame; a request that could not be taken apart counts as one. What the kernel dropped before we saw it is counted
//! apart, by listener, because nobody knows whose it was. The counts live as long as the process.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::frame::Transport;
use crate::journal::JournalError;

/// Senders counted one by one: fifty times the bodies' number. A UDP sender's address can be forged, so the table
/// must not grow with the addresses somebody makes up; those beyond the bound share one row.
pub const PEERS_MAX: usize = 10_000;

/// By which listener something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listener {
    SyslogUdp,
    SyslogTcp,
    SyslogTls,
    Relp,
    RelpTls,
    GelfUdp,
    GelfTcp,
    Http,
    Https,
    NetflowUdp,
    IpfixUdp,
    SflowUdp,
}

impl Listener {
    pub const ALL: [Self; 12] = [
        Self::SyslogUdp,
        Self::SyslogTcp,
        Self::SyslogTls,
        Self::Relp,
        Self::RelpTls,
        Self::GelfUdp,
        Self::GelfTcp,
        Self::Http,
        Self::Https,
        Self::NetflowUdp,
        Self::IpfixUdp,
        Self::SflowUdp,
    ];

    /// Its name in the configuration, in errors and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SyslogUdp => "syslog_udp",
            Self::SyslogTcp => "syslog_tcp",
            Self::SyslogTls => "syslog_tls",
            Self::Relp => "relp",
            Self::RelpTls => "relp_tls",
            Self::GelfUdp => "gelf_udp",
            Self::GelfTcp => "gelf_tcp",
            Self::Http => "http",
            Self::Https => "https",
            Self::NetflowUdp => "netflow_udp",
            Self::IpfixUdp => "ipfix_udp",
            Self::SflowUdp => "sflow_udp",
        }
    }

    pub fn transport(self) -> Transport {
        match self {
            Self::SyslogUdp | Self::NetflowUdp | Self::IpfixUdp | Self::SflowUdp => Transport::Udp,
            Self::SyslogTcp => Transport::Tcp,
            Self::SyslogTls => Transport::Tls,
            Self::Relp | Self::RelpTls => Transport::Relp,
            Self::GelfUdp | Self::GelfTcp => Transport::Gelf,
            Self::Http | Self::Https => Transport::Http,
        }
    }

    /// Whether it receives datagrams, whose senders cannot wait.
    pub fn is_udp(self) -> bool {
        matches!(self, Self::SyslogUdp | Self::GelfUdp) || self.takes_flows()
    }

    /// Whether datagrams of flows come by it. Each of these takes every version and says which by the first bytes: the ports
    /// are only those that exporters are set to.
    pub fn takes_flows(self) -> bool {
        matches!(self, Self::NetflowUdp | Self::IpfixUdp | Self::SflowUdp)
    }

    /// Whether connections to it are encrypted.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::SyslogTls | Self::RelpTls | Self::Https)
    }
}

/// One value for each listener.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct PerListener<T>([T; Listener::ALL.len()]);

impl<T: fmt::Debug> fmt::Debug for PerListener<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = f.debug_struct("PerListener");
        self.iter().for_each(|(listener, value)| {
            all.field(listener.as_str(), value);
        });
        all.finish()
    }
}

impl<T> PerListener<T> {
    pub fn iter(&self) -> impl Iterator<Item = (Listener, &T)> {
        Listener::ALL.into_iter().zip(&self.0)
    }
}

#[expect(clippy::indexing_slicing, reason = "there is one value for each listener; a test holds ALL to the enum")]
impl<T> std::ops::Index<Listener> for PerListener<T> {
    type Output = T;
    fn index(&self, listener: Listener) -> &T {
        &self.0[listener as usize]
    }
}

#[expect(clippy::indexing_slicing, reason = "there is one value for each listener; a test holds ALL to the enum")]
impl<T> std::ops::IndexMut<Listener> for PerListener<T> {
    fn index_mut(&mut self, listener: Listener) -> &mut T {
        &mut self.0[listener as usize]
    }
}

/// Why something received was not taken; the sender is told where the transport has a way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// A datagram without content.
    Empty,
    /// An HTTP request without the right token.
    Unauthorized,
    /// An HTTP body, its decompressed content or its number of lines above the bound.
    TooLarge,
    /// An HTTP body that could not be read or decompressed.
    Unreadable,
    /// A connection above the bound: closed at once.
    TooManyConnections,
    /// A TLS handshake that failed: no certificate, a foreign or an expired one, a protocol too old.
    Handshake,
    /// A frame that breaks its protocol (RELP, GELF): the sender is told and its connection closed.
    Protocol,
    /// A proxy header that is missing, broken, or from an address that may send none.
    Proxy,
    /// A GELF message of whose parts some never came.
    Incomplete,
    /// An HTTP request whose sender was told to repeat it later: his site has sent more than its limit, or the disk is
    /// nearly full.
    Later,
}

impl Rejected {
    pub const ALL: [Self; 10] = [
        Self::Empty,
        Self::Unauthorized,
        Self::TooLarge,
        Self::Unreadable,
        Self::TooManyConnections,
        Self::Handshake,
        Self::Protocol,
        Self::Proxy,
        Self::Incomplete,
        Self::Later,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Unauthorized => "unauthorized",
            Self::TooLarge => "too_large",
            Self::Unreadable => "unreadable",
            Self::TooManyConnections => "too_many_connections",
            Self::Handshake => "handshake",
            Self::Protocol => "protocol",
            Self::Proxy => "proxy",
            Self::Incomplete => "incomplete",
            Self::Later => "later",
        }
    }
}

/// Why something that would have been taken was lost to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// The journal's queue was full and the sender cannot wait.
    QueueFull,
    /// The journal could not write.
    JournalStopped,
    /// The sender or its site sent more than its limit and cannot be slowed down.
    RateLimited,
    /// The disk is nearly full: sources of low priority are shed first.
    DiskFull,
}

impl Dropped {
    pub const ALL: [Self; 4] = [Self::QueueFull, Self::JournalStopped, Self::RateLimited, Self::DiskFull];

    /// Why frames are lost that the journal refused and whose sender cannot wait.
    pub fn by(refusal: &JournalError) -> Self {
        if matches!(refusal, JournalError::DiskFull) { Self::DiskFull } else { Self::JournalStopped }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::JournalStopped => "journal_stopped",
            Self::RateLimited => "rate_limited",
            Self::DiskFull => "disk_full",
        }
    }
}

/// What a UDP listener's sockets got for the datagrams that wait: the first queue, and the first to overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveBuffer {
    /// Sockets that share the address.
    pub sockets: usize,
    /// What the configuration asks for, for each socket; 0 is the system's default.
    pub asked_bytes: u64,
    /// What the kernel gave each socket. Less than asked where `net.core.rmem_max` is lower and we may not pass it.
    pub given_bytes: u64,
}

/// All counts of the listeners.
#[derive(Debug, Default)]
pub struct Counters {
    peers: RwLock<HashMap<(IpAddr, Listener), Arc<PeerCounts>>>,
    others: PerListener<Arc<PeerCounts>>,
    kernel_dropped: PerListener<AtomicU64>,
    receive_buffers: PerListener<OnceLock<ReceiveBuffer>>,
    /// The journal refused the last frames given to it: health checks say so.
    journal_stopped: AtomicBool,
}

/// One sender's counts, shared with the task that serves it.
#[derive(Debug, Default)]
pub struct PeerCounts {
    received: AtomicU64,
    stored: AtomicU64,
    rejected: [AtomicU64; Rejected::ALL.len()],
    dropped: [AtomicU64; Dropped::ALL.len()],
}

/// One row of the counts at one moment. Between receiving and storing, `received` may be ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterRow {
    /// `None` for the senders beyond `PEERS_MAX`.
    pub peer: Option<IpAddr>,
    pub listener: Listener,
    pub received: u64,
    pub stored: u64,
    /// Only reasons that occurred.
    pub rejected: Vec<(Rejected, u64)>,
    pub dropped: Vec<(Dropped, u64)>,
}

impl Counters {
    /// The counts of one sender, or of the others where the table is full.
    pub fn peer(&self, peer: IpAddr, listener: Listener) -> Arc<PeerCounts> {
        let key = (peer, listener);
        if let Some(counts) = self.peers.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(counts);
        }
        let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= PEERS_MAX && !peers.contains_key(&key) {
            return Arc::clone(&self.others[listener]);
        }
        Arc::clone(peers.entry(key).or_default())
    }

    /// Every row that counts something, by sender and listener, the others last.
    pub fn snapshot(&self) -> Vec<CounterRow> {
        let peers = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        let mut rows: Vec<_> = peers.iter().map(|((peer, listener), counts)| counts.row(Some(*peer), *listener)).collect();
        drop(peers);
        rows.sort_unstable_by_key(|row| (row.peer, row.listener));
        let others = self.others.iter().map(|(listener, counts)| counts.row(None, listener));
        rows.extend(others.filter(|row| row.received > 0));
        rows
    }

    /// Datagrams that the kernel dropped because we were too slow or the buffer too small. Zero where the system
    /// does not tell.
    pub fn kernel_dropped(&self, listener: Listener) -> u64 {
        self.kernel_dropped[listener].load(Ordering::Relaxed)
    }

    pub(super) fn add_kernel_dropped(&self, listener: Listener, datagrams: u64) {
        self.kernel_dropped[listener].fetch_add(datagrams, Ordering::Relaxed);
    }

    /// The receive buffer of a UDP listener that runs.
    pub fn receive_buffer(&self, listener: Listener) -> Option<ReceiveBuffer> {
        self.receive_buffers[listener].get().copied()
    }

    /// A listener says this once, when it starts.
    pub(super) fn set_receive_buffer(&self, listener: Listener, buffer: ReceiveBuffer) {
        let _ = self.receive_buffers[listener].set(buffer);
    }

    /// Whether the journal took what was given to it last.
    pub fn journal_healthy(&self) -> bool {
        !self.journal_stopped.load(Ordering::Relaxed)
    }

    pub(super) fn set_journal_healthy(&self, healthy: bool) {
        self.journal_stopped.store(!healthy, Ordering::Relaxed);
    }
}

impl PeerCounts {
    pub(super) fn received(&self, frames: usize) {
        self.received.fetch_add(frames as u64, Ordering::Relaxed);
    }

    pub(super) fn stored(&self, frames: usize) {
        self.stored.fetch_add(frames as u64, Ordering::Relaxed);
    }

    /// Counts one that is received and refused in the same moment.
    pub(super) fn rejected(&self, reason: Rejected) {
        self.received(1);
        if let Some(count) = self.rejected.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn dropped(&self, reason: Dropped, frames: usize) {
        if let Some(count) = self.dropped.get(reason as usize) {
            count.fetch_add(frames as u64, Ordering::Relaxed);
        }
    }

    fn row(&self, peer: Option<IpAddr>, listener: Listener) -> CounterRow {
        // Stored is read before received, so that a row never shows more stored than received.
        let stored = self.stored.load(Ordering::Relaxed);
        let rejected = counted(&Rejected::ALL, &self.rejected);
        let dropped = counted(&Dropped::ALL, &self.dropped);
        CounterRow { peer, listener, received: self.received.load(Ordering::Relaxed), stored, rejected, dropped }
    }
}

fn counted<R: Copy>(reasons: &[R], counts: &[AtomicU64]) -> Vec<(R, u64)> {
    let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
    reasons.iter().copied().zip(counts).filter(|(_, count)| *count > 0).collect()
}

impl CounterRow {
    /// What is neither stored nor accounted for otherwise: in flight, or a mistake of ours.
    pub fn unaccounted(&self) -> u64 {
        let rejected: u64 = self.rejected.iter().map(|(_, count)| count).sum();
        let dropped: u64 = self.dropped.iter().map(|(_, count)| count).sum();
        self.received.saturating_sub(self.stored + rejected + dropped)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_row_adds_up() {
        let counters = Counters::default();
        let counts = counters.peer(Ipv4Addr::LOCALHOST.into(), Listener::SyslogUdp);
        counts.received(10);
        counts.stored(6);
        counts.rejected(Rejected::Empty);
        counts.dropped(Dropped::QueueFull, 3);
        let rows = counters.snapshot();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].received, rows[0].stored, rows[0].unaccounted()), (11, 6, 1));
        assert_eq!(rows[0].rejected, [(Rejected::Empty, 1)]);
        assert_eq!(rows[0].dropped, [(Dropped::QueueFull, 3)]);
    }

    #[test]
    fn senders_beyond_the_bound_share_a_row_and_none_is_lost() {
        let counters = Counters::default();
        let senders = PEERS_MAX as u32 + 5;
        for number in 0..senders {
            counters.peer(Ipv4Addr::from_bits(number).into(), Listener::SyslogUdp).received(1);
        }
        let rows = counters.snapshot();
        assert_eq!(rows.len(), PEERS_MAX + 1);
        assert_eq!(rows.last().map(|row| (row.peer, row.received)), Some((None, 5)));
        assert_eq!(rows.iter().map(|row| row.received).sum::<u64>(), u64::from(senders));
    }

    #[test]
    fn the_tables_follow_the_enums() {
        assert!(Listener::ALL.iter().enumerate().all(|(at, listener)| *listener as usize == at));
        assert!(Rejected::ALL.iter().enumerate().all(|(at, reason)| *reason as usize == at));
        assert!(Dropped::ALL.iter().enumerate().all(|(at, reason)| *reason as usize == at));
    }
}

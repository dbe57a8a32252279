//! Datagrams: one is one frame. The sender cannot wait, so a thread of its own empties each socket in batches
//! (`recvmmsg`) that are offered to the journal's queue. The kernel's buffer is the first queue: a thread that has
//! emptied it sleeps a moment, so that one waking takes many datagrams, and where the journal's queue is full it waits a
//! bounded time before it drops. What is dropped is counted, and so is what the kernel had to drop before us.

use std::collections::HashMap;
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::framing::trim_end;
use super::gelf::{self, Assembly};
use super::quota::fair_shares;
use super::{Dropped, Intake, ListenConfig, Listener, Opened, PeerCounts, ReceiveBuffer, Rejected, Stamp};
use crate::body::{Sender, SiteId};
use crate::frame::{FrameKind, Marks, NewFrame};
use crate::journal::Refused;
use crate::time::Stopwatch;

/// Datagrams taken by one system call: its cost is spread over enough of them.
const SLOTS: usize = 64;
/// The fewest places that are laid out for a call, so that a quiet socket costs little and a waking one grows fast.
const SLOTS_MIN: usize = 4;
/// No UDP payload is longer (65,535 less its headers), so none is cut. The rest makes neighbouring places begin in
/// different lines of the processor's caches, which 64 KiB would not. 4 MiB in all, of which only what large datagrams
/// touch becomes memory.
const SLOT_BYTES: usize = 65_536 + 576;
/// Datagrams offered to the journal together: enough that a batch is worth its bookkeeping, few enough that its memory
/// stays below the journal's commit for usual sizes.
const BATCH_DATAGRAMS_MAX: usize = 1_024;
/// A batch of large datagrams ends here, at the journal's commit size.
const BATCH_BYTES_MAX: usize = 1_048_576;
/// What comes meanwhile waits in the kernel's buffer: 340 datagrams at 170,000 a second, which even the system's default
/// buffer holds, and nothing beside the journal's own 10 ms.
const GATHER: Duration = Duration::from_millis(2);
/// How long a thread waits for a datagram before it looks whether it shall end.
const LOOK: Duration = Duration::from_millis(100);
/// Batches taken from the socket at shutdown: more than the default receive buffer holds.
const BATCHES_AT_END_MAX: usize = 64;
/// How often the kernel is asked what it dropped.
const KERNEL_DROPS_EVERY: Duration = Duration::from_secs(10);
/// After an error of the socket that is no datagram's fault, so that it does not fill the log.
const ERROR_PAUSE: Duration = Duration::from_millis(200);
/// How long a batch waits for room in the journal's queue, while the kernel's buffer fills: longer than a disk's usual
/// stalls. A journal that takes nothing for longer is stuck, and what comes then is dropped at once, so that it is
/// counted with its sender and not by the kernel with nobody's name, until the journal takes something again.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a full queue is asked again.
const ROOM_PAUSE: Duration = Duration::from_millis(1);

/// The opened sockets of one address.
#[derive(Debug)]
pub(super) struct Sockets {
    sockets: Vec<UdpSocket>,
    buffer: ReceiveBuffer,
}

/// Opens an address's sockets. Several share it by `SO_REUSEPORT`: the kernel gives each sender's datagrams to one of
/// them, so that their order stays.
pub(super) fn open(listener: Listener, address: SocketAddr, config: &ListenConfig) -> Opened<Sockets> {
    // A sender may send the parts of a GELF message from several ports; they must meet.
    let number = if listener == Listener::GelfUdp { 1 } else { config.udp_sockets.max(1) };
    let buffer_bytes = config.udp_receive_buffer_bytes;
    let (mut sockets, mut at, mut given) = (Vec::with_capacity(number), address, u64::MAX);
    for _ in 0..number {
        let (socket, bytes) = open_one(at, buffer_bytes, number > 1)?;
        at = socket.local_addr()?;
        given = given.min(bytes);
        sockets.push(socket);
    }
    let buffer = ReceiveBuffer { sockets: number, asked_bytes: buffer_bytes as u64, given_bytes: given };
    let (listener, asked) = (listener.as_str(), buffer.asked_bytes);
    if given < asked {
        tracing::warn!(listener, asked, given, "smaller receive buffer than asked for: raise net.core.rmem_max");
    } else {
        tracing::info!(listener, sockets = number, bytes = given, "receive buffer");
    }
    Ok((Sockets { sockets, buffer }, at))
}

fn open_one(address: SocketAddr, buffer_bytes: usize, shared: bool) -> std::io::Result<(UdpSocket, u64)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if buffer_bytes > 0 && setsockopt(&socket, sockopt::RcvBufForce, &buffer_bytes).is_err() {
        // Without CAP_NET_ADMIN net.core.rmem_max is the bound.
        socket.set_recv_buffer_size(buffer_bytes)?;
    }
    // Linux answers with twice of what it gave: the other half is its own bookkeeping (socket(7), SO_RCVBUF).
    let given = socket.recv_buffer_size()? / 2;
    // Where the system does not know it, its table still answers.
    if let Err(error) = setsockopt(&socket, sockopt::RxqOvfl, &1) {
        tracing::debug!(%error, "the kernel does not report drops with the datagrams");
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_read_timeout(Some(LOOK))?;
    socket.bind(&address.into())?;
    Ok((socket.into(), given as u64))
}

/// Receives until `shutdown`, a thread for each socket, then takes what is still in the sockets.
pub(super) async fn run(sockets: Sockets, listener: Listener, intake: Intake, shutdown: CancellationToken) {
    intake.counters.set_receive_buffer(listener, sockets.buffer);
    // Whoever drops this future ends the threads, too.
    let stop = shutdown.child_token();
    let _ends = stop.clone().drop_guard();
    let (running, mut ended) = mpsc::channel::<()>(1);
    let mut threads = Vec::new();
    for (number, socket) in sockets.sockets.into_iter().enumerate() {
        let receiver = Receiver::new(socket, listener, intake.clone());
        let (stop, running) = (stop.clone(), running.clone());
        let thread = std::thread::Builder::new().name(format!("{}-{number}", listener.as_str())).spawn(move || {
            let _running = running;
            receiver.run(&stop);
        });
        match thread {
            Ok(thread) => threads.push(thread),
            Err(error) => tracing::error!(listener = listener.as_str(), %error, "no thread for a socket: nothing is received there"),
        }
    }
    drop(running);
    // Nothing is ever sent: it ends when the last thread has.
    let _ = ended.recv().await;
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!(listener = listener.as_str(), "a receiving thread ended by itself");
        }
    }
}

/// What a listener's datagrams hold.
enum Content {
    Lines,
    Flows,
    Gelf(Box<Assembly>),
}

impl Content {
    fn of(listener: Listener) -> Self {
        match listener {
            Listener::GelfUdp => Self::Gelf(Box::default()),
            flows if flows.takes_flows() => Self::Flows,
            _ => Self::Lines,
        }
    }
}

struct Receiver {
    socket: UdpSocket,
    listener: Listener,
    content: Content,
    /// The time of what is assembled.
    watch: Stopwatch,
    intake: Intake,
    buffer: Vec<u8>,
    /// Places for the next call: twice what the last one brought, for laying them out costs, too.
    slots: usize,
    drops: Drops,
    /// How long a full queue is waited for.
    patience: Duration,
}

impl Receiver {
    fn new(socket: UdpSocket, listener: Listener, intake: Intake) -> Self {
        let (content, watch, buffer) = (Content::of(listener), Stopwatch::start(), vec![0; SLOTS * SLOT_BYTES]);
        Self { socket, listener, content, watch, intake, buffer, slots: SLOTS_MIN, drops: Drops::default(), patience: PATIENCE }
    }

    fn run(mut self, stop: &CancellationToken) {
        let mut asked = Stopwatch::start();
        while !stop.is_cancelled() {
            match self.batch(MsgFlags::MSG_WAITFORONE) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(taken) if taken < SLOTS => std::thread::sleep(GATHER),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(listener = self.listener.as_str(), %error, "cannot receive");
                    std::thread::sleep(ERROR_PAUSE);
                }
            }
            if let Content::Gelf(assembly) = &mut self.content {
                assembly.expire(self.watch.elapsed());
                self.count_lost();
            }
            if asked.elapsed() >= KERNEL_DROPS_EVERY {
                self.ask_kernel();
                asked = Stopwatch::start();
            }
        }
        for _ in 0..BATCHES_AT_END_MAX {
            if !matches!(self.batch(MsgFlags::MSG_DONTWAIT), Ok(taken) if taken > 0) {
                break;
            }
        }
        if let Content::Gelf(assembly) = &mut self.content {
            assembly.end();
            self.count_lost();
        }
        self.ask_kernel();
    }

    /// Takes what waits in the socket, up to a batch, and offers it to the journal. Says how many datagrams it took.
    fn batch(&mut self, mut flags: MsgFlags) -> nix::Result<usize> {
        let (mut batch, mut taken) = (Batch::default(), 0);
        let ended = loop {
            let places = self.slots;
            match self.receive(flags, &mut batch) {
                Ok(number) => {
                    taken += number;
                    let is_empty = number < places;
                    if is_empty || taken >= BATCH_DATAGRAMS_MAX || batch.bytes >= BATCH_BYTES_MAX {
                        break Ok(());
                    }
                }
                Err(Errno::EAGAIN) => break Ok(()),
                Err(error) => break Err(error),
            }
            flags = MsgFlags::MSG_DONTWAIT;
        };
        self.offer(batch);
        // An error behind datagrams is the next call's.
        ended.map(|()| taken).or_else(|error| if taken > 0 { Ok(taken) } else { Err(error) })
    }

    /// One system call. The headers are laid out anew each time: the kernel shortens them to what it wrote, so that
    /// used ones would have no room for the control message that tells of drops.
    fn receive(&mut self, flags: MsgFlags, batch: &mut Batch) -> nix::Result<usize> {
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(self.slots, Some(cmsg_space!(u32)));
        let places = self.buffer.chunks_exact_mut(SLOT_BYTES).take(self.slots);
        let mut places: Vec<_> = places.map(|place| [IoSliceMut::new(place)]).collect();
        let (mut taken, now) = (0, self.watch.elapsed());
        for message in recvmmsg(self.socket.as_raw_fd(), &mut headers, &mut places, flags, None)? {
            taken += 1;
            for control in message.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::RxqOvfl(total) = control {
                    self.intake.counters.add_kernel_dropped(self.listener, self.drops.seen(total));
                }
            }
            // A datagram without bytes has no slice.
            let datagram = message.iovs().next().unwrap_or_default();
            let peer = peer(message.address.as_ref());
            let sender = batch.sender(peer, &self.intake, self.listener);
            match &mut self.content {
                Content::Lines => batch.put(sender, FrameKind::Line, Marks::default(), trim_end(datagram)),
                // A flow datagram's zeros are content.
                Content::Flows => batch.put(sender, FrameKind::Flow, Marks::default(), datagram),
                Content::Gelf(assembly) => match assembly.put(peer, datagram, now) {
                    Ok(None) => {}
                    Ok(Some(message)) => gelf::parts(&message).for_each(|(kind, marks, part)| batch.put(sender, kind, marks, part)),
                    Err(reason) => batch.reject(sender, reason),
                },
            }
        }
        self.slots = (taken * 2).clamp(SLOTS_MIN, SLOTS);
        Ok(taken)
    }

    /// The journal takes a batch as a whole or not at all. What it took is counted when it is on disk.
    fn offer(&mut self, mut batch: Batch) {
        batch.senders.iter().for_each(|sender| sender.counts.received(sender.number));
        batch.limit(&self.intake);
        let Batch { mut frames, senders, .. } = batch;
        if frames.is_empty() {
            return;
        }
        let senders: Arc<[FromSender]> = senders.into();
        let waiting = Stopwatch::start();
        loop {
            let receipt = receipt(&self.intake, Arc::clone(&senders));
            match self.intake.journal.offer(frames, receipt) {
                Ok(()) => {
                    self.patience = PATIENCE;
                    return;
                }
                Err(back) if waiting.elapsed() < self.patience => frames = back,
                Err(_) => break,
            }
            std::thread::sleep(ROOM_PAUSE);
        }
        self.patience = Duration::ZERO;
        senders.iter().for_each(|sender| sender.counts.dropped(Dropped::QueueFull, sender.number));
    }

    /// Messages of which some parts never came are one each.
    fn count_lost(&mut self) {
        let Content::Gelf(assembly) = &mut self.content else { return };
        for peer in assembly.lost() {
            self.intake.counters.peer(peer, self.listener).rejected(Rejected::Incomplete);
        }
    }

    fn ask_kernel(&mut self) {
        if let Some(total) = kernel_drops(&self.socket) {
            self.intake.counters.add_kernel_dropped(self.listener, self.drops.seen(total));
        }
    }
}

fn receipt(intake: &Intake, senders: Arc<[FromSender]>) -> crate::journal::Receipt {
    let counters = Arc::clone(&intake.counters);
    Box::new(move |answer: Result<_, Refused>| {
        counters.set_journal_healthy(answer.is_ok());
        if let Err(refused) = &answer {
            tracing::error!(error = %refused.error, frames = refused.frames.len(), "datagrams are lost: the journal did not take them");
        }
        for FromSender { counts, number, .. } in senders.iter() {
            match &answer {
                Ok(_) => counts.stored(*number),
                Err(refused) => counts.dropped(Dropped::by(&refused.error), *number),
            }
        }
    })
}

/// Datagrams of several senders on their way to the journal.
#[derive(Default)]
struct Batch {
    frames: Vec<NewFrame>,
    bytes: usize,
    senders: Vec<FromSender>,
    places: HashMap<IpAddr, usize>,
    /// Who sent last: often the same again.
    last: Option<(IpAddr, usize)>,
}

/// What one sender has in a batch; it is looked up once for it.
struct FromSender {
    counts: Arc<PeerCounts>,
    stamp: Stamp,
    number: usize,
}

impl Batch {
    fn sender(&mut self, peer: IpAddr, intake: &Intake, listener: Listener) -> usize {
        if let Some((last, place)) = self.last
            && last == peer
        {
            return place;
        }
        let place = *self.places.entry(peer).or_insert_with(|| {
            let (counts, stamp) = (intake.counters.peer(peer, listener), intake.stamp(&Sender::of(peer), listener));
            self.senders.push(FromSender { counts, stamp, number: 0 });
            self.senders.len() - 1
        });
        self.last = Some((peer, place));
        place
    }

    fn put(&mut self, sender: usize, kind: FrameKind, marks: Marks, payload: &[u8]) {
        if payload.is_empty() {
            return self.reject(sender, Rejected::Empty);
        }
        let Some(sender) = self.senders.get_mut(sender) else { return };
        sender.number += 1;
        self.bytes += payload.len();
        self.frames.push(sender.stamp.frame(kind, marks, payload.into()));
    }

    fn reject(&self, sender: usize, reason: Rejected) {
        if let Some(sender) = self.senders.get(sender) {
            sender.counts.rejected(reason);
        }
    }

    /// Drops what sites sent beyond what they may. Within a site it is the loudest senders' that goes, the last first.
    fn limit(&mut self, intake: &Intake) {
        let mut sites: HashMap<SiteId, Vec<usize>> = HashMap::new();
        for (place, sender) in self.senders.iter().enumerate().filter(|(_, sender)| sender.number > 0) {
            sites.entry(sender.stamp.site).or_default().push(place);
        }
        // What each sender may keep, where it is less than what he sent.
        let mut left: HashMap<IpAddr, usize> = HashMap::new();
        for (site, places) in sites {
            let wants: Vec<usize> = places.iter().filter_map(|place| self.senders.get(*place)).map(|sender| sender.number).collect();
            let (wanted, grant) = (wants.iter().sum(), intake.grant(site, wants.iter().sum()));
            if grant.taken >= wanted {
                continue;
            }
            for (place, share) in places.iter().zip(fair_shares(&wants, grant.taken)) {
                let Some(sender) = self.senders.get_mut(*place) else { continue };
                sender.counts.dropped(grant.refused, sender.number - share);
                sender.number = share;
                left.insert(sender.stamp.peer, share);
            }
        }
        if !left.is_empty() {
            self.frames.retain(|frame| match left.get_mut(&frame.peer) {
                None => true,
                Some(0) => false,
                Some(left) => {
                    *left -= 1;
                    true
                }
            });
        }
    }
}

/// Whose datagram it is; an IPv4 sender at an IPv6 socket is an IPv4 sender. The unspecified address where the kernel
/// says nothing, which it does not for UDP.
fn peer(address: Option<&SockaddrStorage>) -> IpAddr {
    let v4 = || address.and_then(|address| address.as_sockaddr_in()).map(|address| IpAddr::V4(address.ip()));
    let v6 = || address.and_then(|address| address.as_sockaddr_in6()).map(|address| address.ip().to_canonical());
    v4().or_else(v6).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// What the kernel dropped at one socket. It counts in 32 bits since the socket was opened, and says so by two ways:
/// with each datagram (`SO_RXQ_OVFL`, the count when that datagram was queued) and in its table (the count now), so that
/// what comes second may be older.
#[derive(Debug, Default)]
struct Drops {
    counter: u32,
}

impl Drops {
    /// The drops that were not known yet.
    fn seen(&mut self, counter: u32) -> u64 {
        let ahead = counter.wrapping_sub(self.counter);
        // Half the circle behind is older, not two billion drops.
        if ahead > u32::MAX / 2 {
            return 0;
        }
        self.counter = counter;
        ahead.into()
    }
}

/// What the kernel has dropped at this socket, from its table: the answer where no datagram comes any more that could say.
fn kernel_drops(socket: &UdpSocket) -> Option<u32> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?;
    let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned();
    let table = if socket.local_addr().ok()?.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
    drops_in(&std::fs::read_to_string(table).ok()?, &inode)
}

/// The last column of the row whose tenth is the socket's inode (proc(5), net/udp).
fn drops_in(table: &str, inode: &str) -> Option<u32> {
    let row = table.lines().find(|row| row.split_ascii_whitespace().nth(9) == Some(inode))?;
    row.split_ascii_whitespace().nth(12)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            10163: 0100007F:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 41771 2 000000007fe4a6cb 0\n\
            10164: 00000000:0203 00000000:0000 07 00000000:00034E00 00:00000000 00000000     0        0 41772 2 00000000c2bd1b9e 1234\n";
        assert_eq!(drops_in(table, "41772"), Some(1234));
        assert_eq!(drops_in(table, "41771"), Some(0));
        assert_eq!(drops_in(table, "4177"), None);
        assert_eq!(drops_in("", "1"), None);
    }

    #[test]
    fn drops_are_counted_once_whichever_way_they_are_said_and_over_the_wrap() {
        let mut drops = Drops::default();
        let told = [0, 3, 3, 10, 7, 10, 11, 2_000_000_000, 4_000_000_000, u32::MAX, u32::MAX - 5, 4, 4, 9];
        let new: Vec<u64> = told.iter().map(|counter| drops.seen(*counter)).collect();
        assert_eq!(new, [0, 3, 0, 7, 0, 0, 1, 1_999_999_989, 2_000_000_000, 294_967_295, 0, 5, 0, 5]);
        assert_eq!(new.iter().sum::<u64>(), (1 << 32) + 9);
    }

    /// A socket whose small buffer has overflown, with what was sent and what the receiver took.
    #[test]
    fn the_kernel_says_what_it_dropped_with_the_next_datagram() {
        let (socket, _) = open_one("127.0.0.1:0".parse().unwrap(), 8_192, false).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            sender.send_to(&[b'x'; 1_000], socket.local_addr().unwrap()).unwrap();
        }
        let told = |drops: &mut Drops| {
            let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(SLOTS, Some(cmsg_space!(u32)));
            let mut buffer = vec![0; SLOTS * 2_000];
            let mut places: Vec<_> = buffer.chunks_mut(2_000).map(|place| [IoSliceMut::new(place)]).collect();
            let (mut taken, mut dropped) = (0, 0);
            for message in recvmmsg(socket.as_raw_fd(), &mut headers, &mut places, MsgFlags::MSG_DONTWAIT, None).unwrap() {
                taken += 1;
                for control in message.cmsgs().unwrap() {
                    let ControlMessageOwned::RxqOvfl(total) = control else { panic!("{control:?}") };
                    dropped += drops.seen(total);
                }
            }
            (taken, dropped)
        };
        let mut drops = Drops::default();
        let (first, silent) = told(&mut drops);
        assert!(first < 100 && silent == 0, "no datagram was queued behind a drop: {first}, {silent}");
        assert_eq!(kernel_drops(&socket), Some(100 - first));
        sender.send_to(b"next", socket.local_addr().unwrap()).unwrap();
        assert_eq!(told(&mut drops), (1, u64::from(100 - first)));
        assert_eq!(drops.seen(kernel_drops(&socket).unwrap()), 0, "the table says the same");
    }
}

//! Datagrams: one is one frame. The sender cannot wait, so the socket is emptied in batches that are offered to the
//! journal's queue; what finds no room is counted as dropped, and so is what the kernel had to drop before us.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::framing::trim_end;
use super::{Dropped, Intake, Listener, Opened, PeerCounts, Rejected, Stamp};
use crate::body::Sender;
use crate::frame::{FrameKind, Marks, NewFrame};
use crate::journal::Refused;

/// Datagrams taken per batch: enough that a batch is worth its bookkeeping, few enough that its memory stays below
/// the journal's commit for usual sizes.
const BATCH_DATAGRAMS_MAX: usize = 1_024;
/// A batch of large datagrams ends here, at the journal's commit size.
const BATCH_BYTES_MAX: usize = 1_048_576;
/// No UDP payload is longer.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Batches taken from the socket at shutdown: more than the default receive buffer holds.
const BATCHES_AT_END_MAX: usize = 64;
/// How often the kernel is asked what it dropped.
const KERNEL_DROPS_EVERY: Duration = Duration::from_secs(10);
/// After an error of the socket that is no datagram's fault, so that it does not fill the log.
const ERROR_PAUSE: Duration = Duration::from_millis(200);

pub(super) fn open(listener: Listener, address: SocketAddr, buffer_bytes: usize) -> Opened<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if buffer_bytes > 0 {
        socket.set_recv_buffer_size(buffer_bytes)?;
        // Linux answers with twice of what it gave: the other half is its own bookkeeping.
        let given = socket.recv_buffer_size()?;
        if given < buffer_bytes {
            let listener = listener.as_str();
            tracing::warn!(listener, asked = buffer_bytes, given, "smaller receive buffer than asked for: raise net.core.rmem_max");
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    let at = socket.local_addr()?;
    Ok((socket, at))
}

pub(super) async fn run(socket: UdpSocket, listener: Listener, kind: FrameKind, intake: Intake, shutdown: CancellationToken) {
    let mut receiver = Receiver { socket, listener, kind, intake, buffer: vec![0; DATAGRAM_BYTES_MAX] };
    let mut ask_kernel = tokio::time::interval(KERNEL_DROPS_EVERY);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = ask_kernel.tick() => receiver.count_kernel_drops(),
            ready = receiver.socket.readable() => {
                if let Err(error) = ready.and_then(|()| receiver.batch().map(|_| ())) {
                    tracing::warn!(listener = listener.as_str(), %error, "cannot receive");
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        }
    }
    for _ in 0..BATCHES_AT_END_MAX {
        if !matches!(receiver.batch(), Ok(taken) if taken > 0) {
            break;
        }
    }
    receiver.count_kernel_drops();
}

struct Receiver {
    socket: UdpSocket,
    listener: Listener,
    kind: FrameKind,
    intake: Intake,
    buffer: Vec<u8>,
}

/// The senders of one batch: looked up once each.
type Senders = HashMap<IpAddr, (Arc<PeerCounts>, Stamp, usize)>;

impl Receiver {
    /// Takes what waits in the socket, up to a batch, and offers it to the journal. Says how many datagrams it took.
    fn batch(&mut self) -> std::io::Result<usize> {
        let (mut frames, mut senders, mut bytes, mut taken) = (Vec::new(), Senders::new(), 0, 0);
        let ended = loop {
            if taken == BATCH_DATAGRAMS_MAX || bytes >= BATCH_BYTES_MAX {
                break Ok(());
            }
            match self.socket.try_recv_from(&mut self.buffer) {
                Ok((len, sender)) => {
                    taken += 1;
                    bytes += len;
                    frames.extend(self.frame(len, sender.ip().to_canonical(), &mut senders));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.offer(frames, senders);
        ended.map(|()| taken)
    }

    fn frame(&self, len: usize, peer: IpAddr, senders: &mut Senders) -> Option<NewFrame> {
        let datagram = self.buffer.get(..len).unwrap_or_default();
        let (counts, stamp, number) = senders
            .entry(peer)
            .or_insert_with(|| (self.intake.counters.peer(peer, self.listener), self.intake.stamp(&Sender::of(peer), self.listener), 0));
        // A flow datagram's zeros are content.
        let payload = if self.kind == FrameKind::Flow { datagram } else { trim_end(datagram) };
        if payload.is_empty() {
            counts.rejected(Rejected::Empty);
            return None;
        }
        counts.received(1);
        *number += 1;
        Some(stamp.frame(self.kind, Marks::default(), payload.into()))
    }

    /// The journal takes a batch as a whole or not at all. What it took is counted when it is on disk.
    fn offer(&self, frames: Vec<NewFrame>, senders: Senders) {
        if frames.is_empty() {
            return;
        }
        let senders = Arc::new(senders);
        let told = Arc::clone(&senders);
        let counters = Arc::clone(&self.intake.counters);
        let receipt = Box::new(move |answer: Result<_, Refused>| {
            counters.set_journal_healthy(answer.is_ok());
            if let Err(refused) = &answer {
                tracing::error!(error = %refused.error, frames = refused.frames.len(), "datagrams are lost: the journal did not take them");
            }
            for (counts, _, number) in told.values() {
                match &answer {
                    Ok(_) => counts.stored(*number),
                    Err(refused) => counts.dropped(Dropped::by(&refused.error), *number),
                }
            }
        });
        if self.intake.journal.offer(frames, receipt).is_err() {
            senders.values().for_each(|(counts, _, number)| counts.dropped(Dropped::QueueFull, *number));
        }
    }

    fn count_kernel_drops(&self) {
        if let Some(total) = kernel_drops(&self.socket) {
            self.intake.counters.set_kernel_dropped(self.listener, total);
        }
    }
}

/// What the kernel has dropped at this socket, from its table. `SO_RXQ_OVFL` says the same with each datagram, but
/// reading ancillary data takes unsafe code.
fn kernel_drops(socket: &UdpSocket) -> Option<u64> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?;
    let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned();
    let table = if socket.local_addr().ok()?.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
    drops_in(&std::fs::read_to_string(table).ok()?, &inode)
}

/// The last column of the row whose tenth is the socket's inode (proc(5), net/udp).
fn drops_in(table: &str, inode: &str) -> Option<u64> {
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
}

//! Datagrams, many with one system call.

use std::io::IoSlice;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use anyhow::Context as _;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};

use super::pace::Pace;
use super::{Stock, Tally};

/// Datagrams with one call.
const BATCH: usize = 64;

pub(super) fn send(to: SocketAddr, stock: &Stock, pace: &mut Pace) -> anyhow::Result<Tally> {
    let here: SocketAddr = if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(here).context("open a UDP socket")?;
    socket.connect(to).with_context(|| format!("send to {to}"))?;
    let addresses = vec![None::<SockaddrStorage>; BATCH];
    let (mut tally, mut at) = (Tally::default(), 0);
    while let Some(due) = pace.due(BATCH) {
        let mut headers = MultiHeaders::preallocate(due, None);
        let datagrams: Vec<_> = (at..at + due).map(|at| [IoSlice::new(stock.one(at))]).collect();
        let mut left = datagrams.as_slice();
        while !left.is_empty() {
            match sendmmsg(socket.as_raw_fd(), &mut headers, left, &addresses, [], MsgFlags::empty()) {
                Ok(results) => {
                    let sent = results.count().clamp(1, left.len());
                    let bytes: usize = left.iter().take(sent).flatten().map(|datagram| datagram.len()).sum();
                    (tally.sent, tally.bytes) = (tally.sent + sent as u64, tally.bytes + bytes as u64);
                    left = left.get(sent..).unwrap_or_default();
                }
                // Nobody listens yet, or no more: the datagram before got an ICMP answer.
                Err(Errno::ECONNREFUSED | Errno::EINTR) => tally.refused += 1,
                Err(error) => return Err(error).with_context(|| format!("send to {to}")),
            }
        }
        at = (at + due) % stock.len();
    }
    Ok(tally)
}

//! Measures the datagram listener: CPU per datagram and loss at given rates, over loopback into a real journal. Run by
//! hand (`cargo test --workspace --lib listen::measure -- --ignored --nocapture`); it asserts conservation, no time.

use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};

use super::tests::Bench;
use super::{CounterRow, Listener};
use crate::time::Stopwatch;

/// As in the figures that rsyslog was measured with.
const DATAGRAM_BYTES: usize = 320;
const SECONDS: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes and says figures, not faults"]
async fn datagrams_by_rate() {
    for rate in [17_000, 34_000, 68_000, 120_000] {
        measured(rate).await;
    }
}

async fn measured(rate: u32) {
    let mut bench = Bench::start_measured().await;
    let at = bench.at[Listener::SyslogUdp].unwrap();
    let before = cpu(UsageWho::RUSAGE_SELF);
    let sender = tokio::task::spawn_blocking(move || {
        let before = cpu(UsageWho::RUSAGE_THREAD);
        let watch = Stopwatch::start();
        let sent = send(at, rate);
        (sent, watch.elapsed(), cpu(UsageWho::RUSAGE_THREAD) - before)
    });
    let (sent, took, of_sender) = sender.await.unwrap();
    bench.stop().await;
    bench.journal.close();
    let used = cpu(UsageWho::RUSAGE_SELF) - before - of_sender;
    let rows = bench.counters.snapshot();
    let count = |value: fn(&CounterRow) -> u64| rows.iter().map(value).sum::<u64>();
    assert_eq!(count(CounterRow::unaccounted), 0);
    let (stored, kernel) = (count(|row| row.stored), bench.counters.kernel_dropped(Listener::SyslogUdp));
    let dropped = count(|row| row.dropped.iter().map(|(_, number)| number).sum());
    println!(
        "{rate:>7}/s asked {:>7.0}/s sent: {sent} sent, {stored} stored, {kernel} dropped by the kernel, {dropped} by us; {:.2} CPU-s per million stored",
        sent as f64 / took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / stored as f64,
    );
    assert_eq!(sent, stored + kernel + dropped);
}

/// Sends at a rate from one socket, in small bursts; says how many it sent.
fn send(to: SocketAddr, rate: u32) -> u64 {
    const BURST: usize = 16;
    let socket = UdpSocket::bind(if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).unwrap();
    socket.connect(to).unwrap();
    let lines: Vec<String> = (0..BURST)
        .map(|n| {
            let head = format!(
                "<38>Mar 14 07:59:58 rathaus-a sshd[44{n}]: Failed password for invalid user user{n} from 203.0.113.{n} port 33166 ssh2 "
            );
            format!("{head:x<DATAGRAM_BYTES$}")
        })
        .collect();
    let watch = Stopwatch::start();
    let (mut sent, total) = (0, u64::from(rate * SECONDS));
    while sent < total {
        let due = (watch.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        if sent >= due {
            std::thread::sleep(Duration::from_micros(100));
            continue;
        }
        let slices: Vec<_> = lines.iter().map(|line| [IoSlice::new(line.as_bytes())]).collect();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BURST, None);
        let none = [None; BURST];
        sent += sendmmsg(socket.as_raw_fd(), &mut headers, &slices, none, [], MsgFlags::empty()).unwrap().count() as u64;
    }
    sent
}

fn cpu(who: UsageWho) -> Duration {
    let usage: Usage = getrusage(who).unwrap();
    let time = |value: nix::sys::time::TimeVal| Duration::new(value.tv_sec() as u64, value.tv_usec() as u32 * 1_000);
    time(usage.user_time()) + time(usage.system_time())
}

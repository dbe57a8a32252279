//! What is measured: a receiver in a process of its own, so that its CPU seconds and memory are told apart from the
//! sender's. Either ours, the listeners and the fsynced journal without a pipeline behind, or Debian's rsyslogd.

#![expect(unreachable_pub, reason = "a module of a program, not a library")]

pub mod ours;
pub mod process;
mod rsyslog;

use std::net::SocketAddr;
use std::time::Duration;

use ingest::time::Stopwatch;

pub use ours::Ours;
pub(crate) use process::Usage;
pub use rsyslog::{Rsyslog, RsyslogRoot};

/// By which way the lines come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Udp,
    Tcp,
    Tls,
    Relp,
}

/// A running receiver. Dropping it ends its process.
pub trait Receiver {
    fn pid(&self) -> u32;
    fn address(&self, door: Door) -> anyhow::Result<SocketAddr>;
    /// Messages kept so far; may be an estimate while it runs.
    fn progress(&mut self) -> anyhow::Result<u64>;
    /// Messages kept, exactly, once all is quiet.
    fn kept(&mut self) -> anyhow::Result<u64>;
}

/// Looked at so often; each look costs the receiver next to nothing.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A receiver that has kept nothing new for so long is done.
const QUIET: Duration = Duration::from_millis(1500);

/// Waits until `expected` are kept, or nothing more comes. Says how long before now that was.
pub fn settle(receiver: &mut dyn Receiver, expected: u64) -> anyhow::Result<Duration> {
    let (mut last, mut since) = (receiver.progress()?, Stopwatch::start());
    while last < expected && since.elapsed() < QUIET {
        std::thread::sleep(LOOK_EVERY);
        let now = receiver.progress()?;
        if now != last {
            (last, since) = (now, Stopwatch::start());
        }
    }
    Ok(since.elapsed())
}

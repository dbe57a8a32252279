//! The load generator: real lines, many at a time, over every way Wartburg receives. `benches/blast.rs` is its command
//! line, `benches/intake.rs` the measurement that uses it. It shares two cores with what it measures, so lines are framed
//! once beforehand, a thread serves a connection, and nothing is formatted while it sends. It does not look at what a
//! receiver makes of the lines: it counts what was sent and what was acknowledged.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "a module of two programs, each of which uses a part")]

mod http;
mod latency;
mod lines;
mod pace;
mod relp;
mod stream;
mod udp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ingest::time::Stopwatch;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

pub use latency::Latency;
pub use lines::{Framing, Lines, Stock};
pub use stream::{Wire, tls_config};

use pace::Pace;

/// How the lines travel. The numbers are the sender's side of the protocol.
#[derive(Clone, Debug)]
pub enum Way {
    Udp,
    Tcp(Framing),
    /// With so many frames under way that are not acknowledged yet.
    Relp {
        window: usize,
    },
    /// NDJSON with so many lines a request.
    Http {
        batch: usize,
        token: Option<String>,
    },
}

impl Way {
    fn name(&self, tls: bool) -> &'static str {
        match (self, tls) {
            (Self::Udp, _) => "udp",
            (Self::Tcp(_), false) => "tcp",
            (Self::Tcp(_), true) => "tls",
            (Self::Relp { .. }, false) => "relp",
            (Self::Relp { .. }, true) => "relp+tls",
            (Self::Http { .. }, false) => "http",
            (Self::Http { .. }, true) => "https",
        }
    }
}

/// What is to be sent, where to and how fast.
#[derive(Clone)]
pub struct Plan {
    pub to: SocketAddr,
    pub way: Way,
    pub lines: Arc<Lines>,
    /// Messages a second over all connections; 0 sends as fast as the receiver takes.
    pub rate: u64,
    pub connections: usize,
    /// Ends after so many messages over all connections, or …
    pub messages: u64,
    /// … after so long, whichever comes first.
    pub time: Duration,
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// What one connection, or all, did.
#[derive(Debug, Default)]
pub struct Tally {
    /// Messages sent, each counted once however often it had to be repeated.
    pub sent: u64,
    pub bytes: u64,
    /// Messages the receiver said it has. Over UDP and plain TCP it has no way to say so.
    pub acknowledged: u64,
    /// Messages the receiver said it will not take.
    pub refused: u64,
    /// Messages sent again because a connection broke before they were acknowledged.
    pub resent: u64,
    pub broken: u64,
    pub latency: Latency,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.bytes += other.bytes;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.resent += other.resent;
        self.broken += other.broken;
        self.latency.add(&other.latency);
    }
}

/// What came of a plan.
#[derive(Debug)]
pub struct Report {
    pub way: &'static str,
    pub connections: usize,
    pub tally: Tally,
    pub seconds: f64,
    /// What the sender itself used; never part of a receiver's figure.
    pub sender_cpu_seconds: f64,
}

impl Report {
    pub fn per_second(&self) -> f64 {
        self.tally.sent as f64 / self.seconds.max(1e-9)
    }

    pub fn json(&self) -> Value {
        let tally = &self.tally;
        json!({
            "way": self.way,
            "connections": self.connections,
            "sent": tally.sent,
            "bytes": tally.bytes,
            "acknowledged": tally.acknowledged,
            "refused": tally.refused,
            "resent": tally.resent,
            "broken_connections": tally.broken,
            "seconds": round(self.seconds),
            "per_second": self.per_second().round(),
            "acknowledged_per_second": (tally.acknowledged as f64 / self.seconds.max(1e-9)).round(),
            "acknowledgement_ms": tally.latency.json(),
            "sender_cpu_seconds": round(self.sender_cpu_seconds),
        })
    }
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Sends what the plan says and waits until everything is acknowledged where the way has acknowledgements.
pub fn run(plan: &Plan) -> anyhow::Result<Report> {
    let connections = plan.connections.max(1);
    let framing = match &plan.way {
        Way::Udp => Framing::Bare,
        Way::Tcp(framing) => *framing,
        Way::Relp { .. } => Framing::Relp,
        Way::Http { .. } => Framing::Ndjson,
    };
    let stocks: Vec<_> = (0..connections).map(|number| plan.lines.framed(framing, number, connections)).collect();
    let (watch, cpu) = (Stopwatch::start(), cpu_seconds());
    let threads: Vec<_> = stocks
        .into_iter()
        .enumerate()
        .map(|(number, stock)| {
            let plan = plan.clone();
            std::thread::spawn(move || one(&plan, &stock, number as u64, connections as u64))
        })
        .collect();
    let mut tally = Tally::default();
    for thread in threads {
        let one = thread.join().ok().context("a connection's thread panicked")??;
        tally.add(&one);
    }
    let way = plan.way.name(plan.tls.is_some());
    Ok(Report { way, connections, tally, seconds: watch.elapsed().as_secs_f64(), sender_cpu_seconds: cpu_seconds() - cpu })
}

fn one(plan: &Plan, stock: &Stock, number: u64, of: u64) -> anyhow::Result<Tally> {
    // The first connections take what does not divide evenly.
    let share = |total: u64| total / of + u64::from(number < total % of);
    let mut pace = Pace::new(plan.rate as f64 / of as f64, share(plan.messages), plan.time);
    match &plan.way {
        Way::Udp => udp::send(plan.to, stock, &mut pace),
        Way::Tcp(_) => stream::send(plan, stock, &mut pace),
        Way::Relp { window } => relp::send(plan, stock, &mut pace, *window),
        Way::Http { batch, token } => http::send(plan, stock, &mut pace, *batch, token.as_deref()),
    }
}

fn cpu_seconds() -> f64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| {
        let (user, system) = (usage.user_time(), usage.system_time());
        (user.tv_sec() + system.tv_sec()) as f64 + (user.tv_usec() + system.tv_usec()) as f64 / 1e6
    })
}

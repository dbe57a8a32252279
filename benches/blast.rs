//! The load generator as a command: `cargo bench --bench blast -- tcp 127.0.0.1:514 --file lines.log --connections 4`.
//! Prints one JSON object at the end. What it does is `load`'s.

mod load;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use load::{Framing, Lines, Plan, Way};

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Transport {
    Udp,
    /// A newline behind each line.
    Tcp,
    /// The length in front of each line.
    TcpCounted,
    Relp,
    Http,
}

/// Sends real lines as fast as the receiver takes them, or at a rate, and says what was acknowledged.
#[derive(Debug, Parser)]
#[command(name = "blast")]
struct Args {
    transport: Transport,
    to: SocketAddr,
    /// Lines to send, round and round; folders: all .log files below.
    #[arg(long, required = true)]
    file: Vec<PathBuf>,
    /// Bytes of each message; 0 leaves the lines as they are.
    #[arg(long, default_value_t = 320)]
    length: usize,
    /// Messages a second over all connections; 0 is as fast as possible.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Ends after so many messages.
    #[arg(long, default_value_t = u64::MAX)]
    messages: u64,
    /// RELP: frames under way without an answer.
    #[arg(long, default_value_t = 1000)]
    window: usize,
    /// HTTP: lines a request.
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// HTTP: the Bearer token.
    #[arg(long)]
    token: Option<String>,
    /// TLS: the authorities that the receiver's certificate (for "localhost") must come from, PEM.
    #[arg(long)]
    tls_ca: Option<PathBuf>,
    /// TLS: our own certificate and its key, PEM.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    #[arg(long)]
    tls_key: Option<PathBuf>,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let tls = match &args.tls_ca {
        None => None,
        Some(ca) => Some(load::tls_config(ca, args.tls_cert.as_deref().zip(args.tls_key.as_deref()))?),
    };
    let plan = Plan {
        to: args.to,
        way: match args.transport {
            Transport::Udp => Way::Udp,
            Transport::Tcp => Way::Tcp(Framing::Newline),
            Transport::TcpCounted => Way::Tcp(Framing::Counted),
            Transport::Relp => Way::Relp { window: args.window },
            Transport::Http => Way::Http { batch: args.batch, token: args.token },
        },
        lines: Arc::new(Lines::read(&args.file, args.length)?),
        rate: args.rate,
        connections: args.connections,
        messages: args.messages,
        time: Duration::try_from_secs_f64(args.seconds).context("--seconds")?,
        tls,
    };
    let report = load::run(&plan)?;
    writeln!(std::io::stdout(), "{}", report.json())?;
    Ok(())
}

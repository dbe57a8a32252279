//! What receiving costs, against rsyslog on the same machine in the same run: our listeners and fsynced journal in one
//! process, Debian's rsyslogd writing a plain file in another, turn by turn, and the median of the rounds. The figure that
//! counts is messages per CPU second of the receiver; what a second of the clock holds depends on who else computes.
//!
//! `cargo bench --bench intake -- [tcp] [udp] [relp] [tls] [memory] --lines ../shared/corpora/loghub --rounds 5`

mod load;
mod receiver;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use ingest::time::Stopwatch;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use load::{Framing, Latency, Lines, Plan, Way, Wire};
use receiver::{Door, Ours, Receiver, Rsyslog, RsyslogRoot, Usage, process};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    Tcp,
    /// At a modest rate over many connections: what small commits cost.
    Paced,
    Udp,
    Relp,
    Tls,
    Memory,
}

#[derive(Debug, Parser)]
#[command(name = "intake")]
struct Args {
    /// What to measure; all of it where nothing is named.
    cases: Vec<Case>,
    /// Real lines, files or folders.
    #[arg(long, env = "WARTBURG_CORPORA", default_value = "../shared/corpora")]
    lines: PathBuf,
    #[arg(long, default_value_t = 320)]
    length: usize,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Messages of a TCP or TLS run.
    #[arg(long, default_value_t = 600_000)]
    messages: u64,
    /// Connections of a TCP or TLS run.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// How long a UDP or RELP run takes.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Where Debian's rsyslog and rsyslog-relp were unpacked, if they are not installed.
    #[arg(long, env = "WARTBURG_RSYSLOG_ROOT")]
    rsyslog: Option<PathBuf>,
    /// Only ours.
    #[arg(long)]
    alone: bool,
    /// Where both write; a temporary folder below it.
    #[arg(long, default_value = "target")]
    under: PathBuf,
    /// Is the receiver instead.
    #[arg(long, hide = true)]
    receive: Option<PathBuf>,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // Ten thousand connections are ten thousand descriptors, on both sides.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    if let Some(dir) = &args.receive {
        return receiver::ours::receive(dir);
    }
    let folders: Vec<PathBuf> = ["loghub", "crowdsec"].iter().map(|name| args.lines.join(name)).filter(|path| path.is_dir()).collect();
    let lines = Lines::read(if folders.is_empty() { std::slice::from_ref(&args.lines) } else { &folders }, args.length)?;
    let rsyslog = if args.alone { None } else { RsyslogRoot::find(args.rsyslog.as_deref()) };
    let dir = tempfile::Builder::new().prefix("intake").tempdir_in(&args.under).context("a folder to write in")?;
    let bench = Bench { lines: Arc::new(lines), rsyslog, dir: dir.path().to_owned(), args };
    say(&format!("rsyslog: {}", bench.rsyslog.as_ref().map_or("fehlt".into(), RsyslogRoot::version)))?;
    let wanted = |case| bench.args.cases.is_empty() || bench.args.cases.contains(&case);
    if wanted(Case::Tcp) {
        bench.tcp()?;
    }
    if wanted(Case::Paced) {
        bench.paced()?;
    }
    if wanted(Case::Udp) {
        bench.udp()?;
    }
    if wanted(Case::Relp) {
        bench.relp()?;
    }
    if wanted(Case::Tls) {
        bench.tls()?;
    }
    if wanted(Case::Memory) {
        bench.tls_memory()?;
        bench.idle()?;
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write to the terminal")
}

/// What one run of one receiver showed.
#[derive(Debug)]
struct Sample {
    sent: u64,
    kept: u64,
    acknowledged: u64,
    /// From the first line sent to the last one kept.
    seconds: f64,
    /// From the first line sent to the last.
    sending_seconds: f64,
    cpu: Usage,
    memory_mib: f64,
    sender_cpu: f64,
    latency: Latency,
}

impl Sample {
    fn per_cpu_second(&self) -> f64 {
        self.kept as f64 / self.cpu.total().max(0.001)
    }

    fn per_second(&self) -> f64 {
        self.kept as f64 / self.seconds.max(0.001)
    }

    fn loss_percent(&self) -> f64 {
        100.0 * self.sent.saturating_sub(self.kept) as f64 / self.sent.max(1) as f64
    }
}

struct Bench {
    args: Args,
    lines: Arc<Lines>,
    rsyslog: Option<RsyslogRoot>,
    dir: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Ours,
    Rsyslog,
    /// With its queue on disk and fsynced.
    RsyslogSafe,
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "Wartburg",
            Self::Rsyslog => "rsyslog",
            Self::RsyslogSafe => "rsyslog, Plattenwarteschlange mit fsync",
        }
    }
}

impl Bench {
    fn plan(&self, way: Way) -> Plan {
        Plan {
            to: ([127, 0, 0, 1], 0).into(),
            way,
            lines: Arc::clone(&self.lines),
            rate: 0,
            connections: 1,
            messages: u64::MAX,
            time: Duration::from_secs_f64(self.args.seconds),
            tls: None,
        }
    }

    /// One run: a fresh receiver in a fresh folder, which is removed afterwards.
    fn run(&self, peer: Peer, door: Door, plan: &Plan) -> anyhow::Result<Sample> {
        let dir = tempfile::tempdir_in(&self.dir)?;
        let mut receiver = self.start(peer, door, dir.path())?;
        let receiver = receiver.as_mut();
        let mut plan = Plan { to: receiver.address(door)?, ..plan.clone() };
        // A first breath outside the figures: pages, caches, the file's first blocks.
        let measured = plan.messages;
        plan.messages = measured.min(20_000);
        if door == Door::Tls {
            plan.tls = Some(load::tls_config(&Ours::authority(dir.path()), None)?);
        }
        plan.time = plan.time.min(Duration::from_secs(1));
        let warm = load::run(&plan)?;
        receiver::settle(receiver, warm.tally.sent)?;
        let before = receiver.kept()?;
        (plan.messages, plan.time) =
            (measured, Duration::from_secs_f64(self.args.seconds.max(if measured < u64::MAX { 600.0 } else { 0.0 })));

        let (cpu, watch) = (Usage::of(receiver.pid())?, Stopwatch::start());
        let report = load::run(&plan)?;
        let quiet = receiver::settle(receiver, before + report.tally.sent)?;
        let seconds = watch.elapsed().saturating_sub(quiet).as_secs_f64();
        let cpu = Usage::of(receiver.pid())?.since(cpu);
        Ok(Sample {
            sent: report.tally.sent,
            kept: receiver.kept()?.saturating_sub(before),
            acknowledged: report.tally.acknowledged,
            seconds,
            sending_seconds: report.seconds,
            cpu,
            memory_mib: process::memory_peak_mib(receiver.pid())?,
            sender_cpu: report.sender_cpu_seconds,
            latency: report.tally.latency,
        })
    }

    fn start(&self, peer: Peer, door: Door, dir: &Path) -> anyhow::Result<Box<dyn Receiver>> {
        if peer == Peer::Ours {
            return Ok(Box::new(Ours::start(dir)?));
        }
        let root = self.rsyslog.as_ref().context("there is no rsyslogd")?;
        Ok(Box::new(Rsyslog::start(root, dir, door, peer == Peer::RsyslogSafe, self.args.length as u64 + 1)?))
    }

    /// Turn by turn, so that what disturbs the machine disturbs both.
    fn rounds(&self, peers: &[Peer], door: Door, plan: &Plan) -> anyhow::Result<Vec<(Peer, Vec<Sample>)>> {
        let mut all: Vec<(Peer, Vec<Sample>)> = peers.iter().map(|peer| (*peer, Vec::new())).collect();
        for round in 0..self.args.rounds {
            for (peer, samples) in &mut all {
                let sample = self.run(*peer, door, plan)?;
                tracing_line(round, *peer, &sample)?;
                samples.push(sample);
            }
        }
        Ok(all)
    }

    fn peers(&self) -> Vec<Peer> {
        [Peer::Ours, Peer::Rsyslog].into_iter().filter(|peer| *peer == Peer::Ours || self.rsyslog.is_some()).collect()
    }

    fn tcp(&self) -> anyhow::Result<()> {
        let plan = Plan { connections: self.args.connections, messages: self.args.messages, ..self.plan(Way::Tcp(Framing::Newline)) };
        let all = self.rounds(&self.peers(), Door::Tcp, &plan)?;
        say(&format!("\n### TCP, {} Verbindungen, {} Meldungen zu {} Byte\n", plan.connections, plan.messages, self.args.length))?;
        table(&all)
    }

    fn paced(&self) -> anyhow::Result<()> {
        let plan = Plan { connections: 50, rate: 20_000, ..self.plan(Way::Tcp(Framing::Newline)) };
        let all = self.rounds(&self.peers(), Door::Tcp, &plan)?;
        say(&format!("\n### TCP, {} Verbindungen, {} Meldungen/s\n", plan.connections, thousands(plan.rate as f64)))?;
        table(&all)
    }

    fn udp(&self) -> anyhow::Result<()> {
        say(&format!("\n### UDP, je {} s, Meldungen zu {} Byte\n", self.args.seconds, self.args.length))?;
        say("| verlangt/s | Empfänger | gesendet/s | Verlust | Meldungen je CPU-Sekunde |\n|---:|---|---:|---:|---:|")?;
        for rate in [5_000, 10_000, 17_000, 35_000, 68_000] {
            let plan = Plan { rate, ..self.plan(Way::Udp) };
            for (peer, samples) in self.rounds(&self.peers(), Door::Udp, &plan)? {
                say(&format!(
                    "| {} | {} | {} | {:.2} % | {} |",
                    thousands(rate as f64),
                    peer.name(),
                    thousands(median(&samples, |sample| sample.sent as f64 / sample.sending_seconds)),
                    samples.iter().map(Sample::loss_percent).fold(0.0, f64::max),
                    thousands(median(&samples, Sample::per_cpu_second)),
                ))?;
            }
        }
        Ok(())
    }

    fn relp(&self) -> anyhow::Result<()> {
        let plan = self.plan(Way::Relp { window: 1000 });
        let mut peers = self.peers();
        if self.rsyslog.as_ref().is_some_and(RsyslogRoot::has_relp) {
            peers.push(Peer::RsyslogSafe);
        } else {
            peers.truncate(1);
        }
        let all = self.rounds(&peers, Door::Relp, &plan)?;
        say(&format!("\n### RELP, eine Verbindung, Fenster 1000, je {} s\n", self.args.seconds))?;
        table(&all)?;
        say("\n| Empfänger | bestätigt/s | Bestätigung p50 | p99 | längste |\n|---|---:|---:|---:|---:|")?;
        for (peer, samples) in &all {
            let ms = |percent| median(samples, |sample| sample.latency.percentile(percent).unwrap_or(f64::NAN));
            let rate = median(samples, |sample| sample.acknowledged as f64 / sample.sending_seconds);
            say(&format!("| {} | {} | {:.1} ms | {:.1} ms | {:.1} ms |", peer.name(), thousands(rate), ms(50.0), ms(99.0), ms(100.0)))?;
        }
        Ok(())
    }

    /// Ours over TLS against ours without, turn by turn.
    fn tls(&self) -> anyhow::Result<()> {
        let plan = Plan { connections: self.args.connections, messages: self.args.messages, ..self.plan(Way::Tcp(Framing::Newline)) };
        let (mut tcp, mut tls) = (Vec::new(), Vec::new());
        for round in 0..self.args.rounds {
            for (door, samples) in [(Door::Tcp, &mut tcp), (Door::Tls, &mut tls)] {
                let sample = self.run(Peer::Ours, door, &plan)?;
                tracing_line(round, Peer::Ours, &sample)?;
                samples.push(sample);
            }
        }
        let [tcp, tls] = [&tcp, &tls].map(|samples| median(samples, Sample::per_cpu_second));
        say(&format!(
            "\n### TLS gegen TCP, {} Verbindungen, {} Meldungen\n\n| Weg | Meldungen je CPU-Sekunde | Verhältnis |\n|---|---:|---:|\n\
             | TCP | {} | 1,00 |\n| TLS 1.3 | {} | {} |",
            plan.connections,
            thousands(plan.messages as f64),
            thousands(tcp),
            thousands(tls),
            format!("{:.2}", tls / tcp).replace('.', ","),
        ))
    }

    /// A thousand connections over TLS, all of which send.
    fn tls_memory(&self) -> anyhow::Result<()> {
        let dir = tempfile::tempdir_in(&self.dir)?;
        let mut ours = Ours::start(dir.path())?;
        let plan = Plan {
            to: ours.address(Door::Tls)?,
            connections: TLS_CONNECTIONS,
            rate: 20_000,
            tls: Some(load::tls_config(&Ours::authority(dir.path()), None)?),
            ..self.plan(Way::Tcp(Framing::Newline))
        };
        let report = load::run(&plan)?;
        receiver::settle(&mut ours, report.tally.sent)?;
        let (paced, sent) = (process::memory_peak_mib(ours.pid())?, report.tally.sent);
        // And all as fast as they can: a thousand senders after an outage.
        let report = load::run(&Plan { rate: 0, messages: self.args.messages, ..plan })?;
        receiver::settle(&mut ours, sent + report.tally.sent)?;
        say(&format!(
            "\n### Speicher mit {} TLS-Verbindungen\n\n| Last | gesendet | behalten | Spitze |\n|---|---:|---:|---:|\n\
             | erst 20.000 Meldungen/s | {} | | {paced:.1} MiB |\n| dann alle, so schnell es geht | {} | {} (zusammen) | {:.1} MiB |",
            thousands(TLS_CONNECTIONS as f64),
            thousands(sent as f64),
            thousands(report.tally.sent as f64),
            thousands(ours.kept()? as f64),
            process::memory_peak_mib(ours.pid())?,
        ))
    }

    /// Ten thousand connections that say nothing, and one line over each in the end.
    fn idle(&self) -> anyhow::Result<()> {
        let dir = tempfile::tempdir_in(&self.dir)?;
        let mut ours = Ours::start(dir.path())?;
        let to = ours.address(Door::Tcp)?;
        let before = process::memory_mib(ours.pid())?;
        let mut held = (0..IDLE_CONNECTIONS).map(|_| Wire::connect(to, None)).collect::<Result<Vec<_>, _>>().context("hold connections")?;
        std::thread::sleep(Duration::from_secs(3));
        let cpu = Usage::of(ours.pid())?;
        std::thread::sleep(Duration::from_secs(5));
        let idle_cpu = Usage::of(ours.pid())?.since(cpu).total() / 5.0;
        let holding = process::memory_mib(ours.pid())?;
        let stock = self.lines.framed(Framing::Newline, 0, 1);
        for (number, wire) in held.iter_mut().enumerate() {
            wire.write_all(stock.one(number)).context("a held connection")?;
        }
        receiver::settle(&mut ours, IDLE_CONNECTIONS as u64)?;
        say(&format!(
            "\n### Ruhende Verbindungen\n\n| Verbindungen | Speicher vorher | beim Halten | Spitze | CPU beim Halten | danach je eine Zeile gesendet, behalten |\n|---:|---:|---:|---:|---:|---:|\n\
             | {} | {before:.1} MiB | {holding:.1} MiB | {:.1} MiB | {:.2} % | {} |",
            thousands(IDLE_CONNECTIONS as f64),
            process::memory_peak_mib(ours.pid())?,
            idle_cpu * 100.0,
            thousands(ours.kept()? as f64),
        ))
    }
}

const TLS_CONNECTIONS: usize = 1_000;
/// Below the listeners' bound of 12,000.
const IDLE_CONNECTIONS: usize = 10_000;

/// Each run as it ends, beside the tables.
fn tracing_line(round: usize, peer: Peer, sample: &Sample) -> anyhow::Result<()> {
    writeln!(
        std::io::stderr(),
        "round {round} {:<10} sent {} kept {} wall {:.2} s, cpu {:.2}+{:.2} s = {:.0}/cpu-s, sender {:.2} s, peak {:.1} MiB",
        peer.name(),
        sample.sent,
        sample.kept,
        sample.seconds,
        sample.cpu.user,
        sample.cpu.system,
        sample.per_cpu_second(),
        sample.sender_cpu,
        sample.memory_mib
    )
    .context("write to the terminal")
}

fn table(all: &[(Peer, Vec<Sample>)]) -> anyhow::Result<()> {
    say(
        "| Empfänger | Meldungen je CPU-Sekunde (Median; von–bis) | Meldungen/s | Verlust | Speicherspitze | Verhältnis zu rsyslog |\n|---|---:|---:|---:|---:|---:|",
    )?;
    let base = all.iter().find(|(peer, _)| *peer == Peer::Rsyslog).map(|(_, samples)| median(samples, Sample::per_cpu_second));
    for (peer, samples) in all {
        let figure = median(samples, Sample::per_cpu_second);
        let least = samples.iter().map(Sample::per_cpu_second).fold(f64::INFINITY, f64::min);
        let most = samples.iter().map(Sample::per_cpu_second).fold(0.0, f64::max);
        say(&format!(
            "| {} | {} ({}–{}) | {} | {:.2} % | {:.1} MiB | {} |",
            peer.name(),
            thousands(figure),
            thousands(least),
            thousands(most),
            thousands(median(samples, Sample::per_second)),
            samples.iter().map(Sample::loss_percent).fold(0.0, f64::max),
            samples.iter().map(|sample| sample.memory_mib).fold(0.0, f64::max),
            base.map_or("–".into(), |base| format!("{:.2}", figure / base).replace('.', ",")),
        ))?;
    }
    Ok(())
}

fn median(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> f64 {
    let mut figures: Vec<f64> = samples.iter().map(figure).collect();
    figures.sort_unstable_by(f64::total_cmp);
    let middle = |from: usize| figures.get(from).copied().unwrap_or(f64::NAN);
    f64::midpoint(middle((figures.len() - 1) / 2), middle(figures.len() / 2))
}

/// With points between the thousands, as Germans write them.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let bare = digits.trim_start_matches('-').len();
    digits
        .chars()
        .enumerate()
        .map(|(at, digit)| if at > 0 && at < bare && (bare - at) % 3 == 0 { format!(".{digit}") } else { digit.to_string() })
        .collect()
}

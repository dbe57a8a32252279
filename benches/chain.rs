//! What the whole chain costs: the program as it serves, with the shipped rules and the public ones, mixed lines of one day
//! over TCP, until every line is stored, searchable and judged. The figure that counts is events for each CPU second of the server's
//! process; what it holds in memory stands beside it, and how large the rules' snapshot is under that load.
//!
//! `cargo bench --workspace --bench chain -- [--rules FOLDER] [--messages N]`

mod load;
#[path = "search/lines.rs"]
#[allow(dead_code, reason = "made for the measurement of searching")]
mod made;
#[path = "receiver/process.rs"]
mod process;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use ingest::time::{Clock, Stopwatch, Timestamp};
use load::{Framing, Lines, Plan, Way};
use process::Usage;

#[derive(Debug, Parser)]
struct Args {
    /// Where `sigma` lies.
    #[arg(long, env = "WARTBURG_CORPORA", default_value = "../shared/corpora")]
    corpora: PathBuf,
    /// Folders of rules beside the shipped ones; without it the public ones.
    #[arg(long)]
    rules: Vec<PathBuf>,
    /// Only the shipped rules.
    #[arg(long)]
    shipped: bool,
    #[arg(long, default_value_t = 300_000)]
    messages: u64,
    /// Messages a second; 0 is as fast as they are taken.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Where the data lies meanwhile; a temporary folder below it.
    #[arg(long, default_value = "target")]
    under: PathBuf,
    #[arg(long, hide = true)]
    bench: bool,
}

/// Nobody waits longer for the last line.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let dir = tempfile::Builder::new().prefix("chain").tempdir_in(&args.under).context("a folder to write in")?;
    let mut rules = args.rules.clone();
    if rules.is_empty() && !args.shipped {
        rules.push(args.corpora.join("sigma/rules/rules"));
    }
    // Of the day before: lines of many years would be many partitions, which nobody receives in one minute.
    let lines = made::Lines { events: args.messages, days: 1, start: Clock::system().now().plus(-Timestamp::DAY).0 };
    let text: Vec<String> = (0..args.messages).map(|n| String::from_utf8_lossy(&lines.frame(n).payload).into_owned()).collect();
    let lines = Lines::of(&text.join("\n"), 0)?;
    let watch = Stopwatch::start();
    let server = Server::start(dir.path(), &rules)?;
    let pid = server.child.id();
    let begun = Usage::of(pid)?;
    say(&format!(
        "bereit nach {:.1} s, {:.2} CPU-s, {:.0} MiB; {}",
        watch.elapsed().as_secs_f64(),
        begun.total(),
        process::memory_mib(pid)?,
        server.rules()?
    ))?;

    let watch = Stopwatch::start();
    let plan = Plan {
        to: server.intake.parse()?,
        way: Way::Tcp(Framing::Newline),
        lines: Arc::new(lines),
        rate: args.rate,
        connections: args.connections,
        messages: args.messages,
        time: PATIENCE,
        tls: None,
    };
    let report = load::run(&plan)?;
    server.worked_in(report.tally.sent)?;
    let (seconds, used) = (watch.elapsed().as_secs_f64(), Usage::of(pid)?.since(begun));
    say("| Ereignisse | Byte im Mittel | Sekunden | CPU-s des Servers | Ereignisse je CPU-Sekunde | Speicher höchstens |")?;
    say("|---:|---:|---:|---:|---:|---:|")?;
    say(&format!(
        "| {} | {} | {seconds:.1} | {:.1} | {:.0} | {:.0} MiB |",
        report.tally.sent,
        report.tally.bytes / report.tally.sent.max(1),
        used.total(),
        report.tally.sent as f64 / used.total(),
        process::memory_peak_mib(pid)?
    ))?;
    let db = rusqlite::Connection::open_with_flags(dir.path().join("data/wartburg.db"), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let snapshot: i64 = db.query_row("SELECT coalesce(sum(length(state)), 0) FROM detect_state", [], |row| row.get(0))?;
    let alerts: i64 = db.query_row("SELECT count(*) FROM alert", [], |row| row.get(0))?;
    say(&format!("{alerts} Alarme, Stand der Regeln {} kB", snapshot / 1_000))
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write to the terminal")
}

struct Server {
    child: Child,
    intake: String,
    pages: String,
}

impl Server {
    fn start(dir: &Path, rules: &[PathBuf]) -> anyhow::Result<Self> {
        let config = dir.join("wartburg.toml");
        let rules: Vec<PathBuf> = rules.iter().map(|folder| folder.canonicalize()).collect::<Result<_, _>>()?;
        let off = ["syslog_udp", "relp", "http", "netflow_udp"].map(|name| format!("{name} = \"127.0.0.1:0\"\n")).concat();
        let text = format!("[intake]\nsyslog_tcp = \"127.0.0.1:0\"\n{off}[web]\nlisten = \"127.0.0.1:0\"\n[rules]\ndirs = {rules:?}\n");
        std::fs::write(&config, text)?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_wartburg"))
            .args(["--data".as_ref(), dir.join("data").as_os_str(), "--config".as_ref(), config.as_os_str(), "serve".as_ref()])
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start wartburg")?;
        let mut said = BufReader::new(child.stderr.take().context("its standard error")?).lines();
        let serving = said.by_ref().map_while(Result::ok).find(|line| line.contains("serving")).context("it did not begin to serve")?;
        // What else it says is read and dropped, so that its pipe never fills.
        std::thread::spawn(move || said.count());
        let address = |name: &str| {
            let behind = serving.split(name).nth(1).map(|rest| rest.trim_start_matches(|c: char| !c.is_ascii_digit()));
            let address = behind.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').next());
            address.map(str::to_owned).with_context(|| format!("no {name} in {serving}"))
        };
        Ok(Self { intake: address("syslog_tcp")?, pages: address("pages")?, child })
    }

    fn metrics(&self) -> anyhow::Result<String> {
        Ok(ureq::get(format!("http://{}/metrics", self.pages)).call()?.body_mut().read_to_string()?)
    }

    /// How many rules are in which state, as the metrics tell it.
    fn rules(&self) -> anyhow::Result<String> {
        Ok(self.metrics()?.lines().filter(|line| line.starts_with("wartburg_rules")).collect::<Vec<_>>().join(", "))
    }

    /// Waits until every consumer has worked in that many frames.
    fn worked_in(&self, frames: u64) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        loop {
            let metrics = self.metrics()?;
            let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).unwrap_or(f64::MAX);
            let stored = metrics.lines().find(|line| line.starts_with("wartburg_journal_frames_total ")).map_or(0.0, value);
            let behind = metrics.lines().filter(|line| line.starts_with("wartburg_consumer_lag_frames{")).map(value).fold(0.0, f64::max);
            if stored >= frames as f64 && behind == 0.0 {
                return Ok(());
            }
            anyhow::ensure!(watch.elapsed() < PATIENCE, "{stored} of {frames} stored, the slowest consumer is {behind} behind");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

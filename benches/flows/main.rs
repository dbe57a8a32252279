//! What storing flows costs and how fast questions are answered, beside nfcapd and nfdump over the same records in the same
//! run. Each question is a process of its own, so that its CPU seconds and its peak memory are its own.
//!
//! `cargo bench --bench flows -- [write] [compact] [ask] [intake] --records 10000000 --rounds 3`

mod asking;
mod intake;
mod peer;
mod traffic;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use ingest::flows::{FlowConsumer, FlowStore};
use ingest::frame::Seq;
use ingest::pipeline::{Batch, Consumer as _};
use ingest::time::{Stopwatch, Timestamp};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    /// Records into files of five minutes.
    Write,
    /// Those into one sorted file.
    Compact,
    /// Questions, beside nfdump.
    Ask,
    /// UDP to Parquet.
    Intake,
}

#[derive(Debug, Parser)]
#[command(name = "flows")]
struct Args {
    /// What to measure; all of it where nothing is named.
    cases: Vec<Case>,
    #[arg(long, default_value_t = 10_000_000)]
    records: usize,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Records a second that are sent over UDP.
    #[arg(long, default_value_t = 650_000)]
    rate: u64,
    /// Where to write; what is there of an earlier run is used again.
    #[arg(long, default_value = "target/flows-bench")]
    under: PathBuf,
    /// Only ours.
    #[arg(long)]
    alone: bool,
    /// Asks this instead and says what it took.
    #[arg(long, hide = true, num_args = 2)]
    one: Option<Vec<String>>,
    /// Runs another program and says what it took.
    #[arg(long, hide = true, num_args = 1.., allow_hyphen_values = true)]
    wrap: Option<Vec<String>>,
    /// Is the receiver instead.
    #[arg(long, hide = true)]
    receive: Option<PathBuf>,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    // Cargo starts a bench in its package's folder; paths are meant from the project's.
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))?;
    let args = Args::parse();
    if let Some(one) = &args.one {
        let (what, dir) = one.split_first().context("what to ask")?;
        return asking::one(what, Path::new(dir.first().context("the store")?));
    }
    if let Some(command) = &args.wrap {
        return wrap(command);
    }
    if let Some(dir) = &args.receive {
        return intake::receive(dir);
    }
    std::fs::create_dir_all(&args.under)?;
    let wanted = |case| args.cases.is_empty() || args.cases.contains(&case);
    let store = args.under.join("flows");
    if wanted(Case::Write) {
        write(&store, args.records)?;
    }
    if wanted(Case::Compact) {
        say(&format!("compact: {}", itself(&["--one", "compact"], &store)?))?;
    }
    if wanted(Case::Ask) {
        let nfdump = args.under.join("nfdump");
        if !args.alone {
            peer::record(&nfdump, args.records)?;
        }
        for what in ["source", "pairs", "address", "list"] {
            for _ in 0..args.rounds {
                say(&format!("ours   {what}: {}", itself(&["--one", what], &store)?))?;
                if !args.alone && what != "list" {
                    say(&format!("nfdump {what}: {}", peer::ask(&nfdump, what)?))?;
                }
            }
        }
    }
    if wanted(Case::Intake) {
        intake::measure(&args.under.join("intake"), args.records, args.rate)?;
    }
    Ok(())
}

pub(crate) fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write to the terminal")
}

/// CPU seconds and peak memory in MiB of this process, or of those that it waited for.
pub(crate) fn used(who: UsageWho) -> anyhow::Result<(f64, i64)> {
    let usage = getrusage(who)?;
    #[expect(clippy::cast_precision_loss, reason = "seconds, shown with two digits")]
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    // The kernel hands the maximum down to whom a large process starts: of oneself only the second figure is true.
    let mib = if who == UsageWho::RUSAGE_SELF { peak_mib()? } else { usage.max_rss() / 1024 };
    Ok((seconds(usage.user_time()) + seconds(usage.system_time()), mib))
}

/// The most memory that this process had, in MiB.
fn peak_mib() -> anyhow::Result<i64> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading what the kernel says of the process")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<i64>().context("VmHWM")? / 1024)
}

/// Runs this program again.
fn itself(args: &[&str], dir: &Path) -> anyhow::Result<Value> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args(args).arg(dir).stderr(Stdio::inherit()).output()?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("{args:?} said {:?}", String::from_utf8_lossy(&output.stdout)))
}

fn wrap(command: &[String]) -> anyhow::Result<()> {
    let (program, args) = command.split_first().context("a program")?;
    let watch = Stopwatch::start();
    let output = Command::new(program).args(args).output()?;
    let seconds = watch.elapsed().as_secs_f64();
    let (cpu, mib) = used(UsageWho::RUSAGE_CHILDREN)?;
    let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count();
    anyhow::ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    let first: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().skip(1).take(3).map(str::to_owned).collect();
    say(&json!({ "seconds": round(seconds), "cpu": round(cpu), "peak_mib": mib, "lines": lines, "begins": first }).to_string())
}

pub(crate) fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

/// Records into the store as the pipeline gives them, but for the journal: batches of about 6,000.
fn write(dir: &Path, records: usize) -> anyhow::Result<()> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    let store = FlowStore::open(dir)?;
    let mut consumer = FlowConsumer::new(store.clone());
    let (mut cpu, mut seconds, mut last) = (0.0, 0.0, Timestamp(0));
    for flows in traffic::batches(records, 6_000) {
        let (first, end) = (flows.first().context("flows")?, flows.last().context("flows")?);
        last = end.received_at;
        let batch = Batch { first: first.seq, last: end.seq, flows, ..Batch::default() };
        let (before, watch) = (used(UsageWho::RUSAGE_SELF)?.0, Stopwatch::start());
        consumer.apply(&batch).map_err(|error| anyhow::anyhow!(error))?;
        cpu += used(UsageWho::RUSAGE_SELF)?.0 - before;
        seconds += watch.elapsed().as_secs_f64();
    }
    let (before, watch) = (used(UsageWho::RUSAGE_SELF)?.0, Stopwatch::start());
    consumer.flush().map_err(|error| anyhow::anyhow!(error))?;
    cpu += used(UsageWho::RUSAGE_SELF)?.0 - before;
    seconds += watch.elapsed().as_secs_f64();
    let stats = store.stats();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (count, bytes) = (stats.records as f64, stats.bytes as f64);
    say(&format!(
        "write: {} records to {last}, {} files, {:.2} bytes a record, {:.0} records per CPU second ({:.3} µs each), {:.1} s; a record takes {} bytes in memory",
        stats.records,
        stats.files,
        bytes / count,
        count / cpu,
        cpu / count * 1e6,
        seconds,
        size_of::<ingest::flow::FlowRecord>(),
    ))?;
    anyhow::ensure!(stats.cursor > Seq(0), "nothing was written");
    Ok(())
}

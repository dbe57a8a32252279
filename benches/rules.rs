//! What rules cost: the public ones put to events, here and by rsigma in the same run, one thread, the events' log source
//! given. Both say which rules match, and what they say differently is listed.
//!
//! `cargo bench --workspace --bench rules -- --rules FOLDER --corpora FOLDER [--events N] [--rounds N]`
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a measurement prints, and fails loudly")]

#[path = "rules/events.rs"]
mod events;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Parser;
use detect::json_record::JsonRecord;
use detect::sigma::{Asking, FieldNames, RuleIndex, RuleSet, Told};
use ingest::frame::Seq;
use ingest::time::{Stopwatch, Timestamp};
use rsigma_eval::{Engine, JsonEvent};
use rsigma_parser::LogSource;
use serde_json::Value;

use events::{Kind, Source};

#[derive(Debug, Parser)]
struct Args {
    /// Where `sigma/rules` and `sigma/regression` lie.
    #[arg(long, default_value = "../shared/corpora")]
    corpora: PathBuf,
    /// Folder of rules.
    #[arg(long)]
    rules: Option<PathBuf>,
    #[arg(long, default_value_t = 20_000)]
    events: usize,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Without the peer.
    #[arg(long)]
    alone: bool,
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    let folder = args.rules.clone().unwrap_or_else(|| args.corpora.join("sigma/rules/rules"));
    let kinds = events::kinds(&args.corpora, args.events);
    let before = resident();
    let (set, errors) = cpu("lesen", || RuleSet::load(std::slice::from_ref(&folder), FieldNames::Raw));
    errors.iter().for_each(|error| println!("{error}"));
    let index = cpu("zusammenstellen", || RuleIndex::new(&set));
    println!("{} Regeln, {} MiB", set.rules().len(), (resident() - before) / 1024);
    let before = resident();
    let peer = (!args.alone).then(|| cpu("rsigma: lesen und zusammenstellen", || peer(&folder)));
    println!("rsigma: {} MiB", (resident() - before) / 1024);

    println!("| Ereignisse | Bytes | einzeln gefragte Regeln | hier/s | rsigma/s | Verhältnis | Treffer | nur hier | nur rsigma |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for kind in &kinds {
        let bytes: usize = kind.events.iter().map(|given| Value::Object(given.event.clone()).to_string().len()).sum();
        let (mut ours, mut theirs) = (Run::default(), Run::default());
        for _ in 0..args.rounds {
            ours = ours.better(own_run(&set, &index, kind));
            if let Some(peer) = &peer {
                theirs = theirs.better(peer_run(peer, kind));
            }
        }
        let rate = |run: &Run| kind.events.len() as f64 / run.seconds;
        let (only_here, only_there) = (ours.without(&theirs), theirs.without(&ours));
        println!(
            "| {} | {} | {:.1} | {:.0} | {:.0} | {:.1} | {} | {} | {} |",
            kind.name,
            bytes / kind.events.len().max(1),
            ours.candidates as f64 / kind.events.len().max(1) as f64,
            rate(&ours),
            rate(&theirs),
            theirs.seconds / ours.seconds,
            ours.matches.values().sum::<usize>(),
            only_here.values().sum::<usize>(),
            only_there.values().sum::<usize>(),
        );
        if peer.is_some() {
            for (whose, which) in [("nur hier", only_here), ("nur rsigma", only_there)] {
                which.iter().take(20).for_each(|(rule, count)| println!("    {whose}: {rule} {count} mal"));
            }
        }
    }
}

/// One way through the events: CPU seconds, and how often each rule matched.
#[derive(Default)]
struct Run {
    seconds: f64,
    /// Rules that were put to events one by one.
    candidates: usize,
    matches: BTreeMap<String, usize>,
}

impl Run {
    fn better(self, other: Self) -> Self {
        if self.seconds == 0.0 || other.seconds < self.seconds { other } else { self }
    }

    fn without(&self, other: &Self) -> BTreeMap<String, usize> {
        let more = |(rule, count): (&String, &usize)| {
            let there = other.matches.get(rule).copied().unwrap_or(0);
            (*count > there).then(|| (rule.clone(), count - there))
        };
        self.matches.iter().filter_map(more).collect()
    }
}

fn own_run(set: &RuleSet, index: &RuleIndex, kind: &Kind) -> Run {
    let records: Vec<JsonRecord> = kind.events.iter().map(|given| JsonRecord::new(&given.event, Seq(1), Timestamp(0))).collect();
    let mut told: Vec<(Source, Told)> = Vec::new();
    let sources: Vec<usize> = kind
        .events
        .iter()
        .map(|given| {
            told.iter().position(|(source, _)| *source == given.source).unwrap_or_else(|| {
                let Source { product, category, service } = &given.source;
                told.push((given.source.clone(), index.told(product.as_deref(), category.as_deref(), service.as_deref())));
                told.len() - 1
            })
        })
        .collect();
    let (mut asking, mut matched, mut counts) = (Asking::default(), Vec::new(), vec![0; set.rules().len()]);
    let mut candidates = 0;
    let watch = cpu_seconds();
    for (record, source) in records.iter().zip(&sources) {
        index.ask(record, Some(&told[*source].1), &mut asking, &mut matched);
        matched.iter().for_each(|place| counts[*place] += 1);
        candidates += RuleIndex::candidates(&asking);
    }
    let seconds = cpu_seconds() - watch;
    let matches = set.rules().iter().zip(counts).filter(|(_, count)| *count > 0).map(|(compiled, count)| (compiled.rule.id.clone(), count));
    Run { seconds, candidates, matches: matches.collect() }
}

fn peer(folder: &std::path::Path) -> Engine {
    let collection = rsigma_parser::parse_sigma_directory(folder).unwrap();
    let mut engine = Engine::new();
    engine.add_collection(&collection).unwrap();
    println!("rsigma: {} Regeln", engine.rule_count());
    engine
}

fn peer_run(engine: &Engine, kind: &Kind) -> Run {
    let values: Vec<Value> = kind.events.iter().map(|given| Value::Object(given.event.clone())).collect();
    let sources: Vec<LogSource> = kind
        .events
        .iter()
        .map(|given| {
            let Source { product, category, service } = given.source.clone();
            LogSource { product, category, service, ..LogSource::default() }
        })
        .collect();
    let mut matches: BTreeMap<String, usize> = BTreeMap::new();
    let watch = cpu_seconds();
    for (value, source) in values.iter().zip(&sources) {
        for found in engine.evaluate_pruned(&JsonEvent::borrow(value), source) {
            *matches.entry(found.header.rule_id.unwrap_or_default()).or_default() += 1;
        }
    }
    Run { seconds: cpu_seconds() - watch, candidates: 0, matches }
}

fn cpu<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let (before, watch) = (cpu_seconds(), Stopwatch::start());
    let made = run();
    println!("{what}: {:.2} CPU-s, {:.2} s", cpu_seconds() - before, watch.elapsed().as_secs_f64());
    made
}

/// What this thread has had of a core: the kernel counts it to the nanosecond.
fn cpu_seconds() -> f64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    spent.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// KiB that the process holds.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

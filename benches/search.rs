//! What the event store costs and how fast it answers, as a whole: lines → journal → decoder → store, in one process, then
//! the questions of an analyst's day over all of it. With `--peer FILE` the same events are written as Parquet, and
//! `benches/search_peer.py` asks chDB (ClickHouse) the same.
//!
//! `cargo bench --workspace --bench search -- --events 10000000 --days 90`; the tables stand in `docs/messungen/suche.md`, and
//! `--docs docs/messungen/suche.md` writes them there.

#[path = "search/chart.rs"]
mod chart;
#[path = "search/lines.rs"]
mod lines;
#[path = "search/peer.rs"]
mod peer;
#[path = "receiver/process.rs"]
#[allow(dead_code, unreachable_pub, reason = "a module of two programs, each of which uses a part")]
mod process;
#[path = "search/report.rs"]
mod report;
#[path = "search/space.rs"]
mod space;
#[path = "search/sustained.rs"]
mod sustained;

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use ingest::body::SiteTable;
use ingest::decode::{Options, decode};
use ingest::events::{EventConsumer, EventStore, SearchRequest};
use ingest::frame::{Frame, Seq};
use ingest::journal::Journal;
use ingest::pipeline::{Batch, Decode, Pipeline};
use ingest::query::Query;
use ingest::scope::Scope;
use ingest::time::{Clock, Stopwatch, Timestamp};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::json;

use lines::{Lines, RARE_ADDRESS, START};
use process::Usage;
use report::{number, say, table};

/// Query and, for the peer, its SQL, by a tab.
const QUESTIONS: &str = include_str!("search/questions.tsv");
/// The kind that counts no most frequent values.
const NO_TOPS: &str = "Zwei Wörter, ohne häufigste Werte";
/// Frames appended at once.
const APPENDED: u64 = 2_000;

#[derive(Debug, Parser)]
#[command(name = "search")]
struct Args {
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Days over which they are spread: so many partitions.
    #[arg(long, default_value_t = 90)]
    days: u64,
    /// How often each question is asked.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Keeps journal and store here; where they are already there, only asks.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Where the same events are written for the peer.
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Where what was counted for each question is written, as JSON.
    #[arg(long)]
    counts: Option<PathBuf>,
    /// Afterwards, for so many seconds at each `--rate`: five search while events come.
    #[arg(long, default_value_t = 0)]
    sustained: u64,
    #[arg(long, value_delimiter = ',', default_value = "4000")]
    rate: Vec<u64>,
    /// After that at ever higher rates, so many seconds each, until one does not hold.
    #[arg(long, default_value_t = 0)]
    ramp: u64,
    /// Where each sustained run's figures and chart are put.
    #[arg(long)]
    charts: Option<PathBuf>,
    /// Puts the tables in their places in this document.
    #[arg(long)]
    docs: Option<PathBuf>,
    /// Asks no questions: only what comes before and after them.
    #[arg(long)]
    quiet: bool,
    /// Shows which file and which field takes how much.
    #[arg(long)]
    space: bool,
    /// Seals all days before anything is asked, as the upkeep does two days later.
    #[arg(long)]
    seal: bool,
    /// Asks only what has this in its name.
    #[arg(long)]
    only: Option<String>,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    // Cargo starts a bench in its package's folder; paths are meant from the project's.
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))?;
    let args = Args::parse();
    std::fs::create_dir_all("target")?;
    let temporary = tempfile::Builder::new().prefix("search").tempdir_in("target").context("a folder to write in")?;
    let dir = args.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    let bench = Bench { lines: Lines { events: args.events, days: args.days, start: START }, sites: Arc::new(lines::sites()), dir, args };
    let is_there = bench.dir.join("events/cursor").exists();
    if !is_there {
        table("indizieren", FIGURES)?;
        bench.journal()?;
        bench.index()?;
    }
    table("speicher", FIGURES)?;
    let watch = Stopwatch::start();
    let store = bench.open()?;
    let stats = store.stats();
    say(&format!("| Öffnen ({} Partitionen) | {:.0} ms |", stats.partitions, millis(watch)))?;
    say(&format!("| Byte je Ereignis ({} Ereignisse) | {} |", number(stats.documents as f64, 0), number(each(&store), 1)))?;
    if bench.args.seal {
        bench.seal(&store)?;
    }
    if bench.args.space {
        table("platz", "| Byte je Ereignis | |\n|---|---:|")?;
        space::Space::of(&bench.dir.join("events"))?.rows().iter().try_for_each(|row| say(row))?;
    }
    if !bench.args.quiet {
        bench.ask(&store)?;
        if let Some(path) = &bench.args.counts {
            bench.count(&store, path)?;
        }
        bench.bad(&store)?;
    }
    sustained::sustained(&bench, &store, bench.args.sustained, &bench.args.rate, bench.args.ramp)?;
    bench.args.docs.as_deref().map_or(Ok(()), report::write)
}

const FIGURES: &str = "| | gemessen |\n|---|---:|";

fn each(store: &EventStore) -> f64 {
    let stats = store.stats();
    stats.bytes as f64 / stats.documents.max(1) as f64
}

fn millis(watch: Stopwatch) -> f64 {
    watch.elapsed().as_secs_f64() * 1e3
}

/// What this thread has used: what a search costs, whoever else computes.
fn thread_millis() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let (user, system) = (usage.user_time(), usage.system_time());
    Ok((user.tv_sec() + system.tv_sec()) as f64 * 1e3 + (user.tv_usec() + system.tv_usec()) as f64 / 1e3)
}

fn at(times: &mut [f64], percent: usize) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times.get((times.len() - 1) * percent / 100).copied().unwrap_or_default()
}

/// The peak of the memory of this process from now on.
fn forget_peak() {
    // Where the kernel does not let us, the peak is that of the whole run.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn peak_mib() -> anyhow::Result<f64> {
    process::memory_peak_mib(std::process::id())
}

/// Lines only, without what a node does beside: sources, leases, pairs.
struct Plain(Options);

impl Decode for Plain {
    fn decode(&mut self, frames: Vec<Frame>, sites: Arc<SiteTable>) -> Batch {
        let seq = |frame: Option<&Frame>| frame.map_or(Seq(0), |frame| frame.seq);
        let (first, last) = (seq(frames.first()), seq(frames.last()));
        let events = frames.iter().filter_map(|frame| decode(frame, &self.0)).collect();
        Batch { first, last, events, flows: vec![], frames, sites }
    }
}

fn options() -> Options {
    Options::in_zone(chrono_tz::UTC)
}

struct Bench {
    args: Args,
    lines: Lines,
    sites: Arc<SiteTable>,
    dir: PathBuf,
}

impl Bench {
    fn open(&self) -> anyhow::Result<Arc<EventStore>> {
        let options = options();
        Ok(EventStore::open(&self.dir.join("events"), move |frame, _| decode(frame, &options))?)
    }

    fn open_journal(&self) -> anyhow::Result<Journal> {
        Ok(Journal::open(&self.dir.join("journal"), &self.dir.join("quarantine"), self.lines.span().1)?.0)
    }

    /// All lines into the journal, and decoded for the peer; none of it in the figures.
    fn journal(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        let mut journal = self.open_journal()?;
        let (writer, watch, mut bytes) = (journal.writer(), Stopwatch::start(), 0usize);
        let mut peer = self.args.peer.as_deref().map(peer::Peer::create).transpose()?;
        let options = options();
        let mut n = 0;
        while n < self.lines.events {
            let end = (n + APPENDED).min(self.lines.events);
            let frames: Vec<_> = (n..end).map(|n| self.lines.frame(n)).collect();
            bytes += frames.iter().map(|frame| frame.payload.len()).sum::<usize>();
            if let Some(peer) = &mut peer {
                for frame in &frames {
                    let frame = Frame { seq: Seq(0), frame: frame.clone() };
                    peer.add(&decode(&frame, &options).context("a line without an event")?, &self.sites)?;
                }
            }
            writer.append_blocking(frames).map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
            n = end;
        }
        journal.close();
        peer.map(peer::Peer::close).transpose()?;
        let mean = bytes as f64 / self.lines.events as f64;
        say(&format!("| Zeilen über {} Tage, im Mittel Byte | {}, {mean:.0} |", self.lines.days, self.lines.events))?;
        say(&format!("| Erzeugen und ins Journal | {:.0} s |", watch.elapsed().as_secs_f64()))
    }

    fn index(&self) -> anyhow::Result<()> {
        let mut journal = self.open_journal()?;
        let store = self.open()?;
        forget_peak();
        let (cpu, watch) = (Usage::of(std::process::id())?, Stopwatch::start());
        let consumer = EventConsumer::new(store.clone())?;
        let sites = Arc::new(RwLock::new(self.sites.clone()));
        let mut pipeline = Pipeline::start(&journal, Box::new(Plain(options())), vec![Box::new(consumer)], sites, &Clock::system())?;
        anyhow::ensure!(pipeline.wait_applied(journal.last(), Duration::from_secs(24 * 3_600)), "the store does not take it all");
        pipeline.stop();
        let (cpu, seconds) = (Usage::of(std::process::id())?.since(cpu).total(), watch.elapsed().as_secs_f64());
        journal.close();
        let events = self.lines.events as f64;
        say(&format!("| Ereignisse je CPU-Sekunde, mit Decodieren | {} |", number(events / cpu, 0)))?;
        say(&format!("| Ereignisse je Sekunde | {} |", number(events / seconds, 0)))?;
        say(&format!("| Speicher dabei höchstens | {} MiB |", number(peak_mib()?, 0)))
    }

    /// Every day as the upkeep leaves it.
    fn seal(&self, store: &Arc<EventStore>) -> anyhow::Result<()> {
        forget_peak();
        let (cpu, watch) = (Usage::of(std::process::id())?, Stopwatch::start());
        // The consumer opens what a crash left, and so may write.
        drop(EventConsumer::new(store.clone())?);
        let now = self.lines.span().1.plus(10 * Timestamp::DAY);
        let mut sealed = 0;
        for name in store.seal_due(now, 2) {
            sealed += u32::from(store.seal(&name, now, &|| false).map_err(|error| anyhow::anyhow!("{name}: {error}"))?);
        }
        let (cpu, stats) = (Usage::of(std::process::id())?.since(cpu).total(), store.stats());
        say(&format!("| {sealed} Tage versiegeln: Ereignisse je CPU-Sekunde | {} |", number(stats.documents as f64 / cpu, 0)))?;
        say(&format!("| Dauer, Speicher dabei höchstens | {:.0} s, {} MiB |", watch.elapsed().as_secs_f64(), number(peak_mib()?, 0)))?;
        say(&format!("| Byte je Ereignis, versiegelt | {} |", number(each(store), 1)))
    }

    fn request(&self, query: &str) -> anyhow::Result<SearchRequest> {
        let query = Query::parse_fixed(query).map_err(|error| anyhow::anyhow!("{query}: {error}"))?;
        let mut request = SearchRequest::new(query, Scope::All, self.sites.clone());
        let (from, to) = self.lines.span();
        (request.from, request.to, request.limit) = (Some(from), Some(to), 50);
        request.time_max = Duration::from_secs(120);
        Ok(request)
    }

    /// The questions, each `rounds` times; several spellings of one kind take turns.
    fn ask(&self, store: &EventStore) -> anyhow::Result<()> {
        let rare = format!("source.ip:{RARE_ADDRESS} OR destination.ip:{RARE_ADDRESS}");
        let days = self.lines.days;
        const WORDS: &[&str] =
            &["failed admin", "failed oracle", "deny outside", "anna weber", "sudo nginx", "apache2 404", "accepted publickey"];
        let kinds: [(&str, &[&str]); 10] = [
            (NO_TOPS, WORDS),
            ("Zwei Wörter", WORDS),
            ("Alles, häufigste Werte von sechs Feldern", &["*"]),
            ("source.ip, selten", &["source.ip:203.0.113.77", &rare]),
            ("source.ip, häufig", &["source.ip:45.2.1.1", "source.ip:91.2.1.2"]),
            ("CIDR", &["source.ip:10.100.7.0/24", "source.ip:185.0.0.0/8"]),
            ("Wendung", &["\"failed password\"", "\"logon type 3\"", "\"invalid user admin\""]),
            ("Platzhalter", &["fail*", "mail12?", "*login*"]),
            ("Feld mit Platzhalter", &["user.name:anna.*", "host.name:web-0?7", "event.action:log*"]),
            ("Spalte", &["destination.port:3389", "event.outcome:failure AND NOT sshd"]),
        ];
        table(
            "fragen",
            &format!(
                "| Frage über {days} Tage, {} Ereignisse, neueste 50 mit Summe, Verlauf und häufigsten Werten | Treffer | p50 | p95 | CPU p50 | CPU p95 | Speicher höchstens |\n|---|---:|---:|---:|---:|---:|---:|",
                number(self.lines.events as f64, 0)
            ),
        )?;
        for (name, queries) in kinds {
            if self.args.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
                continue;
            }
            let mut requests: Vec<SearchRequest> = queries.iter().map(|query| self.request(query)).collect::<anyhow::Result<_>>()?;
            requests.iter_mut().for_each(|request| request.tops = name != NO_TOPS);
            let (mut times, mut cpu, mut total, mut partial) = (Vec::new(), Vec::new(), 0, false);
            forget_peak();
            for round in 0..self.args.rounds.max(1) * requests.len() {
                let Some(request) = requests.get(round % requests.len()) else { continue };
                let (watch, used) = (Stopwatch::start(), thread_millis()?);
                let found = store.search(request)?;
                times.push(millis(watch));
                cpu.push(thread_millis()? - used);
                partial |= found.partial;
                total = total.max(found.total);
            }
            let mark = if partial { " (teilweise)" } else { "" };
            let [p50, p95] = [50, 95].map(|percent| number(at(&mut times, percent), 1));
            let [c50, c95] = [50, 95].map(|percent| number(at(&mut cpu, percent), 1));
            let total = number(total as f64, 0);
            say(&format!("| {name} | {total}{mark} | {p50} ms | {p95} ms | {c50} ms | {c95} ms | {:.0} MiB |", peak_mib()?))?;
        }
        Ok(())
    }

    /// What each of the fixed questions counts, for the comparison with the peer.
    fn count(&self, store: &EventStore, path: &Path) -> anyhow::Result<()> {
        let mut all = Vec::new();
        for row in QUESTIONS.lines().filter(|row| !row.starts_with('#')) {
            let (query, sql) = row.split_once('\t').context("a question without its SQL")?;
            let watch = Stopwatch::start();
            let found = store.search(&self.request(query)?)?;
            all.push(json!({ "query": query, "sql": sql, "total": found.total, "partial": found.partial, "millis": millis(watch) }));
        }
        std::fs::write(path, serde_json::to_string_pretty(&all)?)?;
        Ok(())
    }

    /// Hostile questions: an answer or a refusal, and what either took.
    fn bad(&self, store: &EventStore) -> anyhow::Result<()> {
        let many = (0..10_000).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" OR ");
        let some = (0..256).map(|n| format!("*{n}*")).take(30).collect::<Vec<_>>().join(" OR ");
        let cases = [
            ("1 MB Anfrage", "a ".repeat(500_000)),
            ("ein Wort von 1 MB", "a".repeat(1_000_000)),
            ("10.000 OR", many),
            ("256 OR", (0..256).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" OR ")),
            ("`*a*b*c*`", "*a*b*c*".into()),
            ("30 × `*n*` mit OR", some),
            ("`user.name:*a*b*c*`", "user.name:*a*b*c*".into()),
            ("umgekehrter Bereich", "destination.port:[9 TO 1]".into()),
            ("unbekanntes Feld", "gibt.es.nicht:1".into()),
            ("Wendung in jeder Zeile", "\"1 1\" OR \"0 0\" OR \"2026 08\"".into()),
            ("NOT über allem", "NOT \"failed password\"".into()),
        ];
        table("feindlich", "| Frage, höchstens 2 s | Antwort | Dauer | Speicher mehr |\n|---|---|---:|---:|")?;
        let ranges = [(None, None), (Some(Timestamp(0)), Some(Timestamp(1_000))), (Some(Timestamp(4_291_747_200_000)), None)];
        let names = ["", " 1970", " 2106"];
        for (name, query) in &cases {
            self.bad_one(store, name, query, (None, None))?;
        }
        for (range, name) in ranges.into_iter().zip(names).skip(1) {
            self.bad_one(store, name, "failed", range)?;
        }
        Ok(())
    }

    fn bad_one(&self, store: &EventStore, name: &str, query: &str, range: (Option<Timestamp>, Option<Timestamp>)) -> anyhow::Result<()> {
        forget_peak();
        let before = process::memory_mib(std::process::id())?;
        let watch = Stopwatch::start();
        let answer = match self.request(query) {
            Err(error) => error.to_string().chars().rev().take(70).collect::<Vec<_>>().into_iter().rev().collect(),
            Ok(mut request) => {
                (request.from, request.to) = range;
                request.time_max = Duration::from_secs(2);
                match store.search(&request) {
                    Ok(found) if found.partial => format!("teilweise, {} Treffer", found.total),
                    Ok(found) => format!("{} Treffer", found.total),
                    Err(error) => error.to_string(),
                }
            }
        };
        let took = millis(watch);
        say(&format!("| {name} | {answer} | {took:.0} ms | {:.0} MiB |", peak_mib()? - before))
    }
}

//! The sustained run: events come at a rate while five people search, and every few seconds it is written down how late a
//! line is found, how long searches take, what the process uses and what others use of the machine. As CSV, as a chart
//! beside the document, and as a table.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use ingest::events::{EventConsumer, EventStore, SearchRequest};
use ingest::frame::Seq;
use ingest::pipeline::Pipeline;
use ingest::time::{Clock, Stopwatch};

use super::lines::Lines;
use super::process::{self, Usage};
use super::report::{number, say, table};
use super::{Bench, Plain, at, forget_peak, millis, options, peak_mib};

/// Each looked for by one person, over all days, with total, histogram and top values.
const ASKED: [&str; 5] = ["failed admin", "source.ip:203.0.113.77", "\"failed password\"", "user.name:anna.*", "deny outside"];
/// How long somebody reads before asking again.
const READING: Duration = Duration::from_secs(1);
/// So often it is measured how late a line is found.
const PROBES: Duration = Duration::from_millis(250);
/// Rows of the CSV that a run has at most: a chart has no more room.
const ROWS_MAX: u64 = 360;
/// Later than this a line must not be found, or the rate does not hold.
const LATE_MAX: f64 = 2_000.0;
/// From one step of the ramp to the next.
const STEEPER: f64 = 1.25;
/// The ramp ends here, whatever still holds.
const RATE_MAX: u64 = 200_000;

/// A stretch of the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) seconds: f64,
    pub(crate) rate: f64,
    /// Of all processors, in percent.
    pub(crate) own: f64,
    pub(crate) others: f64,
    pub(crate) late: [f64; 3],
    pub(crate) search: [f64; 3],
    pub(crate) memory: f64,
    pub(crate) mapped: f64,
}

/// What was measured of a whole run.
pub(crate) struct Run {
    pub(crate) rate: u64,
    pub(crate) rows: Vec<Row>,
    seconds: f64,
    events: u64,
    own: f64,
    others: f64,
    late: [f64; 3],
    search: [f64; 3],
    asked: u64,
    partial: u64,
    peak: f64,
}

impl Run {
    fn holds(&self) -> bool {
        self.late[1] <= LATE_MAX && self.events as f64 >= 0.98 * self.rate as f64 * self.seconds
    }

    fn row(&self) -> String {
        let [p50, p99, max] = self.late.map(|millis| number(millis, 0));
        let [s50, s95, _] = self.search.map(|millis| number(millis, 0));
        format!(
            "| {} | {} s | {} % | {} % | {p50} / {p99} / {max} ms | {s50} / {s95} ms | {} ({} teilweise) | {} MiB | {} |",
            number(self.events as f64 / self.seconds, 0),
            number(self.seconds, 0),
            number(self.own, 0),
            number(self.others, 0),
            number(self.asked as f64, 0),
            self.partial,
            number(self.peak, 0),
            if self.holds() { "ja" } else { "nein" }
        )
    }

    fn csv(&self) -> String {
        let mut text = "seconds,events_per_s,cpu_own_percent,cpu_others_percent,late_p50_ms,late_p99_ms,late_max_ms,search_p50_ms,search_p95_ms,search_max_ms,memory_mib,mapped_mib\n".to_owned();
        for row in &self.rows {
            let [a, b, c] = row.late;
            let [d, e, f] = row.search;
            text += &format!(
                "{:.0},{:.0},{:.1},{:.1},{a:.1},{b:.1},{c:.1},{d:.1},{e:.1},{f:.1},{:.0},{:.0}\n",
                row.seconds, row.rate, row.own, row.others, row.memory, row.mapped
            );
        }
        text
    }
}

const HEAD: &str = "| Ereignisse/s | Dauer | eigene CPU | andere | durchsuchbar nach p50 / p99 / max | Suche p50 / p95 | Suchen | Speicher höchstens | hält |\n|---:|---:|---:|---:|---:|---:|---:|---:|---|";

/// One run at each of the rates, and with `ramp` seconds as many at ever higher ones until one does not hold.
pub(crate) fn sustained(bench: &Bench, store: &Arc<EventStore>, seconds: u64, rates: &[u64], ramp: u64) -> anyhow::Result<()> {
    let mut clock = Today { start: bench.lines.span().1.0 };
    if seconds > 0 {
        table("dauerlauf", HEAD)?;
        for rate in rates {
            let run = one(bench, store, &mut clock, *rate, seconds)?;
            say(&run.row())?;
            if let Some(folder) = &bench.args.charts {
                let name = folder.join(format!("dauerlauf-{rate}"));
                std::fs::write(name.with_extension("csv"), run.csv())?;
                std::fs::write(name.with_extension("svg"), super::chart::draw(&run))?;
            }
        }
    }
    if ramp > 0 {
        table("rampe", HEAD)?;
        let mut rate = rates.first().copied().unwrap_or(4_000);
        while rate <= RATE_MAX {
            let run = one(bench, store, &mut clock, rate, ramp)?;
            say(&run.row())?;
            if !run.holds() {
                break;
            }
            rate = (rate as f64 * STEEPER) as u64;
        }
    }
    Ok(())
}

/// The time of the lines goes on behind the days that are there, as fast as the clock.
struct Today {
    start: i64,
}

impl Today {
    fn lines(&mut self, rate: u64, seconds: u64) -> Lines {
        let lines = Lines { events: rate * 86_400, days: 1, start: self.start };
        self.start += seconds as i64 * 1_000;
        lines
    }
}

/// How long each took since it was last asked, and of the whole run.
#[derive(Default)]
struct Times {
    now: Mutex<Vec<f64>>,
    all: Mutex<Vec<f64>>,
}

impl Times {
    fn push(&self, millis: f64) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).push(millis);
    }

    fn take(&self, percents: [usize; 3]) -> [f64; 3] {
        let mut now = std::mem::take(&mut *self.now.lock().unwrap_or_else(PoisonError::into_inner));
        self.all.lock().unwrap_or_else(PoisonError::into_inner).extend(&now);
        percents.map(|percent| at(&mut now, percent))
    }

    fn whole(&self, percents: [usize; 3]) -> [f64; 3] {
        self.take(percents);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        percents.map(|percent| at(&mut all, percent))
    }
}

const LATE: [usize; 3] = [50, 99, 100];
const SEARCH: [usize; 3] = [50, 95, 100];

fn one(bench: &Bench, store: &Arc<EventStore>, today: &mut Today, rate: u64, seconds: u64) -> anyhow::Result<Run> {
    let lines = today.lines(rate, seconds);
    let mut journal = bench.open_journal()?;
    let consumer = EventConsumer::new(store.clone())?;
    let sites = Arc::new(RwLock::new(bench.sites.clone()));
    let mut pipeline = Pipeline::start(&journal, Box::new(Plain(options())), vec![Box::new(consumer)], sites, &Clock::system())?;
    forget_peak();
    let (cpu, machine, watch) = (Usage::of(std::process::id())?, machine()?, Stopwatch::start());
    let (late, search, stop, asked, partial) =
        (Times::default(), Times::default(), AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let requests: Vec<SearchRequest> = ASKED.iter().map(|query| everything(bench, query)).collect::<anyhow::Result<_>>()?;
    let (mut rows, mut n) = (Vec::new(), 0u64);
    let (probe, probed) = channel::<(Seq, Stopwatch)>();
    let writer = journal.writer();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        for request in requests {
            let (stop, asked, partial, store, search) = (&stop, &asked, &partial, &store, &search);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let since = Stopwatch::start();
                    let found = store.search(&request);
                    search.push(millis(since));
                    asked.fetch_add(1, Ordering::Relaxed);
                    partial.fetch_add(u64::from(found.is_ok_and(|found| found.partial)), Ordering::Relaxed);
                    std::thread::sleep(READING);
                }
            });
        }
        let (pipeline, late) = (&pipeline, &late);
        scope.spawn(move || measure_late(pipeline, &probed, late));
        let every = (seconds / ROWS_MAX).max(5);
        let (mut told, mut row_since, mut before) = (Stopwatch::start(), Stopwatch::start(), (n, cpu, machine));
        let result = (|| -> anyhow::Result<()> {
            while watch.elapsed().as_secs() < seconds {
                let due = (watch.elapsed().as_secs_f64() * rate as f64) as u64;
                if due < n + rate / 20 {
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                }
                // No more at once than a receiver appends, where the rate was not kept.
                let due = due.min(n + rate / 2);
                let frames: Vec<_> = (n..due).map(|n| lines.frame(n)).collect();
                let came = Stopwatch::start();
                n = due;
                let last = *writer.append_blocking(frames).map_err(|refused| anyhow::anyhow!("{refused:?}"))?.end();
                if told.elapsed() >= PROBES {
                    told = Stopwatch::start();
                    let _ = probe.send((Seq(last), came));
                }
                if row_since.elapsed().as_secs() >= every {
                    let now = (n, Usage::of(std::process::id())?, super::sustained::machine()?);
                    let took = row_since.elapsed().as_secs_f64();
                    row_since = Stopwatch::start();
                    let (own, others) = shares(before.1, before.2, now.1, now.2);
                    rows.push(Row {
                        seconds: watch.elapsed().as_secs_f64(),
                        rate: (now.0 - before.0) as f64 / took,
                        own,
                        others,
                        late: late.take(LATE),
                        search: search.take(SEARCH),
                        memory: memory_anonymous_mib()?,
                        mapped: process::memory_mib(std::process::id())?,
                    });
                    before = now;
                }
            }
            Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        drop(probe);
        result
    })?;
    let now = (Usage::of(std::process::id())?, super::sustained::machine()?);
    let (own, others) = shares(cpu, machine, now.0, now.1);
    let run = Run {
        rate,
        rows,
        seconds: watch.elapsed().as_secs_f64().min(seconds as f64 + 1.0),
        events: n,
        own,
        others,
        late: late.whole(LATE),
        search: search.whole(SEARCH),
        asked: asked.load(Ordering::Relaxed),
        partial: partial.load(Ordering::Relaxed),
        peak: peak_mib()?,
    };
    pipeline.stop();
    journal.close();
    Ok(run)
}

/// From the moment at which lines are handed to the journal until a search sees them.
fn measure_late(pipeline: &Pipeline, probed: &Receiver<(Seq, Stopwatch)>, late: &Times) {
    for (seq, came) in probed {
        pipeline.wait_applied(seq, Duration::from_secs(60));
        late.push(millis(came));
    }
}

fn everything(bench: &Bench, query: &str) -> anyhow::Result<SearchRequest> {
    let mut request = bench.request(query)?;
    (request.from, request.to, request.time_max) = (None, None, Duration::from_secs(10));
    Ok(request)
}

/// What this process holds without the files that are mapped into it, in MiB.
fn memory_anonymous_mib() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let row = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).and_then(|rest| rest.split_ascii_whitespace().next());
    Ok(row.context("RssAnon in /proc/self/status")?.parse::<f64>()? / 1024.0)
}

/// Ticks of all processors together: idle, and all.
fn machine() -> anyhow::Result<(f64, f64)> {
    let text = std::fs::read_to_string(Path::new("/proc/stat")).context("read /proc/stat")?;
    let first = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = first.split_ascii_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
    let idle = ticks.get(3).copied().unwrap_or_default() + ticks.get(4).copied().unwrap_or_default();
    Ok((idle, ticks.iter().sum()))
}

/// This process's and the others' share of the machine in percent, between two moments.
fn shares(used: Usage, machine: (f64, f64), used_now: Usage, machine_now: (f64, f64)) -> (f64, f64) {
    let all = (machine_now.1 - machine.1).max(1.0);
    let own = 100.0 * used_now.since(used).total() * process::TICKS_PER_SECOND / all;
    let busy = 100.0 * (1.0 - (machine_now.0 - machine.0) / all);
    (own, (busy - own).max(0.0))
}

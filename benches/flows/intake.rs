//! From the datagram to the Parquet file, as `serve` has it: listener, journal with fsync, decoder, flow store, in a process
//! of its own on loopback beside the sender.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use ingest::body::SiteTable;
use ingest::flow::FlowDecoder;
use ingest::flows::{FlowConsumer, FlowStore};
use ingest::frame::{Frame, Seq};
use ingest::journal::Journal;
use ingest::listen::{self, CancellationToken, Counters, ListenConfig, Listener};
use ingest::pipeline::{Batch, Decode, Pipeline};
use ingest::time::{Clock, Stopwatch};
use nix::sys::resource::UsageWho;
use serde_json::{Value, json};

use super::{peer, say, used};

pub(crate) fn measure(dir: &Path, records: usize, rate: u64) -> anyhow::Result<()> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    std::fs::create_dir_all(dir)?;
    let mut child =
        Command::new(std::env::current_exe()?).arg("--receive").arg(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut ask = child.stdin.take().context("its input")?;
    let mut answers = BufReader::new(child.stdout.take().context("its output")?).lines();
    let mut answer = || -> anyhow::Result<Value> { Ok(serde_json::from_str(&answers.next().context("an answer")??)?) };
    let address: SocketAddr = answer()?.get("address").and_then(Value::as_str).context("its address")?.parse()?;
    let watch = Stopwatch::start();
    let sent = peer::send(address, records, rate)?;
    say(&format!("intake: {sent} records sent at {rate} a second, {:.1} s with making them", watch.elapsed().as_secs_f64()))?;
    std::thread::sleep(Duration::from_secs(2));
    drop(ask.write_all(b"\n"));
    drop(ask);
    say(&format!("intake: {}", answer()?))?;
    child.wait()?;
    Ok(())
}

struct Flows(FlowDecoder);

impl Decode for Flows {
    fn decode(&mut self, frames: Vec<Frame>, sites: Arc<SiteTable>) -> Batch {
        let at = |frame: Option<&Frame>| frame.map_or(Seq(0), |frame| frame.seq);
        let mut batch = Batch { first: at(frames.first()), last: at(frames.last()), sites, ..Batch::default() };
        for frame in &frames {
            self.0.decode(frame, &mut batch.flows);
        }
        batch.frames = frames;
        batch
    }
}

/// The receiver. At the end of its input it finishes what has come and says what that took.
pub(crate) fn receive(dir: &Path) -> anyhow::Result<()> {
    let mut config = ListenConfig { udp_receive_buffer_bytes: listen::UDP_RECEIVE_BUFFER_BYTES, ..ListenConfig::default() };
    config.addresses[Listener::NetflowUdp] = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let clock = Clock::system();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let bound = runtime.block_on(listen::bind(&config))?;
    let address = bound.addresses()[Listener::NetflowUdp].context("no flow port")?;
    let (mut journal, _) = Journal::open(&dir.join("journal"), &dir.join("quarantine"), clock.now())?;
    let (counters, shutdown) = (Arc::new(Counters::default()), CancellationToken::new());
    let sites = Arc::new(RwLock::new(Arc::new(SiteTable::default())));
    let store = FlowStore::open(&dir.join("flows"))?;
    let consumers: Vec<Box<dyn ingest::pipeline::Consumer>> = vec![Box::new(FlowConsumer::new(store.clone()))];
    let mut pipeline = Pipeline::start(&journal, Box::new(Flows(FlowDecoder::default())), consumers, sites.clone(), &clock)?;
    let listening = runtime.spawn(bound.run(journal.writer(), sites, Arc::clone(&counters), clock, shutdown.clone()));
    say(&json!({ "address": address.to_string() }).to_string())?;
    let _ = std::io::stdin().lines().next();
    shutdown.cancel();
    runtime.block_on(listening)?;
    pipeline.wait_applied(journal.last(), Duration::from_secs(60));
    journal.close();
    pipeline.stop();
    let rows = counters.snapshot();
    let (received, stored): (u64, u64) = (rows.iter().map(|row| row.received).sum(), rows.iter().map(|row| row.stored).sum());
    let dropped: u64 = rows.iter().map(|row| row.dropped.iter().map(|(_, count)| count).sum::<u64>()).sum();
    let stats = store.stats();
    let (cpu, mib) = used(UsageWho::RUSAGE_SELF)?;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let each = cpu / stats.records.max(1) as f64 * 1e6;
    say(&json!({
        "datagrams": received, "stored": stored, "dropped": dropped, "records": stats.records, "cpu": super::round(cpu),
        "cpu_us_per_record": super::round(each), "peak_mib": mib, "parquet_bytes": stats.bytes,
    })
    .to_string())
}

//! One question of ours in a process of its own.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use ingest::body::SiteTable;
use ingest::flows::FlowStore;
use ingest::flows::ask::FlowQuestion;
use ingest::query::Pipeline;
use ingest::scope::Scope;
use ingest::time::{Stopwatch, Timestamp};
use nix::sys::resource::UsageWho;
use serde_json::json;

use super::{round, say, used};

/// A question is asked to its end, however long that takes on a loaded machine.
const TIME_MAX: Duration = Duration::from_secs(600);
/// A client of a middling site.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 40, 2, 77);

/// What is asked as `wartburg flows` asks it; a list's first hundred flows where it has no pipe.
fn question(what: &str) -> Option<String> {
    let address = format!("(source.ip:{ADDRESS} OR destination.ip:{ADDRESS})");
    Some(match what {
        "source" => "* | top 10 source.ip by bytes".to_owned(),
        "pairs" => "* | stats sum(network.bytes) by source.ip, destination.ip | sort -sum(network.bytes) | head 10".to_owned(),
        "address" => format!("{address} | stats sum(network.bytes), count"),
        "list" => address,
        _ => return None,
    })
}

pub(crate) fn one(what: &str, dir: &Path) -> anyhow::Result<()> {
    let store = FlowStore::open(dir)?;
    let (opened_cpu, _) = used(UsageWho::RUSAGE_SELF)?;
    let watch = Stopwatch::start();
    let sites = SiteTable::default();
    let found = match (what, question(what)) {
        (_, Some(text)) => {
            let pipeline = Pipeline::parse(&text, Timestamp(0))?;
            let mut question = FlowQuestion::new(&pipeline.query, &Scope::All, &sites);
            question.time_max = TIME_MAX;
            if pipeline.is_table() {
                let found = store.ask(&question, &pipeline)?;
                anyhow::ensure!(!found.partial, "not all was counted");
                let first = found.table.rows.first().context("a row")?;
                let first: Vec<_> = first.iter().map(|value| value.text()).collect();
                format!("{} flows, {} records read, first row: {}", found.total.flows, found.records_read, first.join(" "))
            } else {
                let page = store.page(&question, None, 100)?;
                format!("{} flows, {} records read", page.flows.len(), page.records_read)
            }
        }
        ("compact", None) => {
            let mut done = Vec::new();
            while let Some(compacted) = store.compact_next(Timestamp(i64::MAX / 2), &|| false)? {
                done.push(format!("{compacted:?}"));
            }
            done.join("; ")
        }
        (other, None) => anyhow::bail!("{other} is no question"),
    };
    let seconds = watch.elapsed().as_secs_f64();
    let (cpu, mib) = used(UsageWho::RUSAGE_SELF)?;
    say(&json!({ "seconds": round(seconds), "cpu": round(cpu - opened_cpu), "peak_mib": mib, "found": found }).to_string())
}

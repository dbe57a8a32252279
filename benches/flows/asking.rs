//! One question of ours in a process of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::Context as _;
use ingest::body::SiteTable;
use ingest::flows::column::{Column, ColumnSet, address_octets};
use ingest::flows::{Chunk, End, FILTER_NONE, FlowRange, FlowStore, Grouping, Mask, Measure, Predicate, Prune};
use ingest::scope::Scope;
use ingest::time::{Stopwatch, Timestamp};
use nix::sys::resource::UsageWho;
use serde_json::json;

use super::{round, say, used};

/// A client of a middling site.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 40, 2, 77);

struct Either(IpAddr);

impl Predicate for Either {
    fn needed(&self) -> ColumnSet {
        ColumnSet::of(&[Column::SrcIp, Column::DstIp])
    }
    fn prune(&self) -> Prune {
        Prune::address(End::Either, self.0)
    }
    fn narrow(&self, chunk: &Chunk<'_>, _sites: &SiteTable, mask: &mut Mask) {
        let octets = address_octets(self.0);
        let mut source = mask.clone();
        source.narrow(chunk.addresses(Column::SrcIp), |address| address == octets);
        mask.narrow(chunk.addresses(Column::DstIp), |address| address == octets);
        mask.or(&source);
    }
}

pub(crate) fn one(what: &str, dir: &Path) -> anyhow::Result<()> {
    let store = FlowStore::open(dir)?;
    let (opened_cpu, _) = used(UsageWho::RUSAGE_SELF)?;
    let watch = Stopwatch::start();
    let (sites, address) = (SiteTable::default(), Either(ADDRESS.into()));
    let range = FlowRange { from: Timestamp(0), to: Timestamp(i64::MAX), filter: FILTER_NONE, scope: &Scope::All, sites: &sites };
    let group = |by: &[Column], range: FlowRange<'_>| -> anyhow::Result<String> {
        let groups = store.group(&Grouping { range, by, measure: Measure::Bytes, limit: 10, scaled: false })?;
        let first = groups.rows.first().context("a group")?;
        Ok(format!(
            "{} groups of {} flows, {} records read, first {:?} with {} bytes in {} flows",
            groups.count, groups.total.flows, groups.records_read, first.key, first.sums.bytes, first.sums.flows
        ))
    };
    let found = match what {
        "source" => group(&[Column::SrcIp], range)?,
        "pairs" => group(&[Column::SrcIp, Column::DstIp], range)?,
        "address" => group(&[], FlowRange { filter: Some(&address), ..range })?,
        "list" => format!("{} records", store.list(&FlowRange { filter: Some(&address), ..range }, 100)?.len()),
        "compact" => {
            let mut done = Vec::new();
            while let Some(compacted) = store.compact_next(Timestamp(i64::MAX / 2), &|| false)? {
                done.push(format!("{compacted:?}"));
            }
            done.join("; ")
        }
        other => anyhow::bail!("{other} is no question"),
    };
    let seconds = watch.elapsed().as_secs_f64();
    let (cpu, mib) = used(UsageWho::RUSAGE_SELF)?;
    say(&json!({ "seconds": round(seconds), "cpu": round(cpu - opened_cpu), "peak_mib": mib, "found": found }).to_string())
}

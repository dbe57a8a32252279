//! Evidence: the lines and flows behind a case, and the searches that show the rest of them.

use std::collections::HashSet;
use std::net::IpAddr;

use detect::alert::Observables;
use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::time::Timestamp;

use super::incidents::Evidence;
use super::range::Range;
use super::value::Values;
use crate::show::{self, link};
use crate::web::{Ask, PageError};

pub(super) use crate::terms::term;

/// The query that finds what a case is about: its source addresses, else its hosts, else its accounts.
pub(super) fn query(observables: &Observables) -> String {
    /// A longer query reads badly; the case's page shows the rest.
    const VALUES_MAX: usize = 8;
    for field in ["source.ip", "host.name", "user.name", "destination.ip"] {
        let terms: Vec<String> = observables.get(field).into_iter().flatten().take(VALUES_MAX).map(|value| term(field, value)).collect();
        if !terms.is_empty() {
            return terms.join(" OR ");
        }
    }
    String::new()
}

/// The search for `query` around a stretch of time, with some minutes before and after for the context.
pub(super) fn href(query: &str, first: Timestamp, last: Timestamp) -> String {
    const AROUND_MILLIS: i64 = 10 * Timestamp::MINUTE;
    let (from, to) = (first.plus(-AROUND_MILLIS).rfc3339(), last.plus(AROUND_MILLIS).rfc3339());
    link("/suche", &[("q", query), ("von", &from), ("bis", &to)])
}

/// The flows between addresses that the case names, else those from or to one, else all.
fn concerning<'f>(flows: &'f [FlowRecord], observables: &Observables) -> Vec<&'f FlowRecord> {
    let values = ["source.ip", "destination.ip"].into_iter().filter_map(|field| observables.get(field)).flatten();
    let named: HashSet<IpAddr> = values.filter_map(|value| value.parse().ok()).collect();
    let ends = |flow: &FlowRecord| usize::from(named.contains(&flow.src_ip)) + usize::from(named.contains(&flow.dst_ip));
    let most = flows.iter().map(ends).max().unwrap_or_default();
    flows.iter().filter(|flow| ends(flow) == most).collect()
}

/// A scan is told by a few of its flows.
const FLOWS_SHOWN: usize = 8;

/// The lines and flows of these sequences that the viewer may see, in order of time, at most `limit`. A datagram carries
/// flows of many machines: those of the case's addresses are shown.
pub(super) fn load(ask: &Ask, seqs: &[Seq], observables: &Observables, limit: usize) -> Result<Vec<Evidence>, PageError> {
    let (scope, sites, range) = (ask.scope(), ask.app.sites(), Range::of(ask, "30d"));
    let values = Values::new(ask, "/suche", "", &range, vec![]);
    let mut lines: Vec<(Timestamp, Evidence)> = vec![];
    if let Some(store) = &ask.app.events {
        for event in store.by_seq(seqs, &scope, &sites) {
            let site = sites.name(event.site);
            let fields = super::event::evidence_fields(&event, site, &values);
            lines.push((event.timestamp, Evidence { time: show::precise(event.timestamp), text: event.line().to_owned(), fields }));
        }
    }
    let mut flows: Vec<(Timestamp, Evidence)> = vec![];
    if let Some(store) = &ask.app.flows {
        let found = store.by_seq(seqs, &scope, &sites).map_err(PageError::store)?;
        for flow in concerning(&found, observables).into_iter().rev().take(limit.min(FLOWS_SHOWN)) {
            flows.push((flow.start, Evidence { time: show::precise(flow.start), text: super::flows::sentence(flow), fields: vec![] }));
        }
    }
    // Lines say more than flows, which have their few places all the same. The last ones complete the story.
    lines.sort_by_key(|(at, _)| *at);
    lines.drain(..lines.len().saturating_sub(limit - flows.len()));
    lines.append(&mut flows);
    lines.sort_by_key(|(at, _)| *at);
    Ok(lines.into_iter().map(|(_, line)| line).collect())
}

//! Evidence: the lines and flows behind a case, and the searches that show the rest of them.

use detect::alert::Observables;
use ingest::frame::Seq;
use ingest::time::Timestamp;

use super::incidents::Evidence;
use super::range::Range;
use super::value::Values;
use crate::show::{self, link};
use crate::web::{Ask, PageError};

/// One condition of a query, quoted so that no value can become part of the language.
pub(super) fn term(field: &str, value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    for ch in value.chars() {
        if matches!(ch, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(ch);
    }
    format!("{field}:\"{quoted}\"")
}

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

/// A scan is told by a few of its flows.
const FLOWS_SHOWN: usize = 8;

/// The lines and flows of these sequences that the viewer may see, in order of time, at most `limit`.
pub(super) fn load(ask: &Ask, seqs: &[Seq], limit: usize) -> Result<Vec<Evidence>, PageError> {
    let (scope, sites, range) = (ask.scope(), ask.app.sites(), Range::of(ask, "30d"));
    let values = Values::new(ask, "/suche", "", &range, vec![]);
    let mut lines: Vec<(Timestamp, Evidence)> = vec![];
    if let Some(store) = &ask.app.events {
        for event in store.by_seq(seqs, &scope, &sites) {
            let site = sites.name(event.site);
            let fields = super::search::evidence_fields(&event, site, &values);
            lines.push((event.timestamp, Evidence { time: show::precise(event.timestamp), text: event.line().to_owned(), fields }));
        }
    }
    // Lines say more than flows: those take the places that are left. The last ones complete the story.
    lines.sort_by_key(|(at, _)| *at);
    lines.drain(..lines.len().saturating_sub(limit));
    if let (Some(store), left @ 1..) = (&ask.app.flows, limit - lines.len()) {
        let flows = store.by_seq(seqs, &scope, &sites).map_err(PageError::store)?;
        for flow in flows.iter().rev().take(left.min(FLOWS_SHOWN)) {
            lines.push((flow.start, Evidence { time: show::precise(flow.start), text: super::flows::sentence(flow), fields: vec![] }));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    Ok(lines.into_iter().map(|(_, line)| line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_a_value() {
        for (value, expected) in [
            ("198.51.100.23", "user.name:\"198.51.100.23\""),
            ("a\" OR *:*", "user.name:\"a\\\" OR *:*\""),
            ("dom\\user", "user.name:\"dom\\\\user\""),
        ] {
            assert_eq!(term("user.name", value), expected);
        }
    }
}

//! Indikatoren: whether a value is known to us, which lists are in force and how their sources stand, what must never
//! match, entries of one's own, and the retro-hunts, which search what is stored for what lists bring.

mod entries;
mod overview;

use detect::intel::Listed;

use crate::show::{self, Markup};
use crate::terms::term;
use crate::web::Ask;
use crate::words::{self, t, tf};

pub(in crate::web) use entries::entries;
pub(in crate::web) use overview::{add, cancel, hurry, list};

/// One indicator as a row.
struct EntryRow {
    value: String,
    kind: &'static str,
    list: String,
    tlp: Markup,
    confidence: String,
    /// Until when, or that it is over.
    until: String,
    expired: bool,
    /// The warning list that keeps it from matching.
    warned: String,
    hits: String,
    /// Where its hits are looked for; empty where there are none.
    href: String,
    seen: String,
}

fn entry_row(listed: &Listed, ask: &Ask) -> EntryRow {
    let indicator = &listed.indicator;
    let value = indicator.pattern.value();
    let expired = indicator.valid_until.is_some_and(|until| until < ask.now);
    EntryRow {
        kind: words::indicator_kind_one(indicator.pattern.kind()),
        list: indicator.list.to_string(),
        tlp: show::tlp(indicator.tlp.as_str().trim_start_matches("TLP:")),
        confidence: format!("{} %", indicator.confidence),
        until: match indicator.valid_until {
            None => t("solange gelistet").to_owned(),
            Some(until) if expired => tf("abgelaufen {date}", &[("date", &show::date(until))]),
            Some(until) => tf("bis {date}", &[("date", &show::date(until))]),
        },
        expired,
        warned: listed.warned.clone().unwrap_or_default(),
        hits: show::num(listed.hits),
        href: if listed.hits > 0 { show::link("/suche", &[("q", &question(indicator.pattern.kind(), &value))]) } else { String::new() },
        seen: match (listed.first_hit, listed.last_hit) {
            (Some(first), Some(last)) => tf("{first} bis {last}", &[("first", &show::date(first)), ("last", &show::date(last))]),
            _ => String::new(),
        },
        value,
    }
}

/// The search for the events that an indicator meets.
fn question(kind: &str, value: &str) -> String {
    let of = |fields: &[&str], value: &str| fields.iter().map(|field| term(field, value)).collect::<Vec<_>>().join(" OR ");
    match kind {
        "address" => of(&["source.ip", "destination.ip", "dns.resolved_ip", "network.forwarded_ip"], value),
        "prefix" => ["source.ip", "destination.ip", "dns.resolved_ip"].map(|field| format!("{field}:{value}")).join(" OR "),
        "domain" => ["dns.question.name", "url.domain", "destination.domain"]
            .iter()
            .flat_map(|field| [term(field, value), format!("{field}:*.{value}")])
            .collect::<Vec<_>>()
            .join(" OR "),
        "url" => of(&["url.full", "url.original", "http.request.referrer"], value),
        "md5" => of(&["file.hash.md5", "process.hash.md5"], value),
        "sha1" => of(&["file.hash.sha1", "process.hash.sha1"], value),
        "sha256" => of(&["file.hash.sha256", "process.hash.sha256"], value),
        _ => of(&["email.from.address", "email.to.address"], value),
    }
}

#[cfg(test)]
mod tests;

//! BIND: queries and refusals, `client @0x7f… 192.0.2.1#3076 (example.com): query (cache) 'example.com/ANY/IN' denied`,
//! behind a time, a category and a level of BIND's own or not. And dnsmasq's and unbound's queries.

use super::Look;
use super::draft::Draft;
use super::part::{host_port, word};
use crate::fields;
use crate::syslog::{self, Stamp};

pub(super) fn first_look(look: &Look<'_>) -> bool {
    matches!(look.app, "named" | "dnsmasq" | "unbound") || (look.app.is_empty() && look.text.contains("client "))
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    match look.app {
        "dnsmasq" => dnsmasq(look.text, draft),
        "unbound" => unbound(look.text, draft),
        _ => bind(look.text, draft),
    }
}

fn bind(text: &str, draft: &mut Draft<'_>) -> bool {
    let mut rest = text;
    let mut stamp = None;
    if let Some((at, _)) = text.match_indices(' ').nth(1)
        && let Some(found) = text.get(..at).and_then(syslog::day_first_stamp)
    {
        stamp = Some(found);
        rest = text.get(at..).unwrap_or_default().trim_start();
    }
    // `security: error: `, either or both.
    let mut level = "";
    while let Some((label, behind)) =
        rest.split_once(": ").filter(|(label, _)| label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
    {
        level = label;
        rest = behind;
    }
    let Some(behind) = rest.strip_prefix("client ") else { return false };
    let behind = behind.strip_prefix('@').and_then(|behind| behind.split_once(' ')).map_or(behind, |(_, behind)| behind);
    let Some((client, behind)) = word(behind) else { return false };
    let (host, port) = host_port(client.trim_end_matches(':'));
    if super::draft::address(host).is_none() || port.is_empty() {
        return false;
    }
    draft.name(fields::EVENT_MODULE, "bind");
    if let (Some(stamp), Stamp::Absent) = (stamp, draft.stamp) {
        draft.stamp = stamp;
    }
    if !draft.has(fields::LOG_LEVEL) && matches!(level, "error" | "info" | "warning" | "notice" | "critical" | "debug") {
        draft.str(fields::LOG_LEVEL, if level == "info" { "informational" } else { level });
    }
    draft.source_endpoint(client.trim_end_matches(':'));
    let what = behind.strip_prefix('(').and_then(|behind| behind.split_once("): ")).map_or(behind, |(_, what)| what);
    let what = what.strip_prefix("view ").and_then(|what| what.split_once(": ")).map_or(what, |(_, what)| what);
    let denied = what.contains(" denied");
    let action = match what {
        _ if what.starts_with("query") => "dns_query",
        _ if what.contains("zone transfer") || what.starts_with("transfer of") => "dns_zone_transfer",
        _ if what.starts_with("update") => "dns_update",
        _ => "dns",
    };
    let failed = denied || what.starts_with("bad ") || what.contains("failed");
    draft.event("network", action, if failed { "failure" } else { "success" });
    if denied {
        draft.name(fields::EVENT_TYPE, "denied");
    }
    match what.split_once('\'').and_then(|(_, rest)| rest.split_once('\'')) {
        // 'example.com/ANY/IN'
        Some((question, reason)) => {
            let mut parts = question.rsplitn(3, '/');
            let (class, kind, name) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
            match (kind, name) {
                (Some(kind), Some(name)) => put_question(name, kind, draft),
                _ => draft.str(fields::DNS_QUESTION_NAME, question.strip_suffix(class).map_or(question, |name| name.trim_end_matches('/'))),
            }
            draft.str(fields::EVENT_REASON, reason.trim_start_matches([':', ' ']));
        }
        // query: example.com IN A +E(0)K (192.0.2.53)
        None => {
            if let Some((name, rest)) = what.strip_prefix("query: ").and_then(word) {
                let kind = rest.split(' ').nth(1).unwrap_or_default();
                put_question(name, kind, draft);
            }
        }
    }
    true
}

fn put_question(name: &str, kind: &str, draft: &mut Draft<'_>) {
    draft.name(fields::NETWORK_PROTOCOL, "dns");
    draft.str(fields::DNS_QUESTION_NAME, name.trim_end_matches('.'));
    draft.str(fields::DNS_QUESTION_TYPE, kind);
}

/// `query[A] example.net from 10.1.1.1`
fn dnsmasq(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((kind, rest)) = text.strip_prefix("query[").and_then(|rest| rest.split_once("] ")) else { return false };
    let Some((name, from)) = rest.split_once(" from ") else { return false };
    draft.name(fields::EVENT_MODULE, "dnsmasq");
    draft.event("network", "dns_query", "");
    put_question(name, kind, draft);
    draft.source(from);
    true
}

/// `[1234:0] info: 10.1.1.1 example.net. A IN` and replies with a code behind.
fn unbound(text: &str, draft: &mut Draft<'_>) -> bool {
    let text = text.split_once("info: ").map_or(text, |(_, text)| text);
    let mut words = text.split(' ');
    let (Some(client), Some(name), Some(kind), Some("IN")) = (words.next(), words.next(), words.next(), words.next()) else { return false };
    if super::draft::address(client).is_none() {
        return false;
    }
    draft.name(fields::EVENT_MODULE, "unbound");
    let outcome = match words.next() {
        Some("NOERROR") => "success",
        Some(_) => "failure",
        None => "",
    };
    draft.event("network", "dns_query", outcome);
    put_question(name, kind, draft);
    draft.source(client);
    true
}

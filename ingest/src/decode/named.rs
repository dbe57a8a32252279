//! BIND: queries and refusals, `client @0x7f… 192.0.2.1#3076 (example.com): query (cache) 'example.com/ANY/IN' denied`,
//! behind a time, a category and a level of BIND's own or not; zone transfers, updates, DNSSEC and what could not be resolved.

use super::Look;
use super::draft::Draft;
use super::part::{host_port, word};
use super::resolver::put_question;
use crate::fields;
use crate::syslog::{self, Stamp};

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.app == "named"
        || (look.app.is_empty()
            && (look.text.contains("client ") || look.text.contains("resolving '") || look.text.contains("validating ")))
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    bind(look.text, draft)
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
    let Some(behind) = rest.strip_prefix("client ") else {
        let read = server(rest.trim_start(), draft);
        if read {
            put_own(stamp, level, draft);
        }
        return read;
    };
    let behind = behind.strip_prefix('@').and_then(|behind| behind.split_once(' ')).map_or(behind, |(_, behind)| behind);
    let Some((client, behind)) = word(behind) else { return false };
    // `192.0.2.1#3076/key rndc-key:` of a signed request.
    let (client, behind) = match client.strip_suffix("/key") {
        Some(client) => (client, word(behind).map_or("", |(_, behind)| behind)),
        None => (client, behind),
    };
    let (host, port) = host_port(client.trim_end_matches(':'));
    if super::draft::address(host).is_none() || port.is_empty() {
        return false;
    }
    put_own(stamp, level, draft);
    draft.source_endpoint(client.trim_end_matches(':'));
    let what = behind.strip_prefix('(').and_then(|behind| behind.split_once("): ")).map_or(behind, |(_, what)| what);
    let what = what.strip_prefix("view ").and_then(|what| what.split_once(": ")).map_or(what, |(_, what)| what);
    let denied = what.contains(" denied");
    let action = match what {
        _ if what.starts_with("rate limit") || what.starts_with("drop ") => "dns_rate_limited",
        _ if what.starts_with("query") => "dns_query",
        _ if what.contains("zone transfer") || what.starts_with("transfer of") => "dns_zone_transfer",
        _ if what.starts_with("update") || what.starts_with("updating zone") => "dns_update",
        _ => "dns",
    };
    let failed = denied || what.starts_with("bad ") || what.contains("failed") || action == "dns_rate_limited";
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
        // query failed (SERVFAIL) for example.com/IN/A at query.c:7094
        None if what.starts_with("query failed ") => {
            let (reason, question) = what.split_once(" for ").unwrap_or((what, ""));
            let mut parts = question.split(' ').next().unwrap_or_default().rsplitn(3, '/');
            let (kind, _, name) = (parts.next().unwrap_or_default(), parts.next(), parts.next().unwrap_or_default());
            put_question(name, kind, draft);
            draft.str(fields::EVENT_REASON, reason);
        }
        // query: example.com IN A +E(0)K (192.0.2.53)
        None => {
            if let Some((name, rest)) = what.strip_prefix("query: ").and_then(word) {
                let kind = rest.split(' ').nth(1).unwrap_or_default();
                put_question(name, kind, draft);
                if let Some((_, server)) = rest.rsplit_once(" (") {
                    draft.optional(fields::DESTINATION_IP, server.trim_end_matches(')'));
                }
            }
        }
    }
    true
}

/// BIND's own time and level, where no header had them.
fn put_own(stamp: Option<Stamp>, level: &str, draft: &mut Draft<'_>) {
    draft.name(fields::EVENT_MODULE, "bind");
    if let (Some(stamp), Stamp::Absent) = (stamp, draft.stamp) {
        draft.stamp = stamp;
    }
    if !draft.has(fields::LOG_LEVEL) && matches!(level, "error" | "info" | "warning" | "notice" | "critical" | "debug") {
        draft.str(fields::LOG_LEVEL, if level == "info" { "informational" } else { level });
    }
}

/// What the server says without a client: `zone example.net/IN: loaded serial 1`, `transfer of 'example.net/IN' from
/// 192.0.2.53#53: Transfer completed: …`, `validating example.com/A: no valid signature found`, `timed out resolving
/// 'example.com/A/IN': 192.0.2.53#53`, `received control channel command 'reload'`.
fn server(text: &str, draft: &mut Draft<'_>) -> bool {
    if let Some((zone, what)) = text.strip_prefix("zone ").and_then(|rest| rest.split_once(": ")) {
        let action = match what {
            _ if what.starts_with("loaded serial") => "dns_zone_loaded",
            _ if what.starts_with("Transfer ") || what.contains("transferred serial") => "dns_zone_transfer",
            _ if what.starts_with("notify from ") || what.starts_with("sending notifies") => "dns_notify",
            _ => "dns_zone",
        };
        draft.event(
            "network",
            action,
            if what.contains("failed") || what.contains("refused") || what.contains("expired") { "failure" } else { "" },
        );
        draft.str(fields::DNS_QUESTION_NAME, zone.split('/').next().unwrap_or_default());
        if let Some((_, from)) = what.split_once("notify from ") {
            draft.source_endpoint(from.split([':', ' ']).next().unwrap_or_default());
        }
        draft.str(fields::EVENT_REASON, what);
        return true;
    }
    if let Some((zone, rest)) = text.strip_prefix("transfer of '").and_then(|rest| rest.split_once('\'')) {
        let failed = ["failed", "refused", "denied", "timed out"].iter().any(|word| rest.contains(word));
        draft.event("network", "dns_zone_transfer", if failed { "failure" } else { "success" });
        draft.str(fields::DNS_QUESTION_NAME, zone.split('/').next().unwrap_or_default());
        if let Some((from, what)) = rest.strip_prefix(" from ").and_then(|rest| rest.split_once(": ")) {
            draft.destination_endpoint(from);
            draft.str(fields::EVENT_REASON, what);
        }
        return true;
    }
    if let Some((what, reason)) = text.strip_prefix("validating ").and_then(|rest| rest.split_once(": ")) {
        // `@0x7f…: www.example.com A: bad cache hit` of older ones.
        let (what, reason) = if what.starts_with('@') { reason.split_once(": ").unwrap_or((reason, "")) } else { (what, reason) };
        let (name, kind) = what.rsplit_once(['/', ' ']).unwrap_or((what, ""));
        draft.event("network", "dns_validation_failed", "failure");
        put_question(name, kind, draft);
        draft.str(fields::EVENT_REASON, reason);
        return true;
    }
    if let Some((what, question, rest)) =
        text.split_once(" resolving '").and_then(|(what, rest)| rest.split_once('\'').map(|(question, rest)| (what, question, rest)))
    {
        draft.event("network", "dns_resolution_failed", "failure");
        draft.str(fields::EVENT_REASON, what);
        let mut parts = question.rsplitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(kind), Some(name)) => put_question(name, kind, draft),
            _ => put_question(question, "", draft),
        }
        if let Some((_, server)) = rest.rsplit_once(": ") {
            draft.destination_endpoint(server);
        }
        return true;
    }
    if let Some(command) = text.strip_prefix("received control channel command '") {
        draft.event("configuration", "dns_control", "");
        draft.vendor("bind", "command", command.trim_end_matches('\''));
        return true;
    }
    if let Some((net, _)) =
        text.strip_prefix("rate limit drop response to ").or_else(|| text.strip_prefix("limit responses to ")).and_then(word)
    {
        draft.event("network", "dns_rate_limited", "failure");
        draft.vendor("bind", "network", net);
        return true;
    }
    false
}

//! Name servers that ask for others: dnsmasq, Unbound and PowerDNS. Who asked for what, what was blocked.

use super::Look;
use super::draft::{Draft, address};
use super::part::{between, word};
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    matches!(look.app, "dnsmasq" | "unbound" | "pdns" | "pdns_server" | "pdns_recursor" | "pdns-recursor" | "dnsdist" | "pihole-FTL")
        || look.app.is_empty() && look.text.contains("unbound[")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    match look.app {
        "dnsmasq" | "pihole-FTL" => dnsmasq(look.text, draft),
        "unbound" | "" => unbound(look.text, draft),
        _ => powerdns(look.text, draft),
    }
}

fn start(module: &'static str, action: &'static str, outcome: &'static str, draft: &mut Draft<'_>) {
    draft.name(fields::EVENT_MODULE, module);
    draft.event("network", action, outcome);
}

pub(super) fn put_question(name: &str, kind: &str, draft: &mut Draft<'_>) {
    draft.name(fields::NETWORK_PROTOCOL, "dns");
    draft.str(fields::DNS_QUESTION_NAME, name.trim_end_matches('.'));
    draft.str(fields::DNS_QUESTION_TYPE, kind);
}

/// `query[A] example.net from 10.1.1.1`, `reply example.net is 192.0.2.1`, `forwarded example.net to 9.9.9.9`; with
/// `log-queries=extra` behind `42 10.1.1.1/4711 `.
fn dnsmasq(text: &str, draft: &mut Draft<'_>) -> bool {
    let mut text = text;
    let mut client = "";
    if let Some((peer, rest)) =
        text.split_once(' ').filter(|(serial, _)| super::part::is_number(serial)).and_then(|(_, rest)| rest.split_once(' '))
    {
        (client, text) = (peer, rest);
    }
    if let Some((kind, rest)) = text.strip_prefix("query[").and_then(|rest| rest.split_once("] ")) {
        let Some((name, from)) = rest.rsplit_once(" from ") else { return false };
        start("dnsmasq", "dns_query", "", draft);
        put_question(name, kind, draft);
        draft.source(from);
        draft.optional(fields::SOURCE_PORT, client.split_once('/').map_or("", |(_, port)| port));
        return true;
    }
    if let Some(name) = text.strip_prefix("possible DNS-rebind attack detected: ") {
        start("dnsmasq", "dns_rebind", "failure", draft);
        draft.name(fields::EVENT_KIND, "alert");
        put_question(name, "", draft);
        return true;
    }
    if let Some((name, to)) = text.strip_prefix("forwarded ").and_then(|rest| rest.rsplit_once(" to ")) {
        start("dnsmasq", "dns_forwarded", "", draft);
        put_question(name, "", draft);
        draft.destination_endpoint(to);
    } else {
        let Some((what, answer)) = text.rsplit_once(" is ") else { return false };
        let Some((source, name)) = what.rsplit_once(' ') else { return false };
        let blocked = source.ends_with("blocked") || source == "config" && matches!(answer, "NXDOMAIN" | "0.0.0.0" | "::");
        if !blocked && !matches!(source, "reply" | "cached" | "cached-stale" | "config" | "validation") && !source.starts_with('/') {
            return false;
        }
        start("dnsmasq", if blocked { "dns_blocked" } else { "dns_answer" }, if blocked { "failure" } else { "success" }, draft);
        put_question(name, "", draft);
        draft.vendor("dns", "answer", answer);
    }
    if !client.is_empty() {
        draft.source(client.split('/').next().unwrap_or_default());
    }
    true
}

/// `[1234:0] info: 10.1.1.1 example.net. A IN`, replies with a code behind; `ads.example.net. always_nxdomain 10.1.1.1@4711
/// ads.example.net. A IN`; `validation failure <example.com. A IN>: no signatures …`
fn unbound(text: &str, draft: &mut Draft<'_>) -> bool {
    let text = text.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(text, |(_, text)| text);
    let text = text.split_once("info: ").map_or(text, |(_, text)| text);
    let text = ["query: ", "reply: "].iter().find_map(|tag| text.strip_prefix(tag)).unwrap_or(text);
    if let Some((question, reason)) = text.strip_prefix("validation failure <").and_then(|rest| rest.split_once('>')) {
        start("unbound", "dns_validation_failed", "failure", draft);
        let mut words = question.split(' ');
        put_question(words.next().unwrap_or_default(), words.next().unwrap_or_default(), draft);
        draft.str(fields::EVENT_REASON, reason.trim_start_matches([':', ' ']));
        return true;
    }
    let mut words = text.split(' ');
    let (Some(client), Some(name), Some(kind)) = (words.next(), words.next(), words.next()) else { return false };
    if address(client).is_some() && words.next() == Some("IN") {
        let outcome = match words.next() {
            Some("NOERROR") => "success",
            Some(_) => "failure",
            None => "",
        };
        start("unbound", "dns_query", outcome, draft);
        put_question(name, kind, draft);
        draft.source(client);
        return true;
    }
    // A local zone or a response policy zone answered: `… ZONE ACTION CLIENT@PORT NAME TYPE IN`.
    let Some((before, peer)) = text.split_once('@') else { return false };
    let Some((policy, client)) = before.rsplit_once(' ').filter(|(_, client)| address(client).is_some()) else { return false };
    let mut words = peer.split(' ');
    let (Some(port), Some(name), Some(kind)) = (words.next(), words.next(), words.next()) else { return false };
    start("unbound", "dns_blocked", "failure", draft);
    put_question(name, kind, draft);
    draft.source(client);
    draft.optional(fields::SOURCE_PORT, port);
    draft.str(fields::RULE_NAME, policy);
    true
}

/// `1 [1/1] question for 'example.net|A' from 10.1.1.1:4711`, `Remote 10.1.1.1 wants 'example.net|A', do = 0, …`,
/// `msg="Question" … qname="example.net" qtype="A" remote="10.1.1.1:4711"`, `AXFR-out zone 'example.net', client '192.0.2.1:4711', …`
fn powerdns(text: &str, draft: &mut Draft<'_>) -> bool {
    if let Some((question, rest)) = between(text, "question for '", "'").or_else(|| between(text, " wants '", "'")) {
        let from = rest.split_once(" from ").map(|(_, from)| from.split(' ').next().unwrap_or_default());
        let from = from.or_else(|| between(text, "Remote ", " ").map(|(from, _)| from));
        start("powerdns", "dns_query", "", draft);
        let (name, kind) = question.rsplit_once('|').unwrap_or((question, ""));
        put_question(name, kind, draft);
        draft.source_endpoint(from.unwrap_or_default().trim_end_matches(','));
        return true;
    }
    if let Some((name, rest)) = between(text, "qname=\"", "\"") {
        let kind = between(rest, "qtype=\"", "\"").map_or("", |(kind, _)| kind);
        start("powerdns", "dns_query", "", draft);
        put_question(name, kind, draft);
        if let Some((remote, _)) = between(text, "remote=\"", "\"") {
            draft.source_endpoint(remote);
        }
        return true;
    }
    let Some((zone, rest)) = between(text, "AXFR-out zone '", "'").or_else(|| between(text, "AXFR of domain '", "'")) else { return false };
    let refused = rest.contains("denied") || rest.contains("failed");
    start("powerdns", "dns_zone_transfer", if refused { "failure" } else { "success" }, draft);
    put_question(zone, "AXFR", draft);
    if let Some((client, _)) = between(rest, "client '", "'").or_else(|| between(rest, "initiated by ", " ")) {
        draft.source_endpoint(client);
    }
    draft.str(fields::EVENT_REASON, word(rest).map_or("", |_| rest.trim_start_matches([',', ' '])));
    true
}

//! Cisco: `%ASA-4-106023: …` (ASA, FTD) and `%SEC-6-IPACCESSLOGP: …` (IOS). The mnemonic says what follows; those that
//! tell of connections, denials and logins are read, the others keep their code (Cisco's "Syslog Messages" guides).

use super::Look;
use super::draft::Draft;
use super::part::{between, is_number, word};
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.text.contains('%') || look.app.starts_with('%')
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let from_tag = look.app.starts_with('%').then_some((look.app, look.text));
    let in_text = || {
        let rest = look.text.get(look.text.find('%')?..)?;
        // A per cent sign in prose is no mnemonic.
        rest.split_once(": ").or_else(|| rest.split_once(':'))
    };
    let Some((mnemonic, text)) = from_tag.or_else(in_text) else { return false };
    let mut parts = mnemonic.trim_start_matches('%').trim_end_matches(':').split('-');
    let (Some(facility), Some(severity), Some(code)) = (parts.next(), parts.next(), parts.next_back()) else { return false };
    let severity_sound = matches!(severity.as_bytes(), [b'0'..=b'7']) || parts.next().is_some();
    let word_sound = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !severity_sound || !word_sound(facility) || !word_sound(code) {
        return false;
    }
    draft.name(fields::EVENT_MODULE, "cisco");
    draft.str(fields::EVENT_CODE, code);
    draft.vendor("cisco", "facility", facility);
    if let ("ASA" | "FTD" | "PIX" | "FWSM", true) = (facility, is_number(code)) {
        asa(code, text, draft);
    } else {
        ios(code, text, draft);
    }
    true
}

fn asa(code: &str, text: &str, draft: &mut Draft<'_>) {
    match code {
        // Built inbound TCP connection 1 for outside:192.0.2.1/2 (…) to inside:10.0.0.1/80 (…)
        "302013" | "302015" | "302020" => {
            draft.verdict(Some(true));
            connection(text, " for ", draft);
            let inbound = text.contains("inbound");
            draft.name(fields::NETWORK_DIRECTION, if inbound { "inbound" } else { "outbound" });
        }
        // Teardown TCP connection 1 for outside:192.0.2.1/2 to inside:10.0.0.1/80 duration 0:00:30 bytes 1234 TCP FINs
        "302014" | "302016" | "302021" => {
            draft.name(fields::EVENT_CATEGORY, "network");
            draft.name(fields::EVENT_TYPE, "end");
            draft.name(fields::EVENT_ACTION, "connection_end");
            connection(text, " for ", draft);
            if let Some((_, rest)) = text.split_once(" bytes ") {
                let (bytes, reason) = word(rest).unwrap_or((rest, ""));
                draft.optional(fields::NETWORK_BYTES, bytes);
                draft.str(fields::EVENT_REASON, reason);
            }
            if let Some(nanos) = between(text, "duration ", " ").and_then(|(duration, _)| clock_nanos(duration)) {
                draft.int(fields::EVENT_DURATION, nanos);
            }
        }
        // Deny tcp src outside:192.0.2.1/2 dst inside:10.0.0.1/80 by access-group "outside_in" [0x0, 0x0]
        "106023" => {
            draft.verdict(Some(false));
            transport(text.strip_prefix("Deny ").and_then(|rest| rest.split(' ').next()).unwrap_or_default(), draft);
            if let Some((source, _)) = between(text, " src ", " ") {
                interface_endpoint(source, true, draft);
            }
            if let Some((destination, _)) = between(text, " dst ", " ") {
                interface_endpoint(destination, false, draft);
            }
            if let Some((rule, _)) = between(text, "access-group \"", "\"") {
                draft.str(fields::RULE_NAME, rule);
            }
        }
        // access-list outside_in denied tcp outside/192.0.2.1(2) -> inside/10.0.0.1(80) hit-cnt 1 …
        "106100" => {
            let allowed = text.contains(" permitted ");
            draft.verdict(Some(allowed));
            draft.str(fields::RULE_NAME, text.strip_prefix("access-list ").and_then(|rest| rest.split(' ').next()).unwrap_or_default());
            if let Some((_, rest)) = text.split_once(if allowed { " permitted " } else { " denied " }) {
                transport(rest.split(' ').next().unwrap_or_default(), draft);
            }
            if let Some((before, after)) = text.split_once(" -> ") {
                slash_endpoint(before.rsplit(' ').next().unwrap_or_default(), true, draft);
                slash_endpoint(after.split(' ').next().unwrap_or_default(), false, draft);
            }
        }
        // Inbound TCP connection denied from 192.0.2.1/2 to 10.0.0.1/80 flags SYN on interface outside
        "106001" | "106006" | "106007" | "106015" | "106021" => {
            draft.verdict(Some(false));
            if let Some(name) = ["TCP", "UDP", "ICMP"].into_iter().find(|name| text.contains(name)) {
                transport(&name.to_ascii_lowercase(), draft);
            }
            if let Some((_, rest)) = text.split_once(" from ") {
                let (source, rest) = word(rest).unwrap_or((rest, ""));
                put_endpoint(source, true, draft);
                if let Some((destination, _)) = rest.strip_prefix("to ").and_then(word) {
                    put_endpoint(destination, false, draft);
                }
            }
            if let Some((_, interface)) = text.rsplit_once("interface ") {
                draft.str(fields::OBSERVER_INGRESS_INTERFACE, interface.trim());
            }
        }
        // User authentication and administration.
        "113004" | "113012" | "605005" | "611101" | "716001" | "722022" => login("success", text, draft),
        "113005" | "113015" | "113021" | "308001" | "605004" | "611102" => login("failure", text, draft),
        _ => draft.name(fields::EVENT_CATEGORY, "network"),
    }
}

/// `TCP connection 17 for outside:a/1 (…) to inside:b/2 (…)`
fn connection(text: &str, mark: &str, draft: &mut Draft<'_>) {
    let kind = text.split(' ').find(|word| matches!(*word, "TCP" | "UDP" | "ICMP" | "GRE")).unwrap_or_default();
    transport(&kind.to_ascii_lowercase(), draft);
    let Some((_, rest)) = text.split_once(mark) else { return };
    let (first, rest) = word(rest).unwrap_or((rest, ""));
    let second = rest.split_once("to ").map_or("", |(_, rest)| rest.split(' ').next().unwrap_or_default());
    // The ASA names the side outside first, whoever began.
    let outbound = text.contains("outbound");
    interface_endpoint(if outbound { second } else { first }, true, draft);
    interface_endpoint(if outbound { first } else { second }, false, draft);
}

/// `outside:192.0.2.1/443`; IPv6 addresses hold colons, so the interface ends at the first one.
fn interface_endpoint(text: &str, is_source: bool, draft: &mut Draft<'_>) {
    let (interface, endpoint) = text.split_once(':').unwrap_or(("", text));
    draft.str(if is_source { fields::OBSERVER_INGRESS_INTERFACE } else { fields::OBSERVER_EGRESS_INTERFACE }, interface);
    put_endpoint(endpoint, is_source, draft);
}

/// `outside/192.0.2.1(443)`
fn slash_endpoint(text: &str, is_source: bool, draft: &mut Draft<'_>) {
    let (interface, endpoint) = text.split_once('/').unwrap_or(("", text));
    draft.str(if is_source { fields::OBSERVER_INGRESS_INTERFACE } else { fields::OBSERVER_EGRESS_INTERFACE }, interface);
    paren_endpoint(endpoint, is_source, draft);
}

/// `192.0.2.1(443)`
fn paren_endpoint(text: &str, is_source: bool, draft: &mut Draft<'_>) {
    let (host, port) = text.split_once('(').unwrap_or((text, ""));
    endpoint(host, port.split(')').next().unwrap_or_default(), is_source, draft);
}

/// `192.0.2.1/443`
fn put_endpoint(text: &str, is_source: bool, draft: &mut Draft<'_>) {
    let (host, port) = text.split_once('/').unwrap_or((text, ""));
    endpoint(host, port, is_source, draft);
}

fn endpoint(host: &str, port: &str, is_source: bool, draft: &mut Draft<'_>) {
    let host = host.trim_matches(['\'', '"', ',', '(', ')']);
    if is_source {
        draft.source(host);
    } else if let Some(address) = super::draft::address(host) {
        draft.put_ip(fields::DESTINATION_IP, address);
    } else {
        draft.str(fields::DESTINATION_DOMAIN, host);
    }
    // ICMP has a code there, and a port may be a service's name.
    if is_number(port) {
        draft.number(if is_source { fields::SOURCE_PORT } else { fields::DESTINATION_PORT }, port);
    }
}

fn transport(name: &str, draft: &mut Draft<'_>) {
    match name {
        "tcp" => draft.name(fields::NETWORK_TRANSPORT, "tcp"),
        "udp" => draft.name(fields::NETWORK_TRANSPORT, "udp"),
        "icmp" => draft.name(fields::NETWORK_TRANSPORT, "icmp"),
        "gre" => draft.name(fields::NETWORK_TRANSPORT, "gre"),
        other => draft.str(fields::NETWORK_TRANSPORT, other),
    }
}

/// `h:mm:ss` in nanoseconds.
fn clock_nanos(text: &str) -> Option<i64> {
    let mut seconds = 0i64;
    for part in text.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    seconds.checked_mul(1_000_000_000)
}

/// Who and whence, in any of the forms the guides give.
fn login(outcome: &'static str, text: &str, draft: &mut Draft<'_>) {
    draft.event("authentication", "login", outcome);
    let user = between(text, "user = ", " ")
        .or_else(|| between(text, "user \"", "\""))
        .or_else(|| between(text, "User <", ">"))
        .or_else(|| between(text, "for user ", " "));
    if let Some((user, _)) = user {
        draft.str(fields::USER_NAME, user.trim_matches(['\'', '"', '<', '>', ':', ',']));
    } else if let Some((_, user)) = text.rsplit_once("user = ").or_else(|| text.rsplit_once("for user ")) {
        draft.str(fields::USER_NAME, user.trim().trim_matches(['\'', '"']));
    }
    if let Some((from, _)) =
        between(text, "user IP = ", " ").or_else(|| between(text, "IP <", ">")).or_else(|| between(text, " from ", " "))
    {
        put_endpoint(from, true, draft);
    } else if let Some((_, from)) = text.rsplit_once("user IP = ") {
        put_endpoint(from.trim(), true, draft);
    }
    if let Some((reason, _)) = between(text, "reason = ", " :") {
        draft.str(fields::EVENT_REASON, reason.trim());
    }
}

fn ios(code: &str, text: &str, draft: &mut Draft<'_>) {
    match code {
        // list 102 denied tcp 192.0.2.1(1234) -> 10.0.0.1(23), 1 packet
        "IPACCESSLOGP" | "IPACCESSLOGDP" | "IPACCESSLOGS" | "IPACCESSLOGNP" | "IPACCESSLOGRP" | "ACCESSLOGP" | "ACCESSLOGDP" => {
            draft.verdict(Some(text.contains(" permitted ")));
            let rule = text.strip_prefix("list ").or_else(|| text.strip_prefix("access-list "));
            draft.str(fields::RULE_NAME, rule.and_then(|rest| rest.split(['/', ' ']).next()).unwrap_or_default());
            let Some((_, rest)) = text.split_once(" denied ").or_else(|| text.split_once(" permitted ")) else { return };
            let (name, rest) = word(rest).unwrap_or((rest, ""));
            if super::draft::address(name).is_some() {
                draft.source(name);
                return;
            }
            transport(name, draft);
            if let Some((source, destination)) = rest.split_once(" -> ") {
                paren_endpoint(source.split(' ').next().unwrap_or_default(), true, draft);
                paren_endpoint(destination.split([',', ' ']).next().unwrap_or_default(), false, draft);
            }
        }
        // Login failed [user: admin] [Source: 192.0.2.1] [localport: 22] [Reason: Login Authentication Failed] at …
        "LOGIN_FAILED" | "LOGIN_SUCCESS" => {
            draft.event("authentication", "login", if code == "LOGIN_FAILED" { "failure" } else { "success" });
            if let Some((user, _)) = between(text, "[user: ", "]") {
                draft.str(fields::USER_NAME, user);
            }
            if let Some((source, _)) = between(text, "[Source: ", "]") {
                draft.source(source);
            }
            if let Some((port, _)) = between(text, "[localport: ", "]") {
                draft.optional(fields::DESTINATION_PORT, port);
            }
            if let Some((reason, _)) = between(text, "[Reason: ", "]") {
                draft.str(fields::EVENT_REASON, reason);
            }
        }
        // Configured from console by admin on vty0 (192.0.2.1)
        "CONFIG_I" => {
            draft.event("configuration", "configuration_changed", "success");
            if let Some((_, rest)) = text.split_once(" by ") {
                draft.str(fields::USER_NAME, rest.split(' ').next().unwrap_or_default());
                if let Some((from, _)) = between(rest, "(", ")") {
                    draft.source(from);
                }
            }
        }
        "UPDOWN" | "CHANGED" => draft.event("network", "interface_state", ""),
        _ => {}
    }
}

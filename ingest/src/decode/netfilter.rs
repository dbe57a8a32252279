//! Linux' packet filter: what `iptables -j LOG`, nftables and ufw leave in the kernel's log. The words before `IN=`
//! are whatever the administrator chose; from them we read whether the packet was stopped. Without such a word
//! the action is `logged`: the kernel does not say.

use memchr::memmem;

use super::Look;
use super::draft::Draft;
use super::kv::{self, Item};
use crate::fields;
use crate::flow::protocol_name;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    matches!(look.app, "" | "kernel" | "ulogd" | "vmunix") && memmem::find(look.text.as_bytes(), b"IN=").is_some()
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((prefix, packet)) = split(look.text) else { return false };
    draft.name(fields::EVENT_MODULE, "iptables");
    draft.name(fields::EVENT_CATEGORY, "network");
    draft.name(fields::EVENT_TYPE, "connection");
    let (prefix, described) = described(prefix);
    let (action, verdict) = unifi_verdict(prefix).unwrap_or_else(|| verdict(prefix));
    draft.name(fields::EVENT_ACTION, action);
    if let Some((kind, outcome)) = verdict {
        draft.name(fields::EVENT_TYPE, kind);
        draft.name(fields::EVENT_OUTCOME, outcome);
    }
    match described {
        "" | "no rule description" => draft.str(fields::RULE_NAME, prefix),
        described => {
            draft.str(fields::RULE_NAME, described);
            draft.str(fields::RULE_ID, prefix);
        }
    }
    fields_of(packet, draft);
    true
}

/// The administrator's words and the packet. A packet has an ingress, an egress and addresses.
fn split(text: &str) -> Option<(&str, &str)> {
    let at = text
        .match_indices("IN=")
        .map(|(at, _)| at)
        .find(|at| *at == 0 || !text.as_bytes().get(at - 1).is_some_and(u8::is_ascii_alphabetic))?;
    let (prefix, packet) = text.split_at_checked(at)?;
    let whole = packet.contains(" OUT=") && packet.contains(" SRC=") && packet.contains(" DST=");
    whole.then_some((bare(prefix), packet))
}

/// `[19955416.516358] [UFW BLOCK] ` becomes `UFW BLOCK`.
fn bare(prefix: &str) -> &str {
    let prefix = prefix.trim();
    let behind = prefix.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let prefix = match behind {
        Some((uptime, rest)) if uptime.trim().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => rest,
        _ => prefix,
    };
    prefix.trim_matches([' ', '[', ']', ':', '-', '|', ','])
}

/// UniFi gateways write the rule's description behind its mark: `[LAN_IN-A-10000] DESCR="Drucker" IN=…`.
fn described(prefix: &str) -> (&str, &str) {
    match prefix.split_once("DESCR=\"") {
        Some((mark, description)) => (bare(mark), description.split('"').next().unwrap_or(description)),
        None => (prefix, ""),
    }
}

/// The letter in UniFi's marks, `WAN_LOCAL-default-D` and `LAN_IN-A-10000`: accept, drop, reject, return.
fn unifi_verdict(mark: &str) -> Option<(&'static str, Option<(&'static str, &'static str)>)> {
    let mut parts = mark.rsplitn(3, '-');
    let (last, middle, chain) = (parts.next()?, parts.next()?, parts.next()?);
    let letter = if middle == "default" { last } else { Some(middle).filter(|_| last.bytes().all(|byte| byte.is_ascii_digit()))? };
    if !chain.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_') {
        return None;
    }
    match letter {
        "A" => Some(("allowed", Some(("allowed", "success")))),
        "D" | "R" => Some(("blocked", Some(("denied", "failure")))),
        "RET" => Some(("logged", None)),
        _ => None,
    }
}

fn verdict(prefix: &str) -> (&'static str, Option<(&'static str, &'static str)>) {
    const DENIED: [&str; 4] = ["BLOCK", "DROP", "DEN", "REJECT"];
    const ALLOWED: [&str; 3] = ["ALLOW", "ACCEPT", "PASS"];
    let says = |words: &[&str]| {
        words.iter().any(|word| prefix.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes())))
    };
    if says(&DENIED) {
        ("blocked", Some(("denied", "failure")))
    } else if says(&ALLOWED) {
        ("allowed", Some(("allowed", "success")))
    } else {
        ("logged", None)
    }
}

fn fields_of(packet: &str, draft: &mut Draft<'_>) {
    let (mut ingress, mut egress) = ("", "");
    let mut length_seen = false;
    for item in kv::items(packet) {
        let pair = match item {
            // An ICMP error quotes the packet it speaks of in brackets: that one was not filtered here.
            Item::Word(word) if word.starts_with('[') => break,
            Item::Word(flag @ ("SYN" | "ACK" | "FIN" | "RST" | "PSH" | "URG")) => {
                draft.vendor("iptables", "tcp_flags", flag);
                continue;
            }
            Item::Word(_) => continue,
            Item::Pair(pair) => pair,
        };
        match pair.key {
            "IN" => ingress = pair.value,
            "OUT" => egress = pair.value,
            "MAC" => mac(pair.value, draft),
            "SRC" => draft.ip(fields::SOURCE_IP, pair.value),
            "DST" => draft.ip(fields::DESTINATION_IP, pair.value),
            "SPT" => draft.number(fields::SOURCE_PORT, pair.value),
            "DPT" => draft.number(fields::DESTINATION_PORT, pair.value),
            // The second LEN is the UDP datagram's.
            "LEN" if !length_seen => {
                length_seen = true;
                draft.number(fields::NETWORK_BYTES, pair.value);
            }
            "PROTO" => transport(pair.value, draft),
            "TTL" | "HOPLIMIT" => draft.vendor("iptables", "ttl", pair.value),
            "TYPE" => draft.vendor("iptables", "icmp_type", pair.value),
            "CODE" => draft.vendor("iptables", "icmp_code", pair.value),
            _ => {}
        }
    }
    draft.str(fields::OBSERVER_INGRESS_INTERFACE, ingress);
    draft.str(fields::OBSERVER_EGRESS_INTERFACE, egress);
    match (ingress.is_empty(), egress.is_empty()) {
        (false, true) => draft.name(fields::NETWORK_DIRECTION, "inbound"),
        (true, false) => draft.name(fields::NETWORK_DIRECTION, "outbound"),
        // Forwarded: which side is ours the line does not say.
        _ => {}
    }
}

/// `destination:source:ethertype`, 6 + 6 + 2 bytes.
fn mac(value: &str, draft: &mut Draft<'_>) {
    const BYTES: usize = "00:00:00:00:00:00".len();
    if let Some(destination) = value.get(..BYTES) {
        draft.str(fields::DESTINATION_MAC, destination);
    }
    if let Some(source) = value.get(BYTES + 1..2 * BYTES + 1) {
        draft.str(fields::SOURCE_MAC, source);
    }
}

fn transport(value: &str, draft: &mut Draft<'_>) {
    let name = match value {
        "TCP" => Some("tcp"),
        "UDP" => Some("udp"),
        "ICMP" => Some("icmp"),
        "ICMPv6" => Some("ipv6-icmp"),
        "SCTP" => Some("sctp"),
        "ESP" => Some("esp"),
        "AH" => Some("ah"),
        _ => value.parse().ok().and_then(protocol_name),
    };
    match name {
        Some(name) => draft.name(fields::NETWORK_TRANSPORT, name),
        None => draft.str(fields::NETWORK_TRANSPORT, value),
    }
}

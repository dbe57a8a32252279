//! MikroTik's RouterOS: `topics,severity prefix chain: in:… out:…, … proto TCP (SYN), a:1->b:2, len 40` and the logins.
//! RouterOS writes its topics where others write a program; what has another form stays as it is.

use super::Look;
use super::draft::Draft;
use super::part::{between, word};
use crate::fields;

const TOPICS: [&str; 5] = ["firewall", "system", "account", "critical", "error"];

/// Words before the topics: a time and a host, where a relay wrote a line without a program's name.
const WORDS_BEFORE_MAX: usize = 2;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.text.split(' ').take(WORDS_BEFORE_MAX + 1).any(are_topics)
}

fn are_topics(word: &str) -> bool {
    word.contains(',') && word.split(',').any(|topic| TOPICS.contains(&topic))
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let (mut host, mut rest) = ("", look.text);
    let (topics, text) = loop {
        let Some((first, behind)) = word(rest) else { return false };
        if are_topics(first) {
            break (first, behind);
        }
        (host, rest) = (first, behind);
    };
    let known = read(topics, text, draft);
    if known && !draft.has(fields::HOST_NAME) {
        draft.str(fields::HOST_NAME, host);
    }
    known
}

fn read(topics: &str, text: &str, draft: &mut Draft<'_>) -> bool {
    if let Some(packet) = text.find(" in:").filter(|_| text.contains("->")) {
        return packet_of(topics, text, packet, draft);
    }
    let login = ["login failure for user ", "user "].into_iter().find_map(|opening| Some((opening, text.strip_prefix(opening)?)));
    let Some((opening, rest)) = login else { return false };
    let failed = opening.starts_with("login failure");
    // A user's name may hold blanks: address and service are read from the right.
    let Some((before, via)) = rest.rsplit_once(" via ") else { return false };
    let Some((user, from)) =
        before.rsplit_once(if failed { " from " } else { " logged in from " }).or_else(|| before.rsplit_once(" logged out from "))
    else {
        return false;
    };
    put_topics(topics, draft);
    let action = if before.contains(" logged out from ") { "logout" } else { "login" };
    draft.event("authentication", action, if failed { "failure" } else { "success" });
    draft.str(fields::USER_NAME, user);
    draft.source(from);
    draft.vendor("mikrotik", "service", via);
    true
}

fn put_topics(topics: &str, draft: &mut Draft<'_>) {
    draft.name(fields::EVENT_MODULE, "mikrotik");
    draft.vendor("mikrotik", "topics", topics);
}

fn packet_of(topics: &str, text: &str, at: usize, draft: &mut Draft<'_>) -> bool {
    let Some((before, packet)) = text.split_at_checked(at) else { return false };
    let (prefix, chain) = before.trim_end_matches(':').rsplit_once(' ').unwrap_or(("", before.trim_end_matches(':')));
    put_topics(topics, draft);
    let lower = prefix.to_ascii_lowercase();
    draft.verdict(if ["drop", "deny", "block", "reject"].iter().any(|word| lower.contains(word)) {
        Some(false)
    } else if ["accept", "allow", "pass"].iter().any(|word| lower.contains(word)) {
        Some(true)
    } else {
        None
    });
    draft.str(fields::RULE_NAME, prefix);
    draft.vendor("mikrotik", "chain", chain);
    let interface = |name: &str| between(packet, name, ",").or_else(|| between(packet, name, " ")).map(|(text, _)| text);
    // `in:ether1 out:(unknown 0), …`: the ingress ends at the blank before `out:`.
    if let Some((ingress, _)) = between(packet, " in:", " out:") {
        draft.str(fields::OBSERVER_INGRESS_INTERFACE, ingress);
    }
    if let Some(egress) = interface(" out:").filter(|egress| !egress.starts_with("(unknown")) {
        draft.str(fields::OBSERVER_EGRESS_INTERFACE, egress);
    }
    if let Some((mac, _)) = between(packet, "src-mac ", ",") {
        draft.str(fields::SOURCE_MAC, mac);
    }
    if let Some((state, _)) = between(packet, "connection-state:", " ") {
        draft.vendor("mikrotik", "connection_state", state.trim_end_matches(','));
    }
    if let Some((_, rest)) = packet.split_once("proto ") {
        let (proto, _) = rest.split_once(',').unwrap_or((rest, ""));
        let (proto, flags) = proto.split_once(" (").unwrap_or((proto, ""));
        put_transport(proto, draft);
        draft.vendor("mikrotik", "flags", flags.trim_end_matches(')'));
    }
    if let Some((source, destination)) = packet.split(", ").find_map(|part| part.split_once("->")) {
        draft.source_endpoint(source);
        draft.destination_endpoint(destination);
    }
    if let Some((_, length)) = packet.rsplit_once(", len ") {
        draft.optional(fields::NETWORK_BYTES, length.split([' ', ',']).next().unwrap_or_default());
    }
    true
}

fn put_transport(proto: &str, draft: &mut Draft<'_>) {
    match proto {
        "TCP" => draft.name(fields::NETWORK_TRANSPORT, "tcp"),
        "UDP" => draft.name(fields::NETWORK_TRANSPORT, "udp"),
        "ICMP" => draft.name(fields::NETWORK_TRANSPORT, "icmp"),
        "ICMPv6" => draft.name(fields::NETWORK_TRANSPORT, "ipv6-icmp"),
        other => draft.str(fields::NETWORK_TRANSPORT, other),
    }
}

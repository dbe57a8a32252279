//! MikroTik's RouterOS: `topics,severity prefix chain: in:… out:…, … proto TCP (SYN), a:1->b:2, len 40` and the logins.
//! RouterOS writes its topics where others write a program; what has another form stays as it is.

use super::Look;
use super::draft::Draft;
use super::part::{between, word};
use crate::fields;

/// Of a line's topics, one of these at least; the others are severities.
const TOPICS: [&str; 17] = [
    "firewall",
    "system",
    "account",
    "critical",
    "error",
    "dhcp",
    "ppp",
    "pppoe",
    "ipsec",
    "l2tp",
    "sstp",
    "ovpn",
    "pptp",
    "interface",
    "wireless",
    "hotspot",
    "wireguard",
];

/// Words before the topics: a time and a host, where a relay wrote a line without a program's name.
const WORDS_BEFORE_MAX: usize = 2;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.is_of(&["mikrotik", "routeros"]) && look.text.split(' ').take(WORDS_BEFORE_MAX + 1).any(are_topics)
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
    let Some((opening, rest)) = login.filter(|_| text.contains(" via ")) else { return other(topics, text, draft) };
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

/// What is neither a packet nor a login: leases, tunnels, interfaces, changed settings.
fn other(topics: &str, text: &str, draft: &mut Draft<'_>) -> bool {
    let topic = |wanted: &str| topics.split(',').any(|topic| topic == wanted);
    if topic("dhcp") {
        return lease(topics, text, draft);
    }
    if topic("ipsec") {
        put_topics(topics, draft);
        return ipsec(text, draft);
    }
    if topic("ppp") || topic("pppoe") || topic("l2tp") || topic("sstp") || topic("ovpn") || topic("pptp") {
        put_topics(topics, draft);
        return ppp(text, draft);
    }
    if topic("interface") && (text.contains(" link up") || text.contains(" link down")) {
        put_topics(topics, draft);
        draft.event("network", "interface_state", "");
        draft.vendor("mikrotik", "interface", text.split(" link ").next().unwrap_or_default());
        return true;
    }
    // `AA:BB:CC:DD:EE:FF@wlan1: disconnected, …`
    if let (true, Some((station, what))) = (topic("wireless"), text.split_once(": ")) {
        put_topics(topics, draft);
        let (mac, interface) = station.split_once('@').unwrap_or((station, ""));
        draft.event("network", if what.starts_with("connected") { "wlan_connected" } else { "wlan_disconnected" }, "");
        draft.str(fields::SOURCE_MAC, mac);
        draft.vendor("mikrotik", "interface", interface);
        return true;
    }
    // `filter rule changed by anna`, since RouterOS 7 `… by winbox:anna@192.0.2.1 (…)`
    let changed = [" changed by ", " added by ", " removed by ", " moved by "].into_iter().find_map(|mark| text.split_once(mark));
    if let (true, Some((object, by))) = (topic("system"), changed) {
        put_topics(topics, draft);
        draft.event("configuration", "configuration_changed", "success");
        draft.vendor("mikrotik", "object", object);
        let who = by.split(' ').next().unwrap_or(by);
        let (who, from) = who.rsplit_once('@').unwrap_or((who, ""));
        let (service, user) = who.rsplit_once(':').unwrap_or(("", who));
        draft.str(fields::USER_NAME, user);
        draft.vendor("mikrotik", "service", service);
        draft.source(from.split('/').next().unwrap_or(from));
        return true;
    }
    false
}

/// `dhcp1 assigned 10.0.0.7 to 00:00:5E:00:53:01`, since RouterOS 7 `… for 00:00:5E:00:53:01 pc-7`.
fn lease(topics: &str, text: &str, draft: &mut Draft<'_>) -> bool {
    let found = [(" deassigned ", "dhcp_release"), (" assigned ", "dhcp_lease")]
        .into_iter()
        .find_map(|(mark, action)| text.split_once(mark).map(|(server, rest)| (server, rest, action)));
    let Some((server, rest, action)) = found else { return false };
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    let (Some(address), Some(_), Some(mac)) = (words.next(), words.next(), words.next()) else { return false };
    put_topics(topics, draft);
    draft.event("network", action, "success");
    draft.name(fields::NETWORK_PROTOCOL, "dhcp");
    draft.vendor("mikrotik", "server", server);
    draft.ip(fields::SOURCE_IP, address);
    draft.str(fields::SOURCE_MAC, mac);
    draft.str(fields::SOURCE_DOMAIN, words.next().unwrap_or_default());
    true
}

/// `anna logged in, 10.9.0.7 from 192.0.2.1`, `anna logged out, 3600 …`, `<pppoe-anna>: terminating... - hungup`, `<l2tp-anna>: authenticated`.
fn ppp(text: &str, draft: &mut Draft<'_>) -> bool {
    if let Some((user, rest)) = text.split_once(" logged in, ") {
        draft.event("authentication", "vpn_login", "success");
        draft.str(fields::USER_NAME, user);
        let (given, from) = rest.split_once(" from ").unwrap_or((rest, ""));
        draft.vendor("mikrotik", "assigned_ip", given);
        draft.source(from);
        return true;
    }
    if let Some((user, _)) = text.split_once(" logged out, ") {
        draft.event("session", "vpn_logout", "success");
        draft.str(fields::USER_NAME, user);
        return true;
    }
    let (interface, what) = text.split_once(": ").unwrap_or(("", text));
    draft.vendor("mikrotik", "interface", interface);
    if what.contains("authentication failed") {
        draft.event("authentication", "vpn_login", "failure");
        // `<l2tp-anna>: user anna authentication failed`
        draft.str(fields::USER_NAME, between(what, "user ", " ").map_or("", |(user, _)| user));
    } else if let Some((_, reason)) = what.split_once("terminating...") {
        draft.event("network", "vpn_terminated", "");
        draft.str(fields::EVENT_REASON, reason.trim_start_matches([' ', '-']));
    } else {
        draft.name(fields::EVENT_CATEGORY, "network");
    }
    true
}

/// `phase1 negotiation failed due to time up 192.0.2.1[500]<=>203.0.113.9[500] …`, `new ike2 SA (R): peer 192.0.2.1[4500]-203.0.113.9[4500] spi:…`.
fn ipsec(text: &str, draft: &mut Draft<'_>) -> bool {
    let failed = text.contains("failed") || text.contains("error") || text.contains("no suitable proposal");
    let action = match text {
        _ if text.starts_with("new ike") || text.contains("ISAKMP-SA established") => "vpn_established",
        _ if text.starts_with("killing ike") || text.contains("ISAKMP-SA deleted") => "vpn_terminated",
        _ if failed => "ike_negotiation",
        _ => "vpn",
    };
    draft.event("network", action, if failed { "failure" } else { "" });
    if failed {
        draft.str(fields::EVENT_REASON, text);
    }
    let peers = text.split(' ').find_map(|word| word.split_once("]<=>").or_else(|| word.split_once("]-")));
    if let Some((ours, peer)) = peers {
        // The peer is the source, whoever began.
        for (text, is_source) in [(peer, true), (ours, false)] {
            let (host, port) = text.split_once('[').unwrap_or((text, ""));
            let port = port.split(']').next().unwrap_or_default();
            if is_source {
                draft.source(host);
                draft.optional(fields::SOURCE_PORT, port);
            } else {
                draft.optional(fields::DESTINATION_IP, host);
                draft.optional(fields::DESTINATION_PORT, port);
            }
        }
    }
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

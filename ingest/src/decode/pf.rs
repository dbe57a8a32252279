//! The packet filter of OpenBSD and FreeBSD as tcpdump prints its log: `rule 2/0(match): block in on em0: 192.0.2.1.4711 >
//! 198.51.100.1.22: Flags [S], …`. OPNsense's and pfSense's comma-separated form is `filterlog`'s.

use memchr::memmem;

use super::Look;
use super::draft::{Draft, address};
use super::part::{between, is_number, word};
use crate::fields;

/// An uptime or a time may stand before the rule, and its number be of three parts.
const HEAD_BYTES: usize = 96;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    let text = look.text.as_bytes();
    let head = text.get(..HEAD_BYTES).unwrap_or(text);
    // `logger -t pf`, `pflogd`, `tcpdump`.
    look.is_of(&["pf", "tcpdump"]) && memmem::find(head, b"(match)").is_some() && memmem::find(head, b"rule ").is_some()
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((_, text)) = look.text.split_once("rule ") else { return false };
    let Some((rule, rest)) = text.split_once("(match)") else { return false };
    let mut rest = rest.trim_start_matches([':', ' ']);
    // OpenBSD names the socket's owner: `[uid 0, pid 812] `.
    if let Some((_, behind)) = super::part::bracketed(rest) {
        rest = behind;
    }
    let Some((action, rest)) = word(rest) else { return false };
    let Some((direction, rest)) = word(rest) else { return false };
    let Some((interface, packet)) = rest.strip_prefix("on ").and_then(|rest| rest.split_once(": ")) else { return false };
    if rule.len() > HEAD_BYTES || !matches!(direction, "in" | "out") || interface.contains(' ') {
        return false;
    }
    draft.name(fields::EVENT_MODULE, "pf");
    // `55..16777216/0`: the rule, and those of anchors within it.
    let (number, sub_rule) = rule.split_once('/').unwrap_or((rule, ""));
    draft.str(fields::RULE_ID, number);
    draft.vendor("pf", "subrule", sub_rule);
    draft.vendor("pf", "action", action);
    draft.verdict(match action {
        "pass" | "rdr" | "nat" | "binat" | "match" => Some(true),
        "block" => Some(false),
        _ => None,
    });
    if direction == "in" {
        draft.name(fields::NETWORK_DIRECTION, "inbound");
        draft.str(fields::OBSERVER_INGRESS_INTERFACE, interface);
    } else {
        draft.name(fields::NETWORK_DIRECTION, "outbound");
        draft.str(fields::OBSERVER_EGRESS_INTERFACE, interface);
    }
    packet_of(packet, draft);
    true
}

fn packet_of(packet: &str, draft: &mut Draft<'_>) {
    // `tcpdump -v`: `(tos 0x0, ttl 128, id 58078, offset 0, flags [none], proto UDP (17), length 1052) `.
    let (verbose, packet) = match packet.strip_prefix('(').and_then(|rest| rest.split_once(") ").filter(|_| rest.contains("proto "))) {
        // The protocol's number stands in brackets of its own.
        Some((head, rest)) if head.ends_with(|char: char| char.is_ascii_digit()) && rest.contains(" > ") => (head, rest),
        _ => ("", packet),
    };
    let Some((source, rest)) = packet.trim_start().split_once(" > ") else { return };
    let source = source.rsplit(' ').next().unwrap_or(source);
    let (destination, what) = rest.split_once(": ").unwrap_or((rest, ""));
    endpoint(source, true, draft);
    endpoint(destination.trim_end_matches(':'), false, draft);
    let named = between(verbose, "proto ", " ").map(|(name, _)| name).or_else(|| between(packet, "proto ", " ").map(|(name, _)| name));
    let transport = named.unwrap_or(match what {
        _ if what.starts_with("Flags [") || what.starts_with("S ") => "tcp",
        _ if what.contains("ICMP6") || what.starts_with("icmp6:") => "ipv6-icmp",
        _ if what.starts_with("ICMP") || what.starts_with("icmp:") => "icmp",
        _ if what.starts_with("UDP") || what.starts_with("udp ") || what.starts_with("NTP") => "udp",
        _ if what.starts_with("ESP") => "esp",
        _ => "",
    });
    if !transport.is_empty() {
        draft.transport(transport.trim_end_matches(','));
    }
    if let Some((flags, _)) = between(what, "Flags [", "]") {
        draft.vendor("pf", "tcp_flags", flags);
    }
    if let Some((_, length)) = verbose.rsplit_once("length ") {
        draft.optional(fields::NETWORK_BYTES, length);
    }
}

/// `192.0.2.1.4711`, `2001:db8::1.53`, `192.0.2.1`: the port stands behind one point more than the address has.
fn endpoint(text: &str, is_source: bool, draft: &mut Draft<'_>) {
    let (ip, port) = if is_source { (fields::SOURCE_IP, fields::SOURCE_PORT) } else { (fields::DESTINATION_IP, fields::DESTINATION_PORT) };
    if let Some(address) = address(text) {
        return draft.put_ip(ip, address);
    }
    let (host, number) = text.rsplit_once('.').unwrap_or((text, ""));
    draft.ip(ip, host);
    // Without `tcpdump -n` a service's name stands there.
    if is_number(number) {
        draft.number(port, number);
    }
}

//! DHCP: ISC's dhcpd, Kea and dnsmasq. Who got which address: `source.ip`, `source.mac` and `source.domain` are the client's,
//! and `event.action=dhcp_lease` says that it has the address now.

use super::Look;
use super::draft::{Draft, address};
use super::part::{between, word};
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    matches!(look.app, "dhcpd" | "kea-dhcp4" | "kea-dhcp6" | "dnsmasq-dhcp" | "dhclient") 
        // A lease that was never given would name the wrong machine for hours.
        || look.text.contains("DHCP") && look.is_of(&["dhc", "dnsmasq", "kea", "networkd", "networkmanager"])
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some(text) = look.text.find("DHCP").and_then(|at| look.text.get(at..)) else { return v6(look.text, draft) };
    let Some((first, rest)) = word(text) else { return false };
    if first.starts_with("DHCP4_") || first.starts_with("DHCP6_") {
        return kea(first, rest, draft);
    }
    let (kind, interface) = match first.split_once('(') {
        Some((kind, interface)) => (kind, interface.trim_end_matches([')', ':'])),
        None => (first, ""),
    };
    let Some((_, action)) = KINDS.iter().find(|(name, _)| *name == kind) else { return false };
    start(action, draft);
    if interface.is_empty() {
        isc(rest, draft);
    } else {
        dnsmasq(rest, draft);
        draft.str(fields::OBSERVER_INGRESS_INTERFACE, interface);
    }
    true
}

const KINDS: &[(&str, &str)] = &[
    ("DHCPACK", "dhcp_lease"),
    ("DHCPREPLY", "dhcp_lease"),
    ("DHCPREQUEST", "dhcp_request"),
    ("DHCPRENEW", "dhcp_request"),
    ("DHCPREBIND", "dhcp_request"),
    ("DHCPDISCOVER", "dhcp_discover"),
    ("DHCPSOLICIT", "dhcp_discover"),
    ("DHCPOFFER", "dhcp_offer"),
    ("DHCPADVERTISE", "dhcp_offer"),
    ("DHCPRELEASE", "dhcp_release"),
    ("DHCPINFORM", "dhcp_inform"),
    ("DHCPNAK", "dhcp_refused"),
    ("DHCPDECLINE", "dhcp_refused"),
];

fn start(action: &'static str, draft: &mut Draft<'_>) {
    draft.name(fields::EVENT_MODULE, "dhcp");
    draft.event("network", action, if action == "dhcp_refused" { "failure" } else { "success" });
    draft.name(fields::NETWORK_PROTOCOL, "dhcp");
}

fn is_mac(word: &str) -> bool {
    word.len() == 17 && word.bytes().enumerate().all(|(at, byte)| if at % 3 == 2 { byte == b':' } else { byte.is_ascii_hexdigit() })
}

/// `on 10.0.0.7 to 00:11:22:33:44:55 (pc-7) via eth0`, `for 10.0.0.7 (10.0.0.1) from 00:11:22:33:44:55 (pc-7) via eth0: why not`,
/// `to 10.0.0.7 (00:11:22:33:44:55) via eth0`
fn isc(rest: &str, draft: &mut Draft<'_>) {
    // A host's name may be anything: the interface stands behind the last ` via `.
    let (rest, via) = rest.rsplit_once(" via ").unwrap_or((rest, ""));
    let (interface, reason) = via.split_once(": ").unwrap_or((via, ""));
    // With a relay it is its address.
    match address(interface) {
        Some(_) => draft.vendor("dhcp", "relay", interface),
        None => draft.str(fields::OBSERVER_INGRESS_INTERFACE, interface.split(' ').next().unwrap_or_default()),
    }
    draft.str(fields::EVENT_REASON, reason);
    let bare = |word: &'_ str| -> (usize, usize) { (word.len() - word.trim_start_matches('(').len(), word.trim_end_matches(')').len()) };
    let mut behind_mac = "";
    for part in rest.split(' ') {
        let (from, to) = bare(part);
        let inner = part.get(from..to.max(from)).unwrap_or_default();
        if is_mac(inner) && !draft.has(fields::SOURCE_MAC) {
            draft.str(fields::SOURCE_MAC, inner);
            behind_mac = rest.split_once(part).map_or("", |(_, behind)| behind.trim());
        } else if !draft.has(fields::SOURCE_IP)
            && let Some(address) = address(inner)
        {
            draft.put_ip(fields::SOURCE_IP, address);
        }
    }
    if let Some(name) = behind_mac.strip_prefix('(').and_then(|name| name.rsplit_once(')')).map(|(name, _)| name) {
        draft.str(fields::SOURCE_DOMAIN, name);
    }
}

/// `10.0.0.7 00:11:22:33:44:55 pc-7`, `2001:db8::7 00:01:00:01:2b:… pc-7`
fn dnsmasq(rest: &str, draft: &mut Draft<'_>) {
    let (first, behind) = word(rest).unwrap_or((rest, ""));
    let (client, name) = match address(first).filter(|_| !is_mac(first)) {
        Some(address) => {
            draft.put_ip(fields::SOURCE_IP, address);
            word(behind).unwrap_or((behind, ""))
        }
        None => (first, behind),
    };
    if is_mac(client) {
        draft.str(fields::SOURCE_MAC, client);
    } else {
        draft.vendor("dhcp", "duid", client);
    }
    if draft.text(fields::EVENT_ACTION) == Some("dhcp_refused") {
        draft.str(fields::EVENT_REASON, name);
    } else {
        draft.str(fields::SOURCE_DOMAIN, name);
    }
}

/// `DHCP4_LEASE_ALLOC [hwtype=1 00:11:22:33:44:55], cid=[01:…], tid=0xc288f9: lease 192.0.2.10 has been allocated for 3600 seconds`
fn kea(id: &str, rest: &str, draft: &mut Draft<'_>) -> bool {
    let action = match id.get("DHCP4_".len()..).unwrap_or_default() {
        "LEASE_ALLOC" | "LEASE_REUSE" | "LEASE_RENEW" => "dhcp_lease",
        "LEASE_ADVERT" | "LEASE_OFFER" => "dhcp_offer",
        "RELEASE" | "RELEASE_NA" | "RELEASE_NA_DELETED" | "RELEASE_NA_EXPIRED" => "dhcp_release",
        "DECLINE_LEASE" | "LEASE_ALLOC_FAIL" => "dhcp_refused",
        other if other.starts_with("PACKET_NAK") => "dhcp_refused",
        _ => "dhcp",
    };
    start(action, draft);
    draft.str(fields::EVENT_CODE, id);
    if let Some((mac, _)) =
        between(rest, "[hwtype=", "]").and_then(|(inner, rest)| Some((inner.split_once(' ')?.1, rest))).filter(|(mac, _)| is_mac(mac))
    {
        draft.str(fields::SOURCE_MAC, mac);
    }
    if let Some((duid, _)) = between(rest, "duid=[", "]") {
        draft.vendor("dhcp", "duid", duid);
    }
    let text = rest.split_once(": ").map_or(rest, |(_, text)| text);
    let found = [" address ", "lease ", "address ", "for addr "].iter().find_map(|mark| {
        let (_, rest) = text.split_once(mark)?;
        address(rest.split(' ').next()?)
    });
    if let Some(address) = found {
        draft.put_ip(fields::SOURCE_IP, address);
    }
    if let Some((seconds, _)) = between(text, "allocated for ", " ") {
        draft.vendor("dhcp", "lease_seconds", seconds);
    }
    if action == "dhcp_refused" {
        draft.str(fields::EVENT_REASON, text);
    }
    true
}

/// dhcpd over IPv6: `Reply NA: address 2001:db8::7 to client with duid 00:01:… iaid = 1 valid for 3600 seconds`
fn v6(text: &str, draft: &mut Draft<'_>) -> bool {
    let action = match text {
        _ if text.starts_with("Reply NA: address ") => "dhcp_lease",
        _ if text.starts_with("Advertise NA: address ") => "dhcp_offer",
        _ => return false,
    };
    let Some((address, rest)) = between(text, ": address ", " ") else { return false };
    start(action, draft);
    draft.optional(fields::SOURCE_IP, address);
    draft.vendor("dhcp", "duid", between(rest, "duid ", " ").map_or("", |(duid, _)| duid));
    draft.vendor("dhcp", "lease_seconds", between(rest, "valid for ", " ").map_or("", |(seconds, _)| seconds));
    true
}

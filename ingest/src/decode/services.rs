//! Smaller voices: Squid's access log, DHCP leases (ISC, Kea, dnsmasq), OPNsense's web interface.

use super::Look;
use super::draft::Draft;
use super::http_access::put_target;
use super::part::{between, is_number, word};
use crate::fields;
use crate::syslog::{self, Stamp};

pub(super) fn first_look(look: &Look<'_>) -> bool {
    matches!(look.app, "dhcpd" | "kea-dhcp4" | "dnsmasq-dhcp" | "squid" | "audit")
        || look.text.contains("TCP_")
        || look.text.contains("DHCP")
        || look.text.contains("Web GUI authentication")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    squid(look.text, draft) || dhcp(look, draft) || opnsense(look.text, draft)
}

/// `1773471600.123    45 10.0.0.7 TCP_MISS/200 1234 GET http://example.net/ anna HIER_DIRECT/203.0.113.9 text/html`
fn squid(text: &str, draft: &mut Draft<'_>) -> bool {
    let words: Vec<&str> = text.split_ascii_whitespace().take(10).collect();
    let at = words.iter().position(|word| word.starts_with("TCP_") || word.starts_with("UDP_") || word.starts_with("NONE"));
    let Some(at @ 1..) = at else { return false };
    let (client, rest) = (words.get(at - 1).copied().unwrap_or_default(), words.get(at + 1..).unwrap_or_default());
    let (Some((result, status)), [bytes, method, target, user, hierarchy, ..]) =
        (words.get(at).and_then(|word| word.split_once('/')), rest)
    else {
        return false;
    };
    if super::draft::address(client).is_none() || !is_number(status) || !is_number(bytes) {
        return false;
    }
    draft.name(fields::EVENT_MODULE, "squid");
    draft.name(fields::EVENT_TYPE, "access");
    let denied = result.contains("DENIED");
    draft.event("web", if denied { "blocked" } else { "http_request" }, if denied { "failure" } else { "success" });
    if let (Stamp::Absent, Some(at)) = (draft.stamp, words.first().and_then(|word| syslog::epoch_text(word))) {
        draft.stamp = Stamp::Moment(at);
    }
    draft.source(client);
    draft.vendor("squid", "result", result);
    draft.number(fields::HTTP_STATUS, status);
    draft.number(fields::HTTP_RESPONSE_BYTES, bytes);
    draft.str(fields::HTTP_METHOD, method);
    if let Some((host, port)) = target.rsplit_once(':').filter(|(_, port)| *method == "CONNECT" && is_number(port)) {
        draft.str(fields::URL_DOMAIN, host);
        draft.number(fields::DESTINATION_PORT, port);
    } else {
        put_target(target, draft);
        if let Some((_, rest)) = target.split_once("://") {
            draft.str(fields::URL_DOMAIN, rest.split(['/', ':', '?']).next().unwrap_or_default());
        }
    }
    draft.optional(fields::USER_NAME, user);
    if let Some((_, server)) = hierarchy.split_once('/') {
        if let Some(address) = super::draft::address(server) {
            draft.put_ip(fields::DESTINATION_IP, address);
        } else {
            draft.optional(fields::DESTINATION_DOMAIN, server);
        }
    }
    true
}

/// `DHCPACK on 10.0.0.7 to 00:11:22:33:44:55 (pc-7) via eth0`, `DHCPACK(eth0) 10.0.0.7 00:11:22:33:44:55 pc-7`, Kea's
/// `DHCP4_LEASE_ALLOC [hwtype=1 00:11:22:33:44:55], …: lease 10.0.0.7 has been allocated …`.
fn dhcp(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some(at) = look.text.find("DHCP") else { return false };
    let Some(text) = look.text.get(at..) else { return false };
    let Some((first, rest)) = word(text) else { return false };
    let kind = first.split('(').next().unwrap_or(first);
    let action = match kind {
        "DHCPACK" | "DHCP4_LEASE_ALLOC" => "dhcp_lease",
        "DHCPREQUEST" => "dhcp_request",
        "DHCPDISCOVER" => "dhcp_discover",
        "DHCPOFFER" => "dhcp_offer",
        "DHCPRELEASE" | "DHCP4_RELEASE" => "dhcp_release",
        "DHCPNAK" | "DHCPDECLINE" => "dhcp_refused",
        _ => return false,
    };
    draft.name(fields::EVENT_MODULE, "dhcp");
    draft.event("network", action, if action == "dhcp_refused" { "failure" } else { "success" });
    draft.name(fields::NETWORK_PROTOCOL, "dhcp");
    let parts: Vec<&str> = rest.split([' ', ',', ']', '=']).collect();
    if let Some(address) = parts.iter().find_map(|word| super::draft::address(word)) {
        draft.put_ip(fields::SOURCE_IP, address);
    }
    let is_mac = |word: &&&str| {
        word.len() == 17 && word.split(':').count() == 6 && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':')
    };
    if let Some(mac) = parts.iter().find(is_mac) {
        draft.str(fields::SOURCE_MAC, mac);
    }
    if let Some((name, _)) = between(rest, "(", ")") {
        draft.str(fields::SOURCE_DOMAIN, name);
    } else if first.contains('(')
        && let Some(name) = parts.get(2)
    {
        draft.str(fields::SOURCE_DOMAIN, name);
    }
    true
}

/// `/index.php: Web GUI authentication error for 'anna' from 203.0.113.9`
fn opnsense(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((_, rest)) = text.split_once("Web GUI authentication ") else { return false };
    let Some((user, from)) = rest.rsplit_once("' from ") else { return false };
    let Some((outcome, user)) = user.split_once(" for '") else { return false };
    draft.name(fields::EVENT_MODULE, "opnsense");
    draft.event("authentication", "login", if outcome.starts_with("error") { "failure" } else { "success" });
    draft.str(fields::USER_NAME, user);
    draft.source(from.trim());
    true
}

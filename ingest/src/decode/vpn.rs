//! VPN: strongSwan's charon, OpenVPN, WireGuard and ocserv. Who negotiates, who fails to.

use super::Look;
use super::draft::Draft;
use super::part::{between, bracketed, word};
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    // Sophos UTM's OpenVPN writes key=value, which is `sophos`'.
    if look.text.starts_with("id=\"") {
        return false;
    }
    matches!(look.app, "charon" | "charon-systemd" | "ipsec" | "openvpn" | "ovpn-server" | "ocserv")
        || look.app.starts_with("openvpn")
        || look.text.contains("wireguard: ") && look.is_of(&["kernel", "wireguard", "wg"])
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    match look.app {
        "charon" | "charon-systemd" | "ipsec" => charon(look.text, draft),
        "ocserv" => ocserv(look.text, draft),
        _ if look.text.contains("wireguard: ") => wireguard(look.text, draft),
        _ => openvpn(look.text, draft),
    }
}

/// `06[IKE] <connection|83> received packet: from 192.0.2.1[28808] to 192.0.2.2[4500] (144 bytes)`
fn charon(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some(at) = text.find('[').filter(|at| text.get(..*at).is_some_and(|thread| thread.bytes().all(|byte| byte.is_ascii_digit())))
    else {
        return false;
    };
    let Some((subsystem, rest)) = text.get(at..).and_then(bracketed) else { return false };
    draft.name(fields::EVENT_MODULE, "strongswan");
    draft.name(fields::EVENT_CATEGORY, "network");
    draft.vendor("strongswan", "subsystem", subsystem);
    let rest = match rest.strip_prefix('<').and_then(|rest| rest.split_once("> ")) {
        Some((connection, rest)) => {
            draft.vendor("strongswan", "connection", connection);
            rest
        }
        None => rest,
    };
    let sending = rest.starts_with("sending packet: ");
    if let Some((_, peers)) = rest.split_once("packet: from ")
        && let Some((from, to)) = peers.split_once(" to ")
    {
        // The peer is the source, whichever way the packet goes.
        let to = to.split(' ').next().unwrap_or_default();
        let (peer, ours) = if sending { (to, from) } else { (from, to) };
        draft.name(fields::EVENT_ACTION, if sending { "ike_packet_sent" } else { "ike_packet_received" });
        ike_endpoint(peer, true, draft);
        ike_endpoint(ours, false, draft);
        return true;
    }
    if let Some((user, _)) = between(rest, "username: '", "'") {
        draft.event("authentication", "vpn_login", "unknown");
        draft.str(fields::USER_NAME, user);
    } else if rest.contains("verification failed")
        || rest.contains("authentication of") && rest.contains("failed")
        || rest.starts_with("no EAP key found")
        || rest.starts_with("EAP method") && rest.contains("failed")
    {
        draft.event("authentication", "vpn_login", "failure");
        draft.str(fields::EVENT_REASON, rest);
        if let Some((_, user)) = rest.rsplit_once(" - '") {
            draft.str(fields::USER_NAME, user.trim_end_matches('\''));
        }
    } else if rest.contains("authentication of '") && rest.contains("successful") {
        draft.event("authentication", "vpn_login", "success");
        if let Some((user, _)) = between(rest, "authentication of '", "'") {
            draft.str(fields::USER_NAME, user);
        }
    } else if let Some((address, _)) = rest.split_once(" is initiating ") {
        draft.event("network", "ike_initiated", "");
        draft.source(address);
    } else if let Some((_, rest)) = rest.split_once("deleting half open IKE_SA with ") {
        // The peer began and never proved who it is.
        draft.event("authentication", "vpn_login", "failure");
        draft.name(fields::EVENT_REASON, "half open");
        draft.source(rest.split(' ').next().unwrap_or_default());
    } else if let Some((method, _)) = rest.split_once(" succeeded").filter(|_| rest.starts_with("EAP method")) {
        draft.event("authentication", "vpn_login", "success");
        draft.vendor("strongswan", "method", method.trim_start_matches("EAP method "));
    } else if let Some((address, peer)) = rest.strip_prefix("assigning virtual IP ").and_then(|rest| rest.split_once(" to peer '")) {
        draft.event("network", "vpn_address", "success");
        draft.vendor("strongswan", "assigned_ip", address);
        draft.str(fields::USER_NAME, peer.trim_end_matches('\''));
    } else if let Some(reason) = ["AUTHENTICATION_FAILED", "NO_PROPOSAL_CHOSEN", "TS_UNACCEPTABLE", "INVALID_ID_INFORMATION"]
        .into_iter()
        .find(|reason| rest.contains(reason) && (rest.starts_with("received ") || rest.contains("notify")))
    {
        let login = reason == "AUTHENTICATION_FAILED";
        draft.event(if login { "authentication" } else { "network" }, if login { "vpn_login" } else { "ike_negotiation" }, "failure");
        draft.name(fields::EVENT_REASON, reason);
    } else if rest.starts_with("no matching peer config found")
        || rest.starts_with("giving up after")
        || rest.starts_with("no proposal found")
    {
        draft.event("network", "ike_negotiation", "failure");
        draft.str(fields::EVENT_REASON, rest);
    } else if let Some((_, peers)) = rest.split_once("deleting IKE_SA ").and_then(|(_, rest)| rest.split_once(" between ")) {
        draft.event("network", "vpn_terminated", "success");
        if let Some((_, peer)) = peers.split_once("...") {
            draft.source(peer.split('[').next().unwrap_or_default());
            draft.str(fields::USER_NAME, between(peer, "[", "]").map_or("", |(user, _)| user));
        }
    } else if rest.contains("established between ") {
        draft.event("network", "vpn_established", "success");
        if let Some((_, peers)) = rest.split_once("established between ")
            && let Some((_, peer)) = peers.split_once("...")
        {
            draft.source(peer.split('[').next().unwrap_or_default());
            draft.vendor("strongswan", "peer_id", between(peer, "[", "]").map_or("", |(id, _)| id));
        }
    }
    true
}

fn ike_endpoint(text: &str, is_source: bool, draft: &mut Draft<'_>) {
    let (host, port) = text.split_once('[').unwrap_or((text, ""));
    let port = port.trim_end_matches(']');
    if is_source {
        draft.source(host);
        draft.optional(fields::SOURCE_PORT, port);
    } else {
        draft.optional(fields::DESTINATION_IP, host);
        draft.optional(fields::DESTINATION_PORT, port);
    }
}

/// `wireguard: wg0: Invalid handshake initiation from 192.0.2.1:51820`
fn wireguard(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((_, text)) = text.split_once("wireguard: ") else { return false };
    let Some((interface, what)) = text.split_once(": ") else { return false };
    draft.name(fields::EVENT_MODULE, "wireguard");
    draft.str(fields::OBSERVER_INGRESS_INTERFACE, interface);
    if let Some((inner, peer)) = what.strip_prefix("Packet has unallowed src IP (").and_then(|rest| rest.split_once(')')) {
        draft.event("network", "vpn_packet_refused", "failure");
        draft.vendor("wireguard", "inner_source_ip", inner);
        if let Some((peer, _)) = between(peer, "(", ")") {
            draft.source_endpoint(peer);
        }
    } else if let Some((reason, peer)) = what.split_once(" from ").filter(|(what, _)| what.starts_with("Invalid")) {
        draft.event("authentication", "vpn_handshake", "failure");
        draft.str(fields::EVENT_REASON, reason);
        draft.source_endpoint(peer.split(' ').next().unwrap_or_default());
    } else {
        // Handshake for peer 3 (192.0.2.1:51820) did not complete after 5 seconds, retrying (try 2)
        draft.name(fields::EVENT_CATEGORY, "network");
        let action = match what {
            _ if what.contains("did not complete after") => "vpn_handshake_timeout",
            _ if what.starts_with("Receiving handshake initiation") => "vpn_handshake_received",
            _ if what.starts_with("Sending handshake") => "vpn_handshake_sent",
            _ if what.starts_with("Keypair ") && what.contains(" created for peer ") => "vpn_established",
            _ => "",
        };
        if !action.is_empty() {
            draft.name(fields::EVENT_ACTION, action);
        }
        if let Some((peer, _)) =
            what.split_once(" peer ").and_then(|(_, rest)| between(rest, "(", ")")).filter(|(peer, _)| peer.contains(':'))
        {
            draft.source_endpoint(peer);
        }
    }
    true
}

/// `192.0.2.1:1194 TLS Auth Error: …`, `anna/192.0.2.1:1194 …`, `… AUTH_FAILED`
fn openvpn(text: &str, draft: &mut Draft<'_>) -> bool {
    draft.name(fields::EVENT_MODULE, "openvpn");
    let (who, what) = word(text).unwrap_or((text, ""));
    let (user, endpoint) = who.rsplit_once('/').unwrap_or(("", who));
    let (host, _) = super::part::host_port(endpoint);
    // pfSense's and OPNsense's own check of a password: `user 'anna' authenticated`, `user 'anna' could not authenticate.`
    if let Some((user, what)) = text.strip_prefix("user '").and_then(|rest| rest.rsplit_once("' ")) {
        let succeeded = what.starts_with("authenticated");
        draft.event("authentication", "vpn_login", if succeeded { "success" } else { "failure" });
        draft.str(fields::USER_NAME, user);
        return true;
    }
    let what = if super::draft::address(host).is_some() {
        draft.source_endpoint(endpoint);
        what
    } else {
        text
    };
    let failed =
        ["TLS Auth Error", "TLS Error", "AUTH_FAILED", "VERIFY ERROR", "auth-failure", "Auth Username/Password verification failed"];
    if failed.iter().any(|word| what.contains(word)) {
        draft.event("authentication", "vpn_login", "failure");
        draft.str(fields::EVENT_REASON, what);
        // TLS Error: cannot locate HMAC in incoming packet from [AF_INET]192.0.2.1:4711
        if let (false, Some((_, peer))) = (draft.has(fields::SOURCE_IP), what.rsplit_once(" from [AF_INET")) {
            draft.source_endpoint(peer.split_once(']').map_or("", |(_, peer)| peer).split([' ', ',']).next().unwrap_or_default());
        }
    } else if what.contains("Peer Connection Initiated") {
        draft.event("authentication", "vpn_login", "success");
    } else if what.starts_with("SIG") && what.contains("client-instance exiting") || what.contains("client-instance restarting") {
        draft.event("session", "vpn_logout", "");
    } else if let Some((_, given)) = what.split_once("pool returned IPv4=") {
        draft.event("network", "vpn_address", "success");
        draft.vendor("openvpn", "assigned_ip", given.split(',').next().unwrap_or(given));
    } else {
        draft.name(fields::EVENT_CATEGORY, "network");
    }
    let user = between(what, "username '", "'").map_or(user, |(user, _)| user);
    let user = if user.is_empty() {
        bracketed(what).filter(|_| what.contains("Peer Connection Initiated")).map_or("", |(user, _)| user)
    } else {
        user
    };
    draft.str(fields::USER_NAME, user);
    true
}

/// ocserv: `main[anna]:203.0.113.9:4711 user logged in`, `worker[anna]: 203.0.113.9 tls disconnected`, `main[anna]:203.0.113.9:4711 user
/// disconnected (reason: user disconnected, rx: 1, tx: 2)`, `sec-mod: failed authentication for 'anna' …`, `worker: 203.0.113.9 failed
/// authentication attempt for user 'anna'`
fn ocserv(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((who, rest)) = text.split_once(':') else { return false };
    let (process, user) = match who.split_once('[') {
        Some((process, user)) => (process, user.trim_end_matches(']')),
        None => (who, ""),
    };
    if !matches!(process, "main" | "worker" | "sec-mod") {
        return false;
    }
    let (peer, what) = word(rest).unwrap_or((rest, ""));
    let (host, _) = super::part::host_port(peer.trim_end_matches(':'));
    let (peer, what) = if super::draft::address(host).is_some() { (peer.trim_end_matches(':'), what) } else { ("", rest.trim_start()) };
    draft.name(fields::EVENT_MODULE, "ocserv");
    let failed =
        what.contains("failed authentication") || what.contains("authentication failed") || what.contains("failed cookie authentication");
    if failed {
        draft.event("authentication", "vpn_login", "failure");
        draft.str(fields::EVENT_REASON, what);
    } else if what.starts_with("user logged in") || what.starts_with("new user session") {
        draft.event("authentication", "vpn_login", "success");
    } else if what.starts_with("user disconnected") {
        draft.event("session", "vpn_logout", "success");
        draft.str(fields::EVENT_REASON, between(what, "(reason: ", ",").map_or("", |(reason, _)| reason));
    } else {
        draft.name(fields::EVENT_CATEGORY, "network");
    }
    let named = between(what, "user '", "'").or_else(|| between(what, "for '", "'")).map_or(user, |(user, _)| user);
    draft.str(fields::USER_NAME, if user.is_empty() { named } else { user });
    draft.source_endpoint(peer);
    true
}

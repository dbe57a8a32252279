//! WatchGuard's Fireware: `<serial> (2026-03-14T07:00:00) firewall: msg_id="3000-0148" Allow 1-Trusted 0-External 52 tcp 20 127 192.0.2.1
//! 198.51.100.1 4711 80 … (HTTP-00)`, the other order that Traffic Monitor shows, and the events of its log catalog.
//! What ECS has no name for stands below `watchguard_firebox.log`.

use memchr::memmem;

use super::Look;
use super::draft::{Draft, address};
use super::kv::{self, Item};
use super::part::{between, is_number};
use super::walk::{Dialect, ESCAPABLE, Kept, Put, says};
use crate::fields;
use crate::syslog::{self, Stamp};

const PREFIX: &str = "watchguard_firebox.log";
/// A traffic line has a dozen words before its first pair.
const WORDS_MAX: usize = 20;
/// A serial number has 13 characters.
const SERIAL_BYTES: usize = 13;

const MESSAGE: usize = 0;
const SIGNATURE: usize = 1;
const SIGNATURE_ID: usize = 2;
const VIRUS: usize = 3;
const PROCESS: usize = 4;

pub(super) const DIALECT: Dialect = Dialect {
    prefix: PREFIX,
    nothing: &[],
    escapable: ESCAPABLE,
    runs_on: false,
    keys: &[
        ("app_name", Put::Ecs(fields::NETWORK_APPLICATION)),
        ("arg", Put::Call(|target, draft| draft.url(target))),
        ("dst_user", Put::Ecs(fields::USER_TARGET_NAME)),
        ("dstname", Put::Ecs(fields::URL_DOMAIN)),
        ("duration", Put::Seconds),
        ("geo_dst", Put::Ecs(fields::DESTINATION_GEO_COUNTRY)),
        ("geo_src", Put::Ecs(fields::SOURCE_GEO_COUNTRY)),
        ("host", Put::Ecs(fields::URL_DOMAIN)),
        ("method", Put::Ecs(fields::HTTP_METHOD)),
        ("msg", Put::Both(MESSAGE)),
        ("msg_id", Put::Ecs(fields::EVENT_CODE)),
        ("op", Put::Ecs(fields::HTTP_METHOD)),
        ("path", Put::Call(|target, draft| draft.url(target))),
        ("proc_id", Put::Keep(PROCESS)),
        ("rcvd_bytes", Put::Ecs(fields::DESTINATION_BYTES)),
        ("rcvd_pkts", Put::Ecs(fields::DESTINATION_PACKETS)),
        ("recipient", Put::Ecs(fields::EMAIL_TO)),
        ("sender", Put::Ecs(fields::EMAIL_FROM)),
        ("sent_bytes", Put::Ecs(fields::SOURCE_BYTES)),
        ("sent_pkts", Put::Ecs(fields::SOURCE_PACKETS)),
        ("signature_id", Put::Both(SIGNATURE_ID)),
        ("signature_name", Put::Both(SIGNATURE)),
        ("src_user", Put::Ecs(fields::USER_NAME)),
        ("virus", Put::Keep(VIRUS)),
    ],
};

/// A serial number, a time and a process may stand before the number of the message.
const HEAD_BYTES: usize = 160;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    let text = look.text.as_bytes();
    let is_traffic = look.text.starts_with("Allow ") || look.text.starts_with("Deny ");
    let place = if is_traffic { text } else { text.get(..HEAD_BYTES).unwrap_or(text) };
    memmem::find(place, b"msg_id=\"").is_some()
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let text = with_head(look.text, draft);
    let mut kept = Kept::default();
    let mut words = [""; WORDS_MAX];
    let mut count = 0;
    let mut said = "";
    let mut rest = text;
    // The words before, between and behind the pairs: what a traffic line says by position, or an event in prose.
    if let Some(behind) = text.strip_prefix("msg_id=\"").and_then(|rest| rest.split_once("\" ")).map(|(_, behind)| behind) {
        said = behind;
    }
    for item in kv::items(text) {
        match item {
            Item::Pair(pair) => DIALECT.put(pair, &mut kept, draft),
            Item::Word(word) => {
                if let Some(place) = words.get_mut(count) {
                    *place = word;
                    count += 1;
                }
                rest = word;
            }
        }
    }
    draft.product("watchguard", "watchguard_firebox.log", "WatchGuard", "Firebox");
    draft.once(fields::PROCESS_NAME, kept.get(PROCESS));
    let words = words.get(..count).unwrap_or_default();
    let disposition = words.iter().position(|word| matches!(*word, "Allow" | "Deny")).filter(|at| *at <= 1);
    match disposition.and_then(|at| words.get(at..)) {
        Some([disposition, words @ ..]) => traffic(*disposition == "Allow", words, rest, &kept, text, draft),
        _ => event(said, draft),
    }
    true
}

/// The serial number, the device's time (in UTC) and the process, where the header's parser left them to the message.
fn with_head<'t>(text: &'t str, draft: &mut Draft<'_>) -> &'t str {
    let Some((before, rest)) = text.split_once('(') else { return text };
    let Some((stamp, behind)) = rest.split_once(") ") else { return text };
    let Some(Stamp::Civil(civil)) = syslog::whole_stamp(stamp) else { return text };
    let (Some(at), Some((process, message))) = (civil.moment(0), behind.split_once(": ")) else { return text };
    if before.len() > 128 || process.contains(' ') {
        return text;
    }
    draft.stamp = Stamp::Moment(at);
    for word in before.split_ascii_whitespace() {
        let is_serial = word.len() == SERIAL_BYTES && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if is_serial {
            draft.str(fields::OBSERVER_SERIAL, word);
        } else {
            draft.str(fields::OBSERVER_NAME, word);
        }
    }
    let (name, pid) = process.split_once('[').unwrap_or((process, ""));
    draft.once(fields::PROCESS_NAME, name);
    draft.optional(fields::PROCESS_PID, pid.trim_end_matches(']'));
    message
}

/// `1-Trusted 0-External 52 tcp 20 127 192.0.2.1 198.51.100.1 4711 80 …`, or as Traffic Monitor has it `192.0.2.1 198.51.100.1 http/tcp
/// 4711 80 1-Trusted 0-External Allowed 52 127`. The addresses show where one is.
fn traffic(allowed: bool, words: &[&str], last: &str, kept: &Kept<'_>, text: &str, draft: &mut Draft<'_>) {
    let source = words.iter().position(|word| address(word).is_some());
    let at = |number: Option<usize>| number.and_then(|number| words.get(number)).copied().unwrap_or_default();
    let after = |offset: usize| at(source.map(|source| source + offset));
    let (ingress, egress, transport, length, source_port, destination_port) = if source == Some(0) {
        let (service, transport) = after(2).rsplit_once('/').unwrap_or(("", after(2)));
        draft.str(fields::NETWORK_PROTOCOL, service);
        let has_ports = is_number(after(3)) && is_number(after(4));
        let interfaces = if has_ports { 5 } else { 3 };
        // `Trusted Firebox Denied 84 64`
        let length = after(interfaces + 3);
        (after(interfaces), after(interfaces + 1), transport, length, after(3), after(4))
    } else {
        let transport =
            words.get(2..source.unwrap_or(2)).unwrap_or_default().iter().find(|word| !is_number(word)).copied().unwrap_or_default();
        (at(Some(0)), at(Some(1)), transport, at(Some(2)), after(2), after(3))
    };
    draft.str(fields::OBSERVER_INGRESS_INTERFACE, ingress);
    draft.str(fields::OBSERVER_EGRESS_INTERFACE, egress);
    if !transport.is_empty() {
        draft.transport(transport);
    }
    if source.is_some() {
        draft.optional(fields::SOURCE_IP, after(0));
        draft.optional(fields::DESTINATION_IP, after(1));
    }
    if matches!(transport, "tcp" | "udp") && is_number(source_port) && is_number(destination_port) {
        draft.number(fields::SOURCE_PORT, source_port);
        draft.number(fields::DESTINATION_PORT, destination_port);
    }
    if is_number(length) {
        draft.number(fields::NETWORK_BYTES, length);
    }
    // `(HTTP-00)` at the end, `(HTTP proxy-00)`, or before the pairs in Traffic Monitor's order.
    let policy = if text.ends_with(')') { text.rsplit_once('(').map(|(_, policy)| policy) } else { None };
    let policy = policy.or_else(|| words.iter().find_map(|word| word.strip_prefix('(').filter(|word| word.ends_with(')')))).unwrap_or(last);
    let policy = policy.trim_matches(['(', ')']);
    let message = kept.get(MESSAGE);
    if kept.get(VIRUS).is_empty() && kept.get(SIGNATURE).is_empty() {
        if text.contains('(') {
            draft.str(fields::RULE_NAME, policy);
        }
        return draft.verdict(Some(allowed));
    }
    draft.vendor(PREFIX, "policy", policy);
    draft.str(fields::THREAT_INDICATOR, kept.get(VIRUS));
    draft.str(fields::RULE_NAME, kept.get(SIGNATURE));
    draft.str(fields::RULE_ID, kept.get(SIGNATURE_ID));
    let is_virus = !kept.get(VIRUS).is_empty() || says(message, &["virus"]);
    draft.found(if is_virus { "malware" } else { "intrusion_detection" }, !allowed);
}

/// `Authentication of Firewall user [anna@Firebox-DB] from 192.0.2.1 was rejected, …`, `Management user admin from 192.0.2.1 logged in`.
fn event(said: &str, draft: &mut Draft<'_>) {
    let user = between(said, "user [", "]").or_else(|| between(said, "client [", "]")).map(|(user, _)| user);
    let user = user.or_else(|| {
        let (_, rest) = said.split_once("Management user ").or_else(|| said.split_once("WSM User "))?;
        rest.split(' ').next()
    });
    let from = said.split_once(" from ").and_then(|(_, rest)| rest.split([' ', ',']).next()).filter(|from| address(from).is_some());
    let outcome = match said {
        _ if says(said, &["rejected", "failed", "locked out"]) => "failure",
        _ if says(said, &["accepted", "logged in", "logged out"]) => "success",
        _ => "",
    };
    let is_login = said.starts_with("Authentication of ") || says(said, &[" logged in", " log in attempt", "login failures"]);
    if is_login {
        draft.event("authentication", "login", outcome);
    } else if says(said, &[" logged out"]) {
        draft.event("authentication", "logout", outcome);
    } else if let Some(host) = said.strip_prefix("Temporarily blocking host ") {
        draft.found("intrusion_detection", true);
        draft.optional(fields::SOURCE_IP, host.split(' ').next().unwrap_or(host));
        draft.str(fields::EVENT_REASON, between(said, "reason = ", ")").map_or("", |(reason, _)| reason));
        return;
    } else if said.starts_with("Management user ") {
        draft.event("configuration", "configuration_changed", "success");
    } else if let Some((_, rest)) = said.split_once("DHCP").filter(|_| said.starts_with("DHCP")) {
        draft.name(fields::NETWORK_PROTOCOL, "dhcp");
        let action = match rest.split(' ').next().unwrap_or_default() {
            "ACK" => "dhcp_lease",
            "REQUEST" => "dhcp_request",
            "DISCOVER" => "dhcp_discover",
            "OFFER" => "dhcp_offer",
            "RELEASE" => "dhcp_release",
            _ => "dhcp",
        };
        draft.event("network", action, "");
    } else {
        draft.event("host", "system", "");
    }
    draft.str(fields::USER_NAME, user.unwrap_or_default());
    draft.str(fields::EVENT_REASON, if outcome == "failure" { said.split_once(", ").map_or("", |(_, reason)| reason) } else { "" });
    draft.optional(fields::SOURCE_IP, from.unwrap_or_default());
}

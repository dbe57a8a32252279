//! SonicWall's SonicOS: `id=firewall sn=… time="…" fw=… pri=6 c=… m=98 msg="…" src=ip:port:interface:name dst=… proto=tcp/https`, as its
//! log event reference guide has it. What ECS has no name for stands below `sonicwall.firewall`.

use memchr::memmem;

use super::Look;
use super::draft::{Draft, address};
use super::part::is_number;
use super::walk::{Dialect, ESCAPABLE, Kept, Put, says, verdict_of};
use crate::fields;
use crate::flow::protocol_name;
use crate::syslog;

/// The keys that every line begins with stand within these bytes, a relay's host before them included.
const HEAD_BYTES: usize = 160;

const TIME: usize = 0;
const MESSAGE: usize = 1;
const ACTION: usize = 2;
const CODE: usize = 3;
const SIGNATURE: usize = 4;
const RULE: usize = 5;
const SOURCE: usize = 6;
const DESTINATION: usize = 7;

pub(super) const DIALECT: Dialect = Dialect {
    prefix: "sonicwall.firewall",
    nothing: &["N/A", "Unknown (SSO failed)"],
    escapable: ESCAPABLE,
    runs_on: true,
    keys: &[
        ("appName", Put::Ecs(fields::NETWORK_APPLICATION)),
        ("cdur", Put::Call(millis)),
        ("dst", Put::Keep(DESTINATION)),
        ("dstMac", Put::Ecs(fields::DESTINATION_MAC)),
        ("dstV6", Put::Ecs(fields::DESTINATION_IP)),
        ("dstname", Put::Ecs(fields::URL_DOMAIN)),
        ("fw_action", Put::Both(ACTION)),
        ("id", Put::Call(|name, draft| draft.str(fields::OBSERVER_NAME, if name == "firewall" { "" } else { name }))),
        ("m", Put::Keep(CODE)),
        ("msg", Put::Both(MESSAGE)),
        ("pri", Put::Call(priority)),
        ("proto", Put::Call(protocol)),
        ("rcvd", Put::Ecs(fields::DESTINATION_BYTES)),
        ("result", Put::Positive(fields::HTTP_STATUS)),
        ("rpkt", Put::Ecs(fields::DESTINATION_PACKETS)),
        ("rule", Put::Keep(RULE)),
        ("sent", Put::Ecs(fields::SOURCE_BYTES)),
        ("sid", Put::Keep(SIGNATURE)),
        ("sn", Put::Ecs(fields::OBSERVER_SERIAL)),
        ("spkt", Put::Ecs(fields::SOURCE_PACKETS)),
        ("src", Put::Keep(SOURCE)),
        ("srcMac", Put::Ecs(fields::SOURCE_MAC)),
        ("srcV6", Put::Ecs(fields::SOURCE_IP)),
        ("time", Put::Keep(TIME)),
        ("user", Put::Ecs(fields::USER_NAME)),
        ("usr", Put::Ecs(fields::USER_NAME)),
    ],
};

pub(super) fn first_look(look: &Look<'_>) -> bool {
    let text = look.text.as_bytes();
    let head = text.get(..HEAD_BYTES).unwrap_or(text);
    look.is_of(&["sonicwall", "sonicos"])
        && memmem::find(head, b"id=").is_some()
        && memmem::find(head, b" sn=").is_some()
        && memmem::find(head, b" fw=").is_some()
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some(start) = look.text.find("id=").filter(|at| *at == 0 || look.text.as_bytes().get(at - 1) == Some(&b' ')) else { return false };
    let Some((before, text)) = look.text.split_at_checked(start) else { return false };
    draft.product("sonicwall", "sonicwall.firewall", "SonicWall", "");
    draft.once(fields::HOST_NAME, before.trim().rsplit(' ').next().unwrap_or_default());
    let kept = DIALECT.walk(text, draft);
    // `2022-05-16 15:22:26 UTC`, or the wall clock where the device is not told to log in UTC.
    if let Some(stamp) = syslog::whole_stamp(kept.get(TIME)) {
        draft.stamp = stamp;
    }
    endpoint(kept.get(SOURCE), true, draft);
    endpoint(kept.get(DESTINATION), false, draft);
    draft.str(fields::EVENT_CODE, kept.get(CODE));
    event(&kept, draft);
    true
}

/// `192.0.2.1:4711:X1:host`, `192.0.2.1::X1`, `:8080:X20` beside the IPv6 address of another key.
fn endpoint(text: &str, is_source: bool, draft: &mut Draft<'_>) {
    let (ip, port, interface, domain) = if is_source {
        (fields::SOURCE_IP, fields::SOURCE_PORT, fields::OBSERVER_INGRESS_INTERFACE, fields::SOURCE_DOMAIN)
    } else {
        (fields::DESTINATION_IP, fields::DESTINATION_PORT, fields::OBSERVER_EGRESS_INTERFACE, fields::DESTINATION_DOMAIN)
    };
    let mut parts = text.splitn(4, ':');
    let mut next = || parts.next().unwrap_or_default();
    let [host, number, name, peer] = std::array::from_fn(|_| next());
    if !draft.has(ip) {
        match address(host) {
            Some(address) => draft.put_ip(ip, address),
            None => draft.misfit(ip, host),
        }
    }
    if is_number(number) {
        draft.number(port, number);
    }
    draft.str(interface, name);
    draft.str(domain, peer);
}

/// `tcp/https`, `udp/500`, `icmp`.
fn protocol(text: &str, draft: &mut Draft<'_>) {
    let (transport, service) = text.split_once('/').unwrap_or((text, ""));
    match transport.parse().ok().and_then(protocol_name) {
        Some(name) => draft.name(fields::NETWORK_TRANSPORT, name),
        None => draft.transport(transport),
    }
    if !is_number(service) {
        draft.str(fields::NETWORK_PROTOCOL, service);
    }
}

fn millis(text: &str, draft: &mut Draft<'_>) {
    match text.parse::<i64>() {
        Ok(millis) => draft.int(fields::EVENT_DURATION, millis.saturating_mul(1_000_000)),
        Err(_) => draft.misfit(fields::EVENT_DURATION, text),
    }
}

/// Syslog's severity as a number.
fn priority(text: &str, draft: &mut Draft<'_>) {
    match text.parse::<u8>() {
        Ok(number @ 0..=7) => draft.level(syslog::severity_name(number)),
        _ => draft.vendor("sonicwall.firewall", "pri", text),
    }
}

fn event(kept: &Kept<'_>, draft: &mut Draft<'_>) {
    let (message, code) = (kept.get(MESSAGE), kept.get(CODE));
    let found = [("IPS ", "intrusion_detection"), ("Anti-Spyware ", "malware"), ("Gateway Anti-Virus ", "malware")]
        .into_iter()
        .find(|(opening, _)| message.starts_with(opening));
    if let Some((_, category)) = found {
        draft.str(fields::RULE_ID, kept.get(SIGNATURE));
        draft.str(fields::RULE_NAME, message.split_once(": ").map_or(message, |(_, name)| name));
        draft.vendor("sonicwall.firewall", "rule", kept.get(RULE));
        return draft.found(category, says(message, &["prevention", "blocked"]) || kept.get(ACTION) == "drop");
    }
    draft.str(fields::RULE_NAME, kept.get(RULE));
    draft.vendor("sonicwall.firewall", "sid", kept.get(SIGNATURE));
    let is_login = says(message, &["login", "log in", "logged in", "authentication"]);
    match (code, verdict_of(kept.get(ACTION))) {
        ("97", _) => draft.web(true),
        ("14" | "16", _) => draft.web(false),
        ("1382", _) => draft.event("configuration", "configuration_changed", "success"),
        ("537", _) => {
            draft.name(fields::EVENT_TYPE, "end");
            draft.event("network", "connection_end", "success");
        }
        _ if is_login && says(message, &["denied", "fail", "bad credentials", "mismatch"]) => {
            draft.event("authentication", "login", "failure");
        }
        _ if is_login && says(message, &["allowed", "success", "logged in"]) => draft.event("authentication", "login", "success"),
        _ if says(message, &["logged out", "logout"]) => draft.event("authentication", "logout", "success"),
        (_, Some(allowed)) => draft.verdict(Some(allowed)),
        ("98", None) => draft.verdict(Some(true)),
        _ if says(message, &["dropped", "denied", "blocked", "rejected"]) => draft.verdict(Some(false)),
        _ => draft.verdict(None),
    }
}

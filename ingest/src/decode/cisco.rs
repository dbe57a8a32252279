//! Cisco: `%ASA-4-106023: …` (ASA, FTD) and `%SEC-6-IPACCESSLOGP: …` (IOS). The mnemonic says what follows; those that
//! tell of connections, denials and logins are read, the others keep their code (Cisco's "Syslog Messages" guides).

use super::Look;
use super::draft::Draft;
use super::part::{between, is_number, word};
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.app.starts_with('%') || look.text.contains('%') && look.is_of(&["cisco", "asa", "ftd", "sfims"])
}

/// `000031: sw1: *Mar  1 2026 18:48:50.483 CET: ` and the like.
const BEFORE_BYTES_MAX: usize = 128;

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let from_tag = look.app.starts_with('%').then_some((look.app, look.text));
    let in_text = || {
        let (before, rest) = look.text.split_at_checked(look.text.find('%')?)?;
        // A counter, a host or a time may stand before it; behind a quote or in a request it is somebody's text.
        if before.len() > BEFORE_BYTES_MAX || before.contains(['"', '\'', '=', '?']) {
            return None;
        }
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
        "302014" | "302016" | "302021" | "302304" => {
            draft.name(fields::EVENT_CATEGORY, "network");
            draft.name(fields::EVENT_TYPE, "end");
            draft.name(fields::EVENT_ACTION, "connection_end");
            connection(text, if code == "302304" { " from " } else { " for " }, draft);
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
        // Deny inbound icmp src outside:192.0.2.1 dst inside:10.0.0.1(type 8, code 0)
        // No matching connection for ICMP error message: icmp src outside:192.0.2.1 dst inside:10.0.0.1 (type 3, code 3) on …
        "106023" | "106010" | "106014" | "313005" => {
            draft.verdict(Some(false));
            let before = text.split_once(" src ").map_or("", |(before, _)| before);
            let (before, last) = before.rsplit_once(' ').unwrap_or(("", before));
            draft.transport(if before.ends_with("protocol") || is_number(last) { last } else { last.trim_start_matches("Deny ") });
            source_and_destination(text, " src ", " dst ", draft);
            if let Some((rule, _)) = between(text, "access-group \"", "\"") {
                draft.str(fields::RULE_NAME, rule);
            }
        }
        // access-list outside_in denied tcp outside/192.0.2.1(2) -> inside/10.0.0.1(80) hit-cnt 1 …
        "106100" | "106102" | "106103" => {
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
        "106001" | "106006" | "106007" | "106015" | "106017" | "106021" => {
            draft.verdict(Some(false));
            named_transport(text, draft);
            source_and_destination(text, " from ", " to ", draft);
            if let Some((_, interface)) = text.rsplit_once("interface ") {
                draft.str(fields::OBSERVER_INGRESS_INTERFACE, interface.trim());
            }
        }
        // Denied ICMP type=8, code=0 from 192.0.2.1 on interface outside; Denied ICMP type=0, from laddr 192.0.2.1 on interface inside to …
        "313001" | "313004" | "313008" => {
            draft.verdict(Some(false));
            draft.name(fields::NETWORK_TRANSPORT, if code == "313008" { "ipv6-icmp" } else { "icmp" });
            if let Some((_, rest)) = text.split_once(" from ") {
                put_endpoint(first(rest.trim_start_matches("laddr ")), true, draft);
            }
            if let Some((_, rest)) = text.split_once("on interface ") {
                draft.str(fields::OBSERVER_INGRESS_INTERFACE, first(rest));
                if let Some((to, _)) = between(rest, " to ", ":") {
                    put_endpoint(to, false, draft);
                }
            }
        }
        // TCP access denied by ACL from 192.0.2.1/4711 to outside:198.51.100.1/23; UDP request discarded from … to …
        "710002" | "710003" | "710005" | "710006" => {
            draft.verdict(Some(code == "710002"));
            transport(&first(text).to_ascii_lowercase(), draft);
            source_and_destination(text, " from ", " to ", draft);
        }
        // Built dynamic TCP translation from inside:10.0.0.1/4711 to outside:198.51.100.1/4711
        "305011" | "305012" => {
            draft.event("network", if code == "305011" { "nat_built" } else { "nat_end" }, "success");
            named_transport(text, draft);
            if let Some((from, rest)) = between(text, " from ", " to ") {
                interface_endpoint(first(from), true, draft);
                draft.vendor("cisco", "mapped_source", first(rest));
            }
        }
        // Duplicate TCP SYN from outside:192.0.2.1/1 to inside:10.0.0.1/2 with different initial sequence number
        "419002" | "434002" => {
            draft.found("intrusion_detection", code == "434002");
            named_transport(text, draft);
            source_and_destination(text, " from ", " to ", draft);
        }
        // IPS:2004 ICMP echo request from 192.0.2.1 to 10.0.0.1 on interface outside
        _ if code.starts_with("4000") && code.len() == 6 => {
            draft.found("intrusion_detection", false);
            if let Some((signature, rest)) = text.strip_prefix("IPS:").and_then(word) {
                draft.str(fields::RULE_ID, signature);
                draft.str(fields::RULE_NAME, rest.split(" from ").next().unwrap_or(rest));
            }
            source_and_destination(text, " from ", " to ", draft);
        }
        // Host 192.0.2.1 is attacking. …; [ Scanning] drop rate-1 exceeded. …; Threat-detection adds host 192.0.2.1 to shun list
        "733100" | "733101" | "733102" => {
            draft.found("intrusion_detection", code == "733102");
            let object = between(text, "[", "]").map(|(object, _)| object.trim());
            let host = text.split_once("ost ").map(|(_, rest)| first(rest));
            match object.or(host).map(|host| (super::draft::address(host), host)) {
                Some((Some(address), _)) => draft.put_ip(fields::SOURCE_IP, address),
                Some((None, object)) => draft.str(fields::RULE_NAME, object),
                None => {}
            }
        }
        // Shunned packet: 192.0.2.1 ==> 10.0.0.1 on interface outside
        "401004" => {
            draft.verdict(Some(false));
            if let Some((source, destination)) = text.split_once(" ==> ") {
                put_endpoint(source.rsplit(' ').next().unwrap_or_default(), true, draft);
                put_endpoint(first(destination), false, draft);
            }
        }
        // FTP connection from inside:10.0.0.1/1 to outside:192.0.2.1/21, user anna Stored file a.txt
        "303002" => {
            draft.event("network", "ftp", "success");
            draft.name(fields::NETWORK_PROTOCOL, "ftp");
            source_and_destination(text, " from ", " to ", draft);
            draft.str(fields::USER_NAME, between(text, ", user ", " ").map_or("", |(user, _)| user));
            draft.str(fields::FILE_PATH, text.split_once(" file ").map_or("", |(_, file)| file));
        }
        // 10.0.0.1 Accessed URL 192.0.2.1:http://example.net/; Access denied URL http://… SRC 10.0.0.1 DEST 192.0.2.1 on interface inside
        "304001" | "304002" => url(code == "304001", text, draft),
        // User 'anna' executed the 'no logging' command.
        "111008" | "111009" | "111010" => {
            draft.event("configuration", "command", "success");
            subject(text, draft);
            draft.str(
                fields::PROCESS_COMMAND_LINE,
                marked(text, &[("executed the '", &['\'']), ("executed cmd: ", &['\n']), ("executed '", &['\''])]).unwrap_or_default(),
            );
        }
        "502103" => {
            draft.event("iam", "privileges_changed", "success");
            subject(text, draft);
        }
        // Group = vpn, Username = anna, IP = 192.0.2.1, Session disconnected. Session Type: …, Duration: 0h:32m:16s, Bytes xmt: 1, Bytes rcv: 2, Reason: …
        "113019" | "716002" | "722023" => {
            draft.event("session", "vpn_logout", "success");
            subject(text, draft);
            draft.optional(fields::DESTINATION_BYTES, marked(text, &[("Bytes xmt: ", &[','])]).unwrap_or_default());
            draft.optional(fields::SOURCE_BYTES, marked(text, &[("Bytes rcv: ", &[','])]).unwrap_or_default());
            let reason = marked(text, &[("Reason: ", &['\n']), ("terminated: ", &['\n'])]).unwrap_or_default();
            draft.str(fields::EVENT_REASON, reason.trim_end_matches('.'));
        }
        // Group <vpn> User <anna> IP <192.0.2.1> IPv4 Address <10.9.0.7> IPv6 address <::> assigned to session
        "722051" | "751025" | "734001" => {
            draft.event("network", "vpn_address", "success");
            subject(text, draft);
            let given = marked(text, &[("IPv4 Address <", &['>']), ("IPv4 Address=", &[' '])]).unwrap_or_default();
            draft.vendor("cisco", "assigned_ip", given);
        }
        // Local:192.0.2.1:500 Remote:198.51.100.1:500 Username:anna Negotiation aborted due to ERROR: …
        "750002" | "750003" | "750006" | "750007" => {
            draft.event("network", "vpn", if code == "750003" { "failure" } else { "" });
            subject(text, draft);
            draft.str(fields::EVENT_REASON, marked(text, &[("ERROR: ", &['\n'])]).unwrap_or_default());
        }
        "602303" | "602304" => {
            draft.event("network", if code == "602303" { "vpn_established" } else { "vpn_terminated" }, "success");
            if let Some((one, rest)) = between(text, " between ", " and ") {
                put_endpoint(first(one), true, draft);
                put_endpoint(first(rest), false, draft);
            }
            subject(text, draft);
        }
        _ if code.starts_with("713") || code.starts_with("715") => {
            draft.name(fields::EVENT_CATEGORY, "network");
            draft.name(fields::EVENT_ACTION, "vpn");
            subject(text, draft);
        }
        // User authentication and administration.
        "113004" | "113008" | "113012" | "113039" | "605005" | "611101" | "716001" | "716038" | "722022" => login("success", text, draft),
        "113005" | "113006" | "113014" | "113015" | "113016" | "113017" | "113021" | "308001" | "605004" | "611102" | "716039" => {
            login("failure", text, draft);
        }
        "611103" => {
            draft.event("authentication", "logout", "success");
            subject(text, draft);
        }
        _ => draft.name(fields::EVENT_CATEGORY, "network"),
    }
}

/// A user's name and address of any of the forms that the guides give: the mark before it, and where it ends.
type Marks = &'static [(&'static str, &'static [char])];
const USERS: Marks = &[
    ("User <", &['>']),
    ("Username = ", &[',']),
    ("Username:", &[' ']),
    ("Uname: ", &[' ', ',']),
    ("user = ", &[' ']),
    ("user= ", &[')']),
    ("user \"", &['"']),
    ("User '", &['\'']),
    ("DAP: User ", &[',']),
    (" User ", &[' ']),
    ("for user ", &[' ']),
];
const ADDRESSES: Marks = &[
    ("IP <", &['>']),
    ("IP = ", &[',']),
    ("IP address: ", &[',']),
    ("Remote:", &[' ']),
    (" Addr ", &[',']),
    (" from IP ", &[' ', ',']),
    (" from ", &[' ']),
    (" IP ", &[' ']),
];
const GROUPS: Marks = &[("Group <", &['>']), ("Group = ", &[',']), ("Group ", &[' '])];

/// What follows the first of these marks that is there.
fn marked<'t>(text: &'t str, marks: &[(&str, &[char])]) -> Option<&'t str> {
    marks.iter().find_map(|(mark, ends)| {
        let (_, rest) = text.split_once(mark)?;
        let value = rest.split(*ends).next()?.trim();
        (!value.is_empty()).then_some(value)
    })
}

/// Whom a message speaks of, and from where.
fn subject(text: &str, draft: &mut Draft<'_>) {
    if let Some(user) = marked(text, USERS) {
        draft.str(fields::USER_NAME, user.trim_matches(['\'', '"', '<', '>', ':', ',']));
    }
    if let Some(group) = marked(text, GROUPS) {
        draft.str(fields::GROUP_NAME, group);
    }
    // `user = NAME : user IP = ADDRESS`: the name may hold the mark, and the address stands last.
    let last = text.rsplit_once("user IP = ").and_then(|(_, rest)| rest.split(' ').next()).filter(|address| !address.is_empty());
    match last.or_else(|| marked(text, ADDRESSES)) {
        Some(from) if from.contains('/') => put_endpoint(from, true, draft),
        Some(from) if super::draft::address(super::part::host_port(from).0).is_some() => draft.source_endpoint(from),
        _ => {}
    }
}

fn first(text: &str) -> &str {
    text.split(' ').next().unwrap_or(text)
}

fn named_transport(text: &str, draft: &mut Draft<'_>) {
    if let Some(name) = ["TCP", "UDP", "ICMP", "GRE"].into_iter().find(|name| text.contains(name)) {
        transport(&name.to_ascii_lowercase(), draft);
    }
}

/// Both endpoints behind their marks, with an interface before the address or without.
fn source_and_destination(text: &str, from: &str, to: &str, draft: &mut Draft<'_>) {
    let Some((_, rest)) = text.split_once(from) else { return };
    let (source, rest) = rest.split_once(to).map_or((rest, ""), |(source, rest)| (source, rest));
    interface_endpoint(first(source), true, draft);
    interface_endpoint(first(rest).trim_end_matches(','), false, draft);
}

fn url(allowed: bool, text: &str, draft: &mut Draft<'_>) {
    draft.web(allowed);
    if allowed {
        let Some((source, rest)) = word(text) else { return };
        let (who, source) = source.rsplit_once('@').unwrap_or(("", source));
        draft.str(fields::USER_NAME, who);
        put_endpoint(source, true, draft);
        let Some((server, url)) = rest.split_once("URL ").and_then(|(_, rest)| rest.split_once(':')) else { return };
        put_endpoint(server.rsplit('@').next().unwrap_or(server), false, draft);
        draft.url(url.trim());
    } else {
        let Some((url, rest)) = between(text, "URL ", " SRC ") else { return };
        draft.url(url.trim());
        put_endpoint(first(rest), true, draft);
        if let Some((_, rest)) = rest.split_once(" DEST ") {
            put_endpoint(first(rest).trim_end_matches(':'), false, draft);
        }
    }
}

/// `TCP connection 17 for outside:a/1 (…) to inside:b/2 (…)`
fn connection(text: &str, mark: &str, draft: &mut Draft<'_>) {
    let kind = text.split(' ').find(|word| matches!(*word, "TCP" | "UDP" | "ICMP" | "GRE")).unwrap_or_default();
    transport(&kind.to_ascii_lowercase(), draft);
    let Some((_, rest)) = text.split_once(mark) else { return };
    // Built outbound ICMP connection for faddr 192.0.2.1/0 gaddr 198.51.100.1/0 laddr 10.0.0.1/0 type 8 code 0
    if let Some((outside, rest)) = rest.strip_prefix("faddr ").and_then(word) {
        let inside = rest.split_once("laddr ").map_or("", |(_, rest)| self::first(rest));
        let outbound = text.contains("outbound");
        put_endpoint(if outbound { inside } else { outside }, true, draft);
        put_endpoint(if outbound { outside } else { inside }, false, draft);
        return;
    }
    let (first, rest) = word(rest).unwrap_or((rest, ""));
    let second = rest.split_once("to ").map_or("", |(_, rest)| rest.split(' ').next().unwrap_or_default());
    // The ASA names the side outside first, whoever began.
    let outbound = text.contains("outbound");
    interface_endpoint(if outbound { second } else { first }, true, draft);
    interface_endpoint(if outbound { first } else { second }, false, draft);
}

/// `outside:192.0.2.1/443`; IPv6 addresses hold colons, so the interface ends at the first one.
fn interface_endpoint(text: &str, is_source: bool, draft: &mut Draft<'_>) {
    let bare = super::draft::address(text.split(['/', '(']).next().unwrap_or(text)).is_some();
    let (interface, endpoint) = if bare { ("", text) } else { text.split_once(':').unwrap_or(("", text)) };
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
    // `192.0.2.1/443(LOCAL\\anna)`: who sits there; an ICMP's type and a name may stand there too.
    let (text, user) = text.split_once('(').unwrap_or((text, ""));
    if let (true, Some((_, user))) = (is_source, user.rsplit_once('\\')) {
        draft.str(fields::SOURCE_USER_NAME, user.trim_end_matches(')'));
    }
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
    // ICMP has a code or nothing there, and a port may be a service's name.
    if is_number(port) && port != "0" {
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
    subject(text, draft);
    // Login permitted from 192.0.2.1/4711 to inside:10.0.0.1/ssh for user "anna"
    if let (true, Some((to, _))) = (text.starts_with("Login "), between(text, " to ", " ")) {
        interface_endpoint(to, false, draft);
    }
    if let Some(reason) = marked(text, &[("reason = ", &[':'])]) {
        draft.str(fields::EVENT_REASON, reason);
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
            // The name comes first and may hold the marks: it ends before the last `[Source: `, and what follows is the device's.
            let (user, rest) = text.rsplit_once("[Source: ").unwrap_or((text, ""));
            if let Some((_, user)) = user.split_once("[user: ") {
                let user = user.trim_end();
                draft.str(fields::USER_NAME, user.strip_suffix(']').unwrap_or(user));
            }
            if let Some((source, _)) = rest.split_once(']') {
                draft.source(source);
            }
            if let Some((port, _)) = between(rest, "[localport: ", "]") {
                draft.optional(fields::DESTINATION_PORT, port);
            }
            if let Some((reason, _)) = between(rest, "[Reason: ", "]") {
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
        // User 'anna' authentication for SSH2 Session from 192.0.2.1 (tty = 0) using crypto cipher '…' Succeeded
        "SSH2_USERAUTH" | "SSH_USERAUTH" => {
            draft.event("authentication", "login", if text.trim_end().ends_with("Succeeded") { "success" } else { "failure" });
            draft.name(fields::NETWORK_PROTOCOL, "ssh");
            subject(text, draft);
        }
        // User anna has exited tty session 2(192.0.2.1)
        "LOGOUT" => {
            draft.event("authentication", "logout", "success");
            draft.str(fields::USER_NAME, between(text, "User ", " ").map_or("", |(user, _)| user));
            draft.source(between(text, "(", ")").map_or("", |(from, _)| from));
        }
        // Still timeleft for watching failures is 0 secs, [user: anna] [Source: 192.0.2.1] [localport: 22] [Reason: …] [ACL: …]
        "QUIET_MODE_ON" => {
            draft.found("intrusion_detection", true);
            draft.str(fields::USER_NAME, between(text, "[user: ", "]").map_or("", |(user, _)| user));
            draft.optional(fields::SOURCE_IP, between(text, "[Source: ", "]").map_or("", |(source, _)| source));
        }
        // User:anna  logged command:no logging
        "CFGLOG_LOGGEDCMD" => {
            draft.event("configuration", "command", "success");
            draft.str(fields::USER_NAME, text.strip_prefix("User:").map_or("", first));
            draft.str(fields::PROCESS_COMMAND_LINE, text.split_once("logged command:").map_or("", |(_, command)| command.trim()));
        }
        // Authentication failure for SNMP req from host 192.0.2.1
        "AUTHFAIL" => {
            draft.event("authentication", "snmp_login", "failure");
            draft.name(fields::NETWORK_PROTOCOL, "snmp");
            draft.source(text.rsplit_once("from host ").map_or("", |(_, host)| host.trim()));
        }
        // Security violation occurred, caused by MAC address 0000.5e00.5301 on port GigabitEthernet1/0/1.
        "PSECURE_VIOLATION" => {
            draft.verdict(Some(false));
            draft.str(fields::SOURCE_MAC, between(text, "MAC address ", " ").map_or("", |(mac, _)| mac));
            draft.str(fields::OBSERVER_INGRESS_INTERFACE, text.rsplit_once("port ").map_or("", |(_, port)| port.trim_end_matches('.')));
        }
        // Authentication failed for client (0000.5e00.5301) on Interface Gi1/0/1 AuditSessionID …
        "FAIL" | "SUCCESS" if text.contains("client (") => {
            draft.event("authentication", "network_access", if code == "FAIL" { "failure" } else { "success" });
            draft.str(fields::SOURCE_MAC, between(text, "client (", ")").map_or("", |(mac, _)| mac));
            draft.str(fields::OBSERVER_INGRESS_INTERFACE, text.split_once("Interface ").map_or("", |(_, rest)| first(rest)));
        }
        // Duplicate address 192.0.2.1 on Vlan10, sourced by 0000.5e00.5301; Host 0000.5e00.5301 in vlan 10 is flapping between port …
        "DUPADDR" => {
            draft.event("network", "duplicate_address", "failure");
            draft.optional(fields::SOURCE_IP, between(text, "address ", " ").map_or("", |(address, _)| address));
            draft.str(fields::SOURCE_MAC, text.rsplit_once("sourced by ").map_or("", |(_, mac)| mac.trim()));
        }
        "MACFLAP_NOTIF" => {
            draft.event("network", "mac_flapping", "failure");
            draft.str(fields::SOURCE_MAC, between(text, "Host ", " ").map_or("", |(mac, _)| mac));
        }
        // Start tcp session: initiator (10.0.0.1:4711) -- responder (192.0.2.1:80)
        "SESS_AUDIT_TRAIL_START" | "SESS_AUDIT_TRAIL" => {
            draft.event("network", if code.ends_with("START") { "connection_start" } else { "connection_end" }, "success");
            draft.source_endpoint(between(text, "initiator (", ")").map_or("", |(from, _)| from));
            draft.destination_endpoint(between(text, "responder (", ")").map_or("", |(to, _)| to));
        }
        "UPDOWN" | "CHANGED" => draft.event("network", "interface_state", ""),
        "RESTART" | "RELOAD" => draft.event("host", "restart", ""),
        _ => {}
    }
}

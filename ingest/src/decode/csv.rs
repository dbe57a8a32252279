//! Comma-separated records of products that name no columns: Palo Alto's THREAT and TRAFFIC logs.
//! Quotes as RFC 4180 has them.

use super::Look;
use super::draft::Draft;
use super::part::{between, is_number};
use crate::fields;
use crate::syslog::{self, Stamp};

/// Palo Alto's longest record has some 120.
const COLUMNS_MAX: usize = 160;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.is_of(&["pan", "palo"]) && panos_look(look.text)
}

/// The kind is the record's fourth column; a relay's time and host may stand before it.
fn panos_look(text: &str) -> bool {
    const HEAD_BYTES: usize = 160;
    let bytes = text.as_bytes();
    let head = bytes.get(..HEAD_BYTES).unwrap_or(bytes);
    memchr::memchr(b',', head).is_some()
        && [b",THREAT,".as_slice(), b",TRAFFIC,", b",SYSTEM,", b",CONFIG,", b",GLOBALPROTECT,"]
            .into_iter()
            .any(|kind| memchr::memmem::find(head, kind).is_some())
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    palo_alto(look, draft)
}

/// The columns; a quoted one without its quotes, doubled quotes within left as they are.
pub(super) fn columns(text: &str) -> Vec<&str> {
    let mut columns = Vec::new();
    let mut rest = text;
    while columns.len() < COLUMNS_MAX {
        let quoted = rest.strip_prefix('"').and_then(|inner| {
            let mut from = 0;
            loop {
                let at = from + inner.get(from..)?.find('"')?;
                if inner.as_bytes().get(at + 1) == Some(&b'"') {
                    from = at + 2;
                } else {
                    return Some((inner.get(..at)?, inner.get(at + 1..)?));
                }
            }
        });
        let (column, behind) = quoted.unwrap_or_else(|| rest.find(',').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, "")));
        columns.push(column);
        match behind.strip_prefix(',') {
            Some(behind) => rest = behind,
            None => break,
        }
    }
    columns
}

/// PAN-OS' "Threat Log Fields" and "Traffic Log Fields": `1,time,serial,TYPE,subtype,…`.
fn palo_alto(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    // A relay's time and host may stand before the record.
    let start = look
        .text
        .match_indices(',')
        .next()
        .map_or(0, |(at, _)| look.text.get(..at).map_or(0, |before| before.rfind(' ').map_or(0, |at| at + 1)));
    let (before, record) = look.text.split_at_checked(start).unwrap_or(("", look.text));
    let all = columns(record);
    let column = |at: usize| all.get(at).copied().unwrap_or_default();
    let (kind, subtype) = (column(3), column(4));
    if !matches!(kind, "THREAT" | "TRAFFIC" | "SYSTEM" | "CONFIG" | "GLOBALPROTECT") || !is_number(column(0)) {
        return false;
    }
    draft.name(fields::EVENT_MODULE, "panos");
    draft.name(fields::OBSERVER_VENDOR, "Palo Alto Networks");
    draft.name(fields::OBSERVER_PRODUCT, "PAN-OS");
    draft.vendor("panos", "type", kind);
    draft.vendor("panos", "subtype", subtype);
    draft.str(fields::OBSERVER_SERIAL, column(2));
    if !draft.has(fields::HOST_NAME) {
        draft.str(fields::HOST_NAME, before.trim_end().rsplit(' ').next().unwrap_or_default());
    }
    if draft.stamp == Stamp::Absent {
        draft.stamp = syslog::whole_stamp(column(6)).unwrap_or_default();
    }
    match kind {
        "SYSTEM" => panos_system(&all, draft),
        "CONFIG" => panos_config(&all, draft),
        "GLOBALPROTECT" => panos_globalprotect(&all, draft),
        _ => panos_session(kind, subtype, &all, draft),
    }
    true
}

/// "System Log Fields": …, event id (8), object (9), module (12), severity (13), description (14).
fn panos_system(all: &[&str], draft: &mut Draft<'_>) {
    let column = |at: usize| all.get(at).copied().unwrap_or_default();
    let text = column(14);
    draft.str(fields::EVENT_CODE, column(8));
    draft.vendor("panos", "object", column(9));
    draft.vendor("panos", "module", column(12));
    draft.vendor("panos", "severity", column(13));
    draft.vendor("panos", "description", text);
    let address = text.rsplit_once("From: ").map_or("", |(_, from)| from.trim_end_matches('.'));
    let logged_in = text.starts_with("User ") && text.contains(" logged in ");
    match column(8) {
        code @ ("auth-success" | "auth-fail") => {
            draft.event("authentication", "login", if code == "auth-fail" { "failure" } else { "success" });
            draft.str(fields::USER_NAME, between(text, "user '", "'").map_or("", |(user, _)| user));
            draft.str(fields::EVENT_REASON, between(text, "Reason: ", ".").map_or("", |(reason, _)| reason));
            draft.optional(fields::SOURCE_IP, address);
        }
        // User admin logged in via Web from 10.0.0.1 using https
        _ if logged_in || text.starts_with("User ") && text.contains(" logged out ") => {
            draft.event("authentication", if logged_in { "login" } else { "logout" }, "success");
            draft.str(fields::USER_NAME, between(text, "User ", " ").map_or("", |(user, _)| user));
            draft.source(text.split_once(" from ").map_or("", |(_, from)| from.split(' ').next().unwrap_or(from)));
        }
        // failed authentication for user 'admin'. Reason: …
        _ if text.starts_with("failed authentication for user") => {
            draft.event("authentication", "login", "failure");
            draft.str(fields::USER_NAME, between(text, "user '", "'").map_or("", |(user, _)| user));
            draft.optional(fields::SOURCE_IP, address);
        }
        _ => draft.event("host", "system", ""),
    }
}

/// "Config Log Fields": …, host (7), command (9), administrator (10), client (11), result (12), path (13).
fn panos_config(all: &[&str], draft: &mut Draft<'_>) {
    let column = |at: usize| all.get(at).copied().unwrap_or_default();
    draft.event("configuration", "configuration_changed", if column(12) == "Succeeded" { "success" } else { "failure" });
    draft.optional(fields::SOURCE_IP, column(7));
    draft.str(fields::USER_NAME, column(10));
    for (key, at) in [("command", 9), ("client", 11), ("result", 12), ("path", 13)] {
        draft.vendor("panos", key, column(at).trim());
    }
}

/// "GlobalProtect Log Fields": …, event id (8), stage (9), method (10), tunnel (11), user (12), region (13), machine (14), public address (15, IPv6 16),
/// private address (17, IPv6 18), …, reason (25), error (26), description (27), status (28), …, portal (33).
fn panos_globalprotect(all: &[&str], draft: &mut Draft<'_>) {
    let column = |at: usize| all.get(at).copied().unwrap_or_default();
    let outcome = match column(28) {
        "success" => "success",
        "failure" => "failure",
        _ => "",
    };
    let code = column(8);
    match code {
        "gateway-auth" | "portal-auth" | "gateway-login" => draft.event("authentication", "vpn_login", outcome),
        "gateway-logout" => draft.event("session", "vpn_logout", outcome),
        "gateway-connected" | "gateway-setup-ipsec" | "gateway-setup-ssl" => draft.event("network", "vpn_established", outcome),
        _ => draft.event("network", "vpn", outcome),
    }
    draft.str(fields::EVENT_CODE, code);
    let user = column(12);
    draft.str(fields::USER_NAME, user.rsplit_once('\\').map_or(user, |(_, user)| user));
    draft.str(fields::SOURCE_GEO_COUNTRY, column(13));
    draft.str(fields::SOURCE_DOMAIN, column(14));
    // The unused one of the two is written as 0.0.0.0.
    let public = [column(15), column(16)].into_iter().find(|address| !matches!(*address, "" | "0.0.0.0" | "::"));
    draft.optional(fields::SOURCE_IP, public.unwrap_or_default());
    for (key, at) in [("stage", 9), ("auth_method", 10), ("tunnel_type", 11), ("client_version", 21), ("portal", 33)] {
        draft.vendor("panos", key, column(at));
    }
    let given = [column(17), column(18)].into_iter().find(|address| !matches!(*address, "" | "0.0.0.0" | "::"));
    draft.vendor("panos", "assigned_ip", given.unwrap_or_default());
    draft.str(fields::EVENT_REASON, [column(25), column(26), column(27)].into_iter().find(|text| !text.is_empty()).unwrap_or_default());
}

fn panos_session(kind: &str, subtype: &str, all: &[&str], draft: &mut Draft<'_>) {
    let column = |at: usize| all.get(at).copied().unwrap_or_default();
    draft.optional(fields::SOURCE_IP, column(7));
    draft.optional(fields::DESTINATION_IP, column(8));
    for (key, at) in
        [("nat_source_ip", 9), ("nat_destination_ip", 10), ("source_zone", 16), ("destination_zone", 17), ("vsys", 15), ("session_id", 22)]
    {
        draft.vendor("panos", key, column(at));
    }
    draft.str(fields::RULE_NAME, column(11));
    draft.str(fields::SOURCE_USER_NAME, column(12));
    draft.str(fields::NETWORK_APPLICATION, column(14));
    draft.str(fields::OBSERVER_INGRESS_INTERFACE, column(18));
    draft.str(fields::OBSERVER_EGRESS_INTERFACE, column(19));
    draft.optional(fields::SOURCE_PORT, column(24));
    draft.optional(fields::DESTINATION_PORT, column(25));
    draft.str(fields::NETWORK_TRANSPORT, column(29));
    let action = column(30);
    draft.vendor("panos", "action", action);
    let allowed = matches!(action, "allow" | "alert" | "continue");
    draft.verdict(Some(allowed));
    if kind == "THREAT" {
        draft.name(fields::EVENT_KIND, "alert");
        draft.name(
            fields::EVENT_CATEGORY,
            if matches!(subtype, "virus" | "wildfire-virus" | "wildfire" | "spyware") { "malware" } else { "intrusion_detection" },
        );
        draft.str(fields::URL_ORIGINAL, column(31));
        // `SSH User Authentication Brute Force Attempt(40015)`
        let threat = column(32);
        let (name, id) = threat.rsplit_once('(').unwrap_or((threat, ""));
        draft.str(fields::THREAT_INDICATOR, name);
        draft.str(fields::EVENT_CODE, id.trim_end_matches(')'));
        draft.vendor("panos", "severity", column(34));
        draft.vendor("panos", "direction", column(35));
        draft.str(fields::SOURCE_GEO_COUNTRY, column(38));
        draft.str(fields::DESTINATION_GEO_COUNTRY, column(39));
    } else {
        draft.optional(fields::NETWORK_BYTES, column(31));
        draft.optional(fields::SOURCE_BYTES, column(32));
        draft.optional(fields::DESTINATION_BYTES, column(33));
        draft.optional(fields::NETWORK_PACKETS, column(34));
        draft.str(fields::EVENT_REASON, column(46));
    }
}

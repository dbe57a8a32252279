//! Comma-separated records of products that name no columns: Palo Alto's THREAT and TRAFFIC logs.
//! Quotes as RFC 4180 has them.

use super::Look;
use super::draft::Draft;
use super::part::is_number;
use crate::fields;
use crate::syslog::{self, Stamp};

/// Palo Alto's longest record has some 120.
const COLUMNS_MAX: usize = 160;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.text.contains(",THREAT,") || look.text.contains(",TRAFFIC,") || look.text.contains(",SYSTEM,")
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
    if !matches!(kind, "THREAT" | "TRAFFIC") || !is_number(column(0)) {
        return false;
    }
    draft.name(fields::EVENT_MODULE, "panos");
    draft.vendor("panos", "type", kind);
    draft.vendor("panos", "subtype", subtype);
    draft.str(fields::OBSERVER_SERIAL, column(2));
    if !draft.has(fields::HOST_NAME) {
        draft.str(fields::HOST_NAME, before.trim_end().rsplit(' ').next().unwrap_or_default());
    }
    if draft.stamp == Stamp::Absent {
        draft.stamp = syslog::whole_stamp(column(6)).unwrap_or_default();
    }
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
    true
}

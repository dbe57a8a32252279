//! OPNsense's and pfSense's packet filter: one comma-separated record a packet, whose columns depend on the address
//! family and the protocol (pfSense's "Raw filter log format"; OPNsense's filterlog.c writes the same).

use super::Look;
use super::draft::Draft;
use super::part::is_number;
use crate::fields;
use crate::flow::protocol_name;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.app == "filterlog"
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let mut columns = look.text.split(',');
    let mut next = || columns.next().unwrap_or_default();
    let [rule, sub_rule, anchor, tracker, interface, reason, action, direction, version] = std::array::from_fn(|_| next());
    if !is_number(rule) || !matches!(version, "4" | "6") {
        return false;
    }
    draft.name(fields::EVENT_MODULE, "filterlog");
    draft.str(fields::RULE_ID, if tracker.is_empty() || tracker == "0" { rule } else { tracker });
    draft.vendor("filterlog", "rule", rule);
    draft.vendor("filterlog", "subrule", sub_rule);
    draft.vendor("filterlog", "anchor", anchor);
    draft.str(fields::EVENT_REASON, reason);
    draft.verdict(match action {
        "pass" | "rdr" | "nat" | "binat" => Some(true),
        "block" | "reject" => Some(false),
        _ => None,
    });
    match direction {
        "in" => {
            draft.name(fields::NETWORK_DIRECTION, "inbound");
            draft.str(fields::OBSERVER_INGRESS_INTERFACE, interface);
        }
        "out" => {
            draft.name(fields::NETWORK_DIRECTION, "outbound");
            draft.str(fields::OBSERVER_EGRESS_INTERFACE, interface);
        }
        _ => draft.vendor("filterlog", "interface", interface),
    }
    let (ttl, number, name, length) = if version == "4" {
        let [_tos, _ecn, ttl, _id, _offset, _flags, number, name, length] = std::array::from_fn(|_| next());
        (ttl, number, name, length)
    } else {
        let [_class, _flow_label, hop_limit, name, number, length] = std::array::from_fn(|_| next());
        (hop_limit, number, name, length)
    };
    draft.vendor("filterlog", "ttl", ttl);
    // OPNsense and pfSense have written number and name in either order for IPv6.
    let (number, name) = if is_number(name) { (name, number) } else { (number, name) };
    match number.parse().ok().and_then(protocol_name) {
        Some(name) => draft.name(fields::NETWORK_TRANSPORT, name),
        None => draft.transport(name),
    }
    draft.optional(fields::NETWORK_BYTES, length);
    draft.optional(fields::SOURCE_IP, next());
    draft.optional(fields::DESTINATION_IP, next());
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
    if is("tcp") || is("udp") {
        draft.optional(fields::SOURCE_PORT, next());
        draft.optional(fields::DESTINATION_PORT, next());
        let _data_length = next();
        if is("tcp") {
            draft.vendor("filterlog", "tcp_flags", next());
        }
    } else if is("icmp") {
        let kind = next();
        draft.vendor("filterlog", "icmp_type", kind);
        match kind {
            "request" | "reply" | "tstamp" | "tstampreply" => draft.vendor("filterlog", "icmp_id", next()),
            // Whom the refused packet had been for.
            "unreachport" | "unreachproto" | "needfrag" => draft.vendor("filterlog", "icmp_destination_ip", next()),
            _ => draft.vendor("filterlog", "icmp_text", next()),
        }
    } else if is("carp") {
        for key in ["carp_type", "carp_ttl", "carp_vhid", "carp_version", "carp_advbase", "carp_advskew"] {
            draft.vendor("filterlog", key, next());
        }
    }
    true
}

//! Windows' own packet filter, `pfirewall.log`. Its times are the machine's local ones, unless it is told otherwise.

use super::{Product, Row, civil_stamp};
use crate::decode::draft::Draft;
use crate::fields;

pub(super) const PRODUCT: Product = Product {
    name: "windows_firewall",
    marks: &["action", "protocol", "src-ip", "tcpflags"],
    prefix: "windows.firewall",
    fields: &[
        ("src-ip", fields::SOURCE_IP),
        ("dst-ip", fields::DESTINATION_IP),
        ("src-port", fields::SOURCE_PORT),
        ("dst-port", fields::DESTINATION_PORT),
        ("size", fields::NETWORK_BYTES),
        ("pid", fields::PROCESS_PID),
    ],
    own: &["date", "time", "action", "protocol", "path"],
    usual: &[
        "#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags tcpsyn tcpack tcpwin icmptype icmpcode info path",
        "#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags tcpsyn tcpack tcpwin icmptype icmpcode info path pid",
    ],
    finish,
};

fn finish(row: &Row<'_>, draft: &mut Draft<'_>) {
    draft.stamp = civil_stamp(row).unwrap_or_default();
    draft.name(fields::EVENT_MODULE, "windows");
    draft.name(fields::EVENT_DATASET, "windows.firewall");
    draft.verdict(match row.get("action") {
        "ALLOW" | "OPEN" | "OPEN-INBOUND" => Some(true),
        "DROP" | "DROP-INBOUND" => Some(false),
        _ => None,
    });
    match row.get("protocol") {
        "TCP" => draft.name(fields::NETWORK_TRANSPORT, "tcp"),
        "UDP" => draft.name(fields::NETWORK_TRANSPORT, "udp"),
        "ICMP" => draft.name(fields::NETWORK_TRANSPORT, "icmp"),
        other => draft.str(fields::NETWORK_TRANSPORT, other),
    }
    match row.get("path") {
        "SEND" => draft.name(fields::NETWORK_DIRECTION, "egress"),
        "RECEIVE" => draft.name(fields::NETWORK_DIRECTION, "ingress"),
        _ => {}
    }
}

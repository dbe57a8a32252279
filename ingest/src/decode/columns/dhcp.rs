//! Windows' DHCP server, `DhcpSrvLog-*.log`: who had which address when. Its times are local, its dates as the United
//! States write them; the descriptions are in the server's language, so the number tells what happened.

use super::{Product, Row};
use crate::decode::draft::Draft;
use crate::fields;
use crate::syslog::{Civil, Stamp};

pub(super) const PRODUCT: Product = Product {
    name: "windows_dhcp",
    marks: &["ID", "Date", "Time", "IP Address", "MAC Address"],
    prefix: "microsoft.dhcp",
    fields: &[("ID", fields::EVENT_CODE), ("IP Address", fields::SOURCE_IP), ("User Name", fields::USER_NAME)],
    own: &["Date", "Time", "Host Name", "MAC Address"],
    usual: &[
        "ID,Date,Time,Description,IP Address,Host Name,MAC Address,User Name, TransactionID, QResult,Probationtime, CorrelationID,Dhcid,VendorClass(Hex),VendorClass(ASCII),UserClass(Hex),UserClass(ASCII),RelayAgentInformation,DnsRegError.",
        "ID,Date,Time,Description,IP Address,Host Name,MAC Address,User Name, TransactionID, QResult,Probationtime, CorrelationID,Dhcid",
    ],
    finish,
};

pub(super) const PRODUCT_V6: Product = Product {
    name: "windows_dhcp",
    marks: &["ID", "Date", "Time", "IPv6 Address"],
    prefix: "microsoft.dhcp",
    fields: &[("ID", fields::EVENT_CODE), ("IPv6 Address", fields::SOURCE_IP), ("User Name", fields::USER_NAME)],
    own: &["Date", "Time", "Host Name"],
    usual: &["ID,Date,Time,Description,IPv6 Address,Host Name,Error Code, Duid Length, Duid Bytes(Hex),User Name,Dhcid,Subnet Prefix."],
    finish,
};

fn finish(row: &Row<'_>, draft: &mut Draft<'_>) {
    draft.stamp = stamp(row.get("Date"), row.get("Time")).unwrap_or_default();
    draft.name(fields::EVENT_MODULE, "microsoft");
    draft.name(fields::EVENT_DATASET, "microsoft.dhcp");
    draft.name(fields::NETWORK_PROTOCOL, "dhcp");
    draft.str(fields::SOURCE_DOMAIN, row.get("Host Name"));
    let mac = row.get("MAC Address");
    if mac.len() == 12 && mac.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        // `001122AABBCC` as every other source writes it.
        let bytes = mac.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok());
        draft.str(fields::SOURCE_MAC, &bytes.collect::<Vec<_>>().join(":").to_ascii_lowercase());
    } else {
        draft.str(fields::SOURCE_MAC, mac);
    }
    // Microsoft's "DHCP server log: common event codes", and those of DHCPv6 from 11000 on.
    let (action, outcome) = match row.get("ID") {
        // New and renewed.
        "10" | "11" | "11002" | "11003" => ("dhcp_lease", "success"),
        "12" | "11004" => ("dhcp_release", "success"),
        "13" | "11005" => ("dhcp_address_in_use", "failure"),
        "14" | "22" => ("dhcp_exhausted", "failure"),
        "15" | "11006" => ("dhcp_denied", "failure"),
        // Deleted, and expired with its name kept or deleted.
        "16" | "17" | "18" | "23" | "11007" | "11008" | "11009" => ("dhcp_expire", "success"),
        "20" => ("bootp_lease", "success"),
        "30" => ("dns_update_requested", ""),
        "31" => ("dns_update", "failure"),
        "32" => ("dns_update", "success"),
        "00" | "11010" => ("log_started", "success"),
        "01" | "11011" => ("log_stopped", "success"),
        "02" | "11012" => ("log_paused", "failure"),
        "54" | "56" | "58" | "63" => ("dhcp_server_unauthorized", "failure"),
        _ => ("", ""),
    };
    draft.name(fields::EVENT_CATEGORY, "network");
    if !action.is_empty() {
        draft.name(fields::EVENT_ACTION, action);
    }
    if !outcome.is_empty() {
        draft.name(fields::EVENT_OUTCOME, outcome);
    }
}

/// `03/14/26,08:00:00`, the year with two digits or four.
fn stamp(date: &str, time: &str) -> Option<Stamp> {
    let number = |text: &str, from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    let year = number(date, 6, date.len())?;
    let civil = Civil {
        year: i32::try_from(if date.len() == 8 { 2000 + year } else { year }).ok(),
        month: number(date, 0, 2)?,
        day: number(date, 3, 5)?,
        hour: number(time, 0, 2)?,
        minute: number(time, 3, 5)?,
        second: number(time, 6, 8)?,
        millis: 0,
        offset_minutes: None,
    };
    Some(if civil.moment(0).is_some() { Stamp::Civil(civil) } else { Stamp::Bad })
}

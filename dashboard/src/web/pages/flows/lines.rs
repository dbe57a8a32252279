//! Single flows, page by page, the newest receipt first.

use ingest::body::SiteTable;
use ingest::flow::FlowRecord;
use ingest::flows::ask::{FlowPage, Tuple};

use super::super::value::{Value, Values};
use super::{Asked, PAGE_ROWS, lasted, protocol};
use crate::show;
use crate::words::{t, tf};

pub(super) struct Lines {
    pub(super) rows: Vec<Line>,
    pub(super) note: String,
    pub(super) first: String,
    pub(super) older: String,
}

pub(super) struct Line {
    pub(super) time: String,
    pub(super) exact: String,
    /// To the connection's history.
    pub(super) href: String,
    pub(super) site: Value,
    pub(super) from: Value,
    pub(super) from_port: String,
    pub(super) to: Value,
    pub(super) to_port: String,
    pub(super) protocol: String,
    pub(super) flags: String,
    pub(super) bytes: String,
    pub(super) packets: String,
    pub(super) duration: String,
    /// What else is to be known: refused, sampled.
    pub(super) sign: String,
}

pub(super) fn lines(page: &FlowPage, paged: bool, asked: &Asked<'_>, sites: &SiteTable, values: &Values<'_>) -> Lines {
    let with =
        |cursor: &str| asked.range.link("/fluesse", &[&[("q", asked.text.as_str()), ("vor", cursor)], asked.more().as_slice()].concat());
    let anchor = |href: String| format!("{href}#liste");
    Lines {
        rows: page.flows.iter().map(|flow| line(flow, sites.name(flow.site), asked, values)).collect(),
        note: tf("neueste zuerst, {n} je Seite", &[("n", &PAGE_ROWS)]),
        first: if paged { anchor(with("")) } else { String::new() },
        older: page.next.map(|next| anchor(with(&next.to_string()))).unwrap_or_default(),
    }
}

fn line(flow: &FlowRecord, site: &str, asked: &Asked<'_>, values: &Values<'_>) -> Line {
    let port = |port: u16| if port == 0 { String::new() } else { format!(":{port}") };
    Line {
        time: show::stamp_short(flow.start),
        exact: show::precise(flow.start),
        href: connection_link(&Tuple::of(flow), asked),
        site: values.of("site", site),
        from: values.of("source.ip", &flow.src_ip.to_string()),
        from_port: port(flow.src_port),
        to: values.of("destination.ip", &flow.dst_ip.to_string()),
        to_port: port(flow.dst_port),
        protocol: protocol(flow.protocol),
        flags: flags(flow),
        bytes: show::bytes(flow.bytes),
        packets: show::num(flow.packets),
        duration: lasted(flow.end.since(flow.start)),
        sign: sign(flow),
    }
}

/// The history of a connection, over this page's time.
pub(super) fn connection_link(tuple: &Tuple, asked: &Asked<'_>) -> String {
    asked.range.link("/fluesse/verbindung", &super::pivot::tuple_pairs(tuple).each_ref().map(|(name, value)| (*name, value.as_str())))
}

/// `SYN ACK` as letters, as everybody abbreviates them.
pub(super) fn flags(flow: &FlowRecord) -> String {
    const TCP: u8 = 6;
    if flow.protocol == TCP { flag_letters(flow.tcp_flags) } else { String::new() }
}

pub(super) fn flag_letters(flags: u8) -> String {
    let letters = [(1, 'S'), (4, 'A'), (3, 'P'), (5, 'U'), (2, 'R'), (0, 'F'), (6, 'E'), (7, 'C')];
    letters.into_iter().filter(|(bit, _)| flags >> bit & 1 == 1).map(|(_, letter)| letter).collect()
}

fn sign(flow: &FlowRecord) -> String {
    const DROPPED: u8 = 2;
    const DENIED: u8 = 3;
    let mut said: Vec<String> = vec![];
    if flow.firewall_event == DENIED {
        said.push(t("abgelehnt").into());
    } else if flow.forwarding >> 6 == DROPPED {
        said.push(t("verworfen").into());
    }
    if flow.sampling > 1 {
        said.push(tf("1 von {n}", &[("n", &show::num(i64::from(flow.sampling)))]));
    }
    said.join(", ")
}

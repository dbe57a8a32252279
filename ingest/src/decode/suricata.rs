//! Suricata's fast.log: `03/14/2026-08:00:00.1  [**] [1:2008578:4] Name [**] [Classification: …] [Priority: 2] {UDP} a:1 -> b:2`.
//! EVE comes as JSON and is read by `json`.

use super::Look;
use super::draft::Draft;
use super::part::{between, bracketed, is_number};
use crate::fields;
use crate::syslog::Stamp;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    let marked = look.text.contains("[**]") && look.is_of(PROGRAMS);
    marked || look.text.starts_with('[') && !look.app.is_empty() && look.is_of(PROGRAMS)
}

const PROGRAMS: &[&str] = &["suricata", "snort", "barnyard"];

/// What stands before an alert, its three numbers, its name and the rest. By syslog (as OPNsense sends it, and Snort) it has no
/// `[**]`: `[Drop] [1:2010935:3] ET SCAN … [Classification: …] [Priority: 2] {TCP} a:1 -> b:2`.
fn alert(text: &str) -> Option<(&str, &str, &str, &str)> {
    if let Some((before, rest)) = text.split_once("[**] ") {
        let (ids, rest) = bracketed(rest)?;
        let (name, rest) = rest.split_once(" [**]")?;
        return Some((before, ids, name, rest));
    }
    let behind = ["[Drop] ", "[wDrop] "].iter().find_map(|verdict| text.strip_prefix(verdict)).unwrap_or(text);
    let (ids, rest) = bracketed(behind)?;
    let end = ["[Classification: ", "[Priority: "].iter().filter_map(|mark| rest.find(mark)).min()?;
    let numbers = ids.split(':').count() == 3 && ids.split(':').all(is_number);
    let (name, rest) = rest.split_at_checked(end)?;
    numbers.then_some((text.get(..text.len() - behind.len())?, ids, name.trim_end(), rest))
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((time, ids, name, rest)) = alert(look.text) else { return false };
    // Only the time and the verdict stand before it.
    let before = time.trim().trim_end_matches("[Drop]").trim_end_matches("[wDrop]").trim_end();
    if !before.is_empty() && american(before).is_none() {
        return false;
    }
    let mut ids = ids.split(':');
    let (Some(generator), Some(signature), Some(revision)) = (ids.next(), ids.next(), ids.next()) else { return false };
    draft.name(fields::EVENT_MODULE, "suricata");
    draft.name(fields::EVENT_KIND, "alert");
    draft.name(fields::EVENT_CATEGORY, "intrusion_detection");
    draft.name(fields::EVENT_ACTION, if time.contains("[Drop]") || rest.contains("[Drop]") { "blocked" } else { "detected" });
    draft.str(fields::RULE_ID, signature);
    draft.str(fields::RULE_NAME, name);
    draft.vendor("suricata", "gid", generator);
    draft.vendor("suricata", "rev", revision);
    if draft.stamp == Stamp::Absent {
        draft.stamp = american(before).unwrap_or_default();
    }
    if let Some((class, _)) = between(rest, "[Classification: ", "]") {
        draft.vendor("suricata", "classification", class);
    }
    if let Some((priority, _)) = between(rest, "[Priority: ", "]") {
        draft.optional(fields::EVENT_SEVERITY, priority);
    }
    if let Some((protocol, peers)) = between(rest, "{", "} ") {
        match protocol {
            "TCP" => draft.name(fields::NETWORK_TRANSPORT, "tcp"),
            "UDP" => draft.name(fields::NETWORK_TRANSPORT, "udp"),
            "ICMP" => draft.name(fields::NETWORK_TRANSPORT, "icmp"),
            _ => draft.str(fields::NETWORK_TRANSPORT, protocol),
        }
        if let Some((source, destination)) = peers.split_once(" -> ") {
            draft.source_endpoint(&unbracketed(source));
            draft.destination_endpoint(&unbracketed(destination.trim_end()));
        }
    }
    true
}

/// Suricata writes IPv6 with its port as `2001:db8::1:80`: the last part is the port.
fn unbracketed(text: &str) -> String {
    match text.rsplit_once(':') {
        Some((host, port)) if text.matches(':').count() > 1 && !text.starts_with('[') => format!("[{host}]:{port}"),
        _ => text.to_owned(),
    }
}

/// `MM/DD/YYYY-hh:mm:ss.ffffff`
fn american(text: &str) -> Option<Stamp> {
    let (date, clock) = text.split_once('-')?;
    let mut parts = date.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    crate::syslog::whole_stamp(&format!("{year}-{month}-{day} {clock}"))
}

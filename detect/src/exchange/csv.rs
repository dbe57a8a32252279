//! Cases as CSV (RFC 4180: commas, CRLF, quotation marks doubled). Whatever a spreadsheet would take for a formula is
//! made a text: titles and names come from outside.

use std::borrow::Cow;

use ingest::time::Timestamp;

use super::Package;
use crate::incident::Incident;

const COLUMNS: [&str; 18] = [
    "number",
    "title",
    "state",
    "severity",
    "rsit",
    "tlp",
    "body",
    "site",
    "origin",
    "first_activity",
    "last_activity",
    "detected_at",
    "opened_at",
    "closed_at",
    "disposition",
    "alerts",
    "events",
    "version",
];
/// What a single case says beyond its line of a list.
const COLUMNS_SINGLE: [&str; 4] = ["summary", "observables", "techniques", "recommendations"];

/// Many cases, one a line, with a line of names. Titles are as `title` gives them.
pub fn csv_list(incidents: &[Incident], title: &dyn Fn(&Incident) -> String) -> String {
    let mut out = String::new();
    line(&mut out, COLUMNS.iter().map(|name| (*name).to_owned()));
    for incident in incidents {
        let cells = [
            incident.number.clone(),
            title(incident),
            incident.state.as_str().to_owned(),
            incident.severity.as_str().to_owned(),
            incident.rsit.to_string(),
            incident.tlp.as_str().to_owned(),
            incident.body_name.clone().unwrap_or_default(),
            incident.site_name.clone().unwrap_or_default(),
            incident.origin.as_str().to_owned(),
            incident.first_activity.rfc3339(),
            incident.last_activity.rfc3339(),
            incident.detected_at.rfc3339(),
            incident.opened_at.rfc3339(),
            incident.closed_at.map(Timestamp::rfc3339).unwrap_or_default(),
            incident.disposition.map(|one| one.as_str().to_owned()).unwrap_or_default(),
            incident.alerts.to_string(),
            incident.events.to_string(),
            incident.version.to_string(),
        ];
        line(&mut out, cells);
    }
    out
}

pub(super) fn single(package: &Package) -> String {
    let mut out = String::new();
    // What a list has and a package has not: the version, which only those need who change the case.
    let names = COLUMNS.iter().chain(&COLUMNS_SINGLE).filter(|name| **name != "version");
    line(&mut out, names.map(|name| (*name).to_owned()));
    let observables = package.observables.iter().flat_map(|(field, values)| values.iter().map(move |value| format!("{field}={value}")));
    let advice = package.advice.iter().map(|one| format!("{} ({})", one.title, one.state.as_str()));
    let joined = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<_>>().join("\n");
    let cells = [
        package.number.clone(),
        package.title.clone(),
        package.state.as_str().to_owned(),
        package.severity.as_str().to_owned(),
        package.rsit.to_string(),
        package.tlp.as_str().to_owned(),
        package.body.as_ref().map(|(_, name)| name.clone()).unwrap_or_default(),
        package.site.clone().unwrap_or_default(),
        package.origin.as_str().to_owned(),
        package.first_activity.rfc3339(),
        package.last_activity.rfc3339(),
        package.detected_at.rfc3339(),
        package.opened_at.rfc3339(),
        package.closed_at.map(Timestamp::rfc3339).unwrap_or_default(),
        package.disposition.map(|one| one.as_str().to_owned()).unwrap_or_default(),
        package.alerts.to_string(),
        package.events.to_string(),
        package.story(),
        joined(&mut observables.into_iter()),
        joined(&mut package.techniques.iter().cloned()),
        joined(&mut advice.into_iter()),
    ];
    line(&mut out, cells);
    out
}

fn line(out: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().map(|cell| csv_cell(&cell, ',')).collect();
    out.push_str(&cells.join(","));
    out.push_str("\r\n");
}

/// One cell as it stands between two of `separator`.
pub fn csv_cell(text: &str, separator: char) -> String {
    let text = unformula(text);
    let quoted = text.contains([separator, '"', '\n', '\r', ',', ';', '\t']);
    if quoted { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into_owned() }
}

/// What a spreadsheet would take for a formula gets an apostrophe in front, also where something invisible stands before
/// it, and in the wide forms that some of them fold.
pub fn unformula(text: &str) -> Cow<'_, str> {
    let invisible = |ch: char| ch.is_whitespace() || ch.is_control() || matches!(ch, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}');
    let first = text.trim_start_matches(invisible);
    let formula = first.starts_with(['=', '+', '-', '@', '|', '＝', '＋', '－', '＠']) || text.starts_with(['\t', '\r', '\n']);
    match (formula, text.contains('\0')) {
        (false, false) => Cow::Borrowed(text),
        (formula, _) => Cow::Owned(format!("{}{}", if formula { "'" } else { "" }, text.replace('\0', "\u{fffd}"))),
    }
}

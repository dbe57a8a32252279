//! Windows events: whichever way they come (XML, Snare, NXLog, Winlogbeat, evtx as JSON), they become the same. A carrier
//! puts what the event says of itself below `winlog.` and its data below `winlog.event_data.`, as Sigma's rules and
//! Winlogbeat have them; `finish` then says in ECS what it means (`meaning`) and who and what it names (`data`).

mod data;
mod meaning;
mod nxlog;
mod shipped;
mod snare;
mod text;
mod words;
mod xml;

pub(super) use nxlog::{decode as nxlog, first_look as nxlog_first_look, structured as nxlog_structured};
pub(super) use shipped::{Dialect, shipped};
pub(super) use snare::{decode as snare, first_look as snare_first_look};
pub(super) use xml::{decode as xml, first_look as xml_first_look};

use super::columns::iis;
use super::draft::Draft;
use super::part::{is_number, some};
use crate::fields;
use meaning::{Family, meaning};

/// What a Windows event says of itself, whichever way it came.
#[derive(Clone, Copy, Debug, Default)]
struct System<'t> {
    channel: &'t str,
    provider: &'t str,
    id: &'t str,
    computer: &'t str,
    record: &'t str,
}

fn put_system(system: System<'_>, draft: &mut Draft<'_>) {
    draft.name(fields::EVENT_MODULE, "windows");
    draft.str(fields::EVENT_CODE, system.id);
    draft.vendor("winlog", "channel", system.channel);
    draft.vendor("winlog", "provider_name", system.provider);
    draft.vendor("winlog", "record_id", system.record);
    if is_number(system.id) {
        draft.vendor("winlog", "event_id", system.id);
    }
    draft.vendor("winlog", "computer_name", system.computer);
    // An event that a collector passed on is its computer's, not the collector's.
    if draft.text(fields::HOST_NAME).is_none() {
        draft.str(fields::HOST_NAME, system.computer);
    } else if !system.computer.is_empty() && !same_host(draft.text(fields::HOST_NAME).unwrap_or_default(), system.computer) {
        let collector = draft.text(fields::HOST_NAME).unwrap_or_default().to_owned();
        draft.replace(fields::HOST_NAME, system.computer);
        if !draft.has(fields::OBSERVER_NAME) {
            draft.str(fields::OBSERVER_NAME, &collector);
        }
    }
}

/// `pc-7` and `PC-7.kreis.example` are one.
fn same_host(one: &str, other: &str) -> bool {
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    one.parse::<std::net::IpAddr>().is_err() && short(one).eq_ignore_ascii_case(&short(other))
}

/// One of an event's data, below `winlog.event_data` under its own name. Blanks in names (Defender's) become `_`, as
/// Winlogbeat writes them.
fn put_data(name: &str, value: &str, draft: &mut Draft<'_>) {
    let value = value.trim();
    if name.is_empty() || some(value).is_empty() {
        return;
    }
    let joined;
    let name = if name.contains(' ') {
        joined = name.replace(' ', "_");
        &joined
    } else {
        name
    };
    if let Some(field) = draft.vendor_field(&["winlog.event_data.", name]) {
        draft.str(field, value);
    }
}

/// Says in ECS what the event means and whom and what it names, from what stands below `winlog.`.
fn finish(draft: &mut Draft<'_>) {
    let named = |draft: &Draft<'_>, name: &str| draft.named_text(name).unwrap_or_default();
    let (channel, provider) = (named(draft, "winlog.channel"), named(draft, "winlog.provider_name"));
    let id = draft.text(fields::EVENT_CODE).and_then(|id| id.parse().ok()).unwrap_or(0);
    let family = Family::of(&channel, &provider);
    if family == Family::Iis && id == 6_200 {
        let data = data::all(draft);
        let pairs: Vec<(&str, &str)> = data.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        draft.remove(fields::EVENT_MODULE);
        return iis::event(&pairs, draft);
    }
    let meaning = meaning(family, id);
    // Only what happens to a group has members, whatever number nobody told.
    let has_member = || draft.has_named("winlog.event_data.MemberSid") || draft.has_named("winlog.event_data.MemberName");
    let unknown = || if has_member() { meaning::Who::Group } else { meaning::Who::Subject };
    let who = meaning.map_or_else(unknown, |meaning| meaning.who);
    data::put(family, id, who, draft);
    let Some(meaning) = meaning else {
        return audit(draft);
    };
    // Winlogbeat's modules have said what it is; without them the table does.
    if !draft.has(fields::EVENT_CATEGORY) {
        draft.name(fields::EVENT_CATEGORY, meaning.category);
    }
    if !draft.has(fields::EVENT_TYPE) && !meaning.kind.is_empty() {
        draft.name(fields::EVENT_TYPE, meaning.kind);
    }
    if !draft.has(fields::EVENT_ACTION) {
        draft.name(fields::EVENT_ACTION, meaning.action);
    }
    if family == Family::Defender && meaning.category == "malware" && !draft.has(fields::EVENT_KIND) {
        draft.name(fields::EVENT_KIND, "alert");
    }
    if !meaning.outcome.is_empty() && !draft.has(fields::EVENT_OUTCOME) {
        draft.name(fields::EVENT_OUTCOME, meaning.outcome);
    }
    audit(draft);
}

/// Success and failure as the audit says it, and where it says nothing, as the status does.
fn audit(draft: &mut Draft<'_>) {
    if draft.has(fields::EVENT_OUTCOME) {
        return;
    }
    let said = draft.named_texts("winlog.keywords").iter().find_map(|keywords| audit_outcome(keywords));
    let status = || match draft.named_text("winlog.event_data.Status").as_deref() {
        Some("0x0" | "0x00000000" | "0") => Some("success"),
        Some(code) if code.starts_with("0x") => Some("failure"),
        _ => None,
    };
    if let Some(outcome) = said.or_else(status) {
        draft.name(fields::EVENT_OUTCOME, outcome);
    }
}

/// The audit's word in the ways that the carriers have it: the mask of the keywords, NXLog's type, the text in both
/// languages.
fn audit_outcome(text: &str) -> Option<&'static str> {
    match text {
        "0x8020000000000000" | "AUDIT_SUCCESS" | "Audit Success" | "Success Audit" | "Überwachung erfolgreich" | "Erfolgsüberwachung" => {
            Some("success")
        }
        "0x8010000000000000" | "AUDIT_FAILURE" | "Audit Failure" | "Failure Audit" | "Überwachung gescheitert" | "Fehlerüberwachung" => {
            Some("failure")
        }
        // Signed, as NXLog writes it.
        "-9214364837600034816" => Some("success"),
        "-9218868437227405312" => Some("failure"),
        _ => None,
    }
}

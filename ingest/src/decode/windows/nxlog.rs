//! NXLog: its names for what every event has, its key=value lines (`to_kvp`), its structured data (`to_syslog_ietf`),
//! and the bare text that `to_syslog_bsd` sends, where the provider is the program and the number must be told from
//! the text.

use super::{System, finish, put_data, put_system, text};
use crate::decode::Look;
use crate::decode::draft::Draft;
use crate::decode::kv;
use crate::fields::{self, FieldId};
use crate::syslog;

/// NXLog's names of what is no event data, and ours below `winlog.`.
const META: &[(&str, &str)] = &[
    ("EventID", "event_id"),
    ("Channel", "channel"),
    ("SourceName", "provider_name"),
    ("ProviderGuid", "provider_guid"),
    ("RecordNumber", "record_id"),
    ("Keywords", "keywords"),
    ("EventType", "keywords"),
    ("Category", "task"),
    ("Opcode", "opcode"),
    ("Version", "version"),
    ("ActivityID", "activity_id"),
    ("RelatedActivityID", "related_activity_id"),
    ("ProcessID", "process.pid"),
    ("ExecutionProcessID", "process.pid"),
    ("ThreadID", "process.thread.id"),
    ("ExecutionThreadID", "process.thread.id"),
    ("AccountName", "user.name"),
    ("Domain", "user.domain"),
    ("AccountType", "user.type"),
    ("UserID", "user.identifier"),
];

/// What NXLog says of its own work.
const OWN: [&str; 11] = [
    "EventReceivedTime",
    "SourceModuleName",
    "SourceModuleType",
    "SeverityValue",
    "Severity",
    "OpcodeValue",
    "TaskValue",
    "Task",
    "Level",
    "EventTime",
    "LevelValue",
];

/// The field of one of NXLog's names; names of ECS or of another shipper stay.
pub(super) fn field(name: &str, draft: &mut Draft<'_>) -> Option<FieldId> {
    if let Some((_, ours)) = META.iter().find(|(theirs, _)| *theirs == name) {
        return draft.vendor_field(&["winlog.", ours]);
    }
    if OWN.contains(&name) {
        return draft.vendor_field(&["nxlog.", name]);
    }
    if name.contains('.') || name.starts_with('_') || !name.starts_with(|char: char| char.is_ascii_alphabetic()) {
        return None;
    }
    draft.vendor_field(&["winlog.event_data.", name])
}

const AUDITING: &str = "Microsoft-Windows-Security-Auditing";

pub(in crate::decode) fn first_look(look: &Look<'_>) -> bool {
    if look.tag.starts_with("Microsoft-Windows-") {
        return true;
    }
    let text = look.text.as_bytes();
    // The names stand in no fixed order, but the number among the first dozen.
    let head = text.get(..HEAD_BYTES).unwrap_or(text);
    (head.starts_with(b"Event") || head.starts_with(b"Hostname=")) && memchr::memmem::find(head, b"EventID=").is_some()
}

const HEAD_BYTES: usize = 400;

pub(in crate::decode) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    if look.text.contains("EventID=") && pairs(look.text, draft) {
        return true;
    }
    look.tag.starts_with("Microsoft-Windows-") && bare_text(look, draft)
}

/// `EventTime="…" Hostname="…" EventID=4625 …`, or with `; ` between the pairs.
fn pairs(line: &str, draft: &mut Draft<'_>) -> bool {
    let mut named: Vec<(&str, String)> = Vec::with_capacity(32);
    if line.contains("; ") && !line.contains("=\"") || line.ends_with(';') {
        for pair in line.split("; ").take(PAIRS_MAX) {
            let Some((key, value)) = pair.split_once('=') else { continue };
            named.push((key.trim(), value.trim().trim_end_matches(';').trim_matches('"').to_owned()));
        }
    } else {
        for pair in kv::pairs(line).take(PAIRS_MAX) {
            pair.with_value(|value| named.push((pair.key, value.to_owned())));
        }
    }
    let get = |wanted: &str| named.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value.as_str()).unwrap_or_default();
    let (id, channel, provider) = (get("EventID"), get("Channel"), get("SourceName"));
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) || channel.is_empty() && provider.is_empty() {
        return false;
    }
    let computer = if get("Hostname").is_empty() { get("Computer") } else { get("Hostname") };
    put_system(System { channel, provider, id, computer, record: get("RecordNumber") }, draft);
    if let Some(stamp) = syslog::whole_stamp(get("EventTime")) {
        draft.stamp = stamp;
    }
    for (key, value) in &named {
        match *key {
            "EventID" | "Channel" | "SourceName" | "Hostname" | "Computer" | "RecordNumber" | "EventTime" => {}
            "Message" => draft.set_message(value),
            key => {
                if let Some(field) = field(key, draft).filter(|_| !matches!(value.as_str(), "" | "-")) {
                    draft.str(field, value);
                }
            }
        }
    }
    finish(draft);
    true
}

/// An event has some forty.
const PAIRS_MAX: usize = 200;

/// The pairs of `[NXLOG@14506 EventID="4625" …]`, which the header's reader has put below `syslog.sd`.
pub(in crate::decode) fn structured(draft: &mut Draft<'_>) -> bool {
    draft.renamed(|draft, name| field(name.strip_prefix("syslog.sd.NXLOG@14506.")?, draft));
    let id = draft.named_text("winlog.event_id").unwrap_or_default();
    if id.is_empty() {
        return false;
    }
    draft.decoder = "nxlog";
    draft.name(fields::EVENT_MODULE, "windows");
    draft.str(fields::EVENT_CODE, &id);
    if draft.named_text("winlog.provider_name").is_none() {
        let provider = draft.text(fields::PROCESS_NAME).unwrap_or_default().to_owned();
        draft.vendor("winlog", "provider_name", &provider);
    }
    finish(draft);
    true
}

/// The rendered text alone, in English or German.
fn bare_text(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let id = text::event_of(look.text).filter(|_| look.app == AUDITING).unwrap_or_default();
    let channel = if look.app == AUDITING { "Security" } else { "" };
    put_system(System { channel, provider: look.app, id, ..System::default() }, draft);
    text::each(look.text, id, |name, value| put_data(name, value, draft));
    finish(draft);
    true
}

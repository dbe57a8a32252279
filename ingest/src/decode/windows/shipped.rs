//! Events that a shipper sent as JSON. Their fields are there already, under the shipper's names; here those become
//! `winlog.…` and `winlog.event_data.…`, in place, so that no value is kept twice.

use super::{finish, nxlog};
use crate::decode::draft::Draft;
use crate::fields;
use crate::syslog::{self, Stamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decode) enum Dialect {
    /// Winlogbeat and Elastic's agent since version 7: `winlog.…`.
    Winlogbeat,
    /// Winlogbeat before: `event_id`, `log_name`, `event_data.…`.
    OldWinlogbeat,
    /// NXLog's `to_json`: all names at the top.
    Nxlog,
    /// The XML's structure as JSON: `Event.System.…` (evtx_dump, Logstash, Vector).
    Evtx,
}

pub(in crate::decode) fn shipped(draft: &mut Draft<'_>, dialect: Dialect) {
    draft.renamed(|draft, name| match dialect {
        Dialect::Winlogbeat => None,
        Dialect::OldWinlogbeat => {
            if let Some(data) = name.strip_prefix("event_data.").or_else(|| name.strip_prefix("user_data.")) {
                return draft.vendor_field(&["winlog.event_data.", data.rsplit('.').next().unwrap_or(data)]);
            }
            let ours = OLD.iter().find(|(old, _)| *old == name).map(|(_, ours)| *ours)?;
            draft.vendor_field(&["winlog.", ours])
        }
        Dialect::Nxlog => nxlog::field(name, draft),
        Dialect::Evtx => {
            let name = name.strip_prefix("Event.")?;
            if let Some(data) = name.strip_prefix("EventData.").or_else(|| name.strip_prefix("UserData.")) {
                let data = data.strip_suffix(".#text").unwrap_or(data);
                let data = if data.contains('#') { return None } else { data.rsplit('.').next().unwrap_or(data) };
                return draft.vendor_field(&["winlog.event_data.", data]);
            }
            let ours = EVTX.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours)?;
            draft.vendor_field(&["winlog.", ours])
        }
    });
    let named = |draft: &Draft<'_>, name: &str| draft.named_text(name).unwrap_or_default();
    if !draft.has(fields::EVENT_CODE) {
        let id = named(draft, "winlog.event_id");
        draft.str(fields::EVENT_CODE, &id);
    }
    let computer = named(draft, "winlog.computer_name");
    if !draft.has(fields::HOST_NAME) {
        draft.str(fields::HOST_NAME, &computer);
    } else if computer.is_empty() {
        let host = draft.text(fields::HOST_NAME).unwrap_or_default().to_owned();
        draft.vendor("winlog", "computer_name", &host);
    }
    let time = named(draft, "winlog.time_created");
    if let Some(stamp) = syslog::whole_stamp(&time)
        && !matches!(draft.stamp, Stamp::Moment(_))
    {
        draft.stamp = stamp;
    }
    finish(draft);
}

const OLD: &[(&str, &str)] = &[
    ("event_id", "event_id"),
    ("log_name", "channel"),
    ("source_name", "provider_name"),
    ("computer_name", "computer_name"),
    ("record_number", "record_id"),
    ("provider_guid", "provider_guid"),
    ("keywords", "keywords"),
    ("opcode", "opcode"),
    ("task", "task"),
    ("activity_id", "activity_id"),
    ("process_id", "process.pid"),
    ("thread_id", "process.thread.id"),
];

const EVTX: &[(&str, &str)] = &[
    ("System.EventID", "event_id"),
    ("System.EventID.#text", "event_id"),
    ("System.Channel", "channel"),
    ("System.Computer", "computer_name"),
    ("System.EventRecordID", "record_id"),
    ("System.Keywords", "keywords"),
    ("System.Task", "task"),
    ("System.Opcode", "opcode"),
    ("System.Version", "version"),
    ("System.Provider.#attributes.Name", "provider_name"),
    ("System.Provider.#attributes.Guid", "provider_guid"),
    ("System.Execution.#attributes.ProcessID", "process.pid"),
    ("System.Execution.#attributes.ThreadID", "process.thread.id"),
    ("System.Security.#attributes.UserID", "user.identifier"),
    ("System.TimeCreated.#attributes.SystemTime", "time_created"),
];

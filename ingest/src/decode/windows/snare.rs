//! Snare's `MSWinEventLog`: one line an event, its columns separated by tabs (Snare's agent manual): criticality, log,
//! counter, time, event id, source, user, SID type, result, computer, category, data, text, checksum.

use super::{System, put_data, put_system, text};
use crate::decode::Look;
use crate::decode::draft::Draft;
use crate::decode::part::some;
use crate::fields;
use crate::syslog::{self, Stamp};

pub(in crate::decode) fn first_look(look: &Look<'_>) -> bool {
    // At the beginning only: within another program's line it is somebody's text.
    look.text.trim_start().starts_with("MSWinEventLog") || look.tag.starts_with("MSWinEventLog")
}

pub(in crate::decode) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((_, columns)) = look.text.split_once("MSWinEventLog") else { return false };
    // Behind syslog daemons that mask control characters a tab is `#011`.
    let masked;
    let columns = if columns.contains('\t') {
        columns
    } else {
        masked = columns.replace("#011", "\t");
        &masked
    };
    let mut columns = columns.trim_start_matches('\t').split('\t');
    let mut next = || columns.next().unwrap_or_default().trim();
    let [_criticality, channel, record, time, id, provider, user, _sid_type, result, computer, category, _data] =
        std::array::from_fn(|_| next());
    let rendered = next();
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    put_system(System { channel, provider, id, computer, record }, draft);
    if draft.stamp == Stamp::Absent {
        draft.stamp = syslog::weekday_stamp(time).unwrap_or_default();
    }
    match result {
        "Success Audit" if !draft.has(fields::EVENT_OUTCOME) => draft.name(fields::EVENT_OUTCOME, "success"),
        "Failure Audit" if !draft.has(fields::EVENT_OUTCOME) => draft.name(fields::EVENT_OUTCOME, "failure"),
        _ => {}
    }
    draft.vendor("winlog", "task", category);
    text::each(rendered, |name, value| put_data(name, value, draft));
    if !matches!(some(user), "" | "N/A") && !draft.has(fields::USER_NAME) {
        draft.str(fields::USER_NAME, user);
    }
    true
}

//! Snare's `MSWinEventLog`: one line an event, its columns separated by tabs (Snare's agent manual): criticality, log,
//! counter, time, event id, source, user, SID type, result, computer, category, data, text, checksum. NXLog's
//! `to_syslog_snare` writes the same.

use memchr::memmem;

use super::{System, audit_outcome, finish, put_data, put_system, text};
use crate::decode::Look;
use crate::decode::draft::Draft;
use crate::decode::part::some;
use crate::fields;
use crate::syslog::{self, Stamp};

const MARK: &str = "MSWinEventLog";
/// The mark stands at the beginning, or behind what a relay put before it.
const MARK_BYTES_MAX: usize = 160;

pub(in crate::decode) fn first_look(look: &Look<'_>) -> bool {
    // At the beginning, or behind a word or two of a relay's: within another program's line it is somebody's text.
    let begins = look.tag.starts_with(MARK) || look.text.trim_start().starts_with(MARK);
    let text = look.text.as_bytes();
    let relayed = || memmem::find(text.get(..MARK_BYTES_MAX).unwrap_or(text), MARK.as_bytes()).and_then(|at| text.get(..at));
    begins || look.app.is_empty() && relayed().is_some_and(|before| !before.iter().any(|byte| matches!(byte, b'"' | b'/' | b'\'')))
}

pub(in crate::decode) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((_, columns)) = look.text.split_once(MARK) else { return false };
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
    if audit_outcome(result).is_some() {
        draft.vendor("winlog", "keywords", result);
    }
    draft.vendor("winlog", "task", category);
    text::each(rendered, id, |name, value| put_data(name, value, draft));
    finish(draft);
    // `KREIS\anna`, or the SID of whom the event is logged for.
    if !matches!(some(user), "" | "N/A" | "Unknown User") && !draft.has(fields::USER_NAME) {
        let (domain, name) = user.split_once('\\').unwrap_or(("", user));
        if name.starts_with("S-1-") {
            draft.str(fields::USER_ID, name);
        } else {
            draft.str(fields::USER_NAME, name);
            draft.str(fields::USER_DOMAIN, domain);
        }
    }
    true
}

//! Apache's error log: `[Sun Dec 04 04:47:44 2005] [error] [client 192.0.2.1:4711] …`. Has no syslog header, but a
//! time and a level of its own.

use super::Look;
use super::draft::Draft;
use super::part::bracketed;
use crate::fields;
use crate::syslog;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.text.starts_with('[')
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((stamp, mut rest)) = bracketed(look.text) else { return false };
    let Some(stamp) = syslog::weekday_stamp(stamp) else { return false };
    let Some((level, behind)) = bracketed(rest) else { return false };
    rest = behind;
    draft.stamp = stamp;
    draft.set_message(rest);
    draft.name(fields::EVENT_MODULE, "apache");
    // `core:error` since Apache 2.4.
    let level = level.rsplit(':').next().unwrap_or(level);
    if !draft.has(fields::LOG_LEVEL) {
        match level {
            "warn" => draft.name(fields::LOG_LEVEL, "warning"),
            "info" => draft.name(fields::LOG_LEVEL, "informational"),
            _ => draft.str(fields::LOG_LEVEL, level),
        }
    }
    while let Some((part, behind)) = bracketed(rest) {
        match part.split_once(' ') {
            // ModSecurity names the client once more.
            Some(("client" | "remote", client)) if !draft.has(fields::SOURCE_IP) => draft.source_endpoint(client),
            Some(("client" | "remote", _)) => {}
            Some(("pid", process)) if !draft.has(fields::PROCESS_PID) => {
                draft.optional(fields::PROCESS_PID, process.split_once(':').map_or(process, |(pid, _)| pid));
            }
            _ => break,
        }
        rest = behind;
    }
    said(rest, draft);
    true
}

/// `(70014)End of file found: [client …] AH02006: …`, `AH01618: user anna not found: /path`, ModSecurity.
fn said(text: &str, draft: &mut Draft<'_>) {
    let mut text = text;
    if let Some((error, behind)) = text.split_once("[client ").filter(|(error, _)| error.starts_with('(')) {
        draft.str(fields::EVENT_REASON, error.trim_end_matches([':', ' ']));
        let (client, behind) = behind.split_once(']').unwrap_or((behind, ""));
        if !draft.has(fields::SOURCE_IP) {
            draft.source_endpoint(client);
        }
        text = behind.trim_start();
    }
    if text.starts_with("ModSecurity:") {
        draft.name(fields::EVENT_CATEGORY, "intrusion_detection");
        return super::modsecurity::put(text, draft);
    }
    // What the client followed stands last.
    let (text, referrer) = text.rsplit_once(", referer: ").unwrap_or((text, ""));
    draft.str(fields::HTTP_REFERRER, referrer);
    // A PHP application's word, which mod_php logs as its own.
    if let Some(user) = text.strip_prefix("Failed login for ") {
        draft.event("authentication", "http_login", "failure");
        return draft.str(fields::USER_NAME, user);
    }
    draft.name(fields::EVENT_CATEGORY, "web");
    let code = text.split_once(": ").filter(|(code, _)| code.starts_with("AH") && code.len() == 7);
    let Some((code, what)) = code else { return };
    draft.str(fields::EVENT_CODE, code);
    let user = what.strip_prefix("user ").and_then(|rest| {
        let at = [" not found: ", ": authentication failure for ", ": password mismatch: "]
            .into_iter()
            .find_map(|why| Some((rest.find(why)?, why)))?;
        Some((rest.get(..at.0)?, at.1, rest.get(at.0 + at.1.len()..)?))
    });
    if let Some((user, why, path)) = user {
        draft.event("authentication", "http_login", "failure");
        draft.str(fields::USER_NAME, user);
        draft.name(fields::EVENT_REASON, if why.contains("not found") { "user not found" } else { "wrong password" });
        super::http_access::put_target(path.trim_matches('"'), draft);
    }
}

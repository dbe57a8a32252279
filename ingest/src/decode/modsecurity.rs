//! ModSecurity's alert text, as Apache's and nginx' error logs carry it: `ModSecurity: Warning. … [id "930100"] [msg "…"] …`; and
//! the lines of its serial audit log that say who and what (`[time] id client port server port`, `Message: …`).

use super::draft::{Draft, address};
use super::part::{between, bracketed, is_number, quoted};
use super::{Look, http_access};
use crate::fields;
use crate::syslog;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    let is_server = || look.is_of(&["apache", "httpd", "nginx", "modsec"]);
    look.text.starts_with("Message: ") && is_server() || look.app == "Message" || look.app.is_empty() && look.text.starts_with('[')
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    // `Message: Warning.` looks like a program and its message to the header's parser.
    let message = if look.app == "Message" { Some(look.text) } else { look.text.strip_prefix("Message: ") };
    if let Some(message) = message {
        if !message.contains("[id \"") {
            return false;
        }
        draft.name(fields::EVENT_MODULE, "modsecurity");
        draft.name(fields::EVENT_CATEGORY, "intrusion_detection");
        put(message, draft);
        return true;
    }
    // The part A of an audit record.
    let Some((time, rest)) = bracketed(look.text) else { return false };
    let Some(stamp) = syslog::day_first_stamp(time) else { return false };
    let mut words = rest.trim_end().split(' ');
    let [Some(id), Some(client), Some(client_port), Some(server), Some(port), None] = std::array::from_fn(|_| words.next()) else {
        return false;
    };
    if address(client).is_none() || address(server).is_none() || !is_number(client_port) || !is_number(port) {
        return false;
    }
    draft.stamp = stamp;
    draft.name(fields::EVENT_MODULE, "modsecurity");
    draft.event("intrusion_detection", "audit_record", "");
    draft.vendor("modsecurity", "unique_id", id);
    draft.source(client);
    draft.number(fields::SOURCE_PORT, client_port);
    draft.ip(fields::DESTINATION_IP, server);
    draft.number(fields::DESTINATION_PORT, port);
    true
}

/// Reads the text behind the server's own part of the line.
pub(super) fn put(text: &str, draft: &mut Draft<'_>) {
    draft.name(fields::EVENT_DATASET, "modsecurity");
    let denied = text.contains("Access denied");
    draft.name(fields::EVENT_ACTION, if denied { "blocked" } else { "detected" });
    draft.name(fields::EVENT_OUTCOME, if denied { "failure" } else { "unknown" });
    let mut rest = text;
    let mut tags = 0;
    // A value may hold brackets and quotes of the attacker's: each part is read behind its own name, once.
    while let Some((before, value)) = rest.split_once(" \"") {
        let name = before.rsplit('[').next().unwrap_or_default();
        let start = rest.len() - value.len() - 1;
        let Some((value, behind)) = rest.get(start..).and_then(quoted) else { return };
        match name {
            "id" if !draft.has(fields::RULE_ID) => draft.str(fields::RULE_ID, value),
            "msg" if !draft.has(fields::RULE_NAME) => draft.str(fields::RULE_NAME, value),
            "data" => draft.vendor("modsecurity", "data", value),
            "severity" => draft.vendor("modsecurity", "severity", value),
            "hostname" if !draft.has(fields::URL_DOMAIN) => draft.str(fields::URL_DOMAIN, value),
            "uri" if !draft.has(fields::URL_PATH) => http_access::put_target(value, draft),
            "unique_id" => draft.vendor("modsecurity", "unique_id", value),
            "file" => draft.vendor("modsecurity", "file", value),
            "line" => draft.vendor("modsecurity", "line", value),
            "tag" if tags < TAGS_MAX => {
                tags += 1;
                draft.vendor("modsecurity", "tag", value);
            }
            _ => {}
        }
        rest = behind;
    }
    if let Some((code, _)) = between(text, "with code ", " ") {
        draft.optional(fields::HTTP_STATUS, code);
    }
}

/// A rule of the core rule set has about ten.
const TAGS_MAX: usize = 16;

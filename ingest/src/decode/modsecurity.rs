//! ModSecurity's alert text, as Apache's and nginx' error logs carry it: `ModSecurity: Warning. … [id "930100"] [msg "…"] …`.

use super::draft::Draft;
use super::http_access;
use super::part::{between, quoted};
use crate::fields;

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

//! Smaller voices: Squid's access log in its own format (the common one is `http_access`'s), OPNsense's web interface.

use super::Look;
use super::draft::Draft;
use super::http_access::put_target;
use super::part::is_number;
use crate::fields;
use crate::syslog::{self, Stamp};

pub(super) fn first_look(look: &Look<'_>) -> bool {
    matches!(look.app, "squid" | "audit")
        || look.text.contains("TCP_") && look.is_of(&["squid"])
        || look.text.contains("Web GUI authentication") && look.is_of(&["audit", "php", "sense", "configd", "lighttpd"])
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    squid(look.text, draft) || opnsense(look.text, draft)
}

/// `1773471600.123    45 10.0.0.7 TCP_MISS/200 1234 GET http://example.net/ anna HIER_DIRECT/203.0.113.9 text/html`
fn squid(text: &str, draft: &mut Draft<'_>) -> bool {
    let words: Vec<&str> = text.split_ascii_whitespace().take(10).collect();
    let at = words.iter().position(|word| word.starts_with("TCP_") || word.starts_with("UDP_") || word.starts_with("NONE"));
    let Some(at @ 1..) = at else { return false };
    let (client, rest) = (words.get(at - 1).copied().unwrap_or_default(), words.get(at + 1..).unwrap_or_default());
    let (Some((result, status)), [bytes, method, target, user, hierarchy, ..]) =
        (words.get(at).and_then(|word| word.split_once('/')), rest)
    else {
        return false;
    };
    if super::draft::address(client).is_none() || !is_number(status) || !is_number(bytes) {
        return false;
    }
    draft.name(fields::EVENT_MODULE, "squid");
    draft.name(fields::EVENT_TYPE, "access");
    let denied = result.contains("DENIED");
    draft.event("web", if denied { "blocked" } else { "http_request" }, if denied { "failure" } else { "success" });
    if let (Stamp::Absent, Some(at)) = (draft.stamp, words.first().and_then(|word| syslog::epoch_text(word))) {
        draft.stamp = Stamp::Moment(at);
    }
    draft.source(client);
    draft.vendor("squid", "result", result);
    draft.number(fields::HTTP_STATUS, status);
    draft.number(fields::HTTP_RESPONSE_BYTES, bytes);
    draft.str(fields::HTTP_METHOD, method);
    if let Some((host, port)) = target.rsplit_once(':').filter(|(_, port)| *method == "CONNECT" && is_number(port)) {
        draft.str(fields::URL_DOMAIN, host);
        draft.number(fields::DESTINATION_PORT, port);
    } else {
        put_target(target, draft);
        if let Some((_, rest)) = target.split_once("://") {
            draft.str(fields::URL_DOMAIN, rest.split(['/', ':', '?']).next().unwrap_or_default());
        }
    }
    draft.optional(fields::USER_NAME, user);
    if let Some((_, server)) = hierarchy.split_once('/') {
        if let Some(address) = super::draft::address(server) {
            draft.put_ip(fields::DESTINATION_IP, address);
        } else {
            draft.optional(fields::DESTINATION_DOMAIN, server);
        }
    }
    true
}

/// `/index.php: Web GUI authentication error for 'anna' from 203.0.113.9`
fn opnsense(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((_, rest)) = text.split_once("Web GUI authentication ") else { return false };
    let Some((user, from)) = rest.rsplit_once("' from ") else { return false };
    let Some((outcome, user)) = user.split_once(" for '") else { return false };
    draft.name(fields::EVENT_MODULE, "opnsense");
    draft.event("authentication", "login", if outcome.starts_with("error") { "failure" } else { "success" });
    draft.str(fields::USER_NAME, user);
    draft.source(from.trim());
    true
}

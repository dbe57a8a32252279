//! Check Point's Log Exporter in its two plain formats: syslog, `[action:"Accept"; flags:"…"; src:"…"]` where structured data
//! belong, and splunk, `time=…|hostname=…|product=…`. CEF, LEEF and JSON, which it can be told to send, are read by their
//! own decoders. Names follow the "Log fields description"; what ECS has no name for stands below `checkpoint`.

use memchr::memmem;

use super::Look;
use super::draft::Draft;
use super::kv::Pair;
use super::walk::{self, Dialect, Kept, Put, verdict_of};
use crate::event::Defect;
use crate::fields;
use crate::syslog::{self, Stamp};

const ACTION: usize = 0;
const RULE_ACTION: usize = 1;
const PRODUCT: usize = 2;
const DIRECTION: usize = 3;
const INTERFACE: usize = 4;
const TIME: usize = 5;
const OPERATION: usize = 6;
const STATUS: usize = 7;
const PROTECTION: usize = 8;
const SERVICE: usize = 9;
const RULE: usize = 10;
const SUBJECT: usize = 11;

pub(super) const DIALECT: Dialect = Dialect {
    prefix: "checkpoint",
    nothing: &["N/A"],
    escapable: &['"', '\\', ']', '=', '|'],
    runs_on: false,
    keys: &[
        ("action", Put::Both(ACTION)),
        ("administrator", Put::Ecs(fields::USER_NAME)),
        ("appi_name", Put::Ecs(fields::NETWORK_APPLICATION)),
        ("audit_status", Put::Both(STATUS)),
        ("client_ip", Put::Ecs(fields::SOURCE_IP)),
        ("domain_name", Put::Ecs(fields::DNS_QUESTION_NAME)),
        ("dst", Put::Ecs(fields::DESTINATION_IP)),
        ("dst_country", Put::Ecs(fields::DESTINATION_GEO_COUNTRY)),
        ("file_name", Put::Ecs(fields::FILE_PATH)),
        ("file_sha256", Put::Ecs(fields::FILE_HASH_SHA256)),
        ("from", Put::Ecs(fields::EMAIL_FROM)),
        ("hostname", Put::Call(|host, draft| draft.once(fields::HOST_NAME, host))),
        ("ifdir", Put::Keep(DIRECTION)),
        ("ifname", Put::Keep(INTERFACE)),
        ("machine", Put::Ecs(fields::SOURCE_DOMAIN)),
        ("method", Put::Ecs(fields::HTTP_METHOD)),
        ("operation", Put::Both(OPERATION)),
        ("packets", Put::Ecs(fields::NETWORK_PACKETS)),
        ("product", Put::Keep(PRODUCT)),
        ("protection_name", Put::Keep(PROTECTION)),
        ("proto", Put::Transport),
        ("reason", Put::Ecs(fields::EVENT_REASON)),
        ("received_bytes", Put::Ecs(fields::DESTINATION_BYTES)),
        ("resource", Put::Call(|url, draft| draft.url(url))),
        ("rule_action", Put::Both(RULE_ACTION)),
        ("rule_name", Put::Keep(RULE)),
        ("rule_uid", Put::Ecs(fields::RULE_ID)),
        ("s_port", Put::Positive(fields::SOURCE_PORT)),
        ("sent_bytes", Put::Ecs(fields::SOURCE_BYTES)),
        ("service", Put::Keep(SERVICE)),
        ("service_id", Put::Ecs(fields::NETWORK_PROTOCOL)),
        ("src", Put::Ecs(fields::SOURCE_IP)),
        ("src_country", Put::Ecs(fields::SOURCE_GEO_COUNTRY)),
        ("src_machine_name", Put::Ecs(fields::SOURCE_DOMAIN)),
        ("src_user_name", Put::Call(|user, draft| draft.str(fields::SOURCE_USER_NAME, user.trim()))),
        ("status", Put::Both(STATUS)),
        ("subject", Put::Both(SUBJECT)),
        ("time", Put::Keep(TIME)),
        ("to", Put::Ecs(fields::EMAIL_TO)),
        ("user", Put::Call(|user, draft| draft.str(fields::USER_NAME, user.trim()))),
        ("user_agent", Put::Ecs(fields::USER_AGENT)),
        ("user_name", Put::Call(|user, draft| draft.str(fields::USER_NAME, user.trim()))),
    ],
};

pub(super) fn first_look(look: &Look<'_>) -> bool {
    let text = look.text.as_bytes();
    look.is_of(&["checkpoint", "check point"])
        && ((look.text.starts_with('[') && (look.app == "CheckPoint" || memmem::find(text, b"loguid:\"").is_some()))
            || (look.text.starts_with("time=") && memmem::find(text, b"|loguid=").is_some()))
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let mut kept = Kept::default();
    draft.product("checkpoint", "checkpoint.firewall", "Check Point", "");
    match look.text.strip_prefix('[') {
        Some(text) => colons(text, &mut kept, draft),
        None => bars(look.text, &mut kept, draft),
    }
    if let Some(stamp) = moment(kept.get(TIME)) {
        draft.stamp = stamp;
    }
    put(&kept, draft);
    true
}

/// `key:"value"; key::"value"]`, quotes, backslashes and the closing bracket escaped within a value.
fn colons<'t>(text: &'t str, kept: &mut Kept<'t>, draft: &mut Draft<'_>) {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', ';']);
        if rest.is_empty() || rest.starts_with(']') {
            return;
        }
        let Some((key, behind)) = rest.split_once(":\"") else {
            // Neither a pair nor the end: what is left is no Check Point's.
            draft.defects.add(Defect::BadKeyValue);
            return;
        };
        let (value, behind, unterminated) = until_quote(behind);
        let escaped = value.contains('\\');
        DIALECT.put(Pair { key: key.trim_end_matches(':'), value, escaped, unterminated }, kept, draft);
        rest = behind;
    }
}

/// The value up to its closing quote, what follows, and whether there was none.
fn until_quote(text: &str) -> (&str, &str, bool) {
    let mut at = 0;
    while let Some(found) = text.as_bytes().get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        if text.as_bytes().get(at + found) == Some(&b'"') {
            let (value, rest) = text.split_at_checked(at + found).unwrap_or((text, ""));
            return (value, rest.get(1..).unwrap_or_default(), false);
        }
        at = (at + found + 2).min(text.len());
    }
    (text, "", true)
}

/// `key=value|key=value|`, with `\=` and `\|` within a value.
fn bars<'t>(text: &'t str, kept: &mut Kept<'t>, draft: &mut Draft<'_>) {
    let mut rest = text;
    while !rest.is_empty() {
        let (mut at, mut escaped) = (0, false);
        let end = loop {
            match rest.as_bytes().get(at..).and_then(|rest| memchr::memchr2(b'|', b'\\', rest)) {
                None => break rest.len(),
                Some(found) if rest.as_bytes().get(at + found) == Some(&b'|') => break at + found,
                Some(found) => {
                    escaped = true;
                    at = (at + found + 2).min(rest.len());
                }
            }
        };
        let (pair, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        match pair.split_once('=') {
            Some((key, value)) => DIALECT.put(Pair { key, value, escaped, unterminated: false }, kept, draft),
            None => draft.defects.add(Defect::BadKeyValue),
        }
        rest = behind.strip_prefix('|').unwrap_or(behind);
    }
}

/// Seconds or milliseconds since 1970, or RFC 3339 where the exporter was told so.
fn moment(time: &str) -> Option<Stamp> {
    let epoch = time.parse().ok().and_then(syslog::epoch).map(Stamp::Moment);
    epoch.or_else(|| syslog::whole_stamp(time))
}

fn put(kept: &Kept<'_>, draft: &mut Draft<'_>) {
    draft.str(fields::OBSERVER_PRODUCT, kept.get(PRODUCT));
    let interface = kept.get(INTERFACE);
    match kept.get(DIRECTION) {
        "inbound" => {
            draft.name(fields::NETWORK_DIRECTION, "inbound");
            draft.str(fields::OBSERVER_INGRESS_INTERFACE, interface);
        }
        "outbound" => {
            draft.name(fields::NETWORK_DIRECTION, "outbound");
            draft.str(fields::OBSERVER_EGRESS_INTERFACE, interface);
        }
        _ => draft.vendor("checkpoint", "ifname", interface),
    }
    // A port's number, or a service's name where the exporter resolves them.
    if super::part::is_number(kept.get(SERVICE)) {
        draft.number(fields::DESTINATION_PORT, kept.get(SERVICE));
    } else {
        draft.str(fields::NETWORK_PROTOCOL, kept.get(SERVICE));
    }
    let (action, operation) = (kept.get(ACTION), kept.get(OPERATION));
    let protection = kept.get(PROTECTION);
    let is_protection = !protection.is_empty() || matches!(action, "Prevent" | "Detect");
    // The protection that found something is the rule that speaks; the access rule's name stays beside it.
    DIALECT.put_kept(fields::RULE_NAME, if is_protection { protection } else { kept.get(RULE) }, draft);
    if is_protection {
        draft.vendor("checkpoint", "rule_name", kept.get(RULE));
    }
    let succeeded = walk::says(kept.get(STATUS), &["success"]) || kept.get(STATUS).is_empty() && action == "Accept";
    if matches!(operation, "Log In" | "Log Out") || matches!(action, "Log In" | "Log Out" | "Failed Log In") {
        let out = operation == "Log Out" || action == "Log Out";
        let failed = action == "Failed Log In" || action == "Reject" || walk::says(kept.get(STATUS), &["fail"]);
        draft.event("authentication", if out { "logout" } else { "login" }, if failed { "failure" } else { "success" });
    } else if !operation.is_empty() {
        draft.event("configuration", "configuration_changed", if succeeded { "success" } else { "failure" });
    } else if is_protection {
        let is_malware = walk::says(kept.get(PRODUCT), &["virus", "bot", "emulation", "extraction"]);
        draft.found(if is_malware { "malware" } else { "intrusion_detection" }, action != "Detect");
    } else if !action.is_empty() {
        // Encrypted or decrypted traffic went through where the rule that matched it says so.
        draft.verdict(verdict_of(action).or_else(|| verdict_of(kept.get(RULE_ACTION))));
    } else {
        draft.event("host", "system", "");
    }
}

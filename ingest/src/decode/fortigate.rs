//! FortiGate's key=value log (FortiOS 5 to 7): traffic, utm, event and vpn. What ECS has no name for is kept
//! below `fortinet.firewall`. CEF and CSV, which FortiOS can be told to send instead, are not read here.

use memchr::memmem;

use super::Look;
use super::draft::Draft;
use super::walk::{self, Dialect, ESCAPABLE, Kept, Put};
use crate::event::Defect;
use crate::fields;
use crate::syslog::{self, Stamp};

const PREFIX: &str = "fortinet.firewall";

/// Every FortiOS line begins with one of these keys and names its device or its log id.
pub(super) fn first_look(look: &Look<'_>) -> bool {
    let opens = ["date=", "logver=", "timestamp=", "devname=", "time=", "itime=", "devid=", "eventtime=", "tz=", "device_id="];
    let text = look.text.as_bytes();
    look.is_of(&["forti", "fgt"])
        && opens.iter().any(|key| look.text.starts_with(key))
        && (memmem::find(text, b"logid=").is_some() || memmem::find(text, b"log_id=").is_some() || memmem::find(text, b"devid=").is_some())
}

const DATE: usize = 0;
const TIME: usize = 1;
const ZONE: usize = 2;
const EVENT_TIME: usize = 3;
const KIND: usize = 4;
const SUBTYPE: usize = 5;
const ACTION: usize = 6;
const STATUS: usize = 7;
const DIRECTION: usize = 8;
const FROM_ROLE: usize = 9;
const TO_ROLE: usize = 10;
const POLICY: usize = 11;
const POLICY_NAME: usize = 12;
const ATTACK: usize = 13;
const ATTACK_ID: usize = 14;

/// One row for each key that ECS has a name for ("FortiOS log message reference").
pub(super) const DIALECT: Dialect = Dialect {
    prefix: PREFIX,
    // FortiOS' words for nothing.
    nothing: &["N/A", "(null)", "undefined"],
    escapable: ESCAPABLE,
    runs_on: false,
    keys: &[
        ("action", Put::Keep(ACTION)),
        ("agent", Put::Ecs(fields::USER_AGENT)),
        ("analyticscksum", Put::Call(sha256)),
        ("app", Put::Ecs(fields::NETWORK_APPLICATION)),
        ("attack", Put::Keep(ATTACK)),
        ("attackid", Put::Keep(ATTACK_ID)),
        ("date", Put::Keep(DATE)),
        ("device_id", Put::Ecs(fields::OBSERVER_SERIAL)),
        ("devid", Put::Ecs(fields::OBSERVER_SERIAL)),
        ("devname", Put::Call(device)),
        ("dir", Put::Keep(DIRECTION)),
        ("direction", Put::Keep(DIRECTION)),
        ("dst", Put::Ecs(fields::DESTINATION_IP)),
        ("dst_int", Put::Ecs(fields::OBSERVER_EGRESS_INTERFACE)),
        ("dst_port", Put::Ecs(fields::DESTINATION_PORT)),
        ("dstcountry", Put::Ecs(fields::DESTINATION_GEO_COUNTRY)),
        ("dstintf", Put::Ecs(fields::OBSERVER_EGRESS_INTERFACE)),
        ("dstintfrole", Put::Keep(TO_ROLE)),
        ("dstip", Put::Ecs(fields::DESTINATION_IP)),
        ("dstmac", Put::Ecs(fields::DESTINATION_MAC)),
        ("dstname", Put::Ecs(fields::DESTINATION_DOMAIN)),
        ("dstport", Put::Ecs(fields::DESTINATION_PORT)),
        ("dstuser", Put::Ecs(fields::USER_TARGET_NAME)),
        ("duration", Put::Seconds),
        ("eventtime", Put::Keep(EVENT_TIME)),
        ("filehash", Put::Call(sha256)),
        ("filename", Put::Ecs(fields::FILE_PATH)),
        ("from", Put::Ecs(fields::EMAIL_FROM)),
        ("group", Put::Ecs(fields::GROUP_NAME)),
        ("hostname", Put::Call(|host, draft| draft.replace(fields::URL_DOMAIN, host))),
        ("httpmethod", Put::Ecs(fields::HTTP_METHOD)),
        ("level", Put::Call(|word, draft| draft.level(word))),
        ("locip", Put::Ecs(fields::DESTINATION_IP)),
        ("locport", Put::Ecs(fields::DESTINATION_PORT)),
        ("log_id", Put::Ecs(fields::EVENT_CODE)),
        ("logid", Put::Ecs(fields::EVENT_CODE)),
        ("policyid", Put::Keep(POLICY)),
        ("policyname", Put::Keep(POLICY_NAME)),
        ("pri", Put::Call(|word, draft| draft.level(word))),
        ("proto", Put::Transport),
        ("qname", Put::Ecs(fields::DNS_QUESTION_NAME)),
        ("qtype", Put::Ecs(fields::DNS_QUESTION_TYPE)),
        ("rcvdbyte", Put::Ecs(fields::DESTINATION_BYTES)),
        ("rcvdpkt", Put::Ecs(fields::DESTINATION_PACKETS)),
        ("reason", Put::Ecs(fields::EVENT_REASON)),
        ("recipient", Put::Ecs(fields::EMAIL_TO)),
        ("referralurl", Put::Ecs(fields::HTTP_REFERRER)),
        ("remip", Put::Ecs(fields::SOURCE_IP)),
        ("remport", Put::Ecs(fields::SOURCE_PORT)),
        ("sender", Put::Ecs(fields::EMAIL_FROM)),
        ("sentbyte", Put::Ecs(fields::SOURCE_BYTES)),
        ("sentpkt", Put::Ecs(fields::SOURCE_PACKETS)),
        ("service", Put::Ecs(fields::NETWORK_PROTOCOL)),
        ("src", Put::Ecs(fields::SOURCE_IP)),
        ("src_int", Put::Ecs(fields::OBSERVER_INGRESS_INTERFACE)),
        ("src_port", Put::Ecs(fields::SOURCE_PORT)),
        ("srccountry", Put::Ecs(fields::SOURCE_GEO_COUNTRY)),
        ("srcintf", Put::Ecs(fields::OBSERVER_INGRESS_INTERFACE)),
        ("srcintfrole", Put::Keep(FROM_ROLE)),
        ("srcip", Put::Ecs(fields::SOURCE_IP)),
        ("srcmac", Put::Ecs(fields::SOURCE_MAC)),
        ("srcname", Put::Ecs(fields::SOURCE_DOMAIN)),
        ("srcport", Put::Ecs(fields::SOURCE_PORT)),
        ("status", Put::Keep(STATUS)),
        ("subtype", Put::Keep(SUBTYPE)),
        ("time", Put::Keep(TIME)),
        ("timezone", Put::Keep(ZONE)),
        ("to", Put::Ecs(fields::EMAIL_TO)),
        ("type", Put::Keep(KIND)),
        ("tz", Put::Keep(ZONE)),
        ("url", Put::Call(|url, draft| draft.url(url))),
        ("user", Put::Ecs(fields::USER_NAME)),
        ("virus", Put::Ecs(fields::THREAT_INDICATOR)),
        ("xauthuser", Put::Ecs(fields::USER_NAME)),
    ],
};

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    draft.name(fields::EVENT_MODULE, "fortinet");
    draft.name(fields::EVENT_DATASET, PREFIX);
    draft.name(fields::OBSERVER_VENDOR, "Fortinet");
    let kept = DIALECT.walk(look.text, draft);
    // `eventtime` is exact and has no zone to get wrong; older versions have only the wall clock.
    let exact = kept.get(EVENT_TIME).parse().ok().and_then(syslog::epoch).map(Stamp::Moment);
    if let Some(stamp) = exact.or_else(|| walk::stamp(kept.get(DATE), kept.get(TIME), kept.get(ZONE))) {
        draft.stamp = stamp;
    }
    put(&kept, draft);
    true
}

fn put(kept: &Kept<'_>, draft: &mut Draft<'_>) {
    let (kind, subtype, action, status) = (kept.get(KIND), kept.get(SUBTYPE), kept.get(ACTION), kept.get(STATUS));
    for (key, value) in [
        ("type", kind),
        ("subtype", subtype),
        ("action", action),
        ("status", status),
        ("srcintfrole", kept.get(FROM_ROLE)),
        ("dstintfrole", kept.get(TO_ROLE)),
    ] {
        draft.vendor(PREFIX, key, value);
    }
    rules(kept, draft);
    // FortiOS puts the name of whoever tries to log in before `action` and `status`, so the first is not surely its own: how it
    // ended is then not known, and both values are kept.
    let disputed = kept.is_disputed(ACTION) || kept.is_disputed(STATUS);
    if disputed {
        draft.defects.add(Defect::BadKeyValue);
    }
    let authentication = kind == "event" && (action.contains("login") || action.contains("auth") || subtype == "user");
    let category = match (kind, subtype) {
        _ if authentication => "authentication",
        ("utm" | "virus", "virus") => "malware",
        ("utm" | "anomaly" | "ips", "ips" | "anomaly" | "waf") => "intrusion_detection",
        ("utm", "webfilter") => "web",
        ("utm", "emailfilter") => "email",
        ("event", "system") => "configuration",
        _ => "network",
    };
    if matches!(category, "malware" | "intrusion_detection") {
        draft.name(fields::EVENT_KIND, "alert");
    }
    draft.name(fields::EVENT_CATEGORY, category);
    match verdict(kind, action) {
        Some((action, kind, outcome)) => {
            draft.name(fields::EVENT_ACTION, action);
            draft.name(fields::EVENT_TYPE, kind);
            draft.name(fields::EVENT_OUTCOME, if disputed { "unknown" } else { outcome });
        }
        None => {
            draft.str(fields::EVENT_ACTION, action);
            if let Some(outcome) = outcome(status, action) {
                draft.name(fields::EVENT_OUTCOME, if disputed { "unknown" } else { outcome });
            }
        }
    }
    if let Some(direction) = network_direction(kept) {
        draft.name(fields::NETWORK_DIRECTION, direction);
    }
}

/// Two rules may speak: the signature that saw an attack, and the policy that had the packet looked at.
fn rules(kept: &Kept<'_>, draft: &mut Draft<'_>) {
    let (policy, name) = (kept.get(POLICY), kept.get(POLICY_NAME));
    if kept.get(ATTACK).is_empty() && kept.get(ATTACK_ID).is_empty() {
        draft.str(fields::RULE_ID, policy);
        DIALECT.put_kept(fields::RULE_NAME, name, draft);
    } else {
        draft.str(fields::RULE_ID, kept.get(ATTACK_ID));
        DIALECT.put_kept(fields::RULE_NAME, kept.get(ATTACK), draft);
        draft.vendor(PREFIX, "policyid", policy);
        draft.vendor(PREFIX, "policyname", name);
    }
}

/// By the roles of the interfaces; where they have none, by what a scanner says of the content.
fn network_direction(kept: &Kept<'_>) -> Option<&'static str> {
    match (kept.get(FROM_ROLE), kept.get(TO_ROLE)) {
        ("lan" | "dmz", "wan") => return Some("outbound"),
        ("wan", "lan" | "dmz") => return Some("inbound"),
        ("lan" | "dmz", "lan" | "dmz") => return Some("internal"),
        _ => {}
    }
    match kept.get(DIRECTION) {
        "outgoing" | "outbound" | "out" => Some("outbound"),
        "incoming" | "inbound" | "in" => Some("inbound"),
        _ => None,
    }
}

fn device(name: &str, draft: &mut Draft<'_>) {
    draft.str(fields::OBSERVER_NAME, name);
    draft.once(fields::HOST_NAME, name);
}

/// Older versions write another hash under the same name.
fn sha256(hash: &str, draft: &mut Draft<'_>) {
    if hash.len() == 64 {
        draft.str(fields::FILE_HASH_SHA256, hash);
    } else {
        draft.vendor(PREFIX, "filehash", hash);
    }
}

/// What became of a connection. Sessions that were let through are logged at their end, and `close`, `timeout`
/// and the resets say only how they ended.
fn verdict(kind: &str, action: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let blocked = Some(("blocked", "denied", "failure"));
    let allowed = Some(("allowed", "allowed", "success"));
    match action {
        "deny" | "denied" | "block" | "blocked" | "drop" | "dropped" | "reset" | "reset_client" | "reset_server" | "clear_session" => {
            blocked
        }
        "accept" | "allow" | "allowed" | "pass" | "passthrough" | "permit" | "detected" | "monitored" => allowed,
        "close" | "timeout" | "client-rst" | "server-rst" | "start" | "ip-conn" | "dns" if kind == "traffic" => allowed,
        _ => None,
    }
}

fn outcome(status: &str, action: &str) -> Option<&'static str> {
    match status {
        "success" | "succeed" | "up" => Some("success"),
        _ if matches!(action, "tunnel-up" | "ssl-new-con" | "ssl-web-pass") => Some("success"),
        "failed" | "failure" | "fail" | "negotiate_error" => Some("failure"),
        _ if action.contains("fail") || action.contains("error") => Some("failure"),
        _ => None,
    }
}

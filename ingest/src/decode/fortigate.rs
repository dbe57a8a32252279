//! FortiGate's key=value log (FortiOS 5 to 7): traffic, utm, event and vpn. What ECS has no name for is kept
//! below `fortinet.firewall`. CEF and CSV, which FortiOS can be told to send instead, are not read here.

use memchr::memmem;

use super::Look;
use super::draft::Draft;
use super::kv::{self, Item, Pair};
use crate::event::Defect;
use crate::fields::{self, FieldId};
use crate::flow::protocol_name;
use crate::syslog::{self, Stamp};
use crate::time::Timestamp;

const PREFIX: &str = "fortinet.firewall";

/// Every FortiOS line begins with one of these keys and names its device or its log id.
pub(super) fn first_look(look: &Look<'_>) -> bool {
    let opens = ["date=", "logver=", "timestamp=", "devname=", "time=", "itime=", "devid=", "eventtime=", "tz=", "device_id="];
    let text = look.text.as_bytes();
    opens.iter().any(|key| look.text.starts_with(key))
        && (memmem::find(text, b"logid=").is_some() || memmem::find(text, b"log_id=").is_some() || memmem::find(text, b"devid=").is_some())
}

/// What is put together from several keys.
#[derive(Default)]
struct Seen<'t> {
    date: &'t str,
    time: &'t str,
    zone: &'t str,
    event_time: &'t str,
    kind: &'t str,
    subtype: &'t str,
    action: &'t str,
    status: &'t str,
    direction: &'t str,
    from_role: &'t str,
    to_role: &'t str,
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    draft.name(fields::EVENT_MODULE, "fortinet");
    draft.name(fields::EVENT_DATASET, PREFIX);
    draft.name(fields::OBSERVER_VENDOR, "Fortinet");
    let mut seen = Seen::default();
    for item in kv::items(look.text) {
        match item {
            Item::Word(_) => draft.defects.add(Defect::BadKeyValue),
            Item::Pair(pair) => {
                if pair.unterminated {
                    draft.defects.add(Defect::BadKeyValue);
                }
                if !seen.keep(pair) {
                    pair.with_value(|value| put(pair.key, value, draft));
                }
            }
        }
    }
    if let Some(stamp) = seen.stamp() {
        draft.stamp = stamp;
    }
    seen.put(draft);
    true
}

impl<'t> Seen<'t> {
    fn keep(&mut self, pair: Pair<'t>) -> bool {
        let place = match pair.key {
            "date" => &mut self.date,
            "time" => &mut self.time,
            "tz" | "timezone" => &mut self.zone,
            "eventtime" => &mut self.event_time,
            "type" => &mut self.kind,
            "subtype" => &mut self.subtype,
            "action" => &mut self.action,
            "status" => &mut self.status,
            "direction" | "dir" => &mut self.direction,
            "srcintfrole" => &mut self.from_role,
            "dstintfrole" => &mut self.to_role,
            _ => return false,
        };
        *place = pair.value;
        true
    }

    /// `eventtime` is exact and has no zone to get wrong; older versions have only the wall clock.
    fn stamp(&self) -> Option<Stamp> {
        if let Some(at) = self.event_time.parse().ok().and_then(syslog::epoch) {
            return Some(Stamp::Moment(at));
        }
        let length = self.date.len() + self.time.len();
        if self.date.is_empty() || self.time.is_empty() || length > 40 {
            return None;
        }
        let stamp = syslog::whole_stamp(&format!("{} {}", self.date, self.time)).unwrap_or(Stamp::Bad);
        match (stamp, syslog::zone_offset(self.zone)) {
            (Stamp::Civil(civil), Some(offset)) => civil.moment(offset).map(Stamp::Moment),
            _ => Some(stamp),
        }
    }

    fn put(&self, draft: &mut Draft<'_>) {
        draft.vendor(PREFIX, "type", self.kind);
        draft.vendor(PREFIX, "subtype", self.subtype);
        draft.vendor(PREFIX, "action", self.action);
        draft.vendor(PREFIX, "status", self.status);
        draft.vendor(PREFIX, "srcintfrole", self.from_role);
        draft.vendor(PREFIX, "dstintfrole", self.to_role);
        let authentication =
            self.kind == "event" && (self.action.contains("login") || self.action.contains("auth") || self.subtype == "user");
        draft.name(
            fields::EVENT_CATEGORY,
            match (self.kind, self.subtype) {
                _ if authentication => "authentication",
                ("utm", "virus") => "malware",
                ("utm", "ips" | "anomaly" | "waf") => "intrusion_detection",
                ("event", "system") => "configuration",
                _ => "network",
            },
        );
        match verdict(self.kind, self.action) {
            Some((action, kind, outcome)) => {
                draft.name(fields::EVENT_ACTION, action);
                draft.name(fields::EVENT_TYPE, kind);
                draft.name(fields::EVENT_OUTCOME, outcome);
            }
            None => {
                draft.str(fields::EVENT_ACTION, self.action);
                if let Some(outcome) = outcome(self.status, self.action) {
                    draft.name(fields::EVENT_OUTCOME, outcome);
                }
            }
        }
        if let Some(direction) = self.network_direction() {
            draft.name(fields::NETWORK_DIRECTION, direction);
        }
    }

    fn network_direction(&self) -> Option<&'static str> {
        match self.direction {
            "outgoing" | "outbound" | "out" => return Some("outbound"),
            "incoming" | "inbound" | "in" => return Some("inbound"),
            _ => {}
        }
        match (self.from_role, self.to_role) {
            ("lan" | "dmz", "wan") => Some("outbound"),
            ("wan", "lan" | "dmz") => Some("inbound"),
            ("lan" | "dmz", "lan" | "dmz") => Some("internal"),
            _ => None,
        }
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
        "failed" | "failure" | "fail" | "negotiate_error" => Some("failure"),
        _ if action.contains("fail") || action.contains("error") => Some("failure"),
        _ => None,
    }
}

/// One row for each key that ECS has a name for.
fn put(key: &str, value: &str, draft: &mut Draft<'_>) {
    let field: FieldId = match key {
        "devname" => {
            draft.str(fields::OBSERVER_NAME, value);
            if draft.has(fields::HOST_NAME) {
                return;
            }
            fields::HOST_NAME
        }
        "devid" | "device_id" => fields::OBSERVER_SERIAL,
        "logid" | "log_id" => fields::EVENT_CODE,
        "level" | "pri" => {
            if draft.has(fields::LOG_LEVEL) {
                return;
            }
            return draft.str(fields::LOG_LEVEL, if value == "information" { "informational" } else { value });
        }
        "srcip" | "src" | "remip" => fields::SOURCE_IP,
        "srcport" | "src_port" => fields::SOURCE_PORT,
        "srcmac" => fields::SOURCE_MAC,
        "srccountry" => fields::SOURCE_GEO_COUNTRY,
        "srcintf" | "src_int" => fields::OBSERVER_INGRESS_INTERFACE,
        "dstip" | "dst" => fields::DESTINATION_IP,
        "dstport" | "dst_port" => fields::DESTINATION_PORT,
        "dstmac" => fields::DESTINATION_MAC,
        "dstcountry" => fields::DESTINATION_GEO_COUNTRY,
        "dstintf" | "dst_int" => fields::OBSERVER_EGRESS_INTERFACE,
        "user" => fields::USER_NAME,
        "group" => fields::GROUP_NAME,
        "policyid" => fields::RULE_ID,
        "policyname" => fields::RULE_NAME,
        "sentbyte" => fields::SOURCE_BYTES,
        "rcvdbyte" => fields::DESTINATION_BYTES,
        "sentpkt" => fields::SOURCE_PACKETS,
        "rcvdpkt" => fields::DESTINATION_PACKETS,
        "service" => fields::NETWORK_PROTOCOL,
        "app" => fields::NETWORK_APPLICATION,
        "hostname" => fields::URL_DOMAIN,
        "url" => {
            if value.starts_with('/') {
                fields::URL_PATH
            } else {
                fields::URL_FULL
            }
        }
        "qname" => fields::DNS_QUESTION_NAME,
        "agent" => fields::USER_AGENT,
        "filename" => fields::FILE_PATH,
        "reason" => fields::EVENT_REASON,
        "filehash" if value.len() == 64 => fields::FILE_HASH_SHA256,
        "proto" => match value.parse().ok().and_then(protocol_name) {
            Some(name) => return draft.name(fields::NETWORK_TRANSPORT, name),
            None => fields::NETWORK_TRANSPORT,
        },
        // ECS gives event.duration in nanoseconds, FortiOS in seconds.
        "duration" => match value.parse::<i64>() {
            Ok(seconds) => return draft.int(fields::EVENT_DURATION, seconds.saturating_mul(Timestamp::SECOND * 1_000_000)),
            Err(_) => fields::EVENT_DURATION,
        },
        _ => return draft.vendor(PREFIX, key, value),
    };
    // "N/A" and "(null)" are FortiOS' words for nothing.
    if !matches!(value, "N/A" | "(null)" | "undefined") {
        draft.typed(field, value);
    }
}

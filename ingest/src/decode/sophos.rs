//! Sophos: UTM 9 (`id="2001" severity="info" sys="SecureNet" sub="packetfilter" …`) and Sophos Firewall, XG and XGS, in both of
//! its forms: the device's own (`device="SFW" date=… timezone="CEST" …`) and Central Reporting's (`device_name="SFW"
//! timestamp="…" …`). Names follow the SFOS log file guide; what ECS has no name for stands below `sophos.utm` and `sophos.xg`.

use memchr::memmem;

use super::Look;
use super::draft::Draft;
use super::part::{host_port, some};
use super::walk::{self, Dialect, ESCAPABLE, Kept, Put, verdict_of};
use crate::fields::{self, FieldId};
use crate::syslog::{self, Stamp};

const SYS: usize = 0;
const SUB: usize = 1;
const NAME: usize = 2;
const ACTION: usize = 3;
const REASON: usize = 4;
const SIZE: usize = 5;
const EVENT: usize = 6;
const URL: usize = 7;
const GROUP: usize = 8;

pub(super) const UTM: Dialect = Dialect {
    prefix: "sophos.utm",
    nothing: &["-"],
    escapable: ESCAPABLE,
    runs_on: true,
    keys: &[
        ("action", Put::Both(ACTION)),
        ("application", Put::Ecs(fields::NETWORK_APPLICATION)),
        ("country", Put::Ecs(fields::DESTINATION_GEO_COUNTRY)),
        ("dstip", Put::Ecs(fields::DESTINATION_IP)),
        ("dstmac", Put::Ecs(fields::DESTINATION_MAC)),
        ("dstport", Put::Positive(fields::DESTINATION_PORT)),
        ("event", Put::Both(EVENT)),
        ("from", Put::Ecs(fields::EMAIL_FROM)),
        ("fwrule", Put::Ecs(fields::RULE_ID)),
        ("group", Put::Keep(GROUP)),
        ("id", Put::Ecs(fields::EVENT_CODE)),
        ("initf", Put::Ecs(fields::OBSERVER_INGRESS_INTERFACE)),
        ("length", Put::Ecs(fields::NETWORK_BYTES)),
        ("localip", Put::Ecs(fields::DESTINATION_IP)),
        ("method", Put::Ecs(fields::HTTP_METHOD)),
        ("name", Put::Both(NAME)),
        ("outitf", Put::Ecs(fields::OBSERVER_EGRESS_INTERFACE)),
        ("port", Put::Positive(fields::DESTINATION_PORT)),
        ("proto", Put::Transport),
        ("query", Put::Ecs(fields::URL_QUERY)),
        ("reason", Put::Keep(REASON)),
        ("referer", Put::Ecs(fields::HTTP_REFERRER)),
        ("server", Put::Ecs(fields::URL_DOMAIN)),
        ("severity", Put::Call(|word, draft| draft.level(word))),
        ("sid", Put::Ecs(fields::RULE_ID)),
        ("size", Put::Keep(SIZE)),
        ("srcip", Put::Ecs(fields::SOURCE_IP)),
        ("srcmac", Put::Ecs(fields::SOURCE_MAC)),
        ("srcport", Put::Positive(fields::SOURCE_PORT)),
        ("statuscode", Put::Positive(fields::HTTP_STATUS)),
        ("sub", Put::Both(SUB)),
        ("sys", Put::Both(SYS)),
        ("to", Put::Ecs(fields::EMAIL_TO)),
        ("ua", Put::Ecs(fields::USER_AGENT)),
        ("url", Put::Keep(URL)),
        ("user", Put::Ecs(fields::USER_NAME)),
        ("username", Put::Ecs(fields::USER_NAME)),
    ],
};

const DATE: usize = 0;
const TIME: usize = 1;
const ZONE: usize = 2;
const TYPE: usize = 3;
const COMPONENT: usize = 4;
const SUBTYPE: usize = 5;
const STATUS: usize = 6;
const RULE: usize = 7;
const SIGNATURE: usize = 8;
const MESSAGE: usize = 9;
const MAIL_ACTION: usize = 10;
const DURATION: usize = 11;
const USER: usize = 12;
const ADDRESS: usize = 13;
const REMOTE: usize = 14;

pub(super) const XG: Dialect = Dialect {
    prefix: "sophos.xg",
    nothing: &["-", "N/A"],
    escapable: ESCAPABLE,
    runs_on: true,
    keys: &[
        ("app_name", Put::Ecs(fields::NETWORK_APPLICATION)),
        ("application", Put::Ecs(fields::NETWORK_APPLICATION)),
        ("application_name", Put::Ecs(fields::NETWORK_APPLICATION)),
        ("bytes_received", Put::Ecs(fields::DESTINATION_BYTES)),
        ("bytes_sent", Put::Ecs(fields::SOURCE_BYTES)),
        // The web application firewall counts from its own side.
        ("bytesrcv", Put::Ecs(fields::SOURCE_BYTES)),
        ("bytessent", Put::Ecs(fields::DESTINATION_BYTES)),
        ("date", Put::Keep(DATE)),
        ("destinationip", Put::Ecs(fields::DESTINATION_IP)),
        // Always `SFW`: the product's name, not the device's.
        ("device", Put::Call(|_, _| {})),
        ("device_id", Put::Ecs(fields::OBSERVER_SERIAL)),
        ("device_serial_id", Put::Ecs(fields::OBSERVER_SERIAL)),
        ("domain", Put::Call(|host, draft| draft.once(fields::URL_DOMAIN, host))),
        ("domainname", Put::Call(|host, draft| draft.once(fields::URL_DOMAIN, host))),
        ("dst_country", Put::Call(|code, draft| country(fields::DESTINATION_GEO_COUNTRY, code, draft))),
        ("dst_country_code", Put::Call(|code, draft| country(fields::DESTINATION_GEO_COUNTRY, code, draft))),
        ("dst_domainname", Put::Ecs(fields::DESTINATION_DOMAIN)),
        ("dst_ip", Put::Ecs(fields::DESTINATION_IP)),
        ("dst_mac", Put::Ecs(fields::DESTINATION_MAC)),
        ("dst_port", Put::Positive(fields::DESTINATION_PORT)),
        ("dstdomain", Put::Ecs(fields::DESTINATION_DOMAIN)),
        ("duration", Put::Keep(DURATION)),
        ("file_name", Put::Ecs(fields::FILE_PATH)),
        ("filename", Put::Ecs(fields::FILE_PATH)),
        ("from_email_address", Put::Ecs(fields::EMAIL_FROM)),
        ("fw_rule_id", Put::Keep(RULE)),
        ("fw_rule_name", Put::Ecs(fields::RULE_NAME)),
        ("http_referer", Put::Ecs(fields::HTTP_REFERRER)),
        ("http_status", Put::Positive(fields::HTTP_STATUS)),
        ("http_user_agent", Put::Ecs(fields::USER_AGENT)),
        ("httpstatus", Put::Positive(fields::HTTP_STATUS)),
        ("in_interface", Put::Ecs(fields::OBSERVER_INGRESS_INTERFACE)),
        ("ipaddress", Put::Keep(ADDRESS)),
        ("localinterfaceip", Put::Ecs(fields::DESTINATION_IP)),
        ("localip", Put::Ecs(fields::DESTINATION_IP)),
        ("log_component", Put::Both(COMPONENT)),
        ("log_id", Put::Ecs(fields::EVENT_CODE)),
        ("log_subtype", Put::Both(SUBTYPE)),
        ("log_type", Put::Both(TYPE)),
        ("mailid", Put::Call(message_id)),
        ("malware", Put::Ecs(fields::THREAT_INDICATOR)),
        ("message", Put::Both(MESSAGE)),
        ("message_id", Put::Call(message_id)),
        ("method", Put::Ecs(fields::HTTP_METHOD)),
        ("out_interface", Put::Ecs(fields::OBSERVER_EGRESS_INTERFACE)),
        ("packets_received", Put::Ecs(fields::DESTINATION_PACKETS)),
        ("packets_sent", Put::Ecs(fields::SOURCE_PACKETS)),
        ("priority", Put::Call(|word, draft| draft.level(word))),
        ("protocol", Put::Transport),
        ("querystring", Put::Call(|query, draft| draft.str(fields::URL_QUERY, query.trim_start_matches('?')))),
        ("reason", Put::Ecs(fields::EVENT_REASON)),
        ("recipient", Put::Ecs(fields::EMAIL_TO)),
        ("recv_bytes", Put::Ecs(fields::DESTINATION_BYTES)),
        ("recv_pkts", Put::Ecs(fields::DESTINATION_PACKETS)),
        ("referer", Put::Ecs(fields::HTTP_REFERRER)),
        ("remote_ip", Put::Keep(REMOTE)),
        ("remoteinterfaceip", Put::Ecs(fields::SOURCE_IP)),
        ("reported_host", Put::Ecs(fields::SOURCE_DOMAIN)),
        ("reported_ip", Put::Ecs(fields::SOURCE_IP)),
        ("sender", Put::Ecs(fields::EMAIL_FROM)),
        ("sent_bytes", Put::Ecs(fields::SOURCE_BYTES)),
        ("sent_pkts", Put::Ecs(fields::SOURCE_PACKETS)),
        ("server", Put::Call(|host, draft| draft.once(fields::URL_DOMAIN, host_port(host).0))),
        ("severity", Put::Call(|word, draft| draft.level(word))),
        ("signature_id", Put::Keep(SIGNATURE)),
        ("signature_msg", Put::Ecs(fields::RULE_NAME)),
        ("sourceip", Put::Ecs(fields::SOURCE_IP)),
        ("spamaction", Put::Both(MAIL_ACTION)),
        ("src_country", Put::Call(|code, draft| country(fields::SOURCE_GEO_COUNTRY, code, draft))),
        ("src_country_code", Put::Call(|code, draft| country(fields::SOURCE_GEO_COUNTRY, code, draft))),
        ("src_domainname", Put::Ecs(fields::SOURCE_DOMAIN)),
        ("src_ip", Put::Ecs(fields::SOURCE_IP)),
        ("src_mac", Put::Ecs(fields::SOURCE_MAC)),
        ("src_port", Put::Positive(fields::SOURCE_PORT)),
        ("status", Put::Both(STATUS)),
        ("status_code", Put::Positive(fields::HTTP_STATUS)),
        ("threat", Put::Ecs(fields::THREAT_INDICATOR)),
        ("threatname", Put::Ecs(fields::THREAT_INDICATOR)),
        ("time", Put::Keep(TIME)),
        ("timezone", Put::Keep(ZONE)),
        ("to_email_address", Put::Ecs(fields::EMAIL_TO)),
        ("url", Put::Call(|url, draft| draft.url(url))),
        ("user", Put::Keep(USER)),
        ("user_agent", Put::Ecs(fields::USER_AGENT)),
        ("user_gp", Put::Ecs(fields::GROUP_NAME)),
        ("user_group", Put::Ecs(fields::GROUP_NAME)),
        ("user_name", Put::Ecs(fields::USER_NAME)),
        ("useragent", Put::Ecs(fields::USER_AGENT)),
        ("usergroupname", Put::Ecs(fields::GROUP_NAME)),
        ("virus", Put::Ecs(fields::THREAT_INDICATOR)),
    ],
};

pub(super) fn first_look(look: &Look<'_>) -> bool {
    let is_xg = look.text.starts_with("device=\"") || look.text.starts_with("device_name=\"");
    is_xg && look.is_of(&["sophos", "sfos", "xg"]) || utm_text(look).is_some()
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    match utm_text(look) {
        Some(text) => utm(look.app, text, draft),
        None => xg(look.text, draft),
    }
}

/// `SCANNER[14020]: id="1000" …` is how the mail scanner begins; all others with the id itself.
fn utm_text<'t>(look: &Look<'t>) -> Option<&'t str> {
    /// What a program writes before the id is no longer.
    const BEFORE_MAX: usize = 40;
    let at = if matches!(look.app, "smtpd" | "exim-in" | "exim-out") { look.text.find("id=\"")? } else { 0 };
    look.text.get(at..).filter(|text| at <= BEFORE_MAX && text.starts_with("id=\""))
}

fn utm(app: &str, text: &str, draft: &mut Draft<'_>) -> bool {
    if app != "reverseproxy" && memmem::find(text.as_bytes(), b"sys=\"").is_none() {
        return false;
    }
    draft.product("sophos", "sophos.utm", "Sophos", "UTM");
    let kept = UTM.walk(text, draft);
    let (sub, name, action) = (kept.get(SUB), kept.get(NAME), kept.get(ACTION));
    // The intrusion prevention calls its rules' names reasons, and their kinds groups.
    if sub == "ips" {
        draft.str(fields::RULE_NAME, kept.get(REASON));
        draft.vendor("sophos.utm", "group", kept.get(GROUP));
    } else {
        draft.str(fields::EVENT_REASON, kept.get(REASON));
        draft.str(fields::GROUP_NAME, kept.get(GROUP));
    }
    let size = if matches!(sub, "http") || app == "reverseproxy" { fields::HTTP_RESPONSE_BYTES } else { fields::NETWORK_BYTES };
    // -1 where a mail was refused before it came.
    if super::part::is_number(kept.get(SIZE)) {
        draft.number(size, kept.get(SIZE));
    }
    if !kept.get(URL).is_empty() {
        draft.url(kept.get(URL));
    }
    match sub {
        "packetfilter" => draft.verdict(verdict_of(action)),
        "http" if matches!(action, "pass" | "block" | "warn") => draft.web(action == "pass"),
        "auth" | "auth_daemon" => {
            let outcome = if walk::says(name, &["success"]) {
                "success"
            } else if walk::says(name, &["fail", "denied"]) {
                "failure"
            } else {
                ""
            };
            draft.event("authentication", if walk::says(name, &["logout", "logged out"]) { "logout" } else { "login" }, outcome);
        }
        "ips" => draft.found("intrusion_detection", verdict_of(action) == Some(false)),
        "vpn" if walk::says(kept.get(EVENT), &["terminated", "closed"]) => draft.event("session", "vpn_logout", "success"),
        "vpn" if kept.get(EVENT) == "Connection started" => draft.event("authentication", "vpn_login", "success"),
        "smtp" | "pop3" => mail(walk::says(name, &["passed", "delivered"]), name, draft),
        _ if app == "reverseproxy" => draft.web(!matches!(draft.named_int(fields::HTTP_STATUS), Some(400..))),
        _ => {}
    }
    true
}

fn mail(passed: bool, what: &str, draft: &mut Draft<'_>) {
    if passed {
        draft.event("email", "mail_passed", "success");
    } else if walk::says(what, &["reject", "quarantin", "drop", "blackhol", "delet", "discard", "deny", "denied"]) {
        draft.name(fields::EVENT_TYPE, "denied");
        draft.event("email", "blocked", "failure");
    } else {
        draft.name(fields::EVENT_CATEGORY, "email");
    }
}

fn xg(text: &str, draft: &mut Draft<'_>) -> bool {
    if memmem::find(text.as_bytes(), b"log_component=").is_none() {
        return false;
    }
    draft.product("sophos", "sophos.xg", "Sophos", "XG");
    let kept = XG.walk(text, draft);
    if let Some(stamp) = walk::stamp(kept.get(DATE), kept.get(TIME), kept.get(ZONE)).or_else(|| central_stamp(text)) {
        draft.stamp = stamp;
    }
    let (kind, subtype) = (kept.get(TYPE), kept.get(SUBTYPE));
    let is_ips = matches!(kind, "IDP" | "IPS");
    if is_ips {
        // Two rules speak: the signature that saw it, and the firewall's that let the intrusion prevention look.
        draft.str(fields::RULE_ID, kept.get(SIGNATURE));
        draft.vendor("sophos.xg", "fw_rule_id", kept.get(RULE));
    } else {
        // 0: what no rule matched.
        draft.str(fields::RULE_ID, if kept.get(RULE) == "0" { "" } else { kept.get(RULE) });
        draft.vendor("sophos.xg", "signature_id", kept.get(SIGNATURE));
    }
    // Only the firewall counts seconds; remote ethernet devices count milliseconds under the same name.
    match kept.get(DURATION).parse::<i64>() {
        Ok(seconds) if kind == "Firewall" => draft.int(fields::EVENT_DURATION, seconds.saturating_mul(1_000_000_000)),
        _ => draft.vendor("sophos.xg", "duration", kept.get(DURATION)),
    }
    // Of a processor's load, `user` is a share of the time.
    if kind == "System Health" {
        draft.vendor("sophos.xg", "user", kept.get(USER));
    } else {
        draft.str(fields::USER_NAME, kept.get(USER));
    }
    addresses(&kept, draft);
    match kind {
        "Firewall" => draft.verdict(verdict_of(subtype)),
        "Content Filtering" if kept.get(COMPONENT) == "Application" => draft.verdict(verdict_of(subtype)),
        "Content Filtering" | "SSL/TLS Filter" => draft.web(!matches!(subtype, "Denied" | "Warned" | "Alert")),
        "IDP" | "IPS" => draft.found("intrusion_detection", subtype == "Drop"),
        "ATP" => draft.found("malware", subtype == "Drop"),
        "Anti-Virus" if subtype == "Allowed" => draft.verdict(Some(true)),
        "Anti-Virus" => draft.found("malware", true),
        "Sandbox" | "Sandstorm" | "Zero-Day Protection" => match verdict_of(subtype) {
            Some(false) => draft.found("malware", true),
            _ => draft.event("malware", "scanned", ""),
        },
        "Anti-Spam" => {
            let word = if kept.get(MAIL_ACTION).is_empty() { subtype } else { kept.get(MAIL_ACTION) };
            mail(verdict_of(word) == Some(true) || matches!(word, "Clean" | "Prefix Subject"), word, draft);
        }
        "WAF" | "Web Server Protection" => draft.web(!matches!(draft.named_int(fields::HTTP_STATUS), Some(400..))),
        "Event" => event(&kept, draft),
        "System Health" => draft.event("host", "system_health", ""),
        _ => {}
    }
    true
}

/// `timestamp="2021-11-15T18:25:00-0600"`. In the older form a number of that name is when a session began.
fn central_stamp(text: &str) -> Option<Stamp> {
    let (_, rest) = text.split_once("timestamp=\"")?;
    let value = rest.get(..rest.find('"')?)?;
    syslog::whole_stamp(value)
}

fn event(kept: &Kept<'_>, draft: &mut Draft<'_>) {
    let (component, status, message) = (kept.get(COMPONENT), kept.get(STATUS), kept.get(MESSAGE));
    let outcome = match status {
        "Successful" | "Success" | "Established" | "Connected" | "Renew" | "Lease" => "success",
        "Failed" => "failure",
        _ => "",
    };
    match kept.get(SUBTYPE) {
        "Authentication" if walk::says(message, &["logged out"]) => draft.event("authentication", "logout", outcome),
        "Authentication" if component.contains("VPN") => draft.event("authentication", "vpn_login", outcome),
        "Authentication" => draft.event("authentication", "login", outcome),
        "Admin" if walk::says(message, &["logged out"]) => draft.event("authentication", "logout", outcome),
        "Admin" if walk::says(message, &["login", "logged in"]) => draft.event("authentication", "login", outcome),
        "Admin" => draft.event("configuration", "configuration_changed", outcome),
        _ if component.starts_with("DHCP") => {
            draft.name(fields::NETWORK_PROTOCOL, "dhcp");
            let action = match status {
                "Renew" | "Lease" => "dhcp_lease",
                "Release" => "dhcp_release",
                "Expire" => "dhcp_expired",
                _ => "dhcp",
            };
            draft.event("network", action, outcome);
        }
        _ if matches!(component, "SSL VPN" | "IPSec" | "IPsec" | "L2TP" | "PPTP" | "RED") => {
            let action = match status {
                "Established" | "Connected" => "vpn_established",
                "Terminated" | "Disconnected" | "Expire" => "vpn_terminated",
                _ => "vpn",
            };
            draft.event("network", action, outcome);
        }
        _ => draft.event("host", "system", outcome),
    }
}

/// `R1` stands for private addresses.
fn country(field: FieldId, code: &str, draft: &mut Draft<'_>) {
    if code != "R1" {
        draft.str(field, code);
    }
}

/// The address of a lease is who has it; that of a tunnel is what its user was given, who comes from elsewhere.
fn addresses(kept: &Kept<'_>, draft: &mut Draft<'_>) {
    let given = kept.get(ADDRESS);
    if kept.get(COMPONENT).starts_with("DHCP") {
        draft.optional(fields::SOURCE_IP, given);
    } else {
        draft.vendor("sophos.xg", "ipaddress", given);
    }
    draft.optional(fields::SOURCE_IP, kept.get(REMOTE));
}

fn message_id(text: &str, draft: &mut Draft<'_>) {
    draft.str(fields::EMAIL_MESSAGE_ID, some(text.trim_matches(['<', '>'])));
}

//! CEF (`CEF:0|vendor|product|version|id|name|severity|key=value …`) and LEEF (`LEEF:2.0|vendor|product|version|id|^|key=value^…`),
//! as Check Point, Sophos Central, Trend Micro and many others export. Escapes as ArcSight's "CEF implementation standard" has them.

use super::Look;
use super::draft::{Draft, unescaped};
use crate::event::Defect;
use crate::fields::{self, FieldId};

/// Any product exports CEF under any program's name, so a named program may begin with it; what it says of itself is its claim.
/// Further within a named program's line, or behind a quote, it is a text that somebody sent.
pub(super) fn first_look(look: &Look<'_>) -> bool {
    let begins = |text: &str| text.starts_with("CEF:") || text.starts_with("LEEF:");
    let before = || look.text.find("CEF:").or_else(|| look.text.find("LEEF:")).and_then(|at| look.text.get(..at));
    matches!(look.app, "CEF" | "LEEF")
        || begins(look.text.trim_start())
        || look.app.is_empty() && before().is_some_and(|before| before.len() <= BEFORE_BYTES_MAX && !before.contains(['"', '\'', '=', '?']))
}

/// A relay's time and host, and a word or two.
const BEFORE_BYTES_MAX: usize = 160;

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    // `CEF:0|…` looks like a program and its message to the header's parser.
    let (is_cef, rest) = if let Some((_, rest)) = look.text.split_once("CEF:") {
        (true, rest)
    } else if let Some((_, rest)) = look.text.split_once("LEEF:") {
        (false, rest)
    } else {
        (look.app == "CEF", look.text)
    };
    let mut columns = Columns(rest.trim_start());
    let Some(version) = columns.next() else { return false };
    let [Some(vendor), Some(product), Some(_product_version), Some(id)] = std::array::from_fn(|_| columns.next()) else { return false };
    if !version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return false;
    }
    draft.name(fields::EVENT_MODULE, if is_cef { "cef" } else { "leef" });
    plain(fields::OBSERVER_VENDOR, vendor, draft);
    plain(fields::OBSERVER_PRODUCT, product, draft);
    plain(fields::EVENT_CODE, id, draft);
    if is_cef {
        let (name, severity) = match (columns.next(), columns.next()) {
            (Some(name), Some(severity)) => (name, severity),
            // UniFi OS leaves the name out: `…|admins|1|msg=…`.
            (Some(severity), None) if columns.0.contains('=') => {
                draft.defects.add(Defect::BadKeyValue);
                ("", severity)
            }
            _ => {
                draft.defects.add(Defect::BadKeyValue);
                return true;
            }
        };
        plain(fields::RULE_NAME, name, draft);
        match severity.parse() {
            Ok(number) => draft.int(fields::EVENT_SEVERITY, number),
            Err(_) => draft.vendor("cef", "severity", severity),
        }
        if vendor == "Ubiquiti" {
            ubiquiti(name, draft);
            pairs(columns.0, |key, value| put_ubiquiti(key, value, draft));
        } else {
            pairs(columns.0, |key, value| put(key, value, draft));
        }
    } else {
        let separator = if version.starts_with('2') { columns.next().unwrap_or("\t") } else { "\t" };
        let separator = match separator {
            "" | "\\t" | "x09" | "0x09" => "\t",
            separator => separator,
        };
        for pair in columns.0.split(separator) {
            if let Some((key, value)) = pair.split_once('=') {
                put(key.trim(), value.trim(), draft);
            }
        }
    }
    true
}

/// The columns before the extension: separated by `|`, `\|` and `\\` escaped.
struct Columns<'t>(&'t str);

impl<'t> Columns<'t> {
    fn next(&mut self) -> Option<&'t str> {
        let mut from = 0;
        loop {
            let at = from + memchr::memchr2(b'|', b'\\', self.0.as_bytes().get(from..)?)?;
            if self.0.as_bytes().get(at) == Some(&b'|') {
                let (column, rest) = self.0.split_at_checked(at)?;
                self.0 = rest.get(1..)?;
                return Some(column);
            }
            from = (at + 2).min(self.0.len());
        }
    }
}

fn plain(field: FieldId, text: &str, draft: &mut Draft<'_>) {
    if text.contains('\\') {
        draft.str(field, &unescaped(text, &['|', '\\']));
    } else {
        draft.str(field, text);
    }
}

/// `key=value key=value`: a value goes on to the last blank before the next ` key=`, with `\=` escaped. One pass: what was
/// looked at once as a key is not looked at again.
fn pairs(text: &str, mut take: impl FnMut(&str, &str)) {
    let bytes = text.as_bytes();
    let mut emit = |key: &str, value: Option<&str>| {
        let value = value.unwrap_or_default().trim_end();
        if value.contains('\\') {
            take(key, &unescaped(value, &['=', '\\', '|']));
        } else {
            take(key, value);
        }
    };
    // The key whose value is being read, and where that begins.
    let mut open: Option<(&str, usize)> = None;
    let mut blank = None;
    let mut from = 0;
    while let Some(at) = bytes.get(from..).and_then(|rest| memchr::memchr3(b'=', b'\\', b' ', rest)).map(|at| from + at) {
        from = at + 1;
        match bytes.get(at) {
            Some(b' ') => blank = Some(at),
            Some(b'=') => {
                match open {
                    None => open = text.get(..at).map(|key| (key.trim(), at + 1)),
                    Some((key, start)) => {
                        let next = blank.and_then(|blank| Some((text.get(blank + 1..at)?, blank)));
                        if let Some((next, blank)) = next.filter(|(next, _)| is_key(next)) {
                            emit(key, text.get(start..blank));
                            open = Some((next, at + 1));
                        }
                    }
                }
                blank = None;
            }
            // What is escaped is nothing but text.
            _ => from = at + 2,
        }
    }
    if let Some((key, start)) = open {
        emit(key, text.get(start..));
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// One row for each key that ECS has a name for (CEF's and LEEF's dictionaries).
fn put(key: &str, value: &str, draft: &mut Draft<'_>) {
    if matches!(value, "" | "-" | "N/A" | "null") {
        return;
    }
    let field: FieldId = match key {
        "src" | "sourceAddress" | "c6a2" => fields::SOURCE_IP,
        "spt" | "srcPort" => fields::SOURCE_PORT,
        "smac" | "srcMAC" => fields::SOURCE_MAC,
        "shost" => fields::SOURCE_DOMAIN,
        "suser" | "usrName" => fields::SOURCE_USER_NAME,
        "dst" | "destinationAddress" | "c6a3" => fields::DESTINATION_IP,
        "dpt" | "dstPort" => fields::DESTINATION_PORT,
        "dmac" | "dstMAC" => fields::DESTINATION_MAC,
        "dhost" => fields::DESTINATION_DOMAIN,
        "duser" => fields::USER_NAME,
        "proto" => return typed(fields::NETWORK_TRANSPORT, key, &value.to_ascii_lowercase(), draft),
        "app" => fields::NETWORK_PROTOCOL,
        "in" | "dstBytes" => fields::DESTINATION_BYTES,
        "out" | "srcBytes" => fields::SOURCE_BYTES,
        "request" | "url" => fields::URL_ORIGINAL,
        "requestMethod" => fields::HTTP_METHOD,
        "requestClientApplication" => fields::USER_AGENT,
        "fname" | "filePath" => fields::FILE_PATH,
        "fileHash" if value.len() == 64 => fields::FILE_HASH_SHA256,
        "dvchost" if !draft.has(fields::HOST_NAME) => fields::HOST_NAME,
        "reason" => fields::EVENT_REASON,
        "deviceInboundInterface" => fields::OBSERVER_INGRESS_INTERFACE,
        "deviceOutboundInterface" => fields::OBSERVER_EGRESS_INTERFACE,
        "act" | "action" if draft.has(fields::EVENT_ACTION) => {
            draft.defects.add(Defect::BadKeyValue);
            return draft.vendor("cef", key, value);
        }
        "act" | "action" => return action(value, draft),
        // A blocked request that was blocked successfully: the verdict speaks of the request.
        "outcome" if draft.has(fields::EVENT_OUTCOME) => return draft.vendor("cef", key, value),
        "outcome" => return draft.str(fields::EVENT_OUTCOME, &value.to_ascii_lowercase()),
        _ => return draft.vendor("cef", key, value),
    };
    typed(field, key, value, draft);
}

/// The first value of a field; what follows is not surely the product's and is put aside.
fn typed(field: FieldId, key: &str, value: &str, draft: &mut Draft<'_>) {
    if draft.has(field) {
        draft.defects.add(Defect::BadKeyValue);
        draft.vendor("cef", key, value);
    } else {
        draft.typed(field, value);
    }
}

fn action(value: &str, draft: &mut Draft<'_>) {
    // Never success and failure together: what was said first stays.
    let said = draft.text(fields::EVENT_OUTCOME).map(str::to_owned);
    verdict(value, draft);
    if let Some(said) = said {
        draft.replace(fields::EVENT_OUTCOME, &said);
    }
}

fn verdict(value: &str, draft: &mut Draft<'_>) {
    match value.to_ascii_lowercase().as_str() {
        "accept" | "allow" | "allowed" | "permit" | "pass" | "passed" => draft.verdict(Some(true)),
        "deny" | "denied" | "drop" | "dropped" | "block" | "blocked" | "reject" | "rejected" | "prevent" => draft.verdict(Some(false)),
        _ => draft.str(fields::EVENT_ACTION, value),
    }
}

/// UniFi's own keys all begin with `UNIFI`.
fn put_ubiquiti(key: &str, value: &str, draft: &mut Draft<'_>) {
    let field = match key {
        "UNIFIclientIp" if !draft.has(fields::SOURCE_IP) => fields::SOURCE_IP,
        "UNIFIclientMac" => fields::SOURCE_MAC,
        "UNIFIclientHostname" => fields::SOURCE_DOMAIN,
        "UNIFIadmin" => fields::USER_NAME,
        // The event's name has said it already.
        "act" if draft.has(fields::EVENT_ACTION) => return draft.vendor("unifi", "act", value),
        // UniFi OS has only a sentence: `anna accessed the UniFi OS via unifi.ui.com. Source IP: 192.0.2.1`.
        "msg" if !draft.has(fields::EVENT_ACTION) && value.contains(" accessed the UniFi OS") => {
            draft.event("authentication", "login", "success");
            draft.str(fields::USER_NAME, value.split(" accessed ").next().unwrap_or_default());
            draft.source(value.rsplit_once("Source IP: ").map_or("", |(_, source)| source));
            return put(key, value, draft);
        }
        "UNIFIhost" => return draft.once(fields::HOST_NAME, value),
        _ if key.starts_with("UNIFI") => return draft.vendor("unifi", key.get(5..).unwrap_or(key), value),
        _ => return put(key, value, draft),
    };
    typed(field, key, value, draft);
}

/// What happened, by the event's name ("System Logs & SIEM integration"). Other names leave it to `act`.
fn ubiquiti(name: &str, draft: &mut Draft<'_>) {
    match name {
        _ if name.starts_with("Threat Detected") => draft.found("intrusion_detection", name.ends_with("Blocked")),
        _ if name.starts_with("Blocked by") => draft.verdict(Some(false)),
        _ if name.starts_with("Admin Accessed") => draft.event("authentication", "login", "success"),
        _ if name.contains("Config") => draft.event("configuration", "configuration_changed", "success"),
        _ if name.ends_with(" Connected") => draft.event("network", "wlan_connected", "success"),
        _ if name.ends_with(" Disconnected") => draft.event("network", "wlan_disconnected", ""),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_before_the_next_key() {
        let read = |text: &str| {
            let mut all = Vec::new();
            pairs(text, |key, value| all.push(format!("{key}={value}")));
            all.join("|")
        };
        for (text, expected) in [
            ("src=192.0.2.1 msg=a b  c dst=192.0.2.2", "src=192.0.2.1|msg=a b  c|dst=192.0.2.2"),
            (r"msg=a \= b act=x", "msg=a = b|act=x"),
            ("url=/?a=b&c=d e=f", "url=/?a=b&c=d|e=f"),
            ("msg=x !bad=y ok=z", "msg=x !bad=y|ok=z"),
            ("msg= next=1", "msg=|next=1"),
            ("a====b c==d", "a====b|c==d"),
            ("  a=1  ", "a=1"),
            (r"a=1\", r"a=1\"),
            ("no pairs here", ""),
            ("= =", "= ="),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }
}

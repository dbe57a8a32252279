//! Postfix: who connects, who logs in, what is rejected, what is delivered (postfix' smtpd.c, cleanup.c, log format of the
//! delivery agents). The queue id ties the lines of a message together.

use super::Look;
use super::draft::Draft;
use super::part::{between, word};
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.tag.starts_with("postfix") || look.tag.starts_with("postscreen")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    draft.name(fields::EVENT_MODULE, "postfix");
    draft.name(fields::EVENT_CATEGORY, "email");
    let mut text = look.text;
    let mut level = "";
    for name in ["warning: ", "error: ", "fatal: ", "panic: ", "statistics: "] {
        if let Some(rest) = text.strip_prefix(name) {
            (text, level) = (rest, name);
        }
    }
    if let Some((queue_id, rest)) = text.split_once(": ").filter(|(id, _)| is_queue_id(id)) {
        draft.vendor("postfix", "queue_id", queue_id);
        text = rest;
    }
    let read = session(text, draft)
        || tls(text, draft)
        || refused(text, draft)
        || queue(text, draft)
        || postscreen(text, draft)
        || delivery(text, draft);
    if !read && !level.is_empty() {
        draft.name(fields::EVENT_ACTION, if level == "statistics: " { "smtp_statistics" } else { "mail_server_warning" });
        draft.str(fields::EVENT_REASON, text);
    }
    true
}

/// `Anonymous TLS connection established from unknown[192.0.2.1]: TLSv1.3 with cipher …`, `Untrusted TLS connection
/// established to mx.example.net[192.0.2.1]:25: …`, `SSL_accept error from unknown[192.0.2.1]: -1`, `TLS library problem: …`
fn tls(text: &str, draft: &mut Draft<'_>) -> bool {
    if let Some((trust, rest)) = text.split_once(" TLS connection established ").filter(|(trust, _)| !trust.contains(' ')) {
        draft.name(fields::EVENT_ACTION, "tls_established");
        draft.name(fields::EVENT_OUTCOME, "success");
        let Some((peer, about)) = rest.get(rest.find(' ').map_or(0, |at| at + 1)..).and_then(|rest| rest.split_once(": ")) else {
            return true;
        };
        put_peer(peer, rest.starts_with("to "), draft);
        let mut words = about.split(' ');
        draft.vendor("tls", "version_protocol", words.next().unwrap_or_default());
        draft.vendor("tls", "cipher", between(about, "cipher ", " ").map_or("", |(cipher, _)| cipher));
        draft.vendor("postfix", "tls_trust", trust);
        return true;
    }
    let (rest, to) = match (text.strip_prefix("SSL_accept error from "), text.strip_prefix("SSL_connect error to ")) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => {
            let Some(reason) = text.strip_prefix("TLS library problem: ") else { return false };
            draft.name(fields::EVENT_ACTION, "tls_failed");
            draft.name(fields::EVENT_OUTCOME, "failure");
            draft.str(fields::EVENT_REASON, reason);
            return true;
        }
    };
    draft.name(fields::EVENT_ACTION, "tls_failed");
    draft.name(fields::EVENT_OUTCOME, "failure");
    let (peer, reason) = rest.split_once(": ").unwrap_or((rest, ""));
    put_peer(peer, to, draft);
    draft.str(fields::EVENT_REASON, reason);
    true
}

fn put_peer(peer: &str, is_server: bool, draft: &mut Draft<'_>) {
    if !is_server {
        return put_client(peer, draft);
    }
    let Some((name, rest)) = peer.split_once('[') else { return };
    let (address, port) = rest.split_once(']').unwrap_or((rest, ""));
    draft.str(fields::DESTINATION_DOMAIN, name);
    draft.optional(fields::DESTINATION_IP, address);
    draft.optional(fields::DESTINATION_PORT, port.trim_start_matches(':').split(':').next().unwrap_or_default());
}

/// qmgr, pickup, bounce and anvil: `from=<a>, size=1, nrcpt=1 (queue active)`, `removed`, `uid=0 from=<root>`, `sender non-delivery
/// notification: 4F…`, `max connection rate 3/60s for (smtp:192.0.2.1) at Mar 14 08:00:00`
fn queue(text: &str, draft: &mut Draft<'_>) -> bool {
    if text == "removed" {
        draft.name(fields::EVENT_ACTION, "mail_removed");
    } else if let Some(rest) = text.strip_prefix("uid=") {
        draft.name(fields::EVENT_ACTION, "mail_submitted");
        draft.str(fields::USER_ID, rest.split(' ').next().unwrap_or_default());
        put_mail(text, draft);
    } else if let Some((kind, id)) = text.split_once(" notification: ").filter(|(kind, _)| kind.starts_with("sender ")) {
        draft.name(fields::EVENT_ACTION, "mail_notification");
        draft.str(fields::EVENT_REASON, kind);
        draft.vendor("postfix", "notification_queue_id", id);
    } else if text.ends_with("(queue active)") {
        draft.name(fields::EVENT_ACTION, "mail_queued");
        put_mail(text, draft);
        if let Some((bytes, _)) = between(text, "size=", ",") {
            draft.optional(fields::NETWORK_BYTES, bytes);
        }
        if let Some((count, _)) = between(text, "nrcpt=", " ") {
            draft.vendor("postfix", "recipients", count);
        }
    } else if text.starts_with("message-id=<") || text.starts_with("resent-message-id=<") {
        draft.name(fields::EVENT_ACTION, "mail_accepted");
        put_mail(text, draft);
    } else if let Some((what, rest)) = text.split_once(" for (").filter(|(what, _)| what.starts_with("max ")) {
        draft.name(fields::EVENT_ACTION, "smtp_statistics");
        draft.str(fields::EVENT_REASON, what);
        if let Some((_, host)) = rest.split_once(')').and_then(|(service, _)| service.split_once(':')) {
            draft.source(host);
        }
    } else if let Some((what, client)) = text.split_once(" from ").filter(|(what, _)| what.contains(" limit exceeded: ")) {
        // Connection rate limit exceeded: 31 from unknown[192.0.2.1] for service smtp
        draft.name(fields::EVENT_ACTION, "smtp_limit");
        draft.name(fields::EVENT_OUTCOME, "failure");
        draft.str(fields::EVENT_REASON, what);
        put_client(client.split(' ').next().unwrap_or_default(), draft);
    } else {
        return false;
    }
    true
}

/// postscreen's verdicts: `PASS NEW [192.0.2.1]:4711`, `COMMAND PIPELINING from [192.0.2.1]:4711 after …`
fn postscreen(text: &str, draft: &mut Draft<'_>) -> bool {
    const VERDICTS: [(&str, &str, &str); 11] = [
        ("PASS NEW ", "smtp_allowed", "success"),
        ("PASS OLD ", "smtp_allowed", "success"),
        ("ALLOWLISTED ", "smtp_allowed", "success"),
        ("WHITELISTED ", "smtp_allowed", "success"),
        ("WHITELIST VETO ", "smtp_denylisted", "failure"),
        ("ALLOWLIST VETO ", "smtp_denylisted", "failure"),
        ("COMMAND PIPELINING from ", "smtp_pipelining", "failure"),
        ("COMMAND COUNT LIMIT from ", "smtp_too_many_errors", "failure"),
        ("COMMAND TIME LIMIT from ", "smtp_timeout", "failure"),
        ("NON-SMTP COMMAND from ", "smtp_not_smtp", "failure"),
        ("BARE NEWLINE from ", "smtp_not_smtp", "failure"),
    ];
    let Some((opening, action, outcome)) = VERDICTS.iter().find(|(opening, ..)| text.starts_with(opening)) else {
        return false;
    };
    draft.name(fields::EVENT_ACTION, action);
    draft.name(fields::EVENT_OUTCOME, outcome);
    let rest = text.get(opening.len()..).unwrap_or_default();
    draft.source_endpoint(rest.split(' ').next().unwrap_or_default());
    true
}

/// Hexadecimal, or the long form in base 52.
fn is_queue_id(text: &str) -> bool {
    text == "NOQUEUE"
        || ((6..=20).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && text.bytes().any(|byte| byte.is_ascii_digit()))
}

/// `name[address]` or `name[address]:port`; `unknown` is no name.
fn put_client(text: &str, draft: &mut Draft<'_>) {
    let Some((name, rest)) = text.split_once('[') else { return };
    let (address, port) = rest.split_once(']').unwrap_or((rest, ""));
    draft.source(address);
    if !matches!(name, "" | "unknown" | "localhost") {
        draft.str(fields::SOURCE_DOMAIN, name);
    }
    draft.optional(
        fields::SOURCE_PORT,
        port.strip_prefix(':').map_or("", |port| port.split(|char: char| !char.is_ascii_digit()).next().unwrap_or_default()),
    );
}

fn session(text: &str, draft: &mut Draft<'_>) -> bool {
    if let Some((client, rest)) = text.split_once(": SASL ") {
        // `unknown[192.0.2.1]: SASL LOGIN authentication failed: …, sasl_username=anna`
        let Some((method, reason)) = rest.split_once(" authentication failed").or_else(|| rest.split_once(" authentication aborted"))
        else {
            return false;
        };
        draft.event("authentication", "smtp_login", "failure");
        put_client(client, draft);
        draft.vendor("postfix", "sasl_method", method);
        let reason = reason.trim_start_matches([':', ' ']);
        let (reason, user) = reason.rsplit_once("sasl_username=").unwrap_or((reason, ""));
        draft.str(fields::EVENT_REASON, reason.trim_end_matches([',', ' ']));
        draft.str(fields::USER_NAME, user);
        return true;
    }
    if let Some(client) = text.strip_prefix("connect from ") {
        draft.name(fields::EVENT_ACTION, "smtp_connect");
        put_client(client, draft);
        return true;
    }
    for (opening, action) in [
        ("disconnect from ", "smtp_disconnect"),
        ("lost connection after ", "smtp_connection_lost"),
        ("timeout after ", "smtp_timeout"),
        ("too many errors after ", "smtp_too_many_errors"),
        ("improper command pipelining after ", "smtp_pipelining"),
        ("non-SMTP command from ", "smtp_not_smtp"),
        ("hostname ", "smtp_hostname_mismatch"),
        ("CONNECT from ", "smtp_connect"),
        ("PREGREET ", "smtp_pregreet"),
        ("HANGUP ", "smtp_hangup"),
        ("DNSBL rank ", "smtp_dnsbl"),
        ("BLACKLISTED ", "smtp_denylisted"),
        ("DENYLISTED ", "smtp_denylisted"),
        ("refused connect from ", "smtp_refused"),
    ] {
        let Some(rest) = text.strip_prefix(opening) else { continue };
        draft.name(fields::EVENT_ACTION, action);
        match action {
            // hostname x does not resolve to address 192.0.2.1
            "smtp_hostname_mismatch" => {
                if let Some((name, address)) = rest.split_once(" does not resolve to address ") {
                    draft.str(fields::SOURCE_DOMAIN, name);
                    draft.source(address.split(':').next().unwrap_or_default());
                }
            }
            "smtp_connect" | "smtp_pregreet" | "smtp_hangup" | "smtp_dnsbl" | "smtp_denylisted" => {
                let from = between(rest, "from [", "]").or_else(|| between(rest, "for [", "]")).or_else(|| between(rest, "[", "]"));
                if let Some((address, _)) = from {
                    draft.source(address);
                }
            }
            _ => {
                let client = rest.split_once(" from ").map_or(rest, |(_, client)| client);
                put_client(word(client).map_or(client, |(client, _)| client), draft);
            }
        }
        return true;
    }
    if let Some(rest) = text.strip_prefix("client=") {
        draft.name(fields::EVENT_ACTION, "smtp_receive");
        put_client(rest.split(',').next().unwrap_or_default(), draft);
        if let Some((_, rest)) = rest.split_once("sasl_username=") {
            draft.event("authentication", "smtp_login", "success");
            draft.str(fields::USER_NAME, rest.split(',').next().unwrap_or_default());
        }
        return true;
    }
    false
}

/// `reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <…>: reason; from=<a> to=<b> proto=ESMTP helo=<c>`
fn refused(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((verdict, rest)) = text.split_once(": ") else { return false };
    let (action, kind) = match verdict {
        "reject" | "milter-reject" | "reject_warning" | "proxy-reject" => ("smtp_reject", "denied"),
        "discard" | "milter-discard" => ("smtp_discard", "denied"),
        "milter-hold" => ("smtp_policy", "info"),
        "hold" | "filter" | "redirect" | "warn" | "permit" => ("smtp_policy", "info"),
        _ => return false,
    };
    let Some((stage, rest)) = rest.split_once(" from ") else { return false };
    let (client, rest) = rest.split_once(": ").unwrap_or((rest, ""));
    draft.name(fields::EVENT_ACTION, action);
    draft.name(fields::EVENT_TYPE, kind);
    if kind == "denied" {
        draft.name(fields::EVENT_OUTCOME, "failure");
    }
    draft.vendor("postfix", "stage", stage);
    put_client(client, draft);
    let (reason, about) = rest.split_once("; ").unwrap_or((rest, ""));
    let code = reason.split(' ').next().unwrap_or_default();
    if super::part::is_number(code) {
        draft.vendor("postfix", "reply_code", code);
    }
    draft.str(fields::EVENT_REASON, reason);
    put_mail(about, draft);
    true
}

fn put_mail(about: &str, draft: &mut Draft<'_>) {
    for (name, field) in [("from=<", fields::EMAIL_FROM), ("to=<", fields::EMAIL_TO), ("message-id=<", fields::EMAIL_MESSAGE_ID)] {
        let value = about.find(name).filter(|at| *at == 0 || matches!(about.as_bytes().get(at - 1), Some(b' ' | b',')));
        if let Some((value, _)) = value.and_then(|at| about.get(at + name.len()..)).and_then(|rest| rest.split_once('>')) {
            draft.str(field, value);
        }
    }
    if let Some((helo, _)) = between(about, "helo=<", ">") {
        draft.vendor("postfix", "helo", helo);
    }
}

/// `to=<a>, relay=…, delay=1, …, status=sent (250 …)`, `from=<a>, size=…`, `message-id=<…>`
fn delivery(text: &str, draft: &mut Draft<'_>) -> bool {
    put_mail(text, draft);
    let status = text.split_once("status=");
    if let Some((status, reason)) = status.map(|(_, rest)| word(rest).unwrap_or((rest, ""))) {
        draft.name(fields::EVENT_ACTION, "mail_delivery");
        draft.vendor("postfix", "status", status);
        draft.name(fields::EVENT_OUTCOME, if status == "sent" { "success" } else { "failure" });
        draft.str(fields::EVENT_REASON, reason.trim_start_matches('(').trim_end_matches(')'));
        if let Some((relay, _)) = between(text, "relay=", ",")
            && let Some((name, rest)) = relay.split_once('[')
        {
            draft.str(fields::DESTINATION_DOMAIN, name);
            if let Some(address) = rest.split(']').next().and_then(super::draft::address) {
                draft.put_ip(fields::DESTINATION_IP, address);
            }
        }
    }
    status.is_some()
}

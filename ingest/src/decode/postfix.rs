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
    for level in ["warning: ", "error: ", "fatal: ", "panic: "] {
        text = text.strip_prefix(level).unwrap_or(text);
    }
    if let Some((queue_id, rest)) = text.split_once(": ").filter(|(id, _)| is_queue_id(id)) {
        draft.vendor("postfix", "queue_id", queue_id);
        text = rest;
    }
    if !session(text, draft) && !refused(text, draft) {
        delivery(text, draft);
    }
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
        let Some((method, reason)) = rest.split_once(" authentication failed") else { return false };
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
        "reject" | "milter-reject" | "reject_warning" => ("smtp_reject", "denied"),
        "discard" => ("smtp_discard", "denied"),
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
fn delivery(text: &str, draft: &mut Draft<'_>) {
    put_mail(text, draft);
    if let Some((status, reason)) = text.split_once("status=").map(|(_, rest)| word(rest).unwrap_or((rest, ""))) {
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
}

//! Exchange's own logs: message tracking, the SMTP receive and send protocol, the IMAP4 and POP3 protocol, and the HTTP
//! proxy in front of Outlook on the web. All in UTC, as CSV with `#Fields:`.

use super::{Product, Row};
use crate::decode::draft::{Draft, address};
use crate::fields;
use crate::syslog;

/// A message to more than that many is a list; the rest stays in the line.
const RECIPIENTS_MAX: usize = 32;

pub(super) const TRACKING: Product = Product {
    name: "exchange_tracking",
    marks: &["date-time", "event-id", "internal-message-id", "recipient-address"],
    prefix: "exchange",
    fields: &[
        ("client-hostname", fields::SOURCE_DOMAIN),
        ("server-hostname", fields::DESTINATION_DOMAIN),
        ("sender-address", fields::EMAIL_FROM),
        ("message-subject", fields::EMAIL_SUBJECT),
        ("total-bytes", fields::NETWORK_BYTES),
        ("recipient-status", fields::EVENT_REASON),
    ],
    own: &["date-time", "message-id", "client-ip", "server-ip", "recipient-address", "original-client-ip", "directionality"],
    usual: &[
        "#Fields: date-time,client-ip,client-hostname,server-ip,server-hostname,source-context,connector-id,source,event-id,internal-message-id,message-id,network-message-id,recipient-address,recipient-status,total-bytes,recipient-count,related-recipient-address,reference,message-subject,sender-address,return-path,message-info,directionality,tenant-id,original-client-ip,original-server-ip,custom-data,transport-traffic-type,log-id,schema-version",
        "#Fields: date-time,client-ip,client-hostname,server-ip,server-hostname,source-context,connector-id,source,event-id,internal-message-id,message-id,network-message-id,recipient-address,recipient-status,total-bytes,recipient-count,related-recipient-address,reference,message-subject,sender-address,return-path,message-info,directionality,tenant-id,original-client-ip,original-server-ip,custom-data",
    ],
    finish: tracking,
};

pub(super) const SMTP: Product = Product {
    name: "exchange_smtp",
    marks: &["date-time", "connector-id", "session-id", "local-endpoint", "remote-endpoint"],
    prefix: "exchange",
    fields: &[],
    own: &["date-time", "local-endpoint", "remote-endpoint", "event"],
    usual: &["#Fields: date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context"],
    finish: smtp,
};

pub(super) const MAILBOX: Product = Product {
    name: "exchange_mailbox",
    marks: &["dateTime", "sessionId", "sIp", "cIp", "command"],
    prefix: "exchange",
    fields: &[("user", fields::USER_NAME)],
    own: &["dateTime", "sIp", "cIp", "duration"],
    usual: &[
        "#Fields: dateTime,sessionId,seqNumber,sIp,cIp,user,duration,rqsize,rpsize,command,parameters,context,puid",
        "#Fields: dateTime,sessionId,seqNumber,sIp,cIp,user,duration,rqsize,rpsize,command,parameters,context",
    ],
    finish: mailbox,
};

pub(super) const PROXY: Product = Product {
    name: "exchange_httpproxy",
    marks: &["DateTime", "RequestId", "UrlStem", "ClientIpAddress", "HttpStatus"],
    prefix: "exchange",
    fields: &[
        ("ClientIpAddress", fields::SOURCE_IP),
        ("UrlHost", fields::URL_DOMAIN),
        ("UserAgent", fields::USER_AGENT),
        ("HttpStatus", fields::HTTP_STATUS),
        ("Method", fields::HTTP_METHOD),
        ("RequestBytes", fields::HTTP_REQUEST_BYTES),
        ("ResponseBytes", fields::HTTP_RESPONSE_BYTES),
        ("TargetServer", fields::DESTINATION_DOMAIN),
        ("ErrorCode", fields::EVENT_REASON),
    ],
    own: &["DateTime", "UrlStem", "UrlQuery", "AuthenticatedUser", "TotalRequestTime", "ServerHostName"],
    // Its columns change with every update, and it repeats them in every file.
    usual: &[],
    finish: proxy,
};

fn start(row: &Row<'_>, time: &str, dataset: &'static str, draft: &mut Draft<'_>) {
    draft.name(fields::EVENT_MODULE, "exchange");
    draft.name(fields::EVENT_DATASET, dataset);
    draft.stamp = syslog::whole_stamp(row.get(time)).unwrap_or_default();
}

fn tracking(row: &Row<'_>, draft: &mut Draft<'_>) {
    start(row, "date-time", "exchange.messagetracking", draft);
    // The client is Exchange's own transport for mail that was handed on; the first sender then stands in the last column.
    let client = [row.get("original-client-ip"), row.get("client-ip")].into_iter().find_map(address);
    if let Some(client) = client {
        draft.put_ip(fields::SOURCE_IP, client);
    }
    if let Some(server) = address(row.get("server-ip")) {
        draft.put_ip(fields::DESTINATION_IP, server);
    }
    draft.str(fields::EMAIL_MESSAGE_ID, row.get("message-id").trim_start_matches('<').trim_end_matches('>'));
    for recipient in row.get("recipient-address").split(';').map(str::trim).take(RECIPIENTS_MAX) {
        draft.str(fields::EMAIL_TO, recipient);
    }
    match row.get("directionality") {
        "Incoming" => draft.name(fields::NETWORK_DIRECTION, "inbound"),
        "Originating" => draft.name(fields::NETWORK_DIRECTION, "outbound"),
        _ => {}
    }
    let (action, outcome) = match row.get("event-id") {
        "RECEIVE" => ("mail_received", "success"),
        "SEND" | "SENDEXTERNAL" => ("mail_sent", "success"),
        "DELIVER" => ("mail_delivered", "success"),
        "SUBMIT" => ("mail_submitted", "success"),
        "FAIL" | "SUBMITFAIL" => ("mail_failed", "failure"),
        "BADMAIL" => ("mail_bad", "failure"),
        "DEFER" | "SUBMITDEFER" => ("mail_deferred", ""),
        "DSN" => ("mail_status_notification", ""),
        "DROP" => ("mail_dropped", "failure"),
        "REDIRECT" => ("mail_redirected", ""),
        "EXPAND" => ("mail_list_expanded", ""),
        _ => ("mail_tracked", ""),
    };
    draft.event("email", action, outcome);
}

/// `+` opens, `-` closes, `>` the server says, `<` the other side says, `*` is a remark.
fn smtp(row: &Row<'_>, draft: &mut Draft<'_>) {
    start(row, "date-time", "exchange.smtp", draft);
    draft.name(fields::NETWORK_PROTOCOL, "smtp");
    let (local, remote) = (row.get("local-endpoint"), row.get("remote-endpoint"));
    // A send connector is the one who calls; its far end is port 25 or 587 of another.
    let sends = matches!(super::host_port(remote).1, "25" | "587" | "465" | "475" | "717" | "2525");
    let (source, destination) = if sends { (local, remote) } else { (remote, local) };
    if !source.is_empty() {
        draft.source_endpoint(source);
    }
    if !destination.is_empty() {
        draft.destination_endpoint(destination);
    }
    let data = row.get("data");
    let upper = |prefix: &str| data.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let address_of = |prefix: &str| data.get(prefix.len()..).and_then(|rest| Some(rest.split_once('<')?.1.split_once('>')?.0));
    let (action, outcome) = match row.get("event") {
        "+" => ("smtp_connect", ""),
        "-" => ("smtp_disconnect", ""),
        // What Exchange remarks of a login, with the account before the word.
        "*" if row.get("context").starts_with("Inbound authentication failed") => ("smtp_login", "failure"),
        "*" if row.get("context") == "authenticated" => {
            let (domain, name) = data.split_once('\\').unwrap_or(("", data));
            draft.str(fields::USER_DOMAIN, domain);
            draft.str(fields::USER_NAME, name);
            ("smtp_login", "success")
        }
        _ if data.starts_with("535") || data.contains("Authentication unsuccessful") => ("smtp_login", "failure"),
        _ if data.starts_with("235") => ("smtp_login", "success"),
        _ if upper("MAIL FROM:") => {
            draft.str(fields::EMAIL_FROM, address_of("MAIL FROM:").unwrap_or_default());
            ("smtp_mail", "")
        }
        _ if upper("RCPT TO:") => {
            draft.str(fields::EMAIL_TO, address_of("RCPT TO:").unwrap_or_default());
            ("smtp_recipient", "")
        }
        _ if data.starts_with(['4', '5']) && data.as_bytes().get(3) == Some(&b' ') => ("smtp_refused", "failure"),
        _ => ("smtp_protocol", ""),
    };
    if outcome == "failure" {
        draft.str(fields::EVENT_REASON, if data.is_empty() { row.get("context") } else { data });
    }
    let category = if action == "smtp_login" { "authentication" } else { "email" };
    draft.event(category, action, outcome);
}

fn mailbox(row: &Row<'_>, draft: &mut Draft<'_>) {
    start(row, "dateTime", "exchange.mailbox", draft);
    draft.destination_endpoint(row.get("sIp"));
    draft.source_endpoint(row.get("cIp"));
    if let Ok(millis) = row.get("duration").parse::<i64>() {
        draft.int(fields::EVENT_DURATION, millis.saturating_mul(1_000_000));
    }
    let protocol = match draft.named_int(fields::DESTINATION_PORT) {
        Some(143 | 993 | 1993 | 9933) => "imap",
        Some(110 | 995 | 1995) => "pop3",
        _ => "",
    };
    if !protocol.is_empty() {
        draft.name(fields::NETWORK_PROTOCOL, protocol);
    }
    let (command, context) = (row.get("command"), row.get("context"));
    // The server's answer stands in `R=`: `"2 NO AUTHENTICATE failed."`, `"-ERR Logon failure"`.
    let failed = context.contains("AuthFailed") || context.contains(" NO ") || context.contains("-ERR") || context.contains(" BAD ");
    if matches!(command, "authenticate" | "login" | "user" | "pass" | "auth") {
        draft.event("authentication", "mail_login", if failed { "failure" } else { "success" });
    } else {
        draft.name(fields::EVENT_CATEGORY, "email");
    }
    let reason = context.split_once("ErrMsg=").map(|(_, reason)| reason.split(['"', ';']).next().unwrap_or_default());
    draft.str(fields::EVENT_REASON, reason.unwrap_or_default());
}

fn proxy(row: &Row<'_>, draft: &mut Draft<'_>) {
    start(row, "DateTime", "exchange.httpproxy", draft);
    draft.name(fields::EVENT_TYPE, "access");
    let status = draft.named_int(fields::HTTP_STATUS);
    draft.event(
        "web",
        "http_request",
        match status {
            Some(100..400) => "success",
            Some(400..600) => "failure",
            _ => "",
        },
    );
    let user = row.get("AuthenticatedUser");
    let (domain, name) = user.split_once('\\').unwrap_or(("", user));
    draft.str(fields::USER_DOMAIN, domain);
    draft.str(fields::USER_NAME, name);
    let (path, query) = (row.get("UrlStem"), row.get("UrlQuery"));
    let query = query.strip_prefix('?').unwrap_or(query);
    super::iis::target(path, query, draft);
    if !draft.has(fields::HOST_NAME) {
        draft.str(fields::HOST_NAME, row.get("ServerHostName"));
    }
    if let Ok(millis) = row.get("TotalRequestTime").parse::<i64>() {
        draft.int(fields::EVENT_DURATION, millis.saturating_mul(1_000_000));
    }
}

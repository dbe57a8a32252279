//! Zeek's logs, as tables and as JSON, by one mapping. Which log a line is of, is told by columns that no other log has:
//! the line that names it (`#path`) need not have come. Zeek's own names stay below `zeek.<log>`.

use super::{Product, Row};
use crate::decode::draft::{Draft, address};
use crate::decode::http_access::put_target;
use crate::fields::{self, FieldId};
use crate::syslog::{self, Stamp};

pub(super) const PRODUCT: Product = Product {
    name: "zeek",
    marks: &["ts"],
    prefix: "zeek",
    fields: &[],
    own: &["ts"],
    usual: &[
        "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents",
        "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\ttrans_id\trtt\tquery\tqclass\tqclass_name\tqtype\tqtype_name\trcode\trcode_name\tAA\tTC\tRD\tRA\tZ\tanswers\tTTLs\trejected",
    ],
    finish: |row, draft| row_finish(row, draft),
};

/// Each log and columns that together only it has, the more telling first.
const LOGS: &[(&str, &[&str])] = &[
    ("conn", &["conn_state", "history"]),
    ("dns", &["qtype_name", "rcode_name"]),
    ("http", &["method", "uri", "status_code"]),
    ("ssl", &["cipher", "curve"]),
    ("ssl", &["server_name", "established"]),
    ("ssh", &["auth_attempts", "client", "server"]),
    ("ssh", &["auth_success", "host_key_alg"]),
    ("ssh", &["kex_alg", "host_key"]),
    ("notice", &["note", "msg"]),
    ("x509", &["certificate.subject", "certificate.issuer"]),
    ("files", &["fuid", "seen_bytes"]),
    ("smtp", &["helo", "mailfrom"]),
    ("smtp", &["helo", "trans_depth"]),
    ("dhcp", &["msg_types", "mac"]),
    ("dhcp", &["client_addr", "msg_types"]),
    ("kerberos", &["request_type", "client"]),
    ("ntlm", &["domainname", "username"]),
    ("ntlm", &["server_nb_computer_name"]),
    ("smb_files", &["action", "path", "name", "size"]),
    ("smb_files", &["action", "times.modified"]),
    ("smb_mapping", &["path", "share_type"]),
    ("rdp", &["cookie", "security_protocol"]),
    ("rdp", &["cookie", "result"]),
    ("dce_rpc", &["named_pipe", "operation"]),
    ("weird", &["name", "peer"]),
    ("weird", &["name", "notice"]),
];

/// The log of a set of names; empty for one that is not ours.
pub(super) fn log_of(has: impl Fn(&str) -> bool) -> &'static str {
    LOGS.iter().find(|(_, names)| names.iter().all(|name| has(name))).map_or("other", |(log, _)| log)
}

/// ECS' name for a column of a log.
pub(super) fn field(log: &str, name: &str) -> Option<FieldId> {
    Some(match (log, name) {
        (_, "id.orig_h") | ("dhcp", "client_addr") | ("notice", "src") => fields::SOURCE_IP,
        (_, "id.orig_p") => fields::SOURCE_PORT,
        (_, "id.resp_h") | ("dhcp", "server_addr") | ("notice", "dst") => fields::DESTINATION_IP,
        (_, "id.resp_p") => fields::DESTINATION_PORT,
        ("conn" | "dns" | "notice", "proto") => fields::NETWORK_TRANSPORT,
        ("conn", "service") => fields::NETWORK_PROTOCOL,
        ("conn", "orig_bytes") => fields::SOURCE_BYTES,
        ("conn", "resp_bytes") => fields::DESTINATION_BYTES,
        ("conn", "orig_pkts") => fields::SOURCE_PACKETS,
        ("conn", "resp_pkts") => fields::DESTINATION_PACKETS,
        ("dns", "query") => fields::DNS_QUESTION_NAME,
        ("dns", "qtype_name") => fields::DNS_QUESTION_TYPE,
        ("dns", "rcode_name") => fields::DNS_RESPONSE_CODE,
        ("http", "method") => fields::HTTP_METHOD,
        ("http", "host") => fields::URL_DOMAIN,
        ("http", "referrer") => fields::HTTP_REFERRER,
        ("http" | "smtp", "user_agent") => fields::USER_AGENT,
        ("http", "version") => fields::HTTP_VERSION,
        ("http", "status_code") => fields::HTTP_STATUS,
        ("http", "request_body_len") => fields::HTTP_REQUEST_BYTES,
        ("http", "response_body_len") => fields::HTTP_RESPONSE_BYTES,
        ("http" | "ntlm", "username") => fields::USER_NAME,
        ("ntlm", "domainname") => fields::USER_DOMAIN,
        ("ntlm", "hostname") | ("dhcp", "host_name") => fields::SOURCE_DOMAIN,
        ("dhcp", "mac") => fields::SOURCE_MAC,
        ("rdp", "cookie") => fields::USER_NAME,
        ("ssl", "server_name") => fields::DESTINATION_DOMAIN,
        ("ssl", "version") => fields::TLS_VERSION,
        ("ssl", "cipher") => fields::TLS_CIPHER,
        ("ssl", "ja3") => fields::TLS_CLIENT_JA3,
        ("ssl", "ja3s") => fields::TLS_SERVER_JA3S,
        ("files", "md5") => fields::FILE_HASH_MD5,
        ("files", "sha1") => fields::FILE_HASH_SHA1,
        ("files", "sha256") => fields::FILE_HASH_SHA256,
        ("files", "filename") | ("smb_files", "name") => fields::FILE_PATH,
        ("smtp", "mailfrom") => fields::EMAIL_FROM,
        ("smtp", "rcptto") => fields::EMAIL_TO,
        ("smtp", "subject") => fields::EMAIL_SUBJECT,
        ("smtp", "msg_id") => fields::EMAIL_MESSAGE_ID,
        ("notice", "note") | ("weird", "name") => fields::RULE_NAME,
        ("notice", "msg") | ("kerberos", "error_msg") => fields::EVENT_REASON,
        _ => return None,
    })
}

fn row_finish(row: &Row<'_>, draft: &mut Draft<'_>) {
    if let Some(at) = syslog::epoch_text(row.get("ts")) {
        draft.stamp = Stamp::Moment(at);
    }
    let log = log_of(|name| row.columns.iter().any(|column| &*column.name == name));
    split_sets(draft);
    finish(log, draft);
}

/// Zeek's sets have commas in tables; JSON has arrays.
fn split_sets(draft: &mut Draft<'_>) {
    for field in [fields::EMAIL_TO] {
        let Some(set) = draft.text(field).filter(|set| set.contains(',')).map(str::to_owned) else { continue };
        draft.remove(field);
        set.split(',').take(SET_MAX).for_each(|one| draft.str(field, one));
    }
}

/// A mail to more is a list; the rest stays in the line.
const SET_MAX: usize = 32;

/// An object of Zeek's as JSON: its names become those of the tables.
pub(in crate::decode) fn object(draft: &mut Draft<'_>) {
    let log = log_of(|name| draft.has_named(name) || alias(name).is_some_and(|field| draft.has(field)));
    // Names that the JSON reader takes for those of the machine that logs: in these two logs they are the client's.
    if !draft.has_header && matches!(log, "http" | "ntlm") {
        let taken = if log == "http" { fields::URL_DOMAIN } else { fields::SOURCE_DOMAIN };
        if let Some(host) = draft.text(fields::HOST_NAME).map(str::to_owned) {
            draft.remove(fields::HOST_NAME);
            draft.str(taken, &host);
        }
    }
    draft.renamed(|draft, name| {
        // What an ECS shipper added has its place already.
        if name.contains('.') && !name.starts_with("id.") && !name.starts_with("certificate.") && !name.starts_with("times.") {
            return None;
        }
        match field(log, name) {
            Some(field) => Some(field),
            None => draft.vendor_field(&["zeek.", log, ".", name]),
        }
    });
    finish(log, draft);
}

/// Names that the JSON reader has read as ECS' own.
fn alias(name: &str) -> Option<FieldId> {
    match name {
        "username" => Some(fields::USER_NAME),
        "hostname" | "host" => Some(fields::HOST_NAME),
        "user_agent" => Some(fields::USER_AGENT),
        _ => None,
    }
}

fn finish(log: &'static str, draft: &mut Draft<'_>) {
    if !draft.has(fields::EVENT_MODULE) {
        draft.name(fields::EVENT_MODULE, "zeek");
    }
    if let Some(dataset) = DATASETS.iter().find(|(known, _)| *known == log) {
        draft.name(fields::EVENT_DATASET, dataset.1);
    }
    let own = |draft: &Draft<'_>, name: &str| draft.named_text(&format!("zeek.{log}.{name}")).unwrap_or_default();
    draft.copy_named(&["zeek.", log, ".uid"], "zeek.session_id");
    let (category, kind, action) = match log {
        "ssh" | "kerberos" | "ntlm" | "rdp" => ("authentication", "start", "login"),
        "http" => ("web", "access", "http_request"),
        "files" | "smb_files" => ("file", "info", "file_seen"),
        "smb_mapping" => ("file", "access", "share_accessed"),
        "smtp" => ("email", "info", "mail_seen"),
        "dhcp" => ("network", "info", "dhcp_lease"),
        "notice" => ("intrusion_detection", "info", "detected"),
        "dns" => ("network", "protocol", "dns_query"),
        "conn" => ("network", "connection", "connection"),
        _ => ("network", "protocol", ""),
    };
    draft.name(fields::EVENT_CATEGORY, category);
    draft.name(fields::EVENT_TYPE, kind);
    if !action.is_empty() {
        draft.name(fields::EVENT_ACTION, action);
    }
    if log == "notice" {
        draft.name(fields::EVENT_KIND, "alert");
    }
    let success = match own(draft, if log == "ssh" { "auth_success" } else { "success" }).as_str() {
        "T" | "true" => "success",
        "F" | "false" => "failure",
        _ => match draft.named_int(fields::HTTP_STATUS) {
            Some(100..400) => "success",
            Some(400..600) => "failure",
            _ => "",
        },
    };
    if !success.is_empty() {
        draft.name(fields::EVENT_OUTCOME, success);
    }
    if let Ok(seconds) = own(draft, "duration").parse::<f64>()
        && log == "conn"
        && (0.0..1e9).contains(&seconds)
    {
        // Zeek gives microseconds behind the point.
        draft.int(fields::EVENT_DURATION, (seconds * 1e6).round() as i64 * 1_000);
    }
    match log {
        "http" => {
            let target = own(draft, "uri");
            if !target.is_empty() {
                put_target(&target, draft);
            }
        }
        "dns" => {
            for answer in draft.named_texts("zeek.dns.answers").iter().flat_map(|answers| answers.split(',')).take(SET_MAX) {
                if let Some(address) = address(answer) {
                    draft.put_ip(fields::DNS_RESOLVED_IP, address);
                }
            }
        }
        // `anna/KREIS.LOCAL`
        "kerberos" => {
            let client = own(draft, "client");
            let (name, realm) = client.split_once('/').unwrap_or((&client, ""));
            draft.str(fields::USER_NAME, name);
            draft.str(fields::USER_DOMAIN, realm);
        }
        "dhcp" if !draft.has(fields::SOURCE_IP) => {
            let assigned = own(draft, "assigned_addr");
            draft.optional(fields::SOURCE_IP, &assigned);
        }
        "files" => {
            for (name, field) in [("tx_hosts", fields::SOURCE_IP), ("rx_hosts", fields::DESTINATION_IP)] {
                let hosts = own(draft, name);
                if let Some(host) = hosts.split(',').find_map(address).filter(|_| !draft.has(field)) {
                    draft.put_ip(field, host);
                }
            }
        }
        _ => {}
    }
}

const DATASETS: &[(&str, &str)] = &[
    ("conn", "zeek.connection"),
    ("dns", "zeek.dns"),
    ("http", "zeek.http"),
    ("ssl", "zeek.ssl"),
    ("ssh", "zeek.ssh"),
    ("files", "zeek.files"),
    ("notice", "zeek.notice"),
    ("weird", "zeek.weird"),
    ("x509", "zeek.x509"),
    ("smtp", "zeek.smtp"),
    ("dhcp", "zeek.dhcp"),
    ("kerberos", "zeek.kerberos"),
    ("ntlm", "zeek.ntlm"),
    ("smb_files", "zeek.smb_files"),
    ("smb_mapping", "zeek.smb_mapping"),
    ("rdp", "zeek.rdp"),
    ("dce_rpc", "zeek.dce_rpc"),
];

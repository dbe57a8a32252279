//! Whose JSON it is, by the names it has, and what those are called in ECS: Suricata's EVE, Zeek, Caddy, Traefik, laurel,
//! Windows events of NXLog and Winlogbeat, Nextcloud. The object's own names stay beside them.

use super::columns::zeek;
use super::draft::Draft;
use super::http_access::put_target;
use super::windows::{self, Dialect};
use crate::fields::{self, FieldId};

struct Product {
    module: &'static str,
    /// Names that all must be there; no other product's objects have them together.
    names: &'static [&'static str],
    fields: &'static [(&'static str, FieldId)],
    /// What the event is, from its fields.
    event: fn(&mut Draft<'_>),
}

const PRODUCTS: &[Product] = &[
    Product {
        module: "suricata",
        names: &["event_type", "src_ip"],
        fields: &[
            ("src_ip", fields::SOURCE_IP),
            ("src_port", fields::SOURCE_PORT),
            ("dest_ip", fields::DESTINATION_IP),
            ("dest_port", fields::DESTINATION_PORT),
            ("in_iface", fields::OBSERVER_INGRESS_INTERFACE),
            ("app_proto", fields::NETWORK_PROTOCOL),
            ("alert.signature_id", fields::RULE_ID),
            ("alert.signature", fields::RULE_NAME),
            ("alert.severity", fields::EVENT_SEVERITY),
            ("http.hostname", fields::URL_DOMAIN),
            ("http.http_method", fields::HTTP_METHOD),
            ("http.status", fields::HTTP_STATUS),
            ("http.http_user_agent", fields::USER_AGENT),
            ("http.http_refer", fields::HTTP_REFERRER),
            ("http.length", fields::HTTP_RESPONSE_BYTES),
            ("dns.rrname", fields::DNS_QUESTION_NAME),
            ("dns.rrtype", fields::DNS_QUESTION_TYPE),
            ("tls.sni", fields::DESTINATION_DOMAIN),
            ("fileinfo.filename", fields::FILE_PATH),
            ("fileinfo.sha256", fields::FILE_HASH_SHA256),
            ("flow.bytes_toserver", fields::SOURCE_BYTES),
            ("flow.bytes_toclient", fields::DESTINATION_BYTES),
            ("flow.pkts_toserver", fields::SOURCE_PACKETS),
            ("flow.pkts_toclient", fields::DESTINATION_PACKETS),
        ],
        event: suricata,
    },
    Product { module: "zeek", names: &["id.orig_h", "id.resp_h"], fields: &[], event: zeek::object },
    Product { module: "zeek", names: &["fuid", "seen_bytes"], fields: &[], event: zeek::object },
    Product { module: "zeek", names: &["certificate.subject", "certificate.issuer"], fields: &[], event: zeek::object },
    Product { module: "zeek", names: &["client_addr", "msg_types"], fields: &[], event: zeek::object },
    Product { module: "zeek", names: &["uids", "msg_types"], fields: &[], event: zeek::object },
    Product {
        module: "caddy",
        names: &["request.client_ip", "request.method", "status"],
        fields: &[
            ("request.client_ip", fields::SOURCE_IP),
            ("request.remote_port", fields::SOURCE_PORT),
            ("request.method", fields::HTTP_METHOD),
            ("request.host", fields::URL_DOMAIN),
            ("request.headers.User-Agent", fields::USER_AGENT),
            ("request.headers.Referer", fields::HTTP_REFERRER),
            ("status", fields::HTTP_STATUS),
            ("size", fields::HTTP_RESPONSE_BYTES),
            ("user_id", fields::USER_NAME),
        ],
        event: caddy,
    },
    Product {
        module: "traefik",
        names: &["ClientHost", "RequestMethod", "DownstreamStatus"],
        fields: &[
            ("ClientHost", fields::SOURCE_IP),
            ("ClientPort", fields::SOURCE_PORT),
            ("ClientUsername", fields::USER_NAME),
            ("RequestMethod", fields::HTTP_METHOD),
            ("RequestHost", fields::URL_DOMAIN),
            ("DownstreamStatus", fields::HTTP_STATUS),
            ("DownstreamContentSize", fields::HTTP_RESPONSE_BYTES),
            ("request_User-Agent", fields::USER_AGENT),
        ],
        event: traefik,
    },
    Product {
        module: "auditd",
        names: &["ID", "SYSCALL.exe"],
        fields: &[
            ("SYSCALL.exe", fields::PROCESS_EXECUTABLE),
            ("SYSCALL.comm", fields::PROCESS_NAME),
            ("SYSCALL.pid", fields::PROCESS_PID),
            ("SYSCALL.ppid", fields::PROCESS_PARENT_PID),
            ("SYSCALL.PPID.exe", fields::PROCESS_PARENT_EXECUTABLE),
            ("SYSCALL.uid", fields::USER_ID),
            ("SYSCALL.UID", fields::USER_NAME),
            ("SYSCALL.key", fields::RULE_NAME),
        ],
        event: laurel,
    },
    Product {
        module: "auditd",
        names: &["ID", "ANOM_ABEND.exe"],
        fields: &[
            ("ANOM_ABEND.exe", fields::PROCESS_EXECUTABLE),
            ("ANOM_ABEND.comm", fields::PROCESS_NAME),
            ("ANOM_ABEND.pid", fields::PROCESS_PID),
            ("ANOM_ABEND.uid", fields::USER_ID),
            ("ANOM_ABEND.UID", fields::USER_NAME),
        ],
        event: |draft| draft.event("process", "process_crashed", "failure"),
    },
    Product {
        module: "windows",
        names: &["winlog.event_id", "winlog.channel"],
        fields: &[],
        event: |draft| windows::shipped(draft, Dialect::Winlogbeat),
    },
    Product { module: "windows", names: &["EventID", "Channel"], fields: &[], event: |draft| windows::shipped(draft, Dialect::Nxlog) },
    Product {
        module: "windows",
        names: &["event_id", "log_name"],
        fields: &[],
        event: |draft| windows::shipped(draft, Dialect::OldWinlogbeat),
    },
    Product {
        module: "windows",
        names: &["Event.System.Channel", "Event.System.Computer"],
        fields: &[],
        event: |draft| windows::shipped(draft, Dialect::Evtx),
    },
    Product {
        module: "nextcloud",
        names: &["reqId", "remoteAddr", "user"],
        fields: &[
            ("remoteAddr", fields::SOURCE_IP),
            ("method", fields::HTTP_METHOD),
            ("userAgent", fields::USER_AGENT),
            ("app", fields::NETWORK_APPLICATION),
        ],
        event: nextcloud,
    },
];

/// Adds ECS' names to an object's fields where its product is known.
pub(super) fn recognise(draft: &mut Draft<'_>) {
    // A shipper that names the product has done this already.
    if draft.has(fields::EVENT_MODULE) && !draft.has_named("winlog.event_id") {
        return;
    }
    let Some(product) = PRODUCTS
        .iter()
        .find(|product| product.names.iter().all(|name| draft.has_named(name) || alias(name).is_some_and(|field| draft.has(field))))
    else {
        return;
    };
    if !draft.has(fields::EVENT_MODULE) {
        draft.name(fields::EVENT_MODULE, product.module);
    }
    for (name, field) in product.fields {
        if !draft.has(*field) {
            draft.copy(name, *field);
        }
    }
    (product.event)(draft);
}

/// Names that `json` has already read as ECS' own.
fn alias(name: &str) -> Option<FieldId> {
    match name {
        "src_ip" => Some(fields::SOURCE_IP),
        "user" => Some(fields::USER_NAME),
        _ => None,
    }
}

fn suricata(draft: &mut Draft<'_>) {
    match draft.named_text("proto").as_deref() {
        Some("TCP") => draft.name(fields::NETWORK_TRANSPORT, "tcp"),
        Some("UDP") => draft.name(fields::NETWORK_TRANSPORT, "udp"),
        Some("ICMP") => draft.name(fields::NETWORK_TRANSPORT, "icmp"),
        _ => draft.copy("proto", fields::NETWORK_TRANSPORT),
    }
    if let Some(target) = draft.named_text("http.url") {
        put_target(&target, draft);
    }
    if draft.named_text("event_type").as_deref() == Some("alert") {
        draft.name(fields::EVENT_KIND, "alert");
        let blocked = draft.named_text("alert.action").as_deref() == Some("blocked");
        draft.event("intrusion_detection", if blocked { "blocked" } else { "detected" }, if blocked { "failure" } else { "" });
    } else {
        network(draft);
    }
}

fn network(draft: &mut Draft<'_>) {
    draft.name(fields::EVENT_CATEGORY, "network");
}

fn access(draft: &mut Draft<'_>) {
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
}

fn caddy(draft: &mut Draft<'_>) {
    if let Some(target) = draft.named_text("request.uri") {
        put_target(&target, draft);
    }
    if let Some(version) = draft.named_text("request.proto") {
        draft.str(fields::HTTP_VERSION, version.strip_prefix("HTTP/").unwrap_or(&version));
    }
    access(draft);
}

fn traefik(draft: &mut Draft<'_>) {
    if let Some(target) = draft.named_text("RequestPath") {
        put_target(&target, draft);
    }
    access(draft);
}

fn laurel(draft: &mut Draft<'_>) {
    let arguments = draft.named_texts("EXECVE.ARGV");
    draft.str(fields::PROCESS_COMMAND_LINE, &arguments.join(" "));
    let outcome = match draft.named_text("SYSCALL.success").as_deref() {
        Some("yes") => "success",
        Some("no") => "failure",
        _ => "",
    };
    let started = matches!(draft.named_text("SYSCALL.SYSCALL").as_deref(), Some("execve" | "execveat"));
    draft.event("process", if started { "process_started" } else { "syscall" }, outcome);
}

fn nextcloud(draft: &mut Draft<'_>) {
    if let Some(target) = draft.named_text("url") {
        put_target(&target, draft);
    }
    let message = draft.message_now();
    if let Some(user) = message.strip_prefix("Login failed: ").map(|rest| rest.split([' ', '\'']).next().unwrap_or_default().to_owned()) {
        draft.event("authentication", "login", "failure");
        if !draft.has(fields::USER_NAME) || draft.text(fields::USER_NAME) == Some("--") {
            draft.replace(fields::USER_NAME, &user);
        }
    } else {
        draft.name(fields::EVENT_CATEGORY, "web");
    }
}

//! Whose JSON it is, by the names it has, and what those are called in ECS: Suricata's EVE, Zeek, Caddy, Traefik, Envoy, laurel,
//! Windows events of NXLog and Winlogbeat, Nextcloud, databases, identity providers. The object's own names stay beside them.

use super::columns::zeek;
use super::draft::Draft;
use super::http_access::put_target;
use super::part::between;
use super::windows::{self, Dialect};
use super::{Look, application, keycloak, modsecurity};
use crate::fields::{self, FieldId};
use crate::syslog::{self, Stamp};

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
    Product {
        module: "mongodb",
        names: &["c", "ctx", "attr.remote"],
        fields: &[("attr.principalName", fields::USER_NAME), ("attr.user", fields::USER_NAME), ("attr.error", fields::EVENT_REASON)],
        event: mongodb,
    },
    Product {
        module: "authentik",
        names: &["auth_via", "client_ip"],
        fields: &[
            ("client_ip", fields::SOURCE_IP),
            ("context.username", fields::USER_NAME),
            ("identifier", fields::USER_NAME),
            ("user.username", fields::USER_NAME),
        ],
        event: authentik,
    },
    Product {
        module: "gitlab",
        names: &["controller", "meta.caller_id"],
        fields: &[
            ("remote_ip", fields::SOURCE_IP),
            ("method", fields::HTTP_METHOD),
            ("ua", fields::USER_AGENT),
            ("status", fields::HTTP_STATUS),
            ("username", fields::USER_NAME),
        ],
        event: gitlab,
    },
    Product {
        module: "gitlab",
        names: &["controller", "correlation_id", "remote_ip"],
        fields: &[
            ("remote_ip", fields::SOURCE_IP),
            ("method", fields::HTTP_METHOD),
            ("ua", fields::USER_AGENT),
            ("status", fields::HTTP_STATUS),
            ("username", fields::USER_NAME),
        ],
        event: gitlab,
    },
    Product {
        module: "grafana",
        names: &["logger", "orgId", "remote_addr"],
        fields: &[("remote_addr", fields::SOURCE_IP), ("uname", fields::USER_NAME), ("error", fields::EVENT_REASON)],
        event: grafana,
    },
    Product {
        module: "envoy",
        names: &["downstream_remote_address", "response_code"],
        fields: &[
            (":authority", fields::URL_DOMAIN),
            ("authority", fields::URL_DOMAIN),
            ("method", fields::HTTP_METHOD),
            ("response_code", fields::HTTP_STATUS),
            ("bytes_sent", fields::HTTP_RESPONSE_BYTES),
            ("user-agent", fields::USER_AGENT),
            ("user_agent", fields::USER_AGENT),
        ],
        event: envoy,
    },
    Product {
        module: "sftpgo",
        names: &["login_type", "sender", "client_ip"],
        fields: &[("client_ip", fields::SOURCE_IP), ("protocol", fields::NETWORK_PROTOCOL), ("error", fields::EVENT_REASON)],
        event: |draft| draft.event("authentication", "login", "failure"),
    },
    Product {
        module: "postgresql",
        names: &["error_severity", "backend_type"],
        fields: &[
            ("remote_host", fields::SOURCE_IP),
            ("remote_port", fields::SOURCE_PORT),
            ("state_code", fields::EVENT_CODE),
            ("error_severity", fields::LOG_LEVEL),
        ],
        event: postgresql,
    },
    Product {
        module: "aws",
        names: &["eventSource", "eventName", "sourceIPAddress"],
        fields: &[
            ("sourceIPAddress", fields::SOURCE_IP),
            ("userIdentity.userName", fields::USER_NAME),
            ("userAgent", fields::USER_AGENT),
            ("errorMessage", fields::EVENT_REASON),
        ],
        event: cloudtrail,
    },
    Product {
        module: "ntfy",
        names: &["visitor_ip", "http_method"],
        fields: &[
            ("visitor_ip", fields::SOURCE_IP),
            ("http_method", fields::HTTP_METHOD),
            ("http_status", fields::HTTP_STATUS),
            ("http_path", fields::URL_ORIGINAL),
            ("user_name", fields::USER_NAME),
        ],
        event: access,
    },
    Product {
        module: "opensearch-dashboards",
        names: &["statusCode", "req.url", "req.method"],
        fields: &[
            ("req.remoteAddress", fields::SOURCE_IP),
            ("req.method", fields::HTTP_METHOD),
            ("req.headers.user-agent", fields::USER_AGENT),
            ("req.headers.host", fields::URL_DOMAIN),
            ("statusCode", fields::HTTP_STATUS),
            ("req.url", fields::URL_ORIGINAL),
        ],
        event: access,
    },
    Product {
        module: "modsecurity",
        names: &["transaction.client_ip", "transaction.unique_id"],
        fields: &[
            ("transaction.client_ip", fields::SOURCE_IP),
            ("transaction.client_port", fields::SOURCE_PORT),
            ("transaction.host_ip", fields::DESTINATION_IP),
            ("transaction.host_port", fields::DESTINATION_PORT),
            ("transaction.request.method", fields::HTTP_METHOD),
            ("transaction.response.http_code", fields::HTTP_STATUS),
            ("transaction.request.headers.User-Agent", fields::USER_AGENT),
            ("transaction.request.headers.Host", fields::URL_DOMAIN),
            ("transaction.messages.details.ruleId", fields::RULE_ID),
            ("transaction.messages.message", fields::RULE_NAME),
        ],
        event: modsecurity_audit,
    },
    Product {
        module: "modsecurity",
        names: &["transaction.remote_address", "transaction.transaction_id"],
        fields: &[
            ("transaction.remote_address", fields::SOURCE_IP),
            ("transaction.remote_port", fields::SOURCE_PORT),
            ("transaction.local_address", fields::DESTINATION_IP),
            ("transaction.local_port", fields::DESTINATION_PORT),
            ("request.headers.User-Agent", fields::USER_AGENT),
            ("request.headers.Host", fields::URL_DOMAIN),
            ("response.status", fields::HTTP_STATUS),
        ],
        event: modsecurity_audit,
    },
];

/// What a message without a program may still plainly be: a login event of Keycloak, an alert of Coraza, or one of the
/// applications' sentences.
pub(super) fn said(text: &str, draft: &mut Draft<'_>) {
    let look = Look { app: "", tag: "", text };
    if text.contains("Coraza: ") {
        if let Some((client, _)) = between(text, "[client \"", "\"") {
            draft.source(client);
        }
        draft.name(fields::EVENT_MODULE, "caddy");
        draft.name(fields::EVENT_CATEGORY, "intrusion_detection");
        modsecurity::put(text, draft);
        draft.decoder = "modsecurity";
    } else if text.starts_with("type=") && text.contains("realmId=") {
        if keycloak::decode(&look, draft) {
            draft.decoder = "keycloak";
        }
    } else if application::first_look(&look) && application::decode(&look, draft) {
        draft.decoder = "application";
        // The object names the address beside its sentence.
        for name in ["remote_ip", "client_ip", "remote_addr", "ip"] {
            if !draft.has(fields::SOURCE_IP)
                && let Some(peer) = draft.named_text(name)
            {
                draft.source_endpoint(&peer);
            }
        }
    }
}

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
    // `1773471598.123:4711`: when the kernel said it, whatever time a shipper put beside it.
    let id = draft.named_text("ID").unwrap_or_default();
    if let Some(at) = id.split_once(':').and_then(|(at, _)| syslog::epoch_text(at)) {
        draft.stamp = Stamp::Moment(at);
    }
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

/// `attr.remote` is `address:port`.
fn mongodb(draft: &mut Draft<'_>) {
    if let Some(remote) = draft.named_text("attr.remote") {
        draft.source_endpoint(&remote);
    }
    let message = draft.message_now();
    match message.as_str() {
        "Authentication failed" => draft.event("authentication", "database_login", "failure"),
        "Authentication succeeded" | "Successfully authenticated" => draft.event("authentication", "database_login", "success"),
        "Connection accepted" => draft.event("network", "connection", ""),
        "Connection ended" => draft.event("network", "connection_ended", ""),
        _ => draft.name(fields::EVENT_CATEGORY, "database"),
    }
}

fn authentik(draft: &mut Draft<'_>) {
    match draft.named_text("action").as_deref() {
        Some("login") => draft.event("authentication", "login", "success"),
        Some("login_failed" | "invalid_identifier" | "invalid_login") => draft.event("authentication", "login", "failure"),
        Some("logout") => draft.event("authentication", "logout", "success"),
        _ => draft.name(fields::EVENT_CATEGORY, "web"),
    }
}

/// Grafana's sentences are those of `application`; only the form is other.
fn grafana(draft: &mut Draft<'_>) {
    let failed = |text: String| text.contains("Invalid username or password") || text.contains("[password-auth.failed]");
    if ["msg", "error"].iter().any(|name| draft.named_text(name).is_some_and(failed)) {
        draft.event("authentication", "login", "failure");
    }
}

/// GitLab names a login's account in its parameters: `params.value.login`, or a `params.key` of `username` and its `params.value`.
fn gitlab(draft: &mut Draft<'_>) {
    if let Some(target) = draft.named_text("path") {
        put_target(&target, draft);
    }
    let values = draft.named_texts("params.value");
    let keys = draft.named_texts("params.key");
    let at = keys.iter().position(|key| key == "username").filter(|_| keys.len() == values.len());
    let user = draft.named_text("params.value.login").or_else(|| at.and_then(|at| values.into_iter().nth(at)));
    if let Some(user) = user.filter(|_| !draft.has(fields::USER_NAME)) {
        draft.str(fields::USER_NAME, &user);
    }
    let controller = draft.named_text("controller").unwrap_or_default();
    let action = draft.named_text("action").unwrap_or_default();
    match (controller.as_str(), action.as_str()) {
        ("OmniauthCallbacksController", "failure") => draft.event("authentication", "login", "failure"),
        ("SessionsController", "create") => {
            // A login that worked sends the browser on; one that failed shows the form again.
            let outcome = if draft.named_int(fields::HTTP_STATUS) == Some(302) { "success" } else { "failure" };
            draft.event("authentication", "login", outcome);
        }
        _ => access(draft),
    }
}

fn envoy(draft: &mut Draft<'_>) {
    for (name, is_source) in [("downstream_remote_address", true), ("upstream_host", false)] {
        match draft.named_text(name) {
            Some(peer) if is_source => draft.source_endpoint(&peer),
            Some(peer) => draft.destination_endpoint(&peer),
            None => {}
        }
    }
    if let Some(target) = draft.named_text("x-envoy-origin-path").or_else(|| draft.named_text("path")) {
        put_target(&target, draft);
    }
    if let Some(version) = draft.named_text("protocol") {
        draft.str(fields::HTTP_VERSION, version.strip_prefix("HTTP/").unwrap_or(&version));
    }
    access(draft);
}

/// PostgreSQL's `jsonlog`.
fn postgresql(draft: &mut Draft<'_>) {
    let code = draft.named_text("state_code").unwrap_or_default();
    let message = draft.message_now();
    if matches!(code.as_str(), "28P01" | "28000") {
        draft.event("authentication", "database_login", "failure");
        draft.str(fields::EVENT_REASON, &message);
    } else if message.starts_with("connection authorized: ") {
        draft.event("authentication", "database_login", "success");
    } else {
        draft.name(fields::EVENT_CATEGORY, "database");
    }
}

fn cloudtrail(draft: &mut Draft<'_>) {
    let login = draft.named_text("eventName").as_deref() == Some("ConsoleLogin");
    let failed = draft.named_text("responseElements.ConsoleLogin").as_deref() == Some("Failure")
        || draft.has_named("errorCode")
        || draft.has_named("errorMessage");
    let outcome = if failed { "failure" } else { "success" };
    if login {
        draft.event("authentication", "login", outcome);
    } else {
        draft.name(fields::EVENT_CATEGORY, "configuration");
        draft.name(fields::EVENT_OUTCOME, outcome);
        draft.copy("eventName", fields::EVENT_ACTION);
    }
}

/// ModSecurity's audit log as JSON, of version 3 (all below `transaction`) and of version 2.
fn modsecurity_audit(draft: &mut Draft<'_>) {
    let line = draft.named_text("request.request_line");
    if let Some((method, target)) = line.as_deref().and_then(|line| line.split_once(' ')) {
        draft.str(fields::HTTP_METHOD, method);
        put_target(target.rsplit_once(" HTTP/").map_or(target, |(target, _)| target), draft);
    } else if let Some(target) = draft.named_text("transaction.request.uri") {
        put_target(&target, draft);
    }
    if let Some(message) = draft.named_text("audit_data.messages").filter(|_| !draft.has(fields::RULE_ID)) {
        modsecurity::put(&message, draft);
    } else {
        let denied = draft.named_int(fields::HTTP_STATUS) == Some(403);
        draft.name(fields::EVENT_DATASET, "modsecurity");
        draft.name(fields::EVENT_ACTION, if denied { "blocked" } else { "detected" });
        draft.name(fields::EVENT_OUTCOME, if denied { "failure" } else { "unknown" });
    }
    draft.name(fields::EVENT_CATEGORY, "intrusion_detection");
}

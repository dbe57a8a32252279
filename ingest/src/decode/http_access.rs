//! Requests to web servers: the common and combined log format (Apache, nginx, Traefik, Caddy's `format transform`,
//! lighttpd), with a virtual host before it or not; HAProxy's HTTP log; nginx proxy manager's own order. And nginx'
//! error log. A request line is the client's text: it is taken apart from both ends, never trusted.

use super::Look;
use super::draft::Draft;
use super::part::{between, bracketed, is_number, quoted, some, word};
use crate::event::Defect;
use crate::fields;
use crate::syslog;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    let text = look.text.as_bytes();
    let bracket = memchr::memchr(b'[', text.get(..200).unwrap_or(text)).is_some();
    bracket
        && (text.contains(&b'"')
            || text.starts_with(b"[")
            || matches!(look.app, "haproxy" | "nginx")
            || look.text.contains("[error]")
            || look.text.contains("[client: "))
        || look.app == "haproxy"
        || look.app.is_empty() && look.text.contains(" - \"")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    common(look, draft)
        || haproxy(look, draft)
        || proxy_manager(look, draft)
        || nginx_error(look, draft)
        || envoy(look.text, draft)
        || time_first(look.text, draft)
        || zoraxy(look.text, draft)
        || uvicorn(look.text, draft)
        || couchdb(look.text, draft)
}

/// `[vhost[:port] ]client ident user [time] "request" status bytes ["referer" "agent"] …`
fn common(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((before, rest)) = look.text.split_once(" [") else { return false };
    let Some((time, rest)) = rest.split_once("] ") else { return false };
    let Some(stamp) = syslog::day_first_stamp(time).or_else(|| month_first_stamp(time)) else { return false };
    let words: Vec<&str> = before.split(' ').filter(|word| !word.is_empty()).take(6).collect();
    let (vhost, client, user) = match *words.as_slice() {
        [client, _, user] => ("", client, user),
        [vhost, client, _, user] => (vhost, client, user),
        // BunkerWeb has a request's number between.
        [vhost, client, user, _, "-"] => (vhost, client, user),
        _ => return false,
    };
    let Some((request, rest)) = quoted(rest) else { return false };
    let Some((status, rest)) = word(rest) else { return false };
    if !is_number(status) {
        return false;
    }
    let (bytes, rest) = word(rest).unwrap_or(("", ""));
    draft.stamp = stamp;
    access(draft, module(look.app));
    draft.source(client);
    draft.str(fields::USER_NAME, some(user));
    put_host(vhost, draft);
    put_request(request, draft);
    put_status(status, draft);
    draft.optional(fields::HTTP_RESPONSE_BYTES, bytes);
    if let Some((referrer, rest)) = quoted(rest) {
        draft.str(fields::HTTP_REFERRER, some(referrer));
        if let Some((agent, _)) = quoted(rest) {
            draft.str(fields::USER_AGENT, some(agent));
        }
    }
    true
}

/// cPanel: `06/10/2021:11:19:31 -0000`, the month first.
fn month_first_stamp(text: &str) -> Option<syslog::Stamp> {
    let (day, clock) = text.split_once(':')?;
    let mut parts = day.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (clock, zone) = clock.split_once(' ')?;
    syslog::whole_stamp(&format!("{year}-{month}-{day}T{clock}{zone}"))
}

/// Envoy's own format, behind a container runtime's prefix or not: `[2026-03-14T07:00:00.310Z] "POST /x HTTP/2" 204 - 154 0 226 100
/// "203.0.113.9" "agent" "request id" "authority" "192.0.2.1:80"`
fn envoy(text: &str, draft: &mut Draft<'_>) -> bool {
    let text = text.find(" F [20").and_then(|at| text.get(at + 3..)).unwrap_or(text);
    let Some((time, rest)) = bracketed(text) else { return false };
    let Some(stamp @ syslog::Stamp::Moment(_)) = syslog::whole_stamp(time) else { return false };
    let Some((request, rest)) = quoted(rest) else { return false };
    let Some((numbers, rest)) = rest.split_once(" \"") else { return false };
    let mut words = numbers.split(' ');
    let Some(status) = words.next().filter(|status| is_number(status)) else { return false };
    let (flags, _, sent) = (words.next().unwrap_or_default(), words.next(), words.next().unwrap_or_default());
    draft.stamp = stamp;
    access(draft, "envoy");
    put_request(request, draft);
    put_status(status, draft);
    draft.vendor("envoy", "response_flags", some(flags));
    draft.optional(fields::HTTP_RESPONSE_BYTES, sent);
    let mut parts = rest.split("\" \"").map(|part| part.trim_end_matches('"'));
    let mut next = || some(parts.next().unwrap_or_default());
    let (forwarded, agent, _, authority, upstream) = (next(), next(), next(), next(), next());
    // The first of the addresses is the client.
    let client = forwarded.split(',').next().unwrap_or_default();
    if !client.is_empty() {
        draft.source(client);
    }
    draft.str(fields::USER_AGENT, agent);
    put_host(authority, draft);
    if !upstream.is_empty() {
        draft.destination_endpoint(upstream);
    }
    true
}

/// `[14/Mar/2026:08:00:00 +0100] host 203.0.113.9 0.227 "GET / HTTP/2.0" 207 125 440 - Mozilla/5.0 …`
fn time_first(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((time, rest)) = bracketed(text) else { return false };
    let Some(stamp) = syslog::day_first_stamp(time) else { return false };
    let Some((before, _)) = rest.split_once(" \"") else { return false };
    let mut words = before.split(' ');
    let (Some(host), Some(client), Some(_), None) = (words.next(), words.next(), words.next(), words.next()) else { return false };
    if super::draft::address(client).is_none() {
        return false;
    }
    let Some((request, rest)) = rest.get(before.len() + 1..).and_then(quoted) else { return false };
    let Some((status, rest)) = word(rest).filter(|(status, _)| is_number(status)) else { return false };
    draft.stamp = stamp;
    access(draft, "nginx");
    draft.source(client);
    put_host(host, draft);
    put_request(request, draft);
    put_status(status, draft);
    let mut words = rest.splitn(4, ' ');
    draft.optional(fields::HTTP_RESPONSE_BYTES, words.next().unwrap_or_default());
    let (_, referrer, agent) = (words.next(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
    draft.str(fields::HTTP_REFERRER, some(referrer));
    draft.str(fields::USER_AGENT, some(agent));
    true
}

/// Zoraxy: `… [router:host-http] [origin:example.net] [client: 203.0.113.9] [useragent: Mozilla/5.0 …] GET /x 404`
fn zoraxy(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((origin, rest)) = between(text, "[origin:", "]") else { return false };
    let Some((client, rest)) = between(rest, "[client: ", "]") else { return false };
    let Some((agent, request)) = rest.split_once("[useragent: ").and_then(|(_, rest)| rest.rsplit_once("] ")) else { return false };
    let Some((request, status)) = request.rsplit_once(' ').filter(|(_, status)| is_number(status)) else { return false };
    access(draft, "zoraxy");
    draft.source(client);
    put_host(origin, draft);
    put_request(request, draft);
    put_status(status, draft);
    draft.str(fields::USER_AGENT, some(agent));
    true
}

/// uvicorn (Python): `203.0.113.9:4711 - "POST /api HTTP/1.1" 401 Unauthorized`, `[203.0.113.9:4711] 401 Unauthorized "POST /api HTTP/1.1"`
fn uvicorn(text: &str, draft: &mut Draft<'_>) -> bool {
    let (client, request, status) = if let Some((before, rest)) = text.split_once(" - \"") {
        let Some((request, status)) = rest.split_once("\" ") else { return false };
        (before.rsplit(' ').next().unwrap_or_default(), request, status)
    } else {
        let Some((before, rest)) = text.split_once(" \"") else { return false };
        let Some((client, status)) = before.rsplit_once('[').and_then(|(_, rest)| rest.split_once("] ")) else { return false };
        (client, rest.trim_end_matches('"'), status)
    };
    let status = status.split(' ').next().unwrap_or_default();
    if status.len() != 3 || !is_number(status) || super::draft::address(super::part::host_port(client).0).is_none() {
        return false;
    }
    access(draft, "web");
    draft.source_endpoint(client);
    put_request(request, draft);
    put_status(status, draft);
    true
}

/// CouchDB: `[notice] 2026-03-14T08:00:00.123456Z node@host <0.17607.12> e1fed412f8 example.net 203.0.113.9 anna GET /x 404 ok 1`
fn couchdb(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((_, rest)) = bracketed(text) else { return false };
    let words: Vec<&str> = rest.split(' ').take(12).collect();
    let [time, node, process, _, host, client, user, method, target, status, ..] = *words.as_slice() else { return false };
    let Some(stamp) = syslog::whole_stamp(time).filter(|_| node.contains('@') && process.starts_with('<') && is_number(status)) else {
        return false;
    };
    draft.stamp = stamp;
    access(draft, "couchdb");
    draft.source(client);
    draft.str(fields::USER_NAME, if user == "undefined" { "" } else { user });
    put_host(host, draft);
    draft.str(fields::HTTP_METHOD, method);
    put_target(target, draft);
    put_status(status, draft);
    true
}

fn module(app: &str) -> &'static str {
    match app {
        "nginx" => "nginx",
        "traefik" => "traefik",
        "caddy" => "caddy",
        "apache2" | "httpd" | "apache" => "apache",
        _ => "web",
    }
}

fn access(draft: &mut Draft<'_>, module: &'static str) {
    draft.name(fields::EVENT_MODULE, module);
    draft.name(fields::EVENT_CATEGORY, "web");
    draft.name(fields::EVENT_TYPE, "access");
    draft.name(fields::EVENT_ACTION, "http_request");
}

fn put_host(host: &str, draft: &mut Draft<'_>) {
    let (name, port) = super::part::host_port(host);
    draft.str(fields::URL_DOMAIN, some(name));
    draft.optional(fields::DESTINATION_PORT, port);
}

/// 1xx-3xx succeeded; 4xx and 5xx failed.
fn put_status(status: &str, draft: &mut Draft<'_>) {
    draft.number(fields::HTTP_STATUS, status);
    match status.parse::<u16>() {
        Ok(100..400) => draft.name(fields::EVENT_OUTCOME, "success"),
        Ok(400..600) => draft.name(fields::EVENT_OUTCOME, "failure"),
        _ => {}
    }
}

/// `GET /path?query HTTP/1.1`. What is no request line is kept as it is, with a defect.
pub(super) fn put_request(request: &str, draft: &mut Draft<'_>) {
    let (method, rest) = request.split_once(' ').unwrap_or((request, ""));
    let (target, version) = rest.rsplit_once(" HTTP/").unwrap_or((rest, ""));
    let sound = !method.is_empty()
        && method.len() <= 20
        && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        && !rest.is_empty();
    if !sound {
        if !some(request).is_empty() {
            draft.defects.add(Defect::BadField);
            draft.str(fields::URL_ORIGINAL, request);
        }
        return;
    }
    draft.str(fields::HTTP_METHOD, method);
    draft.str(fields::HTTP_VERSION, version);
    put_target(target, draft);
}

/// A request's target: a path, or a whole URL as proxies get it.
pub(super) fn put_target(target: &str, draft: &mut Draft<'_>) {
    draft.str(fields::URL_ORIGINAL, target);
    let behind_scheme = target.split_once("://").map(|(_, rest)| rest);
    let path = match behind_scheme {
        Some(rest) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => target,
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    draft.str(fields::URL_PATH, path);
    draft.str(fields::URL_QUERY, query);
}

/// `client:port [time] frontend backend/server Tq/Tw/Tc/Tr/Tt status bytes - - ---- 1/1/1/1/0 0/0 {…} "request"`
/// (HAProxy's configuration manual, 8.2.3), and its connection errors.
fn haproxy(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    if look.app != "haproxy" {
        return false;
    }
    let Some((client, rest)) = word(look.text) else { return false };
    let Some((time, rest)) = bracketed(rest) else { return haproxy_health(look.text, draft) };
    let Some(stamp) = syslog::day_first_stamp(time) else { return haproxy_health(look.text, draft) };
    draft.name(fields::EVENT_MODULE, "haproxy");
    draft.source_endpoint(client);
    if !matches!(draft.stamp, syslog::Stamp::Moment(_)) {
        draft.stamp = stamp;
    }
    let Some((frontend, rest)) = word(rest) else { return true };
    draft.vendor("haproxy", "frontend_name", frontend.trim_end_matches(['~', ':']));
    let Some(((backend, server), rest)) = word(rest).and_then(|(word, rest)| Some((word.split_once('/')?, rest))) else {
        draft.event("network", "connection_error", "failure");
        draft.str(fields::EVENT_REASON, rest.trim_start_matches([':', ' ']));
        return true;
    };
    draft.vendor("haproxy", "backend_name", backend);
    draft.vendor("haproxy", "server_name", server);
    let Some((timers, rest)) = word(rest) else { return true };
    draft.vendor("haproxy", "timers", timers);
    let Some((status, rest)) = word(rest) else { return true };
    let Some((at, _)) = rest.char_indices().find(|(_, char)| *char == '"') else {
        draft.event("network", "connection", "");
        draft.optional(fields::NETWORK_BYTES, status);
        return true;
    };
    draft.name(fields::EVENT_CATEGORY, "web");
    draft.name(fields::EVENT_TYPE, "access");
    draft.name(fields::EVENT_ACTION, "http_request");
    if is_number(status) {
        put_status(status, draft);
    }
    if let Some((bytes, rest)) = word(rest) {
        draft.optional(fields::HTTP_RESPONSE_BYTES, bytes.trim_start_matches('+'));
        if let Some((_, rest)) = word(rest)
            && let Some((_, rest)) = word(rest)
            && let Some((state, _)) = word(rest)
        {
            draft.vendor("haproxy", "termination_state", state);
        }
    }
    if let Some((request, _)) = rest.get(at..).and_then(quoted) {
        put_request(request, draft);
    }
    true
}

/// `Server back/web-1 is DOWN, reason: Layer4 connection problem, …`, `backend back has no server available!`
fn haproxy_health(text: &str, draft: &mut Draft<'_>) -> bool {
    let (backend, server, action, reason) =
        if let Some((name, rest)) = text.strip_prefix("Server ").and_then(|rest| rest.split_once(" is ")) {
            let (backend, server) = name.split_once('/').unwrap_or((name, ""));
            let action = if rest.starts_with("UP") { "server_up" } else { "server_down" };
            (backend, server, action, rest.split_once("reason: ").map_or("", |(_, reason)| reason))
        } else if let Some(backend) = text.strip_prefix("backend ").and_then(|rest| rest.strip_suffix(" has no server available!")) {
            (backend, "", "backend_down", "no server available")
        } else {
            return false;
        };
    draft.name(fields::EVENT_MODULE, "haproxy");
    draft.event("host", action, if action == "server_up" { "success" } else { "failure" });
    draft.vendor("haproxy", "backend_name", backend);
    draft.vendor("haproxy", "server_name", server);
    draft.str(fields::EVENT_REASON, reason);
    true
}

/// `[time] [cache] [upstream-status] status - GET https host "/path" [Client 192.0.2.1] [Length 1] [Gzip -] [Sent-to x] "agent" "referer"`
fn proxy_manager(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((time, rest)) = bracketed(look.text) else { return false };
    let Some(stamp) = syslog::day_first_stamp(time) else { return false };
    let Some((before, target)) = rest.split_once('"') else { return false };
    let Some((client, behind)) = between(target, "[Client ", "]") else { return false };
    let words: Vec<&str> = before.split_ascii_whitespace().collect();
    let [.., status, "-", method, scheme, host] = *words.as_slice() else { return false };
    draft.stamp = stamp;
    access(draft, "nginx");
    draft.source(client);
    draft.str(fields::HTTP_METHOD, method);
    draft.vendor("url", "scheme", scheme);
    draft.str(fields::URL_DOMAIN, host);
    put_target(target.split_once('"').map_or(target, |(target, _)| target), draft);
    if is_number(status) {
        put_status(status, draft);
    }
    if let Some((length, _)) = between(behind, "[Length ", "]") {
        draft.optional(fields::HTTP_RESPONSE_BYTES, length);
    }
    if let Some((sent_to, _)) = between(behind, "[Sent-to ", "]") {
        draft.destination_endpoint(sent_to);
    }
    if let Some((agent, rest)) = behind.find('"').and_then(|at| behind.get(at..)).and_then(quoted) {
        draft.str(fields::USER_AGENT, some(agent));
        if let Some((referrer, _)) = quoted(rest) {
            draft.str(fields::HTTP_REFERRER, some(referrer));
        }
    }
    true
}

/// `2026/03/14 08:00:00 [error] 24537#230441: *914 what happened, client: …, server: …, request: "…", host: "…"`
fn nginx_error(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((time, rest)) = look.text.split_once(" [").or_else(|| look.text.strip_prefix('[').map(|rest| ("", rest))) else {
        return false;
    };
    let Some((level, rest)) = rest.split_once("] ") else { return false };
    let levels = ["debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"];
    let Some((process, text)) = rest.split_once(": ") else { return false };
    let Some((pid, _)) = process.split_once('#').filter(|(pid, tid)| is_number(pid) && is_number(tid)) else { return false };
    // The header's parser has taken the time away where it took it for a header's.
    let stamp = if time.is_empty() { None } else { syslog::whole_stamp(time) };
    if !levels.contains(&level) || (stamp.is_none() && !time.is_empty()) {
        return false;
    }
    draft.name(fields::EVENT_MODULE, "nginx");
    if let (Some(stamp), syslog::Stamp::Absent) = (stamp, draft.stamp) {
        draft.stamp = stamp;
    }
    if !draft.has(fields::LOG_LEVEL) {
        draft.str(fields::LOG_LEVEL, level);
    }
    if !draft.has(fields::PROCESS_PID) {
        draft.number(fields::PROCESS_PID, pid);
    }
    let text = text.strip_prefix('*').and_then(|text| text.split_once(' ')).map_or(text, |(_, text)| text);
    // What happened may name a path, decoded and as the client wanted it; what the server says of the client follows it. Behind
    // that stands only what a header may forge: the referrer, which is last.
    let own = text.split_once("\", referrer: \"").map_or(text, |(own, _)| own);
    let at = own.rfind(", client: ").or_else(|| text.rfind(", client: "));
    let (what, about) = at.and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""));
    if what.contains(", client: ") {
        // Two of them: one is somebody's.
        draft.defects.add(Defect::BadKeyValue);
    }
    if let Some((client, _)) = between(about, ", client: ", ",").or_else(|| about.strip_prefix(", client: ").map(|client| (client, ""))) {
        draft.source(client);
    }
    if let Some((request, _)) = about.find("request: \"").and_then(|at| about.get(at + "request: ".len()..)).and_then(quoted) {
        put_request(request, draft);
    }
    if let Some((host, _)) = about.find("host: \"").and_then(|at| about.get(at + "host: ".len()..)).and_then(quoted) {
        put_host(host, draft);
    }
    let user = what.strip_prefix("user \"").and_then(|rest| rest.split_once('"'));
    // A PHP application's word on a failed login; nginx' mail proxy names it behind `login: `.
    let told = between(what, "PHP message: Failed login for ", "\"").map(|(user, _)| user);
    let mail = what.starts_with("client login failed: ").then(|| between(about, "login: \"", "\"").map_or("", |(user, _)| user));
    match user {
        _ if told.is_some() || mail.is_some() => {
            draft.event("authentication", if mail.is_some() { "mail_login" } else { "http_login" }, "failure");
            draft.str(fields::USER_NAME, told.or(mail).unwrap_or_default());
            draft.str(fields::EVENT_REASON, what);
        }
        Some((user, why)) if why.contains("password mismatch") || why.contains("was not found") => {
            draft.event("authentication", "http_login", "failure");
            draft.str(fields::USER_NAME, user);
            draft.str(fields::EVENT_REASON, why.trim_start_matches([':', ' ']));
        }
        _ if what.contains("ModSecurity:") => {
            draft.name(fields::EVENT_CATEGORY, "intrusion_detection");
            super::modsecurity::put(what, draft);
        }
        _ => {
            draft.event("web", "http_error", "failure");
            draft.str(fields::EVENT_REASON, what);
        }
    }
    true
}

//! OpenSSH's server. One login attempt is one `ssh_login`; what surrounds it (invalid user, disconnect,
//! negotiation) has actions of its own. User names are the attacker's text: addresses are read from the right.

use super::Look;
use super::draft::{Draft, address};
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.app.starts_with("sshd") || matches!(look.app, "internal-sftp" | "sftp-server")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    draft.name(fields::EVENT_MODULE, "sshd");
    let (text, preauth) = look.text.trim_end().strip_suffix(" [preauth]").map_or((look.text, false), |text| (text, true));
    let text = ["error: ", "fatal: ", "info: "].iter().fold(text.trim(), |text, prefix| text.strip_prefix(prefix).unwrap_or(text));
    if preauth {
        draft.vendor("sshd", "phase", "preauth");
    }
    if let Some(read) = read(text) {
        draft.name(fields::EVENT_CATEGORY, read.category);
        draft.name(fields::EVENT_ACTION, read.action);
        if !read.outcome.is_empty() {
            draft.name(fields::EVENT_OUTCOME, read.outcome);
        }
        draft.str(fields::EVENT_REASON, read.reason);
        draft.vendor("sshd", "method", read.method);
        draft.str(fields::USER_NAME, read.user);
        if let Some(from) = read.from {
            draft.source(from.host);
            if !from.port.is_empty() {
                draft.number(fields::SOURCE_PORT, from.port);
            }
        }
        draft.str(fields::SOURCE_DOMAIN, read.domain);
    }
    true
}

#[derive(Default)]
struct Read<'t> {
    category: &'static str,
    action: &'static str,
    outcome: &'static str,
    reason: &'t str,
    method: &'t str,
    user: &'t str,
    from: Option<Endpoint<'t>>,
    domain: &'t str,
}

#[derive(Clone, Copy, Default)]
struct Endpoint<'t> {
    host: &'t str,
    port: &'t str,
    tail: &'t str,
}

const INVALID_USER: &str = "invalid user";

/// What sshd says, by its first words. Openings and forms after OpenSSH's auth.c, auth2.c, packet.c and sshd.c.
fn read(text: &str) -> Option<Read<'_>> {
    let login = Read { category: "authentication", action: "ssh_login", ..Read::default() };
    let network = Read { category: "network", ..Read::default() };
    let (word, rest) = text.split_once(' ')?;
    match word {
        "Failed" => attempt(rest, Read { outcome: "failure", ..login }),
        "Accepted" => attempt(rest, Read { outcome: "success", ..login }),
        // One of several factors: neither in nor out yet.
        "Postponed" => attempt(rest, Read { action: "ssh_login_postponed", ..login }),
        "Partial" => attempt(rest, Read { action: "ssh_login_partial", ..login }),
        "Invalid" | "Illegal" => {
            let (user, from) = user_from(rest.strip_prefix("user")?);
            Some(Read { action: "ssh_invalid_user", outcome: "failure", reason: INVALID_USER, user: user.trim(), from, ..login })
        }
        "input_userauth_request:" => {
            let user = rest.strip_prefix("invalid user ")?;
            Some(Read { action: "ssh_userauth_request", outcome: "failure", reason: INVALID_USER, user, ..login })
        }
        "User" => {
            let (who, why) = rest.split_once(" not allowed because ")?;
            let (user, from) = user_from(who);
            Some(Read { action: "ssh_user_denied", outcome: "failure", reason: why, user: user.trim(), from, ..login })
        }
        "ROOT" => {
            let from = Some(endpoint(rest.strip_prefix("LOGIN REFUSED FROM ")?)?);
            Some(Read { action: "ssh_user_denied", outcome: "failure", reason: "root login refused", user: "root", from, ..login })
        }
        "PAM:" => {
            let (why, who) = rest.split_once(" for ")?;
            let (user, from) = user_from(without_invalid(who).0);
            Some(Read { action: "pam_authentication", outcome: "failure", reason: why, user: user.trim(), from, ..login })
        }
        "maximum" => {
            let who = rest.strip_prefix("authentication attempts exceeded for ")?;
            let (user, from) = user_from(without_invalid(who).0);
            Some(Read { action: "ssh_max_attempts", outcome: "failure", reason: "too many attempts", user: user.trim(), from, ..login })
        }
        "Disconnecting:" | "Disconnecting" => {
            let (who, why) = rest.split_once(": ").unwrap_or((rest, rest));
            let read = if why == rest { Read::default() } else { peer(who, Read::default())? };
            let many = why.starts_with("Too many authentication failures");
            let user = why.strip_prefix("Too many authentication failures for ").unwrap_or(read.user);
            let (action, outcome) = if many { ("ssh_max_attempts", "failure") } else { ("ssh_disconnect", "") };
            Some(Read { category: login.category, action, outcome, reason: why, user: without_invalid(user).0, ..read })
        }
        "Connection" => connection(rest, network),
        "Disconnected" => peer(rest.strip_prefix("from ")?, Read { action: "ssh_disconnect", ..network }),
        "Received" => {
            let from = endpoint(rest.strip_prefix("disconnect from ")?)?;
            Some(Read { action: "ssh_disconnect", reason: from.tail.trim_start_matches([':', ' ']), from: Some(from), ..network })
        }
        "Did" => {
            let from = endpoint(rest.strip_prefix("not receive identification string from ")?)?;
            Some(Read { action: "ssh_no_identification", from: Some(from), ..network })
        }
        "Bad" => {
            let (text, from) = user_from(rest.strip_prefix("protocol version identification ")?);
            Some(Read { action: "ssh_bad_protocol", reason: text, from, ..network })
        }
        "Unable" => {
            let from = endpoint(rest.strip_prefix("to negotiate with ")?)?;
            let reason = from.tail.trim_start_matches([':', ' ']);
            Some(Read { action: "ssh_negotiation_failed", outcome: "failure", reason, from: Some(from), ..network })
        }
        "Timeout" => {
            let who = rest.strip_prefix("before authentication for ")?;
            let from = endpoint(who.strip_prefix("connection from ").unwrap_or(who))?;
            Some(Read { action: "ssh_timeout", outcome: "failure", from: Some(from), ..login })
        }
        "Starting" => {
            let (_, who) = rest.strip_prefix("session: ")?.split_once(" for ")?;
            let (user, from) = user_from(who);
            Some(Read { category: "session", action: "session_opened", outcome: "success", user, from, ..Read::default() })
        }
        "Close" => {
            let (user, from) = user_from(rest.strip_prefix("session: user ")?);
            Some(Read { category: "session", action: "session_closed", outcome: "success", user, from, ..Read::default() })
        }
        "reverse" => {
            let (name, rest) = rest.strip_prefix("mapping checking getaddrinfo for ")?.split_once(" [")?;
            let from = Endpoint { host: rest.split_once(']')?.0, ..Endpoint::default() };
            Some(Read { action: "ssh_reverse_mapping_failed", outcome: "failure", domain: name, from: Some(from), ..network })
        }
        "Address" => {
            let (host, rest) = rest.split_once(" maps to ")?;
            let from = Some(Endpoint { host, ..Endpoint::default() });
            Some(Read { action: "ssh_reverse_mapping_failed", outcome: "failure", domain: rest.split_once(',')?.0, from, ..network })
        }
        "ssh_dispatch_run_fatal:" | "banner" | "kex_exchange_identification:" => {
            let error = Read { action: "ssh_protocol_error", ..network };
            // `kex_exchange_identification: client sent invalid protocol identifier "GET / HTTP/1.1"` names nobody.
            let Some((_, from)) = rest.split_once("Connection from ") else { return Some(Read { reason: rest, ..error }) };
            // `Connection from authenticating user root 192.0.2.1 port 22: message authentication code incorrect`
            if let Some((who, why)) = from.split_once(": ").filter(|(who, _)| who.contains("user ")) {
                return Some(Read { reason: why, ..peer(who, error)? });
            }
            let from = endpoint(from)?;
            Some(Read { reason: from.tail.trim_start_matches([':', ' ']), from: Some(from), ..error })
        }
        // `drop connection #10 from [192.0.2.1]:4711 on [198.51.100.1]:22 past MaxStartups`, `… penalty: failed authentication`
        "drop" => {
            let (from, rest) = rest.split_once(" from ")?.1.split_once(" on ")?;
            let from = Some(bracketed_endpoint(from)?);
            Some(Read { action: "ssh_connection_dropped", outcome: "failure", reason: rest.split_once(' ')?.1, from, ..network })
        }
        "beginning" | "exited" if rest.contains("MaxStartups") => Some(Read { action: "ssh_throttling", reason: text, ..network }),
        "refused" => {
            let (name, rest) = rest.strip_prefix("connect from ")?.split_once(" (")?;
            let from = Some(Endpoint { host: rest.trim_end_matches(')'), ..Endpoint::default() });
            Some(Read {
                action: "ssh_connection_refused",
                outcome: "failure",
                domain: if address(name).is_some() { "" } else { name },
                from,
                ..network
            })
        }
        "Read" => {
            let who = rest.strip_prefix("error from remote host ")?;
            let (who, why) = who.split_once(": ").unwrap_or((who, ""));
            Some(Read { reason: why, ..peer(who, Read { action: "ssh_connection_reset", ..network })? })
        }
        "Protocol" => {
            let from = endpoint(rest.strip_prefix("major versions differ for ")?)?;
            Some(Read {
                action: "ssh_bad_protocol",
                outcome: "failure",
                reason: from.tail.trim_start_matches([':', ' ']),
                from: Some(from),
                ..network
            })
        }
        // A key of the account, but `from=` in its file names other places.
        "Authentication" => {
            if let Some(why) = rest.strip_prefix("refused: ") {
                return Some(Read { action: "ssh_key_refused", outcome: "failure", reason: why, ..login });
            }
            let (user, rest) = rest.strip_prefix("tried for ")?.split_once(" with correct key but not from a permitted host (")?;
            let (_, rest) = rest.split_once("ip=")?;
            let from = Some(Endpoint { host: rest.split([',', ')']).next()?, ..Endpoint::default() });
            Some(Read { action: "ssh_user_denied", outcome: "failure", reason: "not from a permitted host", user, from, ..login })
        }
        "subsystem" => {
            let (subsystem, user) = rest.strip_prefix("request for ")?.split_once(" by user ")?;
            let (user, from) = user_from(user);
            Some(Read {
                category: "session",
                action: "ssh_subsystem",
                outcome: "success",
                method: subsystem,
                user,
                from,
                ..Read::default()
            })
        }
        // internal-sftp: session opened for local user anna from [192.0.2.1]
        "session" => {
            let (action, rest) = match rest.strip_prefix("opened for local user ") {
                Some(rest) => ("session_opened", rest),
                None => ("session_closed", rest.strip_prefix("closed for local user ")?),
            };
            let (user, from) = rest.rsplit_once(" from [")?;
            let from = Some(Endpoint { host: from.trim_end_matches(']'), ..Endpoint::default() });
            Some(Read { category: "session", action, outcome: "success", user, from, ..Read::default() })
        }
        "Nasty" => {
            let (name, rest) = rest.strip_prefix("PTR record \"")?.split_once("\" is set up for ")?;
            let from = Some(Endpoint { host: rest.split(',').next()?, ..Endpoint::default() });
            Some(Read { action: "ssh_reverse_mapping_failed", outcome: "failure", domain: name, from, ..network })
        }
        "Server" => rest.starts_with("listening on ").then_some(Read { category: "process", action: "service_started", ..Read::default() }),
        _ => None,
    }
}

/// `password for [invalid user ]NAME from ADDRESS port N ssh2[: key]`.
fn attempt<'t>(rest: &'t str, read: Read<'t>) -> Option<Read<'t>> {
    let (method, who) = rest.split_once(" for ")?;
    let (who, invalid) = without_invalid(who);
    let (user, from) = user_from(who);
    Some(Read { method, user: user.trim(), from, reason: if invalid { INVALID_USER } else { "" }, ..read })
}

/// `closed by …`, `reset by …`, `from …`.
fn connection<'t>(rest: &'t str, read: Read<'t>) -> Option<Read<'t>> {
    if let Some(who) = rest.strip_prefix("closed by ") {
        return peer(who, Read { action: "ssh_connection_closed", ..read });
    }
    if let Some(who) = rest.strip_prefix("reset by ") {
        return peer(who, Read { action: "ssh_connection_reset", ..read });
    }
    let from = endpoint(rest.strip_prefix("from ")?)?;
    Some(Read { action: "ssh_connection", from: Some(from), ..read })
}

/// `[authenticating |invalid ]user NAME ADDRESS port N`, or the address alone: read from the right.
fn peer<'t>(text: &'t str, read: Read<'t>) -> Option<Read<'t>> {
    let (text, port) = match text.rsplit_once(" port ") {
        Some((before, port)) if is_port(port) => (before, port),
        _ => (text, ""),
    };
    let (who, host) = text.rsplit_once(' ').unwrap_or(("", text));
    let from = Some(Endpoint { host: plausible(host)?, port, tail: "" });
    let user = ["authenticating user", "invalid user", "user"].iter().find_map(|prefix| who.strip_prefix(prefix)).unwrap_or("");
    // Who leaves while still authenticating did not get in: with keys alone, that is all a guesser leaves behind.
    let read = match who.split(' ').next() {
        Some("invalid") => Read { category: "authentication", outcome: "failure", reason: INVALID_USER, ..read },
        Some("authenticating") => Read { category: "authentication", outcome: "failure", ..read },
        _ => read,
    };
    Some(Read { user: user.trim(), from, ..read })
}

fn without_invalid(who: &str) -> (&str, bool) {
    let invalid = ["invalid user ", "illegal user "].iter().find_map(|prefix| who.strip_prefix(prefix));
    invalid.map_or((who, false), |who| (who, true))
}

/// Splits `NAME from ADDRESS port N ssh2` at the last ` from ` that an address follows: the name before it is
/// whatever the attacker typed, perhaps `root from 192.0.2.1 port 22 ssh2`.
fn user_from(text: &str) -> (&str, Option<Endpoint<'_>>) {
    const FROM: &str = " from ";
    for (at, _) in text.rmatch_indices(FROM) {
        let found = text.get(at + FROM.len()..).and_then(endpoint);
        let end = |tail: &str| tail.is_empty() || [" ssh", " on ", " id ", ":"].iter().any(|start| tail.starts_with(start));
        if let Some(from) = found.filter(|from| end(from.tail)) {
            return (text.get(..at).unwrap_or_default(), Some(from));
        }
    }
    (text, None)
}

/// `ADDRESS[ port N]` at the start of a text.
fn endpoint(text: &str) -> Option<Endpoint<'_>> {
    let end = text.find(' ').unwrap_or(text.len());
    let (word, mut tail) = text.split_at_checked(end)?;
    let bare = word.trim_end_matches([':', ',', '.']);
    let host = if address(word).is_some() { word } else { plausible(bare)? };
    if host.len() < word.len() {
        tail = text.get(host.len()..)?;
    }
    let mut port = "";
    if let Some(rest) = tail.strip_prefix(" port ") {
        let (number, behind) = rest.split_at_checked(rest.bytes().take_while(u8::is_ascii_digit).count())?;
        if is_port(number) {
            (port, tail) = (number, behind);
        }
    }
    Some(Endpoint { host, port, tail })
}

/// `[ADDRESS]:PORT`
fn bracketed_endpoint(text: &str) -> Option<Endpoint<'_>> {
    let (host, port) = text.strip_prefix('[')?.split_once("]:")?;
    address(host).filter(|_| is_port(port))?;
    Some(Endpoint { host, port, tail: "" })
}

fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An address, or what could be a host's name.
fn plausible(host: &str) -> Option<&str> {
    let name = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    (name || address(host).is_some()).then_some(host)
}

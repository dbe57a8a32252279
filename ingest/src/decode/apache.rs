//! Apache's error log: `[Sun Dec 04 04:47:44 2005] [error] [client 192.0.2.1:4711] …`. Has no syslog header, but a
//! time and a level of its own.

use super::Look;
use super::draft::Draft;
use crate::fields;
use crate::syslog;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.text.starts_with('[')
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((stamp, mut rest)) = bracketed(look.text) else { return false };
    let Some(stamp) = syslog::weekday_stamp(stamp) else { return false };
    let Some((level, behind)) = bracketed(rest) else { return false };
    rest = behind;
    draft.stamp = stamp;
    draft.set_message(rest);
    draft.name(fields::EVENT_MODULE, "apache");
    draft.name(fields::EVENT_CATEGORY, "web");
    // `core:error` since Apache 2.4.
    let level = level.rsplit(':').next().unwrap_or(level);
    if !draft.has(fields::LOG_LEVEL) {
        match level {
            "warn" => draft.name(fields::LOG_LEVEL, "warning"),
            "info" => draft.name(fields::LOG_LEVEL, "informational"),
            _ => draft.str(fields::LOG_LEVEL, level),
        }
    }
    while let Some((part, behind)) = bracketed(rest) {
        match part.split_once(' ') {
            Some(("client", client)) => put_client(client, draft),
            Some(("pid", _)) => {}
            _ => break,
        }
        rest = behind;
    }
    true
}

/// `[…] ` at the start and what follows.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let (inner, rest) = text.strip_prefix('[')?.split_once(']')?;
    Some((inner, rest.strip_prefix(' ').unwrap_or(rest)))
}

fn put_client(client: &str, draft: &mut Draft<'_>) {
    match client.rsplit_once(':') {
        Some((host, port)) if client.parse::<std::net::Ipv6Addr>().is_err() => {
            draft.source(host);
            draft.number(fields::SOURCE_PORT, port);
        }
        _ => draft.source(client),
    }
}

//! key=value: the tokenizer that FortiGate, netfilter and PAM share, and the decoder for lines that are nothing
//! else. Prose with a `=` in it is no key=value line.

use memchr::{memchr, memchr2};

use super::draft::{Draft, address, unescaped};
use super::part::host_port;
use super::{Look, application};
use crate::event::Defect;
use crate::fields::{self, FieldId};
use crate::syslog::{self, Stamp};

/// A longer key is not one.
const KEY_BYTES_MAX: usize = 64;
/// From this many pairs on, and with nothing else in it, a line is clearly key=value.
const PAIRS_MIN: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    /// The value holds a backslash.
    pub(super) escaped: bool,
    /// The value's quote is never closed; it is all that was left.
    pub(super) unterminated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    Pair(Pair<'a>),
    /// Something without a `=`.
    Word(&'a str),
}

/// The items of a text, separated by blanks; values may stand in quotes with backslash escapes.
pub(super) fn items(text: &str) -> impl Iterator<Item = Item<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t']);
        let (item, behind) = item(rest)?;
        rest = behind;
        Some(item)
    })
}

/// Only the pairs.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = Pair<'_>> {
    items(text).filter_map(|item| match item {
        Item::Pair(pair) => Some(pair),
        Item::Word(_) => None,
    })
}

fn item(rest: &str) -> Option<(Item<'_>, &str)> {
    if rest.is_empty() {
        return None;
    }
    let end = memchr2(b'=', b' ', rest.as_bytes()).unwrap_or(rest.len());
    let (key, behind) = rest.split_at_checked(end)?;
    let Some(value) = behind.strip_prefix('=').filter(|_| is_key(key)) else {
        let end = memchr(b' ', rest.as_bytes()).unwrap_or(rest.len());
        let (word, behind) = rest.split_at_checked(end)?;
        return Some((Item::Word(word), behind));
    };
    let Some(quoted) = value.strip_prefix('"') else {
        let end = memchr(b' ', value.as_bytes()).unwrap_or(value.len());
        let (value, behind) = value.split_at_checked(end)?;
        return Some((Item::Pair(Pair { key, value, escaped: false, unterminated: false }), behind));
    };
    let (mut at, mut escaped) = (0, false);
    loop {
        match memchr2(b'"', b'\\', quoted.as_bytes().get(at..)?) {
            None => return Some((Item::Pair(Pair { key, value: quoted, escaped, unterminated: true }), "")),
            Some(found) if quoted.as_bytes().get(at + found) == Some(&b'"') => {
                let (value, behind) = (quoted.get(..at + found)?, quoted.get(at + found + 1..)?);
                return Some((Item::Pair(Pair { key, value, escaped, unterminated: false }), behind));
            }
            Some(found) => {
                escaped = true;
                // Behind the backslash and what it escapes, but not beyond the end.
                at = (at + found + 2).min(quoted.len());
            }
        }
    }
}

fn is_key(word: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@'))
}

impl Pair<'_> {
    /// Gives the value to `take`, its escapes resolved where it has any.
    pub(super) fn with_value(&self, take: impl FnOnce(&str)) {
        if self.escaped {
            take(&unescaped(self.value, &['"', '\\']));
        } else {
            take(self.value);
        }
    }
}

pub(super) fn first_look(look: &Look<'_>) -> bool {
    matches!(item(look.text), Some((Item::Pair(_), _)))
}

/// Reads a line that is key=value from end to end: known ECS names as they are, anything else below `kv`.
pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let clearly = items(look.text).all(|item| matches!(item, Item::Pair(_))) && items(look.text).take(PAIRS_MIN).count() == PAIRS_MIN;
    if !clearly {
        return false;
    }
    for pair in pairs(look.text) {
        if pair.unterminated {
            draft.defects.add(Defect::BadKeyValue);
        }
        // The time of loggers that write their pairs without a header.
        if draft.stamp == Stamp::Absent && matches!(pair.key, "time" | "ts" | "t" | "timestamp") {
            draft.stamp = syslog::whole_stamp(pair.value).or_else(|| syslog::epoch_text(pair.value).map(Stamp::Moment)).unwrap_or_default();
        }
        pair.with_value(|value| match pair.key {
            "remote_addr" | "remote_ip" | "client_ip" if !draft.has(fields::SOURCE_IP) && address(host_port(value).0).is_some() => {
                draft.source_endpoint(value)
            }
            "user" | "username" | "uname" if !draft.has(fields::USER_NAME) => draft.str(fields::USER_NAME, value),
            "level" | "lvl" if !draft.has(fields::LOG_LEVEL) => draft.str(fields::LOG_LEVEL, value),
            // No logger of such lines knows ECS' names of what happened: a line that says `event.outcome=success` repeats what
            // somebody typed more likely than not, as nothing here is quoted for sure.
            key if key.starts_with("event.") => draft.vendor("kv", key, value),
            key => match FieldId::find(key).filter(|field| field.known().is_some() && !fields_of_ours(*field)) {
                Some(field) => draft.typed(field, value),
                None => draft.vendor("kv", key, value),
            },
        });
    }
    if application::first_look(look) {
        application::put(look, draft);
    }
    true
}

/// Fields that say who sent the event and what its message is: no payload may claim them. They are what the transport
/// attributes (the site of the certificate or the key, the address of the peer), as are `event.ingested` and `event.sequence`
/// (`json`), and rules may rely on them. Everything else is the sender's claim: JSON of any program may name `event.module`,
/// `event.action` and `event.outcome` and the host, for shippers that speak ECS must be able to, and its quoting keeps what
/// somebody typed within its value. What can be believed of it is what can be believed of that sender at that site.
pub(super) fn fields_of_ours(field: FieldId) -> bool {
    matches!(field, fields::SITE | fields::OBSERVER_IP | fields::MESSAGE)
}

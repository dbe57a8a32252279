//! Events as Windows renders them in XML: `<Event><System>…<EventData><Data Name="…">…`. Scanned for what is needed, not
//! parsed as XML: no entity of the document's own is ever resolved, and a cut document gives what it still has.

use std::borrow::Cow;

use super::{System, put_data, put_system};
use crate::decode::Look;
use crate::decode::draft::Draft;
use crate::syslog::{self, Stamp};

/// An event of Windows' has a few dozen.
const DATA_MAX: usize = 200;

pub(in crate::decode) fn first_look(look: &Look<'_>) -> bool {
    look.text.contains("<Event ") || look.text.contains("<Event>")
}

pub(in crate::decode) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((_, event)) = look.text.split_once("<Event") else { return false };
    let (system, data) = event.split_once("</System>").unwrap_or((event, ""));
    let Some(id) = element(system, "EventID") else { return false };
    let (channel, computer) =
        (unescaped(element(system, "Channel").unwrap_or_default()), unescaped(element(system, "Computer").unwrap_or_default()));
    let provider = unescaped(attribute(system, "Provider", "Name").unwrap_or_default());
    let record = element(system, "EventRecordID").unwrap_or_default();
    put_system(System { channel: &channel, provider: &provider, id: id.trim(), computer: &computer, record }, draft);
    if let Some(time) = attribute(system, "TimeCreated", "SystemTime").and_then(syslog::whole_stamp)
        && !matches!(draft.stamp, Stamp::Moment(_))
    {
        draft.stamp = time;
    }
    let mut rest = data;
    for _ in 0..DATA_MAX {
        let Some((_, behind)) = rest.split_once("<Data") else { break };
        let Some((tag, behind)) = behind.split_once('>') else { break };
        if tag.ends_with('/') {
            rest = behind;
            continue;
        }
        let Some((value, behind)) = behind.split_once("</Data>") else { break };
        if let Some(name) = named(tag, "Name") {
            put_data(&unescaped(name), &unescaped(value), draft);
        }
        rest = behind;
    }
    true
}

/// The text of `<name …>text</name>`.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let behind = tags(text, name).next()?;
    let (head, behind) = behind.split_once('>')?;
    if head.ends_with('/') {
        return None;
    }
    Some(behind.split_once("</")?.0)
}

fn attribute<'t>(text: &'t str, name: &str, attribute: &str) -> Option<&'t str> {
    named(tags(text, name).next()?.split_once('>')?.0, attribute)
}

/// What follows each `<name`, where the name ends there.
fn tags<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    text.split('<')
        .filter_map(move |tag| tag.strip_prefix(name).filter(|rest| rest.starts_with([' ', '>', '/', '\t', '\r', '\n'])))
        .filter_map(move |rest| text.get(rest.as_ptr().addr().checked_sub(text.as_ptr().addr())?..))
}

/// The value of an attribute, in either kind of quotes.
fn named<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    for quote in ['"', '\''] {
        for (at, _) in tag.match_indices(name) {
            let is_word = at == 0 || tag.as_bytes().get(at - 1).is_some_and(u8::is_ascii_whitespace);
            let value = tag.get(at + name.len()..)?.strip_prefix('=').and_then(|rest| rest.strip_prefix(quote));
            if let (true, Some(value)) = (is_word, value) {
                return Some(value.split_once(quote)?.0);
            }
        }
    }
    None
}

/// XML's five names and numbered characters; anything else stays as it is.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        out.push_str(before);
        let entity = behind.split_once(';').filter(|(name, _)| name.len() <= 8);
        let read = entity.and_then(|(name, behind)| Some((character(name)?, behind)));
        match read {
            Some((character, behind)) => {
                out.push(character);
                rest = behind;
            }
            None => {
                out.push('&');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn character(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

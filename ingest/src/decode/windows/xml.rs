//! Events as Windows renders them in XML: `<Event><System>…<EventData><Data Name="…">…`, with `UserData` of any depth and
//! the rendered text where the forwarder added it. Scanned in one pass, not parsed as XML: no entity of the document's
//! own is ever resolved, and a cut document gives what it still has.

use std::borrow::Cow;

use super::{System, finish, put_data, put_system};
use crate::decode::Look;
use crate::decode::draft::Draft;
use crate::syslog::{self, Stamp};

/// An event of Windows' has a few dozen.
const DATA_MAX: usize = 200;
/// A longer binary attachment stays in the line.
const BINARY_BYTES_MAX: usize = 512;

pub(in crate::decode) fn first_look(look: &Look<'_>) -> bool {
    let text = look.text.trim_start_matches(['\u{FEFF}', ' ', '\t', '\r', '\n']);
    text.starts_with("<Event") || text.starts_with("<?xml") || text.starts_with("<ns") || text.starts_with("<e:")
}

/// Which part of the event is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Outside,
    System,
    EventData,
    UserData,
    Rendering,
}

#[derive(Default)]
struct Found<'t> {
    channel: Cow<'t, str>,
    provider: Cow<'t, str>,
    computer: Cow<'t, str>,
    id: &'t str,
    record: &'t str,
    time: &'t str,
    /// What stands below `winlog` under these names.
    more: Vec<(&'static str, Cow<'t, str>)>,
    message: Option<Cow<'t, str>>,
}

pub(in crate::decode) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let mut found = Found::default();
    let mut data: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::with_capacity(32);
    let (mut part, mut seen_event) = (Part::Outside, false);
    // The element or datum that is open and has no other within it, and its text so far.
    let mut open: Option<(&str, Option<&str>)> = None;
    let mut text: Cow<'_, str> = Cow::Borrowed("");
    for piece in (Scan { rest: look.text }) {
        match piece {
            Piece::Open { name, attributes, empty } => {
                seen_event |= name == "Event";
                match name {
                    "System" => part = Part::System,
                    "EventData" | "ProcessingErrorData" => part = Part::EventData,
                    "UserData" => part = Part::UserData,
                    "RenderingInfo" => part = Part::Rendering,
                    _ if part == Part::System => system_attributes(name, attributes, &mut found),
                    _ => {}
                }
                text = Cow::Borrowed("");
                open = (!empty).then(|| (name, attribute(attributes, "Name")));
            }
            Piece::Text(raw) => append(&mut text, unescaped(raw)),
            Piece::Cdata(raw) => append(&mut text, Cow::Borrowed(raw)),
            Piece::Close(name) => {
                let value = std::mem::take(&mut text);
                match (open.take(), part) {
                    (Some((element, _)), Part::System) if element == name => system_text(name, value, &mut found),
                    (Some((element, _)), Part::Rendering) if element == name => rendering_text(name, value, &mut found),
                    (Some((element, attribute)), Part::EventData | Part::UserData) if element == name && data.len() < DATA_MAX => {
                        let key = attribute.map_or(Cow::Borrowed(element), unescaped);
                        if key != "Binary" || value.len() <= BINARY_BYTES_MAX {
                            data.push((key, value));
                        }
                    }
                    _ => {}
                }
                match name {
                    "System" | "EventData" | "UserData" | "RenderingInfo" => part = Part::Outside,
                    // What follows is another event, which a line has not.
                    "Event" => break,
                    _ => {}
                }
            }
        }
    }
    if !seen_event || found.id.is_empty() {
        return false;
    }
    put(found, &data, draft);
    true
}

fn put(found: Found<'_>, data: &[(Cow<'_, str>, Cow<'_, str>)], draft: &mut Draft<'_>) {
    let system =
        System { channel: &found.channel, provider: &found.provider, id: found.id, computer: &found.computer, record: found.record };
    put_system(system, draft);
    for (name, value) in &found.more {
        draft.vendor("winlog", name, value);
    }
    if let Some(time) = syslog::whole_stamp(found.time) {
        // The event's own time; the header's is that of its dispatch.
        draft.stamp = if matches!(time, Stamp::Bad) { draft.stamp } else { time };
    }
    for (name, value) in data {
        put_data(name, value, draft);
    }
    if let Some(message) = found.message.filter(|message| !message.trim().is_empty()) {
        draft.set_message(&message);
    }
    finish(draft);
}

fn system_attributes<'t>(name: &str, attributes: &'t str, found: &mut Found<'t>) {
    let mut more = |key: &'static str, attribute_name: &str| {
        if let Some(value) = attribute(attributes, attribute_name) {
            found.more.push((key, unescaped(value)));
        }
    };
    match name {
        "Provider" => {
            more("provider_guid", "Guid");
            found.provider =
                unescaped(attribute(attributes, "Name").or_else(|| attribute(attributes, "EventSourceName")).unwrap_or_default());
        }
        "TimeCreated" => found.time = attribute(attributes, "SystemTime").unwrap_or_default(),
        "Execution" => {
            more("process.pid", "ProcessID");
            more("process.thread.id", "ThreadID");
        }
        "Security" => more("user.identifier", "UserID"),
        "Correlation" => {
            more("activity_id", "ActivityID");
            more("related_activity_id", "RelatedActivityID");
        }
        _ => {}
    }
}

fn system_text<'t>(name: &str, value: Cow<'t, str>, found: &mut Found<'t>) {
    let plain = |value: &Cow<'t, str>| match value {
        Cow::Borrowed(text) => text.trim(),
        Cow::Owned(_) => "",
    };
    match name {
        "EventID" => found.id = plain(&value),
        "EventRecordID" => found.record = plain(&value),
        "Channel" => found.channel = value,
        "Computer" => found.computer = value,
        "Keywords" => found.more.push(("keywords", value)),
        "Version" => found.more.push(("version", value)),
        "Opcode" => found.more.push(("opcode", value)),
        "Task" => found.more.push(("task", value)),
        _ => {}
    }
}

fn rendering_text<'t>(name: &str, value: Cow<'t, str>, found: &mut Found<'t>) {
    match name {
        "Message" => found.message = Some(value),
        "Channel" if found.channel.is_empty() => found.channel = value,
        "Keyword" => found.more.push(("keywords", value)),
        _ => {}
    }
}

fn append<'t>(text: &mut Cow<'t, str>, piece: Cow<'t, str>) {
    if text.is_empty() {
        *text = piece;
    } else {
        text.to_mut().push_str(&piece);
    }
}

enum Piece<'t> {
    Open { name: &'t str, attributes: &'t str, empty: bool },
    Text(&'t str),
    Cdata(&'t str),
    Close(&'t str),
}

/// The pieces of a document in their order; an end within a tag ends it.
struct Scan<'t> {
    rest: &'t str,
}

impl<'t> Iterator for Scan<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        loop {
            let rest = self.rest;
            let at = memchr::memchr(b'<', rest.as_bytes())?;
            if at > 0 {
                let (text, behind) = rest.split_at_checked(at)?;
                self.rest = behind;
                return Some(Piece::Text(text));
            }
            if let Some(behind) = rest.strip_prefix("<![CDATA[") {
                let (inner, behind) = behind.split_once("]]>")?;
                self.rest = behind;
                return Some(Piece::Cdata(inner));
            }
            let end = tag_end(rest)?;
            let tag = rest.get(1..end)?;
            self.rest = rest.get(end + 1..)?;
            if let Some(name) = tag.strip_prefix('/') {
                return Some(Piece::Close(local(name.trim_end())));
            }
            // Declarations and comments say nothing.
            if !tag.starts_with(['?', '!']) {
                let empty = tag.ends_with('/');
                let tag = tag.trim_end_matches('/');
                let (name, attributes) = tag.split_once(|char: char| char.is_ascii_whitespace()).unwrap_or((tag, ""));
                return Some(Piece::Open { name: local(name), attributes, empty });
            }
        }
    }
}

/// Where the tag that begins at 0 ends: at `>`, but not at one within quotes.
fn tag_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        let found = at + memchr::memchr3(b'>', b'"', b'\'', bytes.get(at..)?)?;
        match bytes.get(found)? {
            b'>' => return Some(found),
            quote => at = found + 1 + memchr::memchr(*quote, bytes.get(found + 1..)?)? + 1,
        }
    }
}

/// A name without its namespace's prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, name)| name)
}

/// The value of an attribute, in either kind of quotes.
fn attribute<'t>(attributes: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = attributes;
    // Nothing of Windows' has more.
    for _ in 0..16 {
        let (key, behind) = rest.split_once('=')?;
        let value = behind.trim_start();
        let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let (value, behind) = value.get(1..)?.split_once(quote)?;
        if key.trim() == name {
            return Some(value);
        }
        rest = behind;
    }
    None
}

/// XML's five names and numbered characters; anything else stays as it is.
fn unescaped(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'&', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        out.push_str(before);
        // The longest is `&#x10FFFF;`; looked for no further, so that a text of `&` alone costs no more than its length.
        let end = behind.as_bytes().iter().take(9).position(|byte| *byte == b';');
        let entity = end.and_then(|end| Some((character(behind.get(..end)?)?, behind.get(end + 1..)?)));
        match entity {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_xml() {
        assert_eq!(attribute(r#"Name='a "b"' Guid = "{1}""#, "Guid"), Some("{1}"));
        assert_eq!(attribute("Qualifiers='0'", "Name"), None);
        assert_eq!(attribute("Name", "Name"), None);
        assert_eq!(unescaped("a &lt;b&gt; &#xE4;&#10;&unknown; & &#x110000;"), "a <b> ä\n&unknown; & &#x110000;");
        assert_eq!(tag_end(r#"<a b=">" c='>'>x"#), Some(14));
        assert_eq!(tag_end(r#"<a b=">"#), None);
        assert_eq!(local("ns0:Event"), "Event");
    }
}

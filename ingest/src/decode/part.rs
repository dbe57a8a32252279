//! Pieces that many formats share: brackets, quotes, `address:port`. Each takes a text and gives the piece and what
//! follows it, as slices of the line.

use super::draft::{Draft, address};
use crate::fields::{self, FieldId};

/// `[…]` at the start, and what follows behind its blanks.
pub(super) fn bracketed(text: &str) -> Option<(&str, &str)> {
    let (inner, rest) = text.strip_prefix('[')?.split_once(']')?;
    Some((inner, rest.trim_start_matches(' ')))
}

/// `"…"` at the start with backslash escapes left as they are, and what follows behind its blanks. A quote that is
/// never closed takes the rest.
pub(super) fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', inner.as_bytes().get(at..)?) {
        if inner.as_bytes().get(at + found) == Some(&b'"') {
            let (inner, rest) = inner.split_at_checked(at + found)?;
            return Some((inner, rest.get(1..)?.trim_start_matches(' ')));
        }
        at = (at + found + 2).min(inner.len());
    }
    Some((inner, ""))
}

/// The next word and what follows behind its blanks; `None` at the end.
pub(super) fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(' ');
    if text.is_empty() {
        return None;
    }
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    Some((word, rest.trim_start_matches(' ')))
}

/// What stands between two marks, and what follows the second.
pub(super) fn between<'t>(text: &'t str, open: &str, close: &str) -> Option<(&'t str, &'t str)> {
    text.split_once(open)?.1.split_once(close)
}

/// Host and port of `192.0.2.1:80`, `[2001:db8::1]:80`, `192.0.2.1#80` or a bare host; the port is empty where there is none.
pub(super) fn host_port(text: &str) -> (&str, &str) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        return (host, rest.trim_start_matches([':', '#']));
    }
    if let Some((host, port)) = text.rsplit_once('#') {
        return (host, port);
    }
    match text.rsplit_once(':') {
        Some((host, port)) if address(text).is_none() && is_number(port) => (host, port),
        _ => (text, ""),
    }
}

pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A text that means nothing: `-`.
pub(super) fn some(text: &str) -> &str {
    if text == "-" { "" } else { text }
}

impl Draft<'_> {
    /// Who comes, as `address:port`.
    pub(super) fn source_endpoint(&mut self, text: &str) {
        let (host, port) = host_port(text);
        self.source(host);
        self.optional(fields::SOURCE_PORT, port);
    }

    /// Where to, as `address:port`.
    pub(super) fn destination_endpoint(&mut self, text: &str) {
        let (host, port) = host_port(text);
        match address(host) {
            Some(address) => self.put_ip(fields::DESTINATION_IP, address),
            None => self.str(fields::DESTINATION_DOMAIN, host),
        }
        self.optional(fields::DESTINATION_PORT, port);
    }

    /// A value as its field wants it; nothing where it is empty or `-`.
    pub(super) fn optional(&mut self, field: FieldId, text: &str) {
        if !some(text).is_empty() {
            self.typed(field, text);
        }
    }

    /// What was done and how it ended, in ECS' words.
    pub(super) fn event(&mut self, category: &'static str, action: &'static str, outcome: &'static str) {
        self.name(fields::EVENT_CATEGORY, category);
        self.name(fields::EVENT_ACTION, action);
        if !outcome.is_empty() {
            self.name(fields::EVENT_OUTCOME, outcome);
        }
    }

    /// A verdict of a packet filter.
    pub(super) fn verdict(&mut self, allowed: Option<bool>) {
        self.name(fields::EVENT_CATEGORY, "network");
        match allowed {
            Some(true) => {
                self.name(fields::EVENT_ACTION, "allowed");
                self.name(fields::EVENT_TYPE, "allowed");
                self.name(fields::EVENT_OUTCOME, "success");
            }
            Some(false) => {
                self.name(fields::EVENT_ACTION, "blocked");
                self.name(fields::EVENT_TYPE, "denied");
                self.name(fields::EVENT_OUTCOME, "failure");
            }
            None => {
                self.name(fields::EVENT_ACTION, "logged");
                self.name(fields::EVENT_TYPE, "connection");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces() {
        assert_eq!(bracketed("[a b] c"), Some(("a b", "c")));
        assert_eq!(bracketed("[a"), None);
        assert_eq!(quoted(r#""a \" b" c"#), Some((r#"a \" b"#, "c")));
        assert_eq!(quoted(r#""a b"#), Some(("a b", "")));
        assert_eq!(quoted(r#""\"#), Some((r"\", "")));
        assert_eq!(word("  a  b"), Some(("a", "b")));
        assert_eq!(word("  "), None);
    }

    #[test]
    fn endpoints() {
        for (text, expected) in [
            ("192.0.2.1:80", ("192.0.2.1", "80")),
            ("[2001:db8::1]:80", ("2001:db8::1", "80")),
            ("2001:db8::1", ("2001:db8::1", "")),
            ("::1#53", ("::1", "53")),
            ("host", ("host", "")),
            ("host:443", ("host", "443")),
        ] {
            assert_eq!(host_port(text), expected, "{text}");
        }
    }
}

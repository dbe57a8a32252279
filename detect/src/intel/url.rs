//! URLs in one form, so that two ways of writing the same address meet: scheme and host in lower case, no default port, no
//! user part, no fragment, dot segments resolved, and each octet of path and query percent-encoded exactly where it must be
//! (RFC 3986, 6.2.2 and 6.2.3). It knows nothing of what a server makes of a path: `/a` and `/a/` stay two.

use std::net::{IpAddr, Ipv6Addr};

use super::pattern::is_name;

/// Longer ones are refused in lists, and in records looked at up to here: browsers and proxies stop at about as much.
pub(super) const URL_BYTES_MAX: usize = 4_096;

/// A URL in its canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CanonicalUrl {
    text: String,
    /// Where the host begins, where it ends, and where the query begins (at its `?`).
    host: (usize, usize),
    query: usize,
}

impl CanonicalUrl {
    /// `host/path` without a scheme reads as http, as lists often have it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::plain(text).or_else(|| Self::written(text))
    }

    /// Most URLs in records are canonical as they stand: one look at each byte says so.
    fn plain(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let path = rest.find('/')?;
        let host = rest.get(..path)?;
        let begin = scheme.len() + 3;
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
        let named = host.bytes().all(lower) && host.bytes().last().is_some_and(|byte| byte.is_ascii_lowercase()) && is_name(host);
        if text.len() > URL_BYTES_MAX || !matches!(scheme, "http" | "https") || !named {
            return None;
        }
        let (mut query, mut before) = (text.len(), 0);
        for (at, byte) in (begin + path..).zip(rest.get(path..)?.bytes()) {
            let in_path = query == text.len();
            if !is_kept(byte) || (in_path && before == b'/' && byte == b'.') {
                return None;
            }
            if byte == b'?' && in_path {
                query = at;
            }
            before = byte;
        }
        // A lone question mark asks nothing.
        (query + 1 != text.len()).then(|| Self { text: text.to_owned(), host: (begin, begin + path), query })
    }

    fn written(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > URL_BYTES_MAX || text.chars().any(char::is_control) {
            return None;
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let named = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        if scheme.is_empty() || scheme.len() > 20 || !named {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '\\']).unwrap_or(rest.len()));
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = host_and_port(authority)?;
        let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        let mut url = format!("{scheme}://");
        let begin = url.len();
        url.push_str(&host);
        let end = url.len();
        if let Some(port) = port.filter(|port| Some(*port) != default_port(&scheme)) {
            url.push_str(&format!(":{port}"));
        }
        url.push_str(&resolved(&escaped(path)));
        let at = url.len();
        if query.len() > 1 {
            url.push_str(&escaped(query));
        }
        Some(Self { text: url, host: (begin, end), query: at })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn host(&self) -> &str {
        self.text.get(self.host.0..self.host.1).unwrap_or_default()
    }

    pub(super) fn has_query(&self) -> bool {
        self.query < self.text.len()
    }

    /// What it is looked up by: host, port, path and query. A page is as bad over http as over https.
    pub(super) fn key(&self) -> &str {
        self.text.get(self.host.0..).unwrap_or_default()
    }

    /// The same without its query: a listed page is met whatever it is asked.
    pub(super) fn key_of_page(&self) -> &str {
        self.text.get(self.host.0..self.query).unwrap_or_default()
    }

    /// The URL without its query, or all of it.
    pub(super) fn named(&self, page: bool) -> &str {
        if page { self.text.get(..self.query).unwrap_or_default() } else { &self.text }
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        "ftp" => Some(21),
        _ => None,
    }
}

fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            let address: Ipv6Addr = host.parse().ok()?;
            (format!("[{address}]"), port.strip_prefix(':'))
        }
        None => {
            let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
            let host = unescaped(host);
            let host = host.strip_suffix('.').unwrap_or(&host).to_ascii_lowercase();
            let numeric = host.parse::<IpAddr>().is_ok();
            if !numeric && !is_name(&host) {
                return None;
            }
            (host, port)
        }
    };
    let port = match port.unwrap_or_default() {
        "" => None,
        port => Some(port.parse().ok()?),
    };
    Some((host, port))
}

/// Octets that stand for themselves in a path or a query.
fn is_kept(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte)
}

fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        match octet(bytes, at) {
            Some(octet) => {
                out.push(octet);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The octet that `%XX` at this place means.
fn octet(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    (bytes.get(at) == Some(&b'%')).then_some(())?;
    Some(digit(at + 1)? << 4 | digit(at + 2)?)
}

/// Each octet as it must be: letters, digits and `-._~` plain, other allowed ones as they stand, the rest `%XX`.
fn escaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (String::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let (byte, was_escaped) = match octet(bytes, at) {
            Some(octet) => {
                at += 3;
                (octet, true)
            }
            None => {
                at += 1;
                (*byte, false)
            }
        };
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let allowed = b"!$&'()*+,;=:@/?".contains(&byte) || byte == b'\\';
        match (unreserved || (allowed && !was_escaped), byte) {
            // Browsers take it for a slash.
            (true, b'\\') => out.push('/'),
            (true, byte) => out.push(char::from(byte)),
            (false, byte) => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// A path without `.` and `..` (RFC 3986, 5.2.4).
fn resolved(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => {
                kept.push(segment);
                continue;
            }
        }
        if last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_form_for_all_ways_of_writing() {
        for (written, canonical) in [
            ("HTTP://Bad.Example", "http://bad.example/"),
            ("http://bad.example:80/?", "http://bad.example/"),
            ("https://bad.example.:443/a/./b/../c#top", "https://bad.example/a/c"),
            ("https://bad.example:8443/", "https://bad.example:8443/"),
            ("http://bank.example@bad.example/login", "http://bad.example/login"),
            ("http://bad.example/%7Euser/%2e%2e/x%2fy", "http://bad.example/x%2Fy"),
            ("http://bad.example/ä b?q=ü&x=%41", "http://bad.example/%C3%A4%20b?q=%C3%BC&x=A"),
            ("http://192.0.2.7/x", "http://192.0.2.7/x"),
            ("http://[2001:DB8::0:1]:8080/x", "http://[2001:db8::1]:8080/x"),
            ("bad.example/drop.exe", "http://bad.example/drop.exe"),
            ("http://bad.example\\drop.exe", "http://bad.example/drop.exe"),
            ("http://bad.example/a/..", "http://bad.example/"),
            ("http://bad.example/../../etc/", "http://bad.example/etc/"),
        ] {
            assert_eq!(CanonicalUrl::parse(written).map(|url| url.text), Some(canonical.to_owned()), "{written}");
        }
        for none in ["", "http://", "http:///x", "://x", "http://a b/", "http://[::1", "http://x.example:99999/", "http://wort/", "a\nb"] {
            assert_eq!(CanonicalUrl::parse(none), None, "{none}");
        }
    }

    proptest! {
        /// The canonical form of a canonical form is itself, and nothing panics or grows beyond three bytes for one.
        #[test]
        fn canonical_stays(text in ".{0,60}", path in "[a-z./%0-9A-F?#@:\\\\ä]{0,40}", simple in "[a-z/.?=]{0,12}") {
            for text in [text, format!("http://a.example/{path}"), format!("https://a.example/{simple}")] {
                if let Some(plain) = CanonicalUrl::plain(&text) {
                    prop_assert_eq!(CanonicalUrl::written(&text), Some(plain), "{}", text);
                }
                if let Some(url) = CanonicalUrl::parse(&text) {
                    prop_assert!(url.text.len() <= 3 * text.len() + 16);
                    prop_assert_eq!(CanonicalUrl::parse(&url.text), Some(url));
                }
            }
        }
    }
}

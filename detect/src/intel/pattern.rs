//! What an indicator names, in its canonical form: an address, a net, a name with all below it, a URL, a file's hash, or a
//! mail address. Lists and people write these in many ways; here is decided what they mean and what is none.

use std::net::IpAddr;
use std::str::FromStr;

use ingest::body::Prefix;

use super::url::{CanonicalUrl, URL_BYTES_MAX};

/// A shorter prefix is no indicator but half the net: the rules would fire on everything.
const PREFIX_BITS_MIN_V4: u32 = 8;
const PREFIX_BITS_MIN_V6: u32 = 19;
/// DNS' own bound (RFC 1035, 2.3.4).
pub(super) const DOMAIN_BYTES_MAX: usize = 253;
/// RFC 5321, 4.5.3.1.
pub(super) const MAIL_BYTES_MAX: usize = 254;
const LOCAL_PART_BYTES_MAX: usize = 64;

/// What is watched for, in its canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    Address(IpAddr),
    Prefix(Prefix),
    /// The name and everything below it, in lower case without a final dot.
    Domain(String),
    Url(String),
    /// Hexadecimal digits in lower case.
    Hash(HashKind, String),
    /// In lower case.
    Mail(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashKind {
    Md5,
    Sha1,
    Sha256,
}

impl HashKind {
    const ALL: [Self; 3] = [Self::Md5, Self::Sha1, Self::Sha256];

    fn digits(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha1 => 40,
            Self::Sha256 => 64,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }
}

/// A text that is no indicator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("not an address, prefix, domain, URL, hash or mail address: {0:?}")]
    Unreadable(String),
    #[error("the prefix {0} is too short for an indicator (at least /{PREFIX_BITS_MIN_V4}, IPv6 /{PREFIX_BITS_MIN_V6})")]
    TooBroad(Prefix),
}

/// Every kind by its name, as the store and pages have it.
pub const KINDS: [&str; 8] = ["address", "prefix", "domain", "url", "md5", "sha1", "sha256", "mail"];

impl FromStr for Pattern {
    type Err = PatternError;

    /// Also what somebody made harmless for passing on (`hxxp://bad[.]example`).
    fn from_str(text: &str) -> Result<Self, PatternError> {
        let text = refanged(text.trim());
        let text = text.as_str();
        let unreadable = || PatternError::Unreadable(text.chars().take(60).collect());
        if text.len() > URL_BYTES_MAX {
            return Err(unreadable());
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        if let Ok(prefix) = text.parse::<Prefix>() {
            return checked(prefix);
        }
        let hash = HashKind::ALL.into_iter().find(|kind| kind.digits() == text.len());
        if let Some(kind) = hash.filter(|_| text.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Ok(Self::Hash(kind, text.to_ascii_lowercase()));
        }
        if text.contains('/') {
            return CanonicalUrl::parse(text).map(|url| Self::Url(url.as_str().to_owned())).ok_or_else(unreadable);
        }
        if let Some((local, host)) = text.rsplit_once('@') {
            return mail(local, host).map(Self::Mail).ok_or_else(unreadable);
        }
        let name = domain(text);
        if is_name(&name) { Ok(Self::Domain(name)) } else { Err(unreadable()) }
    }
}

impl Pattern {
    /// The name of its kind, one of `KINDS`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Address(_) => "address",
            Self::Prefix(_) => "prefix",
            Self::Domain(_) => "domain",
            Self::Url(_) => "url",
            Self::Hash(kind, _) => kind.as_str(),
            Self::Mail(_) => "mail",
        }
    }

    pub fn value(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Prefix(prefix) => prefix.to_string(),
            Self::Domain(text) | Self::Url(text) | Self::Hash(_, text) | Self::Mail(text) => text.clone(),
        }
    }

    /// The values under which a list may have it: itself, the names above it, a URL by either scheme, its page and its host.
    /// Nets around an address are not among them: `IndicatorSet::pattern` knows those.
    pub fn around(&self) -> Vec<String> {
        let names = |name: &str| {
            let above = std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, above)| above));
            above.filter(|name| name.contains('.')).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut values = vec![self.value()];
        match self {
            Self::Domain(name) => values.extend(names(name)),
            Self::Mail(mail) => values.extend(mail.rsplit_once('@').map(|(_, host)| names(host)).unwrap_or_default()),
            Self::Url(url) => {
                let Some(url) = CanonicalUrl::parse(url) else { return values };
                for page in [url.key(), url.key_of_page()] {
                    values.extend([format!("http://{page}"), format!("https://{page}")]);
                }
                let host = url.host().trim_matches(['[', ']']);
                match host.parse::<IpAddr>() {
                    Ok(address) => values.push(address.to_canonical().to_string()),
                    Err(_) => values.extend(names(host)),
                }
            }
            Self::Address(_) | Self::Prefix(_) | Self::Hash(..) => {}
        }
        values
    }

    /// As stored: a row that this program cannot read is `None`.
    pub(super) fn stored(kind: &str, value: &str) -> Option<Self> {
        value.parse().ok().filter(|pattern: &Self| pattern.kind() == kind)
    }
}

fn checked(prefix: Prefix) -> Result<Pattern, PatternError> {
    let (first, last) = prefix.range();
    if first == last {
        return Ok(Pattern::Address(first.to_canonical()));
    }
    match prefix_bits(prefix) {
        bits if bits < if first.is_ipv4() { PREFIX_BITS_MIN_V4 } else { PREFIX_BITS_MIN_V6 } => Err(PatternError::TooBroad(prefix)),
        _ => Ok(Pattern::Prefix(prefix)),
    }
}

fn prefix_bits(prefix: Prefix) -> u32 {
    match prefix.range() {
        (IpAddr::V4(first), IpAddr::V4(last)) => (first.to_bits() ^ last.to_bits()).leading_zeros(),
        (IpAddr::V6(first), IpAddr::V6(last)) => (first.to_bits() ^ last.to_bits()).leading_zeros(),
        _ => 0,
    }
}

pub(super) fn domain(text: &str) -> String {
    text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()
}

/// A name of more than one label: a top-level domain or a bare word would match far too much. The last label is no number,
/// or it would be an address that somebody mistyped.
pub(super) fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= DOMAIN_BYTES_MAX && name.contains('.') && name.split('.').all(label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

fn mail(local: &str, host: &str) -> Option<String> {
    let host = domain(host);
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | ',' | ';' | '"');
    let fits = (1..=LOCAL_PART_BYTES_MAX).contains(&local.len()) && local.chars().all(plain) && is_name(&host);
    fits.then(|| format!("{}@{host}", local.to_lowercase()))
}

/// What warnings write so that nobody clicks on it, as it was meant.
pub(super) fn refanged(text: &str) -> String {
    let mut text = text.to_owned();
    if text.contains(['[', '(', '{']) {
        for (written, meant) in
            [("[.]", "."), ("(.)", "."), ("{.}", "."), ("[dot]", "."), ("(dot)", "."), ("[:]", ":"), ("[@]", "@"), ("[at]", "@")]
        {
            text = text.replace(written, meant);
        }
    }
    match text.get(..4).map(str::to_ascii_lowercase).as_deref() {
        Some("hxxp") => format!("http{}", text.get(4..).unwrap_or_default()),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_and_what_it_means() {
        for (written, kind, value) in [
            (" 203.0.113.7 ", "address", "203.0.113.7"),
            ("::ffff:203.0.113.7", "address", "203.0.113.7"),
            ("203.0.113.7/32", "address", "203.0.113.7"),
            ("203.0.113.0/24", "prefix", "203.0.113.0/24"),
            ("Bad.Example.", "domain", "bad.example"),
            ("bad[.]example", "domain", "bad.example"),
            ("_dmarc.bad.example", "domain", "_dmarc.bad.example"),
            ("hxxps://bad[.]example:443/a", "url", "https://bad.example/a"),
            ("bad.example/a", "url", "http://bad.example/a"),
            ("D41D8CD98F00B204E9800998ECF8427E", "md5", "d41d8cd98f00b204e9800998ecf8427e"),
            ("da39a3ee5e6b4b0d3255bfef95601890afd80709", "sha1", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("Rechnung@Bad.Example", "mail", "rechnung@bad.example"),
            ("rechnung[@]bad[.]example", "mail", "rechnung@bad.example"),
        ] {
            let pattern: Pattern = written.parse().unwrap();
            assert_eq!((pattern.kind(), pattern.value().as_str()), (kind, value), "{written}");
            assert_eq!(Pattern::stored(kind, value), Some(pattern), "{written}");
        }
        for none in ["com", "999.1.1.1", "a@b", "@bad.example", "http://", "münchen.example", "1.2.3", "a b@c.example", ""] {
            assert!(none.parse::<Pattern>().is_err(), "{none}");
        }
    }

    #[test]
    fn what_would_match_everything_is_refused() {
        let message = |text: &str| text.parse::<Pattern>().unwrap_err().to_string();
        assert_eq!(message("0.0.0.0/0"), "the prefix 0.0.0.0/0 is too short for an indicator (at least /8, IPv6 /19)");
        assert_eq!(message("com"), "not an address, prefix, domain, URL, hash or mail address: \"com\"");
        assert_eq!(message("a b.example"), "not an address, prefix, domain, URL, hash or mail address: \"a b.example\"");
    }
}

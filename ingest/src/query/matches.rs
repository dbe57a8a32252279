//! Evaluating a query on one record: the meaning of the language, to which every index must agree.

use std::cell::OnceCell;
use std::net::IpAddr;

use super::{Glob, Literal, Needle, Node, Pat, Test, TextPattern};
use crate::event::ValueRef;
use crate::fields::{FieldId, Kind};
use crate::record::Record;

/// A record being evaluated; its line is folded once, however many words are asked for.
pub(super) struct Evaluation<'a> {
    record: &'a dyn Record,
    line: OnceCell<String>,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(record: &'a dyn Record) -> Self {
        Self { record, line: OnceCell::new() }
    }

    pub(super) fn holds(&self, node: &Node) -> bool {
        match node {
            Node::All => true,
            Node::And(nodes) => nodes.iter().all(|node| self.holds(node)),
            Node::Or(nodes) => nodes.iter().any(|node| self.holds(node)),
            Node::Not(node) => !self.holds(node),
            Node::Text(pattern) => pattern.found_in(self.line.get_or_init(|| fold(self.record.text()))),
            Node::Field(field, test) => self.record.any_value(*field, &mut |value| test.holds(*field, value)),
            Node::Time(test) => test.holds(self.record.timestamp()),
            Node::Defect(None) => !self.record.defects().is_empty(),
            Node::Defect(Some(defect)) => self.record.defects().contains(*defect),
        }
    }
}

impl Test {
    /// Whether one value passes.
    pub(crate) fn holds(&self, field: FieldId, value: ValueRef<'_>) -> bool {
        let value = normal(field, value);
        match self {
            Self::Exists => true,
            Self::Words(pattern) => pattern.found_in(&fold(&value.text())),
            Self::Equals(literal) => literal.equals(value),
            Self::Glob(glob) => glob.matches(&fold(&value.text())),
            Self::Ints(low, high) => value.as_int().is_some_and(|number| (*low..=*high).contains(&number)),
            Self::Addresses(low, high) => address(value).is_some_and(|ip| ip.is_ipv4() == low.is_ipv4() && (*low..=*high).contains(&ip)),
            Self::Prefix(prefix, literal) => {
                address(value).is_some_and(|ip| prefix.contains(ip)) || (kind(field) != Some(Kind::Ip) && literal.equals(value))
            }
        }
    }
}

impl Literal {
    fn equals(&self, value: ValueRef<'_>) -> bool {
        (self.int.is_some() && self.int == value.as_int())
            || (self.ip.is_some() && self.ip == address(value))
            || fold(&value.text()) == self.folded
    }
}

impl Glob {
    /// Whether the pattern covers the whole of the (folded) text.
    pub(crate) fn matches(&self, folded: &str) -> bool {
        covers(&self.folded, folded)
    }
}

impl TextPattern {
    /// Whether the words stand in the (folded) text, one behind the other with just these gaps.
    pub(crate) fn found_in(&self, folded: &str) -> bool {
        let Needle { finder, whole } = &*self.needle;
        let Some(first) = finder.find(folded.as_bytes()) else { return false };
        if self.words.is_empty() {
            return true;
        }
        // Without wildcards it need only stand where a word begins and end where one ends: nothing is cut into words.
        if *whole {
            let length = finder.needle().len();
            // They may overlap: `1 1` stands in `11 1 1` behind where it does not count.
            let next = |at: &usize| finder.find(folded.as_bytes().get(at + 1..)?).map(|on| at + 1 + on);
            return std::iter::successors(Some(first), next).any(|at| self.stands(folded, at, at + length));
        }
        self.found_in_words(folded)
    }

    /// By cutting the text into its words: what `found_in` means.
    fn found_in_words(&self, folded: &str) -> bool {
        let found: Vec<(usize, &str)> = words(folded).collect();
        found.windows(self.words.len()).any(|window| self.fits(folded, window))
    }

    fn stands(&self, folded: &str, from: usize, to: usize) -> bool {
        let before = folded.get(..from).and_then(|text| text.chars().next_back());
        let behind = folded.get(to..).and_then(|text| text.chars().next());
        (!self.lead.is_empty() || !before.is_some_and(char::is_alphanumeric))
            && (!self.trail.is_empty() || !behind.is_some_and(char::is_alphanumeric))
    }

    /// Whether the words may stand in a text of which some words are left out, each with `hole` in its place.
    pub(crate) fn may_stand_in(&self, folded: &str, hole: char) -> bool {
        let found: Vec<(usize, &str)> = runs(folded, |c| c == hole || c.is_alphanumeric()).collect();
        !self.words.is_empty() && found.windows(self.words.len()).any(|window| self.fits_with(folded, window, Some(hole)))
    }

    fn fits(&self, folded: &str, window: &[(usize, &str)]) -> bool {
        self.fits_with(folded, window, None)
    }

    fn fits_with(&self, folded: &str, window: &[(usize, &str)], hole: Option<char>) -> bool {
        let end = |(at, word): (usize, &str)| at + word.len();
        let (Some(first), Some(last)) = (window.first(), window.last()) else { return false };
        let gaps = window.iter().zip(window.iter().skip(1)).zip(&self.gaps);
        window.iter().zip(&self.words).all(|((_, word), pattern)| hole.is_some_and(|hole| word.starts_with(hole)) || covers(pattern, word))
            && gaps.into_iter().all(|((left, right), gap)| folded.get(end(*left)..right.0) == Some(gap))
            && folded.get(..first.0).is_some_and(|before| before.ends_with(&self.lead))
            && folded.get(end(*last)..).is_some_and(|behind| behind.starts_with(&*self.trail))
    }
}

/// The text in the case in which everything is compared: lower, character by character.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.chars().flat_map(char::to_lowercase).collect() }
}

/// The words of a text with their places: runs of letters and digits, as the index cuts them too.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    runs(text, char::is_alphanumeric)
}

fn runs(text: &str, within: impl Fn(char) -> bool + Copy) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !within(c));
        let length = rest.find(|c: char| !within(c)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at_checked(length).filter(|(word, _)| !word.is_empty())?;
        let at = text.len() - rest.len();
        rest = behind;
        Some((at, word))
    })
}

/// Whether the pattern covers the whole text. Backtracks to the last `*` only, which suffices.
pub(crate) fn covers(pattern: &[Pat], text: &str) -> bool {
    let char_at = |place: usize| text.get(place..).and_then(|rest| rest.chars().next());
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last `*` when what follows it does not fit.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(p), char_at(t)) {
            (None, None) => return true,
            (Some(Pat::Many), _) => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            (Some(Pat::One), Some(c)) => Some(c),
            (Some(Pat::Char(wanted)), Some(c)) if *wanted == c => Some(c),
            _ => None,
        };
        if let Some(c) = step {
            (p, t) = (p + 1, t + c.len_utf8());
            continue;
        }
        let Some((behind_star, from)) = retry else { return false };
        let Some(c) = char_at(from) else { return false };
        retry = Some((behind_star, from + c.len_utf8()));
        (p, t) = (behind_star, from + c.len_utf8());
    }
}

pub(crate) fn kind(field: FieldId) -> Option<Kind> {
    field.known().map(|row| row.kind)
}

/// The value as its field's type, so that `::ffff:10.0.0.1` and `10.0.0.1`, or `"22"` and `22`, are one.
pub(crate) fn normal(field: FieldId, value: ValueRef<'_>) -> ValueRef<'_> {
    match kind(field) {
        Some(Kind::Ip) => address(value).map_or(value, ValueRef::Ip),
        Some(Kind::Int) => value.as_int().map_or(value, ValueRef::Int),
        Some(Kind::Keyword | Kind::Bool) | None => value,
    }
}

fn address(value: ValueRef<'_>) -> Option<IpAddr> {
    value.as_ip().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::body::{SITE_UNKNOWN, SiteTable};
    use crate::event::{Defect, Event};
    use crate::fields;
    use crate::frame::{Seq, Transport};
    use crate::query::Query;
    use crate::record::EventRecord;
    use crate::time::Timestamp;

    fn check(query: &str, expected: bool) {
        let line =
            "<38>Nov 21 14:02:07 rathaus-a sshd[4711]: Failed password for invalid user Müller from ::ffff:10.20.30.40 port 0443 ssh2";
        let mut event = Event::new(Seq(7), Timestamp(0), SITE_UNKNOWN, Ipv4Addr::new(192, 0, 2, 1).into(), Transport::Udp, line.as_bytes());
        event.set_message(line.find("Failed").unwrap()..line.len());
        event.push_text(fields::HOST_NAME, "rathaus-a");
        event.push_text(fields::USER_NAME, "Müller");
        event.push_text(fields::SOURCE_IP, "::ffff:10.20.30.40");
        event.push_text(fields::SOURCE_PORT, "0443");
        event.push_text(fields::EVENT_CODE, "4625");
        event.push_text(fields::FILE_PATH, r"C:\Temp\a b.exe");
        event.push_text(FieldId::intern("vendor.policy").unwrap(), "10.0.0.0/8");
        event.push_int(FieldId::intern("vendor.count").unwrap(), -3);
        event.defects.add(Defect::NoYear);
        let sites = SiteTable::default();
        let parsed = Query::parse_fixed(query).unwrap();
        assert_eq!(parsed.matches(&EventRecord { event: &event, sites: &sites }), expected, "{query}");
    }

    #[test]
    fn the_languages_meaning() {
        for query in [
            "",
            "*",
            "failed",
            "FAILED password",
            "\"failed password\"",
            "müller",
            "MÜLLER",
            "sshd",
            "\"sshd[4711]:\"",
            "fail*",
            "*word",
            "p?ssword",
            "rathaus-a",
            "rathaus-?",
            "10.20.30.40",
            "10.20.*.40",
            "-denied",
            "NOT denied",
            "failed AND NOT denied",
            "denied OR failed",
            "(denied OR failed) sshd",
            "user.name:müller",
            "user.name:MÜL*",
            "user.name:*",
            "source.ip:10.20.30.40",
            "source.ip:10.0.0.0/8",
            "source.ip:\"::ffff:10.20.30.40\"",
            "source.ip:10.20.30.1..10.20.30.99",
            "source.ip:[10.20.0.0 TO 10.20.255.255]",
            "source.ip:10.20.*",
            "source.port:443",
            "source.port:>=443",
            "source.port:<444",
            "source.port:[1 TO 1024]",
            "source.port:1..1024",
            "source.port:4*",
            "event.code:4625",
            "event.code:>4000",
            "_defect:no_year",
            "_defect:*",
            "site:unbekannt",
            "site:UNB*",
            "observer.ip:192.0.2.1",
            "message:failed",
            "message:\"invalid user\"",
            "NOT message:rathaus",
            "vendor.policy:10.0.0.0/8",
            "vendor.count:<0",
            "vendor.count:-3",
            r"file.path:C:\\Temp\\*",
            r"file.path:C:\Temp*",
            r#"file.path:"C:\Temp\a b.exe""#,
            "NOT NOT failed",
            "\"<38>\"",
            "\": \"",
        ] {
            check(query, true);
        }
        for query in [
            "fail",
            "\"password failed\"",
            "\"Failed  password\"",
            "\"ailed password\"",
            "denied",
            "-failed",
            "sshd AND denied",
            "user.name:mül",
            "user.name:?",
            "user.id:*",
            "NOT user.name:*",
            "source.ip:10.0.0.0/16",
            "source.ip:10.20.30.4",
            "source.port:0443*",
            "source.port:>443",
            "event.code:462",
            "_defect:bad_json",
            "NOT _defect:*",
            "message:rathaus",
            "site:x",
            "10.20.*.4",
            "rathaus-??",
            "vendor.count:>=0",
            "\">38<\"",
        ] {
            check(query, false);
        }
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        assert_eq!(words("a-bc, ü9!").collect::<Vec<_>>(), [(0, "a"), (2, "bc"), (6, "ü9")]);
        assert_eq!(words(" -.").count(), 0);
    }

    proptest! {
        #[test]
        fn looking_for_a_text_agrees_with_cutting_into_words(pattern in "[ab1 .*?ü]{1,6}", text in "[ab1 .ü]{0,14}") {
            let pats = pattern.chars().map(|c| match c { '*' => Pat::Many, '?' => Pat::One, c => Pat::Char(c) }).collect();
            let pattern = TextPattern::new(pats);
            let plain = if pattern.words.is_empty() { text.contains(&pattern.lead) } else { pattern.found_in_words(&text) };
            prop_assert_eq!(pattern.found_in(&text), plain);
        }

        #[test]
        fn a_glob_agrees_with_the_plain_recursion(pattern in "[ab?*]{0,8}", text in "[abü]{0,10}") {
            fn naive(pattern: &[Pat], text: &[char]) -> bool {
                match (pattern.split_first(), text.split_first()) {
                    (None, None) => true,
                    (Some((Pat::Many, rest)), _) => naive(rest, text) || (!text.is_empty() && naive(pattern, &text[1..])),
                    (Some((Pat::One, rest)), Some((_, behind))) => naive(rest, behind),
                    (Some((Pat::Char(wanted), rest)), Some((c, behind))) => wanted == c && naive(rest, behind),
                    _ => false,
                }
            }
            let pattern: Vec<Pat> = pattern.chars().map(|c| match c { '*' => Pat::Many, '?' => Pat::One, c => Pat::Char(c) }).collect();
            let chars: Vec<char> = text.chars().collect();
            prop_assert_eq!(covers(&pattern, &text), naive(&pattern, &chars));
        }
    }
}

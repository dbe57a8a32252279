//! Strings of a rule, compiled: Sigma's wildcards and escapes, where a modifier puts more of them, letter case.
//! Matching walks the text at most once per `*`, allocates only to fold case, and knows nothing of records.

use std::borrow::Cow;
use std::ops::Range;

use crate::explanation::How;

/// A string with wildcards: `*` any run, `?` one character, `\` makes either of them (or itself) ordinary.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pattern {
    shape: Shape,
    cased: bool,
}

/// The common shapes are plain string operations.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Any,
    Exact(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    Contains(Box<str>),
    Glob(Box<[Token]>),
}

/// A piece of a rule's string, read once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token {
    Char(char),
    /// `?`: any one character.
    One,
    /// `*`: any run of characters, also none.
    Many,
    /// What `windash` makes of the sign before a switch: any of `DASHES`.
    Dash,
}

/// Where a text that a pattern needs must stand in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Whole,
    Start,
    End,
    Anywhere,
}

/// The signs that Windows programs take before a switch.
pub(crate) const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

impl Token {
    /// As a rule writes it.
    fn sign(self) -> char {
        match self {
            Self::Char(c) => c,
            Self::One => '?',
            Self::Many => '*',
            Self::Dash => '-',
        }
    }

    fn takes(self, c: char) -> bool {
        match self {
            Self::Char(wanted) => wanted == c,
            Self::One => true,
            Self::Dash => DASHES.contains(&c),
            Self::Many => false,
        }
    }
}

/// Where a modifier puts wildcards around a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Whole,
    Contains,
    Start,
    End,
}

impl Pattern {
    pub(crate) fn new(value: Vec<Token>, anchor: Anchor, cased: bool) -> Self {
        let mut tokens = Vec::with_capacity(value.len() + 2);
        if matches!(anchor, Anchor::Contains | Anchor::End) {
            tokens.push(Token::Many);
        }
        tokens.extend(value);
        if matches!(anchor, Anchor::Contains | Anchor::Start) {
            tokens.push(Token::Many);
        }
        tokens.dedup_by(|a, b| *a == Token::Many && *b == Token::Many);
        if !cased {
            tokens = tokens.into_iter().flat_map(fold_token).collect();
        }
        Self { shape: Shape::of(tokens), cased }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        if self.cased { self.holds(text) } else { self.holds(&fold(text)) }
    }

    /// As `matches`, for who has the text in lower case already.
    pub(crate) fn matches_folded(&self, text: &str, folded: &str) -> bool {
        self.holds(if self.cased { text } else { folded })
    }

    fn holds(&self, text: &str) -> bool {
        match &self.shape {
            Shape::Any => true,
            Shape::Exact(wanted) => *text == **wanted,
            Shape::Prefix(wanted) => text.starts_with(&**wanted),
            Shape::Suffix(wanted) => text.ends_with(&**wanted),
            Shape::Contains(wanted) => text.contains(&**wanted),
            Shape::Glob(tokens) => glob(tokens, text),
        }
    }

    /// The bytes of a text that the pattern speaks of, without what only `*` at its ends stands for; `None` where it does not
    /// match.
    pub(crate) fn span(&self, text: &str) -> Option<Range<usize>> {
        let folded = Folded::new(text, self.cased);
        let (held, length) = (&*folded.text, folded.text.len());
        let found = match &self.shape {
            Shape::Any => Some(0..length),
            Shape::Exact(wanted) => (*held == **wanted).then_some(0..length),
            Shape::Prefix(wanted) => held.starts_with(&**wanted).then_some(0..wanted.len()),
            Shape::Suffix(wanted) => held.ends_with(&**wanted).then(|| length - wanted.len()..length),
            Shape::Contains(wanted) => held.find(&**wanted).map(|at| at..at + wanted.len()),
            Shape::Glob(tokens) => glob_span(tokens, held),
        };
        found.map(|range| folded.original(range))
    }

    /// What it asks of a value, for people.
    pub(crate) fn worded(&self) -> (How, String) {
        match &self.shape {
            Shape::Any => (How::Anything, String::new()),
            Shape::Exact(text) => (How::Is, text.to_string()),
            Shape::Prefix(text) => (How::StartsWith, text.to_string()),
            Shape::Suffix(text) => (How::EndsWith, text.to_string()),
            Shape::Contains(text) => (How::Contains, text.to_string()),
            Shape::Glob(tokens) => (How::Like, tokens.iter().map(|token| token.sign()).collect()),
        }
    }

    /// A text, in lower case, that must stand in every value that matches; the longest where there are several. `None`
    /// where every value might.
    pub(crate) fn needs(&self) -> Option<(Place, Cow<'_, str>)> {
        let (place, text) = match &self.shape {
            Shape::Any => return None,
            Shape::Exact(text) => (Place::Whole, Cow::Borrowed(&**text)),
            Shape::Prefix(text) => (Place::Start, Cow::Borrowed(&**text)),
            Shape::Suffix(text) => (Place::End, Cow::Borrowed(&**text)),
            Shape::Contains(text) => (Place::Anywhere, Cow::Borrowed(&**text)),
            Shape::Glob(tokens) => {
                let char_of = |token: &Token| if let Token::Char(c) = token { Some(*c) } else { None };
                let runs = tokens.split(|token| char_of(token).is_none());
                let longest = runs.max_by_key(|run| run.len())?;
                (Place::Anywhere, Cow::Owned(longest.iter().filter_map(char_of).collect()))
            }
        };
        let folded = if self.cased { Cow::Owned(fold(&text).into_owned()) } else { text };
        (place == Place::Whole || !folded.is_empty()).then_some((place, folded))
    }
}

/// pySigma's reading: a backslash counts as an escape only before a wildcard or another backslash, so that
/// `C:\Windows\*` needs no doubling but for its last one.
pub(crate) fn tokens_of(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut escaped = false;
    for c in text.chars() {
        match c {
            '*' | '?' | '\\' if escaped => {
                tokens.push(Token::Char(c));
                escaped = false;
            }
            _ if escaped => {
                tokens.extend([Token::Char('\\'), Token::Char(c)]);
                escaped = false;
            }
            '\\' => escaped = true,
            '*' => tokens.push(Token::Many),
            '?' => tokens.push(Token::One),
            _ => tokens.push(Token::Char(c)),
        }
    }
    if escaped {
        tokens.push(Token::Char('\\'));
    }
    tokens
}

/// pySigma's `windash`: a `-` or `/` that no word stands before and a word follows may be any of the dashes; the one in
/// the middle of `-param-name` stays.
pub(crate) fn windash(tokens: &mut [Token]) {
    let is_word = |token: Option<&Token>| matches!(token, Some(Token::Char(c)) if c.is_alphanumeric() || *c == '_');
    let signs: Vec<usize> = (0usize..)
        .zip(tokens.iter())
        .filter(|(at, token)| {
            let before = at.checked_sub(1).and_then(|before| tokens.get(before));
            matches!(token, Token::Char('-' | '/')) && !is_word(before) && is_word(tokens.get(at + 1))
        })
        .map(|(at, _)| at)
        .collect();
    for at in signs {
        if let Some(token) = tokens.get_mut(at) {
            *token = Token::Dash;
        }
    }
}

impl Shape {
    fn of(tokens: Vec<Token>) -> Self {
        let literal = |tokens: &[Token]| -> Option<Box<str>> {
            let char_of = |token: &Token| if let Token::Char(c) = token { Some(*c) } else { None };
            tokens.iter().map(char_of).collect::<Option<String>>().map(String::into_boxed_str)
        };
        let simple = match tokens.as_slice() {
            [Token::Many] => Some(Self::Any),
            [Token::Many, middle @ .., Token::Many] => literal(middle).map(Self::Contains),
            [Token::Many, rest @ ..] => literal(rest).map(Self::Suffix),
            [rest @ .., Token::Many] => literal(rest).map(Self::Prefix),
            all => literal(all).map(Self::Exact),
        };
        simple.unwrap_or(Self::Glob(tokens.into()))
    }
}

/// Lower case character by character: `str::to_lowercase` looks at the neighbours (the Greek final sigma), and
/// then a part of a text would no longer be a part of it.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
}

fn fold_token(token: Token) -> Vec<Token> {
    match token {
        Token::Char(c) => c.to_lowercase().map(Token::Char).collect(),
        other => vec![other],
    }
}

/// Where `other` stands in `value` in the place that `anchor` names.
pub(crate) fn span_of(value: &str, other: &str, anchor: Anchor, cased: bool) -> Option<Range<usize>> {
    let (value, other) = (Folded::new(value, cased), Folded::new(other, cased));
    let (held, wanted) = (&*value.text, &*other.text);
    let found = match anchor {
        Anchor::Whole => (held == wanted).then_some(0..held.len()),
        Anchor::Contains => held.find(wanted).map(|at| at..at + wanted.len()),
        Anchor::Start => held.starts_with(wanted).then_some(0..wanted.len()),
        Anchor::End => held.ends_with(wanted).then(|| held.len() - wanted.len()..held.len()),
    };
    found.map(|range| value.original(range))
}

/// A text in the case that is compared, which knows where its bytes came from.
struct Folded<'t> {
    text: Cow<'t, str>,
    /// By byte: where the character it came from stands, and where that ends. Empty where nothing has moved.
    origin: Vec<(usize, usize)>,
}

impl<'t> Folded<'t> {
    fn new(text: &'t str, cased: bool) -> Self {
        if cased || text.is_ascii() {
            return Self { text: if cased { Cow::Borrowed(text) } else { fold(text) }, origin: Vec::new() };
        }
        let (mut folded, mut origin) = (String::with_capacity(text.len()), Vec::with_capacity(text.len()));
        for (at, c) in text.char_indices() {
            folded.extend(c.to_lowercase());
            origin.resize(folded.len(), (at, at + c.len_utf8()));
        }
        Self { text: Cow::Owned(folded), origin }
    }

    fn original(&self, range: Range<usize>) -> Range<usize> {
        if self.origin.is_empty() {
            return range;
        }
        let whole = self.origin.last().map_or(0, |(_, end)| *end);
        let start = self.origin.get(range.start).map_or(whole, |(start, _)| *start);
        let end = range.end.checked_sub(1).and_then(|last| self.origin.get(last)).map_or(0, |(_, end)| *end);
        start..end.max(start)
    }
}

/// Where the pieces between the `*` of a pattern stand: the first as far left as can be, each other behind the one before.
fn glob_span(tokens: &[Token], text: &str) -> Option<Range<usize>> {
    let pieces: Vec<&[Token]> = tokens.split(|token| *token == Token::Many).collect();
    let last = pieces.len().saturating_sub(1);
    let (mut from, mut start, mut end) = (0, None, 0);
    for (number, piece) in pieces.into_iter().enumerate() {
        // Only at the ends: two `*` never stand beside each other.
        if piece.is_empty() {
            continue;
        }
        let at = if number == 0 {
            0
        } else if number == last {
            text.char_indices().rev().nth(piece.len() - 1).map(|(at, _)| at).filter(|at| *at >= from)?
        } else {
            let rest = text.get(from..)?;
            from + rest.char_indices().map(|(at, _)| at).find(|at| piece_end(piece, rest.get(*at..).unwrap_or_default()).is_some())?
        };
        end = at + piece_end(piece, text.get(at..)?)?;
        (from, start) = (end, start.or(Some(at)));
    }
    let closed = tokens.last() != Some(&Token::Many);
    (!closed || end == text.len()).then(|| start.unwrap_or(0)..end)
}

/// The length of what the piece takes at the beginning of the text.
fn piece_end(piece: &[Token], text: &str) -> Option<usize> {
    let mut chars = text.chars();
    piece.iter().all(|token| chars.next().is_some_and(|c| token.takes(c))).then(|| text.len() - chars.as_str().len())
}

/// Greedy with one step back to the last `*`: at most text × pattern steps, no recursion.
fn glob(tokens: &[Token], text: &str) -> bool {
    let mut pattern = tokens;
    let mut rest = text.chars();
    let mut retry: Option<(&[Token], std::str::Chars<'_>)> = None;
    loop {
        match pattern.split_first() {
            Some((Token::Many, behind)) => {
                if behind.is_empty() {
                    return true;
                }
                retry = Some((behind, rest.clone()));
                pattern = behind;
                continue;
            }
            Some((token, behind)) => {
                let mut ahead = rest.clone();
                if let Some(c) = ahead.next()
                    && token.takes(c)
                {
                    rest = ahead;
                    pattern = behind;
                    continue;
                }
            }
            None if rest.as_str().is_empty() => return true,
            None => {}
        }
        // Let the last `*` take one character more.
        let Some((behind, mut from)) = retry.take() else { return false };
        if from.next().is_none() {
            return false;
        }
        pattern = behind;
        rest = from.clone();
        retry = Some((behind, from));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::RegexBuilder;

    use super::*;

    /// pattern, anchor, matching texts, other texts.
    #[test]
    fn strings_wildcards_and_escapes() {
        use Anchor::{Contains, End, Start, Whole};
        let table: &[(&str, Anchor, &[&str], &[&str])] = &[
            ("root", Whole, &["root", "ROOT"], &["roott", "", "root "]),
            ("", Whole, &[""], &["x"]),
            ("*", Whole, &["", "x"], &[]),
            ("?", Whole, &["x", "ä"], &["", "xy"]),
            ("a*b", Whole, &["ab", "aXXb", "A*B"], &["abc", "ba"]),
            (r"a\*b", Whole, &["a*b"], &["aXb", "ab"]),
            (r"a\?b", Whole, &["a?b"], &["aXb"]),
            (r"a\\b", Whole, &[r"a\b"], &[r"a\\b"]),
            (r"C:\Windows\*", Whole, &[r"c:\windows*"], &[r"C:\Windows\system32"]),
            (r"C:\Windows\\*", Whole, &[r"c:\windows\", r"C:\Windows\system32"], &[r"C:\Windows"]),
            (r"ends\", Whole, &[r"ends\"], &["ends"]),
            ("foo", Contains, &["foo", "a FOO b"], &["fo"]),
            ("foo", Start, &["foobar", "foo"], &["a foo"]),
            ("foo", End, &["a foo", "foo"], &["foobar"]),
            ("f?o", Contains, &["a fxo b", "foo"], &["fo"]),
            ("a*b*c", Contains, &["..a.b.b.c..", "abc"], &["a c b"]),
            ("*a*", Contains, &["xax"], &["x"]),
            ("ÄRZTE", Whole, &["ärzte"], &["arzte"]),
            ("ΣΑΣ", End, &["x σασ"], &["x"]),
        ];
        for (text, anchor, hits, misses) in table {
            let pattern = Pattern::new(tokens_of(text), *anchor, false);
            hits.iter().for_each(|hit| assert!(pattern.matches(hit), "{text} {anchor:?} {hit}"));
            misses.iter().for_each(|miss| assert!(!pattern.matches(miss), "{text} {anchor:?} {miss}"));
        }
        let cased = Pattern::new(tokens_of("Foo"), Anchor::Contains, true);
        assert!(cased.matches("a Foo") && !cased.matches("a foo"));
    }

    #[test]
    fn windash_takes_the_sign_before_a_switch_only() {
        let shown = |text: &str| -> String {
            let mut tokens = tokens_of(text);
            windash(&mut tokens);
            let sign = |token: Token| match token {
                Token::Char(c) => c,
                Token::One => '?',
                Token::Many => '*',
                Token::Dash => '~',
            };
            tokens.into_iter().map(sign).collect()
        };
        let table = [
            ("-param-name", "~param-name"),
            (" /s /q", " ~s ~q"),
            ("a-b c/d", "a-b c/d"),
            ("--long", "-~long"),
            ("-", "-"),
            ("- x", "- x"),
            ("*-enc*", "*~enc*"),
            ("x?-y", "x?~y"),
            ("\u{2013}enc", "\u{2013}enc"),
        ];
        table.into_iter().for_each(|(text, expected)| assert_eq!(shown(text), expected, "{text}"));
        let mut tokens = tokens_of("-ENC");
        windash(&mut tokens);
        let pattern = Pattern::new(tokens, Anchor::Contains, false);
        DASHES.iter().for_each(|dash| assert!(pattern.matches(&format!("powershell {dash}enc abc"))));
        assert!(!pattern.matches("powershell enc"));
    }

    /// The bytes that are marked, also where folding makes a text longer or shorter.
    #[test]
    fn what_matched_is_marked() {
        use Anchor::{Contains, End, Start, Whole};
        let table: &[(&str, Anchor, &str, Option<&str>)] = &[
            ("cmd", Contains, r"C:\CMD.EXE", Some("CMD")),
            (".exe", End, r"C:\CMD.EXE", Some(".EXE")),
            ("c:", Start, r"C:\CMD.EXE", Some("C:")),
            ("x", Contains, "abc", None),
            ("a*b*c", Contains, "..a.b.b.c..c", Some("a.b.b.c")),
            ("a*c", Whole, "abcbc", Some("abcbc")),
            ("*b?c*d", Whole, "abxcyd", Some("bxcyd")),
            ("ß", Contains, "Straße", Some("ß")),
            ("i", End, "İI", Some("I")),
            ("weg", Contains, "İİ WEG", Some("WEG")),
            ("*", Whole, "alles", Some("alles")),
            ("", Whole, "", Some("")),
        ];
        for (text, anchor, value, expected) in table {
            let pattern = Pattern::new(tokens_of(text), *anchor, false);
            assert_eq!(pattern.span(value).and_then(|range| value.get(range)), *expected, "{text} {anchor:?} {value}");
        }
    }

    proptest! {
        /// The shapes and the backtracking agree with the same pattern written as a regular expression.
        #[test]
        fn patterns_agree_with_regular_expressions(pattern in r"[ab*?\\]{0,8}", text in r"[abAB*?\\]{0,12}", anchor in 0..4usize) {
            let anchor = [Anchor::Whole, Anchor::Contains, Anchor::Start, Anchor::End][anchor];
            let body: String = tokens_of(&pattern).into_iter().map(|token| match token {
                Token::Char(c) => regex::escape(&c.to_string()),
                Token::One => ".".into(),
                Token::Dash => unreachable!("only windash makes it"),
                Token::Many => ".*".into(),
            }).collect();
            let (before, behind) = match anchor {
                Anchor::Whole => ("", ""), Anchor::Contains => (".*", ".*"), Anchor::Start => ("", ".*"), Anchor::End => (".*", ""),
            };
            for cased in [false, true] {
                let wanted = RegexBuilder::new(&format!("^{before}{body}{behind}$")).case_insensitive(!cased)
                    .dot_matches_new_line(true).build().unwrap();
                let pattern = Pattern::new(tokens_of(&pattern), anchor, cased);
                prop_assert_eq!(pattern.matches(&text), wanted.is_match(&text));
                prop_assert_eq!(pattern.span(&text).is_some(), wanted.is_match(&text));
            }
        }
    }
}

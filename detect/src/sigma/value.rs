//! A value in a rule, compiled: string patterns with Sigma's wildcards and escapes, numbers, truth values, null,
//! regular expressions and address ranges. Matching parses nothing but the record's own value.

use std::borrow::Cow;
use std::cmp::Ordering;

use ingest::body::Prefix;
use ingest::event::ValueRef;
use regex::Regex;

/// What one value of a rule asks of one value of a record.
#[derive(Clone, Debug)]
pub(crate) enum Matcher {
    Text(Pattern),
    Number(Number),
    Bool(bool),
    Compare(Comparison, Number),
    Regex(Regex),
    Cidr(Prefix),
    /// The field is missing (`true` in `Exists` means present). These two ask about the field, not its values.
    Null,
    Exists(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Lt,
    Lte,
    Gt,
    Gte,
}

/// A number in a rule; integers stay exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
}

impl Matcher {
    pub(crate) fn matches(&self, value: ValueRef<'_>) -> bool {
        match self {
            Self::Text(pattern) => pattern.matches(&value.text()),
            Self::Number(number) => number.compare(value) == Some(Ordering::Equal),
            Self::Bool(truth) => match value {
                ValueRef::Bool(found) => found == *truth,
                ValueRef::Str(text) => text.eq_ignore_ascii_case(if *truth { "true" } else { "false" }),
                ValueRef::Int(_) | ValueRef::Ip(_) => false,
            },
            Self::Compare(comparison, number) => number.compare(value).is_some_and(|order| comparison.holds(order)),
            Self::Regex(regex) => regex.is_match(&value.text()),
            Self::Cidr(prefix) => value.as_ip().is_some_and(|address| prefix.contains(address.to_canonical())),
            Self::Null | Self::Exists(_) => false,
        }
    }
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Lt => order.is_lt(),
            Self::Lte => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::Gte => order.is_ge(),
        }
    }
}

impl Number {
    /// How the record's value stands to this number; `None` where it is no number.
    fn compare(self, value: ValueRef<'_>) -> Option<Ordering> {
        if let (Self::Int(wanted), Some(found)) = (self, value.as_int()) {
            return Some(found.cmp(&wanted));
        }
        let found = match value {
            // Beyond 2^53 this rounds, and only where the rule itself gave a float.
            ValueRef::Int(number) => number as f64,
            ValueRef::Str(text) => text.parse().ok()?,
            ValueRef::Ip(_) | ValueRef::Bool(_) => return None,
        };
        let wanted = match self {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        };
        found.partial_cmp(&wanted)
    }
}

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

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    Char(char),
    One,
    Many,
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
    pub(crate) fn new(text: &str, anchor: Anchor, cased: bool) -> Self {
        let mut tokens = Vec::new();
        if matches!(anchor, Anchor::Contains | Anchor::End) {
            tokens.push(Token::Many);
        }
        tokens.extend(tokens_of(text));
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
        let text = if self.cased { Cow::Borrowed(text) } else { fold(text) };
        match &self.shape {
            Shape::Any => true,
            Shape::Exact(wanted) => *text == **wanted,
            Shape::Prefix(wanted) => text.starts_with(&**wanted),
            Shape::Suffix(wanted) => text.ends_with(&**wanted),
            Shape::Contains(wanted) => text.contains(&**wanted),
            Shape::Glob(tokens) => glob(tokens, &text),
        }
    }
}

/// pySigma's reading: a backslash counts as an escape only before a wildcard or another backslash, so that
/// `C:\Windows\*` needs no doubling but for its last one.
fn tokens_of(text: &str) -> Vec<Token> {
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
fn fold(text: &str) -> Cow<'_, str> {
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
                    && (*token == Token::One || *token == Token::Char(c))
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
            let pattern = Pattern::new(text, *anchor, false);
            hits.iter().for_each(|hit| assert!(pattern.matches(hit), "{text} {anchor:?} {hit}"));
            misses.iter().for_each(|miss| assert!(!pattern.matches(miss), "{text} {anchor:?} {miss}"));
        }
        let cased = Pattern::new("Foo", Anchor::Contains, true);
        assert!(cased.matches("a Foo") && !cased.matches("a foo"));
    }

    #[test]
    fn numbers_and_truth_values_against_texts() {
        let seven = Matcher::Number(Number::Int(7));
        let table = [(ValueRef::Int(7), true), (ValueRef::Str("7"), true), (ValueRef::Str("7.0"), true), (ValueRef::Str("x7"), false)];
        table.into_iter().for_each(|(value, expected)| assert_eq!(seven.matches(value), expected, "{value:?}"));
        let half = Matcher::Compare(Comparison::Gte, Number::Float(0.5));
        assert!(half.matches(ValueRef::Int(1)) && half.matches(ValueRef::Str("0.5")) && !half.matches(ValueRef::Str("0.49")));
        let exact = Matcher::Compare(Comparison::Lt, Number::Int(i64::MAX));
        assert!(exact.matches(ValueRef::Int(i64::MAX - 1)) && !exact.matches(ValueRef::Int(i64::MAX)));
        assert!(Matcher::Bool(true).matches(ValueRef::Str("True")) && !Matcher::Bool(true).matches(ValueRef::Int(1)));
    }

    proptest! {
        /// The shapes and the backtracking agree with the same pattern written as a regular expression.
        #[test]
        fn patterns_agree_with_regular_expressions(pattern in r"[ab*?\\]{0,8}", text in r"[abAB*?\\]{0,12}", anchor in 0..4usize) {
            let anchor = [Anchor::Whole, Anchor::Contains, Anchor::Start, Anchor::End][anchor];
            let body: String = tokens_of(&pattern).into_iter().map(|token| match token {
                Token::Char(c) => regex::escape(&c.to_string()),
                Token::One => ".".into(),
                Token::Many => ".*".into(),
            }).collect();
            let (before, behind) = match anchor {
                Anchor::Whole => ("", ""), Anchor::Contains => (".*", ".*"), Anchor::Start => ("", ".*"), Anchor::End => (".*", ""),
            };
            for cased in [false, true] {
                let wanted = RegexBuilder::new(&format!("^{before}{body}{behind}$")).case_insensitive(!cased)
                    .dot_matches_new_line(true).build().unwrap();
                prop_assert_eq!(Pattern::new(&pattern, anchor, cased).matches(&text), wanted.is_match(&text));
            }
        }
    }
}

//! The query language of search, live tail, flows and saved searches: parsed (`parse`), printed back canonically
//! (`Display`), and evaluated on one record (`matches`). The stores compile the same tree to what their indexes can
//! answer (`crate::events::plan`); `Query::matches` stays the truth that they are measured by.
//!
//! Words and "phrases" are free text: they match whole words of the line, whatever their case; `*` and `?` stand for
//! letters and digits of one word. In `field:value` they stand for any characters of the value.

mod error;
mod lex;
mod matches;
mod parse;
mod pipe;
mod pipe_parse;
#[cfg(test)]
mod pipe_tests;
#[cfg(test)]
mod tests;
mod time;

use std::fmt;
use std::net::IpAddr;

use crate::body::Prefix;
use crate::event::Defect;
use crate::fields::FieldId;
use crate::record::Record;
use crate::time::Timestamp;

pub use error::QueryError;
pub use pipe::{Column, ColumnKind, Function, Measure, Operand, Pipeline, Rank, SortKey, Stage};
pub use time::{TIMESTAMP, Width};

pub(crate) use matches::{covers, fold, normal, words};
pub(crate) use time::TimeTest;

/// Longer queries come from programs that should ask twice.
pub const QUERY_BYTES_MAX: usize = 8 * 1024;
/// Nesting of parentheses and NOT; the evaluation recurses this deep.
pub const QUERY_DEPTH_MAX: usize = 32;
/// Each term may cost a walk through a dictionary.
pub const QUERY_TERMS_MAX: usize = 256;
/// `*` in one pattern; matching backtracks over them.
pub const QUERY_STARS_MAX: usize = 8;

/// `*` in all patterns together: each such term is held against every candidate line.
pub const QUERY_STARS_TOTAL_MAX: usize = 32;

/// A parsed query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    root: Node,
}

impl Query {
    /// What lines are asked for, wherever only lines can be told: `Pipeline::parse` of the same text, and a table is
    /// refused. `@timestamp:>now-24h` counts from `now`; it prints as it was written, so that a saved one can be parsed
    /// anew each time.
    ///
    /// # Errors
    /// What cannot be understood or is beyond a bound.
    pub fn parse_at(text: &str, now: Timestamp) -> Result<Self, QueryError> {
        pipe_parse::parse_lines(text, Some(now))
    }

    /// As `parse_at`, for what must mean the same for ever (a legal hold): relative times are refused.
    ///
    /// # Errors
    /// As `parse_at`.
    pub fn parse_fixed(text: &str) -> Result<Self, QueryError> {
        pipe_parse::parse_lines(text, None)
    }

    /// The query that every record matches.
    pub fn all() -> Self {
        Self { root: Node::All }
    }

    /// Evaluates the query on one record, without any index.
    pub fn matches(&self, record: &dyn Record) -> bool {
        matches::Evaluation::new(record).holds(&self.root)
    }

    /// The first and the last millisecond in which a record can match, as far as its tests on `@timestamp` say so.
    pub(crate) fn time_bounds(&self) -> (i64, i64) {
        let tests: &[Node] = if let Node::And(nodes) = &self.root { nodes } else { std::slice::from_ref(&self.root) };
        let bounds = tests.iter().filter_map(|node| if let Node::Time(test) = node { Some(test.bounds()) } else { None });
        bounds.fold((i64::MIN, i64::MAX), |(first, last), (low, high)| (first.max(low), last.min(high)))
    }

    /// How much it can take, by its form alone: for who must not take everything by mistake.
    pub fn reach(&self) -> Reach {
        match &self.root {
            Node::All => Reach::Everything,
            root if root.names_something() => Reach::Named,
            _ => Reach::Open,
        }
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }

    pub(crate) fn of(root: Node) -> Self {
        Self { root }
    }
}

/// What `Query::reach` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every record there is.
    Everything,
    /// Whatever is not, was not or is at all: negations, times, fields with any value.
    Open,
    /// Only what has a word or a value in it.
    Named,
}

/// The tree. `And` and `Or` are flat: neither holds another of its own kind, nor fewer than two.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    All,
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    /// Free text on the line.
    Text(TextPattern),
    Field(FieldId, Test),
    /// The record's own time.
    Time(TimeTest),
    /// This defect, or any.
    Defect(Option<Defect>),
}

impl Node {
    /// Whether each match has something in it that the query names.
    fn names_something(&self) -> bool {
        let named = |pattern: &[Pat]| pattern.iter().any(|pat| matches!(pat, Pat::Char(_)));
        match self {
            Self::All | Self::Time(_) | Self::Defect(None) => false,
            Self::And(nodes) => nodes.iter().any(Self::names_something),
            Self::Or(nodes) => nodes.iter().all(Self::names_something),
            Self::Not(node) => matches!(&**node, Self::Not(inner) if inner.names_something()),
            Self::Text(pattern) | Self::Field(_, Test::Words(pattern)) => named(&pattern.shown),
            Self::Field(_, Test::Exists) => false,
            Self::Field(_, Test::Glob(glob)) => named(&glob.shown),
            Self::Field(..) | Self::Defect(Some(_)) => true,
        }
    }
}

/// What a field's value is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Exists,
    /// Free text within the value: only for `message`, whose values are sentences.
    Words(TextPattern),
    Equals(Literal),
    Glob(Glob),
    /// Both ends included.
    Ints(i64, i64),
    /// Both ends included, both of one family.
    Addresses(IpAddr, IpAddr),
    /// An address in the prefix; or, in a field that is no address, the text itself.
    Prefix(Prefix, Literal),
}

/// A value to be equal to, whatever its case; a number or an address also in other spellings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Literal {
    pub(crate) text: String,
    pub(crate) folded: String,
    pub(crate) int: Option<i64>,
    pub(crate) ip: Option<IpAddr>,
}

/// One element of a wildcard pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pat {
    Char(char),
    /// `?`
    One,
    /// `*`
    Many,
}

/// A wildcard pattern on a whole value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Glob {
    shown: Vec<Pat>,
    pub(crate) folded: Vec<Pat>,
}

/// The longest stretch of a pattern without wildcards, ready to be looked for.
#[derive(Clone, Debug)]
pub(crate) struct Needle {
    finder: memchr::memmem::Finder<'static>,
    /// It is all of the pattern.
    whole: bool,
}

/// Made of the pattern that stands beside it.
impl PartialEq for Needle {
    fn eq(&self, other: &Self) -> bool {
        self.finder.needle() == other.finder.needle()
    }
}

impl Needle {
    fn of(folded: &[Pat]) -> Self {
        let char_of = |pat: &Pat| if let Pat::Char(c) = pat { Some(*c) } else { None };
        let stretches = folded.split(|pat| char_of(pat).is_none()).map(|stretch| stretch.iter().filter_map(char_of).collect::<String>());
        let longest = stretches.max_by_key(String::len).unwrap_or_default();
        let whole = folded.iter().all(|pat| char_of(pat).is_some());
        Self { finder: memchr::memmem::Finder::new(longest.as_bytes()).into_owned(), whole }
    }
}

/// Free text: words with exactly what stands between them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TextPattern {
    shown: Vec<Pat>,
    /// What stands directly before the first word (or all of it, where there is no word).
    pub(crate) lead: String,
    pub(crate) words: Vec<Vec<Pat>>,
    /// What stands between the words; one fewer than words.
    pub(crate) gaps: Vec<String>,
    /// What stands directly behind the last word.
    pub(crate) trail: Box<str>,
    /// What every matching text has in it.
    needle: Box<Needle>,
}

impl TextPattern {
    pub(crate) fn new(shown: Vec<Pat>) -> Self {
        let (mut words, mut gaps, mut gap) = (Vec::<Vec<Pat>>::new(), Vec::new(), String::new());
        let mut in_word = false;
        let folded = fold_pattern(&shown);
        // Large, and every term of a query has one.
        let needle = Box::new(Needle::of(&folded));
        for pat in folded {
            match pat {
                Pat::Char(c) if !c.is_alphanumeric() => {
                    gap.push(c);
                    in_word = false;
                }
                _ if in_word => words.last_mut().into_iter().for_each(|word| word.push(pat)),
                _ => {
                    gaps.push(std::mem::take(&mut gap));
                    words.push(vec![pat]);
                    in_word = true;
                }
            }
        }
        // The first gap stands before the first word; what is left behind the last.
        if gaps.is_empty() {
            return Self { shown, lead: gap, words, gaps, trail: Box::default(), needle };
        }
        let lead = gaps.remove(0);
        Self { shown, lead, words, gaps, trail: gap.into(), needle }
    }

    /// The pattern of a plain text.
    pub(crate) fn of(text: &str) -> Self {
        Self::new(text.chars().map(Pat::Char).collect())
    }

    /// The text, where there is no wildcard in it.
    pub(crate) fn literal(&self) -> Option<String> {
        self.shown.iter().map(|pat| if let Pat::Char(c) = pat { Some(*c) } else { None }).collect()
    }

    /// Whether having the one word is all that is asked.
    pub(crate) fn is_one_word(&self) -> bool {
        self.words.len() == 1 && self.lead.is_empty() && self.trail.is_empty()
    }
}

impl Glob {
    pub(crate) fn new(shown: Vec<Pat>) -> Self {
        let folded = fold_pattern(&shown);
        Self { shown, folded }
    }
}

impl Literal {
    pub(crate) fn new(text: String) -> Self {
        Self { folded: fold(&text), text, int: None, ip: None }
    }

    pub(crate) fn address(ip: IpAddr) -> Self {
        Self { ip: Some(ip), ..Self::new(ip.to_string()) }
    }
}

fn fold_pattern(pattern: &[Pat]) -> Vec<Pat> {
    let mut folded = Vec::with_capacity(pattern.len());
    for pat in pattern {
        match pat {
            Pat::Char(c) => folded.extend(c.to_lowercase().map(Pat::Char)),
            other => folded.push(*other),
        }
    }
    folded
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.root, f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::And(nodes) => joined(f, nodes, " AND "),
            Self::Or(nodes) => joined(f, nodes, " OR "),
            Self::Not(node) => {
                f.write_str("NOT ")?;
                operand(f, node)
            }
            Self::Text(pattern) => pattern_text(f, &pattern.shown, false),
            Self::Field(field, test) => {
                write!(f, "{}:", field.name())?;
                fmt::Display::fmt(test, f)
            }
            Self::Time(test) => write!(f, "{TIMESTAMP}:{test}"),
            Self::Defect(None) => f.write_str("_defect:*"),
            Self::Defect(Some(defect)) => write!(f, "_defect:{}", defect.name()),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("*"),
            Self::Words(pattern) => pattern_text(f, &pattern.shown, true),
            Self::Glob(glob) => pattern_text(f, &glob.shown, true),
            Self::Equals(literal) => literal_text(f, &literal.text, true),
            Self::Ints(low, i64::MAX) => write!(f, ">={low}"),
            Self::Ints(i64::MIN, high) => write!(f, "<={high}"),
            Self::Ints(low, high) => write!(f, "[{low} TO {high}]"),
            Self::Addresses(low, high) => write!(f, "[{low} TO {high}]"),
            Self::Prefix(_, literal) => f.write_str(&literal.text),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, nodes: &[Node], between: &str) -> fmt::Result {
    for (n, node) in nodes.iter().enumerate() {
        if n > 0 {
            f.write_str(between)?;
        }
        operand(f, node)?;
    }
    Ok(())
}

fn operand(f: &mut fmt::Formatter<'_>, node: &Node) -> fmt::Result {
    match node {
        Node::And(_) | Node::Or(_) => write!(f, "({node})"),
        _ => fmt::Display::fmt(node, f),
    }
}

/// A pattern: with wildcards bare and escaped, without them as a literal.
fn pattern_text(f: &mut fmt::Formatter<'_>, pattern: &[Pat], in_field: bool) -> fmt::Result {
    let literal: Option<String> = pattern.iter().map(|pat| if let Pat::Char(c) = pat { Some(*c) } else { None }).collect();
    if let Some(text) = literal {
        return literal_text(f, &text, in_field);
    }
    for (n, pat) in pattern.iter().enumerate() {
        match pat {
            Pat::One => f.write_str("?")?,
            Pat::Many => f.write_str("*")?,
            Pat::Char(c) if plain(*c, n, in_field) => write!(f, "{c}")?,
            Pat::Char(c) => write!(f, "\\{c}")?,
        }
    }
    Ok(())
}

fn literal_text(f: &mut fmt::Formatter<'_>, text: &str, in_field: bool) -> fmt::Result {
    let bare = !text.is_empty()
        && !text.contains("..")
        && !matches!(text, "AND" | "OR" | "NOT" | "TO")
        && text.chars().enumerate().all(|(n, c)| plain(c, n, in_field));
    if bare {
        return f.write_str(text);
    }
    f.write_str("\"")?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{c}")?;
    }
    f.write_str("\"")
}

/// Characters that need neither quotes nor a backslash.
fn plain(c: char, place: usize, in_field: bool) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '@' | '/') || (c == '-' && place > 0) || (c == ':' && in_field)
}

//! The query language of search, live tail, flows and saved searches: parsed (`parse`), printed back canonically
//! (`Display`), and evaluated on one record (`matches`). The stores compile the same tree to what their indexes can
//! answer (`crate::events::plan`); `Query::matches` stays the truth that they are measured by.
//!
//! Words and "phrases" are free text: they match whole words of the line, whatever their case; `*` and `?` stand for
//! letters and digits of one word. In `field:value` they stand for any characters of the value.

mod matches;
mod parse;

use std::fmt;
use std::net::IpAddr;

use crate::body::Prefix;
use crate::event::Defect;
use crate::fields::FieldId;
use crate::record::Record;

pub(crate) use matches::{covers, fold, normal, words};

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

/// A query that cannot be understood: where, and in German what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (Stelle {at})")]
pub struct QueryError {
    /// Byte offset in the query's text.
    pub at: usize,
    pub message: String,
}

/// A parsed query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    root: Node,
}

impl Query {
    /// # Errors
    /// What cannot be understood or is beyond a bound.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        parse::parse(text).map(|root| Self { root })
    }

    /// The query that every record matches.
    pub fn all() -> Self {
        Self { root: Node::All }
    }

    /// Evaluates the query on one record, without any index.
    pub fn matches(&self, record: &dyn Record) -> bool {
        matches::Evaluation::new(record).holds(&self.root)
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }

    pub(crate) fn of(root: Node) -> Self {
        Self { root }
    }
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
    /// This defect, or any.
    Defect(Option<Defect>),
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
    pub(crate) trail: String,
}

impl TextPattern {
    pub(crate) fn new(shown: Vec<Pat>) -> Self {
        let (mut words, mut gaps, mut gap) = (Vec::<Vec<Pat>>::new(), Vec::new(), String::new());
        let mut in_word = false;
        for pat in fold_pattern(&shown) {
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
            return Self { shown, lead: gap, words, gaps, trail: String::new() };
        }
        let lead = gaps.remove(0);
        Self { shown, lead, words, gaps, trail: gap }
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

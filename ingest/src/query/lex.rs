//! Cutting a query into tokens, with nom: parentheses, keywords, words with wildcards, quoted texts, and `field:` with
//! what stands behind it. Which of them may follow on which is `parse`'s affair.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{anychar, char, multispace0, multispace1, none_of, satisfy};
use nom::combinator::{cut, map, opt, recognize, value, verify};
use nom::multi::{many0, many1};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use super::error::{Fault, Parsed, fail};
use super::{Pat, QUERY_STARS_TOTAL_MAX, QUERY_TERMS_MAX};

#[derive(Debug)]
pub(super) struct Token<'a> {
    pub(super) at: usize,
    /// Behind its last byte.
    pub(super) end: usize,
    pub(super) lexeme: Lexeme<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lexeme<'a> {
    Open,
    Close,
    And,
    Or,
    Not,
    Text(Vec<Pat>),
    Field(&'a str, Asked<'a>),
}

/// What stands behind `field:`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asked<'a> {
    Nothing,
    Group,
    Value(Vec<Pat>),
    Compare(Sign, &'a str),
    Range(&'a str, &'a str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sign {
    AtLeast,
    AtMost,
    Above,
    Below,
}

pub(super) fn lex(text: &str) -> Parsed<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let (mut terms, mut stars) = (0, 0);
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let at = text.len() - rest.len();
        let Ok((behind, lexeme)) = lexeme(rest) else {
            return Err(lexical_error(rest, at, text.trim_end().len()));
        };
        terms += usize::from(matches!(lexeme, Lexeme::Text(_) | Lexeme::Field(..)));
        if terms > QUERY_TERMS_MAX {
            return fail(
                at,
                format!("Mehr als {QUERY_TERMS_MAX} Suchbegriffe. Bitte teilen Sie die Suche, oder nehmen Sie einen Bereich."),
            );
        }
        let end = text.len() - behind.len();
        stars += stars_of(&lexeme);
        if stars > QUERY_STARS_TOTAL_MAX {
            return fail(at, format!("Mehr als {QUERY_STARS_TOTAL_MAX} Sternchen. Bitte suchen Sie mit ganzen Wörtern."));
        }
        tokens.push(Token { at, end, lexeme });
        rest = behind.trim_start();
    }
    Ok(tokens)
}

/// Wildcards; a `*` in quotation marks or behind a backslash is a character like others.
fn stars_of(lexeme: &Lexeme<'_>) -> usize {
    match lexeme {
        Lexeme::Text(pattern) | Lexeme::Field(_, Asked::Value(pattern)) => pattern.iter().filter(|pat| **pat == Pat::Many).count(),
        _ => 0,
    }
}

/// `end` is where the query's last word ends.
fn lexical_error(rest: &str, at: usize, end: usize) -> Fault {
    if rest.contains(":[") {
        return Fault::new(at, "Ein Bereich hat die Form [1 TO 1024].");
    }
    let fault = Fault::new(at, "Dieses Anführungszeichen wird nicht geschlossen. Bitte ergänzen Sie „\"“ am Ende des Textes.");
    fault.instead(end..end, "\"")
}

fn lexeme(input: &str) -> IResult<&str, Lexeme<'_>> {
    alt((
        value(Lexeme::Open, char('(')),
        value(Lexeme::Close, char(')')),
        keyword("AND", Lexeme::And),
        keyword("OR", Lexeme::Or),
        keyword("NOT", Lexeme::Not),
        minus,
        field_lexeme,
        map(quoted, Lexeme::Text),
        map(word, Lexeme::Text),
    ))
    .parse(input)
}

fn keyword<'a>(text: &'static str, lexeme: Lexeme<'a>) -> impl Parser<&'a str, Output = Lexeme<'a>, Error = nom::error::Error<&'a str>> {
    let ends = |input: &'a str| -> IResult<&'a str, ()> {
        match input.chars().next() {
            Some(c) if !c.is_whitespace() && !matches!(c, '(' | ')') => nom::combinator::fail().parse(input),
            _ => Ok((input, ())),
        }
    };
    value(lexeme, terminated(tag(text), ends))
}

fn minus(input: &str) -> IResult<&str, Lexeme<'_>> {
    let (rest, _) = char('-').parse(input)?;
    match rest.chars().next() {
        Some(c) if !c.is_whitespace() && c != ')' => Ok((rest, Lexeme::Not)),
        _ => nom::combinator::fail().parse(input),
    }
}

fn field_lexeme(input: &str) -> IResult<&str, Lexeme<'_>> {
    let name = take_while1(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@' | '-'));
    let (rest, name) = terminated(name, char(':')).parse(input)?;
    let (rest, asked) = match rest.chars().next() {
        None => (rest, Asked::Nothing),
        Some('(') => (rest, Asked::Group),
        Some('"') => cut(map(quoted, Asked::Value)).parse(rest)?,
        Some('[') => cut(range_value).parse(rest)?,
        Some('<' | '>') => compare_value(rest)?,
        Some(c) if c.is_whitespace() || c == ')' => (rest, Asked::Nothing),
        Some(_) => map(word, Asked::Value).parse(rest)?,
    };
    Ok((rest, Lexeme::Field(name, asked)))
}

fn compare_value(input: &str) -> IResult<&str, Asked<'_>> {
    let sign =
        alt((value(Sign::AtLeast, tag(">=")), value(Sign::AtMost, tag("<=")), value(Sign::Above, tag(">")), value(Sign::Below, tag("<"))));
    (sign, map(opt(recognize(word)), Option::unwrap_or_default)).map(|(sign, bound)| Asked::Compare(sign, bound)).parse(input)
}

fn range_value(input: &str) -> IResult<&str, Asked<'_>> {
    let end = || take_while1(|c: char| !c.is_whitespace() && !matches!(c, '[' | ']' | '"' | '(' | ')'));
    let ends = (end(), delimited(multispace1, tag("TO"), multispace1), end());
    let inner = delimited(multispace0, ends, multispace0);
    delimited(char('['), inner, char(']')).map(|(low, _, high)| Asked::Range(low, high)).parse(input)
}

/// `"…"`, in which only `\"` and `\\` are escapes, so that Windows paths can be pasted.
fn quoted(input: &str) -> IResult<&str, Vec<Pat>> {
    let escaped = preceded(char('\\'), satisfy(|c| matches!(c, '"' | '\\')));
    let inner = many0(map(alt((escaped, none_of("\""))), Pat::Char));
    delimited(char('"'), inner, char('"')).parse(input)
}

/// A bare word; a backslash takes the meaning from whatever is neither a letter nor a digit.
fn word(input: &str) -> IResult<&str, Vec<Pat>> {
    let escaped = map(preceded(char('\\'), verify(anychar, |c| !c.is_alphanumeric())), Pat::Char);
    let plain = map(satisfy(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '"')), Pat::Char);
    many1(alt((escaped, value(Pat::Many, char('*')), value(Pat::One, char('?')), plain))).parse(input)
}

/// Where the query ends: at the first `|` that is neither in quotation marks nor behind a backslash.
pub(super) fn query_end(text: &str) -> usize {
    let escaped = recognize((char('\\'), verify(anychar, |c| !c.is_alphanumeric())));
    let head: IResult<&str, &str> = recognize(many0(alt((recognize(quoted), escaped, recognize(none_of("|")))))).parse(text);
    head.map_or(text.len(), |(_, head)| head.len())
}

//! From text to the tree: a lexer of nom parsers, a grammar by recursive descent above it (OR binds weakest, then AND,
//! which may be left out, then NOT and `-`), and errors that say in German where to look and what to write instead.

use std::net::IpAddr;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{anychar, char, multispace0, multispace1, none_of, satisfy};
use nom::combinator::{cut, map, opt, recognize, value, verify};
use nom::multi::{many0, many1};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use super::{
    Glob, Literal, Node, Pat, QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_STARS_MAX, QUERY_STARS_TOTAL_MAX, QUERY_TERMS_MAX, QueryError, Test,
    TextPattern,
};
use crate::body::Prefix;
use crate::event::Defect;
use crate::fields::{self, FIELDS, FieldId, Kind};

pub(super) fn parse(text: &str) -> Result<Node, QueryError> {
    if text.len() > QUERY_BYTES_MAX {
        let message = format!("Die Suche ist länger als {QUERY_BYTES_MAX} Zeichen. Bitte teilen Sie sie in mehrere Suchen.");
        return Err(QueryError { at: QUERY_BYTES_MAX, message });
    }
    let mut parser = Parsing { tokens: lex(text)?, next: 0, end: text.len() };
    if parser.tokens.is_empty() {
        return Ok(Node::All);
    }
    let node = parser.or(0)?;
    match parser.peek() {
        None => Ok(node),
        Some(token) => fail(token.at, "Diese schließende Klammer hat keine öffnende. Bitte entfernen Sie sie."),
    }
}

fn fail<T>(at: usize, message: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError { at, message: message.into() })
}

// The grammar.

struct Parsing<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    end: usize,
}

impl<'a> Parsing<'a> {
    fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.next)
    }

    fn at(&self) -> usize {
        self.peek().map_or(self.end, |token| token.at)
    }

    fn eat(&mut self, wanted: &Lexeme<'_>) -> bool {
        let found = self.peek().is_some_and(|token| token.lexeme == *wanted);
        self.next += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Result<Node, QueryError> {
        let mut nodes = vec![self.and(depth)?];
        while self.eat(&Lexeme::Or) {
            nodes.push(self.and(depth)?);
        }
        Ok(flat(nodes, |node| if let Node::Or(inner) = node { Ok(inner) } else { Err(node) }, Node::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Node, QueryError> {
        let mut nodes = vec![self.unary(depth)?];
        loop {
            let explicit = self.eat(&Lexeme::And);
            let goes_on = self.peek().is_some_and(|token| !matches!(token.lexeme, Lexeme::Or | Lexeme::Close));
            if !explicit && !goes_on {
                break;
            }
            nodes.push(self.unary(depth)?);
        }
        Ok(flat(nodes, |node| if let Node::And(inner) = node { Ok(inner) } else { Err(node) }, Node::And))
    }

    fn unary(&mut self, depth: usize) -> Result<Node, QueryError> {
        if depth > QUERY_DEPTH_MAX {
            return fail(self.at(), format!("Mehr als {QUERY_DEPTH_MAX} Ebenen von Klammern und NOT. Bitte vereinfachen Sie die Suche."));
        }
        let at = self.at();
        if self.eat(&Lexeme::Not) {
            return Ok(Node::Not(Box::new(self.unary(depth + 1)?)));
        }
        if self.eat(&Lexeme::Open) {
            let node = self.or(depth + 1)?;
            if !self.eat(&Lexeme::Close) {
                return fail(at, "Diese Klammer wird nicht geschlossen. Bitte ergänzen Sie „)“.");
            }
            return Ok(node);
        }
        let Some(token) = self.tokens.get(self.next) else {
            return fail(at, "Hier fehlt ein Suchbegriff, zum Beispiel failed oder user.name:root.");
        };
        let node = match &token.lexeme {
            Lexeme::Text(pattern) => text(pattern, at)?,
            Lexeme::Field(name, asked) => field(name, asked, at)?,
            Lexeme::And | Lexeme::Or => {
                return fail(at, "AND und OR stehen zwischen zwei Suchbegriffen. Das Wort selbst suchen Sie in Anführungszeichen.");
            }
            Lexeme::Close | Lexeme::Open | Lexeme::Not => return fail(at, "Hier fehlt ein Suchbegriff vor der schließenden Klammer."),
        };
        self.next += 1;
        Ok(node)
    }
}

/// One node of several, with inner ones of the same kind spread out.
fn flat(nodes: Vec<Node>, inner: impl Fn(Node) -> Result<Vec<Node>, Node>, wrap: impl Fn(Vec<Node>) -> Node) -> Node {
    let mut all = Vec::with_capacity(nodes.len());
    for node in nodes {
        match inner(node) {
            Ok(nodes) => all.extend(nodes),
            Err(node) => all.push(node),
        }
    }
    match all.pop() {
        Some(only) if all.is_empty() => only,
        Some(last) => {
            all.push(last);
            wrap(all)
        }
        None => Node::All,
    }
}

// The terms.

fn text(pattern: &[Pat], at: usize) -> Result<Node, QueryError> {
    if pattern.is_empty() {
        return fail(at, "Die Anführungszeichen sind leer. Bitte schreiben Sie den gesuchten Text hinein.");
    }
    if pattern == [Pat::Many] {
        return Ok(Node::All);
    }
    stars(pattern, at)?;
    Ok(Node::Text(TextPattern::new(pattern.to_vec())))
}

fn stars(pattern: &[Pat], at: usize) -> Result<(), QueryError> {
    if pattern.iter().filter(|pat| **pat == Pat::Many).count() > QUERY_STARS_MAX {
        return fail(at, format!("Mehr als {QUERY_STARS_MAX} Sternchen in einem Begriff. Bitte suchen Sie mit mehreren Begriffen."));
    }
    Ok(())
}

fn field(name: &str, asked: &Asked<'_>, at: usize) -> Result<Node, QueryError> {
    let value_at = at + name.len() + 1;
    if name == "_defect" {
        return defect(asked, value_at);
    }
    let Some(field) = FieldId::find(name) else {
        return fail(at, unknown_field(name));
    };
    let test = test(field, asked, value_at)?;
    Ok(Node::Field(field, test))
}

fn unknown_field(name: &str) -> String {
    let meant = nearest(name, FIELDS.iter().map(|field| field.name).chain(["_defect"]));
    // A vendor's own name is known from the first event on that has it.
    if meant.is_none() && name.contains('.') {
        return format!(
            "Ein Feld „{name}“ hatte seit dem Start noch kein Ereignis. Stimmt der Name? Text mit einem Doppelpunkt suchen Sie in Anführungszeichen."
        );
    }
    let meant = meant.map(|meant| format!(" Meinten Sie „{meant}“?")).unwrap_or_default();
    format!("Das Feld „{name}“ gibt es nicht.{meant} Text mit einem Doppelpunkt suchen Sie in Anführungszeichen.")
}

fn defect(asked: &Asked<'_>, at: usize) -> Result<Node, QueryError> {
    let name = match asked {
        Asked::Value(pattern) if *pattern == [Pat::Many] => return Ok(Node::Defect(None)),
        Asked::Value(pattern) => literal(pattern).unwrap_or_default(),
        Asked::Nothing | Asked::Group | Asked::Compare(..) | Asked::Range(..) => String::new(),
    };
    match Defect::ALL.into_iter().find(|defect| defect.name().eq_ignore_ascii_case(&name)) {
        Some(defect) => Ok(Node::Defect(Some(defect))),
        None => {
            let meant = nearest(&name, Defect::ALL.into_iter().map(Defect::name)).unwrap_or("no_header");
            fail(at, format!("Diesen Mangel gibt es nicht. Möglich sind zum Beispiel _defect:{meant} oder _defect:* für jeden."))
        }
    }
}

fn test(field: FieldId, asked: &Asked<'_>, at: usize) -> Result<Test, QueryError> {
    let kind = field.known().map(|row| row.kind);
    let name = field.name();
    match asked {
        Asked::Nothing => fail(at, format!("Nach „{name}:“ fehlt der Wert. Ob das Feld vorhanden ist, fragt {name}:*")),
        Asked::Group => fail(at, format!("Bitte wiederholen Sie das Feld: ({name}:a OR {name}:b)")),
        Asked::Compare(sign, bound) => compare(*sign, bound, at),
        Asked::Range(low, high) => range(low, high, at),
        Asked::Value(pattern) if *pattern == [Pat::Many] => Ok(Test::Exists),
        Asked::Value(pattern) => {
            stars(pattern, at)?;
            let Some(text) = literal(pattern) else {
                return Ok(if field == fields::MESSAGE {
                    Test::Words(TextPattern::new(pattern.clone()))
                } else {
                    Test::Glob(Glob::new(pattern.clone()))
                });
            };
            if field == fields::MESSAGE {
                if text.is_empty() {
                    return fail(at, "Die Anführungszeichen sind leer. Bitte schreiben Sie den gesuchten Text hinein.");
                }
                return Ok(Test::Words(TextPattern::new(pattern.clone())));
            }
            if let Some((low, high)) = text.split_once("..")
                && (int(low).is_some() && int(high).is_some() || ip(low).is_some() && ip(high).is_some())
            {
                return range(low, high, at);
            }
            equals(kind, text, name, at)
        }
    }
}

fn equals(kind: Option<Kind>, text: String, name: &str, at: usize) -> Result<Test, QueryError> {
    let (number, address) = (int(&text), ip(&text));
    let prefix = text.contains('/').then(|| text.parse::<Prefix>().ok()).flatten();
    match (kind, prefix) {
        (Some(Kind::Ip) | None, Some(prefix)) => Ok(Test::Prefix(prefix, Literal::new(text))),
        (Some(Kind::Ip), None) if address.is_none() => {
            fail(at, format!("{name} erwartet eine Adresse, zum Beispiel {name}:10.20.30.40 oder {name}:10.0.0.0/8"))
        }
        (Some(Kind::Int), _) if number.is_none() => {
            fail(at, format!("{name} erwartet eine ganze Zahl, zum Beispiel {name}:443 oder {name}:>=1024"))
        }
        (Some(Kind::Int), _) => Ok(Test::Equals(Literal { int: number, ..Literal::new(text) })),
        (Some(Kind::Ip) | None, None) => Ok(Test::Equals(Literal { ip: address, ..Literal::new(text) })),
        (Some(Kind::Keyword | Kind::Bool), _) => Ok(Test::Equals(Literal::new(text))),
    }
}

fn compare(sign: Sign, bound: &str, at: usize) -> Result<Test, QueryError> {
    let Some(number) = int(bound) else {
        return fail(
            at,
            "Nach dem Vergleichszeichen steht eine ganze Zahl, zum Beispiel >=1024. Adressen vergleichen Sie mit [10.0.0.1 TO 10.0.0.9].",
        );
    };
    let bounds = match sign {
        Sign::AtLeast => Some((number, i64::MAX)),
        Sign::AtMost => Some((i64::MIN, number)),
        Sign::Above => number.checked_add(1).map(|low| (low, i64::MAX)),
        Sign::Below => number.checked_sub(1).map(|high| (i64::MIN, high)),
    };
    match bounds {
        Some((low, high)) => Ok(Test::Ints(low, high)),
        None => fail(at, "Jenseits dieser Zahl gibt es keine mehr."),
    }
}

fn range(low: &str, high: &str, at: usize) -> Result<Test, QueryError> {
    let reversed = || fail(at, format!("Der Anfang des Bereichs liegt hinter seinem Ende. Bitte vertauschen Sie: [{high} TO {low}]"));
    let number = |text: &str, open: i64| if text == "*" { Some(open) } else { int(text) };
    if let (Some(first), Some(last)) = (number(low, i64::MIN), number(high, i64::MAX)) {
        return match (first, last) {
            _ if low == "*" && high == "*" => Ok(Test::Exists),
            _ if first > last => reversed(),
            _ => Ok(Test::Ints(first, last)),
        };
    }
    match (ip(low), ip(high)) {
        (Some(first), Some(last)) if first.is_ipv4() == last.is_ipv4() => {
            if first > last {
                return reversed();
            }
            Ok(Test::Addresses(first, last))
        }
        _ => fail(
            at,
            "Ein Bereich hat zwei ganze Zahlen oder zwei Adressen einer Art, zum Beispiel [1 TO 1024] oder [10.0.0.1 TO 10.0.0.9].",
        ),
    }
}

fn int(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

/// The pattern's text where it has no wildcards.
fn literal(pattern: &[Pat]) -> Option<String> {
    pattern.iter().map(|pat| if let Pat::Char(c) = pat { Some(*c) } else { None }).collect()
}

/// The name that a mistyped one most likely means: few letters off, or the same last part.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let distance = |known: &str| if known.rsplit('.').next() == Some(name.as_str()) { 1 } else { edits(&name, known) };
    let best = known.map(|known| (distance(known), known)).min_by_key(|(distance, _)| *distance)?;
    (best.0 <= 2.max(name.len() / 3)).then_some(best.1)
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (n, left) in a.chars().enumerate() {
        let mut diagonal = n;
        let mut before = n + 1;
        let mut next = vec![before];
        for (right, above) in b.chars().zip(row.iter().skip(1)) {
            before = (diagonal + usize::from(left != right)).min(above + 1).min(before + 1);
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

// The lexer.

#[derive(Debug)]
struct Token<'a> {
    at: usize,
    lexeme: Lexeme<'a>,
}

#[derive(Clone, Debug, PartialEq)]
enum Lexeme<'a> {
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
enum Asked<'a> {
    Nothing,
    Group,
    Value(Vec<Pat>),
    Compare(Sign, &'a str),
    Range(&'a str, &'a str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sign {
    AtLeast,
    AtMost,
    Above,
    Below,
}

fn lex(text: &str) -> Result<Vec<Token<'_>>, QueryError> {
    let mut tokens = Vec::new();
    let (mut terms, mut stars) = (0, 0);
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let at = text.len() - rest.len();
        let Ok((behind, lexeme)) = lexeme(rest) else {
            return fail(at, lexical_error(rest));
        };
        terms += usize::from(matches!(lexeme, Lexeme::Text(_) | Lexeme::Field(..)));
        if terms > QUERY_TERMS_MAX {
            return fail(
                at,
                format!("Mehr als {QUERY_TERMS_MAX} Suchbegriffe. Bitte teilen Sie die Suche, oder nehmen Sie einen Bereich."),
            );
        }
        stars += rest.len().checked_sub(behind.len()).and_then(|len| rest.get(..len)).map_or(0, |used| used.matches('*').count());
        if stars > QUERY_STARS_TOTAL_MAX {
            return fail(at, format!("Mehr als {QUERY_STARS_TOTAL_MAX} Sternchen. Bitte suchen Sie mit ganzen Wörtern."));
        }
        tokens.push(Token { at, lexeme });
        rest = behind.trim_start();
    }
    Ok(tokens)
}

fn lexical_error(rest: &str) -> String {
    if rest.contains(":[") {
        return "Ein Bereich hat die Form [1 TO 1024].".into();
    }
    "Dieses Anführungszeichen wird nicht geschlossen. Bitte ergänzen Sie „\"“ am Ende des Textes.".into()
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

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;
    use crate::query::Query;

    fn check(text: &str, printed: &Expect) {
        let query = Query::parse(text).unwrap();
        printed.assert_eq(&query.to_string());
        assert_eq!(Query::parse(&query.to_string()), Ok(query), "{text}");
    }

    #[test]
    fn printed_canonically() {
        check("", &expect!["*"]);
        check("  a   b ", &expect!["a AND b"]);
        check("a b OR c -d", &expect!["(a AND b) OR (c AND NOT d)"]);
        check("((a)) AND (b AND (c))", &expect!["a AND b AND c"]);
        check("NOT (a OR b)", &expect!["NOT (a OR b)"]);
        check(r#""a b" "and" "AND" "x..y""#, &expect![[r#""a b" AND and AND "AND" AND "x..y""#]]);
        check(r#"fail* "fail*" a\*b*"#, &expect![[r#"fail* AND "fail*" AND a\*b*"#]]);
        check(
            "source.port:>1023 source.port:<=5 source.port:[1 TO 5] source.port:1..5",
            &expect!["source.port:>=1024 AND source.port:<=5 AND source.port:[1 TO 5] AND source.port:[1 TO 5]"],
        );
        check(
            "source.ip:10.1.2.3/8 source.ip:fe80::1 source.ip:[10.0.0.1 TO 10.0.0.9]",
            &expect!["source.ip:10.1.2.3/8 AND source.ip:fe80::1 AND source.ip:[10.0.0.1 TO 10.0.0.9]"],
        );
        check(
            r#"user.name:"Max Muster" user.name:* user.name:"*""#,
            &expect![[r#"user.name:"Max Muster" AND user.name:* AND user.name:"*""#]],
        );
        check("_defect:no_header OR _defect:*", &expect!["_defect:no_header OR _defect:*"]);
        check(r"file.path:C:\Temp\x*", &expect![r"file.path:C:\\Temp\\x*"]);
        check("site:rathaus-a", &expect!["site:rathaus-a"]);
        check("\\-a* url.full:http://x.y/?q", &expect![r"\-a* AND url.full:http://x.y/?q"]);
    }

    fn refuse(text: &str, error: &Expect) {
        error.assert_eq(&Query::parse(text).unwrap_err().to_string());
    }

    #[test]
    fn errors_say_where_and_what_to_do() {
        refuse(
            "a sorce.ip:1.2.3.4",
            &expect![
                "Das Feld „sorce.ip“ gibt es nicht. Meinten Sie „source.ip“? Text mit einem Doppelpunkt suchen Sie in Anführungszeichen. (Stelle 2)"
            ],
        );
        refuse(
            "usr.nam:x",
            &expect![
                "Das Feld „usr.nam“ gibt es nicht. Meinten Sie „user.name“? Text mit einem Doppelpunkt suchen Sie in Anführungszeichen. (Stelle 0)"
            ],
        );
        refuse(
            "winlog.event_data.Never:3",
            &expect![
                "Ein Feld „winlog.event_data.Never“ hatte seit dem Start noch kein Ereignis. Stimmt der Name? Text mit einem Doppelpunkt suchen Sie in Anführungszeichen. (Stelle 0)"
            ],
        );
        refuse("14:02:07", &expect!["Das Feld „14“ gibt es nicht. Text mit einem Doppelpunkt suchen Sie in Anführungszeichen. (Stelle 0)"]);
        refuse("(a", &expect!["Diese Klammer wird nicht geschlossen. Bitte ergänzen Sie „)“. (Stelle 0)"]);
        refuse("a)", &expect!["Diese schließende Klammer hat keine öffnende. Bitte entfernen Sie sie. (Stelle 1)"]);
        refuse("()", &expect!["Hier fehlt ein Suchbegriff vor der schließenden Klammer. (Stelle 1)"]);
        refuse("a OR", &expect!["Hier fehlt ein Suchbegriff, zum Beispiel failed oder user.name:root. (Stelle 4)"]);
        refuse(
            "AND b",
            &expect!["AND und OR stehen zwischen zwei Suchbegriffen. Das Wort selbst suchen Sie in Anführungszeichen. (Stelle 0)"],
        );
        refuse(
            "ä \"b",
            &expect!["Dieses Anführungszeichen wird nicht geschlossen. Bitte ergänzen Sie „\"“ am Ende des Textes. (Stelle 3)"],
        );
        refuse("\"\"", &expect!["Die Anführungszeichen sind leer. Bitte schreiben Sie den gesuchten Text hinein. (Stelle 0)"]);
        refuse("user.name:", &expect!["Nach „user.name:“ fehlt der Wert. Ob das Feld vorhanden ist, fragt user.name:* (Stelle 10)"]);
        refuse("user.name:(a OR b)", &expect!["Bitte wiederholen Sie das Feld: (user.name:a OR user.name:b) (Stelle 10)"]);
        refuse(
            "source.port:ssh",
            &expect!["source.port erwartet eine ganze Zahl, zum Beispiel source.port:443 oder source.port:>=1024 (Stelle 12)"],
        );
        refuse(
            "source.ip:10.0.0.0/33",
            &expect!["source.ip erwartet eine Adresse, zum Beispiel source.ip:10.20.30.40 oder source.ip:10.0.0.0/8 (Stelle 10)"],
        );
        refuse(
            "source.port:[9 TO 1]",
            &expect!["Der Anfang des Bereichs liegt hinter seinem Ende. Bitte vertauschen Sie: [1 TO 9] (Stelle 12)"],
        );
        refuse("source.port:[9 - 1]", &expect!["Ein Bereich hat die Form [1 TO 1024]. (Stelle 0)"]);
        refuse(
            "source.ip:[10.0.0.1 TO ::1]",
            &expect![
                "Ein Bereich hat zwei ganze Zahlen oder zwei Adressen einer Art, zum Beispiel [1 TO 1024] oder [10.0.0.1 TO 10.0.0.9]. (Stelle 10)"
            ],
        );
        refuse(
            "source.port:>",
            &expect![
                "Nach dem Vergleichszeichen steht eine ganze Zahl, zum Beispiel >=1024. Adressen vergleichen Sie mit [10.0.0.1 TO 10.0.0.9]. (Stelle 12)"
            ],
        );
        refuse(
            "_defect:nohead",
            &expect!["Diesen Mangel gibt es nicht. Möglich sind zum Beispiel _defect:no_header oder _defect:* für jeden. (Stelle 8)"],
        );
        refuse(
            "a*b*c*d*e*f*g*h*i*",
            &expect!["Mehr als 8 Sternchen in einem Begriff. Bitte suchen Sie mit mehreren Begriffen. (Stelle 0)"],
        );
    }

    #[test]
    fn hostile_queries_are_refused() {
        for (hostile, part) in [
            ("x".repeat(1 << 20), "länger als"),
            (vec!["a"; 10_000].join(" OR "), "länger als"),
            (vec!["a"; 300].join(" OR "), "Mehr als 256"),
            (format!("{}a{}", "(".repeat(4_000), ")".repeat(4_000)), "Ebenen"),
            ("NOT ".repeat(2_000), "Ebenen"),
            ("-".repeat(8_000), "Ebenen"),
            (")".repeat(8_000), "Suchbegriff"),
        ] {
            let error = Query::parse(&hostile).unwrap_err();
            assert!(error.message.contains(part), "{error}");
            assert!(error.message.len() < 300);
        }
        assert!(Query::parse("*a*b*c*").is_ok());
    }

    fn term() -> impl Strategy<Value = String> {
        let word = "[a-zA-Z0-9äÄİ_.@/\\-:<>\\[\\]*?\\\\!=^]{1,8}";
        prop_oneof![
            word.prop_map(|word| word.to_owned()),
            "\"[ -~ä]{1,8}\"".prop_map(|text| text.to_owned()),
            ("(user.name|file.path|event.code|message|vendor.roundtrip)", word).prop_map(|(field, word)| format!("{field}:{word}")),
            ("(user.name|source.ip|message)", "[ -~ä]{1,8}").prop_map(|(field, text)| format!("{field}:\"{text}\"")),
            ("(>=|<=|>|<)", any::<i64>()).prop_map(|(sign, n)| format!("source.port:{sign}{n}")),
            (any::<i32>(), any::<i32>()).prop_map(|(a, b)| format!("source.bytes:{}..{}", a.min(b), a.max(b))),
            (any::<[u8; 4]>(), 0..=32u8).prop_map(|(ip, bits)| format!("source.ip:{}/{bits}", std::net::Ipv4Addr::from(ip))),
            any::<[u16; 8]>().prop_map(|ip| format!("source.ip:{}", std::net::Ipv6Addr::from(ip))),
            "_defect:(no_header|\\*)",
        ]
    }

    fn query() -> impl Strategy<Value = String> {
        term().prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} {b}")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
                inner.clone().prop_map(|a| format!("NOT {a}")),
                inner.prop_map(|a| format!("-({a})")),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(text in query()) {
            let _ = FieldId::intern("vendor.roundtrip");
            if let Ok(query) = Query::parse(&text) {
                prop_assert_eq!(Query::parse(&query.to_string()), Ok(query));
            }
        }

        #[test]
        fn nothing_makes_it_panic(text in any::<String>()) {
            let _ = Query::parse(&text);
        }
    }
}

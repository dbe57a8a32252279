//! From tokens to the tree: a grammar by recursive descent (OR binds weakest, then AND, which may be left out, then NOT and
//! `-`), and errors that say in German where to look and what to write instead.

use std::net::IpAddr;

use super::error::{Fault, Parsed, fail, nearest, unknown_field};
use super::lex::{Asked, Lexeme, Sign, Token, lex};
use super::time::{Moment, MomentError, TIMESTAMP, TimeTest};
use super::{Glob, Literal, Node, Pat, QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_STARS_MAX, Test, TextPattern};
use crate::body::Prefix;
use crate::event::Defect;
use crate::fields::{self, FieldId, Kind};
use crate::time::Timestamp;

/// `now` is what relative times count from; without it they are refused.
pub(super) fn parse(text: &str, now: Option<Timestamp>) -> Parsed<Node> {
    bounded(text)?;
    let mut parser = Parsing { text, tokens: lex(text)?, next: 0, now };
    if parser.tokens.is_empty() {
        return Ok(Node::All);
    }
    let node = parser.or(0)?;
    match parser.peek() {
        None => Ok(node),
        Some(token) => {
            let fault = Fault::new(token.at, "Diese schließende Klammer hat keine öffnende. Bitte entfernen Sie sie.");
            Err(fault.instead(token.at..token.end, ""))
        }
    }
}

pub(super) fn bounded(text: &str) -> Parsed<()> {
    if text.len() > QUERY_BYTES_MAX {
        return fail(
            QUERY_BYTES_MAX,
            format!("Die Suche ist länger als {QUERY_BYTES_MAX} Zeichen. Bitte teilen Sie sie in mehrere Suchen."),
        );
    }
    Ok(())
}

// The grammar.

struct Parsing<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    next: usize,
    now: Option<Timestamp>,
}

impl<'a> Parsing<'a> {
    fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.next)
    }

    fn at(&self) -> usize {
        self.peek().map_or(self.text.len(), |token| token.at)
    }

    /// Where the text behind this token begins; `None` where none follows.
    fn behind(&self) -> Option<usize> {
        self.tokens.get(self.next + 1).filter(|token| matches!(token.lexeme, Lexeme::Text(_))).map(|token| token.at)
    }

    fn eat(&mut self, wanted: &Lexeme<'_>) -> bool {
        let found = self.peek().is_some_and(|token| token.lexeme == *wanted);
        self.next += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Parsed<Node> {
        let mut nodes = vec![self.and(depth)?];
        while self.eat(&Lexeme::Or) {
            nodes.push(self.and(depth)?);
        }
        Ok(flat(nodes, |node| if let Node::Or(inner) = node { Ok(inner) } else { Err(node) }, Node::Or))
    }

    fn and(&mut self, depth: usize) -> Parsed<Node> {
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

    fn unary(&mut self, depth: usize) -> Parsed<Node> {
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
                let end = self.text.trim_end().len();
                return Err(Fault::new(at, "Diese Klammer wird nicht geschlossen. Bitte ergänzen Sie „)“.").instead(end..end, ")"));
            }
            return Ok(node);
        }
        let Some(token) = self.tokens.get(self.next) else {
            return fail(at, "Hier fehlt ein Suchbegriff, zum Beispiel failed oder user.name:root.");
        };
        let node = match &token.lexeme {
            Lexeme::Text(pattern) => text(pattern, at)?,
            Lexeme::Field(name, asked) => {
                let value = at + name.len() + 1;
                let place = Place { name: at, value, end: token.end, behind: self.behind() };
                field(name, asked, &place, self.text, self.now)?
            }
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

fn text(pattern: &[Pat], at: usize) -> Parsed<Node> {
    if pattern.is_empty() {
        return fail(at, "Die Anführungszeichen sind leer. Bitte schreiben Sie den gesuchten Text hinein.");
    }
    if pattern == [Pat::Many] {
        return Ok(Node::All);
    }
    stars(pattern, at)?;
    Ok(Node::Text(TextPattern::new(pattern.to_vec())))
}

fn stars(pattern: &[Pat], at: usize) -> Parsed<()> {
    if pattern.iter().filter(|pat| **pat == Pat::Many).count() > QUERY_STARS_MAX {
        return fail(at, format!("Mehr als {QUERY_STARS_MAX} Sternchen in einem Begriff. Bitte suchen Sie mit mehreren Begriffen."));
    }
    Ok(())
}

/// Where a field's parts stand in the text.
struct Place {
    name: usize,
    value: usize,
    end: usize,
    /// A text behind it that may be meant as its value.
    behind: Option<usize>,
}

fn field(name: &str, asked: &Asked<'_>, place: &Place, text: &str, now: Option<Timestamp>) -> Parsed<Node> {
    if name == TIMESTAMP {
        return time(asked, place, now);
    }
    if name == "_defect" {
        return defect(asked, place);
    }
    // Whatever some device calls a field: an address of the web is none, and who asks for a time means the event's.
    let is_url = text.get(place.value..place.end).is_some_and(|value| value.starts_with("//"));
    let is_other = is_url || name == TIMESTAMP.trim_start_matches('@');
    if let Some(field) = FieldId::find(name).filter(|field| field.known().is_some() || !is_other) {
        return Ok(Node::Field(field, test(field, asked, place)?));
    }
    const ADVICE: &str = " Text mit einem Doppelpunkt suchen Sie in Anführungszeichen.";
    let fault = unknown_field(name, place.name, &[TIMESTAMP, "_defect"], ADVICE);
    let whole = text.get(place.name..place.end).filter(|whole| !whole.contains(['"', '\\', '*', '?']));
    match whole.filter(|_| matches!(asked, Asked::Value(_)) && !fault.suggests()) {
        Some(whole) => Err(fault.instead(place.name..place.end, format!("\"{whole}\""))),
        None => Err(fault),
    }
}

fn time(asked: &Asked<'_>, place: &Place, now: Option<Timestamp>) -> Parsed<Node> {
    let at = place.value;
    const EXAMPLES: &str = "zum Beispiel @timestamp:>now-24h, @timestamp:2026-11-21 oder @timestamp:[2026-11-21T14:00 TO now]";
    let moment = |text: &str| match Moment::parse(text, now) {
        Ok(moment) => Ok(moment),
        Err(MomentError::NoNow) => fail(at, "„now“ ist hier nicht möglich. Bitte nennen Sie einen festen Zeitpunkt."),
        Err(MomentError::Unknown) => fail(at, format!("@timestamp erwartet eine Zeit, {EXAMPLES}.")),
    };
    let test = match asked {
        Asked::Value(pattern) if *pattern == [Pat::Many] => return Ok(Node::All),
        Asked::Value(pattern) => match literal(pattern).unwrap_or_default().split_once("..") {
            Some((first, last)) => TimeTest::Between(moment(first)?, moment(last)?),
            None => TimeTest::In(moment(&literal(pattern).unwrap_or_default())?),
        },
        Asked::Compare(Sign::Above, bound) => TimeTest::Above(moment(bound)?),
        Asked::Compare(Sign::AtLeast, bound) => TimeTest::AtLeast(moment(bound)?),
        Asked::Compare(Sign::Below, bound) => TimeTest::Below(moment(bound)?),
        Asked::Compare(Sign::AtMost, bound) => TimeTest::AtMost(moment(bound)?),
        Asked::Range("*", "*") => return Ok(Node::All),
        Asked::Range("*", last) => TimeTest::AtMost(moment(last)?),
        Asked::Range(first, "*") => TimeTest::AtLeast(moment(first)?),
        Asked::Range(first, last) => TimeTest::Between(moment(first)?, moment(last)?),
        Asked::Nothing | Asked::Group => return fail(at, format!("Nach „@timestamp:“ fehlt die Zeit, {EXAMPLES}.")),
    };
    if let TimeTest::Between(first, last) = &test
        && test.bounds().0 > test.bounds().1
    {
        return Err(reversed(&first.to_string(), &last.to_string(), place));
    }
    Ok(Node::Time(test))
}

fn defect(asked: &Asked<'_>, place: &Place) -> Parsed<Node> {
    let name = match asked {
        Asked::Value(pattern) if *pattern == [Pat::Many] => return Ok(Node::Defect(None)),
        Asked::Value(pattern) => literal(pattern).unwrap_or_default(),
        Asked::Nothing | Asked::Group | Asked::Compare(..) | Asked::Range(..) => String::new(),
    };
    if let Some(defect) = Defect::ALL.into_iter().find(|defect| defect.name().eq_ignore_ascii_case(&name)) {
        return Ok(Node::Defect(Some(defect)));
    }
    let meant = nearest(&name, Defect::ALL.into_iter().map(Defect::name));
    let example = meant.unwrap_or("no_header");
    let said = format!("Diesen Mangel gibt es nicht. Möglich sind zum Beispiel _defect:{example} oder _defect:* für jeden.");
    let fault = Fault::new(place.value, said);
    Err(match meant {
        Some(meant) if !name.is_empty() => fault.instead(place.value..place.end, meant),
        _ => fault,
    })
}

fn test(field: FieldId, asked: &Asked<'_>, place: &Place) -> Parsed<Test> {
    let at = place.value;
    let kind = field.known().map(|row| row.kind);
    let name = field.name();
    match asked {
        Asked::Nothing => {
            let fault = Fault::new(at, format!("Nach „{name}:“ fehlt der Wert. Ob das Feld vorhanden ist, fragt {name}:*"));
            // `user.name: root` has a blank too many.
            Err(match place.behind {
                Some(behind) => fault.instead(at..behind, ""),
                None => fault.instead(at..at, "*"),
            })
        }
        Asked::Group => fail(at, format!("Bitte wiederholen Sie das Feld: ({name}:a OR {name}:b)")),
        Asked::Compare(sign, bound) => compare(*sign, bound, at),
        Asked::Range(low, high) => range(low, high, place),
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
                return range(low, high, place);
            }
            equals(kind, text, name, at)
        }
    }
}

fn equals(kind: Option<Kind>, text: String, name: &str, at: usize) -> Parsed<Test> {
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

fn compare(sign: Sign, bound: &str, at: usize) -> Parsed<Test> {
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

fn reversed(low: &str, high: &str, place: &Place) -> Fault {
    let turned = format!("[{high} TO {low}]");
    let said = format!("Der Anfang des Bereichs liegt hinter seinem Ende. Bitte vertauschen Sie: {turned}");
    Fault::new(place.value, said).instead(place.value..place.end, turned)
}

fn range(low: &str, high: &str, place: &Place) -> Parsed<Test> {
    let number = |text: &str, open: i64| if text == "*" { Some(open) } else { int(text) };
    if let (Some(first), Some(last)) = (number(low, i64::MIN), number(high, i64::MAX)) {
        return match (first, last) {
            _ if low == "*" && high == "*" => Ok(Test::Exists),
            _ if first > last => Err(reversed(low, high, place)),
            _ => Ok(Test::Ints(first, last)),
        };
    }
    match (ip(low), ip(high)) {
        (Some(first), Some(last)) if first.is_ipv4() == last.is_ipv4() => {
            if first > last {
                return Err(reversed(low, high, place));
            }
            Ok(Test::Addresses(first, last))
        }
        _ => fail(
            place.value,
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

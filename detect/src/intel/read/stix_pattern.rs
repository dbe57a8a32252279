//! STIX patterns, as far as they are values each of which would do alone: `[a:b = 'x' OR c:d IN ('y', 'z')] OR […]`.
//! Whatever ties values together (AND, FOLLOWEDBY, NOT, a span of time) would lose its meaning here and is refused by name.

use super::Reason;

/// A pattern is a line that somebody wrote.
const PATTERN_BYTES_MAX: usize = 256 * 1024;
const LEAVES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 32;

/// A comparison, as it can be taken by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// The value, and what it may be.
    Value(String, &'static [&'static str]),
    /// A path or an operator that nothing is looked up for.
    Other(Reason, String),
}

/// All comparisons of a pattern.
///
/// # Errors
/// What in it is more than a choice of values.
pub(super) fn leaves(pattern: &str) -> Result<Vec<Leaf>, (Reason, String)> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err((Reason::TooComplex, format!("longer than {PATTERN_BYTES_MAX} bytes")));
    }
    let tokens = tokens(pattern).ok_or_else(|| (Reason::Malformed, pattern.to_owned()))?;
    let mut parser = Parser { tokens: &tokens, at: 0, leaves: Vec::new() };
    parser.observations(0)?;
    match parser.tokens.get(parser.at) {
        None => Ok(parser.leaves),
        Some(_) => Err(parser.unexpected()),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// `[ ] ( ) ,` and operators.
    Sign(&'static str),
    /// A keyword, a path, a number.
    Word(String),
    Text(String),
}

const SIGNS: [&str; 12] = ["[", "]", "(", ")", ",", "!=", "<>", ">=", "<=", "=", ">", "<"];

fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let (mut tokens, mut rest) = (Vec::new(), pattern.trim_start());
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (text, behind) = quoted(rest)?;
            tokens.push(Token::Text(text));
            rest = behind;
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = rest.get(sign.len()..)?;
        } else {
            // A path may have quoted keys and places in lists: file:hashes.'SHA-256', email-message:to_refs[*].value
            let mut word = String::new();
            loop {
                let end = rest.find(|c: char| c.is_whitespace() || "[](),!=<>'".contains(c)).unwrap_or(rest.len());
                word.push_str(rest.get(..end)?);
                rest = rest.get(end..)?;
                if word.ends_with('.') && rest.starts_with('\'') {
                    let (key, behind) = quoted(rest)?;
                    word.push_str(&key);
                    rest = behind;
                } else if word.contains(':') && rest.starts_with('[') {
                    let (_, behind) = rest.split_once(']')?;
                    word.push_str("[]");
                    rest = behind;
                } else {
                    break;
                }
            }
            if word.is_empty() {
                return None;
            }
            tokens.push(Token::Word(word));
        }
        rest = rest.trim_start();
    }
    Some(tokens)
}

/// A text in single quotation marks and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => out.push(letters.next()?.1),
            '\'' => return Some((out, text.get(at + 1..)?)),
            letter => out.push(letter),
        }
    }
    None
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    leaves: Vec<Leaf>,
}

type Parsed = Result<(), (Reason, String)>;

impl Parser<'_> {
    fn observations(&mut self, depth: usize) -> Parsed {
        self.deep(depth)?;
        loop {
            if self.sign("(") {
                self.observations(depth + 1)?;
                self.expect(")")?;
            } else {
                self.expect("[")?;
                self.comparisons(depth + 1)?;
                self.expect("]")?;
            }
            if !self.word("OR") {
                return Ok(());
            }
        }
    }

    fn comparisons(&mut self, depth: usize) -> Parsed {
        self.deep(depth)?;
        loop {
            if self.sign("(") {
                self.comparisons(depth + 1)?;
                self.expect(")")?;
            } else {
                self.comparison()?;
            }
            if !self.word("OR") {
                return Ok(());
            }
        }
    }

    fn comparison(&mut self) -> Parsed {
        let path = match self.tokens.get(self.at) {
            Some(Token::Word(path)) if path.contains(':') => path.clone(),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        if self.word("NOT") {
            return Err((Reason::TooComplex, "NOT".into()));
        }
        let operator = match self.tokens.get(self.at) {
            Some(Token::Sign(sign @ ("=" | "!=" | "<>" | ">" | "<" | ">=" | "<="))) => (*sign).to_owned(),
            Some(Token::Word(word)) => word.clone(),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        let values = self.values()?;
        let taken = match (operator.as_str(), kinds(&path)) {
            ("=" | "IN" | "ISSUBSET", Some(kinds)) if operator != "ISSUBSET" || kinds.contains(&"prefix") => Some(kinds),
            _ => None,
        };
        for value in values {
            self.leaves.push(match taken {
                Some(kinds) => Leaf::Value(value, kinds),
                None => Leaf::Other(Reason::UnknownPattern, format!("{path} {operator}")),
            });
        }
        if self.leaves.len() > LEAVES_MAX { Err((Reason::TooMany, format!("more than {LEAVES_MAX} comparisons"))) } else { Ok(()) }
    }

    fn values(&mut self) -> Result<Vec<String>, (Reason, String)> {
        let mut values = Vec::new();
        let many = self.sign("(");
        loop {
            match self.tokens.get(self.at) {
                Some(Token::Text(text) | Token::Word(text)) => values.push(text.clone()),
                _ => return Err(self.unexpected()),
            }
            self.at += 1;
            if !(many && self.sign(",")) {
                break;
            }
        }
        if many {
            self.expect(")")?;
        }
        Ok(values)
    }

    fn sign(&mut self, wanted: &str) -> bool {
        let there = matches!(self.tokens.get(self.at), Some(Token::Sign(sign)) if *sign == wanted);
        self.at += usize::from(there);
        there
    }

    fn word(&mut self, wanted: &str) -> bool {
        let there = matches!(self.tokens.get(self.at), Some(Token::Word(word)) if word == wanted);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, wanted: &str) -> Parsed {
        if self.sign(wanted) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn deep(&self, depth: usize) -> Parsed {
        if depth > DEPTH_MAX { Err((Reason::TooComplex, format!("nested deeper than {DEPTH_MAX}"))) } else { Ok(()) }
    }

    /// Words that tie values together, by name; anything else holds not together.
    fn unexpected(&self) -> (Reason, String) {
        match self.tokens.get(self.at) {
            Some(Token::Word(word))
                if ["AND", "FOLLOWEDBY", "NOT", "EXISTS", "WITHIN", "REPEATS", "START", "STOP"].contains(&word.as_str()) =>
            {
                (Reason::TooComplex, word.clone())
            }
            Some(Token::Sign(sign)) => (Reason::Malformed, (*sign).to_owned()),
            Some(Token::Word(text) | Token::Text(text)) => (Reason::Malformed, text.clone()),
            None => (Reason::Malformed, "ends too early".into()),
        }
    }
}

/// What values of an object path may be; `None` for paths that nothing is looked up for.
fn kinds(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        "ipv4-addr:value" | "ipv6-addr:value" => &["address", "prefix"],
        "domain-name:value" | "hostname:value" => &["domain"],
        "url:value" => &["url"],
        "email-addr:value" | "email-message:from_ref.value" | "email-message:sender_ref.value" | "email-message:to_refs[].value" => {
            &["mail"]
        }
        "network-traffic:src_ref.value" | "network-traffic:dst_ref.value" => &["address", "prefix", "domain"],
        _ => {
            let hash = path.strip_prefix("file:hashes.").or_else(|| path.strip_prefix("artifact:hashes."))?;
            match hash.to_ascii_uppercase().replace('-', "").as_str() {
                "MD5" => &["md5"],
                "SHA1" => &["sha1"],
                "SHA256" => &["sha256"],
                _ => return None,
            }
        }
    })
}

//! The modifiers behind a field's name, `CommandLine|windash|contains|all`: which go together and in which order, and what
//! they make of each value. A combination that pySigma refuses is refused here, by the modifiers' names.

use ingest::body::Prefix;
use ingest::fields::FieldId;

use super::encode::Encoding;
use super::moment::Part;
use super::names::Context;
use super::pattern::{self, Anchor, DASHES, Pattern, Token, tokens_of};
use super::value::{Comparison, Matcher, Number};
use super::yaml::{Node, Value};
use super::{CompileError, expression, nearest};

/// A longer string is no pattern but a document.
const PATTERN_BYTES_MAX: usize = 8 * 1024;
/// Texts that the dashes of one value make where they are encoded: four switches.
const DASHED_MAX: usize = 625;

const NAMES: [&str; 34] = [
    "contains",
    "startswith",
    "endswith",
    "all",
    "neq",
    "exists",
    "cased",
    "re",
    "i",
    "m",
    "s",
    "ignorecase",
    "multiline",
    "dotall",
    "cidr",
    "lt",
    "lte",
    "gt",
    "gte",
    "windash",
    "base64",
    "base64offset",
    "utf16le",
    "utf16be",
    "utf16",
    "wide",
    "expand",
    "fieldref",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
];

/// What a modifier does, as far as it matters for which others it goes together with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    /// About the list of values or the whole line: goes with all.
    Line,
    /// Says what kind of comparison it is.
    Kind(Kind),
    Flag(char),
    Anchor(Anchor),
    Cased,
    Expand,
    Windash,
    Encode(Encoding),
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Kind {
    #[default]
    Plain,
    Regex,
    Cidr,
    Compare(Comparison),
    Exists,
    FieldRef,
    Part(Part),
}

fn role(name: &str) -> Option<Role> {
    Some(match name {
        "all" | "neq" => Role::Line,
        "re" => Role::Kind(Kind::Regex),
        "cidr" => Role::Kind(Kind::Cidr),
        "lt" => Role::Kind(Kind::Compare(Comparison::Lt)),
        "lte" => Role::Kind(Kind::Compare(Comparison::Lte)),
        "gt" => Role::Kind(Kind::Compare(Comparison::Gt)),
        "gte" => Role::Kind(Kind::Compare(Comparison::Gte)),
        "exists" => Role::Kind(Kind::Exists),
        "fieldref" => Role::Kind(Kind::FieldRef),
        "i" | "ignorecase" => Role::Flag('i'),
        "m" | "multiline" => Role::Flag('m'),
        "s" | "dotall" => Role::Flag('s'),
        "contains" => Role::Anchor(Anchor::Contains),
        "startswith" => Role::Anchor(Anchor::Start),
        "endswith" => Role::Anchor(Anchor::End),
        "cased" => Role::Cased,
        "expand" => Role::Expand,
        "windash" => Role::Windash,
        _ => return Encoding::parse(name).map(Role::Encode).or_else(|| Part::parse(name).map(|part| Role::Kind(Kind::Part(part)))),
    })
}

/// Whether `now` may stand behind `before`.
fn goes_together(before: Role, now: Role) -> bool {
    use Role::{Anchor, Cased, Encode, Expand, Flag, Line, Windash};
    match (before, now) {
        (Line | Flag(_), _) | (_, Line) => true,
        (Role::Kind(Kind::Regex), now) => matches!(now, Flag(_) | Anchor(_) | Expand),
        (Role::Kind(Kind::FieldRef), now) => matches!(now, Anchor(_) | Cased),
        (Role::Kind(_), _) => false,
        (before, Role::Kind(Kind::FieldRef)) => before == Cased,
        (_, Role::Kind(_)) => false,
        (Anchor(_), now) => !matches!(now, Anchor(_) | Encode(_)),
        (Encode(_), now) => !matches!(now, Windash | Expand),
        (Cased | Expand | Windash, _) => true,
    }
}

/// Modifiers of one key, checked against each other.
#[derive(Debug, Default)]
pub(crate) struct Modifiers {
    /// Every value of the rule must be found, not just one.
    pub(crate) all: bool,
    /// The whole line must not hold.
    pub(crate) neq: bool,
    kind: Kind,
    anchor: Option<Anchor>,
    cased: bool,
    expand: bool,
    windash: bool,
    encodings: Vec<Encoding>,
    flags: Vec<char>,
}

impl Modifiers {
    /// `keyword`: there is no field, so that a value is looked for anywhere.
    pub(crate) fn parse<'a>(names: impl Iterator<Item = &'a str>, keyword: bool) -> Result<Self, String> {
        let mut modifiers = Self::default();
        let mut before: Vec<(&str, Role)> = Vec::new();
        for name in names {
            let now = role(name).ok_or_else(|| format!("unknown modifier '{name}'{}", nearest(name, &NAMES)))?;
            if matches!(now, Role::Flag(_)) && modifiers.kind != Kind::Regex {
                return Err(format!("modifier '{name}' stands only behind 're'"));
            }
            for (other, role) in &before {
                if *other == name && !matches!(now, Role::Encode(_)) {
                    return Err(format!("modifier '{name}' stands twice"));
                }
                if !goes_together(*role, now) {
                    return Err(format!("modifier '{name}' does not go together with '{other}' before it"));
                }
            }
            modifiers.add(name, now);
            before.push((name, now));
        }
        if modifiers.all && modifiers.kind == Kind::Exists {
            return Err("modifier 'all' does not go together with 'exists'".into());
        }
        if keyword {
            match (before.iter().find(|(_, role)| matches!(role, Role::Kind(kind) if *kind != Kind::Regex)), modifiers.kind) {
                (Some((name, _)), _) => return Err(format!("modifier '{name}' needs a field")),
                (None, Kind::Plain) if modifiers.anchor.is_none() => modifiers.anchor = Some(Anchor::Contains),
                (None, _) => {}
            }
        }
        Ok(modifiers)
    }

    fn add(&mut self, name: &str, role: Role) {
        match role {
            Role::Line if name == "all" => self.all = true,
            Role::Line => self.neq = true,
            Role::Kind(kind) => self.kind = kind,
            Role::Flag(flag) => self.flags.push(flag),
            Role::Anchor(anchor) => self.anchor = Some(anchor),
            Role::Cased => self.cased = true,
            Role::Expand => self.expand = true,
            Role::Windash => self.windash = true,
            Role::Encode(encoding) => self.encodings.push(encoding),
        }
    }

    /// Whether they ask for a part of a time.
    pub(crate) fn is_part(&self) -> bool {
        matches!(self.kind, Kind::Part(_))
    }

    /// Any of these is what the value asks for.
    pub(crate) fn matchers(&self, node: &Node, field: Option<FieldId>, context: &Context<'_>) -> Result<Vec<Matcher>, CompileError> {
        let error = |message: String| CompileError::at(node.line, message);
        if matches!(node.value, Value::List(_) | Value::Map(_)) {
            return Err(error(format!("a value is expected here, not {}", node.kind())));
        }
        if node.scalar_text().is_some_and(|text| text.len() > PATTERN_BYTES_MAX) {
            return Err(error(format!("a value is longer than {PATTERN_BYTES_MAX} bytes")));
        }
        let needs = |what: &str| Err(error(format!("{what}, not {}", node.kind())));
        match (self.kind, &node.value) {
            (Kind::Plain, _) => self.plain(node, field, context).map_err(error),
            (Kind::Exists, Value::Bool(wanted)) => Ok(vec![Matcher::Exists(*wanted)]),
            (Kind::Exists, _) => needs("'exists' needs true or false"),
            (Kind::Compare(comparison), value) => match number(value) {
                Some(number) => Ok(vec![Matcher::Compare(comparison, number)]),
                None => needs("a comparison needs a number"),
            },
            (Kind::Part(part), Value::Int(number)) if part.range().contains(number) => Ok(vec![Matcher::Part(part, *number)]),
            (Kind::Part(part), Value::Int(number)) => {
                Err(error(format!("there is no {} {number}", format!("{part:?}").to_ascii_lowercase())))
            }
            (Kind::Part(_), _) => needs("a part of a time is a whole number"),
            (Kind::Cidr, Value::Str(text)) => cidr(text).map(|prefix| vec![Matcher::Cidr(prefix)]).map_err(error),
            (Kind::Cidr, _) => needs("'cidr' needs an address range"),
            (Kind::Regex, Value::Str(text)) => self.expressions(text, context).map_err(error),
            (Kind::Regex, _) => needs("'re' needs a text"),
            (Kind::FieldRef, Value::Str(text)) => {
                let name: Option<String> =
                    tokens_of(text).into_iter().map(|token| if let Token::Char(c) = token { Some(c) } else { None }).collect();
                let Some(name) = name else { return Err(error(format!("'{text}' is no field's name: it has wildcards"))) };
                let other = context.names.field(&name, node.line)?;
                Ok(vec![Matcher::Field { other, anchor: self.anchor.unwrap_or(Anchor::Whole), cased: self.cased }])
            }
            (Kind::FieldRef, _) => needs("'fieldref' needs a field's name"),
        }
    }

    fn plain(&self, node: &Node, field: Option<FieldId>, context: &Context<'_>) -> Result<Vec<Matcher>, String> {
        let as_text = self.anchor.is_some() || self.cased || self.expand || self.windash || !self.encodings.is_empty();
        match &node.value {
            Value::Null if as_text || field.is_none() => return Err("a text is expected here, not nothing".into()),
            Value::Null => return Ok(vec![Matcher::Null]),
            Value::Bool(truth) if !as_text => return Ok(vec![Matcher::Bool(*truth)]),
            _ => {}
        }
        if let Some(number) = number(&node.value).filter(|_| !as_text) {
            return Ok(vec![Matcher::Number(number)]);
        }
        let text = node.scalar_text().unwrap_or_default();
        let mut variants = if self.expand { context.placeholders.strings(&text)? } else { vec![tokens_of(&text)] };
        if self.windash {
            variants.iter_mut().for_each(|tokens| pattern::windash(tokens));
        }
        if !self.encodings.is_empty() {
            variants = self.encoded(&variants)?;
        }
        let anchor = self.anchor.unwrap_or(Anchor::Whole);
        Ok(variants.into_iter().map(|tokens| Matcher::Text(Pattern::new(tokens, anchor, self.cased))).collect())
    }

    fn encoded(&self, variants: &[Vec<Token>]) -> Result<Vec<Vec<Token>>, String> {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for tokens in variants {
            all.extend(literals(tokens)?.into_iter().map(String::into_bytes));
        }
        for encoding in &self.encodings {
            let mut next = Vec::new();
            for bytes in &all {
                next.extend(encoding.apply(bytes)?);
            }
            all = next;
        }
        let mut texts = Vec::new();
        for bytes in all {
            let text = String::from_utf8(bytes);
            let text = text.map_err(|_| "utf16 of this value is no text: 'base64' or 'base64offset' must follow")?;
            texts.push(text.chars().map(Token::Char).collect());
        }
        Ok(texts)
    }

    fn expressions(&self, text: &str, context: &Context<'_>) -> Result<Vec<Matcher>, String> {
        let variants = if self.expand { context.placeholders.expressions(text)? } else { vec![text.to_owned()] };
        let anchor = self.anchor.unwrap_or(Anchor::Whole);
        variants.iter().map(|text| expression::compile(text, &self.flags, anchor).map(Matcher::Regex)).collect()
    }
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Int(number) => Some(Number::Int(*number)),
        Value::Float(number) => Some(Number::Float(*number)),
        _ => None,
    }
}

/// The texts that a value without wildcards may be.
fn literals(tokens: &[Token]) -> Result<Vec<String>, String> {
    let mut all = vec![String::new()];
    for token in tokens {
        match token {
            Token::Char(c) => all.iter_mut().for_each(|text| text.push(*c)),
            Token::Dash if all.len() * DASHES.len() > DASHED_MAX => {
                return Err(format!("the dashes of this value make more than {DASHED_MAX} texts to encode"));
            }
            Token::Dash => all = all.iter().flat_map(|text| DASHES.map(|dash| format!("{text}{dash}"))).collect(),
            Token::One | Token::Many => return Err("a value with wildcards cannot be encoded".into()),
        }
    }
    Ok(all)
}

fn cidr(text: &str) -> Result<Prefix, String> {
    let prefix: Prefix = text.parse().map_err(|error: ingest::body::PrefixError| error.to_string())?;
    // A base with host bits is nearly always a typing error in its length.
    let base: Option<std::net::IpAddr> = text.split('/').next().and_then(|base| base.parse().ok());
    match base == Some(prefix.range().0) {
        true => Ok(prefix),
        false => Err(format!("the range '{text}' has host bits set, it would be '{prefix}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which combinations stand; the words of a refusal where one does not.
    #[test]
    fn combinations() {
        let good = [
            "contains|all",
            "all|contains",
            "contains|cased",
            "cased|startswith",
            "neq",
            "neq|contains|all",
            "windash|contains|all",
            "contains|windash",
            "wide|base64offset|contains",
            "base64|contains",
            "windash|base64offset|contains",
            "base64|utf16le|base64offset|contains",
            "expand|contains",
            "contains|expand",
            "expand|base64",
            "re|i|m|s",
            "re|ignorecase",
            "re|expand",
            "re|i|startswith",
            "re|contains",
            "re|all",
            "cidr|all",
            "gte|neq",
            "exists|neq",
            "hour|neq",
            "fieldref|endswith|cased|neq",
            "cased|fieldref",
            "neq|fieldref",
        ];
        good.iter().for_each(|names| assert!(Modifiers::parse(names.split('|'), false).is_ok(), "{names}"));
        let bad = [
            ("contans", "unknown modifier 'contans', did you mean 'contains'?"),
            ("contains|startswith", "modifier 'startswith' does not go together with 'contains' before it"),
            ("contains|contains", "modifier 'contains' stands twice"),
            ("contains|base64", "modifier 'base64' does not go together with 'contains' before it"),
            ("base64|windash", "modifier 'windash' does not go together with 'base64' before it"),
            ("contains|re", "modifier 're' does not go together with 'contains' before it"),
            ("expand|re", "modifier 're' does not go together with 'expand' before it"),
            ("re|cased", "modifier 'cased' does not go together with 're' before it"),
            ("re|base64", "modifier 'base64' does not go together with 're' before it"),
            ("i|re", "modifier 'i' stands only behind 're'"),
            ("contains|i", "modifier 'i' stands only behind 're'"),
            ("cidr|contains", "modifier 'contains' does not go together with 'cidr' before it"),
            ("expand|cidr", "modifier 'cidr' does not go together with 'expand' before it"),
            ("lt|gt", "modifier 'gt' does not go together with 'lt' before it"),
            ("hour|gte", "modifier 'gte' does not go together with 'hour' before it"),
            ("contains|exists", "modifier 'exists' does not go together with 'contains' before it"),
            ("exists|all", "modifier 'all' does not go together with 'exists'"),
            ("contains|fieldref", "modifier 'fieldref' does not go together with 'contains' before it"),
            ("fieldref|re", "modifier 're' does not go together with 'fieldref' before it"),
        ];
        bad.iter().for_each(|(names, expected)| assert_eq!(Modifiers::parse(names.split('|'), false).unwrap_err(), *expected, "{names}"));
        assert_eq!(Modifiers::parse(["cidr"].into_iter(), true).unwrap_err(), "modifier 'cidr' needs a field");
        assert!(Modifiers::parse(["re", "i"].into_iter(), true).is_ok());
    }
}

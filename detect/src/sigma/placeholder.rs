//! Placeholders: `%Administrators%` in a value with `expand` stands for what the operator's table says. The table is a file
//! `placeholders.yml` beside the rules; a placeholder that it does not name is refused with the rule.

use std::collections::BTreeMap;

use super::pattern::{Token, tokens_of};
use super::yaml::{self, Value};
use super::{CompileError, nearest};

/// The table's file; it is no rule.
pub(crate) const FILE: &str = "placeholders.yml";
/// Values that the placeholders of one text may make of it: two long lists in one text multiply.
const VARIANTS_MAX: usize = 10_000;

/// Names and what each stands for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placeholders {
    values: BTreeMap<String, Vec<String>>,
}

impl Placeholders {
    /// Adds a file's entries: `Administrators: [adm_*, root]` or `Gateway: fw1`.
    pub(crate) fn read(&mut self, text: &str) -> Result<(), CompileError> {
        let nodes = yaml::parse(text).map_err(|error| CompileError::at(error.line, error.message))?;
        for node in nodes {
            if !matches!(node.value, Value::Map(_)) {
                return Err(CompileError::at(node.line, format!("the placeholders must be a map, not {}", node.kind())));
            }
            for entry in node.entries() {
                let error = |message: String| Err(CompileError::at(entry.line, message));
                if entry.key.is_empty() || !entry.key.chars().all(is_name) {
                    return error(format!("'{}' is no placeholder's name: letters, digits and '_'", entry.key));
                }
                let Some(values) = entry.node.texts().filter(|values| !values.is_empty()) else {
                    return error(format!("placeholder '{}' must be a text or a list of texts", entry.key));
                };
                let values = values.into_iter().map(|(_, value)| value).collect();
                if self.values.insert(entry.key.clone(), values).is_some() {
                    return error(format!("placeholder '{}' is given twice", entry.key));
                }
            }
        }
        Ok(())
    }

    /// Adds the variables of a pipeline.
    pub(crate) fn extend(&mut self, vars: Vec<(String, Vec<String>)>) -> Result<(), CompileError> {
        for (name, values) in vars {
            if !name.chars().all(is_name) || self.values.insert(name.clone(), values).is_some() {
                return Err(CompileError::at(1, format!("variable '{name}' is no placeholder's name, or is given twice")));
            }
        }
        Ok(())
    }

    /// All that a string may be; the table's values may hold wildcards.
    pub(crate) fn strings(&self, text: &str) -> Result<Vec<Vec<Token>>, String> {
        self.variants(text, &tokens_of, &tokens_of)
    }

    /// All that a regular expression may be; the table's values stand for themselves and their wildcards.
    pub(crate) fn expressions(&self, text: &str) -> Result<Vec<String>, String> {
        let value = |value: &str| -> Vec<String> { tokens_of(value).into_iter().map(expression_of).collect() };
        let all = self.variants(text, &|plain| vec![plain.to_owned()], &value)?;
        Ok(all.iter().map(|parts| parts.concat()).collect())
    }

    fn variants<T: Clone>(
        &self,
        text: &str,
        plain: &dyn Fn(&str) -> Vec<T>,
        value: &dyn Fn(&str) -> Vec<T>,
    ) -> Result<Vec<Vec<T>>, String> {
        let mut variants: Vec<Vec<T>> = vec![Vec::new()];
        for piece in pieces(text) {
            let endings: Vec<Vec<T>> = match piece {
                Piece::Plain(text) => vec![plain(&text)],
                Piece::Percent => vec![plain("%")],
                Piece::Name(name) => self.of(&name)?.iter().map(|text| value(text)).collect(),
            };
            if variants.len().saturating_mul(endings.len()) > VARIANTS_MAX {
                return Err(format!("the placeholders make more than {VARIANTS_MAX} values of one"));
            }
            variants = variants
                .iter()
                .flat_map(|begun| endings.iter().map(move |ending| [begun.as_slice(), ending.as_slice()].concat()))
                .collect();
        }
        Ok(variants)
    }

    fn of(&self, name: &str) -> Result<&[String], String> {
        let known: Vec<&str> = self.values.keys().map(String::as_str).collect();
        let found = self.values.get(name).map(Vec::as_slice);
        found.ok_or_else(|| format!("placeholder '%{name}%' has no values: name it in {FILE} beside the rules{}", nearest(name, &known)))
    }
}

enum Piece {
    Plain(String),
    /// A percent sign that is escaped or begins no name.
    Percent,
    Name(String),
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, behind) = (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default());
        let escaped = before.strip_suffix('\\');
        let name = behind.split_once('%').filter(|(name, _)| escaped.is_none() && !name.is_empty() && name.chars().all(is_name));
        let plain = escaped.unwrap_or(before);
        if !plain.is_empty() {
            pieces.push(Piece::Plain(plain.to_owned()));
        }
        rest = match name {
            Some((name, behind)) => {
                pieces.push(Piece::Name(name.to_owned()));
                behind
            }
            None => {
                pieces.push(Piece::Percent);
                behind
            }
        };
    }
    if !rest.is_empty() {
        pieces.push(Piece::Plain(rest.to_owned()));
    }
    pieces
}

fn expression_of(token: Token) -> String {
    match token {
        Token::Char(c) => regex::escape(&c.to_string()),
        Token::One => ".".into(),
        Token::Many => ".*".into(),
        Token::Dash => "[-/–—―]".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Placeholders {
        let mut table = Placeholders::default();
        table.read("admins: [root, 'adm_*']\nhost: 7\n").unwrap();
        table
    }

    /// text, what it may be.
    #[test]
    fn a_text_is_all_that_its_placeholders_make_of_it() {
        let shown = |tokens: &Vec<Token>| -> String {
            let sign = |token: &Token| match token {
                Token::Char(c) => *c,
                Token::One => '⁇',
                Token::Many => '…',
                Token::Dash => '~',
            };
            tokens.iter().map(sign).collect()
        };
        let cases: &[(&str, &[&str])] = &[
            ("%admins%", &["root", "adm_…"]),
            ("x*%admins%@%host%", &["x…root@7", "x…adm_…@7"]),
            (r"\%plain%host%", &["%plain7"]),
            ("100%", &["100%"]),
            ("%a b%", &["%a b%"]),
            ("%%host%%", &["%7%"]),
            ("plain", &["plain"]),
        ];
        for (text, expected) in cases {
            let all = table().strings(text).unwrap();
            assert_eq!(all.iter().map(shown).collect::<Vec<_>>(), *expected, "{text}");
        }
        assert_eq!(table().expressions(r"^%admins%\d$").unwrap(), [r"^root\d$", r"^adm_.*\d$"]);
    }

    #[test]
    fn refusals() {
        let unknown = "placeholder '%admin%' has no values: name it in placeholders.yml beside the rules, did you mean 'admins'?";
        assert_eq!(table().strings("%admin%").unwrap_err(), unknown);
        let mut many = Placeholders::default();
        many.read(&format!("x: [{}]\n", "a, ".repeat(200))).unwrap();
        assert_eq!(many.strings("%x%%x%").unwrap_err(), "the placeholders make more than 10000 values of one");
        for (text, expected) in [
            ("- a\n", "the placeholders must be a map, not a list"),
            ("a b: x\n", "'a b' is no placeholder's name: letters, digits and '_'"),
            ("a: []\n", "placeholder 'a' must be a text or a list of texts"),
            ("host: x\n", "placeholder 'host' is given twice"),
        ] {
            assert_eq!(table().read(text).unwrap_err().message, expected, "{text}");
        }
    }
}

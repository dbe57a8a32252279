//! The condition of a detection: `selection and not 1 of filter_*`. Parsed once into an expression over the
//! numbers of the selections; `not` binds tighter than `and`, `and` tighter than `or`.

use super::nearest;
use super::pattern::{self, Anchor, Pattern};

/// Parentheses and `not` may nest this deep: nobody reads more, and the parser recurses.
const DEPTH_MAX: usize = 50;
/// Words in one condition.
const TOKENS_MAX: usize = 2_000;

/// A condition over selections by their number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Selection(usize),
    Not(Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
}

impl Expr {
    pub(crate) fn eval(&self, selection: &mut dyn FnMut(usize) -> bool) -> bool {
        match self {
            Self::Selection(number) => selection(*number),
            Self::Not(inner) => !inner.eval(selection),
            Self::All(parts) => parts.iter().all(|part| part.eval(selection)),
            Self::Any(parts) => parts.iter().any(|part| part.eval(selection)),
        }
    }

    pub(crate) fn has_not(&self) -> bool {
        match self {
            Self::Selection(_) => false,
            Self::Not(_) => true,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::has_not),
        }
    }

    /// The numbers of all selections in it.
    pub(crate) fn selections(&self, into: &mut Vec<usize>) {
        match self {
            Self::Selection(number) => into.push(*number),
            Self::Not(inner) => inner.selections(into),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.selections(into)),
        }
    }
}

pub(crate) fn parse(text: &str, names: &[&str]) -> Result<Expr, String> {
    parse_of(text, names, "selection")
}

/// The names that a condition uses, each once and in order; without patterns, for which the names must be known before.
pub(crate) fn names_in(text: &str) -> Result<Vec<&str>, String> {
    let mut names = Vec::new();
    for token in words_of(text)? {
        if token.eq_ignore_ascii_case("of") {
            return Err("a pattern needs the rules' names: list them under 'rules'".into());
        }
        let is_word = ["and", "or", "not", "(", ")"].iter().any(|word| token.eq_ignore_ascii_case(word));
        if !is_word && !names.contains(&token) {
            names.push(token);
        }
    }
    Ok(names)
}

/// As `parse`; `what` the names are, for refusals.
pub(crate) fn parse_of(text: &str, names: &[&str], what: &'static str) -> Result<Expr, String> {
    let tokens = words_of(text)?;
    if tokens.len() > TOKENS_MAX {
        return Err(format!("the condition has {} words, at most {TOKENS_MAX} are read", tokens.len()));
    }
    let mut parser = Parser { tokens: &tokens, names, what, depth: 0 };
    let expr = parser.any()?;
    match parser.tokens.first() {
        None => Ok(expr),
        Some(extra) => Err(format!("unexpected '{extra}' in the condition")),
    }
}

fn words_of(text: &str) -> Result<Vec<&str>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let end = match c {
            '(' | ')' => 1,
            '|' => return Err("aggregations behind '|' are not supported: write a correlation".into()),
            _ => rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|')).unwrap_or(rest.len()),
        };
        let (token, behind) = rest.split_at(end);
        tokens.push(token);
        rest = behind.trim_start();
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    names: &'a [&'a str],
    what: &'static str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.all()?];
        while self.take("or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Expr::Any))
    }

    fn all(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.not()?];
        while self.take("and") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Expr::All))
    }

    fn not(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("the condition nests deeper than {DEPTH_MAX}"));
        }
        let expr = if self.take("not") { Expr::Not(Box::new(self.not()?)) } else { self.atom()? };
        self.depth -= 1;
        Ok(expr)
    }

    fn atom(&mut self) -> Result<Expr, String> {
        let Some(token) = self.next() else { return Err(format!("the condition ends where a {} is expected", self.what)) };
        if token == "(" {
            let expr = self.any()?;
            return if self.take(")") { Ok(expr) } else { Err("a ')' is missing in the condition".into()) };
        }
        if self.tokens.first().is_some_and(|next| next.eq_ignore_ascii_case("of")) && !self.names.contains(&token) {
            return self.quantified(token);
        }
        if token == ")" || ["and", "or", "not", "of"].iter().any(|word| token.eq_ignore_ascii_case(word)) {
            return Err(format!("unexpected '{token}' in the condition"));
        }
        let found = self.names.iter().position(|name| *name == token);
        found.map(Expr::Selection).ok_or_else(|| format!("unknown {} '{token}' in the condition{}", self.what, nearest(token, self.names)))
    }

    /// `1 of x*`, `any of x*`, `all of x*`, `… of them`.
    fn quantified(&mut self, quantity: &str) -> Result<Expr, String> {
        self.next();
        let Some(pattern) = self.next() else { return Err(format!("'{quantity} of' needs a pattern or 'them'")) };
        // Names that begin with an underscore are helpers, meant only by a pattern that says so.
        let them = pattern.eq_ignore_ascii_case("them");
        let glob = Pattern::new(pattern::tokens_of(pattern), Anchor::Whole, true);
        let meant = |name: &str| (them || glob.matches(name)) && (!name.starts_with('_') || pattern.starts_with('_'));
        let found: Vec<Expr> = (0..).zip(self.names).filter(|(_, name)| meant(name)).map(|(number, _)| Expr::Selection(number)).collect();
        if found.is_empty() {
            return Err(format!("no {} is called '{pattern}'{}", self.what, nearest(pattern, self.names)));
        }
        match quantity.to_ascii_lowercase().as_str() {
            "1" | "any" => Ok(one_or(found, Expr::Any)),
            "all" => Ok(one_or(found, Expr::All)),
            _ => Err(format!("'{quantity} of' is not supported: use '1 of' or 'all of'")),
        }
    }

    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.tokens.first().is_some_and(|next| next.eq_ignore_ascii_case(word));
        if found {
            self.next();
        }
        found
    }
}

fn one_or(mut parts: Vec<Expr>, wrap: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => wrap(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["sel", "filter_a", "filter_b", "_hidden", "x_filter"];

    /// Which of the 32 truth assignments satisfy the condition, beside the same condition in Rust.
    fn check(condition: &str, expected: impl Fn([bool; 5]) -> bool) {
        let expr = parse(condition, &NAMES).unwrap();
        for bits in 0..32u32 {
            let on = |n: usize| bits & (1 << n) != 0;
            assert_eq!(expr.eval(&mut |n| on(n)), expected([on(0), on(1), on(2), on(3), on(4)]), "{condition} with {bits:05b}");
        }
    }

    #[test]
    fn conditions() {
        check("sel", |[s, ..]| s);
        check("sel and not filter_a", |[s, a, ..]| s && !a);
        check("sel or filter_a and filter_b", |[s, a, b, ..]| s || (a && b));
        check("(sel or filter_a) and filter_b", |[s, a, b, ..]| (s || a) && b);
        check("not sel or filter_a", |[s, a, ..]| !s || a);
        check("not (sel or filter_a)", |[s, a, ..]| !(s || a));
        check("not not sel", |[s, ..]| s);
        check("sel and not 1 of filter_*", |[s, a, b, ..]| s && !(a || b));
        check("all of filter_*", |[_, a, b, ..]| a && b);
        check("1 of *filter*", |[_, a, b, _, x]| a || b || x);
        check("1 of them", |[s, a, b, _, x]| s || a || b || x);
        check("all of them", |[s, a, b, _, x]| s && a && b && x);
        check("any of _hid*", |[_, _, _, h, _]| h);
        check("1 of *", |[s, a, b, _, x]| s || a || b || x);
        check("all of *e*", |[s, a, b, _, x]| s && a && b && x);
        check("1 of *_a or _hidden", |[_, a, _, h, _]| a || h);
        check("sel or not 1 of filter_* and x_filter", |[s, a, b, _, x]| s || (!(a || b) && x));
        check("1 of sel", |[s, ..]| s);
        check("sel AND NOT filter_a", |[s, a, ..]| s && !a);
    }

    #[test]
    fn refusals() {
        let table = [
            ("", "the condition ends where a selection is expected"),
            ("sel and", "the condition ends where a selection is expected"),
            ("sel sel", "unexpected 'sel' in the condition"),
            ("(sel", "a ')' is missing in the condition"),
            ("sel)", "unexpected ')' in the condition"),
            ("and sel", "unexpected 'and' in the condition"),
            ("selection", "unknown selection 'selection' in the condition"),
            ("filter_c", "unknown selection 'filter_c' in the condition, did you mean 'filter_a'?"),
            ("2 of filter_*", "'2 of' is not supported: use '1 of' or 'all of'"),
            ("1 of nothing*", "no selection is called 'nothing*'"),
            ("sel | count() > 5", "aggregations behind '|' are not supported: write a correlation"),
        ];
        for (condition, expected) in table {
            assert_eq!(parse(condition, &NAMES).unwrap_err(), expected, "{condition}");
        }
        assert_eq!(parse(&format!("{}sel", "not ".repeat(100)), &NAMES).unwrap_err(), "the condition nests deeper than 50");
    }
}

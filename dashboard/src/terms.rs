//! Queries as text, as links and runs put them together: how a condition is written so that no value becomes part of the
//! language, and how one is added without changing what was asked. The language itself is `ingest::query`.

use ingest::events::Value;
use ingest::fields::FieldId;
use ingest::query::Pipeline;

/// One condition of a query, quoted so that no value can become part of the language.
pub fn term(field: &str, value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    for ch in value.chars() {
        if matches!(ch, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(ch);
    }
    format!("{field}:\"{quoted}\"")
}

/// What a group's value is asked for by.
pub fn condition(field: FieldId, value: &Value) -> String {
    match value {
        Value::Missing => format!("NOT {}:*", field.name()),
        value => term(field.name(), &value.text()),
    }
}

/// `text` with one more condition; what is made of the matches stays.
pub fn with(text: &str, condition: &str) -> String {
    let (query, stages) = Pipeline::split(text);
    let narrowed = narrowed(query, condition);
    if stages.is_empty() { narrowed } else { format!("{narrowed} {stages}") }
}

/// A query, without stages, with one more condition.
pub fn narrowed(query: &str, condition: &str) -> String {
    match query.trim() {
        "" | "*" => condition.to_owned(),
        query if has_or(query) => format!("({query}) AND {condition}"),
        query => format!("{query} AND {condition}"),
    }
}

/// Whether an OR stands outside of all parentheses and quotation marks.
fn has_or(query: &str) -> bool {
    let (mut depth, mut quoted, mut escaped, mut word) = (0i32, false, false, String::new());
    for ch in query.chars().chain([' ']) {
        let ends = ch.is_whitespace() || matches!(ch, '(' | ')' | '"');
        if ends && !quoted && depth == 0 && word == "OR" {
            return true;
        }
        match ch {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if ends { word.clear() } else { word.push(ch) }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_narrows_without_changing_what_was_asked() {
        for (text, expected) in [
            ("", "a:\"b\""),
            ("x", "x AND a:\"b\""),
            ("x OR y", "(x OR y) AND a:\"b\""),
            ("(x OR y) AND z", "(x OR y) AND z AND a:\"b\""),
            ("x:\"y OR z\"", "x:\"y OR z\" AND a:\"b\""),
            ("x:\"\\\" OR z\" OR y", "(x:\"\\\" OR z\" OR y) AND a:\"b\""),
            ("x OR(y)", "(x OR(y)) AND a:\"b\""),
            ("x | count", "x AND a:\"b\" | count"),
            ("* | top site", "a:\"b\" | top site"),
            ("\"a | b\"", "\"a | b\" AND a:\"b\""),
        ] {
            assert_eq!(with(text, &term("a", "b")), expected);
        }
    }

    #[test]
    fn a_value_stays_a_value() {
        for (value, expected) in [
            ("198.51.100.23", "user.name:\"198.51.100.23\""),
            ("a\" OR *:*", "user.name:\"a\\\" OR *:*\""),
            ("dom\\user", "user.name:\"dom\\\\user\""),
        ] {
            assert_eq!(term("user.name", value), expected);
        }
    }
}

//! YAML as the rule compiler reads it: untyped nodes that know their line, so that each refusal can name it.
//! Anchors, merges and tags are the YAML crate's affair; how much a file may hold is ours.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Spanned, alias_limits, budget, options};

/// The longest rule file read; the largest of the public rules has 25 kB.
pub(crate) const FILE_BYTES_MAX: usize = 1 << 20;
/// Parser events in one file: room for a rule of some 20,000 terms, an end for alias bombs.
const EVENTS_MAX: usize = 100_000;
/// Nesting of maps and lists. Detections need five; the visitor below recurses.
const DEPTH_MAX: usize = 40;
/// Documents in one file.
const DOCUMENTS_MAX: usize = 1_000;

/// A value with the line it begins on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: u64,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a map; duplicates are refused by the parser.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: u64,
    pub(crate) node: Node,
}

/// Why a text is no YAML that we read.
#[derive(Debug, PartialEq)]
pub(crate) struct YamlError {
    pub(crate) line: u64,
    pub(crate) message: String,
}

/// All documents of a file.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, YamlError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(YamlError { line: 1, message: format!("the file has {} bytes, a rule file may have {FILE_BYTES_MAX}", text.len()) });
    }
    let options = options! {
        budget: budget! {
            max_events: EVENTS_MAX,
            max_nodes: EVENTS_MAX,
            max_depth: DEPTH_MAX,
            max_documents: DOCUMENTS_MAX,
        },
        alias_limits: alias_limits! { max_total_replayed_events: EVENTS_MAX, max_replay_stack_depth: DEPTH_MAX },
        // Only true and false are truth values; a name `y` or a value `off` stays the word that it is.
        strict_booleans: true,
        with_snippet: false,
    };
    let documents: Result<Vec<Spanned<Value>>, _> = serde_saphyr::from_multiple_with_options(text, options);
    documents.map(|all| all.into_iter().map(Node::from).collect()).map_err(|error| {
        // The crate's message ends with its own position; ours stands in front.
        let message = error.to_string();
        // … and to duplicate keys it adds an advice to programmers.
        let message = message
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .split(", set DuplicateKeyPolicy")
            .next()
            .unwrap_or_default()
            .lines()
            .next()
            .unwrap_or_default();
        YamlError { line: error.location().map_or(1, |location| location.line()), message: message.to_owned() }
    })
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self { line: spanned.referenced.line(), value: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }
    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }
    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number).map(Value::Int).map_err(|_| E::custom(format!("the number {number} is too large")))
    }
    fn visit_i128<E: serde::de::Error>(self, number: i128) -> Result<Value, E> {
        i64::try_from(number).map(Value::Int).map_err(|_| E::custom(format!("the number {number} is too large")))
    }
    fn visit_u128<E: serde::de::Error>(self, number: u128) -> Result<Value, E> {
        i64::try_from(number).map(Value::Int).map_err(|_| E::custom(format!("the number {number} is too large")))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Str(text.to_owned()))
    }
    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Str(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            list.push(item.into());
        }
        Ok(Value::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<Value>>()? {
            let line = key.referenced.line();
            let Some(key) = Node::from(key).scalar_text() else { return Err(A::Error::custom("a key must be a plain text")) };
            entries.push(Entry { key, line, node: map.next_value::<Spanned<Value>>()?.into() });
        }
        Ok(Value::Map(entries))
    }
}

impl Node {
    /// A scalar as text; `None` for null, lists and maps.
    pub(crate) fn scalar_text(&self) -> Option<String> {
        match &self.value {
            Value::Str(text) => Some(text.clone()),
            Value::Int(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// One scalar, or a list of scalars, with their lines; `None` where anything else stands there.
    pub(crate) fn texts(&self) -> Option<Vec<(u64, String)>> {
        match &self.value {
            Value::List(items) => items.iter().map(|item| Some((item.line, item.scalar_text()?))).collect(),
            _ => Some(vec![(self.line, self.scalar_text()?)]),
        }
    }

    /// What stands here, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Str(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_lines_and_quoted_numbers_are_texts() {
        let all = parse("a: 1\nb:\n  - 'x'\n  - null\n---\nc: '1'\nd: 4.5\n4625: true\n").unwrap();
        assert_eq!(all.len(), 2);
        let b = all[0].get("b").unwrap();
        assert_eq!((b.line, b.node.texts()), (2, None));
        let Value::List(items) = &b.node.value else { panic!() };
        assert_eq!(items.iter().map(|item| (item.line, item.kind())).collect::<Vec<_>>(), [(3, "a text"), (4, "nothing")]);
        let second = &all[1];
        assert_eq!(second.get("c").unwrap().node.value, Value::Str("1".into()));
        assert_eq!(second.get("d").unwrap().node.value, Value::Float(4.5));
        assert_eq!(second.get("4625").unwrap().line, 8);
        let words = parse("y: no\n").unwrap();
        assert_eq!(words[0].get("y").unwrap().node.value, Value::Str("no".into()));
    }

    #[test]
    fn bombs_are_refused() {
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..9 {
            let inner = vec![format!("*a{}", n - 1); 10].join(", ");
            laughs.push_str(&format!("a{n}: &a{n} [{inner}]\n"));
        }
        assert!(parse(&laughs).is_err());
        assert!(parse(&format!("a: {}1{}", "[".repeat(500), "]".repeat(500))).is_err());
        assert!(parse(&" ".repeat(FILE_BYTES_MAX + 1)).is_err());
        assert!(parse("a: 1\na: 2\n").unwrap_err().message.contains("duplicate"));
    }
}

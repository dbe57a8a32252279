//! What transformations do to a line of a detection.

use std::collections::BTreeMap;

use regex::Regex;

use super::super::CompileError;
use super::super::yaml::{Entry, Node, Value};

#[derive(Clone, Debug)]
pub(super) enum Change {
    // Of the rule.
    Logsource([Option<String>; 3]),
    State(String, String),
    Condition {
        lines: Vec<Entry>,
        negated: bool,
    },
    RefuseRule(String),
    // Of its lines.
    FieldNames(BTreeMap<String, Vec<String>>),
    FieldPrefixes(Vec<(String, Vec<String>)>),
    Prefix(String),
    Suffix(String),
    Drop,
    RefuseLine(String),
    Text {
        regex: Regex,
        replacement: String,
    },
    Words(BTreeMap<String, Vec<String>>),
    Value(Value),
    Case(Case),
    Type(Type),
    /// Placeholders of these names, all where there are none, stand for anything.
    Wildcards {
        include: Vec<String>,
        exclude: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Case {
    Lower,
    Upper,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Type {
    Text,
    Number,
}

/// A line with `$product`, `$category` and `$service` of the rule in its values.
pub(super) fn filled(line: &Entry, logsource: &[Option<String>; 3]) -> Entry {
    let fill = |text: &str| -> String {
        let names = ["$product", "$category", "$service"];
        names.iter().zip(logsource).fold(text.to_owned(), |text, (name, word)| text.replace(name, word.as_deref().unwrap_or_default()))
    };
    let mut line = line.clone();
    each_value(&mut line.node, &mut |value| {
        if let Value::Str(text) = value {
            *text = fill(text);
        }
    });
    line
}

fn each_value(node: &mut Node, change: &mut dyn FnMut(&mut Value)) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| each_value(item, change)),
        value => change(value),
    }
}

impl Change {
    /// The lines that one becomes.
    pub(super) fn of_line(&self, mut entry: Entry) -> Result<Vec<Entry>, CompileError> {
        let (field, modifiers) = match entry.key.split_once('|') {
            Some((field, modifiers)) => (field.to_owned(), Some(modifiers.to_owned())),
            None => (entry.key.clone(), None),
        };
        let renamed = |entry: &Entry, name: &str| {
            let key = modifiers.as_ref().map_or_else(|| name.to_owned(), |modifiers| format!("{name}|{modifiers}"));
            Entry { key, ..entry.clone() }
        };
        match self {
            Self::FieldNames(_) | Self::FieldPrefixes(_) | Self::Prefix(_) | Self::Suffix(_) => {
                let names = if field.is_empty() { vec![field.clone()] } else { self.names(&field).unwrap_or_else(|| vec![field.clone()]) };
                let references = modifiers.as_deref().is_some_and(|modifiers| modifiers.split('|').any(|name| name == "fieldref"));
                let mut lines: Vec<Entry> = names.iter().map(|name| renamed(&entry, name)).collect();
                if references {
                    for line in &mut lines {
                        each_value(&mut line.node, &mut |value| {
                            if let Value::Str(other) = value
                                && let Some(first) = self.names(other).and_then(|names| names.into_iter().next())
                            {
                                *other = first;
                            }
                        });
                    }
                }
                return Ok(lines);
            }
            Self::Drop => return Ok(Vec::new()),
            Self::RefuseLine(message) => return Err(CompileError::at(entry.line, message.clone())),
            Self::Text { regex, replacement } => each_value(&mut entry.node, &mut |value| {
                if let Value::Str(text) = value {
                    *text = regex.replace_all(text, replacement.as_str()).into_owned();
                }
            }),
            Self::Words(mapping) => {
                let mapped = |node: &Node| -> Vec<Node> {
                    let to = node.scalar_text().and_then(|text| mapping.get(&text));
                    to.map_or_else(
                        || vec![node.clone()],
                        |to| to.iter().map(|text| Node { line: node.line, value: Value::Str(text.clone()) }).collect(),
                    )
                };
                let values = match &entry.node.value {
                    Value::List(items) => items.iter().flat_map(mapped).collect(),
                    _ => mapped(&entry.node),
                };
                entry.node.value = one_or_list(values);
            }
            Self::Value(value) => entry.node.value = value.clone(),
            Self::Case(case) => each_value(&mut entry.node, &mut |value| {
                if let Value::Str(text) = value {
                    *text = match case {
                        Case::Lower => text.to_lowercase(),
                        Case::Upper => text.to_uppercase(),
                    };
                }
            }),
            Self::Type(to) => each_value(&mut entry.node, &mut |value| match (to, &*value) {
                (Type::Text, Value::Int(number)) => *value = Value::Str(number.to_string()),
                (Type::Text, Value::Float(number)) => *value = Value::Str(number.to_string()),
                (Type::Number, Value::Str(text)) => {
                    if let Ok(number) = text.parse() {
                        *value = Value::Int(number);
                    }
                }
                _ => {}
            }),
            Self::Wildcards { include, exclude } => {
                let Some(names) = modifiers.as_deref().filter(|modifiers| modifiers.split('|').any(|name| name == "expand")) else {
                    return Ok(vec![entry]);
                };
                let mut left = false;
                each_value(&mut entry.node, &mut |value| {
                    if let Value::Str(text) = value {
                        *text = opened(text, include, exclude, &mut left);
                    }
                });
                if !left {
                    let names: Vec<&str> = names.split('|').filter(|name| *name != "expand").collect();
                    entry.key = std::iter::once(field.as_str()).chain(names).collect::<Vec<_>>().join("|");
                }
            }
            Self::Logsource(_) | Self::State(..) | Self::Condition { .. } | Self::RefuseRule(_) => {}
        }
        Ok(vec![entry])
    }

    /// What a field is called instead; `None` where the change does not speak of it.
    pub(super) fn names(&self, field: &str) -> Option<Vec<String>> {
        match self {
            Self::FieldNames(mapping) => mapping.get(field).cloned(),
            Self::FieldPrefixes(mapping) => mapping.iter().find_map(|(from, to)| {
                let rest = field.strip_prefix(from.as_str())?;
                Some(to.iter().map(|to| format!("{to}{rest}")).collect())
            }),
            Self::Prefix(prefix) => Some(vec![format!("{prefix}{field}")]),
            Self::Suffix(suffix) => Some(vec![format!("{field}{suffix}")]),
            _ => None,
        }
    }
}

fn one_or_list(mut values: Vec<Node>) -> Value {
    match values.len() {
        1 => values.remove(0).value,
        _ => Value::List(values),
    }
}

/// The text with `*` for the placeholders meant; `left` says that others remain.
fn opened(text: &str, include: &[String], exclude: &[String], left: &mut bool) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        let name = behind.split_once('%').filter(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_'));
        rest = match name {
            Some((name, behind)) => {
                let meant = |list: &[String]| list.iter().any(|known| known == name);
                if (include.is_empty() || meant(include)) && !meant(exclude) {
                    out.push('*');
                } else {
                    *left = true;
                    out.push_str(&format!("%{name}%"));
                }
                behind
            }
            None => {
                out.push('%');
                behind
            }
        };
    }
    out + rest
}

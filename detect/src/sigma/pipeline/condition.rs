//! The conditions of transformations: what is asked of the rule, of a line of its detection, of the line's field.

use regex::Regex;

use super::super::yaml::{Node, Value};
use super::{Facts, Line, Steps};

/// Conditions on one thing; without any, all holds.
#[derive(Clone, Debug)]
pub(super) struct Conditions<T> {
    pub(super) tests: Vec<T>,
    /// `or` between them, else `and`.
    pub(super) any: bool,
    /// The whole of it turned round.
    pub(super) negated: bool,
}

#[derive(Clone, Debug)]
pub(super) enum RuleTest {
    /// What it names, the rule's log source has.
    Logsource([Option<String>; 3]),
    HasField(String),
    HasLine(String, String),
    Applied(String),
    State(String, String),
    Tag(String),
    IsRule,
    IsCorrelation,
}

#[derive(Clone, Debug)]
pub(super) enum ItemTest {
    /// Any value matches, or all of them.
    Matches {
        regex: Regex,
        all: bool,
        negated: bool,
    },
    IsNull {
        all: bool,
    },
    HasWildcard {
        all: bool,
    },
    Applied(String),
}

#[derive(Clone, Debug)]
pub(super) enum FieldTest {
    Include(Vec<Name>),
    Exclude(Vec<Name>),
    Applied(String),
}

/// A field's name, or an expression for it.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Plain(String),
    Expression(Regex),
}

impl<T> Conditions<T> {
    pub(super) fn hold(&self, holds: impl Fn(&T) -> bool) -> bool {
        if self.tests.is_empty() {
            return true;
        }
        let found = if self.any { self.tests.iter().any(holds) } else { self.tests.iter().all(holds) };
        found != self.negated
    }
}

impl RuleTest {
    pub(super) fn holds(&self, facts: &Facts<'_>, steps: &Steps<'_>) -> bool {
        match self {
            Self::Logsource(words) => words.iter().zip(&facts.logsource).all(|(wanted, has)| wanted.is_none() || wanted == has),
            Self::HasField(name) => any_line(facts, steps, &mut |field, _| field == name),
            Self::HasLine(name, value) => {
                any_line(facts, steps, &mut |field, values| field == name && scalars(values).any(|text| text == *value))
            }
            Self::Applied(id) => facts.applied.contains(id),
            Self::State(key, value) => facts.state.iter().rev().find(|(known, _)| known == key).is_some_and(|(_, is)| is == value),
            Self::Tag(tag) => {
                facts.document.get("tags").and_then(|tags| tags.node.texts()).is_some_and(|tags| tags.iter().any(|(_, is)| is == tag))
            }
            Self::IsRule => facts.document.get("detection").is_some(),
            Self::IsCorrelation => facts.document.get("correlation").is_some(),
        }
    }
}

/// Whether `visit` says yes to a line of the detection as it stands after the steps so far: its field and values.
fn any_line(facts: &Facts<'_>, steps: &Steps<'_>, visit: &mut dyn FnMut(&str, &Node) -> bool) -> bool {
    fn walk(node: &Node, steps: &Steps<'_>, visit: &mut dyn FnMut(&str, &Node) -> bool) -> bool {
        match &node.value {
            Value::List(items) => items.iter().any(|item| walk(item, steps, visit)),
            Value::Map(entries) => entries.iter().any(|entry| {
                // What a step refuses is refused when the line is compiled.
                let lines = steps.of_line(entry).unwrap_or_default();
                lines.iter().any(|line| visit(line.key.split('|').next().unwrap_or_default(), &line.node))
            }),
            _ => false,
        }
    }
    let detection = facts.document.get("detection").map(|entry| entry.node.entries()).unwrap_or_default();
    detection.iter().filter(|entry| entry.key != "condition").any(|entry| walk(&entry.node, steps, visit))
}

fn scalars(node: &Node) -> impl Iterator<Item = String> {
    let texts = match &node.value {
        Value::List(items) => items.iter().filter_map(Node::scalar_text).collect(),
        _ => node.scalar_text().into_iter().collect::<Vec<String>>(),
    };
    texts.into_iter()
}

impl ItemTest {
    pub(super) fn holds(&self, line: &Line) -> bool {
        let node = &line.entry.node;
        let values = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let each = |all: bool, holds: &dyn Fn(&Node) -> bool| if all { values.iter().all(holds) } else { values.iter().any(holds) };
        match self {
            Self::Matches { regex, all, negated } => {
                each(*all, &|value| value.scalar_text().is_some_and(|text| regex.is_match(&text)) != *negated)
            }
            Self::IsNull { all } => each(*all, &|value| value.value == Value::Null),
            Self::HasWildcard { all } => each(*all, &|value| value.as_str().is_some_and(|text| text.contains(['*', '?']))),
            Self::Applied(id) => line.applied.contains(id),
        }
    }
}

impl FieldTest {
    pub(super) fn holds(&self, line: &Line) -> bool {
        let field = line.entry.key.split('|').next().unwrap_or_default();
        match self {
            Self::Include(names) => names.iter().any(|name| name.is(field)),
            Self::Exclude(names) => !names.iter().any(|name| name.is(field)),
            Self::Applied(id) => line.applied.contains(id),
        }
    }
}

impl Name {
    fn is(&self, field: &str) -> bool {
        match self {
            Self::Plain(name) => name == field,
            Self::Expression(regex) => regex.is_match(field),
        }
    }
}
